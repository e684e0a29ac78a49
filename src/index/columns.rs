//! Rows of small numbers as columns of varints: what cold blocks and record maps are made of. A bitmap names the
//! columns that are not all zero; those that are take no byte.

/// A signed difference with its sign in the lowest bit, so that small ones of either sign are small.
pub fn zigzag(difference: u64) -> u64 {
    let signed = difference as i64;
    ((signed << 1) ^ (signed >> 63)) as u64
}

/// The difference of a zigzag number.
pub fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// Appends a number, 7 bits a byte, the lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front; `None` where the bytes end within it.
pub fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Appends rows of at most 32 columns.
pub fn put_columns<const N: usize>(out: &mut Vec<u8>, rows: &[[u64; N]]) {
    let used = rows.iter().fold([0_u64; N], |mut used, row| {
        used.iter_mut().zip(row).for_each(|(u, v)| *u |= v);
        used
    });
    let bitmap = (0..N).filter(|&c| used[c] != 0).fold(0_u64, |bits, c| bits | 1 << c);
    put_varint(out, bitmap);
    for column in (0..N).filter(|&c| used[c] != 0) {
        rows.iter().for_each(|row| put_varint(out, row[column]));
    }
}

/// Takes `count` rows off the front; `None` where the bytes end before. The caller bounds `count`.
pub fn take_columns<const N: usize>(rest: &mut &[u8], count: usize) -> Option<Vec<[u64; N]>> {
    let bitmap = take_varint(rest)?;
    if bitmap >> N != 0 {
        return None;
    }
    let mut rows = vec![[0_u64; N]; count];
    for column in (0..N).filter(|c| bitmap >> c & 1 != 0) {
        for row in &mut rows {
            row[column] = match rest.split_first() {
                // most numbers are one byte
                Some((&byte, tail)) if byte < 0x80 => {
                    *rest = tail;
                    u64::from(byte)
                }
                _ => take_varint(rest)?,
            };
        }
    }
    Some(rows)
}

/// Takes `count` bytes off the front.
pub fn take_bytes<'a>(rest: &mut &'a [u8], count: u64) -> Option<&'a [u8]> {
    let (taken, tail) = rest.split_at_checked(usize::try_from(count).ok()?)?;
    *rest = tail;
    Some(taken)
}

/// The little-endian number of 8 bytes at `at`.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The little-endian number of 4 bytes at `at`.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_go_both_ways(rows in prop::collection::vec(any::<[u64; 3]>(), 0..40), shift in 0..64_u32) {
            let rows: Vec<[u64; 3]> = rows.into_iter().map(|r| [0, r[1] >> shift, r[2]]).collect();
            let mut bytes = vec![];
            put_columns(&mut bytes, &rows);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_columns::<3>(&mut rest, rows.len()), Some(rows.clone()));
            prop_assert!(rest.is_empty());
            if rows.iter().any(|r| r[1] | r[2] != 0) {
                prop_assert_eq!(take_columns::<3>(&mut &bytes[..bytes.len() - 1], rows.len()), None);
            }
        }

        #[test]
        fn zigzag_goes_both_ways(value in any::<u64>()) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
