//! Events, picks and stations as rows, made from batches in this one place; pairs and links as batches.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, PrimitiveArray, StringArray};
use arrow_schema::DataType;

use crate::error::{Error, Result};
use crate::model::table::{Batch, Column, Schema, Type, time_type};
use crate::model::time::Time;

use super::{Interner, Pairs, Phase};

/// A row of `events`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// Key.
    pub event_id: String,
    /// Integer id of the source.
    pub number: Option<i64>,
    /// Origin time.
    pub time: Option<Time>,
    /// Geodetic, WGS84.
    pub latitude_deg: Option<f64>,
    /// East.
    pub longitude_deg: Option<f64>,
    /// Below sea level.
    pub depth_km: Option<f64>,
}

impl Event {
    /// Latitude and longitude in degrees, if both are there and possible.
    pub fn position(&self) -> Option<(f64, f64)> {
        let (lat, lon) = (self.latitude_deg?, self.longitude_deg?);
        (lat.abs() <= 90.0 && lon.is_finite()).then_some((lat, lon))
    }
}

/// A row of `picks`, of an event that is known from where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    /// Key; empty if there is none.
    pub pick_id: String,
    /// `None` where the source names none.
    pub network: Option<Arc<str>>,
    /// Station code.
    pub station: Arc<str>,
    /// `None` where the source names none; empty = blank.
    pub location: Option<Arc<str>>,
    /// `None` where the source names none.
    pub channel: Option<Arc<str>>,
    /// Name and class.
    pub phase: Phase,
    /// Arrival.
    pub time: Time,
    /// 1 if the source has none; negative means: always keep.
    pub weight: f64,
    /// 0 manual, 1 unknown, 2 automatic.
    pub mode: u8,
}

impl Pick {
    /// Of two picks of one phase, the one to keep comes first: manual, heavier, earlier, smaller id.
    fn preference(&self, other: &Pick) -> Ordering {
        self.mode
            .cmp(&other.mode)
            .then(other.weight.total_cmp(&self.weight))
            .then(self.time.cmp(&other.time))
            .then_with(|| self.pick_id.cmp(&other.pick_id))
    }

    /// The order of the picks of an event; equal for picks of one phase at one station.
    fn place(&self, other: &Pick) -> Ordering {
        (&self.station, self.phase.written())
            .cmp(&(&other.station, other.phase.written()))
            .then_with(|| self.network.cmp(&other.network))
            .then_with(|| self.phase.cmp(&other.phase))
    }
}

/// Events in the order (origin time, event_id), those without time last, each with its picks.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The events.
    pub events: Vec<Event>,
    /// For each event its picks, one per (network, station, phase name), sorted by (station, written phase).
    pub picks: Vec<Vec<Pick>>,
    /// Picks left out because a better one of the same phase is there.
    pub duplicate_picks: usize,
    /// Picks left out because no event has their id.
    pub stray_picks: usize,
    /// Bit 0: in the first set, bit 1: in the set it is compared with. Empty for one set.
    sides: Vec<u8>,
}

/// Places of stations: degrees by (network, station).
#[derive(Clone, Debug, Default)]
pub struct Stations(HashMap<(String, String), (f64, f64)>);

impl Stations {
    /// From batches with the columns network, station, latitude, longitude; of several epochs the first counts.
    pub fn from_batches(batches: &[Batch]) -> Result<Stations> {
        let mut places = HashMap::new();
        for batch in batches {
            let (network, station) = (Texts::of(batch, "network")?, Texts::of(batch, "station")?);
            let (lat, lon) = (floats(batch, "latitude")?, floats(batch, "longitude")?);
            for i in 0..batch.num_rows() {
                let key = (network.get(i).unwrap_or("").to_owned(), station.get(i).unwrap_or("").to_owned());
                if lat.is_valid(i) && lon.is_valid(i) {
                    places.entry(key).or_insert((lat.value(i), lon.value(i)));
                }
            }
        }
        Ok(Stations(places))
    }

