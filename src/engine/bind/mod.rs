//! The binder: gives the names, units and types of a syntax tree their meaning, or says with span and help why
//! they have none. It is the last that speaks of the user's text; what it returns runs.

pub mod arith;
pub mod call;
pub mod compare;
pub mod correlate;
pub mod expr;
pub mod query;
pub mod source;
pub mod value;
pub mod verbs;

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use arrow_array::ArrayRef;

use self::expr::ExprBinder;
use self::value::{Bound, Typed};
use super::exec;
use super::expr::{Expr, Literal};
use super::plan::{Node, Plan, Shared};
use super::scope::Scope;
use super::session::{Cancel, Notices, Session, Variable};
use super::tables::Tables;
use crate::error::{Diagnostic, Result, Span};
use crate::lang::syntax::{Query, Range, Text, TextKind};
use crate::model::table::{Batch, Column, Schema, Type};

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
}

/// Binds one statement.
pub struct Binder<'a> {
    /// Database, variables, notices.
    pub context: Context<'a>,
    /// Views and WITH queries of this statement, by name; innermost last.
    shared: RefCell<Vec<(String, Arc<Shared>)>>,
    /// Views being bound, to refuse a view that uses itself.
    open_views: RefCell<Vec<String>>,
}

impl<'a> Binder<'a> {
    /// For one statement.
    pub fn new(context: Context<'a>) -> Binder<'a> {
        Binder { context, shared: RefCell::default(), open_views: RefCell::default() }
    }

    /// Tells the user something once.
    pub fn notice(&self, line: String) {
        self.context.notices.warn(line);
    }

    /// The value of `$name`.
    pub fn variable(&self, name: &str, span: Span) -> Result<Bound> {
        match self.context.session.variables.get(name) {
            Some(Variable::Value(value)) => Ok(value.clone()),
            Some(Variable::View(query)) => Ok(Bound::Scalar(self.scalar_query(query, span)?)),
            None => Err(no_value(name, span).into()),
        }
    }

    /// A string, or a `$variable` that holds one.
    pub fn text(&self, text: &Text) -> Result<String> {
        match &text.kind {
            TextKind::Literal(value) => Ok(value.clone()),
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

    /// A view or WITH query as a shared plan, bound once a statement.
    pub fn shared_query(&self, name: &str, query: &Query, span: Span) -> Result<Arc<Shared>> {
        if let Some(found) = self.find_shared(name) {
            return Ok(found);
        }
        if self.open_views.borrow().iter().any(|v| v == name) {
            return Err(Diagnostic::new(format!("${name} uses itself"), span).into());
        }
        self.open_views.borrow_mut().push(name.to_owned());
        let node = self.query(query);
        self.open_views.borrow_mut().pop();
        let shared = Arc::new(Shared { name: name.to_owned(), node: node?, rows: OnceLock::new() });
        self.shared.borrow_mut().push((name.to_owned(), shared.clone()));
        Ok(shared)
    }

    fn find_shared(&self, name: &str) -> Option<Arc<Shared>> {
        self.shared.borrow().iter().rev().find(|s| s.0.eq_ignore_ascii_case(name)).map(|s| s.1.clone())
    }

    /// All rows of a query that stands inside an expression; it may not use columns from outside itself.
    fn subquery(&self, query: &Query) -> Result<(Schema, Vec<Batch>)> {
        let node = query::shown(self.query(query)?);
        let schema = node.schema();
        Ok((schema, exec::collect(&node, &self.context)?))
    }

    /// `(query)` as a value: one column, at most one row, NULL of none.
    pub fn scalar_query(&self, query: &Query, span: Span) -> Result<Typed> {
        let (schema, batches) = self.subquery(query)?;
        let [column] = schema.columns.as_slice() else {
            return Err(Diagnostic::new("a query used as a value has one column", span).into());
        };
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
        value.unit = column.unit.clone();
        value.kind = column.kind();
        Ok(value)
    }

    /// The one column of a query used with IN.
    pub fn column_query(&self, query: &Query) -> Result<(Column, ArrayRef)> {
        let (schema, batches) = self.subquery(query)?;
        let [column] = schema.columns.as_slice() else {
            return Err(Diagnostic::new("a query used with IN has one column", query.span).into());
        };
        let batch = arrow_select::concat::concat_batches(&schema.arrow(), &batches)
            .map_err(super::expr::arrow_error)?;
        Ok((column.clone(), batch.column(0).clone()))
    }

    /// Does the query have a row?
    pub fn exists(&self, query: &Query) -> Result<bool> {
        Ok(self.subquery(query)?.1.iter().any(|b| b.num_rows() > 0))
    }
}

fn no_value(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(format!("${name} has no value"), span)
        .help(format!("LET {name} = 3 arcsec; or run with -P {name}=3arcsec"))
}

/// The value of an expression without columns.
pub fn constant(expr: &Expr) -> Result<Literal> {
    literal_of(&expr.eval(&exec::one_row()?)?)
}

/// The first value of an array.
fn literal_of(array: &ArrayRef) -> Result<Literal> {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    if array.is_empty() || array.is_null(0) {
        return Ok(Literal::Null);
    }
    Ok(match Type::of(array.data_type()).unwrap_or(Type::Null) {
        Type::Int => Literal::Int(super::expr::integers(array)?.value(0)),
        Type::Float => Literal::Float(super::expr::floats(array)?.value(0)),
        Type::Text => Literal::Text(array.as_string::<i32>().value(0).to_owned()),
        Type::Bool => Literal::Bool(array.as_boolean().value(0)),
        Type::Time => Literal::Time(super::expr::integers(array)?.value(0)),
        Type::Duration => Literal::Duration(super::expr::integers(array)?.value(0)),
        _ => Literal::Null,
    })
}

/// The plan that reads a shared query.
fn read_shared(shared: Arc<Shared>) -> Node {
    let columns = shared.node.columns.clone();
    Node { plan: Plan::Shared(shared), columns }
}
