//! Real waveform files that nobody here wrote: those of `STARQUAKE_DATA`, and the test files of ObsPy's wheel, which
//! `STARQUAKE_CORPORA` names a directory for (it is fetched into it when it is not there). What other readers found in
//! the wheel stands in `tests/data/obspy_segments.csv`, made by `obspy_segments.py`; the files are not ours to keep.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use starquake::format::waveform::{self, Record, Scan, State};
use starquake::index::time::{Segment, assemble};

use crate::support::{Db, csv_reader};

/// The wheel whose files the expected segments are of.
const WHEEL: &str = "obspy==1.5.1";

fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// The unpacked wheel, fetched once.
pub fn wheel(test: &str) -> Option<PathBuf> {
    let Some(directory) = std::env::var_os("STARQUAKE_CORPORA").map(PathBuf::from) else {
        skip(test, "STARQUAKE_CORPORA names no directory");
        return None;
    };
    let unpacked = directory.join("obspy-1.5.1");
    if !unpacked.join("obspy/io/mseed/tests/data").is_dir()
        && let Err(why) = fetch(&directory, &unpacked)
    {
        skip(test, &format!("{WHEEL} cannot be fetched: {why}"));
        return None;
    }
    Some(unpacked)
}

/// Downloads the wheel and unpacks it beside its place, so that a half-written tree is never taken for it.
fn fetch(directory: &Path, unpacked: &Path) -> Result<(), String> {
    std::fs::create_dir_all(directory).map_err(|e| e.to_string())?;
    let temporary = tempfile::tempdir_in(directory).map_err(|e| e.to_string())?;
    let run = |arguments: &[&str]| {
        let done = Command::new("python3").args(arguments).current_dir(temporary.path()).output();
        let done = done.map_err(|e| format!("python3: {e}"))?;
        let told = String::from_utf8_lossy(&done.stderr).trim().lines().last().unwrap_or("").to_owned();
        if done.status.success() { Ok(()) } else { Err(told) }
    };
    let platform = "--platform=manylinux_2_28_x86_64";
    run(&[
        "-m",
        "pip",
        "download",
        "--quiet",
        "--timeout=15",
        "--retries=1",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version=3.11",
        platform,
        WHEEL,
    ])?;
    let files = std::fs::read_dir(temporary.path()).map_err(|e| e.to_string())?;
    let wheel = files.flatten().map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "whl"));
    let wheel = wheel.ok_or("pip left no wheel")?;
    run(&["-m", "zipfile", "-e", &wheel.to_string_lossy(), "unpacked"])?;
    match std::fs::rename(temporary.path().join("unpacked"), unpacked) {
        // another test was faster
        Err(_) if unpacked.is_dir() => Ok(()),
        done => done.map_err(|e| e.to_string()),
    }
}

/// A segment as a reader tells it.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    code: [String; 4],
    start_ns: i64,
    npts: u64,
    rate: f64,
    /// Every sample times its place modulo 97 from 1, summed.
    check: Option<f64>,
}

/// What one reader found in one file; `None` where it refused it.
type Answer = Option<Vec<Told>>;

/// File and hash, then reader by reader.
fn expected() -> BTreeMap<(String, String), BTreeMap<String, Answer>> {
    let rows = csv_reader(include_str!("data/obspy_segments.csv"));
    let mut files: BTreeMap<(String, String), BTreeMap<String, Answer>> = BTreeMap::new();
    for row in &rows[1..] {
        let readers = files.entry((row[0].clone(), row[1].clone())).or_default();
        let answer = readers.entry(row[2].clone()).or_insert_with(|| (row[3] == "ok").then(Vec::new));
        if let (Some(segments), false) = (answer, row[8].is_empty()) {
            segments.push(Told {
                code: std::array::from_fn(|i| row[4 + i].clone()),
                start_ns: row[8].parse().expect("ns"),
                npts: row[9].parse().expect("a count"),
                rate: row[10].parse().expect("a rate"),
                check: row[11].parse().ok(),
            });
        }
    }
    files
}

