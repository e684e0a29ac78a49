//! Runs a plan: the one match over [`Plan`]. Rows flow as batches in a defined order; operators that need all rows
//! collect them, the others stream. Threads are used inside operators, never so that the order could change.

use std::sync::Arc;

use arrow_array::RecordBatchOptions;
use arrow_schema::Schema as ArrowSchema;
use rayon::prelude::*;

use super::bind::Context;
use super::expr::{Expr, arrow_error};
use super::ops::{aggregate, apply, archive, join, matching, relate, scan, sort};
use super::plan::{Node, Plan, SortKey};
use crate::error::{Error, Result};
use crate::limits;
use crate::model::table::{Batch, Schema};

/// Batches of a plan, in order.
pub type Rows<'a> = Box<dyn Iterator<Item = Result<Batch>> + Send + 'a>;

/// One row without columns.
pub fn one_row() -> Result<Batch> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    Batch::try_new_with_options(Arc::new(ArrowSchema::empty()), vec![], &options).map_err(arrow_error)
}

/// All rows of a plan.
pub fn collect(node: &Node, context: &Context<'_>) -> Result<Vec<Batch>> {
    rows(node, context)?.filter(|b| b.as_ref().map_or(true, |b| b.num_rows() > 0)).collect()
}

/// All rows of a plan as one batch.
pub fn collect_one(node: &Node, context: &Context<'_>) -> Result<Batch> {
    one(node, collect(node, context)?)
}

/// Several batches as one.
pub fn one(node: &Node, batches: Vec<Batch>) -> Result<Batch> {
    match batches.as_slice() {
        [] => Ok(node.schema().empty()),
        [one] => Ok(one.clone()),
        many => {
            arrow_select::concat::concat_batches(&node.schema().arrow(), many).map_err(|e| Error::Limit {
                what: format!("a table in memory ({e})"),
                limit: "2 GiB of text in one column".to_owned(),
                help: "select fewer columns or rows before this step".to_owned(),
            })
        }
    }
}

/// The rows of a plan; counted where the statement is analysed.
pub fn rows<'a>(node: &'a Node, context: &'a Context<'a>) -> Result<Rows<'a>> {
    match context.analysis {
        Some(analysis) => analysis.watch(node, || start(node, context)),
        None => start(node, context),
    }
}

fn start<'a>(node: &'a Node, context: &'a Context<'a>) -> Result<Rows<'a>> {
    context.cancel.check()?;
    match &node.plan {
        Plan::One => Ok(Box::new(std::iter::once(one_row()))),
        Plan::Rows(batches) => Ok(Box::new(batches.iter().cloned().map(Ok))),
        Plan::Scan(plan) => scan::scan(plan, node, context),
        Plan::Shared(shared) => {
            if shared.rows.get().is_none() {
                let rows = collect(&shared.node, context)?;
                let _ = shared.rows.set(rows);
            }
            let rows = shared.rows.get().map_or(&[][..], |r| r.as_slice());
            Ok(Box::new(rows.iter().cloned().map(Ok)))
        }
        Plan::Filter { input, predicate } => map_parallel(rows(input, context)?, context, |batch| {
            let mask = predicate.condition(&batch)?;
            arrow_select::filter::filter_record_batch(&batch, &mask).map_err(arrow_error)
        }),
        Plan::Project { input, exprs } => {
            let schema = node.schema();
            map_parallel(rows(input, context)?, context, move |batch| project(&batch, exprs, &schema))
        }
        Plan::Aggregate { input, keys, aggregates } => {
            let batch = aggregate::aggregate(rows(input, context)?, keys, aggregates, &node.schema())?;
            Ok(chunks(batch))
        }
        Plan::Sort { input, keys, top } => {
            let batch = match top {
                Some(top) if *top <= limits::BATCH_ROWS => first_rows(input, keys, *top, context)?,
                _ => sort::sort(&collect_one(input, context)?, keys, *top)?,
            };
            Ok(chunks(batch))
        }
        Plan::Limit { input, offset, count } => Ok(limit(rows(input, context)?, *offset, *count)),
        Plan::Distinct(input) => Ok(relate::distinct(rows(input, context)?)),
        Plan::SetOp { kind, all, left, right } => {
            let schema = node.schema();
            let (left, right) = (rows(left, context)?, rows(right, context)?);
            relate::set_op((*kind, *all), left, right, &schema)
        }
        Plan::Join { kind, left, right, on } => {
            let (left, right) = (collect_one(left, context)?, collect_one(right, context)?);
            join::join(*kind, (left, right), on, (&node.schema(), context))
        }
        Plan::Match(plan) => matching::run(plan, node, context),
        Plan::Apply { input, outer, query } => {
            Ok(apply::apply(rows(input, context)?, outer, query, (node.schema(), context)))
        }
        Plan::Gaps { codes, during, longer_ns, tolerance_samples } => {
            let archive = context.tables.archive()?;
            let batch = archive::gaps(archive, (codes, *during), (*longer_ns, *tolerance_samples), context)?;
            Ok(chunks(batch))
        }
        Plan::Coverage { codes, during, bin_ns } => {
            let archive = context.tables.archive()?;
            Ok(chunks(archive::coverage(archive, (codes, *during), *bin_ns, context)?))
        }
        Plan::Pairs { .. } | Plan::Correlate { .. } | Plan::Variability { .. } => {
            Ok(chunks(super::ops::verbs::run(node, context)?))
        }
    }
}

