//! FDSN StationXML 1.x, in and out. Source: FDSN StationXML schema 1.2,
//! <https://docs.fdsn.org/projects/stationxml>. One row an epoch of a channel; a station without channels is one row.

use std::io::{BufRead, Write};
use std::path::Path;

use super::event::{Problems, StationRow, StationSet, latitude, longitude, number};
use super::xml::{Fault, Node, Vocabulary, Xml, element, escaped, line, parse_time, root_name};
use crate::error::{Error, Result};
use crate::model::time::Time;

const VOCABULARY: Vocabulary = Vocabulary {
    namespace: "fdsn.org/xml/station",
    elements: &[
        "FDSNStationXML",
        "Network",
        "Station",
        "Channel",
        "Latitude",
        "Longitude",
        "Elevation",
        "Depth",
    ],
    attributes: &["code", "locationCode", "startDate", "endDate"],
};

/// Does the file start as StationXML?
pub fn sniff(head: &[u8]) -> bool {
    root_name(head) == Some("FDSNStationXML")
}

struct Reader {
    rows: Vec<StationRow>,
    problems: Problems,
    network: String,
    station: StationRow,
    channel: StationRow,
    n_channels: usize,
    count: usize,
}

/// Reads a StationXML document. Positions and dates that a channel leaves out are those of its station; an
/// epoch's end after 2262-04-11 (2599-12-31 is the usual mark) is open. What is wrong is a problem with the byte where it starts;
/// stations that were complete before it are kept, a document without any station is a problem too.
///
/// # Errors
/// Only when `input` itself cannot be read.
pub fn read(path: &Path, input: &mut dyn BufRead) -> Result<StationSet> {
    let mut xml = Xml::new(input, &VOCABULARY);
    let mut reader = Reader {
        rows: Vec::new(),
        problems: Problems::new(path),
        network: String::new(),
        station: StationRow::default(),
        channel: StationRow::default(),
        n_channels: 0,
        count: 0,
    };
    loop {
        match xml.next() {
            Ok(Node::Open) if xml.path().len() == 1 && xml.path() != ["FDSNStationXML"] => {
                let reason =
                    format!("not StationXML: the root element is `{}` (or of another namespace)", xml.root());
                reader.problems.add(None, xml.offset(), reason);
                break;
            }
            Ok(Node::Open) => reader.open(&xml),
            Ok(Node::Close) => reader.close(&xml),
            Ok(Node::End) if reader.count == 0 => {
                reader.problems.add(None, 0, "there is no station in this file");
                reader.problems.help("ask the server for level=station or level=channel");
                break;
            }
            Ok(Node::End) => break,
            Err(Fault::Io(error)) => return Err(Error::io("read", path, error)),
            Err(Fault::Bad(offset, reason)) => {
                reader.problems.add(reader.place(), offset, reason);
                break;
            }
        }
    }
    Ok(StationSet::finish(reader.rows, reader.problems))
}

impl Reader {
    fn place(&self) -> Option<String> {
        (self.count > 0).then(|| format!("station {}", self.count))
    }

    fn open(&mut self, xml: &Xml<'_>) {
        let code = |name| xml.attribute(name).filter(|c| *c != "--").unwrap_or_default().to_owned();
        match xml.path() {
            ["FDSNStationXML", "Network"] => self.network = code("code"),
            ["FDSNStationXML", "Network", "Station"] => {
                self.count += 1;
                self.n_channels = 0;
                let (starttime, endtime) = self.epoch(xml);
                let network = Some(self.network.clone());
                self.station = StationRow {
                    network,
                    station: code("code"),
                    starttime,
                    endtime,
                    ..StationRow::default()
                };
            }
            ["FDSNStationXML", "Network", "Station", "Channel"] => {
                let (starttime, endtime) = self.epoch(xml);
                self.channel = StationRow {
                    network: self.station.network.clone(),
                    station: self.station.station.clone(),
                    location: code("locationCode"),
                    channel: code("code"),
                    starttime,
                    endtime,
                    ..StationRow::default()
                };
            }
            _ => {}
        }
    }

    fn epoch(&mut self, xml: &Xml<'_>) -> (Option<Time>, Option<Time>) {
        (self.date(xml, "startDate"), self.date(xml, "endDate"))
    }

    /// A date, or a problem; years after the range of our times are an open end.
    fn date(&mut self, xml: &Xml<'_>, name: &str) -> Option<Time> {
        let text = xml.attribute(name).filter(|t| !t.is_empty())?;
        let year: Option<i32> = text.split('-').next().and_then(|y| y.parse().ok());
        if name == "endDate" && year.is_some_and(|y| y > 2261) {
            return None;
        }
        let time = parse_time(text);
        time.map_err(|e| self.problems.add(self.place(), xml.offset(), format!("{name}: {}", e.reason))).ok()
    }

