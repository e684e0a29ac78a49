//! Steim-1 and Steim-2 difference compression (SEED 2.4 manual, appendix B): frames of 64 bytes, word 0 of a
//! frame holds sixteen 2-bit codes, words 1 and 2 of the first frame the first and the last sample.

/// Bytes of a frame.
pub const FRAME_BYTES: usize = 64;
/// Most samples that a Steim-1 payload of one frame more can add (15 words of 4 differences).
const STEIM1_FRAME_SAMPLES: u64 = 60;
/// The same for Steim-2 (15 words of 7 differences).
const STEIM2_FRAME_SAMPLES: u64 = 105;

/// Which of the two compressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 4 x 8, 2 x 16, 1 x 32 bits.
    Steim1,
    /// 1 x 30, 2 x 15, 3 x 10, 5 x 6, 6 x 5, 7 x 4 and 4 x 8 bits.
    Steim2,
}

/// Decoded samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// As many as were asked for, or fewer if the payload ends early.
    pub samples: Vec<i32>,
    /// The last sample equals the reverse integration constant and none is missing.
    pub integrity_ok: bool,
}

/// Layout of one word: `count` differences of `bits` each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Layout {
    count: u32,
    bits: u32,
}

const fn layout(count: u32, bits: u32) -> Option<Layout> {
    Some(Layout { count, bits })
}

/// The layout of a word from its 2-bit code and, in Steim-2, its own top two bits. `None`: no data or invalid.
fn word_layout(version: Version, code: u32, word: u32) -> Option<Layout> {
    match (version, code, word >> 30) {
        (_, 1, _) => layout(4, 8),
        (Version::Steim1, 2, _) => layout(2, 16),
        (Version::Steim1, 3, _) => layout(1, 32),
        (Version::Steim2, 2, 1) => layout(1, 30),
        (Version::Steim2, 2, 2) => layout(2, 15),
        (Version::Steim2, 2, 3) => layout(3, 10),
        (Version::Steim2, 3, 0) => layout(5, 6),
        (Version::Steim2, 3, 1) => layout(6, 5),
        (Version::Steim2, 3, 2) => layout(7, 4),
        _ => None,
    }
}

fn word(raw: &[u8], little_endian: bool) -> u32 {
    let raw = <[u8; 4]>::try_from(raw).unwrap_or_default();
    if little_endian { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) }
}

/// The layout `index` words into a frame; the 2-bit codes of a frame run from the top of word 0.
fn code(control: u32, index: usize) -> u32 {
    control >> (30 - 2 * (index as u32 & 15)) & 3
}

/// Most samples that a payload of this many bytes can hold, whatever its codes are.
pub fn capacity(version: Version, payload_bytes: u64) -> u64 {
    let frames = payload_bytes / FRAME_BYTES as u64;
    let (per_frame, constants) = match version {
        Version::Steim1 => (STEIM1_FRAME_SAMPLES, 8),
        Version::Steim2 => (STEIM2_FRAME_SAMPLES, 14),
    };
    (frames * per_frame).saturating_sub(if frames > 0 { constants } else { 0 })
}

/// Differences of a word by its 2-bit code (rows) and its own top two bits.
const STEIM1_COUNTS: [[u8; 4]; 4] = [[0; 4], [4; 4], [2; 4], [1; 4]];
const STEIM2_COUNTS: [[u8; 4]; 4] = [[0; 4], [4; 4], [0, 1, 2, 3], [5, 6, 7, 0]];
/// The same for two words at once: code, code, top bits, top bits.
static STEIM1_PAIRS: [u8; 256] = pairs(&STEIM1_COUNTS);
static STEIM2_PAIRS: [u8; 256] = pairs(&STEIM2_COUNTS);

#[allow(clippy::indexing_slicing)] // evaluated by the compiler
const fn pairs(counts: &[[u8; 4]; 4]) -> [u8; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        table[index] = counts[index >> 6][index >> 2 & 3] + counts[index >> 4 & 3][index & 3];
        index += 1;
    }
    table
}

/// Differences that the codes of a payload really hold, counted no further than `enough`. This runs over every
/// record of an archive: of each word only the byte with its top bits is looked at, two words at a time.
pub fn count(version: Version, payload: &[u8], little_endian: bool, enough: u64) -> u64 {
    let table = match version {
        Version::Steim1 => &STEIM1_PAIRS,
        Version::Steim2 => &STEIM2_PAIRS,
    };
    let mut total = 0_u64;
    let mut constants = 0x3c00_0000_u32;
    for frame in payload.as_chunks::<FRAME_BYTES>().0 {
        // the codes of words that hold constants say "no data", whatever they are: of word 0 in every frame, of
        // words 1 and 2 in the first
        let mut codes = word(frame.get(..4).unwrap_or_default(), little_endian) & !(0xc000_0000 | constants);
        constants = 0;
        let mut in_frame = 0_u32;
        for &[first0, _, _, last0, first1, _, _, last1] in frame.as_chunks::<8>().0 {
            let (top0, top1) = if little_endian { (last0, last1) } else { (first0, first1) };
            let index = (codes >> 24) as u8 & 0xf0 | top0 >> 4 & 0x0c | top1 >> 6;
            in_frame += u32::from(table.get(usize::from(index)).copied().unwrap_or(0));
            codes <<= 4;
        }
        total += u64::from(in_frame);
        if total >= enough {
            break;
        }
    }
    total
}

