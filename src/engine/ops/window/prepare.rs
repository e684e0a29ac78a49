//! From records to a conditioned window.

use crate::error::{Error, Result};
use crate::limits::WINDOW_SAMPLES;
use crate::model::time::Time;
use crate::signal::condition::{remove_trend, rms, taper};
use crate::signal::filter::{butterworth, filter, filter_zero_phase};
use crate::signal::quality::{largest_deviation, longest_run_at_extreme, standard_deviation};
use crate::signal::resample::resample;

use super::assemble::{Run, assemble};
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
    let pieces = match read(waveforms, stretches, span)? {
        Ok(pieces) => pieces,
        Err(reason) => return Ok(Err(reason)),
    };
    let run = match assemble(pieces, request.pick) {
        Ok(run) => run,
        Err(reason) => return Ok(Err(reason)),
    };
    let noise = match request.noise {
        Some(noise) => noise_run(waveforms, stretches, &noise, &request.conditioning)?,
        None => None,
    };
    Ok(rates_hz.iter().map(|&rate| window(&run, noise.as_ref(), request, rate)).collect())
}

/// The records of all stretches; a file that cannot be read is a reason, not the end of the statement.
fn read(
    waveforms: &dyn Waveforms,
    stretches: &[Stretch],
    span: (Time, Time),
) -> Result<std::result::Result<Vec<Piece>, Reason>> {
    let mut pieces = Vec::new();
    for stretch in stretches.iter().filter(|s| s.start <= span.1 && s.end >= span.0) {
        match waveforms.read(stretch, widened(span, stretch.sampling_rate_hz)) {
            Ok(found) => pieces.extend(found),
            Err(Error::Data(_) | Error::Io { .. }) => return Ok(Err(Reason::Unreadable)),
            Err(other) => return Err(other),
        }
    }
    if pieces.iter().map(|p| p.samples.len()).sum::<usize>() > WINDOW_SAMPLES {
        return Err(Error::Limit {
            what: "a window".to_owned(),
            limit: format!("{WINDOW_SAMPLES} samples"),
            help: "make WINDOW shorter".to_owned(),
        });
    }
    Ok(Ok(pieces))
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
    let Ok(pieces) = read(waveforms, stretches, span)? else { return Ok(None) };
    Ok(assemble(pieces, middle).ok().map(|run| (run, length_s)))
}

/// A conditioned stretch of a run: samples from number `core.0 - guard` to `core.1 + guard`.
struct Conditioned {
    samples: Vec<f64>,
    first: isize,
    core: (isize, isize),
    remainder_s: f64,
    short_pad: bool,
    raw: Vec<f64>,
}

