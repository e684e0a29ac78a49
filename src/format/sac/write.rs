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

/// Appends a SAC file to `out`: header version 6, or 7 with its footer of doubles. The reference time is the whole
/// millisecond of the first sample, `b` the rest of it. Errors are reasons: a code that is too long, too many
/// samples, a time outside the calendar.
pub fn write_sac(
    out: &mut Vec<u8>,
    trace: &Trace<'_>,
    little_endian: bool,
    version: u8,
) -> Result<(), String> {
    let npts = i32::try_from(trace.samples.len()).map_err(|_| "more than 2^31 samples".to_owned())?;
    let milli_ns = 1_000_000;
    let b = trace.start.0.rem_euclid(milli_ns) as f64 / 1e9;
    let reference = Time(trace.start.0.div_euclid(milli_ns) * milli_ns).civil();
    let end = b + trace.delta_s * f64::from(npts.max(1) - 1);
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
        (NVHDR, i32::from(version)),
        (NPTS, npts),
        (IFTYPE, ITIME),
        (LEVEN, 1),
    ];
    let floats = [(0, trace.delta_s), (5, b), (6, end)];
    let values = integers.map(|(at, v)| (at, v as u32)).into_iter();
    for (at, value) in values.chain(floats.map(|(at, v)| (at, (v as f32).to_bits()))) {
        if let Some(word) = words.get_mut(at) {
            *word = value;
        }
    }
    let put = |out: &mut Vec<u8>, w: u32| {
        out.extend_from_slice(&if little_endian { w.to_le_bytes() } else { w.to_be_bytes() });
    };
    words.iter().for_each(|&w| put(out, w));
    out.extend_from_slice(&texts(trace.code)?);
    trace.samples.iter().for_each(|s| put(out, s.to_bits()));
    if version == 7 {
        let undefined = f64::from(UNDEFINED);
        let doubles = [trace.delta_s, b, end].into_iter().chain(std::iter::repeat_n(undefined, 19));
        for value in doubles {
            let raw = if little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
            out.extend_from_slice(&raw);
        }
    }
    Ok(())
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
