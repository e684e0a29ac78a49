//! The lock file: who writes now, or what the last writer left.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::error::{Error, Result};

use super::LOCK;
use super::dir::{Access, Dir, Lock, at, open_if_there};
use super::manifest::MANIFEST;

/// Longest text of a lock file that is read, in bytes.
const HOLDER_BYTES: u64 = 4096;
const READ_BYTES: usize = 1 << 20;

/// The writer's lock \[I1\], given back when this is dropped.
#[derive(Debug)]
pub(super) struct WriterLock {
    dir: Arc<dyn Dir>,
    file: File,
    /// Is the manifest as it should be, so that dropping may put the mark of \[I25\]?
    leaves_mark: bool,
}

impl WriterLock {
    /// Takes the lock at once, or names the holder; then compares the manifest with the mark \[I25\] and puts
    /// pid, host and the first line of the statement in its place.
    pub(super) fn take(dir: &Arc<dyn Dir>, statement: &str) -> Result<WriterLock> {
        let (lock, text) = WriterLock::take_unmarked(dir)?;
        if let Some(mark) = Mark::parse(&text)
            && Mark::of_manifest(&**dir)? != Some(mark)
        {
            let reason =
                "it is not as the last writer left it: damaged, or a file of another copy [I25]".to_owned();
            return Err(Error::Damaged { path: dir.path().join(MANIFEST), block: None, reason });
        }
        lock.sign(statement)?;
        Ok(lock)
    }

    /// Takes the lock, whatever the mark says, to make the manifest anew; also returns the text of the lock file.
    pub(super) fn take_unmarked(dir: &Arc<dyn Dir>) -> Result<(WriterLock, String)> {
        let file = dir.open(LOCK, Access::Update).map_err(at(&**dir, "open", LOCK))?;
        let is_ours = dir.try_lock(&file, Lock::Exclusive).map_err(at(&**dir, "lock", LOCK))?;
        let mut text = Vec::new();
        let read = (&file).take(HOLDER_BYTES).read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text).into_owned();
        if !is_ours {
            let holder = text.trim().replace('\n', ", ");
            return Err(Error::Locked { path: dir.path().join(LOCK), holder });
        }
        read.map_err(at(&**dir, "read", LOCK))?;
        Ok((WriterLock { dir: Arc::clone(dir), file, leaves_mark: false }, text))
    }

    /// Says who writes, in the place of the mark.
    pub(super) fn sign(&self, statement: &str) -> Result<()> {
        let system = rustix::system::uname();
        let host = system.nodename().to_string_lossy();
        let first_line = statement.lines().next().unwrap_or_default();
        let pid = std::process::id();
        self.write(&format!("pid {pid}\nhost {host}\nstatement {first_line}\n"))?;
        // The mark must be gone from the disk before redb changes the manifest.
        self.dir.sync(&self.file).map_err(at(&*self.dir, "sync", LOCK))
    }

    /// To be set while redb has the manifest open in good order, and cleared when an outcome is open \[I16\].
    pub(super) fn leave_mark(&mut self, leaves_mark: bool) {
        self.leaves_mark = leaves_mark;
    }

    fn write(&self, text: &str) -> Result<()> {
        let dir = &*self.dir;
        dir.set_len(&self.file, 0).map_err(at(dir, "write", LOCK))?;
        dir.write_at(&self.file, text.as_bytes(), 0).map_err(at(dir, "write", LOCK))
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        if self.leaves_mark
            && let Ok(Some(mark)) = Mark::of_manifest(&*self.dir)
        {
            // Without a mark the next writer relies on redb's own repair: nothing is lost when this fails.
            let _ = self.write(&mark.text());
        }
        // Closing alone would leave the lock with a child that another thread has just forked, until it calls exec.
        let _ = self.file.unlock();
    }
}

/// Length and xxh3 of the manifest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mark {
    bytes: u64,
    checksum: u64,
}

impl Mark {
    /// Of the manifest as it lies on the disk, synced before it got its name; `None` when there is none.
    fn of_manifest(dir: &dyn Dir) -> Result<Option<Mark>> {
        let Some(file) = open_if_there(dir, MANIFEST, Access::Read)? else { return Ok(None) };
        let bytes = file.metadata().map_err(at(dir, "stat", MANIFEST))?.len();
        let mut hash = Xxh3::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut offset = 0;
        while offset < bytes {
            let part = &mut buffer[..READ_BYTES.min((bytes - offset) as usize)];
            dir.read_at(&file, part, offset).map_err(at(dir, "read", MANIFEST))?;
            hash.update(part);
            offset += part.len() as u64;
        }
        Ok(Some(Mark { bytes, checksum: hash.digest() }))
    }

    /// `closed BYTES XXH3 CHECK`, CHECK being the xxh3 of what stands before it: a torn mark is no mark.
    fn text(&self) -> String {
        let text = format!("closed {} {:016x} ", self.bytes, self.checksum);
        let check = xxh3_64(text.as_bytes());
        format!("{text}{check:016x}\n")
    }

    fn parse(text: &str) -> Option<Mark> {
        let mut words = text.strip_prefix("closed ")?.split(' ');
        let bytes = words.next()?.parse().ok()?;
        let checksum = u64::from_str_radix(words.next()?, 16).ok()?;
        let mark = Mark { bytes, checksum };
        (mark.text() == text).then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_both_ways_and_torn_ones_are_none() {
        let mark = Mark { bytes: 1_589_248, checksum: 0xabc };
        let text = mark.text();
        assert_eq!(Mark::parse(&text), Some(mark));
        assert!((0..text.len()).all(|cut| Mark::parse(&text[..cut]).is_none()));
        assert_eq!(Mark::parse(&text.replace("abc", "abd")), None);
        assert_eq!(Mark::parse("pid 1\nhost x\nstatement y\n"), None);
    }
}
