//! One link from windows to numbers: correlation function, largest value, peak, quality.

use crate::engine::ops::window::{Flags, Reason, Window, lag_samples, sample_range};
use crate::model::station::ChannelCode;
use crate::signal::correlate::{Norm, Traces};
use crate::signal::kernel::KERNEL_TOLERANCE;
use crate::signal::peak::{HALF_WIDTH, Peak, angular_frequency, refine, shifted};
use crate::signal::quality::{CYCLE_SKIP_PERIODS, CYCLE_SKIP_RATIO, local_maxima, sigma_dt};

use super::coarse::{Kernels, Ready, coefficients};
use super::{PhaseSpec, Spec};

/// Part of the samples asked for that must be left after S-P shortening.
const LEAST_PART: f64 = 0.6;
/// Samples that must be left.
const LEAST_SAMPLES: isize = 8;
/// Remainders of channels that differ by less than this (in samples) put them on one grid.
const SAME_GRID_SAMPLES: f64 = 1e-6;
/// A correlation function holds frequencies up to this many times the high corner of the filter.
const CORNER_MARGIN: f64 = 1.5;

/// One channel of a link.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Of the component.
    pub weight: f64,
    /// At event 1 and at event 2.
    pub codes: (&'a ChannelCode, &'a ChannelCode),
    /// Of event 1.
    pub first: &'a Ready,
    /// Of event 2.
    pub second: &'a Ready,
}

impl<'a> Part<'a> {
    /// Channel code; that of event 1 where EQUIVALENT allows another.
    pub fn channel(&self) -> &'a str {
        &self.codes.0.channel
    }

    /// Rate of the lags: that of the moving window.
    pub fn sampling_rate_hz(&self) -> f64 {
        self.second.window.sampling_rate_hz
    }

    /// r1 - r2.
    fn remainder_s(&self) -> f64 {
        self.first.window.remainder_s - self.second.window.remainder_s
    }

    /// The intersection of the two windows, as slices, and the number of its first sample.
    fn traces(&self, clause: &PhaseSpec) -> Result<(Traces<'a>, isize), Reason> {
        let rate = self.sampling_rate_hz();
        let (one, two) = (self.first.span_s, self.second.span_s);
        let (from, to) = sample_range((one.0.max(two.0), one.1.min(two.1)), rate);
        let asked = sample_range(clause.window_s, rate);
        let (left, wanted) = (to - from + 1, asked.1 - asked.0 + 1);
        if left < LEAST_SAMPLES || (left as f64) < LEAST_PART * wanted as f64 {
            return Err(Reason::Short);
        }
        let index = |w: &Window, number: isize| usize::try_from(number - w.first).map_err(|_| Reason::Short);
        let (first, second) = (&self.first.window, &self.second.window);
        let (a, b) = (index(first, from)?, index(first, to)?);
        let fixed = first.samples.get(a..=b).ok_or(Reason::Short)?;
        let origin = index(second, from)?;
        let lags = lag_samples(clause.lag_s, rate);
        let holds = origin >= lags && origin + fixed.len() + lags <= second.samples.len();
        let traces = Traces::new(fixed, &second.samples, origin);
        if holds { Ok((traces, from)) } else { Err(Reason::Short) }
    }
}

/// The numbers of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// tau.
    pub lag_s: f64,
    /// Signed.
    pub cc: f64,
    /// Largest other local maximum over the largest.
    pub second_peak: Option<f64>,
    /// Of event 1 and event 2.
    pub snr: (Option<f64>, Option<f64>),
    /// Standard error.
    pub sigma_dt_s: Option<f64>,
    /// Remarks.
    pub flags: Flags,
}

/// What comes of a link.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// A row.
    Measured(Measured),
    /// cc is below MINCC; early: the kernels alone could tell.
    BelowMinCc {
        /// Without f64.
        early: bool,
    },
    /// No row.
    Refused(Reason),
}

