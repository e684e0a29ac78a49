//! Joins, matches and subqueries against what they mean: an index, a pushed condition or a join in place of a
//! subquery gives the rows that the plain evaluation of the condition gives.

use std::fmt::Write as _;
use std::fs;

use crate::optimizer::Random;
use crate::support::Db;

/// A cell of a CSV file, sometimes empty.
fn cell(random: &mut Random, value: String) -> String {
    if random.below(8) == 0 { String::new() } else { value }
}

/// Small numbers, so that every bound is met exactly now and then; times of one minute; positions a few arcseconds
/// apart around RA 0 and a pole.
fn table(random: &mut Random, rows: u64) -> String {
    let mut text = "id,k,name,lo,hi,x,t,ra,dec\n".to_owned();
    for id in 0..rows {
        let whole = |random: &mut Random, n: u64| random.below(n).to_string();
        let (lo, length) = (random.below(20) as i64, random.below(8) as i64 - 1);
        let name = random.pick(&["a", "b", "", "d"]).to_owned();
        let k = whole(random, 4);
        let x = format!("{:?}", random.below(40) as f64 * 0.5 - 0.25 * random.below(2) as f64);
        let t = format!("2024-01-01T00:00:{:02}Z", random.below(60));
        let step = |random: &mut Random| (random.unit() - 0.5) * 8.0 / 3600.0;
        let (ra, dec) = match random.below(3) {
            0 => ((360.0 + step(random)) % 360.0, step(random)),
            1 => (random.unit() * 360.0, 90.0 - step(random).abs()),
            _ => (120.0 + step(random), -30.0 + step(random)),
        };
        let place = cell(random, format!("{ra:?},{dec:?}"));
        let place = if place.is_empty() { ",".to_owned() } else { place };
        let cells = [k, name, lo.to_string(), (lo + length).to_string(), x, t].map(|c| cell(random, c));
        let _ = writeln!(text, "{id},{},{place}", cells.join(","));
    }
    text
}

const EVENTS: &str = "\
# 2021  3  1 12  0  0.00  35.0000  -97.5000  5.000 2.5 0.1 0.1 0.10 1001
ANMO 1.250 1.0 P
# 2021  3  2 12  0  0.00  35.0100  -97.5000  6.000 3.5 0.1 0.1 0.10 1002
ANMO 1.300 1.0 P
# 2021  3  3  0  0  0.00  34.9000 -106.5000  9.000 1.0 0.1 0.1 0.10 1003
ANMO 1.300 1.0 P
# 2021  3  3  0  0  9.00 -10.0000  179.9990  9.000 1.0 0.1 0.1 0.10 1004
ANMO 1.300 1.0 P
";

const STATIONS: &str = "\
ANMO 34.9459 -106.4572 1820
TUC 32.3098 -110.7847 910
OKLA 35.3000 -97.4000 300
DATE -10.0000 -179.9990 0
";

/// Two tables `l` and `r`, events and stations.
fn world(seed: u64) -> Db {
    let mut db = Db::new();
    let mut random = Random(seed);
    let dir = db.dir.path().to_path_buf();
    for (name, rows) in [("l", 120), ("r", 90)] {
        fs::write(dir.join(format!("{name}.csv")), table(&mut random, rows)).expect("a file");
    }
    fs::write(dir.join("phase.dat"), EVENTS).expect("a file");
    fs::write(dir.join("station.dat"), STATIONS).expect("a file");
    let dir = dir.display();
    db.run(&format!(
        "IMPORT CATALOG '{dir}/l.csv' INTO l KEY id SORTED BY id;
         IMPORT CATALOG '{dir}/r.csv' INTO r KEY id;
         IMPORT EVENTS '{dir}/phase.dat' INTO bridge;
         IMPORT STATIONS '{dir}/station.dat' INTO net"
    ));
    db
}

