//! Joins whose partners are found row by row: by an index over the right side, or by looking at every right row
//! where nothing indexes the condition. Left rows are answered by blocks on all threads and come out in order as
//! they are done, so that the result is never in memory as a whole.

use std::collections::VecDeque;
use std::ops::Range;

use arrow_array::{Array, BooleanArray, UInt32Array};
use rayon::prelude::*;

use super::interval::IntervalIndex;
use super::near::NearIndex;
use super::{check_size, kept_pairs, taken, tell, with_rows, with_unmatched};
use crate::engine::bind::{Context, join::conjuncts};
use crate::engine::exec::Rows;
use crate::engine::expr::{Expr, arrow_error};
use crate::engine::plan::JoinCondition;
use crate::error::Result;
use crate::lang::syntax::JoinKind;
use crate::limits;
use crate::model::table::{Batch, Schema};

/// Left rows of a block.
const BLOCK_ROWS: usize = 8192;
/// A block stops at so many pairs; the rest of its rows is a block of its own.
const BLOCK_PAIRS: usize = 1 << 19;
/// Pairs that a nested loop looks at before the user is told that it is one.
const MANY_PAIRS: u64 = 1 << 32;

/// How the partners of a left row are found.
enum Finder {
    /// Every right row may be one.
    All(u32),
    /// Those whose bounds overlap.
    Interval(Box<IntervalIndex>),
    /// Those within a distance.
    Near(Box<NearIndex>),
}

impl Finder {
    fn new(left: &Batch, right: &Batch, on: &JoinCondition) -> Result<Finder> {
        if let Some(near) = &on.near {
            return Ok(Finder::Near(Box::new(NearIndex::new(left, right, near)?)));
        }
        if on.interval.is_some() {
            return Ok(Finder::Interval(Box::new(IntervalIndex::new(left, right, on)?)));
        }
        Ok(Finder::All(right.num_rows() as u32))
    }

    fn partners(&self, row: u32, found: &mut Vec<u32>) {
        match self {
            Finder::All(count) => found.extend(0..*count),
            Finder::Interval(index) => index.partners(row, found),
            Finder::Near(index) => index.partners(row, found),
        }
    }
}

/// What all blocks share.
struct Shared<'a> {
    kind: JoinKind,
    left: Batch,
    right: Batch,
    finder: Finder,
    /// Left rows that may have partners at all; all of them when absent.
    is_open: Option<BooleanArray>,
    /// What pairs must meet beside.
    residual: Option<Expr>,
    schema: Schema,
    context: &'a Context<'a>,
}

/// A block of left rows that waits, or its answer.
enum Work {
    Rows(Range<usize>),
    Done(VecDeque<Batch>),
}

/// The answer of a block.
#[derive(Default)]
struct Answer {
    batches: VecDeque<Batch>,
    n_pairs: usize,
    n_without: usize,
    n_several: usize,
}

/// Joins two batches by `on`, which has no equalities but those of an interval.
pub fn run<'a>(
    kind: JoinKind,
    sides: (Batch, Batch),
    on: &JoinCondition,
    out: (&Schema, &'a Context<'a>),
) -> Result<Rows<'a>> {
    let (left, right) = sides;
    let (schema, context) = out;
    let (of_left, residual) = divided(on.residual.as_ref(), left.num_columns());
    let is_open = of_left.map(|e| e.condition(&left)).transpose()?;
    let finder = Finder::new(&left, &right, on)?;
    let unsure = if let Finder::Interval(index) = &finder { index.unsure.clone() } else { None };
    let residual = residual.into_iter().chain(unsure).reduce(Expr::and);
    let rows = left.num_rows();
    let mut block = BLOCK_ROWS;
    if let Finder::All(count) = &finder {
        block = (BLOCK_PAIRS / (*count).max(1) as usize).clamp(1, BLOCK_ROWS);
        warn_of_many(rows as u64, u64::from(*count), context);
    }
    let shared = Shared { kind, left, right, finder, is_open, residual, schema: schema.clone(), context };
    let mut work: VecDeque<Work> =
        (0..rows).step_by(block).map(|start| Work::Rows(start..(start + block).min(rows))).collect();
    let mut total = Answer::default();
    let mut is_told = false;
    Ok(Box::new(std::iter::from_fn(move || {
        loop {
            if let Some(batch) = total.batches.pop_front() {
                return Some(Ok(batch));
            }
            match work.front_mut() {
                Some(Work::Done(batches)) => {
                    total.batches.append(batches);
                    work.pop_front();
                }
                Some(Work::Rows(_)) => {
                    if let Err(error) = advance(&shared, &mut work, &mut total) {
                        work.clear();
                        return Some(Err(error));
                    }
                }
                None if is_told => return None,
                None => {
                    is_told = true;
                    tell(kind, (total.n_without, total.n_several), context);
                }
            }
        }
    })))
}

