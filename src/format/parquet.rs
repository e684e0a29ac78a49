//! Apache Parquet, in and out, over the parquet crate.
//!
//! What columns become (the file's own bits wherever the language has the type):
//! - INT: signed integers and unsigned ones up to 32 bits keep their width; uint64 is INT unless a value is above
//!   2^63-1, then the whole column is TEXT; a decimal without fraction of up to 18 digits is INT.
//! - FLOAT: float32, float64, float16 (widened to 32 bits), decimals of up to 15 digits (all of them are f64);
//!   longer decimals are TEXT, digit for digit. NaN and infinities are NULL.
//! - TIME: dates and timestamps of every unit, as ns; what does not fit is NULL and counted. A timestamp without
//!   time zone is taken as UTC. A time of day or a duration is DURATION.
//! - TEXT: strings, also large, view and dictionary ones. Binary columns are TEXT where every value is UTF-8
//!   without control characters, else the whole column is hexadecimal digits.
//! - Lists, structs, maps and intervals have no type here: they are skipped by name.
//!
//! Units, UCDs and descriptions come from the fields' metadata (`unit`, `ucd`, `description`) and from astropy's
//! `table_meta_yaml`, and are written back as field metadata.

mod convert;
mod page;
mod write;

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use ::parquet::basic::Type as Physical;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetStatisticsPolicy};
use ::parquet::file::statistics::Statistics;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Schema as ArrowSchema, TimeUnit};

pub use self::write::{ROW_GROUP_ROWS, Writer, ZSTD_LEVEL};

use self::convert::{Convert, bytes_at, convert, convert_of, is_plain, rows_that_fit};
use crate::error::{DataError, Error, Result};
use crate::format::table::{self, BATCH_TEXT_BYTES, Skipped};
use crate::limits::BATCH_ROWS;
use crate::model::table::{Batch, Column, Schema};

/// A column that is read.
struct Plan {
    /// Index among the roots of the file.
    root: usize,
    convert: Convert,
    /// Values that do not fit TIME, so far.
    lost: u64,
}

/// Rows decoded and not yet given.
struct Decoded {
    rows: RecordBatch,
    int96: Option<RecordBatch>,
    at: usize,
}

/// Reads one Parquet file, row group after row group.
pub struct Reader {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
    /// The same with INT96 as us, where there are such columns.
    int96_metadata: Option<ArrowReaderMetadata>,
    schema: Schema,
    plan: Vec<Plan>,
    skipped: Vec<Skipped>,
    notices: Vec<String>,
    row_group: usize,
    current: Option<(ParquetRecordBatchReader, Option<ParquetRecordBatchReader>)>,
    decoded: Option<Decoded>,
    /// Rows of the current row group decoded so far.
    group_rows: u64,
}

