//! Which rows of `segments` a scan can want: channels are asked once each, and of those that remain the time index
//! gives the rows. The filter above still looks at every row.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray};

use super::archive::code_parts;
use crate::engine::expr::arrow_error;
use crate::engine::plan::Scan;
use crate::engine::tables::{CHANNEL_COLUMNS, SEGMENT_END, SEGMENT_START, built_in_schema};
use crate::error::Result;
use crate::index::archive::{Archive, Part};
use crate::model::table::{Batch, Schema};

/// The bounds of a plan are floats: ns since 1970 are rounded to 1,024 at most.
const ROUNDING_NS: i64 = 2048;

/// Ranges of rows, each of the part with that index.
pub type Rows = Vec<(usize, Range<usize>)>;

/// The rows to look at, by part and row; `None` where every row is wanted.
///
/// # Errors
/// Damage of the index.
pub fn wanted_rows(archive: &Archive, scan: &Scan) -> Result<Option<Rows>> {
    let span = span(scan);
    if scan.channels.is_empty() && span.is_none() {
        return Ok(None);
    }
    let mut found: Rows = vec![];
    for (number, part) in archive.parts.iter().enumerate() {
        if scan.source.as_ref().is_some_and(|source| *source != part.source) {
            continue;
        }
        for channel in wanted_channels(part, scan)? {
            let run = part.run(channel)?;
            match span {
                None => found.push((number, run)),
                Some(span) => part.covering(&run, span, |row| match found.last_mut() {
                    Some(last) if last.0 == number && last.1.end == row => last.1.end = row + 1,
                    _ => found.push((number, row..row + 1)),
                })?,
            }
        }
    }
    Ok(Some(found))
}

/// The times within which a wanted segment has a sample: no start behind them, no end before.
fn span(scan: &Scan) -> Option<(i64, i64)> {
    let mut bounds = (f64::NEG_INFINITY, f64::INFINITY);
    for (_, low, high) in scan.ranges.iter().filter(|r| matches!(r.0, SEGMENT_START | SEGMENT_END)) {
        bounds = (bounds.0.max(*low), bounds.1.min(*high));
    }
    let is_open = bounds == (f64::NEG_INFINITY, f64::INFINITY);
    // `as` takes infinities to the ends of the range
    let (from, to) = (bounds.0 as i64, bounds.1 as i64);
    (!is_open).then(|| (from.saturating_sub(ROUNDING_NS), to.saturating_add(ROUNDING_NS)))
}

/// Channels whose codes meet the conditions.
fn wanted_channels(part: &Part, scan: &Scan) -> Result<Vec<usize>> {
    let count = part.channel_count();
    if scan.channels.is_empty() {
        return Ok((0..count).collect());
    }
    let channels: Vec<_> = part.channels()?.iter().collect();
    let codes = (0..count).map(|c| part.code_text(c)).collect::<Result<Vec<_>>>()?;
    let columns: [ArrayRef; CHANNEL_COLUMNS] = [
        Arc::new(StringArray::from_iter_values(codes)),
        Arc::new(code_parts(&channels, |c| &c.network)),
        Arc::new(code_parts(&channels, |c| &c.station)),
        Arc::new(code_parts(&channels, |c| &c.location)),
        Arc::new(code_parts(&channels, |c| &c.channel)),
    ];
    let mut schema = built_in_schema("segments");
    schema.columns.truncate(CHANNEL_COLUMNS);
    let batch = Batch::try_new(Schema::new(schema.columns).arrow(), columns.to_vec()).map_err(arrow_error)?;
    let mut wanted = vec![true; count];
    for condition in &scan.channels {
        let verdicts = condition.condition(&batch)?;
        wanted.iter_mut().enumerate().for_each(|(at, w)| *w &= verdicts.is_valid(at) && verdicts.value(at));
    }
    Ok((0..count).filter(|c| wanted[*c]).collect())
}
