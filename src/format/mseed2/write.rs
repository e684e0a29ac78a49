//! Writes miniSEED 2: Steim-2, big-endian, blockettes 1000 and 1001.

use crate::format::mseed2::{HEADER_BYTES, RECORD_LENGTH_EXPONENTS, nominal_rate};
use crate::format::steim::{self, FRAME_BYTES, Version};
use crate::format::waveform::sample_time;
use crate::model::station::ChannelCode;
use crate::model::time::Time;

/// A run of integer samples to write.
#[derive(Clone, Copy, Debug)]
pub struct Signal<'a> {
    /// Which channel.
    pub code: &'a ChannelCode,
    /// Time of the first sample.
    pub start: Time,
    /// Samples per second.
    pub sampling_rate: f64,
    /// The samples, in counts.
    pub samples: &'a [i32],
}

/// Appends records of `record_length` bytes (a power of two from 128 on) to `out`; start times are rounded to the
/// microsecond that blockette 1001 can say. A rate that factor and multiplier cannot say goes into a blockette
/// 100, in single precision. Errors are reasons.
pub fn write_records(out: &mut Vec<u8>, signal: &Signal<'_>, record_length: usize) -> Result<(), String> {
    let exponent = record_length.ilog2().min(255) as u8;
    if !record_length.is_power_of_two() || !RECORD_LENGTH_EXPONENTS.contains(&exponent) {
        return Err(format!("{record_length} bytes is no record length: a power of two, 128 .. 1048576"));
    }
    let (factor, multiplier) = rate_factors(signal.sampling_rate)
        .ok_or_else(|| format!("{} samples per second cannot be written", signal.sampling_rate))?;
    let exact = nominal_rate(factor, multiplier) == signal.sampling_rate;
    let data_offset = if exact { FRAME_BYTES } else { 2 * FRAME_BYTES };
    let frames = (record_length - data_offset) / FRAME_BYTES;
    if frames == 0 {
        return Err(format!("{record_length} bytes leave no room for data"));
    }
    let id = id_bytes(signal.code)?;
    let mut done = 0;
    let mut number = 1_u32;
    let mut before = None;
    while let Some(rest) = signal.samples.get(done..).filter(|r| !r.is_empty()) {
        let rest = rest.get(..rest.len().min(usize::from(u16::MAX))).unwrap_or_default();
        let base = out.len();
        out.resize(base + data_offset, 0);
        let (count, used) = steim::encode(Version::Steim2, rest, before, frames, out)?;
        out.resize(base + record_length, 0);
        let start = sample_time(signal.start, done as u64, signal.sampling_rate);
        let mut header = header(start, &id, number)?;
        header.extend_from_slice(&tail(start, count as u16, (factor, multiplier), data_offset));
        header.extend_from_slice(&blockettes(
            start,
            exponent,
            used,
            (!exact).then_some(signal.sampling_rate),
        ));
        out.get_mut(base..base + header.len()).into_iter().for_each(|to| to.copy_from_slice(&header));
        done += count;
        number = number % 999_999 + 1;
        before = rest.get(count.wrapping_sub(1)).copied();
    }
    Ok(())
}

/// Bytes 0-29 without the ten-thousandths: sequence number, quality D, id, time.
fn header(start: Time, id: &[u8; 12], number: u32) -> Result<Vec<u8>, String> {
    let civil = Time(start.0.saturating_add(500).div_euclid(1000) * 1000).civil();
    let mut bytes = format!("{number:06}D ").into_bytes();
    bytes.extend_from_slice(id);
    let year = u16::try_from(civil.year()).map_err(|_| format!("{start} is no year of miniSEED 2"))?;
    bytes.extend_from_slice(&year.to_be_bytes());
    bytes.extend_from_slice(&(civil.day_of_year() as u16).to_be_bytes());
    bytes.extend_from_slice(&[civil.hour() as u8, civil.minute() as u8, civil.second() as u8, 0]);
    Ok(bytes)
}

/// The start in microseconds, as ten-thousandths of a second within it and the rest in 0 .. 100 us.
fn fraction(start: Time) -> (u16, i8) {
    let us = start.0.saturating_add(500).div_euclid(1000).rem_euclid(1_000_000);
    ((us / 100) as u16, (us % 100) as i8)
}

/// Bytes 28-47.
fn tail(start: Time, count: u16, rate: (i16, i16), data_offset: usize) -> Vec<u8> {
    let mut bytes = fraction(start).0.to_be_bytes().to_vec();
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(&rate.0.to_be_bytes());
    bytes.extend_from_slice(&rate.1.to_be_bytes());
    let blockettes = if data_offset == FRAME_BYTES { 2 } else { 3 };
    bytes.extend_from_slice(&[0, 0, 0, blockettes, 0, 0, 0, 0]);
    bytes.extend_from_slice(&(data_offset as u16).to_be_bytes());
    bytes.extend_from_slice(&(HEADER_BYTES as u16).to_be_bytes());
    bytes
}

/// Blockettes 1000, 1001 and, with a rate, 100.
fn blockettes(start: Time, exponent: u8, frames: usize, rate: Option<f64>) -> Vec<u8> {
    let mut bytes = vec![0x03, 0xe8, 0, 56, 11, 1, exponent, 0];
    let next = if rate.is_some() { 64 } else { 0 };
    bytes.extend_from_slice(&[0x03, 0xe9, 0, next, 0, fraction(start).1 as u8, 0, frames.min(255) as u8]);
    if let Some(rate) = rate {
        bytes.extend_from_slice(&[0, 100, 0, 0]);
        bytes.extend_from_slice(&(rate as f32).to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes
}

/// Bytes 8-19: station, location, channel, network.
fn id_bytes(code: &ChannelCode) -> Result<[u8; 12], String> {
    let text = format!("{:5}{:2}{:3}{:2}", code.station, code.location, code.channel, code.network);
    <[u8; 12]>::try_from(text.as_bytes())
        .map_err(|_| format!("`{code}` does not fit the codes of miniSEED 2"))
}

/// Factor and multiplier: a whole rate, a whole period, a quotient of two whole numbers, or the whole part with
/// its fraction left to blockette 100. `None` for what is not a positive rate below 2^30.
fn rate_factors(rate: f64) -> Option<(i16, i16)> {
    let largest = f64::from(i16::MAX);
    let whole = |v: f64| (v >= 1.0 && v <= largest && v.fract() == 0.0).then_some(v as i16);
    if !(rate > 0.0 && rate < largest * largest) {
        return None;
    }
    if let Some(factor) = whole(rate) {
        return Some((factor, 1));
    }
    if let Some(period) = whole((1.0 / rate).round()).filter(|&p| nominal_rate(-p, 1) == rate) {
        return Some((-period, 1));
    }
    let quotient = (2..=i16::MAX).find_map(|d| Some((whole((rate * f64::from(d)).round())?, -d)));
    let exact = (2..=1000_i16)
        .filter_map(|d| Some((whole((rate * f64::from(d)).round())?, -d)))
        .find(|&(f, d)| nominal_rate(f, d) == rate);
    exact.or(quotient).or_else(|| Some((i16::MAX, whole((rate / largest).round())?)))
}
