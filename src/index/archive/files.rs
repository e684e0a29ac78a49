//! The files of a part, sorted by path: blocks of 128 rows of two zstd frames, what a refresh compares (path and
//! signature) and the rest; a directory with the first path of each block, and one byte a file for its state.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::FileRow;
use super::frame::{Packer, unpack};
use crate::error::{Error, Result};
use crate::index::columns::{
    put_columns, take_bytes, take_columns, take_varint, u32_at, u64_at, unzigzag, zigzag,
};
use crate::store::{Blob, SegmentMap, SegmentStream};

/// Rows of a block.
pub(super) const FILE_ROWS: usize = 128;
/// Bytes of a directory entry: u64 place, u32 bytes of either frame, u64 end of the first path.
const ENTRY_BYTES: usize = 8 + 4 + 4 + 8;

/// What tells whether a file changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Bytes.
    pub size: u64,
    /// Last change of the content, ns since 1970.
    pub mtime_ns: i64,
    /// Last change of the inode, ns since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// It is read again next time whatever the rest says.
    pub is_unsure: bool,
}

/// Texts that many rows share.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl Names {
    fn number(&mut self, name: &str, most: usize) -> Result<u64> {
        if let Some(known) = self.0.iter().position(|n| n == name) {
            return Ok(known as u64);
        }
        if self.0.len() >= most {
            return Err(Error::Limit {
                what: format!("the state or format `{name}` of a file"),
                limit: format!("{most} different ones"),
                help: "index the files as several sources".to_owned(),
            });
        }
        self.0.push(name.to_owned());
        Ok(self.0.len() as u64 - 1)
    }
}

/// Writes the files of a part in the order of their paths.
pub(super) struct FilesWriter {
    packer: Packer,
    block: Vec<FileRow>,
    entries: Vec<u8>,
    first_paths: Vec<u8>,
    states: Vec<u8>,
    state_names: Names,
    formats: Names,
}

impl FilesWriter {
    pub(super) fn new() -> Result<FilesWriter> {
        Ok(FilesWriter {
            packer: Packer::new()?,
            block: vec![],
            entries: vec![],
            first_paths: vec![],
            states: vec![],
            state_names: Names::default(),
            formats: Names::default(),
        })
    }

    /// Files so far.
    pub(super) fn count(&self) -> usize {
        self.states.len()
    }

    pub(super) fn push(&mut self, out: &mut SegmentStream<'_>, row: FileRow) -> Result<()> {
        self.states.push(self.state_names.number(&row.state, 256)? as u8);
        self.block.push(row);
        if self.block.len() == FILE_ROWS { self.flush(out) } else { Ok(()) }
    }

    pub(super) fn flush(&mut self, out: &mut SegmentStream<'_>) -> Result<()> {
        let Some(first) = self.block.first() else { return Ok(()) };
        self.first_paths.extend_from_slice(&first.path);
        let signatures = self.packer.pack(&signatures(&self.block))?;
        let mut formats = Vec::with_capacity(self.block.len());
        for row in &self.block {
            formats.push(self.formats.number(&row.format, 1 << 16)?);
        }
        let details = self.packer.pack(&details(&self.block, &formats))?;
        self.entries.extend_from_slice(&out.position().to_le_bytes());
        self.entries.extend_from_slice(&(signatures.len() as u32).to_le_bytes());
        self.entries.extend_from_slice(&(details.len() as u32).to_le_bytes());
        self.entries.extend_from_slice(&(self.first_paths.len() as u64).to_le_bytes());
        out.write(&signatures)?;
        out.write(&details)?;
        self.block.clear();
        Ok(())
    }

    /// The blobs that stand behind the blocks.
    pub(super) fn finish(self, out: &mut SegmentStream<'_>) -> Result<()> {
        out.blob("file_blocks", &self.entries)?;
        out.blob("file_paths", &self.first_paths)?;
        out.blob("states", &self.states)?;
        let names = serde_json::to_vec(&[&self.state_names.0, &self.formats.0]);
        let names = names.map_err(|e| Error::refused(e.to_string(), "index the files again"))?;
        out.blob("names", &names)
    }
}

fn signatures(rows: &[FileRow]) -> Vec<u8> {
    let mut columns = Vec::with_capacity(rows.len());
    let mut suffixes = vec![];
    let mut before = &FileRow::default();
    for row in rows {
        let shared = before.path.iter().zip(&row.path).take_while(|(a, b)| a == b).count();
        suffixes.extend_from_slice(&row.path[shared..]);
        columns.push([
            shared as u64,
            (row.path.len() - shared) as u64,
            zigzag(row.size.wrapping_sub(before.size)),
            zigzag((row.mtime_ns as u64).wrapping_sub(before.mtime_ns as u64)),
            zigzag((row.ctime_ns as u64).wrapping_sub(row.mtime_ns as u64)),
            zigzag(row.inode.wrapping_sub(before.inode)),
            u64::from(row.is_unsure),
        ]);
        before = row;
    }
    let mut bytes = vec![];
    put_columns(&mut bytes, &columns);
    bytes.append(&mut suffixes);
    bytes
}

