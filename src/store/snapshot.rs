//! The catalogue: which segments make up the tables of a generation. One record, the same bytes in redb and in the
//! file `snapshot` \[I6\].

use std::collections::BTreeMap;
use std::path::Path;

use rkyv::util::AlignedVec;
use rkyv::with::AsVec;
use rkyv::{Archive, Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};
use crate::limits::SNAPSHOT_BYTES;
use crate::model::table::Schema;
use crate::model::time::Time;

use super::types::ColumnRecord;

/// Format version of the catalogue record: 2 since waveform parts are one segment file, so that older programs refuse
/// what they would take for an empty archive.
pub(super) const SNAPSHOT_VERSION: u32 = 2;
/// Oldest version that is read.
const SNAPSHOT_OLDEST: u32 = 1;

const MAGIC: [u8; 8] = *b"SQKSNAP\n";
const HEADER: usize = 64;
const CHECKSUM: usize = 56;

/// One segment file of a table.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct SegmentRef {
    /// File name in `segments/`.
    pub file: String,
    /// What it is in its table: `rows`, `tree`, `tombstones`; the builder's kind until changed.
    pub role: String,
    /// The source its rows come from, or empty.
    pub source: String,
    /// Rows of its batch part.
    pub rows: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Stands for every byte of the file \[I17\].
    pub checksum: u64,
    /// The builder's properties.
    #[rkyv(with = AsVec)]
    pub properties: BTreeMap<String, String>,
}

/// One table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableEntry {
    /// Its name in queries.
    pub name: String,
    /// `catalog`, `events`, `files`, ...: what the rooms above understand by it.
    pub kind: String,
    /// Its columns.
    pub schema: Schema,
    /// Anything a room above wants to keep with it.
    pub properties: BTreeMap<String, String>,
    /// Its segments, in the order of its rows.
    pub segments: Vec<SegmentRef>,
}

/// Something outside that tables are made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceEntry {
    /// Its name in queries.
    pub name: String,
    /// `waveforms`, `events`, ...
    pub kind: String,
    /// Root path, as bytes.
    pub root: Vec<u8>,
    /// The options of its IMPORT.
    pub options: BTreeMap<String, String>,
    /// When a refresh last finished.
    pub last_refresh: Option<Time>,
}

/// All that a generation is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// Counts commits; 1 is the empty database.
    pub generation: u64,
    /// No published segment has this number or a greater one \[I4\]; kept by the writer.
    pub next_segment: u64,
    /// In the order of SHOW TABLES.
    pub tables: Vec<TableEntry>,
    /// In the order of SHOW SOURCES.
    pub sources: Vec<SourceEntry>,
    /// Settings of the database.
    pub settings: BTreeMap<String, String>,
}

impl Catalogue {
    /// The table of that name: exact spelling first, then any case.
    pub fn table(&self, name: &str) -> Option<&TableEntry> {
        let exact = self.tables.iter().find(|t| t.name == name);
        exact.or_else(|| self.tables.iter().find(|t| t.name.eq_ignore_ascii_case(name)))
    }

    /// As [`Self::table`], to change it.
    pub fn table_mut(&mut self, name: &str) -> Option<&mut TableEntry> {
        let exact = self.tables.iter().position(|t| t.name == name);
        let found = exact.or_else(|| self.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name)));
        self.tables.get_mut(found?)
    }

    /// The source of that name.
    pub fn source(&self, name: &str) -> Option<&SourceEntry> {
        self.sources.iter().find(|s| s.name == name)
    }

    /// Every segment of every table.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentRef> {
        self.tables.iter().flat_map(|t| &t.segments)
    }

    /// The record: header and archive.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let record = CatalogueRecord::of(self)?;
        let too_large = || Error::Limit {
            what: "the catalogue of the database".to_owned(),
            limit: format!("{SNAPSHOT_BYTES} bytes"),
            help: "COMPACT, or split the data over several databases".to_owned(),
        };
        let payload = rkyv::to_bytes::<rkyv::rancor::Error>(&record).map_err(|_| too_large())?;
        if payload.len() as u64 + HEADER as u64 > SNAPSHOT_BYTES {
            return Err(too_large());
        }
        let mut bytes = vec![0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&SNAPSHOT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.generation.to_le_bytes());
        bytes[24..32].copy_from_slice(&(payload.len() as u64).to_le_bytes());
        let checksum = checksum(&bytes[..CHECKSUM], &payload);
        bytes[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(&payload);
        Ok(bytes)
    }

    /// Reads a record and checks it \[I7\] \[I8\]; `path` is for the error.
    pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<Catalogue> {
        let damaged = |reason: &str| Error::Damaged {
            path: path.to_path_buf(),
            block: None,
            reason: reason.to_owned(),
        };
        let header = bytes.get(..HEADER).ok_or_else(|| damaged("it is shorter than its header [I8]"))?;
        if header[..8] != MAGIC {
            return Err(damaged("it does not begin as a catalogue record [I7]"));
        }
        let found = u32::from_le_bytes(std::array::from_fn(|i| header[8 + i]));
        if !(SNAPSHOT_OLDEST..=SNAPSHOT_VERSION).contains(&found) {
            return Err(Error::Version { path: path.to_path_buf(), found, supported: SNAPSHOT_VERSION });
        }
        let field = |i: usize| u64::from_le_bytes(std::array::from_fn(|k| header[i + k]));
        let payload = &bytes[HEADER..];
        if field(24) != payload.len() as u64 {
            return Err(damaged("it has another length than its header says [I8]"));
        }
        if field(CHECKSUM) != checksum(&header[..CHECKSUM], payload) {
            return Err(damaged("it does not agree with its checksum [I8]"));
        }
        let mut aligned = AlignedVec::<16>::with_capacity(payload.len());
        aligned.extend_from_slice(payload);
        let record = rkyv::from_bytes::<CatalogueRecord, rkyv::rancor::Error>(&aligned)
            .map_err(|_| damaged("its payload is not an archive [I8]"))?;
        if record.generation != field(16) {
            return Err(damaged("header and payload name different generations [I8]"));
        }
        record.catalogue().ok_or_else(|| damaged("a column has a type that is not known"))
    }
}

