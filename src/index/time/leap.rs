//! Leap seconds. Times count without them, so a stretch of samples that runs through one ends a second earlier than
//! its count says.

use crate::model::time::{NS_PER_DAY, NS_PER_S, Time};

/// The first instant after each positive leap second, in days since 1970-01-01 (IERS Bulletin C; there has been no
/// negative one).
const LEAP_DAYS: [i64; 27] = [
    912, 1096, 1461, 1826, 2191, 2557, 2922, 3287, 3652, 4199, 4564, 4929, 5660, 6574, 7305, 7670, 8217,
    8582, 8947, 9496, 10_043, 10_592, 13_149, 14_245, 15_522, 16_617, 17_167,
];

/// Nanoseconds of the leap seconds between the first and the last of a run of samples, `last` being counted without
/// them: a run that ends within a leap second, which is stored as second 0 of the next minute, has not passed it.
pub(crate) fn leap_ns(start: Time, last: Time) -> i64 {
    let newest = LEAP_DAYS[LEAP_DAYS.len() - 1] * NS_PER_DAY;
    if start.0 >= newest {
        return 0;
    }
    let inside = |&&day: &&i64| start.0 < day * NS_PER_DAY && day * NS_PER_DAY + NS_PER_S <= last.0;
    LEAP_DAYS.iter().filter(inside).count() as i64 * NS_PER_S
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_first_days_of_half_years() {
        for day in LEAP_DAYS {
            let text = Time(day * NS_PER_DAY).to_string();
            assert!(text.ends_with("-01-01T00:00:00Z") || text.ends_with("-07-01T00:00:00Z"), "{text}");
        }
        let at = |text: &str| Time::parse(text).unwrap();
        let cases = [
            ("2016-12-31T23:59:00", "2017-01-01T00:00:10", 1),
            ("2017-01-01T00:00:00", "2017-01-02T00:00:00", 0),
            ("2016-12-31T23:59:00", "2016-12-31T23:59:59.9", 0),
            ("2016-12-31T23:59:59.66", "2017-01-01T00:00:00.53", 0),
            ("2016-12-31T23:59:59.66", "2017-01-01T00:00:01", 1),
            ("1971-01-01", "2020-01-01", 27),
        ];
        for (start, last, seconds) in cases {
            assert_eq!(leap_ns(at(start), at(last)), seconds * NS_PER_S, "{start} {last}");
        }
    }
}
