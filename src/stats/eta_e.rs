//! Von Neumann's ratio for uneven sampling: eta_e = (T/K)^2 / K sum ((`m[i+1]` - `m[i]`) / (`t[i+1]` - `t[i]`))^2 / std^2 over
//! the K steps of non-zero length, T the time from first to last epoch, std with divisor N - 1. Equal to eta for even
//! sampling. Steps of zero length are left out and counted. No unit; 2 epochs; NULL for constant values or times.
//! Sources: D.-W. Kim et al. 2014, A&A 566, A43, doi:10.1051/0004-6361/201323252; normalised as in K. L. Malanchev et al.
//! 2021, MNRAS 502, 5147, doi:10.1093/mnras/stab316.

use super::sample::{Sample, ratio};

/// Von Neumann's ratio of rates of change.
pub fn eta_e(sample: &Sample) -> Option<f64> {
    let (times, values) = (sample.times_days(), sample.values());
    let (next_times, next_values) = (times.get(1..)?, values.get(1..)?);
    let (mut sum, mut steps) = (0.0, 0.0);
    for (((t0, t1), m0), m1) in times.iter().zip(next_times).zip(values).zip(next_values) {
        if t1 != t0 {
            let rate = (m1 - m0) / (t1 - t0);
            sum += rate * rate;
            steps += 1.0;
        }
    }
    let step = (times.last()? - times.first()?) / steps;
    let variance = sample.sum_squares() / sample.freedom(1)?;
    ratio(step * step * sum / steps, variance)
}

/// Steps of zero length, which `eta_e` leaves out.
pub fn zero_steps(sample: &Sample) -> usize {
    sample.times_days().windows(2).filter(|pair| pair[0] == pair[1]).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // even sampling: equal to eta = 6/5
        let even = Sample::new(&[0.0, 2.0, 4.0, 6.0], &[1.0, 2.0, 4.0, 3.0], None);
        let value = eta_e(&even).unwrap();
        assert!((value - 1.2).abs() < 1e-15, "{value}");
        // times 0 1 1 3, values 1 2 4 3: rates 1 and -1/2, T/K = 3/2, variance 5/3: 9/4 * (5/4)/2 * 3/5
        let twice = Sample::new(&[0.0, 1.0, 1.0, 3.0], &[1.0, 2.0, 4.0, 3.0], None);
        let value = eta_e(&twice).unwrap();
        assert!((value - 27.0 / 32.0).abs() < 1e-15, "{value}");
        assert_eq!((zero_steps(&twice), zero_steps(&even)), (1, 0));
        assert_eq!(eta_e(&Sample::new(&[1.0; 3], &[1.0, 2.0, 4.0], None)), None);
        assert_eq!(eta_e(&Sample::new(&[1.0, 2.0], &[1.0; 2], None)), None);
    }
}
