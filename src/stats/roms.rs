//! Robust median statistic: RoMS = sum |m - median| / s / (N - 1); about 1 or less for a constant source. No unit;
//! 2 epochs.
//! Source: M. L. Enoch, M. E. Brown and A. J. Burgasser 2003, AJ 126, 1006, doi:10.1086/376598.

use super::median::{from_middle, middle};
use super::sample::{Sample, ratio};
use super::sums::sum2;

/// Robust median statistic.
pub fn roms(sample: &Sample) -> Option<f64> {
    let middle = middle(sample)?;
    let sum = sum2(sample.values(), sample.errors()?, |m, s| from_middle(m, middle).abs() / s);
    ratio(sum, sample.freedom(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // median 2: (1/1 + 0/1 + 6/2) / 2
        assert_eq!(roms(&Sample::new(&[], &[1.0, 2.0, 8.0], Some(&[1.0, 1.0, 2.0]))), Some(2.0));
        assert_eq!(roms(&Sample::new(&[], &[1.0], Some(&[1.0]))), None);
    }
}
