//! Scalar expressions over a batch: columns by index, types settled by the binder. Evaluation is by Arrow arrays,
//! three-valued (NULL is a null slot), and never yields NaN or infinities: those become NULL.

mod arithmetic;
mod compare;
mod distance;
mod function;
mod shape;
mod text;
mod udf;

use arithmetic::finite;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    DurationNanosecondType, Float32Type, Float64Type, Int64Type, TimestampNanosecondType,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DurationNanosecondArray, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray, new_null_array,
};
use arrow_schema::{ArrowError, DataType};

use crate::error::{Error, Result};
use crate::geometry::earth::{self, EarthRadius, Place};
use crate::geometry::region::Region;
use crate::model::table::{Batch, Type};

pub use compare::{CompareOp, Set};
pub use distance::distance_of;
pub use function::{DATE_UNITS, FUNCTIONS, Function, FunctionInfo};
pub use shape::{ShapeKind, ShapeOp, ShapeQuestion};
pub use text::{TextMatch, TextMatchKind};

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Of any type.
    Null,
    /// TRUE or FALSE.
    Bool(bool),
    /// INT.
    Int(i64),
    /// FLOAT.
    Float(f64),
    /// TEXT.
    Text(String),
    /// ns since 1970.
    Time(i64),
    /// ns.
    Duration(i64),
}

impl Literal {
    /// Its type.
    pub fn kind(&self) -> Type {
        match self {
            Literal::Null => Type::Null,
            Literal::Bool(_) => Type::Bool,
            Literal::Int(_) => Type::Int,
            Literal::Float(_) => Type::Float,
            Literal::Text(_) => Type::Text,
            Literal::Time(_) => Type::Time,
            Literal::Duration(_) => Type::Duration,
        }
    }

    /// `rows` copies.
    pub fn array(&self, rows: usize) -> ArrayRef {
        match self {
            Literal::Null => new_null_array(&DataType::Null, rows),
            Literal::Bool(v) => Arc::new(BooleanArray::from(vec![*v; rows])),
            Literal::Int(v) => Arc::new(Int64Array::from_value(*v, rows)),
            Literal::Float(v) => Arc::new(Float64Array::from_value(*v, rows)),
            Literal::Text(v) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(v, rows))),
            Literal::Time(v) => Arc::new(TimestampNanosecondArray::from_value(*v, rows).with_timezone("UTC")),
            Literal::Duration(v) => Arc::new(DurationNanosecondArray::from_value(*v, rows)),
        }
    }
}

/// Infix arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithmeticOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`: always real.
    Div,
    /// `%`
    Mod,
}

/// Sphere or spheroid that two positions lie on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// Right ascension and declination; separations in degrees.
    Sky,
    /// Longitude and latitude on WGS84; distances in metres.
    Earth,
}

/// A constant region on a surface.
#[derive(Clone, Debug)]
pub enum Area {
    /// On the sphere.
    Sky(Region),
    /// Within a geodesic distance of a place on WGS84.
    EarthCircle(Place, EarthRadius),
}

impl Area {
    /// Is the position (degrees) inside? The boundary is.
    pub fn contains(&self, lon_deg: f64, lat_deg: f64) -> bool {
        match self {
            Area::Sky(region) => region.contains(lon_deg, lat_deg),
            Area::EarthCircle(centre, radius) => {
                let place = Place { lon_deg, lat_deg };
                earth::circle_contains(*centre, *radius, place)
            }
        }
    }
}

