//! The record map: every record of a segment list in about two bytes. Blocks of at most 512 records start with an
//! uncompressed time and offset, so that one of them is read without the rest; inside, each field is a column of
//! differences to what the record before predicts, mostly zeros, under zstd.
//!
//! ```text
//! u32 blocks
//! per block: i64 first start, i64 last end, u64 first offset, u16 records, u32 bytes   (the directory)
//! per block: zstd of the columns
//! ```

use crate::error::{Error, Result};
use crate::format::waveform::{Encoding, Record, sample_time};
use crate::model::time::Time;

/// Records of a block.
const BLOCK_RECORDS: usize = 512;
/// Bytes of a directory entry: first start, last end, first offset, records, compressed bytes.
const ENTRY_BYTES: usize = 8 + 8 + 8 + 2 + 4;
/// Columns of a block.
const COLUMNS: usize = 11;
/// Most bytes of the columns of a block: a varint has at most 10.
const COLUMN_BYTES_MAX: usize = BLOCK_RECORDS * COLUMNS * 10;
/// zstd level.
const LEVEL: i32 = 3;

/// Packs records, best those of a whole file at once, segment after segment in order of time. The empty list has a
/// map too. Error: out of memory.
pub fn encode_records(records: &[Record]) -> Result<Vec<u8>> {
    Packer::new()?.encode(records)
}

/// Packs many maps: setting up the compressor costs more than a small map.
pub struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
}

impl Packer {
    /// Sets the compressor up. Error: out of memory.
    pub fn new() -> Result<Packer> {
        let compressor = zstd::bulk::Compressor::new(LEVEL).map_err(out_of_memory)?;
        Ok(Packer { compressor })
    }

    /// As [`encode_records`].
    pub fn encode(&mut self, records: &[Record]) -> Result<Vec<u8>> {
        let mut directory = (records.len().div_ceil(BLOCK_RECORDS) as u32).to_le_bytes().to_vec();
        let mut bodies = Vec::new();
        for block in records.chunks(BLOCK_RECORDS) {
            let body = self.compressor.compress(&columns(block)).map_err(out_of_memory)?;
            let first_start = block.iter().map(|r| r.start.0).min().unwrap_or(0);
            let last_end = block.iter().map(|r| end(r).0).max().unwrap_or(0);
            directory.extend_from_slice(&first_start.to_le_bytes());
            directory.extend_from_slice(&last_end.to_le_bytes());
            directory.extend_from_slice(&block.first().map_or(0, |r| r.offset).to_le_bytes());
            directory.extend_from_slice(&(block.len() as u16).to_le_bytes());
            directory.extend_from_slice(&(body.len() as u32).to_le_bytes());
            bodies.extend_from_slice(&body);
        }
        directory.append(&mut bodies);
        Ok(directory)
    }
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
            let unpacked = unpack(body, records, (first_start, offset))
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
#[derive(Clone, Copy)]
struct Expected {
    record: Record,
    offset: u64,
    start: u64,
}

impl Expected {
    fn first(start: Time, offset: u64) -> Expected {
        Expected { record: Record::default(), offset, start: start.0 as u64 }
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

/// A signed difference with its sign in the lowest bit, so that small ones of either sign are small.
fn zigzag(difference: u64) -> u64 {
    let signed = difference as i64;
    ((signed << 1) ^ (signed >> 63)) as u64
}

fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

fn columns(block: &[Record]) -> Vec<u8> {
    let first_start = block.iter().map(|r| r.start).min().unwrap_or_default();
    let mut expected = Expected::first(first_start, block.first().map_or(0, |r| r.offset));
    let rows: Vec<[u64; COLUMNS]> =
        block.iter().map(|r| std::mem::replace(&mut expected, Expected::after(r)).differences(r)).collect();
    let mut bytes = Vec::with_capacity(rows.len() * COLUMNS + 16);
    for column in 0..COLUMNS {
        rows.iter().for_each(|row| put_varint(&mut bytes, row[column]));
    }
    bytes
}

fn unpack(body: &[u8], records: usize, first: (Time, u64)) -> Option<Vec<Record>> {
    if records > BLOCK_RECORDS {
        return None;
    }
    let bytes = zstd::bulk::decompress(body, COLUMN_BYTES_MAX).ok()?;
    let mut rest = bytes.as_slice();
    let mut rows = vec![[0_u64; COLUMNS]; records];
    for column in 0..COLUMNS {
        for row in &mut rows {
            row[column] = take_varint(&mut rest)?;
        }
    }
    let mut expected = Expected::first(first.0, first.1);
    let mut found = Vec::with_capacity(records);
    for row in rows {
        let record = expected.record(row)?;
        expected = Expected::after(&record);
        found.push(record);
    }
    rest.is_empty().then_some(found)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
