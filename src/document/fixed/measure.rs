//! What the positions of fixed width count: characters, or the bytes that those have in the document's encoding.

use std::ops::Range;

use encoding_rs::Encoding;

use crate::document::encoding::width;
use crate::model::format::{FixedFormat, Unit};

/// How long a text is.
#[derive(Clone, Copy, Debug)]
pub enum Measure {
    /// So many characters.
    Characters,
    /// So many bytes in this encoding.
    Bytes(&'static Encoding),
}

impl Measure {
    /// Of documents of a format that are in this encoding.
    pub fn new(format: &FixedFormat, encoding: &'static Encoding) -> Measure {
        Measure::of_unit(format.unit, encoding)
    }

    /// By what positions count in documents that are in this encoding.
    pub fn of_unit(unit: Unit, encoding: &'static Encoding) -> Measure {
        match unit {
            // A document that a byte order mark says to be in UTF-16 was saved so by a program that knows nothing of its layout.
            _ if encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE => Measure::Characters,
            Unit::Characters => Measure::Characters,
            Unit::Bytes => Measure::Bytes(encoding),
        }
    }

    /// What it counts, in the plural.
    pub fn unit(self) -> &'static str {
        match self {
            Measure::Characters => "characters",
            Measure::Bytes(_) => "bytes",
        }
    }

    /// How long one character is.
    pub fn width(self, character: char) -> usize {
        match self {
            Measure::Characters => 1,
            Measure::Bytes(encoding) => width(character, encoding),
        }
    }

    /// How long a text is.
    pub fn of(self, text: &str) -> usize {
        match self {
            _ if text.is_ascii() => text.len(),
            Measure::Characters => text.chars().count(),
            Measure::Bytes(_) => text.chars().map(|c| self.width(c)).sum(),
        }
    }

    /// How long a text is in which bytes may stand that are none.
    pub fn of_raw(self, raw: &[u8]) -> usize {
        match self {
            Measure::Characters => String::from_utf8_lossy(raw).chars().count(),
            Measure::Bytes(_) => raw.utf8_chunks().map(|chunk| self.of(chunk.valid()) + chunk.invalid().len()).sum(),
        }
    }

    /// Where so much from `start` (from 1) on stands in a text, as far as there is, and whether it begins and ends with a character.
    pub fn place(self, text: &str, start: usize, length: usize) -> (Range<usize>, bool) {
        let (from, whole) = self.find(text, start - 1);
        let (to, ends) = self.find(text, start - 1 + length);
        (from..to.max(from), whole && ends)
    }

    /// The part of a text that stands there.
    pub fn part(self, text: &str, start: usize, length: usize) -> &str {
        &text[self.place(text, start, length).0]
    }

    /// Where so much ends in a text, and whether a character does there.
    fn find(self, text: &str, count: usize) -> (usize, bool) {
        if text.is_ascii() {
            return (count.min(text.len()), true);
        }
        let mut before = 0;
        for (at, c) in text.char_indices() {
            // What is no longer than nothing belongs to the character before.
            if before >= count && self.width(c) > 0 {
                return (at, before == count);
            }
            before += self.width(c);
        }
        (text.len(), before <= count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_in_the_bytes_of_the_encoding() {
        let sjis = Measure::Bytes(encoding_rs::SHIFT_JIS);
        let text = "a\u{5c71}\u{ff71}\u{7530} 5";
        assert_eq!((sjis.of(text), Measure::Characters.of(text)), (8, 6));
        assert_eq!((sjis.part(text, 2, 3), Measure::Characters.part(text, 2, 3)), ("\u{5c71}\u{ff71}", "\u{5c71}\u{ff71}\u{7530}"));
        assert_eq!((sjis.part(text, 8, 9), sjis.part(text, 9, 1)), ("5", ""));
        assert!(sjis.place(text, 2, 3).1 && !sjis.place(text, 2, 1).1 && !sjis.place(text, 3, 2).1 && sjis.place(text, 8, 100).1);
        assert_eq!(sjis.of_raw(b"a\xFF\xE5\xB1\xB1\xFF"), 5);
        for (encoding, text, length) in [
            (encoding_rs::UTF_8, "\u{e9}\u{65e5}", 5),
            (encoding_rs::BIG5, "\u{5497}\u{ca}\u{304}\u{1f600}", 5),
            (encoding_rs::EUC_JP, "\u{4e02}\u{65e5}\u{ff71}", 7),
            (encoding_rs::GBK, "\u{3400}\u{4e2d}\u{20ac}", 7),
            (encoding_rs::EUC_KR, "\u{d55c}a", 3),
            (encoding_rs::WINDOWS_1252, "\u{20ac}\u{e9}", 2),
        ] {
            assert_eq!(Measure::Bytes(encoding).of(text), length, "{}", encoding.name());
        }
    }
}
