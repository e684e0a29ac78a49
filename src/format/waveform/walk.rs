//! From record to record through a miniSEED file, of version 2, 3 or both. Whatever the bytes are, the work is
//! linear in the size of the file: a failed attempt costs from a budget.

use std::collections::HashMap;

use crate::error::Result;
use crate::format::waveform::{Parsed, Record, Scan, State, Stream, source::Source};
use crate::format::{mseed2, mseed3};
use crate::limits::{READ_BLOCK_BYTES, RESYNC_BYTES};

/// Bytes that are looked at first: enough for the headers of nearly every record.
const VIEW_BYTES: usize = 4096;
/// Bytes that failed attempts may look at, as a multiple of the size of the file ...
const EFFORT_PER_BYTE: u64 = 4;
/// ... plus this.
const EFFORT_BYTES: u64 = 64 << 20;

/// What stands at the front of a view.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Mseed3,
    Mseed2,
    Control,
    Blank,
    Nothing,
}

fn start(bytes: &[u8]) -> Start {
    if mseed3::is_header(bytes) {
        Start::Mseed3
    } else if mseed2::is_header(bytes) {
        Start::Mseed2
    } else if mseed2::is_control(bytes) {
        Start::Control
    } else if mseed2::is_blank(bytes) {
        Start::Blank
    } else {
        Start::Nothing
    }
}

/// Reads the headers of a file that starts as miniSEED does, or as a SEED volume or a blank record does and holds
/// records later on. `None`: it is something else.
pub(crate) fn scan_mseed(source: &mut Source, records: &mut Vec<Record>) -> Result<Option<Scan>> {
    let head = source.view(0, VIEW_BYTES)?;
    let kind = start(head);
    let certain = head.starts_with(mseed3::MAGIC) || kind == Start::Mseed2;
    if !certain && kind == Start::Nothing {
        return Ok(None);
    }
    let scan = scan_on(source, 0, Scan { records: std::mem::take(records), ..Scan::default() })?;
    Ok((certain || !scan.records.is_empty()).then_some(scan))
}

/// Reads the headers of a file that starts with something else but holds miniSEED.
pub(crate) fn scan_after_noise(source: &mut Source) -> Result<Option<Scan>> {
    match find_first(source)? {
        Some(_) => scan_on(source, 0, Scan::default()).map(Some),
        None => Ok(None),
    }
}

/// A record that cannot be an accident (followed by another start or the end of the file, with its length from
/// blockette 1000 or a CRC) within the first block, of a file that starts with something else.
fn find_first(source: &mut Source) -> Result<Option<u64>> {
    let mut walk = Walk::new(source, 0);
    let end = walk.size.min(READ_BLOCK_BYTES as u64);
    let mut at = 0;
    while let Some(candidate) = walk.next_candidate(at, end)? {
        if let Ok((record, _)) = walk.try_record(candidate)? {
            let next = candidate + record.length;
            let assumed = record.flags & super::flags::ASSUMED != 0;
            if !assumed && (next == walk.size || start(walk.source.view(next, VIEW_BYTES)?) != Start::Nothing)
            {
                return Ok(Some(candidate));
            }
        }
        if walk.effort > EFFORT_BYTES {
            break;
        }
        at = candidate + 1;
    }
    Ok(None)
}

/// The record at `offset`, alone.
pub(crate) fn record_at(source: &mut Source, offset: u64) -> Result<Option<(Record, Stream)>> {
    let kind = start(source.view(offset, VIEW_BYTES)?);
    if !matches!(kind, Start::Mseed2 | Start::Mseed3) {
        return Ok(None);
    }
    let mut walk = Walk::new(source, offset);
    let Ok((record, id)) = walk.try_record(offset)? else { return Ok(None) };
    walk.keep(record, &id)?;
    Ok(walk.scan.records.pop().zip(walk.scan.streams.pop()))
}

