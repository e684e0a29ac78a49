//! HEALPix in the nested scheme (K. M. Gorski et al. 2005, ApJ 622, 759, doi:10.1086/427976): the sphere as 12
//! squares, each cut into 4^order cells. Inside a square ("face") a position has coordinates x (towards the
//! north-east) and y (towards the north-west) in [0, 1]; a cell number is the face followed by the interleaved
//! bits of x and y, so the cells of order k + 1 that make up a cell of order k are neighbours in number.

use std::f64::consts::{FRAC_PI_2, PI};
use std::ops::Range;

use crate::geometry::vector::{self, Vector};

/// The deepest order; its cells are 0.4 milliarcseconds wide.
pub const MAX_ORDER: u8 = 29;
/// Cells of order 29.
pub const MAX_ORDER_CELLS: u64 = 12 << 58;
/// Upper bound of |dx| and |dy| in a face for a step of one radian on the sphere: the gradient of x is at most
/// 1.021 between the caps (|z| <= 2/3) and sqrt(6/4 + (2/pi)^2 6/4 / cos^2(24.1 deg)) < 1.5 in them.
pub const FACE_STEP_PER_RAD: f64 = 1.5;
/// Upper bound in radians, at order 0, of the distance from the centre of a cell to any point of it; it halves
/// with every order. Along a straight way in (x, y) of at most (1/2, 1/2) the meridional part is at most 0.895
/// and the other part at most 0.642, together below 1.102.
const CELL_RADIUS_RAD: f64 = 1.102;
/// cos(colatitude) = 2/3: where the equatorial belt ends.
const CAP_Z: f64 = 2.0 / 3.0;
const SQRT_6: f64 = 2.449_489_742_783_178;
const SIDE: f64 = (1u64 << MAX_ORDER) as f64;

/// Where a position lies: its face (0 to 11) and its order-29 column and row there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaceCell {
    /// 0 to 3 north, 4 to 7 on the equator, 8 to 11 south.
    pub face: u64,
    /// Column, towards the north-east, below 2^29.
    pub x: u32,
    /// Row, towards the north-west, below 2^29.
    pub y: u32,
}

/// The order-29 face cell of a position in degrees (finite, |dec| <= 90; ra may be any number of turns).
pub fn face_cell(ra_deg: f64, dec_deg: f64) -> FaceCell {
    let turns = ra_deg / 360.0;
    // Quarters of a turn in [0, 4).
    let quarters = if (0.0..1.0).contains(&turns) {
        4.0 * turns
    } else {
        (4.0 * (turns - turns.floor())).min(4.0 - 1e-15)
    };
    let z = dec_deg.to_radians().sin();
    if z.abs() <= CAP_Z { belt_cell(quarters, z) } else { cap_cell(quarters, dec_deg) }
}

fn belt_cell(quarters: f64, z: f64) -> FaceCell {
    // Lines of constant x and of constant y, counted over all faces.
    let ascending = ((0.5 + quarters + 0.75 * z) * SIDE) as u64;
    let descending = ((0.5 + quarters - 0.75 * z) * SIDE) as u64;
    let (up, down) = (ascending >> MAX_ORDER, descending >> MAX_ORDER);
    let face = match up.cmp(&down) {
        std::cmp::Ordering::Equal => 4 + (up & 3),
        std::cmp::Ordering::Greater => down & 3,
        std::cmp::Ordering::Less => 8 + (up & 3),
    };
    let last = (1u64 << MAX_ORDER) - 1;
    FaceCell { face, x: (ascending & last) as u32, y: (last - (descending & last)) as u32 }
}

fn cap_cell(quarters: f64, dec_deg: f64) -> FaceCell {
    let quadrant = (quarters as u64).min(3);
    let share = quarters - quadrant as f64;
    // sqrt(3 (1 - |z|)) without the cancellation: 90 - |dec| is exact close to the pole.
    let from_pole = SQRT_6 * (0.5 * (90.0 - dec_deg.abs()).to_radians()).sin();
    let last = (1u32 << MAX_ORDER) - 1;
    let a = ((share * from_pole * SIDE) as u32).min(last);
    let b = (((1.0 - share) * from_pole * SIDE) as u32).min(last);
    if dec_deg > 0.0 {
        FaceCell { face: quadrant, x: last - b, y: last - a }
    } else {
        FaceCell { face: 8 + quadrant, x: a, y: b }
    }
}

