//! Statistics of light curves, one per file: formula, source, unit, fewest epochs, code, a test worked by hand. Pure
//! functions of a prepared [`Sample`]; `None` is NULL (too few epochs, no errors, 0/0). The tables [`STATS`] and
//! [`PAIR_STATS`] name them: the language checks `STATS (...)` against these, VARIABILITY and the aggregates run them.

pub mod pairs;
pub mod sample;
pub mod special;
pub mod sums;

pub mod amplitude;
pub mod chi2;
pub mod eta;
pub mod eta_e;
pub mod excess_variance;
pub mod iqr;
pub mod kurtosis;
pub mod mad;
pub mod mean;
pub mod median;
pub mod rms;
pub mod roms;
pub mod skew;
pub mod slope;
pub mod stetson_j;
pub mod stetson_k;
pub mod stetson_l;
pub mod weighted_mean;
pub mod weighted_slope;
pub mod welch_stetson;

#[cfg(test)]
mod tests;

pub use pairs::Pairs;
pub use sample::Sample;

/// How the unit of a statistic follows from the unit of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatUnit {
    /// The same unit.
    Value,
    /// Its square.
    Squared,
    /// The unit per year of 365.25 days.
    PerYear,
    /// A plain number.
    One,
}

/// A statistic of the epochs of one band.
#[derive(Debug)]
pub struct Stat {
    /// Its name in `STATS (...)` and, after the band's name, of its column.
    pub name: &'static str,
    /// It reads the errors: a band without an error column does not have it.
    pub needs_error: bool,
    /// With fewer valid epochs it is NULL.
    pub min_epochs: usize,
    /// Its unit.
    pub unit: StatUnit,
    /// One line for SHOW and DESCRIBE.
    pub description: &'static str,
    /// The statistic itself.
    pub compute: fn(&Sample) -> Option<f64>,
}

impl Stat {
    /// The statistic, NULL with fewer epochs than it needs.
    pub fn of(&self, sample: &Sample) -> Option<f64> {
        if sample.len() < self.min_epochs { None } else { (self.compute)(sample) }
    }
}

