#![allow(clippy::indexing_slicing)]

use super::*;
use crate::format::waveform::tests_support::{file, scan_bytes};
use crate::format::waveform::{read, read_samples};

fn code() -> ChannelCode {
    ChannelCode::new("PB", "B917", "01", "EHZ")
}

fn sac(start: Time, delta_s: f64, samples: &[f32], little: bool, version: u8) -> Vec<u8> {
    let mut out = Vec::new();
    write_sac(&mut out, &Trace { code: &code(), start, delta_s, samples }, little, version).unwrap();
    out
}

fn at(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn put(bytes: &mut [u8], word: usize, value: [u8; 4]) {
    bytes[4 * word..4 * word + 4].copy_from_slice(&value);
}

#[test]
fn both_byte_orders_and_both_versions() {
    let samples: Vec<f32> = (0..500).map(|i| (i as f32).sin()).collect();
    for (little, version) in [(true, 6), (false, 6), (true, 7), (false, 7)] {
        let bytes = sac(at("2019-07-04T17:02:55.1234"), 0.01, &samples, little, version);
        let scan = scan_bytes(&bytes);
        assert_eq!((scan.state, scan.reason.clone(), scan.format), (State::Ok, None, "sac"));
        assert_eq!(scan.streams[0].code, code());
        let record = scan.records[0];
        assert!((record.start.0 - at("2019-07-04T17:02:55.1234").0).abs() < 10);
        assert_eq!((record.sampling_rate, record.npts), (100.0, 500));
        let file = file(&bytes);
        let whole = read(file.path(), &scan.records).unwrap().remove(0);
        assert_eq!(whole.samples, samples.iter().map(|&s| f64::from(s)).collect::<Vec<_>>());
        for (first, count) in [(0, 1), (7, 100), (499, 5), (500, 1), (600, 1), (0, 500)] {
            let part = read_samples(file.path(), &record, first, count).unwrap();
            let end = (first + count).min(500) as usize;
            assert_eq!(part.samples, whole.samples[(first as usize).min(end)..end], "{first} {count}");
            assert_eq!(part.start.0 - record.start.0, i64::from(first.min(500)) * 10_000_000);
        }
    }
}

#[test]
fn undefined_times_and_coarse_ones() {
    let good = sac(at("2019-07-04"), 0.01, &[1.0; 10], true, 6);
    let undefined = UNDEFINED.to_le_bytes();
    let scan = |word: usize, value: [u8; 4]| {
        let mut bytes = good.clone();
        put(&mut bytes, word, value);
        scan_bytes(&bytes)
    };
    for word in 70..76 {
        let got = scan(word, undefined);
        assert_eq!((got.state, got.flags, got.records[0].start), (State::NoTime, flags::NO_TIME, Time(0)));
    }
    let no_b = scan(5, (UNDEFINED as f32).to_le_bytes());
    assert_eq!((no_b.state, no_b.records[0].start), (State::NoTime, Time(0)));
    let far = scan(5, 61_199.996_f32.to_le_bytes());
    assert_eq!((far.state, far.flags), (State::Ok, flags::COARSE_TIME), "a step of 3.9 ms at 100 Hz");
    let near = scan(5, 60.5_f32.to_le_bytes());
    assert_eq!((near.records[0].start, near.flags), (at("2019-07-04T00:01:00.5"), 0));
}

#[test]
fn what_is_no_time_series_or_has_another_size() {
    let good = sac(at("2019-07-04"), 0.01, &[1.0; 10], false, 6);
    let with = |word: usize, value: i32| {
        let mut bytes = good.clone();
        put(&mut bytes, word, value.to_be_bytes());
        let scan = scan_bytes(&bytes);
        (scan.state, scan.reason.unwrap_or_default(), scan.bad_offset)
    };
    let other = |reason: &str| (State::Other, reason.to_owned(), None);
    assert_eq!(with(IFTYPE, IRLIM), other("a SAC file of a spectrum"));
    assert_eq!(with(IFTYPE, IAMPH), other("a SAC file of a spectrum"));
    assert_eq!(with(IFTYPE, IXYZ), other("a SAC file of an XYZ surface"));
    assert_eq!(with(LEVEN, 0), other("a SAC file of unevenly spaced data"));
    assert_eq!(with(0, 0), (State::Unreadable, "the sampling interval is 0".to_owned(), Some(0)));
    let sizes = "11 samples make a file of 676 bytes, this one has 672";
    assert_eq!(with(NPTS, 11), (State::Unreadable, sizes.to_owned(), Some(672)));
    assert_eq!(with(NPTS, i32::MAX).0, State::Unreadable);
    assert_eq!(with(NPTS, -1), (State::Other, String::new(), None));
    for cut in [631, 632, 671] {
        let state = scan_bytes(&good[..cut]).state;
        assert_eq!(state, if cut < 632 { State::Other } else { State::Unreadable }, "{cut}");
    }
}

/// The text of an ASCII file with these samples.
fn alpha(samples: &[f64], line_end: &str) -> String {
    let mut lines = Vec::new();
    for row in 0..14 {
        let cell = |column: usize| match 5 * row + column {
            0 => 0.025,
            5 => 12.5,
            _ => -12345.0,
        };
        lines.push((0..5).map(|c| format!("{:15.6}", cell(c))).collect::<String>());
    }
    let integers = [(70, 2003), (71, 171), (72, 6), (73, 20), (74, 0), (75, 752), (76, 6), (85, 1), (105, 1)];
    for row in 0..8 {
        let cell = |column: usize| match 70 + 5 * row + column {
            79 => samples.len() as i32,
            word => integers.iter().find(|i| i.0 == word).map_or(-12345, |i| i.1),
        };
        lines.push((0..5).map(|c| format!("{:10}", cell(c))).collect::<String>());
    }
    let texts = [
        "HRV     -12345          ",
        "00      -12345  -12345  ",
        "-12345  -12345  BHE     ",
        "IU      -12345  -12345  ",
    ];
    let blank = "-12345  -12345  -12345  ";
    lines.extend([texts[0], texts[1], blank, blank, blank, blank, texts[2], texts[3]].map(str::to_owned));
    lines.extend(samples.chunks(5).map(|c| c.iter().map(|s| format!("{s:15.7}")).collect::<String>()));
    lines.join(line_end) + line_end
}

#[test]
fn ascii_files() {
    let samples: Vec<f64> = (0..23).map(|i| f64::from(i) * 0.5 - 3.25).collect();
    for line_end in ["\n", "\r\n"] {
        let text = alpha(&samples, line_end);
        let scan = scan_bytes(text.as_bytes());
        assert_eq!((scan.state, scan.reason.clone(), scan.flags), (State::Ok, None, flags::ALPHA));
        assert_eq!(scan.streams[0].code, ChannelCode::new("IU", "HRV", "00", "BHE"));
        let record = scan.records[0];
        assert_eq!((record.start, record.sampling_rate), (at("2003-06-20T06:20:13.252"), 40.0));
        let file = file(text.as_bytes());
        let read = |first, count| read_samples(file.path(), &record, first, count).unwrap();
        assert_eq!(read(0, 23).samples, samples);
        assert_eq!(read(7, 4).samples, samples[7..11]);
        assert!(read(7, 4).integrity_ok);
        let whole = crate::format::waveform::read(file.path(), &scan.records).unwrap();
        assert_eq!(whole[0].samples, samples);
    }
    let text = alpha(&samples, "\n");
    let short = scan_bytes(&text.as_bytes()[..text.len() - 20]);
    assert_eq!(short.state, State::Unreadable);
    let reason = "the header says 23 samples, the file holds 22";
    assert_eq!((short.reason.as_deref(), short.bad_offset), (Some(reason), Some(text.len() as u64 - 20)));
    let bad = scan_bytes(text.replace("-2.7500000", "-2.75oooo0").as_bytes());
    assert_eq!((bad.state, bad.reason.as_deref()), (State::Unreadable, Some("sample 2 is not a number")));
}
