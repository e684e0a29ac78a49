//! Mistakes in times, units and ranges.

use super::clauses::near_keyword;
use super::{Kind, Mistake};
use crate::error::Diagnostic;
use crate::lang::diagnostic::nearest;
use crate::lang::lex::{self, Expected, is_reserved};
use crate::model::time::Time;
use crate::model::units::{Dimension, UNITS, Unit};

/// `2024-01-01T10:00:00+02:00`: times are UTC.
pub(super) fn offset(m: &Mistake<'_>) -> Option<Diagnostic> {
    let (time, sign) = (m.back(3)?, m.back(2)?);
    if time.kind != Kind::Time || m.found.text != ":" || !time.text.contains('T') {
        return None;
    }
    let minutes = m.ahead(2).get(1).filter(|t| t.kind == Kind::Number)?.span;
    let refused = Time::parse(m.slice(time.span.to(minutes))).err()?;
    let message = format!("times are UTC, the offset `{}` cannot be written", m.slice(sign.span.to(minutes)));
    let mistake = Diagnostic::new(message, sign.span.to(minutes));
    Some(match refused.help {
        Some(help) => mistake.help(help),
        None => mistake,
    })
}

/// A word behind a number that is no unit.
pub(super) fn unit(m: &Mistake<'_>) -> Option<Diagnostic> {
    if let Some(rate) = unknown_rate(m) {
        return Some(rate);
    }
    if !m.expects(Expected::Token("UNIT")) || m.found.kind != Kind::Word || is_reserved(m.found.text) {
        return None;
    }
    let rate = m.ahead(3);
    let word = match rate.as_slice() {
        [base, slash, time] if slash.text == "/" && time.kind == Kind::Word => {
            m.slice(base.span.to(time.span))
        }
        _ => m.found.text,
    };
    let near = near_unit(word).or_else(|| near_unit(m.found.text));
    let keyword = near_keyword(m);
    let alias = m.expects(Expected::Word("AS"));
    let closer =
        near.as_ref().is_some_and(|n| keyword.is_none_or(|k| distance(n, word) <= distance(k, word)));
    let number = m.back(1).filter(|t| t.kind == Kind::Number && t.span.end == m.found.span.start);
    if let Some(number) = number.filter(|_| near.is_none()) {
        let span = number.span.to(m.found.span);
        let message =
            format!("`{}` is neither a number nor a number with a unit", super::shorten(m.slice(span)));
        return Some(Diagnostic::new(message, span).help("SHOW UNITS lists the units"));
    }
    if !closer && (keyword.is_some() || alias) {
        return None;
    }
    let mistake = m.at_found(format!("unknown unit `{}`", super::shorten(m.found.text)));
    Some(match near {
        Some(near) => mistake.help(format!("did you mean `{near}`? (SHOW UNITS lists them)")),
        None => mistake.help("SHOW UNITS lists them"),
    })
}

/// `UNITS (pmra mas/year)`: where no division can stand.
fn unknown_rate(m: &Mistake<'_>) -> Option<Diagnostic> {
    let base = m.back(1).filter(|t| t.kind == Kind::Word && t.span.end == m.found.span.start)?;
    let time = m.ahead(2).get(1).copied().filter(|t| t.kind == Kind::Word)?;
    if m.found.text != "/" || m.expects(Expected::Mark("*")) || Unit::find(base.text).is_none() {
        return None;
    }
    let span = base.span.to(time.span);
    let message = format!("unknown unit `{}`", super::shorten(m.slice(span)));
    Some(Diagnostic::new(message, span).help(format!("a rate counts over s, h, d or yr: {}/yr", base.text)))
}

fn distance(a: &str, b: &str) -> usize {
    strsim::damerau_levenshtein(&a.to_ascii_lowercase(), &b.to_ascii_lowercase())
}

/// The unit of the language that another spelling means, or that is written most like it.
fn near_unit(word: &str) -> Option<String> {
    if Unit::find(word).is_some() {
        return None;
    }
    let foreign = Unit::imported(word);
    let same = |u: &&(&str, Dimension, f64)| u.1 == foreign.dimension && u.2 == foreign.factor;
    if foreign.dimension != Dimension::Opaque
        && let Some((name, ..)) = UNITS.iter().find(same)
    {
        return Some((*name).to_owned());
    }
    nearest(word, UNITS.iter().map(|u| u.0)).map(str::to_owned)
}

/// `OVERLAPS a, b` and `DURING a TO b`
pub(super) fn range(m: &Mistake<'_>) -> Option<Diagnostic> {
    const TIMES: [&str; 4] = ["OVERLAPS", "DURING", "WINDOW", "SNR"];
    const NUMBERS: [&str; 2] = ["FILTER", "FREQUENCY"];
    if !(m.found.text == "," || m.found.is("TO") || m.found.is("AND")) || !m.expects(Expected::Mark("..")) {
        return None;
    }
    let at = m.before.iter().rposition(|t| t.kind == Kind::Word && Unit::find(t.text).is_none())?;
    let verb = m.before.get(at)?;
    let is_time = TIMES.iter().any(|w| verb.is(w)) || (verb.is("IN") && m.back(1)?.kind == Kind::Time);
    if !is_time && !NUMBERS.iter().any(|w| verb.is(w)) {
        return None;
    }
    let what = if is_time { "a time range" } else { "a range" };
    let first = m.before.get(at + 1)?.span.to(m.back(1)?.span);
    let ahead = m.ahead(4);
    let second: Vec<_> = ahead.iter().skip(1).take_while(|t| !is_reserved(t.text)).take(2).collect();
    let quantity = second.get(1).is_some_and(|t| Unit::find(t.text).is_some() || second[0].text == "-");
    let second = match second.as_slice() {
        [one, two] if quantity => m.slice(one.span.to(two.span)),
        [one, ..] => one.text,
        [] => "...",
    };
    let note = if is_time { " (the end is not included)" } else { "" };
    let message = format!("expected `..` between the two ends of {what}");
    Some(m.at_found(message).help(format!("{} .. {second}{note}", m.slice(first))))
}

/// `2024-01-01T10`
pub(super) fn short_clock(m: &Mistake<'_>) -> Option<Diagnostic> {
    let last = m.back(1).filter(|t| t.span.end == m.found.span.start && t.kind != Kind::Word)?;
    if m.found.kind != Kind::Word || !m.found.text.starts_with(['T', 't']) {
        return None;
    }
    let start = m
        .before
        .iter()
        .rposition(|t| t.kind == Kind::Time || (t.kind == Kind::Number && t.text.len() == 4))?;
    let date = m.slice(m.before.get(start)?.span.to(last.span));
    let is_date = lex::measure_time(date) == Some(date.len());
    let message = format!("`{}` is no time", super::shorten(&format!("{date}{}", m.found.text)));
    is_date.then(|| m.at_found(message).help(format!("hours and minutes are needed: {date}T10:00")))
}
