//! Rows of equal key: first within a block, on any thread, then among all blocks. All groups lie in partitions by
//! hash, so that threads share nothing; the number of a group's first row puts them back in order at the end.

pub mod slots;
pub mod words;

use arrow_array::ArrayRef;
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;
use xxhash_rust::xxh3::xxh3_64;

use self::slots::{MOST_ENTRIES, Place, Slots};
use self::words::{MOST_COLUMNS, Words, column_of, is_fixed};
use crate::engine::expr::{arrow_error, without_negative_zero};
use crate::error::{Error, Result};

/// Partitions of the groups.
pub const PARTITIONS: usize = 64;

/// How keys of certain types are kept: as words where these say all, else as the bytes of Arrow's row format.
pub struct Layout {
    data_types: Vec<DataType>,
    converter: Option<RowConverter>,
}

impl Layout {
    /// For key columns like these.
    pub fn new(columns: &[ArrayRef]) -> Result<Layout> {
        let data_types: Vec<DataType> = columns.iter().map(|c| c.data_type().clone()).collect();
        if data_types.len() <= MOST_COLUMNS && data_types.iter().all(is_fixed) {
            return Ok(Layout { data_types, converter: None });
        }
        let fields = data_types.iter().map(|t| SortField::new(t.clone())).collect();
        Ok(Layout { converter: Some(RowConverter::new(fields).map_err(arrow_error)?), data_types })
    }

    /// Are keys kept as words?
    pub fn is_fixed(&self) -> bool {
        self.converter.is_none()
    }

    fn width(&self) -> usize {
        if self.data_types.len() == 1 { 1 } else { self.data_types.len() + 1 }
    }
}

enum Canonical {
    /// Of each row of the block.
    Words(Words),
    /// Of the first row of each group.
    Bytes(arrow_row::Rows),
}

/// The groups of one block.
pub struct BlockKeys {
    /// Group of each row.
    pub ids: Vec<u32>,
    /// First row of each group.
    pub firsts: Vec<u32>,
    hashes: Vec<u64>,
    canonical: Canonical,
    /// Groups by partition.
    order: Vec<u32>,
    starts: Vec<usize>,
}

impl BlockKeys {
    /// Groups the rows of a block by key. With `is_loose`, a key may come as several groups: for who only wants to know
    /// which keys there are, and expects most of them once.
    pub fn new(columns: &[ArrayRef], layout: &Layout, is_loose: bool) -> Result<BlockKeys> {
        let rows = columns.first().map_or(0, |c| c.len());
        let words = Words::new(columns)?;
        let (ids, firsts, hashes, canonical) = match (words, &layout.converter) {
            (Some(words), None) => {
                let (ids, firsts, hashes) = if is_loose {
                    let all: Vec<u32> = (0..rows as u32).collect();
                    (vec![], all, (0..rows).map(|row| words.hash(row)).collect())
                } else {
                    by_words(rows, &words)
                };
                (ids, firsts, hashes, Canonical::Words(words))
            }
            (Some(words), Some(converter)) => {
                let (ids, firsts, _) = by_words(rows, &words);
                let picked = arrow_array::UInt32Array::from(firsts.clone());
                let take = |c: &ArrayRef| arrow_select::take::take(c, &picked, None).map_err(arrow_error);
                let bytes = row_bytes(converter, &columns.iter().map(take).collect::<Result<Vec<_>>>()?)?;
                let hashes = bytes.iter().map(|r| xxh3_64(r.as_ref())).collect();
                (ids, firsts, hashes, Canonical::Bytes(bytes))
            }
            (None, Some(converter)) => {
                let all = row_bytes(converter, columns)?;
                let (ids, firsts, hashes) = local(
                    rows,
                    |row| xxh3_64(all.row(row).as_ref()),
                    |a, b| all.row(a).as_ref() == all.row(b).as_ref(),
                );
                let mut bytes = converter.empty_rows(firsts.len(), 0);
                firsts.iter().for_each(|&row| bytes.push(all.row(row as usize)));
                (ids, firsts, hashes, Canonical::Bytes(bytes))
            }
            (None, None) => return Err(Error::refused("a key changed its type between rows", "CAST it")),
        };
        let (order, starts) = scattered(&hashes);
        Ok(BlockKeys { ids, firsts, hashes, canonical, order, starts })
    }

