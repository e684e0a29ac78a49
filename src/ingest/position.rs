//! Which columns of a catalogue are its position, key and motion, and the position of a row in degrees ICRS.
//!
//! The rule, first match wins: the POSITION clause; the pair of columns whose main UCD is `pos.eq.ra` and
//! `pos.eq.dec` with `meta.main`; the only pair with that UCD; the same for `pos.galactic.lon` and `.lat`; a pair
//! of names. Two pairs of equal rank are an error that lists them. What was assumed is in [`Position::assumed`].
//! UCDs: UCD1+ controlled vocabulary, IVOA; also the older `POS_EQ_RA_MAIN`.

use std::f64::consts::PI;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array};
use arrow_cast::cast;
use arrow_schema::DataType;

use crate::error::{Error, Result};
use crate::model::table::{Batch, Column, Schema, Type};
use crate::model::units::{Dimension, Unit};

/// Names of position columns, longitude and latitude, in any case.
const NAME_PAIRS: &[(&str, &str)] = &[
    ("ra", "dec"),
    ("ra_icrs", "de_icrs"),
    ("RAJ2000", "DEJ2000"),
    ("_RAJ2000", "_DEJ2000"),
    ("raMean", "decMean"),
    ("ALPHA_J2000", "DELTA_J2000"),
];
/// Names of the components of proper motion, in any case.
const MOTION_NAMES: &[(&str, &str)] = &[("pmra", "pmdec"), ("pmRA", "pmDE")];
/// Names of the epoch of the positions, in any case.
const EPOCH_NAMES: &[&str] = &["ref_epoch", "epoch"];
/// Values that often stand for "no value" in numeric columns.
pub const SENTINELS: &[f64] = &[-999.0, -9999.0, 99.0, 99.99, 99.999, 999.0, 9999.0];
/// Rows above which a right ascension of at most 24 is suspected to be in hours.
const HOURS_ROWS: u64 = 1000;
/// One bad position in so many rows refuses an import.
const BAD_ONE_IN: u64 = 1000;

/// How the numbers of a position column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AngleUnit {
    /// Degrees.
    Degrees,
    /// Radians.
    Radians,
    /// Hours of 15 degrees.
    Hours,
    /// Text: hours, minutes, seconds.
    SexagesimalHours,
    /// Text: degrees, minutes, seconds.
    SexagesimalDegrees,
}

/// The frame of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// ICRS, or FK5 at J2000 taken as ICRS.
    Icrs,
    /// Galactic longitude and latitude, rotated when read.
    Galactic,
}

/// The position columns of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// Index of the longitude (right ascension).
    pub lon: usize,
    /// Index of the latitude (declination).
    pub lat: usize,
    /// How the longitude is read.
    pub lon_unit: AngleUnit,
    /// How the latitude is read.
    pub lat_unit: AngleUnit,
    /// Of both.
    pub frame: Frame,
    /// One line that says what was assumed, and why.
    pub assumed: String,
}

/// Finds the position columns; `None` when nothing says which they are.
///
/// # Errors
/// The clause names a column that is not there; two pairs of equal rank; a unit or type that is no angle; a frame
/// that is refused (FK4, ecliptic).
pub fn detect(schema: &Schema, clause: Option<(&str, &str)>) -> Result<Option<Position>> {
    if let Some((lon, lat)) = clause {
        let pair = (named(schema, lon)?, named(schema, lat)?);
        return position(schema, pair, "POSITION clause").map(Some);
    }
    for (lon, lat) in [("pos.eq.ra", "pos.eq.dec"), ("pos.galactic.lon", "pos.galactic.lat")] {
        for is_main in [true, false] {
            let (lons, lats) = (with_ucd(schema, lon, is_main), with_ucd(schema, lat, is_main));
            let why = if is_main { "UCD with meta.main" } else { "UCD" };
            if let Some(pair) = single_pair(schema, &lons, &lats, why)? {
                return position(schema, pair, why).map(Some);
            }
        }
    }
    let found: Vec<(usize, usize)> = NAME_PAIRS.iter().filter_map(|p| name_pair(schema, *p)).collect();
    match found.as_slice() {
        [] => Ok(None),
        [pair] => position(schema, *pair, "column names").map(Some),
        several => Err(ambiguous(schema, several, "names")),
    }
}

fn named(schema: &Schema, name: &str) -> Result<usize> {
    schema.index_of(name).ok_or_else(|| {
        let names: Vec<&str> = schema.columns.iter().take(40).map(|c| c.name.as_str()).collect();
        Error::refused(format!("there is no column `{name}`"), format!("columns: {}", names.join(", ")))
    })
}

