//! The expected set in words: `` `,`, an operator or `FROM` ``.

use super::{Kind, Mistake};
use crate::lang::lex::Expected;

const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "||", "<=", ">=", "<>", "!=", "=", "<", ">", "IS", "NOT", "BETWEEN", "IN",
    "LIKE", "ILIKE", "MATCHES", "OVERLAPS", "AND", "OR", ".", "(", "AS", "..",
];
const VALUES: &[&str] = &["+", "-", "(", "*", "NULL", "TRUE", "FALSE", "CASE", "CAST", "EXISTS", "NOT"];
const QUERIES: &[&str] = &["WITH", "SELECT", "FROM", "COVERAGE", "GAPS", "PAIRS", "CORRELATE", "VARIABILITY"];
const JOINS: &[&str] = &["INNER", "LEFT", "RIGHT", "FULL", "NATURAL", "SEMI", "ANTI", "JOIN", "CROSSMATCH"];
const CLAUSES: &[&str] =
    &["WHERE", "GROUP", "HAVING", "UNION", "INTERSECT", "EXCEPT", "ORDER", "LIMIT", "OFFSET", "SELECT"];
/// A word that tells the list of options, what it is called, and its words.
const OPTIONS: &[(&str, &str, &[&str])] = &[
    (
        "MAXNGH",
        "an option such as MAXSEP, PHASE or MINCC",
        &[
            "MAXSEP",
            "MAXDIST",
            "MAXNGH",
            "MINLNK",
            "MINOBS",
            "MAXOBS",
            "MINWGHT",
            "METHOD",
            "PHASE",
            "FILTER",
            "INTO",
            "SNR",
            "SHORTEN",
            "CLOSURE",
            "CONTEXT",
            "MAXLAG",
            "MINCC",
            "MINSNR",
            "RESAMPLE",
            "TAPER",
            "ABS",
            "NORM",
            "PEAK",
            "COMBINE",
            "EQUIVALENT",
            "COMPAT",
        ],
    ),
    (
        "POSITION",
        "an option such as INTO, KEY or POSITION",
        &[
            "INTO", "FORMAT", "LAYOUT", "KEY", "POSITION", "MOTION", "FRAME", "EPOCH", "NULLS", "TIME",
            "UNITS", "SORTED", "SEALED", "NEAR", "WHERE", "APPEND", "REPLACE",
        ],
    ),
    (
        "PARALLEL",
        "an option such as QUERY, TILES or RATE",
        &["QUERY", "CODES", "DURING", "NEAR", "TILES", "PARALLEL", "RATE", "RETRY", "TIMEOUT", "REPLACE"],
    ),
    (
        "MINEPOCHS",
        "an option such as BAND or MINEPOCHS",
        &["BAND", "PAIR", "FREQUENCY", "MINEPOCHS", "COMPAT", "STATS"],
    ),
];
/// The end of the text, unlike the keyword.
const END: &str = "<end>";
/// Words of a list that are shown.
const SHOWN: usize = 8;

/// What could have stood at the mistake.
pub(super) fn wanted(m: &Mistake<'_>) -> String {
    let mut left: Vec<Expected> = m.expected.to_vec();
    let mut groups = Vec::new();
    let has = |left: &[Expected], word: &str| left.iter().any(|e| spelled(*e) == word);
    let drop = |left: &mut Vec<Expected>, words: &[&str]| left.retain(|e| !words.contains(&spelled(*e)));
    if m.value_is_expected() {
        groups.push("a value".to_owned());
        drop(&mut left, VALUES);
        drop(
            &mut left,
            &["TIME", "NUMBER", "STRING", "QUOTED", "IDENT", "VARIABLE", "DISTINCT", "ALL", "TOP"],
        );
    } else if has(&left, "*") && has(&left, "/") {
        groups.push("an operator".to_owned());
        drop(&mut left, OPERATORS);
        drop(&mut left, &["UNIT"]);
    }
    for (first, group, words) in OPTIONS {
        if has(&left, first) {
            groups.push((*group).to_owned());
            drop(&mut left, words);
        }
    }
    if has(&left, "SELECT") && has(&left, "GAPS") {
        groups.push("a query".to_owned());
        drop(&mut left, QUERIES);
        drop(&mut left, &["("]);
    } else if has(&left, "GAPS") {
        groups.push("a table".to_owned());
        drop(&mut left, QUERIES);
        drop(&mut left, &["(", "IDENT", "QUOTED", "VARIABLE", "AS"]);
    }
    if has(&left, "JOIN") && has(&left, "CROSSMATCH") && has(&left, "LEFT") {
        groups.push("a join".to_owned());
        drop(&mut left, JOINS);
        drop(&mut left, &["QUOTED", "IDENT", "AS", "."]);
    }
    if left.len() > 2 {
        drop(&mut left, &["."]);
    }
    if has(&left, "FROM") {
        drop(&mut left, CLAUSES);
        drop(&mut left, &[END, ";"]);
    } else if CLAUSES.iter().filter(|w| has(&left, w)).count() > 2 {
        groups.push("a clause".to_owned());
        drop(&mut left, CLAUSES);
    }
    let end = has(&left, END);
    drop(&mut left, &[END, ";"]);
    listed(&left, groups, end)
}

fn listed(left: &[Expected], groups: Vec<String>, end: bool) -> String {
    let quoted = |e: &Expected| format!("`{}`", spelled(*e));
    let marks = left.iter().filter(|e| matches!(e, Expected::Mark(_))).map(quoted);
    let words: Vec<String> = left.iter().filter(|e| matches!(e, Expected::Word(_))).map(quoted).collect();
    let mut tokens: Vec<&str> = left.iter().filter_map(|e| token(*e)).collect();
    tokens.dedup();
    let mut all: Vec<String> = marks.chain(groups).chain(tokens.iter().map(|t| t.to_string())).collect();
    let more = words.len() > SHOWN;
    all.extend(words.into_iter().take(SHOWN));
    if more {
        all.push("another keyword".to_owned());
    }
    if end {
        all.push("the end of the statement".to_owned());
    }
    join(&all)
}

/// `a, b or c`
fn join(all: &[String]) -> String {
    match all {
        [] => "nothing more".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn spelled(e: Expected) -> &'static str {
    match e {
        Expected::Token("END") => END,
        Expected::Word(text) | Expected::Mark(text) | Expected::Token(text) => text,
    }
}

fn token(e: Expected) -> Option<&'static str> {
    match e {
        Expected::Token("TIME") => Some("a time"),
        Expected::Token("NUMBER") => Some("a number"),
        Expected::Token("UNIT") => Some("a unit"),
        Expected::Token("STRING") => Some("a string"),
        Expected::Token("QUOTED" | "IDENT") => Some("a name"),
        Expected::Token("VARIABLE") => Some("a $variable"),
        _ => None,
    }
}

/// Whether the found token is a word that could be a name.
pub(super) fn is_name(m: &Mistake<'_>) -> bool {
    m.found.kind == Kind::QuotedName
        || (m.found.kind == Kind::Word && !crate::lang::lex::is_reserved(m.found.text))
}
