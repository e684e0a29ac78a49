//! ORDER BY of more rows than the memory holds: sorted runs go to unlinked temporary files (in $TMPDIR) and are merged
//! when they are read back. Equal rows come in the order of the runs, which is their old order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};

use arrow_array::{Array, ArrayRef, RecordBatchOptions};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_row::RowConverter;
use arrow_select::interleave::interleave;

use super::converter;
use crate::engine::bind::Context;
use crate::engine::budget::{Held, batch_bytes};
use crate::engine::expr::{arrow_error, without_negative_zero};
use crate::engine::plan::SortKey;
use crate::error::{Error, Result};
use crate::limits;
use crate::model::table::Batch;

/// Rows of a run that are in memory at a time while runs are merged.
const RUN_ROWS: usize = 1024;

fn io_error(action: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::io(action, std::env::temp_dir(), error)
}

fn ipc_error(error: arrow_schema::ArrowError) -> Error {
    match error {
        arrow_schema::ArrowError::IoError(_, error) => io_error("spill rows to")(error),
        other => arrow_error(other),
    }
}

/// Sorted rows in a file without a name.
pub struct Run(BufReader<File>);

impl Run {
    /// Writes sorted pieces.
    pub fn write(pieces: impl Iterator<Item = Result<Batch>>) -> Result<Run> {
        let file = tempfile::tempfile().map_err(io_error("make a temporary file in"))?;
        let mut out: Option<StreamWriter<BufWriter<File>>> = None;
        for piece in pieces {
            let piece = piece?;
            for start in (0..piece.num_rows()).step_by(RUN_ROWS) {
                let part = piece.slice(start, RUN_ROWS.min(piece.num_rows() - start));
                let writer = match &mut out {
                    Some(writer) => writer,
                    None => {
                        let file = file.try_clone().map_err(io_error("write to"))?;
                        let writer = StreamWriter::try_new(BufWriter::new(file), &part.schema());
                        out.insert(writer.map_err(ipc_error)?)
                    }
                };
                writer.write(&part).map_err(ipc_error)?;
            }
        }
        if let Some(mut writer) = out {
            writer.finish().map_err(ipc_error)?;
            writer.get_mut().flush().map_err(io_error("write to"))?;
        }
        let mut file = file;
        file.seek(SeekFrom::Start(0)).map_err(io_error("read"))?;
        Ok(Run(BufReader::new(file)))
    }
}

/// A run while it is merged: its rows at hand and the next of them.
struct Head {
    reader: StreamReader<BufReader<File>>,
    rows: Batch,
    keys: arrow_row::Rows,
    next: usize,
}

/// Several runs as one sequence of sorted batches.
pub struct Merge<'a> {
    heads: Vec<Head>,
    /// Key of the next row of each run that has rows left, smallest first.
    queue: BinaryHeap<Reverse<(Box<[u8]>, usize)>>,
    converter: RowConverter,
    keys: &'a [SortKey],
    context: &'a Context<'a>,
    held: Held<'a>,
    /// Rows still wanted.
    left: usize,
}

impl<'a> Merge<'a> {
    /// Begins to read `runs`; `like` has the columns of their rows.
    pub fn new(
        runs: Vec<Run>,
        like: &Batch,
        how: (&'a [SortKey], Option<usize>),
        context: &'a Context<'a>,
    ) -> Result<Merge<'a>> {
        let mut merge = Merge {
            heads: vec![],
            queue: BinaryHeap::new(),
            converter: converter(how.0, like)?,
            keys: how.0,
            context,
            held: context.budget.hold("ORDER BY (merging what was spilled)"),
            left: how.1.unwrap_or(usize::MAX),
        };
        for run in runs {
            let reader = StreamReader::try_new(run.0, None).map_err(ipc_error)?;
            let keys = merge.converter.empty_rows(0, 0);
            merge.heads.push(Head { reader, rows: like.slice(0, 0), keys, next: 0 });
            merge.refill(merge.heads.len() - 1)?;
        }
        Ok(merge)
    }

    /// Reads the next rows of a run.
    fn refill(&mut self, run: usize) -> Result<()> {
        let head = &mut self.heads[run];
        let before = batch_bytes(&head.rows) + head.keys.size();
        let Some(rows) = head.reader.next() else {
            head.rows = head.rows.slice(0, 0);
            return Ok(());
        };
        let rows = rows.map_err(ipc_error)?;
        let values = self.keys.iter().map(|k| k.expr.eval(&rows).map(|v| without_negative_zero(&v)));
        let values = values.collect::<Result<Vec<ArrayRef>>>()?;
        let keys = self.converter.convert_columns(&values).map_err(arrow_error)?;
        let after = batch_bytes(&rows) + keys.size();
        self.held.set((self.held.bytes() + after).saturating_sub(before))?;
        let head = &mut self.heads[run];
        (head.rows, head.keys, head.next) = (rows, keys, 0);
        self.enqueue(run);
        Ok(())
    }

    fn enqueue(&mut self, run: usize) {
        let head = &self.heads[run];
        self.queue.push(Reverse((head.keys.row(head.next).as_ref().into(), run)));
    }

    /// The next rows: until a run has none at hand.
    fn batch(&mut self) -> Result<Option<Batch>> {
        self.context.cancel.check()?;
        let mut order: Vec<(usize, usize)> = vec![];
        let mut empty = None;
        while order.len() < limits::BATCH_ROWS.min(self.left) && empty.is_none() {
            let Some(Reverse((_, run))) = self.queue.pop() else { break };
            let head = &mut self.heads[run];
            order.push((run, head.next));
            head.next += 1;
            if head.next < head.rows.num_rows() {
                self.enqueue(run);
            } else {
                empty = Some(run);
            }
        }
        self.left -= order.len();
        let Some(like) = self.heads.first().filter(|_| !order.is_empty()) else { return Ok(None) };
        let columns = (0..like.rows.num_columns()).map(|c| {
            let parts: Vec<&dyn Array> = self.heads.iter().map(|h| h.rows.column(c).as_ref()).collect();
            interleave(&parts, &order).map_err(arrow_error)
        });
        let options = RecordBatchOptions::new().with_row_count(Some(order.len()));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let batch =
            Batch::try_new_with_options(like.rows.schema(), columns, &options).map_err(arrow_error)?;
        empty.map_or(Ok(()), |run| self.refill(run))?;
        Ok(Some(batch))
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}
