//! How long work tells how far it is. The library counts; who shows it, and how, is the caller's business.

/// Receives counts of long work. Called from several threads.
pub trait Progress: Sync {
    /// A stage begins: what it does, how many steps it has (0 = not known) and what a step is (`files`, `rows`).
    fn begin(&self, what: &str, total: u64, unit: &str);
    /// So many more steps are done.
    fn add(&self, steps: u64);
    /// The stage is over.
    fn end(&self);
    /// Is somebody looking? Only then a total is counted that nothing else needs.
    fn is_shown(&self) -> bool {
        false
    }
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64, _: &str) {}
    fn add(&self, _: u64) {}
    fn end(&self) {}
}
