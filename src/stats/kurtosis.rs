//! Sample excess kurtosis G2 = (N - 1) / ((N - 2)(N - 3)) ((N + 1) g2 + 6) with g2 = m4 / m2^2 - 3, m_k the k-th
//! central moment with divisor N. No unit; 4 epochs; NULL for constant values.
//! Source: D. N. Joanes and C. A. Gill 1998, The Statistician 47, 183, doi:10.1111/1467-9884.00122.

use super::sample::{Sample, ratio};
use super::sums::sum;

/// Excess kurtosis G2.
pub fn kurtosis(sample: &Sample) -> Option<f64> {
    let (n, left) = (sample.n(), sample.freedom(3)?);
    let m2 = sample.sum_squares() / n;
    let m4 = sum(sample.deviations(), |d| (d * d) * (d * d)) / n;
    let excess = ratio(m4, m2 * m2)? - 3.0;
    ratio((n - 1.0) * ((n + 1.0) * excess + 6.0), (n - 2.0) * left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // deviations 1 1 -1 -1: g2 = -2, G2 = 3/2 (-10 + 6)
        assert_eq!(kurtosis(&Sample::new(&[], &[3.0, 3.0, 1.0, 1.0], None)), Some(-6.0));
        assert_eq!(kurtosis(&Sample::new(&[], &[0.1; 5], None)), None);
        assert_eq!(kurtosis(&Sample::new(&[], &[1.0, 2.0, 4.0], None)), None);
    }
}
