//! IMPORT EVENTS and IMPORT STATIONS: files of any known format into the tables of events, picks and stations.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;

use super::{
    Existing, Imported, SIGNATURE, Standing, Word, absolute, counted, files, register, signature, spelled,
    standing,
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
pub const EVENT_FORMATS: [(&str, Sniff, Read<EventSet>); 4] = [
    ("quakeml", quakeml::sniff, quakeml::read),
    ("hypodd_phase", hypodd::phase::sniff, hypodd::phase::read),
    ("hypodd_event", hypodd::event::sniff, hypodd::event::read),
    ("hypodd_reloc", hypodd::reloc::sniff, hypodd::reloc::read),
];

/// Station formats: name, recogniser, reader.
pub const STATION_FORMATS: [(&str, Sniff, Read<StationSet>); 2] = [
    ("stationxml", stationxml::sniff, stationxml::read),
    ("hypodd_station", hypodd::station::sniff, hypodd::station::read),
];

/// What IMPORT EVENTS and IMPORT STATIONS are told.
#[derive(Clone)]
pub struct Request {
    /// File, directory or pattern.
    pub path: PathBuf,
    /// INTO.
    pub name: Option<String>,
    /// FORMAT: skips the recogniser.
    pub format: Option<Word>,
    /// REPLACE, APPEND.
    pub existing: Existing,
}

/// Reads events and picks and commits them; until then `stop` can end it.
pub fn import_events(writer: &mut Writer, request: &Request, stop: Stop<'_>) -> Result<Imported> {
    let (files, source) = prepare(request, "events", writer.catalogue())?;
    let standing = standing(writer.catalogue(), &source, request.existing)?;
    if standing == Standing::Same {
        return Ok(Imported::nothing(&source.name));
    }
    let mut all = EventSet::default();
    let (sets, problems) = read_all(&files, &EVENT_FORMATS, (request.format.as_ref(), "events"), stop)?;
    let read = (sets.len(), files.len());
    all.problems = problems;
    for set in sets {
        all.events.extend(set.events);
        all.picks.extend(set.picks);
        all.problems.extend(set.problems);
    }
    if all.events.is_empty() && !all.problems.is_empty() {
        return Err(Error::Data(Box::new(all.problems.swap_remove(0))));
    }
    stop()?;
    let mut notices = told(&all.problems);
    let repeated = without_repeats(&mut all);
    if repeated > 0 {
        notices.push(format!(
            "{} stood in the files more than once: the first of each was kept",
            counted(repeated, "event")
        ));
    }
    let name = source.name.clone();
    if standing == Standing::Append {
        let known = without_known(&mut all, &known_events(writer, &name)?);
        if known > 0 {
            notices.push(format!(
                "{} left out, with the picks: `{name}` has events of that id (REPLACE takes the new ones)",
                counted(known, "event")
            ));
        }
    }
    sort_events(&mut all.events);
    sort_picks(&mut all.picks);
    number_events(&mut all.events);
    stop()?;
    let mut catalogue = writer.catalogue().clone();
    register(&mut catalogue, source, standing);
    let events = SegmentBuilder::new("rows").batch(&events_batch(&all.events)?);
    let picks = SegmentBuilder::new("rows").batch(&picks_batch(&all.picks)?);
    let parts = [("events", events_schema(), events), ("picks", picks_schema(), picks)];
    put_rows(writer, &mut catalogue, &name, standing, parts.into())?;
    writer.commit(catalogue)?;
    let rows = format!("{} and {}", counted(all.events.len(), "event"), counted(all.picks.len(), "pick"));
    Ok(Imported { message: done(standing, &rows, read, &name), notices, problems: all.problems.len() as u64 })
}

/// Reads stations and commits them; until then `stop` can end it.
pub fn import_stations(writer: &mut Writer, request: &Request, stop: Stop<'_>) -> Result<Imported> {
    let (files, source) = prepare(request, "stations", writer.catalogue())?;
    let standing = standing(writer.catalogue(), &source, request.existing)?;
    if standing == Standing::Same {
        return Ok(Imported::nothing(&source.name));
    }
    let mut rows: Vec<StationRow> = vec![];
    let (sets, mut faults) = read_all(&files, &STATION_FORMATS, (request.format.as_ref(), "stations"), stop)?;
    let read = (sets.len(), files.len());
    for set in sets {
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
    let builder = SegmentBuilder::new("rows").batch(&stations_batch(&rows)?);
    put_rows(writer, &mut catalogue, &name, standing, vec![("stations", stations_schema(), builder)])?;
    writer.commit(catalogue)?;
    let message = done(standing, &counted(rows.len(), "station row"), read, &name);
    Ok(Imported { message, notices: told(&faults), problems: faults.len() as u64 })
}

fn done(standing: Standing, rows: &str, (read, files): (usize, usize), name: &str) -> String {
    let (verb, to) = if standing == Standing::Append { ("appended", "to") } else { ("imported", "into") };
    let part = if read < files { format!("{read} of ") } else { String::new() };
    format!("{verb} {rows} from {part}{} {to} `{name}`", counted(files, "file"))
}

/// At most this many problems are told one by one.
const PROBLEMS_TOLD: usize = 20;

fn told(all: &[DataError]) -> Vec<String> {
    let mut lines: Vec<String> =
        all.iter().take(PROBLEMS_TOLD).map(|p| p.to_string().replace("\n  help: ", "; ")).collect();
    if all.len() > PROBLEMS_TOLD {
        lines.push(format!("and {} more problems", all.len() - PROBLEMS_TOLD));
    }
    lines
}

/// The files, and the source as it will be registered.
pub(super) fn prepare(
    request: &Request,
    kind: &str,
    catalogue: &Catalogue,
) -> Result<(Vec<PathBuf>, SourceEntry)> {
    let files = files(&request.path)?;
    let mut options = BTreeMap::from([(SIGNATURE.to_owned(), signature(&files)?)]);
    if let Some(format) = &request.format {
        options.insert("format".to_owned(), format.text.clone());
    }
    let name = request.name.clone().unwrap_or_else(|| super::default_name(&request.path));
    let source = SourceEntry {
        name: spelled(catalogue, &name),
        kind: kind.to_owned(),
        root: absolute(&request.path)?.as_os_str().as_bytes().to_vec(),
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
    let mut seen: HashSet<String> = HashSet::new();
    let before = all.events.len();
    all.events.retain(|e: &EventRow| seen.insert(e.event_id.clone()));
    if all.events.len() < before {
        let mut picks: HashSet<String> = HashSet::new();
        all.picks.retain(|p: &PickRow| picks.insert(format!("{}\n{}", p.event_id, p.pick_id)));
    }
    before - all.events.len()
}

/// Ids of the events that a source has.
fn known_events(writer: &Writer, source: &str) -> Result<HashSet<String>> {
    let mut known = HashSet::new();
    let Some(entry) = writer.catalogue().table("events") else { return Ok(known) };
    for reference in entry.segments.iter().filter(|s| s.role == "rows" && s.source == source) {
        let map = writer.segment(reference)?;
        let Some(place) = map.schema().columns.iter().position(|c| c.name == "event_id") else { continue };
        let batch = map.batch(&[place], 0..map.rows())?;
        if let Some(ids) = batch.column(0).as_string_opt::<i32>() {
            known.extend(ids.iter().flatten().map(str::to_owned));
        }
    }
    Ok(known)
}

/// Leaves out events that are known, and their picks; counts them.
fn without_known(all: &mut EventSet, known: &HashSet<String>) -> usize {
    let before = all.events.len();
    let gone: HashSet<String> =
        all.events.iter().filter(|e| known.contains(&e.event_id)).map(|e| e.event_id.clone()).collect();
    all.events.retain(|e| !gone.contains(&e.event_id));
    all.picks.retain(|p| !gone.contains(&p.event_id));
    before - all.events.len()
}

/// Reads files of one kind. Of several files one that cannot be read is a problem of its own and hides no other.
fn read_all<T>(
    files: &[PathBuf],
    formats: &[(&str, Sniff, Read<T>)],
    how: (Option<&Word>, &str),
    stop: Stop<'_>,
) -> Result<(Vec<T>, Vec<DataError>)> {
    let (mut sets, mut problems) = (vec![], vec![]);
    for file in files {
        match read_one(file, formats, how, stop) {
            Ok(set) => sets.push(set),
            Err(Error::Data(fault)) if files.len() > 1 => problems.push(*fault),
            Err(Error::Io { action, path, source }) if files.len() > 1 => problems.push(DataError {
                path,
                place: None,
                offset: None,
                reason: format!("cannot {action} it: {source}"),
                help: None,
            }),
            Err(other) => return Err(other),
        }
    }
    match problems.len() == files.len() {
        true => Err(Error::Data(Box::new(problems.swap_remove(0)))),
        false => Ok((sets, problems)),
    }
}

/// The name of the format of a file: the one that is wanted, or the one that recognises its head.
pub(super) fn recognised<'a, T>(
    head: &[u8],
    formats: &'a [(&'a str, Sniff, Read<T>)],
    wanted: Option<&Word>,
) -> Option<&'a (&'a str, Sniff, Read<T>)> {
    match wanted {
        Some(name) => formats.iter().find(|f| f.0 == name.text),
        None => formats.iter().find(|f| f.1(head)),
    }
}

fn read_one<T>(
    file: &Path,
    formats: &[(&str, Sniff, Read<T>)],
    (wanted, what): (Option<&Word>, &str),
    stop: Stop<'_>,
) -> Result<T> {
    stop()?;
    let opened = File::open(file).map_err(|e| Error::io("open", file, e))?;
    let mut input = BufReader::with_capacity(1 << 16, opened);
    let head = input.fill_buf().map_err(|e| Error::io("read", file, e))?;
    let Some(format) = recognised(head, formats, wanted) else {
        let names = formats.iter().map(|f| f.0).collect::<Vec<_>>().join(", ");
        return Err(Error::Data(Box::new(DataError {
            path: file.to_path_buf(),
            place: None,
            offset: Some(0),
            reason: format!("no format of {what} is recognised in this file"),
            help: Some(format!("known formats: {names}; FORMAT name skips the recogniser")),
        })));
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
