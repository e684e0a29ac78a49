//! Waveform files: what every format of them shares. [`scan`] reads headers only and never fails on foreign
//! bytes: a bad file is a [`Scan`] with a state, a reason and an offset. [`read`] decodes samples.

pub mod decode;
pub mod same;
pub mod source;
mod walk;

use std::path::Path;

use crate::error::{Error, Result};
use crate::format::{sac, waveform::source::Source};
use crate::limits;
use crate::model::station::ChannelCode;
use crate::model::time::Time;

/// How samples are stored: the code of SEED blockette 1000 (SEED 2.4, appendix A) and miniSEED 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Encoding(pub u8);

impl Encoding {
    /// Characters, no samples.
    pub const TEXT: Encoding = Encoding(0);
    /// 16-bit integers.
    pub const INT16: Encoding = Encoding(1);
    /// 24-bit integers.
    pub const INT24: Encoding = Encoding(2);
    /// 32-bit integers.
    pub const INT32: Encoding = Encoding(3);
    /// IEEE single precision.
    pub const FLOAT32: Encoding = Encoding(4);
    /// IEEE double precision.
    pub const FLOAT64: Encoding = Encoding(5);
    /// Steim-1 differences.
    pub const STEIM1: Encoding = Encoding(10);
    /// Steim-2 differences.
    pub const STEIM2: Encoding = Encoding(11);
    /// GEOSCOPE multiplexed, 24-bit integers.
    pub const GEOSCOPE24: Encoding = Encoding(12);
    /// GEOSCOPE, 12-bit mantissa and 3-bit gain.
    pub const GEOSCOPE16_3: Encoding = Encoding(13);
    /// GEOSCOPE, 12-bit mantissa and 4-bit gain.
    pub const GEOSCOPE16_4: Encoding = Encoding(14);
    /// CDSN, 14-bit mantissa and 2-bit gain.
    pub const CDSN: Encoding = Encoding(16);
    /// SRO, 12-bit mantissa and 4-bit gain.
    pub const SRO: Encoding = Encoding(30);
    /// DWWSSN, 16-bit integers.
    pub const DWWSSN: Encoding = Encoding(32);

    /// Bytes of one sample where every sample has the same width.
    pub fn sample_bytes(self) -> Option<u64> {
        match self.0 {
            0 => Some(1),
            1 | 13 | 14 | 16 | 30 | 32 => Some(2),
            2 | 12 => Some(3),
            3 | 4 => Some(4),
            5 => Some(8),
            _ => None,
        }
    }

    /// Steim-1 or Steim-2.
    pub fn is_steim(self) -> bool {
        self == Encoding::STEIM1 || self == Encoding::STEIM2
    }

    /// The field's name of the encoding.
    pub fn name(self) -> &'static str {
        match self.0 {
            0 => "text",
            1 => "int16",
            2 => "int24",
            3 => "int32",
            4 => "float32",
            5 => "float64",
            10 => "Steim-1",
            11 => "Steim-2",
            12 => "GEOSCOPE 24-bit",
            13 => "GEOSCOPE 16-bit, 3-bit gain",
            14 => "GEOSCOPE 16-bit, 4-bit gain",
            16 => "CDSN 16-bit",
            30 => "SRO",
            32 => "DWWSSN",
            _ => "an encoding that is not read",
        }
    }
}

/// Bits of [`Record::flags`] and `Segment::flags`.
pub mod flags {
    /// The header claims more samples than the payload holds; `npts` is what the payload can hold.
    pub const LYING_COUNT: u16 = 1;
    /// The last sample did not equal the reverse integration constant (set by readers of samples).
    pub const INTEGRITY: u16 = 1 << 1;
    /// A positive leap second happens in the record (SEED activity bit 4, miniSEED 2).
    pub const LEAP_POSITIVE: u16 = 1 << 2;
    /// A negative leap second happens in the record (SEED activity bit 5, miniSEED 2).
    pub const LEAP_NEGATIVE: u16 = 1 << 3;
    /// A time correction of the header was added to the start time.
    pub const TIME_CORRECTED: u16 = 1 << 4;
    /// No blockette 1000: encoding Steim-1 and the byte order of the header are assumed, the length is the
    /// distance to the next header.
    pub const ASSUMED: u16 = 1 << 5;
    /// The reference time or `b` is undefined: times count from 1970-01-01 (SAC).
    pub const NO_TIME: u16 = 1 << 6;
    /// One step of the f32 `b` is above 0.1 sample (SAC).
    pub const COARSE_TIME: u16 = 1 << 7;
    /// Samples are written as text (ASCII SAC).
    pub const ALPHA: u16 = 1 << 8;
    /// The clock is marked as questionable (SEED data quality bit 7, miniSEED 3 flag bit 1).
    pub const TIME_QUESTIONABLE: u16 = 1 << 9;
    /// The header spelled the second as 60.
    pub const SECOND_60: u16 = 1 << 10;
}

