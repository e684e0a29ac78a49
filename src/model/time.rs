//! Instants as nanoseconds since 1970-01-01T00:00:00 UTC, without leap seconds, as miniSEED and QuakeML count.
//! The range is that of an `i64`: 1677-09-21 .. 2262-04-11; outside it there is no value (NULL), never a wrap.

use std::fmt;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::Offset;

/// Nanoseconds in a second.
pub const NS_PER_S: i64 = 1_000_000_000;
/// Nanoseconds in a day.
pub const NS_PER_DAY: i64 = 86_400 * NS_PER_S;
/// Modified Julian Date of 1970-01-01.
pub const MJD_1970: f64 = 40_587.0;
/// MJD minus JD.
pub const JD_MINUS_MJD: f64 = 2_400_000.5;

/// An instant: ns since 1970-01-01T00:00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

/// Why a text is not a time. `at` is the byte of the text where it goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeError {
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl TimeError {
    fn new(reason: impl Into<String>) -> Self {
        TimeError { reason: reason.into(), help: None }
    }
}

/// Days from 1970-01-01 to the given day of the year (1 = January 1st). `None` if the day does not exist.
pub fn days_from_ordinal(year: i16, day_of_year: u16) -> Option<i64> {
    if day_of_year == 0 || day_of_year > days_in_year(year) {
        return None;
    }
    Some(days_before_year(i64::from(year)) + i64::from(day_of_year) - 1)
}

/// 365 or 366, in the proleptic Gregorian calendar.
pub fn days_in_year(year: i16) -> u16 {
    if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 }
}

fn days_before_year(year: i64) -> i64 {
    let y = year - 1;
    365 * (year - 1970) + (y.div_euclid(4) - 492) - (y.div_euclid(100) - 19) + (y.div_euclid(400) - 4)
}

/// Reason of a time that 64 bits of ns do not reach.
pub const OUTSIDE: &str = "this time is outside 1677-09-21 .. 2262-04-11";

impl Time {
    /// From year, day of the year, hour, minute, second and nanoseconds. Second 60 (a leap second) is second 0
    /// of the next minute. `None` if a part is out of range or the instant does not fit.
    pub fn from_ordinal(year: i16, day_of_year: u16, clock: (u8, u8, u8), nanos: i64) -> Option<Time> {
        let (hour, minute, second) = clock;
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        days_from_ordinal(year, day_of_year)?
            .checked_mul(NS_PER_DAY)?
            .checked_add(seconds * NS_PER_S)?
            .checked_add(nanos)
            .map(Time)
    }

    /// From a calendar date and clock time, with the rules of [`Time::from_ordinal`].
    pub fn from_date(date: (i16, i8, i8), clock: (u8, u8, u8), nanos: i64) -> Option<Time> {
        let day = civil::Date::new(date.0, date.1, date.2).ok()?;
        Time::from_ordinal(date.0, u16::try_from(day.day_of_year()).ok()?, clock, nanos)
    }

    /// From a Modified Julian Date in days. The product is made in two parts so that no ns is lost to the day.
    pub fn from_mjd(mjd: f64) -> Option<Time> {
        let whole = mjd.floor();
        if !whole.is_finite() || whole.abs() > 1e7 {
            return None;
        }
        let ns = ((mjd - whole) * NS_PER_DAY as f64).round() as i64;
        ((whole - MJD_1970) as i64).checked_mul(NS_PER_DAY)?.checked_add(ns).map(Time)
    }

    /// Modified Julian Date in days.
    pub fn mjd(self) -> f64 {
        let days = self.0.div_euclid(NS_PER_DAY);
        days as f64 + MJD_1970 + self.0.rem_euclid(NS_PER_DAY) as f64 / NS_PER_DAY as f64
    }

    /// The instant `seconds` later, rounded to the nearest ns; `None` outside the range.
    pub fn plus_seconds(self, seconds: f64) -> Option<Time> {
        let ns = (seconds * 1e9).round();
        if !ns.is_finite() || ns.abs() >= 9.2e18 {
            return None;
        }
        self.0.checked_add(ns as i64).map(Time)
    }

    /// Seconds from `earlier` to `self`, exact in ns before the division.
    pub fn seconds_since(self, earlier: Time) -> f64 {
        (i128::from(self.0) - i128::from(earlier.0)) as f64 / 1e9
    }

