//! Guesses in which encoding a sample is. Bytes beyond ASCII that are no UTF-8 may be in any, and that is said.

use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252};

use crate::document::encoding::Decoding;
use crate::document::sniff;

/// So many words with characters beyond ASCII are shown.
const WORDS_MAX: usize = 3;
/// Characters of a word that are shown.
const WORD_MAX: usize = 20;

/// A sample as text.
pub(super) struct Text {
    pub text: String,
    pub encoding: &'static Encoding,
    /// `, encoding = "…"` of a format, where the document does not say it itself.
    pub key: String,
    /// What a person should look at.
    pub note: Option<String>,
}

/// Reads a sample. `declared`: an XML declaration is believed.
pub(super) fn text_of(sample: &[u8], declared: bool) -> Text {
    let (right, strays) = (characters(sample), strays(sample));
    let guess = match sniff::utf16(sample) {
        Some(wide) => wide,
        // What is UTF-8 by accident is rare among bytes that are none.
        None if strays.len() < right.max(1) => UTF_8,
        None => WINDOWS_1252,
    };
    let (mut decoding, mut text) = (Decoding::checked(sample, guess, declared), Vec::new());
    while decoding.read_into(&mut text).unwrap_or(false) {}
    let (text, encoding) = (String::from_utf8_lossy(&text).into_owned(), decoding.encoding());
    let said = decoding.is_marked() || decoding.label().is_some();
    let key = match said || encoding == UTF_8 {
        true => String::new(),
        false => format!(", encoding = \"{}\"", encoding.name().to_lowercase()),
    };
    let note = match (said, strays.first()) {
        (false, Some(line)) if encoding == UTF_8 => Some(format!(
            "it is in UTF-8 but for {} of its places, the first on line {line}: what stands there is no text, and its record is refused",
            strays.len()
        )),
        (false, _) if encoding == WINDOWS_1252 => Some(doubt(sample, &text)),
        _ => None,
    };
    Text { text, encoding, key, note }
}

/// How many characters beyond ASCII a sample has that are UTF-8.
fn characters(sample: &[u8]) -> usize {
    sample.utf8_chunks().map(|chunk| chunk.valid().chars().filter(|character| !character.is_ascii()).count()).sum()
}

/// The lines of bytes that are no UTF-8, each as often as there are some; where the sample is cut in a character is none.
fn strays(sample: &[u8]) -> Vec<usize> {
    let (mut line, mut strays, mut at) = (1, Vec::new(), 0);
    for chunk in sample.utf8_chunks() {
        line += memchr::memchr_iter(b'\n', chunk.valid().as_bytes()).count();
        at += chunk.valid().len() + chunk.invalid().len();
        let cut = at == sample.len() && std::str::from_utf8(chunk.invalid()).is_err_and(|error| error.error_len().is_none());
        if !chunk.invalid().is_empty() && !cut {
            strays.push(line);
        }
    }
    strays
}

/// What is said of a sample that is taken for windows-1252 because nothing says what it is in.
fn doubt(sample: &[u8], text: &str) -> String {
    let delimits = |c: char| c.is_whitespace() || ",;|:<>\"'=(){}[]".contains(c);
    let mut words: Vec<String> = Vec::new();
    for word in text.split(delimits).filter(|word| !word.is_ascii()) {
        let word: String = word.chars().filter(|c| !c.is_control()).take(WORD_MAX).collect();
        if words.len() < WORDS_MAX && !words.contains(&word) {
            words.push(word);
        }
    }
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let message = format!("nothing says its encoding; taken for windows-1252 it has {}", words.join(", "));
    if !is_other(sample) {
        return format!("{message}: where these are no words, ask the sender, and write the encoding that it is in");
    }
    // Its last line may be cut in a character.
    let whole = &sample[..memchr::memrchr(b'\n', sample).map_or(sample.len(), |end| end + 1)];
    let reads = |other: &'static Encoding| other.decode_without_bom_handling_and_without_replacement(whole).is_some();
    let others = [WINDOWS_1250, WINDOWS_1251, SHIFT_JIS, GBK, BIG5, EUC_JP, EUC_KR];
    let others: Vec<String> = others.into_iter().filter(|other| reads(other)).map(|other| other.name().to_lowercase()).collect();
    format!("{message}, which is hardly right: it can be {}; ask the sender, and write its encoding", others.join(", "))
}

