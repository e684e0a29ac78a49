//! Is the record that the index knows still where it was?

use std::ops::Range;

use crate::format::waveform::{Parsed, Record, Stream};
use crate::format::{mseed2, mseed3};

/// Where the name of the channel stands in a record of miniSEED 2.
const NAME: Range<usize> = 8..20;

/// Where the raw name of the channel stands in `bytes`, which are the record as it is now. Errors are reasons: the
/// bytes are no record, or one of other samples.
pub fn check(bytes: &[u8], record: &Record) -> Result<Range<usize>, String> {
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
