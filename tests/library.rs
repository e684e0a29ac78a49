//! The library, used as a program would: typed parameters, streamed rows, tokens, threads, errors, examples.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use starquake::arrow::array::cast::AsArray;
use starquake::arrow::array::types::Int64Type;
use starquake::lang::parse;
use starquake::{Batch, Cancel, Database, Error, Import, Options, Params, Progress, Result, Time, Value};

use crate::semantics::world;

#[path = "../examples/crossmatch.rs"]
mod crossmatch;
#[path = "../examples/first_query.rs"]
mod first_query;

/// `rows` numbers in a catalogue without positions.
fn numbers(rows: i64, options: Options) -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("n.csv");
    let text: String = (0..rows).map(|i| format!("{i},{}\n", i % 7)).collect();
    fs::write(&file, format!("i,k\n{text}")).expect("a file");
    let db = Database::create(directory.path().join("n.sqk"), options).expect("a database");
    db.import(&Import::catalog(&file).into_name("n").sorted_by(&["i"])).expect("an import");
    (directory, db)
}

fn ints(batch: &Batch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

fn all(db: &Database, text: &str, params: impl Into<Params>) -> Result<Vec<i64>> {
    Ok(ints(&db.query(text, params)?.into_batch()?))
}

/// One value as the language prints it.
fn value(db: &Database, expression: &str, params: Params) -> String {
    let text = format!("SELECT CAST({expression} AS TEXT)");
    match db.query(&text, params).and_then(starquake::Rows::into_batch) {
        Ok(batch) => {
            let column = batch.column(0).as_string::<i32>();
            column.iter().next().flatten().unwrap_or("NULL").to_owned()
        }
        Err(error) => error.to_string().lines().next().unwrap_or("").to_owned(),
    }
}

#[test]
fn parameters_are_values() {
    let (_directory, db) = numbers(1, Options::default());
    let time = |text: &str| Time::parse(text).expect("a time");
    let (a, b) = (time("2024-01-01"), time("2024-02-01"));
    let cases: Vec<(&str, Value, &str)> = vec![
        ("$p + 1", 41.into(), "42"),
        ("$p", i64::MAX.into(), "9223372036854775807"),
        ("$p * 2", 1.5.into(), "3"),
        ("$p", f64::NAN.into(), "NULL"),
        ("$p", Value::Null, "NULL"),
        ("$p", None::<i64>.into(), "NULL"),
        ("NOT $p", true.into(), "false"),
        ("$p", "it's; DROP TABLE n --".into(), "it's; DROP TABLE n --"),
        ("$p", "2024-01-01".into(), "2024-01-01"),
        ("$p + 1 h", a.into(), "2024-01-01T01:00:00Z"),
        ("2024-01-01 + $p", Value::DurationNs(-1_000_000_000), "2023-12-31T23:59:59Z"),
        ("MJD 60310.0 IN $p", (a..b).into(), "true"),
        ("MJD 60341.0 IN $p", (a..b).into(), "false"),
        ("$p < 1 arcmin", Value::quantity(3.0, "arcsec"), "true"),
        ("$p < 1 km", Value::quantity(3.0, "arcsec"), "a length (km) cannot meet an angle (arcsec)"),
        ("DISTANCE($p, POINT(10, 21)) < 1.5 deg", Value::Sky { ra_deg: 10.0, dec_deg: 20.0 }, "true"),
        ("2 IN $p", vec![1, 2].into(), "true"),
        ("3 IN $p", vec![Some(1), None].into(), "NULL"),
        ("3 IN $p", Vec::<i64>::new().into(), "false"),
        ("3 NOT IN $p", vec![1, 2].into(), "true"),
        ("2 IN $p", Value::List(vec![1.5.into(), 2.into()]), "true"),
        ("'b' IN $p", vec!["a", "b"].into(), "true"),
        ("$p IN $p", vec!["a"].into(), "$p is a list, and this takes one value"),
        ("'b' IN $p", vec![1].into(), "cannot look for a text among INTs"),
        (
            "2 IN $p",
            Value::List(vec![1.into(), "a".into()]),
            "parameter $p: the list holds both a number and a text",
        ),
        (
            "2 IN $p",
            Value::List(vec![0.5.into(), i64::MAX.into()]),
            "parameter $p: the list holds floats and 9223372036854775807, which no float is",
        ),
        ("$p", Value::quantity(1.0, "arcsex"), "parameter $p: unknown unit `arcsex` (SHOW UNITS lists them)"),
        (
            "1",
            (b..a).into(),
            "parameter $p: the span ends at 2024-01-01T00:00:00Z, before it starts at 2024-02-01T00:00:00Z",
        ),
        ("1", Value::Sky { ra_deg: 0.0, dec_deg: 91.0 }, "parameter $p: 0, 91 is no position on the sky"),
    ];
    for (expression, p, want) in cases {
        let shown = format!("{expression} with {p:?}");
        assert_eq!(value(&db, expression, Params::new().with("p", p)), want, "{shown}");
    }
    // A script may have defaults: LET does not change what was given.
    assert_eq!(all(&db, "LET p = 1; SELECT $p", [("p", 2)]).expect("an answer"), [2]);
    assert_eq!(all(&db, "LET p = 1; SELECT $p", ()).expect("an answer"), [1]);
    assert_eq!(all(&db, "SELECT i FROM n LIMIT $p", [("p", 0)]).expect("an answer"), [] as [i64; 0]);
}

#[test]
fn imports_are_statements() {
    let cases = [
        (Import::waveforms("/a b/it's").layout("SDS"), "IMPORT WAVEFORMS '/a b/it''s' LAYOUT SDS"),
        (
            Import::events("x.xml").into_name("select").append(),
            "IMPORT EVENTS 'x.xml' INTO \"select\" APPEND",
        ),
        (Import::stations("x").format("hypodd").replace(), "IMPORT STATIONS 'x' FORMAT hypodd REPLACE"),
        (
            Import::catalog("*.csv")
                .key("a\"b")
                .position("ra", "de c")
                .motion("x", "y")
                .epoch(2016.0)
                .time("mjd")
                .unit("a", "mas/yr")
                .unit("b", "mag")
                .null("a", -99.0)
                .null("b", 1e30)
                .sorted_by(&["k", "mjd"]),
            "IMPORT CATALOG '*.csv' KEY \"a\"\"b\" POSITION (ra, \"de c\") MOTION (x, y) EPOCH 2016.0 TIME mjd \
             UNITS (a mas/yr, b mag) NULLS (a -99.0, b 1e30) SORTED BY k, mjd",
        ),
    ];
    for (import, want) in cases {
        assert_eq!(import.to_string(), want);
        let parsed = parse::statement("test", want).expect("it parses");
        assert_eq!(parsed.kind.to_string(), want);
    }
    let (_directory, db) = numbers(1, Options::default());
    let refused = |import: Import| db.import(&import).expect_err("it is refused").to_string();
    assert!(refused(Import::catalog("/nowhere/x.csv")).contains("/nowhere/x.csv"));
    assert!(refused(Import::waveforms("/").key("x")).starts_with("KEY is no option of waveforms"));
    assert!(refused(Import::catalog("x").epoch(f64::NAN)).starts_with("the epoch of an import is no year"));
}

#[test]
fn rows_are_made_as_they_are_taken_and_keep_their_generation() {
    let (directory, db) = numbers(200_000, Options::default());
    let file = directory.path().join("n.csv");
    let mut rows = db.query("SELECT i FROM n", ()).expect("rows");
    assert_eq!(rows.schema().columns[0].name, "i");
    let first = rows.next().expect("a batch").expect("rows");
    assert!(first.num_rows() < 200_000, "{} rows at once", first.num_rows());
    assert!(rows.outcome().is_none());
    fs::write(&file, "i,k\n-1,0\n").expect("a file");
    db.import(&Import::catalog(&file).into_name("n").sorted_by(&["i"]).replace()).expect("an import");
    assert_eq!(all(&db, "SELECT i FROM n", ()).expect("rows"), [-1]);
    let mut seen = ints(&first);
    for batch in rows.by_ref() {
        seen.extend(ints(&batch.expect("rows of the old generation")));
    }
    assert!(seen.iter().copied().eq(0..200_000));
    assert_eq!(rows.outcome().and_then(|o| o.rows), Some(200_000));
    assert!(rows.next().is_none(), "the end stays the end");

    let segments = || fs::read_dir(db.path().join("segments")).expect("segments").count();
    let open = db.query("SELECT i FROM n", ()).expect("rows");
    fs::write(&file, "i,k\n-2,0\n").expect("a file");
    db.import(&Import::catalog(&file).into_name("n").sorted_by(&["i"]).replace()).expect("an import");
    let held = segments();
    drop(open);
    db.execute("COMPACT", ()).expect("a writing statement");
    assert!(segments() < held, "rows that nobody wants hold nothing: {} of {held}", segments());
}

#[test]
fn one_query_within_another_on_one_thread() {
    let (_directory, db) = numbers(70_000, Options { threads: Some(1), ..Options::default() });
    let mut total = 0;
    for batch in db.query("SELECT k, i FROM n WHERE i >= 0", ()).expect("rows") {
        let batch = batch.expect("rows");
        let k = ints(&batch)[0];
        let count = all(&db, "SELECT COUNT(*) FROM n WHERE k = $k", [("k", k)]).expect("a count");
        assert_eq!(count, [10_000]);
        total += batch.num_rows();
    }
    assert_eq!(total, 70_000);
}

#[test]
fn tokens_stop_what_they_stand_for() {
    let (_directory, db) = numbers(400_000, Options::default());
    let until_error = |rows: starquake::Rows| {
        let mut rows = rows.skip_while(Result::is_ok);
        let error = rows.next().expect("an error before the end").err();
        assert!(rows.next().is_none(), "an error is the end");
        error
    };
    let text = "SELECT i FROM n";
    let mut rows = db.query(text, ()).expect("rows");
    assert!(rows.next().is_some());
    rows.cancel().cancel();
    assert!(matches!(until_error(rows), Some(Error::Interrupted)));
    assert_eq!(all(&db, text, ()).map(|i| i.len()).ok(), Some(400_000), "the next query knows nothing of it");

    // From another thread, in the middle of an operator that gives no row for long.
    let cancel = Cancel::new();
    let other = cancel.clone();
    let slow = "SELECT COUNT(*) FROM n AS a JOIN n AS b ON a.i + b.i < a.k * b.k";
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        other.cancel();
    });
    let result = db.with_cancel(&cancel).query(slow, ());
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    stopper.join().expect("no panic");
    assert!(!db.cancel().is_cancelled(), "the wider token is not touched");

    // The token of a database is that of all its handles.
    let clone = db.with_cancel(&Cancel::new());
    db.cancel().cancel();
    assert!(matches!(clone.query(text, ()), Err(Error::Interrupted)));
    db.cancel().reset();
    assert!(clone.query(text, ()).is_ok());
}

