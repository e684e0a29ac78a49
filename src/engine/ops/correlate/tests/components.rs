//! P and S on three components: channels, S-P, combination, flags.

use super::synthetic::{Random, signal, stored};
use super::*;

/// A world of events at one station: P on Z, S on N and E, noise of the given part of the amplitude.
struct World {
    events: Vec<Event>,
    picks: Vec<(String, Pick)>,
    waveforms: Memory,
    /// True (tP, tS) of the events.
    travel: Vec<(f64, f64)>,
}

fn world(count: usize, s_minus_p: f64, noise: f64) -> World {
    let mut random = Random(99);
    let mut w =
        World { events: Vec::new(), picks: Vec::new(), waveforms: Memory::default(), travel: Vec::new() };
    for i in 0..count {
        let id = format!("event{i:04}");
        let origin = Time(1_600_000_000_000_000_000 + i as i64 * 7_200_000_000_000);
        let tp = 8.0 + random.within(0.0, 0.1);
        let ts = tp + s_minus_p + random.within(0.0, 0.05);
        for (name, t) in [("P", tp), ("S", ts)] {
            let time = stored(origin, t + random.within(-0.05, 0.05));
            w.picks.push((id.clone(), pick("STA", name, time)));
        }
        for (component, arrival, polarity) in [('Z', tp, 1.0), ('N', ts, 1.0), ('E', ts, -0.6)] {
            let start = stored(origin, -6.0 + random.next() / 100.0);
            let begin = start.seconds_since(origin);
            let at = |k: i32| begin + f64::from(k) / 100.0 - arrival;
            let samples = (0..3000).map(|k| polarity * signal(at(k)) + noise * random.normal()).collect();
            w.waveforms.add(
                &ChannelCode::new("XX", "STA", "", &format!("HH{component}")),
                start,
                100.0,
                samples,
            );
        }
        let (latitude_deg, longitude_deg) = (Some(35.0), Some(-117.0));
        w.events.push(Event {
            event_id: id,
            time: Some(origin),
            latitude_deg,
            longitude_deg,
            ..Event::default()
        });
        w.travel.push((tp, ts));
    }
    w
}

impl World {
    fn run(&self, spec: &Spec) -> Output {
        let catalogue = Catalogue::new(self.events.clone(), self.picks.clone()).expect("ids");
        correlate(catalogue, None, &self.waveforms, spec, &Cancel::default()).expect("correlated")
    }
}

fn both_phases() -> Spec {
    spec(vec![phase("P", "Z", (-0.2, 1.0), 0.3), phase("S", "NE", (-0.3, 1.2), 0.4)])
}

/// Largest |dt - truth| in s.
fn worst(w: &World, out: &Output) -> f64 {
    let number = |id: &str| id[5..].parse::<usize>().expect("a number");
    let ids = text(&out.rows, "event1").into_iter().zip(text(&out.rows, "event2"));
    let rows = ids.zip(text(&out.rows, "phase")).zip(float(&out.rows, "dt"));
    rows.map(|(((a, b), phase), dt)| {
        let (a, b) = (w.travel[number(&a)], w.travel[number(&b)]);
        (dt - if phase == "P" { a.0 - b.0 } else { a.1 - b.1 }).abs()
    })
    .fold(0.0, f64::max)
}

#[test]
fn components_on_different_sample_phases_are_combined_exactly() {
    let w = world(6, 6.0, 0.0);
    // combination, channels of the rows of one pair
    let cases = [
        (Combine::Stack, vec!["HHZ", "HHN,HHE"]),
        (Combine::Weighted, vec!["HHZ", "HHN,HHE"]),
        (Combine::None, vec!["HHZ", "HHE", "HHN"]),
    ];
    for (combine, channels) in cases {
        let out = w.run(&Spec { combine, ..both_phases() });
        assert_eq!(out.rows.num_rows(), 15 * channels.len(), "{combine:?}: {:?}", out.stats);
        assert_eq!(text(&out.rows, "channel")[..channels.len()], channels, "{combine:?}");
        let off = worst(&w, &out);
        assert!(off < 0.05e-3, "{combine:?}: {} ms", off * 1e3);
        assert_eq!(out.stats.windows, 18, "each unique window once");
    }
}

#[test]
fn a_refused_component_leaves_the_others() {
    let mut w = world(2, 6.0, 0.0);
    w.waveforms.0[5].1.samples.fill(1.0);
    let out = w.run(&both_phases());
    assert_eq!(text(&out.rows, "channel"), ["HHZ", "HHN"]);
    assert_eq!(text(&out.refusals, "channel"), ["HHE"]);
    assert_eq!(text(&out.refusals, "reason"), ["constant"]);
}

#[test]
fn windows_keep_clear_of_the_other_phase() {
    // S-P in s, SHORTEN NONE, picks of S there, rows, reasons
    let cases: [(f64, bool, bool, usize, &[&str]); 5] = [
        (6.0, false, true, 2, &[]),
        (1.0, false, true, 0, &["short", "short"]),
        (0.1, false, true, 0, &["short", "short"]),
        (1.0, true, true, 2, &[]),
        (6.0, false, false, 1, &[]),
    ];
    for (s_minus_p, shorten_none, with_s, rows, reasons) in cases {
        let mut w = world(2, s_minus_p, 0.0);
        if !with_s {
            w.picks.retain(|p| p.1.phase.name == "P");
        }
        let phases = vec![phase("P", "Z", (-0.2, 1.2), 0.3), phase("S", "NE", (-0.9, 0.6), 0.4)];
        let out = w.run(&Spec { shorten_none, ..spec(phases) });
        assert_eq!(out.rows.num_rows(), rows, "S-P {s_minus_p} {shorten_none}");
        assert_eq!(text(&out.refusals, "reason"), reasons, "S-P {s_minus_p} {shorten_none}");
    }
}

