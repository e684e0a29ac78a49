//! `kill -9` at uniform random fractions of the run time of an import or refresh. Afterwards the database opens at
//! once and answers from a committed generation, nothing acknowledged is lost, and a finished refresh has the
//! fingerprint of a clean build. `STARQUAKE_KILLS=1000` is the long run.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use starquake::database::{Database, Options, Session};
use starquake::progress::Silent;
use starquake::store::Store;

use crate::child;
use crate::support::{Db, shown};
use crate::tree::{Fingerprint, fingerprint, fresh, import, mseed, old, put};

/// Kills of one import and one refresh together, without STARQUAKE_KILLS.
const KILLS: usize = 50;
/// Files of an archive: three batches of commits.
const FILES: usize = 9000;
/// Files that are rewritten before a refresh: two batches.
const CHANGED: usize = 5000;
/// Kills reach this far beyond the usual end, so that some come too late.
const BEYOND: f64 = 1.15;

fn kills() -> usize {
    std::env::var("STARQUAKE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS)
}

/// The job of a killed process: `DATABASE`, `STATEMENT`.
#[test]
fn child_runs_a_statement() {
    let Some(job) = child::job() else { return };
    child::execute(Path::new(&job[0]), &job[1], &Silent).unwrap_or_else(|e| panic!("{}", shown(&e)));
}

fn archive(root: &Path) {
    for number in 0..FILES {
        let id = format!("XX.S{:03}.00.HHZ", number % 500);
        let bytes = mseed(&id, &format!("2020-01-01T{:02}:00:00", number / 500), 10.0, 20);
        put(&root.join(format!("{:02}/{number}.ms", number % 50)), &bytes, old(number as u64));
    }
}

/// Changes, removes, moves and adds files.
fn stir(root: &Path) {
    let path = |number: usize| root.join(format!("{:02}/{number}.ms", number % 50));
    let rewritten = mseed("XX.NEW.00.HHZ", "2021-01-01", 10.0, 25);
    for number in 0..CHANGED {
        put(&path(number), &rewritten, old(1_000_000 + number as u64));
    }
    for number in CHANGED..CHANGED + 200 {
        fs::remove_file(path(number)).expect("removed");
        fs::rename(path(number + 200), root.join(format!("moved{number}.ms"))).expect("moved");
        put(&root.join(format!("added/{number}.ms")), &rewritten, old(number as u64));
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// A stream of fractions in 0 .. 1 (splitmix64).
struct Fractions(u64);

impl Fractions {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// One statement to be killed.
struct Target<'a> {
    name: &'a str,
    /// The database before the statement.
    template: &'a Path,
    statement: &'a str,
    /// The fingerprint of a clean build.
    want: &'a Fingerprint,
    /// The table whose rows show how far it came, and the numbers of rows that a committed generation can have.
    table: &'a str,
    rows: &'a dyn Fn(u64) -> bool,
}

fn generation(database: &Path) -> u64 {
    Store::open(database)
        .and_then(|s| s.snapshot())
        .map(|s| s.generation())
        .unwrap_or_else(|e| panic!("{}", shown(&e)))
}

/// Runs the statement in a process of its own; with a time, kills it then.
fn attempt(target: &Target<'_>, place: &Path, after: Option<Duration>) -> Duration {
    let _ = fs::remove_dir_all(place);
    copy_dir(target.template, place);
    let start = Instant::now();
    let database = place.display().to_string();
    let mut process = child::start("crash::child_runs_a_statement", &[&database, target.statement]);
    let Some(after) = after else {
        child::finish(process);
        return start.elapsed();
    };
    std::thread::sleep(after.saturating_sub(start.elapsed()));
    // SIGKILL; it may have ended by itself.
    let _ = process.kill();
    process.wait().expect("an end");
    start.elapsed()
}

/// The database after a kill: it answers at once, from a committed generation; then the statement is finished.
fn is_whole(target: &Target<'_>, place: &Path) -> u64 {
    let reached = generation(place);
    let mut db = Db::new();
    db.database = Database::open(place, Options::default()).expect("it opens");
    db.session = Session::default();
    let rows = match db.try_run(&format!("SELECT count(*) FROM {}", target.table)) {
        Ok((_, csv)) => csv.lines().nth(1).and_then(|n| n.parse().ok()).expect("a number"),
        Err(error) => {
            // A catalogue that is not in yet.
            assert!(target.statement.contains("CATALOG"), "{}: {}", target.name, shown(&error));
            0
        }
    };
    assert!((target.rows)(rows), "{}: {rows} rows are no committed state", target.name);
    db.run(target.statement);
    assert_eq!(fingerprint(&db), *target.want, "{}: killed in generation {reached}", target.name);
    assert!(db.database.check().expect("a check").damaged.is_empty(), "{}", target.name);
    reached
}

/// Kills `count` runs, each in its own equal part of the run time, and counts where they fell.
fn kill(target: &Target<'_>, count: usize) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let place = dir.path().join("k.sqk");
    let first = generation(target.template);
    let mut times: Vec<Duration> = (0..3).map(|_| attempt(target, &place, None)).collect();
    times.sort();
    let last = generation(&place);
    assert_eq!(is_whole(target, &place), last);
    let mut fractions = Fractions(7);
    let (mut before, mut between, mut after) = (0, 0, 0);
    let mut tries = 0;
    // A busy machine stretches some runs: where nothing fell after the last commit, later kills follow.
    while tries < count || (after == 0 && tries < 2 * count) {
        let late = 1.0 + tries.saturating_sub(count) as f64;
        let part = (tries.min(count - 1) as f64 + fractions.next()) / count as f64;
        tries += 1;
        attempt(target, &place, Some(times[1].mul_f64(part * BEYOND * late)));
        match is_whole(target, &place) {
            reached if reached <= first => before += 1,
            reached if reached >= last => after += 1,
            _ => between += 1,
        }
    }
    let commits = last - first;
    let line = format!(
        "{}: {tries} kills within {BEYOND} x {:.0} ms: {before} before the first of {commits} commits, {between} between, {after} after the last",
        target.name,
        times[1].as_secs_f64() * 1e3,
    );
    let _ = writeln!(std::io::stderr(), "{line}");
    assert!(before > 0 && after > 0 && (between > 0 || commits == 1), "no class may be empty: {line}");
}

#[test]
fn killed_imports_and_refreshes_lose_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root: PathBuf = dir.path().join("archive");
    archive(&root);
    let empty = Db::new();
    let text = import(&root);
    let is_batch = |rows: u64| rows == FILES as u64 || rows.is_multiple_of(4096);
    let mut db = Db::new();
    let clean = fresh(&root);
    let import = Target {
        name: "IMPORT WAVEFORMS",
        template: &empty.database.path(),
        statement: &text,
        want: &clean,
        table: "files",
        rows: &is_batch,
    };
    kill(&import, kills() / 2);
    db.run(&text);
    stir(&root);
    let clean = fresh(&root);
    let refresh = Target {
        name: "REFRESH",
        template: &db.database.path(),
        statement: "REFRESH arc",
        want: &clean,
        table: "files",
        // Removed and added are equally many: only a part of them may be in.
        rows: &|rows| (FILES as u64 - 200..=FILES as u64 + 200).contains(&rows),
    };
    kill(&refresh, kills() - kills() / 2);
}

#[test]
fn a_killed_import_of_a_catalogue_is_not_there_or_whole() {
    let rows = 20_000;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("stars.csv");
    let mut text = String::from("id,ra,dec,mag\n");
    for i in 0..rows {
        let (ra, dec) = (f64::from(i) * 0.017_9 % 360.0, f64::from(i) * 0.008_3 % 170.0 - 85.0);
        text.push_str(&format!("s{i},{ra:.6},{dec:.6},{:.2}\n", f64::from(i % 900) / 100.0));
    }
    fs::write(&path, text).expect("a file");
    let statement = format!("IMPORT CATALOG '{}' INTO stars POSITION (ra, dec) KEY id", path.display());
    let empty = Db::new();
    let mut clean = Db::new();
    clean.run(&statement);
    let target = Target {
        name: "IMPORT CATALOG",
        template: &empty.database.path(),
        statement: &statement,
        want: &fingerprint(&clean),
        table: "stars",
        rows: &|found| found == 0 || found == rows as u64,
    };
    kill(&target, (kills() / 5).max(10));
}
