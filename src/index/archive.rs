//! A waveform archive in the database: parts of files, their stored segments and record maps. A part is written
//! once by one commit of IMPORT or REFRESH; a file of it that changed or went is listed as dead by a later
//! segment. docs/disk-format.md, section "Waveform archives" \[I26\]..\[I28\].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, LargeBinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};

use crate::error::{Error, Result};
use crate::index::time::Segment;
use crate::model::station::ChannelCode;
use crate::model::table::Batch;
use crate::model::time::Time;
use crate::store::{Catalogue, SegmentBuilder, SegmentMap, SegmentRef};

mod known;

pub use known::{Cursor, Known, Place, Signature, UNREACHABLE};

/// The table of the catalogue that holds all parts.
pub const ARCHIVE_TABLE: &str = "waveforms";
/// Role of the segment with the files of a part.
pub const FILES: &str = "files";
/// Role of the segment with the waveform segments of a part.
pub const SEGMENTS: &str = "segments";
/// Role of a segment that lists dead files of a part.
pub const DEAD: &str = "dead";
/// Property that tells which part a segment belongs to.
pub const PART: &str = "part";

/// What is known of a file without opening it, and what opening it showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileRow {
    /// Below the root of its source, raw bytes.
    pub path: Vec<u8>,
    /// Bytes.
    pub size: u64,
    /// Last change of the content, ns since 1970.
    pub mtime_ns: i64,
    /// Last change of the inode, ns since 1970.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// xxh3 of the first and last block: tells a moved file on another file system.
    pub hash: u64,
    /// It was modified so close to the scan that it is read again next time.
    pub is_unsure: bool,
    /// `mseed2`, `sac` ..., or empty.
    pub format: String,
    /// `ok`, `partly`, `unreadable`, `other`, `no_time`, `unreachable`.
    pub state: String,
    /// Why not `ok`.
    pub reason: Option<String>,
    /// Where.
    pub bad_offset: Option<u64>,
    /// Data records.
    pub records: u64,
    /// Bytes outside records.
    pub bytes_skipped: u64,
}

/// A stored segment with its channel and record map.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentRow {
    /// Four parts; empty when the source identifier is not an FDSN one.
    pub code: ChannelCode,
    /// The whole identifier.
    pub source_id: String,
    /// Span, samples, place in the file.
    pub segment: Segment,
    /// As [`crate::index::time::encode_records`] made it.
    pub map: Vec<u8>,
}

impl SegmentRow {
    /// NET.STA.LOC.CHA, or the whole identifier where that is no FDSN one.
    pub fn code_text(&self) -> String {
        code_text(&self.code, &self.source_id)
    }
}

fn code_text(code: &ChannelCode, source_id: &str) -> String {
    if *code == ChannelCode::default() { source_id.to_owned() } else { code.to_string() }
}

/// The two segments of a new part. Files are sorted by path here, segments by code, start, path and offset \[I26\].
pub fn build_part(mut files: Vec<(FileRow, Vec<SegmentRow>)>) -> Result<(SegmentBuilder, SegmentBuilder)> {
    files.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    let mut rows: Vec<(u32, SegmentRow)> = vec![];
    let mut file_rows = Vec::with_capacity(files.len());
    for (index, (file, segments)) in files.into_iter().enumerate() {
        rows.extend(segments.into_iter().map(|s| (index as u32, s)));
        file_rows.push(file);
    }
    let mut channels: BTreeMap<(String, ChannelCode, String), u32> = BTreeMap::new();
    for (_, row) in &rows {
        channels.insert((row.code_text(), row.code.clone(), row.source_id.clone()), 0);
    }
    for (index, id) in channels.values_mut().enumerate() {
        *id = index as u32;
    }
    let id = |row: &SegmentRow| {
        channels.get(&(row.code_text(), row.code.clone(), row.source_id.clone())).copied().unwrap_or(0)
    };
    rows.sort_by_cached_key(|(file, row)| (id(row), row.segment.start, *file, row.segment.byte_offset));
    let ids: Vec<u32> = rows.iter().map(|(_, row)| id(row)).collect();
    let list: Vec<[&str; 5]> = channels
        .keys()
        .map(|(_, c, source_id)| [&*c.network, &*c.station, &*c.location, &*c.channel, source_id])
        .collect();
    let channels = serde_json::to_vec(&list).map_err(|e| Error::Refused {
        message: format!("channel names cannot be written: {e}"),
        help: None,
    })?;
    let files = SegmentBuilder::new(FILES).batch(&files_to_batch(&file_rows)?);
    let segments =
        SegmentBuilder::new(SEGMENTS).batch(&segments_to_batch(&rows, ids)?).blob("channels", channels);
    Ok((files, segments))
}

