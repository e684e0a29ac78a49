//! Butterworth filters as second-order sections, designed by the bilinear transform with pre-warped corners
//! (Oppenheim and Schafer, Discrete-Time Signal Processing, ch. 7).

use std::f64::consts::PI;

use realfft::num_complex::Complex;

/// Which frequencies pass, in Hz.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Band {
    /// Below the corner.
    Low(f64),
    /// Above the corner.
    High(f64),
    /// Between two corners.
    Pass(f64, f64),
}

impl Band {
    /// The lowest corner in Hz, if there is one at the low side.
    pub fn low_corner_hz(self) -> Option<f64> {
        match self {
            Band::Low(_) => None,
            Band::High(low) | Band::Pass(low, _) => Some(low),
        }
    }

    /// The highest corner in Hz, if there is one at the high side.
    pub fn high_corner_hz(self) -> Option<f64> {
        match self {
            Band::High(_) => None,
            Band::Low(high) | Band::Pass(_, high) => Some(high),
        }
    }
}

/// One second-order section: y = (b0 + b1/z + b2/z^2) / (1 + a1/z + a2/z^2) x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Section {
    /// Numerator.
    pub b: [f64; 3],
    /// Denominator after its leading 1.
    pub a: [f64; 2],
}

/// The highest order that is designed.
pub const MAX_ORDER: usize = 32;

type C = Complex<f64>;

/// Butterworth filter of order `order` (a band-pass has twice as many poles). The -3 dB points lie at the corners.
/// `None` if the order is 0 or over [`MAX_ORDER`] or a corner does not lie between 0 and Nyquist, ascending.
pub fn butterworth(order: usize, band: Band, sampling_rate_hz: f64) -> Option<Vec<Section>> {
    let (low, high) = match band {
        Band::Low(f) | Band::High(f) => (f, f),
        Band::Pass(low, high) => (low, high),
    };
    let valid = low > 0.0 && high < sampling_rate_hz / 2.0 && low <= high && high.is_finite();
    if !valid || order == 0 || order > MAX_ORDER || (matches!(band, Band::Pass(..)) && low >= high) {
        return None;
    }
    // Analogue frequencies in units where the bilinear transform is z = (4 + s) / (4 - s).
    let warp = |f: f64| 4.0 * (PI * f / sampling_rate_hz).tan();
    let groups = poles(order, band, warp(low), warp(high));
    let numerator = match band {
        Band::Low(_) => [1.0, 2.0, 1.0],
        Band::High(_) => [1.0, -2.0, 1.0],
        Band::Pass(..) => [1.0, 0.0, -1.0],
    };
    let scale = match band {
        Band::Low(_) => warp(high),
        Band::High(_) => 4.0,
        Band::Pass(..) => 4.0 * (warp(high) - warp(low)),
    };
    let mut gain = C::new(1.0, 0.0);
    let mut sections = Vec::with_capacity(groups.len());
    for (p, q) in groups {
        let z = |s: C| (C::new(4.0, 0.0) + s) / (C::new(4.0, 0.0) - s);
        gain /= C::new(4.0, 0.0) - p;
        match q {
            Some(q) => {
                gain /= C::new(4.0, 0.0) - q;
                sections.push(Section { b: numerator, a: [-(z(p) + z(q)).re, (z(p) * z(q)).re] });
            }
            None => {
                sections.push(Section { b: [1.0, numerator[1] / 2.0, 0.0], a: [-z(p).re, 0.0] });
            }
        }
    }
    let gain = gain.re * scale.powi(order as i32);
    if let Some(first) = sections.first_mut() {
        first.b = first.b.map(|b| b * gain);
    }
    Some(sections)
}

/// The analogue poles, two to a section (conjugates, or two real ones), one alone for an odd low- or high-pass.
fn poles(order: usize, band: Band, low: f64, high: f64) -> Vec<(C, Option<C>)> {
    let mut groups = Vec::new();
    for m in 0..order.div_ceil(2) {
        let real = order % 2 == 1 && m == order / 2;
        let angle = PI * (2 * m + 1) as f64 / (2 * order) as f64;
        let p = if real { C::new(-1.0, 0.0) } else { C::new(-angle.sin(), angle.cos()) };
        match band {
            Band::Low(_) if real => groups.push((p * high, None)),
            Band::Low(_) => groups.push((p * high, Some(p.conj() * high))),
            Band::High(_) if real => groups.push((C::new(low, 0.0) / p, None)),
            Band::High(_) => groups.push((C::new(low, 0.0) / p, Some((C::new(low, 0.0) / p).conj()))),
            Band::Pass(..) => {
                let half = p * ((high - low) / 2.0);
                let root = (half * half - low * high).sqrt();
                let (first, second) = (half + root, half - root);
                if real {
                    groups.push((first, Some(second)));
                } else {
                    groups.push((first, Some(first.conj())));
                    groups.push((second, Some(second.conj())));
                }
            }
        }
    }
    groups
}

/// Filters in place, forwards, from zero initial state (direct form II transposed).
pub fn filter(sections: &[Section], samples: &mut [f64]) {
    for s in sections {
        let (mut first, mut second) = (0.0, 0.0);
        for x in samples.iter_mut() {
            let y = s.b[0] * *x + first;
            first = s.b[1] * *x - s.a[0] * y + second;
            second = s.b[2] * *x - s.a[1] * y;
            *x = y;
        }
    }
}

/// Filters in place, forwards and then backwards, each from zero initial state and without padding: no phase shift,
/// the amplitude response squared.
pub fn filter_zero_phase(sections: &[Section], samples: &mut [f64]) {
    filter(sections, samples);
    samples.reverse();
    filter(sections, samples);
    samples.reverse();
}

#[cfg(test)]
mod tests;
