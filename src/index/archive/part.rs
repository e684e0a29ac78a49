//! A mapped part: opening looks at its head only, everything else is read and checked when it is used \[I27\].

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::channels::Channels;
use super::cold::{COLD_ROWS, Cold, ESCAPE, MapPlace, RATE_ESCAPE};
use super::files::{FileReader, Files, decode_dead};
use super::write::derived_end;
use super::{FileRow, PAGE_ROWS, PART_VERSION, SPARSE_ROWS, SegmentRow, code_text};
use crate::error::{Error, Result};
use crate::format::waveform::Record;
use crate::index::columns::{u32_at, u64_at};
use crate::index::time::{Segment, decode_stored, from_stored};
use crate::model::station::ChannelCode;
use crate::model::time::Time;
use crate::store::{Blob, SegmentMap};

/// Bytes of a row in a page.
const ROW_BYTES: usize = 8 + 4 + 4 + 4 + 2;
/// Bytes of an entry of the directory of cold blocks: u64 place, u32 bytes, u32 bound of the residuals in ns.
const COLD_ENTRY_BYTES: usize = 8 + 4 + 4;

/// Most ns by which a sum of f64 is off over the range of times.
const QUICK_SLACK_NS: f64 = 8192.0;

/// One part, mapped.
#[derive(Debug)]
pub struct Part {
    /// Its name: the number of its segment file.
    pub name: String,
    /// The source its files belong to.
    pub source: String,
    /// Root of that source, raw bytes.
    pub root: Vec<u8>,
    /// One bit a file that changed or went since; empty when there is none.
    dead: Vec<u64>,
    dead_files: usize,
    rows: usize,
    files: Files,
    channels: Channels,
    pages: Blob,
    places: Blob,
    cold_places: Blob,
    pub(super) starts: Blob,
    pub(super) ends: Blob,
    rates: Vec<f64>,
    /// ns between samples by code; 0 where a rate is no time series, infinite where it is none.
    periods_ns: Vec<f64>,
    dead_elsewhere: Blob,
    last_cold: Mutex<Option<(usize, Arc<Cold>)>>,
}

/// Up to 2048 rows: 64 by 64 as columns, so that a lookup stays within one page of the memory.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    bytes: &'a [u8],
    rows: usize,
}

impl Page<'_> {
    /// First byte of the 64 rows around a row, how many of them there are, and which of them it is.
    fn group(&self, at: usize) -> (usize, usize, usize) {
        let first = at / SPARSE_ROWS * SPARSE_ROWS;
        (first * ROW_BYTES, SPARSE_ROWS.min(self.rows.saturating_sub(first)), at - first)
    }

    pub(super) fn start(&self, at: usize) -> i64 {
        let (group, _, at) = self.group(at);
        u64_at(self.bytes, group + 8 * at).unwrap_or(0) as i64
    }

    fn npts(&self, at: usize) -> u32 {
        let (group, rows, at) = self.group(at);
        u32_at(self.bytes, group + 8 * rows + 4 * at).unwrap_or(0)
    }

    fn file(&self, at: usize) -> u32 {
        let (group, rows, at) = self.group(at);
        u32_at(self.bytes, group + 12 * rows + 4 * at).unwrap_or(0)
    }

    fn offset(&self, at: usize) -> u32 {
        let (group, rows, at) = self.group(at);
        u32_at(self.bytes, group + 16 * rows + 4 * at).unwrap_or(0)
    }

    fn rate(&self, at: usize) -> u16 {
        let (group, rows, at) = self.group(at);
        let place = group + 20 * rows + 2 * at;
        let bytes = self.bytes.get(place..place + 2).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u16::from_le_bytes)
    }
}

