//! IMPORT CATALOG: a table of any known format becomes rows in HEALPix order (or in a stated order), with hidden
//! columns for position, cell and key rank, and an archived k-d tree.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, UInt32Array, UInt64Array};
use arrow_ord::sort::{SortColumn, lexsort_to_indices};
use arrow_schema::DataType;

use super::append::{appended, as_the_table};
use super::reading::{Rows, column_index, in_memory, read};
use super::{
    Existing, Imported, SIGNATURE, Standing, Word, absolute, counted, files, register, signature, spelled,
    standing,
};
use crate::error::{Error, Result};
use crate::index::sky::{self, Positions};
use crate::ingest::position::{self, Position, Watch};
use crate::model::table::{Batch, Column, Schema};
use crate::progress::Progress;
use crate::store::{Catalogue, SegmentBuilder, SegmentRef, SourceEntry, TableEntry, Writer};

/// Names of the hidden columns: cell, right ascension, declination, key rank.
pub const HIDDEN: [&str; 4] = ["_cell", "_ra", "_dec", "_tie"];

/// What IMPORT CATALOG is told.
#[derive(Clone, Default)]
pub struct Request {
    /// File, directory or pattern.
    pub path: PathBuf,
    /// INTO.
    pub name: Option<String>,
    /// FORMAT: one of [`FORMATS`].
    pub format: Option<Word>,
    /// KEY.
    pub key: Option<Word>,
    /// POSITION.
    pub position: Option<(Word, Word)>,
    /// MOTION.
    pub motion: Option<(Word, Word)>,
    /// EPOCH as a year.
    pub epoch_year: Option<Word>,
    /// EPOCH as a column.
    pub epoch_column: Option<Word>,
    /// TIME: the column of the observation times, UTC.
    pub time: Option<Word>,
    /// NULLS: column and the value that stands for none.
    pub nulls: Vec<(Word, f64)>,
    /// UNITS.
    pub units: Vec<(Word, String)>,
    /// SORTED BY.
    pub sorted_by: Vec<Word>,
    /// REPLACE, APPEND.
    pub existing: Existing,
}

/// What FORMAT may name.
pub const FORMATS: &[&str] = &["csv", "tsv", "parquet"];

impl Request {
    /// The options as they are kept with the source and the table.
    fn options(&self) -> BTreeMap<String, String> {
        let list = |words: &[Word]| words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(",");
        let pair = |p: &Option<(Word, Word)>| p.as_ref().map(|(a, b)| format!("{},{}", a.text, b.text));
        let word = |w: &Option<Word>| w.as_ref().map(|w| w.text.clone());
        let nulls = self.nulls.iter().map(|(c, v)| format!("{} {v}", c.text)).collect::<Vec<_>>().join(",");
        let units = self.units.iter().map(|(c, u)| format!("{} {u}", c.text)).collect::<Vec<_>>().join(",");
        let all = [
            ("key", word(&self.key)),
            ("position", pair(&self.position)),
            ("motion", pair(&self.motion)),
            ("epoch", word(&self.epoch_year).or_else(|| word(&self.epoch_column))),
            ("time", word(&self.time)),
            ("nulls", Some(nulls)),
            ("units", Some(units)),
            ("sorted_by", Some(list(&self.sorted_by))),
        ];
        let stated = all.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v.filter(|v| !v.is_empty())?)));
        stated.collect()
    }

    /// What a table keeps of them.
    pub(super) fn properties(&self, position: Option<String>) -> BTreeMap<String, String> {
        let mut kept = self.options();
        kept.retain(|k, _| ["key", "motion", "epoch", "time"].contains(&k.as_str()));
        let sorted_by = self.sorted_by.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(",");
        kept.insert("sorted_by".to_owned(), sorted_by);
        kept.extend(position.map(|p| ("position".to_owned(), p)));
        kept
    }
}

/// Who counts, and what is asked between batches and before anything is written.
pub type How<'a> = (&'a dyn Progress, &'a dyn Fn() -> Result<()>);

