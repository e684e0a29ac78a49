//! From a syntax tree and a snapshot to batches.

pub mod ops;
