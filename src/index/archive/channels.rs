//! The channels of a part: names in order, found by binary search over the mapped bytes, and their first rows.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::write::fdsn_id;
use crate::error::Result;
use crate::index::columns::{take_bytes, take_varint, u32_at, u64_at};
use crate::model::station::ChannelCode;
use crate::store::{Blob, SegmentMap};

/// The channels of a mapped part.
#[derive(Debug)]
pub(super) struct Channels {
    blob: Blob,
    count: usize,
    rows: usize,
    /// Code and identifier of each; decoded when first asked for.
    names: OnceLock<Vec<(ChannelCode, String)>>,
}

impl Channels {
    pub(super) fn open(map: &Arc<SegmentMap>, rows: usize) -> Result<Channels> {
        let blob = map.lazy_blob("channels")?;
        let count = u64_at(blob.get(0..8.min(blob.len()))?, 0).unwrap_or(u64::MAX);
        let fixed = count.checked_add(1).and_then(|n| n.checked_mul(12)).and_then(|n| n.checked_add(8));
        if fixed.is_none_or(|bytes| bytes > blob.len() as u64) {
            return Err(blob.damaged("it has fewer channels than it says [I27]"));
        }
        Ok(Channels { blob, count: count as usize, rows, names: OnceLock::new() })
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    fn first_row(&self, channel: usize) -> Result<usize> {
        let at = 8 + 8 * channel;
        let row = u64_at(self.blob.get(at..at + 8)?, 0).and_then(|r| usize::try_from(r).ok());
        let row = row.filter(|&r| r <= self.rows);
        row.ok_or_else(|| self.blob.damaged("a channel begins behind the last row [I27]"))
    }

    /// The rows of a channel.
    pub(super) fn run(&self, channel: usize) -> Result<Range<usize>> {
        let run = self.first_row(channel)?..self.first_row(channel + 1)?;
        if run.start > run.end {
            return Err(self.blob.damaged("a channel ends before it begins [I27]"));
        }
        Ok(run)
    }

    /// The channel of a row.
    pub(super) fn of_row(&self, row: usize) -> Result<usize> {
        let (mut low, mut high) = (0, self.count);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if self.first_row(middle)? <= row { low = middle } else { high = middle }
        }
        Ok(low)
    }

    /// The bytes of a channel's names, of all bytes of the blob.
    fn text<'b>(&self, bytes: &'b [u8], channel: usize) -> Result<&'b [u8]> {
        let (offsets, texts) = (8 + 8 * (self.count + 1), 8 + 12 * (self.count + 1));
        let at = offsets + 4 * channel;
        let ends = u32_at(bytes, at).zip(u32_at(bytes, at + 4));
        let range =
            ends.map(|(start, end)| texts.saturating_add(start as usize)..texts.saturating_add(end as usize));
        let text = range.and_then(|range| bytes.get(range));
        text.ok_or_else(|| self.blob.damaged("the name of a channel lies outside [I27]"))
    }

    /// The code, as `code_text` writes it.
    fn code<'b>(&self, bytes: &'b [u8], channel: usize) -> Result<&'b [u8]> {
        let mut rest = self.text(bytes, channel)?;
        let code = take_varint(&mut rest).and_then(|length| take_bytes(&mut rest, length));
        code.ok_or_else(|| self.blob.damaged("the name of a channel is cut [I27]"))
    }

    /// The channels of a code: more than one where identifiers differ.
    pub(super) fn of_code(&self, code: &[u8]) -> Result<Range<usize>> {
        let bytes = self.blob.all()?;
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = (low + high) / 2;
            if self.code(bytes, middle)? < code { low = middle + 1 } else { high = middle }
        }
        let mut end = low;
        while end < self.count && self.code(bytes, end)? == code {
            end += 1;
        }
        Ok(low..end)
    }

    /// Code and identifier of every channel.
    pub(super) fn names(&self) -> Result<&[(ChannelCode, String)]> {
        if let Some(names) = self.names.get() {
            return Ok(names);
        }
        let bytes = self.blob.all()?;
        let mut names = Vec::with_capacity(self.count);
        for channel in 0..self.count {
            let name = decode(self.text(bytes, channel)?);
            names.push(name.ok_or_else(|| self.blob.damaged("the name of a channel does not read [I27]"))?);
        }
        Ok(self.names.get_or_init(|| names))
    }
}

fn decode(bytes: &[u8]) -> Option<(ChannelCode, String)> {
    let mut rest = bytes;
    let length = take_varint(&mut rest)?;
    let text = std::str::from_utf8(take_bytes(&mut rest, length)?).ok()?;
    let mut parts: [String; 4] = Default::default();
    let mut lengths = [0_usize; 4];
    for length in &mut lengths {
        *length = usize::try_from(take_varint(&mut rest)?).ok()?;
    }
    if lengths != [0; 4] {
        let mut at = 0_usize;
        for (part, length) in parts.iter_mut().zip(lengths) {
            let end = at.checked_add(length)?;
            *part = text.get(at..end)?.to_owned();
            at = end + 1;
        }
    }
    let [network, station, location, channel] = parts;
    let code = ChannelCode { network, station, location, channel };
    let source_id = match take_varint(&mut rest)? {
        0 => fdsn_id(&code),
        1 => text.to_owned(),
        length => std::str::from_utf8(take_bytes(&mut rest, length - 2)?).ok()?.to_owned(),
    };
    Some((code, source_id))
}
