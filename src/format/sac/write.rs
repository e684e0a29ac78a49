//! Writes binary SAC.

use crate::format::sac::{
    IFTYPE, ITIME, KCMPNM, KHOLE, KNETWK, KSTNM, LEVEN, NPTS, NVHDR, NZYEAR, UNDEFINED,
};
use crate::model::station::ChannelCode;
use crate::model::time::Time;

/// One evenly spaced trace to write.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// Its four parts, each of at most 8 ASCII characters.
    pub code: &'a ChannelCode,
    /// Time of the first sample.
    pub start: Time,
    /// Sampling interval in seconds.
    pub delta_s: f64,
    /// The samples.
    pub samples: &'a [f32],
}

/// What a header says beside code, start and interval.
#[derive(Clone, Copy, Debug, Default)]
pub struct About<'a> {
    /// Samples.
    pub npts: usize,
    /// 6, or 7 where a footer of doubles follows the samples.
    pub version: u8,
    /// Numbers of other words of the header (0..70) with their values: depmin, stla ...
    pub floats: &'a [(usize, f64)],
}

/// Numbers of the words of a header that hold the smallest, largest and mean sample.
pub const DEP_WORDS: [usize; 3] = [1, 2, 56];
/// Latitude, longitude (degrees north, east), elevation and depth (m) of the station.
pub const STATION_WORDS: [usize; 4] = [31, 32, 33, 34];

/// Appends a SAC file to `out`: header version 6, or 7 with its footer of doubles. The reference time is the whole
/// millisecond of the first sample, `b` the rest of it. Errors are reasons: a code that is too long, too many
/// samples, a time outside the calendar.
pub fn write_sac(
    out: &mut Vec<u8>,
    trace: &Trace<'_>,
    little_endian: bool,
    version: u8,
) -> Result<(), String> {
    let about = About { npts: trace.samples.len(), version, floats: &[] };
    out.extend_from_slice(&header(trace, &about, little_endian)?);
    trace.samples.iter().for_each(|s| put(out, s.to_bits(), little_endian));
    if version == 7 {
        out.extend_from_slice(&footer(trace, &about, little_endian));
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, word: u32, little_endian: bool) {
    out.extend_from_slice(&if little_endian { word.to_le_bytes() } else { word.to_be_bytes() });
}

/// `b` and `e`, in s after the reference time.
fn ends(trace: &Trace<'_>, about: &About<'_>) -> (f64, f64) {
    let b = trace.start.0.rem_euclid(MILLI_NS) as f64 / 1e9;
    (b, b + trace.delta_s * (about.npts.max(1) - 1) as f64)
}

const MILLI_NS: i64 = 1_000_000;

/// The 632 bytes before the samples; those of the trace are not looked at.
pub fn header(trace: &Trace<'_>, about: &About<'_>, little_endian: bool) -> Result<Vec<u8>, String> {
    let npts = i32::try_from(about.npts).map_err(|_| "more than 2^31 samples".to_owned())?;
    let reference = Time(trace.start.0.div_euclid(MILLI_NS) * MILLI_NS).civil();
    let (b, end) = ends(trace, about);
    let mut words: Vec<u32> = (0..70).map(|_| (UNDEFINED as f32).to_bits()).collect();
    words.extend((70..110).map(|_| UNDEFINED as u32));
    let clock = [reference.hour(), reference.minute(), reference.second()].map(i32::from);
    let day = i32::from(reference.day_of_year());
    let integers = [
        (NZYEAR, i32::from(reference.year())),
        (NZYEAR + 1, day),
        (NZYEAR + 2, clock[0]),
        (NZYEAR + 3, clock[1]),
        (NZYEAR + 4, clock[2]),
        (NZYEAR + 5, i32::from(reference.millisecond())),
        (NVHDR, i32::from(about.version)),
        (NPTS, npts),
        (IFTYPE, ITIME),
        (LEVEN, 1),
    ];
    let floats = [(0, trace.delta_s), (5, b), (6, end)];
    let floats = about.floats.iter().copied().chain(floats).map(|(at, v)| (at, (v as f32).to_bits()));
    for (at, value) in integers.map(|(at, v)| (at, v as u32)).into_iter().chain(floats) {
        if let Some(word) = words.get_mut(at) {
            *word = value;
        }
    }
    let mut out = Vec::with_capacity(632);
    words.iter().for_each(|&w| put(&mut out, w, little_endian));
    out.extend_from_slice(&texts(trace.code)?);
    Ok(out)
}

/// The 22 doubles behind the samples of version 7.
pub fn footer(trace: &Trace<'_>, about: &About<'_>, little_endian: bool) -> Vec<u8> {
    let (b, end) = ends(trace, about);
    let given = |word: usize| about.floats.iter().find(|f| f.0 == word).map(|f| f.1);
    let undefined = f64::from(UNDEFINED);
    let mut doubles = [undefined; 22];
    doubles[..3].copy_from_slice(&[trace.delta_s, b, end]);
    doubles[18] = given(STATION_WORDS[1]).unwrap_or(undefined);
    doubles[19] = given(STATION_WORDS[0]).unwrap_or(undefined);
    let raw = |value: f64| if little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
    doubles.into_iter().flat_map(raw).collect()
}

/// The 192 bytes of texts: all undefined but the codes.
fn texts(code: &ChannelCode) -> Result<Vec<u8>, String> {
    let mut texts = b"-12345  ".repeat(24);
    // the second half of KEVNM, which is 16 characters long
    texts.get_mut(16..24).into_iter().for_each(|t| t.fill(b' '));
    let parts =
        [(KSTNM, &code.station), (KHOLE, &code.location), (KCMPNM, &code.channel), (KNETWK, &code.network)];
    for (at, part) in parts.into_iter().filter(|(_, part)| !part.is_empty()) {
        if part.len() > 8 || !part.is_ascii() {
            return Err(format!("`{part}` does not fit the 8 ASCII characters of a SAC text"));
        }
        let padded = format!("{part:8}");
        texts.get_mut(at - 440..at - 432).into_iter().for_each(|t| t.copy_from_slice(padded.as_bytes()));
    }
    Ok(texts)
}
