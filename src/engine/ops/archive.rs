//! The two tables of a waveform archive, and the verbs that look at a channel's time line: GAPS and COVERAGE.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    ArrayRef, DurationNanosecondArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
    UInt32Array,
};
use rayon::prelude::*;

use crate::engine::bind::Context;
use crate::engine::expr::arrow_error;
use crate::engine::tables::{built_in_schema, shown_bytes};
use crate::error::{Error, Result};
use crate::index::archive::{Archive, Part};
use crate::index::time::{self, Bin, Interval};
use crate::model::station::{ChannelCode, Pattern};
use crate::model::table::{Batch, Column, Schema, Type};
use crate::model::time::Time;

/// Most bins of one COVERAGE and channel.
const BINS: usize = 10_000_000;

/// Columns that are built row by row.
#[derive(Default)]
struct Texts(BTreeMap<usize, StringBuilder>);

impl Texts {
    fn push(&mut self, column: usize, value: Option<&str>) {
        self.0.entry(column).or_default().append_option(value);
    }

    fn take(&mut self, column: usize) -> ArrayRef {
        Arc::new(self.0.entry(column).or_default().finish())
    }
}

fn times(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(values).with_timezone("UTC"))
}

/// Rows of `files`, by path.
pub fn files(archive: &Archive) -> Result<Batch> {
    let mut alive: Vec<(&Part, u32)> = vec![];
    for part in &archive.parts {
        alive.extend((0..part.file_count() as u32).filter(|f| part.is_alive(*f)).map(|f| (part, f)));
    }
    alive.sort_by(|a, b| (a.0.path(a.1), &a.0.source).cmp(&(b.0.path(b.1), &b.0.source)));
    let mut text = Texts::default();
    let mut ints: [Vec<Option<i64>>; 5] = Default::default();
    let (mut mtimes, mut ctimes) = (vec![], vec![]);
    for (part, file) in alive {
        let row = part.file(file);
        text.push(0, Some(&shown_bytes(&row.path)));
        text.push(1, Some(&part.source));
        text.push(2, Some(&row.format).filter(|f| !f.is_empty()).map(String::as_str));
        text.push(3, Some(&row.state));
        text.push(4, row.reason.as_deref());
        mtimes.push(row.mtime_ns);
        ctimes.push(row.ctime_ns);
        let values =
            [Some(row.size), Some(row.inode), row.bad_offset, Some(row.records), Some(row.bytes_skipped)];
        ints.iter_mut().zip(values).for_each(|(column, value)| column.push(value.map(|v| v as i64)));
    }
    let [size, inode, bad_offset, records, skipped] = ints.map(|c| Arc::new(Int64Array::from(c)) as ArrayRef);
    let columns = vec![
        text.take(0),
        text.take(1),
        size,
        times(mtimes),
        times(ctimes),
        inode,
        text.take(2),
        text.take(3),
        text.take(4),
        bad_offset,
        records,
        skipped,
    ];
    Batch::try_new(built_in_schema("files").arrow(), columns).map_err(arrow_error)
}

/// A living segment: rank of its code among all codes, start, part, row.
type Place = (u32, i64, u32, u32);

