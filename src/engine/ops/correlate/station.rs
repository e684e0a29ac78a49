//! The work of one station: windows found, read and conditioned once, then every pair of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;

use crate::engine::ops::pair::{Catalogue, Pair};
use crate::engine::ops::window::{Reason, Waveforms, prepare, same_rate};
use crate::engine::session::Cancel;
use crate::error::Result;
use crate::limits;
use crate::model::station::ChannelCode;

use super::channels::Channel;
use super::coarse::{Kernels, Ready};
use super::measure::{Measured, Outcome, Part, measure};
use super::plan::{Job, Key, Places, Site, choices, needs, site, slots};
use super::rows::{Refusal, Results, Row};
use super::{Combine, Spec, Stats};

/// What every station needs.
pub struct Context<'a> {
    /// Events and picks.
    pub catalogue: &'a Catalogue,
    /// Their pairs.
    pub pairs: &'a [Pair],
    /// Where samples come from.
    pub waveforms: &'a dyn Waveforms,
    /// Options.
    pub spec: &'a Spec,
    /// Looked at for every pick, window and link.
    pub cancel: &'a Cancel,
    kernels: Kernels,
}

impl<'a> Context<'a> {
    /// For one statement.
    pub fn new(
        catalogue: &'a Catalogue,
        pairs: &'a [Pair],
        waveforms: &'a dyn Waveforms,
        spec: &'a Spec,
        cancel: &'a Cancel,
    ) -> Context<'a> {
        Context { catalogue, pairs, waveforms, spec, cancel, kernels: Kernels::default() }
    }
}

/// The windows of a channel, one for each rate, or why there are none.
type Made = std::result::Result<Vec<Ready>, Reason>;

/// For every site the channels it has windows of.
type Windows = Vec<Vec<(ChannelCode, Made)>>;

/// Does the jobs of one station.
pub fn work(
    context: &Context<'_>,
    key: &Key,
    jobs: &[Job],
    results: &mut Results,
    stats: &mut Stats,
) -> Result<()> {
    let start = Instant::now();
    let (slots, places) = slots(context, jobs);
    let stop = || context.cancel.check();
    let find = |slot| stop().and_then(|()| site(context, slot));
    let sites: Vec<Site<'_>> = slots.par_iter().map(|slot| find(*slot)).collect::<Result<_>>()?;
    let chosen = choices(context, jobs, &sites, &places);
    let needs = needs(context, &sites, &places, &chosen);
    stats.find_s += start.elapsed().as_secs_f64();
    let start = Instant::now();
    let windows = windows(context, &sites, &needs)?;
    let made = || windows.iter().flatten();
    stats.windows += made().count();
    stats.windows_refused += made().filter(|w| w.1.is_err()).count();
    stats.window_s += start.elapsed().as_secs_f64();
    let start = Instant::now();
    let station = Station { context, key, sites: &sites, windows: &windows };
    let pair = |j: usize| stop().map(|()| station.pair(&jobs[j], places[j], &chosen[j]));
    let done: Vec<Done> = (0..jobs.len()).into_par_iter().map(pair).collect::<Result<_>>()?;
    for one in done {
        stats.correlations += one.correlations;
        stats.rejected_early += one.rejected_early;
        stats.below_min_cc += one.below_min_cc;
        stats.below_min_snr += one.below_min_snr;
        results.rows.extend(one.rows);
        for refusal in one.refusals {
            // Stations follow one another, so which of them are left out does not depend on threads.
            if results.refusals.len() < limits::REFUSALS {
                results.refusals.push(refusal);
            } else {
                stats.unlisted += 1;
            }
        }
    }
    stats.correlate_s += start.elapsed().as_secs_f64();
    Ok(())
}

/// Reads and conditions every window once.
fn windows(
    context: &Context<'_>,
    sites: &[Site<'_>],
    needs: &[BTreeMap<ChannelCode, Vec<f64>>],
) -> Result<Windows> {
    let of_site = |(site, channels): (&Site<'_>, &BTreeMap<ChannelCode, Vec<f64>>)| -> Result<_> {
        let mut list = Vec::with_capacity(channels.len());
        for (code, rates) in channels {
            context.cancel.check()?;
            let stretches = site.available.channels.get(code).map_or(&[][..], Vec::as_slice);
            let made = prepare(context.waveforms, stretches, &site.request, rates)?;
            let ready = |w| Ready::new(w, site.request.span_s);
            list.push((code.clone(), made.map(|m| m.into_iter().map(ready).collect())));
        }
        Ok(list)
    };
    sites.par_iter().zip(needs).map(of_site).collect()
}

/// What comes of one job.
#[derive(Default)]
struct Done {
    rows: Vec<Row>,
    refusals: Vec<Refusal>,
    correlations: usize,
    rejected_early: usize,
    below_min_cc: usize,
    below_min_snr: usize,
}

/// A station whose windows are ready.
struct Station<'a> {
    context: &'a Context<'a>,
    key: &'a Key,
    sites: &'a [Site<'a>],
    windows: &'a Windows,
}

