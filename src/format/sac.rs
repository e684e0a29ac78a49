//! SAC: one evenly spaced trace behind a header of 632 bytes (70 floats, 40 integers, 24 texts), in either byte
//! order; header version 7 repeats 22 of the floats as doubles behind the data; ASCII ("alpha") files hold the
//! same in lines (IRIS SAC manual, "SAC data file format").

mod alpha;
mod write;

pub use alpha::read_alpha;
pub use write::{About, DEP_WORDS, STATION_WORDS, Trace, footer, header, write_sac};

use crate::error::Result;
use crate::format::mseed2::no_end;
use crate::format::waveform::source::Source;
use crate::format::waveform::{Encoding, Record, Scan, State, Stream, fdsn_id, flags, u32_at, u64_at};
use crate::model::station::ChannelCode;
use crate::model::time::Time;

/// Bytes of the header.
pub const HEADER_BYTES: u64 = 632;
/// Bytes of the footer of header version 7: 22 doubles.
pub const FOOTER_BYTES: u64 = 176;
/// The value that means "undefined".
const UNDEFINED: i32 = -12345;
/// Words of the header (of four bytes) that hold the integers read here.
const NZYEAR: usize = 70;
const NVHDR: usize = 76;
const NPTS: usize = 79;
const IFTYPE: usize = 85;
const LEVEN: usize = 105;
/// Values of IFTYPE: time series, two spectral kinds, XY, XYZ.
const ITIME: i32 = 1;
const IRLIM: i32 = 2;
const IAMPH: i32 = 3;
const IXY: i32 = 4;
const IXYZ: i32 = 51;
/// Where the texts stand in the header.
const KSTNM: usize = 440;
const KHOLE: usize = 464;
const KCMPNM: usize = 600;
const KNETWK: usize = 608;
/// Above this many samples one f32 step of `b` makes the start coarse.
const COARSE_SAMPLES: f64 = 0.1;

/// The parts of a header that an index needs, from a binary or an ASCII file.
#[derive(Clone, Debug, Default)]
struct Header {
    delta: f64,
    b: f64,
    /// One step of the f32 `b`, in seconds; 0 where `b` is a double.
    b_step: f64,
    /// nzyear, nzjday, nzhour, nzmin, nzsec, nzmsec.
    reference: [i32; 6],
    version: i32,
    npts: i32,
    file_type: i32,
    evenly_spaced: bool,
    code: ChannelCode,
}

/// Reads the header if the file is SAC; `None` if it is something else.
pub(crate) fn scan(source: &mut Source) -> Result<Option<Scan>> {
    let size = source.size();
    let head = source.view(0, HEADER_BYTES as usize)?;
    let Some(little) = byte_order(head) else { return alpha::scan(source) };
    let mut header = binary_header(head, little);
    if let Some(scan) = header.refuse() {
        return Ok(Some(scan));
    }
    let data_end = HEADER_BYTES + 4 * header.npts.max(0) as u64;
    let expected = data_end + if header.version == 7 { FOOTER_BYTES } else { 0 };
    if size != expected {
        let reason = format!("{} samples make a file of {expected} bytes, this one has {size}", header.npts);
        let mut scan = Scan::without_records("sac", State::Unreadable, Some(reason));
        scan.bad_offset = Some(size.min(expected));
        return Ok(Some(scan));
    }
    if header.version == 7 {
        header.take_footer(source.view(data_end, FOOTER_BYTES as usize)?, little);
    }
    let record = Record {
        length: data_end,
        data_offset: HEADER_BYTES as u32,
        encoding: Encoding::FLOAT32,
        data_little_endian: little,
        ..Record::default()
    };
    Ok(Some(header.into_scan(record)))
}

/// The byte order in which the header version is 6 or 7, the types are known and the count is not negative.
fn byte_order(head: &[u8]) -> Option<bool> {
    let fits = |little: bool| {
        let int = |word: usize| u32_at(head, 4 * word, little).map(|v| v as i32);
        let known_type = [ITIME, IRLIM, IAMPH, IXY, IXYZ, UNDEFINED].contains(&int(IFTYPE)?);
        let version = matches!(int(NVHDR)?, 6 | 7);
        let logical = [0, 1, UNDEFINED].contains(&int(LEVEN)?);
        Some(version && known_type && logical && int(NPTS)? >= 0)
    };
    if (head.len() as u64) < HEADER_BYTES {
        return None;
    }
    if fits(true)? { Some(true) } else { fits(false)?.then_some(false) }
}

