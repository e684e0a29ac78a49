//! Section 5 of the grammar: the verbs. Each is a table; its options stand in any order, each once.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{map, opt};
use nom::multi::separated_list1;
use nom::sequence::{pair, preceded};

use super::expr::{expr, span, sum};
use super::query::{bare_source, figure, source};
use super::{column, ident_list, options, options1};
use crate::lang::lex::{In, Res, brackets, deeper, ident, kw, mark, since, text};
use crate::lang::syntax::{
    CorrelateKind, CorrelateOption, Expr, Ident, Range, Source, SourceKind, Text, Variability,
    VariabilityKind, VariabilityOption, Verb,
};

/// `verb_source ::= coverage | gaps | pairs | correlate | variability`
pub(crate) fn verb_source(i: In<'_>) -> Res<'_, Source> {
    let (rest, verb) = alt((coverage, gaps, pairs, correlate, variability)).parse(i)?;
    let mut source = bare_source(SourceKind::Verb(Box::new(verb)));
    source.span = since(i.location_offset(), rest);
    Ok((rest, source))
}

/// `source` of the verb at `verb`, one level deeper: it may be a verb itself.
fn nested_source<'a>(verb: In<'a>) -> impl Fn(In<'a>) -> Res<'a, Source> {
    move |i| deeper(verb, || source(i))
}

/// `coverage ::= 'COVERAGE' 'OF' codes during? ( 'BY' sum )?`
fn coverage(i: In<'_>) -> Res<'_, Verb> {
    let by = opt(preceded(kw("BY"), sum));
    let (i, (_, _, codes, during, by)) = (kw("COVERAGE"), kw("OF"), codes, opt(during), by).parse(i)?;
    Ok((i, Verb::Coverage { codes, during, by }))
}

/// `gaps ::= 'GAPS' 'OF' codes during? ( 'LONGER' sum | 'TOLERANCE' sum | 'DRIFT' sum )*`
fn gaps(i: In<'_>) -> Res<'_, Verb> {
    let (i, (_, _, codes, during)) = (kw("GAPS"), kw("OF"), codes, opt(during)).parse(i)?;
    let option = |i| {
        alt((
            map(preceded(kw("LONGER"), sum), |d| (0, d)),
            map(preceded(kw("TOLERANCE"), sum), |d| (1, d)),
            map(preceded(kw("DRIFT"), sum), |d| (2, d)),
        ))
        .parse(i)
    };
    let (i, options) = options(i, option)?;
    let (mut longer, mut tolerance, mut drift) = (None, None, None);
    for (which, value) in options {
        *[&mut longer, &mut tolerance, &mut drift][which] = Some(value);
    }
    Ok((i, Verb::Gaps { codes, during, longer, tolerance, drift }))
}

/// `codes ::= STRING | VARIABLE`
pub(crate) fn codes(i: In<'_>) -> Res<'_, Text> {
    text(i)
}

/// `during ::= 'DURING' span`
pub(crate) fn during(i: In<'_>) -> Res<'_, Range> {
    preceded(kw("DURING"), span).parse(i)
}

/// `pairs ::= 'PAIRS' 'OF' source pair_opt*`
fn pairs(i: In<'_>) -> Res<'_, Verb> {
    let (i, (_, _, source)) = (kw("PAIRS"), kw("OF"), nested_source(i)).parse(i)?;
    let (i, options) = options(i, |i| placed(i, pair_opt))?;
    Ok((i, Verb::Pairs { source, options }))
}

/// `correlate ::= 'CORRELATE' source ( 'AGAINST' source )? cc_opt+`
fn correlate(i: In<'_>) -> Res<'_, Verb> {
    let (i, (_, source, against)) =
        (kw("CORRELATE"), nested_source(i), opt(preceded(kw("AGAINST"), nested_source(i)))).parse(i)?;
    let (i, options) = options1(i, |i| placed(i, cc_opt))?;
    Ok((i, Verb::Correlate { source, against, options }))
}

fn placed<'a>(i: In<'a>, option: fn(In<'a>) -> Res<'a, CorrelateKind>) -> Res<'a, CorrelateOption> {
    let (rest, kind) = option(i)?;
    Ok((rest, CorrelateOption { kind, span: since(i.location_offset(), rest) }))
}

/// `pair_opt`: which pairs of events are taken.
fn pair_opt(i: In<'_>) -> Res<'_, CorrelateKind> {
    use CorrelateKind::*;
    alt((
        map(preceded(kw("MAXSEP"), alt((map(kw("ALL"), |_| None), map(sum, Some)))), MaxSep),
        map(preceded(kw("MAXDIST"), sum), MaxDist),
        map(preceded(kw("MAXNGH"), figure), MaxNgh),
        map(preceded(kw("MINLNK"), figure), MinLnk),
        map(preceded(kw("MINOBS"), figure), MinObs),
        map(preceded(kw("MAXOBS"), figure), MaxObs),
        map(preceded(kw("MINWGHT"), figure), MinWght),
        map(preceded(kw("METHOD"), ident), Method),
    ))
    .parse(i)
}

/// `cc_opt`: how traces are cut, filtered and compared.
fn cc_opt(i: In<'_>) -> Res<'_, CorrelateKind> {
    use CorrelateKind::*;
    let min_cc = preceded(kw("MINCC"), pair(sum, opt(preceded(kw("FOR"), ident))));
    let measures = alt((
        map(preceded(kw("SNR"), span), Snr),
        map(preceded(kw("SHORTEN"), ident), Shorten),
        map(kw("CLOSURE"), |_| Closure),
        map(preceded(kw("CONTEXT"), sum), Context),
        map(preceded(kw("MAXLAG"), sum), MaxLag),
        map(min_cc, |(cc, phase)| MinCc(cc, phase)),
        map(preceded(kw("MINSNR"), figure), MinSnr),
        map(preceded(kw("RESAMPLE"), sum), Resample),
    ));
    let choices = alt((
        map(preceded(kw("TAPER"), figure), Taper),
        map(kw("ABS"), |_| Abs),
        map(preceded(kw("NORM"), alt((full, ident))), Norm),
        map(preceded(kw("PEAK"), ident), Peak),
        map(preceded(kw("COMBINE"), ident), Combine),
        map(preceded(kw("EQUIVALENT"), text), Equivalent),
        map(preceded(kw("COMPAT"), ident), Compat),
    ));
    alt((pair_opt, phase, filter, map(preceded(kw("INTO"), ident), Into), measures, choices)).parse(i)
}

/// `'PHASE' ident 'ON' text 'WINDOW' span ( 'LAG' sum )?`
fn phase(i: In<'_>) -> Res<'_, CorrelateKind> {
    let (i, (_, phase, _, on)) = (kw("PHASE"), ident, kw("ON"), text).parse(i)?;
    let (i, (_, window, lag)) = (kw("WINDOW"), span, opt(preceded(kw("LAG"), sum))).parse(i)?;
    Ok((i, CorrelateKind::Phase { phase, on, window, lag }))
}

/// `'FILTER' ( 'FOR' ident )? span ( 'ORDER' count )? ( 'CAUSAL' | 'ZEROPHASE' )?`
fn filter(i: In<'_>) -> Res<'_, CorrelateKind> {
    let (i, (_, phase, band)) = (kw("FILTER"), opt(preceded(kw("FOR"), ident)), span).parse(i)?;
    let (i, order) = opt(preceded(kw("ORDER"), figure)).parse(i)?;
    let (i, causal) = opt(alt((map(kw("CAUSAL"), |_| true), map(kw("ZEROPHASE"), |_| false)))).parse(i)?;
    Ok((i, CorrelateKind::Filter { phase, band, order, causal: causal.unwrap_or(false) }))
}

/// `variability ::= 'VARIABILITY' 'OF' source 'BY' column ( "," column )* 'TIME' column var_opt+`
fn variability(i: In<'_>) -> Res<'_, Verb> {
    let by = preceded(kw("BY"), separated_list1(mark(","), column));
    let time = preceded(kw("TIME"), column);
    let (i, (_, _, source, by, time)) = (kw("VARIABILITY"), kw("OF"), nested_source(i), by, time).parse(i)?;
    let option = |i| {
        let (rest, kind) = var_opt(i)?;
        Ok((rest, VariabilityOption { kind, span: since(i.location_offset(), rest) }))
    };
    let (i, options) = options1(i, option)?;
    Ok((i, Verb::Variability(Box::new(Variability { source, by, time, options }))))
}

/// `var_opt`: bands and statistics.
fn var_opt(i: In<'_>) -> Res<'_, VariabilityKind> {
    use VariabilityKind::*;
    alt((
        band,
        map(preceded(pair(kw("PAIR"), kw("WITHIN")), sum), PairWithin),
        map(preceded(kw("FREQUENCY"), span), Frequency),
        map(preceded(kw("MINEPOCHS"), figure), MinEpochs),
        map(preceded(kw("COMPAT"), ident), Compat),
        map(preceded(kw("STATS"), |i| brackets(i, ident_list)), Stats),
    ))
    .parse(i)
}

/// `'BAND' ident "(" column ( "," column )? ( 'WHEN' expr )? ")"`
fn band(i: In<'_>) -> Res<'_, VariabilityKind> {
    let (i, (_, name)) = (kw("BAND"), ident).parse(i)?;
    let when = |i| -> Res<'_, Option<Expr>> { opt(preceded(kw("WHEN"), expr)).parse(i) };
    brackets(i, |i| {
        let (i, (value, error, when)) = (column, opt(preceded(mark(","), column)), when).parse(i)?;
        Ok((i, VariabilityKind::Band { name, value, error, when }))
    })
}

/// FULL is reserved (for the joins that are absent) and still the name of a norm.
fn full(i: In<'_>) -> Res<'_, Ident> {
    map(kw("FULL"), |span| Ident { text: "full".to_owned(), quoted: false, span }).parse(i)
}
