//! From records to a conditioned window.

use crate::error::{Error, Result};
use crate::limits::WINDOW_SAMPLES;
use crate::model::time::Time;
use crate::signal::condition::{remove_trend, rms, taper};
use crate::signal::filter::{butterworth, filter, filter_zero_phase};
use crate::signal::quality::{largest_deviation, longest_run_at_extreme, standard_deviation};
use crate::signal::resample::resample;

use super::assemble::{Run, assemble};
use super::choose::choose;
use super::{
    Conditioning, Flags, GUARD_SAMPLES, Piece, Reason, Stretch, Waveforms, Window, lag_samples, same_rate,
    sample_range,
};

/// Equal consecutive samples at the extreme that make a trace look clipped.
const CLIPPED_RUN: usize = 4;
/// How far over the noise a clipped extreme lies.
const CLIPPED_SNR: f64 = 20.0;
/// What a filter must leave of the raw rms.
const LEAST_FILTERED_RMS: f64 = 1e-9;
/// Highest corner as a fraction of the Nyquist frequency.
const HIGHEST_CORNER: f64 = 0.9;

/// Where the noise is taken from, in s relative to an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// The P arrival.
    pub anchor: Time,
    /// From, to.
    pub span_s: (f64, f64),
}

/// One window to prepare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// What the window is relative to.
    pub pick: Time,
    /// From, to, in s after the pick.
    pub span_s: (f64, f64),
    /// Lag on both sides.
    pub lag_s: f64,
    /// For the signal-to-noise ratio.
    pub noise: Option<Noise>,
    /// How.
    pub conditioning: Conditioning,
}

impl Request {
    /// All that is read for it: pick, window, lag, pad.
    pub fn read_span(&self) -> Option<(Time, Time)> {
        let reach = self.lag_s + self.conditioning.pad_s();
        span_around(self.pick, (self.span_s.0 - reach, self.span_s.1 + reach))
    }
}

/// The closed span of instants, with the anchor in it and a little to spare.
fn span_around(anchor: Time, span_s: (f64, f64)) -> Option<(Time, Time)> {
    let spare = 0.2 + (span_s.1 - span_s.0) / 20.0;
    Some((anchor.plus_seconds(span_s.0.min(0.0) - spare)?, anchor.plus_seconds(span_s.1.max(0.0) + spare)?))
}

/// The span and three samples of that rate more on both sides.
fn widened(span: (Time, Time), rate_hz: f64) -> (Time, Time) {
    let more_s = 3.0 / rate_hz;
    (span.0.plus_seconds(-more_s).unwrap_or(span.0), span.1.plus_seconds(more_s).unwrap_or(span.1))
}

/// Reads the stretches of one channel and conditions the window once for each of the rates (its own rate, or that
/// to resample to).
///
/// # Errors
/// The inner one says why there is no such window; the outer one is for what stops the whole statement.
pub fn prepare(
    waveforms: &dyn Waveforms,
    stretches: &[Stretch],
    request: &Request,
    rates_hz: &[f64],
) -> Result<std::result::Result<Vec<Window>, Reason>> {
    let Some(span) = request.read_span() else { return Ok(Err(Reason::NoData)) };
    let found = read(waveforms, stretches, span)?;
    let mut run = match assemble(found.pieces, request.pick) {
        Ok(run) => run,
        Err(reason) => return Ok(Err(found.failed.unwrap_or(reason))),
    };
    run.copies_differ = found.copies_differ;
    if let Some(failed) = found.failed {
        let told = |r: Reason| if matches!(r, Reason::NoData | Reason::Gap) { failed } else { r };
        run.stopped = (told(run.stopped.0), told(run.stopped.1));
    }
    let noise = match request.noise {
        Some(noise) => noise_run(waveforms, stretches, &noise, &request.conditioning)?,
        None => None,
    };
    Ok(rates_hz.iter().map(|&rate| window(&run, noise.as_ref(), request, rate)).collect())
}

/// The records of all stretches of a channel.
struct Found {
    pieces: Vec<Piece>,
    copies_differ: bool,
    /// Why a stretch has none.
    failed: Option<Reason>,
}

/// Reads the stretches, the preferred one first. One that cannot be read leaves its place to the copies of it.
fn read(waveforms: &dyn Waveforms, stretches: &[Stretch], span: (Time, Time)) -> Result<Found> {
    let (mut pieces, mut samples, mut failed) = (Vec::new(), 0, None);
    for stretch in stretches.iter().filter(|s| s.start <= span.1 && s.end >= span.0) {
        match waveforms.read(stretch, widened(span, stretch.sampling_rate_hz)) {
            Ok(found) => {
                samples += found.iter().map(|p| p.samples.len()).sum::<usize>();
                pieces.push(found);
            }
            Err(Error::Io { .. }) => failed = failed.or(Some(Reason::Unreachable)),
            Err(Error::Data(_)) => failed = failed.or(Some(Reason::Unreadable)),
            Err(other) => return Err(other),
        }
        if samples > WINDOW_SAMPLES {
            return Err(Error::Limit {
                what: "a window".to_owned(),
                limit: format!("{WINDOW_SAMPLES} samples"),
                help: "make WINDOW shorter".to_owned(),
            });
        }
    }
    let (pieces, copies_differ) = choose(pieces);
    Ok(Found { pieces, copies_differ, failed })
}

