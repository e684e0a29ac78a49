//! The binder: gives the names, units and types of a syntax tree their meaning, or says with span and help why
//! they have none. It is the last that speaks of the user's text; what it returns runs.

pub mod arith;
pub mod call;
mod cast;
pub mod compare;
pub mod correlate;
pub mod expr;
pub mod foreign;
pub mod group;
pub mod join;
pub mod outer;
pub mod output;
pub mod query;
pub mod region;
pub mod source;
pub mod span;
pub mod subquery;
pub mod value;
pub mod verbs;

use std::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};

use arrow_array::ArrayRef;
use rayon::ThreadPool;

use self::expr::ExprBinder;
use self::subquery::{Frame, InSight, OuterRow};
use self::value::{Bound, Typed};
use super::analyze::Analysis;
use super::budget::Budget;
use super::exec;
use super::expr::{Expr, Literal};
use super::optimize::optimize;
use super::plan::{Node, Plan, Shared};
use super::scope::Scope;
use super::session::{Cancel, Notices, Session, Variable, View};
use super::tables::Tables;
use crate::error::{Diagnostic, Error, Result, Source, Span};
use crate::lang::syntax::{self, ExprKind, Ident, Name, Query, Range, Text, TextKind};
use crate::model::table::{Batch, Type};

/// What a statement is bound and run against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// One generation of the database.
    pub tables: &'a Tables<'a>,
    /// Variables, views, settings.
    pub session: &'a Session,
    /// Warnings and footer.
    pub notices: &'a Notices,
    /// Ctrl-C.
    pub cancel: &'a Cancel,
    /// Memory.
    pub budget: &'a Budget,
    /// Threads; the program's own when absent.
    pub threads: Option<&'a ThreadPool>,
    /// Where EXPLAIN ANALYZE counts.
    pub analysis: Option<&'a Analysis>,
}

impl Context<'_> {
    /// Runs work on the threads of the statement.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match self.threads {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// Binds one statement.
pub struct Binder<'a> {
    /// Database, variables, notices.
    pub context: Context<'a>,
    /// WITH queries in sight, innermost last.
    with: RefCell<Vec<Arc<Shared>>>,
    /// Views bound so far in this statement.
    views: RefCell<Vec<Arc<Shared>>>,
    /// Views being bound, to refuse a view that uses itself.
    open_views: RefCell<Vec<String>>,
    /// Scopes around the subquery being bound: a name found only there makes the subquery correlated.
    around: RefCell<Vec<Around>>,
    /// Place in `around` of the scope that the last such name belongs to.
    reached: Cell<Option<usize>>,
    /// Columns that subqueries add to each SELECT being bound; `None` within its FROM.
    frames: RefCell<Vec<Option<Frame>>>,
    /// The row around, where a subquery is evaluated row by row.
    outer: Option<OuterRow<'a>>,
}

/// A scope around a subquery.
struct Around {
    scope: Scope,
    /// It is that of the tables before a subquery in FROM, which may not use them.
    is_beside: bool,
}

impl<'a> Binder<'a> {
    /// For one statement.
    pub fn new(context: Context<'a>) -> Binder<'a> {
        Binder {
            context,
            with: RefCell::default(),
            views: RefCell::default(),
            open_views: RefCell::default(),
            around: RefCell::default(),
            reached: Cell::default(),
            frames: RefCell::default(),
            outer: None,
        }
    }

    /// For a subquery that is evaluated for one row around it.
    pub fn for_row(context: Context<'a>, row: OuterRow<'a>, in_sight: InSight) -> Binder<'a> {
        let binder = Binder { outer: Some(row), ..Binder::new(context) };
        (*binder.with.borrow_mut(), *binder.views.borrow_mut()) = in_sight;
        binder
    }

    fn enter(&self, scope: &Scope, is_beside: bool) {
        self.around.borrow_mut().push(Around { scope: scope.clone(), is_beside });
    }

    fn leave(&self) {
        self.around.borrow_mut().pop();
    }

    /// Tells the user something once.
    pub fn notice(&self, line: String) {
        self.context.notices.warn(line);
    }

    /// The value of `$name`.
    pub fn variable(&self, name: &str, span: Span) -> Result<Bound> {
        match self.context.session.variables.get(name) {
            Some(Variable::Value(value)) => Ok(value.clone()),
            Some(Variable::View(view)) => Ok(Bound::Scalar(self.scalar_view(name, view, span)?)),
            Some(Variable::List(_)) => {
                Err(Diagnostic::new(format!("${name} is a list, and this takes one value"), span)
                    .help(format!("x IN ${name}"))
                    .into())
            }
            None => Err(no_value(name, "3 arcsec", span).into()),
        }
    }

    /// Refuses a `$variable` without value, with a value that would do at its place.
    pub fn has_value(&self, e: &syntax::Expr, example: &str) -> Result<()> {
        match &e.kind {
            ExprKind::Variable(name) if !self.context.session.variables.contains_key(name) => {
                Err(no_value(name, example, e.span).into())
            }
            _ => Ok(()),
        }
    }

