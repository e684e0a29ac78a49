//! The program as it is called: exit codes, what goes to which stream, what each subcommand asks of the language.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const ROWS: usize = 20_000;

/// A directory with one database, `sky.sqk`, of one catalogue, `stars`.
struct World {
    directory: TempDir,
}

/// What a run came to.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl World {
    fn empty() -> World {
        World { directory: tempfile::tempdir().unwrap() }
    }

    fn new() -> World {
        let world = World::empty();
        let mut text = String::from("id,ra,dec,mag,name\n");
        for i in 0..ROWS {
            let name = if i == 0 { "evil\u{1b}[31m" } else { "plain" };
            writeln!(text, "{i},{},{},{},{name}", i as f64 / 100.0, i as f64 / 1000.0, 10 + i % 7).unwrap();
        }
        std::fs::write(world.path().join("stars.csv"), text).unwrap();
        let line =
            "sky.sqk import catalog stars.csv --into stars --key id --position ra,dec --units ra=deg,dec=deg";
        let ran = world.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, 0, "{}", ran.err);
        world
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starquake"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        for name in ["STARQUAKE_DB", "NO_COLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        ran(&mut self.command(args))
    }

    fn feed(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.command(args);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        output(&child.wait_with_output().unwrap())
    }
}

fn ran(command: &mut Command) -> Ran {
    output(&command.output().unwrap())
}

