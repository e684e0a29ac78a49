//! REFRESH of a waveform archive: PLAN compares the sorted walk with the known signatures, BUILD reads what changed,
//! DIFF commits a new part and the dead rows of older ones, some thousand files at a time. Unchanged files are never
//! opened. A file leaves the index only when its directory was listed and its name is absent.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rayon::prelude::*;

use super::build::{Read, read_file, signature_only};
use super::walk::{Entry, Walk, join, walk};
use crate::error::{Error, Result};
use crate::index::archive::{
    ARCHIVE_TABLE, Archive, FileRow, PART, Part, SegmentRow, build_dead, build_part,
};
use crate::limits;
use crate::model::time::Time;
use crate::progress::Progress;
use crate::store::{Catalogue, SourceEntry, TableEntry, Writer};

/// State of a file that keeps its rows although it cannot be reached.
const UNREACHABLE: &str = "unreachable";

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
struct Place {
    part: usize,
    file: u32,
}

/// A file that is not as the index has it.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// Below the root.
    pub path: Vec<u8>,
    /// As it is now.
    entry: Option<Entry>,
    /// As it was known; of a moved file the old place.
    known: Option<Place>,
    /// Why it cannot be reached.
    reason: Option<String>,
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
    device: u64,
}

/// What a refresh did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Files that were opened and read whole.
    pub opened: usize,
    /// Files of which only the first and the last block were read, to compare them.
    pub probed: usize,
    /// As they were.
    pub unchanged: usize,
    /// Not known before.
    pub new: usize,
    /// Read again.
    pub changed: usize,
    /// Rows that took a new path.
    pub moved: usize,
    /// Gone.
    pub removed: usize,
    /// Under a directory that could not be listed.
    pub unreachable: usize,
    /// Directories that could not be listed.
    pub unlisted: usize,
    /// Of those opened: unreadable, or readable in part.
    pub bad: usize,
}

/// What one refresh works on.
pub struct Job<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// Confirms what a missing, empty or exchanged root would remove.
    pub full: bool,
    /// Directory of the database, which is not part of any archive.
    pub database: &'a Path,
    /// Asked between files.
    pub cancel: &'a (dyn Fn() -> Result<()> + Sync),
    /// Counts files.
    pub progress: &'a dyn Progress,
}

/// Compares an archive with its index.
pub fn plan(archive: &Archive, source: &SourceEntry, job: &Job<'_>) -> Result<Plan> {
    let known = known_files(archive, &source.name);
    let root = root_path(source);
    let (walk, device) = checked_walk(&root, source, &known, job)?;
    let unlisted = walk.unlisted.iter().map(|(dir, why)| (dir.clone(), why.clone())).collect();
    let mut plan = Plan { unlisted, device, ..Plan::default() };
    let mut gone: Vec<(Vec<u8>, Place)> = vec![];
    let present: HashSet<&[u8]> = walk.entries.iter().map(|e| e.path.as_slice()).collect();
    for (path, place) in &known {
        if present.contains(path) {
            continue;
        }
        match walk.why_unlisted(path) {
            Some(why) => plan.unreachable((path.to_vec(), None, *place), why, archive),
            None => gone.push((path.to_vec(), *place)),
        }
    }
    let mut new: Vec<Entry> = vec![];
    for entry in walk.entries {
        match known.get(entry.path.as_slice()) {
            None => new.push(entry),
            Some(place) => {
                let dangling = walk.dangling.get(&entry.path).map(String::as_str);
                compare(entry, *place, dangling, (archive, &root), &mut plan);
            }
        }
    }
    pair_moves(new, gone, (archive, &root), &mut plan);
    plan.changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(plan)
}

fn change(kind: ChangeKind, path: Vec<u8>, entry: Option<Entry>, known: Option<Place>) -> Change {
    Change { kind, path, entry, known, reason: None }
}

impl Plan {
    /// Its rows stay; the state says that it cannot be reached.
    fn unreachable(&mut self, of: (Vec<u8>, Option<Entry>, Place), why: &str, archive: &Archive) {
        let (path, entry, place) = of;
        if archive.parts[place.part].file(place.file).state == UNREACHABLE {
            self.unchanged += 1;
            return;
        }
        let change = change(ChangeKind::Unreachable, path, entry, Some(place));
        self.changes.push(Change { reason: Some(why.to_owned()), ..change });
    }
}

/// The root of a source.
pub fn root_path(source: &SourceEntry) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(&source.root))
}

/// Known files by path.
type Known<'a> = HashMap<&'a [u8], Place>;