/// Reads the files, orders the rows and commits them.
pub fn import_catalog(writer: &mut Writer, request: &Request, how: How<'_>) -> Result<Imported> {
    let files = files(&request.path)?;
    let source = source_entry(request, &files, writer.catalogue())?;
    let standing = standing(writer.catalogue(), &source, request.existing)?;
    if standing == Standing::Same {
        return Ok(Imported::nothing(&source.name));
    }
    let name = source.name.clone();
    let old = writer.catalogue().table(&name).filter(|_| standing == Standing::Append).cloned();
    let request = &old.as_ref().map_or_else(|| Ok(request.clone()), |entry| as_the_table(request, entry))?;
    let mut rows = read(&files, &without_table(request, old.is_some()), how)?;
    let count = rows.batches.iter().map(Batch::num_rows).sum();
    if standing == Standing::Append {
        rows = appended(writer, &name, rows, &files[0])?;
    }
    let (batch, schema, position) = ordered(&mut rows, request)?;
    (how.1)()?;
    let segments = publish(writer, &batch, position.is_some() && request.sorted_by.is_empty())?;
    let mut catalogue = writer.catalogue().clone();
    let properties = request.properties(position);
    let entry = TableEntry { name: name.clone(), kind: "catalog".to_owned(), schema, properties, segments };
    catalogue.tables.retain(|t| !t.name.eq_ignore_ascii_case(&name));
    catalogue.tables.push(entry);
    register(&mut catalogue, source, standing);
    writer.commit(catalogue)?;
    if request.motion.is_some() || request.epoch_year.is_some() || request.epoch_column.is_some() {
        rows.notices.push(
            "MOTION and EPOCH are kept with the table; AT EPOCH, which uses them, is not there yet"
                .to_owned(),
        );
    }
    let (rows_read, files) = (counted(count, "row"), counted(files.len(), "file"));
    let message = match old {
        Some(_) => format!(
            "appended {rows_read} from {files} to `{name}`, which has {} now",
            counted(batch.num_rows(), "row")
        ),
        None => format!("imported {rows_read} from {files} into `{name}`"),
    };
    Ok(Imported { message, notices: rows.notices, problems: 0 })
}

/// Of an APPEND the file need not have all columns of the table: only what acts on the file itself is checked there.
fn without_table(request: &Request, is_append: bool) -> Request {
    if !is_append {
        return request.clone();
    }
    let of_the_file = request.clone();
    Request {
        key: None,
        position: None,
        motion: None,
        time: None,
        epoch_column: None,
        sorted_by: vec![],
        ..of_the_file
    }
}

/// Names that queries use for something else.
pub(super) fn refuse_built_in(name: &str) -> Result<()> {
    let taken = [
        "sources",
        "files",
        "segments",
        "stations",
        "events",
        "picks",
        "links",
        "refusals",
        "jobs",
        "waveforms",
    ];
    if taken.iter().any(|t| t.eq_ignore_ascii_case(name)) {
        let message = format!("`{name}` is the name of a built-in table");
        return Err(Error::refused(message, "choose another name with INTO"));
    }
    Ok(())
}

/// The source as it will be registered, under the name it is spelled by.
pub(super) fn source_entry(
    request: &Request,
    files: &[PathBuf],
    catalogue: &Catalogue,
) -> Result<SourceEntry> {
    let mut options = request.options();
    options.insert(SIGNATURE.to_owned(), signature(files)?);
    let name = request.name.clone().unwrap_or_else(|| super::default_name(&request.path));
    let name = spelled(catalogue, &name);
    refuse_built_in(&name)?;
    Ok(SourceEntry {
        name,
        kind: "catalog".to_owned(),
        root: absolute(&request.path)?.as_os_str().as_bytes().to_vec(),
        options,
        last_refresh: None,
    })
}

/// The position columns; a fault of POSITION is told at its place.
pub(super) fn position_of(schema: &Schema, request: &Request) -> Result<Option<Position>> {
    let clause = request.position.as_ref();
    let names = clause.map(|(lon, lat)| (lon.text.as_str(), lat.text.as_str()));
    position::detect(schema, names).map_err(|e| at_position(e, request))
}

/// A fault of the positions is told where POSITION names them.
fn at_position(error: Error, request: &Request) -> Error {
    match &request.position {
        Some((lon, lat)) if !lon.span.is_empty() => error.at(lon.span.to(lat.span)),
        _ => error,
    }
}

/// The rows in storage order with their hidden columns, the table's schema, and the names of the position columns.
fn ordered(rows: &mut Rows, request: &Request) -> Result<(Batch, Schema, Option<String>)> {
    let found = position_of(&rows.schema, request)?;
    let (ra_deg, dec_deg) = match &found {
        Some(position) => degrees(rows, position).map_err(|e| at_position(e, request))?,
        None => (vec![], vec![]),
    };
    let key = position::key(&rows.schema, request.key.as_ref().map(|k| k.text.as_str()))?;
    let whole = whole(rows)?;
    let ranks = ranks(&whole, key)?;
    let order = if !request.sorted_by.is_empty() {
        stated_order(&whole, &rows.schema, &request.sorted_by)?
    } else if found.is_some() {
        let mut order = sky::order(&ra_deg, &dec_deg)?;
        by_key_in_cells(&mut order, &ranks);
        order.rows
    } else {
        (0..whole.num_rows() as u32).collect()
    };
    let indices = UInt32Array::from(order);
    let take = |array: &ArrayRef| arrow_select::take::take(array, &indices, None).map_err(in_memory);
    let mut columns = whole.columns().iter().map(take).collect::<Result<Vec<_>>>()?;
    let mut schema = rows.schema.clone();
    if found.is_some() {
        let blank = |values: &[f64]| -> ArrayRef {
            Arc::new(values.iter().map(|v| Some(*v).filter(|v| v.is_finite())).collect::<Float64Array>())
        };
        let cells: UInt64Array =
            ra_deg.iter().zip(&dec_deg).map(|(ra, dec)| Some(sky::cell_of(*ra, *dec))).collect();
        let hidden: [ArrayRef; 4] =
            [Arc::new(cells), blank(&ra_deg), blank(&dec_deg), Arc::new(UInt32Array::from(ranks))];
        let types = [DataType::UInt64, DataType::Float64, DataType::Float64, DataType::UInt32];
        for ((name, data_type), array) in HIDDEN.iter().zip(types).zip(&hidden) {
            schema.columns.push(Column::new(*name, data_type));
            columns.push(take(array)?);
        }
    }
    let batch = Batch::try_new(schema.arrow(), columns).map_err(in_memory)?;
    let names =
        found.map(|p| format!("{},{}", rows.schema.columns[p.lon].name, rows.schema.columns[p.lat].name));
    Ok((batch, schema, names))
}

