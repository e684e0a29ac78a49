//! Positions as text: `05h35m17.3s -05d23m28s`, `05:35:17.3 -05:23:28`, `83.822 -5.391`. Right ascension in
//! hours when it is sexagesimal, in degrees when it is a plain number (or says `d`); declination in degrees.

use crate::error::{Error, Result};

/// Right ascension and declination in degrees of a text that holds both, separated by blanks or a comma.
/// Three and three numbers separated by blanks (`05 35 17.3 -05 23 28`) are understood as well.
pub fn parse_position(text: &str) -> Result<(f64, f64)> {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty()).collect();
    match words.as_slice() {
        [ra, dec] => Ok((parse_ra_deg(ra)?, parse_dec_deg(dec)?)),
        [h, m, s, d, arcmin, arcsec] => {
            Ok((parse_ra_deg(&[*h, *m, *s].join(":"))?, parse_dec_deg(&[*d, *arcmin, *arcsec].join(":"))?))
        }
        _ => Err(refused(text, "a position is a right ascension and a declination")),
    }
}

/// A right ascension in degrees, in [0, 360] as written.
pub fn parse_ra_deg(text: &str) -> Result<f64> {
    let angle = parse_angle(text)?;
    let degrees = if angle.is_hours || angle.is_colons { 15.0 * angle.value } else { angle.value };
    if (0.0..=360.0).contains(&degrees) {
        Ok(degrees)
    } else {
        Err(refused(text, "a right ascension lies between 0h and 24h, 0 and 360 degrees"))
    }
}

/// A declination in degrees, in [-90, 90].
pub fn parse_dec_deg(text: &str) -> Result<f64> {
    let angle = parse_angle(text)?;
    if angle.is_hours {
        return Err(refused(text, "a declination is in degrees, not in hours"));
    }
    if angle.value.abs() <= 90.0 {
        Ok(angle.value)
    } else {
        Err(refused(text, "a declination lies between -90 and 90 degrees"))
    }
}

struct Angle {
    value: f64,
    is_hours: bool,
    is_colons: bool,
}

/// Sign, then up to three numbers each followed by its mark. The sign holds for all of them: -00:30 is negative.
fn parse_angle(text: &str) -> Result<Angle> {
    let trimmed = text.trim();
    let (is_negative, body) = match trimmed.chars().next() {
        Some('-' | '\u{2212}') => (true, trimmed.trim_start_matches(['-', '\u{2212}'])),
        Some('+') => (false, trimmed.trim_start_matches('+')),
        _ => (false, trimmed),
    };
    if body.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-')) {
        let value = number(text, body)?;
        return Ok(Angle {
            value: if is_negative { -value } else { value },
            is_hours: false,
            is_colons: false,
        });
    }
    let is_colons = body.contains(':');
    let parts = if is_colons { colon_parts(body) } else { marked_parts(text, body)? };
    let is_hours = parts.iter().any(|part| part.1 == 'h');
    let mut value = 0.0;
    for (place, (digits, _)) in parts.iter().enumerate() {
        let n = number(text, digits)?;
        if place > 0 && n >= 60.0 {
            return Err(refused(text, "minutes and seconds are below 60"));
        }
        if place + 1 < parts.len() && n.fract() != 0.0 {
            return Err(refused(text, "only the last number may have a fraction"));
        }
        value +=
            n / [1.0, 60.0, 3600.0].get(place).copied().ok_or_else(|| refused(text, "too many numbers"))?;
    }
    Ok(Angle { value: if is_negative { -value } else { value }, is_hours, is_colons })
}

fn colon_parts(body: &str) -> Vec<(&str, char)> {
    body.split(':').map(|digits| (digits, ':')).collect()
}

/// `05h35m17.3s` to (05, h) (35, m) (17.3, s); the marks must come in this order.
fn marked_parts<'a>(text: &str, body: &'a str) -> Result<Vec<(&'a str, char)>> {
    let mut parts = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(end);
        let mut marks = tail.chars();
        let mark = match (parts.len(), marks.next()) {
            (0, Some('h' | 'H')) => 'h',
            (0, Some('d' | 'D' | '\u{b0}')) => 'd',
            (1, Some('m' | 'M' | '\'' | '\u{2032}')) => 'm',
            (2, Some('s' | 'S' | '"' | '\u{2033}')) => 's',
            (1 | 2, None) => ' ',
            _ => return Err(refused(text, "write it like 05h35m17.3s, -05d23m28s or 05:35:17.3")),
        };
        parts.push((digits, mark));
        rest = marks.as_str();
    }
    Ok(parts)
}

fn number(text: &str, digits: &str) -> Result<f64> {
    let has_digit = digits.contains(|c: char| c.is_ascii_digit());
    let is_signed = digits.starts_with(['+', '-']);
    match digits.parse::<f64>() {
        Ok(value) if has_digit && !is_signed && value.is_finite() => Ok(value),
        _ => Err(refused(text, &format!("`{digits}` is not a number"))),
    }
}

fn refused(text: &str, reason: &str) -> Error {
    Error::refused(
        format!("`{}` is not an angle: {reason}", text.trim()),
        "positions look like 05h35m17.3s -05d23m28s, 05:35:17.3 -05:23:28 or 83.822 -5.391",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_that_are_understood() {
        let orion = (83.82208333333333, -5.391111111111111);
        let cases = [
            ("05h35m17.3s -05d23m28s", orion),
            ("05:35:17.3 -05:23:28", orion),
            ("05:35:17.3, -05:23:28", orion),
            ("05 35 17.3 -05 23 28", orion),
            ("83.82208333333333 -5.391111111111111", orion),
            ("5H35M17.3S \u{2212}5\u{b0}23\u{2032}28\u{2033}", orion),
            ("83d49m19.5s -5d23m28s", orion),
            ("00:00:00 -00:30:00", (0.0, -0.5)),
            ("24:00:00 +90:00:00", (360.0, 90.0)),
            ("12h -0d30m", (180.0, -0.5)),
            ("1e1 -1e-1", (10.0, -0.1)),
        ];
        for (text, want) in cases {
            let got = parse_position(text).unwrap();
            assert!((got.0 - want.0).abs() < 1e-12 && (got.1 - want.1).abs() < 1e-12, "{text}: {got:?}");
        }
    }

    #[test]
    fn positions_that_are_refused() {
        let cases = [
            ("", "a right ascension and a declination"),
            ("12:00:00", "a right ascension and a declination"),
            ("05:60:00 0", "below 60"),
            ("05:35:17.3 -95:00:00", "between -90 and 90"),
            ("25:00:00 0", "between 0h and 24h"),
            ("-1 0", "between 0h and 24h"),
            ("361 0", "between 0h and 24h"),
            ("05h35m17.3s -05h23m28s", "not in hours"),
            ("05.5:35:17 0", "only the last number"),
            ("1:2:3:4 0", "too many numbers"),
            ("abc 0", "write it like"),
            ("1e999 0", "is not a number"),
            ("nan 0", "write it like"),
            (":: 0", "is not a number"),
            ("--5 0", "between 0h and 24h"),
            ("5 +-5", "is not a number"),
            ("05m35s 0", "write it like"),
        ];
        for (text, want) in cases {
            let message = parse_position(text).unwrap_err().to_string();
            assert!(message.contains(want), "{text:?}: {message}");
        }
    }
}
