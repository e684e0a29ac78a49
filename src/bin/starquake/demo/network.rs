//! Twelve stations, two clusters of earthquakes, and when each wave truly arrives where: straight rays through
//! rock of one velocity.

use std::collections::HashMap;
use std::f64::consts::TAU;
use std::path::Path;

use starquake::error::Result;
use starquake::format::event::{EventRow, PickRow, StationRow};
use starquake::format::{hypodd, quakeml};
use starquake::geometry::earth::{Place, ecef_km};
use starquake::model::time::{NS_PER_S, Time};

use super::SEED;
use super::random::Random;
use super::world::{create, finish};

/// Network code of the stations.
pub(crate) const NETWORK: &str = "DM";
/// Location code of every channel.
pub(crate) const LOCATION: &str = "00";
/// 2024-02-29T22:58:00Z: two hours of data run over a leap day's midnight.
pub(crate) const DATA_START: Time = Time(1_709_247_480 * NS_PER_S);
/// Length of the data.
pub(crate) const DATA_S: i64 = 7_440;

const STATIONS: usize = 12;
const EVENTS: usize = 40;
/// The first origin after the start of the data, and the mean time between two.
const FIRST_ORIGIN_S: f64 = 100.0;
const BETWEEN_ORIGINS_S: f64 = 178.0;
const VP_KM_S: f64 = 6.0;
const VS_KM_S: f64 = 3.46;
/// Middle of the network.
const MIDDLE: Place = Place { lat_deg: 46.3, lon_deg: 7.5 };
const KM_PER_DEG: f64 = 111.195;
/// Cluster centres: east and north of the middle, and depth, in km.
const CLUSTERS: [(f64, f64, f64); 2] = [(-6.0, -3.0, 8.0), (6.0, 3.0, 11.0)];
/// Hypocentres lie within this distance of the centre.
const CLUSTER_RADIUS_KM: f64 = 1.0;
/// Picks err by up to this much to either side.
const PICK_ERROR_NS: f64 = 20e6;
/// This part of the picks was not made.
const MISSING_PICKS: f64 = 0.03;

/// A wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    P,
    S,
}

impl Phase {
    pub(crate) const ALL: [Phase; 2] = [Phase::P, Phase::S];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::P => "P",
            Phase::S => "S",
        }
    }

    fn velocity_km_s(self) -> f64 {
        match self {
            Phase::P => VP_KM_S,
            Phase::S => VS_KM_S,
        }
    }

    /// The channel an analyst would pick it on.
    fn channel(self) -> &'static str {
        match self {
            Phase::P => "HHZ",
            Phase::S => "HHE",
        }
    }
}

/// A station.
#[derive(Clone, Debug)]
pub(crate) struct Station {
    pub(crate) code: String,
    place: Place,
    elevation_m: f64,
    /// Its first sample comes so much after [`DATA_START`]: less than a sample, whole us as miniSEED 2 counts.
    pub(crate) phase_us: i64,
}

/// An earthquake.
#[derive(Clone, Debug)]
pub(crate) struct Quake {
    pub(crate) id: String,
    pub(crate) cluster: usize,
    pub(crate) origin: Time,
    pub(crate) magnitude: f64,
    place: Place,
    depth_km: f64,
}

/// A wave of an event at a station.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) event: usize,
    pub(crate) station: usize,
    pub(crate) phase: Phase,
    /// When it truly arrives.
    pub(crate) time: Time,
    /// When the analyst thinks it does.
    pub(crate) pick: Option<Time>,
    pub(crate) distance_km: f64,
}

/// Stations, events and arrivals.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) stations: Vec<Station>,
    pub(crate) quakes: Vec<Quake>,
    pub(crate) arrivals: Vec<Arrival>,
}

/// What is known of the arrivals that were picked, by event, station and phase.
pub(crate) type TravelTimes = HashMap<(String, String, String), TravelTime>;

/// A travel time from the origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TravelTime {
    pub(crate) cluster: usize,
    pub(crate) true_s: f64,
    pub(crate) picked_s: f64,
}

