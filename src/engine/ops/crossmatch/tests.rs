use super::*;
use crate::geometry::separation::separation_deg;
use crate::geometry::vector::{self, Vector};
use crate::index::sky;

/// A small generator; every test names its seed.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn sphere(&mut self) -> (f64, f64) {
        (360.0 * self.unit(), (2.0 * self.unit() - 1.0).asin().to_degrees())
    }
}

type Points = Vec<(f64, f64)>;
/// Name, left, right.
type Case<'a> = (&'static str, &'a [(f64, f64)], &'a [(f64, f64)]);

/// A catalogue in sky order; `rank` is the row number before.
struct Catalogue {
    ra: Vec<f64>,
    dec: Vec<f64>,
    cells: Vec<u64>,
    rank: Vec<u32>,
}

impl Catalogue {
    fn new(points: &[(f64, f64)]) -> Catalogue {
        let (ra, dec): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        let order = sky::order(&ra, &dec).unwrap();
        let take = |column: &[f64]| order.rows.iter().map(|row| column[*row as usize]).collect();
        Catalogue { ra: take(&ra), dec: take(&dec), cells: order.cell29, rank: order.rows }
    }

    fn positions(&self) -> Positions<'_> {
        Positions::new(&self.ra, &self.dec, &self.cells, &self.rank).unwrap()
    }
}

fn request(radius_deg: f64, mode: Mode) -> Request<'static> {
    Request { radius_deg, mode, left_rows: 0..usize::MAX, accept: None, cancel: None }
}

fn nearest(k: usize) -> Mode {
    Mode::Nearest(NonZero::new(k).unwrap())
}

/// Separations of all pairs by Vincenty, in degrees, one row for each left row.
fn all_separations(left: &Positions<'_>, right: &Positions<'_>) -> Vec<Vec<f64>> {
    (0..left.len())
        .map(|i| (0..right.len()).map(|j| separation_deg(left.at(i), right.at(j))).collect())
        .collect()
}

/// For each row of one side the rows of the other within the radius, by separation, then key.
fn within(
    n: usize,
    (m, key_rank): (usize, &[u32]),
    radius_deg: f64,
    separation: impl Fn(usize, usize) -> f64,
) -> Vec<Vec<(f64, u32)>> {
    (0..n)
        .map(|i| {
            let pairs = (0..m).map(|j| (separation(i, j), j as u32));
            let mut row: Vec<(f64, u32)> = pairs.filter(|pair| pair.0 <= radius_deg).collect();
            let key = |pair: &(f64, u32)| key_rank[pair.1 as usize];
            row.sort_by(|a, b| a.0.total_cmp(&b.0).then(key(a).cmp(&key(b))));
            row
        })
        .collect()
}

/// The answer by definition, from the separations of all pairs.
fn oracle(left: &Positions<'_>, right: &Positions<'_>, request: &Request<'_>, all: &[Vec<f64>]) -> Matches {
    let is_accepted = |i: usize, j: usize| request.accept.is_none_or(|accept| accept(i as u32, j as u32));
    let separation = |i: usize, j: usize| if is_accepted(i, j) { all[i][j] } else { f64::NAN };
    let forward = within(left.len(), (right.len(), right.key_rank), request.radius_deg, separation);
    let back = match request.mode {
        Mode::Mutual => {
            within(right.len(), (left.len(), left.key_rank), request.radius_deg, |j, i| separation(i, j))
        }
        _ => Vec::new(),
    };
    let mut found = Matches::default();
    for (i, row) in forward.iter().enumerate() {
        let kept = match request.mode {
            Mode::Nearest(k) => row.len().min(k.get()),
            Mode::All => row.len(),
            Mode::Mutual => {
                usize::from(row.first().is_some_and(|pair| back[pair.1 as usize][0].1 == i as u32))
            }
        };
        for (place, pair) in row.iter().take(kept).enumerate() {
            found.left.push(i as u32);
            found.right.push(pair.1);
            found.separation_arcsec.push(pair.0 * ARCSEC_PER_DEG);
            found.match_rank.push(place as u32 + 1);
            found.n_within.push(row.len() as u32);
            found.separation2_arcsec.push(row.get(1).map_or(f64::NAN, |pair| pair.0 * ARCSEC_PER_DEG));
        }
    }
    found
}

/// Every column bit for bit (NaN is NaN).
fn bits(found: &Matches) -> Vec<Vec<u64>> {
    let rows = |column: &[u32]| column.iter().map(|v| u64::from(*v)).collect();
    let reals = |column: &[f64]| column.iter().map(|v| v.to_bits()).collect();
    vec![
        rows(&found.left),
        rows(&found.right),
        reals(&found.separation_arcsec),
        rows(&found.match_rank),
        rows(&found.n_within),
        reals(&found.separation2_arcsec),
    ]
}

