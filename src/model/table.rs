//! Tables in memory: a schema of named, typed columns and batches of rows. A batch is an Arrow record batch; the
//! schema adds what Arrow does not know (unit, UCD, description) and goes into Arrow's field metadata.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use super::units::{Dimension, Unit};

/// Rows of a table: an Arrow record batch.
pub type Batch = arrow_array::RecordBatch;

/// The types of the language. Angles, lengths, frequencies and magnitudes are floats whose column has a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// 64-bit integer (narrower in storage).
    Int,
    /// 64-bit float (32 in storage where the source had 32).
    Float,
    /// UTF-8.
    Text,
    /// TRUE or FALSE.
    Bool,
    /// ns since 1970 UTC.
    Time,
    /// ns.
    Duration,
    /// Longitude and latitude in degrees: never stored, made of two columns.
    Point,
    /// Two instants, the end excluded: never stored, made of two columns.
    Span,
    /// A region on the sky or the Earth: never stored.
    Region,
    /// The type of a bare NULL.
    Null,
}

impl Type {
    /// As the language and DESCRIBE write it.
    pub fn name(self) -> &'static str {
        match self {
            Type::Int => "INT",
            Type::Float => "FLOAT",
            Type::Text => "TEXT",
            Type::Bool => "BOOL",
            Type::Time => "TIME",
            Type::Duration => "DURATION",
            Type::Point => "POINT",
            Type::Span => "SPAN",
            Type::Region => "REGION",
            Type::Null => "NULL",
        }
    }

    /// For messages: `a time`, `a number`.
    pub fn phrase(self) -> &'static str {
        match self {
            Type::Int | Type::Float => "a number",
            Type::Text => "a text",
            Type::Bool => "a condition",
            Type::Time => "a time",
            Type::Duration => "a duration",
            Type::Point => "a position",
            Type::Span => "a span of time",
            Type::Region => "a region",
            Type::Null => "NULL",
        }
    }

    /// INT or FLOAT.
    pub fn is_number(self) -> bool {
        matches!(self, Type::Int | Type::Float)
    }

    /// The type of an Arrow column; `None` for what the language has no type for (lists, structs, decimals).
    pub fn of(data_type: &DataType) -> Option<Type> {
        Some(match data_type {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Type::Int,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Type::Int,
            DataType::Float32 | DataType::Float64 => Type::Float,
            DataType::Utf8 => Type::Text,
            DataType::Boolean => Type::Bool,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Type::Time,
            DataType::Duration(TimeUnit::Nanosecond) => Type::Duration,
            DataType::Null => Type::Null,
            _ => return None,
        })
    }

    /// The widest Arrow type of this type; `None` for composites.
    pub fn arrow(self) -> Option<DataType> {
        Some(match self {
            Type::Int => DataType::Int64,
            Type::Float => DataType::Float64,
            Type::Text => DataType::Utf8,
            Type::Bool => DataType::Boolean,
            Type::Time => time_type(),
            Type::Duration => DataType::Duration(TimeUnit::Nanosecond),
            Type::Null => DataType::Null,
            Type::Point | Type::Span | Type::Region => return None,
        })
    }
}

/// The Arrow type of every TIME column.
pub fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// One column: name, Arrow type and what its source said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// As spelled in the source.
    pub name: String,
    /// As stored; [`Type::of`] is its type in the language.
    pub data_type: DataType,
    /// Unit, if there is one.
    pub unit: Option<Unit>,
    /// IVOA Unified Content Descriptor.
    pub ucd: Option<String>,
    /// Free text.
    pub description: Option<String>,
}

impl Column {
    /// A column without unit.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Column { name: name.into(), data_type, unit: None, ucd: None, description: None }
    }

    /// A column of the language's own type; composites, which have no Arrow type, become NULL columns.
    pub fn typed(name: impl Into<String>, kind: Type) -> Self {
        Column::new(name, kind.arrow().unwrap_or(DataType::Null))
    }

    /// The same column with a unit of the language.
    #[must_use]
    pub fn with_unit(mut self, unit: &str) -> Self {
        self.unit = Some(Unit::imported(unit));
        self
    }

    /// Type in the language.
    pub fn kind(&self) -> Type {
        Type::of(&self.data_type).unwrap_or(Type::Null)
    }

    /// What its unit measures.
    pub fn dimension(&self) -> Option<Dimension> {
        self.unit.as_ref().map(|u| u.dimension)
    }

    /// The Arrow field, nullable, with the metadata keys `unit`, `ucd`, `description`.
    pub fn field(&self) -> Field {
        let mut metadata = HashMap::new();
        let mut put = |key: &str, value: Option<&str>| {
            value.map(|v| metadata.insert(key.to_owned(), v.to_owned()));
        };
        put("unit", self.unit.as_ref().map(|u| u.name.as_str()));
        put("ucd", self.ucd.as_deref());
        put("description", self.description.as_deref());
        Field::new(&self.name, self.data_type.clone(), true).with_metadata(metadata)
    }

    /// From an Arrow field with that metadata.
    pub fn from_field(field: &Field) -> Self {
        let get = |key: &str| field.metadata().get(key).cloned();
        Column {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            unit: get("unit").map(|u| Unit::imported(&u)),
            ucd: get("ucd"),
            description: get("description"),
        }
    }
}

/// The columns of a table, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// In the order of `SELECT *`.
    pub columns: Vec<Column>,
}

impl Schema {
    /// From its columns.
    pub fn new(columns: Vec<Column>) -> Self {
        Schema { columns }
    }

    /// Index of the column of that name: exact spelling first, then any case.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|c| c.name == name);
        exact.or_else(|| self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name)))
    }

    /// The Arrow schema of its batches.
    pub fn arrow(&self) -> Arc<arrow_schema::Schema> {
        let fields: Fields = self.columns.iter().map(Column::field).collect();
        Arc::new(arrow_schema::Schema::new(fields))
    }

    /// From an Arrow schema.
    pub fn from_arrow(schema: &arrow_schema::Schema) -> Self {
        Schema { columns: schema.fields().iter().map(|f| Column::from_field(f)).collect() }
    }

    /// A batch without rows.
    pub fn empty(&self) -> Batch {
        Batch::new_empty(self.arrow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_survives_arrow() {
        let mut ra = Column::typed("ra", Type::Float).with_unit("deg");
        ra.ucd = Some("pos.eq.ra;meta.main".to_owned());
        let schema = Schema::new(vec![Column::typed("id", Type::Int), ra, Column::typed("t", Type::Time)]);
        assert_eq!(Schema::from_arrow(&schema.arrow()), schema);
        assert_eq!(schema.index_of("RA"), Some(1));
        assert_eq!(schema.index_of("nope"), None);
    }
}
