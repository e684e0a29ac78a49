//! The one integration-test binary; each module says what it proves.

/// Helpers: a database in a temporary directory, answers as CSV, the real data where they are.
mod support;

/// The command line: exit codes, streams, formats, options.
mod cli;
/// Helpers: this binary again as another process.
mod child;
/// Helpers: small waveform archives, made by our own writers.
mod tree;

/// The house: floors, the fence around unsafe code, lengths of files.
mod architecture;

/// The language: every statement of the design parses, every wrong one is refused at its place.
mod queries;

/// Correlation: the real Ridgecrest pair through the whole program.
mod correlate;
/// Catalogues: import, cones, crossmatches, with real and generated skies.
mod sky;
/// The language, statement by statement, against golden answers.
mod semantics;
/// Waveform archives: import, refresh, gaps, against libmseed and ObsPy truth.
mod waveforms;

/// Readers and writers in several processes.
mod concurrency;
/// The process is killed while it writes: the next one goes on.
mod crash;
/// Changes of an archive: what is read again, what is kept, what REFRESH refuses to believe.
mod refresh;
