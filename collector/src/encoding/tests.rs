//! Every Vietnamese letter through an encoder of its own, which is written from the letters, not from the tables.

use super::*;
use proptest::prelude::*;

/// Tones in the order none, grave, hook, tilde, acute, dot.
const TONES: [&str; 6] = ["", "\u{300}", "\u{309}", "\u{303}", "\u{301}", "\u{323}"];
/// The vowels without tone.
const VOWELS: &str = "aăâeêioôơuưy";
/// The consonants of the alphabet, and đ.
const CONSONANTS: &str = "bcdđghklmnpqrstvx";

/// All letters of the Vietnamese alphabet in both cases: 12 vowels with 6 tones, 17 consonants.
fn alphabet() -> Vec<String> {
    let mut letters = Vec::new();
    for vowel in VOWELS.chars() {
        letters.extend(TONES.iter().map(|tone| composed(&format!("{vowel}{tone}")).into_owned()));
    }
    letters.extend(CONSONANTS.chars().map(String::from));
    let capitals: Vec<String> = letters.iter().map(|letter| letter.to_uppercase()).collect();
    letters.extend(capitals);
    assert!(letters.iter().all(|letter| letter.chars().count() == 1));
    letters
}

/// The base without tone, and which tone.
fn parts(letter: &str) -> (char, usize) {
    let bases = VOWELS.chars().chain(CONSONANTS.chars());
    for base in bases.flat_map(|base| base.to_uppercase().chain([base])) {
        for (tone, mark) in TONES.iter().enumerate() {
            if composed(&format!("{base}{mark}")) == letter {
                return (base, tone);
            }
        }
    }
    panic!("{letter} is no Vietnamese letter");
}

/// TCVN's small letters by their places: the letter without tone, then grave, hook, tilde, acute, dot.
const TCVN_SMALL: [(char, [u8; 6]); 12] = [
    ('a', [0x61, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9]),
    ('ă', [0xa8, 0xbb, 0xbc, 0xbd, 0xbe, 0xc6]),
    ('â', [0xa9, 0xc7, 0xc8, 0xc9, 0xca, 0xcb]),
    ('e', [0x65, 0xcc, 0xce, 0xcf, 0xd0, 0xd1]),
    ('ê', [0xaa, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6]),
    ('i', [0x69, 0xd7, 0xd8, 0xdc, 0xdd, 0xde]),
    ('o', [0x6f, 0xdf, 0xe1, 0xe2, 0xe3, 0xe4]),
    ('ô', [0xab, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9]),
    ('ơ', [0xac, 0xea, 0xeb, 0xec, 0xed, 0xee]),
    ('u', [0x75, 0xef, 0xf1, 0xf2, 0xf3, 0xf4]),
    ('ư', [0xad, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9]),
    ('y', [0x79, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe]),
];

/// VN3 has no capitals with tones: they are the capital and a combining tone.
fn tcvn(letter: &str) -> Vec<u8> {
    let (base, tone) = parts(letter);
    if let Some((_, places)) = TCVN_SMALL.iter().find(|(small, _)| *small == base) {
        return vec![places[tone]];
    }
    let plain = match base {
        'đ' => 0xae,
        'Ă' => 0xa1,
        'Â' => 0xa2,
        'Ê' => 0xa3,
        'Ô' => 0xa4,
        'Ơ' => 0xa5,
        'Ư' => 0xa6,
        'Đ' => 0xa7,
        ascii => u8::try_from(ascii).unwrap(),
    };
    let mark = [None, Some(0xb0), Some(0xb1), Some(0xb2), Some(0xb3), Some(0xb4)][tone];
    std::iter::once(plain).chain(mark).collect()
}

/// As typed with the VNI fonts, written as the Latin-1 characters that a text without the font shows.
fn vni(letter: &str) -> Vec<u8> {
    let (base, tone) = parts(letter);
    let small = base.to_lowercase().next().unwrap();
    let shown = match small {
        'i' => ["i", "ì", "æ", "ó", "í", "ò"][tone].to_owned(),
        'y' if tone == 5 => "î".to_owned(),
        'â' | 'ê' | 'ô' => {
            let bare = match small {
                'â' => 'a',
                'ê' => 'e',
                _ => 'o',
            };
            format!("{bare}{}", ["â", "à", "å", "ã", "á", "ä"][tone])
        }
        'ă' => format!("a{}", ["ê", "è", "ú", "ü", "é", "ë"][tone]),
        'đ' => "ñ".to_owned(),
        other => {
            let shown = match other {
                'ơ' => 'ô',
                'ư' => 'ö',
                same => same,
            };
            format!("{shown}{}", ["", "ø", "û", "õ", "ù", "ï"][tone])
        }
    };
    let shown = if base.is_uppercase() { shown.to_uppercase() } else { shown };
    shown.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
}

