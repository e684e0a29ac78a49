//! Joins the records of a file to segments by the rule of libmseed's trace lists, so that the answer equals what
//! users know from there: a record extends a segment at either end when its start is within half a sample of the
//! expected time and the rates agree to 1e-4 (relative). Records may come in any order.

use std::collections::BTreeSet;

use crate::format::waveform::{Record, Scan, sample_time};
use crate::index::time::leap::leap_ns;
use crate::model::time::Time;

/// Relative difference of two sampling rates that counts as none.
const RATE_TOLERANCE: f64 = 1e-4;
/// Segments looked at that end (or start) at the expected time; more can only be copies of each other.
const CANDIDATES: usize = 32;

/// Neighbouring records of one channel, one rate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Index into [`Scan::streams`].
    pub stream: u32,
    /// First sample.
    pub start: Time,
    /// Last sample + 1/rate, counted from the start of the last record; the start where the rate is 0.
    pub end: Time,
    /// Samples.
    pub npts: u64,
    /// Samples per second, of the record that was added first; 0 = not a time series.
    pub sampling_rate: f64,
    /// Highest quality letter of miniSEED 2 among the records (M, Q, D, R), else 0.
    pub quality: u8,
    /// Highest publication version among the records.
    pub publication_version: u8,
    /// Start of the last record minus its expected time counted from the start of the segment, in seconds.
    pub drift_s: f64,
    /// First byte of the record that stands first in the file.
    pub byte_offset: u64,
    /// Bytes from there to the end of the record that stands last in the file.
    pub bytes: u64,
    /// Union of the flags of the records.
    pub flags: u16,
    /// Indices into [`Scan::records`] in order of time.
    pub records: Vec<u32>,
}

/// A segment while it grows.
struct Growing {
    stream: u32,
    sampling_rate: f64,
    start: Time,
    /// Time of the last sample.
    last: Time,
    /// Leap seconds in the last record, in ns: `last` is that much earlier than its count says.
    leap_ns: i64,
    npts: u64,
    /// In order of time; those put in front stand reversed in `front`.
    back: Vec<u32>,
    front: Vec<u32>,
}

/// Ends of segments that were left behind, to find what a record out of order extends.
#[derive(Default)]
struct Parked {
    by_last: BTreeSet<(u32, Time, usize)>,
    by_start: BTreeSet<(u32, Time, usize)>,
}

/// Joins the records of a scan to segments, sorted by stream, start and place in the file.
///
/// A record without samples where the next sample of a segment is due belongs to that segment and takes no time.
/// (libmseed lets it stand for one sample and so cuts the data behind it off.)
pub fn assemble(scan: &Scan) -> Vec<Segment> {
    let mut growing: Vec<Growing> = Vec::new();
    let mut parked = Parked::default();
    // the segment that each stream extended last stays out of the maps: in-order files never touch them
    let mut current: Vec<Option<usize>> = vec![None; scan.streams.len()];
    for (index, record) in scan.records.iter().enumerate() {
        let index = index as u32;
        let slot = current.get_mut(record.stream as usize);
        let active = slot.as_ref().and_then(|s| **s);
        let bridges = parked.after(record, &growing).is_some();
        let extended =
            active.and_then(|at| growing.get_mut(at)).filter(|s| !bridges && s.is_followed_by(record));
        if let Some(segment) = extended {
            segment.append(record, index);
            continue;
        }
        if let Some(at) = active {
            parked.insert(at, &growing[at]);
        }
        let target = parked.place(record, index, &mut growing);
        if let Some(slot) = slot {
            *slot = Some(target);
        }
    }
    let mut segments: Vec<Segment> =
        growing.iter().filter(|g| !g.back.is_empty()).map(|g| g.finish(scan)).collect();
    segments.sort_by_key(|s| (s.stream, s.start, s.byte_offset));
    segments
}

/// Nominal sampling interval in whole ns, as libmseed counts it.
fn interval_ns(rate: f64) -> i64 {
    if rate > 0.0 { (1e9 / rate).min(9e18) as i64 } else { 0 }
}

/// Time of the last sample with leap seconds inside the record counted, and these in ns.
fn last_sample(record: &Record) -> (Time, i64) {
    let last = record.last_sample();
    let leaps_ns = leap_ns(record.start, last);
    (Time(last.0.saturating_sub(leaps_ns)), leaps_ns)
}

/// Never for a rate of 0: records that are no time series stay alone.
fn rates_agree(a: f64, b: f64) -> bool {
    (a == b && a > 0.0) || (1.0 - a / b).abs() < RATE_TOLERANCE
}

impl Growing {
    fn new(record: &Record, index: u32) -> Growing {
        let (last, leap_ns) = last_sample(record);
        Growing {
            stream: record.stream,
            sampling_rate: record.sampling_rate,
            start: record.start,
            last,
            leap_ns,
            npts: u64::from(record.npts),
            back: vec![index],
            front: Vec::new(),
        }
    }

    fn is_followed_by(&self, record: &Record) -> bool {
        let interval = interval_ns(record.sampling_rate);
        let tolerance = interval / 2;
        let gap = record.start.0.saturating_sub(self.last.0.saturating_add(interval));
        // a clock that was not told of the leap second goes on without it: that is continuous too
        let fits = gap.saturating_abs() <= tolerance || gap.abs_diff(self.leap_ns) <= tolerance as u64;
        fits && rates_agree(self.sampling_rate, record.sampling_rate)
    }

    fn follows(&self, record: &Record) -> bool {
        let interval = interval_ns(record.sampling_rate);
        let due = last_sample(record).0.0.saturating_add(interval);
        self.start.0.saturating_sub(due).saturating_abs() <= interval / 2
            && rates_agree(self.sampling_rate, record.sampling_rate)
    }

