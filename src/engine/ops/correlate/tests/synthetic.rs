//! Analytic wavelets shifted exactly, on any sample phase.

use super::*;

/// Numbers that look random and are the same everywhere (SplitMix64), in 0 .. 1.
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }

    pub(super) fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.next()).ln()).sqrt() * (std::f64::consts::TAU * self.next()).cos()
    }
}

/// Ricker and Gabor wavelets around an arrival at t = 0: two inside every window used here, one across either end.
pub(super) fn signal(t: f64) -> f64 {
    let gabor = |t: f64, hz: f64, width: f64| {
        (std::f64::consts::TAU * hz * t).cos() * (-(t / width).powi(2) / 2.0).exp()
    };
    let ricker = |t: f64, hz: f64| {
        let u = (std::f64::consts::PI * hz * t).powi(2);
        (1.0 - 2.0 * u) * (-u).exp()
    };
    gabor(t - 0.1, 5.0, 0.1) + 0.7 * ricker(t - 0.5, 4.0) - 0.6 * gabor(t + 0.2, 4.3, 0.12)
        + 0.9 * gabor(t - 1.02, 3.7, 0.15)
}

const STATION: &str = "STA";

/// One event of a synthetic world.
#[derive(Clone, Copy)]
struct Source {
    origin: Time,
    /// True travel time, s.
    travel_s: f64,
    /// Pick minus true arrival, s.
    pick_error_s: f64,
    rate: f64,
    /// Time of the first sample before the arrival, s.
    lead_s: f64,
    scale: f64,
    offset: f64,
    noise: f64,
}

fn source(number: usize, random: &mut Random) -> Source {
    Source {
        origin: Time(1_700_000_000_000_000_000 + number as i64 * 3_600_000_000_000),
        travel_s: random.within(5.0, 5.2),
        pick_error_s: random.within(-0.08, 0.08),
        rate: 100.0,
        lead_s: 9.0 + random.next() / 100.0,
        scale: 1.0,
        offset: 0.0,
        noise: 0.0,
    }
}

/// Times in whole ns, as they are stored.
pub(super) fn stored(t: Time, seconds: f64) -> Time {
    t.plus_seconds(seconds).expect("in range")
}

/// Events with one P pick each, and 18 s of waveform in records of 412 samples.
fn world(sources: &[Source], seed: u64) -> (Vec<Event>, Vec<(String, Pick)>, Memory) {
    let mut random = Random(seed);
    let (mut events, mut picks, mut waveforms) = (Vec::new(), Vec::new(), Memory::default());
    let code = ChannelCode::new("XX", STATION, "", "HHZ");
    for (i, s) in sources.iter().enumerate() {
        let id = format!("event{i:04}");
        let arrival = stored(s.origin, s.travel_s);
        picks.push((id.clone(), pick(STATION, "P", stored(arrival, s.pick_error_s))));
        let start = stored(arrival, -s.lead_s);
        let n = (18.0 * s.rate) as usize;
        let at = |i: usize| start.seconds_since(arrival) + i as f64 / s.rate;
        let samples: Vec<f64> =
            (0..n).map(|i| s.offset + s.scale * (signal(at(i)) + s.noise * random.normal())).collect();
        for (record, part) in samples.chunks(412).enumerate() {
            let first = stored(start, (record * 412) as f64 / s.rate);
            waveforms.add(&code, first, s.rate, part.to_vec());
        }
        let (latitude_deg, longitude_deg) = (Some(35.0), Some(-117.0));
        events.push(Event {
            event_id: id,
            time: Some(s.origin),
            latitude_deg,
            longitude_deg,
            ..Event::default()
        });
    }
    (events, picks, waveforms)
}

fn run(sources: &[Source], spec: &Spec) -> Output {
    let (events, picks, waveforms) = world(sources, 1);
    correlate(Catalogue::new(events, picks).expect("ids"), None, &waveforms, spec, &Cancel::default())
        .expect("correlated")
}

