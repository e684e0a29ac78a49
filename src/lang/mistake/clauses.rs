//! Mistakes in one construct, each with its own help.

use super::wanted::{is_name, wanted};
use super::{Kind, Mistake, Token, named};
use crate::error::{Diagnostic, Span};
use crate::lang::diagnostic::nearest;
use crate::lang::lex::{Expected, is_reserved};
use crate::model::units::Unit;

/// `expected ..., found ...`
pub(super) fn anything(m: &Mistake<'_>) -> Diagnostic {
    let mistake = m.at_found(format!("expected {}, found {}", wanted(m), named(&m.found)));
    let name_is_expected = m.expects(Expected::Token("IDENT"));
    match m.found.kind {
        Kind::Word if is_reserved(m.found.text) && name_is_expected => match reserved(m) {
            Some(help) => mistake.help(help),
            None => mistake,
        },
        _ if starts_value(&m.found) && m.expects(Expected::Mark(",")) && !m.before.is_empty() => {
            mistake.help(format!("is a comma missing before `{}`?", super::shorten(m.found.text)))
        }
        _ if m.found.text == ";" && m.expects(Expected::Mark(")")) => {
            mistake.help("`;` ends the statement; close its brackets first")
        }
        _ => mistake,
    }
}

/// What to do about a reserved word where a name or value may stand.
fn reserved(m: &Mistake<'_>) -> Option<String> {
    const NAMES: [&str; 18] = [
        "ALL",
        "BY",
        "CASE",
        "CORRELATE",
        "COVERAGE",
        "END",
        "GAPS",
        "GROUP",
        "LEFT",
        "LIMIT",
        "MATCHES",
        "OFFSET",
        "ORDER",
        "OVERLAPS",
        "PAIRS",
        "TO",
        "TOP",
        "VARIABILITY",
    ];
    let clause = m.ahead(2).get(1).is_some_and(|next| next.is("BY"));
    let text = m.found.text;
    if m.back_is(1, ",") {
        return Some("leave out the comma, or go on behind it".to_owned());
    }
    if m.back_is(1, "SELECT") && m.found.is("FROM") {
        return Some("`SELECT *` takes all columns".to_owned());
    }
    let is_name = !clause && m.found.kind == Kind::Word && NAMES.iter().any(|n| m.found.is(n));
    is_name.then(|| format!("`{text}` is a word of the language; as a name it is written \"{text}\""))
}

fn starts_value(token: &Token<'_>) -> bool {
    use Kind::{Number, QuotedName, Text, Time, Variable};
    matches!(token.kind, Number | QuotedName | Text | Time | Variable)
        || (token.kind == Kind::Word && !is_reserved(token.text) && !super::is_keyword(token.text))
}

/// The first word of a statement.
pub(super) fn statement(m: &Mistake<'_>) -> Option<Diagnostic> {
    if !m.before.is_empty() || m.found.ends() {
        return None;
    }
    if m.found.kind != Kind::Word {
        return Some(m.at_found(format!("expected a statement, found {}", named(&m.found))));
    }
    let message = format!("unknown statement `{}`", super::shorten(m.found.text));
    const SHOWN: [&str; 9] =
        ["TABLES", "SOURCES", "STATUS", "CHANGES", "INDEXES", "SETTINGS", "FUNCTIONS", "JOBS", "VARIABLES"];
    let help = match (m.found.text.to_ascii_uppercase().as_str(), near_keyword(m)) {
        (word, _) if SHOWN.contains(&word) => Some(format!("SHOW {word}")),
        ("DESC", _) => Some("DESCRIBE lists the columns of a table".to_owned()),
        ("EXPORT" | "SAVE" | "UNLOAD", _) => Some("COPY (SELECT ...) TO 'file'".to_owned()),
        ("SOURCE" | "RUN" | "EXEC" | "EXECUTE", _) => Some("INCLUDE 'file'".to_owned()),
        ("HELP" | "EXIT" | "QUIT", _) => Some("at the prompt: .help and .quit".to_owned()),
        (_, Some(word)) => Some(format!("did you mean `{word}`?")),
        _ => None,
    };
    let mistake = m.at_found(message);
    Some(match help {
        Some(help) => mistake.help(help),
        None => mistake,
    })
}

