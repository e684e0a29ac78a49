//! What an expression of the query is after binding: a scalar with type and unit, a position, a span or a region;
//! and how two of them come to one type. Units act on literals only: a column is its stored number.

use super::Binder;
use crate::engine::expr::{Expr, Literal, ShapeKind, Surface};
use crate::engine::plan::Role;
use crate::error::{Diagnostic, Span};
use crate::model::table::{Column, Type};
use crate::model::time::{NS_PER_DAY, Time};
use crate::model::units::{Dimension, Unit};

/// A value of one Arrow column.
#[derive(Clone, Debug)]
pub struct Typed {
    /// How it is computed.
    pub expr: Expr,
    /// Its type.
    pub kind: Type,
    /// Its unit: of the column it is, or as written.
    pub unit: Option<Unit>,
    /// Made of literals only: it is converted to the unit of what it meets.
    pub is_constant: bool,
    /// What the column is for, when it is one: codes match by parts, `--` is the blank location.
    pub role: Role,
}

/// What an expression stands for.
#[derive(Clone, Debug)]
pub enum Bound {
    /// A value.
    Scalar(Typed),
    /// A position.
    Point {
        /// Sky or Earth.
        surface: Surface,
        /// Degrees.
        lon: Expr,
        /// Degrees.
        lat: Expr,
        /// km below the surface.
        depth_km: Option<Expr>,
    },
    /// `[start, end)`.
    Span {
        /// First instant.
        start: Expr,
        /// First instant after.
        end: Expr,
    },
    /// A region.
    Region(Shape),
}

/// A region as it is written; the surface it lies on is that of the position it meets.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Circle, box, polygon.
    pub kind: ShapeKind,
    /// Its numbers in degrees, in the order of [`ShapeKind`]; without the radius where that is a length.
    pub parts: Vec<Expr>,
    /// Radius in km.
    pub radius_km: Option<Expr>,
}

impl Typed {
    /// A constant.
    pub fn constant(value: Literal) -> Typed {
        let kind = value.kind();
        Typed { expr: Expr::Literal(value), kind, unit: None, is_constant: true, role: Role::Plain }
    }

    /// A computed value without unit.
    pub fn computed(expr: Expr, kind: Type, is_constant: bool) -> Typed {
        Typed { expr, kind, unit: None, is_constant, role: Role::Plain }
    }

    /// Its number, if it is a constant one.
    pub fn number(&self) -> Option<f64> {
        match self.expr.as_literal()? {
            Literal::Int(v) => Some(*v as f64),
            Literal::Float(v) => Some(*v),
            _ => None,
        }
    }

    /// Its text, if it is a constant one.
    pub fn text(&self) -> Option<&str> {
        match self.expr.as_literal()? {
            Literal::Text(v) => Some(v),
            _ => None,
        }
    }

    /// The column it makes under `name`.
    pub fn column(&self, name: &str) -> Column {
        let mut column = Column::typed(name, crate::engine::scope::shown_type(self.kind));
        column.unit = self.unit.clone();
        column
    }

    /// A constant quantity of time as DURATION, for TIME ± 1 h.
    pub fn as_duration(&self) -> Option<Typed> {
        let unit = self.unit.as_ref().filter(|u| u.dimension == Dimension::Duration)?;
        let ns = unit.to_base(self.number()?) * 1e9;
        (ns.abs() < i64::MAX as f64).then(|| Typed::constant(Literal::Duration(ns.round() as i64)))
    }
}

impl Bound {
    /// What it is, for messages.
    pub fn phrase(&self) -> &'static str {
        match self {
            Bound::Scalar(t) => t.kind.phrase(),
            Bound::Point { .. } => "a position",
            Bound::Span { .. } => "a span of time",
            Bound::Region(_) => "a region",
        }
    }

    /// As one column: positions, spans and regions become text, regions as in DALI (`ra dec radius`, corner by corner).
    pub fn into_scalar(self, span: Span) -> Result<Typed, Diagnostic> {
        let text = |e: Expr| Expr::Cast(Box::new(e), Type::Text);
        let joined = |a: Expr, between: &str, b: Expr| {
            let between = Expr::Literal(Literal::Text(between.to_owned()));
            Expr::Concat(Box::new(Expr::Concat(Box::new(text(a)), Box::new(between))), Box::new(text(b)))
        };
        match self {
            Bound::Scalar(t) => Ok(t),
            Bound::Point { lon, lat, .. } => Ok(Typed::computed(joined(lon, " ", lat), Type::Text, false)),
            Bound::Span { start, end } => Ok(Typed::computed(joined(start, " .. ", end), Type::Text, false)),
            Bound::Region(shape) => {
                let radius =
                    shape.radius_km.map(|km| joined(km, " ", Expr::Literal(Literal::Text("km".to_owned()))));
                let parts = shape.parts.into_iter().chain(radius);
                let all = parts
                    .reduce(|a, b| joined(a, " ", b))
                    .ok_or_else(|| Diagnostic::new("a region without numbers", span))?;
                Ok(Typed::computed(all, Type::Text, false))
            }
        }
    }
}

