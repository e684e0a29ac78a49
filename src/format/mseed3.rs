//! miniSEED 3: 40 bytes of little-endian header, source identifier, extra headers in JSON, payload, all under one
//! CRC-32C (FDSN miniSEED 3 specification, <https://docs.fdsn.org/projects/miniseed3>).

mod write;

pub use write::write_records;

use std::ops::Range;

use crate::format::mseed2::{clamp_count, no_end, normal_rate};
use crate::format::waveform::{Encoding, Parsed, Record, Stream, flags, u16_at, u32_at, u64_at};
use crate::model::station::ChannelCode;
use crate::model::time::Time;

/// Bytes of the fixed header.
pub const HEADER_BYTES: usize = 40;
/// Longest record that is read, in bytes; its checksum is taken while it is in memory.
pub const RECORD_BYTES: usize = 16 << 20;
/// The record indicator: `MS` and the version.
pub const MAGIC: &[u8] = b"MS\x03";
/// Where the CRC-32C stands.
const CRC: Range<usize> = 28..32;

/// Do these bytes start with a header whose date and time exist?
pub(crate) fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) && bytes.len() >= HEADER_BYTES && start_time(bytes).is_some()
}

/// Parses the record at the front of `bytes`, which start with [`MAGIC`], and checks its CRC. The id is the range
/// of the source identifier.
pub(crate) fn parse(bytes: &[u8]) -> Parsed<Range<usize>> {
    let (Some(id_bytes), Some(extra), Some(data)) =
        (bytes.get(33).copied(), u16_at(bytes, 34, true), u32_at(bytes, 36, true))
    else {
        return Parsed::NeedBytes(HEADER_BYTES);
    };
    let id = HEADER_BYTES..HEADER_BYTES + usize::from(id_bytes);
    let data_offset = id.end + usize::from(extra);
    let length = data_offset as u64 + u64::from(data);
    if length > RECORD_BYTES as u64 {
        return Parsed::Bad(
            36,
            format!("a record of {length} bytes; the longest that is read has {RECORD_BYTES}"),
        );
    }
    let length = length as usize;
    let Some(whole) = bytes.get(..length) else { return Parsed::NeedBytes(length) };
    let Some(start) = start_time(whole) else {
        return Parsed::Bad(4, "the start time does not exist or is outside 1677 .. 2262".to_owned());
    };
    let (claimed, found) = (u32_at(whole, CRC.start, true).unwrap_or(0), checksum(whole));
    if claimed != found {
        return Parsed::Bad(CRC.start, format!("CRC-32C is {found:08x}, the header says {claimed:08x}"));
    }
    let encoding = Encoding(whole.get(15).copied().unwrap_or(0));
    let bits = whole.get(3).copied().unwrap_or(0);
    let mut record = Record {
        length: length as u64,
        data_offset: data_offset as u32,
        start,
        npts: u32_at(whole, 24, true).unwrap_or(0),
        sampling_rate: u64_at(whole, 16, true).map_or(0.0, |r| normal_rate(f64::from_bits(r))),
        encoding,
        // Steim frames are big-endian always, all other encodings little-endian
        data_little_endian: !encoding.is_steim(),
        publication_version: whole.get(32).copied().unwrap_or(0),
        flags: flag_bits(whole, bits),
        ..Record::default()
    };
    clamp_count(&mut record, whole.get(data_offset..).unwrap_or_default());
    if !record.has_end() {
        return Parsed::Bad(16, no_end(&record));
    }
    Parsed::Record(record, id)
}

fn flag_bits(header: &[u8], bits: u8) -> u16 {
    let questionable = if bits & 0x02 != 0 { flags::TIME_QUESTIONABLE } else { 0 };
    let second_60 = if header.get(14) == Some(&60) { flags::SECOND_60 } else { 0 };
    questionable | second_60
}

/// CRC-32C of a whole record with its own four bytes taken as zero.
fn checksum(record: &[u8]) -> u32 {
    let before = crc32c::crc32c(record.get(..CRC.start).unwrap_or_default());
    let zeroed = crc32c::crc32c_append(before, &[0; 4]);
    crc32c::crc32c_append(zeroed, record.get(CRC.end..).unwrap_or_default())
}

fn start_time(header: &[u8]) -> Option<Time> {
    let field = |at: usize| header.get(at).copied();
    let nanos = u32_at(header, 4, true).filter(|&ns| ns < 1_000_000_000)?;
    let year = i16::try_from(u16_at(header, 8, true)?).ok()?;
    let clock = (field(12)?, field(13)?, field(14)?);
    Time::from_ordinal(year, u16_at(header, 10, true)?, clock, i64::from(nanos))
}

/// The stream of a source identifier: `FDSN:NET_STA_LOC_B_S_SS` (and `XFDSN:` of the drafts) has four parts; of any
/// other the whole text is kept and the parts are empty.
pub(crate) fn stream(id: &[u8]) -> Stream {
    let source_id = String::from_utf8_lossy(id).into_owned();
    let name = source_id.strip_prefix("FDSN:").or_else(|| source_id.strip_prefix("XFDSN:"));
    let parts: Vec<&str> = name.unwrap_or_default().split('_').collect();
    let &[network, station, location, band, source, subsource] = parts.as_slice() else {
        return Stream { code: ChannelCode::default(), source_id };
    };
    let single = [band, source, subsource].iter().all(|c| c.chars().count() <= 1);
    let separator = if single { "" } else { "_" };
    let channel = [band, source, subsource].join(separator);
    Stream { code: ChannelCode::new(network, station, location, &channel), source_id }
}

#[cfg(test)]
mod tests;
