//! Writes the data of the demonstration, and keeps what is true of them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use starquake::error::{Error, Result};

use super::epochs::{Epochs, SOURCES};
use super::network::{Network, TravelTimes};
use super::sky::{Sky, infrared_id, optical_id};
use super::waves;
use crate::exit::say;
use crate::style::thousands;

/// The times of files that were written so long ago can be trusted.
const SETTLED: Duration = Duration::from_millis(2_200);

/// What was planted.
#[derive(Debug)]
pub(crate) struct Truth {
    /// Of what was picked.
    pub(crate) travel_times: TravelTimes,
    /// Ids of the first catalogue and of their partners in the second, by the first.
    pub(crate) partners: Vec<(i64, i64)>,
    /// Ids of the first catalogue without partner, sorted.
    pub(crate) orphans: Vec<i64>,
    /// Ids of the sources that fade, and of those that scatter, sorted.
    pub(crate) fading: Vec<i64>,
    pub(crate) scattering: Vec<i64>,
}

/// Writes everything below `data`.
pub(crate) fn write(data: &Path) -> Result<Truth> {
    fs::create_dir_all(data).map_err(|e| Error::io("create", data, e))?;
    let network = Network::new();
    let bytes = waves::write(&network, &data.join("sds"))?;
    say(&format!("made {} kB of miniSEED: 12 stations, 3 components, 2 hours", thousands(bytes / 1000)));
    let written = Instant::now();
    network.write(data)?;
    say("made events.xml (40 events with picks) and station.dat");
    let sky = Sky::new();
    sky.write(data)?;
    say("made infrared.csv (100,000 sources) and optical.parquet (200,000)");
    let orphans: Vec<i64> = sky.orphans().collect();
    let epochs = Epochs::new(orphans.get(..SOURCES).unwrap_or_default());
    let fading = epochs.fading.iter().copied().collect();
    let scattering = epochs.scattering.iter().copied().collect();
    epochs.write(data)?;
    say("made epochs.parquet (light curves of 1,000 sources)");
    settle(written);
    let ids = |(row, partner): (usize, &Option<usize>)| Some((infrared_id(row), optical_id((*partner)?)));
    let partners = sky.partners.iter().enumerate().filter_map(ids).collect();
    Ok(Truth { travel_times: network.travel_times(), partners, orphans, fading, scattering })
}

/// Waits until the archive is old: the index does not trust the times of a file that was written just before it was
/// read, and would open it again at the next refresh.
fn settle(written: Instant) {
    thread::sleep(SETTLED.saturating_sub(written.elapsed()));
}

/// A new file to write.
pub(crate) fn create(path: &Path) -> Result<BufWriter<File>> {
    File::create(path).map(BufWriter::new).map_err(|e| Error::io("create", path, e))
}

/// Ends a file; what the system could not write is said here.
pub(crate) fn finish(mut file: BufWriter<File>, path: &Path) -> Result<()> {
    file.flush().map_err(|e| Error::io("write", path, e))
}
