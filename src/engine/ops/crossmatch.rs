//! CROSSMATCH: pairs of rows of two catalogues closer than a radius, exact across every border.
//!
//! Both sides lie in the order of their HEALPix cells, so a walk through the left rows meets the right rows in
//! order: the cells around a left row are found a few steps from those of the row before. Cells only propose
//! candidates, with a proven margin (`healpix::face_window`); Vincenty's formula decides. Every left row is
//! answered by itself, so the result depends neither on threads nor on how the rows are divided.

use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rayon::prelude::*;

use crate::engine::session::Cancel;
use crate::error::{Error, Result};
use crate::geometry::healpix::{self, FaceCell, MAX_ORDER, Window};
use crate::geometry::separation::{self, ARCSEC_PER_DEG, Cone, Radius, UNDECIDED_RAD, Verdict};
use crate::index::sky::Positions;
use crate::limits::JOIN_ROWS;

/// Left rows that one task walks through.
const TASK_ROWS: usize = 8192;
/// Rows of a cell that are looked at one by one rather than divided by a finer cell.
const SCAN_ROWS: usize = 32;
/// Candidates that are all given to Vincenty rather than thinned out by their haversine first.
const FEW_CANDIDATES: usize = 4;

/// Which of the right rows within the radius are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The k nearest, by separation, then by the right key.
    Nearest(NonZero<usize>),
    /// All.
    All,
    /// The nearest, if the left row is also the nearest of that right row.
    Mutual,
}

/// Whether a left and a right row may pair at all (a second tolerance; a self-match leaves out the row itself).
pub type Accept<'a> = &'a (dyn Fn(u32, u32) -> bool + Sync);

/// What to match.
#[derive(Clone)]
pub struct Request<'a> {
    /// Radius in degrees, 0 or more; the edge is within.
    pub radius_deg: f64,
    /// Which of them.
    pub mode: Mode,
    /// Left rows to answer for: a partition. Rows without a position have no answer.
    pub left_rows: Range<usize>,
    /// A condition on pairs beside the radius.
    pub accept: Option<Accept<'a>>,
    /// Looked at by every task.
    pub cancel: Option<&'a Cancel>,
}

/// Pairs, by left row, then separation, then right key; one entry of each column per pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches {
    /// Left row.
    pub left: Vec<u32>,
    /// Right row.
    pub right: Vec<u32>,
    /// Vincenty's separation in arcseconds.
    pub separation_arcsec: Vec<f64>,
    /// 1 for the nearest, 2 for the next.
    pub match_rank: Vec<u32>,
    /// Right rows within the radius of the left row, whatever was kept.
    pub n_within: Vec<u32>,
    /// Separation of the second nearest within the radius in arcseconds, NaN if there is none.
    pub separation2_arcsec: Vec<f64>,
}

impl Matches {
    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.left.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The left rows of a range that are in no pair: what ANTI returns and LEFT fills with NULL.
    pub fn unmatched(&self, left_rows: Range<usize>) -> Vec<u32> {
        let mut rows = Vec::new();
        let mut next = left_rows.start as u32;
        for &row in &self.left {
            rows.extend(next..row.max(next));
            next = next.max(row + 1);
        }
        rows.extend(next..(left_rows.end as u32).max(next));
        rows
    }

    /// The left rows that are in a pair, each once: what SEMI returns.
    pub fn matched(&self) -> Vec<u32> {
        let mut rows = self.left.clone();
        rows.dedup();
        rows
    }

    /// Direction of each right row seen from its left row, in degrees from north through east; `None` at
    /// separation 0.
    pub fn position_angles_deg(&self, left: &Positions<'_>, right: &Positions<'_>) -> Vec<Option<f64>> {
        let pairs = self.left.par_iter().zip(&self.right).with_min_len(TASK_ROWS);
        pairs
            .map(|(&i, &j)| separation::position_angle_deg(left.at(i as usize), right.at(j as usize)))
            .collect()
    }

    fn push_row(&mut self, row: u32, answer: &[Candidate], (n_kept, n_within): (usize, u32)) {
        let second = answer.get(1).map_or(f64::NAN, |at| at.separation_deg * ARCSEC_PER_DEG);
        for (place, candidate) in answer.iter().take(n_kept).enumerate() {
            self.left.push(row);
            self.right.push(candidate.row);
            self.separation_arcsec.push(candidate.separation_deg * ARCSEC_PER_DEG);
            self.match_rank.push(place as u32 + 1);
            self.n_within.push(n_within);
            self.separation2_arcsec.push(second);
        }
    }

