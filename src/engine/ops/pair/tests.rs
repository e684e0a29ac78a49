use proptest::prelude::*;

use super::*;
use crate::engine::session::Cancel;
use crate::model::time::Time;

pub(crate) fn event(id: &str, second: i64, place: (f64, f64, f64)) -> Event {
    Event {
        event_id: id.to_owned(),
        time: Some(Time(second * 1_000_000_000)),
        latitude_deg: Some(place.0),
        longitude_deg: Some(place.1),
        depth_km: Some(place.2),
        ..Event::default()
    }
}

pub(crate) fn pick(event: &str, station: &str, phase: &str, second: f64) -> (String, Pick) {
    let pick = Pick {
        pick_id: String::new(),
        network: Some(Arc::from("XX")),
        station: Arc::from(station),
        location: None,
        channel: None,
        phase: Phase::parse(phase),
        time: Time((second * 1e9).round() as i64),
        weight: 1.0,
        mode: 1,
    };
    (event.to_owned(), pick)
}

fn all() -> PairSpec {
    PairSpec { max_separation: Some(MaxSep::All), ..PairSpec::default() }
}

/// Every event has P at one station; places as given.
fn clustered(places: &[(f64, f64, f64)]) -> Catalogue {
    let id = |i: usize| format!("e{i:03}");
    let events = places.iter().enumerate().map(|(i, p)| event(&id(i), 10 * i as i64, *p)).collect();
    let picks = (0..places.len()).map(|i| pick(&id(i), "A", "P", 10.0 * i as f64 + 1.0)).collect();
    Catalogue::new(events, picks).expect("unique ids")
}

fn numbers(p: &Pairs) -> Vec<(u32, u32)> {
    p.pairs.iter().map(|p| (p.first, p.second)).collect()
}

