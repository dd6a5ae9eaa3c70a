//! `Code`: the enrolment code that goes to a ward on paper.
//!
//! 20 characters of Crockford base32 in five groups of four: 8 of secret (40 bits) and 12 (60 bits) of the SHA-256 of
//! the authority's certificate, by which the forwarder knows the right city before it says the secret. Reading takes
//! small letters, spaces, `O` for `0`, `I` and `L` for `1`. Failure: [`NotACode`].
//! Source: <https://www.crockford.com/base32.html>; ADR 19.

use std::fmt;
use std::str::FromStr;

use nhatle_event::json::hex;
use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_CHARS: usize = 20;
/// How long what is typed may be: a code with a mark between any two characters.
pub const CODE_BYTES_MAX: usize = 64;
const CITY_BITS: u32 = 60;

/// An enrolment code. Its debug form does not show the secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// 40 random bits.
    secret: u64,
    /// The first 60 bits of the SHA-256 of the authority's certificate (DER).
    city: u64,
}

/// The text is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no enrolment code: it has 20 letters and digits, in groups of four")]
pub struct NotACode;

impl Code {
    /// A new code of the city whose authority's certificate has this SHA-256.
    pub fn new(random: u64, authority: &[u8; 32]) -> Code {
        Code { secret: random >> 24, city: city_of(authority) }
    }

    /// Whether this is the city's authority, by the SHA-256 of its certificate (DER).
    pub fn is_of(&self, authority: &[u8; 32]) -> bool {
        self.city == city_of(authority)
    }

    /// What the register keeps of it, hexadecimal. 40 bits can be guessed by who has the hash; who can read the
    /// register can read the authority's key beside it.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(format!("nhatle enrolment {self}")))
    }
}

fn city_of(authority: &[u8; 32]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&authority[..8]);
    u64::from_be_bytes(first) >> (64 - CITY_BITS)
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = (u128::from(self.secret) << CITY_BITS) | u128::from(self.city);
        for place in 0..CODE_CHARS {
            if place != 0 && place % 4 == 0 {
                f.write_str("-")?;
            }
            let symbol = (bits >> (5 * (CODE_CHARS - 1 - place))) & 31;
            write!(f, "{}", char::from(ALPHABET[usize::try_from(symbol).unwrap_or(0)]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code(…{:015x})", self.city)
    }
}

impl FromStr for Code {
    type Err = NotACode;

    fn from_str(text: &str) -> Result<Code, NotACode> {
        if CODE_BYTES_MAX < text.len() {
            return Err(NotACode);
        }
        let mut bits = 0_u128;
        let mut symbols = 0;
        for byte in text.bytes().map(|byte| byte.to_ascii_uppercase()) {
            let byte = match byte {
                b'-' | b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let value = ALPHABET.iter().position(|symbol| *symbol == byte).ok_or(NotACode)?;
            symbols += 1;
            if CODE_CHARS < symbols {
                return Err(NotACode);
            }
            bits = bits << 5 | u128::try_from(value).unwrap_or(0);
        }
        if symbols != CODE_CHARS {
            return Err(NotACode);
        }
        let low = |bits: u128, width: u32| u64::try_from(bits & ((1 << width) - 1)).unwrap_or(0);
        Ok(Code { secret: low(bits >> CITY_BITS, 40), city: low(bits, CITY_BITS) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_code_comes_back_however_it_is_typed(random: u64, authority: [u8; 32]) {
            let code = Code::new(random, &authority);
            let text = code.to_string();
            prop_assert_eq!(text.len(), 24);
            prop_assert!(code.is_of(&authority));
            let typed = text.replace('0', "o").replace('1', "l").replace('-', " ").to_lowercase();
            for text in [text.clone(), text.replace('-', ""), typed] {
                prop_assert_eq!(text.parse::<Code>(), Ok(code));
            }
        }

        #[test]
        fn no_text_is_trouble(text in any::<String>()) {
            if let Ok(code) = text.parse::<Code>() {
                prop_assert_eq!(code.to_string().parse::<Code>(), Ok(code));
            }
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in ["", "ABCD", "0000-0000-0000-0000-000U", "0000-0000-0000-0000-0000-0", &"-".repeat(65)] {
            assert_eq!(text.parse::<Code>(), Err(NotACode), "{text}");
        }
        let code = Code::new(u64::MAX, &[0; 32]);
        assert_eq!(code.to_string(), "ZZZZ-ZZZZ-0000-0000-0000");
        assert!(!format!("{code:?}").contains('Z') && !code.is_of(&[255; 32]));
    }
}
