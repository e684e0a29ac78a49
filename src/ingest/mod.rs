//! Files from outside become rows and segments.

pub mod build;
pub mod import;
pub mod position;
pub mod refresh;
pub mod tsindex;
pub mod walk;
