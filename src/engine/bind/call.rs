//! Functions and set functions.

use super::arith::units_of;
use super::compare::paired;
use super::expr::ExprBinder;
use super::value::{Bound, Typed};
use crate::engine::expr::{ArithmeticOp, DATE_UNITS, Expr, FUNCTIONS, Function, FunctionInfo, Literal};
use crate::engine::plan::{AGGREGATES, Aggregate, AggregateFunction, Role};
use crate::error::{Diagnostic, Result, Span};
use crate::lang::diagnostic::nearest;
use crate::lang::syntax::{self, Ident};
use crate::model::table::Type;
use crate::model::units::Unit;

/// Functions that the binder turns into something else, with what SHOW FUNCTIONS says of them.
pub const GEOMETRY: &[(&str, &str)] = &[
    ("POINT", "position of (longitude, latitude) in degrees"),
    ("CIRCLE", "region of (longitude, latitude, radius) or ('position', radius)"),
    ("BOX", "region of (longitude, latitude, width, height), sides on great circles"),
    ("POLYGON", "region of (longitude1, latitude1, longitude2, ...), edges on great circles"),
    ("CONTAINS", "is the position or region in the region? 1 = CONTAINS(..) means the same"),
    ("INTERSECTS", "have two regions a point in common? 1 = INTERSECTS(..) means the same"),
    ("REGION", "region of STC-S: REGION('CIRCLE ICRS 83.8 -5.4 0.5'), BOX, POLYGON"),
    ("AREA", "square degrees of a region"),
    ("CENTROID", "position of the middle of a region"),
    ("COORDSYS", "frame of a position or region: 'ICRS' on the sky, 'WGS84' on the Earth"),
    ("DISTANCE", "of two positions: degrees on the sky, metres on the Earth"),
    ("COORD1", "longitude of a position in degrees"),
    ("COORD2", "latitude of a position in degrees"),
    ("DURATION", "length of a span"),
    ("STARTTIME", "first instant of a span"),
    ("ENDTIME", "instant after the last of a span"),
    ("IN_UNIT", "value in another unit: IN_UNIT(pmra, 'arcsec/yr')"),
    ("CONCAT", "texts one after the other"),
    ("ENV", "environment variable, NULL if it is not set"),
];

