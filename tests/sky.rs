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