/// The expected keyword that is written most like the found word.
pub(super) fn near_keyword(m: &Mistake<'_>) -> Option<&'static str> {
    let words = m.expected.iter().filter_map(|e| match e {
        Expected::Word(word) => Some(*word),
        _ => None,
    });
    (m.found.kind == Kind::Word).then(|| nearest(m.found.text, words)).flatten()
}

/// `==`, `=>`, `=<`
pub(super) fn operator(m: &Mistake<'_>) -> Option<Diagnostic> {
    let last = m.back(1).filter(|t| t.kind == Kind::Mark && t.span.end == m.found.span.start)?;
    let (written, instead) = match (last.text, m.found.text) {
        ("=", "=") => ("==", "="),
        ("=", ">") => ("=>", ">="),
        ("=", "<") => ("=<", "<="),
        ("<>", "=") | ("!=", "=") => ("!==", "<>"),
        _ => return None,
    };
    let span = last.span.to(m.found.span);
    Some(Diagnostic::new(format!("`{written}` is not an operator"), span).help(format!("write {instead}")))
}

/// `PHASE P WINDOW ...` without `ON 'Z'`
pub(super) fn components(m: &Mistake<'_>) -> Option<Diagnostic> {
    if !m.back_is(2, "PHASE") || !m.expects(Expected::Word("ON")) {
        return None;
    }
    let phase = m.back(1)?.text;
    let window = match range_ahead(m) {
        Some(window) if m.found.is("WINDOW") => window,
        _ => "WINDOW -0.05 s .. 0.2 s",
    };
    let message = format!("expected `ON` and the components, found {}", named(&m.found));
    Some(m.at_found(message).help(format!("PHASE {phase} ON 'Z' {window}")))
}

/// The found word and the quantities, signs and dots behind it, as written.
fn range_ahead<'a>(m: &Mistake<'a>) -> Option<&'a str> {
    let tokens = m.ahead(12);
    let part = |t: &&Token<'_>| {
        matches!(t.kind, Kind::Number | Kind::Variable)
            || matches!(t.text, "-" | "+" | "..")
            || Unit::find(t.text).is_some()
    };
    let last = tokens.iter().skip(1).take_while(part).last()?;
    Some(m.slice(m.found.span.to(last.span)))
}

/// `LIMIT ten`
pub(super) fn count(m: &Mistake<'_>) -> Option<Diagnostic> {
    let word = m.back(1).filter(|t| t.is("LIMIT") || t.is("OFFSET") || t.is("TOP"))?;
    if !m.expects(Expected::Token("NUMBER")) {
        return None;
    }
    let word = word.text.to_ascii_uppercase();
    let wanted = if word == "TOP" { "a number" } else { "a number or a $variable" };
    let found = match m.found.kind {
        Kind::Word => format!("`{}`", super::shorten(m.found.text)),
        _ => named(&m.found),
    };
    Some(m.at_found(format!("expected {wanted} after {word}, found {found}")))
}

/// `CROSSMATCH gaia ON ...` and `CROSSMATCH gaia` without a radius
pub(super) fn radius(m: &Mistake<'_>) -> Option<Diagnostic> {
    if !m.expects(Expected::Word("WITHIN")) {
        return None;
    }
    let at = m.before.iter().rposition(|t| t.is("CROSSMATCH") || t.is("NEAR") || t.is("PAIR"))?;
    let verb = m.before.get(at)?;
    let message = format!("expected `WITHIN` and a radius, found {}", named(&m.found));
    if !verb.is("CROSSMATCH") {
        let message = format!("expected `WITHIN` and a duration, found {}", named(&m.found));
        return Some(
            m.at_found(message).help(format!("{} WITHIN 1 h", m.slice(verb.span.to(m.back(1)?.span)))),
        );
    }
    let source = m.before.get(at + 1).map_or("name", |t| m.slice(t.span.to(m.back(1).unwrap_or(t).span)));
    let example = format!("CROSSMATCH {source} WITHIN 3 arcsec");
    if m.found.is("ON") || m.found.is("USING") {
        let help = format!("CROSSMATCH pairs by position: `{example}`; for equal columns use JOIN");
        return Some(m.at_found(message).help(help));
    }
    Some(m.at_found(message).help(example))
}

