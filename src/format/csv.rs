//! CSV and TSV, in and out (RFC 4180; ECSV headers of Astropy APE 6 are understood).
//!
//! Reading takes two streaming passes: the first finds the type of every column from all of its cells, the
//! second gives batches. The rules, each in the table test below:
//! - Delimiter: the one of `,` tab `;` `|` that splits the first rows evenly. A header row is expected; when all
//!   cells of the first row are numbers there is none: the last comment line above it names the columns if it has
//!   as many cells, else they are called `c1`, `c2`, .. Both with a notice.
//! - A column is INT, FLOAT, BOOL or TIME only if every cell is (see [`Cell`]), else TEXT with the cells as they
//!   are. Digits with a leading zero are codes: the column is TEXT. Integers beyond i64 make a column of
//!   integers TEXT. There are no digit separators, decimal commas or hexadecimal numbers: such cells are TEXT.
//! - An empty cell is NULL in every type; `nan`, `null`, `na`, `n/a`, `none` are NULL where the type is not TEXT;
//!   infinities (`inf`, `1e400`) and times outside the range of TIME are NULL and counted in a notice.
//! - A row with another number of cells than the header is an error with its line, as is a record (or an open
//!   quote) of more than 1 MiB. Blank lines are passed over; lines that begin with `#` too, if the first one does.

mod records;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::csv::WriterBuilder;
use arrow_array::ArrayRef;
use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampNanosecondBuilder,
};

use self::records::{Dialect, Records, dialect};
use crate::error::{Error, Result};
use crate::format::number::{Cell, Printer, classify};
use crate::format::table::{self, BATCH_TEXT_BYTES};
use crate::limits::BATCH_ROWS;
use crate::model::table::{Batch, Column, Schema, Type};
use crate::model::time::Time;

/// The first bytes of a zstd frame.
pub const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";
/// The byte order mark of UTF-8.
pub const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";
/// Most bytes that one compressed byte may become.
pub const ZSTD_RATIO: u64 = 1000;
/// Largest window a zstd frame may ask memory for: 2^26 bytes (levels up to 21 without `--long`).
pub const ZSTD_WINDOW_LOG2_BYTES: u32 = 26;
/// Bytes the tokeniser reads at a time.
const BUFFER_BYTES: usize = 128 << 10;
/// What the cells of a column have been so far.
#[derive(Clone, Default)]
struct Seen {
    counts: [u64; 12],
}

impl Seen {
    fn add(&mut self, cell: Cell) {
        if let Some(count) = self.counts.get_mut(cell as usize) {
            *count += 1;
        }
    }

    fn of(&self, cell: Cell) -> u64 {
        self.counts.get(cell as usize).copied().unwrap_or(0)
    }

    fn any(&self, cells: &[Cell]) -> bool {
        cells.iter().any(|&c| self.of(c) > 0)
    }

    /// The type of the column, and why it is not what one would expect. What an ECSV header states decides where
    /// the cells leave it open.
    fn verdict(&self, stated: Option<&str>) -> (Type, Option<&'static str>) {
        if stated == Some("string") {
            return (Type::Text, None);
        }
        let is_integer = self.any(&[Cell::Int, Cell::BigInt, Cell::Code]);
        let is_float = self.any(&[Cell::Float, Cell::Infinite]);
        let is_bool = self.any(&[Cell::Bool]);
        let is_time = self.any(&[Cell::Time, Cell::FarTime]);
        let families = [is_integer || is_float, is_bool, is_time].iter().filter(|f| **f).count();
        if self.any(&[Cell::Text]) || families > 1 {
            return (Type::Text, None);
        }
        if self.any(&[Cell::Code]) {
            return (Type::Text, Some("TEXT because of leading zeros"));
        }
        if families == 0 {
            let is_nan = self.any(&[Cell::Nan]) && !self.any(&[Cell::NullWord]);
            let kind = match stated.unwrap_or("") {
                s if s.starts_with("int") || s.starts_with("uint") => Type::Int,
                s if s.starts_with("float") || is_nan => Type::Float,
                "bool" => Type::Bool,
                _ => Type::Text,
            };
            return (kind, None);
        }
        match (is_float, is_integer) {
            (true, _) => (Type::Float, None),
            (_, true) if self.any(&[Cell::BigInt]) => {
                (Type::Text, Some("TEXT because it holds integers beyond 2^63-1"))
            }
            (_, true) => (Type::Int, None),
            _ => (if is_bool { Type::Bool } else { Type::Time }, None),
        }
    }
}