#[test]
fn databases_of_one_process_differ() {
    let (_d1, strict) =
        numbers(100_000, Options { max_rows: Some(10), threads: Some(1), ..Options::default() });
    let (_d2, wide) = numbers(100_000, Options { threads: Some(4), ..Options::default() });
    let text = "SELECT k, COUNT(*) AS c FROM n WHERE i % 3 <> 0 GROUP BY k ORDER BY c DESC, k";
    let [a, b] =
        [&strict, &wide].map(|db| db.query(text, ()).and_then(starquake::Rows::into_batch).expect("rows"));
    assert_eq!((a.num_rows(), &a), (7, &b), "threads change nothing");
    assert!(matches!(all(&strict, "SELECT i FROM n", ()), Err(Error::Limit { .. })));
    assert_eq!(all(&wide, "SELECT i FROM n", ()).expect("rows").len(), 100_000);
    let reader =
        Database::open(wide.path(), Options { is_read_only: true, ..Options::default() }).expect("open");
    let refusal = reader.execute("DROP TABLE n", ()).expect_err("it writes");
    assert_eq!(refusal.position(), Some(("<query>", 1, 1)));
    assert!(wide.query("FROM n LIMIT 1", ()).is_ok());
}

#[test]
fn four_threads_share_a_database_while_it_changes() {
    let (directory, db) = numbers(50_000, Options { threads: Some(2), ..Options::default() });
    let db = Arc::new(db);
    let file = directory.path().join("other.csv");
    std::thread::scope(|scope| {
        for thread in 0..4i64 {
            let db = db.clone();
            scope.spawn(move || {
                for round in 0..6 {
                    let low = thread * 10_000 + round;
                    let params = Params::new().with("low", low).with("ks", vec![0, 3, 6]);
                    let text = "SELECT i FROM n WHERE i >= $low AND k IN $ks ORDER BY i LIMIT 1000";
                    let got = all(&db, text, params).expect("rows");
                    let want: Vec<i64> =
                        (low..50_000).filter(|i| [0, 3, 6].contains(&(i % 7))).take(1000).collect();
                    assert_eq!(got, want);
                }
            });
        }
        let db = db.clone();
        scope.spawn(move || {
            for round in 0..6 {
                fs::write(&file, format!("v\n{round}\n")).expect("a file");
                db.import(&Import::catalog(&file).into_name("other").replace()).expect("an import");
                assert_eq!(all(&db, "SELECT v FROM other", ()).expect("rows"), [round]);
            }
        });
    });
}

