//! Comparisons. Floats compare as numbers (-0 = 0); an INT against a FLOAT compares exactly, without rounding the
//! integer to a float first.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array};
use arrow_buffer::{BooleanBuffer, NullBuffer};

use super::{Expr, Literal, arrow_error, floats, integers};
use crate::error::Result;
use crate::model::table::{Batch, Type};

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `<>`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl CompareOp {
    /// As written.
    pub fn text(self) -> &'static str {
        match self {
            CompareOp::Eq => "=",
            CompareOp::Ne => "<>",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
        }
    }

    /// The operator with its sides exchanged.
    #[must_use]
    pub fn flipped(self) -> CompareOp {
        match self {
            CompareOp::Lt => CompareOp::Gt,
            CompareOp::Le => CompareOp::Ge,
            CompareOp::Gt => CompareOp::Lt,
            CompareOp::Ge => CompareOp::Le,
            same => same,
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            CompareOp::Eq => order == Ordering::Equal,
            CompareOp::Ne => order != Ordering::Equal,
            CompareOp::Lt => order == Ordering::Less,
            CompareOp::Le => order != Ordering::Greater,
            CompareOp::Gt => order == Ordering::Greater,
            CompareOp::Ge => order != Ordering::Less,
        }
    }
}

/// Exact order of an integer and a finite float.
pub(super) fn int_against_float(a: i64, b: f64) -> Ordering {
    if b >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if b < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    let whole = b.floor();
    a.cmp(&(whole as i64)).then(if b > whole { Ordering::Less } else { Ordering::Equal })
}

pub(super) fn compare(op: CompareOp, left: &Expr, right: &Expr, batch: &Batch) -> Result<ArrayRef> {
    if let Some(Literal::Null) = right.as_literal().or(left.as_literal()).filter(|l| **l == Literal::Null) {
        return Ok(Arc::new(BooleanArray::new_null(batch.num_rows())));
    }
    let (l, r) = (left.eval(batch)?, right.eval(batch)?);
    let kind = |a: &ArrayRef| Type::of(a.data_type()).unwrap_or(Type::Null);
    match (kind(&l), kind(&r)) {
        (Type::Null, _) | (_, Type::Null) => Ok(Arc::new(BooleanArray::new_null(l.len()))),
        (Type::Float, Type::Float) => Ok(Arc::new(compare_floats(op, &floats(&l)?, &floats(&r)?))),
        (Type::Int, Type::Float) => Ok(Arc::new(compare_mixed(op, &integers(&l)?, &floats(&r)?))),
        (Type::Float, Type::Int) => Ok(Arc::new(compare_mixed(op.flipped(), &integers(&r)?, &floats(&l)?))),
        (Type::Int, Type::Int) | (Type::Time, Type::Time) | (Type::Duration, Type::Duration) => {
            Ok(Arc::new(compare_integers(op, &integers(&l)?, &integers(&r)?)))
        }
        _ => {
            let value = match op {
                CompareOp::Eq => arrow_ord::cmp::eq(&l, &r),
                CompareOp::Ne => arrow_ord::cmp::neq(&l, &r),
                CompareOp::Lt => arrow_ord::cmp::lt(&l, &r),
                CompareOp::Le => arrow_ord::cmp::lt_eq(&l, &r),
                CompareOp::Gt => arrow_ord::cmp::gt(&l, &r),
                CompareOp::Ge => arrow_ord::cmp::gt_eq(&l, &r),
            };
            Ok(Arc::new(value.map_err(arrow_error)?))
        }
    }
}

fn nulls(a: &dyn Array, b: &dyn Array) -> Option<NullBuffer> {
    NullBuffer::union(a.nulls(), b.nulls())
}

fn compare_floats(op: CompareOp, a: &Float64Array, b: &Float64Array) -> BooleanArray {
    let (x, y) = (a.values(), b.values());
    let bits = |f: fn(f64, f64) -> bool| BooleanBuffer::collect_bool(x.len(), |i| f(x[i], y[i]));
    let values = match op {
        CompareOp::Eq => bits(|a, b| a == b),
        CompareOp::Ne => bits(|a, b| a != b),
        CompareOp::Lt => bits(|a, b| a < b),
        CompareOp::Le => bits(|a, b| a <= b),
        CompareOp::Gt => bits(|a, b| a > b),
        CompareOp::Ge => bits(|a, b| a >= b),
    };
    BooleanArray::new(values, nulls(a, b))
}

