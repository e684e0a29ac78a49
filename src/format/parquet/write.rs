//! Parquet out.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;

use crate::error::{Error, Result};
use crate::model::table::{Batch, Schema};

/// zstd level of what is written.
pub const ZSTD_LEVEL: i32 = 3;
/// Rows of a row group that is written.
pub const ROW_GROUP_ROWS: usize = 1 << 18;

/// Writes Parquet: zstd, row groups of [`ROW_GROUP_ROWS`], units and descriptions as field metadata.
pub struct Writer<'a> {
    path: PathBuf,
    arrow: ArrowWriter<Box<dyn Write + Send + 'a>>,
}

impl<'a> Writer<'a> {
    /// Starts the file.
    ///
    /// # Errors
    /// The output refuses it, or a column has no type that Parquet knows.
    pub fn new(path: &Path, schema: &Schema, out: Box<dyn Write + Send + 'a>) -> Result<Self> {
        let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(|e| write_error(path, e))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let arrow = ArrowWriter::try_new(out, schema.arrow(), Some(properties));
        Ok(Writer { path: path.to_path_buf(), arrow: arrow.map_err(|e| write_error(path, e))? })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// The output refuses them.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        self.arrow.write(batch).map_err(|e| write_error(&self.path, e))
    }

    /// Writes the last row group and the footer.
    ///
    /// # Errors
    /// The output refuses it.
    pub fn finish(mut self) -> Result<()> {
        let written = self.arrow.finish().map(|_| ());
        written.map_err(|e| write_error(&self.path, e))?;
        self.arrow.inner_mut().flush().map_err(|e| Error::io("write", &self.path, e))
    }
}

fn write_error(path: &Path, error: ParquetError) -> Error {
    let source = match error {
        ParquetError::External(e) => e.downcast::<io::Error>().map_or_else(io::Error::other, |e| *e),
        other => io::Error::other(other.to_string()),
    };
    Error::io("write", path, source)
}
