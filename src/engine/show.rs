//! SHOW, DESCRIBE and EXPLAIN: small tables about the database, a query or the language.

mod status;

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Int64Array};

use super::bind::Context;
use super::bind::call::GEOMETRY;
use super::expr::{FUNCTIONS, arrow_error};
use super::plan::{AGGREGATES, OutColumn};
use super::session::Variable;
use crate::error::Result;
use crate::lang::syntax::Show;
use crate::model::table::{Batch, Column, Schema, Type};
use crate::model::units::UNITS;

/// A table of texts.
pub fn text_table(names: &[&str], rows: Vec<Vec<Option<String>>>) -> Result<Batch> {
    let schema = Schema::new(names.iter().map(|n| Column::typed(*n, Type::Text)).collect());
    let mut builders: Vec<StringBuilder> = names.iter().map(|_| StringBuilder::new()).collect();
    for row in rows {
        builders.iter_mut().zip(row).for_each(|(builder, value)| builder.append_option(value));
    }
    let columns = builders.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef).collect();
    Batch::try_new(schema.arrow(), columns).map_err(arrow_error)
}

/// A table of texts with a column of integers put before column `at`.
pub fn with_integers(texts: &Batch, at: usize, (name, values): (&str, Vec<Option<i64>>)) -> Result<Batch> {
    let mut schema = Schema::from_arrow(&texts.schema());
    schema.columns.insert(at, Column::typed(name, Type::Int));
    let mut columns = texts.columns().to_vec();
    columns.insert(at, Arc::new(Int64Array::from(values)));
    Batch::try_new(schema.arrow(), columns).map_err(arrow_error)
}

/// Settings: name, value when nothing is SET, and what it does.
pub const SETTINGS: &[(&str, &str, &str)] = &[
    ("memory", "60 % of the machine's", "bytes that a statement may use"),
    ("threads", "one for each processor", "threads of a statement"),
    ("window_cache", "512 MiB", "bytes of waveform windows that CORRELATE keeps"),
];

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|v| Some((*v).to_owned())).collect()
}

/// The rows of SHOW, but for CHANGES, which looks at files.
pub fn show(what: &Show, context: &Context<'_>) -> Result<Batch> {
    match what {
        Show::Tables => tables(context),
        Show::Sources | Show::Changes(_) => context.tables.sources(),
        Show::Status => status::status(context),
        Show::Indexes => indexes(context),
        Show::Settings => settings(context),
        Show::Functions => {
            let plain = FUNCTIONS.iter().map(|f| some(&[f.name, f.about]));
            let sets = AGGREGATES.iter().map(|a| some(&[a.0, a.3]));
            let others = GEOMETRY.iter().map(|g| some(&[g.0, g.1]));
            text_table(&["name", "about"], plain.chain(others).chain(sets).collect())
        }
        Show::Units => {
            let units = UNITS.iter().map(|(name, dimension, _)| some(&[name, dimension.name()]));
            text_table(&["name", "measures"], units.collect())
        }
        Show::Jobs => jobs(context),
        Show::Variables => {
            let shown = context.session.variables.iter().map(|(name, value)| {
                let what = match value {
                    Variable::View(_) => "a query",
                    Variable::Value(bound) => bound.phrase(),
                    Variable::List(_) => "a list",
                };
                some(&[name, what])
            });
            text_table(&["name", "value"], shown.collect())
        }
    }
}

fn settings(context: &Context<'_>) -> Result<Batch> {
    let rows = SETTINGS.iter().map(|(name, default, about)| {
        let set = context.session.settings.get(*name).map_or(*default, String::as_str);
        some(&[name, set, default, about])
    });
    text_table(&["name", "value", "default", "about"], rows.collect())
}

/// Imports of archives that began and have not ended: their batches are in, REFRESH goes on.
fn jobs(context: &Context<'_>) -> Result<Batch> {
    let sources = context.tables.catalogue().sources.iter().filter(|s| s.last_refresh.is_none());
    let rows = sources
        .map(|s| some(&[&format!("import of `{}`", s.name), "not finished", &format!("REFRESH {}", s.name)]));
    text_table(&["job", "state", "resume"], rows.collect())
}

fn tables(context: &Context<'_>) -> Result<Batch> {
    let mut rows = vec![];
    let mut counts = vec![];
    for name in context.tables.names() {
        let Some(info) = context.tables.find(&name) else { continue };
        let count = match (info.rows, name.as_str()) {
            (Some(rows), _) => rows as i64,
            (None, "refusals") => context.session.refusals.as_ref().map_or(0, Batch::num_rows) as i64,
            (None, "files") => context.tables.archive()?.counts().0 as i64,
            (None, _) => context.tables.archive()?.counts().1 as i64,
        };
        let shown = info.columns.iter().filter(|c| !c.is_hidden).count();
        let kind = if info.kind == super::tables::CATALOG { "catalog" } else { "built in" };
        rows.push(vec![Some(info.name.clone()), Some(kind.to_owned()), Some(shown.to_string())]);
        counts.push(count);
    }
    let texts = text_table(&["name", "kind", "columns"], rows)?;
    let schema = Schema::new(vec![
        Column::typed("name", Type::Text),
        Column::typed("kind", Type::Text),
        Column::typed("rows", Type::Int),
        Column::typed("columns", Type::Int),
    ]);
    let columns: Vec<ArrayRef> = vec![
        texts.column(0).clone(),
        texts.column(1).clone(),
        Arc::new(Int64Array::from(counts)),
        super::expr::cast(texts.column(2), Type::Int)?,
    ];
    Batch::try_new(schema.arrow(), columns).map_err(arrow_error)
}

fn indexes(context: &Context<'_>) -> Result<Batch> {
    let catalogue = context.tables.snapshot.catalogue();
    let mut rows = vec![];
    for table in &catalogue.tables {
        for s in &table.segments {
            rows.push(some(&[
                &table.name,
                &s.role,
                &s.source,
                &s.file,
                &s.rows.to_string(),
                &s.bytes.to_string(),
            ]));
        }
    }
    text_table(&["table", "role", "source", "file", "rows", "bytes"], rows)
}

/// One row a column: what DESCRIBE answers.
pub fn describe(columns: &[OutColumn]) -> Result<Batch> {
    let rows = columns.iter().filter(|c| !c.is_hidden).map(|c| {
        let column = &c.column;
        let text = |v: &Option<String>| v.clone();
        vec![
            Some(column.name.clone()),
            Some(column.kind().name().to_owned()),
            column.unit.as_ref().map(|u| u.name.clone()),
            text(&column.ucd),
            text(&column.description),
        ]
    });
    text_table(&["column", "type", "unit", "ucd", "description"], rows.collect())
}
