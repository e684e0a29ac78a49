//! Which files of an archive are wanted: WHERE and NEAR of IMPORT WAVEFORMS, decided by what paths tell, before a
//! file is opened. The selection is kept with the source, so that REFRESH goes on with it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef, StringArray, TimestampNanosecondArray};

use crate::engine::bind::expr::ExprBinder;
use crate::engine::bind::query::duration_ns;
use crate::engine::bind::{Binder, Context};
use crate::engine::exec::collect_one;
use crate::engine::expr::{Expr, arrow_error};
use crate::engine::plan::{OutColumn, Role};
use crate::engine::scope::Scope;
use crate::engine::session::Session;
use crate::engine::tables::shown_bytes;
use crate::error::{Diagnostic, Error, Result};
use crate::format::layout::{Layout, Named};
use crate::lang::parse;
use crate::lang::syntax::{self, Import, ImportOption as O, Source, StatementKind, Text, TextKind};
use crate::model::table::{Batch, Column, Schema, Type};
use crate::model::time::Time;
use crate::store::SourceEntry;

/// Option of a source: the text of WHERE and NEAR.
pub(super) const SELECTION: &str = "selection";
/// Option of a source: how its files are named.
pub(super) const LAYOUT: &str = "layout";

/// What tells wanted files from others.
pub(super) struct Selection {
    layout: Layout,
    condition: Option<Expr>,
    near: Option<Near>,
}

/// Times that files are wanted for, by (network, station), (station) or for all.
#[derive(Debug, Default)]
struct Near {
    by_code: HashMap<(String, String), Vec<(i64, i64)>>,
    by_station: HashMap<String, Vec<(i64, i64)>>,
    anywhere: Vec<(i64, i64)>,
}

/// The columns that WHERE can name.
fn facts_schema() -> Vec<OutColumn> {
    let text = |name: &str| (Column::typed(name, Type::Text), Role::Plain);
    let columns = [
        text("path"),
        (Column::typed("code", Type::Text), Role::Code),
        text("network"),
        text("station"),
        (Column::typed("location", Type::Text), Role::Location),
        text("channel"),
        (Column::typed("starttime", Type::Time), Role::Start),
        (Column::typed("endtime", Type::Time), Role::End),
    ];
    columns.into_iter().map(|(column, role)| OutColumn { column, role, is_hidden: false }).collect()
}

/// The options of an IMPORT that select, as one text to keep; `None` where there are none.
pub(super) fn text_of(import: &Import) -> Option<String> {
    let is_ours = |o: &&O| matches!(o, O::Where(_) | O::Near(..));
    let options: Vec<O> = import.options.iter().filter(is_ours).cloned().collect();
    if options.is_empty() {
        return None;
    }
    let path = Text { kind: TextKind::Literal(String::new()), ..import.path.clone() };
    let text = Import { path, options, ..import.clone() }.to_string();
    Some(text.trim_start_matches("IMPORT WAVEFORMS ''").trim().to_owned())
}

impl Selection {
    /// Of a statement.
    pub(super) fn of_import(
        import: &Import,
        layout: Option<&str>,
        context: &Context<'_>,
    ) -> Result<Selection> {
        let mut selection = Selection { layout: layout_of(layout)?, condition: None, near: None };
        // What is kept must mean the same at the next REFRESH: no variables of this session.
        let session = Session::default();
        let context = Context { session: &session, ..*context };
        let binder = Binder::new(context);
        for option in &import.options {
            match option {
                O::Where(e) => {
                    let condition = bound_condition(&binder, e)?;
                    selection.condition = Some(match selection.condition.take() {
                        Some(other) => other.and(condition),
                        None => condition,
                    });
                }
                O::Near(source, within) => selection.near = Some(near(&binder, source, within)?),
                _ => {}
            }
        }
        Ok(selection)
    }

    /// Of a source that keeps one.
    pub(super) fn of_source(source: &SourceEntry, context: &Context<'_>) -> Result<Option<Selection>> {
        let Some(text) = source.options.get(SELECTION) else { return Ok(None) };
        let statement = format!("IMPORT WAVEFORMS '' {text}");
        let broken = |error: Error| {
            let message = format!("the selection of `{}` cannot be used: {text}: {error}", source.name);
            Error::refused(message, "say IMPORT WAVEFORMS again with the WHERE and NEAR that are meant")
        };
        let parsed = parse::statement("the selection", &statement).map_err(|e| broken(e.into()))?;
        let StatementKind::Import(import) = parsed.kind else { return Ok(None) };
        let layout = source.options.get(LAYOUT).map(String::as_str);
        Selection::of_import(&import, layout, context).map(Some).map_err(broken)
    }

    /// Which files may hold what is wanted. A file is left out only when its path says so: one that the layout does
    /// not name stays, and so does one whose condition is unknown.
    pub(super) fn keeps(&self, paths: &[&[u8]]) -> Result<Vec<bool>> {
        let facts: Vec<Option<Named>> = paths.iter().map(|path| self.layout.read(path)).collect();
        let mut keeps: Vec<bool> = match &self.condition {
            None => vec![true; paths.len()],
            Some(condition) => {
                let verdicts = condition.condition(&facts_batch(paths, &facts)?)?;
                (0..paths.len()).map(|i| verdicts.is_null(i) || verdicts.value(i)).collect()
            }
        };
        for (keep, named) in keeps.iter_mut().zip(&facts) {
            if let (Some(near), Some(named)) = (&self.near, named) {
                *keep = *keep && near.wants(named);
            }
            // A name that tells nothing is no reason to leave a file out, whatever WHERE says of its path.
            *keep |= named.is_none() && !self.judges_paths();
        }
        Ok(keeps)
    }

