//! Every rule of a refresh, as changes of a small archive: what SHOW CHANGES says, what REFRESH opens, and that the
//! result is what a fresh build of the same tree would be. Then GAPS and COVERAGE on a hand-made archive.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use starquake::error::Error;
use starquake::store::Store;

use crate::support::{Db, shown};
use crate::tree::{RECORD_BYTES, copy, fingerprint, fresh, import, mseed, old, put, raw, sac, touch};

/// A tree of good and bad files, all older than any scan.
fn plant(root: &Path) {
    for (number, sta) in ["AAA", "BBB", "CCC", "DDD"].into_iter().enumerate() {
        for day in 1..=3 {
            let start = format!("2020-01-{day:02}T00:00:00");
            let bytes = mseed(&format!("XX.{sta}.00.HHZ"), &start, 100.0, 400 + 10 * day);
            put(&root.join(format!("{sta}/{day}.ms")), &bytes, old(number as u64 * 10 + day as u64));
        }
    }
    put(&root.join("sac/one.sac"), &sac("XX.EEE.00.HHZ", "2020-01-01T00:00:00.25"), old(50));
    put(&root.join("sac/readme.txt"), b"not a waveform, only words about some\n", old(51));
    let good = mseed("XX.FFF.00.HHZ", "2020-01-01", 100.0, 100);
    put(&root.join("bad/cut.ms"), &[&good[..], &good[..200]].concat(), old(52));
    put(&root.join("bad/short.ms"), &good[..200], old(53));
}

/// Kind and path of each change, by path.
fn changes(db: &mut Db) -> Vec<(String, String)> {
    db.rows("SHOW CHANGES arc").into_iter().map(|row| (row[1].clone(), row[2].clone())).collect()
}

/// What REFRESH says it did: `files opened` -> 3.
fn refreshed(db: &mut Db) -> BTreeMap<String, u64> {
    let message = db.run("REFRESH arc").remove(0).message.unwrap_or_default();
    let counts = message.split_once(": ").expect("a message").1;
    let count = |part: &str| {
        let (number, what) = part.split_once(' ').expect("a count");
        (what.to_owned(), number.parse().expect("a number"))
    };
    counts.split(", ").map(count).collect()
}

fn count(db: &mut Db, what: &str) -> String {
    db.value(&format!("SELECT count(*) FROM {what}"))
}

/// A change of the tree, the changes that it is, and how many files are read whole and compared by their ends.
struct Case {
    name: &'static str,
    make: fn(&Path),
    changes: &'static [(&'static str, &'static str)],
    opened: u64,
    probed: u64,
}

/// Written in place: same inode, and the old size and time of change put back.
fn rewrite(path: &Path, bytes: &[u8]) {
    let mtime = fs::metadata(path).and_then(|m| m.modified()).expect("a time");
    fs::write(path, bytes).expect("written in place");
    touch(path, mtime);
}

fn rename(root: &Path, from: &str, to: &str) {
    fs::create_dir_all(root.join(to).parent().expect("a directory")).expect("a directory");
    fs::rename(root.join(from), root.join(to)).expect("renamed");
}

