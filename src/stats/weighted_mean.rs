//! Inverse-variance weighted mean: mbar = sum w m / sum w with w = 1/s^2, and its error 1/sqrt(sum w), which follows
//! from the stated errors alone. Unit of the values; 1 epoch.
//! Source: P. R. Bevington and D. K. Robinson, Data Reduction and Error Analysis for the Physical Sciences, chapter 4.

use super::sample::{Sample, finite, ratio};

/// Weighted mean.
pub fn weighted_mean(sample: &Sample) -> Option<f64> {
    finite(sample.mean_value() + sample.weighted_shift()?)
}

/// Error of the weighted mean.
pub fn weighted_mean_error(sample: &Sample) -> Option<f64> {
    ratio(1.0, sample.sum_weights()?.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // weights 1, 1, 1/4: (1 + 2 + 8/4) / (9/4) = 20/9
        let sample = Sample::new(&[], &[1.0, 2.0, 8.0], Some(&[1.0, 1.0, 2.0]));
        let mean = weighted_mean(&sample).unwrap();
        assert!((mean - 20.0 / 9.0).abs() < 1e-15, "{mean}");
        assert_eq!(weighted_mean_error(&sample), Some(2.0 / 3.0));
        assert_eq!(weighted_mean(&Sample::new(&[], &[1.0], None)), None);
        assert_eq!(weighted_mean(&Sample::new(&[], &[], Some(&[]))), None);
    }
}