/// Conditions of a join that an index answers, and whether pairs then come nearest first.
const CONDITIONS: &[(&str, bool)] = &[
    ("l.k = r.k AND l.lo < r.hi AND r.lo < l.hi", false),
    ("l.lo <= r.hi AND r.lo <= l.hi", false),
    ("l.x BETWEEN r.lo AND r.hi", false),
    ("r.x BETWEEN l.lo AND l.hi AND l.name = r.name", false),
    ("l.x >= r.lo AND l.x < r.hi AND l.k <> r.k", false),
    ("l.x > r.x", false),
    ("l.lo - 2 <= r.lo AND l.lo + 2 >= r.lo AND r.x > 3", false),
    ("l.t BETWEEN r.t - 3 s AND r.t + 3 s AND l.k = r.k AND l.name = r.name", false),
    ("l.t > r.t - 5 s AND l.t < r.t AND l.x > 4", false),
    ("l.k = r.k AND l.x = r.lo", false),
    ("DISTANCE(l.pos, r.pos) <= 3 arcsec", true),
    ("DISTANCE(l.pos, r.pos) < 3 arcsec AND l.k = r.k", true),
    ("DISTANCE(r.pos, l.pos) < 3 arcsec AND r.x > 4 AND l.x > 2", true),
    ("1 = CONTAINS(POINT(l.ra, l.dec), CIRCLE(r.ra, r.dec, r.x / 3600))", true),
    ("DISTANCE(l.pos, r.pos) <= r.x / 7200 + l.x / 7200 AND l.k <= r.k", true),
    ("DISTANCE(POINT(l.ra + 0.0002, l.dec), r.pos) < 4 arcsec", true),
    ("DISTANCE(l.pos, r.pos) < 0", true),
    ("DISTANCE(l.pos, r.pos) <= 0 arcsec OR l.id = r.id", false),
];

#[test]
fn an_index_finds_the_pairs_that_the_condition_names() {
    let mut db = world(11);
    for (condition, is_nearest_first) in CONDITIONS {
        for kind in ["", "LEFT ", "SEMI ", "ANTI "] {
            let is_one_sided = matches!(kind, "SEMI " | "ANTI ");
            let columns = if is_one_sided { "l.id" } else { "l.id, r.id" };
            let query = |on: &str| format!("SELECT {columns} FROM l {kind}JOIN r ON {on}");
            // NOT NOT: the same condition, of which no index is known.
            let (mut want, mut found) =
                (db.rows(&query(&format!("NOT (NOT ({condition}))"))), db.rows(&query(condition)));
            if *is_nearest_first {
                assert!(found.is_sorted_by_key(|r| r[0].parse::<i64>().ok()), "{condition}: left order");
                want.sort();
                found.sort();
            }
            assert_eq!(want, found, "{}", query(condition));
            let plan = db.csv(&format!("EXPLAIN {}", query(condition)));
            assert_eq!(plan.contains("nested loop"), condition.contains(" OR "), "{plan}");
        }
        let count = db.value(&format!("SELECT COUNT(*) FROM l JOIN r ON {condition}"));
        assert_eq!(count == "0", condition.ends_with("< 0"), "{condition}: {count} pairs");
    }
}

/// Spellings of `a CROSSMATCH b WITHIN 3 arcsec ALL`.
const SPELLINGS: &[&str] = &[
    "l {kind}JOIN r ON DISTANCE(l.pos, r.pos) <= 3 arcsec",
    "l {kind}JOIN r ON DISTANCE(r.pos, l.pos) <= 3 arcsec",
    "l {kind}JOIN r ON 3 arcsec >= DISTANCE(l.pos, r.pos)",
    "l {kind}JOIN r ON DISTANCE(POINT(l.ra, l.dec), POINT(r.ra, r.dec)) <= 3 arcsec",
    "l {kind}JOIN r ON DISTANCE(l.ra, l.dec, r.ra, r.dec) <= 3 arcsec",
    "l {kind}JOIN r ON DISTANCE(POINT('ICRS', l.ra, l.dec), r.pos) <= 0.0008333333333333334",
    "l {kind}JOIN r ON 1 = CONTAINS(POINT('ICRS', l.ra, l.dec), CIRCLE('ICRS', r.ra, r.dec, 0.0008333333333333334))",
    "l {kind}JOIN r ON CONTAINS(POINT(r.ra, r.dec), CIRCLE(l.ra, l.dec, 3 arcsec)) = 1",
    "l {kind}JOIN r ON CONTAINS(l.pos, CIRCLE(r.pos, 3 arcsec))",
    "l {kind}JOIN r ON l.pos IN CIRCLE(r.ra, r.dec, 3000 mas)",
    "l {kind}JOIN r ON INTERSECTS(POINT(r.ra, r.dec), CIRCLE(l.ra, l.dec, 3 arcsec)) = 1",
];
const COMMA_SPELLINGS: &[&str] = &[
    "l, r WHERE DISTANCE(l.pos, r.pos) <= 3 arcsec",
    "l, r WHERE 1 = CONTAINS(POINT('ICRS', r.ra, r.dec), CIRCLE('ICRS', l.ra, l.dec, 0.0008333333333333334))",
];

