//! Commands of the prompt that are no statements: `.help`, and the letters psql has for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use starquake::error::{Error, Source};
use starquake::lang::diagnostic::nearest;
use starquake::lang::parse;

use crate::exit::{say, tell};
use crate::help;
use crate::output::{Format, replay};
use crate::pager;
use crate::run::Runner;
use crate::script;
use crate::statement::name_of;
use crate::style::{counted, one_line, paint};

/// One command and its help.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    arguments: &'static str,
    about: &'static str,
    action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Help,
    Tables,
    Schema,
    Mode,
    Timer,
    Last,
    Output,
    Edit,
    History,
    Include,
    Expanded,
    Pager,
    Quit,
}

/// What stands behind a command, for completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    None,
    Table,
    File,
    Format,
    Words(&'static [&'static str]),
}

impl Entry {
    pub(crate) fn has_arguments(&self) -> bool {
        !self.arguments.is_empty()
    }

    pub(crate) fn takes(&self) -> Arguments {
        match self.action {
            Action::Schema => Arguments::Table,
            Action::Last | Action::Output | Action::Include => Arguments::File,
            Action::Mode => Arguments::Format,
            Action::Timer | Action::Pager => Arguments::Words(&["on", "off"]),
            Action::Help => Arguments::Words(TOPICS),
            _ => Arguments::None,
        }
    }
}

/// Topics of `.help` that are offered; every word of the language is one.
const TOPICS: &[&str] = &[
    "grammar",
    "SELECT",
    "CROSSMATCH",
    "GAPS",
    "COVERAGE",
    "PAIRS",
    "CORRELATE",
    "VARIABILITY",
    "IMPORT",
    "REFRESH",
    "COPY",
    "LET",
    "SET",
    "SHOW",
    "DESCRIBE",
    "EXPLAIN",
    "INCLUDE",
    "DROP",
    "COMPACT",
];

/// All of them; letters of psql behind the words.
pub(crate) const COMMANDS: &[Entry] = &[
    entry(".help", "[TOPIC]", "this, or help about a command or word of the language", Action::Help),
    entry(".tables", "", "tables and catalogues", Action::Tables),
    entry(".schema", "[TABLE]", "columns of a table", Action::Schema),
    entry(".mode", "[FORMAT]", "how rows are shown: table, csv, json, markdown, ...", Action::Mode),
    entry(".timer", "[on|off]", "time of each statement", Action::Timer),
    entry(".last", "[FILE]", "all rows of the last answer, here or to a file", Action::Last),
    entry(".output", "[FILE]", "rows go to FILE; without it back to the terminal", Action::Output),
    entry(".edit", "", "the last statement in $EDITOR", Action::Edit),
    entry(".history", "[N]", "the last N statements", Action::History),
    entry(".read", "FILE", "runs a query file", Action::Include),
    entry(".pager", "[on|off]", "long answers and .last through $PAGER (less -SR)", Action::Pager),
    entry(".quit", "", "leave (also Ctrl-D)", Action::Quit),
    entry("\\d", "[TABLE]", "tables, or the columns of one", Action::Schema),
    entry("\\dt", "", "tables", Action::Tables),
    entry("\\x", "", "one line for each cell, on or off", Action::Expanded),
    entry("\\timing", "[on|off]", "as .timer", Action::Timer),
    entry("\\i", "FILE", "as .read", Action::Include),
    entry("\\e", "", "as .edit", Action::Edit),
    entry("\\?", "", "as .help", Action::Help),
    entry("\\q", "", "as .quit", Action::Quit),
];

const fn entry(name: &'static str, arguments: &'static str, about: &'static str, action: Action) -> Entry {
    Entry { name, arguments, about, action }
}

/// What the prompt does after a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next line.
    Prompt,
    /// End.
    Quit,
    /// Show the last N statements.
    History(Option<usize>),
    /// Let the user edit the last statement.
    Edit,
}

