//! The prompt: statements up to a `;`, with history, completion and colours. Ctrl-C ends the line or the statement,
//! never the prompt.

mod complete;
mod helper;
mod highlight;
mod names;
mod sources;
mod tokens;

use std::env;
use std::fs;
use std::path::PathBuf;

use rustyline::config::BellStyle;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{ColorMode, CompletionType, Config, Editor};
use starquake::error::Source;
use starquake::lang::parse;

use crate::command::{self, Next, is_command};
use crate::exit::{self, say, tell};
use crate::run::Runner;
use crate::signal;
use crate::style::{lines, one_line, paint};
use helper::PromptHelper;
use tokens::is_complete;

const PROMPT: &str = "sq> ";
const PROMPT_STYLE: &str = "36";
/// Statements the history keeps.
const HISTORY_ENTRIES: usize = 10_000;
/// Columns of a tab.
const TAB_COLUMNS: u8 = 4;
/// Names the file of the history; empty: none is kept.
const HISTORY_VARIABLE: &str = "STARQUAKE_HISTORY";
/// As many statements `.history` shows when it is not told.
const HISTORY_SHOWN: usize = 20;

type Lines<'a> = Editor<PromptHelper<'a>, FileHistory>;

/// A prompt in use.
struct Prompt<'a> {
    runner: Runner<'a>,
    editor: Lines<'a>,
    /// File of the history.
    history: Option<PathBuf>,
    /// What the next line begins with: a statement from the user's editor that has not ended.
    begun: String,
}

/// The prompt until it is left. The exit code.
pub(crate) fn run(runner: Runner<'_>) -> u8 {
    let mut editor = match editor(&runner) {
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
    let mut prompt = Prompt { runner, editor, history, begun: String::new() };
    while let Some(text) = prompt.read() {
        signal::forget();
        if !prompt.input(&text) {
            break;
        }
    }
    exit::DONE
}

impl Prompt<'_> {
    /// The next input: a command, or statements up to a `;`. `None` at the end.
    fn read(&mut self) -> Option<String> {
        let color = self.runner.target.streams.stdout_color;
        let shown = (PROMPT, paint(color, PROMPT_STYLE, PROMPT));
        loop {
            signal::forget();
            if let Some(helper) = self.editor.helper() {
                helper.renew(&self.runner.session);
            }
            let begun = std::mem::take(&mut self.begun);
            match self.editor.readline_with_initial(&shown, (&begun, "")) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => return Some(text),
                // A line that was begun is dropped.
                Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => {}
                Err(_) => return None,
            }
        }
    }

    /// Runs an input; false when the prompt is left.
    fn input(&mut self, text: &str) -> bool {
        if !is_command(text) {
            self.statements(text);
            return true;
        }
        let next = command::run(text, &mut self.runner);
        if next == Next::Quit {
            return false;
        }
        self.remember(text.trim());
        match next {
            Next::Prompt | Next::Quit => {}
            Next::History(count) => {
                let entries: Vec<&String> = self.editor.history().iter().collect();
                let shown = entries.len().saturating_sub(count.unwrap_or(HISTORY_SHOWN));
                entries.iter().skip(shown).for_each(|e| say(&lines(e)));
            }
            Next::Edit => self.edit(),
        }
        true
    }

    /// Lets the user edit the last statement; runs it when it has ended, else it comes back to the prompt.
    fn edit(&mut self) {
        let last = self.editor.history().iter().rev().find(|e| !is_command(e)).cloned().unwrap_or_default();
        match command::edit(&last) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) if is_complete(&text) => {
                say(&lines(text.trim_end()));
                self.statements(&text);
            }
            Ok(text) => self.begun = text.trim_end().to_owned(),
            Err(message) => {
                exit::usage(&message, self.runner.target.streams.stderr_color);
            }
        }
    }

    /// Remembers and runs the statements of an input.
    fn statements(&mut self, text: &str) {
        let source = Source { name: "<prompt>".to_owned(), text: text.to_owned() };
        match parse::script(&source.name, text) {
            Ok(statements) => {
                for statement in &statements {
                    let one = text.get(statement.span.start..statement.span.end).unwrap_or("");
                    self.remember(&format!("{one};"));
                }
                self.runner.script(&source, &statements);
            }
            Err(diagnostic) => {
                self.remember(text.trim());
                tell(&diagnostic.into(), None, None, self.runner.target.streams.stderr_color);
            }
        }
    }

    /// Adds an entry to the history, in memory and in its file.
    fn remember(&mut self, text: &str) {
        let _ = self.editor.add_history_entry(text);
        if let Some(path) = &self.history {
            // A history that cannot be written is no reason to stop.
            let _ = self.editor.append_history(path);
        }
    }
}

fn editor<'a>(runner: &Runner<'a>) -> rustyline::Result<Lines<'a>> {
    let has_color = runner.target.streams.stdout_color;
    let config = Config::builder()
        .max_history_size(HISTORY_ENTRIES)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .bell_style(BellStyle::None)
        .color_mode(if has_color { ColorMode::Forced } else { ColorMode::Disabled })
        .tab_stop(TAB_COLUMNS)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(PromptHelper::new(runner.database)));
    Ok(editor)
}

/// The file that STARQUAKE_HISTORY names, else `$XDG_STATE_HOME/starquake/history`, or below `~/.local/state`; its
/// directory is made.
fn history_file() -> Option<PathBuf> {
    if let Some(path) = env::var_os(HISTORY_VARIABLE) {
        return (!path.is_empty()).then(|| PathBuf::from(path));
    }
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let state =
        absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    let directory = state.join("starquake");
    fs::create_dir_all(&directory).ok()?;
    Some(directory.join("history"))
}
