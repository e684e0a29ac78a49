//! The two tables of a waveform archive, and the verbs that look at a channel's time line: GAPS and COVERAGE.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{
    ArrayRef, DurationNanosecondArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
    UInt32Array,
};
use rayon::prelude::*;

use super::narrow::wanted_rows;
use crate::engine::bind::Context;
use crate::engine::expr::arrow_error;
use crate::engine::plan::Scan;
use crate::engine::tables::{built_in_schema, shown_bytes};
use crate::error::{Error, Result};
use crate::index::archive::{Archive, FileReader, Part};
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

/// Rows that one thread makes at a time.
const CHUNK_ROWS: usize = 8192;

/// Parts cut into ranges of rows.
fn chunks_of(archive: &Archive, count: fn(&Part) -> usize) -> Vec<(usize, Range<usize>)> {
    let parts = archive.parts.iter().enumerate();
    let cut = |(number, part): (usize, &Part)| {
        let rows = count(part);
        (0..rows).step_by(CHUNK_ROWS).map(move |at| (number, at..rows.min(at + CHUNK_ROWS))).collect()
    };
    parts.flat_map::<Vec<_>, _>(cut).collect()
}

/// Calls with each file of a range.
fn each_file(
    part: &Part,
    range: Range<usize>,
    mut with: impl FnMut(&mut FileReader<'_>, u32) -> Result<()>,
) -> Result<()> {
    let mut files = part.files_from(range.start as u32)?;
    while let Some((file, ..)) = files.current().filter(|c| (c.0 as usize) < range.end) {
        with(&mut files, file)?;
        files.advance()?;
    }
    Ok(())
}

/// Rows of `files`, by path.
pub fn files(archive: &Archive) -> Result<Batch> {
    let chunks: Vec<(Vec<Vec<u8>>, Batch)> = chunks_of(archive, Part::file_count)
        .into_par_iter()
        .map(|(number, range)| files_chunk(&archive.parts[number], range))
        .collect::<Result<_>>()?;
    let schema = built_in_schema("files").arrow();
    let batch = arrow_select::concat::concat_batches(&schema, chunks.iter().map(|c| &c.1));
    let batch = batch.map_err(arrow_error)?;
    // the files of one part lie in the order of their paths
    let paths: Vec<&Vec<u8>> = chunks.iter().flat_map(|c| &c.0).collect();
    if paths.is_sorted() {
        return Ok(batch);
    }
    let sources = batch.column(1).as_string::<i32>();
    let mut order: Vec<u32> = (0..paths.len() as u32).collect();
    order.par_sort_by_key(|&at| (paths[at as usize], sources.value(at as usize)));
    arrow_select::take::take_record_batch(&batch, &UInt32Array::from(order)).map_err(arrow_error)
}

/// Paths and rows of the living files of a range.
fn files_chunk(part: &Part, range: Range<usize>) -> Result<(Vec<Vec<u8>>, Batch)> {
    let mut text = Texts::default();
    let mut ints: [Vec<Option<i64>>; 5] = Default::default();
    let (mut mtimes, mut ctimes) = (vec![], vec![]);
    let mut paths = vec![];
    each_file(part, range, |files, file| {
        if !part.is_alive(file) {
            return Ok(());
        }
        let row = files.row()?;
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
        paths.push(row.path);
        Ok(())
    })?;
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
    let batch = Batch::try_new(built_in_schema("files").arrow(), columns).map_err(arrow_error)?;
    Ok((paths, batch))
}

/// A living segment: rank of its code among all codes, its file among those of all parts, its part.
struct Living {
    rank: u32,
    file: u32,
    part: u32,
    segment: time::Segment,
}

/// Rows of `segments`, by code, start, path and offset; with a scan only those that its hints leave. Texts that many
/// rows share are made once and taken by number.
pub fn segments(archive: &Archive, scan: Option<&Scan>) -> Result<Batch> {
    let parts = &archive.parts;
    let mut channels: Vec<&(ChannelCode, String)> = vec![];
    let (mut codes, mut first_channel) = (vec![], vec![]);
    for part in parts {
        first_channel.push(channels.len() as u32);
        channels.extend(part.channels()?);
        for channel in 0..part.channel_count() {
            codes.push(part.code_text(channel)?);
        }
    }
    let (rows, paths) = living(archive, scan, (&codes, &first_channel))?;
    let numbers = |of: &(dyn Fn(&Living) -> u32 + Sync)| -> UInt32Array {
        rows.par_iter().map(of).collect::<Vec<u32>>().into()
    };
    let channel = numbers(&|row| first_channel[row.part as usize] + row.segment.stream);
    let taken = |texts: StringArray, rows: &UInt32Array| {
        arrow_select::take::take(&texts, rows, None).map_err(arrow_error)
    };
    let part_of_code = |pick| code_parts(&channels, pick);
    let sources = parts.iter().map(|p| Some(p.source.as_str())).collect::<StringArray>();
    let int =
        |of: fn(&time::Segment) -> i64| rows.par_iter().map(|row| of(&row.segment)).collect::<Vec<i64>>();
    let float = |of: fn(&time::Segment) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from(rows.par_iter().map(|row| of(&row.segment)).collect::<Vec<f64>>()))
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
        taken(qualities(), &rows.iter().map(|row| quality(&row.segment)).collect())?,
        float(|s| s.drift_s),
        taken(paths, &numbers(&|row| row.file))?,
        Arc::new(Int64Array::from(int(|s| s.byte_offset as i64))),
        Arc::new(Int64Array::from(int(|s| s.bytes as i64))),
        taken(sources, &numbers(&|row| row.part))?,
    ];
    Batch::try_new(built_in_schema("segments").arrow(), columns).map_err(arrow_error)
}

