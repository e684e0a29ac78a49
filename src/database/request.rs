//! What an IMPORT asks for: its options, each in the place of its kind or refused where it stands.

use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::select::{self, Selection};
use crate::engine::bind::expr::ExprBinder;
use crate::engine::bind::source::later;
use crate::engine::bind::{Binder, Context};
use crate::engine::scope::Scope;
use crate::engine::tables::BUILT_IN;
use crate::error::{Diagnostic, Error, Result, Span};
use crate::format::layout::Layout;
use crate::ingest::import::catalog::{FORMATS, Request as Catalog};
use crate::ingest::import::events::{EVENT_FORMATS, Request as Events, STATION_FORMATS};
use crate::ingest::import::{Existing, Word, absolute, default_name, spelled};
use crate::ingest::refresh::SEALED;
use crate::ingest::tsindex::Request as TsIndex;
use crate::ingest::walk::Sealed;
use crate::lang::diagnostic::nearest;
use crate::lang::syntax::{Expr, Ident, Import, ImportKind, ImportOption as O, Name};
use crate::store::{Catalogue, SourceEntry};

/// What the paths of IMPORT and COPY are relative to.
const RELATIVE: &str = "paths of data are relative to the current directory, wherever the script lies";

/// An error of the files that an IMPORT names, at its path.
pub(super) fn at_path(error: Error, span: Span) -> Error {
    match error {
        Error::Io { action, path, source } if source.kind() == ErrorKind::NotFound => {
            let message = format!("cannot {action} {}: {source}", path.display());
            Diagnostic::new(message, span).help(RELATIVE).into()
        }
        other => other.at(span),
    }
}

/// By kind.
pub(super) enum Request {
    Waveforms(Waveforms),
    Catalog(Box<Catalog>),
    Events(Events),
    Stations(Events),
}

/// IMPORT WAVEFORMS.
pub(super) struct Waveforms {
    path: PathBuf,
    name: Option<String>,
    /// Of the path in the text.
    pub(super) span: Span,
    /// Files of an older root may go.
    pub(super) replace: bool,
    /// How files are named: those that are not are told.
    pub(super) layout: Option<String>,
    /// WHERE and NEAR, to be kept with the source.
    selection: Option<String>,
    /// Directories that REFRESH does not look into.
    sealed: Option<String>,
    /// FORMAT tsindex: the path is that of an index.
    pub(super) is_tsindex: bool,
}

impl Waveforms {
    /// The import of an index.
    pub(super) fn tsindex(&self) -> TsIndex {
        let existing = if self.replace { Existing::Replace } else { Existing::Refuse };
        TsIndex { path: self.path.clone(), name: self.name.clone(), existing }
    }

    /// The source as it will be registered.
    pub(super) fn source(&self, catalogue: &Catalogue) -> Result<SourceEntry> {
        let name = self.name.clone().unwrap_or_else(|| default_name(&self.path));
        let name = spelled(catalogue, &name);
        let root = absolute(&self.path)?;
        if let Err(error) = std::fs::metadata(&root) {
            let message = format!("cannot reach {}: {error}", root.display());
            return Err(Diagnostic::new(message, self.span).help(RELATIVE).into());
        }
        if let Some(old) = catalogue.source(&name).filter(|o| o.kind != "waveforms") {
            let message = format!("`{name}` is already the name of {}", old.kind);
            return Err(Diagnostic::new(message, self.span).help("choose another name with INTO").into());
        }
        // What else is known of the source stays with it.
        let mut source = catalogue.source(&name).cloned().unwrap_or_default();
        let options =
            [(select::LAYOUT, &self.layout), (select::SELECTION, &self.selection), (SEALED, &self.sealed)];
        for (key, value) in options {
            match value {
                Some(value) => source.options.insert(key.to_owned(), value.clone()),
                None => source.options.remove(key),
            };
        }
        Ok(SourceEntry {
            name,
            kind: "waveforms".to_owned(),
            root: root.as_os_str().as_bytes().to_vec(),
            ..source
        })
    }
}

/// The name that INTO or the path gives.
pub(super) fn name_of(import: &Import, path: Option<&str>) -> Option<String> {
    let into = import.options.iter().find_map(|o| match o {
        O::Into(ident) => Some(ident.text.clone()),
        _ => None,
    });
    into.or_else(|| path.map(|p| default_name(p.as_ref())))
}

