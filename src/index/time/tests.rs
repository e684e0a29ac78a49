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
        let line =
            format!("{} {} {} {}", row["sourceid"], row["start_ns"], row["samplecnt"], row["samprate"]);
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
            // of three records with broken chains the last says all that is needed before it breaks
            let is_partly = scan.state == State::Partly && name.ends_with("invalid-blockette-offsets.mseed2");
            assert!(
                scan.state == State::Other || ((scan.state == State::Unreadable || is_partly) && reason),
                "{name}: {scan:?}"
            );
            if scan.state != State::Other || scan.reason.is_some() {
                eprintln!("{name}: {} {:?} at {:?}", scan.state.name(), scan.reason, scan.bad_offset);
            }
        }
        *counts.entry(scan.state.name()).or_default() += 1;
    }
    eprintln!("{counts:?}");
}

mod generated {
    use proptest::prelude::*;

    use super::*;
    use crate::format::waveform::{Encoding, Stream, sample_time};
    use crate::model::time::Time;

    fn scan_of(records: Vec<Record>) -> Scan {
        let streams =
            (0..3).map(|i| Stream { source_id: format!("FDSN:XX_S{i}__B_H_Z"), ..Stream::default() });
        Scan { streams: streams.collect(), records, ..Scan::default() }
    }

    fn record(stream: u32, start: Time, npts: u32, sampling_rate: f64) -> Record {
        Record { stream, start, npts, sampling_rate, length: 512, data_offset: 64, ..Record::default() }
    }

    /// Records of one continuous run, `count` samples each.
    fn run(start: Time, count: u32, rate: f64, records: u32) -> Vec<Record> {
        (0..records).map(|i| record(0, sample_time(start, u64::from(i * count), rate), count, rate)).collect()
    }

    fn numbered(mut records: Vec<Record>) -> Vec<Record> {
        records.iter_mut().enumerate().for_each(|(i, r)| r.offset = 512 * i as u64);
        records
    }

    #[test]
    fn tolerances_are_half_a_sample_and_a_ten_thousandth_of_the_rate() {
        let due = 10_000_000_000;
        let cases = [
            (due, 100.0, 1),
            (due + 5_000_000, 100.0, 1),
            (due + 5_000_001, 100.0, 2),
            (due - 5_000_000, 100.0, 1),
            (due - 5_000_001, 100.0, 2),
            (due, 100.009, 1),
            (due, 100.011, 2),
            (due, 0.0, 2),
        ];
        for (start, rate, want) in cases {
            let scan = scan_of(vec![record(0, Time(0), 1000, 100.0), record(0, Time(start), 10, rate)]);
            assert_eq!(assemble(&scan).len(), want, "{start} {rate}");
        }
    }