fn compare_integers(op: CompareOp, a: &Int64Array, b: &Int64Array) -> BooleanArray {
    let (x, y) = (a.values(), b.values());
    let bits = |f: fn(i64, i64) -> bool| BooleanBuffer::collect_bool(x.len(), |i| f(x[i], y[i]));
    let values = match op {
        CompareOp::Eq => bits(|a, b| a == b),
        CompareOp::Ne => bits(|a, b| a != b),
        CompareOp::Lt => bits(|a, b| a < b),
        CompareOp::Le => bits(|a, b| a <= b),
        CompareOp::Gt => bits(|a, b| a > b),
        CompareOp::Ge => bits(|a, b| a >= b),
    };
    BooleanArray::new(values, nulls(a, b))
}

fn compare_mixed(op: CompareOp, a: &Int64Array, b: &Float64Array) -> BooleanArray {
    let (x, y) = (a.values(), b.values());
    let values = BooleanBuffer::collect_bool(x.len(), |i| op.holds(int_against_float(x[i], y[i])));
    BooleanArray::new(values, nulls(a, b))
}

/// The constants of an IN list or the column of an IN subquery, hashed once.
#[derive(Clone, Debug)]
pub struct Set {
    members: Members,
    has_null: bool,
}

#[derive(Clone, Debug)]
enum Members {
    Ints(HashSet<i64>),
    /// Bits of the float, with -0 made 0.
    Floats(HashSet<u64>),
    Texts(HashSet<String>),
    Empty,
}

fn bits(value: f64) -> u64 {
    (value + 0.0).to_bits()
}

impl Set {
    /// From an array of the operand's type.
    pub fn new(values: &ArrayRef) -> Result<Set> {
        let members = match Type::of(values.data_type()).unwrap_or(Type::Null) {
            Type::Int | Type::Time | Type::Duration => {
                Members::Ints(integers(values)?.iter().flatten().collect())
            }
            Type::Float => Members::Floats(floats(values)?.iter().flatten().map(bits).collect()),
            Type::Text => {
                Members::Texts(values.as_string::<i32>().iter().flatten().map(str::to_owned).collect())
            }
            Type::Bool => Members::Ints(values.as_boolean().iter().flatten().map(i64::from).collect()),
            _ => Members::Empty,
        };
        Ok(Set {
            members,
            has_null: values.null_count() > 0 || matches!(values.data_type(), arrow_schema::DataType::Null),
        })
    }

    /// x IN set: NULL where x is NULL, or where x is not found and the set holds a NULL.
    pub(super) fn contains(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let missing = if self.has_null { None } else { Some(false) };
        let answer = |found: bool| if found { Some(true) } else { missing };
        let result: BooleanArray = match &self.members {
            Members::Ints(set) if matches!(values.data_type(), arrow_schema::DataType::Boolean) => {
                values.as_boolean().iter().map(|v| answer(set.contains(&i64::from(v?)))).collect()
            }
            Members::Ints(set) => integers(values)?.iter().map(|v| answer(set.contains(&v?))).collect(),
            Members::Floats(set) => floats(values)?.iter().map(|v| answer(set.contains(&bits(v?)))).collect(),
            Members::Texts(set) => {
                values.as_string::<i32>().iter().map(|v| answer(set.contains(v?))).collect()
            }
            Members::Empty => {
                let valid = (0..values.len()).map(|i| values.is_valid(i).then_some(false).and(missing));
                valid.collect()
            }
        };
        Ok(Arc::new(result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_against_floats_are_exact() {
        let big = (1_i64 << 53) + 1;
        let cases = [
            (big, (1_i64 << 53) as f64, Ordering::Greater),
            (1, 1.0, Ordering::Equal),
            (1, 1.5, Ordering::Less),
            (-1, -1.5, Ordering::Greater),
            (i64::MAX, 9_223_372_036_854_775_808.0, Ordering::Less),
            (i64::MIN, -9_223_372_036_854_775_808.0, Ordering::Equal),
        ];
        for (a, b, want) in cases {
            assert_eq!(int_against_float(a, b), want, "{a} {b}");
        }
    }
}
