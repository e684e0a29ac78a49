//! How a mistake is told: near names, and the drawing of a diagnostic under its line.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

use crate::error::{Diagnostic, Error, Source, Span};

/// Columns a tab is drawn as.
const TAB_COLUMNS: usize = 4;
/// Longest name that near names are sought for, in bytes.
const NAME_BYTES: usize = 64;

/// The candidate that is written most like `name` in any case: at most one edit (insertion, deletion, change,
/// swap of neighbours) for each four letters, and at least one; the first of equals.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES {
        return None;
    }
    let lower = name.to_lowercase();
    let letters = lower.chars().count();
    let most = (letters / 4).max(1).min(letters.saturating_sub(1));
    let close = candidates
        .filter(|c| c.len() <= 2 * NAME_BYTES)
        .map(|c| (strsim::damerau_levenshtein(&lower, &c.to_lowercase()), c));
    close.filter(|(edits, _)| *edits <= most).min_by_key(|(edits, _)| *edits).map(|(_, c)| c)
}

/// `REFRESH --full`: what to write instead of an option of the command line.
pub(crate) fn option_comment(word: &str, span: Span) -> Diagnostic {
    let option = word.trim_start_matches('-').replace(['-', '_'], " ").to_ascii_uppercase();
    let help = match option.as_str() {
        "DRY RUN" => "write SHOW CHANGES".to_owned(),
        "FULL" => "write REFRESH FULL".to_owned(),
        _ => format!("options are words: {option}; a comment has a blank behind its `--`"),
    };
    Diagnostic::new(format!("`{word}` is a comment and has no effect"), span).help(help)
}

/// The diagnostic as text: headline, place, the line and the carets under it, with the help behind them.
pub fn render(d: &Diagnostic, color: bool) -> String {
    let paint = |code: &str, text: &str| {
        if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let mut out = format!("{} {}\n", paint("1;31", "error:"), escaped(&d.message));
    let help = d.help.as_deref().map(|h| paint("36", &format!("help: {}", escaped(h))));
    let (Some(source), Some(span)) = (&d.source, d.span) else {
        if let Some(help) = help {
            let _ = writeln!(out, "  {help}");
        }
        return out;
    };
    let place = Place::find(&source.text, span);
    let gutter = place.line_number.to_string();
    let blank = " ".repeat(gutter.len());
    let (before, marked, after) = place.parts;
    let (before, marked, after) = (drawn(before), drawn(marked), drawn(after));
    let position = format!("{}:{}:{}", escaped(&source.name), place.line_number, place.column);
    let bar = paint("34", "|");
    let _ = writeln!(out, "  {} {position}", paint("34", "-->"));
    let line = format!("{} {bar} {before}{marked}{after}", paint("34", &gutter));
    let _ = writeln!(out, "{}", line.trim_end());
    let carets = "^".repeat(width(&marked).max(1));
    let _ = write!(out, "{blank} {bar} {}{}", " ".repeat(width(&before)), paint("1;31", &carets));
    if let Some(help) = help {
        let _ = write!(out, " {help}");
    }
    out.push('\n');
    for place in &d.included {
        let _ = writeln!(out, "{blank} {} included at {}", paint("34", "="), escaped(place));
    }
    out
}

/// `file:line:col` of a span.
pub fn place(source: &Source, span: Span) -> String {
    let place = Place::find(&source.text, span);
    format!("{}:{}:{}", source.name, place.line_number, place.column)
}

impl Error {
    /// As the command line tells it: headline, and for a mistake in a query its place, drawn under the line, with
    /// what to write instead.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().expect("a directory");
    /// # let db = starquake::Database::create(directory.path().join("x.sqk"), Default::default()).expect("a database");
    /// let mistake = db.query("SELECT 3 arcsex", ()).expect_err("there is no such unit");
    /// assert!(matches!(mistake, starquake::Error::Query(_)));
    /// assert_eq!(mistake.help(), Some("did you mean `arcsec`? (SHOW UNITS lists them)"));
    /// assert!(mistake.rendered().contains("--> <query>:1:10"));
    /// ```
    pub fn rendered(&self) -> String {
        match self {
            Error::Query(diagnostic) => render(diagnostic, false),
            other => format!("error: {other}\n"),
        }
    }
}

/// Where a span stands: its first line, cut in three.
struct Place<'a> {
    line_number: usize,
    /// Characters from 1.
    column: usize,
    parts: (&'a str, &'a str, &'a str),
}

impl<'a> Place<'a> {
    /// A span behind the text, or within a character, is moved back to the character's start; one over several
    /// lines ends with the first.
    fn find(text: &'a str, span: Span) -> Place<'a> {
        let boundary =
            |at: usize| (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        let start = boundary(span.start);
        let (head, tail) = text.split_at(start);
        let line_start = head.rfind('\n').map_or(0, |n| n + 1);
        let line_end = start + tail.find('\n').unwrap_or(tail.len());
        let end = boundary(span.end).clamp(start, line_end);
        let slice = |from: usize, to: usize| text.get(from..to).unwrap_or("");
        let before = slice(line_start, start);
        Place {
            line_number: head.matches('\n').count() + 1,
            column: before.chars().count() + 1,
            parts: (before, slice(start, end), slice(end, line_end).trim_end_matches('\r')),
        }
    }
}

/// A part of a line as it is drawn: tabs as blanks, control characters escaped.
fn drawn(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\t' => out.push_str(&" ".repeat(TAB_COLUMNS)),
            c => push_escaped(&mut out, c),
        }
    }
    out
}

/// A text on one line, control characters escaped.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    text.chars().for_each(|c| push_escaped(&mut out, c));
    out
}

