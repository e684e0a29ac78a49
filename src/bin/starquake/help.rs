//! `help`: pages about the language and the program, the grammar, the options.
//!
//! The pages are one table of data, the files below `help/`: a line `== TITLE | OTHER WORDS | SUMMARY`, the text, and
//! examples, each of which is run by the tests on the database of the demonstration.

use clap::CommandFactory;
use clap::builder::Resettable;
use starquake::lang::diagnostic::nearest;

use crate::args::{Arguments, OVERVIEW};

/// The grammar, which is the specification of the language.
const GRAMMAR: &str = include_str!("../../../grammar/starquake.ebnf");

/// The pages, in their order.
const TEXTS: [&str; 4] = [
    include_str!("help/statements.txt"),
    include_str!("help/verbs.txt"),
    include_str!("help/values.txt"),
    include_str!("help/program.txt"),
];

/// A page of help.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Of the pages around it: `Verbs`.
    pub(crate) group: &'static str,
    pub(crate) title: &'static str,
    /// Other words that lead here.
    pub(crate) words: Vec<&'static str>,
    pub(crate) summary: &'static str,
    /// Text and examples.
    pub(crate) body: &'static str,
}

/// All pages.
pub(crate) fn pages() -> Vec<Page> {
    let mut pages = Vec::new();
    for text in TEXTS {
        let mut parts = text.split("\n== ");
        let group = parts.next().unwrap_or("").trim_start_matches('#').trim();
        for part in parts {
            let (head, body) = part.split_once('\n').unwrap_or((part, ""));
            let mut fields = head.split('|').map(str::trim);
            let mut next = || fields.next().unwrap_or("");
            let (title, words, summary) = (next(), next(), next());
            let words = words.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
            pages.push(Page { group, title, words, summary, body: body.trim_end() });
        }
    }
    pages
}

/// The text about a topic; the error is a mistake in usage. What the program has a command for ends with that
/// command's options.
pub(crate) fn topic(topic: Option<&str>) -> Result<String, String> {
    let Some(topic) = topic else {
        return Ok(OVERVIEW.to_owned());
    };
    if let Some(text) = general(topic) {
        return Ok(text);
    }
    match (page(topic), command(topic)) {
        (Some(page), Some(command)) => Ok(format!("{page}\n\nOn the command line:\n\n{command}")),
        (Some(page), None) => Ok(page + "\n"),
        (None, Some(command)) => Ok(command),
        (None, None) => rules(topic).ok_or_else(|| unknown(topic)),
    }
}

/// The text about a word of the language, for the prompt: without the command line.
///
/// # Errors
/// There is none: the sentence names a near one.
pub(crate) fn language(topic: &str) -> Result<String, String> {
    let text = general(topic).or_else(|| page(topic)).or_else(|| rules(topic));
    text.ok_or_else(|| unknown(topic))
}

/// Words that a shell or a prompt can complete behind `help`.
pub(crate) fn titles() -> Vec<&'static str> {
    pages().into_iter().map(|p| p.title).chain(["grammar", "options", "topics"]).collect()
}

fn general(topic: &str) -> Option<String> {
    match topic.to_ascii_lowercase().as_str() {
        "grammar" => Some(GRAMMAR.to_owned()),
        "topics" => Some(topics()),
        "options" => {
            let mut command = Arguments::command().override_help(Resettable::Reset);
            Some(command.render_long_help().to_string())
        }
        _ => None,
    }
}

/// All pages, a line each.
fn topics() -> String {
    let mut out = String::new();
    let mut group = "";
    for page in pages() {
        if page.group != group {
            group = page.group;
            out.push_str(&format!("{}{group}\n", if out.is_empty() { "" } else { "\n" }));
        }
        out.push_str(&format!("  {:<12} {}\n", page.title, page.summary));
    }
    out + "\nand: grammar, options, every command, every function and keyword\n"
}

/// The page with that title, or the first that the word leads to.
fn page(topic: &str) -> Option<String> {
    let pages = pages();
    let is_word = |p: &&Page| p.words.iter().any(|w| w.eq_ignore_ascii_case(topic));
    let by_title = pages.iter().find(|p| p.title.eq_ignore_ascii_case(topic));
    let found = by_title.or_else(|| pages.iter().find(is_word))?;
    let mut out = format!("{} - {}\n\n{}", found.title, found.summary, found.body);
    let own = paragraphs().into_iter().find(|r| r.name.eq_ignore_ascii_case(found.title));
    if let Some(rule) = own {
        out.push_str(&format!("\n\nGrammar:\n  {}", rule.text.replace('\n', "\n  ")));
    }
    Some(out)
}

