//! Differential times from correlation (`dt.cc`): a line `# id1 id2 0.0` a pair, then lines `sta dt weight phase`
//! with dt = T1 - T2 in s. Open-File Report 01-113, appendix A; the third value of the pair line is the origin
//! time correction, always 0 here because every dt counts from the origins that our event files carry.

use std::io::Write;

use super::{LABEL_CHARACTERS, rounded_origin, station_labels, write_error};
use crate::error::{Error, Result};
use crate::format::event::{phase_class, plain_phase};
use crate::model::time::Time;

/// One line of `dt.cc`.
#[derive(Clone, Debug, PartialEq)]
pub struct DtccLink {
    /// `number` of event 1.
    pub event1: i64,
    /// `number` of event 2.
    pub event2: i64,
    /// Exact origin time of event 1; the file counts from this time rounded to 0.01 s.
    pub origin1: Time,
    /// Exact origin time of event 2.
    pub origin2: Time,
    /// Arrival of the phase of event 1; decides between Pg and Pn of one station.
    pub arrival1: Time,
    /// Network, empty if unknown.
    pub network: String,
    /// Station.
    pub station: String,
    /// A name of class P or S; written as that letter.
    pub phase: String,
    /// Travel time 1 minus travel time 2 in s, counted from the exact origins.
    pub dt_s: f64,
    /// Weight of the line.
    pub weight: f64,
}

impl DtccLink {
    /// dt counted from the two origins rounded to 0.01 s: dt + (o1 - r1) - (o2 - r2).
    pub fn written_dt_s(&self) -> f64 {
        let moved = |origin: Time| origin.seconds_since(rounded_origin(origin));
        self.dt_s + (moved(self.origin1) - moved(self.origin2))
    }
}

/// What [`write_dtcc`] wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DtccCount {
    /// Pair lines.
    pub pairs: usize,
    /// Lines of differential times.
    pub lines: usize,
    /// Links that are not written: Pg, say, where Pn of the same station arrives earlier.
    pub left_out: usize,
}

/// A line, ready to be sorted.
struct Row<'a> {
    pair: (i64, i64),
    label: &'a str,
    class: &'static str,
    dt_s: f64,
    link: &'a DtccLink,
}

impl Row<'_> {
    fn key(&self) -> ((i64, i64), &str, &'static str) {
        (self.pair, self.label, self.class)
    }
}

/// Writes `dt.cc`: pairs sorted by (id1, id2), lines by (station label, phase), then by dt and weight, so that the
/// bytes do not depend on the order of `links`. Where one pair and station has several phases of a class (Pg and
/// Pn), the lines of the earlier arrival are written. Pairs without lines do not exist here and are not written.
///
/// # Errors
/// Labels that do not fit ([`station_labels`]), a phase that is neither P nor S, a dt or weight that is no number,
/// a pair given in both orders, an event paired with itself; `out` cannot be written.
pub fn write_dtcc(out: &mut dyn Write, links: &[DtccLink]) -> Result<DtccCount> {
    let codes = links.iter().map(|l| (l.network.as_str(), l.station.as_str()));
    let labels = station_labels(codes, LABEL_CHARACTERS)?;
    let mut rows: Vec<Row<'_>> = Vec::with_capacity(links.len());
    for link in links {
        let label = labels.get(&(link.network.as_str(), link.station.as_str())).map_or("", String::as_str);
        let (pair, class) = ((link.event1, link.event2), check(link)?);
        rows.push(Row { pair, label, class, dt_s: link.written_dt_s(), link });
    }
    rows.sort_by(|a, b| {
        let weights = |a: &Row<'_>, b: &Row<'_>| a.link.weight.total_cmp(&b.link.weight);
        a.key().cmp(&b.key()).then(a.dt_s.total_cmp(&b.dt_s)).then_with(|| weights(a, b))
    });
    let mut count = DtccCount::default();
    for pair in rows.chunk_by(|a, b| a.pair == b.pair) {
        let Some(&Row { pair: (id1, id2), .. }) = pair.first() else { continue };
        if id1 > id2 && rows.binary_search_by(|r| r.pair.cmp(&(id2, id1))).is_ok() {
            let message = format!("events {id2} and {id1} are paired in both orders");
            return Err(Error::refused(message, "give each pair once"));
        }
        writeln!(out, "# {id1} {id2} 0.0").map_err(write_error)?;
        count.pairs += 1;
        for lines in pair.chunk_by(|a, b| a.key() == b.key()) {
            let earliest = lines.iter().map(|r| (r.link.arrival1, plain_phase(&r.link.phase))).min();
            for row in lines {
                if earliest.is_some_and(|(_, name)| name != plain_phase(&row.link.phase)) {
                    count.left_out += 1;
                    continue;
                }
                let Row { label, class, dt_s, .. } = row;
                writeln!(out, "{label:<7} {dt_s:9.6} {:6.4} {class}", row.link.weight)
                    .map_err(write_error)?;
                count.lines += 1;
            }
        }
    }
    Ok(count)
}

