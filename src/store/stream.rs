//! A segment of blobs that is written as it is made: memory does not grow with it.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::model::table::Schema;

use super::dir::{Dir, at};
use super::segment::{BlobEntry, BlockWriter, Directory, Extent, is_kind};
use super::snapshot::SegmentRef;
use super::types::schema_hash;

/// A segment on its way to the disk: one blob after the other, each in any number of pieces.
#[derive(Debug)]
pub struct SegmentStream<'a> {
    dir: &'a dyn Dir,
    out: BlockWriter<'a>,
    directory: Directory,
    file: String,
    name: String,
    start: u64,
}

impl<'a> SegmentStream<'a> {
    pub(super) fn create(dir: &'a dyn Dir, kind: &str, file: String) -> Result<SegmentStream<'a>> {
        if !is_kind(kind) {
            return Err(Error::refused(
                format!("`{kind}` cannot be the kind of a segment"),
                "use 1-32 characters of a-z, 0-9 and _",
            ));
        }
        let out = BlockWriter::create(dir, &format!("segments/{file}.tmp"))?;
        let directory = Directory { kind: kind.to_owned(), ..Directory::default() };
        Ok(SegmentStream { dir, out, directory, file, name: String::new(), start: 0 })
    }

    /// Number of the segment: the digits of its file's name.
    pub fn number(&self) -> &str {
        self.file.split('-').next().unwrap_or_default()
    }

    /// Ends the blob before and begins one, at a multiple of 64.
    ///
    /// # Errors
    /// `Io`.
    pub fn begin(&mut self, name: &str) -> Result<()> {
        self.end();
        self.start = self.out.begin()?;
        self.name = name.to_owned();
        Ok(())
    }

    /// Appends to the blob that was begun last.
    ///
    /// # Errors
    /// `Io`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write(bytes)
    }

    /// Bytes of the blob that was begun last.
    pub fn position(&self) -> u64 {
        self.out.position() - self.start
    }

    /// A whole blob.
    ///
    /// # Errors
    /// `Io`.
    pub fn blob(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.begin(name)?;
        self.write(bytes)
    }

    fn end(&mut self) {
        if !self.name.is_empty() {
            let extent = Extent { offset: self.start, bytes: self.position() };
            self.directory.blobs.push(BlobEntry { name: std::mem::take(&mut self.name), extent });
        }
    }

    /// Directory, block table and header page; synced, under its final name. `rows` is only told, by `SHOW INDEXES`.
    ///
    /// # Errors
    /// `Io`.
    pub fn finish(mut self, rows: u64) -> Result<SegmentRef> {
        self.end();
        self.directory.rows = rows;
        let (bytes, checksum) = self.out.finish(&self.directory, schema_hash(&Schema::default()))?;
        let name = format!("segments/{}", self.file);
        let unfinished = format!("{name}.tmp");
        self.dir.rename(&unfinished, &name).map_err(at(self.dir, "rename", &unfinished))?;
        Ok(SegmentRef {
            file: self.file,
            role: self.directory.kind,
            source: String::new(),
            rows,
            bytes,
            checksum,
            properties: BTreeMap::new(),
        })
    }
}
