//! CORRELATE: differential times of event pairs from their waveforms.
//!
//! Pairs and links come from `pair`, windows from `window`, the numbers from `signal`. A window is only ever
//! compared with windows of its own station, so the work goes station by station: each unique window is found, read
//! and conditioned once, held while its station is worked on, and dropped. Rows are sorted at the end; no result
//! depends on the number of threads or on the order of the input.
//!
//! `dt = (arrival1 - origin1) - (arrival2 + lag - origin2)`, event 1 being the earlier by (origin time, event_id);
//! the lag is positive when the signal of event 2 is later after its pick than that of event 1.

mod channels;
mod coarse;
mod measure;
mod plan;
mod rows;
mod station;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::engine::session::Cancel;
use crate::error::{Error, Result};
use crate::model::table::Batch;
use crate::signal::correlate::Norm;
use crate::signal::peak::Peak;

use super::pair::{Catalogue, Class, PairSpec, PairStats, Phase, Stations, pairs};
use super::window::{Conditioning, Filter, Waveforms};

pub use channels::{Components, Equivalent};
pub use rows::{output_schema, refusals_schema};

/// What becomes of the components of a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Combine {
    /// The weighted mean of the correlation functions, one peak.
    #[default]
    Stack,
    /// The weighted mean of dt and cc.
    Weighted,
    /// A row for each channel.
    None,
}

/// PHASE name ON components WINDOW from .. to [LAG s], with the options that may be given FOR it.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseSpec {
    /// `P` and `S` mean their class, another name means itself.
    pub phase: Phase,
    /// ON.
    pub components: Components,
    /// WINDOW, in s after the pick.
    pub window_s: (f64, f64),
    /// LAG or MAXLAG.
    pub lag_s: f64,
    /// FILTER FOR this phase, or for all.
    pub filter: Option<Filter>,
    /// MINCC FOR this phase, or for all; 0 lets every positive peak pass.
    pub min_cc: f64,
}

/// The options of CORRELATE.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// The pair options.
    pub pairs: PairSpec,
    /// PHASE clauses, at least one.
    pub phases: Vec<PhaseSpec>,
    /// MINSNR: both `snr1` and `snr2` must reach it; what has no noise to compare with does not.
    pub min_snr: Option<f64>,
    /// SNR from .. to: where the noise is taken, in s after the P arrival.
    pub snr_span_s: Option<(f64, f64)>,
    /// ABS.
    pub abs: bool,
    /// NORM.
    pub norm: Norm,
    /// PEAK.
    pub peak: Peak,
    /// COMBINE.
    pub combine: Combine,
    /// EQUIVALENT.
    pub equivalent: Equivalent,
    /// RESAMPLE, in Hz.
    pub resample_hz: Option<f64>,
    /// TAPER: the part of the pad over which the cosine rises; `None` is all of it.
    pub taper: Option<f64>,
    /// SHORTEN NONE: windows may reach into the other phase.
    pub shorten_none: bool,
}

impl Spec {
    fn conditioning(&self, phase: &PhaseSpec) -> Conditioning {
        Conditioning { filter: phase.filter, taper: self.taper.unwrap_or(1.0) }
    }

    /// # Errors
    /// An option that no data could satisfy, by its name.
    fn check(&self) -> Result<()> {
        let bad = |what: String, help: &str| Err(Error::refused(what, help));
        if self.phases.is_empty() {
            return bad("no PHASE to correlate".to_owned(), "PHASE P ON 'Z' WINDOW -0.2 s .. 1 s LAG 0.3 s");
        }
        for (i, p) in self.phases.iter().enumerate() {
            let name = &p.phase.name;
            if self.phases[..i].iter().any(|q| q.phase == p.phase) {
                return bad(format!("PHASE {name} is given twice"), "one PHASE clause for each phase");
            }
            let (a, b) = p.window_s;
            if !(a < b && (b - a).is_finite()) {
                return bad(format!("the WINDOW of {name} is empty: {a} s .. {b} s"), "WINDOW -0.2 s .. 1 s");
            }
            if !(p.lag_s > 0.0 && p.lag_s.is_finite()) {
                return bad(
                    format!("the LAG of {name} is {} s", p.lag_s),
                    "LAG 0.3 s, or MAXLAG for all phases",
                );
            }
            if !(0.0..=1.0).contains(&p.min_cc) {
                return bad(format!("MINCC must lie between 0 and 1, not {}", p.min_cc), "MINCC 0.7");
            }
            if p.components.is_empty() {
                return bad(format!("PHASE {name} names no component"), "ON 'Z'");
            }
        }
        if self.taper.is_some_and(|t| !(0.0..=1.0).contains(&t)) {
            return bad("TAPER is a part of the pad between 0 and 1".to_owned(), "TAPER 0.5");
        }
        if self.resample_hz.is_some_and(|r| !(r > 0.0 && r.is_finite())) {
            return bad("RESAMPLE needs a rate above 0".to_owned(), "RESAMPLE 100 Hz");
        }
        Ok(())
    }
}

