//! What a plan does not need is not read: columns nobody uses, cells outside a region, zones outside a range. The
//! filters stay; the hints only let a scan leave out rows that they would drop.

use std::sync::Arc;

use super::bind::join::conjuncts;
use super::expr::{Area, CompareOp, Expr, Literal, Surface};
use super::plan::{BandPlan, JoinCondition, Match, Node, OutColumn, Plan, Role, Scan};
use super::tables::CHANNEL_COLUMNS;
use crate::geometry::region::Region;
use crate::lang::syntax::JoinKind;

/// The plan with hints in its scans, reading only what it needs.
pub fn optimize(node: Node) -> Node {
    let all = vec![true; node.columns.len()];
    prune(with_hints(node), &all).0
}

/// Gives the scan right below a filter what the filter knows.
fn with_hints(node: Node) -> Node {
    let Node { plan, columns } = node;
    let boxed = |n: Box<Node>| Box::new(with_hints(*n));
    let plan = match plan {
        Plan::Filter { mut input, predicate } => {
            if let Plan::Scan(scan) = &mut input.plan {
                hint(scan, &predicate, &input.columns);
            }
            Plan::Filter { input: boxed(input), predicate }
        }
        Plan::Project { input, exprs } => Plan::Project { input: boxed(input), exprs },
        Plan::Aggregate { input, keys, aggregates } => {
            Plan::Aggregate { input: boxed(input), keys, aggregates }
        }
        Plan::Sort { input, keys, top } => Plan::Sort { input: boxed(input), keys, top },
        Plan::Limit { input, offset, count } => Plan::Limit { input: boxed(input), offset, count },
        Plan::Distinct(input) => Plan::Distinct(boxed(input)),
        Plan::SetOp { kind, all, left, right } => {
            Plan::SetOp { kind, all, left: boxed(left), right: boxed(right) }
        }
        Plan::Join { kind, left, right, on } => {
            Plan::Join { kind, left: boxed(left), right: boxed(right), on }
        }
        Plan::Match(m) => Plan::Match(Match { left: boxed(m.left), right: boxed(m.right), ..m }),
        Plan::Apply { input, outer, query } => Plan::Apply { input: boxed(input), outer, query },
        Plan::Pairs { events, spec } => Plan::Pairs { events: boxed(events), spec },
        Plan::Correlate { events, against, spec } => {
            Plan::Correlate { events: boxed(events), against: against.map(boxed), spec }
        }
        Plan::Variability { input, keys, bands, spec } => {
            Plan::Variability { input: boxed(input), keys, bands, spec }
        }
        other => other,
    };
    Node { plan, columns }
}

fn hint(scan: &mut Scan, predicate: &Expr, columns: &[OutColumn]) {
    let mut parts = vec![];
    conjuncts(predicate.clone(), &mut parts);
    for part in parts {
        if scan.table == "segments" && is_of_channel(&part, scan) {
            let columns = scan.columns.clone();
            scan.channels.push(part.renumbered(&|i| columns[i]));
            continue;
        }
        match part {
            Expr::Inside { lon, lat, area } => {
                let role = |e: &Expr| match e {
                    Expr::Column(i) => Some(columns[*i].role),
                    _ => None,
                };
                if let (Some(Role::Ra), Some(Role::Dec), Area::Sky(_)) = (role(&lon), role(&lat), &*area) {
                    scan.region = Some(area);
                }
            }
            Expr::Compare(op, left, right) if circle_of(op, &left, &right, columns).is_some() => {
                scan.region = circle_of(op, &left, &right, columns);
            }
            Expr::Compare(op, left, right) => {
                let (op, column, value) = match (&*left, &*right) {
                    (Expr::Column(i), Expr::Literal(v)) => (op, *i, v),
                    (Expr::Literal(v), Expr::Column(i)) => (op.flipped(), *i, v),
                    _ => continue,
                };
                let Some(value) = number(value) else { continue };
                let range = match op {
                    CompareOp::Eq => (value, value),
                    CompareOp::Lt | CompareOp::Le => (f64::NEG_INFINITY, value),
                    CompareOp::Gt | CompareOp::Ge => (value, f64::INFINITY),
                    CompareOp::Ne => continue,
                };
                scan.ranges.push((scan.columns[column], range.0, range.1));
            }
            _ => {}
        }
    }
}

