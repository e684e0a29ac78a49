//! IMPORT from a program: a builder that makes the one statement, as a tree and not as text.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result, Source, Span};
use crate::lang::syntax::{
    self, Expr, ExprKind, Ident, ImportKind, ImportOption as O, Name, Number, Statement, StatementKind, Text,
    TextKind, UnaryOp,
};

/// What to import, for [`Database::import`](super::Database::import). Names are taken as they are given, blanks and
/// quotes included. Options that a kind of data does not have are refused by the import.
///
/// ```
/// # use starquake::Import;
/// let import = Import::catalog("gaia.parquet").into_name("gaia").key("source_id").unit("parallax", "mas");
/// assert_eq!(import.to_string(), "IMPORT CATALOG 'gaia.parquet' INTO gaia KEY source_id UNITS (parallax mas)");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    kind: ImportKind,
    path: PathBuf,
    options: Vec<O>,
}

impl Import {
    fn new(kind: ImportKind, path: impl AsRef<Path>) -> Import {
        Import { kind, path: path.as_ref().to_path_buf(), options: vec![] }
    }

    /// Rows of a table with sky positions, or without: CSV, TSV or Parquet; a file, a directory or a pattern
    /// (`gaia/*.parquet`).
    pub fn catalog(path: impl AsRef<Path>) -> Import {
        Import::new(ImportKind::Catalog, path)
    }

    /// The waveform files of a directory tree; `refresh` reads later what changed.
    pub fn waveforms(directory: impl AsRef<Path>) -> Import {
        Import::new(ImportKind::Waveforms, directory)
    }

    /// Events and picks: QuakeML, hypoDD phase files.
    pub fn events(path: impl AsRef<Path>) -> Import {
        Import::new(ImportKind::Events, path)
    }

    /// Stations: StationXML, station lists.
    pub fn stations(path: impl AsRef<Path>) -> Import {
        Import::new(ImportKind::Stations, path)
    }

    fn option(mut self, option: O) -> Import {
        self.options.push(option);
        self
    }

    /// INTO: the name of the catalogue or source; else it is made from the path.
    #[must_use]
    pub fn into_name(self, name: &str) -> Import {
        self.option(O::Into(ident(name)))
    }

    /// FORMAT, where the bytes do not tell it.
    #[must_use]
    pub fn format(self, name: &str) -> Import {
        self.option(O::Format(ident(name)))
    }

    /// LAYOUT of a waveform archive: `SDS`, or a pattern.
    #[must_use]
    pub fn layout(self, layout: &str) -> Import {
        self.option(O::Layout(layout.to_owned(), Span::default()))
    }

    /// SEALED: directories of a waveform archive that will not change any more, `2019,202?/IU`.
    #[must_use]
    pub fn sealed(self, patterns: &str) -> Import {
        self.option(O::Sealed(patterns.to_owned(), Span::default()))
    }

    /// KEY: the column that names a row.
    #[must_use]
    pub fn key(self, column: &str) -> Import {
        self.option(O::Key(name(column)))
    }

    /// POSITION: right ascension and declination, where their names do not tell.
    #[must_use]
    pub fn position(self, ra: &str, dec: &str) -> Import {
        self.option(O::Position(name(ra), name(dec)))
    }

    /// MOTION: the columns of proper motion.
    #[must_use]
    pub fn motion(self, pmra: &str, pmdec: &str) -> Import {
        self.option(O::Motion(name(pmra), name(pmdec)))
    }

    /// EPOCH of the positions, in Julian years.
    #[must_use]
    pub fn epoch(self, year: f64) -> Import {
        self.option(O::EpochYear(Number { text: format!("{year:?}"), span: Span::default() }))
    }

    /// UNITS: the unit of a column; may be given for several.
    #[must_use]
    pub fn unit(mut self, column: &str, unit: &str) -> Import {
        let unit = (name(column), unit.to_owned(), Span::default());
        let known =
            self.options.iter_mut().find_map(|o| if let O::Units(all) = o { Some(all) } else { None });
        match known {
            Some(units) => units.push(unit),
            None => self.options.push(O::Units(vec![unit])),
        }
        self
    }

    /// NULLS: the number that stands for NULL in a column; may be given for several.
    #[must_use]
    pub fn null(mut self, column: &str, value: f64) -> Import {
        let null = (name(column), number(value));
        let known =
            self.options.iter_mut().find_map(|o| if let O::Nulls(all) = o { Some(all) } else { None });
        match known {
            Some(nulls) => nulls.push(null),
            None => self.options.push(O::Nulls(vec![null])),
        }
        self
    }

    /// TIME: the column of observation times.
    #[must_use]
    pub fn time(self, column: &str) -> Import {
        self.option(O::Time(name(column), None))
    }

    /// SORTED BY: the order of the rows, for epochs of sources.
    #[must_use]
    pub fn sorted_by(self, columns: &[&str]) -> Import {
        self.option(O::SortedBy(columns.iter().map(|c| name(c)).collect()))
    }

    /// APPEND: the rows beside those that are there.
    #[must_use]
    pub fn append(self) -> Import {
        self.option(O::Append(Span::default()))
    }

    /// REPLACE: the rows instead of those that are there.
    #[must_use]
    pub fn replace(self) -> Import {
        self.option(O::Replace(Span::default()))
    }

    fn tree(&self, path: &str) -> syntax::Import {
        syntax::Import {
            kind: self.kind,
            path: Text { kind: TextKind::Literal(path.to_owned()), span: Span::default() },
            options: self.options.clone(),
        }
    }

    /// The statement, and its text for messages and for the lock.
    pub(super) fn statement(&self) -> Result<(Statement, Source)> {
        let path = self.path.to_str().ok_or_else(|| {
            Error::refused(
                format!("the path {} is not UTF-8", self.path.display()),
                "import from a directory above it, or through a link",
            )
        })?;
        let is_year =
            |o: &O| !matches!(o, O::EpochYear(n) if !n.text.parse::<f64>().is_ok_and(f64::is_finite));
        if !self.options.iter().all(is_year) {
            return Err(Error::refused("the epoch of an import is no year", "epoch(2016.0)"));
        }
        let mut tree = self.tree(path);
        let text = tree.to_string();
        let span = Span::new(0, text.len());
        tree.path.span = span;
        let kind = StatementKind::Import(Box::new(tree));
        Ok((Statement { kind, span }, Source { name: "<import>".to_owned(), text }))
    }
}

impl std::fmt::Display for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.tree(&self.path.to_string_lossy()).fmt(f)
    }
}

/// A name is quoted in the text where it must be; it is found in any case, as unquoted names are.
pub(super) fn ident(text: &str) -> Ident {
    Ident { text: text.to_owned(), quoted: false, span: Span::default() }
}

fn name(column: &str) -> Name {
    Name { parts: vec![ident(column)], span: Span::default() }
}

fn number(value: f64) -> Expr {
    let digits = Expr { kind: ExprKind::Number(format!("{:?}", value.abs())), span: Span::default() };
    if value.is_sign_negative() {
        let kind = ExprKind::Unary { op: UnaryOp::Minus, operand: Box::new(digits) };
        return Expr { kind, span: Span::default() };
    }
    digits
}
