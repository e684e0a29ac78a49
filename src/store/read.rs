//! A segment file in memory: checked blocks, Arrow batches without copies, blobs, zone maps.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::types::{BinaryType, ByteArrayType, LargeBinaryType, LargeUtf8Type, Utf8Type};
use arrow_array::{Array, ArrayRef, NullArray, RecordBatchOptions, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, SchemaRef};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::limits::{BLOCK_BYTES, HEADER_BYTES};
use crate::model::table::{Batch, Schema};

use super::dir::{Access, Dir, at, open_if_there};
use super::map::{ByteColumn, Region};
use super::segment::{
    ALIGN_BYTES, ColumnEntry, Directory, Extent, Header, HeaderError, SEGMENT_VERSION, segment_number,
};
use super::snapshot::SegmentRef;
use super::types::{Layout, layout_of, schema_hash};
use super::zones::{ZONE_BYTES, ZONE_ROWS, ZoneMap};

/// A mapped segment. Batches and buffers taken from it keep the map alive; the file may be unlinked meanwhile.
pub struct SegmentMap {
    region: Arc<Region>,
    path: PathBuf,
    header: Header,
    checksum: u64,
    directory: Directory,
    schema: Schema,
    arrow: SchemaRef,
    columns: Vec<MappedColumn>,
    /// One bit a block: compared with the table.
    verified: Vec<AtomicU64>,
}

/// A column's buffers.
#[derive(Debug)]
struct MappedColumn {
    data_type: DataType,
    entry: ColumnEntry,
    validity: Option<Buffer>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Null,
    Bits(Buffer),
    Fixed(usize, Buffer),
    Bytes(ByteColumn),
}

/// A blob of a mapped segment.
#[derive(Clone, Debug)]
pub struct Blob {
    map: Arc<SegmentMap>,
    range: Range<usize>,
}

impl Blob {
    /// Its bytes.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Does it hold no byte?
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Some of its bytes, after their blocks were compared with their checksums.
    ///
    /// # Errors
    /// `Damaged` with the block, or when the bytes lie outside.
    pub fn get(&self, bytes: Range<usize>) -> Result<&[u8]> {
        if bytes.start > bytes.end || bytes.end > self.range.len() {
            return Err(self.damaged("a place lies outside its blob"));
        }
        let range = self.range.start + bytes.start..self.range.start + bytes.end;
        self.map.verify(range.clone())?;
        self.map.region.bytes().get(range).ok_or_else(|| self.map.outside())
    }

    /// All of its bytes.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn all(&self) -> Result<&[u8]> {
        self.get(0..self.len())
    }

    /// An error that names the file.
    pub fn damaged(&self, reason: &str) -> Error {
        self.map.damaged(reason)
    }
}

impl fmt::Debug for SegmentMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentMap").field("path", &self.path).field("rows", &self.rows()).finish()
    }
}

impl SegmentMap {
    /// Maps the segment of a reference and checks all but the body's blocks \[I17\] \[I18\] \[I20\].
    ///
    /// # Errors
    /// `Damaged`, `Version`, `Io`.
    pub fn open(dir: &dyn Dir, reference: &SegmentRef) -> Result<Arc<SegmentMap>> {
        let name = format!("segments/{}", reference.file);
        let path = dir.path().join(&name);
        let damaged =
            |reason: &str| Error::Damaged { path: path.clone(), block: None, reason: reason.to_owned() };
        if segment_number(&reference.file).is_none() {
            return Err(damaged("the catalogue names a file that cannot be a segment"));
        }
        let file = open_if_there(dir, &name, Access::Read)?.ok_or_else(|| damaged("it is missing"))?;
        let file_bytes = file.metadata().map_err(at(dir, "stat", &name))?.len();
        if file_bytes != reference.bytes {
            return Err(damaged("it has another length than the catalogue says [I17]"));
        }
        if file_bytes < HEADER_BYTES as u64 {
            return Err(damaged("it is shorter than a header page [I18]"));
        }
        let region = Region::map(&file).map_err(at(dir, "map", &name))?;
        let map = SegmentMap::from_region(region, path.clone())?;
        if map.checksum != reference.checksum || map.rows() as u64 != reference.rows {
            return Err(damaged("it is another segment than the catalogue means [I17]"));
        }
        Ok(Arc::new(map))
    }

