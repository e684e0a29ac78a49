//! The columns of the answer: which statistics, in which order, under which names, with which units.

use arrow_schema::DataType;

use super::{BandInfo, Spec};
use crate::error::{Error, Result};
use crate::model::table::{Column, Schema, Type};
use crate::model::units::Unit;
use crate::stats::{self, PAIR_STATS, PairStat, STATS, Stat, StatUnit};

/// Where a column of the answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A key, by its place.
    Key(usize),
    /// The earliest time of the source.
    First,
    /// The latest time of the source.
    Last,
    /// A count, by its place among the counts.
    Count(usize),
    /// A statistic, by its place among the floats.
    Float(usize),
}

/// What is computed for one band: counts n, limits, skipped and, with `eta_e`, zero_steps; then these statistics.
#[derive(Debug)]
pub struct BandLayout {
    /// In column order.
    pub stats: Vec<&'static Stat>,
    /// `eta_e` is among them.
    pub zero_steps: bool,
}

/// What is computed for two bands: the number of pairs, then these statistics.
#[derive(Debug)]
pub struct PairLayout {
    /// Places of the two bands.
    pub bands: (usize, usize),
    /// In column order.
    pub stats: Vec<&'static PairStat>,
}

/// The whole answer.
#[derive(Debug, Default)]
pub struct Layout {
    /// One per band.
    pub bands: Vec<BandLayout>,
    /// One per pair of bands that both have errors, if any pair statistic is asked for.
    pub pairs: Vec<PairLayout>,
    /// One per column.
    pub cells: Vec<Cell>,
    /// The columns.
    pub schema: Schema,
    counts: usize,
    floats: usize,
}

impl Layout {
    /// Lays out the answer, or says which name of `STATS` is unknown or cannot be had.
    pub fn new(keys: &[Column], time: &Column, bands: &[BandInfo], spec: &Spec) -> Result<Layout> {
        check_names(bands, spec)?;
        let mut layout = Layout::default();
        for (place, key) in keys.iter().enumerate() {
            layout.push(Cell::Key(place), key.clone());
        }
        layout.count("n".to_owned(), "rows of the source");
        for (cell, name) in [(Cell::First, "t_first"), (Cell::Last, "t_last")] {
            let mut column = Column::new(name, time.data_type.clone());
            column.unit = time.unit.clone();
            layout.push(cell, column);
        }
        layout.float(Column::typed("baseline", Type::Float).with_unit("d"));
        for band in bands {
            layout.push_band(band, spec);
        }
        for i in 0..bands.len() {
            for j in i + 1..bands.len() {
                layout.push_pair(bands, (i, j), spec);
            }
        }
        check_unique(&layout.schema)?;
        Ok(layout)
    }

    fn push_band(&mut self, band: &BandInfo, spec: &Spec) {
        let name = &band.name;
        self.count(format!("{name}_n"), "valid epochs");
        self.count(format!("{name}_limits"), "values without an error (upper limits), left out");
        self.count(format!("{name}_skipped"), "other epochs without a valid time, value or error, left out");
        let stats: Vec<&Stat> = match &spec.stats {
            None => STATS.iter().filter(|s| band.has_error || !s.needs_error).collect(),
            Some(names) => names.iter().filter_map(|n| stats::find(&n.to_lowercase())).collect(),
        };
        let zero_steps = stats.iter().any(|s| s.name == "eta_e");
        if zero_steps {
            self.count(format!("{name}_zero_steps"), "steps of zero length, which eta_e leaves out");
        }
        for stat in &stats {
            let mut column = Column::typed(format!("{name}_{}", stat.name), Type::Float);
            column.unit = stat_unit(stat.unit, band.unit.as_ref());
            column.description = Some(stat.description.to_owned());
            self.float(column);
        }
        self.bands.push(BandLayout { stats, zero_steps });
    }

    fn push_pair(&mut self, bands: &[BandInfo], (i, j): (usize, usize), spec: &Spec) {
        let wanted = |s: &&PairStat| match &spec.stats {
            None => true,
            Some(names) => names.iter().any(|n| n.eq_ignore_ascii_case(s.name)),
        };
        let stats: Vec<&PairStat> = PAIR_STATS.iter().filter(wanted).collect();
        if stats.is_empty() || !bands[i].has_error || !bands[j].has_error {
            return;
        }
        let name = format!("{}_{}", bands[i].name, bands[j].name);
        self.count(format!("{name}_n"), "pairs of epochs");
        for stat in &stats {
            let mut column = Column::typed(format!("{name}_{}", stat.name), Type::Float);
            column.description = Some(stat.description.to_owned());
            self.float(column);
        }
        self.pairs.push(PairLayout { bands: (i, j), stats });
    }

    fn push(&mut self, cell: Cell, column: Column) {
        self.cells.push(cell);
        self.schema.columns.push(column);
    }

    fn count(&mut self, name: String, description: &str) {
        let mut column = Column::new(name, DataType::Int64);
        column.description = Some(description.to_owned());
        self.push(Cell::Count(self.counts), column);
        self.counts += 1;
    }

    fn float(&mut self, column: Column) {
        self.push(Cell::Float(self.floats), column);
        self.floats += 1;
    }
}

fn stat_unit(kind: StatUnit, value: Option<&Unit>) -> Option<Unit> {
    let value = value?;
    match kind {
        StatUnit::Value => Some(value.clone()),
        StatUnit::Squared => Some(Unit::imported(&format!("{}**2", value.name))),
        StatUnit::PerYear => Some(Unit::imported(&format!("{}/yr", value.name))),
        StatUnit::One => None,
    }
}

fn check_names(bands: &[BandInfo], spec: &Spec) -> Result<()> {
    for name in spec.stats.iter().flatten() {
        let lower = name.to_lowercase();
        if !stats::names().any(|n| n == lower) {
            let known: Vec<&str> = stats::names().collect();
            return Err(Error::refused(
                format!("no statistic `{name}`"),
                format!("STATS knows {}", known.join(", ")),
            ));
        }
        let needs_error =
            stats::find(&lower).map_or(PAIR_STATS.iter().any(|s| s.name == lower), |s| s.needs_error);
        if let Some(band) = bands.iter().find(|b| needs_error && !b.has_error) {
            return Err(Error::refused(
                format!("`{name}` needs the errors of band `{}`", band.name),
                format!("write BAND {}(value, error), or leave `{name}` out of STATS", band.name),
            ));
        }
    }
    Ok(())
}

/// Refuses an answer in which two columns have one name (a key called `n`, a band written twice).
pub fn check_unique(schema: &Schema) -> Result<()> {
    for (place, column) in schema.columns.iter().enumerate() {
        if schema.columns[..place].iter().any(|c| c.name.eq_ignore_ascii_case(&column.name)) {
            return Err(Error::refused(
                format!("two columns of VARIABILITY would be called `{}`", column.name),
                "give the band another name, or rename the key in a subquery",
            ));
        }
    }
    Ok(())
}
