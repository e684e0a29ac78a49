//! What a query will do, as a closed tree. A node knows its output columns; the executor has one `match` over it.

use std::sync::{Arc, OnceLock};

use super::expr::{Area, Expr, Surface};
use super::ops::{correlate, pair, variability};
use super::scope::Scope;
use crate::lang::syntax::{JoinKind, SetKind};
use crate::model::station::Pattern;
use crate::model::table::{Batch, Column, Schema};
use crate::model::time::Time;

mod describe;

/// What a column is for, beyond its values: how `pos`, `span` and `code` find their parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Just values.
    Plain,
    /// Right ascension, ICRS degrees.
    Ra,
    /// Declination, ICRS degrees.
    Dec,
    /// The stored column that [`Role::Ra`] was read from, where it holds degrees: another spelling of it.
    RaColumn,
    /// The stored column that [`Role::Dec`] was read from, where it holds degrees.
    DecColumn,
    /// Location code: `--` is the blank one.
    Location,
    /// Order-29 nested HEALPix cell of the position, ascending in storage.
    Cell,
    /// Breaks ties of equal separation: the key, else the row number of the import.
    Tie,
    /// Geographic longitude, degrees.
    Longitude,
    /// Geographic latitude, degrees.
    Latitude,
    /// Depth below the surface, km.
    DepthKm,
    /// First instant of a row.
    Start,
    /// Instant after the last of a row.
    End,
    /// NET.STA.LOC.CHA.
    Code,
}

/// An output column of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct OutColumn {
    /// Name, type, unit.
    pub column: Column,
    /// What it is for.
    pub role: Role,
    /// Carried along for `pos` and matches, not shown by `*`.
    pub is_hidden: bool,
}

impl OutColumn {
    /// A shown column of values.
    pub fn plain(column: Column) -> OutColumn {
        OutColumn { column, role: Role::Plain, is_hidden: false }
    }
}

/// A plan and what it yields.
#[derive(Debug)]
pub struct Node {
    /// What is done.
    pub plan: Plan,
    /// Columns of its batches, in order.
    pub columns: Vec<OutColumn>,
}

impl Node {
    /// Schema of its batches.
    pub fn schema(&self) -> Schema {
        Schema::new(self.columns.iter().map(|c| c.column.clone()).collect())
    }

    /// Place of the first column with that role.
    pub fn role(&self, role: Role) -> Option<usize> {
        self.columns.iter().position(|c| c.role == role)
    }
}

/// A stored table, its wanted columns, and what lets the scan leave rows out unseen. The filter above it decides;
/// the hints only ever drop rows that the filter would drop.
#[derive(Debug)]
pub struct Scan {
    /// Name in the catalogue.
    pub table: String,
    /// Only rows of this source.
    pub source: Option<String>,
    /// Columns of the table, by index.
    pub columns: Vec<usize>,
    /// Column (of the table) and closed range of values outside which no row is wanted.
    pub ranges: Vec<(usize, f64, f64)>,
    /// Positions outside this region are not wanted.
    pub region: Option<Arc<Area>>,
    /// Conditions on the parts of a channel's code alone, over the columns of `segments`: channels that do not meet
    /// them are not wanted.
    pub channels: Vec<Expr>,
}

/// A set function over the rows of a group.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Which.
    pub function: AggregateFunction,
    /// Its arguments; none for COUNT(*).
    pub args: Vec<Expr>,
    /// Equal values count once.
    pub distinct: bool,
}

/// Set functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateFunction {
    /// Rows, or values that are not NULL.
    Count,
    /// Sum.
    Sum,
    /// Mean.
    Avg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Standard deviation with N-1.
    StdDev,
    /// Middle value.
    Median,
    /// Inverse-variance weighted mean of (value, error).
    WMean,
    /// Reduced chi square of (value, error) about the weighted mean.
    Chi2,
    /// Least-squares slope of (time in days, value) per 365.25 d.
    Slope,
    /// Standard deviation with N-1 of the value: the rms of VARIABILITY.
    Rms,
}

/// Names of the set functions, as SHOW FUNCTIONS lists them.
pub const AGGREGATES: &[(&str, AggregateFunction, usize, &str)] = &[
    ("COUNT", AggregateFunction::Count, 1, "rows (*), or values that are not NULL"),
    ("SUM", AggregateFunction::Sum, 1, "sum; NULL of nothing"),
    ("AVG", AggregateFunction::Avg, 1, "mean"),
    ("MIN", AggregateFunction::Min, 1, "smallest"),
    ("MAX", AggregateFunction::Max, 1, "largest"),
    ("STDDEV", AggregateFunction::StdDev, 1, "standard deviation, N-1"),
    ("MEDIAN", AggregateFunction::Median, 1, "middle value"),
    ("WMEAN", AggregateFunction::WMean, 2, "weighted mean of (value, error)"),
    ("CHI2", AggregateFunction::Chi2, 2, "reduced chi square of (value, error)"),
    ("SLOPE", AggregateFunction::Slope, 2, "slope of (time in days, value) per 365.25 d"),
    ("RMS", AggregateFunction::Rms, 1, "standard deviation, N-1, as in VARIABILITY"),
];

