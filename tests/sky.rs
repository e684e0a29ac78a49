//! Catalogues through the whole program: the published TASNI tables, HATS catalogues, and a generated sky with
//! planted partners.

use crate::support::{Db, data};

/// Find a file of the corpus by the end of its path.
fn find(root: &std::path::Path, name: &str) -> std::path::PathBuf {
    let mut pending = vec![root.to_path_buf()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.ends_with(name) {
                return path;
            }
        }
    }
    panic!("{name} is not below {}", root.display());
}

#[test]
fn every_epoch_of_tasni_finds_its_own_source() {
    let Some(root) = data("every_epoch_of_tasni") else { return };
    let root = root.join("denster32+TASNI");
    let mut db = Db::new();
    for (file, name) in [
        ("neowise_epochs.parquet", "epochs"),
        ("tier5_cleaned.parquet", "tier5"),
        ("tasni_golden_targets.csv", "golden"),
    ] {
        db.run(&format!("IMPORT CATALOG '{}' INTO {name}", find(&root, file).display()));
    }
    let pairs = db.rows(
        "SELECT COUNT(*) AS n, SUM(CASE WHEN e.designation = t.designation THEN 1 ELSE 0 END) AS own
         FROM epochs AS e CROSSMATCH tier5 AS t WITHIN 3 arcsec NEAREST",
    );
    assert_eq!(pairs, [["38700", "38700"]]);
    let counts = [
        ("SELECT COUNT(*) FROM epochs AS e CROSSMATCH golden AS g WITHIN 3 arcsec NEAREST", "31862"),
        ("SELECT COUNT(*) FROM epochs AS e ANTI CROSSMATCH golden AS g WITHIN 3 arcsec", "6838"),
        ("SELECT COUNT(*) FROM epochs AS e SEMI CROSSMATCH golden AS g WITHIN 3 arcsec", "31862"),
        ("SELECT COUNT(*) FROM epochs AS e LEFT CROSSMATCH golden AS g WITHIN 3 arcsec", "38700"),
    ];
    for (query, want) in counts {
        assert_eq!(db.value(query), want, "{query}");
    }
}

/// Relative tolerances of the published columns: those of single precision are wider.
const TASNI_NUMBERS: [(&str, f64); 11] = [
    ("n_epochs", 0.0),
    ("baseline_years", 1e-12),
    ("rms_w1", 2e-7),
    ("rms_w2", 2e-7),
    ("chi2_w1", 2e-5),
    ("chi2_w2", 2e-5),
    ("stetson_j", 2e-4),
    ("trend_w1", 1e-12),
    ("trend_w2", 1e-12),
    ("trend_p_w1", 1e-12),
    ("trend_p_w2", 1e-12),
];

#[test]
fn the_published_variability_of_tasni_is_reproduced() {
    let Some(root) = data("the_published_variability") else { return };
    let root = root.join("denster32+TASNI");
    let mut db = Db::new();
    db.run(&format!("IMPORT CATALOG '{}' INTO epochs", find(&root, "neowise_epochs.parquet").display()));
    let ours = db.csv(
        "VARIABILITY OF epochs BY designation TIME mjd BAND w1(w1mpro_ep, w1sigmpro_ep) BAND w2(w2mpro_ep, w2sigmpro_ep) COMPAT tasni",
    );
    let ours = crate::support::csv_reader(&ours);
    let text = std::fs::read_to_string(find(&root, "golden_variability_half.csv")).expect("truth");
    let theirs = crate::support::csv_reader(&text);
    assert_eq!(theirs.len(), 51);
    let column = |table: &[Vec<String>], name: &str| {
        table[0].iter().position(|c| c == name).unwrap_or_else(|| panic!("{name} is not in {:?}", table[0]))
    };
    for want in &theirs[1..] {
        let key = &want[column(&theirs, "designation")];
        let got = ours.iter().find(|r| &r[column(&ours, "designation")] == key);
        let got = got.unwrap_or_else(|| panic!("{key} is missing"));
        for (name, tolerance) in TASNI_NUMBERS {
            let (g, w) = (&got[column(&ours, name)], &want[column(&theirs, name)]);
            let (g, w) = (g.parse::<f64>().ok(), w.parse::<f64>().ok().filter(|v| v.is_finite()));
            match (g, w) {
                (Some(g), Some(w)) => {
                    assert!((g - w).abs() <= tolerance * w.abs() + 1e-300, "{key} {name}: {g} {w}")
                }
                _ => assert_eq!(g, w, "{key} {name}"),
            }
        }
        for name in ["is_variable", "is_stable", "trend_type", "variability_score", "variability_flag"] {
            let (g, w) = (&got[column(&ours, name)], &want[column(&theirs, name)]);
            let same = g.eq_ignore_ascii_case(w)
                || (g.parse::<f64>().ok().is_some() && g.parse::<f64>() == w.parse::<f64>());
            assert!(same, "{key} {name}: {g} {w}");
        }
    }
}

