//! Characters to bytes: encodings, the byte order mark, the bound on what is written.

use std::io::Write;

use encoding_rs::{CoderResult, Encoder, EncoderResult, Encoding};

use crate::error::{Error, ErrorKind, Result};

/// How much is collected before it is encoded and written.
const PIECE: usize = 32 * 1024;

#[derive(Clone, Copy)]
enum Coding {
    Utf8,
    Utf16 { big: bool },
    Latin1,
    Ascii,
    Table(&'static Encoding),
}

/// Where the result goes.
pub(crate) struct Sink<'w> {
    output: &'w mut (dyn Write + Send),
    coding: Coding,
    /// The name for declarations.
    name: String,
    /// That of a table: one for all pieces, because what it writes may hang on what stands before (ISO-2022-JP).
    encoder: Option<Encoder>,
    buffer: String,
    bytes: Vec<u8>,
    written: u64,
    bytes_max: u64,
    mark_due: bool,
}

/// What an encoding's name means.
fn coding(name: &str) -> Option<Coding> {
    Some(match name.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "unicode-1-1-utf-8" => Coding::Utf8,
        "utf-16" | "utf-16le" | "unicode" | "iso-10646-ucs-2" => Coding::Utf16 { big: false },
        "utf-16be" => Coding::Utf16 { big: true },
        "iso-8859-1" | "latin1" | "iso8859-1" | "iso_8859-1" => Coding::Latin1,
        "us-ascii" | "ascii" => Coding::Ascii,
        lower => Coding::Table(Encoding::for_label(lower.as_bytes())?),
    })
}

/// Whether there is an encoding of this name.
pub(crate) fn is_known(name: &str) -> bool {
    coding(name).is_some()
}

