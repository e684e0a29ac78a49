//! Which rows of a segment can meet a condition: zone maps (least and greatest value of 4,096 rows) against an
//! interval.

use std::ops::Range;

use crate::store::{ZONE_ROWS, Zone, ZoneMap};

pub use crate::store::zones;

/// A closed interval of values; leave an end open with the type's own least or greatest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interval {
    /// Of integers, times (ns since 1970) and durations (ns).
    Int(i64, i64),
    /// Of floats.
    Float(f64, f64),
}

/// Row ranges of a column of `rows` rows that may hold a value in the interval, merged and in order. No row with such
/// a value is ever left out; NULL never counts, zones with NaN always do (comparison kernels order NaN last).
pub fn prune(zones: &ZoneMap, rows: usize, interval: Interval) -> Vec<Range<usize>> {
    let keeps: Vec<bool> = match (zones, interval) {
        (ZoneMap::Int(zones), Interval::Int(lo, hi)) => zones.iter().map(|z| meets(z, lo, hi)).collect(),
        (ZoneMap::Float(zones), Interval::Float(lo, hi)) => zones.iter().map(|z| meets(z, lo, hi)).collect(),
        // i64 -> f64 rounds, but never past a float on the other side, so nothing is lost
        (ZoneMap::Int(zones), Interval::Float(lo, hi)) => {
            zones.iter().map(|z| z.min <= z.max && z.min as f64 <= hi && lo <= z.max as f64).collect()
        }
        (ZoneMap::Float(zones), Interval::Int(lo, hi)) => {
            zones.iter().map(|z| meets(z, lo as f64, hi as f64)).collect()
        }
    };
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (i, _) in keeps.iter().enumerate().filter(|(_, keep)| **keep) {
        let (start, end) = (i * ZONE_ROWS, ((i + 1) * ZONE_ROWS).min(rows));
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    ranges
}

fn meets<T: PartialOrd>(zone: &Zone<T>, lo: T, hi: T) -> bool {
    // without any value min > max: nothing meets, not even the whole range of the type
    zone.nans > 0 || (zone.min <= zone.max && zone.min <= hi && lo <= zone.max)
}

/// Rows in both lists of ranges, each in order and without overlap.
pub fn intersect(a: &[Range<usize>], b: &[Range<usize>]) -> Vec<Range<usize>> {
    let (mut i, mut k) = (0, 0);
    let mut both = Vec::new();
    while let (Some(x), Some(y)) = (a.get(i), b.get(k)) {
        let common = x.start.max(y.start)..x.end.min(y.end);
        if !common.is_empty() {
            both.push(common);
        }
        if x.end <= y.end {
            i += 1;
        } else {
            k += 1;
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Float64Array, Int64Array};
    use proptest::prelude::*;

    fn pruned(map: &ZoneMap, rows: usize, interval: Interval) -> Vec<(usize, usize)> {
        prune(map, rows, interval).into_iter().map(|r| (r.start, r.end)).collect()
    }

    fn holds(ranges: &[Range<usize>], row: usize) -> bool {
        ranges.iter().any(|r| r.contains(&row))
    }

    #[test]
    fn merges_and_cuts() {
        let column: Int64Array = (0..20_000).collect();
        let map = zones(&column).unwrap();
        let cases = [
            (Interval::Int(0, 10), vec![(0, 4096)]),
            (Interval::Int(4095, 4096), vec![(0, 8192)]),
            (Interval::Int(19_999, i64::MAX), vec![(16_384, 20_000)]),
            (Interval::Int(20_000, i64::MAX), vec![]),
            (Interval::Float(f64::NEG_INFINITY, -0.5), vec![]),
            (Interval::Float(4095.5, 4095.6), vec![]),
            (Interval::Float(8191.5, 8192.0), vec![(8192, 12_288)]),
            (Interval::Int(5, 4), vec![(0, 4096)]),
        ];
        for (interval, want) in cases {
            assert_eq!(pruned(&map, 20_000, interval), want, "{interval:?}");
        }
        assert_eq!(intersect(&[0..10, 20..30], &[5..25, 28..40]), [5..10, 20..25, 28..30]);
        let nan = Float64Array::from(vec![f64::NAN; 10]);
        assert_eq!(pruned(&zones(&nan).unwrap(), 10, Interval::Float(0.0, 1.0)), [(0, 10)]);
        let null: Int64Array = [None, None].into_iter().collect();
        assert_eq!(pruned(&zones(&null).unwrap(), 2, Interval::Int(i64::MIN, i64::MAX)), []);
        assert_eq!(pruned(&zones(&null).unwrap(), 2, Interval::Float(f64::MIN, f64::MAX)), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_row_is_lost(values in prop::collection::vec(any::<Option<i64>>(), 1..6000), lo: i64, width: u32) {
            let hi = lo.saturating_add(i64::from(width));
            let ints = Int64Array::from(values.clone());
            let floats: Float64Array = values.iter().map(|v| v.map(|v| v as f64)).collect();
            let intervals = [Interval::Int(lo, hi), Interval::Float(lo as f64, hi as f64)];
            for interval in intervals {
                for map in [zones(&ints).unwrap(), zones(&floats).unwrap()] {
                    let ranges = prune(&map, values.len(), interval);
                    for (row, value) in values.iter().enumerate() {
                        if value.is_some_and(|v| (lo..=hi).contains(&v)) {
                            prop_assert!(holds(&ranges, row));
                        }
                    }
                }
            }
        }
    }
}
