//! Guarded reading of XML, shared by QuakeML and StationXML: a walk over element paths with bounds on depth
//! and text (`limits`), no document type with entities, nothing outside the file is ever opened.
//! XML 1.0 (W3C, 5th edition); namespaces by Namespaces in XML 1.0.

use std::io::{self, BufRead, Read, Write};
use std::path::Path;

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::{NsReader, XmlVersion};

use crate::error::{Error, Result};
use crate::limits::{XML_DEPTH, XML_TEXT_BYTES};
use crate::model::time::{NS_PER_S, Time, TimeError};

/// Bytes of a file in which its XML declaration is looked for.
const DECLARATION_BYTES: usize = 256;
/// Bytes that are converted from Latin-1 at a time.
const LATIN1_BLOCK_BYTES: usize = 8192;

/// What [`Xml::next`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// An element begins; it is the last of the path and its attributes can be asked for.
    Open,
    /// An element ends; it is still the last of the path and its text can be asked for.
    Close,
    /// The end of a whole document.
    End,
}

/// Why the rest of a document cannot be read: a byte offset and a reason, or an error of the disk.
#[derive(Debug)]
pub(super) enum Fault {
    /// The bytes are not what they should be.
    Bad(u64, String),
    /// The file could not be read.
    Io(io::Error),
}

/// What a reader wants to see of a document: all else is walked over under the name `""`.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// A part of the namespace's address; elements of other namespaces are strangers. No namespace is accepted.
    pub namespace: &'static str,
    /// Local names of elements.
    pub elements: &'static [&'static str],
    /// Local names of attributes.
    pub attributes: &'static [&'static str],
}

/// A walk over a document.
pub(super) struct Xml<'r> {
    reader: NsReader<Guard<'r>>,
    vocabulary: &'static Vocabulary,
    path: Vec<&'static str>,
    attributes: Vec<(&'static str, String)>,
    text: String,
    buffer: Vec<u8>,
    start: u64,
    closing: bool,
    root: String,
}

impl<'r> Xml<'r> {
    /// A walk from the start of `input`.
    pub(super) fn new(input: &'r mut dyn BufRead, vocabulary: &'static Vocabulary) -> Self {
        let mut reader = NsReader::from_reader(Guard::new(input));
        reader.config_mut().expand_empty_elements = true;
        Xml {
            reader,
            vocabulary,
            path: Vec::new(),
            attributes: Vec::new(),
            text: String::new(),
            buffer: Vec::new(),
            start: 0,
            closing: false,
            root: String::new(),
        }
    }

    /// Local names from the root to the present element; strangers are `""`.
    pub(super) fn path(&self) -> &[&'static str] {
        &self.path
    }

    /// Text of the element that has just ended, blanks trimmed, `None` if there is none.
    pub(super) fn text(&self) -> Option<&str> {
        Some(self.text.trim()).filter(|t| !t.is_empty())
    }

