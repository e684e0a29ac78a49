//! The syntax tree of expressions.

use super::{Ident, Name, Number, Query, Range};
use crate::error::Span;

/// An expression and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

/// Every expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `NULL`
    Null,
    /// `TRUE`, `FALSE`
    Bool(bool),
    /// A number without unit, as written.
    Number(String),
    /// A number with a unit, both as written.
    Quantity {
        /// Digits.
        number: String,
        /// Unit.
        unit: String,
        /// Where the unit stands.
        unit_span: Span,
    },
    /// `2024-02-29T10:00`, `2024-060`, `MJD 60343.5`, `JD 2460344.0`, as written.
    Time(String),
    /// `'...'`, doubled quotes undone.
    Text(String),
    /// `$name`, without the dollar.
    Variable(String),
    /// A column.
    Column(Name),
    /// `-x`, `+x`, `NOT x`
    Unary {
        /// Operator.
        op: UnaryOp,
        /// Operand.
        operand: Box<Expr>,
    },
    /// `a op b`
    Binary {
        /// Operator.
        op: BinaryOp,
        /// Left.
        left: Box<Expr>,
        /// Right.
        right: Box<Expr>,
    },
    /// `x IS [NOT] NULL`
    IsNull {
        /// Operand.
        operand: Box<Expr>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] BETWEEN a AND b`, both ends in
    Between {
        /// Operand.
        operand: Box<Expr>,
        /// Low end.
        low: Box<Expr>,
        /// High end.
        high: Box<Expr>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] IN (a, b, ...)`
    InList {
        /// Operand.
        operand: Box<Expr>,
        /// Members.
        items: Vec<Expr>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] IN (query)`
    InQuery {
        /// Operand.
        operand: Box<Expr>,
        /// One column.
        query: Box<Query>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] IN a .. b`, `pos IN CIRCLE(..)`, `time IN '2024'`, `x IN $list`
    InRange {
        /// Operand.
        operand: Box<Expr>,
        /// Range, region or whole period.
        range: Box<Range>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] LIKE | ILIKE | MATCHES pattern`
    Match {
        /// Which.
        kind: MatchKind,
        /// Operand.
        operand: Box<Expr>,
        /// Pattern.
        pattern: Box<Expr>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] OVERLAPS span`
    Overlaps {
        /// Operand.
        operand: Box<Expr>,
        /// Span of time.
        range: Box<Range>,
        /// NOT.
        negated: bool,
    },
    /// `CASE [x] WHEN c THEN v ... [ELSE v] END`
    Case {
        /// What each WHEN is compared with; without it each is a condition.
        operand: Option<Box<Expr>>,
        /// Conditions and values.
        branches: Vec<(Expr, Expr)>,
        /// ELSE.
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST(x AS type)`
    Cast {
        /// Operand.
        operand: Box<Expr>,
        /// One or two words (`DOUBLE PRECISION`).
        type_words: Vec<Ident>,
        /// `VARCHAR(10)`
        length: Option<Number>,
    },
    /// `EXISTS (query)`
    Exists(Box<Query>),
    /// `(query)` as a value
    Scalar(Box<Query>),
    /// `name([DISTINCT] args)` or `name(*)`
    Call {
        /// Function or aggregate.
        name: Ident,
        /// DISTINCT.
        distinct: bool,
        /// `*`
        star: bool,
        /// Arguments.
        args: Vec<Expr>,
    },
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Minus,
    /// `+`
    Plus,
    /// `NOT`
    Not,
}

/// Infix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `OR`
    Or,
    /// `AND`
    And,
    /// `=`
    Eq,
    /// `<>`, `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `||`
    Concat,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
}

impl BinaryOp {
    /// As written.
    pub fn text(self) -> &'static str {
        match self {
            BinaryOp::Or => "OR",
            BinaryOp::And => "AND",
            BinaryOp::Eq => "=",
            BinaryOp::Ne => "<>",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Concat => "||",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
        }
    }

    /// `=`, `<>`, `<`, `<=`, `>`, `>=`
    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }
}

/// Text predicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchKind {
    /// `%` and `_`
    Like,
    /// LIKE in any case.
    ILike,
    /// FDSN wildcards.
    Matches,
}
