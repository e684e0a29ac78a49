//! GROUP BY: rows to groups by hashing, groups in the order of their first row. Sums add in row order, so that a
//! result depends neither on threads nor on how the rows were batched.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DurationNanosecondArray, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray,
};
use arrow_row::{RowConverter, SortField};
use arrow_schema::DataType;

use crate::engine::exec::Rows;
use crate::engine::expr::{Expr, arrow_error, cast, floats, integers, without_negative_zero};
use crate::engine::plan::{Aggregate, AggregateFunction as F};
use crate::error::{Error, Result};
use crate::model::table::{Batch, Schema, Type};
use crate::stats::Sample;
use crate::stats::{chi2, median, rms, slope, weighted_mean};

/// One row a group: the keys, then the aggregates. Without keys there is one group, also of nothing.
pub fn aggregate(input: Rows<'_>, keys: &[Expr], aggregates: &[Aggregate], out: &Schema) -> Result<Batch> {
    let mut groups = Groups::new(keys.is_empty());
    let mut states: Vec<State> = vec![];
    for batch in input {
        let batch = batch?;
        let ids = groups.assign(keys, &batch)?;
        if states.is_empty() {
            states = aggregates.iter().map(|a| State::new(a, &batch)).collect::<Result<_>>()?;
        }
        for (state, aggregate) in states.iter_mut().zip(aggregates) {
            state.add(aggregate, &batch, &ids, groups.count)?;
        }
    }
    if states.is_empty() {
        let kinds = out.columns.iter().skip(keys.len()).map(|c| c.kind());
        states = aggregates.iter().zip(kinds).map(|(a, kind)| State::of(a.function, kind)).collect();
    }
    let mut columns = groups.key_columns(out, keys.len())?;
    for (state, column) in states.into_iter().zip(out.columns.iter().skip(keys.len())) {
        let value = state.finish(groups.count)?;
        columns.push(match (value.data_type(), &column.data_type) {
            (have, want) if have == want => value,
            (DataType::Float64, DataType::Duration(_)) => {
                let ns = value.as_primitive::<Float64Type>().iter().map(|v| v.map(|v| v.round() as i64));
                Arc::new(ns.collect::<DurationNanosecondArray>())
            }
            _ => arrow_cast::cast(&value, &column.data_type).map_err(arrow_error)?,
        });
    }
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(groups.count));
    Batch::try_new_with_options(out.arrow(), columns, &options).map_err(arrow_error)
}

/// The groups met so far.
struct Groups {
    count: usize,
    ids: HashMap<Box<[u8]>, u32>,
    converter: Option<RowConverter>,
    /// Key values of the first row of each group, batch by batch.
    firsts: Vec<Vec<ArrayRef>>,
}

impl Groups {
    fn new(is_whole: bool) -> Groups {
        Groups { count: usize::from(is_whole), ids: HashMap::new(), converter: None, firsts: vec![] }
    }

    /// The group of each row.
    fn assign(&mut self, keys: &[Expr], batch: &Batch) -> Result<Vec<u32>> {
        if keys.is_empty() {
            return Ok(vec![0; batch.num_rows()]);
        }
        let values = keys.iter().map(|k| k.eval(batch)).collect::<Result<Vec<_>>>()?;
        if self.converter.is_none() {
            let fields = values.iter().map(|v| SortField::new(v.data_type().clone())).collect();
            self.converter = Some(RowConverter::new(fields).map_err(arrow_error)?);
        }
        let Some(converter) = &self.converter else { return Ok(vec![]) };
        let equal: Vec<ArrayRef> = values.iter().map(without_negative_zero).collect();
        let rows = converter.convert_columns(&equal).map_err(arrow_error)?;
        let mut ids = Vec::with_capacity(batch.num_rows());
        let mut new_rows: Vec<u32> = vec![];
        for (row, key) in rows.iter().enumerate() {
            let id = match self.ids.get(key.as_ref()) {
                Some(id) => *id,
                None => {
                    let id = self.count as u32;
                    self.ids.insert(key.as_ref().into(), id);
                    self.count += 1;
                    new_rows.push(row as u32);
                    id
                }
            };
            ids.push(id);
        }
        if !new_rows.is_empty() {
            let rows = arrow_array::UInt32Array::from(new_rows);
            let first = values.iter().map(|v| arrow_select::take::take(v, &rows, None).map_err(arrow_error));
            self.firsts.push(first.collect::<Result<_>>()?);
        }
        Ok(ids)
    }

    fn key_columns(&self, out: &Schema, keys: usize) -> Result<Vec<ArrayRef>> {
        if self.firsts.is_empty() {
            return Ok(out.empty().columns().iter().take(keys).cloned().collect());
        }
        (0..keys)
            .map(|k| {
                let parts: Vec<&dyn Array> = self.firsts.iter().map(|f| f[k].as_ref()).collect();
                arrow_select::concat::concat(&parts).map_err(arrow_error)
            })
            .collect()
    }
}