fn files_to_batch(files: &[FileRow]) -> Result<Batch> {
    let mut path = BinaryBuilder::new();
    let mut text = [StringBuilder::new(), StringBuilder::new(), StringBuilder::new()];
    for file in files {
        path.append_value(&file.path);
        text[0].append_value(&file.format);
        text[1].append_value(&file.state);
        text[2].append_option(file.reason.as_deref());
    }
    let [mut format, mut state, mut reason] = text;
    let unsigned =
        |f: fn(&FileRow) -> u64| Arc::new(files.iter().map(|r| Some(f(r))).collect::<UInt64Array>());
    let signed = |f: fn(&FileRow) -> i64| Arc::new(files.iter().map(|r| Some(f(r))).collect::<Int64Array>());
    let bad_offset: UInt64Array = files.iter().map(|r| r.bad_offset).collect();
    let is_unsure: BooleanArray = files.iter().map(|r| Some(r.is_unsure)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("path", Arc::new(path.finish())),
        ("size", unsigned(|r| r.size)),
        ("mtime", signed(|r| r.mtime_ns)),
        ("ctime", signed(|r| r.ctime_ns)),
        ("inode", unsigned(|r| r.inode)),
        ("hash", unsigned(|r| r.hash)),
        ("unsure", Arc::new(is_unsure)),
        ("format", Arc::new(format.finish())),
        ("state", Arc::new(state.finish())),
        ("reason", Arc::new(reason.finish())),
        ("bad_offset", Arc::new(bad_offset)),
        ("records", unsigned(|r| r.records)),
        ("bytes_skipped", unsigned(|r| r.bytes_skipped)),
    ];
    to_batch(columns)
}

fn segments_to_batch(rows: &[(u32, SegmentRow)], ids: Vec<u32>) -> Result<Batch> {
    let mut map = LargeBinaryBuilder::new();
    rows.iter().for_each(|(_, row)| map.append_value(&row.map));
    let signed = |f: fn(&Segment) -> i64| {
        Arc::new(rows.iter().map(|(_, r)| Some(f(&r.segment))).collect::<Int64Array>())
    };
    let real = |f: fn(&Segment) -> f64| {
        Arc::new(rows.iter().map(|(_, r)| Some(f(&r.segment))).collect::<Float64Array>())
    };
    let files: UInt32Array = rows.iter().map(|(file, _)| Some(*file)).collect();
    let quality: UInt8Array = rows.iter().map(|(_, r)| Some(r.segment.quality)).collect();
    let version: UInt8Array = rows.iter().map(|(_, r)| Some(r.segment.publication_version)).collect();
    let flags: UInt16Array = rows.iter().map(|(_, r)| Some(r.segment.flags)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("channel", Arc::new(UInt32Array::from(ids))),
        ("start", signed(|s| s.start.0)),
        ("end", signed(|s| s.end.0)),
        ("npts", signed(|s| s.npts as i64)),
        ("rate", real(|s| s.sampling_rate)),
        ("file", Arc::new(files)),
        ("byte_offset", signed(|s| s.byte_offset as i64)),
        ("bytes", signed(|s| s.bytes as i64)),
        ("quality", Arc::new(quality)),
        ("version", Arc::new(version)),
        ("drift", real(|s| s.drift_s)),
        ("flags", Arc::new(flags)),
        ("map", Arc::new(map.finish())),
    ];
    to_batch(columns)
}

