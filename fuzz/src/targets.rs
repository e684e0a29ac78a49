//! One function per parser. It must come back from any bytes; what it checks beyond that are the promises of the
//! parser: nothing outside the file, nothing that the bytes cannot support.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use starquake::error::Error;
use starquake::format::steim::{self, Version};
use starquake::format::{hypodd, quakeml, stationxml, table, waveform};
use starquake::index::time::{assemble, decode_records, encode_records};
use starquake::lang::parse;
use starquake::model::table::Batch;
use starquake::model::time::Time;
use starquake::store::{SegmentBuilder, SegmentRef, Store};

/// Bytes of a block of a segment file, and of its header page.
const BLOCK_BYTES: usize = 64 << 10;
const HEADER_BYTES: usize = 4096;

/// A directory of this thread, with one input file in it.
struct Place {
    dir: tempfile::TempDir,
    store: Option<Store>,
}

thread_local! {
    static PLACE: RefCell<Place> =
        RefCell::new(Place { dir: tempfile::tempdir().expect("a temporary directory"), store: None });
}

/// The input as a file.
fn in_file(data: &[u8], work: impl FnOnce(&Path)) {
    PLACE.with_borrow(|place| {
        let path = place.dir.path().join("input");
        fs::write(&path, data).expect("an input file");
        work(&path);
    });
}

fn waveform_file(data: &[u8]) {
    in_file(data, |path| {
        let scan = waveform::scan(path).expect("a regular file is always scanned");
        for record in &scan.records {
            let end = record.offset.checked_add(record.length).expect("no overflow");
            assert!(end <= data.len() as u64, "a record beyond the end of the file: {record:?}");
            assert!(u64::from(record.data_offset) <= record.length, "{record:?}");
            assert!((record.stream as usize) < scan.streams.len(), "{record:?}");
            assert!(record.sampling_rate >= 0.0, "{record:?}");
        }
        let far = (Time(i64::MIN), Time(i64::MAX));
        for segment in assemble(&scan) {
            assert!(segment.end >= segment.start, "{segment:?}");
            let records: Vec<_> = segment.records.iter().map(|i| scan.records[*i as usize]).collect();
            if let Ok(map) = encode_records(&records) {
                let decoded = decode_records(&map, far).expect("a map of our own");
                assert_eq!(decoded.len(), records.len());
            }
        }
        for record in scan.records.iter().take(64) {
            let most = (data.len() as u64).saturating_mul(8);
            if let Ok(pieces) = waveform::read(path, std::slice::from_ref(record)) {
                assert!(pieces.iter().all(|p| p.samples.len() as u64 <= most), "{record:?}");
            }
            let _ = waveform::read_samples(path, record, record.npts / 2, 10);
        }
    });
}

/// miniSEED 2 and 3: headers, segments, record map, samples.
pub fn mseed(data: &[u8]) {
    waveform_file(data);
    // The record map of the index comes from a file of ours, which is checked; its decoder trusts nothing anyway.
    let _ = decode_records(data, (Time(0), Time(i64::MAX)));
}

/// SAC, binary and text.
pub fn sac(data: &[u8]) {
    waveform_file(data);
}

/// Steim frames: flags, number of samples (16 bits), payload.
pub fn steim(data: &[u8]) {
    let Some((head, payload)) = data.split_first_chunk::<3>() else { return };
    let version = if head[0] & 1 == 0 { Version::Steim1 } else { Version::Steim2 };
    let (little_endian, count) = (head[0] & 2 != 0, usize::from(u16::from_le_bytes([head[1], head[2]])));
    let decoded = steim::decode(version, payload, count, little_endian);
    assert!(decoded.samples.len() <= count);
    assert!(decoded.samples.len() as u64 <= steim::capacity(version, payload.len() as u64));
    if let (Version::Steim2, true) = (version, decoded.samples.len() > 1) {
        let mut out = vec![];
        if let Ok((written, _)) = steim::encode(version, &decoded.samples, None, 64, &mut out) {
            let again = steim::decode(version, &out, written, false);
            assert_eq!(again.samples, decoded.samples[..written]);
        }
    }
}

/// QuakeML events and picks.
pub fn quakeml(data: &[u8]) {
    let _ = quakeml::sniff(data);
    let _ = quakeml::read(Path::new("input"), &mut &data[..]);
}

/// StationXML.
pub fn stationxml(data: &[u8]) {
    let _ = stationxml::sniff(data);
    let _ = stationxml::read(Path::new("input"), &mut &data[..]);
}

/// hypoDD phase, event and relocation files.
pub fn hypodd_phase(data: &[u8]) {
    let path = Path::new("input");
    let _ = (hypodd::phase::sniff(data), hypodd::event::sniff(data), hypodd::reloc::sniff(data));
    let _ = hypodd::phase::read(path, &mut &data[..]);
    let _ = hypodd::event::read(path, &mut &data[..]);
    let _ = hypodd::reloc::read(path, &mut &data[..]);
}

/// hypoDD station files and their relatives.
pub fn hypodd_station(data: &[u8]) {
    let _ = hypodd::station::sniff(data);
    let _ = hypodd::station::read(Path::new("input"), &mut &data[..]);
}