/// A statistic of the paired epochs of two bands, both with errors; without unit.
#[derive(Debug)]
pub struct PairStat {
    /// Its name in `STATS (...)` and, after the names of both bands, of its column.
    pub name: &'static str,
    /// With fewer pairs it is NULL.
    pub min_pairs: usize,
    /// One line for SHOW and DESCRIBE.
    pub description: &'static str,
    /// The statistic itself.
    pub compute: fn(&Pairs<'_>) -> Option<f64>,
}

impl PairStat {
    /// The statistic, NULL with fewer pairs than it needs.
    pub fn of(&self, pairs: &Pairs<'_>) -> Option<f64> {
        if pairs.links.len() < self.min_pairs { None } else { (self.compute)(pairs) }
    }
}

/// What every source has, whichever statistics are asked for; `STATS (...)` may name them.
pub const SOURCE_COLUMNS: [&str; 4] = ["n", "t_first", "t_last", "baseline"];

const fn stat(
    name: &'static str,
    (needs_error, min_epochs, unit): (bool, usize, StatUnit),
    compute: fn(&Sample) -> Option<f64>,
    description: &'static str,
) -> Stat {
    Stat { name, needs_error, min_epochs, unit, description, compute }
}

/// The statistics of one band, in the order of their columns.
pub static STATS: &[Stat] = &[
    stat("mean", (false, 1, StatUnit::Value), mean::mean, "mean"),
    stat("wmean", (true, 1, StatUnit::Value), weighted_mean::weighted_mean, "inverse-variance weighted mean"),
    stat(
        "wmean_error",
        (true, 1, StatUnit::Value),
        weighted_mean::weighted_mean_error,
        "error of the weighted mean from the stated errors",
    ),
    stat("rms", (false, 2, StatUnit::Value), rms::rms, "standard deviation, divisor N - 1"),
    stat("chi2", (true, 2, StatUnit::One), chi2::reduced_chi2, "reduced chi-square of a constant source"),
    stat("chi2_p", (true, 2, StatUnit::One), chi2::chi2_p, "probability of a chi-square at least as large"),
    stat("slope", (false, 3, StatUnit::PerYear), slope::slope, "least-squares slope per 365.25 d"),
    stat(
        "slope_error",
        (false, 3, StatUnit::PerYear),
        slope::slope_error,
        "error of the slope from the scatter",
    ),
    stat("slope_r2", (false, 3, StatUnit::One), slope::slope_r2, "share of the variance the line explains"),
    stat("slope_p", (false, 3, StatUnit::One), slope::slope_p, "two-sided Student p of a slope of zero"),
    stat("eta", (false, 2, StatUnit::One), eta::eta, "von Neumann ratio"),
    stat("stetson_j", (true, 2, StatUnit::One), stetson_j::stetson_j, "Stetson J of single epochs"),
    stat("stetson_k", (true, 2, StatUnit::One), stetson_k::stetson_k, "Stetson K, a robust kurtosis"),
    stat(
        "stetson_l",
        (true, 2, StatUnit::One),
        stetson_l::stetson_l,
        "Stetson L = J K / 0.798 of single epochs",
    ),
    stat("amplitude", (false, 1, StatUnit::Value), amplitude::amplitude, "half of the range"),
    stat("mad", (false, 1, StatUnit::Value), mad::mad, "median absolute deviation, unscaled"),
    stat("iqr", (false, 2, StatUnit::Value), iqr::iqr, "interquartile range"),
    stat("median", (false, 1, StatUnit::Value), median::median, "median"),
    stat("roms", (true, 2, StatUnit::One), roms::roms, "robust median statistic"),
    stat(
        "excess_variance",
        (true, 2, StatUnit::Squared),
        excess_variance::excess_variance,
        "variance beyond the stated errors",
    ),
    stat(
        "excess_variance_norm",
        (true, 2, StatUnit::One),
        excess_variance::excess_variance_norm,
        "variance beyond the stated errors over the squared mean (for fluxes)",
    ),
    stat(
        "wslope",
        (true, 2, StatUnit::PerYear),
        weighted_slope::weighted_slope,
        "weighted slope per 365.25 d",
    ),
    stat(
        "wslope_error",
        (true, 2, StatUnit::PerYear),
        weighted_slope::weighted_slope_error,
        "error of the weighted slope from the stated errors",
    ),
    stat("eta_e", (false, 2, StatUnit::One), eta_e::eta_e, "von Neumann ratio for uneven sampling"),
    stat("skew", (false, 3, StatUnit::One), skew::skew, "skewness G1"),
    stat("kurtosis", (false, 4, StatUnit::One), kurtosis::kurtosis, "excess kurtosis G2"),
];

const fn pair_stat(
    name: &'static str,
    min_pairs: usize,
    compute: fn(&Pairs<'_>) -> Option<f64>,
    description: &'static str,
) -> PairStat {
    PairStat { name, min_pairs, description, compute }
}

/// The statistics of two bands, in the order of their columns.
pub static PAIR_STATS: &[PairStat] = &[
    pair_stat("stetson_j", 1, stetson_j::stetson_j_pairs, "Stetson J of the pairs"),
    pair_stat("stetson_l", 1, stetson_l::stetson_l_pairs, "Stetson L of the pairs, K over both bands"),
    pair_stat("welch_stetson_i", 2, welch_stetson::welch_stetson_i, "Welch and Stetson's I"),
];

/// The statistic of that name (lower case) in one band.
pub fn find(name: &str) -> Option<&'static Stat> {
    STATS.iter().find(|s| s.name == name)
}

/// Every name that `STATS (...)` may hold, each once.
pub fn names() -> impl Iterator<Item = &'static str> {
    let pairs_only = PAIR_STATS.iter().map(|s| s.name).filter(|name| find(name).is_none());
    SOURCE_COLUMNS.into_iter().chain(STATS.iter().map(|s| s.name)).chain(pairs_only)
}
