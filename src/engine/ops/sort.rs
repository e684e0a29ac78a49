//! ORDER BY: stable, NULLs last unless asked first, both ways.

use arrow_ord::sort::{SortColumn, SortOptions, lexsort_to_indices};
use arrow_select::take::take_record_batch;

use crate::engine::expr::{arrow_error, without_negative_zero};
use crate::engine::plan::SortKey;
use crate::error::Result;
use crate::model::table::Batch;

/// The rows in order of the keys, ties in their old order; only the first `top`.
pub fn sort(batch: &Batch, keys: &[SortKey], top: Option<usize>) -> Result<Batch> {
    let mut columns = vec![];
    for key in keys {
        let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
        let values = without_negative_zero(&key.expr.eval(batch)?);
        columns.push(SortColumn { values, options: Some(options) });
    }
    // The row number as last key makes any sort stable.
    let numbers = arrow_array::UInt64Array::from_iter_values(0..batch.num_rows() as u64);
    columns.push(SortColumn { values: std::sync::Arc::new(numbers), options: None });
    let order = lexsort_to_indices(&columns, top).map_err(arrow_error)?;
    if batch.num_columns() == 0 {
        return Ok(batch.slice(0, order.len()));
    }
    take_record_batch(batch, &order).map_err(arrow_error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array};

    use super::*;
    use crate::engine::expr::Expr;

    #[test]
    fn order_is_stable_and_nulls_are_last_both_ways() {
        let key: ArrayRef = Arc::new(Int64Array::from(vec![Some(2), None, Some(1), Some(2), None]));
        let id: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 2, 3, 4]));
        let batch = Batch::try_from_iter([("key", key), ("id", id)]).map_err(arrow_error);
        let cases: [(bool, bool, Option<usize>, &[i64]); 4] = [
            (false, false, None, &[2, 0, 3, 1, 4]),
            (true, false, None, &[0, 3, 2, 1, 4]),
            (true, true, None, &[1, 4, 0, 3, 2]),
            (false, false, Some(2), &[2, 0]),
        ];
        for (descending, nulls_first, top, want) in cases {
            let keys = [SortKey { expr: Expr::Column(0), descending, nulls_first }];
            let sorted = batch.as_ref().ok().and_then(|b| sort(b, &keys, top).ok());
            let ids = sorted.map(|b| b.column(1).as_primitive::<Int64Type>().values().to_vec());
            assert_eq!(ids.as_deref(), Some(want));
        }
    }
}