    /// Adds the pairs of left rows behind these.
    pub fn append(&mut self, mut other: Matches) {
        self.left.append(&mut other.left);
        self.right.append(&mut other.right);
        self.separation_arcsec.append(&mut other.separation_arcsec);
        self.match_rank.append(&mut other.match_rank);
        self.n_within.append(&mut other.n_within);
        self.separation2_arcsec.append(&mut other.separation2_arcsec);
    }

    fn retain(&mut self, keep: &[bool]) {
        fn thin<T>(column: &mut Vec<T>, keep: &[bool]) {
            let mut flags = keep.iter();
            column.retain(|_| flags.next().is_none_or(|flag| *flag));
        }
        thin(&mut self.left, keep);
        thin(&mut self.right, keep);
        thin(&mut self.separation_arcsec, keep);
        thin(&mut self.match_rank, keep);
        thin(&mut self.n_within, keep);
        thin(&mut self.separation2_arcsec, keep);
    }
}

/// The pairs of two catalogues. A negative or NaN radius, and more pairs than `JOIN_ROWS`, are errors.
pub fn matches(left: &Positions<'_>, right: &Positions<'_>, request: &Request<'_>) -> Result<Matches> {
    let radius = Radius::new(request.radius_deg).ok_or_else(|| {
        Error::refused(
            format!("the radius of a match is {} degrees", request.radius_deg),
            "a radius is 0 or more",
        )
    })?;
    let rows = request.left_rows.start.min(left.len())..request.left_rows.end.min(left.len());
    let n_kept = match request.mode {
        Mode::Nearest(k) => k.get(),
        Mode::Mutual => 1,
        Mode::All => usize::MAX,
    };
    let sweep = Sweep { left, right, radius, n_kept, accept: request.accept, cancel: request.cancel };
    let rows: Vec<u32> = rows.map(|row| row as u32).collect();
    let mut found = sweep.run(&rows)?;
    if request.mode == Mode::Mutual {
        let keep = sweep.is_nearest_both_ways(&found)?;
        found.retain(&keep);
    }
    Ok(found)
}

struct Sweep<'a> {
    left: &'a Positions<'a>,
    right: &'a Positions<'a>,
    radius: Radius,
    n_kept: usize,
    accept: Option<Accept<'a>>,
    cancel: Option<&'a Cancel>,
}

