//! Gaps and coverage of one channel on its time line, across files: abutting day files have no gap at midnight,
//! overlaps and copies count once.

use crate::model::time::Time;

/// One segment on the time line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// First sample.
    pub start: Time,
    /// Last sample + 1/rate.
    pub end: Time,
    /// Samples per second; 0 = not a time series, left out of gaps and coverage.
    pub sampling_rate: f64,
    /// Start of the last record minus its expected time, in seconds: what the clock gained inside.
    pub drift_s: f64,
}

/// A stretch without data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// When the next sample was due.
    pub start: Time,
    /// When data begins again.
    pub end: Time,
    /// Missing samples at the rate before the gap (behind it where there is nothing before); of a drift that shortens
    /// the time they are negative.
    pub samples: f64,
    /// That rate; 0 where the channel has no data at all.
    pub sampling_rate: f64,
    /// No data are missing, but small steps of one sign have added up.
    pub is_drift: bool,
}

/// What counts as continuous.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Largest step between segments that is no gap, in samples.
    pub tolerance_samples: f64,
    /// Largest sum of the steps since the last gap, inside segments and between them, in samples.
    pub drift_samples: f64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { tolerance_samples: 0.5, drift_samples: 1.0 }
    }
}

/// One bin of the coverage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Start of the bin, a multiple of its width from 1970-01-01.
    pub start: Time,
    /// Part of the bin with data, 0 .. 1.
    pub fraction: f64,
    /// Time that is covered more than once, as a part of the bin; counts every copy beyond the first.
    pub overlap: f64,
    /// Gaps that touch the bin.
    pub n_gaps: u32,
}

fn is_data(interval: &&Interval) -> bool {
    interval.sampling_rate > 0.0 && interval.end > interval.start
}

/// Gaps longer than `tolerance_samples` between the intervals of one channel, sorted by start. With `during`, what
/// is missing at either end of it is a gap too, and a channel without data has one gap; without it only interior
/// gaps are. Intervals of rate 0 are left out.
pub fn gaps(intervals: &[Interval], tolerance_samples: f64, during: Option<(Time, Time)>) -> Vec<Gap> {
    let mut found = Vec::new();
    let (from, to) = during.unwrap_or((Time(i64::MIN), Time(i64::MAX)));
    let inside: Vec<&Interval> =
        intervals.iter().filter(is_data).filter(|i| i.end > from && i.start < to).collect();
    let mut push = |start: Time, end: Time, rate: f64| {
        let samples = end.seconds_since(start) * rate;
        if end > start && (samples > tolerance_samples || rate == 0.0) {
            found.push(Gap { start, end, samples, sampling_rate: rate, is_drift: false });
        }
    };
    let (Some(first), false) = (inside.first(), inside.is_empty()) else {
        if during.is_some() {
            push(from, to, 0.0);
        }
        return found;
    };
    if during.is_some() {
        push(from, first.start, first.sampling_rate);
    }
    // the interval that reaches furthest so far
    let mut reach = **first;
    for next in inside.iter().skip(1) {
        push(reach.end, next.start, reach.sampling_rate);
        if next.end > reach.end {
            reach = **next;
        }
    }
    if during.is_some() {
        push(reach.end.max(from), to, reach.sampling_rate);
    }
    found
}

/// Steps up to this are those of a clock, as in stored segments; longer ones that the query tolerates are forgiven.
const ABUTS_SAMPLES: f64 = 0.5;

