//! What is where in time: records of a file joined to segments, a compact map of their records, and the gaps and
//! the coverage of a channel's time line across files.

mod continuity;
mod leap;
mod map;
mod segments;

pub use continuity::{Bin, Bounds, Gap, Interval, breaks, coverage, gaps};
pub use map::{Packer, decode_records, decode_stored, encode_records, from_stored, is_small, to_stored};
pub use segments::{Segment, assemble};

#[cfg(test)]
mod tests;
