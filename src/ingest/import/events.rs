//! IMPORT EVENTS and IMPORT STATIONS: files of any known format into the tables of events, picks and stations.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{
    Existing, Imported, SIGNATURE, Standing, absolute, counted, files, register, signature, spelled, standing,
};
use crate::error::{DataError, Error, Result};
use crate::format::event::table::{
    events_batch, events_schema, picks_batch, picks_schema, stations_batch, stations_schema,
};
use crate::format::event::{
    EventRow, EventSet, PickRow, StationRow, StationSet, number_events, sort_events, sort_picks,
};
use crate::format::{hypodd, quakeml, stationxml};
use crate::model::table::Schema;
use crate::store::{Catalogue, SegmentBuilder, SourceEntry, TableEntry, Writer};

type Read<T> = fn(&Path, &mut dyn BufRead) -> Result<T>;
type Sniff = fn(&[u8]) -> bool;
/// An error once somebody asks to stop.
type Stop<'a> = &'a dyn Fn() -> Result<()>;

/// Event formats: name, recogniser, reader.
const EVENT_FORMATS: &[(&str, Sniff, Read<EventSet>)] = &[
    ("quakeml", quakeml::sniff, quakeml::read),
    ("hypodd_phase", hypodd::phase::sniff, hypodd::phase::read),
    ("hypodd_event", hypodd::event::sniff, hypodd::event::read),
    ("hypodd_reloc", hypodd::reloc::sniff, hypodd::reloc::read),
];

/// Station formats: name, recogniser, reader.
const STATION_FORMATS: &[(&str, Sniff, Read<StationSet>)] = &[
    ("stationxml", stationxml::sniff, stationxml::read),
    ("hypodd_station", hypodd::station::sniff, hypodd::station::read),
];

/// What IMPORT EVENTS and IMPORT STATIONS are told.
pub struct Request<'a> {
    /// File, directory or pattern.
    pub path: &'a Path,
    /// INTO.
    pub name: Option<&'a str>,
    /// FORMAT: skips the recogniser.
    pub format: Option<&'a str>,
    /// REPLACE, APPEND.
    pub existing: Existing,
}

/// Reads events and picks and commits them; until then `stop` can end it.
pub fn import_events(writer: &mut Writer, request: &Request<'_>, stop: Stop<'_>) -> Result<Imported> {
    let (files, mut source) = prepare(request, "events")?;
    source.name = spelled(writer.catalogue(), &source.name);
    let standing = standing(writer.catalogue(), &source, request.existing)?;
    if standing == Standing::Same {
        return Ok(already(&source.name));
    }
    let mut all = EventSet::default();
    for file in &files {
        let set = read_one(file, EVENT_FORMATS, (request.format, "events"), stop)?;
        all.events.extend(set.events);
        all.picks.extend(set.picks);
        all.problems.extend(set.problems);
    }
    if all.events.is_empty() && !all.problems.is_empty() {
        return Err(Error::Data(Box::new(all.problems.swap_remove(0))));
    }
    stop()?;
    let dropped = without_repeats(&mut all);
    sort_events(&mut all.events);
    sort_picks(&mut all.picks);
    number_events(&mut all.events);
    stop()?;
    let mut catalogue = writer.catalogue().clone();
    let name = source.name.clone();
    register(&mut catalogue, source, standing);
    let source = name;
    let events = SegmentBuilder::new("rows").batch(&events_batch(&all.events)?);
    let picks = SegmentBuilder::new("rows").batch(&picks_batch(&all.picks)?);
    let parts = [("events", events_schema(), events), ("picks", picks_schema(), picks)];
    put_rows(writer, &mut catalogue, &source, standing, parts.into())?;
    writer.commit(catalogue)?;
    let mut notices = problems(&all.problems);
    if dropped > 0 {
        notices.push(format!("{dropped} events were in several files: the first of each was kept"));
    }
    Ok(Imported {
        message: format!(
            "imported {} and {} from {} into `{source}`",
            counted(all.events.len(), "event"),
            counted(all.picks.len(), "pick"),
            counted(files.len(), "file")
        ),
        notices,
        problems: all.problems.len() as u64,
    })
}

/// Reads stations and commits them; until then `stop` can end it.
pub fn import_stations(writer: &mut Writer, request: &Request<'_>, stop: Stop<'_>) -> Result<Imported> {
    let (files, mut source) = prepare(request, "stations")?;
    source.name = spelled(writer.catalogue(), &source.name);
    let standing = standing(writer.catalogue(), &source, request.existing)?;
    if standing == Standing::Same {
        return Ok(already(&source.name));
    }
    let mut rows: Vec<StationRow> = vec![];
    let mut faults = vec![];
    for file in &files {
        let set = read_one(file, STATION_FORMATS, (request.format, "stations"), stop)?;
        rows.extend(set.stations);
        faults.extend(set.problems);
    }
    if rows.is_empty() && !faults.is_empty() {
        return Err(Error::Data(Box::new(faults.swap_remove(0))));
    }
    let key = |r: &StationRow| {
        (r.network.clone(), r.station.clone(), r.location.clone(), r.channel.clone(), r.starttime)
    };
    rows.sort_by_key(key);
    let mut catalogue = writer.catalogue().clone();
    let name = source.name.clone();
    register(&mut catalogue, source, standing);
    let source = name;
    let builder = SegmentBuilder::new("rows").batch(&stations_batch(&rows)?);
    put_rows(writer, &mut catalogue, &source, standing, vec![("stations", stations_schema(), builder)])?;
    writer.commit(catalogue)?;
    Ok(Imported {
        message: format!(
            "imported {} from {} into `{source}`",
            counted(rows.len(), "station row"),
            counted(files.len(), "file")
        ),
        notices: problems(&faults),
        problems: faults.len() as u64,
    })
}

