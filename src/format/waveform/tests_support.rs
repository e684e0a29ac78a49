//! Files of bytes for the tests of the waveform formats.

use std::io::Write;

use crate::format::waveform::{Scan, scan};

/// A temporary file with these bytes.
pub(crate) fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// The scan of a file with these bytes.
pub(crate) fn scan_bytes(bytes: &[u8]) -> Scan {
    scan(file(bytes).path()).unwrap()
}
