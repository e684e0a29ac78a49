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
use super::compact::{commit_part, compact_if_due};
use super::walk::join;
use crate::error::{Error, Result};
use crate::index::archive::{Archive, FileRow, Part, SegmentRow};
use crate::limits;
use crate::model::time::Time;
use crate::progress::Progress;
use crate::store::{Catalogue, SourceEntry, Writer};

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
    let finish = |catalogue: &mut Catalogue| {
        if let Some(entry) = catalogue.sources.iter_mut().find(|s| s.name == job.source) {
            entry.last_refresh = Some(Time(scan_ns));
            entry.options.insert("device".to_owned(), plan.device.to_string());
        }
    };
    let mut batches = plan.changes.chunks(limits::REFRESH_BATCH_FILES).peekable();
    if batches.peek().is_none() {
        commit_part(writer, job.source, vec![], vec![], finish)?;
    }
    while let Some(batch) = batches.next() {
        let (files, dead) = apply(batch, (&archive, &source, scan_ns), job, &mut report)?;
        // the last commit says that the refresh is over
        if batches.peek().is_none() {
            commit_part(writer, job.source, files, dead, finish)?;
        } else {
            commit_part(writer, job.source, files, dead, |_| {})?;
            compact_if_due(writer, job.source, &archive, job.cancel)?;
        }
    }
    job.progress.end();
    drop(archive);
    compact_if_due(writer, job.source, &Archive::default(), job.cancel)?;
    Ok(report)
}

impl Report {
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

/// Files with their segments, and the rows of older parts that they replace.
type Rows<'a> = (Vec<(FileRow, Vec<SegmentRow>)>, Vec<(&'a Part, Vec<u32>)>);

/// Segments of files by part and file.
type ByFile = HashMap<usize, HashMap<u32, Vec<usize>>>;

/// Reads the files of some changes.
fn apply<'a>(
    changes: &[Change],
    state: (&'a Archive, &SourceEntry, i64),
    job: &Job<'_>,
    report: &mut Report,
) -> Result<Rows<'a>> {
    let (archive, source, scan_ns) = state;
    let root = root_path(source);
    let by_file = carried_segments(archive, changes)?;
    let rows: Vec<Option<Read>> = changes
        .par_iter()
        .map(|change| {
            (job.cancel)()?;
            let row = one_change(change, (archive, &by_file), &root, scan_ns);
            job.progress.add(1);
            row
        })
        .collect::<Result<_>>()?;
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
    Ok((files, dead.into_iter().map(|(p, rows)| (&archive.parts[p], rows)).collect()))
}

/// The segments of files whose rows stay as they are.
fn carried_segments(archive: &Archive, changes: &[Change]) -> Result<ByFile> {
    let is_carried =
        |c: &&Change| matches!(c.kind, ChangeKind::Moved | ChangeKind::Unreachable | ChangeKind::Touched);
    let mut files: HashMap<usize, HashSet<u32>> = HashMap::new();
    for place in changes.iter().filter(is_carried).filter_map(|c| c.known) {
        files.entry(place.part).or_default().insert(place.file);
    }
    files.into_iter().map(|(part, files)| Ok((part, archive.parts[part].segments_of(&files)?))).collect()
}

fn one_change(
    change: &Change,
    state: (&Archive, &ByFile),
    root: &Path,
    scan_ns: i64,
) -> Result<Option<Read>> {
    let (archive, by_file) = state;
    match (change.kind, &change.entry, change.known) {
        (ChangeKind::Removed, ..) => Ok(None),
        (ChangeKind::Moved | ChangeKind::Touched, Some(entry), Some(place)) => {
            let mut read = carried(archive, by_file, place)?;
            read.file = FileRow {
                path: entry.path.clone(),
                ctime_ns: entry.ctime_ns,
                inode: entry.inode,
                ..read.file
            };
            Ok(Some(read))
        }
        (ChangeKind::Unreachable, _, Some(place)) => {
            let mut read = carried(archive, by_file, place)?;
            read.file.state = UNREACHABLE.to_owned();
            read.file.reason.clone_from(&change.reason);
            Ok(Some(read))
        }
        (_, Some(entry), _) => read_file(&join(root, &entry.path), entry, scan_ns).map(Some),
        _ => Ok(None),
    }
}

/// The rows of a file as an older part has them.
fn carried(archive: &Archive, by_file: &ByFile, place: Place) -> Result<Read> {
    let part = &archive.parts[place.part];
    let rows = by_file.get(&place.part).and_then(|m| m.get(&place.file)).map_or(&[][..], |v| v.as_slice());
    let segments = rows.iter().map(|&r| part.segment_row(r)).collect::<Result<_>>()?;
    Ok(Read { file: part.file(place.file)?, segments, was_opened: false })
}
