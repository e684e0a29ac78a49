//! mseed2