/// The nested cell of a face cell, at order 29.
pub fn cell29_of(at: FaceCell) -> u64 {
    (at.face << 58) | spread(at.x) | (spread(at.y) << 1)
}

/// The nested order-29 cell of a position in degrees (finite, |dec| <= 90).
pub fn cell29(ra_deg: f64, dec_deg: f64) -> u64 {
    cell29_of(face_cell(ra_deg, dec_deg))
}

/// The nested cell of a position at an order of at most 29.
pub fn cell(order: u8, ra_deg: f64, dec_deg: f64) -> u64 {
    cell29(ra_deg, dec_deg) >> (2 * u32::from(MAX_ORDER - order))
}

/// The order-29 cells that make up a cell.
pub fn cells29(order: u8, cell: u64) -> Range<u64> {
    let shift = 2 * u32::from(MAX_ORDER - order);
    (cell << shift)..((cell + 1) << shift)
}

/// Face, column and row of a nested cell at its own order.
pub fn face_cell_of(order: u8, cell: u64) -> FaceCell {
    let inside = cell & ((1u64 << (2 * u32::from(order))) - 1);
    FaceCell { face: cell >> (2 * u32::from(order)), x: gather(inside), y: gather(inside >> 1) }
}

/// The nested cell at `order` of a face cell of that order.
pub fn cell_at(order: u8, at: FaceCell) -> u64 {
    (at.face << (2 * u32::from(order))) | spread(at.x) | (spread(at.y) << 1)
}

/// Bit i to bit 2 i.
fn spread(bits: u32) -> u64 {
    let mut v = u64::from(bits);
    v = (v | (v << 16)) & 0x0000_ffff_0000_ffff;
    v = (v | (v << 8)) & 0x00ff_00ff_00ff_00ff;
    v = (v | (v << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    v = (v | (v << 2)) & 0x3333_3333_3333_3333;
    (v | (v << 1)) & 0x5555_5555_5555_5555
}

/// Bit 2 i to bit i; odd bits are dropped.
fn gather(bits: u64) -> u32 {
    let mut v = bits & 0x5555_5555_5555_5555;
    v = (v | (v >> 1)) & 0x3333_3333_3333_3333;
    v = (v | (v >> 2)) & 0x0f0f_0f0f_0f0f_0f0f;
    v = (v | (v >> 4)) & 0x00ff_00ff_00ff_00ff;
    v = (v | (v >> 8)) & 0x0000_ffff_0000_ffff;
    (v | (v >> 16)) as u32
}

/// The position in degrees of the point (x, y), each in [0, 1], of a face.
pub fn face_position(face: u64, x: f64, y: f64) -> (f64, f64) {
    let (ring, column) = ((face >> 2) as f64, (face & 3) as f64);
    // Height in the plane of the projection: 1 at the north end of the belt, -1 at the south end.
    let height = x + y - ring;
    let centre = 2.0 * column + if ring == 1.0 { 0.0 } else { 1.0 };
    let (dec_rad, eighths) = if height.abs() <= 1.0 {
        ((CAP_Z * height).clamp(-1.0, 1.0).asin(), centre + x - y)
    } else {
        let from_pole = (2.0 - height.abs()).max(0.0);
        let colatitude = 2.0 * (from_pole / SQRT_6).asin();
        let along = if from_pole > 0.0 { (x - y) / from_pole } else { 0.0 };
        ((FRAC_PI_2 - colatitude).copysign(height), centre + along)
    };
    let ra_deg = (eighths * 45.0).rem_euclid(360.0);
    (ra_deg, dec_rad.to_degrees().clamp(-90.0, 90.0))
}

/// The centre of a cell in degrees.
pub fn centre(order: u8, cell: u64) -> (f64, f64) {
    corner(order, cell, 0.5, 0.5)
}

/// The corners of a cell in degrees: south, east, north, west.
pub fn vertices(order: u8, cell: u64) -> [(f64, f64); 4] {
    [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)].map(|(x, y)| corner(order, cell, x, y))
}

fn corner(order: u8, cell: u64, x: f64, y: f64) -> (f64, f64) {
    let at = face_cell_of(order, cell);
    let scale = 1.0 / (1u64 << order) as f64;
    face_position(at.face, (f64::from(at.x) + x) * scale, (f64::from(at.y) + y) * scale)
}

/// Upper bound in radians of the distance from the centre of a cell of this order to any point of it.
pub fn cell_radius_rad(order: u8) -> f64 {
    CELL_RADIUS_RAD / (1u64 << order) as f64
}

/// The cells that touch a cell, ascending: 8, or 7 (6 at order 0) where only three cells meet.
pub fn neighbours(order: u8, cell: u64) -> Vec<u64> {
    let at = face_cell_of(order, cell);
    let side = 1i64 << order;
    let steps = (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy))).filter(|&step| step != (0, 0));
    let mut found: Vec<u64> = steps
        .filter_map(|(dx, dy)| across_edges(at.face, i64::from(at.x) + dx, i64::from(at.y) + dy, side))
        .map(|to| cell_at(order, to))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The face cell of column x and row y counted from `face`, at most one step outside it; `None` beyond a corner
