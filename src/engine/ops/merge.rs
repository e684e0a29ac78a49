//! The records of one channel from all its segments, in order of time, each once: what COPY ... FORMAT mseed writes.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use super::selected::Wanted;
use super::stored::records_of;
use crate::error::Result;
use crate::format::waveform::Record;
use crate::index::archive::{Archive, Part};
use crate::model::time::Time;

/// Records whose first samples lie this close can be copies of each other.
const COPY_NS: i64 = 1_000;
/// Records of a segment that are looked at together, about.
const CHUNK_RECORDS: u64 = 1 << 16;
/// The shortest record.
const LEAST_RECORD_BYTES: u64 = 128;

/// A record in a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Located {
    /// Which part.
    pub part: u32,
    /// Which file of it.
    pub file: u32,
    /// Which segment of it.
    pub row: u32,
    /// Where it is and what it holds.
    pub record: Record,
}

/// A record, and copies of it in the order of preference.
#[derive(Clone, Debug)]
pub struct Pick {
    /// The one to write.
    pub best: Located,
    /// Of the same first sample, count and rate.
    pub copies: Vec<Located>,
}

/// The records of one segment that are wanted.
struct Cursor<'a> {
    part: &'a Part,
    order: usize,
    npts: u64,
    path: &'a [u8],
    file: u32,
    /// Stretches of it, by start.
    wanted: &'a [Wanted],
    /// Where the next chunk begins; none once all are taken.
    next: Option<(usize, Time)>,
    width_ns: i64,
    records: VecDeque<Record>,
    /// Start and offset of the record that was taken last.
    last: Option<(Time, u64)>,
}

impl<'a> Cursor<'a> {
    fn front(&self) -> Option<&Record> {
        self.records.front()
    }

    /// Makes the next record the front one; false where there is none.
    fn fill(&mut self) -> Result<bool> {
        while self.records.is_empty() {
            let Some((index, from)) = self.next else { return Ok(false) };
            let Some(wanted) = self.wanted.get(index) else { return Ok(false) };
            let to = Time(from.0.saturating_add(self.width_ns)).min(wanted.span.1);
            self.next = if to < wanted.span.1 {
                Some((index, to))
            } else {
                self.wanted.get(index + 1).map(|w| (index + 1, w.span.0))
            };
            let mut found = records_of(self.part, wanted.row as usize, (from, to))?;
            found.sort_by_key(|r| (r.start, r.offset));
            let last = self.last;
            self.records.extend(found.into_iter().filter(|r| last.is_none_or(|l| (r.start, r.offset) > l)));
            self.last = self.records.back().map(|r| (r.start, r.offset)).max(last);
        }
        Ok(true)
    }

    fn located(&self, record: Record) -> Located {
        let first = self.wanted.first();
        let (part, row) = first.map_or((0, 0), |w| (w.part, w.row));
        Located { part, file: self.file, row, record }
    }

    /// The order of preference among copies: quality or version, the longer unbroken run, the path.
    fn preference(&self, record: &Record) -> (Reverse<(u8, u64)>, &'a [u8], usize) {
        let version =
            if record.quality == 0 { record.publication_version } else { rank_of_quality(record.quality) };
        (Reverse((version, self.npts)), self.path, self.order)
    }
}

/// M over Q over D over R, as the publication versions that miniSEED 3 gives them.
pub fn rank_of_quality(quality: u8) -> u8 {
    crate::format::mseed2::publication_version(quality)
}

impl PartialEq for Cursor<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cursor<'_> {}

impl PartialOrd for Cursor<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cursor<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |c: &Self| (c.front().map(|r| r.start), c.order);
        key(other).cmp(&key(self))
    }
}

/// The records of one channel.
pub struct Merge<'a> {
    archive: &'a Archive,
    /// Stretches that are not looked at yet, by start of their segments.
    rest: &'a [Wanted],
    opened: usize,
    active: BinaryHeap<Cursor<'a>>,
}

