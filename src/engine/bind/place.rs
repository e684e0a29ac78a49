//! Positions against regions that are not constant: circles around the rows of another table.

use super::arith::measure;
use super::expr::ExprBinder;
use super::region::without_frame;
use super::value::Bound;
use crate::engine::expr::{CompareOp, Expr, Literal, Surface};
use crate::engine::plan::Role;
use crate::error::{Diagnostic, Result};
use crate::lang::syntax::{self, ExprKind};
use crate::model::units::Dimension;

impl ExprBinder<'_> {
    /// Is the value no coordinate that is known to lie on the sky?
    pub(super) fn has_no_surface(&self, value: &Expr) -> bool {
        let mut is_plain = true;
        value.columns(&mut |i| {
            let role = self.scope.columns.get(i).map(|c| c.role);
            is_plain &= !matches!(role, Some(Role::Ra | Role::Dec | Role::RaColumn | Role::DecColumn));
        });
        is_plain
    }

    /// `CIRCLE(lon, lat, r)` whose centre or radius is of the row: the condition that a position lies in it.
    fn in_circle_of_row(
        &self,
        surface: Surface,
        at: (&Expr, &Expr),
        region: &syntax::Expr,
    ) -> Result<Option<Expr>> {
        let ExprKind::Call { name, args, .. } = &region.kind else { return Ok(None) };
        if !name.text.eq_ignore_ascii_case("circle") {
            return Ok(None);
        }
        let (centre, radius) = match without_frame(args)? {
            [point, radius] if !matches!(point.kind, ExprKind::Text(_)) => (self.bind(point)?, radius),
            [lon, lat, radius] => (self.point(&[lon.clone(), lat.clone()], region.span)?, radius),
            _ => return Ok(None),
        };
        let Bound::Point { surface: other, lon, lat, .. } = centre else { return Ok(None) };
        let value = self.scalar(radius)?;
        let mut is_of_row = false;
        [&lon, &lat, &value.expr].into_iter().for_each(|e| e.columns(&mut |_| is_of_row = true));
        if !is_of_row {
            return Ok(None);
        }
        let is_free = self.has_no_surface(&lon) && self.has_no_surface(&lat);
        if other != surface && !(other == Surface::Sky && is_free) {
            return Err(
                Diagnostic::new("one position is on the sky, the other on the Earth", region.span).into()
            );
        }
        let is_length = value.unit.as_ref().is_some_and(|u| u.dimension == Dimension::Length);
        let is_constant = value.is_constant && value.unit.is_some();
        let (surface, radius) = match (is_length, is_constant) {
            (true, true) if surface == Surface::Earth => {
                let metres = measure(&value, radius.span, Dimension::Length, ("the radius", "km"))?;
                (surface, Expr::Literal(Literal::Float(metres)))
            }
            // Degrees on the Earth are great-circle degrees of its coordinates.
            (_, true) => (Surface::Sky, Expr::Literal(Literal::Float(self.angle(radius)?))),
            (_, false) => (Surface::Sky, value.expr),
        };
        let places = Box::new([at.0.clone(), at.1.clone(), lon, lat]);
        let distance = Expr::Distance { surface, places, depths: None };
        Ok(Some(Expr::Compare(CompareOp::Le, Box::new(distance), Box::new(radius))))
    }

    /// Does a position lie in a region, constant or of the row?
    pub(super) fn in_region(
        &self,
        surface: Surface,
        at: (Expr, Expr),
        region: &syntax::Expr,
    ) -> Result<Expr> {
        if let Some(condition) = self.in_circle_of_row(surface, (&at.0, &at.1), region)? {
            return Ok(condition);
        }
        match self.bind_region(region, surface)? {
            Bound::Region(area) => Ok(Expr::Inside { lon: Box::new(at.0), lat: Box::new(at.1), area }),
            other => {
                Err(Diagnostic::new(format!("expected a region, found {}", other.phrase()), region.span)
                    .help("CIRCLE(lon, lat, radius), BOX(lon, lat, width, height), POLYGON(lon, lat, ...)")
                    .into())
            }
        }
    }
}