fn degrees(rows: &mut Rows, position: &Position) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut ra_deg, mut dec_deg) = (vec![], vec![]);
    let mut watch = Watch::default();
    for batch in &rows.batches {
        let (ra, dec, bad) = position::degrees(position, batch)?;
        watch.add(batch, Some(position), bad);
        ra_deg.extend(ra.iter().map(|v| v.unwrap_or(f64::NAN)));
        dec_deg.extend(dec.iter().map(|v| v.unwrap_or(f64::NAN)));
    }
    rows.notices.push(position.assumed.clone());
    rows.notices.extend(watch.finish(&rows.schema, Some(position))?);
    Ok((ra_deg, dec_deg))
}

fn whole(rows: &mut Rows) -> Result<Batch> {
    let batches = std::mem::take(&mut rows.batches);
    if batches.iter().map(Batch::num_rows).sum::<usize>() >= u32::MAX as usize {
        return Err(Error::Limit {
            what: "this import".to_owned(),
            limit: format!("{} rows", u32::MAX),
            help: "import the files into several catalogues".to_owned(),
        });
    }
    arrow_select::concat::concat_batches(&rows.schema.arrow(), &batches).map_err(|e| Error::Limit {
        what: format!("this import ({e})"),
        limit: "2 GiB of text in one column".to_owned(),
        help: "import the files one by one with APPEND, or leave out long text columns".to_owned(),
    })
}

/// Rank of every row by key, ties by row; without a key the row number.
fn ranks(batch: &Batch, key: Option<usize>) -> Result<Vec<u32>> {
    let rows = batch.num_rows() as u32;
    let Some(key) = key else { return Ok((0..rows).collect()) };
    let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..rows));
    let columns = [
        SortColumn { values: batch.column(key).clone(), options: None },
        SortColumn { values: numbers, options: None },
    ];
    let order = lexsort_to_indices(&columns, None).map_err(in_memory)?;
    let mut ranks = vec![0; rows as usize];
    order.values().iter().enumerate().for_each(|(rank, row)| ranks[*row as usize] = rank as u32);
    Ok(ranks)
}

fn stated_order(batch: &Batch, schema: &Schema, names: &[Word]) -> Result<Vec<u32>> {
    let mut columns = vec![];
    for name in names {
        let values = batch.column(column_index(schema, name)?).clone();
        let options = Some(arrow_ord::sort::SortOptions { descending: false, nulls_first: false });
        columns.push(SortColumn { values, options });
    }
    let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..batch.num_rows() as u32));
    columns.push(SortColumn { values: numbers, options: None });
    Ok(lexsort_to_indices(&columns, None).map_err(in_memory)?.values().to_vec())
}

/// Inside one cell rows stand by key.
fn by_key_in_cells(order: &mut sky::SkyOrder, ranks: &[u32]) {
    let mut start = 0;
    while start < order.rows.len() {
        let cell = order.cell29[start];
        let length = order.cell29[start..].iter().take_while(|c| **c == cell).count();
        if length > 1 {
            order.rows[start..start + length].sort_by_key(|row| ranks[*row as usize]);
        }
        start += length;
    }
}

/// Publishes the rows and, for rows in cell order, the tree over their positions.
fn publish(writer: &Writer, batch: &Batch, has_tree: bool) -> Result<Vec<SegmentRef>> {
    let mut segments = vec![writer.publish(SegmentBuilder::new("rows").batch(batch))?];
    if !has_tree {
        return Ok(segments);
    }
    let column = |name: &str| batch.column_by_name(name);
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, UInt32Type, UInt64Type};
    if let (Some(cell), Some(ra), Some(dec), Some(tie)) =
        (column("_cell"), column("_ra"), column("_dec"), column("_tie"))
    {
        let positions = Positions::new(
            ra.as_primitive::<Float64Type>().values(),
            dec.as_primitive::<Float64Type>().values(),
            cell.as_primitive::<UInt64Type>().values(),
            tie.as_primitive::<UInt32Type>().values(),
        )?;
        let bytes = sky::tree_bytes(&positions)?;
        segments.push(writer.publish(SegmentBuilder::new("tree").blob("kdtree", bytes.as_slice().to_vec()))?);
    }
    Ok(segments)
}
