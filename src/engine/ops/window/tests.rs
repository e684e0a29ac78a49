use proptest::prelude::*;

use super::assemble::assemble;
use super::choose::choose;
use super::*;

#[test]
fn ends_are_counted_with_a_slack() {
    for (span, rate, want) in [
        ((-0.2, 1.0), 100.0, (-20, 100)),
        ((-0.205, 0.995), 100.0, (-20, 99)),
        ((-0.29, 0.29), 100.0, (-29, 29)),
        ((0.1, 0.3), 10.0, (1, 3)),
        ((0.0, 0.0), 40.0, (0, 0)),
    ] {
        assert_eq!(sample_range(span, rate), want, "{span:?} {rate}");
    }
    // 0.29 * 100 is 28.999999999999996.
    assert_eq!(lag_samples(0.29, 100.0), 29);
    assert_eq!(lag_samples(0.299, 100.0), 29);
}

#[test]
fn flags_have_names() {
    assert_eq!(Flags::default().names(), "");
    assert_eq!(Flags::CYCLE_SKIP.with(Flags::INVERTED).names(), "inverted,cycle_skip");
}

/// Records of a count at 100 Hz: from sample, number of samples.
fn records(cuts: &[(usize, usize)]) -> Vec<Piece> {
    let piece = |&(from, n): &(usize, usize)| Piece {
        start: Time(1_000_000_000 + from as i64 * 10_000_000),
        sampling_rate_hz: 100.0,
        samples: (from..from + n).map(|i| i as f64).collect(),
    };
    cuts.iter().map(piece).collect()
}

proptest! {
    /// However a trace is cut into records, doubled and shuffled, the run is the trace.
    #[test]
    fn a_cut_trace_is_put_together(
        cuts in proptest::collection::vec(1_usize..60, 1..12), copies in proptest::collection::vec((0_usize..300, 1_usize..90), 0..5),
        at in 0.0_f64..1.0, offset in -4_000_000_i64..4_000_000,
    ) {
        let mut from = 0;
        let mut list: Vec<(usize, usize)> = Vec::new();
        for n in cuts {
            list.push((from, n));
            from += n;
        }
        let total = from;
        list.extend(copies.into_iter().filter(|c| c.0 + c.1 <= total));
        list.reverse();
        let number = ((total - 1) as f64 * at) as usize;
        let anchor = Time(1_000_000_000 + number as i64 * 10_000_000 + offset);
        let run = assemble(records(&list), anchor).expect("a run");
        prop_assert_eq!(run.first, -(number as isize));
        prop_assert_eq!(run.samples, (0..total).map(|i| i as f64).collect::<Vec<_>>());
        prop_assert!((run.remainder_s - offset as f64 / 1e9).abs() < 1e-12);
        prop_assert!(run.steps.is_empty());
    }
}

#[test]
fn runs_stop_with_a_reason() {
    // what is done to records (0, 100) (100, 100) (200, 100); first and last sample kept; reasons before and after
    type Case = (&'static str, fn(&mut Vec<Piece>), (f64, f64), (Reason, Reason));
    let cases: [Case; 8] = [
        ("nothing", |_| {}, (0.0, 299.0), (Reason::NoData, Reason::NoData)),
        ("one sample is missing", |p| p[1].samples.truncate(99), (0.0, 198.0), (Reason::NoData, Reason::Gap)),
        ("a gap after", |p| p[2].start.0 += 10_000_000, (0.0, 199.0), (Reason::NoData, Reason::Gap)),
        ("a gap before", |p| p[0].start.0 -= 30_000_000, (100.0, 299.0), (Reason::Gap, Reason::NoData)),
        ("a tear after", |p| p[2].start.0 += 6_000_000, (0.0, 199.0), (Reason::NoData, Reason::TimeTear)),
        ("a tear before", |p| p[0].start.0 -= 6_000_000, (100.0, 299.0), (Reason::TimeTear, Reason::NoData)),
        (
            "another rate",
            |p| p[2].sampling_rate_hz = 50.0,
            (0.0, 199.0),
            (Reason::NoData, Reason::RateChange),
        ),
        ("copies differ", |p| p[2].start.0 -= 100_000_000, (0.0, 189.0), (Reason::NoData, Reason::Overlap)),
    ];
    for (what, change, ends, reasons) in cases {
        let mut pieces = records(&[(0, 100), (100, 100), (200, 100)]);
        change(&mut pieces);
        let run = assemble(pieces, Time(1_000_000_000 + 1_500_000_000)).expect(what);
        let kept = (run.samples.first().copied(), run.samples.last().copied());
        assert_eq!((kept, run.stopped), ((Some(ends.0), Some(ends.1)), reasons), "{what}");
    }
    let stepped = |ns: i64| {
        let mut pieces = records(&[(0, 100), (100, 100)]);
        pieces[1].start.0 += ns;
        assemble(pieces, Time(1_000_000_000)).expect("a run").steps
    };
    assert_eq!((stepped(2_000_000), stepped(3_000_000), stepped(-3_000_000)), (vec![], vec![100], vec![100]));
    assert_eq!(assemble(Vec::new(), Time(0)).err(), Some(Reason::NoData));
    assert_eq!(assemble(records(&[(0, 10)]), Time(0)).err(), Some(Reason::Gap));
}

/// Samples of a stretch that begins `ns` later than the first record of [`records`].
fn copy(ns: i64, from: usize, count: usize, value: f64) -> Vec<Piece> {
    let mut pieces = records(&[(from, count)]);
    pieces[0].start.0 += ns;
    pieces[0].samples.fill(value);
    pieces
}

#[test]
fn one_of_two_copies_with_other_times_is_taken() {
    // stretches, the preferred first; anchor at sample 150; samples kept, flag
    type Case = (&'static str, Vec<Vec<Piece>>, (f64, f64), usize, bool);
    let preferred = || records(&[(0, 100), (100, 100), (200, 100)]);
    let cases: [Case; 6] = [
        ("an exact copy", vec![preferred(), preferred()], (0.0, 299.0), 300, false),
        ("within a microsecond", vec![preferred(), copy(900, 300, 50, 7.0)], (0.0, 7.0), 350, false),
        ("0.4 sample later", vec![preferred(), copy(4_000_000, 50, 200, 7.0)], (0.0, 299.0), 300, true),
        ("0.4 sample earlier", vec![preferred(), copy(-4_000_000, 50, 200, 7.0)], (0.0, 299.0), 300, true),
        (
            "longer than the preferred",
            vec![preferred(), copy(-1_000_000, 200, 200, 7.0)],
            (0.0, 7.0),
            400,
            true,
        ),
        // no copy: the clock stepped back by 1.4 samples
        ("a step", vec![preferred(), copy(-14_000_000, 300, 50, 7.0)], (0.0, 298.0), 299, false),
    ];
    for (what, stretches, ends, count, differ) in cases {
        let (pieces, differs) = choose(stretches);
        let run = assemble(pieces, Time(1_000_000_000 + 1_500_000_000)).expect(what);
        let kept = (run.samples[0], run.samples[run.samples.len() - 1]);
        assert_eq!((kept, run.samples.len(), differs), (ends, count, differ), "{what}");
    }
}
