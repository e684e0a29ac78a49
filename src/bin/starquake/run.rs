//! Runs statements: rows to the target, everything else to standard error, the exit code at the end.

use std::time::{Duration, Instant};

use starquake::database::{Cancel, Database, Outcome, Session};
use starquake::error::{Error, Result, Source};
use starquake::lang::parse;
use starquake::lang::syntax::{Expr, ExprKind, LetValue, Range, Statement, StatementKind};
use starquake::model::table::{Batch, Schema};
use starquake::progress::Silent;

use crate::exit::{self, say, tell};
use crate::output::{Kept, Sink, Target};
use crate::pager;
use crate::progress::Bar;
use crate::render::Shown;
use crate::signal::with_timeout;
use crate::statement::{name_of, text_of};
use crate::style::{counted, lines, one_line, paint, thousands};

/// What is said beside the rows, and how long a statement may take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) is_quiet: bool,
    pub(crate) is_verbose: bool,
    pub(crate) has_bar: bool,
    pub(crate) has_timer: bool,
    pub(crate) timeout: Option<Duration>,
    /// The prompt: keep the last rows.
    pub(crate) is_prompt: bool,
}

/// What the statements so far have come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    pub(crate) unreadable: u64,
}

/// A database in use.
pub(crate) struct Runner<'a> {
    pub(crate) database: &'a Database,
    pub(crate) session: Session,
    pub(crate) target: Target,
    pub(crate) manner: Manner,
    pub(crate) tally: Tally,
    pub(crate) last: Option<Kept>,
    cancel: Cancel,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(database: &'a Database, target: Target, manner: Manner) -> Runner<'a> {
        Runner {
            database,
            session: Session::default(),
            target,
            manner,
            tally: Tally::default(),
            last: None,
            cancel: database.cancel(),
        }
    }

    /// Gives `-P name=value` its value and keeps LET from changing it.
    pub(crate) fn pin(&mut self, parameter: &str) -> Result<()> {
        let (source, name, statement) = parameter_statement(parameter)?;
        self.silently(&statement, &source)?;
        self.session.pinned.insert(name);
        Ok(())
    }

    /// `--memory`, as SET takes it.
    pub(crate) fn set_memory(&mut self, size: &str) -> Result<()> {
        let text = format!("SET memory = {}", text_of(size));
        let statement = parse::statement("--memory", &text)?;
        self.silently(&statement, &Source { name: "--memory".to_owned(), text })
    }

    fn silently(&mut self, statement: &Statement, source: &Source) -> Result<()> {
        let how = (&mut NoRows as &mut dyn starquake::database::Output, &Silent as _);
        self.database.run(&mut self.session, statement, source, how).map(|_| ())
    }

    /// Runs statements up to the first that fails; its error has been told. The exit code.
    pub(crate) fn script(&mut self, source: &Source, statements: &[Statement]) -> u8 {
        if let Err(error) = self.database.bind_ahead(&self.session, source, statements) {
            tell(&error, Some(source), None, self.target.streams.stderr_color);
            return exit::code_of(&error);
        }
        for statement in statements {
            if let Err(error) = self.statement(statement, source) {
                if pager::take_left() {
                    return exit::DONE;
                }
                let line = line_of(source, statement);
                let place = (source.text.contains('\n') && source.name != "<prompt>")
                    .then(|| format!("{}:{line}", source.name));
                tell(&error, Some(source), place, self.target.streams.stderr_color);
                return exit::code_of(&error);
            }
        }
        exit::DONE
    }

    fn statement(&mut self, statement: &Statement, source: &Source) -> Result<()> {
        if !self.manner.is_prompt {
            self.cancel.check()?;
        }
        if self.manner.is_verbose {
            let text = source.text.get(statement.span.start..statement.span.end).unwrap_or("");
            say(&paint(self.target.streams.stderr_color, "2", &lines(text)));
        }
        let start = Instant::now();
        let bar = Bar::new(self.manner.has_bar);
        bar.wait();
        let mut sink = Sink::new(&mut self.target, &bar, self.manner.is_prompt);
        let (database, session) = (self.database, &mut self.session);
        let run = || database.run(session, statement, source, (&mut sink, &bar));
        let (result, is_over) = with_timeout(self.manner.timeout, &self.cancel, run);
        bar.clear();
        let rows = sink.rows();
        if is_over {
            self.cancel.reset();
        }
        let outcome = match result {
            Err(Error::Interrupted) if is_over => {
                return Err(Error::refused(
                    "the statement took longer than its time limit",
                    "raise --timeout",
                ));
            }
            other => other?,
        };
        let (shown, kept) = sink.finish()?;
        self.last = kept.or(self.last.take());
        self.tally.rows += outcome.rows.unwrap_or(rows);
        self.tally.unreadable += outcome.unreadable;
        self.tell_outcome(&outcome, shown, start.elapsed());
        Ok(())
    }

    /// Notices, message and footer.
    fn tell_outcome(&self, outcome: &Outcome, shown: Option<Shown>, time: Duration) {
        let color = self.target.streams.stderr_color;
        for notice in &outcome.notices {
            say(&format!("{} {}", paint(color, "1;33", "note:"), one_line(notice)));
        }
        if self.manner.is_quiet {
            return;
        }
        let mut parts: Vec<String> = outcome.message.iter().map(|m| lines(m).into_owned()).collect();
        if let Some(rows) = outcome.rows {
            parts.push(self.rows_part(rows, shown));
        }
        parts.extend(outcome.footer.iter().map(|f| one_line(f).into_owned()));
        if self.manner.has_timer && !parts.is_empty() {
            parts.push(seconds(time));
        }
        if !parts.is_empty() {
            say(&paint(color, "2", &parts.join("; ")));
        }
    }

    /// `12,345 rows, 40 shown: .last`
    fn rows_part(&self, rows: u64, shown: Option<Shown>) -> String {
        let mut text = counted(rows, "row");
        let Some(shown) = shown else { return text };
        let rows_way = (shown.rows < rows).then(|| format!("{} shown", thousands(shown.rows)));
        let columns_way = (shown.columns < shown.columns_in_all)
            .then(|| format!("{} of {} columns shown", shown.columns, shown.columns_in_all));
        if self.manner.is_prompt {
            text.push_str(&rows_way.map_or(String::new(), |w| format!(", {w}: .last")));
            text.push_str(&columns_way.map_or(String::new(), |w| format!(", {w}: \\x")));
        } else if rows_way.is_some() || columns_way.is_some() {
            let ways: Vec<String> = rows_way.into_iter().chain(columns_way).collect();
            text.push_str(&format!(", {}: -o FILE has all", ways.join(", ")));
        }
        text
    }
}

