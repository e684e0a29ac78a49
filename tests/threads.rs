//! Answers have the same bytes on any number of threads and with any memory that suffices; where it does not, the error
//! names the operator, the limit and what to do.

use std::fmt::Write as _;
use std::fs;

use starquake::database::{Database, Options, Session};
use starquake::error::Error;

use crate::support::{Db, shown};

/// Some blocks of 65,536 rows, the last not full.
const ROWS: u64 = 200_000;

/// SplitMix64 (Steele, Lea and Flood, 2014, <https://doi.org/10.1145/2660193.2660195>) of a counter.
fn mixed(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn big() -> String {
    let mut text = "id,other,mag,band,name\n".to_owned();
    for row in 0..ROWS {
        let random = mixed(row);
        let other = if random.is_multiple_of(11) { String::new() } else { (random % 1000).to_string() };
        let mag = if random.is_multiple_of(7) {
            String::new()
        } else {
            format!("{:?}", (random >> 11) as f64 * 1e-12)
        };
        let band = ["u", "g", "", "longer than a word"][(random >> 60) as usize % 4];
        let _ = writeln!(text, "{},{other},{mag},{band},star-{}", random % 90_000, random % 70_000);
    }
    text
}

/// A database with the tables `big` and `small`.
fn database() -> Db {
    let mut db = Db::new();
    let small: String = (0..20_000).map(|i| format!("{},{}\n", mixed(i * 3) % 90_000, i % 17)).collect();
    for (name, text) in [("big", big()), ("small", format!("id,w\n{small}"))] {
        let path = db.dir.path().join(format!("{name}.csv"));
        fs::write(&path, text).expect("a file");
        db.run(&format!("IMPORT CATALOG '{}' INTO {name} REPLACE", path.display()));
    }
    db
}

const QUERIES: &[&str] = &[
    "SELECT COUNT(*), SUM(mag), AVG(mag), STDDEV(mag), MEDIAN(mag), MIN(name), MAX(other) FROM big",
    "SELECT COUNT(*), SUM(mag) FROM big WHERE mag > 3000 AND other < 500",
    "SELECT band, COUNT(*), AVG(mag), SUM(other), MIN(mag), MAX(name) FROM big GROUP BY band",
    "SELECT other, AVG(mag), COUNT(DISTINCT band), SUM(DISTINCT mag) FROM big WHERE id < 80000 GROUP BY other",
    "SELECT id, SUM(mag), COUNT(*) FROM big GROUP BY id",
    "SELECT name, band, AVG(mag) FROM big GROUP BY name, band",
    "SELECT other, band, mag, COUNT(*) FROM big GROUP BY other, band, mag HAVING COUNT(*) > 1",
    "SELECT COUNT(DISTINCT id), COUNT(DISTINCT name), COUNT(DISTINCT mag), AVG(DISTINCT other) FROM big",
    "SELECT DISTINCT other, band FROM big",
    "SELECT id, mag FROM big ORDER BY mag LIMIT 10",
    "SELECT id, mag, other FROM big ORDER BY other DESC NULLS FIRST, mag LIMIT 20 OFFSET 30000",
    "SELECT * FROM big ORDER BY band, mag DESC, id",
    "SELECT * FROM big ORDER BY mag DESC NULLS FIRST",
    "SELECT COUNT(*), SUM(b.mag), SUM(s.w) FROM big AS b JOIN small AS s ON b.id = s.id",
    "SELECT b.id, s.w, b.mag FROM big AS b JOIN small AS s ON b.id = s.id AND b.other > s.w",
    "SELECT s.id, s.w, b.mag FROM small AS s JOIN big AS b ON b.id = s.id WHERE b.band = 'u'",
    "SELECT s.id, s.w, b.mag FROM small AS s LEFT JOIN big AS b ON b.id = s.id AND b.mag > 5000",
    "SELECT b.id, b.mag FROM big AS b ANTI JOIN small AS s ON b.id = s.id",
    "SELECT COUNT(*) FROM big AS b SEMI JOIN small AS s ON b.id = s.id AND b.other = s.w",
    "SELECT a.name, b.mag FROM big AS a JOIN big AS b ON a.name = b.name AND a.band = b.band WHERE a.id < 900",
    "SELECT id, other FROM big WHERE mag < 4000 EXCEPT ALL SELECT id, w FROM small",
    "SELECT id FROM big INTERSECT SELECT id FROM small",
    "SELECT id FROM big LIMIT 5 OFFSET 150000",
];

#[test]
fn an_answer_does_not_depend_on_threads_or_memory() {
    let mut db = database();
    let set = |db: &mut Db, threads: usize, memory: &str| {
        db.run(&format!("SET threads = {threads}; SET memory = '{memory}'"));
    };
    for query in QUERIES {
        set(&mut db, 1, "4 GiB");
        let want = db.csv(query);
        assert!(want.lines().count() > 1, "{query} has rows");
        for (threads, memory) in [(2, "1 GB"), (7, "256 MiB")] {
            set(&mut db, threads, memory);
            assert!(db.csv(query) == want, "{query} on {threads} threads with {memory}");
        }
    }
}

/// The sums of a block do not depend on the batches that the rows came in.
#[test]
fn a_sum_does_not_depend_on_what_stood_between_its_rows() {
    let mut db = database();
    let path = db.dir.path().join("part.csv");
    let rows = db.csv("SELECT * FROM big WHERE other < 500");
    fs::write(&path, rows).expect("a file");
    db.run(&format!("IMPORT CATALOG '{}' INTO part", path.display()));
    let sums = "SELECT band, SUM(mag), AVG(mag) FROM";
    let whole = db.csv(&format!("{sums} big WHERE other < 500 GROUP BY band"));
    assert_eq!(whole, db.csv(&format!("{sums} part GROUP BY band")));
}

#[test]
fn what_does_not_fit_is_refused_with_its_name() {
    let mut db = database();
    let path = db.database.path();
    let with_bytes = |bytes: usize| {
        let options = Options { memory_bytes: Some(bytes), ..Options::default() };
        let database = Database::open(&path, options).expect("the database");
        Db { dir: tempfile::tempdir().expect("a directory"), database, session: Session::default() }
    };
    let (mut tight, mut narrow) = (with_bytes(1 << 20), with_bytes(4 << 20));
    let cases = [
        ("SELECT id, SUM(mag) FROM big GROUP BY id", "GROUP BY"),
        ("SELECT COUNT(DISTINCT name) FROM big", "GROUP BY"),
        ("SELECT DISTINCT id, name FROM big", "DISTINCT"),
        ("SELECT COUNT(*) FROM big AS a JOIN big AS b ON a.id = b.id", "the rows of"),
        ("SELECT COUNT(*) FROM small AS a JOIN big AS b ON a.id = b.id", "JOIN"),
        ("SELECT name FROM big INTERSECT SELECT name FROM big", "INTERSECT"),
        ("WITH v AS (SELECT id, name FROM big) SELECT COUNT(*) FROM v", "the rows of"),
    ];
    for (query, operator) in cases {
        match tight.error(query) {
            Error::Limit { what, limit, help } => {
                assert!(what.contains(operator), "{query}: {what}");
                assert!(limit == "1.0 MiB" && help.contains("SET memory"), "{query}: {limit}; {help}");
            }
            other => panic!("{query}: {}", shown(&other)),
        }
    }
    // ORDER BY goes to disk, and gives the same rows.
    for query in [
        "SELECT * FROM big ORDER BY mag DESC, band",
        "SELECT * FROM big ORDER BY other NULLS FIRST",
        "SELECT id, name FROM big ORDER BY name LIMIT 90000 OFFSET 5",
    ] {
        let outcome = narrow.run(query).remove(0);
        assert!(outcome.footer.iter().any(|f| f.contains("runs on disk")), "{query}: {:?}", outcome.footer);
        assert!(narrow.csv(query) == db.csv(query), "{query}");
    }
    // What streams needs no more memory for more rows, and what was held is given back.
    assert_eq!(tight.value("SELECT COUNT(*) FROM big WHERE id >= 0"), ROWS.to_string());
    assert_eq!(tight.rows("SELECT id, mag FROM big ORDER BY mag LIMIT 10").len(), 10);
    assert_eq!(tight.rows("SELECT band, AVG(mag) FROM big GROUP BY band").len(), 4);
}

#[test]
fn settings_are_checked() {
    let mut db = Db::new();
    let cases = [
        ("SET memory = '2 GB'", ""),
        ("SET memory = 2 GB", ""),
        ("SET memory = '1.5GiB'", ""),
        ("LET m = '300 MB'; SET memory = $m", ""),
        ("SET threads = 3", ""),
        ("SET threads = 0", "threads are a whole number from 1 to 1024"),
        ("SET threads = 2.5", "threads are a whole number from 1 to 1024"),
        ("SET threads = 100000", "threads are a whole number from 1 to 1024"),
        ("SET memory = 2", "a size is a number and one of kB, MB"),
        ("SET memory = 2 arcsec", "a size is a number and one of kB, MB"),
        ("SET memory = '1 kB'", "a statement needs 16.0 MiB at least"),
        ("SET colour = 1", "unknown setting `colour`"),
    ];
    for (text, want) in cases {
        match db.try_run(text) {
            Ok(_) => assert_eq!(want, "", "{text}"),
            Err(error) => {
                assert!(!want.is_empty() && shown(&error).contains(want), "{text}: {}", shown(&error))
            }
        }
    }
    assert_eq!(db.value("SELECT 1 + 1 AS n"), "2");
}

#[test]
fn more_rows_than_allowed_are_refused() {
    let db = database();
    let options = Options { max_rows: Some(1000), ..Options::default() };
    let few = Database::open(db.database.path(), options).expect("the database");
    let mut few =
        Db { dir: tempfile::tempdir().expect("a directory"), database: few, session: Session::default() };
    assert_eq!(few.rows("SELECT id FROM big LIMIT 1000").len(), 1000);
    let error = few.error("SELECT id FROM big LIMIT 1001");
    assert!(matches!(&error, Error::Limit { limit, .. } if limit == "1000 rows"), "{}", shown(&error));
}
