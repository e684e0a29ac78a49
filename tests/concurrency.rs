//! Readers in other processes while a writer commits: each answer comes from one generation, none fails. A second
//! writer is told at once who writes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use starquake::database::{Database, Options, Session};
use starquake::error::Error;
use starquake::progress::{Progress, Silent};

use crate::child;
use crate::support::{Db, shown};
use crate::tree::{fingerprint, fresh, import, mseed, old, put};

/// Refreshes of one run, without STARQUAKE_COMMITS.
const ROUNDS: usize = 30;
/// Files of round 0.
const FILES: usize = 40;

/// In round `r` there are `FILES + r % 7` files of `100 + FILES + r % 7` samples, all beginning in minute `r`: number of
/// files, samples and start of any one generation agree.
fn plant(root: &Path, round: usize) {
    let files = FILES + round % 7;
    let start =
        starquake::model::time::Time::parse("2020-01-01").expect("a time").0 + round as i64 * 60_000_000_000;
    let start = starquake::model::time::Time(start).to_string();
    for number in 0..FILES + 7 {
        let path = root.join(format!("{}/{number}.ms", number % 3));
        if number < files {
            let bytes = mseed(&format!("XX.S{number:02}.00.HHZ"), &start, 10.0, 100 + files);
            put(&path, &bytes, old((round * 100 + number) as u64));
        } else if path.exists() {
            fs::remove_file(path).expect("removed");
        }
    }
}

/// The jobs of other processes: `read DATABASE DIRECTORY NAME` and `hold DATABASE DIRECTORY STATEMENT`.
#[test]
fn child_reads_or_holds_the_lock() {
    let Some(job) = child::job() else { return };
    let (database, dir) = (Path::new(&job[1]), Path::new(&job[2]));
    match job[0].as_str() {
        "read" => read(database, dir, &job[3]),
        _ => {
            let gate = Gate { dir: dir.to_path_buf() };
            child::execute(database, &job[3], &gate).unwrap_or_else(|e| panic!("{}", shown(&e)));
        }
    }
}

/// Asks until the file `stop` is there, and leaves the number of answers and of generations seen.
fn read(database: &Path, dir: &Path, name: &str) {
    let mut db = Db::new();
    db.database = Database::open(database, Options::default()).expect("a database");
    db.session = Session::default();
    let mut answers = 0;
    let mut seen = BTreeSet::new();
    let mut newest = String::new();
    let queries = [
        "SELECT count(*), count(*), min(npts), max(npts), min(starttime), max(starttime) FROM segments",
        "SELECT count(*), count(DISTINCT f.path), min(s.npts), max(s.npts), min(s.starttime), max(s.starttime) \
         FROM files AS f JOIN segments AS s ON f.path = s.path",
    ];
    let mut is_last = false;
    while !is_last {
        // One more round after the end.
        is_last = dir.join("stop").exists();
        for query in queries {
            let row = db.rows(query).remove(0);
            let number = |i: usize| row[i].parse::<usize>().expect("a number");
            assert_eq!(number(0), number(1), "{query}: {row:?}");
            assert_eq!(
                (row[2].as_str(), row[4].as_str()),
                (row[3].as_str(), row[5].as_str()),
                "{query}: {row:?}"
            );
            assert_eq!(number(2), 100 + number(0), "{query}: {row:?}");
            assert!(row[4] >= newest, "{row:?} is older than {newest}");
            newest.clone_from(&row[4]);
            seen.insert(row[4].clone());
            answers += 1;
        }
    }
    fs::write(dir.join(name), format!("{answers} {}", seen.len())).expect("a report");
}

#[test]
fn readers_in_other_processes_see_whole_generations() {
    let rounds = std::env::var("STARQUAKE_COMMITS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let mut db = Db::new();
    let dir = db.dir.path().to_path_buf();
    let root = dir.join("archive");
    plant(&root, 0);
    db.run(&import(&root));
    let database = db.database.path().display().to_string();
    let place = dir.display().to_string();
    let job =
        |name| child::start("concurrency::child_reads_or_holds_the_lock", &["read", &database, &place, name]);
    let readers = [job("one"), job("two")];
    for round in 1..=rounds {
        plant(&root, round);
        db.run("REFRESH arc");
    }
    let newest = fingerprint(&db);
    fs::write(dir.join("stop"), b"").expect("a sign");
    readers.into_iter().for_each(child::finish);
    assert_eq!(newest, fresh(&root));
    for name in ["one", "two"] {
        let report = fs::read_to_string(dir.join(name)).expect("a report");
        let numbers: Vec<usize> = report.split(' ').map(|n| n.parse().expect("a number")).collect();
        let _ = writeln!(
            std::io::stderr(),
            "reader {name}: {} answers from {} of {} states of the archive",
            numbers[0],
            numbers[1],
            rounds + 1
        );
        assert!(numbers[1] > 2, "reader {name} saw the archive change: {report}");
    }
}

/// Work that waits in its first stage until the file `go` is there.
struct Gate {
    dir: std::path::PathBuf,
}

impl Progress for Gate {
    fn begin(&self, _: &str, _: u64, _: &str) {
        fs::write(self.dir.join("waiting"), b"").expect("a sign");
        wait_for(&self.dir.join("go"));
    }

    fn add(&self, _: u64) {}

    fn end(&self) {}
}

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_second_writer_is_told_who_writes() {
    let mut db = Db::new();
    let dir = db.dir.path().to_path_buf();
    let root = dir.join("archive");
    plant(&root, 0);
    let database = db.database.path();
    let text = import(&root);
    let job = ["hold", &database.display().to_string(), &dir.display().to_string(), &text];
    let holder = child::start("concurrency::child_reads_or_holds_the_lock", &job);
    let pid = holder.id();
    wait_for(&dir.join("waiting"));
    let statements = ["REFRESH arc", "COMPACT", "DROP TABLE arc", &text];
    for statement in statements {
        match child::execute(&database, statement, &Silent) {
            Err(Error::Locked { holder, .. }) => {
                assert!(holder.contains(&format!("pid {pid}")), "{statement}: {holder}");
                assert!(holder.contains("IMPORT WAVEFORMS"), "{statement}: {holder}");
            }
            other => panic!("{statement}: {other:?}"),
        }
    }
    assert_eq!(db.value("SELECT count(*) FROM files"), "0", "readers do not wait");
    fs::write(dir.join("go"), b"").expect("a sign");
    child::finish(holder);
    assert_eq!(fingerprint(&db), fresh(&root));
}
