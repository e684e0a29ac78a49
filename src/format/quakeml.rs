//! QuakeML 1.2 basic event description, in and out. Source: QuakeML 1.2 BED specification (Euchner and
//! Schorlemmer, 2013), <https://quake.ethz.ch/quakeml>. Read as a stream: one event is in memory at a time.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, Write};
use std::path::Path;

use super::event::{EventRow, EventSet, PickRow, Problems, latitude, longitude, number};
use super::xml::{Fault, Node, Vocabulary, Xml, element, escaped, line, parse_time, root_name};
use crate::error::{Error, Result};
use crate::model::time::Time;

const VOCABULARY: Vocabulary = Vocabulary {
    namespace: "quakeml",
    elements: &[
        "quakeml",
        "eventParameters",
        "event",
        "origin",
        "magnitude",
        "pick",
        "arrival",
        "time",
        "latitude",
        "longitude",
        "depth",
        "mag",
        "value",
        "uncertainty",
        "lowerUncertainty",
        "upperUncertainty",
        "type",
        "preferredOriginID",
        "preferredMagnitudeID",
        "pickID",
        "phase",
        "timeWeight",
        "phaseHint",
        "waveformID",
        "evaluationMode",
        "polarity",
    ],
    attributes: &["publicID", "networkCode", "stationCode", "locationCode", "channelCode"],
};

/// Does the file start as QuakeML? Its first bytes are enough, whatever the prefixes.
pub fn sniff(head: &[u8]) -> bool {
    matches!(root_name(head), Some("quakeml" | "eventParameters"))
}

#[derive(Default)]
struct Origin {
    id: String,
    time: Option<Time>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    depth_km: Option<f64>,
    arrivals: Vec<Arrival>,
}

#[derive(Default)]
struct Arrival {
    pick_id: String,
    phase: Option<String>,
    weight: Option<f64>,
}

#[derive(Default)]
struct Magnitude {
    id: String,
    value: Option<f64>,
    kind: Option<String>,
}

/// The parts of the event that is being read.
#[derive(Default)]
struct Parts {
    id: String,
    offset: u64,
    preferred_origin: Option<String>,
    preferred_magnitude: Option<String>,
    origins: Vec<Origin>,
    magnitudes: Vec<Magnitude>,
    picks: Vec<PickRow>,
}

struct Reader {
    events: Vec<EventRow>,
    picks: Vec<PickRow>,
    problems: Problems,
    ids: HashSet<String>,
    count: usize,
    current: Option<Parts>,
}

/// Reads a QuakeML document: the preferred origin and magnitude of each event (else the first), and its picks
/// joined through the arrivals of that origin (phase and time weight; 1 where no weight is given). A pick without
/// arrival keeps its phase hint. What is wrong is a problem with the byte where it starts; events that were
/// complete before it are kept.
///
/// # Errors
/// Only when `input` itself cannot be read.
pub fn read(path: &Path, input: &mut dyn BufRead) -> Result<EventSet> {
    let mut xml = Xml::new(input, &VOCABULARY);
    let mut reader = Reader {
        events: Vec::new(),
        picks: Vec::new(),
        problems: Problems::new(path),
        ids: HashSet::new(),
        count: 0,
        current: None,
    };
    loop {
        match xml.next() {
            Ok(Node::Open) if xml.path().len() == 1 && !is_root(xml.path()) => {
                let reason =
                    format!("not QuakeML: the root element is `{}` (or of another namespace)", xml.root());
                reader.problems.add(None, xml.offset(), reason);
                break;
            }
            Ok(Node::Open) => reader.open(&xml),
            Ok(Node::Close) => reader.close(&xml),
            Ok(Node::End) => {
                if xml.root().is_empty() {
                    reader.problems.add(None, 0, "not QuakeML: there is no element in it");
                }
                break;
            }
            Err(Fault::Io(error)) => return Err(Error::io("read", path, error)),
            Err(Fault::Bad(offset, reason)) => {
                reader.fault(offset, reason);
                break;
            }
        }
    }
    Ok(EventSet::finish(reader.events, reader.picks, reader.problems))
}

fn is_root(path: &[&str]) -> bool {
    matches!(path, ["quakeml" | "eventParameters"])
}