    fn judges_paths(&self) -> bool {
        let mut found = false;
        if let Some(condition) = &self.condition {
            condition.columns(&mut |column| found |= column == 0);
        }
        found
    }
}

/// The layout by its text; every usual one where none is stated.
pub(super) fn layout_of(text: Option<&str>) -> Result<Layout> {
    match text {
        Some(text) => Layout::parse(text).map_err(|e| Error::refused(e.reason, e.help)),
        None => Ok(Layout::any()),
    }
}

fn bound_condition(binder: &Binder<'_>, e: &syntax::Expr) -> Result<Expr> {
    let scope = Scope::of("files", facts_schema());
    let bound = ExprBinder { binder, scope: &scope, grouping: None }.condition(e);
    bound.map_err(|error| match error {
        Error::Query(mut d) if d.message.starts_with("no column") => {
            let known = facts_schema().iter().map(|c| c.column.name.clone()).collect::<Vec<_>>().join(", ");
            d.help = Some(format!("paths tell {known}, span; the rest is a matter of queries"));
            Error::Query(d)
        }
        other => other,
    })
}

fn facts_batch(paths: &[&[u8]], facts: &[Option<Named>]) -> Result<Batch> {
    let text = |of: &dyn Fn(&Named) -> Option<String>| -> ArrayRef {
        Arc::new(facts.iter().map(|f| f.as_ref().and_then(of)).collect::<StringArray>())
    };
    let time = |of: &dyn Fn(&Named) -> Option<Time>| -> ArrayRef {
        let times: TimestampNanosecondArray = facts.iter().map(|f| Some(of(f.as_ref()?)?.0)).collect();
        Arc::new(times.with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(paths.iter().map(|p| Some(shown_bytes(p))).collect::<StringArray>()),
        text(&|f| f.code().map(|c| c.to_string())),
        text(&|f| f.network.clone()),
        text(&|f| f.station.clone()),
        text(&|f| f.location.clone()),
        text(&|f| f.channel.clone()),
        time(&|f| f.start),
        time(&|f| f.end),
    ];
    let schema = Schema::new(facts_schema().into_iter().map(|c| c.column).collect());
    Batch::try_new(schema.arrow(), columns).map_err(arrow_error)
}

/// The times of a table with `time`, and its stations where it has them, each made a span of `within` either side.
fn near(binder: &Binder<'_>, source: &Source, within: &syntax::Expr) -> Result<Near> {
    let scope = Scope::default();
    let value = ExprBinder { binder, scope: &scope, grouping: None }.scalar(within)?;
    let within_ns = duration_ns(&value, within.span, ("WITHIN", "1 h"))?;
    if within_ns < 0 {
        return Err(Diagnostic::new("WITHIN is negative", within.span).help("WITHIN 1 h").into());
    }
    let (node, _) = binder.source(source)?;
    let place = |name: &str| node.columns.iter().position(|c| c.column.name.eq_ignore_ascii_case(name));
    let is_time = |at: &usize| node.columns[*at].column.kind() == Type::Time;
    let Some(time) = place("time").filter(is_time) else {
        return Err(Diagnostic::new("NEAR takes a table with a column `time`", source.span)
            .help("NEAR picks WITHIN 1 h, or NEAR (SELECT time, network, station FROM ...) WITHIN 1 h")
            .into());
    };
    let (network, station) = (place("network"), place("station"));
    let batch = collect_one(&node, &binder.context)?;
    let times = batch.column(time).as_primitive::<TimestampNanosecondType>();
    let texts = |at: Option<usize>| at.and_then(|at| batch.column(at).as_string_opt::<i32>());
    let text_at = |texts: Option<&StringArray>, row: usize| {
        texts.filter(|t| t.is_valid(row)).map(|t| t.value(row)).filter(|t| !t.is_empty()).map(str::to_owned)
    };
    let (networks, stations) = (texts(network), texts(station));
    let mut near = Near::default();
    for row in (0..batch.num_rows()).filter(|row| times.is_valid(*row)) {
        let at = times.value(row);
        let span = (at.saturating_sub(within_ns), at.saturating_add(within_ns));
        match (text_at(networks, row), text_at(stations, row)) {
            (Some(network), Some(station)) => near.by_code.entry((network, station)).or_default().push(span),
            (None, Some(station)) => near.by_station.entry(station).or_default().push(span),
            // A pick without a station could be anywhere; an event is.
            (_, None) => near.anywhere.push(span),
        }
    }
    near.by_code.values_mut().chain(near.by_station.values_mut()).for_each(merge);
    merge(&mut near.anywhere);
    Ok(near)
}

/// Sorts spans and joins those that touch.
fn merge(spans: &mut Vec<(i64, i64)>) {
    spans.sort_unstable();
    spans.dedup_by(|next, last| {
        let touches = next.0 <= last.1;
        if touches {
            last.1 = last.1.max(next.1);
        }
        touches
    });
}

impl Near {
    /// May a file of that name hold one of the times?
    fn wants(&self, named: &Named) -> bool {
        let during = |spans: &[(i64, i64)]| {
            let after = named.start.map_or(i64::MIN, |t| t.0);
            let before = named.end.map_or(i64::MAX, |t| t.0);
            let first = spans.partition_point(|s| s.1 < after);
            spans.get(first).is_some_and(|s| s.0 < before)
        };
        let Some(station) = &named.station else { return true };
        let of_station = self.by_station.get(station);
        let of_code: Vec<_> = match &named.network {
            Some(network) => self.by_code.get(&(network.clone(), station.clone())).into_iter().collect(),
            None => self.by_code.iter().filter(|(code, _)| code.1 == *station).map(|(_, s)| s).collect(),
        };
        let mut spans = of_code.into_iter().chain(of_station).chain(std::iter::once(&self.anywhere));
        spans.any(|s| during(s))
    }
}
