//! A walk over the page headers of a Parquet column chunk before the chunk is decoded. The parquet crate
//! allocates what a header claims (decompressed size, length of a statistic) before it looks at the bytes, and a
//! claim that is too large ends the process; so every claim is held against the file here first.
//! Source: parquet-format, `PageHeader` in parquet.thrift, Thrift compact protocol.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// Bytes read at a page header; the next size is tried when the header is longer.
const HEADER_READS_BYTES: &[usize] = &[512, 16 << 10, 1 << 20];
/// Decompressed size that is always accepted, in bytes.
const SMALL_PAGE_BYTES: u64 = 1 << 20;
/// Decompressed size up to which a page may hold [`PAGE_RATIO`] bytes for each compressed one.
const LARGE_PAGE_BYTES: u64 = 64 << 20;
/// Most bytes one compressed byte may become in a page of up to [`LARGE_PAGE_BYTES`].
const PAGE_RATIO: u64 = 1000;
/// Most bytes one compressed byte may become in a larger page.
const LARGE_PAGE_RATIO: u64 = 50;
/// Deepest nesting of a header.
const HEADER_DEPTH: usize = 8;

/// A claim that does not hold, at a byte of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageFault {
    pub offset: u64,
    pub reason: String,
}

/// Checks every page header of the chunk `start .. start + length` that holds `values` values.
pub(super) fn check_chunk(file: &mut File, start: u64, length: u64, values: u64) -> Result<(), PageFault> {
    let fault = |offset: u64, reason: String| PageFault { offset, reason };
    let size = file.metadata().map_err(|e| fault(start, e.to_string()))?.len();
    let end = start.checked_add(length).filter(|&e| e <= size);
    let end = end.ok_or_else(|| fault(start, "a column chunk goes beyond the end of the file".to_owned()))?;
    let mut at = start;
    let mut seen = 0_u64;
    while at < end {
        let header = match read_header(file, at, end) {
            Ok(header) => header,
            // some writers leave padding after the last page
            Err(_) if seen >= values => return Ok(()),
            Err(reason) => return Err(fault(at, reason)),
        };
        header.check(size.saturating_sub(at + header.length)).map_err(|reason| fault(at, reason))?;
        if header.kind != DICTIONARY_PAGE {
            seen = seen.saturating_add(header.values);
        }
        at += header.length + header.compressed;
    }
    Ok(())
}

/// `PageType` of a dictionary page.
const DICTIONARY_PAGE: u64 = 2;

/// What a page header claims.
#[derive(Debug, Default)]
struct PageHeader {
    kind: u64,
    uncompressed: u64,
    compressed: u64,
    values: u64,
    /// Bytes of the header itself.
    length: u64,
}

impl PageHeader {
    fn check(&self, left: u64) -> Result<(), String> {
        if self.compressed > left {
            return Err(format!("a page claims {} bytes, the file has {left} left", self.compressed));
        }
        let ratio = if self.uncompressed > LARGE_PAGE_BYTES { LARGE_PAGE_RATIO } else { PAGE_RATIO };
        if self.uncompressed > SMALL_PAGE_BYTES && self.uncompressed > self.compressed.saturating_mul(ratio) {
            return Err(format!(
                "a page claims to become {} bytes from {}: over the limit of {ratio} to 1",
                self.uncompressed, self.compressed
            ));
        }
        if self.kind == DICTIONARY_PAGE && self.values > self.uncompressed {
            return Err(format!("a dictionary claims {} values in {} bytes", self.values, self.uncompressed));
        }
        Ok(())
    }
}

fn read_header(file: &mut File, at: u64, end: u64) -> Result<PageHeader, String> {
    let mut buffer = Vec::new();
    for &size in HEADER_READS_BYTES {
        let size = (size as u64).min(end - at);
        buffer.clear();
        file.seek(SeekFrom::Start(at)).map_err(|e| e.to_string())?;
        file.by_ref().take(size).read_to_end(&mut buffer).map_err(|e| e.to_string())?;
        let mut bytes = Bytes { bytes: &buffer, at: 0 };
        if let Some(mut header) = parse(&mut bytes) {
            header.length = bytes.at as u64;
            return Ok(header);
        }
        if size == end - at {
            break;
        }
    }
    Err("not a page header".to_owned())
}