/// What an aggregate keeps a group.
enum State {
    Count(Vec<i64>, Seen),
    /// Wide, so that only a total that does not fit is an error.
    SumInt(Vec<Option<i128>>, Seen),
    /// Sum and count.
    SumFloat(F, Vec<(f64, u64)>, Seen),
    /// Best value as i64 with the type to give back.
    BestInt(F, Type, Vec<Option<i64>>),
    BestFloat(F, Vec<Option<f64>>),
    BestText(F, Vec<Option<String>>),
    /// All values (and errors or times), for statistics that need them.
    Sample(F, Vec<(Vec<f64>, Vec<f64>)>, Seen),
}

/// Values met in each group, for DISTINCT.
type Seen = HashSet<(u32, Box<[u8]>)>;

impl State {
    fn new(aggregate: &Aggregate, batch: &Batch) -> Result<State> {
        let kind = match aggregate.args.last() {
            Some(value) => Type::of(value.eval(batch)?.data_type()).unwrap_or(Type::Null),
            None => Type::Null,
        };
        Ok(State::of(aggregate.function, kind))
    }

    fn of(function: F, kind: Type) -> State {
        let seen = Seen::default;
        match function {
            F::Count => State::Count(vec![], seen()),
            F::Sum if matches!(kind, Type::Int | Type::Duration | Type::Null) => State::SumInt(vec![], seen()),
            F::Sum | F::Avg => State::SumFloat(function, vec![], seen()),
            F::Min | F::Max => match kind {
                Type::Float => State::BestFloat(function, vec![]),
                Type::Text => State::BestText(function, vec![]),
                other => State::BestInt(function, other, vec![]),
            },
            _ => State::Sample(function, vec![], seen()),
        }
    }

    fn add(&mut self, aggregate: &Aggregate, batch: &Batch, ids: &[u32], count: usize) -> Result<()> {
        let args = aggregate.args.iter().map(|a| a.eval(batch)).collect::<Result<Vec<_>>>()?;
        let keep = match (self.seen(), aggregate.distinct) {
            (Some(seen), true) => Some(first_times(seen, &args, ids)?),
            _ => None,
        };
        let is_kept = |row: usize| {
            args.iter().all(|a| !is_null(a, row)) && keep.as_ref().is_none_or(|k: &Vec<bool>| k[row])
        };
        match self {
            State::Count(counts, _) => {
                counts.resize(count, 0);
                ids.iter().enumerate().filter(|(row, _)| is_kept(*row)).for_each(|(_, &id)| counts[id as usize] += 1);
            }
            State::SumInt(sums, _) => {
                sums.resize(count, None);
                let values = integers(&args[0])?;
                for (row, &id) in ids.iter().enumerate().filter(|(row, _)| is_kept(*row)) {
                    let sum = &mut sums[id as usize];
                    *sum = Some(sum.unwrap_or(0).saturating_add(i128::from(values.value(row))));
                }
            }
            State::SumFloat(_, sums, _) => {
                sums.resize(count, (0.0, 0));
                let values = numbers(&args[0])?;
                for (row, &id) in ids.iter().enumerate().filter(|(row, _)| is_kept(*row)) {
                    let sum = &mut sums[id as usize];
                    *sum = (sum.0 + values.value(row), sum.1 + 1);
                }
            }
            State::Sample(_, samples, _) => {
                samples.resize(count, (vec![], vec![]));
                let columns = args.iter().map(numbers).collect::<Result<Vec<_>>>()?;
                for (row, &id) in ids.iter().enumerate().filter(|(row, _)| is_kept(*row)) {
                    let sample = &mut samples[id as usize];
                    sample.0.push(columns[0].value(row));
                    sample.1.extend(columns.get(1).map(|c| c.value(row)));
                }
            }
            _ => self.add_best(&args[0], ids, count)?,
        }
        Ok(())
    }

    fn seen(&mut self) -> Option<&mut Seen> {
        match self {
            State::Count(_, seen) | State::SumInt(_, seen) => Some(seen),
            State::SumFloat(_, _, seen) | State::Sample(_, _, seen) => Some(seen),
            _ => None,
        }
    }

