//! A mutator with a seed: the same numbers give the same inputs, on every machine.

/// splitmix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

/// Words that parsers trip over.
const WORDS: &[&[u8]] = &[
    b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\x80", b"-1", b"0", b"1e400",
    b"nan", b"-12345", b"9223372036854775808", b"99999999999999999999", b"\"", b"'", b"((((((((((((((((", b"<", b"</",
    b">", b"&", b"&#0;", b"&#x110000;", b"<![CDATA[", b"<!--", b"<!DOCTYPE a [<!ENTITY b \"c\">]>", b"\n", b"\r\n", b",",
    b";", b"\t", b" ", b"#", b"--", b"/*", b"..", b"$", b"\xc3", b"\xef\xbb\xbf", b"SELECT ", b" NOT ", b" BETWEEN ",
    b"2016-12-31T23:59:60", b"0000-00-00", b"9999-12-31", b"\x03\xe8", b"\x03\xe9", b"MS\x03", b"000001D ",
];

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 where `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }
}

/// A seed with one to eight changes.
pub fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut data = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(4) * random.below(3) {
        change(&mut data, seeds, random);
    }
    data.truncate(1 << 20);
    data
}

fn change(data: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(data.len());
    // Headers decide more than what follows them.
    let at = if random.below(2) == 0 { at.min(random.below(128)) } else { at };
    let most = 1 << (1 + random.below(9));
    let end = (at + random.below(most)).min(data.len());
    match random.below(9) {
        0 if !data.is_empty() => data[at] ^= 1 << random.below(8),
        1 if !data.is_empty() => data[at] = random.next() as u8,
        2 => data.truncate(at),
        3 => drop(data.drain(at..end)),
        4 => {
            let part = data[at..end].to_vec();
            let to = random.below(data.len() + 1);
            data.splice(to..to, part);
        }
        5 => {
            let word = WORDS[random.below(WORDS.len())];
            data.splice(at..at, word.iter().copied());
        }
        6 => {
            let word = WORDS[random.below(WORDS.len())];
            let over = (at + word.len()).min(data.len());
            data.splice(at..over, word.iter().copied());
        }
        7 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len());
            data.truncate(at);
            data.extend_from_slice(&other[from..]);
        }
        _ => data[at..end].iter_mut().for_each(|b| *b = random.next() as u8),
    }
}

/// A smaller input that still does what `fails` says: parts are left out as long as it does.
pub fn shrink(mut data: Vec<u8>, fails: &dyn Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut size = data.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < data.len() {
            let mut less = data.clone();
            less.drain(at..(at + size).min(data.len()));
            if fails(&less) {
                data = less;
            } else {
                at += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    data
}