/// One header: where its bytes are and what they claim, after the claims were checked against the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Record {
    /// First byte in the file.
    pub offset: u64,
    /// Bytes, header included.
    pub length: u64,
    /// First byte of the payload, counted from `offset`.
    pub data_offset: u32,
    /// Index into [`Scan::streams`].
    pub stream: u32,
    /// Time of the first sample.
    pub start: Time,
    /// Samples; for text the characters.
    pub npts: u32,
    /// Samples per second; 0 = not a time series.
    pub sampling_rate: f64,
    /// Encoding of the payload.
    pub encoding: Encoding,
    /// Byte order of the payload.
    pub data_little_endian: bool,
    /// Quality letter of miniSEED 2 (`D`, `R`, `Q`, `M`), else 0.
    pub quality: u8,
    /// Publication version: miniSEED 3, or from the letter (R 1, D 2, Q 3, M 4).
    pub publication_version: u8,
    /// See [`flags`].
    pub flags: u16,
}

impl Record {
    /// Time of the last sample; the start where there is at most one.
    pub fn last_sample(&self) -> Time {
        sample_time(self.start, u64::from(self.npts.saturating_sub(1)), self.sampling_rate)
    }
}

/// Time of the sample `index` counted from `start`, rounded to the nearest ns; a rate of 0 stands still.
pub fn sample_time(start: Time, index: u64, sampling_rate: f64) -> Time {
    if sampling_rate <= 0.0 || sampling_rate.is_nan() || index == 0 {
        return start;
    }
    // Not negative: the conversion cuts as `floor` would.
    let span_ns = (index as f64 / sampling_rate * 1e9 + 0.5) as i64;
    Time(start.0.saturating_add(span_ns))
}

/// One channel of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stream {
    /// The four parts; all empty where the identifier is not an FDSN one.
    pub code: ChannelCode,
    /// `FDSN:NET_STA_LOC_B_S_SS`, or whatever identifier a miniSEED 3 record holds.
    pub source_id: String,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// Every byte is accounted for.
    #[default]
    Ok,
    /// Some records were read, some bytes were not.
    Partly,
    /// It looks like a waveform file, and nothing of it could be read.
    Unreadable,
    /// Not a waveform (or spectral, XY and other SAC files without a time axis).
    Other,
    /// A waveform without a reference time.
    NoTime,
}

impl State {
    /// As in the column `state` of the table `files`.
    pub fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Partly => "partly",
            State::Unreadable => "unreadable",
            State::Other => "other",
            State::NoTime => "no_time",
        }
    }
}

/// The headers of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scan {
    /// `mseed2`, `mseed3`, `mseed2+3`, `sac`, or empty.
    pub format: &'static str,
    /// The channels, in order of first appearance.
    pub streams: Vec<Stream>,
    /// The records, in order of the file.
    pub records: Vec<Record>,
    /// What became of the file.
    pub state: State,
    /// Why it is not `Ok`: the first fault.
    pub reason: Option<String>,
    /// Where the first fault is.
    pub bad_offset: Option<u64>,
    /// Bytes outside all records, SEED control headers and blank records.
    pub bytes_skipped: u64,
    /// The union of the flags of the records.
    pub flags: u16,
}

impl Scan {
    /// A scan without records.
    pub(crate) fn without_records(format: &'static str, state: State, reason: Option<String>) -> Scan {
        Scan { format, state, reason, ..Scan::default() }
    }