#[test]
fn all_spellings_of_a_match_give_one_plan_and_one_result() {
    let mut db = world(12);
    for kind in ["", "LEFT ", "SEMI ", "ANTI "] {
        let columns = if matches!(kind, "SEMI " | "ANTI ") { "l.id" } else { "l.id, r.id AS other" };
        let of = |from: &str| format!("SELECT {columns} FROM {from}");
        let first = of(&format!("l {kind}CROSSMATCH r WITHIN 3 arcsec ALL"));
        let (plan, rows) = (db.csv(&format!("EXPLAIN {first}")), db.rows(&first));
        assert!(plan.contains("crossmatch within 3 arcsec") && rows.len() > 10, "{plan} {}", rows.len());
        let mut spellings: Vec<String> = SPELLINGS.iter().map(|s| s.replace("{kind}", kind)).collect();
        if kind.is_empty() {
            spellings.extend(COMMA_SPELLINGS.iter().map(|s| (*s).to_owned()));
        }
        for spelling in spellings {
            let query = of(&spelling);
            assert_eq!(db.csv(&format!("EXPLAIN {query}")), plan, "{query}");
            assert_eq!(db.rows(&query), rows, "{query}");
        }
    }
}

#[test]
fn distances_on_the_earth_are_found_by_a_grid() {
    let mut db = world(13);
    let conditions = [
        "DISTANCE(e.pos, s.pos) <= 100 km",
        "DISTANCE(e.pos, s.pos) < 1000 km AND s.station <> 'TUC'",
        "DISTANCE(e.hypocenter, POINT(s.longitude, s.latitude)) < 0.5 km",
        "e.pos IN CIRCLE(s.longitude, s.latitude, 50 km)",
        "e.pos IN CIRCLE(s.longitude, s.latitude, 0.4 deg)",
        "CONTAINS(s.pos, CIRCLE(e.longitude, e.latitude, e.magnitude))",
    ];
    for condition in conditions {
        for kind in ["", "LEFT "] {
            let query = |on: &str| {
                format!("SELECT e.event_id, s.station FROM events AS e {kind}JOIN stations AS s ON {on}")
            };
            let (mut want, mut found) =
                (db.rows(&query(&format!("NOT (NOT ({condition}))"))), db.rows(&query(condition)));
            assert!(db.csv(&format!("EXPLAIN {}", query(condition))).contains("grid"), "{condition}");
            want.sort();
            found.sort();
            assert_eq!(want, found, "{condition}");
        }
    }
    assert_eq!(
        db.rows("SELECT event_id FROM events WHERE DISTANCE(pos, POINT(-179.999, -10)) < 1 km"),
        [["1004"]]
    );
}

/// WHERE conditions over both sides, over one, and over what a match adds.
fn conditions(random: &mut Random, is_match: bool, has_right: bool) -> String {
    let mut list =
        vec!["l.x > 4", "l.k = 2", "l.name IS NULL OR l.lo < 9", "l.pos IN CIRCLE(0, 0, 2 arcsec)"];
    if has_right {
        list.extend(["r.x < 9", "r.k IS NULL", "l.x < r.x", "l.k = r.k", "r.lo >= l.lo", "r.id > 40"]);
    }
    if is_match && has_right {
        list.extend(["separation < 1 arcsec", "n_within > 1", "separation IS NULL OR match_rank = 1"]);
    }
    let parts: Vec<&str> = (0..1 + random.below(3)).map(|_| random.pick(&list)).collect();
    parts.iter().map(|p| format!("({p})")).collect::<Vec<_>>().join(" AND ")
}

#[test]
fn where_acts_after_joins_and_matches() {
    let mut db = world(14);
    let mut random = Random(15);
    let mut total = 0;
    for round in 0..150 {
        let kind = random.pick(&["", "LEFT ", "SEMI ", "ANTI "]);
        let has_right = !matches!(kind, "SEMI " | "ANTI ");
        let on = random.pick(&[
            "l.k = r.k",
            "l.x BETWEEN r.lo AND r.hi",
            "DISTANCE(l.pos, r.pos) < 4 arcsec",
            "l.id = r.id AND r.x > 3 AND l.x > 3",
        ]);
        let mode = random.pick(&["", "NEAREST 2", "ALL", "MUTUAL"]);
        let is_match = random.below(2) == 0;
        let from = match is_match {
            true => format!("l {kind}CROSSMATCH r WITHIN 4 arcsec {mode}"),
            false => format!("l {kind}JOIN r ON {on}"),
        };
        let condition = conditions(&mut random, is_match, has_right);
        let columns = if has_right { "l.id, r.id" } else { "l.id" };
        let found = db.rows(&format!("SELECT {columns} FROM {from} WHERE {condition}"));
        let all = db.rows(&format!("SELECT {columns}, ({condition}) AS keep FROM {from}"));
        let kept = all.into_iter().filter(|r| r.last().is_some_and(|k| k == "true"));
        let want: Vec<Vec<String>> = kept
            .map(|mut r| {
                r.pop();
                r
            })
            .collect();
        assert_eq!(found, want, "round {round}: {from} WHERE {condition}");
        total += found.len();
    }
    assert!(total > 1000, "{total} rows");
}

