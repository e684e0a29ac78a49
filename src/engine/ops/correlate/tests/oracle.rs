//! One link against a brute-force search in f64.

use proptest::prelude::*;

use super::*;
use crate::engine::ops::correlate::coarse::{Kernels, Ready};
use crate::engine::ops::correlate::measure::{Outcome, Part, measure};
use crate::engine::ops::window::{Flags, GUARD_SAMPLES, Window};
use crate::signal::correlate::Traces;

fn ready(samples: Vec<f64>, window: usize, lags: usize) -> Ready {
    let window_s = (0.0, (window - 1) as f64 / 100.0);
    let first = -((lags + GUARD_SAMPLES) as isize);
    let snr = None;
    let flags = Flags::default();
    Ready::new(Window { sampling_rate_hz: 100.0, first, samples, remainder_s: 0.0, snr, flags }, window_s)
}

/// The lag of the largest coefficient, of equal ones the smaller |lag|, then the negative; from the definition.
fn brute_force(a: &[f64], b: &[f64], (n, lags): (usize, usize), (norm, abs): (Norm, bool)) -> (isize, f64) {
    let origin = lags + GUARD_SAMPLES;
    let t = Traces::new(&a[origin..origin + n], b, origin);
    let mut order: Vec<isize> = (-(lags as isize)..=lags as isize).collect();
    order.sort_by_key(|l| (l.abs(), *l));
    let mut best = (0, f64::NEG_INFINITY);
    for lag in order {
        let value = t.coefficient(norm, lag).expect("inside");
        let height = if abs { value.abs() } else { value };
        if height > best.1 {
            best = (lag, height);
        }
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_largest_lag_is_found(seed in 0_u64..10_000, n in 8_usize..300, lags in 1_usize..120, abs in any::<bool>()) {
        let mut random = super::synthetic::Random(seed);
        let length = n + 2 * (lags + GUARD_SAMPLES);
        // Smoothed, so that neighbouring lags are nearly equal; of very different size.
        let mut smooth = |scale: f64| {
            let mut last = 0.0;
            (0..length).map(|_| { last = 0.8 * last + random.normal(); scale * last }).collect::<Vec<f64>>()
        };
        let (a, b) = (smooth(1e-12), smooth(1e9));
        let code = ChannelCode::default();
        let mut clause = phase("P", "Z", (0.0, (n - 1) as f64 / 100.0), lags as f64 / 100.0);
        clause.filter = None;
        for norm in [Norm::Sliding, Norm::Full] {
            let (first, second) = (ready(a.clone(), n, lags), ready(b.clone(), n, lags));
            let part = Part { weight: 1.0, codes: (&code, &code), first: &first, second: &second };
            let (lag, height) = brute_force(&a, &b, (n, lags), (norm, abs));
            let spec = Spec { norm, abs, peak: Peak::Integer, ..spec(vec![]) };
            match measure(&Kernels::default(), &[part], &spec, &clause, 0.0) {
                Outcome::Measured(m) => {
                    prop_assert_eq!((m.lag_s * 100.0).round() as isize, lag);
                    prop_assert!((m.cc.abs() - height).abs() < 1e-12);
                }
                Outcome::Refused(reason) => {
                    prop_assert_eq!(reason.name(), "edge");
                    prop_assert_eq!(lag.unsigned_abs(), lags);
                }
                Outcome::BelowMinCc { .. } => prop_assert!(height <= 0.0),
            }
        }
    }

    #[test]
    fn early_rejection_rejects_nothing_that_passes(seed in 0_u64..10_000, hz in 1.0_f64..20.0, shift in -0.5_f64..0.5) {
        let mut random = super::synthetic::Random(seed);
        let (n, lags) = (100, 20);
        let length = n + 2 * (lags + GUARD_SAMPLES);
        let wave = |i: usize, by: f64| (std::f64::consts::TAU * hz * (i as f64 - 88.0 - by) / 100.0).cos()
            * (-((i as f64 - 88.0 - by) / 20.0).powi(2)).exp();
        let a: Vec<f64> = (0..length).map(|i| wave(i, 0.0) + 0.02 * random.normal()).collect();
        let b: Vec<f64> = (0..length).map(|i| wave(i, shift) + 0.02 * random.normal()).collect();
        let (first, second, code) = (ready(a, n, lags), ready(b, n, lags), ChannelCode::default());
        let part = Part { weight: 1.0, codes: (&code, &code), first: &first, second: &second };
        let mut clause = phase("P", "Z", (0.0, 0.99), 0.2);
        clause.filter = Some(Filter::pass(0.5, hz.max(1.0)));
        let spec = spec(vec![]);
        if let Outcome::Measured(m) = measure(&Kernels::default(), &[part], &spec, &clause, 0.0) {
            let again = measure(&Kernels::default(), &[part], &spec, &clause, m.cc - 1e-9);
            prop_assert!(matches!(again, Outcome::Measured(n) if n == m), "{again:?} {m:?}");
        }
    }
}
