//! Starquake: an embedded, persistent index database with a small query language, to find and pair things in
//! collections too big to read every time: waveform archives, events and picks, sky catalogues.
//!
//! A [`Database`] is a directory. [`Database::query`] runs statements of the language (`docs/language.md`) with typed
//! [`Params`] and streams Arrow record batches as [`Rows`]; [`Database::import`] and [`Database::refresh`] bring data
//! in; a [`Cancel`] token stops either from another thread; [`Progress`] is told how far they are. There is no global
//! state: databases with different [`Options`] live side by side, and one may be used from many threads.
//!
//! ```
//! use starquake::{Database, Import, Options};
//!
//! # fn main() -> starquake::Result<()> {
//! # let directory = tempfile::tempdir().expect("a directory");
//! # let (path, file) = (directory.path().join("sky.sqk"), directory.path().join("stars.csv"));
//! # std::fs::write(&file, "id,ra,dec,mag\n1,10.0,20.0,9.5\n2,10.0004,20.0,12.0\n3,200.0,-45.0,7.0\n").expect("a file");
//! let db = Database::create(&path, Options::default())?;
//! let done = db.import(&Import::catalog(&file).into_name("stars").key("id"))?;
//! assert_eq!(done.unreadable, 0);
//!
//! let rows = db.query("SELECT id, mag FROM stars WHERE mag < $faintest ORDER BY mag", [("faintest", 10.0)])?;
//! assert_eq!(rows.schema().columns[0].name, "id");
//! let mut count = 0;
//! for batch in rows {
//!     count += batch?.num_rows();
//! }
//! assert_eq!(count, 2);
//! # Ok(())
//! # }
//! ```
//!
//! Larger ones: `examples/first_query.rs` and `examples/crossmatch.rs`. Modules that are not listed here are the
//! rooms of the house, open for the command line and for tests; they may change in any version.

pub mod error;
#[doc(hidden)]
pub mod limits;
pub mod progress;

#[doc(hidden)]
pub mod geometry;
#[doc(hidden)]
pub mod model;
#[doc(hidden)]
pub mod signal;
#[doc(hidden)]
pub mod stats;

#[doc(hidden)]
pub mod format;
#[doc(hidden)]
pub mod lang;

#[doc(hidden)]
pub mod store;

#[doc(hidden)]
pub mod index;

#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod ingest;

#[doc(hidden)]
pub mod database;

pub use database::{Cancel, Database, Import, Options, Outcome, Params, Rows, Value};
pub use error::{Error, Result};
pub use model::table::{Batch, Column, Schema, Type};
pub use model::time::Time;
pub use model::units::Unit;
pub use progress::Progress;

/// The Arrow crates that rows are made of, in the version they are made with.
pub mod arrow {
    pub use arrow_array as array;
    pub use arrow_cast as cast;
    pub use arrow_schema as schema;
    pub use arrow_select as select;
}

/// The example of the README runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
