//! Rows of two sides in groups of equal keys: small numbers that mean the same on both.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use super::{key_type, normal};
use crate::engine::expr::{Expr, integers};
use crate::engine::ops::hash::RowHasher;
use crate::error::Result;
use crate::model::table::{Batch, Type};

/// The group of a row with NULL in a key, or of a left row whose key no right row has.
pub const NO_GROUP: u32 = u32::MAX;

/// The group of each row.
pub struct Groups {
    /// Of the left rows.
    pub left: Vec<u32>,
    /// Of the right rows.
    pub right: Vec<u32>,
    /// Groups are 0 .. count.
    pub count: usize,
}

type Codes<K> = HashMap<K, u32, BuildHasherDefault<RowHasher>>;

impl Groups {
    /// By pairs of equal (left, right) values; without any, all rows are one group.
    pub fn new(left: &Batch, right: &Batch, equal: &[(Expr, Expr)]) -> Result<Groups> {
        let rows = (left.num_rows(), right.num_rows());
        let mut all = Groups { left: vec![0; rows.0], right: vec![0; rows.1], count: 1 };
        for (l, r) in equal {
            let (l, r) = (l.eval(left)?, r.eval(right)?);
            let kind = key_type(&l, &r);
            let (l, r) = (normal(&l, kind)?, normal(&r, kind)?);
            all = all.divided(&by_value(&l, &r, kind)?);
        }
        Ok(all)
    }

    /// Groups of equal group here and there.
    fn divided(self, by: &Groups) -> Groups {
        if self.count == 1 {
            let both = |a: Vec<u32>, b: &[u32]| {
                a.iter().zip(b).map(|(a, b)| if *a == NO_GROUP { NO_GROUP } else { *b }).collect()
            };
            return Groups {
                left: both(self.left, &by.left),
                right: both(self.right, &by.right),
                count: by.count,
            };
        }
        let pair =
            |a: u32, b: u32| (a != NO_GROUP && b != NO_GROUP).then_some((u64::from(a) << 32) | u64::from(b));
        let key = |a: &[u32], b: &[u32]| a.iter().zip(b).map(|(a, b)| pair(*a, *b)).collect::<Vec<_>>();
        coded(key(&self.left, &by.left).into_iter(), key(&self.right, &by.right).into_iter())
    }
}

fn by_value(left: &ArrayRef, right: &ArrayRef, kind: Type) -> Result<Groups> {
    if [left, right].iter().any(|a| matches!(a.data_type(), DataType::Null)) {
        return Ok(Groups { left: vec![NO_GROUP; left.len()], right: vec![NO_GROUP; right.len()], count: 0 });
    }
    Ok(match kind {
        Type::Text => {
            let (l, r) = (left.as_string::<i32>(), right.as_string::<i32>());
            coded(l.iter(), r.iter())
        }
        Type::Float => {
            let bits = |a: &ArrayRef| {
                let values = a.as_primitive::<Float64Type>();
                values.iter().map(|v| v.map(f64::to_bits)).collect::<Vec<_>>()
            };
            coded(bits(left).into_iter(), bits(right).into_iter())
        }
        Type::Bool => coded(left.as_boolean().iter(), right.as_boolean().iter()),
        _ => {
            let (l, r) = (integers(left)?, integers(right)?);
            coded(l.iter(), r.iter())
        }
    })
}

/// Numbers values by their first appearance on the right.
fn coded<K: Hash + Eq + Copy>(
    left: impl Iterator<Item = Option<K>>,
    right: impl Iterator<Item = Option<K>>,
) -> Groups {
    let mut codes: Codes<K> = Codes::default();
    // Equal values often stand in runs: the last one is looked at before the table.
    let mut last: Option<(K, u32)> = None;
    let mut code_of = |value: Option<K>, is_new: bool| -> u32 {
        let Some(value) = value else { return NO_GROUP };
        if let Some((_, code)) = last.filter(|l| l.0 == value) {
            return code;
        }
        let next = codes.len() as u32;
        let code = match is_new {
            true => *codes.entry(value).or_insert(next),
            false => codes.get(&value).copied().unwrap_or(NO_GROUP),
        };
        last = Some((value, code));
        code
    };
    let right: Vec<u32> = right.map(|v| code_of(v, true)).collect();
    let left: Vec<u32> = left.map(|v| code_of(v, false)).collect();
    Groups { left, right, count: codes.len() }
}