    /// Calendar date and time of day.
    pub fn civil(self) -> civil::DateTime {
        let timestamp = Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or(Timestamp::UNIX_EPOCH);
        Offset::UTC.to_datetime(timestamp)
    }

    /// Reads `2024-02-29`, `2024-060`, either with `T10:00`, `T10:00:00.123456789` (a blank for `T`) and `Z`.
    /// An offset other than zero, a day that does not exist and anything after the time are errors.
    pub fn parse(text: &str) -> Result<Time, TimeError> {
        let text = text.trim();
        let (day, rest) = parse_date(text)?;
        let rest = rest.strip_prefix(['T', 't', ' ']).map_or(Ok(rest), |clock| {
            if clock.is_empty() { Err(TimeError::new("a clock time must follow `T`")) } else { Ok(clock) }
        })?;
        let (ns, rest) = parse_clock(rest)?;
        let time = day.checked_mul(NS_PER_DAY).and_then(|d| d.checked_add(ns)).map(Time);
        let time = time.ok_or_else(|| TimeError::new(OUTSIDE))?;
        match rest {
            "" | "Z" | "z" | "+00:00" | "-00:00" | "+0000" | "+00" => Ok(time),
            _ => Err(offset_error(time, rest)),
        }
    }
}

fn offset_error(local: Time, rest: &str) -> TimeError {
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    let minutes = match (rest.chars().next(), digits.len()) {
        (Some('+' | '-'), 2) => digits.parse::<i64>().ok().map(|h| h * 60),
        (Some('+' | '-'), 4) => digits.parse::<i64>().ok().map(|v| v / 100 * 60 + v % 100),
        _ => None,
    };
    let mut error = TimeError::new(match minutes {
        Some(_) => format!("`{rest}`: times are UTC, an offset is not read"),
        None => format!("`{rest}` does not belong to a time"),
    });
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    error.help = minutes
        .and_then(|m| local.0.checked_sub(sign * m * 60 * NS_PER_S))
        .map(|utc| format!("in UTC this is {}", Time(utc)));
    error
}

fn digits(text: &str, count: usize) -> Option<(i64, &str)> {
    let head = text.get(..count)?;
    if !head.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((head.parse().ok()?, text.get(count..)?))
}

/// Days since 1970 and the rest of the text.
fn parse_date(text: &str) -> Result<(i64, &str), TimeError> {
    let malformed = || {
        let shown: String = text.chars().take(40).collect();
        TimeError::new(format!("`{shown}` is no time: a date is written 2024-02-29 or 2024-060"))
    };
    let (year, rest) = digits(text, 4).ok_or_else(malformed)?;
    let year = year as i16;
    let rest = rest.strip_prefix('-').ok_or_else(malformed)?;
    let month = digits(rest, 2).and_then(|(m, r)| Some((m, r.strip_prefix('-')?)));
    if let Some((month, rest)) = month {
        let (day, rest) = digits(rest, 2).ok_or_else(malformed)?;
        let date = civil::Date::new(year, month as i8, day as i8)
            .map_err(|_| TimeError::new(format!("there is no day {year:04}-{month:02}-{day:02}")))?;
        let days = days_from_ordinal(year, date.day_of_year() as u16).ok_or_else(malformed)?;
        return Ok((days, rest));
    }
    let (day, rest) = digits(rest, 3).ok_or_else(malformed)?;
    let days = days_from_ordinal(year, day as u16)
        .ok_or_else(|| TimeError::new(format!("{year} has {} days", days_in_year(year))))?;
    Ok((days, rest))
}

