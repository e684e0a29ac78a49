//! Files from outside become rows and segments.

pub mod import;
pub mod refresh;
