//! Rows of events, picks and stations as every reader of this room makes them, their order, and what is said
//! about bad input. [`table`] turns them into batches; [`phase`] knows phase names.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::model::time::Time;

pub mod phase;
pub mod table;

pub use phase::{phase_class, plain_phase};

/// Most problems that are kept of one file; the rest is counted in one more line.
pub const PROBLEMS_PER_FILE: usize = 1000;
/// Longest reason of a problem in characters: bad input can hold names of many MiB.
pub const REASON_CHARACTERS: usize = 400;
/// Most digits of a source's own event number: hypoDD prints numbers into nine columns.
pub const EVENT_NUMBER_DIGITS: usize = 9;

/// One event: its preferred hypocentre and magnitude.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventRow {
    /// Id in the source (QuakeML publicID, hypoDD id).
    pub event_id: String,
    /// Number in hypoDD files, made by [`number_events`].
    pub number: i64,
    /// Origin time.
    pub time: Option<Time>,
    /// Degrees, north positive.
    pub latitude: Option<f64>,
    /// Degrees, east positive, -180 .. 180.
    pub longitude: Option<f64>,
    /// km below sea level, down positive.
    pub depth_km: Option<f64>,
    /// Preferred magnitude.
    pub magnitude: Option<f64>,
    /// Its type as the source writes it: `Mw`, `ML`.
    pub magnitude_type: Option<String>,
}

/// One pick of one event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PickRow {
    /// Id in the source, or made from event, station and phase.
    pub pick_id: String,
    /// The event it belongs to.
    pub event_id: String,
    /// Network; `None` where the source names none (hypoDD).
    pub network: Option<String>,
    /// Station.
    pub station: Option<String>,
    /// Location, blank is the empty text; `None` where the source says nothing of the channel.
    pub location: Option<String>,
    /// Channel.
    pub channel: Option<String>,
    /// Phase name as the source writes it: that of the arrival, else the hint of the pick.
    pub phase: Option<String>,
    /// Arrival time.
    pub time: Option<Time>,
    /// Standard uncertainty of the time in s.
    pub uncertainty_s: Option<f64>,
    /// Weight; 1 where the source gives none, negative in hypoDD files means: always keep.
    pub weight: Option<f64>,
    /// `manual` or `automatic`.
    pub mode: Option<String>,
    /// `positive`, `negative`, `undecidable`.
    pub polarity: Option<String>,
}

impl PickRow {
    /// `P`, `S` or nothing: see [`phase_class`].
    pub fn phase_class(&self) -> Option<&'static str> {
        self.phase.as_deref().and_then(phase_class)
    }
}

/// One epoch of a channel, or of a station where the source knows no channels (location and channel blank).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StationRow {
    /// Network; `None` where the source names none (hypoDD).
    pub network: Option<String>,
    /// Station.
    pub station: String,
    /// Location, blank is the empty text.
    pub location: String,
    /// Channel; empty for a row of a whole station.
    pub channel: String,
    /// Degrees, north positive.
    pub latitude: Option<f64>,
    /// Degrees, east positive, -180 .. 180.
    pub longitude: Option<f64>,
    /// m above sea level of the ground at the station.
    pub elevation_m: Option<f64>,
    /// m of the sensor below that ground.
    pub depth_m: Option<f64>,
    /// Start of the epoch.
    pub starttime: Option<Time>,
    /// End of the epoch; `None` while it is open, and for far-future ends such as 2599.
    pub endtime: Option<Time>,
}

/// What a reader of events made of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventSet {
    /// Sorted by time, id.
    pub events: Vec<EventRow>,
    /// Sorted by time, id.
    pub picks: Vec<PickRow>,
    /// What could not be read, in file order.
    pub problems: Vec<DataError>,
}

impl EventSet {
    /// Rows in their order, events numbered.
    pub(super) fn finish(mut events: Vec<EventRow>, mut picks: Vec<PickRow>, problems: Problems) -> EventSet {
        sort_events(&mut events);
        sort_picks(&mut picks);
        number_events(&mut events);
        EventSet { events, picks, problems: problems.finish() }
    }
}

/// What a reader of stations made of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StationSet {
    /// Sorted by network, station, location, channel, start.
    pub stations: Vec<StationRow>,
    /// What could not be read, in file order.
    pub problems: Vec<DataError>,
}

impl StationSet {
    /// Rows in their order.
    pub(super) fn finish(mut stations: Vec<StationRow>, problems: Problems) -> StationSet {
        stations.sort_by(|a, b| {
            (a.network.is_none(), &a.network, &a.station)
                .cmp(&(b.network.is_none(), &b.network, &b.station))
                .then_with(|| (&a.location, &a.channel).cmp(&(&b.location, &b.channel)))
                .then_with(|| a.starttime.cmp(&b.starttime))
        });
        StationSet { stations, problems: problems.finish() }
    }
}

/// Collects what is wrong with one file, at most [`PROBLEMS_PER_FILE`] of it.
#[derive(Debug)]
pub(super) struct Problems {
    path: PathBuf,
    list: Vec<DataError>,
    dropped: usize,
}

