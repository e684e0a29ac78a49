//! The functions of the language: one table with name, arguments and result, one evaluation each.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, StringArray, TimestampNanosecondArray};

use super::arithmetic::{finite, map_floats};
use super::{cast, floats, integers};
use crate::error::{Error, Result};
use crate::geometry::healpix;
use crate::model::table::Type;
use crate::model::time::{JD_MINUS_MJD, NS_PER_DAY, Time};

/// A function of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the function of that name in FUNCTIONS, which says what it does")]
pub enum Function {
    Abs,
    Ceiling,
    Floor,
    Round,
    Truncate,
    Mod,
    Power,
    Sqrt,
    Cbrt,
    Sign,
    Exp,
    Log,
    Log10,
    Pi,
    Sin,
    Cos,
    Tan,
    Cot,
    Asin,
    Acos,
    Atan,
    Atan2,
    Degrees,
    Radians,
    Lower,
    Upper,
    Length,
    Substr,
    Coalesce,
    NullIf,
    Year,
    Month,
    Day,
    Doy,
    Hour,
    DateTrunc,
    Mjd,
    Jd,
    Div,
    GaiaHealpixIndex,
    Healpix,
    Timestamp,
    IntervalOverlaps,
    IntervalHas,
    NocaseMatch,
    HashlistHas,
}

/// How a function is called.
#[derive(Clone, Copy, Debug)]
pub struct FunctionInfo {
    /// As written, in capitals.
    pub name: &'static str,
    /// Which.
    pub function: Function,
    /// Types of the arguments; those from `required` on may be left out.
    pub args: &'static [Type],
    /// How many must be given.
    pub required: usize,
    /// Type of the result; `Null` means that of the first argument.
    pub result: Type,
    /// One line for SHOW FUNCTIONS.
    pub about: &'static str,
}

const fn info(
    name: &'static str,
    function: Function,
    args: &'static [Type],
    result: Type,
    about: &'static str,
) -> FunctionInfo {
    FunctionInfo { name, function, args, required: args.len(), result, about }
}

const fn optional(mut info: FunctionInfo, required: usize) -> FunctionInfo {
    info.required = required;
    info
}

use Function as F;
use Type::{Float, Int, Null, Text, Time as T};

/// Every function that works on plain values. Those on positions, spans and regions are the binder's own.
pub const FUNCTIONS: &[FunctionInfo] = &[
    info("ABS", F::Abs, &[Float], Null, "absolute value"),
    info("CEILING", F::Ceiling, &[Float], Float, "smallest whole number not below"),
    info("FLOOR", F::Floor, &[Float], Float, "largest whole number not above"),
    optional(info("ROUND", F::Round, &[Float, Int], Float, "nearest, to n decimals"), 1),
    optional(info("TRUNCATE", F::Truncate, &[Float, Int], Float, "towards zero, to n decimals"), 1),
    info("MOD", F::Mod, &[Float, Float], Null, "remainder, with the sign of the first"),
    info("POWER", F::Power, &[Float, Float], Float, "first to the power of the second"),
    info("SQRT", F::Sqrt, &[Float], Float, "square root, NULL below 0"),
    info("CBRT", F::Cbrt, &[Float], Float, "cube root"),
    info("SIGN", F::Sign, &[Float], Int, "-1, 0 or 1"),
    info("EXP", F::Exp, &[Float], Float, "e to the power"),
    info("LOG", F::Log, &[Float], Float, "natural logarithm, NULL at or below 0"),
    info("LOG10", F::Log10, &[Float], Float, "decimal logarithm, NULL at or below 0"),
    info("PI", F::Pi, &[], Float, "3.14159..."),
    info("SIN", F::Sin, &[Float], Float, "sine of radians"),
    info("COS", F::Cos, &[Float], Float, "cosine of radians"),
    info("TAN", F::Tan, &[Float], Float, "tangent of radians"),
    info("COT", F::Cot, &[Float], Float, "cotangent of radians"),
    info("ASIN", F::Asin, &[Float], Float, "radians"),
    info("ACOS", F::Acos, &[Float], Float, "radians"),
    info("ATAN", F::Atan, &[Float], Float, "radians"),
    info("ATAN2", F::Atan2, &[Float, Float], Float, "radians of (y, x)"),
    info("DEGREES", F::Degrees, &[Float], Float, "radians to degrees"),
    info("RADIANS", F::Radians, &[Float], Float, "degrees to radians"),
    info("LOWER", F::Lower, &[Text], Text, "lower case"),
    info("UPPER", F::Upper, &[Text], Text, "upper case"),
    info("LENGTH", F::Length, &[Text], Int, "number of characters"),
    optional(info("SUBSTR", F::Substr, &[Text, Int, Int], Text, "from character n (1 = first), m long"), 2),
    optional(info("COALESCE", F::Coalesce, &[Null; 64], Null, "first that is not NULL"), 1),
    info("NULLIF", F::NullIf, &[Null, Null], Null, "NULL where both are equal, else the first"),
    info("YEAR", F::Year, &[T], Int, "calendar year"),
    info("MONTH", F::Month, &[T], Int, "1 to 12"),
    info("DAY", F::Day, &[T], Int, "day of the month"),
    info("DOY", F::Doy, &[T], Int, "day of the year, 1 to 366"),
    info("HOUR", F::Hour, &[T], Int, "0 to 23"),
    info(
        "DATE_TRUNC",
        F::DateTrunc,
        &[Text, T],
        T,
        "start of the 'year', 'month', 'day', 'hour', 'minute' or 'second'",
    ),
    info("MJD", F::Mjd, &[T], Float, "Modified Julian Date in days"),
    info("JD", F::Jd, &[T], Float, "Julian Date in days"),
    info("DIV", F::Div, &[Int, Int], Int, "exact integer division, towards zero; NULL by 0"),
    info(
        "GAIA_HEALPIX_INDEX",
        F::GaiaHealpixIndex,
        &[Int, Int],
        Int,
        "nested HEALPix cell of a Gaia source_id: (order, source_id)",
    ),
    info(
        "HEALPIX",
        F::Healpix,
        &[Int, Float, Float],
        Int,
        "nested HEALPix cell: (order, ra, dec) or (order, pos)",
    ),
    info("IVO_HEALPIX_INDEX", F::Healpix, &[Int, Float, Float], Int, "as HEALPIX"),
    info("TIMESTAMP", F::Timestamp, &[Text], T, "instant that a text names, NULL if it names none"),
    info(
        "IVO_INTERVAL_OVERLAPS",
        F::IntervalOverlaps,
        &[Float; 4],
        Int,
        "1 where low1..high1 and low2..high2 meet",
    ),
    info(
        "IVO_INTERVAL_HAS",
        F::IntervalHas,
        &[Float; 3],
        Int,
        "1 where a value lies in low..high: (value, low, high)",
    ),
    info("IVO_NOCASEMATCH", F::NocaseMatch, &[Text, Text], Int, "1 where a text is ILIKE a pattern"),
    info("IVO_HASHLIST_HAS", F::HashlistHas, &[Text, Text], Int, "1 where a list 'a#b#c' has a word"),
];

