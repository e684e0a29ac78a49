//! How far a correlation peak can be trusted.

use crate::signal::correlate::dot;

/// A second peak this close in height to the first one makes the choice of a cycle doubtful.
pub const CYCLE_SKIP_RATIO: f64 = 0.9;
/// How far away in dominant periods such a peak still counts as the neighbouring cycle.
pub const CYCLE_SKIP_PERIODS: f64 = 1.5;

/// Indices of the local maxima of a function, its ends excluded; of a plateau the first index.
pub fn local_maxima(values: &[f64]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut rising_from = None;
    for i in 1..values.len() {
        if values[i] > values[i - 1] {
            rising_from = Some(i);
        } else if values[i] < values[i - 1]
            && let Some(top) = rising_from.take()
        {
            found.push(top);
        }
    }
    found
}

/// Standard error in s of a time difference measured by correlation:
/// `sqrt(1 - cc^2) / (cc * w * sqrt(2 B T))`, with the rms angular frequency `w` (rad/s), the bandwidth `B` (Hz) and
/// the length `T` (s) of the window (the Cramer-Rao bound of Carter, 1987, doi:10.1109/PROC.1987.13723).
/// `None` for cc <= 0 or without band or length.
pub fn sigma_dt(cc: f64, w_rad_s: f64, bandwidth_hz: f64, length_s: f64) -> Option<f64> {
    let cells = 2.0 * bandwidth_hz * length_s;
    let valid = cc > 0.0 && w_rad_s > 0.0 && cells > 0.0;
    valid.then(|| (1.0 - cc * cc).max(0.0).sqrt() / (cc * w_rad_s * cells.sqrt()))
}

/// Longest run of equal consecutive samples at the largest or the smallest value.
pub fn longest_run_at_extreme(samples: &[f64]) -> usize {
    let high = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let low = samples.iter().copied().fold(f64::INFINITY, f64::min);
    let (mut longest, mut run) = (0, 0);
    let mut last = f64::NAN;
    for &x in samples {
        run = if x != high && x != low {
            0
        } else if x == last {
            run + 1
        } else {
            1
        };
        longest = longest.max(run);
        last = x;
    }
    longest
}

/// Largest distance of a sample from the mean.
pub fn largest_deviation(samples: &[f64]) -> f64 {
    let mean = samples.iter().sum::<f64>() / samples.len().max(1) as f64;
    samples.iter().map(|x| (x - mean).abs()).fold(0.0, f64::max)
}

/// Root of the mean square about the mean.
pub fn standard_deviation(samples: &[f64]) -> f64 {
    let mean = samples.iter().sum::<f64>() / samples.len().max(1) as f64;
    let centred: Vec<f64> = samples.iter().map(|x| x - mean).collect();
    (dot(&centred, &centred) / samples.len().max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maxima_without_ends() {
        let cases: [(&[f64], &[usize]); 6] = [
            (&[], &[]),
            (&[1.0], &[]),
            (&[3.0, 1.0, 2.0, 1.0, 3.0], &[2]),
            (&[0.0, 1.0, 1.0, 0.0, 2.0, 1.0], &[1, 4]),
            (&[0.0, 1.0, 1.0], &[]),
            (&[2.0, 2.0, 1.0], &[]),
        ];
        for (values, want) in cases {
            assert_eq!(local_maxima(values), want, "{values:?}");
        }
    }

    #[test]
    fn runs_at_the_extreme() {
        let cases: [(&[f64], usize); 5] = [
            (&[0.0, 5.0, 5.0, 5.0, 5.0, 1.0], 4),
            (&[0.0, -5.0, -5.0, 3.0, 3.0, 3.0], 3),
            (&[0.0, 1.0, 1.0, 1.0, 1.0, 2.0], 1),
            (&[2.0, -2.0, 2.0, -2.0], 1),
            (&[], 0),
        ];
        for (samples, want) in cases {
            assert_eq!(longest_run_at_extreme(samples), want, "{samples:?}");
        }
    }

    #[test]
    fn sigma_shrinks_with_coherence() {
        let sigma = |cc| sigma_dt(cc, 30.0, 6.0, 1.2);
        assert!(sigma(0.7) > sigma(0.9) && sigma(0.9) > sigma(1.0));
        assert_eq!(sigma(1.0), Some(0.0));
        assert_eq!(sigma(-0.5), None);
        assert_eq!(sigma_dt(0.9, 30.0, 0.0, 1.0), None);
    }
}