/// The class of the phase, if all else is right too.
fn check(link: &DtccLink) -> Result<&'static str> {
    let DtccLink { event1, event2, station, phase, .. } = link;
    let refuse = |why: String, help: &str| {
        Err(Error::refused(format!("events {event1} and {event2}, station {station}: {why}"), help))
    };
    if !link.dt_s.is_finite() || !link.weight.is_finite() {
        return refuse(format!("dt {} s or weight {} is no number", link.dt_s, link.weight), "drop this row");
    }
    if event1 == event2 {
        return refuse("an event cannot be paired with itself".to_owned(), "drop this row");
    }
    match phase_class(phase) {
        Some(class) => Ok(class),
        None => refuse(format!("phase `{phase}` is neither P nor S"), "write P and S phases only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(events: (i64, i64), code: (&str, &str), phase: &str, dt_s: f64) -> DtccLink {
        DtccLink {
            event1: events.0,
            event2: events.1,
            origin1: Time(0),
            origin2: Time(0),
            arrival1: Time(0),
            network: code.0.to_owned(),
            station: code.1.to_owned(),
            phase: phase.to_owned(),
            dt_s,
            weight: 0.96,
        }
    }

    fn text(links: &[DtccLink]) -> Result<String, String> {
        let mut bytes = Vec::new();
        let written = write_dtcc(&mut bytes, links);
        written.map(|_| String::from_utf8_lossy(&bytes).into_owned()).map_err(|e| e.to_string())
    }

    #[test]
    fn bytes_do_not_depend_on_order() {
        let mut links = vec![
            link((7, 12), ("PB", "B918"), "S", -12.5),
            link((1, 7), ("PB", "B918"), "S", 0.0164),
            link((1, 7), ("PB", "B917"), "S", 0.1449),
            link((1, 7), ("PB", "B917"), "Pg", 0.0861),
            link((1, 12), ("CI", "B918"), "P", 100.0),
        ];
        let want = "# 1 7 0.0
B917     0.086100 0.9600 P
B917     0.144900 0.9600 S
PBB918   0.016400 0.9600 S
# 1 12 0.0
CIB918  100.000000 0.9600 P
# 7 12 0.0
PBB918  -12.500000 0.9600 S
";
        for _ in 0..links.len() {
            links.rotate_left(1);
            assert_eq!(text(&links).as_deref(), Ok(want));
        }
        assert_eq!(text(&[]).as_deref(), Ok(""));
    }

    #[test]
    fn the_earlier_branch_is_written() {
        let at = |phase: &str, arrival: i64, dt_s: f64| DtccLink {
            arrival1: Time(arrival),
            ..link((1, 2), ("", "A"), phase, dt_s)
        };
        let links = [at("Pg", 9, 0.1), at("Pn", 8, 0.2), at("iPn1", 8, 0.3), at("S", 20, 0.4)];
        let mut bytes = Vec::new();
        let count = write_dtcc(&mut bytes, &links).expect("write");
        assert_eq!(count, DtccCount { pairs: 1, lines: 3, left_out: 1 });
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains("0.100000") && text.contains("0.300000"), "{text}");
    }

    #[test]
    fn dt_counts_from_rounded_origins() {
        // Travel times 2.000 and 1.000 s from exact origins 3 ms above and 4 ms below a step of 10 ms.
        let mut row = link((1, 2), ("", "A"), "P", 1.0);
        row.origin1 = Time(1_003_000_000);
        row.origin2 = Time(5_996_000_000);
        assert!((row.written_dt_s() - (2.003 - 0.996)).abs() < 1e-12);
        let (arrival1, arrival2) = (Time(3_003_000_000), Time(6_996_000_000));
        let tt = |arrival: Time, origin| arrival.seconds_since(rounded_origin(origin));
        let direct = tt(arrival1, row.origin1) - tt(arrival2, row.origin2);
        assert!((row.written_dt_s() - direct).abs() < 1e-12);
    }

    #[test]
    fn what_hypodd_cannot_read_is_refused() {
        let nan = link((1, 2), ("", "A"), "P", f64::NAN);
        let cases = [
            (vec![nan], "is no number"),
            (vec![link((1, 1), ("", "A"), "P", 0.0)], "paired with itself"),
            (vec![link((1, 2), ("", "A"), "pP", 0.0)], "`pP` is neither P nor S"),
            (vec![link((1, 2), ("", "A"), "P", 0.0), link((2, 1), ("", "A"), "P", 0.0)], "in both orders"),
            (vec![link((1, 2), ("XX", "TOOLONGX"), "P", 0.0)], "`TOOLONGX` (XX.TOOLONGX)"),
        ];
        for (links, want) in cases {
            let message = text(&links).expect_err("refused");
            assert!(message.contains(want), "{message}");
        }
    }
}
