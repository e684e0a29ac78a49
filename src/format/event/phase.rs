//! Phase names: which are a direct or crustal P or S, under the decorations of old bulletins.

/// The names that count as P and as S, with the letter that may follow, and the plain name.
/// `*` is the older name of the phase along the Conrad discontinuity (IASPEI Standard Seismic Phase List, 2003).
const BRANCHES: &[(char, &str, &str)] =
    &[('g', "Pg", "Sg"), ('n', "Pn", "Sn"), ('b', "Pb", "Sb"), ('*', "Pb", "Sb")];

/// The phase without onset (`i`, `e`), polarity (`U`, `D`, `C`, `R`, `+`, `-`, `.`, `?`) and digits of quality:
/// one of P Pg Pn Pb S Sg Sn Sb. `None` for every other name (pP, PcP, PKP, SKS, Pdiff, PmP, Lg).
///
/// ```
/// use starquake::format::event::plain_phase;
/// assert_eq!(plain_phase("IPU0"), Some("P"));
/// assert_eq!(plain_phase("Pdiff"), None);
/// ```
pub fn plain_phase(name: &str) -> Option<&'static str> {
    let mut letters = name.chars().filter(|c| !c.is_whitespace()).peekable();
    letters.next_if(|c| matches!(c, 'i' | 'I' | 'e' | 'E'));
    let is_p = match letters.next()? {
        'P' | 'p' => true,
        'S' | 's' => false,
        _ => return None,
    };
    let branch = letters.peek().and_then(|c| BRANCHES.iter().find(|b| b.0 == c.to_ascii_lowercase()));
    if branch.is_some() {
        letters.next();
    }
    letters.next_if(|c| matches!(c, 'U' | 'D' | 'C' | 'R' | 'u' | 'd' | 'c' | 'r' | '+' | '-' | '.' | '?'));
    while letters.next_if(char::is_ascii_digit).is_some() {}
    if letters.next().is_some() {
        return None;
    }
    Some(match (branch, is_p) {
        (Some((_, p, _)), true) => p,
        (Some((_, _, s)), false) => s,
        (None, true) => "P",
        (None, false) => "S",
    })
}

/// `P` for P, Pg, Pn, Pb and P*, `S` likewise, nothing for other names; decorations as in [`plain_phase`].
pub fn phase_class(name: &str) -> Option<&'static str> {
    plain_phase(name).map(|plain| if plain.starts_with('P') { "P" } else { "S" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_classes() {
        let cases: &[(&str, &[&str])] = &[
            ("P", &["P", "p", "IPU0", "P1", "eP", "EP", "iPd2", "IPC1", "P+", "P-", "P?", "I P U 0", "Pu"]),
            ("Pg", &["Pg", "PG", "ePg", "iPgU1", "Pg2"]),
            ("Pn", &["Pn", "PN", "EPN 3"]),
            ("Pb", &["Pb", "P*", "eP*"]),
            ("S", &["S", "s", "ES", "eS2", "iSd", "IS 1"]),
            ("Sg", &["Sg", "SG1"]),
            ("Sn", &["Sn"]),
            ("Sb", &["S*", "Sb"]),
        ];
        for (want, names) in cases {
            for name in *names {
                assert_eq!(plain_phase(name), Some(*want), "{name}");
                assert_eq!(phase_class(name), want.get(..1), "{name}");
            }
        }
        let others = [
            "pP", "sP", "PP", "SS", "PcP", "ScS", "ScP", "PKP", "PKPdf", "PKiKP", "SKS", "Pdiff", "Pdif",
            "P'P'", "PmP", "SmS", "Lg", "Rg", "AML", "", " ", "e", "i", "PS", "SP", "P3KP", "PgPg", "PnPn",
            "T", "1P", "P1a", "eeP", "P\u{e9}",
        ];
        for name in others {
            assert_eq!(phase_class(name), None, "{name}");
        }
    }
}
