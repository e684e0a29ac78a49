//! `+ - * / %` with the rules of the language: integer overflow is an error, division is real, a result that is
//! not a finite number is NULL.

use std::sync::Arc;

use arrow_arith::numeric;
use arrow_array::types::{DurationNanosecondType, Float64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, DurationNanosecondArray, Float64Array, Int64Array, new_null_array};
use arrow_schema::{ArrowError, DataType};

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
        (Time, Duration) | (Duration, Time) => {
            let ns = ns_arithmetic(op, left, right)?.reinterpret_cast::<TimestampNanosecondType>();
            Ok(Arc::new(ns.with_timezone("UTC")))
        }
        (Time, Time) => Ok(Arc::new(ns_arithmetic(op, left, right)?.reinterpret_cast::<DurationNanosecondType>())),
        (Duration, Duration) if op == ArithmeticOp::Div => float_arithmetic(
            op,
            &(Arc::new(super::floats(&(Arc::new(integers(left)?) as ArrayRef))?) as ArrayRef),
            &(Arc::new(super::floats(&(Arc::new(integers(right)?) as ArrayRef))?) as ArrayRef),
        ),
        (Duration, Duration) => {
            Ok(Arc::new(ns_arithmetic(op, left, right)?.reinterpret_cast::<DurationNanosecondType>()))
        }
        (Duration, Int | Float) => scale_duration(op, left, right),
        (Int | Float, Duration) => scale_duration(op, right, left),
        _ => Err(Error::refused("these types cannot be combined", "the binder should have said so")),
    }
}

/// Sums and differences of times and durations, in ns.
fn ns_arithmetic(op: ArithmeticOp, left: &ArrayRef, right: &ArrayRef) -> Result<Int64Array> {
    let (l, r) = (integers(left)?, integers(right)?);
    let apply = |a: i64, b: i64| match op {
        ArithmeticOp::Add => a.checked_add(b),
        _ => a.checked_sub(b),
    };
    arrow_arith::arity::try_binary(&l, &r, |a, b| {
        apply(a, b).ok_or_else(|| ArrowError::ComputeError("a time outside 1677-09-21 .. 2262-04-11".to_owned()))
    })
    .map_err(|e| match e {
        ArrowError::ComputeError(message) => Error::Refused { message, help: None },
        other => arrow_error(other),
    })
}

fn int_arithmetic(op: ArithmeticOp, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let (l, r) = (integers(left)?, integers(right)?);
    let value = match op {
        ArithmeticOp::Add => numeric::add(&l, &r),
        ArithmeticOp::Sub => numeric::sub(&l, &r),
        ArithmeticOp::Mul => numeric::mul(&l, &r),
        ArithmeticOp::Div | ArithmeticOp::Mod => {
            // The least integer % -1 is 0; the machine's division overflows there.
            let values = l.iter().zip(r.iter()).map(|(a, b)| {
                let (a, b) = (a?, b?);
                (b != 0).then(|| a.wrapping_rem(b))
            });
            return Ok(Arc::new(values.collect::<Int64Array>()));
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
