//! Indexes: what is where, in the order queries ask for it.

pub mod archive;
mod columns;
pub mod rows;
pub mod sky;
pub mod time;