    /// Adds a record and its flags.
    pub(crate) fn add(&mut self, record: Record) {
        self.flags |= record.flags;
        self.records.push(record);
    }
}

/// What the front of a view holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parsed<Id> {
    /// A record and the raw name of its stream; `offset` and `stream` are left to the caller.
    Record(Record, Id),
    /// No blockette 1000: the length must be looked for; then parse again with it.
    NoLength,
    /// This many bytes from the start of the record are needed.
    NeedBytes(usize),
    /// Claims that contradict each other or the bytes: where (from the start of the record) and why.
    Bad(usize, String),
}

/// Decoded samples of one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// Time of the first sample.
    pub start: Time,
    /// Samples per second.
    pub sampling_rate: f64,
    /// The samples, in counts or in the unit of the file.
    pub samples: Vec<f64>,
    /// False where the encoding carries a check value and it does not agree, or the payload ended early.
    pub integrity_ok: bool,
}

/// Reads every header of a regular file. Errors are those of the operating system alone.
pub fn scan(path: &Path) -> Result<Scan> {
    scan_with(path, &mut Vec::new())
}

/// [`scan`] with a buffer that is used again from file to file (at most [`limits::READ_BLOCK_BYTES`], more only
/// while one longer record is looked at).
pub fn scan_with(path: &Path, buffer: &mut Vec<u8>) -> Result<Scan> {
    let mut source = Source::open(path, std::mem::take(buffer))?;
    let scan = scan_source(&mut source, &mut Vec::new());
    *buffer = source.into_buffer();
    scan
}

/// [`scan`] of an open file; its records are put into `records` after that was emptied, so that its memory can be
/// used again from file to file.
pub fn scan_source(source: &mut Source, records: &mut Vec<Record>) -> Result<Scan> {
    records.clear();
    if let Some(scan) = walk::scan_mseed(source, records)? {
        return Ok(scan);
    }
    if let Some(scan) = sac::scan(source)? {
        return Ok(scan);
    }
    let found = walk::scan_after_noise(source)?;
    Ok(found.unwrap_or_else(|| Scan::without_records("", State::Other, None)))
}

/// Goes on with a scan of a miniSEED file that has grown: `scan` holds the records up to `offset`, where the next
/// one is due, and no fault. Only bytes from there on are read.
pub fn scan_tail(source: &mut Source, offset: u64, scan: Scan) -> Result<Scan> {
    walk::scan_on(source, offset, scan)
}

/// The record at an offset and its channel, if there is one now; of miniSEED only.
pub fn record_at(source: &mut Source, offset: u64) -> Result<Option<(Record, Stream)>> {
    walk::record_at(source, offset)
}

/// Reads and decodes records, each from exactly its own bytes; runs of neighbours are read in one go.
/// One piece per record, in the order given. Errors: I/O; a file shorter than its records; an encoding that
/// holds no samples or is not read; more than [`limits::WINDOW_SAMPLES`] samples.
pub fn read(path: &Path, records: &[Record]) -> Result<Vec<Piece>> {
    if let [record] = records
        && record.flags & flags::ALPHA != 0
    {
        return Ok(vec![read_samples(path, record, 0, record.npts)?]);
    }
    let total: u64 = records.iter().map(|r| u64::from(r.npts)).sum();
    if total > limits::WINDOW_SAMPLES as u64 {
        return Err(too_many_samples(path, total));
    }
    let mut source = Source::open(path, Vec::new())?;
    let mut pieces = Vec::with_capacity(records.len());
    let mut rest = records;
    while !rest.is_empty() {
        let (run, length) = leading_run(rest);
        let offset = rest.first().map_or(0, |r| r.offset);
        let bytes = source.exact(offset, length)?;
        for record in rest.get(..run).unwrap_or_default() {
            pieces.push(decode_record(path, record, bytes.get((record.offset - offset) as usize..))?);
        }
        rest = rest.get(run..).unwrap_or_default();
    }
    Ok(pieces)
}

