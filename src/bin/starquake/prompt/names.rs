//! What the database knows by name: tables, columns, functions, channel codes. Asked once for each line that is
//! typed, and never for long.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use arrow_array::Array;
use starquake::database::{Database, Output, Session};
use starquake::error::{Result, Source};
use starquake::format::number::Printer;
use starquake::lang::parse;
use starquake::model::table::{Batch, Schema};
use starquake::progress::Silent;

use crate::signal::with_timeout;

/// A list that takes longer is not offered: somebody waits for the key to do something.
const LONGEST: Duration = Duration::from_millis(300);
/// The channels of an archive.
const CODES: &str = "SELECT DISTINCT network, station, location, channel FROM segments";

/// A question and its answer, row by row.
type Answers = HashMap<String, Vec<Vec<String>>>;

/// The names of a database, as they were when the line was begun.
pub(super) struct Names<'a> {
    database: &'a Database,
    session: RefCell<Session>,
    answers: RefCell<Answers>,
}

impl<'a> Names<'a> {
    pub(super) fn new(database: &'a Database) -> Names<'a> {
        Names { database, session: RefCell::default(), answers: RefCell::default() }
    }

    /// A new line begins: a statement may have changed what there is.
    pub(super) fn renew(&self, session: &Session) {
        self.session.replace(session.clone());
        self.answers.borrow_mut().clear();
    }

    pub(super) fn tables(&self) -> Vec<String> {
        self.first_column("SHOW TABLES")
    }

    pub(super) fn functions(&self) -> Vec<String> {
        self.first_column("SHOW FUNCTIONS")
    }

    /// The columns of a table, a query or a verb, none where that cannot be bound.
    pub(super) fn columns(&self, source: &str) -> Vec<String> {
        self.first_column(&format!("DESCRIBE {source}"))
    }

    /// Names with their dollar.
    pub(super) fn variables(&self) -> Vec<String> {
        self.session.borrow().variables.keys().map(|name| format!("${name}")).collect()
    }

    /// Network, station, location and channel of all channels.
    pub(super) fn codes(&self) -> Vec<Vec<String>> {
        self.ask(CODES)
    }

    fn first_column(&self, question: &str) -> Vec<String> {
        self.ask(question).into_iter().filter_map(|row| row.into_iter().next()).collect()
    }

    fn ask(&self, question: &str) -> Vec<Vec<String>> {
        if let Some(known) = self.answers.borrow().get(question) {
            return known.clone();
        }
        // What cannot be answered is not offered; its mistake is told when the statement runs.
        let answer = self.run(question).unwrap_or_default();
        self.answers.borrow_mut().insert(question.to_owned(), answer.clone());
        answer
    }

    fn run(&self, question: &str) -> Result<Vec<Vec<String>>> {
        let source = Source { name: "<names>".to_owned(), text: question.to_owned() };
        let statement = parse::statement(&source.name, &source.text)?;
        let mut rows = Rows::default();
        let mut session = self.session.borrow().clone();
        let cancel = self.database.cancel();
        let run = || self.database.run(&mut session, &statement, &source, (&mut rows, &Silent));
        let (result, is_over) = with_timeout(Some(LONGEST), &cancel, run);
        if is_over {
            cancel.reset();
        }
        result.map(|_| rows.0)
    }
}

/// Collects rows as texts.
#[derive(Default)]
struct Rows(Vec<Vec<String>>);

impl Output for Rows {
    fn begin(&mut self, _: &Schema) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        let printers: Vec<Option<Printer<'_>>> = batch.columns().iter().map(Printer::new).collect();
        for row in 0..batch.num_rows() {
            let cells = printers.iter().zip(batch.columns()).map(|(printer, column)| {
                let mut text = String::new();
                if let Some(printer) = printer.as_ref().filter(|_| column.is_valid(row)) {
                    printer.push(&mut text, row);
                }
                text
            });
            self.0.push(cells.collect());
        }
        Ok(())
    }
}
