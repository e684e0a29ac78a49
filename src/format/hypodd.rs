//! The text files of hypoDD and its relatives. Source: Waldhauser, F. (2001), hypoDD: a program to compute
//! double-difference hypocenter locations, USGS Open-File Report 01-113, appendices A-C,
//! <https://doi.org/10.3133/ofr01113>. All are free format: words between blanks (or commas), one record a line.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Read};
use std::path::Path;

use crate::error::{Error, Result};
use crate::limits::LINE_BYTES;
use crate::model::time::{NS_PER_S, Time};

pub mod dtcc;
pub mod event;
pub mod phase;
pub mod reloc;
pub mod station;

pub use dtcc::{DtccLink, write_dtcc};
pub use phase::write_phases;
pub use station::write_stations;

/// Most characters of a station label in hypoDD files.
pub const LABEL_CHARACTERS: usize = 7;
/// hypoDD files carry origin times in steps of 0.01 s.
pub const ORIGIN_STEP_NS: i64 = 10_000_000;

/// The origin time a hypoDD file carries: the nearest 0.01 s, half up. Travel times in every hypoDD file we write
/// count from this one.
pub fn rounded_origin(origin: Time) -> Time {
    let ns = origin.0.saturating_add(ORIGIN_STEP_NS / 2);
    Time(ns.saturating_sub(ns.rem_euclid(ORIGIN_STEP_NS)))
}

/// The label of each (network, station) of an output: the station code where only one network has it, else
/// network and station together.
///
/// # Errors
/// When labels are longer than `longest` characters, or two stations get the same: all of them are listed.
pub fn station_labels<'a>(
    stations: impl Iterator<Item = (&'a str, &'a str)>,
    longest: usize,
) -> Result<BTreeMap<(&'a str, &'a str), String>> {
    let stations: BTreeSet<(&str, &str)> = stations.collect();
    let mut networks: BTreeMap<&str, usize> = BTreeMap::new();
    stations.iter().for_each(|(_, station)| *networks.entry(station).or_default() += 1);
    let label = |(network, station): (&'a str, &'a str)| match networks.get(station) {
        Some(1) => station.to_owned(),
        _ => format!("{network}{station}"),
    };
    let labels: BTreeMap<(&str, &str), String> = stations.iter().map(|s| (*s, label(*s))).collect();
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    labels.values().for_each(|label| *owners.entry(label).or_default() += 1);
    let is_bad = |label: &str| {
        let one_word = !label.is_empty() && !label.contains(|c: char| c.is_whitespace() || c.is_control());
        !one_word || label.chars().count() > longest || owners.get(label) != Some(&1)
    };
    let bad = labels.iter().filter(|(_, label)| is_bad(label));
    let bad: Vec<String> = bad.map(|((n, s), label)| format!("`{label}` ({n}.{s})")).collect();
    if bad.is_empty() {
        return Ok(labels);
    }
    let message = format!(
        "{} station labels do not fit: each must be one word of at most {longest} characters and used once: {}",
        bad.len(),
        bad.join(", ")
    );
    Err(Error::refused(message, "select the stations of one network, or rename these stations"))
}

/// One line of a text file; `text` is an error when it is too long or not UTF-8.
struct Line {
    /// Counted from 1.
    number: usize,
    /// Byte where it starts.
    offset: u64,
    text: Result<String, String>,
}

impl Line {
    fn place(&self) -> Option<String> {
        Some(format!("line {}", self.number))
    }
}

/// Reads lines of at most [`LINE_BYTES`]; longer ones are stepped over.
struct Lines<'r> {
    input: &'r mut dyn BufRead,
    number: usize,
    offset: u64,
}

impl<'r> Lines<'r> {
    fn new(input: &'r mut dyn BufRead) -> Self {
        Lines { input, number: 0, offset: 0 }
    }

