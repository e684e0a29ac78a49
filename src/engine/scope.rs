//! Which names mean which columns at a place of a query.

use super::plan::{OutColumn, Role};
use crate::error::{Diagnostic, Span};
use crate::lang::diagnostic::nearest;
use crate::lang::syntax::{Ident, Name};
use crate::model::table::Type;

/// A table of FROM: its alias and where its columns stand in the input.
#[derive(Clone, Debug)]
pub struct ScopeTable {
    /// Alias, else the table's name.
    pub alias: String,
    /// First column.
    pub start: usize,
    /// One past the last.
    pub end: usize,
    /// Match columns (`separation` ...) that belong to this right side.
    pub matched: std::ops::Range<usize>,
}

/// The columns in sight, in the order of the input.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Tables in order.
    pub tables: Vec<ScopeTable>,
    /// All columns.
    pub columns: Vec<OutColumn>,
    /// The first so many tables are those around a subquery: their names count where no other has them.
    pub outer: usize,
    /// Columns of USING and NATURAL that another one stands for unless their table is named.
    pub merged: Vec<usize>,
    /// Columns of no table: what both sides of a FULL JOIN ... USING share.
    pub common: Vec<usize>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// A column of the input.
    Column(usize),
    /// `pos` on the sky: longitude and latitude columns.
    SkyPoint(usize, usize),
    /// `pos` or `hypocenter` on the Earth: longitude, latitude, depth in km.
    EarthPoint(usize, usize, Option<usize>),
    /// `span`: start and end columns.
    Span(usize, usize),
}

/// Names that stand for several columns, and which tables have them.
const VIRTUAL: &[(&str, &str)] = &[
    ("pos", "tables with positions have it: IMPORT CATALOG ... POSITION (ra, dec), events, stations"),
    ("hypocenter", "events have it: longitude, latitude and depth"),
    ("span", "`segments` and `stations` have it: starttime and endtime"),
];

/// Other names of columns: the FDSN short forms.
const ALIASES: &[(&str, &str)] = &[
    ("net", "network"),
    ("sta", "station"),
    ("loc", "location"),
    ("cha", "channel"),
    ("start", "starttime"),
    ("end", "endtime"),
];

impl Scope {
    /// Of one table.
    pub fn of(alias: &str, columns: Vec<OutColumn>) -> Scope {
        let end = columns.len();
        let table = ScopeTable { alias: alias.to_owned(), start: 0, end, matched: 0..0 };
        Scope { tables: vec![table], columns, outer: 0, merged: vec![], common: vec![] }
    }

    /// Two scopes side by side, `right` after `left`.
    #[must_use]
    pub fn beside(mut self, right: Scope) -> Scope {
        let shift = self.columns.len();
        self.tables.extend(right.tables.into_iter().map(|t| ScopeTable {
            alias: t.alias,
            start: t.start + shift,
            end: t.end + shift,
            matched: t.matched.start + shift..t.matched.end + shift,
        }));
        self.columns.extend(right.columns);
        self.merged.extend(right.merged.into_iter().map(|i| i + shift));
        self.common.extend(right.common.into_iter().map(|i| i + shift));
        self
    }

    /// Without the first so many tables and columns.
    #[must_use]
    pub fn after(mut self, tables: usize, columns: usize) -> Scope {
        self.tables.drain(..tables);
        self.columns.drain(..columns);
        for t in &mut self.tables {
            (t.start, t.end) = (t.start - columns, t.end - columns);
            let shifted = |i: usize| i.saturating_sub(columns);
            t.matched = shifted(t.matched.start)..shifted(t.matched.end);
        }
        let moved = |list: Vec<usize>| list.into_iter().filter_map(|i| i.checked_sub(columns)).collect();
        (self.merged, self.common) = (moved(self.merged), moved(self.common));
        self
    }

