//! `starquake check`: a query file without running it, or every block of a database.

use std::io::Write;
use std::path::{Path, PathBuf};

use starquake::database::{Database, Options};
use starquake::error::{Error, Result};

use crate::args::{CheckArgs, Rows};
use crate::exit::{self, say};
use crate::output::{Stdout, Target};
use crate::run::{Manner, Runner};
use crate::script;
use crate::style::{Streams, counted, lines, one_line, paint};

/// Reads a query file without running it: tells every mistake and what can be said only when it runs. The exit code.
pub(crate) fn query_file(path: &Path, place: Result<PathBuf, String>, rows: &Rows, streams: Streams) -> u8 {
    match checked(path, place, rows, streams) {
        Ok(code) => code,
        Err(error) => {
            exit::tell(&error, None, None, streams.stderr_color);
            exit::USAGE
        }
    }
}

fn checked(path: &Path, place: Result<PathBuf, String>, rows: &Rows, streams: Streams) -> Result<u8> {
    let source = script::from_file(path)?;
    let found = place.ok().filter(|p| p.exists());
    // Without a database the statements are bound against an empty one.
    let empty = tempfile::tempdir().map_err(|e| Error::io("create", "a temporary directory", e))?;
    let database = match &found {
        Some(place) => Database::open(place, Options { is_read_only: true, ..Options::default() })?,
        None => Database::create(empty.path().join("none.sqk"), Options::default())?,
    };
    let target = Target::new(None, None, streams).map_err(|m| Error::refused(m, ""))?;
    let mut runner = Runner::new(&database, target, Manner::default());
    rows.parameters.iter().try_for_each(|parameter| runner.pin(parameter))?;
    let ahead = database.check_script(&runner.session, &source, found.is_some())?;
    for error in &ahead.errors {
        exit::tell(error, Some(&source), None, streams.stderr_color);
    }
    for line in &ahead.unbound {
        say(&format!("{} not bound: {}", paint(streams.stderr_color, "1;33", "note:"), one_line(line)));
    }
    let against = match &found {
        Some(place) => format!("bound against {}", one_line(&place.display().to_string())),
        None => "no database to bind against".to_owned(),
    };
    let mut parts = vec![counted(ahead.statements as u64, "statement")];
    match ahead.errors.len() {
        0 => {}
        n => parts.push(counted(n as u64, "mistake")),
    }
    match ahead.unbound.len() {
        0 => {}
        n => parts.push(format!("{n} not bound")),
    }
    say(&format!("{}: {}; {against}; nothing was run", one_line(&source.name), parts.join(", ")));
    Ok(if ahead.errors.is_empty() { exit::DONE } else { exit::USAGE })
}

/// Reads every block (`--db`) and hashes every table (`--fingerprint`). The exit code.
pub(crate) fn database(database: &Database, args: &CheckArgs, streams: Streams) -> u8 {
    let blocks = if args.db { blocks(database, streams) } else { Ok(true) };
    let result = blocks.and_then(|is_sound| {
        if args.fingerprint {
            fingerprint(database)?;
        }
        Ok(is_sound)
    });
    match result {
        Ok(true) => exit::DONE,
        Ok(false) => exit::FAILED,
        Err(error) => {
            exit::tell(&error, None, None, streams.stderr_color);
            exit::code_of(&error)
        }
    }
}

/// Reads everything; each fault is told. False when there were any.
fn blocks(database: &Database, streams: Streams) -> Result<bool> {
    let report = database.check()?;
    for error in &report.damaged {
        say(&format!("{} {}", paint(streams.stderr_color, "1;31", "error:"), lines(&error.to_string())));
    }
    let manifest =
        if report.is_manifest_checked { "" } else { "; the manifest is being written and was not read" };
    say(&format!(
        "generation {}: {}, {}, {}{manifest}; {}",
        report.generation,
        counted(report.files as u64, "file"),
        counted(report.blocks, "block"),
        counted(report.bytes, "byte"),
        if report.damaged.is_empty() {
            "all as written".to_owned()
        } else {
            counted(report.damaged.len() as u64, "fault")
        }
    ));
    Ok(report.damaged.is_empty())
}

/// Prints `table,rows,hash`: equal for equal rows in table order, whatever segments they lie in.
fn fingerprint(database: &Database) -> Result<()> {
    let mut text = String::from("table,rows,hash\n");
    for (name, rows, hash) in database.fingerprint()? {
        text.push_str(&format!("{name},{rows},{hash:032x}\n"));
    }
    let written = Stdout.write_all(text.as_bytes()).and_then(|()| Stdout.flush());
    written.map_err(|e| Error::io("write", "standard output", e))
}
