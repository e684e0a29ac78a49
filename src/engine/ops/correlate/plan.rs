//! What is to be done at one station: which picks need which windows of which channels.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::engine::ops::pair::{Catalogue, Class, Link, Pair, Pick};
use crate::engine::ops::window::{Noise, Request, Stretch, same_rate};
use crate::error::Result;
use crate::model::station::ChannelCode;

use super::channels::{Available, Channel, choose};
use super::station::Context;
use super::{PhaseSpec, Spec};

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
    /// Index of the pair.
    pub pair: u32,
    /// Index of the clause.
    pub phase: u32,
    /// The two picks.
    pub link: Link,
}

/// The links of all pairs that a PHASE clause means, by station; of several clauses the first counts.
pub fn jobs(catalogue: &Catalogue, pairs: &[Pair], spec: &Spec) -> BTreeMap<Key, Vec<Job>> {
    let mut work: BTreeMap<Key, Vec<Job>> = BTreeMap::new();
    for (pair, p) in pairs.iter().enumerate() {
        for &link in &p.links {
            let a = &catalogue.picks[p.first as usize][link.first as usize];
            let b = &catalogue.picks[p.second as usize][link.second as usize];
            let meant = |c: &PhaseSpec| a.phase.is_meant_by(&c.phase) && b.phase.is_meant_by(&c.phase);
            if let Some(phase) = spec.phases.iter().position(meant) {
                let key = (a.network.clone(), Arc::clone(&a.station));
                work.entry(key).or_default().push(Job { pair: pair as u32, phase: phase as u32, link });
            }
        }
    }
    work
}

/// A pick and the clause it is windowed for: event, pick, clause.
pub type Slot = (u32, u32, u32);

/// The two sites that a job compares.
pub type Places = (usize, usize);

/// A pick with its window and what the index has around it.
pub struct Site<'a> {
    /// The pick.
    pub pick: &'a Pick,
    /// Its window.
    pub request: Request,
    /// By channel.
    pub available: Available,
}

/// The distinct slots of the jobs, and for each job the two it compares.
pub fn slots(context: &Context<'_>, jobs: &[Job]) -> (Vec<Slot>, Vec<Places>) {
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
pub fn site<'a>(context: &Context<'a>, (event, pick, phase): Slot) -> Result<Site<'a>> {
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

/// What decides which channels a pick can be compared on: channels with their rates, and its own location and channel.
type Menu = (Vec<(ChannelCode, u64)>, Option<Arc<str>>, Option<Arc<str>>);

/// The channels of every job; jobs that have the same to choose from share one list.
pub fn choices(
    context: &Context<'_>,
    jobs: &[Job],
    sites: &[Site<'_>],
    places: &[Places],
) -> Vec<Arc<Vec<Channel>>> {
    let mut menus: BTreeMap<Menu, usize> = BTreeMap::new();
    let menu_of: Vec<usize> = sites
        .iter()
        .map(|site| {
            let rate = |s: &[Stretch]| s.first().map_or(0, |s| s.sampling_rate_hz.to_bits());
            let has = site.available.channels.iter().map(|(code, s)| (code.clone(), rate(s))).collect();
            let next = menus.len();
            *menus.entry((has, site.pick.location.clone(), site.pick.channel.clone())).or_insert(next)
        })
        .collect();
    let mut known: HashMap<(usize, usize, u32), Arc<Vec<Channel>>> = HashMap::new();
    let chosen = jobs.iter().zip(places).map(|(job, &(a, b))| {
        let make = || {
            let clause = &context.spec.phases[job.phase as usize];
            let (a, b) = (&sites[a], &sites[b]);
            let both = (&a.available, &b.available);
            Arc::new(choose(both, (a.pick, b.pick), &clause.components, &context.spec.equivalent))
        };
        Arc::clone(known.entry((menu_of[a], menu_of[b], job.phase)).or_insert_with(make))
    });
    chosen.collect()
}

/// For every site the channels that are needed, each with the rates it is needed at.
pub fn needs(
    context: &Context<'_>,
    sites: &[Site<'_>],
    places: &[Places],
    chosen: &[Arc<Vec<Channel>>],
) -> Vec<BTreeMap<ChannelCode, Vec<f64>>> {
    let rate = |site: usize, code: &ChannelCode| {
        let stretches = sites[site].available.channels.get(code);
        stretches.and_then(|s| s.first()).map_or(0.0, |s| s.sampling_rate_hz)
    };
    let mut needs: Vec<BTreeMap<ChannelCode, Vec<f64>>> = vec![BTreeMap::new(); sites.len()];
    // A site needs the same for every partner with the same choice: looked at once.
    let mut seen: HashSet<(usize, *const Vec<Channel>, bool)> = HashSet::new();
    for (&(a, b), channels) in places.iter().zip(chosen) {
        let list = Arc::as_ptr(channels);
        let new = (seen.insert((a, list, true)), seen.insert((b, list, false)));
        if !new.0 && !new.1 {
            continue;
        }
        for (_, first, second) in channels.iter() {
            let (own, other) = (rate(a, first), rate(b, second));
            for (site, code, own, other) in [(a, first, own, other), (b, second, other, own)] {
                // Its own rate unless the other one is clearly lower.
                let lower = if same_rate(own, other) { own } else { own.min(other) };
                let target = context.spec.resample_hz.unwrap_or(lower);
                let rates = needs[site].entry(code.clone()).or_default();
                if !rates.iter().any(|r| same_rate(*r, target)) {
                    rates.push(target);
                }
            }
        }
    }
    needs
}
