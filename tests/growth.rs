//! Files that grow are read from where they had grown, and the result is that of a whole read; sealed directories are
//! not looked into; `watch` tells each set of changes once.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use starquake::format::mseed2::Signal;
use starquake::format::mseed3;
use starquake::model::time::Time;

use crate::support::{Db, shown};
use crate::tree::{RECORD_BYTES, code, fingerprint, fresh, import, mseed, old, put, sac};

/// Bytes of the two blocks that stand for the content of a file.
const ENDS_BYTES: u64 = 2 * 4096;

fn mseed3_of(id: &str, start: &str, npts: usize) -> Vec<u8> {
    let samples: Vec<i32> = (0..npts as i32).map(|i| (i % 23 - 11) * 9).collect();
    let start = Time::parse(start).expect("a time");
    let mut out = vec![];
    let signal = Signal { code: &code(id), start, sampling_rate: 100.0, samples: &samples };
    mseed3::write_records(&mut out, &signal, RECORD_BYTES).expect("a signal that can be written");
    out
}

/// A file before and after, and the first byte that is read of it; `None`: all of them.
struct Case {
    name: &'static str,
    before: Vec<u8>,
    after: Vec<u8>,
    from: Option<usize>,
}

/// A file that is cut at some byte, and later whole.
fn cut(name: &'static str, whole: &[u8], at: usize, last_record: usize) -> Case {
    Case { name, before: whole[..at].to_vec(), after: whole.to_vec(), from: Some(last_record) }
}

/// A file with something behind it.
fn appended(name: &'static str, before: &[u8], tail: &[u8], from: Option<usize>) -> Case {
    Case { name, before: before.to_vec(), after: [before, tail].concat(), from }
}

fn cases() -> Vec<Case> {
    let day = "2020-01-01";
    let long = mseed("XX.AAA.00.HHZ", day, 100.0, 300_000);
    let short = mseed("XX.BBB.00.HHZ", day, 100.0, 3000);
    let other = mseed("XX.CCC.00.HHZ", day, 100.0, 700);
    let earlier = mseed("XX.BBB.00.HHZ", "2019-12-31", 100.0, 700);
    let later = mseed("XX.BBB.00.HHZ", "2020-01-02", 100.0, 700);
    let v3 = mseed3_of("XX.DDD.00.HHZ", day, 3000);
    let noise = vec![0xa5; 300];
    let end = |bytes: &[u8]| bytes.len() - RECORD_BYTES;
    let records = long.len() / RECORD_BYTES - 2;
    let mut rewritten = [&short[..], &later[..]].concat();
    // Another station in the last record that was known.
    rewritten[end(&short) + 8] ^= 1;
    // Lengths of the first records of the file of version 3: payload, extra headers, identifier.
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([v3[at], v3[at + 1]]));
    let first = 40 + usize::from(v3[33]) + u16_at(34) + u16_at(36);
    vec![
        cut("two more records", &long, records * RECORD_BYTES, (records - 1) * RECORD_BYTES),
        cut("the last record was torn", &long, records * RECORD_BYTES + 200, (records - 1) * RECORD_BYTES),
        cut("torn in its first bytes", &short, 2 * RECORD_BYTES + 7, RECORD_BYTES),
        appended("another channel", &short, &other, Some(end(&short))),
        appended("an earlier time", &short, &earlier, Some(end(&short))),
        appended("a gap", &short, &later, Some(end(&short))),
        appended("a copy of what is there", &short, &short, Some(end(&short))),
        appended("version 3 behind version 2", &short, &v3, Some(end(&short))),
        appended("noise, and then more", &short, &[&noise[..], &later[..]].concat(), Some(end(&short))),
        appended("noise before, and more", &[&short[..], &noise[..]].concat(), &later, Some(end(&short))),
        cut("version 3", &v3, first + 11, 0),
        appended("noise in the middle", &[&short[..], &noise[..], &short[..]].concat(), &later, None),
        Case { name: "the last record is another one", before: short.clone(), after: rewritten, from: None },
        appended("no miniSEED", &sac("XX.EEE.00.HHZ", "2020-01-01T00:00:00.25"), &short, None),
    ]
}

/// `12,345 bytes read` -> 12345.
fn bytes_read(footer: &[String]) -> u64 {
    let line = footer.iter().find(|f| f.ends_with(" read")).expect("what was read");
    line.split(' ').next().and_then(|n| n.replace(',', "").parse().ok()).expect("a number")
}

