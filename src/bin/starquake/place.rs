//! Which database is meant.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use starquake::lang::diagnostic::nearest;

use crate::args::Arguments;
use crate::style::one_line;

/// Ending of the name of a database.
const ENDING: &str = "sqk";
/// Names the database when no argument does.
const VARIABLE: &str = "STARQUAKE_DB";

/// The database of the argument, of STARQUAKE_DB, or the only one here. The error is a mistake in usage.
pub(crate) fn find(argument: Option<&Path>, creates: bool) -> Result<PathBuf, String> {
    if let Some(path) = argument {
        return named(path, creates);
    }
    if let Some(path) = env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let mut here = databases(Path::new("."));
    match (here.len(), here.pop()) {
        (1, Some(only)) => Ok(only),
        (0, _) => Err(format!(
            "which database? There is no *.{ENDING} here\n  help: starquake NAME.{ENDING} COMMAND, or set {VARIABLE}; \
             `starquake NAME.{ENDING} import waveforms DIRECTORY` makes one"
        )),
        (count, _) => Err(format!(
            "which database? There are {count} here: {}\n  help: write one before the command, or set {VARIABLE}",
            databases(Path::new("."))
                .iter()
                .map(|p| one_line(&p.display().to_string()).into_owned())
                .collect::<Vec<_>>()
                .join(", ")
        )),
    }
}

/// What to write instead of the name of a database that is not there.
pub(crate) fn instead(path: &str) -> String {
    let here: Vec<String> =
        databases(Path::new(".")).iter().map(|p| one_line(&p.display().to_string()).into_owned()).collect();
    match (nearest(path, here.iter().map(String::as_str)), here.len()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, 0) => {
            format!("`starquake {path} import ...` makes one; `starquake demo` shows one")
        }
        _ => format!("here are {}; `starquake {path} import ...` makes one", here.join(", ")),
    }
}

/// The argument, if it can be a database; else it was meant as a command.
fn named(path: &Path, creates: bool) -> Result<PathBuf, String> {
    let has_ending = path.extension().is_some_and(|e| e == ENDING);
    if has_ending || path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let text = path.display().to_string();
    let is_path = text.contains(['/', '.']);
    if creates && is_path {
        return Err(format!("the name of a database ends in .{ENDING}: {text}.{ENDING}"));
    }
    if path.exists() {
        return Err(format!("{text} is no database: a database is a directory"));
    }
    let command = Arguments::command();
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    Err(match nearest(&text, names.into_iter()) {
        Some(near) if !is_path => format!("there is no command `{text}`\n  help: did you mean `{near}`?"),
        _ if text.contains(char::is_whitespace) => {
            format!("there is no database `{text}`\n  help: for a statement write: starquake DB query '...'")
        }
        _ => format!(
            "there is no command and no database `{text}`\n  help: starquake --help lists the commands"
        ),
    })
}

/// Directories NAME.sqk of `directory`, in order.
fn databases(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|e| PathBuf::from(e.file_name()));
    let mut found: Vec<PathBuf> =
        paths.filter(|p| p.extension().is_some_and(|e| e == ENDING) && directory.join(p).is_dir()).collect();
    found.sort();
    found
}
