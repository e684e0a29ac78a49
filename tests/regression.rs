//! Faults that were found by use, each kept from coming back.

use starquake::database::{Database, Options};

use crate::support::{Db, shown};

fn write(db: &Db, name: &str, text: &str) -> String {
    let path = db.dir.path().join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

/// A process killed while it made the database left something that no import could use.
#[test]
fn a_half_made_database_is_finished_by_the_next_import() {
    let mut db = Db::new();
    let file = write(&db, "a.csv", "id\n1\n2\n");
    db.run(&format!("IMPORT CATALOG '{file}' INTO a"));
    let path = db.dir.path().join("t.sqk");
    std::fs::remove_file(path.join("snapshot")).expect("a snapshot");
    drop(Database::create(&path, Options::default()).expect("it is mended"));
    assert_eq!(db.value("SELECT COUNT(*) FROM a"), "2", "nothing committed is lost");
    let empty = db.dir.path().join("empty.sqk");
    for made in [vec![], vec!["segments", "snapshots"]] {
        std::fs::create_dir_all(&empty).expect("a directory");
        made.iter().for_each(|d| std::fs::create_dir_all(empty.join(d)).expect("a directory"));
        Database::create(&empty, Options::default()).expect("it is finished");
        std::fs::remove_dir_all(&empty).expect("a directory");
    }
}

/// Values that a column cannot hold were cut or blanked.
#[test]
fn appended_values_are_never_changed() {
    for value in ["1.75", "2024-01-01", "99999999999999999999", "abc"] {
        let mut db = Db::new();
        let first = write(&db, "1.csv", "id,x\n1,1\n");
        let second = write(&db, "2.csv", &format!("id,x\n2,{value}\n"));
        db.run(&format!("IMPORT CATALOG '{first}' INTO t"));
        let error = shown(&db.error(&format!("IMPORT CATALOG '{second}' INTO t APPEND")));
        assert!(error.contains("column `x`"), "{value}: {error}");
        assert_eq!(db.rows("SELECT id, x FROM t"), [["1", "1"]]);
    }
    let mut db = Db::new();
    let first = write(&db, "1.csv", "id,x\n1,1.5\n");
    let second = write(&db, "2.csv", "id,x\n2,3\n");
    db.run(&format!("IMPORT CATALOG '{first}' INTO t; IMPORT CATALOG '{second}' INTO t APPEND"));
    assert_eq!(db.value("SELECT SUM(x) FROM t"), "4.5", "an INT that a FLOAT holds exactly is welcome");
}

/// A column with the name of a hidden one was taken for it.
#[test]
fn names_of_hidden_columns_are_refused() {
    let mut db = Db::new();
    let file = write(&db, "a.csv", "id,ra,dec,_cell\n1,2,3,4\n");
    let error = shown(&db.error(&format!("IMPORT CATALOG '{file}' INTO a")));
    assert!(error.contains("`_cell` is reserved"), "{error}");
}

/// Two versions of a bulletin with the same ids lent each other their picks.
#[test]
fn events_of_a_source_have_the_picks_of_that_source() {
    let mut db = Db::new();
    let phases = |shift: f64| {
        let event = |id: i32, minute: i32| {
            let pick = |station: &str, tt: f64| format!("{station} {:.3} 1.0 P\n", tt + shift);
            format!("# 2024 1 1 0 {minute} 0.0 46.0 7.0 5.0 2.0 0 0 0 {id}\n")
                + &pick("AAA", 1.0)
                + &pick("BBB", 2.0)
        };
        event(1, 1) + &event(2, 2)
    };
    let (one, two) = (
        write(&db, "one.pha", &phases(0.0)),
        write(
            &db,
            "two.pha",
            "# 2024 1 1 0 1 0.0 46.0 7.0 5.0 2.0 0 0 0 1\n# 2024 1 1 0 2 0.0 46.0 7.0 5.0 2.0 0 0 0 2\n",
        ),
    );
    db.run(&format!("IMPORT EVENTS '{one}' INTO one; IMPORT EVENTS '{two}' INTO two"));
    assert_eq!(db.value("SELECT n_links FROM PAIRS OF one MAXSEP ALL"), "2");
    assert_eq!(db.rows("SELECT n_links FROM PAIRS OF two MAXSEP ALL").len(), 0, "`two` has no picks");
}
