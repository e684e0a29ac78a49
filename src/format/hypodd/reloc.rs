//! Catalogues that hypoDD writes (`hypoDD.reloc`, `hypoDD.loc`): a line `id lat lon depth x y z ex ey ez yr mo dy hr
//! mi sc mag ..` an event. Open-File Report 01-113, appendix B.

use std::io::BufRead;
use std::path::Path;

use super::event::read_list;
use super::{clock_time, event_id, field, head_lines, optional_field, position, whole_field, words};
use crate::error::Result;
use crate::format::event::{EventRow, EventSet};

/// Words that are used of a line; what follows are counts and residuals.
const WORDS: usize = 17;
/// Words of a line of `hypoDD.loc` and of `hypoDD.reloc`.
const LINE_WORDS: [usize; 2] = [18, 24];

/// Are the first lines those of such a catalogue?
pub fn sniff(head: &[u8]) -> bool {
    let lines = head_lines(head);
    let fits = |l: &&str| LINE_WORDS.contains(&words(l).len()) && read_line(&words(l)).is_ok();
    !lines.is_empty() && lines.iter().take(5).all(fits)
}

/// Reads a catalogue of hypoDD; a bad line is a problem, and so is an id that was used before. No picks are in it.
///
/// # Errors
/// Only when `input` itself cannot be read.
pub fn read(path: &Path, input: &mut dyn BufRead) -> Result<EventSet> {
    read_list(path, input, read_line)
}

fn read_line(words: &[&str]) -> Result<EventRow, String> {
    if words.len() < WORDS {
        let n = words.len();
        return Err(format!("an event line has 18 or 24 values (id lat lon depth .. mag ..), this has {n}"));
    }
    let (latitude, longitude) = position(words, 1)?;
    let date =
        (whole_field(words, 10, "year")?, whole_field(words, 11, "month")?, whole_field(words, 12, "day")?);
    let clock =
        (whole_field(words, 13, "hour")?, whole_field(words, 14, "minute")?, field(words, 15, "second")?);
    Ok(EventRow {
        event_id: event_id(words.first().copied().unwrap_or_default())?,
        number: 0,
        time: Some(clock_time(date, clock)?),
        latitude: Some(latitude),
        longitude: Some(longitude),
        depth_km: optional_field(words, 3, "depth")?,
        magnitude: optional_field(words, 16, "magnitude")?,
        magnitude_type: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_or_named() {
        let tail = "-12.1 300.4 20.5 10.0 11.0 12.0 2019 7 4 17 2 55.430 0.7 10 8 50 40 0.004 0.120 1";
        let text =
            format!("1 35.709123 -117.505788 10.451 {tail}\n7 35.7 -117.5 NaN {tail}\n8 35.7 -117.5\n");
        let set = read(Path::new("x"), &mut text.as_bytes()).expect("memory");
        let got: Vec<_> =
            set.events.iter().map(|e| (e.number, e.latitude, e.depth_km, e.magnitude)).collect();
        assert_eq!(got, [(1, Some(35.709123), Some(10.451), Some(0.7)), (7, Some(35.7), None, Some(0.7))]);
        let time = set.events.first().and_then(|e| e.time).map(|t| t.to_string());
        assert_eq!(time.as_deref(), Some("2019-07-04T17:02:55.430Z"));
        let lines: Vec<&str> = set.problems.iter().filter_map(|p| p.place.as_deref()).collect();
        assert_eq!(lines, ["line 3"]);
        assert!(
            sniff(format!("1 35.7 -117.5 10.4 {tail}\n").as_bytes()) && !sniff(b"1 2 3\n") && !sniff(b"")
        );
    }
}
