//! What is done to samples before they are filtered: trend and taper.

use std::f64::consts::PI;

/// Removes the mean and the straight line of least squares, in place. Fewer than two samples lose their mean.
pub fn remove_trend(samples: &mut [f64]) {
    let n = samples.len();
    if n == 0 {
        return;
    }
    let mean = samples.iter().sum::<f64>() / n as f64;
    let middle = (n as f64 - 1.0) / 2.0;
    let (mut moment, mut spread) = (0.0, 0.0);
    for (i, x) in samples.iter().enumerate() {
        let u = i as f64 - middle;
        moment += u * (x - mean);
        spread += u * u;
    }
    let slope = if spread > 0.0 { moment / spread } else { 0.0 };
    for (i, x) in samples.iter_mut().enumerate() {
        *x -= mean + slope * (i as f64 - middle);
    }
}

/// Weight of a cosine taper at `x`: 0 for x <= 0, 1 for x >= 1, half a cosine between.
pub fn cosine_ramp(x: f64) -> f64 {
    if x <= 0.0 {
        0.0
    } else if x >= 1.0 {
        1.0
    } else {
        0.5 - 0.5 * (PI * x).cos()
    }
}

/// A taper that rises from time `rise.0` to `rise.1` and falls from `fall.0` to `fall.1` (s). Sample `i` lies at
/// `first_s + i / sampling_rate_hz`: counted in time and not in samples, so that two copies of a signal on
/// different sample phases get the same continuous weight. An empty ramp is a step.
pub fn taper(samples: &mut [f64], first_s: f64, sampling_rate_hz: f64, ramps: ((f64, f64), (f64, f64))) {
    let ((rise_start, rise_end), (fall_start, fall_end)) = ramps;
    let part = |t: f64, from: f64, to: f64| {
        if to > from { cosine_ramp((t - from) / (to - from)) } else { f64::from(u8::from(t >= to)) }
    };
    for (i, x) in samples.iter_mut().enumerate() {
        let t = first_s + i as f64 / sampling_rate_hz;
        if t < rise_end {
            *x *= part(t, rise_start, rise_end);
        }
        if t > fall_start {
            *x *= part(-t, -fall_end, -fall_start);
        }
    }
}

/// Root of the mean square; 0 without samples.
pub fn rms(samples: &[f64]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    (samples.iter().map(|x| x * x).sum::<f64>() / samples.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_nothing() {
        for n in [0_usize, 1, 2, 3, 1000] {
            let mut x: Vec<f64> = (0..n).map(|i| 5.0e6 - 3.25 * i as f64).collect();
            remove_trend(&mut x);
            assert!(x.iter().all(|v| v.abs() < 1e-6), "{n}");
        }
    }

    #[test]
    fn trend_is_that_of_least_squares() {
        // scipy.signal.detrend([1, 4, 9, 16, 25, 37])
        let want = [4.0, -0.133333333333333, -2.266666666666667, -2.4, -0.533333333333333, 1.333333333333333];
        let mut x = vec![1.0, 4.0, 9.0, 16.0, 25.0, 37.0];
        remove_trend(&mut x);
        let slope = |v: &[f64]| v.iter().enumerate().map(|(i, x)| i as f64 * x).sum::<f64>();
        assert!(x.iter().sum::<f64>().abs() < 1e-12 && slope(&x).abs() < 1e-12, "{x:?} {want:?}");
    }

    #[test]
    fn taper_lies_in_its_ramps() {
        let mut x = vec![1.0; 101];
        taper(&mut x, -0.5, 100.0, ((-0.5, -0.3), (0.3, 0.5)));
        for (i, want) in [(0, 0.0), (10, 0.5), (20, 1.0), (50, 1.0), (80, 1.0), (90, 0.5), (100, 0.0)] {
            assert!((x[i] - want).abs() < 1e-12, "{i}: {}", x[i]);
        }
        let mut step = vec![1.0; 3];
        taper(&mut step, 0.0, 1.0, ((0.0, 0.0), (2.0, 2.0)));
        assert_eq!(step, [1.0; 3], "no ramp, no weight");
    }

    #[test]
    fn rms_of_nothing_is_zero() {
        assert_eq!(rms(&[]), 0.0);
        assert_eq!(rms(&[3.0, -3.0]), 3.0);
    }
}
