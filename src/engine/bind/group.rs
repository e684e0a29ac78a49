//! What may stand beside GROUP BY: keys, found again wherever they are written, and set functions.

use std::cell::RefCell;

use super::expr::ExprBinder;
use super::value::Typed;
use crate::engine::expr::Expr;
use crate::engine::plan::Aggregate;
use crate::lang::syntax::{self, ExprKind};

/// The groups of a query: bound expressions may use only the keys and what is aggregated.
#[derive(Debug, Default)]
pub struct Grouping {
    /// Text form of each key's expression, and its value over the aggregate's output.
    pub keys: Vec<(String, Typed)>,
    /// Parts of the largest key as written: nothing larger can be one.
    pub parts: usize,
    /// Each key over the input.
    pub key_exprs: Vec<Expr>,
    /// Set functions met so far, with the type of their result.
    pub aggregates: RefCell<Vec<(Aggregate, Typed)>>,
}

/// Text form by which two bound expressions are the same.
pub fn fingerprint(expr: &Expr) -> String {
    format!("{expr:?}")
}

impl ExprBinder<'_> {
    /// In a grouped query: the key this expression is, if it is one.
    pub(super) fn group_key(&self, e: &syntax::Expr) -> Option<Typed> {
        let grouping = self.grouping?;
        let plain = ExprBinder { grouping: None, ..*self };
        if matches!(e.kind, ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Null)
            || !is_small(e, &mut { grouping.parts })
        {
            return None;
        }
        let value = plain.scalar(e).ok()?;
        let text = fingerprint(&value.expr);
        grouping.keys.iter().find(|k| k.0 == text).map(|k| k.1.clone())
    }
}

/// Parts of an expression, all it consists of counted.
pub fn parts_of(e: &syntax::Expr) -> usize {
    let mut left = usize::MAX;
    is_small(e, &mut left);
    usize::MAX - left
}

/// May the expression be a key: few parts, no query in it and no set function?
fn is_small(e: &syntax::Expr, parts_left: &mut usize) -> bool {
    use ExprKind::*;
    if *parts_left == 0 {
        return false;
    }
    *parts_left -= 1;
    let mut all = |list: &[&syntax::Expr]| list.iter().all(|e| is_small(e, parts_left));
    match &e.kind {
        Scalar(_) | Exists(_) | InQuery { .. } => false,
        Call { name, .. } if is_set_function(&name.text) => false,
        Call { args, .. } => all(&args.iter().collect::<Vec<_>>()),
        Unary { operand, .. } | IsNull { operand, .. } | Cast { operand, .. } => all(&[operand]),
        Binary { left, right, .. } => all(&[left, right]),
        Between { operand, low, high, .. } => all(&[operand, low, high]),
        InList { operand, items, .. } => all(&[operand]) && all(&items.iter().collect::<Vec<_>>()),
        InRange { operand, range, .. } | Overlaps { operand, range, .. } => {
            all(&[operand, &range.start]) && range.end.iter().all(|e| all(&[e]))
        }
        Match { operand, pattern, .. } => all(&[operand, pattern]),
        Case { operand, branches, otherwise } => {
            let mut both = operand.iter().chain(otherwise);
            branches.iter().all(|(c, v)| all(&[c, v])) && both.all(|e| all(&[e]))
        }
        Null | Bool(_) | Number(_) | Quantity { .. } | Time(_) | Text(_) | Variable(_) | Column(_) => true,
    }
}

/// Is it the name of a set function?
pub fn is_set_function(name: &str) -> bool {
    crate::engine::plan::AGGREGATES.iter().any(|a| a.0.eq_ignore_ascii_case(name))
}

/// Does a set function stand in the expression?
pub fn contains_aggregate(expr: &syntax::Expr) -> bool {
    use ExprKind::*;
    match &expr.kind {
        Call { name, args, .. } => is_set_function(&name.text) || args.iter().any(contains_aggregate),
        Unary { operand, .. } | IsNull { operand, .. } | Cast { operand, .. } => contains_aggregate(operand),
        Binary { left, right, .. } => contains_aggregate(left) || contains_aggregate(right),
        Between { operand, low, high, .. } => [operand, low, high].into_iter().any(|e| contains_aggregate(e)),
        InList { operand, items, .. } => contains_aggregate(operand) || items.iter().any(contains_aggregate),
        InQuery { operand, .. } | InRange { operand, .. } | Overlaps { operand, .. } => {
            contains_aggregate(operand)
        }
        Match { operand, .. } => contains_aggregate(operand),
        Case { operand, branches, otherwise } => {
            branches.iter().any(|(c, v)| contains_aggregate(c) || contains_aggregate(v))
                || operand.iter().chain(otherwise).any(|o| contains_aggregate(o))
        }
        Null
        | Bool(_)
        | Number(_)
        | Quantity { .. }
        | Time(_)
        | Text(_)
        | Variable(_)
        | Column(_)
        | Exists(_)
        | Scalar(_) => false,
    }
}
