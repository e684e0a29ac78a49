//! The work of one station: windows found, read and conditioned once, then every pair of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;

use crate::engine::ops::pair::{Catalogue, Class, Link, Pair, Pick};
use crate::engine::ops::window::{Noise, Reason, Request, Stretch, Waveforms, prepare, same_rate};
use crate::error::Result;
use crate::model::station::ChannelCode;

use super::channels::{Available, Channel, choose};
use super::coarse::{Kernels, Ready};
use super::measure::{Measured, Outcome, Part, measure};
use super::rows::{Refusal, Results, Row};
use super::{Combine, PhaseSpec, Spec, Stats};

/// tS - origin over tP - origin, where one of the two was not picked (vP/vS of a Poisson solid).
const S_OVER_P: f64 = 1.73;
/// The P window ends before this part of S-P.
const P_WINDOW_END: f64 = 0.9;
/// The S window starts after this part of S-P.
const S_WINDOW_START: f64 = 0.5;

/// Network and station.
pub type Key = (Option<Arc<str>>, Arc<str>);

/// One link to correlate: indices of the pair and of the phase clause.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pair: u32,
    phase: u32,
    link: Link,
}

/// The links of all pairs that a PHASE clause means, by station.
pub fn jobs(catalogue: &Catalogue, pairs: &[Pair], spec: &Spec) -> BTreeMap<Key, Vec<Job>> {
    let mut work: BTreeMap<Key, Vec<Job>> = BTreeMap::new();
    for (pair, p) in pairs.iter().enumerate() {
        for &link in &p.links {
            let a = &catalogue.picks[p.first as usize][link.first as usize];
            let b = &catalogue.picks[p.second as usize][link.second as usize];
            for (phase, clause) in spec.phases.iter().enumerate() {
                if a.phase.is_meant_by(&clause.phase) && b.phase.is_meant_by(&clause.phase) {
                    let key = (a.network.clone(), Arc::clone(&a.station));
                    work.entry(key).or_default().push(Job { pair: pair as u32, phase: phase as u32, link });
                }
            }
        }
    }
    work
}

/// What every station needs.
pub struct Context<'a> {
    catalogue: &'a Catalogue,
    pairs: &'a [Pair],
    waveforms: &'a dyn Waveforms,
    spec: &'a Spec,
    kernels: Kernels,
}

impl<'a> Context<'a> {
    /// For one statement.
    pub fn new(
        catalogue: &'a Catalogue,
        pairs: &'a [Pair],
        waveforms: &'a dyn Waveforms,
        spec: &'a Spec,
    ) -> Context<'a> {
        Context { catalogue, pairs, waveforms, spec, kernels: Kernels::default() }
    }
}

/// A pick and the clause it is windowed for: event, pick, clause.
type Slot = (u32, u32, u32);

/// A window that is needed: slot and channel.
type Need = (usize, ChannelCode);

/// A pick with its window and what the index has around it.
struct Site<'a> {
    pick: &'a Pick,
    request: Request,
    available: Available,
}

/// Windows by need; of several rates, in ascending order.
type Windows = HashMap<Need, std::result::Result<Vec<Ready>, Reason>>;

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
    let sites: Vec<Site<'_>> = slots.par_iter().map(|slot| site(context, *slot)).collect::<Result<_>>()?;
    let chosen: Vec<Vec<Channel>> = jobs
        .par_iter()
        .zip(&places)
        .map(|(job, (a, b))| {
            let clause = &context.spec.phases[job.phase as usize];
            let (a, b) = (&sites[*a], &sites[*b]);
            choose(
                (&a.available, &b.available),
                (a.pick, b.pick),
                &clause.components,
                &context.spec.equivalent,
            )
        })
        .collect();
    let needs = needs(context, &sites, &places, &chosen);
    stats.find_s += start.elapsed().as_secs_f64();
    let start = Instant::now();
    let windows = windows(context, &sites, &needs)?;
    stats.windows += windows.len();
    stats.windows_refused += windows.values().filter(|w| w.is_err()).count();
    stats.window_s += start.elapsed().as_secs_f64();
    let start = Instant::now();
    let station = Station { context, key, sites: &sites, windows: &windows };
    let done: Vec<Done> =
        (0..jobs.len()).into_par_iter().map(|j| station.pair(&jobs[j], places[j], &chosen[j])).collect();
    for one in done {
        stats.correlations += one.correlations;
        stats.rejected_early += one.rejected_early;
        stats.below_min_cc += one.below_min_cc;
        stats.below_min_snr += one.below_min_snr;
        results.rows.extend(one.rows);
        results.refusals.extend(one.refusals);
    }
    stats.correlate_s += start.elapsed().as_secs_f64();
    Ok(())
}

