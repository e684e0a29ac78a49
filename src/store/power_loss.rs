//! Power loss: every call of a workload is recorded; at each sync and change of a name, images of the disk are built in which of what was
//! not yet synced nothing, all, or a random part (torn at 512 bytes) is there. Every image must open with every
//! acknowledged commit. Names of one directory reach the disk in order, those of different directories in any.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::dir::{Access, Dir, Lock, RealDir};
use super::tests::{Random, add, database, files_in, read_all, rounds, temporary};
use super::*;

const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone, Debug)]
enum Op {
    /// A name appears for a file, replacing another; `from` goes at the same moment.
    Name {
        to: String,
        file: usize,
        from: Option<String>,
    },
    Unlink(String),
    Change(usize, Change),
    Sync(usize),
    SyncDir(String),
    /// A commit has been acknowledged.
    Acknowledged,
}

#[derive(Debug, Default)]
struct Log {
    ops: Vec<Op>,
    /// Inode numbers are used again; our numbers are not.
    files: HashMap<u64, usize>,
    count: usize,
}

impl Log {
    fn number(&mut self, file: &File, is_new: bool) -> io::Result<usize> {
        let inode = file.metadata()?.ino();
        if is_new || !self.files.contains_key(&inode) {
            self.files.insert(inode, self.count);
            self.count += 1;
        }
        Ok(self.files[&inode])
    }
}

/// Does what it is told, except that it does not wait for the disk, and remembers it.
#[derive(Debug)]
struct RecordingDir {
    real: RealDir,
    log: Mutex<Log>,
}

impl RecordingDir {
    fn open(path: &Path) -> Self {
        RecordingDir { real: RealDir::open(path).unwrap(), log: Mutex::default() }
    }

    fn record(&self, op: Op) {
        self.log.lock().unwrap().ops.push(op);
    }

    fn number(&self, file: &File) -> io::Result<usize> {
        self.log.lock().unwrap().number(file, false)
    }
}

impl Dir for RecordingDir {
    fn path(&self) -> &Path {
        self.real.path()
    }
    fn open(&self, name: &str, access: Access) -> io::Result<File> {
        let is_new = access != Access::Read && self.real.open(name, Access::Read).is_err();
        let file = self.real.open(name, access)?;
        let number = self.log.lock().unwrap().number(&file, is_new)?;
        if is_new {
            self.record(Op::Name { to: name.into(), file: number, from: None });
        }
        Ok(file)
    }
    fn make_dir(&self, name: &str) -> io::Result<()> {
        self.real.make_dir(name)
    }
    fn read_at(&self, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.real.read_at(file, bytes, offset)
    }
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let change = Change::Write { offset: offset as usize, data: bytes.to_vec() };
        self.record(Op::Change(self.number(file)?, change));
        self.real.write_at(file, bytes, offset)
    }
    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.record(Op::Change(self.number(file)?, Change::SetLen(len as usize)));
        self.real.set_len(file, len)
    }
    fn sync(&self, file: &File) -> io::Result<()> {
        self.record(Op::Sync(self.number(file)?));
        Ok(())
    }
    fn sync_dir(&self, name: &str) -> io::Result<()> {
        self.record(Op::SyncDir(name.to_owned()));
        Ok(())
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.number(&self.real.open(from, Access::Read)?)?;
        self.record(Op::Name { to: to.into(), file, from: Some(from.into()) });
        self.real.rename(from, to)
    }
    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.number(&self.real.open(from, Access::Read)?)?;
        self.record(Op::Name { to: to.into(), file, from: None });
        self.real.link(from, to)
    }
    fn unlink(&self, name: &str) -> io::Result<()> {
        self.real.unlink(name)?;
        self.record(Op::Unlink(name.to_owned()));
        Ok(())
    }
    fn list(&self, name: &str) -> io::Result<Vec<String>> {
        self.real.list(name)
    }
    fn try_lock(&self, file: &File, lock: Lock) -> io::Result<bool> {
        self.real.try_lock(file, lock)
    }
}

/// What is on the disk for certain, and what may be.
#[derive(Clone, Default)]
struct Disk {
    files: HashMap<usize, (Vec<u8>, Vec<Change>)>,
    names: BTreeMap<String, usize>,
    /// By directory, in order.
    pending_names: BTreeMap<String, Vec<Op>>,
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::SetLen(len) => bytes.resize(*len, 0),
        Change::Write { offset, data } => {
            bytes.resize(bytes.len().max(offset + data.len()), 0);
            bytes[*offset..offset + data.len()].copy_from_slice(data);
        }
    }
}

fn apply_name(names: &mut BTreeMap<String, usize>, op: &Op) {
    match op {
        Op::Name { to, file, from } => {
            if let Some(from) = from {
                names.remove(from);
            }
            names.insert(to.clone(), *file);
        }
        Op::Unlink(name) => {
            names.remove(name);
        }
        _ => {}
    }
}