/// Control characters and those that turn the direction of writing are made visible.
fn push_escaped(out: &mut String, c: char) {
    let turns =
        matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}');
    if c.is_control() || turns { out.extend(c.escape_default()) } else { out.push(c) }
}

/// Columns of a terminal.
fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        let names = ["station", "starttime", "SELECT", "ra", "dec", "magnitude"];
        let cases = [
            ("statoin", Some("station")),
            ("SELCT", Some("SELECT")),
            ("RA", Some("ra")),
            ("dce", Some("dec")),
            ("r", None),
            ("x", None),
            ("magnitdue_", Some("magnitude")),
            ("longitude", None),
        ];
        for (name, wanted) in cases {
            assert_eq!(nearest(name, names.into_iter()), wanted, "{name}");
        }
        assert_eq!(nearest(&"a".repeat(1000), names.into_iter()), None);
    }

    /// Draws `text` with the bytes of `span` marked.
    fn drawn(text: &str, span: (usize, usize), color: bool) -> String {
        let source = Some(Source { name: "a.sq".to_owned(), text: text.to_owned() });
        let d = Diagnostic::new("what\nis wrong", Span::new(span.0, span.1)).help("this");
        render(&Diagnostic { source, ..d }, color)
    }

    #[test]
    fn carets_stand_under_their_span() {
        // text, span, place, line, carets
        let cases = [
            ("ab cd ef", (3, 5), "1:4", "1 | ab cd ef", "  |    ^^ help: this"),
            ("ab", (2, 2), "1:3", "1 | ab", "  |   ^ help: this"),
            ("ab\n", (3, 3), "2:1", "2 |", "  | ^ help: this"),
            ("", (0, 0), "1:1", "1 |", "  | ^ help: this"),
            ("a\n\tb cc\nd", (5, 7), "2:4", "2 |     b cc", "  |       ^^ help: this"),
            ("漢字 x", (7, 8), "1:4", "1 | 漢字 x", "  |      ^ help: this"),
            ("漢字 x", (0, 6), "1:1", "1 | 漢字 x", "  | ^^^^ help: this"),
            ("漢字", (1, 2), "1:1", "1 | 漢字", "  | ^ help: this"),
            ("e\u{301}x", (3, 4), "1:3", "1 | e\u{301}x", "  |  ^ help: this"),
            ("ab cd\nef", (3, 8), "1:4", "1 | ab cd", "  |    ^^ help: this"),
            ("ab\r\ncd", (0, 2), "1:1", "1 | ab", "  | ^^ help: this"),
            ("a\u{1b}[31mb", (6, 7), "1:7", "1 | a\\u{1b}[31mb", "  |            ^ help: this"),
            ("ab", (90, 99), "1:3", "1 | ab", "  |   ^ help: this"),
        ];
        for (text, span, place, line, carets) in cases {
            let wanted = format!("error: what\\nis wrong\n  --> a.sq:{place}\n{line}\n{carets}\n");
            assert_eq!(drawn(text, span, false), wanted, "{text:?}");
        }
        let tenth = drawn(&format!("{}ab", "\n".repeat(9)), (9, 10), false);
        assert!(tenth.ends_with("  --> a.sq:10:1\n10 | ab\n   | ^ help: this\n"), "{tenth}");
    }

    #[test]
    fn colours_change_nothing_else() {
        let plain = drawn("ab cd", (3, 5), false);
        let colored = drawn("ab cd", (3, 5), true);
        let mut stripped = String::new();
        for (n, part) in colored.split("\u{1b}[").enumerate() {
            stripped.push_str(if n == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        assert!(plain != colored && stripped == plain, "{stripped}");
    }

    #[test]
    fn the_way_through_includes() {
        let source = Some(Source { name: "c.sq".to_owned(), text: "\nab".to_owned() });
        let included = vec!["b.sq:1:9".to_owned(), "a\n.sq:2:1".to_owned()];
        let d = Diagnostic { source, included, ..Diagnostic::new("no", Span::new(1, 3)) };
        let wanted = "error: no\n  --> c.sq:2:1\n2 | ab\n  | ^^\n  = included at b.sq:1:9\n  = included at a\\n.sq:2:1\n";
        assert_eq!(render(&d, false), wanted);
        assert_eq!(place(d.source.as_ref().unwrap(), Span::new(2, 3)), "c.sq:2:2");
    }

    #[test]
    fn without_a_place() {
        let d = Diagnostic { span: None, ..Diagnostic::new("no", Span::default()).help("yes") };
        assert_eq!(render(&d, false), "error: no\n  help: yes\n");
    }
}