/// How many records at the front are neighbours in the file within one block, and their bytes together.
fn leading_run(records: &[Record]) -> (usize, u64) {
    let mut count = 0;
    let mut length = 0_u64;
    let start = records.first().map_or(0, |r| r.offset);
    for record in records {
        let follows = start.checked_add(length) == Some(record.offset);
        if count > 0 && (!follows || length + record.length > limits::READ_BLOCK_BYTES as u64) {
            break;
        }
        count += 1;
        length += record.length;
    }
    (count, length)
}

fn decode_record(path: &Path, record: &Record, bytes: Option<&[u8]>) -> Result<Piece> {
    let payload = bytes.and_then(|b| b.get(..usize::try_from(record.length).ok()?));
    let payload = payload.and_then(|b| b.get(record.data_offset as usize..)).unwrap_or_default();
    let decoded = decode::decode(record, payload)
        .map_err(|reason| Error::data(path, Some(record.offset + u64::from(record.data_offset)), reason))?;
    Ok(Piece {
        start: record.start,
        sampling_rate: record.sampling_rate,
        samples: decoded.samples,
        integrity_ok: decoded.integrity_ok,
    })
}

/// Samples `first .. first + count` of one record, clamped to what it has. Where every sample has the same
/// width only their bytes are read (a SAC file is one record); otherwise the record is decoded whole.
pub fn read_samples(path: &Path, record: &Record, first: u32, count: u32) -> Result<Piece> {
    let first = first.min(record.npts);
    let count = count.min(record.npts - first);
    if count as usize > limits::WINDOW_SAMPLES {
        return Err(too_many_samples(path, u64::from(count)));
    }
    let start = sample_time(record.start, u64::from(first), record.sampling_rate);
    if record.flags & flags::ALPHA != 0 {
        let mut source = Source::open(path, Vec::new())?;
        let samples = sac::read_alpha(&mut source, record, (first, count))?;
        let integrity_ok = samples.len() == count as usize;
        return Ok(Piece { start, sampling_rate: record.sampling_rate, samples, integrity_ok });
    }
    let Some(width) = record.encoding.sample_bytes().filter(|_| record.encoding != Encoding::TEXT) else {
        let mut pieces = read(path, std::slice::from_ref(record))?;
        let mut piece = pieces.pop().unwrap_or_default();
        piece.samples.drain(..(first as usize).min(piece.samples.len()));
        piece.samples.truncate(count as usize);
        piece.start = start;
        return Ok(piece);
    };
    let mut source = Source::open(path, Vec::new())?;
    let at = record.offset + u64::from(record.data_offset) + width * u64::from(first);
    let part = Record { offset: at, data_offset: 0, start, npts: count, ..*record };
    let part = Record { length: width * u64::from(count), ..part };
    let bytes = source.exact(at, part.length)?;
    decode_record(path, &part, Some(bytes))
}

fn too_many_samples(path: &Path, count: u64) -> Error {
    Error::Limit {
        what: format!("a window of {count} samples of {}", path.display()),
        limit: format!("{} samples", limits::WINDOW_SAMPLES),
        help: "ask for shorter windows".to_owned(),
    }
}

/// Two bytes at `at` as an unsigned number.
pub(crate) fn u16_at(bytes: &[u8], at: usize, little_endian: bool) -> Option<u16> {
    let raw = <[u8; 2]>::try_from(bytes.get(at..at.checked_add(2)?)?).ok()?;
    Some(if little_endian { u16::from_le_bytes(raw) } else { u16::from_be_bytes(raw) })
}

/// Four bytes at `at` as an unsigned number.
pub(crate) fn u32_at(bytes: &[u8], at: usize, little_endian: bool) -> Option<u32> {
    let raw = <[u8; 4]>::try_from(bytes.get(at..at.checked_add(4)?)?).ok()?;
    Some(if little_endian { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
}

/// Eight bytes at `at` as an unsigned number.
pub(crate) fn u64_at(bytes: &[u8], at: usize, little_endian: bool) -> Option<u64> {
    let raw = <[u8; 8]>::try_from(bytes.get(at..at.checked_add(8)?)?).ok()?;
    Some(if little_endian { u64::from_le_bytes(raw) } else { u64::from_be_bytes(raw) })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod tests_support;