impl Problems {
    pub(super) fn new(path: &Path) -> Self {
        Problems { path: path.to_path_buf(), list: Vec::new(), dropped: 0 }
    }

    /// One more: `place` in the words of the format, byte offset, reason.
    pub(super) fn add(&mut self, place: Option<String>, offset: u64, reason: impl Into<String>) {
        if self.list.len() >= PROBLEMS_PER_FILE {
            self.dropped += 1;
            return;
        }
        let (path, mut reason) = (self.path.clone(), reason.into());
        if let Some((at, _)) = reason.char_indices().nth(REASON_CHARACTERS) {
            reason.truncate(at);
            reason.push_str(" ... (cut)");
        }
        self.list.push(DataError { path, place, offset: Some(offset), reason, help: None });
    }

    /// Adds what to do to the newest one.
    pub(super) fn help(&mut self, help: &str) {
        if let Some(last) = self.list.last_mut() {
            last.help = Some(help.to_owned());
        }
    }

    fn finish(mut self) -> Vec<DataError> {
        if self.dropped > 0 {
            let reason = format!("{} further problems of this file are not listed", self.dropped);
            self.list.push(DataError { path: self.path, place: None, offset: None, reason, help: None });
        }
        self.list
    }
}

/// By time (NULL last), then id.
pub fn sort_events(events: &mut [EventRow]) {
    events.sort_by(|a, b| nulls_last(a.time, b.time).then_with(|| a.event_id.cmp(&b.event_id)));
}

/// By time (NULL last), then id.
pub fn sort_picks(picks: &mut [PickRow]) {
    picks.sort_by(|a, b| nulls_last(a.time, b.time).then_with(|| a.pick_id.cmp(&b.pick_id)));
}

fn nulls_last(a: Option<Time>, b: Option<Time>) -> Ordering {
    (a.is_none(), a).cmp(&(b.is_none(), b))
}

/// Gives each event its number: the integer id of the source when all events have one, all are different,
/// positive and of at most [`EVENT_NUMBER_DIGITS`] digits, else 1 .. n in the order of time, id.
pub fn number_events(events: &mut [EventRow]) {
    let own: Option<Vec<i64>> = events.iter().map(|e| own_number(&e.event_id)).collect();
    let mut seen = HashSet::new();
    if let Some(numbers) = own
        && numbers.iter().all(|n| seen.insert(*n))
    {
        events.iter_mut().zip(numbers).for_each(|(event, number)| event.number = number);
        return;
    }
    let mut order: Vec<&mut EventRow> = events.iter_mut().collect();
    order.sort_by(|a, b| nulls_last(a.time, b.time).then_with(|| a.event_id.cmp(&b.event_id)));
    order.into_iter().zip(1..).for_each(|(event, number)| event.number = number);
}

/// The integer of an id: all of it (`17`), or what follows the last `/`, `=` or `#` of a URI (`smi:local/event/17`).
fn own_number(id: &str) -> Option<i64> {
    let digits = id.rsplit(['/', '=', '#']).next()?;
    let plain = !digits.is_empty() && digits.len() <= EVENT_NUMBER_DIGITS;
    if !plain || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|n| *n > 0)
}

/// Keeps one pick of each (event, network, station, phase): manual before automatic before unknown, then the
/// larger weight, the earlier time, the smaller pick_id. The order of the kept rows is that of the input;
/// returns them and how many were left out. Picks without station or phase are all kept.
pub fn dedup_picks(picks: Vec<PickRow>) -> (Vec<PickRow>, usize) {
    let mut best: HashMap<(&str, Option<&str>, &str, &str), usize> = HashMap::new();
    let mut keep = vec![true; picks.len()];
    for (i, pick) in picks.iter().enumerate() {
        let (Some(station), Some(phase)) = (pick.station.as_deref(), pick.phase.as_deref()) else { continue };
        let key = (pick.event_id.as_str(), pick.network.as_deref(), station, phase);
        let Some(&other) = best.get(&key) else {
            best.insert(key, i);
            continue;
        };
        let wins = picks.get(other).is_some_and(|other| preference(pick, other) == Ordering::Less);
        if wins {
            best.insert(key, i);
        }
        if let Some(loser) = keep.get_mut(if wins { other } else { i }) {
            *loser = false;
        }
    }
    let dropped = keep.iter().filter(|k| !**k).count();
    let kept = picks.into_iter().zip(keep).filter_map(|(pick, keep)| keep.then_some(pick)).collect();
    (kept, dropped)
}

/// `Less` when `a` is to be kept before `b`.
fn preference(a: &PickRow, b: &PickRow) -> Ordering {
    let rank = |p: &PickRow| match p.mode.as_deref() {
        Some("manual") => 0,
        Some("automatic") => 1,
        _ => 2,
    };
    let weight = |p: &PickRow| p.weight.unwrap_or(f64::NEG_INFINITY);
    rank(a)
        .cmp(&rank(b))
        .then_with(|| weight(b).total_cmp(&weight(a)))
        .then_with(|| nulls_last(a.time, b.time))
        .then_with(|| a.pick_id.cmp(&b.pick_id))
}

