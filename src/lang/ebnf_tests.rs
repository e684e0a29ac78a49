//! The grammar file, run: an ordered-choice recogniser with memo that reads `grammar/starquake.ebnf` and nothing
//! of the parser, and the comparison of the two.

use std::collections::{BTreeSet, HashMap};

use crate::lang::lex::{KEYWORDS, RESERVED, blank};
use crate::lang::parse;

/// A part of a rule.
#[derive(Debug)]
enum Part {
    Word(String),
    Mark(String),
    Rule(String),
    Pattern(Regex, bool),
    Seq(Vec<Part>),
    Any(Vec<Part>),
    Repeat(Box<Part>, usize, usize),
}

/// A lexical pattern.
#[derive(Debug)]
enum Regex {
    Set(Vec<(char, char)>, bool),
    Seq(Vec<Regex>),
    Any(Vec<Regex>),
    Repeat(Box<Regex>, usize, usize),
    Ahead(Box<Regex>, bool),
}

/// Reads one pattern, from its first character to a closing bracket or the end.
struct PatternReader<'a>(std::iter::Peekable<std::str::Chars<'a>>);

impl PatternReader<'_> {
    fn any(&mut self) -> Regex {
        let mut all = vec![Vec::new()];
        while let Some(&c) = self.0.peek() {
            match c {
                ')' => break,
                '|' => {
                    self.0.next();
                    all.push(Vec::new());
                }
                _ => {
                    let one = self.one();
                    all.last_mut().unwrap().push(one);
                }
            }
        }
        Regex::Any(all.into_iter().map(Regex::Seq).collect())
    }

    fn one(&mut self) -> Regex {
        let atom = match self.0.next().unwrap() {
            '(' => {
                let look = self.0.next_if_eq(&'?').map(|_| self.0.next().unwrap());
                let inner = self.any();
                assert_eq!(self.0.next(), Some(')'));
                match look {
                    Some(kind) => Regex::Ahead(Box::new(inner), kind == '='),
                    None => inner,
                }
            }
            '[' => {
                let negated = self.0.next_if_eq(&'^').is_some();
                let mut set = Vec::new();
                while self.0.peek() != Some(&']') {
                    let low = self.0.next().unwrap();
                    if low == '\\' {
                        set.extend(class(self.0.next().unwrap()));
                    } else if self.0.peek() == Some(&'-') {
                        self.0.next();
                        match self.0.peek() {
                            Some(']') => set.extend([(low, low), ('-', '-')]),
                            _ => set.push((low, self.0.next().unwrap())),
                        }
                    } else {
                        set.push((low, low));
                    }
                }
                self.0.next();
                Regex::Set(set, negated)
            }
            '\\' => Regex::Set(class(self.0.next().unwrap()), false),
            '.' => Regex::Set(Vec::new(), true),
            c => Regex::Set(vec![(c, c)], false),
        };
        let (low, high) = match self.0.peek() {
            Some('?') => (0, 1),
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('{') => {
                let text: String = self.0.by_ref().skip(1).take_while(|c| *c != '}').collect();
                let (low, high) = text.split_once(',').unwrap_or((&text, &text));
                return Regex::Repeat(Box::new(atom), low.parse().unwrap(), high.parse().unwrap());
            }
            _ => return atom,
        };
        self.0.next();
        Regex::Repeat(Box::new(atom), low, high)
    }
}

fn class(c: char) -> Vec<(char, char)> {
    match c {
        'd' => vec![('0', '9')],
        'w' => vec![('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')],
        's' => vec![(' ', ' '), ('\t', '\r')],
        other => vec![(other, other)],
    }
}

impl Regex {
    /// Calls `then` with every end of a match at `at`, greedy first, until it says true.
    fn run(&self, text: &str, at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
        match self {
            Regex::Set(set, negated) => match text[at..].chars().next() {
                Some(c) if set.iter().any(|(l, h)| (*l..=*h).contains(&c)) != *negated => {
                    then(at + c.len_utf8())
                }
                _ => false,
            },
            Regex::Seq(parts) => Self::seq(parts, text, at, then),
            Regex::Any(all) => all.iter().any(|one| one.run(text, at, then)),
            Regex::Ahead(one, wanted) => one.run(text, at, &mut |_| true) == *wanted && then(at),
            Regex::Repeat(one, low, high) => Self::repeat((one, *low, *high), text, at, then),
        }
    }

