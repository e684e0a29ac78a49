//! The facade: open a database, run statements. Each body is the list of rooms a statement crosses.

mod check;
mod copy;
mod import;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub use crate::engine::session::{Cancel, Session};

use crate::engine::bind::source::later;
use crate::engine::bind::{Binder, Context, query};
use crate::engine::plan::Node;
use crate::engine::session::{Notices, Variable, View};
use crate::engine::tables::Tables;
use crate::engine::{exec, optimize, show};
use crate::error::{Diagnostic, Error, Result, Source, Span};
use crate::lang::parse;
use crate::lang::syntax::{self, Describe, LetValue, Show, Statement, StatementKind};
use crate::limits;
use crate::model::table::{Batch, Schema};
use crate::progress::Progress;
use crate::store::{Store, Writer};

/// How a database is used.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Refuse every statement that writes.
    pub is_read_only: bool,
    /// Most rows an answer may have; more is an error.
    pub max_rows: Option<u64>,
    /// Memory of a statement, in bytes, where the session does not SET it; without either, a part of the machine's.
    pub memory_bytes: Option<usize>,
    /// Threads of a statement, where the session does not SET them; without either, those of rayon's global pool.
    pub threads: Option<usize>,
}

/// A database directory `NAME.sqk`. Cheap to open; readers never wait for a writer.
#[derive(Debug)]
pub struct Database {
    store: Store,
    options: Options,
    cancel: Arc<Cancel>,
    /// The threads of the last statement that asked for so many.
    threads: Mutex<Option<Arc<rayon::ThreadPool>>>,
}

/// Receives the rows of an answer.
pub trait Output {
    /// The columns, before the first row; called once for a statement that has rows.
    fn begin(&mut self, schema: &Schema) -> Result<()>;
    /// Some rows.
    fn batch(&mut self, batch: &Batch) -> Result<()>;
}

/// What a statement did, beside the rows it gave to [`Output`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Rows given out; `None` for statements that have no rows.
    pub rows: Option<u64>,
    /// One line: `imported 12 files, 36 segments into arc`.
    pub message: Option<String>,
    /// Warnings, each once.
    pub notices: Vec<String>,
    /// Parts of the footer: `30,000 left rows without partner`.
    pub footer: Vec<String>,
    /// Inputs that could not be read (exit code 3).
    pub unreadable: u64,
}

/// What a statement runs with.
struct Run<'a> {
    session: &'a mut Session,
    source: &'a Source,
    output: &'a mut dyn Output,
    progress: &'a dyn Progress,
    /// INCLUDE within INCLUDE.
    depth: usize,
}

impl Database {
    /// Opens a database. With `create`, makes an empty one where there is none.
    pub fn open(path: impl AsRef<Path>, create: bool, options: Options) -> Result<Database> {
        let path = path.as_ref();
        let store = if create { Store::open_or_create(path)? } else { Store::open(path)? };
        let threads = Mutex::default();
        Ok(Database { store, options, cancel: Arc::new(Cancel::default()), threads })
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.store.path().to_path_buf()
    }

    /// Stops the running statement within 100 ms; shared with a signal handler.
    pub fn cancel(&self) -> Arc<Cancel> {
        self.cancel.clone()
    }

    /// Parses and runs a script, one statement after the other, and stops at the first error. The whole text is
    /// parsed before the first statement runs.
    ///
    /// # Errors
    /// As [`Database::run`].
    pub fn script(
        &self,
        session: &mut Session,
        source: &Source,
        how: (&mut dyn Output, &dyn Progress),
    ) -> Result<Vec<Outcome>> {
        let statements = parse::script(&source.name, &source.text)?;
        let (output, progress) = how;
        statements.iter().map(|s| self.run(session, s, source, (&mut *output, progress))).collect()
    }

    /// Runs one statement (INCLUDE may run several). `source` is the text it was parsed from.
    ///
    /// # Errors
    /// A refusal with its place in the text; a fault of a file; a damaged or locked database.
    pub fn run(
        &self,
        session: &mut Session,
        statement: &Statement,
        source: &Source,
        how: (&mut dyn Output, &dyn Progress),
    ) -> Result<Outcome> {
        let (output, progress) = how;
        let mut run = Run { session, source, output, progress, depth: 0 };
        self.statement(statement, &mut run)
    }

