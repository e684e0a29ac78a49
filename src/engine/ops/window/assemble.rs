//! Records into one run of samples around an anchor.

use crate::model::time::Time;

use super::{Piece, Reason, same_rate};

/// A time step between records above this many samples is flagged.
const STEP_FLAGGED: f64 = 0.25;
/// Copies whose times differ by more than this are not copies.
pub(super) const COPY_TIME_S: f64 = 1e-6;

/// Samples in a row, numbered from the one nearest to the anchor.
#[derive(Debug)]
pub(super) struct Run {
    /// Samples.
    pub samples: Vec<f64>,
    /// Number of the first.
    pub first: isize,
    /// Anchor minus the time of sample 0, by the clock of the record that holds the anchor.
    pub remainder_s: f64,
    /// Rate of that record.
    pub sampling_rate_hz: f64,
    /// Why there is nothing before the first sample, and nothing after the last.
    pub stopped: (Reason, Reason),
    /// Numbers of the samples at which a record starts with a time step.
    pub steps: Vec<isize>,
    /// A copy that is not on the same times was left out.
    pub copies_differ: bool,
}

/// How a record stands to the run it is to be joined to, from the time between them.
enum Joint {
    /// It abuts; true if the clock steps.
    Abuts(bool),
    /// It lies apart by whole samples.
    Apart,
    /// It overlaps by that many samples, on the same grid.
    Overlaps(usize),
    /// Neither: the clock jumps.
    Tears,
}

/// `step` = samples between the end of one record and the start of the next.
fn joint(step: f64, sampling_rate_hz: f64) -> Joint {
    let whole = step.round();
    let off = (step - whole).abs();
    if whole == 0.0 {
        Joint::Abuts(off > STEP_FLAGGED)
    } else if off > STEP_FLAGGED {
        Joint::Tears
    } else if whole > 0.0 {
        Joint::Apart
    } else if off / sampling_rate_hz > COPY_TIME_S {
        Joint::Tears
    } else {
        Joint::Overlaps(-whole as usize)
    }
}

/// Samples from `a` to `b`, of nominal rate `rate`.
fn samples_between(a: Time, b: Time, rate: f64) -> f64 {
    b.seconds_since(a) * rate
}

/// Joins the records of a channel to the one that holds `anchor`, as far as they go without a break.
pub(super) fn assemble(mut pieces: Vec<Piece>, anchor: Time) -> Result<Run, Reason> {
    pieces.retain(|p| !p.samples.is_empty() && p.sampling_rate_hz > 0.0 && p.sampling_rate_hz.is_finite());
    pieces.sort_by_key(|p| p.start);
    let nearest = |p: &Piece| (samples_between(p.start, anchor, p.sampling_rate_hz) + 0.5).floor();
    let holds = |p: &Piece| nearest(p) >= 0.0 && nearest(p) < p.samples.len() as f64;
    let Some(at) = pieces.iter().position(holds) else {
        return Err(if pieces.is_empty() { Reason::NoData } else { Reason::Gap });
    };
    let piece = pieces.remove(at);
    let under = nearest(&piece);
    let mut run = Run {
        first: -(under as isize),
        remainder_s: anchor.seconds_since(piece.start) - under / piece.sampling_rate_hz,
        sampling_rate_hz: piece.sampling_rate_hz,
        samples: Vec::new(),
        stopped: (Reason::NoData, Reason::NoData),
        steps: Vec::new(),
        copies_differ: false,
    };
    let (start, rate) = (piece.start, piece.sampling_rate_hz);
    run.samples = piece.samples;
    let (before, after): (Vec<Piece>, Vec<Piece>) = pieces.into_iter().partition(|p| p.start < start);
    extend(&mut run, start, &after, rate);
    prepend(&mut run, start, before, rate);
    Ok(run)
}

