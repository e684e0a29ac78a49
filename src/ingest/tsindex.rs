//! IMPORT WAVEFORMS 'x.sqlite' FORMAT tsindex: the rows of mseedindex's index become files and segments without a
//! waveform file being opened. What a row does not tell (the records of a stretch) is read when a window asks for it,
//! or by the next REFRESH where the file is not as the index knew it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::compact::{archive_table, publish_part};
use super::import::{Existing, Imported, SIGNATURE, Standing, absolute, counted, default_name, register};
use super::import::{signature, spelled, standing};
use super::refresh::{DEVICE, now_ns};
use super::walk;
use crate::error::{Error, Result};
use crate::format::tsindex::{Reader, Section};
use crate::format::waveform::{Record, State, flags, sample_time};
use crate::index::archive::{FileRow, SegmentRow, UNREACHABLE};
use crate::index::time::{Segment, encode_records};
use crate::limits;
use crate::model::time::Time;
use crate::store::{SegmentRef, SourceEntry, Writer};

/// Property of the source: where the index lay.
const INDEX: &str = "tsindex";

/// What an import asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The SQLite file.
    pub path: PathBuf,
    /// INTO; else from the path.
    pub name: Option<String>,
    /// REPLACE.
    pub existing: Existing,
}

/// An index with the source that it makes.
struct Opened {
    index: PathBuf,
    reader: Reader,
    /// What names are relative to.
    base: PathBuf,
    root: PathBuf,
    name: String,
}

fn opened(request: &Request) -> Result<Opened> {
    let index = absolute(&request.path)?;
    let reader = Reader::open(&index)?;
    let Some((first, last)) = reader.filenames()? else {
        return Err(Error::data(&index, None, "the tsindex has no rows"));
    };
    let base = index.parent().unwrap_or(Path::new("/")).to_path_buf();
    let root = common_directory(&base.join(&first), &base.join(&last));
    let name = request.name.clone().unwrap_or_else(|| default_name(&index));
    Ok(Opened { index, reader, base, root, name })
}

/// What an import would do, in lines.
pub fn preview(request: &Request) -> Result<Vec<String>> {
    let opened = opened(request)?;
    let rows = counted(opened.reader.rows()? as usize, "row");
    let root = opened.root.display();
    Ok(vec![
        format!("import waveforms: `{}`", opened.name),
        format!("  tsindex: {rows}, root {root}, no file is opened"),
    ])
}

/// Brings the rows of an index in, in one generation. The root of the source is the deepest directory that all its
/// files have in common; names that are not absolute are those below the directory of the index.
pub fn import_tsindex(
    writer: &mut Writer,
    request: &Request,
    cancel: &dyn Fn() -> Result<()>,
) -> Result<Imported> {
    let Opened { index, reader, base, root, name } = opened(request)?;
    let options =
        [(SIGNATURE, signature(std::slice::from_ref(&index))?), (INDEX, index.display().to_string())];
    let mut source = SourceEntry {
        name: spelled(writer.catalogue(), &name),
        kind: "waveforms".to_owned(),
        root: root.as_os_str().as_bytes().to_vec(),
        options: options.map(|(k, v)| (k.to_owned(), v)).into_iter().collect(),
        ..SourceEntry::default()
    };
    let old = writer.catalogue().source(&source.name);
    if let Some(device) = old.and_then(|o| o.options.get(DEVICE)) {
        source.options.insert(DEVICE.to_owned(), device.clone());
    }
    let standing = standing(writer.catalogue(), &source, request.existing)?;
    if standing == Standing::Same {
        return Ok(Imported::nothing(&source.name));
    }
    let mut import = Building::new(writer, &source.name, (base, root));
    let odd = reader.each(|section| {
        cancel()?;
        import.take(section)
    })?;
    let (published, done) = import.finish()?;
    let mut catalogue = writer.catalogue().clone();
    let table = archive_table(&mut catalogue);
    table.segments.retain(|s| s.source != source.name);
    table.segments.extend(published);
    let name = source.name.clone();
    register(&mut catalogue, source, standing);
    writer.commit(catalogue)?;
    Ok(done.told(&name, odd))
}

