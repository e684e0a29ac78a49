//! The tables a query can name: those of the catalogue, the two faces of a waveform archive (`files`, `segments`),
//! and `sources`. Each has its columns, what they are for, and one stated order of rows.

use std::sync::{Arc, OnceLock};

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, TimestampNanosecondArray};

use super::expr::arrow_error;
use super::ops::correlate::refusals_schema;
use super::plan::{OutColumn, Role};
use crate::error::Result;
use crate::format::event;
use crate::index::archive::{ARCHIVE_TABLE, Archive};
use crate::model::table::{Batch, Column, Schema, Type};
use crate::store::{Catalogue, Snapshot, TableEntry};

/// Kind of a catalogue of the user's.
pub const CATALOG: &str = "catalog";
/// Hidden column: order-29 cell of the position.
pub const CELL: &str = "_cell";
/// Hidden column: ICRS right ascension in degrees.
pub const RA: &str = "_ra";
/// Hidden column: ICRS declination in degrees.
pub const DEC: &str = "_dec";
/// Hidden column: rank of the key, which decides between partners at equal separation.
pub const TIE: &str = "_tie";

/// So many of the first columns of `segments` tell the channel: code, network, station, location, channel.
pub const CHANNEL_COLUMNS: usize = 5;
/// Column of `segments`: starttime.
pub const SEGMENT_START: usize = 5;
/// Column of `segments`: endtime.
pub const SEGMENT_END: usize = 6;

/// One generation of the database, with what is opened once a statement.
pub struct Tables<'a> {
    /// The generation.
    pub snapshot: &'a Snapshot,
    /// Tables and sources as statements that have not run yet will have made them.
    planned: Option<&'a Catalogue>,
    archive: OnceLock<Archive>,
}

/// A table by name.
#[derive(Clone, Debug, PartialEq)]
pub struct TableInfo {
    /// As the catalogue spells it.
    pub name: String,
    /// `catalog`, or the name of a built-in table.
    pub kind: String,
    /// Columns.
    pub columns: Vec<OutColumn>,
    /// Rows, where they are known without looking.
    pub rows: Option<u64>,
}

/// Built-in tables, in the order of SHOW TABLES.
pub const BUILT_IN: &[&str] = &["sources", "files", "segments", "stations", "events", "picks", "refusals"];

impl<'a> Tables<'a> {
    /// Of a snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Tables<'a> {
        Tables { snapshot, planned: None, archive: OnceLock::new() }
    }

    /// Of a snapshot, with the tables and sources of `planned` instead of its own: to bind against, not to read.
    pub fn planned(snapshot: &'a Snapshot, planned: &'a Catalogue) -> Tables<'a> {
        Tables { planned: Some(planned), ..Tables::new(snapshot) }
    }

    /// What can be named.
    pub fn catalogue(&self) -> &Catalogue {
        self.planned.unwrap_or_else(|| self.snapshot.catalogue())
    }

    /// The waveform archive, mapped when first asked for.
    pub fn archive(&self) -> Result<&Archive> {
        if let Some(archive) = self.archive.get() {
            return Ok(archive);
        }
        let archive = Archive::open(self.snapshot.catalogue(), self.snapshot)?;
        Ok(self.archive.get_or_init(|| archive))
    }

    /// The entry of a stored table.
    pub fn entry(&self, name: &str) -> Option<&TableEntry> {
        self.catalogue().table(name).filter(|t| t.name != ARCHIVE_TABLE)
    }

    /// A table by name, any case.
    pub fn find(&self, name: &str) -> Option<TableInfo> {
        if let Some(built_in) = BUILT_IN.iter().find(|b| b.eq_ignore_ascii_case(name)) {
            return Some(self.built_in(built_in));
        }
        let entry = self.entry(name).filter(|t| t.kind == CATALOG)?;
        Some(TableInfo {
            name: entry.name.clone(),
            kind: CATALOG.to_owned(),
            columns: catalog_columns(entry),
            rows: Some(entry.segments.iter().filter(|s| s.role == "rows").map(|s| s.rows).sum()),
        })
    }

    fn built_in(&self, name: &str) -> TableInfo {
        let columns = built_in_schema(name).columns.into_iter().map(|c| role_of(name, c)).collect();
        let stored = self.entry(name).map(|e| e.segments.iter().map(|s| s.rows).sum());
        let rows = match name {
            "files" | "segments" | "refusals" => None,
            "sources" => Some(self.catalogue().sources.len() as u64),
            _ => Some(stored.unwrap_or(0)),
        };
        TableInfo { name: name.to_owned(), kind: name.to_owned(), columns, rows }
    }

    /// Every table that can be named.
    pub fn names(&self) -> Vec<String> {
        let catalogues = self.catalogue().tables.iter().filter(|t| t.kind == CATALOG);
        BUILT_IN.iter().map(|b| (*b).to_owned()).chain(catalogues.map(|t| t.name.clone())).collect()
    }

    /// The rows of `sources`.
    pub fn sources(&self) -> Result<Batch> {
        let mut text: Vec<StringBuilder> = (0..4).map(|_| StringBuilder::new()).collect();
        let mut refreshed = vec![];
        for source in &self.catalogue().sources {
            let options: Vec<String> = source.options.iter().map(|(k, v)| format!("{k} {v}")).collect();
            let values =
                [source.name.clone(), source.kind.clone(), shown_bytes(&source.root), options.join(", ")];
            text.iter_mut().zip(values).for_each(|(builder, value)| builder.append_value(value));
            refreshed.push(source.last_refresh.map(|t| t.0));
        }
        let mut columns: Vec<ArrayRef> = text.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef).collect();
        columns.push(Arc::new(TimestampNanosecondArray::from(refreshed).with_timezone("UTC")));
        Batch::try_new(built_in_schema("sources").arrow(), columns).map_err(arrow_error)
    }
}

