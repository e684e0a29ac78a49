//! Reads one waveform file into the rows of the index.

use std::fs::{File, Metadata};
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::walk::{self, Entry};
use crate::error::{Error, Result};
use crate::format::waveform::{self, Scan, State, flags};
use crate::index::archive::{FileRow, SegmentRow};
use crate::index::time::{assemble, encode_records};
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
}

/// xxh3 of the first and the last block of a file.
pub fn signature_only(path: &Path) -> std::io::Result<u64> {
    ends(path).map(|(hash, _)| hash)
}

/// Hash of the ends of a file, and the metadata of the file that was opened.
fn ends(path: &Path) -> std::io::Result<(u64, Metadata)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let size = metadata.len();
    let mut hash = Xxh3::new();
    let mut block = vec![0; END_BYTES];
    for offset in [0, size.saturating_sub(END_BYTES as u64)] {
        let count = file.read_at(&mut block, offset)?;
        hash.update(&block[..count]);
    }
    Ok((hash.digest(), metadata))
}

/// Scans a file. Whatever is wrong with it is in its row; the rest of the archive goes on.
pub fn read_file(path: &Path, entry: &Entry, scan_ns: i64) -> Result<Read> {
    let mut file = FileRow {
        path: entry.path.clone(),
        size: entry.size,
        mtime_ns: entry.mtime_ns,
        ctime_ns: entry.ctime_ns,
        inode: entry.inode,
        is_unsure: entry.is_regular && entry.mtime_ns > scan_ns.saturating_sub(UNSURE_MTIME_NS),
        ..FileRow::default()
    };
    if !entry.is_regular {
        file.state = State::Other.name().to_owned();
        file.reason = Some("not a regular file: it is never opened".to_owned());
        return Ok(Read { file, segments: vec![], was_opened: false });
    }
    let scanned = waveform::scan(path).and_then(|scan| {
        let (hash, metadata) = ends(path).map_err(|e| Error::io("read", path, e))?;
        Ok((scan, hash, walk::entry(vec![], &metadata)))
    });
    match scanned {
        Ok((scan, hash, now)) => {
            file.hash = hash;
            // It was changed while it was read: the next refresh reads it again.
            file.is_unsure |=
                (now.size, now.mtime_ns, now.inode) != (entry.size, entry.mtime_ns, entry.inode);
            let segments = segment_rows(&scan)?;
            fill(&mut file, scan);
            Ok(Read { file, segments, was_opened: true })
        }
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => {
            // It may be readable next time: its signature is kept unsure.
            file.is_unsure = true;
            file.state = State::Unreadable.name().to_owned();
            file.reason = Some(error.to_string());
            Ok(Read { file, segments: vec![], was_opened: true })
        }
    }
}

fn fill(file: &mut FileRow, scan: Scan) {
    file.format = scan.format.to_owned();
    file.state = scan.state.name().to_owned();
    file.reason = scan.reason;
    if file.reason.is_none() && scan.flags & flags::COARSE_TIME != 0 {
        file.reason = Some("coarse_time: one step of the f32 `b` is above 0.1 sample".to_owned());
    }
    file.bad_offset = scan.bad_offset;
    file.records = scan.records.len() as u64;
    file.bytes_skipped = scan.bytes_skipped;
}

fn segment_rows(scan: &Scan) -> Result<Vec<SegmentRow>> {
    assemble(scan)
        .into_iter()
        .map(|segment| {
            let records: Vec<_> =
                segment.records.iter().filter_map(|&i| scan.records.get(i as usize)).copied().collect();
            let stream = scan.streams.get(segment.stream as usize).cloned().unwrap_or_default();
            let map = encode_records(&records)?;
            Ok(SegmentRow { code: stream.code, source_id: stream.source_id, segment, map })
        })
        .collect()
}
