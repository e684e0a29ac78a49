//! Requests in bulk, as FDSN web services take them: lines `NET STA LOC CHA START END`.

use std::path::Path;

use starquake::error::Error;
use starquake::model::time::Time;

use crate::args::parse_time;
use crate::script;

/// What a line has.
const LINE: &str = "NET STA LOC CHA START END";
/// Options of a request that say how it is to be answered, which is not asked here.
const PASSED_OVER: [&str; 2] = ["format", "nodata"];

/// Channels that are wanted in one span of time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// Patterns with commas between them, each once, in the order of the lines.
    pub(crate) codes: String,
    /// `None`: open.
    pub(crate) start: Option<Time>,
    pub(crate) end: Option<Time>,
}

/// The groups of a file, or of standard input for `-`, in the order of their first lines.
///
/// # Errors
/// A mistake in usage: the file cannot be read, or a line is none of a request.
pub(crate) fn read(path: &Path) -> Result<Vec<Group>, String> {
    let source = script::from_file(path).map_err(|e: Error| e.to_string())?;
    parse(&source.name, &source.text)
}

fn parse(name: &str, text: &str) -> Result<Vec<Group>, String> {
    let mut groups: Vec<(Group, std::collections::HashSet<String>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let Some((code, start, end)) =
            line_of(line).map_err(|reason| format!("{name}:{}: {reason}", number + 1))?
        else {
            continue;
        };
        let place = *places.entry((start, end)).or_insert(groups.len());
        if place == groups.len() {
            groups.push((Group { codes: String::new(), start, end }, Default::default()));
        }
        if let Some((group, seen)) = groups.get_mut(place)
            && seen.insert(code.clone())
        {
            group.codes.push_str(if group.codes.is_empty() { "" } else { "," });
            group.codes.push_str(&code);
        }
    }
    if groups.is_empty() {
        return Err(format!("{name} has no line {LINE}"));
    }
    Ok(groups.into_iter().map(|g| g.0).collect())
}

type Line = (String, Option<Time>, Option<Time>);

/// A line; `None` for blank ones, comments and options that say nothing about what is wanted.
fn line_of(line: &str) -> Result<Option<Line>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if let Some((option, _)) = line.split_once('=') {
        let option = option.trim();
        return if PASSED_OVER.contains(&option) {
            Ok(None)
        } else {
            Err(format!("the option `{option}` is not known here: leave it out, or ask with WHERE"))
        };
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let [network, station, location, channel, start, end] = words[..] else {
        return Err(format!("a line is {LINE}, this one has {} words", words.len()));
    };
    let is_code = |c: char| c.is_ascii_alphanumeric() || "*?-,_".contains(c);
    if let Some(wrong) = words.iter().take(4).find(|w| !w.chars().all(is_code)) {
        return Err(format!("`{wrong}` is no code: letters, digits, * and ?; -- is the blank location"));
    }
    let time = |text: &str| if text == "*" { Ok(None) } else { parse_time(text).map(Some) };
    let (start, end) = (time(start)?, time(end)?);
    if start.zip(end).is_some_and(|(start, end)| start >= end) {
        return Err("the span ends before it starts".to_owned());
    }
    let codes = product(&[network, station, location, channel].map(|part| part.split(',').collect()));
    Ok(Some((codes, start, end)))
}

/// All combinations of the four parts.
fn product(parts: &[Vec<&str>; 4]) -> String {
    let mut patterns = vec![String::new()];
    for (i, part) in parts.iter().enumerate() {
        let dot = if i == 0 { "" } else { "." };
        patterns =
            patterns.iter().flat_map(|head| part.iter().map(move |p| format!("{head}{dot}{p}"))).collect();
    }
    patterns.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_span_are_one_group() {
        let text = "quality=B\n";
        assert!(parse("b", text).is_err_and(|e| e.starts_with("b:1: the option `quality`")));
        let text = "nodata=404\n\n# a comment\nIU ANMO 00 BHZ 2024-01-01T00:00:00 2024-01-02T00:00:00\n\
                    II BFO -- BH?,LHZ 2024-01-01 2024-01-02\nIU ANMO 00 BHZ 2024-01-01 2024-01-02\n\
                    * * * * * 2024-02-01\n";
        let groups = parse("b", text).unwrap();
        let codes: Vec<&str> = groups.iter().map(|g| g.codes.as_str()).collect();
        assert_eq!(codes, ["IU.ANMO.00.BHZ,II.BFO.--.BH?,II.BFO.--.LHZ", "*.*.*.*"]);
        assert!(groups[1].start.is_none() && groups[1].end.is_some());
    }

    #[test]
    fn wrong_lines_are_named() {
        let cases = [
            ("IU ANMO 00 BHZ 2024-01-01", "b:1: a line is NET STA LOC CHA START END, this one has 5 words"),
            ("\nIU AN'O 00 BHZ 2024-01-01 2024-01-02", "b:2: `AN'O` is no code"),
            ("IU ANMO 00 BHZ 2024-02-30 2024-03-01", "b:1: "),
            ("IU ANMO 00 BHZ 2024-03-01 2024-02-01", "b:1: the span ends before it starts"),
            ("# nothing\n", "b has no line"),
        ];
        for (text, want) in cases {
            let error = parse("b", text).unwrap_err();
            assert!(error.starts_with(want), "{error}");
        }
    }
}
