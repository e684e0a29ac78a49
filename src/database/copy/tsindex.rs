//! COPY ... FORMAT tsindex: the segments of a query as the index that mseedindex makes, so that its readers (ObsPy's
//! client among them) answer from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::engine::bind::Context;
use crate::engine::ops::selected::selected;
use crate::engine::ops::stored::{full_path, records_of};
use crate::engine::plan::Node;
use crate::error::Result;
use crate::format::tsindex::{Section, Writer};
use crate::format::waveform::{Record, Scan, Stream};
use crate::index::archive::Part;
use crate::index::time::{self, assemble};
use crate::ingest::import::counted;
use crate::ingest::refresh::now_ns;
use crate::model::station::ChannelCode;
use crate::model::time::Time;

/// Time between the entries of a time index.
const ENTRY_NS: i64 = 3_600_000_000_000;

/// Writes the sections of the chosen segments into an empty file; how many. A segment is written whole.
pub(super) fn write(node: &Node, path: &Path, context: &Context<'_>) -> Result<u64> {
    let archive = context.tables.archive()?;
    let mut files: BTreeMap<(u32, u32), BTreeSet<usize>> = BTreeMap::new();
    for wanted in selected(node, archive, context)? {
        let row = wanted.row as usize;
        let file = archive.parts[wanted.part as usize].file_of(row);
        files.entry((wanted.part, file)).or_default().insert(row);
    }
    let mut writer = Writer::new(path, Time(now_ns()))?;
    let mut left = LeftOut::default();
    for ((part, file), rows) in files {
        context.cancel.check()?;
        for section in file_sections(&archive.parts[part as usize], file, &rows, &mut left)? {
            writer.add(section)?;
        }
    }
    let notices = [
        (left.other, "not of miniSEED files: an index of records cannot hold them"),
        (left.no_series, "without a sampling rate"),
        (left.unnamed, "of channels or paths that the index has no place for"),
    ];
    for (count, why) in notices.iter().filter(|n| n.0 > 0) {
        context.notices.footer(format!("{} left out, {why}", counted(*count, "segment")));
    }
    writer.finish()
}

/// What cannot be written.
#[derive(Default)]
struct LeftOut {
    other: usize,
    no_series: usize,
    unnamed: usize,
}

/// The sections of one file, by place.
fn file_sections(part: &Part, file: u32, rows: &BTreeSet<usize>, left: &mut LeftOut) -> Result<Vec<Section>> {
    let row = part.file(file);
    let path = full_path(part, file);
    if !row.format.starts_with("mseed") {
        left.other += rows.len();
        return Ok(vec![]);
    }
    let Some(filename) = path.to_str() else {
        left.unnamed += rows.len();
        return Ok(vec![]);
    };
    let mut records: Vec<(usize, Record)> = vec![];
    for &segment in rows {
        let channel = part.channel_of(segment);
        if part.segment(segment).sampling_rate <= 0.0 {
            left.no_series += 1;
            continue;
        }
        if part.channels[channel].0 == ChannelCode::default() {
            left.unnamed += 1;
            continue;
        }
        let found = records_of(part, segment, (Time(i64::MIN), Time(i64::MAX)))?;
        records.extend(found.into_iter().map(|r| (channel, r)));
    }
    records.sort_by_key(|(_, r)| r.offset);
    records.dedup_by_key(|(_, r)| r.offset);
    let same = |a: &(usize, Record), b: &(usize, Record)| {
        let version = |r: &Record| (r.quality, r.publication_version);
        a.0 == b.0 && version(&a.1) == version(&b.1) && a.1.offset + a.1.length == b.1.offset
    };
    let modified_s = Some(row.mtime_ns.div_euclid(1_000_000_000));
    let stretches = records.chunk_by(same).map(|run| {
        let code = part.channels[run[0].0].0.clone();
        let records: Vec<Record> = run.iter().map(|(_, r)| Record { stream: 0, ..*r }).collect();
        Section { code, filename: filename.to_owned(), modified_s, ..section(records) }
    });
    Ok(stretches.collect())
}