#[test]
fn a_grown_file_is_read_from_where_it_had_grown() {
    for case in cases() {
        let name = case.name;
        let mut db = Db::new();
        let root = db.dir.path().join("archive");
        put(&root.join("a.ms"), &mseed("XX.ZZZ.00.HHZ", "2020-01-01", 1.0, 60), old(1));
        put(&root.join("grows.ms"), &case.before, old(2));
        db.run(&import(&root));
        put(&root.join("grows.ms"), &case.after, old(3));
        let outcome = db.run("REFRESH arc").remove(0);
        let message = outcome.message.unwrap_or_default();
        assert!(message.contains("1 files opened") && message.contains("1 changed"), "{name}: {message}");
        let is_grown = message.contains("1 read from where they had grown");
        assert_eq!(is_grown, case.from.is_some(), "{name}: {message}");
        let read = bytes_read(&outcome.footer);
        let most = (case.after.len() - case.from.unwrap_or(0)) as u64 + ENDS_BYTES;
        assert!(read <= most, "{name}: {read} bytes read, {most} are needed");
        assert_eq!(fingerprint(&db), fresh(&root), "{name}: as a whole read");
        let again = db.run("REFRESH arc").remove(0);
        assert_eq!(again.message.as_deref(), Some("`arc`: 0 files opened, 2 unchanged"), "{name}");
    }
}

#[test]
fn a_file_that_grows_in_many_steps_ends_as_one_that_was_read_once() {
    let mut db = Db::new();
    let root = db.dir.path().join("archive");
    let streams = [
        mseed("XX.AAA.00.HHZ", "2020-01-01", 100.0, 4000),
        mseed("XX.AAA.00.HHN", "2020-01-01", 100.0, 4000),
        mseed3_of("XX.AAA.00.HHE", "2020-01-01", 1500),
    ];
    let mut whole = vec![];
    for round in 0..streams[0].len().div_ceil(RECORD_BYTES) {
        for stream in &streams[..2] {
            whole.extend_from_slice(stream.chunks(RECORD_BYTES).nth(round).unwrap_or_default());
        }
    }
    whole.extend_from_slice(&streams[2]);
    let mut at = 700;
    put(&root.join("grows.ms"), &whole[..at], old(1));
    db.run(&import(&root));
    let mut step = 0;
    while at < whole.len() {
        (at, step) = ((at + 777).min(whole.len()), step + 1);
        put(&root.join("grows.ms"), &whole[..at], old(1 + step));
        let message = db.run("REFRESH arc").remove(0).message.unwrap_or_default();
        assert!(message.contains("1 read from where they had grown"), "{at}: {message}");
    }
    assert_eq!(fingerprint(&db), fresh(&root));
}

#[test]
fn sealed_directories_are_not_looked_into() {
    let mut db = Db::new();
    let root = db.dir.path().join("archive");
    let file = |name: &str, second: u64| {
        put(&root.join(name), &mseed("XX.AAA.00.HHZ", "2020-01-01", 1.0, 60), old(second));
    };
    for (second, name) in ["2018/IU/a", "2019/IU/a", "2019/XX/a", "2020/IU/a", "2020/XX/a"].iter().enumerate()
    {
        file(name, second as u64);
    }
    let sealed = |patterns: &str| format!("{} SEALED '{patterns}'", import(&root));
    let changes = |db: &mut Db| {
        let rows = db.rows("SHOW CHANGES arc");
        rows.iter().map(|r| format!("{} {}", r[1], r[2])).collect::<Vec<_>>().join(", ")
    };
    let first = db.run(&sealed("2018,20??/IU")).remove(0).message.unwrap_or_default();
    assert!(first.contains("5 new") && !first.contains("sealed"), "nothing was known: {first}");
    for (second, name) in ["2018/b", "2019/IU/b", "2019/XX/b", "2020/b"].iter().enumerate() {
        file(name, 10 + second as u64);
    }
    fs::remove_file(root.join("2020/IU/a")).expect("removed");
    assert_eq!(changes(&mut db), "new 2019/XX/b, new 2020/b");
    let message = db.run("REFRESH arc").remove(0).message.unwrap_or_default();
    assert!(message.contains("5 unchanged, 2 new") && message.ends_with("3 sealed directories"), "{message}");
    assert!(db.csv("SHOW SOURCES").contains("2018,20??/IU"));
    assert!(db.csv("SHOW STATUS").contains("sealed: 2018,20??/IU"));
    db.run(&sealed("2018"));
    assert_eq!(changes(&mut db), "", "2019 and 2020 were opened again");
    assert_eq!(db.value("SELECT count(*) FROM files WHERE path LIKE '2018/%'"), "1");
    fs::remove_dir_all(root.join("2018")).expect("removed");
    assert_eq!(changes(&mut db), "removed 2018/IU/a", "a sealed directory that has gone is gone");
    db.run("REFRESH arc");
    file("2018/new", 20);
    assert_eq!(changes(&mut db), "new 2018/new", "nothing of it is known");
    db.run("REFRESH arc");
    file("2018/newer", 21);
    assert_eq!(changes(&mut db), "");
    db.run("REFRESH FULL arc");
    assert_eq!(fingerprint(&db)[0].1, 8, "FULL looks into it");
    file("2018/newest", 22);
    db.run(&import(&root));
    assert_eq!(
        db.value("SELECT count(*) FROM files WHERE path LIKE '2018/%'"),
        "3",
        "no SEALED, nothing sealed"
    );
    for wrong in ["/2019", "20[12]9", "a//b"] {
        let error = shown(&db.error(&sealed(wrong)));
        assert!(error.contains("SEALED '2019,202?/IU'"), "{error}");
    }
}

