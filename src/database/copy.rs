//! COPY: the rows of a query into a file, written under a temporary name and renamed when whole.

mod hypodd;
mod sac;
mod sites;
mod tsindex;
mod waveform;

use std::io::{BufRead, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::{Database, Outcome, Run, plan_of};
use crate::engine::bind::source::later;
use crate::engine::bind::verbs::at_span;
use crate::engine::bind::{Binder, Context};
use crate::engine::exec;
use crate::engine::plan::Node;
use crate::error::{Diagnostic, Error, Result, Span};
use crate::format::compress::{self, Method};
use crate::format::table::{FORMATS, Format, Writer};
use crate::ingest::import::counted;
use crate::lang::diagnostic::nearest;
use crate::lang::syntax::{Copy, CopyOption};
use crate::limits::LINE_BYTES;
use crate::model::table::Schema;

/// Formats of a later version.
const PLANNED: [&str; 5] = ["growclust", "votable", "ecsv", "fits", "arrow"];
/// Mode of a new file, before the umask.
const NEW_FILE_MODE: u32 = 0o666;
/// Characters of a header that a message shows.
const HEADER_SHOWN: usize = 120;

/// Where and how rows are written.
pub(super) struct Target {
    pub(super) path: PathBuf,
    format: OutFormat,
    /// Of FORMAT, else of the path.
    format_span: Span,
    compress: Option<Method>,
    replace: bool,
    append: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum OutFormat {
    Table(Format),
    HypoDd,
    /// The raw records of segments.
    Mseed,
    /// Their samples, a file for each contiguous piece.
    Sac,
    TsIndex,
}

impl Database {
    pub(super) fn copy(&self, copy: &Copy, run: &mut Run<'_>) -> Result<Outcome> {
        let (rows, outcome) = self.reading(run, |context, _| {
            let target = target(copy, context)?;
            target.may_be_written(copy.to.span)?;
            let node = if target.is_waveform() {
                waveform::plan_of(&copy.query, context)?
            } else {
                plan_of(&copy.query, context)?
            };
            target.takes(&node.schema(), copy.to.span)?;
            let written = write(&node, &target, context).map_err(|e| at_span(e, copy.to.span))?;
            Ok((written, target.path, target.append))
        })?;
        let (written, path, append) = rows;
        let verb = if append { "appended" } else { "wrote" };
        let message = format!("{verb} {} to {}", written.what, path.display());
        Ok(Outcome { message: Some(message), unreadable: written.unreadable, ..outcome })
    }
}

impl Target {
    /// `to a.csv as csv, over the file that is there`
    pub(super) fn outline(&self) -> String {
        let format = match self.format {
            OutFormat::Table(format) => format.name(),
            OutFormat::HypoDd => "hypodd",
            OutFormat::Mseed => "mseed",
            OutFormat::Sac => "sac",
            OutFormat::TsIndex => "tsindex",
        };
        let how = match (self.path.exists(), self.append) {
            (false, _) => "",
            (true, true) => ", behind the rows that are there",
            (true, false) => ", over the file that is there",
        };
        format!("to {} as {format}{how}", self.path.display())
    }

    fn is_waveform(&self) -> bool {
        matches!(self.format, OutFormat::Mseed | OutFormat::Sac)
    }

    /// Compression and APPEND go with the format.
    fn is_possible(&self, span: Span) -> Result<(), Diagnostic> {
        let is_text = match self.format {
            OutFormat::HypoDd => true,
            OutFormat::Mseed | OutFormat::Sac | OutFormat::TsIndex => false,
            OutFormat::Table(format) => format.is_text(),
        };
        if self.compress.is_some() && !is_text {
            return Err(Diagnostic::new("a file of this format compresses its own parts", span)
                .help("leave out COMPRESS, .gz and .zst"));
        }
        if self.append && self.compress.is_some() {
            return Err(Diagnostic::new("nothing can be appended to a compressed file", span)
                .help("write another file"));
        }
        let can_append = matches!(
            self.format,
            OutFormat::Table(Format::Csv | Format::Tsv | Format::Ndjson) | OutFormat::HypoDd
        );
        if self.append && !can_append {
            return Err(Diagnostic::new("nothing can be appended to a file of this format", span)
                .help("APPEND works with csv, tsv, ndjson and hypodd"));
        }
        Ok(())
    }

    /// An existing file is only written over, or longer, when that is said.
    pub(super) fn may_be_written(&self, span: Span) -> Result<(), Diagnostic> {
        if self.format == OutFormat::Sac && sac::is_template(&self.path) {
            return Ok(());
        }
        let directory = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let metadata = match std::fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return match std::fs::metadata(directory) {
                    Ok(_) => Ok(()),
                    Err(e) => {
                        let message = format!("cannot write into {}: {e}", directory.display());
                        Err(Diagnostic::new(message, span).help("make the directory first"))
                    }
                };
            }
            Err(e) => {
                return Err(Diagnostic::new(format!("cannot write {}: {e}", self.path.display()), span));
            }
        };
        let shown = self.path.display();
        if metadata.is_dir() {
            return Err(Diagnostic::new(format!("{shown} is a directory"), span).help("name a file in it"));
        }
        let target = if metadata.is_symlink() { std::fs::metadata(&self.path).ok() } else { Some(metadata) };
        if target.is_none() {
            return Err(Diagnostic::new(format!("{shown} is a link to a file that is not there"), span)
                .help("name the file itself"));
        }
        if target.is_some_and(|t| !t.is_file()) {
            return Err(Diagnostic::new(format!("{shown} is not a regular file"), span)
                .help("for a pipe, let the query print its rows: starquake DB query '...' --format csv"));
        }
        if !self.replace && !self.append {
            return Err(Diagnostic::new(format!("{shown} is already there"), span)
                .help("add REPLACE to write over it, or APPEND to write behind its end"));
        }
        Ok(())
    }

    /// Rows of these columns can be written in the format, and behind what the file has.
    pub(super) fn takes(&self, schema: &Schema, span: Span) -> Result<(), Diagnostic> {
        if self.format == OutFormat::TsIndex {
            let has = |name: &str| schema.columns.iter().any(|c| c.name == name);
            return waveform::needs(&has, "tsindex", self.format_span);
        }
        let has = |name: &str| schema.columns.iter().any(|c| c.name == name);
        let needed = ["event1", "event2", "network", "station", "phase", "dt", "weight"];
        if self.format == OutFormat::HypoDd
            && let Some(missing) = needed.iter().find(|n| !has(n))
        {
            let message = match has("event1") && has("n_links") {
                true => "FORMAT hypodd of PAIRS (dt.ct) is not there yet".to_owned(),
                false => format!("FORMAT hypodd needs the rows of CORRELATE: there is no column `{missing}`"),
            };
            return Err(Diagnostic::new(message, self.format_span)
                .help("COPY CORRELATE events ... TO 'dt.cc' FORMAT hypodd; other rows as csv or parquet"));
        }
        if self.is_waveform() {
            let name = if self.format == OutFormat::Sac { "sac" } else { "mseed" };
            waveform::needs(&has, name, self.format_span)?;
        }
        if !self.append {
            return Ok(());
        }
        let Some(line) = first_line(&self.path) else { return Ok(()) };
        let wrong = |message: String, help: &str| Err(Diagnostic::new(message, span).help(help));
        match self.format {
            OutFormat::HypoDd if !line.trim_start().starts_with('#') => {
                let message =
                    format!("{} is no dt.cc: its first line does not start with #", self.path.display());
                wrong(message, "REPLACE writes over it")
            }
            OutFormat::Table(format @ (Format::Csv | Format::Tsv)) => {
                let mark = if format == Format::Csv { "," } else { "\t" };
                let names: Vec<&str> = schema.columns.iter().map(|c| c.name.as_str()).collect();
                let header = names.join(mark);
                if line.replace('"', "") == header.replace('"', "") {
                    return Ok(());
                }
                let shown: String = line.chars().take(HEADER_SHOWN).collect();
                let message = format!("{} has other columns: {shown}", self.path.display());
                let help =
                    format!("these rows have {}; SELECT the same columns, or REPLACE", names.join(", "));
                wrong(message, &help)
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn target(copy: &Copy, context: &Context<'_>) -> Result<Target> {
    let path = PathBuf::from(Binder::new(*context).text(&copy.to)?);
    let mut target = Target {
        format: of_path(&path).unwrap_or(OutFormat::Table(Format::Csv)),
        compress: Method::of_path(&path),
        path,
        format_span: copy.to.span,
        replace: false,
        append: false,
    };
    let mut is_stated = of_path(&target.path).is_some();
    for option in &copy.options {
        match option {
            CopyOption::Format(name) => {
                target.format = out_format(&name.text, name.span)?;
                target.format_span = name.span;
                is_stated = true;
            }
            CopyOption::Replace(_) => target.replace = true,
            CopyOption::Append(_) => target.append = true,
            CopyOption::Weight(name) if name.text.eq_ignore_ascii_case("cc") => {}
            CopyOption::Weight(name) => return Err(later("a WEIGHT other than cc", name.span).into()),
            CopyOption::Compress(name) => {
                target.compress = Some(Method::find(&name.text).ok_or_else(|| {
                    Diagnostic::new(format!("unknown compression `{}`", name.text), name.span)
                        .help("gzip or zstd")
                })?);
            }
            CopyOption::Sign(n) => return Err(later("SIGN", n.span).into()),
            CopyOption::Station(name) => return Err(later("STATION", name.span).into()),
        }
    }
    if let (Some(CopyOption::Append(span)), true) =
        (copy.options.iter().find(|o| matches!(o, CopyOption::Append(_))), target.replace)
    {
        return Err(Diagnostic::new("REPLACE and APPEND exclude each other", *span)
            .help("REPLACE writes over the file, APPEND behind its end")
            .into());
    }
    if !is_stated {
        return Err(no_format(&target.path, copy.to.span).into());
    }
    target.is_possible(copy.to.span)?;
    Ok(target)
}

/// The format that the name of a file tells.
fn of_path(path: &Path) -> Option<OutFormat> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    match ending.as_str() {
        "mseed" | "ms" | "miniseed" => Some(OutFormat::Mseed),
        "sac" => Some(OutFormat::Sac),
        _ => Format::of_path(path).map(OutFormat::Table),
    }
}

/// Why the name of a file does not tell its format.
fn no_format(path: &Path, span: Span) -> Diagnostic {
    if path.is_dir() {
        return Diagnostic::new(format!("{} is a directory", path.display()), span).help("name a file in it");
    }
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    if PLANNED.contains(&ending.as_str()) {
        return later(&format!("FORMAT {ending}"), span);
    }
    let list = format_names().join(", ");
    Diagnostic::new(format!("the name {} does not tell a format", path.display()), span)
        .help(format!("end it in .csv, .parquet ..., or add FORMAT and one of {list}"))
}

/// What FORMAT takes.
fn format_names() -> Vec<&'static str> {
    FORMATS.iter().map(|f| f.1).chain(["hypodd", "mseed", "sac", "tsindex"]).collect()
}

fn out_format(name: &str, span: Span) -> Result<OutFormat, Diagnostic> {
    if name.eq_ignore_ascii_case("hypodd") {
        return Ok(OutFormat::HypoDd);
    }
    if name.eq_ignore_ascii_case("mseed") || name.eq_ignore_ascii_case("miniseed") {
        return Ok(OutFormat::Mseed);
    }
    if name.eq_ignore_ascii_case("sac") {
        return Ok(OutFormat::Sac);
    }
    if name.eq_ignore_ascii_case("tsindex") {
        return Ok(OutFormat::TsIndex);
    }
    if let Some(format) = Format::find(name) {
        return Ok(OutFormat::Table(format));
    }
    if PLANNED.iter().any(|p| p.eq_ignore_ascii_case(name)) {
        return Err(later(&format!("FORMAT {}", name.to_ascii_lowercase()), span));
    }
    let error = Diagnostic::new(format!("unknown format `{name}`"), span);
    Err(match nearest(&name.to_ascii_lowercase(), format_names().into_iter()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format_names().join(", ")),
    })
}

/// The first line of a file that has one, without its end.
fn first_line(path: &Path) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    let mut line = vec![];
    std::io::BufReader::new(file.take(LINE_BYTES as u64)).read_until(b'\n', &mut line).ok()?;
    let line = String::from_utf8_lossy(&line);
    let line = line.trim_start_matches('\u{FEFF}').trim_end_matches(['\n', '\r']);
    (!line.is_empty()).then(|| line.to_owned())
}

