//! The segment file: header page and directory (docs/disk-format.md, *Segment files*), and how one is built and
//! written. Reading is in `read.rs`.

use std::collections::BTreeMap;
use std::fs::File;

use arrow_array::{Array, ArrayRef};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use rkyv::{Archive, Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::limits::{BLOCK_BYTES, COLUMNS, HEADER_BYTES};
use crate::model::table::{Batch, Schema};

use super::dir::{Access, Dir, at};
use super::snapshot::SegmentRef;
use super::types::{ColumnRecord, Layout, layout_of, schema_hash};
use super::zones::zones;

/// Format version of segment files.
pub(super) const SEGMENT_VERSION: u32 = 1;
/// Buffers start at multiples of this.
pub(super) const ALIGN_BYTES: usize = 64;
/// Longest kind of a segment, in bytes.
pub(super) const KIND_BYTES: usize = 32;
/// Bytes that are collected before they are written.
const WRITE_BYTES: usize = 16 * BLOCK_BYTES;

const MAGIC: [u8; 8] = *b"SQKSEG\r\n";
const HEADER_CHECKSUM: usize = HEADER_BYTES - 8;

/// Bytes of the file; 0, 0 when absent.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// Where a column lies.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(super) struct ColumnEntry {
    pub(super) column: ColumnRecord,
    pub(super) null_count: u64,
    pub(super) validity: Extent,
    pub(super) offsets: Extent,
    pub(super) values: Extent,
    pub(super) zones: Extent,
}

/// Where a blob lies.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(super) struct BlobEntry {
    pub(super) name: String,
    pub(super) extent: Extent,
}

/// What is in the body.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub(super) struct Directory {
    pub(super) kind: String,
    pub(super) rows: u64,
    pub(super) properties: Vec<(String, String)>,
    pub(super) columns: Vec<ColumnEntry>,
    pub(super) blobs: Vec<BlobEntry>,
}

/// The header page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    pub(super) schema_hash: u64,
    pub(super) rows: u64,
    pub(super) file_bytes: u64,
    pub(super) table_offset: u64,
    pub(super) directory: Extent,
    pub(super) blocks: u64,
    pub(super) table_checksum: u64,
    pub(super) kind: String,
}

/// Why a header is not one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum HeaderError {
    /// Another format version.
    Version(u32),
    /// What does not agree.
    Damaged(&'static str),
}

/// A number of an 8-byte field; `bytes` must reach that far.
fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[offset + i]))
}