    fn close(&mut self, xml: &Xml<'_>) {
        match xml.path() {
            ["FDSNStationXML", "Network", "Station"] if self.n_channels == 0 => {
                self.rows.push(std::mem::take(&mut self.station));
            }
            ["FDSNStationXML", "Network", "Station", "Channel"] => self.finish_channel(xml),
            ["FDSNStationXML", "Network", "Station", name] => {
                let value = self.number(name, xml);
                set(&mut self.station, name, value);
            }
            ["FDSNStationXML", "Network", "Station", "Channel", name] => {
                let value = self.number(name, xml);
                set(&mut self.channel, name, value);
            }
            _ => {}
        }
    }

    /// What the channel does not say is as for its station.
    fn finish_channel(&mut self, xml: &Xml<'_>) {
        let (mut row, station) = (std::mem::take(&mut self.channel), &self.station);
        if row.channel.is_empty() {
            self.problems.add(self.place(), xml.offset(), "a channel without code is left out");
            return;
        }
        row.latitude = row.latitude.or(station.latitude);
        row.longitude = row.longitude.or(station.longitude);
        row.elevation_m = row.elevation_m.or(station.elevation_m);
        row.starttime = row.starttime.or(station.starttime);
        row.endtime = row.endtime.or(station.endtime);
        self.n_channels += 1;
        self.rows.push(row);
    }

    /// A number, or a problem.
    fn number(&mut self, name: &str, xml: &Xml<'_>) -> Option<f64> {
        let range: fn(f64) -> Option<f64> = match name {
            "Latitude" => latitude,
            "Longitude" => longitude,
            "Elevation" | "Depth" => Some,
            _ => return None,
        };
        let text = xml.text()?;
        let value = number(text).and_then(range);
        if value.is_none() {
            let shown: String = text.chars().take(40).collect();
            self.problems.add(self.place(), xml.offset(), format!("`{shown}` is not a valid {name}"));
        }
        value
    }
}

fn set(row: &mut StationRow, name: &str, value: Option<f64>) {
    match name {
        "Latitude" => row.latitude = value,
        "Longitude" => row.longitude = value,
        "Elevation" => row.elevation_m = value,
        "Depth" => row.depth_m = value,
        _ => {}
    }
}

/// Writes rows as StationXML 1.2, sorted by network, station, location, channel and start. Rows of one network and
/// station are one Station element whose position is that of the first row and whose epoch covers all of them.
/// The date of creation that the schema wants is always 1970-01-01: equal rows give equal bytes.
/// It wants a depth of each channel too: 0 where none is known.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_stationxml(out: &mut dyn Write, stations: &[StationRow]) -> Result<()> {
    let mut rows: Vec<&StationRow> = stations.iter().collect();
    rows.sort_by_key(|s| (&s.network, &s.station, &s.location, &s.channel, s.starttime));
    line(out, 0, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    line(out, 0, "<FDSNStationXML xmlns=\"http://www.fdsn.org/xml/station/1\" schemaVersion=\"1.2\">")?;
    element(out, 1, "Source", Some("starquake"))?;
    element(out, 1, "Created", Some("1970-01-01T00:00:00Z"))?;
    for network in rows.chunk_by(|a, b| a.network == b.network) {
        let code = network.first().and_then(|s| s.network.as_deref()).unwrap_or_default();
        line(out, 1, &format!("<Network code=\"{}\">", escaped(code)))?;
        for station in network.chunk_by(|a, b| a.station == b.station) {
            write_station(out, station)?;
        }
        line(out, 1, "</Network>")?;
    }
    line(out, 0, "</FDSNStationXML>")
}

fn write_station(out: &mut dyn Write, rows: &[&StationRow]) -> Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let start = rows.iter().map(|r| r.starttime).min().flatten();
    let is_open = rows.iter().any(|r| r.endtime.is_none());
    let end = if is_open { None } else { rows.iter().map(|r| r.endtime).max().flatten() };
    line(out, 2, &format!("<Station code=\"{}\"{}>", escaped(&first.station), dates(start, end)))?;
    position(out, 3, first, false)?;
    line(out, 3, &format!("<Site><Name>{}</Name></Site>", escaped(&first.station)))?;
    for row in rows.iter().filter(|r| !r.channel.is_empty()) {
        let (code, location) = (escaped(&row.channel), escaped(&row.location));
        let dates = dates(row.starttime, row.endtime);
        line(out, 3, &format!("<Channel code=\"{code}\" locationCode=\"{location}\"{dates}>"))?;
        position(out, 4, row, true)?;
        line(out, 3, "</Channel>")?;
    }
    line(out, 2, "</Station>")
}

fn dates(start: Option<Time>, end: Option<Time>) -> String {
    let date = |name, time: Option<Time>| time.map(|t| format!(" {name}=\"{t}\"")).unwrap_or_default();
    date("startDate", start) + &date("endDate", end)
}

