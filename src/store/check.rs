//! `check --db`: reads every block of everything.

use crate::error::{Error, Result};

use super::Store;

/// What a check has found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// The generation that was checked.
    pub generation: u64,
    /// Segment files read.
    pub files: usize,
    /// Blocks compared.
    pub blocks: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Was the manifest read too? Not while another process writes.
    pub is_manifest_checked: bool,
    /// One error for each fault.
    pub damaged: Vec<Error>,
}

/// Reads the newest generation, and the manifest if nobody writes.
pub(super) fn check(store: &Store) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    match store.writer("check") {
        Ok(_) => report.is_manifest_checked = true,
        Err(Error::Locked { .. }) => {}
        Err(e) => report.damaged.push(e),
    }
    let snapshot = match store.snapshot() {
        Ok(snapshot) => snapshot,
        Err(e @ Error::Damaged { .. }) => {
            report.damaged.push(e);
            return Ok(report);
        }
        Err(e) => return Err(e),
    };
    report.generation = snapshot.generation();
    for reference in snapshot.catalogue().segments() {
        report.files += 1;
        // Not the shared map: its blocks may have been read, and found good, before.
        match super::SegmentMap::open(&*store.inner.dir, reference) {
            Ok(map) => {
                report.blocks += map.blocks();
                report.bytes += map.file_bytes();
                report.damaged.extend(map.check());
            }
            Err(e) => report.damaged.push(e),
        }
    }
    Ok(report)
}
