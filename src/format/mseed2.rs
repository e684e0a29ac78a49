//! miniSEED 2: 48 bytes of fixed header, a chain of blockettes, data (SEED Reference Manual 2.4, chapter 8).
//! Offsets in the comments are those of the manual, counted from 0.

mod alike;
mod write;

pub(crate) use alike::Alike;
pub use write::{Signal, write_records};

use crate::format::waveform::{Encoding, Parsed, Record, Stream, decode, flags, u16_at, u32_at};
use crate::model::station::ChannelCode;
use crate::model::time::Time;

/// Bytes of the fixed header.
pub const HEADER_BYTES: usize = 48;
/// Steps at which the next header is looked for where no blockette 1000 gives the length.
pub const SEARCH_STEP_BYTES: usize = 64;
/// Shortest and longest record, as powers of two.
pub const RECORD_LENGTH_EXPONENTS: std::ops::RangeInclusive<u8> = 7..=20;
/// Longest record in bytes.
pub const RECORD_BYTES: usize = 1 << 20;

/// Year, day, hour, minute and second of a fixed header make sense in one of the byte orders: the order.
fn header_little_endian(header: &[u8]) -> Option<bool> {
    let sane = |little: bool| {
        let year = u16_at(header, 20, little)?;
        let day = u16_at(header, 22, little)?;
        Some((1900..=2100).contains(&year) && (1..=366).contains(&day))
    };
    if sane(false)? {
        return Some(false);
    }
    sane(true)?.then_some(true)
}

/// Do these bytes start with a fixed header of a data record? Sequence number of digits, blanks or NUL; quality
/// letter; blank; a date and time that exist.
pub(crate) fn is_header(bytes: &[u8]) -> bool {
    let Some(head) = bytes.get(..HEADER_BYTES) else { return false };
    let (Some(&quality), Some(&reserved)) = (head.get(6), head.get(7)) else { return false };
    matches!(quality, b'D' | b'R' | b'Q' | b'M')
        && matches!(reserved, b' ' | 0)
        && is_sequence(head)
        && header_little_endian(head).is_some()
        && head.get(24).is_some_and(|&h| h < 24)
        && head.get(25).is_some_and(|&m| m < 60)
        && head.get(26).is_some_and(|&s| s <= 60)
}

fn is_sequence(head: &[u8]) -> bool {
    head.get(..6).is_some_and(|s| s.iter().all(|c| c.is_ascii_digit() || matches!(c, b' ' | 0)))
}

/// A control header of a full SEED volume: sequence number of digits, V, A, S or T, blank or `*`.
pub(crate) fn is_control(bytes: &[u8]) -> bool {
    bytes.get(..6).is_some_and(|s| s.iter().all(u8::is_ascii_digit))
        && bytes.get(6).is_some_and(|c| matches!(c, b'V' | b'A' | b'S' | b'T'))
        && bytes.get(7).is_some_and(|c| matches!(c, b' ' | b'*'))
}

/// A blank record (SEED 2.4, chapter 8 "noise records"): a sequence number or blanks, then blanks only.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    bytes
        .get(..HEADER_BYTES)
        .is_some_and(|h| is_sequence(h) && h.first() != Some(&0) && h.iter().skip(6).all(|&c| c == b' '))
}

/// What the blockettes say.
#[derive(Default)]
struct Blockettes {
    length: Option<u64>,
    encoding: Option<(Encoding, bool)>,
    actual_rate: Option<f64>,
    microseconds: i64,
    end: usize,
    is_broken: bool,
}

/// Parses the record at the front of `bytes`, which start with [`is_header`]. `known_length` is the distance to
/// the next header where one was looked for.
pub(crate) fn parse(bytes: &[u8], known_length: Option<u64>) -> Parsed<[u8; 12]> {
    let Some(little) = header_little_endian(bytes) else {
        return Parsed::Bad(20, "the date is not between 1900 and 2100 in either byte order".to_owned());
    };
    let chain = match walk_blockettes(bytes, little, known_length) {
        Ok(chain) => chain,
        Err(parsed) => return parsed,
    };
    let Some(length) = chain.length.or(known_length) else { return Parsed::NoLength };
    if length < 1 << RECORD_LENGTH_EXPONENTS.start() {
        return Parsed::Bad(0, format!("the record ends after {length} bytes"));
    }
    if (chain.end as u64) > length {
        return Parsed::Bad(46, format!("a blockette ends at {}, the record at {length}", chain.end));
    }
    if length > bytes.len() as u64 {
        return Parsed::NeedBytes(usize::try_from(length).unwrap_or(usize::MAX));
    }
    match record(bytes.get(..length as usize).unwrap_or_default(), little, &chain) {
        Some(record) if !record.has_end() => Parsed::Bad(30, no_end(&record)),
        Some(record) => Parsed::Record(record, id(bytes)),
        None => Parsed::Bad(20, "the start time does not exist or is outside 1677 .. 2262".to_owned()),
    }
}