/// A sort key over the input's columns.
#[derive(Clone, Debug)]
pub struct SortKey {
    /// Value.
    pub expr: Expr,
    /// Largest first.
    pub descending: bool,
    /// NULLs before the rest.
    pub nulls_first: bool,
}

/// Conditions of a join, all of which a pair must meet.
#[derive(Clone, Debug, Default)]
pub struct JoinCondition {
    /// Pairs of (left, right) values that must be equal: the pairs are found by hashing them, and not otherwise.
    pub equal: Vec<(Expr, Expr)>,
    /// Bounds that an index over the right side answers.
    pub interval: Option<Box<Interval>>,
    /// A distance that a grid over the right side answers.
    pub near: Option<Box<Near>>,
    /// The rest, over left columns then right columns.
    pub residual: Option<Expr>,
}

/// Bounds of right values by left values: `right.start < left.end AND right.end > left.start`, or one of the two,
/// among rows of equal keys.
#[derive(Clone, Debug, Default)]
pub struct Interval {
    /// Pairs of (left, right) values that must be equal.
    pub keys: Vec<(Expr, Expr)>,
    /// The right value lies below the left one.
    pub below: Option<Edge>,
    /// The right value lies above the left one.
    pub above: Option<Edge>,
}

/// One bound of an [`Interval`].
#[derive(Clone, Debug)]
pub struct Edge {
    /// Over the left columns.
    pub left: Expr,
    /// Over the right columns.
    pub right: Expr,
    /// Equal values are outside.
    pub is_strict: bool,
}

/// `DISTANCE(left, right) <= radius`, positions as the expression language measures them.
#[derive(Clone, Debug)]
pub struct Near {
    /// Degrees on the sky, metres on the Earth.
    pub surface: Surface,
    /// Longitude and latitude over the left columns, degrees.
    pub left: [Expr; 2],
    /// Longitude and latitude over the right columns, degrees.
    pub right: [Expr; 2],
    /// Depth of either side in km: then the straight line between hypocentres.
    pub depths: Option<(Expr, Expr)>,
    /// The radius is the sum of a value of the left row and one of the right row.
    pub radius: (Option<Expr>, Option<Expr>),
    /// The edge is outside.
    pub is_strict: bool,
}

/// Which partners a match keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchMode {
    /// The k nearest.
    Nearest(usize),
    /// All within the radius.
    All,
    /// Pairs that are each other's nearest.
    Mutual,
}

/// A match of two inputs by position.
#[derive(Debug)]
pub struct Match {
    /// Which left rows stay.
    pub kind: JoinKind,
    /// Left rows.
    pub left: Box<Node>,
    /// Right rows.
    pub right: Box<Node>,
    /// Columns of right ascension and declination on either side, degrees.
    pub places: [(usize, usize); 2],
    /// Radius in degrees.
    pub radius_deg: f64,
    /// The edge is outside.
    pub is_strict: bool,
    /// Which partners.
    pub mode: MatchMode,
    /// What pairs within the radius must meet beside it, over left columns then right columns.
    pub residual: Option<Expr>,
    /// `separation` and its kin follow the right columns.
    pub has_match_columns: bool,
    /// Both sides are one catalogue, and a row of it is no partner of itself.
    pub excludes_self: bool,
}

/// An expression with a subquery that uses columns of the row around it.
#[derive(Debug)]
pub struct Correlated {
    /// As written.
    pub expr: crate::lang::syntax::Expr,
    /// Columns around it.
    pub scope: Scope,
    /// Names of WITH in sight.
    pub with: Vec<Arc<Shared>>,
    /// Views that it uses.
    pub views: Vec<Arc<Shared>>,
    /// What it yields.
    pub column: Column,
}

/// A column that a subquery uses of the row around it.
#[derive(Clone, Copy, Debug)]
pub struct OuterColumn {
    /// Its number in the scope around.
    pub name: usize,
    /// Its place in the input.
    pub place: usize,
}

/// A query or `$view` whose rows several places of one statement read.
#[derive(Debug)]
pub struct Shared {
    /// Its name.
    pub name: String,
    /// How the rows come about.
    pub node: Node,
    /// The rows, once somebody asked.
    pub rows: OnceLock<Vec<Batch>>,
}

