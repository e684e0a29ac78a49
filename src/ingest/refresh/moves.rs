//! Files that went, to find the new paths they went to.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;

use crate::error::Result;
use crate::index::archive::{Known, KnownFile, Place};
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
    pub(super) fn add(&mut self, place: Place, known: &KnownFile) -> bool {
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
    pub(super) fn holds(&self, place: Place, known: &KnownFile) -> bool {
        self.of_key(key(known.size, known.mtime_ns)).any(|i| self.list[i].1 == place)
    }

    fn of_key(&self, key: u64) -> impl Iterator<Item = usize> {
        let from = self.list.partition_point(|g| g.0 < key);
        let to = from + self.list[from..].partition_point(|g| g.0 == key);
        from..to
    }

    /// Takes the first file of a size and time of change that meets a condition on what is known and its ends.
    fn take(
        &mut self,
        stat: &Stat,
        known: Known<'_>,
        meets: impl Fn(&KnownFile, u64) -> bool,
    ) -> Result<Option<Place>> {
        let is_file = stat.is_regular && stat.size > 0 && !self.list.is_empty();
        let key = key(stat.size, stat.mtime_ns);
        let candidates: Vec<usize> = if is_file { self.of_key(key).collect() } else { vec![] };
        for at in candidates.into_iter().filter(|&at| !self.is_taken[at]) {
            let (old, hash) = known.file(self.list[at].1)?;
            let is_sure = !old.is_unsure && !old.is_unreachable;
            if is_sure && (old.size, old.mtime_ns) == (stat.size, stat.mtime_ns) && meets(&old, hash) {
                self.is_taken[at] = true;
                return Ok(Some(self.list[at].1));
            }
        }
        Ok(None)
    }

    /// Is there one left of this size and time of change?
    fn has_shape(&self, stat: &Stat) -> bool {
        let is_file = stat.is_regular && stat.size > 0 && !self.list.is_empty();
        is_file && self.of_key(key(stat.size, stat.mtime_ns)).any(|at| !self.is_taken[at])
    }

    /// The file that now has this inode, size and time of change: the better evidence, to be asked first.
    pub(super) fn by_inode(&mut self, stat: &Stat, known: Known<'_>) -> Result<Option<Place>> {
        self.take(stat, known, |old, _| old.inode == stat.inode && !stat.is_younger_than(old.ctime_ns))
    }

    /// The file of this size, time of change and ends; true when the ends had to be read.
    pub(super) fn by_ends(
        &mut self,
        new: (&[u8], &Stat),
        root: &Path,
        known: Known<'_>,
    ) -> Result<(Option<Place>, bool)> {
        let (path, stat) = new;
        if !self.has_shape(stat) {
            return Ok((None, false));
        }
        let Ok(now) = signature_only(&join(root, path)) else { return Ok((None, true)) };
        Ok((self.take(stat, known, |_, hash| hash == now)?, true))
    }

    /// Those whose new path was not found, by path.
    pub(super) fn rest(self, known: Known<'_>) -> Result<Vec<Place>> {
        let taken = self.is_taken;
        let rest = self.list.into_iter().zip(taken).filter(|(_, taken)| !taken).map(|(g, _)| g.1);
        let mut rest = rest.map(|place| Ok((known.path(place)?, place))).collect::<Result<Vec<_>>>()?;
        rest.sort();
        Ok(rest.into_iter().map(|(_, place)| place).collect())
    }
}