const CASES: &[Case] = &[
    Case { name: "nothing", make: |_| {}, changes: &[], opened: 0, probed: 0 },
    Case {
        name: "other size, same time of change",
        make: |root| {
            rewrite(&root.join("AAA/1.ms"), &mseed("XX.AAA.00.HHZ", "2020-01-01", 100.0, 5000));
        },
        changes: &[("changed", "AAA/1.ms")],
        opened: 1,
        probed: 0,
    },
    Case {
        name: "other time of change alone",
        make: |root| touch(&root.join("AAA/2.ms"), old(1000)),
        changes: &[("changed", "AAA/2.ms")],
        opened: 1,
        probed: 0,
    },
    Case {
        name: "other inode alone",
        make: |root| {
            copy(&root.join("AAA/3.ms"), &root.with_extension("aside"));
            fs::rename(root.with_extension("aside"), root.join("AAA/3.ms")).expect("renamed");
        },
        changes: &[("changed", "AAA/3.ms")],
        opened: 1,
        probed: 0,
    },
    Case {
        name: "permissions alone",
        make: |root| {
            fs::set_permissions(root.join("BBB/1.ms"), Permissions::from_mode(0o640)).expect("chmod");
            fs::set_permissions(root.join("sac/readme.txt"), Permissions::from_mode(0o600)).expect("chmod");
        },
        changes: &[("touched", "BBB/1.ms"), ("touched", "sac/readme.txt")],
        opened: 0,
        probed: 2,
    },
    Case {
        name: "other content under the old size, time and inode",
        make: |root| rewrite(&root.join("BBB/1.ms"), &mseed("XX.BBB.00.HHZ", "2020-02-01", 100.0, 410)),
        changes: &[("changed", "BBB/1.ms")],
        opened: 1,
        probed: 1,
    },
    Case {
        name: "new, and removed",
        make: |root| {
            put(&root.join("BBB/4.ms"), &mseed("XX.BBB.00.HHZ", "2020-01-04", 100.0, 77), old(90));
            put(&root.join("GGG/deep/er/1.ms"), &mseed("XX.GGG.00.HHZ", "2020-01-04", 1.0, 77), old(91));
            fs::remove_file(root.join("BBB/2.ms")).expect("removed");
        },
        changes: &[("new", "BBB/4.ms"), ("new", "GGG/deep/er/1.ms"), ("removed", "BBB/2.ms")],
        opened: 2,
        probed: 0,
    },
    Case {
        name: "moved by rename: a file, and a whole directory",
        make: |root| {
            rename(root, "BBB/3.ms", "HHH/new name.ms");
            rename(root, "CCC", "III/CCC");
        },
        changes: &[
            ("moved", "HHH/new name.ms"),
            ("moved", "III/CCC/1.ms"),
            ("moved", "III/CCC/2.ms"),
            ("moved", "III/CCC/3.ms"),
        ],
        opened: 0,
        probed: 0,
    },
    Case {
        name: "moved by copy and delete: another inode",
        make: |root| {
            copy(&root.join("DDD/1.ms"), &root.join("AAA/from D.ms"));
            fs::remove_file(root.join("DDD/1.ms")).expect("removed");
        },
        changes: &[("moved", "AAA/from D.ms")],
        opened: 0,
        probed: 1,
    },
    Case {
        name: "a copy whose original stays",
        make: |root| copy(&root.join("DDD/2.ms"), &root.join("DDD/copy.ms")),
        changes: &[("new", "DDD/copy.ms")],
        opened: 1,
        probed: 0,
    },
    Case {
        name: "same size and time as a file that went, other content",
        make: |root| {
            fs::remove_file(root.join("DDD/copy.ms")).expect("removed");
            put(&root.join("DDD/other.ms"), &mseed("XX.ZZZ.00.HHZ", "2020-01-02", 100.0, 420), old(32));
        },
        changes: &[("new", "DDD/other.ms"), ("removed", "DDD/copy.ms")],
        opened: 1,
        probed: 1,
    },
    Case {
        name: "two names change places",
        make: |root| {
            rename(root, "AAA/1.ms", "AAA/x");
            rename(root, "AAA/2.ms", "AAA/1.ms");
            rename(root, "AAA/x", "AAA/2.ms");
        },
        changes: &[("changed", "AAA/1.ms"), ("changed", "AAA/2.ms")],
        opened: 2,
        probed: 0,
    },
    Case {
        name: "moved and changed",
        make: |root| {
            rename(root, "AAA/1.ms", "AAA/9.ms");
            put(&root.join("AAA/9.ms"), &mseed("XX.AAA.00.HHZ", "2020-03-01", 100.0, 9), old(99));
        },
        changes: &[("new", "AAA/9.ms"), ("removed", "AAA/1.ms")],
        opened: 1,
        probed: 0,
    },
    Case {
        name: "a good file goes bad, a bad one becomes good",
        make: |root| {
            let good = mseed("XX.FFF.00.HHZ", "2020-01-01", 100.0, 100);
            put(&root.join("bad/short.ms"), &good, old(60));
            put(&root.join("AAA/9.ms"), &good[..300], old(61));
        },
        changes: &[("changed", "AAA/9.ms"), ("changed", "bad/short.ms")],
        opened: 2,
        probed: 0,
    },
    Case {
        name: "a file becomes a directory, a directory a file",
        make: |root| {
            fs::remove_file(root.join("sac/readme.txt")).expect("removed");
            put(&root.join("sac/readme.txt/1.ms"), &mseed("XX.RRR.00.HHZ", "2020-01-04", 1.0, 77), old(70));
            fs::remove_dir_all(root.join("GGG")).expect("removed");
            put(&root.join("GGG"), &mseed("XX.GGG.00.HHZ", "2020-01-05", 1.0, 70), old(71));
        },
        changes: &[
            ("new", "GGG"),
            ("new", "sac/readme.txt/1.ms"),
            ("removed", "GGG/deep/er/1.ms"),
            ("removed", "sac/readme.txt"),
        ],
        opened: 2,
        probed: 0,
    },
    Case {
        name: "pipe, socket, circles of links, a link to nothing",
        make: |root| {
            let special = root.join("special");
            fs::create_dir(&special).expect("a directory");
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, special.join("pipe"), rustix::fs::FileType::Fifo, mode, 0)
                .expect("a pipe");
            drop(UnixListener::bind(special.join("socket")).expect("a socket"));
            symlink("circle", special.join("circle")).expect("a link");
            symlink("..", special.join("up")).expect("a link");
            symlink("nowhere", special.join("dangling")).expect("a link");
            symlink("../AAA", special.join("to AAA")).expect("a link");
        },
        changes: &[
            ("new", "special/circle"),
            ("new", "special/dangling"),
            ("new", "special/pipe"),
            ("new", "special/socket"),
        ],
        opened: 0,
        probed: 0,
    },
    Case {
        name: "names that are no UTF-8 or hold a newline",
        make: |root| {
            let bytes = mseed("XX.NNN.00.HHZ", "2020-01-01", 10.0, 60);
            put(&raw(root, b"odd/\xff\xfe.ms"), &bytes, old(80));
            put(&raw(root, b"odd/two\nlines, \"one\" name.ms"), &bytes, old(81));
        },
        changes: &[("new", "odd/\\xFF\\xFE.ms"), ("new", "odd/two\nlines, \"one\" name.ms")],
        opened: 2,
        probed: 0,
    },
    Case {
        name: "odd names moved",
        make: |root| {
            fs::rename(raw(root, b"odd/\xff\xfe.ms"), raw(root, b"odd/\xfd")).expect("renamed");
        },
        changes: &[("moved", "odd/\\xFD")],
        opened: 0,
        probed: 0,
    },
];

