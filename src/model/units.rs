//! Units of the query language and of imported columns, and the dimensions they measure.
//! Sources of the spellings: VOUnits 1.1, the FITS standard 4.0 section 4.3, the CDS catalogue standard.

use std::fmt;

/// What a unit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Seconds.
    Duration,
    /// Degrees.
    Angle,
    /// Metres.
    Length,
    /// Hertz.
    Frequency,
    /// Magnitudes.
    Magnitude,
    /// Counts of samples.
    Samples,
    /// Bytes of memory or disk.
    Bytes,
    /// An angle a time.
    AngularRate,
    /// A length a time.
    Speed,
    /// Magnitudes a time.
    MagnitudeRate,
    /// A unit we keep verbatim and do not convert.
    Opaque,
}

impl Dimension {
    /// With its article, for messages: `an angle`.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::Duration => "a duration",
            Dimension::Angle => "an angle",
            Dimension::Length => "a length",
            Dimension::Frequency => "a frequency",
            Dimension::Magnitude => "a magnitude",
            Dimension::Samples => "a number of samples",
            Dimension::Bytes => "an amount of memory",
            Dimension::AngularRate => "an angular rate",
            Dimension::Speed => "a speed",
            Dimension::MagnitudeRate => "a rate of magnitude",
            Dimension::Opaque => "a unit of its own",
        }
    }
}

/// A unit: its spelling, what it measures, and its size in the base unit of that dimension
/// (s, deg, m, Hz, mag, samples, bytes, deg/s, m/s, mag/s).
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// As written.
    pub name: String,
    /// What it measures.
    pub dimension: Dimension,
    /// How many base units one of it is.
    pub factor: f64,
}

/// The units of the language, with dimension and size in base units, in the order SHOW UNITS lists them.
pub const UNITS: &[(&str, Dimension, f64)] = &[
    ("ns", Dimension::Duration, 1e-9),
    ("us", Dimension::Duration, 1e-6),
    ("ms", Dimension::Duration, 1e-3),
    ("s", Dimension::Duration, 1.0),
    ("min", Dimension::Duration, 60.0),
    ("h", Dimension::Duration, 3600.0),
    ("d", Dimension::Duration, 86_400.0),
    ("yr", Dimension::Duration, 365.25 * 86_400.0),
    ("mas", Dimension::Angle, 1.0 / 3_600_000.0),
    ("arcsec", Dimension::Angle, 1.0 / 3600.0),
    ("arcmin", Dimension::Angle, 1.0 / 60.0),
    ("deg", Dimension::Angle, 1.0),
    ("rad", Dimension::Angle, 180.0 / std::f64::consts::PI),
    ("mm", Dimension::Length, 1e-3),
    ("cm", Dimension::Length, 1e-2),
    ("m", Dimension::Length, 1.0),
    ("km", Dimension::Length, 1000.0),
    ("mHz", Dimension::Frequency, 1e-3),
    ("Hz", Dimension::Frequency, 1.0),
    ("kHz", Dimension::Frequency, 1000.0),
    ("mmag", Dimension::Magnitude, 1e-3),
    ("mag", Dimension::Magnitude, 1.0),
    ("samples", Dimension::Samples, 1.0),
    ("kB", Dimension::Bytes, 1e3),
    ("MB", Dimension::Bytes, 1e6),
    ("GB", Dimension::Bytes, 1e9),
    ("KiB", Dimension::Bytes, 1024.0),
    ("MiB", Dimension::Bytes, 1_048_576.0),
    ("GiB", Dimension::Bytes, 1_073_741_824.0),
];

/// What a rate may be counted over.
const RATE_TIMES: &[&str] = &["s", "h", "d", "yr"];

