//! From the farthest place that parsed and what could have stood there to a message and help.

use crate::error::{Diagnostic, Span};
use crate::lang::lex::Expected;

/// The mistake at byte `at` of `text`.
pub(crate) fn explain(text: &str, at: usize, expected: &[Expected]) -> Diagnostic {
    Diagnostic::new(format!("expected {expected:?}"), Span::new(at, (at + 1).min(text.len()).max(at)))
}
