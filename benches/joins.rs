//! Joins that indexes answer: `joins DIR [MILLIONS]` makes an archive of that many million segments and as many
//! picks under DIR once, and prints rows, seconds and CPU seconds of the statements of a session over them.
//! `joins DIR sky A.parquet B.parquet` does so for matches of two catalogues.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use starquake::database::{Database, Options, Output, Session};
use starquake::error::{Result, Source};
use starquake::format::mseed2::{Signal, write_records};
use starquake::model::station::ChannelCode;
use starquake::model::table::{Batch, Schema};
use starquake::model::time::{NS_PER_DAY, Time};
use starquake::progress::Silent;

/// Stations of the archive; each has one channel with a segment of 50,000 s a day.
const STATIONS: u64 = 200;
const SAMPLING_RATE_HZ: f64 = 0.001;

/// Statements over the archive `s` and the picks `p`.
const TIMES: &[&str] = &[
    "SELECT COUNT(*) FROM segments",
    "SELECT COUNT(*) FROM segments AS s JOIN p ON s.network = p.network AND s.station = p.station AND s.span OVERLAPS p.time - 1 h .. p.time + 1 h",
    "SELECT s.path, s.byte_offset, p.id FROM segments AS s JOIN p ON s.network = p.network AND s.station = p.station AND s.span OVERLAPS p.time - 1 h .. p.time + 1 h",
    "SELECT COUNT(*) FROM p JOIN segments AS s ON s.station = p.station AND p.time >= s.starttime AND p.time < s.endtime",
    "SELECT COUNT(*) FROM p ANTI JOIN segments AS s ON s.station = p.station AND p.time OVERLAPS s.span",
    "SELECT COUNT(*) FROM p WHERE NOT EXISTS (SELECT 1 FROM segments AS s WHERE s.station = p.station AND p.time OVERLAPS s.span)",
    "SELECT COUNT(*) FROM p JOIN segments AS s ON p.time BETWEEN s.starttime AND s.starttime + 1 s",
];

/// Statements over the catalogues `a` and `b`.
const SKIES: &[&str] = &[
    "SELECT COUNT(*) FROM a CROSSMATCH b WITHIN 1 arcsec ALL",
    "SELECT COUNT(*) FROM a JOIN b ON DISTANCE(a.pos, b.pos) <= 1 arcsec",
    "SELECT COUNT(*) FROM a, b WHERE 1 = CONTAINS(POINT('ICRS', a.ra, a.dec), CIRCLE('ICRS', b.ra, b.dec, 1 arcsec))",
    "SELECT COUNT(*) FROM a JOIN b ON DISTANCE(a.pos, b.pos) < 1 arcsec + 0 * a.ra",
    "SELECT COUNT(*) FROM a ANTI JOIN b ON DISTANCE(a.pos, b.pos) <= 1 arcsec",
    "SELECT COUNT(*) FROM a LEFT JOIN b ON DISTANCE(a.pos, b.pos) <= 1 arcsec AND a.dec < b.dec",
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [dir, rest @ ..] = arguments.as_slice() else {
        eprintln!("joins DIR [MILLIONS] | joins DIR sky A.parquet B.parquet");
        return;
    };
    match rest {
        [sky, a, b] if sky == "sky" => {
            let setup = format!("IMPORT CATALOG '{a}' INTO a; IMPORT CATALOG '{b}' INTO b");
            session(&Path::new(dir).join("sky.sqk"), &setup, SKIES);
        }
        _ => {
            let millions: f64 = rest.first().map_or(1.0, |text| text.parse().expect("millions"));
            let rows = (millions * 1e6) as u64;
            let home = Path::new(dir).join(format!("times_{rows}"));
            if !home.exists() {
                generate(&home, rows);
            }
            let at = home.display();
            let setup = format!("IMPORT WAVEFORMS '{at}/arc' INTO arc; IMPORT CATALOG '{at}/p.csv' INTO p");
            session(&home.join("times.sqk"), &setup, TIMES);
        }
    }
}

fn generate(home: &Path, rows: u64) {
    fs::create_dir_all(home.join("arc")).expect("a directory");
    let days = rows / STATIONS;
    let samples: Vec<i32> = (0..50).collect();
    for station in 0..STATIONS {
        let code = ChannelCode::new("XX", &format!("S{station:03}"), "", "BHZ");
        let mut bytes = vec![];
        for day in 0..days as i64 {
            let start = Time(day * NS_PER_DAY);
            let signal = Signal { code: &code, start, sampling_rate: SAMPLING_RATE_HZ, samples: &samples };
            write_records(&mut bytes, &signal, 256).expect("a record");
        }
        fs::write(home.join(format!("arc/S{station:03}.mseed")), bytes).expect("a file");
    }
    let mut text = "id,network,station,time\n".to_owned();
    let mut state = 1u64;
    for id in 0..rows {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let station = (state >> 33) % STATIONS;
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let ns = ((state >> 11) as f64 / (1u64 << 53) as f64 * days as f64 * NS_PER_DAY as f64) as i64;
        let _ = writeln!(text, "{id},XX,S{station:03},{}", Time(ns));
    }
    fs::write(home.join("p.csv"), text).expect("a file");
}

/// Counts rows.
#[derive(Default)]
struct Counter {
    rows: usize,
    first: String,
}

impl Output for Counter {
    fn begin(&mut self, _: &Schema) -> Result<()> {
        *self = Counter::default();
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        if self.rows == 0 && batch.num_columns() == 1 && batch.num_rows() == 1 {
            self.first = format!("{:?}", batch.column(0)).split_whitespace().skip(1).collect();
        }
        self.rows += batch.num_rows();
        Ok(())
    }
}

fn session(database: &Path, setup: &str, statements: &[&str]) {
    let is_new = !database.exists();
    let database = Database::create(database, Options::default()).expect("a database");
    let mut session = Session::default();
    let mut run = |text: &str| {
        let (mut out, begin, cpu) = (Counter::default(), Instant::now(), cpu_seconds());
        let source = Source { name: "bench".to_owned(), text: text.to_owned() };
        let outcomes = database.script(&mut session, &source, (&mut out, &Silent)).expect(text);
        println!(
            "{:8.3} s {:8.3} CPU s {:9} rows {} {:?}\n    {text}",
            begin.elapsed().as_secs_f64(),
            cpu_seconds() - cpu,
            out.rows,
            out.first,
            outcomes.iter().flat_map(|o| o.footer.clone()).collect::<Vec<_>>(),
        );
    };
    if is_new {
        run(setup);
    }
    for statement in statements {
        run(&format!("EXPLAIN {statement}"));
        for _ in 0..3 {
            run(statement);
        }
    }
}

/// CPU seconds of all threads (Linux; elsewhere 0): a loaded machine does not change them much.
fn cpu_seconds() -> f64 {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return 0.0 };
    let on_cpu = |dir: std::path::PathBuf| -> Option<f64> {
        fs::read_to_string(dir.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
    };
    threads.flatten().filter_map(|thread| on_cpu(thread.path())).sum::<f64>() * 1e-9
}
