//! Expressions: names to columns, types and units settled, literals converted to what they meet.

use arrow_array::ArrayRef;

use super::group::Grouping;
use super::value::{Bound, Typed, time_token};
use super::{Binder, arith, compare};
use crate::engine::expr::{Expr, Literal, Surface, TextMatch};
use crate::engine::plan::Role;
use crate::engine::scope::{Resolved, Scope};
use crate::engine::session::Variable;
use crate::error::{Diagnostic, Error, Result, Span};
use crate::lang::syntax::{self, BinaryOp, ExprKind, MatchKind, Name, Range, UnaryOp};
use crate::model::station::Pattern;
use crate::model::table::Type;
use crate::model::units::Unit;

/// Binds expressions over one scope.
#[derive(Clone, Copy)]
pub struct ExprBinder<'a> {
    /// The statement's binder.
    pub binder: &'a Binder<'a>,
    /// Columns in sight.
    pub scope: &'a Scope,
    /// Set after GROUP BY.
    pub grouping: Option<&'a Grouping>,
}

impl<'a> ExprBinder<'a> {
    /// A value of any kind.
    pub fn bind(&self, e: &syntax::Expr) -> Result<Bound> {
        if let Some(key) = self.group_key(e) {
            return Ok(Bound::Scalar(key));
        }
        match &e.kind {
            ExprKind::Null => Ok(Bound::Scalar(Typed::constant(Literal::Null))),
            ExprKind::Bool(v) => Ok(Bound::Scalar(Typed::constant(Literal::Bool(*v)))),
            ExprKind::Number(text) => Ok(Bound::Scalar(Typed::constant(number(text, e.span)?))),
            ExprKind::Quantity { number: digits, unit, unit_span } => {
                let mut value = Typed::constant(Literal::Float(float(digits, e.span)?));
                let unit = Unit::find(unit)
                    .ok_or_else(|| Diagnostic::new(format!("unknown unit `{unit}`"), *unit_span))?;
                value.unit = Some(unit);
                Ok(Bound::Scalar(value))
            }
            ExprKind::Time(text) => {
                Ok(Bound::Scalar(Typed::constant(Literal::Time(time_token(self.binder, text, e.span)?))))
            }
            ExprKind::Text(text) => Ok(Bound::Scalar(Typed::constant(Literal::Text(text.clone())))),
            ExprKind::Variable(name) => self.binder.variable(name, e.span),
            ExprKind::Column(name) => self.column(name),
            ExprKind::Call { name, distinct, star, args } => {
                self.call((name, *distinct, *star), args, e.span)
            }
            ExprKind::Case { operand, branches, otherwise } => {
                self.case(operand.as_deref(), branches, otherwise.as_deref(), e.span)
            }
            ExprKind::Cast { operand, type_words, length } => self.cast(operand, type_words, length.as_ref()),
            ExprKind::Scalar(query) => self
                .with_subquery(e, || Ok(Bound::Scalar(self.binder.scalar_query(query, self.scope, e.span)?))),
            ExprKind::Exists(_) | ExprKind::InQuery { .. } => self.subquery_condition(e),
            ExprKind::Unary { op, operand } => self.unary(*op, operand, e.span),
            ExprKind::Binary { op, left, right } if op.is_comparison() => {
                compare::comparison(self, *op, left, right)
            }
            ExprKind::Binary { .. } => self.chain(e),
            _ => self.predicate(e),
        }
    }

    /// A value of one column.
    pub fn scalar(&self, e: &syntax::Expr) -> Result<Typed> {
        Ok(self.bind(e)?.into_scalar(e.span)?)
    }

    /// A condition.
    pub fn condition(&self, e: &syntax::Expr) -> Result<Expr> {
        Ok(condition_of(self.scalar(e)?, e.span)?)
    }

    fn column(&self, name: &Name) -> Result<Bound> {
        let resolved = match self.scope.resolve(name) {
            Ok(resolved) => resolved,
            Err(error) => {
                return match self.binder.correlated(name) {
                    Some(correlated) => Err(correlated.into()),
                    None => self.binder.outer_value(name).ok_or_else(|| error.into()),
                };
            }
        };
        if self.grouping.is_some() {
            let shown = &name.parts.last().map_or("", |p| &p.text);
            return Err(Diagnostic::new(format!("`{shown}` is neither aggregated nor grouped"), name.span)
                .help(format!("add `GROUP BY {shown}`"))
                .into());
        }
        Ok(self.resolved(resolved))
    }

