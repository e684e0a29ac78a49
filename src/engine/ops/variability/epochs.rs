//! Reading the epochs of one source out of Arrow columns, in time order.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float32Array, Float64Array, Int64Array};
use arrow_buffer::NullBuffer;
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};

use super::group::Run;
use super::refuse_arrow;
use crate::error::{Error, Result};
use crate::model::table::Column;
use crate::model::units::Dimension;

const DAY_S: f64 = 86_400.0;
const DAY_NS: f64 = 86_400e9;

/// Units that are kept verbatim at import and count days.
const DAY_COUNTS: [&str; 6] = ["MJD", "JD", "HJD", "BJD", "TJD", "BTJD"];

/// Rows of one source in time order.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// They lie so in the input.
    Span(Run),
    /// Gathered and sorted.
    List(&'a [u32]),
}

impl Rows<'_> {
    /// Number of rows.
    pub fn len(self) -> usize {
        match self {
            Rows::Span((start, end)) => (end - start) as usize,
            Rows::List(list) => list.len(),
        }
    }

    /// The row at a place.
    pub fn at(self, place: usize) -> u32 {
        match self {
            Rows::Span((start, _)) => start + place as u32,
            Rows::List(list) => list[place],
        }
    }

    /// All of them.
    pub fn to_vec(self) -> Vec<u32> {
        (0..self.len()).map(|place| self.at(place)).collect()
    }
}

/// A column of values or errors.
#[derive(Debug)]
pub enum Numbers {
    /// As stored.
    F32(Float32Array),
    /// As stored, or made of integers.
    F64(Float64Array),
}

impl Numbers {
    /// From a column of any number type.
    pub fn new(array: &ArrayRef, name: &str) -> Result<Self> {
        match array.data_type() {
            DataType::Float32 => Ok(Numbers::F32(array.as_primitive::<Float32Type>().clone())),
            t if t.is_numeric() => {
                let array = cast(array, &DataType::Float64).map_err(refuse_arrow)?;
                Ok(Numbers::F64(array.as_primitive::<Float64Type>().clone()))
            }
            t => Err(Error::refused(
                format!("band `{name}` is made of numbers, not of {t}"),
                "BAND name(value, error) takes two columns of numbers",
            )),
        }
    }

    /// The numbers of these rows; NULL and infinite ones as NaN.
    pub fn read(&self, rows: Rows<'_>, out: &mut Vec<f64>) {
        match self {
            Numbers::F32(array) => read(array.values(), array.nulls(), rows, out),
            Numbers::F64(array) => read(array.values(), array.nulls(), rows, out),
        }
    }
}

fn read<T: Copy + Into<f64>>(values: &[T], nulls: Option<&NullBuffer>, rows: Rows<'_>, out: &mut Vec<f64>) {
    out.clear();
    match rows {
        Rows::Span((start, end)) => {
            out.extend(values[start as usize..end as usize].iter().map(|&v| v.into()));
            if let Some(nulls) = nulls {
                let nulls = nulls.slice(start as usize, (end - start) as usize);
                if nulls.null_count() > 0 {
                    blank(out, |i| nulls.is_null(i));
                }
            }
        }
        Rows::List(list) => {
            out.extend(list.iter().map(|&row| values[row as usize].into()));
            if let Some(nulls) = nulls {
                blank(out, |i| nulls.is_null(list[i] as usize));
            }
        }
    }
}

fn blank(out: &mut [f64], is_null: impl Fn(usize) -> bool) {
    for (i, value) in out.iter_mut().enumerate() {
        if is_null(i) {
            *value = f64::NAN;
        }
    }
}

/// The time column.
#[derive(Debug)]
pub enum Times {
    /// Integers (ns of a TIME column, whole days) and how many of their unit a day has.
    Ints(Int64Array, f64),
    /// Floats and how many of their unit a day has.
    Floats(Float64Array, f64),
}

