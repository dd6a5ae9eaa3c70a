//! Small XML documents as leaves: no namespaces, no attributes, no document types.
//!
//! In: the text of one element with elements inside. Out: the text of each element that has none inside, by its path
//! without the outermost (`a.b`). Failure: the text does not hold together, or passes a bound. Source: XML 1.0.

use crate::parse::Fault;

/// How deep elements may stand in each other.
const DEPTH_MAX: usize = 16;
/// How many values one document gives.
const VALUES_MAX: usize = 512;

/// The leaves of a document.
///
/// # Errors
/// An end without a start, a start without an end, markup that does not end, a document type, too much of it.
pub fn leaves(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let fault = |reason: &str, at: usize| Fault::new(format!("hikvision xml: {reason}"), at.min(text.len()));
    let mut found = Vec::new();
    // Names of the open elements; whether the innermost has elements; its text.
    let (mut open, mut is_leaf, mut value): (Vec<&str>, bool, String) = (Vec::new(), false, String::new());
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let until = rest.find('<').unwrap_or(rest.len());
        if is_leaf {
            unescape(&rest[..until], &mut value);
        }
        at += until;
        let Some(tag) = text.get(at..).filter(|tag| !tag.is_empty()) else { break };
        let end =
            |mark: &str| tag.find(mark).map(|end| end + mark.len()).ok_or_else(|| fault("markup does not end", at));
        if tag.starts_with("<!--") {
            at += end("-->")?;
        } else if let Some(inner) = tag.strip_prefix("<![CDATA[") {
            let used = end("]]>")?;
            value.push_str(inner.get(..used - 12).unwrap_or_default());
            at += used;
        } else if tag.starts_with("<!") {
            return Err(fault("document types are not taken", at));
        } else if tag.starts_with("<?") {
            at += end("?>")?;
        } else if let Some(name) = tag.strip_prefix("</") {
            let used = end(">")?;
            let name = name.get(..used - 3).unwrap_or_default().trim();
            if open.last() != Some(&name) {
                return Err(fault("an end tag without its start", at));
            }
            if is_leaf && open.len() > 1 {
                push(&mut found, &open, std::mem::take(&mut value), || fault("too many values", at))?;
            }
            open.pop();
            (is_leaf, at) = (false, at + used);
        } else {
            let used = end(">")?;
            let inner = tag.get(1..used - 1).unwrap_or_default();
            let is_empty = inner.ends_with('/');
            let name = inner.trim_end_matches('/').split([' ', '\t', '\r', '\n']).next().unwrap_or_default();
            if name.is_empty() || name.len() > 64 {
                return Err(fault("expected a name", at));
            }
            if open.len() >= DEPTH_MAX {
                return Err(fault("elements nested too deep", at));
            }
            if !is_empty {
                open.push(name);
                value.clear();
            }
            (is_leaf, at) = (!is_empty, at + used);
        }
    }
    if open.is_empty() { Ok(found) } else { Err(fault("ends inside an element", text.len())) }
}

fn push(
    found: &mut Vec<(String, String)>,
    open: &[&str],
    value: String,
    too_many: impl Fn() -> Fault,
) -> Result<(), Fault> {
    if found.len() >= VALUES_MAX {
        return Err(too_many());
    }
    let value = value.trim();
    if !value.is_empty() {
        found.push((open.get(1..).unwrap_or_default().join("."), value.to_owned()));
    }
    Ok(())
}

/// Undoes the five entities and numbers; another `&` stays as it is.
fn unescape(raw: &str, value: &mut String) {
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        value.push_str(&rest[..at]);
        let end = rest[at + 1..].bytes().take(10).position(|byte| byte == b';').unwrap_or_default();
        let entity = &rest[at + 1..at + 1 + end];
        let number = entity.strip_prefix("#x").map_or_else(
            || entity.strip_prefix('#').and_then(|digits| digits.parse().ok()),
            |hex| u32::from_str_radix(hex, 16).ok(),
        );
        let known = match entity {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => number.and_then(char::from_u32),
        };
        match known.filter(|_| rest.as_bytes().get(at + 1 + entity.len()) == Some(&b';')) {
            Some(character) => {
                value.push(character);
                rest = &rest[at + entity.len() + 2..];
            }
            None => {
                value.push('&');
                rest = &rest[at + 1..];
            }
        }
    }
    value.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_every_shape() {
        let of = |text: &str| {
            leaves(text)
                .map(|found| found.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
        };
        let whole = "<?xml version='1.0'?><!-- x --><e a=\"1\"><b>1 &amp; &#x32; &unknown;</b><c><d> 2 </d></c><f/><g><![CDATA[<3>]]></g></e>";
        assert_eq!(of(whole).expect("holds together"), ["b=1 & 2 &unknown;", "c.d=2", "g=<3>"]);
        for broken in ["<a>", "<a></b>", "</a>", "<a", "<a><!-- x", "<!DOCTYPE x>", "<a><>"] {
            assert!(of(broken).is_err(), "{broken}");
        }
        assert!(of(&"<a>".repeat(100_000)).is_err());
        assert!(of(&format!("<a>{}</a>", "<b>1</b>".repeat(600))).is_err());
        assert_eq!(of("text only"), Ok(Vec::new()));
        assert!(of(&format!("<a><b>{}</b></a>", "&".repeat(100_000))).is_ok());
    }
}
