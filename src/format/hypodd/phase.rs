//! Phase files (`phase.dat`, `hypoDD.pha`): a line `# yr mo dy hr mi sc lat lon dep mag eh ez rms id` an event,
//! then lines `sta tt weight phase`, tt in s after the origin. Open-File Report 01-113, appendix C.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, Write};
use std::path::Path;

use super::{
    LABEL_CHARACTERS, Line, Lines, clock_time, event_id, field, head_lines, next_text, optional_field,
    position, rounded_origin, shown, station_labels, whole_field, words, write_error,
};
use crate::error::Result;
use crate::format::event::{EventRow, EventSet, PickRow, Problems};
use crate::model::time::Time;

/// Words of an event line after the `#`.
const HEADER_WORDS: usize = 14;

/// Does the file start with an event line of a phase file?
pub fn sniff(head: &[u8]) -> bool {
    let lines = head_lines(head);
    let Some(header) = lines.first().and_then(|l| l.trim_start().strip_prefix('#')) else { return false };
    let words = words(header);
    words.len() >= HEADER_WORDS && read_header(&words).is_ok()
}

struct Reader {
    events: Vec<EventRow>,
    picks: Vec<PickRow>,
    problems: Problems,
    /// Id and origin of the event whose lines follow.
    current: Option<(String, Time)>,
    /// The event line that could not be used, and how many lines were left out because of it.
    refused: Option<(Line, String, usize)>,
    ids: HashSet<String>,
    /// How often a station and phase came in the current event.
    seen: HashMap<(String, String), usize>,
}

/// Reads a phase file. Picks name no network, location or channel; their time is origin + travel time, their
/// weight as written (negative: always keep). A bad event line loses its phases, which are counted; a bad phase
/// line loses itself; a negative travel time, which lies before the origin, is a bad line.
///
/// # Errors
/// Only when `input` itself cannot be read.
pub fn read(path: &Path, input: &mut dyn BufRead) -> Result<EventSet> {
    let mut lines = Lines::new(input);
    let mut reader = Reader {
        events: Vec::new(),
        picks: Vec::new(),
        problems: Problems::new(path),
        current: None,
        refused: None,
        ids: HashSet::new(),
        seen: HashMap::new(),
    };
    while let Some((line, text)) = next_text(&mut lines, &mut reader.problems, path)? {
        match text.trim_start().strip_prefix('#') {
            Some(header) => reader.event(line, header),
            None => reader.phase(line, &text),
        }
    }
    reader.report();
    Ok(EventSet::finish(reader.events, reader.picks, reader.problems))
}

/// Time, latitude, longitude, depth, magnitude and id, or what is wrong.
fn read_header(words: &[&str]) -> Result<EventRow, String> {
    if words.len() < HEADER_WORDS {
        let n = words.len();
        return Err(format!(
            "an event line has 14 values (yr mo dy hr mi sc lat lon dep mag eh ez rms id), this has {n}"
        ));
    }
    let date =
        (whole_field(words, 0, "year")?, whole_field(words, 1, "month")?, whole_field(words, 2, "day")?);
    let clock =
        (whole_field(words, 3, "hour")?, whole_field(words, 4, "minute")?, field(words, 5, "second")?);
    let (latitude, longitude) = position(words, 6)?;
    Ok(EventRow {
        event_id: event_id(words.get(13).copied().unwrap_or_default())?,
        number: 0,
        time: Some(clock_time(date, clock)?),
        latitude: Some(latitude),
        longitude: Some(longitude),
        depth_km: optional_field(words, 8, "depth")?,
        magnitude: optional_field(words, 9, "magnitude")?,
        magnitude_type: None,
    })
}

impl Reader {
    fn event(&mut self, line: Line, header: &str) {
        self.report();
        self.current = None;
        self.seen.clear();
        match read_header(&words(header)) {
            Ok(event) if !self.ids.insert(event.event_id.clone()) => {
                let reason = format!("a second event with the id {} is left out", event.event_id);
                self.refused = Some((line, reason, 0));
            }
            Ok(event) => {
                self.current = event.time.map(|time| (event.event_id.clone(), time));
                self.events.push(event);
            }
            Err(reason) => self.refused = Some((line, reason, 0)),
        }
    }

