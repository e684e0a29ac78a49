//! Reads one waveform file into the rows of the index.

mod tail;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

pub use tail::{Old, can_have_grown};

use super::walk::{Stat, stat_of};
use crate::error::{Error, Result};
use crate::format::waveform::source::Source;
use crate::format::waveform::{self, Record, Scan, State, flags};
use crate::index::archive::{FileRow, SegmentRow};
use crate::index::time::{Packer, assemble};
use crate::limits::UNSURE_MTIME_NS;

/// Bytes at either end of a file that stand for its content where inode and path changed.
const END_BYTES: usize = 4096;

/// The rows of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// Of `files`.
    pub file: FileRow,
    /// Of `segments`.
    pub segments: Vec<SegmentRow>,
    /// The file was opened for this.
    pub was_opened: bool,
    /// Only what had been appended was read.
    pub was_grown: bool,
    /// Bytes that were read of it.
    pub bytes_read: u64,
}

impl Read {
    /// Rows that need no file.
    pub fn unopened(file: FileRow, segments: Vec<SegmentRow>) -> Read {
        Read { file, segments, was_opened: false, was_grown: false, bytes_read: 0 }
    }

    /// About the memory that the rows take.
    pub fn bytes_held(&self) -> usize {
        let text = |s: &SegmentRow| s.source_id.len() + s.map.capacity() + 64;
        let segments = self.segments.iter().map(|s| size_of::<SegmentRow>() + text(s));
        size_of::<Read>() + self.file.path.len() + segments.sum::<usize>()
    }
}

/// What one thread uses again from file to file.
pub struct Scratch {
    buffer: Vec<u8>,
    records: Vec<Record>,
    /// The records of a segment whose records do not stand together.
    run: Vec<Record>,
    packer: Packer,
}

impl Scratch {
    /// Error: out of memory.
    pub fn new() -> Result<Scratch> {
        Ok(Scratch { buffer: vec![], records: vec![], run: vec![], packer: Packer::default() })
    }
}

/// xxh3 of the first and the last block of a file.
pub fn signature_only(path: &Path) -> std::io::Result<u64> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut hash = Xxh3::new();
    let mut block = vec![0; END_BYTES];
    for offset in end_offsets(size) {
        let count = file.read_at(&mut block, offset)?;
        hash.update(&block[..count]);
    }
    Ok(hash.digest())
}

fn end_offsets(size: u64) -> [u64; 2] {
    [0, size.saturating_sub(END_BYTES as u64)]
}

/// The same of a file that is open.
fn ends(source: &mut Source) -> Result<u64> {
    let mut hash = Xxh3::new();
    // The last block first: it is in the buffer, and the first one where the file is short.
    let [first, last] = end_offsets(source.size());
    let end = source.block(last, END_BYTES)?.to_vec();
    hash.update(source.block(first, END_BYTES)?);
    hash.update(&end);
    Ok(hash.digest())
}

/// Scans a file that the walk found at a path below its root. Whatever is wrong with it is in its row; the rest of
/// the archive goes on. `old` is what was known of it before it grew.
pub fn read_file(
    path: &Path,
    (below, stat): (&[u8], &Stat),
    scan_ns: i64,
    old: Option<Old>,
    scratch: &mut Scratch,
) -> Result<Read> {
    let mut file = FileRow {
        path: below.to_vec(),
        size: stat.size,
        mtime_ns: stat.mtime_ns,
        ctime_ns: stat.ctime_ns,
        inode: stat.inode,
        is_unsure: stat.is_regular && stat.mtime_ns > scan_ns.saturating_sub(UNSURE_MTIME_NS),
        ..FileRow::default()
    };
    if !stat.is_regular {
        file.state = State::Other.name().to_owned();
        file.reason = Some("not a regular file: it is never opened".to_owned());
        return Ok(Read::unopened(file, vec![]));
    }
    match scanned(path, stat, old, scratch) {
        Ok(scanned) => {
            file.hash = scanned.hash;
            // It was changed while it was read: the next refresh reads it again.
            file.is_unsure |= scanned.now.shape() != stat.shape();
            let segments = segment_rows(&scanned.scan, scratch)?;
            let read = Read {
                segments,
                was_opened: true,
                was_grown: scanned.was_grown,
                bytes_read: scanned.bytes_read,
                file,
            };
            Ok(filled(read, scanned.scan, scratch))
        }
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => {
            // It may be readable next time: its signature is kept unsure.
            file.is_unsure = true;
            file.state = State::Unreadable.name().to_owned();
            file.reason = Some(error.to_string());
            Ok(Read { was_opened: true, ..Read::unopened(file, vec![]) })
        }
    }
}

