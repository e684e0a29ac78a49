//! Channel and window to segments: binary search for the last start, and a tree of latest ends over every 64 rows to
//! leave out what ends before.

use std::ops::Range;

use rayon::prelude::*;

use super::part::Part;
use super::{Archive, PAGE_ROWS, SPARSE_ROWS};
use crate::error::Result;
use crate::format::waveform::Record;
use crate::index::columns::u64_at;
use crate::model::time::Time;

/// Windows that one thread joins at a time.
const CHUNK: usize = 4096;

/// Where a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentPlace {
    /// Index into [`Archive::parts`].
    pub part: u32,
    /// Row of the part.
    pub row: u32,
}

/// One window of a bulk join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Index into the list of codes.
    pub code: u32,
    /// First instant.
    pub from: Time,
    /// Behind the last instant.
    pub to: Time,
}

/// A segment with a sample in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Index into [`Archive::parts`].
    pub part: u32,
    /// File of the part.
    pub file: u32,
    /// First byte of the segment.
    pub byte_offset: u64,
    /// Row of the part.
    pub row: u32,
    /// Index into the list of windows.
    pub window: u32,
}

impl Part {
    /// Calls with the rows of living segments of a channel that hold a sample in `[from, to)`, by start; `run` is
    /// that of the channel.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn covering(&self, run: &Range<usize>, span: (i64, i64), mut with: impl FnMut(usize)) -> Result<()> {
        let (from, to) = span;
        let end = self.first_start_from(run, to)?;
        let ends = Ends::of(self)?;
        let mut row = run.start;
        while row < end {
            if let Some(next) = ends.skip(row, row == run.start, from)? {
                row = next;
                continue;
            }
            let next = (row / SPARSE_ROWS + 1).saturating_mul(SPARSE_ROWS).min(end);
            let block = (self.page(row / PAGE_ROWS)?, self.bound_ns(row)?);
            for row in row..next {
                if self.covers(block, row, from)? {
                    with(row);
                }
            }
            row = next;
        }
        Ok(())
    }

    /// The first row of a run that does not start before `to`.
    fn first_start_from(&self, run: &Range<usize>, to: i64) -> Result<usize> {
        // blocks of 64 rows that begin within the run
        let blocks = run.start / SPARSE_ROWS + 1..run.end.div_ceil(SPARSE_ROWS);
        let (mut low, mut high) = (blocks.start, blocks.end.max(blocks.start));
        let starts = self.starts.get(8 * low..8 * high)?;
        let first = low;
        while low < high {
            let middle = (low + high) / 2;
            let start = u64_at(starts, 8 * (middle - first)).unwrap_or(0) as i64;
            if start < to { low = middle + 1 } else { high = middle }
        }
        let (mut row, mut end) =
            (run.start.max((low - 1) * SPARSE_ROWS), run.end.min(low.saturating_mul(SPARSE_ROWS)));
        if row >= end {
            return Ok(end);
        }
        let page = self.page(row / PAGE_ROWS)?;
        while row < end {
            let middle = (row + end) / 2;
            if page.start(middle % PAGE_ROWS) < to { row = middle + 1 } else { end = middle }
        }
        Ok(row)
    }
}

/// Levels of the tree of ends: of 64 rows, of 64 of these, ..., up to one.
struct Ends<'a> {
    part: &'a Part,
    /// First entry and rows of an entry of each level.
    levels: [(usize, usize); 6],
    depth: usize,
}

impl Ends<'_> {
    fn of(part: &Part) -> Result<Ends<'_>> {
        let mut ends = Ends { part, levels: [(0, 0); 6], depth: 0 };
        let (mut entries, mut first, mut rows) =
            (part.segment_count().div_ceil(SPARSE_ROWS), 0_usize, SPARSE_ROWS);
        while entries > 0 && ends.depth < ends.levels.len() {
            ends.levels[ends.depth] = (first, rows);
            ends.depth += 1;
            first += entries;
            rows = rows.saturating_mul(SPARSE_ROWS);
            entries = if entries == 1 { 0 } else { entries.div_ceil(SPARSE_ROWS) };
        }
        if first * 8 > part.ends.len() {
            return Err(part.damaged("its tree of ends is cut [I27]"));
        }
        Ok(ends)
    }

    /// The row behind the largest node over `row` that ends before `from`. Nodes of higher levels are asked where
    /// they begin, and over the first row.
    fn skip(&self, row: usize, is_first: bool, from: i64) -> Result<Option<usize>> {
        let mut skipped = None;
        for (first, rows) in &self.levels[..self.depth] {
            let is_asked = is_first || row.is_multiple_of(*rows) || *rows == SPARSE_ROWS;
            if !is_asked {
                break;
            }
            let at = 8 * (first + row / rows);
            let latest = u64_at(self.part.ends.get(at..at + 8)?, 0).unwrap_or(0) as i64;
            if latest >= from {
                break;
            }
            skipped = Some((row / rows + 1) * rows);
        }
        Ok(skipped)
    }
}

