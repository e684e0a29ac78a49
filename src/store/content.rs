//! A hash of the content of a table: the same rows in the same order give the same hash, however they are sliced,
//! batched or laid out in memory. `check --db --fingerprint` prints it.

use arrow_array::{Array, ArrayRef};
use arrow_data::ArrayData;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};
use crate::model::table::{Batch, Schema};

use super::types::{Layout, layout_of, schema_hash};

/// Bytes of zeros and ones that are hashed at a time.
const FLAGS: usize = 4096;

/// Takes batches in table order and gives one number.
pub struct ContentHash {
    schema_hash: u64,
    schema: Schema,
    rows: u64,
    columns: Vec<(Xxh3, Xxh3)>,
}

impl ContentHash {
    /// For tables of these columns; units and descriptions do not count.
    pub fn new(schema: &Schema) -> Self {
        ContentHash {
            schema_hash: schema_hash(schema),
            schema: schema.clone(),
            rows: 0,
            columns: schema.columns.iter().map(|_| (Xxh3::new(), Xxh3::new())).collect(),
        }
    }

    /// The next rows.
    ///
    /// # Errors
    /// `Refused` when the batch has other columns.
    pub fn update(&mut self, batch: &Batch) -> Result<()> {
        let is_same = batch.num_columns() == self.schema.columns.len()
            && batch.columns().iter().zip(&self.schema.columns).all(|(a, c)| *a.data_type() == c.data_type);
        if !is_same {
            return Err(Error::Refused {
                message: "a batch has other columns than its table".into(),
                help: None,
            });
        }
        for (array, (validity, values)) in batch.columns().iter().zip(&mut self.columns) {
            hash_validity(array, validity);
            hash_values(array, values);
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// The hash.
    pub fn finish(&self) -> u128 {
        let mut hash = Xxh3::new();
        hash.update(&self.schema_hash.to_le_bytes());
        hash.update(&self.rows.to_le_bytes());
        for (validity, values) in &self.columns {
            hash.update(&validity.digest128().to_le_bytes());
            hash.update(&values.digest128().to_le_bytes());
        }
        hash.digest128()
    }
}

/// One byte a row: 1 where there is a value.
fn hash_validity(array: &ArrayRef, hash: &mut Xxh3) {
    let mut flags = [1_u8; FLAGS];
    for start in (0..array.len()).step_by(FLAGS) {
        let rows = FLAGS.min(array.len() - start);
        if array.null_count() > 0 {
            for (i, flag) in flags[..rows].iter_mut().enumerate() {
                *flag = u8::from(array.is_valid(start + i));
            }
        }
        hash.update(&flags[..rows]);
    }
}

/// The values that are not NULL: fixed width as bytes, bits as bytes, texts with their length before them.
fn hash_values(array: &ArrayRef, hash: &mut Xxh3) {
    let data = array.to_data();
    let has_nulls = array.null_count() > 0;
    let valid = |row: &usize| !has_nulls || array.is_valid(*row);
    match layout_of(array.data_type()) {
        Layout::Null => {}
        Layout::Bits => {
            let bits = data.buffers()[0].as_slice();
            for row in (0..data.len()).filter(valid) {
                hash.update(&[u8::from(arrow_buffer::bit_util::get_bit(bits, data.offset() + row))]);
            }
        }
        Layout::Fixed(width) => {
            let values = &data.buffers()[0].as_slice()[data.offset() * width..][..data.len() * width];
            if has_nulls {
                (0..data.len()).filter(valid).for_each(|row| hash.update(&values[row * width..][..width]));
            } else {
                hash.update(values);
            }
        }
        Layout::Bytes { offset_bytes: 4, .. } => hash_bytes::<i32>(&data, valid, hash),
        Layout::Bytes { .. } => hash_bytes::<i64>(&data, valid, hash),
    }
}

fn hash_bytes<O: arrow_array::OffsetSizeTrait>(
    data: &ArrayData,
    valid: impl Fn(&usize) -> bool,
    hash: &mut Xxh3,
) {
    if data.is_empty() {
        return;
    }
    let offsets = &data.buffers()[0].typed_data::<O>()[data.offset()..=data.offset() + data.len()];
    let values = data.buffers()[1].as_slice();
    for row in (0..data.len()).filter(valid) {
        let value = &values[offsets[row].as_usize()..offsets[row + 1].as_usize()];
        hash.update(&(value.len() as u64).to_le_bytes());
        hash.update(value);
    }
}
