//! The two tables of a waveform archive: `files` and `segments`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampNanosecondArray, UInt32Array};
use rayon::prelude::*;

use super::narrow::wanted_rows;
use crate::engine::expr::arrow_error;
use crate::engine::plan::Scan;
use crate::engine::tables::{built_in_schema, shown_bytes};
use crate::error::Result;
use crate::index::archive::{Archive, FileReader, Part};
use crate::index::time;
use crate::model::station::ChannelCode;
use crate::model::table::Batch;

/// Columns that are built row by row.
#[derive(Default)]
pub(super) struct Texts(BTreeMap<usize, StringBuilder>);

impl Texts {
    pub(super) fn push(&mut self, column: usize, value: Option<&str>) {
        self.0.entry(column).or_default().append_option(value);
    }

    pub(super) fn take(&mut self, column: usize) -> ArrayRef {
        Arc::new(self.0.entry(column).or_default().finish())
    }
}

pub(super) fn times(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(values).with_timezone("UTC"))
}

/// Rows that one thread makes at a time.
const CHUNK_ROWS: usize = 8192;

/// Parts cut into ranges of rows.
fn chunks_of(archive: &Archive, count: fn(&Part) -> usize) -> Vec<(usize, Range<usize>)> {
    let parts = archive.parts.iter().enumerate();
    let cut = |(number, part): (usize, &Part)| {
        let rows = count(part);
        (0..rows).step_by(CHUNK_ROWS).map(move |at| (number, at..rows.min(at + CHUNK_ROWS))).collect()
    };
    parts.flat_map::<Vec<_>, _>(cut).collect()
}

