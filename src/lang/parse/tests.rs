//! Limits, options given twice, the expected set, reserved words, and what trees hold.

use super::*;
use crate::lang::lex::is_reserved;
use crate::lang::syntax::{Expr, ExprKind, Item, LetValue, StatementKind};
use crate::limits::QUERY_DEPTH;
use crate::model::units::UNITS;

/// Ways to nest: what is repeated, what stands in the middle, what closes it, and whether it counts as one level.
#[rustfmt::skip]
const NESTED: &[(&str, &str, &str, &str)] = &[
    ("SELECT ", "(", "1", ")"),
    ("SELECT ", "- ", "1", ""),
    ("SELECT ", "NOT ", "a", ""),
    ("SELECT ", "f(", "1", ")"),
    ("SELECT ", "CASE WHEN a THEN ", "1", " END"),
    ("SELECT ", "CAST(", "1", " AS INT)"),
    ("SELECT ", "(SELECT ", "1", ")"),
    ("SELECT * FROM ", "(SELECT * FROM ", "t", ")"),
    ("SELECT ", "EXISTS (SELECT ", "1", ")"),
    ("FROM t WHERE ", "a IN (", "1", ")"),
    ("FROM t WHERE a IN ", "((", "1", "))"),
    ("", "(", "SELECT 1", ")"),
    ("LET x = ", "(", "1", ")"),
    ("COPY ", "(", "SELECT 1", ") "),
    ("FROM t ORDER BY ", "a + (", "1", ")"),
    ("WITH a AS ", "(SELECT * FROM ", "t", ")"),
    ("FROM a JOIN b ON ", "x = (", "1", ")"),
    ("SELECT ", "(1 + ", "1", ")"),
    ("SELECT ", "CASE a WHEN ", "1", " THEN 1 END"),
    ("SELECT * FROM ", "(a JOIN ", "t", " ON x)"),
    ("SELECT * FROM ", "(", "a JOIN t ON x", " JOIN t ON x)"),
    ("", "PAIRS OF ", "t", ""),
];

fn nested(case: &(&str, &str, &str, &str), count: usize) -> String {
    let (head, open, middle, close) = case;
    let tail = match head.split(' ').next() {
        Some("COPY") => " TO 'x'",
        Some("WITH") => " SELECT 1",
        _ => "",
    };
    format!("{head}{}{middle}{}{tail}", open.repeat(count), close.repeat(count))
}

#[test]
fn nesting_up_to_the_limit_parses_and_one_more_is_refused() {
    for case in NESTED {
        let levels = if case.1 == "((" { 2 } else { 1 };
        let most = QUERY_DEPTH / levels;
        let text = nested(case, most);
        script("x", &text).unwrap_or_else(|d| panic!("{} in {text}", d.message));
        let refused = script("x", &nested(case, most + 1)).unwrap_err();
        assert!(refused.message.contains("nested deeper"), "{}: {case:?}", refused.message);
        let at = refused.span.unwrap().start - case.0.len();
        assert!(at >= case.1.len() * most && at < case.1.len() * (most + 1), "{at} {case:?}");
    }
}

/// What a text may repeat, and what it starts with.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "IN ((", "a IN ((", "'", "\"", "'' ", "/*", "--\n", ")", "EXPLAIN ", "SELECT ", "CASE ", "..", "1 ", "$", "é",
    "\0", "NOT (", "- (", "FROM (", "WITH a AS (", "(SELECT ", "((SELECT 1)", "((SELECT 1) + ", "((1), ",
    "CROSSMATCH ", ";", "a AS ", "a.", "(", "((", "- ", "NOT ", "CASE WHEN a THEN ", "f(", "f(f(1),", "\"a\" ",
    "/**/", "PAIRS OF ", "(PAIRS OF a JOIN ", "((a JOIN b USING (x)) JOIN ", "(a JOIN ", "WITH (", "CAST(", "1, ",
    "a, ", "a = ", "AND ", "UNION SELECT 1 ", "a", "9", "2024-", "MJD ", "1e", "0x", " ", "\n", "|| ", "JOIN ",
];
const HEADS: &[&str] = &["", "SELECT ", "FROM t WHERE a ", "SELECT * FROM ", "LET a = "];