thread_local! {
    /// Whether this thread is inside [`guarded`].
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` of the parquet crate. On some damaged files it panics (assertions on lengths, a dictionary that is
/// not there): this is the one place where such a panic is caught and becomes an error. The panic hook is told to
/// say nothing of it; panics from anywhere else are reported as ever.
fn guarded<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_GUARDED.get() {
                report(info);
            }
        }));
    });
    let before = IS_GUARDED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(before);
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("malformed");
        Err(ParquetError::General(format!("malformed: {text}")))
    })
}

/// An error of the crate with its place.
fn wrap(path: &Path, row_group: Option<usize>, error: ParquetError) -> Error {
    let reason = match error {
        ParquetError::External(e) => match e.downcast::<io::Error>() {
            Ok(e) => return Error::io("read", path, *e),
            Err(e) => e.to_string(),
        },
        ParquetError::General(text) | ParquetError::EOF(text) | ParquetError::ArrowError(text) => text,
        ParquetError::NYI(text) => format!("not read: {text}"),
        other => other.to_string(),
    };
    let place = row_group.map(|g| format!("row group {}", g + 1));
    Error::Data(Box::new(DataError { path: path.to_path_buf(), place, offset: None, reason, help: None }))
}

/// The crate's own schema with views for text, which are not copied while a page is decoded (a dictionary entry
/// of 1 MiB that every row names would else be copied 65,536 times).
fn hinted(schema: &ArrowSchema, int96: Option<&[bool]>) -> ArrowSchema {
    let fields = schema.fields().iter().enumerate().map(|(i, field)| {
        let data_type = match field.data_type() {
            DataType::Dictionary(_, value) => value.as_ref(),
            other => other,
        };
        let hint = match data_type {
            DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
            DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
            _ if int96.and_then(|f| f.get(i)) == Some(&true) => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            other => other.clone(),
        };
        field.as_ref().clone().with_data_type(hint)
    });
    ArrowSchema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

/// Which roots are plain INT96 columns.
fn int96_roots(metadata: &ArrowReaderMetadata) -> Vec<bool> {
    let roots = metadata.parquet_schema().root_schema().get_fields();
    roots.iter().map(|f| f.is_primitive() && f.get_physical_type() == Physical::INT96).collect()
}

/// Footer of the file and both decoding schemas.
fn load(path: &Path, file: &File) -> Result<(ArrowReaderMetadata, Option<ArrowReaderMetadata>)> {
    let metadata = guarded(|| {
        // statistics of sizes and encodings are not used; real files have them malformed
        let skip = ParquetStatisticsPolicy::SkipAll;
        let options = ArrowReaderOptions::new();
        let options = options.with_size_stats_policy(skip.clone()).with_encoding_stats_policy(skip);
        ArrowReaderMetadata::load(file, options.clone())
            // an Arrow schema in the metadata that does not fit the columns is not needed
            .or_else(|_| ArrowReaderMetadata::load(file, options.with_skip_arrow_metadata(true)))
    });
    let metadata = metadata.map_err(|e| wrap(path, None, e))?;
    let with = |schema: ArrowSchema| {
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        guarded(|| ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options))
            .map_err(|e| wrap(path, None, e))
    };
    let int96 = int96_roots(&metadata);
    let wide = match int96.contains(&true) {
        true => Some(with(hinted(metadata.schema(), Some(&int96)))?),
        false => None,
    };
    Ok((with(hinted(metadata.schema(), None))?, wide))
}

impl Reader {
    /// Opens the file; with `columns` only those.
    ///
    /// # Errors
    /// The file cannot be read, is damaged or encrypted, or has no column that the language has a type for.
    pub fn open(path: &Path, columns: Option<&[String]>) -> Result<Reader> {
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let (metadata, int96_metadata) = load(path, &file)?;
        let mut reader = Reader {
            path: path.to_path_buf(),
            file,
            metadata,
            int96_metadata,
            schema: Schema::default(),
            plan: Vec::new(),
            skipped: Vec::new(),
            notices: Vec::new(),
            row_group: 0,
            current: None,
            decoded: None,
            group_rows: 0,
        };
        reader.make_plan(columns)?;
        reader.settle()?;
        Ok(reader)
    }

    fn make_plan(&mut self, columns: Option<&[String]>) -> Result<()> {
        let schema = Arc::clone(self.metadata.schema());
        let int96 = int96_roots(&self.metadata);
        let names = schema.fields().iter().map(|f| f.name().clone()).collect();
        let names = table::unique_names(names, &mut self.notices);
        let yaml =
            schema.metadata().get("table_meta_yaml").map(|y| table::yaml_columns(y)).unwrap_or_default();
        for root in table::project(&self.path, &names, columns)? {
            let (Some(name), Some(field)) = (names.get(root), schema.fields().get(root)) else { continue };
            let is_int96 = int96.get(root) == Some(&true);
            match convert_of(field, is_int96) {
                Ok((convert, data_type)) => {
                    let mut column = Column { data_type, name: name.clone(), ..Column::from_field(field) };
                    yaml.iter().filter(|m| m.name == *field.name()).for_each(|m| m.apply(&mut column));
                    self.schema.columns.push(column);
                    self.plan.push(Plan { root, convert, lost: 0 });
                }
                Err(reason) => self.skipped.push(Skipped { name: name.clone(), reason }),
            }
        }
        if self.plan.is_empty() && !self.skipped.is_empty() {
            let reason = "every column is nested: there is nothing the language has a type for";
            return Err(Error::data(&self.path, None, reason));
        }
        Ok(())
    }

    /// Decides what only the values can tell: uint64 that does not fit, binary that is text.
    fn settle(&mut self) -> Result<()> {
        for i in 0..self.plan.len() {
            let Some(Plan { root, convert, .. }) = self.plan.get(i) else { continue };
            let new = match convert {
                Convert::Unsigned if self.has_large_unsigned(*root)? => {
                    let name = self.schema.columns.get(i).map_or("", |c| &c.name);
                    self.notices
                        .push(format!("column `{name}` is TEXT because it holds integers beyond 2^63-1"));
                    Convert::Cast(DataType::Utf8)
                }
                Convert::Hex if self.is_text(*root)? => Convert::Text,
                _ => continue,
            };
            if let (Some(plan), Some(column)) = (self.plan.get_mut(i), self.schema.columns.get_mut(i)) {
                if new == Convert::Cast(DataType::Utf8) {
                    column.data_type = DataType::Utf8;
                }
                plan.convert = new;
            }
        }
        Ok(())
    }

    /// Whether a uint64 column holds a value above 2^63-1: by the statistics where every row group has them
    /// (min and max are not negative as i64, in whichever order they were made), else by its values.
    fn has_large_unsigned(&self, root: usize) -> Result<bool> {
        let fits = |chunk: &ColumnChunkMetaData| match chunk.statistics() {
            Some(Statistics::Int64(s)) => Some(*s.min_opt()? >= 0 && *s.max_opt()? >= 0),
            _ => None,
        };
        let leaf = self.leaves(&[root]).first().copied().unwrap_or(0);
        let groups = self.metadata.metadata().row_groups().iter();
        let known: Option<Vec<bool>> = groups.map(|g| g.columns().get(leaf).and_then(fits)).collect();
        if let Some(known) = known {
            return Ok(known.contains(&false));
        }
        self.any_batch(root, |array| {
            let values = array.as_primitive_opt::<UInt64Type>();
            values.is_some_and(|a| a.iter().flatten().any(|v| i64::try_from(v).is_err()))
        })
    }

    fn is_text(&self, root: usize) -> Result<bool> {
        let is_other =
            |array: &ArrayRef| (0..array.len()).any(|i| bytes_at(array, i).is_some_and(|b| !is_plain(b)));
        self.any_batch(root, is_other).map(|found| !found)
    }

    /// Whether any batch of that column meets the condition.
    fn any_batch(&self, root: usize, condition: impl Fn(&ArrayRef) -> bool) -> Result<bool> {
        for group in 0..self.metadata.metadata().num_row_groups() {
            let mut batches = self.group_reader(&self.metadata, group, &[root])?;
            while let Some(batch) = self.decode(&mut batches, group)? {
                if batch.columns().iter().any(&condition) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Leaf columns below these roots.
    fn leaves(&self, roots: &[usize]) -> Vec<usize> {
        let schema = self.metadata.parquet_schema();
        (0..schema.num_columns()).filter(|&i| roots.contains(&schema.get_column_root_idx(i))).collect()
    }

    /// A decoder of one row group, after its page headers were held against the file.
    fn group_reader(
        &self,
        metadata: &ArrowReaderMetadata,
        group: usize,
        roots: &[usize],
    ) -> Result<ParquetRecordBatchReader> {
        self.check_pages(group, roots)?;
        let widest = roots.iter().filter_map(|&r| match metadata.schema().fields().get(r)?.data_type() {
            DataType::FixedSizeBinary(n) => usize::try_from(*n).ok(),
            _ => None,
        });
        let rows = (BATCH_TEXT_BYTES / widest.max().unwrap_or(1).max(1)).clamp(1, BATCH_ROWS);
        guarded(|| {
            let builder =
                ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.try_clone()?, metadata.clone());
            let mask = ProjectionMask::roots(metadata.parquet_schema(), roots.iter().copied());
            builder.with_row_groups(vec![group]).with_projection(mask).with_batch_size(rows).build()
        })
        .map_err(|e| wrap(&self.path, Some(group), e))
    }

    fn check_pages(&self, group: usize, roots: &[usize]) -> Result<()> {
        let Some(row_group) = self.metadata.metadata().row_groups().get(group) else { return Ok(()) };
        let mut file = self.file.try_clone().map_err(|e| Error::io("read", &self.path, e))?;
        for chunk in self.leaves(roots).into_iter().filter_map(|leaf| row_group.columns().get(leaf)) {
            // the crate's own byte_range asserts that these are not negative
            let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
            let claims = [start, chunk.compressed_size(), chunk.num_values()].map(u64::try_from);
            let [Ok(start), Ok(length), Ok(values)] = claims else {
                let reason = format!("column `{}` claims a negative place or length", chunk.column_path());
                return Err(wrap(&self.path, Some(group), ParquetError::General(reason)));
            };
            page::check_chunk(&mut file, start, length, values).map_err(|fault| {
                Error::Data(Box::new(DataError {
                    path: self.path.clone(),
                    place: Some(format!("row group {}, column `{}`", group + 1, chunk.column_path())),
                    offset: Some(fault.offset),
                    reason: fault.reason,
                    help: None,
                }))
            })?;
        }
        Ok(())
    }

    fn decode(&self, batches: &mut ParquetRecordBatchReader, group: usize) -> Result<Option<RecordBatch>> {
        let next = guarded(|| batches.next().transpose().map_err(ParquetError::from));
        next.map_err(|e| wrap(&self.path, Some(group), e))
    }

    /// The columns that are read.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Columns without a type here.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Rows, as the footer says; each row group is held to it when it is read.
    pub fn rows(&self) -> u64 {
        let rows =
            self.metadata.metadata().row_groups().iter().map(|g| u64::try_from(g.num_rows()).unwrap_or(0));
        rows.fold(0, u64::saturating_add)
    }

    /// What was assumed or changed so far, in sentences.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = self.notices.clone();
        for (plan, column) in self.plan.iter().zip(&self.schema.columns).filter(|(p, _)| p.lost > 0) {
            let what = "times outside 1677-09-21 .. 2262-04-11 are NULL";
            notices.push(format!("column `{}`: {} {what}", column.name, plan.lost));
        }
        notices
    }

    /// Makes sure that `decoded` holds rows; false at the end.
    fn fill(&mut self) -> Result<bool> {
        let roots: Vec<usize> = self.plan.iter().map(|p| p.root).collect();
        while self.decoded.as_ref().is_none_or(|d| d.at >= d.rows.num_rows()) {
            if self.row_group >= self.metadata.metadata().num_row_groups() {
                return Ok(false);
            }
            let group = self.row_group;
            let (mut rows, mut wide) = match self.current.take() {
                Some(current) => current,
                None => {
                    let is_int96 = |p: &&Plan| p.convert == Convert::Int96;
                    let int96: Vec<usize> = self.plan.iter().filter(is_int96).map(|p| p.root).collect();
                    let metadata = self.int96_metadata.as_ref().filter(|_| !int96.is_empty());
                    let wide = metadata.map(|m| self.group_reader(m, group, &int96)).transpose()?;
                    (self.group_reader(&self.metadata, group, &roots)?, wide)
                }
            };
            match self.decode(&mut rows, group)? {
                None => {
                    self.check_rows(group)?;
                    self.row_group += 1;
                }
                Some(batch) => {
                    let int96 = match &mut wide {
                        Some(wide) => self.decode(wide, group)?,
                        None => None,
                    };
                    if wide.is_some() && int96.as_ref().map(RecordBatch::num_rows) != Some(batch.num_rows()) {
                        let reason = "its INT96 columns are of another length than the rest".to_owned();
                        return Err(wrap(&self.path, Some(group), ParquetError::General(reason)));
                    }
                    self.group_rows += batch.num_rows() as u64;
                    self.decoded = Some(Decoded { rows: batch, int96, at: 0 });
                    self.current = Some((rows, wide));
                }
            }
        }
        Ok(true)
    }

    /// The row group that ended has the rows the footer promised.
    fn check_rows(&mut self, group: usize) -> Result<()> {
        let rows = std::mem::take(&mut self.group_rows);
        let claimed = self.metadata.metadata().row_groups().get(group).map_or(0, |g| g.num_rows());
        if u64::try_from(claimed) != Ok(rows) {
            let reason = format!("{rows} rows, the footer says {claimed}");
            return Err(wrap(&self.path, Some(group), ParquetError::General(reason)));
        }
        Ok(())
    }

    fn batch(&mut self) -> Result<Option<Batch>> {
        if !self.fill()? {
            return Ok(None);
        }
        let Some(decoded) = &mut self.decoded else { return Ok(None) };
        let count = rows_that_fit(&decoded.rows, decoded.at);
        let rows = decoded.rows.slice(decoded.at, count);
        let wide = decoded.int96.as_ref().filter(|w| w.num_rows() == decoded.rows.num_rows());
        let mut wide =
            wide.map(|w| w.slice(decoded.at, count)).into_iter().flat_map(|w| w.columns().to_vec());
        decoded.at += count;
        let group = Some(self.row_group);
        let fault = |e: ArrowError| wrap(&self.path, group, ParquetError::ArrowError(e.to_string()));
        let mut arrays = Vec::with_capacity(self.plan.len());
        for (plan, array) in self.plan.iter_mut().zip(rows.columns()) {
            let beside = if plan.convert == Convert::Int96 { wide.next() } else { None };
            let (array, lost) = convert(&plan.convert, array, beside.as_ref()).map_err(fault)?;
            plan.lost += lost;
            arrays.push(array);
        }
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(count));
        Batch::try_new_with_options(self.schema.arrow(), arrays, &options).map(Some).map_err(fault)
    }
}

impl Iterator for Reader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        self.batch().transpose()
    }
}
