//! Waveform archives through the whole program.

use std::collections::BTreeMap;
use std::fs;

use crate::support::{Db, csv_reader, data};

type Sets = BTreeMap<String, Vec<(i64, i64, String)>>;

fn truth(text: &str, key: &dyn Fn(&BTreeMap<&str, &str>) -> Option<(String, (i64, i64, String))>) -> Sets {
    let rows = csv_reader(text);
    let mut sets = Sets::new();
    for row in &rows[1..] {
        let named: BTreeMap<&str, &str> =
            rows[0].iter().map(String::as_str).zip(row.iter().map(String::as_str)).collect();
        if let Some((file, segment)) = key(&named) {
            sets.entry(file).or_default().push(segment);
        }
    }
    sets.values_mut().for_each(|v| v.sort());
    sets
}

fn rate(text: &str) -> String {
    format!("{:.6e}", text.parse::<f64>().unwrap_or(f64::NAN))
}

fn ns(text: &str) -> i64 {
    starquake::model::time::Time::parse(text).expect("a time").0
}

#[test]
fn the_public_corpus_is_indexed_as_libmseed_and_obspy_read_it() {
    let Some(root) = data("the_public_corpus") else { return };
    let mut db = Db::new();
    let outcomes = db.run(&format!("IMPORT WAVEFORMS '{}' INTO corpus", root.display()));
    assert!(outcomes[0].unreadable > 0, "the tree holds unreadable files: {outcomes:?}");
    let mut ours = Sets::new();
    for row in db.rows("SELECT path, starttime, npts, sampling_rate FROM segments") {
        let segment = (ns(&row[1]), row[2].parse().expect("npts"), rate(&row[3]));
        ours.entry(row[0].clone()).or_default().push(segment);
    }
    ours.values_mut().for_each(|v| v.sort());
    let text = fs::read_to_string(root.join("truth/waveforms_libmseed.csv")).expect("truth");
    let libmseed = truth(&text, &|r| {
        let number = |k: &str| r[k].parse::<i64>().expect("a number");
        Some((r["file"].to_owned(), (number("start_ns"), number("samplecnt"), rate(r["samprate"]))))
    });
    assert!(libmseed.len() > 30);
    for (file, want) in &libmseed {
        assert_eq!(ours.get(file), Some(want), "{file}");
    }
    let text = fs::read_to_string(root.join("truth/waveforms_obspy.csv")).expect("truth");
    let sac = truth(&text, &|r| {
        let number = |k: &str| r[k].parse::<i64>().expect("a number");
        let is_sac = r["format"].starts_with("SAC");
        is_sac.then(|| (r["file"].to_owned(), (number("start_ns"), number("npts"), rate(r["sampling_rate"]))))
    });
    assert!(sac.len() >= 4, "{}", sac.len());
    for (file, want) in &sac {
        let got = ours.get(file).unwrap_or_else(|| panic!("{file} is not indexed"));
        for (g, w) in got.iter().zip(want) {
            assert!((g.0 - w.0).abs() <= 1000 && g.1 == w.1 && g.2 == w.2, "{file}: {g:?} {w:?}");
        }
    }
    readers_are_matched(&mut db, &root);
    let again = db.run("REFRESH corpus");
    assert!(again[0].message.as_deref().unwrap_or("").contains("0 files opened"), "{again:?}");
}

/// Every file that libmseed or ObsPy opens is indexed; every other has a state and, if it is bad, a reason.
fn readers_are_matched(db: &mut Db, root: &std::path::Path) {
    let files: BTreeMap<String, Vec<String>> = db
        .rows("SELECT path, state, reason, bad_offset FROM files")
        .into_iter()
        .map(|row| (row[0].clone(), row))
        .collect();
    let rows = csv_reader(&fs::read_to_string(root.join("truth/readers.csv")).expect("truth"));
    let mut checked = 0;
    for row in rows.iter().filter(|r| ["libmseed3", "obspy.read"].contains(&r[1].as_str()) && r[2] == "ok") {
        let state = &files.get(&row[0]).unwrap_or_else(|| panic!("{} is not listed", row[0]))[1];
        assert!(["ok", "partly", "no_time"].contains(&state.as_str()), "{}: {state}", row[0]);
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
    for row in files.values().filter(|r| r[1] == "unreadable") {
        assert!(!row[2].is_empty() && !row[3].is_empty(), "{row:?}");
    }
}
