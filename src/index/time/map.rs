//! The record map: every record of a segment list in about two bytes. Few records are columns of varints, each a
//! difference to what the record before predicts. More are blocks of at most 512 records that start with an
//! uncompressed time and offset, so that one of them is read without the rest; the columns are under zstd there.
//!
//! ```text
//! varint records
//! at most 64: the columns
//! more:       u32 blocks
//!             per block: i64 first start, i64 last end, u64 first offset, u16 records, u32 bytes   (the directory)
//!             per block: zstd of the columns
//! ```
//!
//! In a part the first record of a small map is a difference to what its segment predicts, so that a segment of
//! one record costs two bytes: [`to_stored`], [`from_stored`].

use crate::error::{Error, Result};
use crate::format::waveform::{Encoding, Record, sample_time};
use crate::index::columns::{put_columns, put_varint, take_columns, take_varint, unzigzag, zigzag};
use crate::index::time::Segment;
use crate::model::time::Time;

/// Most records of a map without blocks.
const SMALL_RECORDS: usize = 64;
/// Records of a block.
const BLOCK_RECORDS: usize = 512;
/// Bytes of a directory entry: first start, last end, first offset, records, compressed bytes.
const ENTRY_BYTES: usize = 8 + 8 + 8 + 2 + 4;
/// Columns of a block.
const COLUMNS: usize = 11;
/// Most bytes of the columns of a block: a varint has at most 10.
const COLUMN_BYTES_MAX: usize = BLOCK_RECORDS * COLUMNS * 10 + 10;
/// zstd level.
const LEVEL: i32 = 3;

/// Packs records, best those of a whole file at once, segment after segment in order of time. The empty list has a
/// map too. Error: out of memory.
pub fn encode_records(records: &[Record]) -> Result<Vec<u8>> {
    Packer::default().encode(records)
}

/// Packs many maps: setting up the compressor costs more than a map.
#[derive(Default)]
pub struct Packer {
    compressor: Option<zstd::bulk::Compressor<'static>>,
}

impl Packer {
    /// As [`encode_records`].
    ///
    /// # Errors
    /// Out of memory.
    pub fn encode(&mut self, records: &[Record]) -> Result<Vec<u8>> {
        let mut map = vec![];
        put_varint(&mut map, records.len() as u64);
        if records.len() <= SMALL_RECORDS {
            put_columns(&mut map, &differences(records, Expected::default()));
            return Ok(map);
        }
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(LEVEL).map_err(out_of_memory)?),
        };
        map.extend_from_slice(&(records.len().div_ceil(BLOCK_RECORDS) as u32).to_le_bytes());
        let mut bodies = Vec::new();
        let mut columns = Vec::new();
        for block in records.chunks(BLOCK_RECORDS) {
            let first_start = block.iter().map(|r| r.start).min().unwrap_or_default();
            let last_end = block.iter().map(|r| end(r).0).max().unwrap_or(0);
            let first_offset = block.first().map_or(0, |r| r.offset);
            columns.clear();
            put_columns(&mut columns, &differences(block, Expected::first(first_start, first_offset)));
            let body = compressor.compress(&columns).map_err(out_of_memory)?;
            map.extend_from_slice(&first_start.0.to_le_bytes());
            map.extend_from_slice(&last_end.to_le_bytes());
            map.extend_from_slice(&first_offset.to_le_bytes());
            map.extend_from_slice(&(block.len() as u16).to_le_bytes());
            map.extend_from_slice(&(body.len() as u32).to_le_bytes());
            bodies.extend_from_slice(&body);
        }
        map.append(&mut bodies);
        Ok(map)
    }
}

/// A map as a part keeps it with its segment. Errors are reasons: bytes that are no map.
pub fn to_stored(map: &[u8], segment: &Segment) -> Result<Vec<u8>, String> {
    moved(map, Expected::default(), |records| Expected::of(segment, records))
}

/// The map of [`encode_records`] from the one a part keeps. Errors are reasons.
pub fn from_stored(map: &[u8], segment: &Segment) -> Result<Vec<u8>, String> {
    let (records, _) = split(map)?;
    moved(map, Expected::of(segment, records), |_| Expected::default())
}

/// Is it a map without blocks, which a part keeps beside the other small numbers of its segment?
pub fn is_small(map: &[u8]) -> bool {
    split(map).is_ok_and(|(records, _)| records <= SMALL_RECORDS)
}

