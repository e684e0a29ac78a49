//! Positions and regions as ADQL writes them: POINT, CIRCLE, BOX, POLYGON, REGION, CONTAINS, INTERSECTS, DISTANCE.

use std::sync::Arc;

use super::arith::{measure, units_of};
use super::expr::{ExprBinder, boolean};
use super::value::{Bound, Shape, Typed};
use crate::engine::expr::{
    Area, ArithmeticOp, CompareOp, Expr, Literal, ShapeKind, ShapeOp, ShapeQuestion, Surface,
};
use crate::engine::plan::Role;
use crate::error::{Diagnostic, Error, Result, Span};
use crate::geometry::earth::{EarthRadius, Place};
use crate::geometry::sexagesimal;
use crate::lang::syntax::{self, ExprKind};
use crate::model::table::Type;
use crate::model::units::{Dimension, Unit};

/// How the regions are written, for help.
const REGIONS: &str = "CIRCLE(lon, lat, radius), BOX(lon, lat, width, height), POLYGON(lon1, lat1, lon2, lat2, lon3, lat3, ...)";

impl ExprBinder<'_> {
    /// `POINT([frame,] lon, lat)`.
    pub(super) fn point(&self, args: &[syntax::Expr], span: Span) -> Result<Bound> {
        let args = self.without_frame(args)?;
        let [lon, lat] = args else {
            return Err(Diagnostic::new("POINT takes a longitude and a latitude", span)
                .help("POINT(ra, dec)")
                .into());
        };
        let (lon_value, lat_value) = (self.degrees(lon)?, self.degrees(lat)?);
        if let Some(value) = lat_value.number() {
            check_latitude(value, lat.span)?;
        }
        let surface = match (&lon_value.expr, &lat_value.expr) {
            (Expr::Column(a), Expr::Column(b)) if self.is_earth(*a, *b) => Surface::Earth,
            (Expr::Column(a), Expr::Column(b)) => match self.scope.position_of(*a, *b) {
                Some((lon, lat)) => {
                    let (lon, lat) = (Expr::Column(lon), Expr::Column(lat));
                    return Ok(Bound::Point { surface: Surface::Sky, lon, lat, depth_km: None });
                }
                None => Surface::Sky,
            },
            _ => Surface::Sky,
        };
        Ok(Bound::Point { surface, lon: lon_value.expr, lat: lat_value.expr, depth_km: None })
    }

    fn is_earth(&self, lon: usize, lat: usize) -> bool {
        self.scope.columns[lon].role == Role::Longitude && self.scope.columns[lat].role == Role::Latitude
    }

    /// A bare number is degrees inside ADQL functions; an angle with a unit is converted. A column is its number.
    fn degrees(&self, e: &syntax::Expr) -> Result<Typed> {
        let value = self.scalar(e)?;
        self.as_degrees(value, e)
    }

    fn as_degrees(&self, value: Typed, e: &syntax::Expr) -> Result<Typed> {
        if value.kind != Type::Null && !value.kind.is_number() {
            let message = format!("expected degrees, found {}", value.kind.phrase());
            return Err(Diagnostic::new(message, e.span)
                .help("text gives a position as one: '05h35m17.3s -05d23m28s'")
                .into());
        }
        let Some(unit) = value.unit.clone() else { return Ok(value) };
        if value.is_constant {
            let degrees = measure(&value, e.span, Dimension::Angle, ("this", "deg"))?;
            return Ok(Typed::constant(Literal::Float(degrees)));
        }
        if !has_unit(e) {
            if unit.dimension == Dimension::Angle && unit.name != "deg" {
                self.binder.notice(format!(
                    "`{e}` has the unit {unit} and is read in degrees here: IN_UNIT({e}, 'deg') converts it"
                ));
            }
            return Ok(value);
        }
        if unit.dimension != Dimension::Angle {
            let message = format!("this must be an angle, not {}", unit.dimension.name());
            return Err(Diagnostic::new(message, e.span).help(units_of(Dimension::Angle)).into());
        }
        Ok(Typed { expr: times(value.expr, unit.to_base(1.0)), unit: None, ..value })
    }

    /// `CIRCLE([frame,] centre, radius)`, `BOX([frame,] centre, width, height)`, `POLYGON([frame,] corner, ...)`; a
    /// centre or corner is two numbers, a position, or a text.
    pub(super) fn region_call(&self, name: &str, args: &[syntax::Expr], span: Span) -> Result<Bound> {
        let (kind, sizes) = match name {
            "CIRCLE" => (ShapeKind::Circle, 1),
            "BOX" => (ShapeKind::Box, 2),
            _ => (ShapeKind::Polygon, 0),
        };
        let args = self.without_frame(args)?;
        let (places, sizes) = args.split_at(args.len().saturating_sub(sizes));
        let mut shape = Shape { kind, parts: self.coordinates(places)?, radius_km: None };
        if kind == ShapeKind::Polygon && shape.parts.len() % 2 == 1 {
            return Err(Diagnostic::new("a longitude without latitude", span).help(REGIONS).into());
        }
        let is_complete = match kind {
            ShapeKind::Polygon => shape.parts.len() >= 6,
            _ => shape.parts.len() == 2,
        };
        if !is_complete {
            return Err(Diagnostic::new(format!("{name} does not take these arguments"), span)
                .help(REGIONS)
                .into());
        }
        for size in sizes {
            self.size(&mut shape, size)?;
        }
        // of a circle only the radius can still be wrong
        let span = sizes.first().filter(|_| kind == ShapeKind::Circle).map_or(span, |radius| radius.span);
        self.checked(&shape, span)?;
        Ok(Bound::Region(shape))
    }

    /// Longitudes and latitudes of the arguments.
    fn coordinates(&self, args: &[syntax::Expr]) -> Result<Vec<Expr>> {
        let mut parts = vec![];
        for arg in args {
            if let ExprKind::Text(text) = &arg.kind {
                let (lon, lat) = sexagesimal::parse_position(text).map_err(|error| at(error, arg.span))?;
                parts.extend([lon, lat].map(|v| Expr::Literal(Literal::Float(v))));
                continue;
            }
            match self.bind(arg)? {
                Bound::Point { lon, lat, .. } => parts.extend([lon, lat]),
                other => {
                    let value = self.as_degrees(other.into_scalar(arg.span)?, arg)?;
                    if let (1, Some(lat)) = (parts.len() % 2, value.number()) {
                        check_latitude(lat, arg.span)?;
                    }
                    parts.push(value.expr);
                }
            }
        }
        for pair in parts.chunks_exact_mut(2) {
            // as POINT(ra, dec): the position of a table, however it is spelled
            if let [Expr::Column(lon), Expr::Column(lat)] = pair
                && let Some((ra, dec)) = self.scope.position_of(*lon, *lat)
            {
                (*lon, *lat) = (ra, dec);
            }
        }
        Ok(parts)
    }

    /// A radius, width or height: an angle, or for a circle on the Earth a length.
    fn size(&self, shape: &mut Shape, size: &syntax::Expr) -> Result<()> {
        let value = self.scalar(size)?;
        let is_length = value.unit.as_ref().is_some_and(|u| u.dimension == Dimension::Length);
        if !is_length || !has_unit(size) || shape.kind != ShapeKind::Circle {
            let value = self.as_degrees(value, size)?;
            shape.parts.push(value.expr);
            return Ok(());
        }
        shape.radius_km = Some(match (value.is_constant, &value.unit) {
            (false, Some(unit)) => times(value.expr, unit.to_base(1.0) / 1000.0),
            _ => {
                let metres = measure(&value, size.span, Dimension::Length, ("the radius", "km"))?;
                Expr::Literal(Literal::Float(metres / 1000.0))
            }
        });
        Ok(())
    }

    /// A constant region is one, or says why not.
    fn checked(&self, shape: &Shape, span: Span) -> Result<()> {
        if let (Some(numbers), None) = (constants(&shape.parts), &shape.radius_km) {
            shape.kind.region(&numbers).map_err(|e| at(e, span))?;
        }
        Ok(())
    }

    /// `pos IN region`, `CONTAINS(pos, region)`: a circle of each row is a distance and its limit, as
    /// `DISTANCE(a, b) <= radius` says it too.
    pub(super) fn inside(
        &self,
        surface: Surface,
        place: (Expr, Expr),
        region: &syntax::Expr,
    ) -> Result<Expr> {
        let shape = self.shape(region)?;
        let (lon, lat) = (Box::new(place.0), Box::new(place.1));
        // a radius of the wrong kind is the last argument
        let span = match &region.kind {
            ExprKind::Call { args, .. } if shape.radius_km.is_some() => {
                args.last().map_or(region.span, |a| a.span)
            }
            _ => region.span,
        };
        if let Some(area) = self.constant_area(&shape, surface, span)? {
            return Ok(Expr::Inside { lon, lat, area: Arc::new(area) });
        }
        let Shape { kind, parts, radius_km } = shape;
        let mut numbers = parts.into_iter();
        if let (ShapeKind::Circle, Some(lon2), Some(lat2)) = (kind, numbers.next(), numbers.next()) {
            let places = Box::new([*lon, *lat, lon2, lat2]);
            let (surface, limit) = match (radius_km, numbers.next()) {
                (Some(km), _) => (Surface::Earth, times(km, 1000.0)),
                (None, degrees) => (Surface::Sky, degrees.unwrap_or(Expr::Literal(Literal::Null))),
            };
            let distance = Expr::Distance { surface, places, depths: None };
            return Ok(Expr::Compare(CompareOp::Le, Box::new(distance), Box::new(limit)));
        }
        let shape = self.shape(region)?;
        let regions = vec![(shape.kind, shape.parts.len())];
        let parts = [*lon, *lat].into_iter().chain(shape.parts).collect();
        Ok(Expr::Shape(Box::new(ShapeQuestion { op: ShapeOp::Holds, parts, regions })))
    }

    /// The region on a surface, where its numbers are constants.
    fn constant_area(&self, shape: &Shape, surface: Surface, span: Span) -> Result<Option<Area>> {
        if let Some(km) = &shape.radius_km {
            if surface == Surface::Sky {
                return Err(Diagnostic::new("the radius must be an angle on the sky, not a length", span)
                    .help(units_of(Dimension::Angle))
                    .into());
            }
            let numbers = constants(&shape.parts).zip(number(km));
            return Ok(numbers.and_then(|(at, km)| {
                let place = Place { lon_deg: *at.first()?, lat_deg: *at.get(1)? };
                Some(Area::EarthCircle(place, EarthRadius::Km(km)))
            }));
        }
        let Some(numbers) = constants(&shape.parts) else { return Ok(None) };
        if let (ShapeKind::Circle, Surface::Earth, [lon_deg, lat_deg, radius]) =
            (shape.kind, surface, numbers.as_slice())
        {
            let place = Place { lon_deg: *lon_deg, lat_deg: *lat_deg };
            return Ok(Some(Area::EarthCircle(place, EarthRadius::Deg(*radius))));
        }
        Ok(Some(Area::Sky(shape.kind.region(&numbers).map_err(|e| at(e, span))?)))
    }

    fn shape(&self, region: &syntax::Expr) -> Result<Shape> {
        match self.bind(region)? {
            Bound::Region(shape) => Ok(shape),
            other => {
                Err(Diagnostic::new(format!("expected a region, found {}", other.phrase()), region.span)
                    .help(REGIONS)
                    .into())
            }
        }
    }

    /// A region on the sky, for a question about regions alone.
    fn sky_shape(&self, region: &syntax::Expr) -> Result<Shape> {
        let shape = self.shape(region)?;
        self.constant_area(&shape, Surface::Sky, region.span)?;
        Ok(shape)
    }

    /// `CONTAINS(a, b)`: a lies in b; `INTERSECTS(a, b)`: they meet, in either order.
    pub(super) fn contains(&self, name: &str, args: (&syntax::Expr, &syntax::Expr)) -> Result<Bound> {
        let (a, b) = args;
        let is_contains = name == "CONTAINS";
        match (self.bind(a)?, if is_contains { None } else { Some(self.bind(b)?) }) {
            (Bound::Point { surface, lon, lat, .. }, _) => {
                return Ok(boolean(self.inside(surface, (lon, lat), b)?));
            }
            (Bound::Region(_), Some(Bound::Point { surface, lon, lat, .. })) => {
                return Ok(boolean(self.inside(surface, (lon, lat), a)?));
            }
            (Bound::Region(_), _) => {}
            (other, _) => {
                let message = format!("{name} takes a position or region first, found {}", other.phrase());
                return Err(Diagnostic::new(message, a.span)
                    .help("CONTAINS(POINT(ra, dec), CIRCLE(..))")
                    .into());
            }
        }
        let (a, b) = (self.sky_shape(a)?, self.sky_shape(b)?);
        let (op, first, second) =
            if is_contains { (ShapeOp::Covers, b, a) } else { (ShapeOp::Intersects, a, b) };
        Ok(boolean(question(op, vec![first, second])))
    }

    /// `AREA(region)` in square degrees.
    pub(super) fn area(&self, region: &syntax::Expr, span: Span) -> Result<Bound> {
        let expr = question(ShapeOp::Area, vec![self.sky_shape(region)?]);
        self.number_of(expr, span).map(Bound::Scalar)
    }

    /// `CENTROID(region)`; a position is its own.
    pub(super) fn centroid(&self, region: &syntax::Expr, span: Span) -> Result<Bound> {
        if let point @ Bound::Point { .. } = self.bind(region)? {
            return Ok(point);
        }
        let shape = self.sky_shape(region)?;
        let [lon, lat] = [ShapeOp::CentroidLon, ShapeOp::CentroidLat]
            .map(|op| self.number_of(question(op, vec![shape.clone()]), span));
        Ok(Bound::Point { surface: Surface::Sky, lon: lon?.expr, lat: lat?.expr, depth_km: None })
    }

    /// A number, computed at once where it is constant.
    fn number_of(&self, expr: Expr, span: Span) -> Result<Typed> {
        let mut is_constant = true;
        expr.columns(&mut |_| is_constant = false);
        self.fold(Typed::computed(expr, Type::Float, is_constant), span)
    }

    /// `COORDSYS(position or region)`.
    pub(super) fn coordsys(&self, of: &syntax::Expr) -> Result<Bound> {
        let frame = match self.bind(of)? {
            Bound::Point { surface: Surface::Earth, .. } => "WGS84",
            Bound::Region(Shape { radius_km: Some(_), .. }) => "WGS84",
            Bound::Point { .. } | Bound::Region(_) => "ICRS",
            other => {
                let message = format!("expected a position or region, found {}", other.phrase());
                return Err(Diagnostic::new(message, of.span).into());
            }
        };
        Ok(Bound::Scalar(Typed::constant(Literal::Text(frame.to_owned()))))
    }

    /// `REGION('CIRCLE ICRS 10 20 0.5')`: the simple regions of STC-S (IVOA note of 2013, 6.1), in degrees.
    pub(super) fn stc_region(&self, text: &syntax::Expr) -> Result<Bound> {
        let value = self.scalar(text)?;
        let written = value.text().unwrap_or("").to_ascii_uppercase();
        let mut words = written.split_whitespace();
        let kind = match words.next() {
            Some("CIRCLE") => Some(ShapeKind::Circle),
            Some("BOX") => Some(ShapeKind::Box),
            Some("POLYGON") => Some(ShapeKind::Polygon),
            Some("POSITION") => None,
            _ => return Err(stc_refused(text.span).into()),
        };
        let numbers: Vec<&str> =
            words.skip_while(|w| w.starts_with(|c: char| c.is_ascii_alphabetic())).collect();
        let frames = written.split_whitespace().skip(1).take_while(|w| !numbers.contains(w));
        for frame in frames {
            self.check_frame(frame, text.span)?;
        }
        let parts: Option<Vec<f64>> = numbers.iter().map(|n| n.parse().ok()).collect();
        let parts = parts.ok_or_else(|| stc_refused(text.span))?;
        let literals = || parts.iter().map(|v| Expr::Literal(Literal::Float(*v)));
        match (kind, parts.as_slice()) {
            (None, [_, lat]) => {
                check_latitude(*lat, text.span)?;
                let mut both = literals();
                let mut next = || both.next().unwrap_or(Expr::Literal(Literal::Null));
                Ok(Bound::Point { surface: Surface::Sky, lon: next(), lat: next(), depth_km: None })
            }
            (Some(ShapeKind::Circle), [_, _, _])
            | (Some(ShapeKind::Box), [_, _, _, _])
            | (Some(ShapeKind::Polygon), [_, _, _, _, _, _, ..])
                if kind != Some(ShapeKind::Polygon) || parts.len() % 2 == 0 =>
            {
                let shape = Shape {
                    kind: kind.unwrap_or(ShapeKind::Circle),
                    parts: literals().collect(),
                    radius_km: None,
                };
                self.checked(&shape, text.span)?;
                Ok(Bound::Region(shape))
            }
            _ => Err(stc_refused(text.span).into()),
        }
    }

    /// `DISTANCE(p, q)`, or ADQL's `DISTANCE(lon1, lat1, lon2, lat2)`: degrees on the sky, metres on the Earth.
    pub(super) fn distance(&self, args: &[syntax::Expr], span: Span) -> Result<Bound> {
        let (a, b) = match args {
            [a, b] => (self.bind(a)?, self.bind(b)?),
            [_, _, _, _] => (self.point(&args[..2], span)?, self.point(&args[2..], span)?),
            _ => return Err(Diagnostic::new("DISTANCE takes two positions", span).into()),
        };
        let (
            Bound::Point { surface, lon: lon1, lat: lat1, depth_km: d1 },
            Bound::Point { surface: other, lon: lon2, lat: lat2, depth_km: d2 },
        ) = (a, b)
        else {
            return Err(Diagnostic::new("DISTANCE takes two positions", span)
                .help("DISTANCE(a.pos, b.pos)")
                .into());
        };
        // A POINT of plain numbers lies where the other position does.
        let is_plain = |lon: &Expr, lat: &Expr| self.has_no_surface(lon) && self.has_no_surface(lat);
        let surface = match (surface, other) {
            (a, b) if a == b => a,
            (Surface::Sky, _) if is_plain(&lon1, &lat1) => other,
            (_, Surface::Sky) if is_plain(&lon2, &lat2) => surface,
            _ => {
                let message = "one position is on the sky, the other on the Earth";
                return Err(Diagnostic::new(message, span).into());
            }
        };
        let depths = d1.zip(d2).map(Box::new);
        let expr = Expr::Distance { surface, places: Box::new([lon1, lat1, lon2, lat2]), depths };
        let mut value = Typed::computed(expr, Type::Float, false);
        value.unit = Unit::find(if surface == Surface::Sky { "deg" } else { "m" });
        Ok(Bound::Scalar(value))
    }

    /// Is the value no coordinate that is known to lie on the sky?
    fn has_no_surface(&self, value: &Expr) -> bool {
        let mut is_plain = true;
        value.columns(&mut |i| {
            let role = self.scope.columns.get(i).map(|c| c.role);
            is_plain &= !matches!(role, Some(Role::Ra | Role::Dec | Role::RaColumn | Role::DecColumn));
        });
        is_plain
    }

    /// ADQL's optional first argument: ICRS and what hardly differs from it.
    fn without_frame<'e>(&self, args: &'e [syntax::Expr]) -> Result<&'e [syntax::Expr]> {
        let [first, rest @ ..] = args else { return Ok(args) };
        let ExprKind::Text(text) = &first.kind else { return Ok(args) };
        let is_frame =
            !text.contains(|c: char| c.is_ascii_digit()) || text.to_ascii_uppercase().starts_with("FK");
        if !is_frame || rest.len() < 2 {
            return Ok(args);
        }
        let frame = text.trim().to_ascii_uppercase();
        self.check_frame(frame.split_whitespace().next().unwrap_or(""), first.span)?;
        Ok(rest)
    }

    fn check_frame(&self, frame: &str, span: Span) -> Result<()> {
        match frame {
            "" | "ICRS" | "UNKNOWN" | "UNKNOWNFRAME" | "GEOCENTER" | "BARYCENTER" | "TOPOCENTER"
            | "HELIOCENTER" | "UNKNOWNREFPOS" | "SPHERICAL2" => Ok(()),
            "FK5" | "J2000" => {
                self.binder.notice("FK5 is read as ICRS: they differ by less than 0.03 arcsec".to_owned());
                Ok(())
            }
            _ => Err(Diagnostic::new(format!("the frame {frame} is not read here"), span)
                .help("give ICRS coordinates in degrees")
                .into()),
        }
    }
}

