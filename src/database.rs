//! The facade: open a database, run statements. Each body is the list of rooms a statement crosses.

mod builder;
mod check;
mod copy;
mod import;
mod outline;
mod params;
mod request;
mod rows;
mod script;
mod select;
pub(crate) mod settings;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

pub use self::script::Ahead;
pub use crate::engine::session::{Cancel, Session};
pub use builder::Import;
pub use params::{Params, Value};
pub use rows::Rows;

use crate::engine::analyze::{Analysis, counted, explain};
use crate::engine::bind::source::later;
use crate::engine::bind::{Binder, Context, query};
use crate::engine::plan::Node;
use crate::engine::session::{Notices, Variable, View};
use crate::engine::tables::Tables;
use crate::engine::{exec, indexes, optimize, show};
use crate::error::{Diagnostic, Error, Result, Source, Span};
use crate::lang::parse;
use crate::lang::syntax::{self, Describe, LetValue, Show, Statement, StatementKind};
use crate::model::table::{Batch, Schema};
use crate::progress::{Progress, Silent};
use crate::store::{Store, Writer};

/// How a database is used. Two databases of one process may differ in all of it.
///
/// ```
/// let options = starquake::Options { threads: Some(2), ..Default::default() };
/// # assert!(!options.is_read_only);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Refuse every statement that writes.
    pub is_read_only: bool,
    /// Most rows an answer may have; more is an error.
    pub max_rows: Option<u64>,
    /// Memory of a statement, in bytes, where the session does not SET it; without either, a part of the machine's.
    pub memory_bytes: Option<usize>,
    /// Threads of its statements; `None` shares those of the process, one for each core. No answer depends on it.
    pub threads: Option<usize>,
}

/// A database directory `NAME.sqk`. Cheap to open and to clone; clones are handles of the same database and may be
/// used from several threads at once. Readers never wait for a writer: every query answers from the generation that
/// was the newest when it began.
#[derive(Clone)]
pub struct Database {
    store: Store,
    options: Options,
    /// Its own threads, if it has some.
    pool: Option<Arc<rayon::ThreadPool>>,
    /// The threads of the last statement that had a number of them SET.
    set_threads: Arc<Mutex<Option<Arc<rayon::ThreadPool>>>>,
    cancel: Cancel,
    progress: Arc<dyn Progress + Send + Sync>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.store.path())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Receives the rows of an answer.
pub trait Output: Send {
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
    /// The pairs that CORRELATE has no row for, each with its reason: columns event1, event2, network, station,
    /// phase, channel, reason.
    pub refusals: Option<Batch>,
}

