//! Tables for people: columns that line up, and on a terminal fit its width. Numbers and times are never cut; a text
//! is, and a column is left out, only on a terminal, and the footer says so.

mod timeline;

use std::io::Write;

use arrow_array::{Array, Float64Array};
use arrow_schema::DataType;
use starquake::error::{Error, Result};
use starquake::format::number::Printer;
use starquake::limits::ROWS_SHOWN;
use starquake::model::table::{Batch, Column, Schema, Type};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::style::{one_line, paint};

pub(crate) use timeline::Timeline;

/// Rows whose cells decide the widths where all rows are shown; a wider cell behind them pushes its line.
const MEASURED_ROWS: usize = 10_000;
/// A text column is not made narrower than this to fit a terminal.
const NARROWEST_TEXT: usize = 10;
/// Significant digits of a float on a terminal.
const DIGITS_SHOWN: usize = 12;
/// Blanks between columns.
const GAP: usize = 2;

/// How a table is drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    /// Columns of the terminal; `None`: not a terminal, all is shown as it is.
    pub(crate) terminal: Option<usize>,
    /// Dim NULLs and bold headers.
    pub(crate) color: bool,
    /// One line for each cell (`\x`).
    pub(crate) is_expanded: bool,
    /// All rows and columns, nothing cut, on a terminal too.
    pub(crate) shows_all: bool,
}

impl Layout {
    /// Columns that the table must fit.
    fn width(self) -> Option<usize> {
        self.terminal.filter(|_| !self.shows_all)
    }

    /// What stands for a NULL: on a terminal it is told from an empty text.
    fn null(self) -> &'static str {
        if self.terminal.is_some() { "NULL" } else { "" }
    }

    /// Rows that are drawn.
    fn rows(self) -> u64 {
        if self.terminal.is_some() && !self.shows_all { ROWS_SHOWN as u64 } else { u64::MAX }
    }
}

/// A table that is being drawn.
pub(crate) struct Table<'a> {
    out: Box<dyn Write + Send + 'a>,
    layout: Layout,
    heads: Vec<Head>,
    rows: Vec<Vec<Option<String>>>,
    /// Once decided: width of each column that is shown.
    fit: Option<Fit>,
    count: u64,
    /// Records drawn.
    drawn: u64,
}

/// What a table has not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) rows: u64,
    pub(crate) columns: usize,
    pub(crate) columns_in_all: usize,
}

struct Head {
    name: String,
    unit: Option<String>,
    is_number: bool,
    is_text: bool,
}

impl Head {
    fn new(column: &Column) -> Head {
        let kind = column.kind();
        let seconds = (kind == Type::Duration).then(|| "s".to_owned());
        let unit = column.unit.as_ref().map(|u| one_line(&u.name).into_owned()).or(seconds);
        Head {
            name: one_line(&column.name).into_owned(),
            unit: unit.filter(|u| !u.is_empty()),
            is_number: kind.is_number() || kind == Type::Duration,
            is_text: kind == Type::Text,
        }
    }

    /// `separation [arcsec]`
    fn title(&self) -> String {
        self.unit.as_ref().map_or(self.name.clone(), |unit| format!("{} [{unit}]", self.name))
    }
}

/// Which widths a table has.
#[derive(Debug, Default, PartialEq)]
struct Fit {
    /// Of the columns that are shown, from the left.
    widths: Vec<usize>,
    /// Units stand under the names.
    has_unit_line: bool,
}

/// What decides the width of a column.
#[derive(Clone, Copy, Debug)]
struct Measure {
    title: usize,
    name: usize,
    cells: usize,
    is_text: bool,
}