impl Station<'_> {
    /// Correlates one link.
    fn pair(&self, job: &Job, places: Places, channels: &[Channel]) -> Done {
        let mut done = Done::default();
        if channels.is_empty() {
            let empty = |i: usize| self.sites[i].available.channels.is_empty();
            let reason = if empty(places.0) || empty(places.1) { Reason::NoData } else { Reason::NoChannel };
            done.refusals.push(self.refusal(job, String::new(), reason));
            return done;
        }
        let parts = self.parts(job, places, channels, &mut done);
        let (spec, clause) = (self.context.spec, &self.context.spec.phases[job.phase as usize]);
        match spec.combine {
            Combine::Stack => self.stack(job, &parts, &mut done),
            Combine::None => {
                for part in &parts {
                    self.stack(job, std::slice::from_ref(part), &mut done);
                }
            }
            Combine::Weighted => {
                let mut found = Vec::new();
                for part in &parts {
                    done.correlations += 1;
                    match measure(&self.context.kernels, std::slice::from_ref(part), spec, clause, 0.0) {
                        Outcome::Measured(m) => found.push((part, m)),
                        Outcome::BelowMinCc { .. } => {}
                        Outcome::Refused(reason) => {
                            done.refusals.push(self.refusal(job, part.channel().to_owned(), reason));
                        }
                    }
                }
                match Row::weighted(&found) {
                    Some(m) if m.cc.abs() >= clause.min_cc => {
                        let names: Vec<&str> = found.iter().map(|f| f.0.channel()).collect();
                        self.keep(job, names.join(","), m, &mut done);
                    }
                    _ if found.is_empty() && !done.refusals.is_empty() => {}
                    _ => {
                        let names: Vec<&str> = parts.iter().map(Part::channel).collect();
                        done.below_min_cc += 1;
                        done.refusals.push(self.refusal(job, names.join(","), Reason::BelowMinCc));
                    }
                }
            }
        }
        done
    }

    /// One peak for all parts.
    fn stack(&self, job: &Job, parts: &[Part<'_>], done: &mut Done) {
        if parts.is_empty() {
            return;
        }
        let clause = &self.context.spec.phases[job.phase as usize];
        done.correlations += parts.len();
        let names = || parts.iter().map(Part::channel).collect::<Vec<_>>().join(",");
        match measure(&self.context.kernels, parts, self.context.spec, clause, clause.min_cc) {
            Outcome::Measured(m) => self.keep(job, names(), m, done),
            Outcome::BelowMinCc { early } => {
                done.below_min_cc += 1;
                done.rejected_early += usize::from(early);
                done.refusals.push(self.refusal(job, names(), Reason::BelowMinCc));
            }
            Outcome::Refused(reason) => done.refusals.push(self.refusal(job, names(), reason)),
        }
    }

    /// A row, unless its signal is not clear enough.
    fn keep(&self, job: &Job, channel: String, measured: Measured, done: &mut Done) {
        if let Some(least) = self.context.spec.min_snr {
            let clear = |snr: Option<f64>| snr.is_some_and(|s| s >= least);
            if !(clear(measured.snr.0) && clear(measured.snr.1)) {
                done.below_min_snr += 1;
                done.refusals.push(self.refusal(job, channel, Reason::BelowMinSnr));
                return;
            }
        }
        let pair = &self.context.pairs[job.pair as usize];
        let travel = |event: u32, pick: u32| {
            let origin = self.context.catalogue.events[event as usize].time;
            let arrival = self.context.catalogue.picks[event as usize][pick as usize].time;
            // Paired events have an origin time.
            origin.map_or(f64::NAN, |o| arrival.seconds_since(o))
        };
        let difference = travel(pair.first, job.link.first) - travel(pair.second, job.link.second);
        done.rows.push(Row {
            pair: job.pair,
            network: self.key.0.clone(),
            station: Arc::clone(&self.key.1),
            phase: self.phase(job),
            channel,
            dt_s: difference - measured.lag_s,
            measured,
        });
    }

    fn refusal(&self, job: &Job, channel: String, reason: Reason) -> Refusal {
        Refusal {
            pair: job.pair,
            network: self.key.0.clone(),
            station: Arc::clone(&self.key.1),
            phase: self.phase(job),
            channel,
            reason,
        }
    }

    fn phase(&self, job: &Job) -> Arc<str> {
        Arc::from(self.context.spec.phases[job.phase as usize].phase.written())
    }

    /// The channels whose windows are both there; the others go to the refusals.
    fn parts<'w>(
        &'w self,
        job: &Job,
        places: Places,
        channels: &[Channel],
        done: &mut Done,
    ) -> Vec<Part<'w>> {
        let mut parts: Vec<Part<'w>> = Vec::new();
        for (weight, first, second) in channels {
            let of = |site: usize, code: &ChannelCode| self.windows[site].iter().find(|w| w.0 == *code);
            let (Some((a, one)), Some((b, two))) = (of(places.0, first), of(places.1, second)) else {
                continue;
            };
            let part = match (one, two) {
                (Ok(one), Ok(two)) => same_rates(one, two)
                    .map(|(first, second)| Part { weight: *weight, codes: (a, b), first, second })
                    .ok_or(Reason::Rates),
                (Err(reason), _) | (_, Err(reason)) => Err(*reason),
            };
            let known_rate = parts.first().map(Part::sampling_rate_hz);
            match part {
                Ok(part) if known_rate.is_none_or(|r| same_rate(r, part.sampling_rate_hz())) => {
                    parts.push(part)
                }
                Ok(part) => done.refusals.push(self.refusal(job, part.channel().to_owned(), Reason::Rates)),
                Err(reason) => done.refusals.push(self.refusal(job, first.channel.clone(), reason)),
            }
        }
        parts
    }
}

/// The two windows of one rate; of several, of the highest both have.
fn same_rates<'w>(one: &'w [Ready], two: &'w [Ready]) -> Option<(&'w Ready, &'w Ready)> {
    let rate = |r: &Ready| r.window.sampling_rate_hz;
    let couples = one.iter().flat_map(|a| two.iter().map(move |b| (a, b)));
    couples.filter(|(a, b)| same_rate(rate(a), rate(b))).max_by(|x, y| rate(x.0).total_cmp(&rate(y.0)))
}
