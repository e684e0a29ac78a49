//! The README and the pages of docs/ say what is so: their console blocks are run on the demo's database and their
//! query blocks parse.

use std::path::Path;
use std::process::Command;

use starquake::lang::parse;

use crate::demo::world;

const README: &str = include_str!("../README.md");
const LANGUAGE: &str = include_str!("../docs/language.md");

/// The blocks of one kind.
fn blocks<'a>(text: &'a str, kind: &str) -> Vec<&'a str> {
    let open = format!("```{kind}\n");
    text.split(&open).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Words of an output. Numbers are compared as such: the last digits are the machine's.
fn same(got: &str, want: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let is_rule = |w: &&str| !w.chars().all(|c| c == '-');
        text.split_whitespace().filter(is_rule).map(str::to_owned).collect()
    };
    let (got, want) = (words(got), words(want));
    got.len() == want.len()
        && got.iter().zip(&want).all(|(g, w)| match (g.parse::<f64>(), w.parse::<f64>()) {
            (Ok(a), Ok(b)) => (a - b).abs() <= 1e-3 * b.abs(),
            _ => g == w,
        })
}

/// Without the time at the end of a line: `; 0.360 s`.
fn without_time(text: &str) -> String {
    let untimed = text.lines().map(|line| match line.rsplit_once("; ") {
        Some((head, time)) if time.ends_with(" s") => head,
        _ => line,
    });
    untimed.map(|line| format!("{line}\n")).collect()
}

fn run(command: &str, directory: &Path) -> String {
    let program = env!("CARGO_BIN_EXE_starquake");
    let line = command.replacen("starquake", program, 1);
    let done = Command::new("bash")
        .args(["-c", &line])
        .current_dir(directory)
        .env_remove("STARQUAKE_DB")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("bash");
    let text = if done.stdout.is_empty() { done.stderr } else { done.stdout };
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn the_console_blocks_of_the_readme_are_real() {
    let blocks = blocks(README, "console");
    assert!(blocks.len() >= 5);
    for block in blocks {
        let (command, want) = block.split_once('\n').expect("a command and its output");
        let command = command.strip_prefix("$ ").expect("a prompt");
        let got = run(command, world());
        assert!(same(&got, want), "{command}\n--- the README has\n{want}\n--- it prints\n{got}");
    }
}

/// From zero to the first query: the lines run in a directory with nothing but data.
#[test]
fn the_path_of_a_new_user_leads_there() {
    let blocks = blocks(README, "console path");
    assert!(blocks.len() >= 6);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = world().join("data").canonicalize().expect("the data of the demo");
    std::os::unix::fs::symlink(data, dir.path().join("data")).expect("a link");
    for block in blocks {
        let (command, want) = block.split_once('\n').expect("a command and its output");
        let got = run(command.strip_prefix("$ ").expect("a prompt"), dir.path());
        assert!(
            same(&without_time(&got), &without_time(want)),
            "{command}\n--- the README has\n{want}\n--- it prints\n{got}"
        );
    }
    assert!(dir.path().join("alone.parquet").is_file());
}

#[test]
fn the_query_blocks_of_the_docs_parse() {
    let queries = blocks(LANGUAGE, "sql");
    assert!(queries.len() >= 2);
    for query in queries {
        if let Err(error) = parse::script("docs/language.md", query) {
            panic!("{}", starquake::lang::diagnostic::render(&error, false));
        }
    }
}

/// Every invariant that code cites as `[I7]` is stated in docs/disk-format.md.
#[test]
fn cited_invariants_are_stated() {
    let text = include_str!("../docs/disk-format.md");
    let stated = |number: u32| text.contains(&format!("[I{number}]"));
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut cited = 0;
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let code = std::fs::read_to_string(&path).unwrap_or_default();
            for rest in code.split("[I").skip(1) {
                // Doc comments write the brackets escaped.
                let Some(Ok(number)) = rest.split(['\\', ']']).next().map(str::parse::<u32>) else {
                    continue;
                };
                assert!(stated(number), "{} cites [I{number}]", path.display());
                cited += 1;
            }
        }
    }
    assert!(cited > 20, "{cited} citations");
}
