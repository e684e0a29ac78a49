//! Payload bytes to samples, for every encoding that is read.

use crate::format::gse2;
use crate::format::steim::{self, Version};
use crate::format::waveform::{Encoding, Record, flags, u16_at, u32_at, u64_at};

/// Samples of one payload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// As many as the record claims, or fewer if the payload ends early.
    pub samples: Vec<f64>,
    /// False where a check value does not agree or samples are missing.
    pub integrity_ok: bool,
}

/// Decodes the payload of a record. Errors are reasons: text, an encoding that is not read.
pub fn decode(record: &Record, payload: &[u8]) -> Result<Decoded, String> {
    let little = record.data_little_endian;
    let count = record.npts as usize;
    if let Some(version) = steim_version(record.encoding) {
        let mut decoded = steim::decode(version, payload, count, little);
        if record.flags & flags::ASSUMED != 0 && !decoded.integrity_ok {
            // nothing names the encoding: the check value tells Steim-2 from Steim-1
            let other = steim::decode(Version::Steim2, payload, count, little);
            decoded = if other.integrity_ok { other } else { decoded };
        }
        let integrity_ok = decoded.integrity_ok && record.flags & flags::LYING_COUNT == 0;
        return Ok(Decoded { samples: decoded.samples.into_iter().map(f64::from).collect(), integrity_ok });
    }
    if record.encoding == Encoding::GSE_CM6 || record.encoding == Encoding::GSE_INT {
        let mut decoded = gse2::decode(record.encoding, payload, count);
        decoded.integrity_ok &= record.flags & flags::LYING_COUNT == 0;
        return Ok(decoded);
    }
    let word = |at: usize| u16_at(payload, 2 * at, little);
    let sample = |at: usize| match record.encoding {
        Encoding::INT16 | Encoding::DWWSSN => word(at).map(|v| f64::from(v as i16)),
        Encoding::INT24 | Encoding::GEOSCOPE24 => int24(payload, at, little),
        Encoding::INT32 => u32_at(payload, 4 * at, little).map(|v| f64::from(v as i32)),
        Encoding::FLOAT32 => u32_at(payload, 4 * at, little).map(|v| f64::from(f32::from_bits(v))),
        Encoding::FLOAT64 => u64_at(payload, 8 * at, little).map(f64::from_bits),
        Encoding::GEOSCOPE16_3 => word(at).map(|v| geoscope(v, v >> 12 & 0x7)),
        Encoding::GEOSCOPE16_4 => word(at).map(|v| geoscope(v, v >> 12)),
        Encoding::CDSN => word(at).map(cdsn),
        Encoding::SRO => word(at).and_then(sro),
        _ => None,
    };
    let known = record.encoding.sample_bytes().is_some() && record.encoding != Encoding::TEXT;
    match record.encoding {
        Encoding::TEXT if count > 0 => Err("the record holds text, no samples".to_owned()),
        Encoding(200..) if count > 0 => {
            Err(format!("the data are {}, which is not read", record.encoding.name()))
        }
        _ if !known && count > 0 => Err(format!("encoding {} is not read", record.encoding.0)),
        _ => {
            let samples: Vec<f64> = (0..count).map_while(sample).collect();
            let integrity_ok = samples.len() == count && record.flags & flags::LYING_COUNT == 0;
            Ok(Decoded { samples, integrity_ok })
        }
    }
}

/// Most samples that a payload can hold: by its codes for Steim, by its length for the rest. No bound is known
/// for encodings that are not read; there 4 samples a byte is more than any of them packs. Where the encoding is
/// assumed, it is the most that Steim-2 can hold.
pub fn samples_held(record: &Record, payload: &[u8]) -> u64 {
    let bytes = payload.len() as u64;
    if record.flags & flags::ASSUMED != 0 {
        return steim::capacity(Version::Steim2, bytes);
    }
    if record.encoding == Encoding::SRO {
        // a word with a gain that does not exist is no sample: what stands behind it is not trusted either
        let words = payload.as_chunks::<2>().0.iter();
        return words.take_while(|w| sro(u16_of(**w, record.data_little_endian)).is_some()).count() as u64;
    }
    match (steim_version(record.encoding), record.encoding.sample_bytes()) {
        (Some(version), _) => {
            steim::count(version, payload, record.data_little_endian, u64::from(record.npts))
        }
        (None, Some(width)) => bytes / width,
        (None, None) => bytes.saturating_mul(4),
    }
}

