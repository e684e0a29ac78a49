//! Windows from day files: `window DB STATION [COUNT] [LENGTH_S]` finds, reads and decodes COUNT windows of LENGTH_S
//! at places spread over what the station has, one by one in random order and then in the order of time, and prints
//! the CPU and wall time of a window and the bytes read for it.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, clippy::expect_used)]

use std::time::Instant;

use starquake::engine::ops::stored::StoredWaveforms;
use starquake::engine::ops::window::Waveforms;
use starquake::index::archive::Archive;
use starquake::model::time::Time;
use starquake::store::Store;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [database, station, rest @ ..] = arguments.as_slice() else {
        eprintln!("window DB STATION [COUNT] [LENGTH_S]");
        return;
    };
    let count: usize = rest.first().map_or(10_000, |text| text.parse().expect("a count"));
    let length_s: f64 = rest.get(1).map_or(30.0, |text| text.parse().expect("a length in s"));
    let store = Store::open(database).expect("a database");
    let snapshot = store.snapshot().expect("a snapshot");
    let start = Instant::now();
    let archive = Archive::open(snapshot.catalogue(), &snapshot).expect("an archive");
    println!("opened in {:.3} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let waveforms = StoredWaveforms::new(&archive);
    println!("prepared in {:.3} ms", start.elapsed().as_secs_f64() * 1e3);
    let all = waveforms.find(None, station, (Time(0), Time(i64::MAX / 2))).expect("stretches");
    let long: Vec<_> = all.iter().filter(|s| s.end.seconds_since(s.start) > 2.0 * length_s).collect();
    assert!(!long.is_empty(), "no stretch of {station} is longer than two windows");
    // a multiplicative congruence spreads them without a pattern
    let place = |i: usize| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11;
    let mut spans: Vec<(Time, Time)> = (0..count)
        .map(|i| {
            let stretch = long[place(i) as usize % long.len()];
            let room_s = stretch.end.seconds_since(stretch.start) - length_s;
            let from_s = room_s * (place(i + count) as f64 / (1_u64 << 53) as f64);
            let from = stretch.start.plus_seconds(from_s).expect("a time");
            (from, from.plus_seconds(length_s).expect("a time"))
        })
        .collect();
    for order in ["random", "sorted"] {
        if order == "sorted" {
            spans.sort();
        }
        let before = waveforms.effort();
        let (cpu, wall, mut samples) = (cpu_seconds(), Instant::now(), 0);
        for span in &spans {
            let stretches = waveforms.find(None, station, *span).expect("stretches");
            let one = stretches.first().map(|s| waveforms.read(s, *span).expect("samples"));
            samples += one.iter().flatten().map(|p| p.samples.len()).sum::<usize>();
        }
        let each = |total: f64| total / count as f64;
        let (bytes, records) = waveforms.effort();
        println!(
            "{order}: {:.1} us CPU, {:.1} us, {:.0} bytes, {:.1} records decoded, {:.0} samples a window",
            each(cpu_seconds() - cpu) * 1e6,
            each(wall.elapsed().as_secs_f64()) * 1e6,
            each((bytes - before.0) as f64),
            each((records - before.1) as f64),
            each(samples as f64),
        );
    }
}

/// CPU seconds of the process (Linux; elsewhere 0).
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) * 1e-9
}
