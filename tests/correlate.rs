//! CORRELATE through the whole program: the Ridgecrest pair of FDTCC, whose differential times are published with
//! the tool and were worked out by hand for exact placement.

use crate::support::{Db, data};

const OPTIONS: &str = "MAXSEP ALL \
    PHASE P ON 'Z' WINDOW -0.2 s .. 1 s LAG 0.3 s \
    PHASE S ON 'NE' WINDOW -0.5 s .. 1.5 s LAG 0.5 s \
    FILTER 2..8 Hz ORDER 4 ZEROPHASE NORM full COMBINE stack";

/// Station, phase, cc (to 0.01; NaN where none is known) and dt in s of a row.
type Row = (&'static str, &'static str, f64, f64);

/// As the tool computes them: lags on the sample grid, the remainders dropped.
const ON_GRID: [Row; 4] = [
    ("B917", "P", 0.96, 0.0932),
    ("B917", "S", 0.84, 0.1432),
    ("B918", "S", 0.87, 0.0232),
    ("B921", "P", 0.98, 0.0932),
];

/// With the exact position of every pick. The fifth row, B918 P, is the one that the tool drops by its MINSNR.
const EXACT: [Row; 5] = [
    ("B917", "P", f64::NAN, 0.0861),
    ("B917", "S", f64::NAN, 0.1449),
    ("B918", "P", 0.933, 0.0897),
    ("B918", "S", f64::NAN, 0.0164),
    ("B921", "P", f64::NAN, 0.0901),
];

fn database(root: &std::path::Path) -> Db {
    let mut db = Db::new();
    let root = root.join("MinLiu19+FDTCC");
    db.run(&format!(
        "IMPORT WAVEFORMS '{0}/waveforms/1' INTO e1; IMPORT WAVEFORMS '{0}/waveforms/7' INTO e7;
         IMPORT EVENTS '{0}/hypoDD.pha' INTO pha; IMPORT STATIONS '{0}/station.dat' INTO sta",
        root.display()
    ));
    db
}

fn check(db: &mut Db, query: &str, want: &[Row], tolerance_s: f64) {
    let rows = db.rows(&format!("SELECT station, phase, cc, dt FROM {query} ORDER BY station, phase"));
    for (station, phase, cc, dt) in want {
        let row = rows.iter().find(|r| r[0] == *station && r[1] == *phase);
        let row = row.unwrap_or_else(|| panic!("{station} {phase} is missing in {rows:?}"));
        let number = |i: usize| row[i].parse::<f64>().expect("a number");
        assert!((number(3) - dt).abs() <= tolerance_s, "{station} {phase}: dt {} for {dt}", number(3));
        assert!(cc.is_nan() || (number(2) - cc).abs() <= 0.0101, "{station} {phase}: cc {} for {cc}", number(2));
    }
    assert!(rows.len() >= want.len());
}

#[test]
fn the_ridgecrest_pair_is_reproduced_both_ways() {
    let Some(root) = data("the_ridgecrest_pair") else { return };
    let mut db = database(&root);
    check(&mut db, &format!("CORRELATE events {OPTIONS} PEAK integer MINCC 0.7"), &ON_GRID, 0.0003);
    check(&mut db, &format!("CORRELATE events {OPTIONS} MINCC 0.7"), &EXACT, 0.0003);
    let out = db.dir.path().join("dt.cc");
    db.run(&format!(
        "COPY CORRELATE events {OPTIONS} PEAK integer MINCC 0.7 TO '{}' FORMAT hypodd",
        out.display()
    ));
    let text = std::fs::read_to_string(&out).expect("dt.cc");
    let theirs = std::fs::read_to_string(root.join("MinLiu19+FDTCC/dt.cc")).expect("dt.cc");
    for line in theirs.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_same = |ours: &&str| {
            let ours: Vec<&str> = ours.split_whitespace().collect();
            let number = |w: &[&str], i: usize| w[i].parse::<f64>().expect("a number");
            match (words[0], ours[0]) {
                ("#", "#") => ours[1] == words[1] && ours[2] == words[2],
                (a, b) if a == b && ours[3] == words[3] => {
                    (number(&ours, 1) - number(&words, 1)).abs() < 3e-4
                }
                _ => false,
            }
        };
        assert!(text.lines().any(|l| is_same(&l)), "{line} is not in\n{text}");
    }
}

#[test]
fn the_row_that_the_tool_drops_needs_no_minsnr() {
    let Some(root) = data("the_row_that_the_tool_drops") else { return };
    let mut db = database(&root);
    let count = |db: &mut Db, more: &str| {
        db.value(&format!(
            "SELECT COUNT(*) FROM CORRELATE events {OPTIONS} MINCC 0.7 {more} WHERE station = 'B918' AND phase = 'P'"
        ))
    };
    assert_eq!(count(&mut db, ""), "1");
}
