//! The directory of a database: every call that changes or opens a file goes through [`Dir`], so that tests can
//! let any one of them fail. Names are relative to the directory's descriptor: it may be renamed while open \[I5\].

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; made when missing.
    Update,
    /// For reading and writing; it must not exist.
    Create,
}

/// A lock on an open file, taken without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Many may hold it: a reader's lease.
    Shared,
    /// One may hold it: the writer, or garbage collection.
    Exclusive,
}

/// The calls the store makes. Names are relative, with `/`; the empty name is the directory itself.
pub trait Dir: std::fmt::Debug + Send + Sync {
    /// Where the directory was when it was opened: for messages only.
    fn path(&self) -> &Path;
    /// Opens a file of the directory; symbolic links are not followed.
    fn open(&self, name: &str, access: Access) -> io::Result<File>;
    /// Makes a subdirectory; one that exists is fine.
    fn make_dir(&self, name: &str) -> io::Result<()>;
    /// Fills `bytes` from `offset`; the file's end before that is an error.
    fn read_at(&self, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Sets the length (redb and the lock file only, never a published file \[I3\]).
    fn set_len(&self, file: &File, len: u64) -> io::Result<()>;
    /// Forces data and length to the disk.
    fn sync(&self, file: &File) -> io::Result<()>;
    /// Forces the names in a subdirectory to the disk.
    fn sync_dir(&self, name: &str) -> io::Result<()>;
    /// Renames, replacing what is there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes a hard link; `to` must not exist.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name.
    fn unlink(&self, name: &str) -> io::Result<()>;
    /// The names of the files in a subdirectory, sorted; names that are not UTF-8 are left out.
    fn list(&self, name: &str) -> io::Result<Vec<String>>;
    /// Tries to lock an open file; false when another holds it.
    fn try_lock(&self, file: &File, lock: Lock) -> io::Result<bool>;
    /// What [`Self::sync`] and [`Self::sync_dir`] have cost so far, where it is counted.
    fn syncs(&self) -> Syncs {
        Syncs::default()
    }
}

/// What waiting for the disk has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Syncs {
    /// Calls of fsync.
    pub count: u64,
    /// Time in them.
    pub time: Duration,
}

/// Gives an I/O error its verb and place.
pub(super) fn at<'a>(
    dir: &'a dyn Dir,
    action: &'static str,
    name: &'a str,
) -> impl Fn(io::Error) -> Error + 'a {
    move |source| Error::io(action, dir.path().join(name), source)
}

/// Unlinks a file that may be gone already.
pub(super) fn unlink_if_there(dir: &dyn Dir, name: &str) -> Result<()> {
    match dir.unlink(name) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at(dir, "remove", name)(e)),
        _ => Ok(()),
    }
}

/// Opens a file that may be missing.
pub(super) fn open_if_there(dir: &dyn Dir, name: &str, access: Access) -> Result<Option<File>> {
    match dir.open(name, access) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(at(dir, "open", name)(e)),
    }
}

/// Are two open files the same file?
pub(super) fn is_same_file(a: &File, b: &File) -> io::Result<bool> {
    let (a, b) = (a.metadata()?, b.metadata()?);
    Ok(a.dev() == b.dev() && a.ino() == b.ino())
}

/// A directory on disk.
#[derive(Debug)]
pub struct RealDir {
    path: PathBuf,
    descriptor: File,
    syncs: AtomicU64,
    sync_ns: AtomicU64,
}

impl RealDir {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// Those of `open(2)`: among others it is missing, or is not a directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = rustix::fs::open(path, flags, Mode::empty())?;
        let descriptor = File::from(descriptor);
        let (syncs, sync_ns) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(RealDir { path: path.to_path_buf(), descriptor, syncs, sync_ns })
    }

    fn counted_sync(&self, file: &File) -> io::Result<()> {
        let begun = Instant::now();
        let done = file.sync_all();
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.sync_ns.fetch_add(ns, Ordering::Relaxed);
        done
    }

    fn open_dir(&self, name: &str) -> io::Result<File> {
        let name = if name.is_empty() { "." } else { name };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(rustix::fs::openat(&self.descriptor, name, flags, Mode::empty())?))
    }
}

