//! The store: a directory of immutable segments, a manifest that commits, a snapshot that readers start from.
//! docs/disk-format.md describes every byte; `\[I1\]`.. in comments and errors are its invariants.

mod check;
mod content;
mod dir;
mod lock;
mod manifest;
mod map;
mod read;
mod segment;
mod snapshot;
mod stream;
mod types;
mod writer;
mod zones;

#[cfg(test)]
mod power_loss;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::limits::SNAPSHOT_BYTES;

pub use check::CheckReport;
pub use content::ContentHash;
pub use dir::Syncs;
pub use read::{Blob, SegmentMap};
pub use segment::SegmentBuilder;
pub use snapshot::{Catalogue, SegmentRef, SourceEntry, TableEntry};
pub use stream::SegmentStream;
pub use writer::Writer;
pub use zones::{ZONE_ROWS, Zone, ZoneMap, zones};

use dir::{Access, Dir, Lock, RealDir, at, open_if_there};
use manifest::{MANIFEST, MANIFEST_TMP};

/// The newest catalogue: the only file readers start from.
const SNAPSHOT: &str = "snapshot";
const SNAPSHOT_TMP: &str = "snapshot.tmp";
const LOCK: &str = "lock";
const SEGMENTS: &str = "segments";
const SNAPSHOTS: &str = "snapshots";
const TMP: &str = "tmp";
/// Everything a new database may find in its directory: the traces of a creation that was cut off.
const OURS: &[&str] = &[LOCK, MANIFEST, MANIFEST_TMP, SEGMENTS, SNAPSHOTS, TMP, SNAPSHOT_TMP];

/// How often a reader takes a newer snapshot when the one it opened is already garbage \[I13\].
const LEASE_ATTEMPTS: usize = 10_000;

/// A database directory. Cheap to clone; maps of segments are shared by all clones.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: Arc<dyn Dir>,
    maps: Mutex<HashMap<(String, u64), Arc<SegmentMap>>>,
}

impl Store {
    /// Makes an empty database (generation 1) in a directory that is missing or empty.
    ///
    /// # Errors
    /// `Refused` when something else is there, `Locked`, `Io`.
    pub fn create(path: impl AsRef<Path>) -> Result<Store> {
        let path = path.as_ref();
        match std::fs::create_dir(path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Error::io("create", path, e));
            }
            _ => {}
        }
        let dir = RealDir::open(path).map_err(|e| Error::io("open", path, e))?;
        let store = Store::create_in(Arc::new(dir))?;
        if let Some(parent) = path.parent() {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            let synced = File::open(parent).and_then(|d| d.sync_all());
            synced.map_err(|e| Error::io("sync", parent, e))?;
        }
        Ok(store)
    }

    /// Opens the database at `path`; makes an empty one where there is none, and finishes one whose making was cut
    /// off before its first snapshot.
    ///
    /// # Errors
    /// As [`Store::open`] and [`Store::create`].
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Store> {
        let path = path.as_ref();
        let is_whole = path.join(SNAPSHOT).exists() || path.is_file();
        if is_whole { Store::open(path) } else { Store::create(path) }
    }

    fn create_in(dir: Arc<dyn Dir>) -> Result<Store> {
        let names = dir.list("").map_err(at(&*dir, "list", ""))?;
        if names.iter().any(|n| n == SNAPSHOT) {
            let message = format!("{} is a database already", dir.path().display());
            return Err(Error::refused(message, "open it, or choose another name"));
        }
        if let Some(foreign) = names.iter().find(|n| !OURS.contains(&n.as_str())) {
            let message = format!("{} holds `{foreign}` and is no database", dir.path().display());
            return Err(Error::refused(message, "choose a name that is not taken"));
        }
        for name in [SEGMENTS, SNAPSHOTS, TMP] {
            dir.make_dir(name).map_err(at(&*dir, "create", name))?;
        }
        writer::clear_half_made(&dir)?;
        let store = Store::of(dir);
        let mut writer = store.writer("create")?;
        if writer.catalogue().generation == 0 {
            writer.commit(Catalogue::default())?;
        }
        drop(writer);
        Ok(store)
    }

    /// Opens a database: no lock, no redb.
    ///
    /// # Errors
    /// `Refused` when there is none, `Version` when a newer program wrote it, `Damaged`, `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Store> {
        let path = path.as_ref();
        let dir = match RealDir::open(path) {
            Ok(dir) => dir,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let message = format!("there is no database {}", path.display());
                return Err(Error::refused(message, "an import makes a new one"));
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
                let message = format!("{} is a file, a database is a directory", path.display());
                return Err(Error::refused(message, "give the name of a database"));
            }
            Err(e) => return Err(Error::io("open", path, e)),
        };
        Store::open_in(Arc::new(dir))
    }

    fn open_in(dir: Arc<dyn Dir>) -> Result<Store> {
        let has = |name| open_if_there(&*dir, name, Access::Read).map(|f| f.is_some());
        if !has(SNAPSHOT)? && !has(MANIFEST)? {
            let message = format!("{} is not a database", dir.path().display());
            return Err(Error::refused(message, "an import makes a new one"));
        }
        let store = Store::of(dir);
        match store.snapshot() {
            Err(e @ Error::Version { .. }) => Err(e),
            // A writer can mend the snapshot; a reader will be told when it asks for it.
            _ => Ok(store),
        }
    }

    fn of(dir: Arc<dyn Dir>) -> Store {
        Store { inner: Arc::new(Inner { dir, maps: Mutex::default() }) }
    }

    /// Where the directory was when it was opened.
    pub fn path(&self) -> &Path {
        self.inner.dir.path()
    }

    /// The newest generation, leased until the snapshot is dropped \[I13\].
    ///
    /// # Errors
    /// `Damaged` (also when it is missing: the next writing statement puts it back), `Version`, `Io`.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let dir = &*self.inner.dir;
        let damaged = |reason: &str| Error::Damaged {
            path: dir.path().join(SNAPSHOT),
            block: None,
            reason: reason.to_owned(),
        };
        for attempt in 0..LEASE_ATTEMPTS {
            if attempt > 0 {
                std::thread::yield_now();
            }
            let file = open_if_there(dir, SNAPSHOT, Access::Read)?;
            let file = file.ok_or_else(|| {
                damaged("it is missing; the next writing statement restores it from the manifest")
            })?;
            let is_leased = dir.try_lock(&file, Lock::Shared).map_err(at(dir, "lock", SNAPSHOT))?;
            let links = file.metadata().map_err(at(dir, "stat", SNAPSHOT))?.nlink();
            if is_leased && links > 0 {
                let catalogue = Arc::new(read_catalogue(dir, &file, SNAPSHOT)?);
                self.inner.forget_maps(&catalogue);
                return Ok(Snapshot {
                    inner: Arc::clone(&self.inner),
                    catalogue,
                    _lease: Arc::new(Lease(file)),
                });
            }
        }
        Err(damaged("every snapshot that was opened was already garbage [I13]"))
    }

    /// What waiting for the disk has cost since this store was opened, by all clones together.
    pub fn syncs(&self) -> Syncs {
        self.inner.dir.syncs()
    }

    /// Takes the writer's lock for one statement, whose text others see who want it too.
    ///
    /// # Errors
    /// `Locked` at once when another process or thread writes; `Refused`, `Damaged`, `Io`.
    pub fn writer(&self, statement: &str) -> Result<Writer> {
        Writer::open(self, statement)
    }

    /// Reads every block of everything; mends nothing.
    ///
    /// # Errors
    /// `Version`, `Io` of what it starts from; faults in files are in the report.
    pub fn check(&self) -> Result<CheckReport> {
        check::check(self)
    }

    /// Makes a damaged manifest anew from the snapshot and returns its generation. Every acknowledged commit is kept,
    /// the checkpoints of jobs are lost; the damaged file stays as `manifest.redb.damaged`.
    ///
    /// # Errors
    /// `Locked`, `Damaged` when the snapshot is damaged too, `Io`.
    pub fn rebuild_manifest(&self) -> Result<u64> {
        writer::rebuild_manifest(&self.inner.dir)
    }
}

