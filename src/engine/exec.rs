//! Runs a plan: the one match over [`Plan`]. Rows flow as batches in a defined order; operators that need all rows
//! collect them, the others stream. Threads are used inside operators, never so that the order could change.

use std::sync::Arc;

use arrow_array::RecordBatchOptions;
use arrow_schema::Schema as ArrowSchema;

use super::bind::Context;
use super::budget::batch_bytes;
use super::expr::{Expr, arrow_error};
use super::ops::{aggregate, apply, hash_join, join, matching, relate, scan, sort, timeline};
use super::plan::{Node, Plan};
use super::stream::{Tasks, in_order, ready, then};
use crate::error::{Error, Result};
use crate::index::time::Bounds;
use crate::limits;
use crate::model::table::{Batch, Schema};

pub use super::stream::Rows;

/// One row without columns.
pub fn one_row() -> Result<Batch> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    Batch::try_new_with_options(Arc::new(ArrowSchema::empty()), vec![], &options).map_err(arrow_error)
}

/// All rows of a plan; their memory is the statement's to its end.
pub fn collect(node: &Node, context: &Context<'_>) -> Result<Vec<Batch>> {
    context.install(|| {
        let mut kept = vec![];
        for batch in rows(node, context)? {
            let batch = batch?;
            if batch.num_rows() > 0 {
                context.budget.take(node.plan.holder(), batch_bytes(&batch))?;
                kept.push(batch);
            }
        }
        Ok(kept)
    })
}

/// All rows of a plan as one batch.
pub fn collect_one(node: &Node, context: &Context<'_>) -> Result<Batch> {
    let batches = collect(node, context)?;
    // The parts and the whole are there at the same time.
    let mut held = context.budget.hold(node.plan.holder());
    if batches.len() > 1 {
        held.set(batches.iter().map(batch_bytes).sum())?;
    }
    one(node, batches)
}

/// Several batches as one. Operators that need all rows number them by 32 bits.
pub fn one(node: &Node, batches: Vec<Batch>) -> Result<Batch> {
    if batches.iter().map(Batch::num_rows).sum::<usize>() >= u32::MAX as usize {
        return Err(Error::Limit {
            what: "a table in memory".to_owned(),
            limit: format!("{} rows", u32::MAX),
            help: "filter before this step, or go through the table in parts".to_owned(),
        });
    }
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
        Plan::Scan(_) | Plan::Filter { .. } | Plan::Project { .. } => {
            Ok(Box::new(in_order(work(node, context)?, context, Ok)))
        }
        Plan::Shared(shared) => {
            if shared.rows.get().is_none() {
                let rows = collect(&shared.node, context)?;
                let _ = shared.rows.set(rows);
            }
            let rows = shared.rows.get().map_or(&[][..], |r| r.as_slice());
            Ok(Box::new(rows.iter().cloned().map(Ok)))
        }
        Plan::Aggregate { input, keys, aggregates } => {
            aggregate::aggregate(tasks(input, context)?, keys, aggregates, (&node.schema(), context))
        }
        Plan::Sort { input, keys, top } => match top {
            Some(top) if *top <= limits::BATCH_ROWS => {
                Ok(chunks(sort::first(tasks(input, context)?, (keys, *top), (&input.schema(), context))?))
            }
            _ => sort::sorted(tasks(input, context)?, (keys, *top), (&input.schema(), context)),
        },
        Plan::Limit { input, offset, count } => Ok(limit(rows(input, context)?, *offset, *count)),
        Plan::Distinct(input) => Ok(relate::distinct(tasks(input, context)?, context)),
        Plan::SetOp { kind, all, left, right } => {
            let schema = node.schema();
            let (left, right) = (rows(left, context)?, rows(right, context)?);
            relate::set_op((*kind, *all), left, right, (&schema, context))
        }
        Plan::Join { kind, left, right, on } if hash_join::can(on) => {
            hash_join::join(*kind, (left, right), on, (node.schema(), context))
        }
        Plan::Join { kind, left, right, on } => {
            let (left, right) = (collect_one(left, context)?, collect_one(right, context)?);
            join::pairs::run(*kind, (left, right), on, (&node.schema(), context))
        }
        Plan::Match(plan) => matching::run(plan, node, context),
        Plan::Apply { input, outer, query } => {
            Ok(apply::apply(rows(input, context)?, outer, query, (node.schema(), context)))
        }
        Plan::Gaps { codes, during, longer_ns, tolerance_samples, drift_samples } => {
            let archive = context.tables.archive()?;
            let bounds = Bounds { tolerance_samples: *tolerance_samples, drift_samples: *drift_samples };
            let batch = timeline::gaps(archive, (codes, *during), (*longer_ns, bounds), context)?;
            Ok(chunks(batch))
        }
        Plan::Coverage { codes, during, bin_ns } => {
            let archive = context.tables.archive()?;
            Ok(chunks(timeline::coverage(archive, (codes, *during), *bin_ns, context)?))
        }
        Plan::Pairs { .. } | Plan::Correlate { .. } | Plan::Variability { .. } => {
            Ok(chunks(super::ops::verbs::run(node, context)?))
        }
    }
}

/// The rows of a plan as work to be done: what needs no other rows than its own batch is done by whoever takes the
/// batch up. Where the statement is analysed, the rows of each node are counted first.
pub fn tasks<'a>(node: &'a Node, context: &'a Context<'a>) -> Result<Tasks<'a>> {
    if context.analysis.is_some() { Ok(ready(rows(node, context)?)) } else { work(node, context) }
}

fn work<'a>(node: &'a Node, context: &'a Context<'a>) -> Result<Tasks<'a>> {
    match &node.plan {
        Plan::Scan(plan) => scan::scan(plan, node, context),
        Plan::Filter { input, predicate } => Ok(then(tasks(input, context)?, |batch| {
            let mask = predicate.condition(&batch)?;
            arrow_select::filter::filter_record_batch(&batch, &mask).map_err(arrow_error)
        })),
        Plan::Project { input, exprs } => {
            let schema = Arc::new(node.schema());
            Ok(then(tasks(input, context)?, move |batch| project(&batch, exprs, &schema)))
        }
        _ => Ok(ready(rows(node, context)?)),
    }
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
