//! `check --db` and its fingerprint: every block read, and a hash of each table's content.

use super::Database;
use crate::engine::bind::Context;
use crate::engine::exec;
use crate::engine::plan::{Node, Plan, Scan};
use crate::engine::session::{Notices, Session};
use crate::error::Result;
use crate::store::{CheckReport, ContentHash};

impl Database {
    /// Reads every block of the database.
    ///
    /// # Errors
    /// The database cannot be opened at all; damage is in the report.
    pub fn check(&self) -> Result<CheckReport> {
        self.store.check()
    }

    /// Name, rows and a hash of each table in the order of SHOW TABLES: equal for equal rows in table order, however
    /// they came about. Hidden columns, `sources` and `refusals` are left out.
    ///
    /// # Errors
    /// Damage, I/O.
    pub fn fingerprint(&self) -> Result<Vec<(String, u64, u128)>> {
        self.in_context(&Session::default(), &Notices::default(), fingerprints)
    }
}

/// Name, rows and hash of each table of the database.
fn fingerprints(context: &Context<'_>) -> Result<Vec<(String, u64, u128)>> {
    let tables = context.tables;
    let mut all = vec![];
    for name in tables.names().into_iter().filter(|n| n != "sources" && n != "refusals") {
        let Some(info) = tables.find(&name) else { continue };
        let shown = (0..info.columns.len()).filter(|&i| !info.columns[i].is_hidden);
        let columns: Vec<usize> = shown.collect();
        let out = columns.iter().map(|&i| info.columns[i].clone()).collect();
        let plan = Plan::Scan(Scan {
            table: info.name.clone(),
            source: None,
            columns,
            ranges: vec![],
            region: None,
            channels: vec![],
        });
        let node = Node { plan, columns: out };
        let mut hash = ContentHash::new(&node.schema());
        let mut rows = 0;
        let mut batches = context.install(|| exec::rows(&node, context))?;
        while let Some(batch) = context.install(|| batches.next()) {
            let batch = batch?;
            rows += batch.num_rows() as u64;
            hash.update(&batch)?;
        }
        all.push((info.name, rows, hash.finish()));
    }
    Ok(all)
}