impl Network {
    /// Always the same.
    pub(crate) fn new() -> Network {
        let stations: Vec<Station> = (0..STATIONS).map(station).collect();
        let mut random = Random::new(&[SEED, 2]);
        let quakes: Vec<Quake> = (0..EVENTS).map(|i| quake(i, &mut random)).collect();
        let mut arrivals = Vec::with_capacity(2 * EVENTS * STATIONS);
        for (event, quake) in quakes.iter().enumerate() {
            for (index, station) in stations.iter().enumerate() {
                let distance_km = distance_km(quake, station);
                for phase in Phase::ALL {
                    let time = after(quake.origin, distance_km / phase.velocity_km_s());
                    let error_ns = random.uniform(-PICK_ERROR_NS, PICK_ERROR_NS).round() as i64;
                    let is_missing = random.uniform(0.0, 1.0) < MISSING_PICKS;
                    let pick = (!is_missing).then_some(Time(time.0 + error_ns));
                    arrivals.push(Arrival { event, station: index, phase, time, pick, distance_km });
                }
            }
        }
        Network { stations, quakes, arrivals }
    }

    /// Travel times of what was picked.
    pub(crate) fn travel_times(&self) -> TravelTimes {
        let entry = |a: &Arrival| {
            let quake = &self.quakes[a.event];
            let key = (quake.id.clone(), self.stations[a.station].code.clone(), a.phase.name().to_owned());
            let time = TravelTime {
                cluster: quake.cluster,
                true_s: a.time.seconds_since(quake.origin),
                picked_s: a.pick?.seconds_since(quake.origin),
            };
            Some((key, time))
        };
        self.arrivals.iter().filter_map(entry).collect()
    }

    /// Writes `events.xml` (QuakeML) and `station.dat` (hypoDD).
    pub(crate) fn write(&self, data: &Path) -> Result<()> {
        let events: Vec<EventRow> = self.quakes.iter().map(event_row).collect();
        let picks: Vec<PickRow> =
            self.arrivals.iter().enumerate().filter_map(|(i, a)| self.pick_row(i, a)).collect();
        let path = data.join("events.xml");
        let mut file = create(&path)?;
        quakeml::write_quakeml(&mut file, &events, &picks)?;
        finish(file, &path)?;
        let stations: Vec<StationRow> = self.stations.iter().map(station_row).collect();
        let path = data.join("station.dat");
        let mut file = create(&path)?;
        hypodd::write_stations(&mut file, &stations)?;
        finish(file, &path)
    }

    fn pick_row(&self, index: usize, arrival: &Arrival) -> Option<PickRow> {
        Some(PickRow {
            pick_id: format!("smi:demo/pick{}", index + 1),
            event_id: self.quakes[arrival.event].id.clone(),
            network: Some(NETWORK.to_owned()),
            station: Some(self.stations[arrival.station].code.clone()),
            location: Some(LOCATION.to_owned()),
            channel: Some(arrival.phase.channel().to_owned()),
            phase: Some(arrival.phase.name().to_owned()),
            time: Some(arrival.pick?),
            uncertainty_s: Some(0.01),
            weight: Some(1.0),
            mode: Some("manual".to_owned()),
            polarity: None,
        })
    }
}

/// So many seconds later, to the nearest ns.
fn after(time: Time, seconds: f64) -> Time {
    Time(time.0 + (seconds * NS_PER_S as f64).round() as i64)
}

/// A place so many km east and north of the middle.
fn place(east_km: f64, north_km: f64) -> Place {
    let lon_km_per_deg = KM_PER_DEG * MIDDLE.lat_deg.to_radians().cos();
    Place {
        lat_deg: rounded(MIDDLE.lat_deg + north_km / KM_PER_DEG),
        lon_deg: rounded(MIDDLE.lon_deg + east_km / lon_km_per_deg),
    }
}

