//! Where rows go: a terminal, a pipe or a file, in which format.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use starquake::database::Output;
use starquake::error::{Error, Result};
use starquake::format::compress;
use starquake::format::table::{self, FORMATS, Writer};
use starquake::lang::diagnostic::nearest;
use starquake::model::table::{Batch, Schema};
use tempfile::NamedTempFile;

use crate::pager::Pager;
use crate::progress::Bar;
use crate::render::{Layout, Markdown, Shown, Table, Timeline};
use crate::style::{Streams, is_unsafe, push_escaped};

/// Bytes of rows that are kept for `.last`.
const KEPT_BYTES: usize = 256 << 20;
/// Columns where a terminal does not tell them.
const TERMINAL_COLUMNS: usize = 80;

/// Set when a write to standard output found that its reader has gone.
static READER_GONE: AtomicBool = AtomicBool::new(false);

/// Has the reader of standard output gone?
pub(crate) fn is_reader_gone() -> bool {
    READER_GONE.load(Ordering::Relaxed)
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Columns that line up.
    Table,
    /// A Markdown table.
    Markdown,
    /// A table file.
    File(table::Format),
}

impl Format {
    /// By the name that `--format` and `.mode` take.
    pub(crate) fn parse(name: &str) -> Result<Format, String> {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "table" => return Ok(Format::Table),
            "markdown" | "md" => return Ok(Format::Markdown),
            "votable" | "ecsv" | "fits" => {
                return Err(format!("{lower} is not written yet; {}", listed()));
            }
            _ => {}
        }
        table::Format::find(name).map(Format::File).ok_or_else(|| {
            match nearest(&lower, Format::names().into_iter()) {
                Some(near) => format!("there is no such format; did you mean `{near}`?"),
                None => format!("there is no such format; {}", listed()),
            }
        })
    }

    /// All names that [`Format::parse`] takes, but for short forms.
    pub(crate) fn names() -> Vec<&'static str> {
        ["table", "markdown"].into_iter().chain(FORMATS.iter().map(|f| f.1)).collect()
    }

    /// Is it text?
    fn is_text(self) -> bool {
        match self {
            Format::Table | Format::Markdown => true,
            Format::File(format) => format.is_text(),
        }
    }

    /// As `--format` writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Markdown => "markdown",
            Format::File(format) => format.name(),
        }
    }

    /// By the ending of a file name, `.gz` and `.zst` behind it aside; CSV for a name without ending, and for what is
    /// no file (`/dev/null`).
    fn of_path(path: &Path) -> Result<Format, String> {
        let plain = if compress::Method::of_path(path).is_some() {
            path.with_extension("")
        } else {
            path.to_path_buf()
        };
        let ending = plain.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        match ending.as_str() {
            "" => Ok(Format::File(table::Format::Csv)),
            "md" => Ok(Format::Markdown),
            "txt" => Ok(Format::Table),
            "vot" | "votable" | "ecsv" | "fits" => {
                Err(format!("{ending} files are not written yet; {}", listed()))
            }
            // A device or pipe has no name that could tell.
            _ if fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir()) => {
                Ok(Format::File(table::Format::Csv))
            }
            _ => table::Format::of_path(&plain).map(Format::File).ok_or_else(|| {
                format!("the ending of {} tells no format: add --format; {}", path.display(), listed())
            }),
        }
    }
}

fn listed() -> String {
    format!("there are {}", Format::names().join(", "))
}

/// Where the rows of the statements of one run go.
#[derive(Debug)]
pub(crate) struct Target {
    /// `None`: standard output.
    pub(crate) path: Option<PathBuf>,
    pub(crate) format: Format,
    pub(crate) is_expanded: bool,
    /// All rows and columns on a terminal too (`.last`).
    pub(crate) shows_all: bool,
    /// What is longer than the terminal goes through a pager.
    pub(crate) has_pager: bool,
    pub(crate) streams: Streams,
    /// Tables written so far.
    tables: u64,
}

