#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::format::waveform::{Encoding, Record, sample_time};
use crate::index::time::{decode_records, encode_records};
use crate::model::time::Time;
use crate::store::{SegmentRef, Store, TableEntry};

type Rows = Vec<(FileRow, Vec<SegmentRow>)>;

const ALL: (Time, Time) = (Time(i64::MIN), Time(i64::MAX));

/// A database with one part for each list of files; `dead` says which files of which part the last one replaces.
struct Built {
    _dir: TempDir,
    store: Store,
    refs: Vec<SegmentRef>,
}

impl Built {
    fn new(parts: Vec<Rows>, dead: Vec<(usize, Vec<u32>)>) -> Built {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path().join("a.sqk")).unwrap();
        let mut writer = store.writer("test").unwrap();
        let mut refs: Vec<SegmentRef> = vec![];
        let last = parts.len() - 1;
        for (number, rows) in parts.into_iter().enumerate() {
            let list = |d: &(usize, Vec<u32>)| (part_name(&refs[d.0]).to_owned(), d.1.clone());
            let dead: Vec<_> = if number == last { dead.iter().map(list).collect() } else { vec![] };
            refs.push(write_part(writer.stream(PART).unwrap(), rows, &dead).unwrap());
        }
        commit(&mut writer, refs.clone());
        drop(writer);
        Built { _dir: dir, store, refs }
    }

    fn open(&self) -> Result<Archive> {
        let snapshot = self.store.snapshot()?;
        Archive::open(snapshot.catalogue(), &snapshot)
    }
}

fn commit(writer: &mut crate::store::Writer, segments: Vec<SegmentRef>) {
    let mut catalogue = writer.catalogue().clone();
    catalogue.tables = vec![TableEntry { name: ARCHIVE_TABLE.to_owned(), segments, ..TableEntry::default() }];
    writer.commit(catalogue).unwrap();
}

/// Everything of the living files, in the order of the parts, without numbers that depend on them.
fn content(archive: &Archive) -> BTreeMap<Vec<u8>, (String, Vec<String>)> {
    let mut found = BTreeMap::new();
    for part in &archive.parts {
        let mut files = part.files_from(0).unwrap();
        while let Some((file, path, signature)) = files.current() {
            let (path, signature) = (path.to_vec(), *signature);
            let row = part.file(file).unwrap();
            assert_eq!(files.row().unwrap(), row);
            assert_eq!(part.path(file).unwrap(), path);
            assert_eq!((signature.size, signature.inode), (row.size, row.inode));
            if part.is_alive(file) {
                assert!(found.insert(path, (format!("{row:?}"), vec![])).is_none(), "[I28]");
            }
            files.advance().unwrap();
        }
        for row in 0..part.segment_count() {
            let file = part.file_of(row).unwrap();
            if part.is_alive(file) {
                let path = part.path(file).unwrap();
                let mut segment = part.segment_row(row).unwrap();
                assert_eq!(segment.code_text(), part.code_text(part.channel_of(row).unwrap()).unwrap());
                segment.segment.stream = 0;
                found.get_mut(&path).unwrap().1.push(format!("{segment:?}"));
            }
        }
    }
    found.values_mut().for_each(|f| f.1.sort());
    found
}

fn content_of(rows: &Rows) -> BTreeMap<Vec<u8>, (String, Vec<String>)> {
    let one = |(file, segments): &(FileRow, Vec<SegmentRow>)| {
        let mut texts: Vec<String> = segments.iter().map(|s| format!("{s:?}")).collect();
        texts.sort();
        (file.path.clone(), (format!("{file:?}"), texts))
    };
    rows.iter().map(one).collect()
}

fn file(path: &str) -> FileRow {
    FileRow {
        path: path.as_bytes().to_vec(),
        format: "mseed2".to_owned(),
        state: "ok".to_owned(),
        ..FileRow::default()
    }
}

