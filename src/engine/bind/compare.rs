//! Comparisons: what may be compared with what, and IN lists.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use super::arith::{align, with_durations};
use super::expr::{ExprBinder, boolean};
use super::value::{Bound, Typed, instant, period};
use crate::engine::expr::{CompareOp, Expr, Literal, Set, floats, integers, whole};
use crate::engine::plan::Role;
use crate::error::{Diagnostic, Result, Span};
use crate::lang::syntax::{self, BinaryOp, ExprKind};
use crate::limits;
use crate::model::table::Type;
use crate::model::units::Unit;

fn compare_op(op: BinaryOp) -> CompareOp {
    match op {
        BinaryOp::Eq => CompareOp::Eq,
        BinaryOp::Ne => CompareOp::Ne,
        BinaryOp::Lt => CompareOp::Lt,
        BinaryOp::Le => CompareOp::Le,
        BinaryOp::Gt => CompareOp::Gt,
        _ => CompareOp::Ge,
    }
}

/// `left op right`, with `1 = CONTAINS(..)` in either order taken as the condition itself.
pub fn comparison(
    binder: &ExprBinder<'_>,
    op: BinaryOp,
    left: &syntax::Expr,
    right: &syntax::Expr,
) -> Result<Bound> {
    for (constant, other) in [(left, right), (right, left)] {
        if let Some(expr) = adql_condition(binder, op, constant, other)? {
            return Ok(boolean(expr));
        }
    }
    Ok(boolean(compare_expr(binder, op, left, right)?))
}

/// `1 = CONTAINS(..)`, `0 = INTERSECTS(..)`: ADQL's way to write a condition.
fn adql_condition(
    binder: &ExprBinder<'_>,
    op: BinaryOp,
    constant: &syntax::Expr,
    other: &syntax::Expr,
) -> Result<Option<Expr>> {
    let (ExprKind::Number(text), ExprKind::Call { name, .. }) = (&constant.kind, &other.kind) else {
        return Ok(None);
    };
    let is_predicate = ["contains", "intersects"].iter().any(|n| name.text.eq_ignore_ascii_case(n));
    let truth = match (text.as_str(), op) {
        ("1", BinaryOp::Eq) | ("0", BinaryOp::Ne) => true,
        ("0", BinaryOp::Eq) | ("1", BinaryOp::Ne) => false,
        _ => return Ok(None),
    };
    if !is_predicate {
        return Ok(None);
    }
    let condition = binder.condition(other)?;
    Ok(Some(if truth { condition } else { Expr::Not(Box::new(condition)) }))
}

/// `left op right` as an expression over the input.
pub fn compare_expr(
    binder: &ExprBinder<'_>,
    op: BinaryOp,
    left: &syntax::Expr,
    right: &syntax::Expr,
) -> Result<Expr> {
    let (l, r) = (binder.scalar(left)?, binder.scalar(right)?);
    let (l, r) = comparable(binder, (l, left), (r, right))?;
    Ok(Expr::Compare(compare_op(op), Box::new(l.expr), Box::new(r.expr)))
}

/// Two values in the types and units in which they can be compared.
pub fn comparable(
    binder: &ExprBinder<'_>,
    left: (Typed, &syntax::Expr),
    right: (Typed, &syntax::Expr),
) -> Result<(Typed, Typed)> {
    let (ls, rs) = (left.1.span, right.1.span);
    let (l, r) = with_durations(left.0, right.0);
    let (l, r) = (blank_location(l, r.role), r);
    let r = blank_location(r, l.role);
    let (l, r) = (as_time(binder, l, ls, r.kind)?, r);
    let r = as_time(binder, r, rs, l.kind)?;
    let same = l.kind == r.kind || (l.kind.is_number() && r.kind.is_number());
    if !same && l.kind != Type::Null && r.kind != Type::Null {
        return Err(incomparable((&l, left.1), (&r, right.1)).into());
    }
    if l.kind.is_number() && r.kind.is_number() {
        return Ok(align(binder.binder, (l, ls), (r, rs))?);
    }
    Ok((l, r))
}

/// `--` against a location is the blank one.
fn blank_location(value: Typed, other: Role) -> Typed {
    match (other, value.text()) {
        (Role::Location, Some("--")) => Typed::constant(Literal::Text(String::new())),
        _ => value,
    }
}

/// A constant text against a TIME is read as an instant.
fn as_time(binder: &ExprBinder<'_>, value: Typed, span: Span, other: Type) -> Result<Typed, Diagnostic> {
    match (other, value.text()) {
        (Type::Time, Some(text)) => Ok(Typed::constant(Literal::Time(instant(binder.binder, text, span)?))),
        _ => Ok(value),
    }
}