/// The first `top` rows in order, without holding all of them: of each batch only its own first rows stay.
fn first_rows(input: &Node, keys: &[SortKey], top: usize, context: &Context<'_>) -> Result<Batch> {
    let mut kept: Vec<Batch> = vec![];
    let mut waiting = 0;
    for batch in rows(input, context)? {
        let batch = sort::sort(&batch?, keys, Some(top))?;
        waiting += batch.num_rows();
        kept.push(batch);
        if waiting > 8 * limits::BATCH_ROWS {
            context.cancel.check()?;
            // Kept rows come in input order among equals, so a stable sort of them keeps it.
            kept = vec![sort::sort(&one(input, kept)?, keys, Some(top))?];
            waiting = kept.iter().map(Batch::num_rows).sum();
        }
    }
    sort::sort(&one(input, kept)?, keys, Some(top))
}

/// Columns of a projection, in the types of `schema`.
pub fn project(batch: &Batch, exprs: &[Expr], schema: &Schema) -> Result<Batch> {
    let mut columns = vec![];
    for (expr, column) in exprs.iter().zip(&schema.columns) {
        let value = expr.eval(batch)?;
        let value = if value.data_type() == &column.data_type {
            value
        } else {
            arrow_cast::cast(&value, &column.data_type).map_err(arrow_error)?
        };
        columns.push(value);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Batch::try_new_with_options(schema.arrow(), columns, &options).map_err(arrow_error)
}

/// One batch as batches of at most `limits::BATCH_ROWS` rows.
pub fn chunks<'a>(batch: Batch) -> Rows<'a> {
    let rows = batch.num_rows();
    let starts = (0..rows).step_by(limits::BATCH_ROWS);
    Box::new(starts.map(move |start| Ok(batch.slice(start, limits::BATCH_ROWS.min(rows - start)))))
}

/// Applies `f` to some batches at a time on all threads and yields the results in order.
fn map_parallel<'a>(
    input: Rows<'a>,
    context: &'a Context<'a>,
    f: impl Fn(Batch) -> Result<Batch> + Send + Sync + 'a,
) -> Result<Rows<'a>> {
    let width = rayon::current_num_threads() * 2;
    let mut input = input;
    let mut ready: std::collections::VecDeque<Result<Batch>> = std::collections::VecDeque::new();
    Ok(Box::new(std::iter::from_fn(move || {
        if ready.is_empty() {
            if let Err(error) = context.cancel.check() {
                return Some(Err(error));
            }
            let mut batches = vec![];
            for batch in input.by_ref().take(width) {
                match batch {
                    Ok(batch) => batches.push(batch),
                    Err(error) => {
                        ready.push_back(Err(error));
                        break;
                    }
                }
            }
            let done: Vec<Result<Batch>> = match batches.len() {
                0 => vec![],
                1 => batches.into_iter().map(&f).collect(),
                _ => batches.into_par_iter().map(&f).collect(),
            };
            for result in done.into_iter().rev() {
                ready.push_front(result);
            }
        }
        ready.pop_front()
    })))
}

fn limit(input: Rows<'_>, offset: usize, count: Option<usize>) -> Rows<'_> {
    let mut skip = offset;
    let mut left = count.unwrap_or(usize::MAX);
    let mut input = input;
    Box::new(std::iter::from_fn(move || {
        while left > 0 {
            let batch = match input.next()? {
                Ok(batch) => batch,
                Err(error) => return Some(Err(error)),
            };
            let skipped = skip.min(batch.num_rows());
            skip -= skipped;
            let taken = left.min(batch.num_rows() - skipped);
            if taken > 0 {
                left -= taken;
                return Some(Ok(batch.slice(skipped, taken)));
            }
        }
        None
    }))
}