/// What DATE_TRUNC cuts to.
pub const DATE_UNITS: &[&str] = &["year", "month", "day", "hour", "minute", "second"];

impl Function {
    /// Its entry in [`FUNCTIONS`], by name in any case.
    pub fn find(name: &str) -> Option<&'static FunctionInfo> {
        FUNCTIONS.iter().find(|f| f.name.eq_ignore_ascii_case(name))
    }
}

pub(super) fn call(function: Function, args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    match function {
        F::Pi => Ok(Arc::new(Float64Array::from_value(std::f64::consts::PI, rows))),
        F::Coalesce => coalesce(args),
        // The binder writes NULLIF as CASE.
        F::NullIf => Ok(args[0].clone()),
        F::Lower | F::Upper | F::Length | F::Substr => text_function(function, args),
        F::Year | F::Month | F::Day | F::Doy | F::Hour | F::Mjd | F::Jd => time_part(function, &args[0]),
        F::Timestamp => cast(&args[0], Type::Time),
        F::IntervalOverlaps | F::IntervalHas => Ok(super::udf::interval(args)?),
        F::NocaseMatch | F::HashlistHas => super::udf::text_test(function, args),
        F::DateTrunc => date_trunc(&args[0], &args[1]),
        F::Div | F::GaiaHealpixIndex | F::Healpix => integer_function(function, args),
        F::Mod | F::Power | F::Atan2 => two_floats(function, args),
        F::Round | F::Truncate => rounded(function, args),
        F::Sign => {
            let sign = |v: f64| i64::from(v > 0.0) - i64::from(v < 0.0);
            Ok(Arc::new(floats(&args[0])?.iter().map(|v| v.map(sign)).collect::<Int64Array>()))
        }
        F::Abs if Type::of(args[0].data_type()) == Some(Type::Int) => {
            let values = integers(&args[0])?;
            let absolute = |v: i64| v.checked_abs().ok_or_else(|| does_not_fit("ABS"));
            let values = values.iter().map(|v| v.map(absolute).transpose());
            Ok(Arc::new(values.collect::<Result<Int64Array>>()?))
        }
        _ => one_float(function, &args[0]),
    }
}

