//! Spans of time: ranges, whole periods, instants, and how they overlap.

use super::expr::{ExprBinder, between_half_open};
use super::value::{Bound, instant, period};
use crate::engine::expr::{Expr, Literal};
use crate::error::{Diagnostic, Result};
use crate::lang::syntax::{self, Range};
use crate::model::table::Type;

impl ExprBinder<'_> {
    /// The two ends of `a .. b`, of a whole period, or of a span column.
    pub fn span(&self, range: &Range) -> Result<(Expr, Expr)> {
        let example = if range.end.is_some() { "2024-01-01" } else { "2024-01-01 .. 2024-02-01" };
        for end in std::iter::once(&range.start).chain(&range.end) {
            self.binder.has_value(end, example)?;
        }
        if let Some(end) = &range.end {
            return Ok((self.instant(&range.start)?, self.instant(end)?));
        }
        match self.bind(&range.start)? {
            Bound::Span { start, end } => Ok((start, end)),
            Bound::Scalar(t) if t.kind == Type::Time => {
                // One instant: the span that holds just it.
                let later = Expr::Arithmetic(
                    crate::engine::expr::ArithmeticOp::Add,
                    Box::new(t.expr.clone()),
                    Box::new(Expr::Literal(Literal::Duration(1))),
                );
                Ok((t.expr, later))
            }
            Bound::Scalar(t) if t.text().and_then(period).is_some() => {
                let (start, end) = t.text().and_then(period).unwrap_or_default();
                Ok((Expr::Literal(Literal::Time(start.0)), Expr::Literal(Literal::Time(end.0))))
            }
            other => Err(Diagnostic::new(
                format!("expected a span of time, found {}", other.phrase()),
                range.span,
            )
            .help("2024-01-01 .. 2024-02-01 (the end is not included), or '2024', '2024-02', '2024-060'")
            .into()),
        }
    }

    /// An instant: a time, or a text that reads as one.
    pub fn instant(&self, e: &syntax::Expr) -> Result<Expr> {
        let value = self.scalar(e)?;
        match (value.kind, value.text()) {
            (Type::Time | Type::Null, _) => Ok(value.expr),
            (_, Some(text)) => Ok(Expr::Literal(Literal::Time(instant(self.binder, text, e.span)?))),
            (other, _) => {
                Err(Diagnostic::new(format!("expected a time, found {}", other.phrase()), e.span).into())
            }
        }
    }

    /// `span OVERLAPS range`, `time OVERLAPS range`.
    pub(super) fn overlaps(&self, operand: &syntax::Expr, range: &Range) -> Result<Expr> {
        let (start, end) = self.span(range)?;
        match self.bind(operand)? {
            Bound::Span { start: a, end: b } => {
                use crate::engine::expr::CompareOp::Lt;
                // max(starts) < min(ends): each start lies before each end, so that an empty span overlaps nothing.
                let before = |x: &Expr, y: &Expr| Expr::Compare(Lt, Box::new(x.clone()), Box::new(y.clone()));
                let is_known = |x: &Expr, y: &Expr| match (x.as_literal(), y.as_literal()) {
                    (Some(Literal::Time(x)), Some(Literal::Time(y))) => x < y,
                    _ => false,
                };
                let pairs = [(&a, &end), (&start, &b), (&a, &b), (&start, &end)];
                let parts = pairs.into_iter().filter(|(x, y)| !is_known(x, y)).map(|(x, y)| before(x, y));
                Ok(parts.reduce(Expr::and).unwrap_or(Expr::Literal(Literal::Bool(true))))
            }
            Bound::Scalar(t) if t.kind == Type::Time => Ok(between_half_open(t.expr, start, end)),
            other => Err(Diagnostic::new(
                format!("OVERLAPS compares spans of time, not {}", other.phrase()),
                operand.span,
            )
            .help("`span OVERLAPS '2024-060'`, `time OVERLAPS a .. b`")
            .into()),
        }
    }
}