    /// An attribute of the element that has just begun, blanks trimmed.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.0 == name).map(|a| a.1.trim())
    }

    /// Byte at which the present tag or text starts.
    pub(super) fn offset(&self) -> u64 {
        self.start
    }

    /// Name of the root element as written, empty before it is reached.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The next begin or end of an element.
    pub(super) fn next(&mut self) -> std::result::Result<Node, Fault> {
        if std::mem::take(&mut self.closing) {
            self.path.pop();
            self.text.clear();
        }
        loop {
            self.buffer.clear();
            self.start = self.reader.get_mut().new_event();
            let mut buffer = std::mem::take(&mut self.buffer);
            let step = self.step(&mut buffer);
            self.buffer = buffer;
            if let Some(node) = step? {
                return Ok(node);
            }
        }
    }

    fn step(&mut self, buffer: &mut Vec<u8>) -> std::result::Result<Option<Node>, Fault> {
        let at = self.start;
        let bad = |reason: String| Fault::Bad(at, reason);
        // The name is settled here because the resolver borrows the reader.
        let (ours, event) = match self.reader.read_resolved_event_into(buffer) {
            Ok((ResolveResult::Bound(namespace), event)) => {
                (namespace.as_ref().contains(self.vocabulary.namespace), event)
            }
            Ok((_, event)) => (true, event),
            Err(error) => return Err(self.reader.get_mut().explain(at, error)),
        };
        match event {
            Event::Start(tag) => return self.open(&tag, ours).map(Some),
            Event::End(_) => {
                self.closing = true;
                return Ok(Some(Node::Close));
            }
            Event::Text(text) if self.path.is_empty() && !text.trim().is_empty() => {
                return Err(bad("text outside the root element".to_owned()));
            }
            Event::Text(text) => self.push_text(&text.xml10_content())?,
            Event::CData(text) => self.push_text(&text.xml10_content())?,
            Event::GeneralRef(name) => {
                let number = name.resolve_char_ref().map_err(|e| bad(e.to_string()))?;
                let known = |c: char| c.encode_utf8(&mut [0; 4]).to_owned();
                let text = match number {
                    Some(c) => Some(known(c)),
                    None => quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned),
                };
                let text = text.ok_or_else(|| bad(format!("the entity `&{};` is not defined", &*name)))?;
                self.push_text(&text)?;
            }
            Event::DocType(text) if text.contains('[') || text.contains("ENTITY") => {
                return Err(bad("the document type declares entities: such files are refused".to_owned()));
            }
            Event::Eof if !self.path.is_empty() => {
                let open = self.path.iter().rev().find(|n| !n.is_empty()).copied().unwrap_or_default();
                return Err(bad(format!("the file ends inside `<{open}>`")));
            }
            Event::Eof => return Ok(Some(Node::End)),
            _ => {}
        }
        Ok(None)
    }

    fn open(&mut self, tag: &BytesStart<'_>, ours: bool) -> std::result::Result<Node, Fault> {
        if self.path.len() >= XML_DEPTH {
            let reason = format!("elements are nested deeper than {XML_DEPTH}");
            return Err(Fault::Bad(self.start, reason));
        }
        if self.root.is_empty() {
            self.root = tag.local_name().as_ref().chars().take(64).collect();
        }
        let name = tag.local_name();
        let known = self.vocabulary.elements.iter().find(|n| **n == name.as_ref());
        let known = known.copied().filter(|_| ours).unwrap_or_default();
        self.path.push(known);
        self.text.clear();
        self.attributes.clear();
        if known.is_empty() {
            return Ok(Node::Open);
        }
        for attribute in tag.attributes().with_checks(false) {
            let attribute =
                attribute.map_err(|e| Fault::Bad(self.start, format!("an attribute of `<{known}>`: {e}")))?;
            // An attribute without prefix has no namespace; one with a prefix belongs to somebody else.
            let wanted = self.vocabulary.attributes.iter().find(|n| **n == attribute.key.as_ref());
            if let Some(wanted) = wanted {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                let value =
                    value.map_err(|e| Fault::Bad(self.start, format!("attribute `{wanted}`: {e}")))?;
                self.attributes.push((wanted, value.into_owned()));
            }
        }
        Ok(Node::Open)
    }

    /// Text is kept only inside elements that are wanted.
    fn push_text(&mut self, text: &str) -> std::result::Result<(), Fault> {
        if self.path.last().is_none_or(|n| n.is_empty()) {
            return Ok(());
        }
        if self.text.len() + text.len() > XML_TEXT_BYTES {
            return Err(Fault::Bad(self.start, too_long()));
        }
        self.text.push_str(text);
        Ok(())
    }
}

fn too_long() -> String {
    format!("a text, tag or comment is longer than {} MiB", XML_TEXT_BYTES >> 20)
}

/// Counts bytes, stops a single text, tag or comment at the limit, and turns Latin-1 into UTF-8 where the XML
/// declaration says so (IRIS and others declare ISO-8859-1).
struct Guard<'r> {
    input: &'r mut dyn BufRead,
    consumed: u64,
    event_bytes: usize,
    is_over: bool,
    is_latin1: Option<bool>,
    head: Vec<u8>,
    staged: Vec<u8>,
    staged_at: usize,
}

impl<'r> Guard<'r> {
    fn new(input: &'r mut dyn BufRead) -> Self {
        Guard {
            input,
            consumed: 0,
            event_bytes: 0,
            is_over: false,
            is_latin1: None,
            head: Vec::new(),
            staged: Vec::new(),
            staged_at: 0,
        }
    }

    /// A new text, tag or comment starts: at which byte of the file.
    fn new_event(&mut self) -> u64 {
        self.event_bytes = 0;
        self.consumed
    }

    fn explain(&self, at: u64, error: quick_xml::Error) -> Fault {
        match error {
            _ if self.is_over => Fault::Bad(at, too_long()),
            quick_xml::Error::Io(error) => Fault::Io(io::Error::new(error.kind(), error.to_string())),
            other => Fault::Bad(at, other.to_string()),
        }
    }

