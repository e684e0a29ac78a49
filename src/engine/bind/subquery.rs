//! Subqueries that use columns of the query around them. EXISTS and IN in WHERE become SEMI and ANTI joins on the
//! subquery's own conditions; a set function over equal keys becomes groups and a LEFT join; every other one is
//! evaluated for each combination of the outer values it uses.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::Binder;
use super::expr::{ExprBinder, boolean};
use super::group::{Grouping, contains_aggregate};
use super::join::{conjuncts, joined, push_filter, side, with_methods};
use super::query::aggregate_node;
use super::value::{Bound, Typed};
use crate::engine::expr::{CompareOp, Expr, Function, Literal};
use crate::engine::plan::{
    AggregateFunction, Correlated, JoinCondition, Node, OutColumn, OuterColumn, Plan, Shared,
};
use crate::engine::scope::{Resolved, Scope};
use crate::error::{Diagnostic, Error, Result, Span};
use crate::lang::syntax::{self, BinaryOp, Body, ExprKind, Item, JoinKind, Name, Query, Select, UnaryOp};
use crate::model::table::Type;

/// Deepest nesting of subqueries that use columns around them: each level may be bound twice.
const CORRELATED_DEPTH: usize = 8;

/// Columns that subqueries add to the input of a SELECT.
#[derive(Debug, Default)]
pub struct Frame {
    /// So many so far.
    count: usize,
    /// Those that are not part of the input yet.
    pending: Vec<Added>,
}

/// One added column.
#[derive(Debug)]
enum Added {
    /// The value of an expression with a subquery, for the outer values of each row.
    Apply(Arc<Correlated>, Vec<usize>),
    /// A set function over the rows with equal keys.
    Lookup(Box<Lookup>),
}

/// Groups of a subquery, found by keys.
#[derive(Debug)]
struct Lookup {
    groups: Node,
    /// (outer value, group key)
    equal: Vec<(Expr, Expr)>,
    /// Columns of `groups` that count: 0 where there is no group.
    counts: Vec<usize>,
    /// Over the columns of `groups`.
    value: Typed,
}

/// A row of the query around, while a subquery is evaluated for it.
pub struct OuterRow<'a> {
    /// Columns around.
    pub scope: &'a Scope,
    /// Values of the columns that are used; NULL for the others and while only types are asked for.
    pub values: Vec<(usize, Literal)>,
    /// Only types are asked for: nothing runs.
    pub is_probe: bool,
    /// Columns used.
    pub used: RefCell<BTreeSet<usize>>,
}

impl OuterRow<'_> {
    /// What a name around the subquery stands for, its columns replaced by their values.
    fn find(&self, name: &Name) -> Option<Bound> {
        let value = |i: usize| {
            self.used.borrow_mut().insert(i);
            let found = self.values.iter().find(|v| v.0 == i);
            Expr::Literal(found.map_or(Literal::Null, |v| v.1.clone()))
        };
        Some(match self.scope.resolve(name).ok()? {
            Resolved::Column(i) => {
                let column = &self.scope.columns[i];
                Bound::Scalar(Typed {
                    expr: value(i),
                    kind: column.column.kind(),
                    unit: column.column.unit.clone(),
                    is_constant: false,
                    role: column.role,
                })
            }
            Resolved::Span(start, end) => Bound::Span { start: value(start), end: value(end) },
            Resolved::SkyPoint(lon, lat) => Bound::Point {
                surface: crate::engine::expr::Surface::Sky,
                lon: value(lon),
                lat: value(lat),
                depth_km: None,
            },
            Resolved::EarthPoint(lon, lat, depth) => Bound::Point {
                surface: crate::engine::expr::Surface::Earth,
                lon: value(lon),
                lat: value(lat),
                depth_km: depth.map(value),
            },
        })
    }
}

/// What stands for a condition in WHERE.
enum Part {
    /// A condition over the columns of FROM.
    Plain(Expr),
    /// A condition over added columns.
    Later(Expr),
    /// A join.
    Join(Box<(JoinKind, Node, JoinCondition)>),
}

