//! Mistakes with quotes: text without them, names with them.

use super::{Kind, Mistake, named};
use crate::error::{Diagnostic, Span};
use crate::lang::lex::{Expected, is_reserved, word_at};

/// `'it's'`
pub(super) fn quote_in_text(m: &Mistake<'_>) -> Option<Diagnostic> {
    let last = m.back(1).filter(|t| t.kind == Kind::Text && t.span.end == m.found.span.start)?;
    if !matches!(m.found.kind, Kind::Word | Kind::Number) {
        return None;
    }
    let help = "a quote inside a string is written twice: 'it''s'";
    let message = format!("the string {} ends here, before `{}`", super::shorten(last.text), m.found.text);
    Some(m.at_found(message).help(help))
}

/// `GAPS OF IU.ANMO.00.BHZ`
pub(super) fn channel_pattern(m: &Mistake<'_>) -> Option<Diagnostic> {
    let behind_of = m.back_is(1, "OF") && (m.back_is(2, "GAPS") || m.back_is(2, "COVERAGE"));
    if !(behind_of || m.back_is(1, "CODES")) || !m.expects(Expected::Token("STRING")) {
        return None;
    }
    let message = "expected a quoted channel pattern";
    let rest = m.text.get(m.found.span.start..)?;
    if m.found.kind == Kind::QuotedName {
        return Some(m.at_found(message).help(format!("write '{}'", m.found.text.trim_matches('"'))));
    }
    let in_pattern = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '*' | '?' | '_' | '-');
    let pattern = rest.split(|c| !in_pattern(c)).next().unwrap_or("").trim_end_matches('.');
    if pattern.is_empty() || is_reserved(pattern) {
        return Some(
            m.at_found(format!("{message}, found {}", named(&m.found))).help("write '*.*.*.*' for all"),
        );
    }
    let start = m.found.span.start;
    let span = Span::new(start, start + pattern.len());
    Some(Diagnostic::new(message, span).help(format!("write '{pattern}'")))
}

/// `IMPORT EVENTS "catalog.xml"`, `TO out.csv`
pub(super) fn double_quotes(m: &Mistake<'_>) -> Option<Diagnostic> {
    if !m.expects(Expected::Token("STRING")) || m.expects(Expected::Token("IDENT")) {
        return None;
    }
    let message = format!("expected a string in single quotes, found {}", named(&m.found));
    let text = match m.found.kind {
        Kind::QuotedName => m.found.text.trim_matches('"'),
        Kind::Word if is_reserved(m.found.text) || super::is_keyword(m.found.text) => return None,
        Kind::Word | Kind::Mark if m.found.kind == Kind::Word || matches!(m.found.text, "/" | "." | "..") => {
            let rest = m.text.get(m.found.span.start..)?;
            rest.split([' ', '\n', '\t', ';', ',', ')']).next()?
        }
        _ => return None,
    };
    let mistake = m.at_found(message);
    if m.back_is(1, "ON") {
        return Some(m.at_found("expected the components as a string").help(format!("write '{text}'")));
    }
    Some(mistake.help(format!("text goes in single quotes: '{}'", super::shorten(text))))
}

/// `REFRESH 'sds'`, `LET $r = 3`
pub(super) fn name_in_quotes(m: &Mistake<'_>) -> Option<Diagnostic> {
    if m.value_is_expected() || !m.expects(Expected::Token("IDENT")) || m.expects(Expected::Token("STRING")) {
        return None;
    }
    let bare = m.found.text.trim_matches(['\'', '$']);
    let found = format!("expected a name, found {}", named(&m.found));
    match m.found.kind {
        Kind::Text if !bare.is_empty() && word_at(bare) == bare => {
            Some(m.at_found(found).help(format!("a name stands without quotes: {bare}")))
        }
        Kind::Variable if !m.expects(Expected::Token("VARIABLE")) => Some(
            m.at_found(found)
                .help(format!("write {bare}; the dollar is for the place where its value is used")),
        ),
        _ => None,
    }
}
