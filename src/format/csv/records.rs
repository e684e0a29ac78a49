//! The bytes of a text table as records: plain or zstd, delimiter found out, every fault with its line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ::csv::{ByteRecord, ReaderBuilder};

use super::{BUFFER_BYTES, UTF8_BOM, ZSTD_MAGIC, ZSTD_RATIO, ZSTD_WINDOW_LOG2_BYTES};
use crate::error::{DataError, Error, Result};
use crate::format::table::{ColumnMeta, SNIFF_BYTES, yaml_columns};
use crate::limits::{LINE_BYTES, XML_TEXT_BYTES};

/// Delimiters in order of preference.
const DELIMITERS: &[u8] = b",\t;|";
/// Fed to the tokeniser after the last byte of the file. It comes back as a record of its own unless a quote is
/// still open there.
const END_MARK: &[u8] = b"\n\0\n";

/// The text of a plain or zstd file.
enum Text {
    Plain(File),
    Zstd { decoder: Box<zstd::Decoder<'static, BufReader<Counted>>>, given: u64 },
}

/// Counts what is read.
struct Counted {
    file: File,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.bytes += n as u64;
        Ok(n)
    }
}

impl Text {
    fn open(path: &Path) -> Result<Text> {
        let open = || File::open(path).map_err(|e| Error::io("open", path, e));
        let mut head = Vec::new();
        let limit = ZSTD_MAGIC.len() as u64;
        open()?.take(limit).read_to_end(&mut head).map_err(|e| Error::io("read", path, e))?;
        if head != ZSTD_MAGIC {
            return Ok(Text::Plain(open()?));
        }
        let failed = |e| Error::io("decompress", path, e);
        let mut decoder = zstd::Decoder::new(Counted { file: open()?, bytes: 0 }).map_err(failed)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG2_BYTES).map_err(failed)?;
        Ok(Text::Zstd { decoder: Box::new(decoder), given: 0 })
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Text::Plain(file) => file.read(buffer),
            Text::Zstd { decoder, given } => {
                let n = decoder.read(buffer)?;
                *given += n as u64;
                let read = decoder.get_ref().get_ref().bytes;
                if *given > read.saturating_mul(ZSTD_RATIO).saturating_add(1 << 20) {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("more than {ZSTD_RATIO} bytes from one compressed byte"),
                    ));
                }
                Ok(n)
            }
        }
    }
}

/// Feeds the tokeniser: not past the longest record, and with [`END_MARK`] after the end.
struct Feed {
    text: Text,
    given: u64,
    allowed: u64,
    is_too_long: bool,
    mark: &'static [u8],
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given > self.allowed {
            self.is_too_long = true;
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let mut n = self.text.read(buffer)?;
        if n == 0 {
            n = self.mark.read(buffer)?;
        }
        self.given += n as u64;
        Ok(n)
    }
}

/// How a text file is split into cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    has_comments: bool,
    /// The last comment line before the first row, without its marks.
    pub(super) comment: String,
    /// Of an ECSV header; else empty.
    pub(super) meta: Vec<ColumnMeta>,
}

/// The records of a file, one after the other.
pub(super) struct Records {
    pub(super) path: PathBuf,
    csv: ::csv::Reader<Feed>,
    pub(super) record: ByteRecord,
    width: Option<usize>,
    is_ended: bool,
}

impl Records {
    pub(super) fn open(path: &Path, dialect: &Dialect) -> Result<Records> {
        let text = Text::open(path)?;
        let feed = Feed { text, given: 0, allowed: u64::MAX, is_too_long: false, mark: END_MARK };
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(dialect.delimiter).buffer_capacity(BUFFER_BYTES);
        builder.comment(dialect.has_comments.then_some(b'#'));
        let csv = builder.from_reader(feed);
        Ok(Records { path: path.to_path_buf(), csv, record: ByteRecord::new(), width: None, is_ended: false })
    }

