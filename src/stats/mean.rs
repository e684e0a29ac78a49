//! Mean: sum m / N. Unit of the values; 1 epoch.

use super::sample::{Sample, finite};

/// Arithmetic mean.
pub fn mean(sample: &Sample) -> Option<f64> {
    finite(sample.mean_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(mean(&Sample::new(&[], &[1.0, 2.0, 6.0], None)), Some(3.0));
        assert_eq!(mean(&Sample::new(&[], &[1e9 + 0.25, 1e9 + 0.75], None)), Some(1e9 + 0.5));
        assert_eq!(mean(&Sample::new(&[], &[], None)), None);
    }
}
