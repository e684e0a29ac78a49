//! The parser: one function per rule of `grammar/starquake.ebnf`, with the same names, alternatives in the same
//! order. Rules look at most one bracket ahead and keep it, so the work is linear in the text.

#![allow(clippy::result_large_err)] // one mistake ends a parse: its size costs nothing

use std::collections::HashSet;

use nom::branch::alt;
use nom::combinator::map;
use nom::multi::separated_list1;
use nom::{Err, Parser};

use crate::error::{Diagnostic, Source, Span};
use crate::lang::lex::{self, Expected, In, Miss, Res, State, ident, mark, refuse, since};
use crate::lang::mistake;
use crate::lang::syntax::{Ident, Name, Range, Statement, StatementKind};
use crate::limits::QUERY_BYTES;

mod data;
mod expr;
mod housekeeping;
mod query;
mod verb;

pub use expr::EXPR_OPERATORS;

/// The statements of `text`, or its first mistake with `is_syntax` and its source filled in.
///
/// # Errors
/// The text is longer than [`QUERY_BYTES`], nested deeper than [`crate::limits::QUERY_DEPTH`], does not follow the
/// grammar, or gives an option twice.
pub fn script(source_name: &str, text: &str) -> Result<Vec<Statement>, Diagnostic> {
    let result = tree(text).and_then(|(statements, refusal)| refusal.map_or(Ok(statements), Err));
    result.map_err(|d| located(d, source_name, text))
}

fn located(d: Diagnostic, source_name: &str, text: &str) -> Diagnostic {
    let source = Some(Source { name: source_name.to_owned(), text: text.to_owned() });
    Diagnostic { source, is_syntax: true, ..d }
}

/// A value as it stands behind `LET name =`, for `-P name=value`: a scalar or a range.
///
/// # Errors
/// As [`script`].
pub fn value(source_name: &str, text: &str) -> Result<Range, Diagnostic> {
    fn rule(i: In<'_>) -> Res<'_, Range> {
        let (i, range) = expr::span(i)?;
        let (i, ()) = lex::end(i)?;
        Ok((i, range))
    }
    run(text, rule).map_err(|d| located(d, source_name, text)).map(|(range, _)| range)
}

/// The one statement of `text`, which may end in `;`.
///
/// # Errors
/// As [`script`]; also when there is none, or a second one.
pub fn statement(source_name: &str, text: &str) -> Result<Statement, Diagnostic> {
    let mut statements = script(source_name, text)?.into_iter();
    let refused = |message: &str, span| Err(located(Diagnostic::new(message, span), source_name, text));
    match (statements.next(), statements.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(second)) => refused("one statement is wanted here, this is a second one", second.span),
        (None, _) => refused("there is no statement here", Span::new(text.len(), text.len())),
    }
}

/// What may stand at byte `at` of `text`, or in place of the word that ends there: keywords and punctuation as
/// they are, lexical rules as `<name>`, `<number>`, `<unit>`, `<string>`, `<time>`, `<variable>`, `<end>`. Empty
/// when there is a mistake before `at`, or `at` stands in a string or comment.
pub fn expected(text: &str, at: usize) -> Vec<String> {
    let Some(before) = text.get(..at) else { return Vec::new() };
    let before = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    // a character of no token: a comment or string that is still open swallows it
    let probed = format!("{before}\u{1}");
    let state = State::default();
    let _ = statements(lex::start(&probed, &state));
    if state.far.get() != before.len() || state.fatal.borrow().is_some() {
        return Vec::new();
    }
    let mut set = state.expected.take();
    set.sort();
    set.dedup();
    set.into_iter().map(spelled).collect()
}

/// Whether the last token of `text` is a `;` outside strings and comments: what a prompt waits for.
pub fn ends_in_semicolon(text: &str) -> bool {
    mistake::last_token(text) == ";"
}

/// The statement around byte `at`, from behind the `;` before it to behind its own.
pub fn statement_around(text: &str, at: usize) -> Span {
    mistake::statement_around(text, at)
}

fn spelled(what: Expected) -> String {
    match what {
        Expected::Word(word) => word.to_owned(),
        Expected::Mark(mark) => mark.to_owned(),
        Expected::Token("IDENT" | "QUOTED") => "<name>".to_owned(),
        Expected::Token(rule) => format!("<{}>", rule.to_ascii_lowercase()),
    }
}

/// The statements that the grammar sees, and what the language refuses beyond the grammar.
pub(crate) fn tree(text: &str) -> Result<(Vec<Statement>, Option<Diagnostic>), Diagnostic> {
    run(text, statements)
}

