//! Lists a directory tree in byte order of paths, without opening a file: what REFRESH compares with what it knows.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Deepest directory that is entered: deeper trees are reported, not followed.
const DIRECTORY_DEPTH: usize = 4096;

/// A file as the directory shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Below the root, raw bytes.
    pub path: Vec<u8>,
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

impl Entry {
    /// Was this inode made after an older one of its number was last seen to change?
    pub fn is_younger_than(&self, ctime_ns: i64) -> bool {
        self.born_ns.is_some_and(|born_ns| born_ns > ctime_ns)
    }
}

/// What a walk found.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// Files by path bytes.
    pub entries: Vec<Entry>,
    /// Directories (below the root) that could not be listed, and why.
    pub unlisted: BTreeMap<Vec<u8>, String>,
    /// Links whose target cannot be reached, and why: a file or a directory may be behind them when it is mounted.
    pub dangling: BTreeMap<Vec<u8>, String>,
}

impl Walk {
    /// Why nothing is known of a path: a directory above it could not be listed.
    pub fn why_unlisted(&self, path: &[u8]) -> Option<&str> {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        let above = std::iter::once(0).chain(ends).filter_map(|end| path.get(..end));
        let why = |dir| self.unlisted.get(dir).or_else(|| self.dangling.get(dir));
        above.into_iter().find_map(why).map(String::as_str)
    }
}

/// Signature of a file from its metadata.
pub fn entry(path: Vec<u8>, metadata: &Metadata) -> Entry {
    let ns = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
    Entry {
        path,
        size: metadata.size(),
        mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
        ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
        born_ns: metadata.created().ok().and_then(|t| {
            let elapsed = t.duration_since(std::time::UNIX_EPOCH).ok()?;
            i64::try_from(elapsed.as_nanos()).ok()
        }),
        is_regular: metadata.is_file(),
    }
}

/// Walks a root; `skip` is a directory that is left out by whatever name it is found (the database itself). Links to
/// files and directories are followed, each directory once: by its own path, else by the first link in byte order.
/// Errors: the root itself cannot be listed.
pub fn walk(root: &Path, skip: &Path) -> io::Result<Walk> {
    let mut state = State::default();
    let top = fs::metadata(root)?;
    fs::read_dir(root)?;
    let skipped = fs::metadata(skip).map(|m| (m.dev(), m.ino()));
    state.seen.extend(skipped);
    state.seen.insert((top.dev(), top.ino()));
    state.pending.push((vec![], 0));
    while let Some((dir, depth)) = state.next_directory(root) {
        let listed = fs::read_dir(join(root, &dir)).and_then(|children| {
            for child in children {
                visit(child?, &dir, depth, &mut state)?;
            }
            Ok(())
        });
        if let Err(error) = listed {
            state.walk.unlisted.insert(dir, error.to_string());
        }
    }
    let mut walk = state.walk;
    walk.entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk)
}

/// The path of something below a root.
pub fn join(root: &Path, below: &[u8]) -> PathBuf {
    if below.is_empty() { root.to_path_buf() } else { root.join(OsStr::from_bytes(below)) }
}

/// A walk on its way.
#[derive(Default)]
struct State {
    walk: Walk,
    /// Device and inode of directories that were entered or are left out.
    seen: HashSet<(u64, u64)>,
    /// Directories to list, with their depth.
    pending: Vec<(Vec<u8>, usize)>,
    /// Links to directories: they wait until no real directory is left.
    links: BTreeSet<(Vec<u8>, usize)>,
}

impl State {
    fn next_directory(&mut self, root: &Path) -> Option<(Vec<u8>, usize)> {
        if let Some(next) = self.pending.pop() {
            return Some(next);
        }
        while let Some((path, depth)) = self.links.pop_first() {
            match fs::metadata(join(root, &path)) {
                Ok(target) if self.seen.insert((target.dev(), target.ino())) => return Some((path, depth)),
                Ok(_) => {}
                Err(error) => drop(self.walk.unlisted.insert(path, error.to_string())),
            }
        }
        None
    }
}

fn visit(child: fs::DirEntry, dir: &[u8], depth: usize, state: &mut State) -> io::Result<()> {
    let mut path = dir.to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(child.file_name().as_bytes());
    let own = match child.metadata() {
        Ok(own) => own,
        // It went while the directory was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let is_link = own.file_type().is_symlink();
    let metadata = match is_link.then(|| fs::metadata(child.path())) {
        Some(Ok(target)) => target,
        // A link to nothing, or a circle of links: a row that is never opened.
        Some(Err(error)) => {
            state
                .walk
                .dangling
                .insert(path.clone(), format!("the target of a link cannot be reached: {error}"));
            own
        }
        None => own,
    };
    if !metadata.is_dir() {
        state.walk.entries.push(entry(path, &metadata));
    } else if depth >= DIRECTORY_DEPTH {
        state.walk.unlisted.insert(path, format!("deeper than {DIRECTORY_DEPTH} directories"));
    } else if is_link {
        state.links.insert((path, depth + 1));
    } else if state.seen.insert((metadata.dev(), metadata.ino())) {
        state.pending.push((path, depth + 1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_byte_order_and_survives_loops() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let root = dir.path();
        fs::create_dir_all(root.join("b/c"))?;
        fs::create_dir(root.join("db.sqk"))?;
        for name in ["b/c/2", "b-1", "a", "db.sqk/lock"] {
            fs::write(root.join(name), b"x")?;
        }
        std::os::unix::fs::symlink(root, root.join("b/loop"))?;
        std::os::unix::fs::symlink("nowhere", root.join("dangling"))?;
        fs::create_dir(root.join("z"))?;
        std::os::unix::fs::symlink(root.join("b"), root.join("a-link"))?;
        std::os::unix::fs::symlink(root.join("db.sqk"), root.join("z/db"))?;
        let walk = walk(root, &root.join("z/../db.sqk"))?;
        let paths: Vec<&[u8]> = walk.entries.iter().map(|e| e.path.as_slice()).collect();
        assert_eq!(paths, [&b"a"[..], b"b-1", b"b/c/2", b"dangling"]);
        assert!(!walk.entries[3].is_regular);
        assert!(walk.unlisted.is_empty());
        assert_eq!(walk.why_unlisted(b"b/c/2"), None);
        assert!(walk.why_unlisted(b"dangling/2019/a").is_some_and(|why| why.contains("target of a link")));
        assert_eq!(walk.why_unlisted(b"danglingly/2019/a"), None);
        Ok(())
    }
}