/// Bytes of a path as text; what is no UTF-8 is shown as `\xNN`.
pub fn shown_bytes(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|b| text.push_str(&format!("\\x{b:02X}")));
    }
    text
}

/// Columns of a built-in table.
pub fn built_in_schema(name: &str) -> Schema {
    let text = |n: &str| Column::typed(n, Type::Text);
    let int = |n: &str| Column::typed(n, Type::Int);
    let float = |n: &str| Column::typed(n, Type::Float);
    let time = |n: &str| Column::typed(n, Type::Time);
    let with_source = |mut schema: Schema| {
        schema.columns.push(text("source"));
        schema
    };
    match name {
        "refusals" => refusals_schema(),
        "sources" => {
            Schema::new(vec![text("name"), text("kind"), text("root"), text("options"), time("last_refresh")])
        }
        "files" => Schema::new(vec![
            text("path"),
            text("source"),
            int("size"),
            time("mtime"),
            time("ctime"),
            int("inode"),
            text("format"),
            text("state"),
            text("reason"),
            int("bad_offset"),
            int("records"),
            int("bytes_skipped"),
        ]),
        "segments" => Schema::new(vec![
            text("code"),
            text("network"),
            text("station"),
            text("location"),
            text("channel"),
            time("starttime"),
            time("endtime"),
            float("sampling_rate").with_unit("Hz"),
            int("npts"),
            text("quality"),
            float("drift").with_unit("s"),
            text("path"),
            int("byte_offset"),
            int("bytes"),
            text("source"),
        ]),
        "stations" => with_source(event::table::stations_schema()),
        "events" => with_source(event::table::events_schema()),
        _ => with_source(event::table::picks_schema()),
    }
}

/// What a column of a built-in table is for.
fn role_of(table: &str, column: Column) -> OutColumn {
    let role = match (table, column.name.as_str()) {
        (_, "code") => Role::Code,
        ("segments" | "stations", "starttime") => Role::Start,
        ("segments" | "stations", "endtime") => Role::End,
        ("events" | "stations", "longitude") => Role::Longitude,
        ("events" | "stations", "latitude") => Role::Latitude,
        ("events", "depth_km") => Role::DepthKm,
        (_, "location") => Role::Location,
        _ => Role::Plain,
    };
    OutColumn { column, role, is_hidden: false }
}

/// What the columns of a catalogue are for: the hidden ones carry the position, `position` names where it was read.
fn catalog_columns(entry: &TableEntry) -> Vec<OutColumn> {
    let stated = entry.properties.get("position").and_then(|p| p.split_once(','));
    let in_degrees = |c: &Column| c.kind().is_number() && c.unit.as_ref().is_none_or(|u| u.name == "deg");
    let has_positions = entry.schema.columns.iter().any(|c| c.name == RA);
    let role = |column: &Column| match (column.name.as_str(), stated) {
        (CELL, _) => Role::Cell,
        (RA, _) => Role::Ra,
        (DEC, _) => Role::Dec,
        (TIE, _) => Role::Tie,
        (name, Some((ra, _))) if has_positions && name == ra && in_degrees(column) => Role::RaColumn,
        (name, Some((_, dec))) if has_positions && name == dec && in_degrees(column) => Role::DecColumn,
        _ => Role::Plain,
    };
    let is_hidden = |role: Role| matches!(role, Role::Cell | Role::Ra | Role::Dec | Role::Tie);
    let out = |c: &Column| OutColumn { role: role(c), is_hidden: is_hidden(role(c)), column: c.clone() };
    entry.schema.columns.iter().map(out).collect()
}

/// Columns that state the order of a built-in table's rows.
pub fn order_of(table: &str) -> &'static [&'static str] {
    match table {
        "files" => &["path", "source"],
        "segments" => &["code", "starttime", "path", "byte_offset", "source"],
        "events" => &["time", "event_id", "source"],
        "picks" => &["time", "pick_id", "source"],
        "stations" => &["network", "station", "location", "channel", "starttime", "source"],
        _ => &[],
    }
}
