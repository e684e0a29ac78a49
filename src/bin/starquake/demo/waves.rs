//! Seismograms: the same wavelet for every event of a cluster, computed at the exact time of each sample (never
//! interpolated), plus noise; written as Steim-2 miniSEED in the SDS layout.

use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use starquake::error::{Error, Result};
use starquake::format::mseed2::{HEADER_BYTES, Signal, write_records};
use starquake::model::station::ChannelCode;
use starquake::model::time::{NS_PER_DAY, NS_PER_S, Time};

use super::network::{Arrival, DATA_S, DATA_START, LOCATION, NETWORK, Network, Phase};
use super::random::Random;
use super::{FAULT, SEED};

/// Samples per second.
pub(crate) const RATE_HZ: f64 = 100.0;
const SAMPLE_NS: i64 = 10_000_000;
pub(crate) const RECORD_BYTES: usize = 512;
const NOISE_COUNTS: f64 = 2.0;
/// Largest amplitude of a magnitude-1 event at 20 km.
const AMPLITUDE_COUNTS: f64 = 800.0;
const AMPLITUDE_DISTANCE_KM: f64 = 20.0;
/// A wavelet is over so long after its arrival, and begins so long before.
const WAVELET_S: (f64, f64) = (-0.3, 1.1);
/// Channel with a gap: station, component, and the event whose waves fall into it.
const GAP: (usize, usize, usize) = (4, 1, 20);
/// The gap begins so long after that event's origin, and ends so long after.
const GAP_S: (f64, f64) = (2.0, 40.0);
/// File that ends within a record: station and component, on the second day.
const TRUNCATED: (usize, usize) = (8, 2);
/// This part of it is left.
const LEFT_OF_TRUNCATED: f64 = 0.7;
/// Bytes of a file that begins with the fixed header of a record, and is none.
const GARBAGE_BYTES: usize = 20_000;

/// Channels, and how strongly P and S shake them.
const COMPONENTS: [(&str, f64, f64); 3] = [("HHZ", 1.0, 0.15), ("HHN", 0.2, 0.8), ("HHE", 0.15, -1.0)];

/// Part of a wavelet: a short burst.
struct Burst {
    delay_s: f64,
    frequency_hz: f64,
    width_s: f64,
    amplitude: f64,
    phase_rad: f64,
}

/// The wavelet of a cluster at a station: five bursts of 3-12 Hz.
fn wavelet(cluster: usize, station: usize, phase: Phase) -> Vec<Burst> {
    let mut random = Random::new(&[SEED, 3, cluster as u64, station as u64, phase as u64]);
    let burst = |i: usize| Burst {
        delay_s: 0.15 + 0.13 * i as f64 + random.uniform(0.0, 0.06),
        frequency_hz: random.uniform(3.0, 12.0),
        width_s: random.uniform(0.035, 0.075),
        amplitude: random.uniform(0.6, 1.0) * 0.75_f64.powi(i as i32),
        phase_rad: random.uniform(0.0, TAU),
    };
    (0..5).map(burst).collect()
}

/// Its value `t_s` after the arrival.
fn value(bursts: &[Burst], t_s: f64) -> f64 {
    let one = |b: &Burst| {
        let t = t_s - b.delay_s;
        b.amplitude * (-0.5 * (t / b.width_s).powi(2)).exp() * (TAU * b.frequency_hz * t + b.phase_rad).cos()
    };
    bursts.iter().map(one).sum()
}

/// All samples of a channel, from its first one.
fn samples(network: &Network, station: usize, component: usize) -> Vec<i32> {
    let mut random = Random::new(&[SEED, 4, station as u64, component as u64]);
    let count = (DATA_S * NS_PER_S / SAMPLE_NS) as usize;
    let mut trace: Vec<f64> = (0..count).map(|_| NOISE_COUNTS * random.normal()).collect();
    let start = first_sample(network, station);
    for arrival in network.arrivals.iter().filter(|a| a.station == station) {
        add(&mut trace, start, network, (arrival, component));
    }
    trace.iter().map(|v| v.round() as i32).collect()
}

fn first_sample(network: &Network, station: usize) -> Time {
    Time(DATA_START.0 + network.stations[station].phase_us * 1000)
}

/// Adds the wave of an arrival.
fn add(trace: &mut [f64], start: Time, network: &Network, (arrival, component): (&Arrival, usize)) {
    let quake = &network.quakes[arrival.event];
    let (_, p, s) = COMPONENTS[component];
    let share = if arrival.phase == Phase::P { 0.5 * p } else { s };
    let decay = AMPLITUDE_DISTANCE_KM / arrival.distance_km;
    let amplitude = AMPLITUDE_COUNTS * share * decay * 10_f64.powf(quake.magnitude - 1.0);
    let bursts = wavelet(quake.cluster, arrival.station, arrival.phase);
    let arrival_s = arrival.time.seconds_since(start);
    let first = ((arrival_s + WAVELET_S.0) * RATE_HZ).ceil().max(0.0) as usize;
    let last = ((arrival_s + WAVELET_S.1) * RATE_HZ).floor().max(0.0) as usize;
    let from_arrival_ns = |i: usize| start.0 + i as i64 * SAMPLE_NS - arrival.time.0;
    for (i, sample) in trace.iter_mut().enumerate().take(last + 1).skip(first) {
        *sample += amplitude * value(&bursts, from_arrival_ns(i) as f64 / NS_PER_S as f64);
    }
}

