//! Operators: one plain function per file, columns in, columns out.

pub mod correlate;
pub mod crossmatch;
pub mod pair;
pub mod variability;
pub mod window;
