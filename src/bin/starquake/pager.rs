//! Long answers at the prompt go through a pager, short ones straight to the terminal.

use std::env;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use unicode_width::UnicodeWidthStr;

use crate::output::Stdout;

/// Without PAGER: keeps colours and cuts no line but scrolls sideways.
const PAGER: &str = "less -SR";
/// Name the pager, the first that is set; empty: none.
const VARIABLES: &[&str] = &["STARQUAKE_PAGER", "PAGER"];
/// Bytes without an end of line that are no line any more.
const LONGEST: usize = 1 << 20;
/// Size of a terminal that does not tell it.
const COLUMNS_ROWS: (usize, usize) = (80, 24);

/// Set when the pager was left before it had read all.
static LEFT: AtomicBool = AtomicBool::new(false);

/// Was the pager left early? That is told once, and is no error.
pub(crate) fn take_left() -> bool {
    LEFT.swap(false, Ordering::Relaxed)
}

/// Is a pager wanted?
pub(crate) fn is_wanted() -> bool {
    words().is_some()
}

fn words() -> Option<Vec<String>> {
    let set = VARIABLES.iter().find_map(|v| env::var(v).ok());
    let command = set.unwrap_or_else(|| PAGER.to_owned());
    let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

/// A terminal, with a pager before it once there is more than fits on it.
#[derive(Debug)]
pub(crate) struct Pager {
    columns: usize,
    /// Lines beside the one the prompt needs.
    rows: usize,
    /// What has come, as long as it fits.
    pending: Vec<u8>,
    /// Lines of it that were measured, and where the next one begins.
    measured: (usize, usize),
    to: To,
}

#[derive(Debug)]
enum To {
    Undecided,
    Terminal,
    Pager(Child),
}

impl Pager {
    pub(crate) fn new() -> Pager {
        let size = terminal_size::terminal_size_of(io::stdout());
        let (columns, rows) = size.map_or(COLUMNS_ROWS, |s| (usize::from(s.0.0), usize::from(s.1.0)));
        Pager::of_size(columns, rows)
    }

    fn of_size(columns: usize, rows: usize) -> Pager {
        let rows = rows.saturating_sub(2).max(1);
        Pager { columns, rows, pending: Vec::new(), measured: (0, 0), to: To::Undecided }
    }

    /// Is there a line too many, or one that is too long?
    fn is_full(&mut self) -> bool {
        let (mut lines, mut start) = self.measured;
        let mut is_wide = false;
        while let Some(length) = self.pending.iter().skip(start).position(|b| *b == b'\n') {
            let line = self.pending.get(start..start + length).unwrap_or(&[]);
            is_wide |= width(&String::from_utf8_lossy(line)) > self.columns;
            start += length + 1;
            lines += 1;
        }
        self.measured = (lines, start);
        is_wide || lines > self.rows || self.pending.len() > LONGEST
    }

    fn start(&mut self) -> io::Result<()> {
        let child = words().and_then(|words| {
            let mut command = Command::new(words.first()?);
            command.args(words.get(1..)?).stdin(Stdio::piped());
            // Without a pager all goes to the terminal.
            command.spawn().ok()
        });
        self.to = child.map_or(To::Terminal, To::Pager);
        let pending = std::mem::take(&mut self.pending);
        self.write_all(&pending)
    }
}

/// Columns that a line takes up, without its colours.
fn width(line: &str) -> usize {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or("").width();
    first + parts.map(|p| p.split_once('m').map_or(0, |(_, text)| text.width())).sum::<usize>()
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Undecided => {
                self.pending.extend_from_slice(bytes);
                if self.is_full() {
                    self.start()?;
                }
                Ok(bytes.len())
            }
            To::Terminal => Stdout.write(bytes),
            To::Pager(child) => {
                let result = child.stdin.as_mut().map_or(Ok(bytes.len()), |stdin| stdin.write(bytes));
                if result.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
                    LEFT.store(true, Ordering::Relaxed);
                }
                result
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Undecided => Ok(()),
            To::Terminal => Stdout.flush(),
            To::Pager(child) => child.stdin.as_mut().map_or(Ok(()), Write::flush),
        }
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        // A terminal that has gone is found by the next read.
        let _ = Stdout.write_all(&self.pending).and_then(|()| Stdout.flush());
        if let To::Pager(child) = &mut self.to {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_paged() {
        let cases = [
            ("a\nb\n", false),
            ("1\n2\n3\n4\n", true),
            ("1234567890\n", false),
            ("12345678901\n", true),
            ("\u{1b}[2m1234567890\u{1b}[0m\n", false),
            ("星星星星星星\n", true),
        ];
        for (text, want) in cases {
            let mut pager = Pager::of_size(10, 5);
            // However it is cut.
            let is_full = text.bytes().any(|b| {
                pager.pending.push(b);
                pager.is_full()
            });
            assert_eq!(is_full, want, "{text:?}");
            pager.pending.clear();
        }
    }
}
