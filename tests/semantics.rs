//! The language, statement by statement: each file of `tests/golden` holds statements (`> ...`) and the answer that
//! is expected of them, on one small world made here. STARQUAKE_BLESS=1 writes the answers of this build into the
//! files, for a person to read before they are kept.

use std::fs;
use std::path::Path;

use starquake::format::mseed2::{Signal, write_records};
use starquake::model::station::ChannelCode;
use starquake::model::time::Time;

use crate::support::{Db, shown};

/// Rows of every type, NULL in each column, integers that no float holds.
const THINGS: &str = "\
id,a,b,x,name,flag,at
9007199254740993,1,2,0.5,alpha,true,2024-02-29T10:00:00Z
9007199254740992,2,,1.5,Beta,false,2024-03-01T00:00:00Z
9223372036854775807,3,0,-2.5,,true,
-5,,7,,gamma,,2023-12-31T23:59:59.5Z
4,2,2,1.5,al%ha,false,2024-02-29T23:59:59.999999999Z
";

/// Partners of some things.
const OTHERS: &str = "\
id,a,real,label
9007199254740993,1,9007199254740992,one
9007199254740992,2,2,two
9007199254740992,2,2.5,two again
-7,9,,nine
,,4,none
";

/// Sky positions, some at the pole and across RA 0; parallax in mas, NULL included.
const GAIA: &str = "\
source_id,ra,dec,parallax,pmra,pmdec,phot_g_mean_mag,name
11,10.0,20.0,5.0,1.0,-1.0,12.5,M31
12,10.0005,20.0,,2.0,0.0,15.0,
13,359.9999,0.0,20.0,0.5,0.5,9.0,wrap
14,0.0001,0.0,2.5,0.1,0.2,10.0,wrap too
15,123.0,89.9999,1.0,,,8.0,pole
16,303.0,89.9999,1.5,,,8.5,pole too
17,83.8221,-5.3911,50.0,3.0,3.0,7.0,orion
18,,,1.0,,,19.0,nowhere
";

const WISE: &str = "\
designation,cntr,ra,dec,w1,err
W1,1,10.0001,20.0,8.0,1.0
W2,2,0.0,0.0,9.0,0.5
W3,3,200.0,-45.0,10.0,2.0
W4,4,123.0,90.0,11.0,1.0
W5,5,,,12.0,
";

const EPOCHS: &str = "\
source_id,mjd,mag,err
11,60000.0,12.0,0.1
11,60001.0,12.2,0.1
11,60002.0,12.4,0.2
12,60000.0,15.0,0.1
12,60010.0,,0.1
";

const PHASES: &str = "\
# 2021  3  1 12  0  0.00  35.0000  -97.5000  5.000 2.5 0.1 0.1 0.10 1001
ANMO 1.250 1.0 P
ANMO 2.250 0.5 S
TUC 3.000 1.0 P
# 2021  3  2 12  0  0.00  35.0100  -97.5000  6.000 3.5 0.1 0.1 0.10 1002
ANMO 1.300 1.0 P
# 2021  3  3  0  0  0.00  40.0000  -90.0000  9.000 1.0 0.1 0.1 0.10 1003
";

/// Three channels; BHZ of ANMO has a gap of 60 s from 10:01:40, TUC's location is blank.
fn archive(root: &Path) {
    let samples: Vec<i32> = (0..10_000).map(|i| (i % 97) * 3).collect();
    let file = |name: &str, code: [&str; 4], start: &str| {
        let code = ChannelCode::new(code[0], code[1], code[2], code[3]);
        let start = Time::parse(start).expect("a time");
        let mut bytes = vec![];
        write_records(
            &mut bytes,
            &Signal { code: &code, start, sampling_rate: 100.0, samples: &samples },
            512,
        )
        .expect("records");
        fs::write(root.join(name), bytes).expect("a file");
    };
    fs::create_dir(root).expect("a directory");
    file("b.mseed", ["IU", "ANMO", "00", "BHZ"], "2024-02-29T10:02:40");
    file("a.mseed", ["IU", "ANMO", "00", "BHZ"], "2024-02-29T10:00:00");
    file("c.mseed", ["IU", "TUC", "", "BHZ"], "2024-03-01T00:00:00");
    file("d.mseed", ["XX", "ANMO", "10", "EHN"], "2024-02-29T23:59:50");
    fs::write(root.join("notes.txt"), "not a waveform\n").expect("a file");
    fs::write(root.join("cut.mseed"), &fs::read(root.join("a.mseed")).expect("bytes")[..700])
        .expect("a file");
}

