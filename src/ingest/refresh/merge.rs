//! The walk of an archive and its known files, side by side in byte order of paths: neither is held in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::Job;
use crate::error::Result;
use crate::index::archive::{Cursor, Known, KnownFile, Place};
use crate::ingest::walk::{Batch, Stat, Walker, What};

/// A file that is not as the index has it.
pub(super) enum Found<'a> {
    /// Not known.
    New(&'a [u8], Stat),
    /// Known under this path, with another signature, or not surely the same. The text tells why the target of a
    /// link cannot be reached.
    Differs(&'a [u8], Stat, Option<&'a str>, (Place, KnownFile)),
    /// Its directory was listed and it was not there.
    Gone(Place, KnownFile),
    /// A directory above it could not be listed, for a reason.
    Unreachable(&'a [u8], Place, &'a str),
}

/// What a merge has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Entries of the walk.
    pub(super) files: usize,
    /// As they were.
    pub(super) unchanged: usize,
    /// Directories that were not entered.
    pub(super) sealed: usize,
    /// Directories (below the root) that could not be listed, and why.
    pub(super) unlisted: BTreeMap<Vec<u8>, Box<str>>,
}

type Sink<'s> = &'s mut dyn FnMut(Found<'_>) -> Result<()>;

struct Merge<'k> {
    cursor: Cursor<'k>,
    seen: Seen,
    dangling: BTreeMap<Vec<u8>, Box<str>>,
    /// Links to directories that are walked later: their known files wait.
    links: BTreeSet<Vec<u8>>,
    /// What is walked now lies below this, which ends with `/`.
    below: Vec<u8>,
}

/// Goes through both; what is not as it was is given to `sink` in byte order of the paths, links to directories
/// behind the real tree.
pub(super) fn merge(
    walker: &mut Walker<'_>,
    known: Known<'_>,
    job: &Job<'_>,
    sink: Sink<'_>,
) -> Result<Seen> {
    let mut merge = Merge {
        cursor: known.cursor()?,
        seen: Seen::default(),
        dangling: BTreeMap::new(),
        links: BTreeSet::new(),
        below: vec![],
    };
    let mut batch = Batch::default();
    while walker.fill(&mut batch) {
        (job.cancel)()?;
        for (path, what) in batch.entries() {
            merge.entry(path, what, sink)?;
        }
    }
    merge.pass_known(None, sink)?;
    Ok(merge.seen)
}

impl Merge<'_> {
    fn entry(&mut self, path: &[u8], what: &What, sink: Sink<'_>) -> Result<()> {
        match what {
            What::File(stat) => self.file(path, *stat, None, sink)?,
            What::Dangling(stat, why) => {
                self.dangling.insert(path.to_vec(), why.clone());
                self.file(path, *stat, Some(why), sink)?;
            }
            What::Link => {
                self.links.insert(path.to_vec());
            }
            What::Unlisted(why) => {
                self.seen.unlisted.entry(path.to_vec()).or_insert_with(|| why.clone());
            }
            What::Sealed => {
                let start = [path, b"/"].concat();
                self.pass_known(Some(&start), sink)?;
                self.seen.sealed += 1;
                self.seen.unchanged += self.cursor.skip_below(path)?;
            }
            What::Below => {
                self.pass_known(None, sink)?;
                self.links.remove(path);
                self.below = [path, b"/"].concat();
                self.cursor.seek(&self.below)?;
            }
            What::Gone | What::Pending { .. } => {}
        }
        Ok(())
    }

    /// The path of the next known file, if it lies where the walk is.
    fn next_known(&self) -> Option<&[u8]> {
        self.cursor.path().filter(|path| path.starts_with(&self.below))
    }

    fn file(&mut self, path: &[u8], stat: Stat, dangling: Option<&str>, sink: Sink<'_>) -> Result<()> {
        self.seen.files += 1;
        self.pass_known(Some(path), sink)?;
        let Some((place, known)) = self.cursor.file()?.filter(|_| self.next_known() == Some(path)) else {
            return sink(Found::New(path, stat));
        };
        self.cursor.advance()?;
        let is_same = (known.size, known.mtime_ns, known.inode) == stat.shape()
            && known.ctime_ns == stat.ctime_ns
            && !known.is_unsure
            && !known.is_unreachable;
        if is_same {
            self.seen.unchanged += 1;
            return Ok(());
        }
        sink(Found::Differs(path, stat, dangling, (place, known)))
    }

    /// Known files before a path that the walk has reached: they were not found.
    fn pass_known(&mut self, until: Option<&[u8]>, sink: Sink<'_>) -> Result<()> {
        while let Some(path) = self.next_known() {
            if until.is_some_and(|until| path >= until) {
                break;
            }
            if let Some(link) =
                self.links.iter().next().and_then(|_| above(path).find(|d| self.links.contains(*d)))
            {
                let link = link.to_vec();
                self.cursor.skip_below(&link)?;
                continue;
            }
            let Some((place, known)) = self.cursor.file()? else { break };
            match self.why_unlisted(path) {
                Some(_) if known.is_unreachable => self.seen.unchanged += 1,
                Some(why) => sink(Found::Unreachable(path, place, why))?,
                None => sink(Found::Gone(place, known))?,
            }
            self.cursor.advance()?;
        }
        Ok(())
    }

    /// Why nothing is known of a path: a directory above it could not be listed.
    fn why_unlisted(&self, path: &[u8]) -> Option<&str> {
        if self.seen.unlisted.is_empty() && self.dangling.is_empty() {
            return None;
        }
        let why = |dir: &[u8]| self.seen.unlisted.get(dir).or_else(|| self.dangling.get(dir));
        above(path).find_map(why).map(|why| &**why)
    }
}

/// The directories above a path, the root first.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
    std::iter::once(0).chain(ends).filter_map(|end| path.get(..end))
}
