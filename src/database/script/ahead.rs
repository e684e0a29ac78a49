//! Reading a script ahead of running it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{included, outward, placed, resolved, too_deep};
use crate::database::copy;
use crate::database::import::{drop_from, nothing_to_drop, waveform_sources};
use crate::database::request::{self, Request};
use crate::database::{Database, Session, plan_of};
use crate::engine::bind::source::later;
use crate::engine::bind::{Binder, Context};
use crate::engine::budget::Budget;
use crate::engine::session::{Cancel, Notices, Variable, View};
use crate::engine::tables::Tables;
use crate::error::{Diagnostic, Error, Result, Source, Span};
use crate::ingest::import::preview::{self, Preview};
use crate::ingest::import::put_source;
use crate::lang::diagnostic::place;
use crate::lang::parse;
use crate::lang::syntax::{self, Describe, Import, LetValue, Show, Statement, StatementKind, TextKind};
use crate::limits;
use crate::store::{Catalogue, Snapshot};

/// Text tables up to this size are looked at before the script runs: their types are known only when all is read.
const LOOKED_AT_BYTES: u64 = 16 << 20;

/// What reading a script ahead has found.
#[derive(Debug, Default)]
pub struct Ahead {
    /// Statements, those of included files among them.
    pub statements: usize,
    /// Every mistake, in the order of the text.
    pub errors: Vec<Error>,
    /// What can be said only when the script runs, and why: `a.sq:3:8: ...`
    pub unbound: Vec<String>,
}

impl Database {
    /// Binds a parsed script as far as its tables exist, without running it; a script of one statement is bound
    /// when it runs. To be called before the first statement runs.
    ///
    /// # Errors
    /// The first mistake, in the script or in a file it includes.
    pub fn bind_ahead(&self, session: &Session, source: &Source, statements: &[Statement]) -> Result<()> {
        let is_include = |s: &Statement| matches!(s.kind, StatementKind::Include(_));
        if statements.len() < 2 && !statements.iter().any(is_include) {
            return Ok(());
        }
        let mut pass = Pass::new(self, session)?;
        pass.most_errors = 1;
        pass.statements(statements, source)?;
        pass.ahead.errors.into_iter().next().map_or(Ok(()), Err)
    }

    /// Reads a script without running it: its mistakes, all of them, and what cannot be said yet. Without
    /// `has_tables` this database is none: a table that the script does not make itself is no mistake.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn check_script(&self, session: &Session, source: &Source, has_tables: bool) -> Result<Ahead> {
        let mut pass = Pass::new(self, session)?;
        pass.has_tables = has_tables;
        let statements = pass.parsed(source);
        pass.statements(&statements, source)?;
        pass.ahead.errors.sort_by_key(|e| match e {
            Error::Query(d) if d.source.as_ref() == Some(source) => d.span.map_or(0, |s| s.start),
            _ => usize::MAX,
        });
        Ok(pass.ahead)
    }
}

/// The state of a script that is read ahead.
struct Pass<'a> {
    database: &'a Database,
    snapshot: Snapshot,
    /// Tables and sources as the statements so far will have left them.
    catalogue: Catalogue,
    session: Session,
    /// Tables, and variables with their dollar, that will be there but are not known: lower case.
    later: BTreeSet<String>,
    /// Files that COPY will write.
    written: BTreeSet<PathBuf>,
    /// Places of the INCLUDEs around, outermost first, and the files they name.
    around: Vec<(String, PathBuf)>,
    files: usize,
    has_tables: bool,
    most_errors: usize,
    /// Whatever would run instead of being bound is interrupted by it.
    stopped: Cancel,
    ahead: Ahead,
}

