//! A plan in words: what EXPLAIN prints.

use std::fmt::Write as _;

use super::{JoinCondition, Match, Plan, Scan};
use crate::engine::expr::Surface;
use crate::engine::tables::{SEGMENT_END, SEGMENT_START};
use crate::lang::syntax::JoinKind;
use crate::model::table::Batch;

impl Plan {
    /// One line for EXPLAIN.
    pub fn describe(&self) -> String {
        match self {
            Plan::One => "one row".to_owned(),
            Plan::Rows(batches) => {
                format!("{} rows at hand", batches.iter().map(Batch::num_rows).sum::<usize>())
            }
            Plan::Scan(scan) => describe_scan(scan),
            Plan::Shared(shared) => format!("view {} (evaluated once)", shared.name),
            Plan::Filter { .. } => "filter".to_owned(),
            Plan::Project { exprs, .. } => format!("project {} columns", exprs.len()),
            Plan::Aggregate { keys, aggregates, .. } => {
                format!("aggregate {} functions by {} keys (hash)", aggregates.len(), keys.len())
            }
            Plan::Sort { keys, top: Some(n), .. } => format!("sort by {} keys, first {n}", keys.len()),
            Plan::Sort { keys, .. } => format!("sort by {} keys", keys.len()),
            Plan::Limit { offset, count, .. } => match count {
                Some(n) => format!("limit {n} offset {offset}"),
                None => format!("offset {offset}"),
            },
            Plan::Distinct(_) => "distinct (hash)".to_owned(),
            Plan::SetOp { kind, all, .. } => {
                format!("{kind:?}{}", if *all { " all" } else { "" }).to_lowercase()
            }
            Plan::Join { kind, on, .. } => describe_join(*kind, on),
            Plan::Match(m) => describe_match(m),
            Plan::Apply { outer, .. } => {
                format!("subquery for each combination of {} outer columns", outer.len())
            }
            Plan::Gaps { .. } => "gaps (time index)".to_owned(),
            Plan::Coverage { .. } => "coverage (time index)".to_owned(),
            Plan::Pairs { .. } => "pairs (k-d tree of hypocentres)".to_owned(),
            Plan::Correlate { .. } => "correlate: pairs, windows, conditioning, correlation, peak".to_owned(),
            Plan::Variability { bands, .. } => format!("variability of {} bands", bands.len()),
        }
    }
}

/// The method of a join, and why it is the one.
fn describe_join(kind: JoinKind, on: &JoinCondition) -> String {
    let kind = format!("{kind:?}").to_lowercase();
    let keys = on.interval.as_ref().map_or(on.equal.len(), |i| i.keys.len());
    let keys = match keys {
        0 => String::new(),
        1 => " on 1 equal keys".to_owned(),
        n => format!(" on {n} equal keys"),
    };
    let rest = if on.residual.is_some() { ", then its other conditions" } else { "" };
    if let Some(near) = &on.near {
        let surface = if near.surface == Surface::Sky { "sky" } else { "Earth" };
        return format!("{kind} join by distance on the {surface} (grid of the right side{rest})");
    }
    if let Some(interval) = &on.interval {
        let bounds = usize::from(interval.below.is_some()) + usize::from(interval.above.is_some());
        let joint = if keys.is_empty() { "on" } else { "and" };
        let groups = if keys.is_empty() { "" } else { " within groups of the hash" };
        return format!(
            "{kind} join{keys} {joint} {bounds} bounds (right side sorted by start with largest ends{groups}{rest})"
        );
    }
    match on.equal.len() {
        0 => format!("{kind} join (nested loop: no equality, range or distance between the two sides)"),
        _ => format!("{kind} join{keys} (hash)"),
    }
}

fn describe_match(m: &Match) -> String {
    let mut text = format!(
        "{} crossmatch {} {} arcsec, {} (merge of two HEALPix-ordered sides",
        format!("{:?}", m.kind).to_lowercase(),
        if m.is_strict { "closer than" } else { "within" },
        m.radius_deg * 3600.0,
        format!("{:?}", m.mode).to_lowercase()
    );
    if m.residual.is_some() {
        text.push_str(", then its other conditions");
    }
    if m.excludes_self {
        text.push_str(", no row with itself");
    }
    text + ")"
}

fn describe_scan(scan: &Scan) -> String {
    let mut text = format!("scan {} ({} columns)", scan.table, scan.columns.len());
    if let Some(source) = &scan.source {
        let _ = write!(text, ", source {source}");
    }
    if scan.region.is_some() {
        text.push_str(", HEALPix cells of the region");
    }
    if scan.table == "segments" {
        text.push_str(if scan.channels.is_empty() { "" } else { ", channels by their codes" });
        let is_time = |r: &(usize, f64, f64)| matches!(r.0, SEGMENT_START | SEGMENT_END);
        text.push_str(if scan.ranges.iter().any(is_time) { ", time index" } else { "" });
    } else if !scan.ranges.is_empty() {
        let _ = write!(text, ", {} ranges on block minima and maxima", scan.ranges.len());
    }
    text
}
