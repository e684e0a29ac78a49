//! The one writer: lock, repair, publish, commit, garbage collection.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

use super::dir::{Access, Dir, Lock, at, is_same_file, open_if_there, unlink_if_there};
use super::lock::WriterLock;
use super::manifest::{MANIFEST, Manifest};
use super::segment::{SegmentBuilder, segment_file, segment_number};
use super::snapshot::{Catalogue, SegmentRef};
use super::stream::SegmentStream;
use super::{Inner, SEGMENTS, SNAPSHOT, SNAPSHOT_TMP, SNAPSHOTS, SegmentMap, Store, TMP, read_catalogue};

/// Holds the writer's lock, and redb open, for one writing statement.
#[derive(Debug)]
pub struct Writer {
    // Fields are dropped in this order: redb is closed before the lock is given back.
    manifest: Manifest,
    inner: Arc<Inner>,
    catalogue: Catalogue,
    next_segment: AtomicU64,
    /// Files published, or about to be, that no committed catalogue names yet.
    pending: Mutex<HashSet<String>>,
    /// An error after which the outcome is open: nothing more is committed \[I16\].
    is_broken: bool,
    lock: WriterLock,
}

impl Writer {
    /// Steps of *Opening for writing*.
    pub(super) fn open(store: &Store, statement: &str) -> Result<Writer> {
        let inner = Arc::clone(&store.inner);
        let dir = &inner.dir;
        let mut lock = WriterLock::take(dir, statement)?;
        let manifest = Manifest::open(dir)?;
        let newest = manifest.newest()?;
        lock.leave_mark(true);
        repair_snapshot(&**dir, newest.as_ref())?;
        let catalogue = newest.map(|n| n.1).unwrap_or_default();
        empty_tmp(&**dir)?;
        collect_garbage(&**dir, &catalogue, &HashSet::new())?;
        Ok(Writer {
            manifest,
            catalogue: catalogue.clone(),
            next_segment: AtomicU64::new(catalogue.next_segment),
            pending: Mutex::default(),
            is_broken: false,
            lock,
            inner,
        })
    }

    /// The newest committed catalogue; clone it, change the clone, commit it.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Writes a segment. It becomes part of the database with the commit of a catalogue that names it; until then it
    /// is garbage as soon as this writer is gone. Several threads may publish at a time.
    ///
    /// # Errors
    /// `Refused` for a type that is not stored, `Io`.
    pub fn publish(&self, builder: SegmentBuilder) -> Result<SegmentRef> {
        let number = self.next_segment.fetch_add(1, Ordering::Relaxed);
        let file = segment_file(number, builder.kind());
        self.pending().insert(file.clone());
        builder.write(&*self.inner.dir, &file)
    }

    /// Begins a segment of blobs that is published when it is finished; until then it is an unfinished file.
    ///
    /// # Errors
    /// `Refused` for a kind that is no name, `Io`.
    pub fn stream(&self, kind: &str) -> Result<SegmentStream<'_>> {
        let number = self.next_segment.fetch_add(1, Ordering::Relaxed);
        let file = segment_file(number, kind);
        self.pending().insert(file.clone());
        SegmentStream::create(&*self.inner.dir, kind, file)
    }

    /// The map of a committed or published segment.
    ///
    /// # Errors
    /// `Damaged`, `Version`, `Io`.
    pub fn segment(&self, reference: &SegmentRef) -> Result<Arc<SegmentMap>> {
        self.inner.segment(reference)
    }

    /// Makes `catalogue` (an edited copy of [`Self::catalogue`]) the next generation and returns its number. After
    /// this returns it survives kill and power loss. Can be called many times.
    ///
    /// # Errors
    /// Before the commit point: nothing has happened. From it on: this writer commits nothing more, and the next one
    /// finds the old or the new generation, whole \[I16\].
    pub fn commit(&mut self, mut catalogue: Catalogue) -> Result<u64> {
        let dir = &*self.inner.dir;
        self.may_commit(&catalogue)?;
        catalogue.generation += 1;
        catalogue.next_segment = self.next_segment.load(Ordering::Relaxed);
        let record = catalogue.encode()?;

        self.is_broken = true;
        self.lock.leave_mark(false);
        dir.sync_dir(SEGMENTS).map_err(at(dir, "sync", SEGMENTS))?;
        self.manifest.commit(catalogue.generation, &record)?;
        publish_snapshot(dir, (catalogue.generation, &record), || self.manifest.publish())?;
        self.is_broken = false;
        self.lock.leave_mark(true);

        for committed in catalogue.segments() {
            self.pending().remove(&committed.file);
        }
        self.catalogue = catalogue;
        // What cannot be deleted now is deleted by the next commit or the next writer.
        let _ = collect_garbage(dir, &self.catalogue, &self.pending());
        Ok(self.catalogue.generation)
    }

    /// \[I9\] and \[I16\].
    fn may_commit(&self, catalogue: &Catalogue) -> Result<()> {
        let refused = |message: String| Err(Error::Refused { message, help: None });
        if self.is_broken {
            return refused("a commit of this statement has failed; its outcome is open [I16]".to_owned());
        }
        if catalogue.generation != self.catalogue.generation {
            return refused(format!(
                "a catalogue of generation {} cannot follow generation {}",
                catalogue.generation, self.catalogue.generation
            ));
        }
        let known: HashSet<&str> = self.catalogue.segments().map(|s| s.file.as_str()).collect();
        let pending = self.pending();
        let mut segments = catalogue.segments();
        match segments.find(|s| !known.contains(s.file.as_str()) && !pending.contains(&s.file)) {
            Some(stranger) => refused(format!("segment {} was not published here [I9]", stranger.file)),
            None => Ok(()),
        }
    }

    /// The checkpoint of a job, if there is one.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub fn job(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.manifest.job(name)
    }

    /// The names of all jobs with a checkpoint.
    ///
    /// # Errors
    /// `Damaged`, `Io`.
    pub fn jobs(&self) -> Result<Vec<String>> {
        self.manifest.jobs()
    }

    /// Keeps or, with `None`, removes a job's checkpoint, durably.
    ///
    /// # Errors
    /// `Io`.
    pub fn set_job(&mut self, name: &str, checkpoint: Option<&[u8]>) -> Result<()> {
        let result = self.manifest.set_job(name, checkpoint);
        self.is_broken |= result.is_err();
        self.lock.leave_mark(!self.is_broken);
        result
    }

    /// Where this statement spills: files here should be unlinked while in use; the next writer empties it.
    pub fn tmp(&self) -> PathBuf {
        self.inner.dir.path().join(TMP)
    }

    fn pending(&self) -> MutexGuard<'_, HashSet<String>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A creation that was cut off can leave a manifest that does not open. Without snapshot and segments it held nothing.