fn details(rows: &[FileRow], formats: &[u64]) -> Vec<u8> {
    let columns: Vec<[u64; 6]> = rows
        .iter()
        .zip(formats)
        .map(|(row, format)| {
            [
                *format,
                row.reason.as_ref().map_or(0, |r| r.len() as u64 + 1),
                u64::from(row.bad_offset.is_some()),
                row.bad_offset.unwrap_or(0),
                row.records,
                row.bytes_skipped,
            ]
        })
        .collect();
    let mut bytes = vec![];
    put_columns(&mut bytes, &columns);
    rows.iter().for_each(|r| bytes.extend_from_slice(&r.hash.to_le_bytes()));
    rows.iter().filter_map(|r| r.reason.as_ref()).for_each(|r| bytes.extend_from_slice(r.as_bytes()));
    bytes
}

/// Paths and signatures of a block.
#[derive(Debug, Default)]
struct Listed {
    /// One behind the other.
    paths: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    signatures: Vec<Signature>,
}

impl Listed {
    fn path(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends.get(at - 1).copied().unwrap_or(0) };
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.paths.get(start..end).unwrap_or_default()
    }

    fn unpack(block: &[u8], count: usize) -> Option<Listed> {
        let content = unpack(block)?;
        let mut rest = content.as_slice();
        let columns = take_columns::<7>(&mut rest, count)?;
        let mut listed = Listed::default();
        let (mut start, mut length) = (0, 0);
        let mut before = Signature::default();
        for [shared, suffix, size, mtime, ctime, inode, is_unsure] in columns {
            let shared = usize::try_from(shared).ok().filter(|&s| s <= length)?;
            let suffix = take_bytes(&mut rest, suffix)?;
            listed.paths.extend_from_within(start..start + shared);
            listed.paths.extend_from_slice(suffix);
            start += length;
            length = shared + suffix.len();
            listed.ends.push(start + length);
            let mtime_ns = (before.mtime_ns as u64).wrapping_add(unzigzag(mtime));
            before = Signature {
                size: before.size.wrapping_add(unzigzag(size)),
                mtime_ns: mtime_ns as i64,
                ctime_ns: mtime_ns.wrapping_add(unzigzag(ctime)) as i64,
                inode: before.inode.wrapping_add(unzigzag(inode)),
                is_unsure: is_unsure != 0,
            };
            listed.signatures.push(before);
        }
        rest.is_empty().then_some(listed)
    }
}

/// What of a file's row is not in its signature.
#[derive(Debug)]
struct Detail {
    hash: u64,
    format: usize,
    reason: Option<String>,
    bad_offset: Option<u64>,
    records: u64,
    bytes_skipped: u64,
}

fn unpack_details(block: &[u8], count: usize) -> Option<Vec<Detail>> {
    let content = unpack(block)?;
    let mut rest = content.as_slice();
    let columns = take_columns::<6>(&mut rest, count)?;
    let hashes = take_bytes(&mut rest, count as u64 * 8)?;
    let mut details = Vec::with_capacity(count);
    for (at, [format, reason, has_bad, bad, records, bytes_skipped]) in columns.into_iter().enumerate() {
        let reason = match reason.checked_sub(1) {
            Some(bytes) => Some(std::str::from_utf8(take_bytes(&mut rest, bytes)?).ok()?.to_owned()),
            None => None,
        };
        let bad_offset = (has_bad != 0).then_some(bad);
        let (hash, format) = (u64_at(hashes, 8 * at)?, usize::try_from(format).ok()?);
        details.push(Detail { hash, format, reason, bad_offset, records, bytes_skipped });
    }
    rest.is_empty().then_some(details)
}

/// A block that was used last.
#[derive(Debug)]
struct Block {
    number: usize,
    listed: Listed,
    details: OnceLock<Vec<Detail>>,
}

/// The files of a mapped part.
#[derive(Debug)]
pub(super) struct Files {
    blocks: Blob,
    entries: Blob,
    first_paths: Blob,
    states: Blob,
    state_names: Vec<String>,
    formats: Vec<String>,
    count: usize,
    last: Mutex<Option<Arc<Block>>>,
}