fn steim_version(encoding: Encoding) -> Option<Version> {
    match encoding {
        Encoding::STEIM1 => Some(Version::Steim1),
        Encoding::STEIM2 => Some(Version::Steim2),
        _ => None,
    }
}

fn int24(payload: &[u8], at: usize, little_endian: bool) -> Option<f64> {
    let &[a, b, c] = payload.get(3 * at..3 * at + 3)? else { return None };
    let raw = if little_endian { [0, a, b, c] } else { [0, c, b, a] };
    Some(f64::from(i32::from_le_bytes(raw) >> 8))
}

/// GEOSCOPE: (mantissa - 2048) / 2^gain, 12-bit mantissa.
fn geoscope(word: u16, gain: u16) -> f64 {
    (f64::from(word & 0x0fff) - 2048.0) / f64::from(1_u32 << gain.min(15))
}

/// CDSN: (14-bit mantissa - 8191) times 1, 4, 16 or 128.
fn cdsn(word: u16) -> f64 {
    let shift = match word >> 14 {
        0 => 0,
        1 => 2,
        2 => 4,
        _ => 7,
    };
    (f64::from(word & 0x3fff) - 8191.0) * f64::from(1_u32 << shift)
}

fn u16_of(raw: [u8; 2], little_endian: bool) -> u16 {
    if little_endian { u16::from_le_bytes(raw) } else { u16::from_be_bytes(raw) }
}

/// SRO: 12-bit two's complement mantissa times 2^(10 - gain); gains above 10 do not exist.
fn sro(word: u16) -> Option<f64> {
    let mantissa = f64::from(((word << 4) as i16) >> 4);
    let exponent = 10_u32.checked_sub(u32::from(word >> 12))?;
    Some(mantissa * f64::from(1_u32 << exponent))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_of_fixed_width() {
        let cases: [(Encoding, &[u8], bool, f64); 18] = [
            (Encoding::INT16, &[0xff, 0xfe], false, -2.0),
            (Encoding::INT16, &[0xfe, 0xff], true, -2.0),
            (Encoding::INT24, &[0xff, 0xff, 0xfd], false, -3.0),
            (Encoding::INT24, &[0xfd, 0xff, 0xff], true, -3.0),
            (Encoding::INT24, &[0x7f, 0xff, 0xff], false, 8_388_607.0),
            (Encoding::INT32, &[0x80, 0, 0, 0], false, -2_147_483_648.0),
            (Encoding::INT32, &[1, 0, 0, 0], true, 1.0),
            (Encoding::FLOAT32, &[0x3f, 0x80, 0, 0], false, 1.0),
            (Encoding::FLOAT64, &[0, 0, 0, 0, 0, 0, 0xf0, 0xbf], true, -1.0),
            (Encoding::DWWSSN, &[0x80, 0x00], false, -32_768.0),
            (Encoding::GEOSCOPE24, &[0, 1, 0], false, 256.0),
            (Encoding::GEOSCOPE16_3, &[0x18, 0x01], false, 0.5),
            (Encoding::GEOSCOPE16_4, &[0xf0, 0x00], false, -0.0625),
            (Encoding::CDSN, &[0x1f, 0xff], false, 0.0),
            (Encoding::CDSN, &[0xe0, 0x00], false, 128.0),
            (Encoding::SRO, &[0xaf, 0xff], false, -1.0),
            (Encoding::SRO, &[0x00, 0x01], false, 1024.0),
            (Encoding::SRO, &[0x97, 0xff], false, 4094.0),
        ];
        for (encoding, bytes, data_little_endian, want) in cases {
            let record = Record { encoding, data_little_endian, npts: 1, ..Record::default() };
            let got = decode(&record, bytes).unwrap();
            assert_eq!(got, Decoded { samples: vec![want], integrity_ok: true }, "{encoding:?} {bytes:?}");
            let two = Record { npts: 2, ..record };
            assert!(!decode(&two, bytes).unwrap().integrity_ok, "{encoding:?}: a sample is missing");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (code, want) in [(0, "the record holds text, no samples"), (19, "encoding 19 is not read")] {
            let record = Record { encoding: Encoding(code), npts: 4, ..Record::default() };
            assert_eq!(decode(&record, b"text"), Err(want.to_owned()));
        }
    }
}
