use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::format::waveform::{self, Record, Scan, State};
use crate::model::time::Time;

mod sha256;

/// The real data, or `None` with a line that says so.
fn data_root() -> Option<PathBuf> {
    let root = std::env::var_os("STARQUAKE_DATA").map(PathBuf::from);
    if root.is_none() {
        eprintln!("skipped: STARQUAKE_DATA is not set");
    }
    root
}

fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

fn files_under(root: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_under(&path, found) } else { found.push(path) }
    }
}

/// Segments of one file as `id start npts rate`, sorted.
fn described(scan: &Scan) -> Vec<String> {
    let mut lines: Vec<String> = assemble(scan)
        .iter()
        .map(|s| {
            let id = &scan.streams[s.stream as usize].source_id;
            format!("{id} {} {} {:?}", s.start.0, s.npts, s.sampling_rate)
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn segments_equal_those_of_libmseed() {
    let Some(root) = data_root() else { return };
    let mut truth: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows(&root.join("truth/waveforms_libmseed.csv")) {
        let line = format!(
            "{} {} {} {}",
            row["sourceid"], row["start_ns"], row["samplecnt"], row["samprate"]
        );
        truth.entry(row["file"].clone()).or_default().push(line);
    }
    for (file, mut want) in truth {
        want.sort();
        let scan = waveform::scan(&root.join(&file)).unwrap();
        assert_eq!(described(&scan), want, "{file}");
        assert_eq!((scan.state, scan.reason), (State::Ok, None), "{file}");
    }
}

/// ObsPy joins the records of a trace in time; so does `read` when it is asked for those of a segment.
#[test]
fn samples_equal_those_of_obspy() {
    let Some(root) = data_root() else { return };
    let mut checked = 0;
    for row in rows(&root.join("truth/waveforms_obspy.csv")) {
        let Some((want, dtype)) = row["data_sha256_16:dtype"].split_once(':') else { continue };
        let file = root.join(&row["file"]);
        let scan = waveform::scan(&file).unwrap();
        let start: i64 = row["start_ns"].parse().unwrap();
        let segments = assemble(&scan);
        let found = segments.iter().find(|s| {
            let code = &scan.streams[s.stream as usize].code;
            let same_code = row["format"] != "MSEED" || code.to_string() == row["id"];
            same_code && (s.start.0 - start).abs() <= 1000 && s.npts.to_string() == row["npts"]
        });
        let segment = found.unwrap_or_else(|| panic!("no segment of {row:?} in {segments:?}"));
        let records: Vec<Record> = segment.records.iter().map(|&i| scan.records[i as usize]).collect();
        let mut bytes = Vec::new();
        for record in &records {
            let piece = waveform::read_samples(&file, record, 0, record.npts).unwrap();
            assert!(piece.integrity_ok, "{file:?} at {}", record.offset);
            for sample in piece.samples {
                match dtype {
                    "int32" => bytes.extend_from_slice(&(sample as i32).to_le_bytes()),
                    "float32" => bytes.extend_from_slice(&(sample as f32).to_le_bytes()),
                    _ => bytes.extend_from_slice(&sample.to_le_bytes()),
                }
            }
        }
        assert_eq!(sha256::hex16(&bytes), want, "{row:?}");
        checked += 1;
    }
    eprintln!("{checked} traces");
    assert!(checked > 60);
}

#[test]
fn every_file_of_the_tree_has_a_state() {
    let Some(root) = data_root() else { return };
    let mut opened: Vec<String> = rows(&root.join("truth/readers.csv"))
        .into_iter()
        .filter(|r| r["status"] == "ok" && matches!(r["reader"].as_str(), "libmseed3" | "obspy.read"))
        .map(|r| r["file"].clone())
        .collect();
    opened.sort();
    let mut files = Vec::new();
    files_under(&root, &mut files);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let scan = waveform::scan(&file).unwrap();
        let readable = matches!(scan.state, State::Ok | State::NoTime) && !scan.records.is_empty();
        let ours = name.starts_with("MinLiu19+FDTCC/waveforms/");
        if opened.binary_search(&name).is_ok() || ours {
            assert!(readable, "{name}: {scan:?}");
        } else {
            let reason = scan.reason.is_some() && scan.bad_offset.is_some();
            assert!(scan.state == State::Other || (scan.state == State::Unreadable && reason), "{name}: {scan:?}");
            if scan.state != State::Other || scan.reason.is_some() {
                eprintln!("{name}: {} {:?} at {:?}", scan.state.name(), scan.reason, scan.bad_offset);
            }
        }
        *counts.entry(scan.state.name()).or_default() += 1;
    }
    eprintln!("{counts:?}");
}
