//! CROSSMATCH over two inputs: brings both into the order of their HEALPix cells where they are not, matches, and
//! gives the rows back in left order.

use std::num::NonZero;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, UInt32Array};
use rayon::prelude::*;

use super::crossmatch::{self, Matches, Mode, Request};
use super::join::{kept_pairs, taken, with_unmatched};
use crate::engine::analyze::{counted, thousands};
use crate::engine::bind::Context;
use crate::engine::exec::{Rows, chunks, collect_one};
use crate::engine::expr::{Expr, arrow_error, floats};
use crate::engine::plan::{Match, MatchMode, Node, Plan, Role};
use crate::engine::tables::{CELL, DEC, RA, TIE};
use crate::error::Result;
use crate::index::sky::{self, Positions, TreeView};
use crate::lang::syntax::JoinKind;
use crate::limits;
use crate::model::table::{Batch, Schema};

/// The position columns of one side in cell order, and which input row each is.
struct Side {
    ra_deg: Vec<f64>,
    dec_deg: Vec<f64>,
    cell29: Vec<u64>,
    tie: Vec<u32>,
    /// Input row of each; `None` where the input is in order already.
    rows: Option<Vec<u32>>,
}

impl Side {
    /// A column of the input that holds the cells in ascending order saves the sort.
    fn new(node: &Node, batch: &Batch, place: (usize, usize)) -> Result<Side> {
        let degrees = |column: usize| -> Result<Vec<f64>> {
            Ok(floats(batch.column(column))?.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
        };
        let (ra, dec) = (degrees(place.0)?, degrees(place.1)?);
        // Cells and ties are those of the first position in sight.
        let is_first = node.role(Role::Ra) == Some(place.0) && node.role(Role::Dec) == Some(place.1);
        let column = |role: Role| node.role(role).filter(|_| is_first).map(|i| batch.column(i));
        let tie: Vec<u32> = match column(Role::Tie) {
            Some(ranks) => ranks.as_primitive::<UInt32Type>().values().to_vec(),
            None => (0..ra.len() as u32).collect(),
        };
        if let Some(cells) = column(Role::Cell) {
            let has_null = cells.null_count() > 0;
            let cells = cells.as_primitive::<UInt64Type>().values();
            if !has_null && cells.is_sorted() {
                return Ok(Side { ra_deg: ra, dec_deg: dec, cell29: cells.to_vec(), tie, rows: None });
            }
        }
        let order = sky::order(&ra, &dec)?;
        let pick = |values: &[f64]| order.rows.iter().map(|&i| values[i as usize]).collect::<Vec<f64>>();
        let (ra_deg, dec_deg) = (pick(&ra), pick(&dec));
        let tie = order.rows.iter().map(|&i| tie[i as usize]).collect();
        Ok(Side { ra_deg, dec_deg, cell29: order.cell29, tie, rows: Some(order.rows) })
    }

    fn positions(&self) -> Result<Positions<'_>> {
        Positions::new(&self.ra_deg, &self.dec_deg, &self.cell29, &self.tie)
    }

    fn input_row(&self, row: u32) -> u32 {
        self.rows.as_ref().map_or(row, |rows| rows[row as usize])
    }
}