impl Archive {
    /// Living segments of a code that hold a sample in `[from, to)`, by start, then part and row. A segment of rate
    /// 0 holds its instant.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn covering(&self, code: &str, from: Time, to: Time) -> Result<Vec<SegmentPlace>> {
        let mut places = vec![];
        let mut groups = 0;
        for (number, part) in self.parts.iter().enumerate() {
            for channel in part.channels_of(code)? {
                let before = places.len();
                let push = |row| places.push(SegmentPlace { part: number as u32, row: row as u32 });
                part.covering(&part.run(channel)?, (from.0, to.0), push)?;
                groups += usize::from(places.len() > before);
            }
        }
        if groups > 1 {
            let mut keyed = Vec::with_capacity(places.len());
            for place in places {
                keyed.push((self.parts[place.part as usize].start_of(place.row as usize)?, place));
            }
            keyed.sort_unstable();
            return Ok(keyed.into_iter().map(|(_, place)| place).collect());
        }
        Ok(places)
    }

    /// The records of a segment that hold a sample in `span` (half open); only the blocks needed are unpacked.
    ///
    /// # Errors
    /// `Damaged`; `Refused` for a place of another archive.
    pub fn records(&self, place: SegmentPlace, span: (Time, Time)) -> Result<Vec<Record>> {
        let part = self.parts.get(place.part as usize).ok_or_else(|| {
            crate::error::Error::refused("there is no such part of the archive", "look the window up again")
        })?;
        part.records(place.row as usize, span)
    }

    /// All segments of many windows, sorted by file and offset, so that files are read in order and once. Windows
    /// may come in any order; `codes` are what they name.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn join_windows(&self, codes: &[&str], windows: &[Window]) -> Result<Vec<Hit>> {
        let mut order: Vec<u32> = (0..windows.len() as u32).collect();
        let window = |at: u32| windows[at as usize];
        order.par_sort_unstable_by_key(|&at| (window(at).code, window(at).from, at));
        let mut runs: Vec<Vec<(u32, Range<usize>)>> = Vec::with_capacity(codes.len());
        for code in codes {
            let mut of_code = vec![];
            for (number, part) in self.parts.iter().enumerate() {
                for channel in part.channels_of(code)? {
                    of_code.push((number as u32, part.run(channel)?));
                }
            }
            runs.push(of_code);
        }
        let joined: Vec<Vec<Hit>> = order
            .par_chunks(CHUNK)
            .map(|chunk| {
                let mut hits = vec![];
                for &at in chunk {
                    let Window { code, from, to } = window(at);
                    for (part, run) in runs.get(code as usize).map_or(&[][..], |r| r.as_slice()) {
                        self.hits(*part, run, (at, from.0, to.0), &mut hits)?;
                    }
                }
                Ok(hits)
            })
            .collect::<Result<_>>()?;
        let mut hits = joined.concat();
        hits.par_sort_unstable();
        Ok(hits)
    }

    fn hits(
        &self,
        number: u32,
        run: &Range<usize>,
        (window, from, to): (u32, i64, i64),
        hits: &mut Vec<Hit>,
    ) -> Result<()> {
        let part = &self.parts[number as usize];
        let first = hits.len();
        part.covering(run, (from, to), |row| {
            hits.push(Hit { part: number, file: 0, byte_offset: 0, row: row as u32, window });
        })?;
        for hit in &mut hits[first..] {
            hit.file = part.file_of(hit.row as usize)?;
            hit.byte_offset = part.offset_of(hit.row as usize)?;
        }
        Ok(())
    }
}
