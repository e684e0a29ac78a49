//! Writes a part as its rows come, files by path, then segments by channel and start: memory is that of one block
//! and of the sparse index, whatever the number of rows.

use std::collections::{BTreeMap, HashMap};

use super::cold::{COLD_ROWS, ColdWriter, ESCAPE, Escapes, RATE_ESCAPE};
use super::files::{FilesWriter, encode_dead};
use super::frame::Packer;
use super::{FileRow, PAGE_ROWS, PART_VERSION, SPARSE_ROWS, SegmentRow, code_text};
use crate::error::{Error, Result};
use crate::format::waveform::sample_time;
use crate::index::columns::put_varint;
use crate::index::time::{Segment, to_stored};
use crate::model::station::ChannelCode;
use crate::store::{SegmentRef, SegmentStream};

/// Writes one part.
pub struct PartWriter<'a> {
    out: SegmentStream<'a>,
    files: FilesWriter,
    rows: RowsWriter,
    channels: ChannelsWriter,
    packer: Packer,
}

impl<'a> PartWriter<'a> {
    /// On an empty stream.
    pub fn begin(mut out: SegmentStream<'a>) -> Result<PartWriter<'a>> {
        out.begin("files")?;
        Ok(PartWriter {
            out,
            files: FilesWriter::new()?,
            rows: RowsWriter::default(),
            channels: ChannelsWriter::default(),
            packer: Packer::new()?,
        })
    }

    /// The next file; paths ascend.
    pub fn file(&mut self, row: FileRow) -> Result<()> {
        self.files.push(&mut self.out, row)
    }

    /// Number of files so far.
    pub fn files(&self) -> usize {
        self.files.count()
    }

    /// No file follows, segments do.
    pub fn end_files(&mut self) -> Result<()> {
        self.files.flush(&mut self.out)?;
        self.out.begin("rows")
    }

    /// The segments of a channel follow; channels ascend by code, parts of the code and identifier.
    pub fn channel(&mut self, code: &ChannelCode, source_id: &str) -> Result<()> {
        self.channels.push(code, source_id, self.rows.count)
    }

    /// The next segment with its map as a part stores it; they ascend by start, file and byte offset.
    pub fn segment(&mut self, segment: &Segment, file: u32, map: &[u8]) -> Result<()> {
        self.rows.push(&mut self.out, &mut self.packer, (segment, file, map))
    }

    /// The rest of the part. `dead` names rows of files of older parts that this commit replaces.
    pub fn finish(mut self, dead: &[(String, Vec<u32>)]) -> Result<SegmentRef> {
        let (rows, files) = (self.rows.count, self.files.count() as u64);
        self.rows.finish(&mut self.out, &mut self.packer)?;
        self.files.finish(&mut self.out)?;
        self.channels.finish(&mut self.out, rows)?;
        self.out.blob("dead", &encode_dead(dead))?;
        let mut head = PART_VERSION.to_le_bytes().to_vec();
        head.extend_from_slice(&(PAGE_ROWS as u32).to_le_bytes());
        head.extend_from_slice(&rows.to_le_bytes());
        head.extend_from_slice(&files.to_le_bytes());
        self.out.blob("head", &head)?;
        self.out.finish(rows)
    }
}

/// A new part of rows in any order, and the rows of older parts that it replaces \[I26\] \[I28\].
pub fn write_part(
    out: SegmentStream<'_>,
    mut files: Vec<(FileRow, Vec<SegmentRow>)>,
    dead: &[(String, Vec<u32>)],
) -> Result<SegmentRef> {
    files.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    let mut part = PartWriter::begin(out)?;
    let mut rows: Vec<(u32, SegmentRow)> = vec![];
    for (index, (file, segments)) in files.into_iter().enumerate() {
        rows.extend(segments.into_iter().map(|s| (index as u32, s)));
        part.file(file)?;
    }
    part.end_files()?;
    let mut channels: BTreeMap<(String, ChannelCode, String), Vec<(u32, SegmentRow)>> = BTreeMap::new();
    for (file, row) in rows {
        let channel = (row.code_text(), row.code.clone(), row.source_id.clone());
        channels.entry(channel).or_default().push((file, row));
    }
    for ((_, code, source_id), mut rows) in channels {
        part.channel(&code, &source_id)?;
        rows.sort_by_key(|(file, row)| (row.segment.start, *file, row.segment.byte_offset));
        for (file, row) in rows {
            let map = to_stored(&row.map, &row.segment).map_err(|reason| {
                Error::refused(format!("{}: {reason}", row.code_text()), "index the file again")
            })?;
            part.segment(&row.segment, file, &map)?;
        }
    }
    part.finish(dead)
}

/// End of a segment as start, samples and rate tell it, in ns since 1970.
pub(super) fn derived_end(start: i64, npts: u64, rate: f64) -> i64 {
    sample_time(crate::model::time::Time(start), npts, rate).0
}

/// A page in the making.
#[derive(Default)]
struct Page {
    /// Groups of 64 rows that are complete.
    groups: Vec<u8>,
    start: Vec<u8>,
    npts: Vec<u8>,
    file: Vec<u8>,
    offset: Vec<u8>,
    rate: Vec<u8>,
}

impl Page {
    fn end_group(&mut self) {
        for column in [&mut self.start, &mut self.npts, &mut self.file, &mut self.offset, &mut self.rate] {
            self.groups.append(column);
        }
    }
}

/// Writes pages, cold blocks and record maps, and keeps where they are.
#[derive(Default)]
struct RowsWriter {
    count: u64,
    page: Page,
    cold: ColdWriter,
    /// Greatest |residual| of the cold block, ns.
    bound_ns: u64,
    pages: Vec<u8>,
    cold_blocks: Vec<u8>,
    starts: Vec<u8>,
    /// Latest end of each 64 rows.
    ends: Vec<i64>,
    rates: Vec<f64>,
    codes: HashMap<u64, u16>,
}

impl RowsWriter {
    fn push(
        &mut self,
        out: &mut SegmentStream<'_>,
        packer: &mut Packer,
        (segment, file, map): (&Segment, u32, &[u8]),
    ) -> Result<()> {
        if self.count >= u64::from(u32::MAX) {
            return Err(Error::Limit {
                what: "the segments of one part".to_owned(),
                limit: format!("{}", u32::MAX),
                help: "index fewer files at a time".to_owned(),
            });
        }
        let narrow = |value: u64| u32::try_from(value).ok().filter(|&v| v != ESCAPE);
        let (npts, offset) = (narrow(segment.npts), narrow(segment.byte_offset));
        let code = self.code(segment.sampling_rate);
        let escapes = Escapes {
            npts: npts.is_none().then_some(segment.npts),
            byte_offset: offset.is_none().then_some(segment.byte_offset),
            rate: (code == RATE_ESCAPE).then_some(segment.sampling_rate),
        };
        let (start, end) = (segment.start.0, segment.end.0);
        let derived = derived_end(start, segment.npts, segment.sampling_rate);
        let residual_ns = (end as u64).wrapping_sub(derived as u64);
        self.bound_ns = self.bound_ns.max(end.abs_diff(derived));
        if self.count.is_multiple_of(SPARSE_ROWS as u64) {
            self.starts.extend_from_slice(&start.to_le_bytes());
            self.ends.push(i64::MIN);
        }
        // a lookup also asks whether the start itself is covered
        let last = self.ends.last_mut();
        last.into_iter().for_each(|last| *last = (*last).max(end).max(start));
        self.page.start.extend_from_slice(&start.to_le_bytes());
        self.page.npts.extend_from_slice(&npts.unwrap_or(ESCAPE).to_le_bytes());
        self.page.file.extend_from_slice(&file.to_le_bytes());
        self.page.offset.extend_from_slice(&offset.unwrap_or(ESCAPE).to_le_bytes());
        self.page.rate.extend_from_slice(&code.to_le_bytes());
        if self.cold.push(segment, residual_ns, escapes, map) {
            out.write(map)?;
        }
        self.count += 1;
        if self.count.is_multiple_of(SPARSE_ROWS as u64) {
            self.page.end_group();
        }
        if self.cold.len() == COLD_ROWS {
            self.flush_cold(out, packer)?;
        }
        if self.count.is_multiple_of(PAGE_ROWS as u64) { self.flush_page(out) } else { Ok(()) }
    }