/// Is a unit written in the expression?
fn has_unit(e: &syntax::Expr) -> bool {
    match &e.kind {
        ExprKind::Quantity { .. } | ExprKind::Variable(_) => true,
        ExprKind::Unary { operand, .. } => has_unit(operand),
        ExprKind::Binary { left, right, .. } => has_unit(left) || has_unit(right),
        ExprKind::Call { name, .. } => name.text.eq_ignore_ascii_case("IN_UNIT"),
        _ => false,
    }
}

fn times(value: Expr, factor: f64) -> Expr {
    let factor = Expr::Literal(Literal::Float(factor));
    Expr::Arithmetic(ArithmeticOp::Mul, Box::new(value), Box::new(factor))
}

fn number(expr: &Expr) -> Option<f64> {
    Typed::computed(expr.clone(), Type::Float, true).number()
}

fn constants(parts: &[Expr]) -> Option<Vec<f64>> {
    parts.iter().map(number).collect()
}

/// A question about whole regions.
fn question(op: ShapeOp, shapes: Vec<Shape>) -> Expr {
    let regions = shapes.iter().map(|s| (s.kind, s.parts.len())).collect();
    let parts = shapes.into_iter().flat_map(|s| s.parts).collect();
    Expr::Shape(Box::new(ShapeQuestion { op, parts, regions }))
}

fn stc_refused(span: Span) -> Diagnostic {
    Diagnostic::new("REGION takes a constant text of one simple region", span)
        .help("REGION('CIRCLE ICRS 83.8 -5.4 0.5'), BOX, POLYGON or POSITION in degrees; or CIRCLE(83.8, -5.4, 0.5)")
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