impl Header {
    /// The page and its checksum, which is the checksum of the whole segment \[I17\].
    pub(super) fn encode(&self) -> (Vec<u8>, u64) {
        let mut page = vec![0; HEADER_BYTES];
        page[..8].copy_from_slice(&MAGIC);
        page[8..12].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
        page[12..16].copy_from_slice(&(BLOCK_BYTES as u32).to_le_bytes());
        let fields = [
            self.schema_hash,
            self.rows,
            self.file_bytes,
            self.table_offset,
            self.directory.offset,
            self.directory.bytes,
            self.blocks,
            self.table_checksum,
        ];
        for (i, field) in fields.iter().enumerate() {
            page[16 + 8 * i..24 + 8 * i].copy_from_slice(&field.to_le_bytes());
        }
        page[80..80 + self.kind.len()].copy_from_slice(self.kind.as_bytes());
        let checksum = xxh3_64(&page[..HEADER_CHECKSUM]);
        page[HEADER_CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        (page, checksum)
    }

    /// Reads a page of a file of `file_bytes` and checks all it says against that length \[I18\].
    pub(super) fn decode(page: &[u8], file_bytes: u64) -> Result<(Header, u64), HeaderError> {
        let damaged = HeaderError::Damaged;
        if page.len() != HEADER_BYTES || page[..8] != MAGIC {
            return Err(damaged("it does not begin as a segment file [I18]"));
        }
        match u32::from_le_bytes(std::array::from_fn(|i| page[8 + i])) {
            SEGMENT_VERSION => {}
            other => return Err(HeaderError::Version(other)),
        }
        let checksum = u64_at(page, HEADER_CHECKSUM);
        if xxh3_64(&page[..HEADER_CHECKSUM]) != checksum {
            return Err(damaged("the header page does not agree with its checksum [I18]"));
        }
        if page[12..16] != (BLOCK_BYTES as u32).to_le_bytes() {
            return Err(damaged("its blocks have another size [I18]"));
        }
        let field = |i: usize| u64_at(page, 16 + 8 * i);
        let kind = page[80..80 + KIND_BYTES].split(|b| *b == 0).next().unwrap_or_default();
        let header = Header {
            schema_hash: field(0),
            rows: field(1),
            file_bytes: field(2),
            table_offset: field(3),
            directory: Extent { offset: field(4), bytes: field(5) },
            blocks: field(6),
            table_checksum: field(7),
            kind: String::from_utf8_lossy(kind).into_owned(),
        };
        if header.file_bytes != file_bytes {
            return Err(damaged("the file has another length than its header says [I18]"));
        }
        if !header.is_consistent() {
            return Err(damaged("the lengths in the header do not fit together [I18]"));
        }
        Ok((header, checksum))
    }

    fn is_consistent(&self) -> bool {
        let body = self.table_offset.checked_sub(HEADER_BYTES as u64);
        let blocks = body.map(|b| b.div_ceil(BLOCK_BYTES as u64));
        let end = self.blocks.checked_mul(8).and_then(|t| t.checked_add(self.table_offset));
        let directory_end = self.directory.offset.checked_add(self.directory.bytes);
        blocks == Some(self.blocks)
            && end == Some(self.file_bytes)
            && directory_end.is_some_and(|e| e <= self.table_offset)
            && self.directory.offset >= HEADER_BYTES as u64
            && self.directory.offset.is_multiple_of(ALIGN_BYTES as u64)
    }
}

/// May a segment be called so? The kind becomes a part of the file's name.
pub(super) fn is_kind(kind: &str) -> bool {
    (1..=KIND_BYTES).contains(&kind.len())
        && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The file name of a segment.
pub(super) fn segment_file(number: u64, kind: &str) -> String {
    format!("{number:012}-{kind}.seg")
}

/// Number of a segment file, or of its unfinished form; `None` for names that are not ours.
pub(super) fn segment_number(file: &str) -> Option<u64> {
    let stem = file.strip_suffix(".tmp").unwrap_or(file).strip_suffix(".seg")?;
    let (digits, kind) = stem.split_once('-')?;
    let is_number = digits.len() >= 12 && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number && is_kind(kind) { digits.parse().ok() } else { None }
}

/// A segment in the making: rows, named blobs and properties.
#[derive(Debug)]
pub struct SegmentBuilder {
    kind: String,
    batches: Vec<Batch>,
    blobs: Vec<(String, Buffer)>,
    properties: BTreeMap<String, String>,
}

impl SegmentBuilder {
    /// An empty segment of that kind (1-32 of `a-z 0-9 _`): `rows`, `tree`, `tombstones`.
    pub fn new(kind: &str) -> Self {
        SegmentBuilder {
            kind: kind.to_owned(),
            batches: Vec::new(),
            blobs: Vec::new(),
            properties: BTreeMap::new(),
        }
    }

    /// Appends rows; all batches of a segment have the same columns.
    #[must_use]
    pub fn batch(mut self, batch: &Batch) -> Self {
        self.batches.push(batch.clone());
        self
    }

    /// Adds bytes that are mapped as they are, starting at a multiple of 64 (a k-d tree, record maps).
    #[must_use]
    pub fn blob(mut self, name: &str, bytes: impl Into<Buffer>) -> Self {
        self.blobs.push((name.to_owned(), bytes.into()));
        self
    }

    /// Adds a property, which is in the segment and in its reference.
    #[must_use]
    pub fn property(mut self, key: &str, value: impl Into<String>) -> Self {
        self.properties.insert(key.to_owned(), value.into());
        self
    }

    /// As given to `new`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Writes and syncs `segments/file.tmp` and renames it to `segments/file`.
    pub(super) fn write(self, dir: &dyn Dir, file: &str) -> Result<SegmentRef> {
        if !is_kind(&self.kind) {
            return Err(Error::refused(
                format!("`{}` cannot be the kind of a segment", self.kind),
                "use 1-32 characters of a-z, 0-9 and _",
            ));
        }
        let name = format!("segments/{file}");
        let unfinished = format!("{name}.tmp");
        let batch = match self.batches.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            many => Some(
                arrow_select::concat::concat_batches(&many[0].schema(), many)
                    .map_err(|e| Error::refused(e.to_string(), "all rows of a segment have one schema"))?,
            ),
        };
        let mut out = BlockWriter::create(dir, &unfinished)?;
        let mut directory = Directory {
            kind: self.kind.clone(),
            rows: batch.as_ref().map_or(0, |b| b.num_rows() as u64),
            properties: self.properties.clone().into_iter().collect(),
            ..Directory::default()
        };
        let mut schema = Schema::default();
        if let Some(batch) = &batch {
            schema = Schema::from_arrow(&batch.schema());
            directory.columns = write_columns(&mut out, &schema, batch)?;
        }
        for (name, bytes) in &self.blobs {
            directory.blobs.push(BlobEntry { name: name.clone(), extent: out.buffer(bytes)? });
        }
        let (file_bytes, checksum) = out.finish(&directory, schema_hash(&schema))?;
        dir.rename(&unfinished, &name).map_err(at(dir, "rename", &unfinished))?;
        Ok(SegmentRef {
            file: file.to_owned(),
            role: self.kind,
            source: String::new(),
            rows: directory.rows,
            bytes: file_bytes,
            checksum,
            properties: self.properties,
        })
    }
}

fn write_columns(out: &mut BlockWriter<'_>, schema: &Schema, batch: &Batch) -> Result<Vec<ColumnEntry>> {
    if schema.columns.len() > COLUMNS {
        return Err(Error::Limit {
            what: format!("a table of {} columns", schema.columns.len()),
            limit: format!("{COLUMNS} columns"),
            help: "leave out columns, or split the table".to_owned(),
        });
    }
    let entries = schema.columns.iter().zip(batch.columns()).map(|(column, array)| {
        let record = ColumnRecord::of(column).ok_or_else(|| {
            let message =
                format!("column `{}` has type {}, which is not stored", column.name, column.data_type);
            Error::refused(message, "cast it to a number, text, time, duration or bytes")
        })?;
        write_column(out, record, array)
    });
    entries.collect()
}

fn write_column(out: &mut BlockWriter<'_>, column: ColumnRecord, array: &ArrayRef) -> Result<ColumnEntry> {
    let data = array.to_data();
    let mut entry = ColumnEntry {
        column,
        null_count: 0,
        validity: Extent::default(),
        offsets: Extent::default(),
        values: Extent::default(),
        zones: Extent::default(),
    };
    if let Some(nulls) = array.nulls().filter(|n| n.null_count() > 0) {
        entry.null_count = nulls.null_count() as u64;
        entry.validity = out.buffer(&nulls.inner().sliced())?;
    }
    let rows = data.offset()..data.offset() + data.len();
    match layout_of(array.data_type()) {
        Layout::Null => {}
        Layout::Bits => entry.values = out.buffer(&data.buffers()[0].bit_slice(rows.start, rows.len()))?,
        Layout::Fixed(width) => {
            entry.values = out.buffer(&data.buffers()[0].as_slice()[rows.start * width..rows.end * width])?;
        }
        Layout::Bytes { offset_bytes: 4, .. } => {
            let (offsets, values) = rebased::<i32>(&data);
            entry.offsets = out.buffer(&offsets)?;
            entry.values = out.buffer(&values)?;
        }
        Layout::Bytes { .. } => {
            let (offsets, values) = rebased::<i64>(&data);
            entry.offsets = out.buffer(&offsets)?;
            entry.values = out.buffer(&values)?;
        }
    }
    if let Some(map) = zones(array) {
        entry.zones = out.buffer(&map.encode())?;
    }
    Ok(entry)
}

/// Offsets that begin at 0, and the values between the first and the last.
fn rebased<O: arrow_array::OffsetSizeTrait>(data: &ArrayData) -> (Buffer, Buffer) {
    if data.is_empty() {
        return (Buffer::from_vec(vec![O::zero()]), Buffer::from_vec(Vec::<u8>::new()));
    }
    let offsets = &data.buffers()[0].typed_data::<O>()[data.offset()..=data.offset() + data.len()];
    let (first, last) = (offsets[0], offsets[data.len()]);
    let moved: Vec<O> = offsets.iter().map(|o| *o - first).collect();
    let values = data.buffers()[1].slice_with_length(first.as_usize(), last.as_usize() - first.as_usize());
    (Buffer::from_vec(moved), values)
}

/// Writes a body and remembers the checksum of each block.
#[derive(Debug)]
pub(super) struct BlockWriter<'a> {
    dir: &'a dyn Dir,
    name: String,
    file: File,
    /// Bytes from `written` on; a whole number of blocks leaves when there are enough.
    pending: Vec<u8>,
    written: u64,
    table: Vec<u8>,
}

