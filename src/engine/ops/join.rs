//! JOIN: equal values by hashing, other conditions on the pairs that remain; a loop over all pairs only where no
//! equality is given. Left order is kept, partners come in right order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, UInt32Array};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;

use xxhash_rust::xxh3::xxh3_64;

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
    let finder = Finder::new(left, right, on)?;
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
pub fn kept_pairs(
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
enum Finder {
    /// Without equalities every right row may.
    All(u32),
    /// Those of equal keys.
    ByKey(Box<Table>),
}

/// Rows of both sides by key.
struct Table {
    left: Keys,
    right: Keys,
    /// First right row of each hash; `next` leads on in ascending order.
    heads: HashMap<u64, u32>,
    next: Vec<u32>,
}

/// Keys of the rows of one side; a row with NULL in any part pairs with nothing.
struct Keys {
    keys: arrow_row::Rows,
    hashes: Vec<Option<u64>>,
}

/// No further row.
const END: u32 = u32::MAX;

impl Finder {
    fn new(left: &Batch, right: &Batch, on: &JoinCondition) -> Result<Finder> {
        if on.equal.is_empty() {
            return Ok(Finder::All(right.num_rows() as u32));
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
        let (left, right) = (keys(&converter, &columns.0)?, keys(&converter, &columns.1)?);
        let mut heads = HashMap::with_capacity(right.hashes.len());
        let mut next = vec![END; right.hashes.len()];
        for (row, hash) in right.hashes.iter().enumerate().rev() {
            if let Some(hash) = hash {
                next[row] = heads.insert(*hash, row as u32).unwrap_or(END);
            }
        }
        Ok(Finder::ByKey(Box::new(Table { left, right, heads, next })))
    }

    fn partners(&self, row: u32, block: &mut (Vec<u32>, Vec<u32>)) {
        match self {
            Finder::All(count) => {
                block.0.extend(std::iter::repeat_n(row, *count as usize));
                block.1.extend(0..*count);
            }
            Finder::ByKey(table) => {
                let Table { left, right, heads, next } = &**table;
                let hash = left.hashes.get(row as usize).copied().flatten();
                let mut at = hash.and_then(|h| heads.get(&h)).copied().unwrap_or(END);
                while at != END {
                    if right.keys.row(at as usize).as_ref() == left.keys.row(row as usize).as_ref() {
                        block.0.push(row);
                        block.1.push(at);
                    }
                    at = next[at as usize];
                }
            }
        }
    }
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

fn keys(converter: &RowConverter, columns: &[ArrayRef]) -> Result<Keys> {
    let keys = converter.convert_columns(columns).map_err(arrow_error)?;
    let is_null = |i: usize| columns.iter().any(|c| c.is_null(i) || *c.data_type() == DataType::Null);
    let hashes = keys.iter().enumerate().map(|(i, r)| (!is_null(i)).then(|| xxh3_64(r.as_ref()))).collect();
    Ok(Keys { keys, hashes })
}