impl Times {
    /// From a TIME or DURATION column, or numbers: days unless the column has a unit of time.
    pub fn new(column: &Column, array: &ArrayRef) -> Result<Self> {
        let kind = array.data_type();
        let per_day = match kind {
            DataType::Timestamp(TimeUnit::Nanosecond, _) | DataType::Duration(TimeUnit::Nanosecond) => DAY_NS,
            t if t.is_integer() || t.is_floating() => units_per_day(column)?,
            t => {
                return Err(Error::refused(
                    format!("`{}` is no time: it holds {t}", column.name),
                    "TIME takes a TIME column or numbers of days (MJD, JD)",
                ));
            }
        };
        if kind.is_floating() {
            let array = cast(array, &DataType::Float64).map_err(refuse_arrow)?;
            return Ok(Times::Floats(array.as_primitive::<Float64Type>().clone(), per_day));
        }
        let array = cast(array, &DataType::Int64).map_err(refuse_arrow)?;
        Ok(Times::Ints(array.as_primitive::<Int64Type>().clone(), per_day))
    }

    /// The rows of a source that have a time, in time order, equal times in row order; the others go to `untimed`.
    pub fn arrange<'a>(&self, runs: &[Run], list: &'a mut Vec<u32>, untimed: &mut Vec<u32>) -> Rows<'a> {
        untimed.clear();
        match self {
            Times::Ints(array, _) => {
                let (values, nulls) = (array.values(), array.nulls());
                let key = |row: u32| {
                    let row = row as usize;
                    if nulls.is_some_and(|n| n.is_null(row)) { None } else { Some(values[row]) }
                };
                arrange(runs, key, list, untimed)
            }
            Times::Floats(array, _) => {
                let (values, nulls) = (array.values(), array.nulls());
                let key = |row: u32| {
                    let row = row as usize;
                    let null = nulls.is_some_and(|n| n.is_null(row)) || !values[row].is_finite();
                    if null { None } else { Some(values[row]) }
                };
                arrange(runs, key, list, untimed)
            }
        }
    }

    /// Days since the first of these rows, all of which have a time.
    pub fn days(&self, rows: Rows<'_>, out: &mut Vec<f64>) {
        match self {
            Times::Ints(array, per_day) => {
                let values = array.values();
                let since = |value: i64, first: i64| {
                    let difference = value.checked_sub(first).map(|d| d as f64);
                    difference.unwrap_or(value as f64 - first as f64) / per_day
                };
                since_first(values, rows, since, out);
            }
            Times::Floats(array, per_day) => {
                since_first(array.values(), rows, |value, first| (value - first) / per_day, out);
            }
        }
    }
}

fn since_first<T: Copy>(values: &[T], rows: Rows<'_>, since: impl Fn(T, T) -> f64, out: &mut Vec<f64>) {
    out.clear();
    match rows {
        Rows::Span((start, end)) => {
            let values = &values[start as usize..end as usize];
            out.extend(values.iter().map(|&v| since(v, values[0])));
        }
        Rows::List(list) => {
            out.extend(list.iter().map(|&row| since(values[row as usize], values[list[0] as usize])));
        }
    }
}

fn arrange<'a, K: PartialOrd + Copy>(
    runs: &[Run],
    key: impl Fn(u32) -> Option<K>,
    list: &'a mut Vec<u32>,
    untimed: &mut Vec<u32>,
) -> Rows<'a> {
    if let &[(start, end)] = runs {
        let mut last = key(start);
        let in_order = last.is_some()
            && (start + 1..end).all(|row| {
                let here = key(row);
                // a missing time is less than any
                let ascends = here >= last;
                last = here;
                ascends
            });
        if in_order {
            return Rows::Span((start, end));
        }
    }
    let mut keyed: Vec<(K, u32)> = Vec::new();
    for row in runs.iter().flat_map(|&(start, end)| start..end) {
        match key(row) {
            Some(key) => keyed.push((key, row)),
            None => untimed.push(row),
        }
    }
    // stable: equal times stay in row order
    keyed.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    list.clear();
    list.extend(keyed.iter().map(|k| k.1));
    Rows::List(list)
}

/// How many of the column's unit make a day.
fn units_per_day(column: &Column) -> Result<f64> {
    match &column.unit {
        None => Ok(1.0),
        Some(unit) if unit.dimension == Dimension::Duration => Ok(DAY_S / unit.factor),
        Some(unit) if DAY_COUNTS.iter().any(|d| unit.name.eq_ignore_ascii_case(d)) => Ok(1.0),
        Some(unit) => Err(Error::refused(
            format!("`{}` is in `{unit}`, which is no unit of time", column.name),
            "numbers are read as days if the column has no unit; s, min, h, d and yr are converted",
        )),
    }
}
