use super::*;
use crate::geometry::region::{Polygon, SkyBox};
use crate::geometry::separation::separation_deg;

/// Uniform positions of a small generator, with duplicates, poles, RA 0 and rows without a position among them.
fn catalogue(n: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..n)
        .map(|i| {
            let (ra, dec) = (360.0 * next(), (2.0 * next() - 1.0f64).asin().to_degrees());
            match i % 50 {
                0 => (0.0, dec),
                1 => (359.999_999_999, dec),
                2 => (ra, 90.0),
                3 => (ra, -90.0 + 1e-7 * next()),
                4 => (10.0, 20.0),
                5 => (f64::NAN, dec),
                6 => (ra, 90.1),
                7 => (f64::INFINITY, dec),
                8 => (ra, f64::NAN),
                9 => (10.0 + 1e-9 * next(), 20.0),
                _ => (ra, dec),
            }
        })
        .unzip()
}

struct Ordered {
    ra: Vec<f64>,
    dec: Vec<f64>,
    cells: Vec<u64>,
    rank: Vec<u32>,
}

fn ordered(ra: &[f64], dec: &[f64]) -> Ordered {
    let order = order(ra, dec).unwrap();
    let take = |column: &[f64]| order.rows.iter().map(|row| column[*row as usize]).collect();
    Ordered { ra: take(ra), dec: take(dec), cells: order.cell29, rank: order.rows }
}

impl Ordered {
    fn positions(&self) -> Positions<'_> {
        Positions::new(&self.ra, &self.dec, &self.cells, &self.rank).unwrap()
    }
}

#[test]
fn rows_are_ordered_by_cell_then_row() {
    for n in [0usize, 1, 2, 100, 5000, 200_000] {
        let (ra, dec) = catalogue(n, 11);
        let got = order(&ra, &dec).unwrap();
        let mut want: Vec<(u64, u32)> = (0..n).map(|row| (cell_of(ra[row], dec[row]), row as u32)).collect();
        want.sort_unstable();
        assert_eq!(got.rows, want.iter().map(|pair| pair.1).collect::<Vec<_>>(), "{n}");
        assert_eq!(got.cell29, want.iter().map(|pair| pair.0).collect::<Vec<_>>(), "{n}");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();
        assert_eq!(pool.install(|| order(&ra, &dec).unwrap()), got);
    }
    // All in one bucket.
    let ra: Vec<f64> = (0..200_000).map(|i| 1e-9 * f64::from((i * 7919) % 200_000)).collect();
    let got = order(&ra, &vec![0.5; ra.len()]).unwrap();
    assert!(got.cell29.windows(2).all(|w| w[0] <= w[1]));
    assert!(order(&ra, &[]).is_err());
}

#[test]
fn regions_select_what_a_scan_selects() {
    let (ra, dec) = catalogue(30_000, 5);
    let sky = ordered(&ra, &dec);
    let directory = directory(&sky.cells);
    let index = CellIndex { cell29: &sky.cells, directory: &directory };
    let mut regions = Vec::new();
    for centre in [(0.0, 0.0), (10.0, 20.0), (123.0, 90.0), (45.0, 41.81), (359.9, -41.0), (90.0, -90.0)] {
        for radius in [0.0, 1e-9, 1e-6, 0.01, 0.3, 5.0, 60.0, 90.0, 120.0, 180.0, 400.0] {
            regions.push(Region::circle(centre, radius).unwrap());
        }
        regions.push(Region::Box(SkyBox::new(centre, 20.0, 5.0).unwrap()));
    }
    regions.push(Region::Polygon(Polygon::new(&[(350.0, -5.0), (10.0, -5.0), (0.0, 12.0)]).unwrap()));
    for region in regions {
        let want: Vec<u32> = (0..sky.ra.len())
            .filter(|row| region.contains(sky.ra[*row], sky.dec[*row]))
            .map(|row| row as u32)
            .collect();
        assert_eq!(index.select(&region, &sky.ra, &sky.dec), want, "{region:?}");
    }
    let empty = CellIndex { cell29: &[], directory: &[] };
    assert!(empty.select(&Region::circle((0.0, 0.0), 1.0).unwrap(), &[], &[]).is_empty());
}

