//! Oracles and properties of all statistics.
