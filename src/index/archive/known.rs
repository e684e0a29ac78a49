//! The living files of a source, over all its parts, in byte order of their paths: what a walk of its directory is
//! compared with, side by side. Nothing is held in memory but the place in each part.

use super::{Archive, FileReader, Part, Signature};
use crate::error::{Error, Result};

/// State of a file that keeps its rows although it cannot be reached.
pub const UNREACHABLE: &str = "unreachable";

/// Where a known file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Index into [`Archive::parts`].
    pub part: u32,
    /// File of that part.
    pub file: u32,
}

/// What tells whether a file is still what it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownFile {
    /// Bytes.
    pub size: u64,
    /// Last change of the content, ns since 1970.
    pub mtime_ns: i64,
    /// Last change of the inode, ns since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// It is read again next time.
    pub is_unsure: bool,
    /// Its rows are kept although it could not be reached.
    pub is_unreachable: bool,
    /// Not a waveform.
    pub is_other: bool,
}

impl KnownFile {
    fn new(part: &Part, file: u32, signature: &Signature) -> Result<KnownFile> {
        let state = part.state(file)?;
        Ok(KnownFile {
            size: signature.size,
            mtime_ns: signature.mtime_ns,
            ctime_ns: signature.ctime_ns,
            inode: signature.inode,
            is_unsure: signature.is_unsure,
            is_unreachable: state == UNREACHABLE,
            is_other: state == "other",
        })
    }
}

/// The files of one source.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    archive: &'a Archive,
    source: &'a str,
}

impl<'a> Known<'a> {
    /// Those of a source.
    pub fn new(archive: &'a Archive, source: &'a str) -> Known<'a> {
        Known { archive, source }
    }

    /// From the first path on. Errors here and below: `Damaged`.
    pub fn cursor(&self) -> Result<Cursor<'a>> {
        let mut heads = vec![];
        for (part, of) in self.archive.parts.iter().enumerate().filter(|(_, p)| p.source == self.source) {
            let mut head = Head { part: part as u32, of, files: of.files_from(0)? };
            head.skip_dead()?;
            heads.push(head);
        }
        let mut cursor = Cursor { heads, current: 0, is_alone_until: None };
        cursor.choose();
        Ok(cursor)
    }

    /// Is a living file below this directory?
    pub fn has_below(&self, directory: &[u8]) -> Result<bool> {
        let prefix = below(directory);
        let mut cursor = self.cursor()?;
        cursor.seek(&prefix)?;
        Ok(cursor.path().is_some_and(|path| path.starts_with(&prefix)))
    }

    /// Number of living files.
    pub fn count(&self) -> usize {
        let parts = self.archive.parts.iter().filter(|p| p.source == self.source);
        parts.map(|p| p.file_count() - p.dead_count()).sum()
    }

    /// What is known of a file, with xxh3 of its first and last block.
    pub fn file(&self, place: Place) -> Result<(KnownFile, u64)> {
        let part = self.part(place)?;
        let row = part.file(place.file)?;
        let signature = Signature {
            size: row.size,
            mtime_ns: row.mtime_ns,
            ctime_ns: row.ctime_ns,
            inode: row.inode,
            is_unsure: row.is_unsure,
        };
        Ok((KnownFile::new(part, place.file, &signature)?, row.hash))
    }

    /// Its path below the root.
    pub fn path(&self, place: Place) -> Result<Vec<u8>> {
        self.part(place)?.path(place.file)
    }

    fn part(&self, place: Place) -> Result<&'a Part> {
        let part = self.archive.parts.get(place.part as usize);
        part.ok_or_else(|| Error::refused("a file is asked for that is not in the index", "refresh again"))
    }
}

/// What the paths below a directory begin with.
fn below(directory: &[u8]) -> Vec<u8> {
    let mut prefix = directory.to_vec();
    if !prefix.is_empty() {
        prefix.push(b'/');
    }
    prefix
}

