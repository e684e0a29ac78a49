//! The manifest: the one module that knows redb, and the only commit point \[I10\]. redb works on a copy in memory
//! and waits for no disk: the file is replaced whole, so that the old or the new one is there whatever happens.

use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{
    BackendError, Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableError,
};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};
use crate::limits::{MANIFEST_BYTES, MANIFEST_CACHE_BYTES};

use super::dir::{Access, Dir, at, open_if_there, unlink_if_there};
use super::snapshot::Catalogue;

/// Its name in the directory.
pub(super) const MANIFEST: &str = "manifest.redb";
/// The next one, until it takes the name.
pub(super) const MANIFEST_TMP: &str = "manifest.redb.tmp";
/// Pages that hold only zeros are not written.
const PAGE_BYTES: usize = 4096;

const GENERATIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("generations");
const JOBS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("jobs");
const CHECKSUM_BYTES: usize = 8;

/// The open manifest; the caller holds the writer's lock \[I1\].
#[derive(Debug)]
pub(super) struct Manifest {
    database: Database,
    content: Content,
    dir: Arc<dyn Dir>,
    path: PathBuf,
}

/// redb's file.
type Content = Arc<Mutex<Vec<u8>>>;

fn locked(content: &Content) -> MutexGuard<'_, Vec<u8>> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Manifest {
    /// Reads it, or begins an empty one, and checks all of it \[I11\].
    pub(super) fn open(dir: &Arc<dyn Dir>) -> Result<Manifest> {
        let path = dir.path().join(MANIFEST);
        let mut bytes = Vec::new();
        if let Some(file) = open_if_there(&**dir, MANIFEST, Access::Read)? {
            let length = file.metadata().map_err(at(&**dir, "stat", MANIFEST))?.len();
            if length > MANIFEST_BYTES {
                let reason = format!("it is longer than {MANIFEST_BYTES} bytes [I11]");
                return Err(Error::Damaged { path, block: None, reason });
            }
            bytes.resize(length as usize, 0);
            dir.read_at(&file, &mut bytes, 0).map_err(at(&**dir, "read", MANIFEST))?;
        }
        let content: Content = Arc::new(Mutex::new(bytes));
        let backend = Backend { content: Arc::clone(&content) };
        let mut builder = Database::builder();
        builder.set_cache_size(MANIFEST_CACHE_BYTES);
        let database = guarded(&path, || {
            let mut database = builder.create_with_backend(backend)?;
            database.check_integrity()?;
            Ok(database)
        })?;
        Ok(Manifest { database, content, dir: Arc::clone(dir), path })
    }

    /// Writes and syncs the next file; it counts from when [`Self::publish`] has given it the name.
    fn write(&self) -> Result<()> {
        let dir = &*self.dir;
        unlink_if_there(dir, MANIFEST_TMP)?;
        let file = dir.open(MANIFEST_TMP, Access::Create).map_err(at(dir, "create", MANIFEST_TMP))?;
        let content = locked(&self.content);
        dir.set_len(&file, content.len() as u64).map_err(at(dir, "write", MANIFEST_TMP))?;
        let mut start = 0;
        let pages = content.chunks(PAGE_BYTES).map(|page| page.iter().any(|b| *b != 0)).chain([false]);
        let mut end = 0;
        for is_used in pages {
            if !is_used {
                let used = &content[start.min(content.len())..end.min(content.len())];
                if !used.is_empty() {
                    dir.write_at(&file, used, start as u64).map_err(at(dir, "write", MANIFEST_TMP))?;
                }
                start = end + PAGE_BYTES;
            }
            end += PAGE_BYTES;
        }
        dir.sync(&file).map_err(at(dir, "sync", MANIFEST_TMP))
    }

    /// **The commit point** \[I10\]: what was committed last takes the name. The directory is synced by the caller.
    pub(super) fn publish(&self) -> Result<()> {
        self.dir.rename(MANIFEST_TMP, MANIFEST).map_err(at(&*self.dir, "rename", MANIFEST_TMP))
    }

    /// The newest record and its catalogue; `None` in a new database.
    pub(super) fn newest(&self) -> Result<Option<(Vec<u8>, Catalogue)>> {
        let newest = guarded(&self.path, || {
            let transaction = self.database.begin_read()?;
            let table = match transaction.open_table(GENERATIONS) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                other => other?,
            };
            Ok(table.last()?.map(|(key, value)| (key.value(), value.value().to_vec())))
        })?;
        let Some((generation, record)) = newest else { return Ok(None) };
        let catalogue = Catalogue::decode(&record, &self.path)?;
        if catalogue.generation != generation {
            return Err(self.damaged("a record stands under another generation [I11]"));
        }
        Ok(Some((record, catalogue)))
    }

    /// Prepares a commit: after [`Self::publish`] `record` is the database.
    pub(super) fn commit(&self, generation: u64, record: &[u8]) -> Result<()> {
        guarded(&self.path, || {
            let mut transaction = self.database.begin_write()?;
            transaction.set_quick_repair(true);
            {
                let mut table = transaction.open_table(GENERATIONS)?;
                table.retain(|_, _| false)?;
                table.insert(generation, record)?;
            }
            Ok(transaction.commit()?)
        })?;
        self.write()
    }

    /// The payload of a job's checkpoint.
    pub(super) fn job(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let value = guarded(&self.path, || {
            let transaction = self.database.begin_read()?;
            let table = match transaction.open_table(JOBS) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                other => other?,
            };
            Ok(table.get(name)?.map(|v| v.value().to_vec()))
        })?;
        let Some(mut value) = value else { return Ok(None) };
        if value.len() < CHECKSUM_BYTES {
            return Err(self.damaged("a job is too short [I11]"));
        }
        let payload = value.split_off(CHECKSUM_BYTES);
        if value != job_checksum(name, &payload) {
            return Err(self.damaged("a job does not agree with its checksum [I11]"));
        }
        Ok(Some(payload))
    }

    /// Names of all jobs.
    pub(super) fn jobs(&self) -> Result<Vec<String>> {
        guarded(&self.path, || {
            let transaction = self.database.begin_read()?;
            let table = match transaction.open_table(JOBS) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                other => other?,
            };
            let names = table.iter()?.map(|entry| Ok(entry?.0.value().to_owned()));
            names.collect()
        })
    }

    /// Puts or, with `None`, removes a job's checkpoint, durably.
    pub(super) fn set_job(&self, name: &str, payload: Option<&[u8]>) -> Result<()> {
        guarded(&self.path, || {
            let mut transaction = self.database.begin_write()?;
            transaction.set_quick_repair(true);
            {
                let mut table = transaction.open_table(JOBS)?;
                match payload {
                    None => table.remove(name)?,
                    Some(payload) => {
                        let value = [&job_checksum(name, payload), payload].concat();
                        table.insert(name, value.as_slice())?
                    }
                };
            }
            Ok(transaction.commit()?)
        })?;
        self.write()?;
        self.publish()?;
        self.dir.sync_dir("").map_err(at(&*self.dir, "sync", ""))
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::Damaged { path: self.path.clone(), block: None, reason: reason.to_owned() }
    }
}

