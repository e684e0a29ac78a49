//! JOIN on equal values. The rows of the right side lie by key; left rows are looked up as they come, block by block
//! on all threads, and the pairs of some of them at a time become rows. Where the left side is the smaller one, the
//! right side is first reduced to the rows that have a partner. Left order is kept, partners come in right order.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::NullBuffer;
use arrow_select::filter::filter_record_batch;
use rayon::prelude::*;

use super::group::words::Words;
use super::group::{BlockKeys, Layout, PARTITIONS, Partition};
use super::join::{check_size, kept_pairs, key_type, normal, taken, tell, with_rows, with_unmatched};
use crate::engine::bind::Context;
use crate::engine::budget::batch_bytes;
use crate::engine::exec::{chunks, collect_one, one, tasks};
use crate::engine::expr::{Expr, arrow_error};
use crate::engine::plan::{JoinCondition, Node, Plan};
use crate::engine::stream::{Rows, Task, Tasks, in_order, ready};
use crate::error::{Error, Result};
use crate::lang::syntax::JoinKind;
use crate::limits;
use crate::model::table::{Batch, Schema, Type};

/// No group: a key that the other side does not have, or NULL.
const NONE: u32 = u32::MAX;

/// Are equalities all that finds the pairs? Bounds and distances within groups of equal keys have their own index.
pub fn can(on: &JoinCondition) -> bool {
    !on.equal.is_empty() && on.interval.is_none() && on.near.is_none()
}

/// Joins two inputs; `out` is the schema of the result.
pub fn join<'a>(
    kind: JoinKind,
    sides: (&'a Node, &'a Node),
    on: &'a JoinCondition,
    out: (Schema, &'a Context<'a>),
) -> Result<Rows<'a>> {
    let (left, right) = sides;
    let (schema, context) = out;
    let keys = KeyTypes::new(sides, on)?;
    let is_left_smaller = match (rows_at_most(left, context), rows_at_most(right, context)) {
        (Some(l), Some(r)) => l < r / 2,
        _ => false,
    };
    let (lookup, rows, input) = if is_left_smaller {
        let left = collect_one(left, context)?;
        let (table, groups) = Table::build(&keys.columns(&left, 0)?, left.num_rows(), context)?;
        let (rows, right_groups) = partners_of(&table, right, &keys, context)?;
        let partners = Partners::new(&right_groups, table.groups());
        (Lookup { groups: Groups::Known(groups), partners }, rows, ready(chunks(left)))
    } else {
        let rows = collect_one(right, context)?;
        let (table, groups) = Table::build(&keys.columns(&rows, 1)?, rows.num_rows(), context)?;
        let partners = Partners::new(&groups, table.groups());
        drop(groups);
        (Lookup { groups: Groups::ByKey(Box::new(table)), partners }, rows, tasks(left, context)?)
    };
    let side = Arc::new(Side { kind, on, keys, lookup, rows, schema, counts: Counts::default() });
    Ok(side.rows_of(input, context))
}

/// Rows of a plan, where a bound is known before it runs.
fn rows_at_most(node: &Node, context: &Context<'_>) -> Option<usize> {
    match &node.plan {
        Plan::One => Some(1),
        Plan::Rows(batches) => Some(batches.iter().map(Batch::num_rows).sum()),
        Plan::Scan(scan) => context.tables.find(&scan.table)?.rows.and_then(|r| usize::try_from(r).ok()),
        Plan::Filter { input, .. } | Plan::Project { input, .. } | Plan::Aggregate { input, .. } => {
            rows_at_most(input, context)
        }
        Plan::Sort { input, top, .. } => Some(rows_at_most(input, context)?.min(top.unwrap_or(usize::MAX))),
        Plan::Limit { input, count, .. } => {
            let most = rows_at_most(input, context).unwrap_or(usize::MAX).min(count.unwrap_or(usize::MAX));
            (most < usize::MAX).then_some(most)
        }
        Plan::Distinct(input) => rows_at_most(input, context),
        Plan::Shared(shared) => match shared.rows.get() {
            Some(rows) => Some(rows.iter().map(Batch::num_rows).sum()),
            None => rows_at_most(&shared.node, context),
        },
        _ => None,
    }
}