/// Sample numbers that are written: the whole trace, but for the gap.
fn runs(network: &Network, station: usize, component: usize, count: usize) -> Vec<(usize, usize)> {
    if (station, component) != (GAP.0, GAP.1) {
        return vec![(0, count)];
    }
    let origin_s = network.quakes[GAP.2].origin.seconds_since(first_sample(network, station));
    let at = |s: f64| ((origin_s + s) * RATE_HZ) as usize;
    vec![(0, at(GAP_S.0)), (at(GAP_S.1), count)]
}

/// A file of one channel and day: its path below the archive's root, and its bytes.
fn day_files(network: &Network, station: usize, component: usize) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let samples = samples(network, station, component);
    let start = first_sample(network, station);
    let code = code(network, station, component);
    let midnight = (start.0.div_euclid(NS_PER_DAY) + 1) * NS_PER_DAY;
    let today = ((midnight - start.0 + SAMPLE_NS - 1) / SAMPLE_NS) as usize;
    let runs = runs(network, station, component, samples.len());
    let mut files = Vec::new();
    for (day, (from, to)) in [(0, today), (today, samples.len())].into_iter().enumerate() {
        let mut bytes = Vec::new();
        for (first, last) in runs.iter().map(|r| (r.0.max(from), r.1.min(to))).filter(|r| r.0 < r.1) {
            let signal = Signal {
                code: &code,
                start: Time(start.0 + first as i64 * SAMPLE_NS),
                sampling_rate: RATE_HZ,
                samples: &samples[first..last],
            };
            append(&mut bytes, &signal)?;
        }
        if day == 1 && (station, component) == TRUNCATED {
            let records = (bytes.len() as f64 * LEFT_OF_TRUNCATED) as usize / RECORD_BYTES;
            bytes.truncate(records * RECORD_BYTES + RECORD_BYTES / 3);
        }
        files.push((sds_path(&code, Time(midnight + (day as i64 - 1) * NS_PER_DAY)), bytes));
    }
    Ok(files)
}

/// `2024/DM/ST01/HHZ.D/DM.ST01.00.HHZ.D.2024.060`
fn sds_path(code: &ChannelCode, day: Time) -> PathBuf {
    let (year, number) = (day.civil().year(), day.civil().day_of_year());
    let ChannelCode { network, station, channel, .. } = code;
    let folder = format!("{year}/{network}/{station}/{channel}.D");
    PathBuf::from(format!("{folder}/{network}.{station}.{LOCATION}.{channel}.D.{year}.{number:03}"))
}

/// Writes the archive below `root`; bytes written.
pub(crate) fn write(network: &Network, root: &Path) -> Result<u64> {
    let channels: Vec<(usize, usize)> =
        (0..network.stations.len()).flat_map(|s| (0..COMPONENTS.len()).map(move |c| (s, c))).collect();
    let bytes: Result<Vec<u64>> = channels
        .par_iter()
        .map(|&(station, component)| {
            let files = day_files(network, station, component)?;
            files.iter().map(|(path, bytes)| write_file(&root.join(path), bytes)).sum()
        })
        .collect();
    let day = Time(DATA_START.0 + 2 * NS_PER_DAY);
    let code = code(network, network.stations.len() - 1, 0);
    Ok(bytes?.iter().sum::<u64>() + write_file(&root.join(sds_path(&code, day)), &garbage(&code, day)?)?)
}

/// A header with nothing sensible behind it.
fn garbage(code: &ChannelCode, start: Time) -> Result<Vec<u8>> {
    let mut random = Random::new(&[SEED, 5]);
    let mut bytes = Vec::new();
    append(&mut bytes, &Signal { code, start, sampling_rate: RATE_HZ, samples: &[0] })?;
    bytes.truncate(HEADER_BYTES);
    bytes.extend((0..GARBAGE_BYTES).map(|_| random.bits() as u8));
    Ok(bytes)
}

fn code(network: &Network, station: usize, component: usize) -> ChannelCode {
    ChannelCode::new(NETWORK, &network.stations[station].code, LOCATION, COMPONENTS[component].0)
}

fn append(bytes: &mut Vec<u8>, signal: &Signal<'_>) -> Result<()> {
    let fault = |reason| Error::refused(format!("cannot write {}: {reason}", signal.code), FAULT);
    write_records(bytes, signal, RECORD_BYTES).map_err(fault)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<u64> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e))?;
    }
    fs::write(path, bytes).map_err(|e| Error::io("write", path, e))?;
    Ok(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_the_same_bytes_every_time() {
        let network = Network::new();
        let (one, two) = (day_files(&network, 0, 0), day_files(&network, 0, 0));
        let (one, two) = (one.expect("files"), two.expect("files"));
        assert!(one == two, "the bytes differ");
        let hashes: Vec<String> =
            one.iter().map(|f| format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&f.1))).collect();
        assert_eq!(one[0].0.to_str(), Some("2024/DM/ST01/HHZ.D/DM.ST01.00.HHZ.D.2024.060"));
        assert_eq!(hashes, ["afb0ee2274181c0f", "49b2386ba7955068"]);
    }

    #[test]
    fn a_wavelet_is_over_before_its_end() {
        for (station, phase) in (0..12).flat_map(|s| Phase::ALL.map(|p| (s, p))) {
            let bursts = wavelet(1, station, phase);
            let largest = (0..1000).map(|i| value(&bursts, i as f64 * 1e-3).abs()).fold(0.0, f64::max);
            let edges = value(&bursts, WAVELET_S.0).abs().max(value(&bursts, WAVELET_S.1).abs());
            assert!(largest > 0.5 && edges < 1e-3 * largest, "{station} {phase:?}: {largest} {edges}");
        }
    }
}
