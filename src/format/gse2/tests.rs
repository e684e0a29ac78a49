use proptest::prelude::*;

use super::data::checksum;
use super::*;
use crate::format::waveform::read;
use crate::format::waveform::tests_support::{file, scan_bytes};

/// The characters of six bits.
const ALPHABET: &[u8; 64] = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// One number of CM6: the sign and four bits, then five bits a character, the highest first.
fn pack(value: i32, out: &mut Vec<u8>) {
    let magnitude = value.unsigned_abs();
    let groups = (0..7).rev().find(|&n| n == 0 || magnitude >> (5 * n - 1) != 0).unwrap_or(0);
    for group in (0..=groups).rev() {
        let is_first = group == groups;
        let bits = magnitude >> (5 * group) & if is_first { 0x0f } else { 0x1f };
        let sign = if is_first && value < 0 { 0x10 } else { 0 };
        out.push(ALPHABET[(bits | sign | if group > 0 { 0x20 } else { 0 }) as usize]);
    }
}

fn differences(samples: &[i32]) -> Vec<i32> {
    let mut before = 0_i32;
    samples.iter().map(|&s| s.wrapping_sub(std::mem::replace(&mut before, s))).collect()
}

fn data(encoding: &str, samples: &[i32]) -> Vec<u8> {
    if encoding == "INT" {
        return samples.iter().flat_map(|s| format!("{s} \n").into_bytes()).collect();
    }
    let mut text = Vec::new();
    differences(&differences(samples)).iter().for_each(|&d| pack(d, &mut text));
    text.chunks(80).flat_map(|line| [line, b"\n"].concat()).collect()
}

/// One section.
fn section(encoding: &str, samples: &[i32], npts: usize) -> Vec<u8> {
    let wid = format!(
        "WID2 2010/04/03 13:22:08.001 ABCDE HHZ 01   {encoding:<3} {npts:>8} {:>11.6}   9.49e-02   1.000         -1.0 -1.0\n",
        500.0
    );
    let sta = "STA2 NETWRK     12.34567    1.23456 WGS-84       -0.456 1.234\nDAT2\n";
    let check = format!("CHK2 {:>8}\n\n", checksum(samples));
    [wid.as_bytes(), sta.as_bytes(), &data(encoding, samples), check.as_bytes()].concat()
}

fn wave() -> Vec<i32> {
    (0..700).map(|i| ((f64::from(i) * 0.3).sin() * 3e5) as i32 - 77).collect()
}

#[test]
fn sections_are_found_and_decoded() {
    let samples = wave();
    let (cm6, int) = (section("CM6", &samples, 700), section("INT", &samples, 700));
    let mail = b"From: somebody\nBEGIN IMS1.0\nMSG_TYPE DATA\nDATA_TYPE WAVEFORM IMS1.0:CM6\n".to_vec();
    let dos: Vec<u8> =
        cm6.iter().flat_map(|&b| if b == b'\n' { vec![b'\r', b'\n'] } else { vec![b] }).collect();
    let cases: [(&str, Vec<u8>, usize); 6] = [
        ("CM6", cm6.clone(), 1),
        ("INT", int.clone(), 1),
        ("CR LF", dos, 1),
        ("mail before", [mail, cm6.clone()].concat(), 1),
        ("several", [cm6.clone(), int.clone(), cm6.clone(), b"STOP\n".to_vec()].concat(), 3),
        ("several, none with blanks behind", [cm6.trim_ascii(), b"\n", int.trim_ascii()].concat(), 2),
    ];
    for (name, bytes, sections) in cases {
        let scan = scan_bytes(&bytes);
        assert_eq!((scan.state, scan.reason, scan.format), (State::Ok, None, "gse2"), "{name}");
        assert_eq!(scan.records.len(), sections, "{name}");
        assert_eq!(scan.streams.len(), 1, "{name}");
        assert_eq!(scan.streams[0].code, ChannelCode::new("NETWRK", "ABCDE", "01", "HHZ"), "{name}");
        let file = file(&bytes);
        for piece in read(file.path(), &scan.records).unwrap() {
            assert!(piece.integrity_ok, "{name}");
            assert_eq!(piece.start, Time::parse("2010-04-03T13:22:08.001").unwrap(), "{name}");
            assert_eq!(piece.sampling_rate, 500.0, "{name}");
            assert!(piece.samples.iter().zip(&samples).all(|(a, b)| *a == f64::from(*b)), "{name}");
            assert_eq!(piece.samples.len(), 700, "{name}");
        }
    }
}

