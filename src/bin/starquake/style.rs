//! Colours, and text from outside made safe for a terminal.

use std::borrow::Cow;
use std::env;
use std::fmt::Write;
use std::io::IsTerminal;

pub(crate) use starquake::engine::analyze::{counted, thousands};

use crate::args::ColorChoice;

/// Which of the two output streams are terminals, and which get colours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Streams {
    pub(crate) is_stdout_terminal: bool,
    pub(crate) is_stderr_terminal: bool,
    /// A terminal that only prints (TERM=dumb): nothing on it can be drawn over.
    pub(crate) is_dumb: bool,
    pub(crate) stdout_color: bool,
    pub(crate) stderr_color: bool,
}

impl Streams {
    /// As they are, and as asked for.
    pub(crate) fn new(choice: ColorChoice) -> Streams {
        let is_set = |name: &str| env::var_os(name).is_some_and(|v| !v.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|t| t == "dumb");
        let is_forced = is_set("CLICOLOR_FORCE") && env::var_os("CLICOLOR_FORCE").is_some_and(|v| v != "0");
        let color = |is_terminal: bool| match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if is_set("NO_COLOR") => false,
            ColorChoice::Auto => is_forced || (is_terminal && !is_dumb),
        };
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        Streams {
            is_stdout_terminal: out,
            is_stderr_terminal: err,
            is_dumb,
            stdout_color: color(out),
            stderr_color: color(err),
        }
    }
}

/// `text` in an SGR style, if colours are on.
pub(crate) fn paint(color: bool, style: &str, text: &str) -> String {
    if color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Does this character act on a terminal, or turn the direction of writing?
pub(crate) fn is_unsafe(c: char) -> bool {
    let is_direction =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_direction || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Appends such a character as it is written in Rust and JSON: `\n`, `\u{1b}`.
pub(crate) fn push_escaped(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
    }
}

/// Text from outside on one line, with nothing in it that a terminal would obey.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    visible(text, |_| false)
}

/// The same for our own messages of several lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    visible(text, |c| c == '\n')
}

fn visible(text: &str, keeps: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|c| is_unsafe(c) && !keeps(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) && !keeps(c) { push_escaped(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_passes() {
        let cases = [
            ("plain 星", "plain 星"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{7f}", "\\u{7f}"),
            ("x\u{202e}y\u{2066}z", "x\\u{202e}y\\u{2066}z"),
        ];
        for (text, want) in cases {
            assert_eq!(one_line(text), want);
        }
        assert_eq!(lines("a\nb\u{7}"), "a\nb\\u{7}");
        assert!((0..0x11_0000_u32).filter_map(char::from_u32).filter(|c| c.is_control()).all(is_unsafe));
    }

    #[test]
    fn counts_have_commas() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (count, want) in cases {
            assert_eq!(thousands(count), want);
        }
        assert_eq!(counted(1, "row"), "1 row");
    }
}