/// Where rows that nobody wants go.
pub(crate) struct NoRows;

impl starquake::database::Output for NoRows {
    fn begin(&mut self, _: &Schema) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, _: &Batch) -> Result<()> {
        Ok(())
    }
}

/// `0.012 s`
fn seconds(time: Duration) -> String {
    if time < Duration::from_millis(1) {
        "<0.001 s".to_owned()
    } else {
        format!("{:.3} s", time.as_secs_f64())
    }
}

/// Line of a statement, from 1.
fn line_of(source: &Source, statement: &Statement) -> usize {
    source.text.get(..statement.span.start).unwrap_or("").matches('\n').count() + 1
}

/// Does the statement give rows?
pub(crate) fn has_rows(statement: &Statement) -> bool {
    use StatementKind::{Describe, Explain, Query, Show};
    matches!(statement.kind, Query(_) | Show(_) | Describe(_) | Explain { .. })
}

/// `LET name = value` of a `name=value`; what is no expression, or names columns, is a text.
fn parameter_statement(parameter: &str) -> Result<(Source, String, Statement)> {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let (name, value) = (name.trim(), value.trim());
    let parse = |text: String| {
        let source = Source { name: format!("-P {name}"), text };
        parse::statement(&source.name, &source.text).map(|statement| (source, statement)).map_err(Error::from)
    };
    let parsed = parse(format!("LET {} = {value}", name_of(name))).ok().filter(|(_, s)| !names_columns(s));
    let (source, statement) = match parsed {
        Some(parsed) => parsed,
        None => parse(format!("LET {} = {}", name_of(name), text_of(value)))?,
    };
    Ok((source, name.to_owned(), statement))
}

fn names_columns(statement: &Statement) -> bool {
    let StatementKind::Let { value: LetValue::Value(Range { start, end, .. }), .. } = &statement.kind else {
        return false;
    };
    is_of_columns(start) || end.as_ref().is_some_and(is_of_columns)
}

/// Is there a bare name in it? `IU`, `data/x.csv` and `a-b` are texts.
fn is_of_columns(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Column(_) => true,
        ExprKind::Unary { operand, .. } => is_of_columns(operand),
        ExprKind::Binary { left, right, .. } => is_of_columns(left) || is_of_columns(right),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_expression_is_a_text() {
        let cases = [
            ("radius=3 arcsec", "LET radius = 3 arcsec"),
            ("r=3arcsec", "LET r = 3arcsec"),
            ("n=-5", "LET n = -5"),
            ("t=2024-01-01", "LET t = 2024-01-01"),
            ("w=2024-01-01..2024-02-01", "LET w = 2024-01-01..2024-02-01"),
            ("net=IU", "LET net = 'IU'"),
            ("file=data/x.csv", "LET file = 'data/x.csv'"),
            ("codes=IU.*.*.BHZ", "LET codes = 'IU.*.*.BHZ'"),
            ("x=it's", "LET x = 'it''s'"),
            ("x=1; DROP TABLE t", "LET x = '1; DROP TABLE t'"),
            ("x='a'", "LET x = 'a'"),
            ("x=", "LET x = ''"),
            ("x=TRUE", "LET x = TRUE"),
            ("x=a=b", "LET x = 'a=b'"),
            ("v=(FROM t)", "LET v = (FROM t)"),
        ];
        for (parameter, want) in cases {
            assert_eq!(parameter_statement(parameter).unwrap().0.text, want, "{parameter}");
        }
    }
}