/// Conditions with a subquery over the row around it.
const SUBQUERIES: &[&str] = &[
    "EXISTS (SELECT 1 FROM r WHERE r.k = l.k AND r.x > l.x)",
    "NOT EXISTS (SELECT * FROM r WHERE r.k = l.k AND r.lo BETWEEN l.lo AND l.hi)",
    "EXISTS (SELECT 1 FROM r WHERE DISTANCE(r.pos, l.pos) < 3 arcsec AND x > 3)",
    "NOT EXISTS (SELECT 1 FROM r WHERE l.x > 5 AND r.k = 1)",
    "l.k IN (SELECT r.k FROM r WHERE r.lo = l.lo)",
    "l.k NOT IN (SELECT r.k FROM r WHERE r.lo = l.lo)",
    "NOT l.name IN (SELECT name FROM r WHERE r.id = l.id OR r.k > l.k)",
    "k NOT IN (SELECT k FROM r WHERE r.lo > l.lo)",
    "l.x > (SELECT AVG(r.x) FROM r WHERE r.k = l.k)",
    "(SELECT COUNT(*) FROM r WHERE r.k = l.k AND r.x > 3 AND r.name = l.name) = 0",
    "2 < (SELECT COUNT(r.x) + 1 FROM r WHERE r.lo = l.lo AND l.hi = r.hi)",
    "(SELECT MAX(r.x) - MIN(r.x) FROM r WHERE r.lo > l.lo) > l.x / 3",
    "EXISTS (SELECT r.k FROM r WHERE r.k = l.k GROUP BY r.k HAVING COUNT(*) > l.lo)",
    "l.lo < (SELECT r.lo FROM r WHERE r.id = l.id)",
    "l.x = (SELECT x FROM r WHERE r.k = l.k ORDER BY r.x DESC, r.id LIMIT 1)",
    "EXISTS (SELECT 1 FROM r WHERE r.k = l.k AND EXISTS (SELECT 1 FROM l AS m WHERE m.k = r.k AND m.x > r.x))",
    "EXISTS (SELECT 1 FROM r WHERE r.id = l.id) OR l.k = 2",
    "l.k IN (SELECT k FROM r WHERE r.lo = l.lo UNION SELECT k FROM r WHERE r.hi = l.hi)",
];

#[test]
fn correlated_subqueries_mean_what_they_say_for_each_row() {
    let mut db = world(16);
    let mut kept = 0;
    for condition in SUBQUERIES {
        let found = db.rows(&format!("SELECT l.id FROM l WHERE {condition}"));
        // One row at a time, its values written into the condition.
        let mut want = vec![];
        let literal = |text: &str| if text.is_empty() { "NULL".to_owned() } else { text.to_owned() };
        for row in db.rows("SELECT id, k, name, lo, hi, x FROM l") {
            let one = format!("(SELECT * FROM l WHERE id = {})", row[0]);
            let text = condition
                .replace("l.id", &row[0])
                .replace("l.k", &literal(&row[1]))
                .replace(
                    "l.name",
                    &if row[2].is_empty() { "NULL".to_owned() } else { format!("'{}'", row[2]) },
                )
                .replace("l.lo", &literal(&row[3]))
                .replace("l.hi", &literal(&row[4]))
                .replace("l.x", &literal(&row[5]));
            let text = match row[1].as_str() {
                _ if text.contains("l.pos") => {
                    let at =
                        db.rows(&format!("SELECT ra, dec FROM l WHERE id = {} AND pos IS NOT NULL", row[0]));
                    match at.first() {
                        Some(at) => text.replace("l.pos", &format!("POINT({}, {})", at[0], at[1])),
                        None => "FALSE".to_owned(),
                    }
                }
                k if text.starts_with("k NOT IN") => text.replacen('k', &literal(k), 1),
                _ => text,
            };
            if !db.rows(&format!("SELECT id FROM {one} AS one WHERE {text}")).is_empty() {
                want.push(vec![row[0].clone()]);
            }
        }
        assert_eq!(found, want, "{condition}");
        // As a value it is the same condition, evaluated row by row.
        let valued =
            db.rows(&format!("SELECT id FROM (SELECT id, ({condition}) AS keep FROM l) AS v WHERE keep"));
        assert_eq!(valued, want, "as a value: {condition}");
        kept += want.len();
    }
    assert!(kept > 200, "{kept} rows");
}
