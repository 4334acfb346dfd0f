//! The characters of a document: read in pieces, decoded, line ends normalised, illegal characters refused, places counted.
//!
//! Only the part from the current token on is kept, so a document that is read record by record needs memory for one token.

use std::io::Read;

use encoding_rs::{CoderResult, Decoder, Encoding};

use crate::error::{Error, ErrorKind, Place, Result};

/// How much is asked of the reader at once.
const PIECE: usize = 64 * 1024;

enum Coding {
    /// Not yet known: the first bytes decide.
    Unknown,
    Utf8,
    Latin1,
    Other(Box<Decoder>),
}

/// Text that is being consumed from the front.
pub(crate) struct Input<'r> {
    reader: Option<Box<dyn Read + 'r>>,
    coding: Coding,
    /// Bytes read, not yet decoded: the beginning of a character, or the first bytes while the encoding is unknown.
    undecoded: Vec<u8>,
    pub(crate) buffer: String,
    /// Where the current token starts.
    pub(crate) at: usize,
    /// Whether the last character decoded was a carriage return which a line feed may follow.
    after_return: bool,
    /// The place of `counted`, an offset in the buffer up to which lines were counted.
    line: u32,
    column: u32,
    counted: usize,
    piece: Vec<u8>,
    /// The longest token.
    pub(crate) token_max: usize,
    uri: std::sync::Arc<str>,
}

fn fault(message: &str) -> Error {
    Error::new(ErrorKind::Document, message)
}

impl<'r> Input<'r> {
    pub(crate) fn reader(reader: Box<dyn Read + 'r>, uri: std::sync::Arc<str>) -> Input<'r> {
        Input {
            reader: Some(reader),
            coding: Coding::Unknown,
            undecoded: Vec::new(),
            buffer: String::new(),
            at: 0,
            after_return: false,
            line: 1,
            column: 1,
            counted: 0,
            piece: Vec::new(),
            token_max: usize::MAX,
            uri,
        }
    }

    /// Text that is already decoded: the replacement text of an entity.
    pub(crate) fn text(text: &str, place: Place) -> Input<'static> {
        Input {
            reader: None,
            coding: Coding::Utf8,
            undecoded: Vec::new(),
            buffer: text.to_owned(),
            at: 0,
            after_return: false,
            line: place.line,
            column: place.column,
            counted: 0,
            piece: Vec::new(),
            token_max: usize::MAX,
            uri: place.uri,
        }
    }

    /// What is left in the buffer.
    pub(crate) fn rest(&self) -> &str {
        &self.buffer[self.at..]
    }

    /// Reads more; false at the end.
    pub(crate) fn fill(&mut self) -> Result<bool> {
        let Some(reader) = self.reader.as_mut() else { return Ok(false) };
        // What was consumed is dropped once it is worth moving the rest.
        if self.at >= PIECE || self.at == self.buffer.len() {
            let (line, column) = count(&self.buffer[self.counted..self.at], self.line, self.column);
            (self.line, self.column, self.counted) = (line, column, 0);
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        if self.buffer.len() - self.at > self.token_max {
            return Err(
                Error::new(ErrorKind::Budget, "the document has more text in one piece than the budget allows").at(self.place(self.at))
            );
        }
        let before = self.buffer.len();
        self.piece.resize(PIECE, 0);
        let size = loop {
            match reader.read(&mut self.piece) {
                Ok(size) => break size,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fault("the document cannot be read").found(error.to_string()).at(self.place(self.at))),
            }
        };
        let piece = std::mem::take(&mut self.piece);
        let outcome = if size == 0 {
            self.reader = None;
            self.decode(&[], true)
        } else {
            self.decode(&piece[..size], false)
        };
        self.piece = piece;
        outcome?;
        // At the end, what was left over may still have made characters.
        Ok(size > 0 || self.buffer.len() > before)
    }