    fn seq(parts: &[Regex], text: &str, at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
        match parts.split_first() {
            Some((first, rest)) => first.run(text, at, &mut |end| Self::seq(rest, text, end, then)),
            None => then(at),
        }
    }

    fn repeat(
        (one, low, high): (&Regex, usize, usize),
        text: &str,
        at: usize,
        then: &mut dyn FnMut(usize) -> bool,
    ) -> bool {
        let fewer =
            (one, low.saturating_sub(1), if high == usize::MAX { high } else { high.saturating_sub(1) });
        (high > 0 && one.run(text, at, &mut |end| end > at && Self::repeat(fewer, text, end, then)))
            || (low == 0 && then(at))
    }
}

/// The grammar.
struct Grammar {
    rules: HashMap<String, Part>,
    reserved: BTreeSet<String>,
    words: BTreeSet<String>,
}

impl Grammar {
    fn read(text: &str) -> Grammar {
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, comment)) = rest.split_once("(*") {
            plain.push_str(before);
            rest = comment.split_once("*)").unwrap().1;
        }
        plain.push_str(rest);
        let mut bodies: Vec<(String, String)> = Vec::new();
        for line in plain.lines() {
            match line.split_once("::=") {
                Some((name, body)) => bodies.push((name.trim().to_owned(), body.trim().to_owned())),
                None if line.trim().is_empty() => {}
                None => {
                    let body = &mut bodies.last_mut().unwrap().1;
                    body.push(' ');
                    body.push_str(line.trim());
                }
            }
        }
        let mut grammar =
            Grammar { rules: HashMap::new(), reserved: BTreeSet::new(), words: BTreeSet::new() };
        for (name, body) in bodies {
            if let Some(pattern) = body.strip_prefix('/') {
                let (pattern, after) = pattern.rsplit_once('/').unwrap();
                let regex = PatternReader(pattern.chars().peekable()).any();
                grammar.rules.insert(name, Part::Pattern(regex, after.contains("RESERVED")));
                continue;
            }
            let tokens = tokens(&body);
            let words =
                tokens.iter().filter_map(|t| t.strip_prefix('\'')).map(|w| w.trim_matches('\'').to_owned());
            if name == "RESERVED" {
                grammar.reserved = words.collect();
                continue;
            }
            grammar.words.extend(words);
            let mut at = 0;
            let part = any(&tokens, &mut at);
            assert_eq!(at, tokens.len(), "{name}");
            grammar.rules.insert(name, part);
        }
        grammar
    }

    /// Whether `text` is a script, the farthest refused place, and the rules that matched.
    fn run(&self, text: &str) -> (bool, usize, BTreeSet<String>) {
        let mut run = Run { grammar: self, text, far: 0, memo: HashMap::new() };
        let shebang = if text.starts_with("#!") { text.find('\n').unwrap_or(text.len()) } else { 0 };
        let accepted = run.rule("script", shebang + blank(&text[shebang..])).is_some();
        let used = run.memo.iter().filter(|(_, end)| end.is_some()).map(|((rule, _), _)| rule.to_string());
        (accepted, run.far, used.collect())
    }
}

/// The tokens of a rule's body.
fn tokens(body: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = body.trim_start();
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '\'' | '"' => 2 + rest[1..].find(c).unwrap(),
            '(' | ')' | '|' | '?' | '*' | '+' => 1,
            _ => rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len()),
        };
        assert!(len > 0, "{rest}");
        all.push(rest[..len].to_owned());
        rest = rest[len..].trim_start();
    }
    all
}

fn any(tokens: &[String], at: &mut usize) -> Part {
    let mut all = vec![seq(tokens, at)];
    while tokens.get(*at).is_some_and(|t| t == "|") {
        *at += 1;
        all.push(seq(tokens, at));
    }
    if all.len() == 1 { all.remove(0) } else { Part::Any(all) }
}

fn seq(tokens: &[String], at: &mut usize) -> Part {
    let mut all = Vec::new();
    while let Some(token) = tokens.get(*at).filter(|t| *t != "|" && *t != ")") {
        *at += 1;
        let inner = token.trim_matches(['\'', '"']).to_owned();
        let mut part = match token.as_bytes()[0] {
            b'(' => {
                let part = any(tokens, at);
                *at += 1;
                part
            }
            b'\'' => Part::Word(inner),
            b'"' => Part::Mark(inner),
            _ => Part::Rule(token.clone()),
        };
        while let Some((low, high)) = tokens.get(*at).and_then(|t| match t.as_str() {
            "?" => Some((0, 1)),
            "*" => Some((0, usize::MAX)),
            "+" => Some((1, usize::MAX)),
            _ => None,
        }) {
            *at += 1;
            part = Part::Repeat(Box::new(part), low, high);
        }
        all.push(part);
    }
    Part::Seq(all)
}

