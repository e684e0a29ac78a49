//! Median: the middle value, or the mean of the two middle ones. Unit of the values; 1 epoch.

use super::sample::Sample;

/// Median.
pub fn median(sample: &Sample) -> Option<f64> {
    let (lower, upper) = middle(sample)?;
    Some(lower + 0.5 * (upper - lower))
}

/// The two middle values, or the one of an odd number twice: the median without the rounding of their mean.
pub fn middle(sample: &Sample) -> Option<(f64, f64)> {
    let sorted = sample.sorted();
    let upper = *sorted.get(sorted.len() / 2)?;
    Some((sorted[(sorted.len() - 1) / 2], upper))
}

/// Value minus median, exact to rounding whatever the offset.
pub fn from_middle(value: f64, (lower, upper): (f64, f64)) -> f64 {
    0.5 * (value - lower) + 0.5 * (value - upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(median(&Sample::new(&[], &[5.0, 1.0, 2.0], None)), Some(2.0));
        assert_eq!(median(&Sample::new(&[], &[5.0, 1.0, 2.0, 3.0], None)), Some(2.5));
        assert_eq!(median(&Sample::new(&[], &[], None)), None);
    }
}
