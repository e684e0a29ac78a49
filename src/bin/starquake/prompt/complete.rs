//! Completion at the prompt: what the grammar expects at the cursor, with the names of this database.

use std::fs;
use std::path::Path;

use rustyline::completion::Pair;
use starquake::format::table::FORMATS;
use starquake::lang::lex::is_reserved;
use starquake::lang::parse;
use starquake::model::units::UNITS;

use super::names::Names;
use super::sources::{BEFORE_TABLE, Source, sources, unquoted};
use super::tokens::{Kind, Token, tokens};
use crate::command::{Arguments, COMMANDS};
use crate::statement::name_of;
use crate::style::{is_unsafe, one_line};

/// Words of options that take one of a few names.
const CHOICES: &[(&str, &[&str])] = &[
    ("SHORTEN", &["none", "default"]),
    ("NORM", &["sliding", "full"]),
    ("PEAK", &["bandlimited", "parabola3", "concave", "integer"]),
    ("COMBINE", &["stack", "weighted", "none"]),
    ("COMPAT", &["tasni"]),
    ("METHOD", &["default"]),
    ("FRAME", &["icrs", "galactic"]),
    ("SCALE", &["utc", "tdb"]),
    ("LAYOUT", &["sds", "bud", "fdsn"]),
    ("SET", &["memory", "threads", "window_cache"]),
];
const EVENT_FORMATS: &[&str] = &["quakeml", "hypodd_phase", "hypodd_event", "hypodd_reloc"];
const STATION_FORMATS: &[&str] = &["stationxml", "hypodd_station"];
/// Types of CAST.
const TYPES: &[&str] = &["INT", "FLOAT", "TEXT", "BOOL", "TIME", "DURATION"];
/// Columns that hold one part of a channel's code, in the order of the parts.
const PARTS: &[&str] = &["network", "station", "location", "channel"];
/// Words behind which a text is a path.
const BEFORE_PATH: &[&str] = &["WAVEFORMS", "EVENTS", "STATIONS", "CATALOG", "TO", "INCLUDE"];
/// Words between a column and the text it is compared with.
const COMPARISONS: &[&str] = &["MATCHES", "LIKE", "ILIKE", "IN", "BETWEEN", "NOT"];

/// What may stand at byte `at` of `text`, and where that begins.
pub(super) fn complete(names: &Names<'_>, text: &str, at: usize) -> (usize, Vec<Pair>) {
    let Some(head) = text.get(..at) else { return (at, Vec::new()) };
    if head.starts_with(['.', '\\']) {
        return of_command(names, head);
    }
    let mut before: Vec<Token<'_>> = tokens(head);
    let last = before.last().copied();
    before.retain(|t| t.kind != Kind::Comment);
    match last.filter(|l| l.end() == at) {
        Some(open) if open.is_open && open.kind == Kind::Text => {
            before.pop();
            let start = open.start + 1;
            let is_closed = text.get(at..).is_some_and(|rest| rest.starts_with('\''));
            let typed = head.get(start..).unwrap_or("");
            let found = in_text(names, &before, typed, if is_closed { "" } else { "'" });
            (start, found)
        }
        Some(comment) if comment.kind == Kind::Comment => (at, Vec::new()),
        Some(open) if open.is_open => {
            before.pop();
            let place = Place { text, at: open.start, before: &before, word: open.text };
            (
                open.start,
                place.names(names, false).into_iter().filter_map(|n| fitting(n, open.text)).collect(),
            )
        }
        Some(word) if matches!(word.kind, Kind::Word | Kind::Variable) => {
            before.pop();
            let place = Place { text, at: word.start, before: &before, word: word.text };
            (word.start, place.candidates(names))
        }
        _ => (at, Place { text, at, before: &before, word: "" }.candidates(names)),
    }
}

/// Where something is to be completed.
struct Place<'a> {
    text: &'a str,
    /// Where the word begins.
    at: usize,
    before: &'a [Token<'a>],
    word: &'a str,
}