impl Target {
    /// By what was asked for; without `--format` by file name, or a table on a terminal and CSV in a pipe.
    ///
    /// # Errors
    /// A sentence about the usage.
    pub(crate) fn new(
        path: Option<PathBuf>,
        format: Option<Format>,
        streams: Streams,
    ) -> Result<Target, String> {
        let path = path.filter(|p| p.as_os_str() != "-");
        let format = match (format, &path) {
            (Some(format), _) => format,
            (None, Some(path)) => Format::of_path(path)?,
            (None, None) if streams.is_stdout_terminal => Format::Table,
            (None, None) => Format::File(table::Format::Csv),
        };
        if path.is_none() && !format.is_text() && streams.is_stdout_terminal {
            return Err(format!("{} is no text: write it to a file with -o FILE", format.name()));
        }
        let is_compressed = path.as_deref().is_some_and(|p| compress::Method::of_path(p).is_some());
        if is_compressed && !format.is_text() {
            return Err(format!("{} compresses its own parts: leave out .gz and .zst", format.name()));
        }
        let (is_expanded, shows_all, has_pager) = (false, false, false);
        Ok(Target { path, format, is_expanded, shows_all, has_pager, streams, tables: 0 })
    }

    /// As [`Target::new`] on the same streams, with `\x` and the pager as they were set.
    pub(crate) fn changed(&self, path: Option<PathBuf>, format: Option<Format>) -> Result<Target, String> {
        let new = Target::new(path, format, self.streams)?;
        Ok(Target { is_expanded: self.is_expanded, has_pager: self.has_pager, ..new })
    }

    /// May it hold more than one table?
    pub(crate) fn holds_one_table(&self) -> bool {
        self.path.is_some() || !self.format.is_text()
    }

    fn is_terminal(&self) -> bool {
        self.path.is_none() && self.streams.is_stdout_terminal
    }

    /// May an answer be longer than is shown of a plain table?
    fn is_paged(&self) -> bool {
        let may_be_long = self.shows_all || self.is_expanded || self.format != Format::Table;
        self.has_pager && self.is_terminal() && may_be_long
    }

    fn layout(&self) -> Layout {
        let columns = || terminal_size::terminal_size_of(io::stdout()).map(|s| usize::from(s.0.0));
        let terminal = self.is_terminal().then(|| columns().filter(|c| *c > 0).unwrap_or(TERMINAL_COLUMNS));
        let color = self.path.is_none() && self.streams.stdout_color;
        Layout { terminal, color, is_expanded: self.is_expanded, shows_all: self.shows_all }
    }

    fn standard(&self) -> Box<dyn Write + Send> {
        if self.is_paged() { Box::new(Pager::new()) } else { Box::new(Stdout) }
    }

    /// Opens the table that comes next.
    fn open(&mut self, schema: &Schema) -> Result<Open> {
        if self.tables > 0 && self.holds_one_table() {
            let place = self.path.as_ref().map_or("standard output".to_owned(), |p| p.display().to_string());
            return Err(Error::refused(
                format!("{place} already holds a table, and this is another one"),
                "write each with COPY (...) TO 'file'",
            ));
        }
        let has_line_between = match self.format {
            Format::File(format) => matches!(format, table::Format::Csv | table::Format::Tsv),
            _ => !self.is_terminal(),
        };
        if self.tables > 0 && has_line_between {
            Stdout.write_all(b"\n").map_err(|e| Error::io("write", "standard output", e))?;
        }
        self.tables += 1;
        let name = self.path.clone().unwrap_or_else(|| PathBuf::from("standard output"));
        let file = self.path.as_deref().map(OutFile::create).transpose()?;
        let out: Box<dyn Write + Send> = match &file {
            Some(file) => {
                let method = compress::Method::of_path(&name);
                compress::with(method, file.writer(&name)?).map_err(|e| Error::io("write", &name, e))?
            }
            None if self.is_terminal() && self.format != Format::Table => {
                Box::new(SafeText { out: self.standard(), pending: Vec::new() })
            }
            None => self.standard(),
        };
        let rows = match self.format {
            Format::Table if Timeline::suits(schema, self.layout()) => {
                let out = Box::new(io::BufWriter::new(out));
                Rows::Timeline(Timeline::new(schema, self.layout(), out))
            }
            Format::Table => {
                Rows::Table(Table::new(schema, self.layout(), Box::new(io::BufWriter::new(out))))
            }
            Format::Markdown => Rows::Markdown(Markdown::new(schema, Box::new(io::BufWriter::new(out)))?),
            Format::File(format) => Rows::File(Writer::new(format, &name, schema, out)?),
        };
        Ok(Open { rows, file })
    }
}

