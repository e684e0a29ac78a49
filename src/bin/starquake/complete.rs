//! Completion at the prompt: what the grammar expects at the cursor, with the names of this database.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use arrow_array::{Array, StringArray};
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use starquake::database::{Database, Output, Session};
use starquake::error::{Result, Source};
use starquake::lang::parse;
use starquake::model::table::{Batch, Schema};
use starquake::model::units::UNITS;
use starquake::progress::Silent;

use crate::command::COMMANDS;
use crate::statement::name_of;

/// What the prompt knows beside the line: shared with it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Lines of this statement before this one.
    pub(crate) before: String,
    /// Names of variables.
    pub(crate) variables: Vec<String>,
}

/// Completes lines of the prompt.
pub(crate) struct PromptHelper<'a> {
    database: &'a Database,
    known: Rc<RefCell<Known>>,
    files: FilenameCompleter,
}

impl<'a> PromptHelper<'a> {
    pub(crate) fn new(database: &'a Database, known: Rc<RefCell<Known>>) -> PromptHelper<'a> {
        PromptHelper { database, known, files: FilenameCompleter::new() }
    }

    /// The names that fit at the end of `text`, where a word that begins with `word` stands.
    fn candidates(&self, text: &str, word: &str) -> Vec<String> {
        let mut all = BTreeSet::new();
        for what in parse::expected(text, text.len()) {
            match what.as_str() {
                "<name>" => all.extend(self.names(text)),
                "<variable>" => {
                    all.extend(self.known.borrow().variables.iter().map(|v| format!("${v}")));
                }
                "<unit>" => all.extend(UNITS.iter().map(|u| u.0.to_owned())),
                other if other.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                    all.insert(in_case_of(other, word));
                }
                _ => {}
            }
        }
        let lower = word.to_ascii_lowercase();
        all.into_iter().filter(|name| name.to_ascii_lowercase().starts_with(&lower)).collect()
    }

    /// Tables, and the columns of those that the text names. A database that cannot be read has none.
    fn names(&self, text: &str) -> Vec<String> {
        let tables = table_names(self.database).unwrap_or_default();
        let words: Vec<&str> = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
        let is_named = |table: &&String| words.iter().any(|w| w.eq_ignore_ascii_case(table));
        let columns =
            tables.iter().filter(is_named).filter_map(|table| column_names(self.database, table).ok());
        let mut names: Vec<String> = columns.flatten().map(|name| name_of(&name)).collect();
        names.extend(tables.iter().map(|name| name_of(name)));
        names
    }
}

/// Keywords are completed in the case they were begun in.
fn in_case_of(keyword: &str, word: &str) -> String {
    let is_lower = word.starts_with(|c: char| c.is_ascii_lowercase());
    if is_lower { keyword.to_ascii_lowercase() } else { keyword.to_owned() }
}

/// Does the text end inside a string?
fn is_in_string(text: &str) -> bool {
    text.matches('\'').count() % 2 == 1
}

impl Completer for PromptHelper<'_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let head = line.get(..at).unwrap_or("");
        let before = self.known.borrow().before.clone();
        if before.is_empty() && head.starts_with(['.', '\\']) && !head.contains(' ') {
            let names = COMMANDS.iter().map(|c| c.name).filter(|name| name.starts_with(head));
            return Ok((0, names.map(|n| pair(n.to_owned())).collect()));
        }
        let text = format!("{before}{head}");
        if is_in_string(&text) {
            let start = head.rfind('\'').map_or(0, |quote| quote + 1);
            let path = head.get(start..).unwrap_or("");
            let (from, pairs) = self.files.complete_path(path, path.len())?;
            return Ok((start + from, pairs));
        }
        let start =
            head.rfind(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '$'))).map_or(0, |i| i + 1);
        let word = head.get(start..).unwrap_or("");
        Ok((start, self.candidates(&text, word).into_iter().map(pair).collect()))
    }
}

fn pair(text: String) -> Pair {
    Pair { display: text.clone(), replacement: text }
}

impl Hinter for PromptHelper<'_> {
    type Hint = String;
}

impl Highlighter for PromptHelper<'_> {
    fn highlight_candidate<'c>(&self, candidate: &'c str, _: rustyline::CompletionType) -> Cow<'c, str> {
        crate::style::one_line(candidate)
    }
}

impl Validator for PromptHelper<'_> {}

impl Helper for PromptHelper<'_> {}

/// The names SHOW TABLES lists.
pub(crate) fn table_names(database: &Database) -> Result<Vec<String>> {
    first_column(database, "SHOW TABLES".to_owned())
}

/// The names DESCRIBE lists.
pub(crate) fn column_names(database: &Database, table: &str) -> Result<Vec<String>> {
    first_column(database, format!("DESCRIBE {}", name_of(table)))
}

fn first_column(database: &Database, text: String) -> Result<Vec<String>> {
    let source = Source { name: "<names>".to_owned(), text };
    let statement = parse::statement(&source.name, &source.text)?;
    let mut names = Names::default();
    database.run(&mut Session::default(), &statement, &source, (&mut names, &Silent))?;
    Ok(names.0)
}

/// Collects the texts of the first column.
#[derive(Default)]
struct Names(Vec<String>);

impl Output for Names {
    fn begin(&mut self, _: &Schema) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        let first = batch.columns().first().and_then(|c| c.as_any().downcast_ref::<StringArray>());
        self.0.extend(first.into_iter().flat_map(|a| a.iter().flatten().map(str::to_owned)));
        Ok(())
    }
}
