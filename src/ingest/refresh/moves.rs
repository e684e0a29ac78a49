//! Files that went, to find the new paths they went to.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;

use crate::index::archive::{Known, Place, Signature};
use crate::ingest::build::signature_only;
use crate::ingest::walk::{Stat, join};

/// Most files that went whose new paths are looked for: 17 bytes each.
const GONE_KEPT: usize = 1 << 20;

/// Files that went, by size and time of change.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Sorted by the hash of the shape once it is complete; those of equal shape stay in order of their paths.
    list: Vec<(u64, Place)>,
    is_taken: Vec<bool>,
}

fn key(size: u64, mtime_ns: i64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (size, mtime_ns).hash(&mut hasher);
    hasher.finish()
}

impl Gone {
    /// Adds a file; false when there are too many: it is not paired then.
    pub(super) fn add(&mut self, place: Place, known: &Signature) -> bool {
        if self.list.len() >= GONE_KEPT {
            return false;
        }
        self.list.push((key(known.size, known.mtime_ns), place));
        true
    }

    /// All have been added.
    pub(super) fn complete(&mut self) {
        self.list.sort_by_key(|g| g.0);
        self.is_taken = vec![false; self.list.len()];
    }

    /// Was the file added?
    pub(super) fn holds(&self, place: Place, known: &Signature) -> bool {
        self.of_key(key(known.size, known.mtime_ns)).any(|i| self.list[i].1 == place)
    }

    fn of_key(&self, key: u64) -> impl Iterator<Item = usize> {
        let from = self.list.partition_point(|g| g.0 < key);
        let to = from + self.list[from..].partition_point(|g| g.0 == key);
        from..to
    }

    /// Takes the first file of a size and time of change that meets a condition.
    fn take(&mut self, stat: &Stat, known: Known<'_>, meets: impl Fn(&Signature) -> bool) -> Option<Place> {
        let at = self.candidates(stat, known).find(|(_, old)| meets(old)).map(|c| c.0)?;
        self.is_taken[at] = true;
        Some(self.list[at].1)
    }

    fn candidates(&self, stat: &Stat, known: Known<'_>) -> impl Iterator<Item = (usize, Signature)> {
        let is_file = stat.is_regular && stat.size > 0 && !self.list.is_empty();
        let shape = (stat.size, stat.mtime_ns);
        let all = is_file.then(|| self.of_key(key(stat.size, stat.mtime_ns))).into_iter().flatten();
        all.filter(|&i| !self.is_taken[i])
            .filter_map(move |i| known.signature(self.list[i].1).map(|s| (i, s)))
            .filter(move |(_, s)| (s.size, s.mtime_ns) == shape && !s.is_unsure && !s.is_unreachable)
    }

    /// The file that now has this inode, size and time of change: the better evidence, to be asked first.
    pub(super) fn by_inode(&mut self, stat: &Stat, known: Known<'_>) -> Option<Place> {
        self.take(stat, known, |old| old.inode == stat.inode && !stat.is_younger_than(old.ctime_ns))
    }

    /// The file of this size, time of change and ends; true when the ends had to be read.
    pub(super) fn by_ends(&mut self, new: (&[u8], &Stat), root: &Path, known: Known<'_>) -> (Option<Place>, bool) {
        let (path, stat) = new;
        if self.candidates(stat, known).next().is_none() {
            return (None, false);
        }
        let hash = signature_only(&join(root, path)).ok();
        (hash.and_then(|hash| self.take(stat, known, |old| old.hash == hash)), true)
    }

    /// Those whose new path was not found, by path.
    pub(super) fn rest(self, known: Known<'_>) -> Vec<Place> {
        let taken = self.is_taken;
        let mut rest: Vec<Place> =
            self.list.into_iter().zip(taken).filter(|(_, taken)| !taken).map(|(g, _)| g.1).collect();
        rest.sort_by(|a, b| known.path(*a).cmp(known.path(*b)));
        rest
    }
}
