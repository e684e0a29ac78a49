//! The syntax tree: what was written, with the place of every part. It knows no table and no type; the binder
//! gives names, units and types their meaning.

use crate::error::Span;

/// A name as written. Unquoted names match any case, quoted ones exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Ident {
    /// Without quotes, doubled quotes undone.
    pub text: String,
    /// `"Name"`.
    pub quoted: bool,
    /// Where.
    pub span: Span,
}

/// `column`, `table.column`, `schema.table`, `schema.table.column`.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// One to three parts.
    pub parts: Vec<Ident>,
    /// Where.
    pub span: Span,
}

/// A number as written; the binder reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Digits as written (`10`, `1.5e3`, `0xFF`).
    pub text: String,
    /// Where.
    pub span: Span,
}

/// A string or a `$variable`.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Which.
    pub kind: TextKind,
    /// Where.
    pub span: Span,
}

/// A string or a `$variable`.
#[derive(Clone, Debug, PartialEq)]
pub enum TextKind {
    /// `'...'`, doubled quotes undone.
    Literal(String),
    /// `$name`, without the dollar.
    Variable(String),
}

/// A number or a `$variable`, after LIMIT and OFFSET.
#[derive(Clone, Debug, PartialEq)]
pub enum Count {
    /// A literal.
    Number(Number),
    /// `$name`.
    Variable(Ident),
}

/// A statement and where it stands in its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// What it is.
    pub kind: StatementKind,
    /// From its first to its last token.
    pub span: Span,
}

/// Every statement of the language.
#[derive(Clone, Debug, PartialEq)]
pub enum StatementKind {
    /// `EXPLAIN [ANALYZE] ...`
    Explain {
        /// Run it and count.
        analyze: bool,
        /// COPY, IMPORT, REFRESH or a query.
        statement: Box<Statement>,
    },
    /// `LET name = ...`
    Let {
        /// Without the dollar.
        name: Ident,
        /// A query (a view) or a value.
        value: LetValue,
    },
    /// `SET name = value`
    Set {
        /// Setting.
        name: Ident,
        /// Its value.
        value: Expr,
    },
    /// `SHOW ...`
    Show(Show),
    /// `DESCRIBE ...`
    Describe(Describe),
    /// `INCLUDE 'file'`
    Include(Text),
    /// `IMPORT ...`
    Import(Box<Import>),
    /// `REFRESH [FULL] [name]`
    Refresh {
        /// Confirms the removal of everything a missing root held.
        full: bool,
        /// Source; all when absent.
        name: Option<Ident>,
    },
    /// `FETCH ...`
    Fetch(Box<Fetch>),
    /// `COPY ... TO ...`
    Copy(Box<Copy>),
    /// `PLOT ...`
    Plot(Box<Plot>),
    /// `DROP TABLE [IF EXISTS] name`
    Drop {
        /// No error when there is none.
        if_exists: bool,
        /// Table or source.
        name: Name,
    },
    /// `COMPACT [name]`
    Compact(Option<Ident>),
    /// A query on its own.
    Query(Box<Query>),
}

/// The right side of LET.
#[derive(Clone, Debug, PartialEq)]
pub enum LetValue {
    /// `( query )`
    Query(Box<Query>),
    /// A scalar, or a range `a .. b`.
    Value(Range),
}

/// What SHOW shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Show {
    /// Tables and catalogues.
    Tables,
    /// Roots and files that were imported.
    Sources,
    /// Counts, sizes, freshness.
    Status,
    /// What REFRESH would do, for one source or all.
    Changes(Option<Ident>),
    /// Index segments.
    Indexes,
    /// SET values.
    Settings,
    /// Functions and aggregates.
    Functions,
    /// Units.
    Units,
    /// Resumable jobs.
    Jobs,
    /// LET values.
    Variables,
}

/// What DESCRIBE describes.
#[derive(Clone, Debug, PartialEq)]
pub enum Describe {
    /// A table or catalogue.
    Name(Name),
    /// The columns of a query.
    Query(Box<Query>),
}

/// `IMPORT kind 'path' options`
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// What kind of data.
    pub kind: ImportKind,
    /// File, directory or glob.
    pub path: Text,
    /// In the order written.
    pub options: Vec<ImportOption>,
}

