//! What D365 itself refuses of a document, for who tests a client against us (`serve --strict`): text that is to be Unicode has to be UTF-16 with a byte
//! order mark and lines that end with CRLF (CONTRACT §4.3, "Package traps"). There the reason is a riddle; here it is said.

use std::io::{self, Read};

use crate::document::package::archive::DocumentFault;
use crate::model::format::Format;

/// Whether a format is one whose documents D365 wants in UTF-16.
pub fn is_unicode(format: &Format) -> bool {
    format.source_format().ends_with("-Unicode")
}

/// A document, looked at while it is read.
pub struct Strict<R> {
    document: R,
    on: bool,
    /// Bytes so far.
    at: u64,
    /// The last three bytes.
    last: [u8; 3],
}

impl<R: Read> Strict<R> {
    /// Looks at the document when `on`.
    pub fn new(document: R, on: bool) -> Strict<R> {
        Strict { document, on, at: 0, last: [0; 3] }
    }

    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            match (self.at, byte) {
                (0, 0xFF) | (1, 0xFE) => {}
                (0 | 1, _) => {
                    return Err(DocumentFault::new(
                        "the file is not Unicode: CSV-Unicode is UTF-16, little-endian, and begins with a byte order mark (D365: \"Selected file is not Unicode\")",
                    ));
                }
                // A line feed, the second byte of its unit; before it two bytes of a carriage return.
                (at, 0) if at % 2 == 1 && self.last[2] == b'\n' && self.last[..2] != [b'\r', 0] => {
                    return Err(DocumentFault::new(
                        "a line ends with LF alone: lines of CSV-Unicode end with CRLF (D365: \"the mapping is incorrect for entity\")",
                    ));
                }
                _ => {}
            }
            self.last = [self.last[1], self.last[2], byte];
            self.at += 1;
        }
        Ok(())
    }
}

impl<R: Read> Read for Strict<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.document.read(buffer)?;
        if self.on {
            self.look(&buffer[..count])?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_utf_16_with_mark_and_crlf_passes() {
        let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let read = |bytes: &[u8]| {
            let mut out = Vec::new();
            Strict::new(bytes, true).read_to_end(&mut out).map(|_| out)
        };
        let good = wide("\u{feff}A;B\r\n\u{0a0a};\u{000d}\u{0a00}\r\n");
        assert_eq!(read(&good).unwrap(), good);
        for (bytes, word) in [
            (b"A;B\r\n".to_vec(), "not Unicode"),
            (wide("A;B\r\n"), "not Unicode"),
            (b"\xFE\xFF\0A".to_vec(), "not Unicode"),
            (wide("\u{feff}A;B\n"), "LF alone"),
            (wide("\u{feff}A\r\nB\n"), "LF alone"),
        ] {
            let error = read(&bytes).unwrap_err();
            assert!(DocumentFault::of(&error).unwrap().to_string().contains(word), "{word}");
        }
        let mut out = Vec::new();
        Strict::new(&b"A\n"[..], false).read_to_end(&mut out).unwrap();
        assert_eq!(out, b"A\n");
    }
}
