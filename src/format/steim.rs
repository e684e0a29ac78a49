//! steim