/// The help of a command of the program.
fn command(topic: &str) -> Option<String> {
    let mut all = Arguments::command();
    all.build();
    let found = all.find_subcommand_mut(topic.to_ascii_lowercase())?;
    Some(found.render_help().to_string())
}

fn unknown(topic: &str) -> String {
    let all = Arguments::command();
    let pages = pages();
    let words = pages.iter().flat_map(|p| p.words.iter().copied().chain([p.title]));
    let commands = all.get_subcommands().map(clap::Command::get_name);
    let names: Vec<&str> = commands.chain(words).chain(["grammar", "options", "topics"]).collect();
    let near = nearest(topic, names.into_iter());
    let near = near.map_or("`help topics` lists the pages".to_owned(), |n| format!("did you mean `{n}`?"));
    format!("there is no help about `{topic}`\n  help: {near}")
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

#[cfg(test)]
mod tests {
    use starquake::engine::plan::AGGREGATES;
    use starquake::model::units::UNITS;

    use super::*;

    /// Lines and columns of a terminal.
    const SCREEN: (usize, usize) = (24, 79);

    #[test]
    fn topics_are_found() {
        let cases = [
            (None, "import KIND PATH"),
            (Some("grammar"), "statement   ::="),
            (Some("options"), "--read-only"),
            (Some("topics"), "CROSSMATCH"),
            (Some("refresh"), "--dry-run"),
            (Some("CORRELATE"), "cc_opt+"),
            (Some("crossmatch"), "'WITHIN' sum match_opt*"),
            (Some("cc_opt"), "'MAXLAG' sum"),
            (Some("maxlag"), "CORRELATE events"),
            (Some("arcsec"), "IN_UNIT"),
            (Some("gaps"), "--longer"),
            (Some("pair_opt"), "'MAXDIST' sum"),
            (Some("completions"), "fish"),
        ];
        for (name, want) in cases {
            let text = topic(name);
            assert!(text.as_ref().is_ok_and(|t| t.contains(want)), "{name:?} {text:?}");
        }
        assert!(language("gaps").is_ok_and(|t| !t.contains("--longer <")));
        assert_eq!(
            topic(Some("refesh")),
            Err("there is no help about `refesh`\n  help: did you mean `refresh`?".to_owned())
        );
    }

    #[test]
    fn the_overview_is_a_screen_with_every_command() {
        assert!(OVERVIEW.lines().count() < SCREEN.0, "a line is left for the prompt");
        assert!(OVERVIEW.lines().all(|l| l.chars().count() <= SCREEN.1));
        for command in Arguments::command().get_subcommands() {
            assert!(OVERVIEW.contains(command.get_name()), "{}", command.get_name());
        }
    }

    #[test]
    fn pages_are_screens_with_examples_and_their_words_lead_to_one() {
        let pages = pages();
        assert!(pages.len() > 40, "{}", pages.len());
        for page in &pages {
            let shown = format!("{}\n\n{}", page.title, page.body);
            assert!(shown.lines().count() < SCREEN.0, "{}: {} lines", page.title, shown.lines().count());
            for line in shown.lines() {
                assert!(line.chars().count() <= SCREEN.1, "{}: {line}", page.title);
            }
            assert!(page.body.contains("\nExamples:\n  "), "{}", page.title);
            let same = pages.iter().filter(|p| p.title.eq_ignore_ascii_case(page.title)).count();
            assert_eq!(same, 1, "{}", page.title);
        }
    }

    #[test]
    fn every_function_unit_and_statement_has_a_page() {
        let functions = starquake::engine::expr::FUNCTIONS.iter().map(|f| f.name);
        let names = functions.chain(AGGREGATES.iter().map(|a| a.0));
        let missing: Vec<&str> = names.filter(|name| page(name).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(UNITS.iter().all(|u| topic(Some("units")).is_ok_and(|t| t.contains(u.0))));
        let statement = paragraphs().into_iter().find(|r| r.name == "statement").unwrap();
        let (_, parts) = statement.text.split_once("::=").unwrap();
        for name in parts.split('|').map(str::trim).filter(|name| *name != "query") {
            assert!(page(name).is_some(), "{name}");
        }
    }
}