/// Reads one CSV or TSV file.
pub struct Reader {
    records: Records,
    schema: Schema,
    /// Index in the record and type of each column that is read.
    plan: Vec<(usize, Type)>,
    rows: u64,
    given: u64,
    notices: Vec<String>,
    /// The first row is data and stands in `records.record`.
    is_row_waiting: bool,
}

impl Reader {
    /// Opens the file and runs the first pass over it.
    ///
    /// # Errors
    /// Reading fails, a row is ragged, a record is too long, a quote is never closed, there is no header.
    pub fn open(path: &Path, columns: Option<&[String]>) -> Result<Reader> {
        let dialect = dialect(path)?;
        let mut notices = Vec::new();
        let mut records = Records::open(path, &dialect)?;
        let (names, is_header) = header(&mut records, &dialect, &mut notices)?;
        let wanted = table::project(path, &names, columns)?;
        let (seen, rows) = first_pass(&mut records, &wanted, !is_header)?;
        let mut schema = Schema::default();
        let mut plan = Vec::new();
        for (&index, seen) in wanted.iter().zip(&seen) {
            let name = names.get(index).cloned().unwrap_or_default();
            let meta = dialect.meta.iter().find(|m| m.name == name);
            let (kind, why) = seen.verdict(meta.and_then(|m| m.datatype.as_deref()));
            notices.extend(why.map(|why| format!("column `{name}` is {why}")));
            notices.extend(blanked(&name, kind, seen));
            let mut column = Column::typed(name, kind);
            if let Some(meta) = meta {
                meta.apply(&mut column);
            }
            schema.columns.push(column);
            plan.push((index, kind));
        }
        let mut records = Records::open(path, &dialect)?;
        records.advance()?;
        Ok(Reader { records, schema, plan, rows, given: 0, notices, is_row_waiting: !is_header })
    }

    /// The columns that are read.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Rows, as the first pass counted them.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What was assumed, in sentences.
    pub fn notices(&self) -> Vec<String> {
        self.notices.clone()
    }

    /// The next batch.
    fn batch(&mut self) -> Result<Option<Batch>> {
        let mut builders: Vec<Builder> = self.plan.iter().map(|p| Builder::new(p.1)).collect();
        let mut rows = 0;
        let mut bytes = 0;
        while rows < BATCH_ROWS && bytes < BATCH_TEXT_BYTES {
            if !std::mem::take(&mut self.is_row_waiting) && !self.records.advance()? {
                break;
            }
            for (builder, &(index, _)) in builders.iter_mut().zip(&self.plan) {
                let cell = self.records.record.get(index).unwrap_or_default();
                if builder.push(cell).is_none() {
                    return Err(self.records.changed());
                }
            }
            rows += 1;
            bytes += self.records.record.as_slice().len();
        }
        self.given += rows as u64;
        if rows == 0 {
            return match self.given == self.rows {
                true => Ok(None),
                false => Err(self.records.changed()),
            };
        }
        let arrays: Vec<ArrayRef> = builders.into_iter().map(Builder::finish).collect();
        let batch = Batch::try_new(self.schema.arrow(), arrays);
        batch.map(Some).map_err(|e| Error::data(&self.records.path, None, e.to_string()))
    }
}

impl Iterator for Reader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        self.batch().transpose()
    }
}