/// What IMPORT reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportKind {
    /// Waveform files of a directory tree.
    Waveforms,
    /// Events and picks.
    Events,
    /// Stations.
    Stations,
    /// Rows of any table with sky positions, or without.
    Catalog,
}

/// An option of IMPORT.
#[derive(Clone, Debug, PartialEq)]
pub enum ImportOption {
    /// `INTO name`
    Into(Ident),
    /// `FORMAT name`
    Format(Ident),
    /// `LAYOUT SDS` or `LAYOUT 'pattern'`
    Layout(String, Span),
    /// `KEY column`
    Key(Name),
    /// `POSITION (ra, dec)`
    Position(Name, Name),
    /// `MOTION (pmra, pmdec)`
    Motion(Name, Name),
    /// `FRAME icrs`
    Frame(Ident),
    /// `EPOCH 2016.0`
    EpochYear(Number),
    /// `EPOCH column`
    EpochColumn(Name),
    /// `NULLS (column value, ...)`
    Nulls(Vec<(Name, Expr)>),
    /// `TIME column [SCALE name]`
    Time(Name, Option<Ident>),
    /// `UNITS (column unit, ...)`
    Units(Vec<(Name, String, Span)>),
    /// `SORTED BY a, b`
    SortedBy(Vec<Name>),
    /// `NEAR picks WITHIN 1 h`
    Near(Box<Source>, Expr),
    /// `WHERE condition` on what file names tell.
    Where(Expr),
    /// `APPEND`
    Append(Span),
    /// `REPLACE`
    Replace(Span),
}

/// `FETCH kind name FROM 'url' options`
#[derive(Clone, Debug, PartialEq)]
pub struct Fetch {
    /// CATALOG when absent.
    pub kind: Option<FetchKind>,
    /// Name of the source to make.
    pub name: Ident,
    /// URL.
    pub from: Text,
    /// In the order written.
    pub options: Vec<FetchOption>,
}

/// What FETCH gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchKind {
    /// Rows from TAP.
    Catalog,
    /// FDSN dataselect.
    Waveforms,
    /// FDSN event.
    Events,
    /// FDSN station.
    Stations,
    /// Plain files.
    Files,
}

/// An option of FETCH.
#[derive(Clone, Debug, PartialEq)]
pub enum FetchOption {
    /// `QUERY '...'`
    Query(String, Span),
    /// `CODES 'IU.*.*.BHZ'`
    Codes(Text),
    /// `DURING span`
    During(Range),
    /// `NEAR picks WITHIN 1 h`
    Near(Box<Source>, Expr),
    /// `TILES ORDER k [ON (ra, dec) | ON id DIV n]`
    Tiles(Number, Option<TilesOn>),
    /// `PARALLEL n`
    Parallel(Number),
    /// `RATE 5 Hz`
    Rate(Expr),
    /// `RETRY n`
    Retry(Number),
    /// `TIMEOUT 30 s`
    Timeout(Expr),
    /// `REPLACE`
    Replace(Span),
}

/// How a tile is told to the server.
#[derive(Clone, Debug, PartialEq)]
pub enum TilesOn {
    /// By position columns.
    Position(Name, Name),
    /// By a HEALPix-ordered id and its divisor.
    Index(Name, Number),
}

/// `COPY query TO 'file' options`
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// What is written.
    pub query: Query,
    /// Where to.
    pub to: Text,
    /// In the order written.
    pub options: Vec<CopyOption>,
}

/// An option of COPY.
#[derive(Clone, Debug, PartialEq)]
pub enum CopyOption {
    /// `FORMAT name`
    Format(Ident),
    /// `REPLACE`
    Replace(Span),
    /// `APPEND`
    Append(Span),
    /// `COMPRESS name`
    Compress(Ident),
    /// `WEIGHT cc | cc2 | sigma`
    Weight(Ident),
    /// `SIGN 12 | 21`
    Sign(Number),
    /// `STATION name`
    Station(Ident),
}

/// `PLOT kind query TO 'file'`
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// MAP, TIMELINE, LIGHTCURVE, WIGGLES, HISTOGRAM; chosen by the columns when absent.
    pub kind: Option<Ident>,
    /// What is drawn.
    pub query: Query,
    /// Where to.
    pub to: Option<Text>,
    /// Over an existing file.
    pub replace: bool,
}

