//! The tsindex of mseedindex: out of our database, into it, and read by ObsPy's own client.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::corpora::wheel;
use crate::support::{Db, shown};
use crate::tree::{copy, mseed, old, put, touch};

/// Day files with a gap, a file of two channels in turns, records out of order, a SAC file.
fn archive(root: &Path) {
    let hours = |n: usize| n * 3600 * 20;
    put(
        &root.join("a/day1.mseed"),
        &mseed("XX.AAA..BHZ", "2020-03-01T20:00:00.0123", 20.0, hours(4)),
        old(1),
    );
    put(
        &root.join("a/day2.mseed"),
        &mseed("XX.AAA..BHZ", "2020-03-02T00:00:00.0123", 20.0, hours(3)),
        old(2),
    );
    let mut gap = mseed("XX.AAA.00.BHN", "2020-03-01T20:00:00", 20.0, hours(1));
    gap.extend(mseed("XX.AAA.00.BHN", "2020-03-01T22:30:00.5", 20.0, hours(2)));
    put(&root.join("a/gap.mseed"), &gap, old(3));
    let (one, two) = (
        mseed("XX.BBB.10.HHZ", "2020-03-01T21:00:00", 100.0, 60_000),
        mseed("XX.BBB.10.HHN", "2020-03-01T21:00:00", 100.0, 60_000),
    );
    let turns: Vec<u8> = one.chunks(1024).zip(two.chunks(1024)).flat_map(|(a, b)| [a, b].concat()).collect();
    put(&root.join("b/turns.mseed"), &turns, old(4));
    let ordered = mseed("XX.CCC..LHZ", "2020-03-01T00:00:00", 1.0, 40_000);
    let mut records: Vec<&[u8]> = ordered.chunks(512).collect();
    let last = records.len() - 1;
    records.swap(3, last);
    put(&root.join("b/order.mseed"), &records.concat(), old(5));
    put(&root.join("b/x.sac"), &crate::tree::sac("XX.DDD..BHZ", "2020-03-01T00:00:00"), old(6));
}

struct World {
    directory: tempfile::TempDir,
    db: Db,
}

fn world() -> World {
    let directory = tempfile::tempdir().expect("a directory");
    archive(&directory.path().join("data"));
    let mut db = Db::new();
    db.run(&format!("IMPORT WAVEFORMS '{}' INTO arc", directory.path().join("data").display()));
    World { directory, db }
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Exports `what` and gives the path of the index.
    fn export(&mut self, what: &str, name: &str) -> PathBuf {
        let path = self.path(name);
        self.db.run(&format!("COPY {what} TO '{}' FORMAT tsindex", path.display()));
        path
    }
}

/// Everything of an index but when it was made.
fn rows(index: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(index).expect("an index");
    let columns = "network, station, location, channel, quality, version, starttime, endtime, samplerate, filename, byteoffset, bytes, timeindex, timespans, timerates, filemodtime";
    let quoted: Vec<String> = columns.split(", ").map(|c| format!("quote({c})")).collect();
    let sql = format!("SELECT {} FROM tsindex ORDER BY filename, byteoffset", quoted.join("||' '||"));
    let mut statement = connection.prepare(&sql).expect("a table");
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    rows.map(|r| r.expect("a row")).collect()
}

