//! Lists a directory tree in byte order of paths, without opening a file: what REFRESH compares with what it knows.

use std::collections::HashSet;
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
    /// A pipe, device or socket is listed and never opened.
    pub is_regular: bool,
}

/// What a walk found.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// Files by path bytes.
    pub entries: Vec<Entry>,
    /// Directories (below the root) that could not be listed, and why.
    pub unlisted: Vec<(Vec<u8>, String)>,
}

impl Walk {
    /// Does the path lie under a directory that could not be listed?
    pub fn is_unlisted(&self, path: &[u8]) -> bool {
        self.unlisted.iter().any(|(dir, _)| {
            dir.is_empty() || (path.starts_with(dir) && path.get(dir.len()) == Some(&b'/'))
        })
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
        is_regular: metadata.is_file(),
    }
}

/// Walks a root; `skip` is a directory that is left out (the database itself). Links to files and directories are
/// followed, each directory once. Errors: the root itself cannot be listed.
pub fn walk(root: &Path, skip: &Path) -> io::Result<Walk> {
    let mut walk = Walk::default();
    let mut seen: HashSet<(u64, u64)> = HashSet::new();
    let top = fs::metadata(root)?;
    seen.insert((top.dev(), top.ino()));
    fs::read_dir(root)?;
    let mut pending: Vec<(Vec<u8>, usize)> = vec![(vec![], 0)];
    while let Some((dir, depth)) = pending.pop() {
        let full = join(root, &dir);
        let listed = list(&full, skip).and_then(|children| {
            for child in children {
                visit(child, &dir, depth, (&mut walk, &mut seen, &mut pending))?;
            }
            Ok(())
        });
        if let Err(error) = listed {
            walk.unlisted.push((dir, error.to_string()));
        }
    }
    walk.entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk)
}

/// The path of something below a root.
pub fn join(root: &Path, below: &[u8]) -> PathBuf {
    if below.is_empty() { root.to_path_buf() } else { root.join(OsStr::from_bytes(below)) }
}

fn list(dir: &Path, skip: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut children = vec![];
    for child in fs::read_dir(dir)? {
        let child = child?;
        if child.path() != skip {
            children.push(child);
        }
    }
    Ok(children)
}

type State<'a> = (&'a mut Walk, &'a mut HashSet<(u64, u64)>, &'a mut Vec<(Vec<u8>, usize)>);

fn visit(child: fs::DirEntry, dir: &[u8], depth: usize, state: State<'_>) -> io::Result<()> {
    let (walk, seen, pending) = state;
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
    let metadata = if own.file_type().is_symlink() {
        match fs::metadata(child.path()) {
            Ok(target) => target,
            // A link to nothing, or a circle of links: a row that is never opened.
            Err(_) => own,
        }
    } else {
        own
    };
    if !metadata.is_dir() {
        walk.entries.push(entry(path, &metadata));
    } else if depth >= DIRECTORY_DEPTH {
        walk.unlisted.push((path, format!("deeper than {DIRECTORY_DEPTH} directories")));
    } else if seen.insert((metadata.dev(), metadata.ino())) {
        pending.push((path, depth + 1));
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
        let walk = walk(root, &root.join("db.sqk"))?;
        let paths: Vec<&[u8]> = walk.entries.iter().map(|e| e.path.as_slice()).collect();
        assert_eq!(paths, [&b"a"[..], b"b-1", b"b/c/2", b"dangling"]);
        assert_eq!(walk.entries[3].is_regular, false);
        assert!(walk.unlisted.is_empty());
        Ok(())
    }
}
