//! Which columns of a catalogue are its position, key and motion, and the position of a row in degrees ICRS.
//!
//! The rule, first match wins: the POSITION clause; the pair of columns whose main UCD is `pos.eq.ra` and
//! `pos.eq.dec` with `meta.main`; the only pair with that UCD; the same for `pos.galactic.lon` and `.lat`; a pair
//! of names. Two pairs of equal rank are an error that lists them. What was assumed is in [`Position::assumed`].
//! UCDs: UCD1+ controlled vocabulary, IVOA; also the older `POS_EQ_RA_MAIN`.

mod angle;
mod watch;

use arrow_array::Float64Array;

pub use self::angle::galactic_to_icrs;
pub use self::watch::{SENTINELS, Watch, blank};

use self::angle::{column_degrees, wrap_degrees};
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use std::f64::consts::PI;

    use arrow_array::{Array, ArrayRef, Float32Array, Int64Array, StringArray};
    use proptest::prelude::*;

    use super::angle::sexagesimal;
    use super::*;

    /// `name`, or `name|unit|ucd`; a name in capitals at the end `:TEXT` is a text column.
    fn schema(columns: &[&str]) -> Schema {
        let column = |text: &&str| {
            let mut parts = text.split('|');
            let name = parts.next().unwrap_or("");
            let (name, kind) = name.strip_suffix(":TEXT").map_or((name, Type::Float), |n| (n, Type::Text));
            let mut column = Column::typed(name, kind);
            if let Some(unit) = parts.next().filter(|u| !u.is_empty()) {
                column = column.with_unit(unit);
            }
            column.ucd = parts.next().map(str::to_owned);
            column
        };
        Schema::new(columns.iter().map(column).collect())
    }

    /// Columns, POSITION clause, and what is assumed or the refusal.
    type Case = (&'static [&'static str], Option<(&'static str, &'static str)>, &'static str);

    const POSITIONS: &[Case] = &[
        (
            &["id", "RA", "Dec"],
            None,
            "position: RA (no unit: degrees), Dec (no unit: degrees), ICRS, by column names",
        ),
        (&["id", "x"], None, "none"),
        (&["ra|h|", "dec|deg|"], None, "position: ra (h), dec (deg), ICRS, by column names"),
        (&["ra|hourangle|", "dec|rad|"], None, "position: ra (hourangle), dec (rad), ICRS, by column names"),
        (
            &["ra:TEXT", "dec:TEXT"],
            None,
            "position: ra (sexagesimal hours), dec (sexagesimal degrees), ICRS, by column names",
        ),
        (
            &["RAJ2000", "DEJ2000"],
            None,
            "position: RAJ2000 (no unit: degrees), DEJ2000 (no unit: degrees), FK5 J2000 taken as ICRS, by column names",
        ),
        (
            &["ra", "dec", "_RAJ2000", "_DEJ2000"],
            None,
            "several pairs of columns may be the position, by names: (ra, dec), (_RAJ2000, _DEJ2000)",
        ),
        (
            &["ra", "dec", "raMean", "decMean"],
            Some(("raMean", "decMean")),
            "position: raMean (no unit: degrees), decMean (no unit: degrees), ICRS, by POSITION clause",
        ),
        (
            &[
                "ra",
                "dec",
                "a|deg|pos.eq.ra;meta.main",
                "b|deg|pos.eq.dec;meta.main",
                "e|deg|stat.error;pos.eq.ra",
            ],
            None,
            "position: a (deg), b (deg), ICRS, by UCD with meta.main",
        ),
        (
            &["ra", "dec", "a||POS_EQ_RA_MAIN", "b||POS_EQ_DEC_MAIN"],
            None,
            "position: a (no unit: degrees), b (no unit: degrees), ICRS, by UCD with meta.main",
        ),
        (
            &["ra", "dec", "a||pos.eq.ra", "b||pos.eq.dec"],
            None,
            "position: a (no unit: degrees), b (no unit: degrees), ICRS, by UCD",
        ),
        (
            &["a||pos.eq.ra", "b||pos.eq.dec", "c||pos.eq.ra", "d||pos.eq.dec"],
            None,
            "several pairs of columns may be the position, by UCD: (a, b), (c, d)",
        ),
        (
            &["x|deg|pos.galactic.lon", "y|deg|pos.galactic.lat"],
            None,
            "position: x (deg), y (deg), galactic, rotated to ICRS, by UCD",
        ),
        (&["l", "b"], None, "none"),
        (
            &["l", "b"],
            Some(("l", "b")),
            "position: l (no unit: degrees), b (no unit: degrees), galactic, rotated to ICRS, by POSITION clause",
        ),
        (
            &["elon", "elat"],
            Some(("elon", "elat")),
            "`elon` is an ecliptic longitude: that frame is not read",
        ),
        (
            &["RAB1950", "DEB1950"],
            Some(("RAB1950", "DEB1950")),
            "`RAB1950` is a position in FK4 (B1950): that frame is not read",
        ),
        (&["ra|arcsec|", "dec|arcsec|"], None, "column `ra` is in arcsec"),
        (&["ra|parsec|", "dec"], None, "column `ra` has the unit `parsec`"),
        (&["ra", "dec"], Some(("ra", "de")), "there is no column `de`"),
    ];

    #[test]
    fn the_position_is_found_or_refused() {
        for (columns, clause, want) in POSITIONS {
            let got = match detect(&schema(columns), *clause) {
                Ok(Some(p)) => p.assumed,
                Ok(None) => "none".to_owned(),
                Err(e) => e.to_string(),
            };
            assert_eq!(got.lines().next(), Some(*want), "{columns:?}");
        }
    }

    #[test]
    fn the_key_is_found_or_refused() {
        type Case = (&'static [&'static str], Option<&'static str>, Result<Option<usize>, ()>);
        let cases: &[Case] = &[
            (&["a", "b||meta.id;meta.main"], None, Ok(Some(1))),
            (&["a", "b||meta.id"], None, Ok(None)),
            (&["a||meta.id;meta.main", "b||ID_MAIN"], None, Err(())),
            (&["a||meta.id;meta.main", "b||ID_MAIN"], Some("B"), Ok(Some(1))),
            (&["a"], Some("b"), Err(())),
        ];
        for (columns, clause, want) in cases {
            assert_eq!(key(&schema(columns), *clause).map_err(|_| ()), *want, "{columns:?}");
        }
    }

    #[test]
    fn motion_is_found() {
        let gaia = schema(&[
            "ref_epoch|yr|",
            "pmra|mas.yr**-1|pos.pm;pos.eq.ra",
            "pmdec|arcsec/yr|pos.pm;pos.eq.dec",
        ]);
        let want = Motion { pm_ra: 1, pm_dec: 2, mas_per_year: (1.0, 1000.0), epoch: Some(0) };
        assert_eq!(motion(&gaia), Some(want));
        let names = motion(&schema(&["pmRA", "pmDE"])).map(|m| (m.pm_ra, m.pm_dec, m.mas_per_year, m.epoch));
        assert_eq!(names, Some((0, 1, (1.0, 1.0), None)));
        assert_eq!(motion(&schema(&["pmra|km/s|", "pmdec"])), None);
        assert_eq!(motion(&schema(&["pmra"])), None);
    }

    #[test]
    fn sexagesimal_text() {
        let cases = [
            ("05h35m17.3s", Some(5.0 + 35.0 / 60.0 + 17.3 / 3600.0)),
            ("05:35:17.3", Some(5.0 + 35.0 / 60.0 + 17.3 / 3600.0)),
            ("-05 23 28", Some(-(5.0 + 23.0 / 60.0 + 28.0 / 3600.0))),
            ("-00d23m28s", Some(-(23.0 / 60.0 + 28.0 / 3600.0))),
            ("+12\u{b0}30\u{2032}00\u{2033}", Some(12.5)),
            (" 12 30.6 ", Some(12.51)),
            ("12d", Some(12.0)),
            ("12", None),
            ("83.82", None),
            ("12 61 00", None),
            ("12 30 60", None),
            ("12.5 30", None),
            ("12 -30", None),
            ("1 2 3 4", None),
            ("12 3e1", None),
            ("12 nan", None),
            ("", None),
            ("-", None),
            ("M31", None),
        ];
        for (text, want) in cases {
            match (sexagesimal(text), want) {
                (Some(got), Some(want)) => assert!((got - want).abs() < 1e-13, "{text}: {got}"),
                (got, want) => assert_eq!(got, want, "{text}"),
            }
        }
    }

    /// The positions of these columns, and how many are bad.
    fn positions(
        schema: &Schema,
        columns: Vec<ArrayRef>,
        clause: Option<(&str, &str)>,
    ) -> (Vec<String>, usize) {
        let position = detect(schema, clause).unwrap().unwrap();
        let names = schema.columns.iter().map(|c| c.name.as_str());
        let batch =
            Batch::try_from_iter_with_nullable(names.zip(columns).map(|(n, c)| (n, c, true))).unwrap();
        let (ra, dec, bad) = degrees(&position, &batch).unwrap();
        let points = ra.iter().zip(&dec).map(|p| match p {
            (Some(ra), Some(dec)) => format!("{ra:.9} {dec:.9}"),
            (ra, dec) => format!("{} {}", ra.is_some(), dec.is_some()),
        });
        (points.collect(), bad)
    }

    #[test]
    fn degrees_of_rows() {
        let floats = |v: &[f64]| -> ArrayRef { Arc::new(Float64Array::from(v.to_vec())) };
        let text = |v: &[&str]| -> ArrayRef { Arc::new(StringArray::from(v.to_vec())) };
        let none = "false false";
        let wraps = positions(
            &schema(&["ra", "dec"]),
            vec![
                floats(&[10.5, -10.0, 360.0, 725.0, -1e-17, 5.0, f64::NAN]),
                floats(&[90.0, -90.0, 0.0, 1.0, 2.0, 90.5, 0.0]),
            ],
            None,
        );
        let want = [
            "10.500000000 90.000000000",
            "350.000000000 -90.000000000",
            "0.000000000 0.000000000",
            "5.000000000 1.000000000",
            "0.000000000 2.000000000",
            none,
            none,
        ];
        assert_eq!((wraps.0.iter().map(String::as_str).collect::<Vec<_>>(), wraps.1), (want.to_vec(), 1));
        let hours =
            positions(&schema(&["ra|h|", "dec|rad|"]), vec![floats(&[6.0]), floats(&[-PI / 4.0])], None);
        assert_eq!(hours, (vec!["90.000000000 -45.000000000".to_owned()], 0));
        let sexagesimal = positions(
            &schema(&["ra:TEXT", "dec:TEXT"]),
            vec![text(&["06:00:00", "12h", "", "x"]), text(&["-05 30 00", "+10d", "", "1 2 3"])],
            None,
        );
        let want = ["90.000000000 -5.500000000", "180.000000000 10.000000000", none, none];
        assert_eq!(
            (sexagesimal.0.iter().map(String::as_str).collect::<Vec<_>>(), sexagesimal.1),
            (want.to_vec(), 1)
        );
        let integers: ArrayRef = Arc::new(Int64Array::from(vec![Some(12), None]));
        let narrow: ArrayRef = Arc::new(Float32Array::from(vec![0.5, 0.5]));
        let mixed = positions(&schema(&["ra", "dec"]), vec![integers, narrow], None);
        assert_eq!(mixed, (vec!["12.000000000 0.500000000".to_owned(), none.to_owned()], 0));
        // galactic centre, north galactic pole and anticentre, as ERFA's g2icrs gives them
        let galactic = positions(
            &schema(&["l", "b"]),
            vec![floats(&[0.0, 0.0, 180.0]), floats(&[0.0, 90.0, 0.0])],
            Some(("l", "b")),
        );
        let want = ["266.404994801 -28.936173960", "192.859480000 27.128250000", "86.404994801 28.936173960"];
        assert_eq!(galactic.0, want);
    }

    #[test]
    fn sentinels_become_null() {
        let mag: ArrayRef = Arc::new(Float32Array::from(vec![99.99, 12.5, -999.0]));
        let id: ArrayRef = Arc::new(Int64Array::from(vec![-999, 1, 2]));
        let batch = Batch::try_from_iter_with_nullable([("mag", mag, true), ("id", id, true)]).unwrap();
        let blanked = blank(&batch, &[(0, 99.99), (0, -999.0), (1, -999.0)]).unwrap();
        let nulls: Vec<usize> = blanked.columns().iter().map(|c| c.null_count()).collect();
        assert_eq!(nulls, [2, 1]);
    }

    #[test]
    fn imports_are_watched() {
        let schema = schema(&["ra", "dec", "mag"]);
        let position = detect(&schema, None).unwrap();
        let watch = |ra: f64, dec: &[f64], mag: f64| {
            let constant = |v: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![v; dec.len()])) };
            let dec: ArrayRef = Arc::new(Float64Array::from(dec.to_vec()));
            let columns =
                [("ra", constant(ra), true), ("dec", Arc::clone(&dec), true), ("mag", constant(mag), true)];
            let batch = Batch::try_from_iter_with_nullable(columns).unwrap();
            let bad = degrees(position.as_ref().unwrap(), &batch).unwrap().2;
            let mut watch = Watch::default();
            watch.add(&batch, position.as_ref(), bad);
            watch.finish(&schema, position.as_ref()).map_err(|e| e.to_string())
        };
        let hours = "`ra` is read as degrees, but is at most 23: is it in hours?";
        let sentinel = "`mag` is 99.99 in 2000 rows, which may stand for no value: NULLS (mag 99.99)";
        assert_eq!(watch(200.0, &[0.0; 2000], 1.0), Ok(vec![]));
        assert_eq!(watch(23.0, &[0.0; 2000], 1.0), Ok(vec![hours.to_owned()]));
        assert_eq!(watch(23.0, &[0.0; 1000], 1.0), Ok(vec![]));
        assert_eq!(watch(200.0, &[0.0; 2000], 99.99), Ok(vec![sentinel.to_owned()]));
        let mut decs = vec![0.0; 2000];
        decs[0] = 91.0;
        decs[1] = -91.0;
        assert_eq!(watch(200.0, &decs, 1.0), Ok(vec![]));
        decs[2] = 100.0;
        assert!(
            watch(200.0, &decs, 1.0)
                .is_err_and(|e| e.starts_with("3 of 2000 rows have no possible position"))
        );
    }

    proptest! {
        #[test]
        fn sexagesimal_never_panics(text in "\\PC{0,20}") {
            let _ = sexagesimal(&text);
        }

        #[test]
        fn rotation_keeps_angles(a in (0.0..360.0, -90.0..90.0), b in (0.0..360.0, -90.0..90.0)) {
            let unit = |(lon, lat): (f64, f64)| {
                let (lon, lat) = (f64::to_radians(lon), f64::to_radians(lat));
                [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
            };
            let dot = |p, q| unit(p).iter().zip(unit(q)).map(|(x, y)| x * y).sum::<f64>();
            let (ra, rb) = (galactic_to_icrs(a.0, a.1), galactic_to_icrs(b.0, b.1));
            prop_assert!((dot(a, b) - dot(ra, rb)).abs() < 1e-14);
        }
    }
}