impl Dir for RealDir {
    fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self, name: &str, access: Access) -> io::Result<File> {
        let flags = match access {
            // a FIFO that somebody put in the place of a file must not make us wait
            Access::Read => OFlags::RDONLY | OFlags::NONBLOCK,
            Access::Update => OFlags::RDWR | OFlags::CREATE,
            Access::Create => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&self.descriptor, name, flags, Mode::from_raw_mode(0o666))?;
        Ok(File::from(file))
    }

    fn make_dir(&self, name: &str) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.descriptor, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn read_at(&self, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(bytes, offset)
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.counted_sync(file)
    }

    fn sync_dir(&self, name: &str) -> io::Result<()> {
        self.counted_sync(&self.open_dir(name)?)
    }

    fn syncs(&self) -> Syncs {
        let time = Duration::from_nanos(self.sync_ns.load(Ordering::Relaxed));
        Syncs { count: self.syncs.load(Ordering::Relaxed), time }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.descriptor, from, &self.descriptor, to)?)
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(&self.descriptor, from, &self.descriptor, to, AtFlags::empty())?)
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty())?)
    }

    fn list(&self, name: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(self.open_dir(name)?)? {
            match entry?.file_name().to_str() {
                Ok(name) if name != "." && name != ".." => names.push(name.to_owned()),
                _ => {}
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn try_lock(&self, file: &File, lock: Lock) -> io::Result<bool> {
        let operation = match lock {
            Lock::Shared => FlockOperation::NonBlockingLockShared,
            Lock::Exclusive => FlockOperation::NonBlockingLockExclusive,
        };
        match rustix::fs::flock(file, operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

/// Directories that break on purpose.
#[cfg(test)]
pub(crate) mod faulty {
    use super::*;
    use std::sync::Mutex;

    #[derive(Debug, Default)]
    struct State {
        calls: usize,
        fail_at: Option<usize>,
        /// After the failure every further call fails too, as if the process had died.
        stays_dead: bool,
        log: Vec<String>,
    }

    /// A directory whose N-th call fails. A write that fails leaves its first half behind; nothing waits for the disk.
    #[derive(Debug)]
    pub(crate) struct FaultyDir {
        real: RealDir,
        state: Mutex<State>,
    }

    impl FaultyDir {
        pub(crate) fn open(path: &Path) -> Self {
            FaultyDir { real: RealDir::open(path).unwrap(), state: Mutex::default() }
        }

        /// Counts from 1 from now on.
        pub(crate) fn fail_at(&self, call: usize, stays_dead: bool) {
            let mut state = self.state.lock().unwrap();
            *state = State { fail_at: Some(call), stays_dead, ..State::default() };
        }

        pub(crate) fn calls(&self) -> usize {
            self.state.lock().unwrap().calls
        }

        pub(crate) fn log(&self) -> Vec<String> {
            self.state.lock().unwrap().log.clone()
        }

        fn gate(&self, what: &str, name: &str) -> io::Result<()> {
            let mut state = self.state.lock().unwrap();
            state.calls += 1;
            state.log.push(format!("{what} {name}").trim().to_owned());
            let fails = match state.fail_at {
                Some(n) if state.stays_dead => state.calls >= n,
                Some(n) => state.calls == n,
                None => false,
            };
            if fails { Err(io::Error::other("planted fault")) } else { Ok(()) }
        }
    }

    impl Dir for FaultyDir {
        fn path(&self) -> &Path {
            self.real.path()
        }
        fn open(&self, name: &str, access: Access) -> io::Result<File> {
            self.gate("open", name)?;
            self.real.open(name, access)
        }
        fn make_dir(&self, name: &str) -> io::Result<()> {
            self.gate("make_dir", name)?;
            self.real.make_dir(name)
        }
        fn read_at(&self, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
            self.gate("read", "")?;
            self.real.read_at(file, bytes, offset)
        }
        fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
            if let Err(e) = self.gate("write", "") {
                let _ = self.real.write_at(file, &bytes[..bytes.len() / 2], offset);
                return Err(e);
            }
            self.real.write_at(file, bytes, offset)
        }
        fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
            self.gate("set_len", "")?;
            self.real.set_len(file, len)
        }
        fn sync(&self, _: &File) -> io::Result<()> {
            self.gate("sync", "")
        }
        fn sync_dir(&self, name: &str) -> io::Result<()> {
            self.gate("sync_dir", name)
        }
        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            self.gate("rename", to)?;
            self.real.rename(from, to)
        }
        fn link(&self, from: &str, to: &str) -> io::Result<()> {
            self.gate("link", to)?;
            self.real.link(from, to)
        }
        fn unlink(&self, name: &str) -> io::Result<()> {
            self.gate("unlink", name)?;
            self.real.unlink(name)
        }
        fn list(&self, name: &str) -> io::Result<Vec<String>> {
            self.gate("list", name)?;
            self.real.list(name)
        }
        fn try_lock(&self, file: &File, lock: Lock) -> io::Result<bool> {
            self.gate("lock", "")?;
            self.real.try_lock(file, lock)
        }
    }
}