    /// Says what became of an event line that was refused.
    fn report(&mut self) {
        if let Some((line, reason, skipped)) = self.refused.take() {
            let reason = format!("{reason}; {skipped} phase lines after it are left out");
            self.problems.add(line.place(), line.offset, reason);
        }
    }

    fn phase(&mut self, line: Line, text: &str) {
        let Some((event_id, origin)) = &self.current else {
            let reason = "there is no event line before this line".to_owned();
            self.refused.get_or_insert((line, reason, 0)).2 += 1;
            return;
        };
        match read_phase(&words(text), *origin) {
            Ok(mut pick) => {
                let (station, phase) =
                    (pick.station.clone().unwrap_or_default(), pick.phase.clone().unwrap_or_default());
                pick.pick_id = format!("{event_id}/{station}/{phase}");
                let count = self.seen.entry((station, phase)).or_default();
                *count += 1;
                if *count > 1 {
                    pick.pick_id = format!("{}/{count}", pick.pick_id);
                }
                pick.event_id.clone_from(event_id);
                self.picks.push(pick);
            }
            Err(reason) => self.problems.add(line.place(), line.offset, reason),
        }
    }
}

fn read_phase(words: &[&str], origin: Time) -> Result<PickRow, String> {
    let [station, travel_time, _, phase, ..] = words else {
        return Err(format!(
            "a phase line has 4 values (station, travel time, weight, phase), this has {}",
            words.len()
        ));
    };
    let seconds = field(words, 1, "travel time")?;
    if seconds < 0.0 {
        return Err(format!(
            "travel time {} s is negative: the pick lies before the origin",
            shown(travel_time)
        ));
    }
    let weight = field(words, 2, "weight")?;
    let time = origin.plus_seconds(seconds);
    let time =
        time.ok_or_else(|| format!("travel time {} s leads out of our time range", shown(travel_time)))?;
    Ok(PickRow {
        station: Some((*station).to_owned()),
        phase: Some((*phase).to_owned()),
        time: Some(time),
        weight: Some(weight),
        ..PickRow::default()
    })
}

/// What [`write_phases`] wrote and what it could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseCount {
    /// Event lines.
    pub events: usize,
    /// Phase lines.
    pub phases: usize,
    /// Events without time or position.
    pub events_left_out: usize,
    /// Picks of no written event, without time or station, of no P or S phase, and later ones of a station and
    /// class that is there already (Pg and Pn: the earlier is written).
    pub picks_left_out: usize,
}

/// Writes a phase file: events in the order given with their `number`, origins rounded once to 0.01 s and travel
/// times counted from there, phases as P or S sorted by (label, phase). No depth is written as 0.
///
/// # Errors
/// Labels that do not fit ([`station_labels`]); `out` cannot be written.
pub fn write_phases(out: &mut dyn Write, events: &[EventRow], picks: &[PickRow]) -> Result<PhaseCount> {
    let named = picks.iter().filter(|p| p.station.is_some());
    let labels = station_labels(named.map(codes), LABEL_CHARACTERS)?;
    let mut by_event: HashMap<&str, Vec<&PickRow>> = HashMap::new();
    picks.iter().for_each(|p| by_event.entry(p.event_id.as_str()).or_default().push(p));
    let mut count = PhaseCount { picks_left_out: picks.len(), ..PhaseCount::default() };
    for event in events {
        let (Some(time), Some(latitude), Some(longitude)) = (event.time, event.latitude, event.longitude)
        else {
            count.events_left_out += 1;
            continue;
        };
        let origin = rounded_origin(time);
        let header = header(event, origin, (latitude, longitude));
        writeln!(out, "{header}").map_err(write_error)?;
        count.events += 1;
        let mut first: BTreeMap<(&str, &str), &PickRow> = BTreeMap::new();
        for pick in by_event.get(event.event_id.as_str()).into_iter().flatten() {
            let label = labels.get(&codes(pick)).map(String::as_str);
            let (Some(label), Some(class), Some(_)) = (label, pick.phase_class(), pick.time) else {
                continue;
            };
            let entry = first.entry((label, class)).or_insert(pick);
            if pick.time < entry.time {
                *entry = pick;
            }
        }
        for ((label, class), pick) in first {
            let seconds = pick.time.map_or(0.0, |t| t.seconds_since(origin));
            let weight = pick.weight.unwrap_or(1.0);
            writeln!(out, "{label:<7} {seconds:10.6} {weight:7.4} {class}").map_err(write_error)?;
            count.phases += 1;
            count.picks_left_out -= 1;
        }
    }
    Ok(count)
}

