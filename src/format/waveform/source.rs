//! A regular file read by positioned reads of whole blocks. Never a map: another process may cut the file.

use std::fs::{File, Metadata};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::limits::READ_BLOCK_BYTES;

/// An open file and the block of it that was read last.
pub struct Source {
    path: PathBuf,
    file: File,
    size: u64,
    start: u64,
    filled: usize,
    buffer: Vec<u8>,
    bytes_read: u64,
}

impl Source {
    /// Opens a regular file; `buffer` is used for its blocks.
    pub fn open(path: &Path, buffer: Vec<u8>) -> Result<Source> {
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let meta = file.metadata().map_err(|e| Error::io("read the size of", path, e))?;
        let size = if meta.is_file() { meta.len() } else { 0 };
        Ok(Source::of(path, file, size, buffer))
    }

    /// A regular file that is open and has so many bytes.
    pub fn of(path: &Path, file: File, size: u64, buffer: Vec<u8>) -> Source {
        Source { path: path.to_path_buf(), file, size, start: 0, filled: 0, buffer, bytes_read: 0 }
    }

    /// What the open file is now.
    pub fn metadata(&self) -> Result<Metadata> {
        self.file.metadata().map_err(|e| Error::io("read the size of", &self.path, e))
    }

    /// Bytes that were read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The bytes `offset .. offset + length` as far as the file has them, from the block that was read last if they
    /// are there.
    pub fn block(&mut self, offset: u64, length: usize) -> Result<&[u8]> {
        let length =
            usize::try_from(self.size.saturating_sub(offset)).map_or(length, |left| length.min(left));
        let is_there = offset >= self.start && offset + length as u64 <= self.start + self.filled as u64;
        if !is_there {
            self.fill(offset, length)?;
        }
        let from = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(self.buffer.get(from..(from + length).min(self.filled)).unwrap_or_default())
    }

    /// Bytes of the file when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the file to end here.
    pub fn end_at(&mut self, end: u64) {
        self.size = self.size.min(end);
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The buffer, for the next file.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// The bytes from `offset` on: at least `wanted` of them unless the file ends before, often more.
    pub fn view(&mut self, offset: u64, wanted: usize) -> Result<&[u8]> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        let end = self.start + self.filled as u64;
        if offset < self.start || offset + wanted as u64 > end {
            self.fill(offset, wanted.max(READ_BLOCK_BYTES).min(left))?;
        }
        let from = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(self.buffer.get(from..self.filled).unwrap_or_default())
    }

    /// Exactly the bytes `offset .. offset + length`; an error if the file is shorter.
    pub fn exact(&mut self, offset: u64, length: u64) -> Result<&[u8]> {
        let end = offset.checked_add(length).filter(|&end| end <= self.size);
        if let (Some(_), Ok(length)) = (end, usize::try_from(length)) {
            self.fill(offset, length)?;
            if self.filled == length {
                return Ok(self.buffer.get(..length).unwrap_or_default());
            }
        }
        let reason = format!("the file has {} bytes and no {length} of them here; it has changed", self.size);
        Err(Error::data(&self.path, Some(offset), reason))
    }

    /// Reads `length` bytes at `offset` into the buffer; fewer if the file was cut since it was opened.
    fn fill(&mut self, offset: u64, length: usize) -> Result<()> {
        if self.buffer.len() < length || self.buffer.len() > length.max(READ_BLOCK_BYTES) {
            self.buffer.truncate(length);
            self.buffer.resize(length, 0);
        }
        self.start = offset;
        self.filled = 0;
        while self.filled < length {
            let target = self.buffer.get_mut(self.filled..length).unwrap_or_default();
            match self.file.read_at(target, offset + self.filled as u64) {
                Ok(0) => {
                    self.size = self.size.min(offset + self.filled as u64);
                    break;
                }
                Ok(count) => {
                    self.filled += count;
                    self.bytes_read += count as u64;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read", &self.path, e)),
            }
        }
        Ok(())
    }
}