/// The whole period that a text names: `2024`, `2024-02`, `2024-060`, `2024-02-29`; with a clock time, no period.
pub fn period(text: &str) -> Option<(Time, Time)> {
    let text = text.trim();
    let day = |t: Time| Some((t, Time(t.0.checked_add(NS_PER_DAY)?)));
    let year = || text.get(..4)?.parse::<i16>().ok();
    if !text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return None;
    }
    match text.len() {
        4 => {
            let year = year()?;
            let start = Time::from_ordinal(year, 1, (0, 0, 0), 0)?;
            Some((start, Time::from_ordinal(year.checked_add(1)?, 1, (0, 0, 0), 0)?))
        }
        7 => {
            let year = year()?;
            let month: i8 = text.get(5..)?.parse().ok()?;
            let start = Time::from_date((year, month, 1), (0, 0, 0), 0)?;
            let (next_year, next) = if month == 12 { (year.checked_add(1)?, 1) } else { (year, month + 1) };
            Some((start, Time::from_date((next_year, next, 1), (0, 0, 0), 0)?))
        }
        8 | 10 => day(Time::parse(text).ok()?),
        _ => None,
    }
}

/// A text as an instant: a date, a date and time, or the start of a whole period.
pub fn instant(binder: &Binder<'_>, text: &str, span: Span) -> Result<i64, Diagnostic> {
    if let Some((start, _)) = period(text) {
        return Ok(start.0);
    }
    let time = Time::parse(text).map_err(|e| {
        let mut error = Diagnostic::new(e.reason, span);
        error.help = e.help;
        error
    })?;
    leap_second(binder, text, time, span)?;
    Ok(time.0)
}

/// Second 60 is there at the end of a leap day alone, and is read as the next second.
fn leap_second(binder: &Binder<'_>, text: &str, read: Time, span: Span) -> Result<(), Diagnostic> {
    if !text.contains(":60") {
        return Ok(());
    }
    let next = read.civil();
    if matches!((next.month(), next.day(), next.hour(), next.minute()), (1 | 7, 1, 0, 0)) {
        binder.notice(format!("{text} is a leap second: it is read as {read}"));
        return Ok(());
    }
    Err(Diagnostic::new(format!("the minute of {text} has no second 60"), span)
        .help("a leap second ends 30 June or 31 December"))
}

/// A TIME token of the query: ISO, `MJD 60343.5`, `JD 2460344.0`.
pub fn time_token(binder: &Binder<'_>, text: &str, span: Span) -> Result<i64, Diagnostic> {
    let time = read_time_token(text, span)?;
    leap_second(binder, text, Time(time), span)?;
    Ok(time)
}

fn read_time_token(text: &str, span: Span) -> Result<i64, Diagnostic> {
    let upper = text.get(..3).unwrap_or("").to_ascii_uppercase();
    let day = |rest: &str, offset: f64| {
        let value: f64 =
            rest.trim().parse().map_err(|_| Diagnostic::new("this is not a day number", span))?;
        Time::from_mjd(value - offset)
            .map(|t| t.0)
            .ok_or_else(|| Diagnostic::new("this time is outside 1677-09-21 .. 2262-04-11", span))
    };
    if upper == "MJD" {
        return day(&text[3..], 0.0);
    }
    if upper.starts_with("JD") {
        return julian(&text[2..])
            .ok_or_else(|| Diagnostic::new("this time is outside 1677-09-21 .. 2262-04-11", span));
    }
    Time::parse(text).map(|t| t.0).map_err(|e| {
        let mut error = Diagnostic::new(e.reason, span);
        error.help = e.help.or_else(|| as_difference(text));
        error
    })
}

/// `4096-512` reads as a date; where it can hardly be meant as one, the other reading is named.
fn as_difference(text: &str) -> Option<String> {
    let (year, day) = text.split_once('-').filter(|(year, day)| year.len() == 4 && day.len() == 3)?;
    let (year, day): (u32, u32) = (year.parse().ok()?, day.parse().ok()?);
    let is_unlikely = !(1000..=2999).contains(&year) || day > 366;
    is_unlikely.then(|| format!("for the difference write blanks: `{year} - {day}`"))
}

/// A Julian Date, whole days and fraction read apart so that the fraction keeps its digits.
fn julian(text: &str) -> Option<i64> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let whole: f64 = whole.parse().ok()?;
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    let midnight = Time::from_mjd(whole - 2_400_001.0)?;
    midnight.0.checked_add(NS_PER_DAY / 2)?.checked_add((fraction * NS_PER_DAY as f64).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_and_instants() {
        let cases = [
            ("2024", Some(("2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"))),
            ("2024-02", Some(("2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"))),
            ("2024-12", Some(("2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"))),
            ("2024-060", Some(("2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"))),
            ("2024-02-29T10:00", None),
            ("2024-13", None),
        ];
        for (text, want) in cases {
            let got = period(text).map(|(a, b)| (a.to_string(), b.to_string()));
            assert_eq!(got, want.map(|(a, b)| (a.to_owned(), b.to_owned())), "{text}");
        }
        let tokens = [
            ("MJD 60343.5", "2024-02-03T12:00:00Z"),
            ("JD 2460344.0", "2024-02-03T12:00:00Z"),
            ("JD 2460343.75", "2024-02-03T06:00:00Z"),
            ("2024-060", "2024-02-29T00:00:00Z"),
        ];
        for (text, want) in tokens {
            assert_eq!(
                read_time_token(text, Span::default()).map(|t| Time(t).to_string()),
                Ok(want.to_owned())
            );
        }
    }
}
