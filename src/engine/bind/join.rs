//! Where conditions act: below joins as far as that changes nothing, and by which method a join finds its pairs.

use crate::engine::expr::{ArithmeticOp, CompareOp, Expr, FUNCTIONS, Literal, Surface};
use crate::engine::plan::{
    Edge, Interval, JoinCondition, Match, MatchMode, Near, Node, OutColumn, Plan, Role,
};
use crate::lang::syntax::JoinKind;
use crate::model::table::Type;

/// The parts of a condition that all must be TRUE.
pub fn conjuncts(expr: Expr, into: &mut Vec<Expr>) {
    match expr {
        Expr::And(a, b) => {
            conjuncts(*a, into);
            conjuncts(*b, into);
        }
        other => into.push(other),
    }
}

/// Does an expression read columns of the left side, of the right side?
pub fn side(expr: &Expr, left_columns: usize) -> (bool, bool) {
    let (mut left, mut right) = (false, false);
    expr.columns(&mut |i| if i < left_columns { left = true } else { right = true });
    (left, right)
}

/// A join; conditions of ON that look at one side only act on that side before it, where that changes nothing: on
/// the right side always, on the left side unless left rows without partner stay.
pub fn joined(kind: JoinKind, left: Node, right: Node, on: JoinCondition) -> Node {
    let (mut left, mut right) = (left, right);
    let width = left.columns.len();
    let mut parts = vec![];
    on.residual.into_iter().for_each(|r| conjuncts(r, &mut parts));
    let mut on = JoinCondition { residual: None, ..on };
    for part in parts {
        match (side(&part, width), kind) {
            ((false, true), _) => right = push_one(right, part.renumbered(&|i| i - width)),
            ((_, false), JoinKind::Inner | JoinKind::Semi) => left = push_one(left, part),
            _ => on = with_condition(on, part, width),
        }
    }
    let mut columns = left.columns.clone();
    if !matches!(kind, JoinKind::Semi | JoinKind::Anti) {
        columns.extend(right.columns.iter().cloned());
    }
    Node { plan: Plan::Join { kind, left: Box::new(left), right: Box::new(right), on }, columns }
}

/// The condition with its equalities of a left and a right value told apart.
pub fn split(on: JoinCondition, width: usize) -> JoinCondition {
    let mut parts = vec![];
    on.residual.into_iter().for_each(|r| conjuncts(r, &mut parts));
    let on = JoinCondition { residual: None, ..on };
    parts.into_iter().fold(on, |on, part| with_condition(on, part, width))
}

/// Adds a condition: equalities of a left and a right value are found by hashing, the rest is tested on the pairs.
fn with_condition(mut on: JoinCondition, condition: Expr, width: usize) -> JoinCondition {
    let has_method = on.interval.is_some() || on.near.is_some();
    if let Expr::Compare(CompareOp::Eq, a, b) = &condition {
        let pair = match (side(a, width), side(b, width)) {
            ((true, false), (false, true)) => Some((a, b)),
            ((false, true), (true, false)) => Some((b, a)),
            _ => None,
        };
        if let Some((l, r)) = pair.filter(|_| !has_method) {
            on.equal.push(((**l).clone(), (**r).clone().renumbered(&|i| i - width)));
            return on;
        }
    }
    on.residual = Some(match on.residual {
        Some(all) => all.and(condition),
        None => condition,
    });
    on
}

/// Puts a condition on a node, below joins where that changes nothing: conditions on the left side alone act
/// before LEFT, SEMI, ANTI, NEAREST and ALL; nothing acts before MUTUAL; conditions on the right side only before
/// an inner JOIN, whose pairs those on both sides decide (`FROM a, b WHERE a.id = b.id`).
pub fn push_filter(node: Node, condition: Expr) -> Node {
    let mut parts = vec![];
    conjuncts(condition, &mut parts);
    parts.into_iter().fold(node, |node, part| match constant_truth(&part) {
        None => push_one(node, part),
        Some(true) => node,
        Some(false) => Node { plan: Plan::Rows(vec![]), columns: node.columns },
    })
}

/// Whether a condition without columns keeps every row or none.
fn constant_truth(condition: &Expr) -> Option<bool> {
    let mut has_columns = false;
    condition.columns(&mut |_| has_columns = true);
    if has_columns {
        return None;
    }
    Some(super::constant(condition).ok()? == Literal::Bool(true))
}

