//! `starquake check`: a query file without running it, or every block of a database.

use std::path::Path;

use starquake::database::{Database, Output, Session};
use starquake::error::{Result, Source};
use starquake::lang::parse;
use starquake::model::table::{Batch, Schema};
use starquake::progress::Silent;
use starquake::store::{ContentHash, Store};

use crate::args::CheckArgs;
use crate::complete::table_names;
use crate::exit::{self, say};
use crate::output::Stdout;
use crate::script;
use crate::statement::name_of;
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
    let report = Store::open(database.path())?.check()?;
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

/// Prints `table,rows,hash`: the hash is of the rows in table order, whatever segments they lie in. The time of the last
/// refresh is no content.
fn fingerprint(database: &Database) -> Result<()> {
    use std::io::Write;
    let error = |e| starquake::error::Error::io("write", "standard output", e);
    writeln!(Stdout, "table,rows,hash").map_err(error)?;
    for name in table_names(database)? {
        let text = match name.as_str() {
            "sources" => "SELECT name, kind, root, options FROM sources".to_owned(),
            name => format!("FROM {}", name_of(name)),
        };
        let mut hash = Hashed::default();
        let source = Source { name: "<fingerprint>".to_owned(), text };
        let statement = parse::statement(&source.name, &source.text)?;
        database.run(&mut Session::default(), &statement, &source, (&mut hash, &Silent))?;
        let value = hash.hash.map_or(0, |h| h.finish());
        writeln!(Stdout, "{name},{},{value:032x}", hash.rows).map_err(error)?;
    }
    Ok(())
}

/// Hashes the rows of one table.
#[derive(Default)]
struct Hashed {
    hash: Option<ContentHash>,
    rows: u64,
}

impl Output for Hashed {
    fn begin(&mut self, schema: &Schema) -> Result<()> {
        self.hash = Some(ContentHash::new(schema));
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.hash.as_mut().map_or(Ok(()), |hash| hash.update(batch))
    }
}
