//! Joins of SQL beyond INNER and LEFT ... ON: USING and NATURAL, whose common columns are one, RIGHT and FULL.

use std::sync::Arc;

use super::expr::ExprBinder;
use super::join::{joined, split};
use super::source::joined_tables;
use super::{Binder, read_shared, shared};
use crate::engine::expr::{Expr, Function, Literal};
use crate::engine::plan::{JoinCondition, Node, OutColumn, Plan, Role, Shared};
use crate::engine::scope::Scope;
use crate::error::{Diagnostic, Result, Span};
use crate::lang::syntax::{self, Ident, JoinKind, MatchOption, Name, Number, SetKind};
use crate::model::table::{Column, Type};

impl Binder<'_> {
    /// `JOIN ... USING (names)`: without a table's name each of them is one column, that of the side that has it.
    pub(super) fn join_using(
        &self,
        kind: JoinKind,
        left: (Node, Scope),
        right: (Node, Scope),
        names: &[Ident],
    ) -> Result<(Node, Scope)> {
        let ((left, left_scope), (right, right_scope)) = (left, right);
        let width = left.columns.len();
        let mut on = JoinCondition::default();
        let mut common = vec![];
        for ident in names {
            let name = Name { parts: vec![ident.clone()], span: ident.span };
            let e = syntax::Expr { kind: syntax::ExprKind::Column(name), span: ident.span };
            let column = |scope| ExprBinder { binder: self, scope, grouping: None }.scalar(&e);
            let (l, mut r) = (column(&left_scope)?, column(&right_scope)?);
            if l.kind != r.kind && !(l.kind.is_number() && r.kind.is_number()) {
                let (a, b) = (l.kind.phrase(), r.kind.phrase());
                let message = format!("`{}` is {a} on the left and {b} on the right", ident.text);
                return Err(Diagnostic::new(message, ident.span)
                    .help("CAST one of them, with JOIN ... ON")
                    .into());
            }
            on.equal.push((l.expr.clone(), r.expr.clone()));
            r.expr = r.expr.renumbered(&|i| i + width);
            common.push((ident, l, r));
        }
        let mut both = left_scope.clone().beside(right_scope);
        let hides_left = matches!(kind, JoinKind::Right | JoinKind::Full);
        for (_, l, r) in &common {
            for (expr, is_hidden) in [(&l.expr, hides_left), (&r.expr, kind != JoinKind::Right)] {
                both.merged.extend(column_of(expr).filter(|_| is_hidden));
            }
        }
        let (node, mut scope) = joined_tables(kind, left, right, (left_scope, both), on);
        if kind != JoinKind::Full {
            return Ok((node, scope));
        }
        let mut exprs: Vec<Expr> = (0..node.columns.len()).map(Expr::Column).collect();
        for (ident, l, r) in common {
            let of = vec![(l, ident.span), (r, ident.span)];
            let (values, kind, unit) = super::compare::one_type(
                &ExprBinder { binder: self, scope: &scope, grouping: None },
                of,
                "USING",
            )?;
            let mut column = Column::typed(&ident.text, kind);
            column.unit = unit;
            exprs.push(Expr::Call(Function::Coalesce, values));
            scope.common.push(scope.columns.len());
            scope.columns.push(OutColumn::plain(column));
        }
        let columns = scope.columns.clone();
        Ok((Node { plan: Plan::Project { input: Box::new(node), exprs }, columns }, scope))
    }
}

impl Binder<'_> {
    /// The options of a match with the values of their `$variables`.
    pub(super) fn figures(&self, options: &[MatchOption]) -> Result<Vec<MatchOption>> {
        let value = |option: &MatchOption| match option {
            MatchOption::Nearest(Some(n), span) => {
                let n = Number { text: self.figure(n)?, span: n.span };
                Ok(MatchOption::Nearest(Some(n), *span))
            }
            other => Ok(other.clone()),
        };
        options.iter().map(value).collect()
    }
}

fn column_of(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Column(index) => Some(*index),
        _ => None,
    }
}

