//! A subquery for each combination of the outer values it uses, evaluated once a combination.

use std::cell::RefCell;
use std::collections::HashMap;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_row::{OwnedRow, RowConverter, SortField};

use crate::engine::bind::expr::ExprBinder;
use crate::engine::bind::subquery::OuterRow;
use crate::engine::bind::{Binder, Context, literal_at};
use crate::engine::exec::{Rows, one_row};
use crate::engine::expr::arrow_error;
use crate::engine::plan::{Correlated, OuterColumn};
use crate::engine::scope::Scope;
use crate::error::Result;
use crate::model::table::{Batch, Schema};

/// The input with the value of the subquery as last column.
pub fn apply<'a>(
    input: Rows<'a>,
    outer: &'a [OuterColumn],
    query: &'a Correlated,
    out: (Schema, &'a Context<'a>),
) -> Rows<'a> {
    let (schema, context) = out;
    // Values so far, and which is that of each combination.
    let mut known: (Vec<ArrayRef>, HashMap<OwnedRow, u32>) = (vec![], HashMap::new());
    Box::new(input.map(move |batch| {
        let batch = batch?;
        let of_row = places(&batch, outer, query, (&mut known, context))?;
        let parts: Vec<&dyn arrow_array::Array> = known.0.iter().map(AsRef::as_ref).collect();
        let value = match parts.is_empty() {
            true => arrow_array::new_empty_array(&query.column.data_type),
            false => {
                let all = arrow_select::concat::concat(&parts).map_err(arrow_error)?;
                arrow_select::take::take(&all, &UInt32Array::from(of_row), None).map_err(arrow_error)?
            }
        };
        let mut columns = batch.columns().to_vec();
        columns.push(value);
        super::join::with_rows(&schema, columns, batch.num_rows())
    }))
}

type Known = (Vec<ArrayRef>, HashMap<OwnedRow, u32>);

/// Which of the known values each row has; new ones are computed.
fn places(
    batch: &Batch,
    outer: &[OuterColumn],
    query: &Correlated,
    with: (&mut Known, &Context<'_>),
) -> Result<Vec<u32>> {
    let ((values, known), context) = with;
    let columns: Vec<ArrayRef> = outer.iter().map(|o| batch.column(o.place).clone()).collect();
    let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
    let converter = RowConverter::new(fields).map_err(arrow_error)?;
    let keys = match columns.is_empty() {
        true => None,
        false => Some(converter.convert_columns(&columns).map_err(arrow_error)?),
    };
    let mut of_row = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let key = match &keys {
            Some(keys) => keys.row(row).owned(),
            None => converter.convert_columns(&[]).map_err(arrow_error)?.row(0).owned(),
        };
        if let Some(place) = known.get(&key) {
            of_row.push(*place);
            continue;
        }
        context.cancel.check()?;
        let mut literals = vec![];
        for (column, o) in columns.iter().zip(outer) {
            literals.push((o.name, literal_at(column, row)?));
        }
        let place = values.len() as u32;
        values.push(value(query, literals, context)?);
        known.insert(key, place);
        of_row.push(place);
    }
    Ok(of_row)
}

/// The value for one row around the subquery.
fn value(
    query: &Correlated,
    values: Vec<(usize, crate::engine::expr::Literal)>,
    context: &Context<'_>,
) -> Result<ArrayRef> {
    let row = OuterRow { scope: &query.scope, values, is_probe: false, used: RefCell::default() };
    let binder = Binder::for_row(*context, row, (query.with.clone(), query.views.clone()));
    let scope = Scope::default();
    let value = ExprBinder { binder: &binder, scope: &scope, grouping: None }.scalar(&query.expr)?;
    let array = value.expr.eval(&one_row()?)?;
    if array.data_type() == &query.column.data_type {
        return Ok(array);
    }
    arrow_cast::cast(&array, &query.column.data_type).map_err(arrow_error)
}
