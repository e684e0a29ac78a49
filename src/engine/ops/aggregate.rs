//! GROUP BY: groups in the order of their first row. The input is cut into blocks of a fixed number of rows; each block
//! is grouped and added up on its own, on any thread, and the blocks are added in their order. So a result depends
//! neither on threads nor on how the rows were batched.

pub mod state;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, DurationNanosecondArray, Int64Array, RecordBatchOptions};
use arrow_schema::{DataType, Field};
use arrow_select::concat::concat_batches;
use arrow_select::interleave::interleave;
use rayon::prelude::*;

use self::state::{Placed, State};
use super::group::{BlockKeys, Layout, PARTITIONS, Partition, in_row_order};
use crate::engine::bind::Context;
use crate::engine::budget::Held;
use crate::engine::expr::{Expr, arrow_error, cast};
use crate::engine::plan::{Aggregate, AggregateFunction as F};
use crate::engine::stream::{Blocks, Rows, Tasks, in_order, ready};
use crate::error::Result;
use crate::limits;
use crate::model::table::{Batch, Schema, Type};

/// Rows of a block.
const BLOCK_ROWS: usize = limits::BATCH_ROWS;
/// Blocks grouped at a time, for each thread.
const BLOCKS_PER_THREAD: usize = 8;

/// One row a group: the keys, then the aggregates. Without keys there is one group, also of nothing.
pub fn aggregate<'a>(
    input: Tasks<'a>,
    keys: &[Expr],
    aggregates: &[Aggregate],
    how: (&Schema, &'a Context<'a>),
) -> Result<Rows<'a>> {
    let (out, context) = how;
    let plain = aggregates.iter().filter(|a| !needs_distinct(a)).cloned().collect();
    let mut main = Table::new(keys.to_vec(), plain);
    let mut distinct: Vec<Table> =
        aggregates.iter().filter(|a| needs_distinct(a)).map(|a| Table::of_distinct(keys, a)).collect();
    let mut held = context.budget.hold("GROUP BY");
    let mut blocks = Blocks::new(in_order(input, context, Ok), BLOCK_ROWS);
    let width = rayon::current_num_threads() * BLOCKS_PER_THREAD;
    loop {
        context.cancel.check()?;
        let window = blocks.by_ref().take(width).collect::<Result<Vec<_>>>()?;
        if window.is_empty() {
            break;
        }
        std::iter::once(&mut main).chain(&mut distinct).try_for_each(|table| table.add(&window))?;
        held.set(main.bytes() + distinct.iter().map(Table::bytes).sum::<usize>())?;
    }
    finish(main, distinct, (aggregates, out, context), held)
}

/// MIN and MAX are the same of each value once.
fn needs_distinct(aggregate: &Aggregate) -> bool {
    aggregate.distinct && !matches!(aggregate.function, F::Min | F::Max)
}

