//! What the path of a waveform file tells before the file is opened: channel and time. Three usual layouts, and patterns
//! of the user's.
//!
//! Sources: SeisComP data structure (SDS) 1.0; Buffer of Uniform Data (BUD), EarthScope; the names of ObsPy's mass
//! downloader, `NET.STA.LOC.CHA__START__END`.

mod pattern;
#[cfg(test)]
mod tests;

pub use pattern::{FIELDS, PatternError};

use crate::model::station::ChannelCode;
use crate::model::time::{NS_PER_DAY, NS_PER_S, Time, days_in_year};

use pattern::{Captured, Pattern};

/// A layout by name: what LAYOUT takes besides a pattern, and its patterns.
pub const LAYOUTS: &[(&str, &[&str])] = &[
    (
        "SDS",
        &[
            "{year}/{network}/{station}/{channel}.{type}/{network}.{station}.{location}.{channel}.{type}.{year}.{doy}",
        ],
    ),
    ("BUD", &["{network}/{station}/{station}.{network}.{location}.{channel}.{year}.{doy}"]),
    (
        "FDSN",
        &[
            "{network}.{station}.{location}.{channel}__{start}__{end}",
            "{network}.{station}.{location}.{channel}__{start}__{end}.mseed",
        ],
    ),
];

/// What a path tells. A part that it does not name is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Network.
    pub network: Option<String>,
    /// Station.
    pub station: Option<String>,
    /// Location; a blank one is the empty text.
    pub location: Option<String>,
    /// Channel.
    pub channel: Option<String>,
    /// First instant that the file is for.
    pub start: Option<Time>,
    /// The first one after it.
    pub end: Option<Time>,
}

impl Named {
    /// The whole code, when each part is known.
    pub fn code(&self) -> Option<ChannelCode> {
        Some(ChannelCode {
            network: self.network.clone()?,
            station: self.station.clone()?,
            location: self.location.clone()?,
            channel: self.channel.clone()?,
        })
    }
}

/// How an archive names its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// As it was written: `SDS`, or a pattern.
    pub name: String,
    patterns: Vec<Pattern>,
}

impl Layout {
    /// A named layout (any case) or a pattern with `{fields}`.
    ///
    /// # Errors
    /// What is wrong with the pattern, and what to write.
    pub fn parse(text: &str) -> Result<Layout, PatternError> {
        let known = LAYOUTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        let own = [text];
        let (name, patterns) = known.map_or((text, &own[..]), |(name, patterns)| (*name, *patterns));
        let patterns = patterns.iter().map(|p| Pattern::parse(p)).collect::<Result<_, _>>()?;
        Ok(Layout { name: name.to_owned(), patterns })
    }

    /// Every named layout at once, for archives that state none: their names cannot be taken for each other.
    pub fn any() -> Layout {
        let all = LAYOUTS.iter().flat_map(|(_, patterns)| patterns.iter());
        let patterns = all.filter_map(|pattern| Pattern::parse(pattern).ok()).collect();
        Layout { name: String::new(), patterns }
    }

    /// What a path below the root tells; `None` where it is not named by this layout.
    pub fn read(&self, path: &[u8]) -> Option<Named> {
        let path = std::str::from_utf8(path).ok()?;
        self.patterns.iter().find_map(|p| named(&p.captures(path)?))
    }
}

/// The facts of the fields; `None` where they contradict the calendar.
fn named(fields: &Captured<'_>) -> Option<Named> {
    let text = |name: &str| fields.get(name).map(str::to_owned);
    let (start, end) = span(fields)?;
    let location =
        text("location").map(|l| if matches!(l.as_str(), "--" | "__") { String::new() } else { l });
    Some(Named {
        network: text("network"),
        station: text("station"),
        location,
        channel: text("channel"),
        start,
        end,
    })
}

