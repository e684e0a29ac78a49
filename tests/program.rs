//! What a real process does beside statements: bench, man, completions in the shells that are here, requests in bulk,
//! Arrow and compressed files, bars and messages, interrupts.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::demo::world;

const PROGRAM: &str = env!("CARGO_BIN_EXE_starquake");

fn command(args: &[&str], directory: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).current_dir(directory).stdin(Stdio::null());
    for name in ["STARQUAKE_DB", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

fn run(args: &[&str], directory: &Path) -> Output {
    command(args, directory).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn out(args: &[&str], directory: &Path) -> String {
    let done = run(args, directory);
    assert!(done.status.success(), "{args:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

/// Every verb is timed, as CSV; nothing is left behind.
#[test]
fn bench_times_everything_and_cleans_up() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["bench", "--quick", "--rows", "20000", "--format", "csv", "-j", "1"];
    let done = command(&args, dir.path()).env("TMPDIR", dir.path()).output().unwrap();
    let (table, err) = (text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "{err}");
    assert!(err.contains("on 1 thread\n"), "{err}");
    let verbs = "parse,index miniSEED,index small files,refresh,gaps,coverage,windows,pairs,correlate,import CSV,import \
                 Parquet,import QuakeML,cone search,crossmatch,variability,filter,group by,sort,join,write Parquet";
    for verb in verbs.split(',') {
        let line = table.lines().find(|l| l.trim_start_matches('"').starts_with(verb));
        let cells: Vec<&str> = line.unwrap_or_else(|| panic!("{verb} in {table}")).split(',').collect();
        let rate: f64 = cells[cells.len() - 1].parse().unwrap();
        assert!(rate > 0.0, "{line:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Ctrl-C ends it with 130, and what it made goes.
#[test]
fn an_interrupted_bench_cleans_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(&["bench", "--rows", "100000"], dir.path());
    let child =
        command.env("TMPDIR", dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // When its directory is there it listens.
    while std::fs::read_dir(dir.path()).unwrap().count() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", text(&done.stderr));
    assert_eq!((text(&done.stdout).as_str(), text(&done.stderr).as_str()), ("", "error: interrupted\n"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// A request in bulk is one statement, and gives the same as its lines one by one.
#[test]
fn requests_in_bulk() {
    let dir = tempfile::tempdir().unwrap();
    let database = world().join("demo.sqk");
    let database = database.to_str().unwrap();
    let file = dir.path().join("bulk.txt");
    let lines = [
        "DM ST01 00 HHZ 2024-02-29 2024-03-01",
        "DM ST02 * HH? 2024-03-01 2024-03-02",
        "DM ST05 00 HHN 2024-02-29 2024-03-01",
    ];
    std::fs::write(&file, format!("nodata=404\n{}\n", lines.join("\n"))).unwrap();
    let shown = out(&["files", "--bulk", "bulk.txt", "--print-query"], dir.path());
    let want = "SELECT DISTINCT path FROM segments WHERE (code MATCHES 'DM.ST01.00.HHZ,DM.ST05.00.HHN' AND span OVERLAPS \
                2024-02-29T00:00:00Z .. 2024-03-01T00:00:00Z) OR (code MATCHES 'DM.ST02.*.HH?' AND span OVERLAPS \
                2024-03-01T00:00:00Z .. 2024-03-02T00:00:00Z)\n";
    assert_eq!(shown, want);
    let sorted = |text: String| {
        let mut lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for verb in ["files", "gaps"] {
        let all = sorted(out(&[database, verb, "--bulk", "bulk.txt"], dir.path()));
        let mut one_by_one = Vec::new();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let flags = ["--net", "--sta", "--loc", "--cha", "--start", "--end"];
            let pairs: Vec<&str> = flags.iter().zip(&words).flat_map(|(f, w)| [*f, *w]).collect();
            one_by_one.extend(sorted(out(&[&[database, verb], &pairs[..]].concat(), dir.path())));
        }
        one_by_one.sort();
        assert_eq!(all, one_by_one, "{verb}");
        assert!(all.len() >= 3, "{all:?}");
    }
}

/// Arrow files and streams hold what CSV holds; text is compressed by name.
#[test]
fn arrow_and_compressed_files() {
    use arrow_array::{Array, cast::AsArray, types::Int64Type};
    let dir = tempfile::tempdir().unwrap();
    let database = world().join("demo.sqk");
    let database = database.to_str().unwrap();
    let query = "SELECT source_id, g FROM optical ORDER BY g, source_id LIMIT 1000";
    let csv = out(&[database, "query", query], dir.path());
    let ids: Vec<i64> = csv.lines().skip(1).map(|l| l.split(',').next().unwrap().parse().unwrap()).collect();
    let ids_of = |batches: Vec<arrow_array::RecordBatch>| -> Vec<i64> {
        let columns = batches.iter().map(|b| b.column(0).as_primitive::<Int64Type>());
        columns
            .flat_map(|c| {
                assert_eq!(c.null_count(), 0);
                c.values().to_vec()
            })
            .collect()
    };
    out(&[database, "query", query, "-o", "a.arrow"], dir.path());
    let file = std::fs::File::open(dir.path().join("a.arrow")).unwrap();
    let reader = arrow_ipc::reader::FileReader::try_new(file, None).unwrap();
    assert_eq!(reader.schema().field(1).metadata().get("unit").map(String::as_str), Some("mag"));
    assert_eq!(ids_of(reader.map(Result::unwrap).collect()), ids);
    let stream = run(&[database, "query", query, "--format", "arrows"], dir.path()).stdout;
    let reader = arrow_ipc::reader::StreamReader::try_new(&stream[..], None).unwrap();
    assert_eq!(ids_of(reader.map(Result::unwrap).collect()), ids);
    out(&[database, "query", query, "-o", "a.csv.gz"], dir.path());
    out(&[database, "query", &format!("COPY ({query}) TO 'b.csv.zst'")], dir.path());
    let mut unpacked = String::new();
    let file = std::fs::File::open(dir.path().join("a.csv.gz")).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, csv);
    let bytes = std::fs::read(dir.path().join("b.csv.zst")).unwrap();
    assert_eq!(text(&zstd::stream::decode_all(&bytes[..]).unwrap()), csv);
}

/// The manual page has all commands and no word that roff would obey by mistake.
#[test]
fn the_manual_page_formats() {
    let dir = tempfile::tempdir().unwrap();
    let page = out(&["man"], dir.path());
    assert!(page.starts_with(".TH STARQUAKE 1"));
    if Command::new("groff").arg("--version").output().is_err() {
        eprintln!("SKIPPED the_manual_page_formats: groff is not here");
        return;
    }
    std::fs::write(dir.path().join("starquake.1"), page).unwrap();
    let done =
        Command::new("groff").args(["-man", "-Tutf8", "-ww", "starquake.1"]).current_dir(dir.path()).output();
    let done = done.unwrap();
    assert_eq!(text(&done.stderr), "");
    // Bold words are struck twice, or have escape sequences in them.
    assert!(text(&done.stdout).lines().count() > 500);
}

/// What a shell offers for a line, one each line; `None` where the shell is not here.
fn offers(shell: &str, line: &str, directory: &Path) -> Option<Vec<String>> {
    let words: Vec<&str> = line.split(' ').collect();
    let script = match shell {
        "bash" => {
            let last = words.len() - 1;
            let previous = words[last - 1];
            format!(
                "source comp.bash; COMP_WORDS=({}); COMP_CWORD={last}; _starquake_db starquake '{}' '{previous}'; \
                 printf '%s\\n' \"${{COMPREPLY[@]}}\"",
                words.iter().map(|w| format!("'{w}'")).collect::<Vec<_>>().join(" "),
                words[last],
            )
        }
        "fish" => format!("source comp.fish; complete -C '{line}'"),
        _ => return None,
    };
    let done = Command::new(shell).args(["-c", &script]).current_dir(directory).output().ok()?;
    Some(
        text(&done.stdout)
            .lines()
            .map(|l| l.split('\t').next().unwrap_or("").trim_end_matches('/').to_owned())
            .collect(),
    )
}

/// Databases, commands, options and formats are offered, also behind a database.
#[test]
fn shells_complete() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sky.sqk")).unwrap();
    let cases = [
        ("starquake s", "sky.sqk"),
        ("starquake sta", "status"),
        ("starquake sky.sqk ref", "refresh"),
        ("starquake sky.sqk refresh --dry", "--dry-run"),
        ("starquake query --format par", "parquet"),
        ("starquake sky.sqk query --format arrow", "arrows"),
        ("starquake import cat", "catalog"),
        ("starquake help CORR", "CORRELATE"),
    ];
    for shell in ["bash", "fish"] {
        std::fs::write(dir.path().join(format!("comp.{shell}")), out(&["completions", shell], dir.path()))
            .unwrap();
        for (line, want) in cases {
            match offers(shell, line, dir.path()) {
                Some(offered) => assert!(offered.iter().any(|o| o == want), "{shell}: {line}: {offered:?}"),
                None => eprintln!("SKIPPED shells_complete: {shell} is not here"),
            }
        }
    }
    for (shell, check) in [("zsh", "-n"), ("bash", "-n"), ("fish", "-n")] {
        std::fs::write(dir.path().join("script"), out(&["completions", shell], dir.path())).unwrap();
        if let Ok(done) = Command::new(shell).args([check, "script"]).current_dir(dir.path()).output() {
            assert_eq!((done.status.code(), text(&done.stderr).as_str()), (Some(0), ""), "{shell}");
        }
    }
}

/// The reader of any text goes: no message, 141.
#[test]
fn a_reader_of_long_texts_goes() {
    let dir = tempfile::tempdir().unwrap();
    let database = world().join("demo.sqk");
    let cases: [&[&str]; 2] = [
        &[database.to_str().unwrap(), "query", "FROM optical", "--format", "json"],
        &[database.to_str().unwrap(), "query", "FROM optical", "--format", "arrows"],
    ];
    for args in cases {
        let mut child =
            command(args, dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0_u8; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let done = child.wait_with_output().unwrap();
        assert_eq!((done.status.code(), text(&done.stderr).as_str()), (Some(141), ""), "{args:?}");
    }
}

/// Statements are shown with -v, nothing with -q, and no bar where nobody looks.
#[test]
fn messages_beside_the_data() {
    let database = world().join("demo.sqk");
    let database = database.to_str().unwrap();
    let query = "SELECT COUNT(*) AS n FROM optical";
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 3] = [(&["-v"], query), (&["-q"], ""), (&["--no-progress"], "1 row")];
    for (flags, want) in cases {
        let done = run(&[&[database, "query", query], flags].concat(), dir.path());
        let err = text(&done.stderr);
        assert_eq!(text(&done.stdout), "n\n200000\n");
        assert!(err.contains(want) && (!want.is_empty() || err.is_empty()), "{flags:?}: {err}");
        assert!(!err.contains('\u{1b}') && !err.contains('\r'), "{err}");
    }
    let mut child = command(&["demo", "demo", "-j", "1", "--color", "always"], dir.path());
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    while !first.contains('\u{1b}') && lines.read_line(&mut first).unwrap() > 0 {}
    assert!(first.contains("\u{1b}["), "the demo heeds --color");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    drop(lines);
    let code = child.wait().unwrap().code();
    assert!(code == Some(130) || code == Some(141), "{code:?}");
}
