//! BUILD of a refresh: reads the files of some changes with all threads, while the rows of those before are committed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::plan::{Change, ChangeKind, Step, root_path};
use super::{Job, Report, commit};
use crate::error::Result;
use crate::index::archive::{Archive, FileRow, Place, UNREACHABLE};
use crate::ingest::build::{Old, Read, Scratch, can_have_grown, read_file};
use crate::ingest::compact::compact_if_due;
use crate::ingest::walk::join;
use crate::limits;
use crate::store::{SourceEntry, Writer};

/// Files that one thread takes in one go.
const TAKEN_FILES: usize = 8;

/// Rows that wait for their commit.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) rows: Vec<Read>,
    /// By part, its files that are replaced or gone.
    pub(super) dead: BTreeMap<u32, Vec<u32>>,
    bytes: usize,
}

impl Ready {
    fn is_full(&self) -> bool {
        self.rows.len() >= limits::REFRESH_BATCH_FILES || self.bytes >= limits::REFRESH_BATCH_BYTES
    }
}

/// Segments of some files of older parts.
type ByFile = HashMap<u32, HashMap<u32, Vec<usize>>>;

pub(super) struct Apply<'a> {
    archive: &'a Archive,
    source: &'a SourceEntry,
    root: PathBuf,
    scan_ns: i64,
    job: &'a Job<'a>,
    scratches: Mutex<Vec<Scratch>>,
    ready: Ready,
    report: Report,
}