/// where only three faces meet.
fn across_edges(face: u64, x: i64, y: i64, side: i64) -> Option<FaceCell> {
    let side_of = |v: i64| if v < 0 { -1 } else { i64::from(v >= side) };
    let (ring, column) = (face >> 2, face & 3);
    let (next, previous, opposite) = ((column + 1) & 3, (column + 3) & 3, (column + 2) & 3);
    let far = 2 * side - 1;
    let (face, x, y) = match (ring, side_of(x), side_of(y)) {
        (_, 0, 0) => (face, x, y),
        // The four northern faces meet at the pole: going over an edge turns the axes by a quarter.
        (0, 1, 0) => (next, y, far - x),
        (0, 0, 1) => (previous, far - y, x),
        (0, 1, 1) => (opposite, far - x, far - y),
        (0, -1, 0) => (4 + column, x + side, y),
        (0, 0, -1) => (4 + next, x, y + side),
        (0, -1, -1) => (8 + column, x + side, y + side),
        (1, 1, 0) => (column, x - side, y),
        (1, 0, 1) => (previous, x, y - side),
        (1, -1, 0) => (8 + previous, x + side, y),
        (1, 0, -1) => (8 + column, x, y + side),
        (1, -1, 1) => (4 + previous, x + side, y - side),
        (1, 1, -1) => (4 + next, x - side, y + side),
        (2, -1, 0) => (8 + previous, y, -1 - x),
        (2, 0, -1) => (8 + next, -1 - y, x),
        (2, -1, -1) => (8 + opposite, -1 - x, -1 - y),
        (2, 1, 0) => (4 + next, x - side, y),
        (2, 0, 1) => (4 + column, x, y - side),
        (2, 1, 1) => (column, x - side, y - side),
        _ => return None,
    };
    Some(FaceCell { face, x: x as u32, y: y as u32 })
}

/// How a cell lies to a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// No point of the cell is in the region.
    Outside,
    /// Some may be.
    Partial,
    /// Every point is.
    Inside,
}

/// A run of order-29 cells of a covering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellRun {
    /// The cells.
    pub cells: Range<u64>,
    /// Whether every point of them is in the region, so that no row needs a test.
    pub is_inside: bool,
}

/// Cells down to `order` that hold every point of a region, ascending, neighbouring runs of one kind joined.
/// `overlap(centre, radius_rad)` judges a cell by a circle around it.
pub fn cover(order: u8, overlap: impl Fn(Vector, f64) -> Overlap) -> Vec<CellRun> {
    let mut runs = Vec::new();
    // A stack instead of recursion: the next cell in order is always on top.
    let mut stack: Vec<(u8, u64)> = (0..12).rev().map(|face| (0, face)).collect();
    while let Some((at, cell)) = stack.pop() {
        let (ra_deg, dec_deg) = centre(at, cell);
        // 1e-15 rad for the rounding of the centre.
        match overlap(vector::from_degrees(ra_deg, dec_deg), cell_radius_rad(at) + 1e-15) {
            Overlap::Outside => {}
            Overlap::Inside => push_run(&mut runs, cells29(at, cell), true),
            Overlap::Partial if at >= order => push_run(&mut runs, cells29(at, cell), false),
            Overlap::Partial => stack.extend((0..4).rev().map(|child| (at + 1, 4 * cell + child))),
        }
    }
    runs
}

fn push_run(runs: &mut Vec<CellRun>, cells: Range<u64>, is_inside: bool) {
    match runs.last_mut() {
        Some(last) if last.cells.end == cells.start && last.is_inside == is_inside => {
            last.cells.end = cells.end
        }
        _ => runs.push(CellRun { cells, is_inside }),
    }
}