/// A number of a text file: a plain decimal (`1.5`, `-2e3`). `nan`, `inf`, `1,5`, `1_000`, `0x1p3` and what
/// overflows are none.
pub(super) fn number(text: &str) -> Option<f64> {
    let decimal = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.bytes().all(decimal) {
        return None;
    }
    text.parse::<f64>().ok().filter(|v| v.is_finite())
}

/// A latitude in degrees, -90 .. 90.
pub(super) fn latitude(value: f64) -> Option<f64> {
    (value.abs() <= 90.0).then_some(value)
}

/// A longitude in degrees: -180 .. 360 is taken, returned as -180 .. 180.
pub(super) fn longitude(value: f64) -> Option<f64> {
    match value {
        v if (-180.0..=180.0).contains(&v) => Some(v),
        v if v > 180.0 && v <= 360.0 => Some(v - 360.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, time: Option<i64>) -> EventRow {
        EventRow { event_id: id.to_owned(), time: time.map(Time), ..EventRow::default() }
    }

    #[test]
    fn events_are_sorted_and_numbered() {
        let cases = [
            (vec![("7", Some(2)), ("3", Some(1))], vec![3, 7]),
            (vec![("smi:local/event/12", Some(2)), ("smi:local/event/900", Some(1))], vec![900, 12]),
            (vec![("7", Some(2)), ("a", Some(1))], vec![1, 2]),
            (vec![("07", Some(2)), ("7", Some(1))], vec![1, 2]),
            (vec![("1234567890", Some(2)), ("7", Some(1))], vec![1, 2]),
            (vec![("0", Some(2)), ("7", Some(1))], vec![1, 2]),
            (vec![("b", None), ("c", Some(5)), ("a", None)], vec![1, 2, 3]),
        ];
        for (rows, want) in cases {
            let events = rows.iter().map(|(id, t)| event(id, *t)).collect();
            let set = EventSet::finish(events, vec![], Problems::new(Path::new("x")));
            let got: Vec<i64> = set.events.iter().map(|e| e.number).collect();
            assert_eq!(got, want, "{rows:?}");
            assert!(set.events.is_sorted_by_key(|e| (e.time.is_none(), e.time)), "{rows:?}");
        }
    }

    #[test]
    fn one_pick_of_each_station_and_phase_is_kept() {
        let pick = |id: &str, mode: &str, weight: f64, time: i64| PickRow {
            pick_id: id.to_owned(),
            event_id: "1".to_owned(),
            station: Some("A".to_owned()),
            phase: Some("P".to_owned()),
            mode: Some(mode.to_owned()),
            weight: Some(weight),
            time: Some(Time(time)),
            ..PickRow::default()
        };
        let cases = [
            (pick("a", "manual", 0.1, 9), pick("b", "automatic", 1.0, 1), "a"),
            (pick("a", "manual", 0.1, 9), pick("b", "manual", 1.0, 10), "b"),
            (pick("a", "manual", 1.0, 9), pick("b", "manual", 1.0, 8), "b"),
            (pick("a", "manual", 1.0, 9), pick("b", "manual", 1.0, 9), "a"),
        ];
        for (a, b, want) in cases {
            for rows in [vec![a.clone(), b.clone()], vec![b, a]] {
                let (kept, dropped) = dedup_picks(rows);
                assert_eq!((kept.len(), dropped), (1, 1));
                assert_eq!(kept.first().map(|p| p.pick_id.as_str()), Some(want));
            }
        }
        let mut other = pick("c", "manual", 1.0, 1);
        other.network = Some("XX".to_owned());
        assert_eq!(dedup_picks(vec![pick("a", "manual", 1.0, 1), other]).1, 0, "another network");
        let bare = PickRow::default();
        assert_eq!(dedup_picks(vec![bare.clone(), bare]).1, 0, "nothing to compare");
    }

    #[test]
    fn numbers_are_plain_decimals() {
        let cases = [
            ("1.5", Some(1.5)),
            ("-2E3", Some(-2000.0)),
            ("-0", Some(-0.0)),
            ("1e400", None),
            ("nan", None),
            ("inf", None),
            ("0x1p3", None),
            ("1_000", None),
            ("1,5", None),
            ("", None),
            (".", None),
        ];
        for (text, want) in cases {
            assert_eq!(number(text), want, "{text}");
        }
        assert_eq!((longitude(200.0), longitude(-181.0), latitude(90.5)), (Some(-160.0), None, None));
    }

    #[test]
    fn problems_are_bounded_and_counted() {
        let mut problems = Problems::new(Path::new("x"));
        (0..PROBLEMS_PER_FILE as u64 + 5).for_each(|i| problems.add(None, i, "bad"));
        let list = problems.finish();
        assert_eq!(list.len(), PROBLEMS_PER_FILE + 1);
        let last = list.last().map(|p| p.reason.as_str());
        assert_eq!(last, Some("5 further problems of this file are not listed"));
        let mut problems = Problems::new(Path::new("x"));
        problems.add(None, 0, "\u{e9}".repeat(5000));
        let longest = problems.finish().iter().map(|p| p.reason.chars().count()).max();
        assert_eq!(longest, Some(REASON_CHARACTERS + 10));
    }
}
