//! The real pair of the FDTCC repository (Ridgecrest, 2019): the values of that tool and those of exact placement.

use super::*;

fn data() -> Option<PathBuf> {
    let root = std::env::var_os("STARQUAKE_DATA").map(|d| PathBuf::from(d).join("MinLiu19+FDTCC"));
    if root.is_none() {
        eprintln!("skipped: STARQUAKE_DATA is not set");
    }
    root
}

/// A little-endian SAC file: start (nz* + b, b as the f32 it is) and samples.
fn read_sac(path: &Path) -> (Time, f64, Vec<f64>) {
    let bytes = std::fs::read(path).expect("SAC file");
    let word = |i: usize| <[u8; 4]>::try_from(&bytes[4 * i..4 * i + 4]).expect("4 bytes");
    let (float, int) = (|i| f32::from_le_bytes(word(i)), |i| i32::from_le_bytes(word(i)));
    let clock = (int(72) as u8, int(73) as u8, int(74) as u8);
    let reference = Time::from_ordinal(int(70) as i16, int(71) as u16, clock, i64::from(int(75)) * 1_000_000);
    let start = reference.and_then(|t| t.plus_seconds(f64::from(float(5)))).expect("a time");
    let samples = (158..158 + int(79) as usize).map(|i| f64::from(float(i))).collect();
    let rate: f64 = format!("{}", 1.0 / float(0)).parse().expect("a rate");
    (start, rate.round(), samples)
}

fn world(root: &Path) -> (Catalogue, Memory) {
    let mut waveforms = Memory::default();
    for event in ["1", "7"] {
        for station in ["B917", "B918", "B921"] {
            for channel in ["EHZ", "EHN", "EHE"] {
                let path = root.join(format!("waveforms/{event}/PB.{station}.{channel}"));
                let (start, rate, samples) = read_sac(&path);
                waveforms.add(&ChannelCode::new("PB", station, "", channel), start, rate, samples);
            }
        }
    }
    let (mut events, mut picks) = (Vec::<Event>::new(), Vec::new());
    for line in std::fs::read_to_string(root.join("hypoDD.pha")).expect("phase file").lines() {
        let w: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| w[i].parse::<f64>().expect("a number");
        if w[0] == "#" {
            let date = (number(1) as i16, number(2) as i8, number(3) as i8);
            let midnight = Time::from_date(date, (number(4) as u8, number(5) as u8, 0), 0).expect("a date");
            events.push(Event {
                event_id: w[14].to_owned(),
                number: w[14].parse().ok(),
                time: midnight.plus_seconds(number(6)),
                latitude_deg: Some(number(7)),
                longitude_deg: Some(number(8)),
                depth_km: Some(number(9)),
            });
        } else {
            let event = events.last().expect("a header first");
            let time = event.time.and_then(|t| t.plus_seconds(number(1))).expect("a time");
            picks.push((event.event_id.clone(), super::pick(w[0], w[3], time)));
        }
    }
    (Catalogue::new(events, picks).expect("unique ids"), waveforms)
}

/// Station and phase, cc, dt of the rows that pass MINCC 0.7.
fn table(norm: Norm, peak: Peak) -> Option<Vec<(String, f64, f64)>> {
    let (catalogue, waveforms) = world(&data()?);
    let phases = vec![phase("P", "Z", (-0.2, 1.0), 0.3), phase("S", "NE", (-0.5, 1.5), 0.5)];
    let mut spec = Spec { norm, peak, ..spec(phases) };
    spec.phases.iter_mut().for_each(|p| p.min_cc = 0.7);
    let out = correlate(catalogue, None, &waveforms, &spec, &Cancel::default()).expect("correlated");
    assert_eq!(out.stats.below_min_cc, 1, "B921 S");
    assert_eq!(text(&out.refusals, "reason"), ["below_mincc"], "{:?}", out.refusals);
    assert_eq!(text(&out.rows, "event1"), ["1"; 5]);
    assert_eq!(text(&out.rows, "event2"), ["7"; 5]);
    assert_eq!(text(&out.rows, "network"), ["PB"; 5]);
    let names = text(&out.rows, "station").into_iter().zip(text(&out.rows, "phase"));
    let names = names.map(|(s, p)| format!("{s} {p}"));
    let values = float(&out.rows, "cc").into_iter().zip(float(&out.rows, "dt"));
    Some(names.zip(values).map(|(n, (cc, dt))| (n, cc, dt)).collect())
}

#[test]
fn on_the_sample_grid() {
    let Some(got) = table(Norm::Full, Peak::Integer) else { return };
    // The four rows of its dt.cc, and B918 P, which only its signal-to-noise threshold drops.
    let want = [
        ("B917 P", 0.96, 0.0932),
        ("B917 S", 0.84, 0.1432),
        ("B918 P", 0.93, 0.0932),
        ("B918 S", 0.87, 0.0232),
        ("B921 P", 0.98, 0.0932),
    ];
    assert_eq!(got.len(), want.len());
    for ((name, cc, dt), w) in got.iter().zip(want) {
        assert_eq!(name, w.0);
        assert!((cc - w.1).abs() < 0.005 && (dt - w.2).abs() < 1e-6, "{name}: cc {cc} dt {dt}, not {w:?}");
    }
}

#[test]
fn exactly_placed() {
    let Some(got) = table(Norm::Full, Peak::Bandlimited) else { return };
    let want =
        [("B917 P", 0.0861), ("B917 S", 0.1449), ("B918 P", 0.0897), ("B918 S", 0.0164), ("B921 P", 0.0901)];
    assert_eq!(got.len(), want.len());
    for ((name, cc, dt), w) in got.iter().zip(want) {
        assert_eq!(name, w.0);
        assert!((dt - w.1).abs() < 3e-4, "{name}: cc {cc} dt {dt}, not {w:?}");
    }
    // With the energy under the window instead of that at lag zero the late part of B918 P counts fully.
    let Some(sliding) = table(Norm::Sliding, Peak::Bandlimited) else { return };
    let (name, cc, dt) = &sliding[2];
    assert!(name == "B918 P" && (cc - 0.94).abs() < 0.01 && (dt - 0.0897).abs() < 3e-4, "{sliding:?}");
}

#[test]
fn links_are_those_of_its_dt_ct() {
    let Some(root) = data() else { return };
    let (catalogue, _) = world(&root);
    let spec = PairSpec { max_separation: Some(MaxSep::Km(2.0)), ..PairSpec::default() };
    let found = pairs(&catalogue, None, &spec, &Cancel::default()).expect("pairs");
    assert_eq!(found.pairs.len(), 1);
    let links = crate::engine::ops::pair::links_batch(&catalogue, &found).expect("batch");
    let names = text(&links, "station").into_iter().zip(text(&links, "phase"));
    let times = float(&links, "tt1").into_iter().zip(float(&links, "tt2"));
    let mut got: Vec<String> =
        names.zip(times).map(|((s, p), (a, b))| format!("{s} {a:.3} {b:.3} 1.0000 {p}")).collect();
    let file = std::fs::read_to_string(root.join("dt.ct")).expect("dt.ct");
    let mut want: Vec<String> =
        file.lines().skip(1).map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    got.sort();
    want.sort();
    assert_eq!(got, want);
}
