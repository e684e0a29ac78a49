//! Query texts: of a file, of standard input, of the command line.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use starquake::error::{Error, Result, Source};
use starquake::limits::QUERY_BYTES;

/// The text of a file, or of standard input for `-`.
///
/// # Errors
/// It cannot be read, is no UTF-8, or is longer than [`QUERY_BYTES`].
pub(crate) fn from_file(path: &Path) -> Result<Source> {
    if path.as_os_str() == "-" {
        return read("<stdin>", Path::new("<stdin>"), io::stdin().lock());
    }
    let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
    read(&path.display().to_string(), path, file)
}

/// The text of the command line.
pub(crate) fn from_argument(text: &str) -> Source {
    Source { name: "<query>".to_owned(), text: text.to_owned() }
}

fn read(name: &str, path: &Path, reader: impl Read) -> Result<Source> {
    let mut bytes = Vec::new();
    // One more, so that a text that is too long is seen to be.
    reader.take(QUERY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    if bytes.len() > QUERY_BYTES {
        let help = "split it with INCLUDE, or IMPORT long lists";
        return Err(Error::refused(format!("{name} is longer than {QUERY_BYTES} bytes"), help));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        Error::data(path, Some(e.utf8_error().valid_up_to() as u64), "not UTF-8: a query file is UTF-8 text")
    })?;
    Ok(Source { name: name.to_owned(), text })
}