/// The time that a name states: from {start} to {end}, or the year, month, day or hour that it names.
fn span(fields: &Captured<'_>) -> Option<(Option<Time>, Option<Time>)> {
    let time = |name: &str| match fields.get(name) {
        Some(text) => compact_time(text).map(Some),
        None => Some(None),
    };
    let (start, end) = (time("start")?, time("end")?);
    if start.is_some() || end.is_some() {
        return Some((start, end));
    }
    let number = |name: &str| fields.get(name).map(|t| t.parse::<i16>().ok());
    let Some(year) = number("year") else { return Some((None, None)) };
    let year = year?;
    let (first, days) = match (number("doy"), number("month"), number("day")) {
        (Some(day), _, _) => (Time::from_ordinal(year, u16::try_from(day?).ok()?, (0, 0, 0), 0)?, 1),
        (None, Some(month), Some(day)) => {
            let date = (year, i8::try_from(month?).ok()?, i8::try_from(day?).ok()?);
            (Time::from_date(date, (0, 0, 0), 0)?, 1)
        }
        (None, Some(month), None) => {
            let month = i8::try_from(month?).ok()?;
            let next = if month == 12 { (year + 1, 1, 1) } else { (year, month + 1, 1) };
            let (first, next) =
                (Time::from_date((year, month, 1), (0, 0, 0), 0)?, Time::from_date(next, (0, 0, 0), 0)?);
            (first, (next.0 - first.0) / NS_PER_DAY)
        }
        _ => (Time::from_ordinal(year, 1, (0, 0, 0), 0)?, i64::from(days_in_year(year))),
    };
    if days > 1 {
        return Some((Some(first), first.0.checked_add(days * NS_PER_DAY).map(Time)));
    }
    clock(fields, first)
}

/// Hour, minute and second of a day, as far as they are named; the span is the smallest of them.
fn clock(fields: &Captured<'_>, day: Time) -> Option<(Option<Time>, Option<Time>)> {
    let mut start_ns = day.0;
    let mut length_ns = NS_PER_DAY;
    for (name, unit_ns, most) in
        [("hour", 3600 * NS_PER_S, 23), ("minute", 60 * NS_PER_S, 59), ("second", NS_PER_S, 60)]
    {
        let Some(text) = fields.get(name) else { break };
        let value = text.parse::<i64>().ok().filter(|v| *v <= most)?;
        start_ns = start_ns.checked_add(value * unit_ns)?;
        length_ns = unit_ns;
    }
    // A clock time to the minute or second names when a file begins, not how long it is.
    let end = if length_ns >= 3600 * NS_PER_S { start_ns.checked_add(length_ns) } else { None };
    Some((Some(Time(start_ns)), end.map(Time)))
}

/// `20240229T100000Z`, `20240229T100000.123456Z`, `2024-02-29T10:00:00`, `20240229`, `2024060`.
fn compact_time(text: &str) -> Option<Time> {
    if let Ok(time) = Time::parse(text) {
        return Some(time);
    }
    let bare = text.trim_end_matches(['Z', 'z']);
    let (date, clock) = bare.split_once(['T', 't', '_']).unwrap_or((bare, ""));
    let is_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let date = match (date.len(), is_digits(date)) {
        (8, true) => format!("{}-{}-{}", date.get(..4)?, date.get(4..6)?, date.get(6..)?),
        (7, true) => format!("{}-{}", date.get(..4)?, date.get(4..)?),
        _ => date.to_owned(),
    };
    let (whole, fraction) =
        clock.split_once('.').map_or((clock, String::new()), |(w, f)| (w, format!(".{f}")));
    let clock = match (whole.len(), is_digits(whole)) {
        (0, _) => String::new(),
        (6, true) => format!("T{}:{}:{}{fraction}", whole.get(..2)?, whole.get(2..4)?, whole.get(4..)?),
        (4, true) => format!("T{}:{}", whole.get(..2)?, whole.get(2..)?),
        (2, true) => format!("T{whole}:00"),
        _ => format!("T{whole}{fraction}"),
    };
    Time::parse(&format!("{date}{clock}")).ok()
}
