#![allow(clippy::indexing_slicing)]

use super::*;
use crate::format::waveform::tests_support::{file, scan_bytes};
use crate::format::waveform::{Scan, State, read};

const LENGTH: usize = 512;

fn wave(count: usize) -> Vec<i32> {
    (0..count).map(|i| ((i as f64 * 0.37).sin() * 3000.0) as i32 + (i % 7) as i32).collect()
}

fn start() -> Time {
    Time::parse("2024-02-29T10:00:00.123456").unwrap()
}

/// Records of 100 Hz data; the number of samples of each.
fn records(length: usize, samples: &[i32]) -> Vec<u8> {
    let code = ChannelCode::new("XX", "STA", "00", "BHZ");
    let mut out = Vec::new();
    write_records(&mut out, &Signal { code: &code, start: start(), sampling_rate: 100.0, samples }, length)
        .unwrap();
    out
}

/// The same records with all header fields, or the payload, in the other byte order.
fn swap_header(bytes: &mut [u8]) {
    for record in bytes.chunks_mut(LENGTH) {
        for at in [20, 22, 28, 30, 32, 34, 44, 46, 48, 50, 56, 58] {
            record[at..at + 2].reverse();
        }
        record[40..44].reverse();
    }
}

fn summary(scan: &Scan) -> (State, usize, u64, u64) {
    let samples = scan.records.iter().map(|r| u64::from(r.npts)).sum();
    (scan.state, scan.records.len(), samples, scan.bytes_skipped)
}

#[test]
fn what_is_written_is_read() {
    let samples = wave(5000);
    for length in [128, 256, 512, 4096, 1 << 16] {
        let bytes = records(length, &samples);
        let scan = scan_bytes(&bytes);
        assert_eq!((scan.state, scan.format), (State::Ok, "mseed2"), "{length}: {:?}", scan.reason);
        assert_eq!(scan.streams[0].code.to_string(), "XX.STA.00.BHZ");
        assert_eq!(scan.streams[0].source_id, "FDSN:XX_STA_00_B_H_Z");
        assert_eq!(scan.records[0].start, start());
        let pieces = read(file(&bytes).path(), &scan.records).unwrap();
        let got: Vec<f64> = pieces.iter().flat_map(|p| p.samples.clone()).collect();
        assert_eq!(got, samples.iter().map(|&s| f64::from(s)).collect::<Vec<_>>(), "{length}");
        assert!(pieces.iter().all(|p| p.integrity_ok));
        let mut expected = 0_i64;
        for record in &scan.records {
            assert!((record.start.0 - start().0 - expected * 10_000_000).abs() <= 500, "to the microsecond");
            expected += i64::from(record.npts);
        }
    }
}

#[test]
fn rates_go_through_factor_multiplier_and_blockette_100() {
    for rate in [100.0, 1.0, 0.1, 0.01, 2.5, 1080.0, 12.5, 1.0 / 60.0, 40_000.0, 33.333_333, 0.123_456_7] {
        let code = ChannelCode::new("XX", "S", "", "LHZ");
        let samples = wave(300);
        let mut out = Vec::new();
        let signal = Signal { code: &code, start: start(), sampling_rate: rate, samples: &samples };
        write_records(&mut out, &signal, LENGTH).unwrap();
        let got = scan_bytes(&out).records[0].sampling_rate;
        assert!((got / rate - 1.0).abs() < 1e-7, "{rate}: {got}");
    }
    let cases = [
        ((20, 1), 20.0),
        ((-10, 1), 0.1),
        ((1, -10), 0.1),
        ((-10, -10), 0.01),
        ((10, 10), 100.0),
        ((0, 1), 0.0),
        ((20, 0), 20.0),
        ((i16::MIN, 1), 1.0 / 32_768.0),
    ];
    for ((factor, multiplier), want) in cases {
        let got = nominal_rate(factor, multiplier);
        assert!((got - want).abs() < 1e-15, "{factor} {multiplier}: {got}");
    }
}

