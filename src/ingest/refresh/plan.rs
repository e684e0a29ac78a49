//! PLAN of a refresh: what of an archive is not as its index has it, found without opening files that did not change.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Job, Keeps};
use crate::error::{Error, Result};
use crate::index::archive::{Archive, FileRow};
use crate::ingest::build::signature_only;
use crate::ingest::walk::{self, Entry, Walk, join};
use crate::store::SourceEntry;

/// State of a file that keeps its rows although it cannot be reached.
pub(super) const UNREACHABLE: &str = "unreachable";

/// What a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Not known yet.
    New,
    /// Size, time of change or inode differ.
    Changed,
    /// Known under a path that is gone.
    Moved,
    /// Its directory was listed and it was not there.
    Removed,
    /// Its directory could not be listed.
    Unreachable,
    /// It was modified while it was scanned, or could not be reached: read again.
    Again,
    /// Only the inode was touched (owner, permissions, links): the content is as it was, nothing is read again.
    Touched,
}

impl ChangeKind {
    /// As SHOW CHANGES writes it.
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::New => "new",
            ChangeKind::Changed => "changed",
            ChangeKind::Moved => "moved",
            ChangeKind::Removed => "removed",
            ChangeKind::Unreachable => "unreachable",
            ChangeKind::Again => "again",
            ChangeKind::Touched => "touched",
        }
    }
}

/// Where a known file lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) part: usize,
    pub(super) file: u32,
}

/// A file that is not as the index has it.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// Below the root.
    pub path: Vec<u8>,
    /// As it is now.
    pub(super) entry: Option<Entry>,
    /// As it was known; of a moved file the old place.
    pub(super) known: Option<Place>,
    /// Why it cannot be reached.
    pub(super) reason: Option<String>,
}

impl Change {
    /// Bytes of the file as it is now.
    pub fn size(&self) -> Option<u64> {
        self.entry.as_ref().map(|e| e.size)
    }

    /// Its time of change, ns since 1970.
    pub fn mtime_ns(&self) -> Option<i64> {
        self.entry.as_ref().map(|e| e.mtime_ns)
    }
}

/// The difference of an archive and its index.
#[derive(Debug, Default)]
pub struct Plan {
    /// By path.
    pub changes: Vec<Change>,
    /// Files that are as they were.
    pub unchanged: usize,
    /// Directories that could not be listed, and why.
    pub unlisted: Vec<(Vec<u8>, String)>,
    /// Files whose first and last block were read to compare them.
    pub probed: usize,
    /// New files that are not wanted, by their names.
    pub left_out: usize,
    pub(super) device: u64,
}

/// Compares an archive with its index.
pub fn plan(archive: &Archive, source: &SourceEntry, job: &Job<'_>) -> Result<Plan> {
    let known = known_files(archive, &source.name)?;
    let root = root_path(source);
    let (walk, device) = checked_walk(&root, source, &known, job)?;
    let unlisted = walk.unlisted.iter().map(|(dir, why)| (dir.clone(), why.clone())).collect();
    let mut plan = Plan { unlisted, device, ..Plan::default() };
    let mut gone: Vec<(Vec<u8>, Place)> = vec![];
    let present: HashSet<&[u8]> = walk.entries.iter().map(|e| e.path.as_slice()).collect();
    for (path, place) in &known {
        if present.contains(path.as_slice()) {
            continue;
        }
        match walk.why_unlisted(path) {
            Some(why) => plan.unreachable((path.to_vec(), None, *place), why, archive)?,
            None => gone.push((path.to_vec(), *place)),
        }
    }
    let mut new: Vec<Entry> = vec![];
    for entry in walk.entries {
        match known.get(entry.path.as_slice()) {
            None => new.push(entry),
            Some(place) => {
                let dangling = walk.dangling.get(&entry.path).map(String::as_str);
                compare(entry, *place, dangling, (archive, &root), &mut plan)?;
            }
        }
    }
    pair_moves(new, gone, (archive, &root), &mut plan)?;
    plan.leave_out(job.keeps)?;
    plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(plan)
}

fn change(kind: ChangeKind, path: Vec<u8>, entry: Option<Entry>, known: Option<Place>) -> Change {
    Change { kind, path, entry, known, reason: None }
}

