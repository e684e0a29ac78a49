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
        return Ok(found.render_long_help().to_string());
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

/// The rules of the grammar of that name, or that have that keyword.
fn rules(topic: &str) -> Option<String> {
    let keyword = format!("'{}'", topic.to_ascii_uppercase());
    let all = paragraphs();
    let named =
        |rule: &&String| rule.split("::=").next().is_some_and(|name| name.trim().eq_ignore_ascii_case(topic));
    let has_keyword = |rule: &&String| rule.contains(&keyword) && !rule.starts_with("RESERVED");
    let found: Vec<&String> =
        all.iter().filter(named).chain(all.iter().filter(|r| has_keyword(r) && !named(r))).collect();
    (!found.is_empty()).then(|| found.iter().map(|rule| format!("{rule}\n")).collect())
}

/// Each rule with its continuation lines.
fn paragraphs() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in GRAMMAR.lines() {
        if line.contains("::=") && !line.starts_with(' ') {
            all.push(line.to_owned());
        } else if line.trim_start().starts_with(['|', '('])
            && !line.trim_start().starts_with("(*")
            && let Some(rule) = all.last_mut()
        {
            rule.push('\n');
            rule.push_str(line);
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