/// The distinct slots of the jobs, and for each job the two it compares.
fn slots(context: &Context<'_>, jobs: &[Job]) -> (Vec<Slot>, Vec<(usize, usize)>) {
    let of = |job: &Job| -> (Slot, Slot) {
        let pair = &context.pairs[job.pair as usize];
        ((pair.first, job.link.first, job.phase), (pair.second, job.link.second, job.phase))
    };
    let mut slots: Vec<Slot> = jobs.iter().flat_map(|j| [of(j).0, of(j).1]).collect();
    slots.sort_unstable();
    slots.dedup();
    // Every slot is in the list it was made from.
    let at = |slot: Slot| slots.binary_search(&slot).unwrap_or(0);
    let places = jobs.iter().map(|j| (at(of(j).0), at(of(j).1))).collect();
    (slots, places)
}

/// Finds what the index has for one slot.
fn site<'a>(context: &Context<'a>, (event, pick, phase): Slot) -> Result<Site<'a>> {
    let clause = &context.spec.phases[phase as usize];
    let pick = &context.catalogue.picks[event as usize][pick as usize];
    let request = request(context, event, pick, clause);
    let found = match request.read_span() {
        Some(span) => context.waveforms.find(pick.network.as_deref(), &pick.station, span)?,
        None => Vec::new(),
    };
    // The noise may lie before the window, in another stretch.
    let noise = request.noise.and_then(|n| {
        let reach = request.conditioning.pad_s() + 1.0;
        Some((n.anchor.plus_seconds(n.span_s.0 - reach)?, n.anchor.plus_seconds(n.span_s.1 + reach)?))
    });
    let mut available = Available::new(found);
    if let Some(span) = noise {
        let found = context.waveforms.find(pick.network.as_deref(), &pick.station, span)?;
        add_known(&mut available, found);
    }
    Ok(Site { pick, request, available })
}

/// Adds stretches to channels that are there already.
fn add_known(available: &mut Available, found: Vec<Stretch>) {
    for stretch in found {
        if let Some(list) = available.channels.get_mut(&stretch.code)
            && !list.contains(&stretch)
        {
            list.push(stretch);
        }
    }
}

/// The window of a pick, kept clear of the other phase.
fn request(context: &Context<'_>, event: u32, pick: &Pick, clause: &PhaseSpec) -> Request {
    let spec = context.spec;
    let (mut a, mut b) = clause.window_s;
    let arrivals = arrivals(context.catalogue, event, pick);
    if let Some((_, s_minus_p)) = arrivals
        && !spec.shorten_none
        && s_minus_p > 0.0
    {
        match pick.phase.class {
            Class::P => b = b.min(P_WINDOW_END * s_minus_p - clause.lag_s),
            Class::S => a = a.max(-S_WINDOW_START * s_minus_p + clause.lag_s),
            Class::Other => {}
        }
    }
    // The noise ends where the P window with its lag begins; it is as long as the signal.
    let length_s = if b > 0.0 { b - a.max(0.0) } else { b - a };
    let end_s = clause.window_s.0.min(0.0) - clause.lag_s;
    let span_s = spec.snr_span_s.unwrap_or((end_s - length_s, end_s));
    let noise = arrivals.and_then(|(p_after_pick_s, _)| {
        let anchor = pick.time.plus_seconds(p_after_pick_s)?;
        (span_s.1 > span_s.0).then_some(Noise { anchor, span_s })
    });
    Request {
        pick: pick.time,
        span_s: (a, b),
        lag_s: clause.lag_s,
        noise,
        conditioning: spec.conditioning(clause),
    }
}

