//! Texts: patterns, concatenation, and how times and floats are printed and read.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, StringArray, TimestampNanosecondArray};
use arrow_schema::DataType;

use super::cast;
use crate::error::Result;
use crate::model::station::{ChannelCode, Pattern};
use crate::model::table::Type;
use crate::model::time::Time;

/// Which pattern language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextMatchKind {
    /// `%` any run, `_` one character.
    Like,
    /// LIKE in any case.
    ILike,
    /// FDSN wildcards over one text.
    Part,
    /// FDSN wildcards over a code of four parts.
    Code,
}

/// A constant pattern, ready to use.
#[derive(Clone, Debug)]
pub struct TextMatch {
    kind: TextMatchKind,
    like: Vec<char>,
    wildcard: Option<Pattern>,
}

impl TextMatch {
    /// LIKE or ILIKE.
    pub fn like(pattern: &str, any_case: bool) -> TextMatch {
        let kind = if any_case { TextMatchKind::ILike } else { TextMatchKind::Like };
        let text = if any_case { pattern.to_lowercase() } else { pattern.to_owned() };
        TextMatch { kind, like: text.chars().collect(), wildcard: None }
    }

    /// MATCHES.
    pub fn wildcard(pattern: Pattern, is_code: bool) -> TextMatch {
        let kind = if is_code { TextMatchKind::Code } else { TextMatchKind::Part };
        TextMatch { kind, like: vec![], wildcard: Some(pattern) }
    }

    /// The FDSN pattern, when it is one over codes: an index can use it.
    pub fn code_pattern(&self) -> Option<&Pattern> {
        self.wildcard.as_ref().filter(|_| self.kind == TextMatchKind::Code)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self.kind {
            TextMatchKind::Like => like(&self.like, &text.chars().collect::<Vec<_>>()),
            TextMatchKind::ILike => like(&self.like, &text.to_lowercase().chars().collect::<Vec<_>>()),
            TextMatchKind::Part => self.wildcard.as_ref().is_some_and(|p| p.matches(text)),
            TextMatchKind::Code => {
                let mut parts = text.splitn(4, '.');
                let mut next = || parts.next().unwrap_or("").to_owned();
                let code =
                    ChannelCode { network: next(), station: next(), location: next(), channel: next() };
                self.wildcard.as_ref().is_some_and(|p| p.matches_code(&code))
            }
        }
    }

    pub(super) fn eval(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let texts = cast(values, Type::Text)?;
        let result: BooleanArray =
            texts.as_string::<i32>().iter().map(|v| v.map(|v| self.matches(v))).collect();
        Ok(Arc::new(result))
    }
}

/// SQL LIKE without recursion; one backtrack point is enough.
fn like(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut run: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                run = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '_' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match run {
                Some((at, from)) => {
                    run = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '%')
}

pub(super) fn concat(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let (l, r) = (cast(left, Type::Text)?, cast(right, Type::Text)?);
    let pairs = l.as_string::<i32>().iter().zip(r.as_string::<i32>().iter());
    Ok(Arc::new(pairs.map(|(a, b)| Some(format!("{}{}", a?, b?))).collect::<StringArray>()))
}

pub(super) fn parse_times(texts: &ArrayRef) -> ArrayRef {
    let values = texts.as_string::<i32>().iter().map(|v| Time::parse(v?).ok().map(|t| t.0));
    Arc::new(values.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
}

pub(super) fn print_times(times: &ArrayRef) -> ArrayRef {
    let values = times.as_primitive::<TimestampNanosecondType>().iter();
    Arc::new(values.map(|v| v.map(|ns| Time(ns).to_string())).collect::<StringArray>())
}

/// A duration in seconds, with the digits of its ns.
pub(super) fn print_seconds(ns: i64) -> String {
    let (sign, ns) = (if ns < 0 { "-" } else { "" }, ns.unsigned_abs());
    let text = format!("{sign}{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The shortest text that reads back to the same bits.
pub(super) fn print_floats(values: &ArrayRef) -> ArrayRef {
    let texts: StringArray = match values.data_type() {
        DataType::Float32 => {
            values.as_primitive::<Float32Type>().iter().map(|v| v.map(|v| v.to_string())).collect()
        }
        _ => match super::floats(values) {
            Ok(values) => values.iter().map(|v| v.map(|v| v.to_string())).collect(),
            Err(_) => StringArray::new_null(values.len()),
        },
    };
    Arc::new(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_patterns() {
        let cases = [
            ("IU%", "IU.ANMO", true),
            ("%MO%", "IU.ANMO.00", true),
            ("_U", "IU", true),
            ("_U", "IIU", false),
            ("", "", true),
            ("%", "", true),
            ("a%b%c", "a1b2b3c", true),
        ];
        for (pattern, text, want) in cases {
            assert_eq!(TextMatch::like(pattern, false).matches(text), want, "{pattern} {text}");
        }
        assert!(TextMatch::like("iu%", true).matches("IU.ANMO"));
    }
}