/// INTO names no built-in table, and no source of another kind.
fn free_name(import: &Import, context: &Context<'_>) -> Result<(), Diagnostic> {
    let Some(O::Into(into)) = import.options.iter().find(|o| matches!(o, O::Into(_))) else { return Ok(()) };
    let catalogue = context.tables.catalogue();
    let other = |name: &str| catalogue.sources.iter().find(|s| s.name.eq_ignore_ascii_case(name));
    let (kind, what) = match import.kind {
        ImportKind::Waveforms => ("waveforms", "waveforms"),
        ImportKind::Events => ("events", "events"),
        ImportKind::Stations => ("stations", "stations"),
        ImportKind::Catalog => ("catalog", "a catalogue"),
    };
    if import.kind == ImportKind::Catalog && BUILT_IN.iter().any(|b| b.eq_ignore_ascii_case(&into.text)) {
        let message = format!("`{}` is the name of a built-in table", into.text);
        return Err(Diagnostic::new(message, into.span).help("choose another name"));
    }
    match other(&into.text).filter(|s| s.kind != kind) {
        Some(source) => {
            let there = if source.kind == "catalog" { "a catalogue" } else { source.kind.as_str() };
            let message = format!("`{}` is already the name of {there}, this is {what}", source.name);
            Err(Diagnostic::new(message, into.span).help("choose another name"))
        }
        None => Ok(()),
    }
}

/// The request of a statement.
pub(super) fn of(import: &Import, context: &Context<'_>) -> Result<Request> {
    free_name(import, context)?;
    let path = PathBuf::from(Binder::new(*context).text(&import.path)?);
    let replace = import.options.iter().any(|o| matches!(o, O::Replace(_)));
    if let Some(O::Append(span)) = import.options.iter().find(|o| matches!(o, O::Append(_)) && replace) {
        return Err(Diagnostic::new("REPLACE and APPEND exclude each other", *span)
            .help("REPLACE drops the old rows, APPEND keeps them")
            .into());
    }
    Ok(match import.kind {
        ImportKind::Waveforms => Request::Waveforms(waveforms(import, path, context)?),
        ImportKind::Catalog => Request::Catalog(Box::new(catalog(import, path, context)?)),
        ImportKind::Events => Request::Events(events(import, path, &EVENT_FORMATS.map(|f| f.0))?),
        ImportKind::Stations => Request::Stations(events(import, path, &STATION_FORMATS.map(|f| f.0))?),
    })
}

fn waveforms(import: &Import, path: PathBuf, context: &Context<'_>) -> Result<Waveforms> {
    let name = name_of(import, None);
    let selection = select::text_of(import);
    let mut request = Waveforms {
        path,
        name,
        span: import.path.span,
        replace: false,
        layout: None,
        selection,
        sealed: None,
        is_tsindex: false,
    };
    for option in &import.options {
        match option {
            O::Into(_) | O::Where(_) | O::Near(..) => {}
            O::Replace(_) => request.replace = true,
            O::Append(span) => {
                return Err(Diagnostic::new("an archive has one root: nothing can be appended to it", *span)
                    .help("import the other root under a name of its own; `segments` shows all archives")
                    .into());
            }
            O::Format(format) if format.text.eq_ignore_ascii_case("tsindex") => request.is_tsindex = true,
            O::Format(format) => {
                return Err(Diagnostic::new(
                    format!("`{}` is no format of waveforms", format.text),
                    format.span,
                )
                .help("FORMAT tsindex imports an index of mseedindex; files are known by their content")
                .into());
            }
            O::Layout(text, span) => {
                let layout =
                    Layout::parse(text).map_err(|e| Diagnostic::new(e.reason, *span).help(e.help))?;
                request.layout = Some(layout.name);
            }
            O::Sealed(patterns, span) => {
                let help = "directories below the root: SEALED '2019,202?/IU'";
                Sealed::parse(patterns).map_err(|why| Diagnostic::new(why, *span).help(help))?;
                request.sealed = Some(patterns.clone()).filter(|p| !p.trim().is_empty());
            }
            other => {
                return Err(not_here(
                    other,
                    import,
                    "waveforms",
                    "INTO, FORMAT, LAYOUT, WHERE, NEAR, SEALED and REPLACE",
                ));
            }
        }
    }
    let choice = import.options.iter().find(|o| matches!(o, O::Layout(..) | O::Where(_) | O::Near(..)));
    if let (true, Some(option)) = (request.is_tsindex, choice) {
        return Err(not_here(option, import, "an index", "INTO and REPLACE"));
    }
    // Mistakes in WHERE and NEAR are shown where they stand, before anything is written.
    Selection::of_import(import, request.layout.as_deref(), context)?;
    Ok(request)
}

fn events(import: &Import, path: PathBuf, formats: &[&str]) -> Result<Events> {
    let mut request = Events { path, name: name_of(import, None), format: None, existing: Existing::Refuse };
    let what = if import.kind == ImportKind::Events { "events" } else { "stations" };
    for option in &import.options {
        match option {
            O::Into(_) => {}
            O::Format(ident) => request.format = Some(known_format(ident, what, formats)?),
            O::Append(_) => request.existing = Existing::Append,
            O::Replace(_) => request.existing = Existing::Replace,
            other => return Err(not_here(other, import, what, "INTO, FORMAT, APPEND and REPLACE")),
        }
    }
    Ok(request)
}

