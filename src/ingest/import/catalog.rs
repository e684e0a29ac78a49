//! IMPORT CATALOG: a table of any known format becomes rows in HEALPix order (or in a stated order), with hidden
//! columns for position, cell and key rank, and an archived k-d tree.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, UInt32Array, UInt64Array};
use arrow_ord::sort::{SortColumn, lexsort_to_indices};
use arrow_schema::DataType;

use super::{
    Existing, Imported, SIGNATURE, Standing, absolute, counted, files, register, signature, spelled, standing,
};
use crate::error::{Error, Result};
use crate::format::table;
use crate::index::sky::{self, Positions};
use crate::ingest::position::{self, Position, Watch};
use crate::model::table::{Batch, Column, Schema};
use crate::model::units::Unit;
use crate::progress::Progress;
use crate::store::{SegmentBuilder, SegmentRef, SourceEntry, TableEntry, Writer};

/// Names of the hidden columns: cell, right ascension, declination, key rank.
pub const HIDDEN: [&str; 4] = ["_cell", "_ra", "_dec", "_tie"];

/// What IMPORT CATALOG is told.
#[derive(Default)]
pub struct Request {
    /// File, directory or pattern.
    pub path: PathBuf,
    /// INTO.
    pub name: Option<String>,
    /// KEY.
    pub key: Option<String>,
    /// POSITION.
    pub position: Option<(String, String)>,
    /// NULLS: column and the value that stands for none.
    pub nulls: Vec<(String, f64)>,
    /// UNITS.
    pub units: Vec<(String, String)>,
    /// SORTED BY.
    pub sorted_by: Vec<String>,
    /// EPOCH, FRAME, MOTION and TIME as written: kept with the table.
    pub properties: BTreeMap<String, String>,
    /// REPLACE, APPEND.
    pub existing: Existing,
}

/// Rows and what was said while reading them.
struct Rows {
    schema: Schema,
    batches: Vec<Batch>,
    notices: Vec<String>,
}

/// Who counts, and what is asked between batches and before anything is written.
pub type How<'a> = (&'a dyn Progress, &'a dyn Fn() -> Result<()>);

/// Reads the files, orders the rows and commits them.
pub fn import_catalog(writer: &mut Writer, request: &Request, how: How<'_>) -> Result<Imported> {
    let files = files(&request.path)?;
    let mut source = source_entry(request, &files)?;
    source.name = spelled(writer.catalogue(), &source.name);
    let standing = standing(writer.catalogue(), &source, request.existing)?;
    if standing == Standing::Same {
        let message = format!("`{}` is already in: nothing to do", source.name);
        return Ok(Imported { message, ..Imported::default() });
    }
    refuse_built_in(&source.name)?;
    let mut rows = read(&files, request, how)?;
    if standing == Standing::Append {
        rows = appended(writer, &source.name, rows)?;
    }
    let (batch, schema, position) = ordered(&mut rows, request)?;
    let count = batch.num_rows();
    (how.1)()?;
    let segments = publish(writer, &batch, position.is_some() && request.sorted_by.is_empty())?;
    let mut catalogue = writer.catalogue().clone();
    let mut properties = request.properties.clone();
    properties.insert("sorted_by".to_owned(), request.sorted_by.join(","));
    properties.extend(request.key.clone().map(|k| ("key".to_owned(), k)));
    properties.extend(position.map(|p| ("position".to_owned(), p)));
    let name = source.name.clone();
    let entry = TableEntry { name: name.clone(), kind: "catalog".to_owned(), schema, properties, segments };
    catalogue.tables.retain(|t| !t.name.eq_ignore_ascii_case(&name));
    catalogue.tables.push(entry);
    register(&mut catalogue, source, standing);
    writer.commit(catalogue)?;
    let message =
        format!("imported {} from {} into `{name}`", counted(count, "row"), counted(files.len(), "file"));
    Ok(Imported { message, notices: rows.notices, problems: 0 })
}