/// Neighbouring records of one channel and version as a section.
fn section(records: Vec<Record>) -> Section {
    let (first, end) = (records[0], records.iter().map(|r| r.offset + r.length).max().unwrap_or(0));
    let extent = (
        records.iter().map(|r| r.start).min().unwrap_or_default(),
        records.iter().map(Record::last_sample).max().unwrap_or_default(),
    );
    let (time_index, is_ordered) = time_index(&records, extent.0);
    let scan = Scan { streams: vec![Stream::default()], records, ..Scan::default() };
    let last_sample =
        |s: &time::Segment| Time(s.end.0.saturating_sub((1e9 / s.sampling_rate).round() as i64));
    let spans = assemble(&scan).into_iter().map(|s| (s.start, last_sample(&s).max(s.start), s.sampling_rate));
    Section {
        quality: first.quality,
        version: first.publication_version,
        extent,
        sampling_rate: first.sampling_rate,
        byte_offset: first.offset,
        bytes: end - first.offset,
        time_index,
        is_ordered,
        spans: spans.collect(),
        ..Section::default()
    }
}

/// An entry at the first record, and one an hour where everything before ends before and everything behind begins
/// behind: of records out of order a reader takes what it needs and more, never less.
fn time_index(records: &[Record], earliest: Time) -> (Vec<(Time, u64)>, bool) {
    let mut entries = vec![(earliest, records[0].offset)];
    let mut earliest_behind = vec![Time(i64::MAX); records.len()];
    let mut reach = Time(i64::MAX);
    for (slot, record) in earliest_behind.iter_mut().zip(records).rev() {
        reach = reach.min(record.start);
        *slot = reach;
    }
    let mut latest_before = Time(i64::MIN);
    let mut is_ordered = true;
    let mut due = Time(earliest.0.saturating_add(ENTRY_NS));
    for (record, behind) in records.iter().zip(earliest_behind) {
        let divides = latest_before < record.start && behind == record.start;
        is_ordered &= divides;
        if divides && record.start >= due {
            entries.push((record.start, record.offset));
            due = Time(record.start.0.saturating_add(ENTRY_NS));
        }
        latest_before = latest_before.max(record.last_sample());
    }
    (entries, is_ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten samples a second from `start_s`, `seconds` long.
    fn record(number: u64, start_s: i64, seconds: u32) -> Record {
        Record {
            offset: 512 * number,
            length: 512,
            start: Time(start_s * 1_000_000_000),
            npts: 10 * seconds,
            sampling_rate: 10.0,
            quality: b'D',
            publication_version: 2,
            ..Record::default()
        }
    }

    /// A reader that trusts the time index finds every record of a window.
    fn check(records: &[Record], entries: usize, is_ordered: bool, spans: usize) {
        let section = section(records.to_vec());
        assert_eq!(section.time_index.len(), entries, "{section:?}");
        assert_eq!((section.is_ordered, section.spans.len()), (is_ordered, spans), "{section:?}");
        for from in (0..20_000).step_by(700) {
            let window = (Time(from * 1_000_000_000), Time((from + 300) * 1_000_000_000));
            let index = &section.time_index;
            let first = index.partition_point(|e| e.0 <= window.0).saturating_sub(1);
            let last = index.get(index.partition_point(|e| e.0 <= window.1));
            let range = index[first].1..last.map_or(section.byte_offset + section.bytes, |e| e.1);
            let needed = |r: &&Record| r.start <= window.1 && r.last_sample() >= window.0;
            assert!(records.iter().filter(needed).all(|r| range.contains(&r.offset)), "{window:?}");
        }
    }

    #[test]
    fn a_time_index_never_leaves_a_record_out() {
        let ordered: Vec<Record> = (0..20).map(|i| record(i, 1000 * i as i64, 1000)).collect();
        check(&ordered, 5, true, 1);
        let gaps: Vec<Record> = (0..20).map(|i| record(i, 1000 * i as i64, 900)).collect();
        check(&gaps, 5, true, 20);
        let mut mixed = ordered.clone();
        mixed.swap(3, 9);
        for (number, record) in mixed.iter_mut().enumerate() {
            record.offset = 512 * number as u64;
        }
        check(&mixed, 3, false, 1);
        let overlapping: Vec<Record> = (0..20).map(|i| record(i, 1000 * i as i64, 1100)).collect();
        check(&overlapping, 1, false, 20);
        check(&ordered[..1], 1, true, 1);
    }
}
