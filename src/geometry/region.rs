//! Regions on the sphere: exact membership (the boundary is inside) and the HEALPix cells that hold them.

use crate::error::{Error, Result};
use crate::geometry::healpix::{self, CellRun, Overlap};
use crate::geometry::separation::{Cone, Radius, is_position};
use crate::geometry::vector::{self, Vector};

mod relate;

/// A point this close to an edge, in radians (2e-10 arcsec), lies on it.
pub const BOUNDARY_RAD: f64 = 1e-15;
/// Most vertices of a polygon (the test for crossing edges compares all pairs).
pub const POLYGON_VERTICES: usize = 10_000;
/// Cells that a covering aims at: enough to hug a region, few enough to look up.
const COVER_CELLS_PER_SIDE: f64 = 8.0;

/// A region on the sky.
#[derive(Clone, Debug)]
pub enum Region {
    /// Everything within a radius of a centre.
    Circle(Cone),
    /// A box with great-circle sides, as in ADQL.
    Box(SkyBox),
    /// A simple polygon with great-circle edges.
    Polygon(Polygon),
}

impl Region {
    /// A circle; centre and radius in degrees. A negative radius and a centre that is no position are refused.
    pub fn circle(centre_deg: (f64, f64), radius_deg: f64) -> Result<Region> {
        check_position(centre_deg)?;
        let radius = Radius::new(radius_deg).ok_or_else(|| {
            Error::refused(format!("the radius of a circle is {radius_deg} degrees"), "a radius is 0 or more")
        })?;
        Ok(Region::Circle(Cone::new(centre_deg, radius)))
    }

    /// Whether a position in degrees lies inside; NULL positions never do.
    pub fn contains(&self, ra_deg: f64, dec_deg: f64) -> bool {
        is_position(ra_deg, dec_deg)
            && match self {
                Region::Circle(cone) => cone.contains(ra_deg, dec_deg),
                Region::Box(sky_box) => sky_box.contains(vector::from_degrees(ra_deg, dec_deg)),
                Region::Polygon(polygon) => polygon.contains(vector::from_degrees(ra_deg, dec_deg)),
            }
    }

    /// Order-29 cells that hold the region, ascending.
    pub fn cells(&self) -> Vec<CellRun> {
        match self {
            Region::Circle(cone) => circle_cells(cone),
            Region::Box(sky_box) => {
                healpix::cover(cover_order(sky_box.size_rad), |at, radius| sky_box.overlap(at, radius))
            }
            Region::Polygon(polygon) => {
                healpix::cover(cover_order(polygon.size_rad), |at, radius| polygon.overlap(at, radius))
            }
        }
    }
}

fn circle_cells(cone: &Cone) -> Vec<CellRun> {
    let (ra_deg, dec_deg) = cone.centre_deg;
    let radius_rad = cone.radius.deg.to_radians();
    // Small circles hold few rows: the nearest cells are found faster than inside ones are told apart.
    if cone.radius.deg < SMALL_CIRCLE_DEG {
        let around = healpix::cells_around(ra_deg, dec_deg, radius_rad);
        return around.into_iter().map(|cells| CellRun { cells, is_inside: false }).collect();
    }
    let centre = vector::from_degrees(ra_deg, dec_deg);
    healpix::cover(cover_order(2.0 * radius_rad), |at, radius| {
        healpix::circle_overlap(centre, radius_rad, (at, radius))
    })
}

/// Circles below this radius, in degrees, are covered by their nearest cells alone.
const SMALL_CIRCLE_DEG: f64 = 0.05;

fn cover_order(size_rad: f64) -> u8 {
    healpix::order_of_size(size_rad / COVER_CELLS_PER_SIDE)
}

fn check_position(at_deg: (f64, f64)) -> Result<()> {
    if is_position(at_deg.0, at_deg.1) {
        return Ok(());
    }
    Err(Error::refused(
        format!("({}, {}) is not a position in degrees", at_deg.0, at_deg.1),
        "a declination lies between -90 and 90",
    ))
}

