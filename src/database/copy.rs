//! COPY: the rows of a query into a file, written under a temporary name and renamed when whole.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_array::Array;
use arrow_array::cast::AsArray;

use super::{Database, Outcome, Run, plan_of};
use crate::engine::bind::source::later;
use crate::engine::bind::verbs::at_span;
use crate::engine::bind::{Binder, Context};
use crate::engine::exec;
use crate::engine::expr::{floats, integers};
use crate::engine::plan::Node;
use crate::error::{Diagnostic, Error, Result, Span};
use crate::format::compress::{self, Method};
use crate::format::hypodd::{DtccLink, write_dtcc};
use crate::format::table::{FORMATS, Format, Writer};
use crate::lang::diagnostic::nearest;
use crate::lang::syntax::{Copy, CopyOption};
use crate::model::table::Batch;
use crate::model::time::Time;

/// Where and how rows are written.
struct Target {
    path: PathBuf,
    format: OutFormat,
    compress: Option<Method>,
    replace: bool,
    append: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum OutFormat {
    Table(Format),
    HypoDd,
}

impl Database {
    pub(super) fn copy(&self, copy: &Copy, run: &mut Run<'_>) -> Result<Outcome> {
        let (rows, outcome) = self.reading(run, |context, _| {
            let target = target(copy, context)?;
            if target.path.exists() && !target.replace && !target.append {
                let message = format!("{} is already there", target.path.display());
                return Err(Diagnostic::new(message, copy.to.span)
                    .help("add REPLACE to write over it")
                    .into());
            }
            let node = plan_of(&copy.query, context)?;
            let rows = write(&node, &target, context).map_err(|e| at_span(e, copy.to.span))?;
            Ok((rows, target.path, target.append))
        })?;
        let (rows, path, append) = rows;
        let verb = if append { "appended" } else { "wrote" };
        Ok(Outcome { message: Some(format!("{verb} {rows} rows to {}", path.display())), ..outcome })
    }
}

fn target(copy: &Copy, context: &Context<'_>) -> Result<Target> {
    let path = PathBuf::from(Binder::new(*context).text(&copy.to)?);
    let mut target = Target {
        format: OutFormat::Table(Format::of_path(&path).unwrap_or(Format::Csv)),
        compress: Method::of_path(&path),
        path,
        replace: false,
        append: false,
    };
    let mut is_stated = Format::of_path(&target.path).is_some();
    for option in &copy.options {
        match option {
            CopyOption::Format(name) => {
                target.format = out_format(&name.text, name.span)?;
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
    if !is_stated {
        let message = format!("the name {} does not tell a format", target.path.display());
        return Err(Diagnostic::new(message, copy.to.span)
            .help(format!("add FORMAT and one of {}", format_names().join(", ")))
            .into());
    }
    let is_text = match target.format {
        OutFormat::HypoDd => true,
        OutFormat::Table(format) => format.is_text(),
    };
    if target.compress.is_some() && !is_text {
        return Err(Diagnostic::new("a file of this format compresses its own parts", copy.to.span)
            .help("leave out COMPRESS, .gz and .zst")
            .into());
    }
    if target.append && target.compress.is_some() {
        return Err(Diagnostic::new("nothing can be appended to a compressed file", copy.to.span)
            .help("write another file")
            .into());
    }
    let can_append = matches!(
        target.format,
        OutFormat::Table(Format::Csv | Format::Tsv | Format::Ndjson) | OutFormat::HypoDd
    );
    if target.append && !can_append {
        return Err(Diagnostic::new("nothing can be appended to a file of this format", copy.to.span)
            .help("APPEND works with csv, tsv, ndjson and hypodd")
            .into());
    }
    Ok(target)
}

/// What FORMAT takes.
fn format_names() -> Vec<&'static str> {
    FORMATS.iter().map(|f| f.1).chain(["hypodd"]).collect()
}

fn out_format(name: &str, span: Span) -> Result<OutFormat, Diagnostic> {
    if name.eq_ignore_ascii_case("hypodd") {
        return Ok(OutFormat::HypoDd);
    }
    if let Some(format) = Format::find(name) {
        return Ok(OutFormat::Table(format));
    }
    let planned = ["mseed", "sac", "growclust", "votable", "ecsv", "fits"];
    if planned.iter().any(|p| p.eq_ignore_ascii_case(name)) {
        return Err(later(&format!("FORMAT {}", name.to_ascii_lowercase()), span));
    }
    let error = Diagnostic::new(format!("unknown format `{name}`"), span);
    Err(match nearest(&name.to_ascii_lowercase(), format_names().into_iter()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format_names().join(", ")),
    })
}

fn write(node: &Node, target: &Target, context: &Context<'_>) -> Result<u64> {
    let directory = target.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::metadata(directory).map_err(|e| Error::io("write into", directory, e))?;
    let mut temporary = tempfile::Builder::new()
        .prefix(".starquake-")
        .tempfile_in(directory)
        .map_err(|e| Error::io("create", &target.path, e.kind().into()))?;
    let mut old = match std::fs::read(&target.path) {
        _ if !target.append => vec![],
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => vec![],
        read => read.map_err(|e| Error::io("read", &target.path, e))?,
    };
    if old.last().is_some_and(|last| *last != b'\n') {
        old.push(b'\n');
    }
    temporary.write_all(&old).map_err(|e| Error::io("write", &target.path, e))?;
    let file = temporary.as_file().try_clone().map_err(|e| Error::io("write", &target.path, e))?;
    let out = Box::new(BufWriter::with_capacity(1 << 20, file));
    let out = compress::with(target.compress, out).map_err(|e| Error::io("write", &target.path, e))?;
    let rows = match target.format {
        OutFormat::HypoDd => write_hypodd(node, out, context)?,
        OutFormat::Table(format) => write_table(node, (format, &target.path, !old.is_empty()), out, context)?,
    };
    temporary.as_file().sync_all().map_err(|e| Error::io("fsync", &target.path, e))?;
    set_mode(temporary.path());
    temporary.persist(&target.path).map_err(|e| Error::io("rename", &target.path, e.error))?;
    Ok(rows)
}

/// A temporary file is private; an output has the mode of any new file.
fn set_mode(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644));
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

/// dt.cc from the rows of CORRELATE, whatever else the query selected.
fn write_hypodd(node: &Node, mut out: Box<dyn Write + Send>, context: &Context<'_>) -> Result<u64> {
    let batch = exec::collect_one(node, context)?;
    let links = links(&batch, context)?;
    let count = write_dtcc(&mut out, &links)?;
    out.flush().map_err(|e| Error::io("write", "dt.cc", e))?;
    if count.left_out > 0 {
        context.notices.footer(format!(
            "{} links left out: P and Pn of one station, the earlier is kept",
            count.left_out
        ));
    }
    context.notices.footer(format!("{} pairs", count.pairs));
    Ok(count.lines as u64)
}

fn links(batch: &Batch, context: &Context<'_>) -> Result<Vec<DtccLink>> {
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| {
            Error::refused(
                format!("FORMAT hypodd needs the rows of CORRELATE: there is no column `{name}`"),
                "COPY CORRELATE events ... TO 'dt.cc' FORMAT hypodd",
            )
        })
    };
    let text = |name: &str| -> Result<Vec<Option<String>>> {
        let texts = column(name)?.as_string_opt::<i32>().ok_or_else(|| {
            Error::refused(
                format!("column `{name}` is no text: these are not rows of CORRELATE"),
                "COPY CORRELATE events ... TO 'dt.cc' FORMAT hypodd",
            )
        })?;
        Ok(texts.iter().map(|v| v.map(str::to_owned)).collect())
    };
    let (event1, event2) = (text("event1")?, text("event2")?);
    let (network, station, phase) = (text("network")?, text("station")?, text("phase")?);
    let (dt, weight) = (floats(column("dt")?)?, floats(column("weight")?)?);
    let events = Events::new(context)?;
    let mut links = vec![];
    for row in (0..batch.num_rows()).filter(|&i| dt.is_valid(i)) {
        let find = |id: &Option<String>| events.find(id.as_deref().unwrap_or(""));
        let ((number1, origin1), (number2, origin2)) = (find(&event1[row])?, find(&event2[row])?);
        links.push(DtccLink {
            event1: number1,
            event2: number2,
            network: network[row].clone().unwrap_or_default(),
            station: station[row].clone().unwrap_or_default(),
            phase: phase[row].clone().unwrap_or_default(),
            dt_s: dt.value(row),
            weight: weight.value(row),
            origin1,
            origin2,
            arrival1: Time(0),
        });
    }
    Ok(links)
}