/// The expressions of both sides' keys, and the types in which they are compared.
struct KeyTypes<'a> {
    equal: &'a [(Expr, Expr)],
    kinds: Vec<Type>,
}

impl<'a> KeyTypes<'a> {
    fn new(sides: (&Node, &Node), on: &'a JoinCondition) -> Result<KeyTypes<'a>> {
        let (left, right) = (sides.0.schema().empty(), sides.1.schema().empty());
        let kind = |(l, r): &(Expr, Expr)| Ok(key_type(&l.eval(&left)?, &r.eval(&right)?));
        let kinds = on.equal.iter().map(kind).collect::<Result<_>>()?;
        Ok(KeyTypes { equal: &on.equal, kinds })
    }

    /// The keys of some rows of side 0 or 1.
    fn columns(&self, rows: &Batch, side: usize) -> Result<Vec<ArrayRef>> {
        let value = |((l, r), kind): (&(Expr, Expr), &Type)| {
            normal(&(if side == 0 { l } else { r }).eval(rows)?, *kind)
        };
        self.equal.iter().zip(&self.kinds).map(value).collect()
    }
}

/// A NULL in any part of a key pairs with nothing.
fn nulls_of(columns: &[ArrayRef]) -> Option<NullBuffer> {
    let nulls = columns.iter().fold(None, |nulls: Option<NullBuffer>, c| {
        NullBuffer::union(nulls.as_ref(), c.logical_nulls().as_ref())
    });
    nulls.filter(|n| n.null_count() > 0)
}

/// The different keys of one side. A group is the number of a key: number within its partition, times
/// `PARTITIONS`, plus partition.
struct Table {
    layout: Layout,
    parts: Vec<Partition>,
    /// A Bloom filter in words (Putze, Sanders and Singler 2009): three bits of one word for each hash that is there, of
    /// about `FILTER_BITS` for each key. Most keys that are not there are known by it, in little memory.
    filter: Vec<u64>,
}

/// Bits of the filter for each key.
const FILTER_BITS: usize = 16;
/// Rows looked up at a time.
const FIND_ROWS: usize = 512;

/// Word of a hash in a filter of `words` words (a power of two), and its bits there.
fn filter_bits(words: usize, hash: u64) -> (usize, u64) {
    let bit = |shift: u32| 1 << (hash >> shift & 63);
    ((hash >> 24) as usize & (words - 1), bit(6) | bit(12) | bit(18))
}

fn filter_of(blocks: &[BlockKeys], keys: usize) -> Vec<u64> {
    let mut filter = vec![0; (keys * FILTER_BITS / 64).next_power_of_two()];
    for hash in blocks.iter().flat_map(|b| &b.hashes) {
        let (word, bits) = filter_bits(filter.len(), *hash);
        filter[word] |= bits;
    }
    filter
}

impl Table {
    /// Of the keys of all rows; and the group of each row.
    fn build(columns: &[ArrayRef], rows: usize, context: &Context<'_>) -> Result<(Table, Vec<u32>)> {
        let layout = Layout::new(columns)?;
        let starts: Vec<usize> = (0..rows).step_by(limits::BATCH_ROWS).collect();
        let block = |start: &usize| {
            let length = limits::BATCH_ROWS.min(rows - start);
            let slices: Vec<ArrayRef> = columns.iter().map(|c| c.slice(*start, length)).collect();
            BlockKeys::new(&slices, &layout, true)
        };
        let blocks: Vec<BlockKeys> = starts.par_iter().map(block).collect::<Result<_>>()?;
        context.cancel.check()?;
        let mut parts: Vec<Partition> = (0..PARTITIONS).map(|_| Partition::new(&layout)).collect();
        let place = |(p, part): (usize, &mut Partition)| {
            let of_block = |block: &BlockKeys| part.place(block, p, 0);
            blocks.iter().map(of_block).collect::<Result<Vec<_>>>()
        };
        let placed: Vec<Vec<Vec<u32>>> =
            parts.par_iter_mut().enumerate().map(place).collect::<Result<_>>()?;
        context.cancel.check()?;
        if parts.iter().any(|p| p.firsts.len() > NONE as usize / PARTITIONS) {
            return Err(too_many_rows());
        }
        let nulls = nulls_of(columns);
        let groups = |(b, block): (usize, &BlockKeys)| {
            let mut of_local = vec![NONE; block.firsts.len()];
            for (p, numbers) in placed.iter().map(|blocks| &blocks[b]).enumerate() {
                for (local, number) in block.of_partition(p).iter().zip(numbers) {
                    of_local[*local as usize] = number * PARTITIONS as u32 + p as u32;
                }
            }
            let mut groups = block.of_rows(of_local);
            if let Some(nulls) = &nulls {
                let is_null = |row: usize| nulls.is_null(starts[b] + row);
                groups.iter_mut().enumerate().filter(|(row, _)| is_null(*row)).for_each(|(_, g)| *g = NONE);
            }
            groups
        };
        let groups: Vec<Vec<u32>> = blocks.par_iter().enumerate().map(groups).collect();
        let filter = filter_of(&blocks, parts.iter().map(|p| p.firsts.len()).sum());
        let table = Table { layout, parts, filter };
        let bytes = table.filter.len() * 8
            + table.parts.iter().map(Partition::bytes).sum::<usize>()
            + rows * 3 * size_of::<u32>();
        context.budget.take("the hash table of JOIN", bytes)?;
        Ok((table, groups.concat()))
    }