impl<'a> BlockWriter<'a> {
    pub(super) fn create(dir: &'a dyn Dir, name: &str) -> Result<Self> {
        super::dir::unlink_if_there(dir, name)?;
        let file = dir.open(name, Access::Create).map_err(at(dir, "create", name))?;
        let written = HEADER_BYTES as u64;
        let name = name.to_owned();
        Ok(BlockWriter { dir, name, file, pending: Vec::new(), written, table: Vec::new() })
    }

    /// Where the next byte will stand.
    pub(super) fn position(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    /// Writes bytes at the next multiple of 64.
    fn buffer(&mut self, bytes: &[u8]) -> Result<Extent> {
        let extent = Extent { offset: self.begin()?, bytes: bytes.len() as u64 };
        self.write(bytes)?;
        Ok(extent)
    }

    /// Goes to the next multiple of 64.
    pub(super) fn begin(&mut self) -> Result<u64> {
        self.align(ALIGN_BYTES)?;
        Ok(self.position())
    }

    /// Writes bytes where the last ones end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for chunk in bytes.chunks(WRITE_BYTES) {
            self.pending.extend_from_slice(chunk);
            self.flush(false)?;
        }
        Ok(())
    }

    fn align(&mut self, to: usize) -> Result<()> {
        // `written` is a whole number of blocks behind the header page, so only what is pending counts
        self.pending.resize(self.pending.len().next_multiple_of(to), 0);
        self.flush(false)
    }

    fn flush(&mut self, is_last: bool) -> Result<()> {
        let whole = match is_last {
            true => self.pending.len(),
            false if self.pending.len() >= WRITE_BYTES => self.pending.len() / BLOCK_BYTES * BLOCK_BYTES,
            false => return Ok(()),
        };
        for block in self.pending[..whole].chunks(BLOCK_BYTES) {
            self.table.extend_from_slice(&xxh3_64(block).to_le_bytes());
        }
        self.write_at(self.written, &self.pending[..whole])?;
        self.pending.drain(..whole);
        self.written += whole as u64;
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.dir.write_at(&self.file, bytes, offset).map_err(at(self.dir, "write", &self.name))
    }

    /// Directory, block table, header page, sync. Returns the length of the file and its checksum.
    pub(super) fn finish(mut self, directory: &Directory, schema_hash: u64) -> Result<(u64, u64)> {
        let archive = rkyv::to_bytes::<rkyv::rancor::Error>(directory)
            .map_err(|e| Error::refused(e.to_string(), "the directory of a segment must fit in 2 GiB"))?;
        let extent = self.buffer(&archive)?;
        self.align(8)?;
        self.flush(true)?;
        let file_bytes = self.written + self.table.len() as u64;
        let header = Header {
            schema_hash,
            rows: directory.rows,
            file_bytes,
            table_offset: self.written,
            directory: extent,
            blocks: self.table.len() as u64 / 8,
            table_checksum: xxh3_64(&self.table),
            kind: directory.kind.clone(),
        };
        let (page, checksum) = header.encode();
        self.write_at(self.written, &self.table)?;
        self.write_at(0, &page)?;
        self.dir.sync(&self.file).map_err(at(self.dir, "sync", &self.name))?;
        Ok((file_bytes, checksum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_goes_both_ways_and_refuses() {
        let header = Header {
            schema_hash: 1,
            rows: 2,
            file_bytes: 4096 + 128 + 8,
            table_offset: 4096 + 128,
            directory: Extent { offset: 4096, bytes: 100 },
            blocks: 1,
            table_checksum: 3,
            kind: "rows".to_owned(),
        };
        let (page, checksum) = header.encode();
        assert_eq!(Header::decode(&page, 4232), Ok((header.clone(), checksum)));
        assert!(matches!(Header::decode(&page, 4233), Err(HeaderError::Damaged(_))));
        assert!(matches!(Header::decode(&page[1..], 4232), Err(HeaderError::Damaged(_))));
        for i in 0..HEADER_BYTES {
            let mut bad = page.clone();
            bad[i] ^= 1;
            assert!(Header::decode(&bad, 4232).is_err(), "byte {i}");
        }
        let forged = [
            Header { blocks: 2, ..header.clone() },
            Header { table_offset: 0, ..header.clone() },
            Header { directory: Extent { offset: u64::MAX - 63, bytes: 100 }, ..header.clone() },
            Header { directory: Extent { offset: 4096, bytes: 129 }, ..header.clone() },
            Header { blocks: u64::MAX, ..header },
        ];
        for header in forged {
            assert!(Header::decode(&header.encode().0, 4232).is_err(), "{header:?}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(segment_file(7, "rows"), "000000000007-rows.seg");
        let cases = [
            ("000000000007-rows.seg", Some(7)),
            ("000000000007-rows.seg.tmp", Some(7)),
            ("7-rows.seg", None),
            ("000000000007-../x.seg", None),
            ("notes.txt", None),
        ];
        for (name, want) in cases {
            assert_eq!(segment_number(name), want, "{name}");
        }
    }
}
