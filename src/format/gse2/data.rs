//! The samples of a section: whole numbers as text, or CM6, where second differences stand as groups of characters of
//! six bits each; and the checksum over them.

use crate::format::gse2::lines::Line;
use crate::format::waveform::Encoding;
use crate::format::waveform::decode::Decoded;

/// The modulus of the checksum (GSE 2.0, section on CHK2).
const CHECKSUM_MODULUS: i64 = 100_000_000;
/// Bit of a character that says that the next one belongs to the same number.
const MORE: u8 = 0x20;
/// Bit of the first character of a number: it is negative.
const NEGATIVE: u8 = 0x10;

/// Six bits of a character of CM6: `+-0..9A..Za..z`.
fn six_bits(byte: u8) -> Option<u8> {
    match byte {
        b'+' => Some(0),
        b'-' => Some(1),
        b'0'..=b'9' => Some(byte - b'0' + 2),
        b'A'..=b'Z' => Some(byte - b'A' + 12),
        b'a'..=b'z' => Some(byte - b'a' + 38),
        _ => None,
    }
}

/// The checksum of a line `CHK2 value`; written twice by some.
pub(super) fn checksum_of_line(line: &[u8]) -> Option<i64> {
    let rest = line.strip_prefix(b"CHK2 ").or_else(|| line.strip_prefix(b"CHK1 "))?;
    let words = std::str::from_utf8(rest).ok()?.split_ascii_whitespace();
    let mut words = words.skip_while(|w| *w == "CHK2" || *w == "CHK1");
    words.next()?.parse().ok()
}

/// Counts the samples of lines without making them.
pub(super) struct Counter {
    encoding: Encoding,
    wanted: u32,
    /// Samples so far.
    pub(super) count: u64,
    /// The first character that belongs to no sample: where, and why.
    pub(super) fault: Option<(u64, String)>,
}

impl Counter {
    pub(super) fn new(encoding: Encoding, wanted: u32) -> Counter {
        Counter { encoding, wanted, count: 0, fault: None }
    }

    pub(super) fn fail(&mut self, at: u64, reason: String) {
        if self.fault.is_none() {
            self.fault = Some((at, reason));
        }
    }

    /// One line at `at`; what stands behind the samples that the header claims, or behind a fault, is not looked at.
    pub(super) fn line(&mut self, at: u64, line: &Line<'_>) {
        if self.fault.is_some() || self.count >= u64::from(self.wanted) {
            return;
        }
        if self.encoding == Encoding::GSE_CM6 {
            for (index, &byte) in line.text.iter().enumerate().filter(|(_, b)| !b.is_ascii_whitespace()) {
                match six_bits(byte) {
                    Some(bits) => self.count += u64::from(bits & MORE == 0),
                    None => return self.fail(at + index as u64, "a character that is not of CM6".to_owned()),
                }
            }
        } else if self.encoding == Encoding::GSE_INT {
            for word in words(line.text) {
                if integer(word).is_none() {
                    let inside = word.as_ptr().addr() - line.text.as_ptr().addr();
                    return self.fail(at + inside as u64, "a sample is no whole number".to_owned());
                }
                self.count += 1;
            }
        }
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty())
}

fn integer(word: &[u8]) -> Option<i32> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Decodes `count` samples from the data lines and the checksum line behind them. `integrity_ok` only where the
/// checksum agrees.
pub(crate) fn decode(encoding: Encoding, payload: &[u8], count: usize) -> Decoded {
    let mut samples: Vec<i32> = Vec::with_capacity(count.min(payload.len()));
    let mut stated = None;
    // a number of CM6 may run over the end of a line
    let mut number = Number::default();
    for line in payload.split(|&b| b == b'\n') {
        if let Some(sum) = checksum_of_line(line) {
            stated = Some(sum);
            break;
        }
        if samples.len() < count {
            let whole = match encoding {
                Encoding::GSE_CM6 => unpack_line(line, count, &mut number, &mut samples),
                _ => words(line)
                    .all(|w| samples.len() >= count || integer(w).map(|v| samples.push(v)).is_some()),
            };
            if !whole {
                break;
            }
        }
    }
    if encoding == Encoding::GSE_CM6 {
        integrate(&mut samples);
        integrate(&mut samples);
    }
    // the sign of the sum is not agreed on among writers
    let agrees = stated.map(i64::unsigned_abs) == Some(checksum(&samples).unsigned_abs());
    let integrity_ok = agrees && samples.len() == count;
    Decoded { samples: samples.into_iter().map(f64::from).collect(), integrity_ok }
}

/// A number of CM6 while it is put together.
#[derive(Default)]
struct Number {
    is_begun: bool,
    is_negative: bool,
    magnitude: i32,
}

/// Appends the numbers that end on a line; false at a character that is none of CM6.
fn unpack_line(line: &[u8], count: usize, number: &mut Number, out: &mut Vec<i32>) -> bool {
    for &byte in line.iter().filter(|b| !b.is_ascii_whitespace()) {
        let Some(bits) = six_bits(byte) else { return false };
        if number.is_begun {
            number.magnitude = number.magnitude.wrapping_shl(5) | i32::from(bits & !MORE);
        } else {
            let is_negative = bits & NEGATIVE != 0;
            *number = Number { is_begun: true, is_negative, magnitude: i32::from(bits & 0x0f) };
        }
        if bits & MORE == 0 {
            out.push(if number.is_negative { number.magnitude.wrapping_neg() } else { number.magnitude });
            *number = Number::default();
            if out.len() >= count {
                break;
            }
        }
    }
    true
}

/// Running sums, wrapping in 32 bits.
fn integrate(values: &mut [i32]) {
    let mut sum = 0_i32;
    for value in values {
        sum = sum.wrapping_add(*value);
        *value = sum;
    }
}

/// The sum of the samples, each and the sum itself taken modulo 10^8 with their signs.
pub(super) fn checksum(samples: &[i32]) -> i64 {
    samples.iter().fold(0, |sum, &s| (sum + i64::from(s) % CHECKSUM_MODULUS) % CHECKSUM_MODULUS)
}