/// One run over a text. Positions are starts of tokens.
struct Run<'a> {
    grammar: &'a Grammar,
    text: &'a str,
    far: usize,
    memo: HashMap<(&'a str, usize), Option<usize>>,
}

impl<'a> Run<'a> {
    fn rule(&mut self, name: &'a str, at: usize) -> Option<usize> {
        if let Some(end) = self.memo.get(&(name, at)) {
            return *end;
        }
        let end = self.part(self.grammar.rules.get(name).unwrap_or_else(|| panic!("no rule {name}")), at);
        self.memo.insert((name, at), end);
        end
    }

    fn part(&mut self, part: &'a Part, at: usize) -> Option<usize> {
        match part {
            Part::Rule(name) => self.rule(name, at),
            Part::Seq(parts) => parts.iter().try_fold(at, |at, p| self.part(p, at)),
            Part::Any(parts) => parts.iter().find_map(|p| self.part(p, at)),
            Part::Repeat(part, low, high) => {
                let (mut end, mut count) = (at, 0);
                while count < *high {
                    match self.part(part, end) {
                        Some(next) if next > end => end = next,
                        _ => break,
                    }
                    count += 1;
                }
                (count >= *low).then_some(end)
            }
            token => {
                let len = self.token(token, &self.text[at..]);
                if len.is_none() {
                    self.far = self.far.max(at);
                }
                len.map(|len| at + len + blank(&self.text[at + len..]))
            }
        }
    }

    /// The length of the token at the start of `text`.
    fn token(&self, token: &Part, text: &str) -> Option<usize> {
        let word = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        match token {
            Part::Word(wanted) => text[..word].eq_ignore_ascii_case(wanted).then_some(word),
            Part::Mark(mark) => {
                let longer =
                    (mark == "." && text.starts_with("..")) || (mark == "/" && text.starts_with("/*"));
                (text.starts_with(mark.as_str()) && !longer).then_some(mark.len())
            }
            Part::Pattern(regex, not_reserved) => {
                let mut len = None;
                regex.run(text, 0, &mut |end| {
                    len = Some(end);
                    true
                });
                len.filter(|n| {
                    !not_reserved || !self.grammar.reserved.contains(&text[..*n].to_ascii_uppercase())
                })
            }
            _ => None,
        }
    }
}

fn grammar() -> Grammar {
    Grammar::read(include_str!("../../grammar/starquake.ebnf"))
}

/// Every file of `grammar/queries`, with its name.
fn good_files() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/grammar/queries");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let read = |p: std::path::PathBuf| (p.display().to_string(), std::fs::read_to_string(p).unwrap());
    files.into_iter().map(read).collect()
}

/// The statements of the files, one by one, the wrong ones of the tables, and those of ADQL, right and wrong.
pub(crate) fn corpus() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (name, text) in good_files() {
        let statements =
            parse::script(&name, &text).unwrap_or_else(|d| panic!("{name}: {} {:?}", d.message, d.span));
        all.extend(statements.iter().map(|s| text[s.span.start..s.span.end].to_owned()));
    }
    let designed = include_str!("../../tests/data/wrong.tsv").lines().skip(1);
    let wrong = designed.chain(include_str!("../../tests/data/wrong_syntax.tsv").lines().skip(1));
    all.extend(wrong.filter_map(|l| l.split('\t').nth(1)).map(str::to_owned));
    let adql =
        [include_str!("../../tests/data/adql/valid.sq"), include_str!("../../tests/data/adql/invalid.sq")];
    let lines = adql.into_iter().flat_map(str::lines).filter(|l| !l.is_empty() && !l.starts_with("--"));
    all.extend(lines.map(|l| l.split("; -- refused").next().unwrap_or(l).to_owned()));
    all
}

/// What differs between grammar and parser on a text, if anything does.
fn difference(grammar: &Grammar, text: &str) -> Option<String> {
    let (accepted, far, _) = grammar.run(text);
    let parsed = parse::tree(text);
    let limit =
        parsed.as_ref().err().is_some_and(|d| d.message.contains("nested") || d.message.contains("in a row"));
    if limit || (parsed.is_ok() == accepted && (accepted || far == parse::farthest(text))) {
        return None;
    }
    let at = parse::farthest(text);
    Some(format!("grammar {accepted} {far}, parser {} {at}: {text}", parsed.is_ok()))
}