/// No byte is looked at more often than a bounded number of times, and twice the text is at most twice the work.
#[test]
fn the_work_is_linear_in_the_text() {
    const BYTES: usize = 1 << 13;
    for head in HEADS {
        for piece in PIECES {
            let of = |bytes: usize| work(&format!("{head}{}", piece.repeat(bytes / piece.len())));
            let (once, twice) = (of(BYTES), of(2 * BYTES));
            assert!(once <= 600 * BYTES, "{head}{piece}: {once} bytes were looked at");
            assert!(twice <= 2 * once + 10_000, "{head}{piece}: {once}, then {twice}");
        }
    }
}

#[test]
fn a_megabyte_of_anything_is_answered() {
    const BYTES: usize = 1 << 20;
    for case in NESTED {
        for text in [nested(case, BYTES / 10), format!("{}{}", case.0, case.1.repeat(BYTES / case.1.len()))] {
            assert!(script("x", &text).is_err());
        }
    }
    let is_quiet = |c: char| c.is_whitespace() || [';', '-', '\'', '"', '/', '*', 'a', '9'].contains(&c);
    for head in HEADS {
        for piece in PIECES {
            let text = format!("{head}{}", piece.repeat(BYTES / piece.len()));
            let found = script("x", &text);
            let may_pass = piece.trim_end_matches(is_quiet).is_empty() || piece.starts_with("UNION");
            assert!(found.is_err() || may_pass, "{head}{piece}");
        }
    }
}

#[test]
fn long_chains_are_refused_and_long_lists_are_not() {
    for operator in [" + ", " * ", " AND ", " OR ", " || "] {
        let chain = |n: usize| format!("SELECT {}1", format!("1{operator}").repeat(n));
        assert!(script("x", &chain(EXPR_OPERATORS)).is_ok());
        let refused = script("x", &chain(EXPR_OPERATORS + 1)).unwrap_err();
        assert!(refused.message.contains("operators in a row"), "{}", refused.message);
    }
    let deep = (0..QUERY_DEPTH).fold("1".to_owned(), |inner, _| format!("({inner}){}", " + 1".repeat(30)));
    assert!(script("x", &format!("SELECT {deep}")).is_err());
    let members = "1 + 1, ".repeat(100_000);
    assert!(script("x", &format!("SELECT a IN ({members}1), {members}2")).is_ok());
    assert!(script("x", &"SELECT 1 + 1;".repeat(10_000)).is_ok());
}

#[test]
fn too_long_texts_and_lists_are_refused() {
    let long = script("x", &" ".repeat(QUERY_BYTES + 1)).unwrap_err();
    assert!(long.message.contains("the limit is"), "{}", long.message);
    let list = |n: usize| format!("SELECT a IN (1{})", ",1".repeat(n - 1));
    assert!(script("x", &list(crate::limits::IN_LIST_MEMBERS)).is_ok());
    let refused = script("x", &list(crate::limits::IN_LIST_MEMBERS + 1)).unwrap_err();
    assert!(refused.message.contains("1000001 members"), "{}", refused.message);
}

#[test]
fn options_may_not_be_given_twice() {
    let cases = [
        ("IMPORT EVENTS 'x' INTO a INTO b", Some("INTO")),
        ("IMPORT EVENTS 'x' REPLACE REPLACE", Some("REPLACE")),
        ("FETCH a FROM 'x' RETRY 1 RETRY 2", Some("RETRY")),
        ("COPY SELECT 1 TO 'x' SIGN 1 FORMAT a SIGN 2", Some("SIGN")),
        ("GAPS OF 'x' LONGER 1 s LONGER 2 s", Some("LONGER")),
        ("FROM a CROSSMATCH b WITHIN 1 arcsec MUTUAL MUTUAL", Some("MUTUAL")),
        ("PAIRS OF e MINOBS 1 MINOBS 2", Some("MINOBS")),
        ("VARIABILITY OF a BY b TIME c MINEPOCHS 1 MINEPOCHS 2", Some("MINEPOCHS")),
        ("CORRELATE e PHASE P ON 'Z' WINDOW $w PHASE S ON 'N' WINDOW $w", None),
        ("CORRELATE e FILTER FOR P 1..2 Hz FILTER FOR S 1..2 Hz MINCC 0.5 FOR P MINCC 0.6", None),
        ("CORRELATE e FILTER FOR P 1..2 Hz FILTER FOR P 1..2 Hz", Some("FILTER")),
        ("VARIABILITY OF a BY b TIME c BAND d(e) BAND f(g)", None),
    ];
    for (text, twice) in cases {
        let message = script("x", text).err().map(|d| d.message);
        assert_eq!(message, twice.map(|option| format!("{option} is given twice")), "{text}");
    }
}

