//! Blocks of a part under zstd: the length of the content in 4 bytes, then the frame.

use std::cell::RefCell;

use crate::error::{Error, Result};
use crate::index::columns::u32_at;

/// zstd level: higher ones save less than 2 % here.
const LEVEL: i32 = 3;
/// Most bytes of a block's content: what a damaged length may make us take at most.
const CONTENT_BYTES: usize = 16 << 20;

/// Compresses blocks; setting up costs more than a small block.
pub(super) struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
}

impl Packer {
    /// Error: out of memory.
    pub(super) fn new() -> Result<Packer> {
        let compressor = zstd::bulk::Compressor::new(LEVEL).map_err(|e| limit(&e.to_string()))?;
        Ok(Packer { compressor })
    }

    /// Error: the block is larger than any reader takes, or out of memory.
    pub(super) fn pack(&mut self, content: &[u8]) -> Result<Vec<u8>> {
        if content.len() > CONTENT_BYTES {
            return Err(limit(&format!("{} bytes of 128 rows", content.len())));
        }
        let mut block = (content.len() as u32).to_le_bytes().to_vec();
        let frame = self.compressor.compress(content).map_err(|e| limit(&e.to_string()))?;
        block.extend_from_slice(&frame);
        Ok(block)
    }
}

fn limit(what: &str) -> Error {
    Error::Limit {
        what: format!("a block of the waveform index ({what})"),
        limit: format!("{CONTENT_BYTES} bytes"),
        help: "index fewer files at a time".to_owned(),
    }
}

thread_local! {
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The content of a block; `None` for bytes that are no block.
pub(super) fn unpack(block: &[u8]) -> Option<Vec<u8>> {
    let bytes = u32_at(block, 0)? as usize;
    if bytes > CONTENT_BYTES {
        return None;
    }
    DECOMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = zstd::bulk::Decompressor::new().ok();
        }
        let content = kept.as_mut()?.decompress(block.get(4..)?, bytes).ok()?;
        (content.len() == bytes).then_some(content)
    })
}