/// A channel of a stacked function: its weight (all together 1), its windows, the samples that are compared.
struct Share<'a> {
    weight: f64,
    windows: (&'a Ready, &'a Ready),
    traces: Traces<'a>,
    from: isize,
}

/// A correlation function over the lags `-lags ..= lags`.
struct Function<'a> {
    parts: Vec<Share<'a>>,
    norm: Norm,
    lags: isize,
    /// Whole function in f64, from lag `table_first` on, where the channels lie on different grids.
    table: Option<(isize, Vec<f64>)>,
}

/// Correlates the parts of one link; their functions are stacked by weight.
pub fn measure(
    kernels: &Kernels,
    parts: &[Part<'_>],
    spec: &Spec,
    clause: &PhaseSpec,
    min_cc: f64,
) -> Outcome {
    let function = match Function::new(parts, spec, clause) {
        Ok(function) => function,
        Err(reason) => return Outcome::Refused(reason),
    };
    let rate = parts[0].sampling_rate_hz();
    let remainder_s = if spec.peak == Peak::Integer { 0.0 } else { parts[0].remainder_s() };
    let coarse = function.coarse(kernels);
    let height = |v: f64| if spec.abs { v.abs() } else { v };
    let top = coarse.iter().map(|v| height(*v)).fold(f64::NEG_INFINITY, f64::max);
    if top + rise(clause, rate) + KERNEL_TOLERANCE < min_cc {
        return Outcome::BelowMinCc { early: true };
    }
    let Some((lag, value)) = function.largest(&coarse, top, remainder_s * rate, height) else {
        return Outcome::BelowMinCc { early: false };
    };
    let sign = if value < 0.0 { -1.0 } else { 1.0 };
    if height(value) <= 0.0 {
        return Outcome::BelowMinCc { early: false };
    }
    let (values, first) = function.around(lag, spec.peak, sign);
    let at = (lag - first) as usize;
    let (position, peak) = refine(spec.peak, &values, at);
    let cc = peak.clamp(-1.0, 1.0);
    if cc < min_cc {
        return Outcome::BelowMinCc { early: false };
    }
    let lag_s = (position + first as f64) / rate + remainder_s;
    if lag.abs() == function.lags || lag_s.abs() > clause.lag_s + 1e-9 {
        return Outcome::Refused(Reason::Edge);
    }
    let flags =
        parts.iter().fold(Flags::default(), |f, p| f.with(p.first.window.flags).with(p.second.window.flags));
    let quality = function.quality(&coarse, lag, sign, angular_frequency(&values, at));
    Outcome::Measured(Measured {
        lag_s,
        cc: sign * cc,
        second_peak: quality.0,
        snr: (mean_snr(parts, |p| p.first.window.snr), mean_snr(parts, |p| p.second.window.snr)),
        sigma_dt_s: angular_frequency(&values, at)
            .and_then(|w| sigma_dt(cc, w * rate, bandwidth_hz(clause, rate), function.length_s(parts, rate))),
        flags: flags.with(quality.1).with(Flags::when(sign < 0.0, Flags::INVERTED)),
    })
}

/// How much higher than its largest value on the grid a function of that band can be between the samples:
/// its second derivative is at most w^2, and a sample lies within half a sample of the peak.
fn rise(clause: &PhaseSpec, rate_hz: f64) -> f64 {
    let high = clause.filter.and_then(|f| f.band.high_corner_hz()).unwrap_or(rate_hz);
    let w = std::f64::consts::TAU * (CORNER_MARGIN * high).min(rate_hz / 2.0) / rate_hz;
    w * w / 8.0
}

/// Width of the band of the filter, up to Nyquist.
fn bandwidth_hz(clause: &PhaseSpec, rate_hz: f64) -> f64 {
    let band = clause.filter.map(|f| f.band);
    let low = band.and_then(|b| b.low_corner_hz()).unwrap_or(0.0);
    let high = band.and_then(|b| b.high_corner_hz()).unwrap_or(rate_hz / 2.0);
    (high - low).max(0.0)
}

/// Weighted mean of what is known.
fn mean_snr(parts: &[Part<'_>], snr: impl Fn(&Part<'_>) -> Option<f64>) -> Option<f64> {
    let known: Vec<(f64, f64)> = parts.iter().filter_map(|p| Some((p.weight, snr(p)?))).collect();
    let total: f64 = known.iter().map(|k| k.0).sum();
    (total > 0.0).then(|| known.iter().map(|k| k.0 * k.1).sum::<f64>() / total)
}

impl<'a> Function<'a> {
    fn new(parts: &[Part<'a>], spec: &Spec, clause: &PhaseSpec) -> Result<Function<'a>, Reason> {
        let total: f64 = parts.iter().map(|p| p.weight).sum();
        let mut list = Vec::with_capacity(parts.len());
        for part in parts {
            let (traces, from) = part.traces(clause)?;
            let windows = (part.first, part.second);
            list.push(Share { weight: part.weight / total, windows, traces, from });
        }
        let Some(reference) = parts.first() else { return Err(Reason::NoChannel) };
        let rate = reference.sampling_rate_hz();
        let shifts: Vec<f64> =
            parts.iter().map(|p| (reference.remainder_s() - p.remainder_s()) * rate).collect();
        let lags = lag_samples(clause.lag_s, rate) as isize;
        let mut function = Function { parts: list, norm: spec.norm, lags, table: None };
        let one_grid = shifts.iter().all(|s| s.abs() < SAME_GRID_SAMPLES) || spec.peak == Peak::Integer;
        if !one_grid {
            function.table = Some(function.tabulate(&shifts));
        }
        Ok(function)
    }

    /// The whole stacked function on the grid of the first part.
    fn tabulate(&self, shifts: &[f64]) -> (isize, Vec<f64>) {
        let reach = self.lags + HALF_WIDTH as isize + 2;
        let (mut first, mut last) = (-reach, reach);
        for share in &self.parts {
            (first, last) = share.traces.lags(self.norm, first, last);
        }
        let mut sum = vec![0.0; usize::try_from(last - first + 1).unwrap_or(0)];
        for (Share { weight, traces, .. }, shift) in self.parts.iter().zip(shifts) {
            let own: Vec<f64> =
                (first..=last).map(|l| traces.coefficient(self.norm, l).unwrap_or(0.0)).collect();
            for (s, v) in sum.iter_mut().zip(shifted(&own, *shift)) {
                *s += weight * v;
            }
        }
        (first, sum)
    }

    /// Seconds that carry information: the window, times the number of equally weighted channels.
    fn length_s(&self, parts: &[Part<'_>], rate: f64) -> f64 {
        let squares: f64 = self.parts.iter().map(|p| p.weight * p.weight).sum();
        let samples = self.parts.first().map_or(0, |p| p.traces.fixed.len());
        if parts.is_empty() { 0.0 } else { samples as f64 / rate / squares }
    }

    /// In f64, in fixed order; `None` beyond the data.
    fn exact(&self, lag: isize) -> Option<f64> {
        if let Some((first, values)) = &self.table {
            return usize::try_from(lag - first).ok().and_then(|i| values.get(i)).copied();
        }
        let mut sum = 0.0;
        for share in &self.parts {
            sum += share.weight * share.traces.coefficient(self.norm, lag)?;
        }
        Some(sum)
    }

    /// Over all lags tested, by a kernel: within [`KERNEL_TOLERANCE`].
    fn coarse(&self, kernels: &Kernels) -> Vec<f64> {
        if self.table.is_some() {
            return (-self.lags..=self.lags).map(|l| self.exact(l).unwrap_or(0.0)).collect();
        }
        let mut sum = vec![0.0; 2 * self.lags as usize + 1];
        for share in &self.parts {
            let compared = (&share.traces, share.from);
            let own = coefficients(kernels, share.windows, compared, self.norm, self.lags as usize);
            for (s, v) in sum.iter_mut().zip(own) {
                *s += share.weight * v;
            }
        }
        sum
    }

    /// Lag and value of the largest coefficient in f64; of equal ones the smaller |tau|, then the negative.
    fn largest(
        &self,
        coarse: &[f64],
        top: f64,
        remainder: f64,
        height: impl Fn(f64) -> f64,
    ) -> Option<(isize, f64)> {
        let mut best: Option<(f64, f64, isize, f64)> = None;
        for (i, v) in coarse.iter().enumerate() {
            if height(*v) < top - 2.0 * KERNEL_TOLERANCE {
                continue;
            }
            let lag = i as isize - self.lags;
            let Some(value) = self.exact(lag) else { continue };
            let tau = lag as f64 + remainder;
            let better = best.is_none_or(|(h, t, _, _)| {
                height(value)
                    .total_cmp(&h)
                    .then(t.abs().total_cmp(&tau.abs()))
                    .then(t.total_cmp(&tau))
                    .is_gt()
            });
            if better {
                best = Some((height(value), tau, lag, value));
            }
        }
        best.map(|b| (b.2, b.3))
    }

    /// Values around a lag, turned upwards, and the lag of the first of them.
    fn around(&self, lag: isize, peak: Peak, sign: f64) -> (Vec<f64>, isize) {
        let reach = HALF_WIDTH as isize + 2;
        let (mut first, mut last) = match peak {
            Peak::Bandlimited => (lag - reach, lag + reach),
            Peak::Parabola3 | Peak::Integer => (lag - 1, lag + 1),
            Peak::Concave => (-self.lags, self.lags),
        };
        for share in &self.parts {
            (first, last) = share.traces.lags(self.norm, first, last);
        }
        if let Some((from, values)) = &self.table {
            (first, last) = (first.max(*from), last.min(from + values.len() as isize - 1));
        }
        ((first..=last).map(|l| sign * self.exact(l).unwrap_or(0.0)).collect(), first)
    }

    /// The largest other local maximum over the largest value, and whether one of them is a cycle away.
    fn quality(&self, coarse: &[f64], lag: isize, sign: f64, w: Option<f64>) -> (Option<f64>, Flags) {
        let turned: Vec<f64> = coarse.iter().map(|v| sign * v).collect();
        let best = (lag + self.lags) as usize;
        let others: Vec<usize> = local_maxima(&turned)
            .into_iter()
            .filter(|&m| {
                let dip = turned[m.min(best)..=m.max(best)].iter().copied().fold(f64::INFINITY, f64::min);
                dip < turned[m] - 2.0 * KERNEL_TOLERANCE
            })
            .collect();
        let near = |m: usize| {
            let period = w.map_or(0.0, |w| std::f64::consts::TAU / w);
            m.abs_diff(best) as f64 <= CYCLE_SKIP_PERIODS * period
        };
        let height = self.exact(lag).map_or(1.0, |v| sign * v);
        let highest = |list: Vec<usize>| {
            let top = list.iter().map(|&m| turned[m]).fold(f64::NEG_INFINITY, f64::max);
            let close = list.iter().filter(|&&m| turned[m] >= top - 2.0 * KERNEL_TOLERANCE);
            let values = close.flat_map(|&m| {
                let lag = m as isize - self.lags;
                [lag - 1, lag, lag + 1].map(|l| self.exact(l).map_or(f64::NEG_INFINITY, |v| sign * v))
            });
            let value = values.fold(f64::NEG_INFINITY, f64::max);
            value.is_finite().then_some(value / height)
        };
        let cycle = highest(others.iter().copied().filter(|&m| near(m)).collect());
        let skip = cycle.is_some_and(|c| c > CYCLE_SKIP_RATIO);
        (highest(others), Flags::when(skip, Flags::CYCLE_SKIP))
    }
}