impl Files {
    pub(super) fn open(map: &Arc<SegmentMap>, count: usize) -> Result<Files> {
        let names = map.lazy_blob("names")?;
        let [state_names, formats]: [Vec<String>; 2] = serde_json::from_slice(names.all()?)
            .map_err(|e| names.damaged(&format!("its names of states do not read: {e}")))?;
        let files = Files {
            blocks: map.lazy_blob("files")?,
            entries: map.lazy_blob("file_blocks")?,
            first_paths: map.lazy_blob("file_paths")?,
            states: map.lazy_blob("states")?,
            state_names,
            formats,
            count,
            last: Mutex::default(),
        };
        let blocks = count.div_ceil(FILE_ROWS).checked_mul(ENTRY_BYTES);
        if blocks != Some(files.entries.len()) || files.states.len() != count {
            return Err(files.blocks.damaged("it has another number of files than it says [I27]"));
        }
        Ok(files)
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn state(&self, file: u32) -> Result<&str> {
        let at = file as usize;
        let number = self.states.get(at..at.saturating_add(1))?.first().copied().unwrap_or(u8::MAX);
        let name = self.state_names.get(usize::from(number));
        name.map(String::as_str).ok_or_else(|| self.blocks.damaged("a state has no name [I27]"))
    }

    /// Rows of a block, and where its frames lie.
    fn entry(&self, number: usize) -> Result<(usize, [std::ops::Range<usize>; 2])> {
        let at = number.saturating_mul(ENTRY_BYTES);
        let entry = self.entries.get(at..at.saturating_add(ENTRY_BYTES))?;
        let place = u64_at(entry, 0).and_then(|p| usize::try_from(p).ok());
        let lengths = u32_at(entry, 8).zip(u32_at(entry, 12));
        let ranges = place.zip(lengths).and_then(|(place, (first, second))| {
            let middle = place.checked_add(first as usize)?;
            Some([place..middle, middle..middle.checked_add(second as usize)?])
        });
        let ranges = ranges.ok_or_else(|| self.blocks.damaged("a block of files lies outside [I27]"))?;
        Ok((FILE_ROWS.min(self.count.saturating_sub(number * FILE_ROWS)), ranges))
    }

    fn damaged(&self, number: usize) -> Error {
        self.blocks.damaged(&format!("block {number} of its files does not unpack [I27]"))
    }

    fn listed(&self, number: usize) -> Result<Listed> {
        let (count, [range, _]) = self.entry(number)?;
        Listed::unpack(self.blocks.get(range)?, count).ok_or_else(|| self.damaged(number))
    }

    fn details(&self, number: usize) -> Result<Vec<Detail>> {
        let (count, [_, range]) = self.entry(number)?;
        unpack_details(self.blocks.get(range)?, count).ok_or_else(|| self.damaged(number))
    }

    fn block(&self, file: u32) -> Result<Arc<Block>> {
        if file as usize >= self.count {
            return Err(self.blocks.damaged("a segment names a file that is not there [I27]"));
        }
        let number = file as usize / FILE_ROWS;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = last.as_ref().filter(|b| b.number == number) {
            return Ok(Arc::clone(block));
        }
        let block = Block { number, listed: self.listed(number)?, details: OnceLock::new() };
        Ok(Arc::clone(last.insert(Arc::new(block))))
    }

    pub(super) fn path(&self, file: u32) -> Result<Vec<u8>> {
        Ok(self.block(file)?.listed.path(file as usize % FILE_ROWS).to_vec())
    }

    pub(super) fn row(&self, file: u32) -> Result<FileRow> {
        let block = self.block(file)?;
        let details = match block.details.get() {
            Some(details) => details,
            None => {
                let details = self.details(block.number)?;
                block.details.get_or_init(|| details)
            }
        };
        self.row_of(file, &block.listed, details)
    }

    fn row_of(&self, file: u32, listed: &Listed, details: &[Detail]) -> Result<FileRow> {
        let at = file as usize % FILE_ROWS;
        let missing = || self.blocks.damaged("a file has no row or format [I27]");
        let (signature, detail) = listed.signatures.get(at).zip(details.get(at)).ok_or_else(missing)?;
        Ok(FileRow {
            path: listed.path(at).to_vec(),
            size: signature.size,
            mtime_ns: signature.mtime_ns,
            ctime_ns: signature.ctime_ns,
            inode: signature.inode,
            is_unsure: signature.is_unsure,
            hash: detail.hash,
            format: self.formats.get(detail.format).cloned().ok_or_else(missing)?,
            state: self.state(file)?.to_owned(),
            reason: detail.reason.clone(),
            bad_offset: detail.bad_offset,
            records: detail.records,
            bytes_skipped: detail.bytes_skipped,
        })
    }

    fn first_path(&self, number: usize) -> Result<&[u8]> {
        let end = |number: usize| -> Result<usize> {
            let at = number.saturating_mul(ENTRY_BYTES).saturating_add(16);
            let end = u64_at(self.entries.get(at..at.saturating_add(8))?, 0).unwrap_or(u64::MAX);
            Ok(usize::try_from(end).unwrap_or(usize::MAX))
        };
        let start = if number == 0 { 0 } else { end(number - 1)? };
        self.first_paths.get(start..end(number)?)
    }

    /// The first file whose path is not before `path`; the number of files where all are.
    pub(super) fn lower_bound(&self, path: &[u8]) -> Result<u32> {
        let (mut low, mut high) = (0, self.count.div_ceil(FILE_ROWS));
        while low < high {
            let middle = (low + high) / 2;
            if self.first_path(middle)? < path { low = middle + 1 } else { high = middle }
        }
        // in the block before, or the first of this one
        let Some(before) = low.checked_sub(1) else { return Ok(0) };
        let first = (before * FILE_ROWS) as u32;
        let block = self.block(first)?;
        let count = block.listed.ends.len();
        let at = (0..count).collect::<Vec<_>>().partition_point(|&i| block.listed.path(i) < path);
        Ok(first + at as u32)
    }

    /// A reader at a file; `count` is the end.
    pub(super) fn reader(&self, file: u32) -> Result<FileReader<'_>> {
        let mut reader =
            FileReader { files: self, listed: Listed::default(), details: vec![], file, number: usize::MAX };
        reader.load()?;
        Ok(reader)
    }
}

