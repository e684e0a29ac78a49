//! Output columns of SELECT: what `*` stands for, and how each is called.

use std::collections::HashMap;

use super::expr::ExprBinder;
use super::query::typed;
use super::value::Typed;
use crate::engine::expr::Expr;
use crate::engine::plan::Role;
use crate::engine::scope::{Resolved, Scope, ScopeTable};
use crate::lang::syntax::{self, ExprKind};

/// An output column of SELECT before projection.
pub struct Output {
    /// As it is shown.
    pub name: String,
    /// Over the input.
    pub value: Typed,
    /// What it is for.
    pub role: Role,
    /// Goes along unseen.
    pub is_hidden: bool,
    /// Table of FROM it is a column of: tells two of one name apart.
    pub owner: Option<String>,
}

/// The columns of a range of the scope.
pub fn star_columns(scope: &Scope, range: std::ops::Range<usize>) -> Vec<Output> {
    let output = |i: usize| {
        let column = &scope.columns[i];
        let owner = scope.owner(i).map(str::to_owned);
        let name = column.column.name.clone();
        Output { name, value: typed(i, column), role: column.role, is_hidden: column.is_hidden, owner }
    };
    range.map(output).collect()
}

/// What `*` stands for: the columns that both sides of a FULL JOIN share, then those of each table that no other
/// stands for.
pub fn all_columns(scope: &Scope) -> Vec<Output> {
    let own = |i: &usize| !scope.common.contains(i) && !scope.merged.contains(i);
    let places = scope.common.iter().copied().chain((0..scope.columns.len()).filter(own));
    places.flat_map(|i| star_columns(scope, i..i + 1)).collect()
}

/// The table of a column that SELECT names.
pub fn owner(expr: &syntax::Expr, scope: &Scope) -> Option<String> {
    let ExprKind::Column(name) = &expr.kind else { return None };
    match scope.resolve(name).ok()? {
        Resolved::Column(index) => scope.owner(index).map(str::to_owned),
        _ => None,
    }
}

/// Gives a query its position. Where a column named `ra` or `dec` is computed, the columns of these two names are it
/// themselves; one of them alone, or in another unit than degrees, leaves none. Else it is that of the first table whose position columns both are
/// selected, else of the first table in sight: its hidden columns go along, whatever is selected.
pub fn with_position(outputs: &mut Vec<Output>, scope: &Scope) {
    if outputs.iter().any(|o| o.role == Role::Ra) {
        return;
    }
    let is_new = |o: &Output, name: &str| {
        let is_own = matches!(&o.value.expr, Expr::Column(i) if scope.columns[*i].column.name == o.name);
        o.name.eq_ignore_ascii_case(name) && o.role == Role::Plain && !is_own
    };
    if outputs.iter().any(|o| is_new(o, "ra") || is_new(o, "dec")) {
        let place = |name: &str| {
            let value = |o: &&Output| {
                o.value.unit.as_ref().is_none_or(|u| u.name == "deg") && o.value.kind.is_number()
            };
            outputs.iter().position(|o| o.name.eq_ignore_ascii_case(name) && value(&o))
        };
        if let Some((ra, dec)) = place("ra").zip(place("dec")) {
            (outputs[ra].role, outputs[dec].role) = (Role::Ra, Role::Dec);
        }
        return;
    }
    let has = |table: &ScopeTable, role: Role| {
        let in_table =
            |o: &Output| matches!(o.value.expr, Expr::Column(i) if (table.start..table.end).contains(&i));
        outputs.iter().any(|o| o.role == role && in_table(o))
    };
    let both = |table: &&ScopeTable| has(table, Role::RaColumn) && has(table, Role::DecColumn);
    let whole = 0..scope.columns.len();
    let range = scope.tables.iter().find(both).map_or(whole, |table| table.start..table.end);
    for role in [Role::Ra, Role::Dec, Role::Cell, Role::Tie] {
        let is_it = |i: &usize| scope.columns[*i].role == role && scope.columns[*i].is_hidden;
        if let Some(i) = range.clone().find(is_it) {
            outputs.extend(star_columns(scope, i..i + 1));
        }
    }
}

/// The name of an expression without alias: its column, its function, else `expr`.
pub fn output_name(expr: &syntax::Expr, value: &Typed, binder: &ExprBinder<'_>) -> String {
    match &expr.kind {
        ExprKind::Column(name) => {
            let last = name.parts.last().map_or("", |p| &p.text);
            match (&value.expr, binder.grouping) {
                (Expr::Column(i), None) => {
                    let own = &binder.scope.columns[*i].column.name;
                    if own.eq_ignore_ascii_case(last) { own.clone() } else { last.to_owned() }
                }
                _ => last.to_owned(),
            }
        }
        ExprKind::Call { name, .. } => name.text.to_ascii_lowercase(),
        ExprKind::Cast { operand, .. } => output_name(operand, value, binder),
        _ => "expr".to_owned(),
    }
}

/// Columns of one name from several tables become `name_alias`; what is still equal gets a number: `count`, `count_2`.
pub fn distinguish(outputs: &mut [Output]) {
    let mut owners: HashMap<String, Vec<Option<String>>> = HashMap::new();
    for output in outputs.iter().filter(|o| !o.is_hidden) {
        let list = owners.entry(output.name.to_ascii_lowercase()).or_default();
        if !list.contains(&output.owner) {
            list.push(output.owner.clone());
        }
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    for output in outputs.iter_mut().filter(|o| !o.is_hidden) {
        let is_shared = owners.get(&output.name.to_ascii_lowercase()).is_some_and(|list| list.len() > 1);
        if let (true, Some(owner)) = (is_shared, &output.owner) {
            output.name = format!("{}_{owner}", output.name);
        }
        let count = seen.entry(output.name.to_ascii_lowercase()).or_insert(0);
        *count += 1;
        if *count > 1 {
            output.name = format!("{}_{count}", output.name);
        }
    }
}