/// P arrival in s after the pick (negative for an S pick), and S-P in s, at the station of the pick. The one that
/// was not picked is predicted from the other. `None` for other phases without picks of P.
fn arrivals(catalogue: &Catalogue, event: u32, pick: &Pick) -> Option<(f64, f64)> {
    let origin = catalogue.events[event as usize].time?;
    let first = |class: Class| {
        let here = catalogue.picks[event as usize]
            .iter()
            .filter(|p| p.phase.class == class && p.station == pick.station && p.network == pick.network);
        here.map(|p| p.time.seconds_since(origin)).min_by(f64::total_cmp)
    };
    let own = pick.time.seconds_since(origin);
    let p = if pick.phase.class == Class::P { Some(own) } else { first(Class::P) };
    let s = if pick.phase.class == Class::S { Some(own) } else { first(Class::S) };
    let (p, s) = match (p, s) {
        (Some(p), Some(s)) => (p, s),
        (Some(p), None) => (p, S_OVER_P * p),
        (None, Some(s)) => (s / S_OVER_P, s),
        (None, None) => return None,
    };
    Some((p - own, s - p))
}

/// The windows that the chosen channels need, each with the rates it is needed at, in order.
fn needs(
    context: &Context<'_>,
    sites: &[Site<'_>],
    places: &[(usize, usize)],
    chosen: &[Vec<Channel>],
) -> Vec<(Need, Vec<f64>)> {
    let rate = |site: usize, code: &ChannelCode| {
        let stretches = sites[site].available.channels.get(code);
        stretches.and_then(|s| s.first()).map_or(0.0, |s| s.sampling_rate_hz)
    };
    let mut needs: BTreeMap<Need, Vec<f64>> = BTreeMap::new();
    for ((a, b), channels) in places.iter().zip(chosen) {
        for (_, first, second) in channels {
            let (own, other) = (rate(*a, first), rate(*b, second));
            for (site, code, own, other) in [(*a, first, own, other), (*b, second, other, own)] {
                // Its own rate unless the other one is clearly lower.
                let lower = if same_rate(own, other) { own } else { own.min(other) };
                let target = context.spec.resample_hz.unwrap_or(lower);
                let rates = needs.entry((site, code.clone())).or_default();
                if !rates.iter().any(|r| same_rate(*r, target)) {
                    rates.push(target);
                }
            }
        }
    }
    needs.into_iter().collect()
}

/// Reads and conditions every window once.
fn windows(context: &Context<'_>, sites: &[Site<'_>], needs: &[(Need, Vec<f64>)]) -> Result<Windows> {
    let make = |(need, rates): &(Need, Vec<f64>)| -> Result<_> {
        let site = &sites[need.0];
        let stretches = site.available.channels.get(&need.1).map_or(&[][..], Vec::as_slice);
        let made = prepare(context.waveforms, stretches, &site.request, rates)?;
        let made = made.map(|list| list.into_iter().map(|w| Ready::new(w, site.request.span_s)).collect());
        Ok((need.clone(), made))
    };
    needs.par_iter().map(make).collect()
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
    fn pair(&self, job: &Job, places: (usize, usize), channels: &[Channel]) -> Done {
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
                    Some(_) => done.below_min_cc += 1,
                    None => done.below_min_cc += usize::from(done.refusals.is_empty()),
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
        places: (usize, usize),
        channels: &[Channel],
        done: &mut Done,
    ) -> Vec<Part<'w>> {
        let mut parts: Vec<Part<'w>> = Vec::new();
        for (weight, first, second) in channels {
            let of = |site: usize, code: &ChannelCode| self.windows.get_key_value(&(site, code.clone()));
            let (Some((a, one)), Some((b, two))) = (of(places.0, first), of(places.1, second)) else {
                continue;
            };
            let part = match (one, two) {
                (Ok(one), Ok(two)) => same_rates(one, two)
                    .map(|(first, second)| Part { weight: *weight, codes: (&a.1, &b.1), first, second })
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
