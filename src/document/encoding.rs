//! Encodings: bytes of a document to UTF-8 and back. A byte order mark wins over the stated encoding and is no data.
//!
//! Bytes that are no text are never replaced in silence: they become text that no check of UTF-8 accepts, so that the record they stand in is
//! refused.

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
            marked: false,
            label: None,
        }
    }

    /// As `new`, but always valid UTF-8: what is no text becomes [`NO_CHARACTER`]. `declared`: an XML declaration is believed too.
    pub fn checked(source: R, encoding: &'static Encoding, declared: bool) -> Self {
        Decoding { declared, undecodable: NO_CHARACTER.as_bytes(), ..Decoding::new(source, encoding) }
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
            text.extend_from_slice(&output[..written]);
            input = &input[read..];
            match result {
                encoding_rs::DecoderResult::InputEmpty => return Ok(!last),
                encoding_rs::DecoderResult::OutputFull => {}
                encoding_rs::DecoderResult::Malformed(..) => text.extend_from_slice(self.undecodable),
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
        if encoding != UTF_8 || self.undecodable != UNDECODABLE {
            self.decoder = Some(encoding.new_decoder_without_bom_handling());
        }
        self.pending = first;
        Ok(())
    }
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
    let encoding = Encoding::for_label(label).filter(|encoding| encoding.is_ascii_compatible())?;
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

/// Encodes the exact text of a record: where bytes stand that were no text, others that are none, so that it is refused again. A character that the
/// encoding lacks can only stand in our own words, and becomes a question mark.
pub fn encode_raw(raw: &[u8], encoding: &'static Encoding, into: &mut Vec<u8>) {
    if encoding == UTF_8 {
        return into.extend_from_slice(raw);
    }
    for chunk in raw.utf8_chunks() {
        let start = into.len();
        if encode(chunk.valid(), encoding, into).is_err() {
            into.truncate(start);
            for c in chunk.valid().chars() {
                if encode(c.encode_utf8(&mut [0; 4]), encoding, into).is_err() {
                    into.push(b'?');
                }
            }
        }
        if !chunk.invalid().is_empty() {
            into.extend(undecodable(encoding));
        }
    }
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
    let is_none = |byte: &u8| encoding.decode_without_bom_handling_and_without_replacement(&[*byte, b'\n']).is_none();
    (0x80..=0xFF).rev().find(is_none).into_iter().collect()
}

/// Encodes text for a document; `Err` is the first character that the encoding does not have.
pub fn encode(text: &str, encoding: &'static Encoding, into: &mut Vec<u8>) -> Result<(), char> {
    if encoding == UTF_8 {
        into.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    if encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE {
        let little = encoding == encoding_rs::UTF_16LE;
        into.extend(text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }));
        return Ok(());
    }
    let mut encoder = encoding.new_encoder();
    let mut output = vec![0u8; text.len() * 4 + 16];
    let (result, _, written) = encoder.encode_from_utf8_without_replacement(text, &mut output, true);
    match result {
        encoding_rs::EncoderResult::Unmappable(character) => Err(character),
        _ => {
            into.extend_from_slice(&output[..written]);
            Ok(())
        }
    }
}