    /// Latitude and longitude; without a network, of the one station of that code.
    pub fn find(&self, network: Option<&str>, station: &str) -> Option<(f64, f64)> {
        let exact = network.and_then(|n| self.0.get(&(n.to_owned(), station.to_owned())));
        if exact.is_some() || network.is_some() {
            return exact.copied();
        }
        let mut same = self.0.iter().filter(|(key, _)| key.1 == station);
        let found = same.next()?;
        same.next().is_none().then_some(*found.1)
    }
}

impl Catalogue {
    /// From rows. `picks` come with the id of their event, in any order.
    ///
    /// # Errors
    /// Two events of one id.
    pub fn new(mut events: Vec<Event>, picks: Vec<(String, Pick)>) -> Result<Catalogue> {
        events.sort_by(|a, b| {
            (a.time.is_none(), a.time, &a.event_id).cmp(&(b.time.is_none(), b.time, &b.event_id))
        });
        let mut index: HashMap<&str, usize> = HashMap::with_capacity(events.len());
        for (i, event) in events.iter().enumerate() {
            if index.insert(&event.event_id, i).is_some() {
                return Err(Error::refused(
                    format!("two events have the id `{}`", event.event_id),
                    "name one source: CORRELATE source_name ...",
                ));
            }
        }
        let mut of_event: Vec<Vec<Pick>> = vec![Vec::new(); events.len()];
        let mut stray_picks = 0;
        for (event_id, pick) in picks {
            match index.get(event_id.as_str()) {
                Some(&i) => of_event[i].push(pick),
                None => stray_picks += 1,
            }
        }
        let mut duplicate_picks = 0;
        for list in &mut of_event {
            duplicate_picks += without_duplicates(list);
        }
        Ok(Catalogue { events, picks: of_event, duplicate_picks, stray_picks, sides: Vec::new() })
    }

    /// From batches with the columns of the tables `events` and `picks`.
    ///
    /// # Errors
    /// A column is missing or of another type; two events of one id.
    pub fn from_batches(events: &[Batch], picks: &[Batch]) -> Result<Catalogue> {
        let mut rows = Vec::new();
        for batch in events {
            events_of(batch, &mut rows)?;
        }
        let (mut observed, mut names) = (Vec::new(), Interner::default());
        for batch in picks {
            picks_of(batch, &mut names, &mut observed)?;
        }
        Catalogue::new(rows, observed)
    }

    /// This set compared with another: only pairs with one event of each are made. An event of the same id in both
    /// is the same event.
    ///
    /// # Errors
    /// An event of the same id has another time or place.
    pub fn against(self, other: Catalogue) -> Result<Catalogue> {
        let (duplicates, strays) =
            (self.duplicate_picks + other.duplicate_picks, self.stray_picks + other.stray_picks);
        let mut merged: HashMap<String, (Event, Vec<Pick>, u8)> = HashMap::new();
        for (side, set) in [(1, self), (2, other)] {
            for (event, picks) in set.events.into_iter().zip(set.picks) {
                if let Some(known) = merged.get_mut(&event.event_id) {
                    if known.0 != event {
                        return Err(Error::refused(
                            format!("event `{}` differs in the two sets", event.event_id),
                            "give one of them another id, or take both from one source",
                        ));
                    }
                    known.2 |= side;
                } else {
                    merged.insert(event.event_id.clone(), (event, picks, side));
                }
            }
        }
        let sides: HashMap<String, u8> = merged.iter().map(|(id, m)| (id.clone(), m.2)).collect();
        let mut events = Vec::new();
        let mut picks = Vec::new();
        for (id, (event, of_event, _)) in merged {
            picks.extend(of_event.into_iter().map(|p| (id.clone(), p)));
            events.push(event);
        }
        let mut both = Catalogue::new(events, picks)?;
        both.sides = both.events.iter().map(|e| sides.get(&e.event_id).copied().unwrap_or(0)).collect();
        both.duplicate_picks = duplicates;
        both.stray_picks = strays;
        Ok(both)
    }

    /// The same catalogue with a network, by station code, for every pick that names none.
    #[must_use]
    pub fn with_networks(mut self, networks: &BTreeMap<Arc<str>, Option<Arc<str>>>) -> Catalogue {
        for list in &mut self.picks {
            for pick in list.iter_mut().filter(|p| p.network.is_none()) {
                pick.network = networks.get(&pick.station).cloned().flatten();
            }
            self.duplicate_picks += without_duplicates(list);
        }
        self
    }