#[test]
fn grammar_is_closed() {
    let grammar = grammar();
    assert_eq!(grammar.reserved, RESERVED.iter().map(|w| w.to_string()).collect());
    let others = grammar.words.difference(&grammar.reserved).cloned().collect::<Vec<_>>();
    assert_eq!(others, KEYWORDS);
    let mut used = BTreeSet::from(["script".to_owned()]);
    fn walk(part: &Part, used: &mut BTreeSet<String>) {
        match part {
            Part::Rule(name) => _ = used.insert(name.clone()),
            Part::Seq(parts) | Part::Any(parts) => parts.iter().for_each(|p| walk(p, used)),
            Part::Repeat(part, ..) => walk(part, used),
            _ => {}
        }
    }
    grammar.rules.values().for_each(|r| walk(r, &mut used));
    let defined: BTreeSet<String> = grammar.rules.keys().cloned().collect();
    assert_eq!(used, defined);
}

#[test]
fn every_rule_is_reached_by_a_good_case() {
    let grammar = grammar();
    let mut reached = BTreeSet::new();
    for (name, text) in good_files() {
        let (accepted, far, used) = grammar.run(&text);
        assert!(accepted, "{name} at {}", &text[far..]);
        reached.extend(used);
    }
    let missing: Vec<_> = grammar.rules.keys().filter(|r| !reached.contains(*r)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_keyword_stands_in_a_good_case() {
    let good: String = good_files().into_iter().map(|(_, text)| text.to_ascii_uppercase() + "\n").collect();
    let words: BTreeSet<&str> = good.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let missing: Vec<_> = grammar().words.into_iter().filter(|w| !words.contains(w.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn grammar_and_parser_agree_on_the_corpus() {
    let grammar = grammar();
    let differences: Vec<_> = corpus().iter().filter_map(|text| difference(&grammar, text)).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// A small generator of pseudo-random numbers (Marsaglia's xorshift, 10.18637/jss.v008.i14).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// Splits into words, numbers, strings, blanks and single characters.
fn pieces(text: &str) -> Vec<&str> {
    let kind = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            0
        } else if c.is_whitespace() {
            1
        } else {
            2
        }
    };
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let len = match kind(c) {
            2 => c.len_utf8(),
            k => rest.find(|c| kind(c) != k).unwrap_or(rest.len()),
        };
        all.push(&rest[..len]);
        rest = &rest[len..];
    }
    all
}

/// A statement with one to three pieces deleted, doubled, swapped, taken from another statement, or a character
/// replaced.
pub(crate) fn mutant(corpus: &[String], random: &mut Random) -> String {
    let text = &corpus[random.below(corpus.len())];
    let other = &corpus[random.below(corpus.len())];
    let mut parts = pieces(text);
    let others = pieces(other);
    for _ in 0..=random.below(3) {
        let at = random.below(parts.len());
        match random.below(5) {
            0 => _ = (parts.len() > 1).then(|| parts.remove(at)),
            1 => parts.insert(at, parts[at]),
            2 => {
                let with = random.below(parts.len());
                parts.swap(at, with);
            }
            3 => parts.insert(at, others[random.below(others.len())]),
            _ => {
                parts[at] = [" ", "(", ")", ",", ".", "..", "'", "\"", "-", "*", "/*", "1", "a", ";", "é"]
                    [random.below(15)]
            }
        }
    }
    parts.concat()
}

#[test]
fn grammar_and_parser_agree_on_mutants() {
    let (grammar, corpus) = (grammar(), corpus());
    let count = std::env::var("STARQUAKE_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let mut random = Random(0x5157_2024);
    let mut accepted = 0;
    let mut differences = Vec::new();
    for _ in 0..count {
        let text = mutant(&corpus, &mut random);
        accepted += usize::from(parse::tree(&text).is_ok());
        differences.extend(difference(&grammar, &text));
    }
    assert!(
        differences.is_empty(),
        "{} differ: {:#?}",
        differences.len(),
        &differences[..differences.len().min(10)]
    );
    assert!((count / 50..count - count / 50).contains(&accepted), "{accepted} of {count} were accepted");
}
