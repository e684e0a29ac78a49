//! The waveforms of the database, as CORRELATE asks for them: which stretches a station has, and the samples of the
//! records that a window needs.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::window::{Piece, Stretch, Waveforms};
use crate::error::{Error, Result};
use crate::format::waveform::{self, Encoding, Record};
use crate::index::archive::{Archive, Part};
use crate::index::time::decode_records;
use crate::model::time::Time;

/// Looks up segments by station and reads their records.
pub struct StoredWaveforms<'a> {
    archive: &'a Archive,
    /// Segments of each station, by start; place of the part and row in it.
    by_station: HashMap<&'a str, Vec<Entry>>,
    paths: HashMap<(u32, u32), Arc<Path>>,
}

#[derive(Clone, Copy)]
struct Entry {
    part: u32,
    row: u32,
    start: Time,
    end: Time,
    /// The latest end among this entry and those before it: where a search may stop.
    reach: Time,
}

impl<'a> StoredWaveforms<'a> {
    /// Over every living file of an archive that has a time.
    pub fn new(archive: &'a Archive) -> Self {
        let mut by_station: HashMap<&str, Vec<Entry>> = HashMap::new();
        let mut paths = HashMap::new();
        for (number, part) in archive.parts.iter().enumerate() {
            for row in 0..part.segment_count() {
                let file = part.file_of(row);
                let segment = part.segment(row);
                let is_series = segment.sampling_rate > 0.0 && part.state(file) != "no_time";
                if !part.is_alive(file) || !is_series {
                    continue;
                }
                let Some((code, _)) = part.channels.get(part.channel_of(row)) else { continue };
                let (start, end) = (segment.start, segment.end);
                let entry = Entry { part: number as u32, row: row as u32, start, end, reach: end };
                by_station.entry(code.station.as_str()).or_default().push(entry);
                paths.entry((number as u32, file)).or_insert_with(|| Arc::from(full_path(part, file)));
            }
        }
        for entries in by_station.values_mut() {
            entries.sort_by_key(|e| (e.start, e.end, e.part, e.row));
            let mut reach = Time(i64::MIN);
            for entry in entries {
                reach = reach.max(entry.end);
                entry.reach = reach;
            }
        }
        StoredWaveforms { archive, by_station, paths }
    }

    fn part(&self, number: u32) -> Result<&Part> {
        let part = self.archive.parts.get(number as usize);
        part.ok_or_else(|| {
            Error::refused("a stretch of waveform is not in the index", "run the statement again")
        })
    }
}

/// The records of a segment that hold a sample in the span (half open).
pub fn records_of(part: &Part, row: usize, span: (Time, Time)) -> Result<Vec<Record>> {
    decode_records(part.map(row), span).map_err(|reason| Error::Damaged {
        path: full_path(part, part.file_of(row)),
        block: None,
        reason: format!("its record map in the index does not read: {reason}"),
    })
}

/// Where a file is.
pub fn full_path(part: &Part, file: u32) -> PathBuf {
    Path::new(OsStr::from_bytes(&part.root)).join(OsStr::from_bytes(part.path(file)))
}

/// Order of preference among copies: quality M, Q, D, R, then the publication version, then the longer one.
fn preference(part: &Part, row: usize) -> (u8, u8, u64) {
    let segment = part.segment(row);
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
        let entries = self.by_station.get(station).map_or(&[][..], |v| v.as_slice());
        // Entries before `first` all end before the span; behind `last` all start after it.
        let first = entries.partition_point(|e| e.reach <= span.0);
        let last = entries.partition_point(|e| e.start <= span.1);
        let mut found: Vec<(&Part, Entry)> = vec![];
        for entry in entries.get(first..last).unwrap_or_default().iter().filter(|e| e.end > span.0) {
            let part = self.part(entry.part)?;
            let code = &part.channels[part.channel_of(entry.row as usize)].0;
            if network.is_none_or(|n| n == code.network) {
                found.push((part, *entry));
            }
        }
        found.sort_by_cached_key(|(part, e)| {
            let path = part.path(part.file_of(e.row as usize)).to_vec();
            (std::cmp::Reverse(preference(part, e.row as usize)), path, e.start)
        });
        let stretch = |(part, entry): &(&Part, Entry)| {
            let row = entry.row as usize;
            let segment = part.segment(row);
            let path = self.paths.get(&(entry.part, part.file_of(row)));
            Stretch {
                code: part.channels[part.channel_of(row)].0.clone(),
                start: segment.start,
                end: segment.end,
                npts: segment.npts,
                sampling_rate_hz: segment.sampling_rate,
                path: path.cloned().unwrap_or_else(|| Arc::from(Path::new(""))),
                row: u64::from(entry.part) << 32 | u64::from(entry.row),
            }
        };
        Ok(found.iter().map(stretch).collect())
    }

    fn read(&self, stretch: &Stretch, span: (Time, Time)) -> Result<Vec<Piece>> {
        let part = self.part((stretch.row >> 32) as u32)?;
        let map = part.map((stretch.row & u64::from(u32::MAX)) as usize);
        let closed = (span.0, Time(span.1.0.saturating_add(1)));
        let mut records = decode_records(map, closed).map_err(|reason| Error::Damaged {
            path: stretch.path.to_path_buf(),
            block: None,
            reason: format!("its record map in the index does not read: {reason}"),
        })?;
        records.sort_by_key(|r| r.offset);
        let mut pieces = vec![];
        for record in &records {
            pieces.push(read_record(&stretch.path, record, closed)?);
        }
        Ok(pieces)
    }

    fn networks(&self, station: &str) -> Result<Vec<String>> {
        let entries = self.by_station.get(station).map_or(&[][..], |v| v.as_slice());
        let mut networks = vec![];
        for entry in entries {
            let part = self.part(entry.part)?;
            networks.push(part.channels[part.channel_of(entry.row as usize)].0.network.clone());
        }
        networks.sort();
        networks.dedup();
        Ok(networks)
    }
}

/// A record whole; of one with fixed-width samples (SAC is one giant record) only those of the span.
fn read_record(path: &Path, record: &Record, span: (Time, Time)) -> Result<Piece> {
    let is_random = record.encoding.sample_bytes().is_some() && record.encoding != Encoding::TEXT;
    let long = record.npts > LONG_RECORD_SAMPLES && record.sampling_rate > 0.0 && is_random;
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

/// Records longer than this are read in part.
const LONG_RECORD_SAMPLES: u32 = 20_000;
