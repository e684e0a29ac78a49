//! The syntax tree of verbs: GAPS, PAIRS, CORRELATE, VARIABILITY and their options.

use super::{Expr, Ident, Name, Number, Source, Text};
use crate::error::Span;

/// `a .. b`, or one value that stands for a whole (a day, a $variable, a region).
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// Left end, or the whole.
    pub start: Expr,
    /// Right end.
    pub end: Option<Expr>,
    /// Where.
    pub span: Span,
}

/// A verb: a table made by work on other tables.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// `COVERAGE OF codes [DURING span] [BY bin]`
    Coverage {
        /// Channel pattern.
        codes: Text,
        /// Span of time.
        during: Option<Range>,
        /// Bin length.
        by: Option<Expr>,
    },
    /// `GAPS OF codes [DURING span] [LONGER d] [TOLERANCE t] [DRIFT t]`
    Gaps {
        /// Channel pattern.
        codes: Text,
        /// Span of time.
        during: Option<Range>,
        /// Shortest gap shown.
        longer: Option<Expr>,
        /// Largest step that is not a gap.
        tolerance: Option<Expr>,
        /// Largest sum of steps that is none.
        drift: Option<Expr>,
    },
    /// `PAIRS OF events options`
    Pairs {
        /// Events.
        source: Source,
        /// In the order written.
        options: Vec<CorrelateOption>,
    },
    /// `CORRELATE events [AGAINST events] options`
    Correlate {
        /// Events.
        source: Source,
        /// Second set of events.
        against: Option<Source>,
        /// In the order written.
        options: Vec<CorrelateOption>,
    },
    /// `VARIABILITY OF table BY key TIME column options`
    Variability(Box<Variability>),
}

/// An option of PAIRS or CORRELATE with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelateOption {
    /// Which.
    pub kind: CorrelateKind,
    /// Where.
    pub span: Span,
}

/// The options of PAIRS (the first eight) and CORRELATE.
#[derive(Clone, Debug, PartialEq)]
pub enum CorrelateKind {
    /// `MAXSEP d`; `None` for ALL.
    MaxSep(Option<Expr>),
    /// `MAXDIST d`
    MaxDist(Expr),
    /// `MAXNGH n`
    MaxNgh(Number),
    /// `MINLNK n`
    MinLnk(Number),
    /// `MINOBS n`
    MinObs(Number),
    /// `MAXOBS n`
    MaxObs(Number),
    /// `MINWGHT w`
    MinWght(Number),
    /// `METHOD name`
    Method(Ident),
    /// `PHASE P ON 'Z' WINDOW a .. b [LAG d]`
    Phase {
        /// Phase name.
        phase: Ident,
        /// Components and weights.
        on: Text,
        /// Relative to the pick.
        window: Range,
        /// Largest lag.
        lag: Option<Expr>,
    },
    /// `FILTER [FOR P] lo .. hi [ORDER n] [CAUSAL | ZEROPHASE]`
    Filter {
        /// Only for this phase.
        phase: Option<Ident>,
        /// Corners.
        band: Range,
        /// Order of the prototype.
        order: Option<Number>,
        /// Forward only.
        causal: bool,
    },
    /// `INTO name`
    Into(Ident),
    /// `SNR span`
    Snr(Range),
    /// `SHORTEN name`
    Shorten(Ident),
    /// `CLOSURE`
    Closure,
    /// `CONTEXT d | 'file'`
    Context(Expr),
    /// `MAXLAG d`
    MaxLag(Expr),
    /// `MINCC c [FOR P]`
    MinCc(Expr, Option<Ident>),
    /// `MINSNR r`
    MinSnr(Number),
    /// `RESAMPLE rate`
    Resample(Expr),
    /// `TAPER fraction`
    Taper(Number),
    /// `ABS`
    Abs,
    /// `NORM name`
    Norm(Ident),
    /// `PEAK name`
    Peak(Ident),
    /// `COMBINE name`
    Combine(Ident),
    /// `EQUIVALENT '1=N,2=E'`
    Equivalent(Text),
    /// `COMPAT name`
    Compat(Ident),
}

/// `VARIABILITY OF source BY columns TIME column options`
#[derive(Clone, Debug, PartialEq)]
pub struct Variability {
    /// Epochs.
    pub source: Source,
    /// Key columns.
    pub by: Vec<Name>,
    /// Time column.
    pub time: Name,
    /// In the order written.
    pub options: Vec<VariabilityOption>,
}

/// An option of VARIABILITY with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct VariabilityOption {
    /// Which.
    pub kind: VariabilityKind,
    /// Where.
    pub span: Span,
}

/// The options of VARIABILITY.
#[derive(Clone, Debug, PartialEq)]
pub enum VariabilityKind {
    /// `BAND name(value [, error] [WHEN condition])`
    Band {
        /// Prefix of its columns.
        name: Ident,
        /// Measured value.
        value: Name,
        /// One standard deviation.
        error: Option<Name>,
        /// Which rows belong to the band.
        when: Option<Expr>,
    },
    /// `PAIR WITHIN d`
    PairWithin(Expr),
    /// `FREQUENCY lo .. hi`
    Frequency(Range),
    /// `MINEPOCHS n`
    MinEpochs(Number),
    /// `COMPAT name`
    Compat(Ident),
    /// `STATS (names)`
    Stats(Vec<Ident>),
}
