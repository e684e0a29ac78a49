//! Compares what the queries found with what was planted.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use starquake::error::{Error, Result};
use starquake::model::table::Batch;

use super::FAULT;
use super::network::{TravelTime, TravelTimes};
use super::story::Story;
use super::world::{Truth, create, finish};
use crate::style::thousands;

/// Bounds on the error of differential times.
const RMS_MS: f64 = 0.1;
const LARGEST_MS: f64 = 1.0;
/// At least this part of the differential times that could be is found: some lie in the gap or in the truncated file.
const LEAST_FOUND: f64 = 0.97;
/// Files that are not as they should be: one truncated, one of garbage.
const BAD_FILES: usize = 2;
/// Channels with a gap.
const GAPS: usize = 1;

/// One comparison.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) is_good: bool,
    pub(crate) text: String,
}

/// All comparisons; the views of the query file are in the story's session.
pub(crate) fn checks(story: &mut Story<'_>, truth: &Truth) -> Result<Vec<Check>> {
    let mut checks = vec![files(story)?];
    checks.push(links(story, &truth.travel_times)?);
    checks.push(partners(story, truth)?);
    let found = ids(&story.ask("SELECT source_id FROM $orphans ORDER BY source_id")?)?;
    checks.push(same("sources without partner", &found, &truth.orphans));
    for (view, what, planted) in
        [("fading", "fading sources", &truth.fading), ("scattering", "scattering sources", &truth.scattering)]
    {
        let found = ids(&story.ask(&format!("SELECT source_id FROM ${view} ORDER BY source_id"))?)?;
        checks.push(same(what, &found, planted));
    }
    Ok(checks)
}

fn files(story: &mut Story<'_>) -> Result<Check> {
    let bad = rows(&story.ask("SELECT path FROM files WHERE state <> 'ok'")?);
    let gaps = rows(&story.ask("GAPS OF 'DM.*.00.HH?' LONGER 1 s")?);
    let text = format!("archive: {bad} of {BAD_FILES} damaged files named, {gaps} of {GAPS} gap found");
    Ok(Check { is_good: (bad, gaps) == (BAD_FILES, GAPS), text })
}

