//! EXPLAIN and EXPLAIN ANALYZE: the plan as a tree, with what each node is expected to give and, when it has run,
//! what it gave and what that took.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::bind::Context;
use super::estimate;
use super::exec::Rows;
use super::plan::{Node, Plan};
use crate::error::Result;
use crate::model::table::Batch;

/// What the nodes of one statement did. Nodes are told apart by their place in memory, which no node of a plan
/// changes while it runs.
#[derive(Debug, Default)]
pub struct Analysis {
    nodes: Mutex<HashMap<usize, Counts>>,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    rows: u64,
    batches: u64,
    /// Of the node and of what it reads; summed over threads where they share its batches.
    time: Duration,
    notes: Vec<String>,
}

fn key(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

impl Analysis {
    fn change(&self, node: usize, change: impl FnOnce(&mut Counts)) {
        if let Ok(mut nodes) = self.nodes.lock() {
            change(nodes.entry(node).or_default());
        }
    }

    fn counts(&self, node: &Node) -> Option<Counts> {
        self.nodes.lock().ok()?.get(&key(node)).cloned()
    }

    /// A line of its own below the node.
    pub fn note(&self, node: &Node, line: String) {
        self.change(key(node), |counts| counts.notes.push(line));
    }

    /// The rows that `start` begins, counted and timed as those of `node`.
    ///
    /// # Errors
    /// Those of `start`.
    pub fn watch<'a>(&'a self, node: &Node, start: impl FnOnce() -> Result<Rows<'a>>) -> Result<Rows<'a>> {
        let key = key(node);
        let began = Instant::now();
        let rows = start();
        let time = began.elapsed();
        self.change(key, |counts| counts.time += time);
        let mut rows = rows?;
        Ok(Box::new(std::iter::from_fn(move || self.step(key, || rows.next()))))
    }

    /// One batch of the node with that key, counted and timed.
    fn step(&self, node: usize, work: impl FnOnce() -> Option<Result<Batch>>) -> Option<Result<Batch>> {
        let began = Instant::now();
        let batch = work();
        let time = began.elapsed();
        self.change(node, |counts| {
            counts.time += time;
            if let Some(Ok(batch)) = &batch {
                counts.rows += batch.num_rows() as u64;
                counts.batches += 1;
            }
        });
        batch
    }
}

impl Context<'_> {
    /// A line below `node` in EXPLAIN ANALYZE; made only there.
    pub fn note(&self, node: &Node, line: impl FnOnce() -> String) {
        if let Some(analysis) = self.analysis {
            analysis.note(node, line());
        }
    }
}

/// A line of the tree.
struct Line {
    /// Indented description.
    text: String,
    /// Right-aligned cells behind it; empty for a note.
    cells: Vec<String>,
}

/// The tree as EXPLAIN prints it, one line a node, inputs indented below; counts too where the plan has run.
///
/// # Errors
/// Damage found while rows are estimated.
pub fn explain(node: &Node, context: &Context<'_>) -> Result<Vec<String>> {
    let mut lines = vec![];
    let mut shared = vec![];
    describe(node, 0, context, &mut (&mut lines, &mut shared))?;
    Ok(aligned(&lines))
}

type Drawn<'d, 'n> = (&'d mut Vec<Line>, &'d mut Vec<*const ()>);

fn describe(node: &Node, depth: usize, context: &Context<'_>, drawn: &mut Drawn<'_, '_>) -> Result<()> {
    let mut text = format!("{}{}", "  ".repeat(depth), node.plan.describe());
    let mut is_known = false;
    if let Plan::Shared(view) = &node.plan {
        let place = Arc::as_ptr(view).cast::<()>();
        is_known = drawn.1.contains(&place);
        drawn.1.push(place);
        if is_known {
            text.push_str(", as above");
        }
    }
    let estimate = estimate::rows(node, context)?;
    let mut cells = vec![estimate.map_or(String::new(), |rows| format!("~{}", counted(rows, "row")))];
    let counts = context.analysis.map(|analysis| analysis.counts(node));
    match &counts {
        Some(Some(counts)) => cells.extend(measured(node, counts, context)),
        Some(None) => cells.push("not read".to_owned()),
        None => {}
    }
    drawn.0.push(Line { text, cells });
    for note in counts.flatten().into_iter().flat_map(|counts| counts.notes) {
        drawn.0.push(Line { text: format!("{}. {note}", "  ".repeat(depth + 1)), cells: vec![] });
    }
    if is_known {
        return Ok(());
    }
    node.plan.inputs().into_iter().try_for_each(|input| describe(input, depth + 1, context, drawn))
}

/// Rows, batches, time with and without the inputs.
fn measured(node: &Node, counts: &Counts, context: &Context<'_>) -> Vec<String> {
    let of_inputs =
        |input: &Node| context.analysis.and_then(|a| a.counts(input)).map_or(Duration::ZERO, |c| c.time);
    let inputs: Duration = node.plan.inputs().into_iter().map(of_inputs).sum();
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    vec![
        counted(counts.rows, "row"),
        if counts.batches == 1 {
            "1 batch".to_owned()
        } else {
            format!("{} batches", thousands(counts.batches))
        },
        ms(counts.time),
        format!("own {}", ms(counts.time.saturating_sub(inputs))),
    ]
}

/// `1 row`, `1,200 rows`
pub fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// `1,200`
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Descriptions longer than this do not push the cells of the others to the right.
const WIDEST_TEXT: usize = 76;

/// Descriptions to the left, cells to the right below one another.
fn aligned(lines: &[Line]) -> Vec<String> {
    let length = |text: &str| text.chars().count();
    let nodes = || lines.iter().filter(|l| !l.cells.is_empty());
    let text_width = nodes().map(|l| length(&l.text)).filter(|w| *w <= WIDEST_TEXT).max().unwrap_or(0);
    let columns = nodes().map(|l| l.cells.len()).max().unwrap_or(0);
    let width = |i: usize| nodes().filter_map(|l| l.cells.get(i)).map(|c| length(c)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |line: &Line| {
        let mut out = line.text.clone();
        if !line.cells.is_empty() {
            out.push_str(&" ".repeat(text_width.saturating_sub(length(&line.text))));
        }
        for (cell, width) in line.cells.iter().zip(&widths) {
            out.push_str(&format!("  {cell:>width$}"));
        }
        out.trim_end().to_owned()
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_one_another() {
        let line = |text: &str, cells: &[&str]| Line {
            text: text.to_owned(),
            cells: cells.iter().map(|c| (*c).to_owned()).collect(),
        };
        let long = "x".repeat(WIDEST_TEXT + 1);
        let lines = [
            line("sort", &["~10 rows", "9 rows"]),
            line("  . a note that is long enough", &[]),
            line("  scan t", &["~1,200 rows", "not read"]),
            line(&long, &["", "1 row"]),
        ];
        let want = [
            "sort         ~10 rows    9 rows".to_owned(),
            "  . a note that is long enough".to_owned(),
            "  scan t  ~1,200 rows  not read".to_owned(),
            format!("{long}                  1 row"),
        ];
        assert_eq!(aligned(&lines), want);
        assert_eq!(
            [0, 1, 999, 1000, 12_345_678].map(|n| counted(n, "row")),
            ["0 rows", "1 row", "999 rows", "1,000 rows", "12,345,678 rows"]
        );
    }
}
