//! PAIRS: which events are compared, and through which observations they are linked.
//!
//! The rules and the names of the options are those of ph2dt (Waldhauser, 2001, USGS Open-File Report 01-113), with
//! defaults that leave out nothing that was not asked for, distances on WGS84 and an order that does not depend on
//! the input: events are numbered by (origin time, event_id), a pair is (earlier, later).

mod neighbours;
mod phase;
mod tables;

use std::collections::HashMap;
use std::sync::Arc;

use geographiclib_rs::{Geodesic, InverseGeodesic};
use rayon::prelude::*;

use crate::engine::session::Cancel;
use crate::error::{Error, Result};

pub use phase::{Class, Phase};
pub use tables::{Catalogue, Event, Pick, Stations, links_batch, links_schema, pairs_batch, pairs_schema};

/// How far apart two hypocentres may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxSep {
    /// `MAXSEP ALL`.
    All,
    /// Straight-line distance in km.
    Km(f64),
}

/// The options of PAIRS; the defaults limit nothing, but `max_separation` must be given unless two sets are compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairSpec {
    /// MAXSEP.
    pub max_separation: Option<MaxSep>,
    /// MAXDIST: largest epicentral distance of a station from the middle of the pair, in km.
    pub max_distance_km: Option<f64>,
    /// MAXNGH: strong neighbours of an event, the nearest ones.
    pub max_neighbours: Option<usize>,
    /// MINLNK: links that make a neighbour a strong one (default 1).
    pub min_links: Option<usize>,
    /// MINOBS: links of a pair, and picks of an event, under which it is left out (default 1).
    pub min_observations: Option<usize>,
    /// MAXOBS: links kept of a pair, those of the nearest stations.
    pub max_observations: Option<usize>,
    /// MINWGHT: picks with a weight of at least 0 and less than this are left out.
    pub min_weight: Option<f64>,
    /// The phases that count as links, where a verb names them; empty: every P and S.
    pub phases: Vec<Phase>,
}

impl PairSpec {
    fn min_links(&self) -> usize {
        self.min_links.unwrap_or(1)
    }

    fn min_observations(&self) -> usize {
        self.min_observations.unwrap_or(1).max(1)
    }
}

/// A phase at a station that both events of a pair have: indices into [`Catalogue::picks`] of the two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Pick of the earlier event.
    pub first: u32,
    /// Pick of the later event.
    pub second: u32,
}

/// Two events: indices into [`Catalogue::events`].
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The earlier event.
    pub first: u32,
    /// The later event.
    pub second: u32,
    /// Straight-line distance of the hypocentres in km; NaN where a position is missing (only with MAXSEP ALL).
    pub separation_km: f64,
    /// By (station, phase), or by distance of the station where MAXOBS sorts them.
    pub links: Vec<Link>,
}

/// What was counted on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairStats {
    /// Events given.
    pub events: usize,
    /// Left out: no origin time.
    pub without_time: usize,
    /// Left out: no latitude or longitude (they stay in with MAXSEP ALL).
    pub without_position: usize,
    /// Taken to lie at 0 km.
    pub without_depth: usize,
    /// Left out: fewer picks than MINOBS.
    pub below_min_observations: usize,
    /// Picks left out for their weight.
    pub light_picks: usize,
    /// Picks left out because the same phase was picked twice.
    pub duplicate_picks: usize,
    /// Picks whose event is not there.
    pub stray_picks: usize,
    /// Links left out because the place of the station is not known (only with MAXDIST or MAXOBS).
    pub unplaced_links: usize,
}

/// The pairs of a catalogue, sorted by (first, second).
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// The pairs.
    pub pairs: Vec<Pair>,
    /// What was counted.
    pub stats: PairStats,
}

