//! Typed values for `$name`: they become bound constants, never text of the query.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, DurationNanosecondArray, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray,
};

use crate::engine::bind::value::{Bound, Typed};
use crate::engine::expr::{Expr, Literal, Surface};
use crate::engine::session::{Session, Variable};
use crate::error::{Error, Result};
use crate::limits;
use crate::model::table::Type;
use crate::model::time::Time;
use crate::model::units::Unit;

/// A value for a `$name` of a query.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// NULL.
    Null,
    /// TRUE or FALSE.
    Bool(bool),
    /// 64-bit integer.
    Int(i64),
    /// 64-bit float; NaN is NULL.
    Float(f64),
    /// Text.
    Text(String),
    /// An instant.
    Time(Time),
    /// A signed length of time, ns.
    DurationNs(i64),
    /// A number with a unit of the language, as spelled there: `Quantity(3.0, "arcsec".into())`.
    Quantity(f64, String),
    /// `[start, end)`.
    Span(Time, Time),
    /// A position on the sky, ICRS degrees.
    Sky {
        /// Right ascension.
        ra_deg: f64,
        /// Declination.
        dec_deg: f64,
    },
    /// The members of `x IN $name`: values of one type, NULL among them.
    List(Vec<Value>),
}

impl Value {
    /// A number with a unit of the language.
    pub fn quantity(number: f64, unit: impl Into<String>) -> Value {
        Value::Quantity(number, unit.into())
    }
}

macro_rules! value_from {
    ($($from:ty => $value:expr;)*) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Value {
                ($value)(value)
            }
        })*
    };
}

