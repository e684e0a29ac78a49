//! A waveform archive in the database: parts of files, their stored segments and record maps. A part is one segment
//! file, written once by one commit of IMPORT or REFRESH; what it replaces of older parts it lists as dead.
//! docs/disk-format.md, section "Waveform archives" \[I26\]..\[I28\].

mod channels;
mod cold;
mod files;
mod frame;
mod known;
mod lookup;
mod merge;
mod part;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::index::time::Segment;
use crate::model::station::ChannelCode;
use crate::store::{Catalogue, SegmentMap, SegmentRef};

pub use files::{FileReader, Signature};
pub use lookup::{Hit, SegmentPlace, Window};
pub use merge::{dead_outside, merge_parts};
pub use part::Part;
pub use write::{PartWriter, write_part};

pub use known::{Cursor, Known, KnownFile, Place, UNREACHABLE};

/// The table of the catalogue that holds all parts.
pub const ARCHIVE_TABLE: &str = "waveforms";
/// Role, and kind of the segment file, of a part.
pub const PART: &str = "part";
/// Version of the layout of a part.
const PART_VERSION: u32 = 2;
/// Rows of a page: the columns that lookups use.
const PAGE_ROWS: usize = 2048;
/// Rows of an entry of the sparse index, and entries of one of its next level. It divides a page.
const SPARSE_ROWS: usize = 64;

/// What is known of a file without opening it, and what opening it showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileRow {
    /// Below the root of its source, raw bytes.
    pub path: Vec<u8>,
    /// Bytes.
    pub size: u64,
    /// Last change of the content, ns since 1970.
    pub mtime_ns: i64,
    /// Last change of the inode, ns since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// xxh3 of the first and last block: tells a moved file on another file system.
    pub hash: u64,
    /// It was modified so close to the scan that it is read again next time.
    pub is_unsure: bool,
    /// `mseed2`, `sac` ..., or empty.
    pub format: String,
    /// `ok`, `partly`, `unreadable`, `other`, `no_time`, `unreachable`.
    pub state: String,
    /// Why not `ok`.
    pub reason: Option<String>,
    /// Where.
    pub bad_offset: Option<u64>,
    /// Data records.
    pub records: u64,
    /// Bytes outside records.
    pub bytes_skipped: u64,
}

/// A stored segment with its channel and record map.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentRow {
    /// Four parts; empty when the source identifier is not an FDSN one.
    pub code: ChannelCode,
    /// The whole identifier.
    pub source_id: String,
    /// Span, samples, place in the file.
    pub segment: Segment,
    /// As [`crate::index::time::encode_records`] made it.
    pub map: Vec<u8>,
}

impl SegmentRow {
    /// NET.STA.LOC.CHA, or the whole identifier where that is no FDSN one.
    pub fn code_text(&self) -> String {
        code_text(&self.code, &self.source_id)
    }
}

fn code_text(code: &ChannelCode, source_id: &str) -> String {
    if *code == ChannelCode::default() { source_id.to_owned() } else { code.to_string() }
}

/// Where a segment can be mapped from: a snapshot or a writer.
pub trait Segments {
    /// The map of a segment of the catalogue.
    fn map(&self, reference: &SegmentRef) -> Result<Arc<SegmentMap>>;
}

impl Segments for crate::store::Snapshot {
    fn map(&self, reference: &SegmentRef) -> Result<Arc<SegmentMap>> {
        self.segment(reference)
    }
}

impl Segments for crate::store::Writer {
    fn map(&self, reference: &SegmentRef) -> Result<Arc<SegmentMap>> {
        self.segment(reference)
    }
}

/// All parts of all sources.
#[derive(Debug, Default)]
pub struct Archive {
    /// In the order of their commits.
    pub parts: Vec<Part>,
}

impl Archive {
    /// Maps every part of a catalogue.
    ///
    /// # Errors
    /// `Refused` for a layout of an older version, `Version` for a newer one, `Damaged`, `Io`.
    pub fn open(catalogue: &Catalogue, segments: &dyn Segments) -> Result<Archive> {
        let mut archive = Archive::default();
        let Some(table) = catalogue.table(ARCHIVE_TABLE) else { return Ok(archive) };
        for reference in &table.segments {
            if reference.role != PART {
                return Err(Error::refused(
                    format!(
                        "the waveforms of `{}` were indexed by an older version, in a layout that is no longer read",
                        reference.source
                    ),
                    "make a new database with IMPORT WAVEFORMS; this one may be deleted then",
                ));
            }
            let root = catalogue.source(&reference.source).map(|s| s.root.clone()).unwrap_or_default();
            let map = segments.map(reference)?;
            archive.parts.push(Part::open(part_name(reference), &reference.source, root, &map)?);
        }
        archive.bury()?;
        Ok(archive)
    }

    /// Takes out the files that newer parts replace.
    fn bury(&mut self) -> Result<()> {
        let numbers: HashMap<&str, usize> =
            self.parts.iter().enumerate().map(|(number, part)| (part.name.as_str(), number)).collect();
        let mut dead = vec![];
        for part in &self.parts {
            part.dead_elsewhere(|name, file| dead.extend(numbers.get(name).map(|&n| (n, file))))?;
        }
        dead.into_iter().for_each(|(number, file)| self.parts[number].kill(file));
        Ok(())
    }

    /// Living files, and segments in them.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn counts(&self) -> Result<(usize, usize)> {
        let mut counts = (0, 0);
        for part in &self.parts {
            counts.0 += part.file_count() - part.dead_count();
            counts.1 += part.living_segments()?;
        }
        Ok(counts)
    }
}

/// Name of the part that a segment file holds.
pub fn part_name(reference: &SegmentRef) -> &str {
    reference.file.split('-').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