    fn resolved(&self, resolved: Resolved) -> Bound {
        match resolved {
            Resolved::Column(index) => {
                let out = &self.scope.columns[index];
                Bound::Scalar(Typed {
                    expr: Expr::Column(index),
                    kind: out.column.kind(),
                    unit: out.column.unit.clone(),
                    is_constant: false,
                    role: out.role,
                })
            }
            Resolved::SkyPoint(lon, lat) => Bound::Point {
                surface: Surface::Sky,
                lon: Expr::Column(lon),
                lat: Expr::Column(lat),
                depth_km: None,
            },
            Resolved::EarthPoint(lon, lat, depth) => Bound::Point {
                surface: Surface::Earth,
                lon: Expr::Column(lon),
                lat: Expr::Column(lat),
                depth_km: depth.map(Expr::Column),
            },
            Resolved::Span(start, end) => Bound::Span { start: Expr::Column(start), end: Expr::Column(end) },
        }
    }

    fn unary(&self, op: UnaryOp, operand: &syntax::Expr, span: Span) -> Result<Bound> {
        if op == UnaryOp::Not {
            let condition = self.condition(operand)?;
            return Ok(boolean(Expr::Not(Box::new(condition))));
        }
        if let (UnaryOp::Minus, ExprKind::Number(text)) = (op, &operand.kind)
            && text == "9223372036854775808"
        {
            return Ok(Bound::Scalar(Typed::constant(Literal::Int(i64::MIN))));
        }
        let mut value = self.scalar(operand)?;
        if !value.kind.is_number() && !matches!(value.kind, Type::Duration | Type::Null) {
            return Err(
                Diagnostic::new(format!("a sign needs a number, not {}", value.kind.phrase()), span).into()
            );
        }
        if op == UnaryOp::Minus {
            value.expr = Expr::Negate(Box::new(value.expr));
        }
        Ok(Bound::Scalar(self.fold(value, span)?))
    }

    /// `a op b op c ...`: operators in a row lean to the left, so they are walked down and bound on the way back
    /// instead of by recursion. AND and OR of many become a balanced tree.
    fn chain(&self, e: &syntax::Expr) -> Result<Bound> {
        let mut spine = vec![];
        let mut first = e;
        while let ExprKind::Binary { op, left, right } = &first.kind
            && !op.is_comparison()
            && (spine.is_empty() || self.group_key(first).is_none())
        {
            spine.push((*op, left.span, &**right, first.span));
            first = left;
        }
        let mut value = self.bind(first)?;
        let mut terms: Vec<Expr> = vec![];
        for (place, (op, left, right, span)) in spine.iter().enumerate().rev() {
            if !matches!(op, BinaryOp::And | BinaryOp::Or) {
                value = self.operate(*op, (value.into_scalar(*left)?, *left), right, *span)?;
                continue;
            }
            if terms.is_empty() {
                terms.push(condition_of(value.clone().into_scalar(*left)?, *left)?);
            }
            terms.push(self.condition(right)?);
            let is_last = place == 0 || spine.get(place - 1).is_none_or(|next| next.0 != *op);
            if is_last {
                value = boolean(balanced(*op, std::mem::take(&mut terms)));
            }
        }
        Ok(value)
    }

    fn operate(&self, op: BinaryOp, left: (Typed, Span), right: &syntax::Expr, span: Span) -> Result<Bound> {
        let r = self.scalar(right)?;
        if op == BinaryOp::Concat {
            let is_constant = left.0.is_constant && r.is_constant;
            let expr = Expr::Concat(Box::new(left.0.expr), Box::new(r.expr));
            return Ok(Bound::Scalar(self.fold(Typed::computed(expr, Type::Text, is_constant), span)?));
        }
        let value = arith::arithmetic(self.binder, op, left, (r, right.span))?;
        Ok(Bound::Scalar(self.fold(value, span)?))
    }

    /// Computes constants once.
    pub fn fold(&self, mut value: Typed, span: Span) -> Result<Typed> {
        if value.is_constant && value.expr.as_literal().is_none() {
            value.expr = Expr::Literal(super::constant(&value.expr).map_err(|e| match e {
                Error::Refused { message, .. } => Diagnostic::new(message, span).into(),
                other => other,
            })?);
        }
        Ok(value)
    }