/// As [`decode_records`], for a map that a part keeps with its segment.
pub fn decode_stored(map: &[u8], segment: &Segment, span: (Time, Time)) -> Result<Vec<Record>, String> {
    if map.is_empty() {
        return Ok(vec![]);
    }
    let (records, _) = split(map)?;
    decode(map, Expected::of(segment, records), span)
}

/// A small map with another first expectation; others, and none at all, as they are.
fn moved(map: &[u8], from: Expected, to: impl Fn(usize) -> Expected) -> Result<Vec<u8>, String> {
    if map.is_empty() {
        return Ok(vec![]);
    }
    let (count, mut rest) = split(map)?;
    if count > SMALL_RECORDS {
        return Ok(map.to_vec());
    }
    let records = take_records(&mut rest, count, from).filter(|_| rest.is_empty());
    let records = records.ok_or_else(|| "a small record map is damaged".to_owned())?;
    let mut moved = Vec::with_capacity(map.len());
    put_varint(&mut moved, count as u64);
    put_columns(&mut moved, &differences(&records, to(count)));
    Ok(moved)
}

/// Number of records, and what stands behind it.
fn split(map: &[u8]) -> Result<(usize, &[u8]), String> {
    let mut rest = map;
    let records = take_varint(&mut rest).and_then(|n| usize::try_from(n).ok());
    records.map(|n| (n, rest)).ok_or_else(|| format!("a record map of {} bytes is cut", map.len()))
}

/// Compressing in memory fails for want of memory only.
fn out_of_memory(error: std::io::Error) -> Error {
    Error::Limit {
        what: format!("the record map ({error})"),
        limit: "the memory of the system".to_owned(),
        help: "index fewer files at a time".to_owned(),
    }
}

/// Last sample + 1/rate.
fn end(record: &Record) -> Time {
    sample_time(record.start, u64::from(record.npts), record.sampling_rate)
}

/// Does the record hold a sample in `span` (half open)? A record of rate 0 spans `[t, t]`.
fn overlaps(record: &Record, span: (Time, Time)) -> bool {
    let end = end(record);
    record.start < span.1 && (end > span.0 || (end == record.start && end >= span.0))
}

/// The records that hold a sample in `span` (half open); blocks outside it are not unpacked. Errors are reasons:
/// bytes that are no map.
pub fn decode_records(map: &[u8], span: (Time, Time)) -> Result<Vec<Record>, String> {
    decode(map, Expected::default(), span)
}

fn decode(map: &[u8], first: Expected, span: (Time, Time)) -> Result<Vec<Record>, String> {
    let (count, mut rest) = split(map)?;
    if count > SMALL_RECORDS {
        return decode_blocks(rest, span);
    }
    let mut records = take_records(&mut rest, count, first)
        .filter(|_| rest.is_empty())
        .ok_or_else(|| "a small record map is damaged".to_owned())?;
    records.retain(|r| overlaps(r, span));
    Ok(records)
}

fn decode_blocks(map: &[u8], span: (Time, Time)) -> Result<Vec<Record>, String> {
    let count = u32::from_le_bytes(array(map, 0)?) as usize;
    let mut at = count
        .checked_mul(ENTRY_BYTES)
        .and_then(|n| n.checked_add(4))
        .filter(|&n| n <= map.len())
        .ok_or_else(|| format!("a map of {} bytes cannot have {count} blocks", map.len()))?;
    let mut found = Vec::new();
    for block in 0..count {
        let entry = 4 + block * ENTRY_BYTES;
        let first_start = Time(i64::from_le_bytes(array(map, entry)?));
        let last_end = Time(i64::from_le_bytes(array(map, entry + 8)?));
        let offset = u64::from_le_bytes(array(map, entry + 16)?);
        let records = usize::from(u16::from_le_bytes(array(map, entry + 24)?));
        let bytes = u32::from_le_bytes(array(map, entry + 26)?) as usize;
        let body = at.checked_add(bytes).and_then(|end| map.get(at..end));
        let body = body.ok_or_else(|| format!("block {block} of the record map is cut"))?;
        at += bytes;
        if first_start < span.1 && last_end >= span.0 {
            let unpacked = unpack(body, records, Expected::first(first_start, offset))
                .ok_or_else(|| format!("block {block} of the record map is damaged"))?;
            found.extend(unpacked.into_iter().filter(|r| overlaps(r, span)));
        }
    }
    Ok(found)
}

fn array<const N: usize>(map: &[u8], at: usize) -> Result<[u8; N], String> {
    let raw = at.checked_add(N).and_then(|end| map.get(at..end)).and_then(|raw| raw.try_into().ok());
    raw.ok_or_else(|| format!("a record map of {} bytes is cut", map.len()))
}