impl Binder<'_> {
    /// The value of a name in the row around, when a subquery is evaluated for it.
    pub(super) fn outer_value(&self, name: &Name) -> Option<Bound> {
        self.outer.as_ref()?.find(name)
    }

    /// Was the last error that of a name of the scope in which the subquery stands?
    pub(super) fn is_correlated_here(&self) -> bool {
        let is_here = self.reached.get() == Some(self.around.borrow().len());
        if is_here {
            self.reached.set(None);
        }
        is_here
    }

    /// The rows of FROM for which WHERE is TRUE, each join by its method.
    pub(super) fn filtered(&self, input: Node, scope: &Scope, filter: Option<&syntax::Expr>) -> Result<Node> {
        let mut written = vec![];
        filter.into_iter().for_each(|f| ast_conjuncts(f, &mut written));
        let mut parts = vec![];
        for part in written {
            parts.push(self.part(part, scope)?);
        }
        let mut input = input;
        let (mut joins, mut later) = (vec![], vec![]);
        for part in parts {
            match part {
                Part::Plain(condition) => input = push_filter(input, condition),
                Part::Later(condition) => later.push(condition),
                Part::Join(join) => joins.push(*join),
            }
        }
        for (kind, right, on) in joins {
            input = joined(kind, input, right, on);
        }
        input = self.with_added(with_methods(input));
        if let Some(predicate) = later.into_iter().reduce(Expr::and) {
            let columns = input.columns.clone();
            input = Node { plan: Plan::Filter { input: Box::new(input), predicate }, columns };
        }
        Ok(input)
    }

    /// One of the conditions joined by AND.
    fn part(&self, written: &syntax::Expr, scope: &Scope) -> Result<Part> {
        let binder = ExprBinder { binder: self, scope, grouping: None };
        let before = self.added_count();
        if let Some((query, operand, negated)) = membership(written) {
            self.reached.take();
            match self.subquery(query, scope) {
                Ok(node) => {
                    let condition = binder.tested(&node, operand, query.span)?;
                    let condition = if negated { Expr::Not(Box::new(condition)) } else { condition };
                    return Ok(Part::Plain(condition));
                }
                Err(_) if self.is_correlated_here() => self.check_depth(query.span)?,
                Err(error) => return Err(error),
            }
            if let Ok(Some((right, on))) = self.semi_join(query, operand, negated, scope) {
                let kind = if negated { JoinKind::Anti } else { JoinKind::Semi };
                return Ok(Part::Join(Box::new((kind, right, on))));
            }
        }
        let condition = binder.condition(written)?;
        Ok(if self.added_count() == before { Part::Plain(condition) } else { Part::Later(condition) })
    }

    fn check_depth(&self, span: Span) -> Result<()> {
        if self.around.borrow().len() < CORRELATED_DEPTH {
            return Ok(());
        }
        let message =
            format!("more than {CORRELATED_DEPTH} subqueries inside each other that use columns around them");
        Err(Diagnostic::new(message, span).help("write the outer ones as JOIN").into())
    }

    fn added_count(&self) -> usize {
        self.frames.borrow().last().and_then(|f| f.as_ref().map(|f| f.count)).unwrap_or(0)
    }

    /// The right side and condition of a SEMI or ANTI join that says what EXISTS or IN does; `None` where the
    /// subquery does more than choose rows.
    fn semi_join(
        &self,
        query: &Query,
        operand: Option<&syntax::Expr>,
        negated: bool,
        scope: &Scope,
    ) -> Result<Option<(Node, JoinCondition)>> {
        let Some(select) = plain_select(query).filter(|s| !has_aggregate(s)) else { return Ok(None) };
        let (right, both) = self.inner(select, scope)?;
        let binder = ExprBinder { binder: self, scope: &both, grouping: None };
        self.frames.borrow_mut().push(None);
        let bound = (|| -> Result<Option<Option<Expr>>> {
            let filter = select.filter.as_ref().map(|f| binder.condition(f)).transpose()?;
            let Some(operand) = operand else { return Ok(Some(filter)) };
            let Some([Item::Expr { expr: member, .. }]) = select.items.as_deref() else { return Ok(None) };
            let value = ExprBinder { scope, ..binder }.scalar(operand)?;
            let pair = ((value, operand), (binder.scalar(member)?, member));
            let (l, r) = super::compare::comparable(&binder, pair.0, pair.1)?;
            let mut equal = Expr::Compare(CompareOp::Eq, Box::new(l.expr), Box::new(r.expr));
            if negated {
                // NOT IN is TRUE only if no member is equal and none may be.
                equal = Expr::Or(Box::new(equal.clone()), Box::new(Expr::IsNull(Box::new(equal))));
            }
            Ok(Some(filter.into_iter().chain([equal]).reduce(Expr::and)))
        })();
        self.frames.borrow_mut().pop();
        Ok(bound?.map(|residual| (right, JoinCondition { residual, ..JoinCondition::default() })))
    }

    /// FROM of a subquery, and its columns behind those around it: a name means the inner column first.
    fn inner(&self, select: &Select, scope: &Scope) -> Result<(Node, Scope)> {
        self.enter(scope, false);
        let inner = self.from(&select.from);
        self.leave();
        let (node, inner) = inner?;
        let outer = scope.tables.len();
        let mut both = scope.clone().beside(inner);
        both.outer = outer;
        Ok((node, both))
    }

    /// An expression with a subquery that uses columns around it: a column that is added to the input.
    pub(super) fn added(&self, binder: &ExprBinder<'_>, e: &syntax::Expr) -> Result<Bound> {
        let has_frame = self.frames.borrow().last().is_some_and(|f| f.is_some());
        if !has_frame || binder.grouping.is_some() {
            let place = if has_frame { "beside GROUP BY or a set function" } else { "in ON" };
            return Err(Diagnostic::new(
                format!("a subquery that uses columns around it cannot stand {place}"),
                e.span,
            )
            .help("give it a name first: FROM (SELECT *, (SELECT ...) AS value FROM ...) AS t")
            .into());
        }
        self.check_depth(e.span)?;
        let lookup = match &e.kind {
            // What this cannot say is evaluated row by row, and told as an error there.
            ExprKind::Scalar(query) => self.lookup(query, binder.scope).unwrap_or(None),
            _ => None,
        };
        let (added, kind, unit) = match lookup {
            Some(lookup) => {
                let (kind, unit) = (lookup.value.kind, lookup.value.unit.clone());
                (Added::Lookup(Box::new(lookup)), kind, unit)
            }
            None => self.apply(e, binder.scope)?,
        };
        let mut frames = self.frames.borrow_mut();
        let Some(Some(frame)) = frames.last_mut() else {
            return Err(Diagnostic::new("this subquery cannot stand here", e.span).into());
        };
        let index = binder.scope.columns.len() + frame.count;
        frame.count += 1;
        frame.pending.push(added);
        // Within a cast: what looks columns up by their place knows only those of FROM.
        let mut value = Typed::computed(Expr::Cast(Box::new(Expr::Column(index)), kind), kind, false);
        value.unit = unit;
        Ok(Bound::Scalar(value))
    }

    fn apply(
        &self,
        e: &syntax::Expr,
        scope: &Scope,
    ) -> Result<(Added, Type, Option<crate::model::units::Unit>)> {
        let mut with = self.with.borrow().clone();
        let probe = Binder::for_row(
            self.context,
            OuterRow { scope, values: vec![], is_probe: true, used: RefCell::default() },
            (with.clone(), self.views.borrow().clone()),
        );
        let value = ExprBinder { binder: &probe, scope: &Scope::default(), grouping: None }.scalar(e)?;
        let used: Vec<usize> =
            probe.outer.iter().flat_map(|o| o.used.borrow().iter().copied().collect::<Vec<_>>()).collect();
        with.truncate(self.with.borrow().len());
        let correlated = Correlated {
            expr: e.clone(),
            scope: scope.clone(),
            with,
            views: probe.views.take(),
            column: value.column("subquery"),
        };
        Ok((Added::Apply(Arc::new(correlated), used), value.kind, value.unit))
    }

    /// `(SELECT set functions FROM .. WHERE inner = outer AND ..)` as groups by the inner values.
    fn lookup(&self, query: &Query, scope: &Scope) -> Result<Option<Lookup>> {
        let Some(select) = plain_select(query).filter(|s| has_aggregate(s)) else { return Ok(None) };
        let Some([Item::Expr { expr: item, .. }]) = select.items.as_deref() else { return Ok(None) };
        let (node, both) = self.inner(select, scope)?;
        let width = scope.columns.len();
        let binder = ExprBinder { binder: self, scope: &both, grouping: None };
        let mut parts = vec![];
        self.frames.borrow_mut().push(None);
        let filter = select.filter.as_ref().map(|f| binder.condition(f)).transpose();
        self.frames.borrow_mut().pop();
        filter?.into_iter().for_each(|f| conjuncts(f, &mut parts));
        let mut input = node;
        let mut grouping = Grouping::default();
        let mut equal = vec![];
        for part in parts {
            if !side(&part, width).0 {
                input = push_filter(input, part.renumbered(&|i| i - width));
                continue;
            }
            let Some((outer, inner)) = equality(&part, width) else { return Ok(None) };
            let key = Expr::Column(grouping.keys.len());
            // A text that is no expression's: a key may not be used beside the set function.
            grouping.keys.push((String::new(), Typed::computed(key.clone(), Type::Null, false)));
            grouping.key_exprs.push(inner);
            equal.push((outer, key));
        }
        if equal.is_empty() {
            return Ok(None);
        }
        let mut inner_scope = Scope { outer: 0, ..both };
        inner_scope = inner_scope.after(scope.tables.len(), width);
        let binder = ExprBinder { binder: self, scope: &inner_scope, grouping: Some(&grouping) };
        self.frames.borrow_mut().push(None);
        let value = binder.scalar(item);
        self.frames.borrow_mut().pop();
        let value = value?;
        let keys = grouping.keys.len();
        let aggregates = grouping.aggregates.borrow();
        let is_count = |a: &crate::engine::plan::Aggregate| a.function == AggregateFunction::Count;
        let counts =
            (0..aggregates.len()).filter(|i| is_count(&aggregates[*i].0)).map(|i| keys + i).collect();
        drop(aggregates);
        let groups = aggregate_node(with_methods(input), grouping, None);
        Ok(Some(Lookup { groups, equal, counts, value }))
    }

    /// The input with the columns that subqueries added since.
    pub(super) fn with_added(&self, input: Node) -> Node {
        let pending = match self.frames.borrow_mut().last_mut() {
            Some(Some(frame)) => std::mem::take(&mut frame.pending),
            _ => vec![],
        };
        pending.into_iter().fold(input, |input, added| match added {
            Added::Apply(query, used) => {
                let mut columns = input.columns.clone();
                columns.push(OutColumn { is_hidden: true, ..OutColumn::plain(query.column.clone()) });
                let outer = used.into_iter().map(|i| OuterColumn { name: i, place: i }).collect();
                Node { plan: Plan::Apply { input: Box::new(input), outer, query }, columns }
            }
            Added::Lookup(lookup) => looked_up(input, *lookup),
        })
    }
}

