//! Patterns of paths: literal text, `{fields}`, `*` and `?`. A pattern with a `/` is compared with the whole path below
//! the root, one without with the file's name alone.

use std::fmt;

/// Fields of a pattern: name, short forms, what may stand there.
pub const FIELDS: &[(&str, &[&str], Kind)] = &[
    ("network", &["net"], Kind::Code),
    ("station", &["sta"], Kind::Code),
    ("location", &["loc"], Kind::Code),
    ("channel", &["cha"], Kind::Code),
    ("type", &[], Kind::Code),
    ("year", &[], Kind::Digits(4)),
    ("doy", &["julday"], Kind::Digits(3)),
    ("month", &[], Kind::Digits(2)),
    ("day", &[], Kind::Digits(2)),
    ("hour", &[], Kind::Digits(2)),
    ("minute", &[], Kind::Digits(2)),
    ("second", &[], Kind::Digits(2)),
    ("start", &["starttime"], Kind::Time),
    ("end", &["endtime"], Kind::Time),
];

/// Longest pattern: matching goes one level deeper for each of its characters.
const PATTERN_BYTES: usize = 1000;

/// What may stand for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Letters, digits, `-` and `_`, at most 8; a blank one is nothing, `--` or `__`.
    Code,
    /// So many digits.
    Digits(usize),
    /// Digits and the characters of a time.
    Time,
}

impl Kind {
    fn takes(self, byte: u8) -> bool {
        match self {
            Kind::Code => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Kind::Digits(_) => byte.is_ascii_digit(),
            Kind::Time => {
                byte.is_ascii_digit() || matches!(byte, b'T' | b't' | b'Z' | b'z' | b':' | b'.' | b'-')
            }
        }
    }

    fn lengths(self) -> (usize, usize) {
        match self {
            Kind::Code => (0, 8),
            Kind::Digits(count) => (count, count),
            Kind::Time => (4, 32),
        }
    }
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `?`: one character but `/`.
    One,
    /// `*`: any but `/`.
    Run,
    /// Index into [`FIELDS`], and what may stand there.
    Field(usize, Kind),
}

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
    is_whole_path: bool,
}

/// The texts of the fields.
pub(super) struct Captured<'a>([Option<&'a str>; FIELDS.len()]);

impl<'a> Captured<'a> {
    /// The text of a field, `None` where the pattern does not have it.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        FIELDS.iter().position(|f| f.0 == name).and_then(|at| self.0.get(at).copied().flatten())
    }
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        if text.len() > PATTERN_BYTES {
            return Err(PatternError {
                reason: format!("a pattern of {} bytes", text.len()),
                help: format!("at most {PATTERN_BYTES}"),
            });
        }
        let mut tokens = vec![];
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            match first {
                '{' => {
                    let (field, after) =
                        rest.get(1..).and_then(|r| r.split_once('}')).ok_or_else(|| PatternError {
                            reason: format!("the field `{rest}` of the pattern is not closed"),
                            help: "write {station}".to_owned(),
                        })?;
                    let (index, kind) = field_of(field)?;
                    tokens.push(Token::Field(index, kind));
                    rest = after;
                    continue;
                }
                '}' => {
                    return Err(PatternError {
                        reason: "`}` without `{` in the pattern".to_owned(),
                        help: "write {station}".to_owned(),
                    });
                }
                '*' => tokens.push(Token::Run),
                '?' => tokens.push(Token::One),
                other => tokens.extend(other.to_string().bytes().map(Token::Byte)),
            }
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
        if !tokens.iter().any(|t| matches!(t, Token::Field(..))) {
            let names: Vec<&str> = super::LAYOUTS.iter().map(|l| l.0).collect();
            return Err(PatternError {
                reason: format!("`{text}` is neither a layout nor a pattern with fields"),
                help: format!(
                    "{}, or a pattern like '{{network}}.{{station}}.*.{{year}}.{{doy}}'",
                    names.join(", ")
                ),
            });
        }
        Ok(Pattern { tokens, is_whole_path: text.contains('/') })
    }

    /// The texts of the fields where the path matches; a field that stands twice must hold the same text.
    pub fn captures<'a>(&self, path: &'a str) -> Option<Captured<'a>> {
        let text = if self.is_whole_path { path } else { path.rsplit('/').next().unwrap_or(path) };
        let mut captured = Captured([None; FIELDS.len()]);
        // Each step tries at most one path: the bound keeps patterns of many `*` linear in practice and finite always.
        let mut steps = 64 * (text.len() + self.tokens.len());
        matches(&self.tokens, text, &mut captured, &mut steps).then_some(captured)
    }
}

fn field_of(name: &str) -> Result<(usize, Kind), PatternError> {
    let bare = name.trim().to_ascii_lowercase();
    let mut fields = FIELDS.iter().enumerate();
    let found = fields.find(|(_, (full, short, _))| *full == bare || short.contains(&bare.as_str()));
    found.map(|(index, field)| (index, field.2)).ok_or_else(|| {
        let names: Vec<&str> = FIELDS.iter().map(|f| f.0).collect();
        PatternError {
            reason: format!("unknown field `{{{name}}}`"),
            help: format!("fields: {}", names.join(" ")),
        }
    })
}

fn matches<'a>(tokens: &[Token], text: &'a str, captured: &mut Captured<'a>, steps: &mut usize) -> bool {
    let Some((token, rest)) = tokens.split_first() else { return text.is_empty() };
    if *steps == 0 {
        return false;
    }
    *steps -= 1;
    let bytes = text.as_bytes();
    match token {
        Token::Byte(byte) => {
            bytes.first() == Some(byte) && text.get(1..).is_some_and(|t| matches(rest, t, captured, steps))
        }
        Token::One => {
            let first = text.chars().next().filter(|c| *c != '/');
            let after = first.and_then(|c| text.get(c.len_utf8()..));
            after.is_some_and(|t| matches(rest, t, captured, steps))
        }
        Token::Run => {
            let most = bytes.iter().position(|b| *b == b'/').unwrap_or(bytes.len());
            let mut ends = (0..=most).filter(|at| text.is_char_boundary(*at));
            ends.any(|at| text.get(at..).is_some_and(|t| matches(rest, t, captured, steps)))
        }
        Token::Field(index, kind) => {
            let (least, most) = kind.lengths();
            let held = bytes.iter().take(most).take_while(|b| kind.takes(**b)).count();
            let before = captured.0.get(*index).copied().flatten();
            let set = |captured: &mut Captured<'a>, value| captured.0.get_mut(*index).map(|c| *c = value);
            // The longest that fits first; a blank code only where nothing else does.
            for length in (least..=held).rev() {
                let (Some(value), Some(after)) = (text.get(..length), text.get(length..)) else { continue };
                if before.is_some_and(|known| known != value) {
                    continue;
                }
                set(captured, Some(value));
                if matches(rest, after, captured, steps) {
                    return true;
                }
                set(captured, before);
            }
            false
        }
    }
}