/// To the six decimals that files carry.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Stations stand on a spiral, none nearer than 9 km to a cluster, so that P has died down when S comes.
fn station(index: usize) -> Station {
    let mut random = Random::new(&[SEED, 1, index as u64]);
    let golden_angle = TAU * 0.381_966;
    let (radius_km, angle) = (17.0 + 2.0 * index as f64, golden_angle * index as f64);
    Station {
        code: format!("ST{:02}", index + 1),
        place: place(radius_km * angle.sin(), radius_km * angle.cos()),
        elevation_m: random.uniform(400.0, 2600.0).round(),
        phase_us: random.uniform(0.0, 10_000.0) as i64,
    }
}

fn quake(index: usize, random: &mut Random) -> Quake {
    let cluster = index % CLUSTERS.len();
    let (east, north, depth) = CLUSTERS[cluster];
    let offset = loop {
        let offset: [f64; 3] = std::array::from_fn(|_| random.uniform(-CLUSTER_RADIUS_KM, CLUSTER_RADIUS_KM));
        if offset.iter().map(|o| o * o).sum::<f64>() <= CLUSTER_RADIUS_KM * CLUSTER_RADIUS_KM {
            break offset;
        }
    };
    let seconds = FIRST_ORIGIN_S + BETWEEN_ORIGINS_S * index as f64 + random.uniform(-30.0, 30.0);
    Quake {
        id: format!("smi:demo/{}", index + 1),
        cluster,
        origin: after(DATA_START, seconds),
        magnitude: (10.0 * random.uniform(1.0, 2.2)).round() / 10.0,
        place: place(east + offset[0], north + offset[1]),
        depth_km: rounded(depth + offset[2]),
    }
}

fn distance_km(quake: &Quake, station: &Station) -> f64 {
    let from = ecef_km(quake.place, -quake.depth_km);
    let to = ecef_km(station.place, station.elevation_m / 1000.0);
    from.iter().zip(to).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn event_row(quake: &Quake) -> EventRow {
    EventRow {
        event_id: quake.id.clone(),
        number: 0,
        time: Some(quake.origin),
        latitude: Some(quake.place.lat_deg),
        longitude: Some(quake.place.lon_deg),
        depth_km: Some(quake.depth_km),
        magnitude: Some(quake.magnitude),
        magnitude_type: Some("ML".to_owned()),
    }
}

fn station_row(station: &Station) -> StationRow {
    StationRow {
        network: Some(NETWORK.to_owned()),
        station: station.code.clone(),
        latitude: Some(station.place.lat_deg),
        longitude: Some(station.place.lon_deg),
        elevation_m: Some(station.elevation_m),
        ..StationRow::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_the_same_every_time() {
        let (one, two) = (Network::new(), Network::new());
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
        assert_eq!((one.stations.len(), one.quakes.len(), one.arrivals.len()), (12, 40, 960));
    }

    #[test]
    fn picks_err_by_up_to_20_ms_and_lie_off_the_sample_grid() {
        let network = Network::new();
        let errors: Vec<i64> = network.arrivals.iter().filter_map(|a| Some(a.pick?.0 - a.time.0)).collect();
        assert!(errors.len() > 900 && errors.len() < 960, "{}", errors.len());
        assert!(errors.iter().all(|e| e.abs() <= 20_000_000));
        let on_grid = network.arrivals.iter().filter(|a| a.time.0 % 10_000_000 == 0).count();
        assert_eq!(on_grid, 0);
    }

    #[test]
    fn p_is_over_before_s_and_events_do_not_overlap() {
        let network = Network::new();
        for pair in network.arrivals.chunks(2) {
            assert!(pair[1].time.seconds_since(pair[0].time) > 1.25, "{pair:?}");
        }
        for pair in network.quakes.windows(2) {
            assert!(pair[1].origin.seconds_since(pair[0].origin) > 60.0, "{pair:?}");
        }
        let end = network.arrivals.iter().map(|a| a.time).max();
        assert!(end.is_some_and(|end| end.seconds_since(DATA_START) < DATA_S as f64 - 30.0));
    }
}