    fn add_best(&mut self, values: &ArrayRef, ids: &[u32], count: usize) -> Result<()> {
        match self {
            State::BestInt(function, kind, best) => {
                best.resize(count, None);
                let values = match kind {
                    Type::Bool => values.as_boolean().iter().map(|v| v.map(i64::from)).collect(),
                    Type::Null => Int64Array::new_null(values.len()),
                    _ => integers(values)?,
                };
                improve(*function, best, ids, values.iter());
            }
            State::BestFloat(function, best) => {
                best.resize(count, None);
                improve(*function, best, ids, floats(values)?.iter());
            }
            State::BestText(function, best) => {
                best.resize(count, None);
                improve_texts(*function, best, ids, values.as_string::<i32>());
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self, count: usize) -> Result<ArrayRef> {
        Ok(match self {
            State::Count(mut counts, _) => {
                counts.resize(count, 0);
                Arc::new(Int64Array::from(counts))
            }
            State::SumInt(mut sums, _) => {
                sums.resize(count, None);
                let fit = |sum: i128| i64::try_from(sum).map_err(|_| overflow());
                let sums = sums.into_iter().map(|s| s.map(fit).transpose()).collect::<Result<Vec<_>>>()?;
                Arc::new(Int64Array::from(sums))
            }
            State::SumFloat(function, mut sums, _) => {
                sums.resize(count, (0.0, 0));
                let value = |(sum, n): (f64, u64)| match (function, n) {
                    (_, 0) => None,
                    (F::Avg, n) => Some(sum / n as f64),
                    _ => Some(sum),
                };
                Arc::new(sums.into_iter().map(|s| value(s).filter(|v| v.is_finite())).collect::<Float64Array>())
            }
            State::BestInt(_, kind, mut best) => {
                best.resize(count, None);
                best_array(kind, best)
            }
            State::BestFloat(_, mut best) => {
                best.resize(count, None);
                Arc::new(Float64Array::from(best))
            }
            State::BestText(_, mut best) => {
                best.resize(count, None);
                Arc::new(StringArray::from(best))
            }
            State::Sample(function, mut samples, _) => {
                samples.resize(count, (vec![], vec![]));
                Arc::new(samples.iter().map(|s| statistic(function, s)).collect::<Float64Array>())
            }
        })
    }
}

/// As f64; durations in ns.
fn numbers(array: &ArrayRef) -> Result<Float64Array> {
    match array.data_type() {
        DataType::Duration(_) => floats(&(Arc::new(integers(array)?) as ArrayRef)),
        _ => floats(array),
    }
}

fn is_null(array: &ArrayRef, row: usize) -> bool {
    array.is_null(row) || *array.data_type() == DataType::Null
}

fn overflow() -> Error {
    Error::refused("SUM does not fit 64 bits", "SUM(CAST(x AS FLOAT))")
}

fn best_array(kind: Type, best: Vec<Option<i64>>) -> ArrayRef {
    match kind {
        Type::Time => Arc::new(TimestampNanosecondArray::from(best).with_timezone("UTC")),
        Type::Duration => Arc::new(DurationNanosecondArray::from(best)),
        Type::Bool => Arc::new(best.into_iter().map(|v| v.map(|v| v != 0)).collect::<BooleanArray>()),
        _ => Arc::new(Int64Array::from(best)),
    }
}

/// As `improve`, copying a text only when it is better.
fn improve_texts(function: F, best: &mut [Option<String>], ids: &[u32], values: &StringArray) {
    for (value, &id) in values.iter().zip(ids) {
        let Some(value) = value else { continue };
        let current = &mut best[id as usize];
        let is_better = match current.as_deref() {
            None => true,
            Some(old) if function == F::Min => value < old,
            Some(old) => value > old,
        };
        if is_better {
            *current = Some(value.to_owned());
        }
    }
}

fn improve<T: PartialOrd>(function: F, best: &mut [Option<T>], ids: &[u32], values: impl Iterator<Item = Option<T>>) {
    for (value, &id) in values.zip(ids) {
        let Some(value) = value else { continue };
        let current = &mut best[id as usize];
        let is_better = match current {
            None => true,
            Some(old) if function == F::Min => value < *old,
            Some(old) => value > *old,
        };
        if is_better {
            *current = Some(value);
        }
    }
}

/// For DISTINCT: is this the first time the group meets the value?
fn first_times(seen: &mut Seen, args: &[ArrayRef], ids: &[u32]) -> Result<Vec<bool>> {
    let wide = args.iter().map(|a| cast(a, Type::of(a.data_type()).unwrap_or(Type::Null)).map(|a| without_negative_zero(&a)));
    let wide = wide.collect::<Result<Vec<_>>>()?;
    let fields = wide.iter().map(|v| SortField::new(v.data_type().clone())).collect();
    let rows = RowConverter::new(fields).and_then(|c| c.convert_columns(&wide)).map_err(arrow_error)?;
    Ok(rows.iter().zip(ids).map(|(row, id)| seen.insert((*id, row.as_ref().into()))).collect())
}

fn statistic(function: F, sample: &(Vec<f64>, Vec<f64>)) -> Option<f64> {
    let (first, second) = (&sample.0, &sample.1);
    match function {
        F::Median => median::median(&Sample::new(&[], first, None)),
        F::StdDev | F::Rms => rms::rms(&Sample::new(&[], first, None)),
        F::WMean | F::Chi2 => {
            let valid = first.iter().zip(second).filter(|(_, e)| **e > 0.0);
            let (values, errors): (Vec<f64>, Vec<f64>) = valid.map(|(v, e)| (*v, *e)).unzip();
            let sample = Sample::new(&[], &values, Some(&errors));
            if function == F::WMean { weighted_mean::weighted_mean(&sample) } else { chi2::reduced_chi2(&sample) }
        }
        _ => {
            let mut pairs: Vec<(f64, f64)> = first.iter().copied().zip(second.iter().copied()).collect();
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (times, values): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            slope::slope(&Sample::new(&times, &values, None))
        }
    }
}
