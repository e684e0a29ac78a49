//! Text out, compressed as a whole: gzip (RFC 1952) and zstd (RFC 8878).

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// zstd level of what is written.
const ZSTD_LEVEL: i32 = 3;

/// How a text is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// gzip, `.gz`.
    Gzip,
    /// zstd, `.zst`.
    Zstd,
}

impl Method {
    /// By its name, as COMPRESS takes it.
    pub fn find(name: &str) -> Option<Method> {
        [("gzip", Method::Gzip), ("gz", Method::Gzip), ("zstd", Method::Zstd), ("zst", Method::Zstd)]
            .into_iter()
            .find(|m| m.0.eq_ignore_ascii_case(name))
            .map(|m| m.1)
    }

    /// By the last ending of a file name; `None`: not compressed.
    pub fn of_path(path: &Path) -> Option<Method> {
        let ending = path.extension()?.to_str()?;
        [("gz", Method::Gzip), ("zst", Method::Zstd)]
            .into_iter()
            .find(|m| m.0.eq_ignore_ascii_case(ending))
            .map(|m| m.1)
    }
}

/// What is written to `out`: as it is (`None`), or compressed. The end of the compressed stream is written by `flush`,
/// which must be the last call.
///
/// # Errors
/// The compressor cannot be set up.
pub fn with<'a>(
    method: Option<Method>,
    out: Box<dyn Write + Send + 'a>,
) -> io::Result<Box<dyn Write + Send + 'a>> {
    Ok(match method {
        None => out,
        Some(Method::Gzip) => Box::new(Compressed::Gzip(GzEncoder::new(out, Compression::default()))),
        Some(Method::Zstd) => {
            let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?;
            encoder.include_checksum(true)?;
            Box::new(Compressed::Zstd(encoder))
        }
    })
}

enum Compressed<'a> {
    Gzip(GzEncoder<Box<dyn Write + Send + 'a>>),
    Zstd(zstd::stream::write::Encoder<'a, Box<dyn Write + Send + 'a>>),
}

impl Write for Compressed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Compressed::Gzip(encoder) => encoder.write(bytes),
            Compressed::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Compressed::Gzip(encoder) => {
                encoder.try_finish()?;
                encoder.get_mut().flush()
            }
            Compressed::Zstd(encoder) => {
                encoder.do_finish()?;
                encoder.get_mut().flush()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let text: String = (0..100_000_i64).map(|i| format!("{i},{}\n", i * i)).collect();
        for name in ["a.csv", "a.csv.gz", "a.csv.ZST"] {
            let sink = Sink::default();
            let mut out = with(Method::of_path(Path::new(name)), Box::new(sink.clone())).unwrap();
            out.write_all(text.as_bytes()).unwrap();
            out.flush().unwrap();
            drop(out);
            let bytes = sink.0.lock().unwrap().clone();
            let mut got = String::new();
            match Method::of_path(Path::new(name)) {
                None => got = String::from_utf8(bytes).unwrap(),
                Some(Method::Gzip) => {
                    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut got).map(|_| ()).unwrap();
                }
                Some(Method::Zstd) => {
                    got = String::from_utf8(zstd::stream::decode_all(&bytes[..]).unwrap()).unwrap();
                }
            }
            assert!(got == text, "{name}");
        }
    }
}