fn push_one(node: Node, condition: Expr) -> Node {
    let Node { plan, columns } = node;
    let plan = match plan {
        Plan::Join { kind, left, right, on } => {
            let width = left.columns.len();
            match (side(&condition, width), kind) {
                ((_, false), _) => Plan::Join { kind, left: Box::new(push_one(*left, condition)), right, on },
                ((false, true), JoinKind::Inner) => {
                    let condition = condition.renumbered(&|i| i - width);
                    Plan::Join { kind, left, right: Box::new(push_one(*right, condition)), on }
                }
                ((true, true), JoinKind::Inner) => {
                    Plan::Join { kind, left, right, on: with_condition(on, condition, width) }
                }
                _ => filter(
                    Node { plan: Plan::Join { kind, left, right, on }, columns: columns.clone() },
                    condition,
                ),
            }
        }
        Plan::Match(m) if m.mode != MatchMode::Mutual && !side(&condition, m.left.columns.len()).1 => {
            Plan::Match(Match { left: Box::new(push_one(*m.left, condition)), ..m })
        }
        other => filter(Node { plan: other, columns: columns.clone() }, condition),
    };
    Node { plan, columns }
}

fn filter(input: Node, condition: Expr) -> Plan {
    if let Plan::Filter { input, predicate } = input.plan {
        return Plan::Filter { input, predicate: predicate.and(condition) };
    }
    Plan::Filter { input: Box::new(input), predicate: condition }
}

/// Chooses how each join of a FROM finds its pairs, once all conditions stand where they act: a distance between
/// the sides first, as the most selective, then equalities, and with them or alone an interval. Pairs of a distance
/// come nearest first, whichever way it is written.
pub fn with_methods(node: Node) -> Node {
    let Node { plan, columns } = node;
    let boxed = |n: Box<Node>| Box::new(with_methods(*n));
    let plan = match plan {
        Plan::Filter { input, predicate } => Plan::Filter { input: boxed(input), predicate },
        Plan::Project { input, exprs } => Plan::Project { input: boxed(input), exprs },
        Plan::SetOp { kind, all, left, right } => {
            Plan::SetOp { kind, all, left: boxed(left), right: boxed(right) }
        }
        Plan::Match(m) => Plan::Match(Match { left: boxed(m.left), right: boxed(m.right), ..m }),
        Plan::Join { kind, left, right, on } => {
            return with_method(kind, (boxed(left), boxed(right)), on, columns);
        }
        other => other,
    };
    Node { plan, columns }
}

fn with_method(
    kind: JoinKind,
    sides: (Box<Node>, Box<Node>),
    on: JoinCondition,
    columns: Vec<OutColumn>,
) -> Node {
    let (left, right) = sides;
    if on.near.is_some() || on.interval.is_some() {
        return Node { plan: Plan::Join { kind, left, right, on }, columns };
    }
    let width = left.columns.len();
    let mut parts = vec![];
    on.residual.iter().for_each(|r| conjuncts(r.clone(), &mut parts));
    if let Some((place, near)) = parts.iter().enumerate().find_map(|(i, p)| Some((i, near(p, width)?))) {
        parts.remove(place);
        let shifted = |r: Expr| r.renumbered(&|i| i + width);
        let equal = on.equal.into_iter().map(|(l, r)| compared(CompareOp::Eq, l, shifted(r)));
        let residual = equal.chain(parts).reduce(Expr::and);
        return by_distance(kind, (left, right), (near, residual), columns);
    }
    let has_keys = !on.equal.is_empty();
    let interval = interval(&mut parts, (&left.columns, &right.columns), has_keys);
    let residual = parts.into_iter().reduce(Expr::and);
    let on = match interval {
        Some(interval) => {
            let interval = Some(Box::new(Interval { keys: on.equal, ..interval }));
            JoinCondition { interval, residual, ..JoinCondition::default() }
        }
        None => JoinCondition { residual, ..on },
    };
    Node { plan: Plan::Join { kind, left, right, on }, columns }
}

fn compared(op: CompareOp, left: Expr, right: Expr) -> Expr {
    Expr::Compare(op, Box::new(left), Box::new(right))
}

