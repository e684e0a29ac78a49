//! The cold side of segments: what a lookup seldom needs, 128 rows a zstd block, and the small record maps.

use super::frame::unpack;
use crate::index::columns::{put_columns, take_columns, unzigzag, zigzag};
use crate::index::time::{Segment, is_small};

/// Rows of a cold block.
pub(super) const COLD_ROWS: usize = 128;
/// In a column of a page: the value stands in the cold block.
pub(super) const ESCAPE: u32 = u32::MAX;
/// In the column of rate codes: the rate stands in the cold block.
pub(super) const RATE_ESCAPE: u16 = u16::MAX;

/// Columns of a block.
const COLUMNS: usize = 11;
/// `drift` is no whole number of ns: its bits stand in the next column.
const DRIFT_BITS: u64 = u64::MAX;
/// Drifts beyond this many ns are kept as bits.
const DRIFT_NS: f64 = 1e18;

/// A block in the making.
#[derive(Debug, Default)]
pub(super) struct ColdWriter {
    rows: Vec<[u64; COLUMNS]>,
    inline: Vec<u8>,
}

/// What the page of a row could not hold.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Escapes {
    pub(super) npts: Option<u64>,
    pub(super) byte_offset: Option<u64>,
    pub(super) rate: Option<f64>,
}

impl ColdWriter {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds a row; true when its map (as stored) must be written before the block.
    pub(super) fn push(&mut self, segment: &Segment, residual_ns: u64, escapes: Escapes, map: &[u8]) -> bool {
        let is_outside = !map.is_empty() && !is_small(map);
        let drift_ns = (segment.drift_s * 1e9).round();
        let is_whole = drift_ns.abs() < DRIFT_NS
            && (drift_ns as i64 as f64 / 1e9).to_bits() == segment.drift_s.to_bits();
        // the drift of the last record is most of the residual
        let drift = zigzag((drift_ns as i64 as u64).wrapping_sub(residual_ns));
        let (drift, bits) = match is_whole && drift != DRIFT_BITS {
            true => (drift, 0),
            false => (DRIFT_BITS, segment.drift_s.to_bits()),
        };
        self.rows.push([
            zigzag(residual_ns),
            u64::from(segment.quality),
            u64::from(segment.publication_version),
            u64::from(segment.flags),
            segment.bytes,
            drift,
            bits,
            escapes.npts.unwrap_or(0),
            escapes.byte_offset.unwrap_or(0),
            escapes.rate.map_or(0, f64::to_bits),
            (map.len() as u64) << 1 | u64::from(is_outside),
        ]);
        if !is_outside {
            self.inline.extend_from_slice(map);
        }
        is_outside
    }

    /// The content of the block; it is empty afterwards.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut content = vec![];
        put_columns(&mut content, &self.rows);
        content.append(&mut self.inline);
        self.rows.clear();
        content
    }
}

/// A block that was unpacked.
#[derive(Debug, Default)]
pub(super) struct Cold {
    rows: Vec<[u64; COLUMNS]>,
    inline: Vec<u8>,
    /// Per row where its map begins: in `inline`, or among the maps before the block.
    map_starts: Vec<u64>,
    /// Bytes of the maps before the block.
    outside_bytes: u64,
}

/// Where the map of a row is.
#[derive(Debug)]
pub(super) enum MapPlace<'a> {
    Inline(&'a [u8]),
    /// First byte and bytes, counted from the end of the maps that stand before the block.
    Outside(u64, u64),
}

impl Cold {
    pub(super) fn unpack(block: &[u8], count: usize) -> Option<Cold> {
        let content = unpack(block)?;
        let mut rest = content.as_slice();
        let rows = take_columns::<COLUMNS>(&mut rest, count)?;
        let mut cold = Cold { inline: rest.to_vec(), ..Cold::default() };
        let mut inline = 0_u64;
        for row in &rows {
            let (length, is_outside) = (row[10] >> 1, row[10] & 1 != 0);
            let next = if is_outside { &mut cold.outside_bytes } else { &mut inline };
            cold.map_starts.push(*next);
            *next = next.checked_add(length)?;
        }
        cold.rows = rows;
        (inline == cold.inline.len() as u64).then_some(cold)
    }

    fn row(&self, at: usize) -> [u64; COLUMNS] {
        self.rows.get(at).copied().unwrap_or_default()
    }

    pub(super) fn residual_ns(&self, at: usize) -> u64 {
        unzigzag(self.row(at)[0])
    }

    pub(super) fn npts(&self, at: usize) -> u64 {
        self.row(at)[7]
    }

    pub(super) fn byte_offset(&self, at: usize) -> u64 {
        self.row(at)[8]
    }

    pub(super) fn rate(&self, at: usize) -> f64 {
        f64::from_bits(self.row(at)[9])
    }

    /// The fields of a segment that only stand here; `None` where one does not fit.
    pub(super) fn fill(&self, at: usize, segment: &mut Segment) -> Option<()> {
        let row = self.row(at);
        segment.quality = u8::try_from(row[1]).ok()?;
        segment.publication_version = u8::try_from(row[2]).ok()?;
        segment.flags = u16::try_from(row[3]).ok()?;
        segment.bytes = row[4];
        segment.drift_s = match row[5] {
            DRIFT_BITS => f64::from_bits(row[6]),
            drift => unzigzag(row[0]).wrapping_add(unzigzag(drift)) as i64 as f64 / 1e9,
        };
        Some(())
    }

    pub(super) fn map(&self, at: usize) -> Option<MapPlace<'_>> {
        let (length, is_outside) = (self.row(at)[10] >> 1, self.row(at)[10] & 1 != 0);
        let start = *self.map_starts.get(at)?;
        if is_outside {
            return Some(MapPlace::Outside(self.outside_bytes.checked_sub(start)?, length));
        }
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.inline.get(start..end).map(MapPlace::Inline)
    }
}