#[test]
fn mistakes_are_told_before_the_first_row() {
    let (_directory, db) = numbers(10, Options::default());
    let cases = [
        ("SELECT\n  j FROM n", Some(("<query>", 2, 3)), "no column `j` in `n`"),
        ("SELEKT 1", Some(("<query>", 1, 1)), "unknown statement"),
        ("SELECT $p", Some(("<query>", 1, 8)), "$p has no value"),
        ("SELECT 1; SELECT 2", Some(("<query>", 1, 1)), "only the last statement may have rows"),
        ("  ", None, "the query is empty"),
    ];
    for (text, position, message) in cases {
        let error = db.query(text, ()).expect_err("a mistake");
        assert_eq!(error.position(), position, "{text}");
        let first = error.to_string();
        assert!(first.starts_with(message) || message == "unknown statement", "{text}: {first}");
        assert_eq!(error.rendered().contains("--> <query>:"), position.is_some(), "{text}");
    }
    assert!(matches!(db.execute("FROM n", ()), Err(Error::Refused { .. })));
    let outcome = db.query("DROP TABLE IF EXISTS m", ()).expect("no rows").outcome().cloned();
    assert_eq!(outcome.and_then(|o| o.message).as_deref(), Some("there is no `m`"));
    assert!(Database::open("/nowhere/x.sqk", Options::default()).is_err());
}

