//! Bytes packed by zstd, or as they are where that is no shorter; which of both tells their length. In: bytes. Out: fewer
//! bytes, and back. Promise: no more memory is taken for packed bytes than the length that was asked for.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

/// The level of zstd. Terms and rows hardly repeat; higher ones gain nothing (measured) and take longer.
const LEVEL: i32 = 1;

/// Packs.
pub struct Packer {
    compressor: Compressor<'static>,
    out: Vec<u8>,
}

impl Packer {
    /// One.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new() -> Result<Packer, String> {
        let compressor = Compressor::new(LEVEL).map_err(|error| error.to_string())?;
        Ok(Packer { compressor, out: Vec::new() })
    }

    /// These bytes, packed, or as they are.
    ///
    /// # Errors
    /// What zstd says.
    pub fn pack<'a>(&'a mut self, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        self.out.clear();
        self.out.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        let length = self.compressor.compress_to_buffer(bytes, &mut self.out).map_err(|error| error.to_string())?;
        Ok(if length < bytes.len() { &self.out } else { bytes })
    }
}

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The bytes that were packed, which were so many.
///
/// # Errors
/// They are not, or not so many.
pub fn unpack(packed: &[u8], length: usize) -> Result<Vec<u8>, String> {
    if packed.len() == length {
        return Ok(packed.to_vec());
    }
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let made = match decompressor.take() {
            Some(made) => made,
            None => Decompressor::new().map_err(|error| error.to_string())?,
        };
        let bytes = decompressor.insert(made).decompress(packed, length).map_err(|error| error.to_string())?;
        if bytes.len() == length { Ok(bytes) } else { Err(format!("{} bytes unpacked, not {length}", bytes.len())) }
    })
}
