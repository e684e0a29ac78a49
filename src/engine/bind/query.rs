//! SELECT: from sources to output columns, with groups, order and limits.

use super::expr::ExprBinder;
use super::group::{Grouping, contains_aggregate, fingerprint, parts_of};
use super::output::{Output, all_columns, distinguish, output_name, owner, star_columns, with_position};
use super::subquery::Frame;
use super::value::{Bound, Typed};
use super::{Binder, arith};
use crate::engine::expr::{Expr, Literal};
use crate::engine::plan::{Node, OutColumn, Plan, Role, SortKey};
use crate::engine::scope::Scope;
use crate::error::{Diagnostic, Error, Result};
use crate::lang::syntax::{self, Body, Count, ExprKind, Item, OrderKey, Query, Select, SetKind, SetOp};
use crate::model::table::Column;

/// Most set operators of a query, and most tables of a FROM: each makes the plan one step deeper.
pub const BRANCHES: usize = 256;

impl Binder<'_> {
    /// A whole query.
    pub fn query(&self, query: &Query) -> Result<Node> {
        let depth = self.with.borrow().len();
        for (name, with) in &query.with {
            let node = self.query(with)?;
            self.with.borrow_mut().push(super::shared(&name.text, node));
        }
        let result = self.query_body(query);
        // Names of WITH end with their query.
        self.with.borrow_mut().truncate(depth);
        result
    }

    fn query_body(&self, query: &Query) -> Result<Node> {
        if let Some(op) = query.set_ops.get(BRANCHES) {
            let message = format!("more than {BRANCHES} set operators in one query");
            return Err(Diagnostic::new(message, op.span)
                .help("IMPORT ... APPEND collects rows in one table")
                .into());
        }
        let limit = self.count(query.limit.as_ref())?;
        let offset = self.count(query.offset.as_ref())?.unwrap_or(0);
        let top = limit.map(|n| n.saturating_add(offset));
        let node = match (&query.body, query.set_ops.is_empty()) {
            (Body::Select(select), true) => self.select(select, &query.order, top)?,
            (body, _) => {
                let first = shown(self.body(body)?);
                let all = self.set_ops(first, &query.set_ops)?;
                self.order_output(all, &query.order, top)?
            }
        };
        Ok(limited(node, offset, limit))
    }

    fn count(&self, count: Option<&Count>) -> Result<Option<usize>> {
        let Some(count) = count else { return Ok(None) };
        let (value, span) = match count {
            Count::Number(n) => (super::expr::number(&self.figure(n)?, n.span)?, n.span),
            Count::Variable(name) if !self.context.session.variables.contains_key(&name.text) => {
                return Err(super::no_value(&name.text, "10", name.span).into());
            }
            Count::Variable(name) => match self.variable(&name.text, name.span)? {
                Bound::Scalar(t) => (t.expr.as_literal().cloned().unwrap_or(Literal::Null), name.span),
                _ => (Literal::Null, name.span),
            },
        };
        match value {
            Literal::Int(n) if n >= 0 => Ok(Some(usize::try_from(n).unwrap_or(usize::MAX))),
            _ => Err(Diagnostic::new("expected a whole number of rows", span).into()),
        }
    }

    fn body(&self, body: &Body) -> Result<Node> {
        match body {
            Body::Select(select) => self.select(select, &[], None),
            Body::Nested(query) => self.query(query),
        }
    }

    /// Set operators from the left; INTERSECT binds tighter than UNION and EXCEPT, as in SQL.
    fn set_ops(&self, first: Node, ops: &[SetOp]) -> Result<Node> {
        let (mut all, mut last): (Option<(Node, &SetOp)>, Node) = (None, first);
        for op in ops {
            let right = shown(self.body(&op.body)?);
            if op.kind == SetKind::Intersect {
                last = self.set_op(last, op, right)?;
                continue;
            }
            let left = match all {
                Some((left, before)) => self.set_op(left, before, last)?,
                None => last,
            };
            (all, last) = (Some((left, op)), right);
        }
        match all {
            Some((left, op)) => self.set_op(left, op, last),
            None => Ok(last),
        }
    }

    fn set_op(&self, left: Node, op: &SetOp, right: Node) -> Result<Node> {
        if left.columns.len() != right.columns.len() {
            let message = format!(
                "the left side has {} columns, the right side {}",
                left.columns.len(),
                right.columns.len()
            );
            return Err(Diagnostic::new(message, op.span).into());
        }
        let mut columns = vec![];
        for (l, r) in left.columns.iter().zip(&right.columns) {
            let values = [typed(0, l), typed(0, r)].map(|v| (v, op.span));
            let kind = super::compare::common_type(&values, "a set operator")?;
            let mut column = Column::typed(&l.column.name, kind);
            column.unit =
                l.column.unit.clone().filter(|u| r.column.unit.as_ref().is_none_or(|other| other == u));
            if column.unit != l.column.unit {
                self.notice(format!(
                    "`{}` has two units here: its numbers stay as they are stored",
                    l.column.name
                ));
            }
            columns.push(OutColumn::plain(column));
        }
        let same_type = |node: Node| {
            let places = node.columns.iter().enumerate().map(|(i, c)| typed(i, c));
            let exprs =
                places.zip(&columns).map(|(v, c)| super::compare::as_kind(v, c.column.kind())).collect();
            Box::new(Node { plan: Plan::Project { input: Box::new(node), exprs }, columns: columns.clone() })
        };
        let (left, right) = (same_type(left), same_type(right));
        Ok(Node { plan: Plan::SetOp { kind: op.kind, all: op.all, left, right }, columns })
    }

    /// ORDER BY after a set operator: output names and positions only.
    fn order_output(&self, node: Node, order: &[OrderKey], top: Option<usize>) -> Result<Node> {
        if order.is_empty() {
            return Ok(node);
        }
        let scope = Scope::of("the result", node.columns.clone());
        let binder = ExprBinder { binder: self, scope: &scope, grouping: None };
        let mut keys = vec![];
        for key in order {
            let expr = match position(&key.expr, node.columns.len())? {
                Some(index) => Expr::Column(index),
                None => binder.scalar(&key.expr)?.expr,
            };
            keys.push(sort_key(key, expr));
        }
        Ok(sorted(node, keys, top))
    }

    fn select(&self, select: &Select, order: &[OrderKey], top: Option<usize>) -> Result<Node> {
        self.frames.borrow_mut().push(Some(Frame::default()));
        let node = self.selected(select, order, top);
        self.frames.borrow_mut().pop();
        node
    }

    fn selected(&self, select: &Select, order: &[OrderKey], top: Option<usize>) -> Result<Node> {
        let (input, scope) = self.from(&select.from)?;
        let input = self.filtered(input, &scope, select.filter.as_ref())?;
        let grouped = !select.group.is_empty() || select.having.is_some() || has_aggregate(select, order);
        let grouping = if grouped { Some(self.grouping(select, &scope)?) } else { None };
        let binder = ExprBinder { binder: self, scope: &scope, grouping: grouping.as_ref() };
        let outputs = self.outputs(select, &binder)?;
        let having = select.having.as_ref().map(|h| binder.condition(h)).transpose()?;
        let mut keys = vec![];
        for key in order {
            let expr = self.order_expr(key, &outputs, &binder, select.distinct)?;
            keys.push(sort_key(key, expr));
        }
        let mut input = self.with_added(input);
        if let Some(grouping) = grouping {
            input = aggregate_node(input, grouping, having);
        }
        let limit = self.top(select)?;
        let wanted = top.into_iter().chain(limit).min().filter(|_| !select.distinct);
        if !keys.is_empty() {
            input = sorted(input, keys, wanted);
        }
        let mut node = project(input, outputs);
        if select.distinct {
            node = shown(node);
            let columns = node.columns.clone();
            node = Node { plan: Plan::Distinct(Box::new(node)), columns };
        }
        Ok(limited(node, 0, limit))
    }

    fn top(&self, select: &Select) -> Result<Option<usize>> {
        select.top.as_ref().map_or(Ok(None), |n| self.count(Some(&Count::Number(n.clone()))))
    }

    fn grouping(&self, select: &Select, scope: &Scope) -> Result<Grouping> {
        let binder = ExprBinder { binder: self, scope, grouping: None };
        let mut grouping = Grouping::default();
        for (index, expr) in select.group.iter().enumerate() {
            let written = self.named_output(select, expr, scope).unwrap_or(expr);
            let value = binder.scalar(written)?;
            grouping.parts = grouping.parts.max(parts_of(written));
            let text = fingerprint(&value.expr);
            let key = Typed { expr: Expr::Column(index), is_constant: false, ..value.clone() };
            grouping.keys.push((text, key));
            grouping.key_exprs.push(value.expr);
        }
        Ok(grouping)
    }

    /// GROUP BY a name of SELECT that is no column of the input.
    fn named_output<'s>(
        &self,
        select: &'s Select,
        expr: &syntax::Expr,
        scope: &Scope,
    ) -> Option<&'s syntax::Expr> {
        let ExprKind::Column(name) = &expr.kind else { return None };
        if scope.resolve(name).is_ok() || name.parts.len() != 1 {
            return None;
        }
        select.items.as_ref()?.iter().find_map(|item| match item {
            Item::Expr { expr, alias: Some(alias) }
                if alias.text.eq_ignore_ascii_case(&name.parts[0].text) =>
            {
                Some(expr)
            }
            _ => None,
        })
    }

    fn outputs(&self, select: &Select, binder: &ExprBinder<'_>) -> Result<Vec<Output>> {
        let mut outputs = vec![];
        let star = [Item::Star(select.span)];
        let items = select.items.as_deref().unwrap_or(&star);
        for item in items {
            match item {
                Item::Star(span) | Item::QualifiedStar(syntax::Name { span, .. })
                    if binder.grouping.is_some() =>
                {
                    return Err(
                        Diagnostic::new("`*` cannot be used with GROUP BY or a set function", *span).into()
                    );
                }
                Item::Star(span) => {
                    if binder.scope.columns.is_empty() {
                        return Err(Diagnostic::new("`*` needs a FROM", *span).into());
                    }
                    outputs.extend(all_columns(binder.scope));
                }
                Item::QualifiedStar(name) => outputs.extend(self.qualified_star(name, binder.scope)?),
                Item::Expr { expr, alias } => {
                    let bound = binder.bind(expr)?;
                    let value = bound.into_scalar(expr.span)?;
                    let role = match &value.expr {
                        Expr::Column(i) if binder.grouping.is_none() => binder.scope.columns[*i].role,
                        _ => Role::Plain,
                    };
                    let name =
                        alias.as_ref().map_or_else(|| output_name(expr, &value, binder), |a| a.text.clone());
                    let owner = if alias.is_none() { owner(expr, binder.scope) } else { None };
                    outputs.push(Output { name, value, role, is_hidden: false, owner });
                }
            }
        }
        distinguish(&mut outputs);
        if binder.grouping.is_none() && !select.distinct {
            with_position(&mut outputs, binder.scope);
        }
        Ok(outputs)
    }

    fn qualified_star(&self, name: &syntax::Name, scope: &Scope) -> Result<Vec<Output>> {
        let alias = name.parts.last().ok_or_else(|| Diagnostic::new("a name is missing", name.span))?;
        let table = scope.table(alias).ok_or_else(|| {
            let list: Vec<&str> = scope.tables.iter().map(|t| t.alias.as_str()).collect();
            Diagnostic::new(format!("no table `{}` in this query", alias.text), name.span)
                .help(format!("its tables: {}", list.join(", ")))
        })?;
        Ok(star_columns(scope, table.start..table.end))
    }

    fn order_expr(
        &self,
        key: &OrderKey,
        outputs: &[Output],
        binder: &ExprBinder<'_>,
        distinct: bool,
    ) -> Result<Expr> {
        let shown: Vec<&Output> = outputs.iter().filter(|o| !o.is_hidden).collect();
        if let Some(index) = position(&key.expr, shown.len())? {
            return Ok(shown[index].value.expr.clone());
        }
        if let ExprKind::Column(name) = &key.expr.kind
            && let [one] = name.parts.as_slice()
            && let Some(output) = shown.iter().find(|o| o.name.eq_ignore_ascii_case(&one.text))
        {
            return Ok(output.value.expr.clone());
        }
        let expr = binder.scalar(&key.expr)?.expr;
        if distinct && !shown.iter().any(|o| fingerprint(&o.value.expr) == fingerprint(&expr)) {
            return Err(
                Diagnostic::new("with DISTINCT, ORDER BY uses columns of SELECT", key.expr.span).into()
            );
        }
        Ok(expr)
    }
}

