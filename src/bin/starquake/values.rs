//! Values of options: names, pairs, durations, sizes.

use std::time::Duration;

pub(crate) fn parse_word(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a name is missing".to_owned()),
        word => Ok(word.to_owned()),
    }
}

/// `column=value` or `column value`.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    let text = text.trim();
    let parts = text.split_once('=').or_else(|| text.split_once(char::is_whitespace));
    match parts.map(|(name, value)| (name.trim(), value.trim())) {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write COLUMN=VALUE".to_owned()),
    }
}

/// A number and what stands behind it.
fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    number.parse().ok().map(|number| (number, unit.trim()))
}

pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let scales = [("ms", 1e-3), ("s", 1.0), ("", 1.0), ("min", 60.0), ("h", 3600.0), ("d", 86_400.0)];
    let seconds = number_and_unit(text)
        .and_then(|(number, unit)| scales.iter().find(|s| s.0 == unit).map(|s| number * s.1))
        .filter(|s| *s > 0.0);
    let duration = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
    duration.ok_or_else(|| "write a duration: 500ms, 30s, 5min, 1h".to_owned())
}

pub(crate) fn parse_size(text: &str) -> Result<String, String> {
    const UNITS: &[&str] = &["kB", "MB", "GB", "KiB", "MiB", "GiB"];
    match number_and_unit(text).filter(|(number, unit)| *number > 0.0 && UNITS.contains(unit)) {
        Some((number, unit)) => Ok(format!("{number} {unit}")),
        None => Err(format!("write a number and one of {}: 500MB, 4GiB", UNITS.join(", "))),
    }
}
