//! Scripts: INCLUDE, and what can be said of a script before its first statement runs. Reading ahead binds each
//! statement against the tables as the statements before it will have left them; what depends on rows or files
//! that are not there yet is bound when it is reached.

mod ahead;

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Database, Outcome, Run};
use crate::engine::bind::Binder;
use crate::error::{DataError, Diagnostic, Error, Result, Source, Span};
use crate::lang::diagnostic::place;
use crate::lang::parse;
use crate::lang::syntax::{self, Statement};
use crate::limits;

pub use self::ahead::Ahead;

impl Database {
    pub(super) fn include(&self, path: &syntax::Text, run: &mut Run<'_>) -> Result<Outcome> {
        if run.depth >= limits::QUERY_DEPTH {
            return Err(too_deep(path.span).into());
        }
        let (name, _) = self.reading(run, |context, _| Binder::new(*context).text(path))?;
        let source = included(&name, run.source, path.span)?;
        let here = place(run.source, path.span);
        let statements = parse::script(&source.name, &source.text).map_err(|d| outward(d.into(), &here))?;
        let mut whole = Outcome::default();
        for statement in &statements {
            let mut inner = Run {
                session: &mut *run.session,
                source: &source,
                output: &mut *run.output,
                progress: run.progress,
                depth: run.depth + 1,
            };
            let outcome = self
                .statement(statement, &mut inner)
                .map_err(|e| outward(placed(e, statement, &source), &here))?;
            whole = whole.and(outcome);
        }
        Ok(whole)
    }
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::new(format!("INCLUDE is nested deeper than {}", limits::QUERY_DEPTH), span)
}

/// The path of an INCLUDE: relative to the file that it stands in; of the prompt, of standard input and of the
/// command line to the current directory.
fn resolved(path: &str, including: &Source) -> PathBuf {
    let directory = Path::new(&including.name).parent().unwrap_or(Path::new(""));
    directory.join(path)
}

/// The text of an INCLUDE.
fn included(path: &str, including: &Source, span: Span) -> Result<Source, Diagnostic> {
    let path = resolved(path, including);
    let shown = path.display();
    let wrong = |why: String| Diagnostic::new(format!("cannot include {shown}: {why}"), span);
    let missing = |e: std::io::Error| {
        let help = match including.name.starts_with('<') {
            true => "the path is relative to the current directory",
            false => "the path is relative to the file that INCLUDE stands in",
        };
        wrong(e.to_string()).help(help)
    };
    // Opening a FIFO would wait for a writer.
    let metadata = std::fs::metadata(&path).map_err(missing)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "it is a directory" } else { "it is not a regular file" };
        return Err(wrong(what.to_owned()).help("INCLUDE takes one file of statements"));
    }
    let mut bytes = vec![];
    let file = std::fs::File::open(&path).map_err(missing)?;
    file.take(limits::QUERY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(missing)?;
    if bytes.len() > limits::QUERY_BYTES {
        return Err(wrong(format!("it is longer than {} bytes", limits::QUERY_BYTES))
            .help("split it, or IMPORT long lists"));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        wrong(format!("byte {} is not UTF-8: a query file is UTF-8 text", e.utf8_error().valid_up_to()))
    })?;
    Ok(Source { name: shown.to_string(), text })
}

/// An error of an included statement gets its place in the text; what is no fault of the statement stays as it is.
fn placed(error: Error, statement: &Statement, source: &Source) -> Error {
    let (message, help) = match error {
        Error::Query(mut d) => {
            d.source.get_or_insert_with(|| source.clone());
            return Error::Query(d);
        }
        Error::Data(fault) => {
            let help = fault.help.clone();
            (DataError { help: None, ..*fault }.to_string(), help)
        }
        Error::Refused { message, help } => (message, help),
        Error::Io { .. } => (error.to_string(), None),
        other => return other,
    };
    let mut d = Diagnostic::new(message, statement.span);
    d.help = help.filter(|h| !h.is_empty());
    d.source = Some(source.clone());
    d.into()
}

/// An error of an included text, with the place of the INCLUDE.
fn outward(error: Error, place: &str) -> Error {
    match error {
        Error::Query(mut d) => {
            d.included.push(place.to_owned());
            Error::Query(d)
        }
        other => other,
    }
}
