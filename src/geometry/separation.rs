//! Angles between two positions on the sphere. `separation_rad` (Vincenty's formula) is the definition;
//! everything cheaper only decides which pairs need it.

/// Arcseconds in a radian.
pub const ARCSEC_PER_RAD: f64 = 180.0 * 3600.0 / std::f64::consts::PI;
/// Arcseconds in a degree.
pub const ARCSEC_PER_DEG: f64 = 3600.0;
/// A cheap distance this close to the radius, in radians, decides nothing.
pub const UNDECIDED_RAD: f64 = 1e-14;

/// Whether a position can be matched: both finite, |dec| <= 90.
pub fn is_position(ra_deg: f64, dec_deg: f64) -> bool {
    ra_deg.is_finite() && dec_deg.abs() <= 90.0
}

/// `ra2 - ra1` in degrees, in [-180, 180]. Exact: the difference of two right ascensions is rounded once, and
/// taking whole turns away from it is not rounded at all.
pub fn ra_difference_deg(ra1_deg: f64, ra2_deg: f64) -> f64 {
    let difference = ra2_deg - ra1_deg;
    if difference.abs() <= 180.0 { difference } else { difference - 360.0 * (difference / 360.0).round() }
}

/// Separation of two positions given in degrees, in radians, by Vincenty's formula on the sphere: accurate from
/// coincident to antipodal points (T. Vincenty 1975, Survey Review 23(176), 88, doi:10.1179/sre.1975.23.176.88,
/// with equal axes). The same bit for bit when the two points change places. NaN in, NaN out.
pub fn separation_rad(a_deg: (f64, f64), b_deg: (f64, f64)) -> f64 {
    let trig = |dec_deg: f64| dec_deg.to_radians().sin_cos();
    vincenty_rad((a_deg, trig(a_deg.1)), (b_deg, trig(b_deg.1)))
}

/// Vincenty's formula for two positions in degrees, each with the sine and cosine of its dec.
#[inline]
fn vincenty_rad(a: ((f64, f64), (f64, f64)), b: ((f64, f64), (f64, f64))) -> f64 {
    // The formula is not symmetric in its last bit: the southern point always comes first.
    let (south, north) = if a.0.1 <= b.0.1 { (a, b) } else { (b, a) };
    let (sin_d, cos_d) = ra_difference_deg(south.0.0, north.0.0).to_radians().sin_cos();
    let ((sin_s, cos_s), (sin_n, cos_n)) = (south.1, north.1);
    let across = cos_n * sin_d;
    let along = cos_s * sin_n - sin_s * cos_n * cos_d;
    let cosine = sin_s * sin_n + cos_s * cos_n * cos_d;
    (across * across + along * along).sqrt().atan2(cosine)
}

/// `separation_rad` in degrees.
pub fn separation_deg(a_deg: (f64, f64), b_deg: (f64, f64)) -> f64 {
    separation_rad(a_deg, b_deg).to_degrees()
}

/// `separation_rad` in arcseconds.
pub fn separation_arcsec(a_deg: (f64, f64), b_deg: (f64, f64)) -> f64 {
    separation_deg(a_deg, b_deg) * ARCSEC_PER_DEG
}

/// Direction of `to` seen from `from`, in degrees from north through east, in [0, 360); `None` when their
/// separation is 0.
pub fn position_angle_deg(from_deg: (f64, f64), to_deg: (f64, f64)) -> Option<f64> {
    let (sin_d, cos_d) = ra_difference_deg(from_deg.0, to_deg.0).to_radians().sin_cos();
    let (sin_f, cos_f) = from_deg.1.to_radians().sin_cos();
    let (sin_t, cos_t) = to_deg.1.to_radians().sin_cos();
    if separation_rad(from_deg, to_deg) == 0.0 {
        return None;
    }
    let angle = (cos_t * sin_d).atan2(cos_f * sin_t - sin_f * cos_t * cos_d).to_degrees();
    let angle = if angle < 0.0 { angle + 360.0 } else { angle };
    Some(if angle >= 360.0 { 0.0 } else { angle })
}

/// What a cheap distance says about `separation <= radius`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Within the radius.
    Within,
    /// Too close to the radius: ask Vincenty.
    Undecided,
    /// Outside.
    Beyond,
}

/// A radius and what is needed to decide most pairs without Vincenty.
#[derive(Clone, Copy, Debug)]
pub struct Radius {
    /// The radius in degrees.
    pub deg: f64,
    /// `separation_deg` at most this is within (the same comparison for every caller).
    hav_within: f64,
    hav_beyond: f64,
    /// A difference in dec above this is beyond the radius.
    pub dec_window_deg: f64,
}