    fn decode(&mut self, piece: &[u8], last: bool) -> Result<()> {
        if let Coding::Unknown = self.coding {
            self.undecoded.extend_from_slice(piece);
            // A declaration fits into the first bytes; wait for enough of them.
            if self.undecoded.len() < 1024 && !last && !self.undecoded.contains(&b'>') {
                return Ok(());
            }
            let bytes = std::mem::take(&mut self.undecoded);
            let (coding, skip) = detect(&bytes).map_err(|error| error.at(self.place(0)))?;
            self.coding = coding;
            return self.decode(&bytes[skip..], last);
        }
        match &mut self.coding {
            Coding::Latin1 => {
                let text: String = piece.iter().map(|&byte| char::from(byte)).collect();
                self.append(&text)
            }
            Coding::Other(decoder) => {
                let mut text = String::with_capacity(decoder.max_utf8_buffer_length(piece.len()).unwrap_or(piece.len() * 3 + 16));
                let (result, _, replaced) = decoder.decode_to_string(piece, &mut text, last);
                if replaced || result == CoderResult::OutputFull {
                    let start = self.buffer.len();
                    return Err(fault("a byte sequence is no character of the document's encoding").at(self.place(start)));
                }
                self.append(&text)
            }
            Coding::Utf8 | Coding::Unknown => {
                let joined;
                let bytes = if self.undecoded.is_empty() {
                    piece
                } else {
                    let mut bytes = std::mem::take(&mut self.undecoded);
                    bytes.extend_from_slice(piece);
                    joined = bytes;
                    &joined
                };
                match std::str::from_utf8(bytes) {
                    Ok(text) => self.append(text),
                    Err(error) => {
                        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
                        self.append(valid)?;
                        if error.error_len().is_some() || last {
                            let end = self.buffer.len();
                            return Err(fault("a byte sequence is not UTF-8")
                                .at(self.place(end))
                                .hint("declare the encoding the document is really in"));
                        }
                        self.undecoded = bytes[error.valid_up_to()..].to_vec();
                        Ok(())
                    }
                }
            }
        }
    }

    /// Line ends become line feeds (XML 1.0, section 2.11).
    fn append(&mut self, text: &str) -> Result<()> {
        let from = self.buffer.len();
        let mut text = text;
        if self.after_return && !text.is_empty() {
            text = text.strip_prefix('\n').unwrap_or(text);
            self.after_return = false;
        }
        if memchr::memchr(b'\r', text.as_bytes()).is_none() {
            self.buffer.push_str(text);
        } else {
            self.after_return = text.ends_with('\r');
            let mut first = true;
            for piece in text.split('\r') {
                if first {
                    self.buffer.push_str(piece);
                } else {
                    self.buffer.push('\n');
                    self.buffer.push_str(piece.strip_prefix('\n').unwrap_or(piece));
                }
                first = false;
            }
        }
        self.refuse_illegal(from)
    }

    /// Characters that no document may have (XML 1.0, production 2).
    fn refuse_illegal(&self, from: usize) -> Result<()> {
        let bytes = &self.buffer.as_bytes()[from..];
        let control = |byte: u8| byte < 0x20 && byte != b'\t' && byte != b'\n' && byte != b'\r';
        if bytes.iter().fold(false, |found, &byte| found | control(byte))
            && let Some(offset) = bytes.iter().position(|&byte| control(byte))
        {
            return Err(fault("a control character is not allowed in XML")
                .found(format!("U+{:04X}", bytes[offset]))
                .at(self.place_from(from + offset)));
        }
        for offset in memchr::memchr_iter(0xEF, bytes) {
            if bytes[offset..].starts_with(b"\xEF\xBF\xBE") || bytes[offset..].starts_with(b"\xEF\xBF\xBF") {
                return Err(fault("U+FFFE and U+FFFF are not allowed in XML").at(self.place_from(from + offset)));
            }
        }
        Ok(())
    }

    fn place_from(&self, offset: usize) -> Place {
        let (line, column) = count(&self.buffer[self.counted.min(offset)..offset], self.line, self.column);
        Place { uri: self.uri.clone(), line, column }
    }

    /// The place of an offset in the buffer. Asking in ascending order costs nothing twice.
    pub(crate) fn place(&mut self, offset: usize) -> Place {
        let offset = offset.min(self.buffer.len());
        if offset >= self.counted {
            let (line, column) = count(&self.buffer[self.counted..offset], self.line, self.column);
            (self.line, self.column, self.counted) = (line, column, offset);
        }
        Place { uri: self.uri.clone(), line: self.line, column: self.column }
    }

    /// Line and column of an offset in the tag that starts here, while the buffer itself is lent out.
    pub(crate) fn place_within(&self, tag: &str, offset: usize) -> (u32, u32) {
        count(&tag[..offset], self.line, self.column)
    }