impl Outcome {
    /// Both, one after the other.
    fn and(mut self, next: Outcome) -> Outcome {
        self.notices.extend(next.notices);
        self.footer.extend(next.footer);
        self.unreadable += next.unreadable;
        self.message = match (self.message.take(), next.message) {
            (Some(before), Some(line)) => Some(format!("{before}\n{line}")),
            (before, line) => before.or(line),
        };
        self.rows = next.rows.map(|n| n + self.rows.unwrap_or(0)).or(self.rows);
        self.refusals = next.refusals.or(self.refusals);
        self
    }
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
    /// Opens the database at `path`.
    ///
    /// # Errors
    /// There is none, a newer program wrote it, it is damaged; I/O.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Database> {
        Database::of(Store::open(path)?, options)
    }

    /// Opens the database at `path`; makes an empty one where there is none.
    ///
    /// # Errors
    /// As [`Database::open`]; something else is there.
    pub fn create(path: impl AsRef<Path>, options: Options) -> Result<Database> {
        Database::of(Store::open_or_create(path)?, options)
    }

    fn of(store: Store, options: Options) -> Result<Database> {
        let pool = |threads: usize| {
            let built = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
            built.map(Arc::new).map_err(|e| {
                Error::refused(format!("cannot start {threads} threads: {e}"), "ask for fewer threads")
            })
        };
        let pool = options.threads.map(pool).transpose()?;
        let set_threads = Arc::default();
        Ok(Database { store, options, pool, set_threads, cancel: Cancel::new(), progress: Arc::new(Silent) })
    }

    /// Removes a database in which nothing was ever committed: what a first import that failed leaves behind.
    /// True when it is gone.
    pub fn remove_if_empty(self) -> bool {
        let path = self.path();
        let is_empty = |catalogue: &crate::store::Catalogue| {
            catalogue.generation <= 1 && catalogue.tables.is_empty() && catalogue.sources.is_empty()
        };
        // The writer's lock is held while it goes, so that nobody else begins to write.
        let Ok(writer) = self.store.writer("removing an empty database") else { return false };
        is_empty(writer.catalogue()) && std::fs::remove_dir_all(path).is_ok()
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.store.path().to_path_buf()
    }

    /// The token that stops whatever runs on this handle and its clones, until it is [reset](Cancel::reset).
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// A handle whose statements stop also when `cancel` says so.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Database {
        Database { cancel: self.cancel.narrower().or(cancel), ..self.clone() }
    }

    /// A handle whose imports and refreshes tell `progress` how far they are.
    #[must_use]
    pub fn with_progress(&self, progress: impl Progress + Send + 'static) -> Database {
        Database { progress: Arc::new(progress), ..self.clone() }
    }

    /// Does work on the threads of this database. Whoever takes rows must not be waited for in here: a thread of
    /// the pool would wait with it.
    fn on_threads<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// As [`Self::on_threads`], where the session may have SET how many.
    fn on_set_threads<T: Send>(
        &self,
        run: &mut Run<'_>,
        work: impl FnOnce(&mut Run<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        match self.threads(run.session)? {
            Some(pool) => pool.install(|| work(run)),
            None => work(run),
        }
    }

    /// Parses and runs a script, one statement after the other, and stops at the first error. The whole text, and
    /// what it includes, is parsed before the first statement runs, and bound as far as its tables exist.
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
        self.bind_ahead(session, source, &statements)?;
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
            StatementKind::Query(query) => self.run_query(query, run),
            StatementKind::Explain { analyze, statement } => self.explain(*analyze, statement, run),
            StatementKind::Let { name, value } => self.let_value(name, value, run),
            StatementKind::Set { name, value } => self.set(name, value, run),
            StatementKind::Show(Show::Changes(name)) => self.show_changes(name.as_ref(), run),
            StatementKind::Show(what) => self.show(what, run),
            StatementKind::Describe(what) => self.describe(what, run),
            StatementKind::Include(path) => self.include(path, run),
            StatementKind::Import(import) => {
                self.on_set_threads(run, |run| self.run_import(import, statement.span, run))
            }
            StatementKind::Refresh { full, name } => {
                self.on_set_threads(run, |run| self.run_refresh((*full, name.as_ref()), statement.span, run))
            }
            StatementKind::Copy(copy) => self.on_threads(|| self.copy(copy, run)),
            StatementKind::Drop { if_exists, name } => self.drop_table(*if_exists, name, statement.span, run),
            StatementKind::Compact(name) => {
                self.on_threads(|| self.compact(name.as_ref(), statement.span, run))
            }
            StatementKind::Fetch(_) => Err(later("FETCH", statement.span).into()),
            StatementKind::Plot(_) => Err(later("PLOT", statement.span).into()),
        };
        result.map_err(|e| with_source(e, run.source))
    }

    /// Runs `work` against the newest generation, with the memory and threads of the session.
    fn in_context<T>(
        &self,
        session: &Session,
        notices: &Notices,
        work: impl FnOnce(&Context<'_>) -> Result<T>,
    ) -> Result<T> {
        let snapshot = self.store.snapshot()?;
        let tables = Tables::new(&snapshot);
        let budget = self.budget(session)?;
        let threads = self.threads(session)?;
        work(&Context {
            tables: &tables,
            session,
            notices,
            cancel: &self.cancel,
            budget: &budget,
            threads: threads.as_deref(),
            analysis: None,
        })
    }

    /// Binds and runs `work` against one generation, and collects what was said on the way.
    fn reading<T>(
        &self,
        run: &mut Run<'_>,
        work: impl FnOnce(&Context<'_>, &mut Run<'_>) -> Result<T>,
    ) -> Result<(T, Outcome)> {
        let notices = Notices::default();
        let session = run.session.clone();
        let value = self.in_context(&session, &notices, |context| work(context, run))?;
        let outcome = Outcome {
            notices: notices.lines(),
            footer: notices.footer_lines(),
            refusals: notices.refusals(),
            ..Outcome::default()
        };
        if let Some(refusals) = &outcome.refusals {
            run.session.refusals = Some(refusals.clone());
        }
        Ok((value, outcome))
    }

    fn run_query(&self, query: &syntax::Query, run: &mut Run<'_>) -> Result<Outcome> {
        let max_rows = self.options.max_rows;
        let (rows, outcome) = self.reading(run, |context, run| {
            let node = context.install(|| plan_of(query, context))?;
            indexes::used(&node).iter().for_each(|i| context.notices.footer(format!("index: {i}")));
            give(&node, context, run.output, max_rows)
        })?;
        Ok(Outcome { rows: Some(rows), ..outcome })
    }

    fn explain(&self, analyze: bool, statement: &Statement, run: &mut Run<'_>) -> Result<Outcome> {
        let query = match &statement.kind {
            StatementKind::Query(query) => query,
            StatementKind::Copy(copy) if analyze => &copy.query,
            _ => return self.explain_writing(analyze, statement, run),
        };
        let (rows, outcome) = self.reading(run, |context, run| {
            let lines = context.install(|| explained(query, analyze, context))?;
            let lines = lines.into_iter().map(|line| vec![Some(line)]).collect();
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
                Describe::Variable(name) => match context.session.variables.get(&name.text) {
                    Some(Variable::Value(value)) => {
                        let row = [Some(format!("${}", name.text)), Some(value.phrase().to_owned())];
                        let table = show::text_table(&["variable", "value"], vec![row.into()])?;
                        return give_batch(&table, run.output);
                    }
                    _ => binder.rows_of_view(&name.text, name.span)?,
                },
                Describe::Name(name) => binder.table(name)?,
                Describe::Query(query) => binder.query(query)?,
            };
            give_batch(&show::describe(&node.columns)?, run.output)
        })?;
        Ok(Outcome { rows: Some(rows), ..outcome })
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

/// The lines of EXPLAIN. Only the plan itself is analysed, not what the binder runs to make it.
fn explained(query: &syntax::Query, analyze: bool, context: &Context<'_>) -> Result<Vec<String>> {
    let node = plan_of(query, context)?;
    if !analyze {
        return explain(&node, context);
    }
    let analysis = Analysis::default();
    let context = Context { analysis: Some(&analysis), ..*context };
    let start = Instant::now();
    let mut rows = 0;
    for batch in exec::rows(&node, &context)? {
        context.cancel.check()?;
        rows += batch?.num_rows() as u64;
    }
    let time_s = start.elapsed().as_secs_f64();
    let mut lines = explain(&node, &context)?;
    lines.push(format!("{} in {time_s:.3} s", counted(rows, "row")));
    Ok(lines)
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
