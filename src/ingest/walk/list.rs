//! The names in one directory, sorted.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, RawDir};

use super::{join, open_directory};

/// Bytes of names that the system gives in one go.
const NAMES_BYTES: usize = 32 << 10;

/// What a name stands for, as far as the directory tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    Link,
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    start: usize,
    /// Without the `/` behind the name of a directory.
    bytes: u32,
    kind: Kind,
}

/// A directory while its names are taken one by one.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// One behind the other; those of directories with a `/` behind them, which is their place among the others.
    text: Vec<u8>,
    names: Vec<Name>,
    next: usize,
    /// Length of its path.
    pub(super) path_bytes: usize,
    /// Directories above it.
    pub(super) depth: usize,
    open: Option<Arc<OwnedFd>>,
    buffer: Vec<u8>,
}

impl Listing {
    /// Reads the names. Those that were read before an error are kept.
    pub(super) fn read(&mut self, directory: OwnedFd, place: (usize, usize)) -> io::Result<()> {
        self.text.clear();
        self.names.clear();
        self.next = 0;
        (self.path_bytes, self.depth) = place;
        let read = self.names(&directory);
        let text = &self.text;
        let key = |n: &Name| {
            let end = n.start + n.bytes as usize + usize::from(n.kind == Kind::Directory);
            text.get(n.start..end).unwrap_or_default()
        };
        self.names.sort_unstable_by(|a, b| key(a).cmp(key(b)));
        self.open = Some(Arc::new(directory));
        read
    }

    fn names(&mut self, directory: &OwnedFd) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.reserve(NAMES_BYTES);
        let mut entries = RawDir::new(directory, self.buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    match rustix::fs::statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(own) => FileType::from_raw_mode(own.st_mode),
                        Err(rustix::io::Errno::NOENT) => continue,
                        Err(error) => return Err(error.into()),
                    }
                }
                known => known,
            };
            let kind = match kind {
                FileType::Directory => Kind::Directory,
                FileType::Symlink => Kind::Link,
                _ => Kind::Other,
            };
            self.names.push(Name { start: self.text.len(), bytes: name.len() as u32, kind });
            self.text.extend_from_slice(name);
            if kind == Kind::Directory {
                self.text.push(b'/');
            }
        }
        Ok(())
    }

    /// The next name.
    pub(super) fn advance(&mut self) -> Option<(&[u8], Kind)> {
        self.next += 1;
        self.current()
    }

    /// The name that was given last.
    pub(super) fn current(&self) -> Option<(&[u8], Kind)> {
        let name = self.names.get(self.next.checked_sub(1)?)?;
        Some((self.text.get(name.start..name.start + name.bytes as usize)?, name.kind))
    }

    /// Lets go of the directory itself, while those below it are walked.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Makes it the last of the open directories of a batch.
    pub(super) fn hold(&mut self, root: &Path, path: &[u8], held: &mut Vec<Arc<OwnedFd>>) -> io::Result<()> {
        let open = match &self.open {
            Some(open) => Arc::clone(open),
            None => Arc::new(open_directory(&join(root, path))?),
        };
        if !held.last().is_some_and(|last| Arc::ptr_eq(last, &open)) {
            held.push(Arc::clone(&open));
        }
        self.open = Some(open);
        Ok(())
    }
}
