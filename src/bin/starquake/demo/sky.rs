//! Two catalogues over the whole sky: most rows of the first are a row of the second, displaced by up to an
//! arcsecond; the others have nothing near.

use std::f64::consts::TAU;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array};
use starquake::error::{Error, Result};
use starquake::format::table::{Format, Writer};
use starquake::geometry::separation::separation_arcsec;
use starquake::model::table::{Batch, Column, Schema, Type};

use super::random::Random;
use super::world::create;
use super::{FAULT, SEED};

/// Rows of the first catalogue.
pub(crate) const INFRARED_ROWS: usize = 100_000;
/// The second has so many times as many.
pub(crate) const OPTICAL_EACH: usize = 2;
/// Rows of the second.
#[cfg(test)]
pub(crate) const OPTICAL_ROWS: usize = OPTICAL_EACH * INFRARED_ROWS;
/// So many of ten rows of the first are a row of the second.
const PARTNERS_OF_TEN: usize = 7;
/// Displacements reach this far.
const DISPLACEMENT_ARCSEC: f64 = 1.0;
/// No two rows of the second catalogue are nearer.
const APART_ARCSEC: f64 = 20.0;
/// No row of the second is nearer to a row of the first that has no partner.
const ALONE_ARCSEC: f64 = 10.0;
/// Ids are integers that a float would round.
const FIRST_INFRARED_ID: i64 = 1_152_921_504_606_846_977;
const INFRARED_ID_STEP: i64 = 7_919;
const FIRST_OPTICAL_ID: i64 = 4_611_686_018_427_387_905;
const OPTICAL_ID_STEP: i64 = 104_729;
/// Right ascension and declination where matches like to go wrong: poles and 0 h.
const HARD: [(f64, f64); 6] =
    [(10.0, 89.9999), (200.0, 89.99), (33.0, -89.999_99), (0.000_02, 12.0), (359.999_98, -12.0), (0.0, 0.0)];

/// Degrees.
pub(crate) type Position = (f64, f64);

/// Both catalogues.
#[derive(Clone, Debug)]
pub(crate) struct Sky {
    pub(crate) infrared: Vec<Position>,
    pub(crate) optical: Vec<Position>,
    /// For each row of the first its row of the second.
    pub(crate) partners: Vec<Option<usize>>,
}

/// Id of a row of the first catalogue.
pub(crate) fn infrared_id(row: usize) -> i64 {
    FIRST_INFRARED_ID + INFRARED_ID_STEP * row as i64
}

/// Id of a row of the second.
pub(crate) fn optical_id(row: usize) -> i64 {
    FIRST_OPTICAL_ID + OPTICAL_ID_STEP * row as i64
}

impl Sky {
    /// Always the same.
    pub(crate) fn new() -> Sky {
        Sky::of(INFRARED_ROWS)
    }

    /// With so many rows in the first catalogue, thousands at least.
    pub(crate) fn of(infrared_rows: usize) -> Sky {
        let mut random = Random::new(&[SEED, 10]);
        let optical = scattered(OPTICAL_EACH * infrared_rows, &mut random);
        let near = Near::new(&optical);
        let mut targets: Vec<Option<usize>> = (HARD.len()..optical.len()).map(Some).collect();
        random.shuffle(&mut targets);
        let mut partners: Vec<Option<usize>> = (0..HARD.len()).map(Some).collect();
        partners.extend(targets.into_iter().take(PARTNERS_OF_TEN * infrared_rows / 10 - HARD.len()));
        partners.resize(infrared_rows, None);
        random.shuffle(&mut partners);
        let infrared = partners
            .iter()
            .map(|partner| match partner {
                Some(row) => displaced(optical[*row], &mut random),
                None => alone(&near, &mut random),
            })
            .collect();
        Sky { infrared, optical, partners }
    }

    /// Ids of the rows of the first catalogue without partner.
    pub(crate) fn orphans(&self) -> impl Iterator<Item = i64> {
        let without = self.partners.iter().enumerate().filter(|(_, partner)| partner.is_none());
        without.map(|(row, _)| infrared_id(row))
    }

    /// Writes `infrared.csv` and `optical.parquet`.
    pub(crate) fn write(&self, data: &Path) -> Result<()> {
        let mut random = Random::new(&[SEED, 11]);
        let mut magnitudes = |rows: usize, (bright, faint): (f64, f64)| -> Vec<f64> {
            // Three times as many stars a magnitude fainter.
            let magnitude = |u: f64| faint + u.max(1e-9).log(3.0);
            (0..rows).map(|_| (1e3 * magnitude(random.uniform(0.0, 1.0)).max(bright)).round() / 1e3).collect()
        };
        let (infrared, optical) = (self.infrared.len(), self.optical.len());
        let w1 = magnitudes(infrared, (6.0, 16.5));
        let color = magnitudes(infrared, (-0.2, 0.9));
        let w2 = w1.iter().zip(color).map(|(w1, color)| (1e3 * (w1 - color)).round() / 1e3).collect();
        let g = magnitudes(optical, (8.0, 20.5));
        let ids = (0..infrared).map(infrared_id).collect();
        let table = [("w1", w1), ("w2", w2)];
        write(&data.join("infrared.csv"), Format::Csv, (ids, &self.infrared), table.into())?;
        let ids = (0..optical).map(optical_id).collect();
        write(&data.join("optical.parquet"), Format::Parquet, (ids, &self.optical), vec![("g", g)])
    }
}

