//! A program in a pseudo-terminal, and the screen it draws: what is typed goes in, what a person would see comes out.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use unicode_width::UnicodeWidthChar;

/// Longest wait for something to appear: for machines that do much else.
const PATIENCE: Duration = Duration::from_secs(120);

pub const TAB: &str = "\t";
pub const ENTER: &str = "\r";
pub const UP: &str = "\u{1b}[A";
pub const RIGHT: &str = "\u{1b}[C";
pub const CTRL_C: &str = "\u{3}";
pub const CTRL_D: &str = "\u{4}";

/// A program in a terminal of its own.
pub struct Terminal {
    master: File,
    child: Child,
    bytes: Receiver<Vec<u8>>,
    pub screen: Screen,
    /// All that the program has written.
    pub raw: Vec<u8>,
}

impl Terminal {
    /// Starts `command` in a terminal of so many columns and rows. It must take the terminal for its own
    /// ([`take_terminal`]), so that Ctrl-C reaches it.
    pub fn start(command: &mut Command, columns: u16, rows: u16) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&master).expect("its permissions");
        unlockpt(&master).expect("its lock");
        tcsetwinsize(&master, size(columns, rows)).expect("its size");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let slave = || -> OwnedFd {
            OpenOptions::new().read(true).write(true).open(path).expect("the other side").into()
        };
        let child = command
            .stdin(Stdio::from(slave()))
            .stdout(Stdio::from(slave()))
            .stderr(Stdio::from(slave()))
            .spawn()
            .expect("a program");
        let master = File::from(master);
        let mut reader = master.try_clone().expect("a second handle");
        let (send, bytes) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The read fails once the program has ended.
            while let Ok(count) = reader.read(&mut buffer) {
                if count == 0 || send.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Terminal { master, child, bytes, screen: Screen::new(columns, rows), raw: Vec::new() }
    }

    /// Types keys.
    pub fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("a terminal that takes keys");
    }

    /// Changes the size of the window.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        tcsetwinsize(&self.master, size(columns, rows)).expect("a new size");
        self.screen.columns = usize::from(columns);
        self.screen.rows = usize::from(rows);
    }

    /// Waits until the screen is as wanted.
    pub fn wait(&mut self, what: &str, is_there: impl Fn(&Screen) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_there(&self.screen) {
            let left = end.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => {
                    self.screen.write(&bytes);
                    self.raw.extend(bytes);
                }
                Err(_) => panic!("no {what} on this screen:\n{}", self.screen.text(0)),
            }
        }
    }

    /// Waits for a prompt without input behind row `after`.
    pub fn prompt(&mut self, after: usize) {
        self.wait("prompt", |s| s.row > after && s.line(s.row) == "sq>");
    }

    /// Types a line, and gives what was written up to the next prompt.
    pub fn run(&mut self, line: &str) -> String {
        let start = self.screen.row;
        self.keys(line);
        self.keys(ENTER);
        self.prompt(start);
        self.screen.text(start)
    }

    /// Types keys and waits for the line with the cursor to become this; then Ctrl-C clears it.
    pub fn types(&mut self, keys: &str, want: &str) {
        self.keys(keys);
        let shown = format!("sq> {want}");
        self.wait(&format!("`{shown}` after {keys:?}"), |s| s.line(s.row) == shown.trim_end());
        let row = self.screen.row;
        self.keys(CTRL_C);
        self.prompt(row);
    }

    /// Waits for the end of the program.
    pub fn finish(mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                panic!("the program did not end:\n{}", self.screen.text(0));
            }
            // What it still writes must be read, or it waits.
            let _ = self.bytes.recv_timeout(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Makes the terminal on standard input this process's own: its Ctrl-C comes here.
pub fn take_terminal() {
    rustix::process::setsid().expect("a session");
    rustix::process::ioctl_tiocsctty(std::io::stdin()).expect("a terminal");
}

/// The lines of a terminal with the cursor. Those that have left the top are kept.
pub struct Screen {
    columns: usize,
    rows: usize,
    lines: Vec<Vec<char>>,
    /// The cursor; rows count from the first line ever.
    pub row: usize,
    column: usize,
    /// Bytes of an escape sequence or a character whose end has not come.
    pending: Vec<u8>,
}

/// Second half of a wide character.
const HALF: char = '\0';

impl Screen {
    pub fn new(columns: u16, rows: u16) -> Screen {
        let (columns, rows) = (usize::from(columns), usize::from(rows));
        Screen { columns, rows, lines: vec![vec![]], row: 0, column: 0, pending: vec![] }
    }

    /// A line without the blanks at its end.
    pub fn line(&self, row: usize) -> String {
        let line = self.lines.get(row).map_or(&[][..], Vec::as_slice);
        line.iter().filter(|c| **c != HALF).collect::<String>().trim_end().to_owned()
    }

    /// The lines from `row` on.
    pub fn text(&self, row: usize) -> String {
        (row..self.lines.len()).map(|r| self.line(r)).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// First row on the terminal.
    fn top(&self) -> usize {
        self.lines.len().saturating_sub(self.rows)
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        while let Some(used) = self.step(rest) {
            rest = &rest[used..];
        }
        self.pending = rest.to_vec();
    }

    /// Obeys the character or sequence at the start; `None` where its end is missing.
    fn step(&mut self, bytes: &[u8]) -> Option<usize> {
        match bytes {
            [] | [0x1b] => None,
            [0x1b, b'[', rest @ ..] => {
                let end = rest.iter().position(|b| (0x40..=0x7e).contains(b))?;
                let text = String::from_utf8_lossy(&rest[..end]).into_owned();
                self.control(&text, char::from(rest[end]));
                Some(end + 3)
            }
            [0x1b, b']', rest @ ..] => rest.iter().position(|b| *b == 7).map(|end| end + 3),
            [0x1b, _, ..] => Some(2),
            [b'\r', ..] => {
                self.column = 0;
                Some(1)
            }
            [b'\n', ..] => {
                self.row += 1;
                self.grow();
                Some(1)
            }
            [8, ..] => {
                self.column = self.column.saturating_sub(1);
                Some(1)
            }
            [b'\t', ..] => {
                self.column = (self.column / 8 + 1) * 8;
                Some(1)
            }
            [control, ..] if *control < 0x20 => Some(1),
            [first, ..] => {
                let length = match first {
                    0..=0x7f => 1,
                    0..=0xdf => 2,
                    0..=0xef => 3,
                    _ => 4,
                };
                let text = String::from_utf8_lossy(bytes.get(..length)?).into_owned();
                text.chars().for_each(|c| self.put(c));
                Some(length)
            }
        }
    }

    fn grow(&mut self) {
        while self.lines.len() <= self.row {
            self.lines.push(vec![]);
        }
    }

    fn put(&mut self, c: char) {
        let width = c.width().unwrap_or(0);
        if self.column + width > self.columns {
            (self.row, self.column) = (self.row + 1, 0);
            self.grow();
        }
        let line = &mut self.lines[self.row];
        while line.len() < self.column + width {
            line.push(' ');
        }
        line[self.column] = c;
        (1..width).for_each(|i| line[self.column + i] = HALF);
        self.column += width;
    }

    /// A control sequence with its numbers.
    fn control(&mut self, text: &str, letter: char) {
        let number = |i: usize, default: usize| -> usize {
            text.split(';').nth(i).and_then(|n| n.parse().ok()).unwrap_or(default)
        };
        let count = number(0, 1).max(1);
        match letter {
            'A' => self.row = self.row.saturating_sub(count).max(self.top()),
            'B' => self.row = (self.row + count).min(self.lines.len() - 1),
            'C' => self.column = (self.column + count).min(self.columns - 1),
            'D' => self.column = self.column.saturating_sub(count),
            'G' => self.column = count - 1,
            'H' => (self.row, self.column) = (self.top() + count - 1, number(1, 1) - 1),
            'K' => {
                let column = self.column;
                let line = &mut self.lines[self.row];
                match number(0, 0) {
                    0 => line.truncate(column),
                    1 => line.iter_mut().take(column + 1).for_each(|c| *c = ' '),
                    _ => line.clear(),
                }
            }
            'J' => {
                let first = if number(0, 0) == 2 { self.top() } else { self.row + 1 };
                if number(0, 0) == 0 {
                    let column = self.column;
                    self.lines[self.row].truncate(column);
                }
                self.lines.iter_mut().skip(first).for_each(Vec::clear);
            }
            // Colours and modes are not seen.
            _ => {}
        }
        self.grow();
    }
}

#[test]
fn the_screen_is_what_a_terminal_shows() {
    let cases = [
        ("ab\r\ncd", "ab\ncd"),
        ("abcdefghijkl", "abcdefghij\nkl"),
        ("ab\rx", "xb"),
        ("abc\u{1b}[2D\u{1b}[K", "a"),
        ("one\r\ntwo\u{1b}[A\rx", "xne\ntwo"),
        ("\u{1b}[1;31mred\u{1b}[0m", "red"),
        ("星a", "星a"),
        ("a\u{1b}[2J\u{1b}[Hb", "b"),
    ];
    for (bytes, want) in cases {
        // However it is cut.
        for size in [1, 3, bytes.len()] {
            let mut screen = Screen::new(10, 5);
            bytes.as_bytes().chunks(size).for_each(|c| screen.write(c));
            assert_eq!(screen.text(0), want, "{bytes:?}");
        }
    }
}
