//! Faults of data name file, row and byte; faults of scripts name file, line and the way through INCLUDE, and are
//! found before the first statement runs.

use std::fs;
use std::path::Path;

use starquake::error::{Error, Source};

use crate::semantics::{check_in, world};
use crate::support::{Db, shown};

const QUAKEML: &str = "<?xml version=\"1.0\"?>\n<q:quakeml xmlns:q=\"http://quakeml.org/xmlns/quakeml/1.2\" xmlns=\"http://quakeml.org/xmlns/bed/1.2\">\n<eventParameters publicID=\"smi:local/all\">\n";
const PHASES: &str =
    "# 2021  3  1 12  0  0.00  35.0000  -97.5000  5.000 2.5 0.1 0.1 0.10 1\nANMO 1.250 1.0 P\n";
const MORE_PHASES: &str = "\
# 2021  3  1 12  0  0.00  35.0000  -97.5000  5.000 2.5 0.1 0.1 0.10 1
ANMO 1.250 1.0 P
TUC 2.250 1.0 P
# 2021  3  2 12  0  0.00  35.0000  -97.5000  5.000 2.5 0.1 0.1 0.10 2
ANMO 1.250 1.0 P
";

/// Files that are not what they should be.
fn malformed(root: &Path) {
    let bad = root.join("bad");
    fs::create_dir_all(bad.join("mixed")).unwrap();
    let event = format!("{QUAKEML}<event publicID=\"smi:local/1\">");
    let texts = [
        ("ragged.csv", "id,ra,dec\n1,10,20\n2,11\n".to_owned()),
        ("wide.csv", "id,ra\n1,10\n2,11,12\n".to_owned()),
        ("unclosed.csv", "id,name\n1,\"M31\n2,M33\n".to_owned()),
        ("nul.csv", "id,name\n1,\0\n".to_owned()),
        ("empty.csv", String::new()),
        ("twice.csv", "id,ra,ra\n1,2,3\n".to_owned()),
        ("reserved.csv", "id,_cell\n1,2\n".to_owned()),
        ("declination.csv", "id,ra,dec\n1,10,95\n2,10,-91\n".to_owned()),
        ("sky.fits", format!("{:<80}", "SIMPLE  =                    T")),
        ("mixed/a.csv", "id,ra\n1,2\n".to_owned()),
        ("mixed/b.csv", "id,dec\n1,2\n".to_owned()),
        ("one.csv", "id,ra,dec,plx,mag\n2,10,20,5,1.5\n1,10,20,7,\n".to_owned()),
        ("two.csv", "id,plx,dec,ra\n3,0.5,21,11\n".to_owned()),
        ("three.csv", "id,plx,dec,ra\nx,0.5,21,11\n".to_owned()),
        ("tags.xml", format!("{event}</evnt>")),
        ("cut.xml", format!("{event}<origin publicID=\"smi:local/o\"><time><value>2024-")),
        ("entity.xml", "<!DOCTYPE q [<!ENTITY a \"b\">]><q:quakeml>&a;</q:quakeml>".to_owned()),
        (
            "phase.dat",
            "# 2021 13  1 12  0  0.00  35.0 -97.5 5.0 2.5 0.1 0.1 0.10 1\nANMO x 1.0 P\n".to_owned(),
        ),
        ("station.dat", "ANMO 34.9459 -106.4572\nTUC north -110.7847\n".to_owned()),
    ];
    for (name, text) in texts {
        fs::write(bad.join(name), text).unwrap();
    }
    fs::write(bad.join("latin1.csv"), b"id,name\n1,caf\xe9\n").unwrap();
    fs::write(bad.join("sky.csv.gz"), b"\x1f\x8b\x08\0\0\0").unwrap();
    fs::create_dir(root.join("quakes")).unwrap();
    fs::write(root.join("quakes/a.dat"), PHASES).unwrap();
    fs::write(root.join("quakes/b.txt"), "these are no events\n").unwrap();
    fs::write(root.join("more.dat"), MORE_PHASES).unwrap();
    let whole = fs::read(root.join("arc/a.mseed")).unwrap();
    let waves = root.join("waves");
    fs::create_dir(&waves).unwrap();
    fs::write(waves.join("whole.mseed"), &whole).unwrap();
    fs::write(waves.join("cut.mseed"), &whole[..whole.len() - 100]).unwrap();
    let mut damaged = whole.clone();
    damaged[512..560].fill(0xFF);
    fs::write(waves.join("damaged.mseed"), damaged).unwrap();
}

