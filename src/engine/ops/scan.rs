//! Rows of a table in its stated order, independent of how many segments hold them.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, StringArray};
use arrow_schema::{DataType, SchemaRef};

use super::archive;
use super::correlate::refusals_schema;
use super::join::with_rows;
use super::prune::Found;
use super::sort::sort;
use crate::engine::bind::Context;
use crate::engine::budget::batch_bytes;
use crate::engine::estimate;
use crate::engine::exec::chunks;
use crate::engine::expr::{Area, Expr, arrow_error};
use crate::engine::plan::{Node, Scan, SortKey};
use crate::engine::stream::{Task, Tasks, in_order, ready, then};
use crate::engine::tables::{CATALOG, CELL, TableInfo, order_of};
use crate::error::Result;
use crate::index::rows::{Interval, intersect, prune};
use crate::index::sky::{CellIndex, directory};
use crate::limits;
use crate::model::table::{Batch, Column, Schema, Type};
use crate::store::{SegmentMap, SegmentRef, TableEntry};

/// The rows of a table that the hints of the scan do not exclude.
pub fn scan<'a>(plan: &'a Scan, node: &Node, context: &'a Context<'a>) -> Result<Tasks<'a>> {
    let schema = node.schema();
    if let (Some(analysis), Some(found)) = (context.analysis, analysed(plan, context)?) {
        analysis.note(node, found.to_string());
    }
    let whole = match plan.table.as_str() {
        "sources" => Some(context.tables.sources()?),
        "refusals" => Some(context.session.refusals.clone().unwrap_or_else(|| refusals_schema().empty())),
        "files" => Some(archive::files(context.tables.archive()?)?),
        "segments" => Some(archive::segments(context.tables.archive()?, Some(plan))?),
        _ => None,
    };
    if let Some(batch) = whole {
        let batch = of_source(batch, plan.source.as_deref())?;
        let batch = batch.project(&plan.columns).map_err(arrow_error)?;
        return Ok(ready(chunks(with_rows(&schema, batch.columns().to_vec(), batch.num_rows())?)));
    }
    let (Some(entry), Some(info)) = (context.tables.entry(&plan.table), context.tables.find(&plan.table))
    else {
        return Ok(Box::new(std::iter::empty()));
    };
    // Columns are found by the table's names; what the plan calls them does not matter here.
    let wanted = plan.columns.iter().map(|&i| info.columns[i].column.clone()).collect();
    let rows = stored(plan, Hints::new(plan, entry, &info), (entry, Schema::new(wanted)), context)?;
    let schema = Arc::new(schema);
    Ok(then(rows, move |batch| with_rows(&schema, batch.columns().to_vec(), batch.num_rows())))
}

/// What EXPLAIN ANALYZE says of the scan.
fn analysed(plan: &Scan, context: &Context<'_>) -> Result<Option<Found>> {
    if context.analysis.is_some() { estimate::stored(plan, context) } else { Ok(None) }
}

/// What lets rows be left out unseen.
#[derive(Clone)]
pub(super) struct Hints<'a> {
    /// Column and closed range of values.
    pub(super) ranges: Vec<(String, f64, f64)>,
    /// Region on the sky; only where rows lie in the order of their cells.
    pub(super) region: Option<&'a Area>,
}

impl<'a> Hints<'a> {
    /// Of a scan of that table.
    pub(super) fn new(plan: &'a Scan, entry: &TableEntry, info: &TableInfo) -> Hints<'a> {
        let name = |column: usize| info.columns[column].column.name.clone();
        let in_cells = entry.properties.get("sorted_by").is_none_or(String::is_empty);
        Hints {
            ranges: plan.ranges.iter().map(|r| (name(r.0), r.1, r.2)).collect(),
            region: plan.region.as_deref().filter(|_| in_cells),
        }
    }
}

fn of_source(batch: Batch, source: Option<&str>) -> Result<Batch> {
    let (Some(source), Some(column)) = (source, batch.column_by_name("source")) else { return Ok(batch) };
    let wanted = StringArray::new_scalar(source);
    let mask = arrow_ord::cmp::eq(column, &wanted).map_err(arrow_error)?;
    arrow_select::filter::filter_record_batch(&batch, &mask).map_err(arrow_error)
}

fn stored<'a>(
    plan: &'a Scan,
    hints: Hints<'a>,
    table: (&'a TableEntry, Schema),
    context: &'a Context<'a>,
) -> Result<Tasks<'a>> {
    let (entry, schema) = table;
    let parts: Vec<&SegmentRef> = entry
        .segments
        .iter()
        .filter(|s| s.role == "rows" && plan.source.as_ref().is_none_or(|source| s.source == *source))
        .collect();
    if let [one] = parts.as_slice() {
        let map = context.tables.snapshot.segment(one)?;
        return segment_rows(&hints, one, (map, schema));
    }
    // The columns that state the order are read beside the wanted ones, and dropped after the merge.
    let width = schema.columns.len();
    let mut wide = schema;
    for name in order_names(entry) {
        if let Some(column) = entry.schema.columns.iter().find(|c| c.name == name) {
            wide.columns.push(column.clone());
        } else if name == "source" {
            wide.columns.push(Column::typed(name, Type::Text));
        }
    }
    let mut batches = vec![];
    for part in parts {
        let map = context.tables.snapshot.segment(part)?;
        for batch in in_order(segment_rows(&hints, part, (map, wide.clone()))?, context, Ok) {
            let batch = batch?;
            context.budget.take("the parts of a table, merged", batch_bytes(&batch))?;
            batches.push(batch);
        }
    }
    let whole = arrow_select::concat::concat_batches(&wide.arrow(), &batches).map_err(arrow_error)?;
    let keys: Vec<SortKey> = (width..wide.columns.len())
        .map(|i| SortKey { expr: Expr::Column(i), descending: false, nulls_first: false })
        .collect();
    let whole = if keys.is_empty() { whole } else { sort(&whole, &keys, None)? };
    Ok(ready(chunks(whole.project(&(0..width).collect::<Vec<_>>()).map_err(arrow_error)?)))
}

