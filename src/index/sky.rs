//! The sky index: rows in the order of their HEALPix cells, and a k-d tree of unit vectors for the nearest n
//! without a radius. Pure functions over columns; the store decides where the columns lie.
//!
//! In this order every cell of every level is one run of rows, so a region is a few binary searches, and two
//! catalogues in this order are matched by walking through both.

use std::num::NonZero;
use std::ops::Range;

use kiddo::kd_tree::ArchivedKdTree;
use kiddo::leaf_strategy::VecOfArenas;
use kiddo::{Eytzinger, ImmutableKdTree, SquaredEuclidean};
use rayon::prelude::*;
use rkyv::rancor;
use rkyv::util::AlignedVec;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::geometry::healpix;
use crate::geometry::region::Region;
use crate::geometry::separation::{self, is_position};
use crate::geometry::vector;

/// The cell of a row without a position; above every real one, so these rows come last.
pub const NO_CELL: u64 = u64::MAX;
/// Rows between two entries of the directory.
pub const DIRECTORY_STEP_ROWS: usize = 1024;
/// Most rows of one ordered run of a catalogue: row numbers are u32, and offsets in an archived tree are signed
/// 32-bit bytes.
pub const PARTITION_ROWS: usize = 50_000_000;
/// Alignment in bytes that an archived tree needs where it is opened.
pub const TREE_ALIGNMENT_BYTES: usize = 128;
/// Bytes before the archive itself, a multiple of its alignment.
const TREE_HEADER_BYTES: usize = TREE_ALIGNMENT_BYTES;
/// Which archive this is; kiddo's layout belongs to its version.
const TREE_MAGIC: &[u8; 16] = b"sqk tree kiddo63";
/// Buckets above this are sorted by all threads, in rows.
const LARGE_BUCKET_ROWS: usize = 1 << 16;
/// Chords this close, as an angle in radians, are told apart by Vincenty alone.
const CHORD_MARGIN_RAD: f64 = 4e-14;

/// The position columns of a catalogue in the order of their cells.
#[derive(Clone, Copy, Debug)]
pub struct Positions<'a> {
    /// Right ascension in degrees.
    pub ra_deg: &'a [f64],
    /// Declination in degrees.
    pub dec_deg: &'a [f64],
    /// Nested order-29 cells, ascending; `NO_CELL` for rows without a position.
    pub cell29: &'a [u64],
    /// Rank of the row's key among the keys: what decides between rows at equal separation.
    pub key_rank: &'a [u32],
}

impl<'a> Positions<'a> {
    /// Columns of equal length, of which the rows with a position are kept (they come first).
    pub fn new(
        ra_deg: &'a [f64],
        dec_deg: &'a [f64],
        cell29: &'a [u64],
        key_rank: &'a [u32],
    ) -> Result<Self> {
        if [dec_deg.len(), cell29.len(), key_rank.len()].iter().any(|len| *len != ra_deg.len()) {
            return Err(Error::refused(
                format!(
                    "position columns of {}, {}, {} and {} rows",
                    ra_deg.len(),
                    dec_deg.len(),
                    cell29.len(),
                    key_rank.len()
                ),
                "rebuild the index of the table",
            ));
        }
        check_rows(ra_deg.len())?;
        let rows = cell29.partition_point(|cell| *cell < NO_CELL);
        Ok(Positions {
            ra_deg: &ra_deg[..rows],
            dec_deg: &dec_deg[..rows],
            cell29: &cell29[..rows],
            key_rank: &key_rank[..rows],
        })
    }

    /// Rows with a position.
    pub fn len(&self) -> usize {
        self.ra_deg.len()
    }

    /// Whether no row has a position.
    pub fn is_empty(&self) -> bool {
        self.ra_deg.is_empty()
    }

    /// Position of a row in degrees.
    #[inline]
    pub fn at(&self, row: usize) -> (f64, f64) {
        (self.ra_deg[row], self.dec_deg[row])
    }
}