#[test]
fn units_and_columns_are_no_reserved_words() {
    #[rustfmt::skip]
    let columns = [
        "name", "kind", "root", "options", "last_refresh", "network", "station", "location", "channel", "net", "sta",
        "loc", "cha", "code", "path", "state", "span", "starttime", "endtime", "start", "duration", "samples",
        "sampling_rate", "byte_offset", "latitude", "longitude", "elevation_m", "depth_m", "depth_km", "event_id",
        "number", "time", "magnitude", "magnitude_type", "pick_id", "phase", "phase_class", "uncertainty_s", "weight",
        "mode", "polarity", "pos", "hypocenter", "source", "separation", "bin", "fraction", "overlap", "n_gaps",
        "event1", "event2", "n_links", "dt", "cc", "lag", "second_peak", "snr1", "snr2", "sigma_dt", "flags", "key",
        "n", "t_first", "t_last", "baseline", "chi2", "mean", "slope", "stetson_k", "ra", "dec", "id", "mag", "mjd",
        "hjd", "epoch", "band", "filter", "format", "value", "type", "date", "year", "error", "level", "window",
        "files", "segments", "stations", "events", "picks", "links", "refusals", "jobs", "sources", "snr", "abs",
        "count", "sum", "avg", "min", "max", "stddev", "median", "wmean", "rms", "point", "circle", "box", "polygon",
        "contains", "distance", "healpix", "log", "mod", "div", "power", "round", "day", "month", "hour", "doy",
        "area", "centroid", "coordsys", "coord1", "coord2", "region", "intersects", "cot", "cbrt", "sign", "timestamp",
        "ivo_healpix_index", "gaia_healpix_index", "in_unit", "env", "div", "truncate", "number1", "number2", "links",
    ];
    for word in columns.into_iter().chain(UNITS.iter().map(|u| u.0)) {
        assert!(!is_reserved(word), "{word}");
        for text in [
            format!(
                "SELECT {word}, a.{word}, {word} + 1 AS {word} FROM {word} AS {word} WHERE {word} > 1 ORDER BY {word}"
            ),
            format!("SELECT {word}(a) FROM t GROUP BY {word}"),
        ] {
            script("x", &text).unwrap_or_else(|d| panic!("{}: {text}", d.message));
        }
    }
}

#[test]
fn variables_stand_where_strings_do() {
    for text in [
        "INCLUDE $v",
        "IMPORT WAVEFORMS $v",
        "FETCH a FROM $v CODES $v",
        "COPY SELECT 1 TO $v",
        "PLOT SELECT 1 TO $v",
        "GAPS OF $v DURING $v LONGER $v",
        "COVERAGE OF $v BY $v",
        "FROM $v",
        "CORRELATE $v AGAINST $v MAXSEP $v",
        "CORRELATE e PHASE P ON $v WINDOW $v LAG $v FILTER $v EQUIVALENT $v CONTEXT $v MAXLAG $v MINCC $v SNR $v",
        "FROM a CROSSMATCH b WITHIN $v AT EPOCH $v TIME $v",
        "FROM t LIMIT $v OFFSET $v",
        "SELECT TOP $v a FROM t CROSSMATCH b WITHIN $v NEAREST $v",
        "PAIRS OF e MAXSEP $v MAXNGH $v MINLNK $v MINOBS $v MAXOBS $v MINWGHT $v",
        "CORRELATE e FILTER $v ORDER $v MINSNR $v TAPER $v",
        "VARIABILITY OF t BY a TIME b BAND w(c) MINEPOCHS $v",
        "IMPORT CATALOG $v EPOCH $v",
        "FETCH a FROM $v PARALLEL $v RETRY $v TILES ORDER $v",
        "COPY SELECT 1 TO $v SIGN $v",
        "SET a = $v",
        "FROM t WHERE a LIKE $v AND b IN $v AND c OVERLAPS $v AND d BETWEEN $v AND $v",
    ] {
        script("x", text).unwrap_or_else(|d| panic!("{}: {text}", d.message));
    }
}

