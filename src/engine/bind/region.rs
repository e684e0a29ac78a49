//! Positions and regions as ADQL writes them: POINT, CIRCLE, BOX, POLYGON, CONTAINS, DISTANCE.

use std::sync::Arc;

use super::arith::{measure, units_of};
use super::expr::{ExprBinder, boolean};
use super::value::{Bound, Typed};
use crate::engine::expr::{Area, Expr, Literal, Surface};
use crate::engine::plan::Role;
use crate::error::{Diagnostic, Error, Result, Span};
use crate::geometry::earth::{EarthRadius, Place};
use crate::geometry::region::{Polygon, Region, SkyBox};
use crate::geometry::sexagesimal;
use crate::lang::syntax::{self, ExprKind};
use crate::model::table::Type;
use crate::model::units::{Dimension, Unit};

impl ExprBinder<'_> {
    /// `POINT([frame,] lon, lat)`.
    pub(super) fn point(&self, args: &[syntax::Expr], span: Span) -> Result<Bound> {
        let args = without_frame(args)?;
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

    pub(super) fn region_call(
        &self,
        name: &str,
        args: &[syntax::Expr],
        span: Span,
        surface: Surface,
    ) -> Result<Bound> {
        let mut places = vec![];
        let mut rest = without_frame(args)?;
        if let [first, tail @ ..] = rest
            && let Some(centre) = self.centre(first)?
        {
            places.push(centre);
            rest = tail;
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
            ExprKind::Text(text) => {
                sexagesimal::parse_position(text).map(Some).map_err(|error| at(error, e.span))
            }
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
                EarthRadius::Km(
                    measure(&value, radius.span, Dimension::Length, ("the radius", "km"))? / 1000.0,
                )
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

    pub(super) fn contains(&self, point: &syntax::Expr, region: &syntax::Expr) -> Result<Bound> {
        let Bound::Point { surface, lon, lat, .. } = self.bind(point)? else {
            return Err(Diagnostic::new("the first argument of CONTAINS is no position", point.span)
                .help("CONTAINS(POINT(ra, dec), CIRCLE(83.8, -5.4, 0.5)); better: pos IN CIRCLE(..)")
                .into());
        };
        match self.bind_region(region, surface)? {
            Bound::Region(area) => Ok(boolean(Expr::Inside { lon: Box::new(lon), lat: Box::new(lat), area })),
            other => {
                Err(Diagnostic::new(format!("expected a region, found {}", other.phrase()), region.span)
                    .into())
            }
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
        "GALACTIC" | "FK4" | "ECLIPTIC" => {
            Err(Diagnostic::new(format!("the frame {upper} is not read here yet"), first.span)
                .help("give ICRS coordinates in degrees")
                .into())
        }
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