fn to_batch(columns: Vec<(&str, ArrayRef)>) -> Result<Batch> {
    Batch::try_from_iter(columns).map_err(|e| Error::Refused { message: e.to_string(), help: None })
}

/// A segment that lists dead files of a part.
pub fn build_dead(part: &str, rows: &[u32]) -> Result<SegmentBuilder> {
    let batch = to_batch(vec![("file", Arc::new(UInt32Array::from(rows.to_vec())) as ArrayRef)])?;
    Ok(SegmentBuilder::new(DEAD).batch(&batch).property(PART, part))
}

/// Where a segment can be mapped from: a snapshot or a writer.
pub trait Segments {
    /// The map of a segment of the catalogue.
    fn map(&self, reference: &SegmentRef) -> Result<Arc<SegmentMap>>;
}

impl Segments for crate::store::Snapshot {
    fn map(&self, reference: &SegmentRef) -> Result<Arc<SegmentMap>> {
        self.segment(reference)
    }
}

impl Segments for crate::store::Writer {
    fn map(&self, reference: &SegmentRef) -> Result<Arc<SegmentMap>> {
        self.segment(reference)
    }
}

/// One part, mapped.
#[derive(Debug)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// The source its files belong to.
    pub source: String,
    /// Root of that source, raw bytes.
    pub root: Vec<u8>,
    /// Files that changed or went since.
    pub dead: HashSet<u32>,
    files: Batch,
    segments: Batch,
    /// Code and identifier of each channel.
    pub channels: Vec<(ChannelCode, String)>,
}

/// All parts of all sources.
#[derive(Debug, Default)]
pub struct Archive {
    /// In the order of their commits.
    pub parts: Vec<Part>,
}

impl Archive {
    /// Maps every part of a catalogue.
    pub fn open(catalogue: &Catalogue, segments: &dyn Segments) -> Result<Archive> {
        let mut archive = Archive::default();
        let Some(table) = catalogue.table(ARCHIVE_TABLE) else { return Ok(archive) };
        let mut by_part: HashMap<&str, Vec<&SegmentRef>> = HashMap::new();
        let mut names: Vec<&str> = vec![];
        for reference in &table.segments {
            let part = reference.properties.get(PART).map_or("", |p| p.as_str());
            let list = by_part.entry(part).or_default();
            if list.is_empty() {
                names.push(part);
            }
            list.push(reference);
        }
        for name in names {
            let references = by_part.get(name).map_or(&[][..], |v| v.as_slice());
            archive.parts.extend(open_part(name, references, catalogue, segments)?);
        }
        Ok(archive)
    }
}

impl Archive {
    /// Living files, and segments in them.
    pub fn counts(&self) -> (usize, usize) {
        let files = |p: &Part| (0..p.file_count() as u32).filter(|f| p.is_alive(*f)).count();
        let segments = |p: &Part| (0..p.segment_count()).filter(|s| p.is_alive(p.file_of(*s))).count();
        (self.parts.iter().map(files).sum(), self.parts.iter().map(segments).sum())
    }
}

