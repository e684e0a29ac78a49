//! Station lists: hypoDD's `station.dat` (`label lat lon [elevation in m]`, angles in degrees or as
//! `degrees:minutes:seconds`) and the layout of REAL and FDTCC (`lon lat net sta cha elevation in km`;
//! Zhang, Ellsworth and Beroza, 2019, <https://doi.org/10.1785/0220190052>), told apart by content.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, Write};
use std::path::Path;

use super::{LABEL_CHARACTERS, Lines, head_lines, next_text, shown, station_labels, words, write_error};
use crate::error::Result;
use crate::format::event::{Problems, StationRow, StationSet, latitude, longitude, number};

/// Longest station label that [`sniff`] believes in.
const SNIFFED_LABEL_CHARACTERS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    HypoDd,
    Real,
}

/// Are the first lines those of one of the two layouts?
pub fn sniff(head: &[u8]) -> bool {
    let lines = head_lines(head);
    let first: Vec<Vec<&str>> = lines.iter().take(5).map(|l| words(l)).collect();
    let is_hypodd = |w: &Vec<&str>| {
        let is_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let label = w.first().copied().unwrap_or_default();
        let fits = label.len() <= SNIFFED_LABEL_CHARACTERS && label.chars().all(is_code);
        fits && (3..=5).contains(&w.len())
            && w.iter().skip(1).all(|v| angle(v).is_some())
            && read_line(Layout::HypoDd, w).is_ok()
    };
    let is_named =
        first.iter().any(|w| w.first().is_some_and(|l| l.contains(|c: char| c.is_ascii_alphabetic())));
    !first.is_empty()
        && (first.iter().all(|w| is_real(w))
            || (is_named && first.iter().all(is_hypodd) && !head.contains(&b',')))
}

/// Six words: two numbers, three codes of which one is none, a number.
fn is_real(words: &[&str]) -> bool {
    let is_code = |i: usize| words.get(i).is_some_and(|w| number(w).is_none());
    words.len() == 6 && (is_code(2) || is_code(3) || is_code(4)) && read_line(Layout::Real, words).is_ok()
}

/// Reads a station list in the layout of its first line that fits one. A bad line, and a station (or channel) that
/// was there before, are problems.
///
/// # Errors
/// Only when `input` itself cannot be read.
pub fn read(path: &Path, input: &mut dyn BufRead) -> Result<StationSet> {
    let (mut lines, mut problems) = (Lines::new(input), Problems::new(path));
    let (mut stations, mut seen) = (Vec::new(), HashSet::new());
    let mut layout = None;
    while let Some((line, text)) = next_text(&mut lines, &mut problems, path)? {
        let words = words(&text);
        let used = layout.unwrap_or(if is_real(&words) { Layout::Real } else { Layout::HypoDd });
        match read_line(used, &words) {
            Ok(station) => {
                layout = Some(used);
                let code = (station.network.clone(), station.station.clone(), station.channel.clone());
                if seen.insert(code) {
                    stations.push(station);
                } else {
                    let reason = format!("a second line for station `{}` is left out", station.station);
                    problems.add(line.place(), line.offset, reason);
                }
            }
            Err(reason) => problems.add(line.place(), line.offset, reason),
        }
    }
    Ok(StationSet::finish(stations, problems))
}

fn read_line(layout: Layout, words: &[&str]) -> Result<StationRow, String> {
    match (layout, words) {
        (Layout::HypoDd, [label, lat, lon, rest @ ..]) => {
            let (latitude, longitude) = position(lat, lon)?;
            let elevation = match rest.first() {
                Some(word) => Some(value(word, "elevation in m")?),
                None => None,
            };
            Ok(StationRow {
                station: (*label).to_owned(),
                latitude: Some(latitude),
                longitude: Some(longitude),
                elevation_m: elevation,
                ..StationRow::default()
            })
        }
        (Layout::Real, [lon, lat, network, station, channel, elevation, ..]) => {
            let (latitude, longitude) = position(lat, lon)?;
            // Rounded to 1 um: 0.6762 km is 676.2 m, not 676.1999999999999.
            let elevation_m = (value(elevation, "elevation in km")? * 1e9).round() / 1e6;
            Ok(StationRow {
                network: Some((*network).to_owned()),
                station: (*station).to_owned(),
                channel: (*channel).to_owned(),
                latitude: Some(latitude),
                longitude: Some(longitude),
                elevation_m: Some(elevation_m),
                ..StationRow::default()
            })
        }
        (Layout::HypoDd, _) => {
            Err(format!("expected `label lat lon [elevation_m]`, found {} words", words.len()))
        }
        (Layout::Real, _) => {
            Err(format!("expected `lon lat net sta cha elevation_km`, found {} words", words.len()))
        }
    }
}

fn value(word: &str, name: &str) -> Result<f64, String> {
    number(word).ok_or_else(|| format!("`{}` is not a number ({name})", shown(word)))
}

fn position(lat: &str, lon: &str) -> Result<(f64, f64), String> {
    let bad = |word: &str, name: &str| format!("`{}` is not a {name}", shown(word));
    let latitude = angle(lat).and_then(latitude).ok_or_else(|| bad(lat, "latitude"))?;
    let longitude = angle(lon).and_then(longitude).ok_or_else(|| bad(lon, "longitude"))?;
    Ok((latitude, longitude))
}