impl Disk {
    /// The directory as it is, all of it certain.
    fn of(dir: &RecordingDir) -> Disk {
        let mut disk = Disk::default();
        for name in ["", SEGMENTS, SNAPSHOTS].iter().flat_map(|folder| {
            let names = dir.list(folder).unwrap();
            names.into_iter().map(move |n| if folder.is_empty() { n } else { format!("{folder}/{n}") })
        }) {
            let path = dir.path().join(&name);
            if path.is_file() {
                let number = dir.number(&File::open(&path).unwrap()).unwrap();
                disk.files.insert(number, (std::fs::read(path).unwrap(), Vec::new()));
                disk.names.insert(name, number);
            }
        }
        disk
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Name { to, file, .. } => {
                self.files.entry(*file).or_default();
                self.pending_names.entry(folder(to).to_owned()).or_default().push(op.clone());
            }
            Op::Unlink(name) => {
                self.pending_names.entry(folder(name).to_owned()).or_default().push(op.clone());
            }
            Op::Change(file, change) => self.files.entry(*file).or_default().1.push(change.clone()),
            Op::Sync(file) => {
                let (bytes, pending) = self.files.entry(*file).or_default();
                pending.drain(..).for_each(|change| apply(bytes, &change));
            }
            Op::SyncDir(name) => {
                let pending = self.pending_names.remove(name).unwrap_or_default();
                pending.iter().for_each(|op| apply_name(&mut self.names, op));
            }
            Op::Acknowledged => {}
        }
    }

    /// Writes an image: of what is not certain nothing (mode 0), all (1) or a random part.
    fn image(&self, path: &Path, random: &mut Random, mode: usize) {
        let _ = std::fs::remove_dir_all(path);
        [SEGMENTS, SNAPSHOTS, TMP].iter().for_each(|d| std::fs::create_dir_all(path.join(d)).unwrap());
        let mut names = self.names.clone();
        for pending in self.pending_names.values() {
            let count = [0, pending.len(), random.below(pending.len() + 1)][mode.min(2)];
            pending[..count].iter().for_each(|op| apply_name(&mut names, op));
        }
        let mut written: HashMap<usize, PathBuf> = HashMap::new();
        for (name, file) in names {
            let target = path.join(name);
            if let Some(first) = written.get(&file) {
                std::fs::hard_link(first, target).unwrap();
                continue;
            }
            let (bytes, pending) = &self.files[&file];
            let mut bytes = bytes.clone();
            for change in pending {
                match (mode, random.below(3)) {
                    (0, _) => {}
                    (1, _) | (_, 0) => apply(&mut bytes, change),
                    (_, 1) => apply(&mut bytes, &torn(change, random)),
                    _ => {}
                }
            }
            std::fs::write(&target, bytes).unwrap();
            written.insert(file, target);
        }
    }
}

/// A write of which only some sectors from its beginning or to its end arrived.
fn torn(change: &Change, random: &mut Random) -> Change {
    match change {
        Change::Write { offset, data } => {
            let cut = random.below(data.len() / SECTOR + 1) * SECTOR;
            match random.below(2) {
                0 => Change::Write { offset: *offset, data: data[..cut].to_vec() },
                _ => Change::Write { offset: offset + cut, data: data[cut..].to_vec() },
            }
        }
        other => other.clone(),
    }
}

#[test]
fn no_acknowledged_commit_is_lost_when_power_fails() {
    let (holder, path) = temporary();
    database(&path, &[30]);
    let dir = Arc::new(RecordingDir::open(&path));
    let mut disk = Disk::of(&dir);
    let store = Store::of(dir.clone());
    let commits = rounds(4);
    let mut want = vec![30];
    for commit in 0..commits {
        let mut writer = store.writer("IMPORT").unwrap();
        let replaces = commit % 3 == 2;
        add(&mut writer, 100 * commit, 10 + commit, replaces).unwrap();
        want.push(if replaces { 0 } else { want[commit] } + 10 + commit);
        dir.record(Op::Acknowledged);
    }
    let ops = std::mem::take(&mut dir.log.lock().unwrap().ops);
    let image = holder.path().join("image.sqk");
    let mut random = Random(5);
    let (mut acknowledged, mut images) = (0, 0);
    for (i, op) in ops.iter().enumerate() {
        let modes = match op {
            Op::Sync(_) | Op::SyncDir(_) => 0..5,
            // between the names that change together
            Op::Name { .. } | Op::Unlink(_) => 1..3,
            _ => 0..0,
        };
        for mode in modes {
            disk.image(&image, &mut random, mode);
            let place = format!("op {i} of {}, mode {mode}: {op:?}", ops.len());
            check(&image, &want[acknowledged..], &place);
            images += 1;
        }
        acknowledged += usize::from(matches!(op, Op::Acknowledged));
        disk.step(op);
    }
    assert_eq!(acknowledged, commits);
    eprintln!("{images} images");
    assert!(images > commits * 30);
}

/// The image answers with the last acknowledged commit or the one after it, for readers and for writers.
fn check(image: &Path, want: &[usize], place: &str) {
    let store = Store::of(Arc::new(RecordingDir::open(image)));
    let seen = store.snapshot().and_then(|s| read_all(&s)).unwrap_or_else(|e| panic!("{place}: {e}"));
    assert!(want[..want.len().min(2)].contains(&seen), "{place}: {seen} rows, not {want:?}");
    let mut writer = store.writer("IMPORT").unwrap_or_else(|e| panic!("{place}: {e}"));
    let rows = store.snapshot().and_then(|s| read_all(&s)).unwrap_or_else(|e| panic!("{place}: {e}"));
    assert!(rows == seen || want.get(1) == Some(&rows), "{place}: {rows} rows after repair");
    add(&mut writer, 0, 3, true).unwrap_or_else(|e| panic!("{place}: {e}"));
    assert_eq!(files_in(&image.join(SEGMENTS)).len(), 1, "{place}");
}
