//! Scatter beyond the stated errors: std^2 - mean(s^2), in the square of the values' unit, and the same divided by
//! mean^2, for fluxes, without unit. 2 epochs. Negative where the errors are overestimated.
//! Source: K. Nandra et al. 1997, ApJ 476, 70, doi:10.1086/303600.

use super::sample::{Sample, finite, ratio};
use super::sums::sum;

/// Variance beyond the stated errors.
pub fn excess_variance(sample: &Sample) -> Option<f64> {
    let stated = sum(sample.errors()?, |s| s * s) / sample.n();
    finite(sample.sum_squares() / sample.freedom(1)? - stated)
}

/// Variance beyond the stated errors in units of the squared mean.
pub fn excess_variance_norm(sample: &Sample) -> Option<f64> {
    let mean = sample.mean_value();
    ratio(excess_variance(sample)?, mean * mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // variance 9, mean of s^2 (1 + 4 + 4) / 3 = 3, mean 4
        let sample = Sample::new(&[], &[1.0, 4.0, 7.0], Some(&[1.0, 2.0, 2.0]));
        assert_eq!(excess_variance(&sample), Some(6.0));
        assert_eq!(excess_variance_norm(&sample), Some(0.375));
        assert_eq!(excess_variance(&Sample::new(&[], &[1.0], Some(&[1.0]))), None);
        assert_eq!(excess_variance_norm(&Sample::new(&[], &[0.0; 2], Some(&[0.0; 2]))), None);
    }
}
