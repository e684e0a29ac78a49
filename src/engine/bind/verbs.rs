//! The verbs that are tables: GAPS, COVERAGE, VARIABILITY here; PAIRS and CORRELATE in their own file.

use super::expr::{ExprBinder, pattern_of};
use super::query::{duration_ns, typed};
use super::source::later;
use super::value::Bound;
use super::{Binder, arith};
use crate::engine::expr::{Expr, Literal};
use crate::engine::ops::{timeline, variability};
use crate::engine::plan::{BandPlan, Node, OutColumn, Plan, Role};
use crate::engine::scope::Scope;
use crate::error::{Diagnostic, Error, Result, Span};
use crate::lang::diagnostic::nearest;
use crate::lang::syntax::{self, Expr as SyntaxExpr, Name, Range, Text, Variability, VariabilityKind, Verb};
use crate::model::station::Pattern;
use crate::model::table::{Schema, Type};
use crate::model::time::Time;
use crate::model::units::Dimension;

/// Output columns of a verb, with what they are for.
pub fn columns_of(schema: Schema) -> Vec<OutColumn> {
    let role = |name: &str| match name {
        "code" => Role::Code,
        "starttime" => Role::Start,
        "endtime" => Role::End,
        _ => Role::Plain,
    };
    let columns = schema.columns.into_iter();
    columns.map(|c| OutColumn { role: role(&c.name), column: c, is_hidden: false }).collect()
}

