//! What encodings of more bytes read beyond what their encoders write: HKSCS in Big5, JIS X 0212 in EUC-JP, four bytes in GBK, characters of one's own in
//! Shift_JIS, half-width kana in ISO-2022-JP. It comes back as it was sent, so the decoders themselves are asked which bytes it has.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::encoded;
use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, SHIFT_JIS};

/// What an encoding reads beyond ASCII.
struct Table {
    /// The bytes of characters that have at most three.
    bytes: HashMap<char, Vec<u8>>,
    /// How many they are, for the first plane; 0 where there is none.
    widths: Vec<u8>,
}

const ENCODINGS: [&Encoding; 6] = [BIG5, EUC_JP, EUC_KR, GB18030, GBK, SHIFT_JIS];
static TABLES: [OnceLock<Table>; ENCODINGS.len()] = [const { OnceLock::new() }; ENCODINGS.len()];

/// The only bytes that are two characters.
const PAIRS: [(&str, [u8; 2]); 4] =
    [("\u{ca}\u{304}", [0x88, 0x62]), ("\u{ca}\u{30c}", [0x88, 0x64]), ("\u{ea}\u{304}", [0x88, 0xA3]), ("\u{ea}\u{30c}", [0x88, 0xA5])];

fn table(encoding: &'static Encoding) -> Option<&'static Table> {
    let at = ENCODINGS.iter().position(|known| *known == encoding)?;
    Some(TABLES[at].get_or_init(|| {
        let mut table = Table { bytes: HashMap::new(), widths: vec![0; 0x1_0000] };
        let mut add = |bytes: &[u8]| {
            let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
            let mut characters = text.iter().flat_map(|text| text.chars());
            if let (Some(character), None) = (characters.next(), characters.next()) {
                table.bytes.entry(character).or_insert_with(|| bytes.to_vec());
            }
        };
        let pairs = || (0x80..=0xFF).flat_map(|lead| (0x21..=0xFF).map(move |trail| [lead, trail]));
        (0x80..=0xFF).for_each(|byte| add(&[byte]));
        pairs().for_each(|pair| add(&pair));
        if encoding == EUC_JP {
            pairs().for_each(|[lead, trail]| add(&[0x8F, lead, trail]));
        }
        for (character, bytes) in &table.bytes {
            if let Some(width) = table.widths.get_mut(*character as usize) {
                // One that the encoder has is written, and mostly was, as that says: the euro sign in GB18030.
                let own = encoded(character.encode_utf8(&mut [0; 4]), encoding);
                *width = u8::try_from(own.as_ref().unwrap_or(bytes).len()).unwrap_or_default();
            }
        }
        table
    }))
}

/// The bytes by which the character that a text begins with is read, where its encoder does not write it, and how much of the text they are.
pub fn bytes_of(text: &str, encoding: &'static Encoding) -> Option<(usize, Vec<u8>)> {
    let character = text.chars().next()?;
    let length = character.len_utf8();
    if encoding == BIG5
        && let Some((pair, bytes)) = PAIRS.iter().find(|(pair, _)| text.starts_with(pair))
    {
        return Some((pair.len(), bytes.to_vec()));
    }
    if encoding == ISO_2022_JP && ('\u{ff61}'..='\u{ff9f}').contains(&character) {
        let byte = u8::try_from(u32::from(character) - 0xff61 + 0x21).ok()?;
        return Some((length, vec![0x1B, b'(', b'I', byte, 0x1B, b'(', b'B']));
    }
    if let Some(bytes) = table(encoding)?.bytes.get(&character) {
        return Some((length, bytes.clone()));
    }
    let (bytes, _, lacks) = GB18030.encode(&text[..length]);
    let reads = || encoding.decode_without_bom_handling_and_without_replacement(&bytes).is_some_and(|read| read == text[..length]);
    (!lacks && reads()).then(|| (length, bytes.to_vec()))
}

/// How many bytes a character has.
pub fn width(character: char, encoding: &'static Encoding) -> usize {
    match encoding {
        _ if character.is_ascii() && encoding.is_ascii_compatible() => 1,
        _ if encoding == encoding_rs::UTF_8 => character.len_utf8(),
        _ if encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE => 2 * character.len_utf16(),
        _ => match table(encoding) {
            None => 1,
            Some(table) => match table.widths.get(character as usize).copied().unwrap_or(0) {
                width @ 1.. => width.into(),
                _ if character > '\u{ffff}' && table.bytes.contains_key(&character) => 2,
                _ if encoding == GBK || encoding == GB18030 => 4,
                // The second of two characters that are one.
                _ if encoding == BIG5 && matches!(character, '\u{304}' | '\u{30c}') => 0,
                _ => 1,
            },
        },
    }
}