/// Rows of `segments`, by code, start, path and offset. Texts that many rows share are made once and taken by number.
pub fn segments(archive: &Archive) -> Result<Batch> {
    let parts = &archive.parts;
    let channels: Vec<(usize, usize)> = parts
        .iter()
        .enumerate()
        .flat_map(|(p, part)| (0..part.channels.len()).map(move |c| (p, c)))
        .collect();
    let codes: Vec<String> = channels.iter().map(|(p, c)| parts[*p].code_text(*c)).collect();
    let first_channel = firsts(parts.iter().map(|p| p.channels.len()));
    let first_file = firsts(parts.iter().map(Part::file_count));
    let places = segment_places(archive, &codes, &first_channel);
    let numbers = |of: &(dyn Fn(&Place) -> u32 + Sync)| -> UInt32Array {
        places.par_iter().map(of).collect::<Vec<u32>>().into()
    };
    let channel = numbers(&|at| {
        let part = &parts[at.2 as usize];
        first_channel[at.2 as usize] + part.channel_of(at.3 as usize) as u32
    });
    let file = numbers(&|at| first_file[at.2 as usize] + parts[at.2 as usize].file_of(at.3 as usize));
    let taken = |texts: StringArray, rows: &UInt32Array| {
        arrow_select::take::take(&texts, rows, None).map_err(arrow_error)
    };
    // A whole identifier that is no FDSN one has no parts.
    let part_of_code = |pick: fn(&ChannelCode) -> &String| -> StringArray {
        let texts = channels.iter().map(|(p, c)| &parts[*p].channels[*c].0);
        texts.map(|code| Some(pick(code).as_str()).filter(|_| *code != ChannelCode::default())).collect()
    };
    let paths = parts.iter().flat_map(|p| (0..p.file_count() as u32).map(|f| shown_bytes(p.path(f))));
    let sources = parts.iter().map(|p| Some(p.source.as_str())).collect::<StringArray>();
    let rows: Vec<time::Segment> =
        places.par_iter().map(|at| parts[at.2 as usize].segment(at.3 as usize)).collect();
    let int = |of: fn(&time::Segment) -> i64| rows.par_iter().map(of).collect::<Vec<i64>>();
    let float = |of: fn(&time::Segment) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from(rows.par_iter().map(of).collect::<Vec<f64>>()))
    };
    let columns: Vec<ArrayRef> = vec![
        taken(StringArray::from_iter_values(&codes), &channel)?,
        taken(part_of_code(|c| &c.network), &channel)?,
        taken(part_of_code(|c| &c.station), &channel)?,
        taken(part_of_code(|c| &c.location), &channel)?,
        taken(part_of_code(|c| &c.channel), &channel)?,
        times(int(|s| s.start.0)),
        times(int(|s| s.end.0)),
        float(|s| s.sampling_rate),
        Arc::new(Int64Array::from(int(|s| s.npts as i64))),
        taken(qualities(), &rows.iter().map(quality).collect())?,
        float(|s| s.drift_s),
        taken(StringArray::from_iter_values(paths), &file)?,
        Arc::new(Int64Array::from(int(|s| s.byte_offset as i64))),
        Arc::new(Int64Array::from(int(|s| s.bytes as i64))),
        taken(sources, &numbers(&|at| at.2))?,
    ];
    Batch::try_new(built_in_schema("segments").arrow(), columns).map_err(arrow_error)
}

/// Where the things of each part begin when those of all parts are numbered through.
fn firsts(counts: impl Iterator<Item = usize>) -> Vec<u32> {
    let before = |next: &mut u32, n: usize| {
        let first = *next;
        *next += n as u32;
        Some(first)
    };
    counts.scan(0, before).collect()
}

/// The living segments in the order of the table. Those of one part lie in it already.
fn segment_places(archive: &Archive, codes: &[String], first_channel: &[u32]) -> Vec<Place> {
    let mut sorted: Vec<&String> = codes.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let ranks: Vec<u32> =
        codes.iter().map(|c| sorted.binary_search(&c).map_or(0, |rank| rank as u32)).collect();
    let mut places: Vec<Place> = vec![];
    for (p, part) in archive.parts.iter().enumerate() {
        let of_part = (0..part.segment_count()).into_par_iter().with_min_len(4096);
        places.par_extend(of_part.filter(|row| part.is_alive(part.file_of(*row))).map(|row| {
            let rank = ranks[first_channel[p] as usize + part.channel_of(row)];
            (rank, part.start_of(row), p as u32, row as u32)
        }));
    }
    let by_file = |at: &Place| {
        let part = &archive.parts[at.2 as usize];
        (
            part.path(part.file_of(at.3 as usize)),
            part.segment(at.3 as usize).byte_offset,
            part.source.as_str(),
        )
    };
    let order = |a: &Place, b: &Place| (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| by_file(a).cmp(&by_file(b)));
    if !places.is_sorted_by(|a, b| order(a, b).is_le()) {
        places.par_sort_by(order);
    }
    places
}