fn check_rows(rows: usize) -> Result<()> {
    if rows <= PARTITION_ROWS {
        return Ok(());
    }
    Err(Error::Limit {
        what: format!("a sky index over {rows} rows"),
        limit: format!("{PARTITION_ROWS} rows"),
        help: "partition the catalogue by HEALPix cell".into(),
    })
}

/// The order of the rows of a catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkyOrder {
    /// Old row numbers in the new order: by cell, then by old row number.
    pub rows: Vec<u32>,
    /// Cells in the new order, `NO_CELL` at the end for rows without a position.
    pub cell29: Vec<u64>,
}

/// Orders rows by their nested order-29 cell; rows without a position (NaN, infinite, |dec| > 90) come last, in
/// their old order. The same for any number of threads.
pub fn order(ra_deg: &[f64], dec_deg: &[f64]) -> Result<SkyOrder> {
    check_rows(ra_deg.len().max(dec_deg.len()))?;
    if ra_deg.len() != dec_deg.len() {
        return Err(Error::refused(
            format!("{} right ascensions and {} declinations", ra_deg.len(), dec_deg.len()),
            "give one of each for every row",
        ));
    }
    let cells: Vec<u64> =
        ra_deg.par_iter().zip(dec_deg).with_min_len(4096).map(|(ra, dec)| cell_of(*ra, *dec)).collect();
    let shift = bucket_shift(cells.len());
    let buckets = (healpix::MAX_ORDER_CELLS >> shift) as usize + 1;
    let bucket_of = |cell: u64| ((cell >> shift) as usize).min(buckets - 1);
    let mut ends = vec![0u32; buckets];
    for cell in &cells {
        ends[bucket_of(*cell)] += 1;
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += std::mem::replace(end, sum);
    }
    let mut pairs = vec![(0u64, 0u32); cells.len()];
    for (row, cell) in cells.iter().enumerate() {
        let next = &mut ends[bucket_of(*cell)];
        pairs[*next as usize] = (*cell, row as u32);
        *next += 1;
    }
    drop(cells);
    sort_buckets(&mut pairs, &ends, 0);
    Ok(SkyOrder {
        rows: pairs.iter().map(|pair| pair.1).collect(),
        cell29: pairs.iter().map(|pair| pair.0).collect(),
    })
}

/// The order-29 cell of a position, `NO_CELL` when it is none.
pub fn cell_of(ra_deg: f64, dec_deg: f64) -> u64 {
    if is_position(ra_deg, dec_deg) { healpix::cell29(ra_deg, dec_deg) } else { NO_CELL }
}

/// About two rows in a bucket of a uniform sky.
fn bucket_shift(rows: usize) -> u32 {
    let order = (0..healpix::MAX_ORDER)
        .take_while(|order| (12u64 << (2 * order)) * 2 <= rows as u64)
        .last()
        .unwrap_or(0);
    2 * u32::from(healpix::MAX_ORDER - order)
}

/// Sorts each bucket by (cell, row); `ends` are the ends of the buckets, counted like `start`, the first row.
fn sort_buckets(pairs: &mut [(u64, u32)], ends: &[u32], start: u32) {
    if pairs.len() > LARGE_BUCKET_ROWS && ends.len() > 1 {
        let middle = ends.len() / 2;
        let cut = ends[middle - 1];
        let (left, right) = pairs.split_at_mut((cut - start) as usize);
        rayon::join(
            || sort_buckets(left, &ends[..middle], start),
            || sort_buckets(right, &ends[middle..], cut),
        );
    } else if ends.len() == 1 {
        pairs.par_sort_unstable();
    } else {
        let mut from = 0;
        for end in ends {
            let to = (end - start) as usize;
            if to > from + 1 {
                pairs[from..to].sort_unstable();
            }
            from = to;
        }
    }
}

/// The first cell of every `DIRECTORY_STEP_ROWS` rows: what a search reads before it touches the cell column.
pub fn directory(cell29: &[u64]) -> Vec<u64> {
    cell29.iter().step_by(DIRECTORY_STEP_ROWS).copied().collect()
}

