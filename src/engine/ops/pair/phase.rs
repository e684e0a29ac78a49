//! Names of phases, and which pick of one event belongs to which pick of another.

use super::{Link, Pick};

/// What a phase counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// P Pg Pn Pb P* p.
    P,
    /// S Sg Sn Sb S* s.
    S,
    /// Anything else: used only when it is named.
    Other,
}

/// A phase name without onset, polarity and digits, and its class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phase {
    /// What it counts as.
    pub class: Class,
    /// `P`, `Pg`, `S`, `PKIKP`.
    pub name: String,
}

impl Phase {
    /// `IPU0`, `eP`, `P1` are `P`; `iPg` is `Pg`; `PKP` stays what it is.
    pub fn parse(text: &str) -> Phase {
        let text = text.trim();
        for candidate in [text, undecorated(text, false), undecorated(text, true)] {
            if let Some(class) = base_class(candidate) {
                let name = match candidate {
                    "p" => "P",
                    "s" => "S",
                    other => other,
                };
                return Phase { class, name: name.to_owned() };
            }
        }
        Phase { class: Class::Other, name: text.to_owned() }
    }

    /// As outputs write it: `P`, `S`, or the name.
    pub fn written(&self) -> &str {
        match self.class {
            Class::P => "P",
            Class::S => "S",
            Class::Other => &self.name,
        }
    }

    /// Without a branch: it goes with any other of its class.
    fn is_bare(&self) -> bool {
        self.class != Class::Other && self.name.len() == 1
    }

    /// May picks of the two be compared?
    pub fn pairs_with(&self, other: &Phase) -> bool {
        self == other || (self.class == other.class && (self.is_bare() || other.is_bare()))
    }

    /// Is it meant by a PHASE clause of that name? A bare P or S means its whole class.
    pub fn is_meant_by(&self, asked: &Phase) -> bool {
        if asked.is_bare() { self.class == asked.class } else { self == asked }
    }
}

fn base_class(name: &str) -> Option<Class> {
    match name {
        "P" | "Pg" | "Pn" | "Pb" | "P*" | "p" => Some(Class::P),
        "S" | "Sg" | "Sn" | "Sb" | "S*" | "s" => Some(Class::S),
        _ => None,
    }
}

/// Without trailing weights and polarity and, if asked, without the onset in front.
fn undecorated(text: &str, strip_onset: bool) -> &str {
    let mut rest = text.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_whitespace());
    rest = rest.trim_end_matches(['U', 'D', 'C', 'u', 'd', 'c', '+', '-', '.', '?', '_', ' ']);
    if strip_onset {
        rest = rest.strip_prefix(['I', 'E', 'i', 'e', 'Q', 'q']).unwrap_or(rest).trim_start();
    }
    rest
}

/// Networks agree unless both are known and differ.
fn same_station(a: &Pick, b: &Pick) -> bool {
    let networks_differ = matches!((&a.network, &b.network), (Some(x), Some(y)) if x != y);
    a.station == b.station && !networks_differ
}

/// The links of two events: for each (station, written phase) both have, the couple of picks of equal name with the
/// earliest arrival, else a couple in which one is bare. Picks are sorted by (station, written phase); `usable`
/// are the indices that count.
pub fn common(first: (&[Pick], &[u32]), second: (&[Pick], &[u32])) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let mut from = 0;
    let mut best: Option<((bool, i64, i64), Link)> = None;
    let mut current: Option<&Pick> = None;
    for &i in first.1 {
        let a = &first.0[i as usize];
        if !current.is_some_and(|c| same_group(c, a)) {
            links.extend(best.take().map(|b| b.1));
            current = Some(a);
        }
        while second.1.get(from).is_some_and(|&j| group(&second.0[j as usize]) < group(a)) {
            from += 1;
        }
        let here = second.1[from..].iter().take_while(|&&j| group(&second.0[j as usize]) == group(a));
        for &j in here {
            let b = &second.0[j as usize];
            if same_station(a, b) && a.phase.pairs_with(&b.phase) {
                let rank = (a.phase != b.phase, a.time.0, b.time.0);
                if best.is_none_or(|(r, _)| rank < r) {
                    best = Some((rank, Link { first: i, second: j }));
                }
            }
        }
    }
    links.extend(best.map(|b| b.1));
    links
}

fn group(pick: &Pick) -> (&str, &str) {
    (&pick.station, pick.phase.written())
}

fn same_group(a: &Pick, b: &Pick) -> bool {
    group(a) == group(b) && a.network == b.network
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_decorations() {
        let cases = [
            ("P", Class::P, "P"),
            ("IPU0", Class::P, "P"),
            ("iP", Class::P, "P"),
            ("EP", Class::P, "P"),
            ("P1", Class::P, "P"),
            ("ePn+", Class::P, "Pn"),
            ("Pg2", Class::P, "Pg"),
            ("P*", Class::P, "P*"),
            ("p", Class::P, "P"),
            ("ES 2", Class::S, "S"),
            ("Sb", Class::S, "Sb"),
            ("PP", Class::Other, "PP"),
            ("PKiKP", Class::Other, "PKiKP"),
            ("Pdiff", Class::Other, "Pdiff"),
            ("SKS", Class::Other, "SKS"),
            ("I", Class::Other, "I"),
            ("", Class::Other, ""),
        ];
        for (text, class, name) in cases {
            assert_eq!(Phase::parse(text), Phase { class, name: name.to_owned() }, "{text}");
        }
    }

    #[test]
    fn which_names_go_together() {
        let cases = [
            ("P", "P", true),
            ("P", "Pg", true),
            ("Pg", "Pg", true),
            ("Pg", "Pn", false),
            ("P", "S", false),
            ("PKP", "PKP", true),
            ("PKP", "P", false),
        ];
        for (a, b, want) in cases {
            let (a, b) = (Phase::parse(a), Phase::parse(b));
            assert_eq!((a.pairs_with(&b), b.pairs_with(&a)), (want, want), "{a:?} {b:?}");
        }
        assert!(Phase::parse("Pn").is_meant_by(&Phase::parse("P")));
        assert!(!Phase::parse("P").is_meant_by(&Phase::parse("Pn")));
    }
}
