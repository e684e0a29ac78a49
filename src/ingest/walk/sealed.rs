//! Directories that are declared never to change again: REFRESH does not look into them.

use crate::model::station::wildcard;

/// Patterns of directory paths below a root, each a list of names with FDSN wildcards: `2019`, `202?/IU`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    patterns: Vec<Vec<String>>,
}

impl Sealed {
    /// A comma list of patterns; the empty text seals nothing. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Sealed, String> {
        if text.trim().is_empty() {
            return Ok(Sealed::default());
        }
        let pattern = |pattern: &str| {
            let names: Vec<String> =
                pattern.trim().trim_end_matches('/').split('/').map(str::to_owned).collect();
            match names.iter().find(|n| matches!(n.as_str(), "" | "." | "..") || n.contains('[')) {
                Some(name) if name.contains('[') => {
                    Err("`[` is no wildcard here (`*` any run, `?` one character, `,` a list)".to_owned())
                }
                Some(_) => Err(format!("`{}` is no path of a directory below the root", pattern.trim())),
                None => Ok(names),
            }
        };
        Ok(Sealed { patterns: text.split(',').map(pattern).collect::<Result<_, _>>()? })
    }

    /// Nothing is sealed.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Is this directory sealed? A wildcard stays within one name.
    pub fn matches(&self, directory: &[u8]) -> bool {
        self.patterns.iter().any(|pattern| {
            let mut names = directory.split(|b| *b == b'/');
            pattern.iter().all(|p| names.next().is_some_and(|n| wildcard(p.as_bytes(), n)))
                && names.next().is_none()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        let cases = [
            ("2019", "2019", true),
            ("2019", "2019/IU", false),
            ("2019", "2020", false),
            ("2019,202?/IU", "2021/IU", true),
            ("2019,202?/IU", "2021", false),
            ("2019, 202?/IU/", "2021/IU", true),
            ("*", "2021/IU", false),
            ("*/*", "2021/IU", true),
            ("", "", false),
        ];
        for (patterns, path, want) in cases {
            let sealed = Sealed::parse(patterns).unwrap();
            assert_eq!(sealed.matches(path.as_bytes()), want, "{patterns} {path}");
        }
        for wrong in ["/2019", "a//b", "..", "2019,,2020", "20[12]9"] {
            assert!(Sealed::parse(wrong).is_err(), "{wrong}");
        }
    }
}
