//! ORDER BY: stable, NULLs last unless asked first, both ways.

mod spill;

use std::ops::Range;
use std::sync::{Arc, RwLock};

use arrow_array::{Array, ArrayRef, Scalar, UInt32Array};
use arrow_ord::cmp;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, SortOptions};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use rayon::prelude::*;

use crate::engine::bind::Context;
use crate::engine::budget::{Held, batch_bytes};
use crate::engine::expr::{arrow_error, floats, integers, without_negative_zero};
use crate::engine::plan::SortKey;
use crate::engine::stream::{Rows, Task, Tasks, in_order};
use crate::error::{Error, Result};
use crate::limits;
use crate::model::table::{Batch, Schema, Type};

/// The rows in order of the keys, ties in their old order; only the first `top`.
pub fn sort(batch: &Batch, keys: &[SortKey], top: Option<usize>) -> Result<Batch> {
    let order = order(batch, keys, top)?;
    picked(batch, &order, 0..order.len())
}

/// As [`sort`] for all rows of an input, given back piece by piece; what does not fit the memory is sorted in runs.
pub fn sorted<'a>(
    input: Tasks<'a>,
    how: (&'a [SortKey], Option<usize>),
    of: (&Schema, &'a Context<'a>),
) -> Result<Rows<'a>> {
    let (schema, context) = of;
    let mut held = context.budget.hold("ORDER BY");
    let mut runs = vec![];
    let mut waiting: Vec<Batch> = vec![];
    let mut rows = 0;
    let few = |batch: Batch| {
        let starts = (0..batch.num_rows()).step_by(RUN_STEP_ROWS);
        starts.map(move |start| batch.slice(start, RUN_STEP_ROWS.min(batch.num_rows() - start)))
    };
    let batches = in_order(input, context, Ok).flat_map(|batch| match batch {
        Ok(batch) => few(batch).map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    });
    for batch in batches {
        let batch = batch?;
        // The rows as they came and as one, and then the pieces that go out; beside them the keys.
        let more = 3 * batch_bytes(&batch) + batch.num_rows() * KEY_BYTES;
        rows += batch.num_rows();
        if rows > RUN_MOST_ROWS || held.add(more).is_err() {
            if !waiting.is_empty() && batch.num_columns() > 0 {
                runs.push(spill::Run::write(pieces(std::mem::take(&mut waiting), how, schema)?)?);
                held.set(0)?;
                rows = batch.num_rows();
            }
            held.add(more)?;
        }
        if batch.num_rows() > 0 {
            waiting.push(batch);
        }
    }
    if runs.is_empty() {
        return in_memory(waiting, how, (schema, context, held));
    }
    runs.push(spill::Run::write(pieces(waiting, how, schema)?)?);
    drop(held);
    context.notices.footer(format!("sorted in {} runs on disk", runs.len()));
    Ok(Box::new(spill::Merge::new(runs, &schema.empty(), how, context)?))
}

/// Rows that a run grows by.
const RUN_STEP_ROWS: usize = 8192;
/// Most rows that are sorted at once: their numbers have 32 bits.
const RUN_MOST_ROWS: usize = u32::MAX as usize - limits::BATCH_ROWS;

/// Batches sorted, piece by piece.
fn pieces(
    batches: Vec<Batch>,
    how: (&[SortKey], Option<usize>),
    schema: &Schema,
) -> Result<impl Iterator<Item = Result<Batch>> + use<>> {
    let whole = concat_batches(&schema.arrow(), &batches).map_err(arrow_error)?;
    drop(batches);
    let order = order(&whole, how.0, how.1)?;
    let starts = (0..order.len()).step_by(limits::BATCH_ROWS);
    Ok(starts.map(move |start| picked(&whole, &order, start..(start + limits::BATCH_ROWS).min(order.len()))))
}

fn in_memory<'a>(
    batches: Vec<Batch>,
    how: (&[SortKey], Option<usize>),
    of: (&Schema, &'a Context<'a>, Held<'a>),
) -> Result<Rows<'a>> {
    let (schema, context, held) = of;
    let whole = concat_batches(&schema.arrow(), &batches).map_err(arrow_error)?;
    drop(batches);
    let order = Arc::new(order(&whole, how.0, how.1)?);
    let total = order.len();
    let tasks: Tasks<'a> = Box::new((0..total).step_by(limits::BATCH_ROWS).map(move |start| {
        // What is held is given back with the rows.
        let _ = &held;
        let (batch, order) = (whole.clone(), order.clone());
        let rows = start..(start + limits::BATCH_ROWS).min(total);
        Box::new(move || picked(&batch, &order, rows)) as Task<'a>
    }));
    Ok(Box::new(in_order(tasks, context, Ok)))
}

