//! Is the record that the index knows still where it was?

use std::ops::Range;

use crate::error::{Error, Result};
use crate::format::waveform::source::Source;
use crate::format::waveform::{Parsed, Piece, Record, Stream};
use crate::format::{mseed2, mseed3};

/// Where the name of the channel stands in a record of miniSEED 2.
const NAME: Range<usize> = 8..20;

/// Where the raw name of the channel stands in `bytes`, which are the record as it is now. Errors are reasons: the
/// bytes are no record, or one of other samples.
pub fn check(bytes: &[u8], record: &Record) -> std::result::Result<Range<usize>, String> {
    let (found, name) = if bytes.starts_with(mseed3::MAGIC) {
        match mseed3::parse(bytes) {
            Parsed::Record(found, name) => (found, name),
            Parsed::Bad(_, reason) => return Err(reason),
            _ => return Err("the record is cut".to_owned()),
        }
    } else {
        match mseed2::is_header(bytes).then(|| mseed2::parse(bytes, Some(record.length))) {
            Some(Parsed::Record(found, _)) => (found, NAME),
            Some(Parsed::Bad(_, reason)) => return Err(reason),
            _ => return Err("no record stands there any more".to_owned()),
        }
    };
    let kept = |r: &Record| (r.start, r.npts, r.length, r.sampling_rate.to_bits());
    if kept(&found) != kept(record) {
        return Err("another record stands there now".to_owned());
    }
    Ok(name)
}

/// The channel of a record whose raw name [`check`] found.
pub fn stream(bytes: &[u8], name: &Range<usize>) -> Stream {
    if bytes.starts_with(mseed3::MAGIC) {
        return mseed3::stream(bytes.get(name.clone()).unwrap_or_default());
    }
    mseed2::stream(&mseed2::id(bytes))
}

/// Decodes records of miniSEED, each from exactly its own bytes, after a check that it is still the one that the
/// index knows; neighbours are read in one go. One piece per record, in the order given.
///
/// # Errors
/// `Io`: the bytes cannot be read, the file is shorter, or something else stands there now. `Data`: samples that do
/// not decode.
pub fn read(
    source: &mut Source,
    records: &[Record],
    is_same: &mut dyn FnMut(&[u8], &Range<usize>) -> bool,
) -> Result<Vec<Piece>> {
    let path = source.path().to_path_buf();
    let changed = |reason: String| {
        let kind = std::io::ErrorKind::InvalidData;
        Error::io("read a record that the index knows of", &path, std::io::Error::new(kind, reason))
    };
    let mut pieces = Vec::with_capacity(records.len());
    let mut rest = records;
    while let Some(first) = rest.first() {
        let (count, length) = super::leading_run(rest);
        let (run, after) = rest.split_at(count);
        rest = after;
        let bytes = match source.exact(first.offset, length) {
            Err(Error::Data(data)) => return Err(changed(data.reason)),
            read => read?,
        };
        for record in run {
            let from = (record.offset - first.offset) as usize;
            let own = bytes.get(from..from + record.length as usize).unwrap_or_default();
            let name = check(own, record).map_err(changed)?;
            if !is_same(own, &name) {
                return Err(changed("a record of another channel stands there now".to_owned()));
            }
            pieces.push(super::decode_record(&path, record, Some(own))?);
        }
    }
    Ok(pieces)
}
