//! Expressions, with brackets where precedence needs them.

use std::fmt::{Display, Formatter, Result};

use super::{Clause, List, Quoted};
use crate::lang::syntax::{BinaryOp, Expr, ExprKind, MatchKind, Range, UnaryOp};

/// How tightly the parts of an expression hold together, weakest first, as in the grammar.
const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const PREDICATE: u8 = 4;
const SUM: u8 = 5;
const TERM: u8 = 6;
const FACTOR: u8 = 7;
const PRIMARY: u8 = 8;

fn level(kind: &ExprKind) -> u8 {
    use ExprKind::*;
    match kind {
        Binary { op, .. } => operator_level(*op),
        Unary { op: UnaryOp::Not, .. } => NOT,
        Unary { .. } => FACTOR,
        IsNull { .. }
        | Between { .. }
        | InList { .. }
        | InQuery { .. }
        | InRange { .. }
        | Match { .. }
        | Overlaps { .. } => PREDICATE,
        _ => PRIMARY,
    }
}

fn operator_level(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => OR,
        BinaryOp::And => AND,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Concat => SUM,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => TERM,
        _ => PREDICATE,
    }
}

/// An expression where one of at least this level may stand.
fn at(f: &mut Formatter<'_>, expr: &Expr, least: u8) -> Result {
    if level(&expr.kind) < least { write!(f, "({expr})") } else { expr.fmt(f) }
}

/// `sum`
pub(super) fn operand(f: &mut Formatter<'_>, expr: &Expr) -> Result {
    at(f, expr, SUM)
}

/// `sum`, for `write!`.
pub(super) struct Sum<'a>(pub(super) &'a Expr);

impl Display for Sum<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        operand(f, self.0)
    }
}

/// `factor`, for `write!`.
pub(super) struct Factor<'a>(pub(super) &'a Expr);

impl Display for Factor<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        at(f, self.0, FACTOR)
    }
}

/// A range where a bracket at its start would be read as more than that: behind `IN` and `LET x =`.
pub(super) struct Guarded<'a>(pub(super) &'a Range);

impl Display for Guarded<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let start = Sum(&self.0.start).to_string();
        let bracketed = level(&self.0.start.kind) < SUM;
        if start.starts_with('(') && !bracketed {
            write!(f, "({start})")?
        } else {
            f.write_str(&start)?
        }
        match &self.0.end {
            Some(end) => write!(f, " .. {}", Sum(end)),
            None => Ok(()),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        use ExprKind::*;
        match &self.kind {
            Null => f.write_str("NULL"),
            Bool(value) => f.write_str(if *value { "TRUE" } else { "FALSE" }),
            Number(text) | Time(text) => f.write_str(text),
            Quantity { number, unit, .. } => write!(f, "{number} {unit}"),
            Text(text) => Quoted(text).fmt(f),
            Variable(name) => write!(f, "${name}"),
            Column(name) => name.fmt(f),
            Unary { op, operand } => unary(f, *op, operand),
            Binary { op, left, right } => binary(f, *op, left, right),
            Case { operand, branches, otherwise } => {
                f.write_str("CASE")?;
                operand.iter().try_for_each(|o| write!(f, " {o}"))?;
                case(f, branches, otherwise.as_deref())
            }
            Cast { operand, type_words, length } => {
                write!(f, "CAST({operand} AS {}", List(type_words, " "))?;
                match length {
                    Some(length) => write!(f, "({length}))"),
                    None => f.write_str(")"),
                }
            }
            Exists(query) => write!(f, "EXISTS ({query})"),
            Scalar(query) => write!(f, "({query})"),
            Call { name, star: true, .. } => write!(f, "{name}(*)"),
            Call { name, distinct, args, .. } => {
                write!(f, "{name}({}{})", if *distinct { "DISTINCT " } else { "" }, List(args, ", "))
            }
            predicate => test(f, predicate),
        }
    }
}

fn unary(f: &mut Formatter<'_>, op: UnaryOp, operand: &Expr) -> Result {
    match op {
        UnaryOp::Not => {
            f.write_str("NOT ")?;
            at(f, operand, NOT)
        }
        // two signs side by side would start a comment
        UnaryOp::Minus if matches!(operand.kind, ExprKind::Unary { op: UnaryOp::Minus, .. }) => {
            write!(f, "- {}", Factor(operand))
        }
        UnaryOp::Minus => write!(f, "-{}", Factor(operand)),
        UnaryOp::Plus => write!(f, "+{}", Factor(operand)),
    }
}

fn binary(f: &mut Formatter<'_>, op: BinaryOp, left: &Expr, right: &Expr) -> Result {
    let own = operator_level(op);
    // chains group from the left; comparisons do not chain
    at(f, left, if own == PREDICATE { SUM } else { own })?;
    write!(f, " {} ", op.text())?;
    at(f, right, own + 1)
}

fn case(f: &mut Formatter<'_>, branches: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Result {
    for (when, then) in branches {
        write!(f, " WHEN {when} THEN {then}")?;
    }
    write!(f, "{} END", Clause("ELSE", &otherwise))
}

/// Predicates with words.
fn test(f: &mut Formatter<'_>, kind: &ExprKind) -> Result {
    use ExprKind::*;
    let not = |negated: bool| if negated { "NOT " } else { "" };
    match kind {
        IsNull { operand, negated } => write!(f, "{} IS {}NULL", Sum(operand), not(*negated)),
        Between { operand, low, high, negated } => {
            write!(f, "{} {}BETWEEN {} AND {}", Sum(operand), not(*negated), Sum(low), Sum(high))
        }
        InList { operand, items, negated } => {
            write!(f, "{} {}IN ({})", Sum(operand), not(*negated), List(items, ", "))
        }
        InQuery { operand, query, negated } => write!(f, "{} {}IN ({query})", Sum(operand), not(*negated)),
        InRange { operand, range, negated } => {
            write!(f, "{} {}IN {}", Sum(operand), not(*negated), Guarded(range))
        }
        Match { kind, operand, pattern, negated } => {
            let word = match kind {
                MatchKind::Like => "LIKE",
                MatchKind::ILike => "ILIKE",
                MatchKind::Matches => "MATCHES",
            };
            write!(f, "{} {}{word} {}", Sum(operand), not(*negated), Sum(pattern))
        }
        Overlaps { operand, range, negated } => {
            write!(f, "{} {}OVERLAPS {range}", Sum(operand), not(*negated))
        }
        _ => Ok(()),
    }
}
