//! The segments that the rows of a query name, for COPY ... FORMAT mseed and sac: found by source, path and byte
//! offset, cut to the start and end of the row, in the order of channel and time.

use std::collections::{BTreeSet, HashMap};

use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray};

use crate::engine::bind::Context;
use crate::engine::exec;
use crate::engine::expr::integers;
use crate::engine::plan::Node;
use crate::engine::tables::shown_bytes;
use crate::error::{Error, Result};
use crate::index::archive::{Archive, Part};
use crate::index::time::Segment;
use crate::model::table::Batch;
use crate::model::time::Time;

/// The columns that name a segment and its span.
pub const NEEDED: [&str; 5] = ["source", "path", "byte_offset", "starttime", "endtime"];

/// A stretch of a stored segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Of its channel among all codes.
    pub rank: u32,
    /// First instant of the whole segment.
    pub segment_start: Time,
    /// Which part.
    pub part: u32,
    /// Which segment of it.
    pub row: u32,
    /// The stretch, half open.
    pub span: (Time, Time),
}

/// A row before its segment is found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Request {
    part: u32,
    file: u32,
    byte_offset: u64,
    span: (Time, Time),
}

/// What the rows of a plan name, sorted; stretches of one segment that touch are one.
///
/// # Errors
/// Rows that name no segment of the archive; the memory budget; those of the query.
pub fn selected(node: &Node, archive: &Archive, context: &Context<'_>) -> Result<Vec<Wanted>> {
    let mut requests = Requests { archive, files: HashMap::new(), list: vec![], first_unknown: None };
    let mut held = context.budget.hold("COPY");
    let mut batches = context.install(|| exec::rows(node, context))?;
    while let Some(batch) = context.install(|| batches.next()) {
        context.cancel.check()?;
        requests.take(&batch?)?;
        // the list of requests, then that of what was found
        held.set(requests.list.len() * (size_of::<Request>() + size_of::<Wanted>()))?;
    }
    if let Some((source, path)) = requests.first_unknown {
        return Err(Error::refused(
            format!("no segment of the archive `{source}` is in {path} at the byte_offset of a row"),
            "COPY reads rows of `segments`: leave source, path and byte_offset as they are, or REFRESH",
        ));
    }
    let mut wanted = found(requests.list, archive)?;
    wanted.sort_unstable();
    let touches = |a: &Wanted, b: &Wanted| {
        (a.part, a.row) == (b.part, b.row) && b.span.0 <= a.span.1 && a.rank == b.rank
    };
    wanted.dedup_by(|b, a| {
        let joins = touches(a, b);
        if joins {
            a.span.1 = a.span.1.max(b.span.1);
        }
        joins
    });
    Ok(wanted)
}

struct Requests<'a> {
    archive: &'a Archive,
    files: HashMap<(String, String), Option<(u32, u32)>>,
    list: Vec<Request>,
    first_unknown: Option<(String, String)>,
}

impl Requests<'_> {
    fn take(&mut self, batch: &Batch) -> Result<()> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| Error::refused(format!("there is no column `{name}`"), ""))
        };
        let text = |name: &str| -> Result<StringArray> {
            let texts = column(name)?.as_string_opt::<i32>().cloned();
            texts.ok_or_else(|| {
                Error::refused(format!("column `{name}` is no text"), "leave it as `segments` has it")
            })
        };
        let (sources, paths) = (text("source")?, text("path")?);
        let offsets = integers(column("byte_offset")?)?;
        let (starts, ends) = (integers(column("starttime")?)?, integers(column("endtime")?)?);
        for row in 0..batch.num_rows() {
            let is_known = !sources.is_null(row) && !paths.is_null(row) && offsets.is_valid(row);
            if !is_known || !starts.is_valid(row) || !ends.is_valid(row) {
                continue;
            }
            let name = (sources.value(row).to_owned(), paths.value(row).to_owned());
            let archive = self.archive;
            let place = *self.files.entry(name.clone()).or_insert_with(|| file_named(archive, &name));
            match (place, u64::try_from(offsets.value(row))) {
                (Some((part, file)), Ok(byte_offset)) => {
                    let span = (Time(starts.value(row)), Time(ends.value(row)));
                    self.list.push(Request { part, file, byte_offset, span });
                }
                _ => self.first_unknown = self.first_unknown.take().or(Some(name)),
            }
        }
        Ok(())
    }
}