impl Sweep<'_> {
    /// The pairs of ascending left rows.
    fn run(&self, rows: &[u32]) -> Result<Matches> {
        let n_pairs = AtomicUsize::new(0);
        let tasks: Vec<Matches> = rows
            .par_chunks(TASK_ROWS)
            .map(|rows| {
                self.cancel.map_or(Ok(()), Cancel::check)?;
                let found = self.task(rows);
                let n = n_pairs.fetch_add(found.len(), Relaxed) + found.len();
                if n > JOIN_ROWS {
                    return Err(Error::Limit {
                        what: "the number of matching pairs".into(),
                        limit: format!("{JOIN_ROWS} rows"),
                        help: "use a smaller radius, or NEAREST instead of ALL".into(),
                    });
                }
                Ok(found)
            })
            .collect::<Result<_>>()?;
        let mut all = Matches::default();
        for task in tasks {
            all.append(task);
        }
        Ok(all)
    }

    fn task(&self, rows: &[u32]) -> Matches {
        let mut found = Matches::default();
        let cell_of = |row: Option<&u32>| row.map_or(0, |row| self.left.cell29[*row as usize]);
        let left_cells = cell_of(rows.first())..cell_of(rows.last()) + 1;
        let mut walk = Walk::new(self.right, &self.radius, left_cells);
        let mut candidates = Vec::new();
        for &row in rows {
            candidates.clear();
            let cone = walk.candidates(self.left, row as usize, &self.radius, &mut candidates);
            if let Some(accept) = self.accept {
                candidates.retain(|candidate| accept(row, candidate.row));
            }
            if let Some(cone) = cone.filter(|_| !candidates.is_empty()) {
                let n_within = self.decide(&cone, &mut candidates);
                found.push_row(row, &candidates, (self.n_kept, n_within));
            }
        }
        found
    }

    /// Leaves the candidates within the radius in their final order (at least the second nearest and those to
    /// keep) and returns how many right rows are within it.
    fn decide(&self, cone: &Cone, candidates: &mut Vec<Candidate>) -> u32 {
        let n_wanted = self.n_kept.max(2);
        let n_surplus = if candidates.len() > FEW_CANDIDATES.max(n_wanted) {
            self.drop_surplus(cone, candidates, n_wanted)
        } else {
            0
        };
        for candidate in candidates.iter_mut() {
            let (ra_deg, dec_deg) = self.right.at(candidate.row as usize);
            candidate.separation_deg = cone.separation_deg(ra_deg, dec_deg);
        }
        candidates.retain(|candidate| self.radius.holds(candidate.separation_deg));
        if candidates.len() > 1 {
            let key = |candidate: &Candidate| self.right.key_rank[candidate.row as usize];
            candidates.sort_unstable_by(|a, b| {
                a.separation_deg
                    .total_cmp(&b.separation_deg)
                    .then(key(a).cmp(&key(b)))
                    .then(a.row.cmp(&b.row))
            });
        }
        n_surplus + candidates.len() as u32
    }

    /// Drops candidates that are beyond the radius, and counts and drops those within it that are surely farther
    /// than `n_wanted` others.
    fn drop_surplus(&self, cone: &Cone, candidates: &mut Vec<Candidate>, n_wanted: usize) -> u32 {
        candidates.retain_mut(|candidate| {
            let (ra_deg, dec_deg) = self.right.at(candidate.row as usize);
            candidate.haversine = cone.haversine(ra_deg, dec_deg).unwrap_or(f64::INFINITY);
            cone.verdict(candidate.haversine) != Verdict::Beyond
        });
        if candidates.len() <= n_wanted {
            return 0;
        }
        let by_haversine = |a: &Candidate, b: &Candidate| a.haversine.total_cmp(&b.haversine);
        let (_, last, _) = candidates.select_nth_unstable_by(n_wanted - 1, by_haversine);
        let limit = farther(last.haversine);
        let n_before = candidates.len();
        // The undecided ones all lie within 2 UNDECIDED_RAD of each other: if one of them is among the wanted, so
        // are all; if none is, those that are left out must still be counted by Vincenty.
        candidates.retain(|c| c.haversine <= limit || cone.verdict(c.haversine) == Verdict::Undecided);
        (n_before - candidates.len()) as u32
    }

    /// For each pair (one per left row) whether the left row is the nearest of its right row as well.
    fn is_nearest_both_ways(&self, forward: &Matches) -> Result<Vec<bool>> {
        let mut rights = forward.right.clone();
        rights.par_sort_unstable();
        rights.dedup();
        let accept = self.accept.map(|accept| move |right: u32, left: u32| accept(left, right));
        let accept: Option<Accept<'_>> = accept.as_ref().map(|accept| accept as Accept<'_>);
        let (left, right) = (self.right, self.left);
        let back = Sweep { left, right, radius: self.radius, n_kept: 1, accept, cancel: self.cancel };
        let back = back.run(&rights)?;
        let pairs = forward.left.par_iter().zip(&forward.right).with_min_len(TASK_ROWS);
        Ok(pairs
            .map(|(left, right)| back.left.binary_search(right).is_ok_and(|at| back.right[at] == *left))
            .collect())
    }
}

/// A haversine of a separation that is larger by more than cheap distances err.
fn farther(haversine: f64) -> f64 {
    // Above 90 degrees everything is decided by Vincenty.
    if haversine >= 0.5 {
        return f64::INFINITY;
    }
    let half_rad = haversine.sqrt().asin() + 2.0 * UNDECIDED_RAD;
    half_rad.sin().powi(2)
}

/// A right row that may be within the radius.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    row: u32,
    haversine: f64,
    separation_deg: f64,
}

/// The walk through the right rows.
struct Walk<'a> {
    right: &'a Positions<'a>,
    /// Half width of the window around a left row, in order-29 cells; `None` when no face holds a window.
    half: Option<u32>,
    /// Cells of side 2^level are looked up first: about one right row each, and at most 2 by 2 to a window.
    level: u32,
    /// The cell of the left row before, at this level, and its right rows.
    cell: u64,
    rows: Range<usize>,
}