    proptest! {
        #[test]
        fn order_does_not_matter(
            seed in any::<u64>(),
            lengths in prop::collection::vec((1..40_u32, 1..500_u32, 2..90_i64), 1..8),
        ) {
            let mut records = Vec::new();
            let mut at = Time(1_500_000_000_000_000_000);
            let mut want = Vec::new();
            for (count, npts, pause) in lengths {
                let part = run(at, npts, 20.0, count);
                want.push((at, u64::from(count * npts)));
                at = Time(sample_time(at, u64::from(count * npts), 20.0).0 + pause * 50_000_000);
                records.extend(part);
            }
            let mut state = seed | 1;
            for i in (1..records.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                records.swap(i, (state >> 33) as usize % (i + 1));
            }
            let scan = scan_of(numbered(records));
            let segments = assemble(&scan);
            let got: Vec<_> = segments.iter().map(|s| (s.start, s.npts)).collect();
            prop_assert_eq!(got, want);
            for segment in &segments {
                let starts: Vec<Time> = segment.records.iter().map(|&i| scan.records[i as usize].start).collect();
                prop_assert!(starts.is_sorted());
                prop_assert_eq!(segment.end, sample_time(segment.start, segment.npts, 20.0));
                prop_assert!(segment.drift_s.abs() < 1e-6);
            }
        }

        #[test]
        fn maps_give_back_their_records(
            fields in prop::collection::vec((any::<i32>(), any::<u32>(), 0..4_usize, any::<u16>(), any::<u8>(), any::<bool>()), 0..1500),
            from in 0..4_000_000_000_i64, width in 0..4_000_000_000_i64,
        ) {
            let records: Vec<Record> = fields.iter().enumerate().map(|(i, f)| Record {
                offset: u64::from(f.1) * 512,
                length: 512 << (i % 3),
                data_offset: 64,
                stream: f.1 % 5,
                start: Time(i64::from(f.0)),
                npts: f.1 % 1000,
                sampling_rate: [0.0, 100.0, 0.1, 1.0 / 3.0][f.2],
                encoding: Encoding(f.4),
                data_little_endian: f.5,
                quality: f.4,
                publication_version: f.4 ^ 3,
                flags: f.3,
            }).collect();
            let map = encode_records(&records).unwrap();
            let all = (Time(i64::MIN), Time(i64::MAX));
            prop_assert_eq!(decode_records(&map, all).unwrap(), records.clone());
            let span = (Time(from - 2_000_000_000), Time(from - 2_000_000_000 + width));
            let end = |r: &Record| sample_time(r.start, u64::from(r.npts), r.sampling_rate);
            let want: Vec<Record> = records
                .into_iter()
                .filter(|r| r.start < span.1 && (end(r) > span.0 || (end(r) == r.start && r.start == span.0)))
                .collect();
            prop_assert_eq!(decode_records(&map, span).unwrap(), want);
        }

        #[test]
        fn damaged_maps_are_errors_or_other_records(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let good = encode_records(&numbered(run(Time(0), 400, 100.0, 1100))).unwrap();
            let mut bad = good.clone();
            for (at, value) in changes {
                let at = at.index(bad.len());
                bad[at] = value;
            }
            let all = (Time(i64::MIN), Time(i64::MAX));
            if let Ok(records) = decode_records(&bad, all) {
                prop_assert!(records.len() <= 512 * 3 + 65_535);
            }
            let cut = cut.index(good.len());
            prop_assert!(decode_records(&good[..cut], all).is_err());
        }

        #[test]
        fn gaps_and_coverage_add_up(
            parts in prop::collection::vec((0..1000_i64, 1..60_i64), 0..20),
            from in -20..500_i64, width in 1..700_i64, bin in 1..90_i64,
        ) {
            let second = 1_000_000_000_i64;
            let mut intervals: Vec<Interval> = parts.iter().map(|&(s, d)| Interval {
                start: Time(s * second), end: Time((s + d) * second), sampling_rate: 1.0, drift_s: 0.0,
            }).collect();
            intervals.sort_by_key(|i| i.start);
            let during = (Time(from * second), Time((from + width) * second));
            let covered = |s: i64| intervals.iter().filter(|i| i.start.0 <= s * second && s * second < i.end.0).count();
            // brute force: runs of uncovered seconds
            let mut want: Vec<(i64, i64)> = Vec::new();
            for s in from..from + width {
                if covered(s) == 0 {
                    match want.last_mut() {
                        Some(run) if run.1 == s => run.1 = s + 1,
                        _ => want.push((s, s + 1)),
                    }
                }
            }
            let found = gaps(&intervals, 0.5, Some(during));
            let got: Vec<(i64, i64)> = found.iter().map(|g| (g.start.0 / second, g.end.0 / second)).collect();
            prop_assert_eq!(got, want.clone());
            let bins = coverage(&intervals, bin * second, 0.5, Some(during), 100_000);
            for b in bins {
                let first = b.start.0.div_euclid(second);
                let inside = (first.max(from)..(first + bin).min(from + width)).collect::<Vec<_>>();
                let any = inside.iter().filter(|&&s| covered(s) > 0).count() as f64 / bin as f64;
                let more: usize = inside.iter().map(|&s| covered(s).saturating_sub(1)).sum();
                prop_assert!((b.fraction - any).abs() < 1e-9);
                prop_assert!((b.overlap - more as f64 / bin as f64).abs() < 1e-9);
                let touching = want.iter().filter(|w| w.0 < first + bin && w.1 > first).count();
                prop_assert_eq!(b.n_gaps as usize, touching);
            }
        }
    }

    #[test]
    fn midnight_rates_of_zero_and_tolerance() {
        let at = |text: &str| Time::parse(text).unwrap();
        let interval = |from: &str, to: &str, rate: f64| Interval {
            start: at(from),
            end: at(to),
            sampling_rate: rate,
            drift_s: 0.0,
        };
        let day1 = interval("2024-01-01", "2024-01-02", 100.0);
        let day2 = interval("2024-01-02T00:00:00.004", "2024-01-03", 100.0);
        assert_eq!(gaps(&[day1, day2], 0.5, None), []);
        assert_eq!(gaps(&[day1, day2], 0.3, None).len(), 1);
        let log = interval("2024-01-05", "2024-01-05", 0.0);
        assert_eq!(gaps(&[day1, day2, log], 0.5, None), []);
        let whole = (at("2024-01-01"), at("2024-01-04"));
        let end = gaps(&[day1, day2, log], 0.5, Some(whole));
        let want = Gap {
            start: day2.end,
            end: whole.1,
            samples: 8_640_000.0,
            sampling_rate: 100.0,
            is_drift: false,
        };
        assert_eq!(end, [want]);
        let none = Gap { start: whole.0, end: whole.1, samples: 0.0, sampling_rate: 0.0, is_drift: false };
        assert_eq!(gaps(&[log], 0.5, Some(whole)), [none]);
        assert_eq!(gaps(&[], 0.5, None), []);
        assert_eq!(coverage(&[day1], 1, 0.5, None, 1000), [], "too many bins");
    }

