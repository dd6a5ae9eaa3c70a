//! Numbers of few bits behind each other, the lowest bit first. In: numbers and how many bits each takes. Out: bytes; a
//! [`Reader`] gives the numbers back. Promise: a reader never reads past its bytes, whatever they are.

/// How many bits one number may take.
pub const WIDTH_MAX: u32 = 56;

/// Puts numbers behind each other.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
    waiting: u64,
    count: u32,
}

impl Writer {
    /// Adds the lowest `width` bits of a number that has no more; `width` is at most [`WIDTH_MAX`].
    pub fn put(&mut self, number: u64, width: u32) {
        self.waiting |= number << self.count;
        self.count += width;
        while 8 <= self.count {
            self.bytes.push((self.waiting & 255) as u8);
            self.waiting >>= 8;
            self.count -= 8;
        }
    }

    /// Adds so many zeros and a one.
    pub fn put_zeros(&mut self, zeros: u64) {
        (0..zeros / 32).for_each(|_| self.put(0, 32));
        let rest = (zeros % 32) as u32;
        self.put(1 << rest, rest + 1);
    }

    /// Adds a number of at least one: how many bits it has as zeros, then its bits (Elias' gamma, the bits below the first
    /// last).
    pub fn put_gamma(&mut self, number: u64) {
        let bits = number.max(1).ilog2();
        self.put_zeros(u64::from(bits));
        self.put(number ^ (1 << bits), bits);
    }

    /// The bytes; the last is filled up with zeros.
    pub fn take(&mut self) -> Vec<u8> {
        if 0 < self.count {
            self.bytes.push((self.waiting & 255) as u8);
        }
        (self.waiting, self.count) = (0, 0);
        std::mem::take(&mut self.bytes)
    }
}

/// Gives numbers back in the order they were put.
#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// From the first bit on.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// At least [`WIDTH_MAX`] bits from here on; zeros behind the end.
    fn ahead(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = match rest.first_chunk() {
            Some(whole) => u64::from_le_bytes(*whole),
            None => {
                let mut word = [0u8; 8];
                word[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(word)
            }
        };
        word >> (self.at % 8)
    }

    /// The next number of so many bits.
    ///
    /// # Errors
    /// There are no more.
    pub fn take(&mut self, width: u32) -> Result<u64, String> {
        let number = self.ahead() & ((1 << width.min(WIDTH_MAX)) - 1);
        self.at += width as usize;
        if self.bytes.len() * 8 < self.at { Err("bits past the end".to_owned()) } else { Ok(number) }
    }

    /// How many zeros stand before the next one.
    ///
    /// # Errors
    /// There is no one.
    pub fn take_zeros(&mut self) -> Result<u64, String> {
        let mut zeros = 0u64;
        loop {
            let ahead = self.ahead() & ((1 << WIDTH_MAX) - 1);
            if ahead != 0 {
                let here = ahead.trailing_zeros();
                self.at += here as usize + 1;
                return Ok(zeros + u64::from(here));
            }
            zeros += u64::from(WIDTH_MAX);
            self.at += WIDTH_MAX as usize;
            if self.bytes.len() * 8 <= self.at {
                return Err("bits past the end".to_owned());
            }
        }
    }

    /// The next number that [`Writer::put_gamma`] put.
    ///
    /// # Errors
    /// There is none.
    pub fn take_gamma(&mut self) -> Result<u64, String> {
        let bits = u32::try_from(self.take_zeros()?).unwrap_or(u32::MAX);
        if WIDTH_MAX <= bits {
            return Err(format!("a number of {bits} bits"));
        }
        Ok(self.take(bits)? | 1 << bits)
    }
}

/// Adds a number as seven bits a byte, the lowest first, all but the last with the high bit.
pub fn put_number(out: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while 128 <= rest {
        out.push((rest & 127) as u8 | 128);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Takes a number that [`put_number`] put from the front of `bytes`.
///
/// # Errors
/// There is none.
pub fn take_number(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or("a number past the end")?;
        *bytes = rest;
        number |= u64::from(first & 127) << shift;
        if first & 128 == 0 {
            return Ok(number);
        }
    }
    Err("a number of more than 64 bits".to_owned())
}

/// The same as a length.
///
/// # Errors
/// There is none.
pub fn take_length(bytes: &mut &[u8]) -> Result<usize, String> {
    usize::try_from(take_number(bytes)?).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec((any::<u64>(), 0..=WIDTH_MAX, 0u64..200), 0..60)) {
            let (mut writer, mut bytes) = (Writer::default(), Vec::new());
            for (number, width, zeros) in &numbers {
                writer.put(number & ((1 << width) - 1), *width);
                writer.put_zeros(*zeros);
                writer.put_gamma((number >> 16).max(1));
                put_number(&mut bytes, *number);
            }
            let written = writer.take();
            let (mut reader, mut rest) = (Reader::new(&written), bytes.as_slice());
            for (number, width, zeros) in &numbers {
                prop_assert_eq!(reader.take(*width), Ok(number & ((1 << width) - 1)));
                prop_assert_eq!(reader.take_zeros(), Ok(*zeros));
                prop_assert_eq!(reader.take_gamma(), Ok((number >> 16).max(1)));
                prop_assert_eq!(take_number(&mut rest), Ok(*number));
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let (mut reader, mut rest) = (Reader::new(&bytes), bytes.as_slice());
            while reader.take_gamma().is_ok() {}
            while take_number(&mut rest).is_ok() {}
        }
    }
}
