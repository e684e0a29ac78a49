//! Section 4 of the grammar: queries that start with SELECT, FROM or a verb.

use nom::branch::alt;
use nom::combinator::{map, opt};
use nom::multi::{many0, many1, separated_list1};
use nom::sequence::{pair, preceded};
use nom::{Err, Parser};

use super::expr::{ends_query, expr, name, sum};
use super::verb::verb_source;
use super::{column, ident_list, options};
use crate::lang::lex::{self, In, Inner, Miss, Res, brackets, ident, kw, mark, number, since, variable};
use crate::lang::syntax::{
    Body, Count, Expr, ExprKind, FromItem, Ident, Item, Join, JoinKind, JoinOn, MatchOption, Number,
    OrderKey, Query, Select, SetKind, SetOp, Source, SourceKind,
};

/// `query ::= with? body ( set_op 'ALL'? body )* order? limit? offset?`
pub(crate) fn query(i: In<'_>) -> Res<'_, Query> {
    let (rest, with) = opt(with).parse(i)?;
    let (rest, body) = body(rest)?;
    let (rest, set_ops) = many0(set_op).parse(rest)?;
    let (rest, order) = opt(order).parse(rest)?;
    let (rest, limit) = opt(preceded(kw("LIMIT"), count)).parse(rest)?;
    let (rest, offset) = opt(preceded(kw("OFFSET"), count)).parse(rest)?;
    let span = since(i.location_offset(), rest);
    let (with, order) = (with.unwrap_or_default(), order.unwrap_or_default());
    Ok((rest, Query { with, body, set_ops, order, limit, offset, span }))
}

/// Whether a query is nothing but its body.
pub(crate) fn is_bare(query: &Query) -> bool {
    let plain = query.with.is_empty() && query.set_ops.is_empty() && query.order.is_empty();
    plain && query.limit.is_none() && query.offset.is_none()
}

/// A query without the brackets around the whole of it.
pub(crate) fn strip(mut query: Box<Query>) -> Box<Query> {
    while is_bare(&query) {
        match query.body {
            Body::Nested(inner) => query = inner,
            Body::Select(_) => break,
        }
    }
    query
}

/// `with ::= 'WITH' ident 'AS' "(" query ")" ( "," ident 'AS' "(" query ")" )*`
fn with(i: In<'_>) -> Res<'_, Vec<(Ident, Query)>> {
    let named = map((ident, kw("AS"), |i| brackets(i, query)), |(name, _, query)| (name, query));
    preceded(kw("WITH"), separated_list1(mark(","), named)).parse(i)
}

/// `set_op ::= 'UNION' | 'INTERSECT' | 'EXCEPT'`, with its right side.
fn set_op(i: In<'_>) -> Res<'_, SetOp> {
    let (rest, kind) = alt((
        map(kw("UNION"), |_| SetKind::Union),
        map(kw("INTERSECT"), |_| SetKind::Intersect),
        map(kw("EXCEPT"), |_| SetKind::Except),
    ))
    .parse(i)?;
    let (rest, all) = opt(kw("ALL")).parse(rest)?;
    let span = since(i.location_offset(), rest);
    let (rest, body) = body(rest)?;
    Ok((rest, SetOp { kind, all: all.is_some(), body, span }))
}

/// `body ::= select from? tail | from select? tail | verb tail | "(" query ")"`
fn body(i: In<'_>) -> Res<'_, Body> {
    if i.fragment().starts_with('(') {
        let (rest, query) = match lex::kept(i) {
            Some((rest, Inner::Query(query))) => (rest, query),
            _ => map(|i| brackets(i, query), Box::new).parse(i)?,
        };
        return Ok((rest, Body::Nested(query)));
    }
    let select_first = map(pair(select, opt(from)), |(head, from)| (Some(head), from.unwrap_or_default()));
    let from_first = map(pair(from, opt(select)), |(from, head)| (head, from));
    let verb_alone = map(verb_source, |source| (None, vec![FromItem { source, joins: Vec::new() }]));
    let (rest, (head, from)) = alt((select_first, from_first, verb_alone)).parse(i)?;
    let filter = opt(preceded(kw("WHERE"), expr));
    let group = opt(preceded(pair(kw("GROUP"), kw("BY")), separated_list1(mark(","), expr)));
    let having = opt(preceded(kw("HAVING"), expr));
    let (rest, (filter, group, having)) = (filter, group, having).parse(rest)?;
    let (distinct, top, items) = match head {
        Some(head) => (head.distinct, head.top, Some(head.items)),
        None => (false, None, None),
    };
    let span = since(i.location_offset(), rest);
    let group = group.unwrap_or_default();
    let select = Select { distinct, top, items, from, filter, group, having, span };
    Ok((rest, Body::Select(Box::new(select))))
}

struct Head {
    distinct: bool,
    top: Option<Number>,
    items: Vec<Item>,
}

/// `select ::= 'SELECT' ( 'DISTINCT' | 'ALL' )? ( 'TOP' count )? item ( "," item )*`
fn select(i: In<'_>) -> Res<'_, Head> {
    let (i, _) = kw("SELECT")(i)?;
    let (i, distinct) = opt(alt((map(kw("DISTINCT"), |_| true), map(kw("ALL"), |_| false)))).parse(i)?;
    let (i, top) = opt(preceded(kw("TOP"), figure)).parse(i)?;
    let (i, items) = separated_list1(mark(","), item).parse(i)?;
    Ok((i, Head { distinct: distinct.unwrap_or(false), top, items }))
}

/// `item ::= "*" | name "." "*" | expr ( 'AS' ident )?`
fn item(i: In<'_>) -> Res<'_, Item> {
    alt((
        map(mark("*"), Item::Star),
        map((name, mark("."), mark("*")), |(name, _, _)| Item::QualifiedStar(name)),
        map(pair(expr, opt(preceded(kw("AS"), ident))), |(expr, alias)| Item::Expr { expr, alias }),
    ))
    .parse(i)
}

/// `from ::= 'FROM' from_item ( "," from_item )*`
fn from(i: In<'_>) -> Res<'_, Vec<FromItem>> {
    preceded(kw("FROM"), separated_list1(mark(","), from_item)).parse(i)
}

/// `from_item ::= aliased join*`
fn from_item(i: In<'_>) -> Res<'_, FromItem> {
    map(pair(aliased, many0(join)), |(source, joins)| FromItem { source, joins }).parse(i)
}

/// `aliased ::= table ( 'AS' ident | ident )?`
fn aliased(i: In<'_>) -> Res<'_, Source> {
    let (rest, source) = source(i)?;
    bare_alias(i, rest, source)
}

/// The alias without AS of a source that has none yet.
fn bare_alias<'a>(i: In<'a>, rest: In<'a>, mut source: Source) -> Res<'a, Source> {
    if source.alias.is_some() {
        return Ok((rest, source));
    }
    let (rest, alias) = opt(ident).parse(rest)?;
    source.span = since(i.location_offset(), rest);
    source.alias = alias;
    Ok((rest, source))
}

/// `source ::= table ( 'AS' ident )?`, `table ::= verb_source | "(" ( query ")" | joined ")" ) | VARIABLE | name`
pub(crate) fn source(i: In<'_>) -> Res<'_, Source> {
    let (rest, source) = alt((
        verb_source,
        bracketed_source,
        map(variable, |(name, _)| bare_source(SourceKind::Variable(name.to_owned()))),
        map(name, |name| bare_source(SourceKind::Name(name))),
    ))
    .parse(i)?;
    with_as(i, rest, source)
}

/// `( 'AS' ident )?`
fn with_as<'a>(i: In<'a>, rest: In<'a>, mut source: Source) -> Res<'a, Source> {
    let (rest, alias) = opt(preceded(kw("AS"), ident)).parse(rest)?;
    source.alias = alias;
    source.span = since(i.location_offset(), rest);
    Ok((rest, source))
}

/// `"(" ( query ")" | joined ")" )`
fn bracketed_source(i: In<'_>) -> Res<'_, Source> {
    let (rest, inner) = tables_in_brackets(i)?;
    match inner {
        Inner::Query(query) => Ok((rest, bare_source(SourceKind::Query(strip(query))))),
        Inner::Joined(item) => Ok((rest, bare_source(SourceKind::Joined(item)))),
        Inner::Expr(_) => Err(Err::Error(Miss)),
    }
}

fn tables_in_brackets(i: In<'_>) -> Res<'_, Inner> {
    match lex::kept(i) {
        Some(read) => Ok(read),
        None => brackets(i, query_or_joined),
    }
}

/// `query | joined`. A leading bracket is read once: what is in it and behind it says which rule wants it.
fn query_or_joined(i: In<'_>) -> Res<'_, Inner> {
    let joined = |i| map(joined, |item| Inner::Joined(Box::new(item))).parse(i);
    if i.fragment().starts_with('(') {
        let (rest, first) = tables_in_brackets(i)?;
        let is_query = matches!(first, Inner::Query(_)) && ends_query(rest);
        lex::keep(i, rest, (first, 0));
        if !is_query {
            return joined(i);
        }
    }
    let (rest, found) = match query(i) {
        Ok(found) => found,
        Err(Err::Error(_)) => return joined(i),
        Err(other) => return Err(other),
    };
    if rest.fragment().starts_with(')') {
        return Ok((rest, Inner::Query(Box::new(found))));
    }
    // a verb is a query, or the first of joined tables
    match verb_alone(found) {
        Ok(source) => {
            let (rest, source) = with_as(i, rest, source)?;
            let (rest, source) = bare_alias(i, rest, source)?;
            let (rest, joins) = many1(join).parse(rest)?;
            Ok((rest, Inner::Joined(Box::new(FromItem { source, joins }))))
        }
        Err(query) => Ok((rest, Inner::Query(query))),
    }
}

/// The verb that is the whole of a query; else the query as it was.
fn verb_alone(query: Query) -> Result<Source, Box<Query>> {
    let is_verb = |select: &Select| {
        let is_plain = select.filter.is_none() && select.group.is_empty() && select.having.is_none();
        let source = select.from.first().map(|item| &item.source);
        // FROM-first queries start before their source
        is_plain && select.items.is_none() && source.is_some_and(|s| s.span.start == select.span.start)
    };
    let is_bare = is_bare(&query);
    match query.body {
        Body::Select(mut select) if is_bare && is_verb(&select) => Ok(select.from.remove(0).source),
        body => Err(Box::new(Query { body, ..query })),
    }
}

/// `joined ::= aliased join+`
fn joined(i: In<'_>) -> Res<'_, FromItem> {
    map(pair(aliased, many1(join)), |(source, joins)| FromItem { source, joins }).parse(i)
}

/// A source whose place and alias come later.
pub(crate) fn bare_source(kind: SourceKind) -> Source {
    Source { kind, alias: None, span: crate::error::Span::default() }
}

/// `join ::= 'NATURAL' join_kind? 'JOIN' aliased | join_kind? ( 'JOIN' aliased join_on | crossmatch )`
fn join(i: In<'_>) -> Res<'_, Join> {
    if let Ok((rest, _)) = kw("NATURAL")(i) {
        let (rest, (kind, _, source)) = (opt(join_kind), kw("JOIN"), aliased).parse(rest)?;
        let span = since(i.location_offset(), rest);
        return Ok((rest, Join { kind: kind.unwrap_or(JoinKind::Inner), source, on: JoinOn::Natural, span }));
    }
    let (rest, kind) = opt(join_kind).parse(i)?;
    let equal = map((kw("JOIN"), aliased, join_on), |(_, source, on)| (source, on));
    let (rest, (source, on)) = alt((equal, crossmatch)).parse(rest)?;
    let span = since(i.location_offset(), rest);
    Ok((rest, Join { kind: kind.unwrap_or(JoinKind::Inner), source, on, span }))
}

fn crossmatch(i: In<'_>) -> Res<'_, (Source, JoinOn)> {
    let (i, (_, source, _, within)) = (kw("CROSSMATCH"), aliased, kw("WITHIN"), sum).parse(i)?;
    let (i, options) = options(i, match_opt)?;
    Ok((i, (source, JoinOn::Match { within, options })))
}

/// `join_kind ::= 'INNER' | ( 'LEFT' | 'RIGHT' | 'FULL' ) 'OUTER'? | 'SEMI' | 'ANTI'`
fn join_kind(i: In<'_>) -> Res<'_, JoinKind> {
    let side = alt((
        map(kw("LEFT"), |_| JoinKind::Left),
        map(kw("RIGHT"), |_| JoinKind::Right),
        map(kw("FULL"), |_| JoinKind::Full),
    ));
    alt((
        map(kw("INNER"), |_| JoinKind::Inner),
        map(pair(side, opt(kw("OUTER"))), |(kind, _)| kind),
        map(kw("SEMI"), |_| JoinKind::Semi),
        map(kw("ANTI"), |_| JoinKind::Anti),
    ))
    .parse(i)
}

/// `join_on ::= 'ON' expr | 'USING' "(" ident ( "," ident )* ")"`
fn join_on(i: In<'_>) -> Res<'_, JoinOn> {
    let using = preceded(kw("USING"), |i| brackets(i, ident_list));
    alt((map(preceded(kw("ON"), expr), JoinOn::On), map(using, JoinOn::Using))).parse(i)
}

/// `match_opt ::= 'NEAREST' count? | 'MUTUAL' | 'ALL' | 'GROUPS' | 'AT' 'EPOCH' ( number | VARIABLE | column )
/// | 'TIME' sum`
fn match_opt(i: In<'_>) -> Res<'_, MatchOption> {
    alt((
        map(pair(kw("NEAREST"), opt(figure)), |(span, k)| MatchOption::Nearest(k, span)),
        map(kw("MUTUAL"), MatchOption::Mutual),
        map(kw("ALL"), MatchOption::All),
        map(kw("GROUPS"), MatchOption::Groups),
        map(preceded(pair(kw("AT"), kw("EPOCH")), epoch), MatchOption::AtEpoch),
        map(preceded(kw("TIME"), sum), MatchOption::Time),
    ))
    .parse(i)
}

fn epoch(i: In<'_>) -> Res<'_, Expr> {
    let (rest, kind) = alt((
        map(number, |n| ExprKind::Number(n.text)),
        map(variable, |(name, _)| ExprKind::Variable(name.to_owned())),
        map(column, ExprKind::Column),
    ))
    .parse(i)?;
    Ok((rest, Expr { kind, span: since(i.location_offset(), rest) }))
}

/// `order ::= 'ORDER' 'BY' order_key ( "," order_key )*`
fn order(i: In<'_>) -> Res<'_, Vec<OrderKey>> {
    preceded(pair(kw("ORDER"), kw("BY")), separated_list1(mark(","), order_key)).parse(i)
}

/// `order_key ::= expr ( 'ASC' | 'DESC' )? ( 'NULLS' ( 'FIRST' | 'LAST' ) )?`
fn order_key(i: In<'_>) -> Res<'_, OrderKey> {
    let (i, expr) = expr(i)?;
    let (i, descending) = opt(alt((map(kw("ASC"), |_| false), map(kw("DESC"), |_| true)))).parse(i)?;
    let first = alt((map(kw("FIRST"), |_| true), map(kw("LAST"), |_| false)));
    let (i, nulls_first) = opt(preceded(kw("NULLS"), first)).parse(i)?;
    let (descending, nulls_first) = (descending.unwrap_or(false), nulls_first.unwrap_or(false));
    Ok((i, OrderKey { expr, descending, nulls_first }))
}

/// `count ::= number | VARIABLE`, of an option: the text of a variable keeps its dollar.
pub(crate) fn figure(i: In<'_>) -> Res<'_, Number> {
    let named = |(name, span): (&str, _)| Number { text: format!("${name}"), span };
    alt((number, map(variable, named))).parse(i)
}

/// `number | VARIABLE`
fn count(i: In<'_>) -> Res<'_, Count> {
    let named =
        |(name, span): (&str, _)| Count::Variable(Ident { text: name.to_owned(), quoted: false, span });
    alt((map(number, Count::Number), map(variable, named))).parse(i)
}
