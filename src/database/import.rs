//! IMPORT, REFRESH, SHOW CHANGES, DROP, COMPACT: the statements that bring data in or let it go.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Database, Outcome, Run, give_batch};
use crate::engine::bind::source::later;
use crate::engine::bind::verbs::at_span;
use crate::engine::bind::{Binder, Context};
use crate::engine::scope::Scope;
use crate::engine::show::text_table;
use crate::engine::tables::shown_bytes;
use crate::error::{Diagnostic, Error, Result, Span};
use crate::index::archive::Archive;
use crate::ingest::import::catalog::{Request as CatalogRequest, import_catalog};
use crate::ingest::import::events::{Request as EventRequest, import_events, import_stations};
use crate::ingest::import::{Existing, Imported, absolute, counted, default_name, put_source, spelled};
use crate::ingest::refresh::{self, Job, Report};
use crate::lang::syntax::{Ident, Import, ImportKind, ImportOption as O, Name};
use crate::model::time::Time;
use crate::store::{SourceEntry, Writer};

impl Database {
    pub(super) fn run_import(&self, import: &Import, span: Span, run: &mut Run<'_>) -> Result<Outcome> {
        let (path, _) = self.reading(run, |context, _| Binder::new(*context).text(&import.path))?;
        let path = PathBuf::from(path);
        let mut writer = self.writer(span, run)?;
        let done = match import.kind {
            ImportKind::Waveforms => return self.import_waveforms(&mut writer, import, &path, run),
            ImportKind::Catalog => {
                let request = self.catalog_request(import, path, run)?;
                import_catalog(&mut writer, &request, (run.progress, &|| self.cancel.check()))
            }
            ImportKind::Events => {
                import_events(&mut writer, &event_request(import, &path)?, &|| self.cancel.check())
            }
            ImportKind::Stations => {
                import_stations(&mut writer, &event_request(import, &path)?, &|| self.cancel.check())
            }
        };
        let Imported { message, notices, problems } = done.map_err(|e| at_span(e, import.path.span))?;
        Ok(Outcome { message: Some(message), notices, unreadable: problems, ..Outcome::default() })
    }

    fn import_waveforms(
        &self,
        writer: &mut Writer,
        import: &Import,
        path: &Path,
        run: &mut Run<'_>,
    ) -> Result<Outcome> {
        let mut name = default_name(path);
        let mut options = BTreeMap::new();
        for option in &import.options {
            match option {
                O::Into(ident) => name = ident.text.clone(),
                O::Layout(layout, _) => drop(options.insert("layout".to_owned(), layout.clone())),
                O::Replace(_) | O::Append(_) => {}
                O::Where(e) => return Err(later("WHERE of IMPORT WAVEFORMS", e.span).into()),
                O::Near(_, e) => return Err(later("NEAR of IMPORT WAVEFORMS", e.span).into()),
                _ => return Err(Diagnostic::new("this option is not for waveforms", import.path.span).into()),
            }
        }
        let name = spelled(writer.catalogue(), &name);
        let root = absolute(path)?;
        if let Err(error) = std::fs::metadata(&root) {
            let message = format!("cannot reach {}: {error}", root.display());
            return Err(Diagnostic::new(message, import.path.span).into());
        }
        let old = writer.catalogue().source(&name).cloned();
        if let Some(old) = old.as_ref().filter(|o| o.kind != "waveforms") {
            let message = format!("`{name}` is already the name of {}", old.kind);
            return Err(Diagnostic::new(message, import.path.span)
                .help("choose another name with INTO")
                .into());
        }
        // A known source whose root has moved keeps its rows; its files are compared anew.
        let root = root.as_os_str().as_bytes().to_vec();
        if old.as_ref().is_none_or(|o| o.root != root) {
            let entry = SourceEntry {
                name: name.clone(),
                kind: "waveforms".to_owned(),
                root,
                options,
                last_refresh: None,
            };
            if old.is_some() {
                self.check_new_root(writer, &entry, run).map_err(|e| at_span(e, import.path.span))?;
            }
            let mut catalogue = writer.catalogue().clone();
            put_source(&mut catalogue, entry);
            writer.commit(catalogue)?;
        }
        let report = self.refresh_one(writer, &name, false, run)?;
        Ok(outcome(&[(name, report)]))
    }

    /// A new root that is empty or cannot be listed is refused before anything points to it.
    fn check_new_root(&self, writer: &Writer, entry: &SourceEntry, run: &Run<'_>) -> Result<()> {
        let cancel = || self.cancel.check();
        let path = std::path::absolute(self.store.path()).unwrap_or_else(|_| self.path());
        let job = Job {
            source: &entry.name,
            full: false,
            database: &path,
            cancel: &cancel,
            progress: run.progress,
        };
        let archive = Archive::open(writer.catalogue(), writer)?;
        refresh::plan(&archive, entry, &job).map(|_| ())
    }

