//! FDSN channel codes and the patterns that select them.

use std::fmt;

/// Network, station, location and channel of one stream; a blank location is the empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelCode {
    /// Network, 1-8 characters.
    pub network: String,
    /// Station, 1-8 characters.
    pub station: String,
    /// Location, 0-8 characters.
    pub location: String,
    /// Channel (band, source, subsource), usually 3 characters.
    pub channel: String,
}

impl ChannelCode {
    /// From its four parts.
    pub fn new(network: &str, station: &str, location: &str, channel: &str) -> Self {
        ChannelCode {
            network: network.to_owned(),
            station: station.to_owned(),
            location: location.to_owned(),
            channel: channel.to_owned(),
        }
    }

    /// The last character of the channel code: the component.
    pub fn component(&self) -> Option<char> {
        self.channel.chars().last()
    }
}

impl fmt::Display for ChannelCode {
    /// `IU.ANMO.00.BHZ`; a blank location is empty (`IU.ANMO..BHZ`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.network, self.station, self.location, self.channel)
    }
}

/// FDSN wildcards: `*` any run, `?` one character, a comma list of alternatives. Matching is case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    alternatives: Vec<String>,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub help: String,
}

impl Pattern {
    /// A pattern for one part (a station, a channel): no dots are asked for.
    pub fn part(text: &str) -> Result<Pattern, PatternError> {
        if let Some(open) = text.find('[') {
            return Err(PatternError {
                reason: "`[` is not a wildcard here (`*` any run, `?` one character, `,` a list)".to_owned(),
                help: expand_class(text, open),
            });
        }
        let alternatives = text
            .split(',')
            .map(|a| if a.trim() == "--" { String::new() } else { a.trim().to_owned() })
            .collect();
        Ok(Pattern { alternatives })
    }

    /// A pattern for whole codes: each alternative has four parts NET.STA.LOC.CHA; `--` is a blank location.
    pub fn code(text: &str) -> Result<Pattern, PatternError> {
        let mut pattern = Pattern::part(text)?;
        for alternative in &mut pattern.alternatives {
            let parts: Vec<&str> = alternative.split('.').collect();
            if parts.len() != 4 {
                let mut filled = parts.clone();
                filled.resize(4, "*");
                return Err(PatternError {
                    reason: format!(
                        "a channel pattern has four parts NETWORK.STATION.LOCATION.CHANNEL, this has {}",
                        parts.len()
                    ),
                    help: format!("'{}'; a blank location is `--`", filled.join(".")),
                });
            }
            let location = if parts[2] == "--" { "" } else { parts[2] };
            *alternative = format!("{}.{}.{location}.{}", parts[0], parts[1], parts[3]);
        }
        Ok(pattern)
    }

    /// Does the text match one of the alternatives?
    pub fn matches(&self, text: &str) -> bool {
        self.alternatives.iter().any(|a| wildcard(a.as_bytes(), text.as_bytes()))
    }

    /// Does the code match? Each of the four parts is compared alone, so that `*` never runs over a dot.
    pub fn matches_code(&self, code: &ChannelCode) -> bool {
        let parts = [&code.network, &code.station, &code.location, &code.channel];
        self.alternatives.iter().any(|a| {
            a.split('.').zip(parts).all(|(pattern, part)| wildcard(pattern.as_bytes(), part.as_bytes()))
        })
    }

    /// The text itself if it holds no wildcard and no list: an index can look it up.
    pub fn literal(&self) -> Option<&str> {
        match self.alternatives.as_slice() {
            [one] if !one.contains(['*', '?']) => Some(one),
            _ => None,
        }
    }
}

/// `EH[ZNE]` -> `'EHZ,EHN,EHE'`.
fn expand_class(text: &str, open: usize) -> String {
    let close = text[open..].find(']').map_or(text.len(), |c| open + c);
    let (head, tail) = (&text[..open], text.get(close + 1..).unwrap_or(""));
    let list: Vec<String> = text[open + 1..close].chars().map(|c| format!("{head}{c}{tail}")).collect();
    format!("'{}'", list.join(","))
}

/// `*` and `?` against bytes, without recursion: at most one backtrack point is ever needed.
pub fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_codes() {
        let blank = ChannelCode::new("IU", "ANMO", "", "BHZ");
        let zero = ChannelCode::new("IU", "ANMO", "00", "BHZ");
        let cases = [
            ("IU.ANMO.--.BH?", true, false),
            ("IU.ANMO..BHZ", true, false),
            ("IU.ANMO.*.BHZ", true, true),
            ("*.*.*.*", true, true),
            ("II.*.00.BHZ,IU.*.00.B*", false, true),
            ("IU.A*O.0?.*Z", false, true),
            ("iu.ANMO.*.BHZ", false, false),
        ];
        for (text, want_blank, want_zero) in cases {
            let pattern = Pattern::code(text);
            let got = pattern.map(|p| (p.matches_code(&blank), p.matches_code(&zero)));
            assert_eq!(got, Ok((want_blank, want_zero)), "{text}");
        }
    }

    #[test]
    fn bad_patterns_are_explained() {
        let three = Pattern::code("IU.ANMO.00").map_err(|e| (e.reason, e.help));
        assert_eq!(
            three,
            Err((
                "a channel pattern has four parts NETWORK.STATION.LOCATION.CHANNEL, this has 3".to_owned(),
                "'IU.ANMO.00.*'; a blank location is `--`".to_owned()
            ))
        );
        assert_eq!(Pattern::part("EH[ZNE]").map_err(|e| e.help), Err("'EHZ,EHN,EHE'".to_owned()));
    }

    #[test]
    fn wildcards_backtrack() {
        for (pattern, text, want) in [
            ("a*b*c", "aXbYbc", true),
            ("*a", "bab", false),
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(wildcard(pattern.as_bytes(), text.as_bytes()), want, "{pattern} {text}");
        }
    }
}