/// The value of a column that stands at `index`.
pub fn typed(index: usize, column: &OutColumn) -> Typed {
    Typed {
        expr: Expr::Column(index),
        kind: column.column.kind(),
        unit: column.column.unit.clone(),
        is_constant: false,
        role: column.role,
    }
}

fn project(input: Node, outputs: Vec<Output>) -> Node {
    let columns: Vec<OutColumn> = outputs
        .iter()
        .map(|o| {
            let mut column = o.value.column(&o.name);
            if let Expr::Column(i) = &o.value.expr
                && let Some(source) = input.columns.get(*i)
            {
                column.data_type = source.column.data_type.clone();
                column.ucd = source.column.ucd.clone();
                column.description = source.column.description.clone();
            }
            OutColumn { column, role: o.role, is_hidden: o.is_hidden }
        })
        .collect();
    // A new name is a projection too: sorts and filters pass on the names of their input.
    let is_same = |(i, o): (usize, &Output)| {
        matches!(o.value.expr, Expr::Column(k) if k == i) && o.name == input.columns[i].column.name
    };
    let is_identity = outputs.len() == input.columns.len() && outputs.iter().enumerate().all(is_same);
    if is_identity {
        return Node { plan: input.plan, columns };
    }
    let exprs = outputs.into_iter().map(|o| o.value.expr).collect();
    Node { plan: Plan::Project { input: Box::new(input), exprs }, columns }
}

