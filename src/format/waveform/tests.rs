#![allow(clippy::indexing_slicing)]

use proptest::prelude::*;

use super::tests_support::{file, scan_bytes};
use super::*;
use crate::format::mseed2::{self, Signal};
use crate::format::{mseed3, sac};

fn samples() -> Vec<i32> {
    (0..3000).map(|i| ((f64::from(i) * 0.21).sin() * 1e5) as i32).collect()
}

/// One good file of each format.
fn good_files() -> Vec<Vec<u8>> {
    let code = ChannelCode::new("XX", "STA", "00", "BHZ");
    let samples = samples();
    let signal = Signal {
        code: &code,
        start: Time(1_700_000_000_123_456_000),
        sampling_rate: 100.0,
        samples: &samples,
    };
    let (mut v2, mut v3, mut sac) = (Vec::new(), Vec::new(), Vec::new());
    mseed2::write_records(&mut v2, &signal, 512).unwrap();
    mseed3::write_records(&mut v3, &signal, 600).unwrap();
    let floats: Vec<f32> = samples.iter().map(|&s| s as f32).collect();
    let trace = sac::Trace { code: &code, start: signal.start, delta_s: 0.01, samples: &floats };
    sac::write_sac(&mut sac, &trace, true, 7).unwrap();
    vec![v2, v3, sac]
}

/// Nothing that a file claims goes beyond its bytes, and everything that is indexed can be asked for.
fn check_claims(bytes: &[u8]) {
    let scan = scan_bytes(bytes);
    let file = file(bytes);
    let mut covered = 0;
    for record in &scan.records {
        assert!(record.offset >= covered && record.offset + record.length <= bytes.len() as u64);
        assert!(u64::from(record.data_offset) <= record.length);
        assert!((record.stream as usize) < scan.streams.len());
        assert!(record.sampling_rate >= 0.0 && record.sampling_rate.is_finite());
        covered = record.offset + record.length;
        if let Ok(pieces) = read(file.path(), std::slice::from_ref(record)) {
            let known = record.flags & flags::ASSUMED == 0;
            assert!(!known || pieces[0].samples.len() == record.npts as usize, "{record:?}");
        }
        let _ = read_samples(file.path(), record, 3, 10);
    }
    assert!(scan.bytes_skipped <= bytes.len() as u64);
    let told = scan.reason.is_some() && (scan.bad_offset.is_some() || scan.state == State::NoTime);
    assert!(matches!(scan.state, State::Ok | State::Other) || told, "{scan:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn changed_files_never_claim_more_than_they_hold(
        which in 0..3_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        header_changes in prop::collection::vec((0..80_usize, any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        cuts: bool,
    ) {
        let mut bytes = good_files().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (at, value) in header_changes {
            bytes[at] = value;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        check_claims(&bytes);
    }

    #[test]
    fn any_bytes_are_scanned(bytes in prop::collection::vec(any::<u8>(), 0..3000), magic in 0..4_usize) {
        let heads: [&[u8]; 4] = [b"", b"MS\x03", b"000001D STA  00BHZXX\x07\xe8\x00\x01", b"000001V "];
        check_claims(&[heads[magic], &bytes].concat());
    }
}

#[test]
fn read_takes_exactly_the_records_asked_for() {
    for bytes in good_files() {
        let scan = scan_bytes(&bytes);
        let file = file(&bytes);
        let whole = read(file.path(), &scan.records).unwrap();
        let every_third: Vec<Record> = scan.records.iter().step_by(3).copied().collect();
        let some = read(file.path(), &every_third).unwrap();
        assert_eq!(some, whole.iter().step_by(3).cloned().collect::<Vec<_>>());
        let backwards: Vec<Record> = scan.records.iter().rev().copied().collect();
        assert_eq!(read(file.path(), &backwards).unwrap(), whole.iter().rev().cloned().collect::<Vec<_>>());
        let part = read_samples(file.path(), &scan.records[0], 5, 7).unwrap();
        assert_eq!(part.samples, whole[0].samples[5..12]);
        assert_eq!(part.start, sample_time(whole[0].start, 5, 100.0));
    }
}

#[test]
fn a_file_that_was_cut_since_is_an_error() {
    let bytes = good_files().swap_remove(0);
    let scan = scan_bytes(&bytes);
    let short = file(&bytes[..bytes.len() - 100]);
    let error = read(short.path(), &scan.records).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("it has changed"), "{error}");
}

#[test]
fn hostile_files_are_read_in_linear_time() {
    // headers of miniSEED 3 that each claim 16 MiB; headers of miniSEED 2 without a length, far apart
    let mut nested = Vec::new();
    for _ in 0..60_000 {
        let mut head = b"MS\x03\0\0\0\0\0\xe8\x07\x01\0\0\0\0\x0b".to_vec();
        head.resize(36, 0);
        head.extend_from_slice(&(16_u32 << 19).to_le_bytes());
        nested.extend_from_slice(&head);
    }
    nested.resize(nested.len() + (9 << 20), 0);
    let scan = scan_bytes(&nested);
    assert_eq!((scan.state, scan.records.len()), (State::Unreadable, 0));
    let mut head = b"000001D STA  00BHZXX\x07\xe8\0\x01\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    head.resize(4099, 1);
    let sparse = head.repeat(1000);
    check_claims(&sparse[..20_000]);
    assert!(scan_bytes(&sparse).bytes_skipped <= sparse.len() as u64);
    assert_eq!(scan_bytes(&[0; 3 << 20]).state, State::Other);
    assert_eq!(scan_bytes(b"").state, State::Other);
}
