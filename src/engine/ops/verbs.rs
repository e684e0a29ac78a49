//! PAIRS, CORRELATE and VARIABILITY: gathers what the operator needs, runs it, and puts its counts in the footer.

use std::collections::HashSet;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;

use super::pair::{Catalogue, PairStats, Stations};
use super::stored::StoredWaveforms;
use super::{correlate, pair, variability};
use crate::engine::analyze::{counted, thousands};
use crate::engine::bind::Context;
use crate::engine::exec::collect_one;
use crate::engine::expr::arrow_error;
use crate::engine::plan::{BandPlan, Node, Plan, Scan};
use crate::error::{Error, Result};
use crate::model::table::{Batch, Column};

/// The rows of the verb at `node`.
pub fn run(node: &Node, context: &Context<'_>) -> Result<Batch> {
    match &node.plan {
        Plan::Variability { input, keys, bands, spec } => {
            run_variability(input, *keys, (bands, spec), context)
        }
        Plan::Pairs { events, spec } => {
            let catalogue = catalogue(events, context)?;
            let found = pair::pairs(&catalogue, stations(context)?.as_ref(), spec, context.cancel)?;
            tell_pairs(&found.stats, context);
            pair::pairs_batch(&catalogue, &found)
        }
        Plan::Correlate { events, against, spec } => {
            let mut all = catalogue(events, context)?;
            if let Some(against) = against {
                all = all.against(catalogue(against, context)?)?;
            }
            let waveforms = StoredWaveforms::new(context.tables.archive()?)?;
            let stations = stations(context)?;
            let done = correlate::correlate(all, stations.as_ref(), &waveforms, spec, context.cancel)?;
            tell_correlate(&done.stats, context);
            correlate_notes(&done.stats).into_iter().for_each(|line| context.note(node, || line));
            context.notices.keep_refusals(done.refusals);
            Ok(done.rows)
        }
        _ => Err(Error::refused("this plan is not a verb", "")),
    }
}

/// Events of a plan with all their picks.
fn catalogue(events: &Node, context: &Context<'_>) -> Result<Catalogue> {
    let events = collect_one(events, context)?;
    let picks = of_same_source(&events, built_in("picks", context)?)?;
    Catalogue::from_batches(&[events], &[picks])
}

/// The picks that come from the source of their event: two versions of a bulletin may share ids. Events of a query
/// that left `source` out take the picks of every source.
fn of_same_source(events: &Batch, picks: Batch) -> Result<Batch> {
    let text = |batch: &Batch, name: &str| batch.column_by_name(name).map(|c| c.as_string::<i32>().clone());
    let (Some(ids), Some(sources)) = (text(events, "event_id"), text(events, "source")) else {
        return Ok(picks);
    };
    let (Some(of), Some(from)) = (text(&picks, "event_id"), text(&picks, "source")) else { return Ok(picks) };
    let known: HashSet<(Option<&str>, Option<&str>)> = ids.iter().zip(sources.iter()).collect();
    let keep: Vec<bool> = of.iter().zip(from.iter()).map(|pair| known.contains(&pair)).collect();
    arrow_select::filter::filter_record_batch(&picks, &keep.into()).map_err(arrow_error)
}

/// Where the stations are, if any were imported.
fn stations(context: &Context<'_>) -> Result<Option<Stations>> {
    let batch = built_in("stations", context)?;
    if batch.num_rows() == 0 { Ok(None) } else { Stations::from_batches(&[batch]).map(Some) }
}

/// All rows of a built-in table.
pub fn built_in(table: &str, context: &Context<'_>) -> Result<Batch> {
    let Some(info) = context.tables.find(table) else {
        return Err(Error::Refused { message: format!("there is no table `{table}`"), help: None });
    };
    let plan = Plan::Scan(Scan {
        table: info.name,
        source: None,
        columns: (0..info.columns.len()).collect(),
        ranges: vec![],
        region: None,
        channels: vec![],
    });
    collect_one(&Node { plan, columns: info.columns }, context)
}

