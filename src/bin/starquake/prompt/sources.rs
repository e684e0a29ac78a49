//! The tables of a statement that is being typed, with their aliases.

use starquake::lang::lex::is_reserved;

use super::tokens::{Kind, Token, tokens};

/// A table of the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// What DESCRIBE takes: a name, `FROM $v`, a query or a verb.
    pub(super) text: String,
    /// What its columns may be called by, beside their names.
    pub(super) alias: Option<String>,
}

/// Words behind which a table stands.
pub(super) const BEFORE_TABLE: &[&str] =
    &["FROM", "JOIN", "CROSSMATCH", "AGAINST", "NEAR", "OF", "CORRELATE"];
/// Words that begin a table of their own.
const VERBS: &[&str] = &["GAPS", "COVERAGE", "PAIRS", "CORRELATE", "VARIABILITY"];
/// Words that end such a table.
const CLAUSES: &[&str] = &[
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "LEFT",
    "INNER",
    "SEMI",
    "ANTI",
    "CROSSMATCH",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "SELECT",
    "AS",
];

/// The tables of the statement that the cursor at byte `cursor` stands in.
pub(super) fn sources(text: &str, cursor: usize) -> Vec<Source> {
    let all = tokens(text);
    let mut tokens: Vec<Token<'_>> = all.into_iter().filter(|t| t.kind != Kind::Comment).collect();
    let start = tokens.iter().rposition(|t| t.is_mark(";") && t.start < cursor).map_or(0, |i| i + 1);
    let end = tokens.iter().position(|t| t.is_mark(";") && t.start >= cursor).unwrap_or(tokens.len());
    tokens.truncate(end);
    let statement = tokens.get(start..).unwrap_or(&[]);
    let mut found: Vec<Source> = Vec::new();
    for (i, token) in statement.iter().enumerate() {
        let behind = statement.get(i + 1..).unwrap_or(&[]);
        let mut new = Vec::new();
        if VERBS.iter().any(|v| token.is(v)) {
            // A verb is a table of its own, and may begin a statement.
            new.extend(source(text, statement.get(i..).unwrap_or(&[]), false).map(|s| s.0));
        }
        if BEFORE_TABLE.iter().any(|w| token.is(w)) {
            let may_be_bare = ["FROM", "JOIN", "CROSSMATCH"].iter().any(|w| token.is(w));
            new.extend(list(text, behind, may_be_bare));
        }
        new.retain(|one| !found.contains(one));
        found.append(&mut new);
    }
    found
}

/// The tables `a, b AS c` at the start of the tokens.
fn list(text: &str, mut tokens: &[Token<'_>], may_be_bare: bool) -> Vec<Source> {
    let mut found = Vec::new();
    while let Some((one, used)) = source(text, tokens, may_be_bare) {
        found.push(one);
        tokens = tokens.get(used..).unwrap_or(&[]);
        match tokens.first() {
            Some(comma) if comma.is_mark(",") => tokens = tokens.get(1..).unwrap_or(&[]),
            _ => break,
        }
    }
    found
}

/// The table at the start of the tokens, and how many it takes up. `may_be_bare`: an alias needs no AS.
fn source(text: &str, tokens: &[Token<'_>], may_be_bare: bool) -> Option<(Source, usize)> {
    let first = tokens.first()?;
    let slice = |from: usize, to: usize| {
        let (from, to) = (tokens.get(from)?, tokens.get(to.checked_sub(1)?)?);
        text.get(from.start..to.end())
    };
    let mut own_name = None;
    let (described, used) = match first.kind {
        Kind::Variable => (format!("FROM {}", first.text), 1),
        Kind::Mark if first.text == "(" => {
            let close = closing(tokens)?;
            (slice(1, close)?.to_owned(), close + 1)
        }
        Kind::Word if VERBS.iter().any(|v| first.is(v)) => {
            let used = verb(tokens);
            (format!("FROM {}", slice(0, used)?), used)
        }
        Kind::Name | Kind::Word if first.kind == Kind::Name || !is_reserved(first.text) => {
            let mut used = 1;
            while tokens.get(used).is_some_and(|t| t.is_mark("."))
                && tokens.get(used + 1).is_some_and(|t| matches!(t.kind, Kind::Word | Kind::Name))
            {
                used += 2;
            }
            own_name = tokens.get(used - 1).map(|t| unquoted(t.text));
            (slice(0, used)?.to_owned(), used)
        }
        _ => return None,
    };
    let skipped = usize::from(tokens.get(used).is_some_and(|t| t.is("AS")));
    let name = tokens.get(used + skipped).filter(|t| t.kind == Kind::Name || is_name(t));
    let name = name.filter(|_| may_be_bare || skipped > 0);
    // Without an alias a table is called by its own name.
    let alias = name.map(|n| unquoted(n.text)).or(own_name);
    let used = used + if name.is_some() { skipped + 1 } else { 0 };
    Some((Source { text: described, alias }, used))
}

fn is_name(token: &Token<'_>) -> bool {
    token.kind == Kind::Word && !is_reserved(token.text)
}

/// Where the bracket that opens the tokens is closed.
fn closing(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|t| {
        depth += usize::from(t.is_mark("("));
        depth = depth.saturating_sub(usize::from(t.is_mark(")")));
        depth == 0
    })
}

/// How many tokens a verb with its options takes up.
fn verb(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    let end = tokens.iter().skip(1).position(|t| {
        if t.is_mark(")") && depth == 0 {
            return true;
        }
        depth += usize::from(t.is_mark("("));
        depth = depth.saturating_sub(usize::from(t.is_mark(")")));
        depth == 0 && CLAUSES.iter().any(|c| t.is(c))
    });
    end.map_or(tokens.len(), |end| end + 1)
}

/// A name without its quotes.
pub(super) fn unquoted(name: &str) -> String {
    match name.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').unwrap_or(rest).replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is described, and its alias.
    type Found<'a> = (&'a str, Option<&'a str>);

    #[test]
    fn tables_and_aliases() {
        let cases: &[(&str, &[Found<'_>])] = &[
            ("SELECT  FROM gaia", &[("gaia", Some("gaia"))]),
            ("SELECT  FROM gaia AS g WHERE", &[("gaia", Some("g"))]),
            ("FROM gaia g CROSSMATCH wise AS w WITHIN", &[("gaia", Some("g")), ("wise", Some("w"))]),
            ("FROM a, b AS c WHERE", &[("a", Some("a")), ("b", Some("c"))]),
            ("FROM $v AS x", &[("FROM $v", Some("x"))]),
            (
                "FROM (SELECT ra FROM gaia) AS q",
                &[("SELECT ra FROM gaia", Some("q")), ("gaia", Some("gaia"))],
            ),
            ("GAPS OF '*' LONGER 1 s ORDER BY ", &[("FROM GAPS OF '*' LONGER 1 s", None)]),
            ("FROM tap.gaia JOIN \"a b\" ON", &[("tap.gaia", Some("gaia")), ("\"a b\"", Some("a b"))]),
            ("SELECT 1; SELECT FROM x; FROM y", &[("x", Some("x"))]),
            ("CORRELATE events PHASE", &[("FROM CORRELATE events PHASE", None), ("events", Some("events"))]),
        ];
        for (text, want) in cases {
            let cursor = if text.contains("; SELECT") { 17 } else { text.len() };
            let found = sources(text, cursor);
            let found: Vec<Found<'_>> = found.iter().map(|s| (s.text.as_str(), s.alias.as_deref())).collect();
            assert_eq!(&found, want, "{text}");
        }
    }
}