fn ours(path: &Path, scan: &Scan, is_decoded: bool) -> Vec<Told> {
    let told = |segment: &Segment| {
        let stream = &scan.streams[segment.stream as usize];
        let code = &stream.code;
        let records: Vec<Record> = segment.records.iter().map(|&i| scan.records[i as usize]).collect();
        let mut check = 0.0;
        let pieces = if is_decoded { waveform::read(path, &records).ok() } else { None };
        for (place, sample) in pieces.iter().flatten().flat_map(|p| &p.samples).enumerate() {
            check += sample * (place % 97 + 1) as f64;
        }
        Told {
            code: [&code.network, &code.station, &code.location, &code.channel].map(Clone::clone),
            start_ns: segment.start.0,
            npts: segment.npts,
            rate: segment.sampling_rate,
            check: pieces.map(|_| check),
        }
    };
    assemble(scan).iter().map(told).collect()
}

/// Equal but for the rounding of the other reader: ObsPy keeps SAC times to 1 us and prints sums in 13 digits.
fn agree(ours: &[Told], theirs: &[Told], with_samples: bool) -> bool {
    let sorted = |list: &[Told]| {
        let mut list = list.to_vec();
        list.sort_by(|a, b| (a.start_ns, &a.code, a.npts).cmp(&(b.start_ns, &b.code, b.npts)));
        list
    };
    let close =
        |a: f64, b: f64, by: f64| (a - b).abs() <= by * a.abs().max(b.abs()) || (a.is_nan() && b.is_nan());
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    ours.len() == theirs.len()
        && ours.iter().zip(&theirs).all(|(a, b)| {
            let check = a.check.zip(b.check).filter(|_| with_samples);
            a.code == b.code
                && (a.start_ns - b.start_ns).abs() <= 1000
                && a.npts == b.npts
                && close(a.rate, b.rate, 1e-6)
                && check.is_none_or(|(a, b)| close(a, b, 1e-9))
        })
}

/// Files of the wheel where a reader answers otherwise, and why it is right to. `docs/conformance.md` has them too.
const VOLUME: &str = "a SEED volume: control headers are passed over, the data records are there";
const LOOP: &str =
    "records with a chain of blockettes that runs back are left out and told, those behind them are read";
const EMPTY: &str = "a record without samples takes no time";
const CHAIN: &str = "a chain that leaves its record is told; the codes hold 411 samples, not 412";
const CHECKSUM: &str = "the samples are read and marked: the checksum does not agree";
const PADDED: &str = "the channel has no blanks ahead";

