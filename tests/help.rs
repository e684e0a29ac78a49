//! Every example of every page of `starquake help`, run on a copy of the demo's database.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::demo::world;

const PAGES: [&str; 4] = [
    include_str!("../src/bin/starquake/help/statements.txt"),
    include_str!("../src/bin/starquake/help/verbs.txt"),
    include_str!("../src/bin/starquake/help/values.txt"),
    include_str!("../src/bin/starquake/help/program.txt"),
];

/// A shell where `starquake` is this program; its error output when it fails.
fn shell(line: &str, directory: &Path) -> Result<(), String> {
    let program = Path::new(env!("CARGO_BIN_EXE_starquake"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", program.parent().expect("a directory").display());
    let mut command = Command::new("bash");
    command.args(["-c", line]).current_dir(directory).stdin(Stdio::null());
    let done = command.env("PATH", path).env_remove("STARQUAKE_DB").output().expect("bash");
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() { Ok(()) } else { Err(format!("{}: {text}", done.status)) }
}

/// A copy of the demo's database beside its data.
fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let world = world().canonicalize().expect("the demo");
    let line = format!("cp -r {0}/demo.sqk . && ln -s {0}/data data", world.display());
    shell(&line, dir.path()).expect("a copy");
    dir
}

#[test]
fn every_example_of_every_page_runs() {
    let dir = copy();
    let mut failures = Vec::new();
    let mut count = 0;
    for page in PAGES.iter().flat_map(|text| text.split("\n== ").skip(1)) {
        let title = page.split('|').next().unwrap_or("").trim();
        let (_, examples) = page.split_once("\nExamples:\n").expect("examples");
        let (commands, statements): (Vec<&str>, Vec<&str>) =
            examples.lines().map(str::trim).filter(|l| !l.is_empty()).partition(|l| l.starts_with("$ "));
        if !statements.is_empty() {
            std::fs::write(dir.path().join("page.sq"), statements.join("\n")).expect("a file");
            let ran = shell("starquake demo.sqk query -f page.sq", dir.path());
            failures.extend(ran.err().map(|e| format!("{title}: {e}")));
            count += statements.iter().filter(|l| l.ends_with(';')).count();
        }
        for command in commands {
            let ran = shell(command.trim_start_matches("$ "), dir.path());
            failures.extend(ran.err().map(|e| format!("{title}: {command}\n{e}")));
            count += 1;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count > 90, "{count} examples");
}
