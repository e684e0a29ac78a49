//! What the index tells of a scan before a row is read: the rows that it leaves, and how many of them will meet the
//! conditions if values are spread evenly within each zone.

use std::fmt;
use std::ops::Range;

use super::scan::{Hints, in_cells, in_zones};
use crate::engine::analyze::{counted, thousands};
use crate::engine::bind::Context;
use crate::engine::plan::Scan;
use crate::error::Result;
use crate::store::{SegmentMap, ZONE_ROWS, Zone, ZoneMap};

/// Counts over the segments of a table that a scan looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    /// Rows of the table.
    pub rows: u64,
    /// Rows whose HEALPix cell meets the region, where there is one.
    pub in_cells: Option<u64>,
    /// Zones (blocks of rows with least and greatest values) of the table.
    pub zones: u64,
    /// Zones with rows that are read, where there are ranges of values.
    pub zones_kept: Option<u64>,
    /// Rows that are read.
    pub kept: u64,
    /// Rows that are expected to meet the conditions.
    pub matching: f64,
}

impl Found {
    /// Every row is read.
    pub fn whole(rows: u64) -> Found {
        Found { rows, kept: rows, matching: rows as f64, ..Found::default() }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reads {} of {}", thousands(self.kept), counted(self.rows, "row"))?;
        if let Some(in_cells) = self.in_cells {
            write!(f, "; HEALPix cells leave {}", counted(in_cells, "row"))?;
        }
        if let Some(kept) = self.zones_kept {
            write!(f, "; minima and maxima leave {kept} of {}", counted(self.zones, "block"))?;
        }
        Ok(())
    }
}

/// What a scan of a stored table finds; `None` where there is no such table.
///
/// # Errors
/// Damage, I/O.
pub fn found(plan: &Scan, context: &Context<'_>) -> Result<Option<Found>> {
    let Some(info) = context.tables.find(&plan.table) else { return Ok(None) };
    let mut all = Found::default();
    let Some(entry) = context.tables.entry(&plan.table) else { return Ok(Some(all)) };
    let hints = Hints::new(plan, entry, &info);
    for part in entry.segments.iter().filter(|s| s.role == "rows") {
        all.rows += part.rows;
        all.zones += part.rows.div_ceil(ZONE_ROWS as u64);
        if plan.source.as_ref().is_none_or(|source| part.source == *source) {
            let map = context.tables.snapshot.segment(part)?;
            in_segment(&hints, &map, &mut all)?;
        }
    }
    Ok(Some(all))
}

fn in_segment(hints: &Hints<'_>, map: &SegmentMap, all: &mut Found) -> Result<()> {
    let count = |ranges: &[Range<usize>]| ranges.iter().map(|r| r.len() as u64).sum::<u64>();
    let cells = in_cells(hints, map)?;
    if hints.region.is_some() {
        all.in_cells = Some(all.in_cells.unwrap_or(0) + count(&cells));
    }
    let kept = in_zones(hints, map, cells)?;
    all.kept += count(&kept);
    let schema = map.schema();
    let mut known = vec![];
    for (name, low, high) in &hints.ranges {
        let place = schema.columns.iter().position(|c| c.name == *name);
        if let Some(zones) = place.map(|at| map.zones(at)).transpose()?.flatten() {
            known.push((zones, *low, *high));
        }
    }
    let mut zones_kept = 0;
    for (zone, rows) in by_zone(&kept) {
        zones_kept += 1;
        let shares = known.iter().map(|(zones, low, high)| share(zones, zone, (*low, *high)));
        all.matching += rows as f64 * shares.product::<f64>();
    }
    if !hints.ranges.is_empty() {
        all.zones_kept = Some(all.zones_kept.unwrap_or(0) + zones_kept);
    }
    Ok(())
}

/// Zone and how many of its rows are in the ranges.
fn by_zone(ranges: &[Range<usize>]) -> Vec<(usize, usize)> {
    let mut zones: Vec<(usize, usize)> = vec![];
    for range in ranges {
        let mut start = range.start;
        while start < range.end {
            let zone = start / ZONE_ROWS;
            let end = ((zone + 1) * ZONE_ROWS).min(range.end);
            match zones.last_mut() {
                Some(last) if last.0 == zone => last.1 += end - start,
                _ => zones.push((zone, end - start)),
            }
            start = end;
        }
    }
    zones
}

/// Part of the values of a zone that lie in a closed range.
fn share(zones: &ZoneMap, zone: usize, wanted: (f64, f64)) -> f64 {
    match zones {
        // Whole numbers fill their places: of 0..9 a tenth is 3.
        ZoneMap::Int(zones) => {
            zones.get(zone).map_or(1.0, |z| part((z.min as f64, z.max as f64 + 1.0), wanted, 1.0))
        }
        ZoneMap::Float(zones) => {
            zones.get(zone).map_or(1.0, |z: &Zone<f64>| part((z.min, z.max), wanted, 0.0))
        }
    }
}

/// Part of `[low, high]` that lies in the wanted range, `place` wider than it says; a point of a range is one row.
fn part(zone: (f64, f64), wanted: (f64, f64), place: f64) -> f64 {
    let (low, high) = (zone.0.max(wanted.0), zone.1.min(wanted.1 + place));
    let (common, width) = (high - low, zone.1 - zone.0);
    if width > 0.0 && width.is_finite() {
        (common / width).clamp(1.0 / ZONE_ROWS as f64, 1.0)
    } else {
        f64::from(common >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_zones() {
        let least = 1.0 / ZONE_ROWS as f64;
        let inf = f64::INFINITY;
        let cases = [
            ((0.0, 10.0), (0.0, 5.0), 0.0, 0.5),
            ((0.0, 10.0), (-inf, inf), 0.0, 1.0),
            ((0.0, 10.0), (-inf, 2.5), 0.0, 0.25),
            ((0.0, 10.0), (3.0, 3.0), 0.0, least),
            ((0.0, 10.0), (3.0, 3.0), 1.0, 0.1),
            ((4.0, 4.0), (3.0, 5.0), 0.0, 1.0),
            ((4.0, 4.0), (5.0, 6.0), 0.0, 0.0),
        ];
        for (zone, wanted, place, want) in cases {
            assert!((part(zone, wanted, place) - want).abs() < 1e-12, "{zone:?} {wanted:?}");
        }
        assert_eq!(by_zone(&[0..10, 20..4100, 9000..9001]), [(0, 4086), (1, 4), (2, 1)]);
    }
}