fn order_names(entry: &TableEntry) -> Vec<&str> {
    match entry.kind.as_str() {
        CATALOG => vec![CELL],
        kind => order_of(kind).to_vec(),
    }
}

fn segment_rows<'a>(
    hints: &Hints<'_>,
    reference: &'a SegmentRef,
    opened: (Arc<SegmentMap>, Schema),
) -> Result<Tasks<'a>> {
    let (map, schema) = opened;
    let ranges = wanted_rows(hints, &map)?;
    let stored = map.schema();
    // `source` is the same for every row of a segment and is not stored.
    let places: Vec<Option<usize>> =
        schema.columns.iter().map(|c| stored.columns.iter().position(|s| s.name == c.name)).collect();
    let pieces = ranges.into_iter().flat_map(|range| {
        let end = range.end;
        range.step_by(limits::BATCH_ROWS).map(move |start| start..(start + limits::BATCH_ROWS).min(end))
    });
    let part = Arc::new(Part { map, reference, arrow: schema.arrow(), schema, places });
    Ok(Box::new(pieces.map(move |rows| {
        let part = part.clone();
        Box::new(move || part.batch(rows)) as Task<'a>
    })))
}

/// A segment and the wanted columns.
struct Part<'a> {
    map: Arc<SegmentMap>,
    reference: &'a SegmentRef,
    schema: Schema,
    arrow: SchemaRef,
    /// Place of each wanted column in the segment.
    places: Vec<Option<usize>>,
}

impl Part<'_> {
    fn batch(&self, rows: Range<usize>) -> Result<Batch> {
        let present: Vec<usize> = self.places.iter().flatten().copied().collect();
        let batch = self.map.batch(&present, rows.clone())?;
        let mut stored = batch.columns().iter();
        let mut arrays: Vec<ArrayRef> = vec![];
        for (place, column) in self.places.iter().zip(&self.schema.columns) {
            arrays.push(match (place, stored.as_slice()) {
                (Some(_), _) => stored.next().cloned().unwrap_or_else(|| null(&column.data_type, rows.len())),
                (None, _) if column.name == "source" => Arc::new(StringArray::from_iter_values(
                    std::iter::repeat_n(&self.reference.source, rows.len()),
                )),
                (None, _) => null(&column.data_type, rows.len()),
            });
        }
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Batch::try_new_with_options(self.arrow.clone(), arrays, &options).map_err(arrow_error)
    }
}

fn null(data_type: &DataType, rows: usize) -> ArrayRef {
    arrow_array::new_null_array(data_type, rows)
}

/// Row ranges of a segment that may hold wanted rows: by the cells of a region and by minima and maxima of zones.
fn wanted_rows(hints: &Hints<'_>, map: &SegmentMap) -> Result<Vec<Range<usize>>> {
    in_zones(hints, map, in_cells(hints, map)?)
}

/// Row ranges of a segment whose cells meet the region.
pub(super) fn in_cells(hints: &Hints<'_>, map: &SegmentMap) -> Result<Vec<Range<usize>>> {
    let rows = map.rows();
    let wanted: Vec<Range<usize>> = std::iter::once(0..rows).collect();
    let stored = map.schema();
    let place = |name: &str| stored.columns.iter().position(|c| c.name == name);
    if let (Some(Area::Sky(region)), Some(cell)) = (hints.region, place(CELL)) {
        let batch = map.batch(&[cell], 0..rows)?;
        let cells = batch.column(0).as_primitive::<UInt64Type>();
        let directory = directory(cells.values());
        let index = CellIndex { cell29: cells.values(), directory: &directory };
        let runs = index.candidates(region).into_iter().map(|run| run.rows).collect::<Vec<_>>();
        return Ok(intersect(&wanted, &merged(runs)));
    }
    Ok(wanted)
}

/// Those of the ranges whose zones meet the ranges of values.
pub(super) fn in_zones(
    hints: &Hints<'_>,
    map: &SegmentMap,
    mut wanted: Vec<Range<usize>>,
) -> Result<Vec<Range<usize>>> {
    let rows = map.rows();
    let stored = map.schema();
    let place = |name: &str| stored.columns.iter().position(|c| c.name == name);
    for (column, low, high) in &hints.ranges {
        let Some(at) = place(column) else { continue };
        if let Some(zones) = map.zones(at)? {
            wanted = intersect(&wanted, &prune(&zones, rows, Interval::Float(*low, *high)));
        }
    }
    Ok(wanted)
}

/// Ascending ranges without overlaps.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|r| r.start);
    let mut all: Vec<Range<usize>> = vec![];
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}