/// A constant radius between the positions of two catalogues is a match of all within it; else a grid finds them.
fn by_distance(
    kind: JoinKind,
    sides: (Box<Node>, Box<Node>),
    condition: (Near, Option<Expr>),
    columns: Vec<OutColumn>,
) -> Node {
    let ((left, right), (near, residual)) = (sides, condition);
    let place = |places: &[Expr; 2]| match places {
        [Expr::Column(lon), Expr::Column(lat)] => Some((*lon, *lat)),
        _ => None,
    };
    let radius_deg = match &near.radius {
        (None, Some(Expr::Literal(Literal::Float(v)))) => Some(*v),
        (None, Some(Expr::Literal(Literal::Int(v)))) => Some(*v as f64),
        _ => None,
    };
    let is_position = |node: &Node, at: (usize, usize)| {
        let role = |i: usize| node.columns[i].role;
        (role(at.0), role(at.1)) == (Role::Ra, Role::Dec)
    };
    let found = place(&near.left).zip(place(&near.right)).zip(radius_deg.filter(|r| *r >= 0.0));
    let Some(((l, r), radius_deg)) = found.filter(|((l, r), _)| {
        near.surface == Surface::Sky && is_position(&left, *l) && is_position(&right, *r)
    }) else {
        let on = JoinCondition { residual, near: Some(Box::new(near)), ..JoinCondition::default() };
        return Node { plan: Plan::Join { kind, left, right, on }, columns };
    };
    // Pairs of an inner match are filtered after it, as WHERE does; the others ask for a partner that meets it.
    let (inside, after) = if kind == JoinKind::Inner { (None, residual) } else { (residual, None) };
    let is_one_enough = matches!(kind, JoinKind::Semi | JoinKind::Anti) && inside.is_none();
    let plan = Plan::Match(Match {
        kind,
        left,
        right,
        places: [l, r],
        radius_deg,
        is_strict: near.is_strict,
        mode: if is_one_enough { MatchMode::Nearest(1) } else { MatchMode::All },
        residual: inside,
        has_match_columns: false,
        excludes_self: false,
    });
    let node = Node { plan, columns: columns.clone() };
    match after {
        Some(predicate) => Node { plan: Plan::Filter { input: Box::new(node), predicate }, columns },
        None => node,
    }
}

/// `DISTANCE(one side, other side) <= radius`, with `<` or turned round.
fn near(condition: &Expr, width: usize) -> Option<Near> {
    let Expr::Compare(op, a, b) = condition else { return None };
    let (op, distance, radius) = match (&**a, &**b) {
        (Expr::Distance { .. }, _) => (*op, a, b),
        (_, Expr::Distance { .. }) => (op.flipped(), b, a),
        _ => return None,
    };
    let is_strict = match op {
        CompareOp::Lt => true,
        CompareOp::Le => false,
        _ => return None,
    };
    let Expr::Distance { surface, places, depths } = &**distance else { return None };
    let [lon1, lat1, lon2, lat2] = &**places;
    let all = |list: &[&Expr], wanted: (bool, bool)| list.iter().all(|e| side(e, width) == wanted);
    let (first, second) = (vec![lon1, lat1], vec![lon2, lat2]);
    let is_turned = match () {
        () if all(&first, (true, false)) && all(&second, (false, true)) => false,
        () if all(&first, (false, true)) && all(&second, (true, false)) => true,
        () => return None,
    };
    let (l, r) = if is_turned { (second, first) } else { (first, second) };
    let of_right = |e: &Expr| e.clone().renumbered(&|i| i.saturating_sub(width));
    let depths = match depths.as_deref() {
        None => None,
        Some((d1, d2)) => {
            let (l, r) = if is_turned { (d2, d1) } else { (d1, d2) };
            if side(l, width).1 || side(r, width).0 {
                return None;
            }
            Some((l.clone(), of_right(r)))
        }
    };
    Some(Near {
        surface: *surface,
        left: [l[0].clone(), l[1].clone()],
        right: [of_right(r[0]), of_right(r[1])],
        depths,
        radius: radius_of(radius, width)?,
        is_strict,
    })
}