/// Reads every record header from `offset` on.
pub(super) fn scan(source: &mut Source, offset: u64) -> Result<Scan> {
    scan_on(source, offset, Scan::default())
}

/// Reads every record header from `offset` on and adds what is there to a scan.
pub(crate) fn scan_on(source: &mut Source, offset: u64, scan: Scan) -> Result<Scan> {
    let mut walk = Walk::new(source, offset);
    walk.has = match scan.format {
        "mseed2" => (true, false),
        "mseed3" => (false, true),
        "mseed2+3" => (true, true),
        _ => (false, false),
    };
    let numbers = scan.streams.iter().enumerate().map(|(number, s)| (s.source_id.clone(), number as u32));
    walk.by_source_id = numbers.collect();
    walk.scan = scan;
    while walk.offset < walk.size {
        walk.step()?;
    }
    Ok(walk.finish())
}

/// The raw name of a record's stream.
enum Id {
    V2([u8; 12]),
    V3(std::ops::Range<usize>),
}

/// Why there is no record, where.
struct Fault {
    at: u64,
    reason: String,
}

struct Walk<'a> {
    source: &'a mut Source,
    size: u64,
    offset: u64,
    scan: Scan,
    effort: u64,
    names: HashMap<Vec<u8>, u32>,
    by_source_id: HashMap<String, u32>,
    /// Raw name of the stream of the last record, and its number.
    last_name: Vec<u8>,
    last_number: Option<u32>,
    /// What the next record is compared with before it is read in full.
    alike: Option<mseed2::Alike>,
    has: (bool, bool),
}