#[test]
fn what_is_expected() {
    // the text up to the cursor, some of what may follow, some of what may not
    let cases: [(&str, &[&str], &[&str]); 16] = [
        ("", &["SELECT", "GAPS", "LET"], &["WHERE", "<name>"]),
        ("SEL", &["SELECT", "GAPS", "LET"], &["WHERE", "<name>"]),
        ("SELECT a ", &["FROM", ",", "AS", "+"], &["JOIN", "<unit>"]),
        ("SELECT a FROM ", &["<name>", "<variable>", "(", "GAPS"], &["WHERE", "<string>"]),
        ("SELECT a FROM t ", &["WHERE", "JOIN", "LEFT", "<end>", "ORDER"], &["FROM", "<number>"]),
        ("SELECT a FROM t WHERE b > 10 ", &["<unit>", "AND", "GROUP"], &["WHERE"]),
        ("FROM a CROSSMATCH b WITHIN 3 ", &["<unit>", "NEAREST", "MUTUAL"], &["ON"]),
        ("GAPS OF ", &["<string>", "<variable>"], &["<name>"]),
        ("IMPORT ", &["WAVEFORMS", "EVENTS"], &["<string>"]),
        ("CORRELATE e PHASE P ON 'Z' ", &["WINDOW"], &["LAG"]),
        ("SHOW T", &["TABLES", "UNITS"], &["SELECT"]),
        ("SELECT (a, ", &[], &["<name>"]),
        ("SELECT 'a", &[], &["<name>"]),
        ("SELECT a ORDER ", &["BY"], &["<name>"]),
        ("SELECT a -- ", &[], &["FROM"]),
        ("SELECT a /* b ", &[], &["FROM"]),
    ];
    for (text, some, none) in cases {
        let found = expected(text, text.len());
        some.iter().for_each(|w| assert!(found.iter().any(|f| f == w), "{text}: no {w} in {found:?}"));
        none.iter().for_each(|w| assert!(!found.iter().any(|f| f == w), "{text}: {w} in {found:?}"));
    }
    assert_eq!(expected("SELECT a FROM t", 9), expected("SELECT a ", 9));
    assert!(expected("é", 1).is_empty() && expected("", 5).is_empty());
}

#[test]
fn one_statement() {
    assert!(statement("x", " SELECT 1 ; ").is_ok());
    let cases =
        [("", "there is no statement here", 0), ("SELECT 1; SELECT 2", "one statement is wanted", 10)];
    for (text, message, at) in cases {
        let d = statement("x", text).unwrap_err();
        assert!(d.message.starts_with(message) && d.is_syntax, "{}", d.message);
        assert_eq!(d.span.unwrap().start, at);
        assert_eq!(d.source.unwrap().text, text);
    }
}

/// The expressions of `SELECT ...`.
fn items(text: &str) -> Vec<Expr> {
    let StatementKind::Query(query) = statement("x", text).unwrap().kind else { panic!("{text}") };
    let crate::lang::syntax::Body::Select(select) = query.body else { panic!("{text}") };
    let expr = |item| match item {
        Item::Expr { expr, .. } => expr,
        other => panic!("{other:?}"),
    };
    select.items.unwrap().into_iter().map(expr).collect()
}

