//! What a column of a Parquet file becomes, and how.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    DurationNanosecondType, Float32Type, Float64Type, Int64Type, TimestampMicrosecondType,
    TimestampNanosecondType, UInt64Type,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, TimeUnit};

use crate::format::table::BATCH_TEXT_BYTES;
use crate::limits::LINE_BYTES;
use crate::model::table::{Type, time_type};
use crate::model::time::{NS_PER_DAY, NS_PER_S};

/// Largest |value| in us that is a TIME in ns.
const TIME_LIMIT_US: i64 = i64::MAX / 1000;

/// What is done to a column after decoding.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Convert {
    /// Nothing.
    Keep,
    /// NaN and infinities become NULL.
    Finite,
    /// The arrow cast to this type, then as [`Convert::Finite`].
    Cast(DataType),
    /// uint64 that fits i64.
    Unsigned,
    /// Integers of a unit of so many ns to TIME.
    Time(i64),
    /// INT96, decoded as ns (wrapping) here and as us beside it.
    Int96,
    /// Integers of a unit of so many ns to DURATION.
    Duration(i64),
    /// Views of UTF-8, or of binary that was found to be text.
    Text,
    /// Binary as hexadecimal digits.
    Hex,
}

/// What a root column of the file becomes; `Err` is why it is skipped.
pub(super) fn convert_of(field: &Field, is_int96: bool) -> Result<(Convert, DataType), String> {
    let number = |unit: &TimeUnit| match unit {
        TimeUnit::Second => NS_PER_S,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1000,
        TimeUnit::Nanosecond => 1,
    };
    let duration = DataType::Duration(TimeUnit::Nanosecond);
    let data_type = match field.data_type() {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    Ok(match data_type {
        DataType::Float32 | DataType::Float64 => (Convert::Finite, data_type.clone()),
        DataType::Float16 => (Convert::Cast(DataType::Float32), DataType::Float32),
        DataType::UInt64 => (Convert::Unsigned, DataType::Int64),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => decimal(*p, *s),
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => decimal(*p, *s),
        DataType::Timestamp(_, _) if is_int96 => (Convert::Int96, time_type()),
        DataType::Timestamp(unit, _) => (Convert::Time(number(unit)), time_type()),
        DataType::Date32 => (Convert::Time(NS_PER_DAY), time_type()),
        DataType::Date64 => (Convert::Time(1_000_000), time_type()),
        DataType::Time32(unit) | DataType::Time64(unit) => (Convert::Duration(number(unit)), duration),
        DataType::Duration(unit) => (Convert::Duration(number(unit)), duration),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => (Convert::Text, DataType::Utf8),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => (Convert::Hex, DataType::Utf8),
        DataType::FixedSizeBinary(n) if usize::try_from(*n).is_ok_and(|n| n <= LINE_BYTES) => {
            (Convert::Hex, DataType::Utf8)
        }
        DataType::FixedSizeBinary(n) => {
            return Err(format!("values of {n} bytes; the limit is {LINE_BYTES}"));
        }
        other if Type::of(other).is_some() => (Convert::Keep, other.clone()),
        other => return Err(format!("{} columns are not read", kind_name(other))),
    })
}

/// INT without fraction, FLOAT where f64 holds every such decimal, else TEXT.
fn decimal(precision: u8, scale: i8) -> (Convert, DataType) {
    let to = match (precision, scale) {
        (0..=18, 0) => DataType::Int64,
        (0..=15, 0..) => DataType::Float64,
        _ => DataType::Utf8,
    };
    (Convert::Cast(to.clone()), to)
}

fn kind_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Struct(_) => "struct",
        DataType::Map(_, _) => "map",
        DataType::Interval(_) => "interval",
        DataType::Union(_, _) => "union",
        _ => "list",
    }
}

/// The bytes of a text or binary value; `None` for NULL and other types.
pub(super) fn bytes_at(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Utf8View => array.as_string_view().value(row).as_bytes(),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
        _ => return None,
    })
}

/// UTF-8 without control characters other than blanks.
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    let is_control = |b: &u8| b.is_ascii_control() && !b.is_ascii_whitespace();
    !bytes.iter().any(is_control) && std::str::from_utf8(bytes).is_ok()
}