/// The run of samples around the noise window; `None` where it cannot be had.
fn noise_run(
    waveforms: &dyn Waveforms,
    stretches: &[Stretch],
    noise: &Noise,
    conditioning: &Conditioning,
) -> Result<Option<(Run, f64)>> {
    let length_s = noise.span_s.1 - noise.span_s.0;
    let middle = noise.anchor.plus_seconds((noise.span_s.0 + noise.span_s.1) / 2.0);
    let Some(middle) = middle.filter(|_| length_s > 0.0) else { return Ok(None) };
    let reach = length_s / 2.0 + conditioning.pad_s();
    let Some(span) = span_around(middle, (-reach, reach)) else { return Ok(None) };
    let found = read(waveforms, stretches, span)?;
    Ok(assemble(found.pieces, middle).ok().map(|run| (run, length_s)))
}

/// What is cut out of a run, at one rate.
#[derive(Clone, Copy)]
struct Cut<'a> {
    span_s: (f64, f64),
    lag_s: f64,
    how: &'a Conditioning,
    rate_hz: f64,
}

/// Samples with their place in time from the pick: sample `i` of `values` has the number `first + i`.
struct Trace {
    values: Vec<f64>,
    first: isize,
    rate_hz: f64,
    remainder_s: f64,
}

impl Trace {
    /// Seconds after the pick of a sample number.
    fn time_s(&self, number: isize) -> f64 {
        number as f64 / self.rate_hz - self.remainder_s
    }

    fn last(&self) -> isize {
        self.first + self.values.len() as isize - 1
    }

    /// Samples from one number to another, both included.
    fn between(&self, from: isize, to: isize) -> &[f64] {
        &self.values[(from - self.first) as usize..=(to - self.first) as usize]
    }
}

/// A conditioned stretch of a run: samples from number `core.0 - guard` to `core.1 + guard`.
struct Conditioned {
    trace: Trace,
    core: (isize, isize),
    short_pad: bool,
    /// Of the core, before anything was done to it.
    raw: Vec<f64>,
}

impl Cut<'_> {
    /// Numbers of the first and last sample of the window with its lag, and samples of the pad.
    fn core(&self, rate_hz: f64) -> (isize, isize, isize) {
        let (a, b) = sample_range(self.span_s, rate_hz);
        let lag = lag_samples(self.lag_s, rate_hz) as isize;
        (a - lag, b + lag, (self.how.pad_s() * rate_hz).round() as isize)
    }

    /// Are the corners where a filter at this rate can have them?
    fn check_corners(&self) -> std::result::Result<(), Reason> {
        let Some(f) = self.how.filter else { return Ok(()) };
        let high = f.band.high_corner_hz().or(f.band.low_corner_hz()).unwrap_or(0.0);
        let low = f.band.low_corner_hz().unwrap_or(high);
        let possible = low > 0.0 && low <= high && high < HIGHEST_CORNER * self.rate_hz / 2.0;
        if possible { Ok(()) } else { Err(Reason::Corner) }
    }

    /// Conditions window and lag of a run.
    fn condition(&self, run: &Run) -> std::result::Result<Conditioned, Reason> {
        self.check_corners()?;
        let (core_first, core_last, pad) = self.core(run.sampling_rate_hz);
        check_core(run, (core_first, core_last), pad)?;
        let run_trace = |from: isize, to: isize| {
            run.samples[(from - run.first) as usize..=(to - run.first) as usize].to_vec()
        };
        let raw = run_trace(core_first, core_last);
        // Two samples more than the pad: the ramps, laid in time, may end between samples.
        let (from, to) = ((core_first - pad - 2).max(run.first), (core_last + pad + 2).min(run.last()));
        let values = run_trace(from, to);
        if raw.iter().all(|x| *x == raw[0]) {
            return Err(Reason::Constant);
        }
        if values.iter().any(|x| !x.is_finite()) {
            return Err(Reason::NotFinite);
        }
        let (rate_hz, remainder_s) = (run.sampling_rate_hz, run.remainder_s);
        let mut trace = Trace { values, first: from, rate_hz, remainder_s };
        remove_trend(&mut trace.values);
        if !same_rate(rate_hz, self.rate_hz) {
            trace = resampled(&trace, self.rate_hz);
        }
        let (core_first, core_last, pad) = self.core(trace.rate_hz);
        let room = (core_first - trace.first).min(trace.last() - core_last);
        if room < 0 {
            return Err(Reason::ShortPad);
        }
        let guard = (GUARD_SAMPLES as isize).min(pad / 4).min(room);
        let before = rms(&trace.values);
        self.taper(&mut trace, guard);
        self.filter(&mut trace)?;
        trace.values = trace.between(core_first - guard, core_last + guard).to_vec();
        trace.first = core_first - guard;
        let after = rms(&trace.values);
        if before == 0.0 || after < LEAST_FILTERED_RMS * before || !after.is_finite() {
            return Err(Reason::Constant);
        }
        Ok(Conditioned { trace, core: (core_first, core_last), short_pad: room < pad, raw })
    }

    /// Ramps in the pad, outside the guard. They are laid in time from the pick, where the data allow it, so that
    /// every copy of a signal gets the same weight whatever its sample phase.
    fn taper(&self, trace: &mut Trace, guard: isize) {
        let (pad_s, guard_s) = (self.how.pad_s(), guard as f64 / trace.rate_hz);
        let (window_low, window_high) = (self.span_s.0 - self.lag_s, self.span_s.1 + self.lag_s);
        let start_s = trace.time_s(trace.first);
        let low_end = start_s.max(window_low - pad_s);
        let high_end = trace.time_s(trace.last()).min(window_high + pad_s);
        let rise_s = self.how.taper * (window_low - guard_s - low_end).max(0.0);
        let fall_s = self.how.taper * (high_end - window_high - guard_s).max(0.0);
        let ramps = ((low_end, low_end + rise_s), (high_end - fall_s, high_end));
        taper(&mut trace.values, start_s, trace.rate_hz, ramps);
    }

    fn filter(&self, trace: &mut Trace) -> std::result::Result<(), Reason> {
        let Some(f) = self.how.filter else { return Ok(()) };
        let sections = butterworth(f.order, f.band, trace.rate_hz).ok_or(Reason::Corner)?;
        if f.zero_phase {
            filter_zero_phase(&sections, &mut trace.values);
        } else {
            filter(&sections, &mut trace.values);
        }
        Ok(())
    }
}