/// Files one after the other: some 10^7 a second.
#[derive(Debug)]
pub struct FileReader<'a> {
    files: &'a Files,
    listed: Listed,
    details: Vec<Detail>,
    file: u32,
    number: usize,
}

impl FileReader<'_> {
    fn load(&mut self) -> Result<()> {
        let number = self.file as usize / FILE_ROWS;
        if (self.file as usize) < self.files.count && number != self.number {
            self.listed = self.files.listed(number)?;
            self.details.clear();
            self.number = number;
        }
        Ok(())
    }

    /// Row, path and signature of the file that it stands at; `None` behind the last.
    pub fn current(&self) -> Option<(u32, &[u8], &Signature)> {
        let at = self.file as usize % FILE_ROWS;
        let is_there = (self.file as usize) < self.files.count;
        let signature = self.listed.signatures.get(at).filter(|_| is_there)?;
        Some((self.file, self.listed.path(at), signature))
    }

    /// Goes to the next file.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn advance(&mut self) -> Result<()> {
        self.file = self.file.saturating_add(1);
        self.load()
    }

    /// The whole row of the file that it stands at.
    ///
    /// # Errors
    /// `Damaged`; there is none behind the last.
    pub fn row(&mut self) -> Result<FileRow> {
        if self.details.is_empty() {
            self.details = self.files.details(self.file as usize / FILE_ROWS)?;
        }
        self.files.row_of(self.file, &self.listed, &self.details)
    }
}

/// Lists of dead files by part: names of parts with ascending rows.
pub(super) fn encode_dead(dead: &[(String, Vec<u32>)]) -> Vec<u8> {
    use crate::index::columns::put_varint;
    let mut bytes = vec![];
    for (part, rows) in dead {
        put_varint(&mut bytes, part.len() as u64);
        bytes.extend_from_slice(part.as_bytes());
        put_varint(&mut bytes, rows.len() as u64);
        let mut before = 0;
        for &row in rows {
            put_varint(&mut bytes, u64::from(row.wrapping_sub(before)));
            before = row;
        }
    }
    bytes
}

/// Calls with every part and row of [`encode_dead`]; `None` for bytes that are none.
pub(super) fn decode_dead(bytes: &[u8], mut with: impl FnMut(&str, u32)) -> Option<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = take_varint(&mut rest)?;
        let part = std::str::from_utf8(take_bytes(&mut rest, length)?).ok()?;
        let count = take_varint(&mut rest)?;
        let mut row = 0_u32;
        for _ in 0..count {
            row = row.wrapping_add(u32::try_from(take_varint(&mut rest)?).ok()?);
            with(part, row);
        }
    }
    Some(())
}

/// Reads a block as either of its kinds.
#[cfg(test)]
pub(super) fn fuzz_blocks(block: &[u8], count: usize) {
    if let Some(listed) = Listed::unpack(block, count) {
        assert!((0..count).all(|at| listed.path(at).len() <= listed.paths.len()));
    }
    let _ = unpack_details(block, count);
    let _ = decode_dead(block, |_, _| {});
}
