//! Starquake: an embedded, persistent index database with a small query language, to find and pair things in
//! collections too big to read every time.

pub mod error;
pub mod limits;
pub mod progress;

pub mod geometry;
pub mod model;
pub mod signal;
pub mod stats;

pub mod format;
pub mod lang;

pub mod store;

pub mod index;

pub mod engine;
pub mod ingest;

pub mod database;
