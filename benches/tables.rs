//! Filters, groups, top rows, distinct counts and joins of a catalogue of 10 million rows:
//! `tables make DIR [ROWS]` writes DIR/big.parquet and DIR/small.parquet (a tenth of the rows) and imports both;
//! `tables run DIR [REPETITIONS] [THREADS] [QUERY]` prints the medians of wall and CPU time of each query and its
//! answer, and writes them to DIR/starquake.tsv, which `compare/with_duckdb.py DIR` sets beside its own.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{Array, ArrayRef, Float64Array, Int32Array, Int64Array, StringArray};
use starquake::database::{Database, Options, Output, Session};
use starquake::error::{Result, Source};
use starquake::format::table::{Format, Writer};
use starquake::model::table::{Batch, Schema};
use starquake::progress::Silent;

const ROWS: u64 = 10_000_000;
const BATCH_ROWS: u64 = 1 << 16;
/// Of ten rows, one repeats the id of another.
const REPEATED: u64 = 10;

/// Name and text of each query; the text is SQL for both programs.
const QUERIES: &[(&str, &str)] = &[
    ("range", "SELECT COUNT(*) FROM big WHERE mag >= 17.0 AND mag < 17.5"),
    ("group", "SELECT band, COUNT(*), AVG(mag) FROM big GROUP BY band ORDER BY band"),
    ("group_int", "SELECT field, COUNT(*), AVG(mag) FROM big GROUP BY field ORDER BY field"),
    ("top", "SELECT id, mag FROM big ORDER BY mag LIMIT 10"),
    ("distinct", "SELECT COUNT(DISTINCT id) FROM big"),
    ("join", "SELECT COUNT(*), SUM(s.w) FROM big AS b JOIN small AS s ON b.id = s.id"),
    ("join_small_left", "SELECT COUNT(*), SUM(s.w) FROM small AS s JOIN big AS b ON b.id = s.id"),
    ("group_id", "SELECT COUNT(*) FROM (SELECT id, AVG(mag) AS m FROM big GROUP BY id) AS g WHERE g.m < 17"),
    ("sort", "SELECT SUM(k) FROM (SELECT id % 1000 AS k FROM big ORDER BY mag LIMIT 5000000) AS t"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    match words.as_slice() {
        ["make", dir] => make(Path::new(dir), ROWS),
        ["make", dir, rows] => make(Path::new(dir), number(rows)),
        ["run", dir] => run(Path::new(dir), 5, 2, ""),
        ["run", dir, n] => run(Path::new(dir), number(n), 2, ""),
        ["run", dir, n, threads] => run(Path::new(dir), number(n), number(threads), ""),
        ["run", dir, n, threads, query] => run(Path::new(dir), number(n), number(threads), query),
        _ => eprintln!("tables make DIR [ROWS]\ntables run DIR [REPETITIONS] [THREADS] [QUERY]"),
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014, <https://doi.org/10.1145/2660193.2660195>) of a counter: a bijection.
fn mixed(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn unit(counter: u64) -> f64 {
    (mixed(counter) >> 11) as f64 / (1u64 << 53) as f64
}

/// The id of a row; rows that differ by nine tenths of all share one.
fn id(row: u64, rows: u64) -> i64 {
    (mixed(row % (rows - rows / REPEATED)) >> 1) as i64
}

fn column<T>(range: std::ops::Range<u64>, value: impl Fn(u64) -> T) -> ArrayRef
where
    Vec<T>: IntoArray,
{
    range.map(value).collect::<Vec<T>>().array()
}

trait IntoArray {
    fn array(self) -> ArrayRef;
}

impl IntoArray for Vec<f64> {
    fn array(self) -> ArrayRef {
        Arc::new(Float64Array::from(self))
    }
}

impl IntoArray for Vec<i64> {
    fn array(self) -> ArrayRef {
        Arc::new(Int64Array::from(self))
    }
}

impl IntoArray for Vec<i32> {
    fn array(self) -> ArrayRef {
        Arc::new(Int32Array::from(self))
    }
}

impl IntoArray for Vec<&'static str> {
    fn array(self) -> ArrayRef {
        Arc::new(StringArray::from(self))
    }
}

fn big(range: std::ops::Range<u64>, rows: u64) -> Batch {
    const BANDS: [&str; 8] = ["u", "g", "r", "i", "z", "GAIA_BP", "GAIA_RP", "W1"];
    let r = || range.clone();
    Batch::try_from_iter([
        ("id", column(r(), |i| id(i, rows))),
        ("ra", column(r(), |i| 360.0 * unit(4 * i))),
        ("dec", column(r(), |i| (2.0 * unit(4 * i + 1) - 1.0).asin().to_degrees())),
        ("mag", column(r(), |i| 22.0 - 10.0 * unit(4 * i + 2).powi(3))),
        ("field", column(r(), |i| (mixed(4 * i + 3) % 200) as i32)),
        ("band", column(r(), |i| BANDS[(mixed(4 * i + 3) >> 32) as usize % 8])),
    ])
    .expect("columns of one length")
}

fn small(range: std::ops::Range<u64>, rows: u64) -> Batch {
    let r = || range.clone();
    Batch::try_from_iter([
        ("id", column(r(), |i| id(i * 9, rows))),
        ("w", column(r(), |i| (mixed(i + 77) % 1000) as i64)),
    ])
    .expect("columns of one length")
}

fn write(path: &Path, rows: u64, batch: impl Fn(std::ops::Range<u64>) -> Batch) {
    let schema = Schema::from_arrow(&batch(0..1).schema());
    let file = Box::new(File::create(path).expect("a file"));
    let mut writer = Writer::new(Format::Parquet, path, &schema, file).expect("a writer");
    for start in (0..rows).step_by(BATCH_ROWS as usize) {
        writer.write(&batch(start..(start + BATCH_ROWS).min(rows))).expect("rows");
    }
    writer.finish().expect("an end");
}

fn make(dir: &Path, rows: u64) {
    std::fs::create_dir_all(dir).expect("a directory");
    write(&dir.join("big.parquet"), rows, |r| big(r, rows));
    write(&dir.join("small.parquet"), rows / REPEATED, |r| small(r, rows));
    let database = Database::create(dir.join("tables.sqk"), Options::default()).expect("a database");
    for (name, rest) in [("big", "POSITION (ra, dec)"), ("small", "")] {
        let start = Instant::now();
        let path = dir.join(format!("{name}.parquet"));
        let text = format!("IMPORT CATALOG '{}' INTO {name} {rest} REPLACE", path.display());
        answer(&database, &text);
        println!("{text}: {:.1} s", start.elapsed().as_secs_f64());
    }
}

/// Values of an answer, row by row.
#[derive(Default)]
struct Answer(Vec<String>);

impl Output for Answer {
    fn begin(&mut self, _: &Schema) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        for row in 0..batch.num_rows() {
            for column in batch.columns() {
                self.0.push(shown(column, row));
            }
        }
        Ok(())
    }
}

fn shown(column: &ArrayRef, row: usize) -> String {
    let any = column.as_any();
    if let Some(values) = any.downcast_ref::<Float64Array>() {
        format!("{:.9e}", values.value(row))
    } else if let Some(values) = any.downcast_ref::<Int64Array>() {
        values.value(row).to_string()
    } else if let Some(values) = any.downcast_ref::<Int32Array>() {
        values.value(row).to_string()
    } else {
        any.downcast_ref::<StringArray>().map_or(String::new(), |values| values.value(row).to_owned())
    }
}

fn answer(database: &Database, text: &str) -> Vec<String> {
    let source = Source { name: "bench".to_owned(), text: text.to_owned() };
    let mut rows = Answer::default();
    let mut session = Session::default();
    database
        .script(&mut session, &source, (&mut rows, &Silent))
        .map_err(|e| format!("{text}: {e}"))
        .expect("an answer");
    rows.0
}

/// CPU seconds of the process so far: user and system ticks of /proc/self/stat, 100 a second (Linux; elsewhere 0).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or("");
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn run(dir: &Path, repetitions: u64, threads: u64, only: &str) {
    rayon::ThreadPoolBuilder::new().num_threads(threads as usize).build_global().expect("threads");
    let database = Database::open(dir.join("tables.sqk"), Options::default()).expect("a database");
    let mut lines = String::new();
    for (name, text) in QUERIES.iter().filter(|(name, _)| only.is_empty() || *name == only) {
        let values = answer(&database, text).join(" ");
        let (mut wall, mut cpu) = (vec![], vec![]);
        for _ in 0..repetitions {
            let (start, before) = (Instant::now(), cpu_seconds());
            assert_eq!(answer(&database, text).join(" "), values, "the same answer each time");
            wall.push(start.elapsed().as_secs_f64());
            cpu.push(cpu_seconds() - before);
        }
        let (wall, cpu) = (median(wall), median(cpu));
        let start: String = values.chars().take(60).collect();
        println!("{name:16} wall {wall:8.4} s  CPU {cpu:6.2} s  {start}");
        lines.push_str(&format!("{name}\t{text}\t{wall}\t{cpu}\t{values}\n"));
    }
    if only.is_empty() {
        std::fs::write(dir.join("starquake.tsv"), lines).expect("a file");
    }
}
