//! Straight line by ordinary least squares: slope b = Sxy/Sxx of value against time, its error
//! sqrt(SSE/(N - 2)/Sxx), r^2 = Sxy^2/(Sxx Syy), and the two-sided p of b = 0 (Student's t, N - 2 degrees of freedom),
//! which is I_x((N - 2)/2, 1/2) at x = SSE/Syy. Slope and error in the values' unit per year of 365.25 days; 3 epochs.
//! NULL where all times are equal; r^2 and p are NULL for constant values.
//! Source: N. R. Draper and H. Smith, Applied Regression Analysis, chapter 1, doi:10.1002/9781118625590.

use super::sample::{Sample, finite};
use super::special::beta_inc;
use super::sums::{sum, sum2};

/// Days of the year that slopes are counted over.
pub const YEAR_DAYS: f64 = 365.25;

/// A fitted line.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Values' unit per day.
    slope_per_day: f64,
    /// Sum of squared times about their mean, days^2.
    sxx: f64,
    /// Share of the sum of squares that the line explains: r^2. NaN for constant values.
    explained: f64,
    /// The rest, from the residuals themselves.
    unexplained: f64,
}

/// The line through a sample; `None` with fewer than 3 epochs or all times equal.
pub fn fit(sample: &Sample) -> Option<Line> {
    let (times, deviations) = (sample.times_days(), sample.deviations());
    if times.len() < 3 {
        return None;
    }
    let first = times[0];
    let center = first + sum(times, |t| t - first) / sample.n();
    let sxx = sum(times, |t| (t - center) * (t - center));
    let sxy = sum2(times, deviations, |t, d| (t - center) * d);
    let slope = finite(sxy / sxx)?;
    let rest = sum2(times, deviations, |t, d| {
        let residual = d - slope * (t - center);
        residual * residual
    });
    let syy = sample.sum_squares();
    let explained = (slope * sxy / syy).clamp(0.0, 1.0);
    Some(Line { slope_per_day: slope, sxx, explained, unexplained: (rest / syy).clamp(0.0, 1.0) })
}

/// Slope, per year.
pub fn slope(sample: &Sample) -> Option<f64> {
    finite(sample.line()?.slope_per_day * YEAR_DAYS)
}

/// Standard error of the slope from the scatter about the line, per year.
pub fn slope_error(sample: &Sample) -> Option<f64> {
    let line = sample.line()?;
    if sample.sum_squares() == 0.0 {
        return Some(0.0);
    }
    let rest = line.unexplained * sample.sum_squares();
    finite((rest / (sample.n() - 2.0) / line.sxx).sqrt() * YEAR_DAYS)
}

/// Coefficient of determination.
pub fn slope_r2(sample: &Sample) -> Option<f64> {
    finite(sample.line()?.explained)
}

/// Two-sided p of a slope of zero.
pub fn slope_p(sample: &Sample) -> Option<f64> {
    let line = sample.line()?;
    if !line.explained.is_finite() {
        return None;
    }
    finite(beta_inc(0.5 * (sample.n() - 2.0), 0.5, (line.unexplained, line.explained)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // years 0 1 2, values 0 1 0: Sxx 2, Sxy 0, SSE 2/3
        let years = [0.0, YEAR_DAYS, 2.0 * YEAR_DAYS];
        let flat = Sample::new(&years, &[0.0, 1.0, 0.0], None);
        assert_eq!((slope(&flat), slope_r2(&flat), slope_p(&flat)), (Some(0.0), Some(0.0), Some(1.0)));
        let error = slope_error(&flat).unwrap();
        assert!((error - (1.0_f64 / 3.0).sqrt()).abs() < 1e-15, "{error}");
        // values 0 1 1: slope 1/2, Syy 2/3, SSE 1/6, r^2 3/4, t = sqrt 3 with 1 dof: p = 1 - 2 atan(sqrt 3)/pi = 1/3
        let rising = Sample::new(&years, &[0.0, 1.0, 1.0], None);
        let close =
            |got: Option<f64>, want: f64| assert!((got.unwrap() - want).abs() < 1e-15, "{got:?} {want}");
        close(slope(&rising), 0.5);
        close(slope_error(&rising), (1.0_f64 / 12.0).sqrt());
        close(slope_r2(&rising), 0.75);
        close(slope_p(&rising), 1.0 / 3.0);
        let constant = Sample::new(&years, &[0.1; 3], None);
        assert_eq!((slope(&constant), slope_error(&constant)), (Some(0.0), Some(0.0)));
        assert_eq!((slope_r2(&constant), slope_p(&constant)), (None, None));
        let at_once = Sample::new(&[0.1; 3], &[1.0, 2.0, 4.0], None);
        assert_eq!((slope(&at_once), slope_error(&at_once), slope_p(&at_once)), (None, None, None));
        assert_eq!(slope(&Sample::new(&years[..2], &[1.0, 2.0], None)), None);
    }
}