/// A query: bodies joined by set operators, then order and limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `WITH name AS (query), ...`
    pub with: Vec<(Ident, Query)>,
    /// The first body.
    pub body: Body,
    /// `UNION [ALL] body ...`
    pub set_ops: Vec<SetOp>,
    /// `ORDER BY ...`
    pub order: Vec<OrderKey>,
    /// `LIMIT n`
    pub limit: Option<Count>,
    /// `OFFSET n`
    pub offset: Option<Count>,
    /// Where.
    pub span: Span,
}

/// A SELECT or a query in brackets.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// SELECT-first, FROM-first or a verb alone.
    Select(Box<Select>),
    /// `( query )`
    Nested(Box<Query>),
}

/// A set operator and its right side.
#[derive(Clone, Debug, PartialEq)]
pub struct SetOp {
    /// Which.
    pub kind: SetKind,
    /// Duplicates stay.
    pub all: bool,
    /// Right side.
    pub body: Body,
    /// Where the operator stands.
    pub span: Span,
}

/// Set operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetKind {
    /// Rows of either.
    Union,
    /// Rows of both.
    Intersect,
    /// Rows of the left that the right has not.
    Except,
}

/// One SELECT ... FROM ... WHERE ... GROUP BY ... HAVING.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// `DISTINCT`
    pub distinct: bool,
    /// `TOP n`
    pub top: Option<Number>,
    /// `None`: everything (FROM-first or a verb without SELECT).
    pub items: Option<Vec<Item>>,
    /// Comma-separated sources with their joins; empty without FROM.
    pub from: Vec<FromItem>,
    /// `WHERE`
    pub filter: Option<Expr>,
    /// `GROUP BY`
    pub group: Vec<Expr>,
    /// `HAVING`
    pub having: Option<Expr>,
    /// Where.
    pub span: Span,
}

/// An output column.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `*`
    Star(Span),
    /// `alias.*`
    QualifiedStar(Name),
    /// `expr [AS name]`
    Expr {
        /// Value.
        expr: Expr,
        /// Name.
        alias: Option<Ident>,
    },
}

/// A source and what is joined to it.
#[derive(Clone, Debug, PartialEq)]
pub struct FromItem {
    /// First table.
    pub source: Source,
    /// In order.
    pub joins: Vec<Join>,
}

/// A table, view, subquery or verb.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Which.
    pub kind: SourceKind,
    /// `AS name`
    pub alias: Option<Ident>,
    /// Where.
    pub span: Span,
}

/// What a source is.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// COVERAGE, GAPS, PAIRS, CORRELATE, VARIABILITY.
    Verb(Box<Verb>),
    /// `( query )`
    Query(Box<Query>),
    /// `$name`, without the dollar.
    Variable(String),
    /// A table.
    Name(Name),
}

/// A join or match.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// INNER when absent.
    pub kind: JoinKind,
    /// Right side.
    pub source: Source,
    /// What pairs rows.
    pub on: JoinOn,
    /// Where.
    pub span: Span,
}

/// Which rows a join keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Pairs.
    Inner,
    /// Pairs, and left rows without partner.
    Left,
    /// Left rows with a partner, once.
    Semi,
    /// Left rows without partner.
    Anti,
}

/// What pairs rows.
#[derive(Clone, Debug, PartialEq)]
pub enum JoinOn {
    /// `JOIN ... ON expr`
    On(Expr),
    /// `JOIN ... USING (columns)`
    Using(Vec<Ident>),
    /// `CROSSMATCH ... WITHIN radius options`
    Match {
        /// Radius.
        within: Expr,
        /// In the order written.
        options: Vec<MatchOption>,
    },
}

/// An option of CROSSMATCH.
#[derive(Clone, Debug, PartialEq)]
pub enum MatchOption {
    /// `NEAREST [k]`
    Nearest(Option<Number>, Span),
    /// `MUTUAL`
    Mutual(Span),
    /// `ALL`
    All(Span),
    /// `GROUPS`
    Groups(Span),
    /// `AT EPOCH year | $variable | column`
    AtEpoch(Expr),
    /// `TIME tolerance`
    Time(Expr),
}

