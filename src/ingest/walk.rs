//! Lists a directory tree in byte order of paths, without opening a file: what REFRESH compares with what it knows.
//! The entries stream past in batches; only the names of the directories on the way down are held. Directories are
//! listed in order by one thread, the files of a batch are looked at by all.

mod list;
mod sealed;

use std::collections::{BTreeSet, HashSet};
use std::ffi::{CStr, OsStr};
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxFlags};
use rustix::io::Errno;

pub use sealed::Sealed;

use list::{Kind, Listing};

/// Deepest directory that is entered: deeper trees are reported, not followed.
const DIRECTORY_DEPTH: usize = 4096;
/// Entries of a batch.
const BATCH_ENTRIES: usize = 4096;
/// Directories that a batch holds open.
const BATCH_DIRECTORIES: usize = 64;
/// Entries that one thread looks at in one go.
const CHUNK_ENTRIES: usize = 256;

/// A file as its directory shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// ns since 1970.
    pub mtime_ns: i64,
    /// ns since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// When the inode was made, ns since 1970, where the file system tells: inode numbers are used again.
    pub born_ns: Option<i64>,
    /// A pipe, device or socket is listed and never opened.
    pub is_regular: bool,
}

impl Stat {
    /// Was this inode made after an older one of its number was last seen to change?
    pub fn is_younger_than(&self, ctime_ns: i64) -> bool {
        self.born_ns.is_some_and(|born_ns| born_ns > ctime_ns)
    }

    /// Size, time of change and inode: what differs when the content does.
    pub fn shape(&self) -> (u64, i64, u64) {
        (self.size, self.mtime_ns, self.inode)
    }
}

fn ns_of(seconds: i64, ns: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(ns)
}

/// Signature of a file from its metadata.
pub fn stat_of(metadata: &Metadata) -> Stat {
    Stat {
        size: metadata.size(),
        mtime_ns: ns_of(metadata.mtime(), metadata.mtime_nsec()),
        ctime_ns: ns_of(metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
        born_ns: metadata.created().ok().and_then(|t| {
            let elapsed = t.duration_since(std::time::UNIX_EPOCH).ok()?;
            i64::try_from(elapsed.as_nanos()).ok()
        }),
        is_regular: metadata.is_file(),
    }
}

fn stat_of_statx(x: &Statx) -> Stat {
    let ns = |t: &rustix::fs::StatxTimestamp| ns_of(t.tv_sec, i64::from(t.tv_nsec));
    Stat {
        size: x.stx_size,
        mtime_ns: ns(&x.stx_mtime),
        ctime_ns: ns(&x.stx_ctime),
        inode: x.stx_ino,
        born_ns: (x.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| ns(&x.stx_btime)),
        is_regular: file_type(x) == FileType::RegularFile,
    }
}

fn file_type(x: &Statx) -> FileType {
    FileType::from_raw_mode(x.stx_mode.into())
}

/// What stands at a place of the walk. Paths are those below the root.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A file.
    File(Stat),
    /// A link whose target cannot be reached, and why: a file or a directory may be behind it when it is mounted.
    Dangling(Stat, Box<str>),
    /// A link to a directory: it is walked after the real tree, see [`What::Below`].
    Link,
    /// What follows lies below this link, up to the next of its kind. Nothing follows where the directory has
    /// been walked under another name.
    Below,
    /// A directory that could not be listed, and why. Some of its files may follow all the same.
    Unlisted(Box<str>),
    /// A directory that is sealed: nothing of it follows.
    Sealed,
    /// It went while its directory was listed.
    Gone,
    /// Not looked at yet.
    Pending {
        /// Of a link its target is looked at.
        is_link: bool,
    },
}

#[derive(Debug)]
struct Item {
    start: usize,
    end: usize,
    /// Where in the path the name begins.
    name: usize,
    directory: u32,
    what: What,
}

/// Entries in byte order of their paths.
#[derive(Debug, Default)]
pub struct Batch {
    /// Paths, each with a NUL behind it.
    paths: Vec<u8>,
    items: Vec<Item>,
    directories: Vec<Arc<OwnedFd>>,
}