impl<'a> Walk<'a> {
    /// A walk beside left rows of these cells: how crowded the right side is there sets the level.
    fn new(right: &'a Positions<'a>, radius: &Radius, left_cells: Range<u64>) -> Walk<'a> {
        let half = healpix::face_window_half(radius.deg.to_radians());
        let n_cells = (left_cells.end - left_cells.start).max(1);
        let rows = seek_rows(right.cell29, 0, left_cells);
        let cells_per_row = (n_cells / rows.len().max(1) as u64).max(1);
        let row_level = cells_per_row.ilog2().div_ceil(2);
        let window_level = half.map_or(0, |half| (2 * half + 1).next_power_of_two().trailing_zeros());
        let level = row_level.max(window_level).min(u32::from(MAX_ORDER));
        Walk { right, half, level, cell: u64::MAX, rows: rows.start..rows.start }
    }

    /// Collects the right rows that may be within the radius of a left row; its cone, if there is any.
    fn candidates(
        &mut self,
        left: &Positions<'_>,
        row: usize,
        radius: &Radius,
        found: &mut Vec<Candidate>,
    ) -> Option<Cone> {
        let at = healpix::face_cell_of(MAX_ORDER, left.cell29[row]);
        let mut scan = Scan { right: self.right, at_deg: left.at(row), radius, cone: None, found };
        match self.half.and_then(|half| healpix::window_around(at, half)) {
            Some(window) => self.window(&window, at, &mut scan),
            None => {
                for cells in healpix::cells_around(scan.at_deg.0, scan.at_deg.1, radius.deg.to_radians()) {
                    scan.rows(seek_rows(self.right.cell29, self.rows.end, cells));
                }
            }
        }
        scan.cone
    }

    fn window(&mut self, window: &Window, at: FaceCell, scan: &mut Scan<'_>) {
        let order = (u32::from(MAX_ORDER) - self.level) as u8;
        let own = FaceCell { face: at.face, x: at.x >> self.level, y: at.y >> self.level };
        let own_cell = healpix::cell_at(order, own);
        if own_cell != self.cell {
            self.rows = seek_rows(self.right.cell29, self.rows.end, healpix::cells29(order, own_cell));
            self.cell = own_cell;
        }
        for x in (window.x.start >> self.level)..=((window.x.end - 1) >> self.level) {
            for y in (window.y.start >> self.level)..=((window.y.end - 1) >> self.level) {
                let cell = FaceCell { face: at.face, x, y };
                let rows = if cell == own {
                    self.rows.clone()
                } else {
                    seek_rows(
                        self.right.cell29,
                        self.rows.end,
                        healpix::cells29(order, healpix::cell_at(order, cell)),
                    )
                };
                scan.cell(window, cell, self.level, rows);
            }
        }
    }
}

/// The candidates around one left row.
struct Scan<'a> {
    right: &'a Positions<'a>,
    at_deg: (f64, f64),
    radius: &'a Radius,
    /// Made for the first candidate: most left rows may have none.
    cone: Option<Cone>,
    found: &'a mut Vec<Candidate>,
}

impl Scan<'_> {
    /// Right rows `rows` of a cell of side 2^level: a crowded one is divided down to the window.
    fn cell(&mut self, window: &Window, cell: FaceCell, level: u32, rows: Range<usize>) {
        let (x, y) = (cell.x << level, cell.y << level);
        let last = (1u32 << level) - 1;
        if x >= window.x.end || x + last < window.x.start || y >= window.y.end || y + last < window.y.start {
            return;
        }
        let is_held = window.x.contains(&x)
            && window.x.contains(&(x + last))
            && window.y.contains(&y)
            && window.y.contains(&(y + last));
        if rows.len() <= SCAN_ROWS || level == 0 || is_held {
            return self.rows(rows);
        }
        let order = (u32::from(MAX_ORDER) - level + 1) as u8;
        let mut start = rows.start;
        for child in 0..4 {
            let to = FaceCell { face: cell.face, x: 2 * cell.x + (child & 1), y: 2 * cell.y + (child >> 1) };
            let bound = healpix::cells29(order, healpix::cell_at(order, to)).end;
            let end = start + self.right.cell29[start..rows.end].partition_point(|at| *at < bound);
            self.cell(window, to, level - 1, start..end);
            start = end;
        }
    }

    fn rows(&mut self, rows: Range<usize>) {
        for row in rows {
            // The cheapest test first; it leaves out most rows of the cell.
            let (ra_deg, dec_deg) = self.right.at(row);
            if (dec_deg - self.at_deg.1).abs() > self.radius.dec_window_deg {
                continue;
            }
            let cone = self.cone.get_or_insert_with(|| Cone::new(self.at_deg, *self.radius));
            if cone.is_candidate(ra_deg, dec_deg) {
                self.found.push(Candidate { row: row as u32, haversine: f64::NAN, separation_deg: f64::NAN });
            }
        }
    }
}

/// The rows of a range of cells, searched from a row close by.
fn seek_rows(cell29: &[u64], near: usize, cells: Range<u64>) -> Range<usize> {
    let start = seek(cell29, near, cells.start);
    start..seek(cell29, start, cells.end)
}

/// First row whose cell is at least `cell`: steps that double from `near`, then halving.
fn seek(cell29: &[u64], near: usize, cell: u64) -> usize {
    let near = near.min(cell29.len());
    let (mut low, mut high, mut step) = (near, near, 1);
    if near < cell29.len() && cell29[near] < cell {
        while high < cell29.len() && cell29[high] < cell {
            low = high + 1;
            high = (high + step).min(cell29.len());
            step *= 2;
        }
    } else {
        while low > 0 && cell29[low - 1] >= cell {
            high = low - 1;
            low = low.saturating_sub(step);
            step *= 2;
        }
    }
    low.min(high) + cell29[low.min(high)..high].partition_point(|at| *at < cell)
}

#[cfg(test)]
mod tests;