value_from! {
    bool => Value::Bool;
    i64 => Value::Int;
    i32 => |v| Value::Int(i64::from(v));
    u32 => |v| Value::Int(i64::from(v));
    f64 => Value::Float;
    f32 => |v| Value::Float(f64::from(v));
    &str => |v: &str| Value::Text(v.to_owned());
    String => Value::Text;
    Time => Value::Time;
    Range<Time> => |v: Range<Time>| Value::Span(v.start, v.end);
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(members: Vec<T>) -> Value {
        Value::List(members.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// Values by name, for the `$name`s of a query. `()` is none of them; an array of pairs is the short form.
///
/// ```
/// use starquake::{Params, Value};
/// let one: Params = [("limit", 10)].into();
/// let more = Params::new().with("net", "IU").with("radius", Value::quantity(3.0, "arcsec"));
/// # assert_ne!(one, more);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(BTreeMap<String, Value>);

impl Params {
    /// None yet.
    pub fn new() -> Params {
        Params::default()
    }

    /// These, and `$name`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Params {
        self.0.insert(name.into(), value.into());
        self
    }

    /// A session in which they have their values, which no LET changes.
    pub(super) fn session(&self) -> Result<Session> {
        let mut session = Session::default();
        for (name, value) in &self.0 {
            let bound = variable(value).map_err(|reason| {
                Error::refused(
                    format!("parameter ${name}: {reason}"),
                    "starquake::Value lists what a parameter can be",
                )
            })?;
            session.pinned.insert(name.clone());
            session.variables.insert(name.clone(), bound);
        }
        Ok(session)
    }
}

impl From<()> for Params {
    fn from((): ()) -> Params {
        Params::new()
    }
}

impl From<&Params> for Params {
    fn from(params: &Params) -> Params {
        params.clone()
    }
}

impl<N: Into<String>, V: Into<Value>, const K: usize> From<[(N, V); K]> for Params {
    fn from(pairs: [(N, V); K]) -> Params {
        pairs.into_iter().fold(Params::new(), |all, (name, value)| all.with(name, value))
    }
}

fn variable(value: &Value) -> Result<Variable, String> {
    let expr = |literal: Literal| Expr::Literal(literal);
    Ok(match value {
        Value::Quantity(number, unit) => {
            let unit =
                Unit::find(unit).ok_or_else(|| format!("unknown unit `{unit}` (SHOW UNITS lists them)"))?;
            let mut typed = Typed::constant(float(*number));
            typed.unit = Some(unit);
            Variable::Value(Bound::Scalar(typed))
        }
        Value::Span(start, end) if start > end => {
            return Err(format!("the span ends at {end}, before it starts at {start}"));
        }
        Value::Span(start, end) => Variable::Value(Bound::Span {
            start: expr(Literal::Time(start.0)),
            end: expr(Literal::Time(end.0)),
        }),
        Value::Sky { ra_deg, dec_deg } => {
            if !(ra_deg.is_finite() && (-90.0..=90.0).contains(dec_deg)) {
                return Err(format!("{ra_deg}, {dec_deg} is no position on the sky"));
            }
            Variable::Value(Bound::Point {
                surface: Surface::Sky,
                lon: expr(Literal::Float(*ra_deg)),
                lat: expr(Literal::Float(*dec_deg)),
                depth_km: None,
            })
        }
        Value::List(members) => Variable::List(list(members)?),
        scalar => Variable::Value(Bound::Scalar(Typed::constant(literal(scalar)?))),
    })
}

fn float(value: f64) -> Literal {
    if value.is_nan() { Literal::Null } else { Literal::Float(value) }
}

fn literal(value: &Value) -> Result<Literal, String> {
    Ok(match value {
        Value::Null => Literal::Null,
        Value::Bool(v) => Literal::Bool(*v),
        Value::Int(v) => Literal::Int(*v),
        Value::Float(v) => float(*v),
        Value::Text(v) => Literal::Text(v.clone()),
        Value::Time(v) => Literal::Time(v.0),
        Value::DurationNs(v) => Literal::Duration(*v),
        _ => return Err("a list holds plain values: no quantities, spans, positions or lists".to_owned()),
    })
}

/// A member of a list of floats; an integer that no float holds would be another number.
fn float_of(literal: &Literal) -> Result<Option<f64>, String> {
    match literal {
        Literal::Int(v) if (*v as f64) as i128 != i128::from(*v) => {
            Err(format!("the list holds floats and {v}, which no float is"))
        }
        Literal::Int(v) => Ok(Some(*v as f64)),
        Literal::Float(v) => Ok(Some(*v)),
        _ => Ok(None),
    }
}

/// The members as one column; INT among FLOAT is widened.
fn list(members: &[Value]) -> Result<ArrayRef, String> {
    if members.len() > limits::IN_LIST_MEMBERS {
        return Err(format!(
            "the list has {} members, the limit is {}",
            members.len(),
            limits::IN_LIST_MEMBERS
        ));
    }
    let literals: Vec<Literal> = members.iter().map(literal).collect::<Result<_, _>>()?;
    let mut kind = Type::Null;
    for literal in &literals {
        kind = match (kind, literal.kind()) {
            (Type::Null, other) | (other, Type::Null) => other,
            (a, b) if a == b => a,
            (a, b) if a.is_number() && b.is_number() => Type::Float,
            (a, b) => return Err(format!("the list holds both {} and {}", a.phrase(), b.phrase())),
        };
    }
    let ints = || {
        literals.iter().map(|l| match l {
            Literal::Int(v) | Literal::Time(v) | Literal::Duration(v) => Some(*v),
            _ => None,
        })
    };
    Ok(match kind {
        Type::Int => Arc::new(ints().collect::<Int64Array>()),
        Type::Time => Arc::new(ints().collect::<TimestampNanosecondArray>().with_timezone("UTC")),
        Type::Duration => Arc::new(ints().collect::<DurationNanosecondArray>()),
        Type::Float => Arc::new(literals.iter().map(float_of).collect::<Result<Float64Array, _>>()?),
        Type::Bool => Arc::new(
            literals
                .iter()
                .map(|l| if let Literal::Bool(v) = l { Some(*v) } else { None })
                .collect::<BooleanArray>(),
        ),
        Type::Text => Arc::new(
            literals
                .iter()
                .map(|l| if let Literal::Text(v) = l { Some(v.as_str()) } else { None })
                .collect::<StringArray>(),
        ),
        _ => arrow_array::new_null_array(&arrow_schema::DataType::Null, literals.len()),
    })
}