impl<'a> Apply<'a> {
    pub(super) fn new(of: (&'a Archive, &'a SourceEntry), scan_ns: i64, job: &'a Job<'a>) -> Apply<'a> {
        let (archive, source) = of;
        Apply {
            archive,
            source,
            root: root_path(source),
            scan_ns,
            job,
            scratches: Mutex::default(),
            ready: Ready::default(),
            report: Report::default(),
        }
    }

    /// What the last commit is to hold, and what was done.
    pub(super) fn finish(self) -> (Ready, Report) {
        (self.ready, self.report)
    }

    /// One step of the plan.
    pub(super) fn step(&mut self, writer: &mut Writer, step: Step) -> Result<()> {
        let changes = match step {
            Step::Total(total) => {
                self.job.progress.begin("indexing", total, "files");
                return Ok(());
            }
            Step::Changes(changes) => changes,
        };
        if changes.is_empty() {
            return Ok(());
        }
        let rows = if self.ready.is_full() {
            let ready = std::mem::take(&mut self.ready);
            let of = (self.archive, self.source);
            // parts are merged as they come, or the last commit would have them all to merge
            let publish = || {
                commit(writer, of, ready, None)?;
                compact_if_due(writer, &self.source.name, self.archive, self.job.cancel)
            };
            let (committed, rows) = rayon::join(publish, || self.read(&changes));
            committed?;
            self.report.commits += 1;
            rows?
        } else {
            self.read(&changes)?
        };
        self.take(&changes, rows);
        Ok(())
    }

    fn take(&mut self, changes: &[Change], rows: Vec<Option<Read>>) {
        let report = &mut self.report;
        for (change, row) in changes.iter().zip(&rows) {
            report.count(change.kind);
            if let Some(row) = row {
                let is_bad = matches!(row.file.state.as_str(), "partly" | "unreadable");
                report.opened += usize::from(row.was_opened);
                report.grown += usize::from(row.was_grown);
                report.bytes_read += row.bytes_read;
                report.bad += usize::from(row.was_opened && is_bad);
                self.ready.bytes += row.bytes_held();
            }
            if let Some(place) = change.known {
                self.ready.dead.entry(place.part).or_default().push(place.file);
            }
        }
        self.ready.rows.extend(rows.into_iter().flatten());
    }

    /// The rows of each change.
    fn read(&self, changes: &[Change]) -> Result<Vec<Option<Read>>> {
        let by_file = self.segments_of(changes)?;
        let work = |scratch: &mut Lent<'_>, change: &Change| {
            (self.job.cancel)()?;
            let row = self.one(change, &by_file, scratch.get()?);
            self.job.progress.add(1);
            row
        };
        changes.par_iter().with_min_len(TAKEN_FILES).map_init(|| self.lend(), work).collect()
    }

    fn lend(&self) -> Lent<'_> {
        let mut free = self.scratches.lock().unwrap_or_else(PoisonError::into_inner);
        Lent { scratch: free.pop(), home: &self.scratches }
    }

    /// The segments of the changes that carry theirs on, or may only have grown.
    fn segments_of(&self, changes: &[Change]) -> Result<ByFile> {
        let mut wanted: HashMap<u32, HashSet<u32>> = HashMap::new();
        for change in changes.iter().filter(|c| !matches!(c.kind, ChangeKind::New | ChangeKind::Removed)) {
            if let Some(place) = change.known {
                wanted.entry(place.part).or_default().insert(place.file);
            }
        }
        let parts =
            wanted.into_iter().filter_map(|(p, files)| Some((p, self.archive.parts.get(p as usize)?, files)));
        parts.map(|(number, part, files)| Ok((number, part.segments_of(&files)?))).collect()
    }

    fn one(&self, change: &Change, by_file: &ByFile, scratch: &mut Scratch) -> Result<Option<Read>> {
        match (change.kind, &change.stat, change.known) {
            (ChangeKind::Removed, ..) => Ok(None),
            (ChangeKind::Moved | ChangeKind::Touched, Some(stat), Some(place)) => {
                let mut read = self.carried(by_file, place)?;
                let (path, ctime_ns, inode) = (change.path.clone(), stat.ctime_ns, stat.inode);
                read.file = FileRow { path, ctime_ns, inode, ..read.file };
                Ok(Some(read))
            }
            (ChangeKind::Unreachable, _, Some(place)) => {
                let mut read = self.carried(by_file, place)?;
                read.file.state = UNREACHABLE.to_owned();
                read.file.reason.clone_from(&change.reason);
                Ok(Some(read))
            }
            (_, Some(stat), known) => {
                let old = match known.filter(|_| stat.is_regular) {
                    Some(place) => self.grown(by_file, place, stat.size)?,
                    None => None,
                };
                let path = join(&self.root, &change.path);
                read_file(&path, (&change.path, stat), self.scan_ns, old, scratch).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The rows of a file as an older part has them.
    fn carried(&self, by_file: &ByFile, place: Place) -> Result<Read> {
        let old = self.old(by_file, place)?.unwrap_or(Old { file: FileRow::default(), segments: vec![] });
        Ok(Read::unopened(old.file, old.segments))
    }

    /// What is known of a file that may only have grown to this size.
    fn grown(&self, by_file: &ByFile, place: Place, size: u64) -> Result<Option<Old>> {
        let Some(part) = self.archive.parts.get(place.part as usize) else { return Ok(None) };
        if can_have_grown(&part.file(place.file)?, size) { self.old(by_file, place) } else { Ok(None) }
    }

    fn old(&self, by_file: &ByFile, place: Place) -> Result<Option<Old>> {
        let Some(part) = self.archive.parts.get(place.part as usize) else { return Ok(None) };
        let rows =
            by_file.get(&place.part).and_then(|m| m.get(&place.file)).map_or(&[][..], |v| v.as_slice());
        let segments = rows.iter().map(|&r| part.segment_row(r)).collect::<Result<_>>()?;
        Ok(Some(Old { file: part.file(place.file)?, segments }))
    }
}

/// A thread's buffers, given back when it is done.
struct Lent<'a> {
    scratch: Option<Scratch>,
    home: &'a Mutex<Vec<Scratch>>,
}

impl Lent<'_> {
    fn get(&mut self) -> Result<&mut Scratch> {
        let scratch = match self.scratch.take() {
            Some(scratch) => scratch,
            None => Scratch::new()?,
        };
        Ok(self.scratch.insert(scratch))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        home.extend(self.scratch.take());
    }
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
