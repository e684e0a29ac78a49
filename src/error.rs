//! What can go wrong, as data. Every error names the place (file, record or row, byte offset, or the span of
//! the query text) and, where there is one, the thing to write or do instead.
//!
//! The variant of an [`Error`] is its kind; its `Display` is the message with the help below it;
//! [`Error::position`] is the place in the query text, and
//! [`Error::rendered`] draws it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A half-open range of bytes in a query text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Span { start, end }
    }

    /// Does it hold no byte?
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// Where a query text came from, for `file:line:col`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// File name, or `<query>`, `<prompt>`, `<stdin>`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A mistake in a query: message, place and what to write instead. `lang::diagnostic` draws it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// One line, lower case, names in backquotes.
    pub message: String,
    /// Where in the text; `None` when the whole statement is meant.
    pub span: Option<Span>,
    /// What to write instead.
    pub help: Option<String>,
    /// The text the span points into; filled in by whoever knows it.
    pub source: Option<Source>,
    /// `file:line:col` of the INCLUDE that brought the text in, then of the one that brought that in, outward.
    pub included: Vec<String>,
    /// True when the text does not parse (exit code 2), false when a parsed statement is refused.
    pub is_syntax: bool,
}

impl Diagnostic {
    /// A refusal by the binder at `span`.
    pub fn new(message: impl Into<String>, span: Span) -> Self {
        Diagnostic {
            message: message.into(),
            span: Some(span),
            help: None,
            source: None,
            included: vec![],
            is_syntax: false,
        }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<Diagnostic> for Error {
    fn from(value: Diagnostic) -> Self {
        Error::Query(Box::new(value))
    }
}

/// A fault in bytes that came from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataError {
    /// The file.
    pub path: PathBuf,
    /// `record 12`, `row 3`, `line 7`, `event 2`: counted from 1, in the words of the format.
    pub place: Option<String>,
    /// Byte offset in the file.
    pub offset: Option<u64>,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub help: Option<String>,
}

/// Everything that can go wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A mistake in the query text.
    Query(Box<Diagnostic>),
    /// A fault in a file from outside.
    Data(Box<DataError>),
    /// The operating system refused something.
    Io {
        /// What was tried, as a verb: `read`, `open`, `fsync`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A file of the database does not hold what was written to it.
    Damaged {
        /// The file of the database.
        path: PathBuf,
        /// The 64 KiB block, if the fault is in one.
        block: Option<u64>,
        /// What does not agree.
        reason: String,
    },
    /// Another process is writing.
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it: pid, host, statement.
        holder: String,
    },
    /// The file was written by a newer (or a too old) Starquake.
    Version {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest version this program reads.
        supported: u32,
    },
    /// A stated limit was reached.
    Limit {
        /// What grew too large.
        what: String,
        /// The limit, with its unit.
        limit: String,
        /// How to raise it, or to need less.
        help: String,
    },
    /// A statement that cannot be done as things stand (a root is missing, a name is taken).
    Refused {
        /// Why.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// Ctrl-C, a timeout, or the caller's cancel token.
    Interrupted,
}

impl Error {
    /// An I/O error with its path.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        Error::Io { action, path: path.as_ref().to_path_buf(), source }
    }

    /// A fault at a byte of a file from outside.
    pub fn data(path: impl AsRef<Path>, offset: Option<u64>, reason: impl Into<String>) -> Self {
        Error::Data(Box::new(DataError {
            path: path.as_ref().to_path_buf(),
            place: None,
            offset,
            reason: reason.into(),
            help: None,
        }))
    }

    /// A refusal that knows no place of the query gets one.
    #[must_use]
    pub fn at(self, span: Span) -> Self {
        match self {
            Error::Refused { message, help } => {
                let mut diagnostic = Diagnostic::new(message, span);
                diagnostic.help = help.filter(|h| !h.is_empty());
                diagnostic.into()
            }
            other => other,
        }
    }

    /// What to write or do instead, where there is something.
    pub fn help(&self) -> Option<&str> {
        match self {
            Error::Query(d) => d.help.as_deref(),
            Error::Data(d) => d.help.as_deref(),
            Error::Limit { help, .. } => Some(help),
            Error::Refused { help, .. } => help.as_deref(),
            _ => None,
        }
    }

    /// For a mistake in a query: name of the text, line and column (in characters), both from 1.
    pub fn position(&self) -> Option<(&str, usize, usize)> {
        let Error::Query(d) = self else { return None };
        let (source, span) = (d.source.as_ref()?, d.span?);
        let before = source.text.get(..span.start.min(source.text.len()))?;
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let column = before[line_start..].chars().count() + 1;
        Some((&source.name, before.matches('\n').count() + 1, column))
    }

    /// A statement that cannot be done, with what to do instead.
    pub fn refused(message: impl Into<String>, help: impl Into<String>) -> Self {
        Error::Refused { message: message.into(), help: Some(help.into()) }
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(place) = &self.place {
            write!(f, ", {place}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", byte {offset}")?;
        }
        write!(f, ": {}", self.reason)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Query(d) => {
                write!(f, "{}", d.message)?;
                d.help.as_ref().map_or(Ok(()), |help| write!(f, "\n  help: {help}"))
            }
            Error::Data(d) => d.fmt(f),
            Error::Io { action, path, source } => write!(f, "cannot {action} {}: {source}", path.display()),
            Error::Damaged { path, block, reason } => {
                write!(f, "{} is damaged", path.display())?;
                if let Some(block) = block {
                    write!(f, " in block {block}")?;
                }
                write!(f, ": {reason}\n  help: `starquake check --db` lists what to rebuild")
            }
            Error::Locked { path, holder } => {
                write!(f, "another process is writing to this database: {holder} ({})", path.display())
            }
            Error::Version { path, found, supported } => {
                write!(
                    f,
                    "{} has format version {found}, this program reads up to {supported}",
                    path.display()
                )
            }
            Error::Limit { what, limit, help } => {
                write!(f, "{what} is over the limit of {limit}\n  help: {help}")
            }
            Error::Refused { message, help } => {
                write!(f, "{message}")?;
                help.as_ref().map_or(Ok(()), |help| write!(f, "\n  help: {help}"))
            }
            Error::Interrupted => write!(f, "interrupted"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
