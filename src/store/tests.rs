//! Whole databases: round trips, faults at every call, flips of single bits, leases, many processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::builder::{LargeBinaryBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DurationNanosecondArray, Float32Array, Float64Array, Int64Array,
    NullArray, TimestampNanosecondArray, UInt64Array,
};
use xxhash_rust::xxh3::xxh3_64;

use super::dir::faulty::FaultyDir;
use super::segment::{Directory, Extent, Header};
use super::*;
use crate::limits::{BLOCK_BYTES, HEADER_BYTES};
use crate::model::table::{Batch, Column, Schema, Type};

/// A small generator of numbers that are the same in every run (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }
}

/// Rounds of the long tests: few by default, as many as STARQUAKE_ROUNDS says in the nightly run.
pub(super) fn rounds(default: usize) -> usize {
    std::env::var("STARQUAKE_ROUNDS").ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn schema() -> Schema {
    Schema::new(vec![
        Column::typed("id", Type::Int),
        Column::typed("ra", Type::Float).with_unit("deg"),
        Column::new("mag", arrow_schema::DataType::Float32).with_unit("mag"),
        Column::typed("name", Type::Text),
        Column::typed("good", Type::Bool),
        Column::typed("t", Type::Time),
        Column::typed("lag", Type::Duration),
        Column::new("cell", arrow_schema::DataType::UInt64),
        Column::new("map", arrow_schema::DataType::LargeBinary),
        Column::typed("nothing", Type::Null),
    ])
}

/// Rows `first..first + rows` of an endless table of every kind of column.
fn batch(first: usize, rows: usize) -> Batch {
    let ids = || (first..first + rows).map(|i| i as i64);
    let mut names = StringBuilder::new();
    let mut maps = LargeBinaryBuilder::new();
    for i in ids() {
        match i % 5 {
            0 => names.append_null(),
            _ => names.append_value(format!("Gaia DR3 {i} é")),
        }
        maps.append_value(vec![i as u8; (i % 13) as usize]);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids())),
        Arc::new(ids().map(|i| (i % 3 != 0).then_some(i as f64 * 0.1)).collect::<Float64Array>()),
        Arc::new(Float32Array::from_iter_values(
            ids().map(|i| if i % 1000 == 7 { f32::NAN } else { i as f32 }),
        )),
        Arc::new(names.finish()),
        Arc::new(ids().map(|i| (i % 7 != 0).then_some(i % 2 == 0)).collect::<BooleanArray>()),
        Arc::new(
            TimestampNanosecondArray::from_iter_values(ids().map(|i| i * 1_000_000_007)).with_timezone("UTC"),
        ),
        Arc::new(ids().map(|i| (i % 11 != 0).then_some(-i)).collect::<DurationNanosecondArray>()),
        Arc::new(UInt64Array::from_iter_values(ids().map(|i| i as u64 * 3))),
        Arc::new(maps.finish()),
        Arc::new(NullArray::new(rows)),
    ];
    Batch::try_new(schema().arrow(), columns).unwrap()
}

pub(super) fn temporary() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sqk");
    (folder, path)
}

fn segment(first: usize, rows: usize) -> SegmentBuilder {
    let blob: Vec<u8> = (0..1000 + rows).map(|i| (i * 7) as u8).collect();
    SegmentBuilder::new("rows")
        .batch(&batch(first, rows))
        .blob("tree", blob)
        .property("first", first.to_string())
}

/// Publishes a segment and commits a catalogue in which it follows (or replaces) the table's segments.
pub(super) fn add(writer: &mut Writer, first: usize, rows: usize, replace: bool) -> Result<u64> {
    let reference = writer.publish(segment(first, rows))?;
    let mut catalogue = writer.catalogue().clone();
    if catalogue.table("stars").is_none() {
        catalogue.tables.push(TableEntry { name: "stars".into(), schema: schema(), ..TableEntry::default() });
    }
    let table = catalogue.table_mut("stars").unwrap();
    if replace {
        table.segments.clear();
    }
    table.segments.push(reference);
    catalogue.settings.insert("rows".into(), rows.to_string());
    writer.commit(catalogue)
}

