//! variability
