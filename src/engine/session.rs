//! What lives between statements: variables, views and settings; and what a statement leaves behind beside its
//! rows: notices and counts for the footer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::ArrayRef;

use super::bind::value::Bound;
use crate::error::{Error, Result, Source};
use crate::lang::syntax::Query;
use crate::model::table::Batch;

/// A value of LET or of the command line.
#[derive(Clone, Debug)]
pub enum Variable {
    /// A scalar, a position, a span or a region.
    Value(Bound),
    /// The members of `x IN $name`.
    List(ArrayRef),
    /// A query, evaluated once in each statement that uses it.
    View(Box<View>),
}

/// A query with a name, and the text it was written in: where a mistake in it is shown.
#[derive(Clone, Debug)]
pub struct View {
    /// The query.
    pub query: Query,
    /// What its spans point into.
    pub source: Option<Source>,
}

/// Variables, views and settings of one user of the database.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// By name without the dollar.
    pub variables: BTreeMap<String, Variable>,
    /// Names given on the command line: LET does not change them.
    pub pinned: std::collections::BTreeSet<String>,
    /// SET values.
    pub settings: BTreeMap<String, String>,
    /// What the last CORRELATE could not measure: the table `refusals`.
    pub refusals: Option<Batch>,
}

/// Asks running statements to stop. Every clone is the same token, and it can be used from any thread or from a
/// signal handler.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    /// Tokens that stop the same statements, and others.
    wider: Vec<Arc<AtomicBool>>,
}

impl Cancel {
    /// A token that nobody has used yet.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// A token of its own that is cancelled whenever this one is.
    #[must_use]
    pub fn narrower(&self) -> Cancel {
        Cancel::new().or(self)
    }

    /// This token, cancelled also whenever `other` is.
    #[must_use]
    pub fn or(mut self, other: &Cancel) -> Cancel {
        self.wider.push(other.flag.clone());
        self.wider.extend(other.wider.iter().cloned());
        self
    }

    /// Stop at the next chance, which comes within 100 ms.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Forget an earlier request.
    pub fn reset(&self) {
        self.flag.store(false, Ordering::Relaxed);
    }

    /// Has somebody asked?
    pub fn is_cancelled(&self) -> bool {
        let is_set = |flag: &Arc<AtomicBool>| flag.load(Ordering::Relaxed);
        is_set(&self.flag) || self.wider.iter().any(is_set)
    }

    /// Goes on, unless somebody has asked.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once somebody has.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// What a statement says beside its rows: each line once.
#[derive(Debug, Default)]
pub struct Notices {
    lines: Mutex<Vec<String>>,
    footer: Mutex<Vec<String>>,
    refusals: Mutex<Option<Batch>>,
}

impl Notices {
    /// A warning; told once.
    pub fn warn(&self, line: String) {
        push_once(&self.lines, line);
    }

    /// A part of the footer: `30,000 without partner`.
    pub fn footer(&self, line: String) {
        push_once(&self.footer, line);
    }

    /// The table `refusals` of the statements to come.
    pub fn keep_refusals(&self, rows: Batch) {
        if let Ok(mut kept) = self.refusals.lock() {
            *kept = Some(rows);
        }
    }

    /// What CORRELATE refused in this statement, if it ran.
    pub fn refusals(&self) -> Option<Batch> {
        self.refusals.lock().ok().and_then(|kept| kept.clone())
    }

    /// The warnings so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().map(|l| l.clone()).unwrap_or_default()
    }

    /// The parts of the footer.
    pub fn footer_lines(&self) -> Vec<String> {
        self.footer.lock().map(|l| l.clone()).unwrap_or_default()
    }
}

fn push_once(list: &Mutex<Vec<String>>, line: String) {
    if let Ok(mut lines) = list.lock()
        && !lines.contains(&line)
    {
        lines.push(line);
    }
}
