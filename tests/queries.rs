//! The files of `grammar/queries`, one per construct, through the public API: they parse, and what is printed of
//! them parses again. The tables of wrong statements are told with message, help and a drawn place.

use std::path::Path;

use starquake::lang::diagnostic::render;
use starquake::lang::parse::{script, statement};

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn every_query_file_parses_and_prints() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder("grammar/queries")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let statements = script(&name, &text).unwrap_or_else(|d| panic!("{}", render(&d, false)));
        assert!(!statements.is_empty(), "{name}");
        for parsed in statements {
            let printed = parsed.to_string();
            let again = statement("printed", &printed).unwrap_or_else(|d| panic!("{}", render(&d, false)));
            assert_eq!(again.to_string(), printed, "{name}");
        }
        count += 1;
    }
    assert!(count > 30, "{count} files");
}

#[test]
fn every_wrong_statement_is_drawn_with_its_place() {
    let mut count = 0;
    for table in ["wrong.tsv", "wrong_syntax.tsv"] {
        let text = std::fs::read_to_string(folder("tests/data").join(table)).unwrap();
        for row in text.lines().skip(1).filter(|row| row.starts_with("S\t")) {
            let cells: Vec<&str> = row.split('\t').collect();
            let d = script(table, cells[1]).unwrap_err();
            let drawn = render(&d, false);
            let lines: Vec<&str> = drawn.lines().collect();
            assert!(
                lines[0].starts_with("error: ") && lines[1].starts_with(&format!("  --> {table}:1:")),
                "{drawn}"
            );
            assert!(lines[2].starts_with("1 | ") && lines[3].contains('^'), "{drawn}");
            assert_eq!(lines.len(), 4, "{drawn}");
            assert_eq!(cells[4] != "-", drawn.contains(" help: "), "{drawn}");
            count += 1;
        }
    }
    assert!(count > 80, "{count} statements");
}
