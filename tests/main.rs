//! The one integration-test binary; each module says what it proves.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::type_complexity,
    reason = "a test that cannot go on fails there and says why"
)]

/// Helpers: a database in a temporary directory, answers as CSV, the real data where they are.
mod support;

/// Helpers: this binary again as another process.
mod child;
/// The command line: exit codes, streams, formats, options.
mod cli;
/// The demo: exit code and the truth it finds again.
mod demo;
/// The pages of help: their examples are run.
mod help;
/// The program beside statements: bench, man, completions, bulk requests, formats, signals.
mod program;
/// The prompt, driven in a pseudo-terminal.
mod prompt;
/// The README and docs/: their blocks are run.
mod readme;
/// Helpers: a pseudo-terminal and its screen.
mod terminal;
/// Helpers: small waveform archives, made by our own writers.
mod tree;

/// The house: floors, the fence around unsafe code, lengths of files.
mod architecture;

/// ADQL 2.1, production by production.
mod adql;
/// The language: every statement of the design parses, every wrong one is refused at its place.
mod queries;

/// COPY of segments into miniSEED and SAC, byte for byte and sample for sample.
mod copying;
/// Real files nobody here wrote: what every reader of the field finds in them, and we.
mod corpora;
/// Correlation: the real Ridgecrest pair through the whole program.
mod correlate;
/// Files that grow, sealed directories, `watch`.
mod growth;
/// The tsindex of mseedindex, out and in, and ObsPy's client on it.
mod interchange;
/// Joins, matches and subqueries against the plain evaluation of their conditions.
mod joins;
/// Faults of data and of scripts, as a user is told of them.
mod messages;
/// Damaged waveform files.
mod mutants;
/// Hints and pruning never change an answer.
mod optimizer;
/// The language, statement by statement, against golden answers.
mod semantics;
/// Catalogues: import, cones, crossmatches, with real and generated skies.
mod sky;
/// Threads and memory change no answer; what does not fit is refused by name.
mod threads;
/// Waveform archives: import, refresh, gaps, against libmseed and ObsPy truth.
mod waveforms;

/// The library: parameters, streamed rows, tokens, threads, examples.
mod library;

/// Readers and writers in several processes.
mod concurrency;
/// The process is killed while it writes: the next one goes on.
mod crash;
/// Changes of an archive: what is read again, what is kept, what REFRESH refuses to believe.
mod refresh;
/// Faults that were found by use.
mod regression;
/// Which files an import leaves out by their names.
mod selection;
