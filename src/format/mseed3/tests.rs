#![allow(clippy::indexing_slicing)]

use super::*;
use crate::format::mseed2::{self, Signal};
use crate::format::waveform::tests_support::{file, scan_bytes};
use crate::format::waveform::{State, read};

fn start() -> Time {
    Time::parse("2024-02-29T10:00:00.123456789").unwrap()
}

fn signal<'a>(code: &'a ChannelCode, rate: f64, samples: &'a [i32]) -> Signal<'a> {
    Signal { code, start: start(), sampling_rate: rate, samples }
}

fn records(rate: f64, samples: &[i32]) -> Vec<u8> {
    let code = ChannelCode::new("XX", "STA", "00", "BHZ");
    let mut out = Vec::new();
    write_records(&mut out, &signal(&code, rate, samples), 500).unwrap();
    out
}

fn wave(count: usize) -> Vec<i32> {
    (0..count).map(|i| ((i as f64 * 0.37).sin() * 3000.0) as i32).collect()
}

/// Writes the checksum that belongs to the changed bytes of the first record of this length.
fn seal(bytes: &mut [u8], length: usize) {
    let crc = checksum(&bytes[..length]);
    bytes[CRC].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn what_is_written_is_read() {
    for rate in [100.0, 1.0 / 60.0, 1e-3, 44_100.5] {
        let samples = wave(3000);
        let bytes = records(rate, &samples);
        let scan = scan_bytes(&bytes);
        assert_eq!((scan.state, scan.format), (State::Ok, "mseed3"), "{:?}", scan.reason);
        assert_eq!(scan.streams[0].code.to_string(), "XX.STA.00.BHZ");
        assert_eq!((scan.records[0].start, scan.records[0].sampling_rate), (start(), rate));
        let pieces = read(file(&bytes).path(), &scan.records).unwrap();
        let got: Vec<f64> = pieces.iter().flat_map(|p| p.samples.clone()).collect();
        assert_eq!(got, samples.iter().map(|&s| f64::from(s)).collect::<Vec<_>>());
    }
}

#[test]
fn rates_and_periods() {
    let cases = [
        (60.0, 60.0),
        (-60.0, 1.0 / 60.0),
        (1e-6, 1e-6),
        (-1e-9, 1.0 / 1e-9),
        (0.0, 0.0),
        (-0.0, 0.0),
        (f64::NAN, 0.0),
        (f64::INFINITY, 0.0),
        (f64::NEG_INFINITY, 0.0),
        (-1e-320, 0.0),
    ];
    for (written, want) in cases {
        let mut bytes = records(60.0, &wave(100));
        bytes[16..24].copy_from_slice(&f64::to_le_bytes(written));
        let length = bytes.len();
        seal(&mut bytes, length);
        let record = scan_bytes(&bytes).records[0];
        assert_eq!(record.sampling_rate.to_bits(), f64::to_bits(want), "{written}");
        assert!(want > 0.0 || record.last_sample() == record.start, "no time series takes no time");
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let bytes = records(100.0, &wave(120));
    let want = scan_bytes(&bytes);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x10;
        let scan = scan_bytes(&bad);
        assert!(scan.records.is_empty(), "byte {at}");
        assert_eq!(scan.state, if at < 3 { State::Other } else { State::Unreadable }, "byte {at}");
        assert!(at < 3 || scan.bad_offset.is_some());
    }
    assert_eq!(want.records.len(), 1);
}

#[test]
fn a_damaged_record_costs_only_itself() {
    let bytes = records(100.0, &wave(4000));
    let whole = scan_bytes(&bytes).records;
    for (index, record) in whole.iter().enumerate() {
        let mut bad = bytes.clone();
        bad[record.offset as usize + 100] ^= 1;
        let scan = scan_bytes(&bad);
        let mut want = whole.clone();
        want.remove(index);
        assert_eq!((scan.records, scan.bytes_skipped), (want, record.length));
        assert_eq!(scan.bad_offset, Some(record.offset + 28));
        for cut in [record.offset + 1, record.offset + 39, record.offset + record.length - 1] {
            let scan = scan_bytes(&bytes[..cut as usize]);
            assert_eq!(scan.records, whole[..index], "{cut}");
            let place = (index > 0).then_some(record.offset);
            assert!(index == 0 || (scan.state, scan.bad_offset) == (State::Partly, place), "{cut} {scan:?}");
        }
    }
}

#[test]
fn a_lying_count_is_cut_to_what_the_bytes_hold() {
    let mut bytes = records(100.0, &wave(100));
    for claim in [101, u32::MAX] {
        bytes[24..28].copy_from_slice(&u32::to_le_bytes(claim));
        let length = bytes.len();
        seal(&mut bytes, length);
        let record = scan_bytes(&bytes).records[0];
        assert_eq!((record.npts, record.flags), (100, flags::LYING_COUNT));
    }
}

#[test]
fn versions_and_channels_mix() {
    let code = ChannelCode::new("XX", "STA", "00", "BHN");
    let samples = wave(900);
    let mut bytes = records(100.0, &samples);
    mseed2::write_records(&mut bytes, &signal(&code, 100.0, &samples), 512).unwrap();
    bytes.extend_from_slice(&records(100.0, &samples));
    let code = ChannelCode::new("XX", "STA", "00", "BHZ");
    mseed2::write_records(&mut bytes, &signal(&code, 100.0, &samples), 4096).unwrap();
    let scan = scan_bytes(&bytes);
    assert_eq!((scan.format, scan.state, scan.streams.len()), ("mseed2+3", State::Ok, 2));
    assert_eq!(scan.records.iter().map(|r| u64::from(r.npts)).sum::<u64>(), 3600);
}

#[test]
fn identifiers() {
    let cases = [
        ("FDSN:IU_COLA_00_B_H_Z", "IU.COLA.00.BHZ"),
        ("FDSN:XX_TEST__L_H_1", "XX.TEST..LH1"),
        ("XFDSN:XX_TEST__L_H_Z", "XX.TEST..LHZ"),
        ("FDSN:XX_LONGNAME_LOCATION_M_VM_TEMP", "XX.LONGNAME.LOCATION.M_VM_TEMP"),
        ("FDSN:IU_COLA", "..."),
        ("urn:my-sensor", "..."),
    ];
    for (id, want) in cases {
        let got = stream(id.as_bytes());
        assert_eq!((got.code.to_string().as_str(), got.source_id.as_str()), (want, id));
    }
}
