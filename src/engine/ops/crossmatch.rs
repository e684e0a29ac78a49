//! crossmatch
