//! `check --db`: reads every block of everything.

use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};

use crate::error::{Error, Result};

use super::writer::check_manifest;
use super::{SegmentMap, Store};

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
    let snapshot = match store.snapshot() {
        Err(e @ Error::Damaged { .. }) => {
            report.damaged.push(e);
            None
        }
        other => Some(other?),
    };
    match check_manifest(&store.inner.dir, snapshot.as_ref().map(|s| s.catalogue())) {
        Ok(is_checked) => report.is_manifest_checked = is_checked,
        // On a medium that cannot be written there is no writer whose lock could be taken.
        Err(Error::Io { source, .. }) if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem) => {}
        Err(e) => report.damaged.push(e),
    }
    let Some(snapshot) = snapshot else { return Ok(report) };
    report.generation = snapshot.generation();
    for reference in snapshot.catalogue().segments() {
        report.files += 1;
        // Not the shared map: its blocks may have been read, and found good, before.
        match SegmentMap::open(&*store.inner.dir, reference) {
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