/// Pairs and links of a catalogue. `stations` is needed for MAXDIST and MAXOBS only; `cancel` is looked at for every
/// event.
///
/// Event j is a neighbour of event i if it is among the nearest that have at least MINOBS links with it, counted
/// until MAXNGH of them have MINLNK links; a pair is kept if one is a neighbour of the other. Equal distances are
/// taken in the order of events.
///
/// # Errors
/// MAXSEP missing, an option out of range, MAXDIST or MAXOBS without stations; somebody asked to stop.
pub fn pairs(
    catalogue: &Catalogue,
    stations: Option<&Stations>,
    spec: &PairSpec,
    cancel: &Cancel,
) -> Result<Pairs> {
    let radius_km = check(catalogue, stations, spec)?;
    let (usable, mut stats) = usable_picks(catalogue, spec);
    let members = members(catalogue, &usable, spec, radius_km, &mut stats);
    let search = Search { catalogue, stations, spec, usable: &usable, members: &members };
    let near = neighbours::Neighbours::new(catalogue, &members, radius_km)?;
    let walk = |m| cancel.check().map(|()| search.walk(&near, m));
    let found: Vec<(Vec<Pair>, usize)> =
        (0..members.len()).into_par_iter().map(walk).collect::<Result<_>>()?;
    let mut result = Pairs { pairs: Vec::new(), stats };
    for (pairs, unplaced) in found {
        result.pairs.extend(pairs);
        result.stats.unplaced_links += unplaced;
    }
    result.pairs.sort_unstable_by_key(|p| (p.first, p.second));
    result.pairs.dedup_by_key(|p| (p.first, p.second));
    Ok(result)
}

/// The radius of the search in km (infinite for all), after a look at the options.
fn check(catalogue: &Catalogue, stations: Option<&Stations>, spec: &PairSpec) -> Result<f64> {
    let radius_km = match spec.max_separation {
        Some(MaxSep::Km(km)) if km.is_finite() && km >= 0.0 => km,
        Some(MaxSep::Km(km)) => {
            return Err(Error::refused(format!("MAXSEP is {km} km"), "write a length, or MAXSEP ALL"));
        }
        Some(MaxSep::All) => f64::INFINITY,
        None if catalogue.is_two_sets() => f64::INFINITY,
        None => {
            return Err(Error::refused(
                "MAXSEP is missing: how far apart may the events of a pair be?",
                "MAXSEP 8 km, or MAXSEP ALL for every pair",
            ));
        }
    };
    let needs_stations = spec.max_distance_km.is_some() || spec.max_observations.is_some();
    if needs_stations && stations.is_none() {
        return Err(Error::refused(
            "MAXDIST and MAXOBS need the places of the stations, and there are none",
            "IMPORT STATIONS first, or leave these options out",
        ));
    }
    Ok(radius_km)
}

/// For every event the picks that count: one per (network, station, phase name), heavy enough; sorted by
/// (station, written phase).
fn usable_picks(catalogue: &Catalogue, spec: &PairSpec) -> (Vec<Vec<u32>>, PairStats) {
    let mut stats = PairStats {
        events: catalogue.events.len(),
        duplicate_picks: catalogue.duplicate_picks,
        stray_picks: catalogue.stray_picks,
        ..PairStats::default()
    };
    let usable = catalogue.picks.iter().map(|picks| {
        let named = |p: &Pick| match spec.phases.as_slice() {
            [] => p.phase.class != Class::Other,
            asked => asked.iter().any(|a| p.phase.is_meant_by(a)),
        };
        let heavy = |p: &Pick| !spec.min_weight.is_some_and(|least| p.weight >= 0.0 && p.weight < least);
        stats.light_picks += picks.iter().filter(|p| named(p) && !heavy(p)).count();
        let counts = |i: &u32| named(&picks[*i as usize]) && heavy(&picks[*i as usize]);
        (0..picks.len() as u32).filter(counts).collect()
    });
    let usable = usable.collect();
    (usable, stats)
}

/// The events that can be paired, in order.
fn members(
    catalogue: &Catalogue,
    usable: &[Vec<u32>],
    spec: &PairSpec,
    radius_km: f64,
    stats: &mut PairStats,
) -> Vec<u32> {
    let mut members = Vec::new();
    for (i, event) in catalogue.events.iter().enumerate() {
        if event.time.is_none() {
            stats.without_time += 1;
        } else if event.position().is_none() && radius_km.is_finite() {
            stats.without_position += 1;
        } else if usable[i].len() < spec.min_observations() {
            stats.below_min_observations += 1;
        } else {
            stats.without_depth += usize::from(event.depth_km.is_none());
            members.push(i as u32);
        }
    }
    members
}

