//! EXPLAIN of IMPORT, REFRESH and COPY: what they would do, in sentences.

use std::collections::BTreeMap;

use super::import::waveform_sources;
use super::request::{self, Request};
use super::{Database, Outcome, Run, copy, give_batch, plan_of};
use crate::engine::analyze;
use crate::engine::bind::Context;
use crate::engine::show::text_table;
use crate::error::{Diagnostic, Result};
use crate::index::archive::Archive;
use crate::ingest::import::counted;
use crate::ingest::import::preview;
use crate::ingest::refresh::ChangeKind;
use crate::ingest::tsindex;
use crate::lang::syntax::{Copy, Ident, Import, Statement, StatementKind};
use crate::progress::Progress;
use crate::store::SourceEntry;

impl Database {
    /// EXPLAIN of a statement that writes.
    pub(super) fn explain_writing(
        &self,
        analyze: bool,
        statement: &Statement,
        run: &mut Run<'_>,
    ) -> Result<Outcome> {
        if analyze {
            return Err(Diagnostic::new("ANALYZE would run this statement, and it writes", statement.span)
                .help("EXPLAIN alone says what it would do")
                .into());
        }
        let progress = run.progress;
        let (rows, outcome) = self.reading(run, |context, run| {
            let lines = match &statement.kind {
                StatementKind::Import(import) => self.outline_import(import, context, progress)?,
                StatementKind::Refresh { full, name } => {
                    self.outline_refresh(*full, name.as_ref(), context, progress)?
                }
                StatementKind::Copy(copy) => outline_copy(copy, context)?,
                _ => {
                    return Err(Diagnostic::new("this statement has no plan", statement.span)
                        .help("EXPLAIN takes a query, COPY, IMPORT or REFRESH")
                        .into());
                }
            };
            let rows = lines.into_iter().map(|line| vec![Some(line)]).collect();
            give_batch(&text_table(&["plan"], rows)?, run.output)
        })?;
        Ok(Outcome { rows: Some(rows), ..outcome })
    }

    fn outline_import(
        &self,
        import: &Import,
        context: &Context<'_>,
        progress: &dyn Progress,
    ) -> Result<Vec<String>> {
        let catalogue = context.tables.catalogue();
        let seen = match request::of(import, context)? {
            Request::Catalog(request) => preview::catalog(catalogue, &request),
            Request::Events(request) => preview::events(catalogue, &request, "events"),
            Request::Stations(request) => preview::events(catalogue, &request, "stations"),
            Request::Waveforms(request) if request.is_tsindex => return tsindex::preview(&request.tsindex()),
            Request::Waveforms(request) => {
                let source = request.source(catalogue)?;
                let mut lines = vec![format!("import waveforms: `{}`", source.name)];
                lines.extend(self.outline_source(&source, context, progress)?);
                return Ok(lines);
            }
        };
        seen.map(|seen| seen.lines).map_err(|e| request::at_path(e, import.path.span))
    }

    fn outline_refresh(
        &self,
        full: bool,
        name: Option<&Ident>,
        context: &Context<'_>,
        progress: &dyn Progress,
    ) -> Result<Vec<String>> {
        let mut lines = vec![];
        for source in waveform_sources(&context.tables.catalogue().sources, name)? {
            lines.push(format!("refresh{}: `{}`", if full { " full" } else { "" }, source.name));
            lines.extend(self.outline_source(&source, context, progress)?);
        }
        if lines.is_empty() {
            lines.push("refresh: no source of waveforms".to_owned());
        }
        Ok(lines)
    }

    /// What a refresh of an archive would find, without reading a file.
    fn outline_source(
        &self,
        source: &SourceEntry,
        context: &Context<'_>,
        progress: &dyn Progress,
    ) -> Result<Vec<String>> {
        let archive = Archive::open(context.tables.snapshot.catalogue(), context.tables.snapshot)?;
        let mut counts: BTreeMap<ChangeKind, usize> = BTreeMap::new();
        let plan = self.plan_of_refresh(&archive, source, progress, &mut |changes| {
            changes.iter().for_each(|c| *counts.entry(c.kind).or_default() += 1);
            Ok(())
        })?;
        let mut lines = vec![format!(
            "  compares the files below {}",
            crate::ingest::refresh::root_path(source).display()
        )];
        let kinds = [
            (ChangeKind::New, "new: read"),
            (ChangeKind::Changed, "changed: read again"),
            (ChangeKind::Again, "too young to be sure of, or unreachable before: read again"),
            (ChangeKind::Moved, "moved: not read, the rows take the new path"),
            (ChangeKind::Touched, "touched only: not read"),
            (ChangeKind::Removed, "gone: the rows leave the index"),
            (ChangeKind::Unreachable, "unreachable: the rows stay"),
        ];
        for (kind, what) in kinds {
            if let Some(&count) = counts.get(&kind) {
                lines.push(format!("  {} {what}", counted(count, "file")));
            }
        }
        if plan.left_out > 0 {
            lines.push(format!("  {} left out by their names: never opened", counted(plan.left_out, "file")));
        }
        lines.push(format!("  {} unchanged", counted(plan.unchanged, "file")));
        Ok(lines)
    }
}

fn outline_copy(copy: &Copy, context: &Context<'_>) -> Result<Vec<String>> {
    let target = copy::target(copy, context)?;
    target.may_be_written(copy.to.span)?;
    let mut lines = vec![format!("copy {}", target.outline())];
    let plan = analyze::explain(&plan_of(&copy.query, context)?, context)?;
    lines.extend(plan.into_iter().map(|l| format!("  {l}")));
    Ok(lines)
}