/// An expression whose columns are places in a batch.
#[derive(Clone, Debug)]
pub enum Expr {
    /// Column of the input.
    Column(usize),
    /// Constant.
    Literal(Literal),
    /// To another type; text that does not read is NULL.
    Cast(Box<Expr>, Type),
    /// INT to FLOAT where that is exact, else an error.
    Widen(Box<Expr>),
    /// Numbers of one type, or times and durations.
    Arithmetic(ArithmeticOp, Box<Expr>, Box<Expr>),
    /// `-x`
    Negate(Box<Expr>),
    /// Values of one type, or INT against FLOAT.
    Compare(CompareOp, Box<Expr>, Box<Expr>),
    /// Three-valued.
    And(Box<Expr>, Box<Expr>),
    /// Three-valued.
    Or(Box<Expr>, Box<Expr>),
    /// Three-valued.
    Not(Box<Expr>),
    /// Never NULL.
    IsNull(Box<Expr>),
    /// First branch whose condition is TRUE.
    Case(Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// `a || b`
    Concat(Box<Expr>, Box<Expr>),
    /// LIKE, ILIKE, MATCHES.
    Match(Box<Expr>, TextMatch),
    /// Membership in a set of constants of the operand's type.
    InSet(Box<Expr>, Arc<Set>),
    /// A function of the language.
    Call(Function, Vec<Expr>),
    /// Is the position inside a constant region?
    Inside {
        /// Longitude in degrees.
        lon: Box<Expr>,
        /// Latitude in degrees.
        lat: Box<Expr>,
        /// Constant.
        area: Arc<Area>,
    },
    /// About regions of each row.
    Shape(Box<ShapeQuestion>),
    /// Distance of two positions: degrees on the sky, metres on the Earth.
    Distance {
        /// Which formula.
        surface: Surface,
        /// Longitude and latitude of both, degrees.
        places: Box<[Expr; 4]>,
        /// Depth of both in km: then the straight line between the hypocentres.
        depths: Option<Box<(Expr, Expr)>>,
    },
}

pub(crate) fn arrow_error(error: ArrowError) -> Error {
    if let ArrowError::OffsetOverflowError(_) = error {
        return Error::Limit {
            what: "the text of one column in memory".to_owned(),
            limit: "2 GiB".to_owned(),
            help: "select fewer columns or rows before this step".to_owned(),
        };
    }
    let message = match &error {
        ArrowError::ArithmeticOverflow(what) => format!("an integer result does not fit 64 bits: {what}"),
        other => other.to_string(),
    };
    Error::Refused { message, help: None }
}

impl Expr {
    /// A constant.
    pub fn literal(value: Literal) -> Expr {
        Expr::Literal(value)
    }

    /// The constant, if it is one.
    pub fn as_literal(&self) -> Option<&Literal> {
        match self {
            Expr::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// `self AND other`.
    #[must_use]
    pub fn and(self, other: Expr) -> Expr {
        Expr::And(Box::new(self), Box::new(other))
    }

    /// The value for every row. A missing column is an error of ours, not of the user's.
    pub fn eval(&self, batch: &Batch) -> Result<ArrayRef> {
        let rows = batch.num_rows();
        match self {
            Expr::Column(index) => Ok(batch.column(*index).clone()),
            Expr::Literal(value) => Ok(value.array(rows)),
            Expr::Cast(operand, kind) => {
                let value = operand.eval(batch)?;
                check_fits(&value, *kind)?;
                cast(&value, *kind)
            }
            Expr::Widen(operand) => widen(&operand.eval(batch)?),
            Expr::Arithmetic(op, left, right) => {
                arithmetic::arithmetic(*op, &left.eval(batch)?, &right.eval(batch)?)
            }
            Expr::Negate(operand) => arithmetic::negate(&operand.eval(batch)?),
            Expr::Compare(op, left, right) => compare::compare(*op, left, right, batch),
            Expr::And(left, right) => {
                let (l, r) = (left.condition(batch)?, right.condition(batch)?);
                Ok(Arc::new(arrow_arith::boolean::and_kleene(&l, &r).map_err(arrow_error)?))
            }
            Expr::Or(left, right) => {
                let (l, r) = (left.condition(batch)?, right.condition(batch)?);
                Ok(Arc::new(arrow_arith::boolean::or_kleene(&l, &r).map_err(arrow_error)?))
            }
            Expr::Not(operand) => {
                let value = operand.condition(batch)?;
                Ok(Arc::new(arrow_arith::boolean::not(&value).map_err(arrow_error)?))
            }
            Expr::IsNull(operand) => {
                let value = operand.eval(batch)?;
                Ok(Arc::new(arrow_arith::boolean::is_null(&value).map_err(arrow_error)?))
            }
            Expr::Case(branches, otherwise) => case(branches, otherwise.as_deref(), batch),
            Expr::Concat(left, right) => text::concat(&left.eval(batch)?, &right.eval(batch)?),
            Expr::Match(operand, pattern) => pattern.eval(&operand.eval(batch)?),
            Expr::InSet(operand, set) => set.contains(&operand.eval(batch)?),
            Expr::Call(function, args) => {
                let values = args.iter().map(|a| a.eval(batch)).collect::<Result<Vec<_>>>()?;
                function::call(*function, &values, rows)
            }
            Expr::Inside { lon, lat, area } => shape::inside(&lon.eval(batch)?, &lat.eval(batch)?, area),
            Expr::Shape(question) => question.eval(batch),
            Expr::Distance { surface, places, depths } => {
                let mut values = places.iter().map(|p| p.eval(batch)).collect::<Result<Vec<_>>>()?;
                if let Some(depths) = depths {
                    values.extend([depths.0.eval(batch)?, depths.1.eval(batch)?]);
                }
                distance::distance(*surface, &values)
            }
        }
    }

    /// The value as a condition: a BOOL array. A bare NULL is NULL everywhere.
    pub fn condition(&self, batch: &Batch) -> Result<BooleanArray> {
        let value = self.eval(batch)?;
        match value.data_type() {
            DataType::Boolean => Ok(value.as_boolean().clone()),
            _ => Ok(BooleanArray::new_null(batch.num_rows())),
        }
    }

    /// Calls `visit` for every column it reads.
    pub fn columns(&self, visit: &mut dyn FnMut(usize)) {
        if let Expr::Column(index) = self {
            visit(*index);
        }
        self.children().into_iter().for_each(|c| c.columns(visit));
    }

    /// The same expression over an input whose columns stand elsewhere.
    #[must_use]
    pub fn renumbered(mut self, place: &dyn Fn(usize) -> usize) -> Expr {
        self.renumber(place);
        self
    }

    fn renumber(&mut self, place: &dyn Fn(usize) -> usize) {
        if let Expr::Column(index) = self {
            *index = place(*index);
        }
        self.children_mut().into_iter().for_each(|c| c.renumber(place));
    }

    fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Column(_) | Expr::Literal(_) => vec![],
            Expr::Cast(a, _) | Expr::Widen(a) | Expr::Negate(a) | Expr::Not(a) | Expr::IsNull(a) => vec![a],
            Expr::Match(a, _) | Expr::InSet(a, _) => vec![a],
            Expr::Arithmetic(_, a, b) | Expr::Compare(_, a, b) => vec![a, b],
            Expr::And(a, b) | Expr::Or(a, b) | Expr::Concat(a, b) => vec![a, b],
            Expr::Case(branches, otherwise) => {
                let mut all: Vec<&Expr> = branches.iter().flat_map(|(c, v)| [c, v]).collect();
                all.extend(otherwise.as_deref());
                all
            }
            Expr::Call(_, args) => args.iter().collect(),
            Expr::Shape(question) => question.parts.iter().collect(),
            Expr::Inside { lon, lat, .. } => vec![lon, lat],
            Expr::Distance { places, depths, .. } => {
                places.iter().chain(depths.iter().flat_map(|d| [&d.0, &d.1])).collect()
            }
        }
    }

