//! Columns as degrees: units, sexagesimal text, galactic to ICRS.

use std::f64::consts::PI;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::AngleUnit;
use crate::error::{Error, Result};

/// A position column in degrees, and the rows (in order) whose text is no angle.
pub(super) fn column_degrees(array: &ArrayRef, unit: AngleUnit) -> Result<(Float64Array, Rows)> {
    let is_hours = unit == AngleUnit::SexagesimalHours;
    if is_hours || unit == AngleUnit::SexagesimalDegrees {
        let text = array.as_string_opt::<i32>();
        let text = text.ok_or_else(|| Error::refused("a position column is not of the type it had", ""))?;
        let values: Vec<Option<f64>> =
            text.iter().map(|t| sexagesimal(t?).map(|v| if is_hours { v * 15.0 } else { v })).collect();
        let is_bad = |row: &usize| {
            let is_blank = text.is_null(*row) || text.value(*row).trim().is_empty();
            !is_blank && values.get(*row).is_some_and(Option::is_none)
        };
        let bad = (0..text.len()).filter(is_bad).collect();
        return Ok((Float64Array::from(values), Rows(bad)));
    }
    let values = cast(array, &DataType::Float64).map_err(|e| Error::Refused {
        message: format!("a position column is no number: {e}"),
        help: None,
    })?;
    let values = values.as_primitive::<Float64Type>();
    let values = match unit {
        AngleUnit::Radians => values.unary(|v: f64| v * (180.0 / PI)),
        AngleUnit::Hours => values.unary(|v: f64| v * 15.0),
        _ => values.clone(),
    };
    Ok((values, Rows(Vec::new())))
}

/// Row numbers in order.
pub(super) struct Rows(Vec<usize>);

impl Rows {
    pub(super) fn contains(&self, row: &usize) -> bool {
        self.0.binary_search(row).is_ok()
    }
}

/// Into [0, 360).
pub(super) fn wrap_degrees(lon: f64) -> f64 {
    if (0.0..360.0).contains(&lon) {
        return lon;
    }
    let wrapped = lon.rem_euclid(360.0);
    // a tiny negative angle rounds up to the full circle
    if wrapped >= 360.0 { 0.0 } else { wrapped }
}

/// `05h35m17.3s`, `05:35:17.3`, `-05 23 28`, `-05d23m28s`: one to three parts, the first with the sign, minutes
/// and seconds below 60, a fraction only in the last. The value is in units of the first part. One part alone
/// needs its unit letter: a bare number in a text column may be anything.
pub(super) fn sexagesimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let (sign, body) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(body) => (-1.0, body),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let is_mark =
        |c: char| matches!(c, ':' | 'h' | 'm' | 's' | 'd' | '\u{b0}' | '\'' | '"' | '\u{2032}' | '\u{2033}');
    let parts: Vec<&str> =
        body.split(|c: char| c.is_whitespace() || is_mark(c)).filter(|p| !p.is_empty()).collect();
    if parts.is_empty() || parts.len() > 3 || (parts.len() == 1 && !body.ends_with(is_mark)) {
        return None;
    }
    let mut value = 0.0;
    let mut scale = 1.0;
    for (i, part) in parts.iter().enumerate() {
        let is_last = i + 1 == parts.len();
        let is_digit = |b: u8| b.is_ascii_digit() || (is_last && b == b'.');
        let number = part.parse::<f64>().ok().filter(|_| part.bytes().all(is_digit))?;
        if i > 0 && number >= 60.0 {
            return None;
        }
        value += number / scale;
        scale *= 60.0;
    }
    Some(sign * value)
}

/// Columns of the matrix that turns ICRS vectors into galactic ones.
/// Source: The Hipparcos and Tycho Catalogues, ESA SP-1200 (1997), volume 1, equation 1.5.11.
const ICRS_TO_GALACTIC: [[f64; 3]; 3] = [
    [-0.054_875_560_416_215_4, -0.873_437_090_234_885, -0.483_835_015_548_713_2],
    [0.494_109_427_875_583_7, -0.444_829_629_960_011_2, 0.746_982_244_497_219],
    [-0.867_666_149_019_004_7, -0.198_076_373_431_201_5, 0.455_983_776_175_066_9],
];

/// Right ascension and declination (degrees, ICRS) of galactic longitude and latitude (degrees).
pub fn galactic_to_icrs(l_deg: f64, b_deg: f64) -> (f64, f64) {
    let (l, b) = (l_deg.to_radians(), b_deg.to_radians());
    let galactic = [b.cos() * l.cos(), b.cos() * l.sin(), b.sin()];
    let mut icrs = [0.0; 3];
    for (row, value) in ICRS_TO_GALACTIC.iter().zip(galactic) {
        for (sum, m) in icrs.iter_mut().zip(row) {
            *sum += m * value;
        }
    }
    let [x, y, z] = icrs;
    (wrap_degrees(y.atan2(x).to_degrees()), z.atan2(x.hypot(y)).to_degrees())
}