/// Only the shown columns.
pub fn shown(node: Node) -> Node {
    if node.columns.iter().all(|c| !c.is_hidden) {
        return node;
    }
    let keep: Vec<usize> = (0..node.columns.len()).filter(|&i| !node.columns[i].is_hidden).collect();
    let columns = keep.iter().map(|&i| node.columns[i].clone()).collect();
    if let Plan::Project { input, exprs } = node.plan {
        let exprs =
            exprs.into_iter().zip(&node.columns).filter(|(_, c)| !c.is_hidden).map(|(e, _)| e).collect();
        return Node { plan: Plan::Project { input, exprs }, columns };
    }
    let exprs = keep.into_iter().map(Expr::Column).collect();
    Node { plan: Plan::Project { input: Box::new(node), exprs }, columns }
}

/// One row a group.
pub fn aggregate_node(input: Node, grouping: Grouping, having: Option<Expr>) -> Node {
    let mut columns = vec![];
    for (index, (_, value)) in grouping.keys.iter().enumerate() {
        let mut column = value.column(&format!("key{index}"));
        if let Expr::Column(i) = &grouping.key_exprs[index] {
            column.data_type = input.columns[*i].column.data_type.clone();
        }
        columns.push(OutColumn::plain(column));
    }
    let mut aggregates = vec![];
    for (index, (aggregate, value)) in grouping.aggregates.into_inner().into_iter().enumerate() {
        columns.push(OutColumn::plain(value.column(&format!("aggregate{index}"))));
        aggregates.push(aggregate);
    }
    let plan = Plan::Aggregate { input: Box::new(input), keys: grouping.key_exprs, aggregates };
    let node = Node { plan, columns };
    match having {
        Some(predicate) => {
            let columns = node.columns.clone();
            Node { plan: Plan::Filter { input: Box::new(node), predicate }, columns }
        }
        None => node,
    }
}