/// Bytes being parsed; everything gives `None` at their end.
struct Bytes<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A number that must not be negative.
    fn count(&mut self) -> Option<u64> {
        let zigzag = self.varint()?;
        (zigzag & 1 == 0).then_some(zigzag >> 1)
    }

    fn skip_bytes(&mut self, count: u64) -> Option<()> {
        let end = self.at.checked_add(usize::try_from(count).ok()?)?;
        (end <= self.bytes.len()).then(|| self.at = end)
    }

    /// Field number and type of the next field of a struct, or a type of 0 at its end.
    fn field(&mut self, last: u64) -> Option<(u64, u8)> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some((last, 0));
        }
        let delta = u64::from(byte >> 4);
        let number = if delta == 0 { self.count()? } else { last.checked_add(delta)? };
        Some((number, byte & 0x0f))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            1 | 2 => Some(()),
            3 => self.skip_bytes(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip_bytes(8),
            8 => {
                let length = self.varint()?;
                self.skip_bytes(length)
            }
            12 => {
                let mut last = 0;
                loop {
                    let (number, kind) = self.field(last)?;
                    if kind == 0 {
                        return Some(());
                    }
                    last = number;
                    self.skip(kind, depth)?;
                }
            }
            // no header of the format holds lists, sets or maps
            _ => None,
        }
    }
}

/// Types of the compact protocol.
const I32: u8 = 5;
const STRUCT: u8 = 12;

fn parse(bytes: &mut Bytes<'_>) -> Option<PageHeader> {
    let mut header = PageHeader::default();
    let mut last = 0;
    loop {
        let (number, kind) = bytes.field(last)?;
        last = number;
        match (number, kind) {
            (_, 0) => return Some(header),
            (1, I32) => header.kind = bytes.count()?,
            (2, I32) => header.uncompressed = bytes.count()?,
            (3, I32) => header.compressed = bytes.count()?,
            (5 | 7 | 8, STRUCT) => header.values = first_count(bytes)?,
            _ => bytes.skip(kind, HEADER_DEPTH)?,
        }
    }
}

/// The number of values, field 1 of every kind of page, and past the end of its struct.
fn first_count(bytes: &mut Bytes<'_>) -> Option<u64> {
    let mut values = 0;
    let mut last = 0;
    loop {
        let (number, kind) = bytes.field(last)?;
        last = number;
        match (number, kind) {
            (_, 0) => return Some(values),
            (1, I32) => values = bytes.count()?,
            _ => bytes.skip(kind, HEADER_DEPTH)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_held_against_the_bytes() {
        // type 0, uncompressed n, compressed 4, data page header with 1 value, then 4 bytes
        let page = |uncompressed: &[u8], compressed: u8| {
            let mut b = vec![0x15, 0, 0x15];
            b.extend_from_slice(uncompressed);
            b.extend_from_slice(&[0x15, compressed, 0x2c, 0x15, 2, 0, 0, 1, 2, 3, 4]);
            b
        };
        let cases: [(Vec<u8>, Option<&str>); 6] = [
            (page(&[8], 8), None),
            (page(&[8], 10), Some("a page claims 5 bytes, the file has 4 left")),
            (page(&[0x80, 0x80, 0x80, 0x80, 0x0f], 8), Some("over the limit of 50 to 1")),
            (page(&[0x81, 0x01], 8), Some("not a page header")),
            (vec![0x15, 0, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], Some("not a page header")),
            (vec![0xff; 64], Some("not a page header")),
        ];
        for (bytes, want) in cases {
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, &bytes).unwrap();
            let got = check_chunk(&mut file, 0, bytes.len() as u64, 1);
            match want {
                None => assert_eq!(got, Ok(()), "{bytes:?}"),
                Some(want) => {
                    let reason = got.map_err(|f| f.reason);
                    assert!(reason.clone().is_err_and(|r| r.contains(want)), "{bytes:?}: {reason:?}");
                }
            }
        }
    }
}