/// How many rows from `at` on have at most [`BATCH_TEXT_BYTES`] of text; at least one.
pub(super) fn rows_that_fit(batch: &RecordBatch, at: usize) -> usize {
    let is_text = |a: &&ArrayRef| matches!(a.data_type(), DataType::Utf8View | DataType::BinaryView);
    let columns: Vec<&ArrayRef> = batch.columns().iter().filter(is_text).collect();
    let left = batch.num_rows() - at;
    let mut bytes = 0;
    for row in 0..left {
        bytes += columns.iter().filter_map(|a| bytes_at(a, at + row)).map(<[u8]>::len).sum::<usize>();
        if bytes > BATCH_TEXT_BYTES {
            return row.max(1);
        }
    }
    left
}

/// The column as the table has it, and how many values did not fit.
pub(super) fn convert(
    how: &Convert,
    array: &ArrayRef,
    beside: Option<&ArrayRef>,
) -> Result<(ArrayRef, u64), ArrowError> {
    let kept: ArrayRef = match how {
        Convert::Keep => Arc::clone(array),
        Convert::Finite => finite(array),
        Convert::Cast(to) => finite(&cast(array, to)?),
        Convert::Unsigned => {
            let ints = array.as_primitive::<UInt64Type>().try_unary::<_, Int64Type, _>(|v| {
                i64::try_from(v).map_err(|_| {
                    ArrowError::ComputeError(format!(
                        "{v} is above 2^63-1, against the statistics of the file"
                    ))
                })
            })?;
            Arc::new(ints)
        }
        Convert::Time(unit) => {
            let ints = cast(array, &DataType::Int64)?;
            let times: PrimitiveArray<TimestampNanosecondType> =
                ints.as_primitive::<Int64Type>().unary_opt(|v| v.checked_mul(*unit));
            let lost = (times.null_count() - ints.null_count()) as u64;
            return Ok((Arc::new(times.with_timezone("UTC")), lost));
        }
        Convert::Int96 => return Ok(int96(array, beside)),
        Convert::Duration(unit) => {
            let ints = cast(array, &DataType::Int64)?;
            let ns: PrimitiveArray<DurationNanosecondType> =
                ints.as_primitive::<Int64Type>().unary_opt(|v| v.checked_mul(*unit));
            let lost = (ns.null_count() - ints.null_count()) as u64;
            return Ok((Arc::new(ns), lost));
        }
        Convert::Text => Arc::new(text(array)),
        Convert::Hex => Arc::new(hex(array)),
    };
    Ok((kept, 0))
}

/// NaN and infinities as NULL; other types unchanged.
fn finite(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            if values.values().iter().all(|v| v.is_finite()) {
                return Arc::clone(array);
            }
            let kept: PrimitiveArray<Float32Type> = values.unary_opt(|v| v.is_finite().then_some(v));
            Arc::new(kept)
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            if values.values().iter().all(|v| v.is_finite()) {
                return Arc::clone(array);
            }
            let kept: PrimitiveArray<Float64Type> = values.unary_opt(|v| v.is_finite().then_some(v));
            Arc::new(kept)
        }
        _ => Arc::clone(array),
    }
}

/// INT96 times: the ns are right wherever the us beside them say that they did not wrap.
fn int96(ns: &ArrayRef, us: Option<&ArrayRef>) -> (ArrayRef, u64) {
    let ns = ns.as_primitive::<TimestampNanosecondType>();
    let us = us.and_then(|us| us.as_primitive_opt::<TimestampMicrosecondType>());
    let fits =
        |row: usize| us.is_some_and(|us| us.value(row).checked_abs().is_some_and(|v| v < TIME_LIMIT_US));
    let kept = (0..ns.len()).map(|row| (ns.is_valid(row) && fits(row)).then(|| ns.value(row)));
    let kept: PrimitiveArray<TimestampNanosecondType> = kept.collect();
    let lost = (kept.null_count() - ns.null_count()) as u64;
    (Arc::new(kept.with_timezone("UTC")), lost)
}

fn text(array: &ArrayRef) -> StringArray {
    let mut out = StringBuilder::with_capacity(array.len(), 0);
    for row in 0..array.len() {
        out.append_option(bytes_at(array, row).and_then(|b| std::str::from_utf8(b).ok()));
    }
    out.finish()
}

fn hex(array: &ArrayRef) -> StringArray {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = StringBuilder::with_capacity(array.len(), 0);
    for row in 0..array.len() {
        let digit = |d: u8| DIGITS.get(usize::from(d)).map_or('0', |&c| char::from(c));
        let digits = |b: &[u8]| b.iter().flat_map(|&b| [digit(b >> 4), digit(b & 15)]).collect::<String>();
        out.append_option(bytes_at(array, row).map(digits));
    }
    out.finish()
}