/// Is the line a command, not a part of a statement?
pub(crate) fn is_command(line: &str) -> bool {
    let mut chars = line.trim_start().chars();
    if bare(line.trim().trim_end_matches(';').trim_end()).is_some() {
        return true;
    }
    match chars.next() {
        Some('\\') => true,
        // `.5` begins no statement either, but is a number.
        Some('.') => chars.next().is_none_or(|c| c.is_ascii_alphabetic()),
        _ => false,
    }
}

/// The command that a newcomer means who types such a word alone.
fn bare(line: &str) -> Option<&'static str> {
    match line.to_ascii_lowercase().as_str() {
        "help" => Some(".help"),
        "quit" | "exit" | ".exit" => Some(".quit"),
        _ => None,
    }
}

/// Runs a command.
pub(crate) fn run(line: &str, runner: &mut Runner<'_>) -> Next {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let name = bare(line).unwrap_or(name);
    let Some(entry) = COMMANDS.iter().find(|c| c.name == name) else {
        complain(&unknown(name), runner);
        return Next::Prompt;
    };
    match entry.action {
        Action::Quit => return Next::Quit,
        Action::Edit => return Next::Edit,
        Action::History if rest.is_empty() => return Next::History(None),
        Action::History => match rest.parse() {
            Ok(count) => return Next::History(Some(count)),
            Err(_) => complain("how many statements? .history 20", runner),
        },
        Action::Help => show_help(rest, runner),
        Action::Tables => statement("SHOW TABLES".to_owned(), runner),
        Action::Schema if rest.is_empty() => statement("SHOW TABLES".to_owned(), runner),
        Action::Schema => statement(format!("DESCRIBE {}", dotted(rest)), runner),
        Action::Include if rest.is_empty() => complain("which file? .read FILE", runner),
        Action::Include => read_script(rest, runner),
        Action::Mode => mode(rest, runner),
        Action::Timer => timer(rest, runner),
        Action::Pager => pager(rest, runner),
        Action::Last => last(rest, runner),
        Action::Output => output(rest, runner),
        Action::Expanded => {
            runner.target.is_expanded = !runner.target.is_expanded;
            say(if runner.target.is_expanded { "one line for each cell" } else { "one line for each row" });
        }
    }
    Next::Prompt
}

fn unknown(name: &str) -> String {
    let near = nearest(name, COMMANDS.iter().map(|c| c.name));
    let help = near.map_or(".help lists them".to_owned(), |near| format!("did you mean `{near}`?"));
    format!("there is no command `{name}`\n  help: {help}")
}

fn complain(message: &str, runner: &Runner<'_>) {
    crate::exit::usage(message, runner.target.streams.stderr_color);
}

fn show_help(topic: &str, runner: &Runner<'_>) {
    if !topic.is_empty() {
        match help::language(topic) {
            Ok(text) => say(text.trim_end()),
            Err(message) => complain(&message, runner),
        }
        return;
    }
    for entry in COMMANDS {
        say(&format!("{:<8} {:<9} {}", entry.name, entry.arguments, entry.about));
    }
    say("A statement ends with `;`. `.help grammar` prints the language, `.help CORRELATE` a part of it.");
}

/// Each part of `a.b` as a name.
fn dotted(name: &str) -> String {
    name.split('.').map(name_of).collect::<Vec<_>>().join(".")
}

/// Runs a statement that a command stands for.
fn statement(text: String, runner: &mut Runner<'_>) {
    let source = Source { name: "<prompt>".to_owned(), text };
    match parse::script(&source.name, &source.text) {
        Ok(statements) => {
            runner.script(&source, &statements);
        }
        Err(diagnostic) => tell(&diagnostic.into(), None, None, runner.target.streams.stderr_color),
    }
}

fn mode(name: &str, runner: &mut Runner<'_>) {
    if name.is_empty() {
        say(runner.target.format.name());
        return;
    }
    let target = Format::parse(name)
        .and_then(|format| runner.target.changed(runner.target.path.clone(), Some(format)));
    match target {
        Ok(target) => runner.target = target,
        Err(message) => complain(&message, runner),
    }
}

/// What `on`, `off` or nothing makes of a switch.
fn switched(rest: &str, is_on: bool) -> Option<bool> {
    match rest {
        "on" => Some(true),
        "off" => Some(false),
        "" => Some(!is_on),
        _ => None,
    }
}

