//! Where between the samples a correlation function has its largest value.

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::signal::resample::{bessel_i0, sinc};

/// How the position between two lags is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Peak {
    /// The function is interpolated by a windowed sinc on 1/64 sample, a parabola through the three largest.
    #[default]
    Bandlimited,
    /// The vertex of the parabola through the largest value and its two neighbours.
    Parabola3,
    /// The vertex of the parabola of least squares through all lags around the largest value over which the
    /// function is concave.
    Concave,
    /// The lag itself; the remainders of the picks are dropped too, as tools do that stay on the sample grid.
    Integer,
}

/// Values of the function on either side of a position that interpolation uses.
pub const HALF_WIDTH: usize = 16;
/// Positions per sample at which the function is interpolated.
const PHASES: usize = 64;
/// Shape of the Kaiser window over the sinc: ripple under 1e-6, so that the flat peaks of slow signals stay in place.
const KAISER_BETA: f64 = 12.0;

/// Weights of the values at offsets `-(HALF_WIDTH - 1) ..= HALF_WIDTH` from the lag under a position that lies
/// `fraction` of a sample after it.
fn weights(fraction: f64) -> [f64; 2 * HALF_WIDTH] {
    let mut w = [0.0; 2 * HALF_WIDTH];
    for (k, weight) in w.iter_mut().enumerate() {
        let x = k as f64 - (HALF_WIDTH as f64 - 1.0) - fraction;
        let edge = 1.0 - (x / HALF_WIDTH as f64).powi(2);
        let window =
            if edge <= 0.0 { 0.0 } else { bessel_i0(KAISER_BETA * edge.sqrt()) / bessel_i0(KAISER_BETA) };
        *weight = sinc(x) * window;
    }
    let sum: f64 = w.iter().sum();
    w.map(|x| x / sum)
}

/// [`weights`] on the 1/64 grid.
static GRID: LazyLock<Vec<[f64; 2 * HALF_WIDTH]>> =
    LazyLock::new(|| (0..PHASES).map(|p| weights(p as f64 / PHASES as f64)).collect());

/// The sum of values times weights around `lag`; where the values end, the weights that remain are scaled to 1.
fn weighted(values: &[f64], lag: isize, weights: &[f64; 2 * HALF_WIDTH]) -> f64 {
    let first = lag - (HALF_WIDTH as isize - 1);
    if first >= 0 && first as usize + 2 * HALF_WIDTH <= values.len() {
        return crate::signal::correlate::dot(
            &values[first as usize..first as usize + 2 * HALF_WIDTH],
            weights,
        );
    }
    let (mut sum, mut total) = (0.0, 0.0);
    for (k, w) in weights.iter().enumerate() {
        let at = usize::try_from(first + k as isize).ok();
        if let Some(v) = at.and_then(|at| values.get(at)) {
            sum += w * v;
            total += w;
        }
    }
    if total == 0.0 { 0.0 } else { sum / total }
}

/// The same function on lags `shift` samples further: result `i` is the function at `i + shift`.
pub fn shifted(values: &[f64], shift: f64) -> Vec<f64> {
    let whole = shift.floor();
    let w = weights(shift - whole);
    (0..values.len()).map(|i| weighted(values, i as isize + whole as isize, &w)).collect()
}

/// Vertex of the parabola through (-1, a), (0, b), (1, c): position and value. Where the three do not bend
/// downwards, the middle one.
fn vertex(a: f64, b: f64, c: f64) -> (f64, f64) {
    let bend = a - 2.0 * b + c;
    if bend >= 0.0 {
        return (0.0, b);
    }
    let at = (0.5 * (a - c) / bend).clamp(-1.0, 1.0);
    (at, b - 0.25 * (a - c) * at)
}

/// Position (in values, from the first) and height of the peak whose largest value is `values[at]`.
/// A peak at either end is returned as it is.
pub fn refine(peak: Peak, values: &[f64], at: usize) -> (f64, f64) {
    let (Some(before), Some(after)) = (at.checked_sub(1).and_then(|i| values.get(i)), values.get(at + 1))
    else {
        return (at as f64, values.get(at).copied().unwrap_or(0.0));
    };
    let (start, height) = vertex(*before, values[at], *after);
    match peak {
        Peak::Integer => (at as f64, values[at]),
        Peak::Parabola3 => (at as f64 + start, height),
        Peak::Concave => concave(values, at),
        Peak::Bandlimited => bandlimited(values, at, start),
    }
}

/// Climbs on the 1/64 grid from `start` samples after `at` to the next maximum, then takes a parabola.
fn bandlimited(values: &[f64], at: usize, start: f64) -> (f64, f64) {
    let phases = PHASES as isize;
    let value = |step: isize| {
        weighted(values, at as isize + step.div_euclid(phases), &GRID[step.rem_euclid(phases) as usize])
    };
    let mut step = (start * PHASES as f64).round() as isize;
    let (mut left, mut here, mut right) = (value(step - 1), value(step), value(step + 1));
    // A maximum on the grid lies within a sample of the largest value.
    for _ in 0..2 * PHASES {
        if right > here {
            (step, left, here, right) = (step + 1, here, right, value(step + 2));
        } else if left > here {
            (step, left, here, right) = (step - 1, value(step - 2), left, here);
        } else {
            break;
        }
    }
    let (rest, height) = vertex(left, here, right);
    (at as f64 + (step as f64 + rest) / PHASES as f64, height)
}

