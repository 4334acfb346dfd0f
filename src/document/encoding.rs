//! Encodings: bytes of a document to UTF-8 and back. A byte order mark wins over the stated encoding and is no data.
//!
//! Bytes that are no text are never replaced in silence: they become text that no check of UTF-8 accepts, so that the record they stand in is
//! refused.

mod more;

pub use self::more::width;

use std::io::{self, Read};

use encoding_rs::{Decoder, Encoding, UTF_8};

/// Bytes that are read at a time.
pub const BLOCK: usize = 128 * 1024;

/// Bytes of any encoding to UTF-8. UTF-8 itself passes as it is and is checked record by record.
pub struct Decoding<R> {
    source: R,
    encoding: &'static Encoding,
    decoder: Option<Decoder>,
    begun: bool,
    /// A byte order mark was there.
    marked: bool,
    /// What an XML declaration calls the encoding.
    label: Option<String>,
    pending: Vec<u8>,
    /// Look for an XML declaration, and take its word.
    declared: bool,
    /// What stands for bytes that are no text; UTF-8 passes unchecked when it is no text itself.
    undecodable: &'static [u8],
    /// It stands for each of them, not once for all.
    each: bool,
}

/// What a decoder puts in place of bytes it can not read: text that no valid UTF-8 check accepts, so that the record is refused.
const UNDECODABLE: &[u8] = &[0xFF];
/// The same for parsers that must be given UTF-8: no character, and in no document (U+FFFF).
pub const NO_CHARACTER: &str = "\u{FFFF}";

impl<R: Read> Decoding<R> {
    /// Of a document that is in this encoding unless its byte order mark says another. UTF-8 passes as it is, unchecked.
    pub fn new(source: R, encoding: &'static Encoding) -> Self {
        Decoding {
            source,
            encoding,
            decoder: None,
            begun: false,
            pending: Vec::new(),
            declared: false,
            undecodable: UNDECODABLE,
            each: false,
            marked: false,
            label: None,
        }
    }

    /// As `new`, but always valid UTF-8: what is no text becomes [`NO_CHARACTER`]. `declared`: an XML declaration is believed too.
    pub fn checked(source: R, encoding: &'static Encoding, declared: bool) -> Self {
        Decoding { declared, undecodable: NO_CHARACTER.as_bytes(), ..Decoding::new(source, encoding) }
    }

    /// With as many bytes that are none as there are in the document. In UTF-16 nobody counts bytes, and half of a character is one.
    #[must_use]
    pub fn of_each_byte(mut self, each: bool) -> Self {
        self.each = each;
        self
    }

    /// The encoding that the document turned out to have; that of the configuration before the first byte is read.
    pub fn encoding(&self) -> &'static Encoding {
        self.encoding
    }

    /// Whether it begins with a byte order mark; known when its first byte is read.
    pub fn is_marked(&self) -> bool {
        self.marked
    }

    /// What its XML declaration calls the encoding, where that was believed.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// Appends more text; `false` at the end of the input.
    pub fn read_into(&mut self, text: &mut Vec<u8>) -> io::Result<bool> {
        if !self.begun {
            self.begin()?;
        }
        let mut block = std::mem::take(&mut self.pending);
        if block.is_empty() {
            block.resize(BLOCK, 0);
            let count = read_some(&mut self.source, &mut block)?;
            block.truncate(count);
        }
        let last = block.is_empty();
        let Some(decoder) = &mut self.decoder else {
            text.extend_from_slice(&block);
            return Ok(!last);
        };
        let mut input = block.as_slice();
        let mut output = vec![0u8; BLOCK];
        loop {
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(input, &mut output, last);
            push_text(&output[..written], self.encoding, self.undecodable, text);
            input = &input[read..];
            match result {
                encoding_rs::DecoderResult::InputEmpty => return Ok(!last),
                encoding_rs::DecoderResult::OutputFull => {}
                encoding_rs::DecoderResult::Malformed(length, _) => {
                    (0..if self.each { length } else { 1 }).for_each(|_| text.extend_from_slice(self.undecodable));
                }
            }
        }
    }

    /// Looks at the first bytes: a byte order mark wins over the stated encoding.
    fn begin(&mut self) -> io::Result<()> {
        self.begun = true;
        let mut first = vec![0u8; BLOCK];
        let mut count = 0;
        // An XML declaration, in UTF-16 too, is shorter than this.
        let least = if self.declared { 512 } else { 3 };
        while count < least {
            match read_some(&mut self.source, &mut first[count..])? {
                0 => break,
                more => count += more,
            }
        }
        first.truncate(count);
        let encoding = match Encoding::for_bom(&first) {
            Some((encoding, length)) => {
                first.drain(..length);
                self.marked = true;
                encoding
            }
            None if self.declared => {
                let (encoding, label) = declared_encoding(&first).unwrap_or((self.encoding, None));
                self.label = label;
                encoding
            }
            None => self.encoding,
        };
        self.encoding = encoding;
        self.each &= encoding != encoding_rs::UTF_16LE && encoding != encoding_rs::UTF_16BE;
        if encoding != UTF_8 || self.undecodable != UNDECODABLE {
            self.decoder = Some(encoding.new_decoder_without_bom_handling());
        }
        self.pending = first;
        Ok(())
    }
}

