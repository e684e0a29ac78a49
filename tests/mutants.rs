//! Damaged files: whatever the bytes are, a scan ends, claims nothing that its bytes do not hold, and tells what it
//! passed over. The files are our own, those of `STARQUAKE_DATA` and of ObsPy's wheel (`STARQUAKE_CORPORA`);
//! `STARQUAKE_MUTANTS` says how many of each, `STARQUAKE_MUTATED` names a directory of files damaged elsewhere.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rayon::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use starquake::format::waveform::{self, Encoding, State, flags};
use starquake::index::time::assemble;

use crate::corpora::wheel;
use crate::support::data;

/// Damaged copies of a file unless the environment says otherwise.
const MUTANTS: usize = 12;
/// Largest file that is damaged: what is wrong with a format shows in small ones.
const FILE_BYTES: u64 = 2 << 20;
/// Processor time of one scan with the samples of its first records.
const LIMIT: Duration = Duration::from_secs(2);
/// Records whose samples are read.
const RECORDS_READ: usize = 64;

/// A generator of numbers that is the same on every machine (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }
}

/// Bytes changed, mostly in the headers; stretches cut, doubled, blanked, swapped; ends cut or added to.
fn mutant(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed ^ bytes.len() as u64);
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + numbers.below(4) {
        let length = bytes.len();
        let at = if numbers.below(3) > 0 { numbers.below(length.min(700)) } else { numbers.below(length) };
        let size = 1 << numbers.below(10);
        let end = (at + size).min(length);
        match numbers.below(9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.extend_from_within(at..end),
            3 => bytes[at..end].fill(0),
            4 => bytes[at..end].fill(b' '),
            5 => bytes.splice(0..0, vec![b'\n'; size]).for_each(drop),
            6 if at < length => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'9', b'-'][numbers.below(7)],
            _ if at < length => bytes[at] ^= 1 << numbers.below(8),
            _ => {}
        }
    }
    bytes
}

/// What is wrong with what a scan of a file claims.
fn fault(path: &Path) -> Option<String> {
    let size = std::fs::metadata(path).ok()?.len();
    let before = clock_gettime(ClockId::ThreadCPUTime);
    let scan = match waveform::scan(path) {
        Ok(scan) => scan,
        Err(error) => return Some(format!("an error of the system: {error}")),
    };
    let mut covered = 0;
    for record in &scan.records {
        if record.offset < covered || record.offset + record.length > size {
            return Some(format!("a record lies outside the file or inside another: {record:?}"));
        }
        covered = record.offset + record.length;
        let is_rate = record.sampling_rate >= 0.0 && record.sampling_rate.is_finite();
        if u64::from(record.data_offset) > record.length || !is_rate {
            return Some(format!("a record that cannot be: {record:?}"));
        }
    }
    for segment in assemble(&scan) {
        if segment.end < segment.start {
            return Some(format!("a segment ends before it starts: {segment:?}"));
        }
    }
    for record in scan.records.iter().take(RECORDS_READ) {
        // nothing names the encoding of an assumed record: its count is only bounded
        let is_known = record.flags & flags::ASSUMED == 0 && record.encoding != Encoding::TEXT;
        let pieces = waveform::read(path, std::slice::from_ref(record));
        if let (true, Ok(pieces)) = (is_known, pieces)
            && pieces[0].samples.len() != record.npts as usize
        {
            let held = pieces[0].samples.len();
            return Some(format!("a false end: {held} samples where {record:?} is claimed"));
        }
        let _ = waveform::read_samples(path, record, record.npts / 2, 10);
    }
    let is_told = scan.reason.is_some() && (scan.bad_offset.is_some() || scan.state == State::NoTime);
    if !(matches!(scan.state, State::Ok | State::Other) || is_told) {
        return Some(format!("{:?} without reason or place: {:?}", scan.state, scan.reason));
    }
    let after = clock_gettime(ClockId::ThreadCPUTime);
    let spent = Duration::new((after.tv_sec - before.tv_sec) as u64, 0)
        + Duration::from_nanos((after.tv_nsec + 1_000_000_000 - before.tv_nsec) as u64)
        - Duration::from_secs(1);
    (spent > LIMIT).then(|| format!("it took {spent:?}"))
}

/// [`fault`], panics told as one.
fn fault_or_panic(path: &Path) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| fault(path))).unwrap_or_else(|_| Some("a panic".to_owned()))
}

fn files_below(root: &Path, keep: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut pending = vec![root.to_path_buf()];
    let mut files = vec![];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.is_file() && keep(&path) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Waveform files small enough, and those that look like some.
fn originals() -> Vec<PathBuf> {
    let is_small = |path: &Path| path.metadata().is_ok_and(|m| m.len() <= FILE_BYTES);
    let is_waveform =
        |path: &Path| is_small(path) && waveform::scan(path).is_ok_and(|s| s.state != State::Other);
    let mut files = vec![];
    for root in [data("damaged_files"), wheel("damaged_files")].into_iter().flatten() {
        files.extend(files_below(&root, &is_waveform));
    }
    files
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn damaged_files_claim_nothing_that_they_do_not_hold() {
    let count = std::env::var("STARQUAKE_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(MUTANTS);
    let originals = originals();
    let one = |original: &PathBuf| -> Vec<String> {
        let bytes = std::fs::read(original).expect("a file");
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let mut faults = vec![];
        for seed in 0..count as u64 {
            std::fs::write(&path, mutant(&bytes, seed)).expect("a file");
            faults.extend(
                fault_or_panic(&path).map(|why| format!("{} seed {seed}: {why}", original.display())),
            );
        }
        faults
    };
    none(originals.par_iter().flat_map(one).collect());
    let done = format!("{} files damaged {count} times each", originals.len());
    let _ = writeln!(std::io::stderr(), "{done}");
}

#[test]
fn files_damaged_elsewhere_claim_nothing_that_they_do_not_hold() {
    let Some(root) = std::env::var_os("STARQUAKE_MUTATED").map(PathBuf::from) else { return };
    let files = files_below(&root, &|_| true);
    let one = |path: &PathBuf| fault_or_panic(path).map(|why| format!("{}: {why}", path.display()));
    none(files.par_iter().filter_map(one).collect());
    let _ = writeln!(std::io::stderr(), "{} files damaged elsewhere", files.len());
}