impl Binder<'_> {
    /// A verb as a table, and the name it has without alias.
    pub fn verb(&self, verb: &Verb, span: Span) -> Result<(Node, String)> {
        match verb {
            Verb::Gaps { codes, during, longer, tolerance, drift } => {
                let tolerance_samples = self.samples(tolerance.as_ref(), ("TOLERANCE", 0.5))?;
                // a step that is tolerated is no drift by itself
                let drift_default = tolerance_samples.max(1.0);
                let plan = Plan::Gaps {
                    codes: self.codes(codes)?,
                    during: self.during(during.as_ref())?,
                    longer_ns: self.duration(longer.as_ref(), ("LONGER", "s"))?.unwrap_or(0),
                    tolerance_samples,
                    drift_samples: self.samples(drift.as_ref(), ("DRIFT", drift_default))?,
                };
                Ok((Node { plan, columns: columns_of(timeline::gaps_schema()) }, "gaps".to_owned()))
            }
            Verb::Coverage { codes, during, by } => {
                let bin_ns = self.duration(by.as_ref(), ("the bin of COVERAGE", "d"))?;
                if let (Some(..=0), Some(by)) = (bin_ns, by) {
                    return Err(Diagnostic::new("a bin must be longer than 0", by.span).into());
                }
                let plan = Plan::Coverage {
                    codes: self.codes(codes)?,
                    during: self.during(during.as_ref())?,
                    bin_ns,
                };
                Ok((Node { plan, columns: columns_of(timeline::coverage_schema()) }, "coverage".to_owned()))
            }
            Verb::Variability(verb) => Ok((self.variability(verb)?, "variability".to_owned())),
            Verb::Pairs { source, options } => Ok((self.pairs(source, options, span)?, "pairs".to_owned())),
            Verb::Correlate { source, against, options } => {
                Ok((self.correlate((source, against.as_ref()), options, span)?, "correlate".to_owned()))
            }
        }
    }

    fn codes(&self, codes: &Text) -> Result<Pattern> {
        Ok(pattern_of(&self.text(codes)?, true, codes.span)?)
    }

    fn during(&self, during: Option<&Range>) -> Result<Option<(Time, Time)>> {
        let Some(range) = during else { return Ok(None) };
        let scope = Scope::default();
        let binder = ExprBinder { binder: self, scope: &scope, grouping: None };
        if range.end.is_none()
            && matches!(range.start.kind, crate::lang::syntax::ExprKind::Time(_))
            && binder.scalar(&range.start).is_ok_and(|v| v.kind == Type::Time)
        {
            return Err(Diagnostic::new("DURING needs a span, this is one instant", range.span)
                .help("in quotes it is a period: '2024-01-01' is the day; or a .. b")
                .into());
        }
        let (start, end) = binder.span(range)?;
        let instant = |e: &Expr| match super::constant(e)? {
            Literal::Time(ns) => Ok(Time(ns)),
            _ => Err(Error::from(Diagnostic::new("the ends of DURING must be times", range.span))),
        };
        let (start, end) = (instant(&start)?, instant(&end)?);
        if start >= end {
            return Err(
                Diagnostic::new("the span of DURING is empty: it ends before it starts", range.span).into()
            );
        }
        Ok(Some((start, end)))
    }

    /// A constant of a verb.
    pub fn constant_value(&self, e: &SyntaxExpr) -> Result<super::value::Typed> {
        let scope = Scope::default();
        ExprBinder { binder: self, scope: &scope, grouping: None }.scalar(e)
    }

    fn duration(&self, e: Option<&SyntaxExpr>, words: (&str, &str)) -> Result<Option<i64>> {
        e.map(|e| duration_ns(&self.constant_value(e)?, e.span, words)).transpose()
    }

    /// A number of samples, of an option and its default.
    fn samples(&self, e: Option<&SyntaxExpr>, option: (&str, f64)) -> Result<f64> {
        let (word, default) = option;
        let Some(e) = e else { return Ok(default) };
        let value = self.constant_value(e)?;
        match (&value.unit, value.number()) {
            (Some(unit), Some(n)) if unit.dimension == Dimension::Samples && n >= 0.0 => Ok(n),
            _ => Err(Diagnostic::new(format!("{word} is a number of samples"), e.span)
                .help(format!("{word} {default:?} samples"))
                .into()),
        }
    }

    /// A whole number of an option.
    pub fn whole(&self, number: &syntax::Number, what: &str) -> Result<usize> {
        self.figure(number)?.parse().map_err(|_| {
            Diagnostic::new(format!("{what} is a whole number"), number.span)
                .help(format!("{what} 10"))
                .into()
        })
    }

    fn variability(&self, verb: &Variability) -> Result<Node> {
        let (input, scope) = self.source(&verb.source)?;
        let mut builder = Epochs { binder: self, scope: &scope, exprs: vec![], columns: vec![] };
        for key in &verb.by {
            builder.column(key, None)?;
        }
        let keys = verb.by.len();
        let time = builder.column(&verb.time, Some("TIME"))?;
        let mut bands = vec![];
        let mut infos = vec![];
        let mut spec = variability::Spec::default();
        for option in &verb.options {
            match &option.kind {
                VariabilityKind::Band { name, value, error, when } => {
                    let (band, info) = builder.band(&name.text, (value, error.as_ref()), when.as_ref())?;
                    bands.push(band);
                    infos.push(info);
                }
                VariabilityKind::PairWithin(e) => {
                    let words = ("the tolerance of PAIR", "h");
                    let seconds =
                        arith::measure(&self.constant_value(e)?, e.span, Dimension::Duration, words)?;
                    spec.pair_within_days = Some(seconds / 86_400.0);
                }
                VariabilityKind::MinEpochs(n) => spec.min_epochs = self.whole(n, "MINEPOCHS")?,
                VariabilityKind::Compat(name) if name.text.eq_ignore_ascii_case("tasni") => {
                    spec.compat_tasni = true
                }
                VariabilityKind::Compat(name) => {
                    return Err(Diagnostic::new(format!("unknown COMPAT `{}`", name.text), name.span)
                        .help("COMPAT tasni")
                        .into());
                }
                VariabilityKind::Stats(names) => spec.stats = Some(statistics(names)?),
                VariabilityKind::Frequency(range) => {
                    return Err(later("FREQUENCY (Lomb-Scargle)", range.span).into());
                }
            }
        }
        let (exprs, columns) = (builder.exprs, builder.columns);
        let key_columns: Vec<_> = columns[..keys].iter().map(|c| c.column.clone()).collect();
        let schema = variability::output_schema(&key_columns, &columns[time].column, &infos, &spec)
            .map_err(|e| at_span(e, verb.source.span))?;
        let epochs = Node { plan: Plan::Project { input: Box::new(input), exprs }, columns };
        let plan = Plan::Variability { input: Box::new(epochs), keys, bands, spec };
        Ok(Node { plan, columns: schema.columns.into_iter().map(OutColumn::plain).collect() })
    }
}

