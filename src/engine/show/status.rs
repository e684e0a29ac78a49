//! SHOW STATUS: counts, sizes, freshness.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{some, text_table};
use crate::engine::analyze::counted;
use crate::engine::bind::Context;
use crate::error::Result;
use crate::model::table::Batch;
use crate::model::time::Time;

/// Sizes of the index, counts of files by state, freshness of the sources.
pub(super) fn status(context: &Context<'_>) -> Result<Batch> {
    let catalogue = context.tables.snapshot.catalogue();
    let segments: Vec<_> = catalogue.segments().collect();
    let bytes: u64 = segments.iter().map(|s| s.bytes).sum();
    let mut rows = vec![some(&["generation", &catalogue.generation.to_string()])];
    rows.push(some(&["index", &format!("{}, {}", counted(segments.len() as u64, "file"), size(bytes))]));
    for table in catalogue.tables.iter().filter(|t| !t.segments.is_empty()) {
        let bytes: u64 = table.segments.iter().map(|s| s.bytes).sum();
        rows.push(some(&[&format!("index of {}", table.name), &size(bytes)]));
    }
    rows.extend(archive_status(context)?);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Time(i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX));
    for source in &catalogue.sources {
        let refreshed = match source.last_refresh {
            Some(t) => format!("refreshed {t}, {}", age(now, t)),
            None => format!("not finished: REFRESH {}", source.name),
        };
        let sealed = source.options.get("sealed").map_or(String::new(), |s| format!(", sealed: {s}"));
        let text = format!("{}, {refreshed}{sealed}", source.kind);
        rows.push(some(&[&format!("source {}", source.name), &text]));
    }
    for name in context.tables.names() {
        if let Some(count) = context.tables.find(&name).and_then(|t| t.rows).filter(|n| *n > 0) {
            rows.push(some(&[&format!("rows of {name}"), &count.to_string()]));
        }
    }
    text_table(&["what", "value"], rows)
}

/// Files, bytes and segments of the archives, and the files by state.
fn archive_status(context: &Context<'_>) -> Result<Vec<Vec<Option<String>>>> {
    let archive = context.tables.archive()?;
    let mut states: std::collections::BTreeMap<String, (u64, u64)> = std::collections::BTreeMap::new();
    for part in &archive.parts {
        let mut files = part.files_from(0)?;
        while let Some((file, _, signature)) = files.current() {
            if part.is_alive(file) {
                let sum = states.entry(part.state(file)?.to_owned()).or_insert((0, 0));
                *sum = (sum.0 + 1, sum.1.saturating_add(signature.size));
            }
            files.advance()?;
        }
    }
    let (files, bytes) = states.values().fold((0, 0_u64), |a, s| (a.0 + s.0, a.1.saturating_add(s.1)));
    if files == 0 {
        return Ok(vec![]);
    }
    let text = format!(
        "{}, {}, {}",
        counted(files, "file"),
        size(bytes),
        counted(archive.counts()?.1 as u64, "segment")
    );
    let mut rows = vec![some(&["archive", &text])];
    let of_state = |(state, (count, bytes)): (&String, &(u64, u64))| {
        some(&[&format!("files {state}"), &format!("{}, {}", counted(*count, "file"), size(*bytes))])
    };
    rows.extend(states.iter().map(of_state));
    Ok(rows)
}

/// `4.43 GB (4,430,112,768 bytes)`
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => {
            format!("{:.2} {name} ({})", bytes as f64 / *unit as f64, counted(bytes, "byte"))
        }
        None => counted(bytes, "byte"),
    }
}

/// `3 h ago`
fn age(now: Time, then: Time) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let seconds = now.0.saturating_sub(then.0) / 1_000_000_000;
    match UNITS.iter().find(|(unit, _)| seconds >= *unit) {
        Some((unit, name)) => format!("{} {name} ago", seconds / unit),
        None if seconds < 0 => "in the future: look at the clock".to_owned(),
        None => "just now".to_owned(),
    }
}
