//! `starquake bench`: times every verb and operation on data it makes, and prints the rates of this machine.

mod language;
mod measure;
mod sky;
mod waves;

use std::process::ExitCode;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
use starquake::database::{self, Database, Output};
use starquake::error::{Error, Result};
use starquake::model::table::{Batch, Column, Schema, Type};

use crate::args::{Common, Rows};
use crate::exit;
use crate::output::{Sink, Target};
use crate::progress::Bar;
use crate::signal;
use crate::style::{Streams, counted};
use measure::{Bench, Measured};

/// `--quick` takes this part of the rows.
const QUICK: u32 = 10;

/// Options of the measurement.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Sources of the smaller catalogue; the other one has twice as many
    #[arg(long = "rows", value_name = "N", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(10_000..=1_000_000))]
    sources: u32,
    /// A tenth of the rows, and everything only once
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    pub(crate) rows: Rows,
}

/// How much is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Sources of the smaller catalogue.
    pub(crate) sources: usize,
    /// Small waveform files.
    pub(crate) files: usize,
    /// Events.
    pub(crate) events: usize,
}

/// Runs it; what it made is removed again, also after Ctrl-C.
pub(crate) fn run(options: &Options, common: &Common, streams: Streams) -> ExitCode {
    let target = match Target::new(options.rows.output.clone(), options.rows.format, streams) {
        Ok(target) => target,
        Err(message) => return exit::usage(&message, streams.stderr_color).into(),
    };
    let bar = Bar::new(common.has_bar(streams));
    let result = measured(options, &bar).and_then(|rows| print(&rows, target, &bar));
    bar.clear();
    let code = match result {
        Ok(()) => {
            if !common.quiet {
                let threads = counted(rayon::current_num_threads() as u64, "thread");
                exit::say(&format!("starquake {} on {threads}", env!("CARGO_PKG_VERSION")));
            }
            exit::DONE
        }
        Err(error) => {
            exit::tell(&error, None, None, streams.stderr_color);
            exit::code_of(&error)
        }
    };
    code.into()
}

fn measured(options: &Options, bar: &Bar) -> Result<Vec<Measured>> {
    let part = if options.quick { QUICK } else { 1 };
    let size = Size {
        sources: (options.sources / part) as usize,
        files: (4_000 / part) as usize,
        events: (2_000 / part) as usize,
    };
    let dir = tempfile::Builder::new()
        .prefix("starquake-bench-")
        .tempdir()
        .map_err(|e| Error::io("create a directory in", std::env::temp_dir(), e))?;
    let database = Database::create(dir.path().join("bench.sqk"), database::Options::default())?;
    // A second Ctrl-C does not end the program before the directory is removed.
    signal::install(database.cancel(), true);
    let mut bench = Bench::new(&database, bar, options.quick);
    // An archive is old enough to be trusted when the sky is done.
    let archive = waves::make(dir.path(), size, &bench)?;
    language::measure(&mut bench)?;
    sky::measure(dir.path(), size, &mut bench)?;
    waves::measure(dir.path(), &archive, &mut bench)?;
    let rows = bench.rows;
    drop(database);
    dir.close().map_err(|e| Error::io("remove", std::env::temp_dir(), e))?;
    Ok(rows)
}

fn print(rows: &[Measured], mut target: Target, bar: &Bar) -> Result<()> {
    let schema = Schema::new(vec![
        Column::typed("what", Type::Text),
        Column::typed("amount", Type::Int),
        Column::typed("of", Type::Text),
        Column::typed("wall", Type::Float).with_unit("s"),
        Column::typed("cpu", Type::Float).with_unit("s"),
        Column::typed("per_second", Type::Float),
    ]);
    let texts = |text: fn(&Measured) -> &str| -> ArrayRef {
        Arc::new(rows.iter().map(|r| Some(text(r))).collect::<StringArray>())
    };
    let floats = |value: fn(&Measured) -> f64| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<Float64Array>())
    };
    let columns = vec![
        texts(|r| r.what),
        Arc::new(rows.iter().map(|r| r.amount as i64).collect::<Int64Array>()),
        texts(|r| r.unit),
        floats(|r| (r.wall_s * 1e4).round() / 1e4),
        floats(|r| (r.cpu_s * 1e4).round() / 1e4),
        floats(|r| three_digits(r.amount as f64 / r.wall_s.max(1e-9))),
    ];
    let batch = Batch::try_new(schema.arrow(), columns)
        .map_err(|e| Error::refused(e.to_string(), "this is a fault of the program"))?;
    let mut sink = Sink::new(&mut target, bar, false);
    sink.begin(&schema)?;
    sink.batch(&batch)?;
    sink.finish().map(|_| ())
}

/// More says nothing about a machine.
fn three_digits(value: f64) -> f64 {
    let power = value.abs().max(1e-9).log10().floor() as i32 - 2;
    // A power of ten that is whole is exact.
    let unit = 10_f64.powi(power.abs());
    if power > 0 { (value / unit).round() * unit } else { (value * unit).round() / unit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits() {
        let cases =
            [(15_099_999.7, 15_100_000.0), (9_996.0, 10_000.0), (0.123_456, 0.123), (5.0, 5.0), (0.0, 0.0)];
        for (value, want) in cases {
            assert_eq!(three_digits(value), want, "{value}");
        }
    }
}