const RADII_DEG: [f64; 10] = [0.0, 1e-9, 3.0 / 3600.0, 0.1, 2.0, 20.0, 60.0, 90.0, 135.0, 180.0];

fn check(name: &str, a: &[(f64, f64)], b: &[(f64, f64)], radii_deg: &[f64]) {
    let (left, right) = (Catalogue::new(a), Catalogue::new(b));
    let (left, right) = (left.positions(), right.positions());
    let all = all_separations(&left, &right);
    for &radius_deg in radii_deg {
        for mode in [nearest(1), nearest(3), nearest(50), Mode::All, Mode::Mutual] {
            let request = request(radius_deg, mode);
            let got = matches(&left, &right, &request).unwrap();
            assert_eq!(
                bits(&got),
                bits(&oracle(&left, &right, &request, &all)),
                "{name}: {radius_deg} deg, {mode:?}"
            );
        }
    }
}

fn jitter(points: &[(f64, f64)], by_deg: f64, random: &mut Random) -> Points {
    points
        .iter()
        .map(|p| {
            (p.0 + by_deg * (random.unit() - 0.5), (p.1 + by_deg * (random.unit() - 0.5)).clamp(-90.0, 90.0))
        })
        .collect()
}

/// The 8 corners where only three cells of order 0 meet: between the polar and the equatorial faces.
fn three_cell_corners() -> Points {
    let dec = (2.0f64 / 3.0).asin().to_degrees();
    (0..4).flat_map(|q| [(90.0 * f64::from(q), dec), (90.0 * f64::from(q), -dec)]).collect()
}

#[test]
fn hard_cases_are_as_all_pairs_by_vincenty() {
    let mut random = Random(42);
    let uniform: Points = (0..400).map(|_| random.sphere()).collect();
    let other: Points = (0..500).map(|_| random.sphere()).collect();
    let poles: Points = (0..60)
        .map(|i| (360.0 * random.unit(), (90.0 - 10f64.powi(-(i % 12))).copysign(random.unit() - 0.5)))
        .chain([(0.0, 90.0), (123.0, 90.0), (7.0, -90.0)])
        .collect();
    let ra0: Points = (0..80).map(|i| ((random.unit() - 0.5) * 1e-3, f64::from(i) - 40.0)).collect();
    let ra0_wrapped: Points = ra0.iter().map(|p| (p.0.rem_euclid(360.0), p.1)).collect();
    let antipodes: Points = uniform.iter().take(100).map(|p| ((p.0 + 180.0) % 360.0, -p.1)).collect();
    let same = vec![(10.0, 20.0); 70];
    let on_axis: Points = (0..100).map(|i| (45.0, f64::from(i) * 1e-4)).collect();
    let corners: Points = (0..20).flat_map(|_| three_cell_corners()).collect();
    let corners = jitter(&corners, 1e-3, &mut random);
    let nulls =
        [(f64::NAN, 0.0), (0.0, f64::NAN), (1.0, 90.5), (f64::INFINITY, 1.0), (5.0, 5.0), (1.0, -91.0)];
    let chain_a = [(0.0, 0.0), (0.003, 0.0)];
    let chain_b = [(0.001, 0.0), (0.0045, 0.0)];
    let cases: [Case<'_>; 16] = [
        ("uniform", &uniform, &other),
        ("self", &uniform, &uniform),
        ("poles", &poles, &jitter(&poles, 1e-4, &mut random)),
        ("poles, twice", &poles, &poles),
        ("ra 0 and 360", &ra0, &ra0_wrapped),
        ("antipodes", &uniform[..100], &antipodes),
        ("70 equal points", &same, &same),
        ("equal and others", &same, &jitter(&same, 1e-3, &mut random)),
        ("100 points of one ra", &on_axis, &on_axis),
        ("corners", &corners, &jitter(&corners, 1e-3, &mut random)),
        ("nulls", &nulls, &nulls),
        ("empty right", &uniform, &[]),
        ("empty left", &[], &uniform),
        ("one row", &[(200.0, -30.0)], &[(200.0, -30.0 + 1e-4)]),
        ("chain", &chain_a, &chain_b),
        ("microarcseconds", &on_axis, &jitter(&on_axis, 1e-6 / 3600.0, &mut random)),
    ];
    for (name, a, b) in cases {
        check(name, a, b, &RADII_DEG);
        check(name, a, b, &[1e-6 / 3600.0, 1e-4, 0.002, 5.0]);
    }
}

#[test]
fn a_pair_at_the_radius_is_within() {
    let mut random = Random(7);
    for _ in 0..2000 {
        let a = random.sphere();
        let scale = 10f64.powf(-9.0 * random.unit() + 1.0);
        let b = jitter(&[a], scale, &mut random)[0];
        let exact = separation_deg(a, b);
        if exact > 90.0 {
            continue;
        }
        check("edge", &[a], &[b], &[exact, exact * (1.0 - 2e-16), exact * (1.0 + 2e-16)]);
    }
}