impl Plan {
    /// Takes out new files that are not wanted.
    fn leave_out(&mut self, keeps: &Keeps<'_>) -> Result<()> {
        let is_new = |c: &&Change| c.kind == ChangeKind::New;
        let paths: Vec<&[u8]> = self.changes.iter().filter(is_new).map(|c| c.path.as_slice()).collect();
        let mut wanted = keeps(&paths)?.into_iter();
        let before = self.changes.len();
        self.changes.retain(|c| c.kind != ChangeKind::New || wanted.next().unwrap_or(true));
        self.left_out = before - self.changes.len();
        Ok(())
    }

    /// Its rows stay; the state says that it cannot be reached.
    fn unreachable(
        &mut self,
        of: (Vec<u8>, Option<Entry>, Place),
        why: &str,
        archive: &Archive,
    ) -> Result<()> {
        let (path, entry, place) = of;
        if archive.parts[place.part].state(place.file)? == UNREACHABLE {
            self.unchanged += 1;
            return Ok(());
        }
        let change = change(ChangeKind::Unreachable, path, entry, Some(place));
        self.changes.push(Change { reason: Some(why.to_owned()), ..change });
        Ok(())
    }
}

/// The root of a source.
pub fn root_path(source: &SourceEntry) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(&source.root))
}

/// Known files by path.
type Known = HashMap<Vec<u8>, Place>;

fn known_files(archive: &Archive, source: &str) -> Result<Known> {
    let mut known = HashMap::new();
    for (number, part) in archive.parts.iter().enumerate().filter(|(_, p)| p.source == source) {
        let mut files = part.files_from(0)?;
        while let Some((file, path, _)) = files.current() {
            if part.is_alive(file) {
                known.insert(path.to_vec(), Place { part: number, file });
            }
            files.advance()?;
        }
    }
    Ok(known)
}

/// Walks the root unless that would empty the index: an unmounted disk looks like an empty directory.
fn checked_walk(root: &Path, source: &SourceEntry, known: &Known, job: &Job<'_>) -> Result<(Walk, u64)> {
    let confirm = format!(
        "mount or restore it, or move the source with IMPORT WAVEFORMS 'new root' INTO {0}; `REFRESH FULL {0}` confirms that the files are gone",
        source.name
    );
    let metadata = match fs::metadata(root) {
        Ok(metadata) => metadata,
        Err(error) if job.full && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((Walk::default(), 0));
        }
        Err(error) => {
            let message =
                format!("the root of {} cannot be reached: {}: {error}", source.name, root.display());
            return Err(Error::refused(message, confirm));
        }
    };
    let device = metadata.dev();
    // What would remove rows asks to be confirmed.
    let is_careful = !known.is_empty() && !job.full;
    let before = source.options.get("device").and_then(|d| d.parse::<u64>().ok());
    if is_careful && before.is_some_and(|d| d != device) {
        let message =
            format!("the root of {} is on another device than before: {}", source.name, root.display());
        return Err(Error::refused(message, confirm));
    }
    let was_file = known.contains_key(&b""[..]);
    if is_careful && was_file == metadata.is_dir() {
        let (now, then) = if was_file { ("a directory", "a file") } else { ("no directory", "one") };
        let message = format!("the root of {} is {now}, it was {then}: {}", source.name, root.display());
        return Err(Error::refused(message, confirm));
    }
    if !metadata.is_dir() {
        return single_file(root, &metadata).map(|w| (w, device));
    }
    let walk = walk::walk(root, job.database).map_err(|e| {
        Error::refused(
            format!("the root of {} cannot be listed: {}: {e}", source.name, root.display()),
            confirm.clone(),
        )
    })?;
    if walk.entries.is_empty() && walk.unlisted.is_empty() && is_careful {
        let count = known.len();
        let message = format!(
            "the root of {} is empty, the index has {count} files of it: {}",
            source.name,
            root.display()
        );
        return Err(Error::refused(message, confirm));
    }
    Ok((walk, device))
}

/// A source that is one file: its path below the root is empty.
fn single_file(root: &Path, metadata: &fs::Metadata) -> Result<Walk> {
    let entry = walk::entry(vec![], metadata);
    if !entry.is_regular {
        return Err(Error::refused(
            format!("{} is not a file", root.display()),
            "name a file or a directory",
        ));
    }
    Ok(Walk { entries: vec![entry], ..Walk::default() })
}

