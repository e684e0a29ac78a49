//! Distances of positions on the sky and on the Earth.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array};

use super::arithmetic::finite;
use super::{Surface, floats};
use crate::error::Result;
use crate::geometry::earth::{self, Place};
use crate::geometry::{separation, vector};

/// lon1, lat1, lon2, lat2 and, for hypocentres, both depths; a depth that is NULL is taken as 0.
pub(super) fn distance(surface: Surface, parts: &[ArrayRef]) -> Result<ArrayRef> {
    let parts = parts.iter().map(floats).collect::<Result<Vec<_>>>()?;
    let rows = parts.first().map_or(0, |p| p.len());
    let value = |k: usize, i: usize| parts.get(k).and_then(|p| p.is_valid(i).then(|| p.value(i)));
    let values = (0..rows).map(|i| {
        let places = ((value(0, i)?, value(1, i)?), (value(2, i)?, value(3, i)?));
        let depths = (parts.len() == 6).then(|| (value(4, i).unwrap_or(0.0), value(5, i).unwrap_or(0.0)));
        Some(distance_of(surface, places, depths))
    });
    Ok(Arc::new(finite(values.collect::<Float64Array>())))
}

/// Distance of two (longitude, latitude) in degrees: degrees on the sky, metres on the Earth, with depths in km the
/// straight line between them; NaN where one is no position.
pub fn distance_of(surface: Surface, places: ((f64, f64), (f64, f64)), depths_km: Option<(f64, f64)>) -> f64 {
    let (a, b) = places;
    if !(separation::is_position(a.0, a.1) && separation::is_position(b.0, b.1)) {
        return f64::NAN;
    }
    let place = |p: (f64, f64)| Place { lon_deg: p.0, lat_deg: p.1 };
    match (surface, depths_km) {
        (Surface::Sky, _) => separation::separation_deg(a, b),
        (Surface::Earth, None) => earth::distance_km(place(a), place(b)) * 1000.0,
        (Surface::Earth, Some((depth_a, depth_b))) => {
            let (a, b) = (earth::ecef_km(place(a), -depth_a), earth::ecef_km(place(b), -depth_b));
            vector::chord2(a, b).sqrt() * 1000.0
        }
    }
}
