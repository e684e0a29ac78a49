//! Two catalogues and an epoch table: import, queries, matches, statistics, files.

use std::path::Path;

use starquake::error::Result;

use super::Size;
use super::measure::Bench;
use crate::demo::epochs::{Epochs, SOURCES};
use crate::demo::random::Random;
use crate::demo::sky::{OPTICAL_EACH, Sky};

/// Cones searched in one run.
const CONES: usize = 20;
/// Seeds their centres.
const SEED: u64 = 7;

/// Makes the catalogues below `dir`, and does everything with them.
pub(crate) fn measure(dir: &Path, size: Size, bench: &mut Bench<'_>) -> Result<()> {
    let sky = Sky::of(size.sources);
    bench.db.check()?;
    sky.write(dir)?;
    let orphans: Vec<i64> = sky.orphans().take(SOURCES).collect();
    let epochs = Epochs::new(&orphans);
    let epoch_rows = epochs.len() as u64;
    epochs.write(dir)?;
    let (infrared, optical) = (size.sources as u64, (OPTICAL_EACH * size.sources) as u64);
    let path = |name: &str| dir.join(name).display().to_string().replace('\'', "''");
    let import = |name: &str, options: &str| format!("IMPORT CATALOG '{}' {options}", path(name));
    let csv = import("infrared.csv", "INTO infrared KEY source_id UNITS (ra deg, dec deg, w1 mag, w2 mag)");
    bench.once(("import CSV", "rows"), |db| db.run(&csv).map(|_| infrared))?;
    let parquet = import("optical.parquet", "INTO optical KEY source_id");
    bench.once(("import Parquet", "rows"), |db| db.run(&parquet).map(|_| optical))?;
    let curves = import("epochs.parquet", "INTO epochs TIME mjd SORTED BY source_id, mjd");
    bench.once(("import epochs, sorted", "rows"), |db| db.run(&curves).map(|_| epoch_rows))?;
    queries(bench, infrared, optical, epoch_rows)?;
    cones(bench)?;
    files(bench, optical, &path)
}

/// Statements, the rows they go through, and what these are.
fn queries(bench: &mut Bench<'_>, infrared: u64, optical: u64, epochs: u64) -> Result<()> {
    let cases = [
        ("filter, count", "rows", optical, "SELECT COUNT(*) AS n FROM optical WHERE g BETWEEN 15 AND 16"),
        (
            "group by, avg",
            "rows",
            optical,
            "SELECT FLOOR(g) AS m, COUNT(*) AS n, AVG(ra) AS a FROM optical GROUP BY FLOOR(g)",
        ),
        ("sort", "rows", optical, "SELECT source_id, g FROM optical ORDER BY g, source_id"),
        ("top 10", "rows", optical, "SELECT TOP 10 source_id, g FROM optical ORDER BY g"),
        (
            "join on an id",
            "rows",
            epochs + infrared,
            "SELECT COUNT(*) AS n FROM epochs AS e JOIN infrared AS i ON e.source_id = i.source_id",
        ),
        (
            "crossmatch, nearest",
            "left rows",
            infrared,
            "SELECT i.source_id, o.source_id, separation FROM infrared AS i CROSSMATCH optical AS o WITHIN 3 arcsec",
        ),
        (
            "crossmatch, without partner",
            "left rows",
            infrared,
            "SELECT i.source_id FROM infrared AS i ANTI CROSSMATCH optical AS o WITHIN 3 arcsec",
        ),
        (
            "variability",
            "epochs",
            epochs,
            "VARIABILITY OF epochs BY source_id TIME mjd BAND w1(w1, w1_err) BAND w2(w2, w2_err)",
        ),
    ];
    cases.into_iter().try_for_each(|(what, unit, amount, text)| bench.query((what, unit), Some(amount), text))
}

/// Small cones anywhere.
fn cones(bench: &mut Bench<'_>) -> Result<()> {
    let mut random = Random::new(&[SEED]);
    bench.time(("cone search, 10 arcmin", "cones"), |db| {
        for _ in 0..CONES {
            let (ra, z) = (random.uniform(0.0, 360.0), random.uniform(-1.0, 1.0));
            let dec = z.asin().to_degrees();
            db.run(&format!(
                "SELECT source_id FROM optical WHERE pos IN CIRCLE({ra:.6}, {dec:.6}, 10 arcmin)"
            ))?;
        }
        Ok(CONES as u64)
    })
}

/// All rows of a catalogue to files.
fn files(bench: &mut Bench<'_>, rows: u64, path: &dyn Fn(&str) -> String) -> Result<()> {
    for (what, name) in
        [("write CSV", "out.csv"), ("write Parquet", "out.parquet"), ("write Arrow", "out.arrow")]
    {
        bench.query(
            (what, "rows"),
            Some(rows),
            &format!("COPY (SELECT * FROM optical) TO '{}' REPLACE", path(name)),
        )?;
    }
    Ok(())
}
