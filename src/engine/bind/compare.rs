//! Comparisons: what may be compared with what, and IN lists.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use super::arith::{align, with_durations};
use super::expr::{ExprBinder, boolean};
use super::value::{Bound, Typed, instant};
use crate::engine::expr::{CompareOp, Expr, Literal, Set, cast};
use crate::error::{Diagnostic, Result, Span};
use crate::lang::syntax::{self, BinaryOp, ExprKind};
use crate::limits;
use crate::model::table::Type;

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

fn comparable(
    binder: &ExprBinder<'_>,
    left: (Typed, &syntax::Expr),
    right: (Typed, &syntax::Expr),
) -> Result<(Typed, Typed)> {
    let (ls, rs) = (left.1.span, right.1.span);
    let (l, r) = with_durations(left.0, right.0);
    let (l, r) = (as_time(l, ls, r.kind)?, r);
    let r = as_time(r, rs, l.kind)?;
    let same = l.kind == r.kind || (l.kind.is_number() && r.kind.is_number());
    if !same && l.kind != Type::Null && r.kind != Type::Null {
        return Err(incomparable((&l, left.1), (&r, right.1)).into());
    }
    if l.kind.is_number() && r.kind.is_number() {
        return Ok(align(binder.binder, (l, ls), (r, rs))?);
    }
    Ok((l, r))
}

/// A constant text against a TIME is read as an instant.
fn as_time(value: Typed, span: Span, other: Type) -> Result<Typed, Diagnostic> {
    match (other, value.text()) {
        (Type::Time, Some(text)) => Ok(Typed::constant(Literal::Time(instant(text, span)?))),
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
        (_, Type::Text) => error.help("text goes in single quotes: '3'"),
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

/// `x IN (a, b, ...)`: a set when all members are constants, else a chain of comparisons.
pub fn in_list(binder: &ExprBinder<'_>, operand: &syntax::Expr, items: &[syntax::Expr]) -> Result<Expr> {
    if items.len() > limits::IN_LIST_MEMBERS {
        let message = format!("an IN list has at most {} members", limits::IN_LIST_MEMBERS);
        return Err(Diagnostic::new(message, operand.span)
            .help("IMPORT the list as a table and use SEMI JOIN")
            .into());
    }
    let value = binder.scalar(operand)?;
    let mut members = Vec::with_capacity(items.len());
    for item in items {
        let member = binder.scalar(item)?;
        members.push(comparable(binder, (value.clone(), operand), (member, item))?.1);
    }
    if members.iter().any(|m| m.expr.as_literal().is_none()) {
        let equal = |m: Typed| Expr::Compare(CompareOp::Eq, Box::new(value.expr.clone()), Box::new(m.expr));
        let chain = members.into_iter().map(equal).reduce(|a, b| Expr::Or(Box::new(a), Box::new(b)));
        return Ok(chain.unwrap_or(Expr::Literal(Literal::Bool(false))));
    }
    let is_float = value.kind == Type::Float || members.iter().any(|m| m.kind == Type::Float);
    let kind = if is_float && value.kind.is_number() { Type::Float } else { value.kind };
    let values = constants(members.iter().filter_map(|m| m.expr.as_literal()), kind)?;
    let (expr, values) = common_numbers(value, values)?;
    Ok(Expr::InSet(Box::new(expr), Arc::new(Set::new(&values)?)))
}

/// Literals as one array of `kind`.
fn constants<'a>(literals: impl Iterator<Item = &'a Literal>, kind: Type) -> Result<ArrayRef> {
    let arrays = literals.map(|l| cast(&l.array(1), kind)).collect::<Result<Vec<_>>>()?;
    let parts: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    arrow_select::concat::concat(&parts).map_err(crate::engine::expr::arrow_error)
}

/// An INT operand against FLOAT members: whole members become INT (exact), the others can never be equal.
pub fn common_numbers(operand: Typed, members: ArrayRef) -> Result<(Expr, ArrayRef)> {
    let member_kind = Type::of(members.data_type()).unwrap_or(Type::Null);
    match (operand.kind, member_kind) {
        (Type::Int, Type::Float) => {
            let floats = crate::engine::expr::floats(&members)?;
            let whole = |v: f64| v == v.floor() && v.abs() < 9.2e18;
            let had_null = floats.null_count() > 0;
            let mut ints: Vec<Option<i64>> =
                floats.iter().flatten().filter(|v| whole(*v)).map(|v| Some(v as i64)).collect();
            ints.extend(had_null.then_some(None));
            Ok((operand.expr, Arc::new(arrow_array::Int64Array::from(ints))))
        }
        (Type::Float, Type::Int) => Ok((operand.expr, cast(&members, Type::Float)?)),
        _ => Ok((operand.expr, members)),
    }
}
