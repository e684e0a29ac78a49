//! Colours of a statement that is being typed. Only styles of the terminal's own palette, bold and dim are used, so
//! that they can be read on dark and on light.

use starquake::lang::lex::{KEYWORDS, RESERVED};
use starquake::lang::parse;

use super::tokens::{Kind, Token, tokens, unit};
use crate::style::paint;

const KEYWORD: &str = "1";
const TEXT: &str = "32";
const NUMBER: &str = "35";
const VARIABLE: &str = "36";
/// Comments, hints and all that is said beside the rows.
pub(super) const QUIET: &str = "2";
/// A bracket without partner, and a quote that is not closed.
const WRONG: &str = "1;31";
/// The bracket at the cursor and its partner.
const PARTNER: &str = "1;4";
/// A longer text is shown as it is: it was pasted, and each key would draw all of it.
const BYTES: usize = 20_000;
/// Up to this length the parser tells keywords from names of the same spelling.
const PARSED_BYTES: usize = 2_000;

/// `text` with the cursor at byte `cursor`, in colours; it takes up the same place.
pub(super) fn highlight(text: &str, cursor: Option<usize>) -> String {
    if text.len() > BYTES {
        return text.to_owned();
    }
    let tokens = tokens(text);
    let brackets = Brackets::new(&tokens, cursor);
    let mut out = String::with_capacity(2 * text.len());
    let mut end = 0;
    // A unit of several tokens (`mas/yr`) is one colour.
    let mut unit_end = 0;
    for (i, token) in tokens.iter().enumerate() {
        out.push_str(text.get(end..token.start).unwrap_or(""));
        end = token.end();
        let follows_number =
            i.checked_sub(1).and_then(|p| tokens.get(p)).is_some_and(|t| t.kind == Kind::Number);
        if follows_number && let Some(length) = unit(text.get(token.start..).unwrap_or("")) {
            unit_end = token.start + length;
        }
        let style = match token.kind {
            _ if token.start < unit_end => Some(NUMBER),
            Kind::Text | Kind::Name if token.is_open => Some(WRONG),
            Kind::Text => Some(TEXT),
            Kind::Number => Some(NUMBER),
            Kind::Variable => Some(VARIABLE),
            Kind::Comment => Some(QUIET),
            Kind::Word if is_keyword(text, token) => Some(KEYWORD),
            Kind::Mark => brackets.style(i),
            Kind::Word | Kind::Name => None,
        };
        match style {
            // Each line is painted by itself: the terminal is told nothing across a line's end.
            Some(style) => {
                let lines: Vec<String> =
                    token.text.split('\n').map(|l| paint(!l.is_empty(), style, l)).collect();
                out.push_str(&lines.join("\n"));
            }
            None => out.push_str(token.text),
        }
    }
    out.push_str(text.get(end..).unwrap_or(""));
    out
}

/// Is the word a keyword where it stands? Many words of the language are names elsewhere: `time`, `events`.
fn is_keyword(text: &str, token: &Token<'_>) -> bool {
    let upper = token.text.to_ascii_uppercase();
    if RESERVED.contains(&upper.as_str()) {
        return true;
    }
    if !KEYWORDS.contains(&upper.as_str()) {
        return false;
    }
    if text.len() > PARSED_BYTES {
        return token.text == upper;
    }
    let legal = parse::expected(text, token.end());
    legal.contains(&upper) && (token.text == upper || !legal.iter().any(|l| l == "<name>"))
}

/// Which brackets have no partner, and which one the cursor is at.
struct Brackets {
    wrong: Vec<usize>,
    partners: Option<(usize, usize)>,
}

impl Brackets {
    fn new(tokens: &[Token<'_>], cursor: Option<usize>) -> Brackets {
        let (mut wrong, mut open, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for (i, token) in tokens.iter().enumerate() {
            if token.is_mark("(") {
                open.push(i);
            } else if token.is_mark(")") {
                match open.pop() {
                    Some(first) => pairs.push((first, i)),
                    None => wrong.push(i),
                }
            } else if token.is_mark(";") {
                // Before the end of the statement an open bracket may still be closed.
                wrong.append(&mut open);
            }
        }
        let at = |i: usize| {
            let token = tokens.get(i);
            cursor.is_some_and(|c| token.is_some_and(|t| t.start == c || t.end() == c))
        };
        let partners = pairs.into_iter().rfind(|(a, b)| at(*a) || at(*b));
        Brackets { wrong, partners }
    }

    fn style(&self, token: usize) -> Option<&'static str> {
        if self.wrong.contains(&token) {
            return Some(WRONG);
        }
        self.partners.filter(|(a, b)| *a == token || *b == token).map(|_| PARTNER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Styles as `<style:text>`.
    fn shown(text: &str, cursor: Option<usize>) -> String {
        let mut out = String::new();
        for part in highlight(text, cursor).split("\u{1b}[") {
            match part.split_once('m') {
                Some(("0", rest)) => out.push_str(&format!(">{rest}")),
                Some((style, rest)) if style.bytes().all(|b| b.is_ascii_digit() || b == b';') => {
                    out.push_str(&format!("<{style}:{rest}"));
                }
                _ => out.push_str(part),
            }
        }
        out
    }

    #[test]
    fn statements_are_coloured() {
        let cases = [
            ("SELECT ra FROM gaia", "<1:SELECT> ra <1:FROM> gaia"),
            ("select 'a' -- c", "<1:select> <32:'a'> <2:-- c>"),
            ("FROM events WHERE time > 2024-01-01", "<1:FROM> events <1:WHERE> time > <35:2024-01-01>"),
            ("pm > 3 mas/yr AND", "pm > <35:3> <35:mas><35:/><35:yr> <1:AND>"),
            ("x = 'open", "x = <1;31:'open>"),
            ("LET r = $x", "<1:LET> r = <36:$x>"),
            ("ABS(x));", "ABS(x)<1;31:)>;"),
            ("ABS((x);", "ABS<1;31:(>(x);"),
            ("'a\nb'", "<32:'a>\n<32:b'>"),
            ("IMPORT EVENTS 'x'", "<1:IMPORT> <1:EVENTS> <32:'x'>"),
        ];
        for (text, want) in cases {
            assert_eq!(shown(text, None), want, "{text}");
        }
        assert_eq!(shown("f(x)", Some(4)), "f<1;4:(>x<1;4:)>");
    }

    #[test]
    fn nothing_is_lost() {
        for text in ["SELECT 'a\n\n;", "星 \"a", "$ $1 ..", "\t/*", "3 mas/yr\n)"] {
            let plain: String = shown(text, Some(0));
            let kept = highlight(text, Some(0));
            let mut rest = kept.as_str();
            let mut out = String::new();
            while let Some((before, behind)) = rest.split_once("\u{1b}[") {
                out.push_str(before);
                rest = behind.split_once('m').map_or("", |p| p.1);
            }
            assert_eq!(out + rest, text, "{plain}");
        }
    }
}
