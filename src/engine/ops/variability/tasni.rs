//! COMPAT tasni: the published columns of the TASNI project by its plain formulas, which differ from ours on purpose:
//! the mean of chi-square and trend is unweighted and taken over every value, J has no bias factor and is divided by
//! sqrt(n), and one NULL value makes the rms NULL. `n_epochs` counts all rows of the source; rows for which a band's
//! WHEN is not TRUE have no value there.
//! Source: <https://github.com/denster32/TASNI>, `compute_ir_variability` with the thresholds of the published table.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};

use super::epochs::Rows;
use super::group::Run;
use super::layout::check_unique;
use super::{BandInfo, EpochTable, Scratch, Spec, refuse_arrow};
use crate::engine::session::Cancel;
use crate::error::{Error, Result};
use crate::model::table::{Batch, Column, Schema, Type};
use crate::model::units::Unit;
use crate::stats::sample::ratio;
use crate::stats::slope::YEAR_DAYS;
use crate::stats::sums::{sum, sum2};
use crate::stats::{Sample, rms, slope};

/// Fewest rows of a source that are looked at.
const MIN_EPOCHS: usize = 10;
/// Scatter of a stable source stays below this, in mag.
const STABLE_RMS_MAG: f64 = 0.05;
/// Reduced chi-square of a stable source stays below this.
const STABLE_CHI2: f64 = 2.0;
/// Scatter of a variable source is above this, in mag.
const VARIABLE_RMS_MAG: f64 = 0.15;
/// Reduced chi-square of a variable source is above this.
const VARIABLE_CHI2: f64 = 5.0;
/// A trend is steeper than this, in mag a year.
const TREND_MAG_PER_YR: f64 = 0.020;

/// The statistics of one band.
#[derive(Clone, Copy, Debug, Default)]
struct BandStats {
    rms: Option<f64>,
    chi2: Option<f64>,
    trend: Option<f64>,
    trend_p: Option<f64>,
}

/// One row of the answer before it is classified.
#[derive(Debug, Default)]
struct Source {
    n_epochs: i64,
    is_sufficient: bool,
    baseline_years: Option<f64>,
    bands: [BandStats; 2],
    stetson_j: Option<f64>,
}

/// What the thresholds make of a source.
#[derive(Debug, PartialEq)]
struct Class {
    is_variable: bool,
    is_stable: bool,
    trend_type: &'static str,
    score: f64,
    flag: &'static str,
}

/// The published columns; the names of the bands stand in for w1 and w2.
pub fn output_schema(keys: &[Column], bands: &[BandInfo], spec: &Spec) -> Result<Schema> {
    let [a, b] = bands else {
        return Err(Error::refused(
            format!("COMPAT tasni needs two bands, not {}", bands.len()),
            "write BAND w1(value, error) BAND w2(value, error)",
        ));
    };
    if let Some(band) = bands.iter().find(|b| !b.has_error) {
        return Err(Error::refused(
            format!("COMPAT tasni needs the errors of band `{}`", band.name),
            format!("write BAND {}(value, error)", band.name),
        ));
    }
    if spec.stats.is_some() || spec.pair_within_days.is_some() {
        return Err(Error::refused(
            "COMPAT tasni has columns of its own: STATS and PAIR WITHIN do not go with it",
            "leave out COMPAT tasni, or STATS and PAIR WITHIN",
        ));
    }
    let mut columns = keys.to_vec();
    columns.push(Column::typed("n_epochs", Type::Int));
    columns.push(Column::typed("baseline_years", Type::Float).with_unit("yr"));
    let mut push = |prefix: &str, unit: &dyn Fn(&BandInfo) -> Option<Unit>| {
        for band in [a, b] {
            let mut column = Column::typed(format!("{prefix}_{}", band.name), Type::Float);
            column.unit = unit(band);
            columns.push(column);
        }
    };
    push("rms", &|band| band.unit.clone());
    push("chi2", &|_| None);
    push("trend", &|band| band.unit.as_ref().map(|u| Unit::imported(&format!("{}/yr", u.name))));
    push("trend_p", &|_| None);
    let after_chi2 = columns.len() - 4;
    columns.insert(after_chi2, Column::typed("stetson_j", Type::Float));
    columns.push(Column::typed("is_variable", Type::Bool));
    columns.push(Column::typed("is_stable", Type::Bool));
    columns.push(Column::typed("trend_type", Type::Text));
    columns.push(Column::typed("variability_score", Type::Float));
    columns.push(Column::typed("variability_flag", Type::Text));
    let schema = Schema::new(columns);
    check_unique(&schema)?;
    Ok(schema)
}