    /// The number of an option, as written or as the value of its `$variable`.
    pub fn figure(&self, number: &syntax::Number) -> Result<String> {
        let Some(name) = number.text.strip_prefix('$') else { return Ok(number.text.clone()) };
        if !self.context.session.variables.contains_key(name) {
            return Err(no_value(name, "10", number.span).into());
        }
        match self.variable(name, number.span)? {
            Bound::Scalar(Typed { expr: Expr::Literal(Literal::Int(v)), unit: None, .. }) => {
                Ok(v.to_string())
            }
            Bound::Scalar(Typed { expr: Expr::Literal(Literal::Float(v)), unit: None, .. }) => {
                Ok(v.to_string())
            }
            other => {
                let message = format!("${name} is {}, a number without unit is wanted here", other.phrase());
                Err(Diagnostic::new(message, number.span).into())
            }
        }
    }

    /// A string, or a `$variable` that holds one.
    pub fn text(&self, text: &Text) -> Result<String> {
        match &text.kind {
            TextKind::Literal(value) => Ok(value.clone()),
            TextKind::Variable(name) if !self.context.session.variables.contains_key(name) => {
                Err(no_value(name, "'text'", text.span).into())
            }
            TextKind::Variable(name) => match self.variable(name, text.span)? {
                Bound::Scalar(value) if value.text().is_some() => Ok(value.text().unwrap_or("").to_owned()),
                other => {
                    Err(Diagnostic::new(format!("${name} is {}, not a text", other.phrase()), text.span)
                        .into())
                }
            },
        }
    }

    /// A constant of LET, SET, -P.
    pub fn value(&self, range: &Range) -> Result<Bound> {
        let scope = Scope::default();
        let binder = ExprBinder { binder: self, scope: &scope, grouping: None };
        match &range.end {
            None => binder.bind(&range.start),
            Some(end) => match (binder.scalar(&range.start)?.kind, binder.scalar(end)?.kind) {
                (Type::Time | Type::Text, Type::Time | Type::Text) => {
                    let (start, end) = binder.span(range)?;
                    Ok(Bound::Span { start, end })
                }
                _ => Err(Diagnostic::new("a range in LET is a span of time", range.span)
                    .help("LET win = 2024-01-01 .. 2024-02-01")
                    .into()),
            },
        }
    }

    /// A view as a shared plan, bound once a statement. It sees neither names of WITH nor columns around it.
    pub fn view(&self, name: &str, view: &View, span: Span) -> Result<Arc<Shared>> {
        if let Some(found) = self.views.borrow().iter().find(|v| v.name == name) {
            return Ok(found.clone());
        }
        if self.open_views.borrow().iter().any(|v| v == name) {
            return Err(Diagnostic::new(format!("${name} uses itself"), span).into());
        }
        self.open_views.borrow_mut().push(name.to_owned());
        let hidden = (self.with.take(), self.around.take());
        let node = self.query(&view.query);
        (*self.with.borrow_mut(), *self.around.borrow_mut()) = hidden;
        self.open_views.borrow_mut().pop();
        let node = node.map_err(|e| in_source(e, view.source.as_ref()))?;
        let shared = shared(name, node);
        self.views.borrow_mut().push(shared.clone());
        Ok(shared)
    }

    /// The innermost WITH query of that name.
    pub fn find_with(&self, name: &Ident) -> Option<Arc<Shared>> {
        let same = |with: &Arc<Shared>| match name.quoted {
            true => with.name == name.text,
            false => with.name.eq_ignore_ascii_case(&name.text),
        };
        self.with.borrow().iter().rev().find(|w| same(w)).cloned()
    }

    /// Says that a name belongs to a query around, if it does, and notes to which.
    pub fn correlated(&self, name: &Name) -> Option<Diagnostic> {
        let around = self.around.borrow();
        let place = around.iter().rposition(|a| a.scope.resolve(name).is_ok())?;
        let shown = name.parts.iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join(".");
        if around[place].is_beside {
            let message = format!("`{shown}` belongs to a table beside this subquery: LATERAL is not there");
            return Some(Diagnostic::new(message, name.span).help("JOIN the subquery ON that condition"));
        }
        self.reached.set(Some(place));
        let message = format!("`{shown}` belongs to a query further out than the one around this subquery");
        Some(
            Diagnostic::new(message, name.span).help(
                "select it in the query between, or write it as SEMI JOIN, ANTI JOIN or LEFT JOIN ... ON",
            ),
        )
    }

    /// Plan of a query that stands inside an expression over `scope`; it may not use columns from outside itself.
    fn subquery(&self, query: &Query, scope: &Scope) -> Result<Node> {
        self.enter(scope, false);
        let node = self.query(query);
        self.leave();
        Ok(optimize(query::shown(node?)))
    }

