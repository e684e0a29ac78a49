//! Median absolute deviation from the median, unscaled (times 1.4826 it estimates the deviation of a normal
//! distribution). Unit of the values; 1 epoch.
//! Source: F. R. Hampel 1974, J. Am. Stat. Assoc. 69, 383, doi:10.1080/01621459.1974.10482962.

use super::median::{from_middle, middle};
use super::sample::{Sample, finite};

/// Median absolute deviation.
pub fn mad(sample: &Sample) -> Option<f64> {
    let sorted = sample.sorted();
    let middle = middle(sample)?;
    let n = sorted.len();
    let upper = nearest(sorted, middle, n / 2 + 1);
    if n % 2 == 1 {
        return finite(upper);
    }
    let lower = nearest(sorted, middle, n / 2);
    finite(lower + 0.5 * (upper - lower))
}

/// The `k`-th smallest distance from the median, 1 <= k <= n: the k nearest of sorted values are neighbours, and the
/// place of that window is found by bisection.
fn nearest(sorted: &[f64], middle: (f64, f64), k: usize) -> f64 {
    let (mut low, mut high) = (0, sorted.len() - k);
    while low < high {
        let half = low + (high - low) / 2;
        if -from_middle(sorted[half], middle) > from_middle(sorted[half + k], middle) {
            low = half + 1;
        } else {
            high = half;
        }
    }
    let ends = (from_middle(sorted[low], middle), from_middle(sorted[low + k - 1], middle));
    ends.0.abs().max(ends.1.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // median 2, distances 1 0 0 2 7 sorted 0 0 1 2 7
        assert_eq!(mad(&Sample::new(&[], &[1.0, 2.0, 2.0, 4.0, 9.0], None)), Some(1.0));
        // median 3, distances 2 1 1 7: (1 + 2) / 2
        assert_eq!(mad(&Sample::new(&[], &[1.0, 2.0, 4.0, 10.0], None)), Some(1.5));
        assert_eq!(mad(&Sample::new(&[], &[7.0; 4], None)), Some(0.0));
        assert_eq!(mad(&Sample::new(&[], &[], None)), None);
    }
}