/// Part and file of a path as the tables show it.
fn file_named(archive: &Archive, name: &(String, String)) -> Option<(u32, u32)> {
    let parts = archive.parts.iter().enumerate().filter(|(_, part)| part.source == name.0);
    let mut found = parts.filter_map(|(at, part)| Some((at as u32, file_of_path(part, &name.1)?)));
    found.find(|(part, file)| archive.parts.get(*part as usize).is_some_and(|p| p.is_alive(*file)))
}

/// The file of a part by the path that is shown: files lie in the order of the raw bytes.
fn file_of_path(part: &Part, shown: &str) -> Option<u32> {
    let count = part.file_count() as u32;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if part.path(middle) < shown.as_bytes() { low = middle + 1 } else { high = middle }
    }
    if low < count && part.path(low) == shown.as_bytes() {
        return Some(low);
    }
    // bytes that are no UTF-8 are shown otherwise
    let escaped = |file: &u32| {
        let raw = part.path(*file);
        std::str::from_utf8(raw).is_err() && shown_bytes(raw) == shown
    };
    shown.contains("\\x").then(|| (0..count).find(escaped)).flatten()
}

/// The segments of the requests. The segments of each part are gone over once.
fn found(mut requests: Vec<Request>, archive: &Archive) -> Result<Vec<Wanted>> {
    requests.sort_unstable();
    let codes: BTreeSet<String> = {
        let parts = requests.iter().map(|r| r.part).collect::<BTreeSet<u32>>();
        let parts = parts.into_iter().filter_map(|p| archive.parts.get(p as usize));
        parts.flat_map(|p| (0..p.channels.len()).map(|c| p.code_text(c))).collect()
    };
    let ranks: HashMap<&str, u32> = codes.iter().map(String::as_str).zip(0..).collect();
    let mut wanted = Vec::with_capacity(requests.len());
    for of_part in requests.chunk_by(|a, b| a.part == b.part) {
        let Some(part) = of_part.first().and_then(|r| archive.parts.get(r.part as usize)) else { continue };
        let rank: Vec<u32> = (0..part.channels.len())
            .map(|c| ranks.get(part.code_text(c).as_str()).copied().unwrap_or(0))
            .collect();
        let (mut met, mut at) = (0, 0);
        for row in 0..part.segment_count() {
            let file = part.file_of(row);
            let first = of_part.partition_point(|r| r.file < file);
            if of_part.get(first).is_none_or(|r| r.file != file) {
                continue;
            }
            let segment = part.segment(row);
            let key = |r: &Request| (r.file, r.byte_offset);
            let first = of_part.partition_point(|r| key(r) < (file, segment.byte_offset));
            let of_row = of_part.get(first..).unwrap_or_default().iter();
            for request in of_row.take_while(|r| key(r) == (file, segment.byte_offset)) {
                met += 1;
                at = at.max(first + 1);
                let span = clipped(request.span, &segment);
                let rank = rank.get(part.channel_of(row)).copied().unwrap_or(0);
                let wanted_row =
                    Wanted { rank, segment_start: segment.start, part: request.part, row: row as u32, span };
                wanted.extend((span.0 < span.1).then_some(wanted_row));
            }
        }
        if met < of_part.len() {
            return Err(Error::refused(
                format!("{} rows have a byte_offset at which no segment begins", of_part.len() - met),
                "COPY reads rows of `segments`: leave source, path and byte_offset as they are",
            ));
        }
    }
    Ok(wanted)
}

/// The span of a row inside its segment; what is no time series spans one instant.
fn clipped(span: (Time, Time), segment: &Segment) -> (Time, Time) {
    let after = |t: Time| Time(t.0.saturating_add(1));
    if segment.end <= segment.start {
        return (segment.start, after(segment.start));
    }
    (span.0.max(segment.start), span.1.min(segment.end))
}
