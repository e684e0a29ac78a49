//! Two catalogues, their partners and the sources without one, with progress and a time limit:
//! `cargo run --release --example crossmatch [DIRECTORY] [SOURCES]`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use starquake::arrow::array::cast::AsArray;
use starquake::arrow::array::types::Float64Type;
use starquake::{Cancel, Database, Error, Import, Options, Progress, Result, Value};

/// Counts the rows that an import has read.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl Progress for Counter {
    fn begin(&self, what: &str, _: u64, unit: &str) {
        println!("{what}, counted in {unit}");
    }

    fn add(&self, steps: u64) {
        self.0.fetch_add(steps, Ordering::Relaxed);
    }

    fn end(&self) {}
}

/// `count` sources spread evenly over the sky; in the second catalogue every tenth is missing and the others are
/// `shift_arcsec` further north.
fn sky(count: u32, shift_arcsec: f64, keeps: impl Fn(u32) -> bool) -> String {
    let mut text = "id,ra,dec\n".to_owned();
    for i in (0..count).filter(|i| keeps(*i)) {
        let z = 1.0 - (2.0 * f64::from(i) + 1.0) / f64::from(count);
        let (ra, dec) = ((f64::from(i) * 137.507_764_050_037_85) % 360.0, z.asin().to_degrees());
        let _ = writeln!(text, "{i},{ra:.9},{:.9}", dec + shift_arcsec / 3600.0);
    }
    text
}

/// Partners and sources without partner.
pub fn run(directory: &Path, count: u32) -> Result<(usize, usize)> {
    let files = [("optical", sky(count, 0.0, |_| true)), ("infrared", sky(count, 0.2, |i| i % 10 != 0))];
    let threads = Some(2);
    let db = Database::create(directory.join("pair.sqk"), Options { threads, ..Options::default() })?;
    let counter = Counter::default();
    for (name, text) in files {
        let file = directory.join(format!("{name}.csv"));
        std::fs::write(&file, text).map_err(|e| Error::io("write", &file, e))?;
        let import = Import::catalog(&file).into_name(name).key("id").replace();
        db.with_progress(counter.clone()).import(&import)?;
    }
    println!("{} steps of import", counter.0.load(Ordering::Relaxed));

    // Whoever holds a clone of the token may stop the query, from any thread: here a time limit does.
    let cancel = Cancel::new();
    let (done, is_done) = mpsc::channel::<()>();
    let clock = std::thread::spawn({
        let cancel = cancel.clone();
        move || {
            if is_done
                .recv_timeout(Duration::from_secs(600))
                .is_err_and(|e| e == mpsc::RecvTimeoutError::Timeout)
            {
                cancel.cancel();
            }
        }
    });
    let db = db.with_cancel(&cancel);
    let radius = [("radius", Value::quantity(1.0, "arcsec"))];
    let text = "SELECT o.id, separation FROM optical AS o CROSSMATCH infrared AS i WITHIN $radius";
    let mut rows = db.query(text, radius.clone())?;
    let (mut pairs, mut widest) = (0, 0.0f64);
    for batch in rows.by_ref() {
        let batch = batch?;
        pairs += batch.num_rows();
        let separation = batch.column(1).as_primitive::<Float64Type>();
        widest = separation.values().iter().fold(widest, |w, s| w.max(*s));
    }
    println!("{pairs} pairs, the widest {widest:.3} arcsec apart");
    rows.outcome().into_iter().flat_map(|o| &o.footer).for_each(|line| println!("{line}"));

    let alone = "SELECT id FROM optical ANTI CROSSMATCH infrared WITHIN $radius";
    let alone = db.query(alone, radius)?.into_batch()?.num_rows();
    println!("{alone} without partner");
    drop(done);
    let _ = clock.join();
    Ok((pairs, alone))
}

#[allow(dead_code, reason = "the tests run the example as a module")]
fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let count = arguments.next().and_then(|n| n.to_str()?.parse().ok()).unwrap_or(100_000);
    run(&directory, count).map(|_| ())
}