pub(super) fn clear_half_made(dir: &Arc<dyn Dir>) -> Result<()> {
    let _lock = WriterLock::take(dir, "create")?;
    if !dir.list(SEGMENTS).map_err(at(&**dir, "list", SEGMENTS))?.is_empty() {
        return Ok(());
    }
    match Manifest::open(dir).and_then(|m| m.newest()) {
        Err(Error::Damaged { .. }) => unlink_if_there(&**dir, MANIFEST),
        other => other.map(|_| ()),
    }
}

/// Opens and reads the manifest, if nobody writes; changes nothing but what redb repairs after a kill. False when
/// another process writes.
pub(super) fn check_manifest(dir: &Arc<dyn Dir>, snapshot: Option<&Catalogue>) -> Result<bool> {
    let mut lock = match WriterLock::take(dir, "check") {
        Err(Error::Locked { .. }) => return Ok(false),
        other => other?,
    };
    let Some(_) = open_if_there(&**dir, MANIFEST, Access::Read)? else {
        let reason = "it is missing".to_owned();
        return Err(Error::Damaged { path: dir.path().join(MANIFEST), block: None, reason });
    };
    let newest = Manifest::open(dir)?.newest()?;
    lock.leave_mark(true);
    let committed = newest.as_ref().map_or(0, |n| n.1.generation);
    match snapshot {
        Some(s)
            if s.generation > committed
                || newest.is_some_and(|n| n.1.generation == s.generation && n.1 != *s) =>
        {
            let reason = format!("it does not agree with the snapshot of generation {} [I6]", s.generation);
            Err(Error::Damaged { path: dir.path().join(MANIFEST), block: None, reason })
        }
        _ => Ok(true),
    }
}

/// Makes the manifest anew from the snapshot, which holds every acknowledged commit; the damaged file is kept under
/// another name, the checkpoints of jobs are lost.
pub(super) fn rebuild_manifest(dir: &Arc<dyn Dir>) -> Result<u64> {
    let (mut lock, _) = WriterLock::take_unmarked(dir)?;
    let Some(file) = open_if_there(&**dir, SNAPSHOT, Access::Read)? else {
        let message = "without a snapshot there is nothing to make the manifest from";
        return Err(Error::refused(message, "delete the database and import again"));
    };
    let catalogue = read_catalogue(&**dir, &file, SNAPSHOT)?;
    let record = catalogue.encode()?;
    lock.sign("rebuild the manifest")?;
    let kept = format!("{MANIFEST}.damaged");
    match dir.rename(MANIFEST, &kept) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(at(&**dir, "rename", MANIFEST)(e)),
        _ => {}
    }
    let manifest = Manifest::open(dir)?;
    manifest.commit(catalogue.generation, &record)?;
    manifest.publish()?;
    dir.sync_dir("").map_err(at(&**dir, "sync", ""))?;
    drop(manifest);
    lock.leave_mark(true);
    Ok(catalogue.generation)
}

