//! GSE 1, GSE 2 and IMS 1.0 waveforms: text, one section a trace, several to a file: `WID2` (time, codes, count, rate),
//! `STA2` (network), `DAT2` and the samples, `CHK2` (GSE 2.0, CRP/243; IMS 1.0, section "Waveform data"). Columns in
//! the comments count from 0.

mod data;
mod lines;

pub(crate) use data::decode;

use std::collections::HashMap;

use crate::error::Result;
use crate::format::gse2::data::{Counter, checksum_of_line};
use crate::format::gse2::lines::{first_header, next_line};
use crate::format::mseed2::no_end;
use crate::format::waveform::source::Source;
use crate::format::waveform::{Encoding, Record, Scan, State, Stream, fdsn_id, flags};
use crate::model::station::ChannelCode;
use crate::model::time::Time;

/// Lines between a header and its data that are looked through (station, beam, event, comments).
const LINES_BEFORE_DATA: usize = 64;
/// Bytes that the data of a section may have beyond [`SAMPLE_BYTES`] a sample.
const SPARE_BYTES: u64 = 1 << 20;
/// Most bytes of a sample as text, with its blanks.
const SAMPLE_BYTES: u64 = 24;

/// What a `WID1` or `WID2` line says.
#[derive(Clone, Debug, PartialEq)]
struct Header {
    start: Time,
    code: ChannelCode,
    encoding: Encoding,
    npts: u32,
    sampling_rate: f64,
    /// GSE 1: a second line of the header follows.
    is_first_version: bool,
}

/// Reads the headers if the file is GSE or IMS: a header line that parses within its first 64 KiB, and only text
/// before it. `None`: it is something else.
pub(crate) fn scan(source: &mut Source) -> Result<Option<Scan>> {
    let Some(first) = first_header(source)? else { return Ok(None) };
    let mut walk = Walk { scan: Scan::default(), numbers: HashMap::new() };
    let mut at = first;
    while at < source.size() {
        let line = next_line(source, at)?;
        let next = line.next;
        at = match header(line.text) {
            Some(header) => walk.section(source, at, (next, header))?,
            None => next,
        };
    }
    Ok(Some(walk.finish()))
}

struct Walk {
    scan: Scan,
    numbers: HashMap<ChannelCode, u32>,
}

impl Walk {
    /// One section from its header line on; where to go on behind it.
    fn section(&mut self, source: &mut Source, offset: u64, found: (u64, Header)) -> Result<u64> {
        let (mut at, mut header) = found;
        if header.is_first_version {
            at = next_line(source, at)?.next;
        }
        let mut data = None;
        for _ in 0..LINES_BEFORE_DATA {
            let line = next_line(source, at)?;
            let (is_data, next) = (line.starts(b"DAT2") || line.starts(b"DAT1"), line.next);
            if line.starts(b"STA2") {
                header.code.network = field(line.text, 5, 14);
            }
            if line.text.is_empty() && next == at || self::header(line.text).is_some() {
                break;
            }
            at = next;
            if is_data {
                data = Some(next);
                break;
            }
        }
        let Some(data) = data else {
            self.fault(at, "no DAT line follows the header of a section".to_owned());
            self.scan.bytes_skipped += at.saturating_sub(offset);
            return Ok(at);
        };
        let (end, counter, is_checked) = data_lines(source, data, &header)?;
        if let Some((at, reason)) = counter.fault {
            self.fault(at, reason);
        } else if !is_checked {
            self.fault(end, "the section has no CHK line".to_owned());
        }
        self.keep(header, (offset, data, end), counter.count);
        Ok(end)
    }

    fn keep(&mut self, header: Header, place: (u64, u64, u64), held: u64) {
        let (offset, data, end) = place;
        let known = header.encoding == Encoding::GSE_INT || header.encoding == Encoding::GSE_CM6;
        // what is not decoded packs at most four samples a byte
        let held = if known { held } else { (end - data).saturating_mul(4) };
        let npts = u32::try_from(held).unwrap_or(u32::MAX).min(header.npts);
        let next = self.numbers.len() as u32;
        let stream = *self.numbers.entry(header.code.clone()).or_insert(next);
        if stream == next {
            let source_id = fdsn_id(&header.code);
            self.scan.streams.push(Stream { code: header.code, source_id });
        }
        let format = if header.is_first_version { "gse1" } else { "gse2" };
        self.scan.format = if self.scan.format.is_empty() { format } else { self.scan.format };
        let record = Record {
            offset,
            length: end - offset,
            data_offset: u32::try_from(data - offset).unwrap_or(u32::MAX),
            stream,
            start: header.start,
            npts,
            sampling_rate: header.sampling_rate,
            encoding: header.encoding,
            flags: if npts < header.npts { flags::LYING_COUNT } else { 0 },
            ..Record::default()
        };
        if record.has_end() {
            self.scan.add(record);
        } else {
            self.fault(offset, no_end(&record));
        }
    }

    fn fault(&mut self, at: u64, reason: String) {
        if self.scan.reason.is_none() {
            self.scan.reason = Some(reason);
            self.scan.bad_offset = Some(at);
        }
    }

