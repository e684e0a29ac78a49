//! Many parts into one, row after row: memory is 4 bytes a file and the blocks at hand, whatever the parts hold.
//! Record maps are carried as they are.

use std::collections::BTreeMap;
use std::ops::Range;

use super::files::FileReader;
use super::part::Part;
use super::write::PartWriter;
use crate::error::Result;
use crate::model::station::ChannelCode;
use crate::store::{SegmentRef, SegmentStream};

/// In place of a file number: the file is dead.
const DEAD: u32 = u32::MAX;

/// Writes the living rows of some parts as one part, with their lists of dead files of parts that are not among
/// them. `check` is asked now and then whether to go on.
///
/// # Errors
/// `Damaged`, `Io`, what `check` says.
pub fn merge_parts(
    parts: &[&Part],
    out: SegmentStream<'_>,
    check: &dyn Fn() -> Result<()>,
) -> Result<SegmentRef> {
    let mut writer = PartWriter::begin(out)?;
    let numbers = merge_files(parts, &mut writer, check)?;
    writer.end_files()?;
    merge_segments(parts, &numbers, &mut writer, check)?;
    writer.finish(&dead_outside(parts)?)
}

/// The files that some parts replace of parts that are not among them.
///
/// # Errors
/// `Damaged`.
pub fn dead_outside(parts: &[&Part]) -> Result<Vec<(String, Vec<u32>)>> {
    let mut dead: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for part in parts {
        part.dead_elsewhere(|name, file| {
            if parts.iter().all(|p| p.name != name) {
                dead.entry(name.to_owned()).or_default().push(file);
            }
        })?;
    }
    for files in dead.values_mut() {
        files.sort_unstable();
        files.dedup();
    }
    Ok(dead.into_iter().collect())
}

/// The new number of every file of every part.
fn merge_files(
    parts: &[&Part],
    writer: &mut PartWriter<'_>,
    check: &dyn Fn() -> Result<()>,
) -> Result<Vec<Vec<u32>>> {
    let mut numbers: Vec<Vec<u32>> = parts.iter().map(|p| vec![DEAD; p.file_count()]).collect();
    let mut readers = Vec::with_capacity(parts.len());
    for part in parts {
        let mut reader = part.files_from(0)?;
        to_living(part, &mut reader)?;
        readers.push(reader);
    }
    loop {
        let heads = readers.iter().enumerate().filter_map(|(p, r)| r.current().map(|c| (c.1, p, c.0)));
        let Some((_, number, file)) = heads.min() else { return Ok(numbers) };
        if writer.files().is_multiple_of(4096) {
            check()?;
        }
        numbers[number][file as usize] = writer.files() as u32;
        writer.file(readers[number].row()?)?;
        readers[number].advance()?;
        to_living(parts[number], &mut readers[number])?;
    }
}

fn to_living(part: &Part, reader: &mut FileReader<'_>) -> Result<()> {
    while reader.current().is_some_and(|(file, ..)| !part.is_alive(file)) {
        reader.advance()?;
    }
    Ok(())
}

/// Rows of one channel of one part, at the next living one.
struct Cursor<'a> {
    part: &'a Part,
    numbers: &'a [u32],
    rows: Range<usize>,
    /// Start, new file number and byte offset of the row it stands at.
    key: Option<(i64, u32, u64)>,
}

impl Cursor<'_> {
    fn settle(&mut self) -> Result<()> {
        self.key = None;
        while self.key.is_none() && self.rows.start < self.rows.end {
            let row = self.rows.start;
            let file = self.numbers.get(self.part.file_of(row)? as usize).copied().unwrap_or(DEAD);
            if file == DEAD {
                self.rows.start += 1;
            } else {
                self.key = Some((self.part.start_of(row)?, file, self.part.offset_of(row)?));
            }
        }
        Ok(())
    }
}

fn merge_segments(
    parts: &[&Part],
    numbers: &[Vec<u32>],
    writer: &mut PartWriter<'_>,
    check: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let mut next = vec![0_usize; parts.len()];
    loop {
        check()?;
        let mut names = Vec::with_capacity(parts.len());
        for (part, &channel) in parts.iter().zip(&next) {
            let name = part.channels()?.get(channel);
            names.push(match name {
                Some((code, id)) => Some((part.code_text(channel)?, code, id)),
                None => None,
            });
        }
        let Some(first) = names.iter().flatten().min() else { return Ok(()) };
        let mut cursors = vec![];
        for (number, name) in names.iter().enumerate() {
            if name.as_ref() == Some(first) {
                let (part, rows) = (parts[number], parts[number].run(next[number])?);
                next[number] += 1;
                cursors.push(Cursor { part, numbers: &numbers[number], rows, key: None });
            }
        }
        merge_channel(&mut cursors, (first.1, first.2), writer)?;
    }
}

fn merge_channel(
    cursors: &mut [Cursor<'_>],
    (code, source_id): (&ChannelCode, &str),
    writer: &mut PartWriter<'_>,
) -> Result<()> {
    cursors.iter_mut().try_for_each(Cursor::settle)?;
    if cursors.iter().all(|c| c.key.is_none()) {
        return Ok(());
    }
    writer.channel(code, source_id)?;
    loop {
        let heads = cursors.iter().enumerate().filter_map(|(number, c)| c.key.map(|key| (key, number)));
        let Some(((_, file, _), number)) = heads.min() else { return Ok(()) };
        let cursor = &mut cursors[number];
        cursor.part.carried(cursor.rows.start, |segment, map| writer.segment(segment, file, map))?;
        cursor.rows.start += 1;
        cursor.settle()?;
    }
}
