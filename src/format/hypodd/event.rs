//! Event lists (`event.dat`, `event.sel`): a line `yyyymmdd hhmmsscc lat lon dep mag eh ez rms id` an event,
//! cc in 0.01 s. Open-File Report 01-113, appendix A.

use std::collections::HashSet;
use std::io::BufRead;
use std::path::Path;

use super::{
    Lines, clock_time, event_id, head_lines, next_text, optional_field, position, whole_field, words,
};
use crate::error::Result;
use crate::format::event::{EventRow, EventSet, Problems};

/// Words of a line.
const WORDS: usize = 10;

/// Are the first lines those of an event list?
pub fn sniff(head: &[u8]) -> bool {
    let lines = head_lines(head);
    !lines.is_empty() && lines.iter().take(5).all(|l| words(l).len() == WORDS && read_line(&words(l)).is_ok())
}

/// Reads an event list; a bad line is a problem, and so is an id that was used before. There are no picks in it.
///
/// # Errors
/// Only when `input` itself cannot be read.
pub fn read(path: &Path, input: &mut dyn BufRead) -> Result<EventSet> {
    read_list(path, input, read_line)
}

/// Reads one event a line as `read_line` understands it.
pub(super) fn read_list(
    path: &Path,
    input: &mut dyn BufRead,
    read_line: fn(&[&str]) -> Result<EventRow, String>,
) -> Result<EventSet> {
    let (mut lines, mut problems) = (Lines::new(input), Problems::new(path));
    let (mut events, mut ids) = (Vec::new(), HashSet::new());
    while let Some((line, text)) = next_text(&mut lines, &mut problems, path)? {
        match read_line(&words(&text)) {
            Ok(event) if ids.insert(event.event_id.clone()) => events.push(event),
            Ok(event) => {
                let reason = format!("a second event with the id {} is left out", event.event_id);
                problems.add(line.place(), line.offset, reason);
            }
            Err(reason) => problems.add(line.place(), line.offset, reason),
        }
    }
    Ok(EventSet::finish(events, Vec::new(), problems))
}

fn read_line(words: &[&str]) -> Result<EventRow, String> {
    if words.len() < WORDS {
        let n = words.len();
        return Err(format!(
            "an event line has 10 values (date time lat lon dep mag eh ez rms id), this has {n}"
        ));
    }
    let (date, clock) = (whole_field(words, 0, "date")?, whole_field(words, 1, "time")?);
    if date < 0 || clock < 0 {
        return Err("date and time cannot be negative".to_owned());
    }
    let (latitude, longitude) = position(words, 2)?;
    let date = (date / 10_000, date / 100 % 100, date % 100);
    let clock = (clock / 1_000_000, clock / 10_000 % 100, (clock % 10_000) as f64 / 100.0);
    Ok(EventRow {
        event_id: event_id(words.get(9).copied().unwrap_or_default())?,
        number: 0,
        time: Some(clock_time(date, clock)?),
        latitude: Some(latitude),
        longitude: Some(longitude),
        depth_km: optional_field(words, 4, "depth")?,
        magnitude: optional_field(words, 5, "magnitude")?,
        magnitude_type: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_or_named() {
        let text = "20190704  17025542  35.7091  -117.5057  10.450  0.5  0 0 0  1
20190704   3040512  35.7091  -117.5057  10.450  0.5  0 0 0  2
20190704   3046000  35.7091  -117.5057  10.450  0.5  0 0 0  3
20190704   3040512  35.7091  -117.5057  10.450  0.5  0 0 0  3
20190732   3040512  35.7091  -117.5057  10.450  0.5  0 0 0  4
20190704 17\n";
        let set = read(Path::new("x"), &mut text.as_bytes()).expect("memory");
        let got: Vec<String> = set.events.iter().filter_map(|e| e.time).map(|t| t.to_string()).collect();
        let want = ["2019-07-04T03:04:05.120Z", "2019-07-04T03:05:00Z", "2019-07-04T17:02:55.420Z"];
        assert_eq!(got, want);
        let lines: Vec<&str> = set.problems.iter().filter_map(|p| p.place.as_deref()).collect();
        assert_eq!(lines, ["line 4", "line 5", "line 6"]);
        assert!(
            sniff(text.lines().next().unwrap_or("").as_bytes())
                && !sniff(b"B917 35.4 -117.2\n")
                && !sniff(b"")
        );
    }
}
