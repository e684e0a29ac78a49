//! Pure values without I/O: times, channel codes, units, tables.

pub mod station;
pub mod table;
pub mod time;
pub mod units;