/// The rows of a match.
pub fn run<'a>(plan: &'a Match, node: &Node, context: &'a Context<'a>) -> Result<Rows<'a>> {
    let left = collect_one(&plan.left, context)?;
    if let Some(partners) = by_tree(plan, &left, context)? {
        let several = partners.iter().filter(|n| **n > 1).count();
        let none = partners.iter().filter(|n| **n == 0).count();
        let one = partners.len() - none - several;
        tell_partners((none, one, several), context);
        context.notices.footer("searched in the archived k-d tree".to_owned());
        context.note(node, || {
            let searched = counted(partners.len() as u64, "left row");
            format!("{searched} looked up in the archived k-d tree of the right side, {none} without partner")
        });
        let wanted = plan.kind == JoinKind::Semi;
        return kept(&left, partners.iter().map(|n| (*n > 0) == wanted).collect());
    }
    let right = collect_one(&plan.right, context)?;
    let l = Side::new(&plan.left, &left, plan.places[0])?;
    let r = Side::new(&plan.right, &right, plan.places[1])?;
    let (lp, rp) = (l.positions()?, r.positions()?);
    let mode = match plan.mode {
        MatchMode::Nearest(k) => Mode::Nearest(NonZero::new(k).unwrap_or(NonZero::<usize>::MIN)),
        MatchMode::All => Mode::All,
        MatchMode::Mutual => Mode::Mutual,
    };
    let is_other = |i: u32, j: u32| l.tie[i as usize] != r.tie[j as usize];
    let accept = plan.excludes_self.then_some(&is_other as crossmatch::Accept<'_>);
    let found = match radius(plan) {
        Some(radius_deg) => {
            let cancel = Some(context.cancel);
            let request = Request { radius_deg, mode, left_rows: 0..lp.len(), accept, cancel };
            slices(&lp, &rp, &request, context)?
        }
        None => Matches::default(),
    };
    if let Some(residual) = &plan.residual {
        return with_residual(plan, (left, right), (&found, &l, &r), (residual, node.schema(), context));
    }
    let mut matched = vec![false; left.num_rows()];
    found.left.iter().for_each(|&i| matched[l.input_row(i) as usize] = true);
    tell(&found, &matched, (lp.len(), rp.len(), right.num_rows()), context);
    context.note(node, || pairs_note(&found, &matched, (lp.len(), rp.len())));
    if matches!(plan.kind, JoinKind::Semi | JoinKind::Anti) {
        let wanted = plan.kind == JoinKind::Semi;
        return kept(&left, matched.iter().map(|m| *m == wanted).collect());
    }
    let pairs = in_left_order(&found, &l, &r);
    let columns = match plan.has_match_columns {
        true => match_columns(&found, &found.position_angles_deg(&lp, &rp), &pairs.order),
        false => vec![],
    };
    let rows = match plan.kind {
        JoinKind::Left => with_unmatched_pairs((pairs.left, pairs.right), &matched),
        _ => {
            let numbers = (0..pairs.left.len() as u32).map(Some).collect();
            (pairs.left, pairs.right.into_iter().map(Some).collect(), numbers)
        }
    };
    gather((left, right), rows, columns, node.schema())
}

/// The radius within which pairs are, its edge included; `None` where nothing is closer than 0.
fn radius(plan: &Match) -> Option<f64> {
    let radius_deg = if plan.is_strict { plan.radius_deg.next_down() } else { plan.radius_deg };
    (radius_deg >= 0.0).then_some(radius_deg)
}

/// The answer where pairs within the radius must meet a condition beside it.
fn with_residual<'a>(
    plan: &Match,
    sides: (Batch, Batch),
    found: (&Matches, &Side, &Side),
    how: (&Expr, Schema, &Context<'_>),
) -> Result<Rows<'a>> {
    let ((left, right), (found, l, r), (residual, schema, context)) = (sides, found, how);
    let pairs = in_left_order(found, l, r);
    let mut kept_rows = (vec![], vec![]);
    for (l, r) in pairs.left.chunks(limits::BATCH_ROWS).zip(pairs.right.chunks(limits::BATCH_ROWS)) {
        context.cancel.check()?;
        let pairs = kept_pairs((l.to_vec(), r.to_vec()), (&left, &right), Some(residual))?;
        kept_rows.0.extend(pairs.0);
        kept_rows.1.extend(pairs.1);
    }
    let mut matched = vec![false; left.num_rows()];
    kept_rows.0.iter().for_each(|l| matched[*l as usize] = true);
    let several = kept_rows.0.chunk_by(|a, b| a == b).filter(|c| c.len() > 1).count();
    let with = matched.iter().filter(|m| **m).count();
    tell_partners((matched.len() - with, with - several, several), context);
    if matches!(plan.kind, JoinKind::Semi | JoinKind::Anti) {
        let wanted = plan.kind == JoinKind::Semi;
        return kept(&left, matched.iter().map(|m| *m == wanted).collect());
    }
    super::join::gather(&left, &right, with_unmatched(kept_rows, &matched, 0), schema)
}

/// Left rows matched between two looks at Ctrl-C.
const SLICE_ROWS: usize = 1 << 16;