/// Reads every segment of a snapshot and compares each with what `batch` made: Ok(number of rows) when all is as it
/// was written, the first error otherwise. Panics on a wrong answer.
pub(super) fn read_all(snapshot: &Snapshot) -> Result<usize> {
    let mut rows = 0;
    for reference in snapshot.catalogue().segments() {
        let map = snapshot.segment(reference)?;
        let first: usize = reference.properties["first"].parse().unwrap();
        assert_eq!(map.all()?, batch(first, reference.rows as usize), "a silent wrong answer");
        assert_eq!(map.blob("tree")?.len(), 1000 + map.rows());
        assert!(map.blob("tree")?.iter().enumerate().all(|(i, b)| *b == (i * 7) as u8));
        for c in 0..map.schema().columns.len() {
            assert_eq!(map.zones(c)?, zones(batch(first, map.rows()).column(c)));
        }
        rows += map.rows();
    }
    Ok(rows)
}

pub(super) fn database(path: &Path, segments: &[usize]) -> Store {
    let store = Store::create(path).unwrap();
    let mut writer = store.writer("IMPORT").unwrap();
    let mut first = 0;
    for rows in segments {
        add(&mut writer, first, *rows, false).unwrap();
        first += rows;
    }
    store
}

/// Opens a database that does not wait for the disk: many tests do not pull the plug.
fn unsynced(path: &Path) -> Result<Store> {
    Store::open_in(Arc::new(FaultyDir::open(path)))
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(super) fn files_in(path: &Path) -> Vec<String> {
    let names = std::fs::read_dir(path).unwrap();
    let mut names: Vec<_> = names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_was_written_is_read() {
    let (_folder, path) = temporary();
    let store = database(&path, &[10_000, 1, 0, 70_000]);
    let again = Store::open(&path).unwrap();
    let snapshot = again.snapshot().unwrap();
    assert_eq!(snapshot.generation(), 5);
    assert_eq!(snapshot.catalogue(), store.snapshot().unwrap().catalogue());
    assert_eq!(read_all(&snapshot).unwrap(), 80_001);
    let table = snapshot.catalogue().table("STARS").unwrap();
    assert_eq!(table.schema, schema());
    let map = snapshot.segment(&table.segments[3]).unwrap();
    assert_eq!(map.schema(), schema());
    assert_eq!(map.properties()["first"], "10001");
    let whole = batch(10_001, 70_000);
    let mut random = Random(1);
    for _ in 0..200 {
        let start = random.below(70_001);
        let end = start + random.below(70_001 - start);
        let part = map.batch(&[3, 1, 4, 8, 9], start..end).unwrap();
        part.columns().iter().for_each(|c| c.to_data().validate_full().unwrap());
        assert_eq!(part, whole.project(&[3, 1, 4, 8, 9]).unwrap().slice(start, end - start));
    }
    assert_eq!(map.batch(&[], 3..10).unwrap().num_rows(), 7);
    assert!(map.batch(&[10], 0..1).is_err());
    assert!(map.batch(&[0], 0..70_001).is_err());
    assert!(map.blob("none").is_err());
    assert_eq!(map.blob("tree").unwrap().as_ptr().align_offset(64), 0);
    assert_eq!(map.blob_buffer("tree").unwrap().as_slice(), map.blob("tree").unwrap());
    let report = again.check().unwrap();
    assert!(report.damaged.is_empty() && report.is_manifest_checked, "{report:?}");
    assert_eq!(report.files, 4);
}

#[test]
fn slices_and_several_batches_are_stored_as_rows() {
    let (_folder, path) = temporary();
    let store = Store::create(&path).unwrap();
    let writer = store.writer("IMPORT").unwrap();
    let big = batch(0, 1000);
    let builder = SegmentBuilder::new("rows").batch(&big.slice(3, 500)).batch(&big.slice(503, 9));
    let reference = writer.publish(builder).unwrap();
    assert_eq!(writer.segment(&reference).unwrap().all().unwrap(), big.slice(3, 509));
    for rows in [0, 1, 7, 64, 65] {
        let reference = writer.publish(SegmentBuilder::new("rows").batch(&big.slice(13, rows))).unwrap();
        assert_eq!(writer.segment(&reference).unwrap().all().unwrap(), big.slice(13, rows));
    }
    let lists = Column::new("l", arrow_schema::DataType::Date32);
    let refused = writer.publish(SegmentBuilder::new("rows").batch(&Schema::new(vec![lists]).empty()));
    assert!(refused.is_err_and(|e| e.to_string().contains("column `l` has type Date32")));
    assert!(writer.publish(SegmentBuilder::new("../x")).is_err());
}

#[test]
fn content_does_not_depend_on_the_layout() {
    let hash = |batches: &[Batch]| {
        let mut hash = ContentHash::new(&schema());
        batches.iter().for_each(|b| hash.update(b).unwrap());
        hash.finish()
    };
    let whole = batch(0, 10_000);
    let want = hash(std::slice::from_ref(&whole));
    assert_eq!(hash(&[whole.slice(0, 4999), whole.slice(4999, 1), whole.slice(5000, 5000)]), want);
    let (_folder, path) = temporary();
    let store = database(&path, &[10_000]);
    let snapshot = store.snapshot().unwrap();
    let map = snapshot.segment(&snapshot.catalogue().tables[0].segments[0]).unwrap();
    assert_eq!(hash(&[map.all().unwrap()]), want);
    assert_ne!(hash(&[whole.slice(0, 9999)]), want);
    assert_ne!(hash(&[batch(1, 10_000)]), want);
    let mut columns = ContentHash::new(&schema());
    assert!(columns.update(&whole.project(&[0]).unwrap()).is_err());
}

#[test]
fn opening_what_is_no_database_says_so() {
    let (folder, path) = temporary();
    let error = |result: Result<Store>| result.map(|_| ()).unwrap_err().to_string();
    assert!(error(Store::open(&path)).contains("there is no database"));
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(error(Store::open(&file)).contains("is a file"));
    assert!(error(Store::open(folder.path())).contains("is not a database"));
    assert!(error(Store::create(folder.path())).contains("holds `file`"));
    database(&path, &[10]);
    assert!(error(Store::create(&path)).contains("is a database already"));
    let mut record = std::fs::read(path.join(SNAPSHOT)).unwrap();
    record[8] = 3;
    std::fs::write(path.join(SNAPSHOT), record).unwrap();
    assert!(matches!(Store::open(&path), Err(Error::Version { found: 3, .. })));
}

#[test]
fn the_second_writer_is_told_who_holds_the_lock() {
    let (_folder, path) = temporary();
    let store = database(&path, &[10]);
    let writer = store.writer("REFRESH gaia\nsecond line").unwrap();
    let Err(Error::Locked { holder, .. }) = Store::open(&path).unwrap().writer("IMPORT") else {
        panic!("locked")
    };
    assert!(holder.starts_with(&format!("pid {}, host ", std::process::id())), "{holder}");
    assert!(holder.ends_with("statement REFRESH gaia"), "{holder}");
    assert!(!Store::open(&path).unwrap().check().unwrap().is_manifest_checked);
    drop(writer);
    assert!(store.writer("IMPORT").is_ok());
}

#[test]
fn a_lease_keeps_old_segments() {
    let (_folder, path) = temporary();
    let store = database(&path, &[100]);
    let old = store.snapshot().unwrap();
    let kept = old.catalogue().tables[0].segments[0].file.clone();
    let mut writer = store.writer("IMPORT").unwrap();
    for round in 0..3 {
        add(&mut writer, 1000 * round, 50, true).unwrap();
    }
    let files = files_in(&path.join(SEGMENTS));
    assert!(files.contains(&kept) && files.len() == 2, "{files:?}");
    assert_eq!(files_in(&path.join(SNAPSHOTS)), ["2", "5"]);
    let other = Store::open(&path).unwrap();
    assert_eq!(read_all(&other.snapshot().unwrap()).unwrap(), 50);
    assert_eq!(read_all(&old).unwrap(), 100, "opened only now, from a leased generation");
    let batch_of_old = store.inner.segment(&old.catalogue().tables[0].segments[0]).unwrap().all().unwrap();
    drop(old);
    add(&mut writer, 0, 50, true).unwrap();
    assert!(!files_in(&path.join(SEGMENTS)).contains(&kept));
    assert_eq!(files_in(&path.join(SNAPSHOTS)), ["6"]);
    assert_eq!(batch_of_old, batch(0, 100), "a batch outlives its file");
}

#[test]
fn orphans_go_and_strangers_stay() {
    let (_folder, path) = temporary();
    let store = database(&path, &[100]);
    let writer = store.writer("IMPORT").unwrap();
    let orphan = writer.publish(segment(0, 10)).unwrap();
    drop(writer);
    std::fs::write(path.join("segments/000000000099-rows.seg.tmp"), "half").unwrap();
    std::fs::write(path.join("segments/notes.txt"), "mine").unwrap();
    std::fs::write(path.join("tmp/spill"), "x").unwrap();
    assert!(path.join(SEGMENTS).join(&orphan.file).exists());
    let mut writer = store.writer("IMPORT").unwrap();
    assert_eq!(files_in(&path.join(SEGMENTS)), ["000000000000-rows.seg", "notes.txt"]);
    assert!(files_in(&path.join(TMP)).is_empty());
    let pending = writer.publish(segment(500, 5)).unwrap();
    add(&mut writer, 100, 10, false).unwrap();
    assert!(path.join(SEGMENTS).join(&pending.file).exists(), "a commit leaves what is not yet committed");
    let mut catalogue = writer.catalogue().clone();
    catalogue.tables[0].segments.push(SegmentRef { file: "000000000050-rows.seg".into(), ..pending.clone() });
    assert!(writer.commit(catalogue).unwrap_err().to_string().contains("[I9]"));
    let mut catalogue = writer.catalogue().clone();
    catalogue.tables[0].segments.push(pending);
    writer.commit(catalogue).unwrap();
    assert!(writer.commit(Catalogue::default()).is_err(), "an edited copy of an older catalogue");
}

#[test]
fn a_renamed_database_answers_while_open_and_after() {
    let (folder, path) = temporary();
    let store = database(&path, &[100, 200]);
    let moved = folder.path().join("moved.sqk");
    std::fs::rename(&path, &moved).unwrap();
    assert_eq!(read_all(&store.snapshot().unwrap()).unwrap(), 300);
    add(&mut store.writer("IMPORT").unwrap(), 0, 7, true).unwrap();
    assert_eq!(read_all(&Store::open(&moved).unwrap().snapshot().unwrap()).unwrap(), 7);
}

#[test]
fn snapshot_and_manifest_are_brought_together() {
    let (folder, path) = temporary();
    let store = database(&path, &[100]);
    let old = folder.path().join("old.sqk");
    copy(&path, &old);
    add(&mut store.writer("IMPORT").unwrap(), 100, 50, false).unwrap();

    // Older, damaged or missing: written again.
    for damage in [Some(std::fs::read(old.join(SNAPSHOT)).unwrap()), Some(b"rubbish".to_vec()), None] {
        match &damage {
            Some(bytes) => std::fs::write(path.join("other"), bytes).unwrap(),
            None => std::fs::remove_file(path.join(SNAPSHOT)).unwrap(),
        }
        if damage.is_some() {
            std::fs::rename(path.join("other"), path.join(SNAPSHOT)).unwrap();
        }
        drop(Store::open(&path).unwrap().writer("IMPORT").unwrap());
        assert_eq!(read_all(&Store::open(&path).unwrap().snapshot().unwrap()).unwrap(), 150, "{damage:?}");
    }
    // Newer: refused by name.
    let newer = folder.path().join("newer.sqk");
    copy(&path, &newer);
    std::fs::copy(old.join(manifest::MANIFEST), newer.join(manifest::MANIFEST)).unwrap();
    let error = Store::open(&newer).unwrap().writer("IMPORT").unwrap_err().to_string();
    assert!(error.contains("or a file of another copy"), "{error}");
    std::fs::copy(old.join(LOCK), newer.join(LOCK)).unwrap();
    let error = Store::open(&newer).unwrap().writer("IMPORT").unwrap_err().to_string();
    assert!(error.contains("is of generation 3, the manifest beside it of 2"), "{error}");
    std::fs::remove_file(newer.join(manifest::MANIFEST)).unwrap();
    assert!(Store::open(&newer).unwrap().writer("IMPORT").is_err());
}

#[test]
fn a_damaged_manifest_is_made_anew_from_the_snapshot() {
    let (_folder, path) = temporary();
    let store = database(&path, &[100, 20]);
    let file = path.join(manifest::MANIFEST);
    for damage in [Some(&b"rubbish"[..]), Some(b""), None] {
        match damage {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        assert_eq!(store.check().unwrap().damaged.len(), 1);
        assert!(matches!(store.writer("IMPORT"), Err(Error::Damaged { .. })));
        assert_eq!(store.rebuild_manifest().unwrap(), 3);
        assert!(store.check().unwrap().damaged.is_empty());
    }
    let mut writer = store.writer("IMPORT").unwrap();
    assert!(matches!(store.rebuild_manifest(), Err(Error::Locked { .. })));
    assert_eq!(add(&mut writer, 120, 5, false).unwrap(), 4);
    assert_eq!(read_all(&store.snapshot().unwrap()).unwrap(), 125);
}

#[test]
fn a_fifo_in_the_place_of_a_file_does_not_hang() {
    let (_folder, path) = temporary();
    let store = database(&path, &[10]);
    let snapshot = store.snapshot().unwrap();
    let reference = snapshot.catalogue().tables[0].segments[0].clone();
    for file in [path.join(SEGMENTS).join(&reference.file), path.join(SNAPSHOT)] {
        std::fs::remove_file(&file).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    }
    assert!(matches!(snapshot.segment(&reference), Err(Error::Damaged { .. })));
    assert!(Store::open(&path).unwrap().snapshot().is_err());
}

#[test]
fn handles_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Store>();
    crosses::<Snapshot>();
    crosses::<Writer>();
    crosses::<SegmentMap>();
}

/// In a copy the hard link of the newest generation is a file of its own: a lease on `snapshot` must still hold.
#[test]
fn a_lease_holds_in_a_copied_database() {
    let (folder, path) = temporary();
    database(&path, &[100]);
    let copied = folder.path().join("copied.sqk");
    copy(&path, &copied);
    let store = Store::open(&copied).unwrap();
    let lease = store.snapshot().unwrap();
    add(&mut store.writer("IMPORT").unwrap(), 0, 5, true).unwrap();
    add(&mut store.writer("IMPORT").unwrap(), 0, 6, true).unwrap();
    assert_eq!(read_all(&lease).unwrap(), 100);
}

#[test]
fn jobs_are_kept_and_removed() {
    let (_folder, path) = temporary();
    let store = database(&path, &[10]);
    let mut writer = store.writer("CORRELATE").unwrap();
    assert_eq!(writer.job("c1").unwrap(), None);
    writer.set_job("c1", Some(b"checkpoint")).unwrap();
    drop(writer);
    let mut writer = store.writer("CORRELATE").unwrap();
    assert_eq!(writer.job("c1").unwrap().as_deref(), Some(&b"checkpoint"[..]));
    assert_eq!(writer.jobs().unwrap(), ["c1"]);
    writer.set_job("c1", None).unwrap();
    assert_eq!(writer.jobs().unwrap(), Vec::<String>::new());
}

/// The statement that is broken at every call: it adds 60 rows to 100.
fn statement(dir: Arc<dyn Dir>) -> Result<()> {
    let store = Store::open_in(dir)?;
    store.snapshot()?;
    let mut writer = store.writer("IMPORT")?;
    writer.set_job("j", Some(b"half"))?;
    add(&mut writer, 100, 60, false)?;
    Ok(())
}

#[test]
fn a_fault_at_any_call_leaves_the_last_commit() {
    let (folder, path) = temporary();
    database(&path, &[100]);
    let broken = folder.path().join("broken.sqk");
    for stays_dead in [true, false] {
        let (mut before, mut after) = (0, 0);
        for call in 1.. {
            copy(&path, &broken);
            let dir = Arc::new(FaultyDir::open(&broken));
            dir.fail_at(call, stays_dead);
            let result = statement(dir.clone());
            if dir.calls() < call {
                result.unwrap();
                assert!(before > 20 && after > 2, "{before} faults before the commit point, {after} after");
                break;
            }
            let last = dir.log().last().cloned();
            let place = || format!("call {call}, last {last:?}, stays dead: {stays_dead}");
            let store = unsynced(&broken).unwrap_or_else(|e| panic!("{}: {e}", place()));
            let seen = read_all(&store.snapshot().unwrap()).unwrap_or_else(|e| panic!("{}: {e}", place()));
            assert!(seen == 100 || seen == 160, "{}", place());
            assert!(result.is_err() || seen == 160, "acknowledged and lost: {}", place());
            let mut writer = store.writer("IMPORT").unwrap_or_else(|e| panic!("{}: {e}", place()));
            let rows = read_all(&store.snapshot().unwrap()).unwrap();
            assert!(rows == 160 || (rows == 100 && seen == 100), "{}", place());
            assert_eq!(files_in(&broken.join(SEGMENTS)).len(), rows.div_ceil(60) - 1, "{}", place());
            *if rows == 100 { &mut before } else { &mut after } += 1;
            add(&mut writer, 0, 7, true).unwrap_or_else(|e| panic!("{}: {e}", place()));
            assert_eq!(read_all(&store.snapshot().unwrap()).unwrap(), 7);
        }
    }
}

/// A creation that is cut off can be begun again.
#[test]
fn a_fault_while_creating_leaves_no_half_database() {
    for call in 1.. {
        let (_folder, path) = temporary();
        std::fs::create_dir(&path).unwrap();
        let dir = Arc::new(FaultyDir::open(&path));
        dir.fail_at(call, true);
        let result = Store::create_in(dir.clone()).map(|_| ());
        if dir.calls() < call {
            return result.unwrap();
        }
        let made = unsynced(&path).and_then(|s| s.snapshot()).is_ok();
        assert!(result.is_err() || made, "call {call}");
        let store = match path.join(SNAPSHOT).exists() {
            true => unsynced(&path),
            false => Store::create_in(Arc::new(FaultyDir::open(&path))),
        };
        let mut writer = store.unwrap().writer("IMPORT").unwrap();
        assert_eq!(add(&mut writer, 0, 5, false).unwrap(), 2, "call {call}");
    }
}

/// Everything a reader can ask; Ok is only returned for the right answers.
fn read_database(path: &Path, want: &Catalogue) -> Result<()> {
    let store = Store::open(path)?;
    let snapshot = store.snapshot()?;
    assert_eq!(snapshot.catalogue(), want, "a silent wrong answer");
    read_all(&snapshot).map(|_| ())
}

#[test]
fn single_flips_and_cuts_are_found_by_readers() {
    let (_folder, path) = temporary();
    let store = database(&path, &[3000, 20]);
    let want = store.snapshot().unwrap().catalogue().clone();
    drop(store);
    let mut random = Random(7);
    let mut files: Vec<PathBuf> = want.segments().map(|s| path.join(SEGMENTS).join(&s.file)).collect();
    files.push(path.join(SNAPSHOT));
    let mut found = 0;
    for round in 0..rounds(1000) {
        let file = &files[round % files.len()];
        let whole = std::fs::read(file).unwrap();
        let mut bad = whole.clone();
        match round % 10 {
            0 => bad.truncate(random.below(bad.len())),
            _ => bad[random.below(whole.len())] ^= 1 << random.below(8),
        }
        std::fs::write(file, &bad).unwrap();
        let error = read_database(&path, &want).expect_err("every byte is under a checksum");
        assert!(matches!(error, Error::Damaged { .. } | Error::Version { .. }), "{error}");
        found += 1;
        std::fs::write(file, &whole).unwrap();
    }
    assert_eq!(found, rounds(1000));
    read_database(&path, &want).unwrap();
}

#[test]
fn single_flips_of_the_manifest_are_found_or_harmless() {
    let (_folder, path) = temporary();
    database(&path, &[30]);
    let store = unsynced(&path).unwrap();
    let want = store.snapshot().unwrap().catalogue().clone();
    let file = path.join(manifest::MANIFEST);
    let whole = std::fs::read(&file).unwrap();
    let mark = std::fs::read(path.join(LOCK)).unwrap();
    assert!(mark.starts_with(b"closed "));
    let used: Vec<usize> = (0..whole.len()).filter(|i| whole[*i] != 0).collect();
    let mut random = Random(11);
    let (mut refused, mut harmless) = (0, 0);
    for round in 0..rounds(200) {
        let mut bad = whole.clone();
        // Three quarters of the file are empty pages: every other flip hits a byte that is used.
        let byte = if round % 2 == 0 { used[random.below(used.len())] } else { random.below(whole.len()) };
        bad[byte] ^= 1 << random.below(8);
        std::fs::write(&file, &bad).unwrap();
        let is_closed = round % 4 < 2;
        if !is_closed {
            // As after a kill: without the mark [I25] the checks are redb's and those of each value.
            std::fs::write(path.join(LOCK), "pid 1\n").unwrap();
        }
        match store.writer("IMPORT") {
            Ok(writer) => {
                assert_eq!(writer.catalogue(), &want, "byte {byte}");
                assert!(!is_closed, "byte {byte}: every byte is under the mark");
                harmless += 1;
            }
            Err(Error::Damaged { .. } | Error::Refused { .. } | Error::Version { .. }) => refused += 1,
            Err(other) => panic!("byte {byte}: {other}"),
        }
        std::fs::write(path.join(LOCK), &mark).unwrap();
        assert_eq!(store.snapshot().unwrap().catalogue(), &want, "readers do not depend on the manifest");
    }
    assert!(refused > 0 && harmless > 0, "{refused} refused, {harmless} harmless");
}

/// Rewrites a segment so that all checksums agree with changed contents, as a forger would.
fn forge(whole: &[u8], change: impl FnOnce(&mut Directory, &mut Vec<u8>)) -> Vec<u8> {
    let (mut header, _) = Header::decode(&whole[..HEADER_BYTES], whole.len() as u64).unwrap();
    let start = header.directory.offset as usize;
    let archive = &whole[start..start + header.directory.bytes as usize];
    let mut aligned = rkyv::util::AlignedVec::<16>::new();
    aligned.extend_from_slice(archive);
    let mut directory = rkyv::from_bytes::<Directory, rkyv::rancor::Error>(&aligned).unwrap();
    let mut bytes = whole[..start].to_vec();
    change(&mut directory, &mut bytes);
    let archive = rkyv::to_bytes::<rkyv::rancor::Error>(&directory).unwrap();
    bytes.extend_from_slice(&archive);
    seal(bytes, &mut header, archive.len())
}

fn seal(mut bytes: Vec<u8>, header: &mut Header, directory_bytes: usize) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let table: Vec<u8> =
        bytes[HEADER_BYTES..].chunks(BLOCK_BYTES).flat_map(|b| xxh3_64(b).to_le_bytes()).collect();
    header.directory.bytes = directory_bytes as u64;
    header.table_offset = bytes.len() as u64;
    header.blocks = table.len() as u64 / 8;
    header.table_checksum = xxh3_64(&table);
    bytes.extend_from_slice(&table);
    header.file_bytes = bytes.len() as u64;
    bytes[..HEADER_BYTES].copy_from_slice(&header.encode().0);
    bytes
}

/// Opens forged bytes under a reference that agrees, and reads all of it.
fn read_forged(path: &Path, bytes: &[u8], rows: u64) -> Result<Batch> {
    let file = "000000000900-rows.seg";
    std::fs::write(path.join(SEGMENTS).join(file), bytes).unwrap();
    let checksum = u64::from_le_bytes(bytes[HEADER_BYTES - 8..HEADER_BYTES].try_into().unwrap());
    let reference =
        SegmentRef { file: file.into(), rows, bytes: bytes.len() as u64, checksum, ..SegmentRef::default() };
    let dir = RealDir::open(path).unwrap();
    let map = SegmentMap::open(&dir, &reference)?;
    map.blob("tree")?;
    (0..map.schema().columns.len()).try_for_each(|c| map.zones(c).map(|_| ()))?;
    map.batch(&(0..map.schema().columns.len()).collect::<Vec<_>>(), 10..map.rows())?;
    map.all()
}

#[test]
fn forged_directories_are_errors() {
    type Change = fn(&mut Directory, &mut Vec<u8>);
    let (_folder, path) = temporary();
    let store = database(&path, &[500]);
    let reference = store.snapshot().unwrap().catalogue().tables[0].segments[0].clone();
    let whole = std::fs::read(path.join(SEGMENTS).join(&reference.file)).unwrap();
    assert_eq!(read_forged(&path, &forge(&whole, |_, _| {}), 500).unwrap(), batch(0, 500));
    const CASES: &[(&str, Change)] = &[
        ("values far outside", |d, _| d.columns[0].values.offset = 1 << 40),
        ("values whose end overflows", |d, _| d.columns[0].values.offset = u64::MAX - 63),
        ("values in the header page", |d, _| d.columns[0].values.offset = 0),
        ("values that are not aligned", |d, _| d.columns[0].values.offset += 8),
        ("values too short", |d, _| d.columns[0].values.bytes -= 8),
        ("values too long", |d, _| d.columns[0].values.bytes += 8),
        ("validity too short", |d, _| d.columns[1].validity.bytes -= 1),
        ("bits too short", |d, _| d.columns[4].values.bytes -= 1),
        ("offsets too few", |d, _| d.columns[3].offsets.bytes -= 4),
        ("offsets absent", |d, _| d.columns[3].offsets = Extent::default()),
        ("texts cut", |d, _| d.columns[3].values.bytes = 10),
        ("zones too short", |d, _| d.columns[0].zones.bytes = 8),
        ("a blob outside", |d, _| d.blobs[0].extent.bytes = 1 << 50),
        ("more rows than values", |d, _| d.rows += 1),
        ("a text column read as another", |d, _| d.columns.swap(3, 8)),
        ("a column less", |d, _| d.columns.truncate(3)),
        ("an offset that falls", |d, b| b[d.columns[3].offsets.offset as usize + 80] = 0xff),
        ("an offset below zero", |d, b| b[d.columns[3].offsets.offset as usize + 3] = 0xff),
        ("a last offset outside", |d, b| {
            b[(d.columns[3].offsets.offset + d.columns[3].offsets.bytes) as usize - 1] = 0x7f;
        }),
        ("a byte that is not UTF-8", |d, b| b[d.columns[3].values.offset as usize + 1] = 0xff),
        ("a character cut by an offset", |d, b| {
            // "Gaia DR3 1 é": the second text begins one byte early
            b[d.columns[3].offsets.offset as usize + 8] -= 1;
        }),
    ];
    for (name, change) in CASES {
        let error = read_forged(&path, &forge(&whole, change), 500).expect_err(name);
        assert!(matches!(error, Error::Damaged { .. }), "{name}: {error}");
    }
}

/// Random bytes under right checksums: an error, or arrays that Arrow's own full validation accepts.
#[test]
fn forged_bytes_never_make_invalid_arrays() {
    let (_folder, path) = temporary();
    let store = database(&path, &[500]);
    let reference = store.snapshot().unwrap().catalogue().tables[0].segments[0].clone();
    let whole = std::fs::read(path.join(SEGMENTS).join(&reference.file)).unwrap();
    let (header, _) = Header::decode(&whole[..HEADER_BYTES], whole.len() as u64).unwrap();
    let directory = header.directory.offset as usize..header.table_offset as usize;
    let mut random = Random(3);
    let (mut errors, mut valid) = (0, 0);
    for round in 0..rounds(1000) {
        let mut bytes = whole[..directory.end].to_vec();
        for _ in 0..1 + random.below(4) {
            let range = if round % 2 == 0 { directory.clone() } else { HEADER_BYTES..directory.end };
            bytes[range.start + random.below(range.len())] = random.below(256) as u8;
        }
        let bytes = seal(bytes, &mut header.clone(), header.directory.bytes as usize);
        match read_forged(&path, &bytes, 500) {
            Ok(batch) => {
                batch.columns().iter().for_each(|c| c.to_data().validate_full().unwrap());
                valid += 1;
            }
            Err(Error::Damaged { .. }) => errors += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(errors > 100 && valid > 100, "{errors} errors, {valid} valid");
}

/// A generation of this database is right when its table has the rows its setting says.
fn read_one_generation(store: &Store) -> u64 {
    let snapshot = store.snapshot().unwrap();
    let rows = read_all(&snapshot).unwrap();
    let want: BTreeMap<_, _> = snapshot.catalogue().settings.clone();
    assert_eq!(rows.to_string(), want["rows"], "mixed generations");
    snapshot.generation()
}

/// The reader of the next test, in a process of its own: reads until the file named by the variable is there.
#[test]
fn reader_process() {
    let Ok(path) = std::env::var("STARQUAKE_TEST_READER") else { return };
    let path = PathBuf::from(path);
    let stop = path.with_extension("stop");
    let store = Store::open(&path).unwrap();
    let (mut reads, mut generations) = (0, std::collections::BTreeSet::new());
    while !stop.exists() {
        generations.insert(read_one_generation(&store));
        generations.insert(read_one_generation(&Store::open(&path).unwrap()));
        reads += 2;
    }
    eprintln!("{reads} reads of {} generations", generations.len());
    assert!(generations.len() > 1);
}

#[test]
fn readers_in_threads_and_processes_see_whole_generations() {
    let (_folder, path) = temporary();
    let store = Store::create(&path).unwrap();
    add(&mut store.writer("IMPORT").unwrap(), 0, 40, true).unwrap();
    let children: Vec<_> = (0..2)
        .map(|_| {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "store::tests::reader_process", "--nocapture"])
                .env("STARQUAKE_TEST_READER", &path)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    read_one_generation(&store);
                }
            });
        }
        let written = (0..rounds(60)).try_for_each(|round| {
            let mut writer = store.writer("REFRESH")?;
            add(&mut writer, round * 3, 40 + round % 50, true).map(|_| ())
        });
        done.store(true, Ordering::Relaxed);
        written.unwrap();
    });
    std::fs::write(path.with_extension("stop"), "").unwrap();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    drop(store.writer("IMPORT").unwrap());
    assert_eq!(files_in(&path.join(SNAPSHOTS)).len(), 1, "killed and finished readers leave nothing");
}

/// A statement that commits one segment: `lock`, segment, its directory, manifest, snapshot, directory.
#[test]
fn a_commit_waits_six_times_for_the_disk() {
    let (_folder, path) = temporary();
    database(&path, &[10]);
    let dir = Arc::new(dir::faulty::FaultyDir::open(&path));
    let store = Store::of(dir.clone());
    let mut writer = store.writer("refresh").unwrap();
    let mut stream = writer.stream("part").unwrap();
    stream.blob("x", b"y").unwrap();
    let part = stream.finish(1).unwrap();
    let mut catalogue = writer.catalogue().clone();
    catalogue.tables.push(TableEntry { name: "w".into(), segments: vec![part], ..TableEntry::default() });
    writer.commit(catalogue).unwrap();
    drop(writer);
    let log = dir.log();
    let syncs: Vec<&String> = log.iter().filter(|call| call.starts_with("sync")).collect();
    assert_eq!(syncs.len(), 6, "{log:?}");
}