/// Every quality letter, then every publication version of miniSEED 3.
fn qualities() -> StringArray {
    let letters = (0..=u8::MAX).map(|letter| char::from(letter).to_string());
    letters.chain((0..=u8::MAX).map(|version| version.to_string())).map(Some).collect()
}

/// The number among `qualities` of the quality letter, or of the publication version.
fn quality(segment: &time::Segment) -> Option<u32> {
    match (segment.quality, segment.publication_version) {
        (0, 0) => None,
        (0, version) => Some(256 + u32::from(version)),
        (letter, _) => Some(u32::from(letter)),
    }
}

/// Intervals of every channel that the pattern selects, by code, each sorted by start.
fn time_lines(archive: &Archive, codes: &Pattern) -> BTreeMap<String, Vec<Interval>> {
    let mut lines: BTreeMap<String, Vec<Interval>> = BTreeMap::new();
    for part in &archive.parts {
        let wanted: Vec<bool> = part.channels.iter().map(|(code, _)| codes.matches_code(code)).collect();
        for row in 0..part.segment_count() {
            let channel = part.channel_of(row);
            let file = part.file_of(row);
            if !wanted[channel] || !part.is_alive(file) || part.state(file) == "no_time" {
                continue;
            }
            let s = part.segment(row);
            let interval =
                Interval { start: s.start, end: s.end, sampling_rate: s.sampling_rate, drift_s: s.drift_s };
            lines.entry(part.code_text(channel)).or_default().push(interval);
        }
    }
    lines.values_mut().for_each(|l| l.sort_by_key(|i| (i.start, i.end)));
    lines
}

fn selected(archive: &Archive, codes: &Pattern, context: &Context<'_>) -> BTreeMap<String, Vec<Interval>> {
    let lines = time_lines(archive, codes);
    if lines.is_empty() {
        context.notices.warn(
            "no channel matches the pattern (SELECT DISTINCT code FROM segments lists them)".to_owned(),
        );
    }
    lines
}

/// Columns of GAPS.
pub fn gaps_schema() -> Schema {
    Schema::new(vec![
        Column::typed("code", Type::Text),
        Column::typed("starttime", Type::Time),
        Column::typed("endtime", Type::Time),
        Column::typed("duration", Type::Duration),
        Column::typed("samples", Type::Float),
        Column::typed("sampling_rate", Type::Float).with_unit("Hz"),
        Column::typed("kind", Type::Text),
    ])
}

/// Missing time, by code and start.
pub fn gaps(
    archive: &Archive,
    of: (&Pattern, Option<(Time, Time)>),
    bounds: (i64, time::Bounds),
    context: &Context<'_>,
) -> Result<Batch> {
    let (longer_ns, bounds) = bounds;
    let mut text = Texts::default();
    let mut ints: [Vec<i64>; 3] = Default::default();
    let (mut samples, mut rates) = (vec![], vec![]);
    for (code, line) in selected(archive, of.0, context) {
        for gap in time::breaks(&line, bounds, of.1) {
            let length = gap.end.0.saturating_sub(gap.start.0);
            if length < longer_ns {
                continue;
            }
            text.push(0, Some(&code));
            text.push(6, Some(if gap.is_drift { "drift" } else { "gap" }));
            let length = if gap.samples < 0.0 { -length } else { length };
            ints.iter_mut().zip([gap.start.0, gap.end.0, length]).for_each(|(c, v)| c.push(v));
            samples.push(gap.samples);
            rates.push((gap.sampling_rate > 0.0).then_some(gap.sampling_rate));
        }
    }
    let [start, end, duration] = ints;
    let columns: Vec<ArrayRef> = vec![
        text.take(0),
        times(start),
        times(end),
        Arc::new(DurationNanosecondArray::from(duration)),
        Arc::new(Float64Array::from(samples)),
        Arc::new(Float64Array::from(rates)),
        text.take(6),
    ];
    Batch::try_new(gaps_schema().arrow(), columns).map_err(arrow_error)
}

