//! Sums with a fixed number of running totals: the result depends on the numbers alone, the additions do not wait for
//! one another, and rounding errors grow with n/8 instead of n.

const LANES: usize = 8;

fn total(lanes: [f64; LANES]) -> f64 {
    ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]))
}

/// Sum of `f(a)`.
pub fn sum(a: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &a) in lanes.iter_mut().zip(chunk) {
            *lane += f(a);
        }
    }
    for (lane, &a) in lanes.iter_mut().zip(rest) {
        *lane += f(a);
    }
    total(lanes)
}

/// Sum of `f(a, b)` over two slices of equal length.
pub fn sum2(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += f(a, b);
        }
    }
    for ((lane, &a), &b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane += f(a, b);
    }
    total(lanes)
}

/// Sum of `a b c` over three slices of equal length.
pub fn sum_products(a: &[f64], b: &[f64], c: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let chunks = a.chunks(LANES).zip(b.chunks(LANES)).zip(c.chunks(LANES));
    for ((a, b), c) in chunks {
        for (((lane, &a), &b), &c) in lanes.iter_mut().zip(a).zip(b).zip(c) {
            *lane += a * b * c;
        }
    }
    total(lanes)
}

/// Smallest and largest of `a`, none of which is NaN; `None` of nothing.
pub fn extremes(a: &[f64]) -> Option<(f64, f64)> {
    let first = *a.first()?;
    let (mut low, mut high) = ([first; LANES], [first; LANES]);
    for chunk in a.chunks(LANES) {
        for ((low, high), &a) in low.iter_mut().zip(&mut high).zip(chunk) {
            *low = if a < *low { a } else { *low };
            *high = if a > *high { a } else { *high };
        }
    }
    Some((low.into_iter().fold(first, f64::min), high.into_iter().fold(first, f64::max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_sum_exactly_at_every_length() {
        for n in 0..40 {
            let a: Vec<f64> = (0..n).map(|i| f64::from(i * 7 % 31)).collect();
            let want: f64 = a.iter().sum();
            assert_eq!(sum(&a, |a| a), want, "{n}");
            assert_eq!(sum2(&a, &a, |a, b| 3.0 * a - b), 2.0 * want, "{n}");
            assert_eq!(sum_products(&a, &a, &a), a.iter().map(|a| a * a * a).sum::<f64>(), "{n}");
            let mut sorted = a.clone();
            sorted.sort_by(f64::total_cmp);
            assert_eq!(extremes(&a), sorted.first().map(|low| (*low, sorted[sorted.len() - 1])), "{n}");
        }
    }
}