fn job_checksum(name: &str, payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hash = Xxh3::new();
    hash.update(name.as_bytes());
    hash.update(payload);
    hash.digest().to_le_bytes()
}

/// Runs redb. On a damaged file it can panic before its own check finds the damage; that is an error like others.
fn guarded<T>(path: &std::path::Path, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T> {
    let damaged = |reason: String| Error::Damaged { path: path.to_path_buf(), block: None, reason };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(redb::Error::Io(e))) if !is_damage(&e) => Err(Error::io("use", path, e)),
        Ok(Err(redb::Error::PreviousIo)) => {
            Err(Error::io("use", path, io::Error::other("an earlier read or write failed")))
        }
        Ok(Err(e)) => Err(damaged(format!("{e} [I11]"))),
        Err(_) => Err(damaged("its pages do not fit together [I11]".to_owned())),
    }
}

/// redb reports a page beyond the end and a wrong magic number as I/O errors.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
    )
}

/// redb's file in memory. Locks are ours \[I1\], so redb's are always granted.
#[derive(Debug)]
struct Backend {
    content: Content,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(locked(&self.content).len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = locked(&self.content);
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let bytes = start.checked_add(out.len()).and_then(|end| content.get(start..end));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > MANIFEST_BYTES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        locked(&self.content).resize(len as usize, 0);
        Ok(())
    }

    /// What is in memory is whole whenever it is written to the disk: after a commit.
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut content = locked(&self.content);
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let bytes = start.checked_add(data.len()).and_then(|end| content.get_mut(start..end));
        bytes.ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(data);
        Ok(())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}