    /// Places of the columns that `*` stands for, hidden ones left out.
    pub fn shown(&self) -> impl Iterator<Item = usize> {
        (0..self.columns.len()).filter(|i| !self.columns[*i].is_hidden && !self.merged.contains(i))
    }

    /// The table of that alias.
    pub fn table(&self, alias: &Ident) -> Option<&ScopeTable> {
        let inner = self.tables.iter().skip(self.outer);
        inner.chain(self.tables.iter().take(self.outer)).find(|t| same(&t.alias, alias))
    }

    /// Finds what a name stands for, or says what is near.
    pub fn resolve(&self, name: &Name) -> Result<Resolved, Diagnostic> {
        let (table, column) = match name.parts.as_slice() {
            [column] => (None, column),
            [.., table, column] => (Some(table), column),
            [] => return Err(Diagnostic::new("a name is missing", name.span)),
        };
        let tables: Vec<&ScopeTable> = match table {
            None => {
                let (outer, inner) = self.tables.split_at(self.outer);
                let is_inner = inner.iter().any(|t| self.in_table(t, column).is_some());
                (if is_inner || outer.is_empty() { inner } else { outer }).iter().collect()
            }
            Some(alias) => match self.table(alias) {
                Some(t) => vec![t],
                None => return Err(self.no_table(alias)),
            },
        };
        if let (None, Some(index)) = (table, self.common_column(column)) {
            return Ok(Resolved::Column(index));
        }
        let mut found: Vec<(&ScopeTable, Resolved)> = vec![];
        for t in &tables {
            found.extend(self.in_table(t, column).map(|r| (*t, r)));
        }
        let is_merged = |r: &Resolved| matches!(r, Resolved::Column(i) if self.merged.contains(i));
        found.retain(|(_, r)| table.is_some() || !is_merged(r));
        found.dedup_by(|a, b| a.1 == b.1);
        match found.as_slice() {
            [(_, one)] => Ok(one.clone()),
            [] => Err(self.no_column(&tables, column, name.span)),
            many => Err(ambiguous(many, column, name.span)),
        }
    }

    fn common_column(&self, name: &Ident) -> Option<usize> {
        self.common.iter().copied().find(|&i| same(&self.columns[i].column.name, name))
    }

    fn in_table(&self, table: &ScopeTable, name: &Ident) -> Option<Resolved> {
        let places = || (table.start..table.end).chain(table.matched.clone());
        let exact =
            places().find(|&i| self.columns[i].column.name == name.text && !self.columns[i].is_hidden);
        if let Some(index) = exact {
            return Some(Resolved::Column(index));
        }
        if name.quoted {
            return None;
        }
        let wanted =
            ALIASES.iter().find(|a| a.0.eq_ignore_ascii_case(&name.text)).map_or(&*name.text, |a| a.1);
        let by = |wanted: &str| {
            places().find(|&i| {
                !self.columns[i].is_hidden && self.columns[i].column.name.eq_ignore_ascii_case(wanted)
            })
        };
        if let Some(index) = by(&name.text).or_else(|| by(wanted)) {
            return Some(Resolved::Column(index));
        }
        self.virtual_column(table, &name.text.to_ascii_lowercase())
    }

    /// `pos`, `hypocenter`, `span`.
    pub fn virtual_column(&self, table: &ScopeTable, name: &str) -> Option<Resolved> {
        let role = |role: Role| (table.start..table.end).find(|&i| self.columns[i].role == role);
        let earth = || Some((role(Role::Longitude)?, role(Role::Latitude)?));
        match name {
            "pos" => match role(Role::Ra).zip(role(Role::Dec)) {
                Some((ra, dec)) => Some(Resolved::SkyPoint(ra, dec)),
                None => earth().map(|(lon, lat)| Resolved::EarthPoint(lon, lat, None)),
            },
            "hypocenter" => earth().map(|(lon, lat)| Resolved::EarthPoint(lon, lat, role(Role::DepthKm))),
            "span" => role(Role::Start).zip(role(Role::End)).map(|(s, e)| Resolved::Span(s, e)),
            _ => None,
        }
    }

