//! Statements other than queries.

use std::fmt::{Display, Formatter, Result};

use super::expr::{Factor, Guarded, Sum};
use super::{Clause, List, Quoted, is_bare};
use crate::lang::syntax::{
    Copy, CopyOption, Describe, Fetch, FetchKind, FetchOption, Import, ImportKind, ImportOption, LetValue,
    Plot, Show, StatementKind, TilesOn,
};

impl Display for StatementKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        use StatementKind::*;
        match self {
            Explain { analyze, statement } => {
                write!(f, "EXPLAIN {}{statement}", if *analyze { "ANALYZE " } else { "" })
            }
            Let { name, value: LetValue::Query(query) } => write!(f, "LET {name} = ({query})"),
            Let { name, value: LetValue::Value(range) } => write!(f, "LET {name} = {}", Guarded(range)),
            Set { name, value } => write!(f, "SET {name} = {value}"),
            Show(what) => what.fmt(f),
            Describe(self::Describe::Variable(name)) => write!(f, "DESCRIBE ${}", name.text),
            Describe(self::Describe::Name(name)) => write!(f, "DESCRIBE {name}"),
            Describe(self::Describe::Query(query)) => write!(f, "DESCRIBE {query}"),
            Include(path) => write!(f, "INCLUDE {path}"),
            Import(import) => import.fmt(f),
            Refresh { full, name } => {
                f.write_str(if *full { "REFRESH FULL" } else { "REFRESH" })?;
                name.as_ref().map_or(Ok(()), |name| write!(f, " {name}"))
            }
            Fetch(fetch) => fetch.fmt(f),
            Copy(copy) => copy.fmt(f),
            Plot(plot) => plot.fmt(f),
            Drop { if_exists, name } => {
                write!(f, "DROP TABLE {}{name}", if *if_exists { "IF EXISTS " } else { "" })
            }
            Compact(Some(name)) => write!(f, "COMPACT {name}"),
            Compact(None) => f.write_str("COMPACT"),
            Query(query) => query.fmt(f),
        }
    }
}

impl Display for Show {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let what = match self {
            Show::Tables => "TABLES",
            Show::Sources => "SOURCES",
            Show::Status => "STATUS",
            Show::Changes(Some(name)) => return write!(f, "SHOW CHANGES {name}"),
            Show::Changes(None) => "CHANGES",
            Show::Indexes => "INDEXES",
            Show::Settings => "SETTINGS",
            Show::Functions => "FUNCTIONS",
            Show::Units => "UNITS",
            Show::Jobs => "JOBS",
            Show::Variables => "VARIABLES",
        };
        write!(f, "SHOW {what}")
    }
}

impl Display for Import {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let kind = match self.kind {
            ImportKind::Waveforms => "WAVEFORMS",
            ImportKind::Events => "EVENTS",
            ImportKind::Stations => "STATIONS",
            ImportKind::Catalog => "CATALOG",
        };
        write!(f, "IMPORT {kind} {}", self.path)?;
        self.options.iter().try_for_each(|option| write!(f, " {option}"))
    }
}

impl Display for ImportOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        use ImportOption::*;
        match self {
            Into(name) => write!(f, "INTO {name}"),
            Format(name) => write!(f, "FORMAT {name}"),
            Layout(name, _) if is_bare(name) => write!(f, "LAYOUT {name}"),
            Layout(pattern, _) => write!(f, "LAYOUT {}", Quoted(pattern)),
            Sealed(patterns, _) => write!(f, "SEALED {}", Quoted(patterns)),
            Key(column) => write!(f, "KEY {column}"),
            Position(lon, lat) => write!(f, "POSITION ({lon}, {lat})"),
            Motion(lon, lat) => write!(f, "MOTION ({lon}, {lat})"),
            Frame(name) => write!(f, "FRAME {name}"),
            EpochYear(year) => write!(f, "EPOCH {year}"),
            EpochColumn(column) => write!(f, "EPOCH {column}"),
            Nulls(values) => {
                let values: Vec<_> = values.iter().map(|(c, v)| format!("{c} {}", Factor(v))).collect();
                write!(f, "NULLS ({})", List(&values, ", "))
            }
            Time(column, scale) => write!(f, "TIME {column}{}", Clause("SCALE", scale)),
            Units(units) => {
                let units: Vec<_> = units.iter().map(|(c, unit, _)| format!("{c} {unit}")).collect();
                write!(f, "UNITS ({})", List(&units, ", "))
            }
            SortedBy(columns) => write!(f, "SORTED BY {}", List(columns, ", ")),
            Near(source, within) => write!(f, "NEAR {source} WITHIN {}", Sum(within)),
            Where(condition) => write!(f, "WHERE {condition}"),
            Append(_) => f.write_str("APPEND"),
            Replace(_) => f.write_str("REPLACE"),
        }
    }
}

impl Display for Fetch {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let kind = match self.kind {
            None => "",
            Some(FetchKind::Catalog) => "CATALOG ",
            Some(FetchKind::Waveforms) => "WAVEFORMS ",
            Some(FetchKind::Events) => "EVENTS ",
            Some(FetchKind::Stations) => "STATIONS ",
            Some(FetchKind::Files) => "FILES ",
        };
        write!(f, "FETCH {kind}{} FROM {}", self.name, self.from)?;
        self.options.iter().try_for_each(|option| write!(f, " {option}"))
    }
}

impl Display for FetchOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        use FetchOption::*;
        match self {
            Query(text, _) => write!(f, "QUERY {}", Quoted(text)),
            Codes(codes) => write!(f, "CODES {codes}"),
            During(span) => write!(f, "DURING {span}"),
            Near(source, within) => write!(f, "NEAR {source} WITHIN {}", Sum(within)),
            Tiles(order, None) => write!(f, "TILES ORDER {order}"),
            Tiles(order, Some(TilesOn::Position(lon, lat))) => {
                write!(f, "TILES ORDER {order} ON ({lon}, {lat})")
            }
            Tiles(order, Some(TilesOn::Index(column, divisor))) => {
                write!(f, "TILES ORDER {order} ON {column} DIV {divisor}")
            }
            Parallel(n) => write!(f, "PARALLEL {n}"),
            Rate(rate) => write!(f, "RATE {}", Sum(rate)),
            Retry(n) => write!(f, "RETRY {n}"),
            Timeout(d) => write!(f, "TIMEOUT {}", Sum(d)),
            Replace(_) => f.write_str("REPLACE"),
        }
    }
}

impl Display for Copy {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "COPY {} TO {}", self.query, self.to)?;
        self.options.iter().try_for_each(|option| write!(f, " {option}"))
    }
}

impl Display for CopyOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            CopyOption::Format(name) => write!(f, "FORMAT {name}"),
            CopyOption::Replace(_) => f.write_str("REPLACE"),
            CopyOption::Append(_) => f.write_str("APPEND"),
            CopyOption::Compress(name) => write!(f, "COMPRESS {name}"),
            CopyOption::Weight(name) => write!(f, "WEIGHT {name}"),
            CopyOption::Sign(sign) => write!(f, "SIGN {sign}"),
            CopyOption::Station(name) => write!(f, "STATION {name}"),
        }
    }
}

impl Display for Plot {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("PLOT ")?;
        if let Some(kind) = &self.kind {
            write!(f, "{kind} ")?;
        }
        write!(f, "{}{}", self.query, Clause("TO", &self.to))?;
        if self.replace { f.write_str(" REPLACE") } else { Ok(()) }
    }
}