/// Decodes `count` samples. Sums wrap in 32 bits, as the integrators of the field do.
pub fn decode(version: Version, payload: &[u8], count: usize, little_endian: bool) -> Decoded {
    let at = |index: usize| payload.get(4 * index..4 * index + 4).map(|raw| word(raw, little_endian) as i32);
    let (Some(first), Some(last), true) = (at(1), at(2), count > 0) else {
        return Decoded { samples: Vec::new(), integrity_ok: count == 0 };
    };
    let room = usize::try_from(capacity(version, payload.len() as u64)).unwrap_or(usize::MAX);
    let mut samples = Vec::with_capacity(count.min(room));
    let mut sum = first;
    for (number, frame) in payload.chunks_exact(FRAME_BYTES).enumerate() {
        let control = word(frame.get(..4).unwrap_or_default(), little_endian);
        let skip = if number == 0 { 3 } else { 1 };
        for (index, raw) in frame.chunks_exact(4).enumerate().skip(skip) {
            let value = word(raw, little_endian);
            let Some(layout) = word_layout(version, code(control, index), value) else { continue };
            for part in 0..layout.count.min((count - samples.len()) as u32) {
                let difference = difference(layout, value, part, little_endian && layout.bits % 8 == 0);
                // the first difference leads from the record before; the constant stands for it
                sum = if samples.is_empty() { first } else { sum.wrapping_add(difference) };
                samples.push(sum);
            }
        }
        if samples.len() >= count {
            break;
        }
    }
    let integrity_ok = samples.len() == count && samples.last() == Some(&last);
    Decoded { samples, integrity_ok }
}

/// The difference number `part` of a word, sign-extended. In little-endian data 8-bit parts, and the 16-bit parts of
/// Steim-1, stand in memory order, each swapped on its own: in the swapped word they run from the bottom.
fn difference(layout: Layout, word: u32, part: u32, from_bottom: bool) -> i32 {
    let place = if from_bottom { part } else { layout.count - 1 - part };
    let shifted = word << (32 - layout.bits * (place + 1));
    (shifted as i32) >> (32 - layout.bits)
}

/// Layouts of the encoder, the densest first, with their 2-bit code and the top bits of the word.
const STEIM1_LAYOUTS: [(Layout, u32, u32); 3] = [
    (Layout { count: 4, bits: 8 }, 1, 0),
    (Layout { count: 2, bits: 16 }, 2, 0),
    (Layout { count: 1, bits: 32 }, 3, 0),
];
const STEIM2_LAYOUTS: [(Layout, u32, u32); 7] = [
    (Layout { count: 7, bits: 4 }, 3, 2),
    (Layout { count: 6, bits: 5 }, 3, 1),
    (Layout { count: 5, bits: 6 }, 3, 0),
    (Layout { count: 4, bits: 8 }, 1, 0),
    (Layout { count: 3, bits: 10 }, 2, 3),
    (Layout { count: 2, bits: 15 }, 2, 2),
    (Layout { count: 1, bits: 30 }, 2, 1),
];

