//! Tables in files, whatever the format: [`open`] gives the schema and then batches of at most
//! [`BATCH_ROWS`](crate::limits::BATCH_ROWS) rows, [`Writer`] takes batches. Both stream: memory does not grow
//! with the number of rows.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::{arrow, compress, csv, json, parquet};
use crate::limits::COLUMNS;
use crate::model::table::{Batch, Column, Schema};

/// Bytes of the beginning of a file by which [`sniff`] knows it.
pub const SNIFF_BYTES: usize = 64 << 10;
/// Bytes of text in a batch at which it ends before it has all its rows.
pub const BATCH_TEXT_BYTES: usize = 32 << 20;

/// Table formats this room reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Comma-separated text (reading: any of `,` tab `;` `|`, plain or zstd).
    Csv,
    /// Tab-separated text.
    Tsv,
    /// One JSON array of objects; written only.
    Json,
    /// One JSON object a line; written only.
    Ndjson,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC, the file format; written only.
    Arrow,
    /// Arrow IPC, the stream format; written only.
    ArrowStream,
}

/// Every format by its name and the file name endings it is written to.
pub const FORMATS: &[(Format, &str, &[&str])] = &[
    (Format::Csv, "csv", &["csv"]),
    (Format::Tsv, "tsv", &["tsv", "tab"]),
    (Format::Json, "json", &["json"]),
    (Format::Ndjson, "ndjson", &["ndjson", "jsonl"]),
    (Format::Parquet, "parquet", &["parquet", "parq", "pq"]),
    (Format::Arrow, "arrow", &["arrow", "feather"]),
    (Format::ArrowStream, "arrows", &["arrows"]),
];

impl Format {
    /// As `--format` writes it.
    pub fn name(self) -> &'static str {
        FORMATS.iter().find(|f| f.0 == self).map_or("", |f| f.1)
    }

    /// The format of that name (any case).
    pub fn find(name: &str) -> Option<Format> {
        FORMATS.iter().find(|f| f.1.eq_ignore_ascii_case(name)).map(|f| f.0)
    }

    /// Is it text, which a terminal can show and which may be compressed as a whole?
    pub fn is_text(self) -> bool {
        matches!(self, Format::Csv | Format::Tsv | Format::Json | Format::Ndjson)
    }

    /// The format a file of that name is written in: `a.csv`, and `a.csv.gz`, `a.csv.zst` of a text.
    pub fn of_path(path: &Path) -> Option<Format> {
        if compress::Method::of_path(path).is_some() {
            return Format::of_path(Path::new(path.file_stem()?)).filter(|f| f.is_text());
        }
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        FORMATS.iter().find(|f| f.2.contains(&ending.as_str())).map(|f| f.0)
    }
}

/// A column of the file that the table does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A table being read: what its file says of it, and an iterator over its rows.
pub struct Table {
    /// The file.
    pub path: PathBuf,
    /// What it was recognised as.
    pub format: Format,
    /// The columns that are read, in the order of the file.
    pub schema: Schema,
    /// Rows, where the format states them or a first pass has counted them.
    pub rows: Option<u64>,
    /// Columns the language has no type for (lists, structs, maps).
    pub skipped: Vec<Skipped>,
    reader: Reader,
    is_done: bool,
}

enum Reader {
    Csv(Box<csv::Reader>),
    Parquet(Box<parquet::Reader>),
}

impl Table {
    /// What was assumed or changed, in sentences. Values are counted as they are read: ask after the last batch.
    pub fn notices(&self) -> Vec<String> {
        match &self.reader {
            Reader::Csv(r) => r.notices(),
            Reader::Parquet(r) => r.notices(),
        }
    }
}

impl Iterator for Table {
    type Item = Result<Batch>;