    /// The position that two columns spell, where they are those it was read from.
    pub fn position_of(&self, lon: usize, lat: usize) -> Option<(usize, usize)> {
        let role = |i: usize| self.columns.get(i).map(|c| c.role);
        if (role(lon), role(lat)) != (Some(Role::RaColumn), Some(Role::DecColumn)) {
            return None;
        }
        let table = self.tables.iter().find(|t| (t.start..t.end).contains(&lon))?;
        let own = |wanted: Role| {
            let mut places = (table.start..table.end).filter(|&i| role(i) == Some(wanted));
            places.next().filter(|_| places.next().is_none())
        };
        Some((own(Role::Ra)?, own(Role::Dec)?)).filter(|_| (table.start..table.end).contains(&lat))
    }

    /// The alias of the table that a column belongs to.
    pub fn owner(&self, index: usize) -> Option<&str> {
        let owns = |t: &&ScopeTable| (t.start..t.end).contains(&index) || t.matched.contains(&index);
        self.tables.iter().find(owns).map(|t| t.alias.as_str())
    }

    fn no_table(&self, alias: &Ident) -> Diagnostic {
        let near = nearest(&alias.text, self.tables.iter().map(|t| t.alias.as_str()));
        let mut error = Diagnostic::new(format!("no table `{}` in this query", alias.text), alias.span);
        let list: Vec<&str> = self.tables.iter().map(|t| t.alias.as_str()).collect();
        error.help = match near {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => (!list.is_empty()).then(|| format!("its tables: {}", list.join(", "))),
        };
        error
    }

    fn no_column(&self, tables: &[&ScopeTable], name: &Ident, span: Span) -> Diagnostic {
        let places = tables.iter().flat_map(|t| (t.start..t.end).chain(t.matched.clone()));
        let names: Vec<&str> = places
            .map(|i| &self.columns[i])
            .filter(|c| !c.is_hidden)
            .map(|c| c.column.name.as_str())
            .collect();
        let shown = if name.quoted { format!("\"{}\"", name.text) } else { format!("`{}`", name.text) };
        let place = match tables {
            [] => " here: the query has no FROM".to_owned(),
            [one] => format!(" in `{}`", one.alias),
            many => {
                let list: Vec<String> = many.iter().map(|t| format!("`{}`", t.alias)).collect();
                format!(" in {}", list.join(" or "))
            }
        };
        let mut error = Diagnostic::new(format!("no column {shown}{place}"), span);
        if let Some((_, help)) = VIRTUAL.iter().find(|v| !name.quoted && v.0.eq_ignore_ascii_case(&name.text))
        {
            return error.help(*help);
        }
        error.help = match nearest(&name.text, names.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if name.quoted => Some(format!("text goes in single quotes: '{}'", name.text)),
            None if names.len() <= 12 && !names.is_empty() => {
                Some(format!("its columns: {}", names.join(", ")))
            }
            None => tables.first().map(|t| format!("`DESCRIBE {}` lists its columns", t.alias)),
        };
        error
    }
}

fn same(name: &str, ident: &Ident) -> bool {
    name == ident.text || (!ident.quoted && name.eq_ignore_ascii_case(&ident.text))
}

fn ambiguous(found: &[(&ScopeTable, Resolved)], name: &Ident, span: Span) -> Diagnostic {
    let list: Vec<String> = found.iter().map(|(t, _)| format!("`{}.{}`", t.alias, name.text)).collect();
    Diagnostic::new(format!("`{}` is ambiguous", name.text), span)
        .help(format!("write {}", list.join(" or ")))
}

/// Types that have no Arrow column of their own are shown as text.
pub fn shown_type(kind: Type) -> Type {
    match kind {
        Type::Point | Type::Span | Type::Region => Type::Text,
        other => other,
    }
}
