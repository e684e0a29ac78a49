//! Rows of equal key: first within a block, on any thread, then among all blocks. All groups lie in partitions by
//! hash, so that threads share nothing; the number of a group's first row puts them back in order at the end.

pub mod block;
pub mod slots;
pub mod words;

use std::ops::Range;

use arrow_array::ArrayRef;
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;

pub use self::block::BlockKeys;
use self::block::Canonical;
use self::slots::{MOST_ENTRIES, Place, Slots};
use self::words::{MOST_COLUMNS, column_of, is_fixed};
use crate::engine::expr::arrow_error;
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

    /// Numbers of the groups of a block that belong to this partition; the block's first row is number `start` of all.
    pub fn place(&mut self, block: &BlockKeys, partition: usize, start: u64) -> Result<Vec<u32>> {
        let places = block.places(partition);
        if self.firsts.len() + places.len() > MOST_ENTRIES {
            return Err(Error::Limit {
                what: "GROUP BY or DISTINCT".to_owned(),
                limit: format!("{MOST_ENTRIES} groups in one of {PARTITIONS} partitions"),
                help: "filter first, or group by fewer columns".to_owned(),
            });
        }
        let Partition { slots, width, keys, null, firsts } = self;
        let mut numbers = Vec::with_capacity(places.len());
        let first_row = |place: usize| start + u64::from(block.first_row(place));
        match (keys, &block.canonical) {
            (Keys::Words(known), Canonical::Words(words, nulls)) => {
                for few in chunks(places) {
                    slots.fetch(&block.hashes[few.clone()]);
                    for place in few {
                        let mut new = || firsts.push(first_row(place));
                        let key = &words[place * *width..(place + 1) * *width];
                        numbers.push(if nulls.as_ref().is_some_and(|n| n[place]) {
                            *null.get_or_insert_with(|| {
                                known.push(0);
                                new();
                                slots.reserve_number()
                            })
                        } else {
                            find_words((slots, known, *width), block.hashes[place], key, new)
                        });
                    }
                }
            }
            (Keys::Bytes { ends, bytes }, Canonical::Bytes(rows)) => {
                for place in places {
                    let (hash, row) = (block.hashes[place], rows.row(block.group(place) as usize));
                    let key: &[u8] = row.as_ref();
                    let known = |e: u32| &bytes[start_of(ends, e)..ends[e as usize]];
                    numbers.push(match slots.find(hash, |e| known(e) == key) {
                        Place::Found(number) => number,
                        Place::Free(at) => {
                            bytes.extend_from_slice(key);
                            ends.push(bytes.len());
                            firsts.push(first_row(place));
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
            (width, _) => {
                self.slots.find(hash, |e| known[e as usize * width..(e as usize + 1) * width] == *key)
            }
        };
        match place {
            Place::Found(group) => Some(group),
            Place::Free(_) => None,
        }
    }

    /// The partition's group of the group at a place of a block.
    pub fn find_place(&self, block: &BlockKeys, place: usize) -> Option<u32> {
        let hash = block.hashes[place];
        match (&self.keys, &block.canonical) {
            (Keys::Bytes { ends, bytes }, Canonical::Bytes(rows)) => {
                let row = rows.row(block.group(place) as usize);
                let is_same = |e: u32| bytes[start_of(ends, e)..ends[e as usize]] == *row.as_ref();
                match self.slots.find(hash, is_same) {
                    Place::Found(group) => Some(group),
                    Place::Free(_) => None,
                }
            }
            (_, Canonical::Words(words, _)) => {
                self.find(hash, &words[place * self.width..(place + 1) * self.width])
            }
            _ => None,
        }
    }

    /// Has what `find` will look at for a hash in the cache; see [`Slots::fetch`].
    pub fn fetch(&self, hash: u64) -> u64 {
        let Keys::Words(known) = &self.keys else { return 0 };
        known.get(self.slots.candidate(hash) as usize * self.width).copied().unwrap_or(0)
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

/// Some places at a time.
fn chunks(places: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    const PLACES: usize = 128;
    places.clone().step_by(PLACES).map(move |start| start..(start + PLACES).min(places.end))
}

fn start_of(ends: &[usize], entry: u32) -> usize {
    if entry == 0 { 0 } else { ends[entry as usize - 1] }
}

fn find_words(
    table: (&mut Slots, &mut Vec<u64>, usize),
    hash: u64,
    key: &[u64],
    is_new: impl FnOnce(),
) -> u32 {
    let (slots, known, width) = table;
    let place = if width == 1 {
        slots.find(hash, |e| known[e as usize] == key[0])
    } else {
        slots.find(hash, |e| known[e as usize * width..(e as usize + 1) * width] == *key)
    };
    match place {
        Place::Found(number) => number,
        Place::Free(at) => {
            match key {
                [word] => known.push(*word),
                words => known.extend_from_slice(words),
            }
            is_new();
            slots.fill(at, hash)
        }
    }
}

/// Where each group is (partition, number), in the order of the first rows; `rows` is the number of all rows.
pub fn in_row_order(partitions: &[&[u64]], rows: u64) -> Vec<(usize, usize)> {
    let groups: usize = partitions.iter().map(|p| p.len()).sum();
    let all = || {
        partitions.iter().enumerate().flat_map(|(p, f)| f.iter().enumerate().map(move |(i, r)| (*r, p, i)))
    };
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