fn check(case: &Case, root: &Path, db: &mut Db) {
    let name = case.name;
    (case.make)(root);
    let want: Vec<(String, String)> =
        case.changes.iter().map(|(kind, path)| ((*kind).to_owned(), (*path).to_owned())).collect();
    let mut got = changes(db);
    let mut sorted = want.clone();
    got.sort();
    sorted.sort();
    assert_eq!(got, sorted, "SHOW CHANGES: {name}");
    let counts = refreshed(db);
    let number = |what: &str| counts.get(what).copied().unwrap_or(0);
    let of = |kind: &str| want.iter().filter(|(k, _)| k == kind).count() as u64;
    for kind in ["new", "changed", "moved", "removed", "unreachable"] {
        assert_eq!(number(kind), of(kind), "{kind}: {name}: {counts:?}");
    }
    assert_eq!(number("files opened"), case.opened, "opened: {name}: {counts:?}");
    assert_eq!(number("compared by their ends"), case.probed, "probed: {name}: {counts:?}");
    let known: u64 = count(db, "files").parse().expect("a number");
    let there = known - of("new") - of("changed") - of("moved");
    assert_eq!(number("unchanged"), there, "unchanged: {name}: {counts:?}");
    assert_eq!(fingerprint(db), fresh(root), "the content is that of a fresh build: {name}");
    let again = refreshed(db);
    assert_eq!(
        again,
        BTreeMap::from([("files opened".to_owned(), 0), ("unchanged".to_owned(), known)]),
        "{name}"
    );
    assert_eq!(fingerprint(db), fresh(root), "a refresh without changes: {name}");
}

#[test]
fn a_refresh_reads_what_changed_and_equals_a_fresh_build() {
    let mut db = Db::new();
    let root = db.dir.path().join("archive");
    plant(&root);
    let first = db.run(&import(&root));
    assert_eq!(first[0].unreadable, 2, "{first:?}");
    for case in CASES {
        check(case, &root, &mut db);
    }
    db.run("COMPACT arc");
    assert_eq!(fingerprint(&db), fresh(&root), "compacted");
}

