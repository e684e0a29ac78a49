//! What two regions have to do with each other, and their area and centroid. A boundary belongs to its region; a
//! side that is met within [`BOUNDARY_RAD`] is met.

use super::{BOUNDARY_RAD, Region, SkyBox, edges_meet};
use crate::geometry::vector::{self, Vector};

/// Square degrees in a steradian.
const DEG2_PER_SR: f64 = (180.0 / std::f64::consts::PI) * (180.0 / std::f64::consts::PI);

/// A region as a cap, or as the corners of great-circle edges.
enum Outline<'a> {
    Cap { centre: Vector, radius_rad: f64 },
    Corners { corners: Vec<Vector>, of: &'a Region },
}

impl Region {
    /// Area in square degrees.
    pub fn area_deg2(&self) -> f64 {
        let steradian = match self {
            Region::Circle(cone) => {
                let half = 0.5 * cone.radius.deg.min(180.0).to_radians();
                4.0 * std::f64::consts::PI * half.sin().powi(2)
            }
            // A box is a rectangle of four equal angles: its excess is 4 asin(sin(w / 2) sin(h / 2)).
            Region::Box(of) => {
                let sine = |side: usize| vector::dot(of.centre, of.sides[side]);
                4.0 * (sine(0) * sine(2)).asin()
            }
            Region::Polygon(polygon) => fan_area(&polygon.vertices),
        };
        steradian * DEG2_PER_SR
    }

    /// The centre of mass, put back on the sphere: (ra, dec) in degrees.
    pub fn centroid_deg(&self) -> (f64, f64) {
        match self {
            Region::Circle(cone) => cone.centre_deg,
            Region::Box(of) => vector::to_degrees(of.centre),
            Region::Polygon(polygon) => {
                // The integral of the position over a spherical polygon is half the sum of its edges' unit
                // normals, each times the length of its edge (J. E. Brock 1975, J. Appl. Mech. 42, 239).
                let n = polygon.vertices.len();
                let mut sum = [0.0; 3];
                for (i, normal) in polygon.normals.iter().enumerate() {
                    let length = vector::angle_rad(polygon.vertices[i], polygon.vertices[(i + 1) % n]);
                    sum = [0, 1, 2].map(|k| sum[k] + length * normal[k]);
                }
                vector::to_degrees(sum)
            }
        }
    }

    /// Have the two a point in common?
    pub fn intersects(&self, other: &Region) -> bool {
        match (self.outline(), other.outline()) {
            (Outline::Cap { centre: a, radius_rad: r }, Outline::Cap { centre: b, radius_rad: s }) => {
                vector::angle_rad(a, b) <= r + s + BOUNDARY_RAD
            }
            (Outline::Cap { centre, radius_rad }, Outline::Corners { corners, of })
            | (Outline::Corners { corners, of }, Outline::Cap { centre, radius_rad }) => {
                of.holds(centre) || distance_to(&corners, centre) <= radius_rad + BOUNDARY_RAD
            }
            (Outline::Corners { corners: a, of: first }, Outline::Corners { corners: b, of: second }) => {
                a.iter().any(|v| second.holds(*v))
                    || b.iter().any(|v| first.holds(*v))
                    || edges(&a).any(|e| edges(&b).any(|f| edges_meet(e, f)))
            }
        }
    }

    /// Does every point of `other` lie in this region?
    pub fn covers(&self, other: &Region) -> bool {
        match (self.outline(), other.outline()) {
            (Outline::Cap { centre: a, radius_rad: r }, Outline::Cap { centre: b, radius_rad: s }) => {
                r >= std::f64::consts::PI || vector::angle_rad(a, b) + s <= r + BOUNDARY_RAD
            }
            (Outline::Cap { centre, radius_rad }, Outline::Corners { corners, of }) => {
                if radius_rad <= std::f64::consts::FRAC_PI_2 {
                    return corners
                        .iter()
                        .all(|v| vector::angle_rad(centre, *v) <= radius_rad + BOUNDARY_RAD);
                }
                // The rest of the sphere is a convex cap: it must stay outside.
                let antipode = vector::scaled(centre, -1.0);
                let rest_rad = std::f64::consts::PI - radius_rad;
                !of.holds(antipode) && distance_to(&corners, antipode) >= rest_rad - BOUNDARY_RAD
            }
            (Outline::Corners { corners, of }, Outline::Cap { centre, radius_rad }) => {
                of.holds(centre) && distance_to(&corners, centre) >= radius_rad - BOUNDARY_RAD
            }
            (Outline::Corners { corners, of }, Outline::Corners { corners: inner, .. }) => {
                inner.iter().all(|v| of.holds(*v)) && edges(&inner).all(|edge| stays_in(edge, &corners, of))
            }
        }
    }