#[test]
fn dense_clusters_and_ties() {
    let mut random = Random(99);
    // A cluster of 3,000 within an arcminute on a sparse sky, a lattice full of ties, and a face edge at ra 90.
    let cluster: Points =
        (0..3000).map(|_| (30.0 + 0.02 * random.unit(), 10.0 + 0.02 * random.unit())).collect();
    let sparse: Points = (0..300).map(|_| random.sphere()).collect();
    let lattice: Points = (0..900).map(|i| (f64::from(i % 30) * 0.01, f64::from(i / 30) * 0.01)).collect();
    let edge: Points =
        (0..600).map(|_| (90.0 + 0.01 * (random.unit() - 0.5), 60.0 + 0.5 * random.unit())).collect();
    let both: Points = cluster.iter().chain(&sparse).copied().collect();
    check("cluster", &both[2800..], &both, &[1.0 / 3600.0, 0.003, 0.5, 50.0]);
    check("lattice", &lattice, &lattice, &[0.0, 0.01, 0.0100001, 0.05]);
    check("edge of a face", &edge, &jitter(&edge, 1e-3, &mut random), &[1e-4, 0.003, 0.5, 5.0]);
}

#[test]
fn mutual_is_no_chain() {
    // A1 - B1 - A2 - B2 on a line: B1 is nearest to both A, A2 nearest to both B. Only A2 - B1 is mutual.
    let a = Catalogue::new(&[(0.0, 0.0), (0.0020, 0.0)]);
    let b = Catalogue::new(&[(0.0011, 0.0), (0.0032, 0.0)]);
    let found = matches(&a.positions(), &b.positions(), &request(0.01, Mode::Mutual)).unwrap();
    let pairs: Vec<(f64, f64)> =
        found.left.iter().zip(&found.right).map(|(i, j)| (a.ra[*i as usize], b.ra[*j as usize])).collect();
    assert_eq!(pairs, [(0.0020, 0.0011)]);
}

#[test]
fn a_self_match_leaves_out_the_row_itself() {
    let mut random = Random(5);
    let mut points: Points = (0..300).map(|_| random.sphere()).collect();
    points.extend(jitter(&points.clone(), 1e-3, &mut random));
    points.extend(points[..10].to_vec());
    let sky = Catalogue::new(&points);
    let other = |i: u32, j: u32| i != j;
    let all = all_separations(&sky.positions(), &sky.positions());
    for mode in [nearest(1), nearest(4), Mode::All, Mode::Mutual] {
        for radius_deg in [1e-6, 1e-3, 3.0, 100.0] {
            let request = Request { accept: Some(&other), ..request(radius_deg, mode) };
            let got = matches(&sky.positions(), &sky.positions(), &request).unwrap();
            assert_eq!(
                bits(&got),
                bits(&oracle(&sky.positions(), &sky.positions(), &request, &all)),
                "{mode:?}"
            );
            assert!(got.left.iter().zip(&got.right).all(|(i, j)| i != j));
        }
    }
}

/// Pairs as (left key, right key, separation): what does not depend on the order of rows.
fn keyed(found: &Matches, left: &Catalogue, right: &Catalogue) -> Vec<(u32, u32, u64)> {
    let mut pairs: Vec<(u32, u32, u64)> = (0..found.len())
        .map(|at| {
            let (i, j) = (found.left[at] as usize, found.right[at] as usize);
            (left.rank[i], right.rank[j], found.separation_arcsec[at].to_bits())
        })
        .collect();
    pairs.sort_unstable();
    pairs
}

fn planted(n: usize, seed: u64) -> (Points, Points) {
    let mut random = Random(seed);
    let b: Points = (0..2 * n).map(|_| random.sphere()).collect();
    let mut a = jitter(&b[..n / 2], 2.0 / 3600.0, &mut random);
    a.extend((0..n / 2).map(|_| random.sphere()));
    (a, b)
}

#[test]
fn neither_order_nor_threads_nor_partition_nor_side_matters() {
    let (a, b) = planted(30_000, 17);
    let (left, right) = (Catalogue::new(&a), Catalogue::new(&b));
    for (radius_deg, mode) in
        [(3.0 / 3600.0, nearest(1)), (0.5, nearest(2)), (0.5, Mode::All), (0.5, Mode::Mutual)]
    {
        let request = request(radius_deg, mode);
        let all = matches(&left.positions(), &right.positions(), &request).unwrap();
        for threads in [1, 2, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(|| matches(&left.positions(), &right.positions(), &request).unwrap());
            assert_eq!(bits(&again), bits(&all), "{threads} threads");
        }
        let mut split = Matches::default();
        for part in [0..1, 1..777, 777..20_000, 20_000..usize::MAX] {
            let request = Request { left_rows: part, ..request.clone() };
            split.append(matches(&left.positions(), &right.positions(), &request).unwrap());
        }
        assert_eq!(bits(&split), bits(&all), "split");
        if matches!(mode, Mode::All | Mode::Mutual) {
            let swapped = matches(&right.positions(), &left.positions(), &request).unwrap();
            let mut back: Vec<_> =
                keyed(&swapped, &right, &left).into_iter().map(|(j, i, s)| (i, j, s)).collect();
            back.sort_unstable();
            assert_eq!(back, keyed(&all, &left, &right), "swapped");
        }
    }
}