/// The projection that VARIABILITY reads: keys, time, then what the bands need.
struct Epochs<'a> {
    binder: &'a Binder<'a>,
    scope: &'a Scope,
    exprs: Vec<Expr>,
    columns: Vec<OutColumn>,
}

impl Epochs<'_> {
    fn binder(&self) -> ExprBinder<'_> {
        ExprBinder { binder: self.binder, scope: self.scope, grouping: None }
    }

    fn column(&mut self, name: &Name, what: Option<&str>) -> Result<usize> {
        let e = SyntaxExpr { kind: syntax::ExprKind::Column(name.clone()), span: name.span };
        let Bound::Scalar(value) = self.binder().bind(&e)? else {
            return Err(Diagnostic::new("this must be a stored column", name.span).into());
        };
        let is_valid = match what {
            None => true,
            Some("TIME") => value.kind.is_number() || value.kind == Type::Time,
            Some(_) => value.kind.is_number(),
        };
        if !is_valid {
            let message = format!("{} needs a number, found {}", what.unwrap_or(""), value.kind.phrase());
            return Err(Diagnostic::new(message, name.span).into());
        }
        let Expr::Column(index) = value.expr else {
            return Err(Diagnostic::new("this must be a column", name.span).into());
        };
        self.exprs.push(value.expr.clone());
        let mut out = self.scope.columns[index].clone();
        (out.role, out.is_hidden) = (Role::Plain, false);
        debug_assert_eq!(typed(index, &out).kind, value.kind);
        self.columns.push(out);
        Ok(self.exprs.len() - 1)
    }

    fn band(
        &mut self,
        name: &str,
        columns: (&Name, Option<&Name>),
        when: Option<&SyntaxExpr>,
    ) -> Result<(BandPlan, variability::BandInfo)> {
        let value = self.column(columns.0, Some("BAND"))?;
        let error = columns.1.map(|e| self.column(e, Some("the error of BAND"))).transpose()?;
        let when = match when {
            Some(condition) => {
                let condition = self.binder().condition(condition)?;
                self.exprs.push(condition);
                let column = crate::model::table::Column::typed("when", Type::Bool);
                self.columns.push(OutColumn::plain(column));
                Some(self.exprs.len() - 1)
            }
            None => None,
        };
        let info = variability::BandInfo {
            name: name.to_owned(),
            unit: self.columns[value].column.unit.clone(),
            has_error: error.is_some(),
        };
        Ok((BandPlan { name: name.to_owned(), value, error, when }, info))
    }
}

fn statistics(names: &[syntax::Ident]) -> Result<Vec<String>, Diagnostic> {
    let known: Vec<&str> = crate::stats::names().collect();
    names
        .iter()
        .map(|name| {
            let lower = name.text.to_ascii_lowercase();
            if known.contains(&lower.as_str()) {
                return Ok(lower);
            }
            let error = Diagnostic::new(format!("unknown statistic `{}`", name.text), name.span);
            Err(match nearest(&lower, known.iter().copied()) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(known.join(", ")),
            })
        })
        .collect()
}

/// An error of an operator, at a place of the query.
pub fn at_span(error: Error, span: Span) -> Error {
    error.at(span)
}