/// Whether this character stands for a byte that the encoding does not have: encoding_rs reads those of the Windows code pages as control characters.
fn is_unassigned(character: char, encoding: &'static Encoding) -> bool {
    matches!(character, '\u{80}'..='\u{9f}') && encoding.is_single_byte() && encoding.name().starts_with("windows-")
}

/// Appends what was decoded, with `undecodable` in the place of each byte that the encoding does not have.
fn push_text(decoded: &[u8], encoding: &'static Encoding, undecodable: &[u8], into: &mut Vec<u8>) {
    let mut from = 0;
    if encoding.is_single_byte() && encoding.name().starts_with("windows-") {
        for at in memchr::memchr_iter(0xC2, decoded) {
            if decoded.get(at + 1).is_some_and(|byte| *byte <= 0x9F) {
                into.extend_from_slice(&decoded[from..at]);
                into.extend_from_slice(undecodable);
                from = at + 2;
            }
        }
    }
    into.extend_from_slice(&decoded[from..]);
}

/// What an XML declaration without a byte order mark says.
pub(super) fn declared_encoding(first: &[u8]) -> Option<(&'static Encoding, Option<String>)> {
    match first {
        [b'<', 0, b'?', 0, ..] => return Some((encoding_rs::UTF_16LE, None)),
        [0, b'<', 0, b'?', ..] => return Some((encoding_rs::UTF_16BE, None)),
        _ => {}
    }
    let end = memchr::memmem::find(first, b"?>").filter(|_| first.starts_with(b"<?xml"))?;
    let declaration = &first[..end];
    let value =
        declaration[memchr::memmem::find(declaration, b"encoding")? + 8..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, value) = value.split_first()?;
    let label = &value[..memchr::memchr(*quote, value)?];
    // A document of single bytes cannot be in UTF-16, whatever it says.
    let single = |encoding: &&'static Encoding| encoding.is_ascii_compatible() || *encoding == encoding_rs::ISO_2022_JP;
    let encoding = Encoding::for_label(label).filter(single)?;
    Some((encoding, std::str::from_utf8(label).ok().map(str::to_owned)))
}

fn read_some(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// What a document begins with in this encoding: a byte order mark for UTF-16, nothing for others.
pub fn mark(encoding: &'static Encoding, into: &mut Vec<u8>) {
    if encoding == encoding_rs::UTF_16LE {
        into.extend([0xFF, 0xFE]);
    } else if encoding == encoding_rs::UTF_16BE {
        into.extend([0xFE, 0xFF]);
    }
}

/// Encodes the exact text of a record, as it was sent: where bytes stand that were no text, others that are none, so that it is refused again. A character
/// that the encoding lacks can only stand in our own words, and becomes a question mark.
pub fn encode_raw(raw: &[u8], encoding: &'static Encoding, into: &mut Vec<u8>) {
    if encoding == UTF_8 {
        return into.extend_from_slice(raw);
    }
    for chunk in raw.utf8_chunks() {
        encode_sent(chunk.valid(), encoding, |_| "?".to_owned(), into);
        if !chunk.invalid().is_empty() {
            into.extend(undecodable(encoding));
        }
    }
}

/// Encodes text of which a part was read in this encoding, and is written by the bytes that it had; `instead` spells what the encoding lacks.
pub fn encode_sent(text: &str, encoding: &'static Encoding, instead: impl Fn(char) -> String, into: &mut Vec<u8>) {
    encode_parts(text, encoding, true, instead, into);
}

/// Encodes text for a document in which every character has a spelling: `instead` is that of one that the encoding lacks.
pub fn encode_spelled(text: &str, encoding: &'static Encoding, instead: impl Fn(char) -> String, into: &mut Vec<u8>) {
    encode_parts(text, encoding, false, instead, into);
}

fn encode_parts(text: &str, encoding: &'static Encoding, sent: bool, instead: impl Fn(char) -> String, into: &mut Vec<u8>) {
    if encode(text, encoding, into).is_ok() {
        return;
    }
    let (mut rest, mut plain) = (text, String::new());
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        if NO_CHARACTER.contains(c) {
            // What stood there was no text, and is to be none again.
            push_encoded(&std::mem::take(&mut plain), encoding, into);
            into.extend(undecodable(encoding));
        } else if has(c, encoding) {
            plain.push(c);
        } else if let Some((more, bytes)) = sent.then(|| more::bytes_of(rest, encoding)).flatten() {
            push_encoded(&std::mem::take(&mut plain), encoding, into);
            join(&bytes, into);
            length = more;
        } else {
            plain.push_str(&instead(c));
        }
        rest = &rest[length..];
    }
    push_encoded(&plain, encoding, into);
}

