//! Domain names in one spelling: lower case, composed, international labels in Punycode, no dot at the end.
//!
//! In: a name as a list or a log has it. Out: the name as DNS carries it, or `None` for what is no name of at least two
//! labels. Which names belong to everybody ([`is_public_suffix`]) is the Public Suffix List as the program was built with,
//! and a few sites that everybody uses.
//!
//! Source: RFC 1035 section 2.3.4 (sizes), RFC 3492 (Punycode), RFC 5891 section 5 (lower case and NFC before it).

use std::borrow::Cow;
use std::net::IpAddr;

use nhatle_event::Text;
use unicode_normalization::UnicodeNormalization;

/// How long a name may be, in bytes.
pub const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Sites that a list cannot mean as a whole, beside the Public Suffix List.
const PUBLIC_SITES: &[&str] = &[
    "github.io",
    "gitlab.io",
    "pages.dev",
    "workers.dev",
    "web.app",
    "firebaseapp.com",
    "blogspot.com",
    "wordpress.com",
    "herokuapp.com",
    "vercel.app",
    "netlify.app",
    "azurewebsites.net",
    "cloudfront.net",
    "amazonaws.com",
    "s3.amazonaws.com",
    "blob.core.windows.net",
    "windows.net",
    "trycloudflare.com",
    "ngrok.io",
    "duckdns.org",
    "ddns.net",
    "no-ip.org",
    "google.com",
    "googleapis.com",
    "microsoft.com",
    "facebook.com",
    "zalo.me",
    "youtube.com",
    "cloudflare.com",
    "akamai.net",
];

/// The one spelling of a name. An IPv4 address is given back as it is.
pub fn normal(text: &str) -> Option<Text> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let name: Cow<'_, str> = match text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_'))
    {
        true => Cow::Borrowed(text),
        false => Cow::Owned(encoded(text)?),
    };
    if NAME_BYTES_MAX < name.len() || !name.contains('.') {
        return None;
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_name = name.split('.').all(is_label);
    // The last label has a letter; else it is an address, or a mistake.
    let ends_as_name = last.bytes().any(|byte| byte.is_ascii_alphabetic()) || name.parse::<IpAddr>().is_ok();
    (is_name && ends_as_name).then(|| Text::from(&*name))
}

/// Lower case and Punycode, where a name has other letters.
fn encoded(text: &str) -> Option<String> {
    if NAME_BYTES_MAX * 4 < text.len() {
        return None;
    }
    let composed: String = text.to_lowercase().nfkc().collect();
    let mut labels = Vec::new();
    for label in composed.split(['.', '\u{3002}', '\u{ff0e}']) {
        labels.push(match label.is_ascii() {
            true => label.to_owned(),
            false => format!("xn--{}", punycode(label)?),
        });
    }
    Some(labels.join("."))
}

/// RFC 3492 section 6.3.
fn punycode(label: &str) -> Option<String> {
    const BASE: u32 = 36;
    let chars: Vec<u32> = label.chars().map(u32::from).collect();
    if LABEL_BYTES_MAX < chars.len() {
        return None;
    }
    let mut output: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(output.len()).ok()?;
    if basic > 0 {
        output.push('-');
    }
    let (mut next, mut delta, mut bias, mut handled) = (128u32, 0u32, 72u32, basic);
    while usize::try_from(handled).ok()? < chars.len() {
        let least = chars.iter().copied().filter(|c| next <= *c).min()?;
        delta = delta.checked_add((least - next).checked_mul(handled + 1)?)?;
        next = least;
        for c in &chars {
            if *c < next {
                delta = delta.checked_add(1)?;
            }
            if *c != next {
                continue;
            }
            let (mut rest, mut step) = (delta, BASE);
            loop {
                let threshold = step.saturating_sub(bias).clamp(1, 26);
                if rest < threshold {
                    break;
                }
                output.push(digit(threshold + (rest - threshold) % (BASE - threshold)));
                rest = (rest - threshold) / (BASE - threshold);
                step += BASE;
            }
            output.push(digit(rest));
            bias = adapted(delta, handled + 1, handled == basic);
            delta = 0;
            handled += 1;
        }
        delta = delta.checked_add(1)?;
        next += 1;
    }
    Some(output)
}

fn digit(number: u32) -> char {
    char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[usize::try_from(number).unwrap_or(0).min(35)])
}

/// RFC 3492 section 6.1.
fn adapted(delta: u32, count: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / 700 } else { delta / 2 };
    delta += delta / count;
    let mut step = 0;
    while delta > 455 {
        delta /= 35;
        step += 36;
    }
    step + 36 * delta / (delta + 38)
}

/// Whether a name in its one spelling belongs to everybody: `com.vn`, `github.io`, `google.com`.
pub fn is_public_suffix(name: &str) -> bool {
    psl::suffix_str(name) == Some(name) || PUBLIC_SITES.contains(&name)
}

/// The name and every name above it, as long as it has two labels: `a.b.example`, `b.example`.
pub fn with_parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| Some(name.split_once('.')?.1).filter(|above| above.contains('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(normal(text).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn names_have_one_spelling() {
        check("WWW.Example.", Some("www.example"));
        check("bücher.example", Some("xn--bcher-kva.example"));
        check("BÜCHER。example", Some("xn--bcher-kva.example"));
        check("u\u{308}ber.example", Some("xn--ber-goa.example"));
        // RFC 3492 section 7.1 (K) Vietnamese, in lower case.
        check(
            "tạisaohọkhôngthểchỉnóitiếngviệt.example",
            Some("xn--tisaohkhngthchnitingvit-kjcr8268qyxafd2f1b9g.example"),
        );
        check("xn--bcher-kva.example", Some("xn--bcher-kva.example"));
        check("_dmarc.example.com", Some("_dmarc.example.com"));
        check("203.0.113.9", Some("203.0.113.9"));
        for bad in ["example", "", ".", "a..b", "a b.example", "1.2.3.4.5", &format!("{}.example", "x".repeat(64))] {
            check(bad, None);
        }
    }

    #[test]
    fn parents_end_at_two_labels() {
        assert_eq!(with_parents("a.b.example").collect::<Vec<_>>(), ["a.b.example", "b.example"]);
        assert_eq!(with_parents("b.example").collect::<Vec<_>>(), ["b.example"]);
        assert!(is_public_suffix("com.vn") && is_public_suffix("github.io") && !is_public_suffix("donghoi.gov.vn"));
    }
}
