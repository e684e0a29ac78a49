//! The correlation function over all lags by a kernel: where the peak is, not what it is.
//!
//! What a kernel needs of a window (narrow samples or a spectrum, and the energies) is made once for the window as
//! it is cut for itself, and anew only for the pairs whose intersection is smaller.

use std::collections::HashMap;
use std::sync::{OnceLock, RwLock};

use realfft::RealFftPlanner;

use crate::engine::ops::window::{Window, sample_range};
use crate::signal::correlate::{Norm, Traces};
use crate::signal::kernel::{self, Kernel, Plan, Spectrum};

/// Plans of transforms, made once for each length.
#[derive(Debug, Default)]
pub struct Kernels(RwLock<HashMap<usize, Plan>>);

impl Kernels {
    fn plan(&self, length: usize) -> Plan {
        if let Some(plan) = self.0.read().ok().and_then(|p| p.get(&length).cloned()) {
            return plan;
        }
        let plan = Plan::new(&mut RealFftPlanner::new(), length);
        if let Ok(mut plans) = self.0.write() {
            plans.insert(length, plan.clone());
        }
        plan
    }
}

/// A window, the span in s it was made for, and what the kernels made of it.
#[derive(Debug)]
pub struct Ready {
    /// The window.
    pub window: Window,
    /// From, to, after the pick.
    pub span_s: (f64, f64),
    fixed: OnceLock<Side>,
    moving: OnceLock<Side>,
}

impl Ready {
    /// Nothing made yet.
    pub fn new(window: Window, span_s: (f64, f64)) -> Ready {
        Ready { window, span_s, fixed: OnceLock::new(), moving: OnceLock::new() }
    }

    /// Number of its first sample and samples without lag.
    fn own(&self) -> (isize, usize) {
        let (from, to) = sample_range(self.span_s, self.window.sampling_rate_hz);
        (from, usize::try_from(to - from + 1).unwrap_or(0))
    }
}

/// Samples as a kernel takes them, of which the largest is 1.
#[derive(Debug)]
enum Form {
    Narrow(Vec<f32>),
    Spectrum(Spectrum),
}

/// One side of a correlation. `inverse` are 1 / sqrt(energy): one value, or one for each lag.
#[derive(Debug)]
struct Side {
    form: Form,
    inverse: Vec<f64>,
}

/// 1 / sqrt(energy), 0 for silence.
fn inverse(energy: f64) -> f64 {
    if energy > 0.0 { energy.sqrt().recip() } else { 0.0 }
}

/// A kernel with the numbers it was chosen for.
struct Task {
    kernel: Kernel,
    plan: Option<Plan>,
    samples: usize,
    lags: usize,
}

impl Task {
    fn form(&self, values: &[f64]) -> Form {
        match &self.plan {
            Some(plan) => Form::Spectrum(plan.spectrum(values)),
            None => Form::Narrow(values.iter().map(|v| *v as f32).collect()),
        }
    }

    fn fixed(&self, t: &Traces<'_>) -> Side {
        let values = scaled(t.fixed);
        Side { inverse: vec![inverse(values.iter().map(|v| v * v).sum())], form: self.form(&values) }
    }

    fn moving(&self, t: &Traces<'_>, norm: Norm) -> Side {
        let (n, lags) = (self.samples, self.lags);
        let mut values = match norm {
            Norm::Sliding => scaled(&t.moving[t.origin - lags..t.origin + n + lags]),
            Norm::Full => {
                let mut padded = vec![0.0; n + 2 * lags];
                padded[lags..lags + n].copy_from_slice(&scaled(&t.moving[t.origin..t.origin + n]));
                padded
            }
        };
        let energy = |part: &[f64]| part.iter().map(|v| v * v).sum::<f64>();
        let inverse = match norm {
            Norm::Full => vec![inverse(energy(&values)); 2 * lags + 1],
            Norm::Sliding => (0..=2 * lags).map(|l| inverse(energy(&values[l..l + n]))).collect(),
        };
        if self.kernel == Kernel::Direct {
            values.resize(kernel::padded_length(n, 2 * lags + 1), 0.0);
        }
        Side { form: self.form(&values), inverse }
    }
}

/// Divided by the largest absolute value, so that f32 neither overflows nor vanishes.
fn scaled(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().fold(0.0_f64, |m, v| m.max(v.abs())).max(f64::MIN_POSITIVE);
    values.iter().map(|v| v / largest).collect()
}

/// The coefficients of one channel at the lags `-lags ..= lags`, by a kernel. `from` is the number of the first
/// sample of the fixed window.
pub fn coefficients(
    kernels: &Kernels,
    (first, second): (&Ready, &Ready),
    (t, from): (&Traces<'_>, isize),
    norm: Norm,
    lags: usize,
) -> Vec<f64> {
    let samples = t.fixed.len();
    let kernel = kernel::choose(samples, 2 * lags + 1);
    let plan = (kernel == Kernel::Fft).then(|| kernels.plan(kernel::fft_length(samples + 2 * lags)));
    let task = Task { kernel, plan, samples, lags };
    let (fresh_fixed, fresh_moving);
    let fixed = if first.own() == (from, samples) {
        first.fixed.get_or_init(|| task.fixed(t))
    } else {
        fresh_fixed = task.fixed(t);
        &fresh_fixed
    };
    let moving = if second.own() == (from, samples) {
        second.moving.get_or_init(|| task.moving(t, norm))
    } else {
        fresh_moving = task.moving(t, norm);
        &fresh_moving
    };
    let mut sums = vec![0.0_f32; 2 * lags + 1];
    match (&fixed.form, &moving.form, &task.plan) {
        (Form::Narrow(a), Form::Narrow(b), _) => kernel::direct(a, b, &mut sums),
        (Form::Spectrum(a), Form::Spectrum(b), Some(plan)) => plan.sums(a, b, &mut sums),
        // One length, one kernel: both sides have the same form.
        _ => sums.fill(f32::NAN),
    }
    let scale = fixed.inverse.first().copied().unwrap_or(0.0);
    sums.iter().zip(&moving.inverse).map(|(s, i)| f64::from(*s) * scale * i).collect()
}
