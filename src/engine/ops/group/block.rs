//! The groups of one block of rows.

use std::ops::Range;

use arrow_array::ArrayRef;
use arrow_row::RowConverter;
use xxhash_rust::xxh3::xxh3_64;

use super::slots::{Place, Slots};
use super::words::Words;
use super::{Layout, PARTITIONS};
use crate::engine::expr::{arrow_error, without_negative_zero};
use crate::error::{Error, Result};

/// The keys of the groups of a block, so that keys of other blocks can be compared with them.
pub enum Canonical {
    /// By place: so many words each. True where the only column is NULL.
    Words(Vec<u64>, Option<Vec<bool>>),
    /// By group.
    Bytes(arrow_row::Rows),
}

/// The groups of one block, by partition: a group has a place among those of its partition.
pub struct BlockKeys {
    /// Group of each row; a row is a group of its own where there are none.
    pub ids: Vec<u32>,
    /// First row of each group.
    pub firsts: Vec<u32>,
    /// Keys.
    pub canonical: Canonical,
    /// Hashes, by place.
    pub hashes: Vec<u64>,
    /// Groups, by place.
    order: Vec<u32>,
    /// First place of each partition.
    starts: Vec<usize>,
}

impl BlockKeys {
    /// Groups the rows of a block by key. With `is_loose`, a key may come as several groups: for who only wants to know
    /// which keys there are, and expects most of them once.
    pub fn new(columns: &[ArrayRef], layout: &Layout, is_loose: bool) -> Result<BlockKeys> {
        let rows = columns.first().map_or(0, |c| c.len());
        match (Words::new(columns)?, &layout.converter) {
            (Some(words), None) if is_loose => {
                let hashes = (0..rows).map(|row| words.hash(row)).collect();
                Ok(BlockKeys::by_words((vec![], (0..rows as u32).collect(), hashes), &words))
            }
            (Some(words), None) => Ok(BlockKeys::by_words(by_words(rows, &words), &words)),
            (Some(words), Some(converter)) => {
                let (ids, firsts, _) = by_words(rows, &words);
                let picked = arrow_array::UInt32Array::from(firsts.clone());
                let take = |c: &ArrayRef| arrow_select::take::take(c, &picked, None).map_err(arrow_error);
                let bytes = row_bytes(converter, &columns.iter().map(take).collect::<Result<Vec<_>>>()?)?;
                Ok(BlockKeys::by_bytes((ids, firsts), bytes))
            }
            (None, Some(converter)) => {
                let all = row_bytes(converter, columns)?;
                let (ids, firsts, _) = local(
                    rows,
                    |row| xxh3_64(all.row(row).as_ref()),
                    |a, b| all.row(a).as_ref() == all.row(b).as_ref(),
                );
                let mut bytes = converter.empty_rows(firsts.len(), 0);
                firsts.iter().for_each(|&row| bytes.push(all.row(row as usize)));
                Ok(BlockKeys::by_bytes((ids, firsts), bytes))
            }
            (None, None) => Err(Error::refused("a key changed its type between rows", "CAST it")),
        }
    }

    fn by_words(groups: Local, words: &Words) -> BlockKeys {
        let (ids, firsts, hashes) = groups;
        let (order, starts) = scattered(&hashes);
        let row = |group: &u32| firsts[*group as usize] as usize;
        let keys = match words.width {
            1 => order.iter().map(|group| words.words[row(group)]).collect(),
            _ => order.iter().flat_map(|group| words.row(row(group))).copied().collect(),
        };
        let nulls = words.nulls.as_ref().map(|n| order.iter().map(|group| n.is_null(row(group))).collect());
        let hashes = order.iter().map(|group| hashes[*group as usize]).collect();
        BlockKeys { ids, firsts, canonical: Canonical::Words(keys, nulls), hashes, order, starts }
    }

    fn by_bytes(groups: (Vec<u32>, Vec<u32>), bytes: arrow_row::Rows) -> BlockKeys {
        let hashes: Vec<u64> = bytes.iter().map(|r| xxh3_64(r.as_ref())).collect();
        let (order, starts) = scattered(&hashes);
        let hashes = order.iter().map(|group| hashes[*group as usize]).collect();
        let (ids, firsts) = groups;
        BlockKeys { ids, firsts, canonical: Canonical::Bytes(bytes), hashes, order, starts }
    }