    /// After the last batch or an error there is nothing more.
    fn next(&mut self) -> Option<Result<Batch>> {
        if self.is_done {
            return None;
        }
        let next = match &mut self.reader {
            Reader::Csv(r) => r.next(),
            Reader::Parquet(r) => r.next(),
        };
        self.is_done = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Opens a table for reading, all columns. The format is known by the content, never by the name.
///
/// # Errors
/// The file cannot be read, is no table, or is one of a kind that is refused by name (gzip, FITS, VOTable).
pub fn open(path: &Path) -> Result<Table> {
    open_columns(path, None)
}

/// Opens a table for reading; with `columns` only those of these names (exact spelling, order of the file).
///
/// # Errors
/// As [`open`]; a name that is not there.
pub fn open_columns(path: &Path, columns: Option<&[String]>) -> Result<Table> {
    let format = sniff(path)?;
    let (schema, rows, skipped, reader) = match format {
        Format::Parquet => {
            let r = parquet::Reader::open(path, columns)?;
            (r.schema().clone(), Some(r.rows()), r.skipped().to_vec(), Reader::Parquet(Box::new(r)))
        }
        _ => {
            let r = csv::Reader::open(path, columns)?;
            (r.schema().clone(), Some(r.rows()), Vec::new(), Reader::Csv(Box::new(r)))
        }
    };
    Ok(Table { path: path.to_path_buf(), format, schema, rows, skipped, reader, is_done: false })
}

/// What a table file is, by its first [`SNIFF_BYTES`]: Parquet, or else text (CSV or TSV).
///
/// # Errors
/// Formats that are refused by name, and bytes that are no text.
pub fn sniff(path: &Path) -> Result<Format> {
    // opening a FIFO would wait for a writer
    let metadata = std::fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
    if !metadata.is_file() {
        return Err(Error::data(path, None, "not a regular file"));
    }
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    let mut head = Vec::new();
    file.take(SNIFF_BYTES as u64).read_to_end(&mut head).map_err(|e| Error::io("read", path, e))?;
    sniff_bytes(&head).map_err(|reason| Error::data(path, Some(0), reason))
}

/// Beginnings of files that are refused by name, and why.
const REFUSED: &[(&[u8], &str)] = &[
    (b"PARE", "an encrypted Parquet file: encryption is not read"),
    (b"\x1f\x8b", "gzip-compressed: unpack it first (zstd is read as it is)"),
    (b"BZh", "bzip2-compressed: unpack it first (zstd is read as it is)"),
    (b"\xfd7zXZ", "xz-compressed: unpack it first (zstd is read as it is)"),
    (b"PK\x03\x04", "a zip archive: unpack it first"),
    (b"SIMPLE  =", "a FITS file: not read here yet"),
    (b"\xff\xfe", "UTF-16 text: convert it to UTF-8"),
    (b"\xfe\xff", "UTF-16 text: convert it to UTF-8"),
    (b"ARROW1", "an Arrow file: not read here yet"),
    (b"\x89HDF", "an HDF5 file: not read here"),
    (b"SQLite format 3", "an SQLite database: not read here"),
];

/// [`sniff`] of bytes; the error is the reason.
pub fn sniff_bytes(head: &[u8]) -> Result<Format, String> {
    if head.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    if head.starts_with(csv::ZSTD_MAGIC) {
        return Ok(Format::Csv);
    }
    if let Some((_, reason)) = REFUSED.iter().find(|r| head.starts_with(r.0)) {
        return Err((*reason).to_owned());
    }
    let text = head.strip_prefix(csv::UTF8_BOM).unwrap_or(head);
    match text.iter().find(|b| !b.is_ascii_whitespace()) {
        None => Err("empty: a table has at least a header row".to_owned()),
        Some(b'<') => Err("XML (a VOTable?): not read as a table yet".to_owned()),
        Some(_) if text.contains(&0) => Err("neither Parquet nor text (it holds NUL bytes)".to_owned()),
        Some(_) => {
            let line = text.split(|&b| b == b'\n').find(|l| !l.starts_with(b"#")).unwrap_or(text);
            let tabs = line.iter().filter(|&&b| b == b'\t').count();
            let commas = line.iter().filter(|&&b| b == b',').count();
            Ok(if tabs > commas { Format::Tsv } else { Format::Csv })
        }
    }
}

/// Makes names unique: a later column of a name gets `_2`, `_3`; one without a name `c` and its number from 1.
/// Each change is a notice.
pub(super) fn unique_names(names: Vec<String>, notices: &mut Vec<String>) -> Vec<String> {
    let mut taken: std::collections::HashSet<String> = names.iter().cloned().collect();
    let mut seen = std::collections::HashSet::new();
    let mut unique = Vec::new();
    for (i, name) in names.into_iter().enumerate() {
        if !name.is_empty() && seen.insert(name.clone()) {
            unique.push(name);
            continue;
        }
        let stem = if name.is_empty() { "c" } else { &name };
        let first = if name.is_empty() { i + 1 } else { 2 };
        let separator = if name.is_empty() { "" } else { "_" };
        let new = (first..).map(|n| format!("{stem}{separator}{n}")).find(|n| !taken.contains(n));
        let new = new.unwrap_or_else(|| stem.to_owned());
        notices.push(match name.is_empty() {
            true => format!("column {} has no name: it is called `{new}`", i + 1),
            false => format!("a second column `{name}` is called `{new}`"),
        });
        taken.insert(new.clone());
        seen.insert(new.clone());
        unique.push(new);
    }
    unique
}

/// Which columns to read: the indices of `wanted` in the order of `names`, or all.
pub(super) fn project(path: &Path, names: &[String], wanted: Option<&[String]>) -> Result<Vec<usize>> {
    if names.len() > COLUMNS {
        return Err(Error::data(path, None, format!("{} columns; the limit is {COLUMNS}", names.len())));
    }
    let Some(wanted) = wanted else {
        return Ok((0..names.len()).collect());
    };
    if let Some(missing) = wanted.iter().find(|w| !names.contains(w)) {
        return Err(Error::data(path, None, format!("there is no column `{missing}`")));
    }
    Ok((0..names.len()).filter(|&i| names.get(i).is_some_and(|n| wanted.contains(n))).collect())
}

/// What a file says of one column beside its type: VOUnit, UCD, description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ColumnMeta {
    pub name: String,
    pub unit: Option<String>,
    pub ucd: Option<String>,
    pub description: Option<String>,
    pub datatype: Option<String>,
}

impl ColumnMeta {
    /// Gives the column what it lacks.
    pub(super) fn apply(&self, column: &mut Column) {
        let unit = self.unit.as_deref().filter(|u| !u.trim().is_empty());
        if let (None, Some(unit)) = (&column.unit, unit) {
            column.unit = Some(crate::model::units::Unit::imported(unit));
        }
        column.ucd = column.ucd.take().or_else(|| self.ucd.clone());
        column.description = column.description.take().or_else(|| self.description.clone());
    }
}

/// Column metadata of the YAML that astropy writes (ECSV header, `table_meta_yaml` in Parquet): the entries of
/// its `datatype` list, each `- {name: ra, unit: deg, datatype: float64, description: ..}` (also over several
/// lines) or in block style. Other YAML is passed over: what is not understood is not said of a column.
/// ECSV: Astropy APE 6.
pub(super) fn yaml_columns(text: &str) -> Vec<ColumnMeta> {
    let mut columns = Vec::new();
    let mut inside = false;
    let mut entry = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        let is_top = !line.starts_with([' ', '-']) && !trimmed.is_empty();
        if is_top {
            inside = trimmed == "datatype:";
        }
        if !inside || is_top {
            continue;
        }
        if let Some(rest) = line.strip_prefix('-') {
            columns.extend(yaml_entry(&entry));
            entry.clear();
            entry.push_str(rest.trim());
        } else {
            entry.push('\n');
            entry.push_str(trimmed);
        }
    }
    columns.extend(yaml_entry(&entry));
    columns
}