    fn code(&mut self, rate: f64) -> u16 {
        let next = u16::try_from(self.rates.len()).unwrap_or(RATE_ESCAPE);
        if let Some(code) = self.codes.get(&rate.to_bits()) {
            return *code;
        }
        if next != RATE_ESCAPE {
            self.codes.insert(rate.to_bits(), next);
            self.rates.push(rate);
        }
        next
    }

    fn flush_cold(&mut self, out: &mut SegmentStream<'_>, packer: &mut Packer) -> Result<()> {
        if self.cold.len() == 0 {
            return Ok(());
        }
        let block = packer.pack(&self.cold.take())?;
        self.cold_blocks.extend_from_slice(&out.position().to_le_bytes());
        self.cold_blocks.extend_from_slice(&(block.len() as u32).to_le_bytes());
        let bound_ns = u32::try_from(self.bound_ns).unwrap_or(u32::MAX);
        self.cold_blocks.extend_from_slice(&bound_ns.to_le_bytes());
        self.bound_ns = 0;
        out.write(&block)
    }

    fn flush_page(&mut self, out: &mut SegmentStream<'_>) -> Result<()> {
        self.pages.extend_from_slice(&out.position().to_le_bytes());
        self.page.end_group();
        out.write(&self.page.groups)?;
        self.page.groups.clear();
        Ok(())
    }

