//! VARIABILITY: statistics of the light curve of every source.
//!
//! Rows are grouped by key and, inside a source, taken in time order (equal times in row order). An epoch is valid in
//! a band when time, value and error are there and the error is positive (a band without an error column: time and
//! value); every statistic of the band uses exactly these. NaN and infinities count as NULL. A value whose error is
//! NULL is an upper limit, counted in `b_limits`; what else is not valid is counted in `b_skipped`; rows for which
//! the band's WHEN is not TRUE do not belong to the band and are not counted, so `b_n + b_limits + b_skipped` is the
//! number of rows of the band. `n` counts all rows of the source.
//!
//! With fewer valid epochs than MINEPOCHS or than the statistic needs, statistics are NULL and the row stays; for
//! statistics of two bands the pairs are counted against both. Pairs are the valid epochs of one row, or with PAIR
//! WITHIN those close in time ([`crate::stats::pairs::pair_within`]).
//!
//! The answer has one row per key in ascending order of the keys, first key first, NULL last; text in byte order.

mod epochs;
mod group;
mod layout;
mod tasni;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int64Builder};
use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::take::take;
use rayon::prelude::*;

use crate::engine::session::Cancel;
use crate::error::{Error, Result};
use crate::limits::BATCH_ROWS;
use crate::model::table::{Batch, Column, Schema};
use crate::model::units::Unit;
use crate::stats::pairs::{Pairs, pair_same, pair_within};
use crate::stats::{Sample, eta_e};

use epochs::{Numbers, Rows, Times};
use group::{Groups, Run, group};
use layout::{Cell, Layout};

/// One band: a column of values and what goes with it, one element per epoch.
#[derive(Clone, Debug)]
pub struct Band {
    /// Name before the `_` of the statistics' columns.
    pub name: String,
    /// Unit of the values.
    pub unit: Option<Unit>,
    /// Values, any number type.
    pub value: ArrayRef,
    /// Errors of the values in the same unit, any number type.
    pub error: Option<ArrayRef>,
    /// The band's WHEN; rows where it is not TRUE are not of this band.
    pub when: Option<BooleanArray>,
}

impl Band {
    /// What the schema of the answer depends on.
    pub fn info(&self) -> BandInfo {
        BandInfo { name: self.name.clone(), unit: self.unit.clone(), has_error: self.error.is_some() }
    }
}

/// A band before there are rows.
#[derive(Clone, Debug, PartialEq)]
pub struct BandInfo {
    /// Name before the `_` of the statistics' columns.
    pub name: String,
    /// Unit of the values.
    pub unit: Option<Unit>,
    /// It has an error column.
    pub has_error: bool,
}

/// The options of VARIABILITY.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// MINEPOCHS: with fewer valid epochs the statistics of a band are NULL.
    pub min_epochs: usize,
    /// STATS, any case; `None` is all of them. The counts and times of the source are always there.
    pub stats: Option<Vec<String>>,
    /// PAIR WITHIN, in days: epochs of two bands at most so far apart are pairs. `None`: those of one row.
    pub pair_within_days: Option<f64>,
    /// COMPAT tasni: the columns and formulas of that project.
    pub compat_tasni: bool,
}

/// The columns that [`variability`] returns for such keys, time and bands.
pub fn output_schema(keys: &[Column], time: &Column, bands: &[BandInfo], spec: &Spec) -> Result<Schema> {
    check_spec(keys, bands, spec)?;
    if spec.compat_tasni {
        return tasni::output_schema(keys, bands, spec);
    }
    Ok(Layout::new(keys, time, bands, spec)?.schema)
}

/// One row of statistics per key; the module's text says which epochs count and in which order rows come. Refused are
/// columns of unequal length, times or values that are no numbers, and options that do not go together.
pub fn variability(
    keys: &[(Column, ArrayRef)],
    time: (&Column, ArrayRef),
    bands: &[Band],
    spec: &Spec,
    cancel: &Cancel,
) -> Result<Batch> {
    let infos: Vec<BandInfo> = bands.iter().map(Band::info).collect();
    let (key_columns, key_arrays) = unzip_keys(keys);
    let time_column = Column { data_type: time.1.data_type().clone(), ..time.0.clone() };
    check_spec(&key_columns, &infos, spec)?;
    let source = EpochTable::new(&key_arrays, (&time_column, &time.1), bands, cancel)?;
    if spec.compat_tasni {
        return tasni::run(&source, &key_columns, &infos, spec, cancel);
    }
    let layout = Layout::new(&key_columns, &time_column, &infos, spec)?;
    source.measure_all(&layout, spec, cancel)
}

