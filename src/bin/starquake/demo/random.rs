//! Numbers that look random and are the same on every machine: xoshiro256++ (Blackman and Vigna 2021,
//! doi:10.1145/3460772), seeded by splitmix64.

use std::f64::consts::TAU;

/// A stream of numbers; equal seeds give equal streams.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: [u64; 4],
    /// The second of a pair of normal deviates.
    spare: Option<f64>,
}

impl Random {
    /// A stream of its own for each list of numbers: `&[SEED, station, component]`.
    pub(crate) fn new(seeds: &[u64]) -> Random {
        let mut mixed = seeds.iter().fold(0, |mixed, seed| splitmix(&mut (mixed ^ seed)));
        Random { state: std::array::from_fn(|_| splitmix(&mut mixed)), spare: None }
    }

    /// 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let bits = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        bits
    }

    /// Evenly in `from .. to`.
    pub(crate) fn uniform(&mut self, from: f64, to: f64) -> f64 {
        let unit = (self.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        from + (to - from) * unit
    }

    /// A whole number below `count`, which is far below 2^53.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.uniform(0.0, count as f64) as usize
    }

    /// Normal, mean 0, standard deviation 1 (Box and Muller 1958, doi:10.1214/aoms/1177706645).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.uniform(0.0, 1.0)).ln()).sqrt();
        let (sine, cosine) = self.uniform(0.0, TAU).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }

    /// A random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The next number of a counter's stream (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195).
fn splitmix(counter: &mut u64) -> u64 {
    *counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *counter;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_is_the_published_one() {
        let mut counter = 1_234_567;
        let got: Vec<u64> = (0..3).map(|_| splitmix(&mut counter)).collect();
        assert_eq!(got, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn xoshiro_is_the_published_one() {
        let mut random = Random { state: [1, 2, 3, 4], spare: None };
        let got: Vec<u64> = (0..4).map(|_| random.bits()).collect();
        assert_eq!(got, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn normal_deviates_have_mean_0_and_deviation_1() {
        let mut random = Random::new(&[7, 1]);
        let values: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..100).collect();
        Random::new(&[3]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