/// A known path that is still there: unchanged, changed, or only its inode touched. `dangling` tells why the target
/// of a link cannot be reached.
fn compare(
    entry: Entry,
    place: Place,
    dangling: Option<&str>,
    at: (&Archive, &Path),
    plan: &mut Plan,
) -> Result<()> {
    let (archive, root) = at;
    let known = archive.parts[place.part].file(place.file)?;
    let same = known.size == entry.size && known.mtime_ns == entry.mtime_ns && known.inode == entry.inode;
    if let Some(why) = dangling.filter(|_| !same && known.state != "other") {
        return plan.unreachable((entry.path.clone(), Some(entry), place), why, archive);
    }
    let was_unreachable = known.state == UNREACHABLE;
    let kind = if known.is_unsure {
        ChangeKind::Again
    } else if !same {
        ChangeKind::Changed
    } else if known.ctime_ns == entry.ctime_ns && !was_unreachable {
        plan.unchanged += 1;
        return Ok(());
    } else if !entry.is_regular {
        if was_unreachable { ChangeKind::Again } else { ChangeKind::Touched }
    } else if entry.is_younger_than(known.ctime_ns) {
        ChangeKind::Changed
    } else {
        plan.probed += 1;
        match signature_only(&join(root, &entry.path)) {
            Ok(_) if was_unreachable => ChangeKind::Again,
            Ok(hash) if hash == known.hash => ChangeKind::Touched,
            Ok(_) => ChangeKind::Changed,
            Err(error) => {
                let why = format!("it cannot be opened: {error}");
                return plan.unreachable((entry.path.clone(), Some(entry), place), &why, archive);
            }
        }
    };
    plan.changes.push(change(kind, entry.path.clone(), Some(entry), Some(place)));
    Ok(())
}

/// Gone files by size and time of change.
type Gone = HashMap<(u64, i64), Vec<(FileRow, Place)>>;

/// New paths that are known files under another name: same inode, size and time; or, on another file system, same
/// size, time and ends of the content. Equal inodes are paired first: they are the better evidence.
fn pair_moves(
    new: Vec<Entry>,
    gone: Vec<(Vec<u8>, Place)>,
    at: (&Archive, &Path),
    plan: &mut Plan,
) -> Result<()> {
    let (archive, root) = at;
    let mut by_shape = Gone::new();
    for (_, place) in gone {
        let file = archive.parts[place.part].file(place.file)?;
        by_shape.entry((file.size, file.mtime_ns)).or_default().push((file, place));
    }
    by_shape.values_mut().for_each(|list| list.sort_by(|a, b| a.0.path.cmp(&b.0.path)));
    let is_sure = |file: &FileRow| !file.is_unsure && file.state != UNREACHABLE;
    let mut rest = vec![];
    for entry in new {
        let is_same = |file: &FileRow| {
            file.inode == entry.inode && !entry.is_younger_than(file.ctime_ns) && is_sure(file)
        };
        match take(&mut by_shape, &entry, is_same) {
            Some(place) => {
                plan.changes.push(change(ChangeKind::Moved, entry.path.clone(), Some(entry), Some(place)))
            }
            None => rest.push(entry),
        }
    }
    for entry in rest {
        let path = entry.path.clone();
        let has_shape = by_shape.get(&(entry.size, entry.mtime_ns)).is_some_and(|list| !list.is_empty());
        let is_candidate = has_shape && entry.is_regular && entry.size > 0;
        let hash = is_candidate.then(|| signature_only(&join(root, &path)).ok()).flatten();
        plan.probed += usize::from(is_candidate);
        let found = hash.and_then(|h| take(&mut by_shape, &entry, |file| file.hash == h && is_sure(file)));
        let kind = if found.is_some() { ChangeKind::Moved } else { ChangeKind::New };
        plan.changes.push(change(kind, path, Some(entry), found));
    }
    for (file, place) in by_shape.into_values().flatten() {
        plan.changes.push(change(ChangeKind::Removed, file.path, None, Some(place)));
    }
    Ok(())
}

/// Takes the first gone file of an entry's size and time that meets a condition.
fn take(gone: &mut Gone, entry: &Entry, meets: impl Fn(&FileRow) -> bool) -> Option<Place> {
    let list = gone.get_mut(&(entry.size, entry.mtime_ns)).filter(|_| entry.is_regular && entry.size > 0)?;
    let at = list.iter().position(|(file, _)| meets(file))?;
    Some(list.remove(at).1)
}
