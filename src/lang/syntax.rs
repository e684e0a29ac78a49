//! The syntax tree: what was written, with the place of every part. It knows no table and no type; the binder
//! gives names, units and types their meaning.

mod expr;
mod query;
mod verb;

pub use expr::*;
pub use query::*;
pub use verb::*;

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
    /// `$name`, without the dollar: the columns of a view, or the type of a value.
    Variable(Ident),
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
    /// `SEALED '2019,202?/IU'`
    Sealed(String, Span),
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
