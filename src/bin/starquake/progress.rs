//! A bar on standard error for work that takes long: after half a second, gone before rows are printed.

use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};
use starquake::progress::Progress;

use crate::style::{one_line, thousands};

/// After this a sign is given that work goes on.
const SIGN_DELAY: Duration = Duration::from_millis(90);
/// Work shorter than this shows no bar.
const DELAY: Duration = Duration::from_millis(500);
/// How often a bar moves though nothing was counted.
const TICK: Duration = Duration::from_millis(200);
/// Most drawings in a second.
const HZ: u8 = 10;

const COUNTED: &str = "{msg} {bar:20} {human_pos}/{human_len} {prefix}  {rate}  {eta} left";
const UNCOUNTED: &str = "{spinner} {msg} {human_pos} {prefix}  {rate}  {elapsed}";
/// What is shown of work before its bar, and of work that counts nothing.
const SIGN: &str = "{spinner}";
const RUNNING: &str = "{spinner} {elapsed}, Ctrl-C stops it";
/// For a terminal narrower than [`NARROW`]: a line that wraps cannot be drawn over.
const SHORT: &str = "{wide_msg} {human_pos}/{human_len} {eta}";
const SHORT_UNCOUNTED: &str = "{wide_msg} {human_pos} {elapsed}";
/// Columns that a bar with all it says may need.
const NARROW: u16 = 76;
/// Columns to the right of a bar, for the `^C` that a terminal shows.
const MARGIN: u16 = 3;
/// Size of a terminal that does not tell it.
const COLUMNS_ROWS: (u16, u16) = (80, 24);

/// Standard error as a bar is drawn on it, without its last columns: a `^C` shown there would else begin a new line,
/// and the bar would stay on the one before.
#[derive(Debug)]
struct Terminal;

impl Terminal {
    fn size() -> (u16, u16) {
        terminal_size::terminal_size_of(io::stderr())
            .map_or(COLUMNS_ROWS, |(width, height)| (width.0, height.0))
    }

    /// Moves the cursor by an escape sequence with a count.
    fn go(count: usize, letter: char) -> io::Result<()> {
        if count > 0 { write!(io::stderr(), "\u{1b}[{count}{letter}") } else { Ok(()) }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        Terminal::size().0.saturating_sub(MARGIN).max(1)
    }

    fn height(&self) -> u16 {
        Terminal::size().1
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        Terminal::go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        Terminal::go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        Terminal::go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        Terminal::go(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        writeln!(io::stderr(), "{text}")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        write!(io::stderr(), "{text}")
    }

    fn clear_line(&self) -> io::Result<()> {
        write!(io::stderr(), "\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Steps in a second, as a whole number where that says enough.
fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let rate = state.per_sec();
    // A template cannot fail.
    let _ =
        if rate < 10.0 { write!(out, "{rate:.1}/s") } else { write!(out, "{}/s", thousands(rate as u64)) };
}

/// The bar of one statement; silent when it is told so.
#[derive(Debug, Default)]
pub(crate) struct Bar {
    is_shown: bool,
    stage: Mutex<Option<Stage>>,
}

/// A bar, and what shows it when its time has come.
#[derive(Debug)]
struct Stage {
    bar: ProgressBar,
    /// Dropped: do not show it any more.
    stop: Option<Sender<()>>,
    waiter: Option<JoinHandle<()>>,
}

/// A look of a bar, and how long after its beginning it is put on.
type Look = (Duration, ProgressStyle);

/// A look by its template.
fn look(delay: Duration, template: &str) -> Look {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    (delay, style.with_key("rate", rate).progress_chars("=> "))
}

impl Bar {
    /// Shows something only with `is_shown`.
    pub(crate) fn new(is_shown: bool) -> Bar {
        Bar { is_shown, stage: Mutex::default() }
    }

    /// Work begins that may count nothing: a sign of life, then how long it has taken.
    pub(crate) fn wait(&self) {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        self.show(bar, vec![look(SIGN_DELAY, SIGN), look(DELAY, RUNNING)]);
    }

    /// Takes the bar off the terminal.
    pub(crate) fn clear(&self) {
        if let Some(stage) = self.lock().take() {
            stage.close();
        }
    }

    /// Shows a bar instead of the one before, in one look after the other.
    fn show(&self, bar: ProgressBar, looks: Vec<Look>) {
        if !self.is_shown {
            return;
        }
        self.clear();
        let (stop, stopped) = mpsc::channel::<()>();
        let shown = bar.clone();
        let start = Instant::now();
        let waiter = thread::spawn(move || {
            for (delay, style) in looks {
                let left = delay.saturating_sub(start.elapsed());
                if stopped.recv_timeout(left) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                shown.set_style(style);
                if shown.is_hidden() {
                    shown.set_draw_target(ProgressDrawTarget::term_like_with_hz(Box::new(Terminal), HZ));
                }
                shown.tick();
                shown.enable_steady_tick(TICK);
            }
        });
        *self.lock() = Some(Stage { bar, stop: Some(stop), waiter: Some(waiter) });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Stage>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage {
    fn close(mut self) {
        drop(self.stop.take());
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.join();
        }
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn begin(&self, what: &str, total: u64, unit: &str) {
        let is_narrow = Terminal::size().0 < NARROW;
        let (length, template) = match (total, is_narrow) {
            (0, false) => (None, UNCOUNTED),
            (0, true) => (None, SHORT_UNCOUNTED),
            (_, false) => (Some(total), COUNTED),
            (_, true) => (Some(total), SHORT),
        };
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        bar.set_message(one_line(what).into_owned());
        bar.set_prefix(one_line(unit).into_owned());
        self.show(bar, vec![look(SIGN_DELAY, SIGN), look(DELAY, template)]);
    }

    fn add(&self, steps: u64) {
        if self.is_shown
            && let Some(stage) = self.lock().as_ref()
        {
            stage.bar.inc(steps);
        }
    }

    fn end(&self) {
        self.wait();
    }

    fn is_shown(&self) -> bool {
        self.is_shown
    }
}