fn open_part(
    name: &str,
    references: &[&SegmentRef],
    catalogue: &Catalogue,
    segments: &dyn Segments,
) -> Result<Option<Part>> {
    let role = |role: &str| references.iter().find(|r| r.role == role);
    let (Some(files_ref), Some(segments_ref)) = (role(FILES), role(SEGMENTS)) else { return Ok(None) };
    let files_map = segments.map(files_ref)?;
    let segments_map = segments.map(segments_ref)?;
    let mut dead = HashSet::new();
    for reference in references.iter().filter(|r| r.role == DEAD) {
        let rows = segments.map(reference)?.all()?;
        dead.extend(rows.column(0).as_primitive::<UInt32Type>().values().iter().copied());
    }
    let list: Vec<[String; 5]> = serde_json::from_slice(segments_map.blob("channels")?).map_err(|e| {
        let path = segments_map.path().to_path_buf();
        Error::Damaged { path, block: None, reason: format!("its channel names do not read: {e}") }
    })?;
    let channels = list
        .into_iter()
        .map(|[n, s, l, c, id]| (ChannelCode { network: n, station: s, location: l, channel: c }, id));
    let (files, segments) = (files_map.all()?, segments_map.all()?);
    let part = Part {
        name: name.to_owned(),
        source: files_ref.source.clone(),
        root: catalogue.source(&files_ref.source).map(|s| s.root.clone()).unwrap_or_default(),
        dead,
        channels: channels.collect(),
        files,
        segments,
    };
    part.check(segments_map.path())?;
    Ok(Some(part))
}

impl Part {
    /// Places that point into other columns must be in range: the bytes are checked, their meaning is checked here
    /// \[I27\].
    fn check(&self, path: &std::path::Path) -> Result<()> {
        let within = |column: usize, limit: usize| {
            self.segments
                .column(column)
                .as_primitive::<UInt32Type>()
                .values()
                .iter()
                .all(|v| (*v as usize) < limit)
        };
        if within(0, self.channels.len()) && within(5, self.files.num_rows()) {
            return Ok(());
        }
        let reason = "a segment names a channel or file that is not there".to_owned();
        Err(Error::Damaged { path: path.to_path_buf(), block: None, reason })
    }

    /// Number of files, dead ones included.
    pub fn file_count(&self) -> usize {
        self.files.num_rows()
    }

    /// Number of segments, those of dead files included.
    pub fn segment_count(&self) -> usize {
        self.segments.num_rows()
    }

    /// Is the file still what it was?
    pub fn is_alive(&self, file: u32) -> bool {
        !self.dead.contains(&file)
    }

    /// Path below the root.
    pub fn path(&self, file: u32) -> &[u8] {
        self.files.column(0).as_binary::<i32>().value(file as usize)
    }

