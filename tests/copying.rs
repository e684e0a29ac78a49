//! COPY of segments: the records as they are in the files, cut to the span, each once; samples as SAC.

use std::fs;
use std::path::Path;

use starquake::engine::ops::stored::StoredWaveforms;
use starquake::engine::ops::window::Waveforms;
use starquake::format::waveform::{self, Scan};
use starquake::index::archive::Archive;
use starquake::model::time::Time;
use starquake::store::Store;

use crate::support::{Db, shown};
use crate::tree::{RECORD_BYTES, import, mseed, old, put, sac};

const DAY1: &str = "2024-02-29T00:00:00";
const DAY2: &str = "2024-03-01T00:00:00";
/// 10 Hz: a day has this many samples.
const PER_DAY: usize = 864_000;

/// An archive and its database.
struct Copying {
    db: Db,
    root: std::path::PathBuf,
}

impl Copying {
    fn new(files: &[(&str, Vec<u8>)]) -> Copying {
        let mut db = Db::new();
        let root = db.dir.path().join("arc");
        for (name, bytes) in files {
            put(&root.join(name), bytes, old(1));
        }
        db.run(&import(&root));
        Copying { db, root }
    }

    /// The bytes that a COPY writes, its message and notices.
    fn mseed(&mut self, query: &str) -> (Vec<u8>, String) {
        let to = self.db.dir.path().join("out.mseed");
        let done = self.db.run(&format!("COPY ({query}) TO '{}' REPLACE", to.display()));
        let said =
            done[0].message.clone().into_iter().chain(done[0].notices.clone()).chain(done[0].footer.clone());
        (fs::read(&to).expect("a file"), said.collect::<Vec<_>>().join("\n"))
    }
}

fn scan(path: &Path) -> Scan {
    waveform::scan(path).expect("a file")
}

#[test]
fn all_records_of_day_files_are_the_files() {
    let days = [
        ("a/1.mseed", mseed("IU.ANMO.00.BHZ", DAY1, 10.0, PER_DAY)),
        ("a/2.mseed", mseed("IU.ANMO.00.BHZ", DAY2, 10.0, PER_DAY)),
        ("b/1.mseed", mseed("IU.TUC..BHZ", DAY1, 10.0, 5000)),
    ];
    let mut copying = Copying::new(&days);
    let all: Vec<u8> = days.iter().flat_map(|d| d.1.clone()).collect();
    assert!(copying.mseed("SELECT * FROM segments").0 == all);
    // the order of the rows does not matter, nor do rows that name a segment twice
    let (twice, _) = copying.mseed("SELECT * FROM segments UNION ALL SELECT * FROM segments WHERE npts > 10");
    assert!(twice == all);
    let (reversed, said) = copying.mseed("SELECT * FROM segments ORDER BY starttime DESC, code DESC");
    assert!(reversed == all);
    let records = all.len() / RECORD_BYTES;
    assert!(said.contains("of 3 segments to"), "{said}");
    // what was written is one segment a channel
    fs::copy(copying.db.dir.path().join("out.mseed"), copying.root.join("merged.mseed")).expect("a copy");
    fs::remove_dir_all(copying.root.join("a")).expect("gone");
    fs::remove_dir_all(copying.root.join("b")).expect("gone");
    copying.db.run("REFRESH arc");
    let rows = copying.db.rows("SELECT code, npts FROM segments");
    assert_eq!(
        rows,
        [
            ["IU.ANMO.00.BHZ".to_owned(), (2 * PER_DAY).to_string()],
            ["IU.TUC..BHZ".to_owned(), "5000".to_owned()]
        ]
    );
    assert_eq!(copying.db.value("SELECT SUM(records) FROM files"), records.to_string());
}