    fn finish(self) -> Scan {
        let mut scan = self.scan;
        scan.state = match (scan.records.is_empty(), scan.reason.is_some()) {
            (false, false) => State::Ok,
            (false, true) => State::Partly,
            (true, _) => State::Unreadable,
        };
        if scan.format.is_empty() {
            scan.format = "gse2";
        }
        scan
    }
}

/// From the first line of the data to behind their checksum: that place, the samples counted, and whether there was
/// a checksum.
fn data_lines(source: &mut Source, data: u64, header: &Header) -> Result<(u64, Counter, bool)> {
    let mut counter = Counter::new(header.encoding, header.npts);
    let limit = u64::from(header.npts) * SAMPLE_BYTES + SPARE_BYTES;
    let mut at = data;
    while at < source.size() {
        let line = next_line(source, at)?;
        let next = line.next;
        if checksum_of_line(line.text).is_some() {
            return Ok((next, counter, true));
        }
        if self::header(line.text).is_some() {
            break;
        }
        counter.line(at, &line);
        if next - data > limit {
            let samples = header.npts;
            counter.fail(at, format!("the data of {samples} samples go on for more than {limit} bytes"));
            return Ok((next, counter, false));
        }
        at = next;
    }
    Ok((at, counter, false))
}

/// A header line of either version whose numbers make sense.
fn header(line: &[u8]) -> Option<Header> {
    if line.starts_with(b"WID2 ") {
        second_version(line)
    } else if line.starts_with(b"WID1 ") {
        first_version(line)
    } else {
        None
    }
}

/// `WID2 1990/04/07 00:07:33.000 BBOA  CPZ      INT     6784   50.000000 ...`
fn second_version(line: &[u8]) -> Option<Header> {
    let start = Time::from_date(
        (number(line, 5, 9)?, number(line, 10, 12)?, number(line, 13, 15)?),
        (number(line, 16, 18)?, number(line, 19, 21)?, number(line, 22, 24)?),
        number::<i64>(line, 25, 28)? * 1_000_000,
    )?;
    let separators = [(9, b'/'), (12, b'/'), (18, b':'), (21, b':'), (24, b'.')];
    if !separators.iter().all(|&(at, byte)| line.get(at) == Some(&byte)) {
        return None;
    }
    // the auxiliary code is a location only where it is as short as one
    let auxiliary = field(line, 39, 43);
    let location = if auxiliary.len() <= 2 { auxiliary } else { String::new() };
    Some(Header {
        start,
        code: ChannelCode {
            network: String::new(),
            station: field(line, 29, 34),
            location,
            channel: field(line, 35, 38).to_ascii_uppercase(),
        },
        encoding: encoding(&field(line, 44, 48)),
        npts: number(line, 48, 56)?,
        sampling_rate: rate(line, 57, 68)?,
        is_first_version: false,
    })
}

/// `WID1  1998228 02 09 00 000     6000 GRB1   GRB1BZ   BZ  19.9999997        INTV 0`
fn first_version(line: &[u8]) -> Option<Header> {
    let clock = (number(line, 14, 16)?, number(line, 17, 19)?, number(line, 20, 22)?);
    let nanos = number::<i64>(line, 23, 26)? * 1_000_000;
    let start = Time::from_ordinal(number(line, 5, 10)?, number(line, 10, 13)?, clock, nanos)?;
    let differences = field(line, 79, 80);
    let encoding = match (field(line, 74, 78).as_str(), differences.as_str()) {
        ("CMP6", "2") => Encoding::GSE_CM6,
        ("INTV", "0" | "") => Encoding::GSE_INT,
        _ => Encoding::GSE_OTHER,
    };
    Some(Header {
        start,
        code: ChannelCode {
            network: String::new(),
            station: field(line, 36, 42),
            location: String::new(),
            channel: field(line, 52, 54).to_ascii_uppercase(),
        },
        encoding,
        npts: number(line, 27, 35)?,
        sampling_rate: rate(line, 55, 66)?,
        is_first_version: true,
    })
}

fn encoding(name: &str) -> Encoding {
    match name {
        "CM6" => Encoding::GSE_CM6,
        "INT" => Encoding::GSE_INT,
        "CM8" => Encoding::GSE_CM8,
        "CSF" => Encoding::GSE_CSF,
        "AUT" | "AU6" | "AU8" => Encoding::GSE_AUTHENTICATED,
        _ => Encoding::GSE_OTHER,
    }
}

/// The characters of some columns without blanks, control characters and bytes outside ASCII.
fn field(line: &[u8], from: usize, to: usize) -> String {
    let raw = line.get(from.min(line.len())..to.min(line.len())).unwrap_or_default();
    raw.iter().filter(|b| b.is_ascii_graphic()).map(|&b| char::from(b)).collect()
}

fn number<T: std::str::FromStr>(line: &[u8], from: usize, to: usize) -> Option<T> {
    std::str::from_utf8(line.get(from..to.min(line.len()))?).ok()?.trim().parse().ok()
}

fn rate(line: &[u8], from: usize, to: usize) -> Option<f64> {
    number::<f64>(line, from, to).filter(|r| r.is_finite() && *r >= 0.0)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests;
