//! What an IMPORT would do, found without reading the rows: for EXPLAIN, and to bind a script before it runs.

use std::path::{Path, PathBuf};

use super::append::as_the_table;
use super::catalog::{HIDDEN, Request, position_of, source_entry};
use super::reading::header;
use super::{Standing, counted, events, files, standing};
use crate::error::{Error, Result};
use crate::format::table;
use crate::model::table::Column;
use crate::store::{Catalogue, SourceEntry, TableEntry};

/// Bytes by which a format is known.
const HEAD_BYTES: u64 = 1 << 16;

/// A table as IMPORT would leave it, and what it would do.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Sentences for EXPLAIN.
    pub lines: Vec<String>,
    /// The source as it would be registered.
    pub source: SourceEntry,
    /// Columns and properties, no rows; `None` when the table stays as it is.
    pub table: Option<TableEntry>,
}

/// What an import does with a name.
pub fn verdict(standing: Standing, name: &str) -> String {
    match standing {
        Standing::New => format!("makes `{name}`"),
        Standing::Same => format!("nothing to do: `{name}` is already in"),
        Standing::Replace => format!("replaces the rows of `{name}`"),
        Standing::Append => format!("appends to `{name}`"),
    }
}

/// Number and size of files, and where they are.
pub fn inputs(files: &[PathBuf], path: &Path) -> Result<String> {
    let mut bytes = 0_u64;
    for file in files {
        bytes = bytes.saturating_add(std::fs::metadata(file).map_err(|e| Error::io("open", file, e))?.len());
    }
    Ok(format!("{} of {} bytes: {}", counted(files.len(), "file"), bytes, path.display()))
}

/// Can the columns be known without reading much? Those of Parquet stand in its footer, those of text are known when
/// all of it is read.
pub fn is_quick(path: &Path, most_bytes: u64) -> Result<bool> {
    let files = files(path)?;
    let Some(first) = files.first() else { return Ok(true) };
    let bytes = std::fs::metadata(first).map_err(|e| Error::io("open", first, e))?.len();
    Ok(bytes <= most_bytes || table::sniff(first)? == table::Format::Parquet)
}

/// Looks at the first file of events or stations.
pub fn events(catalogue: &Catalogue, request: &events::Request, kind: &str) -> Result<Preview> {
    let (files, source) = events::prepare(request, kind, catalogue)?;
    let standing = standing(catalogue, &source, request.existing)?;
    let mut lines = vec![format!("import {kind}: {}", verdict(standing, &source.name))];
    if standing == Standing::Same {
        return Ok(Preview { lines, source, table: None });
    }
    lines.push(format!("  reads {}", inputs(&files, &request.path)?));
    let mut head = vec![];
    if let Some(file) = files.first() {
        let opened = std::fs::File::open(file).map_err(|e| Error::io("open", file, e))?;
        let opened = std::io::Read::take(opened, HEAD_BYTES);
        let mut opened = std::io::BufReader::new(opened);
        std::io::Read::read_to_end(&mut opened, &mut head).map_err(|e| Error::io("read", file, e))?;
    }
    let wanted = request.format.as_ref();
    let format = match kind {
        "events" => events::recognised(&head, &events::EVENT_FORMATS, wanted).map(|f| f.0),
        _ => events::recognised(&head, &events::STATION_FORMATS, wanted).map(|f| f.0),
    };
    lines.push(match format {
        Some(format) if files.len() == 1 => format!("  format {format}"),
        Some(format) => format!("  format of the first file {format}"),
        None => "  no known format in the first file".to_owned(),
    });
    Ok(Preview { lines, source, table: None })
}

/// Looks at the first file of a catalogue.
pub fn catalog(catalogue: &Catalogue, request: &Request) -> Result<Preview> {
    let files = files(&request.path)?;
    let source = source_entry(request, &files, catalogue)?;
    let name = source.name.clone();
    let standing = standing(catalogue, &source, request.existing)?;
    let mut lines = vec![format!("import catalog: {}", verdict(standing, &name))];
    if standing == Standing::Same {
        return Ok(Preview { lines, source, table: None });
    }
    lines.push(format!("  reads {}", inputs(&files, &request.path)?));
    let old = catalogue.table(&name).filter(|_| standing == Standing::Append);
    let request = old.map_or_else(|| Ok(request.clone()), |entry| as_the_table(request, entry))?;
    if standing == Standing::Append {
        return Ok(Preview { lines, source, table: None });
    }
    let (format, mut schema) = header(&files, &request)?;
    lines.push(format!("  format {}, {}", format.name(), counted(schema.columns.len(), "column")));
    let found = position_of(&schema, &request)?;
    let names =
        found.as_ref().map(|p| format!("{},{}", schema.columns[p.lon].name, schema.columns[p.lat].name));
    lines.push(format!("  {}", found.as_ref().map_or("no position columns", |p| p.assumed.as_str())));
    lines.push(match (request.sorted_by.as_slice(), &found) {
        ([], Some(_)) => "  rows in HEALPix order, with a k-d tree of their positions".to_owned(),
        ([], None) => "  rows in the order of the file".to_owned(),
        (by, _) => {
            format!("  rows sorted by {}", by.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(", "))
        }
    });
    if found.is_some() {
        schema.columns.extend(hidden());
    }
    let properties = request.properties(names);
    let table = TableEntry { name, kind: "catalog".to_owned(), schema, properties, segments: vec![] };
    Ok(Preview { lines, source, table: Some(table) })
}

/// The columns that a table with positions has beside those of its file.
fn hidden() -> Vec<Column> {
    use arrow_schema::DataType::{Float64, UInt32, UInt64};
    HIDDEN.iter().zip([UInt64, Float64, Float64, UInt32]).map(|(name, t)| Column::new(*name, t)).collect()
}