/// Adds records after the run; `start` is that of its last record.
fn extend(run: &mut Run, start: Time, after: &[Piece], rate: f64) {
    // The record that ends the run: its start, and the number of its first sample.
    let (mut last_start, mut last_first) = (start, run.first);
    for piece in after {
        let end = run.first + run.samples.len() as isize;
        let step = samples_between(last_start, piece.start, rate) - (end - last_first) as f64;
        if !same_rate(rate, piece.sampling_rate_hz) {
            run.stopped.1 = Reason::RateChange;
            return;
        }
        match joint(step, rate) {
            Joint::Abuts(stepped) => {
                if stepped {
                    run.steps.push(end);
                }
                run.samples.extend_from_slice(&piece.samples);
                (last_start, last_first) = (piece.start, end);
            }
            Joint::Apart => {
                run.stopped.1 = Reason::Gap;
                return;
            }
            Joint::Tears => {
                run.cut_after(end.min(end + step.round() as isize));
                run.stopped.1 = Reason::TimeTear;
                return;
            }
            Joint::Overlaps(samples) => {
                let from = run.samples.len().saturating_sub(samples);
                let copy = &run.samples[from..];
                if copy.iter().zip(&piece.samples).any(|(a, b)| a != b) {
                    run.cut_after(run.first + from as isize);
                    run.stopped.1 = Reason::Overlap;
                    return;
                }
                if let Some(rest) = piece.samples.get(copy.len()..).filter(|r| !r.is_empty()) {
                    run.samples.extend_from_slice(rest);
                    (last_start, last_first) = (piece.start, run.first + from as isize);
                }
            }
        }
    }
}

/// Adds records before the run; `start` is that of its first record.
fn prepend(run: &mut Run, start: Time, mut before: Vec<Piece>, rate: f64) {
    let end = |p: &Piece| samples_between(start, p.start, rate) + p.samples.len() as f64;
    before.sort_by(|a, b| end(b).total_cmp(&end(a)).then(b.start.cmp(&a.start)));
    let mut first_start = start;
    for piece in &before {
        let step = samples_between(piece.start, first_start, rate) - piece.samples.len() as f64;
        if !same_rate(rate, piece.sampling_rate_hz) {
            run.stopped.0 = Reason::RateChange;
            return;
        }
        match joint(step, rate) {
            Joint::Abuts(stepped) => {
                if stepped {
                    run.steps.push(run.first);
                }
                run.put_before(&piece.samples);
                first_start = piece.start;
            }
            Joint::Apart => {
                run.stopped.0 = Reason::Gap;
                return;
            }
            Joint::Tears => {
                run.cut_before(run.first.max(run.first - step.round() as isize));
                run.stopped.0 = Reason::TimeTear;
                return;
            }
            Joint::Overlaps(samples) => {
                let new = piece.samples.len().saturating_sub(samples);
                // A record that starts after the run does, as a copy inside it: nothing is new.
                let skip = samples.saturating_sub(piece.samples.len());
                let copies = piece.samples[new..].iter().zip(run.samples.iter().skip(skip));
                if copies.into_iter().any(|(a, b)| a != b) {
                    run.cut_before(run.first + samples as isize);
                    run.stopped.0 = Reason::Overlap;
                    return;
                }
                if new > 0 {
                    run.put_before(&piece.samples[..new]);
                    first_start = piece.start;
                }
            }
        }
    }
}

impl Run {
    /// Number of the last sample.
    pub fn last(&self) -> isize {
        self.first + self.samples.len() as isize - 1
    }

    fn put_before(&mut self, samples: &[f64]) {
        self.samples.splice(0..0, samples.iter().copied());
        self.first -= samples.len() as isize;
    }

    /// Drops the samples from number `end` on.
    fn cut_after(&mut self, end: isize) {
        self.samples.truncate(usize::try_from(end - self.first).unwrap_or(0));
    }

    /// Drops the samples before number `start`.
    fn cut_before(&mut self, start: isize) {
        let drop = usize::try_from(start - self.first).unwrap_or(0).min(self.samples.len());
        self.samples.drain(..drop);
        self.first += drop as isize;
    }
}