/// Puts the tables together: plain aggregates stand in `main`, each distinct one in its own table.
fn finish<'a>(
    main: Table,
    distinct: Vec<Table>,
    how: (&[Aggregate], &Schema, &'a Context<'a>),
    mut held: Held<'a>,
) -> Result<Rows<'a>> {
    let (aggregates, out, context) = how;
    let keys = main.keys.len();
    let kinds: Vec<Type> = out.columns.iter().skip(keys).map(|c| c.kind()).collect();
    let mut apart = distinct.into_iter();
    let mut single = vec![];
    for aggregate in aggregates.iter().filter(|a| needs_distinct(a)) {
        let values = apart.next().map(|table| distinct_values(table, aggregate, (keys, out), context));
        single.push(values.transpose()?);
    }
    let order = main.order();
    let (groups, columns) = main.finish((&kinds, aggregates), out, context)?;
    held.set(columns.iter().flatten().map(|c| c.get_array_memory_size()).sum::<usize>() + groups * 16)?;
    let schema = out.clone();
    let is_plain: Vec<bool> =
        (0..keys).map(|_| true).chain(aggregates.iter().map(|a| !needs_distinct(a))).collect();
    Ok(Box::new((0..groups).step_by(limits::BATCH_ROWS).map(move |start| {
        // What is held is given back with the rows.
        let _ = &held;
        let rows = start..(start + limits::BATCH_ROWS).min(groups);
        let mut plain = columns.iter();
        let mut others = single.iter();
        let mut arrays = vec![];
        for (column, is_plain) in schema.columns.iter().zip(&is_plain) {
            let value = if *is_plain {
                plain.next().map(|parts| picked(parts, &order, rows.clone())).transpose()?
            } else {
                others.next().and_then(|v| v.as_ref()).map(|v| v.slice(start, rows.len()))
            };
            let value = value.unwrap_or_else(|| arrow_array::new_null_array(&column.data_type, rows.len()));
            arrays.push(in_type(value, &column.data_type)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Batch::try_new_with_options(schema.arrow(), arrays, &options).map_err(arrow_error)
    })))
}

/// Some groups of a column that lies in partitions; without an order there is one group.
fn picked(parts: &[ArrayRef], order: &[(usize, usize)], rows: std::ops::Range<usize>) -> Result<ArrayRef> {
    match (parts, order) {
        ([one], []) => Ok(one.slice(rows.start, rows.len())),
        _ => {
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            interleave(&parts, &order[rows]).map_err(arrow_error)
        }
    }
}

fn in_type(value: ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    match (value.data_type(), data_type) {
        (have, want) if have == want => Ok(value),
        (DataType::Float64, DataType::Duration(_)) => {
            let ns = value.as_primitive::<Float64Type>().iter().map(|v| v.map(|v| v.round() as i64));
            Ok(Arc::new(ns.collect::<DurationNanosecondArray>()))
        }
        _ => arrow_cast::cast(&value, data_type).map_err(arrow_error),
    }
}

/// The aggregate of each group over the rows of a table that holds each (keys, arguments) once, in group order.
fn distinct_values(
    table: Table,
    aggregate: &Aggregate,
    of: (usize, &Schema),
    context: &Context<'_>,
) -> Result<ArrayRef> {
    let (keys, out) = of;
    if let Some(count) = table.count_of_values().filter(|_| keys == 0 && aggregate.function == F::Count) {
        return Ok(Arc::new(Int64Array::from(vec![count])));
    }
    let order = table.order();
    let width = table.keys.len();
    let (groups, columns) = table.finish((&[], &[]), out, context)?;
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(i, parts)| {
            let data_type = parts.first().map_or(DataType::Null, |p| p.data_type().clone());
            Field::new(format!("c{i}"), data_type, true)
        })
        .collect();
    let schema = Arc::new(arrow_schema::Schema::new(fields));
    let rows: Rows<'_> = Box::new((0..groups).step_by(limits::BATCH_ROWS).map(|start| {
        let rows = start..(start + limits::BATCH_ROWS).min(groups);
        let arrays = columns.iter().map(|parts| picked(parts, &order, rows.clone()));
        Batch::try_new(schema.clone(), arrays.collect::<Result<_>>()?).map_err(arrow_error)
    }));
    let args = (keys..width).map(Expr::Column).collect();
    let plain = Aggregate { function: aggregate.function, args, distinct: false };
    let again = Table::new((0..keys).map(Expr::Column).collect(), vec![plain.clone()]);
    let kind = fields_kind(&schema, width);
    let again = rows.collect::<Result<Vec<_>>>().and_then(|batches| summed(again, batches, context))?;
    let order = again.order();
    let (_, columns) = again.finish((&[kind], &[plain]), out, context)?;
    picked(columns.last().map_or(&[], Vec::as_slice), &order, 0..order.len().max(usize::from(keys == 0)))
}

fn fields_kind(schema: &arrow_schema::Schema, width: usize) -> Type {
    let last = width.checked_sub(1).and_then(|i| schema.fields().get(i));
    last.and_then(|f| Type::of(f.data_type())).unwrap_or(Type::Null)
}

