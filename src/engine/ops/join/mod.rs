//! JOIN: equal values by hashing, ranges and distances by an index of the right side (`pairs`), other conditions on
//! the pairs that remain; a loop over all pairs only where nothing else is given. Left order is kept, partners come
//! in right order, those of a distance nearest first.

mod groups;
mod interval;
mod near;
pub mod pairs;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, UInt32Array};

use crate::engine::bind::Context;
use crate::engine::exec::Rows;
use crate::engine::expr::{Expr, arrow_error, cast, floats, whole, without_negative_zero};
use crate::error::{Error, Result};
use crate::lang::syntax::JoinKind;
use crate::limits;
use crate::model::table::{Batch, Schema, Type};

/// Refuses more pairs than `limits::JOIN_ROWS`.
pub fn check_size(pairs: usize) -> Result<()> {
    if pairs <= limits::JOIN_ROWS {
        return Ok(());
    }
    Err(Error::Limit {
        what: "a join".to_owned(),
        limit: format!("{} rows", limits::JOIN_ROWS),
        help: "add a condition, or use SEMI JOIN when only the left rows are wanted".to_owned(),
    })
}

/// The footer of a join: left rows without partner and, where pairs come out, with several.
pub fn tell(kind: JoinKind, counts: (usize, usize), context: &Context<'_>) {
    let (none, several) = counts;
    let mut line = format!("{none} left rows without partner");
    if matches!(kind, JoinKind::Inner | JoinKind::Left) && several > 0 {
        line.push_str(&format!(", {several} with several"));
    }
    context.notices.footer(line);
}

/// Pairs, and left rows without partner at their place; `matched` tells of the left rows from `first` on.
pub fn with_unmatched(
    pairs: (Vec<u32>, Vec<u32>),
    matched: &[bool],
    first: usize,
) -> (Vec<u32>, Vec<Option<u32>>) {
    let mut all = (vec![], vec![]);
    let mut next = pairs.0.iter().zip(pairs.1).peekable();
    for (row, is_matched) in (first..).zip(matched) {
        if !is_matched {
            all.0.push(row as u32);
            all.1.push(None);
        }
        while let Some((l, r)) = next.next_if(|(l, _)| **l as usize == row) {
            all.0.push(*l);
            all.1.push(Some(r));
        }
    }
    all
}

/// Left and right columns of the pairs, batch by batch.
pub fn gather<'a>(
    left: &Batch,
    right: &Batch,
    pairs: (Vec<u32>, Vec<Option<u32>>),
    schema: Schema,
) -> Result<Rows<'a>> {
    let (left, right) = (left.clone(), right.clone());
    let total = pairs.0.len();
    let starts = (0..total).step_by(limits::BATCH_ROWS);
    Ok(Box::new(starts.map(move |start| {
        let range = start..(start + limits::BATCH_ROWS).min(total);
        let l = UInt32Array::from(pairs.0[range.clone()].to_vec());
        let r = UInt32Array::from(pairs.1[range].to_vec());
        let columns = taken(&left, &l)?.into_iter().chain(taken(&right, &r)?).collect();
        with_rows(&schema, columns, l.len())
    })))
}

/// Rows of a batch by number; NULL rows for NULL numbers.
pub fn taken(batch: &Batch, rows: &UInt32Array) -> Result<Vec<ArrayRef>> {
    batch.columns().iter().map(|c| arrow_select::take::take(c, rows, None).map_err(arrow_error)).collect()
}

/// A batch that may have no columns.
pub fn with_rows(schema: &Schema, columns: Vec<ArrayRef>, rows: usize) -> Result<Batch> {
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    Batch::try_new_with_options(schema.arrow(), columns, &options).map_err(arrow_error)
}

/// The pairs of a block for which the condition (over left, then right columns) is TRUE.
pub fn kept_pairs(
    block: (Vec<u32>, Vec<u32>),
    sides: (&Batch, &Batch),
    residual: Option<&Expr>,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let ((l, r), (left, right)) = (block, sides);
    let Some(residual) = residual else { return Ok((l, r)) };
    let mut used = vec![];
    residual.columns(&mut |i| used.push(i));
    used.sort_unstable();
    used.dedup();
    let width = left.num_columns();
    let (rows_l, rows_r) = (UInt32Array::from(l), UInt32Array::from(r));
    let mut fields = vec![];
    let mut columns = vec![];
    for &i in &used {
        let (column, rows) =
            if i < width { (left.column(i), &rows_l) } else { (right.column(i - width), &rows_r) };
        fields.push(arrow_schema::Field::new(format!("c{i}"), column.data_type().clone(), true));
        columns.push(arrow_select::take::take(column, rows, None).map_err(arrow_error)?);
    }
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows_l.len()));
    let schema = std::sync::Arc::new(arrow_schema::Schema::new(fields));
    let batch = Batch::try_new_with_options(schema, columns, &options).map_err(arrow_error)?;
    let place = |i: usize| used.binary_search(&i).unwrap_or(0);
    let mask = residual.clone().renumbered(&place).condition(&batch)?;
    let kept = |rows: &UInt32Array| -> Vec<u32> {
        let pairs = rows.values().iter().zip(mask.iter());
        pairs.filter(|(_, keep)| *keep == Some(true)).map(|(row, _)| *row).collect()
    };
    Ok((kept(&rows_l), kept(&rows_r)))
}

/// The type in which two columns are compared.
pub fn key_type(l: &ArrayRef, r: &ArrayRef) -> Type {
    let kind = |a: &ArrayRef| Type::of(a.data_type()).unwrap_or(Type::Null);
    match (kind(l), kind(r)) {
        (Type::Null, other) | (other, Type::Null) => other,
        (a, b) if a == b => a,
        // INT against FLOAT: only whole floats can be equal, and those are compared as integers.
        _ => Type::Int,
    }
}

/// The widest type of the kind, -0 made 0: equal values have equal bytes. A float that is no integer is NULL among
/// integers: it equals none.
pub fn normal(array: &ArrayRef, kind: Type) -> Result<ArrayRef> {
    match (Type::of(array.data_type()), kind) {
        (Some(Type::Float), Type::Int) => {
            let values = floats(array)?;
            Ok(Arc::new(values.iter().map(|v| v.and_then(whole)).collect::<Int64Array>()))
        }
        (_, Type::Float) => Ok(without_negative_zero(&cast(array, kind)?)),
        _ => cast(array, kind),
    }
}
