//! Unit vectors: x towards (0, 0), y towards (90, 0), z towards the north pole.

/// A direction, usually of length 1.
pub type Vector = [f64; 3];

/// The unit vector of a position in degrees.
pub fn from_degrees(ra_deg: f64, dec_deg: f64) -> Vector {
    let (sin_ra, cos_ra) = ra_deg.to_radians().sin_cos();
    let (sin_dec, cos_dec) = dec_deg.to_radians().sin_cos();
    [cos_dec * cos_ra, cos_dec * sin_ra, sin_dec]
}

/// The position in degrees of a vector of any length but 0: ra in [0, 360), dec in [-90, 90].
pub fn to_degrees(v: Vector) -> (f64, f64) {
    let ra_deg = v[1].atan2(v[0]).to_degrees();
    let dec_deg = v[2].atan2(v[0].hypot(v[1])).to_degrees();
    let ra_deg = if ra_deg < 0.0 { ra_deg + 360.0 } else { ra_deg };
    (if ra_deg >= 360.0 { 0.0 } else { ra_deg }, dec_deg)
}

/// Scalar product.
pub fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// Vector product.
pub fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// Length.
pub fn norm(v: Vector) -> f64 {
    dot(v, v).sqrt()
}

/// `factor * v`.
pub fn scaled(v: Vector, factor: f64) -> Vector {
    [v[0] * factor, v[1] * factor, v[2] * factor]
}

/// The vector of length 1 in the same direction; `None` for the zero vector.
pub fn normalised(v: Vector) -> Option<Vector> {
    let length = norm(v);
    (length > 0.0).then(|| scaled(v, 1.0 / length))
}

/// The angle between two vectors in radians, accurate at every angle.
pub fn angle_rad(a: Vector, b: Vector) -> f64 {
    norm(cross(a, b)).atan2(dot(a, b))
}

/// The square of the straight distance between two vectors.
pub fn chord2(a: Vector, b: Vector) -> f64 {
    let d = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    dot(d, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_survive_the_way_there_and_back() {
        for (ra, dec) in [(0.0, 0.0), (359.999999, -89.9999), (180.0, 45.0), (271.5, -0.25), (90.0, 89.5)] {
            let (ra2, dec2) = to_degrees(from_degrees(ra, dec));
            assert!((ra - ra2).abs() < 1e-10 && (dec - dec2).abs() < 1e-12, "{ra} {dec} -> {ra2} {dec2}");
        }
        assert_eq!(to_degrees([0.0, 0.0, 2.0]).1, 90.0);
        assert_eq!(to_degrees([1.0, -1e-300, 0.0]).0, 0.0);
    }

    #[test]
    fn angles_of_known_pairs() {
        let x = from_degrees(0.0, 0.0);
        for (ra, dec, want_deg) in
            [(90.0, 0.0, 90.0), (180.0, 0.0, 180.0), (0.0, 1e-9, 1e-9), (0.0, -30.0, 30.0)]
        {
            let got = angle_rad(x, from_degrees(ra, dec)).to_degrees();
            assert!((got - want_deg).abs() < 1e-13 * want_deg.max(1e-3), "{got} {want_deg}");
        }
        assert_eq!(normalised([0.0; 3]), None);
    }
}
