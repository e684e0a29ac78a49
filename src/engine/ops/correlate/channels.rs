//! Which channels of a station are compared.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::engine::ops::pair::Pick;
use crate::engine::ops::window::Stretch;
use crate::error::{Error, Result};
use crate::model::station::ChannelCode;

/// ON: components and their weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Components(Vec<(char, f64)>);

impl Components {
    /// `Z`, `NE` (1 each), `Z:1,N:0.5`.
    ///
    /// # Errors
    /// A weight that is not a positive number, a component twice.
    pub fn parse(text: &str) -> Result<Components> {
        let bad = |what: String| Err(Error::refused(what, "ON 'Z', ON 'NE', or ON 'Z:1,N:0.5'"));
        let mut list: Vec<(char, f64)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (names, weight) = match part.split_once(':') {
                Some((names, weight)) => (names.trim(), weight.trim().parse::<f64>().ok()),
                None => (part, Some(1.0)),
            };
            let Some(weight) = weight.filter(|w| *w > 0.0 && w.is_finite()) else {
                return bad(format!("`{part}`: a weight is a number above 0"));
            };
            for name in names.chars() {
                if list.iter().any(|c| c.0 == name) {
                    return bad(format!("component `{name}` is named twice"));
                }
                if !name.is_ascii_alphanumeric() {
                    return bad(format!("`{name}` is not a component"));
                }
                list.push((name, weight));
            }
        }
        if list.is_empty() { bad("no component is named".to_owned()) } else { Ok(Components(list)) }
    }

    /// Nothing named?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Component and weight, in the order named.
    pub fn iter(&self) -> impl Iterator<Item = (char, f64)> + '_ {
        self.0.iter().copied()
    }
}

/// EQUIVALENT: components that count as others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Equivalent(BTreeMap<char, char>);

impl Equivalent {
    /// `1=N,2=E`.
    ///
    /// # Errors
    /// A part that is not `x=y`.
    pub fn parse(text: &str) -> Result<Equivalent> {
        let mut map = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let letters: Vec<char> = part.chars().filter(|c| !c.is_whitespace()).collect();
            match letters.as_slice() {
                [from, '=', to] => map.insert(*from, *to),
                _ => return Err(Error::refused(format!("`{part}` is not `x=y`"), "EQUIVALENT '1=N,2=E'")),
            };
        }
        Ok(Equivalent(map))
    }

    fn of(&self, component: char) -> char {
        self.0.get(&component).copied().unwrap_or(component)
    }
}

/// A sensor: location and the channel code without its component.
type Sensor<'a> = (&'a str, &'a str);

fn sensor(code: &ChannelCode) -> Sensor<'_> {
    let end = code.channel.char_indices().next_back().map_or(0, |c| c.0);
    (&code.location, &code.channel[..end])
}

/// Stretches of one station near one pick, by channel.
#[derive(Clone, Debug, Default)]
pub struct Available {
    /// Those of one channel in the order of preference.
    pub channels: BTreeMap<ChannelCode, Vec<Stretch>>,
}

impl Available {
    /// From what the index found.
    pub fn new(found: Vec<Stretch>) -> Available {
        let mut channels: BTreeMap<ChannelCode, Vec<Stretch>> = BTreeMap::new();
        for stretch in found {
            channels.entry(stretch.code.clone()).or_default().push(stretch);
        }
        Available { channels }
    }

    /// Highest rate of a sensor.
    fn rate_hz(&self, wanted: Sensor<'_>) -> f64 {
        let of_sensor = self.channels.iter().filter(|(code, _)| sensor(code) == wanted);
        of_sensor.flat_map(|(_, s)| s).map(|s| s.sampling_rate_hz).fold(0.0, f64::max)
    }

    /// The channel of a sensor that is this component by its own name, else by EQUIVALENT.
    fn channel(&self, wanted: Sensor<'_>, component: char, same: &Equivalent) -> Option<&ChannelCode> {
        let named = |exact: bool| {
            self.channels.keys().find(|code| {
                let own = code.component();
                let own = if exact { own } else { own.map(|c| same.of(c)) };
                sensor(code) == wanted && own == Some(component)
            })
        };
        named(true).or_else(|| named(false))
    }
}

/// A channel to compare: weight, code at event 1, code at event 2.
pub type Channel = (f64, ChannelCode, ChannelCode);

