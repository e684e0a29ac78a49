//! Distances on the Earth: geodesics of the WGS84 ellipsoid (C. F. F. Karney 2013, J. Geodesy 87, 43,
//! doi:10.1007/s00190-012-0578-z), and earth-centred vectors.

use std::sync::LazyLock;

use geographiclib_rs::{Geodesic, InverseGeodesic};

use crate::geometry::separation::{Radius, is_position, separation_deg};
use crate::geometry::vector::Vector;

/// WGS84 equatorial radius in km.
pub const WGS84_A_KM: f64 = 6378.137;
/// WGS84 flattening.
pub const WGS84_F: f64 = 1.0 / 298.257223563;

static WGS84: LazyLock<Geodesic> = LazyLock::new(Geodesic::wgs84);

/// A place on the Earth: geographic latitude and longitude in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// North is positive, |lat| <= 90.
    pub lat_deg: f64,
    /// East is positive.
    pub lon_deg: f64,
}

/// Length of the geodesic between two places in km, exact to 1e-11 km; NaN when a coordinate is NULL (NaN), not
/// finite or a latitude is beyond a pole.
pub fn distance_km(a: Place, b: Place) -> f64 {
    if ![a, b].iter().all(|p| is_position(p.lon_deg, p.lat_deg)) {
        return f64::NAN;
    }
    let metres: f64 = WGS84.inverse(a.lat_deg, a.lon_deg, b.lat_deg, b.lon_deg);
    metres * 1e-3
}

/// Azimuth at `from` of the geodesic to `to`, degrees from north through east in [0, 360); `None` for one place.
pub fn azimuth_deg(from: Place, to: Place) -> Option<f64> {
    let is_apart = distance_km(from, to) > 0.0;
    if !is_apart {
        return None;
    }
    let (azimuth_deg, _, _): (f64, f64, f64) =
        WGS84.inverse(from.lat_deg, from.lon_deg, to.lat_deg, to.lon_deg);
    Some(azimuth_deg.rem_euclid(360.0) % 360.0)
}

/// Earth-centred, earth-fixed vector in km of a place at a height above the ellipsoid (depths are negative).
pub fn ecef_km(place: Place, height_km: f64) -> Vector {
    let (sin_lat, cos_lat) = place.lat_deg.to_radians().sin_cos();
    let (sin_lon, cos_lon) = place.lon_deg.to_radians().sin_cos();
    let e2 = WGS84_F * (2.0 - WGS84_F);
    let normal_km = WGS84_A_KM / (1.0 - e2 * sin_lat * sin_lat).sqrt();
    let across_km = (normal_km + height_km) * cos_lat;
    [across_km * cos_lon, across_km * sin_lon, (normal_km * (1.0 - e2) + height_km) * sin_lat]
}

/// Radius of a circle on the Earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EarthRadius {
    /// Along the geodesic of the ellipsoid.
    Km(f64),
    /// Great-circle degrees on the sphere of the geographic coordinates, as FDSN services count them.
    Deg(f64),
}

/// Whether a place lies in the circle, its edge included. NaN coordinates and negative radii never do.
pub fn circle_contains(centre: Place, radius: EarthRadius, place: Place) -> bool {
    match radius {
        EarthRadius::Km(km) => distance_km(centre, place) <= km,
        EarthRadius::Deg(deg) => Radius::new(deg).is_some_and(|radius| {
            is_position(place.lon_deg, place.lat_deg)
                && radius
                    .holds(separation_deg((centre.lon_deg, centre.lat_deg), (place.lon_deg, place.lat_deg)))
        }),
    }
}

/// A spherical radius in degrees that holds every place of the circle, for the search in an index.
pub fn search_radius_deg(radius: EarthRadius) -> f64 {
    match radius {
        EarthRadius::Deg(deg) => deg,
        // The smallest radius of curvature of the ellipsoid is b^2 / a (on the equator, along the meridian):
        // a geodesic of s km spans at most s / (b^2 / a) rad of geographic direction.
        EarthRadius::Km(km) => {
            let polar_km = WGS84_A_KM * (1.0 - WGS84_F);
            (km / (polar_km * polar_km / WGS84_A_KM)).to_degrees() * (1.0 + 1e-12)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(lat_deg: f64, lon_deg: f64) -> Place {
        Place { lat_deg, lon_deg }
    }

    #[test]
    fn distances_of_known_geodesics() {
        // (from, to, km): the first by an independent iteration of the inverse problem, the rest from the ellipsoid.
        let cases = [
            (place(40.64, -73.78), place(51.47, -0.461389), 5554.655932, 1e-5),
            (place(0.0, 0.0), place(90.0, 0.0), 10001.965729, 1e-6),
            (place(0.0, 0.0), place(0.0, 1.0), WGS84_A_KM * std::f64::consts::PI / 180.0, 1e-9),
            (place(0.0, 179.5), place(0.0, -179.5), WGS84_A_KM * std::f64::consts::PI / 180.0, 1e-9),
            (place(10.0, 20.0), place(10.0, 20.0), 0.0, 0.0),
        ];
        for (a, b, want, tolerance) in cases {
            let got = distance_km(a, b);
            assert!((got - want).abs() <= tolerance, "{a:?} {b:?}: {got}");
        }
        assert!(distance_km(place(91.0, 0.0), place(0.0, 0.0)).is_nan());
        assert!(distance_km(place(f64::NAN, 0.0), place(0.0, 0.0)).is_nan());
    }

    #[test]
    fn azimuths() {
        for (to, want) in [
            (place(1.0, 0.0), 0.0),
            (place(0.0, 1.0), 90.0),
            (place(-1.0, 0.0), 180.0),
            (place(0.0, -1.0), 270.0),
        ] {
            assert!((azimuth_deg(place(0.0, 0.0), to).unwrap() - want).abs() < 1e-9);
        }
        assert_eq!(azimuth_deg(place(3.0, 4.0), place(3.0, 4.0)), None);
    }

    #[test]
    fn earth_centred_vectors() {
        let polar_km = WGS84_A_KM * (1.0 - WGS84_F);
        for (at, height, want) in [
            (place(0.0, 0.0), 0.0, [WGS84_A_KM, 0.0, 0.0]),
            (place(90.0, 0.0), -10.0, [0.0, 0.0, polar_km - 10.0]),
            (place(0.0, 90.0), 2.0, [0.0, WGS84_A_KM + 2.0, 0.0]),
        ] {
            let got = ecef_km(at, height);
            assert!((0..3).all(|i| (got[i] - want[i]).abs() < 1e-9), "{got:?}");
        }
    }

    #[test]
    fn the_search_radius_holds_the_circle() {
        for lat in [-84.0, -45.0, 0.0, 10.0, 60.0] {
            for (dlat, dlon) in
                [(0.5, 0.0), (0.0, 0.5), (0.3, 0.4), (-0.3, 20.0), (-5.0, 100.0), (0.0, 179.9)]
            {
                let (a, b) = (place(lat, 10.0), place(lat + dlat, 10.0 + dlon));
                let km = distance_km(a, b);
                let deg = separation_deg((a.lon_deg, a.lat_deg), (b.lon_deg, b.lat_deg));
                assert!(search_radius_deg(EarthRadius::Km(km)) >= deg, "{a:?} {b:?}");
                assert!(
                    circle_contains(a, EarthRadius::Km(km), b)
                        && !circle_contains(a, EarthRadius::Km(km * 0.999), b)
                );
                assert!(
                    circle_contains(a, EarthRadius::Deg(deg), b)
                        && !circle_contains(a, EarthRadius::Deg(-1.0), a)
                );
            }
        }
    }
}
