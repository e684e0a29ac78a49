//! Tokens: keywords, punctuation and the lexical rules of the grammar, read where the grammar asks for them
//! (`m` is a unit after a number and a name elsewhere). White space and comments are skipped behind each token,
//! so a position is always the start of a token.

use std::cell::{Cell, RefCell};

use nom::error::{ErrorKind, ParseError};
use nom::{Err, IResult, Input};
use nom_locate::LocatedSpan;

use crate::error::{Diagnostic, Span};
use crate::lang::syntax::{Ident, Number, Query, Text, TextKind};
use crate::limits::QUERY_DEPTH;

mod pattern;

pub(crate) use pattern::{blank, measure_number, measure_quoted, measure_time, word_at};
use pattern::{measure_name, measure_unit};

/// Words that are never bare names; the last line is words of SQL that are absent here, kept so that a message can
/// name them.
#[rustfmt::skip]
pub const RESERVED: &[&str] = &[
    "ALL", "AND", "ANTI", "AS", "BETWEEN", "BY", "CASE", "CAST", "CORRELATE", "COVERAGE", "CROSSMATCH",
    "DISTINCT", "DURING", "ELSE", "END", "EXCEPT", "EXISTS", "FALSE", "FROM", "FULL", "GAPS", "GROUP", "HAVING",
    "ILIKE", "IN", "INNER", "INTERSECT", "IS", "JOIN", "LEFT", "LIKE", "LIMIT", "MATCHES", "NATURAL", "NOT", "NULL",
    "OFFSET", "ON", "OR", "ORDER", "OUTER", "OVERLAPS", "PAIRS", "RIGHT", "SELECT", "SEMI", "THEN", "TO", "TOP", "TRUE",
    "UNION", "USING", "VARIABILITY", "WHEN", "WHERE", "WITH", "WITHIN",
    "ALTER", "CREATE", "CROSS", "DELETE", "INSERT", "OVER", "UPDATE",
];

/// The other keywords, which are names where a name may stand.
#[rustfmt::skip]
pub const KEYWORDS: &[&str] = &[
    "ABS", "AGAINST", "ANALYZE", "APPEND", "ASC", "AT", "BAND", "CATALOG", "CAUSAL", "CHANGES", "CLOSURE",
    "CODES", "COMBINE", "COMPACT", "COMPAT", "COMPRESS", "CONTEXT", "COPY", "DESC", "DESCRIBE", "DIV",
    "DRIFT", "DROP", "EPOCH", "EQUIVALENT", "EVENTS", "EXPLAIN", "FETCH", "FILES", "FILTER", "FIRST", "FOR",
    "FORMAT", "FRAME", "FREQUENCY", "FUNCTIONS", "GROUPS", "HISTOGRAM", "IF", "IMPORT", "INCLUDE",
    "INDEXES", "INTO", "JOBS", "KEY", "LAG", "LAST", "LAYOUT", "LET", "LIGHTCURVE", "LONGER", "MAP",
    "MAXDIST", "MAXLAG", "MAXNGH", "MAXOBS", "MAXSEP", "METHOD", "MINCC", "MINEPOCHS", "MINLNK", "MINOBS",
    "MINSNR", "MINWGHT", "MOTION", "MUTUAL", "NEAR", "NEAREST", "NORM", "NULLS", "OF", "PAIR",
    "PARALLEL", "PEAK", "PHASE", "PLOT", "POSITION", "QUERY", "RATE", "REFRESH", "REPLACE", "RESAMPLE",
    "RETRY", "SCALE", "SEALED", "SET", "SETTINGS", "SHORTEN", "SHOW", "SIGN", "SNR", "SORTED", "SOURCES", "STATION",
    "STATIONS", "STATS", "STATUS", "TABLE", "TABLES", "TAPER", "TILES", "TIME", "TIMELINE", "TIMEOUT",
    "TOLERANCE", "UNITS", "VARIABLES", "WAVEFORMS", "WEIGHT", "WIGGLES", "WINDOW", "ZEROPHASE",
];

/// What could have stood at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expected {
    /// A keyword.
    Word(&'static str),
    /// Punctuation.
    Mark(&'static str),
    /// A lexical rule: `TIME`, `NUMBER`, `UNIT`, `STRING`, `QUOTED`, `IDENT`, `VARIABLE`, `END`.
    Token(&'static str),
}

/// What stands in brackets that may hold a query, an expression or joined tables.
#[derive(Clone, Debug)]
pub(crate) enum Inner {
    /// A query.
    Query(Box<Query>),
    /// An expression.
    Expr(super::syntax::Expr),
    /// Joined tables.
    Joined(Box<super::syntax::FromItem>),
}

/// A bracket that was read ahead of the rule that wants it, so that none is read twice.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    start: usize,
    next: usize,
    end: usize,
    height: usize,
    inner: Inner,
}

/// What one run of the parser collects beside the tree.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The farthest place where a token was refused.
    pub(crate) far: Cell<usize>,
    /// What could have stood there.
    pub(crate) expected: RefCell<Vec<Expected>>,
    /// Ends the parse at once: a limit.
    pub(crate) fatal: RefCell<Option<Diagnostic>>,
    /// Refused although the grammar allows it (an option given twice): the first one.
    pub(crate) refusal: RefCell<Option<Diagnostic>>,
    /// Height of the operator chains of the expression being read.
    pub(crate) height: Cell<usize>,
    /// Bytes of tokens and blanks that were looked at: the work of the parse.
    pub(crate) work: Cell<usize>,
    depth: Cell<usize>,
    ahead: RefCell<Option<ReadAhead>>,
}