/// One row per key, in ascending order of the keys.
pub(super) fn run(
    table: &EpochTable,
    keys: &[Column],
    bands: &[BandInfo],
    spec: &Spec,
    cancel: &Cancel,
) -> Result<Batch> {
    let schema = output_schema(keys, bands, spec)?;
    let min_epochs = spec.min_epochs.max(MIN_EPOCHS);
    let sources =
        table.map_groups(0..table.groups.len(), cancel, |s, runs| measure(table, runs, min_epochs, s))?;
    let classes: Vec<Class> = sources.iter().map(classify).collect();
    let floats = |f: &dyn Fn(&Source) -> Option<f64>| -> ArrayRef {
        Arc::new(sources.iter().map(f).collect::<Float64Array>())
    };
    let both = |f: &dyn Fn(&BandStats) -> Option<f64>| [0, 1].map(|i| floats(&|s| f(&s.bands[i])));
    let bools = |f: &dyn Fn(&Class) -> bool| -> ArrayRef {
        Arc::new(classes.iter().map(|c| Some(f(c))).collect::<BooleanArray>())
    };
    let texts = |f: &dyn Fn(&Class) -> &'static str| -> ArrayRef {
        Arc::new(classes.iter().map(|c| Some(f(c))).collect::<StringArray>())
    };
    let mut columns = table.group_keys()?;
    columns.push(Arc::new(sources.iter().map(|s| Some(s.n_epochs)).collect::<Int64Array>()));
    columns.push(floats(&|s| s.baseline_years));
    columns.extend(both(&|b| b.rms));
    columns.extend(both(&|b| b.chi2));
    columns.push(floats(&|s| s.stetson_j));
    columns.extend(both(&|b| b.trend));
    columns.extend(both(&|b| b.trend_p));
    columns.push(bools(&|c| c.is_variable));
    columns.push(bools(&|c| c.is_stable));
    columns.push(texts(&|c| c.trend_type));
    columns.push(Arc::new(classes.iter().map(|c| Some(c.score)).collect::<Float64Array>()));
    columns.push(texts(&|c| c.flag));
    Batch::try_new(schema.arrow(), columns).map_err(refuse_arrow)
}

fn measure(table: &EpochTable, runs: &[Run], min_epochs: usize, scratch: &mut Scratch) -> Source {
    let n_epochs = runs.iter().map(|r| i64::from(r.1 - r.0)).sum();
    let is_sufficient = n_epochs >= min_epochs as i64;
    let mut source = Source { n_epochs, is_sufficient, ..Source::default() };
    if !is_sufficient {
        return source;
    }
    let ordered = table.times.arrange(runs, &mut scratch.list, &mut scratch.untimed);
    table.times.days(ordered, &mut scratch.days);
    source.baseline_years = scratch.days.last().map(|days| days / YEAR_DAYS);
    // rows without a time come last: they have values, and no part in the trend
    let mut rows = ordered.to_vec();
    rows.extend(&scratch.untimed);
    let rows = Rows::List(&rows);
    let mut columns: [(Vec<f64>, Vec<f64>); 2] = Default::default();
    for ((band, (values, errors)), stats) in table.bands.iter().zip(&mut columns).zip(&mut source.bands) {
        band.read(rows, (values, errors));
        band.blank(rows, values);
        *stats = band_stats(&scratch.days, values, errors);
    }
    let [(a, a_errors), (b, b_errors)] = &columns;
    source.stetson_j = plain_j((a, a_errors), (b, b_errors));
    source
}