/// The window of order-29 columns and rows that holds every point within `radius_rad` of a face cell, when it
/// lies inside the face; `None` close to an edge of the face.
///
/// Proof: as long as the great circle from the centre stays in the face, x and y change by at most
/// `FACE_STEP_PER_RAD` times the way. To leave the face it would have to reach an edge, farther away than that.
pub fn face_window(at: FaceCell, radius_rad: f64) -> Option<Window> {
    window_around(at, face_window_half(radius_rad)?)
}

/// `face_window` for a half width that `face_window_half` returned.
#[inline]
pub fn window_around(at: FaceCell, half: u32) -> Option<Window> {
    let last = (1u32 << MAX_ORDER) - 1;
    let is_inside = |v: u32| v > half && v < last - half;
    (is_inside(at.x) && is_inside(at.y)).then(|| Window {
        face: at.face,
        x: (at.x - half)..(at.x + half + 1),
        y: (at.y - half)..(at.y + half + 1),
    })
}

/// Half width of `face_window` in order-29 cells; `None` when no face is large enough.
pub fn face_window_half(radius_rad: f64) -> Option<u32> {
    // 2 cells for the rounding of x and y, which is below 1e-5 cells, and for the centre's place in its cell.
    let half = (radius_rad * FACE_STEP_PER_RAD * SIDE).ceil() + 2.0;
    (half < SIDE / 2.0 - 2.0).then_some(half as u32)
}

/// A rectangle of order-29 cells of one face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The face.
    pub face: u64,
    /// Columns.
    pub x: Range<u32>,
    /// Rows.
    pub y: Range<u32>,
}

/// Runs of order-29 cells that hold every point within `radius_rad` of a position: few and quickly found, with a
/// margin of a few radii around.
pub fn cells_around(ra_deg: f64, dec_deg: f64, radius_rad: f64) -> Vec<Range<u64>> {
    if let Some(window) = face_window(face_cell(ra_deg, dec_deg), radius_rad) {
        return window_cells(&window);
    }
    let centre = vector::from_degrees(ra_deg, dec_deg);
    let runs = cover(order_of_size(radius_rad), |at, cell_radius| {
        circle_overlap(centre, radius_rad, (at, cell_radius))
    });
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(runs.len());
    for run in runs {
        match joined.last_mut() {
            Some(last) if last.end == run.cells.start => last.end = run.cells.end,
            _ => joined.push(run.cells),
        }
    }
    joined
}

/// How a cell (centre, radius in radians) lies to a circle.
pub fn circle_overlap(centre: Vector, radius_rad: f64, cell: (Vector, f64)) -> Overlap {
    // 1e-14 rad: the decision at the edge belongs to the exact test.
    let distance = vector::angle_rad(centre, cell.0);
    if distance > radius_rad + cell.1 + 1e-14 {
        Overlap::Outside
    } else if distance + cell.1 + 1e-14 < radius_rad {
        Overlap::Inside
    } else {
        Overlap::Partial
    }
}

/// The deepest order whose cells are at least as wide as `size_rad`.
pub fn order_of_size(size_rad: f64) -> u8 {
    // A cell of order 0 is at least pi / 4 wide in its narrow direction.
    (0..MAX_ORDER).rev().find(|&order| PI / 4.0 / (1u64 << order) as f64 >= size_rad).unwrap_or(0)
}

