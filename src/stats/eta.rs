//! Von Neumann's ratio: eta = sum (`m[i+1]` - `m[i]`)^2 / ((N - 1) std^2), std with divisor N - 1. About 2 for independent
//! values, small for smooth change. No unit; 2 epochs; NULL for constant values.
//! Source: J. von Neumann 1941, Ann. Math. Stat. 12, 367, doi:10.1214/aoms/1177731677.

use super::sample::{Sample, ratio};
use super::sums::sum2;

/// Von Neumann's ratio of the mean square successive difference to the variance.
pub fn eta(sample: &Sample) -> Option<f64> {
    let values = sample.values();
    let next = values.get(1..)?;
    let steps = sum2(&values[..next.len()], next, |a, b| (b - a) * (b - a));
    ratio(steps, sample.sum_squares())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // steps 1 4 1, squares about the mean 2.5 + ... of 1 2 4 3: 5
        assert_eq!(eta(&Sample::new(&[], &[1.0, 2.0, 4.0, 3.0], None)), Some(6.0 / 5.0));
        assert_eq!(eta(&Sample::new(&[], &[0.1; 3], None)), None);
        assert_eq!(eta(&Sample::new(&[], &[1.0], None)), None);
        assert_eq!(eta(&Sample::new(&[], &[], None)), None);
    }
}