/// A run of rows of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRun {
    /// The rows.
    pub rows: Range<usize>,
    /// Whether all of them are in the region; otherwise each is to be tested.
    pub is_inside: bool,
}

/// The ordered cell column with its directory.
#[derive(Clone, Copy, Debug)]
pub struct CellIndex<'a> {
    /// Cells, ascending.
    pub cell29: &'a [u64],
    /// What `directory` made of them.
    pub directory: &'a [u64],
}

impl CellIndex<'_> {
    /// First row whose cell is at least `cell`.
    fn lower_bound(&self, cell: u64) -> usize {
        let block = self.directory.partition_point(|first| *first < cell);
        let start = block.saturating_sub(1) * DIRECTORY_STEP_ROWS;
        let end = (block * DIRECTORY_STEP_ROWS).min(self.cell29.len());
        match self.cell29.get(start..end) {
            Some(rows) => start + rows.partition_point(|at| *at < cell),
            None => end,
        }
    }

    /// The rows of a range of cells.
    pub fn rows(&self, cells: Range<u64>) -> Range<usize> {
        let start = self.lower_bound(cells.start);
        start..self.lower_bound(cells.end).max(start)
    }

    /// Candidate rows of a region, ascending; every row of the region is in one of the runs.
    pub fn candidates(&self, region: &Region) -> Vec<RowRun> {
        let runs = region.cells().into_iter();
        let rows = runs.map(|run| RowRun { rows: self.rows(run.cells), is_inside: run.is_inside });
        rows.filter(|run| !run.rows.is_empty()).collect()
    }

    /// The rows of a region, ascending, exactly.
    pub fn select(&self, region: &Region, ra_deg: &[f64], dec_deg: &[f64]) -> Vec<u32> {
        let mut found = Vec::new();
        for run in self.candidates(region) {
            let is_in = |row: &usize| run.is_inside || region.contains(ra_deg[*row], dec_deg[*row]);
            found.extend(run.rows.clone().filter(is_in).map(|row| row as u32));
        }
        found
    }
}

type Leaves = VecOfArenas<f64, u32, 3, 32>;
type ArchivedTree = ArchivedKdTree<f64, u32, Eytzinger, Leaves, 3, 32>;

/// Builds the k-d tree over the unit vectors of all rows and archives it behind a header; about 29 bytes a row.
/// The bytes must be opened at an address that is a multiple of `TREE_ALIGNMENT_BYTES`.
pub fn tree_bytes(positions: &Positions<'_>) -> Result<AlignedVec<TREE_ALIGNMENT_BYTES>> {
    let rows = (0..positions.len()).into_par_iter();
    let vectors: Vec<vector::Vector> =
        rows.map(|row| vector::from_degrees(positions.ra_deg[row], positions.dec_deg[row])).collect();
    let refuse = |reason: String| {
        Error::refused(format!("the k-d tree cannot be made: {reason}"), "report this catalogue")
    };
    let tree =
        ImmutableKdTree::<f64, 3>::new_from_slice_parallel(&vectors).map_err(|e| refuse(e.to_string()))?;
    let mut bytes = AlignedVec::new();
    bytes.extend_from_slice(&[0; TREE_HEADER_BYTES]);
    let mut bytes =
        rkyv::api::high::to_bytes_in::<_, rancor::Error>(&tree, bytes).map_err(|e| refuse(e.to_string()))?;
    let header = tree_header(&bytes[TREE_HEADER_BYTES..], positions.len());
    bytes[..TREE_HEADER_BYTES].copy_from_slice(&header);
    Ok(bytes)
}

/// Magic and version of kiddo's layout, rows, bytes of the archive, its xxh3; little-endian, then zeros.
fn tree_header(archive: &[u8], rows: usize) -> [u8; TREE_HEADER_BYTES] {
    let mut header = [0; TREE_HEADER_BYTES];
    header[..16].copy_from_slice(TREE_MAGIC);
    header[16..24].copy_from_slice(&(rows as u64).to_le_bytes());
    header[24..32].copy_from_slice(&(archive.len() as u64).to_le_bytes());
    header[32..40].copy_from_slice(&xxh3_64(archive).to_le_bytes());
    header
}