/// Number and origin of every event.
struct Events(std::collections::HashMap<String, (i64, Time)>);

impl Events {
    /// The source's numbers where they are unique over all sources, else 1..n in table order.
    fn new(context: &Context<'_>) -> Result<Events> {
        let batch = crate::engine::ops::verbs::built_in("events", context)?;
        let column = |name: &str| {
            batch.column_by_name(name).cloned().ok_or_else(|| Error::refused("events have no numbers", ""))
        };
        let (ids, numbers, times) =
            (column("event_id")?, integers(&column("number")?)?, integers(&column("time")?)?);
        let ids = ids.as_string::<i32>();
        let mut seen = std::collections::HashSet::new();
        let is_unique = (0..batch.num_rows()).all(|i| numbers.is_valid(i) && seen.insert(numbers.value(i)));
        let number = |i: usize| if is_unique { numbers.value(i) } else { i as i64 + 1 };
        let timed = (0..batch.num_rows()).filter(|&i| times.is_valid(i));
        Ok(Events(timed.map(|i| (ids.value(i).to_owned(), (number(i), Time(times.value(i))))).collect()))
    }

    fn find(&self, id: &str) -> Result<(i64, Time)> {
        self.0.get(id).copied().ok_or_else(|| {
            Error::refused(
                format!("event `{id}` is not in the table of events"),
                "IMPORT EVENTS brings it in",
            )
        })
    }
}
