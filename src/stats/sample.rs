//! The epochs of one source in one band, with the sums that several statistics share.

use std::cell::OnceCell;

use super::slope::{self, Line};
use super::sums::{sum, sum2};

/// The valid epochs of one band in time order, prepared once for all statistics. Deviations are taken from the first
/// value before anything is summed, so an offset of 1e9 costs no digits and constant input gives exact zeros.
#[derive(Debug, Default)]
pub struct Sample {
    times_days: Vec<f64>,
    values: Vec<f64>,
    errors: Option<Vec<f64>>,
    deviations: Vec<f64>,
    weights: Vec<f64>,
    residuals: Vec<f64>,
    mean: f64,
    sum_squares: f64,
    sum_weights: f64,
    weighted_shift: f64,
    sorted: OnceCell<Vec<f64>>,
    line: OnceCell<Option<Line>>,
}

impl Sample {
    /// From slices of equal length: times in days (any origin, ascending), values, and their errors (> 0) if there
    /// are any. All numbers must be finite; callers leave other epochs out. Statistics that know no time take `&[]`
    /// for the times.
    pub fn new(times_days: &[f64], values: &[f64], errors: Option<&[f64]>) -> Self {
        let mut sample = Sample::default();
        sample.set(times_days, values, errors);
        sample
    }

    /// The same, into the memory of this sample.
    pub fn set(&mut self, times_days: &[f64], values: &[f64], errors: Option<&[f64]>) {
        copy(&mut self.times_days, times_days);
        copy(&mut self.values, values);
        self.sorted.take();
        self.line.take();
        self.set_moments();
        let mut own = self.errors.take().unwrap_or_default();
        self.weights.clear();
        self.residuals.clear();
        self.errors = errors.map(|errors| {
            copy(&mut own, errors);
            own
        });
        self.set_weighted();
    }

    fn set_moments(&mut self) {
        let first = self.values.first().copied().unwrap_or(0.0);
        let n = self.values.len() as f64;
        let shift = sum(&self.values, |v| v - first) / n;
        self.deviations.clear();
        self.deviations.extend(self.values.iter().map(|v| (v - first) - shift));
        // what rounding left in the mean
        let left = sum(&self.deviations, |d| d) / n;
        self.deviations.iter_mut().for_each(|d| *d -= left);
        self.mean = first + (shift + left);
        self.sum_squares = sum(&self.deviations, |d| d * d);
    }

    fn set_weighted(&mut self) {
        let Some(errors) = &self.errors else { return };
        self.weights.extend(errors.iter().map(|s| 1.0 / (s * s)));
        self.sum_weights = sum(&self.weights, |w| w);
        let weighted = sum2(&self.deviations, &self.weights, |d, w| d * w);
        self.weighted_shift = weighted / self.sum_weights;
        let shift = self.weighted_shift;
        self.residuals.extend(self.deviations.iter().zip(errors).map(|(d, s)| (d - shift) / s));
    }

    /// Number of epochs.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// No epoch at all.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Number of epochs, as a divisor.
    pub fn n(&self) -> f64 {
        self.values.len() as f64
    }

    /// Number of epochs minus the `parameters` that were fitted to them; `None` if nothing is left.
    pub fn freedom(&self, parameters: usize) -> Option<f64> {
        self.len().checked_sub(parameters).filter(|left| *left > 0).map(|left| left as f64)
    }

    /// Times in days, ascending; empty if none were given.
    pub fn times_days(&self) -> &[f64] {
        &self.times_days
    }

    /// Values in time order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Errors in time order; `None` in a band without an error column.
    pub fn errors(&self) -> Option<&[f64]> {
        self.errors.as_deref()
    }

    /// Arithmetic mean of the values; NaN without epochs.
    pub fn mean_value(&self) -> f64 {
        self.mean
    }

    /// Value minus mean.
    pub fn deviations(&self) -> &[f64] {
        &self.deviations
    }

    /// Sum of squared deviations from the mean.
    pub fn sum_squares(&self) -> f64 {
        self.sum_squares
    }

    /// 1/error^2; `None` without errors.
    pub fn weights(&self) -> Option<&[f64]> {
        self.errors.as_ref().map(|_| self.weights.as_slice())
    }

    /// Sum of 1/error^2; `None` without errors.
    pub fn sum_weights(&self) -> Option<f64> {
        self.errors.as_ref().map(|_| self.sum_weights)
    }

    /// Inverse-variance weighted mean minus mean; `None` without errors.
    pub fn weighted_shift(&self) -> Option<f64> {
        self.errors.as_ref().map(|_| self.weighted_shift)
    }

    /// (value - weighted mean) / error; `None` without errors.
    pub fn residuals(&self) -> Option<&[f64]> {
        self.errors.as_ref().map(|_| self.residuals.as_slice())
    }

    /// Values in ascending order; sorted when first asked for.
    pub fn sorted(&self) -> &[f64] {
        self.sorted.get_or_init(|| {
            let mut keys: Vec<i64> = self.values.iter().map(|&v| flip(v.to_bits() as i64)).collect();
            keys.sort_unstable();
            keys.into_iter().map(|key| f64::from_bits(flip(key) as u64)).collect()
        })
    }

    /// The least-squares line through the values; fitted when first asked for.
    pub fn line(&self) -> Option<&Line> {
        self.line.get_or_init(|| slope::fit(self)).as_ref()
    }
}

/// The bits of a float as an integer of the same order (that of `f64::total_cmp`), and back: integers sort more than
/// twice as fast.
fn flip(bits: i64) -> i64 {
    bits ^ (bits >> 63 & i64::MAX)
}

fn copy(to: &mut Vec<f64>, from: &[f64]) {
    to.clear();
    to.extend_from_slice(from);
}

/// `a / b`; `None` where the quotient is not a finite number (0/0 is NULL, never a guess).
pub fn ratio(a: f64, b: f64) -> Option<f64> {
    finite(a / b)
}

/// The value, `None` if it is NaN or infinite.
pub fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