/// The whole match, left rows by slices; MUTUAL, which needs all of them at once, in one go.
fn slices(
    left: &Positions<'_>,
    right: &Positions<'_>,
    request: &Request<'_>,
    context: &Context<'_>,
) -> Result<Matches> {
    if request.mode == Mode::Mutual {
        return crossmatch::matches(left, right, request);
    }
    let mut all = Matches::default();
    for start in request.left_rows.clone().step_by(SLICE_ROWS) {
        context.cancel.check()?;
        let left_rows = start..(start + SLICE_ROWS).min(request.left_rows.end);
        all.append(crossmatch::matches(left, right, &Request { left_rows, ..request.clone() })?);
        super::join::check_size(all.len())?;
    }
    Ok(all)
}

fn kept<'a>(rows: &Batch, keep: Vec<bool>) -> Result<Rows<'a>> {
    Ok(chunks(arrow_select::filter::filter_record_batch(rows, &keep.into()).map_err(arrow_error)?))
}

/// A left side this many times smaller than a stored catalogue is looked up in its tree, row by row.
const TREE_SHARE: u64 = 64;

/// SEMI and ANTI of a few rows against a whole stored catalogue: how many partners each left row has, 2 for several.
/// `None` where the merge of both sides is the better or the only way.
fn by_tree(plan: &Match, left: &Batch, context: &Context<'_>) -> Result<Option<Vec<u8>>> {
    let Plan::Scan(scan) = &plan.right.plan else { return Ok(None) };
    let Some(entry) = context.tables.entry(&scan.table) else { return Ok(None) };
    let only = |role: &str| {
        let mut found = entry.segments.iter().filter(|s| s.role == role);
        found.next().filter(|_| found.next().is_none())
    };
    let (Some(rows), Some(tree)) = (only("rows"), only("tree")) else { return Ok(None) };
    let is_whole = scan.source.is_none() && scan.region.is_none() && scan.ranges.is_empty();
    let is_small = (left.num_rows() as u64).saturating_mul(TREE_SHARE) < rows.rows;
    let is_exists = matches!(plan.kind, JoinKind::Semi | JoinKind::Anti) && plan.mode != MatchMode::Mutual;
    let is_plain = plan.residual.is_none() && !plan.excludes_self;
    if !is_whole || !is_small || !is_exists || !is_plain {
        return Ok(None);
    }
    let map = context.tables.snapshot.segment(rows)?;
    let stored = map.schema();
    let columns: Vec<usize> = [RA, DEC, CELL, TIE]
        .iter()
        .filter_map(|n| stored.columns.iter().position(|c| c.name == *n))
        .collect();
    if columns.len() < 4 {
        return Ok(None);
    }
    let batch = map.batch(&columns, 0..map.rows())?;
    let degrees = |i: usize| batch.column(i).as_primitive::<Float64Type>().values();
    let cells = batch.column(2).as_primitive::<UInt64Type>().values();
    let ties = batch.column(3).as_primitive::<UInt32Type>().values();
    let positions = Positions::new(degrees(0), degrees(1), cells, ties)?;
    let archive = context.tables.snapshot.segment(tree)?;
    let view = TreeView::open(archive.blob("kdtree")?, positions)?;
    let Some(radius_deg) = radius(plan) else { return Ok(None) };
    let (ra, dec) = (floats(left.column(plan.places[0].0))?, floats(left.column(plan.places[0].1))?);
    let two = NonZero::new(2).unwrap_or(NonZero::<usize>::MIN);
    let count = |at: (Option<f64>, Option<f64>)| match at {
        (Some(ra), Some(dec)) => view.nearest((ra, dec), two, radius_deg).len() as u8,
        _ => 0,
    };
    let at: Vec<_> = ra.iter().zip(dec.iter()).collect();
    Ok(Some(at.into_par_iter().map(count).collect()))
}

fn tell(found: &Matches, matched: &[bool], sizes: (usize, usize, usize), context: &Context<'_>) {
    let (left_positions, right_positions, right_rows) = sizes;
    let one =
        found.n_within.iter().zip(&found.match_rank).filter(|(n, rank)| **n == 1 && **rank == 1).count();
    let with = matched.iter().filter(|m| **m).count();
    let none = matched.len() - with;
    tell_partners((none, one, with.saturating_sub(one)), context);
    let without = (matched.len() - left_positions, right_rows - right_positions);
    if without != (0, 0) {
        context.notices.footer(format!(
            "{} left and {} right rows have no position and match nothing",
            without.0, without.1
        ));
    }
}