/// A table that is being written.
struct Open {
    rows: Rows,
    file: Option<OutFile>,
}

enum Rows {
    Table(Table<'static>),
    Timeline(Timeline<'static>),
    Markdown(Markdown<'static>),
    File(Writer<'static>),
}

impl Open {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        match &mut self.rows {
            Rows::Table(table) => table.write(batch),
            Rows::Timeline(timeline) => timeline.write(batch),
            Rows::Markdown(table) => table.write(batch),
            Rows::File(writer) => writer.write(batch),
        }
    }

    /// What a table for people has shown; `None` where all rows are out.
    fn finish(self) -> Result<Option<Shown>> {
        let shown = match self.rows {
            Rows::Table(table) => Some(table.finish()?),
            Rows::Timeline(timeline) => Some(timeline.finish()?),
            Rows::Markdown(table) => table.finish().map(|()| None)?,
            Rows::File(writer) => writer.finish().map(|()| None)?,
        };
        self.file.map_or(Ok(()), OutFile::publish)?;
        Ok(shown)
    }
}

/// The rows of an answer, kept for `.last`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) schema: Schema,
    pub(crate) batches: Vec<Batch>,
    /// False when there were more than are kept.
    pub(crate) is_complete: bool,
}

/// Takes the rows of one statement.
pub(crate) struct Sink<'a> {
    target: &'a mut Target,
    bar: &'a Bar,
    open: Option<Open>,
    rows: u64,
    kept: Option<(Kept, usize)>,
    keeps: bool,
}

impl<'a> Sink<'a> {
    /// `keeps`: hold a copy of the rows.
    pub(crate) fn new(target: &'a mut Target, bar: &'a Bar, keeps: bool) -> Sink<'a> {
        Sink { target, bar, open: None, rows: 0, kept: None, keeps }
    }

    /// Rows taken so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Completes the table: what it has shown, and the copy of its rows.
    pub(crate) fn finish(mut self) -> Result<(Option<Shown>, Option<Kept>)> {
        self.bar.clear();
        let shown = self.open.take().map_or(Ok(None), Open::finish)?;
        Ok((shown, self.kept.map(|k| k.0)))
    }

    /// Takes the bar off before rows are written; those of a table wait for its end.
    fn clear_bar(&self) {
        if self.target.is_terminal() && self.target.format != Format::Table {
            self.bar.clear();
        }
    }

    fn keep(&mut self, batch: &Batch) {
        if let Some((kept, bytes)) = &mut self.kept {
            *bytes += batch.get_array_memory_size();
            kept.is_complete &= *bytes <= KEPT_BYTES;
            if kept.is_complete {
                kept.batches.push(batch.clone());
            }
        }
    }
}

impl Output for Sink<'_> {
    fn begin(&mut self, schema: &Schema) -> Result<()> {
        if let Some(open) = self.open.take() {
            self.bar.clear();
            open.finish()?;
        }
        self.clear_bar();
        self.open = Some(self.target.open(schema)?);
        if self.keeps {
            self.kept = Some((Kept { schema: schema.clone(), batches: Vec::new(), is_complete: true }, 0));
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.keep(batch);
        self.clear_bar();
        self.open.as_mut().map_or(Ok(()), |open| open.write(batch))
    }
}

/// Writes rows that were kept to another target.
pub(crate) fn replay(kept: &Kept, target: &mut Target) -> Result<()> {
    let mut open = target.open(&kept.schema)?;
    kept.batches.iter().try_for_each(|batch| open.write(batch))?;
    open.finish().map(|_| ())
}

/// An output file: complete, or as it was before. A device or a pipe is written to as it is.
enum OutFile {
    Regular(NamedTempFile, PathBuf),
    Device(File),
}