/// One entry: `key: value` pairs in braces or on lines.
fn yaml_entry(text: &str) -> Option<ColumnMeta> {
    let text = text.trim();
    let is_flow = text.starts_with('{');
    let body = text.strip_prefix('{').map_or(text, |t| t.strip_suffix('}').unwrap_or(t));
    let mut meta = ColumnMeta::default();
    for (key, value) in yaml_pairs(body, is_flow) {
        let slot = match key.as_str() {
            "name" => {
                meta.name = value;
                continue;
            }
            "unit" => &mut meta.unit,
            "description" => &mut meta.description,
            "datatype" => &mut meta.datatype,
            "ucd" => &mut meta.ucd,
            _ => continue,
        };
        *slot = Some(value);
    }
    (!meta.name.is_empty()).then_some(meta)
}

/// `key: value` pairs, separated by commas (flow style) or line ends, outside quotes and brackets.
fn yaml_pairs(text: &str, is_flow: bool) -> Vec<(String, String)> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    let mut depth = 0_u32;
    for c in text.chars() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let ends = quote.is_none() && depth == 0 && c == if is_flow { ',' } else { '\n' };
        match parts.last_mut() {
            Some(part) if !ends => part.push(if c == '\n' { ' ' } else { c }),
            _ => parts.push(String::new()),
        }
    }
    let unquote = |s: &str| {
        let s = s.trim();
        let inner = |q: char| s.strip_prefix(q).and_then(|s| s.strip_suffix(q));
        inner('\'')
            .map(|s| s.replace("''", "'"))
            .or_else(|| inner('"').map(str::to_owned))
            .unwrap_or(s.to_owned())
    };
    let pairs = parts.iter().filter_map(|p| p.split_once(':'));
    // what stands in a list of one-entry maps (`meta: !!omap`) counts as said of the column
    let item = |(key, value): (&str, &str)| match key.trim().strip_prefix("- {") {
        Some(key) => (unquote(key), unquote(value.trim().trim_end_matches('}'))),
        None => (unquote(key), unquote(value)),
    };
    pairs.map(item).collect()
}

