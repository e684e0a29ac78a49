//! Welch and Stetson's I of two bands: sqrt(1/(n (n - 1))) sum over the n pairs of the product of (m - mbar)/s of both
//! bands, mbar the inverse-variance mean of all epochs of the band. No unit; 2 pairs.
//! Source: D. L. Welch and P. B. Stetson 1993, AJ 105, 1813, doi:10.1086/116556.

use super::pairs::Pairs;
#[cfg(test)]
use super::sample::Sample;
use super::sample::ratio;

/// I of the pairs of two bands.
pub fn welch_stetson_i(pairs: &Pairs<'_>) -> Option<f64> {
    let n = pairs.links.len() as f64;
    ratio(pairs.sum_residuals(|a, b| a * b)?, (n * (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let a = Sample::new(&[], &[1.0, -1.0], Some(&[1.0; 2]));
        let b = Sample::new(&[], &[6.0, -6.0], Some(&[2.0; 2]));
        // products 3 and 3, n (n - 1) = 2
        let i = welch_stetson_i(&Pairs { first: &a, second: &b, links: &[(0, 0), (1, 1)] }).unwrap();
        assert!((i - 6.0 / 2.0_f64.sqrt()).abs() < 1e-15, "{i}");
        assert_eq!(welch_stetson_i(&Pairs { first: &a, second: &b, links: &[(0, 0)] }), None);
    }
}
