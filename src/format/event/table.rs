//! The tables `events`, `picks` and `stations`: their columns and batches.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampNanosecondArray};

use super::{EventRow, PickRow, StationRow};
use crate::error::{Error, Result};
use crate::model::table::{Batch, Column, Schema, Type};
use crate::model::time::Time;

/// Columns of `events`.
pub fn events_schema() -> Schema {
    Schema::new(vec![
        Column::typed("event_id", Type::Text),
        Column::typed("number", Type::Int),
        Column::typed("time", Type::Time),
        Column::typed("latitude", Type::Float).with_unit("deg"),
        Column::typed("longitude", Type::Float).with_unit("deg"),
        Column::typed("depth_km", Type::Float).with_unit("km"),
        Column::typed("magnitude", Type::Float),
        Column::typed("magnitude_type", Type::Text),
    ])
}

/// Columns of `picks`.
pub fn picks_schema() -> Schema {
    Schema::new(vec![
        Column::typed("pick_id", Type::Text),
        Column::typed("event_id", Type::Text),
        Column::typed("network", Type::Text),
        Column::typed("station", Type::Text),
        Column::typed("location", Type::Text),
        Column::typed("channel", Type::Text),
        Column::typed("phase", Type::Text),
        Column::typed("phase_class", Type::Text),
        Column::typed("time", Type::Time),
        Column::typed("uncertainty_s", Type::Float).with_unit("s"),
        Column::typed("weight", Type::Float),
        Column::typed("mode", Type::Text),
        Column::typed("polarity", Type::Text),
    ])
}

/// Columns of `stations`.
pub fn stations_schema() -> Schema {
    Schema::new(vec![
        Column::typed("network", Type::Text),
        Column::typed("station", Type::Text),
        Column::typed("location", Type::Text),
        Column::typed("channel", Type::Text),
        Column::typed("latitude", Type::Float).with_unit("deg"),
        Column::typed("longitude", Type::Float).with_unit("deg"),
        Column::typed("elevation_m", Type::Float).with_unit("m"),
        Column::typed("depth_m", Type::Float).with_unit("m"),
        Column::typed("starttime", Type::Time),
        Column::typed("endtime", Type::Time),
    ])
}

/// Rows of `events`, in the order given.
pub fn events_batch(rows: &[EventRow]) -> Result<Batch> {
    let columns = vec![
        text(rows.iter().map(|e| Some(e.event_id.as_str()))),
        Arc::new(rows.iter().map(|e| Some(e.number)).collect::<Int64Array>()) as ArrayRef,
        time(rows.iter().map(|e| e.time)),
        float(rows.iter().map(|e| e.latitude)),
        float(rows.iter().map(|e| e.longitude)),
        float(rows.iter().map(|e| e.depth_km)),
        float(rows.iter().map(|e| e.magnitude)),
        text(rows.iter().map(|e| e.magnitude_type.as_deref())),
    ];
    batch(&events_schema(), columns)
}

/// Rows of `picks`, in the order given; `phase_class` is made here.
pub fn picks_batch(rows: &[PickRow]) -> Result<Batch> {
    let columns = vec![
        text(rows.iter().map(|p| Some(p.pick_id.as_str()))),
        text(rows.iter().map(|p| Some(p.event_id.as_str()))),
        text(rows.iter().map(|p| p.network.as_deref())),
        text(rows.iter().map(|p| p.station.as_deref())),
        text(rows.iter().map(|p| p.location.as_deref())),
        text(rows.iter().map(|p| p.channel.as_deref())),
        text(rows.iter().map(|p| p.phase.as_deref())),
        text(rows.iter().map(PickRow::phase_class)),
        time(rows.iter().map(|p| p.time)),
        float(rows.iter().map(|p| p.uncertainty_s)),
        float(rows.iter().map(|p| p.weight)),
        text(rows.iter().map(|p| p.mode.as_deref())),
        text(rows.iter().map(|p| p.polarity.as_deref())),
    ];
    batch(&picks_schema(), columns)
}

/// Rows of `stations`, in the order given.
pub fn stations_batch(rows: &[StationRow]) -> Result<Batch> {
    let columns = vec![
        text(rows.iter().map(|s| s.network.as_deref())),
        text(rows.iter().map(|s| Some(s.station.as_str()))),
        text(rows.iter().map(|s| Some(s.location.as_str()))),
        text(rows.iter().map(|s| Some(s.channel.as_str()))),
        float(rows.iter().map(|s| s.latitude)),
        float(rows.iter().map(|s| s.longitude)),
        float(rows.iter().map(|s| s.elevation_m)),
        float(rows.iter().map(|s| s.depth_m)),
        time(rows.iter().map(|s| s.starttime)),
        time(rows.iter().map(|s| s.endtime)),
    ];
    batch(&stations_schema(), columns)
}

fn text<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn float(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

fn time(values: impl Iterator<Item = Option<Time>>) -> ArrayRef {
    let ns: TimestampNanosecondArray = values.map(|t| t.map(|t| t.0)).collect();
    Arc::new(ns.with_timezone("UTC"))
}

fn batch(schema: &Schema, columns: Vec<ArrayRef>) -> Result<Batch> {
    Batch::try_new(schema.arrow(), columns).map_err(|e| {
        Error::refused(format!("rows do not fit their table: {e}"), "this is a fault of the program")
    })
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use arrow_array::Array;

    #[test]
    fn rows_become_batches_with_nulls_and_units() {
        let event = EventRow { event_id: "1".into(), time: Some(Time(5)), ..EventRow::default() };
        let events = events_batch(&[event, EventRow::default()]).expect("events");
        assert_eq!((events.num_rows(), events.num_columns()), (2, 8));
        assert_eq!(events.column(2).null_count(), 1);
        let unit = Schema::from_arrow(&events.schema()).columns[3].unit.clone();
        assert_eq!(unit.map(|u| u.name), Some("deg".to_owned()));

        let pick = PickRow { phase: Some("IPU0".into()), ..PickRow::default() };
        let picks = picks_batch(&[pick]).expect("picks");
        let class = picks.column(7).as_any().downcast_ref::<StringArray>().expect("text");
        assert_eq!((picks.num_columns(), class.value(0)), (13, "P"));

        let stations = stations_batch(&[StationRow::default()]).expect("stations");
        assert_eq!((stations.num_columns(), stations.column(8).null_count()), (10, 1));
        assert_eq!(events_batch(&[]).expect("none").num_rows(), 0);
    }
}
