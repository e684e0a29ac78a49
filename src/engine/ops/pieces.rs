//! The samples of one channel as contiguous pieces, across files: what COPY ... FORMAT sac writes. Where segments
//! overlap there is one answer: higher quality or version, then the longer unbroken run, then the path.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::merge::rank_of_quality;
use super::selected::Wanted;
use super::stored::{full_path, records_of};
use super::window::same_rate;
use crate::engine::bind::Context;
use crate::error::{Error, Result};
use crate::format::waveform::source::Source;
use crate::format::waveform::{self, Record, same};
use crate::index::archive::{Archive, Part};
use crate::index::time::{Bounds, Segment};
use crate::model::time::Time;

/// Records that are looked at together, about.
const CHUNK_RECORDS: u64 = 1 << 14;
/// Records that are decoded together.
const READ_RECORDS: usize = 64;
/// Samples of a long record that are read together.
const READ_SAMPLES: u32 = 1 << 20;
/// The shortest record.
const LEAST_RECORD_BYTES: u64 = 128;
/// Slack in samples at the ends of a span.
const SLACK: f64 = 1e-6;

/// What comes next.
pub enum Step<'a> {
    /// A piece: time of its first sample, and its rate in Hz.
    Begin(Time, f64),
    /// More samples of it.
    Samples(&'a [f64]),
    /// It ends.
    End,
}

/// A stretch of a segment that no preferred one covers.
#[derive(Clone, Copy)]
struct Claim {
    part: u32,
    row: u32,
    span: (Time, Time),
}

/// Gives the pieces of one channel out in order of time, and says which files could not be read, and why: the
/// samples of these are missing.
///
/// # Errors
/// Of the index, and of `give`.
pub fn pieces(
    archive: &Archive,
    wanted: &[Wanted],
    context: &Context<'_>,
    give: &mut dyn FnMut(Step<'_>) -> Result<()>,
) -> Result<Vec<String>> {
    let mut joiner = Joiner { give, current: None, bounds: Bounds::default() };
    let mut failed = vec![];
    for claim in claims(archive, wanted) {
        context.cancel.check()?;
        let Some(part) = archive.parts.get(claim.part as usize) else { continue };
        if let Err(error) = read(part, &claim, context, &mut joiner) {
            match error {
                Error::Io { action: "write", .. } => return Err(error),
                Error::Io { .. } | Error::Data(_) => failed.push(error.to_string()),
                other => return Err(other),
            }
        }
    }
    joiner.end()?;
    Ok(failed)
}

/// The stretches that answer, in order of time.
fn claims(archive: &Archive, wanted: &[Wanted]) -> Vec<Claim> {
    let mut listed: Vec<(Wanted, Segment, &[u8])> = vec![];
    for at in wanted {
        let Some(part) = archive.parts.get(at.part as usize) else { continue };
        let segment = part.segment(at.row as usize);
        if segment.sampling_rate > 0.0 {
            listed.push((*at, segment, part.path(part.file_of(at.row as usize))));
        }
    }
    let version =
        |s: &Segment| if s.quality == 0 { s.publication_version } else { rank_of_quality(s.quality) };
    listed.sort_by_key(|(at, s, path)| (Reverse((version(s), s.npts)), *path, at.span.0));
    // spans that are answered: start to end
    let mut taken: BTreeMap<Time, Time> = BTreeMap::new();
    let mut claims = vec![];
    for (at, segment, _) in listed {
        let half_ns = (0.5e9 / segment.sampling_rate) as i64;
        for span in free(&taken, at.span, half_ns) {
            claims.push(Claim { part: at.part, row: at.row, span });
        }
        take(&mut taken, at.span);
    }
    claims.sort_by_key(|c| c.span);
    claims
}

/// What of a span is not taken, by the sample that each instant is nearest to.
fn free(taken: &BTreeMap<Time, Time>, span: (Time, Time), half_ns: i64) -> Vec<(Time, Time)> {
    let mut found = vec![];
    let mut from = span.0;
    let before = taken.range(..=span.0).next_back().filter(|t| *t.1 > span.0);
    for (start, end) in before
        .into_iter()
        .chain(taken.range((std::ops::Bound::Excluded(span.0), std::ops::Bound::Excluded(span.1))))
    {
        found.push((from, Time(start.0.saturating_sub(half_ns))));
        from = Time(end.0.saturating_sub(half_ns)).max(span.0);
    }
    found.push((from, span.1));
    found.retain(|(a, b)| a < b);
    found
}

/// Adds a span to those that are taken.
fn take(taken: &mut BTreeMap<Time, Time>, span: (Time, Time)) {
    let (mut start, mut end) = span;
    while let Some((s, e)) = taken.range(..=end).next_back().map(|(s, e)| (*s, *e)).filter(|t| t.1 >= start) {
        taken.remove(&s);
        (start, end) = (start.min(s), end.max(e));
    }
    taken.insert(start, end);
}

/// Decodes the samples of a claim.
fn read(part: &Part, claim: &Claim, context: &Context<'_>, joiner: &mut Joiner<'_>) -> Result<()> {
    let row = claim.row as usize;
    let segment = part.segment(row);
    let code = &part.channels.get(part.channel_of(row)).cloned().unwrap_or_default().0;
    let mut source = Source::open(&full_path(part, part.file_of(row)), vec![])?;
    let span_ns = segment.end.0.saturating_sub(segment.start.0);
    let chunks = segment.bytes / LEAST_RECORD_BYTES / CHUNK_RECORDS + 1;
    let width_ns = (span_ns / i64::try_from(chunks).unwrap_or(i64::MAX)).max(1);
    let mut from = claim.span.0;
    let mut last = None;
    while from < claim.span.1 {
        let to = Time(from.0.saturating_add(width_ns)).min(claim.span.1);
        let mut records = records_of(part, row, (from, to))?;
        from = to;
        records.sort_by_key(|r| (r.start, r.offset));
        records.retain(|r| last.is_none_or(|l| (r.start, r.offset) > l));
        last = records.last().map(|r| (r.start, r.offset)).or(last);
        let is_mseed = records.iter().all(|r| r.quality != 0 || r.publication_version != 0);
        for some in records.chunks(READ_RECORDS) {
            context.cancel.check()?;
            if !is_mseed {
                some.iter().try_for_each(|r| long_record(source.path(), r, claim.span, joiner))?;
                continue;
            }
            let mut is_same = |bytes: &[u8], name: &_| same::stream(bytes, name).code == *code;
            for piece in same::read(&mut source, some, &mut is_same)? {
                joiner.piece(&piece, claim.span)?;
            }
        }
    }
    Ok(())
}

/// A record that may be a whole file is read in parts.
fn long_record(
    path: &std::path::Path,
    record: &Record,
    span: (Time, Time),
    joiner: &mut Joiner<'_>,
) -> Result<()> {
    let (first, end) = within(record.start, record.sampling_rate, record.npts as usize, span);
    let (mut first, end) = (first as u32, end as u32);
    while first < end {
        let count = (end - first).min(READ_SAMPLES);
        joiner.piece(&waveform::read_samples(path, record, first, count)?, span)?;
        first += count;
    }
    Ok(())
}

/// The samples of a record that lie in a span (half open).
fn within(start: Time, rate_hz: f64, npts: usize, span: (Time, Time)) -> (usize, usize) {
    let place = |t: Time| (t.seconds_since(start) * rate_hz - SLACK).ceil().clamp(0.0, npts as f64) as usize;
    (place(span.0), place(span.1))
}

/// The piece that grows.
struct Current {
    start: Time,
    rate_hz: f64,
    samples: u64,
    /// When the next sample is due, by the record before.
    due: Time,
}

struct Joiner<'a> {
    give: &'a mut dyn FnMut(Step<'_>) -> Result<()>,
    current: Option<Current>,
    bounds: Bounds,
}