/// What the search for the neighbours of one event needs.
struct Search<'a> {
    catalogue: &'a Catalogue,
    stations: Option<&'a Stations>,
    spec: &'a PairSpec,
    usable: &'a [Vec<u32>],
    members: &'a [u32],
}

impl Search<'_> {
    /// The pairs that member `m` brings in, and the links that were left out for want of a station.
    fn walk(&self, near: &neighbours::Neighbours, m: usize) -> (Vec<Pair>, usize) {
        let event = self.members[m];
        let (mut pairs, mut unplaced, mut strong, mut seen) = (Vec::new(), 0, 0, 0);
        let limit = self.spec.max_neighbours;
        let mut wanted = limit.map(|n| n.saturating_mul(2).saturating_add(8));
        loop {
            let list = near.of(m, wanted);
            for &(separation_km, other) in &list.found[seen..] {
                if limit.is_some_and(|n| strong >= n) {
                    return (pairs, unplaced);
                }
                let (first, second) = (event.min(other), event.max(other));
                // Without MAXNGH each pair is met from both sides and made from the first.
                if !self.catalogue.may_pair(first, second) || (limit.is_none() && event != first) {
                    continue;
                }
                let (links, lost) = self.links(first, second);
                unplaced += lost;
                if links.len() >= self.spec.min_observations() {
                    strong += usize::from(links.len() >= self.spec.min_links());
                    pairs.push(Pair {
                        first,
                        second,
                        separation_km,
                        links: self.nearest(links, first, second),
                    });
                }
            }
            seen = list.found.len();
            match wanted {
                Some(n) if !list.complete => wanted = Some(n.saturating_mul(2)),
                _ => return (pairs, unplaced),
            }
        }
    }

    /// The links of two events within MAXDIST, and how many were left out because a station has no place.
    fn links(&self, first: u32, second: u32) -> (Vec<Link>, usize) {
        let (a, b) = (&self.catalogue.picks[first as usize], &self.catalogue.picks[second as usize]);
        let mut links = phase::common((a, &self.usable[first as usize]), (b, &self.usable[second as usize]));
        if self.spec.max_distance_km.is_none() && self.spec.max_observations.is_none() {
            return (links, 0);
        }
        let before = links.len();
        links.retain(|l| self.distance_km(first, second, *l).is_some());
        let unplaced = before - links.len();
        if let Some(most_km) = self.spec.max_distance_km {
            links.retain(|l| self.distance_km(first, second, *l).is_some_and(|d| d <= most_km));
        }
        (links, unplaced)
    }

    /// At most MAXOBS links, those of the nearest stations.
    fn nearest(&self, links: Vec<Link>, first: u32, second: u32) -> Vec<Link> {
        let Some(most) = self.spec.max_observations else { return links };
        let mut by_distance: Vec<(f64, Link)> = links
            .into_iter()
            .map(|l| (self.distance_km(first, second, l).unwrap_or(f64::INFINITY), l))
            .collect();
        by_distance.sort_by(|a, b| a.0.total_cmp(&b.0));
        by_distance.into_iter().take(most).map(|(_, l)| l).collect()
    }

    /// Geodesic distance of the link's station from the middle of the two epicentres.
    fn distance_km(&self, first: u32, second: u32, link: Link) -> Option<f64> {
        let (a, b) = (&self.catalogue.events[first as usize], &self.catalogue.events[second as usize]);
        let ((lat1, lon1), (lat2, lon2)) = (a.position()?, b.position()?);
        let pick = &self.catalogue.picks[first as usize][link.first as usize];
        let (lat, lon) = self.stations?.find(pick.network.as_deref(), &pick.station)?;
        let turn = (lon2 - lon1 + 540.0).rem_euclid(360.0) - 180.0;
        let metres: f64 = Geodesic::wgs84().inverse((lat1 + lat2) / 2.0, lon1 + turn / 2.0, lat, lon);
        Some(metres / 1000.0)
    }
}

/// One copy of every text.
#[derive(Default)]
struct Interner(HashMap<String, Arc<str>>);

impl Interner {
    fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = Arc::from(text);
        self.0.insert(text.to_owned(), Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests;