impl Radius {
    /// A radius in degrees; `None` when it is negative or NaN. Above 180 it is the whole sphere.
    pub fn new(radius_deg: f64) -> Option<Radius> {
        if radius_deg.is_nan() || radius_deg < 0.0 {
            return None;
        }
        let radius_rad = radius_deg.to_radians();
        // Above 90 degrees the haversine flattens out and no longer tells the angles apart: all by Vincenty.
        let is_cheap = radius_deg <= 90.0;
        let below = (radius_rad - UNDECIDED_RAD).max(0.0);
        Some(Radius {
            deg: radius_deg,
            hav_within: if is_cheap && below > 0.0 { (0.5 * below).sin().powi(2) } else { -1.0 },
            hav_beyond: if is_cheap {
                (0.5 * (radius_rad + UNDECIDED_RAD)).sin().powi(2)
            } else {
                f64::INFINITY
            },
            dec_window_deg: radius_deg + 2.0 * UNDECIDED_RAD.to_degrees(),
        })
    }

    /// The decision itself: Vincenty's separation in degrees against the radius.
    pub fn holds(&self, separation_deg: f64) -> bool {
        separation_deg <= self.deg
    }
}

/// A centre and a radius: the loop over candidates of a cone or a crossmatch.
#[derive(Clone, Copy, Debug)]
pub struct Cone {
    /// Centre, ra and dec in degrees.
    pub centre_deg: (f64, f64),
    /// Radius.
    pub radius: Radius,
    cos_dec: f64,
    sin_dec: f64,
    /// A difference in ra above this is beyond the radius.
    ra_window_deg: f64,
}

impl Cone {
    /// A cone around a position in degrees.
    pub fn new(centre_deg: (f64, f64), radius: Radius) -> Cone {
        let (sin_dec, cos_dec) = centre_deg.1.to_radians().sin_cos();
        Cone {
            centre_deg,
            radius,
            cos_dec,
            sin_dec,
            ra_window_deg: ra_window_deg(centre_deg.1, cos_dec, radius.deg),
        }
    }

    /// Whether neither the difference in dec nor that in ra alone puts a position beyond the radius.
    #[inline]
    pub fn is_candidate(&self, ra_deg: f64, dec_deg: f64) -> bool {
        // Written so that a NaN is no candidate.
        (dec_deg - self.centre_deg.1).abs() <= self.radius.dec_window_deg
            && ra_difference_deg(self.centre_deg.0, ra_deg).abs() <= self.ra_window_deg
    }

    /// The haversine `sin^2(d / 2)` of the separation d, the error in d below 1e-15 rad up to 90 degrees; `None`
    /// when the difference in
    /// ra or dec alone is already too large.
    #[inline]
    pub fn haversine(&self, ra_deg: f64, dec_deg: f64) -> Option<f64> {
        if !self.is_candidate(ra_deg, dec_deg) {
            return None;
        }
        let dec_step = dec_deg - self.centre_deg.1;
        let ra_step = ra_difference_deg(self.centre_deg.0, ra_deg);
        let sin_half_dec = (0.5 * dec_step).to_radians().sin();
        let sin_half_ra = (0.5 * ra_step).to_radians().sin();
        // cos(dec + step) from sin(step / 2): the second cosine for the price of a square root.
        let cos_half_dec = (1.0 - sin_half_dec * sin_half_dec).max(0.0).sqrt();
        let cos_dec2 = self.cos_dec * (1.0 - 2.0 * sin_half_dec * sin_half_dec)
            - self.sin_dec * (2.0 * sin_half_dec * cos_half_dec);
        Some(sin_half_dec * sin_half_dec + self.cos_dec * cos_dec2.max(0.0) * sin_half_ra * sin_half_ra)
    }

    /// What a haversine says.
    #[inline]
    pub fn verdict(&self, haversine: f64) -> Verdict {
        if haversine <= self.radius.hav_within {
            Verdict::Within
        } else if haversine > self.radius.hav_beyond {
            Verdict::Beyond
        } else {
            Verdict::Undecided
        }
    }

    /// Vincenty's separation from the centre in degrees.
    #[inline]
    pub fn separation_deg(&self, ra_deg: f64, dec_deg: f64) -> f64 {
        let centre = (self.centre_deg, (self.sin_dec, self.cos_dec));
        vincenty_rad(centre, ((ra_deg, dec_deg), dec_deg.to_radians().sin_cos())).to_degrees()
    }

    /// Whether a position lies within the radius, the boundary included, as Vincenty decides it. NaN never does.
    #[inline]
    pub fn contains(&self, ra_deg: f64, dec_deg: f64) -> bool {
        match self.haversine(ra_deg, dec_deg).map(|h| self.verdict(h)) {
            None | Some(Verdict::Beyond) => false,
            Some(Verdict::Within) => true,
            Some(Verdict::Undecided) => self.radius.holds(self.separation_deg(ra_deg, dec_deg)),
        }
    }
}

