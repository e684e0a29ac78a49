//! The words of a statement that is being typed: what colours and completion look at. Unlike the parser it goes on
//! behind a mistake.

use starquake::model::units::UNITS;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a bare name.
    Word,
    /// A number or a time.
    Number,
    /// `'..'`
    Text,
    /// `".."`
    Name,
    /// `$name`
    Variable,
    Comment,
    /// Anything else, one character or `..`.
    Mark,
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) start: usize,
    /// The text ends before the closing quote or the end of the comment.
    pub(super) is_open: bool,
}

impl Token<'_> {
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_mark(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }

    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// All tokens of a text; their texts and the blanks between them make up the whole of it.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|r| !r.is_empty()) {
        let blanks = rest.len() - rest.trim_start().len();
        if blanks > 0 {
            at += blanks;
            continue;
        }
        let (kind, length, is_open) = measure(rest);
        let length = length.clamp(1, rest.len());
        // Never within a character.
        let length = (length..=rest.len()).find(|l| rest.is_char_boundary(*l)).unwrap_or(rest.len());
        all.push(Token { kind, text: rest.get(..length).unwrap_or(rest), start: at, is_open });
        at += length;
    }
    all
}

/// Kind and length of the token at the start of a text that is not empty.
fn measure(rest: &str) -> (Kind, usize, bool) {
    let closed = |kind, length| (kind, length, false);
    let until = |kind, opening: usize, end: &str| match rest.get(opening..).and_then(|r| r.find(end)) {
        Some(length) => (kind, opening + length + end.len(), false),
        None => (kind, rest.len(), true),
    };
    let word =
        |text: &str| text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    match rest.as_bytes() {
        [b'-', b'-', ..] => closed(Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => until(Kind::Comment, 2, "*/"),
        [b'\'', ..] => quoted(Kind::Text, rest, '\''),
        [b'"', ..] => quoted(Kind::Name, rest, '"'),
        [b'$', ..] => closed(Kind::Variable, 1 + word(rest.get(1..).unwrap_or(""))),
        [b'.', b'.', ..] => closed(Kind::Mark, 2),
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => closed(Kind::Number, number(rest)),
        [b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => closed(Kind::Word, word(rest)),
        _ => closed(Kind::Mark, 1),
    }
}

/// A text in quotes, which stand in it twice.
fn quoted(kind: Kind, rest: &str, quote: char) -> (Kind, usize, bool) {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote && chars.next_if(|next| next.1 == quote).is_none() {
            return (kind, at + 1, false);
        }
    }
    (kind, rest.len(), true)
}

/// Length of a number or a time: `1`, `2.5e-3`, `2024-02-29T10:00:00.5Z`; of `1..20` only the `1`.
fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    if digits(0) == 4 && bytes.get(4) == Some(&b'-') && matches!(digits(5), 2 | 3) {
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'.');
        let length = bytes.iter().take_while(|b| is_part(b)).count();
        return rest.find("..").map_or(length, |range| length.min(range));
    }
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') && bytes.get(length + 1) != Some(&b'.') {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let power = digits(length + 1 + sign);
        length += if power > 0 { 1 + sign + power } else { 0 };
    }
    length
}

/// Length of the unit at the start of a text, the longest: `mas/yr` before `mas`.
pub(super) fn unit(rest: &str) -> Option<usize> {
    let length = UNITS.iter().filter_map(|u| is_word(rest, u.0).then_some(u.0.len())).max()?;
    let time = rest.get(length..).and_then(|r| r.strip_prefix('/'));
    let over = time.and_then(|time| ["s", "h", "d", "yr"].into_iter().find(|t| is_word(time, t)));
    Some(length + over.map_or(0, |t| 1 + t.len()))
}

/// Does the text begin with `word`, and the word end there?
fn is_word(text: &str, word: &str) -> bool {
    let behind = text.strip_prefix(word).map(|rest| rest.chars().next());
    behind.is_some_and(|c| c.is_none_or(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '('))))
}

/// Is the input ready to be run: a command, nothing at all, or statements up to a `;`?
pub(super) fn is_complete(text: &str) -> bool {
    let tokens = tokens(text);
    match tokens.iter().rfind(|t| t.kind != Kind::Comment) {
        Some(last) => last.is_mark(";") && !tokens.iter().any(|t| t.is_open),
        None => tokens.iter().all(|t| !t.is_open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_into_tokens() {
        use Kind::*;
        let cases: &[(&str, &[(Kind, &str)])] = &[
            ("SELECT a_1 FROM $v", &[(Word, "SELECT"), (Word, "a_1"), (Word, "FROM"), (Variable, "$v")]),
            ("1..20 Hz", &[(Number, "1"), (Mark, ".."), (Number, "20"), (Word, "Hz")]),
            ("3.5e-2arcsec", &[(Number, "3.5e-2"), (Word, "arcsec")]),
            ("2024-02-29T10:00:00.5Z", &[(Number, "2024-02-29T10:00:00.5Z")]),
            ("2024-060..x", &[(Number, "2024-060"), (Mark, ".."), (Word, "x")]),
            ("'it''s' \"a\"\"b\"", &[(Text, "'it''s'"), (Name, "\"a\"\"b\"")]),
            ("a-- b\nc", &[(Word, "a"), (Comment, "-- b"), (Word, "c")]),
            ("a/* b */c", &[(Word, "a"), (Comment, "/* b */"), (Word, "c")]),
            ("星(", &[(Mark, "星"), (Mark, "(")]),
            ("x.y", &[(Word, "x"), (Mark, "."), (Word, "y")]),
            ("1e", &[(Number, "1"), (Word, "e")]),
        ];
        for (text, want) in cases {
            let found: Vec<(Kind, &str)> = tokens(text).iter().map(|t| (t.kind, t.text)).collect();
            assert_eq!(&found, want, "{text}");
        }
        for open in ["'a", "\"a''", "/* a", "'it''"] {
            assert!(tokens(open).iter().any(|t| t.is_open), "{open}");
        }
    }

    #[test]
    fn units_are_whole_words() {
        let cases = [
            ("mas/yr", Some(6)),
            ("mas", Some(3)),
            ("mast", None),
            ("m(", None),
            ("m)", Some(1)),
            ("x", None),
        ];
        for (text, want) in cases {
            assert_eq!(unit(text), want, "{text}");
        }
    }

    #[test]
    fn a_statement_ends_with_a_semicolon() {
        let cases = [
            ("SELECT 1;", true),
            ("SELECT 1", false),
            ("SELECT ';", false),
            ("SELECT ';';", true),
            ("SELECT 'it''s';", true),
            ("SELECT 1; -- done", true),
            ("SELECT 1 -- ;", false),
            ("SELECT 1 /* ; */", false),
            ("SELECT 1 /* ; */ ;", true),
            ("SELECT 1; /* open", false),
            ("SELECT \"a;b\"", false),
            ("SELECT 1; SELECT 2", false),
            ("/*/ ;", false),
            ("-- only a comment", true),
            ("", true),
            ("  \n", true),
        ];
        for (text, want) in cases {
            assert_eq!(is_complete(text), want, "{text}");
        }
    }
}