/// Travels with the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    /// Of this run.
    pub(crate) state: &'a State,
    /// Where the last token ended.
    pub(crate) end: usize,
}

/// The rest of the text, at the start of a token.
pub(crate) type In<'a> = LocatedSpan<&'a str, At<'a>>;

/// The result of a rule.
pub(crate) type Res<'a, T> = IResult<In<'a>, T, Miss>;

/// A rule does not apply; place and expectation are in [`State`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Miss;

impl ParseError<In<'_>> for Miss {
    fn from_error_kind(_: In<'_>, _: ErrorKind) -> Self {
        Miss
    }

    fn append(_: In<'_>, _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// The start of `text`, behind its prologue, white space and comments.
pub(crate) fn start<'a>(text: &'a str, state: &'a State) -> In<'a> {
    let i = LocatedSpan::new_extra(text, At { state, end: 0 });
    let first = prologue(text);
    i.take_from(first + blank(text.get(first..).unwrap_or("")))
}

/// Bytes of a byte order mark and a first line that starts with `#!`.
pub(crate) fn prologue(text: &str) -> usize {
    let rest = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let line = if rest.starts_with("#!") { rest.find('\n').unwrap_or(rest.len()) } else { 0 };
    text.len() - rest.len() + line
}

/// The span from `start` to the last token read.
pub(crate) fn since(start: usize, i: In<'_>) -> Span {
    Span::new(start, i.extra.end.max(start))
}

/// Notes that so many bytes were looked at.
fn looked(i: In<'_>, bytes: usize) {
    let work = &i.extra.state.work;
    work.set(work.get() + bytes);
}

/// Takes a token of `len` bytes and the blanks behind it.
fn take(i: In<'_>, len: usize) -> (In<'_>, Span) {
    let start = i.location_offset();
    let mut rest = i.take_from(len);
    rest.extra.end = start + len;
    let skip = blank(rest.fragment());
    looked(i, len + skip);
    (rest.take_from(skip), Span::new(start, start + len))
}

/// Refuses the token at `i`.
pub(crate) fn miss<T>(i: In<'_>, what: Expected) -> Res<'_, T> {
    let (at, state) = (i.location_offset(), i.extra.state);
    if at > state.far.get() {
        state.far.set(at);
        state.expected.borrow_mut().clear();
    }
    if at == state.far.get() {
        state.expected.borrow_mut().push(what);
    }
    Err(Err::Error(Miss))
}

/// Ends the parse.
pub(crate) fn fatal<T>(i: In<'_>, diagnostic: Diagnostic) -> Res<'_, T> {
    i.extra.state.fatal.borrow_mut().get_or_insert(diagnostic);
    Err(Err::Failure(Miss))
}

/// Notes what the grammar allows and the language refuses; the first in the text counts.
pub(crate) fn refuse(i: In<'_>, diagnostic: Diagnostic) {
    let mut first = i.extra.state.refusal.borrow_mut();
    let place = |d: &Diagnostic| d.span.map_or(0, |s| s.start);
    if first.as_ref().is_none_or(|f| place(&diagnostic) < place(f)) {
        *first = Some(diagnostic);
    }
}

/// Runs a rule one level deeper; `at` is the bracket, NOT, sign or CASE that is counted.
pub(crate) fn deeper<'a, T>(at: In<'a>, rule: impl FnOnce() -> Res<'a, T>) -> Res<'a, T> {
    let (depth, start) = (&at.extra.state.depth, at.location_offset());
    if depth.get() >= QUERY_DEPTH {
        let message = format!("this is nested deeper than {QUERY_DEPTH} levels");
        let help = "name a part of it with LET or WITH; brackets, NOT, signs, CASE and EXPLAIN all count";
        return fatal(at, Diagnostic::new(message, Span::new(start, start + 1)).help(help));
    }
    depth.set(depth.get() + 1);
    let result = rule();
    depth.set(depth.get() - 1);
    result
}

/// `( rule )`. Behind an opening bracket nothing else can apply, so a refusal inside ends the parse.
pub(crate) fn brackets<'a, T>(i: In<'a>, rule: impl FnOnce(In<'a>) -> Res<'a, T>) -> Res<'a, T> {
    let (inside, _) = mark("(")(i)?;
    let result = deeper(i, || {
        let (i, value) = rule(inside)?;
        let (i, _) = mark(")")(i)?;
        Ok((i, value))
    });
    result.map_err(|e| {
        Err::Failure(match e {
            Err::Error(m) | Err::Failure(m) => m,
            Err::Incomplete(_) => Miss,
        })
    })
}

/// Keeps a bracket that was read at `i` and ended before `rest`, for the rule that wants it.
pub(crate) fn keep(i: In<'_>, rest: In<'_>, (inner, height): (Inner, usize)) {
    let (start, next, end) = (i.location_offset(), rest.location_offset(), rest.extra.end);
    *i.extra.state.ahead.borrow_mut() = Some(ReadAhead { start, next, end, height, inner });
}

/// The bracket that was read ahead at `i`.
pub(crate) fn kept(i: In<'_>) -> Option<(In<'_>, Inner)> {
    let state = i.extra.state;
    let ahead = state.ahead.borrow_mut().take_if(|a| a.start == i.location_offset())?;
    state.height.set(state.height.get().max(ahead.height));
    let mut rest = i.take_from(ahead.next - ahead.start);
    rest.extra.end = ahead.end;
    Some((rest, ahead.inner))
}

/// Whether a word cannot be a bare name.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|r| r.eq_ignore_ascii_case(word))
}

/// A keyword in any case.
pub(crate) fn kw<'a>(word: &'static str) -> impl Fn(In<'a>) -> Res<'a, Span> {
    move |i| {
        let found = word_at(i.fragment());
        looked(i, found.len() + 1);
        if found.eq_ignore_ascii_case(word) {
            Ok(take(i, found.len()))
        } else {
            miss(i, Expected::Word(word))
        }
    }
}

/// Punctuation. A dot is not the start of `..`, a slash not that of a comment.
pub(crate) fn mark<'a>(mark: &'static str) -> impl Fn(In<'a>) -> Res<'a, Span> {
    move |i| {
        let text = i.fragment();
        looked(i, 2);
        let longer = (mark == "." && text.starts_with("..")) || (mark == "/" && text.starts_with("/*"));
        if text.starts_with(mark) && !longer {
            Ok(take(i, mark.len()))
        } else {
            miss(i, Expected::Mark(mark))
        }
    }
}

/// A token of the length that `measure` finds, and its text.
fn token<'a>(i: In<'a>, name: &'static str, measure: fn(&str) -> Option<usize>) -> Res<'a, (&'a str, Span)> {
    let text: &'a str = i.fragment();
    match measure(text) {
        Some(len) => {
            let (rest, span) = take(i, len);
            Ok((rest, (text.get(..len).unwrap_or(""), span)))
        }
        None => {
            // a quote that is not closed is looked for to the end
            let quoted = text.starts_with(['\'', '"']);
            looked(i, if quoted { text.len() } else { word_at(text).len() + 1 });
            miss(i, Expected::Token(name))
        }
    }
}

/// `TIME`
pub(crate) fn time(i: In<'_>) -> Res<'_, (&str, Span)> {
    token(i, "TIME", measure_time)
}

/// `UNIT`
pub(crate) fn unit(i: In<'_>) -> Res<'_, (&str, Span)> {
    token(i, "UNIT", measure_unit)
}

/// `NUMBER`
pub(crate) fn number(i: In<'_>) -> Res<'_, Number> {
    let (i, (text, span)) = token(i, "NUMBER", measure_number)?;
    Ok((i, Number { text: text.to_owned(), span }))
}

/// `STRING`, its doubled quotes undone.
pub(crate) fn string(i: In<'_>) -> Res<'_, (String, Span)> {
    let (i, (text, span)) = token(i, "STRING", |t| measure_quoted(t, '\''))?;
    Ok((i, (unquote(text, "'"), span)))
}

/// `VARIABLE`, without its dollar.
pub(crate) fn variable(i: In<'_>) -> Res<'_, (&str, Span)> {
    let (i, (text, span)) = token(i, "VARIABLE", |t| {
        let word = word_at(t.strip_prefix('$')?);
        (!word.is_empty()).then_some(word.len() + 1)
    })?;
    Ok((i, (text.get(1..).unwrap_or(""), span)))
}

/// `END`
pub(crate) fn end(i: In<'_>) -> Res<'_, ()> {
    if i.fragment().is_empty() { Ok((i, ())) } else { miss(i, Expected::Token("END")) }
}

/// `ident ::= QUOTED | IDENT`
pub(crate) fn ident(i: In<'_>) -> Res<'_, Ident> {
    if i.fragment().starts_with('"') {
        let (i, (text, span)) = token(i, "QUOTED", measure_name)?;
        return Ok((i, Ident { text: unquote(text, "\""), quoted: true, span }));
    }
    let (i, (text, span)) = token(i, "IDENT", |t| {
        let word = word_at(t);
        (!word.is_empty() && !is_reserved(word)).then_some(word.len())
    })?;
    Ok((i, Ident { text: text.to_owned(), quoted: false, span }))
}

/// `text ::= STRING | VARIABLE`
pub(crate) fn text(i: In<'_>) -> Res<'_, Text> {
    if let Ok((i, (text, span))) = string(i) {
        return Ok((i, Text { kind: TextKind::Literal(text), span }));
    }
    let (i, (name, span)) = variable(i)?;
    Ok((i, Text { kind: TextKind::Variable(name.to_owned()), span }))
}

fn unquote(text: &str, quote: &str) -> String {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
    inner.replace(&quote.repeat(2), quote)
}
