//! Open addressing over entries that live elsewhere: 32 bits of the hash and the number of the entry in one word.

/// A fast hash of 64 bits: one wide product, folded (as wyhash mixes, Wang Yi 2019).
#[inline]
pub fn hash_word(seed: u64, word: u64) -> u64 {
    let product = u128::from(word ^ seed ^ 0x9e37_79b9_7f4a_7c15)
        .wrapping_mul(0xd6e8_feb8_6659_fd93_a076_1d64_78bd_642f);
    let low = product as u64 ^ (product >> 64) as u64;
    low ^ (low >> 29)
}

/// Numbers of entries by hash. Half of the slots at least stay free.
#[derive(Debug)]
pub struct Slots {
    /// High half: tag of the hash; low half: number of the entry plus 1; 0 is free.
    slots: Vec<u64>,
    entries: usize,
}

/// Where a key is, or where it belongs.
pub enum Place {
    /// The entry.
    Found(u32),
    /// The free slot.
    Free(usize),
}

/// Most entries of one table: their numbers plus 1 fit 32 bits.
pub const MOST_ENTRIES: usize = u32::MAX as usize - 1;

impl Default for Slots {
    fn default() -> Slots {
        Slots { slots: vec![0; 64], entries: 0 }
    }
}

impl Slots {
    /// Looks for the entry of this hash for which `is_same` holds.
    #[inline]
    pub fn find(&self, hash: u64, is_same: impl Fn(u32) -> bool) -> Place {
        let mask = self.slots.len() - 1;
        let tag = hash >> 32;
        let mut at = self.home(tag);
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Place::Free(at);
            }
            let entry = slot as u32 - 1;
            if slot >> 32 == tag && is_same(entry) {
                return Place::Found(entry);
            }
            at = (at + 1) & mask;
        }
    }

    /// Reads where the entries of some hashes begin: one read does not wait for another, as it would in `find`, and
    /// `find` then has them in the cache.
    pub fn fetch(&self, hashes: &[u64]) {
        let read = hashes.iter().fold(0, |all, hash| all ^ self.slots[self.home(hash >> 32)]);
        std::hint::black_box(read);
    }

    /// The entry that stands where those of a hash begin, or any: without a branch.
    #[inline]
    pub fn candidate(&self, hash: u64) -> u32 {
        (self.slots[self.home(hash >> 32)] as u32).saturating_sub(1)
    }

    /// Puts the next entry into a free slot that `find` gave for this hash; its number.
    #[inline]
    pub fn fill(&mut self, at: usize, hash: u64) -> u32 {
        let entry = self.entries as u32;
        self.entries += 1;
        self.slots[at] = (hash >> 32) << 32 | u64::from(entry + 1);
        if self.entries * 2 > self.slots.len() {
            self.grow();
        }
        entry
    }

    /// A number for an entry that is found without a slot.
    pub fn reserve_number(&mut self) -> u32 {
        self.entries += 1;
        self.entries as u32 - 1
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * 8
    }

    fn home(&self, tag: u64) -> usize {
        // The top bits of the tag; a table has at most 2^32 slots.
        (tag >> (32 - self.slots.len().trailing_zeros().min(32))) as usize
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![0; old.len() * 2];
        let mask = self.slots.len() - 1;
        for slot in old.into_iter().filter(|s| *s != 0) {
            let mut at = self.home(slot >> 32);
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = slot;
        }
    }
}