#[test]
fn what_is_no_rate_in_blockette_100_leaves_the_nominal_one() {
    let code = ChannelCode::new("XX", "S", "", "LHZ");
    let samples = wave(300);
    let mut out = Vec::new();
    // 33.333333 Hz cannot be said by factor and multiplier: the record has a blockette 100 at byte 64
    let signal = Signal { code: &code, start: start(), sampling_rate: 33.333_333, samples: &samples };
    write_records(&mut out, &signal, LENGTH).unwrap();
    let at = out.windows(4).position(|w| w == 33.333_333_f32.to_be_bytes()).unwrap();
    out[32..36].copy_from_slice(&[0, 40, 0, 1]);
    for (rate, want) in
        [(20.0_f32, 20.0), (-10.0, 40.0), (0.0, 0.0), (1e-41, 40.0), (f32::NAN, 40.0), (f32::INFINITY, 40.0)]
    {
        out[at..at + 4].copy_from_slice(&rate.to_be_bytes());
        assert_eq!(scan_bytes(&out).records[0].sampling_rate, want, "{rate}");
    }
}

#[test]
fn an_end_that_does_not_exist_is_refused() {
    let code = ChannelCode::new("XX", "S", "", "LHZ");
    let samples = wave(300);
    let mut out = Vec::new();
    let signal = Signal { code: &code, start: start(), sampling_rate: 33.333_333, samples: &samples };
    write_records(&mut out, &signal, LENGTH).unwrap();
    let at = out.windows(4).position(|w| w == 33.333_333_f32.to_be_bytes()).unwrap();
    for (rate, state) in [(1e-30_f32, State::Unreadable), (5e-9, State::Unreadable), (1e-6, State::Ok)] {
        let mut one = out[..LENGTH].to_vec();
        one[at..at + 4].copy_from_slice(&rate.to_be_bytes());
        let scan = scan_bytes(&one);
        assert_eq!(scan.state, state, "{rate} {:?}", scan.reason);
        assert_eq!(scan.bad_offset, (state != State::Ok).then_some(30), "{rate}");
    }
}

#[test]
fn header_and_data_have_byte_orders_of_their_own() {
    let samples = [1_i32, -2, 300_000, -400_000];
    for (header_swapped, data_little) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut bytes = records(LENGTH, &samples);
        bytes[52] = Encoding::INT32.0;
        bytes[53] = u8::from(!data_little);
        for (slot, sample) in bytes[64..].chunks_exact_mut(4).zip(samples) {
            slot.copy_from_slice(&if data_little { sample.to_le_bytes() } else { sample.to_be_bytes() });
        }
        if header_swapped {
            swap_header(&mut bytes);
        }
        let scan = scan_bytes(&bytes);
        assert_eq!(
            (scan.records[0].start, scan.records[0].npts),
            (start(), 4),
            "{header_swapped} {data_little}"
        );
        let piece = read(file(&bytes).path(), &scan.records).unwrap().remove(0);
        assert_eq!(piece.samples, samples.map(f64::from));
    }
}

