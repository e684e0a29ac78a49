//! Values that stand for no value, and what is watched over all batches of an import.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_cast::cast;
use arrow_schema::DataType;

use super::{AngleUnit, Frame, Position};
use crate::error::{Error, Result};
use crate::model::table::{Batch, Schema, Type};

/// Values that often stand for "no value" in numeric columns.
pub const SENTINELS: &[f64] = &[-999.0, -9999.0, 99.0, 99.99, 99.999, 999.0, 9999.0];
/// Rows above which a right ascension of at most 24 is suspected to be in hours.
const HOURS_ROWS: u64 = 1000;
/// One bad position in so many rows refuses an import.
const BAD_ONE_IN: u64 = 1000;

/// The batch with the values of the NULLS clause (column index, value) set to NULL. Values are compared as f64,
/// in a float32 column after rounding to f32 (`99.99` there is the nearest f32).
///
/// # Errors
/// The column is not numeric.
pub fn blank(batch: &Batch, nulls: &[(usize, f64)]) -> Result<Batch> {
    let mut columns = batch.columns().to_vec();
    for &(index, value) in nulls {
        let Some(array) = columns.get_mut(index) else { continue };
        let refuse = |e: arrow_schema::ArrowError| Error::Refused {
            message: format!("NULLS on a column that is not numeric: {e}"),
            help: None,
        };
        let is_narrow = array.data_type() == &DataType::Float32;
        let value = if is_narrow { f64::from(value as f32) } else { value };
        let numbers = cast(array, &DataType::Float64).map_err(refuse)?;
        let is_sentinel = numbers.as_primitive::<Float64Type>().iter().map(|v| Some(v == Some(value)));
        let mask: arrow_array::BooleanArray = is_sentinel.collect();
        *array = arrow_select::nullif::nullif(array, &mask).map_err(refuse)?;
    }
    Batch::try_new(batch.schema(), columns).map_err(|e| Error::Refused { message: e.to_string(), help: None })
}

/// What is watched over all batches of an import: bad positions, hours taken for degrees, unstated sentinels.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    rows: u64,
    bad: u64,
    lon_max: f64,
    extremes: Vec<Extremes>,
}

/// Least and greatest value of a numeric column, each with how often it occurred.
#[derive(Clone, Debug)]
struct Extremes {
    column: usize,
    least: (f64, u64),
    greatest: (f64, u64),
}

impl Watch {
    /// Takes a batch (after [`blank`]) into account; `bad` as [`super::degrees`] counted it.
    pub fn add(&mut self, batch: &Batch, position: Option<&Position>, bad: usize) {
        self.rows += batch.num_rows() as u64;
        self.bad += bad as u64;
        for (index, array) in batch.columns().iter().enumerate() {
            if !Type::of(array.data_type()).is_some_and(Type::is_number) {
                continue;
            }
            let Ok(numbers) = cast(array, &DataType::Float64) else { continue };
            let at = match self.extremes.iter().position(|e| e.column == index) {
                Some(at) => at,
                None => {
                    let (least, greatest) = ((f64::INFINITY, 0), (f64::NEG_INFINITY, 0));
                    self.extremes.push(Extremes { column: index, least, greatest });
                    self.extremes.len() - 1
                }
            };
            let Some(Extremes { least, greatest, .. }) = self.extremes.get_mut(at) else { continue };
            for value in numbers.as_primitive::<Float64Type>().iter().flatten() {
                count_extreme(least, value, value < least.0);
                count_extreme(greatest, value, value > greatest.0);
            }
        }
        let lon = position.and_then(|p| self.extremes.iter().find(|e| e.column == p.lon));
        self.lon_max = lon.map_or(self.lon_max, |e| e.greatest.0);
    }

    /// Rows without a possible position, so far.
    pub fn bad(&self) -> u64 {
        self.bad
    }

    /// The verdict after the last batch: warnings.
    ///
    /// # Errors
    /// More than one row in 1,000 has a position that cannot be.
    pub fn finish(&self, schema: &Schema, position: Option<&Position>) -> Result<Vec<String>> {
        if self.bad.saturating_mul(BAD_ONE_IN) > self.rows {
            return Err(Error::refused(
                format!(
                    "{} of {} rows have no possible position (|dec| > 90, or no angle): more than one in {BAD_ONE_IN}",
                    self.bad, self.rows
                ),
                "is POSITION (lon, lat) in the right order and unit?",
            ));
        }
        let mut warnings = Vec::new();
        let name = |i: usize| schema.columns.get(i).map_or("", |c| c.name.as_str());
        let in_degrees = position.filter(|p| p.lon_unit == AngleUnit::Degrees && p.frame == Frame::Icrs);
        if let Some(p) = in_degrees.filter(|_| self.rows > HOURS_ROWS && self.lon_max <= 24.0) {
            let (lon, max) = (name(p.lon), self.lon_max);
            warnings.push(format!("`{lon}` is read as degrees, but is at most {max}: is it in hours?"));
        }
        for Extremes { column: index, least, greatest } in &self.extremes {
            let is_suspect = |e: &&(f64, u64)| {
                e.1 > 1 && SENTINELS.iter().any(|s| *s == e.0 || f64::from(*s as f32) == e.0)
            };
            if let Some((value, count)) = [least, greatest].into_iter().find(is_suspect) {
                let (column, value) = (name(*index), *value as f32);
                warnings.push(format!(
                    "`{column}` is {value} in {count} rows, which may stand for no value: NULLS ({column} {value})"
                ));
            }
        }
        Ok(warnings)
    }
}

fn count_extreme(extreme: &mut (f64, u64), value: f64, is_beyond: bool) {
    if is_beyond {
        *extreme = (value, 1);
    } else if value == extreme.0 {
        extreme.1 += 1;
    }
}
