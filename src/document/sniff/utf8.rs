//! Whether a document is in UTF-8 although its format, or its XML declaration, names another encoding: looked at while it is read, wherever that shows.
//!
//! A byte that is no part of UTF-8 says that it is not, and what follows passes unseen. Text of single bytes may be UTF-8 by accident (`NESCAFÉ®` in
//! windows-1252, `SPÓŁKA` in windows-1250), but then it hardly ever gives a character of its own encoding, as what is in UTF-8 does: there `Ã©` is `é`. So
//! a document is in UTF-8 where no byte says otherwise and one such character is in it. Two, or eight of any kind, say so at once. Where all are others it is
//! noted. In encodings of more bytes (GBK) such a character may well be an accident, and only eight say so. A file of refused rows is judged at its end: those
//! few rows may be the ones that somebody has saved twice, but our words have a character, too, whose byte is no UTF-8 unless somebody has saved the file so.

use std::io::{self, Read};

use encoding_rs::Encoding;

use crate::document::broken::Broken;

/// So many different characters of the stated encoding are no accident.
const OWN_SURE: usize = 2;
/// Nor are so many of any kind.
const SURE: usize = 8;

/// What a document is said to be in.
#[derive(Clone, Copy, Debug)]
pub struct Stated {
    /// The encoding.
    pub encoding: &'static Encoding,
    /// Its XML declaration says so, not the format.
    pub declared: bool,
    /// It is a file of refused rows.
    pub ours: bool,
}

impl Stated {
    fn told(self) -> String {
        format!("{} says {}", if self.declared { "its declaration" } else { "the format" }, self.encoding.name())
    }

    fn hint(self) -> &'static str {
        if self.declared { "correct the declaration" } else { "write encoding = \"utf-8\"" }
    }

    /// Whether a character is one of its own, or a byte order mark, which text in UTF-8 may have anywhere when it was put together.
    fn has(self, character: char) -> bool {
        let own = || self.encoding.is_single_byte() && !self.encoding.encode(character.encode_utf8(&mut [0; 4])).2;
        character == '\u{feff}' || own()
    }
}

/// A source of bytes that is watched. What is found out while it is read ends it with an error that holds a [`Broken`].
pub struct Watched<R> {
    source: R,
    /// What it is said to be in, as long as it may be in UTF-8 instead.
    stated: Option<Stated>,
    line: u64,
    /// The last byte was a carriage return.
    returned: bool,
    /// The first bytes of a character.
    begun: Vec<u8>,
    /// Different characters beyond ASCII, and how many of them the stated encoding has.
    seen: Vec<char>,
    own: usize,
}

impl<R> Watched<R> {
    /// Watches a document of which these are the first bytes, `whole` when they are all; nothing is stated where nothing is to be watched.
    pub fn new(source: R, stated: Option<Stated>, first: &[u8], whole: bool) -> Result<Watched<R>, Broken> {
        let mut watched = Watched { source, stated, line: 1, returned: false, begun: Vec::new(), seen: Vec::new(), own: 0 };
        watched.look(first);
        watched.told(whole).map_or(Ok(watched), Err)
    }

    /// What cannot be known: that it may be in UTF-8, and what to do.
    pub fn doubt(&self) -> Option<(String, String)> {
        let (stated, character) = (self.stated?, self.seen.first()?);
        let message = format!("the document may be in UTF-8: then line {} has {character:?}, and {}", self.line, stated.told());
        Some((message, format!("where it is in UTF-8, {}", stated.hint())))
    }

    /// What is wrong, as far as it is known; `ended`: nothing follows.
    fn told(&self, ended: bool) -> Option<Broken> {
        let stated = self.stated?;
        let sure = (self.own >= OWN_SURE || self.seen.len() >= SURE) && (ended || !stated.ours) || (ended && self.own > 0);
        let message = || format!("the document is in UTF-8, and {}", stated.told());
        let hint = || format!("{}, or save the document in {}", stated.hint(), stated.encoding.name());
        sure.then(|| Broken::at(self.line, message(), hint()))
    }

