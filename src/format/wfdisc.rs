//! css3.0 wfdisc: an index of waveforms in lines of 283 columns (287 in the NNSA schema), each naming the file, the
//! offset and the type of one trace (Anderson et al. 1990, CSS version 3 database, relation wfdisc). Columns count
//! from 0.
//!
//! The wfdisc is the file of the archive, a line of it its record; samples are read from the file the line names,
//! relative to the directory of the wfdisc. Absolute directories and `..` are followed, as every reader of wfdiscs
//! does: the files are only read, with the rights of whoever imported the wfdisc.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::mseed2::no_end;
use crate::format::waveform::source::Source;
use crate::format::waveform::{self, Encoding, Piece, Record, Scan, State, Stream, decode, fdsn_id, flags};
use crate::limits;
use crate::model::station::ChannelCode;
use crate::model::time::Time;

/// Bytes of a line without its end, and by how many columns the fields behind the date are shifted.
const LAYOUTS: [(usize, usize); 2] = [(283, 0), (287, 1)];
/// Longest line with its end.
const LINE_BYTES: usize = 289;

/// A line of a wfdisc.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    code: ChannelCode,
    start: Time,
    npts: u32,
    sampling_rate: f64,
    /// `s4`, `t4` ...
    datatype: String,
    /// Below the directory of the wfdisc, or absolute.
    path: PathBuf,
    offset: u64,
}

/// Reads the lines if the first one is of a wfdisc; `None`: it is something else.
pub(crate) fn scan(source: &mut Source) -> Result<Option<Scan>> {
    let Some((length, line)) = line_at(source, 0)? else { return Ok(None) };
    if parse(&line).is_none() {
        return Ok(None);
    }
    let directory = directory(source.path());
    let mut scan = Scan { format: "css3.0", ..Scan::default() };
    let mut numbers = std::collections::HashMap::new();
    // neighbouring lines name the same file
    let mut last: Option<(PathBuf, Option<u64>)> = None;
    let (mut at, mut length, mut line) = (0, length, line);
    loop {
        match parse(&line) {
            Some(entry) => {
                let next = numbers.len() as u32;
                let stream = *numbers.entry(entry.code.clone()).or_insert(next);
                if stream == next {
                    let source_id = fdsn_id(&entry.code);
                    scan.streams.push(Stream { code: entry.code.clone(), source_id });
                }
                let path = directory.join(&entry.path);
                if last.as_ref().is_none_or(|(known, _)| *known != path) {
                    let size = std::fs::metadata(&path).ok().filter(|m| m.is_file()).map(|m| m.len());
                    last = Some((path, size));
                }
                let place = Record { offset: at, length: length as u64, stream, ..Record::default() };
                let record = record(&entry, last.as_ref().and_then(|l| l.1), place);
                if record.has_end() {
                    scan.add(record);
                } else {
                    fault(&mut scan, at, no_end(&record));
                }
            }
            None if line.trim_ascii().is_empty() => {}
            None => {
                scan.bytes_skipped += length as u64;
                fault(&mut scan, at, "a line that is not of a wfdisc".to_owned());
            }
        }
        at += length as u64;
        match line_at(source, at)? {
            Some(next) => (length, line) = next,
            None if scan.records.is_empty() => {
                scan.state = State::Unreadable;
                return Ok(Some(scan));
            }
            None => return Ok(Some(scan)),
        }
    }
}

fn fault(scan: &mut Scan, at: u64, reason: String) {
    if scan.reason.is_none() {
        scan.reason = Some(reason);
        scan.bad_offset = Some(at);
        scan.state = State::Partly;
    }
}

/// The bytes to the end of the line, and the line without its end; cut where it is longer than lines are.
fn line_at(source: &mut Source, at: u64) -> Result<Option<(usize, Vec<u8>)>> {
    let view = source.view(at, LINE_BYTES)?;
    let view = view.get(..LINE_BYTES).unwrap_or(view);
    if view.is_empty() {
        return Ok(None);
    }
    let end = view.iter().position(|&b| b == b'\n');
    let line = view.get(..end.unwrap_or(view.len())).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Some((end.map_or(view.len(), |end| end + 1), line.to_vec())))
}