/// Files of the wheel where a reader answers otherwise, and why. `docs/conformance.md` has them too.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("libmseed", "obspy/io/mseed/tests/data/RJOB.BW.EHZ.D.300806.0000.fullseed", VOLUME),
    ("libmseed", "obspy/io/mseed/tests/data/blockette008.mseed", VOLUME),
    ("libmseed", "obspy/io/mseed/tests/data/fullseed.mseed", VOLUME),
    ("libmseed", "obspy/io/mseed/tests/data/fullseed_dataquality_M.mseed", VOLUME),
    ("libmseed", "obspy/io/mseed/tests/data/fullseed_dataquality_Q.mseed", VOLUME),
    ("libmseed", "obspy/io/mseed/tests/data/fullseed_dataquality_R.mseed", VOLUME),
    ("libmseed", "obspy/io/xseed/tests/data/arclink_full.seed", VOLUME),
    (
        "libmseed",
        "obspy/io/mseed/tests/data/single_record_plus_noise_record.mseed",
        "noise records are passed over",
    ),
    ("libmseed", "obspy/io/mseed/tests/data/various_noise_records.mseed", "noise records are passed over"),
    (
        "libmseed",
        "obspy/io/mseed/tests/data/brokenlastrecord.mseed",
        "the records before the broken one are there",
    ),
    (
        "libmseed",
        "obspy/io/mseed/tests/data/gecko_non_ascii_header.ms",
        "a byte outside ASCII in a code is left out, not what follows it",
    ),
    ("libmseed", "obspy/io/mseed/tests/data/infinite-loop.mseed", LOOP),
    ("obspy MSEED", "obspy/io/mseed/tests/data/infinite-loop.mseed", LOOP),
    ("libmseed", "obspy/io/mseed/src/libmseed/test/data/invalid-blockette-offset.mseed", LOOP),
    ("obspy MSEED", "obspy/io/mseed/src/libmseed/test/data/invalid-blockette-offset.mseed", LOOP),
    (
        "libmseed",
        "obspy/io/mseed/tests/data/microsecond_wrap.mseed",
        "microseconds of blockette 1001 that pass a second are added all the same",
    ),
    ("libmseed", "obspy/io/mseed/src/libmseed/test/data/corrupt-blockettes-wrongnext.mseed", CHAIN),
    ("obspy MSEED", "obspy/io/mseed/src/libmseed/test/data/corrupt-blockettes-wrongnext.mseed", CHAIN),
    ("obspy MSEED", "obspy/io/mseed/tests/data/bizarre/mseed_data_offset_0.mseed", EMPTY),
    ("obspy MSEED", "obspy/io/mseed/tests/data/three_records_zero_data_in_middle.mseed", EMPTY),
    (
        "obspy MSEED",
        "obspy/io/mseed/src/libmseed/test/data/Int32-oneseries-mixedlengths-mixedorder.mseed",
        "records out of order are joined in time, as libmseed does",
    ),
    (
        "obspy CSS",
        "obspy/io/css/tests/data/test_css_3.wfdisc",
        "a line whose file is not there keeps its segment; reading it is an error",
    ),
    ("obspy GSE1", "obspy/io/gse2/tests/data/GRF_031102_0225.GSE.wrong_chksum", CHECKSUM),
    ("obspy GSE2", "obspy/io/gse2/tests/data/loc_RJOB20050831023349.z.wrong_chksum", CHECKSUM),
    ("obspy GSE1", "obspy/io/gse2/tests/data/acc.gse", PADDED),
    ("obspy GSE1", "obspy/io/gse2/tests/data/loc_STAU20031119011659.z", PADDED),
    ("obspy GSE1", "obspy/io/gse2/tests/data/y2000.gse", PADDED),
    (
        "obspy GSE2",
        "obspy/io/gse2/tests/data/broken_head.gse2",
        "a code of NUL is empty; the header says 0 samples",
    ),
    (
        "obspy SAC",
        "obspy/io/sac/tests/data/test_encode.sac",
        "bytes outside ASCII in a code are left out, not shown as `?`",
    ),
    ("obspy SAC", "obspy/realtime/tests/data/II.TLY.BHZ.SAC", "the sampling interval is not rounded to 1 us"),
    ("obspy SACXY", "obspy/io/sac/tests/data/testxy.sac", "samples of ASCII SAC are read as 64-bit numbers"),
];