impl Inner {
    fn maps(&self) -> MutexGuard<'_, HashMap<(String, u64), Arc<SegmentMap>>> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The map of a segment, opened once per store. The key holds the checksum: numbers of uncommitted segments can
    /// come again \[I4\].
    fn segment(&self, reference: &SegmentRef) -> Result<Arc<SegmentMap>> {
        let key = (reference.file.clone(), reference.checksum);
        if let Some(map) = self.maps().get(&key) {
            return Ok(Arc::clone(map));
        }
        let map = SegmentMap::open(&*self.dir, reference)?;
        Ok(Arc::clone(self.maps().entry(key).or_insert(map)))
    }

    /// Drops maps that neither this generation nor anybody else needs.
    fn forget_maps(&self, catalogue: &Catalogue) {
        let mut maps = self.maps();
        if !maps.is_empty() {
            let live: std::collections::HashSet<_> = catalogue.segments().map(|s| s.checksum).collect();
            maps.retain(|(_, checksum), map| live.contains(checksum) || Arc::strong_count(map) > 1);
        }
    }
}

/// Reads a catalogue record whole; its length is checked before memory is taken.
fn read_catalogue(dir: &dyn Dir, mut file: &File, name: &str) -> Result<Catalogue> {
    let bytes = file.metadata().map_err(at(dir, "stat", name))?.len();
    if bytes > SNAPSHOT_BYTES {
        let reason = format!("it is longer than {SNAPSHOT_BYTES} bytes [I8]");
        return Err(Error::Damaged { path: dir.path().join(name), block: None, reason });
    }
    let mut record = Vec::new();
    file.read_to_end(&mut record).map_err(at(dir, "read", name))?;
    Catalogue::decode(&record, &dir.path().join(name))
}

/// One generation, unchanged as long as this lives. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot {
    inner: Arc<Inner>,
    catalogue: Arc<Catalogue>,
    /// Ends with the last clone.
    _lease: Arc<Lease>,
}

/// The shared flock on the snapshot that was opened.
#[derive(Debug)]
struct Lease(File);

impl Drop for Lease {
    fn drop(&mut self) {
        // As for the writer's lock: a child being forked must not keep it.
        let _ = self.0.unlock();
    }
}

impl Snapshot {
    /// What the generation holds.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Counts commits.
    pub fn generation(&self) -> u64 {
        self.catalogue.generation
    }

    /// The map of a segment; cheap from the second time on.
    ///
    /// # Errors
    /// `Damaged`, `Version`, `Io`.
    pub fn segment(&self, reference: &SegmentRef) -> Result<Arc<SegmentMap>> {
        self.inner.segment(reference)
    }
}
