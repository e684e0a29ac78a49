//! What the line editor asks while a statement is typed: completion, hints, colours, and whether it has ended.

use std::borrow::Cow;
use std::cell::Cell;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter};
use rustyline::history::SearchDirection;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Context, Helper};
use starquake::database::{Database, Session};
use starquake::lang::parse;

use super::complete::complete;
use super::highlight::{QUIET, highlight};
use super::names::Names;
use super::tokens::is_complete;
use crate::command::is_command;
use crate::style::{one_line, paint};

/// A longer text gets no hints: each key would parse all of it.
const HINTED_BYTES: usize = 2_000;
/// Letters of a keyword that must be there before the rest is shown.
const LETTERS: usize = 2;

/// Shown on a new line of a statement, which else would look as if nothing went on.
const GOES_ON: &str = "; ends the statement, Ctrl-C drops it";

/// The prompt's side of the line editor.
pub(super) struct PromptHelper<'a> {
    names: Names<'a>,
    /// The line is being left: no bracket is marked in it any more.
    is_left: Cell<bool>,
}

impl<'a> PromptHelper<'a> {
    pub(super) fn new(database: &'a Database) -> PromptHelper<'a> {
        PromptHelper { names: Names::new(database), is_left: Cell::new(false) }
    }

    /// A new line begins.
    pub(super) fn renew(&self, session: &Session) {
        self.names.renew(session);
        self.is_left.set(false);
    }
}

impl Completer for PromptHelper<'_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        Ok(complete(&self.names, line, at))
    }
}

/// Grey text behind the cursor.
pub(super) struct Grey {
    text: String,
    /// The right arrow makes it part of the line.
    is_offer: bool,
}

impl Hint for Grey {
    fn display(&self) -> &str {
        &self.text
    }

    fn completion(&self) -> Option<&str> {
        self.is_offer.then_some(&self.text)
    }
}

impl Hinter for PromptHelper<'_> {
    type Hint = Grey;

    fn hint(&self, line: &str, at: usize, context: &Context<'_>) -> Option<Grey> {
        if line.trim().is_empty() || at < line.len() || line.len() > HINTED_BYTES {
            return None;
        }
        if line.ends_with('\n') {
            return Some(Grey { text: GOES_ON.to_owned(), is_offer: false });
        }
        let offer =
            from_history(line, context).or_else(|| (!is_command(line)).then(|| from_grammar(line))?);
        offer.map(|text| Grey { text, is_offer: true })
    }
}

/// The rest, up to its line's end, of the last statement that began like this.
fn from_history(line: &str, context: &Context<'_>) -> Option<String> {
    let history = context.history();
    let last = history.len().checked_sub(1)?;
    let found = history.starts_with(line, last, SearchDirection::Reverse).ok()??;
    let rest = found.entry.get(line.len()..)?.lines().next()?;
    let shown = one_line(rest);
    // What would be shown otherwise than it is cannot be taken over.
    (!rest.is_empty() && shown == rest).then(|| rest.to_owned())
}

/// The keyword that alone can stand here, or the rest of it.
fn from_grammar(line: &str) -> Option<String> {
    let start = line.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |i| i + 1);
    let word = line.get(start..).unwrap_or("");
    let legal = parse::expected(line, line.len());
    if word.is_empty() {
        return match legal.as_slice() {
            [only] if only.starts_with(|c: char| c.is_ascii_alphabetic()) => Some(only.clone()),
            _ => None,
        };
    }
    let upper = word.to_ascii_uppercase();
    let mut fitting = legal.iter().filter(|l| l.starts_with(&upper));
    let only = fitting.next().filter(|_| word.len() >= LETTERS && fitting.next().is_none())?;
    let rest = only.get(word.len()..).filter(|r| !r.is_empty())?;
    let is_lower = word.starts_with(|c: char| c.is_ascii_lowercase());
    Some(if is_lower { rest.to_ascii_lowercase() } else { rest.to_owned() })
}

impl Highlighter for PromptHelper<'_> {
    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        if is_command(line) {
            return Cow::Borrowed(line);
        }
        Cow::Owned(highlight(line, (!self.is_left.get()).then_some(at)))
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(paint(true, QUIET, hint))
    }

    fn highlight_candidate<'c>(&self, candidate: &'c str, _: CompletionType) -> Cow<'c, str> {
        one_line(candidate)
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.is_left.set(kind == CmdKind::ForcedRefresh);
        true
    }
}

impl Validator for PromptHelper<'_> {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = context.input();
        let has_ended = is_command(input) || is_complete(input);
        Ok(if has_ended { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Helper for PromptHelper<'_> {}

#[cfg(test)]
mod tests {
    use rustyline::history::{History, MemHistory};

    use super::*;

    #[test]
    fn hints_tell_what_comes_next() {
        let cases = [
            ("SEL", Some("ECT")),
            ("sel", Some("ect")),
            ("FROM t ORDER ", Some("BY")),
            ("FROM t ORDER BY x DE", Some("SC")),
            ("FROM t WHERE ", None),
            ("FROM t ", None),
            ("x", None),
        ];
        for (line, want) in cases {
            assert_eq!(from_grammar(line).as_deref(), want, "{line}");
        }
    }

    #[test]
    fn hints_are_the_rest_of_the_last_statement_like_this() {
        let mut history = MemHistory::new();
        for entry in ["SELECT 1;", "SELECT a\nFROM t;", "FROM\tx;"] {
            history.add(entry).unwrap();
        }
        let context = Context::new(&history);
        let cases = [("SELECT", Some(" a")), ("SELECT 1", Some(";")), ("SELECT a", None), ("FROM", None)];
        for (line, want) in cases {
            assert_eq!(from_history(line, &context).as_deref(), want, "{line}");
        }
    }
}
