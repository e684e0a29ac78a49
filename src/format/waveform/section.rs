//! Byte ranges that another index (tsindex) named: which records they hold is found out when they are asked for.

use std::path::Path;

use crate::error::{Error, Result};
use crate::format::waveform::source::Source;
use crate::format::waveform::{Piece, Record, flags, read, sample_time, walk};
use crate::model::time::Time;

/// The records themselves: what stands for a byte range is replaced by the records in it that hold a sample of its
/// time, in order of time. Reads the headers of the ranges. Errors: I/O; a range that holds no such record.
pub fn expand(path: &Path, records: &[Record]) -> Result<Vec<Record>> {
    let mut expanded = Vec::with_capacity(records.len());
    for record in records {
        if record.flags & flags::SECTION == 0 {
            expanded.push(*record);
        } else {
            let end = sample_time(record.start, u64::from(record.npts), record.sampling_rate);
            expanded.append(&mut in_section(path, record, (record.start, end))?);
        }
    }
    Ok(expanded)
}

/// The records of a section that hold a sample in a span.
fn in_section(path: &Path, section: &Record, span: (Time, Time)) -> Result<Vec<Record>> {
    let mut source = Source::open(path, Vec::new())?;
    source.end_at(section.offset.saturating_add(section.length));
    let scan = walk::scan(&mut source, section.offset)?;
    let ends = |r: &Record| sample_time(r.start, u64::from(r.npts), r.sampling_rate);
    let agrees = |r: &&Record| (r.sampling_rate / section.sampling_rate - 1.0).abs() < 1e-4 && r.npts > 0;
    let inside = |r: &&Record| r.start < span.1 && ends(r) > span.0;
    let mut found: Vec<Record> = scan.records.iter().filter(agrees).filter(inside).copied().collect();
    found.sort_by_key(|r| (r.start, r.offset));
    if found.is_empty() {
        let reason =
            "the index that was imported names data here that the file does not hold; REFRESH reads it";
        return Err(Error::data(path, Some(section.offset), reason));
    }
    Ok(found)
}

/// Samples `first .. first + count` of a section, counted from its start; fewer where its records end, or where they
/// leave a gap.
pub(super) fn read_samples(path: &Path, section: &Record, range: (u32, u32)) -> Result<Piece> {
    let at = |index: u64| sample_time(section.start, index, section.sampling_rate);
    let half_ns = (0.5e9 / section.sampling_rate.max(1e-9)) as i64;
    // the other index rounds times: half a sample decides
    let from = Time(at(u64::from(range.0)).0.saturating_sub(half_ns));
    let to = Time(at(u64::from(range.0) + u64::from(range.1)).0.saturating_sub(half_ns));
    let records = in_section(path, section, (from, to))?;
    let mut joined = Piece { sampling_rate: section.sampling_rate, integrity_ok: true, ..Piece::default() };
    for piece in read(path, &records)? {
        let due = sample_time(joined.start, joined.samples.len() as u64, joined.sampling_rate);
        if joined.samples.is_empty() {
            joined.start = piece.start;
            joined.sampling_rate = piece.sampling_rate;
        } else if (piece.start.0.saturating_sub(due.0)).saturating_abs() > half_ns {
            break;
        }
        joined.samples.extend(piece.samples);
        joined.integrity_ok &= piece.integrity_ok;
    }
    let before = (from.seconds_since(joined.start) * joined.sampling_rate).ceil().max(0.0) as usize;
    joined.samples.drain(..before.min(joined.samples.len()));
    joined.samples.truncate(range.1 as usize);
    joined.start = sample_time(joined.start, before as u64, joined.sampling_rate);
    Ok(joined)
}