    fn statement(&self, statement: &Statement, run: &mut Run<'_>) -> Result<Outcome> {
        let result = match &statement.kind {
            StatementKind::Query(query) => self.query(query, run),
            StatementKind::Explain { analyze, statement } => self.explain(*analyze, statement, run),
            StatementKind::Let { name, value } => self.let_value(name, value, run),
            StatementKind::Set { name, value } => self.set(name, value, run),
            StatementKind::Show(Show::Changes(name)) => self.show_changes(name.as_ref(), run),
            StatementKind::Show(what) => self.show(what, run),
            StatementKind::Describe(what) => self.describe(what, run),
            StatementKind::Include(path) => self.include(path, run),
            StatementKind::Import(import) => self.import(import, statement.span, run),
            StatementKind::Refresh { full, name } => {
                self.refresh((*full, name.as_ref()), statement.span, run)
            }
            StatementKind::Copy(copy) => self.copy(copy, run),
            StatementKind::Drop { if_exists, name } => self.drop_table(*if_exists, name, statement.span, run),
            StatementKind::Compact(name) => self.compact(name.as_ref(), statement.span, run),
            StatementKind::Fetch(_) => Err(later("FETCH", statement.span).into()),
            StatementKind::Plot(_) => Err(later("PLOT", statement.span).into()),
        };
        result.map_err(|e| with_source(e, run.source))
    }

    /// Binds and runs `work` against one generation, and collects what was said on the way.
    fn reading<T>(
        &self,
        run: &mut Run<'_>,
        work: impl FnOnce(&Context<'_>, &mut Run<'_>) -> Result<T>,
    ) -> Result<(T, Outcome)> {
        let snapshot = self.store.snapshot()?;
        let tables = Tables::new(&snapshot);
        let notices = Notices::default();
        let session = run.session.clone();
        let budget = self.budget(&session)?;
        let threads = self.threads(&session)?;
        let context = Context {
            tables: &tables,
            session: &session,
            notices: &notices,
            cancel: &self.cancel,
            budget: &budget,
            threads: threads.as_deref(),
        };
        let value = work(&context, run)?;
        if let Some(refusals) = notices.refusals() {
            run.session.refusals = Some(refusals);
        }
        let outcome =
            Outcome { notices: notices.lines(), footer: notices.footer_lines(), ..Outcome::default() };
        Ok((value, outcome))
    }

    fn query(&self, query: &syntax::Query, run: &mut Run<'_>) -> Result<Outcome> {
        let max_rows = self.options.max_rows;
        let (rows, outcome) = self.reading(run, |context, run| {
            let node = plan_of(query, context)?;
            give(&node, context, run.output, max_rows)
        })?;
        Ok(Outcome { rows: Some(rows), ..outcome })
    }

    fn explain(&self, analyze: bool, statement: &Statement, run: &mut Run<'_>) -> Result<Outcome> {
        let query = match &statement.kind {
            StatementKind::Query(query) => query,
            StatementKind::Copy(copy) => &copy.query,
            _ => return Err(later("EXPLAIN of IMPORT and REFRESH", statement.span).into()),
        };
        let (rows, outcome) = self.reading(run, |context, run| {
            let node = plan_of(query, context)?;
            let mut lines: Vec<Vec<Option<String>>> =
                crate::engine::plan::explain(&node).into_iter().map(|l| vec![Some(l)]).collect();
            if analyze {
                let start = std::time::Instant::now();
                let mut batches = context.install(|| exec::rows(&node, context))?;
                let mut rows = 0;
                while let Some(batch) = context.install(|| batches.next()) {
                    rows += batch?.num_rows();
                }
                lines.push(vec![Some(format!("{rows} rows in {:.3} s", start.elapsed().as_secs_f64()))]);
                lines.extend(context.notices.footer_lines().into_iter().map(|l| vec![Some(l)]));
            }
            let batch = show::text_table(&["plan"], lines)?;
            give_batch(&batch, run.output)
        })?;
        Ok(Outcome { rows: Some(rows), ..outcome })
    }

    fn let_value(&self, name: &syntax::Ident, value: &LetValue, run: &mut Run<'_>) -> Result<Outcome> {
        if run.session.pinned.contains(&name.text) {
            return Ok(Outcome::default());
        }
        let source = run.source.clone();
        let (variable, outcome) = self.reading(run, |context, _| match value {
            LetValue::Query(query) => {
                // What can be said of it already is said here; its tables may come later.
                Ok(Variable::View(Box::new(View { query: (**query).clone(), source: Some(source) })))
            }
            LetValue::Value(range) => Ok(Variable::Value(Binder::new(*context).value(range)?)),
        })?;
        run.session.variables.insert(name.text.clone(), variable);
        Ok(outcome)
    }