fn timer(rest: &str, runner: &mut Runner<'_>) {
    match switched(rest, runner.manner.has_timer) {
        Some(is_on) => runner.manner.has_timer = is_on,
        None => return complain("write .timer on or .timer off", runner),
    }
    say(if runner.manner.has_timer { "timer on" } else { "timer off" });
}

fn pager(rest: &str, runner: &mut Runner<'_>) {
    match switched(rest, runner.target.has_pager) {
        Some(is_on) => runner.target.has_pager = is_on,
        None => return complain("write .pager on or .pager off", runner),
    }
    say(if runner.target.has_pager { "pager on" } else { "pager off" });
}

/// Runs the statements of a file as if they had been typed.
fn read_script(path: &str, runner: &mut Runner<'_>) {
    let read = script::from_file(Path::new(path))
        .and_then(|source| Ok((parse::script(&source.name, &source.text)?, source)));
    match read {
        Ok((statements, source)) => {
            runner.script(&source, &statements);
        }
        Err(error) => tell(&error, None, None, runner.target.streams.stderr_color),
    }
}

/// All rows of the last answer.
fn last(rest: &str, runner: &mut Runner<'_>) {
    let Some(kept) = &runner.last else {
        return complain("there is no answer yet", runner);
    };
    if !kept.is_complete {
        let message = "the last answer was too large to be kept\n  help: run it again with .output FILE, or COPY (...) TO 'file'";
        return complain(message, runner);
    }
    let streams = runner.target.streams;
    let path = (!rest.is_empty()).then(|| PathBuf::from(rest));
    let format = if path.is_some() { None } else { Some(runner.target.format) };
    let target = runner.target.changed(path, format);
    let result = target.map_err(|m| Error::Refused { message: m, help: None }).and_then(|mut target| {
        target.shows_all = true;
        replay(kept, &mut target)?;
        Ok(target)
    });
    match result {
        Ok(target) => {
            let rows: usize = kept.batches.iter().map(|b| b.num_rows()).sum();
            let place =
                target.path.map_or(String::new(), |p| format!(" in {}", one_line(&p.to_string_lossy())));
            say(&paint(streams.stderr_color, "2", &format!("{}{place}", counted(rows as u64, "row"))));
        }
        Err(_) if pager::take_left() => {}
        Err(error) => tell(&error, None, None, streams.stderr_color),
    }
}

fn output(rest: &str, runner: &mut Runner<'_>) {
    let path = (!rest.is_empty()).then(|| PathBuf::from(rest));
    match runner.target.changed(path, None) {
        Ok(target) => {
            if let Some(path) = &target.path {
                say(&format!(
                    "the next answer goes to {}; .output alone ends that",
                    one_line(&path.to_string_lossy())
                ));
            }
            runner.target = target;
        }
        Err(message) => complain(&message, runner),
    }
}

/// The text after the user has edited it; the error is a sentence.
pub(crate) fn edit(text: &str) -> Result<String, String> {
    let editor =
        ["VISUAL", "EDITOR"].iter().find_map(|v| std::env::var(v).ok().filter(|e| !e.trim().is_empty()));
    let editor = editor.ok_or("which editor? Set EDITOR")?;
    let file = tempfile::Builder::new().suffix(".sq").tempfile().map_err(|e| e.to_string())?;
    fs::write(file.path(), text).map_err(|e| e.to_string())?;
    let mut words = editor.split_whitespace();
    let status = process::Command::new(words.next().unwrap_or("vi")).args(words).arg(file.path()).status();
    if !status.map_err(|e| format!("cannot run {editor}: {e}"))?.success() {
        return Err(format!("{editor} failed: nothing was run"));
    }
    read(file.path())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_statements() {
        let cases = [
            (".help", true),
            ("\\d x", true),
            (" .quit", true),
            (".5", false),
            ("SELECT 1;", false),
            ("exit;", true),
            ("HELP", true),
            ("help me", false),
            ("", false),
        ];
        for (line, want) in cases {
            assert_eq!(is_command(line), want, "{line}");
        }
        assert!(unknown(".tabels").contains("`.tables`"));
    }
}