    fn predicate(&self, e: &syntax::Expr) -> Result<Bound> {
        let (expr, negated) = match &e.kind {
            ExprKind::IsNull { operand, negated } => (self.is_null(operand)?, *negated),
            ExprKind::Between { operand, low, high, negated } => {
                let low = compare::compare_expr(self, BinaryOp::Ge, operand, low)?;
                let high = compare::compare_expr(self, BinaryOp::Le, operand, high)?;
                (low.and(high), *negated)
            }
            ExprKind::InList { operand, items, negated } => {
                (compare::in_list(self, operand, items)?, *negated)
            }
            ExprKind::InRange { operand, range, negated } => (self.in_range(operand, range)?, *negated),
            ExprKind::Match { kind, operand, pattern, negated } => {
                (self.text_match(*kind, operand, pattern)?, *negated)
            }
            ExprKind::Overlaps { operand, range, negated } => (self.overlaps(operand, range)?, *negated),
            _ => return Err(Diagnostic::new("this is not a condition", e.span).into()),
        };
        Ok(boolean(if negated { Expr::Not(Box::new(expr)) } else { expr }))
    }

    fn is_null(&self, operand: &syntax::Expr) -> Result<Expr> {
        let null = |e: Expr| Expr::IsNull(Box::new(e));
        Ok(match self.bind(operand)? {
            Bound::Scalar(t) => null(t.expr),
            Bound::Point { lon, lat, .. } => Expr::Or(Box::new(null(lon)), Box::new(null(lat))),
            Bound::Span { start, end } => Expr::Or(Box::new(null(start)), Box::new(null(end))),
            Bound::Region(shape) => {
                compare::any(shape.parts.into_iter().chain(shape.radius_km).map(null).collect())
            }
        })
    }

    pub(super) fn in_query(&self, operand: &syntax::Expr, query: &syntax::Query) -> Result<Expr> {
        let members = self.binder.column_query(query, self.scope)?;
        self.member_of(operand, &members)
    }

    /// Membership in the values of a column.
    pub(super) fn member_of(&self, operand: &syntax::Expr, members: &ArrayRef) -> Result<Expr> {
        let value = self.scalar(operand)?;
        compare::among(value, members, operand.span)
    }

    /// The members of `x IN $list`, where the variable is one.
    fn list(&self, e: &syntax::Expr) -> Option<&ArrayRef> {
        let ExprKind::Variable(name) = &e.kind else { return None };
        match self.binder.context.session.variables.get(name) {
            Some(Variable::List(members)) => Some(members),
            _ => None,
        }
    }

    /// `x IN a .. b`, `x IN '2024'`, `pos IN CIRCLE(..)`, `x IN $list`.
    fn in_range(&self, operand: &syntax::Expr, range: &Range) -> Result<Expr> {
        if let (Some(members), None) = (self.list(&range.start), &range.end) {
            return compare::among(self.scalar(operand)?, members, operand.span);
        }
        let value = self.bind(operand)?;
        match value {
            Bound::Point { surface, lon, lat, .. } if range.end.is_none() => {
                self.inside(surface, (lon, lat), &range.start)
            }
            Bound::Scalar(t) if range.end.is_some() => {
                let end = range.end.as_ref().unwrap_or(&range.start);
                if t.kind == Type::Time {
                    let (start, end) = self.span(range)?;
                    return Ok(between_half_open(t.expr, start, end));
                }
                let low = compare::compare_expr(self, BinaryOp::Ge, operand, &range.start)?;
                let high = compare::compare_expr(self, BinaryOp::Lt, operand, end)?;
                Ok(low.and(high))
            }
            Bound::Scalar(t) if t.kind == Type::Time => {
                let (start, end) = self.span(range)?;
                Ok(between_half_open(t.expr, start, end))
            }
            other => Err(Diagnostic::new(format!("{} cannot be IN this", other.phrase()), range.span)
                .help("IN (a, b, c), IN a .. b, time IN '2024', pos IN CIRCLE(..)")
                .into()),
        }
    }

