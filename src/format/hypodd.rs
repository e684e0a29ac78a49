//! hypodd