fn codes(pick: &PickRow) -> (&str, &str) {
    (pick.network.as_deref().unwrap_or_default(), pick.station.as_deref().unwrap_or_default())
}

fn header(event: &EventRow, origin: Time, (latitude, longitude): (f64, f64)) -> String {
    let c = origin.civil();
    let seconds = f64::from(c.second()) + f64::from(c.subsec_nanosecond()) / 1e9;
    let (depth, magnitude) = (event.depth_km.unwrap_or(0.0), event.magnitude.unwrap_or(0.0));
    format!(
        "# {:04} {:02} {:02} {:02} {:02} {seconds:05.2} {latitude:10.6} {longitude:11.6} {depth:8.4} {magnitude:5.2} 0.00 0.00 0.00 {}",
        c.year(),
        c.month(),
        c.day(),
        c.hour(),
        c.minute(),
        event.number
    )
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_text(text: &str) -> EventSet {
        read(Path::new("x.pha"), &mut text.as_bytes()).expect("memory can be read")
    }

    const HEADER: &str = "# 2019 07 04 17 02 55.42 35.7091 -117.5057 10.45 1.5 0 0 0";

    #[test]
    fn good_lines_are_read_and_bad_ones_named() {
        let cases: &[(&str, usize, usize, &[&str])] = &[
            ("A 1.5 1 P\nA 2.5 -0.5 S\nA 1.6 1 P", 1, 3, &[]),
            (
                "A -1.5 1 P\nB 1 1 P",
                1,
                1,
                &["travel time -1.5 s is negative: the pick lies before the origin"],
            ),
            (
                "A 1.5 1\n",
                1,
                0,
                &["a phase line has 4 values (station, travel time, weight, phase), this has 3"],
            ),
            ("A 1,5 1 P", 1, 1, &[]),
            ("A 1_5 1 P", 1, 0, &["`1_5` is not a number (travel time)"]),
            ("A 1e400 1 P", 1, 0, &["`1e400` is not a number (travel time)"]),
            ("A 1e300 1 P", 1, 0, &["travel time 1e300 s leads out of our time range"]),
            (
                "# 2019 7 4 25 2 5.42 35.7 -117.5 10 1 0 0 0 8\nA 1 1 P\nB 1 1 P",
                1,
                0,
                &["there is no clock time 25:02:5.42; 2 phase lines after it are left out"],
            ),
            (
                "# 2019 7 4 23 2 5.42 95.7 -117.5 10 1 0 0 0 8",
                1,
                0,
                &["latitude 95.7 is outside -90 .. 90; 0 phase lines after it are left out"],
            ),
            (
                "# 2019 7 4 23 2 60 35.7 -117.5 10 1 0 0 0 007\nA 1 1 P",
                1,
                0,
                &["a second event with the id 7 is left out; 1 phase lines after it are left out"],
            ),
            ("# 2019 7 4 23 2 1 35.7 -117.5 10 NaN 0 0 0 8\nA 1 1 P", 2, 1, &[]),
            ("#2019 7 4 23 2 60 35.7 -117.5 10 1 0 0 0 8\nA 1 1 P", 2, 1, &[]),
        ];
        for (text, events, picks, problems) in cases {
            let set = read_text(&format!("{HEADER} 7\n{text}"));
            assert_eq!((set.events.len(), set.picks.len()), (*events, *picks), "{text}");
            let reasons: Vec<&str> = set.problems.iter().map(|p| p.reason.as_str()).collect();
            assert_eq!(reasons, *problems, "{text}");
        }
        let set = read_text("A 1 1 P\nB 1 1 P\n");
        let want = "there is no event line before this line; 2 phase lines after it are left out";
        assert_eq!(set.problems[0].reason, want);
        assert_eq!((set.problems[0].place.as_deref(), set.problems[0].offset), (Some("line 1"), Some(0)));
    }

    #[test]
    fn content_is_recognised() {
        let good = format!("\n{HEADER} 7\nA 1 1 P\n");
        assert!(sniff(good.as_bytes()));
        for bad in
            ["#\t1\t7\t0\n B917 0.1 1 P\n", "#         1         7\n", "# comment\n1,2\n", "A 1 2\n", ""]
        {
            assert!(!sniff(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn pg_and_pn_of_one_station_are_the_earlier() {
        let pick = |phase: &str, ns: i64| PickRow {
            event_id: "5".into(),
            network: Some("XX".into()),
            station: Some("A".into()),
            phase: Some(phase.into()),
            time: Some(Time(ns)),
            ..PickRow::default()
        };
        let event = EventRow {
            event_id: "5".into(),
            number: 5,
            time: Some(Time(4_999_999)),
            latitude: Some(1.0),
            longitude: Some(2.0),
            ..EventRow::default()
        };
        let picks =
            [pick("Pg", 3_000_000_000), pick("Pn", 2_000_000_000), pick("pP", 4), pick("S", 5_000_000_000)];
        let mut bytes = Vec::new();
        let bare = EventRow { event_id: "6".into(), ..EventRow::default() };
        let count = write_phases(&mut bytes, &[event, bare], &picks).expect("write");
        assert_eq!(count, PhaseCount { events: 1, phases: 2, events_left_out: 1, picks_left_out: 2 });
        let lines = String::from_utf8(bytes).expect("text");
        let lines: Vec<&str> = lines.lines().collect();
        assert!(lines[0].starts_with("# 1970 01 01 00 00 00.00 "), "{lines:?}");
        assert_eq!(lines[1..], ["A         2.000000  1.0000 P", "A         5.000000  1.0000 S"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(times in proptest::collection::vec((0_i64..4_000_000_000, 0_i64..90_000_000), 1..8)) {
            let (mut events, mut picks) = (Vec::new(), Vec::new());
            for (i, (s, tt_us)) in times.iter().enumerate() {
                let (id, time) = ((i + 1).to_string(), Time(s * 1_000_000_000 + 120_000_000));
                picks.push(PickRow {
                    pick_id: format!("{id}/STA/P"),
                    event_id: id.clone(),
                    station: Some("STA".into()),
                    phase: Some("P".into()),
                    time: Some(Time(time.0 + tt_us * 1000)),
                    weight: Some(0.25),
                    ..PickRow::default()
                });
                events.push(EventRow {
                    event_id: id,
                    number: i as i64 + 1,
                    time: Some(time),
                    latitude: Some(-35.5),
                    longitude: Some(117.25),
                    depth_km: Some(10.5),
                    magnitude: Some(1.5),
                    magnitude_type: None,
                });
            }
            let mut bytes = Vec::new();
            write_phases(&mut bytes, &events, &picks).expect("write");
            prop_assert!(sniff(&bytes));
            let got = read(Path::new("x"), &mut bytes.as_slice()).expect("read");
            prop_assert_eq!(got, EventSet::finish(events, picks, Problems::new(Path::new("x"))));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut text = format!("{HEADER} 7\nA 1.5 1 P\n").into_bytes();
            let at = bytes.first().map_or(0, |b| usize::from(*b) % text.len());
            text.splice(at..at, bytes);
            sniff(&text);
            read(Path::new("x"), &mut text.as_slice()).expect("memory");
        }
    }

    #[test]
    fn the_real_file_is_read() {
        let Ok(root) = std::env::var("STARQUAKE_DATA") else {
            eprintln!("skipped: STARQUAKE_DATA is not set");
            return;
        };
        let path = Path::new(&root).join("MinLiu19+FDTCC/hypoDD.pha");
        let bytes = std::fs::read(&path).expect("file");
        assert!(sniff(&bytes));
        let set = read(&path, &mut bytes.as_slice()).expect("read");
        assert_eq!((set.events.len(), set.picks.len(), set.problems.len()), (2, 12, 0));
        let origins: Vec<String> = set.events.iter().filter_map(|e| e.time).map(|t| t.to_string()).collect();
        assert_eq!(origins, ["2019-07-04T17:02:55.420Z", "2019-07-04T17:09:20.200Z"]);
        assert_eq!(set.events.iter().map(|e| e.number).collect::<Vec<_>>(), [1, 7]);
        let pick = set.picks.iter().find(|p| p.pick_id == "1/B918/P").and_then(|p| p.time);
        assert_eq!(pick.map(|t| t.to_string()), Some("2019-07-04T17:03:00.085200Z".into()));
    }
}