fn one_float(function: Function, value: &ArrayRef) -> Result<ArrayRef> {
    let f: fn(f64) -> f64 = match function {
        F::Ceiling => f64::ceil,
        F::Floor => f64::floor,
        F::Sqrt => f64::sqrt,
        F::Cbrt => f64::cbrt,
        F::Cot => |v| v.tan().recip(),
        F::Exp => f64::exp,
        F::Log => f64::ln,
        F::Log10 => f64::log10,
        F::Sin => f64::sin,
        F::Cos => f64::cos,
        F::Tan => f64::tan,
        F::Asin => f64::asin,
        F::Acos => f64::acos,
        F::Atan => f64::atan,
        F::Degrees => f64::to_degrees,
        F::Radians => f64::to_radians,
        _ => f64::abs,
    };
    map_floats(value, f)
}

fn two_floats(function: Function, args: &[ArrayRef]) -> Result<ArrayRef> {
    let both_int = args.iter().all(|a| Type::of(a.data_type()) == Some(Type::Int));
    if function == F::Mod && both_int {
        return super::arithmetic::arithmetic(super::ArithmeticOp::Mod, &args[0], &args[1]);
    }
    let (a, b) = (floats(&args[0])?, floats(&args[1])?);
    let values = a.iter().zip(b.iter()).map(|(a, b)| {
        let (a, b) = (a?, b?);
        Some(match function {
            F::Power => a.powf(b),
            F::Atan2 => a.atan2(b),
            _ => a % b,
        })
    });
    Ok(Arc::new(finite(values.collect())))
}

fn rounded(function: Function, args: &[ArrayRef]) -> Result<ArrayRef> {
    let values = floats(&args[0])?;
    let decimals = args.get(1).map(integers).transpose()?;
    let result = values.iter().enumerate().map(|(i, v)| {
        let n = match &decimals {
            Some(d) if d.is_null(i) => return None,
            Some(d) => d.value(i).clamp(-308, 308) as i32,
            None => 0,
        };
        let (v, scale) = (v?, 10f64.powi(n));
        let apply = |x: f64| if function == F::Round { x.round() } else { x.trunc() };
        // Dividing by a negative power keeps ROUND(x, 2) at the nearest double of that decimal.
        Some(if n >= 0 { apply(v * scale) / scale } else { apply(v / 10f64.powi(-n)) * 10f64.powi(-n) })
    });
    Ok(Arc::new(finite(result.collect())))
}

fn text_function(function: Function, args: &[ArrayRef]) -> Result<ArrayRef> {
    let texts = cast(&args[0], Type::Text)?;
    let texts = texts.as_string::<i32>();
    if function == F::Length {
        let lengths = texts.iter().map(|v| v.map(|v| v.chars().count() as i64));
        return Ok(Arc::new(lengths.collect::<Int64Array>()));
    }
    let numbers = args[1..].iter().map(integers).collect::<Result<Vec<_>>>()?;
    let result = texts.iter().enumerate().map(|(i, v)| {
        let v = v?;
        match function {
            F::Lower => Some(v.to_lowercase()),
            F::Upper => Some(v.to_uppercase()),
            _ => {
                let number = |k: usize| numbers.get(k).map(|n| n.is_valid(i).then(|| n.value(i)));
                let start = number(0)??;
                let end = match number(1) {
                    Some(length) => start.saturating_add(length?.max(0)),
                    None => i64::MAX,
                };
                let inside = |(at, _): &(usize, char)| (start..end).contains(&(*at as i64 + 1));
                Some(v.chars().enumerate().filter(inside).map(|(_, c)| c).collect())
            }
        }
    });
    Ok(Arc::new(result.collect::<StringArray>()))
}

fn time_part(function: Function, times: &ArrayRef) -> Result<ArrayRef> {
    let times = integers(times)?;
    if matches!(function, F::Mjd | F::Jd) {
        let base = if function == F::Jd { JD_MINUS_MJD } else { 0.0 };
        return Ok(Arc::new(times.iter().map(|t| t.map(|t| Time(t).mjd() + base)).collect::<Float64Array>()));
    }
    let parts = times.iter().map(|t| {
        let c = Time(t?).civil();
        Some(match function {
            F::Year => i64::from(c.year()),
            F::Month => i64::from(c.month()),
            F::Day => i64::from(c.day()),
            F::Doy => i64::from(c.date().day_of_year()),
            _ => i64::from(c.hour()),
        })
    });
    Ok(Arc::new(parts.collect::<Int64Array>()))
}

fn date_trunc(units: &ArrayRef, times: &ArrayRef) -> Result<ArrayRef> {
    let (units, times) = (cast(units, Type::Text)?, integers(times)?);
    let values = units.as_string::<i32>().iter().zip(times.iter()).map(|(unit, t)| {
        let t = t?;
        let c = Time(t).civil();
        let whole = |ns: i64| Some(t - t.rem_euclid(ns));
        match unit?.to_ascii_lowercase().as_str() {
            "year" => Time::from_ordinal(c.year(), 1, (0, 0, 0), 0).map(|t| t.0),
            "month" => Time::from_date((c.year(), c.month(), 1), (0, 0, 0), 0).map(|t| t.0),
            "day" => whole(NS_PER_DAY),
            "hour" => whole(NS_PER_DAY / 24),
            "minute" => whole(NS_PER_DAY / 1440),
            "second" => whole(NS_PER_DAY / 86_400),
            _ => None,
        }
    });
    Ok(Arc::new(values.collect::<TimestampNanosecondArray>().with_timezone("UTC")))
}

