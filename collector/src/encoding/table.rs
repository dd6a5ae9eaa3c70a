//! The tables of [`super::Encoding`]. In: a byte. Out: what it is, or nothing. See there for the sources.

/// A place of a table that means nothing.
const NONE: char = '\u{fffd}';

/// How many characters one letter may be made of: its base and the marks that follow it.
pub(super) const MARKS_MAX: usize = 4;

/// TCVN 5712:1993, bytes 80 to FF: VN3, and in its empty places what VN2 has there.
pub(super) const TCVN: [&str; 8] = [
    "",
    "",
    "\u{a0}ĂÂÊÔƠƯĐăâêôơưđẰ",
    "\u{300}\u{309}\u{303}\u{301}\u{323}àảãáạẲằẳẵắẴ",
    "ẮẦẨẪẤỀặầẩẫấậèỂẻẽ",
    "éẹềểễếệìỉỄẾỒĩíịò",
    "Ổỏõóọồổỗốộờởỡớợù",
    "ỖủũúụừửữứựỳỷỹýỵỐ",
];

/// Code page 1258, bytes 80 to FF.
pub(super) const WINDOWS_1258: [&str; 8] = [
    "€\u{fffd}‚ƒ„…†‡ˆ‰\u{fffd}‹Œ\u{fffd}\u{fffd}\u{fffd}",
    "\u{fffd}‘’“”•–—˜™\u{fffd}›œ\u{fffd}\u{fffd}Ÿ",
    "\u{a0}¡¢£¤¥¦§¨©ª«¬\u{ad}®¯",
    "°±²³´µ¶·¸¹º»¼½¾¿",
    "ÀÁÂĂÄÅÆÇÈÉÊË\u{300}ÍÎÏ",
    "ĐÑ\u{309}ÓÔƠÖ×ØÙÚÛÜƯ\u{303}ß",
    "àáâăäåæçèéêë\u{301}íîï",
    "đñ\u{323}óôơö÷øùúûüư₫ÿ",
];

/// What a byte from 80 on means in a table.
pub(super) fn of(rows: &[&str; 8], byte: u8) -> Option<char> {
    let row = rows.get(usize::from(byte >> 4).checked_sub(8)?)?;
    row.chars().nth(usize::from(byte & 15)).filter(|letter| *letter != NONE)
}

/// A combining tone as text.
pub(super) fn tone(letter: char) -> Option<&'static str> {
    Some(match letter {
        '\u{300}' => GRAVE,
        '\u{301}' => ACUTE,
        '\u{303}' => TILDE,
        '\u{309}' => HOOK,
        '\u{323}' => DOT,
        _ => return None,
    })
}

const GRAVE: &str = "\u{300}";
const ACUTE: &str = "\u{301}";
const TILDE: &str = "\u{303}";
const HOOK: &str = "\u{309}";
const DOT: &str = "\u{323}";

/// VNI: the letters that are one byte. Capitals are 20 (hexadecimal) below.
pub(super) fn vni_letter(byte: u8) -> Option<char> {
    Some(match byte {
        0xa0 => '\u{a0}',
        0xf1 => 'đ',
        0xf4 => 'ơ',
        0xf6 => 'ư',
        0xed => 'í',
        0xec => 'ì',
        0xe6 => 'ỉ',
        0xf3 => 'ĩ',
        0xf2 => 'ị',
        0xee => 'ỵ',
        0xd1 => 'Đ',
        0xd4 => 'Ơ',
        0xd6 => 'Ư',
        0xcd => 'Í',
        0xcc => 'Ì',
        0xc6 => 'Ỉ',
        0xd3 => 'Ĩ',
        0xd2 => 'Ị',
        0xce => 'Ỵ',
        _ => return None,
    })
}

/// VNI: what a byte behind a letter puts upon it; capitals are followed by the byte 20 (hexadecimal) below, and either
/// is taken behind either.
pub(super) fn vni_marks(letter: char, byte: u8) -> Option<&'static str> {
    let has_tone = matches!(letter, 'a' | 'e' | 'o' | 'u' | 'y' | 'ơ' | 'ư' | 'A' | 'E' | 'O' | 'U' | 'Y' | 'Ơ' | 'Ư');
    let has_circumflex = matches!(letter, 'a' | 'e' | 'o' | 'A' | 'E' | 'O');
    let has_breve = matches!(letter, 'a' | 'A');
    if byte < 0xc0 {
        return None;
    }
    match byte | 0x20 {
        0xf9 if has_tone => Some(ACUTE),
        0xf8 if has_tone => Some(GRAVE),
        0xfb if has_tone => Some(HOOK),
        0xf5 if has_tone => Some(TILDE),
        0xef if has_tone => Some(DOT),
        0xe2 if has_circumflex => Some("\u{302}"),
        0xe1 if has_circumflex => Some("\u{302}\u{301}"),
        0xe0 if has_circumflex => Some("\u{302}\u{300}"),
        0xe5 if has_circumflex => Some("\u{302}\u{309}"),
        0xe3 if has_circumflex => Some("\u{302}\u{303}"),
        0xe4 if has_circumflex => Some("\u{302}\u{323}"),
        0xea if has_breve => Some("\u{306}"),
        0xe9 if has_breve => Some("\u{306}\u{301}"),
        0xe8 if has_breve => Some("\u{306}\u{300}"),
        0xfa if has_breve => Some("\u{306}\u{309}"),
        0xfc if has_breve => Some("\u{306}\u{303}"),
        0xeb if has_breve => Some("\u{306}\u{323}"),
        _ => None,
    }
}