/// A sky in which every partner is known: a sparse spiral, displaced copies of some of its rows, and orphans halfway
/// between its turns. Poles and the wrap of right ascension are in it.
fn spiral(rows: usize) -> (String, String, usize) {
    let (mut left, mut right, mut partners) = (String::from("id,ra,dec\n"), String::from("id,ra,dec\n"), 0);
    for i in 0..rows {
        let z = 1.0 - 2.0 * (i as f64 + 0.5) / rows as f64;
        let ra = (i as f64 * 137.507_764_050_037_85).rem_euclid(360.0);
        let dec = z.asin().to_degrees();
        right.push_str(&format!("{},{ra},{dec}\n", 1_000_000_000_000 + i as i64));
        match i % 4 {
            0 => left.push_str(&format!("{i},{ra},{}\n", (dec + 1.0 / 3600.0).min(90.0))),
            1 => left.push_str(&format!("{i},{},{dec}\n", ra + 360.0)),
            2 => left.push_str(&format!("{i},{ra},{}\n", (dec + 20.0 / 3600.0).min(90.0))),
            _ => continue,
        }
        partners += usize::from(i % 4 < 2);
    }
    (left, right, partners)
}

#[test]
fn planted_partners_are_found_and_orphans_are_not() {
    let mut db = Db::new();
    let (left, right, partners) = spiral(40_000);
    let path = |name: &str| db.dir.path().join(name).display().to_string();
    let (a, b) = (path("a.csv"), path("b.csv"));
    std::fs::write(&a, left).expect("a file");
    std::fs::write(&b, right).expect("a file");
    db.run(&format!("IMPORT CATALOG '{a}' INTO a KEY id; IMPORT CATALOG '{b}' INTO b KEY id"));
    let total: usize = db.value("SELECT COUNT(*) FROM a").parse().expect("a number");
    let pairs = db.rows(
        "SELECT COUNT(*) AS n, SUM(CASE WHEN b.id - a.id = 1000000000000 THEN 1 ELSE 0 END) AS own
         FROM a CROSSMATCH b WITHIN 3 arcsec",
    );
    assert_eq!(pairs, [[partners.to_string(), partners.to_string()]]);
    let counts = [
        ("SELECT COUNT(*) FROM a ANTI CROSSMATCH b WITHIN 3 arcsec", total - partners),
        ("SELECT COUNT(*) FROM a SEMI CROSSMATCH b WITHIN 3 arcsec", partners),
        ("SELECT COUNT(*) FROM a LEFT CROSSMATCH b WITHIN 3 arcsec", total),
        (
            "SELECT COUNT(*) FROM a LEFT CROSSMATCH b WITHIN 3 arcsec WHERE separation IS NULL",
            total - partners,
        ),
        ("SELECT COUNT(*) FROM a CROSSMATCH b WITHIN 30 arcsec NEAREST", total),
    ];
    for (query, want) in counts {
        assert_eq!(db.value(query), want.to_string(), "{query}");
    }
    few_rows_are_looked_up_in_the_tree(&mut db);
    let plan = db.csv("EXPLAIN SELECT id FROM b WHERE pos IN CIRCLE(0, 89.9, 1 deg)");
    assert!(plan.contains("HEALPix cells of the region"), "{plan}");
    let cone = db.value("SELECT COUNT(*) FROM b WHERE pos IN CIRCLE(10, 89.5, 2 deg)");
    let adql = db.value(
        "SELECT COUNT(*) FROM b WHERE 1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 10, 89.5, 2))",
    );
    let slow = db.value("SELECT COUNT(*) FROM b WHERE DISTANCE(POINT(ra, dec), POINT(10, 89.5)) <= 2");
    assert_eq!((&cone, &adql), (&slow, &slow));
    assert_ne!(cone, "0");
}

/// A small left side goes through the archived tree, and finds what the merge of all rows finds.
fn few_rows_are_looked_up_in_the_tree(db: &mut Db) {
    for (kind, radius) in
        [("SEMI", "3 arcsec"), ("ANTI", "3 arcsec"), ("SEMI", "2 deg"), ("ANTI", "0 arcsec")]
    {
        let few = format!(
            "SELECT id FROM (SELECT * FROM a WHERE id < 400) AS a {kind} CROSSMATCH b WITHIN {radius}"
        );
        let analyzed = db.csv(&format!("EXPLAIN ANALYZE {few}"));
        assert!(analyzed.contains("k-d tree"), "{analyzed}");
        let all = format!(
            "SELECT id FROM (SELECT * FROM a {kind} CROSSMATCH b WITHIN {radius}) AS x WHERE id < 400"
        );
        let sorted = |query: String, db: &mut Db| db.rows(&format!("{query} ORDER BY id"));
        assert_eq!(sorted(few, db), sorted(all, db), "{kind} {radius}");
    }
}