impl OutFile {
    fn create(path: &Path) -> Result<OutFile> {
        let error = |e| Error::io("create", path, e);
        if fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir()) {
            let device = File::options().write(true).open(path).map_err(error)?;
            return Ok(OutFile::Device(device));
        }
        // Through links, so that a link stays one.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        let file =
            builder.prefix(".starquake-").permissions(Permissions::from_mode(0o666)).tempfile_in(directory);
        Ok(OutFile::Regular(file.map_err(error)?, path))
    }

    fn writer(&self, path: &Path) -> Result<Box<dyn Write + Send>> {
        let file = match self {
            OutFile::Regular(file, _) => file.as_file(),
            OutFile::Device(file) => file,
        };
        Ok(Box::new(file.try_clone().map_err(|e| Error::io("open", path, e))?))
    }

    fn publish(self) -> Result<()> {
        match self {
            OutFile::Regular(file, path) => file
                .persist(&path)
                .map(|_| ())
                .map_err(|e| Error::io("rename a temporary file to", &path, e.error)),
            OutFile::Device(_) => Ok(()),
        }
    }
}

/// Standard output; remembers when its reader has gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stdout;

impl Stdout {
    fn note<T>(result: io::Result<T>) -> io::Result<T> {
        if result.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
            READER_GONE.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Stdout::note(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Stdout::note(io::stdout().flush())
    }
}

/// Text of a table file on a terminal: line ends and tabs pass, what else a terminal would obey is escaped.
#[derive(Debug)]
struct SafeText<W> {
    out: W,
    /// The beginning of a character whose end has not come yet.
    pending: Vec<u8>,
}

impl<W: Write> Write for SafeText<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut used = 0;
        for chunk in self.pending.utf8_chunks() {
            for c in chunk.valid().chars() {
                if is_unsafe(c) && !matches!(c, '\n' | '\t') {
                    push_escaped(&mut text, c)
                } else {
                    text.push(c)
                }
            }
            used += chunk.valid().len();
            let is_at_end = used + chunk.invalid().len() == self.pending.len();
            if !(chunk.invalid().is_empty() || is_at_end) {
                text.push('\u{fffd}');
            }
            if !is_at_end {
                used += chunk.invalid().len();
            }
        }
        self.pending.drain(..used);
        self.out.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_files_on_a_terminal_are_safe_however_they_are_cut() {
        let text = "id\tname\n1\t星\u{1b}[2J\u{9b}m\u{202e}\n";
        let want = "id\tname\n1\t星\\u{1b}[2J\\u{9b}m\\u{202e}\n";
        for size in 1..=text.len() {
            let mut safe = SafeText { out: Vec::new(), pending: Vec::new() };
            text.as_bytes().chunks(size).for_each(|chunk| safe.write_all(chunk).unwrap());
            assert_eq!(String::from_utf8(safe.out).unwrap(), want, "{size}");
        }
        let mut safe = SafeText { out: Vec::new(), pending: Vec::new() };
        safe.write_all(b"a\xffb").unwrap();
        assert_eq!(safe.out, "a\u{fffd}b".as_bytes());
    }

    #[test]
    fn formats_by_name_and_by_file() {
        let names = Format::names();
        assert!(names.iter().all(|name| Format::parse(name).is_ok_and(|f| f.name() == *name)));
        assert!(["arrow", "arrows", "ndjson"].iter().all(|n| names.contains(n)));
        let cases = [
            ("a.csv", "csv"),
            ("a.JSONL", "ndjson"),
            ("a.pq", "parquet"),
            ("a.md", "markdown"),
            ("a", "csv"),
            ("a.feather", "arrow"),
            ("a.arrows", "arrows"),
            ("a.tsv.gz", "tsv"),
            ("a.md.zst", "markdown"),
        ];
        for (path, want) in cases {
            assert_eq!(Format::of_path(Path::new(path)).map(Format::name), Ok(want), "{path}");
        }
        assert!(Format::of_path(Path::new("a.vot")).is_err_and(|e| e.contains("not written yet")));
        for unknown in ["a.foo", "a.csv.bz2", "a.foo.gz"] {
            assert!(
                Format::of_path(Path::new(unknown)).is_err_and(|e| e.contains("add --format")),
                "{unknown}"
            );
        }
    }
}
