//! Right rows that overlap a left row: within groups of equal keys they lie sorted by start, and largest ends of
//! blocks, of blocks of blocks and so on tell which runs end too early. A left row costs a binary search and a few
//! steps for each of its partners, whatever the lengths of the intervals.

use arrow_array::{Array, ArrayRef};

use super::groups::{Groups, NO_GROUP};
use crate::engine::expr::{CompareOp, Expr, floats, integers};
use crate::engine::plan::{Edge, JoinCondition};
use crate::error::Result;
use crate::model::table::{Batch, Type};

/// Entries of a block at every level.
const FANOUT: usize = 16;

/// Keys of the bounds as integers that sort as the values do, and the right rows by group and start.
pub struct IntervalIndex {
    left_group: Vec<u32>,
    below: Option<Keys>,
    above: Option<Keys>,
    /// First place of each group, and the end of the last.
    starts_of_groups: Vec<u32>,
    /// Right row of each place.
    rows: Vec<u32>,
    /// Start (the value that `below` bounds) of each place; empty without `below`.
    starts: Vec<i64>,
    /// End (the value that `above` bounds) of each place, then the largest ends of blocks; empty without `above`.
    ends: Vec<Vec<i64>>,
    /// The largest end of its group up to each place: what ends too early before any other is one binary search.
    ends_so_far: Vec<i64>,
    /// In every group the order by start is that of the rows.
    is_in_row_order: bool,
    /// What pairs must meet beside: bounds of INT by FLOAT, whose keys were rounded.
    pub unsure: Option<Expr>,
}

/// The left values of a bound.
struct Keys {
    values: Vec<i64>,
    is_strict: bool,
}

impl IntervalIndex {
    /// Over two batches. A row with NULL in a key or bound has no partners.
    pub fn new(left: &Batch, right: &Batch, on: &JoinCondition) -> Result<IntervalIndex> {
        let interval = on.interval.clone().unwrap_or_default();
        let mut groups = Groups::new(left, right, &interval.keys)?;
        let width = left.num_columns();
        let mut unsure: Option<Expr> = None;
        let mut side = |edge: &Option<Edge>, ops: [CompareOp; 2]| -> Result<Option<(Keys, Vec<i64>)>> {
            let Some(edge) = edge else { return Ok(None) };
            let (l, r) = (edge.left.eval(left)?, edge.right.eval(right)?);
            let is_mixed = Type::of(l.data_type()) != Type::of(r.data_type());
            let values = sort_keys(&l, is_mixed, &mut groups.left)?;
            let rights = sort_keys(&r, is_mixed, &mut groups.right)?;
            if is_mixed {
                // INT by FLOAT: the keys of integers are rounded, equal ones may be either; the bound itself decides.
                let value = edge.right.clone().renumbered(&|i| i + width);
                let op = ops[usize::from(edge.is_strict)];
                let bound = Expr::Compare(op, Box::new(value), Box::new(edge.left.clone()));
                unsure = Some(match unsure.take() {
                    Some(all) => all.and(bound),
                    None => bound,
                });
            }
            Ok(Some((Keys { values, is_strict: edge.is_strict && !is_mixed }, rights)))
        };
        let below = side(&interval.below, [CompareOp::Le, CompareOp::Lt])?;
        let above = side(&interval.above, [CompareOp::Ge, CompareOp::Gt])?;
        let (below, starts) = below.unzip();
        let (above, ends) = above.unzip();
        let mut index = IntervalIndex {
            left_group: groups.left,
            below,
            above,
            starts_of_groups: vec![],
            rows: vec![],
            starts: vec![],
            ends: vec![],
            ends_so_far: vec![],
            is_in_row_order: true,
            unsure,
        };
        index.arrange(&groups.right, groups.count, (starts, ends));
        Ok(index)
    }