/// dt of every row minus the truth, s.
fn errors(sources: &[Source], out: &Output) -> Vec<f64> {
    let number = |id: &String| id[5..].parse::<usize>().expect("a number");
    let ids = text(&out.rows, "event1").into_iter().zip(text(&out.rows, "event2"));
    ids.zip(float(&out.rows, "dt"))
        .map(|((a, b), dt)| dt - (sources[number(&a)].travel_s - sources[number(&b)].travel_s))
        .collect()
}

fn rms_and_max(errors: &[f64]) -> (f64, f64) {
    let rms = (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
    (rms, errors.iter().fold(0.0, |m, e| m.max(e.abs())))
}

fn p_wave() -> Spec {
    spec(vec![phase("P", "Z", (-0.2, 1.0), 0.3)])
}

#[test]
fn noise_free_times_are_exact_on_any_sample_phase() {
    let mut random = Random(42);
    let sources: Vec<Source> = (0..40).map(|i| source(i, &mut random)).collect();
    let out = run(&sources, &p_wave());
    assert_eq!(out.rows.num_rows(), 40 * 39 / 2, "{:?}", out.stats);
    let (rms, worst) = rms_and_max(&errors(&sources, &out));
    assert!(rms <= 0.02e-3 && worst <= 0.05e-3, "rms {} ms, max {} ms", rms * 1e3, worst * 1e3);
    assert!(float(&out.rows, "cc").iter().all(|cc| *cc > 0.9999));
    assert_eq!(out.stats.windows, 40, "each window once");
}

#[test]
fn a_table_of_norms_and_peaks_against_noise() {
    // noise as part of the amplitude; norm; peak; rms error allowed in ms
    let cases = [
        (0.0, Norm::Sliding, Peak::Bandlimited, 0.02),
        (0.0, Norm::Sliding, Peak::Parabola3, 0.3),
        (0.0, Norm::Sliding, Peak::Concave, 2.0),
        (0.0, Norm::Full, Peak::Bandlimited, 6.0),
        (0.0, Norm::Full, Peak::Parabola3, 6.0),
        (0.1, Norm::Sliding, Peak::Bandlimited, 1.5),
        (0.1, Norm::Sliding, Peak::Parabola3, 1.5),
        (0.1, Norm::Full, Peak::Bandlimited, 6.0),
    ];
    for (noise, norm, peak, allowed_ms) in cases {
        let mut random = Random(7);
        let sources: Vec<Source> = (0..20).map(|i| Source { noise, ..source(i, &mut random) }).collect();
        let out = run(&sources, &Spec { norm, peak, ..p_wave() });
        let (rms, worst) = rms_and_max(&errors(&sources, &out));
        eprintln!("noise {noise} {norm:?} {peak:?}: rms {:.4} ms, max {:.4} ms", rms * 1e3, worst * 1e3);
        assert!(out.rows.num_rows() > 150 && rms * 1e3 <= allowed_ms, "{noise} {norm:?} {peak:?}: {rms}");
    }
}

#[test]
fn moving_a_pick_moves_the_lag_and_not_dt() {
    for (moved_s, allowed_s) in [(0.001, 1e-9), (-0.0013, 1e-9), (0.0137, 1e-5), (-0.02, 1e-5)] {
        for which in [0, 1] {
            // Both picks lie a tenth of a sample after a sample: small moves leave the cut samples alone.
            let mut random = Random(3);
            let mut sources: Vec<Source> = (0..2).map(|i| source(i, &mut random)).collect();
            for s in &mut sources {
                s.lead_s = 9.001 - s.pick_error_s;
            }
            let before = run(&sources, &p_wave());
            sources[which].pick_error_s += moved_s;
            // The same samples as before: `lead_s` counts from the arrival.
            let after = run(&sources, &p_wave());
            let (lag1, lag2) = (float(&before.rows, "lag")[0], float(&after.rows, "lag")[0]);
            let sign = if which == 0 { 1.0 } else { -1.0 };
            let (dt1, dt2) = (float(&before.rows, "dt")[0], float(&after.rows, "dt")[0]);
            let off = (lag2 - lag1 - sign * moved_s).abs();
            assert!(off <= allowed_s, "lag of pick {which} by {moved_s}: {off:e}");
            assert!((dt2 - dt1).abs() <= allowed_s, "dt of pick {which} by {moved_s}: {:e}", dt2 - dt1);
        }
    }
}

#[test]
fn scale_and_offset_do_not_matter() {
    let mut random = Random(11);
    let sources: Vec<Source> = (0..6).map(|i| Source { noise: 0.05, ..source(i, &mut random) }).collect();
    let plain = run(&sources, &p_wave());
    let changed: Vec<Source> = sources
        .iter()
        .enumerate()
        .map(|(i, s)| Source { scale: 10_f64.powi(3 * i as i32 - 6), offset: 1e3 * i as f64, ..*s })
        .collect();
    let other = run(&changed, &p_wave());
    for name in ["dt", "cc", "snr1", "second_peak", "sigma_dt"] {
        for (a, b) in float(&plain.rows, name).iter().zip(float(&other.rows, name)) {
            assert!((a - b).abs() <= 1e-6 * a.abs().max(1e-3), "{name}: {a} {b}");
        }
    }
    assert_eq!(plain.rows.num_rows(), other.rows.num_rows());
}

#[test]
fn order_and_threads_do_not_matter() {
    let mut random = Random(5);
    let sources: Vec<Source> = (0..12).map(|i| Source { noise: 0.1, ..source(i, &mut random) }).collect();
    let (events, picks, waveforms) = world(&sources, 1);
    let spec = p_wave();
    let make = |turned: bool, threads: usize| {
        let (mut events, mut picks) = (events.clone(), picks.clone());
        if turned {
            events.reverse();
            picks.reverse();
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let catalogue = Catalogue::new(events, picks).expect("ids");
        pool.install(|| {
            correlate(catalogue, None, &waveforms, &spec, &Cancel::default()).expect("correlated")
        })
    };
    let one = make(false, 1);
    for (turned, threads) in [(false, 4), (true, 1), (true, 3)] {
        let other = make(turned, threads);
        assert_eq!(one.rows, other.rows, "{turned} {threads}");
        assert_eq!(one.refusals, other.refusals);
    }
}

#[test]
fn copies_at_100_and_200_hz_give_the_same_times() {
    let mut random = Random(8);
    let sources: Vec<Source> = (0..10)
        .map(|i| Source { rate: if i % 2 == 0 { 100.0 } else { 200.0 }, ..source(i, &mut random) })
        .collect();
    for resample_hz in [None, Some(100.0), Some(200.0)] {
        let out = run(&sources, &Spec { resample_hz, ..p_wave() });
        assert_eq!(out.rows.num_rows(), 45, "{:?}", out.stats);
        let (_, worst) = rms_and_max(&errors(&sources, &out));
        assert!(worst <= 0.05e-3, "{resample_hz:?}: {} ms", worst * 1e3);
    }
}

#[test]
fn refusals_say_why() {
    // The records of the second event are 5 to 9, its pick lies in record 7: what is done to them, and the reason.
    type Change = fn(&mut Vec<(ChannelCode, Piece)>);
    let cases: [(&str, Change); 12] = [
        ("no_data", |w| w.truncate(5)),
        ("gap", |w| drop(w.remove(7))),
        ("gap", |w| w[7].1.samples.truncate(200)),
        ("constant", |w| w.iter_mut().skip(5).for_each(|e| e.1.samples.fill(3.0))),
        ("constant", |w| {
            // A straight line: nothing is left of it but rounding.
            let all = w.iter_mut().skip(5).flat_map(|e| e.1.samples.iter_mut());
            all.enumerate().for_each(|(i, x)| *x = i as f64);
        }),
        ("no_channel", |w| w.iter_mut().skip(5).for_each(|e| e.0.channel = "EHZ".to_owned())),
        ("rate_change", |w| {
            let mut slow = w[7].clone();
            slow.1.start.0 += 1_800_000_000;
            slow.1.sampling_rate_hz = 50.0;
            w[7].1.samples.truncate(180);
            w.push(slow);
        }),
        ("time_tear", |w| {
            let mut late = w[7].clone();
            late.1.samples.drain(..180);
            late.1.start.0 += 1_800_000_000 + 6_000_000;
            w[7].1.samples.truncate(180);
            w.push(late);
        }),
        ("overlap", |w| {
            let mut copy = w[7].clone();
            copy.1.samples[100] += 1.0;
            w.push(copy);
        }),
        ("short_pad", |w| {
            w.truncate(8);
            w[7].1.samples.truncate(280);
        }),
        ("not_finite", |w| w[7].1.samples[130] = f64::NAN),
        ("edge", |w| w.iter_mut().skip(5).for_each(|e| e.1.start.0 += 310_000_000)),
    ];
    for (reason, change) in cases {
        let mut random = Random(9);
        let place = |s| Source { pick_error_s: 0.02, lead_s: 9.5, ..s };
        let sources: Vec<Source> = (0..2).map(|i| place(source(i, &mut random))).collect();
        let (events, picks, mut waveforms) = world(&sources, 1);
        change(&mut waveforms.0);
        let out = correlate(
            Catalogue::new(events, picks).expect("ids"),
            None,
            &waveforms,
            &p_wave(),
            &Cancel::default(),
        );
        let out = out.expect("correlated");
        assert_eq!(text(&out.refusals, "reason"), [reason], "{reason}: {:?}", out.rows);
        assert_eq!(out.rows.num_rows(), 0, "{reason}");
    }
}

#[test]
fn copies_that_agree_do_no_harm() {
    let mut random = Random(9);
    let sources: Vec<Source> = (0..2).map(|i| source(i, &mut random)).collect();
    let (events, picks, mut waveforms) = world(&sources, 1);
    let catalogue = Catalogue::new(events, picks).expect("ids");
    let plain =
        correlate(catalogue.clone(), None, &waveforms, &p_wave(), &Cancel::default()).expect("correlated");
    waveforms.0.extend_from_within(..);
    // One more copy that is cut otherwise.
    let (code, mut piece) = waveforms.0[7].clone();
    piece.start = stored(piece.start, 0.5);
    piece.samples.drain(..50);
    piece.samples.extend_from_slice(&waveforms.0[8].1.samples[..70]);
    waveforms.0.push((code, piece));
    let twice = correlate(catalogue, None, &waveforms, &p_wave(), &Cancel::default()).expect("correlated");
    assert_eq!(plain.rows, twice.rows);
    assert_eq!(plain.rows.num_rows(), 1);
}

#[test]
fn full_norm_changes_sign_with_the_order_of_events() {
    let mut random = Random(21);
    let sources: Vec<Source> = (0..8).map(|i| Source { noise: 0.2, ..source(i, &mut random) }).collect();
    // The same waveforms at other days, so that the later event comes first.
    let turned: Vec<Source> = sources
        .iter()
        .enumerate()
        .map(|(i, s)| Source { origin: Time(s.origin.0 + (20 - 2 * i as i64) * 3_600_000_000_000), ..*s })
        .collect();
    let spec = Spec { norm: Norm::Full, ..p_wave() };
    let (one, two) = (run(&sources, &spec), run(&turned, &spec));
    let by_name = |out: &Output, a: &str, b: &str| {
        let ids: Vec<_> = text(&out.rows, a).into_iter().zip(text(&out.rows, b)).collect();
        ids.into_iter().zip(float(&out.rows, "dt")).collect::<BTreeMap<_, _>>()
    };
    let (one, two) = (by_name(&one, "event1", "event2"), by_name(&two, "event2", "event1"));
    assert_eq!(one.len(), 28);
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (key, dt) in &one {
        assert!((dt + two[key]).abs() < 1e-9, "{key:?}: {}", dt + two[key]);
    }
}

#[test]
fn predicted_errors_are_those_that_are_made() {
    for (noise, low, high) in [(0.1, 0.9, 0.999), (0.3, 0.8, 0.98), (0.5, 0.6, 0.95)] {
        let mut random = Random(77);
        let sources: Vec<Source> = (0..40).map(|i| Source { noise, ..source(i, &mut random) }).collect();
        let out = run(&sources, &p_wave());
        // The error of the right cycle is meant; a cycle skip is another thing, and rare here.
        let made = errors(&sources, &out);
        let kept: Vec<f64> = made.iter().copied().filter(|e| e.abs() < 0.03).collect();
        assert!(kept.len() * 10 >= made.len() * 9, "{} of {}", kept.len(), made.len());
        let (rms, _) = rms_and_max(&kept);
        let predicted = rms_and_max(&float(&out.rows, "sigma_dt")).0;
        let cc = float(&out.rows, "cc");
        let mean = cc.iter().sum::<f64>() / cc.len() as f64;
        let ratio = predicted / rms;
        eprintln!("noise {noise}: cc {mean:.3}, rms {:.3} ms, predicted / made {ratio:.2}", rms * 1e3);
        assert!(mean > low && mean < high && ratio > 0.7 && ratio < 1.4, "{noise}: {mean} {ratio}");
    }
}

#[test]
fn times_are_counted_from_the_record_that_holds_the_pick() {
    let mut random = Random(2);
    let place = |s| Source { lead_s: 9.3, pick_error_s: 0.01, ..s };
    let sources: Vec<Source> = (0..2).map(|i| place(source(i, &mut random))).collect();
    let (events, picks, mut waveforms) = world(&sources, 1);
    // The clock of the second recorder samples at 99.9905 Hz and says 100: records of 412 samples start late by
    // 0.4 ms more each, and the pick lies 1 ms late if counted from the start of the file.
    let rate = 100.0 / (1.0 + 0.95e-4);
    let start = waveforms.0[5].1.start;
    let arrival = stored(sources[1].origin, sources[1].travel_s);
    for (r, (_, piece)) in waveforms.0.iter_mut().skip(5).enumerate() {
        piece.start = stored(start, (412 * r) as f64 / rate);
        let first = piece.start.seconds_since(arrival);
        piece.samples.iter_mut().enumerate().for_each(|(i, x)| *x = signal(first + i as f64 / rate));
    }
    let out = correlate(
        Catalogue::new(events, picks).expect("ids"),
        None,
        &waveforms,
        &p_wave(),
        &Cancel::default(),
    );
    let out = out.expect("correlated");
    let off = errors(&sources, &out)[0];
    assert!(off.abs() < 0.2e-3, "{} ms", off * 1e3);
}

#[test]
fn kernels_do_not_change_rows() {
    // Lags on both sides of the table's border for one window: the values come from f64 either way.
    let mut random = Random(31);
    let sources: Vec<Source> = (0..8).map(|i| Source { noise: 0.2, ..source(i, &mut random) }).collect();
    let with_lag = |lag_s: f64| run(&sources, &spec(vec![phase("P", "Z", (-0.2, 0.3), lag_s)]));
    let (direct, fft) = (with_lag(0.25), with_lag(1.9));
    use crate::signal::kernel::{Kernel, choose};
    assert_eq!((choose(51, 51), choose(51, 381)), (Kernel::Direct, Kernel::Fft));
    // The windows are conditioned with other pads of lag, so equal to what that changes.
    for (a, b) in float(&direct.rows, "dt").iter().zip(float(&fft.rows, "dt")) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
    assert_eq!(direct.rows.num_rows(), 28);
}