impl Place<'_> {
    fn candidates(&self, names: &Names<'_>) -> Vec<Pair> {
        let head = self.text.get(..self.at).unwrap_or("");
        // A blank, so that a number before the word is not taken for a part of it.
        let legal = parse::expected(&format!("{head} "), self.at + 1);
        let is_legal = |what: &str| legal.iter().any(|l| l == what);
        let mut all: Vec<String> = Vec::new();
        if is_legal("<unit>") && self.previous().is_some_and(|t| t.kind == Kind::Number) {
            all.extend(UNITS.iter().map(|u| u.0.to_owned()));
        }
        if is_legal("<variable>") {
            all.extend(names.variables());
        }
        // Behind a mistake the grammar knows nothing; the names of the statement are still there.
        if is_legal("<name>") || legal.is_empty() {
            let may_call = legal.is_empty() || is_legal("<number>");
            all.extend(self.names(names, may_call && !self.word.is_empty()));
        }
        let is_part = self.previous().is_some_and(|t| t.is_mark("."));
        let keywords = legal.iter().filter(|l| !is_part && l.starts_with(|c: char| c.is_ascii_alphabetic()));
        all.extend(keywords.map(|k| in_case_of(k, self.word) + " "));
        let mut seen = std::collections::HashSet::new();
        all.retain(|one| seen.insert(one.clone()));
        all.into_iter().filter_map(|one| fitting(one, self.word)).collect()
    }

    fn previous(&self) -> Option<&Token<'_>> {
        self.before.last()
    }

    /// Names that may stand here. Functions are many: they wait for a first letter.
    fn names(&self, names: &Names<'_>, may_call: bool) -> Vec<String> {
        let Some(previous) = self.previous() else { return Vec::new() };
        if let Some(choices) = self.choices(previous) {
            return choices;
        }
        let of_this = || sources(self.text, self.at);
        if previous.is_mark(".") {
            let owner = self.before.iter().rev().nth(1).map(|t| unquoted(t.text)).unwrap_or_default();
            let owned = |s: &Source| s.alias.as_ref().is_some_and(|a| a.eq_ignore_ascii_case(&owner));
            return of_this().iter().filter(|s| owned(s)).flat_map(|s| columns(names, s)).collect();
        }
        match self.kind(previous) {
            Wanted::Nothing => Vec::new(),
            Wanted::Table => names.tables().iter().map(|t| name_of(t)).collect(),
            Wanted::Column => {
                let found = of_this();
                let mut all: Vec<String> = found.iter().flat_map(|s| columns(names, s)).collect();
                if found.is_empty() {
                    // Before FROM any table may be meant.
                    let of = |t: &String| Source { text: name_of(t), alias: None };
                    all = names.tables().iter().flat_map(|t| columns(names, &of(t))).collect();
                }
                if may_call {
                    all.extend(names.functions().iter().map(|f| format!("{}(", in_case_of(f, self.word))));
                }
                let aliases = found.iter().filter_map(|s| s.alias.as_ref());
                all.extend(aliases.filter(|_| found.len() > 1).map(|a| format!("{}.", name_of(a))));
                all
            }
        }
    }

    /// The names that an option before the cursor takes.
    fn choices(&self, previous: &Token<'_>) -> Option<Vec<String>> {
        let owned = |list: &[&str]| Some(list.iter().map(|c| (*c).to_owned()).collect());
        let has = |word: &str| self.before.iter().any(|t| t.is(word));
        if previous.is("FORMAT") {
            return match () {
                () if has("WAVEFORMS") && has("IMPORT") => owned(&["tsindex"]),
                () if has("EVENTS") && has("IMPORT") => owned(EVENT_FORMATS),
                () if has("STATIONS") && has("IMPORT") => owned(STATION_FORMATS),
                () => Some(
                    FORMATS
                        .iter()
                        .map(|f| f.1.to_owned())
                        .chain(["hypodd", "tsindex"].map(str::to_owned))
                        .collect(),
                ),
            };
        }
        if previous.is("AS") && self.is_in_cast() {
            return owned(TYPES);
        }
        CHOICES.iter().find(|c| previous.is(c.0)).and_then(|c| owned(c.1))
    }

    /// Stands the cursor in the brackets of a CAST?
    fn is_in_cast(&self) -> bool {
        let mut depth = 0_usize;
        for (i, token) in self.before.iter().enumerate().rev() {
            if token.is_mark(")") {
                depth += 1;
            } else if token.is_mark("(") && depth == 0 {
                let owner = i.checked_sub(1).and_then(|o| self.before.get(o));
                return owner.is_some_and(|t| t.is("CAST"));
            } else if token.is_mark("(") {
                depth -= 1;
            }
        }
        false
    }

    /// What a name at the cursor would be.
    fn kind(&self, previous: &Token<'_>) -> Wanted {
        const TABLES: &[&str] =
            &["DESCRIBE", "INTO", "TABLE", "EXISTS", "COMPACT", "REFRESH", "FULL", "CHANGES"];
        if BEFORE_TABLE.iter().chain(TABLES).any(|w| previous.is(w)) {
            return Wanted::Table;
        }
        if previous.is("AS") || previous.is("LET") || previous.is("PHASE") || previous.is("FOR") {
            return Wanted::Nothing;
        }
        let is_name = match previous.kind {
            Kind::Word => !is_reserved(previous.text) && !self.is_keyword(previous),
            Kind::Mark => previous.text == ")",
            _ => true,
        };
        if is_name {
            return Wanted::Nothing;
        }
        if previous.is_mark(",") && self.clause() == Some("FROM") { Wanted::Table } else { Wanted::Column }
    }

    /// Is a word that may be a name a keyword here (`KEY`, `TIME`, `DESC`)?
    fn is_keyword(&self, token: &Token<'_>) -> bool {
        let legal = parse::expected(self.text, token.end());
        legal.contains(&token.text.to_ascii_uppercase()) && !legal.iter().any(|l| l == "<name>")
    }

    /// The clause that the cursor is in, as far as a comma may mean two things.
    fn clause(&self) -> Option<&'static str> {
        let mut depth = 0_usize;
        for token in self.before.iter().rev() {
            if token.is_mark(")") {
                depth += 1;
            } else if token.is_mark("(") {
                depth = depth.checked_sub(1)?;
            } else if depth == 0 {
                let clauses = ["FROM", "SELECT", "WHERE", "BY", "HAVING", "ON"];
                if let Some(found) = clauses.into_iter().find(|c| token.is(c)) {
                    return Some(found);
                }
            }
        }
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Table,
    Column,
}