fn summed(mut table: Table, batches: Vec<Batch>, context: &Context<'_>) -> Result<Table> {
    let tasks = ready(Box::new(batches.into_iter().map(Ok)));
    for block in Blocks::new(in_order(tasks, context, Ok), BLOCK_ROWS) {
        table.add(&[block?])?;
    }
    Ok(table)
}

/// Groups of certain keys and their aggregates.
struct Table {
    keys: Vec<Expr>,
    aggregates: Vec<Aggregate>,
    layout: Option<Layout>,
    parts: Vec<Part>,
    rows: u64,
    /// Nothing is added up, and most keys come once: blocks need not look for equal ones.
    is_loose: bool,
}

/// The groups of one partition, or the one group of a table without keys.
struct Part {
    groups: Option<Partition>,
    states: Vec<State>,
}

/// A block, grouped and added up.
struct Block {
    keys: Option<BlockKeys>,
    states: Vec<State>,
    rows: usize,
}

impl Table {
    fn new(keys: Vec<Expr>, aggregates: Vec<Aggregate>) -> Table {
        Table { keys, aggregates, layout: None, parts: vec![], rows: 0, is_loose: false }
    }

    /// Each value of a distinct aggregate once, by group.
    fn of_distinct(keys: &[Expr], aggregate: &Aggregate) -> Table {
        Table::new(keys.iter().chain(&aggregate.args).cloned().collect(), vec![])
    }

    fn bytes(&self) -> usize {
        let part = |p: &Part| {
            p.groups.as_ref().map_or(0, Partition::bytes) + p.states.iter().map(State::bytes).sum::<usize>()
        };
        self.parts.iter().map(part).sum()
    }

    /// Adds blocks that follow on those before.
    fn add(&mut self, window: &[Vec<Batch>]) -> Result<()> {
        if self.layout.is_none()
            && let Some(first) = window.first().and_then(|b| b.first())
        {
            let layout = Layout::new(&self.key_columns(&first.slice(0, 1))?)?;
            let parts = if self.keys.is_empty() { 1 } else { PARTITIONS };
            let groups = || (!self.keys.is_empty()).then(|| Partition::new(&layout));
            self.parts = (0..parts).map(|_| Part { groups: groups(), states: vec![] }).collect();
            self.layout = Some(layout);
        }
        let Some(layout) = &self.layout else { return Ok(()) };
        let blocks: Vec<Block> =
            window.par_iter().map(|block| self.block(block, layout)).collect::<Result<_>>()?;
        let groups: usize = blocks.iter().filter_map(|b| b.keys.as_ref()).map(|k| k.firsts.len()).sum();
        let rows: usize = blocks.iter().map(|b| b.rows).sum();
        self.is_loose = self.aggregates.is_empty() && groups > rows / 2;
        let start = self.rows;
        self.parts.par_iter_mut().enumerate().try_for_each(|(p, part)| part.take(p, &blocks, start))?;
        self.rows += rows as u64;
        Ok(())
    }

    fn key_columns(&self, batch: &Batch) -> Result<Vec<ArrayRef>> {
        // DISTINCT compares values, not how widely they are stored.
        let value = |key: &Expr| {
            let value = key.eval(batch)?;
            if self.aggregates.is_empty() { widest(&value) } else { Ok(value) }
        };
        self.keys.iter().map(value).collect()
    }

    fn block(&self, block: &[Batch], layout: &Layout) -> Result<Block> {
        let batch = match block {
            [one] => one.clone(),
            many => concat_batches(&many[0].schema(), many).map_err(arrow_error)?,
        };
        let rows = batch.num_rows();
        let keys = match self.keys.is_empty() {
            true => None,
            false => Some(BlockKeys::new(&self.key_columns(&batch)?, layout, self.is_loose)?),
        };
        let groups = keys.as_ref().map_or(1, |k| k.firsts.len());
        let mut states = vec![];
        let whole = if keys.is_none() { vec![0; rows] } else { vec![] };
        for aggregate in &self.aggregates {
            let args = aggregate.args.iter().map(|a| a.eval(&batch)).collect::<Result<Vec<_>>>()?;
            let kind = args.last().and_then(|a| Type::of(a.data_type())).unwrap_or(Type::Null);
            let mut state = State::of(aggregate.function, kind);
            state.resize(groups);
            state.add(&args, keys.as_ref().map_or(&whole, |k| &k.ids))?;
            states.push(state);
        }
        Ok(Block { keys, states, rows })
    }