    /// Reads the first bytes and looks for the declared encoding.
    fn look(&mut self) -> io::Result<bool> {
        let limit = DECLARATION_BYTES as u64;
        (&mut *self.input).take(limit).read_to_end(&mut self.head)?;
        let text = String::from_utf8_lossy(&self.head).to_ascii_lowercase();
        let declaration = text.split("?>").next().filter(|d| d.contains("<?xml"));
        let encoding = declaration
            .and_then(|d| d.split_once("encoding"))
            .map(|(_, rest)| rest.trim_start_matches([' ', '=', '"', '\'', '\t']))
            .unwrap_or_default();
        let names = ["iso-8859-1", "iso8859-1", "latin1", "latin-1", "windows-1252", "cp1252"];
        Ok(names.iter().any(|n| encoding.strip_prefix(n).is_some_and(|rest| rest.starts_with(['"', '\'']))))
    }

    /// Fills the staging area with the next block; empty at the end of the file.
    fn stage(&mut self) -> io::Result<()> {
        let is_latin1 = match self.is_latin1 {
            Some(known) => known,
            None => {
                let known = self.look()?;
                self.is_latin1 = Some(known);
                known
            }
        };
        self.staged.clear();
        self.staged_at = 0;
        let mut block = std::mem::take(&mut self.head);
        if block.is_empty() {
            (&mut *self.input).take(LATIN1_BLOCK_BYTES as u64).read_to_end(&mut block)?;
        }
        if !is_latin1 {
            self.staged = block;
            return Ok(());
        }
        for byte in block {
            let mut utf8 = [0; 4];
            self.staged.extend_from_slice(char::from(byte).encode_utf8(&mut utf8).as_bytes());
        }
        Ok(())
    }
}

impl Read for Guard<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(out)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Guard<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.event_bytes > XML_TEXT_BYTES {
            self.is_over = true;
            return Err(io::Error::other("over the limit"));
        }
        if self.staged_at >= self.staged.len() {
            self.stage()?;
        }
        Ok(self.staged.get(self.staged_at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        let end = self.staged_at.saturating_add(amount).min(self.staged.len());
        let taken = self.staged.get(self.staged_at..end).unwrap_or_default();
        // In Latin-1 every byte of the file that became two starts with 0xC2 or 0xC3.
        let follow = |b: &&u8| **b & 0xC0 == 0x80;
        let doubled = if self.is_latin1 == Some(true) { taken.iter().filter(follow).count() } else { 0 };
        self.consumed += (taken.len() - doubled) as u64;
        self.event_bytes += taken.len();
        self.staged_at = end;
    }
}

/// Local name of the root element in the first bytes of a file; `None` if it is not XML or not there yet.
pub(super) fn root_name(head: &[u8]) -> Option<&str> {
    let mut rest = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    loop {
        let after = rest.strip_prefix(b"<")?;
        let close: &[u8] = match after {
            [b'?', ..] => b"?>",
            [b'!', b'-', b'-', ..] => b"-->",
            [b'!', ..] => b">",
            _ => {
                let end = after.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'))?;
                let name = std::str::from_utf8(after.get(..end)?).ok()?;
                return Some(name.rsplit(':').next().unwrap_or(name));
            }
        };
        let end = after.windows(close.len()).position(|w| w == close)?;
        rest = after.get(end + close.len()..)?.trim_ascii_start();
    }
}

/// An `xs:dateTime` (XML Schema part 2, 3.2.7) as UTC: no zone is UTC, an offset is applied, digits beyond the
/// ninth of a second are rounded.
pub(super) fn parse_time(text: &str) -> std::result::Result<Time, TimeError> {
    let text = text.trim();
    let clock = text.find('T').unwrap_or(text.len());
    let (day, zone) = match text.get(clock..).and_then(|c| c.rfind(['+', '-'])) {
        Some(at) => text.split_at(clock + at),
        None => (text, ""),
    };
    let (day, carry_ns) = cut_fraction(day);
    let time = Time::parse(&day)?;
    let error = || TimeError { reason: format!("`{text}` is not a time"), help: None };
    let offset_ns = if zone.is_empty() { 0 } else { zone_ns(zone).ok_or_else(error)? };
    let ns = time.0.checked_add(carry_ns).and_then(|t| t.checked_sub(offset_ns)).ok_or_else(error)?;
    Ok(Time(ns))
}