/// What COPY wrote.
struct Written {
    /// `12 rows`
    what: String,
    /// Inputs that could not be read.
    unreadable: u64,
}

impl Written {
    fn rows(count: u64) -> Written {
        Written { what: counted(count as usize, "row"), unreadable: 0 }
    }
}

fn write(node: &Node, target: &Target, context: &Context<'_>) -> Result<Written> {
    if target.format == OutFormat::Sac {
        return sac::write(node, target, context);
    }
    // What a link points to is written, the link stays.
    let path = std::fs::canonicalize(&target.path).unwrap_or_else(|_| target.path.clone());
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::metadata(directory).map_err(|e| Error::io("write into", directory, e))?;
    let before = std::fs::metadata(&path).ok().map(|m| m.permissions());
    let mut temporary = tempfile::Builder::new()
        .prefix(".starquake-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(NEW_FILE_MODE))
        .tempfile_in(directory)
        .map_err(|e| Error::io("create", &path, e.kind().into()))?;
    let mut old = match std::fs::read(&path) {
        _ if !target.append => vec![],
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => vec![],
        read => read.map_err(|e| Error::io("read", &path, e))?,
    };
    if old.last().is_some_and(|last| *last != b'\n') {
        old.push(b'\n');
    }
    temporary.write_all(&old).map_err(|e| Error::io("write", &path, e))?;
    let file = temporary.as_file().try_clone().map_err(|e| Error::io("write", &path, e))?;
    let out = Box::new(BufWriter::with_capacity(1 << 20, file));
    let out = compress::with(target.compress, out).map_err(|e| Error::io("write", &path, e))?;
    let written = match target.format {
        OutFormat::HypoDd => Written::rows(hypodd::write(node, out, context)?),
        OutFormat::Mseed | OutFormat::Sac => waveform::write_mseed(node, out, context)?,
        OutFormat::TsIndex => Written::rows(tsindex::write(node, temporary.path(), context)?),
        OutFormat::Table(format) => {
            Written::rows(write_table(node, (format, &path, !old.is_empty()), out, context)?)
        }
    };
    if let Some(permissions) = before {
        let _ = temporary.as_file().set_permissions(permissions);
    }
    temporary.as_file().sync_all().map_err(|e| Error::io("fsync", &path, e))?;
    temporary.persist(&path).map_err(|e| Error::io("rename", &path, e.error))?;
    Ok(written)
}

fn write_table(
    node: &Node,
    how: (Format, &Path, bool),
    out: Box<dyn Write + Send>,
    context: &Context<'_>,
) -> Result<u64> {
    let (format, path, is_continued) = how;
    let out: Box<dyn Write + Send> = if is_continued && format != Format::Ndjson {
        Box::new(WithoutHeader { out, header: true })
    } else {
        out
    };
    let mut writer = Writer::new(format, path, &node.schema(), out)?;
    let mut rows = 0;
    let mut batches = context.install(|| exec::rows(node, context))?;
    while let Some(batch) = context.install(|| batches.next()) {
        let batch = batch?;
        context.cancel.check()?;
        rows += batch.num_rows() as u64;
        writer.write(&batch)?;
    }
    writer.finish()?;
    Ok(rows)
}

/// Drops the first line: what is appended to a file that has a header.
struct WithoutHeader {
    out: Box<dyn Write + Send>,
    header: bool,
}

impl Write for WithoutHeader {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if !self.header {
            return self.out.write(bytes);
        }
        if let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.header = false;
            self.out.write_all(&bytes[end + 1..])?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