    /// Sorts the right rows by group, then start, then row.
    fn arrange(&mut self, groups: &[u32], count: usize, values: (Option<Vec<i64>>, Option<Vec<i64>>)) {
        let (starts, ends) = values;
        let mut places = vec![0u32; count + 1];
        groups.iter().filter(|g| **g != NO_GROUP).for_each(|g| places[*g as usize + 1] += 1);
        for i in 0..count {
            places[i + 1] += places[i];
        }
        let mut next = places.clone();
        self.rows = vec![0; places.last().map_or(0, |n| *n as usize)];
        for (row, group) in groups.iter().enumerate().filter(|(_, g)| **g != NO_GROUP) {
            let place = &mut next[*group as usize];
            self.rows[*place as usize] = row as u32;
            *place += 1;
        }
        if let Some(starts) = &starts {
            for group in places.windows(2) {
                let rows = &mut self.rows[group[0] as usize..group[1] as usize];
                if !rows.is_sorted_by_key(|r| starts[*r as usize]) {
                    rows.sort_unstable_by_key(|r| (starts[*r as usize], *r));
                    self.is_in_row_order = false;
                }
            }
            self.starts = self.rows.iter().map(|r| starts[*r as usize]).collect();
        }
        if let Some(ends) = &ends {
            self.ends.push(self.rows.iter().map(|r| ends[*r as usize]).collect());
            for group in places.windows(2) {
                let of_group = &self.ends[0][group[0] as usize..group[1] as usize];
                let largest = |so_far: &mut i64, end: &i64| {
                    *so_far = (*so_far).max(*end);
                    Some(*so_far)
                };
                self.ends_so_far.extend(of_group.iter().scan(i64::MIN, largest));
            }
            while let Some(last) = self.ends.last().filter(|l| l.len() > FANOUT) {
                let largest = |block: &[i64]| block.iter().copied().max().unwrap_or(i64::MIN);
                let above = last.chunks(FANOUT).map(largest).collect();
                self.ends.push(above);
            }
        }
        self.starts_of_groups = places;
    }

    /// Appends the partners of a left row, ascending.
    pub fn partners(&self, row: u32, found: &mut Vec<u32>) {
        let row = row as usize;
        let group = self.left_group[row];
        if group == NO_GROUP {
            return;
        }
        let first = self.starts_of_groups[group as usize] as usize;
        let mut last = self.starts_of_groups[group as usize + 1] as usize;
        if let Some(below) = &self.below {
            let value = below.values[row];
            let is_below = |s: &i64| if below.is_strict { *s < value } else { *s <= value };
            last = first + self.starts[first..last].partition_point(is_below);
        }
        let before = found.len();
        match &self.above {
            None => found.extend_from_slice(&self.rows[first..last]),
            Some(above) => self.ending_after(first..last, (above.values[row], above.is_strict), found),
        }
        if !self.is_in_row_order {
            found[before..].sort_unstable();
        }
    }

    /// Rows of a run of places whose end lies above a value: blocks whose largest end does not are stepped over.
    fn ending_after(&self, places: std::ops::Range<usize>, bound: (i64, bool), found: &mut Vec<u32>) {
        let (value, is_strict) = bound;
        let is_above = |end: i64| if is_strict { end > value } else { end >= value };
        let mut at = places.start + self.ends_so_far[places.clone()].partition_point(|end| !is_above(*end));
        while at < places.end {
            if is_above(self.ends[0][at]) {
                found.push(self.rows[at]);
                at += 1;
                continue;
            }
            // The largest block that begins here and ends too early.
            let (mut step, mut block) = (1, at);
            for level in &self.ends[1..] {
                if !block.is_multiple_of(FANOUT) || is_above(level[block / FANOUT]) {
                    break;
                }
                block /= FANOUT;
                step *= FANOUT;
            }
            at += step;
        }
    }
}

/// Values as integers in their order; rows with NULL leave their group.
fn sort_keys(values: &ArrayRef, is_mixed: bool, groups: &mut [u32]) -> Result<Vec<i64>> {
    for (row, group) in groups.iter_mut().enumerate() {
        if values.is_null(row) {
            *group = NO_GROUP;
        }
    }
    match Type::of(values.data_type()) {
        None | Some(Type::Null) => {
            groups.fill(NO_GROUP);
            Ok(vec![0; values.len()])
        }
        Some(Type::Float) => Ok(floats(values)?.values().iter().map(|v| float_key(*v)).collect()),
        _ if is_mixed => Ok(integers(values)?.values().iter().map(|v| float_key(*v as f64)).collect()),
        _ => Ok(integers(values)?.values().to_vec()),
    }
}

/// The bits of a float in the order of the numbers, -0 as 0.
fn float_key(value: f64) -> i64 {
    let bits = (value + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float_keys_sort_as_the_numbers() {
        let values = [f64::MIN, -2.5, -1e-300, 0.0, 1e-300, 2.5, f64::MAX];
        assert!(values.windows(2).all(|w| float_key(w[0]) < float_key(w[1])));
        assert_eq!(float_key(-0.0), float_key(0.0));
    }
}
