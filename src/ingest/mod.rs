//! Files from outside become rows and segments.

pub mod import;
pub mod position;
pub mod refresh;
