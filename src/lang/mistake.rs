//! From the farthest place that parsed, and what could have stood there, to a message and what to write instead.

use crate::error::{Diagnostic, Span};
use crate::lang::lex::{self, Expected, is_reserved};

mod absent;
mod characters;
mod clauses;
mod habits;
mod texts;
mod times;
mod wanted;

/// A token as a reader of messages sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Time,
    Text,
    QuotedName,
    Variable,
    Mark,
    End,
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
    span: Span,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }

    /// `;` or the end of the text.
    fn ends(&self) -> bool {
        self.kind == Kind::End || self.text == ";"
    }
}

/// What is known about a mistake.
struct Mistake<'a> {
    text: &'a str,
    expected: &'a [Expected],
    /// The tokens of the statement up to the mistake.
    before: Vec<Token<'a>>,
    /// What stands there instead.
    found: Token<'a>,
}

impl<'a> Mistake<'a> {
    fn expects(&self, what: Expected) -> bool {
        self.expected.contains(&what)
    }

    /// The token `n` before the mistake, 1 is the one just before.
    fn back(&self, n: usize) -> Option<&Token<'a>> {
        self.before.len().checked_sub(n).and_then(|at| self.before.get(at))
    }

    fn back_is(&self, n: usize, word: &str) -> bool {
        self.back(n).is_some_and(|t| t.is(word))
    }

    /// At most `count` tokens from the mistake on, up to the end of the statement.
    fn ahead(&self, count: usize) -> Vec<Token<'a>> {
        let mut all = Vec::new();
        let mut at = self.found.span.start;
        while all.len() < count {
            let token = token_at(self.text, at);
            if token.ends() {
                break;
            }
            at = token.span.end;
            all.push(token);
        }
        all
    }

    fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    fn value_is_expected(&self) -> bool {
        self.expects(Expected::Token("NUMBER")) && self.expects(Expected::Token("IDENT"))
    }

    fn at_found(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(message, self.found.span)
    }
}

/// The rules, the most telling first.
const RULES: &[fn(&Mistake<'_>) -> Option<Diagnostic>] = &[
    characters::unclosed,
    times::offset,
    times::short_clock,
    characters::odd,
    absent::sql_word,
    clauses::statement,
    clauses::operator,
    texts::quote_in_text,
    habits::habit,
    times::unit,
    texts::channel_pattern,
    texts::double_quotes,
    texts::name_in_quotes,
    clauses::components,
    times::range,
    clauses::count,
    clauses::radius,
    clauses::join,
    clauses::between,
    clauses::cast,
    clauses::condition,
    clauses::missing_semicolon,
    clauses::bracket,
    clauses::keyword,
    clauses::alias,
    clauses::one_missing,
];

/// The mistake at byte `at` of `text`.
pub(crate) fn explain(text: &str, at: usize, expected: &[Expected]) -> Diagnostic {
    let found = token_at(text, at);
    let mistake = Mistake { text, expected, before: statement_before(text, found.span.start), found };
    RULES.iter().find_map(|rule| rule(&mistake)).unwrap_or_else(|| clauses::anything(&mistake))
}

/// The last token of a text; empty when there is none, or a comment is open.
pub(crate) fn last_token(text: &str) -> &str {
    let (mut last, mut end) = ("", lex::prologue(text));
    loop {
        let token = token_at(text, end);
        if token.kind == Kind::End {
            return last;
        }
        if text.get(token.span.start..).is_some_and(|rest| rest.starts_with("/*")) {
            return "";
        }
        (last, end) = (token.text, token.span.end);
    }
}

/// From behind the `;` before byte `at` to behind the next one, or to the end.
pub(crate) fn statement_around(text: &str, at: usize) -> Span {
    let (mut start, mut end) = (lex::prologue(text), lex::prologue(text));
    loop {
        let token = token_at(text, end);
        end = token.span.end;
        if token.kind == Kind::End {
            return Span::new(start, text.len());
        }
        if token.text == ";" && end > at {
            return Span::new(start, end);
        }
        if token.text == ";" {
            start = end;
        }
    }
}

/// The tokens from the start of the statement to `at`.
fn statement_before(text: &str, at: usize) -> Vec<Token<'_>> {
    let mut all = Vec::new();
    let mut end = lex::prologue(text);
    loop {
        let token = token_at(text, end);
        if token.span.start >= at || token.kind == Kind::End {
            return all;
        }
        end = token.span.end;
        if token.text == ";" {
            all.clear();
        } else {
            all.push(token);
        }
    }
}

