//! A file that has grown: what is known of its records is taken from the index, and only what was appended is read.

use std::collections::HashMap;

use crate::error::Result;
use crate::format::waveform::source::Source;
use crate::format::waveform::{self, Record, Scan, Stream, flags};
use crate::index::archive::{FileRow, SegmentRow};
use crate::index::time::decode_records;
use crate::model::time::Time;

/// What is known of a file from before it grew.
pub struct Old {
    /// Its row.
    pub file: FileRow,
    /// Its segments.
    pub segments: Vec<SegmentRow>,
}

/// Can a file of this format that now has `size` bytes be one that has grown, as far as the rows tell?
pub fn can_have_grown(file: &FileRow, size: u64) -> bool {
    let is_known = file.format.starts_with("mseed") && file.records > 0;
    is_known && size > file.size && matches!(file.state.as_str(), "ok" | "partly")
}

/// The scan of a file whose last known record is where it was. `None`: it is not, or its records do not tell enough:
/// the file is read whole.
pub(super) fn scan_grown(source: &mut Source, old: Old) -> Result<Option<Scan>> {
    let Some(mut scan) = known_scan(&old) else { return Ok(None) };
    let Some(last) = scan.records.last().copied() else { return Ok(None) };
    let end = last.offset.saturating_add(last.length);
    // Faults before the end of the last record stay; what they skipped is not told apart from what came behind it.
    if old.file.bad_offset.is_some_and(|at| at < end) || end > source.size() {
        return Ok(None);
    }
    let Some((found, stream)) = waveform::record_at(source, last.offset)? else { return Ok(None) };
    let known_stream = scan.streams.get(last.stream as usize);
    let is_in_place = Record { stream: last.stream, ..found } == last && known_stream == Some(&stream);
    if !is_in_place {
        return Ok(None);
    }
    scan.format = match old.file.format.as_str() {
        "mseed2" => "mseed2",
        "mseed3" => "mseed3",
        "mseed2+3" => "mseed2+3",
        _ => return Ok(None),
    };
    waveform::scan_tail(source, end, scan).map(Some)
}

/// Records and channels as the scan before had them. `None` where the maps do not read, or the length of a record was
/// not told by itself.
fn known_scan(old: &Old) -> Option<Scan> {
    let everything = (Time(i64::MIN), Time(i64::MAX));
    let mut records: Vec<(Record, usize)> = vec![];
    for (number, segment) in old.segments.iter().enumerate() {
        let found = decode_records(&segment.map, everything).ok()?;
        records.extend(found.into_iter().map(|r| (r, number)));
    }
    if records.len() as u64 != old.file.records {
        return None;
    }
    records.sort_by_key(|r| r.0.offset);
    let mut scan = Scan::default();
    // Channels are numbered in the order of their first records, as a scan of the whole file does it.
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    for (record, segment) in records {
        if record.flags & (flags::ASSUMED | flags::SECTION | flags::WFDISC) != 0 {
            return None;
        }
        let row = old.segments.get(segment)?;
        let next = scan.streams.len() as u32;
        let number = *numbers.entry(&row.source_id).or_insert(next);
        if number == next {
            scan.streams.push(Stream { code: row.code.clone(), source_id: row.source_id.clone() });
        }
        scan.flags |= record.flags;
        scan.records.push(Record { stream: number, ..record });
    }
    Some(scan)
}
