//! A bar on standard error for work that takes long: after half a second, gone before rows are printed.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use starquake::progress::Progress;

use crate::style::one_line;

/// Work shorter than this shows no bar.
const DELAY: Duration = Duration::from_millis(500);
/// How often a bar moves though nothing was counted.
const TICK: Duration = Duration::from_millis(200);

/// Not the whole width: `^C` is echoed behind it.
const COUNTED: &str = "{msg} {bar:20} {human_pos}/{human_len} {prefix}  {per_sec}  {eta} left";
const UNCOUNTED: &str = "{spinner} {msg} {human_pos} {prefix}  {per_sec}  {elapsed}";

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

impl Bar {
    /// Shows something only with `is_shown`.
    pub(crate) fn new(is_shown: bool) -> Bar {
        Bar { is_shown, stage: Mutex::default() }
    }

    /// Takes the bar off the terminal.
    pub(crate) fn clear(&self) {
        if let Some(stage) = self.lock().take() {
            stage.close();
        }
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
        if !self.is_shown {
            return;
        }
        self.clear();
        let (length, template) = if total > 0 { (Some(total), COUNTED) } else { (None, UNCOUNTED) };
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.set_message(one_line(what).into_owned());
        bar.set_prefix(one_line(unit).into_owned());
        let (stop, stopped) = mpsc::channel::<()>();
        let shown = bar.clone();
        let waiter = thread::spawn(move || {
            if stopped.recv_timeout(DELAY) == Err(RecvTimeoutError::Timeout) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(TICK);
            }
        });
        *self.lock() = Some(Stage { bar, stop: Some(stop), waiter: Some(waiter) });
    }

    fn add(&self, steps: u64) {
        if self.is_shown
            && let Some(stage) = self.lock().as_ref()
        {
            stage.bar.inc(steps);
        }
    }

    fn end(&self) {
        self.clear();
    }
}
