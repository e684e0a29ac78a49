//! DISTINCT, UNION, INTERSECT, EXCEPT: rows compared as a whole, NULL equal to NULL.

use std::sync::{Arc, OnceLock};

use arrow_array::BooleanArray;
use arrow_row::{RowConverter, SortField};

use super::group::{BlockKeys, Layout, PARTITIONS, Partition};
use super::hash::ByRow;
use crate::engine::bind::Context;
use crate::engine::expr::{arrow_error, without_negative_zero};
use crate::engine::stream::{Rows, Tasks, in_order, ready};
use crate::error::Result;
use crate::lang::syntax::SetKind;
use crate::model::table::{Batch, Schema};

/// Bytes of an entry of a table by key, beside the key.
const ENTRY_BYTES: usize = 48;

/// Rows as byte strings that are equal when the rows are.
pub struct RowKeys(RowConverter);

impl RowKeys {
    /// For batches of these columns.
    pub fn new(schema: &Schema) -> Result<RowKeys> {
        let fields = schema.columns.iter().map(|c| SortField::new(c.data_type.clone())).collect();
        Ok(RowKeys(RowConverter::new(fields).map_err(arrow_error)?))
    }

    /// One key a row.
    pub fn keys(&self, batch: &Batch) -> Result<Vec<Box<[u8]>>> {
        let columns: Vec<_> = batch.columns().iter().map(without_negative_zero).collect();
        let rows = self.0.convert_columns(&columns).map_err(arrow_error)?;
        Ok(rows.iter().map(|r| r.as_ref().into()).collect())
    }
}

fn filtered(batch: &Batch, keep: Vec<bool>) -> Result<Batch> {
    arrow_select::filter::filter_record_batch(batch, &BooleanArray::from(keep)).map_err(arrow_error)
}

/// Each row once, at its first place.
pub fn distinct<'a>(input: Tasks<'a>, context: &'a Context<'a>) -> Rows<'a> {
    let layout: Arc<OnceLock<Layout>> = Arc::default();
    let known = layout.clone();
    let blocks = in_order(input, context, move |batch| {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        if known.get().is_none() {
            let _ = known.set(Layout::new(batch.columns())?);
        }
        let keys = known.get().map(|layout| BlockKeys::new(batch.columns(), layout, false)).transpose()?;
        Ok(keys.map(|keys| (batch, keys)))
    });
    let mut parts: Vec<Partition> = vec![];
    let mut held = context.budget.hold("DISTINCT");
    let mut start = 0;
    Box::new(blocks.filter_map(Result::transpose).map(move |block| {
        let (batch, keys) = block?;
        if let (true, Some(layout)) = (parts.is_empty(), layout.get()) {
            parts = (0..PARTITIONS).map(|_| Partition::new(layout)).collect();
        }
        let mut keep = vec![false; batch.num_rows()];
        for (p, part) in parts.iter_mut().enumerate() {
            for (group, number) in keys.of_partition(p).iter().zip(part.place(&keys, p, start)?) {
                let first = keys.firsts[*group as usize];
                keep[first as usize] = part.firsts[number as usize] == start + u64::from(first);
            }
        }
        start += batch.num_rows() as u64;
        held.set(parts.iter().map(Partition::bytes).sum())?;
        filtered(&batch, keep)
    }))
}

/// UNION, INTERSECT, EXCEPT, with or without ALL; left rows come first and keep their order.
pub fn set_op<'a>(
    how: (SetKind, bool),
    left: Rows<'a>,
    right: Rows<'a>,
    of: (&Schema, &'a Context<'a>),
) -> Result<Rows<'a>> {
    let (kind, all) = how;
    let (schema, context) = of;
    if kind == SetKind::Union {
        let both: Rows<'a> = Box::new(left.chain(right));
        return Ok(if all { both } else { distinct(ready(both), context) });
    }
    let converter = RowKeys::new(schema)?;
    let mut counts: ByRow<Box<[u8]>, usize> = ByRow::default();
    let mut held = context.budget.hold("INTERSECT or EXCEPT");
    for batch in right {
        let batch = batch?;
        context.cancel.check()?;
        for key in converter.keys(&batch)? {
            held.add(key.len() + ENTRY_BYTES)?;
            *counts.entry(key).or_insert(0) += 1;
        }
    }
    let kept: Rows<'a> = Box::new(left.map(move |batch| {
        // What is held is given back with the rows.
        let _ = &held;
        let batch = batch?;
        let keys = converter.keys(&batch)?;
        let keep = keys.into_iter().map(|key| {
            let count = counts.get_mut(&key).filter(|c| **c > 0);
            let is_there = count.is_some();
            if let Some(count) = count.filter(|_| all) {
                *count -= 1;
            }
            is_there == (kind == SetKind::Intersect)
        });
        filtered(&batch, keep.collect())
    }));
    Ok(if all { kept } else { distinct(ready(kept), context) })
}
