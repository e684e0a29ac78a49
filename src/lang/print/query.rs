//! Queries.

use std::fmt::{Display, Formatter, Result};

use super::expr::Sum;
use super::{Clause, List};
use crate::lang::syntax::{
    Body, FromItem, Item, Join, JoinKind, JoinOn, MatchOption, OrderKey, Query, Select, SetKind, SetOp,
    Source, SourceKind, Verb,
};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (n, (name, query)) in self.with.iter().enumerate() {
            write!(f, "{}{name} AS ({query})", if n == 0 { "WITH " } else { ", " })?;
        }
        if !self.with.is_empty() {
            f.write_str(" ")?;
        }
        write!(f, "{}", self.body)?;
        for op in &self.set_ops {
            write!(f, " {op}")?;
        }
        if !self.order.is_empty() {
            write!(f, " ORDER BY {}", List(&self.order, ", "))?;
        }
        write!(f, "{}{}", Clause("LIMIT", &self.limit), Clause("OFFSET", &self.offset))
    }
}

impl Display for SetOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let word = match self.kind {
            SetKind::Union => "UNION",
            SetKind::Intersect => "INTERSECT",
            SetKind::Except => "EXCEPT",
        };
        write!(f, "{word} {}{}", if self.all { "ALL " } else { "" }, self.body)
    }
}

impl Display for Body {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Body::Select(select) => select.fmt(f),
            Body::Nested(query) => write!(f, "({query})"),
        }
    }
}

impl Display for Select {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.items {
            Some(items) => {
                let distinct = if self.distinct { " DISTINCT" } else { "" };
                write!(f, "SELECT{distinct}{} {}", Clause("TOP", &self.top), List(items, ", "))?;
                if !self.from.is_empty() {
                    write!(f, " FROM {}", List(&self.from, ", "))?;
                }
            }
            None if self.is_verb() => write!(f, "{}", List(&self.from, ", "))?,
            None => write!(f, "FROM {}", List(&self.from, ", "))?,
        }
        write!(f, "{}", Clause("WHERE", &self.filter))?;
        if !self.group.is_empty() {
            write!(f, " GROUP BY {}", List(&self.group, ", "))?;
        }
        write!(f, "{}", Clause("HAVING", &self.having))
    }
}

impl Select {
    /// A verb alone.
    fn is_verb(&self) -> bool {
        let [FromItem { source, joins }] = self.from.as_slice() else { return false };
        joins.is_empty() && source.alias.is_none() && matches!(source.kind, SourceKind::Verb(_))
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Item::Star(_) => f.write_str("*"),
            Item::QualifiedStar(name) => write!(f, "{name}.*"),
            Item::Expr { expr, alias } => write!(f, "{expr}{}", Clause("AS", alias)),
        }
    }
}

impl Display for FromItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", self.source)?;
        self.joins.iter().try_for_each(|join| write!(f, " {join}"))
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            SourceKind::Verb(verb) => {
                write!(f, "{verb}")?;
                // AS would name the inner source
                if let (Verb::Pairs { source, options }, Some(alias)) = (verb.as_ref(), &self.alias)
                    && options.is_empty()
                    && source.alias.is_none()
                {
                    return write!(f, " {alias}");
                }
            }
            SourceKind::Query(query) => write!(f, "({query})")?,
            SourceKind::Joined(item) => write!(f, "({item})")?,
            SourceKind::Variable(name) => write!(f, "${name}")?,
            SourceKind::Name(name) => write!(f, "{name}")?,
        }
        write!(f, "{}", Clause("AS", &self.alias))
    }
}

impl Display for Join {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.on == JoinOn::Natural {
            f.write_str("NATURAL ")?;
        }
        f.write_str(match self.kind {
            JoinKind::Inner => "",
            JoinKind::Left => "LEFT ",
            JoinKind::Right => "RIGHT ",
            JoinKind::Full => "FULL ",
            JoinKind::Semi => "SEMI ",
            JoinKind::Anti => "ANTI ",
        })?;
        match &self.on {
            JoinOn::On(condition) => write!(f, "JOIN {} ON {condition}", self.source),
            JoinOn::Natural => write!(f, "JOIN {}", self.source),
            JoinOn::Using(columns) => write!(f, "JOIN {} USING ({})", self.source, List(columns, ", ")),
            JoinOn::Match { within, options } => {
                write!(f, "CROSSMATCH {} WITHIN {}", self.source, Sum(within))?;
                options.iter().try_for_each(|option| write!(f, " {option}"))
            }
        }
    }
}

impl Display for MatchOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            MatchOption::Nearest(Some(k), _) => write!(f, "NEAREST {k}"),
            MatchOption::Nearest(None, _) => f.write_str("NEAREST"),
            MatchOption::Mutual(_) => f.write_str("MUTUAL"),
            MatchOption::All(_) => f.write_str("ALL"),
            MatchOption::Groups(_) => f.write_str("GROUPS"),
            MatchOption::AtEpoch(epoch) => write!(f, "AT EPOCH {epoch}"),
            MatchOption::Time(tolerance) => write!(f, "TIME {}", Sum(tolerance)),
        }
    }
}

impl Display for OrderKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let descending = if self.descending { " DESC" } else { "" };
        let nulls = if self.nulls_first { " NULLS FIRST" } else { "" };
        write!(f, "{}{descending}{nulls}", self.expr)
    }
}