    /// One more than the largest group.
    fn groups(&self) -> usize {
        self.parts.iter().map(|p| p.firsts.len()).max().unwrap_or(0) * PARTITIONS
    }

    /// The rows of the other side whose key is there.
    fn find(&self, columns: &[ArrayRef]) -> Result<Vec<Hit>> {
        let nulls = nulls_of(columns);
        let is_null = |row: usize| nulls.as_ref().is_some_and(|n| n.is_null(row));
        if let (true, Some(words)) = (self.layout.is_fixed(), Words::new(columns)?) {
            return Ok(self.find_words(&words, is_null));
        }
        let block = BlockKeys::new(columns, &self.layout, false)?;
        let mut of_local = vec![NONE; block.firsts.len()];
        for (p, part) in self.parts.iter().enumerate() {
            for place in block.places(p) {
                of_local[block.group(place) as usize] = numbered(part.find_place(&block, place), p);
            }
        }
        let groups = block.of_rows(of_local).into_iter().zip(0..);
        Ok(groups
            .filter(|(group, row)| *group != NONE && !is_null(*row))
            .map(|(g, row)| (row as u32, g))
            .collect())
    }

    fn find_words(&self, words: &Words, is_null: impl Fn(usize) -> bool) -> Vec<Hit> {
        let rows = words.words.len() / words.width;
        let mut found = vec![];
        let mut hits = [(0u32, 0u64); FIND_ROWS];
        for start in (0..rows).step_by(FIND_ROWS) {
            let mut count = 0;
            // No branch: the processor fetches several words of the filter at a time.
            for row in start..(start + FIND_ROWS).min(rows) {
                let hash = words.hash(row);
                let (word, bits) = filter_bits(self.filter.len(), hash);
                hits[count] = (row as u32, hash);
                count += usize::from(self.filter[word] & bits == bits);
            }
            let hits = &hits[..count];
            let part = |hash: u64| &self.parts[hash as usize % PARTITIONS];
            std::hint::black_box(hits.iter().fold(0, |all, (_, hash)| all ^ part(*hash).fetch(*hash)));
            for &(row, hash) in hits.iter().filter(|(row, _)| !is_null(*row as usize)) {
                let group = part(hash).find(hash, words.row(row as usize));
                found.extend(group.map(|g| (row, numbered(Some(g), hash as usize % PARTITIONS))));
            }
        }
        found
    }
}

/// A left row and the group of its key.
type Hit = (u32, u32);

/// The number of a group among all, of its number in a partition.
fn numbered(number: Option<u32>, partition: usize) -> u32 {
    number.map_or(NONE, |n| n * PARTITIONS as u32 + partition as u32)
}

fn too_many_rows() -> Error {
    Error::Limit {
        what: "one side of a JOIN".to_owned(),
        limit: format!("{NONE} rows"),
        help: "filter it first".to_owned(),
    }
}

/// The right rows of each group, in their order.
enum Partners {
    /// The row, or `NONE`: no group has two.
    One(Vec<u32>),
    /// Where the rows of each group begin, and all rows.
    Many { starts: Vec<u32>, rows: Vec<u32> },
}

impl Partners {
    fn new(groups: &[u32], most: usize) -> Partners {
        let mut single = vec![NONE; most];
        let is_first = |(row, group): (usize, &u32)| {
            *group == NONE || std::mem::replace(&mut single[*group as usize], row as u32) == NONE
        };
        if groups.iter().enumerate().all(is_first) {
            return Partners::One(single);
        }
        drop(single);
        let mut starts = vec![0u32; most + 1];
        groups.iter().filter(|g| **g != NONE).for_each(|g| starts[*g as usize + 1] += 1);
        (0..most).for_each(|g| starts[g + 1] += starts[g]);
        let mut next = starts.clone();
        let mut rows = vec![0; starts[most] as usize];
        for (row, group) in groups.iter().enumerate().filter(|(_, g)| **g != NONE) {
            let at = &mut next[*group as usize];
            rows[*at as usize] = row as u32;
            *at += 1;
        }
        Partners::Many { starts, rows }
    }