/// Conditions window and lag of a run at `rate_hz`.
fn condition(
    run: &Run,
    span_s: (f64, f64),
    lag_s: f64,
    how: &Conditioning,
    rate_hz: f64,
) -> std::result::Result<Conditioned, Reason> {
    let own = run.sampling_rate_hz;
    let range = |rate: f64| {
        let ((a, b), lag) = (sample_range(span_s, rate), lag_samples(lag_s, rate) as isize);
        (a - lag, b + lag, (how.pad_s() * rate).round() as isize)
    };
    if let Some(f) = how.filter {
        let high = f.band.high_corner_hz().or(f.band.low_corner_hz()).unwrap_or(0.0);
        let low = f.band.low_corner_hz().unwrap_or(high);
        let nyquist = rate_hz / 2.0;
        if !(low > 0.0 && low <= high && high < HIGHEST_CORNER * nyquist) {
            return Err(Reason::Corner);
        }
    }
    let (core_first, core_last, pad) = range(own);
    check_core(run, (core_first, core_last), pad)?;
    // Two samples more than the pad: the ramps, laid in time, may end between samples.
    let (from, to) = ((core_first - pad - 2).max(run.first), (core_last + pad + 2).min(run.last()));
    let cut = |a: isize, b: isize| run.samples[(a - run.first) as usize..=(b - run.first) as usize].to_vec();
    let raw = cut(core_first, core_last);
    if raw.iter().all(|x| *x == raw[0]) {
        return Err(Reason::Constant);
    }
    let mut samples = cut(from, to);
    remove_trend(&mut samples);
    let (mut first, mut remainder_s) = (from, run.remainder_s);
    if !same_rate(own, rate_hz) {
        let start_s = from as f64 / own - remainder_s;
        samples = resample(&samples, own, rate_hz);
        first = -((-start_s * rate_hz + 0.5).floor() as isize);
        remainder_s = first as f64 / rate_hz - start_s;
    }
    let rate = if same_rate(own, rate_hz) { own } else { rate_hz };
    let (core_first, core_last, pad) = range(rate);
    let last = first + samples.len() as isize - 1;
    let room = (core_first - first).min(last - core_last);
    if room < 0 {
        return Err(Reason::ShortPad);
    }
    let guard = (GUARD_SAMPLES as isize).min(pad / 4).min(room);
    let before = rms(&samples);
    let at = |number: isize| number as f64 / rate - remainder_s;
    let start_s = at(first);
    // The ramps are laid in time from the pick, where data allow it, so that every copy of a signal gets the same.
    let (low_end, high_end) =
        (start_s.max(span_s.0 - lag_s - how.pad_s()), at(last).min(span_s.1 + lag_s + how.pad_s()));
    let (keep_low, keep_high) =
        (span_s.0 - lag_s - guard as f64 / rate, span_s.1 + lag_s + guard as f64 / rate);
    let rise = (low_end, low_end + how.taper * (keep_low - low_end).max(0.0));
    let fall = (high_end - how.taper * (high_end - keep_high).max(0.0), high_end);
    taper(&mut samples, start_s, rate, (rise, fall));
    if let Some(f) = how.filter {
        let sections = butterworth(f.order, f.band, rate).ok_or(Reason::Corner)?;
        if f.zero_phase {
            filter_zero_phase(&sections, &mut samples)
        } else {
            filter(&sections, &mut samples)
        }
    }
    let kept = samples[(core_first - guard - first) as usize..=(core_last + guard - first) as usize].to_vec();
    let after = rms(&kept);
    if before == 0.0 || after < LEAST_FILTERED_RMS * before || !after.is_finite() {
        return Err(Reason::Constant);
    }
    Ok(Conditioned {
        samples: kept,
        first: core_first - guard,
        core: (core_first, core_last),
        remainder_s,
        short_pad: room < pad,
        raw,
    })
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
    let how = &request.conditioning;
    let c = condition(run, request.span_s, request.lag_s, how, rate_hz)?;
    let rate = if same_rate(run.sampling_rate_hz, rate_hz) { run.sampling_rate_hz } else { rate_hz };
    let quiet = noise.and_then(|(run, length_s)| {
        let half = length_s / 2.0;
        let c = condition(run, (-half, half), 0.0, how, rate_hz).ok()?;
        let core = &c.samples[(c.core.0 - c.first) as usize..=(c.core.1 - c.first) as usize];
        Some((rms(core), standard_deviation(&c.raw)))
    });
    let (a, b) = sample_range(request.span_s, rate);
    let from = if b > 0 { a.max(0) } else { a };
    let signal =
        c.samples.get((from - c.first).max(0) as usize..=(b - c.first).max(0) as usize).map_or(0.0, rms);
    let snr = quiet.map(|q| signal / q.0).filter(|s| s.is_finite());
    let clipped = longest_run_at_extreme(&c.raw) >= CLIPPED_RUN
        && quiet.is_some_and(|q| largest_deviation(&c.raw) > CLIPPED_SNR * q.1);
    let own = run.sampling_rate_hz / rate;
    let inside = |s: &isize| *s as f64 > c.core.0 as f64 * own && *s as f64 <= c.core.1 as f64 * own;
    let flags = Flags::when(c.short_pad, Flags::SHORT_PAD)
        .with(Flags::when(clipped, Flags::CLIPPED))
        .with(Flags::when(run.steps.iter().any(inside), Flags::TIME_STEP));
    Ok(Window {
        sampling_rate_hz: rate,
        first: c.first,
        samples: c.samples,
        remainder_s: c.remainder_s,
        snr,
        flags,
    })
}
