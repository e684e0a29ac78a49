//! Product sums over all lags, fast: two kernels that only find where the coefficient is large. What they say is
//! good to about 1e-5 of the coefficient; the values that are published come from [`crate::signal::correlate`].

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Lags computed side by side by [`direct`]: as many independent sums as vector registers hold.
pub const LAG_BLOCK: usize = 16;
/// How far a kernel's coefficient may be off: every lag within this of the largest is looked at again in f64.
pub const KERNEL_TOLERANCE: f64 = 1e-4;

/// Which kernel to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Sums in f32, blocked over lags.
    Direct,
    /// By the convolution theorem in f64.
    Fft,
}

/// The most lags for which the direct kernel is taken, by the number of samples of the window: the row of the first
/// entry whose sample count is not exceeded. Measured with baseline vector instructions, spectra cached.
const DIRECT_UP_TO: &[(usize, usize)] =
    &[(32, 4096), (64, 255), (128, 127), (256, 63), (512, 31), (2048, 15)];

/// The kernel for a window of `samples` and a number of lags: from the table alone.
pub fn choose(samples: usize, lags: usize) -> Kernel {
    let most = DIRECT_UP_TO.iter().find(|row| samples <= row.0).map_or(0, |row| row.1);
    if lags <= most { Kernel::Direct } else { Kernel::Fft }
}

/// The length `moving` must have for [`direct`]: its samples and zeros up to a whole block of lags.
pub fn padded_length(samples: usize, lags: usize) -> usize {
    samples + lags.div_ceil(LAG_BLOCK) * LAG_BLOCK
}

/// `sums[l] = sum over k of fixed[k] * moving[k + l]` for every lag of `sums`.
///
/// `moving` holds at least [`padded_length`] values.
pub fn direct(fixed: &[f32], moving: &[f32], sums: &mut [f32]) {
    for (block, out) in sums.chunks_mut(LAG_BLOCK).enumerate() {
        let under = &moving[block * LAG_BLOCK..];
        let mut sum = [0.0_f32; LAG_BLOCK];
        for (x, y) in fixed.iter().zip(under.windows(LAG_BLOCK)) {
            for i in 0..LAG_BLOCK {
                sum[i] += x * y[i];
            }
        }
        out.copy_from_slice(&sum[..out.len()]);
    }
}

/// The smallest even length of at least `n` whose prime factors are 2, 3 and 5.
pub fn fft_length(n: usize) -> usize {
    let mut length = n.max(2).next_multiple_of(2);
    loop {
        let mut rest = length;
        for p in [2, 3, 5] {
            while rest.is_multiple_of(p) {
                rest /= p;
            }
        }
        if rest == 1 {
            return length;
        }
        length += 2;
    }
}

/// Spectrum of a real signal, zero-padded to the length of the transform.
pub type Spectrum = Vec<Complex<f64>>;

/// Plans for one length of transform, shared by threads.
#[derive(Clone)]
pub struct Plan {
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    length: usize,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plan({})", self.length)
    }
}

impl Plan {
    /// Plans for `length` samples.
    pub fn new(planner: &mut RealFftPlanner<f64>, length: usize) -> Plan {
        Plan { forward: planner.plan_fft_forward(length), inverse: planner.plan_fft_inverse(length), length }
    }

    /// Samples of the transform.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Spectrum of at most [`Plan::length`] samples; what is beyond is ignored.
    pub fn spectrum(&self, samples: &[f64]) -> Spectrum {
        let mut input = self.forward.make_input_vec();
        let n = samples.len().min(input.len());
        input[..n].copy_from_slice(&samples[..n]);
        let mut output = self.forward.make_output_vec();
        match self.forward.process(&mut input, &mut output) {
            Ok(()) => output,
            // Lengths come from the plan itself; an empty spectrum would show as no correlation at all.
            Err(_) => Vec::new(),
        }
    }

    /// `sums[l] = sum over k of fixed[k] * moving[k + l]`, circular in the length of the transform.
    pub fn sums(&self, fixed: &[Complex<f64>], moving: &[Complex<f64>], sums: &mut [f32]) {
        let mut product: Spectrum = fixed.iter().zip(moving).map(|(f, m)| f.conj() * m).collect();
        let mut output = self.inverse.make_output_vec();
        // The ends of a real signal's spectrum are real; rounding must not make the inverse refuse them.
        if let Some(first) = product.first_mut() {
            first.im = 0.0;
        }
        if let Some(last) = product.last_mut() {
            last.im = 0.0;
        }
        let done = self.inverse.process(&mut product, &mut output).is_ok();
        for (sum, value) in sums.iter_mut().zip(&output) {
            *sum = if done { (value / self.length as f64) as f32 } else { f32::NAN };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn oracle(fixed: &[f64], moving: &[f64], lags: usize) -> Vec<f64> {
        (0..lags).map(|l| fixed.iter().zip(&moving[l..]).map(|(x, y)| x * y).sum()).collect()
    }

    proptest! {
        #[test]
        fn both_kernels_agree_with_the_sum(
            pool in proptest::collection::vec(-1.0_f64..1.0, 400), n in 1_usize..150, lags in 1_usize..120,
        ) {
            let fixed = &pool[..n];
            let moving = &pool[100..100 + n + lags - 1];
            let want = oracle(fixed, moving, lags);
            let mut got = vec![0.0_f32; lags];
            let narrow: Vec<f32> = fixed.iter().map(|x| *x as f32).collect();
            let mut padded: Vec<f32> = moving.iter().map(|x| *x as f32).collect();
            padded.resize(padded_length(n, lags), 0.0);
            direct(&narrow, &padded, &mut got);
            for (g, w) in got.iter().zip(&want) {
                prop_assert!((f64::from(*g) - w).abs() < 1e-5 * n as f64);
            }
            let plan = Plan::new(&mut RealFftPlanner::new(), fft_length(moving.len()));
            plan.sums(&plan.spectrum(fixed), &plan.spectrum(moving), &mut got);
            for (g, w) in got.iter().zip(&want) {
                prop_assert!((f64::from(*g) - w).abs() < 1e-5 * n as f64);
            }
        }
    }

    #[test]
    fn lengths_of_transforms() {
        for (n, want) in [(0, 2), (7, 8), (11, 12), (97, 100), (121, 128), (601, 640), (1001, 1024)] {
            let length = fft_length(n);
            assert!(length >= n && length.is_multiple_of(2), "{n}");
            assert_eq!(length, want, "{n}");
        }
    }

    #[test]
    fn the_table_is_monotonous() {
        assert_eq!(choose(35, 21), Kernel::Direct);
        assert_eq!(choose(250, 101), Kernel::Fft);
        assert_eq!(choose(5000, 1), Kernel::Fft);
        let mut last = usize::MAX;
        for (_, most) in DIRECT_UP_TO {
            assert!(*most < last);
            last = *most;
        }
    }
}