/// The world that every golden file speaks of.
pub fn world() -> Db {
    let mut db = Db::new();
    let root = db.dir.path().to_path_buf();
    let files = [
        ("things.csv", THINGS),
        ("others.csv", OTHERS),
        ("gaia.csv", GAIA),
        ("wise.csv", WISE),
        ("epochs.csv", EPOCHS),
        ("phase.dat", PHASES),
        ("station.dat", "ANMO 34.9459 -106.4572 1820\nTUC 32.3098 -110.7847 910\n"),
        ("inner.sq", "LET included = 42;\n"),
        ("broken.sq", "SELECT nothing FROM things;\n"),
        ("notes.log", "a line of a log file\nanother line\n"),
    ];
    for (name, text) in files {
        fs::write(root.join(name), text).expect("a file");
    }
    archive(&root.join("arc"));
    // Another archive, which has one of the files of the first.
    fs::create_dir(root.join("arc2")).expect("a directory");
    fs::copy(root.join("arc/a.mseed"), root.join("arc2/a.mseed")).expect("a copy");
    let dir = root.display();
    db.run(&format!(
        "IMPORT CATALOG '{dir}/things.csv' INTO things;
         IMPORT CATALOG '{dir}/others.csv' INTO others;
         IMPORT CATALOG '{dir}/gaia.csv' INTO gaia KEY source_id UNITS (parallax mas, pmra mas/yr, pmdec mas/yr, ra deg);
         IMPORT CATALOG '{dir}/wise.csv' INTO wise KEY cntr;
         IMPORT CATALOG '{dir}/epochs.csv' INTO epochs SORTED BY source_id, mjd UNITS (mag mag, mjd d);
         IMPORT EVENTS '{dir}/phase.dat' INTO bridge;
         IMPORT STATIONS '{dir}/station.dat' INTO net;
         IMPORT WAVEFORMS '{dir}/arc' INTO arc"
    ));
    db
}

/// What a user sees of a statement: rows as CSV, else its message; warnings; or the error with its place.
fn answer(db: &mut Db, statement: &str) -> String {
    let dir = db.dir.path().display().to_string();
    let text = match db.try_run(&statement.replace("{dir}", &dir)) {
        Ok((outcomes, csv)) => {
            let mut text = String::new();
            for outcome in &outcomes {
                outcome.notices.iter().for_each(|n| text.push_str(&format!("note: {n}\n")));
                outcome.message.iter().for_each(|m| text.push_str(&format!("{m}\n")));
            }
            text + &csv
        }
        Err(error) => shown(&error) + "\n",
    };
    without_times(&text).replace(&dir, "{dir}").replace("\n\n", "\n")
}

/// Times that were measured, as `# ms` and `in # s`, with one blank before them.
fn without_times(text: &str) -> String {
    let mask = |line: &str| {
        let mut words: Vec<&str> = vec![];
        for word in line.split(' ') {
            let unit = word.trim_matches([',', '"']);
            let is_measured = unit == "ms" || (unit == "s" && words.iter().rev().nth(1) == Some(&"in"));
            if is_measured && words.last().is_some_and(|w| w.contains('.') && w.parse::<f64>().is_ok()) {
                words.pop();
                let own = words.pop_if(|w| *w == "own");
                while words.last() == Some(&"") {
                    words.pop();
                }
                words.extend(own);
                words.push("#");
            }
            words.push(word);
        }
        words.join(" ") + "\n"
    };
    text.lines().map(mask).collect()
}