fn integer_function(function: Function, args: &[ArrayRef]) -> Result<ArrayRef> {
    let first = integers(&args[0])?;
    if function == F::Healpix {
        let (ra, dec) = (floats(&args[1])?, floats(&args[2])?);
        let cells = first.iter().zip(ra.iter().zip(dec.iter())).map(|(order, (ra, dec))| {
            let (order, ra, dec) = (order?, ra?, dec?);
            let is_valid = (0..=29).contains(&order) && dec.abs() <= 90.0;
            is_valid.then(|| healpix::cell(order as u8, ra, dec) as i64)
        });
        return Ok(Arc::new(cells.collect::<Int64Array>()));
    }
    let second = integers(&args[1])?;
    if function == F::Div {
        let divide = |a: i64, b: i64| match b {
            0 => Ok(None),
            _ => a.checked_div(b).map(Some).ok_or_else(|| does_not_fit("DIV")),
        };
        let values =
            first.iter().zip(second.iter()).map(|(a, b)| a.zip(b).map_or(Ok(None), |(a, b)| divide(a, b)));
        return Ok(Arc::new(values.collect::<Result<Int64Array>>()?));
    }
    let values = first.iter().zip(second.iter()).map(|(a, b)| {
        // A Gaia source_id carries its order-12 nested cell from bit 35 upwards (Gaia DR3 documentation, 20.1.1).
        let (a, b) = (a?, b?);
        (0..=12).contains(&a).then(|| (b >> 35) >> (2 * (12 - a)))
    });
    Ok(Arc::new(values.collect::<Int64Array>()))
}

fn does_not_fit(name: &str) -> Error {
    Error::refused(format!("the result of {name} does not fit 64 bits"), "CAST the value to FLOAT")
}

fn coalesce(args: &[ArrayRef]) -> Result<ArrayRef> {
    let mut result = args[args.len() - 1].clone();
    for value in args.iter().rev().skip(1) {
        let mask = arrow_arith::boolean::is_not_null(value).map_err(super::arrow_error)?;
        result = arrow_select::zip::zip(&mask, value, &result).map_err(super::arrow_error)?;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_one_row() {
        let float = |v: f64| Arc::new(Float64Array::from(vec![v])) as ArrayRef;
        let int = |v: i64| Arc::new(Int64Array::from(vec![v])) as ArrayRef;
        let text = |v: &str| Arc::new(StringArray::from(vec![v])) as ArrayRef;
        let time = |v: &str| {
            let ns = Time::parse(v).map(|t| t.0).unwrap_or(0);
            Arc::new(TimestampNanosecondArray::from(vec![ns]).with_timezone("UTC")) as ArrayRef
        };
        let cases: Vec<(Function, Vec<ArrayRef>, &str)> = vec![
            (F::Sqrt, vec![float(-1.0)], "NULL"),
            (F::Log, vec![float(0.0)], "NULL"),
            (F::Round, vec![float(2.345), int(2)], "2.35"),
            (F::Truncate, vec![float(-2.7)], "-2"),
            (F::Mod, vec![int(-7), int(3)], "-1"),
            (F::Mod, vec![int(7), int(0)], "NULL"),
            (F::Div, vec![int(i64::MAX), int(2)], "4611686018427387903"),
            (F::Substr, vec![text("ANMO"), int(2), int(2)], "NM"),
            (F::Length, vec![text("é")], "1"),
            (F::Doy, vec![time("2024-02-29")], "60"),
            (F::DateTrunc, vec![text("month"), time("2024-02-29T10:00")], "2024-02-01T00:00:00Z"),
            (F::Mjd, vec![time("2024-02-03T12:00")], "60343.5"),
            (F::GaiaHealpixIndex, vec![int(12), int(4_295_806_720)], "0"),
            (F::GaiaHealpixIndex, vec![int(0), int(11 << 59)], "11"),
            (F::Abs, vec![int(-3)], "3"),
        ];
        for (function, args, want) in cases {
            let got = call(function, &args, 1).and_then(|v| cast(&v, Type::Text)).map(|v| {
                let v = v.as_string::<i32>();
                if v.is_null(0) { "NULL".to_owned() } else { v.value(0).to_owned() }
            });
            assert_eq!(got.ok().as_deref(), Some(want), "{function:?}");
        }
    }
}