    fn children_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Expr::Column(_) | Expr::Literal(_) => vec![],
            Expr::Cast(a, _) | Expr::Widen(a) | Expr::Negate(a) | Expr::Not(a) | Expr::IsNull(a) => vec![a],
            Expr::Match(a, _) | Expr::InSet(a, _) => vec![a],
            Expr::Arithmetic(_, a, b) | Expr::Compare(_, a, b) => vec![a, b],
            Expr::And(a, b) | Expr::Or(a, b) | Expr::Concat(a, b) => vec![a, b],
            Expr::Case(branches, otherwise) => {
                let mut all: Vec<&mut Expr> = branches.iter_mut().flat_map(|(c, v)| [c, v]).collect();
                all.extend(otherwise.as_deref_mut());
                all
            }
            Expr::Call(_, args) => args.iter_mut().collect(),
            Expr::Shape(question) => question.parts.iter_mut().collect(),
            Expr::Inside { lon, lat, .. } => vec![lon, lat],
            Expr::Distance { places, depths, .. } => {
                let depths = depths.iter_mut().flat_map(|d| {
                    let (a, b) = &mut **d;
                    [a, b]
                });
                places.iter_mut().chain(depths).collect()
            }
        }
    }
}

/// To the widest Arrow type of `kind`. Text becomes a number or a time where it reads as one, else NULL.
pub fn cast(array: &ArrayRef, kind: Type) -> Result<ArrayRef> {
    let Some(target) = kind.arrow() else { return Ok(array.clone()) };
    if array.data_type() == &target {
        return Ok(array.clone());
    }
    match (array.data_type(), kind) {
        (DataType::Utf8, Type::Time) => Ok(text::parse_times(array)),
        (DataType::Timestamp(_, _), Type::Text) => Ok(text::print_times(array)),
        (DataType::Float32 | DataType::Float64, Type::Text) => Ok(text::print_floats(array)),
        (DataType::Float32 | DataType::Float64, Type::Int) => {
            arrow_cast::cast(&cast(array, Type::Float)?, &target).map_err(arrow_error)
        }
        (DataType::Utf8, Type::Float) => {
            let read = arrow_cast::cast(array, &target).map_err(arrow_error)?;
            Ok(Arc::new(finite(read.as_primitive::<Float64Type>().clone())))
        }
        (DataType::Duration(_), Type::Text) => {
            let texts = integers(array)?.iter().map(|v| v.map(text::print_seconds)).collect::<StringArray>();
            Ok(Arc::new(texts))
        }
        (DataType::Duration(_), Type::Float) => {
            let seconds =
                integers(array)?.iter().map(|v| v.map(|ns| ns as f64 / 1e9)).collect::<Float64Array>();
            Ok(Arc::new(seconds))
        }
        _ => arrow_cast::cast(array, &target).map_err(arrow_error),
    }
}