#[test]
fn fields_of_the_header() {
    let one = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = records(LENGTH, &wave(100));
        change(&mut bytes);
        scan_bytes(&bytes).records.first().copied().unwrap_or_default()
    };
    let at = |text: &str| Time::parse(text).unwrap();
    assert_eq!(one(&|_| {}).start, at("2024-02-29T10:00:00.123456"));
    let leap = one(&|b| b[24..27].copy_from_slice(&[23, 59, 60]));
    assert_eq!((leap.start, leap.flags), (at("2024-03-01T00:00:00.123456"), flags::SECOND_60));
    let shifted = one(&|b| b[40..44].copy_from_slice(&(-5000_i32).to_be_bytes()));
    assert_eq!((shifted.start, shifted.flags), (at("2024-02-29T09:59:59.623456"), flags::TIME_CORRECTED));
    let applied = one(&|b| {
        b[40..44].copy_from_slice(&(-5000_i32).to_be_bytes());
        b[36] = 0x02;
    });
    assert_eq!((applied.start, applied.flags), (at("2024-02-29T10:00:00.123456"), 0));
    assert_eq!(one(&|b| b[61] = (-56_i8) as u8).start, at("2024-02-29T10:00:00.123344"));
    assert_eq!(one(&|b| b[36] = 0x30).flags, flags::LEAP_POSITIVE | flags::LEAP_NEGATIVE);
    assert_eq!(one(&|b| b[38] = 0x80).flags, flags::TIME_QUESTIONABLE);
    for (letter, version) in [(b'R', 1), (b'D', 2), (b'Q', 3), (b'M', 4)] {
        let record = one(&|b| b[6] = letter);
        assert_eq!((record.quality, record.publication_version), (letter, version));
    }
    let code = one(&|b| b[44..46].copy_from_slice(&[0, 0])).data_offset;
    assert_eq!(code, 64, "a data offset of 0 is behind the blockettes");
}

#[test]
fn a_lying_count_is_cut_to_what_the_bytes_hold() {
    let samples = wave(100);
    for claim in [101_u16, 400, 700, u16::MAX] {
        let mut bytes = records(LENGTH, &samples);
        bytes[30..32].copy_from_slice(&claim.to_be_bytes());
        let record = scan_bytes(&bytes).records[0];
        assert_eq!((record.npts, record.flags), (100, flags::LYING_COUNT), "{claim}");
        bytes[52] = Encoding::INT16.0;
        let record = scan_bytes(&bytes).records[0];
        assert_eq!(u32::from(claim).min(224), record.npts, "448 bytes of payload");
    }
}

#[test]
fn broken_chains_and_lengths_are_refused_with_their_place() {
    let cases: [(usize, &[u8], u64, &str); 4] = [
        (46, &[0, 40], 46, "a blockette at 40 lies inside what comes before it"),
        (50, &[0, 48], 46, "a blockette at 48 lies inside what comes before it"),
        (54, &[6], 54, "blockette 1000 gives a record length of 2^6 bytes"),
        (54, &[21], 54, "blockette 1000 gives a record length of 2^21 bytes"),
    ];
    for (at, value, place, reason) in cases {
        let mut bytes = records(LENGTH, &wave(1000));
        let good = bytes.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        let scan = scan_bytes(&bytes);
        assert_eq!(scan.bad_offset, Some(place), "{reason}");
        assert_eq!(scan.reason.as_deref(), Some(reason));
        let want = scan_bytes(&good).records.split_off(1);
        assert_eq!((scan.state, scan.records, scan.bytes_skipped), (State::Partly, want, 512));
    }
}

#[test]
fn a_chain_that_leaves_the_record_behind_blockette_1000_is_told() {
    let good = records(LENGTH, &wave(100));
    for next in [509_u16, 512, 14_336, u16::MAX] {
        let mut bytes = good.clone();
        bytes[50..52].copy_from_slice(&next.to_be_bytes());
        let (scan, before) = (scan_bytes(&bytes), scan_bytes(&good).records[0]);
        let record = scan.records[0];
        assert_eq!((record.npts, record.length), (before.npts, before.length), "{next}");
        assert_eq!((scan.state, scan.bad_offset, scan.bytes_skipped), (State::Partly, Some(46), 0), "{next}");
        assert_eq!(record.flags, flags::BROKEN_CHAIN, "{next}");
    }
}

