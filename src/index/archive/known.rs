//! The living files of a source, over all its parts, in byte order of their paths: what a walk of its directory is
//! compared with, side by side. Nothing is held in memory but the place in each part.

use super::{Archive, Part};

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
pub struct Signature {
    /// Bytes.
    pub size: u64,
    /// Last change of the content, ns since 1970.
    pub mtime_ns: i64,
    /// Last change of the inode, ns since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// xxh3 of the first and last block.
    pub hash: u64,
    /// It is read again next time.
    pub is_unsure: bool,
    /// Its rows are kept although it could not be reached.
    pub is_unreachable: bool,
    /// Not a waveform.
    pub is_other: bool,
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

    /// From the first path on.
    pub fn cursor(&self) -> Cursor<'a> {
        let parts = self.archive.parts.iter().enumerate().filter(|(_, p)| p.source == self.source);
        let heads = parts.map(|(part, p)| Head { part: part as u32, of: p, next: first_alive(p, 0) });
        let mut cursor = Cursor { heads: heads.collect(), current: 0, is_alone_until: None };
        cursor.choose();
        cursor
    }

    /// Is a living file below this directory?
    pub fn has_below(&self, directory: &[u8]) -> bool {
        let prefix = below(directory);
        let mut cursor = self.cursor();
        cursor.seek(&prefix);
        cursor.path().is_some_and(|path| path.starts_with(&prefix))
    }

    /// Number of living files.
    pub fn count(&self) -> usize {
        let parts = self.archive.parts.iter().filter(|p| p.source == self.source);
        parts.map(|p| p.file_count() - p.dead.len()).sum()
    }

    /// What is known of a file.
    pub fn signature(&self, place: Place) -> Option<Signature> {
        Some(self.archive.parts.get(place.part as usize)?.signature(place.file))
    }

    /// Its path below the root.
    pub fn path(&self, place: Place) -> &'a [u8] {
        self.archive.parts.get(place.part as usize).map_or(&[], |p| p.path(place.file))
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
    next: u32,
}

impl<'a> Head<'a> {
    fn path(&self) -> Option<&'a [u8]> {
        ((self.next as usize) < self.of.file_count()).then(|| self.of.path(self.next))
    }
}

fn first_alive(part: &Part, from: u32) -> u32 {
    (from..part.file_count() as u32).find(|f| part.is_alive(*f)).unwrap_or(part.file_count() as u32)
}