/// The names that both sides of a NATURAL JOIN have, in the order of the left side.
pub(super) fn common_names(left: &Scope, right: &Scope, span: Span) -> Result<Vec<Ident>> {
    let has = |scope: &Scope, name: &str| {
        scope.shown().any(|i| scope.columns[i].column.name.eq_ignore_ascii_case(name))
    };
    let mut names: Vec<Ident> = vec![];
    for index in left.shown() {
        let name = &left.columns[index].column.name;
        let is_new = !names.iter().any(|n| n.text.eq_ignore_ascii_case(name));
        if is_new && has(right, name) {
            names.push(Ident { text: name.clone(), quoted: false, span });
        }
    }
    if names.is_empty() {
        return Err(Diagnostic::new("NATURAL JOIN: the tables have no column of one name", span)
            .help("say what pairs them: `JOIN ... ON a.x = b.y`")
            .into());
    }
    Ok(names)
}

/// RIGHT and FULL CROSSMATCH, which are not there.
pub(super) fn no_outer_match(kind: JoinKind, span: Span) -> Diagnostic {
    let (word, help) = match kind {
        JoinKind::Right => ("RIGHT", "swap the sides: `b LEFT CROSSMATCH a WITHIN ...`"),
        _ => ("FULL", "`a LEFT CROSSMATCH b ...` and, for the rest of b, `b ANTI CROSSMATCH a ...`"),
    };
    Diagnostic::new(format!("{word} CROSSMATCH is not part of this language"), span).help(help)
}

/// The condition with its sides changed; they have so many columns.
fn swapped(on: JoinCondition, left: usize, right: usize) -> JoinCondition {
    let place = move |i: usize| if i < left { i + right } else { i - left };
    JoinCondition {
        equal: on.equal.into_iter().map(|(l, r)| (r, l)).collect(),
        residual: on.residual.map(|e| e.renumbered(&place)),
        ..JoinCondition::default()
    }
}

/// The columns of two nodes side by side.
fn side_by_side(left: &Node, right: &Node) -> Vec<OutColumn> {
    left.columns.iter().chain(&right.columns).cloned().collect()
}

/// `left RIGHT JOIN right`: a LEFT JOIN from the other side, columns as written, rows in the order of the right side.
pub(super) fn right_join(left: Node, right: Node, on: JoinCondition) -> Node {
    let (l, r) = (left.columns.len(), right.columns.len());
    let columns = side_by_side(&left, &right);
    let input = joined(JoinKind::Left, right, left, swapped(on, l, r));
    let exprs = (r..r + l).chain(0..r).map(Expr::Column).collect();
    Node { plan: Plan::Project { input: Box::new(input), exprs }, columns }
}

/// `left FULL JOIN right`: the LEFT JOIN, then the right rows without partner. Both sides are read once.
pub(super) fn full_join(left: Node, right: Node, on: JoinCondition) -> Node {
    let (l, r) = (left.columns.len(), right.columns.len());
    let on = split(on, l);
    let columns = side_by_side(&left, &right);
    let widest = |c: &OutColumn| {
        let mut column = Column::typed(&c.column.name, c.column.kind());
        column.unit = c.column.unit.clone();
        let role = if column.kind() == Type::Null { Role::Plain } else { c.role };
        OutColumn { column, role, is_hidden: c.is_hidden }
    };
    let columns: Vec<OutColumn> = columns.iter().map(widest).collect();
    // what has no type of the language (the cell of a position) is left out
    let cast = |e: Expr, i: usize| match columns[i].column.kind() {
        Type::Null => Expr::Literal(Literal::Null),
        kind => Expr::Cast(Box::new(e), kind),
    };
    let (left, right) = (shared("the left side", left), shared("the right side", right));
    let read = |side: &Arc<Shared>| Box::new(read_shared(side.clone()));
    let pairs = Plan::Join { kind: JoinKind::Left, left: read(&left), right: read(&right), on: on.clone() };
    let pairs = Node { plan: pairs, columns: columns.clone() };
    let pairs = (pairs, (0..l + r).map(|i| cast(Expr::Column(i), i)).collect());
    let rest_columns = right.node.columns.clone();
    let on = swapped(on, l, r);
    let rest = Plan::Join { kind: JoinKind::Anti, left: read(&right), right: read(&left), on };
    let null = |i| cast(Expr::Literal(Literal::Null), i);
    let own = |i: usize| cast(Expr::Column(i), l + i);
    let rest =
        (Node { plan: rest, columns: rest_columns }, (0..l).map(null).chain((0..r).map(own)).collect());
    let [first, second] = [pairs, rest].map(|(input, exprs)| {
        Box::new(Node { plan: Plan::Project { input: Box::new(input), exprs }, columns: columns.clone() })
    });
    Node { plan: Plan::SetOp { kind: SetKind::Union, all: true, left: first, right: second }, columns }
}
