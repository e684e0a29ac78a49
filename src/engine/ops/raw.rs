//! Records copied byte for byte from the files of an archive into one stream, each checked to be the record that the
//! index knows. A record whose file went, is shorter or holds something else now is taken from a copy.

use std::collections::HashMap;
use std::io::Write;

use super::merge::{Located, Merge, Pick};
use super::selected::Wanted;
use super::stored::full_path;
use crate::engine::bind::Context;
use crate::error::{Error, Result};
use crate::format::waveform::source::Source;
use crate::format::waveform::{decode, same};
use crate::index::archive::Archive;
use crate::limits::READ_BLOCK_BYTES;
use crate::model::time::Time;

/// Records that are planned together.
const PICKS: usize = 4096;
/// Files kept open.
const OPEN_FILES: usize = 16;
/// Reasons that are told.
const REASONS: usize = 3;

/// What was written, and what was not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Records written.
    pub records: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Segments they come from.
    pub segments: u64,
    /// Records left out as copies of one that was written.
    pub copies: u64,
    /// Copies whose samples differ from those of the one that was written.
    pub differing: u64,
    /// Records that overlap one that was written and are none of its copies: written.
    pub overlapping: u64,
    /// Records that could not be read, nor any copy of them.
    pub unreachable: u64,
    /// Records that came from a copy because the preferred file could not be read.
    pub from_copies: u64,
    /// Why, the first few.
    pub reasons: Vec<String>,
}

/// Writes the records of all channels, in the order of channel and time.
///
/// # Errors
/// Of `out` and of the index; a file that cannot be read is counted instead.
pub fn write_records(
    archive: &Archive,
    wanted: &[Wanted],
    out: &mut dyn Write,
    context: &Context<'_>,
) -> Result<Stats> {
    let mut writer = RawWriter {
        files: Files { archive, open: vec![], names: HashMap::new() },
        out,
        stats: Stats::default(),
    };
    for of_channel in wanted.chunk_by(|a, b| a.rank == b.rank) {
        let segments = of_channel.chunk_by(|a, b| (a.part, a.row) == (b.part, b.row)).count();
        writer.stats.segments += segments as u64;
        let mut merge = Merge::new(archive, of_channel);
        let mut reached = Time(i64::MIN);
        loop {
            context.cancel.check()?;
            let mut picks = Vec::with_capacity(PICKS);
            while picks.len() < PICKS
                && let Some(pick) = merge.next()?
            {
                writer.stats.overlapping += u64::from(overlaps(&pick, &mut reached));
                picks.push(pick);
            }
            if picks.is_empty() {
                break;
            }
            writer.write(&picks)?;
        }
    }
    Ok(writer.stats)
}

/// Does the record start more than half a sample before the end of those before it?
fn overlaps(pick: &Pick, reached: &mut Time) -> bool {
    let record = &pick.best.record;
    if record.npts == 0 || record.sampling_rate <= 0.0 {
        return false;
    }
    let end = record.last_sample().plus_seconds(1.0 / record.sampling_rate).unwrap_or(record.start);
    let half = (0.5e9 / record.sampling_rate) as i64;
    let is_before = record.start.0.saturating_add(half) < reached.0;
    *reached = (*reached).max(end);
    is_before
}

struct RawWriter<'a> {
    files: Files<'a>,
    out: &'a mut dyn Write,
    stats: Stats,
}

