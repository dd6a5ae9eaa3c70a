//! The wire format of Protocol Buffers, read: a message's fields, one after another, borrowed.
//!
//! In: the bytes of one message. Out: [`Part`]s: number and value. Failure: [`Broken`], for a message that ends
//! inside a field or has a wire type that does not exist. Unknown fields are the reader's to skip.
//! Source: protobuf.dev, "Encoding".

/// A field's value as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// One field: its number and value.
pub(super) type Part<'a> = (u32, Wire<'a>);

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// The fields of a message. After the first error there is nothing more.
pub(super) struct Message<'a> {
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Message<'a> {
        Message { rest: bytes }
    }

    fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0u64;
        for at in 0..10 {
            let (byte, rest) = self.rest.split_first().ok_or(Broken)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f).checked_shl(7 * at).ok_or(Broken)?;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Broken> {
        let length = usize::try_from(length).map_err(|_too_long| Broken)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Broken)?;
        self.rest = rest;
        Ok(taken)
    }

    fn part(&mut self) -> Result<Part<'a>, Broken> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number != 0).ok_or(Broken)?;
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_short| Broken)?)),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_short| Broken)?)),
            _ => return Err(Broken),
        };
        Ok((number, wire))
    }
}

impl<'a> Iterator for Message<'a> {
    type Item = Result<Part<'a>, Broken>;

    fn next(&mut self) -> Option<Result<Part<'a>, Broken>> {
        if self.rest.is_empty() {
            return None;
        }
        let part = self.part();
        if part.is_err() {
            self.rest = &[];
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_each_wire_type_and_broken_ones() {
        let read = |bytes: &'static [u8]| Message::new(bytes).collect::<Result<Vec<_>, _>>();
        assert_eq!(read(b"\x08\x96\x01"), Ok(vec![(1, Wire::Varint(150))]));
        assert_eq!(read(b"\x12\x03abc"), Ok(vec![(2, Wire::Bytes(b"abc"))]));
        assert_eq!(read(b"\x09\x01\0\0\0\0\0\0\0"), Ok(vec![(1, Wire::Fixed64(1))]));
        assert_eq!(read(b"\x0d\x01\0\0\0"), Ok(vec![(1, Wire::Fixed32(1))]));
        for broken in [
            b"\x12\x04abc".as_slice(),
            b"\x08",
            b"\x0b",
            b"\x00\x01",
            b"\x09\x01",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(read(broken), Err(Broken), "{broken:?}");
        }
    }
}
