//! Functions that virtual-observatory services share (IVOA Catalogue of ADQL User Defined Functions): 1 for true.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int64Array};

use super::text::TextMatch;
use super::{Function, cast, floats};
use crate::error::Result;
use crate::model::table::Type;

/// `(low1, high1, low2, high2)`: do the closed intervals meet? `(value, low, high)`: is the value in it?
pub(super) fn interval(args: &[ArrayRef]) -> Result<ArrayRef> {
    let parts = args.iter().map(floats).collect::<Result<Vec<_>>>()?;
    let rows = parts.first().map_or(0, |p| p.len());
    let answers = (0..rows).map(|row| {
        let row: Option<Vec<f64>> = parts.iter().map(|p| p.is_valid(row).then(|| p.value(row))).collect();
        match row?.as_slice() {
            [low1, high1, low2, high2] => Some(low1 <= high2 && low2 <= high1),
            [value, low, high] => Some(low <= value && value <= high),
            _ => None,
        }
    });
    Ok(Arc::new(answers.map(|a| a.map(i64::from)).collect::<Int64Array>()))
}

/// IVO_NOCASEMATCH(text, pattern), IVO_HASHLIST_HAS(list, word).
pub(super) fn text_test(function: Function, args: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, others) = (cast(&args[0], Type::Text)?, cast(&args[1], Type::Text)?);
    let pairs = texts.as_string::<i32>().iter().zip(others.as_string::<i32>());
    let test = |(text, other): (Option<&str>, Option<&str>)| {
        let (text, other) = (text?, other?);
        Some(i64::from(match function {
            Function::NocaseMatch => TextMatch::like(other, true).matches(text),
            _ => text.split('#').any(|word| word.trim().eq_ignore_ascii_case(other.trim())),
        }))
    };
    Ok(Arc::new(pairs.map(test).collect::<Int64Array>()))
}
