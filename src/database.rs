//! The facade: open a database, run statements. Each body is the list of rooms a statement crosses.

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use crate::engine::session::{Cancel, Session};
use crate::error::{Result, Source};
use crate::lang::syntax::Statement;
use crate::model::table::{Batch, Schema};
use crate::progress::Progress;
use crate::store::Store;

/// How a database is used.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Refuse every statement that writes.
    pub is_read_only: bool,
    /// Most rows an answer may have; more is an error.
    pub max_rows: Option<u64>,
}

/// A database directory `NAME.sqk`. Cheap to open; readers never wait for a writer.
#[derive(Debug)]
pub struct Database {
    store: Store,
    options: Options,
    cancel: Arc<Cancel>,
}

/// Receives the rows of an answer.
pub trait Output {
    /// The columns, before the first row; called once for a statement that has rows.
    fn begin(&mut self, schema: &Schema) -> Result<()>;
    /// Some rows.
    fn batch(&mut self, batch: &Batch) -> Result<()>;
}

/// What a statement did, beside the rows it gave to [`Output`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Rows given out; `None` for statements that have no rows.
    pub rows: Option<u64>,
    /// One line: `imported 12 files, 36 segments into arc`.
    pub message: Option<String>,
    /// Warnings, each once.
    pub notices: Vec<String>,
    /// Parts of the footer: `30,000 left rows without partner`.
    pub footer: Vec<String>,
    /// Inputs that could not be read (exit code 3).
    pub unreadable: u64,
}

impl Database {
    /// Opens a database. With `create`, makes an empty one where there is none.
    pub fn open(path: impl AsRef<Path>, create: bool, options: Options) -> Result<Database> {
        let path = path.as_ref();
        let store = if create && !path.exists() { Store::create(path)? } else { Store::open(path)? };
        Ok(Database { store, options, cancel: Arc::new(Cancel::default()) })
    }
}

impl Database {
    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.store.path().to_path_buf()
    }

    /// Stops the running statement within 100 ms; shared with a signal handler.
    pub fn cancel(&self) -> Arc<Cancel> {
        self.cancel.clone()
    }

    /// Runs one statement (INCLUDE may run several). `source` is the text it was parsed from.
    pub fn run(
        &self,
        session: &mut Session,
        statement: &Statement,
        source: &Source,
        how: (&mut dyn Output, &dyn Progress),
    ) -> Result<Outcome> {
        todo!()
    }
}
