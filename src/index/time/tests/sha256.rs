//! SHA-256 (FIPS 180-4), for the hashes of the truth tables.

/// The constants are the first 32 bits of the fractions of the cube roots of the first primes; the start values of
/// the square roots of the first eight.
fn primes() -> impl Iterator<Item = u64> {
    (2_u64..).filter(|n| (2..*n).all(|d| n % d != 0))
}

/// The first 32 bits of the fraction of the root of `value` of this power, by bisection in whole numbers.
fn root_fraction(value: u64, power: u32) -> u32 {
    let target = u128::from(value) << (32 * power);
    let (mut low, mut high) = (0_u128, 1_u128 << 40);
    while high - low > 1 {
        let middle = (low + high) / 2;
        let fits = (0..power).try_fold(1_u128, |p, _| p.checked_mul(middle)).is_some_and(|p| p <= target);
        if fits { low = middle } else { high = middle }
    }
    low as u32
}

/// The first 16 hexadecimal digits of the hash.
pub fn hex16(data: &[u8]) -> String {
    let k: Vec<u32> = primes().take(64).map(|p| root_fraction(p, 3)).collect();
    let mut state: Vec<u32> = primes().take(8).map(|p| root_fraction(p, 2)).collect();
    let mut padded = data.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend_from_slice(&(data.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut w: Vec<u32> =
            block.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])).collect();
        for i in 16..64 {
            let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ (w[i - 15] >> 3);
            let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ (w[i - 2] >> 10);
            w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
        }
        let mut v = state.clone();
        for i in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let t1 = v[7].wrapping_add(s1).wrapping_add(choice).wrapping_add(k[i]).wrapping_add(w[i]);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(s0).wrapping_add(majority);
        }
        state.iter_mut().zip(v).for_each(|(s, v)| *s = s.wrapping_add(v));
    }
    state.iter().take(2).map(|s| format!("{s:08x}")).collect()
}

#[test]
fn the_hash_of_abc() {
    assert_eq!(hex16(b"abc"), "ba7816bf8f01cfea");
}