    fn of(&self, group: u32) -> &[u32] {
        if group == NONE {
            return &[];
        }
        let group = group as usize;
        match self {
            Partners::One(rows) if rows[group] == NONE => &[],
            Partners::One(rows) => std::slice::from_ref(&rows[group]),
            Partners::Many { starts, rows } => &rows[starts[group] as usize..starts[group + 1] as usize],
        }
    }
}

/// The rows of the right side that have a partner, and their groups.
fn partners_of(
    table: &Table,
    right: &Node,
    keys: &KeyTypes<'_>,
    context: &Context<'_>,
) -> Result<(Batch, Vec<u32>)> {
    let work = |batch: Batch| {
        let (rows, groups): (Vec<u32>, Vec<u32>) = table.find(&keys.columns(&batch, 1)?)?.into_iter().unzip();
        let columns = taken(&batch, &UInt32Array::from(rows))?;
        Ok((with_rows(&Schema::from_arrow(&batch.schema()), columns, groups.len())?, groups))
    };
    let (mut batches, mut groups) = (vec![], vec![]);
    for found in in_order(tasks(right, context)?, context, work) {
        let (batch, found) = found?;
        if batch.num_rows() > 0 {
            context.budget.take("the rows of a JOIN", batch_bytes(&batch) + found.len() * 12)?;
            batches.push(batch);
            groups.extend(found);
        }
    }
    if groups.len() >= NONE as usize {
        return Err(too_many_rows());
    }
    Ok((one(right, batches)?, groups))
}

enum Groups {
    /// Of all left rows.
    Known(Vec<u32>),
    /// To be looked up.
    ByKey(Box<Table>),
}

struct Lookup {
    groups: Groups,
    partners: Partners,
}

/// Left rows without partner and with several.
#[derive(Default)]
struct Counts {
    none: AtomicUsize,
    several: AtomicUsize,
    pairs: AtomicUsize,
}

impl Counts {
    /// Counts for the footer, and refuses more pairs than there may be.
    fn add(&self, none: usize, several: usize, pairs: usize) -> Result<()> {
        self.none.fetch_add(none, Ordering::Relaxed);
        self.several.fetch_add(several, Ordering::Relaxed);
        check_size(self.pairs.fetch_add(pairs, Ordering::Relaxed) + pairs)
    }
}

/// The right side of a join, ready for left rows.
struct Side<'a> {
    kind: JoinKind,
    on: &'a JoinCondition,
    keys: KeyTypes<'a>,
    lookup: Lookup,
    rows: Batch,
    schema: Schema,
    counts: Counts,
}

/// Left rows, and those of them whose key the right side has.
struct Left {
    rows: Batch,
    hits: Vec<Hit>,
}