/// Degrees from `-117.5`, `-117:30` or `-117:30:00.0`; the sign is that of the whole.
fn angle(word: &str) -> Option<f64> {
    let mut parts = word.split(':');
    let degrees = number(parts.next()?)?;
    let mut sixtieth = |unit: f64| match parts.next() {
        Some(part) => number(part).filter(|v| (0.0..60.0).contains(v)).map(|v| v / unit),
        None => Some(0.0),
    };
    let rest = sixtieth(60.0)? + sixtieth(3600.0)?;
    if parts.next().is_some() {
        return None;
    }
    if rest == 0.0 {
        return Some(degrees);
    }
    Some(if word.starts_with('-') { degrees - rest } else { degrees + rest })
}

/// Writes `station.dat`: a line `label lat lon elevation` a station, sorted by network and station. Of several rows
/// of a station the latest epoch counts; stations without position are left out. Returns (written, left out).
///
/// # Errors
/// Labels that do not fit ([`station_labels`]); `out` cannot be written.
pub fn write_stations(out: &mut dyn Write, stations: &[StationRow]) -> Result<(usize, usize)> {
    let mut latest: BTreeMap<(&str, &str), &StationRow> = BTreeMap::new();
    for row in stations {
        let entry = latest.entry((row.network.as_deref().unwrap_or_default(), &row.station)).or_insert(row);
        if row.starttime > entry.starttime {
            *entry = row;
        }
    }
    let labels = station_labels(latest.keys().copied(), LABEL_CHARACTERS)?;
    let mut written = 0;
    for (code, row) in &latest {
        let (Some(label), Some(lat), Some(lon)) = (labels.get(code), row.latitude, row.longitude) else {
            continue;
        };
        let elevation = row.elevation_m.unwrap_or(0.0);
        writeln!(out, "{label:<7} {lat:10.6} {lon:11.6} {elevation:7.1}").map_err(write_error)?;
        written += 1;
    }
    Ok((written, latest.len() - written))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> StationSet {
        read(Path::new("x"), &mut text.as_bytes()).expect("memory can be read")
    }

    #[test]
    fn both_layouts_are_read() {
        let cases = [
            ("B917 35.4053 -117.2588", "B917", Some(35.4053), Some(-117.2588), None),
            ("B917 35.4053 242.75 1192.5 extra", "B917", Some(35.4053), Some(-117.25), Some(1192.5)),
            ("917 35:30 -117:15:36 12", "917", Some(35.5), Some(-117.26), Some(12.0)),
            ("-117.2588 35.4053 PB B917 EHZ 0.6762", "B917", Some(35.4053), Some(-117.2588), Some(676.2)),
            ("-117.2588 35.4053 1 917 EHZ -0.037", "917", Some(35.4053), Some(-117.2588), Some(-37.0)),
        ];
        for (text, station, lat, lon, elevation) in cases {
            let set = read_text(text);
            let got: Vec<_> = set
                .stations
                .iter()
                .map(|s| (s.station.as_str(), s.latitude, s.longitude, s.elevation_m))
                .collect();
            assert_eq!(got, [(station, lat, lon, elevation)], "{text}: {:?}", set.problems);
        }
    }

    #[test]
    fn bad_lines_are_named() {
        let text = "A 1 2\nB 95 2\nC 1 nan\nD\nA 3 4\nE 1 2 high\nF 1:70 2\nG 5 6\n";
        let set = read_text(text);
        let stations: Vec<&str> = set.stations.iter().map(|s| s.station.as_str()).collect();
        assert_eq!(stations, ["A", "G"]);
        let got: Vec<(Option<u64>, &str)> =
            set.problems.iter().map(|p| (p.offset, p.reason.as_str())).collect();
        let want = [
            (Some(6), "`95` is not a latitude"),
            (Some(13), "`nan` is not a longitude"),
            (Some(21), "expected `label lat lon [elevation_m]`, found 1 words"),
            (Some(23), "a second line for station `A` is left out"),
            (Some(29), "`high` is not a number (elevation in m)"),
            (Some(40), "`1:70` is not a latitude"),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn content_is_recognised() {
        let cases = [
            ("B917 35.4 -117.2\nCLC 35.8 -117.6 775\n", true),
            ("-117.4 34.5 CI ADO HHZ 0.908\n", true),
            ("B921 5.345 5.182 1.0000 S\n", false),
            ("1 2 3\n4 5 6\n", false),
            ("a,1,2\n", false),
            ("# 2019 7 4\n", false),
            ("", false),
        ];
        for (text, want) in cases {
            assert_eq!(sniff(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let rows = read_text("A 1.5 2.25 100\nB -33.25 179.5 -12.5\n").stations;
        let mut bytes = Vec::new();
        let bare = StationRow { station: "C".into(), ..StationRow::default() };
        let with_bare: Vec<StationRow> = rows.iter().cloned().chain([bare]).collect();
        assert_eq!(write_stations(&mut bytes, &with_bare).expect("write"), (2, 1));
        assert_eq!(read(Path::new("x"), &mut bytes.as_slice()).expect("read").stations, rows);
    }

    #[test]
    fn the_real_file_is_read() {
        let Ok(root) = std::env::var("STARQUAKE_DATA") else {
            eprintln!("skipped: STARQUAKE_DATA is not set");
            return;
        };
        let path = Path::new(&root).join("MinLiu19+FDTCC/station.dat");
        let bytes = std::fs::read(&path).expect("file");
        assert!(sniff(&bytes));
        let set = read(&path, &mut bytes.as_slice()).expect("read");
        assert_eq!((set.stations.len(), set.problems.len()), (49, 0));
        let pb = set.stations.iter().find(|s| s.station == "B917").expect("B917");
        assert_eq!(
            (pb.network.as_deref(), pb.channel.as_str(), pb.elevation_m),
            (Some("PB"), "EHZ", Some(1192.0))
        );
        assert_eq!((pb.latitude, pb.longitude), (Some(35.4053), Some(-117.2588)));
    }
}