#[test]
fn a_bad_file_is_a_row_and_the_rest_goes_on() {
    let mut db = Db::new();
    let root = db.dir.path().join("archive");
    plant(&root);
    db.run(&import(&root));
    let bad = db.rows("SELECT path, state, reason, bad_offset, records FROM files WHERE state <> 'ok'");
    let state = |path: &str| bad.iter().find(|r| r[0] == path).cloned().unwrap_or_default();
    assert_eq!(state("bad/cut.ms")[1], "partly");
    assert_eq!((state("bad/cut.ms")[3].as_str(), state("bad/cut.ms")[4].as_str()), ("512", "1"));
    assert_eq!(state("bad/short.ms")[1], "unreadable");
    assert_eq!(state("bad/short.ms")[3], "0");
    assert_eq!(state("sac/readme.txt")[1], "other");
    assert!(bad.iter().take(2).all(|r| !r[2].is_empty()), "reasons: {bad:?}");
    assert_eq!((bad.len(), count(&mut db, "files").as_str()), (3, "16"));
    assert_eq!(count(&mut db, "segments"), "14");
}

#[test]
fn a_file_of_this_moment_is_read_once_more() {
    let mut db = Db::new();
    let root = db.dir.path().join("archive");
    plant(&root);
    db.run(&import(&root));
    put(&root.join("now.ms"), &mseed("XX.NOW.00.HHZ", "2020-01-01", 1.0, 10), SystemTime::now());
    assert_eq!(refreshed(&mut db)["new"], 1);
    assert_eq!(changes(&mut db), [("again".to_owned(), "now.ms".to_owned())]);
    std::thread::sleep(Duration::from_millis(2100));
    assert_eq!(refreshed(&mut db)["files opened"], 1, "two seconds later it is read again");
    assert_eq!(refreshed(&mut db)["files opened"], 0, "and then it is sure");
    assert_eq!(fingerprint(&db), fresh(&root));
}

/// Refused, by SHOW CHANGES too, and no row is lost.
fn is_refused(db: &mut Db, name: &str, said: &str) {
    let before = fingerprint(db);
    for statement in ["REFRESH arc", "REFRESH", "SHOW CHANGES arc"] {
        let error = shown(&db.error(statement));
        assert!(error.contains(said) && error.contains("REFRESH FULL arc"), "{name}: {statement}: {error}");
    }
    assert_eq!(fingerprint(db), before, "{name}: no row is lost");
}

#[test]
fn an_unmounted_archive_never_empties_the_index() {
    let mut db = Db::new();
    let root = db.dir.path().join("archive");
    let away = db.dir.path().join("elsewhere");
    plant(&root);
    db.run(&import(&root));
    let full = fingerprint(&db);
    let unchanged = |db: &mut Db, name: &str| {
        assert_eq!(refreshed(db)["files opened"], 0, "{name}");
        assert_eq!(fingerprint(db), full, "{name}");
    };

    fs::rename(&root, &away).expect("renamed");
    is_refused(&mut db, "renamed", "cannot be reached");
    fs::create_dir(&root).expect("an empty mount point");
    is_refused(&mut db, "empty", "is empty, the index has 16 files");
    fs::remove_dir(&root).expect("removed");
    fs::write(&root, b"a file where the directory was").expect("a file");
    is_refused(&mut db, "a file", "is no directory, it was one");
    fs::remove_file(&root).expect("removed");

    db.run(&import(&away));
    unchanged(&mut db, "the moved root is imported under the same name");
    fs::rename(&away, &root).expect("renamed");
    is_refused(&mut db, "renamed back", "cannot be reached");
    db.run(&import(&root));
    unchanged(&mut db, "back");

    exchange_device(&db);
    is_refused(&mut db, "another device", "on another device");
    db.run("REFRESH FULL arc");
    unchanged(&mut db, "the device is confirmed");

    fs::remove_dir_all(&root).expect("removed");
    is_refused(&mut db, "removed", "cannot be reached");
    db.run("REFRESH FULL arc");
    assert_eq!((count(&mut db, "files"), count(&mut db, "segments")), ("0".to_owned(), "0".to_owned()));
}

