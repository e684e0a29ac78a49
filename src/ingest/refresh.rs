//! REFRESH of a waveform archive: PLAN compares the sorted walk with the known signatures, BUILD reads what changed,
//! DIFF commits a new part and the dead rows of older ones, some thousand files at a time. Unchanged files are never
//! opened. A file leaves the index only when its directory was listed and its name is absent.

mod plan;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rayon::prelude::*;

pub use plan::{Change, ChangeKind, Plan, plan, root_path};

use plan::{Place, UNREACHABLE};

use super::build::{Read, read_file};
use super::walk::join;
use crate::error::{Error, Result};
use crate::index::archive::{
    ARCHIVE_TABLE, Archive, FileRow, PART, Part, SegmentRow, build_dead, build_part,
};
use crate::limits;
use crate::model::time::Time;
use crate::progress::Progress;
use crate::store::{Catalogue, SegmentRef, SourceEntry, TableEntry, Writer};

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
    /// Not wanted, by their names.
    pub left_out: usize,
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
    /// Which paths are wanted, of files that are not known yet: the others are never opened.
    pub keeps: &'a Keeps<'a>,
}

/// Tells for paths below the root which of them are wanted.
pub type Keeps<'a> = dyn Fn(&[&[u8]]) -> Result<Vec<bool>> + Sync + 'a;

/// Brings the index of a source up to date and commits as it goes.
pub fn refresh(writer: &mut Writer, job: &Job<'_>) -> Result<Report> {
    let archive = Archive::open(writer.catalogue(), writer)?;
    let Some(source) = writer.catalogue().source(job.source).cloned() else {
        return Err(Error::refused(
            format!("there is no source `{}`", job.source),
            "SHOW SOURCES lists them",
        ));
    };
    // Before the walk: a file that changes behind it is unsure.
    let scan_ns = now_ns();
    let plan = plan(&archive, &source, job)?;
    let mut report = Report {
        unchanged: plan.unchanged,
        probed: plan.probed,
        unlisted: plan.unlisted.len(),
        left_out: plan.left_out,
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
    let is_carried =
        |c: &&Change| matches!(c.kind, ChangeKind::Moved | ChangeKind::Unreachable | ChangeKind::Touched);
    let parts: HashSet<usize> =
        changes.iter().filter(is_carried).filter_map(|c| c.known).map(|p| p.part).collect();
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
    commit_part(
        writer,
        source,
        files,
        dead.into_iter().map(|(p, rows)| (&archive.parts[p], rows)).collect(),
    )?;
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
            read.file = FileRow {
                path: entry.path.clone(),
                ctime_ns: entry.ctime_ns,
                inode: entry.inode,
                ..read.file
            };
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

/// The two segments of a new part, named after the first.
pub(super) fn publish_part(
    writer: &Writer,
    source: &str,
    files: Vec<(FileRow, Vec<SegmentRow>)>,
) -> Result<[SegmentRef; 2]> {
    let (files, segments) = build_part(files)?;
    let mut part = [writer.publish(files)?, writer.publish(segments)?];
    let name = part[0].file.split('-').next().unwrap_or("").to_owned();
    for reference in &mut part {
        reference.properties.insert(PART.to_owned(), name.clone());
        reference.source = source.to_owned();
    }
    Ok(part)
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
        published.extend(publish_part(writer, &source.name, files)?);
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

pub(super) fn archive_table(catalogue: &mut Catalogue) -> &mut TableEntry {
    let place = catalogue.tables.iter().position(|t| t.name == ARCHIVE_TABLE).unwrap_or_else(|| {
        let entry = TableEntry {
            name: ARCHIVE_TABLE.to_owned(),
            kind: "archive".to_owned(),
            ..TableEntry::default()
        };
        catalogue.tables.push(entry);
        catalogue.tables.len() - 1
    });
    &mut catalogue.tables[place]
}

/// Joins the parts of a source when there are many, or a tenth of their rows is dead.
fn compact_if_due(writer: &mut Writer, source: &str) -> Result<()> {
    let archive = Archive::open(writer.catalogue(), writer)?;
    let parts = archive.parts.iter().filter(|p| p.source == source);
    let (count, files, dead) =
        parts.fold((0, 0, 0), |(c, f, d), p| (c + 1, f + p.file_count(), d + p.dead.len()));
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
    archive_table(&mut catalogue).segments.extend(publish_part(writer, &entry.name, rows)?);
    writer.commit(catalogue).map(|_| ())
}