/// A FLOAT beyond 64 bits is no INT.
fn check_fits(array: &ArrayRef, kind: Type) -> Result<()> {
    if kind != Type::Int || Type::of(array.data_type()) != Some(Type::Float) {
        return Ok(());
    }
    match floats(array)?.iter().flatten().find(|v| whole(v.trunc()).is_none()) {
        Some(value) => Err(Error::refused(
            format!("{value} does not fit the 64 bits of an INT"),
            "leave it a FLOAT, or keep large values out with WHERE or CASE",
        )),
        None => Ok(()),
    }
}

fn widen(array: &ArrayRef) -> Result<ArrayRef> {
    if Type::of(array.data_type()) != Some(Type::Int) {
        return cast(array, Type::Float);
    }
    let values = integers(array)?;
    if let Some(value) = values.iter().flatten().find(|v| whole(*v as f64) != Some(*v)) {
        return Err(Error::refused(
            format!("the integer {value} is no FLOAT without loss, and the other values are FLOAT"),
            "CAST them to one type: INT, FLOAT or TEXT",
        ));
    }
    cast(array, Type::Float)
}

/// As f64, widening what is narrower.
pub fn floats(array: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(array, Type::Float)?.as_primitive::<Float64Type>().clone())
}

/// The integer that a float is, if it is one.
pub fn whole(value: f64) -> Option<i64> {
    let is_whole = value == value.floor()
        && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    is_whole.then_some(value as i64)
}

/// The same values with -0 as 0, which is equal to it: for keys of groups and joins.
pub fn without_negative_zero(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            Arc::new(arrow_arith::arity::unary::<_, _, Float64Type>(values, |v| v + 0.0))
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            Arc::new(arrow_arith::arity::unary::<_, _, Float32Type>(values, |v| v + 0.0))
        }
        _ => array.clone(),
    }
}

/// As i64: INT, or the ns of TIME and DURATION.
pub fn integers(array: &ArrayRef) -> Result<Int64Array> {
    Ok(match array.data_type() {
        DataType::Timestamp(_, _) => array.as_primitive::<TimestampNanosecondType>().reinterpret_cast(),
        DataType::Duration(_) => array.as_primitive::<DurationNanosecondType>().reinterpret_cast(),
        _ => cast(array, Type::Int)?.as_primitive::<Int64Type>().clone(),
    })
}

fn case(branches: &[(Expr, Expr)], otherwise: Option<&Expr>, batch: &Batch) -> Result<ArrayRef> {
    // Rows that no branch has taken yet, and for each row the value that is its own.
    let mut open: Vec<u32> = (0..batch.num_rows() as u32).collect();
    let mut place = vec![(0, 0); batch.num_rows()];
    let mut values: Vec<ArrayRef> = vec![];
    let null = Expr::Literal(Literal::Null);
    for (condition, value) in branches {
        let rest = picked(batch, &open)?;
        let mask = condition.condition(&rest)?;
        let is_taken = |i: usize| mask.is_valid(i) && mask.value(i);
        let taken: Vec<u32> = (0..open.len()).filter(|i| is_taken(*i)).map(|i| open[i]).collect();
        open = (0..open.len()).filter(|i| !is_taken(*i)).map(|i| open[i]).collect();
        taken.iter().enumerate().for_each(|(at, row)| place[*row as usize] = (values.len(), at));
        values.push(value.eval(&picked(batch, &taken)?)?);
    }
    open.iter().enumerate().for_each(|(at, row)| place[*row as usize] = (values.len(), at));
    let last = otherwise.unwrap_or(&null).eval(&picked(batch, &open)?)?;
    let data_type = values.first().unwrap_or(&last).data_type().clone();
    values.push(if last.data_type() == &data_type { last } else { new_null_array(&data_type, open.len()) });
    let parts: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
    arrow_select::interleave::interleave(&parts, &place).map_err(arrow_error)
}

/// Some rows of a batch, by number; all of them without copying.
fn picked(batch: &Batch, rows: &[u32]) -> Result<Batch> {
    if rows.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    let numbers = arrow_array::UInt32Array::from(rows.to_vec());
    let take = |c: &ArrayRef| arrow_select::take::take(c, &numbers, None).map_err(arrow_error);
    let columns = batch.columns().iter().map(take).collect::<Result<Vec<_>>>()?;
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Batch::try_new_with_options(batch.schema(), columns, &options).map_err(arrow_error)
}