fn sort_key(key: &OrderKey, expr: Expr) -> SortKey {
    SortKey { expr, descending: key.descending, nulls_first: key.nulls_first }
}

fn sorted(input: Node, keys: Vec<SortKey>, top: Option<usize>) -> Node {
    let columns = input.columns.clone();
    Node { plan: Plan::Sort { input: Box::new(input), keys, top }, columns }
}

fn limited(node: Node, offset: usize, count: Option<usize>) -> Node {
    if offset == 0 && count.is_none() {
        return node;
    }
    let columns = node.columns.clone();
    Node { plan: Plan::Limit { input: Box::new(node), offset, count }, columns }
}

/// `ORDER BY 2`: the place of an output column.
fn position(expr: &syntax::Expr, columns: usize) -> Result<Option<usize>, Diagnostic> {
    let ExprKind::Number(text) = &expr.kind else { return Ok(None) };
    match text.parse::<usize>() {
        Ok(n) if (1..=columns).contains(&n) => Ok(Some(n - 1)),
        _ => Err(Diagnostic::new(format!("there is no output column {text}"), expr.span)
            .help(format!("the columns are 1 to {columns}"))),
    }
}

/// Does SELECT or ORDER BY use a set function?
fn has_aggregate(select: &Select, order: &[OrderKey]) -> bool {
    let items = select.items.iter().flatten().filter_map(|item| match item {
        Item::Expr { expr, .. } => Some(expr),
        _ => None,
    });
    items.chain(order.iter().map(|k| &k.expr)).any(contains_aggregate)
}

/// A constant duration in ns.
pub fn duration_ns(value: &Typed, span: crate::error::Span, words: (&str, &str)) -> Result<i64, Error> {
    let seconds = arith::measure(value, span, crate::model::units::Dimension::Duration, words)?;
    Ok((seconds * 1e9).round() as i64)
}