fn already(name: &str) -> Imported {
    Imported { message: format!("`{name}` is already in: nothing to do"), ..Imported::default() }
}

/// At most this many problems are told one by one.
const PROBLEMS_TOLD: usize = 20;

fn problems(all: &[DataError]) -> Vec<String> {
    let mut lines: Vec<String> = all.iter().take(PROBLEMS_TOLD).map(ToString::to_string).collect();
    if all.len() > PROBLEMS_TOLD {
        lines.push(format!("and {} more problems", all.len() - PROBLEMS_TOLD));
    }
    lines
}

fn prepare(request: &Request<'_>, kind: &str) -> Result<(Vec<PathBuf>, SourceEntry)> {
    let files = files(request.path)?;
    let mut options = BTreeMap::from([(SIGNATURE.to_owned(), signature(&files)?)]);
    if let Some(format) = request.format {
        options.insert("format".to_owned(), format.to_owned());
    }
    let source = SourceEntry {
        name: request.name.map_or_else(|| super::default_name(request.path), str::to_owned),
        kind: kind.to_owned(),
        root: absolute(request.path)?.as_os_str().as_bytes().to_vec(),
        options,
        last_refresh: None,
    };
    Ok((files, source))
}

fn put_rows(
    writer: &Writer,
    catalogue: &mut Catalogue,
    source: &str,
    standing: Standing,
    tables: Vec<(&str, Schema, SegmentBuilder)>,
) -> Result<()> {
    for (table, schema, builder) in tables {
        let mut reference = writer.publish(builder)?;
        reference.source = source.to_owned();
        if catalogue.table(table).is_none() {
            let entry = TableEntry {
                name: table.to_owned(),
                kind: table.to_owned(),
                schema,
                ..TableEntry::default()
            };
            catalogue.tables.push(entry);
        }
        if let Some(entry) = catalogue.table_mut(table) {
            if standing == Standing::Replace {
                entry.segments.retain(|s| s.source != source);
            }
            entry.segments.push(reference);
        }
    }
    Ok(())
}

/// The first of events of one id, and the picks of it; counts the others.
fn without_repeats(all: &mut EventSet) -> usize {
    let mut seen: std::collections::HashSet<String> = std::collections::HashSet::new();
    let before = all.events.len();
    all.events.retain(|e: &EventRow| seen.insert(e.event_id.clone()));
    if all.events.len() < before {
        let mut picks: std::collections::HashSet<String> = std::collections::HashSet::new();
        all.picks.retain(|p: &PickRow| picks.insert(format!("{}\n{}", p.event_id, p.pick_id)));
    }
    before - all.events.len()
}

fn read_one<T>(
    file: &Path,
    formats: &[(&str, Sniff, Read<T>)],
    (wanted, what): (Option<&str>, &str),
    stop: Stop<'_>,
) -> Result<T> {
    stop()?;
    let opened = File::open(file).map_err(|e| Error::io("open", file, e))?;
    let mut input = BufReader::with_capacity(1 << 16, opened);
    let names = || formats.iter().map(|f| f.0).collect::<Vec<_>>().join(", ");
    let format = match wanted {
        Some(name) => formats.iter().find(|f| f.0.eq_ignore_ascii_case(name)).ok_or_else(|| {
            Error::refused(format!("unknown FORMAT {name} for {what}"), format!("known: {}", names()))
        })?,
        None => {
            let head = input.fill_buf().map_err(|e| Error::io("read", file, e))?;
            formats.iter().find(|f| f.1(head)).ok_or_else(|| {
                let reason = format!("no format of {what} is recognised in this file");
                Error::Data(Box::new(DataError {
                    path: file.to_path_buf(),
                    place: None,
                    offset: Some(0),
                    reason,
                    help: Some(format!("known formats: {}; FORMAT name skips the recogniser", names())),
                }))
            })?
        }
    };
    let read = format.2(file, &mut Stoppable { input, stop });
    stop()?;
    read
}

/// Input that fails once somebody asks to stop.
struct Stoppable<'a, R> {
    input: R,
    stop: Stop<'a>,
}

impl<R: BufRead> std::io::Read for Stoppable<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        (self.stop)().map_err(std::io::Error::other)?;
        self.input.read(out)
    }
}

impl<R: BufRead> BufRead for Stoppable<'_, R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        (self.stop)().map_err(std::io::Error::other)?;
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
    }
}
