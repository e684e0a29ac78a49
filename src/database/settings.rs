//! SET: what a statement may use of the machine.

use std::sync::Arc;

use super::{Database, Outcome, Run};
use crate::engine::bind::Binder;
use crate::engine::budget::{Budget, parse_bytes};
use crate::engine::session::Session;
use crate::engine::show;
use crate::error::{Diagnostic, Error, Result};
use crate::lang::diagnostic::nearest;
use crate::lang::syntax::{self, ExprKind, Text, TextKind};

/// Most threads of a statement.
const THREADS: usize = 1024;

impl Database {
    pub(super) fn set(
        &self,
        name: &syntax::Ident,
        value: &syntax::Expr,
        run: &mut Run<'_>,
    ) -> Result<Outcome> {
        known_setting(name)?;
        let setting = name.text.to_ascii_lowercase();
        let text = self.setting_text(value, run)?;
        let checked = match setting.as_str() {
            "threads" => threads_of(&text).map(|_| ()),
            _ => parse_bytes(&text).map(|_| ()),
        };
        checked.map_err(|reason| {
            let example = if setting == "threads" { "SET threads = 4" } else { "SET memory = '2 GB'" };
            Diagnostic::new(reason, value.span).help(example.replace("memory", &setting))
        })?;
        run.session.settings.insert(setting, text);
        Ok(Outcome::default())
    }

    /// The value as written; a quoted text or a variable that holds one without its quotes.
    fn setting_text(&self, value: &syntax::Expr, run: &mut Run<'_>) -> Result<String> {
        let written = run.source.text.get(value.span.start..value.span.end).unwrap_or("").trim().to_owned();
        if let Some(inner) = written.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
            return Ok(inner.to_owned());
        }
        let ExprKind::Variable(name) = &value.kind else { return Ok(written) };
        let text = Text { kind: TextKind::Variable(name.clone()), span: value.span };
        self.reading(run, |context, _| Binder::new(*context).text(&text)).map(|(text, _)| text)
    }

    /// The memory of a statement.
    pub(super) fn budget(&self, session: &Session) -> Result<Budget> {
        let set = session.settings.get("memory").map(|text| parse_bytes(text)).transpose();
        let set = set.map_err(|reason| Error::refused(reason, "SET memory = '2 GB'"))?;
        Ok(set.or(self.options.memory_bytes).map_or_else(Budget::default, Budget::new))
    }

    /// The threads of a statement that asks for a number of them.
    pub(super) fn threads(&self, session: &Session) -> Result<Option<Arc<rayon::ThreadPool>>> {
        let refused = |reason| Error::refused(reason, "SET threads = 4");
        let set =
            session.settings.get("threads").map(|text| threads_of(text)).transpose().map_err(refused)?;
        let Some(count) = set else { return Ok(self.pool.clone()) };
        let mut kept = self.set_threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(pool) = kept.as_ref().filter(|pool| pool.current_num_threads() == count) {
            return Ok(Some(pool.clone()));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count.clamp(1, THREADS)).build();
        let pool = Arc::new(pool.map_err(|e| refused(format!("{count} threads cannot be started: {e}")))?);
        *kept = Some(pool.clone());
        Ok(Some(pool))
    }
}

/// Threads of a SET.
fn threads_of(text: &str) -> Result<usize, String> {
    let count = text.trim().parse().ok().filter(|n| (1..=THREADS).contains(n));
    count.ok_or_else(|| format!("threads are a whole number from 1 to {THREADS}"))
}

/// Is it a setting?
pub(crate) fn known_setting(name: &syntax::Ident) -> Result<(), Diagnostic> {
    let known = || show::SETTINGS.iter().map(|s| s.0);
    if known().any(|k| k.eq_ignore_ascii_case(&name.text)) {
        return Ok(());
    }
    let error = Diagnostic::new(format!("unknown setting `{}`", name.text), name.span);
    Err(match nearest(&name.text, known()) {
        Some(near) => error.help(format!("did you mean `{near}`? (SHOW SETTINGS lists them)")),
        None => error.help(format!("the settings are {}", known().collect::<Vec<_>>().join(", "))),
    })
}
