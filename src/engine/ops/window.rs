//! Windows of waveforms around picks: the one place where samples are touched.
//!
//! A window is found, read and conditioned once. The time of a sample is counted from the start of the record that
//! holds it, and the window is anchored on the record that holds the pick: `remainder_s` is what is left between
//! the pick and the nearest sample, and nothing after this module rounds a time again.

mod assemble;
mod choose;
mod prepare;

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::model::station::ChannelCode;
use crate::model::time::Time;
use crate::signal::filter::Band;

pub use prepare::{Noise, Request, prepare};

/// Rates that differ by less than this are one rate.
pub const RATE_TOLERANCE: f64 = 1e-4;
/// Samples kept beyond the largest lag on either side, so that a peak at any lag can be interpolated.
pub const GUARD_SAMPLES: usize = 18;
/// Slack in samples when the ends of a window are counted.
pub const SAMPLE_SLACK: f64 = 1e-6;

/// Part of a channel in a file, as the index knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// Channel.
    pub code: ChannelCode,
    /// First sample.
    pub start: Time,
    /// One sample interval after the last sample.
    pub end: Time,
    /// Samples.
    pub npts: u64,
    /// Samples per second.
    pub sampling_rate_hz: f64,
    /// The file.
    pub path: Arc<Path>,
    /// Where it is in the index; opaque here.
    pub row: u64,
}

/// The samples of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Of the first sample, exactly as its record says.
    pub start: Time,
    /// As its record says.
    pub sampling_rate_hz: f64,
    /// Decoded, in counts or whatever the file holds.
    pub samples: Vec<f64>,
}

/// Where waveforms come from.
pub trait Waveforms: Sync {
    /// The stored stretches of a station that have a sample in the closed span, of every channel; of one network,
    /// or of any. Where copies exist the one to prefer comes first.
    fn find(&self, network: Option<&str>, station: &str, span: (Time, Time)) -> Result<Vec<Stretch>>;

    /// The records of a stretch that have a sample in the closed span, whole, in the order of the file.
    fn read(&self, stretch: &Stretch, span: (Time, Time)) -> Result<Vec<Piece>>;

    /// The networks that have a station of that code.
    fn networks(&self, station: &str) -> Result<Vec<String>>;
}

/// Why a pair has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The index has no waveform of that station at that time.
    NoData,
    /// The two events have no channel in common that was asked for.
    NoChannel,
    /// Samples are missing inside the window.
    Gap,
    /// Two copies inside the window differ.
    Overlap,
    /// All samples are equal, or the filter leaves nothing.
    Constant,
    /// A sample is not a number, or infinite.
    NotFinite,
    /// The sampling rate changes inside the window.
    RateChange,
    /// Less than 0.6 of the samples asked for, or less than 8, are left after S-P shortening.
    Short,
    /// The clock jumps by more than half a sample inside the window.
    TimeTear,
    /// Less than a quarter of the pad is there.
    ShortPad,
    /// A corner of the filter is not below 0.9 of the Nyquist frequency.
    Corner,
    /// The samples of a record cannot be decoded.
    Unreadable,
    /// The file went, is shorter or holds something else now, and there is no other copy.
    Unreachable,
    /// The largest value lies at the last lag.
    Edge,
    /// The sampling rates of the components that are stacked differ.
    Rates,
    /// The coefficient is below MINCC.
    BelowMinCc,
    /// The signal to noise ratio of one of the two is below MINSNR, or there is no noise to compare with.
    BelowMinSnr,
}

impl Reason {
    /// As the table of refusals has it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::NoData => "no_data",
            Reason::NoChannel => "no_channel",
            Reason::Gap => "gap",
            Reason::Overlap => "overlap",
            Reason::Constant => "constant",
            Reason::NotFinite => "not_finite",
            Reason::RateChange => "rate_change",
            Reason::Short => "short",
            Reason::TimeTear => "time_tear",
            Reason::ShortPad => "short_pad",
            Reason::Corner => "corner",
            Reason::Unreadable => "unreadable",
            Reason::Unreachable => "unreachable",
            Reason::Edge => "edge",
            Reason::Rates => "rates",
            Reason::BelowMinCc => "below_mincc",
            Reason::BelowMinSnr => "below_minsnr",
        }
    }
}

