//! What the aggregates keep of their groups, by columns: filled from the rows of a block, then added block by block.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DurationNanosecondArray, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use crate::engine::expr::{floats, integers};
use crate::engine::plan::AggregateFunction as F;
use crate::error::{Error, Result};
use crate::model::table::Type;
use crate::stats::Sample;
use crate::stats::{chi2, median, rms, slope, weighted_mean};

/// One aggregate of some groups.
pub enum State {
    /// Rows, or values that are not NULL.
    Count(Vec<i64>),
    /// Sum and number of values. Wide, so that only a total that does not fit is an error.
    SumInt(Vec<(i128, u64)>),
    /// Sum and number of values.
    SumFloat(F, Vec<(f64, u64)>),
    /// Best value as i64 with the type to give back.
    BestInt(F, Type, Vec<Option<i64>>),
    /// Best value.
    BestFloat(F, Vec<Option<f64>>),
    /// Best value.
    BestText(F, Vec<Option<String>>),
    /// All values (and errors or times), for statistics that need them.
    Sample(F, Vec<(Vec<f64>, Vec<f64>)>),
}

/// Groups of a block, and the same groups' numbers in the table that takes them up.
#[derive(Clone, Copy)]
pub struct Placed<'a> {
    /// In the block.
    pub from: &'a [u32],
    /// In the table.
    pub to: &'a [u32],
}

impl Placed<'_> {
    fn each(self, mut f: impl FnMut(usize, usize)) {
        self.from.iter().zip(self.to).for_each(|(from, to)| f(*from as usize, *to as usize));
    }
}

/// Calls `f` with row and group of every row that is valid.
fn each(ids: &[u32], nulls: Option<&NullBuffer>, mut f: impl FnMut(usize, usize)) {
    match nulls.filter(|n| n.null_count() > 0) {
        None => ids.iter().enumerate().for_each(|(row, id)| f(row, *id as usize)),
        Some(nulls) => nulls.valid_indices().for_each(|row| f(row, ids[row] as usize)),
    }
}

impl State {
    /// Of a function over values of a type, for no group yet.
    pub fn of(function: F, kind: Type) -> State {
        match function {
            F::Count => State::Count(vec![]),
            F::Sum if matches!(kind, Type::Int | Type::Duration | Type::Null) => State::SumInt(vec![]),
            F::Sum | F::Avg => State::SumFloat(function, vec![]),
            F::Min | F::Max => match kind {
                Type::Float => State::BestFloat(function, vec![]),
                Type::Text => State::BestText(function, vec![]),
                other => State::BestInt(function, other, vec![]),
            },
            _ => State::Sample(function, vec![]),
        }
    }

    /// The same aggregate of no group.
    pub fn empty(&self) -> State {
        match self {
            State::Count(_) => State::Count(vec![]),
            State::SumInt(_) => State::SumInt(vec![]),
            State::SumFloat(f, _) => State::SumFloat(*f, vec![]),
            State::BestInt(f, kind, _) => State::BestInt(*f, *kind, vec![]),
            State::BestFloat(f, _) => State::BestFloat(*f, vec![]),
            State::BestText(f, _) => State::BestText(*f, vec![]),
            State::Sample(f, _) => State::Sample(*f, vec![]),
        }
    }