/// A Parquet file of our own, cut and damaged.
fn bad_parquet(db: &mut Db, root: &Path) {
    db.run(&format!("COPY (SELECT * FROM gaia) TO '{}/whole.parquet'", root.display()));
    let whole = fs::read(root.join("whole.parquet")).unwrap();
    fs::write(root.join("bad/cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    let mut flipped = whole.clone();
    flipped[40..60].fill(0xAA);
    fs::write(root.join("bad/flipped.parquet"), flipped).unwrap();
    let mut footer = whole.clone();
    let end = footer.len();
    footer[end - 8..end - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(root.join("bad/footer.parquet"), footer).unwrap();
}

#[test]
fn messages_data() {
    let mut db = world();
    let root = db.dir.path().to_path_buf();
    malformed(&root);
    bad_parquet(&mut db, &root);
    check_in("messages_data.txt", db);
}

/// A database, and files of scripts beside it.
fn scripts(files: &[(&str, &str)]) -> Db {
    let mut db = Db::new();
    let root = db.dir.path().to_path_buf();
    for (name, text) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("{dir}", &root.display().to_string())).unwrap();
    }
    db.run(&format!("IMPORT CATALOG '{}/t.csv' INTO t", root.display()));
    db
}

const TABLE: (&str, &str) = ("t.csv", "id,x\n1,2\n3,4\n");

/// Runs a file; what a user sees of its error, with the directory as {dir}.
fn run_file(db: &mut Db, name: &str) -> String {
    let root = db.dir.path().display().to_string();
    let name = format!("{root}/{name}");
    let source = Source { text: fs::read_to_string(&name).unwrap(), name };
    let how = (&mut Nothing as &mut dyn starquake::database::Output, &starquake::progress::Silent as _);
    match db.database.script(&mut db.session, &source, how) {
        Ok(_) => "ran\n".to_owned(),
        Err(error) => shown(&error).replace(&root, "{dir}"),
    }
}

struct Nothing;

impl starquake::database::Output for Nothing {
    fn begin(&mut self, _: &starquake::model::table::Schema) -> starquake::error::Result<()> {
        Ok(())
    }

    fn batch(&mut self, _: &starquake::model::table::Batch) -> starquake::error::Result<()> {
        Ok(())
    }
}

/// Scripts whose last statement is wrong: nothing of them runs. The COPY that each begins with leaves no file.
#[test]
fn a_wrong_script_is_found_before_it_runs() {
    const FIRST: &str = "COPY (SELECT * FROM t) TO '{dir}/ran.csv';\n";
    // the files, what the error says in this order
    let cases: &[(&[(&str, &str)], &[&str])] = &[
        (&[("a.sq", "SELECT y FROM t")], &["no column `y` in `t`", "a.sq:2:8"]),
        (&[("a.sq", "SELECT x FROM u")], &["no table `u`", "a.sq:2:15"]),
        (&[("a.sq", "SELECT x FORM t")], &["did you mean `FROM`"]),
        (
            &[("a.sq", "INCLUDE 'b.sq'"), ("b.sq", "\nSELECT FROM t")],
            &["b.sq:2:8", "= included at {dir}/a.sq:2:9"],
        ),
        (
            &[("a.sq", "INCLUDE 'in/b.sq'"), ("in/b.sq", "INCLUDE 'c.sq'"), ("in/c.sq", "SELECT y FROM t")],
            &["in/c.sq:1:8", "= included at {dir}/in/b.sq:1:9", "= included at {dir}/a.sq:2:9"],
        ),
        (&[("a.sq", "INCLUDE 'a.sq'")], &["includes itself", "a.sq:2:9"]),
        (
            &[("a.sq", "INCLUDE 'b.sq'"), ("b.sq", "INCLUDE 'a.sq'")],
            &["includes itself", "b.sq:1:9", "= included at {dir}/a.sq:2:9"],
        ),
        (&[("a.sq", "INCLUDE 'none.sq'")], &["cannot include {dir}/none.sq", "relative to the file"]),
        (
            &[("a.sq", "LET f = 'b' || '.sq'; INCLUDE $f"), ("b.sq", "SELECT 1 +")],
            &["b.sq:1:11", "a.sq:2:31"],
        ),
        (&[("a.sq", "LET r = 3 arcsecs")], &["unknown unit"]),
        (&[("a.sq", "LET v = (SELECT id FROM t); SELECT x FROM $v")], &["no column `x`"]),
        (&[("a.sq", "IMPORT CATALOG '{dir}/t.csv' INTO u; SELECT y FROM u")], &["no column `y` in `u`"]),
        (&[("a.sq", "IMPORT CATALOG '{dir}/t.csv' INTO u KEY idd")], &["no column `idd`", "a.sq:2:"]),
        (&[("a.sq", "DROP TABLE t; SELECT x FROM t")], &["no table `t`"]),
        (&[("a.sq", "REFRESH nothing")], &["no source of waveforms"]),
        (&[("a.sq", "COPY (SELECT x FROM t) TO '{dir}/t.csv'")], &["already there"]),
        (&[("a.sq", "SET thread = 3")], &["did you mean `threads`"]),
    ];
    for (files, wants) in cases {
        let mut all = vec![TABLE];
        let first = format!("{FIRST}{}", files[0].1);
        all.push((files[0].0, &first));
        all.extend(&files[1..]);
        let mut db = scripts(&all);
        let told = run_file(&mut db, "a.sq");
        let mut rest = told.as_str();
        for want in *wants {
            let at = rest.find(want).unwrap_or_else(|| panic!("{}: no {want:?} in\n{told}", files[0].1));
            rest = &rest[at..];
        }
        assert!(!db.dir.path().join("ran.csv").exists(), "{} ran", files[0].1);
    }
}

/// What is not there before the script runs is bound when it is reached.
#[test]
fn a_script_may_use_what_it_makes() {
    let cases = [
        "IMPORT CATALOG '{dir}/t.csv' INTO u; SELECT x FROM u",
        "COPY (SELECT id AS k FROM t) TO '{dir}/new.csv'; IMPORT CATALOG '{dir}/new.csv' INTO u; SELECT k FROM u",
        "COPY (SELECT id AS k FROM t) TO '{dir}/u.csv'; IMPORT CATALOG '{dir}/u.csv'; SELECT k FROM u",
        "LET n = (SELECT COUNT(*) AS n FROM t); SELECT id FROM t LIMIT $n",
        "LET n = (SELECT MAX(x) AS m FROM t); LET k = $n + 1; SELECT $k AS k",
        "LET v = (SELECT k FROM u); COPY (SELECT id AS k FROM t) TO '{dir}/u.csv'; IMPORT CATALOG '{dir}/u.csv'; FROM $v",
        "SELECT id FROM t WHERE x > (SELECT MIN(x) FROM t)",
        "DROP TABLE t; IMPORT CATALOG '{dir}/t.csv' INTO t; SELECT x FROM t",
        "DROP TABLE IF EXISTS nothing; SELECT x FROM t",
        "IMPORT CATALOG '{dir}/t.csv' INTO t; IMPORT CATALOG '{dir}/t.csv' INTO t",
        "INCLUDE 'lib.sq'; SELECT id FROM t WHERE x > $least",
        "COPY (SELECT * FROM t) TO '{dir}/o.csv' REPLACE; COPY (SELECT * FROM t) TO '{dir}/o.csv' APPEND",
    ];
    for text in cases {
        let mut db = scripts(&[TABLE, ("lib.sq", "LET least = 1;"), ("a.sq", text)]);
        let told = run_file(&mut db, "a.sq");
        assert_eq!(told, "ran\n", "{text}");
        // A script whose COPYs say REPLACE, and whose imports name what is there, runs again.
        if !text.contains("COPY") && !text.contains("DROP TABLE t;") {
            assert_eq!(run_file(&mut db, "a.sq"), "ran\n", "{text} again");
        }
    }
}

/// A fault of data in an included file is told with its statement and the way there.
#[test]
fn data_faults_of_included_files_have_the_way_to_them() {
    let ragged = ("ragged.csv", "id,x\n1\n");
    let mut db = scripts(&[
        TABLE,
        ragged,
        ("a.sq", "SELECT 1;\nINCLUDE 'b.sq';\n"),
        ("b.sq", "IMPORT CATALOG '{dir}/ragged.csv' INTO r;\n"),
    ]);
    let told = run_file(&mut db, "a.sq");
    for want in ["{dir}/ragged.csv, line 2", "--> {dir}/b.sq:1:", "= included at {dir}/a.sq:2:9"] {
        assert!(told.contains(want), "{want}:\n{told}");
    }
}

/// All mistakes of a script, and what cannot be said of it yet.
#[test]
fn check_tells_every_mistake() {
    let text = "\
SELECT y FROM t;
SELECT x FORM t;
SELECT x, 'a;b' FROM t;
IMPORT CATALOG 'later.csv' INTO l;
SELECT z FROM l;
SELECT id FROM t WHERE x > (SELECT MIN(x) FROM t);
LET 3 = 4;
SELECT nothing.x FROM t;
";
    let db = scripts(&[TABLE]);
    let source = Source { name: "s.sq".to_owned(), text: text.to_owned() };
    let ahead = db.database.check_script(&db.session, &source, true).unwrap();
    let lines: Vec<usize> = ahead
        .errors
        .iter()
        .map(|e| match e {
            Error::Query(d) => 1 + text[..d.span.unwrap().start].matches('\n').count(),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(lines, [1, 2, 7, 8]);
    assert_eq!(ahead.statements, 6);
    let unbound = ahead.unbound.join("\n");
    for want in [
        "s.sq:4:16: later.csv is not there yet",
        "s.sq:5:15: `l` is made by this script",
        "s.sq:6:1: it needs",
    ] {
        assert!(unbound.contains(want), "{want}:\n{unbound}");
    }
    let empty = Db::new();
    let without = empty.database.check_script(&empty.session, &source, false).unwrap();
    assert_eq!(without.errors.len(), 2, "only what does not parse: {:?}", without.errors);
}

/// COPY writes what a link points to, keeps the mode of a file, and leaves special files alone.
#[test]
fn copy_keeps_modes_and_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mut db = scripts(&[TABLE]);
    let root = db.dir.path().to_path_buf();
    let (file, link) = (root.join("o.csv"), root.join("link.csv"));
    fs::write(&file, "old\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    symlink("o.csv", &link).unwrap();
    db.run(&format!("COPY (SELECT id FROM t) TO '{}' REPLACE", link.display()));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), "id\n1\n3\n");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    symlink("nowhere", root.join("dangling.csv")).unwrap();
    for (path, want) in
        [("dangling.csv".to_owned(), "a link to a file"), ("/dev/null".to_owned(), "not a regular file")]
    {
        let text = format!("COPY (SELECT id FROM t) TO '{}' REPLACE FORMAT csv", root.join(path).display());
        let told = shown(&db.error(&text));
        assert!(told.contains(want), "{told}");
    }
    let read_only = starquake::database::Options { is_read_only: true, ..Default::default() };
    let database = starquake::database::Database::open(root.join("t.sqk"), read_only).unwrap();
    let text = format!("COPY (SELECT id FROM t) TO '{}'", root.join("new.csv").display());
    let source = Source { name: "a".to_owned(), text };
    let how = (&mut Nothing as &mut dyn starquake::database::Output, &starquake::progress::Silent as _);
    database.script(&mut db.session, &source, how).unwrap();
    assert!(root.join("new.csv").exists(), "read-only guards the database, not the outputs");
}

/// Another archive under a name that is taken loses nothing unless REPLACE says so; a moved one keeps its rows.
#[test]
fn an_archive_moves_only_with_its_files() {
    let mut db = world();
    let root = db.dir.path().display().to_string();
    let count = |db: &mut Db| db.value("SELECT COUNT(*) FROM files WHERE source = 'arc'");
    let before = count(&mut db);
    let told = shown(&db.error(&format!("IMPORT WAVEFORMS '{root}/arc2' INTO arc")));
    assert!(told.contains("INTO name") && told.contains("REPLACE"), "{told}");
    assert_eq!(count(&mut db), before);
    fs::rename(format!("{root}/arc"), format!("{root}/moved")).unwrap();
    db.run(&format!("IMPORT WAVEFORMS '{root}/moved' INTO arc"));
    assert_eq!(count(&mut db), before);
    db.run(&format!("IMPORT WAVEFORMS '{root}/arc2' INTO arc REPLACE"));
    assert_eq!(count(&mut db), "1");
}

/// EXPLAIN says what would be done and does nothing.
#[test]
fn explain_of_statements_that_write() {
    let mut db = world();
    let root = db.dir.path().display().to_string();
    let cases = [
        ("REFRESH".to_owned(), "compares the files below"),
        ("REFRESH arc".to_owned(), "refresh: `arc`"),
        (format!("IMPORT WAVEFORMS '{root}/arc2' INTO other"), "1 file new: read"),
        (format!("IMPORT CATALOG '{root}/wise.csv' INTO other"), "makes `other`"),
        (format!("COPY (SELECT id FROM things) TO '{root}/o.csv'"), "copy to"),
    ];
    let tables = db.csv("SHOW SOURCES");
    for (statement, want) in cases {
        let plan = db.csv(&format!("EXPLAIN {statement}"));
        assert!(plan.contains(want), "{statement}\n{plan}");
    }
    assert_eq!(db.csv("SHOW SOURCES"), tables);
    assert!(!Path::new(&root).join("o.csv").exists());
}
