//! Stetson's K, a robust kurtosis: K = (1/N sum |d|) / sqrt(1/N sum d^2) with d as in J (its factor sqrt(n/(n - 1))
//! cancels in one band); 0.798 for a normal distribution, 0.900 for a sine, small where one epoch stands out. No unit;
//! 2 epochs; NULL for constant values.
//! Source: P. B. Stetson 1996, PASP 108, 851, doi:10.1086/133808.

use super::pairs::Pairs;
use super::sample::{Sample, ratio};
use super::sums::sum;

/// K of the epochs of one band.
pub fn stetson_k(sample: &Sample) -> Option<f64> {
    sample.freedom(1)?;
    let residuals = sample.residuals()?;
    let squares = sum(residuals, |z| z * z) / sample.n();
    ratio(sum(residuals, f64::abs) / sample.n(), squares.sqrt())
}

/// K over all valid epochs of both bands.
pub fn stetson_k_pairs(pairs: &Pairs<'_>) -> Option<f64> {
    let (mut squares, mut sizes) = (0.0, 0.0);
    for sample in [pairs.first, pairs.second] {
        let bias = sample.n() / sample.freedom(1)?;
        let residuals = sample.residuals()?;
        squares += bias * sum(residuals, |z| z * z);
        sizes += bias.sqrt() * sum(residuals, f64::abs);
    }
    let n = pairs.first.n() + pairs.second.n();
    ratio(sizes / n, (squares / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // d in proportion 3 -1 -1 -1: (6/4) / sqrt(12/4)
        let sample = Sample::new(&[], &[3.0, -1.0, -1.0, -1.0], Some(&[1.0; 4]));
        let k = stetson_k(&sample).unwrap();
        assert!((k - 1.5 / 3.0_f64.sqrt()).abs() < 1e-15, "{k}");
        // with 1 -1 (factor 2): sizes 6 sqrt(4/3) + 2 sqrt 2, squares 16 + 4
        let other = Sample::new(&[], &[1.0, -1.0], Some(&[1.0; 2]));
        let k = stetson_k_pairs(&Pairs { first: &sample, second: &other, links: &[(0, 0)] }).unwrap();
        let want = (6.0 * (4.0_f64 / 3.0).sqrt() + 2.0 * 2.0_f64.sqrt()) / 6.0 / (20.0_f64 / 6.0).sqrt();
        assert!((k - want).abs() < 1e-15, "{k} {want}");
        assert_eq!(stetson_k(&Sample::new(&[], &[0.1; 3], Some(&[1.0; 3]))), None);
    }
}
