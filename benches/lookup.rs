//! Lookups in a waveform index of 10^7 segments: opening it, one channel and window, a million windows at once, and
//! bytes for each segment, file and record. `cargo bench --bench lookup [-- SEGMENTS]`.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use starquake::format::waveform::{Encoding, Record, sample_time};
use starquake::index::archive::{ARCHIVE_TABLE, Archive, FileRow, PART, PartWriter, Window, write_part};
use starquake::index::time::{Segment, encode_records, to_stored};
use starquake::model::station::ChannelCode;
use starquake::model::time::Time;
use starquake::store::{SegmentRef, Store, TableEntry, Writer};

const CHANNELS: usize = 1000;
/// Segments of a file, and records of a segment.
const SEGMENTS: usize = 10;
const RECORDS: usize = 3;
const DAY_NS: i64 = 86_400_000_000_000;
const RATE_HZ: f64 = 100.0;
const LOOKUPS: usize = 1_000_000;
const WINDOWS: usize = 1_000_000;
const WINDOW_NS: i64 = 30_000_000_000;

/// A stream of numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % most.max(1)
    }
}

fn code(channel: usize) -> ChannelCode {
    ChannelCode::new("XX", &format!("S{:04}", channel / 3), "00", ["HHE", "HHN", "HHZ"][channel % 3])
}

/// Ten stretches of a day with holes between them.
fn segment(day: usize, number: usize, random: &mut Random) -> (Segment, Vec<u8>) {
    let hole = DAY_NS / SEGMENTS as i64;
    let start = day as i64 * DAY_NS + number as i64 * hole + random.below(1_000_000_000) as i64;
    let mut next = Time(start);
    let records: Vec<Record> = (0..RECORDS)
        .map(|i| {
            let npts = 250_000 + random.below(200) as u32;
            let start = next;
            next = sample_time(start, u64::from(npts), RATE_HZ);
            Record {
                offset: ((number * RECORDS + i) * 4096) as u64,
                length: 4096,
                data_offset: 64,
                start,
                npts,
                sampling_rate: RATE_HZ,
                encoding: Encoding::STEIM2,
                quality: b'D',
                publication_version: 2,
                ..Record::default()
            }
        })
        .collect();
    let segment = Segment {
        start: Time(start),
        end: next,
        npts: records.iter().map(|r| u64::from(r.npts)).sum(),
        sampling_rate: RATE_HZ,
        quality: b'D',
        publication_version: 2,
        byte_offset: (number * RECORDS * 4096) as u64,
        bytes: (RECORDS * 4096) as u64,
        ..Segment::default()
    };
    let map = encode_records(&records).expect("a map");
    let map = to_stored(&map, &segment).expect("a map");
    (segment, map)
}

fn write(writer: &Writer, days: usize) -> SegmentRef {
    let mut random = Random(7);
    let mut part = PartWriter::begin(writer.stream(PART).expect("a segment")).expect("a part");
    for channel in 0..CHANNELS {
        let code = code(channel);
        for day in 0..days {
            let (n, s, c) = (&code.network, &code.station, &code.channel);
            let (year, day_of_year) = (2000 + day / 365, day % 365 + 1);
            let path = format!("{n}/{s}/{c}.D/{code}.D.{year}.{day_of_year:03}", code = code);
            let mtime_ns = 1_700_000_000_000_000_000 + random.below(1_000_000_000_000_000) as i64;
            let file = FileRow {
                path: path.into_bytes(),
                size: (SEGMENTS * RECORDS * 4096) as u64,
                mtime_ns,
                ctime_ns: mtime_ns + random.below(1_000_000) as i64,
                inode: 1_000_000 + (channel * days + day) as u64,
                hash: random.below(u64::MAX),
                format: "mseed2".to_owned(),
                state: "ok".to_owned(),
                records: (SEGMENTS * RECORDS) as u64,
                ..FileRow::default()
            };
            part.file(file).expect("a file");
        }
    }
    part.end_files().expect("files");
    for channel in 0..CHANNELS {
        let code = code(channel);
        let letters: Vec<String> = code.channel.chars().map(String::from).collect();
        part.channel(&code, &format!("FDSN:XX_{}_00_{}", code.station, letters.join("_")))
            .expect("a channel");
        for day in 0..days {
            for number in 0..SEGMENTS {
                let (segment, map) = segment(day, number, &mut random);
                part.segment(&segment, (channel * days + day) as u32, &map).expect("a segment");
            }
        }
    }
    part.finish(&[]).expect("a part")
}

fn micros(ns: u128) -> String {
    format!("{:.2} us", ns as f64 / 1e3)
}

/// Peak of the anonymous memory of this process, in MB.
fn anonymous_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

