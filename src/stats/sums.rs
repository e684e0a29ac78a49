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
