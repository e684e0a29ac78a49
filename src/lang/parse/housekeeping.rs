//! Section 1 of the grammar: statements about the database itself.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{map, opt};
use nom::sequence::{pair, preceded};

use super::data::{copy, import, refresh};
use super::expr::{bracket_ahead, expr, name, span};
use super::query::{query, strip};
use super::{placed, query_statement};
use crate::lang::lex::{self, In, Inner, Res, deeper, ident, kw, mark, text};
use crate::lang::syntax::{Describe, Ident, LetValue, Show, StatementKind};

/// `explain ::= 'EXPLAIN' 'ANALYZE'? ( copy | import | refresh | query )`
pub(crate) fn explain(i: In<'_>) -> Res<'_, StatementKind> {
    let (rest, analyze) = preceded(kw("EXPLAIN"), opt(kw("ANALYZE"))).parse(i)?;
    let (rest, statement) =
        deeper(i, || placed(rest, |i| alt((copy, import, refresh, query_statement)).parse(i)))?;
    Ok((rest, StatementKind::Explain { analyze: analyze.is_some(), statement: Box::new(statement) }))
}

/// `let ::= 'LET' ident "=" ( "(" query ")" | span )`
pub(crate) fn let_(i: In<'_>) -> Res<'_, StatementKind> {
    let (i, (_, name, _)) = (kw("LET"), ident, mark("=")).parse(i)?;
    if i.fragment().starts_with('(') {
        let (rest, ahead) = bracket_ahead(i)?;
        match ahead {
            (Inner::Query(query), _) => {
                return Ok((rest, StatementKind::Let { name, value: LetValue::Query(strip(query)) }));
            }
            value => lex::keep(i, rest, value),
        }
    }
    let (i, value) = span(i)?;
    Ok((i, StatementKind::Let { name, value: LetValue::Value(value) }))
}

/// `set ::= 'SET' ident "=" expr`
pub(crate) fn set(i: In<'_>) -> Res<'_, StatementKind> {
    let (i, (_, name, _, value)) = (kw("SET"), ident, mark("="), expr).parse(i)?;
    Ok((i, StatementKind::Set { name, value }))
}

/// `show ::= 'SHOW' ( 'TABLES' | ... )`
pub(crate) fn show(i: In<'_>) -> Res<'_, StatementKind> {
    let what = alt((
        map(kw("TABLES"), |_| Show::Tables),
        map(kw("SOURCES"), |_| Show::Sources),
        map(kw("STATUS"), |_| Show::Status),
        map(preceded(kw("CHANGES"), opt(ident)), Show::Changes),
        map(kw("INDEXES"), |_| Show::Indexes),
        map(kw("SETTINGS"), |_| Show::Settings),
        map(kw("FUNCTIONS"), |_| Show::Functions),
        map(kw("UNITS"), |_| Show::Units),
        map(kw("JOBS"), |_| Show::Jobs),
        map(kw("VARIABLES"), |_| Show::Variables),
    ));
    map(preceded(kw("SHOW"), what), StatementKind::Show).parse(i)
}

/// `describe ::= 'DESCRIBE' ( VARIABLE | name | query )`
pub(crate) fn describe(i: In<'_>) -> Res<'_, StatementKind> {
    let variable = map(lex::variable, |(name, span)| {
        Describe::Variable(Ident { text: name.to_owned(), quoted: false, span })
    });
    let what =
        alt((variable, map(name, Describe::Name), map(query, |q| Describe::Query(strip(Box::new(q))))));
    map(preceded(kw("DESCRIBE"), what), StatementKind::Describe).parse(i)
}

/// `include ::= 'INCLUDE' text`
pub(crate) fn include(i: In<'_>) -> Res<'_, StatementKind> {
    map(preceded(kw("INCLUDE"), text), StatementKind::Include).parse(i)
}

/// `drop ::= 'DROP' 'TABLE' ( 'IF' 'EXISTS' )? name`
pub(crate) fn drop(i: In<'_>) -> Res<'_, StatementKind> {
    let if_exists = opt(pair(kw("IF"), kw("EXISTS")));
    let (i, (_, _, if_exists, name)) = (kw("DROP"), kw("TABLE"), if_exists, name).parse(i)?;
    Ok((i, StatementKind::Drop { if_exists: if_exists.is_some(), name }))
}

/// `compact ::= 'COMPACT' ident?`
pub(crate) fn compact(i: In<'_>) -> Res<'_, StatementKind> {
    map(preceded(kw("COMPACT"), opt(ident)), StatementKind::Compact).parse(i)
}