/// Where the clock of a channel has drifted off: the times at which the steps since the last gap or drift, inside
/// segments and between those that abut, add up to more than the bound. The row spans from when the next sample was
/// due to when it came, whichever is earlier. Intervals are sorted by start; where copies overlap the one that
/// reaches furthest counts.
pub fn drifts(intervals: &[Interval], bounds: Bounds, during: Option<(Time, Time)>) -> Vec<Gap> {
    let (from, to) = during.unwrap_or((Time(i64::MIN), Time(i64::MAX)));
    let mut found = vec![];
    let mut sum_s = 0.0;
    let mut reach: Option<&Interval> = None;
    let mut check = |sum_s: &mut f64, at: Time, rate: f64| {
        if (*sum_s * rate).abs() <= bounds.drift_samples {
            return;
        }
        let due = at.plus_seconds(-*sum_s).unwrap_or(at);
        let (start, end) = (at.min(due), at.max(due));
        if end > from && start < to {
            found.push(Gap { start, end, samples: *sum_s * rate, sampling_rate: rate, is_drift: true });
        }
        *sum_s = 0.0;
    };
    for next in intervals.iter().filter(is_data) {
        if reach.is_some_and(|r| next.end <= r.end) {
            continue;
        }
        let step_s = reach.map_or(f64::INFINITY, |r| next.start.seconds_since(r.end));
        let step_samples = (step_s * next.sampling_rate).abs();
        if step_samples <= bounds.tolerance_samples.min(ABUTS_SAMPLES) {
            sum_s += step_s;
            check(&mut sum_s, next.start, next.sampling_rate);
        } else if step_samples > bounds.tolerance_samples {
            sum_s = 0.0;
        }
        sum_s += next.drift_s;
        check(&mut sum_s, next.end, next.sampling_rate);
        reach = Some(next);
    }
    found
}

/// Gaps and drifts by start.
pub fn breaks(intervals: &[Interval], bounds: Bounds, during: Option<(Time, Time)>) -> Vec<Gap> {
    let mut found = gaps(intervals, bounds.tolerance_samples, during);
    found.extend(drifts(intervals, bounds, during));
    found.sort_by_key(|g| (g.start, g.end));
    found
}

/// Coverage of one channel in bins of `width_ns` aligned to 1970-01-01, over `during` or from the first to the last
/// sample. Intervals are sorted by start. Empty for a width that is not positive, without data and without
/// `during`, or where there would be more than `most_bins` bins.
pub fn coverage(
    intervals: &[Interval],
    width_ns: i64,
    tolerance_samples: f64,
    during: Option<(Time, Time)>,
    most_bins: usize,
) -> Vec<Bin> {
    let data: Vec<&Interval> = intervals.iter().filter(is_data).collect();
    let reach = data.iter().map(|i| i.end).max();
    let span = during.or(data.first().map(|i| i.start).zip(reach));
    let Some((from, to)) = span.filter(|s| width_ns > 0 && s.0 < s.1) else { return Vec::new() };
    let first = from.0.div_euclid(width_ns);
    let count = usize::try_from((to.0 - 1).div_euclid(width_ns) as i128 - i128::from(first) + 1);
    let Some(count) = count.ok().filter(|&c| c <= most_bins) else { return Vec::new() };
    let mut bins: Vec<Bin> = (0..count as i64)
        .map(|i| Bin { start: Time(first.saturating_add(i).saturating_mul(width_ns)), ..Bin::default() })
        .collect();
    let per_bin = 1.0 / width_ns as f64;
    let place = |time: Time| time.0.div_euclid(width_ns) - first;
    let mut add = |start: Time, end: Time, amount: &dyn Fn(&mut Bin, f64)| {
        let (start, end) = (start.max(from), end.min(to));
        if start >= end {
            return;
        }
        for index in place(start)..=place(Time(end.0 - 1)) {
            let Some(bin) = usize::try_from(index).ok().and_then(|i| bins.get_mut(i)) else { continue };
            let bin_end = bin.start.0.saturating_add(width_ns);
            amount(bin, (end.0.min(bin_end) - start.0.max(bin.start.0)) as f64 * per_bin);
        }
    };
    let mut reached = Time(i64::MIN);
    for interval in &data {
        add(interval.start, interval.end.min(reached), &|bin, part| bin.overlap += part);
        add(interval.start.max(reached), interval.end, &|bin, part| bin.fraction += part);
        reached = reached.max(interval.end);
    }
    for gap in gaps(intervals, tolerance_samples, during) {
        add(gap.start, gap.end, &|bin, _| bin.n_gaps += 1);
    }
    bins
}
