//! The normalised correlation coefficient as a function of lag, in f64 and in a fixed order of summation: what dt
//! and cc are made from. The kernels in [`crate::signal::kernel`] only say where to look.

/// What the product sum is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// The energies of the fixed window and of the stretch of the other trace under it at that lag: no lag is
    /// favoured, a window may be cut by a wavelet, the coefficient is 1 for equal shapes at any amplitude.
    #[default]
    Sliding,
    /// The energies of both windows at lag zero, samples outside counted as zero: antisymmetric when the two change
    /// places.
    Full,
}

/// Accumulators of [`dot`]: independent sums that a compiler can keep in vector registers.
const LANES: usize = 8;

/// Sum of products over the shorter length, always added in the same order.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut lanes = [0.0; LANES];
    let (left, right) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in left.zip(right) {
        for i in 0..LANES {
            lanes[i] += x[i] * y[i];
        }
    }
    let half = [lanes[0] + lanes[4], lanes[1] + lanes[5], lanes[2] + lanes[6], lanes[3] + lanes[7]];
    (half[0] + half[2]) + (half[1] + half[3]) + rest
}

/// A fixed window and the trace that slides under it.
#[derive(Clone, Copy, Debug)]
pub struct Traces<'a> {
    /// The N samples of event 1.
    pub fixed: &'a [f64],
    /// Samples of event 2 around its window.
    pub moving: &'a [f64],
    /// Index in `moving` of the sample that lies under the first one of `fixed` at lag 0.
    pub origin: usize,
    /// Sum of squares of `fixed`.
    fixed_energy: f64,
}

impl<'a> Traces<'a> {
    /// `fixed` under `moving`, its first sample under number `origin` at lag 0.
    pub fn new(fixed: &'a [f64], moving: &'a [f64], origin: usize) -> Traces<'a> {
        Traces { fixed, moving, origin, fixed_energy: dot(fixed, fixed) }
    }

    /// The coefficient at an integer lag, positive when the signal is later in `moving`. With [`Norm::Sliding`],
    /// `None` where the lag leaves `moving`. A window without energy gives 0.
    pub fn coefficient(&self, norm: Norm, lag: isize) -> Option<f64> {
        let n = self.fixed.len();
        let (product, energy) = match norm {
            Norm::Sliding => {
                let start = usize::try_from(self.origin as isize + lag).ok()?;
                let under = self.moving.get(start..start + n)?;
                (dot(self.fixed, under), dot(under, under))
            }
            Norm::Full => {
                let window = self.moving.get(self.origin..self.origin + n)?;
                let shift = lag.unsigned_abs().min(n);
                let product = if lag >= 0 {
                    dot(&self.fixed[..n - shift], &window[shift..])
                } else {
                    dot(&self.fixed[shift..], &window[..n - shift])
                };
                (product, dot(window, window))
            }
        };
        let scale = (self.fixed_energy * energy).sqrt();
        Some(if scale > 0.0 { product / scale } else { 0.0 })
    }

    /// The lags of `from ..= to` at which [`Traces::coefficient`] has a value.
    pub fn lags(&self, norm: Norm, from: isize, to: isize) -> (isize, isize) {
        if norm == Norm::Full {
            return (from, to);
        }
        let last = self.moving.len() as isize - self.origin as isize - self.fixed.len() as isize;
        (from.max(-(self.origin as isize)), to.min(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, term by term.
    fn oracle(t: &Traces<'_>, norm: Norm, lag: isize) -> f64 {
        let n = t.fixed.len() as isize;
        let at = |i: isize| -> f64 {
            let inside = norm == Norm::Sliding || (0..n).contains(&i);
            if inside { t.moving[(t.origin as isize + i) as usize] } else { 0.0 }
        };
        let product: f64 = (0..n).map(|i| t.fixed[i as usize] * at(i + lag)).sum();
        let under = if norm == Norm::Sliding { lag } else { 0 };
        let energy: f64 = (0..n).map(|i| at(i + under) * at(i + under)).sum();
        product / (energy * t.fixed.iter().map(|x| x * x).sum::<f64>()).sqrt()
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            fixed in proptest::collection::vec(-1.0_f64..1.0, 1..40),
            pool in proptest::collection::vec(-1.0_f64..1.0, 70),
            reach in 0_usize..15,
        ) {
            let moving = &pool[..fixed.len() + 2 * reach];
            let t = Traces::new(&fixed, moving, reach);
            for norm in [Norm::Sliding, Norm::Full] {
                for lag in -(reach as isize)..=reach as isize {
                    let got = t.coefficient(norm, lag);
                    let want = oracle(&t, norm, lag);
                    prop_assert!(got.is_some_and(|g| (g - want).abs() < 1e-12), "{norm:?} {lag} {got:?} {want}");
                }
                prop_assert!(norm == Norm::Full || t.coefficient(norm, reach as isize + 1).is_none());
            }
        }

        #[test]
        fn full_is_antisymmetric_to_the_bit(
            a in proptest::collection::vec(-1.0_f64..1.0, 33), b in proptest::collection::vec(-1.0_f64..1.0, 33),
            lag in -32_isize..33,
        ) {
            let ab = Traces::new(&a, &b, 0).coefficient(Norm::Full, lag);
            let ba = Traces::new(&b, &a, 0).coefficient(Norm::Full, -lag);
            prop_assert_eq!(ab, ba);
        }
    }

    #[test]
    fn silence_has_no_coefficient() {
        let t = Traces::new(&[0.0; 4], &[1.0; 6], 1);
        assert_eq!(t.coefficient(Norm::Sliding, 1), Some(0.0));
        assert_eq!(t.lags(Norm::Sliding, -9, 9), (-1, 1));
    }
}