#[test]
fn without_blockette_1000_the_next_header_gives_the_length() {
    let samples = wave(2000);
    for length in [128, 256, 512, 4096] {
        let with = records(length, &samples);
        let mut without = with.clone();
        for record in without.chunks_mut(length) {
            record[48..50].copy_from_slice(&999_u16.to_be_bytes());
        }
        let (a, b) = (scan_bytes(&with), scan_bytes(&without));
        let places = |scan: &Scan| -> Vec<_> {
            scan.records.iter().map(|r| (r.offset, r.length, r.start, r.npts)).collect()
        };
        assert_eq!(places(&a), places(&b), "{length}");
        assert_eq!((b.state, b.flags), (State::Ok, flags::ASSUMED));
        let pieces = read(file(&without).path(), &b.records).unwrap();
        let got: Vec<f64> = pieces.iter().flat_map(|p| p.samples.clone()).collect();
        assert_eq!(got, samples.iter().map(|&s| f64::from(s)).collect::<Vec<_>>());
    }
}

#[test]
fn records_before_a_cut_are_exact_and_the_rest_is_reported() {
    let bytes = records(LENGTH, &wave(3000));
    let whole = scan_bytes(&bytes).records;
    for boundary in (1..=whole.len()).map(|n| n * LENGTH) {
        for cut in
            [boundary - LENGTH + 1, boundary - 500, boundary - 460, boundary - 64, boundary - 1, boundary]
        {
            let scan = scan_bytes(&bytes[..cut]);
            let complete = cut / LENGTH;
            assert_eq!(scan.records, whole[..complete], "{cut}");
            let left = (cut % LENGTH) as u64;
            assert_eq!(scan.bytes_skipped, if scan.state == State::Other { 0 } else { left }, "{cut}");
            if left > 0 && complete > 0 {
                assert_eq!((scan.state, scan.bad_offset), (State::Partly, Some((complete * LENGTH) as u64)));
            }
        }
    }
}

#[test]
fn noise_blanks_and_control_records_between() {
    let (a, b) = (records(LENGTH, &wave(400)), records(4096, &wave(3000)));
    let control =
        |kind: &str| format!("{:<512}", format!("000001{kind} 0100042 some text of a header")).into_bytes();
    let blank = format!("{:<512}", "000007").into_bytes();
    let good = scan_bytes(&a).records.len() + scan_bytes(&b).records.len();
    let n = |parts: &[&[u8]]| scan_bytes(&parts.concat());
    let (volume, station) = (control("V"), control("S"));
    let noise: Vec<u8> = (0..777_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (scan, state, skipped) in [
        (n(&[&a, &b]), State::Ok, 0),
        (n(&[&volume, &station, &a, &control("T"), &b]), State::Ok, 0),
        (n(&[&a, &blank, &b]), State::Ok, 0),
        (n(&[&a, &b, &blank]), State::Ok, 0),
        (n(&[&a, &noise, &b]), State::Partly, 777),
        (n(&[&noise, &a, &b]), State::Partly, 777),
        (n(&[&a, &b, &noise[..5]]), State::Partly, 5),
        (n(&[&a, &[0; 512], &b]), State::Partly, 512),
        (n(&[&[0; 512], &a, &b]), State::Partly, 512),
    ] {
        let (got, records, _, bytes) = summary(&scan);
        assert_eq!((got, records, bytes), (state, good, skipped), "{:?}", scan.reason);
        assert_eq!(scan.streams.len(), 1);
    }
    assert_eq!(n(&[&volume, &station]).state, State::Other);
}

#[test]
fn codes_are_cleaned() {
    let cases: [(&[u8; 12], &str, &str); 4] = [
        (b"IUANMO 00BHZ", "IU.ANMO.00.BHZ", "FDSN:IU_ANMO_00_B_H_Z"),
        (b"  GECKO\xf0ACNZ", ".GECKO.A.CNZ", "FDSN:_GECKO_A_C_N_Z"),
        (b"XXA\0\0\0\0  SOH", "XX.A..SOH", "FDSN:XX_A__S_O_H"),
        (b"XXmart 10 cp", "XX.mart.10.cp", "FDSN:XX_mart_10__c_p"),
    ];
    for (raw, code, source_id) in cases {
        let got = stream(raw);
        assert_eq!((got.code.to_string().as_str(), got.source_id.as_str()), (code, source_id));
    }
}