/// Conditions on left columns alone, and the rest.
fn divided(residual: Option<&Expr>, width: usize) -> (Option<Expr>, Option<Expr>) {
    let mut parts = vec![];
    residual.into_iter().for_each(|r| conjuncts(r.clone(), &mut parts));
    let is_of_left = |e: &Expr| {
        let mut is_left = true;
        e.columns(&mut |i| is_left &= i < width);
        is_left
    };
    let (left, rest): (Vec<Expr>, Vec<Expr>) = parts.into_iter().partition(is_of_left);
    (left.into_iter().reduce(Expr::and), rest.into_iter().reduce(Expr::and))
}

fn warn_of_many(left: u64, right: u64, context: &Context<'_>) {
    if left.saturating_mul(right) > MANY_PAIRS {
        context.notices.warn(format!(
            "this join tests each of {left} rows against each of {right}: an equality, a range or a distance between the two tables in ON would be found by an index"
        ));
    }
}

/// Answers the first waiting blocks.
fn advance(shared: &Shared<'_>, work: &mut VecDeque<Work>, total: &mut Answer) -> Result<()> {
    shared.context.cancel.check()?;
    let width = rayon::current_num_threads() * 2;
    let mut blocks: Vec<Range<usize>> = vec![];
    while blocks.len() < width
        && let Some(Work::Rows(rows)) = work.front()
    {
        blocks.push(rows.clone());
        work.pop_front();
    }
    let done: Vec<Result<(Answer, Range<usize>)>> =
        blocks.into_par_iter().map(|rows| answer(shared, rows)).collect();
    for result in done.into_iter().rev() {
        let (answer, rest) = result?;
        if !rest.is_empty() {
            work.push_front(Work::Rows(rest));
        }
        work.push_front(Work::Done(answer.batches));
        total.n_pairs += answer.n_pairs;
        total.n_without += answer.n_without;
        total.n_several += answer.n_several;
    }
    check_size(total.n_pairs)
}

/// The answer of some left rows, and those left over when there are many pairs.
fn answer(shared: &Shared<'_>, rows: Range<usize>) -> Result<(Answer, Range<usize>)> {
    let (mut left, mut right) = (vec![], vec![]);
    let mut row = rows.start;
    while row < rows.end && right.len() < BLOCK_PAIRS {
        if shared.is_open.as_ref().is_none_or(|open| open.is_valid(row) && open.value(row)) {
            // One row may look at very many others.
            shared.context.cancel.check()?;
            shared.finder.partners(row as u32, &mut right);
            left.resize(right.len(), row as u32);
        }
        row += 1;
    }
    shared.context.cancel.check()?;
    let pairs = kept_pairs((left, right), (&shared.left, &shared.right), shared.residual.as_ref())?;
    Ok((output(shared, rows.start..row, pairs)?, row..rows.end))
}

/// The rows that the pairs of some left rows make.
fn output(shared: &Shared<'_>, rows: Range<usize>, pairs: (Vec<u32>, Vec<u32>)) -> Result<Answer> {
    let mut counts = vec![0u32; rows.len()];
    pairs.0.iter().for_each(|l| counts[*l as usize - rows.start] += 1);
    let mut answer = Answer {
        batches: VecDeque::new(),
        n_pairs: pairs.0.len(),
        n_without: counts.iter().filter(|n| **n == 0).count(),
        n_several: counts.iter().filter(|n| **n > 1).count(),
    };
    if matches!(shared.kind, JoinKind::Semi | JoinKind::Anti) {
        answer.n_pairs = 0;
        let wanted = shared.kind == JoinKind::Semi;
        let keep: BooleanArray = counts.iter().map(|n| Some((*n > 0) == wanted)).collect();
        let slice = shared.left.slice(rows.start, rows.len());
        let kept = arrow_select::filter::filter_record_batch(&slice, &keep).map_err(arrow_error)?;
        if kept.num_rows() > 0 {
            answer.batches.push_back(with_rows(&shared.schema, kept.columns().to_vec(), kept.num_rows())?);
        }
        return Ok(answer);
    }
    let (left, right) = match shared.kind {
        JoinKind::Left => {
            let matched: Vec<bool> = counts.iter().map(|n| *n > 0).collect();
            let (left, right) = with_unmatched(pairs, &matched, rows.start);
            (left.into(), right.into())
        }
        _ => (UInt32Array::from(pairs.0), UInt32Array::from(pairs.1)),
    };
    for start in (0..left.len()).step_by(limits::BATCH_ROWS) {
        let n = limits::BATCH_ROWS.min(left.len() - start);
        let (l, r) = (left.slice(start, n), right.slice(start, n));
        let columns = taken(&shared.left, &l)?.into_iter().chain(taken(&shared.right, &r)?).collect();
        answer.batches.push_back(with_rows(&shared.schema, columns, n)?);
    }
    Ok(answer)
}