/// Least squares over the concave stretch around `at`.
fn concave(values: &[f64], at: usize) -> (f64, f64) {
    let bend = |i: usize| values[i - 1] - 2.0 * values[i] + values[i + 1];
    let (mut first, mut last) = (at - 1, at + 1);
    while first > 0 && bend(first) <= 0.0 {
        first -= 1;
    }
    while last + 1 < values.len() && bend(last) <= 0.0 {
        last += 1;
    }
    // Normal equations of y = c0 + c1 x + c2 x^2 with x counted from the largest value.
    let (mut s, mut t) = ([0.0; 5], [0.0; 3]);
    for (i, y) in values.iter().enumerate().take(last + 1).skip(first) {
        let x = i as f64 - at as f64;
        let mut power = 1.0;
        for k in 0..5 {
            s[k] += power;
            if k < 3 {
                t[k] += power * y;
            }
            power *= x;
        }
    }
    let det = |m: [[f64; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = det([[s[0], s[1], s[2]], [s[1], s[2], s[3]], [s[2], s[3], s[4]]]);
    let c0 = det([[t[0], s[1], s[2]], [t[1], s[2], s[3]], [t[2], s[3], s[4]]]) / whole;
    let c1 = det([[s[0], t[0], s[2]], [s[1], t[1], s[3]], [s[2], t[2], s[4]]]) / whole;
    let c2 = det([[s[0], s[1], t[0]], [s[1], s[2], t[1]], [s[2], s[3], t[2]]]) / whole;
    if c2 >= 0.0 || c2.is_nan() {
        return (at as f64, values[at]);
    }
    let x = (-c1 / (2.0 * c2)).clamp(first as f64 - at as f64, last as f64 - at as f64);
    (at as f64 + x, c0 + c1 * x + c2 * x * x)
}

/// Angular frequency in radians per sample of a function that is a cosine near its largest value `values[at]`:
/// from the three values there. `None` at an end or without a bend.
pub fn angular_frequency(values: &[f64], at: usize) -> Option<f64> {
    let (before, here) = (*values.get(at.checked_sub(1)?)?, *values.get(at)?);
    let after = *values.get(at + 1)?;
    let bend = (2.0 * here - before - after) / here;
    (bend > 0.0 && here > 0.0).then(|| 2.0 * (bend.min(4.0).sqrt() / 2.0).asin()).filter(|w| *w <= PI)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A smooth pulse of angular frequency `w` whose peak lies at `at`.
    fn pulse(w: f64, at: f64, n: usize) -> Vec<f64> {
        (0..n).map(|i| i as f64 - at).map(|x| (w * x).cos() * (-(w * x / 6.0).powi(2)).exp()).collect()
    }

    #[test]
    fn finds_peaks_between_samples() {
        // peak, angular frequency per sample, error allowed in samples
        let cases = [
            (Peak::Bandlimited, 0.1, 3e-4),
            (Peak::Bandlimited, 0.5, 3e-5),
            (Peak::Bandlimited, 1.5, 2e-4),
            (Peak::Parabola3, 0.1, 1e-3),
            (Peak::Parabola3, 0.5, 1e-2),
            (Peak::Concave, 0.5, 0.1),
            (Peak::Integer, 0.5, 0.5),
        ];
        for (peak, w, allowed) in cases {
            for step in 0..40 {
                let truth = 60.0 + f64::from(step) / 40.0 - 0.5 + 0.0126;
                let values = pulse(w, truth, 121);
                let (at, height) = refine(peak, &values, truth.round() as usize);
                assert!((at - truth).abs() <= allowed, "{peak:?} w {w}: {at} not {truth}");
                let low = 0.93 - w * w / 7.0;
                assert!(height <= 1.0 + 1e-3 && height >= low.min(0.99), "{peak:?} w {w}: {height}");
            }
        }
    }

    #[test]
    fn mirrored_functions_have_mirrored_peaks() {
        let values = pulse(0.7, 30.3, 61);
        let mirrored: Vec<f64> = values.iter().rev().copied().collect();
        for peak in [Peak::Bandlimited, Peak::Parabola3, Peak::Concave, Peak::Integer] {
            let (a, b) = (refine(peak, &values, 30).0, refine(peak, &mirrored, 30).0);
            assert!((a + b - 60.0).abs() < 1e-10, "{peak:?}: {a} {b}");
        }
    }

    #[test]
    fn ends_and_plateaus() {
        assert_eq!(refine(Peak::Bandlimited, &[1.0, 0.5, 0.1], 0), (0.0, 1.0));
        assert_eq!(refine(Peak::Parabola3, &[0.5, 0.5, 0.5], 1), (1.0, 0.5));
        assert_eq!(refine(Peak::Concave, &[0.5, 0.5, 0.5], 1), (1.0, 0.5));
        assert_eq!(refine(Peak::Bandlimited, &[], 0), (0.0, 0.0));
    }

    #[test]
    fn shift_moves_the_grid() {
        for shift in [-1.7, -0.25, 0.0, 0.5, 1.2] {
            let (got, want) = (shifted(&pulse(0.6, 40.0, 81), shift), pulse(0.6, 40.0 - shift, 81));
            for i in 20..60 {
                assert!((got[i] - want[i]).abs() < 1e-6, "{shift} at {i}");
            }
        }
    }

    #[test]
    fn frequency_of_a_cosine() {
        for w in [0.05, 0.5, 2.0] {
            let values: Vec<f64> = (0..9).map(|i| (w * (f64::from(i) - 4.0)).cos()).collect();
            assert!(angular_frequency(&values, 4).is_some_and(|g| (g - w).abs() < 1e-9), "{w}");
        }
        assert_eq!(angular_frequency(&[1.0, 1.0, 1.0], 1), None);
    }
}
