//! Section 6 of the grammar: expressions, weakest operator first.

use nom::branch::alt;
use nom::combinator::{map, opt};
use nom::multi::{many1, separated_list1};
use nom::sequence::{pair, preceded};
use nom::{Err, Parser};

use super::query::{is_bare, query, strip};
use crate::error::{Diagnostic, Span};
use crate::lang::lex::{
    self, In, Inner, Miss, Res, brackets, deeper, fatal, ident, kw, mark, number, since, text,
};
use crate::lang::syntax::{
    BinaryOp, Body, Expr, ExprKind, Ident, MatchKind, Name, Query, Range, Text, TextKind, UnaryOp,
};
use crate::limits::IN_LIST_MEMBERS;

/// Operators that may stand in a row, on the longest way down an expression.
pub const EXPR_OPERATORS: usize = 1000;

/// `expr ::= conj ( 'OR' conj )*`
pub(crate) fn expr(i: In<'_>) -> Res<'_, Expr> {
    chain(i, conj, |i| map(kw("OR"), |_| BinaryOp::Or).parse(i))
}

/// `conj ::= neg ( 'AND' neg )*`
fn conj(i: In<'_>) -> Res<'_, Expr> {
    chain(i, neg, |i| map(kw("AND"), |_| BinaryOp::And).parse(i))
}

/// `neg ::= 'NOT' neg | predicate`
fn neg(i: In<'_>) -> Res<'_, Expr> {
    let Ok((rest, _)) = kw("NOT")(i) else { return predicate(i) };
    let (rest, operand) = deeper(i, || neg(rest))?;
    Ok((rest, unary(UnaryOp::Not, operand, since(i.location_offset(), rest))))
}

/// `sum ::= term ( ( "+" | "-" | "||" ) term )*`
pub(crate) fn sum(i: In<'_>) -> Res<'_, Expr> {
    let operator = |i| {
        alt((
            map(mark("+"), |_| BinaryOp::Add),
            map(mark("-"), |_| BinaryOp::Sub),
            map(mark("||"), |_| BinaryOp::Concat),
        ))
        .parse(i)
    };
    chain(i, term, operator)
}

/// `term ::= factor ( ( "*" | "/" | "%" ) factor )*`
fn term(i: In<'_>) -> Res<'_, Expr> {
    let operator = |i| {
        alt((
            map(mark("*"), |_| BinaryOp::Mul),
            map(mark("/"), |_| BinaryOp::Div),
            map(mark("%"), |_| BinaryOp::Mod),
        ))
        .parse(i)
    };
    chain(i, factor, operator)
}

/// `operand ( operator operand )*`, grouped from the left. Long chains make high trees that every later pass
/// walks, so the height is bounded.
fn chain<'a>(
    i: In<'a>,
    operand: fn(In<'a>) -> Res<'a, Expr>,
    operator: fn(In<'a>) -> Res<'a, BinaryOp>,
) -> Res<'a, Expr> {
    let height = &i.extra.state.height;
    let outer = height.replace(0);
    let result = links(i, operand, operator);
    height.set(height.get().max(outer));
    result
}

fn links<'a>(
    i: In<'a>,
    operand: fn(In<'a>) -> Res<'a, Expr>,
    operator: fn(In<'a>) -> Res<'a, BinaryOp>,
) -> Res<'a, Expr> {
    let height = &i.extra.state.height;
    let (mut rest, mut left) = operand(i)?;
    while let (next, Some((op, right))) = opt(pair(operator, operand)).parse(rest)? {
        height.set(height.get() + 1);
        if height.get() > EXPR_OPERATORS {
            let span = Span::new(rest.location_offset(), rest.location_offset() + 1);
            let message = format!("more than {EXPR_OPERATORS} operators in a row");
            return fatal(
                rest,
                Diagnostic::new(message, span).help("`x IN (a, b, ...)` takes a million members"),
            );
        }
        let span = since(i.location_offset(), next);
        left = Expr { kind: ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }, span };
        rest = next;
    }
    Ok((rest, left))
}

fn unary(op: UnaryOp, operand: Expr, span: Span) -> Expr {
    Expr { kind: ExprKind::Unary { op, operand: Box::new(operand) }, span }
}

/// What stands behind the operand of a predicate.
enum Test {
    Compare(BinaryOp, Expr),
    IsNull,
    Between(Expr, Expr),
    InList(Vec<Expr>),
    InQuery(Box<Query>),
    InRange(Range),
    Match(MatchKind, Expr),
    Overlaps(Range),
}

/// `predicate ::= sum test?`
fn predicate(i: In<'_>) -> Res<'_, Expr> {
    let (rest, operand) = sum(i)?;
    let (rest, found) = opt(test).parse(rest)?;
    let Some((negated, test)) = found else { return Ok((rest, operand)) };
    let operand = Box::new(operand);
    let kind = match test {
        Test::Compare(op, right) => ExprKind::Binary { op, left: operand, right: Box::new(right) },
        Test::IsNull => ExprKind::IsNull { operand, negated },
        Test::Between(low, high) => {
            ExprKind::Between { operand, low: Box::new(low), high: Box::new(high), negated }
        }
        Test::InList(items) => ExprKind::InList { operand, items, negated },
        Test::InQuery(query) => ExprKind::InQuery { operand, query, negated },
        Test::InRange(range) => ExprKind::InRange { operand, range: Box::new(range), negated },
        Test::Match(kind, pattern) => ExprKind::Match { kind, operand, pattern: Box::new(pattern), negated },
        Test::Overlaps(range) => ExprKind::Overlaps { operand, range: Box::new(range), negated },
    };
    Ok((rest, Expr { kind, span: since(i.location_offset(), rest) }))
}

/// `test`, with whether it is negated.
fn test(i: In<'_>) -> Res<'_, (bool, Test)> {
    if let (rest, Some(op)) = opt(comparison).parse(i)? {
        let (rest, right) = sum(rest)?;
        return Ok((rest, (false, Test::Compare(op, right))));
    }
    if let Ok((rest, _)) = kw("IS")(i) {
        let (rest, not) = opt(kw("NOT")).parse(rest)?;
        let (rest, _) = kw("NULL")(rest)?;
        return Ok((rest, (not.is_some(), Test::IsNull)));
    }
    let (rest, not) = opt(kw("NOT")).parse(i)?;
    let between = map((kw("BETWEEN"), sum, kw("AND"), sum), |(_, low, _, high)| Test::Between(low, high));
    let (rest, test) = alt((
        between,
        preceded(kw("IN"), members),
        map(pair(match_kind, sum), |(kind, pattern)| Test::Match(kind, pattern)),
        map(preceded(kw("OVERLAPS"), span), Test::Overlaps),
    ))
    .parse(rest)?;
    Ok((rest, (not.is_some(), test)))
}

/// `match_kind ::= 'LIKE' | 'ILIKE' | 'MATCHES'`
fn match_kind(i: In<'_>) -> Res<'_, MatchKind> {
    alt((
        map(kw("LIKE"), |_| MatchKind::Like),
        map(kw("ILIKE"), |_| MatchKind::ILike),
        map(kw("MATCHES"), |_| MatchKind::Matches),
    ))
    .parse(i)
}

/// `comparison ::= "<=" | ">=" | "<>" | "!=" | "=" | "<" | ">"`
fn comparison(i: In<'_>) -> Res<'_, BinaryOp> {
    alt((
        map(mark("<="), |_| BinaryOp::Le),
        map(mark(">="), |_| BinaryOp::Ge),
        map(mark("<>"), |_| BinaryOp::Ne),
        map(mark("!="), |_| BinaryOp::Ne),
        map(mark("="), |_| BinaryOp::Eq),
        map(mark("<"), |_| BinaryOp::Lt),
        map(mark(">"), |_| BinaryOp::Gt),
    ))
    .parse(i)
}

/// `members ::= "(" expr ")" ".." sum | "(" ( query ")" | expr ( "," expr )* ")" ) | span`
fn members(i: In<'_>) -> Res<'_, Test> {
    if !i.fragment().starts_with('(') {
        return map(span, Test::InRange).parse(i);
    }
    let (rest, (first, mut more)) = brackets(i, |i| {
        let (i, first) = inner(i)?;
        match first {
            Inner::Query(_) | Inner::Joined(_) => Ok((i, (first, Vec::new()))),
            Inner::Expr(first) => {
                let (i, more) = nom::multi::many0(preceded(mark(","), expr)).parse(i)?;
                Ok((i, (Inner::Expr(first), more)))
            }
        }
    })?;
    if more.len() >= IN_LIST_MEMBERS {
        let span = since(i.location_offset(), i);
        let message = format!("this list has {} members, the limit is {IN_LIST_MEMBERS}", more.len() + 1);
        return fatal(
            i,
            Diagnostic::new(message, span).help("IMPORT them as a table and write IN (SELECT ...)"),
        );
    }
    let start = i.location_offset();
    match first {
        Inner::Joined(_) => Err(Err::Error(Miss)),
        Inner::Query(query) => match scalar(*query) {
            Ok(mut first) => {
                first.span = since(start, rest);
                if let (rest, Some(end)) = opt(preceded(mark(".."), sum)).parse(rest)? {
                    let span = since(start, rest);
                    return Ok((rest, Test::InRange(Range { start: first, end: Some(end), span })));
                }
                match first.kind {
                    ExprKind::Scalar(query) => Ok((rest, Test::InQuery(strip(query)))),
                    kind => Ok((rest, Test::InList(vec![Expr { kind, span: first.span }]))),
                }
            }
            Err(query) => Ok((rest, Test::InQuery(query))),
        },
        Inner::Expr(mut first) if more.is_empty() => {
            if let (rest, Some(end)) = opt(preceded(mark(".."), sum)).parse(rest)? {
                first.span = Span::new(start, first.span.end);
                let span = since(start, rest);
                return Ok((rest, Test::InRange(Range { start: first, end: Some(end), span })));
            }
            Ok((rest, Test::InList(vec![first])))
        }
        Inner::Expr(first) => {
            more.insert(0, first);
            Ok((rest, Test::InList(more)))
        }
    }
}

/// The inside of brackets that hold a query or an expression: `query ")" | expr ")"`. A leading bracket is read
/// once and kept for the rule that turns out to want it.
fn inner(i: In<'_>) -> Res<'_, Inner> {
    if i.fragment().starts_with('(') {
        let (rest, first) = bracket_ahead(i)?;
        let is_query = matches!(first.0, Inner::Query(_)) && ends_query(rest);
        lex::keep(i, rest, first);
        if !is_query {
            return map(expr, Inner::Expr).parse(i);
        }
    }
    alt((map(query, |q| Inner::Query(Box::new(q))), map(expr, Inner::Expr))).parse(i)
}

/// Whether a query in brackets goes on as a query: not as the operand of an expression.
pub(crate) fn ends_query(i: In<'_>) -> bool {
    const NEXT: [&str; 6] = ["UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET"];
    let word = lex::word_at(i.fragment());
    i.fragment().starts_with(')') || NEXT.iter().any(|n| n.eq_ignore_ascii_case(word))
}

/// `"(" ( query ")" | expr ")" )`
pub(crate) fn bracket(i: In<'_>) -> Res<'_, Inner> {
    match lex::kept(i) {
        Some(read) => Ok(read),
        None => brackets(i, inner),
    }
}

/// A bracket that is read before it is known which rule wants it, with the height of its operator chains.
pub(crate) fn bracket_ahead(i: In<'_>) -> Res<'_, (Inner, usize)> {
    let height = &i.extra.state.height;
    let outer = height.replace(0);
    let result = bracket(i);
    let own = height.get();
    height.set(own.max(outer));
    result.map(|(rest, inner)| (rest, (inner, own)))
}

/// `span ::= sum ( ".." sum )?`
pub(crate) fn span(i: In<'_>) -> Res<'_, Range> {
    let (rest, (start, end)) = pair(sum, opt(preceded(mark(".."), sum))).parse(i)?;
    Ok((rest, Range { start, end, span: since(i.location_offset(), rest) }))
}

/// `factor ::= ( "+" | "-" ) factor | primary`
pub(crate) fn factor(i: In<'_>) -> Res<'_, Expr> {
    let sign = alt((map(mark("+"), |_| UnaryOp::Plus), map(mark("-"), |_| UnaryOp::Minus))).parse(i);
    let Ok((rest, op)) = sign else { return primary(i) };
    let (rest, operand) = deeper(i, || factor(rest))?;
    Ok((rest, unary(op, operand, since(i.location_offset(), rest))))
}

/// `primary`: what has no operator of its own.
fn primary(i: In<'_>) -> Res<'_, Expr> {
    let (rest, kind) = alt((
        map(lex::time, |(text, _)| ExprKind::Time(text.to_owned())),
        quantity,
        map(text, text_kind),
        map(kw("NULL"), |_| ExprKind::Null),
        map(kw("TRUE"), |_| ExprKind::Bool(true)),
        map(kw("FALSE"), |_| ExprKind::Bool(false)),
        case,
        cast,
        map(preceded(kw("EXISTS"), |i| brackets(i, query)), |q| ExprKind::Exists(Box::new(q))),
        call_or_column,
        in_brackets,
    ))
    .parse(i)?;
    Ok((rest, Expr { kind, span: since(i.location_offset(), rest) }))
}

/// `bracket` as a value.
fn in_brackets(i: In<'_>) -> Res<'_, ExprKind> {
    let (i, inner) = bracket(i)?;
    match inner {
        Inner::Query(query) => Ok((i, ExprKind::Scalar(strip(query)))),
        Inner::Expr(expr) => Ok((i, expr.kind)),
        Inner::Joined(_) => Err(Err::Error(Miss)),
    }
}

fn text_kind(text: Text) -> ExprKind {
    match text.kind {
        TextKind::Literal(text) => ExprKind::Text(text),
        TextKind::Variable(name) => ExprKind::Variable(name),
    }
}

/// `quantity ::= number unit?`
fn quantity(i: In<'_>) -> Res<'_, ExprKind> {
    let (i, (number, unit)) = pair(number, opt(lex::unit)).parse(i)?;
    let kind = match unit {
        None => ExprKind::Number(number.text),
        Some((unit, unit_span)) => {
            ExprKind::Quantity { number: number.text, unit: unit.to_owned(), unit_span }
        }
    };
    Ok((i, kind))
}

/// `case ::= 'CASE' expr? ( 'WHEN' expr 'THEN' expr )+ ( 'ELSE' expr )? 'END'`
fn case(i: In<'_>) -> Res<'_, ExprKind> {
    let (rest, _) = kw("CASE")(i)?;
    let inside = |i| {
        let branch = map((kw("WHEN"), expr, kw("THEN"), expr), |(_, when, _, then)| (when, then));
        let otherwise = opt(preceded(kw("ELSE"), expr));
        let (i, (operand, branches, otherwise, _)) =
            (opt(expr), many1(branch), otherwise, kw("END")).parse(i)?;
        let (operand, otherwise) = (operand.map(Box::new), otherwise.map(Box::new));
        Ok((i, ExprKind::Case { operand, branches, otherwise }))
    };
    // CASE is reserved: nothing else can apply
    deeper(i, || inside(rest)).map_err(|e| match e {
        Err::Error(e) => Err::Failure(e),
        other => other,
    })
}

/// `cast ::= 'CAST' "(" expr 'AS' ident ident? ( "(" number ")" )? ")"`
fn cast(i: In<'_>) -> Res<'_, ExprKind> {
    let (i, _) = kw("CAST")(i)?;
    brackets(i, |i| {
        let (i, (operand, _, first, second)) = (expr, kw("AS"), ident, opt(ident)).parse(i)?;
        let (i, length) = opt(|i| brackets(i, number)).parse(i)?;
        let type_words = std::iter::once(first).chain(second).collect();
        Ok((i, ExprKind::Cast { operand: Box::new(operand), type_words, length }))
    })
}

/// `call` or `column`, which start alike.
fn call_or_column(i: In<'_>) -> Res<'_, ExprKind> {
    let (rest, first) = ident(i)?;
    if rest.fragment().starts_with('(') {
        return call(rest, first);
    }
    // a call would have been possible
    let _ = mark("(")(rest);
    let (rest, name) = more_parts(i, rest, first)?;
    Ok((rest, ExprKind::Column(name)))
}

/// `call ::= ident "(" ( "*" | ( 'DISTINCT' | 'ALL' )? expr ( "," expr )* )? ")"`, from the bracket on.
fn call(i: In<'_>, name: Ident) -> Res<'_, ExprKind> {
    brackets(i, |i| {
        if let Ok((i, _)) = mark("*")(i) {
            return Ok((i, ExprKind::Call { name, distinct: false, star: true, args: Vec::new() }));
        }
        let quantifier = alt((map(kw("DISTINCT"), |_| true), map(kw("ALL"), |_| false)));
        let arguments = pair(opt(quantifier), separated_list1(mark(","), expr));
        let (i, found) = opt(arguments).parse(i)?;
        let (distinct, args) = found.map_or((false, Vec::new()), |(d, args)| (d.unwrap_or(false), args));
        Ok((i, ExprKind::Call { name, distinct, star: false, args }))
    })
}

/// `name ::= ident ( "." ident ( "." ident ( "." ident )? )? )?`
pub(crate) fn name(i: In<'_>) -> Res<'_, Name> {
    let (rest, first) = ident(i)?;
    more_parts(i, rest, first)
}

/// The name that starts at `i`, from behind its first part on.
fn more_parts<'a>(i: In<'a>, mut rest: In<'a>, first: Ident) -> Res<'a, Name> {
    let mut parts = vec![first];
    while parts.len() < 4 {
        let (next, Some(part)) = opt(preceded(mark("."), ident)).parse(rest)? else { break };
        parts.push(part);
        rest = next;
    }
    Ok((rest, Name { parts, span: since(i.location_offset(), rest) }))
}

/// A query that is nothing but another in brackets, as a value; else the query as it was.
fn scalar(query: Query) -> Result<Expr, Box<Query>> {
    if !is_bare(&query) {
        return Err(Box::new(query));
    }
    match query.body {
        Body::Nested(inner) => Ok(Expr { kind: ExprKind::Scalar(inner), span: query.span }),
        Body::Select(_) => Err(Box::new(query)),
    }
}