/// The index believes that the archive was on another device.
fn exchange_device(db: &Db) {
    let store = Store::open(db.database.path()).expect("the database");
    let mut writer = store.writer("test").expect("the lock");
    let mut catalogue = writer.catalogue().clone();
    catalogue.sources[0].options.insert("device".to_owned(), "1".to_owned());
    writer.commit(catalogue).expect("committed");
}

#[test]
fn behind_a_link_to_an_unmounted_disk_rows_stay() {
    let mut db = Db::new();
    let (root, disk) = (db.dir.path().join("archive"), db.dir.path().join("disk"));
    let away = db.dir.path().join("away");
    plant(&disk);
    fs::create_dir(&root).expect("a directory");
    put(&root.join("here.ms"), &mseed("XX.HER.00.HHZ", "2020-01-01", 1.0, 10), old(1));
    symlink(&disk, root.join("disk")).expect("a link");
    symlink(disk.join("AAA/1.ms"), root.join("one.ms")).expect("a link");
    db.run(&import(&root));
    let segments = count(&mut db, "segments");
    assert_eq!(segments, "16");
    fs::rename(&disk, &away).expect("unmounted");
    let counts = refreshed(&mut db);
    assert_eq!((counts.get("unreachable"), counts.get("removed")), (Some(&17), None), "{counts:?}");
    assert_eq!(count(&mut db, "segments"), segments);
    assert_eq!(
        count(&mut db, "files WHERE state = 'unreachable' AND reason LIKE '%target of a link%'"),
        "17"
    );
    let counts = refreshed(&mut db);
    assert_eq!((counts["files opened"], counts.get("removed")), (0, None), "{counts:?}");
    fs::rename(&away, &disk).expect("mounted");
    assert_eq!(refreshed(&mut db)["changed"], 17, "all are read again");
    assert_eq!(fingerprint(&db), fresh(&root));
    fs::remove_file(root.join("disk")).expect("the link is removed");
    assert_eq!(refreshed(&mut db)["removed"], 16);
    assert_eq!(fingerprint(&db), fresh(&root));
}

#[test]
fn the_database_is_no_part_of_its_archive() {
    let mut db = Db::new();
    let root = db.dir.path().to_path_buf();
    plant(&root.join("data"));
    symlink(root.join("t.sqk"), root.join("data/link to the database")).expect("a link");
    db.run(&import(&root));
    assert_eq!(count(&mut db, "files"), "16");
    assert_eq!(count(&mut db, "files WHERE path LIKE '%sqk%' OR path LIKE '%database%'"), "0");
    assert_eq!(refreshed(&mut db)["files opened"], 0);
}

/// Runs a test of this binary again as a user to whom permissions apply; false where that cannot be done.
fn runs_unprivileged(test: &str) -> bool {
    let nobody = 65_534;
    let told = |why: &str| {
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: it cannot run as an unprivileged user: {why}");
        false
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).expect("chmod");
    let own = std::env::current_exe().expect("this binary");
    let copied = dir.path().join("tests");
    let run = |exe: &PathBuf| {
        Command::new(exe)
            .args(["--exact", test, "--nocapture"])
            .env("TMPDIR", dir.path())
            .current_dir(dir.path())
            .uid(nobody)
            .gid(nobody)
            .output()
    };
    let output = run(&own).or_else(|_| {
        fs::copy(&own, &copied)?;
        fs::set_permissions(&copied, Permissions::from_mode(0o755))?;
        run(&copied)
    });
    match output {
        Err(error) => told(&error.to_string()),
        Ok(output) => {
            let said = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
            true
        }
    }
}