/// One catalogue: `source_id`, `ra`, `dec` and magnitudes.
fn write(
    path: &Path,
    format: Format,
    (ids, positions): (Vec<i64>, &[Position]),
    magnitudes: Vec<(&str, Vec<f64>)>,
) -> Result<()> {
    let float = |name: &str, unit: &str| Column::typed(name, Type::Float).with_unit(unit);
    let mut columns = vec![Column::typed("source_id", Type::Int), float("ra", "deg"), float("dec", "deg")];
    let part = |part: fn(&Position) -> f64| -> ArrayRef {
        Arc::new(positions.iter().map(part).collect::<Float64Array>())
    };
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(ids)), part(|p| p.0), part(|p| p.1)];
    for (name, values) in magnitudes {
        columns.push(float(name, "mag"));
        arrays.push(Arc::new(Float64Array::from(values)));
    }
    write_table(path, format, &Schema::new(columns), arrays)
}

/// A table file of one batch.
pub(crate) fn write_table(path: &Path, format: Format, schema: &Schema, arrays: Vec<ArrayRef>) -> Result<()> {
    let batch = Batch::try_new(schema.arrow(), arrays)
        .map_err(|e| Error::refused(format!("cannot make {}: {e}", path.display()), FAULT))?;
    let mut writer = Writer::new(format, path, schema, Box::new(create(path)?))?;
    writer.write(&batch)?;
    writer.finish()
}

/// Evenly on the sphere.
fn anywhere(random: &mut Random) -> Position {
    let (ra, z) = (random.uniform(0.0, 360.0), random.uniform(-1.0, 1.0));
    (ra, z.asin().to_degrees())
}

/// Positions no two of which are close.
fn scattered(rows: usize, random: &mut Random) -> Vec<Position> {
    // About 50 of 200,000 have a neighbour; of n times as many n^2 times as many.
    let spare = rows / 500 + 100 * (rows / 201_000).pow(2);
    let mut positions = HARD.to_vec();
    positions.extend((0..rows + spare).map(|_| anywhere(random)));
    let near = Near::new(&positions);
    let mut kept: Vec<Position> =
        positions.iter().copied().filter(|p| near.count(*p, APART_ARCSEC) == 1).collect();
    kept.truncate(rows);
    kept
}

/// A position with nothing near.
fn alone(near: &Near, random: &mut Random) -> Position {
    loop {
        let position = anywhere(random);
        if near.count(position, ALONE_ARCSEC) == 0 {
            return position;
        }
    }
}

/// Moved by up to [`DISPLACEMENT_ARCSEC`] in any direction, on the sphere.
fn displaced((ra, dec): Position, random: &mut Random) -> Position {
    let length = (DISPLACEMENT_ARCSEC / 3600.0).to_radians() * random.uniform(0.0, 0.999).sqrt();
    let (east, north) = random.uniform(0.0, TAU).sin_cos();
    let ((sin_ra, cos_ra), (sin_dec, cos_dec)) = (ra.to_radians().sin_cos(), dec.to_radians().sin_cos());
    let x = cos_dec * cos_ra - length * (east * sin_ra + north * sin_dec * cos_ra);
    let y = cos_dec * sin_ra + length * (east * cos_ra - north * sin_dec * sin_ra);
    let z = sin_dec + length * north * cos_dec;
    (y.atan2(x).to_degrees().rem_euclid(360.0), z.atan2(x.hypot(y)).to_degrees())
}

/// Positions in order of declination.
struct Near(Vec<Position>);

impl Near {
    fn new(positions: &[Position]) -> Near {
        let mut sorted = positions.to_vec();
        sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
        Near(sorted)
    }

    /// How many lie within a radius, by the exact separation to all in the strip of declination.
    fn count(&self, position: Position, radius_arcsec: f64) -> usize {
        let strip_deg = 1.001 * radius_arcsec / 3600.0;
        let first = self.0.partition_point(|p| p.1 < position.1 - strip_deg);
        let strip = self.0[first..].iter().take_while(|p| p.1 <= position.1 + strip_deg);
        strip.filter(|p| separation_arcsec(position, **p) <= radius_arcsec).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_are_near_and_nothing_else_is() {
        let sky = Sky::new();
        assert_eq!((sky.infrared.len(), sky.optical.len()), (INFRARED_ROWS, OPTICAL_ROWS));
        assert_eq!(sky.partners.iter().flatten().count(), 70_000);
        let near = Near::new(&sky.optical);
        for (position, partner) in sky.infrared.iter().zip(&sky.partners) {
            let counts = (near.count(*position, DISPLACEMENT_ARCSEC), near.count(*position, ALONE_ARCSEC));
            let want = usize::from(partner.is_some());
            assert_eq!(counts, (want, want), "{position:?}");
        }
        for (row, partner) in sky.partners.iter().enumerate().filter_map(|(r, p)| Some((r, (*p)?))) {
            let separation = separation_arcsec(sky.infrared[row], sky.optical[partner]);
            assert!(separation <= DISPLACEMENT_ARCSEC, "{row}: {separation}");
        }
        assert!(sky.optical.starts_with(&HARD));
    }

    #[test]
    fn the_sky_is_the_same_every_time() {
        let hash = |s: &Sky| xxhash_rust::xxh3::xxh3_64(format!("{s:?}").as_bytes());
        assert_eq!(hash(&Sky::new()), hash(&Sky::new()));
    }
}