fn unzip_keys(keys: &[(Column, ArrayRef)]) -> (Vec<Column>, Vec<ArrayRef>) {
    let columns =
        keys.iter().map(|(c, a)| Column { data_type: a.data_type().clone(), ..c.clone() }).collect();
    (columns, keys.iter().map(|k| k.1.clone()).collect())
}

fn check_spec(keys: &[Column], bands: &[BandInfo], spec: &Spec) -> Result<()> {
    if keys.is_empty() {
        return Err(Error::refused("VARIABILITY needs the column that names the source", "add BY column"));
    }
    if bands.is_empty() {
        return Err(Error::refused("VARIABILITY needs a band", "add BAND name(value, error)"));
    }
    if spec.pair_within_days.is_some_and(|days| !days.is_finite() || days < 0.0) {
        return Err(Error::refused("PAIR WITHIN takes a duration that is not negative", "PAIR WITHIN 1 h"));
    }
    Ok(())
}

/// An Arrow kernel's refusal (a key type that cannot be compared) as ours.
fn refuse_arrow(error: ArrowError) -> Error {
    Error::Refused { message: format!("VARIABILITY cannot use these columns: {error}"), help: None }
}

/// A band with its columns ready to read.
#[derive(Debug)]
struct BandColumns {
    value: Numbers,
    error: Option<Numbers>,
    when: Option<BooleanArray>,
}

/// The input, grouped by source.
#[derive(Debug)]
struct EpochTable {
    keys: Vec<ArrayRef>,
    groups: Groups,
    time: ArrayRef,
    times: Times,
    bands: Vec<BandColumns>,
}

/// The numbers of one source, in the order of the layout; NaN is NULL.
#[derive(Debug, Default)]
struct Measured {
    first: Option<u32>,
    last: Option<u32>,
    counts: Vec<i64>,
    floats: Vec<f64>,
}

/// Working memory of one thread.
#[derive(Debug, Default)]
struct Scratch {
    list: Vec<u32>,
    untimed: Vec<u32>,
    days: Vec<f64>,
    values: Vec<f64>,
    errors: Vec<f64>,
    bands: Vec<BandEpochs>,
    links: Vec<(u32, u32)>,
}

/// The valid epochs of one band of one source.
#[derive(Debug, Default)]
struct BandEpochs {
    sample: Sample,
    /// Place of each epoch among the rows of the source.
    places: Vec<u32>,
    limits: i64,
    skipped: i64,
}

impl EpochTable {
    fn new(keys: &[ArrayRef], time: (&Column, &ArrayRef), bands: &[Band], cancel: &Cancel) -> Result<Self> {
        let rows = time.1.len();
        let when = bands.iter().filter_map(|b| b.when.as_ref().map(Array::len));
        let columns = bands.iter().flat_map(|b| [Some(&b.value), b.error.as_ref()]).flatten();
        let mut lengths = keys.iter().chain(columns).map(|a| a.len()).chain(when);
        if lengths.any(|length| length != rows) {
            return Err(Error::Refused {
                message: "the columns of VARIABILITY differ in length".to_owned(),
                help: None,
            });
        }
        let bands = bands.iter().map(|band| {
            let error = band.error.as_ref().map(|e| Numbers::new(e, &band.name)).transpose()?;
            Ok(BandColumns { value: Numbers::new(&band.value, &band.name)?, error, when: band.when.clone() })
        });
        Ok(EpochTable {
            bands: bands.collect::<Result<_>>()?,
            times: Times::new(time.0, time.1)?,
            groups: group(keys, rows, cancel)?,
            keys: keys.to_vec(),
            time: time.1.clone(),
        })
    }

    /// One value per group, in group order, whatever the number of threads; an error once somebody asks to stop.
    fn map_groups<T: Send>(
        &self,
        range: std::ops::Range<usize>,
        cancel: &Cancel,
        f: impl Fn(&mut Scratch, &[Run]) -> T + Sync,
    ) -> Result<Vec<T>> {
        let one = |s: &mut Scratch, group| cancel.check().map(|()| f(s, self.groups.runs(group)));
        range.into_par_iter().map_init(Scratch::default, one).collect()
    }

