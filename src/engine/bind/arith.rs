//! `+ - * / %`: which types may meet, and what happens to units. Only literals with a unit are converted.

use super::Binder;
use super::value::Typed;
use crate::engine::expr::{ArithmeticOp, Expr, Literal};
use crate::engine::plan::Role;
use crate::error::{Diagnostic, Result, Span};
use crate::lang::syntax::BinaryOp;
use crate::model::table::Type;
use crate::model::units::{Dimension, Unit};

/// Converts a constant with a unit to the unit of what it meets; a column without unit is read in that unit.
pub fn meet(binder: &Binder<'_>, constant: (Typed, Span), other: &Typed) -> Result<Typed, Diagnostic> {
    let (mut value, span) = constant;
    let (Some(unit), Some(number)) = (value.unit.clone(), value.number()) else { return Ok(value) };
    let Some(target) = &other.unit else {
        if !other.is_constant && other.kind.is_number() {
            binder.notice(format!("a column without unit meets a value in {unit}: it is read in {unit}"));
        }
        return Ok(value);
    };
    let Some(converted) = unit.convert(number, target) else {
        return Err(Diagnostic::new(
            format!("{} ({unit}) cannot meet {} ({target})", unit.dimension.name(), target.dimension.name()),
            span,
        )
        .help(format!("write {}", units_of(target.dimension))));
    };
    value.expr = Expr::Literal(Literal::Float(converted));
    value.unit = Some(target.clone());
    Ok(value)
}

/// Brings two numbers to one unit where one of them is a literal with a unit.
pub fn align(
    binder: &Binder<'_>,
    left: (Typed, Span),
    right: (Typed, Span),
) -> Result<(Typed, Typed), Diagnostic> {
    let (l, ls) = left;
    let (r, rs) = right;
    if r.is_constant && r.unit.is_some() {
        let r = meet(binder, (r, rs), &l)?;
        return Ok((l, r));
    }
    if l.is_constant && l.unit.is_some() {
        let l = meet(binder, (l, ls), &r)?;
        return Ok((l, r));
    }
    Ok((l, r))
}

/// A quantity of time becomes a DURATION where the other side is a TIME or DURATION.
pub fn with_durations(l: Typed, r: Typed) -> (Typed, Typed) {
    let is_temporal = |t: &Typed| matches!(t.kind, Type::Time | Type::Duration);
    if is_temporal(&l) && r.kind.is_number() {
        if let Some(d) = r.as_duration() {
            return (l, d);
        }
    } else if is_temporal(&r)
        && l.kind.is_number()
        && let Some(d) = l.as_duration()
    {
        return (d, r);
    }
    (l, r)
}

/// `left op right`.
pub fn arithmetic(
    binder: &Binder<'_>,
    op: BinaryOp,
    left: (Typed, Span),
    right: (Typed, Span),
) -> Result<Typed> {
    let (ls, rs) = (left.1, right.1);
    let (l, r) = with_durations(left.0, right.0);
    let is_constant = l.is_constant && r.is_constant;
    let kind = result_type(op, l.kind, r.kind).ok_or_else(|| refuse(op, &l, &r, ls.to(rs)))?;
    if op == BinaryOp::Div && l.kind == Type::Int && !l.is_constant && is_large_int(&r) {
        binder
            .notice("`/` is real division and loses digits of large integers: DIV(a, b) is exact".to_owned());
    }
    let additive = matches!(op, BinaryOp::Add | BinaryOp::Sub);
    let (l, r, unit) = if kind.is_number() {
        match additive {
            true => {
                let (l, r) = align(binder, (l, ls), (r, rs))?;
                // Two columns of different units are stored numbers: their sum has no unit.
                let unit = match (&l.unit, &r.unit) {
                    (Some(a), Some(b)) => Some(a.clone()).filter(|_| a == b),
                    (a, b) => a.clone().or(b.clone()),
                };
                (l, r, unit)
            }
            false => {
                let unit = product_unit(op, &l, &r);
                (l, r, unit)
            }
        }
    } else {
        (l, r, None)
    };
    let op = match op {
        BinaryOp::Add => ArithmeticOp::Add,
        BinaryOp::Sub => ArithmeticOp::Sub,
        BinaryOp::Mul => ArithmeticOp::Mul,
        BinaryOp::Div => ArithmeticOp::Div,
        _ => ArithmeticOp::Mod,
    };
    let expr = Expr::Arithmetic(op, Box::new(l.expr), Box::new(r.expr));
    Ok(Typed { expr, kind, unit, is_constant, role: Role::Plain })
}

