//! Commits of waveform parts, and the merging of parts that keeps them few: size-tiered, so that every row is
//! rewritten a logarithmic number of times, and never with more of it in memory than the blocks at hand.

use std::collections::HashSet;

use crate::error::Result;
use crate::index::archive::{
    ARCHIVE_TABLE, Archive, FileRow, PART, Part, SegmentRow, dead_outside, merge_parts, part_name, write_part,
};
use crate::limits;
use crate::store::{Catalogue, SegmentRef, TableEntry, Writer};

/// Files and segments of the parts of the lowest tier; each higher one has parts [`limits::DELTAS`] times as large.
const LOWEST_TIER_ROWS: usize = 8192;
/// Most parts that are merged at a time.
const MERGED_PARTS: usize = 64;

/// One commit: a new part of these files, in any order, and the rows of older parts that it replaces. `edit` changes
/// what else the commit should change (when the source was refreshed last). Nothing to change is no commit.
///
/// # Errors
/// Those of publishing and committing.
pub fn commit_part(
    writer: &mut Writer,
    source: &str,
    files: Vec<(FileRow, Vec<SegmentRow>)>,
    dead: Vec<(&Part, Vec<u32>)>,
    edit: impl FnOnce(&mut Catalogue),
) -> Result<()> {
    let published = publish_part(writer, source, files, dead)?;
    let mut catalogue = writer.catalogue().clone();
    if let Some(part) = published {
        archive_table(&mut catalogue).segments.push(part);
    }
    edit(&mut catalogue);
    if catalogue == *writer.catalogue() {
        return Ok(());
    }
    writer.commit(catalogue).map(|_| ())
}

/// A part that the next commit may name; `None` where there is nothing to write.
///
/// # Errors
/// Those of publishing.
pub fn publish_part(
    writer: &Writer,
    source: &str,
    files: Vec<(FileRow, Vec<SegmentRow>)>,
    dead: Vec<(&Part, Vec<u32>)>,
) -> Result<Option<SegmentRef>> {
    let mut dead: Vec<(String, Vec<u32>)> = dead
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(part, rows)| (part.name.clone(), rows))
        .collect::<Vec<_>>();
    if files.is_empty() && dead.is_empty() {
        return Ok(None);
    }
    dead.iter_mut().for_each(|(_, rows)| rows.sort_unstable());
    dead.sort();
    let mut part = write_part(writer.stream(PART)?, files, &dead)?;
    part.source = source.to_owned();
    Ok(Some(part))
}

/// The table of all parts.
pub fn archive_table(catalogue: &mut Catalogue) -> &mut TableEntry {
    let place = catalogue.tables.iter().position(|t| t.name == ARCHIVE_TABLE).unwrap_or_else(|| {
        let entry = TableEntry {
            name: ARCHIVE_TABLE.to_owned(),
            kind: "archive".to_owned(),
            ..TableEntry::default()
        };
        catalogue.tables.push(entry);
        catalogue.tables.len() - 1
    });
    &mut catalogue.tables[place]
}

/// Merges parts of a source where a tier is full or a tenth of a part is dead. Parts of `pinned` stay: a refresh that
/// goes on still names rows of them.
///
/// # Errors
/// Those of reading, publishing and committing, and what `check` says.
pub fn compact_if_due(
    writer: &mut Writer,
    source: &str,
    pinned: &Archive,
    check: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let pinned: HashSet<&str> = pinned.parts.iter().map(|p| p.name.as_str()).collect();
    let is_free = |s: &&SegmentRef| s.source == source && !pinned.contains(part_name(s));
    let table = writer.catalogue().table(ARCHIVE_TABLE);
    let free = table.map_or(0, |t| t.segments.iter().filter(is_free).count());
    if free == 0 {
        return Ok(());
    }
    let archive = Archive::open(writer.catalogue(), writer)?;
    let parts: Vec<&Part> =
        archive.parts.iter().filter(|p| p.source == source && !pinned.contains(p.name.as_str())).collect();
    let merged = due(parts);
    if merged.is_empty() { Ok(()) } else { merge(writer, &merged, check) }
}