fn binary_header(head: &[u8], little: bool) -> Header {
    let float = |word: usize| f32::from_bits(u32_at(head, 4 * word, little).unwrap_or(0));
    let int = |word: usize| u32_at(head, 4 * word, little).unwrap_or(0) as i32;
    let text = |at: usize| head.get(at..at + 8).map(text).unwrap_or_default();
    let b = float(5);
    Header {
        delta: shortest_decimal(float(0)),
        b: f64::from(b),
        b_step: step(b),
        reference: std::array::from_fn(|i| int(NZYEAR + i)),
        version: int(NVHDR),
        npts: int(NPTS),
        file_type: int(IFTYPE),
        evenly_spaced: int(LEVEN) != 0,
        code: ChannelCode {
            network: text(KNETWK),
            station: text(KSTNM),
            location: text(KHOLE),
            channel: text(KCMPNM),
        },
    }
}

/// The decimal number a person wrote: the shortest one that rounds to this f32 (0.01, not 0.00999999978).
fn shortest_decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// Distance to the next f32.
fn step(value: f32) -> f64 {
    if value.is_finite() { f64::from(value.abs().next_up()) - f64::from(value.abs()) } else { 0.0 }
}

/// A header text: up to its first NUL, without blanks, control characters and bytes outside ASCII; `-12345` is
/// undefined.
fn text(raw: &[u8]) -> String {
    let bytes = raw.iter().take_while(|&&b| b != 0).filter(|b| b.is_ascii_graphic());
    let text: String = bytes.map(|&b| char::from(b)).collect();
    if text == "-12345" { String::new() } else { text }
}

impl Header {
    /// Files without a time axis are not waveforms; a time axis that makes no sense is a fault.
    fn refuse(&self) -> Option<Scan> {
        let other = |reason: &str| Some(Scan::without_records("sac", State::Other, Some(reason.to_owned())));
        match self.file_type {
            IRLIM | IAMPH => return other("a SAC file of a spectrum"),
            IXYZ => return other("a SAC file of an XYZ surface"),
            // ObsPy writes and reads evenly spaced XY files as time series
            IXY if !self.evenly_spaced => return other("a SAC file of unevenly spaced XY data"),
            _ if !self.evenly_spaced => return other("a SAC file of unevenly spaced data"),
            _ => {}
        }
        if !(self.delta > 0.0 && self.delta.is_finite()) {
            let reason = format!("the sampling interval is {}", self.delta);
            let mut scan = Scan::without_records("sac", State::Unreadable, Some(reason));
            scan.bad_offset = Some(0);
            return Some(scan);
        }
        None
    }

    /// The doubles of header version 7: delta, b, e, o, a, ...
    fn take_footer(&mut self, footer: &[u8], little: bool) {
        let double = |at: usize| u64_at(footer, 8 * at, little).map(f64::from_bits).filter(|v| v.is_finite());
        if let Some(delta) = double(0).filter(|&d| d > 0.0) {
            self.delta = delta;
        }
        if let Some(b) = double(1).filter(|&b| b != f64::from(UNDEFINED)) {
            self.b = b;
            self.b_step = 0.0;
        }
    }

    /// Reference time plus `b`; if either is undefined, 1970-01-01 plus whatever `b` there is, and false.
    fn start(&self) -> (Time, bool) {
        let b = Some(self.b).filter(|b| b.is_finite() && *b != f64::from(UNDEFINED));
        let start = self.reference_time().zip(b).and_then(|(time, b)| time.plus_seconds(b));
        match start {
            Some(start) => (start, true),
            None => (b.and_then(|b| Time(0).plus_seconds(b)).unwrap_or(Time(0)), false),
        }
    }

    fn reference_time(&self) -> Option<Time> {
        let [year, day, hour, minute, second, milli] = self.reference;
        let clock = (u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, u8::try_from(second).ok()?);
        let nanos = i64::from(milli).checked_mul(1_000_000).filter(|_| milli >= 0)?;
        Time::from_ordinal(i16::try_from(year).ok()?, u16::try_from(day).ok()?, clock, nanos)
    }

    fn into_scan(self, place: Record) -> Scan {
        let (start, has_time) = self.start();
        let mut flag_bits = place.flags;
        if !has_time {
            flag_bits |= flags::NO_TIME;
        }
        if self.b_step > COARSE_SAMPLES * self.delta {
            flag_bits |= flags::COARSE_TIME;
        }
        let record = Record {
            start,
            npts: self.npts.max(0) as u32,
            sampling_rate: 1.0 / self.delta,
            flags: flag_bits,
            ..place
        };
        if !record.has_end() {
            let mut scan = Scan::without_records("sac", State::Unreadable, Some(no_end(&record)));
            scan.bad_offset = Some(0);
            return scan;
        }
        let mut scan = Scan { format: "sac", ..Scan::default() };
        let source_id = fdsn_id(&self.code);
        scan.streams.push(Stream { code: self.code, source_id });
        scan.add(record);
        if !has_time {
            scan.state = State::NoTime;
            scan.reason =
                Some("the reference time or b is undefined; times count from 1970-01-01".to_owned());
        }
        scan
    }
}

#[cfg(test)]
mod tests;
