//! Verbs and their options.

use std::fmt::{Display, Formatter, Result};

use super::expr::Sum;
use super::{Clause, List};
use crate::lang::syntax::{CorrelateKind, CorrelateOption, Expr, VariabilityKind, VariabilityOption, Verb};

/// A keyword and a `sum`, when there is one.
fn option(f: &mut Formatter<'_>, word: &str, value: Option<&Expr>) -> Result {
    value.map_or(Ok(()), |value| write!(f, " {word} {}", Sum(value)))
}

impl Display for Verb {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Verb::Coverage { codes, during, by } => {
                write!(f, "COVERAGE OF {codes}{}", Clause("DURING", during))?;
                option(f, "BY", by.as_ref())
            }
            Verb::Gaps { codes, during, longer, tolerance, drift } => {
                write!(f, "GAPS OF {codes}{}", Clause("DURING", during))?;
                option(f, "LONGER", longer.as_ref())?;
                option(f, "TOLERANCE", tolerance.as_ref())?;
                option(f, "DRIFT", drift.as_ref())
            }
            Verb::Pairs { source, options } => {
                write!(f, "PAIRS OF {source}")?;
                options.iter().try_for_each(|option| write!(f, " {option}"))
            }
            Verb::Correlate { source, against, options } => {
                write!(f, "CORRELATE {source}{}", Clause("AGAINST", against))?;
                options.iter().try_for_each(|option| write!(f, " {option}"))
            }
            Verb::Variability(v) => {
                write!(f, "VARIABILITY OF {} BY {} TIME {}", v.source, List(&v.by, ", "), v.time)?;
                v.options.iter().try_for_each(|option| write!(f, " {option}"))
            }
        }
    }
}

impl Display for CorrelateOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        use CorrelateKind::*;
        match &self.kind {
            MaxSep(None) => f.write_str("MAXSEP ALL"),
            MaxSep(Some(d)) => write!(f, "MAXSEP {}", Sum(d)),
            MaxDist(d) => write!(f, "MAXDIST {}", Sum(d)),
            MaxNgh(n) => write!(f, "MAXNGH {n}"),
            MinLnk(n) => write!(f, "MINLNK {n}"),
            MinObs(n) => write!(f, "MINOBS {n}"),
            MaxObs(n) => write!(f, "MAXOBS {n}"),
            MinWght(w) => write!(f, "MINWGHT {w}"),
            Method(name) => write!(f, "METHOD {name}"),
            Phase { phase, on, window, lag } => {
                write!(f, "PHASE {phase} ON {on} WINDOW {window}")?;
                option(f, "LAG", lag.as_ref())
            }
            Filter { phase, band, order, causal } => {
                let causal = if *causal { " CAUSAL" } else { "" };
                write!(f, "FILTER{} {band}{}{causal}", Clause("FOR", phase), Clause("ORDER", order))
            }
            Into(name) => write!(f, "INTO {name}"),
            Snr(span) => write!(f, "SNR {span}"),
            Shorten(name) => write!(f, "SHORTEN {name}"),
            Closure => f.write_str("CLOSURE"),
            Context(value) => write!(f, "CONTEXT {}", Sum(value)),
            MaxLag(d) => write!(f, "MAXLAG {}", Sum(d)),
            MinCc(cc, phase) => write!(f, "MINCC {}{}", Sum(cc), Clause("FOR", phase)),
            MinSnr(ratio) => write!(f, "MINSNR {ratio}"),
            Resample(rate) => write!(f, "RESAMPLE {}", Sum(rate)),
            Taper(fraction) => write!(f, "TAPER {fraction}"),
            Abs => f.write_str("ABS"),
            Norm(name) if !name.quoted && name.text.eq_ignore_ascii_case("full") => write!(f, "NORM full"),
            Norm(name) => write!(f, "NORM {name}"),
            Peak(name) => write!(f, "PEAK {name}"),
            Combine(name) => write!(f, "COMBINE {name}"),
            Equivalent(text) => write!(f, "EQUIVALENT {text}"),
            Compat(name) => write!(f, "COMPAT {name}"),
        }
    }
}

impl Display for VariabilityOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            VariabilityKind::Band { name, value, error, when } => {
                write!(f, "BAND {name}({value}")?;
                if let Some(error) = error {
                    write!(f, ", {error}")?;
                }
                write!(f, "{})", Clause("WHEN", when))
            }
            VariabilityKind::PairWithin(d) => write!(f, "PAIR WITHIN {}", Sum(d)),
            VariabilityKind::Frequency(range) => write!(f, "FREQUENCY {range}"),
            VariabilityKind::MinEpochs(n) => write!(f, "MINEPOCHS {n}"),
            VariabilityKind::Compat(name) => write!(f, "COMPAT {name}"),
            VariabilityKind::Stats(names) => write!(f, "STATS ({})", List(names, ", ")),
        }
    }
}