impl RawWriter<'_> {
    /// Neighbours in a file are read in one go.
    fn write(&mut self, picks: &[Pick]) -> Result<()> {
        let mut rest = picks;
        while let Some(first) = rest.first() {
            let (count, length) = neighbours(rest);
            let (run, after) = rest.split_at(count);
            rest = after;
            let start = first.best.record.offset;
            let bytes = match self.files.bytes(&first.best, length) {
                Ok(bytes) => bytes.to_vec(),
                Err(_) => vec![],
            };
            for pick in run {
                let from = (pick.best.record.offset - start) as usize;
                let slice = bytes.get(from..from + pick.best.record.length as usize);
                self.one(pick, slice.unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// One record: `bytes` as read, or nothing where that failed.
    fn one(&mut self, pick: &Pick, bytes: &[u8]) -> Result<()> {
        let checked = if bytes.is_empty() {
            // once more alone, for the reason
            self.files.checked(&pick.best).map(Some)
        } else {
            self.files.check(&pick.best, bytes).map(|()| None)
        };
        let (written, alone) = match checked {
            Ok(alone) => (pick.best, alone),
            Err(reason) => {
                self.tell(reason);
                let copy = pick.copies.iter().find_map(|c| Some((*c, Some(self.files.checked(c).ok()?))));
                let Some(found) = copy else {
                    self.stats.unreachable += 1;
                    return Ok(());
                };
                self.stats.from_copies += 1;
                found
            }
        };
        let bytes = alone.as_deref().unwrap_or(bytes);
        self.out.write_all(bytes).map_err(|e| Error::io("write", "the records", e))?;
        self.stats.records += 1;
        self.stats.bytes += bytes.len() as u64;
        for copy in pick.copies.iter().filter(|c| **c != written) {
            self.stats.copies += 1;
            let differs =
                self.files.checked(copy).is_ok_and(|other| differ((&written, bytes), (copy, &other)));
            self.stats.differing += u64::from(differs);
        }
        Ok(())
    }

    fn tell(&mut self, reason: String) {
        if self.stats.reasons.len() < REASONS && !self.stats.reasons.contains(&reason) {
            self.stats.reasons.push(reason);
        }
    }
}

/// Records at the front that stand one behind the other in a file, and their bytes.
fn neighbours(picks: &[Pick]) -> (usize, u64) {
    let (mut count, mut length) = (0, 0_u64);
    let Some(first) = picks.first().map(|p| p.best) else { return (0, 0) };
    for pick in picks {
        let at = pick.best;
        let follows = (at.part, at.file) == (first.part, first.file)
            && first.record.offset.checked_add(length) == Some(at.record.offset);
        let longer = length.saturating_add(at.record.length);
        if count > 0 && (!follows || longer > READ_BLOCK_BYTES as u64) {
            break;
        }
        count += 1;
        length = longer;
    }
    (count, length)
}

/// Do the samples of two records differ?
fn differ(a: (&Located, &[u8]), b: (&Located, &[u8])) -> bool {
    let payload = |r: &(&Located, &[u8])| r.1.get(r.0.record.data_offset as usize..).map(<[u8]>::to_vec);
    if payload(&a) == payload(&b) && a.0.record.encoding == b.0.record.encoding {
        return false;
    }
    let samples = |r: &(&Located, &[u8])| {
        let decoded = decode::decode(&r.0.record, payload(r).as_deref().unwrap_or_default());
        decoded.map(|d| d.samples).ok()
    };
    samples(&a) != samples(&b)
}

/// The files of an archive that were opened last.
struct Files<'a> {
    archive: &'a Archive,
    open: Vec<((u32, u32), Source)>,
    /// Raw names of channels that were met, as the index writes them.
    names: HashMap<Vec<u8>, String>,
}

impl Files<'_> {
    /// `length` bytes from the start of a record on.
    fn bytes(&mut self, at: &Located, length: u64) -> Result<&[u8]> {
        let key = (at.part, at.file);
        let place = match self.open.iter().position(|(k, _)| *k == key) {
            Some(place) => place,
            None => {
                let path = self.archive.parts.get(at.part as usize).map(|p| full_path(p, at.file));
                let buffer =
                    if self.open.len() < OPEN_FILES { vec![] } else { self.open.remove(0).1.into_buffer() };
                self.open.push((key, Source::open(&path.unwrap_or_default(), buffer)?));
                self.open.len() - 1
            }
        };
        let last = self.open.len() - 1;
        if place != last {
            let source = self.open.remove(place);
            self.open.push(source);
        }
        match self.open.last_mut() {
            Some((_, source)) => source.exact(at.record.offset, length),
            None => Ok(&[]),
        }
    }

    /// The bytes of a record that is what the index says; errors are reasons, with the path.
    fn checked(&mut self, at: &Located) -> std::result::Result<Vec<u8>, String> {
        let bytes = self.bytes(at, at.record.length).map_err(|e| e.to_string())?.to_vec();
        self.check(at, &bytes).map(|()| bytes)
    }

    /// Is it the record, and of that channel?
    fn check(&mut self, at: &Located, bytes: &[u8]) -> std::result::Result<(), String> {
        let Some(part) = self.archive.parts.get(at.part as usize) else { return Ok(()) };
        let complain = |reason: String| {
            let path = full_path(part, at.file);
            format!("{}: at byte {}: {reason}", path.display(), at.record.offset)
        };
        let name = same::check(bytes, &at.record).map_err(complain)?;
        let raw = bytes.get(name.clone()).unwrap_or_default();
        if !self.names.contains_key(raw) {
            let stream = same::stream(bytes, &name);
            let code = match stream.code == Default::default() {
                true => stream.source_id,
                false => stream.code.to_string(),
            };
            self.names.insert(raw.to_vec(), code);
        }
        let wanted = part.code_text(part.channel_of(at.row as usize));
        match self.names.get(raw) {
            Some(code) if *code == wanted => Ok(()),
            _ => Err(complain("a record of another channel stands there now".to_owned())),
        }
    }
}