#[allow(clippy::print_stdout)]
fn main() {
    let count = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(10_000_000_usize);
    let days = (count / CHANNELS / SEGMENTS).max(1);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("lookup.sqk");
    let store = Store::create(&path).expect("a database");
    let mut writer = store.writer("bench").expect("a writer");
    let begun = Instant::now();
    let part = write(&writer, days);
    let (segments, files) = (part.rows, (CHANNELS * days) as u64);
    let records = segments * RECORDS as u64;
    println!("write      {segments} segments, {files} files: {:.1} s", begun.elapsed().as_secs_f64());
    println!("memory     {:.1} MB anonymous after writing", anonymous_mb());
    let most = 24 * segments + 40 * files + records * 5 / 2;
    println!(
        "size       {} bytes, {:.1} a segment with everything; {:.2} of 24 B/segment + 40 B/file + 2.5 B/record",
        part.bytes,
        part.bytes as f64 / segments as f64,
        part.bytes as f64 / most as f64
    );
    let mut catalogue = writer.catalogue().clone();
    let table = TableEntry { name: ARCHIVE_TABLE.to_owned(), segments: vec![part], ..TableEntry::default() };
    catalogue.tables.push(table);
    writer.commit(catalogue).expect("a commit");
    drop(writer);
    drop(store);

    let begun = Instant::now();
    let store = Store::open(&path).expect("a database");
    let snapshot = store.snapshot().expect("a snapshot");
    let archive = Archive::open(snapshot.catalogue(), &snapshot).expect("an archive");
    println!("open       {}", micros(begun.elapsed().as_nanos()));
    lookups(&archive, days);
    join(&archive, days);
    records_of(&archive, days);
    files_of(&archive);
    drop(archive);
    drop(snapshot);
    small_commits(&store);
}

/// What the commit of a refresh waits for: opening for writing, one small part, commit, closing.
#[allow(clippy::print_stdout)]
fn small_commits(store: &Store) {
    for _ in 0..3 {
        let (begun, before) = (Instant::now(), store.syncs());
        let mut writer = store.writer("bench").expect("a writer");
        let rows = vec![(FileRow { path: b"x".to_vec(), ..FileRow::default() }, vec![])];
        let part = write_part(writer.stream(PART).expect("a segment"), rows, &[]).expect("a part");
        let mut catalogue = writer.catalogue().clone();
        catalogue.tables[0].segments.push(part);
        writer.commit(catalogue).expect("a commit");
        drop(writer);
        let (time, after) = (begun.elapsed(), store.syncs());
        println!(
            "commit     {:.2} ms, of which {} fsyncs {:.2} ms",
            time.as_secs_f64() * 1e3,
            after.count - before.count,
            (after.time - before.time).as_secs_f64() * 1e3
        );
    }
}

fn window(days: usize, random: &mut Random) -> (usize, Time) {
    let channel = random.below(CHANNELS as u64) as usize;
    (channel, Time(random.below(days as u64 * DAY_NS as u64) as i64))
}

#[allow(clippy::print_stdout)]
fn lookups(archive: &Archive, days: usize) {
    let codes: Vec<String> = (0..CHANNELS).map(|c| code(c).to_string()).collect();
    for name in ["lookup", "again"] {
        let mut random = Random(1);
        let mut ns = Vec::with_capacity(LOOKUPS);
        let mut found = 0;
        for _ in 0..LOOKUPS {
            let (channel, from) = window(days, &mut random);
            let begun = Instant::now();
            let places = archive.covering(&codes[channel], from, Time(from.0 + WINDOW_NS)).expect("places");
            ns.push(begun.elapsed().as_nanos());
            found += places.len();
        }
        ns.sort_unstable();
        let at = |part: f64| micros(ns[((ns.len() - 1) as f64 * part) as usize]);
        println!(
            "{name:<10} median {}, p99 {}, p99.9 {}, most {} ({found} found)",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        );
    }
}

#[allow(clippy::print_stdout)]
fn join(archive: &Archive, days: usize) {
    let codes: Vec<String> = (0..CHANNELS).map(|c| code(c).to_string()).collect();
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    let mut random = Random(2);
    let windows: Vec<Window> = (0..WINDOWS)
        .map(|_| {
            let (channel, from) = window(days, &mut random);
            Window { code: channel as u32, from, to: Time(from.0 + WINDOW_NS) }
        })
        .collect();
    let begun = Instant::now();
    let hits = archive.join_windows(&codes, &windows).expect("hits");
    println!("join       {WINDOWS} windows, {} hits: {:.3} s", hits.len(), begun.elapsed().as_secs_f64());
}

#[allow(clippy::print_stdout)]
fn records_of(archive: &Archive, days: usize) {
    let mut random = Random(3);
    let mut ns = vec![];
    for _ in 0..20_000 {
        let (channel, from) = window(days, &mut random);
        let to = Time(from.0 + WINDOW_NS);
        for place in archive.covering(&code(channel).to_string(), from, to).expect("places") {
            let begun = Instant::now();
            archive.records(place, (from, to)).expect("records");
            ns.push(begun.elapsed().as_nanos());
        }
    }
    ns.sort_unstable();
    println!("records    median {} of a window", micros(ns[ns.len() / 2]));
}

#[allow(clippy::print_stdout)]
fn files_of(archive: &Archive) {
    let begun = Instant::now();
    let (mut count, mut bytes) = (0_u64, 0);
    for part in &archive.parts {
        let mut files = part.files_from(0).expect("files");
        while let Some((_, path, signature)) = files.current() {
            count += 1;
            bytes += path.len() as u64 + signature.size % 2;
            files.advance().expect("files");
        }
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64() / 1e6;
    println!("files      {count} paths and signatures ({bytes} bytes): {rate:.1} M files/s");
}