/// Calls with each file of a range.
fn each_file(
    part: &Part,
    range: Range<usize>,
    mut with: impl FnMut(&mut FileReader<'_>, u32) -> Result<()>,
) -> Result<()> {
    let mut files = part.files_from(range.start as u32)?;
    while let Some((file, ..)) = files.current().filter(|c| (c.0 as usize) < range.end) {
        with(&mut files, file)?;
        files.advance()?;
    }
    Ok(())
}

/// Rows of `files`, by path.
pub fn files(archive: &Archive) -> Result<Batch> {
    let chunks: Vec<(Vec<Vec<u8>>, Batch)> = chunks_of(archive, Part::file_count)
        .into_par_iter()
        .map(|(number, range)| files_chunk(&archive.parts[number], range))
        .collect::<Result<_>>()?;
    let schema = built_in_schema("files").arrow();
    let batch = arrow_select::concat::concat_batches(&schema, chunks.iter().map(|c| &c.1));
    let batch = batch.map_err(arrow_error)?;
    // the files of one part lie in the order of their paths
    let paths: Vec<&Vec<u8>> = chunks.iter().flat_map(|c| &c.0).collect();
    if paths.is_sorted() {
        return Ok(batch);
    }
    let sources = batch.column(1).as_string::<i32>();
    let mut order: Vec<u32> = (0..paths.len() as u32).collect();
    order.par_sort_by_key(|&at| (paths[at as usize], sources.value(at as usize)));
    arrow_select::take::take_record_batch(&batch, &UInt32Array::from(order)).map_err(arrow_error)
}

/// Paths and rows of the living files of a range.
fn files_chunk(part: &Part, range: Range<usize>) -> Result<(Vec<Vec<u8>>, Batch)> {
    let mut text = Texts::default();
    let mut ints: [Vec<Option<i64>>; 5] = Default::default();
    let (mut mtimes, mut ctimes) = (vec![], vec![]);
    let mut paths = vec![];
    each_file(part, range, |files, file| {
        if !part.is_alive(file) {
            return Ok(());
        }
        let row = files.row()?;
        text.push(0, Some(&shown_bytes(&row.path)));
        text.push(1, Some(&part.source));
        text.push(2, Some(&row.format).filter(|f| !f.is_empty()).map(String::as_str));
        text.push(3, Some(&row.state));
        text.push(4, row.reason.as_deref());
        mtimes.push(row.mtime_ns);
        ctimes.push(row.ctime_ns);
        let values =
            [Some(row.size), Some(row.inode), row.bad_offset, Some(row.records), Some(row.bytes_skipped)];
        ints.iter_mut().zip(values).for_each(|(column, value)| column.push(value.map(|v| v as i64)));
        paths.push(row.path);
        Ok(())
    })?;
    let [size, inode, bad_offset, records, skipped] = ints.map(|c| Arc::new(Int64Array::from(c)) as ArrayRef);
    let columns = vec![
        text.take(0),
        text.take(1),
        size,
        times(mtimes),
        times(ctimes),
        inode,
        text.take(2),
        text.take(3),
        text.take(4),
        bad_offset,
        records,
        skipped,
    ];
    let batch = Batch::try_new(built_in_schema("files").arrow(), columns).map_err(arrow_error)?;
    Ok((paths, batch))
}

/// A living segment: rank of its code among all codes, its file among those of all parts, its part.
struct Living {
    rank: u32,
    file: u32,
    part: u32,
    segment: time::Segment,
}

/// Rows of `segments`, by code, start, path and offset; with a scan only those that its hints leave. Texts that many
/// rows share are made once and taken by number.
pub fn segments(archive: &Archive, scan: Option<&Scan>) -> Result<Batch> {
    let parts = &archive.parts;
    let mut channels: Vec<&(ChannelCode, String)> = vec![];
    let (mut codes, mut first_channel) = (vec![], vec![]);
    for part in parts {
        first_channel.push(channels.len() as u32);
        channels.extend(part.channels()?);
        for channel in 0..part.channel_count() {
            codes.push(part.code_text(channel)?);
        }
    }
    let (rows, paths) = living(archive, scan, (&codes, &first_channel))?;
    let numbers = |of: &(dyn Fn(&Living) -> u32 + Sync)| -> UInt32Array {
        rows.par_iter().map(of).collect::<Vec<u32>>().into()
    };
    let channel = numbers(&|row| first_channel[row.part as usize] + row.segment.stream);
    let taken = |texts: StringArray, rows: &UInt32Array| {
        arrow_select::take::take(&texts, rows, None).map_err(arrow_error)
    };
    let part_of_code = |pick| code_parts(&channels, pick);
    let sources = parts.iter().map(|p| Some(p.source.as_str())).collect::<StringArray>();
    let int =
        |of: fn(&time::Segment) -> i64| rows.par_iter().map(|row| of(&row.segment)).collect::<Vec<i64>>();
    let float = |of: fn(&time::Segment) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from(rows.par_iter().map(|row| of(&row.segment)).collect::<Vec<f64>>()))
    };
    let columns: Vec<ArrayRef> = vec![
        taken(StringArray::from_iter_values(&codes), &channel)?,
        taken(part_of_code(|c| &c.network), &channel)?,
        taken(part_of_code(|c| &c.station), &channel)?,
        taken(part_of_code(|c| &c.location), &channel)?,
        taken(part_of_code(|c| &c.channel), &channel)?,
        times(int(|s| s.start.0)),
        times(int(|s| s.end.0)),
        float(|s| s.sampling_rate),
        Arc::new(Int64Array::from(int(|s| s.npts as i64))),
        taken(qualities(), &rows.iter().map(|row| quality(&row.segment)).collect())?,
        float(|s| s.drift_s),
        taken(paths, &numbers(&|row| row.file))?,
        Arc::new(Int64Array::from(int(|s| s.byte_offset as i64))),
        Arc::new(Int64Array::from(int(|s| s.bytes as i64))),
        taken(sources, &numbers(&|row| row.part))?,
    ];
    Batch::try_new(built_in_schema("segments").arrow(), columns).map_err(arrow_error)
}

/// One part of the code of each channel. A whole identifier that is no FDSN one has no parts.
pub(super) fn code_parts(
    channels: &[&(ChannelCode, String)],
    pick: fn(&ChannelCode) -> &String,
) -> StringArray {
    let texts = channels.iter().map(|c| &c.0);
    texts.map(|code| Some(pick(code).as_str()).filter(|_| *code != ChannelCode::default())).collect()
}

/// Where the things of each part begin when those of all parts are numbered through.
fn firsts(counts: impl Iterator<Item = usize>) -> Vec<u32> {
    let before = |next: &mut u32, n: usize| {
        let first = *next;
        *next += n as u32;
        Some(first)
    };
    counts.scan(0, before).collect()
}