/// Counts files.
#[derive(Clone, Default)]
struct Steps(Arc<AtomicU64>);

impl Progress for Steps {
    fn begin(&self, _: &str, _: u64, _: &str) {}

    fn add(&self, steps: u64) {
        self.0.fetch_add(steps, Ordering::Relaxed);
    }

    fn end(&self) {}
}

#[test]
fn refresh_and_refusals() {
    let world = world();
    let db = world.database.clone();
    let steps = Steps::default();
    fs::copy(world.dir.path().join("arc/a.mseed"), world.dir.path().join("arc/new.mseed")).expect("a copy");
    let outcome = db.with_progress(steps.clone()).refresh(Some("arc")).expect("a refresh");
    assert!(outcome.message.is_some_and(|m| m.contains("1 new")));
    assert!(steps.0.load(Ordering::Relaxed) > 0, "it told how far it was");
    assert!(db.refresh(Some("nothing")).is_err());
    let picks = "# 2021 3 1 12 0 0.00 35.00 -97.50 5.0 2.5 0.1 0.1 0.1 1\nTUC 3.0 1.0 P\n\
                 # 2021 3 1 13 0 0.00 35.01 -97.50 5.0 2.5 0.1 0.1 0.1 2\nTUC 3.1 1.0 P\n";
    let file = world.dir.path().join("tuc.dat");
    fs::write(&file, picks).expect("a file");
    db.import(&Import::events(&file).into_name("tuc")).expect("an import");
    let text = "CORRELATE (SELECT * FROM events WHERE source = 'tuc') MAXSEP 8 km MINLNK 1 PHASE P ON 'Z' WINDOW -0.2 s .. 1 s LAG 0.3 s";
    let mut rows = db.query(text, ()).expect("rows");
    assert_eq!(rows.by_ref().map(|b| b.expect("rows").num_rows()).sum::<usize>(), 0);
    let refusals = rows.outcome().and_then(|o| o.refusals.clone()).expect("the pairs without a row");
    let reasons = refusals.column_by_name("reason").expect("a reason").as_string::<i32>().clone();
    assert_eq!(reasons.iter().collect::<Vec<_>>(), [Some("no_data")]);
    let wanted = [
        "  . pairs: 1 pair, 1 link at 1 station",
        "  . windows: 0 read and conditioned, 0 refused; used 0 times, 0 from memory",
        "  . correlated: 0 functions, 0 given up early by the bound of MINCC",
        "  . kept: 0 rows; left out (FROM refusals): no_data 1",
    ];
    let lines = analysed(&db, text);
    assert_eq!(lines[1..5], wanted, "{lines:#?}");
}