fn incomparable(left: (&Typed, &syntax::Expr), right: (&Typed, &syntax::Expr)) -> Diagnostic {
    let ((time, _), (other, place)) = if right.0.kind == Type::Time { (right, left) } else { (left, right) };
    let shown = |t: &Typed| match (t.kind, t.number()) {
        (Type::Int | Type::Float, Some(number)) => format!("the number {number}"),
        _ => t.kind.phrase().to_owned(),
    };
    let error =
        Diagnostic::new(format!("cannot compare {} with {}", time.kind.phrase(), shown(other)), place.span);
    match (&place.kind, time.kind) {
        (ExprKind::Binary { op: BinaryOp::Sub, left, right }, Type::Time) => {
            match (&left.kind, &right.kind) {
                (ExprKind::Number(year), ExprKind::Number(rest)) => error.help(format!(
                    "`{year}-{rest}` reads as {year} minus {}; write {year}-{rest}-01, or '{year}-{rest}' for the month",
                    rest.trim_start_matches('0')
                )),
                _ => error,
            }
        }
        (_, Type::Time) => error.help("a time is written 2024-02-29, 2024-02-29T10:00:00 or MJD 60343.5"),
        (_, Type::Text) if other.number().is_some() => {
            error.help(format!("text goes in single quotes: '{}'", other.number().unwrap_or(0.0)))
        }
        (ExprKind::Text(text), Type::Int | Type::Float) if text.trim().parse::<f64>().is_ok() => {
            error.help(format!("a number has no quotes: {}", text.trim()))
        }
        (_, Type::Bool) => error.help("TRUE or FALSE, or the condition alone: WHERE flag, WHERE NOT flag"),
        (_, Type::Duration) => error.help("a duration has a unit: `12 s`"),
        _ => error,
    }
}

/// The one type of several values; `what` is for the message.
pub fn common_type(values: &[(Typed, Span)], what: &str) -> Result<Type, Diagnostic> {
    let mut kind = Type::Null;
    for (value, span) in values {
        kind = match (kind, value.kind) {
            (Type::Null, other) | (other, Type::Null) => other,
            (a, b) if a == b => a,
            (a, b) if a.is_number() && b.is_number() => Type::Float,
            (a, b) => {
                let message = format!("the values of {what} are {} and {}", a.phrase(), b.phrase());
                return Err(Diagnostic::new(message, *span).help("CAST one of them"));
            }
        };
    }
    Ok(kind)
}

/// `x IN (a, b, ...)`: a set when all members are constants, else a chain of comparisons. A quoted period among
/// times stands for all of it.
pub fn in_list(binder: &ExprBinder<'_>, operand: &syntax::Expr, items: &[syntax::Expr]) -> Result<Expr> {
    if items.len() > limits::IN_LIST_MEMBERS {
        let message = format!("an IN list has at most {} members", limits::IN_LIST_MEMBERS);
        return Err(Diagnostic::new(message, operand.span)
            .help("IMPORT the list as a table and use SEMI JOIN")
            .into());
    }
    let value = binder.scalar(operand)?;
    let mut literals: Vec<Literal> = Vec::with_capacity(items.len());
    let mut others: Vec<Expr> = vec![];
    for item in items {
        let member = binder.scalar(item)?;
        if let (Type::Time, Some((start, end))) = (value.kind, member.text().and_then(period)) {
            let at = |t: crate::model::time::Time| Expr::Literal(Literal::Time(t.0));
            others.push(super::expr::between_half_open(value.expr.clone(), at(start), at(end)));
            continue;
        }
        let (left, member) = comparable(binder, (value.clone(), operand), (member, item))?;
        match member.expr {
            Expr::Literal(literal) if left.expr.as_literal() == value.expr.as_literal() => {
                literals.push(literal)
            }
            expr => others.push(Expr::Compare(CompareOp::Eq, Box::new(left.expr), Box::new(expr))),
        }
    }
    let set = (!literals.is_empty())
        .then(|| Expr::InSet(Box::new(value.expr), Arc::new(literal_set(value.kind, &literals))));
    Ok(any(set.into_iter().chain(others).collect()))
}

/// One of the conditions.
pub fn any(conditions: Vec<Expr>) -> Expr {
    let either = |a: Expr, b: Expr| Expr::Or(Box::new(a), Box::new(b));
    paired(conditions, either).unwrap_or(Expr::Literal(Literal::Bool(false)))
}

