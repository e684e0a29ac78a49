//! REFRESH of a waveform archive: PLAN compares the sorted walk with the known signatures, BUILD reads what changed,
//! DIFF commits a new part and the dead rows of older ones, some thousand files at a time, while the next ones are
//! read. Unchanged files are never opened. A file leaves the index only when its directory was listed and its name is
//! absent.

mod apply;
mod merge;
mod moves;
mod plan;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub use plan::{Change, ChangeKind, Plan, SEALED, Step, plan, root_path};

use apply::{Apply, Ready};

use super::compact::{commit_part, compact_if_due};
use crate::error::{Error, Result};
use crate::index::archive::Archive;
use crate::model::time::Time;
use crate::progress::Progress;
use crate::store::{SourceEntry, Writer};

/// Option of a source: the device of its root, by which another disk in its place is noticed.
pub const DEVICE: &str = "device";

/// What a refresh did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Files that were opened and read, whole or from where they had grown.
    pub opened: usize,
    /// Of these, files of which only what was appended was read.
    pub grown: usize,
    /// Bytes that were read of them.
    pub bytes_read: u64,
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
    /// Directories that are sealed and were not walked.
    pub sealed: usize,
    /// Not wanted, by their names.
    pub left_out: usize,
    /// Of those opened: unreadable, or readable in part.
    pub bad: usize,
    /// Commits.
    pub commits: usize,
}

/// What one refresh works on.
pub struct Job<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// Confirms what a missing, empty or exchanged root would remove; walks sealed directories.
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

/// Brings the index of a source up to date and commits as it goes. The last commit tells when, also where nothing
/// has changed.
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
    let mut apply = Apply::new((&archive, &source), scan_ns, job);
    let planned = plan(&archive, &source, job, &mut |step| apply.step(writer, step));
    let (ready, mut report) = apply.finish();
    job.progress.end();
    let plan = planned?;
    report.unchanged += plan.unchanged;
    report.probed = plan.probed;
    report.unlisted = plan.unlisted.len();
    report.sealed = plan.sealed;
    report.left_out = plan.left_out;
    report.commits += 1;
    let device = plan.device.to_string();
    commit(writer, (&archive, &source), ready, Some((scan_ns, device)))?;
    drop(archive);
    compact_if_due(writer, job.source, &Archive::default(), job.cancel)?;
    Ok(report)
}

/// ns since 1970 by this machine's clock.
pub fn now_ns() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}

/// Commits the rows of some changes; the last commit of a refresh tells its time and the device of the root.
fn commit(
    writer: &mut Writer,
    (archive, source): (&Archive, &SourceEntry),
    ready: Ready,
    last: Option<(i64, String)>,
) -> Result<()> {
    let files = ready.rows.into_iter().map(|r| (r.file, r.segments)).collect();
    let part = |part: u32| archive.parts.get(part as usize);
    let dead = ready.dead.into_iter().filter_map(|(p, rows)| Some((part(p)?, rows))).collect();
    commit_part(writer, &source.name, files, dead, |catalogue| {
        let entry = catalogue.sources.iter_mut().find(|s| s.name == source.name);
        if let (Some(entry), Some((scan_ns, device))) = (entry, last) {
            entry.last_refresh = Some(Time(scan_ns));
            entry.options.insert(DEVICE.to_owned(), device);
        }
    })
}