fn checksum(header: &[u8], payload: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(header);
    hash.update(payload);
    hash.digest()
}

#[derive(Archive, Serialize, Deserialize)]
struct TableRecord {
    name: String,
    kind: String,
    columns: Vec<ColumnRecord>,
    #[rkyv(with = AsVec)]
    properties: BTreeMap<String, String>,
    segments: Vec<SegmentRef>,
}

#[derive(Archive, Serialize, Deserialize)]
struct SourceRecord {
    name: String,
    kind: String,
    root: Vec<u8>,
    #[rkyv(with = AsVec)]
    options: BTreeMap<String, String>,
    last_refresh_ns: Option<i64>,
}

#[derive(Archive, Serialize, Deserialize)]
struct CatalogueRecord {
    generation: u64,
    next_segment: u64,
    tables: Vec<TableRecord>,
    sources: Vec<SourceRecord>,
    #[rkyv(with = AsVec)]
    settings: BTreeMap<String, String>,
}

impl CatalogueRecord {
    fn of(catalogue: &Catalogue) -> Result<Self> {
        Ok(CatalogueRecord {
            generation: catalogue.generation,
            next_segment: catalogue.next_segment,
            tables: catalogue.tables.iter().map(table_record).collect::<Result<_>>()?,
            sources: catalogue.sources.iter().map(source_record).collect(),
            settings: catalogue.settings.clone(),
        })
    }

    fn catalogue(self) -> Option<Catalogue> {
        let tables = self.tables.into_iter().map(|t| {
            let columns = t.columns.iter().map(ColumnRecord::column).collect::<Option<_>>()?;
            Some(TableEntry {
                name: t.name,
                kind: t.kind,
                schema: Schema::new(columns),
                properties: t.properties,
                segments: t.segments,
            })
        });
        let sources = self.sources.into_iter().map(|s| SourceEntry {
            name: s.name,
            kind: s.kind,
            root: s.root,
            options: s.options,
            last_refresh: s.last_refresh_ns.map(Time),
        });
        Some(Catalogue {
            generation: self.generation,
            next_segment: self.next_segment,
            tables: tables.collect::<Option<_>>()?,
            sources: sources.collect(),
            settings: self.settings,
        })
    }
}

fn table_record(table: &TableEntry) -> Result<TableRecord> {
    let columns = table.schema.columns.iter().map(|c| {
        ColumnRecord::of(c).ok_or_else(|| Error::Refused {
            message: format!("column `{}` has type {}, which is not stored", c.name, c.data_type),
            help: None,
        })
    });
    Ok(TableRecord {
        name: table.name.clone(),
        kind: table.kind.clone(),
        columns: columns.collect::<Result<_>>()?,
        properties: table.properties.clone(),
        segments: table.segments.clone(),
    })
}

fn source_record(source: &SourceEntry) -> SourceRecord {
    SourceRecord {
        name: source.name.clone(),
        kind: source.kind.clone(),
        root: source.root.clone(),
        options: source.options.clone(),
        last_refresh_ns: source.last_refresh.map(|t| t.0),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::table::{Column, Type};

    pub(crate) fn example() -> Catalogue {
        let properties = BTreeMap::from([("order".to_owned(), "29".to_owned())]);
        let segment = SegmentRef {
            file: "000000000001-rows.seg".to_owned(),
            role: "rows".to_owned(),
            source: "gaia".to_owned(),
            rows: 3,
            bytes: 5000,
            checksum: u64::MAX,
            properties: properties.clone(),
        };
        let ra = Column::typed("ra", Type::Float).with_unit("deg");
        Catalogue {
            generation: 7,
            next_segment: 2,
            tables: vec![TableEntry {
                name: "gaia".to_owned(),
                kind: "catalog".to_owned(),
                schema: Schema::new(vec![ra, Column::typed("t", Type::Time)]),
                properties: properties.clone(),
                segments: vec![segment],
            }],
            sources: vec![SourceEntry {
                name: "gaia".to_owned(),
                kind: "catalog".to_owned(),
                root: vec![0xff, b'/'],
                options: properties.clone(),
                last_refresh: Some(Time(-1)),
            }],
            settings: properties,
        }
    }

    #[test]
    fn records_go_both_ways() {
        for catalogue in [example(), Catalogue::default()] {
            let bytes = catalogue.encode().unwrap();
            assert_eq!(Catalogue::decode(&bytes, Path::new("snapshot")).unwrap(), catalogue);
            assert_eq!(catalogue.encode().unwrap(), bytes, "the same catalogue gives the same bytes [I6]");
        }
    }

    #[test]
    fn every_flip_and_every_cut_is_an_error() {
        let bytes = example().encode().unwrap();
        for i in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[i / 8] ^= 1 << (i % 8);
            assert!(Catalogue::decode(&bad, Path::new("snapshot")).is_err(), "bit {i}");
        }
        for cut in 0..bytes.len() {
            assert!(Catalogue::decode(&bytes[..cut], Path::new("snapshot")).is_err(), "cut {cut}");
        }
        let mut newer = bytes;
        newer[8] = 3;
        let error = Catalogue::decode(&newer, Path::new("snapshot"));
        assert!(matches!(error, Err(Error::Version { found: 3, supported: 2, .. })));
    }
}