fn name_pair(schema: &Schema, (lon, lat): (&str, &str)) -> Option<(usize, usize)> {
    schema.index_of(lon).zip(schema.index_of(lat))
}

/// Columns whose first UCD word is `word` (or its UCD1 form), with `meta.main` or whatever else.
fn with_ucd(schema: &Schema, word: &str, is_main: bool) -> Vec<usize> {
    let old = match word {
        "pos.eq.ra" => "pos_eq_ra",
        "pos.eq.dec" => "pos_eq_dec",
        "pos.galactic.lon" => "pos_gal_lon",
        "pos.galactic.lat" => "pos_gal_lat",
        _ => "",
    };
    let matches = |column: &&(usize, &Column)| {
        let ucd = column.1.ucd.as_deref().unwrap_or("").to_ascii_lowercase();
        let mut words = ucd.split(';').map(str::trim);
        let first = words.next().unwrap_or("");
        let is_old_main = !old.is_empty() && first.strip_suffix("_main") == Some(old);
        let is_word = first == word || (!old.is_empty() && first == old) || is_old_main;
        is_word && (!is_main || is_old_main || words.any(|w| w == "meta.main"))
    };
    let columns: Vec<(usize, &Column)> = schema.columns.iter().enumerate().collect();
    columns.iter().filter(matches).map(|c| c.0).collect()
}

/// The pair, if both sides have just one; an error if one side has several.
fn single_pair(schema: &Schema, lons: &[usize], lats: &[usize], why: &str) -> Result<Option<(usize, usize)>> {
    match (lons, lats) {
        ([lon], [lat]) => Ok(Some((*lon, *lat))),
        ([], _) | (_, []) => Ok(None),
        _ => {
            let count = lons.len().max(lats.len());
            let last = |side: &[usize], i: usize| side.get(i).or(side.last()).copied().unwrap_or(0);
            let pairs: Vec<_> = (0..count).map(|i| (last(lons, i), last(lats, i))).collect();
            Err(ambiguous(schema, &pairs, why))
        }
    }
}

fn ambiguous(schema: &Schema, pairs: &[(usize, usize)], by: &str) -> Error {
    let name = |i: usize| schema.columns.get(i).map_or("", |c| c.name.as_str());
    let list: Vec<String> = pairs.iter().map(|p| format!("({}, {})", name(p.0), name(p.1))).collect();
    let help = list.first().map(|first| format!("write which: POSITION {first}")).unwrap_or_default();
    Error::refused(
        format!("several pairs of columns may be the position, by {by}: {}", list.join(", ")),
        help,
    )
}

/// Unit and frame of a pair that was chosen.
fn position(schema: &Schema, (lon, lat): (usize, usize), why: &str) -> Result<Position> {
    let column = |i: usize| schema.columns.get(i).ok_or_else(|| Error::refused("no such column", ""));
    let (lon_column, lat_column) = (column(lon)?, column(lat)?);
    let (frame, note) = frame_of(lon_column, lat_column)?;
    let lon_unit = angle_unit(lon_column, frame == Frame::Icrs)?;
    let lat_unit = angle_unit(lat_column, false)?;
    let stated = |c: &Column, unit: AngleUnit| match (unit, &c.unit) {
        (AngleUnit::SexagesimalHours, _) => "sexagesimal hours".to_owned(),
        (AngleUnit::SexagesimalDegrees, _) => "sexagesimal degrees".to_owned(),
        (_, Some(unit)) => unit.name.clone(),
        (_, None) => "no unit: degrees".to_owned(),
    };
    let assumed = format!(
        "position: {} ({}), {} ({}), {note}, by {why}",
        lon_column.name,
        stated(lon_column, lon_unit),
        lat_column.name,
        stated(lat_column, lat_unit),
    );
    Ok(Position { lon, lat, lon_unit, lat_unit, frame, assumed })
}

/// The frame by UCD and name, with the words for it.
fn frame_of(lon: &Column, lat: &Column) -> Result<(Frame, &'static str)> {
    let ucd = |c: &Column| c.ucd.as_deref().unwrap_or("").to_ascii_lowercase();
    let (lon_ucd, name) = (ucd(lon), lon.name.to_ascii_lowercase());
    let is = |names: &[&str]| names.contains(&name.trim_start_matches('_'));
    let has_unit_of = |part: &str| name.contains(part) || lat.name.to_ascii_lowercase().contains(part);
    if lon_ucd.starts_with("pos.ecliptic") || is(&["elon", "ecl_lon", "eclon", "lambda"]) {
        return Err(Error::refused(
            format!("`{}` is an ecliptic longitude: that frame is not read", lon.name),
            "convert the position to ICRS, or name an equatorial or galactic pair with POSITION (lon, lat)",
        ));
    }
    if has_unit_of("b1950") || has_unit_of("fk4") {
        return Err(Error::refused(
            format!("`{}` is a position in FK4 (B1950): that frame is not read", lon.name),
            "convert the position to ICRS, or name another pair with POSITION (lon, lat)",
        ));
    }
    let is_galactic = is(&["l", "glon", "gal_l", "gal_lon"]);
    if lon_ucd.starts_with("pos.galactic") || lon_ucd.starts_with("pos_gal") || is_galactic {
        return Ok((Frame::Galactic, "galactic, rotated to ICRS"));
    }
    match has_unit_of("2000") || has_unit_of("fk5") {
        true => Ok((Frame::Icrs, "FK5 J2000 taken as ICRS")),
        false => Ok((Frame::Icrs, "ICRS")),
    }
}