#[test]
fn sections_spans_and_time_indexes_are_written() {
    let mut world = world();
    let index = world.export("FROM segments", "all.sqlite");
    let rows = rows(&index);
    let of = |name: &str| rows.iter().filter(|r| r.contains(name)).count();
    assert_eq!((of("day1"), of("day2"), of("gap"), of("order"), of("x.sac")), (1, 1, 1, 1, 0));
    assert!(of("turns") > 20, "a section ends where the channel changes");
    let day = rows.iter().find(|r| r.contains("day1")).expect("a row");
    let head = "'XX' 'AAA' '' 'BHZ' 'D' 2 '2020-03-01T20:00:00.012300' '2020-03-01T23:59:59.962300' 20.0";
    assert!(day.starts_with(head), "{day}");
    assert!(day.contains("'1583092800.012300=>0,15830") && day.contains(",latest=>1'"), "{day}");
    assert_eq!(day.matches("=>").count(), 5, "four hours and the end: {day}");
    assert!(day.contains("'[1583092800.012300:1583107199.962300]' NULL '2020-01-01T00:00:01'"), "{day}");
    let gap = rows.iter().find(|r| r.contains("gap")).expect("a row");
    assert_eq!(gap.matches('[').count(), 2, "{gap}");
    let order = rows.iter().find(|r| r.contains("order")).expect("a row");
    assert!(order.contains("latest=>0") && order.matches('[').count() == 1, "{order}");
    let one =
        world.export("(SELECT * FROM segments WHERE station = 'AAA' AND location = '00')", "one.sqlite");
    assert_eq!(self::rows(&one), std::slice::from_ref(gap));
}

#[test]
fn wrong_exports_are_refused() {
    let mut world = world();
    let path = world.path("x.sqlite").display().to_string();
    let cases = [
        (format!("COPY FROM files TO '{path}' FORMAT tsindex"), "the rows have no column"),
        (format!("COPY FROM segments TO '{path}' FORMAT tsindex COMPRESS gzip"), "compresses its own parts"),
        (format!("COPY FROM segments TO '{path}' FORMAT tsindex APPEND"), "nothing can be appended"),
        (format!("IMPORT WAVEFORMS '{path}' FORMAT tsindex INTO x"), "cannot open"),
        (format!("IMPORT WAVEFORMS '{path}' FORMAT mseed INTO x"), "no format of waveforms"),
        ("IMPORT WAVEFORMS 'Cargo.toml' FORMAT tsindex INTO x".to_owned(), "it is no tsindex"),
    ];
    for (statement, want) in cases {
        let error = shown(&world.db.error(&statement));
        assert!(error.contains(want), "{statement}: {error}");
    }
}

fn segments(db: &mut Db, source: &str) -> Vec<Vec<String>> {
    let query = "SELECT code, starttime, npts, sampling_rate, quality, path FROM segments WHERE source = ";
    let mut rows =
        db.rows(&format!("{query}'{source}' AND format <> 'sac'").replace(" AND format <> 'sac'", ""));
    rows.retain(|r| !r[5].ends_with(".sac"));
    rows.sort();
    rows
}

#[test]
fn an_index_is_imported_without_opening_a_file() {
    let mut world = world();
    let index = world.export("FROM segments", "all.sqlite");
    let mut other = Db::new();
    let import = format!("IMPORT WAVEFORMS '{}' FORMAT tsindex INTO idx", index.display());
    let plan = other.csv(&format!("EXPLAIN {import}"));
    assert!(plan.contains("no file is opened"), "{plan}");
    let told = other.run(&import);
    let message = told[0].message.clone().unwrap_or_default();
    assert!(message.contains("5 files and") && message.contains("0 files opened"), "{message}");
    assert!(other.run(&import)[0].message.as_deref().unwrap_or("").contains("nothing to do"));
    let root = world.path("data").display().to_string();
    assert_eq!(other.value("SELECT root FROM sources"), root);
    // a channel in turns comes in as one segment a section
    let whole =
        |rows: Vec<Vec<String>>| rows.into_iter().filter(|r| !r[5].contains("turns")).collect::<Vec<_>>();
    assert_eq!(whole(segments(&mut other, "idx")), whole(segments(&mut world.db, "arc")));
    let sum = "SELECT CAST(SUM(npts) AS BIGINT) FROM segments WHERE path LIKE '%.mseed'";
    assert_eq!(other.rows(sum), world.db.rows(sum));
    // the records of a window are found in the byte ranges of the index
    let raw = |db: &mut Db, name: &str| {
        let path = world.directory.path().join(name);
        let window = "endtime > '2020-03-01T22:10:00' AND starttime < '2020-03-02T01:20:00'";
        db.run(&format!(
            "COPY (SELECT * FROM segments WHERE station = 'AAA' AND {window}) TO '{}' FORMAT mseed",
            path.display()
        ));
        std::fs::read(path).expect("records")
    };
    let (theirs, own) = (raw(&mut other, "theirs.mseed"), raw(&mut world.db, "own.mseed"));
    assert!(!own.is_empty() && theirs == own, "{} {}", theirs.len(), own.len());
    // what is exported again reads the headers and finds the same
    let again = world.path("again.sqlite");
    other.run(&format!("COPY FROM segments TO '{}' FORMAT tsindex", again.display()));
    assert_eq!(rows(&again), rows(&index));
    // all is as the index knew it, but for the SAC file, which is new to it
    let told = other.run("REFRESH idx")[0].message.clone().unwrap_or_default();
    assert!(told.contains("1 files opened, 5 unchanged, 1 new"), "{told}");
    assert!(other.run(&import)[0].message.as_deref().unwrap_or("").contains("nothing to do"));
}