/// A box: centre, width and height in degrees. Its arms are the meridian through the centre (height) and the
/// great circle at right angles to it (width); its sides are the great circles at right angles to the arms at
/// their ends (IVOA STC 1.33, section 4.5.1.5, on which ADQL builds). At a pole the meridian is that of the ra given.
#[derive(Clone, Debug)]
pub struct SkyBox {
    centre: Vector,
    /// Inward normals of the four sides.
    sides: [Vector; 4],
    size_rad: f64,
}

impl SkyBox {
    /// A box around a centre; width and height in degrees, in [0, 180).
    pub fn new(centre_deg: (f64, f64), width_deg: f64, height_deg: f64) -> Result<SkyBox> {
        check_position(centre_deg)?;
        if ![width_deg, height_deg].iter().all(|size| (0.0..180.0).contains(size)) {
            return Err(Error::refused(
                format!("a box of {width_deg} by {height_deg} degrees"),
                "width and height lie between 0 and 180 degrees; for a range of ra and dec write BETWEEN",
            ));
        }
        let (sin_ra, cos_ra) = centre_deg.0.to_radians().sin_cos();
        let (sin_dec, cos_dec) = centre_deg.1.to_radians().sin_cos();
        let centre = [cos_dec * cos_ra, cos_dec * sin_ra, sin_dec];
        let east = [-sin_ra, cos_ra, 0.0];
        let north = [-sin_dec * cos_ra, -sin_dec * sin_ra, cos_dec];
        let side = |arm: Vector, size_deg: f64, sign: f64| -> Vector {
            let (sine, cosine) = (0.5 * size_deg).to_radians().sin_cos();
            [0, 1, 2].map(|i| sine * centre[i] - sign * cosine * arm[i])
        };
        let sides = [
            side(east, width_deg, 1.0),
            side(east, width_deg, -1.0),
            side(north, height_deg, 1.0),
            side(north, height_deg, -1.0),
        ];
        // A long thin box is covered as finely as a 64th of its length, not as its width.
        let size_deg = width_deg.min(height_deg).max(width_deg.max(height_deg) / 64.0);
        Ok(SkyBox { centre, sides, size_rad: size_deg.to_radians() })
    }

    fn contains(&self, at: Vector) -> bool {
        // The great circles of a box without width meet at the antipode too.
        vector::dot(self.centre, at) > 0.0
            && self.sides.iter().all(|side| vector::dot(*side, at) >= -BOUNDARY_RAD)
    }

    fn overlap(&self, at: Vector, radius_rad: f64) -> Overlap {
        // Sine of the distance to the nearest side, positive inside it.
        let nearest = self.sides.iter().map(|side| vector::dot(*side, at)).fold(1.0, f64::min);
        let reach = radius_rad.min(std::f64::consts::FRAC_PI_2).sin() + 1e-14;
        if nearest < -reach {
            Overlap::Outside
        } else if nearest > reach {
            Overlap::Inside
        } else {
            Overlap::Partial
        }
    }
}

/// A polygon that does not cross itself; its inside is the smaller of the two areas, whatever its winding.
#[derive(Clone, Debug)]
pub struct Polygon {
    /// Counterclockwise seen from outside the sphere: the inside is on the left of every edge.
    vertices: Vec<Vector>,
    /// Unit normal of the edge from a vertex to the next, pointing to the left.
    normals: Vec<Vector>,
    /// Whether the inside angle at a vertex is above 180 degrees.
    is_reflex: Vec<bool>,
    size_rad: f64,
}