/// Names that queries use for something else.
fn refuse_built_in(name: &str) -> Result<()> {
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

fn source_entry(request: &Request, files: &[PathBuf]) -> Result<SourceEntry> {
    let mut options = request.properties.clone();
    options.insert(SIGNATURE.to_owned(), signature(files)?);
    let mut put = |key: &str, value: String| {
        if !value.is_empty() {
            options.insert(key.to_owned(), value);
        }
    };
    put("key", request.key.clone().unwrap_or_default());
    put("position", request.position.as_ref().map(|(a, b)| format!("{a},{b}")).unwrap_or_default());
    put("nulls", request.nulls.iter().map(|(c, v)| format!("{c} {v}")).collect::<Vec<_>>().join(","));
    put("units", request.units.iter().map(|(c, u)| format!("{c} {u}")).collect::<Vec<_>>().join(","));
    put("sorted_by", request.sorted_by.join(","));
    Ok(SourceEntry {
        name: request.name.clone().unwrap_or_else(|| super::default_name(&request.path)),
        kind: "catalog".to_owned(),
        root: absolute(&request.path)?.as_os_str().as_bytes().to_vec(),
        options,
        last_refresh: None,
    })
}

fn read(files: &[PathBuf], request: &Request, how: How<'_>) -> Result<Rows> {
    let progress = how.0;
    let mut rows = Rows { schema: Schema::default(), batches: vec![], notices: vec![] };
    for file in files {
        (how.1)()?;
        progress.begin(&format!("opening {}", file.display()), 0, "rows");
        let mut table = table::open(file)?;
        progress.end();
        progress.begin(&format!("reading {}", file.display()), table.rows.unwrap_or(0), "rows");
        if let Some(taken) = table.schema.columns.iter().find(|c| HIDDEN.contains(&c.name.as_str())) {
            let reason = format!("the column name `{}` is reserved: rename it in the file", taken.name);
            return Err(Error::data(file, None, reason));
        }
        if rows.schema.columns.is_empty() {
            rows.schema = table.schema.clone();
        } else if names(&rows.schema) != names(&table.schema) {
            let reason = format!("its columns differ from those of {}", files[0].display());
            return Err(Error::data(file, None, reason));
        }
        let target = rows.schema.arrow();
        for batch in table.by_ref() {
            (how.1)()?;
            let batch = fitted(&batch?, &target, file)?;
            progress.add(batch.num_rows() as u64);
            rows.batches.push(batch);
        }
        progress.end();
        for skipped in &table.skipped {
            rows.notices.push(format!(
                "{}: column `{}` is left out: {}",
                file.display(),
                skipped.name,
                skipped.reason
            ));
        }
        rows.notices.extend(table.notices());
    }
    rows.notices.sort();
    rows.notices.dedup();
    with_units(&mut rows, request)?;
    with_nulls(&mut rows, request)?;
    Ok(rows)
}

fn names(schema: &Schema) -> Vec<&str> {
    schema.columns.iter().map(|c| c.name.as_str()).collect()
}

/// A batch in the types of the first file; another type that does not convert without loss is an error.
fn fitted(batch: &Batch, target: &Arc<arrow_schema::Schema>, file: &Path) -> Result<Batch> {
    let mut columns = vec![];
    for (column, field) in batch.columns().iter().zip(target.fields()) {
        if column.data_type() == field.data_type() {
            columns.push(column.clone());
            continue;
        }
        columns.push(lossless(column, field.data_type()).ok_or_else(|| {
            let reason = format!(
                "column `{}` is {} here and {} in the first file",
                field.name(),
                column.data_type(),
                field.data_type()
            );
            Error::data(file, None, reason)
        })?);
    }
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Batch::try_new_with_options(target.clone(), columns, &options)
        .map_err(|e| Error::data(file, None, e.to_string()))
}

/// A column in another type, if every value survives the way there and back.
fn lossless(column: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    let there = arrow_cast::cast(column, to).ok()?;
    let back = arrow_cast::cast(&there, column.data_type()).ok()?;
    let number = |t: &DataType| t.is_numeric();
    let is_kin = column.null_count() == column.len() || number(column.data_type()) == number(to);
    let is_same = there.null_count() == column.null_count() && back.as_ref() == column.as_ref();
    (is_kin && is_same).then_some(there)
}

fn column_index(schema: &Schema, name: &str) -> Result<usize> {
    schema.index_of(name).ok_or_else(|| {
        let near = schema.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        Error::refused(format!("there is no column `{name}`"), format!("columns: {near}"))
    })
}

fn with_units(rows: &mut Rows, request: &Request) -> Result<()> {
    for (column, unit) in &request.units {
        let index = column_index(&rows.schema, column)?;
        rows.schema.columns[index].unit = Some(Unit::imported(unit));
    }
    restamp(rows)
}

/// Gives every batch the schema with its metadata as it is now.
fn restamp(rows: &mut Rows) -> Result<()> {
    let schema = rows.schema.arrow();
    for batch in &mut rows.batches {
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        *batch = Batch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)
            .map_err(in_memory)?;
    }
    Ok(())
}