    fn append(&mut self, record: &Record, index: u32) {
        if record.npts > 0 {
            (self.last, self.leap_ns) = last_sample(record);
        }
        self.npts += u64::from(record.npts);
        self.back.push(index);
    }

    fn prepend(&mut self, record: &Record, index: u32) {
        if record.npts > 0 {
            self.start = record.start;
        }
        self.npts += u64::from(record.npts);
        self.front.push(index);
    }

    /// Joins a segment that follows; what it held is left empty.
    fn join(&mut self, after: &mut Growing) {
        (self.last, self.leap_ns) = (after.last, after.leap_ns);
        self.npts += after.npts;
        self.back.extend(after.front.drain(..).rev());
        self.back.append(&mut after.back);
    }

    fn finish(&self, scan: &Scan) -> Segment {
        let records: Vec<u32> = self.front.iter().rev().chain(&self.back).copied().collect();
        let mut segment = Segment {
            stream: self.stream,
            start: self.start,
            end: self.last,
            npts: self.npts,
            sampling_rate: self.sampling_rate,
            byte_offset: u64::MAX,
            ..Segment::default()
        };
        let mut file_end = 0;
        let (mut before, mut before_last) = (0_u64, 0_u64);
        let (mut leaps_ns, mut leaps_before_last_ns) = (0_i64, 0_i64);
        // Without a leap second inside only the last record with samples, and those behind it, can end last.
        let has_leaps =
            leap_ns(self.start, Time(self.last.0.saturating_add(interval_ns(self.sampling_rate)))) != 0;
        let mut with_samples = 0;
        for (number, record) in records.iter().filter_map(|&i| scan.records.get(i as usize)).enumerate() {
            segment.byte_offset = segment.byte_offset.min(record.offset);
            file_end = file_end.max(record.offset + record.length);
            segment.flags |= record.flags;
            if record.publication_version >= segment.publication_version {
                segment.publication_version = record.publication_version;
                segment.quality = record.quality;
            }
            (before_last, leaps_before_last_ns) = (before, leaps_ns);
            before += u64::from(record.npts);
            if has_leaps {
                leaps_ns = leaps_ns.saturating_add(last_sample(record).1);
            } else if record.npts > 0 {
                with_samples = number;
            }
        }
        for record in records[with_samples..].iter().filter_map(|&i| scan.records.get(i as usize)) {
            let end = sample_time(record.start, u64::from(record.npts), record.sampling_rate);
            let inside_ns = if has_leaps { last_sample(record).1 } else { 0 };
            segment.end = segment.end.max(Time(end.0.saturating_sub(inside_ns)));
        }
        if let Some(last) = records.last().and_then(|&i| scan.records.get(i as usize)) {
            let expected = sample_time(self.start, before_last, self.sampling_rate);
            let expected = Time(expected.0.saturating_sub(leaps_before_last_ns));
            segment.drift_s = last.start.seconds_since(expected);
        }
        segment.bytes = file_end.saturating_sub(segment.byte_offset);
        segment.records = records;
        segment
    }
}

impl Parked {
    fn insert(&mut self, at: usize, segment: &Growing) {
        self.by_last.insert((segment.stream, segment.last, at));
        self.by_start.insert((segment.stream, segment.start, at));
    }

    fn remove(&mut self, at: usize, segment: &Growing) {
        self.by_last.remove(&(segment.stream, segment.last, at));
        self.by_start.remove(&(segment.stream, segment.start, at));
    }

    /// The segment that begins where the record ends.
    fn after(&self, record: &Record, growing: &[Growing]) -> Option<usize> {
        if self.by_start.is_empty() {
            return None;
        }
        let interval = interval_ns(record.sampling_rate);
        let due = last_sample(record).0.0.saturating_add(interval);
        find(&self.by_start, record.stream, due, interval / 2, |at| growing[at].follows(record))
    }

    /// Extends the segment that the record fits, joins two that it bridges, or starts one; which one it is now.
    /// That segment is out of the maps afterwards.
    fn place(&mut self, record: &Record, index: u32, growing: &mut Vec<Growing>) -> usize {
        let interval = interval_ns(record.sampling_rate);
        let tolerance = interval / 2;
        let last_due = record.start.0.saturating_sub(interval);
        let before = find(&self.by_last, record.stream, last_due, tolerance, |at| {
            growing.get(at).is_some_and(|s| s.is_followed_by(record))
        });
        let after = self.after(record, growing);
        for at in before.iter().chain(&after) {
            self.remove(*at, &growing[*at]);
        }
        match (before, after) {
            (Some(at), following) => {
                growing[at].append(record, index);
                if let Some(from) = following.filter(|&from| from != at) {
                    let mut joined = std::mem::replace(&mut growing[from], Growing::new(record, index));
                    growing[from].back.clear();
                    growing[at].join(&mut joined);
                }
                at
            }
            (None, Some(at)) => {
                growing[at].prepend(record, index);
                at
            }
            (None, None) => {
                growing.push(Growing::new(record, index));
                growing.len() - 1
            }
        }
    }
}

/// The first fitting segment whose time lies within `tolerance` of `due`, in ns.
fn find(
    set: &BTreeSet<(u32, Time, usize)>,
    stream: u32,
    due: i64,
    tolerance: i64,
    fits: impl Fn(usize) -> bool,
) -> Option<usize> {
    let from = (stream, Time(due.saturating_sub(tolerance)), 0);
    let to = (stream, Time(due.saturating_add(tolerance)), usize::MAX);
    set.range(from..=to).take(CANDIDATES).map(|&(_, _, at)| at).find(|&at| fits(at))
}
