//! From a syntax tree and a snapshot to batches: the binder settles names, units and types, the plan says what is
//! done, the executor does it.

pub mod analyze;
pub mod bind;
pub mod budget;
pub mod cut;
pub mod estimate;
pub mod exec;
pub mod expr;
pub mod indexes;
pub mod ops;
pub mod optimize;
pub mod plan;
pub mod scope;
pub mod session;
pub mod show;
pub mod stream;
pub mod tables;
