//! The lexical patterns of the grammar: how long is the token at the start of a text.

use crate::model::units::Unit;

/// Bytes of white space and closed comments at the start of `text`.
pub(crate) fn blank(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or("");
        let white =
            rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}').len();
        let rest = rest.get(white..).unwrap_or("");
        let comment = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(body) = rest.strip_prefix("/*") {
            body.find("*/").map_or(0, |n| n + 4)
        } else {
            0
        };
        if white + comment == 0 {
            return at;
        }
        at += white + comment;
    }
}

/// The word at the start of `text`: `[A-Za-z_][A-Za-z0-9_]*`.
pub(crate) fn word_at(text: &str) -> &str {
    let bytes = text.as_bytes();
    if !bytes.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_') {
        return "";
    }
    let len = bytes.iter().position(|b| !is_word(*b)).unwrap_or(bytes.len());
    text.get(..len).unwrap_or("")
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// Length of a closed `'...'` or `"..."`, doubled quotes inside.
pub(crate) fn measure_quoted(text: &str, quote: char) -> Option<usize> {
    let body = text.strip_prefix(quote)?.as_bytes();
    let quote = quote as u8;
    let mut at = 0;
    loop {
        at += body.get(at..)?.iter().position(|b| *b == quote)?;
        if body.get(at + 1) != Some(&quote) {
            return Some(at + 2);
        }
        at += 2;
    }
}

/// A quoted name holds at least one character.
pub(super) fn measure_name(text: &str) -> Option<usize> {
    measure_quoted(text, '"').filter(|n| *n > 2)
}

/// Bytes of digits at the start.
fn digits(text: &[u8]) -> usize {
    text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len())
}

fn rest(text: &[u8], at: usize) -> &[u8] {
    text.get(at..).unwrap_or(&[])
}

/// A `.` that is not the start of `..`.
fn lone_dot(text: &[u8]) -> bool {
    text.first() == Some(&b'.') && text.get(1) != Some(&b'.')
}

/// Length of the `NUMBER` at the start.
pub(crate) fn measure_number(text: &str) -> Option<usize> {
    let t = text.as_bytes();
    if t.first() == Some(&b'0') && matches!(t.get(1), Some(b'x' | b'X')) {
        let hex = rest(t, 2).iter().position(|b| !b.is_ascii_hexdigit()).unwrap_or(t.len() - 2);
        if hex > 0 {
            return Some(2 + hex);
        }
    }
    let whole = digits(t);
    let mut len = whole;
    if t.get(whole) == Some(&b'.') {
        let behind = rest(t, whole + 1);
        let fraction = digits(behind);
        if fraction > 0 {
            len = whole + 1 + fraction;
        } else if whole > 0
            && (exponent(behind) > 0 || !behind.first().is_some_and(|b| is_word(*b) || *b == b'.'))
        {
            len = whole + 1;
        }
    }
    (len > 0).then(|| len + exponent(rest(t, len)))
}

/// Bytes of an exponent (`e-3`) at the start.
fn exponent(t: &[u8]) -> usize {
    if !matches!(t.first(), Some(b'e' | b'E')) {
        return 0;
    }
    let sign = usize::from(matches!(t.get(1), Some(b'+' | b'-')));
    let n = digits(rest(t, 1 + sign));
    if n == 0 { 0 } else { 1 + sign + n }
}

/// Length of the `UNIT` at the start: a unit that is not the start of a longer word, a call or a path.
pub(super) fn measure_unit(text: &str) -> Option<usize> {
    let base = word_at(text);
    let ends = |at: usize| {
        let behind = rest(text.as_bytes(), at);
        behind.first() != Some(&b'(') && !lone_dot(behind)
    };
    if base.is_empty() {
        return None;
    }
    if let Some(time) = text.get(base.len()..).and_then(|t| t.strip_prefix('/')) {
        let len = base.len() + 1 + word_at(time).len();
        if text.get(..len).is_some_and(|t| Unit::find(t).is_some()) && ends(len) {
            return Some(len);
        }
    }
    (Unit::find(base).is_some() && ends(base.len())).then_some(base.len())
}

/// Length of the `TIME` at the start.
pub(crate) fn measure_time(text: &str) -> Option<usize> {
    let t = text.as_bytes();
    if matches!(t.first(), Some(b'M' | b'm' | b'J' | b'j')) {
        return measure_julian(text);
    }
    if digits(t) != 4 || t.get(4) != Some(&b'-') {
        return None;
    }
    let date = match (digits(rest(t, 5)), t.get(7), digits(rest(t, 8))) {
        (2, Some(b'-'), 2) => 10,
        (3, _, _) => 8,
        _ => return None,
    };
    clock_ends(rest(t, date)).into_iter().rev().flatten().find_map(|clock| {
        let end = date + clock;
        let end = end + usize::from(t.get(end) == Some(&b'Z'));
        (!t.get(end).is_some_and(|b| is_word(*b))).then_some(end)
    })
}

/// Where a clock time may end, shortest first: nothing, `T10:00`, `T10:00:00`, `T10:00:00.123456789`.
fn clock_ends(t: &[u8]) -> [Option<usize>; 4] {
    let two =
        |at: usize, lead: u8| (t.get(at) == Some(&lead) && digits(rest(t, at + 1)) == 2).then_some(at + 3);
    let minutes = two(0, b'T').and_then(|at| two(at, b':'));
    let seconds = minutes.and_then(|at| two(at, b':'));
    let fraction = seconds.filter(|at| t.get(*at) == Some(&b'.')).and_then(|at| {
        let n = digits(rest(t, at + 1));
        (1..=9).contains(&n).then_some(at + 1 + n)
    });
    [Some(0), minutes, seconds, fraction]
}

/// `MJD 60343.5`, `JD 2460344.0`
fn measure_julian(text: &str) -> Option<usize> {
    let word = word_at(text);
    if !word.eq_ignore_ascii_case("MJD") && !word.eq_ignore_ascii_case("JD") {
        return None;
    }
    let behind = text.get(word.len()..)?;
    let number = behind.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let t = number.as_bytes();
    let whole = digits(t);
    if whole == 0 || number.len() == behind.len() {
        return None;
    }
    let fraction = if t.get(whole) == Some(&b'.') { digits(rest(t, whole + 1)) } else { 0 };
    let len = if fraction > 0 { whole + 1 + fraction } else { whole };
    let next = rest(t, len);
    if next.first().is_some_and(|b| is_word(*b)) || lone_dot(next) {
        return None;
    }
    Some(text.len() - number.len() + len)
}
