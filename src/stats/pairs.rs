//! Epochs of two bands that belong together: in one row, or close in time.

use super::sample::Sample;

/// Two bands and their paired epochs.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    /// The first band, all its valid epochs.
    pub first: &'a Sample,
    /// The second band, all its valid epochs.
    pub second: &'a Sample,
    /// Index into the first and into the second band; each epoch at most once.
    pub links: &'a [(u32, u32)],
}

impl Pairs<'_> {
    /// Sum of `f` over the pairs' (value - weighted mean)/error, in eight running totals; `None` without errors.
    pub fn sum_residuals(&self, f: impl Fn(f64, f64) -> f64) -> Option<f64> {
        let (first, second) = (self.first.residuals()?, self.second.residuals()?);
        let mut lanes = [0.0; 8];
        for links in self.links.chunks(8) {
            for (lane, &(i, j)) in lanes.iter_mut().zip(links) {
                *lane += f(first[i as usize], second[j as usize]);
            }
        }
        Some(lanes.iter().sum())
    }
}

/// Pairs the epochs that have the same mark (row number); both lists of marks ascend.
pub fn pair_same(first: &[u32], second: &[u32], links: &mut Vec<(u32, u32)>) {
    links.clear();
    if first == second {
        links.extend((0..first.len() as u32).map(|i| (i, i)));
        return;
    }
    let (mut i, mut j) = (0, 0);
    while let (Some(a), Some(b)) = (first.get(i), second.get(j)) {
        match a.cmp(b) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                links.push((i as u32, j as u32));
                i += 1;
                j += 1;
            }
        }
    }
}

/// Pairs epochs at most `within_days` apart (closed), each at most once, walking both bands in time: an epoch is
/// passed over while the next one of its own band is strictly nearer to the other band's epoch. Times ascend.
pub fn pair_within(first: &[f64], second: &[f64], within_days: f64, links: &mut Vec<(u32, u32)>) {
    links.clear();
    let (mut i, mut j) = (0, 0);
    while let (Some(&a), Some(&b)) = (first.get(i), second.get(j)) {
        let gap = (b - a).abs();
        let nearer = |next: Option<&f64>, other: f64| next.is_some_and(|next| (next - other).abs() < gap);
        if a <= b && (gap > within_days || nearer(first.get(i + 1), b)) {
            i += 1;
        } else if b < a && (gap > within_days || nearer(second.get(j + 1), a)) {
            j += 1;
        } else {
            links.push((i as u32, j as u32));
            i += 1;
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_rows() {
        type Case<'a> = (&'a [u32], &'a [u32], &'a [(u32, u32)]);
        let cases: [Case<'_>; 4] = [
            (&[1, 4, 5], &[1, 4, 5], &[(0, 0), (1, 1), (2, 2)]),
            (&[1, 4, 5, 9], &[0, 4, 9], &[(1, 1), (3, 2)]),
            (&[1, 2], &[3], &[]),
            (&[], &[3], &[]),
        ];
        for (a, b, want) in cases {
            let mut links = vec![(9, 9)];
            pair_same(a, b, &mut links);
            assert_eq!(links, want, "{a:?} {b:?}");
        }
    }

    #[test]
    fn within_a_time() {
        type Case<'a> = (&'a [f64], &'a [f64], f64, &'a [(u32, u32)]);
        let cases: [Case<'_>; 6] = [
            (&[0.0, 1.0], &[0.25, 1.25], 0.25, &[(0, 0), (1, 1)]),
            (&[0.0, 1.0], &[0.25, 1.25], 0.2, &[]),
            // the second epoch is nearer
            (&[0.0, 0.75], &[1.0], 1.0, &[(1, 0)]),
            (&[1.0], &[0.0, 0.75, 1.5], 1.0, &[(0, 1)]),
            // equal times pair one to one, in order
            (&[5.0, 5.0], &[5.0, 5.0], 0.0, &[(0, 0), (1, 1)]),
            (&[], &[1.0], 1.0, &[]),
        ];
        for (a, b, within, want) in cases {
            let mut links = vec![(9, 9)];
            pair_within(a, b, within, &mut links);
            assert_eq!(links, want, "{a:?} {b:?}");
        }
    }
}