    /// Are two sets compared?
    pub fn is_two_sets(&self) -> bool {
        !self.sides.is_empty()
    }

    /// May these two events be a pair?
    pub fn may_pair(&self, a: u32, b: u32) -> bool {
        match (self.sides.get(a as usize), self.sides.get(b as usize)) {
            (Some(a), Some(b)) => (a & 1 != 0 && b & 2 != 0) || (a & 2 != 0 && b & 1 != 0),
            _ => true,
        }
    }
}

/// Sorts the picks of an event and keeps one of each phase; how many were dropped.
fn without_duplicates(list: &mut Vec<Pick>) -> usize {
    let before = list.len();
    list.sort_by(|a, b| a.place(b).then_with(|| a.preference(b)));
    list.dedup_by(|b, a| a.place(b) == Ordering::Equal);
    before - list.len()
}

fn events_of(batch: &Batch, rows: &mut Vec<Event>) -> Result<()> {
    let (id, number, time) = (Texts::of(batch, "event_id")?, integers(batch, "number")?, times(batch)?);
    let (lat, lon) = (floats(batch, "latitude")?, floats(batch, "longitude")?);
    let depth = floats(batch, "depth_km")?;
    for i in 0..batch.num_rows() {
        let float = |a: &Float64Array| a.is_valid(i).then(|| a.value(i));
        rows.push(Event {
            event_id: id.get(i).unwrap_or("").to_owned(),
            number: number.is_valid(i).then(|| number.value(i)),
            time: time.is_valid(i).then(|| Time(time.value(i))),
            latitude_deg: float(&lat),
            longitude_deg: float(&lon),
            depth_km: float(&depth).filter(|d| d.is_finite()),
        });
    }
    Ok(())
}

fn picks_of(batch: &Batch, names: &mut Interner, rows: &mut Vec<(String, Pick)>) -> Result<()> {
    let (pick_id, event_id) = (Texts::of(batch, "pick_id")?, Texts::of(batch, "event_id")?);
    let (network, station) = (Texts::of(batch, "network")?, Texts::of(batch, "station")?);
    let (location, channel) = (Texts::of(batch, "location")?, Texts::of(batch, "channel")?);
    let (phase, mode) = (Texts::of(batch, "phase")?, Texts::of(batch, "mode")?);
    let (time, weight) = (times(batch)?, floats(batch, "weight")?);
    for i in 0..batch.num_rows() {
        // A pick without station, phase or time can be compared with nothing.
        let (Some(station), Some(phase), true) = (station.get(i), phase.get(i), time.is_valid(i)) else {
            continue;
        };
        let mut intern = |text: &str| names.get(text);
        let pick = Pick {
            pick_id: pick_id.get(i).unwrap_or("").to_owned(),
            network: network.get(i).filter(|n| !n.is_empty()).map(&mut intern),
            station: intern(station),
            location: location.get(i).map(&mut intern),
            channel: channel.get(i).filter(|c| !c.is_empty()).map(&mut intern),
            phase: Phase::parse(phase),
            time: Time(time.value(i)),
            weight: if weight.is_valid(i) { weight.value(i) } else { 1.0 },
            mode: match mode.get(i) {
                Some("manual") => 0,
                Some("automatic") => 2,
                _ => 1,
            },
        };
        rows.push((event_id.get(i).unwrap_or("").to_owned(), pick));
    }
    Ok(())
}

/// A text column of any text type.
struct Texts(StringArray);

impl Texts {
    fn of(batch: &Batch, name: &str) -> Result<Texts> {
        Ok(Texts(cast(batch, name, &DataType::Utf8)?.as_string::<i32>().clone()))
    }

    fn get(&self, row: usize) -> Option<&str> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }
}