impl<'a> Merge<'a> {
    /// Of the stretches of one channel, sorted.
    pub fn new(archive: &'a Archive, wanted: &'a [Wanted]) -> Merge<'a> {
        Merge { archive, rest: wanted, opened: 0, active: BinaryHeap::new() }
    }

    /// The next record in order of start.
    ///
    /// # Errors
    /// A record map that does not read.
    pub fn next(&mut self) -> Result<Option<Pick>> {
        self.open_until(None)?;
        let Some(mut first) = self.active.pop() else { return Ok(None) };
        let Some(record) = first.records.pop_front() else { return Ok(None) };
        let until = Time(record.start.0.saturating_add(COPY_NS));
        self.open_until(Some(until))?;
        let best = first.located(record);
        let is_alone = self.active.peek().and_then(|c| c.front()).is_none_or(|r| r.start > until);
        if is_alone {
            if first.fill()? {
                self.active.push(first);
            }
            return Ok(Some(Pick { best, copies: vec![] }));
        }
        self.among_copies(first, record, until).map(Some)
    }

    /// The choice among the records that start with `record`, which is taken from `first` already.
    fn among_copies(&mut self, first: Cursor<'a>, record: Record, until: Time) -> Result<Pick> {
        let (mut group, mut others) = (vec![], vec![]);
        while let Some(next) = pop_until(&mut self.active, until) {
            match next.front() {
                Some(r) if is_copy(r, &record) => group.push(next),
                _ => others.push(next),
            }
        }
        let best = first.located(record);
        let mut picks = vec![(first.preference(&record), best)];
        for cursor in &group {
            if let Some(r) = cursor.front() {
                picks.push((cursor.preference(r), cursor.located(*r)));
            }
        }
        picks.sort_by(|a, b| a.0.cmp(&b.0));
        let mut picks = picks.into_iter().map(|p| p.1);
        let best = picks.next().unwrap_or(best);
        let pick = Pick { best, copies: picks.collect() };
        for mut cursor in group {
            cursor.records.pop_front();
            others.push(cursor);
        }
        others.push(first);
        for mut cursor in others {
            if cursor.fill()? {
                self.active.push(cursor);
            }
        }
        Ok(pick)
    }

    /// Opens every segment that starts before the next record does, or before `until`.
    fn open_until(&mut self, until: Option<Time>) -> Result<()> {
        while let Some(next) = self.rest.first() {
            let bound = until.or(self.active.peek().and_then(|c| c.front()).map(|r| r.start));
            if bound.is_some_and(|bound| next.segment_start > bound) {
                return Ok(());
            }
            let same = |w: &&Wanted| (w.part, w.row) == (next.part, next.row);
            let (wanted, rest) = self.rest.split_at(self.rest.iter().take_while(same).count());
            self.rest = rest;
            let Some(part) = self.archive.parts.get(next.part as usize) else { continue };
            let segment = part.segment(next.row as usize);
            let chunks = segment.bytes / LEAST_RECORD_BYTES / CHUNK_RECORDS + 1;
            let span_ns = segment.end.0.saturating_sub(segment.start.0);
            let file = part.file_of(next.row as usize);
            let mut cursor = Cursor {
                part,
                order: self.opened,
                npts: segment.npts,
                path: part.path(file),
                file,
                wanted,
                next: Some((0, next.span.0)),
                width_ns: (span_ns / i64::try_from(chunks).unwrap_or(i64::MAX)).max(1),
                records: VecDeque::new(),
                last: None,
            };
            self.opened += 1;
            if cursor.fill()? {
                self.active.push(cursor);
            }
        }
        Ok(())
    }
}

/// Of the same first sample, count and rate.
fn is_copy(a: &Record, b: &Record) -> bool {
    a.npts == b.npts
        && a.sampling_rate.to_bits() == b.sampling_rate.to_bits()
        && a.start.0.abs_diff(b.start.0) <= COPY_NS as u64
}

/// The next cursor where its record starts in time.
fn pop_until<'a>(active: &mut BinaryHeap<Cursor<'a>>, until: Time) -> Option<Cursor<'a>> {
    let is_near = active.peek()?.front()?.start <= until;
    if is_near { active.pop() } else { None }
}