/// Columns of COVERAGE.
pub fn coverage_schema() -> Schema {
    Schema::new(vec![
        Column::typed("code", Type::Text),
        Column::typed("bin", Type::Time),
        Column::typed("fraction", Type::Float),
        Column::typed("overlap", Type::Float),
        Column::typed("n_gaps", Type::Int),
    ])
}

/// Fraction of each bin with data, by code and bin. Without BY there is one bin: the span, or first to last sample.
pub fn coverage(
    archive: &Archive,
    of: (&Pattern, Option<(Time, Time)>),
    bin_ns: Option<i64>,
    context: &Context<'_>,
) -> Result<Batch> {
    let (codes, during) = of;
    let mut text = Texts::default();
    let mut starts = vec![];
    let mut floats: [Vec<f64>; 2] = Default::default();
    let mut counts = vec![];
    let (mut channels, mut covered_s, mut span_s) = (0, 0.0, 0.0);
    for (code, line) in selected(archive, codes, context) {
        let data = line.iter().filter(|i| i.sampling_rate > 0.0);
        let reach = during.or(data.clone().map(|i| i.start).min().zip(data.map(|i| i.end).max()));
        let Some((from, to)) = reach else { continue };
        let bins = match bin_ns {
            Some(width_ns) => {
                let mut bins = time::coverage(&line, width_ns, 0.5, during, BINS);
                bins.iter_mut().for_each(|bin| clip(bin, width_ns, during));
                bins
            }
            None => whole(&line, from, to),
        };
        if bins.is_empty() && from < to {
            return Err(Error::Limit {
                what: format!("COVERAGE of {code}"),
                limit: format!("{BINS} bins"),
                help: "use longer bins or a shorter DURING".to_owned(),
            });
        }
        channels += 1;
        span_s += to.seconds_since(from);
        covered_s += whole(&line, from, to).first().map_or(0.0, |b| b.fraction) * to.seconds_since(from);
        for bin in bins {
            text.push(0, Some(&code));
            starts.push(bin.start.0);
            floats.iter_mut().zip([bin.fraction, bin.overlap]).for_each(|(c, v)| c.push(v));
            counts.push(i64::from(bin.n_gaps));
        }
    }
    if span_s > 0.0 {
        let noun = if channels == 1 { "channel" } else { "channels" };
        context.notices.footer(format!("{} of {channels} {noun} covered", percent(covered_s / span_s)));
    }
    let [fraction, overlap] = floats.map(|c| Arc::new(Float64Array::from(c)) as ArrayRef);
    let columns = vec![text.take(0), times(starts), fraction, overlap, Arc::new(Int64Array::from(counts))];
    Batch::try_new(coverage_schema().arrow(), columns).map_err(arrow_error)
}

/// `97.31 %`; what is not all is never shown as all, nor as nothing.
fn percent(fraction: f64) -> String {
    let shown = (fraction * 1e4).round() / 1e2;
    let shown = if fraction < 1.0 { shown.min(99.99) } else { shown };
    let shown = if fraction > 0.0 { shown.max(0.01) } else { shown };
    format!("{shown:.2} %")
}

/// One bin from `from` to `to`: the line is moved so that it begins at 1970, where bins are aligned.
fn whole(line: &[Interval], from: Time, to: Time) -> Vec<Bin> {
    let moved = |t: Time| Time(t.0.saturating_sub(from.0));
    let line: Vec<Interval> =
        line.iter().map(|i| Interval { start: moved(i.start), end: moved(i.end), ..*i }).collect();
    let span = (Time(0), moved(to));
    let mut bins = time::coverage(&line, span.1.0, 0.5, Some(span), 1);
    bins.iter_mut().for_each(|bin| bin.start = from);
    bins
}

/// A bin that DURING cuts counts only the part inside.
fn clip(bin: &mut Bin, width_ns: i64, during: Option<(Time, Time)>) {
    let Some((from, to)) = during else { return };
    let end = bin.start.0.saturating_add(width_ns).min(to.0);
    let inside = end.saturating_sub(bin.start.0.max(from.0));
    if inside > 0 && inside < width_ns {
        let scale = width_ns as f64 / inside as f64;
        bin.fraction *= scale;
        bin.overlap *= scale;
    }
}
