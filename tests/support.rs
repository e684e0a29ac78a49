//! A database in a temporary directory, statements and their answers as CSV.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use starquake::database::{Database, Options, Outcome, Output, Session};
use starquake::error::{Error, Result, Source};
use starquake::format::table::{Format, Writer};
use starquake::model::table::{Batch, Schema};
use starquake::progress::Silent;

/// The real data, or a line on stderr that the test skips.
pub fn data(test: &str) -> Option<PathBuf> {
    let found = std::env::var_os("STARQUAKE_DATA").map(PathBuf::from).filter(|p| p.is_dir());
    if found.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: STARQUAKE_DATA names no directory");
    }
    found
}

/// A database that vanishes with the test.
pub struct Db {
    pub dir: tempfile::TempDir,
    pub database: Database,
    pub session: Session,
}

/// Collects the rows of answers.
#[derive(Default)]
struct Rows {
    schema: Option<Schema>,
    batches: Vec<Batch>,
}

impl Output for Rows {
    fn begin(&mut self, schema: &Schema) -> Result<()> {
        *self = Rows { schema: Some(schema.clone()), batches: vec![] };
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        self.batches.push(batch.clone());
        Ok(())
    }
}

/// Bytes that can be read while a writer owns them.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic elsewhere").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn csv(rows: &Rows) -> String {
    let Some(schema) = &rows.schema else { return String::new() };
    let out = Shared::default();
    let mut writer =
        Writer::new(Format::Csv, "answer".as_ref(), schema, Box::new(out.clone())).expect("a writer");
    rows.batches.iter().for_each(|b| writer.write(b).expect("rows that can be written"));
    writer.finish().expect("an end");
    let bytes = out.0.lock().expect("no panic elsewhere").clone();
    String::from_utf8(bytes).expect("UTF-8")
}

impl Db {
    /// An empty database.
    pub fn new() -> Db {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let database = Database::create(dir.path().join("t.sqk"), Options::default()).expect("a database");
        Db { dir, database, session: Session::default() }
    }

    /// Runs a script; the outcomes and the last answer as CSV.
    pub fn try_run(&mut self, text: &str) -> Result<(Vec<Outcome>, String)> {
        let source = Source { name: "test.sq".to_owned(), text: text.to_owned() };
        let mut rows = Rows::default();
        let outcomes = self.database.script(&mut self.session, &source, (&mut rows, &Silent))?;
        Ok((outcomes, csv(&rows)))
    }

    /// Runs a script that must succeed.
    pub fn run(&mut self, text: &str) -> Vec<Outcome> {
        match self.try_run(text) {
            Ok((outcomes, _)) => outcomes,
            Err(error) => panic!("{text}\n{}", shown(&error)),
        }
    }

    /// The last answer of a script as CSV.
    pub fn csv(&mut self, text: &str) -> String {
        match self.try_run(text) {
            Ok((_, csv)) => csv,
            Err(error) => panic!("{text}\n{}", shown(&error)),
        }
    }

    /// The last answer, row by row, without the header.
    pub fn rows(&mut self, text: &str) -> Vec<Vec<String>> {
        let text = self.csv(text);
        let mut reader = csv_reader(&text);
        reader.remove(0);
        reader
    }

    /// The one value of an answer.
    pub fn value(&mut self, text: &str) -> String {
        let rows = self.rows(text);
        assert_eq!((rows.len(), rows[0].len()), (1, 1), "{text} has one value: {rows:?}");
        rows[0][0].clone()
    }

    /// The error of a statement.
    pub fn error(&mut self, text: &str) -> Error {
        match self.try_run(text) {
            Ok((_, csv)) => panic!("{text} succeeded:\n{csv}"),
            Err(error) => error,
        }
    }
}

/// Rows of CSV text with quotes.
pub fn csv_reader(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![];
    let mut row = vec![String::new()];
    let mut in_quotes = false;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let last = row.len() - 1;
        match c {
            '"' if in_quotes && characters.peek() == Some(&'"') => {
                characters.next();
                row[last].push('"');
            }
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => row.push(String::new()),
            '\n' if !in_quotes => rows.push(std::mem::replace(&mut row, vec![String::new()])),
            '\r' if !in_quotes => {}
            c => row[last].push(c),
        }
    }
    if row != [String::new()] {
        rows.push(row);
    }
    rows
}

/// An error as the user sees it.
pub fn shown(error: &Error) -> String {
    match error {
        Error::Query(d) => starquake::lang::diagnostic::render(d, false),
        other => format!("error: {other}"),
    }
}