#[test]
fn a_cut_has_the_records_that_hold_a_sample_of_the_span() {
    let files = [
        ("1.mseed", mseed("IU.ANMO.00.BHZ", DAY1, 10.0, PER_DAY)),
        ("2.mseed", mseed("IU.ANMO.00.BHZ", DAY2, 10.0, PER_DAY)),
    ];
    let mut copying = Copying::new(&files);
    let scans = ["1.mseed", "2.mseed"].map(|f| scan(&copying.root.join(f)));
    // by brute force: records with a sample in [a, b)
    let want = |a: &str, b: &str| -> Vec<u8> {
        let (a, b) = (Time::parse(a).expect("a time"), Time::parse(b).expect("a time"));
        let mut bytes = vec![];
        for (scan, file) in scans.iter().zip(&files) {
            for r in &scan.records {
                let holds = (0..u64::from(r.npts)).any(|i| {
                    let t = waveform::sample_time(r.start, i, r.sampling_rate);
                    a <= t && t < b
                });
                if holds {
                    bytes.extend_from_slice(&file.1[r.offset as usize..(r.offset + r.length) as usize]);
                }
            }
        }
        bytes
    };
    let edge = scans[0].records[7].start.to_string();
    let next = scans[0].records[8].start.to_string();
    let cases = [
        ("2024-02-29T23:59:00Z", "2024-03-01T00:01:00Z"),
        ("2024-02-29T12:00:00.05Z", "2024-02-29T12:00:00.15Z"),
        ("2024-02-20T00:00:00Z", "2024-02-29T00:00:00.000000001Z"),
        (&edge, &next),
    ];
    for (a, b) in cases {
        let spellings = [
            format!("SELECT * FROM segments WHERE span OVERLAPS {a} .. {b}"),
            format!(
                "SELECT * FROM segments WHERE starttime < {b} AND code MATCHES 'IU.*.*.*' AND endtime > {a}"
            ),
            format!(
                "SELECT source, path, byte_offset, starttime, endtime FROM (SELECT * FROM segments) AS s WHERE s.span OVERLAPS {a} .. {b}"
            ),
            format!("WITH w AS (SELECT * FROM segments WHERE span OVERLAPS {a} .. {b}) SELECT * FROM w"),
        ];
        for query in spellings {
            let (bytes, said) = copying.mseed(&query);
            assert!(
                bytes == want(a, b),
                "{query}: {} instead of {} bytes; {said}",
                bytes.len(),
                want(a, b).len()
            );
        }
    }
    let (bytes, _) = copying.mseed(&format!(
        "SELECT * FROM segments WHERE span OVERLAPS {} .. {} UNION ALL SELECT * FROM segments WHERE endtime > {}",
        cases[1].0, cases[1].1, "2024-03-01T23:59:59Z"
    ));
    let tail = want("2024-03-01T23:59:59Z", "2024-03-03T00:00:00Z");
    assert!(bytes == [want(cases[1].0, cases[1].1), tail].concat());
}

#[test]
fn copies_are_written_once_and_others_are_counted() {
    let whole = mseed("IU.ANMO.00.BHZ", DAY1, 10.0, 20_000);
    let mut better = whole.clone();
    better.chunks_mut(RECORD_BYTES).for_each(|r| r[6] = b'M');
    let half = whole[..whole.len() / 2 / RECORD_BYTES * RECORD_BYTES].to_vec();
    // the last byte of the samples of one record
    let mut other = whole.clone();
    other[3 * RECORD_BYTES - 1] ^= 0x40;
    let shifted = mseed("IU.ANMO.00.BHZ", "2024-02-29T00:10:00.05", 10.0, 1000);
    let records = whole.len() / RECORD_BYTES;
    let left_out = |n: usize| format!("copies left out: {n} records");
    let cases: [(&str, Vec<(&str, Vec<u8>)>, &Vec<u8>, Vec<String>); 4] = [
        ("an exact copy", vec![("a", whole.clone()), ("b", whole.clone())], &whole, vec![left_out(records)]),
        ("a better one", vec![("a", whole.clone()), ("b", better.clone())], &better, vec![left_out(records)]),
        (
            "the longer one",
            vec![("a", half.clone()), ("b", other.clone())],
            &other,
            vec![left_out(half.len() / RECORD_BYTES), "copies_differ: 1 record left out".to_owned()],
        ),
        ("none", vec![("a", whole.clone())], &whole, vec![]),
    ];
    for (what, files, want, notes) in cases {
        let (bytes, said) = Copying::new(&files).mseed("SELECT * FROM segments");
        assert!(bytes == *want, "{what}: {said}");
        assert!(notes.iter().all(|n| said.contains(n)), "{what}: {said}");
        assert_eq!(said.lines().count(), 1 + notes.len(), "{what}: {said}");
    }
    let (bytes, said) =
        Copying::new(&[("a", whole.clone()), ("b", shifted.clone())]).mseed("SELECT * FROM segments");
    assert_eq!(bytes.len(), whole.len() + shifted.len());
    assert!(said.contains("overlaps: "), "{said}");
}