#[test]
fn an_unreadable_directory_keeps_its_rows() {
    let probe = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(probe.path(), Permissions::from_mode(0o000)).expect("chmod");
    if fs::read_dir(probe.path()).is_ok() {
        runs_unprivileged("refresh::an_unreadable_directory_keeps_its_rows");
        return;
    }
    let mut db = Db::new();
    let root = db.dir.path().join("archive");
    plant(&root);
    db.run(&import(&root));
    let segments = count(&mut db, "segments");
    let mode = |path: &str, mode| {
        fs::set_permissions(root.join(path), Permissions::from_mode(mode)).expect("chmod");
    };

    // A directory that cannot be listed, one whose files cannot be looked at, a file that cannot be opened.
    mode("AAA", 0);
    mode("BBB", 0o444);
    mode("CCC/1.ms", 0);
    let outcome = db.run("REFRESH arc").remove(0);
    assert!(outcome.message.as_deref().is_some_and(|m| m.contains("7 unreachable")), "{outcome:?}");
    assert!(outcome.unreadable >= 7, "{outcome:?}");
    assert_eq!(count(&mut db, "segments"), segments, "every row is kept");
    assert_eq!(count(&mut db, "files WHERE state = 'unreachable' AND reason IS NOT NULL"), "7");
    let again = db.run("REFRESH arc").remove(0);
    assert!(
        again.message.as_deref().is_some_and(|m| m.contains("2 directories that cannot be listed")),
        "{again:?}"
    );
    assert!(again.unreadable > 0, "{again:?}");
    assert_eq!(count(&mut db, "segments"), segments, "and kept again");

    mode("AAA", 0o755);
    fs::remove_file(root.join("AAA/1.ms")).expect("removed behind the curtain");
    mode("BBB", 0o755);
    mode("CCC/1.ms", 0o644);
    let counts = refreshed(&mut db);
    assert_eq!((counts["changed"], counts["removed"]), (6, 1), "{counts:?}");
    assert_eq!(fingerprint(&db), fresh(&root));

    mode("", 0);
    is_refused(&mut db, "the root cannot be listed", "cannot be listed");
    mode("", 0o755);
}

/// 1 Hz, so that times are easy to read: two day files that meet at midnight, an overlap, a hole of 10 s, one of
/// half a sample (0.5 s), a second channel.
fn plant_time_line(root: &Path) {
    let files = [
        ("a1", "XX.AAA.00.LHZ", "2020-01-01T12:00:00", 43_200),
        ("a2", "XX.AAA.00.LHZ", "2020-01-02T00:00:00", 3600),
        ("a3", "XX.AAA.00.LHZ", "2020-01-02T00:50:00", 1200),
        ("a4", "XX.AAA.00.LHZ", "2020-01-02T01:10:10", 590),
        ("a5", "XX.AAA.00.LHZ", "2020-01-02T01:20:01.4", 100),
        ("b1", "XX.BBB.00.LHZ", "2020-01-01T18:00:00", 3600),
    ];
    for (number, (name, id, start, npts)) in files.into_iter().enumerate() {
        put(&root.join(name), &mseed(id, start, 1.0, npts), old(number as u64));
    }
}

#[test]
fn gaps_and_coverage_see_the_time_line_across_files() {
    let mut db = Db::new();
    let root = db.dir.path().join("archive");
    plant_time_line(&root);
    db.run(&import(&root));
    let two = "XX.AAA.00.LHZ|2020-01-02T01:10:00|01:10:10|10";
    let short = "XX.AAA.00.LHZ|2020-01-02T01:20:00|01:20:01.4|1.4";
    let cases: &[(&str, &[&str])] = &[
        ("GAPS OF '*.*.*.*'", &[two, short]),
        ("GAPS OF 'XX.AAA.00.LHZ' LONGER 5 s", &[two]),
        ("GAPS OF 'XX.AAA.00.LHZ' LONGER 11 s", &[]),
        ("GAPS OF 'XX.AAA.00.LHZ' TOLERANCE 2 samples", &[two]),
        ("GAPS OF 'XX.AAA.00.LHZ' TOLERANCE 0.1 samples LONGER 1 s", &[two, short]),
        ("GAPS OF 'XX.AAA.00.LHZ' TOLERANCE 10 samples", &[]),
        (
            "GAPS OF '*.*.*.LHZ' DURING 2020-01-01T11:00:00 .. 2020-01-02T02:00:00 LONGER 1 min",
            &[
                "XX.AAA.00.LHZ|2020-01-01T11:00:00|12:00:00|3600",
                "XX.AAA.00.LHZ|2020-01-02T01:21:41.4|02:00:00|2298.6",
                "XX.BBB.00.LHZ|2020-01-01T11:00:00|18:00:00|25200",
                "XX.BBB.00.LHZ|2020-01-01T19:00:00|02:00:00|25200",
            ],
        ),
        (
            "GAPS OF '*.*.*.LHZ' DURING 2020-01-02T00:10:00 .. 2020-01-02T00:20:00",
            &["XX.BBB.00.LHZ|2020-01-02T00:10:00|00:20:00|0"],
        ),
        ("GAPS OF 'XX.AAA.00.LHZ' DURING 2020-01-01T23:59:59 .. 2020-01-02T00:00:01", &[]),
    ];
    for (query, want) in cases {
        let got: Vec<String> = db
            .rows(query)
            .iter()
            .map(|r| {
                let clock = |t: &str| t.split('T').nth(1).unwrap_or(t).trim_end_matches('Z').to_owned();
                let samples: f64 = r[4].parse().expect("samples");
                let (date, start) = (r[1].split('T').next().unwrap_or(""), clock(&r[1]));
                format!(
                    "{}|{date}T{}|{}|{}",
                    r[0],
                    trimmed(&start),
                    trimmed(&clock(&r[2])),
                    (samples * 1e6).round() / 1e6
                )
            })
            .collect();
        assert_eq!(got, *want, "{query}");
    }
    covers(&mut db);
    for query in ["GAPS OF 'YY.*.*.*'", "COVERAGE OF 'YY.*.*.*' BY 1 d"] {
        let (outcomes, csv) = db.try_run(query).unwrap_or_else(|e| panic!("{}", shown(&e)));
        assert_eq!(csv.lines().count(), 1, "{query}: {csv}");
        assert!(
            outcomes[0].notices.iter().any(|n| n.contains("no channel matches")),
            "{query}: {outcomes:?}"
        );
    }
}