impl ExprBinder<'_> {
    /// `name([DISTINCT] args)` or `name(*)`.
    pub(super) fn call(
        &self,
        head: (&Ident, bool, bool),
        args: &[syntax::Expr],
        span: Span,
    ) -> Result<Bound> {
        let (name, distinct, star) = head;
        let upper = name.text.to_ascii_uppercase();
        if let Some(entry) = AGGREGATES.iter().find(|a| a.0 == upper) {
            return self.aggregate((entry.1, entry.2), (distinct, star), args, span);
        }
        if distinct || star {
            return Err(Diagnostic::new(format!("{upper} is not a set function"), name.span).into());
        }
        if GEOMETRY.iter().any(|g| g.0 == upper) {
            return self.geometry(&upper, args, span);
        }
        if let ("HEALPIX" | "IVO_HEALPIX_INDEX", [order, position]) = (upper.as_str(), args) {
            return self.cell_of(order, position, span);
        }
        match Function::find(&upper) {
            Some(info) => self.plain_call(info, args, span),
            None => Err(unknown_function(name).into()),
        }
    }

    fn plain_call(&self, info: &'static FunctionInfo, args: &[syntax::Expr], span: Span) -> Result<Bound> {
        if args.len() < info.required || args.len() > info.args.len() {
            let want = match (info.required, info.args.len()) {
                (a, b) if a == b => a.to_string(),
                (a, b) => format!("{a} to {b}"),
            };
            let message = format!("{} takes {want} arguments, found {}", info.name, args.len());
            return Err(Diagnostic::new(message, span).help(info.about).into());
        }
        let mut values = vec![];
        for (arg, want) in args.iter().zip(info.args) {
            let value = self.scalar(arg)?;
            values.push((checked_argument(self.binder, info, (value, arg.span), *want)?, arg.span));
        }
        if info.function == Function::NullIf {
            return self.null_if(args);
        }
        if info.function == Function::Coalesce {
            let is_constant = values.iter().all(|v| v.0.is_constant);
            let (exprs, kind, unit) = super::compare::one_type(self, values, info.name)?;
            let mut value = Typed::computed(Expr::Call(info.function, exprs), kind, is_constant);
            value.unit = unit;
            return Ok(Bound::Scalar(self.fold(value, span)?));
        }
        let kind = match info.result {
            Type::Null if values.iter().any(|v| v.0.kind == Type::Float) => Type::Float,
            Type::Null => values.first().map_or(Type::Null, |v| v.0.kind),
            other => other,
        };
        let keeps_unit = matches!(
            info.function,
            Function::Abs | Function::Round | Function::Floor | Function::Ceiling | Function::Truncate
        );
        let unit = values.first().and_then(|v| v.0.unit.clone()).filter(|_| keeps_unit);
        let is_constant = values.iter().all(|v| v.0.is_constant);
        let exprs = values.into_iter().map(|(v, _)| v.expr).collect();
        let mut value = Typed::computed(Expr::Call(info.function, exprs), kind, is_constant);
        value.unit = unit;
        Ok(Bound::Scalar(self.fold(value, span)?))
    }

    /// `HEALPIX(order, position)`
    fn cell_of(&self, order: &syntax::Expr, position: &syntax::Expr, span: Span) -> Result<Bound> {
        let order_value = self.scalar(order)?;
        if !matches!(order_value.kind, Type::Int | Type::Null) {
            return Err(
                Diagnostic::new("the order of a cell is a whole number from 0 to 29", order.span).into()
            );
        }
        let Bound::Point { lon, lat, .. } = self.bind(position)? else {
            return Err(Diagnostic::new("HEALPIX takes (order, ra, dec) or (order, position)", span).into());
        };
        let expr = Expr::Call(Function::Healpix, vec![order_value.expr, lon, lat]);
        Ok(Bound::Scalar(Typed::computed(expr, Type::Int, false)))
    }

    /// `NULLIF(a, b)`: a, or NULL where a = b.
    fn null_if(&self, args: &[syntax::Expr]) -> Result<Bound> {
        let [a, b] = args else { return Ok(Bound::Scalar(Typed::constant(Literal::Null))) };
        let equal = super::compare::compare_expr(self, syntax::BinaryOp::Eq, a, b)?;
        let mut value = self.scalar(a)?;
        let null = Expr::Cast(Box::new(Expr::Literal(Literal::Null)), value.kind);
        value.expr = Expr::Case(vec![(equal, null)], Some(Box::new(value.expr)));
        (value.is_constant, value.role) = (false, Role::Plain);
        Ok(Bound::Scalar(value))
    }

    fn aggregate(
        &self,
        function: (AggregateFunction, usize),
        how: (bool, bool),
        args: &[syntax::Expr],
        span: Span,
    ) -> Result<Bound> {
        let Some(grouping) = self.grouping else {
            return Err(Diagnostic::new("a set function cannot stand here", span)
                .help("in WHERE it has no group yet: write it in HAVING, or in SELECT")
                .into());
        };
        let (function, count) = function;
        let (distinct, star) = how;
        if star != args.is_empty()
            || (star && function != AggregateFunction::Count)
            || (!star && args.len() != count)
        {
            return Err(Diagnostic::new(format!("this set function takes {count} arguments"), span).into());
        }
        let inner = ExprBinder { grouping: None, ..*self };
        let values = args.iter().map(|a| inner.scalar(a)).collect::<Result<Vec<_>>>()?;
        let first = values.last().map_or(Type::Null, |v| v.kind);
        use AggregateFunction::{Avg, Count, Max, Median, Min, Sum};
        let numeric = !matches!(function, Count | Min | Max);
        let keeps_durations = matches!(function, Sum | Avg | Median) && first == Type::Duration;
        if numeric && !keeps_durations && values.iter().any(|v| !v.kind.is_number() && v.kind != Type::Null) {
            return Err(Diagnostic::new(
                format!("this set function needs numbers, not {}", first.phrase()),
                span,
            )
            .into());
        }
        let kind = match function {
            Count => Type::Int,
            Min | Max | Sum => first,
            Avg | Median if first == Type::Duration => first,
            _ => Type::Float,
        };
        let keeps_unit = !matches!(
            function,
            AggregateFunction::Count | AggregateFunction::Chi2 | AggregateFunction::Slope
        );
        let unit = values.first().and_then(|v| v.unit.clone()).filter(|_| keeps_unit);
        let aggregate = Aggregate { function, args: values.into_iter().map(|v| v.expr).collect(), distinct };
        let mut all = grouping.aggregates.borrow_mut();
        let index = grouping.keys.len() + all.len();
        let value = Typed { expr: Expr::Column(index), kind, unit, is_constant: false, role: Role::Plain };
        all.push((aggregate, value.clone()));
        Ok(Bound::Scalar(value))
    }

    fn geometry(&self, name: &str, args: &[syntax::Expr], span: Span) -> Result<Bound> {
        match (name, args) {
            ("POINT", _) => self.point(args, span),
            ("CIRCLE" | "BOX" | "POLYGON", _) => self.region_call(name, args, span),
            ("REGION", [text]) => self.stc_region(text),
            ("CONTAINS" | "INTERSECTS", [a, b]) => self.contains(name, (a, b)),
            ("AREA", [region]) => self.area(region, span),
            ("CENTROID", [region]) => self.centroid(region, span),
            ("COORDSYS", [of]) => self.coordsys(of),
            ("DISTANCE", _) => self.distance(args, span),
            ("COORD1" | "COORD2", [point]) => match self.bind(point)? {
                Bound::Point { lon, lat, .. } => {
                    let mut value =
                        Typed::computed(if name == "COORD1" { lon } else { lat }, Type::Float, false);
                    value.unit = Unit::find("deg");
                    Ok(Bound::Scalar(value))
                }
                other => {
                    Err(Diagnostic::new(format!("expected a position, found {}", other.phrase()), point.span)
                        .into())
                }
            },
            ("DURATION" | "STARTTIME" | "ENDTIME", [of]) => match self.bind(of)? {
                Bound::Span { start, .. } if name == "STARTTIME" => {
                    Ok(Bound::Scalar(Typed::computed(start, Type::Time, false)))
                }
                Bound::Span { end, .. } if name == "ENDTIME" => {
                    Ok(Bound::Scalar(Typed::computed(end, Type::Time, false)))
                }
                Bound::Span { start, end } => {
                    let expr = Expr::Arithmetic(ArithmeticOp::Sub, Box::new(end), Box::new(start));
                    Ok(Bound::Scalar(Typed::computed(expr, Type::Duration, false)))
                }
                other => {
                    Err(Diagnostic::new(format!("expected a span, found {}", other.phrase()), of.span).into())
                }
            },
            ("IN_UNIT", [value, unit]) => self.in_unit(value, unit),
            ("CONCAT", [_, ..]) => {
                let parts = args.iter().map(|a| Ok(self.scalar(a)?.expr)).collect::<Result<Vec<_>>>()?;
                let joined = paired(parts, |a, b| Expr::Concat(Box::new(a), Box::new(b)));
                let null = Expr::Literal(Literal::Null);
                Ok(Bound::Scalar(Typed::computed(joined.unwrap_or(null), Type::Text, false)))
            }
            ("ENV", [variable]) => {
                let value = self.scalar(variable)?;
                let found = value.text().and_then(|name| std::env::var(name).ok());
                Ok(Bound::Scalar(Typed::constant(found.map_or(Literal::Null, Literal::Text))))
            }
            _ => Err(Diagnostic::new(format!("{name} does not take {} arguments", args.len()), span).into()),
        }
    }

    fn in_unit(&self, value: &syntax::Expr, unit: &syntax::Expr) -> Result<Bound> {
        let mut typed = self.scalar(value)?;
        let name = self.scalar(unit)?;
        let target = name.text().and_then(Unit::find);
        let (Some(target), Some(from)) = (target, typed.unit.clone()) else {
            return Err(Diagnostic::new(
                "IN_UNIT takes a value that has a unit and the name of a unit",
                unit.span,
            )
            .help("IN_UNIT(pmra, 'arcsec/yr')")
            .into());
        };
        let factor = from.convert(1.0, &target).ok_or_else(|| {
            Diagnostic::new(format!("{from} cannot be converted to {target}"), unit.span)
                .help(units_of(from.dimension))
        })?;
        let factor = Expr::Literal(Literal::Float(factor));
        typed.expr = Expr::Arithmetic(ArithmeticOp::Mul, Box::new(typed.expr), Box::new(factor));
        (typed.unit, typed.kind) = (Some(target), Type::Float);
        Ok(Bound::Scalar(typed))
    }
}