    fn text_match(&self, kind: MatchKind, operand: &syntax::Expr, pattern: &syntax::Expr) -> Result<Expr> {
        let value = self.scalar(operand)?;
        let text = self.scalar(pattern)?;
        let Some(text) = text.text().map(str::to_owned) else {
            return Err(Diagnostic::new("the pattern must be a text", pattern.span).into());
        };
        if !matches!(value.kind, Type::Text | Type::Null) {
            let message = format!("a pattern matches texts, not {}", value.kind.phrase());
            return Err(Diagnostic::new(message, operand.span)
                .help("CAST(.. AS TEXT) makes a text of it")
                .into());
        }
        let matcher = match kind {
            MatchKind::Like => TextMatch::like(&text, false),
            MatchKind::ILike => TextMatch::like(&text, true),
            MatchKind::Matches => TextMatch::wildcard(
                pattern_of(&text, value.role == Role::Code, pattern.span)?,
                value.role == Role::Code,
            ),
        };
        Ok(Expr::Match(Box::new(value.expr), matcher))
    }

    /// `CASE [operand] WHEN ... THEN ... END`; with an operand each WHEN is a value that equals it.
    fn case(
        &self,
        operand: Option<&syntax::Expr>,
        branches: &[(syntax::Expr, syntax::Expr)],
        otherwise: Option<&syntax::Expr>,
        span: Span,
    ) -> Result<Bound> {
        let mut values = vec![];
        for (_, value) in branches {
            values.push((self.scalar(value)?, value.span));
        }
        if let Some(value) = otherwise {
            values.push((self.scalar(value)?, value.span));
        }
        let (exprs, kind, unit) = compare::one_type(self, values, "CASE")?;
        let mut exprs = exprs.into_iter();
        let mut bound = vec![];
        for ((condition, _), value) in branches.iter().zip(exprs.by_ref()) {
            let condition = match operand {
                Some(operand) => compare::compare_expr(self, BinaryOp::Eq, operand, condition)?,
                None => self.condition(condition)?,
            };
            bound.push((condition, value));
        }
        let expr = Expr::Case(bound, exprs.next().map(Box::new));
        let mut value = Typed::computed(expr, kind, false);
        value.unit = unit;
        Ok(Bound::Scalar(self.fold(value, span)?))
    }
}

fn condition_of(value: Typed, span: Span) -> Result<Expr, Diagnostic> {
    match value.kind {
        Type::Bool | Type::Null => Ok(value.expr),
        other => Err(Diagnostic::new(format!("expected a condition, found {}", other.phrase()), span)
            .help("a condition compares: `magnitude > 3`, `span OVERLAPS '2024'`, `pos IN CIRCLE(..)`")),
    }
}

/// Terms joined by AND or OR, as low a tree as can be.
fn balanced(op: BinaryOp, mut terms: Vec<Expr>) -> Expr {
    if terms.len() > 1 {
        let right = balanced(op, terms.split_off(terms.len() / 2));
        let (l, r) = (Box::new(balanced(op, terms)), Box::new(right));
        return if op == BinaryOp::And { Expr::And(l, r) } else { Expr::Or(l, r) };
    }
    terms.pop().unwrap_or(Expr::Literal(Literal::Null))
}

/// A pattern, or why the text is none.
pub fn pattern_of(text: &str, is_code: bool, span: Span) -> Result<Pattern, Diagnostic> {
    let pattern = if is_code { Pattern::code(text) } else { Pattern::part(text) };
    pattern.map_err(|e| Diagnostic::new(e.reason, span).help(e.help))
}

/// A condition.
pub fn boolean(expr: Expr) -> Bound {
    Bound::Scalar(Typed::computed(expr, Type::Bool, false))
}

pub(super) fn between_half_open(value: Expr, start: Expr, end: Expr) -> Expr {
    use crate::engine::expr::CompareOp::{Ge, Lt};
    Expr::Compare(Ge, Box::new(value.clone()), Box::new(start)).and(Expr::Compare(
        Lt,
        Box::new(value),
        Box::new(end),
    ))
}

/// A number as written: INT where it has no point and fits, else FLOAT.
pub fn number(text: &str, span: Span) -> Result<Literal, Diagnostic> {
    if let Some(hex) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16)
            .map(Literal::Int)
            .map_err(|_| Diagnostic::new("this number does not fit 64 bits", span));
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map(Literal::Int).map_err(|_| {
            Diagnostic::new("this number does not fit 64 bits", span)
                .help(format!("write {text}.0 for a FLOAT, or CAST the column to TEXT"))
        });
    }
    float(text, span).map(Literal::Float)
}

fn float(text: &str, span: Span) -> Result<f64, Diagnostic> {
    let value = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok().map(|v| v as f64),
        None => text.parse::<f64>().ok(),
    };
    value.filter(|v| v.is_finite()).ok_or_else(|| Diagnostic::new("this number is out of range", span))
}