/// A segment of a channel; its end is `residual_ns` off what samples and rate tell.
fn segment(station: &str, start: i64, npts: u64, rate: f64, residual_ns: i64) -> SegmentRow {
    let code = ChannelCode::new("XX", station, "", "HHZ");
    let end = Time(sample_time(Time(start), npts, rate).0.saturating_add(residual_ns));
    let segment = Segment { start: Time(start), end, npts, sampling_rate: rate, ..Segment::default() };
    SegmentRow { source_id: write::fdsn_id(&code), code, segment, map: encode_records(&[]).unwrap() }
}

fn extreme() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), Just(u64::from(u32::MAX)), 0..5000_u64, any::<u64>()]
}

fn any_record() -> impl Strategy<Value = Record> {
    (extreme(), extreme(), any::<u32>(), any::<[u8; 4]>(), any::<u16>(), any::<bool>()).prop_map(
        |(offset, start, npts, bytes, flags, data_little_endian)| Record {
            offset,
            length: 512 + offset % 3,
            data_offset: npts / 3,
            stream: npts % 7,
            start: Time(start as i64),
            npts,
            sampling_rate: [0.0, 100.0, 1.0 / 3.0, f64::MAX][usize::from(bytes[0] % 4)],
            encoding: Encoding(bytes[1]),
            data_little_endian,
            quality: bytes[2],
            publication_version: bytes[3],
            flags,
        },
    )
}

fn any_segment() -> impl Strategy<Value = SegmentRow> {
    let rate = prop_oneof![Just(100.0), Just(0.0), Just(-0.0), Just(1e-9), any::<f64>()];
    let drift = prop_oneof![Just(0.0), Just(-0.0), -1e-3..1e-3, any::<f64>()];
    let numbers = [extreme(), extreme(), extreme(), extreme(), extreme()];
    (numbers, rate, drift, 0..5_usize, any::<[u8; 2]>(), any::<u16>(), records()).prop_map(
        |(
            [start, end, npts, byte_offset, bytes],
            sampling_rate,
            drift_s,
            channel,
            letters,
            flags,
            records,
        )| {
            let (code, source_id) = channels()[channel].clone();
            let segment = Segment {
                start: Time(start as i64),
                end: Time(end as i64),
                npts,
                sampling_rate,
                quality: letters[0],
                publication_version: letters[1],
                drift_s: (drift_s * 1e9).round() / 1e9,
                byte_offset,
                bytes,
                flags,
                ..Segment::default()
            };
            SegmentRow { code, source_id, segment, map: encode_records(&records).unwrap() }
        },
    )
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    prop_oneof![
        4 => prop::collection::vec(any_record(), 0..4),
        1 => prop::collection::vec(any_record(), 60..70),
        1 => Just((0..1100).map(|i| Record { offset: i * 512, length: 512, ..Record::default() }).collect()),
    ]
}

fn channels() -> Vec<(ChannelCode, String)> {
    let code = |s: &str| ChannelCode::new("XX", s, "00", "HHZ");
    vec![
        (code("A"), "FDSN:XX_A_00_H_H_Z".to_owned()),
        (code("A"), "another id".to_owned()),
        (code("Ö.x"), String::new()),
        (ChannelCode::default(), "no FDSN one".to_owned()),
        (ChannelCode::default(), String::new()),
    ]
}

fn any_file() -> impl Strategy<Value = FileRow> {
    let path = prop::collection::vec(prop_oneof![Just(b'/'), Just(b'a'), any::<u8>()], 0..12);
    let texts = (0..7_usize, prop::option::of(".{0,12}"), prop::option::of(extreme()));
    let numbers = [extreme(), extreme(), extreme(), extreme(), extreme(), extreme(), extreme()];
    (path, texts, numbers, any::<bool>()).prop_map(|(path, (name, reason, bad_offset), n, is_unsure)| {
        let states = ["ok", "partly", "unreadable", "other", "no_time", "unreachable", "né"];
        FileRow {
            path,
            size: n[0],
            mtime_ns: n[1] as i64,
            ctime_ns: n[2] as i64,
            inode: n[3],
            hash: n[4],
            is_unsure,
            format: ["mseed2", "", "sac"][name % 3].to_owned(),
            state: states[name].to_owned(),
            reason,
            bad_offset,
            records: n[5],
            bytes_skipped: n[6],
        }
    })
}