    /// The keys of all groups.
    fn group_keys(&self) -> Result<Vec<ArrayRef>> {
        let rows = self.groups.first_rows();
        self.keys.iter().map(|k| take(k, &rows, None).map_err(refuse_arrow)).collect()
    }

    fn measure_all(&self, layout: &Layout, spec: &Spec, cancel: &Cancel) -> Result<Batch> {
        let mut builders = Builders::new(layout, self.groups.len());
        // blocks of sources bound the memory beside the answer itself
        for start in (0..self.groups.len()).step_by(BATCH_ROWS) {
            let end = (start + BATCH_ROWS).min(self.groups.len());
            let measure = |scratch: &mut Scratch, runs: &[Run]| self.measure(runs, layout, spec, scratch);
            let rows = self.map_groups(start..end, cancel, measure)?;
            rows.iter().for_each(|row| builders.push(row));
        }
        let keys = self.group_keys()?;
        let times =
            |rows: &[Option<u32>]| take(&self.time, &rows.iter().copied().collect::<UInt32Array>(), None);
        let first = times(&builders.first).map_err(refuse_arrow)?;
        let last = times(&builders.last).map_err(refuse_arrow)?;
        let mut counts: Vec<ArrayRef> =
            builders.counts.iter_mut().map(|b| Arc::new(b.finish()) as _).collect();
        let mut floats: Vec<ArrayRef> =
            builders.floats.iter_mut().map(|b| Arc::new(b.finish()) as _).collect();
        let columns = layout.cells.iter().map(|cell| match *cell {
            Cell::Key(i) => keys[i].clone(),
            Cell::First => first.clone(),
            Cell::Last => last.clone(),
            Cell::Count(i) => std::mem::replace(&mut counts[i], first.clone()),
            Cell::Float(i) => std::mem::replace(&mut floats[i], first.clone()),
        });
        Batch::try_new(layout.schema.arrow(), columns.collect()).map_err(refuse_arrow)
    }

    fn measure(&self, runs: &[Run], layout: &Layout, spec: &Spec, scratch: &mut Scratch) -> Measured {
        let mut row = Measured::default();
        let rows = self.times.arrange(runs, &mut scratch.list, &mut scratch.untimed);
        self.times.days(rows, &mut scratch.days);
        row.first = (rows.len() > 0).then(|| rows.at(0));
        row.last = rows.len().checked_sub(1).map(|place| rows.at(place));
        row.counts.push(runs.iter().map(|r| i64::from(r.1 - r.0)).sum());
        row.floats.push(scratch.days.last().copied().unwrap_or(f64::NAN));
        scratch.bands.resize_with(self.bands.len(), BandEpochs::default);
        for ((columns, layout), band) in self.bands.iter().zip(&layout.bands).zip(&mut scratch.bands) {
            columns.read(rows, (&mut scratch.values, &mut scratch.errors));
            band.select(columns, rows, &scratch.days, (&scratch.values, &scratch.errors));
            columns.read(Rows::List(&scratch.untimed), (&mut scratch.values, &mut scratch.errors));
            band.count_untimed(columns, &scratch.untimed, (&scratch.values, &scratch.errors));
            let sample = &band.sample;
            row.counts.extend([sample.len() as i64, band.limits, band.skipped]);
            if layout.zero_steps {
                row.counts.push(eta_e::zero_steps(sample) as i64);
            }
            let enough = sample.len() >= spec.min_epochs;
            let values = layout.stats.iter().map(|s| s.of(sample).filter(|_| enough).unwrap_or(f64::NAN));
            row.floats.extend(values);
        }
        for pair in &layout.pairs {
            let (a, b) = (&scratch.bands[pair.bands.0], &scratch.bands[pair.bands.1]);
            match spec.pair_within_days {
                None => pair_same(&a.places, &b.places, &mut scratch.links),
                Some(days) => {
                    pair_within(a.sample.times_days(), b.sample.times_days(), days, &mut scratch.links);
                }
            }
            let pairs = Pairs { first: &a.sample, second: &b.sample, links: &scratch.links };
            row.counts.push(scratch.links.len() as i64);
            let enough = scratch.links.len() >= spec.min_epochs;
            let values = pair.stats.iter().map(|s| s.of(&pairs).filter(|_| enough).unwrap_or(f64::NAN));
            row.floats.extend(values);
        }
        row
    }
}