/// A table being written. Nothing is complete before [`Writer::finish`].
pub enum Writer<'a> {
    /// CSV and TSV.
    Csv(Box<csv::Writer<'a>>),
    /// JSON and NDJSON.
    Json(Box<json::Writer<'a>>),
    /// Parquet.
    Parquet(Box<parquet::Writer<'a>>),
    /// Arrow IPC.
    Arrow(Box<arrow::Writer<'a>>),
}

impl<'a> Writer<'a> {
    /// Starts a table of that schema on `out`; `path` is named in errors.
    ///
    /// # Errors
    /// The header cannot be written.
    pub fn new(
        format: Format,
        path: &Path,
        schema: &Schema,
        out: Box<dyn Write + Send + 'a>,
    ) -> Result<Self> {
        Ok(match format {
            Format::Csv => Writer::Csv(Box::new(csv::Writer::new(path, schema, b',', out)?)),
            Format::Tsv => Writer::Csv(Box::new(csv::Writer::new(path, schema, b'\t', out)?)),
            Format::Json => Writer::Json(Box::new(json::Writer::new(path, schema, true, out)?)),
            Format::Ndjson => Writer::Json(Box::new(json::Writer::new(path, schema, false, out)?)),
            Format::Parquet => Writer::Parquet(Box::new(parquet::Writer::new(path, schema, out)?)),
            Format::Arrow => Writer::Arrow(Box::new(arrow::Writer::new(path, schema, false, out)?)),
            Format::ArrowStream => Writer::Arrow(Box::new(arrow::Writer::new(path, schema, true, out)?)),
        })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// The output refuses them, or a column has no type of the language.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        match self {
            Writer::Csv(w) => w.write(batch),
            Writer::Json(w) => w.write(batch),
            Writer::Parquet(w) => w.write(batch),
            Writer::Arrow(w) => w.write(batch),
        }
    }

    /// Writes what ends the table and flushes.
    ///
    /// # Errors
    /// The output refuses it.
    pub fn finish(self) -> Result<()> {
        match self {
            Writer::Csv(w) => w.finish(),
            Writer::Json(w) => w.finish(),
            Writer::Parquet(w) => w.finish(),
            Writer::Arrow(w) => w.finish(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests;
