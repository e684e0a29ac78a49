//! ASCII SAC: 14 lines of 5 floats, 8 of 5 integers, 8 of texts, then the samples, five to a line.

use crate::error::Result;
use crate::format::sac::{Header, NPTS, NVHDR, NZYEAR, text};
use crate::format::waveform::source::Source;
use crate::format::waveform::{Encoding, Record, Scan, State, flags};
use crate::limits::READ_BLOCK_BYTES;
use crate::model::station::ChannelCode;

/// Lines of floats, of integers and of texts.
const LINES: (usize, usize, usize) = (14, 8, 8);
/// Most bytes of the header, with room for wide blanks and CR LF.
const HEADER_BYTES_MAX: usize = 8192;
/// Longest number in the data.
const NUMBER_BYTES: usize = 64;

/// Reads the header and counts the samples if the file is ASCII SAC.
pub(crate) fn scan(source: &mut Source) -> Result<Option<Scan>> {
    let size = source.size();
    let view = source.view(0, HEADER_BYTES_MAX)?;
    let Some((header, data_offset)) = parse_header(view.get(..HEADER_BYTES_MAX).unwrap_or(view)) else {
        return Ok(None);
    };
    if let Some(scan) = header.refuse() {
        return Ok(Some(scan));
    }
    let wanted = header.npts.max(0) as u64;
    let mut count = 0_u64;
    let bad = numbers(source, data_offset as u64, |value| {
        count += u64::from(value.is_some());
        value.is_some()
    })?;
    if bad.is_some() || count != wanted {
        let reason = match bad {
            Some(_) => format!("sample {} is not a number", count + 1),
            None => format!("the header says {wanted} samples, the file holds {count}"),
        };
        let mut scan = Scan::without_records("sac", State::Unreadable, Some(reason));
        scan.bad_offset = Some(bad.unwrap_or(size));
        return Ok(Some(scan));
    }
    let record = Record {
        length: size,
        data_offset: data_offset as u32,
        encoding: Encoding::TEXT,
        flags: flags::ALPHA,
        ..Record::default()
    };
    Ok(Some(header.into_scan(record)))
}

/// Samples `first .. first + count` of an ASCII file; fewer if it has changed since it was scanned.
pub fn read_alpha(source: &mut Source, record: &Record, range: (u32, u32)) -> Result<Vec<f64>> {
    let (first, count) = (range.0 as usize, range.1 as usize);
    let mut samples = Vec::new();
    let mut at = 0;
    numbers(source, record.offset + u64::from(record.data_offset), |value| {
        if at >= first && samples.len() < count {
            samples.extend(value);
        }
        at += 1;
        samples.len() < count && value.is_some()
    })?;
    Ok(samples)
}

/// Hands every number from `offset` on to `take` until that says stop; the offset where it stopped.
fn numbers(
    source: &mut Source,
    offset: u64,
    mut take: impl FnMut(Option<f64>) -> bool,
) -> Result<Option<u64>> {
    let mut at = offset;
    let size = source.size();
    while at < size {
        let view = source.view(at, READ_BLOCK_BYTES)?;
        let view = view.get(..READ_BLOCK_BYTES).unwrap_or(view);
        let last = at + view.len() as u64 >= size;
        // a number cut by the end of the block is read with the next block
        let whole = if last { view.len() } else { end_of_last_number(view) };
        for token in view.get(..whole).unwrap_or_default().split(u8::is_ascii_whitespace) {
            if !token.is_empty() && !take(number(token)) {
                let inside = token.as_ptr().addr() - view.as_ptr().addr();
                return Ok(Some(at + inside as u64));
            }
        }
        at += whole.max(1) as u64;
    }
    Ok(None)
}

fn end_of_last_number(view: &[u8]) -> usize {
    view.iter().rposition(u8::is_ascii_whitespace).map_or(view.len(), |at| at + 1)
}

fn number(token: &[u8]) -> Option<f64> {
    let token = token.get(..token.len().min(NUMBER_BYTES))?;
    let value: f64 = std::str::from_utf8(token).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// The header and where the data start. `None`: not ASCII SAC.
fn parse_header(view: &[u8]) -> Option<(Header, usize)> {
    let mut at = 0;
    let mut line = || {
        let rest = view.get(at..)?;
        let length = rest.iter().position(|&b| b == b'\n')?;
        at += length + 1;
        let line = rest.get(..length)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    };
    let mut floats = [0.0_f64; 70];
    for row in floats.chunks_exact_mut(5) {
        fill(row, line()?, 15)?;
    }
    let mut integers = [0.0_f64; 40];
    for row in integers.chunks_exact_mut(5) {
        fill(row, line()?, 10)?;
    }
    let texts: Vec<&[u8]> = (0..LINES.2).map(|_| line()).collect::<Option<_>>()?;
    let integer = |word: usize| integers.get(word - NZYEAR).map_or(0, |&v| v as i32);
    let name = |row: usize, column: usize| {
        let raw = texts.get(row).and_then(|l| l.get(8 * column..(8 * column + 8).min(l.len())));
        raw.map(text).unwrap_or_default()
    };
    let b = *floats.get(5)?;
    let header = Header {
        delta: *floats.first()?,
        b,
        // seven digits are printed
        b_step: if b == 0.0 { 0.0 } else { 10_f64.powf(b.abs().log10().floor() - 6.0) },
        reference: std::array::from_fn(|i| integer(NZYEAR + i)),
        version: integer(NVHDR),
        npts: integer(NPTS),
        file_type: integer(super::IFTYPE),
        evenly_spaced: integer(super::LEVEN) != 0,
        code: ChannelCode {
            network: name(7, 0),
            station: name(0, 0),
            location: name(1, 0),
            channel: name(6, 2),
        },
    };
    (matches!(header.version, 6 | 7) && header.npts >= 0).then_some((header, at))
}

/// Five numbers of a line, by blanks, or by columns where they touch.
fn fill(row: &mut [f64], line: &[u8], width: usize) -> Option<()> {
    let tokens: Vec<&[u8]> = line.split(u8::is_ascii_whitespace).filter(|t| !t.is_empty()).collect();
    let cells =
        if tokens.len() == row.len() { tokens } else { line.chunks(width).map(<[u8]>::trim_ascii).collect() };
    for (index, slot) in row.iter_mut().enumerate() {
        *slot = number(cells.get(index)?)?;
    }
    Some(())
}
