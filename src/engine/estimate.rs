//! How many rows a plan is expected to give: rows of tables from the catalogue, conditions from the least and
//! greatest value of each zone with values spread evenly between them, the rest from fixed shares (Selinger et al.
//! 1979, "Access path selection in a relational database management system", table 1).

use super::bind::Context;
use super::expr::Expr;
use super::ops::narrow::wanted_rows;
use super::ops::prune::{Found, found};
use super::plan::{MatchMode, Node, Plan, Scan};
use crate::error::Result;
use crate::lang::syntax::{JoinKind, SetKind};

/// Part of the rows that meet a condition of which nothing is known.
const SHARE: f64 = 1.0 / 3.0;
/// Groups of a key of which nothing is known.
const GROUPS: f64 = 200.0;

/// Rows that a plan is expected to give; `None` where nobody knows.
///
/// # Errors
/// Damage of the index that is looked into.
pub fn rows(node: &Node, context: &Context<'_>) -> Result<Option<u64>> {
    Ok(expected(node, context)?.map(|rows| rows.max(0.0).round() as u64))
}

fn expected(node: &Node, context: &Context<'_>) -> Result<Option<f64>> {
    let of = |input: &Node| expected(input, context);
    Ok(match &node.plan {
        Plan::One => Some(1.0),
        Plan::Rows(batches) => Some(batches.iter().map(|b| b.num_rows() as f64).sum()),
        Plan::Scan(scan) => stored(scan, context)?.map(|f| f.kept as f64),
        Plan::Shared(shared) => of(&shared.node)?,
        Plan::Filter { input, predicate } => filtered(input, predicate, context)?,
        Plan::Project { input, .. } | Plan::Apply { input, .. } => of(input)?,
        Plan::Aggregate { input, keys, .. } => match keys.len() {
            0 => Some(1.0),
            n => of(input)?.map(|rows| rows.min(GROUPS.powi(i32::try_from(n).unwrap_or(i32::MAX)))),
        },
        Plan::Sort { input, top, .. } => of(input)?.map(|rows| top.map_or(rows, |n| rows.min(n as f64))),
        Plan::Limit { input, offset, count } => of(input)?.map(|rows| {
            let left = (rows - *offset as f64).max(0.0);
            count.map_or(left, |n| left.min(n as f64))
        }),
        Plan::Distinct(input) => of(input)?,
        Plan::SetOp { kind, left, right, .. } => pair(of(left)?, of(right)?).map(|(l, r)| match kind {
            SetKind::Union => l + r,
            SetKind::Intersect => l.min(r),
            SetKind::Except => l,
        }),
        Plan::Join { kind, left, right, on } => pair(of(left)?, of(right)?).map(|(l, r)| {
            let is_loop = on.equal.is_empty() && on.interval.is_none() && on.near.is_none();
            let pairs = if is_loop { l * r * SHARE } else { l.max(r) };
            of_kind(*kind, l, pairs)
        }),
        Plan::Match(m) => of(&m.left)?.map(|l| {
            let most = if let MatchMode::Nearest(k) = m.mode { l * k as f64 } else { l };
            of_kind(m.kind, l, most)
        }),
        Plan::Gaps { .. } | Plan::Coverage { .. } => None,
        Plan::Pairs { .. } | Plan::Correlate { .. } | Plan::Variability { .. } => None,
    })
}

fn pair(left: Option<f64>, right: Option<f64>) -> Option<(f64, f64)> {
    Some((left?, right?))
}

/// Rows of a join of `left` rows with so many pairs.
fn of_kind(kind: JoinKind, left: f64, pairs: f64) -> f64 {
    match kind {
        JoinKind::Semi => left.min(pairs) / 2.0,
        JoinKind::Anti => left / 2.0,
        JoinKind::Left => left.max(pairs),
        _ => pairs,
    }
}

/// What a scan finds in the index; `None` for tables that are made when they are read.
pub fn stored(scan: &Scan, context: &Context<'_>) -> Result<Option<Found>> {
    let whole = |rows: usize| Some(Found::whole(rows as u64));
    Ok(match scan.table.as_str() {
        "sources" => whole(context.tables.snapshot.catalogue().sources.len()),
        "refusals" => whole(context.session.refusals.as_ref().map_or(0, |r| r.num_rows())),
        "files" => whole(context.tables.archive()?.counts()?.0),
        "segments" => {
            let archive = context.tables.archive()?;
            let rows = archive.counts()?.1 as u64;
            let wanted = wanted_rows(archive, scan)?;
            let kept = wanted.map_or(rows, |w| w.iter().map(|(_, range)| range.len() as u64).sum::<u64>());
            Some(Found { rows, kept, matching: kept as f64, ..Found::default() })
        }
        _ => found(scan, context)?,
    })
}

/// Conditions that the scan below knows count as their zones say, each of the others for a fixed share.
fn filtered(input: &Node, predicate: &Expr, context: &Context<'_>) -> Result<Option<f64>> {
    let conditions = conjuncts(predicate);
    let (rows, known) = match &input.plan {
        Plan::Scan(scan) => {
            let known = scan.ranges.len() + usize::from(scan.region.is_some()) + scan.channels.len();
            (stored(scan, context)?.map(|f| f.matching), known)
        }
        _ => (expected(input, context)?, 0),
    };
    let unknown = conditions.saturating_sub(known);
    Ok(rows.map(|rows| rows * SHARE.powi(i32::try_from(unknown).unwrap_or(i32::MAX))))
}

fn conjuncts(predicate: &Expr) -> usize {
    match predicate {
        Expr::And(left, right) => conjuncts(left) + conjuncts(right),
        _ => 1,
    }
}
