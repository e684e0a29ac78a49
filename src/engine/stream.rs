//! Batches as work still to be done: each task gives one batch on whatever thread takes it, and what comes out keeps
//! the order of the tasks. Operators that need no other rows than their own batch only put their work on top.

use std::collections::VecDeque;

use rayon::prelude::*;

use super::bind::Context;
use crate::error::Result;
use crate::model::table::Batch;

/// Batches of a plan, in order.
pub type Rows<'a> = Box<dyn Iterator<Item = Result<Batch>> + Send + 'a>;
/// Work that gives one batch.
pub type Task<'a> = Box<dyn FnOnce() -> Result<Batch> + Send + 'a>;
/// Work that gives the batches of a plan, in order.
pub type Tasks<'a> = Box<dyn Iterator<Item = Task<'a>> + Send + 'a>;

/// Tasks under way at a time, for each thread: enough that one long task does not keep the others waiting.
const TASKS_PER_THREAD: usize = 8;

/// Batches that are there already.
pub fn ready(rows: Rows<'_>) -> Tasks<'_> {
    Box::new(rows.map(|batch| Box::new(move || batch) as Task<'_>))
}

/// Tasks with more work on top of each.
pub fn then<'a>(tasks: Tasks<'a>, work: impl Fn(Batch) -> Result<Batch> + Clone + Send + 'a) -> Tasks<'a> {
    Box::new(tasks.map(move |task| {
        let work = work.clone();
        Box::new(move || work(task()?)) as Task<'a>
    }))
}

/// What `work` makes of the batches, in their order. Some are worked on at a time: first one, for a reader who soon
/// has enough, then more and more.
pub fn in_order<'a, T: Send + 'a>(
    mut tasks: Tasks<'a>,
    context: &'a Context<'a>,
    work: impl Fn(Batch) -> Result<T> + Send + Sync + 'a,
) -> impl Iterator<Item = Result<T>> + Send + 'a {
    let most = rayon::current_num_threads() * TASKS_PER_THREAD;
    let mut width = 1;
    let mut done: VecDeque<Result<T>> = VecDeque::new();
    std::iter::from_fn(move || {
        if done.is_empty() {
            if let Err(error) = context.cancel.check() {
                return Some(Err(error));
            }
            let window: Vec<Task<'a>> = tasks.by_ref().take(width).collect();
            width = (2 * width).min(most);
            let run = |task: Task<'a>| work(task()?);
            done = match window.len() {
                0 | 1 => window.into_iter().map(run).collect(),
                _ => window.into_par_iter().map(run).collect::<Vec<_>>().into(),
            };
        }
        done.pop_front()
    })
}

/// Cuts batches anew into blocks of `rows` rows (the last may be shorter), so that a block does not depend on how the
/// rows before it came.
pub struct Blocks<I> {
    input: I,
    rows: usize,
    rest: Option<Batch>,
}

impl<I: Iterator<Item = Result<Batch>>> Blocks<I> {
    /// Of these batches.
    pub fn new(input: I, rows: usize) -> Blocks<I> {
        Blocks { input, rows, rest: None }
    }
}

impl<I: Iterator<Item = Result<Batch>>> Iterator for Blocks<I> {
    type Item = Result<Vec<Batch>>;

    /// The batches that make up the next block.
    fn next(&mut self) -> Option<Self::Item> {
        let mut block = vec![];
        let mut missing = self.rows;
        while missing > 0 {
            let batch = match self.rest.take().map(Ok).or_else(|| self.input.next()) {
                None => break,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(batch)) => batch,
            };
            let taken = missing.min(batch.num_rows());
            missing -= taken;
            if taken < batch.num_rows() {
                self.rest = Some(batch.slice(taken, batch.num_rows() - taken));
            }
            if taken > 0 {
                block.push(batch.slice(0, taken));
            }
        }
        (!block.is_empty()).then_some(Ok(block))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::engine::expr::arrow_error;

    fn batch(values: std::ops::Range<i64>) -> Result<Batch> {
        let values: ArrayRef = Arc::new(values.collect::<Int64Array>());
        Batch::try_from_iter([("x", values)]).map_err(arrow_error)
    }

    #[test]
    fn blocks_do_not_depend_on_batches() {
        let cuts: [&[i64]; 4] = [&[0, 10], &[0, 1, 1, 2, 9, 10], &[0, 4, 8, 10], &[0, 3, 10]];
        for cut in cuts {
            let batches = cut.windows(2).map(|w| batch(w[0]..w[1]));
            let blocks: Vec<Vec<i64>> = Blocks::new(batches, 4)
                .map(|block| {
                    let values = |b: &Batch| b.column(0).as_primitive::<Int64Type>().values().to_vec();
                    block.unwrap().iter().flat_map(values).collect()
                })
                .collect();
            assert_eq!(blocks, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]], "{cut:?}");
        }
    }
}