/// The next file of one part.
#[derive(Debug)]
struct Head<'a> {
    part: u32,
    of: &'a Part,
    files: FileReader<'a>,
}

impl Head<'_> {
    fn path(&self) -> Option<&[u8]> {
        self.files.current().map(|(_, path, _)| path)
    }

    fn file(&self) -> u32 {
        self.files.current().map_or(self.of.file_count() as u32, |(file, ..)| file)
    }

    fn skip_dead(&mut self) -> Result<()> {
        while self.files.current().is_some_and(|(file, ..)| !self.of.is_alive(file)) {
            self.files.advance()?;
        }
        Ok(())
    }

    fn go(&mut self, file: u32) -> Result<()> {
        self.files = self.of.files_from(file)?;
        self.skip_dead()
    }
}

/// A place in the files of a source.
#[derive(Debug)]
pub struct Cursor<'a> {
    heads: Vec<Head<'a>>,
    current: usize,
    /// The current part is read without looking at the others up to this path, the least of theirs.
    is_alone_until: Option<Vec<u8>>,
}

impl Cursor<'_> {
    /// Path of the file that the cursor stands at.
    pub fn path(&self) -> Option<&[u8]> {
        self.heads.get(self.current)?.path()
    }

    /// Where that file lies, and what is known of it.
    pub fn file(&self) -> Result<Option<(Place, KnownFile)>> {
        let Some(head) = self.heads.get(self.current) else { return Ok(None) };
        let Some((file, _, signature)) = head.files.current() else { return Ok(None) };
        let known = KnownFile::new(head.of, file, signature)?;
        Ok(Some((Place { part: head.part, file }, known)))
    }

    /// To the next file.
    pub fn advance(&mut self) -> Result<()> {
        let Some(head) = self.heads.get_mut(self.current) else { return Ok(()) };
        head.files.advance()?;
        head.skip_dead()?;
        let is_first = match (head.path(), &self.is_alone_until) {
            (Some(path), Some(other)) => path < other.as_slice(),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if !is_first {
            self.choose();
        }
        Ok(())
    }

    /// To the first file whose path is not less than `path`; backwards too.
    pub fn seek(&mut self, path: &[u8]) -> Result<()> {
        for head in &mut self.heads {
            head.go(head.of.lower_bound(path)?)?;
        }
        self.choose();
        Ok(())
    }

    /// Behind all files below a directory; how many living ones there are from the cursor on.
    pub fn skip_below(&mut self, directory: &[u8]) -> Result<usize> {
        let prefix = below(directory);
        // The first path that does not begin with the prefix: `/` and its successor `0`.
        let end = prefix.split_last().map(|(last, head)| [head, &[last.saturating_add(1)]].concat());
        let mut skipped = 0;
        for head in &mut self.heads {
            let count = head.of.file_count() as u32;
            let to = end.as_ref().map_or(Ok(count), |end| head.of.lower_bound(end))?;
            let from = head.file().max(head.of.lower_bound(&prefix)?);
            skipped += (from..to).filter(|file| head.of.is_alive(*file)).count();
            head.go(head.file().max(to))?;
        }
        self.choose();
        Ok(skipped)
    }

    /// Finds the part with the least path, and the least of the others.
    fn choose(&mut self) {
        let mut least: Option<(usize, &[u8])> = None;
        let mut second: Option<&[u8]> = None;
        for (number, path) in self.heads.iter().enumerate().filter_map(|(i, h)| h.path().map(|p| (i, p))) {
            match least {
                Some((_, before)) if before <= path => {
                    second = Some(second.map_or(path, |s| s.min(path)));
                }
                other => {
                    second = other.map(|o| o.1);
                    least = Some((number, path));
                }
            }
        }
        let current = least.map_or(self.heads.len(), |l| l.0);
        self.is_alone_until = second.map(<[u8]>::to_vec);
        self.current = current;
    }
}