/// What the record before lets expect; all fields are kept as differences to it, modulo 2^64.
#[derive(Clone, Copy, Default)]
struct Expected {
    record: Record,
    offset: u64,
    start: u64,
}

impl Expected {
    fn first(start: Time, offset: u64) -> Expected {
        Expected { record: Record::default(), offset, start: start.0 as u64 }
    }

    /// What a segment says of the first of its `count` records.
    fn of(segment: &Segment, count: usize) -> Expected {
        let count = (count as u64).max(1);
        let record = Record {
            npts: u32::try_from(segment.npts / count).unwrap_or(u32::MAX),
            sampling_rate: segment.sampling_rate,
            length: segment.bytes / count,
            quality: segment.quality,
            publication_version: segment.publication_version,
            flags: segment.flags,
            ..Record::default()
        };
        Expected { record, offset: segment.byte_offset, start: segment.start.0 as u64 }
    }

    fn after(record: &Record) -> Expected {
        Expected {
            record: *record,
            offset: record.offset.wrapping_add(record.length),
            start: end(record).0 as u64,
        }
    }

    /// The columns of one record.
    fn differences(&self, r: &Record) -> [u64; COLUMNS] {
        let before = &self.record;
        [
            zigzag(r.offset.wrapping_sub(self.offset)),
            zigzag((r.start.0 as u64).wrapping_sub(self.start)),
            // counts of compressed records scatter around a level: the difference to it, not to the last
            zigzag(u64::from(r.npts).wrapping_sub(u64::from(before.npts))),
            r.sampling_rate.to_bits() ^ before.sampling_rate.to_bits(),
            zigzag(r.length.wrapping_sub(before.length)),
            zigzag(u64::from(r.data_offset).wrapping_sub(u64::from(before.data_offset))),
            zigzag(u64::from(r.stream).wrapping_sub(u64::from(before.stream))),
            u64::from(r.encoding.0 ^ before.encoding.0),
            u64::from(r.data_little_endian ^ before.data_little_endian),
            u64::from(
                u16::from_be_bytes([r.quality, r.publication_version])
                    ^ u16::from_be_bytes([before.quality, before.publication_version]),
            ),
            u64::from(r.flags ^ before.flags),
        ]
    }

    /// The record of its columns; `None` where a value does not fit its field.
    fn record(&self, d: [u64; COLUMNS]) -> Option<Record> {
        let before = &self.record;
        let u32_from = |old: u32, d: u64| u32::try_from(u64::from(old).wrapping_add(unzigzag(d))).ok();
        let qualities =
            u16::from_be_bytes([before.quality, before.publication_version]) ^ u16::try_from(d[9]).ok()?;
        let [quality, publication_version] = qualities.to_be_bytes();
        Some(Record {
            offset: self.offset.wrapping_add(unzigzag(d[0])),
            start: Time(self.start.wrapping_add(unzigzag(d[1])) as i64),
            npts: u32_from(before.npts, d[2])?,
            sampling_rate: f64::from_bits(before.sampling_rate.to_bits() ^ d[3]),
            length: before.length.wrapping_add(unzigzag(d[4])),
            data_offset: u32_from(before.data_offset, d[5])?,
            stream: u32_from(before.stream, d[6])?,
            encoding: Encoding(before.encoding.0 ^ u8::try_from(d[7]).ok()?),
            data_little_endian: before.data_little_endian ^ (d[8] != 0),
            quality,
            publication_version,
            flags: before.flags ^ u16::try_from(d[10]).ok()?,
        })
    }
}

fn differences(records: &[Record], first: Expected) -> Vec<[u64; COLUMNS]> {
    let mut expected = first;
    records.iter().map(|r| std::mem::replace(&mut expected, Expected::after(r)).differences(r)).collect()
}

/// The caller bounds `count`.
fn take_records(rest: &mut &[u8], count: usize, first: Expected) -> Option<Vec<Record>> {
    let mut expected = first;
    let mut found = Vec::with_capacity(count);
    for row in take_columns(rest, count)? {
        let record = expected.record(row)?;
        expected = Expected::after(&record);
        found.push(record);
    }
    Some(found)
}

fn unpack(body: &[u8], records: usize, first: Expected) -> Option<Vec<Record>> {
    if records > BLOCK_RECORDS {
        return None;
    }
    let bytes = zstd::bulk::decompress(body, COLUMN_BYTES_MAX).ok()?;
    let mut rest = bytes.as_slice();
    take_records(&mut rest, records, first).filter(|_| rest.is_empty())
}