/// Why a record has no end.
pub(crate) fn no_end(record: &Record) -> String {
    format!("{} samples at {} Hz end after 2262", record.npts, record.sampling_rate)
}

/// Follows the chain with three guards: an offset lies behind the fixed header, behind the blockette before, and
/// inside the record. The number of blockettes in the header is not trusted.
fn walk_blockettes(
    bytes: &[u8],
    little: bool,
    known_length: Option<u64>,
) -> Result<Blockettes, Parsed<[u8; 12]>> {
    let mut chain = Blockettes { end: HEADER_BYTES, ..Blockettes::default() };
    let mut at = usize::from(u16_at(bytes, 46, little).unwrap_or(0));
    while at != 0 {
        if at < HEADER_BYTES || at < chain.end {
            return Err(Parsed::Bad(46, format!("a blockette at {at} lies inside what comes before it")));
        }
        // what blockette 1000 says is known by then: libmseed reads such a record too
        if chain.length.is_some_and(|length| at as u64 + 4 > length) {
            chain.is_broken = true;
            break;
        }
        let limit = chain.length.or(known_length).unwrap_or(RECORD_BYTES as u64);
        let end = at + u16_at(bytes, at, little).map_or(4, blockette_bytes);
        if end as u64 > limit {
            let reason = format!("a blockette ends at {end}, outside the record of {limit} bytes");
            return Err(Parsed::Bad(46, reason));
        }
        if end > bytes.len() {
            return Err(Parsed::NeedBytes(end));
        }
        read_blockette(bytes, at, little, &mut chain)?;
        chain.end = end;
        at = usize::from(u16_at(bytes, at + 2, little).unwrap_or(0));
    }
    Ok(chain)
}

/// Bytes that are read of a blockette of this type.
fn blockette_bytes(kind: u16) -> usize {
    match kind {
        100 => 12,
        1000 | 1001 => 8,
        _ => 4,
    }
}

fn read_blockette(
    bytes: &[u8],
    at: usize,
    little: bool,
    chain: &mut Blockettes,
) -> Result<(), Parsed<[u8; 12]>> {
    match u16_at(bytes, at, little) {
        Some(100) => {
            // as libmseed: what is negative, no number or below 1e-38 leaves the nominal rate
            let rate = u32_at(bytes, at + 4, little).map(f32::from_bits);
            chain.actual_rate = rate.filter(|&r| r == 0.0 || (r > 0.0 && r.is_normal())).map(f64::from);
        }
        Some(1000) => {
            let field = |n: usize| bytes.get(at + n).copied().unwrap_or(0);
            if !RECORD_LENGTH_EXPONENTS.contains(&field(6)) {
                let reason = format!("blockette 1000 gives a record length of 2^{} bytes", field(6));
                return Err(Parsed::Bad(at + 6, reason));
            }
            chain.length = Some(1 << field(6));
            chain.encoding = Some((Encoding(field(4)), field(5) == 0));
        }
        Some(1001) => {
            chain.microseconds = bytes.get(at + 5).map_or(0, |&us| i64::from(us as i8));
        }
        _ => {}
    }
    Ok(())
}

/// Network, station, location, channel: bytes 18-19, 8-12, 13-14, 15-17.
pub(crate) fn id(bytes: &[u8]) -> [u8; 12] {
    let mut id = [b' '; 12];
    let parts = bytes.get(18..20).zip(bytes.get(8..18));
    if let (Some((network, rest)), Some((to_network, to_rest))) = (parts, id.split_at_mut_checked(2)) {
        to_network.copy_from_slice(network);
        to_rest.copy_from_slice(rest);
    }
    id
}

/// The stream of an id. A part ends at its first NUL; blanks, control characters and bytes outside ASCII are left
/// out, as ObsPy does. Band, source and subsource are the places of the channel code.
pub(crate) fn stream(id: &[u8; 12]) -> Stream {
    let part = |from: usize, to: usize| -> String {
        let raw = id.get(from..to).unwrap_or_default().iter().take_while(|&&b| b != 0);
        raw.filter(|b| b.is_ascii_graphic()).map(|&b| char::from(b)).collect()
    };
    let code =
        ChannelCode { network: part(0, 2), station: part(2, 7), location: part(7, 9), channel: part(9, 12) };
    let (band, kind, component) = (part(9, 10), part(10, 11), part(11, 12));
    let name = format!("{}_{}_{}", code.network, code.station, code.location);
    let source_id = format!("FDSN:{name}_{band}_{kind}_{component}");
    Stream { code, source_id }
}