    /// The next line that is not blank.
    fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let offset = self.offset;
            let mut bytes = Vec::new();
            let limit = LINE_BYTES as u64 + 1;
            let n = (&mut *self.input).take(limit).read_until(b'\n', &mut bytes)? as u64;
            if n == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.offset += n;
            let is_cut = n == limit && !bytes.ends_with(b"\n");
            if is_cut {
                self.offset += self.input.skip_until(b'\n')? as u64;
            }
            let text = match String::from_utf8(bytes) {
                _ if is_cut => Err(format!("the line is longer than {} MiB", LINE_BYTES >> 20)),
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => Ok(text),
                Err(_) => Err("the line is not UTF-8 text".to_owned()),
            };
            return Ok(Some(Line { number: self.number, offset, text }));
        }
    }
}

/// The next line as text; one that is none becomes a problem.
fn next_text(
    lines: &mut Lines<'_>,
    problems: &mut super::event::Problems,
    path: &Path,
) -> Result<Option<(Line, String)>> {
    while let Some(mut line) = lines.next().map_err(|e| Error::io("read", path, e))? {
        match std::mem::replace(&mut line.text, Ok(String::new())) {
            Ok(text) => return Ok(Some((line, text))),
            Err(reason) => problems.add(line.place(), line.offset, reason),
        }
    }
    Ok(None)
}

/// The words of a line, as a Fortran list-directed read would see them.
fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|w| !w.is_empty()).collect()
}

/// First bytes of a file as whole lines that are not blank; the last one, perhaps cut, only if it is all there is.
fn head_lines(head: &[u8]) -> Vec<&str> {
    let end = head.iter().rposition(|b| *b == b'\n').unwrap_or(head.len());
    let text = head.get(..end).and_then(|h| std::str::from_utf8(h).ok()).unwrap_or_default();
    text.lines().filter(|l| !l.trim().is_empty()).collect()
}

/// A word as a whole number, `7` or `7.0`.
fn whole(word: &str) -> Option<i64> {
    let value = super::event::number(word)?;
    (value.fract() == 0.0 && value.abs() < 1e15).then_some(value as i64)
}

/// An event's id: digits alone, written without leading zeros.
fn event_id(word: &str) -> Result<String, String> {
    let id = word.parse::<u64>().map_err(|_| format!("`{}` is not an event number", shown(word)))?;
    Ok(id.to_string())
}

/// A date and a clock time. Second 60 to 61, minute 60 and hour 24 are carried over, as rounding programs and
/// leap seconds write them, and so are negative seconds down to -60; anything else is refused.
fn clock_time(date: (i64, i64, i64), clock: (i64, i64, f64)) -> Result<Time, String> {
    let (year, month, day) = date;
    let (hour, minute, second) = clock;
    let midnight = match (i16::try_from(year), i8::try_from(month), i8::try_from(day)) {
        (Ok(y), Ok(m), Ok(d)) => Time::from_date((y, m, d), (0, 0, 0), 0),
        _ => None,
    };
    let midnight =
        midnight.ok_or_else(|| format!("there is no day {year:04}-{month:02}-{day:02} in our time range"))?;
    let is_near = second > -60.0 && second < 61.0;
    if !((0..=24).contains(&hour) && (0..=60).contains(&minute) && is_near) {
        return Err(format!("there is no clock time {hour:02}:{minute:02}:{second}"));
    }
    let whole = Time(midnight.0.saturating_add((hour * 3600 + minute * 60) * NS_PER_S));
    whole.plus_seconds(second).ok_or_else(|| "the time is outside 1677-09-21 .. 2262-04-11".to_owned())
}

/// A word for a message, cut to 40 characters.
fn shown(word: &str) -> String {
    word.chars().take(40).collect()
}

/// A number of a line by its index, named in the message when it is none.
fn field(words: &[&str], index: usize, name: &str) -> Result<f64, String> {
    let word = words.get(index).copied().unwrap_or_default();
    super::event::number(word).ok_or_else(|| format!("`{}` is not a number ({name})", shown(word)))
}

/// A number of a line by its index that may be missing: `nan` is none.
fn optional_field(words: &[&str], index: usize, name: &str) -> Result<Option<f64>, String> {
    match words.get(index) {
        Some(word) if word.eq_ignore_ascii_case("nan") => Ok(None),
        _ => field(words, index, name).map(Some),
    }
}