#[test]
fn signal_to_noise_and_its_threshold() {
    let w = world(3, 6.0, 0.05);
    let out = w.run(&both_phases());
    for name in ["snr1", "snr2"] {
        assert!(float(&out.rows, name).iter().all(|s| *s > 8.0 && *s < 200.0), "{:?}", out.rows);
    }
    let out = w.run(&Spec { min_snr: Some(1000.0), ..both_phases() });
    assert_eq!((out.rows.num_rows(), out.stats.below_min_snr), (0, 6));
    // A noise window in the P signal itself; the horizontal components have none.
    let out = w.run(&Spec { snr_span_s: Some((0.0, 1.0)), min_snr: Some(3.0), ..both_phases() });
    assert_eq!((text(&out.rows, "phase"), out.stats.below_min_snr), (vec!["S".to_owned(); 3], 3));
}

#[test]
fn inverted_signals_need_abs() {
    let mut w = world(2, 6.0, 0.0);
    w.waveforms.0[3].1.samples.iter_mut().for_each(|x| *x = -*x);
    let mut plain = spec(vec![phase("P", "Z", (-0.2, 1.0), 0.3)]);
    plain.phases[0].min_cc = 0.95;
    let out = w.run(&plain);
    assert_eq!((out.rows.num_rows(), out.stats.below_min_cc), (0, 1));
    let out = w.run(&Spec { abs: true, ..plain });
    assert_eq!(text(&out.rows, "flags"), ["inverted"]);
    assert!(float(&out.rows, "cc")[0] < -0.9999 && float(&out.rows, "weight")[0] > 0.9999);
    assert!(worst(&w, &out) < 0.05e-3);
}

#[test]
fn flags_of_windows() {
    let p_only = || spec(vec![phase("P", "Z", (-0.2, 1.0), 0.3)]);
    let mut w = world(2, 6.0, 0.001);
    w.waveforms.0[3].1.samples.iter_mut().for_each(|x| *x = x.clamp(-0.5, 0.5));
    assert_eq!(text(&w.run(&p_only()).rows, "flags"), ["clipped"]);
    // A step of 0.3 sample in the window, half a second after the pick.
    let mut w = world(2, 6.0, 0.0);
    let (code, mut late) = w.waveforms.0[3].clone();
    late.samples.drain(..1460);
    late.start = stored(late.start, 14.603);
    w.waveforms.0[3].1.samples.truncate(1460);
    w.waveforms.0.push((code, late));
    assert_eq!(text(&w.run(&p_only()).rows, "flags"), ["time_step"]);
    // Data end in the pad.
    let mut w = world(2, 6.0, 0.0);
    w.waveforms.0[3].1.samples.truncate(1640);
    assert_eq!(text(&w.run(&p_only()).rows, "flags"), ["short_pad"]);
}

#[test]
fn corners_belong_below_nyquist() {
    let w = world(2, 6.0, 0.0);
    let mut s = spec(vec![phase("P", "Z", (-0.2, 1.0), 0.3)]);
    s.phases[0].filter = Some(Filter::pass(2.0, 46.0));
    let out = w.run(&s);
    assert_eq!(text(&out.refusals, "reason"), ["corner"]);
    assert_eq!(text(&out.refusals, "channel"), ["HHZ"]);
    s.phases[0].filter = None;
    assert_eq!(w.run(&s).rows.num_rows(), 1, "no filter, no corner");
}

#[test]
fn two_networks_are_an_error_that_names_both() {
    let mut w = world(2, 6.0, 0.0);
    let (mut code, piece) = w.waveforms.0[0].clone();
    code.network = "YY".to_owned();
    w.waveforms.0.push((code, piece));
    let catalogue = || Catalogue::new(w.events.clone(), w.picks.clone()).expect("ids");
    let error = correlate(catalogue(), None, &w.waveforms, &both_phases(), &Cancel::default())
        .expect_err("ambiguous")
        .to_string();
    assert!(error.contains("STA") && error.contains("XX and YY"), "{error}");
}

#[test]
fn impossible_options_are_refused() {
    type Change = fn(&mut Spec);
    let cases: [(&str, Change); 8] = [
        ("PHASE", |s| s.phases.clear()),
        ("WINDOW", |s| s.phases[0].window_s = (1.0, -1.0)),
        ("twice", |s| s.phases[1].phase = s.phases[0].phase.clone()),
        ("LAG", |s| s.phases[0].lag_s = 0.0),
        ("MINCC", |s| s.phases[0].min_cc = 65.0),
        ("TAPER", |s| s.taper = Some(2.0)),
        ("RESAMPLE", |s| s.resample_hz = Some(f64::NAN)),
        ("MAXSEP", |s| s.pairs.max_separation = None),
    ];
    let w = world(2, 6.0, 0.0);
    for (word, change) in cases {
        let mut s = both_phases();
        change(&mut s);
        let catalogue = Catalogue::new(w.events.clone(), w.picks.clone()).expect("ids");
        let error =
            correlate(catalogue, None, &w.waveforms, &s, &Cancel::default()).expect_err(word).to_string();
        assert!(error.contains(word), "{error}");
    }
}