/// A sort key.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderKey {
    /// Value, output name or position.
    pub expr: Expr,
    /// `DESC`
    pub descending: bool,
    /// `NULLS FIRST`; last when absent.
    pub nulls_first: bool,
}

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
    /// `GAPS OF codes [DURING span] [LONGER d] [TOLERANCE t]`
    Gaps {
        /// Channel pattern.
        codes: Text,
        /// Span of time.
        during: Option<Range>,
        /// Shortest gap shown.
        longer: Option<Expr>,
        /// Largest step that is not a gap.
        tolerance: Option<Expr>,
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

/// An expression and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

/// Every expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `NULL`
    Null,
    /// `TRUE`, `FALSE`
    Bool(bool),
    /// A number without unit, as written.
    Number(String),
    /// A number with a unit, both as written.
    Quantity {
        /// Digits.
        number: String,
        /// Unit.
        unit: String,
        /// Where the unit stands.
        unit_span: Span,
    },
    /// `2024-02-29T10:00`, `2024-060`, `MJD 60343.5`, `JD 2460344.0`, as written.
    Time(String),
    /// `'...'`, doubled quotes undone.
    Text(String),
    /// `$name`, without the dollar.
    Variable(String),
    /// A column.
    Column(Name),
    /// `-x`, `+x`, `NOT x`
    Unary {
        /// Operator.
        op: UnaryOp,
        /// Operand.
        operand: Box<Expr>,
    },
    /// `a op b`
    Binary {
        /// Operator.
        op: BinaryOp,
        /// Left.
        left: Box<Expr>,
        /// Right.
        right: Box<Expr>,
    },
    /// `x IS [NOT] NULL`
    IsNull {
        /// Operand.
        operand: Box<Expr>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] BETWEEN a AND b`, both ends in
    Between {
        /// Operand.
        operand: Box<Expr>,
        /// Low end.
        low: Box<Expr>,
        /// High end.
        high: Box<Expr>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] IN (a, b, ...)`
    InList {
        /// Operand.
        operand: Box<Expr>,
        /// Members.
        items: Vec<Expr>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] IN (query)`
    InQuery {
        /// Operand.
        operand: Box<Expr>,
        /// One column.
        query: Box<Query>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] IN a .. b`, `pos IN CIRCLE(..)`, `time IN '2024'`, `x IN $list`
    InRange {
        /// Operand.
        operand: Box<Expr>,
        /// Range, region or whole period.
        range: Box<Range>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] LIKE | ILIKE | MATCHES pattern`
    Match {
        /// Which.
        kind: MatchKind,
        /// Operand.
        operand: Box<Expr>,
        /// Pattern.
        pattern: Box<Expr>,
        /// NOT.
        negated: bool,
    },
    /// `x [NOT] OVERLAPS span`
    Overlaps {
        /// Operand.
        operand: Box<Expr>,
        /// Span of time.
        range: Box<Range>,
        /// NOT.
        negated: bool,
    },
    /// `CASE WHEN c THEN v ... [ELSE v] END`
    Case {
        /// Conditions and values.
        branches: Vec<(Expr, Expr)>,
        /// ELSE.
        otherwise: Option<Box<Expr>>,
    },
    /// `CAST(x AS type)`
    Cast {
        /// Operand.
        operand: Box<Expr>,
        /// One or two words (`DOUBLE PRECISION`).
        type_words: Vec<Ident>,
        /// `VARCHAR(10)`
        length: Option<Number>,
    },
    /// `EXISTS (query)`
    Exists(Box<Query>),
    /// `(query)` as a value
    Scalar(Box<Query>),
    /// `name([DISTINCT] args)` or `name(*)`
    Call {
        /// Function or aggregate.
        name: Ident,
        /// DISTINCT.
        distinct: bool,
        /// `*`
        star: bool,
        /// Arguments.
        args: Vec<Expr>,
    },
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Minus,
    /// `+`
    Plus,
    /// `NOT`
    Not,
}

/// Infix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// `OR`
    Or,
    /// `AND`
    And,
    /// `=`
    Eq,
    /// `<>`, `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `||`
    Concat,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
}

impl BinaryOp {
    /// As written.
    pub fn text(self) -> &'static str {
        match self {
            BinaryOp::Or => "OR",
            BinaryOp::And => "AND",
            BinaryOp::Eq => "=",
            BinaryOp::Ne => "<>",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Concat => "||",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
        }
    }

    /// `=`, `<>`, `<`, `<=`, `>`, `>=`
    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }
}

/// Text predicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchKind {
    /// `%` and `_`
    Like,
    /// LIKE in any case.
    ILike,
    /// FDSN wildcards.
    Matches,
}