/// A whole number of a line by its index.
fn whole_field(words: &[&str], index: usize, name: &str) -> Result<i64, String> {
    let word = words.get(index).copied().unwrap_or_default();
    whole(word).ok_or_else(|| format!("`{}` is not a whole number ({name})", shown(word)))
}

/// Latitude and longitude of a line by the index of the first.
fn position(words: &[&str], index: usize) -> Result<(f64, f64), String> {
    let (lat, lon) = (field(words, index, "latitude")?, field(words, index + 1, "longitude")?);
    let latitude =
        super::event::latitude(lat).ok_or_else(|| format!("latitude {lat} is outside -90 .. 90"))?;
    let longitude =
        super::event::longitude(lon).ok_or_else(|| format!("longitude {lon} is outside -180 .. 360"))?;
    Ok((latitude, longitude))
}

fn write_error(error: io::Error) -> Error {
    Error::io("write", Path::new("the hypoDD output"), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_unique() {
        let label = |list: &[(&'static str, &'static str)]| {
            let labels = station_labels(list.iter().copied(), LABEL_CHARACTERS);
            labels.map(|l| l.into_values().collect::<Vec<_>>().join(" ")).map_err(|e| e.to_string())
        };
        assert_eq!(label(&[("PB", "B917"), ("CI", "CLC"), ("PB", "B917")]), Ok("CLC B917".into()));
        assert_eq!(label(&[("PB", "B917"), ("CI", "B917")]), Ok("CIB917 PBB917".into()));
        for (bad, want) in [
            (vec![("PB", "LONGNAME")], "`LONGNAME` (PB.LONGNAME)"),
            (vec![("P", "BB"), ("PB", "B"), ("PC", "B"), ("X", "PBB")], "`PBB` (PB.B), `PBB` (X.PBB)"),
            (vec![("P", "A B")], "`A B` (P.A B)"),
            (vec![("PB", "ABCDEF"), ("CI", "ABCDEF")], "`CIABCDEF` (CI.ABCDEF), `PBABCDEF` (PB.ABCDEF)"),
        ] {
            let message = label(&bad).expect_err("refused");
            assert!(message.contains(want), "{message}");
        }
    }

    #[test]
    fn origins_are_rounded_half_up() {
        for (ns, want) in
            [(0, 0), (4_999_999, 0), (5_000_000, 10_000_000), (-5_000_000, 0), (-5_000_001, -10_000_000)]
        {
            assert_eq!(rounded_origin(Time(ns)), Time(want), "{ns}");
        }
    }

    #[test]
    fn long_and_broken_lines_are_stepped_over() {
        let mut bytes = b"one\n\n  \n".to_vec();
        bytes.extend(vec![b'x'; LINE_BYTES + 5]);
        bytes.extend(b"\ntwo\xc3\x28\nthree");
        let mut input = bytes.as_slice();
        let mut lines = Lines::new(&mut input);
        let mut got = Vec::new();
        while let Some(line) = lines.next().expect("memory") {
            got.push((line.number, line.offset, line.text.is_ok()));
        }
        let after = LINE_BYTES as u64 + 14;
        assert_eq!(got, [(1, 0, true), (4, 8, false), (5, after, false), (6, after + 6, true)]);
    }

    #[test]
    fn clocks_are_carried_over_or_refused() {
        let cases = [
            ((2019, 7, 4), (17, 2, 60.0), Some("2019-07-04T17:03:00Z")),
            ((2019, 12, 31), (24, 0, 0.5), Some("2020-01-01T00:00:00.500Z")),
            ((2019, 7, 4), (17, 60, 1.25), Some("2019-07-04T18:00:01.250Z")),
            ((2019, 7, 4), (0, 0, -0.25), Some("2019-07-03T23:59:59.750Z")),
            ((2019, 7, 4), (25, 0, 0.0), None),
            ((2019, 7, 4), (0, 61, 0.0), None),
            ((2019, 7, 4), (0, 0, 99.0), None),
            ((2019, 2, 29), (0, 0, 0.0), None),
            ((85, 1, 1), (0, 0, 0.0), None),
        ];
        for (date, clock, want) in cases {
            let got = clock_time(date, clock).ok().map(|t| t.to_string());
            assert_eq!(got.as_deref(), want, "{date:?} {clock:?}");
        }
    }
}