/// Many operands of an associative operator as a tree whose depth is the logarithm of their number: a list may have
/// a million.
pub fn paired(mut operands: Vec<Expr>, join: impl Fn(Expr, Expr) -> Expr) -> Option<Expr> {
    while operands.len() > 1 {
        let mut rest = operands.into_iter();
        let mut halved = vec![];
        while let Some(a) = rest.next() {
            halved.push(match rest.next() {
                Some(b) => join(a, b),
                None => a,
            });
        }
        operands = halved;
    }
    operands.pop()
}

/// The members that an operand of `kind` can be equal to; INT and FLOAT meet only where both are the same number.
fn literal_set(kind: Type, literals: &[Literal]) -> Set {
    let has_null = literals.contains(&Literal::Null);
    let exact = |v: i64| Some(v as f64).filter(|f| whole(*f) == Some(v));
    match kind {
        Type::Float => Set::of_floats(
            literals.iter().filter_map(|l| match l {
                Literal::Int(v) => exact(*v),
                Literal::Float(v) => Some(*v),
                _ => None,
            }),
            has_null,
        ),
        Type::Text => Set::of_texts(
            literals.iter().filter_map(|l| match l {
                Literal::Text(v) => Some(v.clone()),
                _ => None,
            }),
            has_null,
        ),
        _ => Set::of_ints(
            literals.iter().filter_map(|l| match l {
                Literal::Int(v) | Literal::Time(v) | Literal::Duration(v) => Some(*v),
                Literal::Float(v) => whole(*v),
                Literal::Bool(v) => Some(i64::from(*v)),
                _ => None,
            }),
            has_null,
        ),
    }
}

/// `x IN (SELECT ...)`, `x IN $list`: the value is one of the members. Nothing is among none, not even NULL.
pub fn among(value: Typed, members: &ArrayRef, span: Span) -> Result<Expr> {
    if members.is_empty() {
        return Ok(Expr::Literal(Literal::Bool(false)));
    }
    let kind = Type::of(members.data_type()).unwrap_or(Type::Null);
    let numbers = kind.is_number() && value.kind.is_number();
    if kind != value.kind && !numbers && kind != Type::Null && value.kind != Type::Null {
        let message = format!("cannot look for {} among {}s", value.kind.phrase(), kind.name());
        return Err(Diagnostic::new(message, span).into());
    }
    let set = column_set(value.kind, members)?;
    Ok(Expr::InSet(Box::new(value.expr), Arc::new(set)))
}

/// The column as members for an operand of another numeric type.
fn column_set(operand: Type, members: &ArrayRef) -> Result<Set> {
    let has_null = members.null_count() > 0;
    match (operand, Type::of(members.data_type()).unwrap_or(Type::Null)) {
        (Type::Int, Type::Float) => {
            Ok(Set::of_ints(floats(members)?.iter().flatten().filter_map(whole), has_null))
        }
        (Type::Float, Type::Int) => {
            let exact = |v: i64| Some(v as f64).filter(|f| whole(*f) == Some(v));
            Ok(Set::of_floats(integers(members)?.iter().flatten().filter_map(exact), has_null))
        }
        _ => Set::new(members),
    }
}

/// Several values of one type: literals with a unit in the unit of the first column that has one, INT among FLOAT
/// widened only where that is exact.
pub fn one_type(
    binder: &ExprBinder<'_>,
    mut values: Vec<(Typed, Span)>,
    what: &str,
) -> Result<(Vec<Expr>, Type, Option<Unit>)> {
    let kind = common_type(&values, what)?;
    let target = values.iter().find(|v| !v.0.is_constant && v.0.kind.is_number()).or(values.first());
    if let Some(target) = target.map(|t| t.0.clone()).filter(|t| t.kind.is_number()) {
        for value in values.iter_mut().filter(|v| v.0.is_constant && v.0.unit.is_some()) {
            value.0 = super::arith::meet(binder.binder, (value.0.clone(), value.1), &target)?;
        }
    }
    let unit = values.iter().find_map(|v| v.0.unit.clone());
    let exprs = values.into_iter().map(|(v, _)| as_kind(v, kind)).collect();
    Ok((exprs, kind, unit))
}

/// A value in a type it is implicitly taken to.
pub fn as_kind(value: Typed, kind: Type) -> Expr {
    match (value.kind, kind) {
        (Type::Int, Type::Float) => Expr::Widen(Box::new(value.expr)),
        _ => Expr::Cast(Box::new(value.expr), kind),
    }
}