/// Values of the column that have no place in its type, as a notice.
fn blanked(name: &str, kind: Type, seen: &Seen) -> Option<String> {
    let (count, what) = match kind {
        Type::Float => (seen.of(Cell::Infinite), "infinite values"),
        Type::Time => (seen.of(Cell::FarTime), "times outside 1677-09-21 .. 2262-04-11"),
        _ => return None,
    };
    (count > 0).then(|| format!("column `{name}`: {count} {what} are NULL"))
}

/// Names of the columns, and whether the first row, now in `records.record`, was a header.
fn header(
    records: &mut Records,
    dialect: &Dialect,
    notices: &mut Vec<String>,
) -> Result<(Vec<String>, bool)> {
    if !records.advance()? {
        return Err(Error::data(&records.path, None, "no header row"));
    }
    let is_number = |cell: &[u8]| {
        matches!(classify(cell), Cell::Int | Cell::Float | Cell::Code | Cell::BigInt | Cell::Infinite)
    };
    if records.record.iter().all(is_number) {
        let names: Vec<String> =
            dialect.comment.split(char::from(dialect.delimiter)).map(|n| n.trim().to_owned()).collect();
        if names.len() == records.record.len() && !dialect.comment.is_empty() {
            notices.push("the last comment line before the rows names the columns".to_owned());
            return Ok((table::unique_names(names, notices), false));
        }
        notices.push(
            "the first row is all numbers: there is no header, columns are called c1, c2, ..".to_owned(),
        );
        return Ok(((1..=records.record.len()).map(|i| format!("c{i}")).collect(), false));
    }
    let names = records.record.iter().map(|c| text(c.trim_ascii())).collect();
    Ok((table::unique_names(names, notices), true))
}

/// Reads all records and says of each wanted column what it holds.
fn first_pass(records: &mut Records, wanted: &[usize], is_row_waiting: bool) -> Result<(Vec<Seen>, u64)> {
    let mut seen = vec![Seen::default(); wanted.len()];
    let mut rows = 0_u64;
    let mut has_row = is_row_waiting;
    loop {
        if has_row {
            rows += 1;
            for (seen, &index) in seen.iter_mut().zip(wanted) {
                // once TEXT, always TEXT
                if seen.of(Cell::Text) == 0 {
                    seen.add(classify(records.record.get(index).unwrap_or_default()));
                }
            }
        }
        has_row = records.advance()?;
        if !has_row {
            return Ok((seen, rows));
        }
    }
}

/// Bytes as text; what is not UTF-8 is shown as `\xNN`.
fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02X}"));
        }
    }
    out
}

/// A column of a batch being made.
enum Builder {
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Time(TimestampNanosecondBuilder),
    Text(StringBuilder),
}

impl Builder {
    fn new(kind: Type) -> Builder {
        match kind {
            Type::Int => Builder::Int(Int64Builder::new()),
            Type::Float => Builder::Float(Float64Builder::new()),
            Type::Bool => Builder::Bool(BooleanBuilder::new()),
            Type::Time => Builder::Time(TimestampNanosecondBuilder::new().with_timezone("UTC")),
            _ => Builder::Text(StringBuilder::new()),
        }
    }