/// Writes the living rows of a source as one part, or as few as their bounds allow.
///
/// # Errors
/// As [`compact_if_due`].
pub fn compact(writer: &mut Writer, source: &str, check: &dyn Fn() -> Result<()>) -> Result<()> {
    let archive = Archive::open(writer.catalogue(), writer)?;
    let mut rest: Vec<&Part> = archive.parts.iter().filter(|p| p.source == source).collect();
    rest.sort_by_key(|p| weight(p));
    while !rest.is_empty() {
        let group: Vec<&Part> = rest.drain(..fitting(&rest)).collect();
        if group.len() > 1 || group.iter().any(|p| p.dead_count() > 0 || p.file_count() == 0) {
            merge(writer, &group, check)?;
        }
    }
    Ok(())
}

/// Files and segments, those of dead files too.
fn weight(part: &Part) -> usize {
    part.file_count() + part.segment_count()
}

fn tier(part: &Part) -> u32 {
    (weight(part) / LOWEST_TIER_ROWS).checked_ilog(limits::DELTAS).map_or(0, |tier| tier + 1)
}

fn is_rotten(part: &Part) -> bool {
    part.dead_count() * 10 > part.file_count()
}

/// How many of the first parts make one that is not too large: at least one.
fn fitting(parts: &[&Part]) -> usize {
    let (mut files, mut segments) = (0, 0);
    let fits = |part: &&&Part| {
        files += part.file_count() - part.dead_count();
        segments += part.segment_count();
        files <= limits::PART_FILES && segments <= limits::PART_SEGMENTS
    };
    parts.iter().take(MERGED_PARTS).take_while(fits).count().max(1)
}

/// The parts to merge now, the smallest first: all up to the highest full tier, or up to the largest part of which a
/// tenth is dead.
fn due(mut parts: Vec<&Part>) -> Vec<&Part> {
    parts.sort_by_key(|p| weight(p));
    let highest = parts.iter().map(|p| tier(p)).max().unwrap_or(0);
    let is_full = |t: &u32| {
        let smaller = parts.iter().any(|p| tier(p) < *t);
        parts.iter().filter(|p| tier(p) == *t).count() + usize::from(smaller) >= limits::DELTAS
    };
    let full = (0..=highest).rev().find(is_full);
    let count = full.map_or(0, |full| parts.iter().filter(|p| tier(p) <= full).count());
    let rotten = parts.iter().rposition(|p| is_rotten(p)).map_or(0, |last| last + 1);
    parts.truncate(count.max(rotten));
    let fitting = fitting(&parts);
    match parts.last() {
        // what is too large to be merged with the rest is at least freed of its dead
        Some(largest) if fitting < parts.len() && is_rotten(largest) => return vec![largest],
        _ => parts.truncate(fitting),
    }
    if parts.len() == 1 && !is_rotten(parts[0]) { vec![] } else { parts }
}

fn merge(writer: &mut Writer, parts: &[&Part], check: &dyn Fn() -> Result<()>) -> Result<()> {
    let Some(source) = parts.first().map(|p| p.source.clone()) else { return Ok(()) };
    let is_empty = parts.iter().all(|p| p.dead_count() == p.file_count()) && dead_outside(parts)?.is_empty();
    let mut catalogue = writer.catalogue().clone();
    let names: HashSet<&str> = parts.iter().map(|p| p.name.as_str()).collect();
    let table = archive_table(&mut catalogue);
    table.segments.retain(|s| !names.contains(part_name(s)));
    if !is_empty {
        let mut merged = merge_parts(parts, writer.stream(PART)?, check)?;
        merged.source = source;
        table.segments.push(merged);
    }
    writer.commit(catalogue).map(|_| ())
}