/// Bytes that sorting takes a row beside the rows: a word of key and a row number, and what the sort moves them with.
const KEY_BYTES: usize = 20;

fn picked(batch: &Batch, order: &[u32], rows: Range<usize>) -> Result<Batch> {
    if batch.num_columns() == 0 {
        return Ok(batch.slice(0, rows.len()));
    }
    take_record_batch(batch, &UInt32Array::from(order[rows].to_vec())).map_err(arrow_error)
}

/// Numbers of the rows in order.
fn order(batch: &Batch, keys: &[SortKey], top: Option<usize>) -> Result<Vec<u32>> {
    let rows = u32::try_from(batch.num_rows()).map_err(|_| Error::Limit {
        what: "ORDER BY".to_owned(),
        limit: format!("{} rows", u32::MAX),
        help: "filter first, or add LIMIT".to_owned(),
    })?;
    let values = keys.iter().map(|k| k.expr.eval(batch)).collect::<Result<Vec<_>>>()?;
    let top = top.unwrap_or(usize::MAX).min(rows as usize);
    if keys.is_empty() {
        return Ok((0..top as u32).collect());
    }
    if let ([key], [values]) = (keys, values.as_slice())
        && let Some(words) = ascending_words(values)?
    {
        return Ok(order_of_words(key, values, words, top));
    }
    let converter = converter(keys, &batch.slice(0, 0))?;
    let values: Vec<ArrayRef> = values.iter().map(without_negative_zero).collect();
    let bytes = converter.convert_columns(&values).map_err(arrow_error)?;
    let mut order: Vec<u32> = (0..rows).collect();
    // The row number as last key makes any sort stable.
    let compare = |a: &u32, b: &u32| bytes.row(*a as usize).cmp(&bytes.row(*b as usize)).then(a.cmp(b));
    if top < order.len() && top > 0 {
        order.select_nth_unstable_by(top - 1, compare);
    }
    order.truncate(top);
    order.par_sort_unstable_by(compare);
    Ok(order)
}

/// Makes keys of rows like these into bytes that stand in their order.
fn converter(keys: &[SortKey], like: &Batch) -> Result<RowConverter> {
    let field = |key: &SortKey| {
        let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
        Ok(SortField::new_with_options(key.expr.eval(like)?.data_type().clone(), options))
    };
    let fields = keys.iter().map(field).collect::<Result<Vec<_>>>()?;
    RowConverter::new(fields).map_err(arrow_error)
}

/// Words that stand in the order of the values; `None` for types that have none.
fn ascending_words(values: &ArrayRef) -> Result<Option<Vec<u64>>> {
    const SIGN: u64 = 1 << 63;
    Ok(match Type::of(values.data_type()) {
        Some(Type::Int | Type::Time | Type::Duration) => {
            Some(integers(values)?.values().iter().map(|v| *v as u64 ^ SIGN).collect())
        }
        Some(Type::Float) => {
            let word = |v: &f64| {
                let bits = (v + 0.0).to_bits();
                if bits & SIGN == 0 { bits ^ SIGN } else { !bits }
            };
            Some(floats(values)?.values().iter().map(word).collect())
        }
        _ => None,
    })
}

fn order_of_words(key: &SortKey, values: &ArrayRef, words: Vec<u64>, top: usize) -> Vec<u32> {
    let word = |w: u64| if key.descending { !w } else { w };
    let mut pairs: Vec<(u64, u32)> = match values.nulls() {
        None => words.into_iter().zip(0..).map(|(w, row)| (word(w), row)).collect(),
        Some(nulls) => nulls.valid_indices().map(|row| (word(words[row]), row as u32)).collect(),
    };
    let nulls: Vec<u32> = match values.nulls() {
        None => vec![],
        Some(nulls) => (0..nulls.len() as u32).filter(|row| nulls.is_null(*row as usize)).collect(),
    };
    let wanted = if key.nulls_first { top.saturating_sub(nulls.len()) } else { top };
    if wanted < pairs.len() && wanted > 0 {
        pairs.select_nth_unstable(wanted - 1);
    }
    pairs.truncate(wanted);
    pairs.par_sort_unstable();
    let rows = pairs.into_iter().map(|(_, row)| row);
    let mut order: Vec<u32> =
        if key.nulls_first { nulls.into_iter().chain(rows).collect() } else { rows.chain(nulls).collect() };
    order.truncate(top);
    order
}