    /// Reads the next record into `self.record`; false after the last.
    pub(super) fn advance(&mut self) -> Result<bool> {
        if self.is_ended {
            return Ok(false);
        }
        let start = self.csv.position().clone();
        self.csv.get_mut().allowed = start.byte() + (LINE_BYTES + BUFFER_BYTES) as u64;
        match self.csv.read_byte_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return Err(self.fault(&start, "a quote that begins here is never closed")),
            Err(_) if self.csv.get_ref().is_too_long => {
                let reason =
                    format!("a record of more than {LINE_BYTES} bytes (a quote that is never closed?)");
                return Err(self.fault(&start, reason));
            }
            Err(e) => return Err(self.tokeniser_error(e)),
        }
        if self.record.as_slice().len() > LINE_BYTES {
            return Err(self.fault(&start, format!("a record of more than {LINE_BYTES} bytes")));
        }
        if self.csv.get_ref().mark.is_empty() {
            if self.record.len() == 1 && self.record.as_slice() == b"\0" {
                self.is_ended = true;
                return Ok(false);
            }
            if self.record.as_slice().ends_with(END_MARK) {
                return Err(self.fault(&start, "a quote that begins here is never closed"));
            }
        }
        let width = *self.width.get_or_insert(self.record.len());
        if width != self.record.len() {
            let reason = format!("{} cells, the header has {width}", self.record.len());
            return Err(self.fault(&start, reason));
        }
        Ok(true)
    }

    /// An error that names the line on which the record at this place begins.
    fn fault(&self, start: &::csv::Position, reason: impl Into<String>) -> Error {
        let line = line_of(&self.path, start.byte());
        Error::Data(Box::new(DataError {
            path: self.path.clone(),
            place: line.map(|line| format!("line {line}")),
            offset: None,
            reason: reason.into(),
            help: None,
        }))
    }

    /// The file is not what it was in the first pass.
    pub(super) fn changed(&self) -> Error {
        Error::data(&self.path, None, "the file changed while it was read")
    }

    fn tokeniser_error(&self, error: ::csv::Error) -> Error {
        match error.into_kind() {
            ::csv::ErrorKind::Io(e) => Error::io("read", &self.path, e),
            other => Error::data(&self.path, None, format!("{other:?}")),
        }
    }
}

/// Line, from 1, of the first text at or after this byte. The tokeniser's own count is behind where lines end
/// with CRLF or are blank.
fn line_of(path: &Path, byte: u64) -> Option<u64> {
    let mut text = BufReader::new(Text::open(path).ok()?);
    let mut line = 1;
    let mut at = 0;
    loop {
        let buffer = text.fill_buf().ok()?;
        for b in buffer {
            if at >= byte && !matches!(b, b'\r' | b'\n') {
                return Some(line);
            }
            line += u64::from(*b == b'\n');
            at += 1;
        }
        let length = buffer.len();
        if length == 0 {
            return Some(line);
        }
        text.consume(length);
    }
}

/// Finds out how the file is split.
pub(super) fn dialect(path: &Path) -> Result<Dialect> {
    let mut head = Vec::new();
    let text = Text::open(path)?;
    let mut text = BufReader::new(text.take(XML_TEXT_BYTES as u64));
    let io = |e| Error::io("read", path, e);
    text.read_until(b'\n', &mut head).map_err(io)?;
    let first = head.strip_prefix(UTF8_BOM).unwrap_or(&head);
    let has_comments = first.starts_with(b"#");
    let is_ecsv = first.starts_with(b"# %ECSV");
    let mut yaml = String::new();
    let mut comment = String::new();
    let mut is_comment = has_comments;
    while is_comment {
        let line = String::from_utf8_lossy(&head);
        comment = line.trim_start_matches(['\u{feff}', '#']).trim().to_owned();
        yaml.push_str(line.strip_prefix("# ").unwrap_or(&line));
        head.clear();
        text.read_until(b'\n', &mut head).map_err(io)?;
        is_comment = head.starts_with(b"#");
    }
    if is_ecsv {
        let stated = yaml.lines().find_map(|l| l.strip_prefix("delimiter:"));
        let stated = stated.map(|d| d.trim().trim_matches(['\'', '"'])).and_then(|d| d.bytes().next());
        let delimiter = stated.unwrap_or(b' ');
        return Ok(Dialect { delimiter, has_comments, comment, meta: yaml_columns(&yaml) });
    }
    text.take(SNIFF_BYTES as u64).read_to_end(&mut head).map_err(io)?;
    let delimiter = sniff_delimiter(&head, has_comments);
    Ok(Dialect { delimiter, has_comments, comment, meta: Vec::new() })
}

/// The delimiter that splits the first rows evenly into the most cells; without any, the one that splits the
/// first row most.
fn sniff_delimiter(head: &[u8], has_comments: bool) -> u8 {
    let score = |delimiter: u8| {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(delimiter).comment(has_comments.then_some(b'#'));
        let widths: Vec<usize> = builder
            .from_reader(head)
            .into_byte_records()
            .map_while(Result::ok)
            .take(51)
            .map(|r| r.len())
            .collect();
        let first = widths.first().copied().unwrap_or(0);
        // the last record may be cut off by the end of the head
        let whole = widths.len().saturating_sub(1).max(1);
        let is_even = widths.iter().take(whole).all(|&w| w == first);
        (is_even && first > 1, first)
    };
    let mut best = (b',', score(b','));
    for &delimiter in DELIMITERS {
        let new = score(delimiter);
        if new > best.1 {
            best = (delimiter, new);
        }
    }
    best.0
}