    /// Makes room for `groups` groups.
    pub fn resize(&mut self, groups: usize) {
        match self {
            State::Count(counts) => counts.resize(groups, 0),
            State::SumInt(sums) => sums.resize(groups, (0, 0)),
            State::SumFloat(_, sums) => sums.resize(groups, (0.0, 0)),
            State::BestInt(_, _, best) => best.resize(groups, None),
            State::BestFloat(_, best) => best.resize(groups, None),
            State::BestText(_, best) => best.resize(groups, None),
            State::Sample(_, samples) => samples.resize(groups, (vec![], vec![])),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match self {
            State::Count(counts) => counts.capacity() * 8,
            State::SumInt(sums) => sums.capacity() * 32,
            State::SumFloat(_, sums) => sums.capacity() * 16,
            State::BestInt(_, _, best) => best.capacity() * 16,
            State::BestFloat(_, best) => best.capacity() * 16,
            State::BestText(_, best) => {
                best.capacity() * 24 + best.iter().flatten().map(String::capacity).sum::<usize>()
            }
            State::Sample(_, samples) => {
                let values = samples.iter().map(|s| s.0.capacity() + s.1.capacity()).sum::<usize>();
                samples.capacity() * 48 + values * 8
            }
        }
    }

    /// Adds the rows of a block, in their order; `ids` names the group of each.
    pub fn add(&mut self, args: &[ArrayRef], ids: &[u32]) -> Result<()> {
        let nulls =
            args.iter().fold(None, |nulls, a| NullBuffer::union(nulls.as_ref(), a.logical_nulls().as_ref()));
        let nulls = nulls.as_ref();
        match self {
            State::Count(counts) => each(ids, nulls, |_, group| counts[group] += 1),
            State::SumInt(sums) => {
                let values = integers(&args[0])?;
                each(ids, nulls, |row, group| {
                    let sum = &mut sums[group];
                    *sum = (sum.0 + i128::from(values.values()[row]), sum.1 + 1);
                });
            }
            State::SumFloat(_, sums) => {
                let values = numbers(&args[0])?;
                each(ids, nulls, |row, group| {
                    let sum = &mut sums[group];
                    *sum = (sum.0 + values.values()[row], sum.1 + 1);
                });
            }
            State::Sample(_, samples) => {
                let columns = args.iter().map(numbers).collect::<Result<Vec<_>>>()?;
                each(ids, nulls, |row, group| {
                    let sample = &mut samples[group];
                    sample.0.push(columns[0].value(row));
                    sample.1.extend(columns.get(1).map(|c| c.value(row)));
                });
            }
            State::BestInt(function, kind, best) => {
                let values = match kind {
                    Type::Bool => args[0].as_boolean().iter().map(|v| v.map(i64::from)).collect(),
                    Type::Null => return Ok(()),
                    _ => integers(&args[0])?,
                };
                each(ids, nulls, |row, group| improve(*function, &mut best[group], values.values()[row]));
            }
            State::BestFloat(function, best) => {
                let values = floats(&args[0])?;
                each(ids, nulls, |row, group| improve(*function, &mut best[group], values.values()[row]));
            }
            State::BestText(function, best) => {
                let values = args[0].as_string::<i32>();
                each(ids, nulls, |row, group| improve_text(*function, &mut best[group], values.value(row)));
            }
        }
        Ok(())
    }

    /// Adds the groups of a later block.
    pub fn merge(&mut self, block: &State, placed: Placed<'_>) {
        match (self, block) {
            (State::Count(to), State::Count(from)) => placed.each(|b, t| to[t] += from[b]),
            (State::SumInt(to), State::SumInt(from)) => {
                placed.each(|b, t| to[t] = (to[t].0 + from[b].0, to[t].1 + from[b].1));
            }
            (State::SumFloat(_, to), State::SumFloat(_, from)) => {
                placed.each(|b, t| to[t] = (to[t].0 + from[b].0, to[t].1 + from[b].1));
            }
            (State::BestInt(function, _, to), State::BestInt(_, _, from)) => placed.each(|b, t| {
                from[b].into_iter().for_each(|value| improve(*function, &mut to[t], value));
            }),
            (State::BestFloat(function, to), State::BestFloat(_, from)) => placed.each(|b, t| {
                from[b].into_iter().for_each(|value| improve(*function, &mut to[t], value));
            }),
            (State::BestText(function, to), State::BestText(_, from)) => placed.each(|b, t| {
                from[b].iter().for_each(|value| improve_text(*function, &mut to[t], value));
            }),
            (State::Sample(_, to), State::Sample(_, from)) => placed.each(|b, t| {
                to[t].0.extend_from_slice(&from[b].0);
                to[t].1.extend_from_slice(&from[b].1);
            }),
            _ => {}
        }
    }

    /// The values of the groups.
    pub fn finish(self) -> Result<ArrayRef> {
        Ok(match self {
            State::Count(counts) => Arc::new(Int64Array::from(counts)),
            State::SumInt(sums) => {
                let fit = |sum: (i128, u64)| match sum {
                    (_, 0) => Ok(None),
                    (sum, _) => i64::try_from(sum).map(Some).map_err(|_| overflow()),
                };
                Arc::new(Int64Array::from(sums.into_iter().map(fit).collect::<Result<Vec<_>>>()?))
            }
            State::SumFloat(function, sums) => {
                let value = |(sum, n): (f64, u64)| match (function, n) {
                    (_, 0) => None,
                    (F::Avg, n) => Some(sum / n as f64),
                    _ => Some(sum),
                };
                let finite = sums.into_iter().map(|s| value(s).filter(|v| v.is_finite()));
                Arc::new(finite.collect::<Float64Array>())
            }
            State::BestInt(_, kind, best) => best_array(kind, best),
            State::BestFloat(_, best) => Arc::new(Float64Array::from(best)),
            State::BestText(_, best) => Arc::new(StringArray::from(best)),
            State::Sample(function, samples) => {
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

fn is_better<T: PartialOrd>(function: F, value: T, old: T) -> bool {
    if function == F::Min { value < old } else { value > old }
}

fn improve<T: PartialOrd + Copy>(function: F, best: &mut Option<T>, value: T) {
    if best.is_none_or(|old| is_better(function, value, old)) {
        *best = Some(value);
    }
}

/// As `improve`, copying a text only when it is better.
fn improve_text(function: F, best: &mut Option<String>, value: &str) {
    if best.as_deref().is_none_or(|old| is_better(function, value, old)) {
        *best = Some(value.to_owned());
    }
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
            if function == F::WMean {
                weighted_mean::weighted_mean(&sample)
            } else {
                chi2::reduced_chi2(&sample)
            }
        }
        _ => {
            let mut pairs: Vec<(f64, f64)> = first.iter().copied().zip(second.iter().copied()).collect();
            pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (times, values): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            slope::slope(&Sample::new(&times, &values, None))
        }
    }
}
