//! COVERAGE on a terminal: one line a channel, one cell a bin (or a few bins) with a block of eighths, and the
//! fraction at the end.

use std::io::Write;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampNanosecondType};
use starquake::error::Result;
use starquake::model::table::{Batch, Schema};
use starquake::model::time::Time;
use unicode_width::UnicodeWidthStr;

use super::{Layout, Shown, Table, pad, write_error};
use crate::style::{one_line, paint};

/// Columns of COVERAGE.
const COLUMNS: [&str; 5] = ["code", "bin", "fraction", "overlap", "n_gaps"];
/// Bins that are kept; a longer answer is a table.
const BINS: usize = 4_000_000;
/// Lines that are drawn.
const LINES: usize = 200;
/// Cells that a line has at least, however narrow the terminal.
const LEAST_CELLS: usize = 10;
/// Columns of ` 100.00 %`.
const PERCENT: usize = 10;
/// From hardly anything to nearly all.
const EIGHTHS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];

/// A timeline while its rows come.
pub(crate) struct Timeline<'a> {
    out: Box<dyn Write + Send + 'a>,
    layout: Layout,
    schema: Schema,
    /// The rows as they came, for a table where they make no timeline.
    batches: Vec<Batch>,
    lines: Vec<Line>,
    bins: usize,
    /// Rows come by channel and time.
    is_ordered: bool,
}

/// A channel.
struct Line {
    code: String,
    /// Start of each bin in ns, and its fraction.
    bins: Vec<(i64, f64)>,
}

impl<'a> Timeline<'a> {
    /// Are these the columns of COVERAGE, and a terminal to draw on?
    pub(crate) fn suits(schema: &Schema, layout: Layout) -> bool {
        let names = schema.columns.iter().map(|c| c.name.as_str());
        layout.width().is_some() && !layout.is_expanded && names.eq(COLUMNS)
    }