impl<'a> Pass<'a> {
    fn new(database: &'a Database, session: &Session) -> Result<Pass<'a>> {
        let snapshot = database.store.snapshot()?;
        let stopped = Cancel::default();
        stopped.cancel();
        Ok(Pass {
            database,
            catalogue: snapshot.catalogue().clone(),
            snapshot,
            session: session.clone(),
            later: BTreeSet::new(),
            written: BTreeSet::new(),
            around: vec![],
            files: 0,
            has_tables: true,
            most_errors: limits::ERRORS_TOLD,
            stopped,
            ahead: Ahead::default(),
        })
    }

    /// All statements that parse; what does not is told, and left out up to its `;`.
    fn parsed(&mut self, source: &Source) -> Vec<Statement> {
        let mut text = source.text.clone();
        loop {
            let mut mistake = match parse::script(&source.name, &text) {
                Ok(statements) => return statements,
                Err(mistake) => mistake,
            };
            let at = mistake.span.map_or(0, |s| s.start);
            mistake.source = Some(source.clone());
            let around = parse::statement_around(&text, at);
            self.told(mistake.into());
            if around.is_empty() || self.ahead.errors.len() >= self.most_errors {
                return vec![];
            }
            // Blanks instead of the statement: every other place stays where it is.
            text.replace_range(around.start..around.end, &" ".repeat(around.end - around.start));
        }
    }

    fn statements(&mut self, statements: &[Statement], source: &Source) -> Result<()> {
        for statement in statements {
            self.database.cancel.check()?;
            if self.ahead.errors.len() >= self.most_errors {
                return Ok(());
            }
            self.ahead.statements += 1;
            let Err(error) = self.statement(statement, source) else { continue };
            let here = place(source, statement.span);
            if matches!(error, Error::Interrupted) {
                self.unbound(format!("{here}: it needs the rows of a query"));
                continue;
            }
            let error = placed(error, statement, source);
            match self.waits_for(&error) {
                Some(reason) => self.unbound(reason),
                None => self.told(error),
            }
        }
        Ok(())
    }

    fn told(&mut self, error: Error) {
        let error = self.around.iter().rev().fold(error, |e, (place, _)| outward(e, place));
        self.ahead.errors.push(error);
    }

    fn unbound(&mut self, line: String) {
        if !self.ahead.unbound.contains(&line) {
            self.ahead.unbound.push(line);
        }
    }

    /// Why an error may be none when the script runs.
    fn waits_for(&self, error: &Error) -> Option<String> {
        let Error::Query(d) = error else { return None };
        let (source, span) = (d.source.as_ref()?, d.span?);
        let word = source.text.get(span.start..span.end)?;
        let last = if word.starts_with('$') { word } else { word.rsplit('.').next().unwrap_or(word) };
        let name = last.trim_matches('"').to_lowercase();
        let here = place(source, span);
        if self.later.contains(&name) {
            return Some(format!("{here}: `{name}` is made by this script, and not known before it runs"));
        }
        let is_table = d.message.starts_with("no table `") && !d.message.ends_with(" in this query");
        (is_table && !self.has_tables).then(|| format!("{here}: there is no database to look for `{name}`"))
    }

    /// Works with the binder on the tables as they will be.
    fn binding<T>(&self, work: impl FnOnce(&Context<'_>) -> Result<T>) -> Result<T> {
        let tables = Tables::planned(&self.snapshot, &self.catalogue);
        let (notices, budget) = (Notices::default(), Budget::default());
        work(&Context {
            tables: &tables,
            session: &self.session,
            notices: &notices,
            cancel: &self.stopped,
            budget: &budget,
            threads: None,
            analysis: None,
        })
    }

    fn query(&self, query: &syntax::Query) -> Result<()> {
        self.binding(|context| Binder::new(*context).query(query).map(|_| ()))
    }

    fn statement(&mut self, statement: &Statement, source: &Source) -> Result<()> {
        match &statement.kind {
            StatementKind::Query(query) => self.query(query),
            StatementKind::Explain { statement, .. } => match &statement.kind {
                StatementKind::Query(query) => self.query(query),
                StatementKind::Copy(copy) => self.query(&copy.query),
                _ => Ok(()),
            },
            StatementKind::Let { name, value } => self.let_value(&name.text, value, source),
            StatementKind::Set { name, .. } => Ok(crate::database::settings::known_setting(name)?),
            StatementKind::Show(Show::Changes(Some(name)))
            | StatementKind::Refresh { name: Some(name), .. }
            | StatementKind::Compact(Some(name)) => {
                waveform_sources(&self.catalogue.sources, Some(name)).map(|_| ())
            }
            StatementKind::Describe(Describe::Query(query)) => self.query(query),
            StatementKind::Describe(Describe::Variable(name)) => {
                let view = self.session.variables.get(&name.text);
                match view {
                    Some(Variable::Value(_)) => Ok(()),
                    _ => self.binding(|context| {
                        Binder::new(*context).rows_of_view(&name.text, name.span).map(|_| ())
                    }),
                }
            }
            StatementKind::Describe(Describe::Name(name)) => {
                self.binding(|context| Binder::new(*context).table(name).map(|_| ()))
            }
            StatementKind::Include(path) => self.include(path, source),
            StatementKind::Import(import) => self.import(import, source),
            StatementKind::Copy(copy) => self.copy(copy),
            StatementKind::Drop { if_exists, name } => {
                let last = name.parts.last().map_or("", |p| &p.text);
                let is_there = drop_from(&mut self.catalogue, last) | self.later.remove(&last.to_lowercase());
                match is_there || *if_exists || !self.has_tables {
                    true => Ok(()),
                    false => Err(nothing_to_drop(last, name.span).into()),
                }
            }
            StatementKind::Fetch(_) => Err(later("FETCH", statement.span).into()),
            StatementKind::Plot(_) => Err(later("PLOT", statement.span).into()),
            StatementKind::Show(_) | StatementKind::Refresh { .. } | StatementKind::Compact(_) => Ok(()),
        }
    }

    fn let_value(&mut self, name: &str, value: &LetValue, source: &Source) -> Result<()> {
        if self.session.pinned.contains(name) {
            return Ok(());
        }
        let variable = format!("${}", name.to_lowercase());
        let value = match value {
            LetValue::Query(query) => {
                let view = View { query: (**query).clone(), source: Some(source.clone()) };
                Variable::View(Box::new(view))
            }
            LetValue::Value(range) => {
                self.later.insert(variable.clone());
                self.session.variables.remove(name);
                Variable::Value(self.binding(|context| Binder::new(*context).value(range))?)
            }
        };
        self.later.remove(&variable);
        self.session.variables.insert(name.to_owned(), value);
        // Its tables may come later than the view: a mistake in it is one where it is used.
        Ok(())
    }

    fn copy(&mut self, copy: &syntax::Copy) -> Result<()> {
        let target = self.binding(|context| copy::target(copy, context))?;
        let schema = self.binding(|context| Ok(plan_of(&copy.query, context)?.schema()))?;
        target.takes(&schema, copy.to.span)?;
        if !self.written.contains(&target.path) {
            target.may_be_written(copy.to.span)?;
        }
        self.written.insert(target.path);
        Ok(())
    }

    fn include(&mut self, path: &syntax::Text, source: &Source) -> Result<()> {
        self.files += 1;
        if self.around.len() >= limits::QUERY_DEPTH {
            return Err(too_deep(path.span).into());
        }
        if self.files > limits::INCLUDES {
            let message = format!("this script includes more than {} files", limits::INCLUDES);
            return Err(Diagnostic::new(message, path.span).into());
        }
        let name = self.binding(|context| Binder::new(*context).text(path))?;
        let inner = included(&name, source, path.span)?;
        let file = resolved(&name, source);
        let file = file.canonicalize().unwrap_or(file);
        if self.around.iter().any(|(_, f)| *f == file) || is_file(&source.name, &file) {
            let message = format!("{} includes itself", inner.name);
            return Err(Diagnostic::new(message, path.span).into());
        }
        self.around.push((place(source, path.span), file));
        let statements = self.parsed(&inner);
        let done = self.statements(&statements, &inner);
        self.around.pop();
        done
    }

    fn import(&mut self, import: &Import, source: &Source) -> Result<()> {
        let literal = match &import.path.kind {
            TextKind::Literal(text) => Some(text.as_str()),
            TextKind::Variable(_) => None,
        };
        let mut name = request::name_of(import, literal);
        if let Some(name) = &name {
            self.later.insert(name.to_lowercase());
        }
        let request = self.binding(|context| request::of(import, context))?;
        let path = self.binding(|context| Binder::new(*context).text(&import.path))?;
        name = name.or_else(|| request::name_of(import, Some(&path)));
        let name = name.unwrap_or_default().to_lowercase();
        self.later.insert(name.clone());
        let looked = match self.is_there(&path) {
            true => self.look(&request, import.path.span)?,
            false => {
                self.unbound(format!("{}: {path} is not there yet", place(source, import.path.span)));
                None
            }
        };
        if let Some(looked) = looked {
            if let Some(table) = looked.table {
                self.catalogue.tables.retain(|t| !t.name.eq_ignore_ascii_case(&table.name));
                self.catalogue.tables.push(table);
            }
            put_source(&mut self.catalogue, looked.source);
            self.later.remove(&name);
        }
        Ok(())
    }

    /// Are the files there, as the script will find them?
    fn is_there(&self, path: &str) -> bool {
        let path = PathBuf::from(path);
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let is_pattern = name.contains(['*', '?']);
        let directory =
            path.parent().map(|p| if p.as_os_str().is_empty() { ".".into() } else { p.to_owned() });
        let is_written =
            self.written.iter().any(|w| *w == path || (is_pattern && w.parent() == path.parent()));
        !is_written && if is_pattern { directory.is_some_and(|d| d.is_dir()) } else { path.exists() }
    }

    /// What the import would leave; `None` when that takes too long to find out.
    fn look(&self, request: &Request, span: Span) -> Result<Option<Preview>> {
        let seen = match request {
            Request::Waveforms(request) => {
                let source = request.source(&self.catalogue)?;
                Ok(Preview { lines: vec![], source, table: None })
            }
            Request::Events(request) => preview::events(&self.catalogue, request, "events"),
            Request::Stations(request) => preview::events(&self.catalogue, request, "stations"),
            Request::Catalog(request) => match preview::is_quick(&request.path, LOOKED_AT_BYTES)? {
                true => preview::catalog(&self.catalogue, request),
                false => return Ok(None),
            },
        };
        seen.map(Some).map_err(|e| request::at_path(e, span))
    }
}

/// Is that the file of a source?
fn is_file(name: &str, file: &std::path::Path) -> bool {
    std::path::Path::new(name).canonicalize().is_ok_and(|f| f == file)
}
