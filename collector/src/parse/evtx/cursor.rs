//! `Cursor`: little-endian reads from a slice that answer with an error instead of reading past its end.
//!
//! In: the bytes of one chunk. Out: numbers and slices. Failure: `Fault`, with the byte where it went wrong.

/// What is wrong with a chunk's bytes, and where, counted from the front of the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// A stable phrase.
    pub reason: &'static str,
    /// Counted from the front of the chunk.
    pub offset: usize,
}

/// A place in a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Reads `bytes` from `at` on; reading stops at the end of `bytes`.
    pub fn new(bytes: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { bytes, at }
    }

    /// Where the next read begins.
    pub fn at(&self) -> usize {
        self.at
    }

    /// A fault at the present place.
    pub fn fault(&self, reason: &'static str) -> Fault {
        Fault { reason, offset: self.at }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let found = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end));
        let found = found.ok_or_else(|| self.fault("ends too early"))?;
        self.at += count;
        Ok(found)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_length| Fault { reason: "ends too early", offset: at })
    }

    /// The next byte, which stays unread.
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Fault> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Four bytes that are an offset or a length.
    pub fn offset(&mut self) -> Result<usize, Fault> {
        Ok(usize::try_from(self.u32()?).unwrap_or(usize::MAX))
    }

    /// Sixteen bytes that name something.
    pub fn guid(&mut self) -> Result<[u8; 16], Fault> {
        self.array()
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}