/// Counts and seconds of the stages. Seconds of work that runs in parallel are wall-clock seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Of the pairs.
    pub pair_stats: PairStats,
    /// Pairs of events.
    pub pairs: usize,
    /// Links of the phases asked for.
    pub links: usize,
    /// Stations.
    pub stations: usize,
    /// Unique windows.
    pub windows: usize,
    /// Windows that were refused.
    pub windows_refused: usize,
    /// Correlation functions computed.
    pub correlations: usize,
    /// Links that the bound on the coefficient left out before f64.
    pub rejected_early: usize,
    /// Links whose peak is below MINCC, the early ones included.
    pub below_min_cc: usize,
    /// Links below MINSNR.
    pub below_min_snr: usize,
    /// Rows.
    pub rows: usize,
    /// Refusals beyond `limits::REFUSALS`: counted, not listed.
    pub unlisted: usize,
    /// Refusals by reason, beside MINCC and MINSNR.
    pub refused: BTreeMap<&'static str, usize>,
    /// Networks and pairs.
    pub pair_s: f64,
    /// Finding stretches and choosing channels.
    pub find_s: f64,
    /// Reading and conditioning.
    pub window_s: f64,
    /// Correlation, peak, quality.
    pub correlate_s: f64,
    /// Sorting and making batches.
    pub rows_s: f64,
}

/// What CORRELATE gives.
#[derive(Clone, Debug)]
pub struct Output {
    /// Columns of [`output_schema`], sorted by (event1, event2, network, station, phase, channel) with events in
    /// the order of (origin time, event_id).
    pub rows: Batch,
    /// Columns of [`refusals_schema`], in the same order.
    pub refusals: Batch,
    /// For EXPLAIN ANALYZE.
    pub stats: Stats,
}

/// Correlates the pairs of a catalogue. Picks without a network get it from the waveform index.
///
/// # Errors
/// An option out of range, a station code with two networks among picks that name none, a failure of storage,
/// a request to stop.
/// What concerns single windows is in `refusals`.
pub fn correlate(
    catalogue: Catalogue,
    stations: Option<&Stations>,
    waveforms: &dyn Waveforms,
    spec: &Spec,
    cancel: &Cancel,
) -> Result<Output> {
    spec.check()?;
    let start = Instant::now();
    let catalogue = with_networks(catalogue, waveforms)?;
    let found = pairs(&catalogue, stations, &pair_spec(spec), cancel)?;
    let work = plan::jobs(&catalogue, &found.pairs, spec);
    let mut stats = Stats {
        pair_stats: found.stats,
        pairs: found.pairs.len(),
        links: work.values().map(Vec::len).sum(),
        stations: work.len(),
        pair_s: start.elapsed().as_secs_f64(),
        ..Stats::default()
    };
    let context = station::Context::new(&catalogue, &found.pairs, waveforms, spec, cancel);
    let mut results = rows::Results::default();
    for (key, jobs) in &work {
        station::work(&context, key, jobs, &mut results, &mut stats)?;
    }
    let start = Instant::now();
    let (rows, refusals) = results.batches(&catalogue, &found.pairs, &mut stats)?;
    stats.rows_s = start.elapsed().as_secs_f64();
    Ok(Output { rows, refusals, stats })
}

/// The pair options; where a PHASE names more than a class, only what is asked for counts as a link.
fn pair_spec(spec: &Spec) -> PairSpec {
    let classes = |p: &PhaseSpec| p.phase.class != Class::Other && p.phase.name.len() == 1;
    let phases = if spec.phases.iter().all(classes) {
        Vec::new()
    } else {
        spec.phases.iter().map(|p| p.phase.clone()).collect()
    };
    PairSpec { phases, ..spec.pairs.clone() }
}

/// Networks for the picks that name none.
fn with_networks(catalogue: Catalogue, waveforms: &dyn Waveforms) -> Result<Catalogue> {
    let mut networks: BTreeMap<Arc<str>, Option<Arc<str>>> = BTreeMap::new();
    for pick in catalogue.picks.iter().flatten().filter(|p| p.network.is_none()) {
        networks.entry(Arc::clone(&pick.station)).or_default();
    }
    for (station, network) in &mut networks {
        let mut known = waveforms.networks(station)?;
        known.sort_unstable();
        known.dedup();
        match known.as_slice() {
            [] => {}
            [one] => *network = Some(Arc::from(one.as_str())),
            several => {
                return Err(Error::refused(
                    format!(
                        "the picks name no network, and station {station} exists in the networks {}",
                        several.join(" and ")
                    ),
                    "import picks that name their network, or waveforms of one of these networks only",
                ));
            }
        }
    }
    if networks.is_empty() { Ok(catalogue) } else { Ok(catalogue.with_networks(&networks)) }
}

#[cfg(test)]
mod tests;