    /// A file's row.
    pub fn file(&self, file: u32) -> FileRow {
        let row = file as usize;
        let unsigned = |c: usize| self.files.column(c).as_primitive::<UInt64Type>();
        let signed = |c: usize| self.files.column(c).as_primitive::<Int64Type>().value(row);
        let text = |c: usize| {
            let column = self.files.column(c).as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let bad_offset = unsigned(10);
        FileRow {
            path: self.path(file).to_vec(),
            size: unsigned(1).value(row),
            mtime_ns: signed(2),
            ctime_ns: signed(3),
            inode: unsigned(4).value(row),
            hash: unsigned(5).value(row),
            is_unsure: self.files.column(6).as_boolean().value(row),
            format: text(7).unwrap_or_default(),
            state: text(8).unwrap_or_default(),
            reason: text(9),
            bad_offset: bad_offset.is_valid(row).then(|| bad_offset.value(row)),
            records: unsigned(11).value(row),
            bytes_skipped: unsigned(12).value(row),
        }
    }

    /// What tells whether a file is still what it was.
    pub fn signature(&self, file: u32) -> Signature {
        let row = file as usize;
        let unsigned = |c: usize| self.files.column(c).as_primitive::<UInt64Type>().value(row);
        let signed = |c: usize| self.files.column(c).as_primitive::<Int64Type>().value(row);
        let state = self.state(file);
        Signature {
            size: unsigned(1),
            mtime_ns: signed(2),
            ctime_ns: signed(3),
            inode: unsigned(4),
            hash: unsigned(5),
            is_unsure: self.files.column(6).as_boolean().value(row),
            is_unreachable: state == UNREACHABLE,
            is_other: state == "other",
        }
    }

    /// State of a file: `ok`, `partly`, ...
    pub fn state(&self, file: u32) -> &str {
        self.files.column(8).as_string::<i32>().value(file as usize)
    }

    /// The file a segment lies in.
    pub fn file_of(&self, segment: usize) -> u32 {
        self.segments.column(5).as_primitive::<UInt32Type>().value(segment)
    }

    /// Index of a segment's channel.
    pub fn channel_of(&self, segment: usize) -> usize {
        self.segments.column(0).as_primitive::<UInt32Type>().value(segment) as usize
    }

    /// First instant of a segment, ns since 1970.
    pub fn start_of(&self, segment: usize) -> i64 {
        self.segments.column(1).as_primitive::<Int64Type>().value(segment)
    }

    /// NET.STA.LOC.CHA of a channel, or its whole identifier.
    pub fn code_text(&self, channel: usize) -> String {
        self.channels.get(channel).map_or(String::new(), |(code, id)| code_text(code, id))
    }

    /// A segment without the list of its records.
    pub fn segment(&self, row: usize) -> Segment {
        let signed = |c: usize| self.segments.column(c).as_primitive::<Int64Type>().value(row);
        let real = |c: usize| self.segments.column(c).as_primitive::<Float64Type>().value(row);
        let byte = |c: usize| self.segments.column(c).as_primitive::<UInt8Type>().value(row);
        Segment {
            stream: self.channel_of(row) as u32,
            start: Time(signed(1)),
            end: Time(signed(2)),
            npts: signed(3) as u64,
            sampling_rate: real(4),
            quality: byte(8),
            publication_version: byte(9),
            drift_s: real(10),
            byte_offset: signed(6) as u64,
            bytes: signed(7) as u64,
            flags: self.segments.column(11).as_primitive::<UInt16Type>().value(row),
            records: vec![],
        }
    }

    /// The record map of a segment.
    pub fn map(&self, row: usize) -> &[u8] {
        self.segments.column(12).as_binary::<i64>().value(row)
    }

    /// A segment as it was stored, for a part that takes its file over.
    pub fn segment_row(&self, row: usize) -> SegmentRow {
        let (code, source_id) = self.channels.get(self.channel_of(row)).cloned().unwrap_or_default();
        SegmentRow { code, source_id, segment: self.segment(row), map: self.map(row).to_vec() }
    }

    /// The segments of some files.
    pub fn segments_of(&self, wanted: &HashSet<u32>) -> HashMap<u32, Vec<usize>> {
        let mut by_file: HashMap<u32, Vec<usize>> = HashMap::new();
        let files = self.segments.column(5).as_primitive::<UInt32Type>();
        for (row, file) in files.values().iter().enumerate().filter(|(_, f)| wanted.contains(f)) {
            by_file.entry(*file).or_default().push(row);
        }
        by_file
    }

    /// The segments of each file.
    pub fn segments_by_file(&self) -> HashMap<u32, Vec<usize>> {
        let mut by_file: HashMap<u32, Vec<usize>> = HashMap::new();
        let files = self.segments.column(5).as_primitive::<UInt32Type>();
        for (row, file) in files.values().iter().enumerate() {
            by_file.entry(*file).or_default().push(row);
        }
        by_file
    }
}

/// A part in memory, for tests of what reads parts.
#[cfg(test)]
pub(crate) fn part_of_rows(source: &str, files: Vec<(FileRow, Vec<SegmentRow>)>) -> Result<Part> {
    let mut sorted: Vec<FileRow> = files.into_iter().map(|f| f.0).collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Part {
        name: "test".to_owned(),
        source: source.to_owned(),
        root: vec![],
        dead: HashSet::new(),
        files: files_to_batch(&sorted)?,
        segments: segments_to_batch(&[], vec![])?,
        channels: vec![],
    })
}