fn any_rows(files: usize) -> impl Strategy<Value = Rows> {
    let row = (any_file(), prop::collection::vec(any_segment(), 0..5));
    prop::collection::vec(row, 0..files).prop_map(|rows| {
        let by_path: BTreeMap<Vec<u8>, _> = rows.into_iter().map(|r| (r.0.path.clone(), r)).collect();
        by_path.into_values().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parts_give_back_their_rows(rows in any_rows(300), probe in any_file()) {
        let built = Built::new(vec![rows.clone()], vec![]);
        let archive = built.open().unwrap();
        prop_assert_eq!(content(&archive), content_of(&rows));
        let part = &archive.parts[0];
        let below = rows.iter().filter(|r| r.0.path < probe.path).count();
        prop_assert_eq!(part.lower_bound(&probe.path).unwrap() as usize, below);
        // [I26], and both ways to read a segment agree
        let mut before = None;
        part.each_segment(0..part.segment_count(), |row, file, segment| {
            let key = (segment.stream, segment.start, file, segment.byte_offset);
            assert!(before.is_none_or(|b| b <= key), "{before:?} {key:?}");
            before = Some(key);
            assert_eq!(format!("{segment:?}"), format!("{:?}", part.segment(row)?));
            let (row, records) = (part.segment_row(row)?, part.records(row, ALL)?);
            assert_eq!(format!("{records:?}"), format!("{:?}", decode_records(&row.map, ALL).unwrap()));
            Ok(())
        }).unwrap();
    }

    /// Merged parts hold what their living files held, and the rows are in order again.
    #[test]
    fn merging_loses_nothing(
        first in any_rows(150), second in any_rows(150),
        dead in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        // a path lives in one part only [I28]
        let second: Rows = second.into_iter().map(|mut r| { r.0.path.insert(0, b'b'); r }).collect();
        let first: Rows = first.into_iter().map(|mut r| { r.0.path.insert(0, b'a'); r }).collect();
        let mut dead: Vec<u32> = match first.len() {
            0 => vec![],
            count => dead.iter().map(|d| d.index(count) as u32).collect(),
        };
        dead.sort_unstable();
        dead.dedup();
        let living = first.iter().enumerate().filter(|f| !dead.contains(&(f.0 as u32))).map(|f| f.1.clone());
        let want: Rows = living.chain(second.clone()).collect();
        let built = Built::new(vec![first, second], vec![(0, dead)]);
        let archive = built.open().unwrap();
        prop_assert_eq!(content(&archive), content_of(&want));
        let (files, segments) = archive.counts().unwrap();
        prop_assert_eq!((files, segments), (want.len(), want.iter().map(|f| f.1.len()).sum()));
        let mut writer = built.store.writer("merge").unwrap();
        let parts: Vec<&Part> = archive.parts.iter().collect();
        let merged = merge_parts(&parts, writer.stream(PART).unwrap(), &|| Ok(())).unwrap();
        // the same rows make the same bytes, whether they come from files or from parts
        let fresh = write_part(writer.stream(PART).unwrap(), want.clone(), &[]).unwrap();
        prop_assert_eq!((merged.rows, merged.bytes), (fresh.rows, fresh.bytes));
        prop_assert_eq!(merged.checksum, fresh.checksum);
        commit(&mut writer, vec![merged]);
        drop(writer);
        prop_assert_eq!(content(&built.open().unwrap()), content_of(&want));
    }

    /// Lookups and joins against every row looked at.
    #[test]
    fn lookups_find_what_covers(
        stretches in prop::collection::vec(
            (0..3_usize, -2000..2000_i64, 0..300_u64, 0..4_usize, -3..4_i64, 0..40_u32, any::<bool>()), 1..900),
        windows in prop::collection::vec((0..4_u32, -2200..2400_i64, 0..50_i64), 1..40),
        dead in prop::collection::vec(0..20_u32, 0..6),
    ) {
        let stations = ["A", "B", "C", "D"];
        let mut parts: Vec<BTreeMap<u32, Vec<SegmentRow>>> = vec![BTreeMap::new(); 2];
        for &(station, start, npts, rate, residual_ns, file, is_second) in &stretches {
            let rate = [1e9, 0.5e9, 0.0, 3e8][rate];
            let row = segment(stations[station], start, npts, rate, residual_ns);
            parts[usize::from(is_second)].entry(file).or_default().push(row);
        }
        let rows = |part: &BTreeMap<u32, Vec<SegmentRow>>, name: &str| -> Rows {
            part.iter().map(|(f, s)| (file(&format!("{name}{f:03}")), s.clone())).collect()
        };
        let mut dead: Vec<u32> = dead.into_iter().filter(|&d| (d as usize) < parts[0].len()).collect();
        dead.sort_unstable();
        dead.dedup();
        let built = Built::new(vec![rows(&parts[0], "a"), rows(&parts[1], "b")], vec![(0, dead)]);
        let archive = built.open().unwrap();
        let oracle = |code: u32, from: i64, to: i64| {
            let mut found = vec![];
            for (number, part) in archive.parts.iter().enumerate() {
                for row in 0..part.segment_count() {
                    let s = part.segment(row).unwrap();
                    let is_inside = s.end.0 > from || (s.end == s.start && s.start.0 >= from);
                    let is_alive = part.is_alive(part.file_of(row).unwrap());
                    let station = &part.channels().unwrap()[s.stream as usize].0.station;
                    if is_alive && is_inside && s.start.0 < to && *station == stations[code as usize] {
                        found.push((s.start.0, SegmentPlace { part: number as u32, row: row as u32 }));
                    }
                }
            }
            found.sort_unstable();
            found
        };
        let codes = ["XX.A..HHZ", "XX.B..HHZ", "XX.C..HHZ", "XX.D..HHZ"];
        let mut want = vec![];
        let mut list = vec![];
        for (number, &(code, from, width)) in windows.iter().enumerate() {
            let (from, to) = (from, from + width);
            let found = oracle(code, from, to);
            let places = archive.covering(codes[code as usize], Time(from), Time(to)).unwrap();
            prop_assert_eq!(&places, &found.iter().map(|f| f.1).collect::<Vec<_>>(), "{} {}", from, to);
            want.extend(found.iter().map(|f| (f.1, number as u32)));
            list.push(Window { code, from: Time(from), to: Time(to) });
        }
        let hits = archive.join_windows(&codes, &list).unwrap();
        prop_assert!(hits.is_sorted_by_key(|h| (h.part, h.file, h.byte_offset)));
        let mut got: Vec<_> =
            hits.iter().map(|h| (SegmentPlace { part: h.part, row: h.row }, h.window)).collect();
        got.sort_unstable();
        want.sort_unstable();
        prop_assert_eq!(got, want);
    }

    /// What stands in a block is not believed: any content is an error or other rows.
    #[test]
    fn forged_blocks_do_not_panic(
        content in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0xff), any::<u8>()], 0..400),
        count in 0..128_usize,
    ) {
        let block = frame::Packer::new().unwrap().pack(&content).unwrap();
        prop_assert_eq!(frame::unpack(&block), Some(content));
        files::fuzz_blocks(&block, count);
        if let Some(cold) = cold::Cold::unpack(&block, count) {
            for at in 0..count + 1 {
                let _ = (cold.map(at), cold.fill(at, &mut Segment::default()), cold.residual_ns(at));
            }
        }
        let cut = block.len() / 2;
        let _ = frame::unpack(&block[..cut]);
    }
}