    /// Number of values that are not NULL, of a table with one key, where that is known.
    fn count_of_values(&self) -> Option<i64> {
        let is_fixed = self.layout.as_ref().is_none_or(Layout::is_fixed);
        let groups = || self.parts.iter().filter_map(|p| p.groups.as_ref());
        let count: usize = groups().map(|g| g.firsts.len() - usize::from(g.has_null())).sum();
        (is_fixed && self.keys.len() == 1).then_some(count as i64)
    }

    /// Partition and number of each group, in the order of the groups; nothing without keys.
    fn order(&self) -> Vec<(usize, usize)> {
        let firsts: Vec<&[u64]> =
            self.parts.iter().filter_map(|p| p.groups.as_ref()).map(|g| g.firsts.as_slice()).collect();
        in_row_order(&firsts, self.rows)
    }

    /// Number of groups, and each column (keys, then aggregates) by partition.
    fn finish(
        mut self,
        of: (&[Type], &[Aggregate]),
        out: &Schema,
        context: &Context<'_>,
    ) -> Result<(usize, Vec<Vec<ArrayRef>>)> {
        let (kinds, all) = of;
        let keys = self.keys.len();
        if self.parts.is_empty() {
            let plain = all.iter().zip(kinds).filter(|(a, _)| !needs_distinct(a));
            let states: Vec<State> = plain.map(|(a, kind)| State::of(a.function, *kind)).collect();
            self.parts.push(Part { groups: None, states });
        }
        let groups = match keys {
            0 => 1,
            _ => self.parts.iter().filter_map(|p| p.groups.as_ref()).map(|g| g.firsts.len()).sum(),
        };
        let layout = self.layout;
        let parts: Vec<Vec<ArrayRef>> = self
            .parts
            .into_par_iter()
            .map(|part| {
                context.cancel.check()?;
                let rows = part.groups.as_ref().map_or(usize::from(keys == 0), |g| g.firsts.len());
                let mut columns = match (part.groups, &layout) {
                    (Some(groups), Some(layout)) => groups.columns(layout)?,
                    _ => out.empty().columns().iter().take(keys).cloned().collect(),
                };
                for mut state in part.states {
                    state.resize(rows);
                    columns.push(state.finish()?);
                }
                Ok(columns)
            })
            .collect::<Result<_>>()?;
        let width = parts.iter().map(Vec::len).max().unwrap_or(0);
        let column = |c: usize| parts.iter().filter_map(|p| p.get(c).cloned()).collect();
        Ok((groups, (0..width).map(column).collect()))
    }
}

/// A value as wide as its type can be.
fn widest(value: &ArrayRef) -> Result<ArrayRef> {
    Type::of(value.data_type()).map_or_else(|| Ok(value.clone()), |kind| cast(value, kind))
}

impl Part {
    /// Takes up the groups of blocks that belong here, block by block.
    fn take(&mut self, partition: usize, blocks: &[Block], mut start: u64) -> Result<()> {
        for block in blocks {
            let numbers;
            let placed = match (&mut self.groups, &block.keys) {
                (Some(groups), Some(keys)) => {
                    numbers = groups.place(keys, partition, start)?;
                    Placed { from: keys.of_partition(partition), to: &numbers }
                }
                _ => Placed { from: &[0], to: &[0] },
            };
            if self.states.is_empty() {
                self.states = block.states.iter().map(State::empty).collect();
            }
            let groups = self.groups.as_ref().map_or(1, |g| g.firsts.len());
            for (state, other) in self.states.iter_mut().zip(&block.states) {
                state.resize(groups);
                state.merge(other, placed);
            }
            start += block.rows as u64;
        }
        Ok(())
    }
}