/// First file of a part whose path is not below `path` in byte order.
fn lower_bound(part: &Part, path: &[u8]) -> u32 {
    let (mut low, mut high) = (0, part.file_count() as u32);
    while low < high {
        let middle = low + (high - low) / 2;
        if part.path(middle) < path {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// A place in the files of a source.
#[derive(Debug)]
pub struct Cursor<'a> {
    heads: Vec<Head<'a>>,
    current: usize,
    /// The current part is read without looking at the others up to this path, the least of theirs.
    is_alone_until: Option<&'a [u8]>,
}

impl<'a> Cursor<'a> {
    /// Path of the file that the cursor stands at.
    pub fn path(&self) -> Option<&'a [u8]> {
        self.heads.get(self.current)?.path()
    }

    /// Where that file lies.
    pub fn place(&self) -> Option<Place> {
        let head = self.heads.get(self.current)?;
        head.path().map(|_| Place { part: head.part, file: head.next })
    }

    /// What is known of it.
    pub fn signature(&self) -> Option<Signature> {
        let head = self.heads.get(self.current)?;
        head.path().map(|_| head.of.signature(head.next))
    }

    /// To the next file.
    pub fn advance(&mut self) {
        let Some(head) = self.heads.get_mut(self.current) else { return };
        head.next = first_alive(head.of, head.next.saturating_add(1));
        let is_first = match (head.path(), self.is_alone_until) {
            (Some(path), Some(other)) => path < other,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if !is_first {
            self.choose();
        }
    }

    /// To the first file whose path is not less than `path`; backwards too.
    pub fn seek(&mut self, path: &[u8]) {
        for head in &mut self.heads {
            head.next = first_alive(head.of, lower_bound(head.of, path));
        }
        self.choose();
    }

    /// Behind all files below a directory; how many living ones there are from the cursor on.
    pub fn skip_below(&mut self, directory: &[u8]) -> usize {
        let prefix = below(directory);
        // The first path that does not begin with the prefix: `/` and its successor `0`.
        let end = prefix.split_last().map(|(last, head)| [head, &[last.saturating_add(1)]].concat());
        let mut skipped = 0;
        for head in &mut self.heads {
            let to = end.as_ref().map_or(head.of.file_count() as u32, |end| lower_bound(head.of, end));
            let from = head.next.max(lower_bound(head.of, &prefix));
            if from < to {
                let dead = head.of.dead.iter().filter(|f| (from..to).contains(f)).count();
                skipped += (to - from) as usize - dead;
            }
            head.next = first_alive(head.of, head.next.max(to));
        }
        self.choose();
        skipped
    }

    /// Finds the part with the least path, and the least of the others.
    fn choose(&mut self) {
        let mut least: Option<(usize, &'a [u8])> = None;
        let mut second: Option<&'a [u8]> = None;
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
        self.current = least.map_or(self.heads.len(), |l| l.0);
        self.is_alone_until = second;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::index::archive::{FileRow, part_of_rows};

    fn archive(parts: &[(Vec<String>, Vec<u32>)]) -> Archive {
        let part = |(names, dead): &(Vec<String>, Vec<u32>)| {
            let row = |n: &String| (FileRow { path: n.clone().into_bytes(), ..FileRow::default() }, vec![]);
            let mut part = part_of_rows("s", names.iter().map(row).collect()).unwrap();
            part.dead = dead.iter().copied().filter(|d| (*d as usize) < names.len()).collect::<HashSet<_>>();
            part
        };
        Archive { parts: parts.iter().map(part).collect() }
    }

    /// The living paths of all parts, sorted: what the cursor must give.
    fn living(archive: &Archive) -> Vec<Vec<u8>> {
        let mut all = vec![];
        for part in &archive.parts {
            all.extend(
                (0..part.file_count() as u32).filter(|f| part.is_alive(*f)).map(|f| part.path(f).to_vec()),
            );
        }
        all.sort();
        all
    }

    fn rest(cursor: &mut Cursor<'_>) -> Vec<Vec<u8>> {
        let mut found = vec![];
        while let Some(path) = cursor.path() {
            found.push(path.to_vec());
            cursor.advance();
        }
        found
    }

    proptest! {
        #[test]
        fn the_cursor_merges_seeks_and_skips(
            parts in prop::collection::vec(
                (prop::collection::btree_set("[ab/]{1,4}", 0..9), prop::collection::vec(0_u32..9, 0..4)), 0..4),
            to in "[ab/]{0,3}",
        ) {
            let parts: Vec<_> = parts.into_iter().map(|(n, d)| (n.into_iter().collect(), d)).collect();
            let archive = archive(&parts);
            let known = Known::new(&archive, "s");
            let all = living(&archive);
            prop_assert_eq!(known.count(), all.len());
            prop_assert_eq!(&rest(&mut known.cursor()), &all);
            let mut cursor = known.cursor();
            cursor.seek(to.as_bytes());
            let from: Vec<_> = all.iter().filter(|p| p.as_slice() >= to.as_bytes()).cloned().collect();
            prop_assert_eq!(rest(&mut cursor), from);
            let mut prefix = to.clone().into_bytes();
            if !prefix.is_empty() { prefix.push(b'/') }
            let inside = all.iter().filter(|p| p.starts_with(&prefix)).count();
            prop_assert_eq!(known.has_below(to.as_bytes()), inside > 0);
            cursor.seek(&prefix);
            prop_assert_eq!(cursor.skip_below(to.as_bytes()), inside);
            let after: Vec<_> =
                all.iter().filter(|p| p.as_slice() > prefix.as_slice() && !p.starts_with(&prefix)).cloned().collect();
            prop_assert_eq!(rest(&mut cursor), after);
        }
    }
}