/// A long segment over many short ones, and more rates than codes.
#[test]
fn many_rates_and_long_segments() {
    let mut rows = vec![segment("A", 0, 1 << 40, 1000.0, 7)];
    for i in 0..70_000 {
        rows.push(segment("A", i64::from(i) * 10_000_000_000, 900, 100.0 + f64::from(i) / 1024.0, 0));
    }
    let want = content_of(&vec![(file("f"), rows.clone())]);
    let archive = Built::new(vec![vec![(file("f"), rows)]], vec![]);
    let archive = archive.open().unwrap();
    assert_eq!(content(&archive), want);
    let at = Time(650_000 * 1_000_000_000);
    let found = archive.covering("XX.A..HHZ", at, Time(at.0 + 1)).unwrap();
    assert_eq!(found.iter().map(|p| p.row).collect::<Vec<_>>(), [0, 65_001]);
}

/// The aims: 24 bytes a segment, 40 a file, 2.5 a record; for day files of many records, and for one record a file.
#[test]
fn parts_are_small() {
    for (files, segments, records) in [(4000_u32, 4_u32, 12_u32), (6000, 1, 1), (300, 1, 3000)] {
        let mut random = 1_u64;
        let mut next = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut rows: Rows = vec![];
        for f in 0..files {
            let code = ChannelCode::new("XX", &format!("S{:03}", f / 40), "00", "HHZ");
            let (mut list, mut offset) = (vec![], 0_u64);
            for s in 0..segments {
                let mut start = i64::from(f % 40) * 86_400_000_000_000 + i64::from(s) * 20_000_000_000_000;
                let mut of_segment = vec![];
                for _ in 0..records {
                    let record = Record {
                        offset,
                        length: 512,
                        data_offset: 64,
                        start: Time(start),
                        npts: 380 + next(40) as u32,
                        sampling_rate: 100.0,
                        encoding: Encoding::STEIM2,
                        quality: b'D',
                        publication_version: 2,
                        ..Record::default()
                    };
                    start = sample_time(record.start, u64::from(record.npts), 100.0).0;
                    offset += 512;
                    of_segment.push(record);
                }
                let npts: u64 = of_segment.iter().map(|r| u64::from(r.npts)).sum();
                let segment = Segment {
                    start: of_segment[0].start,
                    end: Time(start),
                    npts,
                    sampling_rate: 100.0,
                    quality: b'D',
                    publication_version: 2,
                    byte_offset: of_segment[0].offset,
                    bytes: u64::from(records) * 512,
                    ..Segment::default()
                };
                let map = encode_records(&of_segment).unwrap();
                let source_id = write::fdsn_id(&code);
                list.push(SegmentRow { code: code.clone(), source_id, segment, map });
            }
            let path = format!("2024/XX/S{:03}/HHZ.D/XX.S{:03}.00.HHZ.D.2024.{:03}", f / 40, f / 40, f % 40);
            let mtime_ns = 1_700_000_000_000_000_000 + i64::from(f) * 2_000_000 + next(1_000_000) as i64;
            rows.push((
                FileRow {
                    size: offset,
                    mtime_ns,
                    ctime_ns: mtime_ns + next(100_000) as i64,
                    inode: 1_000_000 + u64::from(f) + next(3),
                    hash: next(u64::MAX) << 32 ^ next(u64::MAX),
                    records: u64::from(records * segments),
                    ..file(&path)
                },
                list,
            ));
        }
        let built = Built::new(vec![rows], vec![]);
        let (files, segments) = (u64::from(files), u64::from(files * segments));
        let records = segments * u64::from(records);
        // a part has 4 KiB of header and some of directory, whatever it holds
        let bytes = built.refs[0].bytes - 8192;
        let most = 24 * segments + 40 * files + records * 5 / 2;
        eprintln!("{files} files, {segments} segments, {records} records: {bytes} bytes of {most}");
        assert!(bytes <= most, "{bytes} > {most}");
    }
}