proptest! {
    #[test]
    fn equals_brute_force(
        places in proptest::collection::vec((35.0_f64..35.2, -117.6_f64..-117.4, 0.0_f64..12.0), 1..40),
        radius in 0.5_f64..12.0, most in 1_usize..6,
    ) {
        // Some places twice: ties.
        let mut places = places;
        let twice: Vec<_> = places.iter().take(4).copied().collect();
        places.extend(twice);
        let c = clustered(&places);
        let xyz: Vec<_> = places.iter().map(|p| neighbours::geocentric_km(p.0, p.1, p.2)).collect();
        let d = |i: usize, j: usize| neighbours::distance(&xyz[i], &xyz[j]);
        let n = places.len();
        let mut near = Vec::new();
        let mut nearest = std::collections::BTreeSet::new();
        for i in 0..n {
            let mut list: Vec<usize> = (0..n).filter(|&j| j != i && d(i, j) <= radius).collect();
            near.extend(list.iter().filter(|&&j| j > i).map(|&j| (i as u32, j as u32)));
            list.sort_by(|&a, &b| d(i, a).total_cmp(&d(i, b)).then(a.cmp(&b)));
            nearest.extend(list.iter().take(most).map(|&j| (i.min(j) as u32, i.max(j) as u32)));
        }
        near.sort_unstable();
        let spec = PairSpec { max_separation: Some(MaxSep::Km(radius)), ..PairSpec::default() };
        prop_assert_eq!(numbers(&pairs(&c, None, &spec, &Cancel::default()).expect("pairs")), near);
        let spec = PairSpec { max_neighbours: Some(most), ..spec };
        prop_assert_eq!(numbers(&pairs(&c, None, &spec, &Cancel::default()).expect("pairs")), nearest.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn input_order_does_not_matter() {
    let places = [(35.0, -117.0, 5.0), (35.01, -117.0, 5.0), (35.0, -117.01, 6.0)];
    let c = clustered(&places);
    let mut events = c.events.clone();
    events.reverse();
    let picks = c.events.iter().zip(&c.picks).rev();
    let picks = picks.flat_map(|(e, p)| p.iter().map(|p| (e.event_id.clone(), p.clone()))).collect();
    let turned = Catalogue::new(events, picks).expect("unique ids");
    let (a, b) = (
        pairs(&c, None, &all(), &Cancel::default()).expect("pairs"),
        pairs(&turned, None, &all(), &Cancel::default()).expect("pairs"),
    );
    assert_eq!(a.pairs, b.pairs);
    assert_eq!(a.pairs.len(), 3);
}

#[test]
fn phases_link_by_name_then_by_time() {
    let place = (35.0, -117.0, 5.0);
    // picks of event 1, picks of event 2, (index, index) of the links as (station phase, station phase)
    type Picks<'a> = &'a [(&'a str, &'a str, f64)];
    type Case<'a> = (Picks<'a>, Picks<'a>, &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 6] = [
        (&[("A", "P", 1.0)], &[("A", "P", 11.0)], &[("P", "P")]),
        (&[("A", "Pg", 1.0)], &[("A", "Pn", 11.0)], &[]),
        (&[("A", "Pg", 2.0), ("A", "Pn", 1.0)], &[("A", "Pn", 11.0), ("A", "Pg", 12.0)], &[("Pn", "Pn")]),
        (&[("A", "P", 1.0), ("A", "Pg", 2.0)], &[("A", "Pg", 12.0)], &[("Pg", "Pg")]),
        (&[("A", "P", 1.0), ("B", "S", 2.0)], &[("A", "S", 12.0), ("B", "IPU0", 13.0)], &[]),
        (
            &[("A", "P", 1.0), ("A", "S", 2.0)],
            &[("A", "S", 12.0), ("A", "P", 11.0)],
            &[("P", "P"), ("S", "S")],
        ),
    ];
    for (one, two, want) in cases {
        let picks = one.iter().map(|p| ("a", p)).chain(two.iter().map(|p| ("b", p)));
        let picks = picks.map(|(e, p)| pick(e, p.0, p.1, p.2)).collect();
        let c = Catalogue::new(vec![event("a", 0, place), event("b", 10, place)], picks).expect("ids");
        let found = pairs(&c, None, &all(), &Cancel::default()).expect("pairs");
        let name = |e: usize, i: u32| c.picks[e][i as usize].phase.name.clone();
        let got: Vec<_> = found
            .pairs
            .iter()
            .flat_map(|p| &p.links)
            .map(|l| (name(0, l.first), name(1, l.second)))
            .collect();
        let want: Vec<_> = want.iter().map(|w| (w.0.to_owned(), w.1.to_owned())).collect();
        assert_eq!(got, want, "{one:?} {two:?}");
    }
}

#[test]
fn what_is_left_out_is_counted() {
    let place = (35.0, -117.0, 5.0);
    let mut events =
        vec![event("a", 0, place), event("b", 10, place), event("c", 20, place), event("d", 30, place)];
    events[1].depth_km = None;
    events[2].time = None;
    events[3].latitude_deg = None;
    let mut picks: Vec<_> = ["a", "b", "c", "d"].iter().map(|e| pick(e, "A", "P", 1.0)).collect();
    picks.push(pick("a", "A", "P", 2.0));
    picks.push(pick("a", "A", "S", 2.0));
    picks.push(pick("nobody", "A", "S", 2.0));
    picks[5].1.weight = 0.1;
    let c = Catalogue::new(events, picks).expect("ids");
    let spec =
        PairSpec { max_separation: Some(MaxSep::Km(8.0)), min_weight: Some(0.2), ..PairSpec::default() };
    let found = pairs(&c, None, &spec, &Cancel::default()).expect("pairs");
    let want = PairStats {
        events: 4,
        without_time: 1,
        without_position: 1,
        without_depth: 1,
        light_picks: 1,
        duplicate_picks: 1,
        stray_picks: 1,
        ..PairStats::default()
    };
    assert_eq!(found.stats, want);
    // Events in order: a, b, d (no position), c (no time).
    assert_eq!(numbers(&found), [(0, 1)]);
    assert!((found.pairs[0].separation_km - 5.0).abs() < 1e-9);
}

#[test]
fn manual_heavier_earlier_picks_win() {
    let mut picks = vec![pick("a", "A", "P", 5.0), pick("a", "A", "P", 3.0), pick("a", "A", "P", 4.0)];
    picks[0].1.mode = 0;
    picks[0].1.weight = 0.1;
    let keep = |picks: &[(String, Pick)]| {
        let c = Catalogue::new(vec![event("a", 0, (0.0, 0.0, 0.0))], picks.to_vec()).expect("ids");
        (c.picks[0].len(), c.picks[0][0].time.0 / 1_000_000_000)
    };
    assert_eq!(keep(&picks), (1, 5));
    assert_eq!(keep(&picks[1..]), (1, 3));
    picks[2].1.weight = 2.0;
    assert_eq!(keep(&picks[1..]), (1, 4));
}

#[test]
fn two_sets_pair_across() {
    let places = [(35.0, -117.0, 5.0); 4];
    let c = clustered(&places);
    let part = |keep: &[usize]| {
        let events = keep.iter().map(|&i| c.events[i].clone()).collect();
        let picks = keep.iter().map(|&i| (c.events[i].event_id.clone(), c.picks[i][0].clone())).collect();
        Catalogue::new(events, picks).expect("ids")
    };
    // Event 2 is in both sets.
    let both = part(&[1, 2]).against(part(&[0, 2, 3])).expect("same events");
    let found = pairs(&both, None, &PairSpec::default(), &Cancel::default()).expect("MAXSEP is not needed");
    assert_eq!(numbers(&found), [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]);
    let mut moved = part(&[2]);
    moved.events[0].latitude_deg = Some(1.0);
    assert!(part(&[2]).against(moved).is_err());
}

#[test]
fn stations_limit_links() {
    let place = (35.0, -117.0, 5.0);
    let picks = ["a", "b"].iter().flat_map(|e| ["A", "B", "C"].map(|s| pick(e, s, "P", 11.0))).collect();
    let c = Catalogue::new(vec![event("a", 0, place), event("b", 10, place)], picks).expect("ids");
    let text =
        |t: [&str; 2]| -> arrow_array::ArrayRef { Arc::new(arrow_array::StringArray::from(t.to_vec())) };
    let float =
        |t: [f64; 2]| -> arrow_array::ArrayRef { Arc::new(arrow_array::Float64Array::from(t.to_vec())) };
    let columns = vec![
        ("network", text(["XX", "XX"])),
        ("station", text(["A", "B"])),
        ("latitude", float([35.5, 35.1])),
        ("longitude", float([-117.0, -117.0])),
    ];
    let stations =
        Stations::from_batches(&[crate::model::table::Batch::try_from_iter(columns).expect("columns")]);
    let stations = stations.expect("columns are there");
    let names = |spec: &PairSpec| {
        let found = pairs(&c, Some(&stations), spec, &Cancel::default()).expect("pairs");
        let links = found.pairs.first().map(|p| p.links.clone()).unwrap_or_default();
        let names: Vec<String> =
            links.iter().map(|l| c.picks[0][l.first as usize].station.to_string()).collect();
        (names.join(" "), found.stats.unplaced_links)
    };
    assert_eq!(names(&PairSpec { max_distance_km: Some(20.0), ..all() }), ("B".to_owned(), 1));
    assert_eq!(names(&PairSpec { max_observations: Some(5), ..all() }), ("B A".to_owned(), 1));
    assert_eq!(names(&PairSpec { max_observations: Some(1), ..all() }), ("B".to_owned(), 1));
    assert_eq!(names(&all()), ("A B C".to_owned(), 0));
    assert!(pairs(&c, None, &PairSpec { max_observations: Some(1), ..all() }, &Cancel::default()).is_err());
}

#[test]
fn rows_come_from_batches() {
    use crate::model::table::Batch;
    use arrow_array::{ArrayRef, Float32Array, Int32Array, StringArray, TimestampNanosecondArray};
    let text = |t: &[Option<&str>]| -> ArrayRef { Arc::new(StringArray::from(t.to_vec())) };
    let time = |t: &[Option<i64>]| -> ArrayRef {
        Arc::new(TimestampNanosecondArray::from(t.to_vec()).with_timezone("UTC"))
    };
    let float = |t: &[Option<f32>]| -> ArrayRef { Arc::new(Float32Array::from(t.to_vec())) };
    let events = Batch::try_from_iter([
        ("event_id", text(&[Some("b"), Some("a")])),
        ("number", Arc::new(Int32Array::from(vec![Some(7), None])) as ArrayRef),
        ("time", time(&[Some(20), Some(10)])),
        ("latitude", float(&[Some(35.5), None])),
        ("longitude", float(&[Some(-117.5), Some(1.0)])),
        ("depth_km", float(&[None, Some(3.0)])),
    ]);
    let nothing = || text(&[None, None, None]);
    let picks = Batch::try_from_iter([
        ("pick_id", text(&[Some("1"), Some("2"), Some("3")])),
        ("event_id", text(&[Some("a"), Some("b"), Some("c")])),
        ("network", text(&[Some(""), Some("XX"), None])),
        ("station", text(&[Some("A"), Some("A"), Some("A")])),
        ("location", text(&[None, Some(""), None])),
        ("channel", nothing()),
        ("phase", text(&[Some("IPU0"), Some("S"), Some("P")])),
        ("time", time(&[Some(30), Some(40), Some(50)])),
        ("weight", float(&[None, Some(0.5), None])),
        ("mode", text(&[Some("manual"), Some("automatic"), None])),
    ]);
    let (events, picks) = (events.expect("events"), picks.expect("picks"));
    let c = Catalogue::from_batches(std::slice::from_ref(&events), &[picks]).expect("rows");
    let ids: Vec<&str> = c.events.iter().map(|e| e.event_id.as_str()).collect();
    assert_eq!((ids, c.stray_picks), (vec!["a", "b"], 1));
    assert_eq!((c.events[1].number, c.events[1].depth_km, c.events[0].position()), (Some(7), None, None));
    let (a, b) = (&c.picks[0][0], &c.picks[1][0]);
    assert_eq!((a.network.as_deref(), a.phase.name.as_str(), a.weight, a.mode), (None, "P", 1.0, 0));
    assert_eq!(
        (b.network.as_deref(), b.location.as_deref(), b.weight, b.mode),
        (Some("XX"), Some(""), 0.5, 2)
    );
    let error = Catalogue::from_batches(&[], &[events]).map(|_| ()).expect_err("no such column");
    assert!(error.to_string().contains("`pick_id`"), "{error}");
}

#[test]
fn batches_go_in_and_out() {
    let places = [(35.0, -117.0, 5.0), (35.0, -117.0, 6.5)];
    let c = clustered(&places);
    let found = pairs(&c, None, &all(), &Cancel::default()).expect("pairs");
    let rows = pairs_batch(&c, &found).expect("batch");
    assert_eq!((rows.num_rows(), rows.num_columns()), (1, 4));
    let links = links_batch(&c, &found).expect("batch");
    assert_eq!((links.num_rows(), links.num_columns()), (1, 8));
    assert!(pairs(&c, None, &PairSpec::default(), &Cancel::default()).is_err(), "MAXSEP is required");
}
