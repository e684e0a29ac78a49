//! The syntax tree of queries: SELECT, what it reads from, and how it is joined.

use super::{Count, Expr, Ident, Name, Number, Verb};
use crate::error::Span;

/// A query: bodies joined by set operators, then order and limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `WITH name AS (query), ...`
    pub with: Vec<(Ident, Query)>,
    /// The first body.
    pub body: Body,
    /// `UNION [ALL] body ...`
    pub set_ops: Vec<SetOp>,
    /// `ORDER BY ...`
    pub order: Vec<OrderKey>,
    /// `LIMIT n`
    pub limit: Option<Count>,
    /// `OFFSET n`
    pub offset: Option<Count>,
    /// Where.
    pub span: Span,
}

/// A SELECT or a query in brackets.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// SELECT-first, FROM-first or a verb alone.
    Select(Box<Select>),
    /// `( query )`
    Nested(Box<Query>),
}

/// A set operator and its right side.
#[derive(Clone, Debug, PartialEq)]
pub struct SetOp {
    /// Which.
    pub kind: SetKind,
    /// Duplicates stay.
    pub all: bool,
    /// Right side.
    pub body: Body,
    /// Where the operator stands.
    pub span: Span,
}

/// Set operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetKind {
    /// Rows of either.
    Union,
    /// Rows of both.
    Intersect,
    /// Rows of the left that the right has not.
    Except,
}

/// One SELECT ... FROM ... WHERE ... GROUP BY ... HAVING.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// `DISTINCT`
    pub distinct: bool,
    /// `TOP n`
    pub top: Option<Number>,
    /// `None`: everything (FROM-first or a verb without SELECT).
    pub items: Option<Vec<Item>>,
    /// Comma-separated sources with their joins; empty without FROM.
    pub from: Vec<FromItem>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `GROUP BY`
    pub group: Vec<Expr>,
    /// `HAVING`
    pub having: Option<Expr>,
    /// Where.
    pub span: Span,
}

/// An output column.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `*`
    Star(Span),
    /// `alias.*`
    QualifiedStar(Name),
    /// `expr [AS name]`
    Expr {
        /// Value.
        expr: Expr,
        /// Name.
        alias: Option<Ident>,
    },
}

/// A source and what is joined to it.
#[derive(Clone, Debug, PartialEq)]
pub struct FromItem {
    /// First table.
    pub source: Source,
    /// In order.
    pub joins: Vec<Join>,
}

/// A table, view, subquery or verb.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Which.
    pub kind: SourceKind,
    /// `AS name`
    pub alias: Option<Ident>,
    /// Where.
    pub span: Span,
}

/// What a source is.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// COVERAGE, GAPS, PAIRS, CORRELATE, VARIABILITY.
    Verb(Box<Verb>),
    /// `( query )`
    Query(Box<Query>),
    /// `$name`, without the dollar.
    Variable(String),
    /// A table.
    Name(Name),
    /// `( a JOIN b ON ... )`
    Joined(Box<FromItem>),
}

/// A join or match.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// INNER when absent.
    pub kind: JoinKind,
    /// Right side.
    pub source: Source,
    /// What pairs rows.
    pub on: JoinOn,
    /// Where.
    pub span: Span,
}

/// Which rows a join keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Pairs.
    Inner,
    /// Pairs, and left rows without partner.
    Left,
    /// Pairs, and right rows without partner.
    Right,
    /// Pairs, and rows of either side without partner.
    Full,
    /// Left rows with a partner, once.
    Semi,
    /// Left rows without partner.
    Anti,
}

/// What pairs rows.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinOn {
    /// `JOIN ... ON expr`
    On(Expr),
    /// `JOIN ... USING (columns)`
    Using(Vec<Ident>),
    /// `NATURAL JOIN ...`: equal values of all columns of equal name.
    Natural,
    /// `CROSSMATCH ... WITHIN radius options`
    Match {
        /// Radius.
        within: Expr,
        /// In the order written.
        options: Vec<MatchOption>,
    },
}

/// An option of CROSSMATCH.
#[derive(Clone, Debug, PartialEq)]
pub enum MatchOption {
    /// `NEAREST [k]`
    Nearest(Option<Number>, Span),
    /// `MUTUAL`
    Mutual(Span),
    /// `ALL`
    All(Span),
    /// `GROUPS`
    Groups(Span),
    /// `AT EPOCH year | $variable | column`
    AtEpoch(Expr),
    /// `TIME tolerance`
    Time(Expr),
}

/// A sort key.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderKey {
    /// Value, output name or position.
    pub expr: Expr,
    /// `DESC`
    pub descending: bool,
    /// `NULLS FIRST`; last when absent.
    pub nulls_first: bool,
}