/// A row and how far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// The row.
    pub row: u32,
    /// Vincenty's separation in degrees.
    pub separation_deg: f64,
}

/// An archived tree over mapped bytes, with the columns it was built from.
#[derive(Clone, Copy)]
pub struct TreeView<'a> {
    tree: &'a ArchivedTree,
    positions: Positions<'a>,
}

impl<'a> TreeView<'a> {
    /// Opens what `tree_bytes` wrote: header and checksum of every byte, then rkyv's checks of alignment, pointers
    /// and lengths. The checksum is not a luxury: kiddo follows the offsets in an archive without looking, and
    /// rkyv cannot know what they mean, so one flipped bit would end the process.
    pub fn open(bytes: &'a [u8], positions: Positions<'a>) -> Result<Self> {
        let refuse = |reason: String| {
            Error::refused(
                format!("the archived k-d tree cannot be used: {reason}"),
                "rebuild the index of the table",
            )
        };
        let (header, archive) = bytes
            .split_at_checked(TREE_HEADER_BYTES)
            .ok_or_else(|| refuse(format!("it is {} bytes long", bytes.len())))?;
        if header != tree_header(archive, positions.len()) {
            let reason =
                format!("its header or checksum does not fit a catalogue of {} rows", positions.len());
            return Err(refuse(reason));
        }
        let tree = rkyv::access::<ArchivedTree, rancor::Error>(archive).map_err(|e| refuse(e.to_string()))?;
        if tree.size() != positions.len() {
            return Err(refuse(format!("it holds {} rows, the catalogue {}", tree.size(), positions.len())));
        }
        Ok(TreeView { tree, positions })
    }

    /// The `n` rows nearest to a position, within `max_deg` (180 for no bound), by Vincenty's separation and then
    /// by key.
    pub fn nearest(&self, at_deg: (f64, f64), n: NonZero<usize>, max_deg: f64) -> Vec<Near> {
        if self.positions.is_empty() || !is_position(at_deg.0, at_deg.1) || max_deg.is_nan() {
            return Vec::new();
        }
        let query = vector::from_degrees(at_deg.0, at_deg.1);
        let n_known = NonZero::new(n.get().min(self.positions.len())).unwrap_or(NonZero::<usize>::MIN);
        let nearest = self.tree.query(&query).nearest_n::<SquaredEuclidean<f64>>(n_known).execute();
        // All that Vincenty might place before the last of them, ties included.
        let last_chord2 = nearest.iter().map(|item| item.distance).fold(0.0, f64::max);
        let candidates = self
            .tree
            .query(&query)
            .within::<SquaredEuclidean<f64>>(widened(last_chord2))
            .unsorted()
            .execute();
        let mut found: Vec<Near> = candidates
            .iter()
            .filter(|item| (item.item as usize) < self.positions.len())
            .map(|item| Near {
                row: item.item,
                separation_deg: separation::separation_deg(at_deg, self.positions.at(item.item as usize)),
            })
            .filter(|near| near.separation_deg <= max_deg)
            .collect();
        let rank = |near: &Near| self.positions.key_rank[near.row as usize];
        found.sort_by(|a, b| a.separation_deg.total_cmp(&b.separation_deg).then(rank(a).cmp(&rank(b))));
        found.truncate(n.get());
        found
    }
}

/// The square of a chord, made larger by `CHORD_MARGIN_RAD` of angle: near the antipode chords hardly differ, so
/// there the margin is that of the angle they stand for.
fn widened(chord2: f64) -> f64 {
    let angle = 2.0 * (0.5 * chord2.sqrt()).min(1.0).asin();
    // An error of e in the square of a chord is one of up to sqrt(e) in the angle at the antipode.
    let chord = 2.0 * (0.5 * (angle + CHORD_MARGIN_RAD).min(std::f64::consts::PI)).sin();
    chord * chord + 4e-15
}

#[cfg(test)]
mod tests;