    /// `(query)` as a value: one column, at most one row, NULL of none.
    pub fn scalar_query(&self, query: &Query, scope: &Scope, span: Span) -> Result<Typed> {
        let node = self.subquery(query, scope)?;
        self.scalar_rows(&node, span)
    }

    fn scalar_view(&self, name: &str, view: &View, span: Span) -> Result<Typed> {
        let node = query::shown(read_shared(self.view(name, view, span)?));
        self.scalar_rows(&node, span)
    }

    fn scalar_rows(&self, node: &Node, span: Span) -> Result<Typed> {
        let [column] = node.columns.as_slice() else {
            return Err(Diagnostic::new("a query used as a value has one column", span).into());
        };
        let is_probe = self.is_probe();
        let batches = if is_probe { vec![] } else { exec::collect(node, &self.context)? };
        let rows: usize = batches.iter().map(Batch::num_rows).sum();
        if rows > 1 {
            return Err(Diagnostic::new(
                format!("a query used as a value has one row, this has {rows}"),
                span,
            )
            .help("add LIMIT 1, or an aggregate")
            .into());
        }
        let first = batches.iter().find(|b| b.num_rows() == 1).map(|b| b.column(0));
        let mut value = Typed::constant(first.map_or(Ok(Literal::Null), literal_of)?);
        value.unit = column.column.unit.clone();
        value.kind = column.column.kind();
        Ok(value)
    }

    /// The one column of a query used with IN.
    pub fn column_query(&self, query: &Query, scope: &Scope) -> Result<ArrayRef> {
        self.members(&self.subquery(query, scope)?, query.span)
    }

    fn members(&self, node: &Node, span: Span) -> Result<ArrayRef> {
        let [_] = node.columns.as_slice() else {
            return Err(Diagnostic::new("a query used with IN has one column", span).into());
        };
        let batches = if self.is_probe() { vec![] } else { exec::collect(node, &self.context)? };
        let batch = exec::one(node, batches)?;
        Ok(batch.column(0).clone())
    }

    /// Is a subquery bound only for its type?
    fn is_probe(&self) -> bool {
        self.outer.as_ref().is_some_and(|o| o.is_probe)
    }

    /// Does the query have a row?
    pub fn exists(&self, query: &Query, scope: &Scope) -> Result<bool> {
        self.has_row(&self.subquery(query, scope)?)
    }

    fn has_row(&self, node: &Node) -> Result<bool> {
        if self.is_probe() {
            return Ok(false);
        }
        let context = self.context;
        context.install(|| {
            for batch in exec::rows(node, &context)? {
                if batch?.num_rows() > 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}

/// A query whose rows are kept for the statement.
fn shared(name: &str, node: Node) -> Arc<Shared> {
    Arc::new(Shared { name: name.to_owned(), node: optimize(node), rows: OnceLock::new() })
}

/// Tells a diagnostic which text it speaks of, unless it knows.
fn in_source(error: Error, source: Option<&Source>) -> Error {
    match error {
        Error::Query(mut diagnostic) => {
            diagnostic.source = diagnostic.source.or_else(|| source.cloned());
            Error::Query(diagnostic)
        }
        other => other,
    }
}

/// A variable without value; `example` is one that would do at this place.
fn no_value(name: &str, example: &str, span: Span) -> Diagnostic {
    let bare: String = example.chars().filter(|c| !" '".contains(*c)).collect();
    Diagnostic::new(format!("${name} has no value"), span)
        .help(format!("LET {name} = {example}; or run with -P {name}={bare}"))
}

/// The value of an expression without columns.
pub fn constant(expr: &Expr) -> Result<Literal> {
    literal_of(&expr.eval(&exec::one_row()?)?)
}

/// The first value of an array.
fn literal_of(array: &ArrayRef) -> Result<Literal> {
    if array.is_empty() { Ok(Literal::Null) } else { literal_at(array, 0) }
}

/// A value of an array.
pub fn literal_at(array: &ArrayRef, row: usize) -> Result<Literal> {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    if array.is_null(row) {
        return Ok(Literal::Null);
    }
    Ok(match Type::of(array.data_type()).unwrap_or(Type::Null) {
        Type::Int => Literal::Int(super::expr::integers(array)?.value(row)),
        Type::Float => Literal::Float(super::expr::floats(array)?.value(row)),
        Type::Text => Literal::Text(array.as_string::<i32>().value(row).to_owned()),
        Type::Bool => Literal::Bool(array.as_boolean().value(row)),
        Type::Time => Literal::Time(super::expr::integers(array)?.value(row)),
        Type::Duration => Literal::Duration(super::expr::integers(array)?.value(row)),
        _ => Literal::Null,
    })
}

/// The plan that reads a shared query.
fn read_shared(shared: Arc<Shared>) -> Node {
    let columns = shared.node.columns.clone();
    Node { plan: Plan::Shared(shared), columns }
}
