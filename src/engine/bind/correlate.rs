//! PAIRS and CORRELATE: options to a specification, each checked at its place in the text.

use super::source::later;
use super::value::Typed;
use super::verbs::at_span;
use super::{Binder, arith};
use crate::engine::expr::Expr;
use crate::engine::ops::correlate::{self, Combine, Components, Equivalent, PhaseSpec, Spec};
use crate::engine::ops::pair::{MaxSep, PairSpec, Phase, pairs_schema};
use crate::engine::ops::window::Filter;
use crate::engine::plan::{Node, OutColumn, Plan};
use crate::error::{Diagnostic, Result, Span};
use crate::lang::diagnostic::nearest;
use crate::lang::syntax::{self, CorrelateKind as K, CorrelateOption, Ident, Number, Range, Source};
use crate::model::table::Type;
use crate::model::units::Dimension;
use crate::signal::correlate::Norm;
use crate::signal::filter::Band;
use crate::signal::peak::Peak;

/// A band-pass without ORDER.
const DEFAULT_ORDER: usize = 4;
/// Highest ORDER: steeper Butterworth filters ring longer than any window.
const MOST_ORDER: usize = 10;

/// A phase with the options that may come before or after it.
struct PhaseClause<'a> {
    phase: &'a Ident,
    on: &'a syntax::Text,
    window: &'a Range,
    lag: Option<&'a syntax::Expr>,
}

/// Options that may be given for one phase or for all.
#[derive(Default)]
struct Shared {
    filters: Vec<(Option<String>, Filter)>,
    min_cc: Vec<(Option<String>, f64)>,
    max_lag_s: Option<f64>,
}

