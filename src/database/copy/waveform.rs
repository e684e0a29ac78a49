//! COPY ... FORMAT mseed: the raw records of segments.

use std::io::Write;

use super::Written;
use crate::engine::analyze::counted;
use crate::engine::bind::{Binder, Context};
use crate::engine::ops::raw::{self, Stats};
use crate::engine::ops::selected::{NEEDED, Wanted, selected};
use crate::engine::plan::Node;
use crate::engine::{bind, cut, optimize};
use crate::error::{Diagnostic, Error, Result, Span};
use crate::index::archive::Archive;
use crate::lang::syntax::Query;

/// The plan of a query whose segments are cut to the span that it asks for.
pub(super) fn plan_of(query: &Query, context: &Context<'_>) -> Result<Node> {
    let mut node = bind::query::shown(Binder::new(*context).query(query)?);
    cut::narrow(&mut node);
    Ok(optimize::optimize(node))
}

/// Do the columns name segments?
pub(super) fn needs(has: &dyn Fn(&str) -> bool, format: &str, span: Span) -> Result<(), Diagnostic> {
    let missing: Vec<String> = NEEDED.iter().filter(|n| !has(n)).map(|n| format!("`{n}`")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (noun, list) = (if missing.len() == 1 { "column" } else { "columns" }, missing.join(", "));
    let message = format!("FORMAT {format} copies segments, and the rows have no {noun} {list} to name them");
    Err(Diagnostic::new(message, span)
        .help(format!("COPY (SELECT * FROM segments WHERE ...) TO 'file' FORMAT {format}")))
}

pub(super) fn write_mseed(
    node: &Node,
    mut out: Box<dyn Write + Send>,
    context: &Context<'_>,
) -> Result<Written> {
    let archive = context.tables.archive()?;
    let wanted = selected(node, archive, context)?;
    are_mseed(&wanted, archive)?;
    let stats = raw::write_records(archive, &wanted, &mut out, context)?;
    out.flush().map_err(|e| Error::io("write", "the records", e))?;
    tell(&stats, context);
    let what = format!(
        "{} ({}) of {}",
        counted(stats.records, "record"),
        counted(stats.bytes, "byte"),
        counted(stats.segments, "segment")
    );
    Ok(Written { what, unreadable: stats.unreachable })
}

/// Files of another format have no records to copy.
fn are_mseed(wanted: &[Wanted], archive: &Archive) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for at in wanted {
        let Some(part) = archive.parts.get(at.part as usize) else { continue };
        let file = part.file_of(at.row as usize);
        if !seen.insert((at.part, file)) {
            continue;
        }
        let row = part.file(file);
        if !row.format.starts_with("mseed") {
            let path = String::from_utf8_lossy(&row.path).into_owned();
            return Err(Error::refused(
                format!(
                    "{path} is {}, and its samples are not encoded anew: only miniSEED records are copied",
                    row.format
                ),
                "leave it out by its path or source, or write its samples with FORMAT sac",
            ));
        }
    }
    Ok(())
}

/// Says what was left out, and what is twice in the file.
fn tell(stats: &Stats, context: &Context<'_>) {
    let notices = context.notices;
    if stats.copies > 0 {
        notices.footer(format!("copies left out: {}", counted(stats.copies, "record")));
    }
    if stats.differing > 0 {
        notices.warn(format!(
            "copies_differ: {} left out with other samples than the copy that was written (of higher quality, else of the longer run)",
            counted(stats.differing, "record")
        ));
    }
    if stats.overlapping > 0 {
        notices.warn(format!(
            "overlaps: {} that overlap the one ahead and are no copies of it, all written",
            counted(stats.overlapping, "record")
        ));
    }
    for reason in &stats.reasons {
        notices.warn(reason.clone());
    }
    if stats.from_copies > 0 {
        let records = counted(stats.from_copies, "record");
        notices.warn(format!("from another copy, as the preferred file cannot be read: {records}"));
    }
    if stats.unreachable > 0 {
        let records = counted(stats.unreachable, "record");
        notices.warn(format!(
            "unreachable: {records} in no file that can be read, not written (REFRESH looks again)"
        ));
    }
}