/// Differential times against the truth, and against what the picks alone say.
fn links(story: &mut Story<'_>, travel_times: &TravelTimes) -> Result<Check> {
    let batches = story.ask("SELECT event1, event2, station, phase, dt FROM $links")?;
    let (mut errors, mut picked, mut strangers) = (Vec::new(), Vec::new(), 0);
    for batch in &batches {
        let text = |column: usize| batch.column(column).as_string_opt::<i32>().ok_or_else(no_column);
        let dt = batch.column(4).as_primitive_opt::<Float64Type>().ok_or_else(no_column)?;
        let (event1, event2, station, phase) = (text(0)?, text(1)?, text(2)?, text(3)?);
        for row in 0..batch.num_rows() {
            let time = |event: &str| {
                let key = (event.to_owned(), station.value(row).to_owned(), phase.value(row).to_owned());
                travel_times.get(&key).copied()
            };
            match (time(event1.value(row)), time(event2.value(row))) {
                (Some(one), Some(two)) if one.cluster == two.cluster => {
                    let true_s = one.true_s - two.true_s;
                    errors.push(1e3 * (dt.value(row) - true_s));
                    picked.push(1e3 * (one.picked_s - two.picked_s - true_s));
                }
                _ => strangers += 1,
            }
        }
    }
    let possible = possible(travel_times);
    let largest = errors.iter().fold(0.0_f64, |most, e| most.max(e.abs()));
    let is_good = strangers == 0
        && errors.len() <= possible
        && errors.len() as f64 >= LEAST_FOUND * possible as f64
        && rms(&errors) <= RMS_MS
        && largest <= LARGEST_MS;
    let count = |n: usize| thousands(n as u64);
    let text = format!(
        "differential times: {} of {} found, error {:.3} ms rms, {largest:.3} ms at most (of the picks {:.1} ms rms; \
         at most {RMS_MS} and {LARGEST_MS} are allowed)",
        count(errors.len()),
        count(possible),
        rms(&errors),
        rms(&picked),
    );
    Ok(Check { is_good, text })
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// Pairs of picks of one phase at one station, both events in one cluster.
fn possible(travel_times: &TravelTimes) -> usize {
    let mut counts: HashMap<(&str, &str, usize), usize> = HashMap::new();
    for ((_, station, phase), time) in travel_times {
        *counts.entry((station, phase, time.cluster)).or_default() += 1;
    }
    counts.values().map(|n| n * (n - 1) / 2).sum()
}

fn partners(story: &mut Story<'_>, truth: &Truth) -> Result<Check> {
    let batches = story.ask("SELECT infrared_id, optical_id FROM $matched ORDER BY infrared_id")?;
    let mut found = Vec::new();
    for batch in &batches {
        let column = |i: usize| batch.column(i).as_primitive_opt::<Int64Type>().ok_or_else(no_column);
        found.extend(column(0)?.values().iter().copied().zip(column(1)?.values().iter().copied()));
    }
    Ok(same("partners within 3 arcsec", &found, &truth.partners))
}

/// Both lists are sorted.
fn same<T: Ord>(what: &str, found: &[T], planted: &[T]) -> Check {
    let right = found.iter().filter(|id| planted.binary_search(id).is_ok()).count();
    let count = |n: usize| thousands(n as u64);
    let wrong = found.len() - right;
    let text = format!("{what}: {} of {} found, {} wrong", count(right), count(planted.len()), count(wrong));
    Check { is_good: found == planted, text }
}

fn ids(batches: &[Batch]) -> Result<Vec<i64>> {
    let mut ids = Vec::new();
    for batch in batches {
        ids.extend(batch.column(0).as_primitive_opt::<Int64Type>().ok_or_else(no_column)?.values());
    }
    Ok(ids)
}

fn rows(batches: &[Batch]) -> usize {
    batches.iter().map(Batch::num_rows).sum()
}

fn no_column() -> Error {
    Error::refused("a column of an answer has an unexpected type", FAULT)
}

/// Writes the true differential times, so that other programs can be compared too.
pub(crate) fn write_truth(truth: &Truth, path: &Path) -> Result<()> {
    let mut times: Vec<(&(String, String, String), &TravelTime)> = truth.travel_times.iter().collect();
    times.sort_by_key(|t| t.0);
    let mut file = create(path)?;
    let mut write = |line: String| writeln!(file, "{line}").map_err(|e| Error::io("write", path, e));
    write("event,station,phase,cluster,true_travel_time_s,picked_travel_time_s".to_owned())?;
    for ((event, station, phase), time) in times {
        let TravelTime { cluster, true_s, picked_s } = time;
        write(format!("{event},{station},{phase},{},{true_s:.9},{picked_s:.9}", cluster + 1))?;
    }
    finish(file, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::network::Network;

    #[test]
    fn what_is_wrong_is_counted() {
        let cases: [(&[i64], &[i64], bool, &str); 3] = [
            (&[1, 2], &[1, 2], true, "x: 2 of 2 found, 0 wrong"),
            (&[1], &[1, 2], false, "x: 1 of 2 found, 0 wrong"),
            (&[1, 3], &[1, 2], false, "x: 1 of 2 found, 1 wrong"),
        ];
        for (found, planted, is_good, text) in cases {
            let check = same("x", found, planted);
            assert_eq!((check.is_good, check.text.as_str()), (is_good, text));
        }
    }

    #[test]
    fn pairs_of_picks_are_counted() {
        let possible = possible(&Network::new().travel_times());
        // 190 pairs in each of two clusters, 12 stations, 2 phases; 3 % of the picks are missing.
        assert!(possible > 8_200 && possible < 9_120, "{possible}");
    }
}