fn angle_unit(column: &Column, is_hours_as_text: bool) -> Result<AngleUnit> {
    let refuse = |what: String| {
        Error::refused(
            format!("column `{}` {what}", column.name),
            "a position is in deg, rad, h or hourangle, or sexagesimal text",
        )
    };
    match column.kind() {
        Type::Text if is_hours_as_text => return Ok(AngleUnit::SexagesimalHours),
        Type::Text => return Ok(AngleUnit::SexagesimalDegrees),
        kind if kind.is_number() => {}
        kind => return Err(refuse(format!("is {}, not an angle", kind.phrase()))),
    }
    let Some(Unit { name, dimension, .. }) = &column.unit else {
        return Ok(AngleUnit::Degrees);
    };
    match (name.to_ascii_lowercase().as_str(), dimension) {
        ("deg" | "degree" | "degrees" | "\u{b0}", _) => Ok(AngleUnit::Degrees),
        ("rad" | "radian" | "radians", _) => Ok(AngleUnit::Radians),
        ("h" | "hr" | "hour" | "hours" | "hourangle", _) => Ok(AngleUnit::Hours),
        (_, Dimension::Opaque) => Err(refuse(format!("has the unit `{name}`"))),
        _ => Err(refuse(format!("is in {name}"))),
    }
}

/// Right ascension and declination (degrees, ICRS, RA in [0, 360)) of each row of a batch, NULL where either is
/// NULL or cannot be a position; `bad` counts the latter (|dec| > 90, text that is no angle).
///
/// # Errors
/// The batch does not have the columns of the schema that [`detect`] saw.
pub fn degrees(position: &Position, batch: &Batch) -> Result<(Float64Array, Float64Array, usize)> {
    let column = |i: usize, unit: AngleUnit| match batch.columns().get(i) {
        Some(array) => column_degrees(array, unit),
        None => Err(Error::refused("the batch has no position columns", "")),
    };
    let (lons, lons_bad) = column(position.lon, position.lon_unit)?;
    let (lats, lats_bad) = column(position.lat, position.lat_unit)?;
    let mut bad = 0;
    let mut ra_deg = Vec::with_capacity(batch.num_rows());
    let mut dec_deg = Vec::with_capacity(batch.num_rows());
    for (row, pair) in lons.iter().zip(&lats).enumerate() {
        let point = match pair {
            (Some(lon), Some(lat)) if lat.abs() <= 90.0 && lon.is_finite() => Some(match position.frame {
                Frame::Icrs => (wrap_degrees(lon), lat),
                Frame::Galactic => galactic_to_icrs(lon, lat),
            }),
            (Some(lon), Some(lat)) => {
                bad += usize::from(lat.is_finite() && lon.is_finite());
                None
            }
            _ => {
                bad += usize::from(lons_bad.contains(&row) || lats_bad.contains(&row));
                None
            }
        };
        ra_deg.push(point.map(|p| p.0));
        dec_deg.push(point.map(|p| p.1));
    }
    Ok((Float64Array::from(ra_deg), Float64Array::from(dec_deg), bad))
}

