//! Comparisons. Floats compare as numbers (-0 = 0); an INT against a FLOAT compares exactly, without rounding the
//! integer to a float first.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Datum, Float64Array, Int64Array, PrimitiveArray,
};
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
    if let (Some(value), None) = (right.as_literal(), left.as_literal()) {
        return with_literal(op, &left.eval(batch)?, value);
    }
    if let (Some(value), None) = (left.as_literal(), right.as_literal()) {
        return with_literal(op.flipped(), &right.eval(batch)?, value);
    }
    let (l, r) = (left.eval(batch)?, right.eval(batch)?);
    let kind = |a: &ArrayRef| Type::of(a.data_type()).unwrap_or(Type::Null);
    match (kind(&l), kind(&r)) {
        (Type::Null, _) | (_, Type::Null) => Ok(Arc::new(BooleanArray::new_null(l.len()))),
        (Type::Float, Type::Float) => Ok(Arc::new(compare_values(op, &floats(&l)?, &floats(&r)?))),
        (Type::Int, Type::Float) => Ok(Arc::new(compare_mixed(op, &integers(&l)?, &floats(&r)?))),
        (Type::Float, Type::Int) => Ok(Arc::new(compare_mixed(op.flipped(), &integers(&r)?, &floats(&l)?))),
        (Type::Int, Type::Int) | (Type::Time, Type::Time) | (Type::Duration, Type::Duration) => {
            Ok(Arc::new(compare_values(op, &integers(&l)?, &integers(&r)?)))
        }
        _ => compare_arrays(op, &l, &r),
    }
}

/// Against one value for all rows.
fn with_literal(op: CompareOp, values: &ArrayRef, literal: &Literal) -> Result<ArrayRef> {
    let kind = Type::of(values.data_type()).unwrap_or(Type::Null);
    let result = match (kind, literal) {
        (Type::Null, _) => BooleanArray::new_null(values.len()),
        (Type::Float, Literal::Float(b)) => {
            let (a, b) = (floats(values)?, *b);
            against_value(op, &a, b)
        }
        (Type::Float, Literal::Int(b)) => {
            let (a, b) = (floats(values)?, *b);
            bits_of(&a, |i| op.flipped().holds(int_against_float(b, a.values()[i])))
        }
        (Type::Int, Literal::Float(b)) => {
            let (a, b) = (integers(values)?, *b);
            bits_of(&a, |i| op.holds(int_against_float(a.values()[i], b)))
        }
        (_, Literal::Int(b) | Literal::Time(b) | Literal::Duration(b)) => {
            let (a, b) = (integers(values)?, *b);
            against_value(op, &a, b)
        }
        _ => return compare_arrays(op, values, &arrow_array::Scalar::new(literal.array(1))),
    };
    Ok(Arc::new(result))
}

/// One operator a loop, so that it is not asked for again with every row. NaN counts as larger than any number.
#[allow(clippy::neg_cmp_op_on_partial_ord, reason = "NaN is larger than any number here")]
fn against_value<T: ArrowPrimitiveType>(op: CompareOp, a: &PrimitiveArray<T>, b: T::Native) -> BooleanArray
where
    T::Native: PartialOrd,
{
    let x = a.values();
    match op {
        CompareOp::Eq => bits_of(a, |i| x[i] == b),
        CompareOp::Ne => bits_of(a, |i| x[i] != b),
        CompareOp::Lt => bits_of(a, |i| x[i] < b),
        CompareOp::Le => bits_of(a, |i| x[i] <= b),
        CompareOp::Gt => bits_of(a, |i| !(x[i] <= b)),
        CompareOp::Ge => bits_of(a, |i| !(x[i] < b)),
    }
}

fn bits_of(array: &dyn Array, holds: impl FnMut(usize) -> bool) -> BooleanArray {
    BooleanArray::new(BooleanBuffer::collect_bool(array.len(), holds), array.nulls().cloned())
}

fn compare_arrays(op: CompareOp, l: &dyn Datum, r: &dyn Datum) -> Result<ArrayRef> {
    let value = match op {
        CompareOp::Eq => arrow_ord::cmp::eq(l, r),
        CompareOp::Ne => arrow_ord::cmp::neq(l, r),
        CompareOp::Lt => arrow_ord::cmp::lt(l, r),
        CompareOp::Le => arrow_ord::cmp::lt_eq(l, r),
        CompareOp::Gt => arrow_ord::cmp::gt(l, r),
        CompareOp::Ge => arrow_ord::cmp::gt_eq(l, r),
    };
    Ok(Arc::new(value.map_err(arrow_error)?))
}

fn nulls(a: &dyn Array, b: &dyn Array) -> Option<NullBuffer> {
    NullBuffer::union(a.nulls(), b.nulls())
}

/// Values of one type; the operators of floats are those of numbers (-0 = 0), not of Arrow's total order.
fn compare_values<T: ArrowPrimitiveType>(
    op: CompareOp,
    a: &PrimitiveArray<T>,
    b: &PrimitiveArray<T>,
) -> BooleanArray
where
    T::Native: PartialOrd,
{
    let (x, y) = (a.values(), b.values());
    let bits = |f: fn(T::Native, T::Native) -> bool| BooleanBuffer::collect_bool(x.len(), |i| f(x[i], y[i]));
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
    /// Of integers, or ns of times and durations, or 0 and 1 of conditions.
    pub fn of_ints(values: impl Iterator<Item = i64>, has_null: bool) -> Set {
        Set { members: Members::Ints(values.collect()), has_null }
    }

    /// Of floats.
    pub fn of_floats(values: impl Iterator<Item = f64>, has_null: bool) -> Set {
        Set { members: Members::Floats(values.map(bits).collect()), has_null }
    }

    /// Of texts.
    pub fn of_texts(values: impl Iterator<Item = String>, has_null: bool) -> Set {
        Set { members: Members::Texts(values.collect()), has_null }
    }

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
            _ if matches!(values.data_type(), arrow_schema::DataType::Null) => {
                BooleanArray::new_null(values.len())
            }
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