impl<'a> Walk<'a> {
    fn new(source: &'a mut Source, offset: u64) -> Walk<'a> {
        Walk {
            size: source.size(),
            source,
            offset,
            scan: Scan::default(),
            effort: 0,
            names: HashMap::new(),
            by_source_id: HashMap::new(),
            last_name: Vec::new(),
            last_number: None,
            alike: None,
            has: (false, false),
        }
    }

    /// One record, a run of control headers, or a stretch without either.
    fn step(&mut self) -> Result<()> {
        let view = self.source.view(self.offset, VIEW_BYTES)?;
        if let Some(record) = self.alike.as_ref().and_then(|alike| alike.record(view, self.offset)) {
            self.scan.add(record);
            self.offset += record.length;
            return Ok(());
        }
        let kind = start(view);
        let fault = match kind {
            Start::Control | Start::Blank => return self.pass_over(kind),
            Start::Nothing => Fault { at: self.offset, reason: self.nothing()? },
            Start::Mseed2 | Start::Mseed3 => match self.try_record(self.offset)? {
                Ok((record, id)) => {
                    let next = self.offset + record.length;
                    self.keep(record, &id)?;
                    self.alike = match (kind, self.scan.records.last()) {
                        (Start::Mseed2, Some(kept)) => {
                            mseed2::Alike::of(self.source.view(self.offset, VIEW_BYTES)?, kept)
                        }
                        _ => None,
                    };
                    self.offset = next;
                    return Ok(());
                }
                Err(fault) => fault,
            },
        };
        if self.scan.reason.is_none() {
            self.scan.reason = Some(fault.reason);
            self.scan.bad_offset = Some(fault.at);
        }
        self.resync()
    }

    fn nothing(&mut self) -> Result<String> {
        let head = self.source.view(self.offset, VIEW_BYTES)?;
        Ok(if head.starts_with(mseed3::MAGIC) && head.len() < mseed3::HEADER_BYTES {
            format!("the file ends {} bytes into a record", head.len())
        } else if head.starts_with(mseed3::MAGIC) {
            "a miniSEED 3 header with a date or time that does not exist".to_owned()
        } else if head.len() < mseed2::HEADER_BYTES {
            format!("{} bytes after the last record", head.len())
        } else if head.iter().all(|&b| b == 0) {
            "zeros where a record should start".to_owned()
        } else {
            "no record header where a record should start".to_owned()
        })
    }

    /// Parses the record at `offset`; looks for its length and for more bytes where the parser asks.
    fn try_record(&mut self, offset: u64) -> Result<std::result::Result<(Record, Id), Fault>> {
        let mut wanted = VIEW_BYTES;
        let mut length = None;
        loop {
            let view = self.source.view(offset, wanted)?;
            let parsed = if view.starts_with(mseed3::MAGIC) {
                rename(mseed3::parse(view), Id::V3)
            } else {
                rename(mseed2::parse(view, length), Id::V2)
            };
            let available = view.len();
            match parsed {
                Parsed::Record(mut record, id) => {
                    record.offset = offset;
                    return Ok(Ok((record, id)));
                }
                Parsed::Bad(at, reason) => {
                    self.effort += available.min(wanted) as u64;
                    return Ok(Err(Fault { at: offset + at as u64, reason }));
                }
                Parsed::NoLength => match self.distance_to_next(offset)? {
                    Some(distance) => length = Some(distance),
                    None => {
                        let reason = "no blockette 1000, and no header follows within 1 MiB".to_owned();
                        return Ok(Err(Fault { at: offset, reason }));
                    }
                },
                Parsed::NeedBytes(count) if count as u64 > self.size - offset || count <= available => {
                    let left = self.size - offset;
                    let reason = format!("the record has {count} bytes, the file ends after {left} of them");
                    return Ok(Err(Fault { at: offset, reason }));
                }
                Parsed::NeedBytes(count) => wanted = count,
            }
        }
    }

    /// Bytes to the next start at 64-byte steps, or to the end of the file; `None` if both lie beyond the longest
    /// record.
    fn distance_to_next(&mut self, offset: u64) -> Result<Option<u64>> {
        let left = self.size - offset;
        let mut distance = 0;
        while distance < mseed2::RECORD_BYTES as u64 {
            distance += mseed2::SEARCH_STEP_BYTES as u64;
            self.effort += mseed2::SEARCH_STEP_BYTES as u64;
            if distance >= left {
                return Ok(Some(left));
            }
            if start(self.source.view(offset + distance, mseed2::HEADER_BYTES)?) != Start::Nothing {
                return Ok(Some(distance));
            }
        }
        Ok(None)
    }

    /// Goes over control headers (their text too) or blank records, in 64-byte steps, to the next start of another
    /// kind. These bytes are legal and not counted as skipped.
    fn pass_over(&mut self, kind: Start) -> Result<()> {
        while self.offset < self.size {
            self.offset = (self.offset + mseed2::SEARCH_STEP_BYTES as u64).min(self.size);
            let next = start(self.source.view(self.offset, VIEW_BYTES)?);
            let inside = next == kind || (next == Start::Nothing && kind == Start::Control);
            let tail = kind == Start::Blank && self.only_blanks_left()?;
            if !inside && !tail {
                break;
            }
        }
        Ok(())
    }

    /// The last bytes of a file, too few for a header, are all blank.
    fn only_blanks_left(&mut self) -> Result<bool> {
        let view = self.source.view(self.offset, VIEW_BYTES)?;
        Ok(view.len() < mseed2::HEADER_BYTES && view.iter().all(|&b| b == b' '))
    }

    /// Moves to the next record that parses, at any byte.
    fn resync(&mut self) -> Result<()> {
        let from = self.offset;
        let end = self.size.min(from.saturating_add(RESYNC_BYTES));
        let budget = self.size.saturating_mul(EFFORT_PER_BYTE).saturating_add(EFFORT_BYTES);
        let mut at = from + 1;
        let mut found = None;
        while let Some(candidate) = self.next_candidate(at, end)? {
            if self.effort > budget {
                break;
            }
            if self.try_record(candidate)?.is_ok() {
                found = Some(candidate);
                break;
            }
            self.effort += mseed2::HEADER_BYTES as u64;
            at = candidate + 1;
        }
        self.offset = found.unwrap_or(self.size);
        self.scan.bytes_skipped += self.offset - from;
        Ok(())
    }

    /// The next byte in `from .. end` where a header of either version stands.
    fn next_candidate(&mut self, from: u64, end: u64) -> Result<Option<u64>> {
        let mut at = from;
        while at < end {
            let view = self.source.view(at, VIEW_BYTES)?;
            let heads = view.windows(mseed3::HEADER_BYTES).enumerate();
            let found = heads.filter(|(_, head)| may_start(head)).find(|&(i, _)| {
                view.get(i..).is_some_and(|v| matches!(start(v), Start::Mseed2 | Start::Mseed3))
            });
            // a header cut by the end of the view is looked at again with the next one
            let passed = (view.len() + 1).saturating_sub(mseed2::HEADER_BYTES);
            match found {
                Some((index, _)) if at + index as u64 >= end => return Ok(None),
                Some((index, _)) => return Ok(Some(at + index as u64)),
                None if passed == 0 || at + view.len() as u64 >= self.size => return Ok(None),
                None => at += passed as u64,
            }
        }
        Ok(None)
    }

    fn keep(&mut self, mut record: Record, id: &Id) -> Result<()> {
        let head = self.source.view(record.offset, record.data_offset as usize)?;
        let (name, is_v3): (&[u8], bool) = match id {
            Id::V2(raw) => (raw, false),
            Id::V3(range) => (head.get(range.clone()).unwrap_or_default(), true),
        };
        if is_v3 {
            self.has.1 = true;
        } else {
            self.has.0 = true;
        }
        record.stream = match self.last_number.filter(|_| self.last_name == name) {
            Some(number) => number,
            None => {
                let number = match self.names.get(name) {
                    Some(&number) => number,
                    None => {
                        let stream =
                            if let Id::V2(raw) = id { mseed2::stream(raw) } else { mseed3::stream(name) };
                        let number = add_stream(&mut self.scan.streams, &mut self.by_source_id, stream);
                        self.names.insert(name.to_vec(), number);
                        number
                    }
                };
                self.last_name.clear();
                self.last_name.extend_from_slice(name);
                self.last_number = Some(number);
                number
            }
        };
        if record.flags & super::flags::BROKEN_CHAIN != 0 && self.scan.reason.is_none() {
            self.scan.reason = Some("a blockette is said to lie outside its record".to_owned());
            self.scan.bad_offset = Some(record.offset + 46);
        }
        self.scan.add(record);
        Ok(())
    }

    fn finish(self) -> Scan {
        let mut scan = self.scan;
        scan.format = match self.has {
            (true, true) => "mseed2+3",
            (false, true) => "mseed3",
            (true, false) => "mseed2",
            (false, false) => "",
        };
        scan.state = match (scan.records.is_empty(), scan.reason.is_some()) {
            (false, false) => State::Ok,
            (false, true) => State::Partly,
            (true, true) => State::Unreadable,
            (true, false) => State::Other,
        };
        scan
    }
}

/// A cheap look before the whole header is checked.
fn may_start(head: &[u8]) -> bool {
    head.starts_with(mseed3::MAGIC) || head.get(6).is_some_and(|q| matches!(q, b'D' | b'R' | b'Q' | b'M'))
}

fn add_stream(streams: &mut Vec<Stream>, by_source_id: &mut HashMap<String, u32>, stream: Stream) -> u32 {
    let next = streams.len() as u32;
    let number = *by_source_id.entry(stream.source_id.clone()).or_insert(next);
    if number == next {
        streams.push(stream);
    }
    number
}

fn rename<T>(parsed: Parsed<T>, id: impl Fn(T) -> Id) -> Parsed<Id> {
    match parsed {
        Parsed::Record(record, raw) => Parsed::Record(record, id(raw)),
        Parsed::NoLength => Parsed::NoLength,
        Parsed::NeedBytes(count) => Parsed::NeedBytes(count),
        Parsed::Bad(at, reason) => Parsed::Bad(at, reason),
    }
}
