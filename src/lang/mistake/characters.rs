//! Characters that belong to no token: quotes without their partner, and what editors and web pages put in.

use super::{Kind, Mistake};
use crate::error::{Diagnostic, Span};
use crate::lang::lex;

/// `'abc`, `"abc`, `/* abc`
pub(super) fn unclosed(m: &Mistake<'_>) -> Option<Diagnostic> {
    let rest = m.text.get(m.found.span.start..)?;
    let (message, help) = match m.found.kind {
        Kind::Text if lex::measure_quoted(rest, '\'').is_none() => {
            ("this string is not closed", "a quote inside a string is written twice: 'it''s'")
        }
        Kind::QuotedName if lex::measure_quoted(rest, '"').is_none() => (
            "this quoted name is not closed",
            "text goes in single quotes, names that need it in double quotes",
        ),
        Kind::QuotedName if m.found.text == "\"\"" => {
            ("a quoted name cannot be empty", "an empty text is written ''")
        }
        Kind::Mark if rest.starts_with("/*") => ("this comment is not closed", "end it with */"),
        _ => return None,
    };
    let len = if rest.starts_with("/*") || m.found.text == "\"\"" { 2 } else { 1 };
    let start = m.found.span.start;
    Some(Diagnostic::new(message, Span::new(start, start + len)).help(help))
}

/// A character that no token starts with.
pub(super) fn odd(m: &Mistake<'_>) -> Option<Diagnostic> {
    if m.found.kind != Kind::Mark {
        return None;
    }
    let c = m.found.text.chars().next().filter(|c| c.len_utf8() == m.found.text.len())?;
    let code = format!("U+{:04X}", u32::from(c));
    let (message, help) = if c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{FEFF}')
    {
        (format!("a control character ({code}) stands here"), "remove it".to_owned())
    } else if c.is_whitespace() {
        let name =
            if matches!(c, '\u{A0}' | '\u{202F}') { "a non-breaking space" } else { "an unusual space" };
        (format!("{name} ({code}) stands here"), "replace it by an ordinary blank".to_owned())
    } else if let Some(help) = typographic(c) {
        (format!("`{c}` ({code}) is not a character of the language"), help.to_owned())
    } else if c.is_alphabetic() {
        let head = m.back(1).filter(|t| t.span.end == m.found.span.start).map_or("", |t| t.text);
        let tail = m.text.get(m.found.span.start..)?.chars().take_while(|c| c.is_alphanumeric() || *c == '_');
        let word = super::shorten(&head.chars().chain(tail).collect::<String>());
        let help = format!("write the whole name in double quotes: \"{word}\"");
        (format!("`{c}` ({code}) cannot stand in a bare name"), help)
    } else {
        (format!("`{c}` has no meaning here"), ascii(c)?.to_owned())
    };
    Some(m.at_found(message).help(help))
}

fn typographic(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{2018}' | '\u{2019}' | '\u{201A}' | '\u{2032}' | '\u{B4}' => {
            "text goes in straight single quotes: 'abc'"
        }
        '\u{201C}' | '\u{201D}' | '\u{201E}' | '\u{AB}' | '\u{BB}' => {
            "text goes in straight single quotes: 'abc'; a quoted name in straight double quotes"
        }
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "the minus sign is -",
        '\u{2264}' => "write <=",
        '\u{2265}' => "write >=",
        '\u{2260}' => "write <>",
        '\u{D7}' | '\u{B7}' => "write *",
        '\u{2026}' => "write ..",
        '\u{B0}' => "write the unit deg",
        '\u{2033}' => "write the unit arcsec",
        '\u{B5}' | '\u{3BC}' => "micro is u: us",
        _ => return None,
    })
}

fn ascii(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "write AND",
        '|' => "write OR; two texts are joined by ||",
        '!' => "write NOT, or <> for unequal",
        '#' => "a comment starts with --",
        '`' => "a name that needs quotes stands in double quotes",
        '[' | ']' => "a list stands in round brackets: IN (1, 2, 3)",
        '{' | '}' => "brackets are round",
        '^' => "write POWER(a, b)",
        '?' | '@' | ':' => "a parameter is a $variable; a cast is CAST(x AS type)",
        '\\' => "commands of the prompt stand alone on their line",
        '~' => "patterns are tested with LIKE, ILIKE or MATCHES",
        '$' => "a variable is a dollar and a name: $radius",
        _ => return None,
    })
}
