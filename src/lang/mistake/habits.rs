//! What people write who know another language, and the words for it here. The message is that of the expected
//! set; the help is the point.

use super::wanted::wanted;
use super::{Kind, Mistake, named};
use crate::error::Diagnostic;
use crate::lang::lex::Expected;

/// The word before, the word found (`` stands for anything), and the help.
const PAIRS: &[(&str, &str, &str)] = &[
    ("NOT", "NULL", "write IS NOT NULL"),
    ("FETCH", "", "write LIMIT 10"),
    ("GROUPBY", "", "write GROUP BY"),
    ("ORDERBY", "", "write ORDER BY"),
    ("THAN", "", "leave out THAN: LONGER 1 s"),
    ("REFRESH", "ALL", "REFRESH alone takes all sources"),
    ("EXISTS", "SELECT", "a query inside a statement stands in brackets: (SELECT ...)"),
    ("AS", "SELECT", "a query inside a statement stands in brackets: (SELECT ...)"),
    ("=", "SELECT", "a query inside a statement stands in brackets: (SELECT ...)"),
    (")", "FILTER", "count with SUM(CASE WHEN condition THEN 1 ELSE 0 END)"),
    ("SHOW", "COLUMNS", "DESCRIBE name lists the columns of a table"),
    ("SHOW", "COLUMN", "DESCRIBE name lists the columns of a table"),
    ("SHOW", "CREATE", "DESCRIBE name lists the columns of a table"),
    ("SHOW", "INDEX", "SHOW INDEXES"),
    ("", "DESCENDING", "write DESC"),
    ("", "ASCENDING", "write ASC"),
    ("", "OUTER", "name the side that is kept whole: LEFT JOIN"),
];
/// The clauses of a query in their order.
const CLAUSES: [&str; 6] = ["WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET"];

/// A habit from SQL or another language.
pub(super) fn habit(m: &Mistake<'_>) -> Option<Diagnostic> {
    let pair = PAIRS.iter().find(|(before, found, _)| {
        let before_fits = before.is_empty() || m.back_is(1, before);
        before_fits && (found.is_empty() || m.found.is(found))
    });
    let help = pair.map(|(.., help)| (*help).to_owned()).or_else(|| clause_order(m)).or_else(|| placed(m))?;
    let message = format!("expected {}, found {}", wanted(m), named(&m.found));
    Some(m.at_found(message).help(help))
}

/// `ORDER BY ra WHERE dec > 1`
fn clause_order(m: &Mistake<'_>) -> Option<String> {
    let is_before = |word: &str| m.before.iter().any(|t| t.is(word));
    if m.found.is("FROM") && is_before("WHERE") && !is_before("FROM") {
        return Some(
            "the order is SELECT, FROM, WHERE, GROUP BY, HAVING, ORDER BY, LIMIT, OFFSET".to_owned(),
        );
    }
    let is_open = m.before.iter().any(|t| t.text == "(");
    if m.found.is("WHERE") && !m.back_is(1, "WHERE") && is_before("WHERE") && !is_open {
        return Some("a query has one WHERE: join the conditions with AND".to_owned());
    }
    let at = CLAUSES.iter().position(|w| m.found.is(w))?;
    let later = CLAUSES.get(at + 1..)?.iter().any(|w| m.before.iter().any(|t| t.is(w)));
    later.then(|| "the order is WHERE, GROUP BY, HAVING, ORDER BY, LIMIT, OFFSET".to_owned())
}

/// Habits that depend on more than two words.
fn placed(m: &Mistake<'_>) -> Option<String> {
    if let Some(help) = queries(m) {
        return Some(help);
    }
    let found = super::shorten(m.found.text);
    let first = m.before.first();
    let is_first = |word: &str| first.is_some_and(|t| t.is(word));
    if m.found.text == "," && m.back_is(2, "LIMIT") {
        return Some(format!("LIMIT n OFFSET {}", m.back(1)?.text));
    }
    if m.found.text == "," && m.back_is(2, "IN") {
        return Some(format!("a list stands in brackets: IN ({}, ...)", m.back(1)?.text));
    }
    if m.found.text == ")" && m.back_is(1, "(") && m.back_is(2, "IN") {
        return Some("a list has at least one member".to_owned());
    }
    if m.found.kind == Kind::Text && m.back(1)?.kind == Kind::Text {
        return Some("two texts are joined by ||".to_owned());
    }
    if m.found.kind == Kind::Text && m.before.len() == 1 && is_first("IMPORT") {
        return Some(format!("name the kind of data: IMPORT EVENTS {found}"));
    }
    if is_first("IMPORT") && m.found.is("AS") {
        return Some("the name of the table stands behind INTO".to_owned());
    }
    if m.expects(Expected::Word("TO")) && m.back_is(1, "INTO") {
        return Some(format!("COPY ... TO {found}"));
    }
    if m.found.is("INTO") && is_first("SELECT") {
        return Some("COPY (SELECT ...) TO 'file', or LET name = (SELECT ...)".to_owned());
    }
    if m.expects(Expected::Word("DURING")) && (m.found.kind == Kind::Time || m.found.is("BETWEEN")) {
        return Some("a span of time stands behind DURING: DURING 2024-01-01 .. 2024-02-01".to_owned());
    }
    let bracket = m.expected == [Expected::Mark("(")] && !m.found.ends();
    bracket.then(|| format!("what follows {} stands in brackets", m.back(1).map_or("", |t| t.text)))
}

/// Habits around queries in statements, times and names.
fn queries(m: &Mistake<'_>) -> Option<String> {
    let found = super::shorten(m.found.text);
    let is_name = matches!(m.found.kind, Kind::Word | Kind::QuotedName);
    if m.found.is("SELECT") && m.back_is(1, "(") && ["ANY", "SOME", "ALL"].iter().any(|w| m.back_is(2, w)) {
        return Some("write IN (SELECT ...), or compare with (SELECT MAX(..) ...)".to_owned());
    }
    if m.back_is(1, "COPY") && is_name && !crate::lang::lex::is_reserved(m.found.text) {
        return Some(format!("COPY (SELECT * FROM {found}) TO 'file'"));
    }
    if m.expects(Expected::Word("TO")) && m.found.kind == Kind::Text {
        return Some(format!("COPY ... TO {found}"));
    }
    if m.back_is(1, "LET") && m.found.kind == Kind::Word {
        return Some(format!("`{found}` is a word of the language: choose another name"));
    }
    if m.expects(Expected::Word("TIME")) && m.found.is("BAND") {
        return Some("name the column of the times before the bands: TIME mjd BAND ...".to_owned());
    }
    let clock = m.ahead(2).get(1).is_some_and(|t| t.text == ":");
    if m.back(1)?.kind == Kind::Time && m.found.kind == Kind::Number && clock {
        return Some(format!("date and clock are joined by T: {}T{found}:..", m.back(1)?.text));
    }
    None
}