/// Everything a query can do.
#[derive(Debug)]
pub enum Plan {
    /// One row without columns: a SELECT without FROM.
    One,
    /// Rows at hand: SHOW, DESCRIBE.
    Rows(Vec<Batch>),
    /// Rows of a stored table, in its order.
    Scan(Scan),
    /// A view or WITH query, evaluated once a statement.
    Shared(Arc<Shared>),
    /// Rows for which the condition is TRUE.
    Filter {
        /// Rows.
        input: Box<Node>,
        /// Condition.
        predicate: Expr,
    },
    /// New columns.
    Project {
        /// Rows.
        input: Box<Node>,
        /// One an output column.
        exprs: Vec<Expr>,
    },
    /// One row a group: the keys, then the aggregates.
    Aggregate {
        /// Rows.
        input: Box<Node>,
        /// Grouping values.
        keys: Vec<Expr>,
        /// Set functions.
        aggregates: Vec<Aggregate>,
    },
    /// Ordered rows, stable.
    Sort {
        /// Rows.
        input: Box<Node>,
        /// First key first.
        keys: Vec<SortKey>,
        /// Only so many are wanted.
        top: Option<usize>,
    },
    /// A run of rows.
    Limit {
        /// Rows.
        input: Box<Node>,
        /// Rows left out first.
        offset: usize,
        /// Rows kept after that.
        count: Option<usize>,
    },
    /// Equal rows once, at their first place.
    Distinct(Box<Node>),
    /// Rows of two inputs by name of the operator.
    SetOp {
        /// Which.
        kind: SetKind,
        /// Duplicates stay.
        all: bool,
        /// Left rows.
        left: Box<Node>,
        /// Right rows.
        right: Box<Node>,
    },
    /// Rows paired by a condition.
    Join {
        /// Which left rows stay.
        kind: JoinKind,
        /// Left rows.
        left: Box<Node>,
        /// Right rows.
        right: Box<Node>,
        /// What pairs them.
        on: JoinCondition,
    },
    /// Rows paired by position.
    Match(Match),
    /// Rows, and the value of a subquery for each.
    Apply {
        /// Rows.
        input: Box<Node>,
        /// What the subquery uses of them.
        outer: Vec<OuterColumn>,
        /// The subquery.
        query: Arc<Correlated>,
    },
    /// Missing time of channels.
    Gaps {
        /// Which channels.
        codes: Pattern,
        /// Within this span.
        during: Option<(Time, Time)>,
        /// Shortest gap, ns.
        longer_ns: i64,
        /// Largest step that is no gap.
        tolerance_samples: f64,
        /// Largest sum of steps that is none, in samples.
        drift_samples: f64,
    },
    /// Fraction of time with data.
    Coverage {
        /// Which channels.
        codes: Pattern,
        /// Within this span.
        during: Option<(Time, Time)>,
        /// Bin, ns; the whole span when absent.
        bin_ns: Option<i64>,
    },
    /// Pairs of neighbouring events.
    Pairs {
        /// Events.
        events: Box<Node>,
        /// Which pairs.
        spec: pair::PairSpec,
    },
    /// Differential times.
    Correlate {
        /// Events.
        events: Box<Node>,
        /// The second set.
        against: Option<Box<Node>>,
        /// How.
        spec: Box<correlate::Spec>,
    },
    /// Light-curve statistics.
    Variability {
        /// Epochs: keys, time, then value, error and condition of each band as `bands` places them.
        input: Box<Node>,
        /// Number of key columns (they come first, the time column follows).
        keys: usize,
        /// Bands over the input's columns.
        bands: Vec<BandPlan>,
        /// How.
        spec: variability::Spec,
    },
}

/// Where a band of VARIABILITY finds its columns.
#[derive(Clone, Debug)]
pub struct BandPlan {
    /// Prefix of its statistics.
    pub name: String,
    /// Column of the measured value.
    pub value: usize,
    /// Column of its error.
    pub error: Option<usize>,
    /// Column (BOOL) that says which rows belong to the band.
    pub when: Option<usize>,
}

impl Plan {
    /// Its inputs.
    pub fn inputs(&self) -> Vec<&Node> {
        match self {
            Plan::One | Plan::Rows(_) | Plan::Scan(_) | Plan::Gaps { .. } | Plan::Coverage { .. } => vec![],
            Plan::Shared(shared) => vec![&shared.node],
            Plan::Filter { input, .. } | Plan::Project { input, .. } | Plan::Aggregate { input, .. } => {
                vec![input]
            }
            Plan::Sort { input, .. } | Plan::Limit { input, .. } | Plan::Distinct(input) => vec![input],
            Plan::SetOp { left, right, .. } | Plan::Join { left, right, .. } => vec![left, right],
            Plan::Match(m) => vec![&m.left, &m.right],
            Plan::Apply { input, .. } => vec![input],
            Plan::Pairs { events, .. } => vec![events],
            Plan::Correlate { events, against, .. } => {
                std::iter::once(&**events).chain(against.as_deref()).collect()
            }
            Plan::Variability { input, .. } => vec![input],
        }
    }

    /// What holds its rows when they are kept, for errors about memory.
    pub fn holder(&self) -> &'static str {
        match self {
            Plan::Shared(_) => "a view",
            Plan::Scan(_) => "the rows of a table",
            Plan::Join { .. } => "the rows of a JOIN",
            Plan::Match(_) => "the rows of a CROSSMATCH",
            Plan::Sort { .. } => "the rows of ORDER BY",
            Plan::Aggregate { .. } => "the rows of GROUP BY",
            _ => "the rows of a query",
        }
    }
}