fn checked_argument(
    binder: &super::Binder<'_>,
    info: &FunctionInfo,
    argument: (Typed, Span),
    want: Type,
) -> Result<Typed> {
    let (value, span) = argument;
    let fits = match want {
        Type::Null => true,
        Type::Float => {
            value.kind.is_number() || (info.function == Function::Abs && value.kind == Type::Duration)
        }
        other => value.kind == other,
    };
    if let (Function::DateTrunc, Type::Text, Some(unit)) = (info.function, want, value.text())
        && !DATE_UNITS.iter().any(|u| u.eq_ignore_ascii_case(unit))
    {
        let message = format!("DATE_TRUNC does not know `{unit}`");
        return Err(Diagnostic::new(message, span).help(DATE_UNITS.join(", ")).into());
    }
    let is_trigonometric =
        matches!(info.function, Function::Sin | Function::Cos | Function::Tan | Function::Cot);
    if let (true, Some(unit), Some(number)) = (is_trigonometric, &value.unit, value.number())
        && value.is_constant
    {
        let radians = Unit::find("rad").and_then(|rad| unit.convert(number, &rad));
        let radians =
            radians.ok_or_else(|| Diagnostic::new(format!("{} takes an angle", info.name), span))?;
        return Ok(Typed::constant(Literal::Float(radians)));
    }
    if fits || value.kind == Type::Null {
        return Ok(value);
    }
    if let (Type::Time, Some(text)) = (want, value.text()) {
        return Ok(Typed::constant(Literal::Time(super::value::instant(binder, text, span)?)));
    }
    let message = format!("{} needs {}, found {}", info.name, want.phrase(), value.kind.phrase());
    Err(Diagnostic::new(message, span).help(info.about).into())
}

