//! Light curves of 1,000 sources in two bands: most constant, some fading, some scattering.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array};
use starquake::error::Result;
use starquake::format::table::Format;
use starquake::model::table::{Column, Schema, Type};

use super::SEED;
use super::random::Random;
use super::sky::write_table;

/// Sources with epochs.
pub(crate) const SOURCES: usize = 1_000;
const FADING: usize = 50;
const SCATTERING: usize = 30;
/// First day (MJD), and length in days, of the survey.
const SURVEY_D: (f64, f64) = (55_200.0, 3_650.0);
/// Standard deviation of what scatters.
const SCATTER_MAG: f64 = 0.3;
/// Columns.
const NAMES: [(&str, &str); 5] =
    [("mjd", "d"), ("w1", "mag"), ("w1_err", "mag"), ("w2", "mag"), ("w2_err", "mag")];

/// The light curves, and which sources do what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Epochs {
    ids: Vec<i64>,
    /// As in [`NAMES`].
    values: [Vec<f64>; 5],
    pub(crate) fading: BTreeSet<i64>,
    pub(crate) scattering: BTreeSet<i64>,
}

/// What a source does: mag/yr in each band, and mag of scatter.
struct Behaviour {
    slopes: [f64; 2],
    scatter: f64,
}

impl Epochs {
    /// Of the sources with these ids, always the same.
    pub(crate) fn new(sources: &[i64]) -> Epochs {
        let mut random = Random::new(&[SEED, 20]);
        let mut order: Vec<usize> = (0..sources.len()).collect();
        random.shuffle(&mut order);
        let mut epochs = Epochs::default();
        for (source, rank) in sources.iter().zip(order) {
            let mut behaviour = Behaviour { slopes: [0.0; 2], scatter: 0.0 };
            if rank < FADING {
                behaviour.slopes = std::array::from_fn(|_| random.uniform(0.04, 0.12));
                epochs.fading.insert(*source);
            } else if rank < FADING + SCATTERING {
                behaviour.scatter = SCATTER_MAG;
                epochs.scattering.insert(*source);
            }
            epochs.add(*source, &behaviour, &mut random);
        }
        epochs
    }

    /// Rows.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Some 60 epochs of one source, on days in no order.
    fn add(&mut self, source: i64, behaviour: &Behaviour, random: &mut Random) {
        let count = 50 + random.below(21);
        let means = [random.uniform(11.0, 15.0), random.uniform(10.5, 14.5)];
        for _ in 0..count {
            let day = random.uniform(0.0, SURVEY_D.1);
            self.ids.push(source);
            self.values[0].push(SURVEY_D.0 + (1e6 * day).round() / 1e6);
            for (band, (mean, slope)) in means.iter().zip(behaviour.slopes).enumerate() {
                let error = (1e4 * random.uniform(0.02, 0.04)).round() / 1e4;
                let noise = error.hypot(behaviour.scatter) * random.normal();
                let value = mean + slope * day / 365.25 + noise;
                self.values[1 + 2 * band].push((1e4 * value).round() / 1e4);
                self.values[2 + 2 * band].push(error);
            }
        }
    }

    /// Writes `epochs.parquet`.
    pub(crate) fn write(self, data: &Path) -> Result<()> {
        let mut columns = vec![Column::typed("source_id", Type::Int)];
        columns.extend(NAMES.iter().map(|(name, unit)| Column::typed(*name, Type::Float).with_unit(unit)));
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(self.ids))];
        arrays.extend(self.values.into_iter().map(|v| Arc::new(Float64Array::from(v)) as ArrayRef));
        write_table(&data.join("epochs.parquet"), Format::Parquet, &Schema::new(columns), arrays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_planted_is_there_every_time() {
        let sources: Vec<i64> = (0..SOURCES as i64).collect();
        let epochs = Epochs::new(&sources);
        assert_eq!((epochs.fading.len(), epochs.scattering.len()), (FADING, SCATTERING));
        assert!(epochs.fading.is_disjoint(&epochs.scattering));
        assert!(epochs.ids.len() > 55 * SOURCES && epochs.ids.len() < 65 * SOURCES);
        assert!(epochs.values.iter().all(|v| v.len() == epochs.ids.len()));
        assert_eq!(format!("{epochs:?}"), format!("{:?}", Epochs::new(&sources)));
    }
}
