//! Zone maps: least and greatest value of each 4,096 rows of a column, made when a segment is written \[I24\].

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;

use crate::model::table::Type;

/// Rows of one zone.
pub const ZONE_ROWS: usize = 4096;

/// Bytes of a zone on disk.
pub(super) const ZONE_BYTES: usize = 24;

/// Least and greatest of the values of a zone that are neither NULL nor NaN; without any, `min > max`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zone<T> {
    /// Least value.
    pub min: T,
    /// Greatest value.
    pub max: T,
    /// Rows that are NULL.
    pub nulls: u32,
    /// Rows that are NaN.
    pub nans: u32,
}

/// The zones of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum ZoneMap {
    /// Of integers, times (ns since 1970) and durations (ns).
    Int(Vec<Zone<i64>>),
    /// Of floats.
    Float(Vec<Zone<f64>>),
}

/// The zones of a column; `None` for types that have none (text, bool, bytes, u64 beyond i64).
pub fn zones(column: &dyn Array) -> Option<ZoneMap> {
    let target = match (column.data_type(), Type::of(column.data_type())) {
        (DataType::UInt64, _) | (_, Some(Type::Int | Type::Time | Type::Duration)) => DataType::Int64,
        (_, Some(Type::Float)) => DataType::Float64,
        _ => return None,
    };
    let slices = (0..column.len()).step_by(ZONE_ROWS).map(|start| {
        let slice = column.slice(start, ZONE_ROWS.min(column.len() - start));
        cast_with_options(&slice, &target, &CastOptions { safe: false, ..CastOptions::default() }).ok()
    });
    Some(match target {
        DataType::Int64 => ZoneMap::Int(slices.map(|s| s.map(int_zone)).collect::<Option<_>>()?),
        _ => ZoneMap::Float(slices.map(|s| s.map(float_zone)).collect::<Option<_>>()?),
    })
}

fn int_zone(values: ArrayRef) -> Zone<i64> {
    let nulls = values.null_count() as u32;
    let start = Zone { min: i64::MAX, max: i64::MIN, nulls, nans: 0 };
    values.as_primitive::<Int64Type>().iter().flatten().fold(start, |zone, v| Zone {
        min: zone.min.min(v),
        max: zone.max.max(v),
        ..zone
    })
}

fn float_zone(values: ArrayRef) -> Zone<f64> {
    let mut zone =
        Zone { min: f64::INFINITY, max: f64::NEG_INFINITY, nulls: values.null_count() as u32, nans: 0 };
    for v in values.as_primitive::<Float64Type>().iter().flatten() {
        // f64::min and max pass over NaN
        zone.min = zone.min.min(v);
        zone.max = zone.max.max(v);
        zone.nans += u32::from(v.is_nan());
    }
    zone
}

impl ZoneMap {
    /// Number of zones.
    pub fn len(&self) -> usize {
        match self {
            ZoneMap::Int(zones) => zones.len(),
            ZoneMap::Float(zones) => zones.len(),
        }
    }

    /// A column without rows has no zones.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As on disk.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() * ZONE_BYTES);
        let mut put = |min: [u8; 8], max: [u8; 8], nulls: u32, nans: u32| {
            bytes.extend_from_slice(&min);
            bytes.extend_from_slice(&max);
            bytes.extend_from_slice(&nulls.to_le_bytes());
            bytes.extend_from_slice(&nans.to_le_bytes());
        };
        match self {
            ZoneMap::Int(zones) => {
                zones.iter().for_each(|z| put(z.min.to_le_bytes(), z.max.to_le_bytes(), z.nulls, z.nans));
            }
            ZoneMap::Float(zones) => {
                zones.iter().for_each(|z| put(z.min.to_le_bytes(), z.max.to_le_bytes(), z.nulls, z.nans));
            }
        }
        bytes
    }

    /// From the bytes of a column of that type; `None` when the length is no whole number of zones.
    pub(super) fn decode(data_type: &DataType, bytes: &[u8]) -> Option<ZoneMap> {
        let (records, rest) = bytes.as_chunks::<ZONE_BYTES>();
        if !rest.is_empty() {
            return None;
        }
        let is_float = Type::of(data_type) == Some(Type::Float);
        Some(if is_float {
            ZoneMap::Float(records.iter().map(|r| zone(r, f64::from_le_bytes)).collect())
        } else {
            ZoneMap::Int(records.iter().map(|r| zone(r, i64::from_le_bytes)).collect())
        })
    }
}

fn zone<T>(record: &[u8; ZONE_BYTES], value: impl Fn([u8; 8]) -> T) -> Zone<T> {
    let at = |i: usize| -> [u8; 8] { std::array::from_fn(|k| record[i + k]) };
    let count = |i: usize| u32::from_le_bytes(std::array::from_fn(|k| record[i + k]));
    Zone { min: value(at(0)), max: value(at(8)), nulls: count(16), nans: count(20) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Float32Array, Int32Array, StringArray};

    #[test]
    fn least_and_greatest() {
        let ints: Int32Array = (0..10_000).map(|i| (i % 7 != 0).then_some(i - 5000)).collect();
        let Some(ZoneMap::Int(zones_of)) = zones(&ints) else { panic!("integers have zones") };
        assert_eq!(zones_of.len(), 3);
        assert_eq!(zones_of[0], Zone { min: -4999, max: 4094 - 5000, nulls: 586, nans: 0 });
        assert_eq!(zones_of[2].max, 4999);
        let floats: Float32Array = [Some(f32::NAN), Some(-0.5), None, Some(2.0)].into_iter().collect();
        assert_eq!(
            zones(&floats),
            Some(ZoneMap::Float(vec![Zone { min: -0.5, max: 2.0, nulls: 1, nans: 1 }]))
        );
        let nothing = Float32Array::from(vec![None, None]);
        let empty = Zone { min: f64::INFINITY, max: f64::NEG_INFINITY, nulls: 2, nans: 0 };
        assert_eq!(zones(&nothing), Some(ZoneMap::Float(vec![empty])));
        assert_eq!(zones(&StringArray::from(vec!["a"])), None);
    }

    #[test]
    fn bytes_go_both_ways() {
        let ints: Int32Array = (0..9000).collect();
        let map = zones(&ints).unwrap();
        assert_eq!(ZoneMap::decode(&DataType::Int32, &map.encode()), Some(map.clone()));
        assert_eq!(ZoneMap::decode(&DataType::Int32, &map.encode()[1..]), None);
    }
}