    fn outline(&self) -> Outline<'_> {
        match self {
            Region::Circle(cone) => Outline::Cap {
                centre: vector::from_degrees(cone.centre_deg.0, cone.centre_deg.1),
                radius_rad: cone.radius.deg.min(180.0).to_radians(),
            },
            Region::Box(of) => Outline::Corners { corners: box_corners(of), of: self },
            Region::Polygon(polygon) => Outline::Corners { corners: polygon.vertices.clone(), of: self },
        }
    }

    fn holds(&self, at: Vector) -> bool {
        match self {
            Region::Circle(cone) => {
                let centre = vector::from_degrees(cone.centre_deg.0, cone.centre_deg.1);
                vector::angle_rad(centre, at) <= cone.radius.deg.to_radians() + BOUNDARY_RAD
            }
            Region::Box(of) => of.contains(at),
            Region::Polygon(polygon) => polygon.contains(at),
        }
    }
}

type Edge = (Vector, Vector, Vector);

/// Start, end and unit normal of each edge; an edge without length (a box without width) has none.
fn edges(corners: &[Vector]) -> impl Iterator<Item = Edge> {
    (0..corners.len()).filter_map(|i| {
        let (from, to) = (corners[i], corners[(i + 1) % corners.len()]);
        vector::normalised(vector::cross(from, to)).map(|normal| (from, to, normal))
    })
}

/// The corners of a box, one after the other along its outline.
fn box_corners(of: &SkyBox) -> Vec<Vector> {
    [(0, 2), (1, 2), (1, 3), (0, 3)]
        .into_iter()
        .filter_map(|(i, j)| vector::normalised(vector::cross(of.sides[i], of.sides[j])))
        .map(|v| if vector::dot(v, of.centre) < 0.0 { vector::scaled(v, -1.0) } else { v })
        .collect()
}

/// Distance to the nearest edge, in radians.
fn distance_to(corners: &[Vector], at: Vector) -> f64 {
    let of_corners = corners.iter().map(|v| vector::angle_rad(*v, at));
    let of_edges = edges(corners).filter_map(|(from, to, normal)| {
        let starts = vector::dot(vector::cross(normal, from), at) >= 0.0;
        let ends = vector::dot(vector::cross(to, normal), at) >= 0.0;
        (starts && ends).then(|| vector::dot(normal, at).clamp(-1.0, 1.0).asin().abs())
    });
    of_corners.chain(of_edges).fold(f64::INFINITY, f64::min)
}

/// Whether an edge whose ends lie in a region does not leave it: between any two places where it meets the outline
/// its middle is inside.
fn stays_in(edge: Edge, corners: &[Vector], of: &Region) -> bool {
    let (from, to, normal) = edge;
    let along = |v: Vector| vector::angle_rad(from, v);
    let mut cuts = vec![0.0, along(to)];
    for other in edges(corners) {
        if !edges_meet(edge, other) {
            continue;
        }
        cuts.extend([other.0, other.1].map(along));
        if let Some(at) = vector::normalised(vector::cross(normal, other.2)) {
            cuts.extend([at, vector::scaled(at, -1.0)].map(along));
        }
    }
    let end = along(to);
    cuts.retain(|cut| *cut <= end);
    cuts.sort_by(f64::total_cmp);
    let east = vector::cross(normal, from);
    let point = |angle: f64| {
        let (sine, cosine) = angle.sin_cos();
        [0, 1, 2].map(|k| cosine * from[k] + sine * east[k])
    };
    cuts.windows(2).all(|w| w[1] - w[0] <= 4.0 * BOUNDARY_RAD || of.holds(point(0.5 * (w[0] + w[1]))))
}

