//! Reduced chi-square of a constant source: sum w (m - mbar)^2 / (N - 1) with w = 1/s^2 and mbar the weighted mean, and
//! the probability of one at least as large, Q((N - 1)/2, chi2/2). No unit; 2 epochs.
//! Source: P. R. Bevington and D. K. Robinson, Data Reduction and Error Analysis for the Physical Sciences, chapter 11.

use super::sample::{Sample, finite, ratio};
use super::special::gamma_q;
use super::sums::sum;

/// Chi-square per degree of freedom.
pub fn reduced_chi2(sample: &Sample) -> Option<f64> {
    ratio(sum(sample.residuals()?, |z| z * z), sample.freedom(1)?)
}

/// Probability that a constant source with these errors scatters as much or more.
pub fn chi2_p(sample: &Sample) -> Option<f64> {
    let chi2 = sum(sample.residuals()?, |z| z * z);
    finite(gamma_q(0.5 * sample.freedom(1)?, 0.5 * chi2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // mbar = 2: (1 + 0 + 1) / 2 = 1, Q(1, 1) = 1/e
        let sample = Sample::new(&[], &[1.0, 2.0, 3.0], Some(&[1.0; 3]));
        assert_eq!(reduced_chi2(&sample), Some(1.0));
        let p = chi2_p(&sample).unwrap();
        assert!((p - (-1.0_f64).exp()).abs() < 1e-15, "{p}");
        let constant = Sample::new(&[], &[0.1; 4], Some(&[0.3; 4]));
        assert_eq!((reduced_chi2(&constant), chi2_p(&constant)), (Some(0.0), Some(1.0)));
        let one = Sample::new(&[], &[1.0], Some(&[1.0]));
        assert_eq!((reduced_chi2(&one), chi2_p(&one)), (None, None));
    }
}