/// The lines of EXPLAIN ANALYZE.
fn analysed(db: &Database, text: &str) -> Vec<String> {
    let batch = db.query(&format!("EXPLAIN ANALYZE {text}"), ()).and_then(starquake::Rows::into_batch);
    let batch = batch.expect("a plan");
    batch.column(0).as_string::<i32>().iter().map(|line| line.unwrap_or("").to_owned()).collect()
}

/// What a scan says it read is what it gave, and zone maps leave out what they can.
#[test]
fn analysis_counts_what_was_pruned() {
    let (_directory, db) = numbers(200_000, Options::default());
    let zone = 4096;
    let first = 100_000 / zone * zone;
    let read = 200_000 - first;
    let cases = [
        ("SELECT i FROM n WHERE i >= 100000", Some(100_000), read, "minima and maxima leave 25 of 49 blocks"),
        ("SELECT i FROM n WHERE i < -1", Some(0), 0, "minima and maxima leave 0 of 49 blocks"),
        (
            "SELECT i FROM n WHERE k = 3",
            Some(200_000 / 7),
            200_000,
            "minima and maxima leave 49 of 49 blocks",
        ),
        ("SELECT i FROM n", None, 200_000, ""),
    ];
    for (text, matching, read, note) in cases {
        let lines = analysed(&db, text);
        let number = |line: &str, place: usize| -> i64 {
            let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect();
            let digits: String = cells[place].chars().filter(char::is_ascii_digit).collect();
            digits.parse().expect("a number")
        };
        let scan = lines.iter().find(|l| l.trim().starts_with("scan n")).expect("a scan");
        assert_eq!([number(scan, 1), number(scan, 2)], [read, read], "{lines:#?}");
        let told = lines.iter().find(|l| l.trim().starts_with(". reads")).expect("what was read");
        assert!(told.ends_with(note), "{told}");
        if let Some(matching) = matching {
            let filter = lines.iter().find(|l| l.trim().starts_with("filter")).expect("a filter");
            let expected = number(filter, 1);
            assert!(
                (expected - matching).abs() <= matching / 50 + 1,
                "{expected} for {matching}: {lines:#?}"
            );
        }
    }
}

#[test]
fn the_examples_find_what_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let names = first_query::run(directory.path()).expect("it runs");
    assert_eq!(names, ["Rigel", "Betelgeuse", "Bellatrix", "Alnitak"]);
    assert_eq!(first_query::run(directory.path()).expect("it runs again"), names);
    assert_eq!(crossmatch::run(directory.path(), 5000).expect("it runs"), (4500, 500));
}