/// `days` may be shorter than the others: the rest has no time.
fn band_stats(days: &[f64], values: &[f64], errors: &[f64]) -> BandStats {
    let known = days.iter().zip(values).filter(|(_, v)| !v.is_nan());
    let (days, known): (Vec<f64>, Vec<f64>) = known.map(|(d, v)| (*d, *v)).unzip();
    let sample = Sample::new(&days, &known, None);
    BandStats {
        rms: plain_rms(values),
        chi2: plain_chi2(values, errors),
        trend: slope::slope(&sample),
        trend_p: slope::slope_p(&sample),
    }
}

/// Standard deviation, NULL if one value is.
fn plain_rms(values: &[f64]) -> Option<f64> {
    if values.iter().any(|v| v.is_nan()) { None } else { rms::rms(&Sample::new(&[], values, None)) }
}

/// Mean over every value there is, sum and count over those with a positive error.
fn plain_chi2(values: &[f64], errors: &[f64]) -> Option<f64> {
    let known: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    let mean = Sample::new(&[], &known, None).mean_value();
    let valid = values.iter().zip(errors).filter(|(v, s)| !v.is_nan() && **s > 0.0);
    let residuals: Vec<f64> = valid.map(|(v, s)| (v - mean) / s).collect();
    ratio(sum(&residuals, |z| z * z), residuals.len() as f64 - 1.0)
}

/// Over the epochs valid in both bands, means included.
fn plain_j((a, a_errors): (&[f64], &[f64]), (b, b_errors): (&[f64], &[f64])) -> Option<f64> {
    let valid = |i: &usize| !a[*i].is_nan() && !b[*i].is_nan() && a_errors[*i] > 0.0 && b_errors[*i] > 0.0;
    let rows: Vec<usize> = (0..a.len()).filter(valid).collect();
    if rows.len() < 2 {
        return None;
    }
    let residuals = |values: &[f64], errors: &[f64]| -> Vec<f64> {
        let chosen: Vec<f64> = rows.iter().map(|&i| values[i]).collect();
        let sample = Sample::new(&[], &chosen, None);
        sample.deviations().iter().zip(&rows).map(|(d, &i)| d / errors[i]).collect()
    };
    let (a, b) = (residuals(a, a_errors), residuals(b, b_errors));
    let j = sum2(&a, &b, |a, b| (a * b).abs().sqrt().copysign(a * b));
    ratio(j, (rows.len() as f64).sqrt())
}

/// The thresholds; a comparison with NULL is false.
fn classify(source: &Source) -> Class {
    let any = |get: fn(&BandStats) -> Option<f64>, test: &dyn Fn(f64) -> bool| {
        source.bands.iter().any(|b| get(b).is_some_and(test))
    };
    let is_stable = source
        .bands
        .iter()
        .all(|b| b.rms.is_some_and(|r| r < STABLE_RMS_MAG) && b.chi2.is_some_and(|c| c < STABLE_CHI2));
    let is_variable = any(|b| b.rms, &|r| r > VARIABLE_RMS_MAG) || any(|b| b.chi2, &|c| c > VARIABLE_CHI2);
    let fading = any(|b| b.trend, &|t| t > TREND_MAG_PER_YR);
    let brightening = any(|b| b.trend, &|t| t < -TREND_MAG_PER_YR);
    let score = |is: bool, points: f64| if is { points } else { 0.0 };
    Class {
        is_variable,
        is_stable,
        trend_type: match (brightening, fading) {
            (true, _) => "brightening",
            (false, true) => "fading",
            (false, false) => "none",
        },
        score: score(is_stable, 10.0)
            + score(is_variable, -10.0)
            + score(fading, 25.0)
            + score(brightening, -5.0),
        flag: match () {
            () if !source.is_sufficient => "INSUFFICIENT_DATA",
            () if fading => "FADING",
            () if is_variable => "VARIABLE",
            () if is_stable => "STABLE",
            () if brightening => "BRIGHTENING",
            () => "NORMAL",
        },
    }
}