fn catalog(import: &Import, path: PathBuf, context: &Context<'_>) -> Result<Catalog> {
    let mut request = Catalog { path, name: name_of(import, None), ..Catalog::default() };
    for option in &import.options {
        match option {
            O::Into(_) => {}
            O::Key(name) => request.key = Some(column(name)),
            O::Position(a, b) => request.position = Some((column(a), column(b))),
            O::Motion(a, b) => request.motion = Some((column(a), column(b))),
            O::Units(units) => request.units = units.iter().map(|(c, u, _)| (column(c), u.clone())).collect(),
            O::SortedBy(names) => request.sorted_by = names.iter().map(column).collect(),
            O::Append(_) => request.existing = Existing::Append,
            O::Replace(_) => request.existing = Existing::Replace,
            O::Nulls(nulls) => {
                for (name, e) in nulls {
                    request.nulls.push((column(name), number(e, context)?));
                }
            }
            O::Frame(name) if name.text.eq_ignore_ascii_case("icrs") => {}
            O::Frame(name) => return Err(later("a FRAME other than icrs", name.span).into()),
            O::EpochYear(n) => {
                request.epoch_year = Some(year(&Binder::new(*context).figure(n)?, n.span)?);
            }
            O::EpochColumn(name) => request.epoch_column = Some(column(name)),
            O::Format(ident) => request.format = Some(known_format(ident, "catalogues", FORMATS)?),
            O::Time(_, Some(scale)) if !scale.text.eq_ignore_ascii_case("utc") => {
                return Err(later("a SCALE other than utc", scale.span).into());
            }
            O::Time(name, _) => request.time = Some(column(name)),
            O::Where(e) => return Err(later("WHERE of IMPORT CATALOG", e.span).into()),
            other => {
                let options =
                    "INTO, FORMAT, KEY, POSITION, MOTION, EPOCH, UNITS, NULLS, SORTED BY, APPEND and REPLACE";
                return Err(not_here(other, import, "catalogues", options));
            }
        }
    }
    Ok(request)
}

fn column(name: &Name) -> Word {
    Word { text: name.parts.last().map_or(String::new(), |p| p.text.clone()), span: name.span }
}

fn year(text: &str, span: Span) -> Result<Word> {
    let is_year = text.parse::<f64>().is_ok_and(|y| (1000.0..3000.0).contains(&y));
    if is_year {
        return Ok(Word { text: text.to_owned(), span });
    }
    Err(Diagnostic::new(format!("EPOCH {text} is no year"), span).help("a Julian year: EPOCH 2016.0").into())
}

fn number(e: &Expr, context: &Context<'_>) -> Result<f64> {
    let (binder, scope) = (Binder::new(*context), Scope::default());
    let value = ExprBinder { binder: &binder, scope: &scope, grouping: None }.scalar(e)?;
    let wrong = || Diagnostic::new("NULLS takes numbers", e.span).help("NULLS (mag -999, mag 99.99)");
    Ok(value.number().ok_or_else(wrong)?)
}

fn known_format(ident: &Ident, what: &str, formats: &[&str]) -> Result<Word> {
    let name = ident.text.to_ascii_lowercase();
    if formats.contains(&name.as_str()) {
        return Ok(Word { text: name, span: ident.span });
    }
    let error = Diagnostic::new(format!("`{}` is no format of {what}", ident.text), ident.span);
    let list = formats.join(", ");
    Err(match nearest(&name, formats.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("known: {list}; without FORMAT the content decides")),
    }
    .into())
}

/// An option of another kind of IMPORT, refused where it stands.
fn not_here(option: &O, import: &Import, what: &str, options: &str) -> Error {
    let (word, span) = match option {
        O::Into(i) => ("INTO", i.span),
        O::Format(i) => ("FORMAT", i.span),
        O::Layout(_, span) => ("LAYOUT", *span),
        O::Sealed(_, span) => ("SEALED", *span),
        O::Key(n) => ("KEY", n.span),
        O::Position(a, b) => ("POSITION", a.span.to(b.span)),
        O::Motion(a, b) => ("MOTION", a.span.to(b.span)),
        O::Frame(i) => ("FRAME", i.span),
        O::EpochYear(n) => ("EPOCH", n.span),
        O::EpochColumn(n) => ("EPOCH", n.span),
        O::Nulls(list) => ("NULLS", list.first().map_or(import.path.span, |n| n.0.span)),
        O::Time(n, _) => ("TIME", n.span),
        O::Units(list) => ("UNITS", list.first().map_or(import.path.span, |u| u.0.span)),
        O::SortedBy(list) => ("SORTED BY", list.first().map_or(import.path.span, |n| n.span)),
        O::Near(_, e) => ("NEAR", e.span),
        O::Where(e) => ("WHERE", e.span),
        O::Append(span) => ("APPEND", *span),
        O::Replace(span) => ("REPLACE", *span),
    };
    Diagnostic::new(format!("{word} is no option of {what}"), span)
        .help(format!("they take {options}"))
        .into()
}