    #[test]
    fn a_leap_second_is_no_gap_and_no_overlap() {
        let at = |text: &str| Time::parse(text).unwrap();
        let start = at("2016-12-31T23:59:58");
        // 400 samples at 100 Hz through 23:59:60: the next record starts 3 s later on the clock
        let told = vec![record(0, start, 400, 100.0), record(0, at("2017-01-01T00:00:01"), 400, 100.0)];
        let untold = vec![record(0, start, 400, 100.0), record(0, at("2017-01-01T00:00:02"), 400, 100.0)];
        for (records, end) in [(told, "2017-01-01T00:00:05"), (untold, "2017-01-01T00:00:06")] {
            let segments = assemble(&scan_of(numbered(records)));
            assert_eq!((segments.len(), segments[0].npts, segments[0].end), (1, 800, at(end)));
        }
        let alone = assemble(&scan_of(vec![record(0, start, 400, 100.0)]));
        assert_eq!(alone[0].end, at("2017-01-01T00:00:01"));
    }

    #[test]
    fn a_record_without_samples_takes_no_time() {
        let mut records = run(Time(0), 100, 10.0, 3);
        records.insert(1, record(0, records[1].start, 0, 10.0));
        let segments = assemble(&scan_of(numbered(records)));
        assert_eq!(segments.iter().map(|s| s.npts).collect::<Vec<_>>(), [300]);
    }

    #[test]
    fn copies_stay_visible() {
        let mut records = run(Time(0), 100, 10.0, 50);
        records.extend(records.clone());
        let segments = assemble(&scan_of(numbered(records)));
        let got: Vec<_> = segments.iter().map(|s| (s.start, s.npts, s.records.len())).collect();
        assert_eq!(got, [(Time(0), 5000, 50), (Time(0), 5000, 50)]);
    }

    #[test]
    fn many_copies_and_many_gaps_stay_fast() {
        let same = vec![record(0, Time(0), 100, 10.0); 20_000];
        let next = vec![record(0, Time(10_000_000_000), 100, 10.0); 20_000];
        let apart = (0..20_000).rev().map(|i| record(1, Time(i * 11_000_000_000), 100, 10.0));
        let scan = scan_of(numbered(same.into_iter().chain(next).chain(apart).collect()));
        let segments = assemble(&scan);
        assert_eq!(segments.iter().filter(|s| s.stream == 0).map(|s| s.npts).sum::<u64>(), 4_000_000);
        assert_eq!(segments.iter().filter(|s| s.stream == 1).count(), 20_000);
    }
}

/// The aim is 2.5 bytes a record for Steim data of a station.
#[test]
fn record_maps_are_small() {
    let Some(root) = data_root() else { return };
    let file = root.join("EarthScope+pymseed/tests/data/testdata-COLA-signal.mseed2");
    let scan = waveform::scan(&file).unwrap();
    let mut bytes = 0;
    for segment in assemble(&scan) {
        let records: Vec<Record> = segment.records.iter().map(|&i| scan.records[i as usize]).collect();
        bytes += encode_records(&records).unwrap().len();
    }
    let per_record = bytes as f64 / scan.records.len() as f64;
    eprintln!("{per_record:.2} bytes a record");
    assert!(per_record < 2.5, "{per_record}");
}

#[test]
fn small_steps_of_one_sign_add_up_to_a_drift() {
    let at = |s: f64| Time((s * 1e9).round() as i64);
    // start, end, drift inside, in s at 10 Hz
    let line = |parts: &[(f64, f64, f64)]| -> Vec<Interval> {
        let interval = |&(start, end, drift_s): &(f64, f64, f64)| Interval {
            start: at(start),
            end: at(end),
            sampling_rate: 10.0,
            drift_s,
        };
        parts.iter().map(interval).collect()
    };
    type Case = (&'static str, Vec<Interval>, Vec<(f64, f64, f64)>);
    let cases: [Case; 6] = [
        (
            "late",
            line(&[(0.0, 100.0, 0.0), (100.04, 200.04, 0.0), (200.08, 300.08, 0.0), (300.12, 400.12, 0.0)]),
            vec![(300.0, 300.12, 1.2)],
        ),
        (
            "early",
            line(&[(0.0, 100.0, 0.0), (99.96, 199.96, 0.0), (199.92, 299.92, 0.0), (299.88, 399.88, 0.0)]),
            vec![(299.88, 300.0, -1.2)],
        ),
        ("inside", line(&[(0.0, 100.0, 0.15)]), vec![(99.85, 100.0, 1.5)]),
        ("inside and between", line(&[(0.0, 100.0, 0.08), (100.04, 200.0, 0.0)]), vec![(99.92, 100.04, 1.2)]),
        ("a gap ends the sum", line(&[(0.0, 100.0, 0.08), (101.0, 200.0, 0.04)]), vec![]),
        (
            "a copy inside counts nothing",
            line(&[(0.0, 100.0, 0.0), (10.0, 20.0, 0.5), (100.0, 200.0, 0.0)]),
            vec![],
        ),
    ];
    for (what, line, want) in cases {
        let found = super::continuity::drifts(&line, Bounds::default(), None);
        let found: Vec<(Time, Time, f64)> =
            found.iter().map(|g| (g.start, g.end, (g.samples * 1e6).round() / 1e6)).collect();
        let want: Vec<(Time, Time, f64)> = want.into_iter().map(|(a, b, n)| (at(a), at(b), n)).collect();
        assert_eq!(found, want, "{what}");
    }
}
