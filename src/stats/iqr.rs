//! Interquartile range: quantile(3/4) - quantile(1/4), quantiles of type 7 (linear between the order statistics
//! (N - 1) p + 1). Unit of the values; 2 epochs.
//! Source: R. J. Hyndman and Y. Fan 1996, Am. Stat. 50, 361, doi:10.2307/2684934.

use super::sample::{Sample, finite};

/// Interquartile range.
pub fn iqr(sample: &Sample) -> Option<f64> {
    let sorted = sample.sorted();
    if sorted.len() < 2 {
        return None;
    }
    let ((high, above), (low, below)) = (quantile(sorted, 0.75), quantile(sorted, 0.25));
    finite((high - low) + (above - below))
}

/// Quantile of type 7 of at least one sorted value, 0 <= p < 1: the value below it and what is to be added, apart, so
/// that a large offset takes no digits from a difference of quantiles.
fn quantile(sorted: &[f64], p: f64) -> (f64, f64) {
    let place = (sorted.len() - 1) as f64 * p;
    let below = place.floor();
    let low = sorted[below as usize];
    let high = sorted.get(below as usize + 1).copied().unwrap_or(low);
    (low, (place - below) * (high - low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // places 0.75 and 2.25: 4 + 0.25 * 4 = 5 and 1 + 0.75 = 1.75
        assert_eq!(iqr(&Sample::new(&[], &[8.0, 1.0, 4.0, 2.0], None)), Some(3.25));
        assert_eq!(iqr(&Sample::new(&[], &[5.0, 1.0, 2.0, 3.0, 4.0], None)), Some(2.0));
        assert_eq!(iqr(&Sample::new(&[], &[5.0], None)), None);
    }
}