impl<'a> Table<'a> {
    pub(crate) fn new(schema: &Schema, layout: Layout, out: Box<dyn Write + Send + 'a>) -> Table<'a> {
        let heads = schema.columns.iter().map(Head::new).collect();
        Table { out, layout, heads, rows: Vec::new(), fit: None, count: 0, drawn: 0 }
    }

    /// Takes rows; on a terminal the first [`ROWS_SHOWN`] are drawn, the others are counted.
    pub(crate) fn write(&mut self, batch: &Batch) -> Result<()> {
        let printers = cells(batch, self.layout.width().is_some())?;
        for row in 0..batch.num_rows() {
            self.count += 1;
            if self.count > self.layout.rows() {
                self.count += (batch.num_rows() - row - 1) as u64;
                break;
            }
            self.rows.push(printers.iter().map(|cell| cell(row)).collect());
            if self.rows.len() >= MEASURED_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Draws what is left, and says what was not drawn.
    pub(crate) fn finish(mut self) -> Result<Shown> {
        self.flush()?;
        self.out.flush().map_err(write_error)?;
        let columns = self.fit.as_ref().map_or(self.heads.len(), |f| f.widths.len());
        Ok(Shown { rows: self.count.min(self.layout.rows()), columns, columns_in_all: self.heads.len() })
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if self.layout.is_expanded {
            return self.records(&rows).map_err(write_error);
        }
        if self.fit.is_none() {
            let fit = fit(&measure(&self.heads, &rows, self.layout.null()), self.layout.width());
            self.header(&fit).map_err(write_error)?;
            self.fit = Some(fit);
        }
        let fit = self.fit.take().unwrap_or_default();
        let result = rows.iter().try_for_each(|row| self.line(&fit, row)).map_err(write_error);
        self.fit = Some(fit);
        result
    }

    fn header(&mut self, fit: &Fit) -> std::io::Result<()> {
        let bold = |text: String| paint(self.layout.color, "1", &text);
        let titles = |of: &dyn Fn(&Head) -> String| {
            let cells =
                self.heads.iter().zip(&fit.widths).map(|(h, w)| pad(&cut(&of(h), *w), *w, h.is_number));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let widest = self.layout.terminal.unwrap_or(usize::MAX);
        let rule = fit.widths.iter().map(|w| "-".repeat((*w).min(widest))).collect::<Vec<_>>().join("  ");
        let (names, units) = if fit.has_unit_line {
            let unit = |h: &Head| h.unit.as_ref().map_or(String::new(), |u| format!("[{u}]"));
            (titles(&|h: &Head| h.name.clone()), Some(titles(&unit)))
        } else {
            (titles(&Head::title), None)
        };
        writeln!(self.out, "{}", bold(names))?;
        if let Some(units) = units {
            writeln!(self.out, "{units}")?;
        }
        writeln!(self.out, "{rule}")
    }

    fn line(&mut self, fit: &Fit, row: &[Option<String>]) -> std::io::Result<()> {
        let mut line = String::new();
        for (i, ((cell, head), width)) in row.iter().zip(&self.heads).zip(&fit.widths).enumerate() {
            if i > 0 {
                line.push_str("  ");
            }
            match cell {
                None => {
                    let null = pad(self.layout.null(), *width, head.is_number);
                    line.push_str(&paint(self.layout.color && self.layout.terminal.is_some(), "2", &null));
                }
                Some(text) if self.layout.width().is_some() => {
                    line.push_str(&pad(&cut(text, *width), *width, head.is_number));
                }
                Some(text) => line.push_str(&pad(text, *width, head.is_number)),
            }
        }
        writeln!(self.out, "{}", line.trim_end_matches(' '))
    }

    /// One line for each cell.
    fn records(&mut self, rows: &[Vec<Option<String>>]) -> std::io::Result<()> {
        let titles: Vec<String> = self.heads.iter().map(Head::title).collect();
        let width = titles.iter().map(|t| t.width()).max().unwrap_or(0);
        for row in rows {
            self.drawn += 1;
            let title = format!("-- row {}", self.drawn);
            writeln!(self.out, "{}", paint(self.layout.color, "2", &title))?;
            for (title, cell) in titles.iter().zip(row) {
                let null = || paint(self.layout.color, "2", self.layout.null());
                let value = cell.clone().unwrap_or_else(null);
                writeln!(self.out, "{}", format!("{}  {value}", pad(title, width, false)).trim_end())?;
            }
        }
        Ok(())
    }
}

/// Prints the cell of a row; `None` is NULL.
type Cell<'a> = Box<dyn Fn(usize) -> Option<String> + 'a>;

/// The printer of each column.
fn cells(batch: &Batch, is_terminal: bool) -> Result<Vec<Cell<'_>>> {
    let fields = batch.schema_ref().fields().iter();
    let printers = fields.zip(batch.columns()).map(|(field, array)| {
        let printer = Printer::new(array).ok_or_else(|| Error::Refused {
            message: format!("column `{}` ({}) cannot be shown", field.name(), field.data_type()),
            help: None,
        })?;
        let floats = array.as_any().downcast_ref::<Float64Array>().filter(|_| is_terminal);
        let cell = move |row: usize| {
            // An array of nothing but NULLs has no bits that say so.
            if array.is_null(row) || *array.data_type() == DataType::Null {
                return None;
            }
            let mut text = String::new();
            match floats {
                Some(floats) => text = sane(floats.value(row)),
                None => printer.push(&mut text, row),
            }
            Some(one_line(&text).into_owned())
        };
        Ok(Box::new(cell) as Cell<'_>)
    });
    printers.collect()
}

/// The shortest decimal that reads back the same, or of [`DIGITS_SHOWN`] digits where that is longer.
fn sane(value: f64) -> String {
    let shortest = format!("{value:?}");
    let digits = shortest.split('e').next().unwrap_or("").bytes().filter(u8::is_ascii_digit).count();
    if !value.is_finite() || digits <= DIGITS_SHOWN {
        return shortest;
    }
    let rounded = format!("{value:.*e}", DIGITS_SHOWN - 1);
    rounded.parse::<f64>().map_or(shortest, |rounded| format!("{rounded:?}"))
}

fn measure(heads: &[Head], rows: &[Vec<Option<String>>], null: &str) -> Vec<Measure> {
    let column = |(i, head): (usize, &Head)| Measure {
        title: head.title().width(),
        name: head.name.width().max(head.unit.as_ref().map_or(0, |u| u.width() + 2)),
        cells: rows
            .iter()
            .filter_map(|r| r.get(i))
            .map(|c| c.as_deref().unwrap_or(null).width())
            .max()
            .unwrap_or(0),
        is_text: head.is_text,
    };
    heads.iter().enumerate().map(column).collect()
}

/// Widths that fit a terminal: units under the names, and as many columns as fit with narrow texts, which then take
/// what room is left.
fn fit(columns: &[Measure], terminal: Option<usize>) -> Fit {
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    let widths: Vec<usize> = columns.iter().map(|c| c.title.max(c.cells).max(1)).collect();
    // The lines of a plan and lists of paths are better wrapped than cut.
    let Some(terminal) = terminal.filter(|t| columns.len() > 1 && total(&widths) > *t) else {
        return Fit { widths, has_unit_line: false };
    };
    let narrowest = |c: &Measure| {
        let width = c.name.max(c.cells).max(1);
        if c.is_text { width.min(NARROWEST_TEXT) } else { width }
    };
    let least: Vec<usize> = columns.iter().map(narrowest).collect();
    let count = (1..=columns.len()).rev().find(|n| total(&least[..*n]) <= terminal).unwrap_or(1);
    let columns = &columns[..count.min(columns.len())];
    let mut widths: Vec<usize> = columns.iter().map(|c| c.name.max(c.cells).max(1)).collect();
    while total(&widths) > terminal {
        let texts = columns.iter().zip(widths.iter_mut()).filter(|(c, w)| c.is_text && **w > NARROWEST_TEXT);
        match texts.max_by_key(|(_, width)| **width) {
            Some((_, width)) => *width -= 1,
            None => break,
        }
    }
    Fit { widths, has_unit_line: columns.iter().any(|c| c.title > c.name) }
}

/// At most `width` columns of the terminal; what is cut ends in `…`.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out + "…"
}

/// Filled with blanks to `width`.
fn pad(text: &str, width: usize, is_right: bool) -> String {
    let blanks = " ".repeat(width.saturating_sub(text.width()));
    if is_right { blanks + text } else { text.to_owned() + &blanks }
}

/// A Markdown table (GitHub's): all rows, nothing cut.
pub(crate) struct Markdown<'a> {
    out: Box<dyn Write + Send + 'a>,
}

impl<'a> Markdown<'a> {
    pub(crate) fn new(schema: &Schema, mut out: Box<dyn Write + Send + 'a>) -> Result<Markdown<'a>> {
        let heads: Vec<Head> = schema.columns.iter().map(Head::new).collect();
        let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
        let titles = line(heads.iter().map(|h| escape_bars(&h.title())).collect());
        let rule = line(heads.iter().map(|h| if h.is_number { "--:" } else { "---" }.to_owned()).collect());
        writeln!(out, "{titles}\n{rule}").map_err(write_error)?;
        Ok(Markdown { out })
    }

    pub(crate) fn write(&mut self, batch: &Batch) -> Result<()> {
        let printers = cells(batch, false)?;
        for row in 0..batch.num_rows() {
            let line: Vec<String> =
                printers.iter().map(|cell| cell(row).map_or(String::new(), |c| escape_bars(&c))).collect();
            writeln!(self.out, "| {} |", line.join(" | ")).map_err(write_error)?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.out.flush().map_err(write_error)
    }
}

fn escape_bars(text: &str) -> String {
    text.replace('|', "\\|")
}

fn write_error(source: std::io::Error) -> Error {
    Error::io("write", "the output", source)
}

#[cfg(test)]
mod tests;