/// Does a condition look at nothing but the code of the channel and its parts? Each channel is then asked once.
fn is_of_channel(condition: &Expr, scan: &Scan) -> bool {
    let (mut any, mut all) = (false, true);
    condition.columns(&mut |i| {
        any = true;
        all &= scan.columns.get(i).is_some_and(|&c| c < CHANNEL_COLUMNS);
    });
    any && all
}

/// The circle that `DISTANCE(pos, POINT(lon, lat)) < radius` keeps, on the sky.
fn circle_of(op: CompareOp, left: &Expr, right: &Expr, columns: &[OutColumn]) -> Option<Arc<Area>> {
    let (op, distance, radius) = match (left, right) {
        (Expr::Distance { .. }, Expr::Literal(radius)) => (op, left, radius),
        (Expr::Literal(radius), Expr::Distance { .. }) => (op.flipped(), right, radius),
        _ => return None,
    };
    let Expr::Distance { surface: Surface::Sky, places, .. } = distance else { return None };
    if !matches!(op, CompareOp::Lt | CompareOp::Le) {
        return None;
    }
    let is = |e: &Expr, role: Role| matches!(e, Expr::Column(i) if columns[*i].role == role);
    let degrees = |e: &Expr| e.as_literal().and_then(number);
    let [a, b, c, d] = &**places;
    let centre = match () {
        () if is(a, Role::Ra) && is(b, Role::Dec) => (degrees(c)?, degrees(d)?),
        () if is(c, Role::Ra) && is(d, Role::Dec) => (degrees(a)?, degrees(b)?),
        () => return None,
    };
    Region::circle(centre, number(radius)?).ok().map(|circle| Arc::new(Area::Sky(circle)))
}

/// A bound for zone maps. Integers beyond 2^53 round to a float; the zone test then only keeps more.
fn number(value: &Literal) -> Option<f64> {
    match value {
        Literal::Int(v) | Literal::Time(v) | Literal::Duration(v) => Some(*v as f64),
        Literal::Float(v) => Some(*v),
        _ => None,
    }
}

/// The places of the kept columns: new place of each old one.
type Places = Vec<Option<usize>>;

fn places(needed: &[bool]) -> Places {
    let mut next = 0;
    needed
        .iter()
        .map(|n| {
            n.then(|| {
                next += 1;
                next - 1
            })
        })
        .collect()
}

fn kept(columns: Vec<OutColumn>, needed: &[bool]) -> Vec<OutColumn> {
    columns.into_iter().zip(needed).filter(|(_, n)| **n).map(|(c, _)| c).collect()
}

fn moved(expr: Expr, places: &Places) -> Expr {
    expr.renumbered(&|i| places.get(i).copied().flatten().unwrap_or(0))
}

fn mark<'a>(needed: &mut [bool], exprs: impl IntoIterator<Item = &'a Expr>) {
    exprs.into_iter().for_each(|e| e.columns(&mut |i| needed[i] = true));
}