#[test]
fn a_file_that_went_is_taken_from_a_copy_or_missed() {
    let whole = mseed("IU.ANMO.00.BHZ", DAY1, 10.0, 20_000);
    let cut = whole[..whole.len() / 2 + 100].to_vec();
    let elsewhere = mseed("IU.ANMO.00.BHN", DAY1, 10.0, 20_000);
    // what becomes of the preferred file; what of the bytes must be there without another copy
    let kept = whole.len() / 2 / RECORD_BYTES * RECORD_BYTES;
    let cases: [(&str, Option<Vec<u8>>, usize); 4] = [
        ("gone", None, 0),
        ("cut", Some(cut), kept),
        ("another channel", Some(elsewhere), 0),
        ("no records", Some(vec![0; whole.len()]), 0),
    ];
    for (what, now, left) in cases {
        for has_copy in [true, false] {
            let mut files = vec![("a.mseed", whole.clone())];
            files.extend(has_copy.then(|| ("b.mseed", whole.clone())));
            let mut copying = Copying::new(&files);
            let path = copying.root.join("a.mseed");
            match &now {
                None => fs::remove_file(&path).expect("gone"),
                Some(bytes) => fs::write(&path, bytes).expect("another file"),
            }
            let to = copying.db.dir.path().join("out.mseed");
            let done = copying.db.run(&format!("COPY (SELECT * FROM segments) TO '{}'", to.display()));
            let bytes = fs::read(&to).expect("a file");
            let said = done[0].notices.join("\n");
            let missing = (whole.len() - left) / RECORD_BYTES;
            if has_copy {
                assert!(bytes == whole, "{what}: {said}");
                assert!(
                    said.contains(&format!(
                        "from another copy, as the preferred file cannot be read: {missing} record"
                    )),
                    "{what}: {said}"
                );
                assert_eq!(done[0].unreadable, 0);
            } else {
                assert!(bytes == whole[..left], "{what}: {said}");
                assert!(said.contains(&format!("unreachable: {missing} record")), "{what}: {said}");
                assert_eq!(done[0].unreadable, missing as u64);
            }
        }
    }
}

#[test]
fn what_cannot_be_copied_is_refused_by_name() {
    let mut copying = Copying::new(&[
        ("a.sac", sac("IU.ANMO.00.BHZ", DAY1)),
        ("b.mseed", mseed("IU.ANMO.00.BHZ", DAY2, 10.0, 1000)),
    ]);
    let cases = [
        (
            "COPY (SELECT code, path FROM segments) TO 'x.mseed'",
            "the rows have no columns `source`, `byte_offset`, `starttime`, `endtime` to name them",
        ),
        ("COPY (SELECT * FROM segments) TO 'x.mseed'", "a.sac is sac, and its samples are not encoded anew"),
        (
            "COPY (SELECT 'arc' AS source, path, byte_offset + 1 AS byte_offset, starttime, endtime FROM segments) TO 'x.mseed'",
            "2 rows have a byte_offset at which no segment begins",
        ),
        (
            "COPY (SELECT 'other' AS source, path, byte_offset, starttime, endtime FROM segments) TO 'x.mseed'",
            "no segment of the archive `other` is in a.sac",
        ),
        ("COPY (SELECT * FROM segments) TO 'x.mseed' COMPRESS gzip", "compresses its own parts"),
        ("COPY (SELECT * FROM segments) TO 'x.mseed' APPEND", "nothing can be appended"),
        (
            "COPY (SELECT * FROM segments) TO 'x.sac'",
            "the rows hold several contiguous pieces, and a SAC file holds one",
        ),
        ("COPY (SELECT * FROM segments) TO '{nonsense}.sac'", "`{nonsense}` stands for nothing"),
        ("COPY (SELECT * FROM segments) TO '{code}.sac'", "two pieces would be named"),
    ];
    for (text, want) in cases {
        let text = text.replace("TO '", &format!("TO '{}/", copying.db.dir.path().display()));
        let error = shown(&copying.db.error(&text));
        assert!(error.contains(want), "{text}\n{error}");
    }
    let left = fs::read_dir(copying.db.dir.path()).expect("a directory").count();
    assert_eq!(left, 2, "the archive and the database, nothing else");
}

/// Samples of a file.
fn samples(path: &Path) -> Vec<(Time, f64, Vec<f64>)> {
    let scan = scan(path);
    let pieces = waveform::read(path, &scan.records).expect("samples");
    pieces.into_iter().map(|p| (p.start, p.sampling_rate, p.samples)).collect()
}