    /// Appends a cell; `None` when it cannot be what the first pass found.
    fn push(&mut self, cell: &[u8]) -> Option<()> {
        if let Builder::Text(b) = self {
            match std::str::from_utf8(cell) {
                Ok("") => b.append_null(),
                Ok(value) => b.append_value(value),
                Err(_) => b.append_value(text(cell)),
            }
            return Some(());
        }
        let value = std::str::from_utf8(cell.trim_ascii()).ok()?;
        let is_null = |value: &str| {
            matches!(classify(value.as_bytes()), Cell::Empty | Cell::NullWord | Cell::Nan | Cell::FarTime)
        };
        match self {
            Builder::Int(b) => match value.parse::<i64>() {
                Ok(v) => b.append_value(v),
                Err(_) if is_null(value) => b.append_null(),
                Err(_) => return None,
            },
            Builder::Float(b) => match value.parse::<f64>() {
                Ok(v) => b.append_option(v.is_finite().then_some(v)),
                Err(_) if is_null(value) => b.append_null(),
                Err(_) => return None,
            },
            Builder::Bool(b) => match value {
                v if v.eq_ignore_ascii_case("true") => b.append_value(true),
                v if v.eq_ignore_ascii_case("false") => b.append_value(false),
                v if is_null(v) => b.append_null(),
                _ => return None,
            },
            Builder::Time(b) => match Time::parse(value) {
                Ok(v) => b.append_value(v.0),
                Err(_) if is_null(value) => b.append_null(),
                Err(_) => return None,
            },
            Builder::Text(_) => {}
        }
        Some(())
    }

    fn finish(self) -> ArrayRef {
        match self {
            Builder::Int(mut b) => Arc::new(b.finish()),
            Builder::Float(mut b) => Arc::new(b.finish()),
            Builder::Bool(mut b) => Arc::new(b.finish()),
            Builder::Time(mut b) => Arc::new(b.finish()),
            Builder::Text(mut b) => Arc::new(b.finish()),
        }
    }
}

/// Writes CSV or TSV: a header row, lines ended by LF, quotes only where RFC 4180 needs them, NULL as an empty
/// cell, TIME as ISO 8601 with `Z`, DURATION as seconds, floats as the shortest decimal that reads back the same.
pub struct Writer<'a> {
    path: PathBuf,
    csv: ::csv::Writer<Box<dyn Write + Send + 'a>>,
}

impl<'a> Writer<'a> {
    /// Writes the header.
    ///
    /// # Errors
    /// The output refuses it.
    pub fn new(path: &Path, schema: &Schema, delimiter: u8, out: Box<dyn Write + Send + 'a>) -> Result<Self> {
        let csv = WriterBuilder::new().delimiter(delimiter).buffer_capacity(BUFFER_BYTES).from_writer(out);
        let mut writer = Writer { path: path.to_path_buf(), csv };
        let result = writer.csv.write_record(schema.columns.iter().map(|c| c.name.as_bytes()));
        result.map_err(|e| writer.error(e))?;
        Ok(writer)
    }

    /// Appends rows.
    ///
    /// # Errors
    /// The output refuses them, or a column has no type of the language.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        let printers = printers(batch)?;
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            for (array, printer) in batch.columns().iter().zip(&printers) {
                cell.clear();
                if !array.is_null(row) {
                    printer.push(&mut cell, row);
                }
                self.csv.write_field(&cell).map_err(|e| self.error(e))?;
            }
            self.csv.write_record(None::<&[u8]>).map_err(|e| self.error(e))?;
        }
        Ok(())
    }

    /// Flushes.
    ///
    /// # Errors
    /// The output refuses it.
    pub fn finish(mut self) -> Result<()> {
        self.csv.flush().map_err(|e| Error::io("write", &self.path, e))
    }

    fn error(&self, error: ::csv::Error) -> Error {
        match error.into_kind() {
            ::csv::ErrorKind::Io(e) => Error::io("write", &self.path, e),
            other => Error::Refused { message: format!("cannot write CSV: {other:?}"), help: None },
        }
    }
}

/// A printer for each column of a batch.
///
/// # Errors
/// A column has no type of the language.
pub(super) fn printers(batch: &Batch) -> Result<Vec<Printer<'_>>> {
    let fields = batch.schema_ref().fields().iter();
    let printers = fields.zip(batch.columns()).map(|(field, array)| {
        Printer::new(array).ok_or_else(|| Error::Refused {
            message: format!("column `{}` ({}) cannot be written as text", field.name(), field.data_type()),
            help: None,
        })
    });
    printers.collect()
}
