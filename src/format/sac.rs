//! sac