/// The deepest directory above both.
fn common_directory(first: &Path, last: &Path) -> PathBuf {
    let above = |path: &Path| path.parent().map(Path::to_path_buf).unwrap_or_default();
    let (first, last) = (above(first), above(last));
    first.components().zip(last.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

/// What was made of the rows.
#[derive(Default)]
struct Done {
    files: usize,
    segments: usize,
    unsure: usize,
    gone: usize,
}

impl Done {
    fn told(&self, name: &str, odd: u64) -> Imported {
        let message = format!(
            "`{name}`: {} and {}, 0 files opened",
            counted(self.files, "file"),
            counted(self.segments, "segment")
        );
        let mut notices = vec![];
        if self.unsure > 0 {
            notices.push(format!(
                "{} changed since the index was made: REFRESH {name} reads them",
                counted(self.unsure, "file")
            ));
        }
        if self.gone > 0 {
            notices.push(format!(
                "{} of the index cannot be reached: FROM files WHERE state = 'unreachable'",
                counted(self.gone, "file")
            ));
        }
        if odd > 0 {
            notices.push(format!(
                "{} of the index left out: a value is missing or makes no sense",
                counted(odd as usize, "row")
            ));
        }
        Imported { message, notices, problems: self.gone as u64 + odd }
    }
}

/// Parts on their way: the rows of a file stand together.
struct Building<'a> {
    writer: &'a Writer,
    source: &'a str,
    /// What names are relative to, and the root.
    places: (PathBuf, PathBuf),
    scan_ns: i64,
    files: Vec<(FileRow, Vec<SegmentRow>)>,
    filename: Option<String>,
    published: Vec<SegmentRef>,
    done: Done,
}

impl<'a> Building<'a> {
    fn new(writer: &'a Writer, source: &'a str, places: (PathBuf, PathBuf)) -> Building<'a> {
        Building {
            writer,
            source,
            places,
            scan_ns: now_ns(),
            files: vec![],
            filename: None,
            published: vec![],
            done: Done::default(),
        }
    }

    fn take(&mut self, section: Section) -> Result<()> {
        if self.filename.as_ref() != Some(&section.filename) {
            if self.files.len() >= limits::REFRESH_BATCH_FILES {
                self.publish()?;
            }
            let row = self.file(&section)?;
            self.done.files += 1;
            self.done.unsure += usize::from(row.is_unsure && row.state != UNREACHABLE);
            self.done.gone += usize::from(row.state == UNREACHABLE);
            self.files.push((row, vec![]));
            self.filename = Some(section.filename.clone());
        }
        let Some((file, segments)) = self.files.last_mut() else { return Ok(()) };
        if section.byte_offset + section.bytes > file.size && file.state != UNREACHABLE {
            self.done.unsure += usize::from(!file.is_unsure);
            file.is_unsure = true;
        }
        for span in &section.spans {
            let records = records(&section, *span);
            let map = encode_records(&records)?;
            let segment = segment(&section, *span, &records);
            let source_id = crate::format::waveform::fdsn_id(&section.code);
            segments.push(SegmentRow { code: section.code.clone(), source_id, segment, map });
            self.done.segments += 1;
        }
        Ok(())
    }

    /// The row of a file: what the directory says of it now, trusted where the time of change is that of the index.
    fn file(&self, section: &Section) -> Result<FileRow> {
        let full = self.places.0.join(&section.filename);
        let Ok(below) = full.strip_prefix(&self.places.1) else {
            let message = format!("{} is not below {}", full.display(), self.places.1.display());
            return Err(Error::refused(message, "import the directory itself: IMPORT WAVEFORMS 'directory'"));
        };
        let path = OsStr::as_bytes(below.as_os_str()).to_vec();
        let format = if section.quality == 0 { "mseed3" } else { "mseed2" };
        let row = FileRow {
            path,
            format: format.to_owned(),
            state: State::Ok.name().to_owned(),
            ..FileRow::default()
        };
        let metadata = match fs::metadata(&full) {
            Ok(metadata) => metadata,
            Err(error) => {
                let reason = format!("the index names it, it cannot be reached: {error}");
                return Ok(FileRow {
                    state: UNREACHABLE.to_owned(),
                    reason: Some(reason),
                    is_unsure: true,
                    ..row
                });
            }
        };
        let entry = walk::stat_of(&metadata);
        let is_known = section.modified_s == Some(entry.mtime_ns.div_euclid(1_000_000_000));
        let is_young = entry.mtime_ns > self.scan_ns.saturating_sub(limits::UNSURE_MTIME_NS);
        Ok(FileRow {
            size: entry.size,
            mtime_ns: entry.mtime_ns,
            ctime_ns: entry.ctime_ns,
            inode: entry.inode,
            is_unsure: !is_known || is_young || !entry.is_regular,
            ..row
        })
    }

    fn publish(&mut self) -> Result<()> {
        let files = std::mem::take(&mut self.files);
        if !files.is_empty() {
            self.published.extend(publish_part(self.writer, self.source, files, vec![])?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Vec<SegmentRef>, Done)> {
        self.publish()?;
        Ok((self.published, self.done))
    }
}

/// The byte ranges of a span: one between two entries of the time index where the records stand in order, else the
/// whole section.
fn records(section: &Section, span: (Time, Time, f64)) -> Vec<Record> {
    let (from, to, sampling_rate) = span;
    let end = section.byte_offset + section.bytes;
    let samples = |until: Time| (until.seconds_since(from) * sampling_rate).round() as u32;
    let total = samples(to).saturating_add(1);
    let entries = if section.is_ordered { section.time_index.as_slice() } else { &[] };
    let first = entries.partition_point(|e| e.0 <= from);
    let begin = entries.get(first.wrapping_sub(1)).map_or(section.byte_offset, |e| e.1);
    let inside = entries.get(first..).unwrap_or_default();
    let cuts = inside.iter().take_while(|e| e.0 <= to).map(|e| (samples(e.0), e.1));
    let behind = inside.iter().find(|e| e.0 > to).map_or(end, |e| e.1);
    let mut starts: Vec<(u32, u64)> = std::iter::once((0, begin)).chain(cuts).collect();
    starts.push((total, behind));
    let range = |pair: &[(u32, u64)]| Record {
        offset: pair[0].1,
        length: pair[1].1.saturating_sub(pair[0].1),
        start: sample_time(from, u64::from(pair[0].0), sampling_rate),
        npts: pair[1].0.saturating_sub(pair[0].0),
        sampling_rate,
        quality: section.quality,
        publication_version: section.version,
        flags: flags::SECTION,
        ..Record::default()
    };
    starts.windows(2).map(range).filter(|r| r.npts > 0).collect()
}

fn segment(section: &Section, span: (Time, Time, f64), records: &[Record]) -> Segment {
    let npts = records.iter().map(|r| u64::from(r.npts)).sum();
    let begin = records.first().map_or(section.byte_offset, |r| r.offset);
    let end = records.last().map_or(begin, |r| r.offset + r.length);
    Segment {
        start: span.0,
        end: sample_time(span.1, 1, span.2),
        npts,
        sampling_rate: span.2,
        quality: section.quality,
        publication_version: section.version,
        byte_offset: begin,
        bytes: end - begin,
        flags: flags::SECTION,
        ..Segment::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_index_cuts_a_span() {
        let at = |s: i64| Time(s * 1_000_000_000);
        let section = Section {
            byte_offset: 1000,
            bytes: 9000,
            time_index: vec![(at(0), 1000), (at(3600), 4000), (at(7200), 7000)],
            is_ordered: true,
            ..Section::default()
        };
        let unordered = Section { is_ordered: false, ..section.clone() };
        /// Offset, length and samples.
        type Range = (u64, u64, u32);
        let cases: [(&Section, i64, i64, &[Range]); 5] = [
            (&section, 0, 9999, &[(1000, 3000, 36_000), (4000, 3000, 36_000), (7000, 3000, 27_991)]),
            (&section, 100, 3000, &[(1000, 3000, 29_001)]),
            (&section, 3600, 7199, &[(4000, 3000, 35_991)]),
            (&section, 7300, 7300, &[(7000, 3000, 1)]),
            (&unordered, 0, 9999, &[(1000, 9000, 99_991)]),
        ];
        for (section, from, to, want) in cases {
            let span = (at(from), at(to), 10.0);
            let records = records(section, span);
            let got: Vec<_> = records.iter().map(|r| (r.offset, r.length, r.npts)).collect();
            assert_eq!(got, want, "{from} {to}");
            assert_eq!(records[0].start, at(from));
            let segment = segment(section, span, &records);
            assert_eq!(segment.npts, ((to - from) * 10 + 1) as u64);
        }
    }

    #[test]
    fn the_root_is_the_deepest_common_directory() {
        let cases = [
            ("/a/b/c.ms", "/a/b/d.ms", "/a/b"),
            ("/a/b/c.ms", "/a/bd/d.ms", "/a"),
            ("/a/b/c.ms", "/a/b/c.ms", "/a/b"),
            ("/a.ms", "/z/d.ms", "/"),
        ];
        for (first, last, want) in cases {
            assert_eq!(common_directory(Path::new(first), Path::new(last)), Path::new(want));
        }
    }
}
