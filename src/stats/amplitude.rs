//! Half the range: (max - min) / 2. Unit of the values; 1 epoch.

use super::sample::{Sample, finite};
use super::sums::extremes;

/// Half of the distance between the largest and the smallest value.
pub fn amplitude(sample: &Sample) -> Option<f64> {
    let (low, high) = extremes(sample.values())?;
    finite(0.5 * high - 0.5 * low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(amplitude(&Sample::new(&[], &[3.0, -1.0, 4.0], None)), Some(2.5));
        assert_eq!(amplitude(&Sample::new(&[], &[3.0], None)), Some(0.0));
        assert_eq!(amplitude(&Sample::new(&[], &[], None)), None);
    }
}
