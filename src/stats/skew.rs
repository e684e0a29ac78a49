//! Sample skewness G1 = sqrt(N (N - 1)) / (N - 2) g1 with g1 = m3 / m2^(3/2), m_k the k-th central moment with divisor N.
//! No unit; 3 epochs; NULL for constant values.
//! Source: D. N. Joanes and C. A. Gill 1998, The Statistician 47, 183, doi:10.1111/1467-9884.00122.

use super::sample::{Sample, ratio};
use super::sums::sum;

/// Skewness G1.
pub fn skew(sample: &Sample) -> Option<f64> {
    let (n, left) = (sample.n(), sample.freedom(2)?);
    let m2 = sample.sum_squares() / n;
    let m3 = sum(sample.deviations(), |d| d * d * d) / n;
    ratio((n * (n - 1.0)).sqrt() * m3, left * m2 * m2.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // deviations 2 -1 -1: m2 = 2, m3 = 2, g1 = 1/sqrt 2, G1 = sqrt 6 / sqrt 2
        let value = skew(&Sample::new(&[], &[5.0, 2.0, 2.0], None)).unwrap();
        assert!((value - 3.0_f64.sqrt()).abs() < 1e-15, "{value}");
        assert_eq!(skew(&Sample::new(&[], &[0.1; 5], None)), None);
        assert_eq!(skew(&Sample::new(&[], &[1.0, 2.0], None)), None);
    }
}