/// The cells of the smallest order that cover a window with at most 3 x 3 of them, as joined ascending runs.
fn window_cells(window: &Window) -> Vec<Range<u64>> {
    let width = window.x.len().max(window.y.len()) as u32;
    // 2^level >= width / 2: at most three cells a side.
    let level = (width.div_ceil(2)).next_power_of_two().trailing_zeros();
    let order = MAX_ORDER - level as u8;
    let mut found: Vec<u64> = ((window.x.start >> level)..=((window.x.end - 1) >> level))
        .flat_map(|x| ((window.y.start >> level)..=((window.y.end - 1) >> level)).map(move |y| (x, y)))
        .map(|(x, y)| cell_at(order, FaceCell { face: window.face, x, y }))
        .collect();
    found.sort_unstable();
    let mut runs: Vec<Range<u64>> = Vec::with_capacity(found.len());
    for cell in found {
        let cells = cells29(order, cell);
        match runs.last_mut() {
            Some(last) if last.end == cells.start => last.end = cells.end,
            _ => runs.push(cells),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::separation::separation_rad;
    use cdshealpix::nested;

    /// Positions from a small congruential generator: uniform on the sphere, every tenth close to a pole.
    fn positions(n: usize) -> Vec<(f64, f64)> {
        let mut state = 88_172_645_463_325_252u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..n)
            .map(|i| {
                let (ra, z) = (360.0 * next(), 2.0 * next() - 1.0);
                let near_pole = 90.0 - 10f64.powf(-8.0 * next());
                (ra, if i % 10 == 0 { near_pole.copysign(z) } else { z.asin().to_degrees() })
            })
            .collect()
    }

    #[test]
    fn cells_are_those_of_cdshealpix() {
        for order in [0u8, 1, 3, 8, 13, 20] {
            for (ra, dec) in positions(20_000) {
                let want = nested::hash(order, ra.to_radians(), dec.to_radians());
                assert_eq!(cell(order, ra, dec), want, "order {order} {ra} {dec}");
            }
        }
        // At order 29 one ulp of ra is a thousandth of a cell: cells may differ only by one step.
        let mut differ = 0;
        for (ra, dec) in positions(20_000) {
            let (ours, theirs) = (cell29(ra, dec), nested::hash(29, ra.to_radians(), dec.to_radians()));
            if ours != theirs {
                differ += 1;
                assert!(neighbours(29, ours).contains(&theirs), "{ra} {dec}");
            }
        }
        assert!(differ < 40, "{differ}");
    }

    #[test]
    fn centres_vertices_and_neighbours_are_those_of_cdshealpix() {
        for order in [0u8, 1, 2, 3, 6, 11] {
            let n = nested::n_hash(order);
            for cell in (0..n).step_by((n / 5000).max(1) as usize) {
                let (ra, dec) = centre(order, cell);
                let (lon, lat) = nested::center(order, cell);
                assert!(
                    separation_rad((ra, dec), (lon.to_degrees(), lat.to_degrees())) < 1e-14,
                    "{order} {cell}"
                );
                for (ours, theirs) in vertices(order, cell).into_iter().zip(nested::vertices(order, cell)) {
                    let theirs = (theirs.0.to_degrees(), theirs.1.to_degrees());
                    assert!(separation_rad(ours, theirs) < 1e-14, "{order} {cell}");
                }
                let mut want: Vec<u64> = nested::neighbours(order, cell, false).values_vec();
                want.sort_unstable();
                want.dedup();
                assert_eq!(neighbours(order, cell), want, "{order} {cell}");
            }
        }
    }

    #[test]
    fn a_cell_lies_within_its_radius() {
        for order in [0u8, 1, 2, 4] {
            for cell in 0..nested::n_hash(order) {
                let middle = centre(order, cell);
                for step in 0..40 {
                    let t = f64::from(step % 10) / 10.0;
                    let (x, y) = [(t, 0.0), (1.0, t), (1.0 - t, 1.0), (0.0, 1.0 - t)][step as usize / 10];
                    let far = separation_rad(middle, corner(order, cell, x, y));
                    assert!(far <= cell_radius_rad(order), "{order} {cell}: {far}");
                }
            }
        }
    }

    #[test]
    fn whatever_is_within_the_radius_is_in_the_cells_around() {
        for (i, (ra, dec)) in positions(4000).into_iter().enumerate() {
            let radius_rad = 10f64.powf(-(i as f64 % 9.0)) * 1.5;
            let around = cells_around(ra, dec, radius_rad);
            assert!(around.windows(2).all(|w| w[0].end < w[1].start), "{ra} {dec}");
            let centre = vector::from_degrees(ra, dec);
            for turn in 0..16 {
                let way = radius_rad * if turn % 2 == 0 { 1.0 } else { 0.5 };
                let to = vector::to_degrees(step_from(centre, way, f64::from(turn) * PI / 8.0));
                let cell = cell29(to.0, to.1);
                assert!(around.iter().any(|cells| cells.contains(&cell)), "{ra} {dec} {radius_rad} {turn}");
            }
        }
    }

    fn step_from(v: Vector, way_rad: f64, direction_rad: f64) -> Vector {
        let aside = if v[2].abs() < 0.9 { [0.0, 0.0, 1.0] } else { [1.0, 0.0, 0.0] };
        let e = vector::normalised(vector::cross(aside, v)).unwrap();
        let n = vector::cross(v, e);
        let (s, c) = direction_rad.sin_cos();
        let (sw, cw) = way_rad.sin_cos();
        [0, 1, 2].map(|i| cw * v[i] + sw * (s * e[i] + c * n[i]))
    }
}
