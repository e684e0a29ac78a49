//! Standard deviation about the mean, divisor N - 1: sqrt(sum (m - mean)^2 / (N - 1)). Unit of the values; 2 epochs.
//! Two passes with the correction of T. F. Chan, G. H. Golub and R. J. LeVeque 1983, Am. Stat. 37, 242,
//! doi:10.1080/00031305.1983.10483115.

use super::sample::{Sample, ratio};

/// Scatter about the mean.
pub fn rms(sample: &Sample) -> Option<f64> {
    ratio(sample.sum_squares(), sample.freedom(1)?).map(f64::sqrt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(rms(&Sample::new(&[], &[1.0, 4.0, 7.0], None)), Some(3.0));
        assert_eq!(rms(&Sample::new(&[], &[1e9 + 1.0, 1e9 + 4.0, 1e9 + 7.0], None)), Some(3.0));
        assert_eq!(rms(&Sample::new(&[], &[0.1; 5], None)), Some(0.0));
        assert_eq!(rms(&Sample::new(&[], &[1.0], None)), None);
    }
}