/// Paths as raw bytes, and the source of each.
type Paths<'a> = Vec<(Vec<u8>, &'a str)>;

/// Of all files of all parts.
fn all_paths(archive: &Archive) -> Result<Paths<'_>> {
    let chunks: Vec<Paths<'_>> = chunks_of(archive, Part::file_count)
        .into_par_iter()
        .map(|(number, range)| {
            let part = &archive.parts[number];
            let mut paths = Vec::with_capacity(range.len());
            each_file(part, range, |files, _| {
                paths.extend(files.current().map(|c| (c.1.to_vec(), part.source.as_str())));
                Ok(())
            })?;
            Ok(paths)
        })
        .collect::<Result<_>>()?;
    Ok(chunks.into_iter().flatten().collect())
}

/// Of the files that rows name, which are numbered anew.
fn named_paths<'a>(archive: &'a Archive, rows: &mut [Living]) -> Result<Paths<'a>> {
    let mut places: Vec<(u32, u32)> = rows.iter().map(|row| (row.part, row.file)).collect();
    places.sort_unstable();
    places.dedup();
    for row in rows {
        row.file = places.binary_search(&(row.part, row.file)).map_or(0, |at| at as u32);
    }
    let path = |(part, file): &(u32, u32)| {
        let part = &archive.parts[*part as usize];
        Ok((part.path(*file)?, part.source.as_str()))
    };
    places.iter().map(path).collect()
}

/// The living segments that the scan wants, in the order of the table, and the paths that their files number.
fn living(
    archive: &Archive,
    scan: Option<&Scan>,
    (codes, first_channel): (&[String], &[u32]),
) -> Result<(Vec<Living>, StringArray)> {
    let mut sorted: Vec<&String> = codes.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let ranks: Vec<u32> =
        codes.iter().map(|c| sorted.binary_search(&c).map_or(0, |rank| rank as u32)).collect();
    let narrowed = scan.map(|scan| wanted_rows(archive, scan)).transpose()?.flatten();
    let is_narrowed = narrowed.is_some();
    let chunks: Vec<Vec<Living>> = narrowed
        .unwrap_or_else(|| chunks_of(archive, Part::segment_count))
        .into_par_iter()
        .map(|(number, range)| {
            let part = &archive.parts[number];
            let mut rows = Vec::with_capacity(range.len());
            part.each_segment(range, |_, file, segment| {
                if part.is_alive(file) {
                    let rank = ranks[(first_channel[number] + segment.stream) as usize];
                    rows.push(Living { rank, file, part: number as u32, segment });
                }
                Ok(())
            })?;
            Ok(rows)
        })
        .collect::<Result<_>>()?;
    let mut rows: Vec<Living> = chunks.into_iter().flatten().collect();
    let paths = if is_narrowed {
        named_paths(archive, &mut rows)?
    } else {
        let first_file = firsts(archive.parts.iter().map(Part::file_count));
        rows.par_iter_mut().for_each(|row| row.file += first_file[row.part as usize]);
        all_paths(archive)?
    };
    let order = |row: &Living| {
        let path = paths.get(row.file as usize);
        (row.rank, row.segment.start, path, row.segment.byte_offset)
    };
    if !rows.is_sorted_by(|a, b| order(a) <= order(b)) {
        rows.par_sort_by(|a, b| order(a).cmp(&order(b)));
    }
    let shown = StringArray::from_iter_values(paths.iter().map(|p| shown_bytes(&p.0)));
    Ok((rows, shown))
}

/// Every quality letter, then every publication version of miniSEED 3.
fn qualities() -> StringArray {
    let letters = (0..=u8::MAX).map(|letter| char::from(letter).to_string());
    letters.chain((0..=u8::MAX).map(|version| version.to_string())).map(Some).collect()
}

/// The number among `qualities` of the quality letter, or of the publication version.
fn quality(segment: &time::Segment) -> Option<u32> {
    match (segment.quality, segment.publication_version) {
        (0, 0) => None,
        (0, version) => Some(256 + u32::from(version)),
        (letter, _) => Some(u32::from(letter)),
    }
}
