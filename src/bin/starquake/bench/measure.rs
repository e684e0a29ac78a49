//! Runs things and notes how long they took.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use starquake::database::{Database, Session};
use starquake::error::{Result, Source};
use starquake::lang::parse;
use starquake::progress::{Progress, Silent};

use crate::progress::Bar;
use crate::run::NoRows;

/// Things are done again until so much time has passed.
const LEAST: Duration = Duration::from_millis(300);
/// Measurements that there are, for the bar.
const MEASUREMENTS: u64 = 30;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) what: &'static str,
    /// What was done, in all repetitions.
    pub(crate) amount: u64,
    pub(crate) unit: &'static str,
    pub(crate) wall_s: f64,
    /// Of all threads.
    pub(crate) cpu_s: f64,
}

/// A database in use, and the measurements so far.
pub(crate) struct Bench<'a> {
    pub(crate) db: Db<'a>,
    pub(crate) rows: Vec<Measured>,
    bar: &'a Bar,
    is_quick: bool,
}

/// What runs statements.
pub(crate) struct Db<'a> {
    database: &'a Database,
    session: Session,
}

impl Db<'_> {
    /// Rows of a statement's answer.
    pub(crate) fn run(&mut self, text: &str) -> Result<u64> {
        let source = Source { name: "<bench>".to_owned(), text: text.to_owned() };
        let statement = parse::statement(&source.name, text)?;
        let outcome = self.database.run(&mut self.session, &statement, &source, (&mut NoRows, &Silent))?;
        Ok(outcome.rows.unwrap_or(0))
    }

    /// Was it asked to stop?
    pub(crate) fn check(&self) -> Result<()> {
        self.database.cancel().check()
    }
}

impl<'a> Bench<'a> {
    /// `is_quick`: do things only once.
    pub(crate) fn new(database: &'a Database, bar: &'a Bar, is_quick: bool) -> Bench<'a> {
        bar.begin("measuring", MEASUREMENTS, "operations");
        Bench { db: Db { database, session: Session::default() }, rows: Vec::new(), bar, is_quick }
    }

    /// Times `work`, which gives the amount of what it did, again and again.
    pub(crate) fn time(
        &mut self,
        (what, unit): (&'static str, &'static str),
        mut work: impl FnMut(&mut Db<'_>) -> Result<u64>,
    ) -> Result<()> {
        self.note((what, unit), |db, is_quick| {
            let start = Instant::now();
            let mut amount = 0;
            loop {
                db.check()?;
                amount += work(db)?;
                if is_quick || start.elapsed() >= LEAST {
                    return Ok(amount);
                }
            }
        })
    }

    /// Times `work`, which cannot be done twice.
    pub(crate) fn once(
        &mut self,
        (what, unit): (&'static str, &'static str),
        work: impl FnOnce(&mut Db<'_>) -> Result<u64>,
    ) -> Result<()> {
        self.note((what, unit), |db, _| work(db))
    }

    /// Times a statement; `amount`: what it goes through, if not the rows it gives.
    pub(crate) fn query(
        &mut self,
        label: (&'static str, &'static str),
        amount: Option<u64>,
        text: &str,
    ) -> Result<()> {
        self.time(label, |db| db.run(text).map(|rows| amount.unwrap_or(rows)))
    }

    /// Another amount of what was measured last.
    pub(crate) fn also(&mut self, (what, unit): (&'static str, &'static str), amount: u64) {
        if let Some(last) = self.rows.last().copied() {
            self.rows.push(Measured { what, unit, amount, ..last });
            self.bar.add(1);
        }
    }

    fn note(
        &mut self,
        (what, unit): (&'static str, &'static str),
        work: impl FnOnce(&mut Db<'_>, bool) -> Result<u64>,
    ) -> Result<()> {
        self.db.check()?;
        let (start, cpu_start_s) = (Instant::now(), cpu_s());
        let amount = work(&mut self.db, self.is_quick)?;
        let (wall_s, cpu_s) = (start.elapsed().as_secs_f64(), cpu_s() - cpu_start_s);
        self.rows.push(Measured { what, amount, unit, wall_s, cpu_s });
        self.bar.add(1);
        Ok(())
    }
}

/// CPU time of this process.
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
