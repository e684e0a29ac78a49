//! Operators: one plain function per file, columns in, columns out.

pub mod aggregate;
pub mod apply;
pub mod archive;
pub mod correlate;
pub mod crossmatch;
pub mod group;
pub mod hash;
pub mod hash_join;
pub mod join;
pub mod matching;
pub mod merge;
pub mod narrow;
pub mod pair;
pub mod pieces;
pub mod prune;
pub mod raw;
pub mod relate;
pub mod scan;
pub mod selected;
pub mod sort;
pub mod stored;
pub mod timeline;
pub mod variability;
pub mod verbs;
pub mod window;