    fn finish(mut self, out: &mut SegmentStream<'_>, packer: &mut Packer) -> Result<()> {
        self.flush_cold(out, packer)?;
        if !self.count.is_multiple_of(PAGE_ROWS as u64) {
            self.flush_page(out)?;
        }
        out.blob("pages", &self.pages)?;
        out.blob("cold", &self.cold_blocks)?;
        out.blob("starts", &self.starts)?;
        out.begin("ends")?;
        let mut level = self.ends;
        while !level.is_empty() {
            level.iter().try_for_each(|end| out.write(&end.to_le_bytes()))?;
            if level.len() == 1 {
                break;
            }
            level = level.chunks(SPARSE_ROWS).filter_map(|c| c.iter().max().copied()).collect();
        }
        let rates: Vec<u8> = self.rates.iter().flat_map(|r| r.to_bits().to_le_bytes()).collect();
        out.blob("rates", &rates)
    }
}

/// The identifier of an FDSN channel as its code spells it.
pub(super) fn fdsn_id(code: &ChannelCode) -> String {
    let letters: Vec<String> = code.channel.chars().map(String::from).collect();
    format!("FDSN:{}_{}_{}_{}", code.network, code.station, code.location, letters.join("_"))
}

/// The channels with their first rows.
#[derive(Default)]
struct ChannelsWriter {
    first_rows: Vec<u8>,
    offsets: Vec<u8>,
    texts: Vec<u8>,
    count: u32,
}

impl ChannelsWriter {
    fn push(&mut self, code: &ChannelCode, source_id: &str, first_row: u64) -> Result<()> {
        let offset = u32::try_from(self.texts.len()).map_err(|_| Error::Limit {
            what: "the names of the channels of a part".to_owned(),
            limit: "4 GiB".to_owned(),
            help: "index the files as several sources".to_owned(),
        })?;
        self.first_rows.extend_from_slice(&first_row.to_le_bytes());
        self.offsets.extend_from_slice(&offset.to_le_bytes());
        let text = code_text(code, source_id);
        put_varint(&mut self.texts, text.len() as u64);
        self.texts.extend_from_slice(text.as_bytes());
        for part in [&code.network, &code.station, &code.location, &code.channel] {
            put_varint(&mut self.texts, part.len() as u64);
        }
        // most identifiers say what the code says
        if source_id == fdsn_id(code) {
            self.texts.push(0);
        } else if source_id == text {
            self.texts.push(1);
        } else {
            put_varint(&mut self.texts, source_id.len() as u64 + 2);
            self.texts.extend_from_slice(source_id.as_bytes());
        }
        self.count += 1;
        Ok(())
    }

    fn finish(mut self, out: &mut SegmentStream<'_>, rows: u64) -> Result<()> {
        self.first_rows.extend_from_slice(&rows.to_le_bytes());
        self.offsets.extend_from_slice(&(self.texts.len() as u32).to_le_bytes());
        out.begin("channels")?;
        out.write(&u64::from(self.count).to_le_bytes())?;
        out.write(&self.first_rows)?;
        out.write(&self.offsets)?;
        out.write(&self.texts)
    }
}
