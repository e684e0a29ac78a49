//! PLAN of a refresh: what of an archive is not as its index has it, found without opening files that did not change.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::merge::{Found, Seen, merge};
use super::moves::Gone;
use super::{DEVICE, Job, Keeps};
use crate::error::{Error, Result};
use crate::index::archive::{Archive, Known, KnownFile, Place};
use crate::ingest::build::signature_only;
use crate::ingest::walk::{self, Sealed, Stat, Walker, join};
use crate::store::SourceEntry;

/// Option of a source that holds its sealed directories.
pub const SEALED: &str = "sealed";
/// Most changes that are kept from one walk. Where there are more the archive is walked a second time, and they
/// stream past.
const CHANGES_KEPT: usize = 1 << 16;
/// Changes that are handed over in one go.
const CHUNK_CHANGES: usize = 1024;

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

/// A file that is not as the index has it.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// Below the root.
    pub path: Vec<u8>,
    /// As it is now.
    pub(super) stat: Option<Stat>,
    /// As it was known; of a moved file the old place.
    pub(super) known: Option<Place>,
    /// Why it cannot be reached.
    pub(super) reason: Option<String>,
}

impl Change {
    fn new(kind: ChangeKind, path: &[u8], stat: Option<Stat>, known: Option<Place>) -> Change {
        Change { kind, path: path.to_vec(), stat, known, reason: None }
    }

    /// Bytes of the file as it is now.
    pub fn size(&self) -> Option<u64> {
        self.stat.map(|s| s.size)
    }

    /// Its time of change, ns since 1970.
    pub fn mtime_ns(&self) -> Option<i64> {
        self.stat.map(|s| s.mtime_ns)
    }
}

/// What a plan gives while it is made.
pub enum Step {
    /// So many changes will follow, as far as that is known.
    Total(u64),
    /// Some changes: all of them sorted by path, or (more than 65,536) as they are found.
    Changes(Vec<Change>),
}

/// Receives the steps of a plan.
pub type Take<'t> = &'t mut dyn FnMut(Step) -> Result<()>;

/// The rest of the difference of an archive and its index.
#[derive(Debug, Default)]
pub struct Plan {
    /// Files that are as they were.
    pub unchanged: usize,
    /// Directories that could not be listed, and why.
    pub unlisted: Vec<(Vec<u8>, String)>,
    /// Files whose first and last block were read to compare them.
    pub probed: usize,
    /// Sealed directories, which were not walked.
    pub sealed: usize,
    /// New files that are not wanted, by their names.
    pub left_out: usize,
    pub(super) device: u64,
}

/// Compares an archive with its index and gives what differs to `take`. An index that holds nothing of the source is
/// filled while the archive is walked; else all is compared before the first change is given.
pub fn plan(archive: &Archive, source: &SourceEntry, job: &Job<'_>, take: Take<'_>) -> Result<Plan> {
    let known = Known::new(archive, &source.name);
    let text = source.options.get(SEALED).map_or("", String::as_str);
    let sealed = Sealed::parse(text).map_err(|why| Error::Refused { message: why, help: None })?;
    // An index that does not read is told of by the comparison.
    let is_sealed = |dir: &[u8]| !job.full && sealed.matches(dir) && known.has_below(dir).unwrap_or(false);
    let planner = Planner { known, root: root_path(source), job, is_sealed: &is_sealed };
    let is_first = known.cursor()?.path().is_none();
    let (mut walker, device) = planner.checked_walk(source)?;
    let mut kept = Kept::default();
    if is_first {
        let total = if job.progress.is_shown() { planner.count() } else { 0 };
        take(Step::Total(total))?;
    } else {
        let seen = merge(&mut walker, known, job, &mut |found| planner.keep(found, &mut kept))?;
        planner.check_empty(&seen, source)?;
        kept.gone.complete();
        take(Step::Total(kept.total))?;
        if !kept.is_over {
            return planner.give_kept((kept, seen, device), take);
        }
        walker = planner.checked_walk(source)?.0;
    }
    planner.stream((walker, kept.gone, device), take)
}