/// ns since midnight and the rest of the text; nothing at all is midnight.
fn parse_clock(text: &str) -> Result<(i64, &str), TimeError> {
    let malformed = || TimeError::new("expected a clock time: 10:00, 10:00:00 or 10:00:00.123456789");
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok((0, text));
    }
    let (hour, rest) = digits(text, 2).ok_or_else(malformed)?;
    let (minute, mut rest) = rest.strip_prefix(':').and_then(|r| digits(r, 2)).ok_or_else(malformed)?;
    let mut second = 0;
    let mut nanos = 0;
    if let Some(after) = rest.strip_prefix(':') {
        (second, rest) = digits(after, 2).ok_or_else(malformed)?;
        if let Some(fraction) = rest.strip_prefix('.') {
            let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if count == 0 || count > 9 {
                return Err(TimeError::new("a fraction of a second has 1 to 9 digits"));
            }
            (nanos, rest) = digits(fraction, count).ok_or_else(malformed)?;
            nanos *= 10_i64.pow(9 - count as u32);
        }
    }
    if hour > 23 || minute > 59 || second > 60 {
        return Err(TimeError::new(format!("there is no clock time {hour:02}:{minute:02}:{second:02}")));
    }
    Ok((((hour * 60 + minute) * 60 + second) * NS_PER_S + nanos, rest))
}

impl fmt::Display for Time {
    /// `2024-02-29T10:00:00Z`, with 3, 6 or 9 digits of fraction where they are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.civil();
        let (y, mo, d) = (c.year(), c.month(), c.day());
        write!(f, "{y:04}-{mo:02}-{d:02}T{:02}:{:02}:{:02}", c.hour(), c.minute(), c.second())?;
        let ns = self.0.rem_euclid(NS_PER_S);
        match (ns % 1_000_000, ns % 1000) {
            _ if ns == 0 => write!(f, "Z"),
            (0, _) => write!(f, ".{:03}Z", ns / 1_000_000),
            (_, 0) => write!(f, ".{:06}Z", ns / 1000),
            _ => write!(f, ".{ns:09}Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        let cases = [
            ("1970-01-01", "1970-01-01T00:00:00Z"),
            ("2024-060", "2024-02-29T00:00:00Z"),
            ("2024-02-29T10:00", "2024-02-29T10:00:00Z"),
            ("2024-02-29T10:00:00.5Z", "2024-02-29T10:00:00.500Z"),
            ("2024-02-29 10:00:00.123456789", "2024-02-29T10:00:00.123456789Z"),
            ("2016-12-31T23:59:60", "2017-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59.999999", "1969-12-31T23:59:59.999999Z"),
            ("2262-04-11", "2262-04-11T00:00:00Z"),
            ("1900-01-01", "1900-01-01T00:00:00Z"),
        ];
        for (text, want) in cases {
            assert_eq!(Time::parse(text).map(|t| t.to_string()), Ok(want.to_owned()), "{text}");
        }
    }

    #[test]
    fn refuses_with_a_reason() {
        let cases = [
            ("2023-366", "2023 has 365 days"),
            ("2023-02-29", "there is no day 2023-02-29"),
            ("2024-02-29T24:00", "there is no clock time 24:00:00"),
            ("2024-02-29T10:00:00+02:00", "`+02:00`: times are UTC, an offset is not read"),
            ("2300-01-01", "this time is outside 1677-09-21 .. 2262-04-11"),
            ("noon", "`noon` is no time: a date is written 2024-02-29 or 2024-060"),
        ];
        for (text, want) in cases {
            assert_eq!(Time::parse(text).map_err(|e| e.reason), Err(want.to_owned()), "{text}");
        }
        let help = Time::parse("2024-02-29T10:00:00+02:00").map_err(|e| e.help);
        assert_eq!(help, Err(Some("in UTC this is 2024-02-29T08:00:00Z".to_owned())));
    }

    #[test]
    fn ordinal_days_agree_with_the_calendar() {
        for year in [1700_i16, 1900, 1969, 1970, 1972, 2000, 2023, 2024, 2100, 2200] {
            for day in [1_u16, 59, 60, 61, 365] {
                let ours = Time::from_ordinal(year, day, (0, 0, 0), 0).map(|t| t.civil());
                let c = ours.map(|c| (c.year(), c.day_of_year()));
                assert_eq!(c, Some((year, day as i16)), "{year}-{day}");
            }
        }
        assert_eq!(days_from_ordinal(2023, 366), None);
    }

    #[test]
    fn mjd_goes_both_ways() {
        let t = Time::from_mjd(60_343.5);
        assert_eq!(t.map(|t| t.to_string()), Some("2024-02-03T12:00:00Z".to_owned()));
        assert_eq!(t.map(Time::mjd), Some(60_343.5));
        assert_eq!(Time::from_mjd(f64::NAN), None);
    }
}
