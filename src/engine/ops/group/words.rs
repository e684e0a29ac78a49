//! Keys of rows as 64-bit words: numbers, times and conditions are their own word, texts of up to 7 bytes too; a
//! longer text is a number of its own within the block.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DurationNanosecondArray, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::DataType;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::slots::{Place, Slots, hash_word};
use crate::engine::expr::{arrow_error, floats, integers};
use crate::error::Result;
use crate::model::table::Type;

/// Key words of some rows, row by row.
pub struct Words {
    /// Words of a row: one a column; with several columns one more that says which of them are NULL.
    pub width: usize,
    /// `width` words a row.
    pub words: ScalarBuffer<u64>,
    /// Rows whose only column is NULL.
    pub nulls: Option<NullBuffer>,
}

/// Most columns whose NULLs one word can tell apart.
pub const MOST_COLUMNS: usize = 64;

/// Do words say all of a value of this type?
pub fn is_fixed(data_type: &DataType) -> bool {
    *data_type == DataType::UInt64
        || matches!(
            Type::of(data_type),
            Some(Type::Int | Type::Float | Type::Time | Type::Duration | Type::Bool)
        )
}

impl Words {
    /// Of key columns, all of one length; `None` where a type has no words. Texts are told apart within these rows only.
    pub fn new(columns: &[ArrayRef]) -> Result<Option<Words>> {
        let rows = columns.first().map_or(0, |c| c.len());
        if columns.len() > MOST_COLUMNS {
            return Ok(None);
        }
        let Some(values) = columns.iter().map(words_of).collect::<Option<Vec<_>>>() else { return Ok(None) };
        let mut values = values.into_iter().collect::<Result<Vec<_>>>()?;
        if let ([column], Some(words)) = (columns, values.pop_if(|_| columns.len() == 1)) {
            let nulls = column.nulls().filter(|n| n.null_count() > 0).cloned();
            return Ok(Some(Words { width: 1, words, nulls }));
        }
        let width = columns.len() + 1;
        let mut words = vec![0; rows * width];
        for (place, (column, values)) in columns.iter().zip(values).enumerate() {
            for (row, value) in values.iter().copied().enumerate() {
                let is_null = column.is_null(row);
                words[row * width + place] = if is_null { 0 } else { value };
                words[row * width + width - 1] |= u64::from(is_null) << place;
            }
        }
        Ok(Some(Words { width, words: words.into(), nulls: None }))
    }

    /// Key of a row.
    pub fn row(&self, row: usize) -> &[u64] {
        &self.words[row * self.width..(row + 1) * self.width]
    }

    /// Is the only column NULL there?
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|n| n.is_null(row))
    }

    /// Hash of a row's key.
    #[inline]
    pub fn hash(&self, row: usize) -> u64 {
        if self.width == 1 {
            return if self.is_null(row) { 0 } else { hash_word(0, self.words[row]) };
        }
        self.row(row).iter().fold(0, |hash, word| hash_word(hash, *word))
    }
}

fn float_word(value: f64) -> u64 {
    (value + 0.0).to_bits()
}

/// Words of one column; `None` for types without.
fn words_of(column: &ArrayRef) -> Option<Result<ScalarBuffer<u64>>> {
    if let Some(words) = column.as_primitive_opt::<UInt64Type>() {
        return Some(Ok(words.values().clone()));
    }
    Some(match Type::of(column.data_type())? {
        // The same 64 bits, without a copy.
        Type::Int | Type::Time | Type::Duration => {
            integers(column).map(|v| ScalarBuffer::new(v.values().inner().clone(), 0, v.len()))
        }
        Type::Float => floats(column).map(|v| v.values().iter().map(|v| float_word(*v)).collect()),
        Type::Bool => Ok(column.as_boolean().values().iter().map(u64::from).collect()),
        Type::Text => Ok(text_words(column.as_string_opt::<i32>()?)),
        _ => return None,
    })
}

fn text_words(texts: &StringArray) -> ScalarBuffer<u64> {
    const LONG: u64 = 0xff << 56;
    let mut slots = Slots::default();
    let mut long: Vec<&[u8]> = vec![];
    let bytes = texts.value_data();
    let ranges = texts.value_offsets().windows(2).map(|w| w[0] as usize..w[1] as usize);
    ranges
        .map(|range| {
            let text = &bytes[range];
            if text.len() < 8 {
                let mut word = [0; 8];
                word[..text.len()].copy_from_slice(text);
                return u64::from_le_bytes(word) | (text.len() as u64) << 56;
            }
            let hash = xxh3_64(text);
            let number = match slots.find(hash, |i| long[i as usize] == text) {
                Place::Found(number) => number,
                Place::Free(at) => {
                    long.push(text);
                    slots.fill(at, hash)
                }
            };
            LONG | u64::from(number)
        })
        .collect()
}

/// The column whose values these words are.
pub fn column_of(data_type: &DataType, words: Vec<u64>, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
    let integers = |words: Vec<u64>| words.into_iter().map(|w| w as i64).collect::<Vec<i64>>();
    let wide: ArrayRef = match Type::of(data_type) {
        Some(Type::Float) => {
            let values: Vec<f64> = words.into_iter().map(f64::from_bits).collect();
            Arc::new(Float64Array::new(values.into(), nulls))
        }
        Some(Type::Bool) => Arc::new(BooleanArray::new(words.into_iter().map(|w| w != 0).collect(), nulls)),
        Some(Type::Time) => {
            let values = TimestampNanosecondArray::new(integers(words).into(), nulls);
            Arc::new(values.with_timezone("UTC"))
        }
        Some(Type::Duration) => Arc::new(DurationNanosecondArray::new(integers(words).into(), nulls)),
        Some(_) => Arc::new(Int64Array::new(integers(words).into(), nulls)),
        None => Arc::new(UInt64Array::new(words.into(), nulls)),
    };
    if wide.data_type() == data_type {
        return Ok(wide);
    }
    arrow_cast::cast(&wide, data_type).map_err(arrow_error)
}
