//! Waveforms and events: two archives (few large files with a swarm in them, many small ones with gaps), index,
//! refresh, gaps, windows, pairs, correlation.

use std::fs;
use std::path::{Path, PathBuf};

use starquake::error::{Error, Result};
use starquake::format::event::{EventRow, PickRow};
use starquake::format::mseed2::{Signal, write_records};
use starquake::format::quakeml;
use starquake::format::waveform::{self, Record};
use starquake::model::station::ChannelCode;
use starquake::model::time::{NS_PER_DAY, NS_PER_S, Time};

use super::Size;
use super::measure::Bench;
use crate::demo::network::{DATA_START, Network};
use crate::demo::random::Random;
use crate::demo::waves::{RATE_HZ, RECORD_BYTES};
use crate::demo::world::{create, finish};
use crate::demo::{FAULT, waves as seismograms};

const SEED: u64 = 11;
/// Days of each channel of the small files.
const DAYS: usize = 100;
/// Samples in a small file, one a second.
const SMALL_SAMPLES: usize = 1_200;
/// Every so many small files have a hole in the middle.
const HOLE_EVERY: usize = 10;
/// Stations that have seen each of the many events.
const PICKS: usize = 12;
/// Windows read in one run, and the samples of each.
const WINDOWS: usize = 200;
const WINDOW_SAMPLES: u32 = 150;
/// Samples that are encoded and decoded.
const SAMPLES: usize = 500_000;

/// What was made.
pub(crate) struct Archive {
    large_bytes: u64,
    files: u64,
    segments: u64,
    /// Rows of `many.xml`.
    rows: u64,
}

/// Writes everything below `dir`.
pub(crate) fn make(dir: &Path, size: Size, bench: &Bench<'_>) -> Result<Archive> {
    let network = Network::new();
    let large_bytes = seismograms::write(&network, &dir.join("large"))?;
    bench.db.check()?;
    network.write(dir)?;
    let mut segments = 0;
    for file in 0..size.files {
        if file.is_multiple_of(DAYS) {
            bench.db.check()?;
        }
        segments += small_file(&dir.join("small"), file)?;
    }
    let rows = many_events(dir, size.events)?;
    Ok(Archive { large_bytes, files: size.files as u64, segments, rows })
}

/// One channel and day; the segments it holds.
fn small_file(root: &Path, file: usize) -> Result<u64> {
    let (channel, day) = (file / DAYS, file % DAYS);
    let code = ChannelCode::new("BN", &format!("S{channel:03}"), "00", "LHZ");
    let start = Time(DATA_START.0 + day as i64 * NS_PER_DAY);
    let mut random = Random::new(&[SEED, file as u64]);
    let samples: Vec<i32> = (0..SMALL_SAMPLES).map(|_| (100.0 * random.normal()) as i32).collect();
    let mut bytes = Vec::new();
    let half = SMALL_SAMPLES / 2;
    let has_hole = file.is_multiple_of(HOLE_EVERY);
    let parts = if has_hole { vec![(0, half - 60), (half, SMALL_SAMPLES)] } else { vec![(0, SMALL_SAMPLES)] };
    for &(first, last) in &parts {
        let start = Time(start.0 + first as i64 * NS_PER_S);
        let samples = samples.get(first..last).unwrap_or_default();
        append(&mut bytes, &Signal { code: &code, start, sampling_rate: 1.0, samples })?;
    }
    let folder = root.join(&code.station);
    fs::create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e))?;
    let path = folder.join(format!("{day:03}.mseed"));
    fs::write(&path, bytes).map_err(|e| Error::io("write", &path, e))?;
    Ok(parts.len() as u64)
}

fn append(bytes: &mut Vec<u8>, signal: &Signal<'_>) -> Result<()> {
    let fault = |reason| Error::refused(format!("cannot write {}: {reason}", signal.code), FAULT);
    write_records(bytes, signal, RECORD_BYTES).map_err(fault)
}

/// Events in a box of 40 km with picks; the rows written.
fn many_events(dir: &Path, count: usize) -> Result<u64> {
    let mut random = Random::new(&[SEED, 1]);
    let (mut events, mut picks) = (Vec::new(), Vec::new());
    for i in 0..count {
        let event_id = format!("smi:bench/{i}");
        let time = Time(DATA_START.0 + i as i64 * 600 * NS_PER_S);
        events.push(EventRow {
            event_id: event_id.clone(),
            time: Some(time),
            latitude: Some(46.0 + random.uniform(0.0, 0.4)),
            longitude: Some(7.0 + random.uniform(0.0, 0.5)),
            depth_km: Some(random.uniform(3.0, 15.0)),
            magnitude: Some(1.0),
            ..EventRow::default()
        });
        picks.extend((0..PICKS).map(|station| PickRow {
            pick_id: format!("smi:bench/{i}/{station}"),
            event_id: event_id.clone(),
            network: Some("BN".to_owned()),
            station: Some(format!("S{station:03}")),
            phase: Some("P".to_owned()),
            time: Some(Time(time.0 + (station as i64 + 2) * NS_PER_S)),
            weight: Some(1.0),
            ..PickRow::default()
        }));
    }
    let path = dir.join("many.xml");
    let mut file = create(&path)?;
    quakeml::write_quakeml(&mut file, &events, &picks)?;
    finish(file, &path)?;
    Ok((events.len() + picks.len()) as u64)
}

