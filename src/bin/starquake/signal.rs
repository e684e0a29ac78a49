//! Ctrl-C and time limits: both ask the running statement to stop.

use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use starquake::database::Cancel;

use crate::exit;

static CANCEL: OnceLock<Cancel> = OnceLock::new();
static ASKED: AtomicU32 = AtomicU32::new(0);

/// Lets Ctrl-C (and TERM and HUP) stop the running statement. A second one ends the program at once, unless it is
/// the prompt.
pub(crate) fn install(cancel: Cancel, is_prompt: bool) {
    if CANCEL.set(cancel).is_err() {
        return;
    }
    // Without a handler Ctrl-C ends the program, which is no harm to the database.
    let _ = ctrlc::set_handler(move || {
        if ASKED.fetch_add(1, Ordering::Relaxed) > 0 && !is_prompt {
            process::exit(i32::from(exit::INTERRUPTED));
        }
        if let Some(cancel) = CANCEL.get() {
            cancel.cancel();
        }
    });
}

/// Forgets a Ctrl-C: the prompt goes on.
pub(crate) fn forget() {
    ASKED.store(0, Ordering::Relaxed);
    if let Some(cancel) = CANCEL.get() {
        cancel.reset();
    }
}

/// Runs `work`; asks it to stop after `limit`. Says whether that was needed.
pub(crate) fn with_timeout<T>(
    limit: Option<Duration>,
    cancel: &Cancel,
    work: impl FnOnce() -> T,
) -> (T, bool) {
    let Some(limit) = limit else {
        return (work(), false);
    };
    let is_over = AtomicBool::new(false);
    let (done, wait) = mpsc::channel::<()>();
    let result = thread::scope(|scope| {
        let is_over = &is_over;
        scope.spawn(move || {
            if wait.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                is_over.store(true, Ordering::Relaxed);
                cancel.cancel();
            }
        });
        let result = work();
        drop(done);
        result
    });
    (result, is_over.load(Ordering::Relaxed))
}