/// Spellings of other standards, and what they are here.
const FOREIGN: &[(&str, &str)] = &[
    ("degree", "deg"),
    ("degrees", "deg"),
    ("Degrees", "deg"),
    ("arcsecond", "arcsec"),
    ("arcseconds", "arcsec"),
    ("arcminute", "arcmin"),
    ("milliarcsec", "mas"),
    ("milliarcsecond", "mas"),
    ("marcsec", "mas"),
    ("radian", "rad"),
    ("radians", "rad"),
    ("sec", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("day", "d"),
    ("days", "d"),
    ("a", "yr"),
    ("year", "yr"),
    ("years", "yr"),
    ("jyear", "yr"),
    ("hour", "h"),
    ("hr", "h"),
    ("hours", "h"),
    ("hrs", "h"),
    ("minute", "min"),
    ("minutes", "min"),
    ("mins", "min"),
    ("secs", "s"),
    ("milliseconds", "ms"),
    ("microseconds", "us"),
    ("kilometer", "km"),
    ("kilometers", "km"),
    ("kilometre", "km"),
    ("kilometres", "km"),
    ("meters", "m"),
    ("metres", "m"),
    ("hertz", "Hz"),
    ("arcminutes", "arcmin"),
    ("amin", "arcmin"),
    ("asec", "arcsec"),
    ("meter", "m"),
    ("metre", "m"),
];

impl Unit {
    /// A unit of the language, exactly as spelled there (`arcsec`, `mas/yr`, `km/s`). Case-sensitive.
    pub fn find(name: &str) -> Option<Unit> {
        let (base, time) = match name.split_once('/') {
            Some((base, time)) => (base, Some(time)),
            None => (name, None),
        };
        let &(_, dimension, factor) = UNITS.iter().find(|u| u.0 == base)?;
        let Some(time) = time else {
            return Some(Unit { name: name.to_owned(), dimension, factor });
        };
        if !RATE_TIMES.contains(&time) {
            return None;
        }
        let &(_, _, seconds) = UNITS.iter().find(|u| u.0 == time)?;
        let dimension = match dimension {
            Dimension::Angle => Dimension::AngularRate,
            Dimension::Length => Dimension::Speed,
            Dimension::Magnitude => Dimension::MagnitudeRate,
            _ => return None,
        };
        Some(Unit { name: name.to_owned(), dimension, factor: factor / seconds })
    }

    /// The unit of an imported column, in VOUnit, FITS or CDS spelling (`mas.yr**-1`, `mas yr-1`, `'mas/year'`).
    /// What is not known is kept verbatim as [`Dimension::Opaque`].
    pub fn imported(text: &str) -> Unit {
        let verbatim = text.trim();
        let compact = verbatim.trim_matches('\'').replace("**", "").replace('^', "");
        let (base, time) = match compact.split_once('/') {
            Some((base, time)) => (base.trim(), Some(time.trim())),
            None => match compact.strip_suffix("-1").and_then(|c| c.rsplit_once(['.', ' ', '*'])) {
                Some((base, time)) => (base.trim(), Some(time.trim())),
                None => (compact.trim(), None),
            },
        };
        let spelling = |s: &str| FOREIGN.iter().find(|f| f.0 == s).map_or(s.to_owned(), |f| f.1.to_owned());
        let name = match time {
            Some(time) => format!("{}/{}", spelling(base), spelling(time)),
            None => spelling(base),
        };
        Unit::find(&name).unwrap_or(Unit {
            name: verbatim.to_owned(),
            dimension: Dimension::Opaque,
            factor: 1.0,
        })
    }

    /// `value` of this unit in `target`; `None` when they measure different things.
    pub fn convert(&self, value: f64, target: &Unit) -> Option<f64> {
        if self.dimension != target.dimension
            || (self.dimension == Dimension::Opaque && self.name != target.name)
        {
            return None;
        }
        if self.factor == target.factor {
            return Some(value);
        }
        // One division where the ratio is a whole number keeps 3 arcsec / 3600 and 1500 ms / 1000 exact.
        let inverse = target.factor / self.factor;
        if inverse >= 1.0 && (inverse - inverse.round()).abs() < 1e-9 * inverse {
            return Some(value / inverse.round());
        }
        let ratio = self.factor / target.factor;
        if ratio >= 1.0 && (ratio - ratio.round()).abs() < 1e-9 * ratio {
            return Some(value * ratio.round());
        }
        Some(value * ratio)
    }

    /// `value` in the base unit of the dimension (s, deg, m, Hz, mag, samples, or a rate of these a second).
    pub fn to_base(&self, value: f64) -> f64 {
        let inverse = 1.0 / self.factor;
        if inverse > 1.0 && (inverse - inverse.round()).abs() < 1e-9 * inverse {
            return value / inverse.round();
        }
        value * self.factor
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_units_convert() {
        let cases = [
            (3.0, "arcsec", "deg", Some(3.0 / 3600.0)),
            (1500.0, "ms", "s", Some(1.5)),
            (8.0, "km", "m", Some(8000.0)),
            (10.0, "mas", "mas", Some(10.0)),
            (1.0, "deg", "arcsec", Some(3600.0)),
            (1.0, "yr", "d", Some(365.25)),
            (1.0, "mas/yr", "arcsec/yr", Some(0.001)),
            (1.0, "km", "arcsec", None),
            (1.0, "mag", "s", None),
        ];
        for (value, from, to, want) in cases {
            let got = Unit::find(from).zip(Unit::find(to)).and_then(|(f, t)| f.convert(value, &t));
            match (got, want) {
                (Some(g), Some(w)) => {
                    assert!((g - w).abs() <= 1e-15 * w.abs(), "{value} {from} in {to}: {g}")
                }
                _ => assert_eq!(got, want, "{value} {from} in {to}"),
            }
        }
        assert_eq!(Unit::find("Arcsec"), None, "case-sensitive");
        assert_eq!(Unit::find("s/yr"), None);
    }

    #[test]
    fn imported_spellings() {
        let cases = [
            ("mas.yr**-1", "mas/yr"),
            ("mas yr-1", "mas/yr"),
            ("mas/year", "mas/yr"),
            ("'degree'", "deg"),
            ("km.s-1", "km/s"),
            ("day", "d"),
        ];
        for (text, want) in cases {
            assert_eq!(Unit::imported(text).name, want, "{text}");
        }
        assert_eq!(Unit::imported("electron/s").dimension, Dimension::Opaque);
        assert_eq!(Unit::imported("electron/s").name, "electron/s");
    }
}