fn is_large_int(value: &Typed) -> bool {
    matches!(value.expr.as_literal(), Some(Literal::Int(v)) if *v > 1 << 31)
}

/// The unit of a product or quotient: that of the side that has one; none when both have (they differ in kind).
fn product_unit(op: BinaryOp, l: &Typed, r: &Typed) -> Option<Unit> {
    match (&l.unit, &r.unit) {
        (Some(u), None) => Some(u.clone()),
        (None, Some(u)) if op == BinaryOp::Mul => Some(u.clone()),
        _ => None,
    }
}

fn result_type(op: BinaryOp, l: Type, r: Type) -> Option<Type> {
    use BinaryOp::{Add, Div, Mul, Sub};
    use Type::{Duration, Float, Int, Null, Time};
    Some(match (l, op, r) {
        (Null, _, Null) => Null,
        (Null, _, other) | (other, _, Null) if matches!(other, Int | Float | Time | Duration) => other,
        (Int, Div, Int) => Float,
        (Int, _, Int) => Int,
        (Int | Float, _, Int | Float) => Float,
        (Time, Sub, Time) => Duration,
        (Time, Add | Sub, Duration) => Time,
        (Duration, Add, Time) => Time,
        (Duration, Add | Sub, Duration) => Duration,
        (Duration, Div, Duration) => Float,
        (Duration, Mul | Div, Int | Float) => Duration,
        (Int | Float, Mul, Duration) => Duration,
        _ => return None,
    })
}

fn refuse(op: BinaryOp, l: &Typed, r: &Typed, span: Span) -> Diagnostic {
    let message = format!("{} `{}` {} has no meaning", l.kind.phrase(), op.text(), r.kind.phrase());
    let error = Diagnostic::new(message, span);
    let is_duration = |t: &Typed| t.unit.as_ref().is_some_and(|u| u.dimension == Dimension::Duration);
    match (l.kind, r.kind) {
        _ if is_duration(l) || is_duration(r) => error.help("a duration is a constant of at most 292 yr"),
        (Type::Time, Type::Int | Type::Float) if op != BinaryOp::Mul => {
            error.help("give the number a unit of time: `time + 10 s`")
        }
        (Type::Text, _) | (_, Type::Text) if op == BinaryOp::Add => error.help("texts are joined by `||`"),
        _ => error,
    }
}

/// A constant measure of one dimension, in its base unit. `what` and `example` are for the message.
pub fn measure(
    value: &Typed,
    span: Span,
    dimension: Dimension,
    words: (&str, &str),
) -> Result<f64, Diagnostic> {
    let (what, example) = words;
    if let (Some(Literal::Duration(ns)), Dimension::Duration) = (value.expr.as_literal(), dimension) {
        return Ok(*ns as f64 / 1e9);
    }
    let Some(number) = value.number() else {
        return Err(Diagnostic::new(format!("{what} must be a constant"), span).help(example.to_owned()));
    };
    match &value.unit {
        Some(unit) if unit.dimension == dimension => Ok(unit.to_base(number)),
        Some(unit) => Err(Diagnostic::new(
            format!("{what} must be {}, not {}", dimension.name(), unit.dimension.name()),
            span,
        )
        .help(units_of(dimension))),
        None => Err(Diagnostic::new(format!("{what} needs a unit"), span)
            .help(format!("did you mean `{} {example}`?", trimmed(number)))),
    }
}

/// `3`, not `3.0`.
fn trimmed(number: f64) -> String {
    number.to_string()
}

/// The units of a dimension, for a help line.
pub fn units_of(dimension: Dimension) -> String {
    if dimension == Dimension::Angle {
        return "arcsec, arcmin, deg, mas or rad".to_owned();
    }
    let names: Vec<&str> =
        crate::model::units::UNITS.iter().filter(|u| u.1 == dimension).map(|u| u.0).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.join(""),
    }
}
