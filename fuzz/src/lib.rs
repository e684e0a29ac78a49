//! Fuzz targets of Starquake: one plain function per parser, inputs made by our own writers to start from, and a
//! mutator that needs no libFuzzer.

pub mod mutate;
pub mod seeds;
pub mod targets;

/// A target by name.
pub type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// Name, function and first inputs of every target.
pub const TARGETS: &[Target] = &[
    ("mseed", targets::mseed, seeds::mseed),
    ("sac", targets::sac, seeds::sac),
    ("steim", targets::steim, seeds::steim),
    ("quakeml", targets::quakeml, seeds::quakeml),
    ("stationxml", targets::stationxml, seeds::stationxml),
    ("hypodd_phase", targets::hypodd_phase, seeds::hypodd_phase),
    ("hypodd_station", targets::hypodd_station, seeds::hypodd_station),
    ("csv", targets::csv, seeds::csv),
    ("parquet", targets::parquet, seeds::parquet),
    ("query", targets::query, seeds::query),
    ("segment", targets::segment, seeds::segment),
];

/// The target of that name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|t| t.0 == name)
}
