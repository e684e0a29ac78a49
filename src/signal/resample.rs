//! Another sampling rate, by a linear-phase windowed sinc whose delay is removed.

use std::f64::consts::PI;

/// Zero crossings of the sinc on either side.
const HALF_WIDTH: f64 = 32.0;
/// Shape of the Kaiser window: side lobes under -100 dB.
const KAISER_BETA: f64 = 10.0;
/// Cutoff as a fraction of the lower of the two Nyquist frequencies.
pub const CUTOFF: f64 = 0.8;

/// Modified Bessel function of order 0, by its series (Abramowitz and Stegun 9.6.12).
pub fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-17 * sum {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

/// sin(pi x) / (pi x).
pub fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// Samples at `to_hz` of the signal given at `from_hz`, the first at the same instant as the first given one, up to
/// the last instant given. Cut off at [`CUTOFF`] of the lower Nyquist frequency. Near the ends the kernel is cut
/// and its weights are scaled to keep a constant constant.
pub fn resample(samples: &[f64], from_hz: f64, to_hz: f64) -> Vec<f64> {
    if samples.is_empty() || !(from_hz > 0.0 && to_hz > 0.0) {
        return Vec::new();
    }
    let ratio = from_hz / to_hz;
    let count = ((samples.len() - 1) as f64 / ratio + 1e-6).floor() as usize + 1;
    let cutoff = CUTOFF * (to_hz / from_hz).min(1.0);
    let reach = HALF_WIDTH / cutoff;
    let norm = bessel_i0(KAISER_BETA);
    let weight = |x: f64| {
        let edge = 1.0 - (x / reach) * (x / reach);
        if edge <= 0.0 { 0.0 } else { sinc(cutoff * x) * bessel_i0(KAISER_BETA * edge.sqrt()) / norm }
    };
    (0..count)
        .map(|j| {
            let at = j as f64 * ratio;
            let first = (at - reach).ceil().max(0.0) as usize;
            let last = ((at + reach).floor() as usize).min(samples.len() - 1);
            let (mut sum, mut weights) = (0.0, 0.0);
            for (k, x) in samples.iter().enumerate().take(last + 1).skip(first) {
                let w = weight(at - k as f64);
                sum += w * x;
                weights += w;
            }
            sum / weights
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tones_in_the_pass_band_keep_amplitude_and_phase() {
        for (from, to) in [(200.0, 100.0), (100.0, 200.0), (250.0, 100.0), (100.0, 40.0), (100.0, 99.0)] {
            for hz in [1.0, 5.0, 10.0] {
                let tone = |t: f64| (2.0 * PI * hz * t + 0.3).sin();
                let given: Vec<f64> = (0..2000).map(|i| tone(f64::from(i) / from)).collect();
                let got = resample(&given, from, to);
                let far = got.len() / 4..got.len() * 3 / 4;
                let worst = far.map(|j| (got[j] - tone(j as f64 / to)).abs()).fold(0.0, f64::max);
                assert!(worst < 2e-5, "{from} -> {to}, {hz} Hz: {worst}");
            }
        }
    }

    #[test]
    fn tones_above_the_new_nyquist_are_gone() {
        let given: Vec<f64> = (0..4000).map(|i| (2.0 * PI * 70.0 * f64::from(i) / 200.0).sin()).collect();
        let got = resample(&given, 200.0, 100.0);
        let worst = got[500..1500].iter().fold(0.0_f64, |m, x| m.max(x.abs()));
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn count_and_ends() {
        assert_eq!(resample(&[1.0; 201], 200.0, 100.0), vec![1.0; 101]);
        assert_eq!(resample(&[], 200.0, 100.0), Vec::<f64>::new());
        assert_eq!(resample(&[2.0], 200.0, 100.0), vec![2.0]);
    }
}
