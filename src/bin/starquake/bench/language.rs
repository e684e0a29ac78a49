//! The language: statements parsed.

use starquake::error::Result;
use starquake::lang::parse;

use super::measure::Bench;
use crate::demo::QUERIES;

/// Parses the query file of the demonstration.
pub(crate) fn measure(bench: &mut Bench<'_>) -> Result<()> {
    bench.time(("parse", "statements"), |_| Ok(parse::script("<bench>", QUERIES)?.len() as u64))
}