/// Text that the encoding has.
fn push_encoded(text: &str, encoding: &'static Encoding, into: &mut Vec<u8>) {
    join(&encoded(text, encoding).unwrap_or_default(), into);
}

/// Appends what was encoded. Nothing stands between two changes of the set in ISO-2022-JP: the first is left out.
fn join(bytes: &[u8], into: &mut Vec<u8>) {
    const ASCII: &[u8] = b"\x1B(B";
    if bytes.first() == Some(&ASCII[0]) && into.ends_with(ASCII) {
        into.truncate(into.len() - ASCII.len());
    }
    into.extend_from_slice(bytes);
}

/// Bytes that are no text in an encoding; none where all are.
pub fn undecodable(encoding: &'static Encoding) -> Vec<u8> {
    if encoding == UTF_8 {
        return UNDECODABLE.to_vec();
    }
    if encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE {
        // Half of a character.
        return if encoding == encoding_rs::UTF_16LE { vec![0x00, 0xD8] } else { vec![0xD8, 0x00] };
    }
    let is_none = |byte: &u8| match encoding.decode_without_bom_handling_and_without_replacement(&[*byte, b'\n']) {
        Some(text) => text.chars().any(|c| is_unassigned(c, encoding)),
        None => true,
    };
    (0x80..=0xFF).rev().find(is_none).into_iter().collect()
}