/// The root of a source.
pub fn root_path(source: &SourceEntry) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(&source.root))
}

/// What a first walk has found.
#[derive(Default)]
struct Kept {
    changes: Vec<Change>,
    new: Vec<(Vec<u8>, Stat)>,
    gone: Gone,
    total: u64,
    probed: usize,
    unchanged: usize,
    /// So many of `new` are known to be wanted.
    wanted: usize,
    left_out: usize,
    /// There were more than are kept.
    is_over: bool,
}

impl Kept {
    /// Is there no room for more? Files that are not wanted make some.
    fn is_full(&mut self, keeps: &Keeps<'_>) -> Result<bool> {
        if self.changes.len() + self.new.len() < CHANGES_KEPT {
            return Ok(false);
        }
        let paths: Vec<&[u8]> = self.new[self.wanted..].iter().map(|n| n.0.as_slice()).collect();
        let keep = keeps(&paths)?;
        let before = self.new.len();
        let mut keep = std::iter::repeat_n(true, self.wanted).chain(keep);
        self.new.retain(|_| keep.next().unwrap_or(true));
        self.wanted = self.new.len();
        self.left_out += before - self.wanted;
        Ok(self.changes.len() + self.new.len() > CHANGES_KEPT / 2)
    }
}

/// Takes out new files that are not wanted; how many they were.
fn leave_out(changes: &mut Vec<Change>, keeps: &Keeps<'_>) -> Result<usize> {
    let is_new = |c: &&Change| c.kind == ChangeKind::New;
    let paths: Vec<&[u8]> = changes.iter().filter(is_new).map(|c| c.path.as_slice()).collect();
    let mut wanted = keeps(&paths)?.into_iter();
    let before = changes.len();
    changes.retain(|c| c.kind != ChangeKind::New || wanted.next().unwrap_or(true));
    Ok(before - changes.len())
}

struct Planner<'a> {
    known: Known<'a>,
    root: PathBuf,
    job: &'a Job<'a>,
    is_sealed: &'a dyn Fn(&[u8]) -> bool,
}

fn to_plan(seen: Seen, device: u64) -> Plan {
    let unlisted = seen.unlisted.into_iter().map(|(dir, why)| (dir, why.into())).collect();
    Plan { unchanged: seen.unchanged, unlisted, device, sealed: seen.sealed, ..Plan::default() }
}

impl<'a> Planner<'a> {
    /// One find of the first walk.
    fn keep(&self, found: Found<'_>, kept: &mut Kept) -> Result<()> {
        kept.total += 1;
        if let Found::Gone(place, known) = &found
            && kept.gone.add(*place, known)
        {
            return Ok(());
        }
        if kept.is_over || kept.is_full(self.job.keeps)? {
            kept.is_over = true;
            (kept.changes, kept.new) = (vec![], vec![]);
            return Ok(());
        }
        match found {
            Found::New(path, stat) => kept.new.push((path.to_vec(), stat)),
            other => match self.change(other, &mut kept.probed)? {
                Some(change) => kept.changes.push(change),
                None => kept.unchanged += 1,
            },
        }
        Ok(())
    }