fn output(output: &std::process::Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Arguments and the statement they come to.
const STATEMENTS: &[(&[&str], &str)] = &[
    (
        &["import", "waveforms", "/data/sds", "--layout", "SDS", "--into", "sds"],
        "IMPORT WAVEFORMS '/data/sds' INTO sds LAYOUT SDS",
    ),
    (
        &[
            "import",
            "waveforms",
            "d",
            "--layout",
            "{network}/*",
            "--near",
            "picks",
            "--within",
            "1 h",
            "--append",
        ],
        "IMPORT WAVEFORMS 'd' LAYOUT '{network}/*' NEAR picks WITHIN 1 h APPEND",
    ),
    (&["import", "waveforms", "d", "--where", "year = 2024"], "IMPORT WAVEFORMS 'd' WHERE year = 2024"),
    (
        &["import", "events", "it's.xml", "--format", "quakeml", "--replace"],
        "IMPORT EVENTS 'it''s.xml' FORMAT quakeml REPLACE",
    ),
    (&["import", "stations", "inventory.xml"], "IMPORT STATIONS 'inventory.xml'"),
    (
        &[
            "import",
            "catalog",
            "g.parquet",
            "--into",
            "gaia",
            "--key",
            "source_id",
            "--position",
            "ra,dec",
            "--motion",
            "pmra,pmdec",
            "--epoch",
            "2016.0",
            "--frame",
            "icrs",
            "--units",
            "pmra=mas/yr,parallax=mas",
            "--nulls",
            "mag=-999",
        ],
        "IMPORT CATALOG 'g.parquet' INTO gaia KEY source_id POSITION (ra, dec) MOTION (pmra, pmdec) FRAME icrs \
          EPOCH 2016.0 NULLS (mag -999) UNITS (pmra mas/yr, parallax mas)",
    ),
    (
        &[
            "import",
            "catalog",
            "w.csv",
            "--epoch",
            "mjd mean",
            "--time",
            "mjd",
            "--scale",
            "utc",
            "--sorted-by",
            "id,order",
        ],
        "IMPORT CATALOG 'w.csv' EPOCH \"mjd mean\" TIME mjd SCALE utc SORTED BY id, \"order\"",
    ),
    (&["refresh"], "REFRESH"),
    (&["refresh", "sds"], "REFRESH sds"),
    (&["refresh", "--full", "sds"], "REFRESH FULL sds"),
    (&["refresh", "--dry-run", "sds"], "SHOW CHANGES sds"),
    (
        &["import", "waveforms", "/data/sds", "--into", "sds", "--sealed", "2019,202?/IU"],
        "IMPORT WAVEFORMS '/data/sds' INTO sds SEALED '2019,202?/IU'",
    ),
    (&["watch", "sds", "two words"], "REFRESH sds;\nREFRESH \"two words\""),
    (&["watch"], "REFRESH"),
    (&["status"], "SHOW STATUS"),
    (
        &["gaps", "IU.ANMO.00.BH?", "--longer", "1 s", "--tolerance", "0.5 samples"],
        "GAPS OF 'IU.ANMO.00.BH?' LONGER 1 s TOLERANCE 0.5 samples",
    ),
    (
        &[
            "gaps",
            "--net",
            "IU,II",
            "--loc=--",
            "--cha",
            "BH?",
            "--start",
            "2024-01-01",
            "--end",
            "2024-060T12:00",
        ],
        "GAPS OF 'IU.*.--.BH?,II.*.--.BH?' DURING 2024-01-01T00:00:00Z .. 2024-02-29T12:00:00Z",
    ),
    (&["coverage", "--by", "1 d"], "COVERAGE OF '*.*.*.*' BY 1 d"),
    (&["gaps", "A.B.C.D", "--drift", "2 samples"], "GAPS OF 'A.B.C.D' DRIFT 2 samples"),
    (
        &["copy", "A.B.--.D", "--start", "2024-01-01", "--end", "2024-01-02", "-o", "a.mseed", "--replace"],
        "COPY (SELECT * FROM segments WHERE code MATCHES 'A.B.--.D' AND span OVERLAPS 2024-01-01T00:00:00Z .. \
         2024-01-02T00:00:00Z) TO 'a.mseed' REPLACE",
    ),
    (
        &["copy", "--sta", "S", "-o", "out/", "--format", "sac"],
        "COPY (SELECT * FROM segments WHERE code MATCHES '*.S.*.*') TO 'out/' FORMAT sac",
    ),
    (
        &["files", "--sta", "ANMO", "--loc", "00"],
        "SELECT DISTINCT path FROM segments WHERE code MATCHES '*.ANMO.00.*'",
    ),
    (
        &["files", "--start", "2024-01-01", "--end", "2024-01-02"],
        "SELECT DISTINCT path FROM segments WHERE code MATCHES '*.*.*.*' AND span OVERLAPS \
          2024-01-01T00:00:00Z .. 2024-01-02T00:00:00Z",
    ),
    (
        &["files", "--start", "2024-01-01"],
        "SELECT DISTINCT path FROM segments WHERE code MATCHES '*.*.*.*' AND endtime > 2024-01-01T00:00:00Z",
    ),
    (
        &[
            "fetch",
            "waveforms",
            "iris",
            "--from",
            "https://a.org",
            "--net",
            "IU",
            "--start",
            "2024-01-01",
            "--end",
            "2024-01-02",
        ],
        "FETCH WAVEFORMS iris FROM 'https://a.org' CODES 'IU.*.*.*' DURING 2024-01-01T00:00:00Z .. \
         2024-01-02T00:00:00Z",
    ),
    (
        &[
            "fetch",
            "catalog",
            "gaia",
            "--from",
            "https://a.org",
            "--query",
            "SELECT 'x'",
            "--parallel",
            "4",
            "--replace",
        ],
        "FETCH CATALOG gaia FROM 'https://a.org' QUERY 'SELECT ''x''' PARALLEL 4 REPLACE",
    ),
    (&["compact"], "COMPACT"),
    (&["compact", "order"], "COMPACT \"order\""),
    (&["query", "FROM files;"], "FROM files;"),
];

#[test]
fn each_subcommand_is_one_statement() {
    let world = World::empty();
    for (args, want) in STATEMENTS {
        let ran = world.run(&[args, &["--print-query"][..]].concat());
        assert_eq!(
            (ran.code, ran.out.as_str(), ran.err.as_str()),
            (0, format!("{want}\n").as_str(), ""),
            "{args:?}"
        );
    }
    assert_eq!(std::fs::read_dir(world.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn usage_and_syntax_are_code_2_and_run_nothing() {
    let world = World::new();
    let cases: &[(&[&str], &str)] = &[
        (&["sky.sqk", "statsu"], "'status'"),
        (&["statsu"], "did you mean `status`?"),
        (&["nowhere.sqk", "status"], "there is no database nowhere.sqk"),
        (&["stars.csv", "status"], "stars.csv is no database"),
        (&["FROM stars", "status"], "starquake DB query"),
        (&["query", "FORM stars"], "<query>:1:1"),
        (&["query", "DROP TABLE stars; FROM stars WERE mag > 3"], "did you mean `WHERE`"),
        (&["query", "FROM stars", "--format", "votable"], "not written yet"),
        (&["query", "FROM stars", "-o", "x.foo"], "add --format; there are table, markdown, csv"),
        (&["query", "FROM stars", "-o", "x.csv.bz2"], "tells no format"),
        (&["query", "FROM stars", "-o", "x.parquet.gz"], "compresses its own parts"),
        (&["query", "FROM stars", "--frmat", "csv"], "--format"),
        (&["query", "--frmat", "csv", "FROM stars"], "--format"),
        (&["sk.sqk", "status"], "did you mean `sky.sqk`?"),
        (&["files", "--bulk", "stars.csv"], "stars.csv:1: a line is NET STA LOC CHA START END"),
        (&["files", "--bulk", "none.txt"], "none.txt"),
        (&["bench", "--rows", "3"], "10000"),
        (&["query", "FROM stars", "--format", "jsn"], "did you mean `json`?"),
        (&["query", "FROM stars", "-o", "x.votable"], "not written yet"),
        (&["query", "FROM stars; FROM stars", "-o", "x.csv"], "one file holds one table"),
        (&["query", "LET a = 1", "-o", "x.csv"], "nothing here gives rows"),
        (&["new.sqk", "import", "catalog", "stars.csv", "--read-only"], "there is no database new.sqk"),
        (&["query", "FROM stars", "-P", "three"], "NAME=VALUE"),
        (&["query", "FROM stars", "--timeout", "3 parsecs"], "write a duration"),
        (&["query", "FROM stars", "--memory", "lots"], "4GiB"),
        (&["gaps", "--start", "2023-366", "--end", "2024-01-01"], "2023 has 365 days"),
        (&["gaps", "--start", "2023-01-01"], "--end"),
        (&["import", "catalog", "stars.csv", "--position", "ra"], "two columns"),
        (&["import", "pictures", "x"], "waveforms, events, stations, catalog"),
        (&["help", "refesh"], "did you mean `refresh`?"),
        (&["check", "missing.sq"], "missing.sq"),
    ];
    for (args, want) in cases {
        let ran = world.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(want), "{args:?}: {}", ran.err);
    }
    assert_eq!(world.run(&["query", "SELECT COUNT(*) AS n FROM stars"]).out, format!("n\n{ROWS}\n"));
    assert!(!world.path().join("x.csv").exists());
}

#[test]
fn the_database_is_found() {
    let world = World::new();
    let count = ["query", "SELECT COUNT(*) AS n FROM stars"];
    let want = format!("n\n{ROWS}\n");
    assert_eq!(world.run(&count).out, want);
    assert_eq!(world.run(&[&["./sky.sqk"], &count[..]].concat()).out, want);
    std::fs::create_dir(world.path().join("two.sqk")).unwrap();
    let ran = world.run(&count);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("There are 2 here: sky.sqk, two.sqk"), "{}", ran.err);
    let ran = ran_with(&world, &count, "STARQUAKE_DB", "sky.sqk");
    assert_eq!(ran.out, want, "{}", ran.err);
    let ran = World::empty().run(&["status"]);
    assert!(ran.code == 2 && ran.err.contains("STARQUAKE_DB"), "{}", ran.err);
}

fn ran_with(world: &World, args: &[&str], name: &str, value: &str) -> Ran {
    ran(world.command(args).env(name, value))
}

#[test]
fn exit_codes_of_statements() {
    let world = World::new();
    let cases: &[(&[&str], i32)] = &[
        (&["query", "FROM stars LIMIT 1"], 0),
        (&["query", "FROM stars WHERE mag > 99"], 0),
        (&["query", "FROM stars WHERE mag > 99", "--fail-if-empty"], 4),
        (&["--fail-if-empty", "query", "FROM stars WHERE mag > 99"], 4),
        (&["query", "FROM stars WHERE magg > 9"], 1),
        (&["query", "FROM nothing"], 1),
        (&["--read-only", "query", "DROP TABLE stars"], 1),
        (&["import", "waveforms", "nowhere"], 1),
    ];
    for (args, code) in cases {
        let ran = world.run(args);
        assert_eq!(ran.code, *code, "{args:?}: {}", ran.err);
    }
    std::fs::create_dir(world.path().join("archive")).unwrap();
    let whole = crate::tree::mseed("IU.ANMO.00.BHZ", "2024-01-01", 20.0, 1000);
    std::fs::write(world.path().join("archive/cut.mseed"), &whole[..300]).unwrap();
    let ran = world.run(&["import", "waveforms", "archive"]);
    let unreadable = world.run(&["query", "SELECT COUNT(*) AS n FROM files WHERE state = 'unreadable'"]).out;
    assert_ne!(unreadable, "n\n0\n");
    assert_eq!(ran.code, 3, "{}", ran.err);
    let ran = world.run(&["import", "waveforms", "archive", "--into", "again", "--strict"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
}

#[test]
fn a_locked_database_is_code_5() {
    let world = World::new();
    let store = starquake::store::Store::open(world.path().join("sky.sqk")).unwrap();
    let writer = store.writer("IMPORT of another").unwrap();
    let ran = world.run(&["query", "DROP TABLE stars"]);
    assert_eq!((ran.code, ran.out.as_str()), (5, ""));
    assert!(ran.err.contains("another process is writing"), "{}", ran.err);
    assert_eq!(world.run(&["query", "FROM stars LIMIT 1"]).code, 0, "readers do not wait");
    drop(writer);
}

#[test]
fn a_newer_database_is_code_5() {
    let world = World::new();
    let path = world.path().join("sky.sqk/snapshot");
    let mut record = std::fs::read(&path).unwrap();
    // Where the version stands.
    record[8] = 99;
    std::fs::write(&path, record).unwrap();
    let ran = world.run(&["status"]);
    assert_eq!((ran.code, ran.out.as_str()), (5, ""));
    assert!(ran.err.contains("99"), "{}", ran.err);
}

#[test]
fn nothing_but_data_on_standard_output() {
    let world = World::new();
    let query = "SELECT id, mag, name FROM stars WHERE id < 2 ORDER BY id";
    let formats = [
        ("csv", "id,mag,name\n0,10,evil\u{1b}[31m\n1,11,plain\n"),
        ("tsv", "id\tmag\tname\n0\t10\tevil\u{1b}[31m\n1\t11\tplain\n"),
        (
            "ndjson",
            "{\"id\":0,\"mag\":10,\"name\":\"evil\\u001b[31m\"}\n{\"id\":1,\"mag\":11,\"name\":\"plain\"}\n",
        ),
        (
            "markdown",
            "| id | mag | name |\n| --: | --: | --- |\n| 0 | 10 | evil\\u{1b}[31m |\n| 1 | 11 | plain |\n",
        ),
        ("table", "id  mag  name\n--  ---  --------------\n 0   10  evil\\u{1b}[31m\n 1   11  plain\n"),
    ];
    for (format, want) in formats {
        let ran = world.run(&["query", query, "--format", format]);
        assert_eq!((ran.code, ran.out.as_str()), (0, want), "{format}: {}", ran.err);
        assert!(ran.err.starts_with("2 rows"), "{}", ran.err);
        let quiet = world.run(&["query", query, "--format", format, "-q"]);
        assert_eq!((quiet.out.as_str(), quiet.err.as_str()), (want, ""));
    }
    assert_eq!(world.run(&["query", query]).out, formats[0].1, "a pipe gets CSV");
    let all = world.run(&["query", "FROM stars", "--format", "table"]);
    assert_eq!(all.out.lines().count(), ROWS + 2, "nothing is cut in a pipe");
}

#[test]
fn files_by_name_complete_or_not_at_all() {
    let world = World::new();
    for (name, start) in [
        ("a.csv", "id,ra"),
        ("a.json", "[\n{\"id\""),
        ("a.md", "| id"),
        ("a.parquet", "PAR1"),
        ("a.arrow", "ARROW1"),
        ("a", "id,ra"),
    ] {
        let ran = world.run(&["query", "FROM stars LIMIT 3", "-o", name]);
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
        let bytes = std::fs::read(world.path().join(name)).unwrap();
        assert!(bytes.starts_with(start.as_bytes()), "{name}");
    }
    let before = std::fs::read(world.path().join("a.csv")).unwrap();
    assert_eq!(world.run(&["query", "FROM nothing", "-o", "a.csv"]).code, 1);
    assert_eq!(std::fs::read(world.path().join("a.csv")).unwrap(), before);
    assert_eq!(world.run(&["query", "FROM stars", "-o", "no/such/place.csv"]).code, 1);
    assert_eq!(world.run(&["query", "FROM stars", "-o", "/dev/null"]).code, 0);
    let left = std::fs::read_dir(world.path()).unwrap().flatten();
    let left: Vec<_> = left.filter(|e| e.file_name().to_string_lossy().starts_with(".starquake")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_reader_that_goes_is_no_error() {
    let world = World::new();
    for format in ["csv", "table", "markdown", "ndjson"] {
        let mut command = world.command(&["query", "FROM stars", "--format", format]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ran = output(&child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (141, ""), "{format}");
    }
}

#[test]
fn a_full_device_is_an_error() {
    let world = World::new();
    for format in ["csv", "table", "json"] {
        let mut command = world.command(&["query", "FROM stars", "--format", format]);
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ran = output(&command.stdout(full).output().unwrap());
        assert_eq!(ran.code, 1, "{format}");
        assert!(ran.err.contains("standard output") || ran.err.contains("the output"), "{}", ran.err);
    }
}

#[test]
fn scripts_come_from_files_and_standard_input() {
    let world = World::new();
    let script = "LET faint = 15.5;\nSELECT COUNT(*) AS n FROM stars\nWHERE mag > $faint;\n";
    std::fs::write(world.path().join("count.sq"), script).unwrap();
    let count = |faint: f64| (0..ROWS).filter(|i| (10 + i % 7) as f64 > faint).count();
    let want = format!("n\n{}\n", count(15.5));
    assert_eq!(world.run(&["query", "-f", "count.sq"]).out, want);
    assert_eq!(world.feed(&["query", "-"], script).out, want);
    assert_eq!(world.run(&["query", &format!("-- how many\n{script}")]).out, want);
    assert_eq!(world.feed(&["sky.sqk"], script).out, want);
    assert_eq!(world.feed(&["query"], script).out, want);
    let pinned = world.run(&["-P", "x=1", "query", "-f", "count.sq", "-P", "faint=12.5"]);
    assert_eq!(pinned.out, format!("n\n{}\n", count(12.5)), "{}", pinned.err);
    let text = world.run(&["query", "SELECT $name AS a", "-P", "name=data/x.csv"]);
    assert_eq!(text.out, "a\ndata/x.csv\n", "{}", text.err);

    std::fs::write(world.path().join("wrong.sq"), "FROM stars LIMIT 1;\n\n  FROM stars WHERE magg > 1;\n")
        .unwrap();
    let ran = world.run(&["query", "-f", "wrong.sq"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "bound before the first statement runs");
    assert!(ran.err.contains("wrong.sq:3:20") && ran.err.contains("^^^^"), "{}", ran.err);
    let checked = world.run(&["check", "wrong.sq"]);
    assert!(checked.code == 2 && checked.err.contains("wrong.sq:3:20"), "{}", checked.err);
    std::fs::write(world.path().join("bytes.sq"), b"FROM \xff").unwrap();
    let ran = world.run(&["query", "-f", "bytes.sq"]);
    assert!(ran.code == 2 && ran.err.contains("byte 5"), "{}", ran.err);
}

#[test]
fn colours_only_where_they_are_wanted() {
    let world = World::empty();
    let has_colour = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = world.command(args);
        command.envs(env.iter().copied());
        ran(&mut command).err.contains('\u{1b}')
    };
    let wrong = ["query", "FORM x"];
    let always = ["query", "FORM x", "--color", "always"];
    let never = ["query", "FORM x", "--color", "never"];
    type Environment<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(&[&str], Environment<'_>, bool)] = &[
        (&wrong, &[], false),
        (&wrong, &[("CLICOLOR_FORCE", "1")], true),
        (&wrong, &[("CLICOLOR_FORCE", "0")], false),
        (&wrong, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&wrong, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")], true),
        (&wrong, &[("TERM", "dumb")], false),
        (&always, &[("NO_COLOR", "1")], true),
        (&never, &[("CLICOLOR_FORCE", "1")], false),
    ];
    for (args, env, want) in cases {
        assert_eq!(has_colour(args, env), *want, "{args:?} {env:?}");
    }
}

#[test]
fn help_tells_what_is_there() {
    let world = World::empty();
    let ran = world.run(&["--help"]);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.out, world.run(&["-h"]).out);
    assert_eq!(ran.out, world.run(&["help"]).out);
    let commands = [
        "query",
        "import",
        "refresh",
        "watch",
        "fetch",
        "status",
        "check",
        "gaps",
        "coverage",
        "files",
        "copy",
        "compact",
        "demo",
        "bench",
        "completions",
        "man",
        "help",
    ];
    for word in commands {
        assert!(ran.out.contains(&format!(" {word}")), "{word}");
        assert_eq!(world.run(&["help", word]).code, 0, "{word}");
        assert_eq!(world.run(&[word, "--help"]).code, 0, "{word}");
    }
    assert!(ran.out.contains("STARQUAKE_DB"));
    let options = world.run(&["help", "options"]).out;
    assert!(options.contains("--read-only") && options.contains("130 interrupted"), "{options}");
    let grammar = world.run(&["help", "grammar"]).out;
    assert_eq!(grammar, include_str!("../grammar/starquake.ebnf"));
    assert!(world.run(&["help", "CROSSMATCH"]).out.contains("'WITHIN' sum"));
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(world.run(&["completions", shell]).out.contains("dry-run"), "{shell}");
    }
    assert_eq!(world.run(&["--version"]).out, format!("starquake {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_database_is_checked() {
    let world = World::new();
    let ran = world.run(&["check", "--db", "--fingerprint"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("all as written"), "{}", ran.err);
    let stars = ran.out.lines().find(|l| l.starts_with("stars,")).unwrap().to_owned();
    assert!(stars.starts_with(&format!("stars,{ROWS},")), "{stars}");
    let segments = world.path().join("sky.sqk/segments");
    for entry in std::fs::read_dir(segments).unwrap().flatten() {
        let mut bytes = std::fs::read(entry.path()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(entry.path(), bytes).unwrap();
    }
    let ran = world.run(&["check", "--db"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("is damaged"), "{}", ran.err);
}

#[test]
fn time_limits_and_interrupts_end_a_statement() {
    let world = World::new();
    let endless = "SELECT COUNT(*) FROM stars AS a JOIN stars AS b ON a.mag + b.mag < a.id + b.id";
    let ran = world.run(&["query", endless, "--timeout", "100ms"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("time limit"), "{}", ran.err);
    let mut command = world.command(&["query", endless, "-v"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    // The statement is shown when it begins.
    err.read_line(&mut line).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    line.clear();
    err.read_line(&mut line).unwrap();
    assert_eq!(line, "error: interrupted\n");
}

#[test]
fn scripts_are_checked_with_and_without_a_database() {
    let world = World::new();
    let write = |name: &str, text: &str| std::fs::write(world.path().join(name), text).unwrap();
    write("good.sq", "LET m = 12;\nSELECT id FROM stars WHERE mag > $m;\n");
    write("bad.sq", "SELECT idd FROM stars;\nSELECT id FORM stars;\nSELECT id FROM starz;\n");
    write("param.sq", "SELECT id FROM stars WHERE mag > $faint;\n");
    // arguments, code, what standard error says
    let cases: &[(&[&str], u8, &[&str])] = &[
        (&["check", "good.sq"], 0, &["2 statements", "nothing was run"]),
        (&["check", "bad.sq"], 2, &["bad.sq:1:8", "bad.sq:2:11", "bad.sq:3:16", "3 mistakes"]),
        (&["check", "param.sq"], 2, &["$faint has no value"]),
        (&["-P", "faint=12", "check", "param.sq"], 0, &["1 statement"]),
    ];
    for (args, code, wants) in cases {
        let ran = world.run(args);
        assert_eq!((i32::from(*code), ran.out.as_str()), (ran.code, ""), "{args:?}: {}", ran.err);
        wants.iter().for_each(|want| assert!(ran.err.contains(want), "{args:?}: {want}\n{}", ran.err));
    }
    let empty = World::empty();
    std::fs::write(empty.path().join("bad.sq"), "SELECT idd FROM stars;\nSELECT id FORM stars;\n").unwrap();
    let ran = empty.run(&["check", "bad.sq"]);
    assert!(ran.code == 2 && ran.err.contains("no database") && ran.err.contains("1 mistake"), "{}", ran.err);
}

#[test]
fn a_failed_first_import_leaves_nothing() {
    let world = World::empty();
    std::fs::write(world.path().join("ragged.csv"), "a,b\n1\n").unwrap();
    let ran = world.run(&["new.sqk", "import", "catalog", "ragged.csv"]);
    assert!(ran.code == 1 && ran.err.contains("line 2"), "{}: {}", ran.code, ran.err);
    assert!(!world.path().join("new.sqk").exists());
    let quakes = world.path().join("quakes");
    std::fs::create_dir(&quakes).unwrap();
    std::fs::write(quakes.join("a.dat"), "# 2021 3 1 12 0 0.00 35.0 -97.5 5.0 2.5 0 0 0 1\nANMO 1.2 1 P\n")
        .unwrap();
    std::fs::write(quakes.join("b.txt"), "no events here\n").unwrap();
    let ran = world.run(&["new.sqk", "import", "events", "quakes"]);
    assert!(ran.code == 3 && ran.err.contains("b.txt") && ran.err.contains("1 of 2 files"), "{}", ran.err);
    let ran = world.run(&["new.sqk", "query", "FROM events", "-o", "events.xyz"]);
    assert!(ran.code == 2 && ran.err.contains("parquet"), "{}", ran.err);
}
