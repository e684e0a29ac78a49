//! The waveforms of the database, as CORRELATE asks for them: which stretches a station has, and the samples of the
//! records that a window needs.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::window::{Piece, Stretch, Waveforms};
use crate::error::{Error, Result};
use crate::format::waveform::source::Source;
use crate::format::waveform::{self, Encoding, Record, expand, flags, same, sample_time};
use crate::index::archive::{Archive, Part};
use crate::index::time::Segment;
use crate::model::time::Time;

/// Looks up segments by station and reads their records.
pub struct StoredWaveforms<'a> {
    archive: &'a Archive,
    /// Channels of each station.
    by_station: HashMap<&'a str, Vec<Entry>>,
    /// Files that were read last, with the records that were decoded last.
    open: Mutex<Vec<OpenFile>>,
    bytes_read: AtomicU64,
    records_decoded: AtomicU64,
}

/// A file of miniSEED that is kept open, so that windows in the order of file and offset open it once and decode
/// each record once.
struct OpenFile {
    place: (u32, u32),
    source: Source,
    /// Offsets of the records that were decoded last, oldest first, with their samples.
    decoded: Vec<(u64, Arc<waveform::Piece>)>,
    /// Raw name that was found to be that of the channel with this number.
    name: Option<(usize, Vec<u8>)>,
}

/// Files that are kept open.
const OPEN_FILES: usize = 32;
/// Decoded records that are kept of each.
const DECODED_RECORDS: usize = 32;

/// A channel of a part.
#[derive(Clone, Copy)]
struct Entry {
    part: u32,
    channel: u32,
}

impl<'a> StoredWaveforms<'a> {
    /// Over every living file of an archive that has a time.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn new(archive: &'a Archive) -> Result<Self> {
        let mut by_station: HashMap<&str, Vec<Entry>> = HashMap::new();
        for (number, part) in archive.parts.iter().enumerate() {
            for (channel, (code, _)) in part.channels()?.iter().enumerate() {
                let entry = Entry { part: number as u32, channel: channel as u32 };
                by_station.entry(code.station.as_str()).or_default().push(entry);
            }
        }
        let open = Mutex::new(vec![]);
        let (bytes_read, records_decoded) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(StoredWaveforms { archive, by_station, open, bytes_read, records_decoded })
    }

    /// Bytes read from files, and records decoded, since this was made.
    pub fn effort(&self) -> (u64, u64) {
        (self.bytes_read.load(Ordering::Relaxed), self.records_decoded.load(Ordering::Relaxed))
    }

    /// A file for this thread alone: one that is open, or newly opened.
    fn take(&self, place: (u32, u32), path: &Path) -> Result<OpenFile> {
        if let Ok(mut open) = self.open.lock()
            && let Some(at) = open.iter().position(|f| f.place == place)
        {
            return Ok(open.remove(at));
        }
        Ok(OpenFile { place, source: Source::open(path, vec![])?, decoded: vec![], name: None })
    }

    fn give_back(&self, file: OpenFile) {
        if let Ok(mut open) = self.open.lock() {
            if open.len() >= OPEN_FILES {
                open.remove(0);
            }
            open.push(file);
        }
    }

    /// The samples of miniSEED records, in the order given.
    fn decoded(&self, part: &Part, stretch: &Stretch, records: &[Record]) -> Result<Vec<Piece>> {
        let row = (stretch.row & u64::from(u32::MAX)) as usize;
        let place = ((stretch.row >> 32) as u32, part.file_of(row)?);
        let mut file = self.take(place, &stretch.path)?;
        let known = |file: &OpenFile, r: &Record| file.decoded.iter().any(|(offset, _)| *offset == r.offset);
        let missing: Vec<Record> = records.iter().filter(|r| !known(&file, r)).copied().collect();
        let (channel, name) = (part.channel_of(row)?, &mut file.name);
        let mut is_same = |bytes: &[u8], range: &std::ops::Range<usize>| {
            let raw = bytes.get(range.clone()).unwrap_or_default();
            if name.as_ref().is_some_and(|(c, n)| *c == channel && n == raw) {
                return true;
            }
            let is_same = same::stream(bytes, range).code == stretch.code;
            if is_same {
                *name = Some((channel, raw.to_vec()));
            }
            is_same
        };
        let fresh = same::read(&mut file.source, &missing, &mut is_same)?;
        self.bytes_read.fetch_add(missing.iter().map(|r| r.length).sum(), Ordering::Relaxed);
        self.records_decoded.fetch_add(missing.len() as u64, Ordering::Relaxed);
        file.decoded.extend(missing.iter().map(|r| r.offset).zip(fresh.into_iter().map(Arc::new)));
        let pieces = records
            .iter()
            .filter_map(|r| file.decoded.iter().find(|(offset, _)| *offset == r.offset))
            .map(|(_, p)| piece_of(p))
            .collect();
        let surplus = file.decoded.len().saturating_sub(DECODED_RECORDS);
        file.decoded.drain(..surplus);
        self.give_back(file);
        Ok(pieces)
    }

    fn part(&self, number: u32) -> Result<&Part> {
        let part = self.archive.parts.get(number as usize);
        part.ok_or_else(|| {
            Error::refused("a stretch of waveform is not in the index", "run the statement again")
        })
    }
}