    /// The offset of a sequence of bytes at or after an offset from the token's start; reads on until it is there.
    pub(crate) fn find(&mut self, needle: &str, from: usize) -> Result<Option<usize>> {
        let mut from = from;
        loop {
            if let Some(found) = memchr::memmem::find(&self.rest().as_bytes()[from.min(self.rest().len())..], needle.as_bytes()) {
                return Ok(Some(from + found));
            }
            from = self.rest().len().saturating_sub(needle.len() - 1).max(from);
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Has at least this many bytes from the token's start, unless the document ends.
    pub(crate) fn ensure(&mut self, bytes: usize) -> Result<bool> {
        while self.rest().len() < bytes {
            if !self.fill()? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The text of an external entity, without the declaration of its encoding.
pub(crate) fn decode(bytes: &[u8], uri: &str) -> Result<String> {
    let mut input = Input::reader(Box::new(bytes), uri.into());
    while input.fill()? {}
    let text = input.rest();
    Ok(match text.strip_prefix("<?xml").filter(|rest| rest.starts_with(crate::name::is_space)).and_then(|rest| rest.find("?>")) {
        Some(end) => text[5 + end + 2..].to_owned(),
        None => text.to_owned(),
    })
}

/// Line and column after a text.
fn count(text: &str, line: u32, column: u32) -> (u32, u32) {
    match memchr::memrchr(b'\n', text.as_bytes()) {
        None => (line, column + text.chars().count() as u32),
        Some(last) => {
            let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count() as u32;
            (line + lines, 1 + text[last + 1..].chars().count() as u32)
        }
    }
}

/// The encoding by byte order mark, then by declaration (XML 1.0, appendix F).
fn detect(bytes: &[u8]) -> Result<(Coding, usize)> {
    let other = |encoding: &'static Encoding| Coding::Other(Box::new(encoding.new_decoder_without_bom_handling()));
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Ok((Coding::Utf8, 3));
    }
    if bytes.starts_with(b"\xFF\xFE") {
        return Ok((other(encoding_rs::UTF_16LE), 2));
    }
    if bytes.starts_with(b"\xFE\xFF") {
        return Ok((other(encoding_rs::UTF_16BE), 2));
    }
    if bytes.starts_with(b"<\0?\0") || bytes.starts_with(b"<\0") {
        return Ok((other(encoding_rs::UTF_16LE), 0));
    }
    if bytes.starts_with(b"\0<") {
        return Ok((other(encoding_rs::UTF_16BE), 0));
    }
    let Some(label) = declared(bytes) else { return Ok((Coding::Utf8, 0)) };
    let coding = match label.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "us-ascii" | "ascii" | "utf-16" => Coding::Utf8,
        "iso-8859-1" | "latin1" | "iso8859-1" => Coding::Latin1,
        lower => match Encoding::for_label(lower.as_bytes()) {
            Some(encoding) => other(encoding),
            None => {
                return Err(fault("unknown encoding")
                    .found(label)
                    .expected("UTF-8, UTF-16, ISO-8859-1, windows-1252 or another of the WHATWG list"));
            }
        },
    };
    Ok((coding, 0))
}

fn declared(bytes: &[u8]) -> Option<String> {
    if !bytes.starts_with(b"<?xml") {
        return None;
    }
    let end = memchr::memmem::find(bytes, b"?>")?;
    let declaration = std::str::from_utf8(&bytes[..end]).ok()?;
    let after = declaration[declaration.find("encoding")? + "encoding".len()..].trim_start().strip_prefix('=')?.trim_start();
    let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    after[1..].split(quote).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<String> {
        let mut input = Input::reader(Box::new(bytes), "".into());
        while input.fill()? {}
        Ok(input.rest().to_owned())
    }

    #[test]
    fn encodings_are_found_and_line_ends_become_line_feeds() {
        let utf16: Vec<u8> = [0xFEFF].into_iter().chain("<a>é\r\n</a>".encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let table: [(&[u8], &str); 5] = [
            (b"\xEF\xBB\xBF<a/>", "<a/>"),
            (&utf16, "<a>é\n</a>"),
            (b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9\x85</a>", "<?xml version='1.0' encoding='ISO-8859-1'?><a>é\u{85}</a>"),
            (b"<?xml version='1.0' encoding='windows-1252'?><a>\x80</a>", "<?xml version='1.0' encoding='windows-1252'?><a>€</a>"),
            (b"<a>\r\r\n\n\r</a>", "<a>\n\n\n\n</a>"),
        ];
        for (bytes, text) in table {
            assert_eq!(all(bytes).expect("good"), text);
        }
    }

    #[test]
    fn a_character_cut_by_the_reader_is_whole_again() {
        struct Single<'b>(&'b [u8]);
        impl Read for Single<'_> {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let Some((&first, rest)) = self.0.split_first() else { return Ok(0) };
                (into[0], self.0) = (first, rest);
                Ok(1)
            }
        }
        let mut input = Input::reader(Box::new(Single("<a>é€😀\r\n.</a>".as_bytes())), "".into());
        while input.fill().expect("good") {}
        assert_eq!(input.rest(), "<a>é€😀\n.</a>");
    }

    #[test]
    fn bad_bytes_have_a_place() {
        let error = all(b"<a>\n\xFF</a>").expect_err("no UTF-8");
        assert_eq!(error.place.map(|place| (place.line, place.column)), Some((2, 1)));
        let error = all(b"<a>\x01</a>").expect_err("a control character");
        assert_eq!(error.place.map(|place| (place.line, place.column)), Some((1, 4)));
    }
}
