//! `+ - * / %` with the rules of the language: integer overflow is an error, division is real, a result that is
//! not a finite number is NULL.

use std::sync::Arc;

use arrow_arith::numeric;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, DurationNanosecondArray, Float64Array, new_null_array};
use arrow_schema::DataType;

use super::{ArithmeticOp, arrow_error, floats, integers};
use crate::error::{Error, Result};
use crate::model::table::Type;

fn kind(array: &ArrayRef) -> Type {
    Type::of(array.data_type()).unwrap_or(Type::Null)
}

/// The same values with NaN and infinities as NULL.
pub(super) fn finite(values: Float64Array) -> Float64Array {
    if values.values().iter().all(|v| v.is_finite()) {
        return values;
    }
    values.iter().map(|v| v.filter(|v| v.is_finite())).collect()
}

pub(super) fn arithmetic(op: ArithmeticOp, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    use Type::*;
    match (kind(left), kind(right)) {
        (Null, other) | (other, Null) => {
            Ok(new_null_array(&other.arrow().unwrap_or(DataType::Null), left.len()))
        }
        (Int, Int) if op != ArithmeticOp::Div => int_arithmetic(op, left, right),
        (Int | Float, Int | Float) => float_arithmetic(op, left, right),
        (Time, Duration) | (Duration, Time) | (Time, Time) => match op {
            ArithmeticOp::Add => numeric::add(left, right).map_err(arrow_error),
            _ => numeric::sub(left, right).map_err(arrow_error),
        },
        (Duration, Duration) if op == ArithmeticOp::Div => float_arithmetic(
            op,
            &(Arc::new(super::floats(&(Arc::new(integers(left)?) as ArrayRef))?) as ArrayRef),
            &(Arc::new(super::floats(&(Arc::new(integers(right)?) as ArrayRef))?) as ArrayRef),
        ),
        (Duration, Duration) => match op {
            ArithmeticOp::Add => numeric::add(left, right).map_err(arrow_error),
            _ => numeric::sub(left, right).map_err(arrow_error),
        },
        (Duration, Int | Float) => scale_duration(op, left, right),
        (Int | Float, Duration) => scale_duration(op, right, left),
        _ => Err(Error::refused("these types cannot be combined", "the binder should have said so")),
    }
}

fn int_arithmetic(op: ArithmeticOp, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let (l, r) = (integers(left)?, integers(right)?);
    let value = match op {
        ArithmeticOp::Add => numeric::add(&l, &r),
        ArithmeticOp::Sub => numeric::sub(&l, &r),
        ArithmeticOp::Mul => numeric::mul(&l, &r),
        ArithmeticOp::Div | ArithmeticOp::Mod => {
            let values = l.iter().zip(r.iter()).map(|(a, b)| a?.checked_rem(b?));
            return Ok(Arc::new(values.collect::<arrow_array::Int64Array>()));
        }
    };
    value.map_err(arrow_error)
}

fn float_arithmetic(op: ArithmeticOp, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let (l, r) = (floats(left)?, floats(right)?);
    let apply = |f: fn(f64, f64) -> f64| {
        arrow_arith::arity::binary::<_, _, _, Float64Type>(&l, &r, f).map_err(arrow_error)
    };
    let value = match op {
        ArithmeticOp::Add => apply(|a, b| a + b),
        ArithmeticOp::Sub => apply(|a, b| a - b),
        ArithmeticOp::Mul => apply(|a, b| a * b),
        ArithmeticOp::Div => apply(|a, b| a / b),
        ArithmeticOp::Mod => apply(|a, b| a % b),
    }?;
    Ok(Arc::new(finite(value)))
}

fn scale_duration(op: ArithmeticOp, duration: &ArrayRef, factor: &ArrayRef) -> Result<ArrayRef> {
    let (ns, factor) = (integers(duration)?, floats(factor)?);
    let values = ns.iter().zip(factor.iter()).map(|(ns, factor)| {
        let value = match op {
            ArithmeticOp::Div => ns? as f64 / factor?,
            _ => ns? as f64 * factor?,
        };
        (value.abs() < i64::MAX as f64).then_some(value.round() as i64)
    });
    Ok(Arc::new(values.collect::<DurationNanosecondArray>()))
}

pub(super) fn negate(value: &ArrayRef) -> Result<ArrayRef> {
    match kind(value) {
        Type::Float => {
            let value = floats(value)?;
            Ok(Arc::new(arrow_arith::arity::unary::<_, _, Float64Type>(&value, |v| -v)))
        }
        Type::Int => numeric::neg(&integers(value)?).map_err(arrow_error),
        Type::Duration => {
            let ns: DurationNanosecondArray = integers(value)?.reinterpret_cast();
            numeric::neg(&ns).map_err(arrow_error)
        }
        _ => Ok(value.clone()),
    }
}

/// Applies `f` to every value, NULL where it is not finite.
pub(super) fn map_floats(value: &ArrayRef, f: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    let value = floats(value)?;
    let mapped = arrow_arith::arity::unary::<_, _, Float64Type>(&value, f);
    Ok(Arc::new(finite(mapped)))
}