fn watch(db: &Db, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starquake"));
    command.arg(db.database.path()).arg("watch").args(args).stdin(Stdio::null());
    command
}

#[test]
fn watch_tells_each_change_once() {
    let mut db = Db::new();
    let root = db.dir.path().join("archive");
    let away = db.dir.path().join("away");
    let bytes = mseed("XX.AAA.00.HHZ", "2020-01-01", 100.0, 3000);
    put(&root.join("a.ms"), &bytes[..2 * RECORD_BYTES], old(1));
    db.run(&import(&root));
    let mut command = watch(&db, &["arc", "--every", "20ms"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("watch");
    let mut out = BufReader::new(child.stdout.take().expect("its output"));
    let mut err = BufReader::new(child.stderr.take().expect("its errors"));
    let line = |from: &mut dyn BufRead| {
        let mut line = String::new();
        from.read_line(&mut line).expect("a line");
        line
    };
    put(&away.join("new.ms"), &bytes, old(2));
    fs::rename(away.join("new.ms"), root.join("b.ms")).expect("a new file at once");
    let told = line(&mut out);
    assert!(told.contains("1 new"), "{told}");
    fs::remove_dir(&away).expect("removed");
    fs::rename(&root, &away).expect("the root goes");
    let told = line(&mut err);
    assert!(told.contains("cannot be reached"), "{told}");
    fs::remove_file(away.join("b.ms")).expect("removed");
    fs::rename(&away, &root).expect("the root is back");
    let told = line(&mut out);
    assert!(told.contains("all right again"), "{told}");
    let told = line(&mut out);
    assert!(told.contains("1 removed"), "{told}");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("Ctrl-C");
    assert_eq!(child.wait().expect("its end").code(), Some(130));
    let (mut rest, mut errors) = (String::new(), String::new());
    out.read_to_string(&mut rest).expect("text");
    err.read_to_string(&mut errors).expect("text");
    assert_eq!(rest, "");
    assert_eq!(errors.matches("cannot be reached").count(), 0, "the error was told once: {errors}");
    assert_eq!(fingerprint(&db), fresh(&root));
}

#[test]
fn watch_ends_after_its_rounds() {
    let mut db = Db::new();
    let root = db.dir.path().join("archive");
    put(&root.join("a.ms"), &mseed("XX.AAA.00.HHZ", "2020-01-01", 1.0, 60), old(1));
    db.run(&import(&root));
    let code = |db: &Db, args: &[&str]| {
        let done = watch(db, args).output().expect("watch");
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let generation = |db: &mut Db| {
        let rows = db.rows("SHOW STATUS");
        rows.iter().find(|r| r[0] == "generation").map(|r| r[1].clone())
    };
    assert_eq!(code(&db, &["--rounds", "1"]), (Some(0), String::new()));
    let before = generation(&mut db);
    assert_eq!(code(&db, &["--rounds", "5", "--every", "1ms"]).0, Some(0));
    let after = generation(&mut db);
    let number = |g: &Option<String>| g.as_ref().and_then(|g| g.parse::<u64>().ok()).expect("a generation");
    assert_eq!(number(&after), number(&before) + 1, "five rounds without changes are told by one commit");
    put(&root.join("bad.ms"), &mseed("XX.AAA.00.HHZ", "2020-01-01", 1.0, 60)[..200], old(2));
    let (status, out) = code(&db, &["--rounds", "1"]);
    assert!(status == Some(3) && out.contains("1 not fully readable"), "{status:?} {out}");
    assert_eq!(code(&db, &["no_such", "--rounds", "1"]).0, Some(1));
    fs::rename(&root, db.dir.path().join("elsewhere")).expect("renamed");
    assert_eq!(code(&db, &["--rounds", "2", "--every", "1ms"]).0, Some(1));
    assert!(Path::new(&db.database.path()).exists());
}