/// The first `top` rows in order, without holding all of them: a row that cannot be among them any more is dropped
/// where it is met.
pub fn first<'a>(
    input: Tasks<'a>,
    how: (&'a [SortKey], usize),
    of: (&Schema, &'a Context<'a>),
) -> Result<Batch> {
    let (keys, top) = how;
    let (schema, context) = of;
    let bound: Arc<RwLock<Option<ArrayRef>>> = Arc::default();
    let seen = bound.clone();
    let batches = in_order(input, context, move |batch| {
        let last = seen.read().ok().and_then(|b| b.clone());
        let batch = if let (Some(last), Some(key)) = (last, keys.first()) {
            before(&batch, key, (last, keys.len() == 1))?
        } else {
            batch
        };
        if batch.num_rows() > top { sort(&batch, keys, Some(top)) } else { Ok(batch) }
    });
    let mut waiting = 0;
    let mut kept: Vec<Batch> = vec![];
    let merged = |kept: &[Batch]| {
        // Kept rows come in input order among equals, so a stable sort of them keeps it.
        let all = concat_batches(&schema.arrow(), kept).map_err(arrow_error)?;
        sort(&all, keys, Some(top))
    };
    let is_last = |batch: &Batch| batch.num_rows() == top && top > 0;
    for batch in batches {
        let batch = batch?;
        waiting += batch.num_rows();
        if batch.num_rows() > 0 {
            kept.push(batch);
        }
        if waiting >= top && waiting > 0 {
            let best = merged(&kept)?;
            if let (true, Some(key), Ok(mut bound)) = (is_last(&best), keys.first(), bound.write()) {
                let last = key.expr.eval(&best.slice(top - 1, 1))?;
                *bound = Some(without_negative_zero(&last)).filter(|l| l.is_valid(0));
            }
            kept = vec![best];
            waiting = 0;
        }
    }
    merged(&kept)
}

/// Rows whose first key is not behind `last`; a later row of equal key is behind when there is no other key.
fn before(batch: &Batch, key: &SortKey, bound: (ArrayRef, bool)) -> Result<Batch> {
    let (last, is_only) = bound;
    let mut values = key.expr.eval(batch)?;
    if !is_only {
        values = without_negative_zero(&values);
    }
    if matches!(values.data_type(), DataType::Null) || last.data_type() != values.data_type() {
        return Ok(batch.clone());
    }
    let last = Scalar::new(last);
    let mask = match (key.descending, is_only) {
        (false, true) => cmp::lt(&values, &last),
        (false, false) => cmp::lt_eq(&values, &last),
        (true, true) => cmp::gt(&values, &last),
        (true, false) => cmp::gt_eq(&values, &last),
    };
    let mut mask = mask.map_err(arrow_error)?;
    if key.nulls_first && values.null_count() > 0 {
        let nulls = arrow_arith::boolean::is_null(&values).map_err(arrow_error)?;
        mask = arrow_arith::boolean::or_kleene(&mask, &nulls).map_err(arrow_error)?;
    }
    arrow_select::filter::filter_record_batch(batch, &mask).map_err(arrow_error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};

    use super::*;
    use crate::engine::expr::Expr;

    #[test]
    fn order_is_stable_and_nulls_are_last_both_ways() {
        let ints: ArrayRef = Arc::new(Int64Array::from(vec![Some(2), None, Some(1), Some(2), None]));
        let floats: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(0.0), None, Some(-7.5), Some(-0.0), None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("b"), None]));
        let cases: [(bool, bool, Option<usize>, &[i64]); 6] = [
            (false, false, None, &[2, 0, 3, 1, 4]),
            (true, false, None, &[0, 3, 2, 1, 4]),
            (true, true, None, &[1, 4, 0, 3, 2]),
            (false, false, Some(2), &[2, 0]),
            (false, true, Some(3), &[1, 4, 2]),
            (false, true, Some(1), &[1]),
        ];
        for key in [ints, floats, texts] {
            let id: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 2, 3, 4]));
            let batch =
                Batch::try_from_iter([("key", key.clone()), ("id", id)]).map_err(arrow_error).unwrap();
            for (descending, nulls_first, top, want) in cases {
                let keys = [SortKey { expr: Expr::Column(0), descending, nulls_first }];
                let sorted = sort(&batch, &keys, top).unwrap();
                assert_eq!(sorted.column(1).as_primitive::<Int64Type>().values(), want, "{key:?}");
            }
        }
    }
}