impl<'w> Sink<'w> {
    /// `mark`: whether UTF-8 gets a byte order mark. UTF-16 always does.
    pub(crate) fn new(output: &'w mut (dyn Write + Send), encoding: Option<&str>, mark: bool, bytes_max: u64) -> Result<Sink<'w>> {
        let name = encoding.unwrap_or("utf-8").to_owned();
        let Some(coding) = coding(&name) else {
            return Err(Error::new(ErrorKind::Output, "unknown output encoding")
                .found(name)
                .expected("UTF-8, UTF-16, ISO-8859-1, windows-1252 or another of the WHATWG list"));
        };
        let mark_due = match coding {
            Coding::Utf8 => mark,
            Coding::Utf16 { .. } => true,
            _ => false,
        };
        let encoder = if let Coding::Table(encoding) = coding { Some(encoding.new_encoder()) } else { None };
        let buffer = String::with_capacity(PIECE + 1024);
        Ok(Sink { output, coding, name, encoder, buffer, bytes: Vec::new(), written: 0, bytes_max, mark_due })
    }

    /// The encoding's name, as declarations give it.
    pub(crate) fn encoding(&self) -> &str {
        &self.name
    }

    pub(crate) fn written(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(crate) fn push(&mut self, text: &str) -> Result<()> {
        self.buffer.push_str(text);
        if self.buffer.len() >= PIECE { self.flush(false) } else { Ok(()) }
    }

    /// Whether the encoding has all characters.
    pub(crate) fn has_all(&self) -> bool {
        matches!(self.coding, Coding::Utf8 | Coding::Utf16 { .. })
    }

    /// Whether the encoding has this character. Encoders of more bytes write some as others that look alike, a yen sign in Shift_JIS as a backslash: those
    /// are not had.
    pub(crate) fn has(&self, c: char) -> bool {
        match self.coding {
            Coding::Utf8 | Coding::Utf16 { .. } => true,
            Coding::Latin1 => (c as u32) < 0x100,
            Coding::Ascii => c.is_ascii(),
            Coding::Table(encoding) => {
                c.is_ascii() || {
                    let (mut bytes, mut text) = ([0; 16], [0; 4]);
                    let text: &str = c.encode_utf8(&mut text);
                    let (result, _, written) = encoding.new_encoder().encode_from_utf8_without_replacement(text, &mut bytes, true);
                    let read = || encoding.decode_without_bom_handling_and_without_replacement(&bytes[..written]);
                    result == EncoderResult::InputEmpty && (encoding.is_single_byte() || read().is_some_and(|read| read == text))
                }
            }
        }
    }

    /// Text where no reference can stand: a character that the encoding lacks is an error.
    pub(crate) fn plain(&mut self, text: &str) -> Result<()> {
        if !self.has_all()
            && let Some(missing) = text.chars().find(|&c| !self.has(c))
        {
            return Err(Error::new(ErrorKind::Output, "a character that the output encoding does not have")
                .found(format!("U+{:04X} {missing}", missing as u32))
                .expected(format!("characters of {}", self.name))
                .hint("use encoding=\"utf-8\" on xsl:output"));
        }
        self.push(text)
    }

    fn flush(&mut self, last: bool) -> Result<()> {
        if self.buffer.is_empty() && !self.mark_due && !(last && self.encoder.is_some()) {
            return Ok(());
        }
        self.bytes.clear();
        match self.coding {
            Coding::Utf8 if self.mark_due => self.bytes.extend_from_slice(b"\xEF\xBB\xBF"),
            Coding::Utf16 { big } if self.mark_due => self.bytes.extend_from_slice(if big { b"\xFE\xFF" } else { b"\xFF\xFE" }),
            _ => {}
        }
        self.mark_due = false;
        match self.coding {
            Coding::Utf8 if self.bytes.is_empty() => {}
            Coding::Utf8 => self.bytes.extend_from_slice(self.buffer.as_bytes()),
            Coding::Utf16 { big } => {
                for unit in self.buffer.encode_utf16() {
                    self.bytes.extend_from_slice(&if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
                }
            }
            Coding::Latin1 | Coding::Ascii => self.bytes.extend(self.buffer.chars().map(|c| u8::try_from(c as u32).unwrap_or(b'?'))),
            Coding::Table(_) => self.encode(last),
        }
        let bytes = if self.bytes.is_empty() { self.buffer.as_bytes() } else { &self.bytes[..] };
        self.written += bytes.len() as u64;
        if self.written > self.bytes_max {
            return Err(
                Error::new(ErrorKind::Budget, format!("the result has more than {} bytes", self.bytes_max)).hint("raise the output budget")
            );
        }
        let outcome = self.output.write_all(bytes);
        self.buffer.clear();
        outcome.map_err(|error| Error::new(ErrorKind::Output, "the result cannot be written").found(error.to_string()))
    }

    fn encode(&mut self, last: bool) {
        let Some(encoder) = &mut self.encoder else { return };
        let mut read = 0;
        loop {
            self.bytes.reserve(self.buffer.len() - read + 64);
            let (result, more, _) = encoder.encode_from_utf8_to_vec(&self.buffer[read..], &mut self.bytes, last);
            read += more;
            if result == CoderResult::InputEmpty {
                return;
            }
        }
    }

    /// Writes what is left; gives the number of bytes.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.flush(true)?;
        self.output.flush().map_err(|error| Error::new(ErrorKind::Output, "the result cannot be written").found(error.to_string()))?;
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(encoding: &str, mark: bool, text: &str) -> Result<Vec<u8>> {
        let mut output = Vec::new();
        let mut sink = Sink::new(&mut output, Some(encoding), mark, 1000)?;
        sink.plain(text)?;
        sink.finish()?;
        Ok(output)
    }

    #[test]
    fn characters_become_the_bytes_of_the_encoding() {
        for (encoding, text, expected) in [
            ("utf-8", "é", &b"\xEF\xBB\xBF\xC3\xA9"[..]),
            ("UTF-16", "é", b"\xFF\xFE\xE9\0"),
            ("iso-8859-1", "é", b"\xE9"),
            ("windows-1252", "€", b"\x80"),
            ("us-ascii", "e", b"e"),
        ] {
            assert_eq!(bytes(encoding, true, text).expect("good"), expected, "{encoding}");
        }
        assert!(bytes("iso-8859-1", true, "€").is_err());
        assert!(bytes("shift_jis", true, "日\\").is_ok() && bytes("shift_jis", true, "¥").is_err());
        assert!(bytes("klingon", true, "").is_err());
        assert_eq!(bytes("utf-8", false, "").expect("good"), b"");
    }

    #[test]
    fn what_is_written_in_pieces_is_as_what_is_written_at_once() {
        for name in ["iso-2022-jp", "shift_jis", "gb18030"] {
            let text = "あ".repeat(PIECE);
            let mut output = Vec::new();
            let mut sink = Sink::new(&mut output, Some(name), false, u64::MAX).expect("good");
            text.chars().for_each(|c| sink.plain(c.encode_utf8(&mut [0; 4])).expect("written"));
            assert_eq!(sink.finish().expect("good"), output.len() as u64);
            let encoding = Encoding::for_label(name.as_bytes()).expect("known");
            assert!(output == encoding.encode(&text).0.as_ref(), "{name}");
        }
    }

    #[test]
    fn more_than_the_budget_is_refused() {
        let error = bytes("utf-8", false, &"x".repeat(40_000)).expect_err("too much");
        assert_eq!(error.kind, ErrorKind::Budget);
    }
}