#[test]
fn the_wheel_of_obspy_is_read_as_its_readers_read_it() {
    let Some(root) = wheel("the_wheel_of_obspy") else { return };
    let mut different: BTreeMap<(&str, &str), String> = BTreeMap::new();
    // files, opened by the reader, opened here, same answer
    let mut counts: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    let files = expected();
    for ((file, hash), readers) in &files {
        let path = root.join(file);
        assert_eq!(sha256(&path).get(..16), Some(hash.as_str()), "{file} is another file");
        let scan = waveform::scan(&path).expect("a file that opens");
        let found = ours(&path, &scan, true);
        for (reader, answer) in readers {
            let is_same = match answer {
                Some(segments) => agree(&found, segments, reader.starts_with("obspy")),
                None => scan.records.is_empty(),
            };
            let now = [true, answer.is_some(), !scan.records.is_empty(), is_same].map(usize::from);
            let count = counts.entry(reader).or_default();
            count.iter_mut().zip(now).for_each(|(sum, one)| *sum += one);
            if !is_same {
                let told = format!("{:?} {:?} {found:?}\n  {answer:?}", scan.state, scan.reason);
                different.insert((reader, file), told);
            }
        }
        let is_told = scan.reason.is_some() && (scan.bad_offset.is_some() || scan.state == State::NoTime);
        assert!(scan.state == State::Ok || scan.state == State::Other || is_told, "{file}: {:?}", scan.state);
    }
    let _ =
        writeln!(std::io::stderr(), "{} files; files, opened, opened here, same: {counts:?}", files.len());
    let known: BTreeSet<(&str, &str)> = DIFFERENT.iter().map(|d| (d.0, d.1)).collect();
    let news: Vec<_> = different.iter().filter(|d| !known.contains(d.0)).collect();
    assert!(news.is_empty(), "{news:#?}");
    let gone: Vec<_> = known.iter().filter(|k| !different.contains_key(*k)).collect();
    assert!(gone.is_empty(), "{gone:?} are answered alike now");
}

#[test]
fn checksums_of_real_gse_files_are_verified() {
    let Some(root) = wheel("checksums_of_real_gse_files") else { return };
    let mut count = [0, 0];
    let is_gse = |readers: &BTreeMap<String, Answer>| readers.keys().any(|r| r.contains("GSE"));
    // its header says 0 samples, its checksum is that of more
    let is_whole = |file: &str| !file.contains("broken_head");
    for ((file, _), readers) in expected().iter().filter(|f| is_gse(f.1) && is_whole(&f.0.0)) {
        let path = root.join(file);
        let scan = waveform::scan(&path).expect("a file that opens");
        let is_refused = readers.values().any(Option::is_none);
        for piece in waveform::read(&path, &scan.records).expect("samples") {
            // of the file with two traces only one has a wrong sum
            count[usize::from(piece.integrity_ok)] += 1;
            assert!(piece.integrity_ok || is_refused, "{file}");
        }
    }
    assert_eq!(count[0], 2, "two files are named after their wrong checksum");
    assert!(count[1] >= 9, "{count:?}");
}

fn sha256(path: &Path) -> String {
    let done = Command::new("sha256sum").arg(path).output().expect("sha256sum");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn every_file_of_the_wheel_has_a_state_and_a_reason() {
    let Some(root) = wheel("every_file_of_the_wheel") else { return };
    let mut db = Db::new();
    db.run(&format!("IMPORT WAVEFORMS '{}' INTO wheel", root.display()));
    let rows = db.rows("SELECT path, state, reason, bad_offset, format FROM files");
    assert!(rows.len() > 1000, "{}", rows.len());
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        *states.entry(format!("{} {}", row[1], row[4])).or_default() += 1;
        match row[1].as_str() {
            "partly" | "unreadable" => assert!(!row[2].is_empty() && !row[3].is_empty(), "{row:?}"),
            "no_time" => assert!(!row[2].is_empty(), "{row:?}"),
            state => assert!(["ok", "other"].contains(&state), "{row:?}"),
        }
        // text, code and pictures are nothing else, whatever they are called
        let is_foreign =
            [".py", ".xml", ".png", ".npz", ".json", ".txt", ".html"].iter().any(|e| row[0].ends_with(e));
        assert!(!is_foreign || row[1] == "other", "{row:?}");
    }
    let _ = writeln!(std::io::stderr(), "states of the wheel: {states:?}");
    // Files that were unpacked just now are too young to be sure of: they are read once more, when they are older.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    db.run("REFRESH wheel");
    let again = db.run("REFRESH wheel");
    assert!(again[0].message.as_deref().unwrap_or("").contains("0 files opened"), "{again:?}");
}