/// A position column in degrees, and the rows (in order) whose text is no angle.
fn column_degrees(array: &ArrayRef, unit: AngleUnit) -> Result<(Float64Array, Rows)> {
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
struct Rows(Vec<usize>);

impl Rows {
    fn contains(&self, row: &usize) -> bool {
        self.0.binary_search(row).is_ok()
    }
}

/// Into [0, 360).
fn wrap_degrees(lon: f64) -> f64 {
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
fn sexagesimal(text: &str) -> Option<f64> {
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
    [0.494_109_427_875_583_7, -0.444_829_629_960_011_2, 0.746_982_244_497_218_9],
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

/// The key column: the KEY clause, else the column with UCD `meta.id;meta.main` (or `ID_MAIN`), else none.
///
/// # Errors
/// The clause names a column that is not there; several columns have that UCD.
pub fn key(schema: &Schema, clause: Option<&str>) -> Result<Option<usize>> {
    if let Some(name) = clause {
        return named(schema, name).map(Some);
    }
    let is_key = |c: &Column| {
        let ucd = c.ucd.as_deref().unwrap_or("").to_ascii_lowercase();
        let mut words = ucd.split(';').map(str::trim);
        let first = words.next();
        first == Some("id_main") || (first == Some("meta.id") && words.any(|w| w == "meta.main"))
    };
    let found: Vec<usize> =
        (0..schema.columns.len()).filter(|&i| schema.columns.get(i).is_some_and(is_key)).collect();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => {
            let names: Vec<&str> =
                several.iter().filter_map(|&i| schema.columns.get(i)).map(|c| c.name.as_str()).collect();
            Err(Error::refused(
                format!("several columns are keys by their UCD: {}", names.join(", ")),
                format!("write which: KEY {}", names.first().unwrap_or(&"")),
            ))
        }
    }
}

/// The columns of motion: proper motion (RA times cos dec) and the epoch of the positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Motion {
    /// Index of the motion in right ascension times cos dec.
    pub pm_ra: usize,
    /// Index of the motion in declination.
    pub pm_dec: usize,
    /// mas/yr in one unit of either (mas/yr where they have none).
    pub mas_per_year: (f64, f64),
    /// Index of the epoch of the positions.
    pub epoch: Option<usize>,
}

/// Finds motion and epoch, by UCD (`pos.pm;pos.eq.ra`), else by name (`pmra`, `pmdec`; `ref_epoch`); `None`
/// without both components or when a unit is no angular rate.
pub fn motion(schema: &Schema) -> Option<Motion> {
    let by_ucd = |second: &str| {
        let is = |c: &Column| {
            let ucd = c.ucd.as_deref().unwrap_or("").to_ascii_lowercase();
            let mut words = ucd.split(';').map(str::trim);
            words.next() == Some("pos.pm") && words.any(|w| w == second)
        };
        let mut found = schema.columns.iter().enumerate().filter(|c| is(c.1)).map(|c| c.0);
        found.next().filter(|_| found.next().is_none())
    };
    let pair = by_ucd("pos.eq.ra").zip(by_ucd("pos.eq.dec"));
    let (pm_ra, pm_dec) = pair.or_else(|| MOTION_NAMES.iter().find_map(|p| name_pair(schema, *p)))?;
    let wanted = Unit::find("mas/yr")?;
    let rate = |i: usize| {
        let column = schema.columns.get(i).filter(|c| c.kind().is_number())?;
        column.unit.as_ref().map_or(Some(1.0), |u| u.convert(1.0, &wanted))
    };
    let epoch = EPOCH_NAMES.iter().find_map(|n| schema.index_of(n));
    Some(Motion { pm_ra, pm_dec, mas_per_year: (rate(pm_ra)?, rate(pm_dec)?), epoch })
}

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
    /// Per numeric column: index, least and greatest value with how often each occurred.
    extremes: Vec<(usize, (f64, u64), (f64, u64))>,
}

impl Watch {
    /// Takes a batch (after [`blank`]) into account; `bad` as [`degrees`] counted it.
    pub fn add(&mut self, batch: &Batch, position: Option<&Position>, bad: usize) {
        self.rows += batch.num_rows() as u64;
        self.bad += bad as u64;
        for (index, array) in batch.columns().iter().enumerate() {
            if !Type::of(array.data_type()).is_some_and(Type::is_number) {
                continue;
            }
            let Ok(numbers) = cast(array, &DataType::Float64) else { continue };
            let at = match self.extremes.iter().position(|e| e.0 == index) {
                Some(at) => at,
                None => {
                    self.extremes.push((index, (f64::INFINITY, 0), (f64::NEG_INFINITY, 0)));
                    self.extremes.len() - 1
                }
            };
            let Some((_, least, greatest)) = self.extremes.get_mut(at) else { continue };
            for value in numbers.as_primitive::<Float64Type>().iter().flatten() {
                count_extreme(least, value, value < least.0);
                count_extreme(greatest, value, value > greatest.0);
            }
        }
        let lon = position.and_then(|p| self.extremes.iter().find(|e| e.0 == p.lon));
        self.lon_max = lon.map_or(self.lon_max, |e| e.2.0);
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
        if let Some(p) = position.filter(|p| p.lon_unit == AngleUnit::Degrees && p.frame == Frame::Icrs) {
            if self.rows > HOURS_ROWS && self.lon_max <= 24.0 {
                let (lon, max) = (name(p.lon), self.lon_max);
                warnings.push(format!("`{lon}` is read as degrees, but is at most {max}: is it in hours?"));
            }
        }
        for (index, least, greatest) in &self.extremes {
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