/// `+02:00` in ns.
fn zone_ns(zone: &str) -> Option<i64> {
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone.get(1..)?.chars().filter(|c| *c != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i64 = digits.parse().ok()?;
    let (hours, minutes) = (value / 100, value % 100);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60 * NS_PER_S)
}

/// Cuts a fraction of more than nine digits to nine; returns the ns to add for rounding.
fn cut_fraction(text: &str) -> (String, i64) {
    let Some((head, fraction)) = text.split_once('.') else { return (text.to_owned(), 0) };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let (Some(nine), Some(rest)) = (fraction.get(..9), fraction.get(digits..)) else {
        return (text.to_owned(), 0);
    };
    if digits <= 9 {
        return (text.to_owned(), 0);
    }
    let up = fraction.as_bytes().get(9).is_some_and(|b| *b >= b'5');
    (format!("{head}.{nine}{rest}"), i64::from(up))
}

/// Text for an XML file: the five special characters escaped, what XML 1.0 cannot hold replaced by U+FFFD.
pub(super) fn escaped(text: &str) -> String {
    let legal =
        |c: char| matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'));
    let text: String = text.chars().map(|c| if legal(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    quick_xml::escape::escape(text).into_owned()
}

/// Writes an element with text, if there is one, indented by `depth` blanks.
pub(super) fn element(out: &mut dyn Write, depth: usize, name: &str, text: Option<&str>) -> Result<()> {
    match text {
        Some(text) => line(out, depth, &format!("<{name}>{}</{name}>", escaped(text))),
        None => Ok(()),
    }
}

/// Writes a line of XML.
pub(super) fn line(out: &mut dyn Write, depth: usize, text: &str) -> Result<()> {
    writeln!(out, "{:depth$}{text}", "").map_err(|e| Error::io("write", Path::new("the XML output"), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_times_are_utc() {
        let cases = [
            ("2019-10-31T01:20:58.661000Z", Some("2019-10-31T01:20:58.661Z")),
            ("1987-01-01T00:00:00+00:00", Some("1987-01-01T00:00:00Z")),
            ("2021-09-24T13:51:46.5-07:30", Some("2021-09-24T21:21:46.500Z")),
            ("2021-09-24T13:51:46.1234567896", Some("2021-09-24T13:51:46.123456790Z")),
            ("2021-09-24T13:51:46.12345678949999Z", Some("2021-09-24T13:51:46.123456789Z")),
            ("2021-09-24T13:51:60", Some("2021-09-24T13:52:00Z")),
            ("2016-07-04", Some("2016-07-04T00:00:00Z")),
            ("2016-186T12:00:00", Some("2016-07-04T12:00:00Z")),
            ("2599-12-31T23:59:59", None),
            ("2021-09-24T13:51:46+25:00", None),
            ("2021-09-24T13:51:46+1", None),
            ("2021-09-24T13:51:46.Z", None),
            ("T", None),
            ("\u{e9}T+", None),
            ("", None),
        ];
        for (text, want) in cases {
            let got = parse_time(text).ok().map(|t| t.to_string());
            assert_eq!(got.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn the_guard_counts_bytes_of_the_file() {
        let body = "<a>\u{fc}</a>".repeat(5000);
        let utf8 = format!("<?xml version='1.0'?><r>{body}</r>");
        let latin = format!("<?xml version=\"1.0\" encoding=\"latin1\"?><r>{body}</r>");
        let latin: Vec<u8> = latin.chars().map(|c| c as u8).collect();
        static VOCABULARY: Vocabulary = Vocabulary { namespace: "x", elements: &["r", "a"], attributes: &[] };
        for bytes in [utf8.into_bytes(), latin] {
            let mut input = bytes.as_slice();
            let mut xml = Xml::new(&mut input, &VOCABULARY);
            let mut n_texts = 0;
            while xml.next().expect("well-formed") != Node::End {
                n_texts += usize::from(xml.text() == Some("\u{fc}"));
            }
            assert_eq!((n_texts, xml.offset()), (5000, bytes.len() as u64));
        }
    }

    #[test]
    fn text_survives_escaping() {
        assert_eq!(escaped("a<b>&'\"\u{1}\u{fffe}"), "a&lt;b&gt;&amp;&apos;&quot;\u{fffd}\u{fffd}");
    }
}