/// The letters that code page 1258 has beyond Latin-1's places.
fn windows_1258(letter: &str) -> Vec<u8> {
    let (base, tone) = parts(letter);
    let plain = match base {
        'ă' => 0xe3,
        'Ă' => 0xc3,
        'đ' => 0xf0,
        'Đ' => 0xd0,
        'ơ' => 0xf5,
        'Ơ' => 0xd5,
        'ư' => 0xfd,
        'Ư' => 0xdd,
        latin => u8::try_from(u32::from(latin)).unwrap(),
    };
    let mark = [None, Some(0xcc), Some(0xd2), Some(0xde), Some(0xec), Some(0xf2)][tone];
    std::iter::once(plain).chain(mark).collect()
}

type Encoder = fn(&str) -> Vec<u8>;
const ENCODERS: [(Encoding, Encoder); 3] =
    [(Encoding::Tcvn3, tcvn), (Encoding::Vni, vni), (Encoding::Windows1258, windows_1258)];

fn encode(encoder: Encoder, text: &str) -> Vec<u8> {
    text.chars()
        .flat_map(|letter| if letter.is_ascii() { vec![letter as u8] } else { encoder(&letter.to_string()) })
        .collect()
}

#[test]
fn every_letter_of_the_alphabet_comes_through() {
    let alphabet = alphabet();
    assert_eq!(alphabet.len(), 2 * (12 * 6 + 17));
    for (encoding, encoder) in ENCODERS {
        for letter in &alphabet {
            let bytes = encoder(letter);
            let decoded = encoding.decode(&bytes);
            assert_eq!((decoded.text.as_str(), decoded.unmapped), (letter.as_str(), 0), "{encoding:?} {bytes:x?}");
        }
    }
}

#[test]
fn words_in_ascii_lines_come_through() {
    let line = "<38>Feb  3 04:05:06 ubnd-01 dichvucong[7]: user=\"Nguyễn Văn Hướng\" DON_VI=\"PHƯỜNG ĐỒNG HỚI\" \
                url=/hồ-sơ?id=7 {\"ghi chú\":\"thuỷ lợi, khoẻ, Quỹ 2\"}";
    for (encoding, encoder) in ENCODERS {
        let bytes = encode(encoder, line);
        assert!(std::str::from_utf8(&bytes).is_err());
        assert_eq!(encoding.decode(&bytes), Decoded { text: line.to_owned(), unmapped: 0 }, "{encoding:?}");
    }
    assert_eq!(Encoding::Tcvn3.decode(b"C\xe9ng h\xdfa x\xb7 h\xe9i").text, "Cộng hòa xã hội");
    assert_eq!(Encoding::Vni.decode(b"Co\xe4ng ho\xf8a xa\xf5 ho\xe4i").text, "Cộng hòa xã hội");
    assert_eq!(Encoding::Windows1258.decode(b"C\xf4\xf2ng ho\xcca xa\xde h\xf4\xf2i").text, "Cộng hòa xã hội");
}

#[test]
fn a_byte_without_meaning_is_marked_and_counted() {
    for (encoding, bytes) in [
        (Encoding::Tcvn3, &b"a\x80b\x9f"[..]),
        (Encoding::Vni, b"b\xf9\xc0"),
        (Encoding::Windows1258, b"\x81x\x9d"),
        (Encoding::Utf8, b"\xffx\xfe"),
    ] {
        let decoded = encoding.decode(bytes);
        assert_eq!(decoded.unmapped, 2, "{encoding:?}");
        assert_eq!(decoded.text.matches('\u{fffd}').count(), 2, "{encoding:?} {}", decoded.text);
    }
}

#[test]
fn names_are_those_of_the_configuration() {
    assert!(Encoding::ALL.into_iter().all(|encoding| Encoding::from_name(encoding.name()) == Some(encoding)));
    assert_eq!(Encoding::from_name("viscii"), None);
}

#[test]
fn offsets_in_the_text_are_places_in_the_bytes() {
    let bytes = encode(vni, "hồ sơ số 7");
    let text = Encoding::Vni.decode(&bytes).text;
    assert_eq!(Encoding::Vni.byte_offset(&bytes, text.find("số").unwrap()), 7);
    assert_eq!(Encoding::Vni.byte_offset(&bytes, text.find('7').unwrap()), bytes.len() - 1);
    assert_eq!(Encoding::Vni.byte_offset(&bytes, 999), bytes.len());
}

proptest! {
    #[test]
    fn any_bytes_are_text_and_words_come_back(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        places in proptest::collection::vec(0usize..178, 0..30),
    ) {
        let alphabet = alphabet();
        for (encoding, encoder) in ENCODERS {
            let decoded = encoding.decode(&bytes);
            prop_assert!(is_composed(&decoded.text));
            prop_assert!(encoding.byte_offset(&bytes, decoded.text.len() / 2) <= bytes.len());
            // A space between letters: in VNI a vowel and a letter that is also a mark would read as one.
            let word = places.iter().map(|place| alphabet[*place].as_str()).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(encoding.decode(&encode(encoder, &word)).text, word);
        }
    }
}
