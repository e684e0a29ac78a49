//! IMPORT: registers a source and brings its rows in. A statement becomes visible in one generation; an import that
//! is already in does nothing.

mod append;
pub mod catalog;
pub mod events;
pub mod preview;
mod reading;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, Span};
use crate::ingest::refresh::now_ns;
use crate::model::station::{Pattern, PatternError};
use crate::model::time::Time;
use crate::store::{Catalogue, SourceEntry};

/// Property of a source: its files with size and time of change.
pub const SIGNATURE: &str = "signature";

/// What IMPORT does with a name that is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Same source: nothing to do; another: an error.
    #[default]
    Refuse,
    /// The new rows instead of the old.
    Replace,
    /// The new rows beside the old.
    Append,
}

/// A word of the statement, and where it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Word {
    /// As written, without quotes.
    pub text: String,
    /// Empty when it does not come from the text.
    pub span: Span,
}

impl Word {
    /// A word that does not come from the text of the statement.
    pub fn unplaced(text: &str) -> Word {
        Word { text: text.to_owned(), span: Span::default() }
    }
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// One line for the user.
    pub message: String,
    /// What was assumed, changed or looks odd.
    pub notices: Vec<String>,
    /// Inputs, or parts of them, that could not be read.
    pub problems: u64,
}

impl Imported {
    /// The same import has been done.
    pub fn nothing(name: &str) -> Imported {
        Imported { message: format!("`{name}` is already in: nothing to do"), ..Imported::default() }
    }
}

/// The files that an IMPORT names: a file, all files of a directory (by name, not below it), or a pattern `*.parquet`
/// in the last part of the path.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let is_pattern = name.contains(&b'*') || name.contains(&b'?');
    if !is_pattern && !path.is_dir() {
        let metadata = std::fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
        if !metadata.is_file() {
            return Err(Error::data(path, None, "it is not a regular file"));
        }
        return Ok(vec![path.to_path_buf()]);
    }
    let directory = if is_pattern { path.parent().unwrap_or(Path::new("")) } else { path };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let pattern = is_pattern.then(|| Pattern::part(&path.file_name().unwrap_or_default().to_string_lossy()));
    let pattern = pattern.transpose().map_err(|e: PatternError| Error::refused(e.reason, e.help))?;
    let mut found = vec![];
    for entry in std::fs::read_dir(directory).map_err(|e| Error::io("list", directory, e))? {
        let entry = entry.map_err(|e| Error::io("list", directory, e))?;
        let name = entry.file_name();
        let is_hidden = name.as_bytes().first().is_none_or(|b| matches!(b, b'.' | b'_'));
        let is_wanted = pattern.as_ref().map_or(!is_hidden, |p| p.matches(&name.to_string_lossy()));
        if is_wanted && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    if found.is_empty() {
        let message = format!("no file matches {}", path.display());
        return Err(Error::refused(message, "the pattern acts on the last part of the path"));
    }
    Ok(found)
}

/// Names, sizes and times of files: what tells whether an import is already in.
pub fn signature(files: &[PathBuf]) -> Result<String> {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for file in files {
        let metadata = std::fs::metadata(file).map_err(|e| Error::io("open", file, e))?;
        hash.update(absolute(file)?.as_os_str().as_bytes());
        for number in [metadata.size() as i64, metadata.mtime(), metadata.mtime_nsec()] {
            hash.update(&number.to_le_bytes());
        }
    }
    Ok(format!("{:016x}", hash.digest()))
}

/// The absolute path of a root that exists.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io("find", path, e))
}

/// `1 file`, `2 files`.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A name for a source that has none: the stem of its path, in characters of a bare name.
pub fn default_name(path: &Path) -> String {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let clean: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match clean.trim_matches('_') {
        "" => "data".to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("s_{name}"),
        name => name.to_owned(),
    }
}

/// Says whether a source of that name is new, already in, or something else.
pub fn standing(catalogue: &Catalogue, wanted: &SourceEntry, existing: Existing) -> Result<Standing> {
    let Some(old) = catalogue.sources.iter().find(|s| s.name.eq_ignore_ascii_case(&wanted.name)) else {
        return Ok(Standing::New);
    };
    if old.kind != wanted.kind {
        return Err(Error::refused(
            format!("`{}` is already the name of {}", wanted.name, old.kind),
            "choose another name with INTO",
        ));
    }
    let is_in = has_part(old, wanted);
    match existing {
        Existing::Append if is_in => Ok(Standing::Same),
        Existing::Append => Ok(Standing::Append),
        Existing::Replace if is_in && parts(old).count() == 1 && is_told_the_same(old, wanted) => {
            Ok(Standing::Same)
        }
        Existing::Replace => Ok(Standing::Replace),
        Existing::Refuse if is_in && is_told_the_same(old, wanted) => Ok(Standing::Same),
        Existing::Refuse => Err(Error::refused(
            format!("`{}` is already there, {}", wanted.name, difference(old, wanted)),
            "add REPLACE for the new rows instead, or APPEND for both",
        )),
    }
}

/// The signatures of the import that made a source and of each APPEND to it.
fn parts(source: &SourceEntry) -> impl Iterator<Item = &str> {
    source.options.get(SIGNATURE).map_or("", String::as_str).split('+')
}

fn has_part(old: &SourceEntry, wanted: &SourceEntry) -> bool {
    parts(wanted).next().is_some_and(|part| parts(old).any(|p| p == part))
}

/// Same root and options, but for the state of the files.
fn is_told_the_same(old: &SourceEntry, wanted: &SourceEntry) -> bool {
    let options = |s: &SourceEntry| {
        let stated = s.options.iter().filter(|(k, _)| k.as_str() != SIGNATURE);
        stated.map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>()
    };
    old.root == wanted.root && options(old) == options(wanted)
}

/// Why an import is not the one that was done.
fn difference(old: &SourceEntry, wanted: &SourceEntry) -> String {
    if old.root != wanted.root {
        let root = Path::new(OsStr::from_bytes(&old.root));
        return format!("imported from {}", root.display());
    }
    if has_part(old, wanted) {
        "imported with other options"
    } else {
        "imported from an earlier state of the file"
    }
    .to_owned()
}

/// The spelling of a source name that is there already in another case.
pub fn spelled(catalogue: &Catalogue, name: &str) -> String {
    let known = catalogue.sources.iter().find(|s| s.name.eq_ignore_ascii_case(name));
    known.map_or(name, |s| &s.name).to_owned()
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The name is free.
    New,
    /// Already in.
    Same,
    /// The old rows go.
    Replace,
    /// The old rows stay.
    Append,
}

/// Puts a source in the place of one of its name, or at the end.
pub fn put_source(catalogue: &mut Catalogue, source: SourceEntry) {
    match catalogue.sources.iter().position(|s| s.name.eq_ignore_ascii_case(&source.name)) {
        Some(place) => catalogue.sources[place] = source,
        None => catalogue.sources.push(source),
    }
}

/// Enters a source as refreshed now. With APPEND it keeps its root and options, and its signature stands for all
/// files that are in.
pub fn register(catalogue: &mut Catalogue, mut source: SourceEntry, standing: Standing) {
    let old = catalogue.sources.iter().find(|s| s.name.eq_ignore_ascii_case(&source.name));
    if let Some(old) = old.filter(|_| standing == Standing::Append) {
        let both = [old, &source].map(|s| s.options.get(SIGNATURE).cloned().unwrap_or_default());
        source = old.clone();
        source.options.insert(SIGNATURE.to_owned(), both.join("+"));
    }
    source.last_refresh = Some(Time(now_ns()));
    put_source(catalogue, source);
}