impl<'a> Side<'a> {
    fn rows_of(self: Arc<Self>, input: Tasks<'a>, context: &'a Context<'a>) -> Rows<'a> {
        let side = self.clone();
        let lefts = in_order(input, context, move |rows| {
            let hits = match &side.lookup.groups {
                Groups::Known(_) => vec![],
                Groups::ByKey(table) => table.find(&side.keys.columns(&rows, 0)?)?,
            };
            Ok(Left { rows, hits })
        });
        let side = self.clone();
        let mut at = 0;
        let pieces = lefts.flat_map(move |left| -> Vec<Task<'a>> {
            let left = left.map(|mut left| {
                if let Groups::Known(groups) = &side.lookup.groups {
                    let known = &groups[at..at + left.rows.num_rows()];
                    left.hits = (0..).zip(known.iter().copied()).filter(|(_, g)| *g != NONE).collect();
                    at += left.rows.num_rows();
                }
                left
            });
            match left {
                Err(error) => vec![Box::new(move || Err(error))],
                Ok(left) => side.clone().pieces(left),
            }
        });
        let side = self;
        let rows = in_order(Box::new(pieces), context, Ok);
        let told = std::iter::once_with(move || {
            side.tell(context);
            None
        });
        Box::new(rows.map(Some).chain(told).flatten())
    }

    /// The rows of some left rows, in pieces of not too many pairs.
    fn pieces(self: Arc<Self>, left: Left) -> Vec<Task<'a>> {
        let mut tasks: Vec<Task<'a>> = vec![];
        let left = Arc::new(left);
        let (mut pairs, mut start, mut first) = (0, 0, 0);
        let mut cut = |hits: Range<usize>, rows: Range<usize>| {
            let (side, left) = (self.clone(), left.clone());
            tasks.push(Box::new(move || side.piece(&left, hits, rows)));
        };
        for (i, (row, group)) in left.hits.iter().enumerate() {
            pairs += self.lookup.partners.of(*group).len();
            if pairs >= limits::BATCH_ROWS {
                cut(start..i + 1, first..*row as usize + 1);
                (pairs, start, first) = (0, i + 1, *row as usize + 1);
            }
        }
        cut(start..left.hits.len(), first..left.rows.num_rows());
        tasks
    }

    /// The rows of a range of left rows, of which `hits` have a key that the right side has.
    fn piece(&self, left: &Left, hits: Range<usize>, range: Range<usize>) -> Result<Batch> {
        let rows = left.rows.slice(range.start, range.len());
        let is_half = matches!(self.kind, JoinKind::Semi | JoinKind::Anti);
        let mut pairs: (Vec<u32>, Vec<u32>) = (vec![], vec![]);
        for (row, group) in &left.hits[hits] {
            let partners = self.lookup.partners.of(*group);
            // A row that needs only one partner has it.
            let enough = if is_half && self.on.residual.is_none() { 1 } else { partners.len() };
            for partner in &partners[..enough.min(partners.len())] {
                pairs.0.push(row - range.start as u32);
                pairs.1.push(*partner);
            }
        }
        let pairs = kept_pairs(pairs, (&rows, &self.rows), self.on.residual.as_ref())?;
        let (mut partnered, mut several) = (0, 0);
        for same in pairs.0.chunk_by(|a, b| a == b) {
            partnered += 1;
            several += usize::from(same.len() > 1);
        }
        self.counts.add(rows.num_rows() - partnered, several, pairs.0.len())?;
        if self.kind == JoinKind::Inner {
            let (l, r) = (UInt32Array::from(pairs.0), UInt32Array::from(pairs.1));
            return self.gathered(&rows, &l, &r);
        }
        let mut matched = vec![false; rows.num_rows()];
        pairs.0.iter().for_each(|row| matched[*row as usize] = true);
        if self.kind == JoinKind::Left {
            let (l, r) = with_unmatched(pairs, &matched, 0);
            return self.gathered(&rows, &UInt32Array::from(l), &UInt32Array::from(r));
        }
        let wanted = self.kind == JoinKind::Semi;
        let keep: Vec<bool> = matched.iter().map(|m| *m == wanted).collect();
        let kept = filter_record_batch(&rows, &keep.into()).map_err(arrow_error)?;
        with_rows(&self.schema, kept.columns().to_vec(), kept.num_rows())
    }

    fn gathered(&self, rows: &Batch, left: &UInt32Array, right: &UInt32Array) -> Result<Batch> {
        let columns = taken(rows, left)?.into_iter().chain(taken(&self.rows, right)?).collect();
        with_rows(&self.schema, columns, left.len())
    }

    fn tell(&self, context: &Context<'_>) {
        let [none, several] = [&self.counts.none, &self.counts.several].map(|n| n.load(Ordering::Relaxed));
        tell(self.kind, (none, several), context);
    }
}
