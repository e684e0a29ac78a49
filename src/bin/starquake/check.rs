//! `starquake check`: a query file without running it, or every block of a database.

use std::io::Write;
use std::path::Path;

use starquake::database::Database;
use starquake::error::{Error, Result};
use starquake::lang::parse;

use crate::args::CheckArgs;
use crate::exit::{self, say};
use crate::output::Stdout;
use crate::script;
use crate::style::{Streams, counted, lines, one_line, paint};

/// Parses a query file and says how many statements it has.
pub(crate) fn query_file(path: &Path) -> Result<()> {
    let source = script::from_file(path)?;
    let statements = parse::script(&source.name, &source.text)?;
    say(&format!(
        "{}: {}, nothing was run",
        one_line(&source.name),
        counted(statements.len() as u64, "statement")
    ));
    Ok(())
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