impl BandColumns {
    /// Values and errors of these rows, NaN for NULL; no errors without an error column.
    fn read(&self, rows: Rows<'_>, (values, errors): (&mut Vec<f64>, &mut Vec<f64>)) {
        self.value.read(rows, values);
        errors.clear();
        if let Some(error) = &self.error {
            error.read(rows, errors);
        }
    }

    /// Takes away the values of rows that do not belong to the band.
    fn blank(&self, rows: Rows<'_>, values: &mut [f64]) {
        if self.when.is_some() {
            for (_, value) in values.iter_mut().enumerate().filter(|(place, _)| !self.has(rows.at(*place))) {
                *value = f64::NAN;
            }
        }
    }

    /// The row belongs to the band.
    fn has(&self, row: u32) -> bool {
        let row = row as usize;
        self.when.as_ref().is_none_or(|when| when.is_valid(row) && when.value(row))
    }
}

/// What an epoch is to a band; `error` is `None` in a band without an error column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Validity {
    Valid,
    Limit,
    Skipped,
}

fn validity(value: f64, error: Option<f64>) -> Validity {
    match error {
        _ if !value.is_finite() => Validity::Skipped,
        None => Validity::Valid,
        Some(error) if !error.is_finite() => Validity::Limit,
        Some(error) if error > 0.0 => Validity::Valid,
        Some(_) => Validity::Skipped,
    }
}

impl BandEpochs {
    /// Takes over the valid ones of the epochs of a source, which all have a time, and counts the others.
    fn select(
        &mut self,
        band: &BandColumns,
        rows: Rows<'_>,
        days: &[f64],
        (values, errors): (&[f64], &[f64]),
    ) {
        (self.limits, self.skipped) = (0, 0);
        self.places.clear();
        let has_errors = band.error.is_some();
        let usable = values.iter().all(|v| v.is_finite()) && errors.iter().all(|e| e.is_finite() && *e > 0.0);
        if usable && band.when.is_none() {
            self.sample.set(days, values, has_errors.then_some(errors));
            self.places.extend(0..values.len() as u32);
            return;
        }
        for place in 0..values.len() as u32 {
            if !band.has(rows.at(place as usize)) {
                continue;
            }
            match validity(values[place as usize], errors.get(place as usize).copied()) {
                Validity::Valid => self.places.push(place),
                Validity::Limit => self.limits += 1,
                Validity::Skipped => self.skipped += 1,
            }
        }
        let pick = |from: &[f64]| self.places.iter().map(|&p| from[p as usize]).collect::<Vec<f64>>();
        let errors = has_errors.then(|| pick(errors));
        self.sample.set(&pick(days), &pick(values), errors.as_deref());
    }

    /// Counts the epochs of a source that have no time: never valid.
    fn count_untimed(&mut self, band: &BandColumns, rows: &[u32], (values, errors): (&[f64], &[f64])) {
        for (place, _) in rows.iter().enumerate().filter(|(_, row)| band.has(**row)) {
            match validity(values[place], errors.get(place).copied()) {
                Validity::Limit => self.limits += 1,
                Validity::Valid | Validity::Skipped => self.skipped += 1,
            }
        }
    }
}

/// The columns of the answer while they grow.
struct Builders {
    first: Vec<Option<u32>>,
    last: Vec<Option<u32>>,
    counts: Vec<Int64Builder>,
    floats: Vec<Float64Builder>,
}

impl Builders {
    fn new(layout: &Layout, rows: usize) -> Self {
        let counts = layout.cells.iter().filter(|c| matches!(c, Cell::Count(_)));
        let floats = layout.cells.iter().filter(|c| matches!(c, Cell::Float(_)));
        Builders {
            first: Vec::with_capacity(rows),
            last: Vec::with_capacity(rows),
            counts: counts.map(|_| Int64Builder::with_capacity(rows)).collect(),
            floats: floats.map(|_| Float64Builder::with_capacity(rows)).collect(),
        }
    }

    fn push(&mut self, row: &Measured) {
        self.first.push(row.first);
        self.last.push(row.last);
        for (builder, &count) in self.counts.iter_mut().zip(&row.counts) {
            builder.append_value(count);
        }
        for (builder, &value) in self.floats.iter_mut().zip(&row.floats) {
            builder.append_option(value.is_finite().then_some(value));
        }
    }
}