/// Remarks on a window or a row, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// ABS took a negative peak.
    pub const INVERTED: Flags = Flags(1);
    /// The raw samples stay at an extreme.
    pub const CLIPPED: Flags = Flags(2);
    /// The pad is not complete.
    pub const SHORT_PAD: Flags = Flags(4);
    /// A time step of more than 0.25 sample.
    pub const TIME_STEP: Flags = Flags(8);
    /// A second peak is nearly as high and one cycle away.
    pub const CYCLE_SKIP: Flags = Flags(16);
    /// Copies of the samples differ in time; the preferred one was taken.
    pub const COPIES_DIFFER: Flags = Flags(32);

    /// Both.
    #[must_use]
    pub fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// `other` if the condition holds, else nothing.
    #[must_use]
    pub fn when(condition: bool, other: Flags) -> Flags {
        if condition { other } else { Flags::default() }
    }

    /// Are all of these set?
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Names, comma-separated; empty if none is set.
    pub fn names(self) -> String {
        const NAMES: [(Flags, &str); 6] = [
            (Flags::INVERTED, "inverted"),
            (Flags::CLIPPED, "clipped"),
            (Flags::SHORT_PAD, "short_pad"),
            (Flags::TIME_STEP, "time_step"),
            (Flags::CYCLE_SKIP, "cycle_skip"),
            (Flags::COPIES_DIFFER, "copies_differ"),
        ];
        let set: Vec<&str> = NAMES.iter().filter(|n| self.has(n.0)).map(|n| n.1).collect();
        set.join(",")
    }
}

/// FILTER lo..hi [ORDER n] [CAUSAL | ZEROPHASE].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filter {
    /// What passes.
    pub band: Band,
    /// Order of the prototype.
    pub order: usize,
    /// Forwards and backwards.
    pub zero_phase: bool,
}

impl Filter {
    /// A band-pass with the defaults: order 4, zero phase.
    pub fn pass(low_hz: f64, high_hz: f64) -> Filter {
        Filter { band: Band::Pass(low_hz, high_hz), order: 4, zero_phase: true }
    }
}

/// How a window is conditioned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditioning {
    /// FILTER.
    pub filter: Option<Filter>,
    /// TAPER: the part of the pad, from its outer end, over which the cosine rises (1 = all of it).
    pub taper: f64,
}

impl Conditioning {
    /// Seconds read beyond the window on either side: 1 s, or 4 periods of the low corner.
    pub fn pad_s(&self) -> f64 {
        let corner = self.filter.and_then(|f| f.band.low_corner_hz().or(f.band.high_corner_hz()));
        corner.filter(|c| *c > 0.0).map_or(1.0, |c| (4.0 / c).max(1.0))
    }
}

/// A conditioned window, with lag and guard on both sides.
#[derive(Clone, Debug)]
pub struct Window {
    /// Samples per second.
    pub sampling_rate_hz: f64,
    /// Number of the first of `samples`, counted from the sample nearest to the pick.
    pub first: isize,
    /// Conditioned.
    pub samples: Vec<f64>,
    /// Pick minus time of the nearest sample, in s.
    pub remainder_s: f64,
    /// rms of the signal over rms of the noise; `None` without noise to compare.
    pub snr: Option<f64>,
    /// Remarks.
    pub flags: Flags,
}

/// First and last sample number (closed) of a span in s at a rate: `ceil .. floor` with [`SAMPLE_SLACK`].
pub fn sample_range(span_s: (f64, f64), sampling_rate_hz: f64) -> (isize, isize) {
    let first = (span_s.0 * sampling_rate_hz - SAMPLE_SLACK).ceil();
    let last = (span_s.1 * sampling_rate_hz + SAMPLE_SLACK).floor();
    (first as isize, last as isize)
}

/// Whole lags within `lag_s`.
pub fn lag_samples(lag_s: f64, sampling_rate_hz: f64) -> usize {
    (lag_s * sampling_rate_hz + SAMPLE_SLACK).floor().max(0.0) as usize
}

/// Are these one rate?
pub fn same_rate(a_hz: f64, b_hz: f64) -> bool {
    (a_hz - b_hz).abs() <= RATE_TOLERANCE * a_hz.max(b_hz)
}

#[cfg(test)]
mod tests;