/// `01:20:01.400000000` -> `01:20:01.4`.
fn trimmed(clock: &str) -> &str {
    if clock.contains('.') { clock.trim_end_matches('0').trim_end_matches('.') } else { clock }
}

fn covers(db: &mut Db) {
    let hour = 1.0 / 24.0;
    let cases: &[(&str, &[(&str, &str, f64, f64, u32)])] = &[
        (
            "COVERAGE OF '*.*.*.LHZ' BY 1 d",
            &[
                ("XX.AAA.00.LHZ", "2020-01-01", 0.5, 0.0, 0),
                ("XX.AAA.00.LHZ", "2020-01-02", (4200.0 + 590.0 + 100.0) / 86_400.0, 600.0 / 86_400.0, 2),
                ("XX.BBB.00.LHZ", "2020-01-01", hour, 0.0, 0),
            ],
        ),
        (
            "COVERAGE OF '*.*.*.LHZ' DURING 2020-01-02T00:00:00 .. 2020-01-02T01:00:00",
            &[
                ("XX.AAA.00.LHZ", "2020-01-02", 1.0, 600.0 / 3600.0, 0),
                ("XX.BBB.00.LHZ", "2020-01-02", 0.0, 0.0, 1),
            ],
        ),
    ];
    for (query, want) in cases {
        let got = db.rows(query);
        assert_eq!(got.len(), want.len(), "{query}: {got:?}");
        for (row, (code, day, fraction, overlap, n_gaps)) in got.iter().zip(*want) {
            let number = |i: usize| row[i].parse::<f64>().expect("a number");
            let is_day = row[1].starts_with(day);
            let close = (number(2) - fraction).abs() < 1e-9 && (number(3) - overlap).abs() < 1e-9;
            assert!(
                row[0] == *code && is_day && close && number(4) == f64::from(*n_gaps),
                "{query}: {row:?}"
            );
        }
    }
}

#[test]
fn a_missing_import_names_the_path() {
    let mut db = Db::new();
    let nowhere = db.dir.path().join("nowhere");
    let error = db.error(&import(&nowhere));
    assert!(matches!(error, Error::Query(_)) && shown(&error).contains("nowhere"), "{}", shown(&error));
    let size = RECORD_BYTES as u64;
    put(&nowhere.join("1.ms"), &mseed("XX.AAA.00.LHZ", "2020-01-01", 1.0, 10), old(1));
    assert_eq!(fs::metadata(nowhere.join("1.ms")).expect("a file").size(), size);
    db.run(&import(&nowhere));
    assert_eq!(db.value("SELECT sum(size) FROM files"), size.to_string());
}
