//! quakeml
