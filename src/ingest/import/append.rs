//! APPEND of IMPORT CATALOG: new rows in the columns, units and order of the table that is there.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array};
use arrow_schema::DataType;

use super::Word;
use super::catalog::{HIDDEN, Request};
use super::reading::{Rows, in_memory, lossless};
use crate::error::{Diagnostic, Error, Result};
use crate::model::table::{Batch, Column, Schema};
use crate::model::units::Unit;
use crate::store::{TableEntry, Writer};

/// The request with the key, position, order, motion and epoch of the table; one that states others is refused.
pub fn as_the_table(request: &Request, entry: &TableEntry) -> Result<Request> {
    let own = |name: &str| entry.properties.get(name).filter(|v| !v.is_empty()).cloned();
    let words = |value: Option<String>| -> Vec<Word> {
        let value = value.unwrap_or_default();
        value.split(',').filter(|w| !w.is_empty()).map(Word::unplaced).collect()
    };
    let pair = |value: Option<String>| {
        let mut both = words(value).into_iter();
        both.next().zip(both.next())
    };
    let stated = |pair: &Option<(Word, Word)>| -> Vec<Word> {
        pair.iter().flat_map(|p| [p.0.clone(), p.1.clone()]).collect()
    };
    keeps("KEY", &request.key.iter().cloned().collect::<Vec<_>>(), &words(own("key")))?;
    keeps("POSITION", &stated(&request.position), &words(own("position")))?;
    keeps("MOTION", &stated(&request.motion), &words(own("motion")))?;
    keeps("SORTED BY", &request.sorted_by, &words(own("sorted_by")))?;
    keeps("TIME", &request.time.iter().cloned().collect::<Vec<_>>(), &words(own("time")))?;
    let epoch: Vec<Word> = request.epoch_column.iter().chain(&request.epoch_year).cloned().collect();
    keeps("EPOCH", &epoch, &words(own("epoch")))?;
    let (epoch_year, epoch_column): (Vec<Word>, Vec<Word>) =
        words(own("epoch")).into_iter().partition(|w| w.text.parse::<f64>().is_ok());
    Ok(Request {
        key: words(own("key")).pop(),
        position: pair(own("position")),
        motion: pair(own("motion")),
        sorted_by: words(own("sorted_by")),
        time: words(own("time")).pop(),
        epoch_year: epoch_year.into_iter().next(),
        epoch_column: epoch_column.into_iter().next(),
        ..request.clone()
    })
}

/// An option of APPEND that is stated says what the table has.
fn keeps(option: &str, stated: &[Word], own: &[Word]) -> Result<()> {
    let same = |(a, b): (&Word, &Word)| a.text.eq_ignore_ascii_case(&b.text);
    let Some(first) = stated.first() else { return Ok(()) };
    if stated.len() == own.len() && stated.iter().zip(own).all(same) {
        return Ok(());
    }
    let shown = own.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(", ");
    let has = if own.is_empty() { format!("no {option}") } else { format!("{option} {shown}") };
    Err(Diagnostic::new(format!("the table has {has}, and APPEND keeps it"), first.span)
        .help(format!("leave {option} out, or import all files anew with REPLACE"))
        .into())
}

/// The rows of a table that is there, then the new ones; missing columns are NULL, unknown ones an error.
pub fn appended(writer: &Writer, name: &str, rows: Rows, file: &Path) -> Result<Rows> {
    let Some(entry) = writer.catalogue().table(name) else { return Ok(rows) };
    let visible: Vec<Column> =
        entry.schema.columns.iter().filter(|c| !HIDDEN.contains(&c.name.as_str())).cloned().collect();
    let schema = Schema::new(visible);
    for column in &rows.schema.columns {
        if schema.index_of(&column.name).is_none() {
            let reason = format!("`{name}` has no column `{}`, which this file has", column.name);
            return Err(Error::data(file, None, format!("{reason}: REPLACE imports the table anew")));
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
    let mut notices = rows.notices;
    let target = schema.arrow();
    for batch in &rows.batches {
        let mut columns = vec![];
        for column in &schema.columns {
            let Some(place) = rows.schema.index_of(&column.name) else {
                columns.push(arrow_array::new_null_array(&column.data_type, batch.num_rows()));
                continue;
            };
            let values = in_unit(batch.column(place), (&rows.schema.columns[place], column), &mut notices);
            let values = values.map_err(|reason| Error::data(file, None, reason))?;
            let fitting = match values.data_type() == &column.data_type {
                true => Some(values),
                false => lossless(&values, &column.data_type),
            };
            columns.push(fitting.ok_or_else(|| {
                let there = column.kind().name();
                let reason = format!(
                    "column `{}` has values that `{name}` cannot hold ({there} there): correct the file, or import all files anew with REPLACE",
                    column.name
                );
                Error::data(file, None, reason)
            })?);
        }
        batches.push(Batch::try_new(target.clone(), columns).map_err(in_memory)?);
    }
    notices.sort();
    notices.dedup();
    Ok(Rows { schema, batches, notices })
}

/// Values of the file in the unit of the table; the error is the reason.
fn in_unit(values: &ArrayRef, of: (&Column, &Column), notices: &mut Vec<String>) -> Result<ArrayRef, String> {
    let (file, table) = of;
    let Some(own) = &table.unit else {
        if let Some(unit) = &file.unit {
            notices.push(format!("`{}` is in {unit} in the file and has no unit in the table: its numbers are taken as they are", table.name));
        }
        return Ok(values.clone());
    };
    let Some(unit) = &file.unit else {
        notices
            .push(format!("`{}` has no unit in the file: it is read in {own}, as in the table", table.name));
        return Ok(values.clone());
    };
    if unit.name == own.name {
        return Ok(values.clone());
    }
    if unit.convert(1.0, own).is_none() {
        return Err(format!("column `{}` is in {unit} here and in {own} in the table", table.name));
    }
    notices.push(format!("`{}` was converted from {unit} to {own}", table.name));
    converted(values, unit, own)
}

fn converted(values: &ArrayRef, from: &Unit, to: &Unit) -> Result<ArrayRef, String> {
    let floats = arrow_cast::cast(values, &DataType::Float64).map_err(|e| e.to_string())?;
    let floats: Float64Array =
        floats.as_primitive::<Float64Type>().unary(|v| from.convert(v, to).unwrap_or(f64::NAN));
    let floats: ArrayRef = std::sync::Arc::new(floats);
    match values.data_type() {
        // A float column of few digits is converted in double precision and rounded once.
        DataType::Float32 => arrow_cast::cast(&floats, &DataType::Float32).map_err(|e| e.to_string()),
        _ => Ok(floats),
    }
}