#[test]
fn sac_files_hold_the_samples_of_each_piece() {
    let files = [
        ("1.mseed", mseed("IU.ANMO.00.BHZ", DAY1, 10.0, PER_DAY)),
        ("1copy.mseed", mseed("IU.ANMO.00.BHZ", DAY1, 10.0, 5000)),
        ("2.mseed", mseed("IU.ANMO.00.BHZ", DAY2, 10.0, 4000)),
        ("3.mseed", mseed("IU.ANMO.00.BHZ", "2024-03-01T01:00:00.0195", 10.0, 4000)),
        ("4.mseed", mseed("IU.TUC..BHZ", DAY1, 3.0, 1000)),
        ("5.sac", sac("IU.TUC..BHN", DAY1)),
    ];
    let mut copying = Copying::new(&files);
    let to = copying.db.dir.path().join("out");
    let done = copying.db.run(&format!("COPY (SELECT * FROM segments) TO '{}/' FORMAT sac", to.display()));
    assert_eq!(done[0].message.as_deref(), Some(&*format!("wrote 4 SAC files to {}/", to.display())));
    let joined: Vec<f64> =
        [0, 2].into_iter().flat_map(|f| samples(&copying.root.join(files[f].0))).flat_map(|p| p.2).collect();
    let of = |f: usize| {
        samples(&copying.root.join(files[f].0)).into_iter().flat_map(|p| p.2).collect::<Vec<f64>>()
    };
    let cases = [
        ("IU.ANMO.00.BHZ.2024.060.00.00.00.000000.SAC", DAY1, 10.0, joined),
        ("IU.ANMO.00.BHZ.2024.061.01.00.00.019500.SAC", "2024-03-01T01:00:00.0195", 10.0, of(3)),
        ("IU.TUC..BHZ.2024.060.00.00.00.000000.SAC", DAY1, 3.0, of(4)),
        ("IU.TUC..BHN.2024.060.00.00.00.000000.SAC", DAY1, 100.0, of(5)),
    ];
    for (name, start, rate, want) in cases {
        let found = samples(&to.join(name));
        assert_eq!(found.len(), 1, "{name}");
        let (at, rate_hz, values) = &found[0];
        assert!((at.0 - Time::parse(start).expect("a time").0).abs() <= 1, "{name}: {at}");
        assert!((rate_hz / rate - 1.0).abs() < 1e-12, "{name}: {rate_hz}");
        assert!(*values == want, "{name}: {} samples instead of {}", values.len(), want.len());
    }
    // exactly the samples of the span
    let one = copying.db.dir.path().join("one.sac");
    copying.db.run(&format!(
        "COPY (SELECT * FROM segments WHERE code MATCHES '*.ANMO.*.*' AND span OVERLAPS 2024-02-29T23:59:59.9 .. 2024-03-01T00:00:00.2) TO '{}'",
        one.display()
    ));
    let found = samples(&one);
    assert_eq!((found[0].0.to_string(), found[0].2.len()), ("2024-02-29T23:59:59.9Z".to_owned(), 3));
}

#[test]
fn a_window_reads_its_records_and_decodes_each_once() {
    let bytes = mseed("IU.ANMO.00.BHZ", DAY1, 100.0, 400_000);
    let copying = Copying::new(&[("1.mseed", bytes.clone())]);
    let scan = scan(&copying.root.join("1.mseed"));
    let store = Store::open(copying.db.database.path()).expect("a store");
    let snapshot = store.snapshot().expect("a snapshot");
    let archive = Archive::open(snapshot.catalogue(), &snapshot).expect("an archive");
    let day = Time::parse(DAY1).expect("a time");
    let at = |s: f64| day.plus_seconds(s).expect("a time");
    let one = StoredWaveforms::new(&archive);
    for (from_s, to_s) in [(1000.0, 1030.0), (0.0, 30.0), (2000.005, 2000.006), (3990.0, 4020.0)] {
        let span = (at(from_s), at(to_s));
        let before = one.effort();
        let stretches = one.find(None, "ANMO", span).expect("stretches");
        let pieces = one.read(&stretches[0], span).expect("samples");
        let (read, decoded) = (one.effort().0 - before.0, one.effort().1 - before.1);
        let needed = scan.records.iter().filter(|r| r.start <= span.1 && r.last_sample() >= span.0);
        let needed: u64 = needed.map(|r| r.length).sum();
        assert!(read <= needed + RECORD_BYTES as u64, "{read} bytes for {needed} at {from_s}");
        assert_eq!(decoded, pieces.len() as u64);
    }
    // in the order of the file each record is read once, however many windows there are
    let many = StoredWaveforms::new(&archive);
    let mut samples = 0;
    for step in 0..3900 {
        let span = (at(f64::from(step)), at(f64::from(step) + 30.0));
        let stretches = many.find(None, "ANMO", span).expect("stretches");
        samples +=
            many.read(&stretches[0], span).expect("samples").iter().map(|p| p.samples.len()).sum::<usize>();
    }
    let (read, decoded) = many.effort();
    assert!(
        read <= bytes.len() as u64 && decoded <= scan.records.len() as u64,
        "{read} bytes, {decoded} records"
    );
    assert!(samples > 3900 * 3000);
}
