//! What the optimizer leaves out is never missed: random queries give the same rows, in the same order, from the plan
//! as bound and from the plan as optimized.

use std::fmt::Write as _;
use std::fs;

use proptest::prelude::*;
use starquake::database::Cancel;
use starquake::engine::bind::{Binder, Context, query};
use starquake::engine::budget::Budget;
use starquake::engine::session::Notices;
use starquake::engine::tables::Tables;
use starquake::engine::{exec, optimize};
use starquake::lang::parse;
use starquake::lang::syntax::StatementKind;
use starquake::model::table::Batch;
use starquake::store::Store;

use crate::support::{Db, shown};
use crate::tree::{import, mseed, old, put};

/// Enough for several zones of 4,096 rows.
const ROWS: u64 = 12_000;

/// SplitMix64 (Steele, Lea and Flood, 2014, <https://doi.org/10.1145/2660193.2660195>).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len() as u64) as usize]
    }
}

/// Ids around 2^53 and the ends of i64, NULLs in every column, points at the poles and along RA 0.
fn rows(seed: u64) -> String {
    let mut random = Random(seed);
    let mut text = "id,small,v,t,ra,dec\n".to_owned();
    for row in 0..ROWS {
        let id = match row % 4 {
            0 => (1i64 << 53) + random.below(50) as i64 - 25,
            1 => i64::MAX - random.below(20) as i64,
            2 => -(random.below(1000) as i64),
            _ => row as i64 * 1000,
        };
        let blank =
            |random: &mut Random, text: String| if random.below(9) == 0 { String::new() } else { text };
        let small = random.below(40).to_string();
        let v = format!("{:?}", (random.unit() - 0.5) * 10.0);
        let t = format!(
            "20{:02}-01-{:02}T00:00:{:02}.5Z",
            random.below(30),
            1 + random.below(28),
            random.below(60)
        );
        let (ra, dec) = match row % 3 {
            0 => (random.unit() * 360.0, 90.0 - random.unit() * 0.1),
            1 => ((359.95 + random.unit() * 0.1) % 360.0, random.unit() - 0.5),
            _ => (random.unit() * 360.0, random.unit() * 180.0 - 90.0),
        };
        let place = blank(&mut random, format!("{ra},{dec}"));
        let place = if place.is_empty() { "," } else { &place };
        let cells = [small, v, t].map(|cell| blank(&mut random, cell));
        let _ = writeln!(text, "{id},{},{place}", cells.join(","));
    }
    text
}

fn condition(random: &mut Random, table: &str) -> String {
    let op = random.pick(&["<", "<=", "=", ">", ">=", "<>"]);
    let number = |random: &mut Random| (random.unit() - 0.5) * 8.0;
    match random.below(12) {
        0 => format!("{table}.id {op} {}", (1i64 << 53) + random.below(50) as i64 - 25),
        1 => format!("{} {op} {table}.id", i64::MAX - random.below(20) as i64),
        2 => format!("{table}.small {op} {}", random.below(40)),
        3 => format!("{table}.v {op} {:?}", number(random)),
        4 => format!("{table}.t {op} 20{:02}-01-{:02}", 10 + random.below(20), 1 + random.below(28)),
        5 => format!(
            "{table}.pos IN CIRCLE({:?}, {:?}, {:?})",
            random.unit() * 360.0,
            89.0 + random.unit(),
            random.unit()
        ),
        6 => format!(
            "{table}.pos IN CIRCLE({}, {:?}, {} arcmin)",
            random.pick(&["0", "360", "359.99"]),
            number(random) / 8.0,
            random.below(30)
        ),
        7 => format!(
            "1 = CONTAINS(POINT({table}.ra, {table}.dec), CIRCLE({:?}, {:?}, {:?}))",
            random.unit() * 360.0,
            number(random) * 20.0,
            random.unit() * 100.0
        ),
        8 => format!("{table}.pos IN BOX(0, 0, {:?}, 1)", random.unit() * 3.0),
        9 => format!("({table}.small IS NULL OR {table}.v {op} {:?})", number(random)),
        10 => format!("NOT {table}.small {op} {}", random.below(40)),
        _ => format!("{table}.small IN ({}, {}, NULL)", random.below(40), random.below(40)),
    }
}

fn conditions(random: &mut Random, tables: &[&str]) -> String {
    let count = 1 + random.below(3);
    let mut parts = vec![];
    for _ in 0..count {
        let table = random.pick(tables);
        parts.push(condition(random, table));
    }
    parts.join(" AND ")
}

