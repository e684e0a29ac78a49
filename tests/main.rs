//! The one integration-test binary; each module says what it proves.

/// Helpers: a database in a temporary directory, answers as CSV, the real data where they are.
mod support;

/// The language: every statement of the design parses, every wrong one is refused at its place.
mod queries;

/// Correlation: the real Ridgecrest pair through the whole program.
mod correlate;
/// Catalogues: import, cones, crossmatches, with real and generated skies.
mod sky;
/// Hints and pruning never change an answer.
mod optimizer;
/// The language, statement by statement, against golden answers.
mod semantics;
/// Waveform archives: import, refresh, gaps, against libmseed and ObsPy truth.
mod waveforms;