/// Any byte of the file changed or cut off: an error, or the answer as it was.
#[test]
fn flips_and_cuts_are_seen() {
    let mut rows: Rows = (0..400)
        .map(|f| (file(&format!("d/{f:04}")), vec![segment("A", f * 1_000_000_000, 100, 100.0, f % 3)]))
        .collect();
    rows[7].1[0].map = encode_records(&vec![Record::default(); 900]).unwrap();
    let built = Built::new(vec![rows.clone()], vec![]);
    let want = content_of(&rows);
    let path = built.store.path().join("segments").join(&built.refs[0].file);
    let good = std::fs::read(&path).unwrap();
    let read = || -> Result<BTreeMap<_, _>> {
        // a store of its own: maps are kept
        let store = Store::open(built.store.path())?;
        let snapshot = store.snapshot()?;
        let archive = Archive::open(snapshot.catalogue(), &snapshot)?;
        let part = &archive.parts[0];
        for file in 0..part.file_count() as u32 {
            part.file(file)?;
        }
        part.each_segment(0..part.segment_count(), |row, _, _| part.segment_row(row).map(|_| ()))?;
        archive.covering("XX.A..HHZ", Time(0), Time(i64::MAX))?;
        Ok(content(&archive))
    };
    assert_eq!(read().unwrap(), want);
    for at in (0..good.len()).step_by(good.len() / 150) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        if let Ok(got) = read() {
            assert_eq!(got, want, "byte {at}");
        }
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(read().is_err(), "cut at {at}");
    }
}

