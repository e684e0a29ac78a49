//! IMPORT, REFRESH, SHOW CHANGES, DROP, COMPACT: the statements that bring data in or let it go.

use super::request::{self, Request};
use super::select::{self, Selection};
use super::{Database, Outcome, Run, give_batch};
use crate::engine::bind::Context;
use crate::engine::bind::verbs::at_span;
use crate::engine::session::{Notices, Session};
use crate::engine::show::{text_table, with_integers};
use crate::engine::tables::{BUILT_IN, shown_bytes};
use crate::error::{Diagnostic, Error, Result, Span};
use crate::index::archive::Archive;
use crate::ingest::compact;
use crate::ingest::import::catalog::import_catalog;
use crate::ingest::import::events::{import_events, import_stations};
use crate::ingest::import::{Imported, counted, put_source};
use crate::ingest::refresh::{self, Change, ChangeKind, Job, Report, Step};
use crate::ingest::tsindex::import_tsindex;
use crate::lang::diagnostic::nearest;
use crate::lang::syntax::{Ident, Import, Name};
use crate::model::table::{Batch, Schema};
use crate::model::time::Time;
use crate::progress::Progress;
use crate::store::{Catalogue, SourceEntry, Writer};

impl Database {
    pub(super) fn run_import(&self, import: &Import, span: Span, run: &mut Run<'_>) -> Result<Outcome> {
        let (request, _) = self.reading(run, |context, _| request::of(import, context))?;
        let mut writer = self.writer(span, run)?;
        let done = match &request {
            Request::Waveforms(request) if request.is_tsindex => {
                import_tsindex(&mut writer, &request.tsindex(), &|| self.cancel.check())
            }
            Request::Waveforms(request) => return self.import_waveforms(&mut writer, request, run),
            Request::Catalog(request) => {
                import_catalog(&mut writer, request, (run.progress, &|| self.cancel.check()))
            }
            Request::Events(request) => import_events(&mut writer, request, &|| self.cancel.check()),
            Request::Stations(request) => import_stations(&mut writer, request, &|| self.cancel.check()),
        };
        let Imported { message, notices, problems } =
            done.map_err(|e| request::at_path(e, import.path.span))?;
        Ok(Outcome { message: Some(message), notices, unreadable: problems, ..Outcome::default() })
    }

    fn import_waveforms(
        &self,
        writer: &mut Writer,
        request: &request::Waveforms,
        run: &mut Run<'_>,
    ) -> Result<Outcome> {
        let span = request.span;
        let entry = request.source(writer.catalogue())?;
        let name = entry.name.clone();
        let old = writer.catalogue().source(&name).cloned();
        // A known source whose root has moved keeps its rows; its files are compared anew.
        if old.as_ref() != Some(&entry) {
            if let Some(old) = old.as_ref().filter(|o| o.root != entry.root) {
                self.check_new_root(writer, (old, &entry), (request, run)).map_err(|e| e.at(span))?;
            }
            let mut catalogue = writer.catalogue().clone();
            put_source(&mut catalogue, entry);
            writer.commit(catalogue)?;
        }
        let report = self.refresh_one(writer, &name, false, run)?;
        let archive = Archive::open(writer.catalogue(), writer)?;
        let mut outcome = outcome(&[(name.clone(), report)]);
        outcome.notices.extend(misplaced(&archive, &name, request.layout.as_deref())?);
        Ok(outcome)
    }