fn in_memory(error: arrow_schema::ArrowError) -> Error {
    Error::Refused { message: format!("the rows cannot be arranged: {error}"), help: None }
}

fn with_nulls(rows: &mut Rows, request: &Request) -> Result<()> {
    if request.nulls.is_empty() {
        return Ok(());
    }
    let mut places = vec![];
    for (column, value) in &request.nulls {
        places.push((column_index(&rows.schema, column)?, *value));
    }
    for batch in &mut rows.batches {
        *batch = position::blank(batch, &places)?;
    }
    Ok(())
}

/// The rows of a table that is there, then the new ones; missing columns are NULL, unknown ones an error.
fn appended(writer: &Writer, name: &str, rows: Rows) -> Result<Rows> {
    let Some(entry) = writer.catalogue().table(name) else { return Ok(rows) };
    let visible: Vec<Column> =
        entry.schema.columns.iter().filter(|c| !HIDDEN.contains(&c.name.as_str())).cloned().collect();
    let schema = Schema::new(visible);
    for column in &rows.schema.columns {
        if schema.index_of(&column.name).is_none() {
            let message = format!("`{name}` has no column `{}` that the appended file has", column.name);
            return Err(Error::refused(message, "REPLACE imports the table anew"));
        }
    }
    let mut batches = vec![];
    for reference in entry.segments.iter().filter(|s| s.role == "rows") {
        let map = writer.segment(reference)?;
        let stored = map.schema();
        let places: Vec<usize> = schema
            .columns
            .iter()
            .filter_map(|c| stored.columns.iter().position(|s| s.name == c.name))
            .collect();
        batches.push(map.batch(&places, 0..map.rows())?);
    }
    let target = schema.arrow();
    for batch in &rows.batches {
        let columns = schema.columns.iter().map(|c| match rows.schema.index_of(&c.name) {
            Some(i) if batch.column(i).data_type() == &c.data_type => Ok(batch.column(i).clone()),
            Some(i) => lossless(batch.column(i), &c.data_type).ok_or_else(|| {
                let message = format!(
                    "column `{}` of the appended file has values that `{name}` cannot hold ({} there)",
                    c.name, c.data_type
                );
                Error::refused(message, "correct the file, or import both files anew with REPLACE")
            }),
            None => Ok(arrow_array::new_null_array(&c.data_type, batch.num_rows())),
        });
        batches.push(Batch::try_new(target.clone(), columns.collect::<Result<_>>()?).map_err(in_memory)?);
    }
    Ok(Rows { schema, batches, notices: rows.notices })
}

/// The rows in storage order with their hidden columns, the table's schema, and the names of the position columns.
fn ordered(rows: &mut Rows, request: &Request) -> Result<(Batch, Schema, Option<String>)> {
    let clause = request.position.as_ref().map(|(a, b)| (a.as_str(), b.as_str()));
    let found = position::detect(&rows.schema, clause)?;
    let (ra_deg, dec_deg) = match &found {
        Some(position) => degrees(rows, position)?,
        None => (vec![], vec![]),
    };
    let key = position::key(&rows.schema, request.key.as_deref())?;
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

fn stated_order(batch: &Batch, schema: &Schema, names: &[String]) -> Result<Vec<u32>> {
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