/// The token at or behind `at`; the rest of the text when a quote is not closed.
fn token_at(text: &str, at: usize) -> Token<'_> {
    let start = at + lex::blank(text.get(at..).unwrap_or(""));
    let rest = text.get(start..).unwrap_or("");
    let word = lex::word_at(rest).len();
    let marks = ["..", "||", "<=", ">=", "<>", "!="];
    let (kind, len) = match rest.chars().next() {
        None => (Kind::End, 0),
        Some(_) if lex::measure_time(rest).is_some() => (Kind::Time, lex::measure_time(rest).unwrap_or(1)),
        Some(_) if word > 0 => (Kind::Word, word),
        Some(_) if lex::measure_number(rest).is_some() => {
            (Kind::Number, lex::measure_number(rest).unwrap_or(1))
        }
        Some('\'') => (Kind::Text, lex::measure_quoted(rest, '\'').unwrap_or(rest.len())),
        Some('"') => (Kind::QuotedName, lex::measure_quoted(rest, '"').unwrap_or(rest.len())),
        Some('$') if !lex::word_at(rest.get(1..).unwrap_or("")).is_empty() => {
            (Kind::Variable, 1 + lex::word_at(rest.get(1..).unwrap_or("")).len())
        }
        Some(c) => (Kind::Mark, if marks.iter().any(|m| rest.starts_with(m)) { 2 } else { c.len_utf8() }),
    };
    Token { kind, text: rest.get(..len).unwrap_or(""), span: Span::new(start, start + len) }
}

/// A token as messages name it.
fn named(token: &Token<'_>) -> String {
    let short = shorten(token.text);
    match token.kind {
        _ if token.ends() => "the end of the statement".to_owned(),
        Kind::Word if is_reserved(token.text) || is_keyword(token.text) => {
            format!("`{}`", short.to_ascii_uppercase())
        }
        Kind::Word | Kind::QuotedName => format!("the name `{short}`"),
        Kind::Number => format!("the number {short}"),
        Kind::Time => format!("the time {short}"),
        Kind::Text => format!("the text {short}"),
        _ => format!("`{short}`"),
    }
}

/// A keyword that may be a name, in capitals as people write keywords.
fn is_keyword(word: &str) -> bool {
    lex::KEYWORDS.contains(&word)
}

/// At most 40 characters, control characters made visible.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut short: String = text.chars().take(SHOWN).flat_map(visible).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push_str("...");
    }
    short
}

fn visible(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests {
    use crate::lang::diagnostic::render;
    use crate::lang::ebnf_tests::{Random, corpus, mutant};
    use crate::lang::parse::{expected, script};

    /// Rows of `stage, statement, caret_at, message, help`; the caret stands at the last place where `caret_at` does,
    /// `<end>` behind the text.
    fn check(table: &str) {
        let mut wrong = String::new();
        for row in table.lines().skip(1) {
            let cells: Vec<&str> = row.split('\t').collect();
            let [stage, statement, caret_at, message, help] = cells[..] else { panic!("{row}") };
            if stage != "S" {
                script("x", statement).unwrap_or_else(|d| panic!("{statement}: {}", d.message));
                continue;
            }
            let Err(d) = script("x", statement) else { panic!("accepted: {statement}") };
            let at = d.span.unwrap().start;
            let caret = if caret_at == "<end>" {
                at == statement.len()
            } else {
                statement[at..].starts_with(caret_at)
            };
            let found = (d.message.as_str(), d.help.as_deref().unwrap_or("-"));
            if !caret || !d.is_syntax || found != (message, help) {
                wrong.push_str(&format!("S\t{statement}\t{}\t{}\t{}\n", &statement[at..], found.0, found.1));
            }
        }
        assert!(wrong.is_empty(), "found instead:\n{wrong}");
    }

    #[test]
    fn the_design_s_mistakes_are_told_as_designed() {
        check(include_str!("../../tests/data/wrong.tsv"));
    }

    #[test]
    fn more_mistakes() {
        check(include_str!("../../tests/data/wrong_syntax.tsv"));
    }

    /// Whatever is written, there is an answer with a place in the text, and it can be drawn.
    #[test]
    fn mutants_are_drawn() {
        let corpus = corpus();
        let mut random = Random(11);
        let odd =
            ["\u{a0}", "\u{1b}", "\t", "\n", "漢", "\u{301}", "\u{202e}", "“", "''", "\"", "$", "\\", "\0"];
        for _ in 0..10_000 {
            let mut text = mutant(&corpus, &mut random);
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let at = places.get(random.below(places.len())).copied().unwrap_or(0);
            text.insert_str(at, odd[random.below(odd.len())]);
            let _ = expected(&text, random.below(text.len() + 1));
            let Err(d) = script("x", &text) else { continue };
            let span = d.span.unwrap();
            assert!(span.start <= span.end && span.end <= text.len() + 1, "{span:?} {text}");
            assert!(text.is_char_boundary(span.start) && !d.message.is_empty(), "{text}");
            let drawn = render(&d, false);
            assert_eq!(drawn.lines().count(), 4, "{drawn}");
        }
    }

    #[test]
    fn drawn_as_designed() {
        let text = "SELECT 1;\n SELECT * FROM gaia WHERE parallax > 10 arcsecs\n";
        let drawn = render(&script("golden.sq", text).unwrap_err(), false);
        let wanted = "error: unknown unit `arcsecs`\n  --> golden.sq:2:41\n2 |  SELECT * FROM gaia WHERE parallax > 10 arcsecs\n  |                                         ^^^^^^^ help: did you mean `arcsec`? (SHOW UNITS lists them)\n";
        assert_eq!(drawn, wanted);
    }
}