/// Nothing behind AND, WHERE, ON ...
pub(super) fn condition(m: &Mistake<'_>) -> Option<Diagnostic> {
    const BEFORE: [&str; 7] = ["AND", "OR", "NOT", "WHERE", "ON", "HAVING", "WHEN"];
    let last = m.back(1).filter(|t| t.kind == Kind::Word && BEFORE.iter().any(|w| t.is(w)))?;
    if !m.value_is_expected() {
        return None;
    }
    let last = last.text.to_ascii_uppercase();
    let mistake = m.at_found(format!("expected a condition after `{last}`, found {}", named(&m.found)));
    Some(match reserved(m) {
        Some(help) => mistake.help(help),
        None => mistake,
    })
}

/// Two statements without `;` between them.
pub(super) fn missing_semicolon(m: &Mistake<'_>) -> Option<Diagnostic> {
    const STARTS: [&str; 15] = [
        "EXPLAIN", "LET", "SET", "SHOW", "DESCRIBE", "INCLUDE", "IMPORT", "REFRESH", "FETCH", "COPY", "PLOT",
        "DROP", "COMPACT", "SELECT", "WITH",
    ];
    let starts = m.found.kind == Kind::Word && STARTS.iter().any(|w| m.found.is(w));
    if !starts || !m.expects(Expected::Token("END")) {
        return None;
    }
    let word = m.found.text.to_ascii_uppercase();
    Some(m.at_found(format!("expected `;` before `{word}`")).help("statements are separated by `;`"))
}

/// `JOIN b` without a condition
pub(super) fn join(m: &Mistake<'_>) -> Option<Diagnostic> {
    if !m.expects(Expected::Word("ON")) || !m.expects(Expected::Word("USING")) {
        return None;
    }
    let at = m.before.iter().rposition(|t| t.is("JOIN"))?;
    let table = m.before.get(at + 1)?.span.to(m.back(1)?.span);
    let message = format!("expected `ON` and a condition, or `USING (column)`, found {}", named(&m.found));
    let table = m.slice(table);
    Some(m.at_found(message).help(match m.found.is("WITHIN") {
        true => format!("a match by position is a CROSSMATCH: CROSSMATCH {table} WITHIN 3 arcsec"),
        false => format!("JOIN {table} USING (id)"),
    }))
}

/// `BETWEEN 1, 2`
pub(super) fn between(m: &Mistake<'_>) -> Option<Diagnostic> {
    let at = m.before.iter().rposition(|t| t.kind == Kind::Word && Unit::find(t.text).is_none())?;
    if !m.before.get(at)?.is("BETWEEN") || !m.expects(Expected::Word("AND")) {
        return None;
    }
    let low = m.slice(m.before.get(at + 1)?.span.to(m.back(1)?.span));
    let message = format!("expected `AND` and the upper end, found {}", named(&m.found));
    let high = m.ahead(2).get(1).filter(|_| m.found.kind == Kind::Mark).map_or("...", |t| t.text);
    Some(m.at_found(message).help(format!("BETWEEN {low} AND {high} (both ends are included)")))
}

/// `CAST(a, INT)`
pub(super) fn cast(m: &Mistake<'_>) -> Option<Diagnostic> {
    let at = m.before.iter().rposition(|t| t.is("CAST"))?;
    if m.found.text != "," || !m.expects(Expected::Word("AS")) || m.expects(Expected::Mark(",")) {
        return None;
    }
    let value = m.slice(m.before.get(at + 2)?.span.to(m.back(1)?.span));
    let message = "expected `AS` and a type, found `,`";
    Some(m.at_found(message).help(format!("CAST({value} AS ...)")))
}

