//! Crossmatch of two catalogues: `crossmatch DIR SIZE [RADIUS_ARCSEC] [THREADS]` reads DIR/SIZE_a.npy and
//! DIR/SIZE_b.npy (two rows of f64: ra, dec in degrees) and prints the CPU time of ordering both sides, of each
//! kind of match between ordered sides, of cones and of the k-d tree, with the numbers of pairs.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, clippy::expect_used)]

use std::num::NonZero;

use starquake::engine::ops::crossmatch::{Mode, Request, matches};
use starquake::geometry::region::Region;
use starquake::index::sky::{self, CellIndex, Positions, TreeView};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [dir, size, rest @ ..] = arguments.as_slice() else {
        eprintln!("crossmatch DIR SIZE [RADIUS_ARCSEC] [THREADS]");
        return;
    };
    let radius_arcsec: f64 = rest.first().map_or(3.0, |text| text.parse().expect("radius"));
    let threads: usize = rest.get(1).map_or(2, |text| text.parse().expect("threads"));
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("threads");
    let a = read_npy(&format!("{dir}/{size}_a.npy"));
    let b = read_npy(&format!("{dir}/{size}_b.npy"));
    for _ in 0..3 {
        measure(&a, &b, radius_arcsec);
    }
    measure_cones(&b);
}

/// CPU seconds of all threads since the last call (Linux; elsewhere 0): a loaded machine does not change them much.
struct Lap(f64);

impl Lap {
    fn start() -> Lap {
        Lap(cpu_seconds())
    }

    fn seconds(&mut self) -> f64 {
        let now = cpu_seconds();
        let seconds = now - self.0;
        self.0 = now;
        seconds
    }
}

/// The first number of a thread's schedstat is its time on a CPU in ns.
fn cpu_seconds() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let on_cpu = |dir: std::path::PathBuf| -> Option<f64> {
        std::fs::read_to_string(dir.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
    };
    threads.flatten().filter_map(|thread| on_cpu(thread.path())).sum::<f64>() * 1e-9
}

struct Sky {
    ra: Vec<f64>,
    dec: Vec<f64>,
    cell29: Vec<u64>,
    rank: Vec<u32>,
}

fn ordered((ra, dec): &(Vec<f64>, Vec<f64>)) -> Sky {
    let order = sky::order(ra, dec).expect("order");
    let take = |column: &[f64]| order.rows.iter().map(|row| column[*row as usize]).collect();
    Sky { ra: take(ra), dec: take(dec), cell29: order.cell29, rank: order.rows }
}

fn positions(sky: &Sky) -> Positions<'_> {
    Positions::new(&sky.ra, &sky.dec, &sky.cell29, &sky.rank).expect("positions")
}

fn measure(a: &(Vec<f64>, Vec<f64>), b: &(Vec<f64>, Vec<f64>), radius_arcsec: f64) {
    let mut lap = Lap::start();
    let (a, b) = (ordered(a), ordered(b));
    let order_s = lap.seconds();
    let (left, right) = (positions(&a), positions(&b));
    let mut request = Request {
        radius_deg: radius_arcsec / 3600.0,
        mode: Mode::Nearest(NonZero::<usize>::MIN),
        left_rows: 0..usize::MAX,
        accept: None,
        cancel: None,
    };
    let nearest = matches(&left, &right, &request).expect("match");
    let nearest_s = lap.seconds();
    request.mode = Mode::All;
    let all = matches(&left, &right, &request).expect("match");
    let all_s = lap.seconds();
    request.mode = Mode::Mutual;
    let mutual = matches(&left, &right, &request).expect("match");
    let mutual_s = lap.seconds();
    println!(
        "nearest {} all {} mutual {} anti {} with two {}; CPU seconds: order {order_s:.3} nearest {nearest_s:.3} all {all_s:.3} mutual {mutual_s:.3}; unsorted {:.3}",
        nearest.len(),
        all.len(),
        mutual.len(),
        nearest.unmatched(0..left.len()).len(),
        nearest.n_within.iter().filter(|n| **n == 2).count(),
        order_s + nearest_s,
    );
}

fn measure_cones(b: &(Vec<f64>, Vec<f64>)) {
    let sky = ordered(b);
    let directory = sky::directory(&sky.cell29);
    let index = CellIndex { cell29: &sky.cell29, directory: &directory };
    let mut lap = Lap::start();
    for radius_deg in [10.0 / 3600.0, 0.1, 1.0, 41.0] {
        let n = if radius_deg > 10.0 { 3 } else { 2000 };
        let mut rows = 0;
        for i in 0..n {
            let at = (i * 7919) % sky.ra.len();
            let region = Region::circle((sky.ra[at], sky.dec[at]), radius_deg).expect("circle");
            rows += index.select(&region, &sky.ra, &sky.dec).len();
        }
        println!(
            "cone of {radius_deg:.4} deg: {:.1} rows, {:.2} us",
            rows as f64 / n as f64,
            lap.seconds() / n as f64 * 1e6
        );
    }
    let bytes = sky::tree_bytes(&positions(&sky)).expect("tree");
    println!(
        "tree of {} rows: {:.3} s, {} bytes a row",
        sky.ra.len(),
        lap.seconds(),
        bytes.len() / sky.ra.len()
    );
    let view = TreeView::open(&bytes, positions(&sky)).expect("open");
    println!("tree opened, checked: {:.6} s", lap.seconds());
    for at in (0..sky.ra.len()).step_by(20) {
        let near = view.nearest((sky.ra[at], sky.dec[at]), NonZero::<usize>::MIN, 180.0);
        assert_eq!(near.len(), 1);
    }
    println!("nearest 1 by tree: {:.3} us a row", lap.seconds() / (sky.ra.len() as f64 / 20.0) * 1e6);
}

fn read_npy(path: &str) -> (Vec<f64>, Vec<f64>) {
    let bytes = std::fs::read(path).expect(path);
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]])) + 10;
    let values: Vec<f64> =
        bytes[header..].chunks_exact(8).map(|c| f64::from_le_bytes(c.try_into().expect("8 bytes"))).collect();
    let (ra, dec) = values.split_at(values.len() / 2);
    (ra.to_vec(), dec.to_vec())
}