/// Letters of Western languages that may well follow each other (`Größe`), in windows-1252.
const LETTERS: &[u8] = b"\xe4\xf6\xfc\xdf\xc4\xd6\xdc\xe9\xe8\xe0\xe7\xe5\xe6\xf8\xf1";

/// Whether bytes are hardly windows-1252: some are no character there, or half of those beyond ASCII stand side by side, as letters of other scripts do.
fn is_other(sample: &[u8]) -> bool {
    let high = |byte: &u8| !byte.is_ascii();
    let all = sample.iter().filter(|byte| high(byte)).count();
    let pair = |one: u8, other: u8| high(&one) && high(&other) && !(LETTERS.contains(&one) && LETTERS.contains(&other));
    let before = |at: usize| at > 0 && pair(sample[at - 1], sample[at]);
    let beside = (0..sample.len()).filter(|at| before(*at) || *at + 1 < sample.len() && pair(sample[*at], sample[at + 1])).count();
    sample.iter().any(|byte| matches!(byte, 0x81 | 0x8D | 0x8F | 0x90 | 0x9D)) || beside * 2 >= all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::infer::infer;

    #[test]
    fn an_encoding_that_nothing_says_is_noted_with_words_and_hardly_right_ones_with_others() {
        for (encoding, text, name, other) in [
            (WINDOWS_1252, "id;Größe\n1;Müller\n2;créé\n", "\"Größe\", \"Müller\", \"créé\"", ""),
            (WINDOWS_1250, "ČÍSLO;JMÉNO\n1;Řehoř\n2;Šťastný\n", "", "windows-1250"),
            (WINDOWS_1251, "id;name\n1;Москва\n2;Тверь\n", "", "windows-1251"),
            (SHIFT_JIS, "id,name\n1,山田\n2,鈴木一郎\n", "", "shift_jis"),
            (BIG5, "id,name\n1,中文名稱\n2,測試\n", "", "big5"),
            (GBK, "id,name\n1,中文名称\n2,测试\n", "", "gbk"),
        ] {
            let guess = infer(&encoding.encode(text).0).unwrap();
            assert!(guess.format.contains("encoding = \"windows-1252\""), "{guess:?}");
            let note = guess.notes.iter().find(|note| note.starts_with("nothing says its encoding")).unwrap();
            assert!(note.contains(name) && note.contains(other), "{note}");
            assert_eq!(note.contains("hardly right"), !other.is_empty(), "{note}");
        }
    }

    #[test]
    fn utf_8_with_a_stray_byte_is_utf_8_and_its_line_is_told() {
        let guess = infer(b"id,name\n1,M\xc3\xbcller\n2,Gr\xc3\xb6\xc3\x9fe\n4,a \x96 b\n5,\xc3\x84rger\n").unwrap();
        assert_eq!(guess.format, "{ type = \"csv\" }");
        assert!(guess.notes.iter().any(|note| note.contains("1 of its places, the first on line 4")), "{:?}", guess.notes);
        // One that is cut in a character has nothing wrong.
        let cut = infer(b"id,name\n1,M\xc3\xbcller\n2,Gr\xc3").unwrap();
        assert!(!cut.notes.iter().any(|note| note.contains("UTF-8")), "{:?}", cut.notes);
    }

    #[test]
    fn what_says_its_encoding_itself_is_not_doubted() {
        for (sample, key) in [
            (&b"<?xml version='1.0' encoding='windows-1252'?><D><R><Id>\xe9</Id></R><R><Id>b</Id></R></D>"[..], false),
            (b"<D><R><Id>\xe9</Id></R><R><Id>b</Id></R></D>", true),
        ] {
            let guess = infer(sample).unwrap();
            assert_eq!(guess.format.contains("encoding = \"windows-1252\""), key, "{guess:?}");
            assert_eq!(guess.notes.iter().any(|note| note.starts_with("nothing says")), key, "{guess:?}");
        }
    }
}