fn columns(names: &Names<'_>, source: &Source) -> Vec<String> {
    names.columns(&source.text).iter().map(|c| name_of(c)).collect()
}

/// Keywords and functions are completed in the case they were begun in.
fn in_case_of(keyword: &str, word: &str) -> String {
    let is_lower = word.starts_with(|c: char| c.is_ascii_lowercase());
    if is_lower { keyword.to_ascii_lowercase() } else { keyword.to_owned() }
}

/// A candidate that begins with what was typed, in any case.
fn fitting(candidate: String, typed: &str) -> Option<Pair> {
    let begin = candidate.get(..typed.len())?;
    let display = one_line(candidate.trim_end()).into_owned();
    begin.eq_ignore_ascii_case(typed).then_some(Pair { display, replacement: candidate })
}

/// Inside a text: a path, or codes of channels.
fn in_text(names: &Names<'_>, before: &[Token<'_>], typed: &str, close: &str) -> Vec<Pair> {
    let is_path = before.last().is_some_and(|t| BEFORE_PATH.iter().any(|w| t.is(w)));
    if is_path {
        return files(typed, |path| path.replace('\'', "''"), close);
    }
    match column_before(before) {
        Some(column) if column == "OF" => all_parts(names, typed, close),
        Some(column) if column.eq_ignore_ascii_case("code") => all_parts(names, typed, close),
        Some(column) => match PARTS.iter().position(|p| p.eq_ignore_ascii_case(&column)) {
            Some(part) => one_part(names, part, typed, close),
            None => Vec::new(),
        },
        None => Vec::new(),
    }
}

/// The column that the text at the end of the tokens is compared with; `OF` for the codes of a verb.
fn column_before(before: &[Token<'_>]) -> Option<String> {
    let is_between = |t: &&Token<'_>| {
        COMPARISONS.iter().any(|w| t.is(w))
            || matches!(t.kind, Kind::Text)
            || (t.kind == Kind::Mark && matches!(t.text, "=" | "<" | ">" | "!" | "(" | ","))
    };
    let token = before.iter().rev().find(|t| !is_between(t))?;
    match token.kind {
        Kind::Word if token.is("OF") => Some("OF".to_owned()),
        Kind::Word | Kind::Name => Some(unquoted(token.text)),
        _ => None,
    }
}