/// Appends at most `frames` big-endian frames to `out`, as many of `samples` as fit, and says how many went in
/// and how many frames were written. `before` is the last sample of the record before (the first sample itself
/// where there is none). Error: a difference that Steim-2 has no bits for.
pub fn encode(
    version: Version,
    samples: &[i32],
    before: Option<i32>,
    frames: usize,
    out: &mut Vec<u8>,
) -> Result<(usize, usize), String> {
    let base = out.len();
    let mut previous = before.or(samples.first().copied()).unwrap_or(0);
    let differences: Vec<i32> = samples
        .iter()
        .take(usize::try_from(capacity(version, (frames * FRAME_BYTES) as u64)).unwrap_or(usize::MAX))
        .map(|&s| s.wrapping_sub(std::mem::replace(&mut previous, s)))
        .collect();
    let mut done = 0;
    let mut written = 0;
    while written < frames && done < differences.len() {
        let mut words = [0_u32; 16];
        let mut control = 0;
        for (index, slot) in words.iter_mut().enumerate().skip(if written == 0 { 3 } else { 1 }) {
            let rest = differences.get(done..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let (value, code, used) = pack(version, rest).ok_or_else(|| {
                format!("the step to sample {} is too large for {version:?}: it has 30 bits", done + 1)
            })?;
            *slot = value;
            control |= code << (30 - 2 * index);
            done += used;
        }
        if let Some(slot) = words.first_mut() {
            *slot = control;
        }
        words.iter().for_each(|w| out.extend_from_slice(&w.to_be_bytes()));
        written += 1;
    }
    let last = done.checked_sub(1).and_then(|i| samples.get(i));
    let constants = samples.first().zip(last).map(|(f, l)| [f.to_be_bytes(), l.to_be_bytes()].concat());
    if let (Some(constants), Some(slot)) = (constants, out.get_mut(base + 4..base + 12)) {
        slot.copy_from_slice(&constants);
    }
    Ok((done, written))
}

/// The next word: its value, its 2-bit code and how many differences it took.
fn pack(version: Version, differences: &[i32]) -> Option<(u32, u32, usize)> {
    let layouts: &[(Layout, u32, u32)] = match version {
        Version::Steim1 => &STEIM1_LAYOUTS,
        Version::Steim2 => &STEIM2_LAYOUTS,
    };
    for &(layout, code, top) in layouts {
        let Some(group) = differences.get(..layout.count as usize) else { continue };
        let spare = 32 - layout.bits;
        if group.iter().all(|&d| (d << spare) >> spare == d) {
            let mask = u32::MAX >> spare;
            let packed = group.iter().fold(0_u64, |w, &d| w << layout.bits | u64::from(d as u32 & mask));
            return Some((packed as u32 | top << 30, code, group.len()));
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Little-endian frames as digitizers wrote them: every word swapped as a whole but for its 8-bit and 16-bit
    /// parts, which are swapped one by one.
    fn to_little_endian(version: Version, bytes: &[u8]) -> Vec<u8> {
        let mut swapped = Vec::new();
        for (number, frame) in bytes.chunks_exact(FRAME_BYTES).enumerate() {
            let control = word(&frame[..4], false);
            for (index, raw) in frame.chunks_exact(4).enumerate() {
                let constant = index == 0 || (number == 0 && index < 3);
                let bits = word_layout(version, code(control, index), word(raw, false)).map(|l| l.bits);
                let width = match bits.filter(|_| !constant) {
                    Some(8) => 1,
                    Some(16) => 2,
                    _ => 4,
                };
                raw.chunks_exact(width).for_each(|part| swapped.extend(part.iter().rev()));
            }
        }
        swapped
    }

    #[test]
    fn the_word_of_the_manual() {
        // one frame: control 1 at word 3 = four 8-bit differences 0, 1, -1, 2 from 5 to 7
        let mut frame = vec![0_u8; 64];
        frame[..16].copy_from_slice(&[0x01, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 7, 9, 1, 255, 2]);
        for version in [Version::Steim1, Version::Steim2] {
            let got = decode(version, &frame, 4, false);
            assert_eq!(got, Decoded { samples: vec![5, 6, 5, 7], integrity_ok: true });
        }
        frame[11] = 8;
        assert!(!decode(Version::Steim1, &frame, 4, false).integrity_ok);
        assert!(!decode(Version::Steim1, &frame, 5, false).integrity_ok, "one sample more than there is");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            steps in prop::collection::vec(prop_oneof![-8..8_i32, -32..32_i32, -600..600_i32, -500_000_000..500_000_000_i32], 1..900),
            first in -1000..1000_i32,
        ) {
            let mut sum = first;
            let samples: Vec<i32> = steps.iter().map(|s| { sum = sum.wrapping_add(*s); sum }).collect();
            for version in [Version::Steim1, Version::Steim2] {
                let mut at = 0;
                let mut before = None;
                while at < samples.len() {
                    let mut out = Vec::new();
                    let (used, frames) = encode(version, &samples[at..], before, 7, &mut out).unwrap();
                    prop_assert_eq!(out.len(), frames * FRAME_BYTES);
                    prop_assert!(used > 0);
                    let want = Decoded { samples: samples[at..at + used].to_vec(), integrity_ok: true };
                    prop_assert_eq!(&decode(version, &out, used, false), &want);
                    prop_assert_eq!(count(version, &out, false, u64::MAX), used as u64);
                    prop_assert_eq!(count(version, &to_little_endian(version, &out), true, u64::MAX), used as u64);
                    prop_assert!(used as u64 <= capacity(version, out.len() as u64));
                    prop_assert_eq!(&decode(version, &to_little_endian(version, &out), used, true), &want);
                    before = Some(samples[at + used - 1]);
                    at += used;
                }
            }
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), n in 0..2000_usize, le: bool) {
            for version in [Version::Steim1, Version::Steim2] {
                let got = decode(version, &bytes, n, le);
                prop_assert!(got.samples.len() as u64 <= count(version, &bytes, le, u64::MAX));
            }
        }
    }

    #[test]
    fn a_step_of_31_bits_is_refused_by_steim2_only() {
        let samples = [0, i32::MAX];
        assert!(encode(Version::Steim2, &samples, None, 7, &mut Vec::new()).is_err());
        assert_eq!(encode(Version::Steim1, &samples, None, 7, &mut Vec::new()), Ok((2, 1)));
    }
}