/// Indexes what was made and asks everything of it.
pub(crate) fn measure(dir: &Path, archive: &Archive, bench: &mut Bench<'_>) -> Result<()> {
    let path = |name: &str| dir.join(name).display().to_string().replace('\'', "''");
    coding(dir, bench)?;
    let (large, bytes) = (path("large"), archive.large_bytes);
    bench.once(("index miniSEED", "MB"), |db| {
        db.run(&format!("IMPORT WAVEFORMS '{large}' INTO large")).map(|_| bytes / 1_000_000)
    })?;
    bench.also(("index miniSEED", "records"), bytes / RECORD_BYTES as u64);
    let (small, files) = (path("small"), archive.files);
    bench.once(("index small files", "files"), |db| {
        db.run(&format!("IMPORT WAVEFORMS '{small}' INTO small")).map(|_| files)
    })?;
    bench.query(("refresh, nothing to do", "files"), Some(files), "REFRESH small")?;
    let segments = Some(archive.segments);
    bench.query(("gaps", "segments"), segments, "GAPS OF 'BN.*.*.*' LONGER 2 s")?;
    bench.query(("coverage by day", "segments"), segments, "COVERAGE OF 'BN.*.*.*' BY 1 d")?;
    let one = "SELECT DISTINCT path FROM segments WHERE code MATCHES 'BN.S001.00.LHZ' \
               AND span OVERLAPS 2024-03-01 .. 2024-03-02";
    bench.query(("files of a channel and day", "queries"), Some(1), one)?;
    windows(dir, bench)?;
    let (many, rows) = (path("many.xml"), archive.rows);
    bench.once(("import QuakeML", "events, picks"), |db| {
        db.run(&format!("IMPORT EVENTS '{many}' INTO many")).map(|_| rows)
    })?;
    bench.query(("pairs", "pairs"), None, "PAIRS OF many MAXSEP 3 km MINLNK 8")?;
    bench.db.run(&format!("IMPORT EVENTS '{}' INTO swarm", path("events.xml")))?;
    bench.db.run(&format!("IMPORT STATIONS '{}' INTO sites", path("station.dat")))?;
    let correlate = "CORRELATE swarm MAXSEP 3 km PHASE P ON 'Z' WINDOW -0.3 s .. 1.2 s LAG 0.1 s \
                     PHASE S ON 'NE' WINDOW -0.3 s .. 1.2 s LAG 0.1 s FILTER 2..15 Hz MINCC 0.7";
    bench.query(("correlate", "differential times"), None, correlate)
}

/// Steim-2, both ways.
fn coding(dir: &Path, bench: &mut Bench<'_>) -> Result<()> {
    let mut random = Random::new(&[SEED, 2]);
    let samples: Vec<i32> = (0..SAMPLES).map(|_| (300.0 * random.normal()) as i32).collect();
    let code = ChannelCode::new("BN", "CODE", "00", "HHZ");
    let mut bytes = Vec::new();
    bench.time(("encode Steim-2", "samples"), |_| {
        bytes.clear();
        let signal = Signal { code: &code, start: DATA_START, sampling_rate: RATE_HZ, samples: &samples };
        append(&mut bytes, &signal).map(|()| SAMPLES as u64)
    })?;
    let path = dir.join("code.mseed");
    fs::write(&path, &bytes).map_err(|e| Error::io("write", &path, e))?;
    let records = records(&path)?;
    bench.time(("decode Steim-2", "samples"), |_| {
        let pieces = waveform::read(&path, &records)?;
        Ok(pieces.iter().map(|p| p.samples.len() as u64).sum())
    })
}

fn records(path: &Path) -> Result<Vec<Record>> {
    Ok(waveform::scan(path)?.records)
}

/// Short windows anywhere in the large files: each opens its file and decodes one record.
fn windows(dir: &Path, bench: &mut Bench<'_>) -> Result<()> {
    let mut places: Vec<(PathBuf, Record)> = Vec::new();
    for entry in walk(&dir.join("large")) {
        let found = records(&entry)?.into_iter().filter(|r| r.npts >= WINDOW_SAMPLES);
        places.extend(found.map(|r| (entry.clone(), r)));
    }
    let mut random = Random::new(&[SEED, 3]);
    bench.time(("windows of 150 samples", "windows"), |_| {
        for _ in 0..WINDOWS {
            if let Some((path, record)) = places.get(random.below(places.len())) {
                waveform::read_samples(path, record, record.npts - WINDOW_SAMPLES, WINDOW_SAMPLES)?;
            }
        }
        Ok(WINDOWS as u64)
    })
}

/// All files below a directory.
fn walk(root: &Path) -> Vec<PathBuf> {
    let mut pending = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(path) = pending.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => pending.extend(entries.flatten().map(|e| e.path())),
            Err(_) => files.push(path),
        }
    }
    files.sort();
    files
}