fn path_of(part: &Part, path: &[u8]) -> PathBuf {
    let root = Path::new(OsStr::from_bytes(&part.root));
    // The root of a source may be the file itself.
    if path.is_empty() { root.to_path_buf() } else { root.join(OsStr::from_bytes(path)) }
}

/// The records of a segment that hold a sample in the span (half open). Of a segment that came in with the index of
/// another program the headers of the records are read now.
pub fn records_of(part: &Part, row: usize, span: (Time, Time)) -> Result<Vec<Record>> {
    let records = part.records(row, span)?;
    if records.iter().all(|r| r.flags & flags::SECTION == 0) {
        return Ok(records);
    }
    let mut records = expand(&full_path(part, part.file_of(row)?)?, &records)?;
    let end = |r: &Record| sample_time(r.start, u64::from(r.npts), r.sampling_rate);
    records.retain(|r| r.start < span.1 && end(r) > span.0);
    records.dedup_by_key(|r| r.offset);
    Ok(records)
}

/// Where a file is.
pub fn full_path(part: &Part, file: u32) -> Result<PathBuf> {
    Ok(path_of(part, &part.path(file)?))
}

/// Order of preference among copies: quality M, Q, D, R, then the publication version, then the longer one.
fn preference(segment: &Segment) -> (u8, u8, u64) {
    let quality = match segment.quality {
        b'M' => 4,
        b'Q' => 3,
        b'D' => 2,
        b'R' => 1,
        _ => 0,
    };
    (quality, segment.publication_version, segment.npts)
}

impl Waveforms for StoredWaveforms<'_> {
    fn find(&self, network: Option<&str>, station: &str, span: (Time, Time)) -> Result<Vec<Stretch>> {
        let mut found = vec![];
        for entry in self.by_station.get(station).into_iter().flatten() {
            let part = self.part(entry.part)?;
            let code = part.channels()?.get(entry.channel as usize).map(|c| c.0.clone()).unwrap_or_default();
            if network.is_some_and(|n| n != code.network) {
                continue;
            }
            let mut rows = vec![];
            let run = part.run(entry.channel as usize)?;
            part.covering(&run, (span.0.0, span.1.0.saturating_add(1)), |row| rows.push(row))?;
            for row in rows {
                let (segment, file) = (part.segment(row)?, part.file_of(row)?);
                if segment.sampling_rate <= 0.0 || part.state(file)? == "no_time" {
                    continue;
                }
                let path = part.path(file)?;
                let stretch = Stretch {
                    code: code.clone(),
                    start: segment.start,
                    end: segment.end,
                    npts: segment.npts,
                    sampling_rate_hz: segment.sampling_rate,
                    path: Arc::from(path_of(part, &path)),
                    row: u64::from(entry.part) << 32 | row as u64,
                };
                let order = (std::cmp::Reverse(preference(&segment)), path, segment.start);
                found.push((order, stretch));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found.into_iter().map(|(_, stretch)| stretch).collect())
    }

    fn read(&self, stretch: &Stretch, span: (Time, Time)) -> Result<Vec<Piece>> {
        let part = self.part((stretch.row >> 32) as u32)?;
        let closed = (span.0, Time(span.1.0.saturating_add(1)));
        let mut records = records_of(part, (stretch.row & u64::from(u32::MAX)) as usize, closed)?;
        records.sort_by_key(|r| r.offset);
        // a record of miniSEED has a header of its own; those of other formats are whole files
        if records.iter().all(|r| r.quality != 0 || r.publication_version != 0) {
            return self.decoded(part, stretch, &records);
        }
        let mut pieces = vec![];
        for record in &records {
            pieces.push(read_record(&stretch.path, record, closed)?);
        }
        Ok(pieces)
    }

    fn networks(&self, station: &str) -> Result<Vec<String>> {
        let mut networks = vec![];
        for entry in self.by_station.get(station).into_iter().flatten() {
            let part = self.part(entry.part)?;
            networks.extend(part.channels()?.get(entry.channel as usize).map(|c| c.0.network.clone()));
        }
        networks.sort();
        networks.dedup();
        Ok(networks)
    }
}

/// A record whole; of one with fixed-width samples (SAC is one giant record) only those of the span.
fn read_record(path: &Path, record: &Record, span: (Time, Time)) -> Result<Piece> {
    let is_random = record.encoding.sample_bytes().is_some() && record.encoding != Encoding::TEXT;
    let is_section = record.flags & flags::SECTION != 0;
    let is_long = is_section || (record.npts > LONG_RECORD_SAMPLES && is_random);
    let long = is_long && record.sampling_rate > 0.0;
    let piece = if long {
        let index = |t: Time| t.seconds_since(record.start) * record.sampling_rate;
        let first = index(span.0).floor().max(0.0) as u32;
        let end = (index(span.1).ceil() + 1.0).clamp(0.0, f64::from(record.npts)) as u32;
        waveform::read_samples(path, record, first.min(end), end.saturating_sub(first))?
    } else {
        let mut pieces = waveform::read(path, std::slice::from_ref(record))?;
        pieces.pop().unwrap_or_default()
    };
    Ok(Piece { start: piece.start, sampling_rate_hz: piece.sampling_rate, samples: piece.samples })
}

fn piece_of(piece: &waveform::Piece) -> Piece {
    Piece { start: piece.start, sampling_rate_hz: piece.sampling_rate, samples: piece.samples.clone() }
}

/// Records longer than this are read in part.
const LONG_RECORD_SAMPLES: u32 = 20_000;
