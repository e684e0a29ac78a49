//! Exit codes, and how an error is told.

use starquake::error::{Error, Source};
use starquake::lang::diagnostic;

use crate::output::is_reader_gone;
use crate::style::{lines, paint};

/// All went well.
pub(crate) const DONE: u8 = 0;
/// A statement failed.
pub(crate) const FAILED: u8 = 1;
/// A mistake in usage or syntax: nothing was run.
pub(crate) const USAGE: u8 = 2;
/// Some inputs were unreadable.
pub(crate) const UNREADABLE: u8 = 3;
/// No rows, and `--fail-if-empty`.
pub(crate) const EMPTY: u8 = 4;
/// Locked, or of a newer version.
pub(crate) const LOCKED: u8 = 5;
/// Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;
/// The reader of the output has gone.
pub(crate) const READER_GONE: u8 = 141;

/// The exit code of an error of a statement that ran.
pub(crate) fn code_of(error: &Error) -> u8 {
    match error {
        _ if is_reader_gone() => READER_GONE,
        Error::Interrupted => INTERRUPTED,
        Error::Locked { .. } | Error::Version { .. } => LOCKED,
        _ => FAILED,
    }
}

/// Tells an error on standard error; a broken pipe is silent. `place` is `file:line` of the statement.
pub(crate) fn tell(error: &Error, source: Option<&Source>, place: Option<String>, color: bool) {
    if is_reader_gone() {
        return;
    }
    if let Error::Query(diagnostic) = error {
        let mut diagnostic = (**diagnostic).clone();
        diagnostic.source = diagnostic.source.or_else(|| source.cloned());
        say(diagnostic::render(&diagnostic, color).trim_end());
        return;
    }
    let place = place.map_or(String::new(), |place| format!("{}: ", lines(&place)));
    say(&format!("{} {place}{}", paint(color, "1;31", "error:"), lines(&error.to_string())));
}

/// A mistake in usage.
pub(crate) fn usage(message: &str, color: bool) -> u8 {
    say(&format!("{} {}", paint(color, "1;31", "error:"), lines(message)));
    USAGE
}

/// A line on standard error; when even that is closed nobody can be told.
pub(crate) fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}
