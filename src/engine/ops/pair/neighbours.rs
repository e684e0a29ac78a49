//! Nearest hypocentres in straight-line distance, by a k-d tree over geocentric coordinates.

use std::num::NonZeroUsize;

use kiddo::{ImmutableKdTree, SquaredEuclidean};

use crate::error::{Error, Result};

use super::Catalogue;

/// Semi-major axis of WGS84 in km.
const WGS84_A_KM: f64 = 6378.137;
/// First eccentricity squared of WGS84.
const WGS84_E2: f64 = 6.694_379_990_141_317e-3;

/// Geocentric Cartesian coordinates in km of a point `depth_km` under the WGS84 ellipsoid.
pub fn geocentric_km(latitude_deg: f64, longitude_deg: f64, depth_km: f64) -> [f64; 3] {
    let (sin_lat, cos_lat) = latitude_deg.to_radians().sin_cos();
    let (sin_lon, cos_lon) = longitude_deg.to_radians().sin_cos();
    let normal = WGS84_A_KM / (1.0 - WGS84_E2 * sin_lat * sin_lat).sqrt();
    let radius = (normal - depth_km) * cos_lat;
    [radius * cos_lon, radius * sin_lon, (normal * (1.0 - WGS84_E2) - depth_km) * sin_lat]
}

/// Straight-line distance.
pub fn distance(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2) + (a[2] - b[2]).powi(2)).sqrt()
}

/// The hypocentres of the events that take part.
pub struct Neighbours {
    members: Vec<u32>,
    places: Vec<[f64; 3]>,
    tree: Option<ImmutableKdTree<f64, 3>>,
    radius_km: f64,
}

/// Neighbours of one event, nearest first.
pub struct Found {
    /// (separation in km, event).
    pub found: Vec<(f64, u32)>,
    /// False if there are more within the radius.
    pub complete: bool,
}

impl Neighbours {
    /// Over `members` (events by index). An infinite radius stands for all.
    pub fn new(catalogue: &Catalogue, members: &[u32], radius_km: f64) -> Result<Neighbours> {
        let place = |&i: &u32| {
            let event = &catalogue.events[i as usize];
            event
                .position()
                .map_or([f64::NAN; 3], |(lat, lon)| geocentric_km(lat, lon, event.depth_km.unwrap_or(0.0)))
        };
        let places: Vec<[f64; 3]> = members.iter().map(place).collect();
        let tree = if radius_km.is_finite() && !places.is_empty() {
            let built = ImmutableKdTree::new_from_slice(&places);
            Some(built.map_err(|e| {
                Error::refused(format!("no tree of hypocentres: {e:?}"), "MAXSEP ALL needs none")
            })?)
        } else {
            None
        };
        Ok(Neighbours { members: members.to_vec(), places, tree, radius_km })
    }

    /// The neighbours of member `m` within the radius: at least the nearest `wanted`, or all. Ordered by
    /// (separation, event); a group of equal separations is never cut.
    pub fn of(&self, m: usize, wanted: Option<usize>) -> Found {
        let here = &self.places[m];
        let (candidates, complete) = self.candidates(here, wanted);
        let mut found: Vec<(f64, u32)> = candidates
            .into_iter()
            .filter(|&other| other != m)
            .map(|other| (distance(here, &self.places[other]), self.members[other]))
            .filter(|(d, _)| d.is_nan() || *d <= self.radius_km)
            .collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        if !complete && let Some(&(last, _)) = found.last() {
            // The tree cuts a group of equal distances as it likes: only what is clearly nearer is certain.
            found.retain(|(d, _)| *d < last * (1.0 - 1e-12));
        }
        Found { found, complete }
    }

    fn candidates(&self, here: &[f64; 3], wanted: Option<usize>) -> (Vec<usize>, bool) {
        let Some(tree) = &self.tree else { return ((0..self.places.len()).collect(), true) };
        // A little more than the radius: the exact comparison is made with our own distance.
        let reach = self.radius_km * (1.0 + 1e-9) + 1e-9;
        let items: Vec<usize> = match wanted.and_then(|n| NonZeroUsize::new(n.saturating_add(1))) {
            Some(n) if n.get() < self.places.len() => {
                let query = tree.query(here).nearest_n::<SquaredEuclidean<f64>>(n).within(reach * reach);
                query.execute().into_iter().map(|r| r.item as usize).collect()
            }
            _ => {
                let query = tree.query(here).within::<SquaredEuclidean<f64>>(reach * reach);
                query.execute().into_iter().map(|r| r.item as usize).collect()
            }
        };
        let complete = wanted.is_none_or(|n| items.len() <= n || n >= self.places.len());
        (items, complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_of_known_points() {
        let cases = [
            ((0.0, 0.0, 0.0), [6378.137, 0.0, 0.0]),
            ((90.0, 0.0, 0.0), [0.0, 0.0, 6_356.752_314_245_179]),
            ((0.0, 90.0, 10.0), [0.0, 6368.137, 0.0]),
            // astropy EarthLocation.from_geodetic(-117.5057, 35.7091, -10450 m)
            ((35.7091, -117.5057, 10.45), ASTROPY),
        ];
        for ((lat, lon, depth), want) in cases {
            let d = distance(&geocentric_km(lat, lon, depth), &want);
            assert!(d < 1e-9, "{lat} {lon} {depth}: {d} km off");
        }
    }

    const ASTROPY: [f64; 3] = [-2_390.661_140_122_095, -4_591.302_061_991_964, 3_695.931_477_880_465];
}