/// `outer = inner`, the inner value over its own columns.
fn equality(condition: &Expr, width: usize) -> Option<(Expr, Expr)> {
    let Expr::Compare(CompareOp::Eq, a, b) = condition else { return None };
    let (outer, inner) = match (side(a, width), side(b, width)) {
        ((true, false), (false, true)) => (a, b),
        ((false, true), (true, false)) => (b, a),
        _ => return None,
    };
    Some(((**outer).clone(), (**inner).clone().renumbered(&|i| i - width)))
}

/// The input and the value of its group; where there is none, that of no rows.
fn looked_up(input: Node, lookup: Lookup) -> Node {
    let width = input.columns.len();
    let mut columns = input.columns.clone();
    let groups = lookup.groups.columns.len();
    let on = JoinCondition { equal: lookup.equal, ..JoinCondition::default() };
    let node = joined(JoinKind::Left, input, lookup.groups, on);
    let all = (0..width + groups).map(|i| {
        let column = Expr::Column(i);
        match i.checked_sub(width).is_some_and(|g| lookup.counts.contains(&g)) {
            true => Expr::Call(Function::Coalesce, vec![column, Expr::Literal(Literal::Int(0))]),
            false => column,
        }
    });
    let exprs = all.collect();
    let inner = node.columns.clone();
    let node = Node { plan: Plan::Project { input: Box::new(node), exprs }, columns: inner };
    let value = lookup.value.expr.clone().renumbered(&|i| i + width);
    let exprs = (0..width).map(Expr::Column).chain([value]).collect();
    columns.push(OutColumn { is_hidden: true, ..OutColumn::plain(lookup.value.column("subquery")) });
    Node { plan: Plan::Project { input: Box::new(node), exprs }, columns }
}

