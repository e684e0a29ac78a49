//! Stetson's J: with d = sqrt(n/(n - 1)) (m - mbar)/s, n the epochs of the band and mbar its inverse-variance mean (no
//! iteration), P = d_i d_j for a pair of epochs of two bands and P = d^2 - 1 for the epochs of a band by themselves,
//! J = sum sgn(P) sqrt|P| / (number of P): all weights 1. No unit; 2 epochs in each band, one pair.
//! Source: P. B. Stetson 1996, PASP 108, 851, doi:10.1086/133808.

use super::pairs::Pairs;
use super::sample::{Sample, ratio};
use super::sums::sum;

/// J of the epochs of one band.
pub fn stetson_j(sample: &Sample) -> Option<f64> {
    let residuals = sample.residuals()?;
    let bias = sample.n() / sample.freedom(1)?;
    ratio(sum(residuals, |z| signed_root(bias * z * z - 1.0)), sample.n())
}

/// J of the pairs of two bands.
pub fn stetson_j_pairs(pairs: &Pairs<'_>) -> Option<f64> {
    let (a, b) = (pairs.first, pairs.second);
    let bias = (a.n() / a.freedom(1)? * (b.n() / b.freedom(1)?)).sqrt();
    ratio(pairs.sum_residuals(|a, b| signed_root(bias * a * b))?, pairs.links.len() as f64)
}

fn signed_root(p: f64) -> f64 {
    p.abs().sqrt().copysign(p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // mbar 0, d = sqrt(4/3) (2 0 0 -2): P = 13/3, -1, -1, 13/3
        let sample = Sample::new(&[], &[2.0, 0.0, 0.0, -2.0], Some(&[1.0; 4]));
        let j = stetson_j(&sample).unwrap();
        assert!((j - ((13.0_f64 / 3.0).sqrt() - 1.0) / 2.0).abs() < 1e-15, "{j}");
        // with the same band again and three links: d_i d_j = 16/3, 0, -16/3 and 16/3 for (0,0) (1,0) (3,0) (3,3)
        let pairs = Pairs { first: &sample, second: &sample, links: &[(0, 0), (1, 0), (3, 0), (3, 3)] };
        let j = stetson_j_pairs(&pairs).unwrap();
        assert!((j - (16.0_f64 / 3.0).sqrt() / 4.0).abs() < 1e-15, "{j}");
        assert_eq!(stetson_j_pairs(&Pairs { first: &sample, second: &sample, links: &[] }), None);
        assert_eq!(stetson_j(&Sample::new(&[], &[1.0], Some(&[1.0]))), None);
    }
}