/// The record of `bytes` (all of it, no more), without offset and stream. `None` if its time does not exist.
fn record(bytes: &[u8], little: bool, chain: &Blockettes) -> Option<Record> {
    let quality = *bytes.get(6)?;
    let activity = *bytes.get(36)?;
    let (start, mut flag_bits) = start_time(bytes, little, chain.microseconds)?;
    let nominal = nominal_rate(u16_at(bytes, 32, little)? as i16, u16_at(bytes, 34, little)? as i16);
    if activity & 0x10 != 0 {
        flag_bits |= flags::LEAP_POSITIVE;
    }
    if activity & 0x20 != 0 {
        flag_bits |= flags::LEAP_NEGATIVE;
    }
    if bytes.get(38)? & 0x80 != 0 {
        flag_bits |= flags::TIME_QUESTIONABLE;
    }
    if chain.encoding.is_none() {
        flag_bits |= flags::ASSUMED;
    }
    if chain.is_broken {
        flag_bits |= flags::BROKEN_CHAIN;
    }
    let (encoding, data_little_endian) = chain.encoding.unwrap_or((Encoding::STEIM1, little));
    let mut record = Record {
        length: bytes.len() as u64,
        data_offset: data_offset(bytes, little, chain, encoding),
        start,
        npts: u32::from(u16_at(bytes, 30, little)?),
        sampling_rate: normal_rate(chain.actual_rate.unwrap_or(nominal)),
        encoding,
        data_little_endian,
        quality,
        publication_version: publication_version(quality),
        flags: flag_bits,
        ..Record::default()
    };
    let payload = bytes.get(record.data_offset as usize..).unwrap_or_default();
    clamp_count(&mut record, payload);
    Some(record)
}

/// A count that the payload cannot hold is cut to what it can and flagged.
pub(crate) fn clamp_count(record: &mut Record, payload: &[u8]) {
    let held = decode::samples_held(record, payload);
    if u64::from(record.npts) > held {
        record.npts = u32::try_from(held).unwrap_or(u32::MAX);
        record.flags |= flags::LYING_COUNT;
    }
}

/// Where the data starts: bytes 44-45, or, where these are 0 or point outside, behind the blockettes (at the
/// next multiple of 64 for Steim).
fn data_offset(bytes: &[u8], little: bool, chain: &Blockettes, encoding: Encoding) -> u32 {
    let given = usize::from(u16_at(bytes, 44, little).unwrap_or(0));
    if given >= HEADER_BYTES && given <= bytes.len() {
        return given as u32;
    }
    let end = if encoding.is_steim() { chain.end.next_multiple_of(64) } else { chain.end };
    end.min(bytes.len()) as u32
}

/// R 1, D 2, Q 3, M 4.
pub fn publication_version(quality: u8) -> u8 {
    match quality {
        b'R' => 1,
        b'D' => 2,
        b'Q' => 3,
        b'M' => 4,
        _ => 0,
    }
}

/// Bytes 20-29, the microseconds of blockette 1001, and the time correction (bytes 40-43, in 100 us) unless
/// activity bit 1 says that it is applied.
fn start_time(bytes: &[u8], little: bool, microseconds: i64) -> Option<(Time, u16)> {
    let field = |at: usize| bytes.get(at).copied();
    let clock = (field(24)?, field(25)?, field(26)?);
    let mut flag_bits = if clock.2 == 60 { flags::SECOND_60 } else { 0 };
    let mut nanos = i64::from(u16_at(bytes, 28, little)?) * 100_000 + microseconds * 1000;
    let correction = i64::from(u32_at(bytes, 40, little)? as i32);
    if correction != 0 && field(36)? & 0x02 == 0 {
        nanos += correction * 100_000;
        flag_bits |= flags::TIME_CORRECTED;
    }
    let year = i16::try_from(u16_at(bytes, 20, little)?).ok()?;
    Some((Time::from_ordinal(year, u16_at(bytes, 22, little)?, clock, nanos)?, flag_bits))
}

/// Samples per second from factor and multiplier: positive = rate or product, negative = period or divisor.
pub fn nominal_rate(factor: i16, multiplier: i16) -> f64 {
    let (f, m) = (f64::from(factor), f64::from(multiplier));
    let rate = match factor {
        0 => 0.0,
        1.. => f,
        _ => -1.0 / f,
    };
    match multiplier {
        0 => rate,
        1.. => rate * m,
        _ => -rate / m,
    }
}

/// A negative rate is a period in seconds.
pub(crate) fn normal_rate(rate: f64) -> f64 {
    let rate = if rate < 0.0 { -1.0 / rate } else { rate };
    // zero has one sign
    if rate.is_finite() { rate + 0.0 } else { 0.0 }
}

#[cfg(test)]
mod tests;
