//! Straight line by weighted least squares, w = 1/s^2: slope sum w (t - tbar)(m - mbar) / sum w (t - tbar)^2 and its
//! error 1/sqrt(sum w (t - tbar)^2), which follows from the stated errors and is not rescaled by chi-square. Values' unit
//! per year of 365.25 days; 2 epochs. NULL where all times are equal.
//! Source: P. R. Bevington and D. K. Robinson, Data Reduction and Error Analysis for the Physical Sciences, chapter 6.

use super::sample::{Sample, finite};
use super::slope::YEAR_DAYS;
use super::sums::{sum_products, sum2};

/// Slope and sum w (t - tbar)^2, by the day.
fn fit(sample: &Sample) -> Option<(f64, f64)> {
    let (times, weights) = (sample.times_days(), sample.weights()?);
    if times.len() < 2 {
        return None;
    }
    let first = times[0];
    let center = first + sum2(times, weights, |t, w| (t - first) * w) / sample.sum_weights()?;
    let sxx = sum2(times, weights, |t, w| w * (t - center) * (t - center));
    // sum w (t - tbar) is zero up to rounding; the shift to the weighted mean takes that rest away too
    let moment = sum2(times, weights, |t, w| w * (t - center));
    let covariance = sum_products(times, weights, sample.deviations())
        - center * sum2(weights, sample.deviations(), |w, d| w * d);
    let slope = finite((covariance - sample.weighted_shift()? * moment) / sxx)?;
    Some((slope, sxx))
}

/// Weighted slope, per year.
pub fn weighted_slope(sample: &Sample) -> Option<f64> {
    fit(sample).and_then(|(slope, _)| finite(slope * YEAR_DAYS))
}

/// Error of the weighted slope from the stated errors, per year.
pub fn weighted_slope_error(sample: &Sample) -> Option<f64> {
    fit(sample).and_then(|(_, sxx)| finite(YEAR_DAYS / sxx.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // years 0 1 2 with weights 1 1 1/4: tbar = (1 + 1/2) / (9/4) = 2/3, Sxx = 4/9 + 1/9 + 4/9 = 1,
        // values 0 1 4: mbar = 8/9, Sxy = (-2/3)(0) + (1/3)(1) + (1/4)(4/3)(4) = 5/3
        let years = [0.0, YEAR_DAYS, 2.0 * YEAR_DAYS];
        let sample = Sample::new(&years, &[0.0, 1.0, 4.0], Some(&[1.0, 1.0, 2.0]));
        let close =
            |got: Option<f64>, want: f64| assert!((got.unwrap() - want).abs() < 2e-15, "{got:?} {want}");
        close(weighted_slope(&sample), 5.0 / 3.0);
        close(weighted_slope_error(&sample), 1.0);
        let at_once = Sample::new(&[0.1; 3], &[1.0, 2.0, 4.0], Some(&[0.3; 3]));
        assert_eq!((weighted_slope(&at_once), weighted_slope_error(&at_once)), (None, None));
    }
}
