//! Writes miniSEED 3 with Steim-2 payloads.

use crate::format::mseed2::Signal;
use crate::format::mseed3::{CRC, HEADER_BYTES, MAGIC, RECORD_BYTES, checksum};
use crate::format::steim::{self, FRAME_BYTES, Version};
use crate::format::waveform::{Encoding, sample_time};
use crate::model::time::{NS_PER_S, Time};

/// Appends records of at most `record_bytes` bytes to `out`, publication version 1, start times in ns. Errors are
/// reasons.
pub fn write_records(out: &mut Vec<u8>, signal: &Signal<'_>, record_bytes: usize) -> Result<(), String> {
    let id = identifier(signal)?;
    let room = record_bytes.min(RECORD_BYTES).saturating_sub(HEADER_BYTES + id.len());
    let frames = room / FRAME_BYTES;
    if frames == 0 {
        return Err(format!("{record_bytes} bytes leave no room for data"));
    }
    let mut done = 0;
    let mut before = None;
    while let Some(rest) = signal.samples.get(done..).filter(|r| !r.is_empty()) {
        let base = out.len();
        let start = sample_time(signal.start, done as u64, signal.sampling_rate);
        out.extend_from_slice(&header(start, signal.sampling_rate)?);
        out.extend_from_slice(id.as_bytes());
        let (count, used) = steim::encode(Version::Steim2, rest, before, frames, out)?;
        put(out, base + 24, &(count as u32).to_le_bytes());
        put(out, base + 33, &[id.len() as u8]);
        put(out, base + 36, &((used * FRAME_BYTES) as u32).to_le_bytes());
        let crc = checksum(out.get(base..).unwrap_or_default());
        put(out, base + CRC.start, &crc.to_le_bytes());
        done += count;
        before = rest.get(count.wrapping_sub(1)).copied();
    }
    Ok(())
}

/// The fixed header with count, lengths and CRC left at zero.
fn header(start: Time, rate: f64) -> Result<Vec<u8>, String> {
    let civil = start.civil();
    let year = u16::try_from(civil.year()).map_err(|_| format!("{start} is no year of miniSEED 3"))?;
    let mut bytes = MAGIC.to_vec();
    bytes.push(0);
    bytes.extend_from_slice(&(start.0.rem_euclid(NS_PER_S) as u32).to_le_bytes());
    bytes.extend_from_slice(&year.to_le_bytes());
    bytes.extend_from_slice(&(civil.day_of_year() as u16).to_le_bytes());
    bytes.extend_from_slice(&[civil.hour() as u8, civil.minute() as u8, civil.second() as u8]);
    bytes.push(Encoding::STEIM2.0);
    bytes.extend_from_slice(&rate.to_le_bytes());
    bytes.resize(HEADER_BYTES, 0);
    put(&mut bytes, 32, &[1]);
    Ok(bytes)
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes.get_mut(at..at + value.len()).into_iter().for_each(|to| to.copy_from_slice(value));
}

/// `FDSN:NET_STA_LOC_B_S_SS`.
fn identifier(signal: &Signal<'_>) -> Result<String, String> {
    let code = signal.code;
    let letters: Vec<char> = code.channel.chars().collect();
    let channel = match letters.as_slice() {
        [band, source, subsource] => format!("{band}_{source}_{subsource}"),
        _ if code.channel.matches('_').count() == 2 => code.channel.clone(),
        _ => return Err(format!("`{}` is no channel of band, source and subsource", code.channel)),
    };
    let id = format!("FDSN:{}_{}_{}_{channel}", code.network, code.station, code.location);
    if id.len() > 255 { Err(format!("`{id}` is longer than 255 bytes")) } else { Ok(id) }
}