    fn refresh_one(&self, writer: &mut Writer, name: &str, full: bool, run: &Run<'_>) -> Result<Report> {
        let cancel = || self.cancel.check();
        let path = std::path::absolute(self.store.path()).unwrap_or_else(|_| self.path());
        let job = Job { source: name, full, database: &path, cancel: &cancel, progress: run.progress };
        refresh::refresh(writer, &job)
    }

    pub(super) fn run_refresh(
        &self,
        what: (bool, Option<&Ident>),
        span: Span,
        run: &mut Run<'_>,
    ) -> Result<Outcome> {
        let (full, name) = what;
        let mut writer = self.writer(span, run)?;
        let names = waveform_sources(&writer.catalogue().sources, name)?;
        let mut done = vec![];
        for source in names {
            let report =
                self.refresh_one(&mut writer, &source.name, full, run).map_err(|e| at_span(e, span))?;
            done.push((source.name, report));
        }
        Ok(outcome(&done))
    }

    pub(super) fn show_changes(&self, name: Option<&Ident>, run: &mut Run<'_>) -> Result<Outcome> {
        let (rows, outcome) = self.reading(run, |context: &Context<'_>, run| {
            let snapshot = context.tables.snapshot;
            let archive = Archive::open(snapshot.catalogue(), snapshot)?;
            let cancel = || self.cancel.check();
            let path = std::path::absolute(self.store.path()).unwrap_or_else(|_| self.path());
            let mut rows = vec![];
            for source in waveform_sources(&snapshot.catalogue().sources, name)? {
                let job = Job {
                    source: &source.name,
                    full: false,
                    database: &path,
                    cancel: &cancel,
                    progress: run.progress,
                };
                let plan = refresh::plan(&archive, &source, &job)?;
                rows.extend(plan.changes.iter().map(|c| {
                    vec![
                        Some(source.name.clone()),
                        Some(c.kind.name().to_owned()),
                        Some(shown_bytes(&c.path)),
                        c.size().map(|s| s.to_string()),
                        c.mtime_ns().map(|t| Time(t).to_string()),
                    ]
                }));
                for (directory, reason) in &plan.unlisted {
                    context.notices.warn(format!("{}: {reason}", shown_bytes(directory)));
                }
            }
            give_batch(&text_table(&["source", "change", "path", "size", "mtime"], rows)?, run.output)
        })?;
        Ok(Outcome { rows: Some(rows), ..outcome })
    }

    pub(super) fn drop_table(
        &self,
        if_exists: bool,
        name: &Name,
        span: Span,
        run: &mut Run<'_>,
    ) -> Result<Outcome> {
        let mut writer = self.writer(span, run)?;
        let last = name.parts.last().map_or("", |p| &p.text).to_owned();
        let mut catalogue = writer.catalogue().clone();
        let same = |other: &str| other.eq_ignore_ascii_case(&last);
        let is_source = catalogue.sources.iter().any(|s| same(&s.name));
        let is_catalog = catalogue.tables.iter().any(|t| same(&t.name) && t.kind == "catalog");
        if !is_source && !is_catalog {
            if if_exists {
                return Ok(Outcome { message: Some(format!("there is no `{last}`")), ..Outcome::default() });
            }
            return Err(Diagnostic::new(format!("there is no table or source `{last}`"), name.span)
                .help("SHOW TABLES and SHOW SOURCES list what is there")
                .into());
        }
        catalogue.tables.retain(|t| !(same(&t.name) && t.kind == "catalog"));
        catalogue.tables.iter_mut().for_each(|t| t.segments.retain(|s| !same(&s.source)));
        catalogue.sources.retain(|s| !same(&s.name));
        writer.commit(catalogue)?;
        Ok(Outcome { message: Some(format!("dropped `{last}`")), ..Outcome::default() })
    }

    pub(super) fn compact(&self, name: Option<&Ident>, span: Span, run: &mut Run<'_>) -> Result<Outcome> {
        let mut writer = self.writer(span, run)?;
        let sources = waveform_sources(&writer.catalogue().sources, name)?;
        for source in &sources {
            refresh::compact(&mut writer, &source.name)?;
        }
        let message = format!("compacted {}", counted(sources.len(), "source"));
        Ok(Outcome { message: Some(message), ..Outcome::default() })
    }

    fn catalog_request(&self, import: &Import, path: PathBuf, run: &mut Run<'_>) -> Result<CatalogRequest> {
        let mut request = CatalogRequest { path, ..CatalogRequest::default() };
        let column = |name: &Name| name.parts.last().map_or(String::new(), |p| p.text.clone());
        for option in &import.options {
            match option {
                O::Into(ident) => request.name = Some(ident.text.clone()),
                O::Key(name) => request.key = Some(column(name)),
                O::Position(a, b) => request.position = Some((column(a), column(b))),
                O::Units(units) => {
                    request.units = units.iter().map(|(c, u, _)| (column(c), u.clone())).collect()
                }
                O::SortedBy(names) => request.sorted_by = names.iter().map(column).collect(),
                O::Append(_) => request.existing = Existing::Append,
                O::Replace(_) => request.existing = Existing::Replace,
                O::Nulls(nulls) => {
                    for (name, e) in nulls {
                        let scope = Scope::default();
                        let (value, _) = self.reading(run, |context, _| {
                            let binder = Binder::new(*context);
                            crate::engine::bind::expr::ExprBinder {
                                binder: &binder,
                                scope: &scope,
                                grouping: None,
                            }
                            .scalar(e)
                        })?;
                        let number =
                            value.number().ok_or_else(|| Diagnostic::new("NULLS takes numbers", e.span))?;
                        request.nulls.push((column(name), number));
                    }
                }
                O::Frame(name) if name.text.eq_ignore_ascii_case("icrs") => {}
                O::Frame(name) => return Err(later("a FRAME other than icrs", name.span).into()),
                O::EpochYear(n) => {
                    let (year, _) = self.reading(run, |context, _| Binder::new(*context).figure(n))?;
                    request.properties.insert("epoch".to_owned(), year);
                }
                O::EpochColumn(n) => drop(request.properties.insert("epoch".to_owned(), column(n))),
                O::Motion(a, b) => {
                    request.properties.insert("motion".to_owned(), format!("{},{}", column(a), column(b)));
                }
                O::Time(name, _) => drop(request.properties.insert("time".to_owned(), column(name))),
                O::Where(e) => return Err(later("WHERE of IMPORT CATALOG", e.span).into()),
                O::Format(_) => {}
                O::Layout(_, span) => return Err(Diagnostic::new("LAYOUT is for waveforms", *span).into()),
                O::Near(_, e) => return Err(Diagnostic::new("NEAR is for waveforms", e.span).into()),
            }
        }
        Ok(request)
    }
}