impl Binder<'_> {
    /// `PAIRS OF events options`.
    pub(super) fn pairs(&self, source: &Source, options: &[CorrelateOption], span: Span) -> Result<Node> {
        let events = self.events(source)?;
        let mut spec = PairSpec::default();
        for option in options {
            if !self.pair_option(option, &mut spec)? {
                return Err(Diagnostic::new("this option belongs to CORRELATE", option.span).into());
            }
        }
        require_separation(&spec, false, span)?;
        let columns = pairs_schema().columns.into_iter().map(OutColumn::plain).collect();
        Ok(Node { plan: Plan::Pairs { events: Box::new(events), spec }, columns })
    }

    /// `CORRELATE events [AGAINST events] options`.
    pub(super) fn correlate(
        &self,
        sources: (&Source, Option<&Source>),
        options: &[CorrelateOption],
        span: Span,
    ) -> Result<Node> {
        let events = self.events(sources.0)?;
        let against = sources.1.map(|s| self.events(s)).transpose()?;
        let mut spec = Spec::default();
        let mut shared = Shared::default();
        let mut phases = vec![];
        for option in options {
            if self.pair_option(option, &mut spec.pairs)? || self.shared_option(option, &mut shared)? {
                continue;
            }
            match &option.kind {
                K::Phase { phase, on, window, lag } => {
                    phases.push(PhaseClause { phase, on, window, lag: lag.as_ref() });
                }
                _ => self.spec_option(option, &mut spec)?,
            }
        }
        require_separation(&spec.pairs, against.is_some(), span)?;
        if phases.is_empty() {
            return Err(Diagnostic::new("CORRELATE needs a PHASE", span)
                .help("PHASE P ON 'Z' WINDOW -0.2 s .. 1 s LAG 0.3 s")
                .into());
        }
        for clause in phases {
            spec.phases.push(self.phase(&clause, &shared)?);
        }
        let schema = correlate::output_schema();
        let plan = Plan::Correlate {
            events: Box::new(events),
            against: against.map(Box::new),
            spec: Box::new(spec),
        };
        Ok(Node { plan, columns: schema.columns.into_iter().map(OutColumn::plain).collect() })
    }

    /// A source whose rows are events: it has the columns of the table `events`.
    fn events(&self, source: &Source) -> Result<Node> {
        let (node, _) = self.source(source)?;
        let wanted = crate::format::event::table::events_schema();
        let mut exprs = vec![];
        let mut columns = vec![];
        for column in &wanted.columns {
            let place = node
                .columns
                .iter()
                .position(|c| c.column.name == column.name && c.column.kind() == column.kind());
            let Some(place) = place else {
                return Err(Diagnostic::new(
                    format!("these rows are no events: they have no column `{}`", column.name),
                    source.span,
                )
                .help("CORRELATE events, or a view of them: LET new = (SELECT * FROM events WHERE ...)")
                .into());
            };
            exprs.push(Expr::Column(place));
            columns.push(node.columns[place].clone());
        }
        // Where the events come from says which picks are theirs.
        let is_source = |c: &OutColumn| c.column.name == "source" && c.column.kind() == Type::Text;
        if let Some(place) = node.columns.iter().position(is_source) {
            exprs.push(Expr::Column(place));
            columns.push(node.columns[place].clone());
        }
        Ok(Node { plan: Plan::Project { input: Box::new(node), exprs }, columns })
    }

    fn pair_option(&self, option: &CorrelateOption, spec: &mut PairSpec) -> Result<bool> {
        match &option.kind {
            K::MaxSep(None) => spec.max_separation = Some(MaxSep::All),
            K::MaxSep(Some(e)) => spec.max_separation = Some(MaxSep::Km(self.km(e, "MAXSEP")?)),
            K::MaxDist(e) => spec.max_distance_km = Some(self.km(e, "MAXDIST")?),
            K::MaxNgh(n) => spec.max_neighbours = Some(self.whole(n, "MAXNGH")?),
            K::MinLnk(n) => spec.min_links = Some(self.whole(n, "MINLNK")?),
            K::MinObs(n) => spec.min_observations = Some(self.whole(n, "MINOBS")?),
            K::MaxObs(n) => spec.max_observations = Some(self.whole(n, "MAXOBS")?),
            K::MinWght(n) => spec.min_weight = Some(self.real(n)?),
            K::Method(name) if name.text.eq_ignore_ascii_case("default") => {}
            K::Method(name) => return Err(later("METHOD", name.span).into()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn real(&self, number: &Number) -> Result<f64> {
        let read = self.figure(number)?.parse();
        read.map_err(|_| Diagnostic::new("expected a number", number.span).into())
    }

    fn filter_order(&self, number: &syntax::Number) -> Result<usize> {
        let order = self.whole(number, "ORDER")?;
        if (1..=MOST_ORDER).contains(&order) {
            return Ok(order);
        }
        let message = format!("the ORDER of a filter lies between 1 and {MOST_ORDER}");
        Err(Diagnostic::new(message, number.span).help("ORDER 4 is what most pipelines use").into())
    }

    fn shared_option(&self, option: &CorrelateOption, shared: &mut Shared) -> Result<bool> {
        let name = |phase: &Option<Ident>| phase.as_ref().map(|p| p.text.clone());
        match &option.kind {
            K::Filter { phase, band, order, causal } => {
                let order = order.as_ref().map_or(Ok(DEFAULT_ORDER), |n| self.filter_order(n))?;
                let band = self.band(band)?;
                shared.filters.push((name(phase), Filter { band, order, zero_phase: !causal }));
            }
            K::MinCc(e, phase) => shared.min_cc.push((name(phase), self.fraction(e, "MINCC")?)),
            K::MaxLag(e) => shared.max_lag_s = Some(self.seconds(e, ("MAXLAG", "s"))?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn spec_option(&self, option: &CorrelateOption, spec: &mut Spec) -> Result<()> {
        match &option.kind {
            K::Snr(range) => spec.snr_span_s = Some(self.window(range, "SNR")?),
            K::Shorten(name) => spec.shorten_none = choice(name, &[("none", true), ("default", false)])?,
            K::MinSnr(n) => spec.min_snr = Some(self.real(n)?),
            K::Resample(e) => {
                let words = ("RESAMPLE", "Hz");
                let value = self.constant_value(e)?;
                spec.resample_hz = Some(arith::measure(&value, e.span, Dimension::Frequency, words)?);
            }
            K::Taper(n) => spec.taper = Some(self.real(n)?),
            K::Abs => spec.abs = true,
            K::Norm(name) => spec.norm = choice(name, &[("sliding", Norm::Sliding), ("full", Norm::Full)])?,
            K::Peak(name) => {
                let peaks = [
                    ("bandlimited", Peak::Bandlimited),
                    ("parabola3", Peak::Parabola3),
                    ("concave", Peak::Concave),
                    ("integer", Peak::Integer),
                ];
                spec.peak = choice(name, &peaks)?;
            }
            K::Combine(name) => {
                let all =
                    [("stack", Combine::Stack), ("weighted", Combine::Weighted), ("none", Combine::None)];
                spec.combine = choice(name, &all)?;
            }
            K::Equivalent(text) => {
                spec.equivalent = Equivalent::parse(&self.text(text)?).map_err(|e| at_span(e, text.span))?;
            }
            K::Into(name) => return Err(later("CORRELATE INTO (a stored, resumable job)", name.span).into()),
            K::Closure => return Err(later("CLOSURE", option.span).into()),
            K::Context(e) => return Err(later("CONTEXT", e.span).into()),
            K::Compat(name) => return Err(later("COMPAT of CORRELATE", name.span).into()),
            _ => return Err(Diagnostic::new("this option does not belong here", option.span).into()),
        }
        Ok(())
    }

    fn phase(&self, clause: &PhaseClause<'_>, shared: &Shared) -> Result<PhaseSpec> {
        let name = &clause.phase.text;
        let lag_s = match clause.lag {
            Some(e) => self.seconds(e, ("LAG", "s"))?,
            None => shared.max_lag_s.ok_or_else(|| {
                Diagnostic::new(format!("PHASE {name} has no LAG"), clause.phase.span)
                    .help("PHASE ... LAG 0.3 s, or MAXLAG 0.3 s for all phases")
            })?,
        };
        if lag_s.is_nan() || lag_s <= 0.0 {
            let span = clause.lag.map_or(clause.phase.span, |e| e.span);
            return Err(Diagnostic::new("a lag must be longer than 0", span).into());
        }
        let components = Components::parse(&self.text(clause.on)?).map_err(|e| at_span(e, clause.on.span))?;
        Ok(PhaseSpec {
            phase: Phase::parse(name),
            components,
            window_s: self.window(clause.window, "WINDOW")?,
            lag_s,
            filter: for_phase(&shared.filters, name).copied(),
            min_cc: for_phase(&shared.min_cc, name).copied().unwrap_or(0.0),
        })
    }

    fn km(&self, e: &syntax::Expr, what: &str) -> Result<f64> {
        let value = self.constant_value(e)?;
        let km = arith::measure(&value, e.span, Dimension::Length, (what, "km"))? / 1000.0;
        if km >= 0.0 {
            Ok(km)
        } else {
            Err(Diagnostic::new(format!("{what} cannot be negative"), e.span).into())
        }
    }

    fn seconds(&self, e: &syntax::Expr, words: (&str, &str)) -> Result<f64> {
        Ok(arith::measure(&self.constant_value(e)?, e.span, Dimension::Duration, words)?)
    }

    /// `a .. b` in seconds; the unit of the right end covers a bare left end.
    fn window(&self, range: &Range, what: &str) -> Result<(f64, f64)> {
        let words = (what, "s");
        let (start, end) = self.ends(range, what)?;
        let a = arith::measure(&start, range.start.span, Dimension::Duration, words)?;
        let b = arith::measure(&end, range.span, Dimension::Duration, words)?;
        if a < b {
            return Ok((a, b));
        }
        Err(Diagnostic::new(format!("{what} ends before it starts"), range.span)
            .help(format!("{what} -0.2 s .. 1 s"))
            .into())
    }

    fn ends(&self, range: &Range, what: &str) -> Result<(Typed, Typed)> {
        let Some(end) = &range.end else {
            return Err(Diagnostic::new(format!("{what} is a range"), range.span)
                .help(format!("{what} a .. b"))
                .into());
        };
        let (mut start, end) = (self.constant_value(&range.start)?, self.constant_value(end)?);
        if start.unit.is_none() && start.as_duration().is_none() {
            start.unit = end.unit.clone();
        }
        Ok((start, end))
    }

    fn band(&self, range: &Range) -> Result<Band> {
        let (lo, hi) = self.ends(range, "FILTER")?;
        let words = ("a corner of FILTER", "Hz");
        let low = arith::measure(&lo, range.start.span, Dimension::Frequency, words)?;
        let high = arith::measure(&hi, range.span, Dimension::Frequency, words)?;
        if low > 0.0 && low < high {
            return Ok(Band::Pass(low, high));
        }
        Err(Diagnostic::new("the corners of FILTER must rise and be above 0", range.span)
            .help("FILTER 1 .. 20 Hz")
            .into())
    }

    /// A number from 0 to 1; a percentage is recognised.
    fn fraction(&self, e: &syntax::Expr, what: &str) -> Result<f64> {
        let value = self.constant_value(e)?.number();
        match value {
            Some(v) if (0.0..=1.0).contains(&v) => Ok(v),
            Some(v) => {
                let error = Diagnostic::new(format!("{what} must lie between 0 and 1"), e.span);
                let is_percent = v > 1.0 && v <= 100.0;
                Err(if is_percent { error.help(format!("did you mean {}?", v / 100.0)) } else { error }
                    .into())
            }
            None => Err(Diagnostic::new(format!("{what} is a number between 0 and 1"), e.span).into()),
        }
    }
}

fn require_separation(spec: &PairSpec, is_against: bool, span: Span) -> Result<(), Diagnostic> {
    if spec.max_separation.is_some() || is_against {
        return Ok(());
    }
    Err(Diagnostic::new("MAXSEP is missing: how far apart may two events be?", span)
        .help("MAXSEP 8 km; MAXSEP ALL pairs every event with every other"))
}

/// What was given for this phase, else for all; the last one counts.
fn for_phase<'a, T>(given: &'a [(Option<String>, T)], phase: &str) -> Option<&'a T> {
    let named = given.iter().rev().find(|g| g.0.as_ref().is_some_and(|n| n.eq_ignore_ascii_case(phase)));
    named.or_else(|| given.iter().rev().find(|g| g.0.is_none())).map(|g| &g.1)
}

/// One of a few names.
fn choice<T: Copy>(name: &Ident, all: &[(&str, T)]) -> Result<T, Diagnostic> {
    if let Some(found) = all.iter().find(|a| a.0.eq_ignore_ascii_case(&name.text)) {
        return Ok(found.1);
    }
    let names: Vec<&str> = all.iter().map(|a| a.0).collect();
    let error = Diagnostic::new(format!("unknown choice `{}`", name.text), name.span);
    Err(match nearest(&name.text.to_ascii_lowercase(), names.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(names.join(", ")),
    })
}