/// Step 3 and 4 of *Opening for writing*: makes `snapshot` what redb says.
fn repair_snapshot(dir: &dyn Dir, newest: Option<&(Vec<u8>, Catalogue)>) -> Result<()> {
    let file = open_if_there(dir, SNAPSHOT, Access::Read)?;
    let found = file.as_ref().map(|f| read_catalogue(dir, f, SNAPSHOT)).transpose();
    let found = match found {
        Err(Error::Damaged { .. }) => None,
        other => other?,
    };
    let committed = newest.map_or(0, |n| n.1.generation);
    match (&found, newest) {
        (Some(found), _) if found.generation > committed => {
            return Err(Error::refused(
                format!(
                    "{} is of generation {}, the manifest beside it of {committed}: a part of the database is missing",
                    dir.path().join(SNAPSHOT).display(),
                    found.generation
                ),
                "copy the whole directory again, while nothing writes to it",
            ));
        }
        (Some(found), Some((_, catalogue))) if found.generation == committed && found != catalogue => {
            let reason = "it differs from the manifest's record of the same generation [I6]".to_owned();
            return Err(Error::Damaged { path: dir.path().join(SNAPSHOT), block: None, reason });
        }
        (Some(found), Some(_)) if found.generation == committed => {}
        (_, Some((record, _))) => return publish_snapshot(dir, (committed, record), || Ok(())),
        (_, None) => return Ok(()),
    }
    let link = format!("{SNAPSHOTS}/{committed}");
    let linked = open_if_there(dir, &link, Access::Read)?;
    let is_linked = match (&file, &linked) {
        (Some(a), Some(b)) => is_same_file(a, b).map_err(at(dir, "stat", &link))?,
        _ => false,
    };
    if !is_linked {
        unlink_if_there(dir, &link)?;
        dir.link(SNAPSHOT, &link).map_err(at(dir, "link", &link))?;
    }
    Ok(())
}

/// \[I12\]: the record becomes what readers see. `commit` is called when only names are left to change: those of one
/// directory reach the disk in order, so one sync makes the commit and the snapshot durable, never the snapshot alone.
/// The link in `snapshots/` need not be durable: opening for writing mends it \[I15\].
fn publish_snapshot(
    dir: &dyn Dir,
    (generation, record): (u64, &[u8]),
    commit: impl FnOnce() -> Result<()>,
) -> Result<()> {
    unlink_if_there(dir, SNAPSHOT_TMP)?;
    let file = dir.open(SNAPSHOT_TMP, Access::Create).map_err(at(dir, "create", SNAPSHOT_TMP))?;
    dir.write_at(&file, record, 0).map_err(at(dir, "write", SNAPSHOT_TMP))?;
    dir.sync(&file).map_err(at(dir, "sync", SNAPSHOT_TMP))?;
    let link = format!("{SNAPSHOTS}/{generation}");
    unlink_if_there(dir, &link)?;
    dir.link(SNAPSHOT_TMP, &link).map_err(at(dir, "link", &link))?;
    commit()?;
    dir.rename(SNAPSHOT_TMP, SNAPSHOT).map_err(at(dir, "rename", SNAPSHOT_TMP))?;
    dir.sync_dir("").map_err(at(dir, "sync", ""))
}

fn empty_tmp(dir: &dyn Dir) -> Result<()> {
    for file in dir.list(TMP).map_err(at(dir, "list", TMP))? {
        unlink_if_there(dir, &format!("{TMP}/{file}"))?;
    }
    Ok(())
}

/// \[I14\]: deletes old generations nobody leases, and the segments no remaining generation names.
fn collect_garbage(dir: &dyn Dir, newest: &Catalogue, pending: &HashSet<String>) -> Result<()> {
    let mut live: HashSet<String> = newest.segments().map(|s| s.file.clone()).collect();
    for name in dir.list(SNAPSHOTS).map_err(at(dir, "list", SNAPSHOTS))? {
        let is_old = name.parse::<u64>().is_ok_and(|g| g != newest.generation && g.to_string() == name);
        if !is_old {
            continue;
        }
        let link = format!("{SNAPSHOTS}/{name}");
        let Some(file) = open_if_there(dir, &link, Access::Read)? else { continue };
        if dir.try_lock(&file, Lock::Exclusive).map_err(at(dir, "lock", &link))? {
            unlink_if_there(dir, &link)?;
            continue;
        }
        match read_catalogue(dir, &file, &link) {
            Ok(leased) => live.extend(leased.segments().map(|s| s.file.clone())),
            Err(_) => return Ok(()),
        }
    }
    for file in dir.list(SEGMENTS).map_err(at(dir, "list", SEGMENTS))? {
        let stem = file.strip_suffix(".tmp").unwrap_or(&file);
        if segment_number(&file).is_some() && !live.contains(stem) && !pending.contains(stem) {
            unlink_if_there(dir, &format!("{SEGMENTS}/{file}"))?;
        }
    }
    Ok(())
}