/// Encodes text for a document; `Err` is the first character that the encoding does not have.
pub fn encode(text: &str, encoding: &'static Encoding, into: &mut Vec<u8>) -> Result<(), char> {
    if encoding == UTF_8 || (encoding.is_ascii_compatible() && text.is_ascii()) {
        into.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    match encoded(text, encoding) {
        Some(bytes) => {
            join(&bytes, into);
            Ok(())
        }
        None => Err(text.chars().find(|c| !has(*c, encoding)).unwrap_or(char::REPLACEMENT_CHARACTER)),
    }
}

/// Whether an encoding has a character.
pub fn has(character: char, encoding: &'static Encoding) -> bool {
    encoded(character.encode_utf8(&mut [0; 4]), encoding).is_some()
}

/// Text in an encoding, if that has all of it. Encoders of more bytes write some characters as others that look alike (in Shift_JIS a yen sign as a
/// backslash): what is read again as another is not had.
fn encoded(text: &str, encoding: &'static Encoding) -> Option<Vec<u8>> {
    if encoding == UTF_8 {
        return Some(text.as_bytes().to_vec());
    }
    if encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE {
        let little = encoding == encoding_rs::UTF_16LE;
        return Some(text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect());
    }
    let mut bytes = vec![0u8; text.len() * 4 + 16];
    let (result, _, written) = encoding.new_encoder().encode_from_utf8_without_replacement(text, &mut bytes, true);
    bytes.truncate(written);
    if text.chars().any(|c| is_unassigned(c, encoding)) {
        return None;
    }
    let reads = || encoding.decode_without_bom_handling_and_without_replacement(&bytes).is_some_and(|read| read == text);
    (result == encoding_rs::EncoderResult::InputEmpty && (encoding.is_single_byte() || reads())).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str, encoding: &'static Encoding) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_raw(text.as_bytes(), encoding, &mut bytes);
        bytes
    }

    #[test]
    fn bytes_that_a_code_page_does_not_have_are_no_text_and_are_not_written() {
        for (label, bytes, lacks) in
            [("windows-1252", &b"M\x81ller \x9d \xc2\xa3 \x80"[..], 2), ("windows-1250", b"\x83\x9a", 1), ("iso-8859-2", b"\x85\x9a", 0)]
        {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let (mut decoding, mut text) = (Decoding::new(bytes, encoding), Vec::new());
            while decoding.read_into(&mut text).unwrap() {}
            assert_eq!(text.iter().filter(|byte| **byte == 0xFF).count(), lacks, "{label}: {text:?}");
            let mut again = Vec::new();
            encode_raw(&text, encoding, &mut again);
            let (mut decoding, mut found) = (Decoding::new(&again[..], encoding), Vec::new());
            while decoding.read_into(&mut found).unwrap() {}
            assert_eq!((found, has('\u{81}', encoding)), (text, lacks == 0), "{label}");
        }
    }

    #[test]
    fn whatever_an_encoding_reads_comes_back_by_bytes_that_are_read_so() {
        for encoding in [
            encoding_rs::BIG5,
            encoding_rs::EUC_JP,
            encoding_rs::EUC_KR,
            encoding_rs::GBK,
            encoding_rs::GB18030,
            encoding_rs::SHIFT_JIS,
            encoding_rs::WINDOWS_1252,
        ] {
            let pairs = (0x80..=0xFF).flat_map(|lead| (0x21..=0xFF).map(move |trail| vec![lead, trail])).step_by(11);
            let three = (0x80..=0xFF).flat_map(|lead| (0x80..=0xFF).map(move |trail| vec![0x8F, lead, trail])).step_by(7);
            let four = (0x30..=0x39).map(|last| vec![0x81, 0x30, 0x81, last]);
            let read = |bytes: Vec<u8>| encoding.decode_without_bom_handling_and_without_replacement(&bytes).map(|text| text.into_owned());
            let text: String = pairs.chain(three).chain(four).filter_map(read).collect();
            let text: String = text.chars().filter(|c| !is_unassigned(*c, encoding)).collect();
            let bytes = sent(&text, encoding);
            assert!(encoding.decode_without_bom_handling(&bytes).0 == text, "{}", encoding.name());
        }
        for (label, bytes) in [
            ("big5", &b"\xfbH\x88\x62\x88\x64a"[..]),
            ("gbk", b"\x819\xef0\xa8\xa6\x80"),
            ("euc-jp", b"\x8f\xb0\xa1\x8e\xb1\xc6\xfc"),
            ("shift_jis", b"\xf0\x40\xb1\x93\xfa\\"),
            ("iso-2022-jp", b"a\x1B(I12\x1B$BF|\x1B(I1\x1B(B b"),
        ] {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let text = encoding.decode_without_bom_handling_and_without_replacement(bytes).unwrap();
            let again = sent(&text, encoding);
            assert_eq!(
                encoding.decode_without_bom_handling_and_without_replacement(&again).as_deref(),
                Some(&*text),
                "{label}: {again:x?}"
            );
        }
    }

    #[test]
    fn a_character_that_would_be_read_as_another_is_not_had() {
        for (label, text, lacks) in [
            ("shift_jis", "100\u{a5}", Some('\u{a5}')),
            ("shift_jis", "x\u{203e}y", Some('\u{203e}')),
            ("euc-jp", "\u{65e5}\u{2212}5", Some('\u{2212}')),
            ("iso-2022-jp", "\u{65e5}\u{ff71}", Some('\u{ff71}')),
            ("iso-2022-jp", "\u{a5}5\\~", None),
            ("iso-2022-jp", "a\u{1b}b", Some('\u{1b}')),
            ("shift_jis", "\\~\u{ff0d}\u{ff71}", None),
            ("big5", "\u{5497}", Some('\u{5497}')),
            ("gbk", "\u{3400}", Some('\u{3400}')),
            ("gb18030", "\u{3400}\u{a5}\u{1f600}", None),
            ("windows-1252", "\u{a5}\u{20ac}", None),
        ] {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            assert_eq!(encode(text, encoding, &mut Vec::new()).err(), lacks, "{label}: {text}");
        }
        // Two that are encoded one behind the other have nothing between them.
        let mut bytes = Vec::new();
        for text in ["\u{65e5}", "\u{672c}", "a"] {
            encode(text, encoding_rs::ISO_2022_JP, &mut bytes).unwrap();
        }
        assert_eq!(encoding_rs::ISO_2022_JP.decode(&bytes), ("\u{65e5}\u{672c}a".into(), encoding_rs::ISO_2022_JP, false));
    }
}