/// The paths from a cursor on.
fn rest(mut cursor: Cursor<'_>) -> Vec<Vec<u8>> {
    let mut found = vec![];
    while let Some(path) = cursor.path() {
        found.push(path.to_vec());
        let (place, _) = cursor.file().unwrap().unwrap();
        assert!(found.is_sorted(), "{place:?}");
        cursor.advance().unwrap();
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_cursor_merges_seeks_and_skips(
        lists in prop::collection::vec(prop::collection::btree_set("[ab/]{1,4}", 0..9), 1..4),
        dead in prop::collection::vec(0_u32..9, 0..4),
        to in "[ab/]{0,3}",
    ) {
        // a path lives in one part only [I28]: the last one that has it; some rows of the first are dead besides
        let last = lists.len();
        let rows = |names: &std::collections::BTreeSet<String>| names.iter().map(|n| (file(n), vec![])).collect();
        let mut parts: Vec<Rows> = lists.iter().map(rows).collect();
        parts.push(vec![]);
        let replaced = |number: usize, names: &std::collections::BTreeSet<String>| {
            let later = |name: &String| lists.iter().skip(number + 1).any(|l| l.contains(name));
            let gone = |at: usize, name: &String| later(name) || (number == 0 && dead.contains(&(at as u32)));
            let rows = names.iter().enumerate().filter(|(at, name)| gone(*at, name));
            (number, rows.map(|(at, _)| at as u32).collect::<Vec<_>>())
        };
        let dead: Vec<_> = lists.iter().enumerate().map(|(number, names)| replaced(number, names)).collect();
        let mut all: Vec<Vec<u8>> = vec![];
        for ((_, dead), names) in dead.iter().zip(&lists) {
            let alive = names.iter().enumerate().filter(|(at, _)| !dead.contains(&(*at as u32)));
            all.extend(alive.map(|(_, name)| name.clone().into_bytes()));
        }
        all.sort();
        prop_assert_eq!(dead.len(), last);
        let built = Built::new(parts, dead.into_iter().filter(|(_, rows)| !rows.is_empty()).collect());
        let archive = built.open().unwrap();
        let source = archive.parts.first().map(|p| p.source.clone()).unwrap_or_default();
        let known = Known::new(&archive, &source);
        prop_assert_eq!(known.count(), all.len());
        prop_assert_eq!(&rest(known.cursor().unwrap()), &all);
        let mut cursor = known.cursor().unwrap();
        cursor.seek(to.as_bytes()).unwrap();
        let from: Vec<_> = all.iter().filter(|p| p.as_slice() >= to.as_bytes()).cloned().collect();
        prop_assert_eq!(rest(cursor), from);
        let mut prefix = to.clone().into_bytes();
        if !prefix.is_empty() { prefix.push(b'/') }
        let inside = all.iter().filter(|p| p.starts_with(&prefix)).count();
        prop_assert_eq!(known.has_below(to.as_bytes()).unwrap(), inside > 0);
        let mut cursor = known.cursor().unwrap();
        cursor.seek(&prefix).unwrap();
        prop_assert_eq!(cursor.skip_below(to.as_bytes()).unwrap(), inside);
        let after: Vec<_> =
            all.iter().filter(|p| p.as_slice() > prefix.as_slice() && !p.starts_with(&prefix)).cloned().collect();
        prop_assert_eq!(rest(cursor), after);
    }
}
