//! Statements as text: canonical spelling, keywords in capitals, no brackets that are not needed. What is printed
//! parses to the same tree.

use std::fmt::{Display, Formatter, Result};

use crate::lang::lex::{is_reserved, word_at};
use crate::lang::syntax::{Count, Ident, Name, Number, Range, Statement, Text, TextKind};

mod expr;
mod query;
mod statement;
mod verb;

/// Items with a separator.
struct List<'a, T>(&'a [T], &'static str);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (n, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if n == 0 { "" } else { self.1 })?;
        }
        Ok(())
    }
}

/// A keyword and what follows it, when there is something.
struct Clause<'a, T>(&'static str, &'a Option<T>);

impl<T: Display> Display for Clause<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.1 {
            Some(value) => write!(f, " {} {value}", self.0),
            None => Ok(()),
        }
    }
}

/// A text in single quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

/// Whether a name stands without quotes.
fn is_bare(name: &str) -> bool {
    !name.is_empty() && word_at(name) == name && !is_reserved(name)
}

impl Display for Ident {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.quoted || !is_bare(&self.text) {
            write!(f, "\"{}\"", self.text.replace('"', "\"\""))
        } else {
            f.write_str(&self.text)
        }
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        List(&self.parts, ".").fmt(f)
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&self.text)
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.kind {
            TextKind::Literal(text) => Quoted(text).fmt(f),
            TextKind::Variable(name) => write!(f, "${name}"),
        }
    }
}

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Count::Number(number) => number.fmt(f),
            Count::Variable(name) => write!(f, "${}", name.text),
        }
    }
}

impl Display for Range {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        expr::operand(f, &self.start)?;
        match &self.end {
            Some(end) => {
                f.write_str(" .. ")?;
                expr::operand(f, end)
            }
            None => Ok(()),
        }
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.kind.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use crate::lang::ebnf_tests::{Random, corpus, mutant};
    use crate::lang::parse::script;
    use crate::lang::syntax::Statement;

    /// The tree without its places.
    fn bare(statements: &[Statement]) -> String {
        let debug = format!("{statements:?}");
        let mut parts = debug.split("Span { ");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |all, part| all + part.split_once('}').unwrap().1)
    }

    fn print(statements: &[Statement]) -> String {
        statements.iter().map(|s| format!("{s};\n")).collect()
    }

    #[test]
    fn printed_statements_parse_to_the_same_tree() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/grammar/queries");
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let first = script("first", &text).unwrap();
            let printed = print(&first);
            let second = script("second", &printed).unwrap_or_else(|d| panic!("{} in {printed}", d.message));
            assert_eq!(bare(&first), bare(&second), "{printed}");
            assert_eq!(printed, print(&second));
        }
    }

    #[test]
    fn printed_mutants_parse_to_the_same_tree() {
        let corpus = corpus();
        let mut random = Random(7);
        let accepted = (0..10_000).filter_map(|_| script("first", &mutant(&corpus, &mut random)).ok());
        let mut count = 0;
        for first in accepted {
            let printed = print(&first);
            let second = script("second", &printed).unwrap_or_else(|d| panic!("{} in {printed}", d.message));
            assert_eq!(bare(&first), bare(&second), "{printed}");
            count += 1;
        }
        assert!(count > 500, "{count}");
    }

    #[test]
    fn canonical_text() {
        let cases = [
            (
                "select  a ,b from t where not (a=1 and (b)<2)",
                "SELECT a, b FROM t WHERE NOT (a = 1 AND b < 2)",
            ),
            ("from (select 1) as x", "FROM (SELECT 1) AS x"),
            ("SELECT (a + b) * (c * d), a - (b - c), -(-a), - - a, (a OR b) = c FROM t", ""),
            ("LET x = ((SELECT 1) + 2)", "LET x = ((SELECT 1) + 2)"),
            ("FROM t WHERE a IN ((a + b) * 2) .. 3", "FROM t WHERE a IN ((a + b) * 2) .. 3"),
            ("FROM PAIRS OF events p", "FROM PAIRS OF events p"),
            ("select \"from\", \"a\"\"b\" from t", "SELECT \"from\", \"a\"\"b\" FROM t"),
            ("SELECT 'it''s', 3  km", "SELECT 'it''s', 3 km"),
        ];
        for (text, wanted) in cases {
            let first = script("x", text).unwrap();
            let printed = first[0].to_string();
            let second = script("x", &printed).unwrap_or_else(|d| panic!("{printed}: {}", d.message));
            assert_eq!(bare(&first), bare(&second), "{printed}");
            if !wanted.is_empty() {
                assert_eq!(printed, wanted);
            }
        }
    }
}
