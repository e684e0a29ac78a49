//! JOIN: equal values by hashing, other conditions on the pairs that remain; a loop over all pairs only where no
//! equality is given. Left order is kept, partners come in right order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, UInt32Array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;

use crate::engine::bind::Context;
use crate::engine::exec::{Rows, chunks};
use crate::engine::expr::{arrow_error, cast, floats, whole, without_negative_zero};
use crate::engine::plan::JoinCondition;
use crate::error::{Error, Result};
use crate::lang::syntax::JoinKind;
use crate::limits;
use crate::model::table::{Batch, Schema, Type};

/// Pairs tested at a time.
const PAIR_BATCH_ROWS: usize = 1 << 20;

/// Joins two batches; `out` is the schema of the result.
pub fn join<'a>(
    kind: JoinKind,
    sides: (Batch, Batch),
    on: &JoinCondition,
    out: (&Schema, &Context<'_>),
) -> Result<Rows<'a>> {
    let (left, right) = &sides;
    let (schema, context) = out;
    let mut finder = Finder::new(left, right, on)?;
    let mut pairs: (Vec<u32>, Vec<u32>) = (vec![], vec![]);
    let mut matched = vec![false; left.num_rows()];
    let mut block: (Vec<u32>, Vec<u32>) = (vec![], vec![]);
    for row in 0..left.num_rows() as u32 {
        finder.partners(row, &mut block);
        if block.0.len() >= PAIR_BATCH_ROWS || row as usize + 1 == left.num_rows() {
            context.cancel.check()?;
            let (l, r) = kept_pairs(&mut block, left, right, on)?;
            l.iter().for_each(|&i| matched[i as usize] = true);
            if !matches!(kind, JoinKind::Semi | JoinKind::Anti) {
                pairs.0.extend(l);
                pairs.1.extend(r);
            }
            check_size(pairs.0.len())?;
        }
    }
    tell(kind, &matched, &pairs.0, context);
    match kind {
        JoinKind::Semi | JoinKind::Anti => {
            let wanted = kind == JoinKind::Semi;
            let keep = matched.iter().map(|m| *m == wanted).collect::<Vec<bool>>();
            let kept = arrow_select::filter::filter_record_batch(left, &keep.into()).map_err(arrow_error)?;
            Ok(chunks(with_rows(schema, kept.columns().to_vec(), kept.num_rows())?))
        }
        _ => {
            let pairs =
                if kind == JoinKind::Left { with_unmatched(pairs, &matched) } else { all_some(pairs) };
            gather(left, right, pairs, schema.clone())
        }
    }
}

fn check_size(pairs: usize) -> Result<()> {
    if pairs <= limits::JOIN_ROWS {
        return Ok(());
    }
    Err(Error::Limit {
        what: "a join".to_owned(),
        limit: format!("{} rows", limits::JOIN_ROWS),
        help: "add a condition, or use SEMI JOIN when only the left rows are wanted".to_owned(),
    })
}

fn tell(kind: JoinKind, matched: &[bool], left: &[u32], context: &Context<'_>) {
    let none = matched.iter().filter(|m| !**m).count();
    let several = left.chunk_by(|a, b| a == b).filter(|c| c.len() > 1).count();
    let mut line = format!("{none} left rows without partner");
    if matches!(kind, JoinKind::Inner | JoinKind::Left) && several > 0 {
        line.push_str(&format!(", {several} with several"));
    }
    context.notices.footer(line);
}

/// Pairs with a right row each.
fn all_some(pairs: (Vec<u32>, Vec<u32>)) -> (Vec<u32>, Vec<Option<u32>>) {
    (pairs.0, pairs.1.into_iter().map(Some).collect())
}

/// Pairs, and left rows without partner at their place.
pub fn with_unmatched(pairs: (Vec<u32>, Vec<u32>), matched: &[bool]) -> (Vec<u32>, Vec<Option<u32>>) {
    let mut all = (vec![], vec![]);
    let mut next = pairs.0.iter().zip(pairs.1).peekable();
    for (row, is_matched) in matched.iter().enumerate() {
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

/// The pairs of a block for which the residual condition is TRUE; empties the block.
fn kept_pairs(
    block: &mut (Vec<u32>, Vec<u32>),
    left: &Batch,
    right: &Batch,
    on: &JoinCondition,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let (l, r) = (std::mem::take(&mut block.0), std::mem::take(&mut block.1));
    let Some(residual) = &on.residual else { return Ok((l, r)) };
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

/// Finds the right rows that may pair with a left row.
struct Finder {
    /// Without equalities every right row may.
    all: Option<u32>,
    left_keys: Vec<Option<Box<[u8]>>>,
    by_key: HashMap<Box<[u8]>, Vec<u32>>,
}

impl Finder {
    fn new(left: &Batch, right: &Batch, on: &JoinCondition) -> Result<Finder> {
        if on.equal.is_empty() {
            let all = Some(right.num_rows() as u32);
            return Ok(Finder { all, left_keys: vec![], by_key: HashMap::new() });
        }
        let mut columns: (Vec<ArrayRef>, Vec<ArrayRef>) = (vec![], vec![]);
        for (l, r) in &on.equal {
            let (l, r) = (l.eval(left)?, r.eval(right)?);
            let kind = key_type(&l, &r);
            columns.0.push(normal(&l, kind)?);
            columns.1.push(normal(&r, kind)?);
        }
        let fields: Vec<SortField> =
            columns.0.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let converter = RowConverter::new(fields).map_err(arrow_error)?;
        let left_keys = keys(&converter, &columns.0)?;
        let mut by_key: HashMap<Box<[u8]>, Vec<u32>> = HashMap::new();
        for (row, key) in keys(&converter, &columns.1)?.into_iter().enumerate() {
            if let Some(key) = key {
                by_key.entry(key).or_default().push(row as u32);
            }
        }
        Ok(Finder { all: None, left_keys, by_key })
    }

    fn partners(&mut self, row: u32, block: &mut (Vec<u32>, Vec<u32>)) {
        if let Some(count) = self.all {
            block.0.extend(std::iter::repeat_n(row, count as usize));
            block.1.extend(0..count);
            return;
        }
        let key = self.left_keys.get(row as usize).and_then(Option::as_ref);
        if let Some(found) = key.and_then(|k| self.by_key.get(k)) {
            block.0.extend(std::iter::repeat_n(row, found.len()));
            block.1.extend(found);
        }
    }
}

fn key_type(l: &ArrayRef, r: &ArrayRef) -> Type {
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
fn normal(array: &ArrayRef, kind: Type) -> Result<ArrayRef> {
    match (Type::of(array.data_type()), kind) {
        (Some(Type::Float), Type::Int) => {
            let values = floats(array)?;
            Ok(Arc::new(values.iter().map(|v| v.and_then(whole)).collect::<Int64Array>()))
        }
        (_, Type::Float) => Ok(without_negative_zero(&cast(array, kind)?)),
        _ => cast(array, kind),
    }
}

/// Row keys; NULL in any part pairs with nothing.
fn keys(converter: &RowConverter, columns: &[ArrayRef]) -> Result<Vec<Option<Box<[u8]>>>> {
    let rows = converter.convert_columns(columns).map_err(arrow_error)?;
    let is_null = |i: usize| columns.iter().any(|c| c.is_null(i) || *c.data_type() == DataType::Null);
    Ok(rows.iter().enumerate().map(|(i, r)| (!is_null(i)).then(|| r.as_ref().into())).collect())
}
