//! First index, refresh without changes and refresh of one changed file in a hundred of a waveform archive:
//! `refresh DIR [THREADS] [WORK]`. DIR is read only; the database, and a copy of at most a gigabyte of DIR that is
//! changed, are made below WORK (a temporary directory when absent). Each line gives wall and CPU time, files a
//! second, the peak of anonymous memory, and the ratio to a floor of the same run: the first index beside a walk that reads every
//! byte with blocks of the same size on as many threads, the refresh beside a walk with a stat of every file.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use starquake::database::{Database, Options, Output, Session};
use starquake::error::{Result, Source};
use starquake::model::table::{Batch, Schema};
use starquake::progress::Silent;

const BLOCK_BYTES: usize = 1 << 20;
/// Bytes that are copied to be changed.
const COPY_BYTES: u64 = 1 << 30;
/// Every so many files of the copy are changed.
const CHANGED_EVERY: usize = 100;
const REPETITIONS: usize = 5;

struct NoRows;

impl Output for NoRows {
    fn begin(&mut self, _: &Schema) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, _: &Batch) -> Result<()> {
        Ok(())
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let Some(dir) = arguments.first().map(PathBuf::from) else {
        eprintln!("refresh DIR [THREADS] [WORK]");
        return;
    };
    let threads: usize = arguments.get(1).map_or(2, |n| n.parse().expect("a number of threads"));
    let kept = tempfile::tempdir().expect("a temporary directory");
    let work = arguments.get(2).map_or(kept.path().to_path_buf(), PathBuf::from);
    fs::create_dir_all(&work).expect("a directory");
    let files = listed(&dir);
    println!("{} files, {threads} threads", files.len());
    let bytes = AtomicU64::new(0);
    let floor = measured(|| read_all(&listed(&dir), threads, &bytes));
    line("walk and read every byte", files.len(), &floor, None);
    let bench = Bench::new(&work.join("first.sqk"), threads);
    let first = measured(|| bench.run(&format!("IMPORT WAVEFORMS '{}' INTO arc", dir.display())));
    line("first index", files.len(), &first, Some(&floor));
    let stats = (0..REPETITIONS).map(|_| measured(|| stat_all(&dir))).min_by_key(|m| m.wall).expect("one");
    line("walk and stat every file", files.len(), &stats, None);
    let unchanged = (0..REPETITIONS).map(|_| measured(|| bench.run("REFRESH arc"))).min_by_key(|m| m.wall);
    line("refresh, nothing changed", files.len(), &unchanged.expect("one"), Some(&stats));
    changed(&dir, &files, &work, threads);
    fs::remove_dir_all(work.join("first.sqk")).expect("removed");
}

/// A copy of a part of the archive, of which one file in a hundred changes.
fn changed(dir: &Path, files: &[PathBuf], work: &Path, threads: usize) {
    let root = work.join("copy");
    let (mut copied, mut bytes) = (vec![], 0);
    for file in files {
        let size = fs::metadata(file).expect("a file").len();
        if bytes + size > COPY_BYTES {
            continue;
        }
        let to = root.join(file.strip_prefix(dir).expect("below"));
        fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
        fs::copy(file, &to).expect("a copy");
        let old = SystemTime::now() - Duration::from_secs(3600);
        File::options().write(true).open(&to).and_then(|f| f.set_modified(old)).expect("a time");
        bytes += size;
        copied.push(to);
    }
    let bench = Bench::new(&work.join("changed.sqk"), threads);
    bench.run(&format!("IMPORT WAVEFORMS '{}' INTO arc", root.display()));
    let stats = measured(|| stat_all(&root));
    for (round, name) in ["refresh, 1 % changed", "refresh, 1 % changed again"].into_iter().enumerate() {
        for file in copied.iter().step_by(CHANGED_EVERY) {
            let time = SystemTime::now() - Duration::from_secs(1800 - 60 * round as u64);
            File::options().write(true).open(file).and_then(|f| f.set_modified(time)).expect("a time");
        }
        let done = measured(|| bench.run("REFRESH arc"));
        line(name, copied.len(), &done, Some(&stats));
    }
    fs::remove_dir_all(&root).expect("removed");
    fs::remove_dir_all(work.join("changed.sqk")).expect("removed");
}

struct Bench {
    database: Database,
}

impl Bench {
    fn new(path: &Path, threads: usize) -> Bench {
        let options = Options { threads: Some(threads), ..Options::default() };
        Bench { database: Database::create(path, options).expect("a database") }
    }

    fn run(&self, text: &str) {
        let source = Source { name: "bench".to_owned(), text: text.to_owned() };
        let done = self.database.script(&mut Session::default(), &source, (&mut NoRows, &Silent));
        let outcomes = done.unwrap_or_else(|e| panic!("{text}: {e}"));
        for outcome in outcomes {
            println!("    {}; {}", outcome.message.unwrap_or_default(), outcome.footer.join("; "));
        }
    }
}

/// One piece of work.
struct Measured {
    wall: Duration,
    cpu_s: f64,
    peak_kib: u64,
}

fn measured(work: impl FnOnce()) -> Measured {
    let is_over = Arc::new(AtomicBool::new(false));
    let peak = Arc::new(AtomicU64::new(0));
    let sampler = {
        let (is_over, peak) = (Arc::clone(&is_over), Arc::clone(&peak));
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                peak.fetch_max(anonymous_kib(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    let (start, cpu) = (Instant::now(), cpu_s());
    work();
    let (wall, cpu_s) = (start.elapsed(), cpu_s() - cpu);
    is_over.store(true, Ordering::Relaxed);
    sampler.join().expect("a thread");
    Measured { wall, cpu_s, peak_kib: peak.load(Ordering::Relaxed) }
}

fn line(name: &str, files: usize, done: &Measured, floor: Option<&Measured>) {
    let wall = done.wall.as_secs_f64();
    let ratio = floor.map_or(String::new(), |f| {
        format!(
            "  {:.2} x the floor's wall, {:.2} x its CPU",
            wall / f.wall.as_secs_f64(),
            done.cpu_s / f.cpu_s
        )
    });
    let (rate, peak) = (files as f64 / wall, done.peak_kib as f64 / 1024.0);
    println!(
        "{name:28} {wall:8.3} s  CPU {:7.3} s  {rate:9.0} files/s  RssAnon {peak:6.1} MiB{ratio}",
        done.cpu_s
    );
}

/// `RssAnon` of this process.
fn anonymous_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// User and system time of this process, in seconds.
fn cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// The files below a directory.
fn listed(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut pending) = (vec![], vec![dir.to_path_buf()]);
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_dir() {
                pending.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn stat_all(dir: &Path) {
    let sum: u64 = listed(dir).iter().map(|p| fs::metadata(p).map_or(0, |m| m.size())).sum();
    assert!(sum > 0);
}

fn read_all(files: &[PathBuf], threads: usize, bytes: &AtomicU64) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut buffer = vec![0; BLOCK_BYTES];
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let file = File::open(path).expect("a file");
                    let mut at = 0;
                    loop {
                        let count = file.read_at(&mut buffer, at).expect("bytes");
                        at += count as u64;
                        if count < BLOCK_BYTES {
                            break;
                        }
                    }
                    bytes.fetch_add(at, Ordering::Relaxed);
                }
            });
        }
    });
}
