//! Waveform files: what every format of them shares. [`scan`] reads headers only and never fails on foreign
//! bytes: a bad file is a [`Scan`] with a state, a reason and an offset. [`read`] decodes samples.

pub mod decode;
mod encoding;
pub mod same;
mod section;
pub mod source;
mod walk;

pub use encoding::Encoding;
pub use section::expand;

use std::path::Path;

use crate::error::{Error, Result};
use crate::format::{gse2, sac, waveform::source::Source, wfdisc};
use crate::limits;
use crate::model::station::ChannelCode;
use crate::model::time::Time;

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
    /// The record is a line of a css3.0 wfdisc; the samples are in the file that it names.
    pub const WFDISC: u16 = 1 << 11;
    /// Not a record but a byte range of one channel that another index named: its headers have not been read.
    pub const SECTION: u16 = 1 << 12;
    /// A blockette behind blockette 1000 is said to lie outside the record: the chain was left there (miniSEED 2).
    pub const BROKEN_CHAIN: u16 = 1 << 13;
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

    /// Does the time behind the last sample exist (before 2262)? A rate that is far too small puts it beyond.
    pub(crate) fn has_end(&self) -> bool {
        let span_ns = f64::from(self.npts) / self.sampling_rate * 1e9;
        self.sampling_rate == 0.0 || self.start.0 as f64 + span_ns < i64::MAX as f64
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

/// `FDSN:NET_STA_LOC_B_S_SS` of a code; letters of the channel beyond the third stand behind them.
pub(crate) fn fdsn_id(code: &ChannelCode) -> String {
    let mut letters = code.channel.chars();
    let mut source_id = format!("FDSN:{}_{}_{}", code.network, code.station, code.location);
    for _ in 0..3 {
        source_id.push('_');
        source_id.extend(letters.next());
    }
    source_id.extend(letters);
    source_id
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
    /// `mseed2`, `mseed3`, `mseed2+3`, `sac`, `gse2`, `gse1`, `css3.0`, or empty.
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
    for scan in [sac::scan, gse2::scan, wfdisc::scan] {
        if let Some(scan) = scan(source)? {
            return Ok(scan);
        }
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
    let is_special = |r: &Record| r.flags & (flags::ALPHA | flags::WFDISC | flags::SECTION) != 0;
    if records.iter().any(is_special) {
        return records.iter().map(|record| read_samples(path, record, 0, record.npts)).collect();
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
    if record.flags & flags::WFDISC != 0 {
        return wfdisc::read_samples(path, record, (first, count));
    }
    if record.flags & flags::SECTION != 0 {
        return section::read_samples(path, record, (first, count));
    }
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