/// Functions of SQL and ADQL that are not there: why, and what to write.
const ABSENT: &[(&str, &str, &str)] = &[
    (
        "RAND",
        "an answer does not depend on chance",
        "for a sample that stays the same: `WHERE MOD(id, 100) = 0`",
    ),
    (
        "RANDOM",
        "an answer does not depend on chance",
        "for a sample that stays the same: `WHERE MOD(id, 100) = 0`",
    ),
    ("NOW", "an answer does not depend on the clock", "-P now=2024-02-29 and $now"),
    ("REGEXP_LIKE", "there are no regular expressions", "`x LIKE 'a%'`, or `x MATCHES 'BH?,HH?'`"),
];

fn unknown_function(name: &Ident) -> Diagnostic {
    if let Some((upper, why, help)) = ABSENT.iter().find(|a| name.text.eq_ignore_ascii_case(a.0)) {
        let message = format!("{upper} is not part of this language: {why}");
        return Diagnostic::new(message, name.span).help(*help);
    }
    if let Some(help) = super::foreign::instead(&name.text) {
        return Diagnostic::new(format!("unknown function `{}`", name.text), name.span).help(help);
    }
    let names = FUNCTIONS
        .iter()
        .map(|f| f.name)
        .chain(AGGREGATES.iter().map(|a| a.0))
        .chain(GEOMETRY.iter().map(|g| g.0));
    let near = nearest(&name.text.to_ascii_uppercase(), names);
    let help = near.map_or("SHOW FUNCTIONS lists them".to_owned(), |n| {
        format!("did you mean `{n}`? (SHOW FUNCTIONS lists them)")
    });
    Diagnostic::new(format!("unknown function `{}`", name.text), name.span).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::lex::is_reserved;

    #[test]
    fn no_function_has_a_reserved_name() {
        let plain = FUNCTIONS.iter().map(|f| f.name);
        let sets = AGGREGATES.iter().map(|a| a.0);
        for name in plain.chain(sets).chain(GEOMETRY.iter().map(|g| g.0)) {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