impl Part {
    pub(super) fn open(name: &str, source: &str, root: Vec<u8>, map: &Arc<SegmentMap>) -> Result<Part> {
        let head = map.lazy_blob("head")?;
        let bytes = head.all()?;
        let version = u32_at(bytes, 0).unwrap_or(0);
        if version != PART_VERSION {
            let (path, found) = (map.path().to_path_buf(), version);
            return Err(Error::Version { path, found, supported: PART_VERSION });
        }
        let number = |at| u64_at(bytes, at).and_then(|n| usize::try_from(n).ok());
        let counts = number(8).zip(number(16)).filter(|_| u32_at(bytes, 4) == Some(PAGE_ROWS as u32));
        let (rows, files) = counts.ok_or_else(|| head.damaged("its head is cut [I27]"))?;
        let rates = map.lazy_blob("rates")?;
        let rates = rates.all()?.chunks_exact(8).map(|c| f64::from_bits(u64_at(c, 0).unwrap_or(0)));
        let rates: Vec<f64> = rates.collect();
        let period_ns = |rate: &f64| if *rate > 0.0 { 1e9 / rate } else { 0.0 };
        let part = Part {
            name: name.to_owned(),
            source: source.to_owned(),
            root,
            dead: vec![],
            dead_files: 0,
            rows,
            files: Files::open(map, files)?,
            channels: Channels::open(map, rows)?,
            periods_ns: rates.iter().map(period_ns).collect(),
            rates,
            pages: map.lazy_blob("rows")?,
            places: map.lazy_blob("pages")?,
            cold_places: map.lazy_blob("cold")?,
            starts: map.lazy_blob("starts")?,
            ends: map.lazy_blob("ends")?,
            dead_elsewhere: map.lazy_blob("dead")?,
            last_cold: Mutex::default(),
        };
        let fits = |blob: &Blob, rows_each: usize, bytes: usize| {
            rows.div_ceil(rows_each).checked_mul(bytes) == Some(blob.len())
        };
        if !fits(&part.places, PAGE_ROWS, 8) || !fits(&part.cold_places, COLD_ROWS, COLD_ENTRY_BYTES) {
            return Err(head.damaged("it has another number of segments than it says [I27]"));
        }
        Ok(part)
    }

    /// Calls with every file of another part that this one replaces.
    pub(super) fn dead_elsewhere(&self, with: impl FnMut(&str, u32)) -> Result<()> {
        let read = decode_dead(self.dead_elsewhere.all()?, with);
        read.ok_or_else(|| self.dead_elsewhere.damaged("its list of dead files does not read [I27]"))
    }

    pub(super) fn kill(&mut self, file: u32) {
        if file as usize >= self.files.count() {
            return;
        }
        self.dead.resize(self.files.count().div_ceil(64), 0);
        let (word, bit) = (&mut self.dead[file as usize / 64], 1 << (file % 64));
        self.dead_files += usize::from(*word & bit == 0);
        *word |= bit;
    }

    /// An error that names the file of the part.
    pub(super) fn damaged(&self, reason: &str) -> Error {
        self.pages.damaged(reason)
    }

    /// Number of files, dead ones included.
    pub fn file_count(&self) -> usize {
        self.files.count()
    }

    /// Number of dead files.
    pub fn dead_count(&self) -> usize {
        self.dead_files
    }

    /// Number of segments, those of dead files included.
    pub fn segment_count(&self) -> usize {
        self.rows
    }

    /// Is the file still what it was?
    pub fn is_alive(&self, file: u32) -> bool {
        self.dead.get(file as usize / 64).is_none_or(|word| word >> (file % 64) & 1 == 0)
    }

    /// Path below the root. Errors here and below: `Damaged`.
    pub fn path(&self, file: u32) -> Result<Vec<u8>> {
        self.files.path(file)
    }

    /// A file's row.
    pub fn file(&self, file: u32) -> Result<FileRow> {
        self.files.row(file)
    }

    /// State of a file: `ok`, `partly`, ...; one byte is read.
    pub fn state(&self, file: u32) -> Result<&str> {
        self.files.state(file)
    }