/// Conditions joined by AND, as written.
fn ast_conjuncts<'e>(e: &'e syntax::Expr, into: &mut Vec<&'e syntax::Expr>) {
    let mut spine = vec![];
    let mut first = e;
    while let ExprKind::Binary { op: BinaryOp::And, left, right } = &first.kind {
        spine.push(&**right);
        first = left;
    }
    into.push(first);
    into.extend(spine.into_iter().rev());
}

/// `[NOT] EXISTS (query)`, `x [NOT] IN (query)`: the query, the operand, and whether it is negated.
fn membership(e: &syntax::Expr) -> Option<(&Query, Option<&syntax::Expr>, bool)> {
    match &e.kind {
        ExprKind::Exists(query) => Some((query, None, false)),
        ExprKind::InQuery { operand, query, negated } => Some((query, Some(operand), *negated)),
        ExprKind::Unary { op: UnaryOp::Not, operand } => {
            let (query, of, negated) = membership(operand)?;
            Some((query, of, !negated))
        }
        _ => None,
    }
}

/// The SELECT of a query that only chooses and computes rows.
fn plain_select(query: &Query) -> Option<&Select> {
    if !query.with.is_empty() || !query.set_ops.is_empty() || query.limit.is_some() || query.offset.is_some()
    {
        return None;
    }
    match &query.body {
        Body::Nested(inner) => plain_select(inner),
        Body::Select(select) => {
            let is_plain = select.top.is_none() && select.group.is_empty() && select.having.is_none();
            Some(&**select).filter(|s| is_plain && !s.from.is_empty())
        }
    }
}