struct Scanned {
    scan: Scan,
    hash: u64,
    now: Stat,
    was_grown: bool,
    bytes_read: u64,
}

/// Opens a file once, for its headers, its ends and what it is then.
fn scanned(path: &Path, stat: &Stat, old: Option<Old>, scratch: &mut Scratch) -> Result<Scanned> {
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let mut source = Source::of(path, file, stat.size, std::mem::take(&mut scratch.buffer));
    let result = scan_open(&mut source, old, scratch);
    scratch.buffer = source.into_buffer();
    result
}

fn scan_open(source: &mut Source, old: Option<Old>, scratch: &mut Scratch) -> Result<Scanned> {
    // A pipe that took the place of the file since the walk has no size.
    if !source.metadata()?.is_file() {
        return Err(Error::data(source.path(), None, "it is no regular file any more".to_owned()));
    }
    let grown = match old {
        Some(old) => tail::scan_grown(source, old)?,
        None => None,
    };
    let was_grown = grown.is_some();
    let scan = match grown {
        Some(scan) => scan,
        None => waveform::scan_source(source, &mut scratch.records)?,
    };
    let hash = ends(source)?;
    let now = stat_of(&source.metadata()?);
    Ok(Scanned { scan, hash, now, was_grown, bytes_read: source.bytes_read() })
}

/// Moves what a scan says of the file into its row, and the memory of its records back.
fn filled(mut read: Read, scan: Scan, scratch: &mut Scratch) -> Read {
    let file = &mut read.file;
    file.format = scan.format.to_owned();
    file.state = scan.state.name().to_owned();
    file.reason = scan.reason;
    if file.reason.is_none() && scan.flags & flags::COARSE_TIME != 0 {
        file.reason = Some("coarse_time: one step of the f32 `b` is above 0.1 sample".to_owned());
    }
    file.bad_offset = scan.bad_offset;
    file.records = scan.records.len() as u64;
    file.bytes_skipped = scan.bytes_skipped;
    if scan.records.capacity() > scratch.records.capacity() {
        scratch.records = scan.records;
    }
    read
}

fn segment_rows(scan: &Scan, scratch: &mut Scratch) -> Result<Vec<SegmentRow>> {
    let Scratch { run, packer, .. } = scratch;
    let row = |mut segment: crate::index::time::Segment| {
        let stream = scan.streams.get(segment.stream as usize).cloned().unwrap_or_default();
        let map = packer.encode(records_of(&segment.records, scan, run))?;
        segment.records = vec![];
        Ok(SegmentRow { code: stream.code, source_id: stream.source_id, segment, map })
    };
    assemble(scan).into_iter().map(row).collect()
}

/// The records of these indices; where they stand together they are not copied.
fn records_of<'a>(indices: &[u32], scan: &'a Scan, run: &'a mut Vec<Record>) -> &'a [Record] {
    let first = indices.first().map_or(0, |i| *i as usize);
    if indices.iter().enumerate().all(|(i, index)| *index as usize == first + i) {
        return scan.records.get(first..first + indices.len()).unwrap_or_default();
    }
    run.clear();
    run.extend(indices.iter().filter_map(|&i| scan.records.get(i as usize)).copied());
    run
}
