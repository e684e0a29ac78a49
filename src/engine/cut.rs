//! The span that COPY ... FORMAT mseed cuts to: what the conditions of a query on the start and end of `segments`
//! ask for becomes `starttime` and `endtime` of its rows. `span OVERLAPS a .. b` is `starttime < b AND endtime > a`,
//! so both spellings cut.

use std::sync::Arc;

use super::expr::{CompareOp, Expr};
use super::plan::{JoinCondition, Node, Plan};
use crate::lang::syntax::JoinKind;

/// Where a node has the start and the end of a segment.
#[derive(Clone, Copy)]
struct Ends {
    start: usize,
    end: usize,
}

/// Narrows `starttime` and `endtime` of the segments of a bound plan to the conditions that stand over them, in
/// filters and in inner joins. Only conditions in a row with AND count.
pub fn narrow(node: &mut Node) {
    ends(node);
}

/// Narrows what lies below a node; where the ends of a segment stand in its columns.
fn ends(node: &mut Node) -> Option<Ends> {
    match &mut node.plan {
        Plan::Scan(scan) if scan.table == "segments" => {
            let place = |name: &str| node.columns.iter().position(|c| c.column.name == name);
            Some(Ends { start: place("starttime")?, end: place("endtime")? })
        }
        Plan::Filter { input, predicate } => {
            let ends = ends(input)?;
            let mut bounds = Bounds::default();
            bounds.add(predicate, ends);
            bounds.narrow(node, ends);
            Some(ends)
        }
        Plan::Join { kind, left, right, on } => {
            let width = left.columns.len();
            let found = (ends(left), ends(right));
            let shifted = |e: Ends| Ends { start: e.start + width, end: e.end + width };
            let (JoinKind::Inner, Some(ends)) = (*kind, found.0.or(found.1.map(shifted))) else {
                return found.0;
            };
            let bounds = of_join(on, width, ends);
            bounds.narrow(node, ends);
            Some(ends)
        }
        Plan::Project { input, exprs } => {
            let ends = ends(input)?;
            let place =
                |column: usize| exprs.iter().position(|e| matches!(e, Expr::Column(c) if *c == column));
            Some(Ends { start: place(ends.start)?, end: place(ends.end)? })
        }
        Plan::Sort { input, .. } | Plan::Limit { input, .. } => ends(input),
        Plan::Distinct(input) => ends(input),
        Plan::SetOp { left, right, .. } => {
            ends(left);
            ends(right);
            None
        }
        Plan::Shared(shared) => Arc::get_mut(shared).and_then(|shared| ends(&mut shared.node)),
        _ => None,
    }
}

/// What the conditions say.
#[derive(Default)]
struct Bounds {
    /// The end of the segment lies after these.
    after: Vec<Expr>,
    /// The start of the segment lies before these.
    before: Vec<Expr>,
}

impl Bounds {
    /// Takes the conditions that all must hold.
    fn add(&mut self, predicate: &Expr, ends: Ends) {
        match predicate {
            Expr::And(a, b) => {
                self.add(a, ends);
                self.add(b, ends);
            }
            Expr::Compare(CompareOp::Lt | CompareOp::Le, a, b) => self.less(a, b, ends),
            Expr::Compare(CompareOp::Gt | CompareOp::Ge, a, b) => self.less(b, a, ends),
            _ => {}
        }
    }

    /// `low < high`
    fn less(&mut self, low: &Expr, high: &Expr, ends: Ends) {
        let is = |e: &Expr, column: usize| matches!(e, Expr::Column(c) if *c == column);
        let is_end = |e: &Expr| is(e, ends.start) || is(e, ends.end);
        if is(high, ends.end) && !is_end(low) {
            self.after.push(low.clone());
        } else if is(low, ends.start) && !is_end(high) {
            self.before.push(high.clone());
        }
    }

    /// Puts a projection over the node that yields the narrowed ends.
    fn narrow(self, node: &mut Node, ends: Ends) {
        if self.after.is_empty() && self.before.is_empty() {
            return;
        }
        let mut exprs: Vec<Expr> = (0..node.columns.len()).map(Expr::Column).collect();
        let within = |value: Expr, op: CompareOp, bound: Expr| {
            let beyond = Expr::Compare(op, Box::new(value.clone()), Box::new(bound.clone()));
            Expr::Case(vec![(beyond, bound)], Some(Box::new(value)))
        };
        let fold = |column: usize, op: CompareOp, bounds: Vec<Expr>| {
            bounds.into_iter().fold(Expr::Column(column), |value, bound| within(value, op, bound))
        };
        exprs[ends.start] = fold(ends.start, CompareOp::Lt, self.after);
        exprs[ends.end] = fold(ends.end, CompareOp::Gt, self.before);
        let columns = node.columns.clone();
        let below = std::mem::replace(node, Node { plan: Plan::One, columns: vec![] });
        *node = Node { plan: Plan::Project { input: Box::new(below), exprs }, columns };
    }
}

/// The conditions of an inner join, over its left columns and then the right ones.
fn of_join(on: &JoinCondition, width: usize, ends: Ends) -> Bounds {
    let mut bounds = Bounds::default();
    if let Some(residual) = &on.residual {
        bounds.add(residual, ends);
    }
    if let Some(interval) = &on.interval {
        for (edge, is_below) in [(&interval.below, true), (&interval.above, false)] {
            let Some(edge) = edge else { continue };
            let (left, right) = (edge.left.clone(), edge.right.clone().renumbered(&|i| i + width));
            match is_below {
                true => bounds.less(&right, &left, ends),
                false => bounds.less(&left, &right, ends),
            }
        }
    }
    bounds
}
