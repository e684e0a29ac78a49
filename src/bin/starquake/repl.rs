//! The prompt: lines until a `;`, with history and completion. Ctrl-C ends the line or the statement, never the
//! prompt.

use std::cell::RefCell;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use starquake::error::Source;
use starquake::lang::parse;

use crate::command::{self, Next, is_command};
use crate::complete::{Known, PromptHelper};
use crate::exit::{self, say, tell};
use crate::run::Runner;
use crate::signal;
use crate::style::{lines, one_line};

const PROMPT: &str = "sq> ";
const CONTINUED: &str = "..> ";
/// Statements the history keeps.
const HISTORY_ENTRIES: usize = 10_000;
/// Columns of a tab.
const TAB_COLUMNS: u8 = 4;

type Lines<'a> = Editor<PromptHelper<'a>, FileHistory>;

/// The prompt until it is left. The exit code.
pub(crate) fn run(mut runner: Runner<'_>) -> u8 {
    let known = Rc::new(RefCell::new(Known::default()));
    let mut editor = match editor(&runner, known.clone()) {
        Ok(editor) => editor,
        Err(error) => return exit::usage(&format!("cannot read from this terminal: {error}"), false),
    };
    let history = history_file();
    if let Some(path) = &history {
        // The first session has none.
        let _ = editor.load_history(path);
    }
    if !runner.manner.is_quiet {
        let place = runner.database.path().display().to_string();
        say(&format!("starquake {} on {}; .help, .quit", env!("CARGO_PKG_VERSION"), one_line(&place)));
    }
    loop {
        known.borrow_mut().variables = runner.session.variables.keys().cloned().collect();
        let Some(text) = read(&mut editor, &known) else { break };
        signal::forget();
        if !one_input(&text, &mut runner, &mut editor, history.as_ref()) {
            break;
        }
    }
    exit::DONE
}

/// Runs one input; false when the prompt is left.
fn one_input(text: &str, runner: &mut Runner<'_>, editor: &mut Lines<'_>, history: Option<&PathBuf>) -> bool {
    if !is_command(text) {
        statements(text, runner, editor, history);
        return true;
    }
    match command::run(text, runner) {
        Next::Prompt => {}
        Next::Quit => return false,
        Next::History(count) => {
            let entries: Vec<&String> = editor.history().iter().collect();
            entries.iter().skip(entries.len().saturating_sub(count)).for_each(|e| say(&lines(e)));
        }
        Next::Edit => {
            let last = editor.history().iter().next_back().cloned().unwrap_or_default();
            match command::edit(&last) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => {
                    say(&lines(text.trim_end()));
                    statements(&text, runner, editor, history);
                }
                Err(message) => {
                    exit::usage(&message, runner.target.streams.stderr_color);
                }
            }
        }
    }
    true
}

/// Remembers and runs the statements of an input.
fn statements(text: &str, runner: &mut Runner<'_>, editor: &mut Lines<'_>, history: Option<&PathBuf>) {
    let source = Source { name: "<prompt>".to_owned(), text: text.to_owned() };
    match parse::script(&source.name, text) {
        Ok(statements) => {
            for statement in &statements {
                let one = text.get(statement.span.start..statement.span.end).unwrap_or("");
                remember(&format!("{one};"), editor, history);
            }
            runner.script(&source, &statements);
        }
        Err(diagnostic) => {
            remember(text.trim(), editor, history);
            tell(&diagnostic.into(), None, None, runner.target.streams.stderr_color);
        }
    }
}

fn editor<'a>(runner: &Runner<'a>, known: Rc<RefCell<Known>>) -> rustyline::Result<Lines<'a>> {
    let config = Config::builder()
        .max_history_size(HISTORY_ENTRIES)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .tab_stop(TAB_COLUMNS)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(PromptHelper::new(runner.database, known)));
    Ok(editor)
}

/// Lines up to a `;` or a command; `None` at the end of the input.
fn read(editor: &mut Lines<'_>, known: &Rc<RefCell<Known>>) -> Option<String> {
    let mut text = String::new();
    loop {
        known.borrow_mut().before.clone_from(&text);
        match editor.readline(if text.is_empty() { PROMPT } else { CONTINUED }) {
            Ok(line) => {
                if text.is_empty() && (line.trim().is_empty() || is_command(&line)) {
                    if line.trim().is_empty() {
                        continue;
                    }
                    return Some(line);
                }
                text.push_str(&line);
                if is_complete(&text) {
                    return Some(text);
                }
                text.push('\n');
            }
            // A line that was begun is dropped.
            Err(ReadlineError::Interrupted) => text.clear(),
            Err(ReadlineError::Signal(_)) => {}
            Err(_) => return None,
        }
    }
}

/// Does the text end with a `;` outside strings, names in quotes and comments, or hold nothing but blanks?
fn is_complete(text: &str) -> bool {
    let mut ended = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\'' | '"', _) => {
                if !chars.by_ref().any(|d| d == c) {
                    return false;
                }
                ended = false;
            }
            ('-', Some('-')) => while chars.next_if(|d| *d != '\n').is_some() {},
            ('/', Some('*')) => {
                let mut last = ' ';
                chars.next();
                if !chars.by_ref().any(|d| std::mem::replace(&mut last, d) == '*' && d == '/') {
                    return false;
                }
            }
            (';', _) => ended = true,
            (c, _) if c.is_whitespace() => {}
            _ => ended = false,
        }
    }
    ended
}

/// Adds a statement to the history, in memory and in its file.
fn remember(text: &str, editor: &mut Lines<'_>, history: Option<&PathBuf>) {
    let _ = editor.add_history_entry(text);
    if let Some(path) = history {
        // A history that cannot be written is no reason to stop.
        let _ = editor.append_history(path);
    }
}

/// `$XDG_STATE_HOME/starquake/history`, or below `~/.local/state`; its directory is made.
fn history_file() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let state =
        absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    let directory = state.join("starquake");
    fs::create_dir_all(&directory).ok()?;
    Some(directory.join("history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_with_a_semicolon() {
        let cases = [
            ("SELECT 1;", true),
            ("SELECT 1", false),
            ("SELECT ';", false),
            ("SELECT ';';", true),
            ("SELECT 'it''s';", true),
            ("SELECT 1; -- done", true),
            ("SELECT 1 -- ;", false),
            ("SELECT 1 /* ; */", false),
            ("SELECT 1 /* ; */ ;", true),
            ("SELECT 1; /* open", false),
            ("SELECT \"a;b\"", false),
            ("SELECT 1; SELECT 2", false),
            ("/*/ ;", false),
            ("-- only a comment", false),
        ];
        for (text, want) in cases {
            assert_eq!(is_complete(text), want, "{text}");
        }
    }
}