    pub(crate) fn new(schema: &Schema, layout: Layout, out: Box<dyn Write + Send + 'a>) -> Timeline<'a> {
        let schema = schema.clone();
        Timeline { out, layout, schema, batches: vec![], lines: vec![], bins: 0, is_ordered: true }
    }

    pub(crate) fn write(&mut self, batch: &Batch) -> Result<()> {
        self.bins += batch.num_rows();
        self.batches.push(batch.clone());
        let column = |i: usize| batch.columns().get(i);
        let (Some(codes), Some(starts), Some(fractions)) = (
            column(0).and_then(|c| c.as_string_opt::<i32>()),
            column(1).and_then(|c| c.as_primitive_opt::<TimestampNanosecondType>()),
            column(2).and_then(|c| c.as_primitive_opt::<Float64Type>()),
        ) else {
            self.is_ordered = false;
            return Ok(());
        };
        if self.bins > BINS {
            self.is_ordered = false;
            self.lines.clear();
            return Ok(());
        }
        for row in 0..batch.num_rows() {
            let (code, start) = (codes.value(row), starts.value(row));
            let is_null = codes.is_null(row) || starts.is_null(row) || fractions.is_null(row);
            match self.lines.last_mut().filter(|l| l.code == code) {
                Some(line) => {
                    self.is_ordered &= !is_null && line.bins.last().is_some_and(|b| b.0 < start);
                    line.bins.push((start, fractions.value(row)));
                }
                None => {
                    self.is_ordered &= !is_null && self.lines.last().is_none_or(|l| l.code.as_str() < code);
                    self.lines
                        .push(Line { code: code.to_owned(), bins: vec![(start, fractions.value(row))] });
                }
            }
        }
        Ok(())
    }

    /// Draws it; rows that are in no order of time, or too many, as a table.
    pub(crate) fn finish(mut self) -> Result<Shown> {
        if !self.is_ordered || self.lines.is_empty() {
            let mut table = Table::new(&self.schema, self.layout, self.out);
            self.batches.iter().try_for_each(|batch| table.write(batch))?;
            return table.finish();
        }
        let width = self.layout.width().unwrap_or(80);
        let text = drawn(&self.lines, width, self.layout.color);
        self.out.write_all(text.as_bytes()).map_err(write_error)?;
        self.out.flush().map_err(write_error)?;
        let columns = self.schema.columns.len();
        let shown: usize = self.lines.iter().take(LINES).map(|l| l.bins.len()).sum();
        Ok(Shown { rows: shown as u64, columns, columns_in_all: columns })
    }
}

/// The lines for a terminal of that width.
fn drawn(lines: &[Line], width: usize, color: bool) -> String {
    let names: Vec<String> = lines.iter().take(LINES).map(|l| one_line(&l.code).into_owned()).collect();
    let name_width = names.iter().map(|n| n.width()).max().unwrap_or(0).max(4);
    let room = width.saturating_sub(name_width + 2 + PERCENT).max(LEAST_CELLS);
    let axis = Axis::of(lines, room);
    let mut out = String::new();
    let blank = " ".repeat(name_width);
    if let Some(axis) = &axis {
        out.push_str(&format!("{blank}  {}\n", paint(color, "2", &axis.title())));
    }
    for (name, line) in names.iter().zip(lines) {
        let cells = match &axis {
            Some(axis) => axis.cells(line),
            None => bar(line.bins.first().map_or(0.0, |b| b.1), room),
        };
        let mean = line.bins.iter().map(|b| b.1).sum::<f64>() / line.bins.len().max(1) as f64;
        out.push_str(&format!("{}  {cells} {:>9}\n", pad(name, name_width, false), percent(mean)));
    }
    if lines.len() > LINES {
        out.push_str(&format!("... {} more channels\n", lines.len() - LINES));
    }
    out
}

/// What is not all is not shown as all, nor as nothing.
fn percent(fraction: f64) -> String {
    let shown = (fraction * 1e4).round() / 1e2;
    let shown = if fraction < 1.0 - 1e-9 { shown.min(99.99) } else { shown };
    format!("{:.2} %", if fraction > 0.0 { shown.max(0.01) } else { shown })
}

/// One bin a channel: a bar of that length.
fn bar(fraction: f64, room: usize) -> String {
    const PARTS: [char; 8] = ['░', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (fraction.clamp(0.0, 1.0) * (8 * room) as f64).floor() as usize;
    let (full, part) = (eighths / 8, eighths % 8);
    let mut text = "█".repeat(full);
    if full < room {
        text.push(PARTS.get(part).copied().unwrap_or(' '));
        text.push_str(&"░".repeat(room - full - 1));
    }
    text
}

/// Bins on cells.
struct Axis {
    first_ns: i64,
    width_ns: i64,
    /// Bins of a cell.
    per_cell: i64,
    cells: usize,
}

impl Axis {
    /// `None` where every channel has one bin.
    fn of(lines: &[Line], room: usize) -> Option<Axis> {
        let steps = lines.iter().flat_map(|l| l.bins.windows(2)).map(|w| w[1].0.saturating_sub(w[0].0));
        let width_ns = steps.min().filter(|w| *w > 0)?;
        let first_ns = lines.iter().filter_map(|l| l.bins.first()).map(|b| b.0).min()?;
        let last_ns = lines.iter().filter_map(|l| l.bins.last()).map(|b| b.0).max()?;
        let bins = last_ns.saturating_sub(first_ns) / width_ns + 1;
        let per_cell = (bins as u64).div_ceil(room as u64) as i64;
        let cells = usize::try_from((bins as u64).div_ceil(per_cell as u64)).ok()?;
        Some(Axis { first_ns, width_ns, per_cell, cells })
    }

    /// `2024-02-28 .. 2024-03-05, one cell = 3 bins of 1 d`
    fn title(&self) -> String {
        let end = self.width_ns.saturating_mul(self.per_cell).saturating_mul(self.cells as i64);
        let (from, to) = (Time(self.first_ns), Time(self.first_ns.saturating_add(end)));
        let short = |t: Time| t.to_string().trim_end_matches('Z').trim_end_matches("T00:00:00").to_owned();
        let cell = length(self.width_ns.saturating_mul(self.per_cell));
        format!("{} .. {}, a cell is {cell}", short(from), short(to))
    }

    fn cells(&self, line: &Line) -> String {
        let mut sums = vec![(0.0, 0_u32); self.cells];
        for (start, fraction) in &line.bins {
            let cell = start.saturating_sub(self.first_ns) / self.width_ns / self.per_cell;
            if let Some(sum) = usize::try_from(cell).ok().and_then(|c| sums.get_mut(c)) {
                *sum = (sum.0 + fraction, sum.1 + 1);
            }
        }
        let cell = |(sum, count): &(f64, u32)| {
            if *count == 0 { ' ' } else { block(sum / f64::from(*count)) }
        };
        sums.iter().map(cell).collect()
    }
}

/// Nothing is a dot, all is the full block, and nothing between looks like either.
fn block(fraction: f64) -> char {
    if fraction <= 0.0 {
        return '·';
    }
    if fraction >= 1.0 - 1e-9 {
        return '█';
    }
    let eighth = (fraction * 8.0).floor().clamp(1.0, 7.0) as usize;
    EIGHTHS.get(eighth - 1).copied().unwrap_or('▁')
}

/// `6 h`, `1 d`, `90 s`
fn length(ns: i64) -> String {
    const UNITS: [(i64, &str); 4] =
        [(86_400_000_000_000, "d"), (3_600_000_000_000, "h"), (60_000_000_000, "min"), (1_000_000_000, "s")];
    match UNITS.iter().find(|(unit, _)| ns % unit == 0) {
        Some((unit, name)) => format!("{} {name}", ns / unit),
        None => format!("{} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(code: &str, bins: &[(i64, f64)]) -> Line {
        let day_ns = 86_400_000_000_000;
        Line { code: code.to_owned(), bins: bins.iter().map(|(day, f)| (day * day_ns, *f)).collect() }
    }

    #[test]
    fn a_cell_is_a_bin_or_several() {
        let lines = [
            line("IU.ANMO.00.BHZ", &[(0, 1.0), (1, 0.0), (2, 0.999), (3, 0.5), (4, 0.01)]),
            line("IU.TUC", &[(1, 1.0), (2, 1.0)]),
        ];
        let want = "                1970-01-01 .. 1970-01-06, a cell is 1 d\n\
                    IU.ANMO.00.BHZ  █·▇▄▁   50.18 %\n\
                    IU.TUC           ██    100.00 %\n";
        assert_eq!(drawn(&lines, 80, false), want);
        let many: Vec<(i64, f64)> = (0..100).map(|day| (day, f64::from(u8::from(day < 50)))).collect();
        let want = "      1970-01-01 .. 1970-04-11, a cell is 10 d\nA.B.  █████·····   50.00 %\n";
        assert_eq!(drawn(&[line("A.B.", &many)], 20, false), want);
    }

    #[test]
    fn one_bin_is_a_bar() {
        let lines =
            [line("N.S..Z", &[(0, 0.5)]), line("N.T..Z", &[(0, 1.0)]), line("N.U..Z", &[(0, 0.99999)])];
        let want =
            "N.S..Z  █████░░░░░   50.00 %\nN.T..Z  ██████████  100.00 %\nN.U..Z  █████████▉   99.99 %\n";
        assert_eq!(drawn(&lines, 20, false), want);
        assert_eq!([block(0.0), block(1e-9), block(0.99999), block(1.0)], ['·', '▁', '▇', '█']);
    }
}