/// Half width in ra, in degrees, of the smallest dec-ra box around a circle, rounded up; 180 when it holds a pole.
fn ra_window_deg(dec_deg: f64, cos_dec: f64, radius_deg: f64) -> f64 {
    // 1e-9 degrees of margin: the quotient below is ill conditioned close to a pole.
    if dec_deg.abs() + radius_deg >= 90.0 - 1e-9 {
        return 180.0;
    }
    let sine = radius_deg.to_radians().sin() / cos_dec * (1.0 + 1e-12) + 1e-14 / cos_dec;
    if sine >= 1.0 {
        return 180.0;
    }
    // asin(x) <= x (1 + x^2 / 5) up to 0.1, and cheaper.
    let angle_rad = if sine < 0.1 { sine * (1.0 + 0.2 * sine * sine) } else { sine.asin() };
    (angle_rad.to_degrees() * (1.0 + 1e-12) + 1e-13).min(180.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_separations_and_angles() {
        // (from, to, arcsec, position angle); checked against astropy angular_separation and position_angle
        let cases = [
            ((0.0, 0.0), (0.0, 1.0), 3600.0, Some(0.0)),
            ((0.0, 0.0), (1.0, 0.0), 3600.0, Some(90.0)),
            ((0.0, 0.0), (0.0, -1.0), 3600.0, Some(180.0)),
            ((0.0, 0.0), (359.0, 0.0), 3600.0, Some(270.0)),
            ((10.0, 90.0), (200.0, 90.0), 0.0, None),
            ((10.0, 20.0), (190.0, -20.0), 648000.0, None),
            ((0.0, 80.0), (180.0, 80.0), 72000.0, Some(0.0)),
            ((359.9999999, 0.0), (0.0000001, 0.0), 7.2e-4, Some(90.0)),
        ];
        for (from, to, arcsec, angle) in cases {
            let got = separation_arcsec(from, to);
            assert!((got - arcsec).abs() < 1e-9, "{from:?} {to:?}: {got}");
            if let (Some(want), Some(got)) = (angle, position_angle_deg(from, to)) {
                assert!((got - want).abs() < 1e-9, "{from:?} {to:?}: {got}");
            }
        }
        assert_eq!(position_angle_deg((12.3, 45.6), (12.3, 45.6)), None);
        assert!(separation_rad((f64::NAN, 0.0), (0.0, 0.0)).is_nan());
        assert!(!is_position(0.0, 90.1) && !is_position(f64::INFINITY, 0.0) && !is_position(0.0, f64::NAN));
    }

    #[test]
    fn a_millionth_of_an_arcsecond_is_resolved() {
        let step = 1e-6 / 3600.0;
        let got = separation_arcsec((200.0, 10.0), (200.0, 10.0 + step));
        assert!((got - 1e-6).abs() < 1e-10, "{got}");
    }

    proptest! {
        #[test]
        fn the_two_points_may_change_places(a in (0.0..360.0f64, -90.0..=90.0f64), b in (0.0..360.0f64, -90.0..=90.0f64)) {
            prop_assert_eq!(separation_rad(a, b).to_bits(), separation_rad(b, a).to_bits());
        }

        #[test]
        fn vincenty_is_the_angle_of_the_vectors(a in (-720.0..720.0f64, -90.0..=90.0f64), b in (0.0..360.0f64, -90.0..=90.0f64)) {
            let angle = crate::geometry::vector::angle_rad(
                crate::geometry::vector::from_degrees(a.0, a.1), crate::geometry::vector::from_degrees(b.0, b.1));
            prop_assert!((separation_rad(a, b) - angle).abs() < 3e-15);
        }

        #[test]
        fn the_cone_decides_as_vincenty(a in (0.0..360.0f64, -90.0..=90.0f64), step in (-1.0..1.0f64, -1.0..1.0f64),
                                        log_scale in -12.0..2.0f64, share in 0.0..2.0f64) {
            let scale = 10f64.powf(log_scale);
            let b = (a.0 + step.0 * scale, (a.1 + step.1 * scale).clamp(-90.0, 90.0));
            let true_deg = separation_deg(a, b);
            for radius_deg in [true_deg * share, true_deg, true_deg * (1.0 + 1e-15), true_deg * (1.0 - 1e-15), 0.0, 90.0, 120.0] {
                let cone = Cone::new(a, Radius::new(radius_deg).unwrap());
                prop_assert_eq!(cone.contains(b.0, b.1), true_deg <= radius_deg, "{} {}", true_deg, radius_deg);
                if let Some(h) = cone.haversine(b.0, b.1) && true_deg <= 90.0 {
                    prop_assert!((2.0 * h.sqrt().asin() - true_deg.to_radians()).abs() < 0.1 * UNDECIDED_RAD);
                }
            }
        }
    }
}
