//! JSON out (RFC 8259): one array of objects, or one object a line (NDJSON). NULL is `null`, INT exact, FLOAT the
//! shortest decimal that reads back the same (NaN cannot occur: what is not finite is `null`), TIME as ISO 8601
//! text with `Z`, DURATION as seconds, TEXT in UTF-8 with the escapes JSON demands.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::csv::printers;
use crate::format::number::Printer;
use crate::model::table::{Batch, Schema};

/// Bytes of text gathered before they are written.
const BUFFER_BYTES: usize = 128 << 10;

/// Writes JSON or NDJSON.
pub struct Writer<'a> {
    path: PathBuf,
    out: BufWriter<Box<dyn Write + Send + 'a>>,
    /// `"name":` of each column, escaped.
    keys: Vec<String>,
    is_array: bool,
    has_rows: bool,
}

impl<'a> Writer<'a> {
    /// Starts the array (`is_array`) or the lines.
    ///
    /// # Errors
    /// The output refuses it.
    pub fn new(
        path: &Path,
        schema: &Schema,
        is_array: bool,
        out: Box<dyn Write + Send + 'a>,
    ) -> Result<Self> {
        let keys = schema.columns.iter().map(|c| {
            let mut key = String::new();
            push_text(&mut key, &c.name);
            key + ":"
        });
        let keys = keys.collect();
        let out = BufWriter::with_capacity(BUFFER_BYTES, out);
        let mut writer = Writer { path: path.to_path_buf(), out, keys, is_array, has_rows: false };
        if is_array {
            writer.put("[")?;
        }
        Ok(writer)
    }

    /// Appends rows.
    ///
    /// # Errors
    /// The output refuses them, or a column has no type of the language.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        let printers = printers(batch)?;
        let mut line = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            line.push_str(match (self.is_array, self.has_rows) {
                (true, true) => ",\n{",
                (true, false) => "\n{",
                (false, _) => "{",
            });
            for (i, ((array, printer), key)) in
                batch.columns().iter().zip(&printers).zip(&self.keys).enumerate()
            {
                if i > 0 {
                    line.push(',');
                }
                line.push_str(key);
                if array.is_null(row) {
                    line.push_str("null");
                } else {
                    push_value(&mut line, printer, row);
                }
            }
            line.push_str(if self.is_array { "}" } else { "}\n" });
            self.has_rows = true;
            self.put(&line)?;
        }
        Ok(())
    }

    /// Ends the array and flushes.
    ///
    /// # Errors
    /// The output refuses it.
    pub fn finish(mut self) -> Result<()> {
        if self.is_array {
            self.put(if self.has_rows { "\n]\n" } else { "]\n" })?;
        }
        self.out.flush().map_err(|e| Error::io("write", &self.path, e))
    }

    fn put(&mut self, text: &str) -> Result<()> {
        self.out.write_all(text.as_bytes()).map_err(|e| Error::io("write", &self.path, e))
    }
}

fn push_value(line: &mut String, printer: &Printer<'_>, row: usize) {
    match printer {
        Printer::Text(a) => push_text(line, a.value(row)),
        Printer::Time(_) => {
            line.push('"');
            printer.push(line, row);
            line.push('"');
        }
        Printer::Float32(a) if !a.value(row).is_finite() => line.push_str("null"),
        Printer::Float64(a) if !a.value(row).is_finite() => line.push_str("null"),
        Printer::Null => line.push_str("null"),
        _ => printer.push(line, row),
    }
}

/// Appends a JSON string with its quotes.
fn push_text(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if u32::from(c) < 0x20 => line.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => line.push(c),
        }
    }
    line.push('"');
}