/// Statements of a golden file with their expected answers.
fn cases(text: &str) -> Vec<(String, String)> {
    let mut cases: Vec<(String, String)> = vec![];
    let mut in_answer = true;
    for line in text.lines() {
        match line.strip_prefix("> ") {
            Some(part) => {
                match cases.last_mut() {
                    Some(case) if !in_answer => case.0 = format!("{}\n{part}", case.0),
                    _ => cases.push((part.to_owned(), String::new())),
                }
                in_answer = false;
            }
            None => {
                in_answer = true;
                let is_answer = !line.is_empty() && !line.starts_with("## ");
                if let Some(case) = cases.last_mut().filter(|_| is_answer) {
                    case.1.push_str(line);
                    case.1.push('\n');
                }
            }
        }
    }
    cases
}

fn blessed(text: &str, answers: &[String]) -> String {
    let mut out = String::new();
    let mut next = answers.iter();
    let mut in_query = false;
    for line in text.lines() {
        let is_query = line.starts_with("> ");
        if in_query && !is_query {
            out.push_str(next.next().map_or("", |a| a.as_str()));
            out.push('\n');
        }
        in_query = is_query;
        if is_query || line.starts_with("## ") {
            out.push_str(line);
            out.push('\n');
        }
    }
    if in_query {
        out.push_str(next.next().map_or("", |a| a.as_str()));
    }
    out
}

fn check(name: &str) {
    check_in(name, world());
}

/// The answers of a golden file in a world.
pub fn check_in(name: &str, mut db: Db) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = fs::read_to_string(&path).expect("a golden file");
    let cases = cases(&text);
    let answers: Vec<String> = cases.iter().map(|(statement, _)| answer(&mut db, statement)).collect();
    if std::env::var_os("STARQUAKE_BLESS").is_some() {
        fs::write(&path, blessed(&text, &answers)).expect("a golden file");
        return;
    }
    let mut wrong = String::new();
    for ((statement, want), got) in cases.iter().zip(&answers) {
        if want != got {
            wrong.push_str(&format!("> {statement}\n--- expected\n{want}--- found\n{got}\n"));
        }
    }
    assert!(cases.len() > 5, "{name} holds {} statements", cases.len());
    assert!(wrong.is_empty(), "{name}:\n{wrong}");
}

/// The table of wrong statements: message, place and help exactly as stated.
#[test]
fn wrong_statements_are_refused_as_stated() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wrong.tsv");
    let text = fs::read_to_string(path).expect("the table");
    let mut db = world();
    let mut failures = String::new();
    for row in text.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let starquake::error::Error::Query(error) = db.error(cells[1]) else {
            failures.push_str(&format!("{row}\n  no diagnostic\n"));
            continue;
        };
        let place = error.span.and_then(|s| cells[1].get(s.start..s.end)).unwrap_or("?");
        let place = if error.span.is_some_and(|s| s.start >= cells[1].len()) { "<end>" } else { place };
        let found = [place, error.message.as_str(), error.help.as_deref().unwrap_or("-")];
        if !place.starts_with(cells[2]) || found[1..] != cells[3..5] {
            failures.push_str(&format!("{row}\n  found {found:?}\n"));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// `-P name=value` beats LET.
#[test]
fn pinned_variables_keep_their_value() {
    let mut db = Db::new();
    db.run("LET r = 3");
    db.session.pinned.insert("r".to_owned());
    db.run("LET r = 4; LET s = $r + 1");
    assert_eq!(db.value("SELECT $r * 10 + $s"), "34");
}

macro_rules! golden {
    ($($name:ident),*) => { $(#[test] fn $name() { check(concat!(stringify!($name), ".txt")); })* };
}

golden!(
    values,
    text_and_time,
    functions,
    aggregates,
    queries,
    joins,
    matches,
    tables,
    statements,
    explain,
    messages,
    messages_unhappy
);