/// Drops the columns that are not needed, from the top down; says where the kept ones stand.
fn prune(node: Node, needed: &[bool]) -> (Node, Places) {
    let Node { plan, columns } = node;
    let everything: Places = (0..columns.len()).map(Some).collect();
    match plan {
        Plan::Scan(mut scan) => {
            scan.columns =
                scan.columns.into_iter().zip(needed).filter(|(_, n)| **n).map(|(c, _)| c).collect();
            (Node { plan: Plan::Scan(scan), columns: kept(columns, needed) }, places(needed))
        }
        Plan::Filter { input, predicate } => {
            let mut below = needed.to_vec();
            mark(&mut below, [&predicate]);
            let (input, at) = prune(*input, &below);
            let predicate = moved(predicate, &at);
            let columns = input.columns.clone();
            (Node { plan: Plan::Filter { input: Box::new(input), predicate }, columns }, at)
        }
        Plan::Project { input, exprs } => {
            let exprs: Vec<Expr> =
                exprs.into_iter().zip(needed).filter(|(_, n)| **n).map(|(e, _)| e).collect();
            let mut below = vec![false; input.columns.len()];
            mark(&mut below, &exprs);
            let (input, at) = prune(*input, &below);
            let exprs = exprs.into_iter().map(|e| moved(e, &at)).collect();
            let plan = Plan::Project { input: Box::new(input), exprs };
            (Node { plan, columns: kept(columns, needed) }, places(needed))
        }
        Plan::Sort { input, mut keys, top } => {
            let mut below = needed.to_vec();
            mark(&mut below, keys.iter().map(|k| &k.expr));
            let (input, at) = prune(*input, &below);
            keys.iter_mut().for_each(|k| k.expr = moved(k.expr.clone(), &at));
            let columns = input.columns.clone();
            (Node { plan: Plan::Sort { input: Box::new(input), keys, top }, columns }, at)
        }
        Plan::Limit { input, offset, count } => {
            let (input, at) = prune(*input, needed);
            let columns = input.columns.clone();
            (Node { plan: Plan::Limit { input: Box::new(input), offset, count }, columns }, at)
        }
        Plan::Aggregate { input, keys, aggregates } => {
            (Node { plan: prune_aggregate(*input, keys, aggregates), columns }, everything)
        }
        Plan::Join { kind, left, right, on } => prune_join((kind, on), *left, *right, needed),
        Plan::Match(m) => prune_match(m, columns, needed),
        Plan::Apply { input, mut outer, query } => {
            let width = input.columns.len();
            if !needed[width] {
                let (node, mut at) = prune(*input, &needed[..width]);
                at.push(None);
                return (node, at);
            }
            let mut below = needed[..width].to_vec();
            outer.iter().for_each(|o| below[o.place] = true);
            let (input, mut at) = prune(*input, &below);
            outer.iter_mut().for_each(|o| o.place = at.get(o.place).copied().flatten().unwrap_or(0));
            at.push(Some(input.columns.len()));
            let columns = input.columns.iter().cloned().chain(columns.into_iter().skip(width)).collect();
            (Node { plan: Plan::Apply { input: Box::new(input), outer, query }, columns }, at)
        }
        other => (Node { plan: whole(other), columns }, everything),
    }
}

/// Operators that use every column of their inputs; their inputs are pruned below.
fn whole(plan: Plan) -> Plan {
    let all = |n: Box<Node>| {
        let needed = vec![true; n.columns.len()];
        Box::new(prune(*n, &needed).0)
    };
    match plan {
        Plan::Distinct(input) => Plan::Distinct(all(input)),
        Plan::SetOp { kind, all: keep, left, right } => {
            Plan::SetOp { kind, all: keep, left: all(left), right: all(right) }
        }
        Plan::Pairs { events, spec } => Plan::Pairs { events: all(events), spec },
        Plan::Correlate { events, against, spec } => {
            Plan::Correlate { events: all(events), against: against.map(all), spec }
        }
        Plan::Variability { input, keys, bands, spec } => {
            let bands: Vec<BandPlan> = bands;
            Plan::Variability { input: all(input), keys, bands, spec }
        }
        other => other,
    }
}

fn prune_aggregate(input: Node, keys: Vec<Expr>, mut aggregates: Vec<super::plan::Aggregate>) -> Plan {
    let mut below = vec![false; input.columns.len()];
    mark(&mut below, keys.iter().chain(aggregates.iter().flat_map(|a| &a.args)));
    let (input, at) = prune(input, &below);
    let keys = keys.into_iter().map(|k| moved(k, &at)).collect();
    for aggregate in &mut aggregates {
        aggregate.args = std::mem::take(&mut aggregate.args).into_iter().map(|a| moved(a, &at)).collect();
    }
    Plan::Aggregate { input: Box::new(input), keys, aggregates }
}

fn is_left_only(kind: JoinKind) -> bool {
    matches!(kind, JoinKind::Semi | JoinKind::Anti)
}

