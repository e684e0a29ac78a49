//! Rows of equal key, found without a sort where the input is already grouped.

use std::collections::HashMap;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_ord::partition::partition;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::SortOptions;
use arrow_select::take::take;

use super::refuse_arrow;
use crate::engine::session::Cancel;
use crate::error::{Error, Result};

/// A stretch of neighbouring rows of one key: first row and one past the last.
pub type Run = (u32, u32);

/// Runs that are numbered between two looks at Ctrl-C.
const RUNS_BETWEEN_LOOKS: usize = 1 << 16;

/// All rows, by key in ascending order (NULL last), the rows of a key in input order.
#[derive(Debug)]
pub struct Groups {
    runs: Vec<Run>,
    /// Where the runs of each group start, and the number of runs at the end.
    starts: Vec<u32>,
}

impl Groups {
    /// Number of distinct keys.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The runs of one group, at least one.
    pub fn runs(&self, group: usize) -> &[Run] {
        &self.runs[self.starts[group] as usize..self.starts[group + 1] as usize]
    }

    /// The first row of each group.
    pub fn first_rows(&self) -> UInt32Array {
        (0..self.len()).map(|group| self.runs(group)[0].0).collect()
    }
}

/// Groups `rows` rows by all `keys` together. NULLs are one value. One pass splits the input into runs of equal
/// neighbours; where the runs ascend they are the groups, else they are brought together by their key's bytes: the cost
/// is that of the runs, not of the rows.
pub fn group(keys: &[ArrayRef], rows: usize, cancel: &Cancel) -> Result<Groups> {
    if u32::try_from(rows).is_err() {
        return Err(Error::Limit {
            what: "the number of epochs VARIABILITY holds at once".to_owned(),
            limit: format!("{} rows", u32::MAX),
            help: "run it for a part of the sources at a time, with WHERE on the key".to_owned(),
        });
    }
    if rows == 0 {
        return Ok(Groups { runs: Vec::new(), starts: vec![0] });
    }
    let ranges = partition(keys).map_err(refuse_arrow)?.ranges();
    let runs: Vec<Run> = ranges.into_iter().map(|r| (r.start as u32, r.end as u32)).collect();
    let bytes = key_bytes(keys, &runs)?;
    let ascending = (1..runs.len()).all(|i| bytes.row(i - 1) < bytes.row(i));
    if ascending {
        let starts = (0..=runs.len() as u32).collect();
        return Ok(Groups { runs, starts });
    }
    gather(&runs, &bytes, cancel)
}

/// The keys of all runs in an encoding whose byte order is the order of the keys.
fn key_bytes(keys: &[ArrayRef], runs: &[Run]) -> Result<Rows> {
    let first: UInt32Array = runs.iter().map(|r| r.0).collect();
    let keys: Vec<ArrayRef> =
        keys.iter().map(|k| take(k, &first, None)).collect::<Result<_, _>>().map_err(refuse_arrow)?;
    let order = SortOptions { descending: false, nulls_first: false };
    let fields = keys.iter().map(|k| SortField::new_with_options(k.data_type().clone(), order)).collect();
    let converter = RowConverter::new(fields).map_err(refuse_arrow)?;
    converter.convert_columns(&keys).map_err(refuse_arrow)
}

/// Numbers the keys in order of appearance, ranks them, and counts the runs into place.
fn gather(runs: &[Run], bytes: &Rows, cancel: &Cancel) -> Result<Groups> {
    let mut number_of: HashMap<&[u8], u32> = HashMap::new();
    let mut first_run: Vec<u32> = Vec::new();
    let mut numbers = Vec::with_capacity(runs.len());
    for run in 0..runs.len() {
        if run.is_multiple_of(RUNS_BETWEEN_LOOKS) {
            cancel.check()?;
        }
        let number = *number_of.entry(bytes.row(run).data()).or_insert(first_run.len() as u32);
        if number as usize == first_run.len() {
            first_run.push(run as u32);
        }
        numbers.push(number);
    }
    let mut by_key: Vec<u32> = (0..first_run.len() as u32).collect();
    by_key.sort_unstable_by_key(|&n| bytes.row(first_run[n as usize] as usize));
    let mut rank = vec![0_usize; by_key.len()];
    for (place, &number) in by_key.iter().enumerate() {
        rank[number as usize] = place;
    }
    let mut starts = vec![0_u32; by_key.len() + 1];
    for &number in &numbers {
        starts[rank[number as usize] + 1] += 1;
    }
    for place in 0..by_key.len() {
        starts[place + 1] += starts[place];
    }
    let mut next = starts.clone();
    let mut placed = vec![(0, 0); runs.len()];
    for (&run, &number) in runs.iter().zip(&numbers) {
        let place = &mut next[rank[number as usize]];
        placed[*place as usize] = run;
        *place += 1;
    }
    Ok(Groups { runs: placed, starts })
}