/// Runs a rule over the whole of a text.
fn run<T>(text: &str, rule: impl Fn(In<'_>) -> Res<'_, T>) -> Result<(T, Option<Diagnostic>), Diagnostic> {
    if text.len() > QUERY_BYTES {
        let message = format!("this text has {} bytes, the limit is {QUERY_BYTES}", text.len());
        return Err(
            Diagnostic::new(message, Span::new(0, 0)).help("split it with INCLUDE, or IMPORT long lists")
        );
    }
    let state = State::default();
    if let Ok((_, value)) = rule(lex::start(text, &state)) {
        return Ok((value, state.refusal.take()));
    }
    let known = state.fatal.take().or_else(|| state.refusal.take());
    Err(known.unwrap_or_else(|| {
        let mut expected = state.expected.take();
        expected.sort();
        expected.dedup();
        mistake::explain(text, state.far.get(), &expected)
    }))
}

/// The farthest place where a token was refused.
#[cfg(test)]
pub(crate) fn farthest(text: &str) -> usize {
    let state = State::default();
    let _ = statements(lex::start(text, &state));
    state.far.get()
}

/// Bytes that were looked at, the same one as often as it was.
#[cfg(test)]
pub(crate) fn work(text: &str) -> usize {
    let state = State::default();
    let _ = statements(lex::start(text, &state));
    state.work.get()
}

/// `script ::= ( ";" | statement ";" )* statement? END`
fn statements(mut i: In<'_>) -> Res<'_, Vec<Statement>> {
    let mut all = Vec::new();
    loop {
        if let Ok((rest, _)) = mark(";")(i) {
            i = rest;
            continue;
        }
        match placed(i, any_statement) {
            Ok((rest, statement)) => {
                all.push(statement);
                i = rest;
            }
            Err(Err::Error(_)) => break,
            Err(other) => return Err(other),
        }
        match mark(";")(i) {
            Ok((rest, _)) => i = rest,
            Err(_) => break,
        }
    }
    let (i, ()) = lex::end(i)?;
    Ok((i, all))
}

/// `statement ::= explain | let | set | show | describe | include | import | refresh | fetch | copy | plot | drop
/// | compact | query`
fn any_statement(i: In<'_>) -> Res<'_, StatementKind> {
    use housekeeping::{compact, describe, drop, explain, include, let_, set, show};
    let data = alt((data::import, data::refresh, data::fetch, data::copy, data::plot));
    alt((explain, let_, set, show, describe, include, data, drop, compact, query_statement)).parse(i)
}

fn query_statement(i: In<'_>) -> Res<'_, StatementKind> {
    map(query::query, |q| StatementKind::Query(Box::new(q))).parse(i)
}

/// A statement with its place.
fn placed<'a>(i: In<'a>, rule: fn(In<'a>) -> Res<'a, StatementKind>) -> Res<'a, Statement> {
    let (rest, kind) = rule(i)?;
    Ok((rest, Statement { kind, span: since(i.location_offset(), rest) }))
}

/// `column ::= name`
fn column(i: In<'_>) -> Res<'_, Name> {
    expr::name(i)
}

/// `ident ( "," ident )*`
fn ident_list(i: In<'_>) -> Res<'_, Vec<Ident>> {
    separated_list1(mark(","), ident).parse(i)
}

/// `option*`, each once: an option given twice is refused when the rest of the text parses. PHASE and BAND may
/// repeat, and so may an option for another phase (`FILTER FOR P ... FILTER FOR S ...`).
fn options<'a, T>(i: In<'a>, option: impl Fn(In<'a>) -> Res<'a, T>) -> Res<'a, Vec<T>> {
    let (mut rest, mut all, mut seen) = (i, Vec::new(), HashSet::new());
    loop {
        match option(rest) {
            Ok((next, value)) => {
                once(rest, next, &mut seen);
                all.push(value);
                rest = next;
            }
            Err(Err::Error(_)) => return Ok((rest, all)),
            Err(other) => return Err(other),
        }
    }
}

/// `option+`, each once.
fn options1<'a, T>(i: In<'a>, option: impl Fn(In<'a>) -> Res<'a, T>) -> Res<'a, Vec<T>> {
    let (rest, all) = options(i, option)?;
    if all.is_empty() { Err(Err::Error(Miss)) } else { Ok((rest, all)) }
}

/// Notes the option between `from` and `to`, and refuses it when it was seen before.
fn once(from: In<'_>, to: In<'_>, seen: &mut HashSet<(String, String)>) {
    let start = from.location_offset();
    let written = from.fragment().get(..to.extra.end.saturating_sub(start)).unwrap_or("");
    let name = lex::word_at(written).to_ascii_uppercase();
    let phase = written.split_ascii_whitespace().skip_while(|w| !w.eq_ignore_ascii_case("FOR")).nth(1);
    if matches!(name.as_str(), "PHASE" | "BAND") {
        return;
    }
    let span = Span::new(start, start + name.len());
    if !seen.insert((name.clone(), phase.unwrap_or("").to_owned())) {
        refuse(
            from,
            Diagnostic::new(format!("{name} is given twice"), span).help("leave one of the two out"),
        );
    }
}

#[cfg(test)]
mod tests;