impl Polygon {
    /// A polygon through vertices in degrees; the last may repeat the first. Refused: fewer than 3 different
    /// vertices, neighbours that are equal or opposite, edges that touch or cross.
    pub fn new(vertices_deg: &[(f64, f64)]) -> Result<Polygon> {
        for &at in vertices_deg {
            check_position(at)?;
        }
        let mut vertices: Vec<Vector> = vertices_deg.iter().map(|v| vector::from_degrees(v.0, v.1)).collect();
        if vertices.len() > 3 && vertices.first() == vertices.last() {
            vertices.pop();
        }
        if !(3..=POLYGON_VERTICES).contains(&vertices.len()) {
            return Err(Error::refused(
                format!("a polygon with {} vertices", vertices.len()),
                format!("a polygon has 3 to {POLYGON_VERTICES} vertices"),
            ));
        }
        let mut normals = edge_normals(&vertices)?;
        refuse_crossings(&vertices, &normals)?;
        let mut turns = turning_angles(&vertices, &normals);
        // Gauss-Bonnet: the area on the left is 2 pi less the turning.
        if turns.iter().sum::<f64>() < 0.0 {
            vertices.reverse();
            normals = edge_normals(&vertices)?;
            turns = turning_angles(&vertices, &normals);
        }
        let size_rad = vertices.iter().map(|v| vector::angle_rad(vertices[0], *v)).fold(0.0, f64::max);
        Ok(Polygon { is_reflex: turns.iter().map(|turn| *turn < 0.0).collect(), vertices, normals, size_rad })
    }

    /// Distance to the boundary in radians, and whether the point is on the inner side of what is nearest there:
    /// left of an edge, or at the tip of a reflex corner.
    fn nearest(&self, at: Vector) -> (f64, bool) {
        let mut nearest = (f64::INFINITY, false);
        for (i, normal) in self.normals.iter().enumerate() {
            let (from, to) = (self.vertices[i], self.vertices[(i + 1) % self.vertices.len()]);
            let corner = vector::angle_rad(at, from);
            if corner < nearest.0 {
                nearest = (corner, self.is_reflex[i]);
            }
            let starts = vector::dot(vector::cross(*normal, from), at) >= 0.0;
            let ends = vector::dot(vector::cross(to, *normal), at) >= 0.0;
            let sine = vector::dot(*normal, at);
            let aside = sine.clamp(-1.0, 1.0).asin();
            // Equally near within the rounding: the side of an edge is surer than the corner.
            if starts && ends && aside.abs() <= nearest.0 {
                nearest = (aside.abs(), sine > 0.0);
            }
        }
        nearest
    }

    fn contains(&self, at: Vector) -> bool {
        let (distance, is_inner) = self.nearest(at);
        distance <= BOUNDARY_RAD || is_inner
    }

    fn overlap(&self, at: Vector, radius_rad: f64) -> Overlap {
        let (distance, is_inner) = self.nearest(at);
        if distance <= radius_rad + 1e-14 {
            Overlap::Partial
        } else if is_inner {
            Overlap::Inside
        } else {
            Overlap::Outside
        }
    }
}

fn edge_normals(vertices: &[Vector]) -> Result<Vec<Vector>> {
    (0..vertices.len())
        .map(|i| {
            let normal = vector::cross(vertices[i], vertices[(i + 1) % vertices.len()]);
            vector::normalised(normal).filter(|_| vector::norm(normal) > 1e-13).ok_or_else(|| {
                Error::refused(
                    format!(
                        "vertices {} and {} of the polygon are equal or opposite",
                        i + 1,
                        (i + 1) % vertices.len() + 1
                    ),
                    "leave one out, or put a vertex between them",
                )
            })
        })
        .collect()
}

/// The angle by which the boundary turns left at each vertex, in radians.
fn turning_angles(vertices: &[Vector], normals: &[Vector]) -> Vec<f64> {
    (0..vertices.len())
        .map(|i| {
            let (before, after) = (normals[(i + vertices.len() - 1) % vertices.len()], normals[i]);
            vector::dot(vertices[i], vector::cross(before, after)).atan2(vector::dot(before, after))
        })
        .collect()
}

fn refuse_crossings(vertices: &[Vector], normals: &[Vector]) -> Result<()> {
    let n = vertices.len();
    let edge = |i: usize| (vertices[i], vertices[(i + 1) % n], normals[i]);
    for i in 0..n {
        for j in i + 1..n {
            let is_adjacent = j == i + 1 || (i == 0 && j == n - 1);
            let is_bad = if is_adjacent { folds_back(normals, (i, j)) } else { edges_meet(edge(i), edge(j)) };
            if is_bad {
                return Err(Error::refused(
                    format!("the polygon crosses itself: edge {} meets edge {}", i + 1, j + 1),
                    "list the vertices in the order of the outline",
                ));
            }
        }
    }
    Ok(())
}