fn event_request<'a>(import: &'a Import, path: &'a Path) -> Result<EventRequest<'a>> {
    let mut request = EventRequest { path, name: None, format: None, existing: Existing::Refuse };
    for option in &import.options {
        match option {
            O::Into(ident) => request.name = Some(&ident.text),
            O::Format(ident) => request.format = Some(&ident.text),
            O::Append(_) => request.existing = Existing::Append,
            O::Replace(_) => request.existing = Existing::Replace,
            _ => {
                return Err(Diagnostic::new("this option is not for events or stations", import.path.span)
                    .help("INTO, FORMAT, APPEND, REPLACE")
                    .into());
            }
        }
    }
    Ok(request)
}

/// The named source of waveforms, or all of them.
fn waveform_sources(sources: &[SourceEntry], name: Option<&Ident>) -> Result<Vec<SourceEntry>> {
    let is_wanted =
        |s: &&SourceEntry| s.kind == "waveforms" && name.is_none_or(|n| s.name.eq_ignore_ascii_case(&n.text));
    let found: Vec<SourceEntry> = sources.iter().filter(is_wanted).cloned().collect();
    match (found.is_empty(), name) {
        (true, Some(name)) => Err(Error::from(
            Diagnostic::new(format!("there is no source of waveforms `{}`", name.text), name.span)
                .help("SHOW SOURCES lists them; catalogues and events are imported again with REPLACE"),
        )),
        _ => Ok(found),
    }
}

/// What refreshes did, in one line a source.
fn outcome(done: &[(String, Report)]) -> Outcome {
    let line = |(name, r): &(String, Report)| {
        let mut parts = vec![format!("{} files opened", r.opened)];
        let counts = [
            (r.unchanged, "unchanged"),
            (r.new, "new"),
            (r.changed, "changed"),
            (r.moved, "moved"),
            (r.removed, "removed"),
            (r.unreachable, "unreachable"),
            (r.bad, "not fully readable"),
            (r.probed, "compared by their ends"),
            (r.unlisted, "directories that cannot be listed"),
        ];
        parts.extend(counts.iter().filter(|c| c.0 > 0).map(|(n, what)| format!("{n} {what}")));
        format!("`{name}`: {}", parts.join(", "))
    };
    let lines: Vec<String> = done.iter().map(line).collect();
    let bad: usize = done.iter().map(|d| d.1.bad + d.1.unreachable + d.1.unlisted).sum();
    let mut outcome = Outcome { unreadable: bad as u64, ..Outcome::default() };
    outcome.message =
        Some(if lines.is_empty() { "no source of waveforms".to_owned() } else { lines.join("\n") });
    if bad > 0 {
        outcome.notices.push(
            "FROM files WHERE state <> 'ok' AND state <> 'other' shows what could not be read, and why"
                .to_owned(),
        );
    }
    outcome
}
