//! Regions whose numbers differ from row to row, and what is asked of them. A row whose numbers are NULL or make no
//! region (a latitude beyond a pole, a polygon that crosses itself) has no answer.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array};

use super::{Area, Expr, arithmetic::finite, floats};
use crate::error::Result;
use crate::geometry::region::{Polygon, Region, SkyBox};
use crate::model::table::Batch;

/// Kinds of regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeKind {
    /// Longitude, latitude, radius.
    Circle,
    /// Longitude, latitude, width, height.
    Box,
    /// Longitude and latitude of each corner.
    Polygon,
}

impl ShapeKind {
    /// The region of these degrees.
    ///
    /// # Errors
    /// They make none.
    pub fn region(self, parts_deg: &[f64]) -> Result<Region> {
        match (self, parts_deg) {
            (ShapeKind::Circle, [lon, lat, radius]) => Region::circle((*lon, *lat), *radius),
            (ShapeKind::Box, [lon, lat, width, height]) => {
                SkyBox::new((*lon, *lat), *width, *height).map(Region::Box)
            }
            _ => {
                let corners: Vec<(f64, f64)> = parts_deg.chunks_exact(2).map(|c| (c[0], c[1])).collect();
                Polygon::new(&corners).map(Region::Polygon)
            }
        }
    }
}

/// What is asked of one or two regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeOp {
    /// Is the position (two numbers before the region's) in it?
    Holds,
    /// Does the first hold all of the second?
    Covers,
    /// Have they a point in common?
    Intersects,
    /// Square degrees.
    Area,
    /// Longitude of the centroid.
    CentroidLon,
    /// Latitude of the centroid.
    CentroidLat,
}

/// A question and the regions it is asked of.
#[derive(Clone, Debug)]
pub struct ShapeQuestion {
    /// What is asked.
    pub op: ShapeOp,
    /// Numbers in degrees: for `Holds` a position first, then those of each region.
    pub parts: Vec<Expr>,
    /// Each region's kind and how many numbers it has.
    pub regions: Vec<(ShapeKind, usize)>,
}

impl ShapeQuestion {
    /// The answer for every row.
    pub(super) fn eval(&self, batch: &Batch) -> Result<ArrayRef> {
        let parts = self.parts.iter().map(|p| floats(&p.eval(batch)?)).collect::<Result<Vec<_>>>()?;
        let rows = 0..batch.num_rows();
        Ok(match self.op {
            ShapeOp::Holds | ShapeOp::Covers | ShapeOp::Intersects => {
                Arc::new(rows.map(|row| self.condition(&parts, row)).collect::<BooleanArray>())
            }
            _ => Arc::new(finite(rows.map(|row| self.number(&parts, row)).collect::<Float64Array>())),
        })
    }

    /// The regions of a row, behind `skip` other numbers.
    fn regions(&self, parts: &[Float64Array], row: usize, skip: usize) -> Option<Vec<Region>> {
        let mut at = skip;
        let mut all = vec![];
        for (kind, count) in &self.regions {
            let of = parts.get(at..at + count)?;
            let numbers: Option<Vec<f64>> =
                of.iter().map(|p| p.is_valid(row).then(|| p.value(row))).collect();
            all.push(kind.region(&numbers?).ok()?);
            at += count;
        }
        Some(all)
    }

    fn condition(&self, parts: &[Float64Array], row: usize) -> Option<bool> {
        if self.op == ShapeOp::Holds {
            let [lon, lat] = [parts.first()?, parts.get(1)?];
            let at = (lon.is_valid(row) && lat.is_valid(row)).then(|| (lon.value(row), lat.value(row)))?;
            return Some(self.regions(parts, row, 2)?.first()?.contains(at.0, at.1));
        }
        let regions = self.regions(parts, row, 0)?;
        let [first, second] = regions.as_slice() else { return None };
        Some(if self.op == ShapeOp::Covers { first.covers(second) } else { first.intersects(second) })
    }

    fn number(&self, parts: &[Float64Array], row: usize) -> Option<f64> {
        let regions = self.regions(parts, row, 0)?;
        let region = regions.first()?;
        Some(match self.op {
            ShapeOp::CentroidLon => region.centroid_deg().0,
            ShapeOp::CentroidLat => region.centroid_deg().1,
            _ => region.area_deg2(),
        })
    }
}

/// Is each position in a constant region?
pub(super) fn inside(lon: &ArrayRef, lat: &ArrayRef, area: &Area) -> Result<ArrayRef> {
    let (lon, lat) = (floats(lon)?, floats(lat)?);
    let values = lon.iter().zip(lat.iter()).map(|(lon, lat)| Some(area.contains(lon?, lat?)));
    Ok(Arc::new(values.collect::<BooleanArray>()))
}