    /// All changes in order of their paths, new paths of known files paired with the old ones. Equal inodes are
    /// paired first: they are the better evidence.
    fn give_kept(&self, state: (Kept, Seen, u64), take: Take<'_>) -> Result<Plan> {
        let (kept, mut seen, device) = state;
        let Kept { mut changes, new, mut gone, mut probed, unchanged, mut left_out, .. } = kept;
        seen.unchanged += unchanged;
        let mut rest = vec![];
        for (path, stat) in new {
            match gone.by_inode(&stat, self.known)? {
                Some(place) => changes.push(Change::new(ChangeKind::Moved, &path, Some(stat), Some(place))),
                None => rest.push((path, stat)),
            }
        }
        for (path, stat) in rest {
            let (place, is_probed) = gone.by_ends((&path, &stat), &self.root, self.known)?;
            probed += usize::from(is_probed);
            let kind = if place.is_some() { ChangeKind::Moved } else { ChangeKind::New };
            changes.push(Change::new(kind, &path, Some(stat), place));
        }
        left_out += leave_out(&mut changes, self.job.keeps)?;
        for place in gone.rest(self.known)? {
            changes.push(self.removed(place)?);
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        while !changes.is_empty() {
            let tail = changes.split_off(changes.len().min(CHUNK_CHANGES));
            take(Step::Changes(std::mem::replace(&mut changes, tail)))?;
        }
        Ok(Plan { probed, left_out, ..to_plan(seen, device) })
    }

    /// Gives changes while the archive is walked.
    fn stream(&self, state: (Walker<'_>, Gone, u64), take: Take<'_>) -> Result<Plan> {
        let (mut walker, mut gone, device) = state;
        let (mut chunk, mut probed, mut unchanged, mut left_out) = (vec![], 0, 0, 0);
        let mut seen = merge(&mut walker, self.known, self.job, &mut |found| {
            match found {
                Found::Gone(place, known) if gone.holds(place, &known) => {}
                Found::New(path, stat) => {
                    let mut place = gone.by_inode(&stat, self.known)?;
                    if place.is_none() {
                        let (found, is_probed) = gone.by_ends((path, &stat), &self.root, self.known)?;
                        place = found;
                        probed += usize::from(is_probed);
                    }
                    let kind = if place.is_some() { ChangeKind::Moved } else { ChangeKind::New };
                    chunk.push(Change::new(kind, path, Some(stat), place));
                }
                other => match self.change(other, &mut probed)? {
                    Some(change) => chunk.push(change),
                    None => unchanged += 1,
                },
            }
            if chunk.len() < CHUNK_CHANGES {
                return Ok(());
            }
            left_out += leave_out(&mut chunk, self.job.keeps)?;
            take(Step::Changes(std::mem::take(&mut chunk)))
        })?;
        seen.unchanged += unchanged;
        left_out += leave_out(&mut chunk, self.job.keeps)?;
        take(Step::Changes(chunk))?;
        for places in gone.rest(self.known)?.chunks(CHUNK_CHANGES) {
            take(Step::Changes(places.iter().map(|p| self.removed(*p)).collect::<Result<_>>()?))?;
        }
        Ok(Plan { probed, left_out, ..to_plan(seen, device) })
    }

    fn removed(&self, place: Place) -> Result<Change> {
        Ok(Change::new(ChangeKind::Removed, &self.known.path(place)?, None, Some(place)))
    }

    /// What a find is; the ends of a file whose inode alone was touched are compared. `None`: it cannot be reached,
    /// as before.
    fn change(&self, found: Found<'_>, probed: &mut usize) -> Result<Option<Change>> {
        Ok(match found {
            Found::New(path, stat) => Some(Change::new(ChangeKind::New, path, Some(stat), None)),
            Found::Gone(place, _) => Some(self.removed(place)?),
            Found::Unreachable(path, place, why) => Some(unreachable(path, None, place, why)),
            Found::Differs(path, stat, dangling, (place, known)) => {
                let change = self.compared((path, stat), dangling, (place, known), probed)?;
                let is_old = known.is_unreachable && change.kind == ChangeKind::Unreachable;
                (!is_old).then_some(change)
            }
        })
    }

    fn compared(
        &self,
        (path, stat): (&[u8], Stat),
        dangling: Option<&str>,
        (place, known): (Place, KnownFile),
        probed: &mut usize,
    ) -> Result<Change> {
        let is_same = (known.size, known.mtime_ns, known.inode) == stat.shape();
        if let Some(why) = dangling.filter(|_| !is_same && !known.is_other) {
            return Ok(unreachable(path, Some(stat), place, why));
        }
        let kind = if !is_same {
            ChangeKind::Changed
        } else if known.is_unsure {
            ChangeKind::Again
        } else if !stat.is_regular {
            if known.is_unreachable { ChangeKind::Again } else { ChangeKind::Touched }
        } else if stat.is_younger_than(known.ctime_ns) {
            ChangeKind::Changed
        } else {
            *probed += 1;
            match signature_only(&join(&self.root, path)) {
                Ok(_) if known.is_unreachable => ChangeKind::Again,
                Ok(hash) if hash == self.known.file(place)?.1 => ChangeKind::Touched,
                Ok(_) => ChangeKind::Changed,
                Err(error) => {
                    let why = format!("it cannot be opened: {error}");
                    return Ok(unreachable(path, Some(stat), place, &why));
                }
            }
        };
        Ok(Change::new(kind, path, Some(stat), Some(place)))
    }

    /// Number of files, for a bar; 0 where that cannot be told.
    fn count(&self) -> u64 {
        walk::count_files(&self.root, self.job.database).unwrap_or(0)
    }

    fn confirm(&self) -> String {
        format!(
            "mount or restore it, or move the source with IMPORT WAVEFORMS 'new root' INTO {0}; `REFRESH FULL {0}` confirms that the files are gone",
            self.job.source
        )
    }

    /// Starts a walk of the root unless that would empty the index: an unmounted disk looks like an empty directory.
    fn checked_walk(&self, source: &SourceEntry) -> Result<(Walker<'a>, u64)> {
        let (root, name) = (self.root.display(), &source.name);
        let metadata = match fs::metadata(&self.root) {
            Ok(metadata) => metadata,
            Err(error) if self.job.full && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((Walker::empty(self.is_sealed), 0));
            }
            Err(error) => {
                let message = format!("the root of {name} cannot be reached: {root}: {error}");
                return Err(Error::refused(message, self.confirm()));
            }
        };
        let device = metadata.dev();
        // What would remove rows asks to be confirmed.
        let first = self.known.cursor()?.path().map(<[u8]>::to_vec);
        let is_careful = first.is_some() && !self.job.full;
        let before = source.options.get(DEVICE).and_then(|d| d.parse::<u64>().ok());
        if is_careful && before.is_some_and(|d| d != device) {
            let message = format!("the root of {name} is on another device than before: {root}");
            return Err(Error::refused(message, self.confirm()));
        }
        let was_file = first.is_some_and(|path| path.is_empty());
        if is_careful && was_file == metadata.is_dir() {
            let (now, then) = if was_file { ("a directory", "a file") } else { ("no directory", "one") };
            let message = format!("the root of {name} is {now}, it was {then}: {root}");
            return Err(Error::refused(message, self.confirm()));
        }
        if !metadata.is_dir() {
            return single_file(&self.root, &metadata, self.is_sealed).map(|w| (w, device));
        }
        let walker = Walker::new(&self.root, self.job.database, self.is_sealed).map_err(|e| {
            Error::refused(format!("the root of {name} cannot be listed: {root}: {e}"), self.confirm())
        })?;
        Ok((walker, device))
    }

    /// Nothing is there although the index has files.
    fn check_empty(&self, seen: &Seen, source: &SourceEntry) -> Result<()> {
        let is_empty = seen.files == 0 && seen.unlisted.is_empty() && seen.sealed == 0;
        if !is_empty || self.job.full {
            return Ok(());
        }
        let message = format!(
            "the root of {} is empty, the index has {} files of it: {}",
            source.name,
            self.known.count(),
            self.root.display()
        );
        Err(Error::refused(message, self.confirm()))
    }
}

/// Its rows stay; the state says that it cannot be reached.
fn unreachable(path: &[u8], stat: Option<Stat>, place: Place, why: &str) -> Change {
    let change = Change::new(ChangeKind::Unreachable, path, stat, Some(place));
    Change { reason: Some(why.to_owned()), ..change }
}

/// A source that is one file: its path below the root is empty.
fn single_file<'a>(
    root: &Path,
    metadata: &fs::Metadata,
    is_sealed: &'a dyn Fn(&[u8]) -> bool,
) -> Result<Walker<'a>> {
    let stat = walk::stat_of(metadata);
    if !stat.is_regular {
        return Err(Error::refused(
            format!("{} is not a file", root.display()),
            "name a file or a directory",
        ));
    }
    Ok(Walker::single(stat, is_sealed))
}