    /// What belongs to the groups, by row.
    pub fn of_rows(&self, of_groups: Vec<u32>) -> Vec<u32> {
        if self.ids.is_empty() {
            return of_groups;
        }
        self.ids.iter().map(|g| of_groups[*g as usize]).collect()
    }

    /// The group at a place.
    pub fn group(&self, place: usize) -> u32 {
        self.order[place]
    }

    /// First row of the group at a place.
    pub fn first_row(&self, place: usize) -> u32 {
        self.firsts[self.order[place] as usize]
    }

    /// Places of the groups of a partition.
    pub fn places(&self, partition: usize) -> Range<usize> {
        self.starts[partition]..self.starts[partition + 1]
    }

    /// Groups of a partition, by place.
    pub fn of_partition(&self, partition: usize) -> &[u32] {
        &self.order[self.places(partition)]
    }
}

fn row_bytes(converter: &RowConverter, columns: &[ArrayRef]) -> Result<arrow_row::Rows> {
    let equal: Vec<ArrayRef> = columns.iter().map(without_negative_zero).collect();
    converter.convert_columns(&equal).map_err(arrow_error)
}

/// Group of each row, first row of each group, hash of each group.
type Local = (Vec<u32>, Vec<u32>, Vec<u64>);

fn by_words(rows: usize, words: &Words) -> Local {
    let values = &words.words;
    if let (1, None, Some(range)) = (words.width, &words.nulls, close_together(values)) {
        return by_difference(range, words);
    }
    match (words.width, &words.nulls) {
        (1, None) => local(rows, |row| words.hash(row), |a, b| values[a] == values[b]),
        (1, Some(nulls)) => local(
            rows,
            |row| words.hash(row),
            |a, b| match (nulls.is_null(a), nulls.is_null(b)) {
                (false, false) => values[a] == values[b],
                (x, y) => x && y,
            },
        ),
        _ => local(rows, |row| words.hash(row), |a, b| words.row(a) == words.row(b)),
    }
}

/// Widest range of words that are told apart by their difference to the least.
const CLOSE: u64 = 1 << 12;

/// Least word and the difference to the largest, where that is small.
fn close_together(words: &[u64]) -> Option<(u64, u64)> {
    // As signed numbers: small negative ones are close to small positive ones.
    let signed = |w: &u64| *w as i64;
    let (first, last) = (words.iter().map(signed).min()?, words.iter().map(signed).max()?);
    let difference = last.abs_diff(first);
    (difference < CLOSE).then_some((first as u64, difference))
}

fn by_difference(range: (u64, u64), words: &Words) -> Local {
    let (least, difference) = range;
    let mut groups = vec![u32::MAX; difference as usize + 1];
    let (mut firsts, mut hashes) = (vec![], vec![]);
    let ids = words.words.iter().enumerate().map(|(row, word)| {
        let group = &mut groups[word.wrapping_sub(least) as usize];
        if *group == u32::MAX {
            *group = firsts.len() as u32;
            firsts.push(row as u32);
            hashes.push(words.hash(row));
        }
        *group
    });
    (ids.collect(), firsts, hashes)
}

fn local(rows: usize, hash: impl Fn(usize) -> u64, is_same: impl Fn(usize, usize) -> bool) -> Local {
    let mut slots = Slots::default();
    let (mut ids, mut firsts, mut hashes) = (Vec::with_capacity(rows), vec![], vec![]);
    for row in 0..rows {
        let key = hash(row);
        ids.push(match slots.find(key, |group| is_same(firsts[group as usize] as usize, row)) {
            Place::Found(group) => group,
            Place::Free(at) => {
                firsts.push(row as u32);
                hashes.push(key);
                slots.fill(at, key)
            }
        });
    }
    (ids, firsts, hashes)
}

/// Groups in the order of their partitions, and where each partition begins.
fn scattered(hashes: &[u64]) -> (Vec<u32>, Vec<usize>) {
    let partition = |hash: u64| hash as usize % PARTITIONS;
    let mut starts = vec![0; PARTITIONS + 1];
    hashes.iter().for_each(|h| starts[partition(*h) + 1] += 1);
    (0..PARTITIONS).for_each(|p| starts[p + 1] += starts[p]);
    let mut next = starts.clone();
    let mut order = vec![0; hashes.len()];
    for (group, hash) in hashes.iter().enumerate() {
        let at = &mut next[partition(*hash)];
        order[*at] = group as u32;
        *at += 1;
    }
    (order, starts)
}