fn floats(batch: &Batch, name: &str) -> Result<Float64Array> {
    Ok(cast(batch, name, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

fn integers(batch: &Batch, name: &str) -> Result<Int64Array> {
    Ok(cast(batch, name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn times(batch: &Batch) -> Result<PrimitiveArray<TimestampNanosecondType>> {
    Ok(cast(batch, "time", &time_type())?.as_primitive::<TimestampNanosecondType>().clone())
}

/// The column as the type it must have.
fn cast(batch: &Batch, name: &str, to: &DataType) -> Result<ArrayRef> {
    let missing = || {
        Error::refused(format!("there is no column `{name}`"), "the columns of events and picks: DESCRIBE")
    };
    let column = batch.column_by_name(name).ok_or_else(missing)?;
    if column.data_type() == to {
        return Ok(Arc::clone(column));
    }
    arrow_cast::cast(column, to).map_err(|e| {
        Error::refused(format!("column `{name}`: {e}"), "the types of events and picks: DESCRIBE")
    })
}

/// The columns of PAIRS: event1, event2, separation (km), n_links.
pub fn pairs_schema() -> Schema {
    Schema::new(vec![
        Column::typed("event1", Type::Text),
        Column::typed("event2", Type::Text),
        Column::typed("separation", Type::Float).with_unit("km"),
        Column::typed("n_links", Type::Int),
    ])
}

/// The columns of the links of PAIRS: a row for each phase at each station that both events have. tt1, tt2 are
/// travel times in s, weight the mean of the two.
pub fn links_schema() -> Schema {
    Schema::new(vec![
        Column::typed("event1", Type::Text),
        Column::typed("event2", Type::Text),
        Column::typed("network", Type::Text),
        Column::typed("station", Type::Text),
        Column::typed("phase", Type::Text),
        Column::typed("tt1", Type::Float).with_unit("s"),
        Column::typed("tt2", Type::Float).with_unit("s"),
        Column::typed("weight", Type::Float),
    ])
}

/// One row per pair, in order.
pub fn pairs_batch(catalogue: &Catalogue, pairs: &Pairs) -> Result<Batch> {
    let id = |i: u32| catalogue.events[i as usize].event_id.as_str();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(pairs.pairs.iter().map(|p| id(p.first)))),
        Arc::new(StringArray::from_iter_values(pairs.pairs.iter().map(|p| id(p.second)))),
        Arc::new(Float64Array::from_iter(pairs.pairs.iter().map(|p| known(p.separation_km)))),
        Arc::new(Int64Array::from_iter_values(pairs.pairs.iter().map(|p| p.links.len() as i64))),
    ];
    batch(&pairs_schema(), columns)
}

/// One row per link, in the order of pairs.
pub fn links_batch(catalogue: &Catalogue, pairs: &Pairs) -> Result<Batch> {
    let rows: Vec<(&Event, &Event, &Pick, &Pick)> = pairs
        .pairs
        .iter()
        .flat_map(|p| {
            let (a, b) = (p.first as usize, p.second as usize);
            p.links.iter().map(move |l| {
                let (first, second) =
                    (&catalogue.picks[a][l.first as usize], &catalogue.picks[b][l.second as usize]);
                (&catalogue.events[a], &catalogue.events[b], first, second)
            })
        })
        .collect();
    let travel = |p: &Pick, e: &Event| e.time.map(|t| p.time.seconds_since(t));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.0.event_id))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.1.event_id))),
        Arc::new(StringArray::from_iter(
            rows.iter().map(|r| r.2.network.as_deref().or(r.3.network.as_deref())),
        )),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &*r.2.station))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.2.phase.written()))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|r| travel(r.2, r.0)))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|r| travel(r.3, r.1)))),
        Arc::new(Float64Array::from_iter_values(
            rows.iter().map(|r| (r.2.weight.abs() + r.3.weight.abs()) / 2.0),
        )),
    ];
    batch(&links_schema(), columns)
}

fn known(x: f64) -> Option<f64> {
    (!x.is_nan()).then_some(x)
}

/// A batch of that schema.
fn batch(schema: &Schema, columns: Vec<ArrayRef>) -> Result<Batch> {
    Batch::try_new(schema.arrow(), columns).map_err(|e| {
        Error::refused(format!("rows do not fit their columns: {e}"), "this is a bug: report it")
    })
}
