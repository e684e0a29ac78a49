//! The verbs that look at a channel's time line across files: GAPS and COVERAGE.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, DurationNanosecondArray, Float64Array, Int64Array};
use rayon::prelude::*;

use super::archive::{Texts, times};
use crate::engine::bind::Context;
use crate::engine::expr::arrow_error;
use crate::error::{Error, Result};
use crate::index::archive::Archive;
use crate::index::time::{self, Bin, Interval};
use crate::model::station::Pattern;
use crate::model::table::{Batch, Column, Schema, Type};
use crate::model::time::Time;

/// Most bins of one COVERAGE and channel.
const BINS: usize = 10_000_000;

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