/// A radius as the sum of a value of the left and one of the right row.
fn radius_of(radius: &Expr, width: usize) -> Option<(Option<Expr>, Option<Expr>)> {
    let of_right = |e: &Expr| e.clone().renumbered(&|i| i - width);
    match (side(radius, width), radius) {
        ((true, false), _) => Some((Some(radius.clone()), None)),
        ((false, _), _) => Some((None, Some(of_right(radius)))),
        (_, Expr::Arithmetic(ArithmeticOp::Add, a, b)) => match (side(a, width), side(b, width)) {
            ((_, false), (false, _)) => Some((Some((**a).clone()), Some(of_right(b)))),
            ((false, _), (_, false)) => Some((Some((**b).clone()), Some(of_right(a)))),
            _ => None,
        },
        _ => None,
    }
}

/// Takes the bounds of an interval out of the conditions: with equal keys two of them, else as many as there are.
fn interval(
    parts: &mut Vec<Expr>,
    columns: (&[OutColumn], &[OutColumn]),
    has_keys: bool,
) -> Option<Interval> {
    let mut interval = Interval::default();
    let mut used = vec![];
    for (place, part) in parts.iter().enumerate() {
        let Some((is_below, edge)) = edge(part, columns) else { continue };
        let slot = if is_below { &mut interval.below } else { &mut interval.above };
        if slot.is_none() {
            *slot = Some(edge);
            used.push(place);
        }
    }
    if used.is_empty() || (has_keys && used.len() < 2) {
        return None;
    }
    used.into_iter().rev().for_each(|place| drop(parts.remove(place)));
    Some(interval)
}

/// `right < left` (TRUE: below) or `right > left`, of numbers or times.
fn edge(condition: &Expr, columns: (&[OutColumn], &[OutColumn])) -> Option<(bool, Edge)> {
    let Expr::Compare(op, a, b) = condition else { return None };
    let width = columns.0.len();
    let (op, l, r) = match (side(a, width), side(b, width)) {
        ((true, false), (false, true)) => (op.flipped(), a, b),
        ((false, true), (true, false)) => (*op, b, a),
        _ => return None,
    };
    let (is_below, is_strict) = match op {
        CompareOp::Lt => (true, true),
        CompareOp::Le => (true, false),
        CompareOp::Gt => (false, true),
        CompareOp::Ge => (false, false),
        _ => return None,
    };
    let right = (**r).clone().renumbered(&|i| i - width);
    let has_order = is_numeric(l, columns.0) && is_numeric(&right, columns.1);
    has_order.then(|| (is_below, Edge { left: (**l).clone(), right, is_strict }))
}

/// Is the value surely a number, a time or a duration?
fn is_numeric(expr: &Expr, columns: &[OutColumn]) -> bool {
    let is_number = |kind: Type| matches!(kind, Type::Int | Type::Float | Type::Time | Type::Duration);
    match expr {
        Expr::Column(i) => columns.get(*i).is_some_and(|c| is_number(c.column.kind())),
        Expr::Literal(value) => is_number(value.kind()),
        Expr::Cast(_, kind) => is_number(*kind),
        Expr::Widen(_) | Expr::Arithmetic(..) | Expr::Negate(_) | Expr::Distance { .. } => true,
        Expr::Case(branches, otherwise) => {
            branches.iter().all(|b| is_numeric(&b.1, columns))
                && otherwise.iter().all(|e| is_numeric(e, columns))
        }
        Expr::Call(function, args) => {
            let result = FUNCTIONS.iter().find(|f| f.function == *function).map(|f| f.result);
            match result {
                Some(Type::Null) => args.iter().all(|a| is_numeric(a, columns)),
                Some(kind) => is_number(kind),
                None => false,
            }
        }
        _ => false,
    }
}

/// The catalogue whose rows, each at most once, a plan gives.
pub fn base_table(node: &Node) -> Option<&str> {
    match &node.plan {
        Plan::Scan(scan) => node.role(Role::Tie).map(|_| scan.table.as_str()),
        Plan::Shared(shared) => base_table(&shared.node),
        Plan::Filter { input, .. } | Plan::Project { input, .. } => base_table(input),
        Plan::Sort { input, .. } | Plan::Limit { input, .. } => base_table(input),
        Plan::Match(m) if matches!(m.kind, JoinKind::Semi | JoinKind::Anti) => base_table(&m.left),
        Plan::Join { kind: JoinKind::Semi | JoinKind::Anti, left, .. } => base_table(left),
        _ => None,
    }
}
