//! Rows and refusals, sorted, as batches.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
use rayon::prelude::*;

use crate::engine::ops::pair::{Catalogue, Pair};
use crate::engine::ops::window::{Flags, Reason};
use crate::error::{Error, Result};
use crate::model::table::{Batch, Column, Schema, Type};

use super::Stats;
use super::measure::{Measured, Part};

/// A differential time.
#[derive(Clone, Debug)]
pub struct Row {
    /// Index of the pair.
    pub pair: u32,
    /// Network, if any is known.
    pub network: Option<Arc<str>>,
    /// Station code.
    pub station: Arc<str>,
    /// As written.
    pub phase: Arc<str>,
    /// Channel codes, comma-separated.
    pub channel: String,
    /// Differential travel time.
    pub dt_s: f64,
    /// The rest.
    pub measured: Measured,
}

/// Why there is none.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Index of the pair.
    pub pair: u32,
    /// Network, if any is known.
    pub network: Option<Arc<str>>,
    /// Station code.
    pub station: Arc<str>,
    /// As written.
    pub phase: Arc<str>,
    /// Channel codes, comma-separated; empty where no channel was found.
    pub channel: String,
    /// Why.
    pub reason: Reason,
}

impl Row {
    /// COMBINE weighted: the weighted mean of lag and cc over channels; `None` without channels.
    pub fn weighted(found: &[(&Part<'_>, Measured)]) -> Option<Measured> {
        let total: f64 = found.iter().map(|f| f.0.weight).sum();
        let mean = |of: &dyn Fn(&Measured) -> Option<f64>| -> Option<f64> {
            let sum: Option<f64> = found.iter().map(|f| Some(f.0.weight * of(&f.1)?)).sum();
            sum.map(|s| s / total).filter(|m| m.is_finite())
        };
        let error = found.iter().map(|f| Some((f.0.weight * f.1.sigma_dt_s?).powi(2))).sum::<Option<f64>>();
        Some(Measured {
            lag_s: mean(&|m| Some(m.lag_s))?,
            cc: mean(&|m| Some(m.cc))?,
            second_peak: found.iter().filter_map(|f| f.1.second_peak).max_by(f64::total_cmp),
            snr: (mean(&|m| m.snr.0), mean(&|m| m.snr.1)),
            sigma_dt_s: error.map(|e| e.sqrt() / total),
            flags: found.iter().fold(Flags::default(), |f, p| f.with(p.1.flags)),
        })
    }
}

/// The columns of CORRELATE.
pub fn output_schema() -> Schema {
    let text = |name: &str| Column::typed(name, Type::Text);
    let float = |name: &str| Column::typed(name, Type::Float);
    Schema::new(vec![
        text("event1"),
        text("event2"),
        text("network"),
        text("station"),
        text("phase"),
        text("channel"),
        float("dt").with_unit("s"),
        float("cc"),
        float("weight"),
        float("lag").with_unit("s"),
        float("second_peak"),
        float("snr1"),
        float("snr2"),
        float("sigma_dt").with_unit("s"),
        text("flags"),
        Column::typed("number1", Type::Int),
        Column::typed("number2", Type::Int),
        float("separation").with_unit("km"),
    ])
}

/// The columns of the refusals of CORRELATE.
pub fn refusals_schema() -> Schema {
    let names = ["event1", "event2", "network", "station", "phase", "channel", "reason"];
    Schema::new(names.iter().map(|n| Column::typed(*n, Type::Text)).collect())
}

/// What all stations gave.
#[derive(Debug, Default)]
pub struct Results {
    /// In any order.
    pub rows: Vec<Row>,
    /// In any order.
    pub refusals: Vec<Refusal>,
}

impl Results {
    /// Sorted batches of rows and refusals; counts them.
    pub fn batches(
        mut self,
        catalogue: &Catalogue,
        pairs: &[Pair],
        stats: &mut Stats,
    ) -> Result<(Batch, Batch)> {
        // Pairs are numbered in the order of their events.
        self.rows.par_sort_by(|a, b| {
            (a.pair, &a.network, &a.station, &a.phase, &a.channel)
                .cmp(&(b.pair, &b.network, &b.station, &b.phase, &b.channel))
        });
        self.refusals.par_sort_by(|a, b| {
            (a.pair, &a.network, &a.station, &a.phase, &a.channel, a.reason)
                .cmp(&(b.pair, &b.network, &b.station, &b.phase, &b.channel, b.reason))
        });
        stats.rows = self.rows.len();
        let is_of_window = |r: &&Refusal| !matches!(r.reason, Reason::BelowMinCc | Reason::BelowMinSnr);
        for refusal in self.refusals.iter().filter(is_of_window) {
            *stats.refused.entry(refusal.reason.name()).or_default() += 1;
        }
        Ok((self.row_batch(catalogue, pairs)?, self.refusal_batch(catalogue, pairs)?))
    }

    fn row_batch(&self, catalogue: &Catalogue, pairs: &[Pair]) -> Result<Batch> {
        let rows = &self.rows;
        let event = |i: u32| &catalogue.events[i as usize];
        let pair = |r: &Row| &pairs[r.pair as usize];
        let text = |of: &dyn Fn(&Row) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
        };
        let float = |of: &dyn Fn(&Row) -> Option<f64>| -> ArrayRef {
            Arc::new(Float64Array::from_iter(rows.iter().map(of)))
        };
        let number = |of: &dyn Fn(&Row) -> Option<i64>| -> ArrayRef {
            Arc::new(Int64Array::from_iter(rows.iter().map(of)))
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &event(pair(r).first).event_id))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &event(pair(r).second).event_id))),
            Arc::new(StringArray::from_iter(rows.iter().map(|r| r.network.as_deref()))),
            text(&|r| &r.station),
            text(&|r| &r.phase),
            text(&|r| &r.channel),
            float(&|r| Some(r.dt_s)),
            float(&|r| Some(r.measured.cc)),
            float(&|r| Some(r.measured.cc.abs())),
            float(&|r| Some(r.measured.lag_s)),
            float(&|r| r.measured.second_peak),
            float(&|r| r.measured.snr.0),
            float(&|r| r.measured.snr.1),
            float(&|r| r.measured.sigma_dt_s),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.measured.flags.names()))),
            number(&|r| event(pair(r).first).number),
            number(&|r| event(pair(r).second).number),
            float(&|r| Some(pair(r).separation_km).filter(|s| !s.is_nan())),
        ];
        batch(&output_schema(), columns)
    }

    fn refusal_batch(&self, catalogue: &Catalogue, pairs: &[Pair]) -> Result<Batch> {
        let rows = &self.refusals;
        let id = |i: u32| catalogue.events[i as usize].event_id.as_str();
        let text = |of: &dyn Fn(&Refusal) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| id(pairs[r.pair as usize].first)))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| id(pairs[r.pair as usize].second)))),
            Arc::new(StringArray::from_iter(rows.iter().map(|r| r.network.as_deref()))),
            text(&|r| &r.station),
            text(&|r| &r.phase),
            text(&|r| &r.channel),
            text(&|r| r.reason.name()),
        ];
        batch(&refusals_schema(), columns)
    }
}

fn batch(schema: &Schema, columns: Vec<ArrayRef>) -> Result<Batch> {
    Batch::try_new(schema.arrow(), columns).map_err(|e| {
        Error::refused(format!("rows do not fit their columns: {e}"), "this is a bug: report it")
    })
}