    /// A new root that is empty, cannot be listed, or lacks known files is refused before anything points to it.
    fn check_new_root(
        &self,
        writer: &Writer,
        (old, entry): (&SourceEntry, &SourceEntry),
        (request, run): (&request::Waveforms, &Run<'_>),
    ) -> Result<()> {
        let archive = Archive::open(writer.catalogue(), writer)?;
        let mut removed = 0;
        self.plan_of_refresh(&archive, entry, run.progress, &mut |changes| {
            removed += changes.iter().filter(|c| c.kind == ChangeKind::Removed).count();
            Ok(())
        })?;
        if removed == 0 || request.replace {
            return Ok(());
        }
        let root = refresh::root_path(old);
        Err(Error::refused(
            format!(
                "`{}` has the files of {}, and {} not below {}",
                entry.name,
                root.display(),
                if removed == 1 { "1 of them is".to_owned() } else { format!("{removed} of them are") },
                refresh::root_path(entry).display()
            ),
            "another archive gets a name of its own: INTO name; REPLACE moves this one and drops those files",
        ))
    }

    /// What a refresh would find; the changes are given to `take`.
    pub(super) fn plan_of_refresh(
        &self,
        archive: &Archive,
        source: &SourceEntry,
        progress: &dyn Progress,
        take: &mut dyn FnMut(Vec<Change>) -> Result<()>,
    ) -> Result<refresh::Plan> {
        let cancel = || self.cancel.check();
        let path = std::path::absolute(self.store.path()).unwrap_or_else(|_| self.path());
        let selection = self.selection(source)?;
        let keeps =
            |paths: &[&[u8]]| selection.as_ref().map_or(Ok(vec![true; paths.len()]), |s| s.keeps(paths));
        let job = Job {
            source: &source.name,
            full: false,
            database: &path,
            cancel: &cancel,
            progress,
            keeps: &keeps,
        };
        refresh::plan(archive, source, &job, &mut |step| match step {
            Step::Total(_) => Ok(()),
            Step::Changes(changes) => take(changes),
        })
    }

    fn refresh_one(&self, writer: &mut Writer, name: &str, full: bool, run: &Run<'_>) -> Result<Report> {
        let cancel = || self.cancel.check();
        let path = std::path::absolute(self.store.path()).unwrap_or_else(|_| self.path());
        let source = writer.catalogue().source(name).cloned().unwrap_or_default();
        let selection = self.selection(&source)?;
        let keeps =
            |paths: &[&[u8]]| selection.as_ref().map_or(Ok(vec![true; paths.len()]), |s| s.keeps(paths));
        let job = Job {
            source: name,
            full,
            database: &path,
            cancel: &cancel,
            progress: run.progress,
            keeps: &keeps,
        };
        refresh::refresh(writer, &job)
    }

    /// Which files of a source are wanted, as it was said when it was imported.
    fn selection(&self, source: &SourceEntry) -> Result<Option<Selection>> {
        if !source.options.contains_key(select::SELECTION) {
            return Ok(None);
        }
        let (session, notices) = (Session::default(), Notices::default());
        self.in_context(&session, &notices, |context| Selection::of_source(source, context))
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
            let (mut rows, mut has_begun) = (0, false);
            for source in waveform_sources(&snapshot.catalogue().sources, name)? {
                let mut give = |changes: Vec<Change>| {
                    let batch = changes_table(&source.name, &changes)?;
                    if !std::mem::replace(&mut has_begun, true) {
                        run.output.begin(&Schema::from_arrow(&batch.schema()))?;
                    }
                    rows += changes.len() as u64;
                    if changes.is_empty() { Ok(()) } else { run.output.batch(&batch) }
                };
                let plan = self.plan_of_refresh(&archive, &source, run.progress, &mut give)?;
                for (directory, reason) in &plan.unlisted {
                    context.notices.warn(format!("{}: {reason}", shown_bytes(directory)));
                }
            }
            if !has_begun {
                give_batch(&changes_table("", &[])?, run.output)?;
            }
            Ok(rows)
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
        if !drop_from(&mut catalogue, &last) {
            if if_exists {
                return Ok(Outcome { message: Some(format!("there is no `{last}`")), ..Outcome::default() });
            }
            return Err(nothing_to_drop(&last, name.span).into());
        }
        writer.commit(catalogue)?;
        Ok(Outcome { message: Some(format!("dropped `{last}`")), ..Outcome::default() })
    }

    pub(super) fn compact(&self, name: Option<&Ident>, span: Span, run: &mut Run<'_>) -> Result<Outcome> {
        let mut writer = self.writer(span, run)?;
        let sources = waveform_sources(&writer.catalogue().sources, name)?;
        for source in &sources {
            compact::compact(&mut writer, &source.name, &|| self.cancel.check())?;
        }
        let message = format!("compacted {}", counted(sources.len(), "source"));
        Ok(Outcome { message: Some(message), ..Outcome::default() })
    }
}

/// Changes as SHOW CHANGES lists them.
fn changes_table(source: &str, changes: &[Change]) -> Result<Batch> {
    let sizes = changes.iter().map(|c| c.size().and_then(|s| i64::try_from(s).ok())).collect();
    let row = |c: &Change| {
        vec![
            Some(source.to_owned()),
            Some(c.kind.name().to_owned()),
            Some(shown_bytes(&c.path)),
            c.mtime_ns().map(|t| Time(t).to_string()),
        ]
    };
    let texts = text_table(&["source", "change", "path", "mtime"], changes.iter().map(row).collect())?;
    with_integers(&texts, 3, ("size", sizes))
}

/// Says which waveform files are not named as LAYOUT says.
fn misplaced(archive: &Archive, source: &str, layout: Option<&str>) -> Result<Option<String>> {
    let Some(name) = layout else { return Ok(None) };
    let layout = select::layout_of(Some(name))?;
    let (mut count, mut first) = (0, None);
    for part in archive.parts.iter().filter(|p| p.source == source) {
        let mut files = part.files_from(0)?;
        while let Some((file, path, _)) = files.current() {
            if part.is_alive(file) && part.state(file)? != "other" && layout.read(path).is_none() {
                let path = shown_bytes(path);
                count += 1;
                first = Some(first.map_or(path.clone(), |f: String| f.min(path)));
            }
            files.advance()?;
        }
    }
    let count = counted(count, "file");
    Ok(first.map(|first| {
        format!("LAYOUT {name}: {count} not named so, indexed all the same; the first is {first}")
    }))
}

/// Takes a table or source out; false when there is none of that name.
pub(super) fn drop_from(catalogue: &mut Catalogue, name: &str) -> bool {
    let same = |other: &str| other.eq_ignore_ascii_case(name);
    let is_source = catalogue.sources.iter().any(|s| same(&s.name));
    let is_catalog = catalogue.tables.iter().any(|t| same(&t.name) && t.kind == "catalog");
    catalogue.tables.retain(|t| !(same(&t.name) && t.kind == "catalog"));
    catalogue.tables.iter_mut().for_each(|t| t.segments.retain(|s| !same(&s.source)));
    catalogue.sources.retain(|s| !same(&s.name));
    is_source || is_catalog
}

pub(super) fn nothing_to_drop(name: &str, span: Span) -> Diagnostic {
    let error = Diagnostic::new(format!("there is no table or source `{name}`"), span);
    match BUILT_IN.iter().find(|b| b.eq_ignore_ascii_case(name)) {
        Some(built_in) => Diagnostic {
            message: format!("`{built_in}` is a built-in table and cannot be dropped"),
            ..error.help("DROP TABLE takes a source out of it: SHOW SOURCES lists them")
        },
        None => error.help("SHOW TABLES and SHOW SOURCES list what is there"),
    }
}

/// The named source of waveforms, or all of them.
pub(super) fn waveform_sources(sources: &[SourceEntry], name: Option<&Ident>) -> Result<Vec<SourceEntry>> {
    let is_wanted =
        |s: &&SourceEntry| s.kind == "waveforms" && name.is_none_or(|n| s.name.eq_ignore_ascii_case(&n.text));
    let found: Vec<SourceEntry> = sources.iter().filter(is_wanted).cloned().collect();
    match (found.is_empty(), name) {
        (true, Some(name)) => {
            let error =
                Diagnostic::new(format!("there is no source of waveforms `{}`", name.text), name.span);
            let names = sources.iter().filter(|s| s.kind == "waveforms").map(|s| s.name.as_str());
            let help = match nearest(&name.text, names) {
                Some(near) => format!("did you mean `{near}`? (SHOW SOURCES lists them)"),
                None => "SHOW SOURCES lists them; catalogues and events are imported again with REPLACE"
                    .to_owned(),
            };
            Err(Error::from(error.help(help)))
        }
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
            (r.grown, "read from where they had grown"),
            (r.moved, "moved"),
            (r.removed, "removed"),
            (r.left_out, "left out by their names"),
            (r.unreachable, "unreachable"),
            (r.bad, "not fully readable"),
            (r.probed, "compared by their ends"),
            (r.unlisted, "directories that cannot be listed"),
            (r.sealed, "sealed directories"),
        ];
        parts.extend(counts.iter().filter(|c| c.0 > 0).map(|(n, what)| format!("{n} {what}")));
        format!("`{name}`: {}", parts.join(", "))
    };
    let lines: Vec<String> = done.iter().map(line).collect();
    let bad: usize = done.iter().map(|d| d.1.bad + d.1.unreachable + d.1.unlisted).sum();
    let mut outcome = Outcome { unreadable: bad as u64, ..Outcome::default() };
    let opened: usize = done.iter().map(|d| d.1.opened).sum();
    if opened > 0 {
        let bytes: u64 = done.iter().map(|d| d.1.bytes_read).sum();
        let commits: usize = done.iter().map(|d| d.1.commits).sum();
        outcome.footer.push(format!("{} read", crate::engine::analyze::counted(bytes, "byte")));
        outcome.footer.push(counted(commits, "commit"));
    }
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