/// The path below the event parameters, whose own root may be missing.
fn below<'a>(path: &'a [&'static str]) -> &'a [&'static str] {
    match path {
        ["quakeml", "eventParameters", rest @ ..] | ["eventParameters", rest @ ..] => rest,
        _ => &[],
    }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

impl Reader {
    fn place(&self) -> Option<String> {
        Some(format!("event {}", self.count))
    }

    /// A number, or a problem.
    fn number(&mut self, xml: &Xml<'_>, range: fn(f64) -> Option<f64>) -> Option<f64> {
        let text = xml.text()?;
        let value = number(text).and_then(range);
        if value.is_none() {
            let shown: String = text.chars().take(40).collect();
            let what = below(xml.path()).get(1..).unwrap_or_default().join("/");
            self.problems.add(self.place(), xml.offset(), format!("`{shown}` is not a valid {what}"));
        }
        value
    }

    /// A time, or a problem.
    fn time(&mut self, xml: &Xml<'_>) -> Option<Time> {
        let time = parse_time(xml.text()?);
        time.map_err(|e| self.problems.add(self.place(), xml.offset(), format!("time: {}", e.reason))).ok()
    }

    fn open(&mut self, xml: &Xml<'_>) {
        let id = || xml.attribute("publicID").unwrap_or_default().to_owned();
        let path = below(xml.path());
        if path == ["event"] {
            self.count += 1;
            self.current = Some(Parts { id: id(), offset: xml.offset(), ..Parts::default() });
        }
        let Some(parts) = &mut self.current else { return };
        match path {
            ["event", "origin"] => parts.origins.push(Origin { id: id(), ..Origin::default() }),
            ["event", "origin", "arrival"] => {
                parts.origins.last_mut().into_iter().for_each(|o| o.arrivals.push(Arrival::default()));
            }
            ["event", "magnitude"] => parts.magnitudes.push(Magnitude { id: id(), ..Magnitude::default() }),
            ["event", "pick"] => parts.picks.push(PickRow { pick_id: id(), ..PickRow::default() }),
            ["event", "pick", "waveformID"] => {
                let Some(pick) = parts.picks.last_mut() else { return };
                let code =
                    |name| xml.attribute(name).filter(|c| !c.is_empty() && *c != "--").map(str::to_owned);
                pick.network = code("networkCode");
                pick.station = code("stationCode");
                pick.channel = code("channelCode");
                // Where a channel is named, no location is the blank one; else nothing is known of either.
                let is_named = pick.channel.is_some() || xml.attribute("locationCode").is_some();
                pick.location = code("locationCode").or_else(|| is_named.then(String::new));
            }
            _ => {}
        }
    }

    fn close(&mut self, xml: &Xml<'_>) {
        match below(xml.path()) {
            ["event"] => self.finish_event(),
            ["event", "preferredOriginID"] => {
                self.current.iter_mut().for_each(|p| p.preferred_origin = owned(xml.text()));
            }
            ["event", "preferredMagnitudeID"] => {
                self.current.iter_mut().for_each(|p| p.preferred_magnitude = owned(xml.text()));
            }
            ["event", "origin", rest @ ..] => self.close_origin(rest, xml),
            ["event", "magnitude", rest @ ..] => self.close_magnitude(rest, xml),
            ["event", "pick", rest @ ..] => self.close_pick(rest, xml),
            _ => {}
        }
    }

    fn close_origin(&mut self, path: &[&str], xml: &Xml<'_>) {
        match path {
            ["arrival", rest @ ..] => self.close_arrival(rest, xml),
            ["time", "value"] => {
                let time = self.time(xml);
                self.origin().into_iter().for_each(|o| o.time = time);
            }
            ["latitude", "value"] => {
                let value = self.number(xml, latitude);
                self.origin().into_iter().for_each(|o| o.latitude = value);
            }
            ["longitude", "value"] => {
                let value = self.number(xml, longitude);
                self.origin().into_iter().for_each(|o| o.longitude = value);
            }
            ["depth", "value"] => {
                let value = self.number(xml, Some);
                self.origin().into_iter().for_each(|o| o.depth_km = value.map(|m| m / 1000.0));
            }
            _ => {}
        }
    }

    fn origin(&mut self) -> Option<&mut Origin> {
        self.current.as_mut()?.origins.last_mut()
    }

    fn close_arrival(&mut self, path: &[&str], xml: &Xml<'_>) {
        let weight = match path {
            ["timeWeight"] => self.number(xml, Some),
            _ => None,
        };
        let Some(arrival) = self.origin().and_then(|o| o.arrivals.last_mut()) else { return };
        match path {
            ["pickID"] => arrival.pick_id = owned(xml.text()).unwrap_or_default(),
            ["phase"] => arrival.phase = owned(xml.text()),
            ["timeWeight"] => arrival.weight = weight,
            _ => {}
        }
    }

    fn close_magnitude(&mut self, path: &[&str], xml: &Xml<'_>) {
        let value = match path {
            ["mag", "value"] => self.number(xml, Some),
            _ => None,
        };
        let Some(magnitude) = self.current.as_mut().and_then(|p| p.magnitudes.last_mut()) else { return };
        match path {
            ["mag", "value"] => magnitude.value = value,
            ["type"] => magnitude.kind = owned(xml.text()),
            _ => {}
        }
    }

    fn close_pick(&mut self, path: &[&str], xml: &Xml<'_>) {
        let time = match path {
            ["time", "value"] => self.time(xml),
            _ => None,
        };
        let seconds = match path {
            ["time", "uncertainty" | "lowerUncertainty" | "upperUncertainty"] => self.number(xml, Some),
            _ => None,
        };
        let Some(pick) = self.current.as_mut().and_then(|p| p.picks.last_mut()) else { return };
        match path {
            ["time", "value"] => pick.time = time,
            ["time", "uncertainty"] => pick.uncertainty_s = seconds.or(pick.uncertainty_s),
            // One-sided uncertainties: the larger one, unless the symmetric one is there too.
            ["time", "lowerUncertainty" | "upperUncertainty"] => {
                let other = pick.uncertainty_s.unwrap_or(f64::NEG_INFINITY);
                pick.uncertainty_s = seconds.map(|s| s.max(other)).or(pick.uncertainty_s);
            }
            ["phaseHint"] => pick.phase = owned(xml.text()),
            ["evaluationMode"] => pick.mode = owned(xml.text()),
            ["polarity"] => pick.polarity = owned(xml.text()),
            _ => {}
        }
    }

    /// The document ends here; an event that is not complete is not kept, and named.
    fn fault(&mut self, offset: u64, reason: String) {
        match self.current.take() {
            Some(parts) => {
                let start = parts.offset;
                let reason =
                    format!("{reason}; the event that starts at byte {start} is not complete and left out");
                self.problems.add(self.place(), offset, reason);
            }
            None => self.problems.add(None, offset, reason),
        }
    }

    fn finish_event(&mut self) {
        let Some(mut parts) = self.current.take() else { return };
        if parts.id.is_empty() {
            parts.id = format!("event/{}", self.count);
        }
        if !self.ids.insert(parts.id.clone()) {
            let reason = format!("a second event with the id `{}` is left out", parts.id);
            self.problems.add(self.place(), parts.offset, reason);
            return;
        }
        let wanted = parts.preferred_origin.as_deref();
        let at = parts.origins.iter().position(|o| Some(o.id.as_str()) == wanted).unwrap_or(0);
        let origin = if at < parts.origins.len() { parts.origins.swap_remove(at) } else { Origin::default() };
        let wanted = parts.preferred_magnitude.as_deref();
        let at = parts.magnitudes.iter().position(|m| Some(m.id.as_str()) == wanted).unwrap_or(0);
        let magnitude =
            if at < parts.magnitudes.len() { parts.magnitudes.swap_remove(at) } else { Magnitude::default() };
        self.events.push(EventRow {
            event_id: parts.id.clone(),
            number: 0,
            time: origin.time,
            latitude: origin.latitude,
            longitude: origin.longitude,
            depth_km: origin.depth_km,
            magnitude: magnitude.value,
            magnitude_type: magnitude.kind,
        });
        self.join(parts, origin.arrivals);
    }

    /// Gives the picks of an event the phases and weights of the arrivals that use them.
    fn join(&mut self, parts: Parts, arrivals: Vec<Arrival>) {
        let mut by_pick: HashMap<String, Arrival> = HashMap::new();
        let (mut again, mut unused) = (0, 0);
        for arrival in arrivals {
            if by_pick.contains_key(&arrival.pick_id) {
                again += 1;
            } else {
                by_pick.insert(arrival.pick_id.clone(), arrival);
            }
        }
        let mut ids = HashSet::new();
        for (i, mut pick) in parts.picks.into_iter().enumerate() {
            if pick.pick_id.is_empty() {
                pick.pick_id = format!("{}/pick/{}", parts.id, i + 1);
            }
            if !ids.insert(pick.pick_id.clone()) {
                let reason = format!("a second pick with the id `{}` is left out", pick.pick_id);
                self.problems.add(self.place(), parts.offset, reason);
                continue;
            }
            pick.event_id.clone_from(&parts.id);
            pick.weight = Some(1.0);
            if let Some(arrival) = by_pick.remove(&pick.pick_id) {
                pick.phase = arrival.phase.or(pick.phase);
                pick.weight = arrival.weight.or(pick.weight);
            }
            self.picks.push(pick);
        }
        unused += by_pick.len();
        if again > 0 {
            let reason =
                format!("{again} arrivals use a pick that another arrival has used; the first counts");
            self.problems.add(self.place(), parts.offset, reason);
        }
        if unused > 0 {
            let reason = format!("{unused} arrivals name picks that the event does not hold");
            self.problems.add(self.place(), parts.offset, reason);
        }
    }
}

/// Writes events with their origins, magnitudes, picks and arrivals as QuakeML 1.2, in the order given. Times keep
/// all nine digits. A pick of no event in `events` is not written: the caller chooses both. Weights stand in the
/// arrivals of the origin, so an event without time and position cannot carry those of its picks. Ids
/// are written as they stand; the schema wants URIs such as `smi:local/event/1`.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_quakeml(out: &mut dyn Write, events: &[EventRow], picks: &[PickRow]) -> Result<()> {
    let mut by_event: HashMap<&str, Vec<&PickRow>> = HashMap::new();
    for pick in picks {
        by_event.entry(pick.event_id.as_str()).or_default().push(pick);
    }
    line(out, 0, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    let bed = "xmlns=\"http://quakeml.org/xmlns/bed/1.2\"";
    line(out, 0, &format!("<q:quakeml xmlns:q=\"http://quakeml.org/xmlns/quakeml/1.2\" {bed}>"))?;
    line(out, 1, "<eventParameters publicID=\"smi:local/starquake\">")?;
    for event in events {
        let own = by_event.get(event.event_id.as_str()).map(Vec::as_slice).unwrap_or_default();
        write_event(out, event, own)?;
    }
    line(out, 1, "</eventParameters>")?;
    line(out, 0, "</q:quakeml>")
}

fn write_event(out: &mut dyn Write, event: &EventRow, picks: &[&PickRow]) -> Result<()> {
    let id = escaped(&event.event_id);
    line(out, 2, &format!("<event publicID=\"{id}\">"))?;
    let place = [event.latitude, event.longitude, event.depth_km];
    if event.time.is_some() || place.iter().any(Option::is_some) {
        element(out, 3, "preferredOriginID", Some(&format!("{}/origin", event.event_id)))?;
        line(out, 3, &format!("<origin publicID=\"{id}/origin\">"))?;
        quantity(out, "time", event.time.map(|t| t.to_string()))?;
        quantity(out, "latitude", event.latitude.map(|v| v.to_string()))?;
        quantity(out, "longitude", event.longitude.map(|v| v.to_string()))?;
        // Rounded to 1 um, so that 10.45 km is written as 10450 m and read as 10.45 km again.
        quantity(out, "depth", event.depth_km.map(|km| ((km * 1e9).round() / 1e6).to_string()))?;
        for (i, pick) in picks.iter().enumerate() {
            line(out, 4, &format!("<arrival publicID=\"{id}/arrival/{}\">", i + 1))?;
            element(out, 5, "pickID", Some(&pick.pick_id))?;
            element(out, 5, "phase", pick.phase.as_deref())?;
            element(out, 5, "timeWeight", pick.weight.map(|w| w.to_string()).as_deref())?;
            line(out, 4, "</arrival>")?;
        }
        line(out, 3, "</origin>")?;
    }
    if let Some(value) = event.magnitude {
        line(out, 3, &format!("<magnitude publicID=\"{id}/magnitude\">"))?;
        quantity(out, "mag", Some(value.to_string()))?;
        element(out, 4, "type", event.magnitude_type.as_deref())?;
        line(out, 3, "</magnitude>")?;
    }
    picks.iter().try_for_each(|pick| write_pick(out, pick))?;
    line(out, 2, "</event>")
}

fn write_pick(out: &mut dyn Write, pick: &PickRow) -> Result<()> {
    line(out, 3, &format!("<pick publicID=\"{}\">", escaped(&pick.pick_id)))?;
    let time = pick.time.map(|t| format!("<value>{t}</value>")).unwrap_or_default();
    let uncertainty =
        pick.uncertainty_s.map(|s| format!("<uncertainty>{s}</uncertainty>")).unwrap_or_default();
    line(out, 4, &format!("<time>{time}{uncertainty}</time>"))?;
    let codes = [
        ("networkCode", &pick.network),
        ("stationCode", &pick.station),
        ("locationCode", &pick.location),
        ("channelCode", &pick.channel),
    ];
    let code = |(name, code): (&str, &Option<String>)| {
        code.as_ref().map(|c| format!(" {name}=\"{}\"", escaped(c))).unwrap_or_default()
    };
    line(out, 4, &format!("<waveformID{}/>", codes.map(code).concat()))?;
    element(out, 4, "phaseHint", pick.phase.as_deref())?;
    element(out, 4, "polarity", pick.polarity.as_deref())?;
    element(out, 4, "evaluationMode", pick.mode.as_deref())?;
    line(out, 3, "</pick>")
}

/// `<time><value>..</value></time>`, nothing for nothing.
fn quantity(out: &mut dyn Write, name: &str, value: Option<String>) -> Result<()> {
    match value {
        Some(value) => line(out, 4, &format!("<{name}><value>{value}</value></{name}>")),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests;
