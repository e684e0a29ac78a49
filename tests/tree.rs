//! Small waveform archives on disk, made by our own writers, with the times of change that a test wants.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use starquake::format::mseed2::{Signal, write_records};
use starquake::format::sac::{Trace, write_sac};
use starquake::model::station::ChannelCode;
use starquake::model::time::Time;

use crate::support::{Db, shown};

/// Bytes of a miniSEED record.
pub const RECORD_BYTES: usize = 512;

/// The parts of `NET.STA.LOC.CHA`.
pub fn code(text: &str) -> ChannelCode {
    let parts: Vec<&str> = text.split('.').collect();
    let [network, station, location, channel] = parts[..] else { panic!("{text} has four parts") };
    let own = str::to_owned;
    ChannelCode {
        network: own(network),
        station: own(station),
        location: own(location),
        channel: own(channel),
    }
}

/// miniSEED 2 of a run of samples.
pub fn mseed(id: &str, start: &str, sampling_rate: f64, npts: usize) -> Vec<u8> {
    let start = Time::parse(start).expect("a time");
    let samples: Vec<i32> = (0..npts as i32).map(|i| (i % 17 - 8) * (1 + i % 5)).collect();
    let code = code(id);
    let mut out = vec![];
    write_records(&mut out, &Signal { code: &code, start, sampling_rate, samples: &samples }, RECORD_BYTES)
        .expect("a signal that can be written");
    out
}

/// Binary SAC of 100 samples at 100 Hz.
pub fn sac(id: &str, start: &str) -> Vec<u8> {
    let start = Time::parse(start).expect("a time");
    let samples: Vec<f32> = (0..100).map(|i| i as f32).collect();
    let mut out = vec![];
    let trace = Trace { code: &code(id), start, delta_s: 0.01, samples: &samples };
    write_sac(&mut out, &trace, true, 6).expect("a trace that can be written");
    out
}

/// So many seconds after 2020-01-01: long before any scan.
pub fn old(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_577_836_800 + second)
}

/// Sets the time of change.
pub fn touch(path: &Path, mtime: SystemTime) {
    File::open(path).and_then(|f| f.set_modified(mtime)).expect("a time of change");
}

/// Writes a file, and the directories above it, with a time of change.
pub fn put(path: &Path, bytes: &[u8], mtime: SystemTime) {
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, bytes).expect("a file");
    touch(path, mtime);
}

/// Another file, another inode, same content and time of change.
pub fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).expect("a copy");
    touch(to, fs::metadata(from).and_then(|m| m.modified()).expect("a time"));
}

/// Table, rows, content hash.
pub type Fingerprint = Vec<(String, u64, u128)>;

/// The fingerprint of a database that is built from a tree now.
pub fn fresh(root: &Path) -> Fingerprint {
    let mut db = Db::new();
    db.run(&import(root));
    fingerprint(&db)
}

/// Of what a database holds.
pub fn fingerprint(db: &Db) -> Fingerprint {
    db.database.fingerprint().unwrap_or_else(|e| panic!("{}", shown(&e)))
}

/// The statement that indexes a tree as `arc`.
pub fn import(root: &Path) -> String {
    format!("IMPORT WAVEFORMS '{}' INTO arc", root.display())
}

/// A path below a root from raw bytes.
pub fn raw(root: &Path, name: &[u8]) -> PathBuf {
    root.join(std::ffi::OsStr::from_bytes(name))
}
