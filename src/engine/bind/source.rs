//! FROM: tables, views, subqueries, verbs; joins and matches; and which conditions may act before them.

use super::arith::{measure, units_of};
use super::expr::ExprBinder;
use super::join::{base_table, joined};
use super::query::BRANCHES;
use super::{Binder, read_shared};
use crate::engine::plan::{JoinCondition, Match, MatchMode, Node, OutColumn, Plan, Role, Scan};
use crate::engine::scope::{Scope, ScopeTable};
use crate::engine::session::Variable;
use crate::engine::tables::TableInfo;
use crate::error::{Diagnostic, Result, Span};
use crate::lang::diagnostic::nearest;
use crate::lang::syntax::{
    self, FromItem, Ident, Join, JoinKind, JoinOn, MatchOption, Name, Source, SourceKind,
};
use crate::model::table::{Column, Type};
use crate::model::units::Dimension;

impl Binder<'_> {
    /// The whole FROM; nothing is one row without columns.
    pub fn from(&self, items: &[FromItem]) -> Result<(Node, Scope)> {
        // Conditions of ON stand before the columns that subqueries of SELECT add.
        self.frames.borrow_mut().push(None);
        let done = self.sources(items);
        self.frames.borrow_mut().pop();
        done
    }

    fn sources(&self, items: &[FromItem]) -> Result<(Node, Scope)> {
        if items.iter().map(|i| 1 + i.joins.len()).sum::<usize>() > BRANCHES {
            let span = items[0].source.span;
            return Err(Diagnostic::new(format!("more than {BRANCHES} tables in one FROM"), span).into());
        }
        let mut whole: Option<(Node, Scope)> = None;
        for item in items {
            let (node, scope) = self.joined_item(item, whole.as_ref().map(|w| &w.1))?;
            whole = Some(match whole {
                None => (node, scope),
                Some((left, left_scope)) => {
                    one_alias_each(&left_scope, &scope, item.source.span)?;
                    let scope = left_scope.beside(scope);
                    (joined(JoinKind::Inner, left, node, JoinCondition::default()), scope)
                }
            });
        }
        Ok(whole.unwrap_or_else(|| (Node { plan: Plan::One, columns: vec![] }, Scope::default())))
    }

    /// A source and its joins; `left` are the sources before it.
    fn joined_item(&self, item: &FromItem, left: Option<&Scope>) -> Result<(Node, Scope)> {
        let (mut node, mut scope) = self.source_beside(&item.source, left)?;
        for join in &item.joins {
            (node, scope) = self.join(node, scope, join)?;
        }
        Ok((node, scope))
    }

    /// A source after others: a name of those inside a subquery is refused as correlated.
    fn source_beside(&self, source: &Source, left: Option<&Scope>) -> Result<(Node, Scope)> {
        let Some(left) = left else { return self.source(source) };
        self.enter(left, true);
        let done = self.source(source);
        self.leave();
        done
    }

    /// A table, view, subquery or verb, with its alias.
    pub fn source(&self, source: &Source) -> Result<(Node, Scope)> {
        let (node, name) = match &source.kind {
            SourceKind::Name(name) => {
                (self.table(name)?, name.parts.last().map_or("", |p| &p.text).to_owned())
            }
            SourceKind::Joined(item) => return self.in_brackets(item, source),
            SourceKind::Query(query) => (self.query(query)?, "the subquery".to_owned()),
            SourceKind::Verb(verb) => self.verb(verb, source.span)?,
            SourceKind::Variable(name) => (self.rows_of_view(name, source.span)?, name.clone()),
        };
        let alias = source.alias.as_ref().map_or(name, |a| a.text.clone());
        let scope = Scope::of(&alias, node.columns.clone());
        Ok((node, scope))
    }

    /// `( a JOIN b ON ... )`: its tables keep their names.
    fn in_brackets(&self, item: &FromItem, source: &Source) -> Result<(Node, Scope)> {
        if let Some(alias) = &source.alias {
            return Err(Diagnostic::new("joined tables in brackets keep their own names", alias.span)
                .help("leave the alias out, or write `(SELECT * FROM ... JOIN ...) AS name`")
                .into());
        }
        if item.joins.len() >= BRANCHES {
            let message = format!("more than {BRANCHES} tables in one FROM");
            return Err(Diagnostic::new(message, source.span).into());
        }
        self.joined_item(item, None)
    }

    /// The rows of `$name`.
    pub fn rows_of_view(&self, name: &str, span: Span) -> Result<Node> {
        match self.context.session.variables.get(name) {
            Some(Variable::View(view)) => Ok(read_shared(Binder::view(self, name, view, span)?)),
            Some(Variable::Value(_) | Variable::List(_)) => {
                Err(Diagnostic::new(format!("${name} is a value, not a query"), span)
                    .help(format!("LET {name} = (SELECT ...)"))
                    .into())
            }
            None => Err(Diagnostic::new(format!("${name} has no value"), span)
                .help(format!("LET {name} = (SELECT ...)"))
                .into()),
        }
    }

    /// A stored table, a WITH query, or the rows of a source.
    pub fn table(&self, name: &Name) -> Result<Node> {
        let Some(last) = name.parts.last() else {
            return Err(Diagnostic::new("a name is missing", name.span).into());
        };
        if name.parts.len() == 1
            && let Some(shared) = self.find_with(last)
        {
            return Ok(read_shared(shared));
        }
        let tables = self.context.tables;
        if let Some(info) = tables.find(&last.text).filter(|info| !last.quoted || info.name == last.text) {
            return Ok(scan(&info, None));
        }
        let catalogue = tables.catalogue();
        let source = catalogue.sources.iter().find(|s| s.name.eq_ignore_ascii_case(&last.text));
        let rows_of = source.and_then(|s| match s.kind.as_str() {
            "waveforms" => Some("segments"),
            "events" => Some("events"),
            "stations" => Some("stations"),
            _ => None,
        });
        match rows_of.and_then(|t| tables.find(t)).zip(source) {
            Some((info, source)) => Ok(scan(&info, Some(source.name.clone()))),
            None => Err(self.no_table(last).into()),
        }
    }

    fn no_table(&self, name: &Ident) -> Diagnostic {
        let names = self.context.tables.names();
        let sources = self.context.tables.catalogue().sources.iter().map(|s| s.name.as_str());
        let near = nearest(&name.text, names.iter().map(String::as_str).chain(sources));
        let help = match near {
            Some(near) => format!("did you mean `{near}`? (SHOW TABLES lists them)"),
            None => format!("IMPORT CATALOG 'file' INTO {}; SHOW TABLES lists what is there", name.text),
        };
        Diagnostic::new(format!("no table `{}`", name.text), name.span).help(help)
    }

    fn join(&self, left: Node, left_scope: Scope, join: &Join) -> Result<(Node, Scope)> {
        let (right, right_scope) = self.source_beside(&join.source, Some(&left_scope))?;
        let is_match = matches!(join.on, JoinOn::Match { .. });
        if !(is_match && matches!(join.kind, JoinKind::Semi | JoinKind::Anti)) {
            one_alias_each(&left_scope, &right_scope, join.source.span)?;
        }
        match &join.on {
            JoinOn::Match { .. } if matches!(join.kind, JoinKind::Right | JoinKind::Full) => {
                Err(super::outer::no_outer_match(join.kind, join.span).into())
            }
            JoinOn::Match { within, options } => {
                self.crossmatch((left, left_scope), (right, right_scope), join.kind, (within, options))
            }
            JoinOn::On(on) => {
                let both = left_scope.clone().beside(right_scope);
                let binder = ExprBinder { binder: self, scope: &both, grouping: None };
                let residual = Some(binder.condition(on)?);
                let on = JoinCondition { residual, ..JoinCondition::default() };
                Ok(joined_tables(join.kind, left, right, (left_scope, both), on))
            }
            JoinOn::Natural => {
                let names = super::outer::common_names(&left_scope, &right_scope, join.span)?;
                self.join_using(join.kind, (left, left_scope), (right, right_scope), &names)
            }
            JoinOn::Using(names) => {
                self.join_using(join.kind, (left, left_scope), (right, right_scope), names)
            }
        }
    }

    fn crossmatch(
        &self,
        left: (Node, Scope),
        right: (Node, Scope),
        kind: JoinKind,
        clause: (&syntax::Expr, &[MatchOption]),
    ) -> Result<(Node, Scope)> {
        let (within, options) = clause;
        let ((left, left_scope), (right, right_scope)) = (left, right);
        for (scope, node) in [(&left_scope, &left), (&right_scope, &right)] {
            let alias = scope.tables.first().map_or("the table", |t| t.alias.as_str());
            if node.role(Role::Longitude).is_some() {
                let what = format!("CROSSMATCH of positions on the Earth (`{alias}`)");
                return Err(later(&what, within.span)
                    .help("JOIN ... ON DISTANCE(a.pos, b.pos) <= 10 km finds all pairs")
                    .into());
            }
            if node.role(Role::Ra).is_none() || node.role(Role::Dec).is_none() {
                return Err(Diagnostic::new(format!("`{alias}` has no position column"), within.span)
                    .help("IMPORT CATALOG ... POSITION (ra, dec) says where it is; DISTINCT, GROUP BY and set operators lose it")
                    .into());
            }
        }
        self.one_radius(within, left_scope.clone().beside(right_scope.clone()))?;
        let radius_deg = self.radius(within, &left_scope)?;
        let mode = match_mode(kind, &self.figures(options)?)?;
        let place = |node: &Node| node.role(Role::Ra).zip(node.role(Role::Dec)).unwrap_or_default();
        let plan = Match {
            kind,
            places: [place(&left), place(&right)],
            excludes_self: base_table(&left).is_some_and(|table| base_table(&right) == Some(table)),
            left: Box::new(left),
            right: Box::new(right),
            radius_deg,
            is_strict: false,
            mode,
            residual: None,
            has_match_columns: !matches!(kind, JoinKind::Semi | JoinKind::Anti),
        };
        let mut columns = plan.left.columns.clone();
        if matches!(kind, JoinKind::Semi | JoinKind::Anti) {
            return Ok((Node { plan: Plan::Match(plan), columns }, left_scope));
        }
        let mut scope = left_scope.beside(right_scope);
        columns.extend(plan.right.columns.iter().cloned());
        let start = columns.len();
        columns.extend(match_columns().into_iter().map(OutColumn::plain));
        scope.columns.extend(match_columns().into_iter().map(OutColumn::plain));
        if let Some(table) = scope.tables.last_mut() {
            table.matched = start..columns.len();
        }
        // Each position belongs to its own table; the match as a whole is where its first table is.
        Ok((Node { plan: Plan::Match(plan), columns }, scope))
    }

    /// Refuses a radius that differs from row to row.
    fn one_radius(&self, within: &syntax::Expr, scope: Scope) -> Result<()> {
        let value = ExprBinder { binder: self, scope: &scope, grouping: None }.scalar(within)?;
        let mut is_of_row = false;
        value.expr.columns(&mut |_| is_of_row = true);
        match (is_of_row, &value.unit) {
            (false, _) => Ok(()),
            (true, None) => Err(Diagnostic::new("a match radius needs a unit", within.span)
                .help(format!("`{within} * 1 arcsec`"))
                .into()),
            (true, Some(_)) => Err(later("a match radius of each row", within.span)
                .help("JOIN ... ON DISTANCE(a.pos, b.pos) <= radius in degrees finds all pairs")
                .into()),
        }
    }

    fn radius(&self, within: &syntax::Expr, left: &Scope) -> Result<f64> {
        let binder = ExprBinder { binder: self, scope: &Scope::default(), grouping: None };
        let value = binder.scalar(within)?;
        let alias = left.tables.first().map_or("the table", |t: &ScopeTable| t.alias.as_str());
        if let Some(unit) = value.unit.as_ref().filter(|u| u.dimension != Dimension::Angle) {
            let message = format!(
                "`{alias}` holds sky positions: the radius must be an angle, not {}",
                unit.dimension.name()
            );
            return Err(Diagnostic::new(message, within.span).help(units_of(Dimension::Angle)).into());
        }
        let radius_deg = measure(&value, within.span, Dimension::Angle, ("a match radius", "arcsec"))?;
        if radius_deg < 0.0 {
            return Err(Diagnostic::new("a match radius cannot be negative", within.span).into());
        }
        Ok(radius_deg)
    }
}