    /// What belongs to the groups, by row.
    pub fn of_rows(&self, of_groups: Vec<u32>) -> Vec<u32> {
        if self.ids.is_empty() { of_groups } else { self.ids.iter().map(|g| of_groups[*g as usize]).collect() }
    }

    /// Partition of a group.
    pub fn partition(&self, group: u32) -> usize {
        self.hashes[group as usize] as usize % PARTITIONS
    }

    /// Groups that belong to a partition.
    pub fn of_partition(&self, partition: usize) -> &[u32] {
        &self.order[self.starts[partition]..self.starts[partition + 1]]
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

enum Keys {
    Words(Vec<u64>),
    Bytes { ends: Vec<usize>, bytes: Vec<u8> },
}

/// The groups of one partition.
pub struct Partition {
    slots: Slots,
    width: usize,
    keys: Keys,
    /// The group of NULL, where the key is one column.
    null: Option<u32>,
    /// Number of the first row of each group.
    pub firsts: Vec<u64>,
}

impl Partition {
    /// Without groups yet.
    pub fn new(layout: &Layout) -> Partition {
        let keys = match layout.converter {
            None => Keys::Words(vec![]),
            Some(_) => Keys::Bytes { ends: vec![], bytes: vec![] },
        };
        Partition { slots: Slots::default(), width: layout.width(), keys, null: None, firsts: vec![] }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let keys = match &self.keys {
            Keys::Words(words) => words.capacity() * 8,
            Keys::Bytes { ends, bytes } => ends.capacity() * 8 + bytes.capacity(),
        };
        keys + self.slots.bytes() + self.firsts.capacity() * 8
    }

    /// Is there a group of NULL?
    pub fn has_null(&self) -> bool {
        self.null.is_some()
    }

    /// Numbers, within the partition, of some groups of a block whose first row is number `start` of all.
    pub fn place(&mut self, block: &BlockKeys, groups: &[u32], start: u64) -> Result<Vec<u32>> {
        if self.firsts.len() + groups.len() > MOST_ENTRIES {
            return Err(Error::Limit {
                what: "GROUP BY or DISTINCT".to_owned(),
                limit: format!("{MOST_ENTRIES} groups in one of {PARTITIONS} partitions"),
                help: "filter first, or group by fewer columns".to_owned(),
            });
        }
        let Partition { slots, width, keys, null, firsts } = self;
        let mut numbers = Vec::with_capacity(groups.len());
        let first_row = |group: u32| start + u64::from(block.firsts[group as usize]);
        match (keys, &block.canonical) {
            (Keys::Words(known), Canonical::Words(words)) => {
                for &group in groups {
                    let row = block.firsts[group as usize] as usize;
                    let hash = block.hashes[group as usize];
                    numbers.push(if words.is_null(row) {
                        *null.get_or_insert_with(|| {
                            known.push(0);
                            firsts.push(first_row(group));
                            slots.reserve_number()
                        })
                    } else {
                        find_words((slots, known, *width), hash, words.row(row), || {
                            firsts.push(first_row(group));
                        })
                    });
                }
            }
            (Keys::Bytes { ends, bytes }, Canonical::Bytes(rows)) => {
                for &group in groups {
                    let (hash, row) = (block.hashes[group as usize], rows.row(group as usize));
                    let key: &[u8] = row.as_ref();
                    let known = |e: u32| &bytes[start_of(ends, e)..ends[e as usize]];
                    numbers.push(match slots.find(hash, |e| known(e) == key) {
                        Place::Found(number) => number,
                        Place::Free(at) => {
                            bytes.extend_from_slice(key);
                            ends.push(bytes.len());
                            firsts.push(first_row(group));
                            slots.fill(at, hash)
                        }
                    });
                }
            }
            _ => return Err(Error::refused("a key changed its type between rows", "CAST it")),
        }
        Ok(numbers)
    }

    /// The group of a key of words.
    pub fn find(&self, hash: u64, key: &[u64]) -> Option<u32> {
        let Keys::Words(known) = &self.keys else { return None };
        let place = match (self.width, key) {
            (1, [word]) => self.slots.find(hash, |e| known[e as usize] == *word),
            (width, _) => self.slots.find(hash, |e| known[e as usize * width..(e as usize + 1) * width] == *key),
        };
        match place {
            Place::Found(group) => Some(group),
            Place::Free(_) => None,
        }
    }

    /// The partition's group of a group of a block.
    pub fn find_group(&self, block: &BlockKeys, group: u32) -> Option<u32> {
        let hash = block.hashes[group as usize];
        match (&self.keys, &block.canonical) {
            (Keys::Bytes { ends, bytes }, Canonical::Bytes(rows)) => {
                let row = rows.row(group as usize);
                let place = self.slots.find(hash, |e| bytes[start_of(ends, e)..ends[e as usize]] == *row.as_ref());
                match place {
                    Place::Found(group) => Some(group),
                    Place::Free(_) => None,
                }
            }
            (_, Canonical::Words(words)) => self.find(hash, words.row(block.firsts[group as usize] as usize)),
            _ => None,
        }
    }

    /// The key columns of the groups.
    pub fn columns(self, layout: &Layout) -> Result<Vec<ArrayRef>> {
        let groups = self.firsts.len();
        match (self.keys, &layout.converter) {
            (Keys::Words(words), _) if self.width == 1 => {
                let nulls = self.null.map(|null| {
                    NullBuffer::new(BooleanBuffer::collect_bool(groups, |group| group != null as usize))
                });
                Ok(vec![column_of(&layout.data_types[0], words, nulls)?])
            }
            (Keys::Words(words), _) => (0..layout.data_types.len())
                .map(|c| {
                    let is_null = |g: usize| words[g * self.width + self.width - 1] >> c & 1 == 1;
                    let nulls = NullBuffer::new(BooleanBuffer::collect_bool(groups, |g| !is_null(g)));
                    let values = words.iter().skip(c).step_by(self.width).copied().collect();
                    column_of(&layout.data_types[c], values, Some(nulls))
                })
                .collect(),
            (Keys::Bytes { ends, bytes }, Some(converter)) => {
                let parser = converter.parser();
                let rows = (0..groups).map(|g| parser.parse(&bytes[start_of(&ends, g as u32)..ends[g]]));
                converter.convert_rows(rows).map_err(arrow_error)
            }
            (Keys::Bytes { .. }, None) => Ok(vec![]),
        }
    }
}

fn start_of(ends: &[usize], entry: u32) -> usize {
    if entry == 0 { 0 } else { ends[entry as usize - 1] }
}

fn find_words(table: (&mut Slots, &mut Vec<u64>, usize), hash: u64, key: &[u64], is_new: impl FnOnce()) -> u32 {
    let (slots, known, width) = table;
    let place = if width == 1 {
        slots.find(hash, |e| known[e as usize] == key[0])
    } else {
        slots.find(hash, |e| known[e as usize * width..(e as usize + 1) * width] == *key)
    };
    match place {
        Place::Found(number) => number,
        Place::Free(at) => {
            known.extend_from_slice(key);
            is_new();
            slots.fill(at, hash)
        }
    }
}

/// Where each group is (partition, number), in the order of the first rows; `rows` is the number of all rows.
pub fn in_row_order(partitions: &[&[u64]], rows: u64) -> Vec<(usize, usize)> {
    let groups: usize = partitions.iter().map(|p| p.len()).sum();
    let all = || partitions.iter().enumerate().flat_map(|(p, f)| f.iter().enumerate().map(move |(i, r)| (*r, p, i)));
    if (groups as u64) < rows / 64 {
        let mut sorted: Vec<_> = all().collect();
        sorted.sort_unstable();
        return sorted.into_iter().map(|(_, p, i)| (p, i)).collect();
    }
    // First rows are distinct numbers below `rows`: one bit each, and the rank is the number of bits before.
    let mut bits = vec![0u64; (rows / 64 + 1) as usize];
    all().for_each(|(row, ..)| bits[(row / 64) as usize] |= 1 << (row % 64));
    let mut before = Vec::with_capacity(bits.len());
    let mut count = 0;
    for word in &bits {
        before.push(count);
        count += word.count_ones() as usize;
    }
    let mut order = vec![(0, 0); groups];
    for (row, p, i) in all() {
        let (word, bit) = ((row / 64) as usize, row % 64);
        let rank = before[word] + (bits[word] & ((1 << bit) - 1)).count_ones() as usize;
        order[rank] = (p, i);
    }
    order
}