/// One part of the code of each channel. A whole identifier that is no FDSN one has no parts.
pub(super) fn code_parts(channels: &[&(ChannelCode, String)], pick: fn(&ChannelCode) -> &String) -> StringArray {
    let texts = channels.iter().map(|c| &c.0);
    texts.map(|code| Some(pick(code).as_str()).filter(|_| *code != ChannelCode::default())).collect()
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

/// Paths as raw bytes, and the source of each.
type Paths<'a> = Vec<(Vec<u8>, &'a str)>;

/// Of all files of all parts.
fn all_paths(archive: &Archive) -> Result<Paths<'_>> {
    let chunks: Vec<Paths<'_>> = chunks_of(archive, Part::file_count)
        .into_par_iter()
        .map(|(number, range)| {
            let part = &archive.parts[number];
            let mut paths = Vec::with_capacity(range.len());
            each_file(part, range, |files, _| {
                paths.extend(files.current().map(|c| (c.1.to_vec(), part.source.as_str())));
                Ok(())
            })?;
            Ok(paths)
        })
        .collect::<Result<_>>()?;
    Ok(chunks.into_iter().flatten().collect())
}

/// Of the files that rows name, which are numbered anew.
fn named_paths<'a>(archive: &'a Archive, rows: &mut [Living]) -> Result<Paths<'a>> {
    let mut places: Vec<(u32, u32)> = rows.iter().map(|row| (row.part, row.file)).collect();
    places.sort_unstable();
    places.dedup();
    for row in rows {
        row.file = places.binary_search(&(row.part, row.file)).map_or(0, |at| at as u32);
    }
    let path = |(part, file): &(u32, u32)| {
        let part = &archive.parts[*part as usize];
        Ok((part.path(*file)?, part.source.as_str()))
    };
    places.iter().map(path).collect()
}

/// The living segments that the scan wants, in the order of the table, and the paths that their files number.
fn living(
    archive: &Archive,
    scan: Option<&Scan>,
    (codes, first_channel): (&[String], &[u32]),
) -> Result<(Vec<Living>, StringArray)> {
    let mut sorted: Vec<&String> = codes.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let ranks: Vec<u32> =
        codes.iter().map(|c| sorted.binary_search(&c).map_or(0, |rank| rank as u32)).collect();
    let narrowed = scan.map(|scan| wanted_rows(archive, scan)).transpose()?.flatten();
    let is_narrowed = narrowed.is_some();
    let chunks: Vec<Vec<Living>> = narrowed
        .unwrap_or_else(|| chunks_of(archive, Part::segment_count))
        .into_par_iter()
        .map(|(number, range)| {
            let part = &archive.parts[number];
            let mut rows = Vec::with_capacity(range.len());
            part.each_segment(range, |_, file, segment| {
                if part.is_alive(file) {
                    let rank = ranks[(first_channel[number] + segment.stream) as usize];
                    rows.push(Living { rank, file, part: number as u32, segment });
                }
                Ok(())
            })?;
            Ok(rows)
        })
        .collect::<Result<_>>()?;
    let mut rows: Vec<Living> = chunks.into_iter().flatten().collect();
    let paths = if is_narrowed {
        named_paths(archive, &mut rows)?
    } else {
        let first_file = firsts(archive.parts.iter().map(Part::file_count));
        rows.par_iter_mut().for_each(|row| row.file += first_file[row.part as usize]);
        all_paths(archive)?
    };
    let order = |row: &Living| {
        let path = paths.get(row.file as usize);
        (row.rank, row.segment.start, path, row.segment.byte_offset)
    };
    if !rows.is_sorted_by(|a, b| order(a) <= order(b)) {
        rows.par_sort_by(|a, b| order(a).cmp(&order(b)));
    }
    let shown = StringArray::from_iter_values(paths.iter().map(|p| shown_bytes(&p.0)));
    Ok((rows, shown))
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
fn time_lines(archive: &Archive, codes: &Pattern) -> Result<BTreeMap<String, Vec<Interval>>> {
    let mut wanted = vec![];
    for part in &archive.parts {
        for (channel, (code, _)) in part.channels()?.iter().enumerate() {
            if codes.matches_code(code) {
                wanted.push((part, channel));
            }
        }
    }
    let found: Vec<(String, Vec<Interval>)> = wanted
        .into_par_iter()
        .map(|(part, channel)| {
            let mut line = vec![];
            part.each_segment(part.run(channel)?, |_, file, s| {
                if part.is_alive(file) && part.state(file)? != "no_time" {
                    line.push(Interval {
                        start: s.start,
                        end: s.end,
                        sampling_rate: s.sampling_rate,
                        drift_s: s.drift_s,
                    });
                }
                Ok(())
            })?;
            Ok((part.code_text(channel)?, line))
        })
        .collect::<Result<_>>()?;
    let mut lines: BTreeMap<String, Vec<Interval>> = BTreeMap::new();
    for (code, line) in found.into_iter().filter(|f| !f.1.is_empty()) {
        lines.entry(code).or_default().extend(line);
    }
    lines.values_mut().for_each(|l| l.sort_by_key(|i| (i.start, i.end)));
    Ok(lines)
}

fn selected(
    archive: &Archive,
    codes: &Pattern,
    context: &Context<'_>,
) -> Result<BTreeMap<String, Vec<Interval>>> {
    let lines = time_lines(archive, codes)?;
    if lines.is_empty() {
        context.notices.warn(
            "no channel matches the pattern (SELECT DISTINCT code FROM segments lists them)".to_owned(),
        );
    }
    Ok(lines)
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
    for (code, line) in selected(archive, of.0, context)? {
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
    for (code, line) in selected(archive, codes, context)? {
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
