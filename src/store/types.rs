//! The Arrow types a segment can hold, their tags on disk, and a column's description on disk.

use arrow_schema::{DataType, TimeUnit};
use rkyv::{Archive, Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::model::table::{Column, Schema, time_type};
use crate::model::units::Unit;

/// How the values of a column lie in the file \[I21\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// No values at all.
    Null,
    /// One bit a row.
    Bits,
    /// This many bytes a row.
    Fixed(usize),
    /// Offsets of this many bytes, and values; UTF-8 or not.
    Bytes { offset_bytes: usize, is_text: bool },
}

/// The tag of a type; `None` for what a segment cannot hold.
pub(super) fn tag_of(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Int8 => "i8",
        DataType::Int16 => "i16",
        DataType::Int32 => "i32",
        DataType::Int64 => "i64",
        DataType::UInt8 => "u8",
        DataType::UInt16 => "u16",
        DataType::UInt32 => "u32",
        DataType::UInt64 => "u64",
        DataType::Float32 => "f32",
        DataType::Float64 => "f64",
        DataType::Boolean => "bool",
        DataType::Utf8 => "utf8",
        DataType::LargeUtf8 => "large_utf8",
        DataType::Binary => "binary",
        DataType::LargeBinary => "large_binary",
        DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if zone.as_ref() == "UTC" => "time",
        DataType::Duration(TimeUnit::Nanosecond) => "duration",
        DataType::Null => "null",
        _ => return None,
    })
}

/// The type of a tag.
pub(super) fn type_of(tag: &str) -> Option<DataType> {
    Some(match tag {
        "i8" => DataType::Int8,
        "i16" => DataType::Int16,
        "i32" => DataType::Int32,
        "i64" => DataType::Int64,
        "u8" => DataType::UInt8,
        "u16" => DataType::UInt16,
        "u32" => DataType::UInt32,
        "u64" => DataType::UInt64,
        "f32" => DataType::Float32,
        "f64" => DataType::Float64,
        "bool" => DataType::Boolean,
        "utf8" => DataType::Utf8,
        "large_utf8" => DataType::LargeUtf8,
        "binary" => DataType::Binary,
        "large_binary" => DataType::LargeBinary,
        "time" => time_type(),
        "duration" => DataType::Duration(TimeUnit::Nanosecond),
        "null" => DataType::Null,
        _ => return None,
    })
}

/// The layout of a type that has a tag; types without are taken as empty and never reach here.
pub(super) fn layout_of(data_type: &DataType) -> Layout {
    match data_type {
        DataType::Boolean => Layout::Bits,
        DataType::Utf8 => Layout::Bytes { offset_bytes: 4, is_text: true },
        DataType::LargeUtf8 => Layout::Bytes { offset_bytes: 8, is_text: true },
        DataType::Binary => Layout::Bytes { offset_bytes: 4, is_text: false },
        DataType::LargeBinary => Layout::Bytes { offset_bytes: 8, is_text: false },
        other => other.primitive_width().map_or(Layout::Null, Layout::Fixed),
    }
}

/// A column as the directory of a segment and the catalogue record describe it.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(super) struct ColumnRecord {
    name: String,
    tag: String,
    unit: Option<String>,
    ucd: Option<String>,
    description: Option<String>,
}

impl ColumnRecord {
    /// `None` when the type has no tag.
    pub(super) fn of(column: &Column) -> Option<Self> {
        Some(ColumnRecord {
            name: column.name.clone(),
            tag: tag_of(&column.data_type)?.to_owned(),
            unit: column.unit.as_ref().map(|u| u.name.clone()),
            ucd: column.ucd.clone(),
            description: column.description.clone(),
        })
    }

    /// `None` when the tag is not known.
    pub(super) fn column(&self) -> Option<Column> {
        Some(Column {
            name: self.name.clone(),
            data_type: type_of(&self.tag)?,
            unit: self.unit.as_deref().map(Unit::imported),
            ucd: self.ucd.clone(),
            description: self.description.clone(),
        })
    }
}

/// xxh3 over names and tags: what must agree for rows of two segments to stand in one table.
pub(super) fn schema_hash(schema: &Schema) -> u64 {
    let mut hash = Xxh3::new();
    for column in &schema.columns {
        hash.update(column.name.as_bytes());
        hash.update(&[0]);
        hash.update(tag_of(&column.data_type).unwrap_or("").as_bytes());
        hash.update(&[0]);
    }
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: &str =
        "i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool utf8 large_utf8 binary large_binary time duration null";

    #[test]
    fn tags_go_both_ways() {
        for tag in TAGS.split(' ') {
            assert_eq!(type_of(tag).as_ref().and_then(tag_of), Some(tag));
        }
        assert_eq!(type_of("list"), None);
        assert_eq!(tag_of(&DataType::Date32), None);
        assert_eq!(layout_of(&time_type()), Layout::Fixed(8));
        assert_eq!(layout_of(&DataType::Null), Layout::Null);
    }

    #[test]
    fn columns_go_both_ways() {
        let mut column = Column::new("pmra", DataType::Float32).with_unit("mas/yr");
        column.ucd = Some("pos.pm;pos.eq.ra".to_owned());
        assert_eq!(ColumnRecord::of(&column).and_then(|r| r.column()), Some(column));
        assert_eq!(ColumnRecord::of(&Column::new("d", DataType::Date32)), None);
    }
}