fn random_query(seed: u64) -> String {
    let mut r = Random(seed);
    let random = &mut r;
    let one = conditions(random, &["a"]);
    let two = conditions(random, &["a", "b"]);
    let kind = random.pick(&["", "LEFT "]);
    let half = random.pick(&["SEMI", "ANTI"]);
    let mode = random.pick(&["", "NEAREST 2", "ALL", "MUTUAL"]);
    let side = "(SELECT * FROM p WHERE small < 3) AS b";
    match random.below(11) {
        0 => format!("SELECT a.id, a.v FROM p AS a WHERE {one}"),
        1 => format!("SELECT COUNT(*), SUM(a.v), MIN(a.t) FROM p AS a WHERE {one}"),
        2 => format!(
            "SELECT a.small, COUNT(*) AS n FROM p AS a WHERE {one} GROUP BY a.small HAVING COUNT(*) > 2"
        ),
        3 => format!(
            "SELECT a.t, a.id FROM p AS a WHERE {one} ORDER BY a.v DESC, a.small LIMIT {} OFFSET 3",
            random.below(50)
        ),
        4 => format!("SELECT a.v, b.t FROM p AS a {kind}JOIN {side} ON a.id = b.id WHERE {two}"),
        5 => format!("SELECT a.* FROM p AS a {half} JOIN {side} ON a.id = b.id AND a.v > b.v WHERE {one}"),
        6 => format!(
            "SELECT a.id, b.id, separation FROM p AS a {kind}CROSSMATCH {side} WITHIN 3 arcmin {mode} WHERE {two}"
        ),
        7 => format!("SELECT COUNT(*) FROM p AS a {half} CROSSMATCH {side} WITHIN 3 arcmin WHERE {one}"),
        8 => format!(
            "SELECT DISTINCT a.small FROM p AS a WHERE {one} UNION ALL SELECT small FROM p WHERE v > 4"
        ),
        9 => format!(
            "SELECT x.n FROM (SELECT a.small AS s, a.id AS n, a.v * 2 AS w FROM p AS a WHERE {one}) AS x WHERE x.w > 1 AND x.s < 30"
        ),
        _ => format!(
            "WITH a AS (SELECT id, small, v, t, ra, dec FROM p WHERE v > 0) SELECT a.id, b.id FROM a JOIN a AS b ON a.id = b.id AND a.small < b.small WHERE {two}"
        ),
    }
}

/// The answer of the plan as bound and as optimized.
fn both(text: &str, context: &Context<'_>) -> Result<(Batch, Batch), String> {
    let statement =
        parse::statement("test.sq", text).map_err(|d| starquake::lang::diagnostic::render(&d, false))?;
    let StatementKind::Query(parsed) = statement.kind else { return Err("no query".to_owned()) };
    let bind = || Binder::new(*context).query(&parsed).map(query::shown);
    let run = || {
        let plain = bind()?;
        let optimized = optimize::optimize(bind()?);
        Ok((exec::collect_one(&plain, context)?, exec::collect_one(&optimized, context)?))
    };
    run().map_err(|e| shown(&e))
}

#[test]
fn an_optimized_plan_answers_as_the_plan_that_was_bound() {
    let mut db = Db::new();
    let file = db.dir.path().join("p.csv");
    fs::write(&file, rows(7)).expect("a file");
    db.run(&format!("IMPORT CATALOG '{}' INTO p KEY id", file.display()));
    let store = Store::open(db.database.path()).expect("the store");
    let snapshot = store.snapshot().expect("a snapshot");
    let tables = Tables::new(&snapshot);
    let (notices, cancel) = (Notices::default(), Cancel::default());
    let budget = Budget::default();
    let context = Context {
        tables: &tables,
        session: &db.session,
        notices: &notices,
        cancel: &cancel,
        budget: &budget,
        threads: None,
        analysis: None,
    };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let result = runner.run(&any::<u64>(), |seed| {
        let text = random_query(seed);
        let (plain, optimized) =
            both(&text, &context).map_err(|e| TestCaseError::fail(format!("{text}\n{e}")))?;
        prop_assert!(
            plain == optimized,
            "{text}\n{} rows as bound, {} optimized",
            plain.num_rows(),
            optimized.num_rows()
        );
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let mut rows = 0;
    for seed in 0..40 {
        rows += both(&random_query(seed), &context).expect("an answer").0.num_rows();
    }
    assert!(rows > 1000, "{rows} rows");
}

/// The time index and the codes of channels leave rows of `segments` out; a condition that no index can use says what
/// must remain.
#[test]
fn lookups_of_segments_lose_nothing() {
    let mut db = Db::new();
    let root = db.dir.path().join("arc");
    for (number, station) in ["AAA", "BBB", "CCC"].iter().enumerate() {
        for day in 1..=4 {
            let start = format!("2020-01-0{day}T00:00:0{number}");
            let bytes = mseed(&format!("X{number}.{station}.00.HHZ"), &start, 1.0, 3600 * (day + number));
            put(&root.join(format!("{station}/{day}.ms")), &bytes, old(day as u64));
        }
    }
    db.run(&import(&root));
    let conditions = [
        "code MATCHES 'X0.*.*.*'",
        "station = 'BBB'",
        "NOT (station IN ('AAA', 'BBB'))",
        "network <> 'X1' AND channel LIKE 'H%'",
        "span OVERLAPS '2020-01-02'",
        "span OVERLAPS 2020-01-02T03:00:00 .. 2020-01-02T03:00:01",
        "starttime >= 2020-01-03 AND station = 'CCC'",
        "starttime = 2020-01-02T00:00:01",
        "endtime <= 2020-01-02T02:00:01",
        "endtime > 2020-01-02T02:00:01 AND starttime < 2020-01-02T00:00:02",
        "station = 'AAA' OR span OVERLAPS '2020-01-04'",
        "station = 'nowhere'",
        "starttime > 2030-01-01",
        "length(station) = 3 AND location = '00'",
    ];
    for condition in conditions {
        let by_index = db.rows(&format!("SELECT path, starttime FROM segments WHERE {condition}"));
        let one_by_one = db.rows(&format!(
            "SELECT path, starttime FROM segments WHERE CASE WHEN {condition} THEN npts > 0 ELSE FALSE END"
        ));
        assert_eq!(by_index, one_by_one, "{condition}");
    }
}
