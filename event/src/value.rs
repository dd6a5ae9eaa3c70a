//! `Value`: what a field can hold, and how it reads as text.
//!
//! A list holds no lists (nested arrays are flattened when JSON is read). `Null` is a field that was
//! sent with no value: present for Sigma's `exists`, absent for everything else.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

use compact_str::ToCompactString;

use crate::time::Timestamp;

/// Owned text, at most 24 bytes without an allocation.
pub type Text = compact_str::CompactString;

/// One value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Sent, with no value.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Long(i64),
    /// A number with a fraction, or one that `i64` cannot hold.
    Double(f64),
    /// Text: ECS `keyword`, `wildcard`, `text` and `match_only_text` alike.
    Text(Text),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A moment.
    Date(Timestamp),
    /// Several values, none of them a list.
    List(Vec<Value>),
}

impl Value {
    /// The value as text, the way a search or a rule sees it. `Null` and lists are `None`: a list is
    /// looked at value by value ([`Value::each`]).
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Value::Null | Value::List(_) => return None,
            Value::Boolean(true) => Cow::Borrowed("true"),
            Value::Boolean(false) => Cow::Borrowed("false"),
            Value::Long(number) => Cow::Owned(number.to_string()),
            Value::Double(number) => Cow::Owned(double_text(*number)),
            Value::Text(text) => Cow::Borrowed(text.as_str()),
            Value::Ip(address) => Cow::Owned(address.to_string()),
            Value::Date(stamp) => Cow::Owned(stamp.to_string()),
        })
    }

    /// [`Value::as_text`], owned.
    pub fn to_text(&self) -> Option<Text> {
        match self {
            Value::Text(text) => Some(text.clone()),
            Value::Long(number) => Some(number.to_compact_string()),
            Value::Ip(address) => Some(address_text(*address)),
            other => other.as_text().map(Text::from),
        }
    }

    /// The text inside, where this is `Text`.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number this is, or that its text is.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "comparisons past 2^53 are not a thing rules make")]
            Value::Long(number) => Some(*number as f64),
            Value::Double(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// The whole number this is, or that its text is.
    pub fn as_long(&self) -> Option<i64> {
        match self {
            Value::Long(number) => Some(*number),
            Value::Text(text) => text.parse().or_else(|_padded| text.trim().parse()).ok(),
            _ => None,
        }
    }

    /// The address this is, or that its text is.
    pub fn as_ip(&self) -> Option<IpAddr> {
        match self {
            Value::Ip(address) => Some(*address),
            Value::Text(text) => text.parse().or_else(|_padded| text.trim().parse()).ok(),
            _ => None,
        }
    }

    /// The single values: the elements of a list, else the value itself.
    pub fn each(&self) -> impl Iterator<Item = &Value> {
        match self {
            Value::List(values) => values.iter(),
            single => std::slice::from_ref(single).iter(),
        }
    }

    /// Adds one more value: a single value becomes a list of two.
    pub fn push(&mut self, value: Value) {
        let mut values = match std::mem::replace(self, Value::Null) {
            Value::List(values) => values,
            // Room for both at once.
            single => {
                let mut values = Vec::with_capacity(2);
                values.push(single);
                values
            }
        };
        match value {
            Value::List(more) => values.extend(more),
            single => values.push(single),
        }
        *self = Value::List(values);
    }
}

/// An address as text. IPv4 without the formatter: each event has some.
pub fn address_text(address: IpAddr) -> Text {
    let IpAddr::V4(address) = address else { return address.to_compact_string() };
    let mut text = [b'.'; 15];
    let mut end = 0;
    let mut put = |byte: u8| {
        text[end] = byte;
        end += 1;
    };
    for (place, octet) in address.octets().into_iter().enumerate() {
        if 0 < place {
            put(b'.');
        }
        if 100 <= octet {
            put(b'0' + octet / 100);
        }
        if 10 <= octet {
            put(b'0' + octet / 10 % 10);
        }
        put(b'0' + octet % 10);
    }
    Text::from(std::str::from_utf8(&text[..end]).expect("digits and dots are text"))
}

/// A double as people write it: `7` and not `7.0`.
fn double_text(number: f64) -> String {
    let mut text = String::new();
    write!(text, "{number}").expect("writing to a string cannot go wrong");
    text
}

impl From<&str> for Value {
    #[inline]
    fn from(text: &str) -> Value {
        Value::Text(Text::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(Text::from(text))
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Value {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Long(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Value {
        Value::Long(i64::from(number))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Long(i64::from(number))
    }
}

impl From<u64> for Value {
    /// Numbers past `i64` keep every digit, as text.
    fn from(number: u64) -> Value {
        i64::try_from(number).map_or_else(|_past| Value::from(number.to_string()), Value::Long)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Boolean(flag)
    }
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Value {
        Value::Ip(address)
    }
}

impl From<Timestamp> for Value {
    fn from(stamp: Timestamp) -> Value {
        Value::Date(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn addresses_are_written_as_the_formatter_writes_them(four in any::<[u8; 4]>(), six in any::<[u8; 16]>()) {
            for address in [IpAddr::from(four), IpAddr::from(six)] {
                let (text, plain) = (address_text(address), address.to_string());
                prop_assert_eq!(text.as_str(), plain.as_str());
                prop_assert_eq!(Value::Ip(address).to_text(), Some(address_text(address)));
            }
        }
    }
}