    fn show(&self, what: &Show, run: &mut Run<'_>) -> Result<Outcome> {
        let (rows, outcome) =
            self.reading(run, |context, run| give_batch(&show::show(what, context)?, run.output))?;
        Ok(Outcome { rows: Some(rows), ..outcome })
    }

    fn describe(&self, what: &Describe, run: &mut Run<'_>) -> Result<Outcome> {
        let (rows, outcome) = self.reading(run, |context, run| {
            let binder = Binder::new(*context);
            let node = match what {
                Describe::Name(name) => binder.table(name)?,
                Describe::Query(query) => binder.query(query)?,
            };
            give_batch(&show::describe(&node.columns)?, run.output)
        })?;
        Ok(Outcome { rows: Some(rows), ..outcome })
    }

    fn include(&self, path: &syntax::Text, run: &mut Run<'_>) -> Result<Outcome> {
        if run.depth >= limits::QUERY_DEPTH {
            return Err(Diagnostic::new("INCLUDE is nested too deeply", path.span).into());
        }
        let (name, _) = self.reading(run, |context, _| Binder::new(*context).text(path))?;
        let text = std::fs::read_to_string(&name).map_err(|e| {
            Diagnostic::new(format!("cannot read {name}: {e}"), path.span)
                .help("paths are relative to the current directory")
        })?;
        let source = Source { name: name.clone(), text };
        let statements = parse::script(&source.name, &source.text)?;
        let mut whole = Outcome::default();
        for statement in &statements {
            let mut inner = Run {
                session: &mut *run.session,
                source: &source,
                output: &mut *run.output,
                progress: run.progress,
                depth: run.depth + 1,
            };
            let outcome = self.statement(statement, &mut inner)?;
            whole.notices.extend(outcome.notices);
            whole.footer.extend(outcome.footer);
            whole.unreadable += outcome.unreadable;
            whole.message = match (whole.message.take(), outcome.message) {
                (Some(before), Some(line)) => Some(format!("{before}\n{line}")),
                (before, line) => before.or(line),
            };
            whole.rows = outcome.rows.map(|n| n + whole.rows.unwrap_or(0)).or(whole.rows);
        }
        Ok(whole)
    }

    /// The writer of one statement: lock and manifest are held until it is dropped.
    fn writer(&self, span: Span, run: &Run<'_>) -> Result<Writer> {
        if self.options.is_read_only {
            return Err(Diagnostic::new(
                "this statement writes, and the database was opened read-only",
                span,
            )
            .into());
        }
        let text = run.source.text.get(span.start..span.end).unwrap_or("");
        self.store.writer(text)
    }
}

/// The plan of a query, ready to run.
fn plan_of(query: &syntax::Query, context: &Context<'_>) -> Result<Node> {
    let node = Binder::new(*context).query(query)?;
    Ok(optimize::optimize(query::shown(node)))
}

/// Gives the rows of a plan out, and counts them.
fn give(node: &Node, context: &Context<'_>, output: &mut dyn Output, max_rows: Option<u64>) -> Result<u64> {
    let mut batches = context.install(|| exec::rows(node, context))?;
    output.begin(&node.schema())?;
    let mut rows = 0;
    while let Some(batch) = context.install(|| batches.next()) {
        let batch = batch?;
        context.cancel.check()?;
        rows += batch.num_rows() as u64;
        if let Some(most) = max_rows.filter(|most| rows > *most) {
            return Err(Error::Limit {
                what: "the answer".to_owned(),
                limit: format!("{most} rows"),
                help: "add LIMIT, or raise the row limit".to_owned(),
            });
        }
        output.batch(&batch)?;
    }
    Ok(rows)
}

fn give_batch(batch: &Batch, output: &mut dyn Output) -> Result<u64> {
    output.begin(&Schema::from_arrow(&batch.schema()))?;
    output.batch(batch)?;
    Ok(batch.num_rows() as u64)
}

/// Tells a diagnostic which text it speaks of.
fn with_source(error: Error, source: &Source) -> Error {
    match error {
        Error::Query(mut diagnostic) => {
            if diagnostic.source.is_none() {
                diagnostic.source = Some(source.clone());
            }
            Error::Query(diagnostic)
        }
        other => other,
    }
}
