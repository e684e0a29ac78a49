//! Right rows within a distance of a left row: they lie in the cells of a grid in space as wide as the largest
//! distance asked for, so that only the 27 cells around a left row hold candidates. The straight line between two
//! points is never longer than the way on the surface; the exact distance decides.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::engine::expr::{Expr, Surface, distance_of, floats};
use crate::engine::ops::hash::RowHasher;
use crate::engine::plan::Near;
use crate::error::Result;
use crate::geometry::earth::{self, Place};
use crate::geometry::separation::is_position;
use crate::geometry::vector::{self, Vector};
use crate::model::table::Batch;

/// Cells are at least this wide in units of the sphere's or the Earth's radius: the rounding of a cell's number is
/// far less than what `CELL_MARGIN` adds.
const SMALLEST_CELL: f64 = 1e-9;
/// Cells are wider than the largest distance by this part.
const CELL_MARGIN: f64 = 1e-6;

/// The right rows by cell, and the positions of both sides.
pub struct NearIndex {
    surface: Surface,
    is_strict: bool,
    left: Side,
    right: Side,
    /// Width of a cell.
    width: f64,
    /// Rows of each cell: a range of `rows`.
    cells: HashMap<u64, (u32, u32), BuildHasherDefault<RowHasher>>,
    rows: Vec<u32>,
}

/// Positions of one side; NaN where a row has none.
struct Side {
    lon_deg: Vec<f64>,
    lat_deg: Vec<f64>,
    depth_km: Option<Vec<f64>>,
    radius: Option<Vec<f64>>,
}

impl Side {
    fn new(batch: &Batch, place: &[Expr; 2], depth: Option<&Expr>, radius: Option<&Expr>) -> Result<Side> {
        let values = |e: &Expr, missing: f64| -> Result<Vec<f64>> {
            Ok(floats(&e.eval(batch)?)?.iter().map(|v| v.unwrap_or(missing)).collect())
        };
        Ok(Side {
            lon_deg: values(&place[0], f64::NAN)?,
            lat_deg: values(&place[1], f64::NAN)?,
            depth_km: depth.map(|d| values(d, 0.0)).transpose()?,
            radius: radius.map(|r| values(r, f64::NAN)).transpose()?,
        })
    }

    fn radius(&self, row: usize) -> f64 {
        self.radius.as_ref().map_or(0.0, |r| r[row])
    }

    fn largest_radius(&self) -> f64 {
        self.radius
            .as_ref()
            .map_or(0.0, |r| r.iter().copied().filter(|v| !v.is_nan()).fold(f64::NEG_INFINITY, f64::max))
    }

    /// The point in space: on the unit sphere, or km from the Earth's centre.
    fn point(&self, row: usize, surface: Surface) -> Option<Vector> {
        let (lon_deg, lat_deg) = (self.lon_deg[row], self.lat_deg[row]);
        if !is_position(lon_deg, lat_deg) {
            return None;
        }
        if surface == Surface::Sky {
            return Some(vector::from_degrees(lon_deg, lat_deg));
        }
        let depth_km = self.depth_km.as_ref().map_or(0.0, |d| d[row]);
        Some(earth::ecef_km(Place { lon_deg, lat_deg }, -depth_km))
    }
}

impl NearIndex {
    /// Over two batches. A row without position has no partners.
    pub fn new(left: &Batch, right: &Batch, near: &Near) -> Result<NearIndex> {
        let depths = near.depths.as_ref();
        let left = Side::new(left, &near.left, depths.map(|d| &d.0), near.radius.0.as_ref())?;
        let right = Side::new(right, &near.right, depths.map(|d| &d.1), near.radius.1.as_ref())?;
        let reach = reach(near.surface, left.largest_radius() + right.largest_radius());
        let scale = if near.surface == Surface::Sky { 1.0 } else { earth::WGS84_A_KM };
        let width = reach.max(SMALLEST_CELL * scale) * (1.0 + CELL_MARGIN);
        let mut index = NearIndex {
            surface: near.surface,
            is_strict: near.is_strict,
            left,
            right,
            width,
            cells: HashMap::default(),
            rows: vec![],
        };
        // A radius below 0, or of NULLs alone, holds nothing.
        if reach >= 0.0 {
            index.fill();
        }
        Ok(index)
    }

    fn fill(&mut self) {
        let mut keyed: Vec<(u64, u32)> = (0..self.right.lon_deg.len())
            .filter_map(|row| {
                let at = self.right.point(row, self.surface)?;
                Some((key(at.map(|c| (c / self.width).floor() as i64)), row as u32))
            })
            .collect();
        keyed.sort_unstable();
        let mut start = 0;
        for run in keyed.chunk_by(|a, b| a.0 == b.0) {
            self.cells.insert(run[0].0, (start, start + run.len() as u32));
            start += run.len() as u32;
        }
        self.rows = keyed.into_iter().map(|k| k.1).collect();
    }

    /// Appends the partners of a left row, nearest first.
    pub fn partners(&self, row: u32, found: &mut Vec<u32>) {
        let row = row as usize;
        let Some(at) = self.left.point(row, self.surface) else { return };
        let cell = at.map(|c| (c / self.width).floor() as i64);
        let mut keys: Vec<u64> = Vec::with_capacity(27);
        for step in 0..27i64 {
            let steps = [step % 3 - 1, step / 3 % 3 - 1, step / 9 - 1];
            keys.push(key([cell[0] + steps[0], cell[1] + steps[1], cell[2] + steps[2]]));
        }
        keys.sort_unstable();
        // Two cells may share a key.
        keys.dedup();
        let mut near: Vec<(f64, u32)> = vec![];
        for (start, end) in keys.iter().filter_map(|k| self.cells.get(k)) {
            for &other in &self.rows[*start as usize..*end as usize] {
                near.extend(self.within(row, other as usize).map(|d| (d, other)));
            }
        }
        near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        found.extend(near.into_iter().map(|n| n.1));
    }

    /// The distance of a pair, if it is within the radius.
    fn within(&self, left: usize, right: usize) -> Option<f64> {
        let place = |side: &Side, row: usize| (side.lon_deg[row], side.lat_deg[row]);
        let depths = self.left.depth_km.as_ref().zip(self.right.depth_km.as_ref());
        let depths = depths.map(|(l, r)| (l[left], r[right]));
        let distance =
            distance_of(self.surface, (place(&self.left, left), place(&self.right, right)), depths);
        let radius = self.left.radius(left) + self.right.radius(right);
        let holds = if self.is_strict { distance < radius } else { distance <= radius };
        holds.then_some(distance)
    }
}

/// Straight lines of pairs within the radius (degrees or metres) are not longer: in units of the sphere, or km.
fn reach(surface: Surface, radius: f64) -> f64 {
    match surface {
        Surface::Sky if radius >= 180.0 => 2.0 + 1e-9,
        Surface::Sky => 2.0 * (0.5 * radius.to_radians()).sin() * (1.0 + 1e-12) + 1e-14,
        Surface::Earth => (radius / 1000.0).min(4.0 * earth::WGS84_A_KM) * (1.0 + 1e-9) + 1e-6,
    }
}

/// A cell as one number; cells that share it only share candidates.
fn key(cell: [i64; 3]) -> u64 {
    cell.iter().fold(0x9e37_79b9_7f4a_7c15, |all: u64, c| {
        (all ^ *c as u64).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31)
    })
}