    fn look(&mut self, bytes: &[u8]) {
        let Some(stated) = self.stated else { return };
        if self.begun.is_empty() && bytes.is_ascii() {
            return self.count_lines(bytes);
        }
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            if self.begun.is_empty() && byte.is_ascii() {
                let end = rest.iter().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
                self.count_lines(&rest[..end]);
                rest = &rest[end..];
                continue;
            }
            rest = behind;
            self.begun.push(*byte);
            match std::str::from_utf8(&self.begun).map(|text| text.chars().next()) {
                Ok(Some(character)) if self.seen.len() < SURE && !self.seen.contains(&character) => {
                    self.own += usize::from(stated.has(character));
                    self.seen.push(character);
                    self.begun.clear();
                    if self.told(false).is_some() {
                        return;
                    }
                }
                Ok(_) => self.begun.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => {
                    self.stated = None;
                    return;
                }
            }
        }
    }

    /// Up to the first character beyond ASCII.
    fn count_lines(&mut self, bytes: &[u8]) {
        if !self.seen.is_empty() {
            return;
        }
        let returned = |at: usize| if at == 0 { self.returned } else { bytes[at - 1] == b'\r' };
        self.line += memchr::memchr2_iter(b'\n', b'\r', bytes).filter(|at| bytes[*at] == b'\r' || !returned(*at)).count() as u64;
        self.returned = bytes.last() == Some(&b'\r');
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        if self.stated.is_some() {
            self.look(&buffer[..count]);
            if let Some(broken) = self.told(count == 0 && !buffer.is_empty()) {
                return Err(io::Error::other(broken));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all of it, the first bytes at once and the others in small pieces; what is told, and what is noted.
    fn read(bytes: &[u8], label: &str, first: usize, ours: bool) -> (Option<u64>, bool) {
        let stated = Encoding::for_label(label.as_bytes()).map(|encoding| Stated { encoding, declared: false, ours });
        let (first, rest) = bytes.split_at(first.min(bytes.len()));
        let mut watched = match Watched::new(rest, stated, first, rest.is_empty()) {
            Ok(watched) => watched,
            Err(Broken::Document { line, .. }) => return (Some(line), false),
            Err(Broken::Source(error)) => panic!("{error}"),
        };
        let mut piece = [0; 3];
        loop {
            match watched.read(&mut piece) {
                Ok(0) => return (None, watched.doubt().is_some()),
                Ok(_) => {}
                Err(error) => match Broken::from(error) {
                    Broken::Document { line, .. } => return (Some(line), false),
                    Broken::Source(error) => panic!("{error}"),
                },
            }
        }
    }

    #[test]
    fn what_is_in_utf8_is_told_with_its_line_and_what_is_so_by_accident_is_not() {
        let far = "a,b\r\n".repeat(20);
        let latin = |text: &str| encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
        let polish = |text: &str| encoding_rs::WINDOWS_1250.encode(text).0.into_owned();
        let (told, noted, nothing) = (|line| (Some(line), false), (None, true), (None, false));
        let table: &[(Vec<u8>, &str, (Option<u64>, bool))] = &[
            (b"a,b\n1,x\n".into(), "windows-1252", nothing),
            ("a,b\n1,\u{e9}\n".into(), "windows-1252", told(2)),
            (format!("{far}1,M\u{fc}ller\n{far}").into(), "windows-1252", told(21)),
            (format!("{}1,\u{20ac}\r{far}", far.replace('\n', "")).into(), "iso-8859-15", told(21)),
            ("\u{142}\u{f3}d\u{17a}".into(), "windows-1252", told(1)),
            ("\u{43c}\u{438}\u{440} \u{434}\u{440}\u{443}\u{436}\u{431}\u{430}".into(), "windows-1252", told(1)),
            ("\u{43c}\u{438}\u{440}".into(), "windows-1251", told(1)),
            ("1,a\n\u{feff}2,b\n".into(), "windows-1252", told(2)),
            (b"1,\xC3\xA9,\xC3".into(), "windows-1252", told(1)),
            (latin("1,\u{e9}\n"), "windows-1252", nothing),
            (latin("1,NESCAF\u{c9}\u{ae}\n"), "windows-1252", noted),
            (latin(&format!("1,NESCAF\u{c9}\u{ae}\n{far}2,M\u{fc}ller\n")), "windows-1252", nothing),
            (latin(&format!("1,L\u{c3}\u{a0}\n{far}2,Ma\u{e7}\u{e3}\n")), "windows-1252", nothing),
            (latin(&format!("{far}1,\u{c3}\u{a9} \u{e9}\n")), "windows-1252", nothing),
            (polish("SP\u{d3}\u{141}KA"), "windows-1250", noted),
            (polish("SP\u{d3}\u{141}KA Z O.O., \u{141}\u{d3}D\u{179}"), "windows-1250", nothing),
            ("1,M\u{fc}ller\n".into(), "shift_jis", noted),
            ("\u{5c0f}\u{6821}\u{4f60}\u{597d}\u{6587}\u{4ef6}\u{7f16}\u{7801}".into(), "gbk", told(1)),
            // Both are Cyrillic letters of GBK in UTF-8.
            (b"\xD0\xA1\xD0\xA3".into(), "gbk", noted),
            (encoding_rs::GBK.encode("\u{5c0f}\u{6821}\u{4f60}\u{597d}").0.into_owned(), "gbk", nothing),
            (b"1,\xC3".into(), "windows-1252", nothing),
            (b"1,\xC3\n".into(), "windows-1252", nothing),
        ];
        for (bytes, label, expected) in table {
            for first in [0, 1, 7, usize::MAX] {
                assert_eq!(read(bytes, label, first, false), *expected, "{}", String::from_utf8_lossy(bytes));
                assert_eq!(read(bytes, label, first, true), *expected, "{}", String::from_utf8_lossy(bytes));
            }
        }
    }
}
