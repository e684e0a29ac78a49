//! Reads the files of IMPORT CATALOG: rows of one schema, with the units and blanks that the statement names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use super::Word;
use super::catalog::{HIDDEN, How, Request};
use crate::error::{DataError, Diagnostic, Error, Result};
use crate::format::table::{self, Format, Table};
use crate::ingest::position;
use crate::lang::diagnostic::nearest;
use crate::model::table::{Batch, Schema, Type};
use crate::model::units::Unit;

/// Rows and what was said while reading them.
pub struct Rows {
    /// Columns of all batches.
    pub schema: Schema,
    /// In the order of the files.
    pub batches: Vec<Batch>,
    /// What was assumed, changed or looks odd.
    pub notices: Vec<String>,
}

/// All rows of all files.
pub fn read(files: &[PathBuf], request: &Request, how: How<'_>) -> Result<Rows> {
    let progress = how.0;
    let mut rows = Rows { schema: Schema::default(), batches: vec![], notices: vec![] };
    for file in files {
        (how.1)()?;
        progress.begin(&format!("opening {}", file.display()), 0, "rows");
        let mut table = open(file, request)?;
        progress.end();
        progress.begin(&format!("reading {}", file.display()), table.rows.unwrap_or(0), "rows");
        if rows.schema.columns.is_empty() {
            rows.schema = table.schema.clone();
            check_columns(&rows.schema, request)?;
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
        rows.notices.extend(skipped(&table));
        rows.notices.extend(table.notices());
    }
    rows.notices.sort();
    rows.notices.dedup();
    with_units(&mut rows.schema, request)?;
    restamp(&mut rows)?;
    with_nulls(&mut rows, request)?;
    Ok(rows)
}

/// The columns of the first file, without its rows.
pub fn header(files: &[PathBuf], request: &Request) -> Result<(Format, Schema)> {
    let Some(first) = files.first() else { return Err(Error::refused("there is no file", "")) };
    let table = open(first, request)?;
    let mut schema = table.schema.clone();
    check_columns(&schema, request)?;
    with_units(&mut schema, request)?;
    Ok((table.format, schema))
}

/// A file as the table it is; FORMAT must be what it is.
fn open(file: &Path, request: &Request) -> Result<Table> {
    let format = request.format.as_ref();
    let table = table::open(file)?;
    let is_text = matches!(table.format, Format::Csv | Format::Tsv);
    let is_one_column = table.schema.columns.len() == 1;
    let is_right = |wanted: &str| match wanted {
        "parquet" => table.format == Format::Parquet,
        "csv" | "tsv" if is_one_column => is_text,
        wanted => wanted == table.format.name(),
    };
    if let Some(wanted) = format.filter(|f| !is_right(&f.text)) {
        let message = format!("{} is {}, not {}", file.display(), table.format.name(), wanted.text);
        let help = "leave FORMAT out: the content of a file tells what it is";
        return Err(Diagnostic::new(message, wanted.span).help(help).into());
    }
    if is_text && is_one_column && format.is_none() && Format::of_path(file).is_none() {
        let name = table.schema.columns.first().map_or("", |c| c.name.as_str());
        let shown: String = name.chars().take(40).collect();
        return Err(Error::Data(Box::new(DataError {
            path: file.to_path_buf(),
            place: Some("line 1".to_owned()),
            offset: None,
            reason: format!("this text has one column, `{shown}`: it does not look like a table"),
            help: Some(
                "if it is one, say so with FORMAT csv; columns are separated by , ; | or tabs".to_owned(),
            ),
        })));
    }
    if let Some(taken) = table.schema.columns.iter().find(|c| HIDDEN.contains(&c.name.as_str())) {
        let reason = format!("the column name `{}` is reserved: rename it in the file", taken.name);
        return Err(Error::data(file, None, reason));
    }
    Ok(table)
}

fn skipped(table: &Table) -> Vec<String> {
    let line = |s: &table::Skipped| {
        format!("{}: column `{}` is left out: {}", table.path.display(), s.name, s.reason)
    };
    table.skipped.iter().map(line).collect()
}

/// Every column that the statement names is there.
pub fn check_columns(schema: &Schema, request: &Request) -> Result<()> {
    let words = request.key.iter().chain(request.position.iter().flat_map(|p| [&p.0, &p.1]));
    let words = words.chain(request.motion.iter().flat_map(|p| [&p.0, &p.1]));
    let words = words.chain(request.nulls.iter().map(|n| &n.0)).chain(request.units.iter().map(|u| &u.0));
    for word in words.chain(&request.sorted_by).chain(&request.epoch_column).chain(&request.time) {
        column_index(schema, word)?;
    }
    let numbers = request.motion.iter().flat_map(|p| [("MOTION", &p.0), ("MOTION", &p.1)]);
    for (option, word) in numbers.chain(request.epoch_column.iter().map(|w| ("EPOCH", w))) {
        let kind = schema.columns[column_index(schema, word)?].kind();
        if !kind.is_number() {
            let message = format!("{option} needs numbers, `{}` is {}", word.text, kind.phrase());
            return Err(Diagnostic::new(message, word.span).into());
        }
    }
    if let Some(word) = &request.time {
        let kind = schema.columns[column_index(schema, word)?].kind();
        if !kind.is_number() && kind != Type::Time {
            let message = format!("TIME needs times or numbers, `{}` is {}", word.text, kind.phrase());
            return Err(Diagnostic::new(message, word.span)
                .help("days, as MJD or JD, or times in UTC")
                .into());
        }
    }
    Ok(())
}

/// Names of columns.
pub fn names(schema: &Schema) -> Vec<&str> {
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
pub fn lossless(column: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    let there = arrow_cast::cast(column, to).ok()?;
    let back = arrow_cast::cast(&there, column.data_type()).ok()?;
    let number = |t: &DataType| t.is_numeric();
    let is_kin = column.null_count() == column.len() || number(column.data_type()) == number(to);
    let is_same = there.null_count() == column.null_count() && back.as_ref() == column.as_ref();
    (is_kin && is_same).then_some(there)
}

/// The column of a word of the statement.
pub fn column_index(schema: &Schema, word: &Word) -> Result<usize> {
    schema.index_of(&word.text).ok_or_else(|| {
        let error = Diagnostic::new(format!("the file has no column `{}`", word.text), word.span);
        let list = names(schema);
        let help = match nearest(&word.text, list.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if list.len() <= 12 => format!("its columns: {}", list.join(", ")),
            None => format!("its columns: {}, ... ({} in all)", list[..12].join(", "), list.len()),
        };
        error.help(help).into()
    })
}

fn with_units(schema: &mut Schema, request: &Request) -> Result<()> {
    for (column, unit) in &request.units {
        let index = column_index(schema, column)?;
        schema.columns[index].unit = Some(Unit::imported(unit));
    }
    Ok(())
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

/// Arrow refused to arrange rows.
pub fn in_memory(error: arrow_schema::ArrowError) -> Error {
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
