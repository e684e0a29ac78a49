//! The prompt as a person meets it: in a terminal, key by key.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::child;
use crate::demo::world;
use crate::terminal::{CTRL_C, CTRL_D, ENTER, RIGHT, TAB, Terminal, UP, take_terminal};
use crate::tree::mseed;

/// Rows of the catalogue `quasars`.
const ROWS: usize = 100_000;
/// A statement that tests 10^10 pairs one by one: minutes.
const ENDLESS: &str =
    "SELECT COUNT(*) FROM quasars AS a JOIN quasars AS b ON ABS(a.mag * 3.0 - b.mag * 7.0) = 1234.5;";

/// A directory with a database of one catalogue and one channel.
struct World {
    directory: TempDir,
}

impl World {
    fn new(rows: usize) -> World {
        let world = World { directory: tempfile::tempdir().unwrap() };
        let mut text = String::from("id,ra,dec,mag,name\n");
        for i in 0..rows {
            let name = if i % 3 == 0 { "" } else { "星 a long enough name" };
            writeln!(text, "{i},{},{},{},{name}", i as f64 / 1000.0, i as f64 / 2000.0, 10 + i % 7).unwrap();
        }
        std::fs::write(world.path().join("quasars.csv"), text).unwrap();
        std::fs::create_dir(world.path().join("waves")).unwrap();
        let wave = mseed("XX.STA..BHZ", "2024-02-29T00:00:00", 20.0, 2000);
        std::fs::write(world.path().join("waves/a.mseed"), wave).unwrap();
        world.import(&["catalog", "quasars.csv", "--into", "quasars", "--key", "id", "--position", "ra,dec"]);
        world.import(&["waveforms", "waves"]);
        world
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn import(&self, args: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starquake"));
        command.current_dir(self.path()).stdin(Stdio::null()).args(["sky.sqk", "import"]).args(args);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The prompt in a terminal of 80 columns, when it is ready.
    fn prompt(&self, variables: &[(&str, &str)]) -> Terminal {
        self.prompt_with(variables, &[])
    }

    fn prompt_with(&self, variables: &[(&str, &str)], options: &[&str]) -> Terminal {
        let history = self.path().join("history");
        let history = ("STARQUAKE_HISTORY", history.to_str().unwrap());
        start(self.path(), &[variables, &[history]].concat(), &[&["sky.sqk"], options].concat())
    }
}

/// The program in a terminal of 80 columns, with its first prompt.
fn start(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Terminal {
    let mut command = Command::new(std::env::current_exe().unwrap());
    // This binary makes the terminal its own, then becomes the program.
    command.args(["--exact", "prompt::becomes_the_program", "--nocapture", "--test-threads=1"]);
    command.current_dir(directory);
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "STARQUAKE_PAGER", "STARQUAKE_DB", "EDITOR", "VISUAL"] {
        command.env_remove(name);
    }
    command.env(child::JOB, arguments.join("\n")).env("TERM", "xterm-256color").env("PAGER", "cat");
    command.envs(variables.iter().copied());
    let mut terminal = Terminal::start(&mut command, 80, 30);
    terminal.prompt(0);
    terminal
}

/// No test of its own: the process between the terminal and the program.
#[test]
fn becomes_the_program() {
    let Some(arguments) = child::job() else { return };
    take_terminal();
    let error = Command::new(env!("CARGO_BIN_EXE_starquake")).args(arguments).env_remove(child::JOB).exec();
    panic!("{error}");
}

/// Ends a session with Ctrl-D.
fn leave(mut terminal: Terminal) {
    terminal.keys(CTRL_D);
    assert_eq!(terminal.finish().code(), Some(0));
}

#[test]
fn statements_and_commands_are_answered() {
    let world = World::new(100);
    let mut terminal = world.prompt(&[]);
    let cases: &[(&str, &[&str])] = &[
        ("SELECT 1 + 1 AS two;", &["two", "2", "1 row;"]),
        ("SELECT id, name FROM quasars;", &["100 rows, 40 shown: .last", "NULL"]),
        (".last", &["\n99  ", "100 rows"]),
        ("FROM quasars LIMIT 1", &[]),
        (";", &["1 row"]),
        ("SELECT nme FROM quasars;", &["no column `nme` in `quasars`", "^^^", "did you mean `name`?"]),
        ("SELECT FRM;", &["error:", "^"]),
        ("SELECT 1; SELECT 2 AS b;", &["1 row", "b"]),
        (r"\dt", &["quasars", "segments"]),
        (r"\d quasars", &["mag", "FLOAT"]),
        (".schema quasars", &["dec"]),
        (".mode csv", &[]),
        ("SELECT 1 AS a, 2 AS b;", &["a,b", "1,2"]),
        (".mode nonsense", &["there is no such format"]),
        (".mode table", &[]),
        (r"\x", &["one line for each cell"]),
        ("SELECT 1 AS a, NULL AS b;", &["-- row 1", "a  1", "b  NULL"]),
        (r"\x", &["one line for each row"]),
        (".timer off", &["timer off"]),
        (".output rows.csv", &["the next answer goes to rows.csv"]),
        ("SELECT 7 AS seven;", &["1 row"]),
        (".output", &[]),
        ("SELECT 8 AS eight;", &["eight"]),
        (".tabels", &["did you mean `.tables`?"]),
        (".history 3", &[".tabels", "SELECT 8"]),
        (".help GAPS", &["'GAPS' 'OF' codes"]),
        (r"\?", &[".last", "less -SR"]),
        ("EXPLAIN FROM quasars WHERE mag > 3;", &["scan quasars", "block minima"]),
        ("FROM quasars WHERE mag > 16.5;", &["0 rows; index: block minima and maxima of quasars"]),
        ("GAPS OF '*.*.*.*';", &["index: time of each channel"]),
    ];
    for (line, wants) in cases {
        if *line == "FROM quasars LIMIT 1" {
            terminal.keys(&format!("{line}{ENTER}"));
            continue;
        }
        let shown = terminal.run(line);
        for want in *wants {
            assert!(shown.contains(want), "{line}: no `{want}` in\n{shown}");
        }
    }
    assert_eq!(std::fs::read_to_string(world.path().join("rows.csv")).unwrap(), "seven\n7\n");
    assert!(!terminal.run("SELECT 1;").contains(" s"), "the timer is off");
    std::fs::write(
        world.path().join("two.sq"),
        "SELECT 3 AS three;\nSELECT 4 AS four;\nSELECT 9223372036854775807 + id AS x FROM quasars;\n",
    )
    .unwrap();
    let shown = terminal.run(".read two.sq");
    for want in ["three", "four", "two.sq:3"] {
        assert!(shown.contains(want), "no `{want}` in\n{shown}");
    }
    leave(terminal);
}

#[test]
fn tab_completes_what_fits_the_place() {
    let world = World::new(100);
    let mut terminal = world.prompt(&[]);
    terminal.run("LET bright = (FROM quasars WHERE mag < 12);");
    let cases = [
        ("sel", "select"),
        ("SELECT * FROM qu", "SELECT * FROM quasars"),
        ("SELECT nam", "SELECT name"),
        ("SELECT CEI", "SELECT CEILING("),
        ("SELECT * FROM quasars AS q WHERE q.na", "SELECT * FROM quasars AS q WHERE q.name"),
        ("FROM quasars ORD", "FROM quasars ORDER BY"),
        ("FROM quasars WHERE ra > 3 arcm", "FROM quasars WHERE ra > 3 arcmin"),
        ("FROM $br", "FROM $bright"),
        ("SELECT * FROM $bright AS b WHERE b.na", "SELECT * FROM $bright AS b WHERE b.name"),
        ("GAPS OF '*' ORDER BY sampl", "GAPS OF '*' ORDER BY sampl"),
        ("GAPS OF 'X", "GAPS OF 'XX."),
        ("GAPS OF 'XX.STA.", "GAPS OF 'XX.STA.--."),
        ("FROM segments WHERE channel MATCHES 'B", "FROM segments WHERE channel MATCHES 'BHZ'"),
        ("IMPORT CATALOG 'qua", "IMPORT CATALOG 'quasars.csv'"),
        ("INCLUDE 'wav", "INCLUDE 'waves/"),
        ("COPY quasars TO 'x", "COPY quasars TO 'x"),
        ("CORRELATE events PEAK ban", "CORRELATE events PEAK bandlimited"),
        ("SELECT CAST(mag AS FL", "SELECT CAST(mag AS FLOAT"),
        ("DESCRIBE qua", "DESCRIBE quasars"),
        ("SELECT 'qua", "SELECT 'qua"),
        ("-- sel", "-- sel"),
        (".mod", ".mode"),
        (".mode mark", ".mode markdown"),
        (r"\d qua", r"\d quasars"),
        (".read qua", ".read quasars.csv"),
    ];
    for (typed, want) in cases {
        terminal.types(&format!("{typed}{TAB}"), want);
    }
    terminal.keys(&format!("FROM quasars WHERE {TAB}"));
    terminal.wait("list of columns", |s| s.text(0).contains("id ") && s.text(0).contains("EXISTS"));
    let row = terminal.screen.row;
    terminal.keys(CTRL_C);
    terminal.prompt(row);
    // A hint is taken over by the right arrow.
    terminal.types(&format!("FROM quasars ORDER {RIGHT}"), "FROM quasars ORDER BY");
    leave(terminal);
}

#[test]
fn a_statement_of_several_lines_is_one_entry_of_the_history() {
    let world = World::new(10);
    let mut terminal = world.prompt(&[]);
    let row = terminal.screen.row;
    terminal.keys(&format!(
        "SELECT id, -- not the end;{ENTER}'a;b' AS t{ENTER}FROM quasars{ENTER}LIMIT 2;{ENTER}"
    ));
    terminal.prompt(row);
    let shown = terminal.screen.text(row);
    assert!(shown.contains("2 rows"), "{shown}");
    leave(terminal);

    let mut terminal = world.prompt(&[]);
    let row = terminal.screen.row;
    terminal.keys(UP);
    terminal.wait("statement before", |s| s.line(s.row) == "LIMIT 2;");
    assert_eq!(
        terminal.screen.text(row),
        "sq> SELECT id, -- not the end;\n'a;b' AS t\nFROM quasars\nLIMIT 2;"
    );
    terminal.keys(ENTER);
    terminal.prompt(row);
    assert!(terminal.screen.text(row).contains("2 rows"));
    leave(terminal);
    let history = world.path().join("history");
    assert_eq!(std::fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&history).unwrap().lines().count(), 2, "a head and one entry");
}

#[test]
fn what_is_pasted_runs_as_it_was_written() {
    let world = World::new(10);
    let mut terminal = world.prompt(&[]);
    let row = terminal.screen.row;
    terminal.keys("\u{1b}[200~SELECT 4 AS four;\nSELECT 5\nAS five;\u{1b}[201~\r");
    terminal.wait("both answers", |s| s.line(s.row) == "sq>" && s.text(row).matches("1 row;").count() == 2);
    leave(terminal);
}

#[test]
fn ctrl_c_stops_the_statement_or_clears_the_line() {
    let world = World::new(ROWS);
    let mut terminal = world.prompt(&[]);
    for _ in 0..2 {
        let row = terminal.screen.row;
        terminal.keys(&format!("{ENDLESS}{ENTER}"));
        terminal.wait("sign of work", |s| s.text(row).contains("Ctrl-C stops it"));
        terminal.keys(CTRL_C);
        terminal.prompt(row);
        let shown = terminal.screen.text(row);
        assert!(shown.contains("interrupted") && !shown.contains("Ctrl-C stops it"), "{shown}");
        assert!(terminal.run("SELECT 1 + 1 AS two;").contains("1 row"));
    }
    let row = terminal.screen.row;
    terminal.keys("SELECT nonsense");
    terminal.wait("typed text", |s| s.line(s.row).starts_with("sq> SELECT nonsense"));
    terminal.keys(CTRL_C);
    terminal.prompt(row);
    assert!(terminal.run("SELECT 3 AS three;").contains("three"));
    leave(terminal);
}

#[test]
fn a_time_limit_stops_a_statement() {
    let world = World::new(ROWS);
    let mut terminal = world.prompt_with(&[], &["--timeout", "200ms"]);
    let shown = terminal.run(ENDLESS);
    assert!(shown.contains("longer than its time limit"), "{shown}");
    assert!(terminal.run("SELECT 1 + 1 AS two;").contains("1 row"));
    leave(terminal);
}

#[test]
fn tables_fit_the_window_as_it_is_now() {
    let world = World::new(10);
    let mut terminal = world.prompt(&[]);
    for (columns, want) in [(80, "1 row;"), (30, "4 of 5 columns shown: \\"), (200, "1 row;")] {
        terminal.resize(columns, 30);
        let shown = terminal.run("FROM quasars WHERE id = 4;");
        assert!(shown.contains(want), "{columns}:\n{shown}");
    }
    let shown = terminal.run("SELECT name, id FROM quasars LIMIT 2;");
    let rows: Vec<&str> = shown.lines().filter(|l| l.ends_with(['0', '1'])).collect();
    let width = |line: &str| unicode_width::UnicodeWidthStr::width(line);
    assert!(rows.len() == 2 && width(rows[0]) == width(rows[1]), "{shown}");
    leave(terminal);
}

#[test]
fn colours_are_there_unless_they_are_unwanted() {
    let world = World::new(10);
    let cases: [(&[(&str, &str)], &[&str], bool); 3] =
        [(&[], &[], true), (&[("NO_COLOR", "1")], &[], false), (&[], &["--color", "never"], false)];
    for (variables, options, want) in cases {
        let mut terminal = world.prompt_with(variables, options);
        terminal.run("SELECT 'a' AS a, NULL AS b FROM quasars LIMIT 1;");
        terminal.run("FROM nowhere;");
        let text = String::from_utf8_lossy(&terminal.raw).into_owned();
        let mut sequences = text.split("\u{1b}[").skip(1);
        let is_colour =
            |s: &str| s.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m');
        assert_eq!(sequences.any(is_colour), want, "{variables:?} {options:?}");
        leave(terminal);
    }
}

#[test]
fn a_pager_that_is_left_early_is_no_error() {
    let world = World::new(1000);
    let mut terminal = world.prompt(&[("PAGER", "head -n 3")]);
    terminal.run("SELECT id, name, mag FROM quasars;");
    let shown = terminal.run(".last");
    assert!(!shown.contains("error") && shown.lines().count() < 8, "{shown}");
    terminal.run(".mode csv");
    let shown = terminal.run("SELECT id FROM quasars;");
    assert!(!shown.contains("error"), "{shown}");
    terminal.run(".pager off");
    let shown = terminal.run("SELECT id FROM quasars;");
    assert!(shown.contains("\n999\n"), "{shown}");
    leave(terminal);
}

#[test]
fn the_editor_gives_the_statement_back() {
    let world = World::new(10);
    let editor = world.path().join("editor.sh");
    std::fs::write(&editor, "#!/bin/sh\necho 'SELECT 42 AS answer' > \"$1\"\n").unwrap();
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut terminal = world.prompt(&[("EDITOR", editor.to_str().unwrap())]);
    terminal.run("SELECT 1;");
    let row = terminal.screen.row;
    terminal.keys(&format!(".edit{ENTER}"));
    terminal.wait("edited text", |s| s.row > row && s.line(s.row).starts_with("sq> SELECT 42 AS answer"));
    assert!(terminal.run(";").contains("42"));
    leave(terminal);
}

/// The words of an answer, but for the seconds it took.
fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        if word == "s" {
            words.pop();
        } else {
            words.push(word);
        }
    }
    words
}

#[test]
fn the_session_of_the_readme_is_real() {
    let readme = include_str!("../README.md");
    let session = readme.split("```prompt\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut terminal = start(world(), &[("STARQUAKE_HISTORY", "")], &["demo.sqk"]);
    let inputs: Vec<&str> = session.split("sq> ").skip(1).collect();
    assert!(inputs.len() >= 3);
    for input in inputs {
        let is_command = input.starts_with(['.', '\\']);
        let end = if is_command { input.find('\n') } else { input.find(";\n").map(|end| end + 1) };
        let (typed, want) = input.split_at(end.expect("an end of the input"));
        let got = terminal.run(&typed.replace('\n', ENTER));
        let got: String = got
            .lines()
            .skip(typed.lines().count())
            .filter(|l| *l != "sq>")
            .map(|l| format!("{l}\n"))
            .collect();
        assert_eq!(words(&got), words(want), "{typed}\n--- it prints\n{got}");
    }
    leave(terminal);
}