/// The channels of a pair: of the pick's own sensor if both events have it, else of the one with the highest rate,
/// then the first location in the order blank, 00, 10 and so on. Empty if there is none both have.
pub fn choose(
    (first, second): (&Available, &Available),
    (pick1, pick2): (&Pick, &Pick),
    wanted: &Components,
    same: &Equivalent,
) -> Vec<Channel> {
    let common = |s: Sensor<'_>| -> Vec<Channel> {
        let both = wanted.iter().filter_map(|(component, weight)| {
            let (a, b) = (first.channel(s, component, same)?, second.channel(s, component, same)?);
            Some((weight, a.clone(), b.clone()))
        });
        both.collect()
    };
    let mut sensors: Vec<Sensor<'_>> = first.channels.keys().map(sensor).collect();
    sensors.sort_unstable();
    sensors.dedup();
    let own = |pick: &Pick, s: &Sensor<'_>| {
        let band = pick.channel.as_deref().map(|c| c.get(..2).unwrap_or(c));
        band == Some(s.1) && pick.location.as_deref().is_none_or(|l| l == s.0)
    };
    let rank = |s: &Sensor<'_>| {
        let rate = first.rate_hz(*s).min(second.rate_hz(*s));
        (!own(pick1, s), !own(pick2, s), Reverse((rate * 1e3).round() as u64), s.0.to_owned(), s.1.to_owned())
    };
    sensors.sort_by_cached_key(rank);
    sensors.into_iter().map(common).find(|c| !c.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Time;
    use std::path::Path;
    use std::sync::Arc;

    fn available(channels: &[(&str, &str, f64)]) -> Available {
        let stretch = |&(location, channel, rate): &(&str, &str, f64)| Stretch {
            code: ChannelCode::new("XX", "A", location, channel),
            start: Time(0),
            end: Time(1),
            npts: 1,
            sampling_rate_hz: rate,
            path: Arc::from(Path::new("f")),
            row: 0,
        };
        Available::new(channels.iter().map(stretch).collect())
    }

    fn pick(location: Option<&str>, channel: Option<&str>) -> Pick {
        Pick {
            pick_id: String::new(),
            network: None,
            station: Arc::from("A"),
            location: location.map(Arc::from),
            channel: channel.map(Arc::from),
            phase: crate::engine::ops::pair::Phase::parse("P"),
            time: Time(0),
            weight: 1.0,
            mode: 1,
        }
    }

    #[test]
    fn channel_choice() {
        type Has<'a> = &'a [(&'a str, &'a str, f64)];
        let hh_eh: Has<'_> = &[("", "HHZ", 100.0), ("", "EHZ", 200.0), ("00", "HHZ", 100.0)];
        let one_two: Has<'_> = &[("", "HHZ", 100.0), ("", "HH1", 100.0), ("", "HH2", 100.0)];
        // at event 1, at event 2, channel of the pick, components, chosen
        let cases: [(Has<'_>, Has<'_>, Option<&str>, &str, &str); 8] = [
            (hh_eh, hh_eh, None, "Z", ".EHZ"),
            (hh_eh, hh_eh, Some("HHZ"), "Z", ".HHZ"),
            (hh_eh, &[("", "HHZ", 100.0), ("00", "HHZ", 100.0)], None, "Z", ".HHZ"),
            (hh_eh, &[("00", "HHZ", 100.0)], Some("EHZ"), "Z", "00.HHZ"),
            (hh_eh, &[("10", "HHZ", 100.0)], None, "Z", ""),
            (hh_eh, &[("", "BHZ", 20.0)], None, "Z", ""),
            (one_two, one_two, None, "NE", ".HH1 .HH2"),
            (one_two, one_two, None, "Z1", ".HHZ .HH1"),
        ];
        let same = Equivalent::parse("1=N, 2=E").expect("two parts");
        for (a, b, channel, wanted, want) in cases {
            let (a, b) = (available(a), available(b));
            let p = pick(None, channel);
            let got = choose((&a, &b), (&p, &p), &Components::parse(wanted).expect("components"), &same);
            let names: Vec<String> =
                got.iter().map(|c| format!("{}.{}", c.1.location, c.1.channel)).collect();
            assert_eq!(names.join(" "), want, "{channel:?} {wanted}");
        }
        let (a, p) = (available(hh_eh), pick(Some("00"), Some("HHZ")));
        let got = choose((&a, &a), (&p, &p), &Components::parse("Z").expect("one"), &Equivalent::default());
        assert_eq!(got[0].1.location, "00");
    }

    #[test]
    fn components_are_parsed() {
        let list = |text: &str| Components::parse(text).map(|c| c.0).map_err(|_| ());
        assert_eq!(list("NE"), Ok(vec![('N', 1.0), ('E', 1.0)]));
        assert_eq!(list("Z:1, N:0.5"), Ok(vec![('Z', 1.0), ('N', 0.5)]));
        for bad in ["", "Z:0", "Z:x", "ZZ", "Z:-1", "Z:inf", "*"] {
            assert_eq!(list(bad), Err(()), "{bad}");
        }
        assert!(Equivalent::parse("1N").is_err());
    }
}