fn tell_pairs(stats: &PairStats, context: &Context<'_>) {
    let counts = [
        (stats.without_time, "events without origin time are not paired"),
        (stats.without_position, "events without position are not paired"),
        (stats.without_depth, "events without depth are taken at 0 km"),
        (stats.below_min_observations, "events with fewer picks than MINOBS"),
        (stats.duplicate_picks, "picks of a phase picked twice were left out"),
        (stats.stray_picks, "picks belong to no event given"),
        (stats.unplaced_links, "links at stations whose place is not known were left out"),
    ];
    for (count, what) in counts.into_iter().filter(|c| c.0 > 0) {
        context.notices.footer(format!("{count} {what}"));
    }
}

fn tell_correlate(stats: &correlate::Stats, context: &Context<'_>) {
    tell_pairs(&stats.pair_stats, context);
    context.notices.footer(format!(
        "{} pairs, {} links, {} windows ({} refused), {} correlations, {} below MINCC",
        stats.pairs,
        stats.links,
        stats.windows,
        stats.windows_refused,
        stats.correlations,
        stats.below_min_cc
    ));
    if stats.below_min_snr > 0 {
        context.notices.footer(format!("{} below MINSNR", stats.below_min_snr));
    }
    if stats.unlisted > 0 {
        context.notices.footer(format!("{} more refusals than the table `refusals` holds", stats.unlisted));
    }
    let refused: Vec<String> = stats.refused.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
    if !refused.is_empty() {
        context.notices.footer(format!("refused: {}", refused.join(", ")));
    }
}

/// For EXPLAIN ANALYZE: what came out of each stage, why the rest did not, and how long it took.
fn correlate_notes(stats: &correlate::Stats) -> Vec<String> {
    let count = |n: usize, what: &str| counted(n as u64, what);
    let number = |n: usize| thousands(n as u64);
    let good = stats.windows.saturating_sub(stats.windows_refused);
    let uses = 2 * stats.correlations;
    let reasons = stats.refused.iter().map(|(reason, n)| (*reason, *n));
    let drops = [("below_mincc", stats.below_min_cc), ("below_minsnr", stats.below_min_snr)];
    let left_out: Vec<String> = reasons
        .chain(drops.into_iter().filter(|d| d.1 > 0))
        .map(|(reason, n)| format!("{reason} {}", number(n)))
        .collect();
    let left_out = if left_out.is_empty() { "nothing".to_owned() } else { left_out.join(", ") };
    let ms = |s: f64| format!("{:.2} ms", s * 1e3);
    vec![
        format!(
            "pairs: {}, {} at {}",
            count(stats.pairs, "pair"),
            count(stats.links, "link"),
            count(stats.stations, "station")
        ),
        format!(
            "windows: {} read and conditioned, {} refused; used {} times, {} from memory",
            number(stats.windows),
            number(stats.windows_refused),
            number(uses),
            number(uses.saturating_sub(good))
        ),
        format!(
            "correlated: {}, {} given up early by the bound of MINCC",
            count(stats.correlations, "function"),
            number(stats.rejected_early)
        ),
        format!("kept: {}; left out (FROM refusals): {left_out}", count(stats.rows, "row")),
        format!(
            "time: pairs {}, finding windows {}, reading and conditioning {}, correlation {}, sorting {}",
            ms(stats.pair_s),
            ms(stats.find_s),
            ms(stats.window_s),
            ms(stats.correlate_s),
            ms(stats.rows_s)
        ),
    ]
}

fn run_variability(
    input: &Node,
    keys: usize,
    how: (&[BandPlan], &variability::Spec),
    context: &Context<'_>,
) -> Result<Batch> {
    let (bands, spec) = how;
    let batch = collect_one(input, context)?;
    let column =
        |i: usize| -> (Column, ArrayRef) { (input.columns[i].column.clone(), batch.column(i).clone()) };
    let key_columns: Vec<(Column, ArrayRef)> = (0..keys).map(column).collect();
    let (time_column, times) = column(keys);
    let bands: Vec<variability::Band> = bands
        .iter()
        .map(|b| variability::Band {
            name: b.name.clone(),
            unit: input.columns[b.value].column.unit.clone(),
            value: batch.column(b.value).clone(),
            error: b.error.map(|e| batch.column(e).clone()),
            when: b.when.map(|w| batch.column(w).as_boolean().clone()),
        })
        .collect();
    let answer = variability::variability(&key_columns, (&time_column, times), &bands, spec, context.cancel)?;
    context.notices.footer(format!("{} epochs of {} sources", batch.num_rows(), answer.num_rows()));
    Ok(answer)
}