#[test]
fn lexical_rules() {
    let text = |kind: &ExprKind| match kind {
        ExprKind::Time(t) => format!("time {t}"),
        ExprKind::Number(n) => format!("number {n}"),
        ExprKind::Quantity { number, unit, .. } => format!("quantity {number} {unit}"),
        ExprKind::Text(t) => format!("text {t}"),
        ExprKind::Column(n) => format!("column {n}"),
        ExprKind::Binary { op, left, right } => format!("{left} {} {right}", op.text()),
        other => format!("{other:?}"),
    };
    let cases = [
        ("2024-02-29", "time 2024-02-29"),
        ("2024-060T10:00:00.5Z", "time 2024-060T10:00:00.5Z"),
        ("4096-512", "time 4096-512"),
        ("4096 - 512", "4096 - 512"),
        ("4096-51", "4096 - 51"),
        ("2024-0601", "2024 - 0601"),
        ("MJD 60343.5", "time MJD 60343.5"),
        ("MJD", "column MJD"),
        ("0x1F", "number 0x1F"),
        ("1.", "number 1."),
        ("1.e5", "number 1.e5"),
        (".5E-3", "number .5E-3"),
        ("3 arcsec", "quantity 3 arcsec"),
        ("3arcsec", "quantity 3 arcsec"),
        ("15 mas/yr", "quantity 15 mas/yr"),
        ("15 m/s", "quantity 15 m/s"),
        ("15 s/s", "15 s / s"),
        ("15 m /s", "15 m / s"),
        ("'it''s'", "text it's"),
        ("'a; b -- c'", "text a; b -- c"),
        ("m", "column m"),
    ];
    for (written, wanted) in cases {
        assert_eq!(text(&items(&format!("SELECT {written}"))[0].kind), wanted, "{written}");
    }
}

#[test]
fn ranges_without_blanks() {
    let StatementKind::Let { value: LetValue::Value(range), .. } =
        statement("x", "LET a = 1..20 Hz").unwrap().kind
    else {
        panic!("no range")
    };
    assert_eq!(range.to_string(), "1 .. 20 Hz");
    for text in [
        "LET a = -50 ms..200 ms",
        "LET a = MJD 60000..MJD 60001",
        "LET a = 2024-001..2024-002",
        "LET a = x..y",
    ] {
        assert!(script("x", text).is_ok(), "{text}");
    }
}

#[test]
fn spans_are_those_of_the_text() {
    let text = "-- first\nSELECT  a + (b) , f(c) /* x */ FROM t ;";
    let parsed = statement("x", text).unwrap();
    let slice = |span: Span| &text[span.start..span.end];
    assert_eq!(slice(parsed.span), "SELECT  a + (b) , f(c) /* x */ FROM t");
    let StatementKind::Query(query) = parsed.kind else { panic!("no query") };
    assert_eq!(slice(query.span), slice(parsed.span));
    let all: Vec<_> = items(text).iter().map(|e| slice(e.span).to_owned()).collect();
    assert_eq!(all, ["a + (b)", "f(c)"]);
}

#[test]
fn values_of_the_command_line() {
    for (text, wanted) in [("3arcsec", "3 arcsec"), (" 2024-01-01 .. 2024-02-01", "2024-01-01 .. 2024-02-01")]
    {
        assert_eq!(value("-P", text).unwrap().to_string(), wanted);
    }
    for text in ["", "3 arcsecs", "1 2", "SELECT 1"] {
        assert!(value("-P", text).unwrap_err().is_syntax, "{text}");
    }
}

#[test]
fn what_a_prompt_waits_for() {
    for text in ["SELECT 1;", "SELECT 1; -- done", "SELECT 1; /* done */ ", ";"] {
        assert!(ends_in_semicolon(text), "{text}");
    }
    for text in ["", "SELECT 1", "SELECT ';", "SELECT 1 -- ;", "SELECT 1 /* ;", "SELECT ';'", "SELECT \";\""]
    {
        assert!(!ends_in_semicolon(text), "{text}");
    }
}

#[test]
fn what_stands_before_the_first_statement() {
    for text in ["#!/usr/bin/env sq\nSELECT 1", "\u{feff}SELECT 1", "\u{feff}#! x\n-- y\nSELECT 1", "#! only"]
    {
        assert!(script("x", text).is_ok(), "{text}");
    }
    let wrong = script("x", "\u{feff}#! x\nSELCT 1").unwrap_err();
    assert_eq!((wrong.message.as_str(), wrong.span.unwrap().start), ("unknown statement `SELCT`", 8));
}
