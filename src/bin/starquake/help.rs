//! `help`, `completions`: text about the program itself.

use clap::CommandFactory;
use starquake::lang::diagnostic::nearest;

use crate::args::Arguments;

/// The grammar, which is the specification of the language.
const GRAMMAR: &str = include_str!("../../../grammar/starquake.ebnf");

/// The text about a topic; the error is a mistake in usage.
pub(crate) fn topic(topic: Option<&str>) -> Result<String, String> {
    let mut command = Arguments::command();
    let Some(topic) = topic else {
        return Ok(command.render_long_help().to_string());
    };
    if topic.eq_ignore_ascii_case("grammar") {
        return Ok(GRAMMAR.to_owned());
    }
    command.build();
    if let Some(found) = command.find_subcommand_mut(topic.to_ascii_lowercase()) {
        let help = found.render_long_help().to_string();
        let language = rules(topic).map_or(String::new(), |rules| format!("\nIn the language:\n{rules}"));
        return Ok(help + &language);
    }
    rules(topic).ok_or_else(|| {
        let names: Vec<&str> =
            command.get_subcommands().map(clap::Command::get_name).chain(["grammar"]).collect();
        let near = nearest(topic, names.into_iter());
        let near = near.map_or("`starquake help grammar` prints the language".to_owned(), |n| {
            format!("did you mean `{n}`?")
        });
        format!("there is no help about `{topic}`\n  help: {near}")
    })
}

/// Rules that stand everywhere: shown when they are asked for, not where they are used.
const GENERAL: &[&str] = &[
    "query", "expr", "sum", "factor", "source", "ident", "text", "number", "column", "name", "span", "unit",
    "body", "table",
];

/// The rules of the grammar of that name with those they are made of, or those that have that keyword.
fn rules(topic: &str) -> Option<String> {
    let all = paragraphs();
    let mut found: Vec<&Rule> = all.iter().filter(|r| r.name.eq_ignore_ascii_case(topic)).collect();
    let mut next = 0;
    while let Some(rule) = found.get(next) {
        let words: Vec<&str> = rule.text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
        let parts =
            all.iter().filter(|r| words.contains(&r.name.as_str()) && !GENERAL.contains(&r.name.as_str()));
        let new: Vec<&Rule> =
            parts.filter(|r| r.is_lower() && !found.iter().any(|f| f.name == r.name)).collect();
        found.extend(new);
        next += 1;
    }
    if found.is_empty() {
        let keyword = format!("'{}'", topic.to_ascii_uppercase());
        found = all.iter().filter(|r| r.is_lower() && r.text.contains(&keyword)).collect();
    }
    (!found.is_empty()).then(|| found.iter().map(|rule| format!("{}\n", rule.text)).collect())
}

/// A rule of the grammar with its continuation lines.
struct Rule {
    name: String,
    text: String,
}

impl Rule {
    /// A rule of syntax, not of tokens.
    fn is_lower(&self) -> bool {
        self.name.starts_with(|c: char| c.is_ascii_lowercase())
    }
}

fn paragraphs() -> Vec<Rule> {
    let mut all: Vec<Rule> = Vec::new();
    for line in GRAMMAR.lines() {
        let is_continued = line.starts_with(' ') && line.trim_start().starts_with(['|', '(']);
        match (line.split_once("::="), all.last_mut()) {
            (Some((name, _)), _) => all.push(Rule { name: name.trim().to_owned(), text: line.to_owned() }),
            (None, Some(rule)) if is_continued && !line.contains("(*") => {
                rule.text.push('\n');
                rule.text.push_str(line);
            }
            _ => {}
        }
    }
    all
}

/// Completions for a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "starquake", &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_found() {
        let cases = [
            (None, "import"),
            (Some("grammar"), "statement   ::="),
            (Some("refresh"), "--dry-run"),
            (Some("CORRELATE"), "'MAXLAG' sum"),
            (Some("crossmatch"), "'WITHIN' sum match_opt*"),
            (Some("maxlag"), "cc_opt"),
            (Some("gaps"), "In the language:\ngaps        ::= 'GAPS' 'OF' codes"),
        ];
        for (name, want) in cases {
            assert!(topic(name).is_ok_and(|t| t.contains(want)), "{name:?}");
        }
        assert_eq!(
            topic(Some("refesh")),
            Err("there is no help about `refesh`\n  help: did you mean `refresh`?".to_owned())
        );
    }
}