/// A statement that lacks one word or sign: `ORDER ra`
pub(super) fn one_missing(m: &Mistake<'_>) -> Option<Diagnostic> {
    let last = m.back(1)?;
    let message = format!("expected {}, found {}", wanted(m), named(&m.found));
    if last.text == "." && m.expects(Expected::Mark("*")) {
        let message = "a name has at most four parts";
        return Some(m.at_found(message).help("catalog.schema.table.column"));
    }
    let [Expected::Word(text) | Expected::Mark(text)] = m.expected else { return None };
    if m.found.ends() || (m.found.kind == Kind::Word && is_reserved(m.found.text)) {
        return None;
    }
    let found = super::shorten(m.found.text);
    Some(m.at_found(message).help(format!("{} {text} {found}", super::shorten(last.text))))
}

/// Brackets that are not opened, or not closed.
pub(super) fn bracket(m: &Mistake<'_>) -> Option<Diagnostic> {
    let mut open = Vec::new();
    for token in m.before.iter().filter(|t| t.kind == Kind::Mark) {
        match token.text {
            "(" => open.push(token.span),
            ")" => _ = open.pop(),
            _ => {}
        }
    }
    if m.found.text == ")" && open.is_empty() {
        return Some(m.at_found("this `)` closes no bracket").help("leave it out, or open one before it"));
    }
    let last = open.last()?;
    if !m.found.ends() || !m.expects(Expected::Mark(")")) {
        return None;
    }
    let before = m.text.get(..last.start)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let message = "expected `)`, found the end of the statement";
    Some(m.at_found(message).help(format!("the `(` of line {line}, column {column} is not closed")))
}

/// A misspelled keyword, here or just before.
pub(super) fn keyword(m: &Mistake<'_>) -> Option<Diagnostic> {
    let message = format!("expected {}, found {}", wanted(m), named(&m.found));
    let long = |t: &Token<'_>| t.kind == Kind::Word && t.text.len() > 2 && !is_reserved(t.text);
    if long(&m.found)
        && let Some(word) = near_keyword(m)
    {
        return Some(m.at_found(message).help(format!("did you mean `{word}`?")));
    }
    // `FROM gaia WHER ra > 1`: the misspelled word was taken for an alias
    const CLAUSES: [&str; 12] = [
        "WHERE",
        "GROUP",
        "HAVING",
        "ORDER",
        "LIMIT",
        "OFFSET",
        "JOIN",
        "INNER",
        "LEFT",
        "CROSSMATCH",
        "UNION",
        "FROM",
    ];
    let last = m.back(1).filter(|t| long(t))?;
    let word = nearest(last.text, CLAUSES.into_iter())?;
    let alias =
        m.back(2).is_some_and(|t| !is_reserved(t.text) && matches!(t.kind, Kind::Word | Kind::QuotedName));
    if !alias || m.found.ends() {
        return None;
    }
    let message = format!("`{}` was read as an alias; {message}", last.text);
    Some(m.at_found(message).help(format!("did you mean `{word}` instead of `{}`?", last.text)))
}

/// `SELECT ra r FROM gaia`
pub(super) fn alias(m: &Mistake<'_>) -> Option<Diagnostic> {
    if !is_name(m) || !m.expects(Expected::Word("AS")) || !m.expects(Expected::Mark(",")) {
        return None;
    }
    let mut depth = 0;
    let starts = |t: &Token<'_>| t.text == "," || ["SELECT", "DISTINCT", "ALL"].iter().any(|w| t.is(w));
    let mut first = m.found.span.start;
    for token in m.before.iter().rev() {
        depth += i32::from(token.text == ")") - i32::from(token.text == "(");
        if depth < 0 || (depth == 0 && starts(token)) {
            break;
        }
        first = token.span.start;
    }
    let item = super::shorten(m.slice(Span::new(first, m.back(1)?.span.end)));
    let mistake = m.at_found(format!("expected {}, found {}", wanted(m), named(&m.found)));
    let name = super::shorten(m.found.text);
    let next = m.ahead(2).get(1).copied();
    if next.is_some_and(|t| t.text == "." || t.text == "(") {
        return Some(mistake.help(format!("is a comma missing before `{name}`?")));
    }
    Some(mistake.help(format!("a column alias needs AS: `{item} AS {name}`")))
}
