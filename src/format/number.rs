//! Numbers in text: what a cell of a CSV file is, and how a value is written so that it reads back bit for bit.
//! Nothing here looks at the locale.

use std::fmt::Write as _;

use arrow_array::cast::AsArray;
use arrow_array::types as arrow;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use crate::model::time::{NS_PER_S, OUTSIDE, Time};

/// Spellings of "no value" in columns of numbers, conditions and times, any case. In TEXT columns only the empty
/// cell is NULL (`NA` is a network code, `None` a name).
pub const NULL_WORDS: &[&str] = &["na", "n/a", "none"];
/// Spellings of "no number", any case: a column of nothing else is FLOAT.
pub const NAN_WORDS: &[&str] = &["nan", "-nan", "null"];

/// What one cell can be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Nothing but blanks.
    Empty,
    /// One of [`NULL_WORDS`].
    NullWord,
    /// One of [`NAN_WORDS`].
    Nan,
    /// Digits with an optional sign, within i64.
    Int,
    /// Digits with a leading zero: a code, not a number.
    Code,
    /// Digits with an optional sign, beyond i64.
    BigInt,
    /// With a decimal point or an exponent.
    Float,
    /// An infinity by name, or a decimal literal beyond f64.
    Infinite,
    /// `true` or `false`, any case.
    Bool,
    /// `YYYY-MM-DD` with an optional clock time.
    Time,
    /// Such a time outside 1677-09-21 .. 2262-04-11.
    FarTime,
    /// Anything else.
    Text,
}

/// Classifies a cell; blanks around it do not count.
pub fn classify(cell: &[u8]) -> Cell {
    let cell = cell.trim_ascii();
    let Some(&first) = cell.first() else {
        return Cell::Empty;
    };
    match first {
        b'0'..=b'9' => number(cell).unwrap_or_else(|| time(cell)),
        b'+' | b'-' | b'.' => number(cell).unwrap_or_else(|| word(cell)),
        _ => word(cell),
    }
}

fn number(cell: &[u8]) -> Option<Cell> {
    let text = std::str::from_utf8(cell).ok()?;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() {
        if digits.len() > 1 && digits.starts_with('0') {
            return Some(Cell::Code);
        }
        return Some(if text.parse::<i64>().is_ok() { Cell::Int } else { Cell::BigInt });
    }
    if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        return None;
    }
    let value = text.parse::<f64>().ok()?;
    Some(if value.is_finite() { Cell::Float } else { Cell::Infinite })
}

fn word(cell: &[u8]) -> Cell {
    let is = |w: &str| cell.eq_ignore_ascii_case(w.as_bytes());
    if is("true") || is("false") {
        return Cell::Bool;
    }
    if NULL_WORDS.iter().any(|w| is(w)) {
        return Cell::NullWord;
    }
    if NAN_WORDS.iter().any(|w| is(w)) {
        return Cell::Nan;
    }
    let unsigned = cell.strip_prefix(b"-").or(cell.strip_prefix(b"+")).unwrap_or(cell);
    match unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
        true => Cell::Infinite,
        false => Cell::Text,
    }
}

fn time(cell: &[u8]) -> Cell {
    let is_date = matches!(cell, [_, _, _, _, b'-', _, _, b'-', ..]);
    let Some(text) = std::str::from_utf8(cell).ok().filter(|_| is_date) else {
        return Cell::Text;
    };
    match Time::parse(text) {
        Ok(_) => Cell::Time,
        Err(e) if e.reason == OUTSIDE => Cell::FarTime,
        Err(_) => Cell::Text,
    }
}

/// Appends the shortest decimal that reads back as the same f64 (`1.0`, `1e16`, `1.5e-7`: a float stays one).
/// Not finite: nothing is written.
pub fn push_f64(out: &mut String, value: f64) {
    if value.is_finite() {
        let _ = write!(out, "{value:?}");
    }
}

/// Appends the shortest decimal that reads back as the same f32. Not finite: nothing is written.
pub fn push_f32(out: &mut String, value: f32) {
    if value.is_finite() {
        let _ = write!(out, "{value:?}");
    }
}

/// Appends a duration of ns as seconds, exact: `1.5`, `-0.000000001`, `3`.
pub fn push_seconds(out: &mut String, ns: i64) {
    let sign = if ns < 0 { "-" } else { "" };
    let whole = ns.unsigned_abs() / NS_PER_S.unsigned_abs();
    let fraction = format!("{:09}", ns.unsigned_abs() % NS_PER_S.unsigned_abs());
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let _ = write!(out, "{sign}{whole}{point}{fraction}");
}

