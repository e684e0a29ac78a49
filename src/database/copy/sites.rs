//! Where the stations are, for the headers of files.

use arrow_array::cast::AsArray;
use arrow_array::{Array, Float64Array, Int64Array, StringArray};

use crate::engine::bind::Context;
use crate::engine::expr::{floats, integers};
use crate::engine::ops::verbs::built_in;
use crate::error::{Error, Result};
use crate::format::sac::STATION_WORDS;
use crate::model::station::ChannelCode;
use crate::model::time::Time;

/// The rows of `stations`.
pub(super) struct Sites {
    codes: [StringArray; 4],
    ends: [Int64Array; 2],
    values: [Float64Array; 4],
}

impl Sites {
    pub(super) fn new(context: &Context<'_>) -> Result<Sites> {
        let batch = built_in("stations", context)?;
        let column = |name: &str| {
            let missing = || Error::refused(format!("`stations` has no column `{name}`"), "");
            batch.column_by_name(name).ok_or_else(missing)
        };
        let text = |name: &str| -> Result<StringArray> { Ok(column(name)?.as_string::<i32>().clone()) };
        let float = |name: &str| floats(column(name)?);
        Ok(Sites {
            codes: [text("network")?, text("station")?, text("location")?, text("channel")?],
            ends: [integers(column("starttime")?)?, integers(column("endtime")?)?],
            values: [float("latitude")?, float("longitude")?, float("elevation_m")?, float("depth_m")?],
        })
    }

    /// Words of a SAC header with their values; those that are not known are left out. A row of the channel goes
    /// before one of the station.
    pub(super) fn find(&self, code: &ChannelCode, time: Time) -> Vec<(usize, f64)> {
        let wanted = [&code.network, &code.station, &code.location, &code.channel];
        let fits = |row: usize, column: usize| {
            let known = &self.codes[column];
            known.is_valid(row).then(|| known.value(row) == wanted[column].as_str())
        };
        let is_there = |row: usize| {
            let [start, end] = &self.ends;
            (start.is_null(row) || start.value(row) <= time.0)
                && (end.is_null(row) || time.0 < end.value(row))
        };
        let rows = (0..self.codes[0].len()).filter(|&row| {
            fits(row, 0) != Some(false)
                && fits(row, 1) == Some(true)
                && (2..4).all(|c| fits(row, c) != Some(false))
                && is_there(row)
        });
        let best = rows.max_by_key(|&row| (0..4).filter(|&c| fits(row, c) == Some(true)).count());
        let Some(row) = best else { return vec![] };
        let words = STATION_WORDS.into_iter().zip(&self.values);
        words.filter(|(_, v)| v.is_valid(row)).map(|(word, v)| (word, v.value(row))).collect()
    }
}
