//! Shows each statement, the first rows of its answer, and its footer.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use starquake::database::{Database, Outcome, Output, Session};
use starquake::error::{Error, Result, Source};
use starquake::lang::parse;
use starquake::lang::syntax::{Show, Statement, StatementKind};
use starquake::model::table::{Batch, Schema};

use super::verdict::Check;
use crate::exit;
use crate::output::Stdout;
use crate::progress::Bar;
use crate::render::{Layout, Table};
use crate::style::{Streams, counted, lines, one_line, paint, thousands};

/// Rows of an answer that are shown.
const ROWS_SHOWN: usize = 8;
/// Columns where standard output is no terminal.
const COLUMNS: usize = 120;

/// What runs statements and shows them.
pub(crate) struct Story<'a> {
    database: &'a Database,
    session: Session,
    streams: Streams,
    has_bar: bool,
}

/// Keeps the first rows of an answer, or all of them.
#[derive(Default)]
struct Rows {
    schema: Option<Schema>,
    batches: Vec<Batch>,
    most: usize,
    kept: usize,
}

impl Output for Rows {
    fn begin(&mut self, schema: &Schema) -> Result<()> {
        self.schema = Some(schema.clone());
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        let rows = batch.num_rows().min(self.most - self.kept);
        if rows > 0 {
            self.batches.push(batch.slice(0, rows));
            self.kept += rows;
        }
        Ok(())
    }
}

/// `0.012 s`
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

impl<'a> Story<'a> {
    pub(crate) fn new(database: &'a Database, streams: Streams, has_bar: bool) -> Story<'a> {
        Story { database, session: Session::default(), streams, has_bar }
    }

    /// Runs a script, and shows each statement with what it says.
    pub(crate) fn tell(&mut self, source: &Source, statements: &[Statement]) -> Result<()> {
        let mut end = 0;
        let mut has_answer = true;
        for statement in statements {
            let text = source.text.get(end..statement.span.end).unwrap_or("");
            let (remarks, text) = text.split_at(statement.span.start.saturating_sub(end).min(text.len()));
            end = statement.span.end;
            let remarks = remarks.trim_start_matches(';').trim();
            if has_answer || !remarks.is_empty() {
                self.line("")?;
            }
            self.show_statement(remarks, text)?;
            let start = Instant::now();
            let is_show = matches!(statement.kind, StatementKind::Show(Show::Status | Show::Tables));
            let most = if is_show { usize::MAX } else { ROWS_SHOWN };
            let mut rows = Rows { most, ..Rows::default() };
            let outcome = self.run(statement, source, &mut rows)?;
            has_answer = self.show_answer(&rows, &outcome, start)?;
        }
        Ok(())
    }

    /// All rows of a query.
    pub(crate) fn ask(&mut self, query: &str) -> Result<Vec<Batch>> {
        let source = Source { name: "<demo>".to_owned(), text: query.to_owned() };
        let statement = parse::statement(&source.name, query)?;
        let mut rows = Rows { most: usize::MAX, ..Rows::default() };
        self.run(&statement, &source, &mut rows)?;
        Ok(rows.batches)
    }

    fn run(&mut self, statement: &Statement, source: &Source, rows: &mut Rows) -> Result<Outcome> {
        let bar = Bar::new(self.has_bar);
        let result = self.database.run(&mut self.session, statement, source, (rows, &bar));
        bar.clear();
        result
    }

    fn show_statement(&self, remarks: &str, text: &str) -> Result<()> {
        let color = self.streams.stdout_color;
        let mut out = String::new();
        for line in remarks.lines() {
            out.push_str(&paint(color, "2", line));
            out.push('\n');
        }
        out.push_str(&paint(color, "1;36", &format!("{};", text.trim())));
        self.line(&out)
    }

    /// Was there anything to show?
    fn show_answer(&self, rows: &Rows, outcome: &Outcome, start: Instant) -> Result<bool> {
        if let Some(schema) = rows.schema.as_ref().filter(|_| rows.kept > 0) {
            let columns = terminal_size::terminal_size_of(io::stdout()).map(|s| usize::from(s.0.0));
            let terminal = columns.filter(|c| *c > 0 && self.streams.is_stdout_terminal).unwrap_or(COLUMNS);
            let color = self.streams.stdout_color;
            let layout = Layout { terminal: Some(terminal), color, ..Layout::default() };
            let mut table = Table::new(schema, layout, Box::new(Stdout));
            rows.batches.iter().try_for_each(|batch| table.write(batch))?;
            table.finish()?;
        }
        for notice in &outcome.notices {
            self.line(&format!("note: {}", one_line(notice)))?;
        }
        let mut parts: Vec<String> = outcome.message.iter().map(|m| lines(m).into_owned()).collect();
        if let Some(count) = outcome.rows {
            let more = if count as usize > rows.kept {
                format!(", {} shown", thousands(rows.kept as u64))
            } else {
                String::new()
            };
            parts.push(counted(count, "row") + &more);
        }
        parts.extend(outcome.footer.iter().map(|f| one_line(f).into_owned()));
        if parts.is_empty() {
            return Ok(false);
        }
        parts.push(seconds(start.elapsed()));
        self.line(&paint(self.streams.stdout_color, "2", &format!("({})", parts.join("; "))))?;
        Ok(true)
    }

    /// Shows what was compared; was all as planted?
    pub(crate) fn conclude(&self, checks: &[Check]) -> Result<bool> {
        let color = self.streams.stdout_color;
        self.line(&paint(color, "1", "\nfound, compared with what was planted"))?;
        for check in checks {
            let mark = if check.is_good { paint(color, "1;32", "✓") } else { paint(color, "1;31", "✗") };
            self.line(&format!("  {mark} {}", check.text))?;
        }
        let is_good = checks.iter().all(|c| c.is_good);
        if !is_good {
            exit::say("something is not as it was planted: this is a fault of the program");
        }
        Ok(is_good)
    }

    /// A line to standard output.
    pub(crate) fn line(&self, text: &str) -> Result<()> {
        writeln!(Stdout, "{text}").map_err(|e| Error::io("write", "standard output", e))
    }
}