fn any_table(data: &[u8]) {
    in_file(data, |path| {
        let Ok(table) = table::open(path) else { return };
        let columns = table.schema.columns.len();
        for batch in table {
            let Ok(batch) = batch else { return };
            assert_eq!(batch.num_columns(), columns);
        }
    });
}

/// CSV and TSV tables.
pub fn csv(data: &[u8]) {
    any_table(data);
}

/// Parquet tables.
pub fn parquet(data: &[u8]) {
    any_table(data);
}

/// Query text: what parses is printed, and what is printed parses to the same.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse::script("input", text) {
        Ok(statements) => {
            for statement in statements {
                let printed = statement.to_string();
                let again = parse::statement("printed", &printed)
                    .unwrap_or_else(|d| panic!("{printed}: {}", d.message));
                assert_eq!(again.to_string(), printed);
            }
        }
        Err(diagnostic) => {
            let span = diagnostic.span.unwrap_or_default();
            assert!(span.start <= text.len() && span.end <= text.len(), "{diagnostic:?}");
            let _ = starquake::lang::diagnostic::render(&diagnostic, false);
        }
    }
    let _ = parse::expected(text, text.len() / 2);
}

/// A batch of every type that a segment stores.
pub fn sample_batch(rows: usize) -> Batch {
    use arrow_array::{ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray};
    use std::sync::Arc;
    let numbers: Int64Array = (0..rows as i64).map(|i| (i % 5 != 0).then_some(i * i)).collect();
    let reals: Float64Array = (0..rows).map(|i| Some(i as f64 / 3.0)).collect();
    let texts: StringArray = (0..rows).map(|i| (i % 7 != 0).then(|| format!("tëxt {i}"))).collect();
    let bits: BooleanArray = (0..rows).map(|i| Some(i % 3 == 0)).collect();
    let bytes: BinaryArray = (0..rows).map(|i| Some(vec![i as u8; i % 4])).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(numbers)),
        ("x", Arc::new(reals)),
        ("t", Arc::new(texts)),
        ("b", Arc::new(bits)),
        ("raw", Arc::new(bytes)),
    ];
    Batch::try_from_iter(columns).expect("a batch")
}

/// Makes the checksums of a segment file agree with its bytes again, as an attacker would.
pub fn mend(bytes: &mut [u8]) {
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let table = usize::try_from(word(bytes, 40)).unwrap_or(usize::MAX);
    if (HEADER_BYTES..=bytes.len()).contains(&table) {
        let (body, sums) = bytes.split_at_mut(table);
        for (block, sum) in body[HEADER_BYTES..].chunks(BLOCK_BYTES).zip(sums.chunks_exact_mut(8)) {
            sum.copy_from_slice(&xxhash_rust::xxh3::xxh3_64(block).to_le_bytes());
        }
        let sum = xxhash_rust::xxh3::xxh3_64(&bytes[table..]);
        bytes[72..80].copy_from_slice(&sum.to_le_bytes());
    }
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes[..HEADER_BYTES - 8]);
    bytes[HEADER_BYTES - 8..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// A segment file; an odd first byte asks for checksums that agree.
pub fn segment(data: &[u8]) {
    let Some((how, file)) = data.split_first() else { return };
    let mut bytes = file.to_vec();
    if how & 1 == 1 {
        mend(&mut bytes);
    }
    PLACE.with_borrow_mut(|place| {
        let root = place.dir.path().join("fuzz.sqk");
        let store = place.store.get_or_insert_with(|| Store::create(&root).expect("a store"));
        open_segment(store, &root, &bytes);
    });
}

fn open_segment(store: &Store, root: &Path, bytes: &[u8]) {
    let word = |at: usize| {
        bytes.get(at..at + 8).and_then(|b| <[u8; 8]>::try_from(b).ok()).map_or(0, u64::from_le_bytes)
    };
    let reference = SegmentRef {
        file: "000000000099-fuzz.seg".to_owned(),
        rows: word(24),
        bytes: bytes.len() as u64,
        checksum: word(HEADER_BYTES - 8),
        ..SegmentRef::default()
    };
    let path: PathBuf = root.join("segments").join(&reference.file);
    // A new inode: what is mapped is never written to.
    let _ = fs::remove_file(&path);
    fs::write(&path, bytes).expect("an input file");
    let snapshot = store.snapshot().expect("a snapshot");
    let Ok(map) = snapshot.segment(&reference) else { return };
    let _ = map.check();
    let _ = map.all();
    let columns: Vec<usize> = (0..map.schema().columns.len()).collect();
    let rows = map.rows();
    if rows > 0 {
        let _ = map.batch(&columns, rows / 2..rows);
    }
    for column in columns {
        let _ = map.zones(column);
    }
    for name in ["channels", "extra"] {
        match map.blob(name) {
            Ok(_) | Err(Error::Damaged { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

/// The bytes of a good segment file.
pub fn good_segment(rows: usize) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = dir.path().join("seed.sqk");
    let store = Store::create(&root).expect("a store");
    let writer = store.writer("seed").expect("a writer");
    let builder = SegmentBuilder::new("fuzz")
        .batch(&sample_batch(rows))
        .blob("extra", b"some bytes beside the rows".to_vec())
        .property("part", "1");
    let reference = writer.publish(builder).expect("published");
    fs::read(root.join("segments").join(reference.file)).expect("the segment")
}