/// Area on the left of an outline in steradian: the signed triangles from its first corner (F. Eriksson 1990, Math.
/// Mag. 63, 184, doi:10.1080/0025570X.1990.11977515), accurate for small ones.
fn fan_area(corners: &[Vector]) -> f64 {
    let Some((a, rest)) = corners.split_first() else { return 0.0 };
    let minus = |v: Vector| [0, 1, 2].map(|k| v[k] - a[k]);
    let excess = |w: &[Vector]| {
        let volume = vector::dot(*a, vector::cross(minus(w[0]), minus(w[1])));
        let sum = 1.0 + vector::dot(*a, w[0]) + vector::dot(w[0], w[1]) + vector::dot(w[1], *a);
        2.0 * volume.atan2(sum)
    };
    rest.windows(2).map(excess).sum::<f64>().abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::region::Polygon;

    fn regions() -> Vec<(&'static str, Region)> {
        let circle = |ra, dec, r| Region::circle((ra, dec), r).unwrap();
        let sky_box = |ra, dec, w, h| Region::Box(SkyBox::new((ra, dec), w, h).unwrap());
        let polygon = |v: &[(f64, f64)]| Region::Polygon(Polygon::new(v).unwrap());
        vec![
            ("wide", circle(0.0, 0.0, 10.0)),
            ("small", circle(3.0, 0.0, 1.0)),
            ("far", circle(40.0, 0.0, 5.0)),
            ("most", circle(180.0, 0.0, 170.0)),
            ("box", sky_box(0.0, 0.0, 30.0, 4.0)),
            ("thin", sky_box(0.0, 0.0, 0.0, 40.0)),
            ("pole", sky_box(10.0, 90.0, 4.0, 4.0)),
            ("triangle", polygon(&[(-5.0, -5.0), (5.0, -5.0), (0.0, 6.0)])),
            // an L around (10, 10), which is not in it
            ("l", polygon(&[(0.0, 0.0), (20.0, 0.0), (20.0, 5.0), (5.0, 5.0), (5.0, 20.0), (0.0, 20.0)])),
            ("nook", circle(10.0, 10.0, 2.5)),
            ("across", sky_box(8.0, 8.0, 10.0, 10.0)),
        ]
    }

    /// Points spread evenly over the sphere and, finely, around the regions.
    fn points() -> Vec<(f64, f64)> {
        let fine =
            (-300..300).flat_map(|i| (-300..300).map(move |j| (f64::from(i) * 0.1, f64::from(j) * 0.1)));
        let coarse =
            (0..72).flat_map(|i| (-18..=18).map(move |j| (f64::from(i) * 5.0 + 0.01, f64::from(j) * 5.0)));
        let pole = (0..360).flat_map(|i| (0..40).map(move |j| (f64::from(i), 90.0 - 0.1 * f64::from(j))));
        fine.chain(coarse).chain(pole).collect()
    }

    #[test]
    fn relations_are_those_of_the_points() {
        let (regions, points) = (regions(), points());
        let inside: Vec<Vec<bool>> =
            regions.iter().map(|(_, r)| points.iter().map(|p| r.contains(p.0, p.1)).collect()).collect();
        for (i, (a_name, a)) in regions.iter().enumerate() {
            for (j, (b_name, b)) in regions.iter().enumerate() {
                let common = inside[i].iter().zip(&inside[j]).any(|(a, b)| *a && *b);
                let outside = inside[i].iter().zip(&inside[j]).any(|(a, b)| !*a && *b);
                assert_eq!(a.intersects(b), common, "{a_name} intersects {b_name}");
                assert_eq!(a.covers(b), !outside, "{a_name} covers {b_name}");
            }
        }
    }

    #[test]
    fn areas_and_centroids() {
        let polygon = |v: &[(f64, f64)]| Region::Polygon(Polygon::new(v).unwrap());
        let whole = 4.0 * std::f64::consts::PI * DEG2_PER_SR;
        let close = |got: f64, want: f64| assert!((got - want).abs() <= 1e-9 * want.abs(), "{got} {want}");
        close(Region::circle((5.0, 5.0), 180.0).unwrap().area_deg2(), whole);
        close(Region::circle((5.0, 5.0), 90.0).unwrap().area_deg2(), whole / 2.0);
        close(polygon(&[(0.0, 0.0), (90.0, 0.0), (0.0, 90.0)]).area_deg2(), whole / 8.0);
        // an arcsecond square: flat
        let side = 1.0 / 3600.0;
        let square = [(0.0, 0.0), (side, 0.0), (side, side), (0.0, side)];
        assert!((polygon(&square).area_deg2() / (side * side) - 1.0).abs() < 1e-9);
        let sky_box = Region::Box(SkyBox::new((77.0, -30.0), 12.0, 8.0).unwrap());
        let corners: Vec<(f64, f64)> = match &sky_box {
            Region::Box(of) => box_corners(of).into_iter().map(vector::to_degrees).collect(),
            _ => vec![],
        };
        close(sky_box.area_deg2(), polygon(&corners).area_deg2());
        let (ra, dec) = polygon(&corners).centroid_deg();
        assert!((ra - 77.0).abs() < 1e-9 && (dec + 30.0).abs() < 1e-9, "{ra} {dec}");
        assert_eq!(sky_box.centroid_deg().1.round(), -30.0);
        let (ra, dec) = polygon(&[(0.0, 0.0), (90.0, 0.0), (0.0, 90.0)]).centroid_deg();
        assert!((ra - 45.0).abs() < 1e-12 && (dec - (1f64 / 3.0).sqrt().asin().to_degrees()).abs() < 1e-12);
    }
}
