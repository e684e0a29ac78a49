//! Functions and set functions, and the geometry of ADQL: POINT, CIRCLE, BOX, POLYGON, CONTAINS, DISTANCE.

use std::sync::Arc;

use super::arith::{measure, units_of};
use super::expr::{ExprBinder, boolean};
use super::value::{Bound, Typed};
use crate::engine::expr::{ArithmeticOp, Area, Expr, FUNCTIONS, Function, FunctionInfo, Literal, Surface};
use crate::engine::plan::{AGGREGATES, Aggregate, AggregateFunction};
use crate::error::{Diagnostic, Error, Result, Span};
use crate::geometry::earth::{EarthRadius, Place};
use crate::geometry::region::{Polygon, Region, SkyBox};
use crate::geometry::sexagesimal;
use crate::lang::diagnostic::nearest;
use crate::lang::syntax::{self, ExprKind, Ident};
use crate::model::table::Type;
use crate::model::units::{Dimension, Unit};

/// Functions that the binder turns into something else.
const GEOMETRY: &[&str] = &[
    "POINT", "CIRCLE", "BOX", "POLYGON", "CONTAINS", "INTERSECTS", "DISTANCE", "COORD1", "COORD2", "DURATION",
    "STARTTIME", "ENDTIME", "IN_UNIT", "CONCAT", "ENV",
];

