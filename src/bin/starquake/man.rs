//! `starquake man`: the manual page, made of the same texts as the help (man(7), roff).

use clap::{Arg, Command, CommandFactory};

use crate::args::Arguments;
use crate::help;

/// Files and variables that matter.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("STARQUAKE_DB", "The database where none is named."),
    (
        "NO_COLOR, CLICOLOR_FORCE, TERM",
        "No colours; colours also in a pipe; TERM=dumb: no colours, no progress bar.",
    ),
    ("TMPDIR", "Where spilled rows and the data of bench go."),
    ("VISUAL, EDITOR", "The editor of .edit."),
    (
        "XDG_STATE_HOME",
        "The history of the prompt is kept in starquake/history below it (else below ~/.local/state).",
    ),
];

/// Exit codes.
const CODES: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "A statement failed."),
    ("2", "A mistake in usage or syntax: nothing was run."),
    ("3", "Some inputs were unreadable; they are rows of the table files (1 with --strict)."),
    ("4", "No rows, and --fail-if-empty."),
    ("5", "The database is locked by a writer, or of a newer version."),
    ("130", "Interrupted."),
    ("141", "The reader of the output has gone."),
];

/// The page.
pub(crate) fn page() -> String {
    let command = Arguments::command();
    let version = env!("CARGO_PKG_VERSION");
    let mut out = format!(".TH STARQUAKE 1 \"\" \"starquake {version}\" \"User Commands\"\n");
    section(&mut out, "NAME");
    out.push_str("starquake \\- index database with a query language for waveforms, events and the sky\n");
    section(&mut out, "SYNOPSIS");
    out.push_str(".B starquake\n[\\fIOPTIONS\\fR] [\\fIDB\\fR] [\\fICOMMAND\\fR]\n");
    section(&mut out, "DESCRIPTION");
    out.push_str(&escaped(
        "Without COMMAND: the prompt on a terminal, else the script on standard input. DB is a directory NAME.sqk: the \
         argument, else STARQUAKE_DB, else the only *.sqk of this directory. Rows go to standard output, everything \
         else to standard error.",
    ));
    out.push('\n');
    section(&mut out, "OPTIONS");
    command.get_arguments().filter(|a| !a.is_positional()).for_each(|arg| option(&mut out, arg));
    section(&mut out, "COMMANDS");
    for subcommand in command.get_subcommands() {
        commands(&mut out, subcommand);
    }
    section(&mut out, "EXIT STATUS");
    CODES.iter().for_each(|(code, about)| item(&mut out, code, about));
    section(&mut out, "ENVIRONMENT");
    ENVIRONMENT.iter().for_each(|(name, about)| item(&mut out, name, about));
    section(&mut out, "THE LANGUAGE");
    for page in help::pages() {
        out.push_str(&format!(".SS {}\n.nf\n", escaped(page.title)));
        page.body.lines().for_each(|line| {
            out.push_str(&escaped(line));
            out.push('\n');
        });
        out.push_str(".fi\n");
    }
    out
}

fn section(out: &mut String, name: &str) {
    out.push_str(&format!(".SH {name}\n"));
}

fn item(out: &mut String, name: &str, about: &str) {
    out.push_str(&format!(".TP\n.B {}\n{}\n", escaped(name), escaped(about)));
}

fn commands(out: &mut String, command: &Command) {
    let positional = command.get_positionals().map(|arg| {
        let name = arg.get_value_names().and_then(|n| n.first()).map_or("ARG", |n| n.as_str());
        if arg.is_required_set() { format!(" {name}") } else { format!(" [{name}]") }
    });
    out.push_str(&format!(
        ".SS \"{}{}\"\n{}\n",
        escaped(command.get_name()),
        escaped(&positional.collect::<String>()),
        escaped(&command.get_about().map(ToString::to_string).unwrap_or_default())
    ));
    // Those of every command stand above.
    let own = command.get_arguments().filter(|a| !a.is_positional() && a.get_id() != "help");
    let is_of_all = |arg: &&Arg| Arguments::command().get_arguments().any(|a| a.get_id() == arg.get_id());
    own.filter(|arg| !is_of_all(arg)).for_each(|arg| option(out, arg));
}

fn option(out: &mut String, arg: &Arg) {
    let short = arg.get_short().map(|c| format!("-{c}"));
    let long = arg.get_long().map(|name| format!("--{name}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let takes = arg.get_action().takes_values();
    let value = arg
        .get_value_names()
        .filter(|_| takes)
        .map(|names| names.iter().map(|n| format!(" {n}")).collect::<String>());
    let head = names.join(", ") + &value.unwrap_or_default();
    let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
    item(out, &head, &about);
}

/// Text that roff prints as it is.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            c if c.is_ascii() => out.push(c),
            c => out.push_str(&format!("\\[u{:04X}]", u32::from(c))),
        }
    }
    if out.starts_with(['.', '\'']) { format!("\\&{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roff_obeys_nothing_in_the_texts() {
        let cases = [
            (".TH x", "\\&.TH x"),
            ("'a'", "\\&'a'"),
            ("a\\fB", "a\\efB"),
            ("--format", "\\-\\-format"),
            ("星", "\\[u661F]"),
        ];
        for (text, want) in cases {
            assert_eq!(escaped(text), want);
        }
        let page = page();
        let known = [".TH", ".SH", ".SS", ".TP", ".B", ".nf", ".fi"];
        for line in page.lines().filter(|l| l.starts_with(['.', '\''])) {
            assert!(known.contains(&line.split(' ').next().unwrap_or("")), "{line}");
        }
        for word in ["\\-\\-dry\\-run", "EXIT STATUS", "141", "STARQUAKE_DB", "CROSSMATCH"] {
            assert!(page.contains(word), "{word}");
        }
    }
}
