//! Stetson's L = J K / 0.798: J weighed by how little the scatter rests on single epochs, K for a pair of bands over the
//! epochs of both. No unit; 2 epochs in each band, one pair; NULL for constant values.
//! Source: P. B. Stetson 1996, PASP 108, 851, doi:10.1086/133808.

use super::pairs::Pairs;
use super::sample::{Sample, finite};
use super::stetson_j::{stetson_j, stetson_j_pairs};
use super::stetson_k::{stetson_k, stetson_k_pairs};

/// K of a normal distribution as the paper rounds it, sqrt(2/pi).
const NORMAL_K: f64 = 0.798;

/// L of the epochs of one band.
pub fn stetson_l(sample: &Sample) -> Option<f64> {
    finite(stetson_j(sample)? * stetson_k(sample)? / NORMAL_K)
}

/// L of the pairs of two bands.
pub fn stetson_l_pairs(pairs: &Pairs<'_>) -> Option<f64> {
    finite(stetson_j_pairs(pairs)? * stetson_k_pairs(pairs)? / NORMAL_K)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // d = sqrt 2 (1, -1): P = 1, J = 1, K = 1
        let sample = Sample::new(&[], &[1.0, -1.0], Some(&[1.0; 2]));
        let l = stetson_l(&sample).unwrap();
        assert!((l - 1.0 / 0.798).abs() < 1e-15, "{l}");
        // paired with itself: P = 2, J = sqrt 2, K = 1
        let l =
            stetson_l_pairs(&Pairs { first: &sample, second: &sample, links: &[(0, 0), (1, 1)] }).unwrap();
        assert!((l - 2.0_f64.sqrt() / 0.798).abs() < 1e-15, "{l}");
        assert_eq!(stetson_l(&Sample::new(&[], &[0.1; 3], Some(&[1.0; 3]))), None);
    }
}