fn prune_join(how: (JoinKind, JoinCondition), left: Node, right: Node, needed: &[bool]) -> (Node, Places) {
    let (kind, on) = how;
    let width = left.columns.len();
    let mut below = needed.to_vec();
    below.resize(width + right.columns.len(), false);
    mark(&mut below, &on.residual);
    let mut on = on;
    for_each_side(&mut on, &mut |expr, is_left| {
        mark(if is_left { &mut below[..width] } else { &mut below[width..] }, [&*expr]);
    });
    let (left, at_left) = prune(left, &below[..width]);
    let (right, at_right) = prune(right, &below[width..]);
    let shift = left.columns.len();
    let mut at = at_left.clone();
    at.extend(at_right.iter().map(|p| p.map(|i| i + shift)));
    for_each_side(&mut on, &mut |expr, is_left| {
        *expr = moved(expr.clone(), if is_left { &at_left } else { &at_right });
    });
    on.residual = on.residual.map(|r| moved(r, &at));
    let mut columns = left.columns.clone();
    if is_left_only(kind) {
        at.truncate(width);
    } else {
        columns.extend(right.columns.iter().cloned());
    }
    let plan = Plan::Join { kind, left: Box::new(left), right: Box::new(right), on };
    (Node { plan, columns }, at)
}

/// Visits what a join computes of one side alone; true for the left one.
fn for_each_side(on: &mut JoinCondition, visit: &mut dyn FnMut(&mut Expr, bool)) {
    let keys = on.interval.iter_mut().flat_map(|i| &mut i.keys);
    for (left, right) in on.equal.iter_mut().chain(keys) {
        visit(left, true);
        visit(right, false);
    }
    let edges = on.interval.iter_mut().flat_map(|i| [&mut i.below, &mut i.above]);
    for edge in edges.flatten() {
        visit(&mut edge.left, true);
        visit(&mut edge.right, false);
    }
    let Some(near) = &mut on.near else { return };
    near.left.iter_mut().for_each(|e| visit(e, true));
    near.right.iter_mut().for_each(|e| visit(e, false));
    if let Some((left, right)) = &mut near.depths {
        visit(left, true);
        visit(right, false);
    }
    near.radius.0.iter_mut().for_each(|e| visit(e, true));
    near.radius.1.iter_mut().for_each(|e| visit(e, false));
}

/// A match reads the position, cell and tie columns of both sides beside what is asked for.
fn prune_match(plan: Match, columns: Vec<OutColumn>, needed: &[bool]) -> (Node, Places) {
    let (width, right_width) = (plan.left.columns.len(), plan.right.columns.len());
    let mut below = needed.to_vec();
    below.resize(needed.len().max(width + right_width), false);
    let has_match_columns = plan.has_match_columns && below[width + right_width..].contains(&true);
    mark(&mut below[..width + right_width], &plan.residual);
    for (node, offset, place) in [(&plan.left, 0, plan.places[0]), (&plan.right, width, plan.places[1])] {
        let roles = [Role::Cell, Role::Tie].into_iter().filter_map(|role| node.role(role));
        [place.0, place.1].into_iter().chain(roles).for_each(|i| below[offset + i] = true);
    }
    let (left, at_left) = prune(*plan.left, &below[..width]);
    let (right, at_right) = prune(*plan.right, &below[width..width + right_width]);
    let new = |at: &Places, place: (usize, usize)| {
        let of = |i: usize| at.get(i).copied().flatten().unwrap_or(0);
        (of(place.0), of(place.1))
    };
    let places = [new(&at_left, plan.places[0]), new(&at_right, plan.places[1])];
    let mut at = at_left;
    let shift = left.columns.len();
    at.extend(at_right.into_iter().map(|p| p.map(|i| i + shift)));
    let residual = plan.residual.map(|r| moved(r, &at));
    let mut out = left.columns.clone();
    if is_left_only(plan.kind) {
        at.truncate(width);
    } else {
        out.extend(right.columns.iter().cloned());
        for column in columns.into_iter().skip(width + right_width) {
            at.push(has_match_columns.then_some(out.len()));
            out.extend(has_match_columns.then_some(column));
        }
    }
    let (left, right) = (Box::new(left), Box::new(right));
    let plan = Match { left, right, places, residual, has_match_columns, ..plan };
    (Node { plan: Plan::Match(plan), columns: out }, at)
}