#[test]
fn files_that_changed_since_the_index_are_told_and_read() {
    let mut world = world();
    let index = world.export("FROM segments", "all.sqlite");
    touch(&world.path("data/a/day1.mseed"), old(100));
    std::fs::remove_file(world.path("data/b/order.mseed")).expect("a file");
    let mut other = Db::new();
    let told = other.run(&format!("IMPORT WAVEFORMS '{}' FORMAT tsindex INTO idx", index.display()));
    assert_eq!(told[0].unreadable, 1);
    assert!(told[0].notices.iter().any(|n| n.contains("1 file changed since")), "{told:?}");
    assert_eq!(other.rows("SELECT path FROM files WHERE state = 'unreachable'"), [["b/order.mseed"]]);
    let told = other.run("REFRESH idx")[0].message.clone().unwrap_or_default();
    assert!(
        told.contains("3 unchanged") && told.contains("1 changed") && told.contains("1 removed"),
        "{told}"
    );
    let (fresh, now) = (
        {
            world.db.run("REFRESH arc");
            segments(&mut world.db, "arc")
        },
        segments(&mut other, "idx"),
    );
    let of = |rows: &[Vec<String>]| rows.iter().filter(|r| r[5].contains("day")).cloned().collect::<Vec<_>>();
    assert_eq!(of(&fresh), of(&now));
    let moved = world.path("moved.sqlite");
    copy(&index, &moved);
    let again = format!("IMPORT WAVEFORMS '{}' FORMAT tsindex INTO idx", moved.display());
    let refused = shown(&other.error(&again));
    assert!(refused.contains("already there"), "{refused}");
}

/// The index that mseedindex made of the files in ObsPy's wheel, and our own of the same files.
#[test]
fn an_index_made_by_mseedindex_is_imported() {
    let Some(wheel) = wheel("an_index_made_by_mseedindex") else { return };
    let root = wheel.join("obspy/clients/filesystem/tests/data/tsindex_data");
    let mut db = Db::new();
    db.run(&format!(
        "IMPORT WAVEFORMS '{0}/timeseries.sqlite' FORMAT tsindex INTO idx; IMPORT WAVEFORMS '{0}' INTO arc",
        root.display()
    ));
    let own = segments(&mut db, "arc");
    assert_eq!(own.len(), 3);
    assert_eq!(segments(&mut db, "idx"), own);
}

#[test]
fn obspys_client_answers_from_our_index() {
    let Some(python) = std::env::var_os("STARQUAKE_PYTHON") else {
        let why = "SKIPPED obspys_client_answers: STARQUAKE_PYTHON names no Python with obspy and sqlalchemy";
        let _ = writeln!(std::io::stderr(), "{why}");
        return;
    };
    let mut world = world();
    let index = world.export("FROM segments", "all.sqlite");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tsindex_client.py");
    let done = Command::new(python).arg(script).arg(&index).arg(world.path("data")).output().expect("Python");
    let (out, error) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && out.contains("windows agree"), "{out}{error}");
}
