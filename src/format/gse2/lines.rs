//! Lines of a file of any size, in linear time and bounded memory.

use crate::error::Result;
use crate::format::gse2::header;
use crate::format::waveform::source::Source;

/// Bytes that are asked for where a line starts.
const VIEW_BYTES: usize = 4096;
/// Bytes within which the first header must stand: mail and message headers come before it.
const SEARCH_BYTES: u64 = 64 << 10;

/// A line, or a stretch of one that is too long.
pub(super) struct Line<'a> {
    /// Without its end.
    pub(super) text: &'a [u8],
    /// Where the next one starts.
    pub(super) next: u64,
}

impl Line<'_> {
    /// Does it start with this word?
    pub(super) fn starts(&self, word: &[u8]) -> bool {
        let after = self.text.get(word.len());
        self.text.starts_with(word) && after.is_none_or(u8::is_ascii_whitespace)
    }
}

/// The line at `at`, LF or CR LF. One that is longer than what is in memory is cut at a blank.
pub(super) fn next_line(source: &mut Source, at: u64) -> Result<Line<'_>> {
    let view = source.view(at, VIEW_BYTES)?;
    let (text, bytes) = match view.iter().position(|&b| b == b'\n') {
        Some(end) => (view.get(..end).unwrap_or_default(), end + 1),
        None => {
            let cut = view.iter().rposition(u8::is_ascii_whitespace).filter(|_| view.len() >= VIEW_BYTES);
            let bytes = cut.map_or(view.len(), |cut| cut + 1);
            (view.get(..bytes).unwrap_or_default(), bytes)
        }
    };
    Ok(Line { text: text.strip_suffix(b"\r").unwrap_or(text), next: at + bytes as u64 })
}

/// Where the first header line stands, if only text stands before it.
pub(super) fn first_header(source: &mut Source) -> Result<Option<u64>> {
    let end = source.size().min(SEARCH_BYTES);
    let mut at = 0;
    while at < end {
        let line = next_line(source, at)?;
        if header(line.text).is_some() {
            return Ok(Some(at));
        }
        let is_text = line.text.iter().all(|&b| b >= b' ' || b.is_ascii_whitespace());
        if !is_text || line.next == at {
            return Ok(None);
        }
        at = line.next;
    }
    Ok(None)
}
