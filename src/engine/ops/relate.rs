//! DISTINCT, UNION, INTERSECT, EXCEPT: rows compared as a whole, NULL equal to NULL.

use std::collections::{HashMap, HashSet};

use arrow_array::BooleanArray;
use arrow_row::{RowConverter, SortField};

use crate::engine::exec::Rows;
use crate::engine::expr::{arrow_error, without_negative_zero};
use crate::error::Result;
use crate::lang::syntax::SetKind;
use crate::model::table::{Batch, Schema};

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
pub fn distinct(input: Rows<'_>) -> Rows<'_> {
    let mut seen: HashSet<Box<[u8]>> = HashSet::new();
    Box::new(input.map(move |batch| {
        let batch = batch?;
        let keys = RowKeys::new(&Schema::from_arrow(&batch.schema()))?.keys(&batch)?;
        filtered(&batch, keys.into_iter().map(|k| seen.insert(k)).collect())
    }))
}

/// UNION, INTERSECT, EXCEPT, with or without ALL; left rows come first and keep their order.
pub fn set_op<'a>(
    how: (SetKind, bool),
    left: Rows<'a>,
    right: Rows<'a>,
    schema: &Schema,
) -> Result<Rows<'a>> {
    let (kind, all) = how;
    if kind == SetKind::Union {
        let both: Rows<'a> = Box::new(left.chain(right));
        return Ok(if all { both } else { distinct(both) });
    }
    let converter = RowKeys::new(schema)?;
    let mut counts: HashMap<Box<[u8]>, usize> = HashMap::new();
    for batch in right {
        for key in converter.keys(&batch?)? {
            *counts.entry(key).or_insert(0) += 1;
        }
    }
    let kept: Rows<'a> = Box::new(left.map(move |batch| {
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
    Ok(if all { kept } else { distinct(kept) })
}