#[test]
fn what_is_wrong_is_told() {
    let samples = wave();
    let good = section("CM6", &samples, 700);
    let without = |text: &str| String::from_utf8(good.clone()).unwrap().replace(text, "").into_bytes();
    let at_data = good.windows(5).position(|w| w == b"DAT2\n").unwrap() + 5;
    let mut odd = good.clone();
    odd[at_data + 200] = b'%';
    let check = good.windows(5).position(|w| w == b"CHK2 ").unwrap();
    let cases: [(&str, Vec<u8>, State, u32, &str); 6] = [
        ("no data", without("DAT2\n"), State::Unreadable, 0, "no DAT line"),
        ("no checksum", good[..check].to_vec(), State::Partly, 700, "no CHK line"),
        ("a character", odd, State::Partly, 0, "not of CM6"),
        ("too few", section("CM6", &samples, 701), State::Ok, 700, ""),
        ("cut", good[..at_data + 300].to_vec(), State::Partly, 0, "no CHK line"),
        (
            "no number",
            section("INT", &samples, 700).replace_first(b"-77 \n", b"-7x \n"),
            State::Partly,
            0,
            "whole number",
        ),
    ];
    for (name, bytes, state, npts, reason) in cases {
        let scan = scan_bytes(&bytes);
        assert_eq!(scan.state, state, "{name}: {scan:?}");
        assert!(scan.reason.unwrap_or_default().contains(reason), "{name}");
        assert_eq!(scan.bad_offset.is_some(), state != State::Ok, "{name}");
        for record in &scan.records {
            assert!(record.npts == npts || (npts == 0 && record.npts < 700), "{name} {}", record.npts);
            assert_eq!(record.flags & flags::LYING_COUNT != 0, name != "no checksum", "{name}");
            let file = file(&bytes);
            let piece = &read(file.path(), std::slice::from_ref(record)).unwrap()[0];
            assert_eq!((piece.samples.len(), piece.integrity_ok), (record.npts as usize, false), "{name}");
        }
    }
}

trait ReplaceFirst {
    fn replace_first(self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl ReplaceFirst for Vec<u8> {
    fn replace_first(mut self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = self.windows(from.len()).position(|w| w == from).unwrap();
        self.splice(at..at + from.len(), to.iter().copied());
        self
    }
}

#[test]
fn a_wrong_checksum_marks_the_samples() {
    let samples = wave();
    let mut bytes = section("CM6", &samples, 700);
    let at = bytes.windows(5).position(|w| w == b"CHK2 ").unwrap() + 12;
    bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
    let scan = scan_bytes(&bytes);
    assert_eq!(scan.state, State::Ok);
    let file = file(&bytes);
    let piece = &read(file.path(), &scan.records).unwrap()[0];
    assert_eq!((piece.samples.len(), piece.integrity_ok), (700, false));
}

#[test]
fn other_kinds_of_data_are_refused_by_name() {
    for (kind, want) in [("CSF", "CSF"), ("CM8", "CM8"), ("AU6", "authenticated"), ("XYZ", "unknown kind")] {
        let bytes = section("CM6", &wave(), 700).replace_first(b"CM6", kind.as_bytes());
        let scan = scan_bytes(&bytes);
        assert_eq!((scan.state, scan.records[0].npts), (State::Ok, 700), "{kind}");
        let file = file(&bytes);
        let error = read(file.path(), &scan.records).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(want), "{kind}: {error}");
    }
}

#[test]
fn the_first_version() {
    let text = "XW01\n\nWID1  1998228 02 09 00 050        5 GRB1   GRB1BZ   BZ  19.9999997        INTV 0\n 7.2482402 1.0000   49.3913   11.6520  494.0000 -999.0000   -1.00   -1.00   -1.0\nDAT1\n -67 -63 -61\n -54 -42\nCHK1        -287\n\nSTOP\n";
    let scan = scan_bytes(text.as_bytes());
    assert_eq!((scan.state, scan.format, scan.records.len()), (State::Ok, "gse1", 1));
    assert_eq!(scan.streams[0].code, ChannelCode::new("", "GRB1", "", "BZ"));
    assert_eq!(scan.records[0].start, Time::parse("1998-08-16T02:09:00.05").unwrap());
    let file = file(text.as_bytes());
    let piece = &read(file.path(), &scan.records).unwrap()[0];
    assert_eq!((&*piece.samples, piece.integrity_ok), (&[-67.0, -63.0, -61.0, -54.0, -42.0][..], true));
}

#[test]
fn what_only_looks_like_it_is_something_else() {
    let cases: [&[u8]; 5] = [
        b"WID2 is a word\n",
        b"\0\0WID2\n",
        b"WID2 2010/13/03 13:22:08.001 ABCDE HHZ 01   CM6      700  500.000000\n",
        b"",
        b"BEGIN IMS1.0\nMSG_TYPE DATA\nDATA_TYPE BULLETIN\n",
    ];
    for bytes in cases {
        assert_eq!(scan_bytes(bytes).state, State::Other, "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked(samples in prop::collection::vec(-30_000_000..30_000_000_i32, 1..300)) {
        for encoding in ["CM6", "INT"] {
            let bytes = section(encoding, &samples, samples.len());
            let scan = scan_bytes(&bytes);
            prop_assert_eq!(scan.state, State::Ok);
            let file = file(&bytes);
            let piece = &read(file.path(), &scan.records).unwrap()[0];
            prop_assert!(piece.integrity_ok);
            let want: Vec<f64> = samples.iter().map(|&s| f64::from(s)).collect();
            prop_assert_eq!(&piece.samples, &want);
        }
    }
}
