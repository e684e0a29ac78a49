//! Words of SQL that this language has not, and what to write instead.

use super::{Kind, Mistake};
use crate::error::Diagnostic;

/// Words that are refused wherever they stand in the way, the rest of the message, and the help.
const WORDS: &[(&str, &str, &str)] = &[
    ("CROSS", "CROSS JOIN is not part of this language", "a comma makes all pairs: `FROM a, b`"),
    (
        "OVER",
        "window functions (OVER) are not part of this language",
        "aggregate in a subquery with GROUP BY and JOIN it back",
    ),
    ("MINUS", "MINUS is not part of this language", "write EXCEPT"),
    ("REGEXP", "REGEXP is not part of this language", "`x LIKE 'a%'`, or `x MATCHES 'BH?,HH?'`"),
    ("RLIKE", "RLIKE is not part of this language", "`x LIKE 'a%'`, or `x MATCHES 'BH?,HH?'`"),
    ("GLOB", "GLOB is not part of this language", "`x MATCHES 'BH?'` has the wildcards * and ?"),
    ("SIMILAR", "SIMILAR TO is not part of this language", "`x LIKE 'a%'`, or `x MATCHES 'BH?,HH?'`"),
    ("QUALIFY", "QUALIFY is not part of this language", "filter a subquery with WHERE"),
    ("RETURNING", "RETURNING is not part of this language", "ask with a SELECT of its own"),
    ("INTERVAL", "INTERVAL is not part of this language", "a duration is a number and its unit: 3 h"),
];

/// Words that start a statement of SQL, and why they are absent.
const STATEMENTS: &[(&str, &str)] = &[
    ("UPDATE", "tables change only through IMPORT, REFRESH and FETCH"),
    ("INSERT", "tables change only through IMPORT, REFRESH and FETCH"),
    ("DELETE", "tables change only through IMPORT, REFRESH, FETCH and DROP TABLE"),
    ("MERGE", "tables change only through IMPORT, REFRESH and FETCH"),
    ("TRUNCATE", "tables change only through IMPORT, REFRESH, FETCH and DROP TABLE"),
    ("CREATE", "IMPORT makes a table and its indexes, LET names a query"),
    ("ALTER", "a table has the columns of its source"),
    ("BEGIN", "each statement is one transaction"),
    ("COMMIT", "each statement is one transaction"),
    ("ROLLBACK", "each statement is one transaction"),
    ("GRANT", "a database has no users; the file system guards it"),
    ("USE", "the database is named on the command line"),
    ("VACUUM", "COMPACT merges what changes have left behind"),
    ("ATTACH", "one database is open at a time"),
    ("LOAD", "IMPORT reads files"),
    ("PRAGMA", "SET changes a setting, SHOW SETTINGS lists them"),
];

/// A word of SQL that is absent here.
pub(super) fn sql_word(m: &Mistake<'_>) -> Option<Diagnostic> {
    if m.found.is("UPDATE") && m.back_is(1, "FOR") {
        let message = "row locks (FOR UPDATE) are not part of this language: readers never wait";
        return Some(m.at_found(message).help("leave FOR UPDATE out"));
    }
    let is_window = m.back_is(1, "WINDOW") && m.ahead(2).get(1).is_some_and(|t| t.is("AS"));
    if is_window && m.before.first().is_some_and(|t| t.is("SELECT") || t.is("FROM")) {
        let (_, message, help) = WORDS.iter().find(|(word, ..)| *word == "OVER")?;
        return Some(m.at_found(*message).help(*help));
    }
    const ALIASES: [&str; 4] = ["MINUS", "QUALIFY", "RETURNING", "INTERVAL"];
    if let Some(last) = m.back(1).filter(|t| ALIASES.iter().any(|w| t.is(w)))
        && let Some((_, message, help)) = WORDS.iter().find(|(word, ..)| last.is(word))
    {
        // it was read as an alias
        return Some(Diagnostic::new(*message, last.span).help(*help));
    }
    if m.found.kind != Kind::Word {
        return None;
    }
    let statement = STATEMENTS.iter().find(|(word, _)| m.found.is(word));
    let reserved = crate::lang::lex::is_reserved(m.found.text);
    if let Some((word, why)) = statement.filter(|_| m.before.is_empty() || reserved) {
        let message = format!("{word} is not part of this language: {why}");
        return Some(m.at_found(message).help(instead(m, word)));
    }
    let (_, message, help) = WORDS.iter().find(|(word, ..)| m.found.is(word))?;
    Some(m.at_found(*message).help(*help))
}

/// What to write instead of a statement that changes a table.
fn instead(m: &Mistake<'_>, word: &str) -> String {
    let filler = ["INTO", "FROM", "TABLE", "IF", "NOT", "EXISTS", "OR", "REPLACE", "TEMPORARY", "TEMP"];
    let words = m.ahead(8).into_iter().skip(1);
    let table =
        words.filter(|t| t.kind == Kind::Word && !filler.iter().any(|f| t.is(f))).map(|t| t.text).next();
    let table = table.unwrap_or("name");
    let import = |ending: &str| match table {
        "events" | "picks" => format!("IMPORT EVENTS 'new.xml' {ending}"),
        "stations" => format!("IMPORT STATIONS 'new.xml' {ending}"),
        "files" | "segments" => "REFRESH".to_owned(),
        _ => format!("IMPORT CATALOG 'new.parquet' INTO {table} {ending}"),
    };
    match word {
        "INSERT" | "MERGE" | "LOAD" => import("APPEND"),
        "UPDATE" | "ALTER" => import("REPLACE"),
        "DELETE" | "TRUNCATE" => format!("DROP TABLE {table}"),
        "CREATE" if m.ahead(3).iter().any(|t| t.is("INDEX")) => {
            "IMPORT and REFRESH keep the indexes".to_owned()
        }
        "CREATE" if m.ahead(2).iter().any(|t| t.is("VIEW")) => "LET name = (SELECT ...)".to_owned(),
        "CREATE" => format!("IMPORT CATALOG 'file.parquet' INTO {table}"),
        "VACUUM" => "COMPACT".to_owned(),
        "PRAGMA" => "SHOW SETTINGS".to_owned(),
        _ => "leave it out".to_owned(),
    }
}