impl ExprBinder<'_> {
    /// `name([DISTINCT] args)` or `name(*)`.
    pub(super) fn call(&self, head: (&Ident, bool, bool), args: &[syntax::Expr], span: Span) -> Result<Bound> {
        let (name, distinct, star) = head;
        let upper = name.text.to_ascii_uppercase();
        if let Some(entry) = AGGREGATES.iter().find(|a| a.0 == upper) {
            return self.aggregate((entry.1, entry.2), (distinct, star), args, span);
        }
        if distinct || star {
            return Err(Diagnostic::new(format!("{upper} is not a set function"), name.span).into());
        }
        if GEOMETRY.contains(&upper.as_str()) {
            return self.geometry(&upper, args, span);
        }
        match Function::find(&upper) {
            Some(info) => self.plain_call(info, args, span),
            None => Err(unknown_function(name).into()),
        }
    }

    fn plain_call(&self, info: &'static FunctionInfo, args: &[syntax::Expr], span: Span) -> Result<Bound> {
        if args.len() < info.required || args.len() > info.args.len() {
            let want = match (info.required, info.args.len()) {
                (a, b) if a == b => a.to_string(),
                (a, b) => format!("{a} to {b}"),
            };
            let message = format!("{} takes {want} arguments, found {}", info.name, args.len());
            return Err(Diagnostic::new(message, span).help(info.about).into());
        }
        let mut values = vec![];
        for (arg, want) in args.iter().zip(info.args) {
            let value = self.scalar(arg)?;
            values.push((checked_argument(info, value, *want, arg.span)?, arg.span));
        }
        let generic = info.args.first() == Some(&Type::Null);
        let kind = match info.result {
            Type::Null if generic => super::compare::common_type(&values, info.name)?,
            Type::Null if values.iter().any(|v| v.0.kind == Type::Float) => Type::Float,
            Type::Null => values.first().map_or(Type::Null, |v| v.0.kind),
            other => other,
        };
        let keeps_unit = matches!(
            info.function,
            Function::Abs | Function::Round | Function::Floor | Function::Ceiling | Function::Truncate | Function::Coalesce
        );
        let unit = values.first().and_then(|v| v.0.unit.clone()).filter(|_| keeps_unit);
        let is_constant = values.iter().all(|v| v.0.is_constant);
        let as_kind = |v: Typed| if generic { Expr::Cast(Box::new(v.expr), kind) } else { v.expr };
        let exprs = values.into_iter().map(|(v, _)| as_kind(v)).collect();
        let mut value = Typed::computed(Expr::Call(info.function, exprs), kind, is_constant);
        value.unit = unit;
        Ok(Bound::Scalar(self.fold(value, span)?))
    }

    fn aggregate(
        &self,
        function: (AggregateFunction, usize),
        how: (bool, bool),
        args: &[syntax::Expr],
        span: Span,
    ) -> Result<Bound> {
        let Some(grouping) = self.grouping else {
            return Err(Diagnostic::new("a set function cannot stand here", span)
                .help("in WHERE it has no group yet: write it in HAVING, or in SELECT")
                .into());
        };
        let (function, count) = function;
        let (distinct, star) = how;
        if star != args.is_empty() || (star && function != AggregateFunction::Count) || (!star && args.len() != count) {
            return Err(Diagnostic::new(format!("this set function takes {count} arguments"), span).into());
        }
        let inner = ExprBinder { grouping: None, ..*self };
        let values = args.iter().map(|a| inner.scalar(a)).collect::<Result<Vec<_>>>()?;
        let first = values.last().map_or(Type::Null, |v| v.kind);
        use AggregateFunction::{Avg, Count, Max, Median, Min, Sum};
        let numeric = !matches!(function, Count | Min | Max);
        let keeps_durations = matches!(function, Sum | Avg | Median) && first == Type::Duration;
        if numeric && !keeps_durations && values.iter().any(|v| !v.kind.is_number() && v.kind != Type::Null) {
            return Err(Diagnostic::new(format!("this set function needs numbers, not {}", first.phrase()), span).into());
        }
        let kind = match function {
            Count => Type::Int,
            Min | Max | Sum => first,
            Avg | Median if first == Type::Duration => first,
            _ => Type::Float,
        };
        let keeps_unit = !matches!(function, AggregateFunction::Count | AggregateFunction::Chi2 | AggregateFunction::Slope);
        let unit = values.first().and_then(|v| v.unit.clone()).filter(|_| keeps_unit);
        let aggregate = Aggregate { function, args: values.into_iter().map(|v| v.expr).collect(), distinct };
        let mut all = grouping.aggregates.borrow_mut();
        let index = grouping.keys.len() + all.len();
        let value = Typed { expr: Expr::Column(index), kind, unit, is_constant: false, is_code: false };
        all.push((aggregate, value.clone()));
        Ok(Bound::Scalar(value))
    }

    fn geometry(&self, name: &str, args: &[syntax::Expr], span: Span) -> Result<Bound> {
        match (name, args) {
            ("POINT", _) => self.point(args, span),
            ("CIRCLE" | "BOX" | "POLYGON", _) => self.region_call(name, args, span, Surface::Sky),
            ("CONTAINS" | "INTERSECTS", [point, region]) => self.contains(point, region),
            ("DISTANCE", _) => self.distance(args, span),
            ("COORD1" | "COORD2", [point]) => match self.bind(point)? {
                Bound::Point { lon, lat, .. } => {
                    let mut value = Typed::computed(if name == "COORD1" { lon } else { lat }, Type::Float, false);
                    value.unit = Unit::find("deg");
                    Ok(Bound::Scalar(value))
                }
                other => Err(Diagnostic::new(format!("expected a position, found {}", other.phrase()), point.span).into()),
            },
            ("DURATION" | "STARTTIME" | "ENDTIME", [of]) => match self.bind(of)? {
                Bound::Span { start, .. } if name == "STARTTIME" => Ok(Bound::Scalar(Typed::computed(start, Type::Time, false))),
                Bound::Span { end, .. } if name == "ENDTIME" => Ok(Bound::Scalar(Typed::computed(end, Type::Time, false))),
                Bound::Span { start, end } => {
                    let expr = Expr::Arithmetic(ArithmeticOp::Sub, Box::new(end), Box::new(start));
                    Ok(Bound::Scalar(Typed::computed(expr, Type::Duration, false)))
                }
                other => Err(Diagnostic::new(format!("expected a span, found {}", other.phrase()), of.span).into()),
            },
            ("IN_UNIT", [value, unit]) => self.in_unit(value, unit),
            ("CONCAT", [first, rest @ ..]) => {
                let mut all = self.scalar(first)?.expr;
                for part in rest {
                    all = Expr::Concat(Box::new(all), Box::new(self.scalar(part)?.expr));
                }
                Ok(Bound::Scalar(Typed::computed(all, Type::Text, false)))
            }
            ("ENV", [variable]) => {
                let value = self.scalar(variable)?;
                let found = value.text().and_then(|name| std::env::var(name).ok());
                Ok(Bound::Scalar(Typed::constant(found.map_or(Literal::Null, Literal::Text))))
            }
            _ => Err(Diagnostic::new(format!("{name} does not take {} arguments", args.len()), span).into()),
        }
    }

    fn in_unit(&self, value: &syntax::Expr, unit: &syntax::Expr) -> Result<Bound> {
        let mut typed = self.scalar(value)?;
        let name = self.scalar(unit)?;
        let target = name.text().and_then(Unit::find);
        let (Some(target), Some(from)) = (target, typed.unit.clone()) else {
            return Err(Diagnostic::new("IN_UNIT takes a value that has a unit and the name of a unit", unit.span)
                .help("IN_UNIT(pmra, 'arcsec/yr')")
                .into());
        };
        let factor = from.convert(1.0, &target).ok_or_else(|| {
            Diagnostic::new(format!("{from} cannot be converted to {target}"), unit.span).help(units_of(from.dimension))
        })?;
        let factor = Expr::Literal(Literal::Float(factor));
        typed.expr = Expr::Arithmetic(ArithmeticOp::Mul, Box::new(typed.expr), Box::new(factor));
        (typed.unit, typed.kind) = (Some(target), Type::Float);
        Ok(Bound::Scalar(typed))
    }

    /// `POINT([frame,] lon, lat)`.
    fn point(&self, args: &[syntax::Expr], span: Span) -> Result<Bound> {
        let args = without_frame(args)?;
        let [lon, lat] = args else {
            return Err(Diagnostic::new("POINT takes a longitude and a latitude", span).help("POINT(ra, dec)").into());
        };
        let (lon_value, lat_value) = (self.degrees(lon)?, self.degrees(lat)?);
        if let Some(value) = lat_value.number() {
            check_latitude(value, lat.span)?;
        }
        let surface = match (&lon_value.expr, &lat_value.expr) {
            (Expr::Column(a), Expr::Column(b)) if self.is_earth(*a, *b) => Surface::Earth,
            _ => Surface::Sky,
        };
        Ok(Bound::Point { surface, lon: lon_value.expr, lat: lat_value.expr, depth_km: None })
    }

    fn is_earth(&self, lon: usize, lat: usize) -> bool {
        use crate::engine::plan::Role;
        self.scope.columns[lon].role == Role::Longitude && self.scope.columns[lat].role == Role::Latitude
    }

    /// A bare number is degrees inside ADQL functions; an angle with a unit is converted.
    fn degrees(&self, e: &syntax::Expr) -> Result<Typed> {
        let mut value = self.scalar(e)?;
        if value.kind == Type::Null || value.kind.is_number() {
            if value.is_constant && value.unit.is_some() {
                let degrees = measure(&value, e.span, Dimension::Angle, ("this", "deg"))?;
                value = Typed::constant(Literal::Float(degrees));
            }
            return Ok(value);
        }
        Err(Diagnostic::new(format!("expected degrees, found {}", value.kind.phrase()), e.span).into())
    }

    /// A region written in the query, on the given surface.
    pub(super) fn bind_region(&self, e: &syntax::Expr, surface: Surface) -> Result<Bound> {
        match &e.kind {
            ExprKind::Call { name, args, .. } => {
                let upper = name.text.to_ascii_uppercase();
                if ["CIRCLE", "BOX", "POLYGON"].contains(&upper.as_str()) {
                    return self.region_call(&upper, args, e.span, surface);
                }
                self.bind(e)
            }
            _ => self.bind(e),
        }
    }

    fn region_call(&self, name: &str, args: &[syntax::Expr], span: Span, surface: Surface) -> Result<Bound> {
        let mut places = vec![];
        let mut rest = without_frame(args)?;
        if let [first, tail @ ..] = rest {
            if let Some(centre) = self.centre(first)? {
                places.push(centre);
                rest = tail;
            }
        }
        let is_polygon = name == "POLYGON";
        let coordinates = if is_polygon { rest.len() } else { usize::from(places.is_empty()) * 2 };
        let (coordinates, sizes) = rest.split_at(coordinates.min(rest.len()));
        for pair in coordinates.chunks(2) {
            let [lon, lat] = pair else {
                return Err(Diagnostic::new("a longitude without latitude", span).into());
            };
            let (lon_deg, lat_deg) = (self.constant_degrees(lon)?, self.constant_degrees(lat)?);
            check_latitude(lat_deg, lat.span)?;
            places.push((lon_deg, lat_deg));
        }
        let area = match (name, sizes) {
            ("CIRCLE", [radius]) => self.circle(places.first().copied(), radius, surface)?,
            ("BOX", [width, height]) => {
                let size = (self.angle(width)?, self.angle(height)?);
                let centre = places.first().copied().unwrap_or_default();
                Area::Sky(Region::Box(SkyBox::new(centre, size.0, size.1).map_err(|e| at(e, span))?))
            }
            ("POLYGON", []) => Area::Sky(Region::Polygon(Polygon::new(&places).map_err(|e| at(e, span))?)),
            _ => {
                return Err(Diagnostic::new(format!("{name} does not take these arguments"), span)
                    .help("CIRCLE(lon, lat, radius), BOX(lon, lat, width, height), POLYGON(lon1, lat1, lon2, lat2, lon3, lat3, ...)")
                    .into());
            }
        };
        Ok(Bound::Region(Arc::new(area)))
    }

    /// A centre given as POINT(..) or as sexagesimal text.
    fn centre(&self, e: &syntax::Expr) -> Result<Option<(f64, f64)>> {
        match &e.kind {
            ExprKind::Text(text) => sexagesimal::parse_position(text).map(Some).map_err(|error| at(error, e.span)),
            ExprKind::Call { name, .. } if name.text.eq_ignore_ascii_case("point") => match self.bind(e)? {
                Bound::Point { lon, lat, .. } => {
                    let value = |v: &Expr| Typed::computed(v.clone(), Type::Float, true).number();
                    match (value(&lon), value(&lat)) {
                        (Some(lon), Some(lat)) => Ok(Some((lon, lat))),
                        _ => Err(Diagnostic::new("the centre of a region must be constant here", e.span)
                            .help("to match two tables write `a CROSSMATCH b WITHIN 3 arcsec`")
                            .into()),
                    }
                }
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn circle(&self, centre: Option<(f64, f64)>, radius: &syntax::Expr, surface: Surface) -> Result<Area> {
        let centre = centre.unwrap_or_default();
        let value = self.scalar(radius)?;
        let is_length = value.unit.as_ref().is_some_and(|u| u.dimension == Dimension::Length);
        if surface == Surface::Earth {
            let place = Place { lon_deg: centre.0, lat_deg: centre.1 };
            let radius = if is_length {
                EarthRadius::Km(measure(&value, radius.span, Dimension::Length, ("the radius", "km"))? / 1000.0)
            } else {
                EarthRadius::Deg(self.angle(radius)?)
            };
            return Ok(Area::EarthCircle(place, radius));
        }
        if is_length {
            return Err(Diagnostic::new("the radius must be an angle on the sky, not a length", radius.span)
                .help(units_of(Dimension::Angle))
                .into());
        }
        let radius_deg = self.angle(radius)?;
        Ok(Area::Sky(Region::circle(centre, radius_deg).map_err(|e| at(e, radius.span))?))
    }

    fn angle(&self, e: &syntax::Expr) -> Result<f64> {
        self.constant_degrees(e)
    }

    fn constant_degrees(&self, e: &syntax::Expr) -> Result<f64> {
        let value = self.degrees(e)?;
        value.number().ok_or_else(|| {
            Diagnostic::new("this must be a constant", e.span)
                .help("to match two tables write `a CROSSMATCH b WITHIN 3 arcsec`")
                .into()
        })
    }

    fn contains(&self, point: &syntax::Expr, region: &syntax::Expr) -> Result<Bound> {
        let Bound::Point { surface, lon, lat, .. } = self.bind(point)? else {
            return Err(Diagnostic::new("CONTAINS(POINT(..), region): the first is no position", point.span).into());
        };
        match self.bind_region(region, surface)? {
            Bound::Region(area) => {
                Ok(boolean(Expr::Inside { lon: Box::new(lon), lat: Box::new(lat), area }))
            }
            other => Err(Diagnostic::new(format!("expected a region, found {}", other.phrase()), region.span).into()),
        }
    }

    /// `DISTANCE(p, q)`, or ADQL's `DISTANCE(lon1, lat1, lon2, lat2)`: degrees on the sky, metres on the Earth.
    fn distance(&self, args: &[syntax::Expr], span: Span) -> Result<Bound> {
        let (a, b) = match args {
            [a, b] => (self.bind(a)?, self.bind(b)?),
            [_, _, _, _] => (self.point(&args[..2], span)?, self.point(&args[2..], span)?),
            _ => return Err(Diagnostic::new("DISTANCE takes two positions", span).into()),
        };
        let (Bound::Point { surface, lon: lon1, lat: lat1, depth_km: d1 }, Bound::Point { surface: other, lon: lon2, lat: lat2, depth_km: d2 }) = (a, b)
        else {
            return Err(Diagnostic::new("DISTANCE takes two positions", span).help("DISTANCE(a.pos, b.pos)").into());
        };
        if surface != other {
            return Err(Diagnostic::new("one position is on the sky, the other on the Earth", span).into());
        }
        let depths = d1.zip(d2).map(Box::new);
        let expr = Expr::Distance { surface, places: Box::new([lon1, lat1, lon2, lat2]), depths };
        let mut value = Typed::computed(expr, Type::Float, false);
        value.unit = Unit::find(if surface == Surface::Sky { "deg" } else { "m" });
        Ok(Bound::Scalar(value))
    }
}

/// ADQL's optional first argument: only ICRS and its kin are read.
fn without_frame(args: &[syntax::Expr]) -> Result<&[syntax::Expr]> {
    let [first, rest @ ..] = args else { return Ok(args) };
    let ExprKind::Text(frame) = &first.kind else { return Ok(args) };
    let upper = frame.trim().to_ascii_uppercase();
    match upper.split_whitespace().next().unwrap_or("") {
        "" | "ICRS" | "FK5" | "UNKNOWNFRAME" if rest.len() >= 2 => Ok(rest),
        "GALACTIC" | "FK4" | "ECLIPTIC" => Err(Diagnostic::new(format!("the frame {upper} is not read here yet"), first.span)
            .help("give ICRS coordinates in degrees")
            .into()),
        _ => Ok(args),
    }
}

fn check_latitude(value: f64, span: Span) -> Result<(), Diagnostic> {
    if value.abs() <= 90.0 {
        return Ok(());
    }
    Err(Diagnostic::new(format!("declination {value} is outside -90 .. 90"), span)
        .help("the order is CIRCLE(longitude, latitude, radius)"))
}

/// An error of a kernel, at its place in the query.
fn at(error: Error, span: Span) -> Error {
    match error {
        Error::Refused { message, help } => {
            let mut diagnostic = Diagnostic::new(message, span);
            diagnostic.help = help;
            diagnostic.into()
        }
        other => other,
    }
}

fn checked_argument(info: &FunctionInfo, value: Typed, want: Type, span: Span) -> Result<Typed> {
    let fits = match want {
        Type::Null => true,
        Type::Float => value.kind.is_number() || (info.function == Function::Abs && value.kind == Type::Duration),
        other => value.kind == other,
    };
    if fits || value.kind == Type::Null {
        return Ok(value);
    }
    if let (Type::Time, Some(text)) = (want, value.text()) {
        return Ok(Typed::constant(Literal::Time(super::value::instant(text, span)?)));
    }
    let message = format!("{} needs {}, found {}", info.name, want.phrase(), value.kind.phrase());
    Err(Diagnostic::new(message, span).help(info.about).into())
}

fn unknown_function(name: &Ident) -> Diagnostic {
    let names = FUNCTIONS.iter().map(|f| f.name).chain(AGGREGATES.iter().map(|a| a.0)).chain(GEOMETRY.iter().copied());
    let near = nearest(&name.text.to_ascii_uppercase(), names);
    let help = near.map_or("SHOW FUNCTIONS lists them".to_owned(), |n| format!("did you mean `{n}`? (SHOW FUNCTIONS lists them)"));
    Diagnostic::new(format!("unknown function `{}`", name.text), name.span).help(help)
}
