//! A record whose header differs from the one before in its sequence number, its time and its sample count only: most
//! records of most files. What is the same is not read again.

use std::ops::Range;

use super::{HEADER_BYTES, clamp_count, is_sequence};
use crate::format::waveform::{Record, flags, u16_at};
use crate::model::time::{NS_PER_S, Time};

/// Bytes of the fixed header and the blockettes that are compared; a chain that goes on behind them is never alike.
const HEAD_BYTES: usize = 64;
/// From the quality letter to the day of the year, and from the sampling rate on.
const SAME: [Range<usize>; 2] = [6..24, 32..HEAD_BYTES];

/// The header of a record, and what was read of it.
#[derive(Clone, Debug)]
pub(crate) struct Alike {
    head: [u8; HEAD_BYTES],
    is_little: bool,
    /// The start of the record without its time of day.
    base_ns: i64,
    record: Record,
}

/// Time of day in ns, of a second that is not 60.
fn clock_ns(head: &[u8; HEAD_BYTES], is_little: bool) -> Option<i64> {
    let (hour, minute, second) = (head[24], head[25], head[26]);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Some(seconds * NS_PER_S + i64::from(u16_at(head, 28, is_little)?) * 100_000)
}

impl Alike {
    /// What the next record may be like; `None` where it could differ in more than is compared. `record` was read
    /// from the front of `bytes`.
    pub(crate) fn of(bytes: &[u8], record: &Record) -> Option<Alike> {
        let head: [u8; HEAD_BYTES] = bytes.first_chunk().copied()?;
        let is_little = super::header_little_endian(&head)?;
        let mut at = usize::from(u16_at(&head, 46, is_little)?);
        while at != 0 {
            let (kind, next) = (u16_at(&head, at, is_little)?, u16_at(&head, at + 2, is_little)?);
            let is_inside = at >= HEADER_BYTES && at + super::blockette_bytes(kind) <= HEAD_BYTES;
            let next = usize::from(next);
            if !is_inside || (next != 0 && next <= at) {
                return None;
            }
            at = next;
        }
        let is_plain = record.flags & (flags::ASSUMED | flags::SECOND_60 | flags::BROKEN_CHAIN) == 0;
        let base_ns = record.start.0.checked_sub(clock_ns(&head, is_little)?)?;
        let record = Record { flags: record.flags & !flags::LYING_COUNT, ..*record };
        is_plain.then_some(Alike { head, is_little, base_ns, record })
    }

    /// The record at the front of `bytes`, which stand at `offset`, if it is alike; the stream is the same too.
    pub(crate) fn record(&self, bytes: &[u8], offset: u64) -> Option<Record> {
        let bytes = bytes.get(..usize::try_from(self.record.length).ok()?)?;
        let head: &[u8; HEAD_BYTES] = bytes.first_chunk()?;
        let is_same = |range: &Range<usize>| head.get(range.clone()) == self.head.get(range.clone());
        if !SAME.iter().all(is_same) || !is_sequence(head) {
            return None;
        }
        let start = Time(self.base_ns.checked_add(clock_ns(head, self.is_little)?)?);
        let npts = u32::from(u16_at(head, 30, self.is_little)?);
        let mut record = Record { offset, start, npts, ..self.record };
        let payload = bytes.get(self.record.data_offset as usize..)?;
        clamp_count(&mut record, payload);
        record.has_end().then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::mseed2::{Signal, parse, write_records};
    use crate::format::waveform::Parsed;
    use crate::model::station::ChannelCode;

    fn records() -> Vec<u8> {
        let code = ChannelCode {
            network: "XX".to_owned(),
            station: "AAA".to_owned(),
            location: String::new(),
            channel: "HHZ".to_owned(),
        };
        let samples: Vec<i32> = (0..6000).map(|i| (i % 91) * 7).collect();
        let start = Time::parse("2020-02-29T23:59:30").unwrap();
        let mut out = vec![];
        write_records(&mut out, &Signal { code: &code, start, sampling_rate: 100.0, samples: &samples }, 512)
            .unwrap();
        out
    }

    /// Whatever byte of a header changes: where a record is called alike, the whole parser reads the same.
    #[test]
    fn what_is_alike_reads_as_by_the_whole_parser() {
        let bytes = records();
        let Parsed::Record(first, _) = parse(&bytes[..512], None) else { panic!("a record") };
        let alike = Alike::of(&bytes[..512], &first).unwrap();
        let mut count = 0;
        for original in bytes.chunks_exact(512) {
            for at in 0..80 {
                for flip in [0, 1, 0x10, 0x80, 0xff] {
                    let mut changed = original.to_vec();
                    changed[at] ^= flip;
                    let Some(found) = alike.record(&changed, 512) else { continue };
                    let Parsed::Record(mut want, _) = parse(&changed, None) else {
                        panic!("byte {at} ^ {flip}: the parser refuses it")
                    };
                    want.offset = 512;
                    assert_eq!(found, want, "byte {at} ^ {flip}");
                    count += 1;
                }
            }
        }
        assert!(count > 500, "{count}");
    }
}
