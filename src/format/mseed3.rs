//! mseed3