impl Joiner<'_> {
    /// Joins what lies in the span to the piece before, or begins another.
    fn piece(&mut self, piece: &waveform::Piece, span: (Time, Time)) -> Result<()> {
        let rate = piece.sampling_rate;
        if rate <= 0.0 || !rate.is_finite() {
            return Ok(());
        }
        let (first, end) = within(piece.start, rate, piece.samples.len(), span);
        let samples = piece.samples.get(first..end).unwrap_or_default();
        if samples.is_empty() {
            return Ok(());
        }
        let start = waveform::sample_time(piece.start, first as u64, rate);
        if !self.current.as_ref().is_some_and(|c| self.follows(c, start, rate)) {
            self.end()?;
            (self.give)(Step::Begin(start, rate))?;
            self.current = Some(Current { start, rate_hz: rate, samples: 0, due: start });
        }
        if let Some(current) = &mut self.current {
            current.samples += samples.len() as u64;
            current.due = waveform::sample_time(piece.start, end as u64, rate);
        }
        (self.give)(Step::Samples(samples))
    }

    /// Is the step within the tolerance, and the sum of all steps within the bound of the drift?
    fn follows(&self, current: &Current, start: Time, rate_hz: f64) -> bool {
        let step = start.seconds_since(current.due) * rate_hz;
        let due = waveform::sample_time(current.start, current.samples, current.rate_hz);
        let drift = start.seconds_since(due) * rate_hz;
        same_rate(rate_hz, current.rate_hz)
            && step.abs() <= self.bounds.tolerance_samples
            && drift.abs() <= self.bounds.drift_samples
    }

    fn end(&mut self) -> Result<()> {
        if self.current.take().is_some() { (self.give)(Step::End) } else { Ok(()) }
    }
}