/// Two tables of one name cannot be told apart.
fn one_alias_each(left: &Scope, right: &Scope, span: Span) -> Result<(), Diagnostic> {
    let taken = |alias: &str| left.tables.iter().any(|t| t.alias.eq_ignore_ascii_case(alias));
    match right.tables.iter().find(|t| taken(&t.alias)) {
        Some(table) => Err(Diagnostic::new(format!("two tables are called `{}` here", table.alias), span)
            .help(format!("give each a name: `{0} AS a, {0} AS b`", table.alias))),
        None => Ok(()),
    }
}

/// Columns that a match adds on the right side.
pub fn match_columns() -> Vec<Column> {
    vec![
        Column::typed("separation", Type::Float).with_unit("arcsec"),
        Column::typed("position_angle", Type::Float).with_unit("deg"),
        Column::typed("match_rank", Type::Int),
        Column::typed("n_within", Type::Int),
        Column::typed("separation2", Type::Float).with_unit("arcsec"),
    ]
}

fn match_mode(kind: JoinKind, options: &[MatchOption]) -> Result<MatchMode, Diagnostic> {
    let mut mode = MatchMode::Nearest(1);
    for option in options {
        mode = match option {
            MatchOption::Nearest(None, _) => MatchMode::Nearest(1),
            MatchOption::Nearest(Some(n), _) => match n.text.parse::<usize>() {
                Ok(k) if k > 0 => MatchMode::Nearest(k),
                _ => return Err(Diagnostic::new("NEAREST takes a whole number above 0", n.span)),
            },
            MatchOption::All(_) => MatchMode::All,
            MatchOption::Mutual(_) => MatchMode::Mutual,
            MatchOption::Groups(span) => return Err(later("GROUPS", *span)),
            MatchOption::AtEpoch(e) => return Err(later("AT EPOCH", e.span)),
            MatchOption::Time(e) => return Err(later("TIME in a match", e.span)),
        };
    }
    if matches!(kind, JoinKind::Semi | JoinKind::Anti)
        && matches!(mode, MatchMode::All | MatchMode::Nearest(_))
    {
        return Ok(MatchMode::Nearest(1));
    }
    Ok(mode)
}

/// The columns in sight after a join.
fn in_sight(kind: JoinKind, left: Scope, both: Scope) -> Scope {
    if matches!(kind, JoinKind::Semi | JoinKind::Anti) { left } else { both }
}

/// A part of the language that parses and is not there yet.
pub fn later(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(format!("{what} is not there yet"), span)
        .help("it is planned for a later version; CHANGELOG.md says what is in this one")
}

fn scan(info: &TableInfo, source: Option<String>) -> Node {
    let plan = Plan::Scan(Scan {
        table: info.name.clone(),
        source,
        columns: (0..info.columns.len()).collect(),
        ranges: vec![],
        region: None,
        channels: vec![],
    });
    Node { plan, columns: info.columns.clone() }
}
/// A join by a condition on both sides.
pub(super) fn joined_tables(
    kind: JoinKind,
    left: Node,
    right: Node,
    scopes: (Scope, Scope),
    on: JoinCondition,
) -> (Node, Scope) {
    let scope = in_sight(kind, scopes.0, scopes.1);
    match kind {
        JoinKind::Right => return (super::outer::right_join(left, right, on), scope),
        JoinKind::Full => return (super::outer::full_join(left, right, on), scope),
        _ => {}
    }
    (joined(kind, left, right, on), scope)
}