fn directory(wfdisc: &Path) -> PathBuf {
    wfdisc.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The record of a line; what the data file cannot hold is not claimed, if that file is there.
fn record(entry: &Entry, data_bytes: Option<u64>, place: Record) -> Record {
    let (encoding, little_endian) = encoding(&entry.datatype);
    let room = data_bytes.zip(encoding.sample_bytes());
    let held = room.map_or(u64::MAX, |(bytes, width)| bytes.saturating_sub(entry.offset) / width);
    let npts = u32::try_from(held).unwrap_or(u32::MAX).min(entry.npts);
    Record {
        start: entry.start,
        npts,
        sampling_rate: entry.sampling_rate,
        encoding,
        data_little_endian: little_endian,
        flags: flags::WFDISC | if npts < entry.npts { flags::LYING_COUNT } else { 0 },
        ..place
    }
}

/// Encoding and byte order of a data type.
fn encoding(datatype: &str) -> (Encoding, bool) {
    match datatype {
        "s2" => (Encoding::INT16, false),
        "i2" => (Encoding::INT16, true),
        "s3" => (Encoding::INT24, false),
        "s4" => (Encoding::INT32, false),
        "i4" => (Encoding::INT32, true),
        "t4" => (Encoding::FLOAT32, false),
        "f4" => (Encoding::FLOAT32, true),
        "t8" => (Encoding::FLOAT64, false),
        "f8" => (Encoding::FLOAT64, true),
        _ => (Encoding::CSS_OTHER, false),
    }
}

/// The fields of a line that has the length of one of the layouts, points in the two times, and numbers that make
/// sense.
fn parse(line: &[u8]) -> Option<Entry> {
    let shift = LAYOUTS.iter().find(|l| l.0 == line.len())?.1;
    let text = |from: usize, to: usize| {
        let raw = line.get(from..to).unwrap_or_default().trim_ascii();
        raw.iter().filter(|b| b.is_ascii_graphic()).map(|&b| char::from(b)).collect::<String>()
    };
    let shifted = |from: usize, to: usize| text(from + shift, to + shift);
    let start = epoch(&text(16, 33))?;
    epoch(&shifted(61, 78))?;
    let datatype = shifted(143, 145);
    let is_type = datatype.len() == 2 && datatype.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'#');
    let sampling_rate: f64 = shifted(88, 99).parse().ok()?;
    if !is_type || !(sampling_rate > 0.0 && sampling_rate.is_finite()) {
        return None;
    }
    let raw = |from: usize, to: usize| line.get(from + shift..to + shift).unwrap_or_default().trim_ascii();
    let path = Path::new(OsStr::from_bytes(raw(148, 212))).join(OsStr::from_bytes(raw(213, 245)));
    Some(Entry {
        code: ChannelCode { station: text(0, 6), channel: text(7, 15), ..ChannelCode::default() },
        start,
        npts: shifted(79, 87).parse().ok()?,
        sampling_rate,
        datatype,
        path,
        offset: shifted(246, 256).parse().ok()?,
    })
}

/// Seconds since 1970 with a point, exactly.
pub(super) fn epoch(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.')?;
    let is_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if digits.is_empty() || !is_digits(digits) || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds: i64 = digits.parse().ok()?;
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    let ns = seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?;
    Some(Time(if whole.starts_with('-') { -ns } else { ns }))
}

/// Samples `first .. first + count` of a line of the wfdisc at `path`. Errors: the line has changed; a data type that
/// is not read; a data file that is not there (or, with `.gz` behind its name, cannot be unpacked).
pub(crate) fn read_samples(path: &Path, record: &Record, range: (u32, u32)) -> Result<Piece> {
    let mut source = Source::open(path, Vec::new())?;
    let line = line_at(&mut source, record.offset)?.map(|l| l.1).unwrap_or_default();
    let entry = parse(&line).filter(|e| e.start == record.start && e.npts >= record.npts);
    let Some(entry) = entry else {
        let reason = "the line of the wfdisc has changed; REFRESH reads it";
        return Err(Error::data(path, Some(record.offset), reason));
    };
    let Some(width) = record.encoding.sample_bytes() else {
        let reason = format!("the data type {} of a wfdisc is not read", entry.datatype);
        return Err(Error::data(path, Some(record.offset), reason));
    };
    let data = directory(path).join(&entry.path);
    let part = Record { flags: record.flags & !flags::WFDISC, offset: entry.offset, ..*record };
    match std::fs::metadata(&data) {
        Ok(found) if found.is_file() => {
            let part = Record { length: width * u64::from(part.npts), data_offset: 0, ..part };
            waveform::read_samples(&data, &part, range.0, range.1)
        }
        Ok(_) => Err(Error::data(&data, None, "the file that a wfdisc names is not a regular file")),
        Err(error) => {
            match packed(&data, entry.offset + width * u64::from(range.0), width * u64::from(range.1)) {
                Some(bytes) => unpacked(&data, &part, range, &bytes?),
                None => Err(Error::io("open", &data, error)),
            }
        }
    }
}

fn unpacked(data: &Path, record: &Record, range: (u32, u32), bytes: &[u8]) -> Result<Piece> {
    let start = waveform::sample_time(record.start, u64::from(range.0), record.sampling_rate);
    let part = Record { npts: range.1, start, ..*record };
    let decoded =
        decode::decode(&part, bytes).map_err(|reason| Error::data(data, Some(record.offset), reason))?;
    Ok(Piece {
        start,
        sampling_rate: record.sampling_rate,
        samples: decoded.samples,
        integrity_ok: decoded.integrity_ok,
    })
}

/// Bytes of the file with `.gz` behind its name, if there is one.
fn packed(path: &Path, offset: u64, length: u64) -> Option<Result<Vec<u8>>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    let path = PathBuf::from(name);
    if !std::fs::metadata(&path).is_ok_and(|m| m.is_file()) {
        return None;
    }
    let unpack = || -> io::Result<Vec<u8>> {
        let mut stream = flate2::read::MultiGzDecoder::new(io::BufReader::new(File::open(&path)?));
        io::copy(&mut stream.by_ref().take(offset), &mut io::sink())?;
        let mut bytes = Vec::with_capacity(length.min(limits::TRUSTED_ALLOCATION_BYTES as u64) as usize);
        stream.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    Some(unpack().map_err(|e| Error::io("unpack", &path, e)))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests;