/// One column of a batch, ready to print its values one by one.
pub enum Printer<'a> {
    /// Any integer type.
    Int(Box<dyn Fn(usize) -> i64 + 'a>),
    /// f32.
    Float32(&'a arrow_array::Float32Array),
    /// f64.
    Float64(&'a arrow_array::Float64Array),
    /// UTF-8.
    Text(&'a arrow_array::StringArray),
    /// TRUE or FALSE.
    Bool(&'a arrow_array::BooleanArray),
    /// ns since 1970 UTC.
    Time(&'a arrow_array::TimestampNanosecondArray),
    /// ns.
    Duration(&'a arrow_array::DurationNanosecondArray),
    /// All NULL.
    Null,
}

impl<'a> Printer<'a> {
    /// The printer of a column; `None` for a type the language does not have.
    pub fn new(array: &'a ArrayRef) -> Option<Printer<'a>> {
        macro_rules! int {
            ($kind:ty) => {{
                let values = array.as_primitive::<$kind>();
                Printer::Int(Box::new(|i| i64::from(values.value(i))))
            }};
        }
        Some(match array.data_type() {
            DataType::Int8 => int!(arrow::Int8Type),
            DataType::Int16 => int!(arrow::Int16Type),
            DataType::Int32 => int!(arrow::Int32Type),
            DataType::Int64 => int!(arrow::Int64Type),
            DataType::UInt8 => int!(arrow::UInt8Type),
            DataType::UInt16 => int!(arrow::UInt16Type),
            DataType::UInt32 => int!(arrow::UInt32Type),
            DataType::Float32 => Printer::Float32(array.as_primitive()),
            DataType::Float64 => Printer::Float64(array.as_primitive()),
            DataType::Utf8 => Printer::Text(array.as_string()),
            DataType::Boolean => Printer::Bool(array.as_boolean()),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Printer::Time(array.as_primitive()),
            DataType::Duration(TimeUnit::Nanosecond) => Printer::Duration(array.as_primitive()),
            DataType::Null => Printer::Null,
            _ => return None,
        })
    }

    /// Appends value `row`, which is not NULL, as text.
    pub fn push(&self, out: &mut String, row: usize) {
        match self {
            Printer::Int(value) => {
                let _ = write!(out, "{}", value(row));
            }
            Printer::Float32(a) => push_f32(out, a.value(row)),
            Printer::Float64(a) => push_f64(out, a.value(row)),
            Printer::Text(a) => out.push_str(a.value(row)),
            Printer::Bool(a) => out.push_str(if a.value(row) { "true" } else { "false" }),
            Printer::Time(a) => {
                let _ = write!(out, "{}", Time(a.value(row)));
            }
            Printer::Duration(a) => push_seconds(out, a.value(row)),
            Printer::Null => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_has_a_verdict() {
        let cases = [
            ("", Cell::Empty),
            ("  ", Cell::Empty),
            ("0", Cell::Int),
            ("-17", Cell::Int),
            (" +17 ", Cell::Int),
            ("00", Cell::Code),
            ("007", Cell::Code),
            ("-05", Cell::Code),
            ("9223372036854775807", Cell::Int),
            ("-9223372036854775808", Cell::Int),
            ("9223372036854775808", Cell::BigInt),
            ("1.", Cell::Float),
            (".5", Cell::Float),
            ("-1.5e-3", Cell::Float),
            ("0.0", Cell::Float),
            ("00.5", Cell::Float),
            ("1E5", Cell::Float),
            ("1e400", Cell::Infinite),
            ("-1e400", Cell::Infinite),
            ("1e-400", Cell::Float),
            ("inf", Cell::Infinite),
            ("-Infinity", Cell::Infinite),
            ("nan", Cell::Nan),
            ("NaN", Cell::Nan),
            ("null", Cell::Nan),
            ("N/A", Cell::NullWord),
            ("1,5", Cell::Text),
            ("1_000", Cell::Text),
            ("1 000", Cell::Text),
            ("0x1p3", Cell::Text),
            ("0x10", Cell::Text),
            ("1.5D3", Cell::Text),
            ("1e", Cell::Text),
            ("+", Cell::Text),
            ("-", Cell::Text),
            ("--", Cell::Text),
            ("1.2.3", Cell::Text),
            ("\u{0661}", Cell::Text),
            ("TRUE", Cell::Bool),
            ("false", Cell::Bool),
            ("T", Cell::Text),
            ("yes", Cell::Text),
            ("2024-02-29", Cell::Time),
            ("2024-02-29 10:00:00.5", Cell::Time),
            ("2024-02-29T10:00:00Z", Cell::Time),
            ("9999-12-31", Cell::FarTime),
            ("2024-02-30", Cell::Text),
            ("2024-060", Cell::Text),
            ("2024-02-29T10:00:00+02:00", Cell::Text),
            ("05:35:17.3", Cell::Text),
        ];
        for (text, want) in cases {
            assert_eq!(classify(text.as_bytes()), want, "{text:?}");
        }
        assert_eq!(classify(b"\xe9t\xe9"), Cell::Text);
    }

    #[test]
    fn a_million_random_floats_come_back_bit_for_bit() {
        let mut state = 7_u64;
        let mut text = String::new();
        for _ in 0..1_000_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bits = state ^ (state >> 29);
            let (wide, narrow) = (f64::from_bits(bits), f32::from_bits((bits >> 16) as u32));
            text.clear();
            push_f64(&mut text, wide);
            if wide.is_finite() {
                assert_eq!(classify(text.as_bytes()), Cell::Float, "{text}");
                assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(wide.to_bits()));
            }
            text.clear();
            push_f32(&mut text, narrow);
            if narrow.is_finite() {
                assert_eq!(text.parse::<f32>().map(f32::to_bits), Ok(narrow.to_bits()));
            }
        }
    }

    #[test]
    fn durations_are_seconds() {
        let cases = [
            (0, "0"),
            (1_500_000_000, "1.5"),
            (-1, "-0.000000001"),
            (i64::MIN, "-9223372036.854775808"),
            (3_000_000_000, "3"),
        ];
        for (ns, want) in cases {
            let mut out = String::new();
            push_seconds(&mut out, ns);
            assert_eq!(out, want);
        }
    }
}