fn position(out: &mut dyn Write, indent: usize, row: &StationRow, with_depth: bool) -> Result<()> {
    let text = |v: Option<f64>| v.map(|v| v.to_string());
    element(out, indent, "Latitude", text(row.latitude).as_deref())?;
    element(out, indent, "Longitude", text(row.longitude).as_deref())?;
    element(out, indent, "Elevation", text(row.elevation_m).as_deref())?;
    element(out, indent, "Depth", text(row.depth_m.or(Some(0.0))).filter(|_| with_depth).as_deref())
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::fs;

    fn row(location: &str, channel: &str, depth_m: f64) -> StationRow {
        StationRow {
            network: Some("XX".into()),
            station: "A<B".into(),
            location: location.into(),
            channel: channel.into(),
            latitude: Some(-35.4053),
            longitude: Some(17.2588),
            elevation_m: Some(1192.5),
            depth_m: Some(depth_m),
            starttime: Some(Time(1_562_198_400_000_000_001)),
            endtime: None,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bare = StationRow { station: "Z".into(), depth_m: None, ..row("", "", 0.0) };
        let rows = vec![row("", "HHZ", 0.0), row("00", "HHZ", 150.0), bare];
        let mut bytes = Vec::new();
        write_stationxml(&mut bytes, &rows).expect("write");
        let set = read(Path::new("x"), &mut bytes.as_slice()).expect("read");
        assert_eq!((set.stations, set.problems), (rows, vec![]));
        assert!(sniff(&bytes));
    }

    #[test]
    fn channels_inherit_and_bad_values_are_named() {
        let head = "<s:FDSNStationXML xmlns:s='http://www.fdsn.org/xml/station/1' xmlns:x='urn:x'><s:Network code='N'>";
        let body = "<s:Station code='A' startDate='2010-01-01T00:00:00+02:00' endDate='2599-12-31T23:59:59'>
            <s:Latitude>1</s:Latitude><s:Longitude>2</s:Longitude><s:Elevation>3</s:Elevation>
            <s:Channel code='Z' locationCode='--' startDate='tomorrow'><s:Latitude>95</s:Latitude>
            <x:Depth>7</x:Depth></s:Channel><s:Channel/></s:Station><s:Station code='B'/>";
        let text = format!("{head}{body}</s:Network></s:FDSNStationXML>");
        let set = read(Path::new("x"), &mut text.as_bytes()).expect("read");
        let got: Vec<_> = set.stations.iter().map(|s| (s.station.as_str(), s.latitude, s.depth_m)).collect();
        assert_eq!(got, [("A", Some(1.0), None), ("B", None, None)]);
        let reasons: Vec<&str> = set.problems.iter().map(|p| p.reason.as_str()).collect();
        let date = "startDate: `tomorrow` is no time: a date is written 2024-02-29 or 2024-060";
        assert_eq!(reasons, [date, "`95` is not a valid Latitude", "a channel without code is left out"]);
        let start = set.stations[0].starttime.map(|t| t.to_string());
        assert_eq!((start.as_deref(), set.stations[0].endtime), (Some("2009-12-31T22:00:00Z"), None));
    }

    #[test]
    fn real_files_agree_with_the_truth() {
        let Ok(root) = std::env::var("STARQUAKE_DATA") else {
            eprintln!("skipped: STARQUAKE_DATA is not set");
            return;
        };
        let truth = fs::read_to_string(Path::new(&root).join("truth/stations.csv")).expect("truth");
        let mut n_rows = 0;
        for wanted in truth.lines().skip(1) {
            let w: Vec<&str> = wanted.split(',').collect();
            let path = Path::new(&root).join(w[0]);
            let bytes = fs::read(&path).expect("file");
            assert!(sniff(&bytes[..512]), "{wanted}");
            let set = read(&path, &mut bytes.as_slice()).expect("read");
            if w[3].is_empty() {
                assert!(set.stations.is_empty() && set.problems.len() == 1, "{wanted}");
                continue;
            }
            let same = |s: &&StationRow| {
                let codes = [s.network.as_deref().unwrap_or(""), &s.station, &s.location, &s.channel];
                let times = [(s.starttime, w[6]), (s.endtime, w[7])];
                codes == w[2..6]
                    && times.iter().all(|(t, w)| *t == Time::parse(w).ok())
                    && [s.latitude, s.longitude, s.elevation_m] == [w[8], w[9], w[10]].map(|v| v.parse().ok())
            };
            assert_eq!(set.stations.iter().filter(same).count(), 1, "{wanted}: {:?}", set.stations);
            assert!(set.problems.is_empty(), "{wanted}: {:?}", set.problems);
            n_rows += 1;
        }
        assert_eq!(n_rows, 1);
    }
}
