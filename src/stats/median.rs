//! Median: the middle value, or the mean of the two middle ones. Unit of the values; 1 epoch.

use super::sample::Sample;

/// Median.
pub fn median(sample: &Sample) -> Option<f64> {
    let sorted = sample.sorted();
    let n = sorted.len();
    let upper = *sorted.get(n / 2)?;
    if n % 2 == 1 {
        return Some(upper);
    }
    let lower = sorted[n / 2 - 1];
    Some(lower + 0.5 * (upper - lower))
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