impl Batch {
    /// Path and kind of each entry.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &What)> {
        let items = self.items.iter().filter(|i| i.what != What::Gone);
        items.map(|i| (self.paths.get(i.start..i.end).unwrap_or_default(), &i.what))
    }

    fn clear(&mut self) {
        self.paths.clear();
        self.items.clear();
        self.directories.clear();
    }

    fn is_full(&self) -> bool {
        self.items.len() >= BATCH_ENTRIES || self.directories.len() >= BATCH_DIRECTORIES
    }

    /// An entry `directory` + `name`; the name is NUL-terminated where it is looked at later.
    fn push(&mut self, directory: &[u8], name: &[u8], what: What) {
        let start = self.paths.len();
        self.paths.extend_from_slice(directory);
        if !directory.is_empty() && !name.is_empty() {
            self.paths.push(b'/');
        }
        let at = self.paths.len();
        self.paths.extend_from_slice(name);
        let end = self.paths.len();
        self.paths.push(0);
        let directory = self.directories.len().saturating_sub(1) as u32;
        self.items.push(Item { start, end, name: at, directory, what });
    }

    /// Looks at every entry that waits for it.
    fn look(&mut self) {
        let (paths, directories) = (&self.paths, &self.directories);
        let one = |item: &mut Item| {
            let What::Pending { is_link } = item.what else { return };
            let name = paths.get(item.name..=item.end).and_then(|n| CStr::from_bytes_with_nul(n).ok());
            let directory = directories.get(item.directory as usize);
            let looked = match name.zip(directory) {
                Some((name, directory)) => look_at(directory, name, is_link),
                None => Err(Errno::INVAL),
            };
            item.what = looked.unwrap_or_else(|error| match error {
                Errno::NOENT => What::Gone,
                other => {
                    // The directory is the path without the name and the `/` before it.
                    item.end = item.name.saturating_sub(1).max(item.start);
                    What::Unlisted(io::Error::from(other).to_string().into())
                }
            });
        };
        if self.items.len() <= CHUNK_ENTRIES {
            self.items.iter_mut().for_each(one);
        } else {
            self.items.par_chunks_mut(CHUNK_ENTRIES).for_each(|chunk| chunk.iter_mut().for_each(one));
        }
    }
}

fn statx(directory: &OwnedFd, name: &CStr, flags: AtFlags) -> Result<Statx, Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    rustix::io::retry_on_intr(|| rustix::fs::statx(directory, name, flags, wanted))
}

fn look_at(directory: &OwnedFd, name: &CStr, is_link: bool) -> Result<What, Errno> {
    if !is_link {
        return statx(directory, name, AtFlags::SYMLINK_NOFOLLOW).map(|x| What::File(stat_of_statx(&x)));
    }
    match statx(directory, name, AtFlags::empty()) {
        Ok(target) if file_type(&target) == FileType::Directory => Ok(What::Link),
        Ok(target) => Ok(What::File(stat_of_statx(&target))),
        // A link to nothing, or a circle of links: a row that is never opened.
        Err(error) => {
            let own = statx(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let error = io::Error::from(error);
            let why = format!("the target of a link cannot be reached: {error}");
            Ok(What::Dangling(stat_of_statx(&own), why.into()))
        }
    }
}

/// The path of something below a root.
pub fn join(root: &Path, below: &[u8]) -> PathBuf {
    if below.is_empty() { root.to_path_buf() } else { root.join(OsStr::from_bytes(below)) }
}

/// A walk on its way. Links to files and directories are followed, each directory once: by its own path, else by the
/// first link in byte order.
pub struct Walker<'a> {
    root: PathBuf,
    is_sealed: &'a dyn Fn(&[u8]) -> bool,
    /// Device and inode of directories that were entered or are left out.
    seen: HashSet<(u64, u64)>,
    /// The directories that are open in the sense of the walk, outermost first.
    stack: Vec<Listing>,
    /// Listings that can be used again.
    spare: Vec<Listing>,
    /// Path of the innermost directory.
    path: Vec<u8>,
    /// Links to directories: they wait until no real directory is left.
    links: BTreeSet<(Vec<u8>, usize)>,
    /// A root that is one file.
    single: Option<Stat>,
    /// Files are counted, not looked at.
    only_names: bool,
}

