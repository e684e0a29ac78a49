//! What is where in time: records of a file joined to segments, a compact map of their records, and the gaps and
//! the coverage of a channel's time line across files.

mod continuity;
mod leap;
mod map;
mod segments;

pub use continuity::{Bin, Bounds, Gap, Interval, breaks, coverage, gaps};
pub use map::{Packer, decode_records, encode_records};
pub use segments::{Segment, assemble};

#[cfg(test)]
mod tests;