/// The same trace at another rate, its samples numbered from the one nearest to the pick.
fn resampled(trace: &Trace, rate_hz: f64) -> Trace {
    let start_s = trace.time_s(trace.first);
    let values = resample(&trace.values, trace.rate_hz, rate_hz);
    let first = -((-start_s * rate_hz + 0.5).floor() as isize);
    Trace { values, first, rate_hz, remainder_s: first as f64 / rate_hz - start_s }
}

/// Is the window there, with a quarter of the pad on both sides?
fn check_core(run: &Run, core: (isize, isize), pad: isize) -> std::result::Result<(), Reason> {
    let reason = |r: Reason| if r == Reason::NoData { Reason::Gap } else { r };
    if core.1 < core.0 {
        return Err(Reason::Short);
    }
    if run.samples.is_empty() || run.first > core.0 {
        return Err(reason(run.stopped.0));
    }
    if run.last() < core.1 {
        return Err(reason(run.stopped.1));
    }
    let room = (core.0 - run.first).min(run.last() - core.1);
    if 4 * room < pad { Err(Reason::ShortPad) } else { Ok(()) }
}

/// The window at one rate.
fn window(
    run: &Run,
    noise: Option<&(Run, f64)>,
    request: &Request,
    rate_hz: f64,
) -> std::result::Result<Window, Reason> {
    let (a, b) = sample_range(request.span_s, rate_hz);
    if b < a {
        return Err(Reason::Short);
    }
    let cut = Cut { span_s: request.span_s, lag_s: request.lag_s, how: &request.conditioning, rate_hz };
    let c = cut.condition(run)?;
    let quiet = noise.and_then(|(run, length_s)| {
        let c = Cut { span_s: (-length_s / 2.0, length_s / 2.0), lag_s: 0.0, ..cut }.condition(run).ok()?;
        Some((rms(c.trace.between(c.core.0, c.core.1)), standard_deviation(&c.raw)))
    });
    let (a, b) = sample_range(request.span_s, c.trace.rate_hz);
    // The signal starts at the pick, where the window reaches beyond it.
    let signal = rms(c.trace.between(if b > 0 { a.max(0) } else { a }, b));
    let clipped = longest_run_at_extreme(&c.raw) >= CLIPPED_RUN
        && quiet.is_some_and(|q| largest_deviation(&c.raw) > CLIPPED_SNR * q.1);
    let (from_s, to_s) = (request.span_s.0 - request.lag_s, request.span_s.1 + request.lag_s);
    let inside = |step: &isize| (from_s..=to_s).contains(&(*step as f64 / run.sampling_rate_hz));
    let flags = Flags::when(c.short_pad, Flags::SHORT_PAD)
        .with(Flags::when(clipped, Flags::CLIPPED))
        .with(Flags::when(run.steps.iter().any(inside), Flags::TIME_STEP))
        .with(Flags::when(run.copies_differ, Flags::COPIES_DIFFER));
    Ok(Window {
        sampling_rate_hz: c.trace.rate_hz,
        first: c.trace.first,
        remainder_s: c.trace.remainder_s,
        samples: c.trace.values,
        snr: quiet.map(|q| signal / q.0).filter(|s| s.is_finite()),
        flags,
    })
}
