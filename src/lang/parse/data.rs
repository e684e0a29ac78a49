//! Sections 2 and 3 of the grammar: data in (IMPORT, REFRESH, FETCH) and out (COPY, PLOT).

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{map, opt};
use nom::multi::separated_list1;
use nom::sequence::{pair, preceded};

use super::expr::{expr, factor, sum};
use super::query::{figure, query, source, strip};
use super::verb::{codes, during};
use super::{column, options};
use crate::lang::diagnostic;
use crate::lang::lex::{self, In, Res, brackets, ident, kw, mark, refuse, string, text};
use crate::lang::syntax::{
    Copy, CopyOption, Expr, Fetch, FetchKind, FetchOption, Ident, Import, ImportKind, ImportOption, Name,
    Plot, Query, Source, StatementKind, TilesOn,
};

/// `import ::= 'IMPORT' import_kind text import_opt*`
pub(crate) fn import(i: In<'_>) -> Res<'_, StatementKind> {
    let (rest, _) = kw("IMPORT")(i)?;
    no_option_comment(i, rest);
    let (i, (kind, path)) = pair(import_kind, text).parse(rest)?;
    let (i, options) = options(i, import_opt)?;
    Ok((i, StatementKind::Import(Box::new(Import { kind, path, options }))))
}

/// `import_kind ::= 'WAVEFORMS' | 'EVENTS' | 'STATIONS' | 'CATALOG'`
fn import_kind(i: In<'_>) -> Res<'_, ImportKind> {
    alt((
        map(kw("WAVEFORMS"), |_| ImportKind::Waveforms),
        map(kw("EVENTS"), |_| ImportKind::Events),
        map(kw("STATIONS"), |_| ImportKind::Stations),
        map(kw("CATALOG"), |_| ImportKind::Catalog),
    ))
    .parse(i)
}

/// `import_opt`
fn import_opt(i: In<'_>) -> Res<'_, ImportOption> {
    use ImportOption::*;
    let nulls = |i| brackets(i, |i| separated_list1(mark(","), pair(column, factor)).parse(i));
    let columns = alt((
        map(preceded(kw("KEY"), column), Key),
        map(preceded(kw("POSITION"), two_columns), |(lon, lat)| Position(lon, lat)),
        map(preceded(kw("MOTION"), two_columns), |(lon, lat)| Motion(lon, lat)),
        map(preceded(kw("FRAME"), ident), Frame),
        map(preceded(kw("EPOCH"), figure), EpochYear),
        map(preceded(kw("EPOCH"), column), EpochColumn),
        map(preceded(kw("NULLS"), nulls), Nulls),
        map((kw("TIME"), column, opt(preceded(kw("SCALE"), ident))), |(_, column, scale)| {
            Time(column, scale)
        }),
        map(preceded(kw("UNITS"), units), Units),
        map(preceded(pair(kw("SORTED"), kw("BY")), separated_list1(mark(","), column)), SortedBy),
    ));
    alt((
        map(preceded(kw("INTO"), ident), Into),
        map(preceded(kw("FORMAT"), ident), Format),
        preceded(kw("LAYOUT"), layout),
        columns,
        map(preceded(kw("SEALED"), string), |(text, span)| Sealed(text, span)),
        map(near, |(source, within)| Near(source, within)),
        map(preceded(kw("WHERE"), expr), Where),
        map(kw("APPEND"), Append),
        map(kw("REPLACE"), Replace),
    ))
    .parse(i)
}

/// `STRING | ident`
fn layout(i: In<'_>) -> Res<'_, ImportOption> {
    alt((
        map(string, |(text, span)| ImportOption::Layout(text, span)),
        map(ident, |name| ImportOption::Layout(name.text, name.span)),
    ))
    .parse(i)
}

/// `"(" column unit ( "," column unit )* ")"`
fn units(i: In<'_>) -> Res<'_, Vec<(Name, String, crate::error::Span)>> {
    let one = map(pair(column, lex::unit), |(column, (unit, span))| (column, unit.to_owned(), span));
    brackets(i, |i| separated_list1(mark(","), one).parse(i))
}

/// `"(" column "," column ")"`
fn two_columns(i: In<'_>) -> Res<'_, (Name, Name)> {
    brackets(i, |i| map((column, mark(","), column), |(a, _, b)| (a, b)).parse(i))
}

/// `'NEAR' source 'WITHIN' sum`
fn near(i: In<'_>) -> Res<'_, (Box<Source>, Expr)> {
    let parts = (kw("NEAR"), source, kw("WITHIN"), sum);
    map(parts, |(_, source, _, within)| (Box::new(source), within)).parse(i)
}

/// `refresh ::= 'REFRESH' 'FULL'? ident?`
pub(crate) fn refresh(i: In<'_>) -> Res<'_, StatementKind> {
    let (rest, _) = kw("REFRESH")(i)?;
    no_option_comment(i, rest);
    let (i, (full, name)) = pair(opt(kw("FULL")), opt(ident)).parse(rest)?;
    if full.is_some() || name.is_some() {
        no_option_comment(rest, i);
    }
    Ok((i, StatementKind::Refresh { full: full.is_some(), name }))
}

/// `fetch ::= 'FETCH' fetch_kind? ident 'FROM' text fetch_opt*`
pub(crate) fn fetch(i: In<'_>) -> Res<'_, StatementKind> {
    let (rest, _) = kw("FETCH")(i)?;
    no_option_comment(i, rest);
    let (i, kind) = opt(fetch_kind).parse(rest)?;
    let (i, (name, _, from)) = (ident, kw("FROM"), text).parse(i)?;
    let (i, options) = options(i, fetch_opt)?;
    Ok((i, StatementKind::Fetch(Box::new(Fetch { kind, name, from, options }))))
}

/// `fetch_kind ::= 'CATALOG' | 'WAVEFORMS' | 'EVENTS' | 'STATIONS' | 'FILES'`
fn fetch_kind(i: In<'_>) -> Res<'_, FetchKind> {
    alt((
        map(kw("CATALOG"), |_| FetchKind::Catalog),
        map(kw("WAVEFORMS"), |_| FetchKind::Waveforms),
        map(kw("EVENTS"), |_| FetchKind::Events),
        map(kw("STATIONS"), |_| FetchKind::Stations),
        map(kw("FILES"), |_| FetchKind::Files),
    ))
    .parse(i)
}

/// `fetch_opt`
fn fetch_opt(i: In<'_>) -> Res<'_, FetchOption> {
    use FetchOption::*;
    alt((
        map(preceded(kw("QUERY"), string), |(text, span)| Query(text, span)),
        map(preceded(kw("CODES"), codes), Codes),
        map(during, During),
        map(near, |(source, within)| Near(source, within)),
        tiles,
        map(preceded(kw("PARALLEL"), figure), Parallel),
        map(preceded(kw("RATE"), sum), Rate),
        map(preceded(kw("RETRY"), figure), Retry),
        map(preceded(kw("TIMEOUT"), sum), Timeout),
        map(kw("REPLACE"), Replace),
    ))
    .parse(i)
}

/// `'TILES' 'ORDER' count ( 'ON' ( two_columns | column 'DIV' count ) )?`
fn tiles(i: In<'_>) -> Res<'_, FetchOption> {
    let (i, (_, _, order)) = (kw("TILES"), kw("ORDER"), figure).parse(i)?;
    let on = alt((
        map(two_columns, |(lon, lat)| TilesOn::Position(lon, lat)),
        map((column, kw("DIV"), figure), |(column, _, n)| TilesOn::Index(column, n)),
    ));
    let (i, on) = opt(preceded(kw("ON"), on)).parse(i)?;
    Ok((i, FetchOption::Tiles(order, on)))
}

/// `copy ::= 'COPY' query 'TO' text copy_opt*`
pub(crate) fn copy(i: In<'_>) -> Res<'_, StatementKind> {
    let (i, (_, query, _, to)) = (kw("COPY"), query, kw("TO"), text).parse(i)?;
    let (i, options) = options(i, copy_opt)?;
    Ok((i, StatementKind::Copy(Box::new(Copy { query: stripped(query), to, options }))))
}

fn stripped(query: Query) -> Query {
    *strip(Box::new(query))
}

/// `copy_opt`
fn copy_opt(i: In<'_>) -> Res<'_, CopyOption> {
    use CopyOption::*;
    alt((
        map(preceded(kw("FORMAT"), ident), Format),
        map(kw("REPLACE"), Replace),
        map(kw("APPEND"), Append),
        map(preceded(kw("COMPRESS"), ident), Compress),
        map(preceded(kw("WEIGHT"), ident), Weight),
        map(preceded(kw("SIGN"), figure), Sign),
        map(preceded(kw("STATION"), ident), Station),
    ))
    .parse(i)
}

/// `plot ::= 'PLOT' plot_kind? query ( 'TO' text 'REPLACE'? )?`
pub(crate) fn plot(i: In<'_>) -> Res<'_, StatementKind> {
    let to = opt((preceded(kw("TO"), text), opt(kw("REPLACE"))));
    let (i, (_, kind, query, to)) = (kw("PLOT"), opt(plot_kind), query, to).parse(i)?;
    let (to, replace) = to.map_or((None, false), |(to, replace)| (Some(to), replace.is_some()));
    Ok((i, StatementKind::Plot(Box::new(Plot { kind, query: stripped(query), to, replace }))))
}

/// `plot_kind ::= 'MAP' | 'TIMELINE' | 'LIGHTCURVE' | 'WIGGLES' | 'HISTOGRAM'`
fn plot_kind(i: In<'_>) -> Res<'_, Ident> {
    let named =
        |word: &'static str| map(kw(word), move |span| Ident { text: word.to_owned(), quoted: false, span });
    alt((named("MAP"), named("TIMELINE"), named("LIGHTCURVE"), named("WIGGLES"), named("HISTOGRAM"))).parse(i)
}

/// `REFRESH --full` is a REFRESH and a comment: refused between `from` and `to`, and what to write is named.
fn no_option_comment(from: In<'_>, to: In<'_>) {
    let from_offset = from.location_offset();
    let (token_end, next) = (to.extra.end, to.location_offset());
    let Some(skipped) = from.fragment().get(token_end - from_offset..next - from_offset) else { return };
    let Some(at) = skipped.find("--") else { return };
    let word: String = skipped
        .chars()
        .skip(skipped.get(..at).map_or(0, |s| s.chars().count()))
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect();
    if word.len() > 2 && word.as_bytes().get(2).is_some_and(u8::is_ascii_alphabetic) {
        let place = crate::error::Span::new(token_end + at, token_end + at + word.len());
        refuse(from, diagnostic::option_comment(&word, place));
    }
}
