//! The manifest: the one module that knows redb, and the only commit point \[I10\].

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use redb::{
    BackendError, Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableError,
};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};
use crate::limits::MANIFEST_CACHE_BYTES;

use super::dir::{Access, Dir, at};
use super::snapshot::Catalogue;

/// Its name in the directory.
pub(super) const MANIFEST: &str = "manifest.redb";

const GENERATIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("generations");
const JOBS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("jobs");
const CHECKSUM_BYTES: usize = 8;

/// The open manifest; the caller holds the writer's lock \[I1\].
#[derive(Debug)]
pub(super) struct Manifest {
    database: Database,
    path: PathBuf,
}

impl Manifest {
    /// Opens or creates it and checks all of it \[I11\].
    pub(super) fn open(dir: &Arc<dyn Dir>) -> Result<Manifest> {
        let file = dir.open(MANIFEST, Access::Update).map_err(at(&**dir, "open", MANIFEST))?;
        let path = dir.path().join(MANIFEST);
        let backend = Backend { dir: Arc::clone(dir), file };
        let mut builder = Database::builder();
        builder.set_cache_size(MANIFEST_CACHE_BYTES);
        let database = guarded(&path, || {
            let mut database = builder.create_with_backend(backend)?;
            database.check_integrity()?;
            Ok(database)
        })?;
        Ok(Manifest { database, path })
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

    /// **The commit point** \[I10\]: after this `record` is the database.
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
        })
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
        })
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

/// redb's file, through [`Dir`]. Locks are ours \[I1\], so redb's are always granted.
#[derive(Debug)]
struct Backend {
    dir: Arc<dyn Dir>,
    file: File,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.dir.read_at(&self.file, out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.dir.set_len(&self.file, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.dir.sync(&self.file)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.dir.write_at(&self.file, data, offset)
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
