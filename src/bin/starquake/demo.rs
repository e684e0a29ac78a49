//! `starquake demo`: makes a small world whose truth is known, runs every verb on it, and compares.

pub(crate) mod epochs;
pub(crate) mod network;
pub(crate) mod random;
pub(crate) mod sky;
mod story;
mod verdict;
pub(crate) mod waves;
pub(crate) mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use starquake::database::{self, Database};
use starquake::error::{Error, Result, Source};
use starquake::lang::parse;

use crate::args::Common;
use crate::exit;
use crate::signal;
use crate::style::Streams;
use story::{Story, seconds};

/// Seeds everything that is made here.
const SEED: u64 = 20_240_229;
/// The queries, without the lines that say where the data are.
pub(crate) const QUERIES: &str = include_str!("demo/demo.sq");
/// A directory with this file is a demonstration, and may be replaced.
const MARK: &str = ".starquake-demo";
/// Help with what cannot happen.
pub(crate) const FAULT: &str = "this is a fault of the program";
/// What a demonstration makes in its directory.
const PARTS: [&str; 5] = ["data", "out", "demo.sqk", "demo.sq", "truth.csv"];

/// Options of the demonstration.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Directory to make
    #[arg(default_value = "starquake-demo", value_hint = clap::ValueHint::DirPath)]
    pub(crate) directory: PathBuf,
}

/// Runs it: 0 when all that was planted was found, 1 when not.
pub(crate) fn run(options: &Options, common: &Common, streams: Streams) -> ExitCode {
    let code = match demonstrate(&options.directory, common, streams) {
        Ok(true) => exit::DONE,
        Ok(false) => exit::FAILED,
        Err(error) => {
            exit::tell(&error, None, None, streams.stderr_color);
            exit::code_of(&error)
        }
    };
    code.into()
}

/// Was all found?
fn demonstrate(directory: &Path, common: &Common, streams: Streams) -> Result<bool> {
    let start = Instant::now();
    prepare(directory)?;
    let root = fs::canonicalize(directory).map_err(|e| Error::io("open", directory, e))?;
    let truth = world::write(&root.join("data"))?;
    verdict::write_truth(&truth, &root.join("truth.csv"))?;
    let made = start.elapsed();
    exit::say(&format!("the data are made; {}", seconds(made)));

    let source = queries(&root)?;
    let database = Database::create(root.join("demo.sqk"), database::Options::default())?;
    signal::install(database.cancel(), false);
    let mut story = Story::new(&database, streams, common.has_bar(streams));
    let statements = parse::script(&source.name, &source.text)?;
    story.tell(&source, &statements)?;
    let checks = verdict::checks(&mut story, &truth)?;
    let is_good = story.conclude(&checks)?;
    story.line(&format!(
        "\nall of it took {}, {} of them to make the data",
        seconds(start.elapsed()),
        seconds(made)
    ))?;
    for line in try_next(directory) {
        story.line(&line)?;
    }
    Ok(is_good)
}

/// Commands to go on with, by the name that this program was called by.
fn try_next(directory: &Path) -> Vec<String> {
    let program = shell_word(&std::env::args().next().unwrap_or_else(|| "starquake".to_owned()));
    let path = |part: &str| shell_word(&directory.join(part).display().to_string());
    let database = format!("{program} {}", path("demo.sqk"));
    vec![
        "\ntry next".to_owned(),
        format!("  {database}    # the prompt: SQL and verbs, .help"),
        format!("  {database} query -f {}    # all of the above again", path("demo.sq")),
        format!("  {database} query \"GAPS OF 'DM.*.00.HHN' LONGER 1 s\""),
        format!("  {database} query 'SELECT TOP 5 source_id, g FROM optical ORDER BY g' --format json"),
    ]
}

/// In quotes where a shell would take it apart.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "./_-+".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Makes the directory, or empties one that an earlier demonstration made.
fn prepare(directory: &Path) -> Result<()> {
    let is_empty = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(directory).map_err(|e| Error::io("create", directory, e))?;
            true
        }
        Err(e) => return Err(Error::io("open", directory, e)),
    };
    let mark = directory.join(MARK);
    if !is_empty && !mark.is_file() {
        return Err(Error::refused(
            format!("{} holds something that is no demonstration: nothing was changed", directory.display()),
            "name another directory: starquake demo DIRECTORY",
        ));
    }
    fs::write(&mark, "made by `starquake demo`, which may replace it\n")
        .map_err(|e| Error::io("write", &mark, e))?;
    PARTS.iter().try_for_each(|part| remove(&directory.join(part)))?;
    let out = directory.join("out");
    fs::create_dir(&out).map_err(|e| Error::io("create", &out, e))
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Writes `demo.sq`: the queries, with the places of this demonstration.
fn queries(root: &Path) -> Result<Source> {
    let text_of = |path: PathBuf| format!("'{}'", path.display().to_string().replace('\'', "''"));
    let (data, out) = (text_of(root.join("data")), text_of(root.join("out")));
    let text = format!(
        "-- Where the data are, and where files go.\nLET data = {data};\nLET out = {out};\n\n{QUERIES}"
    );
    let path = root.join("demo.sq");
    fs::write(&path, &text).map_err(|e| Error::io("write", &path, e))?;
    Ok(Source { name: "demo.sq".to_owned(), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queries_parse_and_use_every_verb() {
        let statements = parse::script("demo.sq", QUERIES).expect("the queries parse");
        assert!(statements.len() > 40);
        let verbs = "IMPORT WAVEFORMS,IMPORT EVENTS,IMPORT STATIONS,IMPORT CATALOG,REFRESH,SHOW CHANGES,SHOW TABLES,\
                     SHOW STATUS,DESCRIBE,SELECT,GROUP BY,ORDER BY,GAPS OF,COVERAGE OF,PAIRS OF,CORRELATE,COPY,LET,\
                     INNER CROSSMATCH,LEFT CROSSMATCH,SEMI CROSSMATCH,ANTI CROSSMATCH,INNER JOIN,VARIABILITY OF,\
                     EXPLAIN ANALYZE,DROP TABLE,COMPACT";
        for verb in verbs.split(',') {
            assert!(QUERIES.contains(verb), "{verb}");
        }
    }

    #[test]
    fn only_a_demonstration_is_replaced() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let own = dir.path().join("own");
        prepare(&own).expect("a new directory");
        fs::write(own.join("demo.sq"), "old").expect("a file");
        fs::write(own.join("mine.txt"), "kept").expect("a file");
        prepare(&own).expect("a second time");
        assert!(!own.join("demo.sq").exists() && own.join("mine.txt").exists());
        let other = dir.path().join("other");
        fs::create_dir(&other).expect("a directory");
        prepare(&other).expect("an empty directory");
        fs::remove_file(other.join(MARK)).expect("its mark");
        let error = prepare(&other).expect_err("not ours").to_string();
        assert!(error.contains("no demonstration"), "{error}");
    }

    #[test]
    fn paths_are_quoted_for_a_shell() {
        let cases = [("a/b.sq", "a/b.sq"), ("a b", "'a b'"), ("it's", "'it'\\''s'")];
        for (text, want) in cases {
            assert_eq!(shell_word(text), want);
        }
    }
}