/// The next part of `NET.STA.LOC.CHA`.
fn all_parts(names: &Names<'_>, typed: &str, close: &str) -> Vec<Pair> {
    let done: Vec<&str> = typed.split('.').collect();
    let part = done.len() - 1;
    let is_last = part + 1 == PARTS.len();
    let shown = |code: &str| if code.is_empty() { "--".to_owned() } else { code.to_owned() };
    let fits = |codes: &Vec<String>| {
        // A part that is a pattern leaves all open.
        let same = |(typed, code): (&&str, &String)| {
            typed.contains(['*', '?', ',']) || shown(code).eq_ignore_ascii_case(typed)
        };
        done.iter().take(part).zip(codes).all(same)
    };
    let mut found: Vec<String> =
        names.codes().iter().filter(|c| fits(c)).filter_map(|c| c.get(part)).map(|c| shown(c)).collect();
    found.sort();
    found.dedup();
    let before = typed.rfind('.').map_or("", |dot| typed.get(..=dot).unwrap_or(""));
    let end = if is_last { close } else { "." };
    let whole = found.into_iter().map(|code| (format!("{before}{code}{end}"), code));
    whole.filter_map(|(text, code)| fitting(text, typed).map(|p| Pair { display: code, ..p })).collect()
}

/// Codes of one part: of a list `BHZ,BH` the last.
fn one_part(names: &Names<'_>, part: usize, typed: &str, close: &str) -> Vec<Pair> {
    let before = typed.rfind(',').map_or("", |comma| typed.get(..=comma).unwrap_or(""));
    let mut found: Vec<String> = names.codes().into_iter().filter_map(|c| c.into_iter().nth(part)).collect();
    found.sort();
    found.dedup();
    let whole =
        found.into_iter().filter(|c| !c.is_empty()).map(|code| (format!("{before}{code}{close}"), code));
    whole.filter_map(|(text, code)| fitting(text, typed).map(|p| Pair { display: code, ..p })).collect()
}

/// Files and directories that begin with what was typed. `close` stands behind a file.
fn files(typed: &str, written: impl Fn(&str) -> String, close: &str) -> Vec<Pair> {
    let (directory, begun) = typed.rfind('/').map_or(("", typed), |slash| typed.split_at(slash + 1));
    let place = if directory.is_empty() { Path::new(".") } else { Path::new(directory) };
    let mut found: Vec<Pair> = Vec::new();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        // A name that cannot be written in a statement is not offered.
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let is_hidden = name.starts_with('.') && !begun.starts_with('.');
        if is_hidden || !name.starts_with(begun) || name.chars().any(is_unsafe) {
            continue;
        }
        let end = if entry.path().is_dir() { "/" } else { close };
        let display = format!("{name}{}", if end == "/" { "/" } else { "" });
        found.push(Pair { display, replacement: format!("{directory}{}{end}", written(&name)) });
    }
    found.sort_by(|a, b| a.display.cmp(&b.display));
    found
}

/// A command, or its argument.
fn of_command(names: &Names<'_>, head: &str) -> (usize, Vec<Pair>) {
    let Some((name, rest)) = head.split_once(char::is_whitespace) else {
        let all = COMMANDS
            .iter()
            .map(|c| if c.has_arguments() { format!("{} ", c.name) } else { c.name.to_owned() });
        return (0, all.filter_map(|c| fitting(c, head)).collect());
    };
    let start = head.len() - rest.trim_start().len();
    let typed = rest.trim_start();
    let words = |list: Vec<String>| list.into_iter().filter_map(|w| fitting(w, typed)).collect();
    let arguments = COMMANDS.iter().find(|c| c.name == name).map(|c| c.takes());
    let found = match arguments {
        Some(Arguments::Table) => words(names.tables()),
        Some(Arguments::File) => files(typed, str::to_owned, ""),
        Some(Arguments::Words(list)) => words(list.iter().map(|w| (*w).to_owned()).collect()),
        Some(Arguments::Format) => {
            let formats = FORMATS.iter().map(|f| f.1).chain(["table", "markdown"]);
            words(formats.map(str::to_owned).collect())
        }
        Some(Arguments::None) | None => Vec::new(),
    };
    (start, found)
}