fn has_aggregate(select: &Select) -> bool {
    let is_set_function = |item: &Item| matches!(item, Item::Expr { expr, .. } if contains_aggregate(expr));
    select.items.iter().flatten().any(is_set_function)
}

impl ExprBinder<'_> {
    /// EXISTS or IN of a query that stands by itself.
    fn tested(&self, node: &Node, operand: Option<&syntax::Expr>, span: Span) -> Result<Expr> {
        match operand {
            None => Ok(Expr::Literal(Literal::Bool(self.binder.has_row(node)?))),
            Some(operand) => self.member_of(operand, &self.binder.members(node, span)?),
        }
    }

    /// A value or condition with a subquery; `bind` takes it as one that stands by itself.
    pub(super) fn with_subquery(
        &self,
        e: &syntax::Expr,
        bind: impl FnOnce() -> Result<Bound>,
    ) -> Result<Bound> {
        self.binder.reached.take();
        match bind() {
            Err(Error::Query(_)) if self.binder.is_correlated_here() => self.binder.added(self, e),
            other => other,
        }
    }

    /// `[NOT] EXISTS`, `[NOT] IN` anywhere.
    pub(super) fn subquery_condition(&self, e: &syntax::Expr) -> Result<Bound> {
        self.with_subquery(e, || {
            let (condition, negated) = match &e.kind {
                ExprKind::InQuery { operand, query, negated } => (self.in_query(operand, query)?, *negated),
                ExprKind::Exists(query) => {
                    (Expr::Literal(Literal::Bool(self.binder.exists(query, self.scope)?)), false)
                }
                _ => return Err(Diagnostic::new("this is not a condition", e.span).into()),
            };
            Ok(boolean(if negated { Expr::Not(Box::new(condition)) } else { condition }))
        })
    }
}

/// Names of WITH and views that a subquery sees.
pub type InSight = (Vec<Arc<Shared>>, Vec<Arc<Shared>>);