fn folds_back(normals: &[Vector], edges: (usize, usize)) -> bool {
    vector::dot(normals[edges.0], normals[edges.1]) < -1.0 + 1e-15
        && vector::norm(vector::cross(normals[edges.0], normals[edges.1])) < 1e-13
}

/// Whether two edges (from, to, normal) that share no vertex have a point in common.
fn edges_meet(a: (Vector, Vector, Vector), b: (Vector, Vector, Vector)) -> bool {
    let holds = |edge: &(Vector, Vector, Vector), at: Vector| {
        vector::dot(vector::cross(edge.2, edge.0), at) >= -BOUNDARY_RAD
            && vector::dot(vector::cross(edge.1, edge.2), at) >= -BOUNDARY_RAD
            && vector::dot(edge.2, at).abs() <= 1e-14
    };
    match vector::normalised(vector::cross(a.2, b.2)) {
        // The two points where the great circles meet.
        Some(at) if vector::norm(vector::cross(a.2, b.2)) > 1e-13 => {
            [at, vector::scaled(at, -1.0)].into_iter().any(|at| {
                [&a, &b].into_iter().all(|edge| {
                    vector::dot(vector::cross(edge.2, edge.0), at) >= -BOUNDARY_RAD
                        && vector::dot(vector::cross(edge.1, edge.2), at) >= -BOUNDARY_RAD
                })
            })
        }
        // One great circle: they overlap when one holds an end of the other.
        _ => holds(&a, b.0) || holds(&a, b.1) || holds(&b, a.0) || holds(&b, a.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::separation::separation_deg;

    fn sphere(n: usize) -> Vec<(f64, f64)> {
        (0..n)
            .map(|i| {
                let z = 1.0 - (2.0 * i as f64 + 1.0) / n as f64;
                ((i as f64 * 137.507_764_050_037_85) % 360.0, z.asin().to_degrees())
            })
            .collect()
    }

    fn polygon(vertices: &[(f64, f64)]) -> Region {
        Region::Polygon(Polygon::new(vertices).unwrap())
    }

    fn sky_box(ra: f64, dec: f64, width: f64, height: f64) -> Region {
        Region::Box(SkyBox::new((ra, dec), width, height).unwrap())
    }

    fn regions() -> Vec<Region> {
        let mut regions: Vec<Region> = [
            ((0.0, 0.0), 5.0),
            ((359.9, 41.0), 0.5),
            ((10.0, 90.0), 3.0),
            ((77.0, -89.9), 1.0),
            ((45.0, 41.81), 20.0),
            ((200.0, 10.0), 95.0),
            ((0.0, 0.0), 180.0),
            ((120.0, 30.0), 0.0),
        ]
        .into_iter()
        .map(|(c, r)| Region::circle(c, r).unwrap())
        .collect();
        regions.extend([
            sky_box(0.0, 0.0, 10.0, 20.0),
            sky_box(5.0, 90.0, 10.0, 20.0),
            sky_box(180.0, 60.0, 120.0, 3.0),
            polygon(&[(350.0, -5.0), (10.0, -5.0), (0.0, 12.0)]),
            polygon(&[(0.0, 80.0), (90.0, 75.0), (180.0, 80.0), (270.0, 85.0)]),
            // an L, its vertices clockwise
            polygon(&[(0.0, 0.0), (0.0, 20.0), (10.0, 20.0), (10.0, 10.0), (20.0, 10.0), (20.0, 0.0)]),
        ]);
        regions
    }

    #[test]
    fn cells_hold_every_point_of_the_region() {
        for region in regions() {
            let runs = region.cells();
            assert!(runs.windows(2).all(|w| w[0].cells.end <= w[1].cells.start));
            for (ra, dec) in sphere(60_000) {
                let cell = healpix::cell29(ra, dec);
                let run = runs.iter().find(|run| run.cells.contains(&cell));
                match run {
                    None => assert!(!region.contains(ra, dec), "{region:?} {ra} {dec}"),
                    Some(run) if run.is_inside => assert!(region.contains(ra, dec), "{region:?} {ra} {dec}"),
                    Some(_) => {}
                }
            }
        }
    }

    #[test]
    fn areas_come_out_right() {
        // share of the sphere: cap (1 - cos r) / 2, box 4 asin(sin(w/2) sin(h/2)) / 4 pi, octant 1/8
        let (w, h) = (40f64.to_radians(), 30f64.to_radians());
        let box_share = ((0.5 * w).sin() * (0.5 * h).sin()).asin() / std::f64::consts::PI;
        let cases = [
            (Region::circle((12.0, 70.0), 25.0).unwrap(), (1.0 - 25f64.to_radians().cos()) / 2.0),
            (sky_box(33.0, -70.0, 40.0, 30.0), box_share),
            (polygon(&[(0.0, 0.0), (90.0, 0.0), (0.0, 90.0)]), 0.125),
            (polygon(&[(0.0, 90.0), (90.0, 0.0), (0.0, 0.0)]), 0.125),
        ];
        for (region, want) in cases {
            let points = sphere(200_000);
            let got =
                points.iter().filter(|p| region.contains(p.0, p.1)).count() as f64 / points.len() as f64;
            assert!((got - want).abs() < 1e-3, "{region:?}: {got} {want}");
        }
    }

    #[test]
    fn the_boundary_is_inside() {
        let l = [(0.0, 0.0), (0.0, 20.0), (10.0, 20.0), (10.0, 10.0), (20.0, 10.0), (20.0, 0.0)];
        let shape = polygon(&l);
        for (ra, dec) in l.into_iter().chain([(10.0, 15.0), (0.0, 7.0), (13.0, 0.0), (9.0, 15.0), (5.0, 5.0)])
        {
            assert!(shape.contains(ra, dec), "{ra} {dec}");
        }
        for (ra, dec) in
            [(11.0, 15.0), (-1e-9, 5.0), (10.000001, 10.2), (185.0, -5.0), (f64::NAN, 0.0), (0.0, 91.0)]
        {
            assert!(!shape.contains(ra, dec), "{ra} {dec}");
        }
        assert!(
            sky_box(10.0, 0.0, 4.0, 2.0).contains(12.0, 0.0)
                && sky_box(10.0, 0.0, 4.0, 2.0).contains(10.0, -1.0)
        );
        assert!(!sky_box(10.0, 0.0, 4.0, 2.0).contains(12.0 + 1e-12, 0.0));
        assert!(
            sky_box(10.0, 20.0, 0.0, 0.0).contains(10.0, 20.0)
                && !sky_box(10.0, 20.0, 0.0, 0.0).contains(190.0, -20.0)
        );
        let edge = separation_deg((10.0, 20.0), (11.0, 21.0));
        assert!(Region::circle((10.0, 20.0), edge).unwrap().contains(11.0, 21.0));
        assert!(Region::circle((10.0, 20.0), 0.0).unwrap().contains(370.0, 20.0));
    }

    #[test]
    fn shapes_that_are_refused() {
        let bow = [(0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0)];
        let touching = [(0.0, 0.0), (10.0, 0.0), (5.0, 5.0), (5.0, 0.0), (0.0, 5.0)];
        let fold = [(0.0, 0.0), (10.0, 0.0), (5.0, 0.0)];
        for (vertices, want) in [
            (&bow[..], "crosses itself"),
            (&touching[..], "crosses itself"),
            (&fold[..], "crosses itself"),
            (&bow[..2], "2 vertices"),
            (&[(0.0, 0.0), (0.0, 0.0), (1.0, 1.0)][..], "equal or opposite"),
            (&[(0.0, 0.0), (180.0, 0.0), (1.0, 1.0)][..], "equal or opposite"),
            (&[(0.0, 0.0), (0.0, 95.0), (1.0, 1.0)][..], "not a position"),
        ] {
            let message = Polygon::new(vertices).unwrap_err().to_string();
            assert!(message.contains(want), "{vertices:?}: {message}");
        }
        assert!(Region::circle((0.0, 0.0), -1.0).is_err() && Region::circle((0.0, f64::NAN), 1.0).is_err());
        assert!(SkyBox::new((0.0, 0.0), 180.0, 1.0).is_err() && SkyBox::new((0.0, 0.0), 1.0, -1.0).is_err());
    }
}