    /// Files in the order of their paths, from one on.
    pub fn files_from(&self, file: u32) -> Result<FileReader<'_>> {
        self.files.reader(file)
    }

    /// The first file whose path is not before `path`; [`Self::file_count`] where all are.
    pub fn lower_bound(&self, path: &[u8]) -> Result<u32> {
        self.files.lower_bound(path)
    }

    /// Code and identifier of each channel, in order.
    pub fn channels(&self) -> Result<&[(ChannelCode, String)]> {
        self.channels.names()
    }

    /// Number of channels.
    pub fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// NET.STA.LOC.CHA of a channel, or its whole identifier.
    pub fn code_text(&self, channel: usize) -> Result<String> {
        let names = self.channels.names()?;
        Ok(names.get(channel).map_or(String::new(), |(code, id)| code_text(code, id)))
    }

    /// The channels of a code.
    pub(super) fn channels_of(&self, code: &str) -> Result<Range<usize>> {
        self.channels.of_code(code.as_bytes())
    }

    /// The rows of a channel's segments, ascending by start.
    pub fn run(&self, channel: usize) -> Result<Range<usize>> {
        self.channels.run(channel)
    }

    /// Index of a segment's channel.
    pub fn channel_of(&self, segment: usize) -> Result<usize> {
        self.channels.of_row(segment)
    }

    pub(super) fn page(&self, number: usize) -> Result<Page<'_>> {
        let rows = PAGE_ROWS.min(self.rows.saturating_sub(number.saturating_mul(PAGE_ROWS)));
        let place = self.places.get(8 * number..8 * number + 8)?;
        let place = u64_at(place, 0).and_then(|p| usize::try_from(p).ok()).unwrap_or(usize::MAX);
        let bytes = self.pages.get(place..place.saturating_add(rows * ROW_BYTES))?;
        Ok(Page { bytes, rows })
    }

    fn page_of(&self, segment: usize) -> Result<(Page<'_>, usize)> {
        if segment >= self.rows {
            return Err(self.damaged("a segment is asked for that is not there [I27]"));
        }
        Ok((self.page(segment / PAGE_ROWS)?, segment % PAGE_ROWS))
    }

    fn checked_file(&self, file: u32) -> Result<u32> {
        if (file as usize) < self.files.count() {
            return Ok(file);
        }
        Err(self.damaged("a segment names a file that is not there [I27]"))
    }

    /// The file a segment lies in.
    pub fn file_of(&self, segment: usize) -> Result<u32> {
        let (page, at) = self.page_of(segment)?;
        self.checked_file(page.file(at))
    }

    /// First instant of a segment, ns since 1970.
    pub fn start_of(&self, segment: usize) -> Result<i64> {
        let (page, at) = self.page_of(segment)?;
        Ok(page.start(at))
    }

    /// First byte of a segment in its file.
    pub fn offset_of(&self, segment: usize) -> Result<u64> {
        let (page, at) = self.page_of(segment)?;
        match page.offset(at) {
            ESCAPE => Ok(self.cold(segment)?.byte_offset(segment % COLD_ROWS)),
            offset => Ok(u64::from(offset)),
        }
    }

    fn cold_entry(&self, number: usize) -> Result<(usize, usize, u32)> {
        let at = number.saturating_mul(COLD_ENTRY_BYTES);
        let entry = self.cold_places.get(at..at.saturating_add(COLD_ENTRY_BYTES))?;
        let place = u64_at(entry, 0).and_then(|p| usize::try_from(p).ok()).unwrap_or(usize::MAX);
        let (bytes, bound_ns) = u32_at(entry, 8).zip(u32_at(entry, 12)).unwrap_or_default();
        Ok((place, bytes as usize, bound_ns))
    }

    fn cold_block(&self, number: usize) -> Result<Cold> {
        let (place, bytes, _) = self.cold_entry(number)?;
        let rows = COLD_ROWS.min(self.rows.saturating_sub(number.saturating_mul(COLD_ROWS)));
        let block = self.pages.get(place..place.saturating_add(bytes))?;
        let cold = Cold::unpack(block, rows);
        cold.ok_or_else(|| self.damaged(&format!("cold block {number} does not unpack [I27]")))
    }

    fn cold(&self, segment: usize) -> Result<Arc<Cold>> {
        let number = segment / COLD_ROWS;
        let mut last = self.last_cold.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cold)) = last.as_ref().filter(|(n, _)| *n == number) {
            return Ok(Arc::clone(cold));
        }
        let cold = Arc::new(self.cold_block(number)?);
        *last = Some((number, Arc::clone(&cold)));
        Ok(cold)
    }

    /// Calls with those of some rows of one block of 64 that hold a sample in `[from, to)`, their starts being before
    /// `to`. A span of no length holds its instant. Dead files do not count.
    pub(super) fn scan(&self, rows: Range<usize>, from: i64, with: &mut impl FnMut(usize)) -> Result<()> {
        let page = self.page(rows.start / PAGE_ROWS)?;
        let bound_ns = self.cold_entry(rows.start / COLD_ROWS)?.2;
        // what the arithmetic of a quick look may be off, and the residuals
        let slack_ns = f64::from(bound_ns) + QUICK_SLACK_NS;
        for row in rows {
            let at = row % PAGE_ROWS;
            let period_ns = self.periods_ns.get(usize::from(page.rate(at))).copied().unwrap_or(f64::INFINITY);
            let latest_ns = page.start(at) as f64 + f64::from(page.npts(at)) * period_ns + slack_ns;
            let is_quick = page.npts(at) != ESCAPE && bound_ns < u32::MAX && latest_ns < from as f64;
            if !is_quick && self.covers((page, bound_ns), row, from)? {
                with(row);
            }
        }
        Ok(())
    }

    /// Start, samples and rate decide where the bound of the residuals allows it.
    fn covers(&self, (page, bound_ns): (Page<'_>, u32), segment: usize, from: i64) -> Result<bool> {
        let at = segment % PAGE_ROWS;
        let (start, npts, code) = (page.start(at), page.npts(at), page.rate(at));
        let rate = self.rates.get(usize::from(code)).filter(|_| code != RATE_ESCAPE && npts != ESCAPE);
        let derived = rate.map(|rate| derived_end(start, u64::from(npts), *rate));
        let decides = |derived: &i64| {
            let bound_ns = i64::from(bound_ns);
            let (least, most) = (derived.saturating_sub(bound_ns), derived.saturating_add(bound_ns));
            // between them the answer changes, or the span may have no length
            let is_open = (least <= from && from < most) || (least <= start && start <= most);
            bound_ns == 0 || (bound_ns < i64::from(u32::MAX) && !is_open)
        };
        let end = match derived.filter(decides) {
            Some(end) => end,
            None => self.segment(segment)?.end.0,
        };
        let is_inside = end > from || (end == start && end >= from);
        Ok(is_inside && self.is_alive(self.checked_file(page.file(at))?))
    }

    fn segment_with(&self, page: Page<'_>, row: usize, cold: &Cold, channel: usize) -> Result<Segment> {
        let (at, cold_at) = (row % PAGE_ROWS, row % COLD_ROWS);
        let start = page.start(at);
        let (npts, offset, code) = (page.npts(at), page.offset(at), page.rate(at));
        let npts = if npts == ESCAPE { cold.npts(cold_at) } else { u64::from(npts) };
        let rate = match code {
            RATE_ESCAPE => cold.rate(cold_at),
            code => match self.rates.get(usize::from(code)) {
                Some(rate) => *rate,
                None => return Err(self.damaged("a segment names a rate that is not there [I27]")),
            },
        };
        let end = (derived_end(start, npts, rate) as u64).wrapping_add(cold.residual_ns(cold_at));
        let mut segment = Segment {
            stream: channel as u32,
            start: Time(start),
            end: Time(end as i64),
            npts,
            sampling_rate: rate,
            byte_offset: if offset == ESCAPE { cold.byte_offset(cold_at) } else { u64::from(offset) },
            ..Segment::default()
        };
        let filled = cold.fill(cold_at, &mut segment);
        filled.map(|()| segment).ok_or_else(|| self.damaged("a value of a segment is too large [I27]"))
    }

    /// A segment without the list of its records; `stream` is its channel.
    pub fn segment(&self, row: usize) -> Result<Segment> {
        let (page, _) = self.page_of(row)?;
        self.segment_with(page, row, &*self.cold(row)?, self.channel_of(row)?)
    }

    /// Calls with every segment of some rows, its file and its map as stored; one block is unpacked at a time.
    pub fn each_segment(
        &self,
        rows: Range<usize>,
        mut with: impl FnMut(usize, u32, Segment) -> Result<()>,
    ) -> Result<()> {
        let mut row = rows.start;
        let end = rows.end.min(self.rows);
        while row < end {
            let cold = self.cold_block(row / COLD_ROWS)?;
            let (page, _) = self.page_of(row)?;
            let mut channel = self.channel_of(row)?;
            let mut channel_end = self.run(channel)?.end;
            let next = ((row / COLD_ROWS + 1) * COLD_ROWS).min(end);
            for row in row..next {
                while row >= channel_end && channel + 1 < self.channels.len() {
                    channel += 1;
                    channel_end = self.run(channel)?.end;
                }
                let file = self.checked_file(page.file(row % PAGE_ROWS))?;
                with(row, file, self.segment_with(page, row, &cold, channel)?)?;
            }
            row = next;
        }
        Ok(())
    }

    fn stored_map<'a>(&'a self, row: usize, cold: &'a Cold) -> Result<&'a [u8]> {
        let missing = || self.damaged("a record map lies outside [I27]");
        match cold.map(row % COLD_ROWS).ok_or_else(missing)? {
            MapPlace::Inline(map) => Ok(map),
            MapPlace::Outside(before, bytes) => {
                let (place, ..) = self.cold_entry(row / COLD_ROWS)?;
                let place = u64::try_from(place).ok().and_then(|p| p.checked_sub(before));
                let range = place.and_then(|start| {
                    let end = usize::try_from(start.checked_add(bytes)?).ok()?;
                    Some(usize::try_from(start).ok()?..end)
                });
                self.pages.get(range.ok_or_else(missing)?)
            }
        }
    }

    /// The records of a segment that hold a sample in `span` (half open); blocks outside it are not unpacked.
    pub fn records(&self, row: usize, span: (Time, Time)) -> Result<Vec<Record>> {
        let (cold, segment) = (self.cold(row)?, self.segment(row)?);
        decode_stored(self.stored_map(row, &cold)?, &segment, span).map_err(|e| self.damaged(&e))
    }

    /// A segment and its map as stored, for a part that takes its rows over.
    pub(super) fn carried(&self, row: usize, with: impl FnOnce(&Segment, &[u8]) -> Result<()>) -> Result<()> {
        let (cold, segment) = (self.cold(row)?, self.segment(row)?);
        with(&segment, self.stored_map(row, &cold)?)
    }

    /// A segment as it was given, for a commit that takes its file over.
    pub fn segment_row(&self, row: usize) -> Result<SegmentRow> {
        let (cold, segment) = (self.cold(row)?, self.segment(row)?);
        let map = from_stored(self.stored_map(row, &cold)?, &segment).map_err(|e| self.damaged(&e))?;
        let (code, source_id) = self.channels()?.get(segment.stream as usize).cloned().unwrap_or_default();
        Ok(SegmentRow { code, source_id, segment, map })
    }

    /// Number of segments in living files.
    pub fn living_segments(&self) -> Result<usize> {
        if self.dead_files == 0 {
            return Ok(self.rows);
        }
        let mut living = 0;
        for number in 0..self.rows.div_ceil(PAGE_ROWS) {
            let page = self.page(number)?;
            living += (0..page.rows).filter(|&at| self.is_alive(page.file(at))).count();
        }
        Ok(living)
    }

    /// The segments of some files. All rows are looked at.
    pub fn segments_of(&self, files: &HashSet<u32>) -> Result<HashMap<u32, Vec<usize>>> {
        let mut by_file: HashMap<u32, Vec<usize>> = HashMap::new();
        for number in 0..self.rows.div_ceil(PAGE_ROWS) {
            let page = self.page(number)?;
            for at in 0..page.rows {
                if files.contains(&page.file(at)) {
                    by_file.entry(page.file(at)).or_default().push(number * PAGE_ROWS + at);
                }
            }
        }
        Ok(by_file)
    }
}