fn known_files<'a>(archive: &'a Archive, source: &str) -> Known<'a> {
    let mut known = HashMap::new();
    for (number, part) in archive.parts.iter().enumerate().filter(|(_, p)| p.source == source) {
        for file in (0..part.file_count() as u32).filter(|f| part.is_alive(*f)) {
            known.insert(part.path(file), Place { part: number, file });
        }
    }
    known
}

/// Walks the root unless that would empty the index: an unmounted disk looks like an empty directory.
fn checked_walk(root: &Path, source: &SourceEntry, known: &Known<'_>, job: &Job<'_>) -> Result<(Walk, u64)> {
    let confirm = format!(
        "mount or restore it, or move the source with IMPORT WAVEFORMS 'new root' INTO {0}; `REFRESH FULL {0}` confirms that the files are gone",
        source.name
    );
    let metadata = match fs::metadata(root) {
        Ok(metadata) => metadata,
        Err(error) if job.full && error.kind() == std::io::ErrorKind::NotFound => return Ok((Walk::default(), 0)),
        Err(error) => {
            let message = format!("the root of {} cannot be reached: {}: {error}", source.name, root.display());
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
    let walk = walk(root, job.database).map_err(|e| {
        Error::refused(format!("the root of {} cannot be listed: {}: {e}", source.name, root.display()), confirm.clone())
    })?;
    if walk.entries.is_empty() && walk.unlisted.is_empty() && is_careful {
        let count = known.len();
        let message =
            format!("the root of {} is empty, the index has {count} files of it: {}", source.name, root.display());
        return Err(Error::refused(message, confirm));
    }
    Ok((walk, device))
}

/// A source that is one file: its path below the root is empty.
fn single_file(root: &Path, metadata: &fs::Metadata) -> Result<Walk> {
    let entry = super::walk::entry(vec![], metadata);
    if !entry.is_regular {
        return Err(Error::refused(format!("{} is not a file", root.display()), "name a file or a directory"));
    }
    Ok(Walk { entries: vec![entry], ..Walk::default() })
}

/// A known path that is still there: unchanged, changed, or only its inode touched. `dangling` tells why the target
/// of a link cannot be reached.
fn compare(entry: Entry, place: Place, dangling: Option<&str>, at: (&Archive, &Path), plan: &mut Plan) {
    let (archive, root) = at;
    let known = archive.parts[place.part].file(place.file);
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
        return;
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
}

/// Gone files by size and time of change.
type Gone = HashMap<(u64, i64), Vec<(Vec<u8>, Place)>>;

/// New paths that are known files under another name: same inode, size and time; or, on another file system, same
/// size, time and ends of the content. Equal inodes are paired first: they are the better evidence.
fn pair_moves(new: Vec<Entry>, gone: Vec<(Vec<u8>, Place)>, at: (&Archive, &Path), plan: &mut Plan) {
    let (archive, root) = at;
    let row = |p: &Place| archive.parts[p.part].file(p.file);
    let mut by_shape = Gone::new();
    for (path, place) in gone {
        let file = row(&place);
        by_shape.entry((file.size, file.mtime_ns)).or_default().push((path, place));
    }
    by_shape.values_mut().for_each(|list| list.sort_by(|a, b| a.0.cmp(&b.0)));
    let is_sure = |file: &FileRow| !file.is_unsure && file.state != UNREACHABLE;
    let mut rest = vec![];
    for entry in new {
        let is_same = |file: FileRow| {
            file.inode == entry.inode && !entry.is_younger_than(file.ctime_ns) && is_sure(&file)
        };
        match take(&mut by_shape, &entry, |p| is_same(row(p))) {
            Some(place) => plan.changes.push(change(ChangeKind::Moved, entry.path.clone(), Some(entry), Some(place))),
            None => rest.push(entry),
        }
    }
    for entry in rest {
        let path = entry.path.clone();
        let has_shape = by_shape.get(&(entry.size, entry.mtime_ns)).is_some_and(|list| !list.is_empty());
        let is_candidate = has_shape && entry.is_regular && entry.size > 0;
        let hash = is_candidate.then(|| signature_only(&join(root, &path)).ok()).flatten();
        plan.probed += usize::from(is_candidate);
        let found = hash.and_then(|h| take(&mut by_shape, &entry, |p| row(p).hash == h && is_sure(&row(p))));
        let kind = if found.is_some() { ChangeKind::Moved } else { ChangeKind::New };
        plan.changes.push(change(kind, path, Some(entry), found));
    }
    for (path, place) in by_shape.into_values().flatten() {
        plan.changes.push(change(ChangeKind::Removed, path, None, Some(place)));
    }
}

/// Takes the first gone file of an entry's size and time that meets a condition.
fn take(gone: &mut Gone, entry: &Entry, meets: impl Fn(&Place) -> bool) -> Option<Place> {
    let list = gone.get_mut(&(entry.size, entry.mtime_ns)).filter(|_| entry.is_regular && entry.size > 0)?;
    let at = list.iter().position(|(_, place)| meets(place))?;
    Some(list.remove(at).1)
}

/// Brings the index of a source up to date and commits as it goes.
pub fn refresh(writer: &mut Writer, job: &Job<'_>) -> Result<Report> {
    let archive = Archive::open(writer.catalogue(), writer)?;
    let Some(source) = writer.catalogue().source(job.source).cloned() else {
        return Err(Error::refused(format!("there is no source `{}`", job.source), "SHOW SOURCES lists them"));
    };
    // Before the walk: a file that changes behind it is unsure.
    let scan_ns = now_ns();
    let plan = plan(&archive, &source, job)?;
    let mut report = Report {
        unchanged: plan.unchanged,
        probed: plan.probed,
        unlisted: plan.unlisted.len(),
        ..Report::default()
    };
    job.progress.begin("indexing", plan.changes.len() as u64, "files");
    for batch in plan.changes.chunks(limits::REFRESH_BATCH_FILES) {
        let result = apply(writer, batch, (&archive, &source, scan_ns), job);
        report.add(result?);
    }
    job.progress.end();
    let mut catalogue = writer.catalogue().clone();
    if let Some(entry) = catalogue.sources.iter_mut().find(|s| s.name == job.source) {
        entry.last_refresh = Some(Time(scan_ns));
        entry.options.insert("device".to_owned(), plan.device.to_string());
    }
    writer.commit(catalogue)?;
    compact_if_due(writer, job.source)?;
    Ok(report)
}

impl Report {
    fn add(&mut self, other: Report) {
        self.opened += other.opened;
        self.unchanged += other.unchanged;
        self.new += other.new;
        self.changed += other.changed;
        self.moved += other.moved;
        self.removed += other.removed;
        self.unreachable += other.unreachable;
        self.bad += other.bad;
    }

    fn count(&mut self, kind: ChangeKind) {
        match kind {
            ChangeKind::New => self.new += 1,
            ChangeKind::Changed | ChangeKind::Again => self.changed += 1,
            ChangeKind::Moved => self.moved += 1,
            ChangeKind::Removed => self.removed += 1,
            ChangeKind::Unreachable => self.unreachable += 1,
            ChangeKind::Touched => self.unchanged += 1,
        }
    }
}

/// ns since 1970 by this machine's clock.
pub fn now_ns() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}

/// Reads the files of some changes and commits their rows.
fn apply(
    writer: &mut Writer,
    changes: &[Change],
    state: (&Archive, &SourceEntry, i64),
    job: &Job<'_>,
) -> Result<Report> {
    let (archive, source, scan_ns) = state;
    let root = root_path(source);
    let is_carried = |c: &&Change| {
        matches!(c.kind, ChangeKind::Moved | ChangeKind::Unreachable | ChangeKind::Touched)
    };
    let parts: HashSet<usize> = changes.iter().filter(is_carried).filter_map(|c| c.known).map(|p| p.part).collect();
    let by_file: HashMap<usize, HashMap<u32, Vec<usize>>> =
        parts.into_iter().map(|part| (part, archive.parts[part].segments_by_file())).collect();
    let rows: Vec<Option<Read>> = changes
        .par_iter()
        .map(|change| {
            (job.cancel)()?;
            let row = one_change(change, (archive, &by_file), &root, scan_ns);
            job.progress.add(1);
            row
        })
        .collect::<Result<_>>()?;
    let mut report = Report::default();
    let mut dead: HashMap<usize, Vec<u32>> = HashMap::new();
    for (change, row) in changes.iter().zip(&rows) {
        report.count(change.kind);
        report.opened += usize::from(row.as_ref().is_some_and(|r| r.was_opened));
        let is_bad = |r: &Read| r.was_opened && matches!(r.file.state.as_str(), "partly" | "unreadable");
        report.bad += usize::from(row.as_ref().is_some_and(is_bad));
        if let Some(place) = change.known {
            dead.entry(place.part).or_default().push(place.file);
        }
    }
    let files = rows.into_iter().flatten().map(|r| (r.file, r.segments)).collect();
    commit_part(writer, source, files, dead.into_iter().map(|(p, rows)| (&archive.parts[p], rows)).collect())?;
    Ok(report)
}

fn one_change(
    change: &Change,
    state: (&Archive, &HashMap<usize, HashMap<u32, Vec<usize>>>),
    root: &Path,
    scan_ns: i64,
) -> Result<Option<Read>> {
    let (archive, by_file) = state;
    match (change.kind, &change.entry, change.known) {
        (ChangeKind::Removed, ..) => Ok(None),
        (ChangeKind::Moved | ChangeKind::Touched, Some(entry), Some(place)) => {
            let mut read = carried(archive, by_file, place);
            read.file = FileRow { path: entry.path.clone(), ctime_ns: entry.ctime_ns, inode: entry.inode, ..read.file };
            Ok(Some(read))
        }
        (ChangeKind::Unreachable, _, Some(place)) => {
            let mut read = carried(archive, by_file, place);
            read.file.state = UNREACHABLE.to_owned();
            read.file.reason.clone_from(&change.reason);
            Ok(Some(read))
        }
        (_, Some(entry), _) => read_file(&join(root, &entry.path), entry, scan_ns).map(Some),
        _ => Ok(None),
    }
}

/// The rows of a file as an older part has them.
fn carried(archive: &Archive, by_file: &HashMap<usize, HashMap<u32, Vec<usize>>>, place: Place) -> Read {
    let part = &archive.parts[place.part];
    let rows = by_file.get(&place.part).and_then(|m| m.get(&place.file)).map_or(&[][..], |v| v.as_slice());
    let segments = rows.iter().map(|&r| part.segment_row(r)).collect();
    Read { file: part.file(place.file), segments, was_opened: false }
}

/// One commit: a new part, and the rows of older parts that it replaces.
fn commit_part(
    writer: &mut Writer,
    source: &SourceEntry,
    files: Vec<(FileRow, Vec<SegmentRow>)>,
    dead: Vec<(&Part, Vec<u32>)>,
) -> Result<()> {
    let mut published = vec![];
    if !files.is_empty() {
        let (files, segments) = build_part(files)?;
        let mut files = writer.publish(files)?;
        let mut segments = writer.publish(segments)?;
        let name = files.file.split('-').next().unwrap_or("").to_owned();
        for reference in [&mut files, &mut segments] {
            reference.properties.insert(PART.to_owned(), name.clone());
            reference.source = source.name.clone();
        }
        published.extend([files, segments]);
    }
    for (part, rows) in dead {
        let mut reference = writer.publish(build_dead(&part.name, &rows)?)?;
        reference.source = source.name.clone();
        published.push(reference);
    }
    let mut catalogue = writer.catalogue().clone();
    archive_table(&mut catalogue).segments.extend(published);
    writer.commit(catalogue).map(|_| ())
}

fn archive_table(catalogue: &mut Catalogue) -> &mut TableEntry {
    let place = catalogue.tables.iter().position(|t| t.name == ARCHIVE_TABLE).unwrap_or_else(|| {
        let entry = TableEntry { name: ARCHIVE_TABLE.to_owned(), kind: "archive".to_owned(), ..TableEntry::default() };
        catalogue.tables.push(entry);
        catalogue.tables.len() - 1
    });
    &mut catalogue.tables[place]
}

/// Joins the parts of a source when there are many, or a tenth of their rows is dead.
fn compact_if_due(writer: &mut Writer, source: &str) -> Result<()> {
    let archive = Archive::open(writer.catalogue(), writer)?;
    let parts = archive.parts.iter().filter(|p| p.source == source);
    let (count, files, dead) = parts.fold((0, 0, 0), |(c, f, d), p| (c + 1, f + p.file_count(), d + p.dead.len()));
    if count > limits::DELTAS || dead * 10 > files {
        compact(writer, source)?;
    }
    Ok(())
}

/// Writes all living rows of a source as one part.
pub fn compact(writer: &mut Writer, source: &str) -> Result<()> {
    let archive = Archive::open(writer.catalogue(), writer)?;
    let mut rows = vec![];
    for part in archive.parts.iter().filter(|p| p.source == source) {
        let by_file = part.segments_by_file();
        for file in (0..part.file_count() as u32).filter(|f| part.is_alive(*f)) {
            let segments = by_file.get(&file).map_or(&[][..], |v| v.as_slice());
            rows.push((part.file(file), segments.iter().map(|&r| part.segment_row(r)).collect()));
        }
    }
    let Some(entry) = writer.catalogue().source(source).cloned() else { return Ok(()) };
    let mut catalogue = writer.catalogue().clone();
    archive_table(&mut catalogue).segments.retain(|s| s.source != source);
    if rows.is_empty() {
        return writer.commit(catalogue).map(|_| ());
    }
    let (files, segments) = build_part(rows)?;
    let mut files = writer.publish(files)?;
    let mut segments = writer.publish(segments)?;
    let name = files.file.split('-').next().unwrap_or("").to_owned();
    for reference in [&mut files, &mut segments] {
        reference.properties.insert(PART.to_owned(), name.clone());
        reference.source = entry.name.clone();
    }
    archive_table(&mut catalogue).segments.extend([files, segments]);
    writer.commit(catalogue).map(|_| ())
}
