//! Hash tables over rows as bytes: xxh3 instead of the standard library's keyed hash, which is made for strangers'
//! keys of a few bytes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Table by row bytes.
pub type ByRow<K, V> = HashMap<K, V, BuildHasherDefault<RowHasher>>;

/// Chains xxh3 over what is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowHasher(u64);

impl Hasher for RowHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