fn nearest_by_scan(positions: &Positions<'_>, at: (f64, f64), n: usize, max_deg: f64) -> Vec<Near> {
    let mut all: Vec<Near> = (0..positions.len())
        .map(|row| Near { row: row as u32, separation_deg: separation_deg(at, positions.at(row)) })
        .filter(|near| near.separation_deg <= max_deg)
        .collect();
    let rank = |near: &Near| positions.key_rank[near.row as usize];
    all.sort_by(|a, b| a.separation_deg.total_cmp(&b.separation_deg).then(rank(a).cmp(&rank(b))));
    all.truncate(n);
    all
}

#[test]
fn the_archived_tree_finds_the_nearest() {
    let same = |n: usize| (vec![33.0; n], vec![-7.0; n]);
    let on_a_line = (0..500).map(|i| (77.0, f64::from(i) * 0.1)).unzip();
    let at_the_pole = (0..1000).map(|i| (f64::from(i) * 0.3, 90.0)).unzip();
    for (ra, dec) in
        [catalogue(8000, 3), same(1), same(33), same(1000), on_a_line, at_the_pole, (vec![], vec![])]
    {
        let sky = ordered(&ra, &dec);
        let positions = sky.positions();
        let bytes = tree_bytes(&positions).unwrap();
        let view = TreeView::open(&bytes, positions).unwrap();
        for at in
            [(0.0, 0.0), (10.0, 20.0), (33.0, -7.0), (213.0, 7.0), (5.0, 90.0), (1.0, -90.0), (77.0, 12.34)]
        {
            for (n, max_deg) in [(1, 180.0), (3, 180.0), (40, 180.0), (5, 0.5), (2000, 180.0), (10, 0.0)] {
                let got = view.nearest(at, NonZero::new(n).unwrap(), max_deg);
                assert_eq!(
                    got,
                    nearest_by_scan(&positions, at, n, max_deg),
                    "{} rows, {at:?}, {n}, {max_deg}",
                    ra.len()
                );
            }
        }
        assert!(view.nearest((f64::NAN, 0.0), NonZero::<usize>::MIN, 180.0).is_empty());
    }
}

#[test]
fn bytes_that_are_no_tree_are_refused() {
    let sky = ordered(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]);
    let positions = sky.positions();
    let bytes = tree_bytes(&positions).unwrap();
    let mut moved = AlignedVec::<TREE_ALIGNMENT_BYTES>::new();
    moved.extend_from_slice(&[0]);
    moved.extend_from_slice(&bytes);
    assert!(TreeView::open(&moved[1..], positions).is_err(), "unaligned");
    assert!(TreeView::open(&[], positions).is_err(), "empty");
    for cut in 1..bytes.len() {
        let mut short = AlignedVec::<TREE_ALIGNMENT_BYTES>::new();
        short.extend_from_slice(&bytes[..bytes.len() - cut]);
        assert!(TreeView::open(&short, positions).is_err(), "{cut} bytes short");
    }
    for at in 0..bytes.len() {
        let mut flipped = AlignedVec::<TREE_ALIGNMENT_BYTES>::new();
        flipped.extend_from_slice(&bytes);
        flipped[at] ^= 1 << (at % 8);
        assert!(TreeView::open(&flipped, positions).is_err(), "a flipped bit in byte {at}");
    }
    let fewer = Positions::new(&sky.ra[..2], &sky.dec[..2], &sky.cells[..2], &sky.rank[..2]).unwrap();
    assert!(TreeView::open(&bytes, fewer).is_err(), "another catalogue");
    assert!(Positions::new(&sky.ra, &sky.dec[..2], &sky.cells, &sky.rank).is_err());
}