impl<'a> Walker<'a> {
    /// A walk of nothing.
    pub fn empty(is_sealed: &'a dyn Fn(&[u8]) -> bool) -> Walker<'a> {
        Walker {
            root: PathBuf::new(),
            is_sealed,
            seen: HashSet::new(),
            stack: vec![],
            spare: vec![],
            path: vec![],
            links: BTreeSet::new(),
            single: None,
            only_names: false,
        }
    }

    /// Walks a root; `skip` is a directory that is left out by whatever name it is found (the database itself);
    /// directories that are sealed are named, not entered. Errors: the root itself cannot be listed.
    pub fn new(root: &Path, skip: &Path, is_sealed: &'a dyn Fn(&[u8]) -> bool) -> io::Result<Walker<'a>> {
        let mut walker = Walker { root: root.to_path_buf(), ..Walker::empty(is_sealed) };
        walker.seen.extend(fs::metadata(skip).map(|m| (m.dev(), m.ino())));
        let mut first = Batch::default();
        walker.enter(0, &mut first)?;
        match first.items.into_iter().next().map(|i| i.what) {
            Some(What::Unlisted(why)) => Err(io::Error::other(String::from(why))),
            _ => Ok(walker),
        }
    }

    /// A walk that finds one file, which is the root.
    pub fn single(stat: Stat, is_sealed: &'a dyn Fn(&[u8]) -> bool) -> Walker<'a> {
        Walker { single: Some(stat), ..Walker::empty(is_sealed) }
    }

    /// Names alone: kinds stay [`What::Pending`], links to directories are not followed.
    pub fn names(self) -> Walker<'a> {
        Walker { only_names: true, ..self }
    }

    /// The next entries; false at the end.
    pub fn fill(&mut self, batch: &mut Batch) -> bool {
        batch.clear();
        if let Some(stat) = self.single.take() {
            batch.push(&[], &[], What::File(stat));
        }
        while !batch.is_full() {
            let is_done = if self.stack.is_empty() {
                // Links of this batch are not known yet.
                !batch.items.is_empty() || !self.next_link(batch)
            } else {
                self.step(batch);
                false
            };
            if is_done {
                break;
            }
        }
        if !self.only_names {
            batch.look();
        }
        for item in batch.items.iter().filter(|i| i.what == What::Link) {
            let path = batch.paths.get(item.start..item.end).unwrap_or_default();
            let depth = path.iter().filter(|b| **b == b'/').count() + 1;
            self.links.insert((path.to_vec(), depth));
        }
        !batch.items.is_empty()
    }

    /// Goes on with a link to a directory; false where none is left.
    fn next_link(&mut self, batch: &mut Batch) -> bool {
        let Some((path, depth)) = self.links.pop_first() else { return false };
        self.path.clone_from(&path);
        if let Err(error) = self.enter(depth, batch) {
            batch.push(&path, &[], What::Unlisted(error.to_string().into()));
            self.path.clear();
        }
        batch.push(&path, &[], What::Below);
        true
    }

    /// One entry of the innermost directory.
    fn step(&mut self, batch: &mut Batch) {
        let Some(listing) = self.stack.last_mut() else { return };
        let Some((name, kind)) = listing.advance() else {
            if let Some(done) = self.stack.pop() {
                self.spare.push(done);
            }
            self.path.truncate(self.stack.last().map_or(0, |l| l.path_bytes));
            return;
        };
        if kind == Kind::Directory {
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(name);
            let depth = listing.depth + 1;
            listing.close();
            if (self.is_sealed)(&self.path) {
                batch.push(&self.path, &[], What::Sealed);
                return self.leave();
            }
            if let Err(error) = self.enter(depth, batch) {
                batch.push(&self.path, &[], What::Unlisted(error.to_string().into()));
                self.leave();
            }
            return;
        }
        let is_link = kind == Kind::Link;
        if let Err(error) = listing.hold(&self.root, &self.path, &mut batch.directories) {
            return batch.push(&self.path, &[], What::Unlisted(error.to_string().into()));
        }
        let Some((name, _)) = listing.current() else { return };
        batch.push(&self.path, name, What::Pending { is_link });
    }

    /// The path of the directory above again.
    fn leave(&mut self) {
        self.path.truncate(self.stack.last().map_or(0, |l| l.path_bytes));
    }

    /// Lists the directory at `self.path` unless it has been.
    fn enter(&mut self, depth: usize, batch: &mut Batch) -> io::Result<()> {
        if depth >= DIRECTORY_DEPTH {
            return Err(io::Error::other(format!("deeper than {DIRECTORY_DEPTH} directories")));
        }
        let directory = open_directory(&join(&self.root, &self.path))?;
        let own = rustix::fs::fstat(&directory)?;
        if !self.seen.insert((own.st_dev, own.st_ino)) {
            self.leave();
            return Ok(());
        }
        let mut listing = self.spare.pop().unwrap_or_default();
        let listed = listing.read(directory, (self.path.len(), depth));
        self.stack.push(listing);
        if let Err(error) = listed {
            batch.push(&self.path, &[], What::Unlisted(error.to_string().into()));
        }
        Ok(())
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::io::retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))?)
}

/// Number of files below a root by their names, for a bar: links count as one.
pub fn count_files(root: &Path, skip: &Path) -> io::Result<u64> {
    let never = |_: &[u8]| false;
    let mut walker = Walker::new(root, skip, &never)?.names();
    let (mut batch, mut count) = (Batch::default(), 0);
    while walker.fill(&mut batch) {
        count += batch.entries().filter(|e| matches!(e.1, What::Pending { .. })).count() as u64;
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