/// For EXPLAIN ANALYZE: positions, partners within the radius, pairs kept, left rows without partner.
fn pairs_note(found: &Matches, matched: &[bool], positions: (usize, usize)) -> String {
    let count = |n: usize, what: &str| counted(n as u64, what);
    let first = found.n_within.iter().zip(&found.match_rank).filter(|(_, rank)| **rank == 1);
    let within: u64 = first.map(|(n, _)| u64::from(*n)).sum();
    let none = matched.iter().filter(|m| !**m).count();
    format!(
        "{} and {} positions, {} within the radius, {} kept, {} without partner",
        thousands(positions.0 as u64),
        thousands(positions.1 as u64),
        counted(within, "candidate"),
        count(found.len(), "pair"),
        count(none, "left row")
    )
}

/// Left rows with none, one, several partners.
fn tell_partners(counts: (usize, usize, usize), context: &Context<'_>) {
    let (none, one, several) = counts;
    context
        .notices
        .footer(format!("{none} left rows without partner, {one} with one, {several} with several"));
}

struct Pairs {
    left: Vec<u32>,
    right: Vec<u32>,
    /// Which match each pair is.
    order: Vec<u32>,
}

/// Pairs by input row of the left side; partners of one row keep their order.
fn in_left_order(found: &Matches, l: &Side, r: &Side) -> Pairs {
    let mut order: Vec<u32> = (0..found.len() as u32).collect();
    if l.rows.is_some() {
        order.sort_by_key(|&i| l.input_row(found.left[i as usize]));
    }
    let left = order.iter().map(|&i| l.input_row(found.left[i as usize])).collect();
    let right = order.iter().map(|&i| r.input_row(found.right[i as usize])).collect();
    Pairs { left, right, order }
}

/// separation, position_angle, match_rank, n_within, separation2 of each pair.
fn match_columns(found: &Matches, angles: &[Option<f64>], order: &[u32]) -> Vec<ArrayRef> {
    let float = |f: &dyn Fn(usize) -> Option<f64>| -> ArrayRef {
        Arc::new(order.iter().map(|&i| f(i as usize)).collect::<Float64Array>())
    };
    let int = |values: &[u32]| -> ArrayRef {
        Arc::new(order.iter().map(|&i| Some(i64::from(values[i as usize]))).collect::<Int64Array>())
    };
    vec![
        float(&|i| Some(found.separation_arcsec[i])),
        float(&|i| angles[i]),
        int(&found.match_rank),
        int(&found.n_within),
        float(&|i| Some(found.separation2_arcsec[i]).filter(|s| s.is_finite())),
    ]
}

type Gathered = (Vec<u32>, Vec<Option<u32>>, Vec<Option<u32>>);

fn with_unmatched_pairs(pairs: (Vec<u32>, Vec<u32>), matched: &[bool]) -> Gathered {
    let (left, right) = with_unmatched(pairs, matched, 0);
    let mut next = 0..;
    let numbers = right.iter().map(|r| r.and_then(|_| next.next())).collect();
    (left, right, numbers)
}

/// Left, right and match columns, batch by batch; an unmatched left row has NULLs and n_within 0.
fn gather<'a>(
    sides: (Batch, Batch),
    rows: Gathered,
    columns: Vec<ArrayRef>,
    schema: Schema,
) -> Result<Rows<'a>> {
    let (left, right) = sides;
    let total = rows.0.len();
    let starts = (0..total).step_by(limits::BATCH_ROWS);
    Ok(Box::new(starts.map(move |start| {
        let range = start..(start + limits::BATCH_ROWS).min(total);
        let l = UInt32Array::from(rows.0[range.clone()].to_vec());
        let r = UInt32Array::from(rows.1[range.clone()].to_vec());
        let m = UInt32Array::from(rows.2[range].to_vec());
        let mut all = taken(&left, &l)?;
        all.extend(taken(&right, &r)?);
        for (i, column) in columns.iter().enumerate() {
            let values = arrow_select::take::take(column, &m, None).map_err(arrow_error)?;
            all.push(if i == N_WITHIN { zero_for_null(&values) } else { values });
        }
        Batch::try_new(schema.arrow(), all).map_err(arrow_error)
    })))
}

/// Place of n_within among the match columns.
const N_WITHIN: usize = 3;

fn zero_for_null(values: &ArrayRef) -> ArrayRef {
    let values = values.as_primitive::<arrow_array::types::Int64Type>();
    Arc::new(values.iter().map(|v| Some(v.unwrap_or(0))).collect::<Int64Array>())
}
