//! Foreign bytes, in and out: one file per format, both directions. No other room sees bytes from outside.
#![deny(clippy::indexing_slicing)]

pub mod arrow;
pub mod compress;
pub mod csv;
pub mod event;
pub mod gse2;
pub mod hypodd;
pub mod json;
pub mod layout;
pub mod mseed2;
pub mod mseed3;
pub mod number;
pub mod parquet;
pub mod quakeml;
pub mod sac;
pub mod stationxml;
pub mod steim;
pub mod table;
pub mod tsindex;
pub mod waveform;
pub mod wfdisc;
pub mod xml;