    fn from_region(region: Arc<Region>, path: PathBuf) -> Result<SegmentMap> {
        let damaged =
            |reason: &str| Error::Damaged { path: path.clone(), block: None, reason: reason.to_owned() };
        let bytes = region.bytes();
        let page =
            bytes.get(..HEADER_BYTES).ok_or_else(|| damaged("it is shorter than a header page [I18]"))?;
        let (header, checksum) = Header::decode(page, bytes.len() as u64).map_err(|e| match e {
            HeaderError::Version(found) => {
                Error::Version { path: path.clone(), found, supported: SEGMENT_VERSION }
            }
            HeaderError::Damaged(reason) => damaged(reason),
        })?;
        // `Header::decode` has compared every length with the file's, so these fit and are in range.
        if xxh3_64(&bytes[header.table_offset as usize..]) != header.table_checksum {
            return Err(damaged("the table of block checksums does not agree with its checksum [I18]"));
        }
        let verified = (0..header.blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let mut map = SegmentMap {
            region,
            path: path.clone(),
            header,
            checksum,
            directory: Directory::default(),
            schema: Schema::default(),
            arrow: Schema::default().arrow(),
            columns: Vec::new(),
            verified,
        };
        map.directory = map.read_directory()?;
        map.open_columns()?;
        Ok(map)
    }

    fn read_directory(&self) -> Result<Directory> {
        let extent = self.header.directory;
        let range = extent.offset as usize..(extent.offset + extent.bytes) as usize;
        self.verify(range.clone())?;
        let bytes = &self.region.bytes()[range];
        let directory = rkyv::from_bytes::<Directory, rkyv::rancor::Error>(bytes)
            .map_err(|_| self.damaged("its directory is not an archive"))?;
        if directory.rows != self.header.rows || directory.kind != self.header.kind {
            return Err(self.damaged("header and directory do not agree"));
        }
        for blob in &directory.blobs {
            self.range(blob.extent)?;
        }
        Ok(directory)
    }

    fn open_columns(&mut self) -> Result<()> {
        let entries = std::mem::take(&mut self.directory.columns);
        for entry in entries {
            let column = entry.column.column();
            let column = column.ok_or_else(|| self.damaged("a column has a type that is not known"))?;
            self.columns.push(self.open_column(column.data_type.clone(), entry)?);
            self.schema.columns.push(column);
        }
        if schema_hash(&self.schema) != self.header.schema_hash {
            return Err(self.damaged("its columns do not agree with the schema hash"));
        }
        self.arrow = self.schema.arrow();
        Ok(())
    }

    fn open_column(&self, data_type: DataType, entry: ColumnEntry) -> Result<MappedColumn> {
        let rows = self.rows();
        let sized = |extent: Extent, bytes: Option<usize>| match bytes {
            Some(bytes) if bytes as u64 == extent.bytes => self.buffer(extent),
            _ => Err(self.damaged("a column has another length than its rows need [I21]")),
        };
        let values = match layout_of(&data_type) {
            Layout::Null => Values::Null,
            Layout::Bits => Values::Bits(sized(entry.values, Some(rows.div_ceil(8)))?),
            Layout::Fixed(width) => Values::Fixed(width, sized(entry.values, rows.checked_mul(width))?),
            Layout::Bytes { offset_bytes, is_text } => {
                let buffers = (self.buffer(entry.offsets)?, self.buffer(entry.values)?);
                let column = match offset_bytes {
                    4 => ByteColumn::new::<i32>(buffers, rows, is_text),
                    _ => ByteColumn::new::<i64>(buffers, rows, is_text),
                };
                Values::Bytes(
                    column.ok_or_else(|| self.damaged("a column has too few or many offsets [I21]"))?,
                )
            }
        };
        let has_validity = entry.validity != Extent::default();
        let validity = has_validity.then(|| sized(entry.validity, Some(rows.div_ceil(8)))).transpose()?;
        if entry.zones != Extent::default() {
            let bytes = rows.div_ceil(ZONE_ROWS).checked_mul(ZONE_BYTES);
            sized(entry.zones, bytes)?;
        }
        Ok(MappedColumn { data_type, entry, validity, values })
    }

    /// Where the file was when it was opened: for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `rows`, `tree`, ...
    pub fn kind(&self) -> &str {
        &self.header.kind
    }

    /// Rows of the batch part.
    pub fn rows(&self) -> usize {
        self.header.rows as usize
    }

    /// Columns of the batch part.
    pub fn schema(&self) -> Schema {
        self.schema.clone()
    }

    /// Properties, as given to the builder.
    pub fn properties(&self) -> BTreeMap<String, String> {
        self.directory.properties.iter().cloned().collect()
    }

    /// Rows `range` of some columns, in that order, as Arrow arrays over the map.
    ///
    /// # Errors
    /// `Damaged` with the block; `Refused` when there is no such column or row.
    pub fn batch(&self, columns: &[usize], range: Range<usize>) -> Result<Batch> {
        let missing = || Error::Refused {
            message: format!("{} has no such rows or columns", self.path.display()),
            help: None,
        };
        if range.start > range.end || range.end > self.rows() {
            return Err(missing());
        }
        let arrays = columns.iter().map(|&c| {
            let column = self.columns.get(c).ok_or_else(missing)?;
            self.array(column, range.clone())
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let schema = self.arrow.project(columns).map_err(|_| missing())?;
        let options = RecordBatchOptions::new().with_row_count(Some(range.len()));
        Batch::try_new_with_options(Arc::new(schema), arrays, &options)
            .map_err(|e| self.damaged(&e.to_string()))
    }

    /// All rows and columns.
    ///
    /// # Errors
    /// As [`Self::batch`].
    pub fn all(&self) -> Result<Batch> {
        let columns: Vec<usize> = (0..self.columns.len()).collect();
        self.batch(&columns, 0..self.rows())
    }

    fn array(&self, column: &MappedColumn, rows: Range<usize>) -> Result<ArrayRef> {
        let bits = rows.start / 8..rows.end.div_ceil(8);
        let nulls = match &column.validity {
            Some(buffer) => {
                self.verify_in(column.entry.validity, bits.clone())?;
                Some(NullBuffer::new(BooleanBuffer::new(buffer.clone(), rows.start, rows.len())))
            }
            None => None,
        };
        let builder = ArrayData::builder(column.data_type.clone()).len(rows.len()).nulls(nulls.clone());
        let data = match &column.values {
            Values::Null => return Ok(Arc::new(NullArray::new(rows.len()))),
            Values::Bits(buffer) => {
                self.verify_in(column.entry.values, bits)?;
                let values = BooleanBuffer::new(buffer.clone(), rows.start, rows.len());
                return Ok(Arc::new(arrow_array::BooleanArray::new(values, nulls)));
            }
            Values::Fixed(width, buffer) => {
                let bytes = rows.start * width..rows.end * width;
                self.verify_in(column.entry.values, bytes.clone())?;
                builder.add_buffer(buffer.slice_with_length(bytes.start, bytes.len()))
            }
            Values::Bytes(bytes) => {
                return match column.data_type {
                    DataType::Utf8 => self.byte_array::<Utf8Type>(column, bytes, rows, nulls),
                    DataType::LargeUtf8 => self.byte_array::<LargeUtf8Type>(column, bytes, rows, nulls),
                    DataType::Binary => self.byte_array::<BinaryType>(column, bytes, rows, nulls),
                    _ => self.byte_array::<LargeBinaryType>(column, bytes, rows, nulls),
                };
            }
        };
        Ok(make_array(data.build().map_err(|e| self.damaged(&e.to_string()))?))
    }

    fn byte_array<T: ByteArrayType>(
        &self,
        column: &MappedColumn,
        bytes: &ByteColumn,
        rows: Range<usize>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef> {
        self.verify_in(column.entry.offsets, bytes.offset_bytes::<T::Offset>(&rows))?;
        let verify = |range| self.verify_in(column.entry.values, range);
        let array = bytes.array::<T, Error>(rows, nulls, verify, |reason| self.damaged(reason))?;
        Ok(Arc::new(array))
    }

    /// A blob, at a multiple of 64.
    ///
    /// # Errors
    /// `Damaged` with the block, or when there is no blob of that name.
    pub fn blob(&self, name: &str) -> Result<&[u8]> {
        let range = self.blob_range(name)?;
        self.region.bytes().get(range).ok_or_else(|| self.outside())
    }

    /// A blob as a buffer that keeps the map alive.
    ///
    /// # Errors
    /// As [`Self::blob`].
    pub fn blob_buffer(&self, name: &str) -> Result<Buffer> {
        let range = self.blob_range(name)?;
        self.region.buffer(range).ok_or_else(|| self.outside())
    }

    /// A blob whose blocks are checked as they are used.
    ///
    /// # Errors
    /// `Damaged` when there is no blob of that name.
    pub fn lazy_blob(self: &Arc<Self>, name: &str) -> Result<Blob> {
        Ok(Blob { map: Arc::clone(self), range: self.extent_of(name)? })
    }

    fn blob_range(&self, name: &str) -> Result<Range<usize>> {
        let range = self.extent_of(name)?;
        self.verify(range.clone())?;
        Ok(range)
    }

    fn extent_of(&self, name: &str) -> Result<Range<usize>> {
        let blob = self.directory.blobs.iter().find(|b| b.name == name);
        let blob = blob.ok_or_else(|| self.damaged(&format!("it has no blob `{name}`")))?;
        self.range(blob.extent)
    }

    /// The zone map of a column; `None` for types without.
    ///
    /// # Errors
    /// `Damaged` with the block.
    pub fn zones(&self, column: usize) -> Result<Option<ZoneMap>> {
        let Some(column) = self.columns.get(column).filter(|c| c.entry.zones != Extent::default()) else {
            return Ok(None);
        };
        let range = self.range(column.entry.zones)?;
        self.verify(range.clone())?;
        let zones = ZoneMap::decode(&column.data_type, &self.region.bytes()[range]);
        zones.ok_or_else(|| self.damaged("a zone map has a broken length")).map(Some)
    }

    /// Compares every block and checks every text column: one error for each fault.
    pub fn check(&self) -> Vec<Error> {
        let body = HEADER_BYTES..self.header.table_offset as usize;
        let mut faults: Vec<Error> = body
            .clone()
            .step_by(BLOCK_BYTES)
            .filter_map(|start| self.verify(start..(start + BLOCK_BYTES).min(body.end)).err())
            .collect();
        if faults.is_empty() {
            faults.extend(self.columns.iter().filter_map(|column| {
                let array = self.array(column, 0..self.rows());
                let nulls = array.as_ref().map_or(0, |a| a.null_count() as u64);
                let wrong = column.validity.is_some() && nulls != column.entry.null_count;
                array.err().or_else(|| wrong.then(|| self.damaged("a count of NULLs is wrong [I21]")))
            }));
        }
        faults
    }

    /// Number of blocks.
    pub fn blocks(&self) -> u64 {
        self.header.blocks
    }

    /// Bytes of the file.
    pub fn file_bytes(&self) -> u64 {
        self.header.file_bytes
    }

    /// The extent as a range, if it obeys \[I20\].
    fn range(&self, extent: Extent) -> Result<Range<usize>> {
        let end = extent.offset.checked_add(extent.bytes);
        let is_within = extent.offset >= HEADER_BYTES as u64
            && extent.offset.is_multiple_of(ALIGN_BYTES as u64)
            && end.is_some_and(|e| e <= self.header.directory.offset);
        match end {
            Some(end) if is_within => Ok(extent.offset as usize..end as usize),
            _ => Err(self.outside()),
        }
    }

    fn buffer(&self, extent: Extent) -> Result<Buffer> {
        let range = self.range(extent)?;
        self.region.buffer(range).ok_or_else(|| self.outside())
    }

    fn verify_in(&self, extent: Extent, bytes: Range<usize>) -> Result<()> {
        let start = extent.offset as usize;
        self.verify(start + bytes.start..start + bytes.end)
    }

    /// Compares the blocks of these bytes of the file with the table, those that have not been \[I19\].
    fn verify(&self, bytes: Range<usize>) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let table_offset = self.header.table_offset as usize;
        if bytes.start < HEADER_BYTES || bytes.end > table_offset {
            return Err(self.outside());
        }
        let file = self.region.bytes();
        let first = (bytes.start - HEADER_BYTES) / BLOCK_BYTES;
        let last = (bytes.end - 1 - HEADER_BYTES) / BLOCK_BYTES;
        for block in first..=last {
            let (word, bit) = (&self.verified[block / 64], 1_u64 << (block % 64));
            if word.load(Ordering::Relaxed) & bit != 0 {
                continue;
            }
            let start = HEADER_BYTES + block * BLOCK_BYTES;
            let found = xxh3_64(&file[start..(start + BLOCK_BYTES).min(table_offset)]);
            if found.to_le_bytes() != file[table_offset + 8 * block..table_offset + 8 * block + 8] {
                return Err(Error::Damaged {
                    path: self.path.clone(),
                    block: Some(block as u64),
                    reason: "its bytes do not agree with their checksum [I19]".to_owned(),
                });
            }
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(())
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::Damaged { path: self.path.clone(), block: None, reason: reason.to_owned() }
    }

    fn outside(&self) -> Error {
        self.damaged("an extent lies outside the body [I20]")
    }
}