#[test]
fn shuffled_rows_give_the_same_pairs() {
    let (a, b) = planted(5000, 23);
    let rotate = |points: &[(f64, f64)], by: usize| -> Points {
        points.iter().cycle().skip(by).take(points.len()).copied().collect()
    };
    let (left, right) = (Catalogue::new(&a), Catalogue::new(&b));
    let (left2, right2) = (Catalogue::new(&rotate(&a, 1234)), Catalogue::new(&rotate(&b, 4321)));
    let request = request(0.3, Mode::All);
    let want = keyed(&matches(&left.positions(), &right.positions(), &request).unwrap(), &left, &right);
    let got = keyed(&matches(&left2.positions(), &right2.positions(), &request).unwrap(), &left2, &right2);
    let (na, nb) = (a.len() as u32, b.len() as u32);
    let mut got: Vec<_> = got.into_iter().map(|(i, j, s)| ((i + 1234) % na, (j + 4321) % nb, s)).collect();
    got.sort_unstable();
    assert_eq!(got, want);
}

#[test]
fn a_rotated_sphere_gives_the_same_pairs() {
    let (a, b) = planted(4000, 31);
    let rotation = |turn: f64, tilt: f64| {
        move |p: &(f64, f64)| -> (f64, f64) {
            let v = vector::from_degrees(p.0 + turn, p.1);
            let (s, c) = tilt.sin_cos();
            let rotated: Vector = [c * v[0] + s * v[2], v[1], c * v[2] - s * v[0]];
            vector::to_degrees(rotated)
        }
    };
    // No pair of the planted sky lies within 1e-9 arcsec of this radius.
    let request = request(3.0 / 3600.0, Mode::All);
    let pairs = |a: &[(f64, f64)], b: &[(f64, f64)]| -> Vec<(u32, u32)> {
        let (left, right) = (Catalogue::new(a), Catalogue::new(b));
        let found = matches(&left.positions(), &right.positions(), &request).unwrap();
        keyed(&found, &left, &right).into_iter().map(|pair| (pair.0, pair.1)).collect()
    };
    let want = pairs(&a, &b);
    assert!(want.len() > 1900);
    for (turn, tilt) in [(17.0, 0.4), (90.0, 1.2), (201.0, 3.0), (0.0, std::f64::consts::FRAC_PI_2)] {
        let rotate = rotation(turn, tilt);
        let (a2, b2): (Points, Points) = (a.iter().map(&rotate).collect(), b.iter().map(&rotate).collect());
        assert_eq!(pairs(&a2, &b2), want, "{turn} {tilt}");
    }
}

#[test]
fn left_semi_and_anti_rows() {
    let found = Matches { left: vec![1, 1, 3, 4], ..Matches::default() };
    assert_eq!(found.matched(), [1, 3, 4]);
    assert_eq!(found.unmatched(0..7), [0, 2, 5, 6]);
    assert_eq!(found.unmatched(1..5), [2]);
    assert_eq!(Matches::default().unmatched(2..4), [2, 3]);
    let sky = Catalogue::new(&[(1.0, 2.0)]);
    for radius_deg in [-1.0, f64::NAN] {
        assert!(matches(&sky.positions(), &sky.positions(), &request(radius_deg, Mode::All)).is_err());
    }
}

#[test]
fn position_angles_are_at_the_left_row() {
    let a = Catalogue::new(&[(10.0, 0.0)]);
    let b = Catalogue::new(&[(10.0, 0.0), (10.001, 0.0), (10.0, 0.002), (9.997, 0.0)]);
    let found = matches(&a.positions(), &b.positions(), &request(0.01, Mode::All)).unwrap();
    let angles = found.position_angles_deg(&a.positions(), &b.positions());
    let rounded: Vec<Option<i64>> = angles.iter().map(|a| a.map(|a| a.round() as i64)).collect();
    assert_eq!(rounded, [None, Some(90), Some(0), Some(270)]);
    assert_eq!(found.match_rank, [1, 2, 3, 4]);
    assert_eq!(found.n_within, [4; 4]);
    assert!(found.separation2_arcsec.iter().all(|s| (s - 3.6).abs() < 1e-9));
}
