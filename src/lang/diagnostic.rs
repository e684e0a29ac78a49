//! How a mistake is told.

use crate::error::{Diagnostic, Span};

/// `REFRESH --full`: what to write instead of an option of the command line.
pub(crate) fn option_comment(word: &str, span: Span) -> Diagnostic {
    let help = match word {
        "--dry-run" => "write SHOW CHANGES".to_owned(),
        _ => {
            let option = word.trim_start_matches('-').replace('-', " ").to_ascii_uppercase();
            format!("options are words: write {option}; a comment is `-- ` and a blank")
        }
    };
    Diagnostic::new(format!("`{word}` is a comment here, it has no effect"), span).help(help)
}
