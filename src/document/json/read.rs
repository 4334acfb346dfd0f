//! Reads records from JSON and JSON Lines, in memory that depends on the record and not on the document.
//!
//! Our own reader: serde_json gives neither the exact text of a record nor its line, nor a value before the document's end, and makes floating
//! point of numbers. Numbers are kept as they are written. A member is an element of its name in paths; an array is its items, one beside the
//! other; a document that is an array is its items too.

use std::io::Read;

use super::write::frame;
use crate::document::broken::Broken;
use crate::document::collect::{Asked, Collector, DEPTH_MAX, Instead, TooMuch};
use crate::document::encoding::{BLOCK, Decoding, NO_CHARACTER};
use crate::document::read::{Origin, first_line_end};
use crate::document::record::{Fault, Record};
use crate::document::tree::Shape;

/// A longer record ends the reading; of JSON Lines, a longer line is refused.
pub const RECORD_SIZE_MAX: usize = 16 * 1024 * 1024;
/// Numbers of more characters are refused.
const NUMBER_MAX: usize = 1000;
/// Said of a line of JSON Lines.
const BEHIND: &str = "something stands behind the value on this line";

/// What stands open around the next value.
#[derive(Clone, Debug)]
enum Around {
    /// An object, and whether a member came before.
    Object(bool),
    /// An array whose items have this name, and whether one came before.
    Array(String, bool),
}

/// Reads records.
pub struct Reader<R: Read> {
    source: Decoding<R>,
    lines: bool,
    text: Vec<u8>,
    /// What is kept begins here.
    start: usize,
    at: usize,
    counted: usize,
    line: u64,
    end_of_input: bool,
    around: Vec<Around>,
    collector: Collector,
    /// The value of the document is read.
    over: bool,
    found: u64,
}

impl<R: Read> Reader<R> {
    /// A reader of a document in this encoding; `lines` when each line is a value.
    pub fn new(source: R, encoding: &'static encoding_rs::Encoding, lines: bool, asked: Asked) -> Reader<R> {
        Reader {
            source: Decoding::checked(source, encoding, false),
            lines,
            text: Vec::with_capacity(2 * BLOCK),
            start: 0,
            at: 0,
            counted: 0,
            line: 1,
            end_of_input: false,
            around: Vec::new(),
            collector: Collector::new(asked, 1, frame),
            over: false,
            found: 0,
        }
    }

    /// What is read and stands behind the record at hand.
    pub fn ahead(&self) -> &[u8] {
        &self.text[self.at..]
    }

    /// How the document is written, as far as its first record tells.
    pub fn origin(&self) -> Origin {
        let array = matches!(self.around.first(), Some(Around::Array(..)));
        let record_end = first_line_end(&self.text);
        Origin { marked: self.source.is_marked(), array, record_end, ..Origin::new(self.source.encoding()) }
    }

    /// Values that no record had.
    pub fn never_found(&self) -> Vec<&str> {
        self.collector.never_found()
    }

    /// Names in records, some of them, that nothing is called by which is asked for.
    pub fn strangers(&self) -> Vec<&str> {
        self.collector.strangers()
    }

    /// Places of nested records that no record had.
    pub fn nested_never_found(&self) -> Vec<&str> {
        self.collector.nested_never_found()
    }

    /// Places where values stood, when there was no record at all.
    pub fn seen_instead(&self) -> Option<Instead<'_>> {
        self.collector.seen_instead().filter(|_| self.found == 0)
    }

    /// The next record; `false` at the end.
    pub fn next_into(&mut self, record: &mut Record) -> Result<bool, Broken> {
        if !self.lines {
            return self.advance(record);
        }
        // Each line stands for itself: what is wrong with one is its own fault.
        loop {
            if self.around.is_empty() && self.over {
                self.over = false;
                self.start = self.at;
                if self.more_on_the_line()? {
                    self.refuse_line(record, BEHIND, None)?;
                    // Records inside of the value are out already. What stands behind it may be a good value by itself: it comes back as none.
                    if !record.raw.is_empty() {
                        record.raw.splice(0..0, *b"... ");
                    }
                    return Ok(true);
                }
            }
            if self.around.is_empty() {
                self.skip_blanks()?;
                if self.peek()?.is_none() {
                    return Ok(false);
                }
                self.start = self.at;
            }
            let line = self.line_here();
            // Where the value is the record, what stands behind it on its line is a fault of both.
            let read = self.advance(record).and_then(|done| Ok((done, done && self.over && self.more_on_the_line()?)));
            match read {
                Ok((true, true)) => return self.refuse_line(record, BEHIND, Some(line)).map(|()| true),
                Ok((true, false)) => return Ok(true),
                Ok((false, _)) => {}
                Err(Broken::Document { message, .. }) => return self.refuse_line(record, &message, Some(line)).map(|()| true),
                Err(error) => return Err(error),
            }
        }
    }

    /// Passes over the rest of a line, and hands it out as a record with a fault.
    fn refuse_line(&mut self, record: &mut Record, message: &str, line: Option<u64>) -> Result<(), Broken> {
        let line = line.unwrap_or_else(|| self.line_here());
        let mut fault = Fault::Syntax(message.to_owned());
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.text[self.at..]) {
                self.at += end;
                if self.at - self.start > RECORD_SIZE_MAX {
                    fault = Fault::Size;
                }
                break;
            }
            self.at = self.text.len();
            if self.at - self.start > RECORD_SIZE_MAX {
                fault = Fault::Size;
                self.start = self.at;
            }
            if !self.fill()? {
                break;
            }
        }
        record.clear(line);
        // What is left of a line that is too long is no part of it that one could mend.
        if fault != Fault::Size {
            record.raw.extend_from_slice(self.text[self.start..self.at].trim_ascii_end());
        }
        record.fault = Some(fault);
        self.found += 1;
        self.around.clear();
        self.collector.begin_again();
        self.over = true;
        Ok(())
    }

    /// Reads on until a record is whole, or the value of the document is.
    fn advance(&mut self, record: &mut Record) -> Result<bool, Broken> {
        if self.over {
            return Ok(false);
        }
        loop {
            self.skip_blanks()?;
            if !self.collector.is_in_record() {
                self.start = self.at;
            }
            let done = match self.around.last_mut() {
                None => self.value("", record)?,
                Some(Around::Object(first)) => {
                    let first = !std::mem::replace(first, true);
                    match self.next("a member, or the end of the object")? {
                        b'}' => self.close(record)?,
                        byte => {
                            self.separator(byte, first)?;
                            if !first {
                                self.skip_blanks()?;
                                // The comma is behind us; what is kept begins with the name.
                                if !self.collector.is_in_record() {
                                    self.start = self.at;
                                }
                            }
                            let name = self.string("the name of a member")?;
                            self.skip_blanks()?;
                            if self.next("a colon")? != b':' {
                                return Err(self.unexpected("a colon behind the name of a member"));
                            }
                            self.at += 1;
                            self.skip_blanks()?;
                            if !self.collector.is_in_record() {
                                self.start = self.at;
                            }
                            self.value(&name, record)?
                        }
                    }
                }
                Some(Around::Array(name, first)) => {
                    let first = !std::mem::replace(first, true);
                    let name = name.clone();
                    match self.next("an item, or the end of the array")? {
                        b']' => {
                            self.at += 1;
                            self.around.pop();
                            false
                        }
                        byte => {
                            self.separator(byte, first)?;
                            self.skip_blanks()?;
                            if !self.collector.is_in_record() {
                                self.start = self.at;
                            }
                            self.value(&name, record)?
                        }
                    }
                }
            };
            if self.around.is_empty() {
                self.over = true;
                if !self.lines {
                    self.skip_blanks()?;
                    match self.peek()? {
                        None => {}
                        Some(b'{' | b'[') => {
                            let hint = "where each line is a record, write type = \"jsonl\" in the format; otherwise put the values into one array";
                            return Err(Broken::at(self.line_here(), "another value stands behind the first", hint));
                        }
                        Some(_) => return Err(self.unexpected("the end of the document")),
                    }
                }
                return Ok(done);
            }
            if done {
                return Ok(true);
            }
        }
    }

    fn separator(&mut self, byte: u8, first: bool) -> Result<(), Broken> {
        match (byte, first) {
            (b',', false) => self.at += 1,
            (_, false) => return Err(self.unexpected("a comma")),
            (b',', true) => return Err(self.unexpected("a value")),
            _ => {}
        }
        Ok(())
    }

    /// The value that begins here: opened, or read whole. `true` when a record is whole with it.
    fn value(&mut self, name: &str, record: &mut Record) -> Result<bool, Broken> {
        let inside = matches!(self.around.last(), Some(Around::Array(..)));
        match self.next("a value")? {
            b'{' => {
                self.open(name, Shape::Object)?;
                self.at += 1;
                self.around.push(Around::Object(false));
                Ok(false)
            }
            b'[' => {
                if self.around.len() >= DEPTH_MAX {
                    return Err(self.too_much(TooMuch::Depth));
                }
                let line = self.line_here();
                self.at += 1;
                self.skip_blanks()?;
                let empty = self.peek()? == Some(b']');
                self.collector.array(name, inside, empty, line).map_err(|too_much| self.too_much(too_much))?;
                // An array in an array has no name of its own.
                let name = if inside { "item" } else { name };
                self.around.push(Around::Array(name.to_owned(), false));
                Ok(false)
            }
            b'"' => {
                self.open(name, Shape::Value)?;
                let text = self.string("text")?;
                self.text_of(&text, true)?;
                self.close_value(record)
            }
            _ => {
                let text = self.word()?;
                if text == "null" {
                    self.open(name, if inside || self.around.is_empty() { Shape::NullItem } else { Shape::Null })?;
                } else {
                    self.open(name, Shape::Value)?;
                    self.text_of(&text, false)?;
                }
                self.close_value(record)
            }
        }
    }

    fn text_of(&mut self, text: &str, exact: bool) -> Result<(), Broken> {
        self.collector.text(text, exact).map_err(|too_much| self.too_much(too_much))
    }

    fn open(&mut self, name: &str, shape: Shape) -> Result<(), Broken> {
        let line = self.line_here();
        self.collector.open(name, 0, line).map_err(|too_much| self.too_much(too_much))?;
        if matches!(self.around.last(), Some(Around::Array(..))) {
            self.collector.item();
        }
        self.collector.shape(shape);
        self.collector.opened();
        Ok(())
    }

    /// The end of an object.
    fn close(&mut self, record: &mut Record) -> Result<bool, Broken> {
        self.at += 1;
        self.around.pop();
        self.close_value(record)
    }

    fn close_value(&mut self, record: &mut Record) -> Result<bool, Broken> {
        if !self.collector.close(record).map_err(|too_much| self.too_much(too_much))? {
            return Ok(false);
        }
        self.found += 1;
        record.raw.extend_from_slice(&self.text[self.start..self.at]);
        if memchr::memmem::find(&record.raw, NO_CHARACTER.as_bytes()).is_some() {
            record.fault = Some(Fault::Encoding);
        }
        Ok(true)
    }

    /// Text in quotes; the opening quote is next.
    fn string(&mut self, what: &str) -> Result<String, Broken> {
        if self.next(what)? != b'"' {
            return Err(self.unexpected(&format!("{what} in quotes")));
        }
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(end) = memchr::memchr2(b'"', b'\\', rest) else {
                if let Some(control) = rest.iter().position(|byte| *byte < 0x20) {
                    self.at += control;
                    return Err(self.unexpected("a quote: line ends and control characters are written with a backslash"));
                }
                out.extend_from_slice(rest);
                self.at = self.text.len();
                if !self.fill()? {
                    return Err(Broken::at(
                        self.line_here(),
                        "the document ends inside of a text in quotes",
                        "it was cut off: send all of it again",
                    ));
                }
                continue;
            };
            if let Some(control) = rest[..end].iter().position(|byte| *byte < 0x20) {
                self.at += control;
                return Err(self.unexpected("a quote: line ends and control characters are written with a backslash"));
            }
            out.extend_from_slice(&rest[..end]);
            let quote = rest[end] == b'"';
            self.at += end + 1;
            if quote {
                // It was decoded to UTF-8, and is cut at ASCII only.
                return Ok(String::from_utf8_lossy(&out).into_owned());
            }
            let character = self.escaped()?;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    /// The character of an escape; the backslash is behind us.
    fn escaped(&mut self) -> Result<char, Broken> {
        let byte = self.next("the rest of an escape")?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.four_digits()?;
                let code = if (0xD800..0xDC00).contains(&first) {
                    let pair = self.next("the other half of a character")? == b'\\';
                    self.at += 1;
                    let pair = pair && self.next("the other half of a character")? == b'u';
                    self.at += 1;
                    let second = if pair { self.four_digits()? } else { 0 };
                    if !(0xDC00..0xE000).contains(&second) {
                        return Err(self.half());
                    }
                    0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(|| self.half())?
            }
            _ => {
                self.at -= 1;
                return Err(self.unexpected("one of \" \\ / b f n r t u behind a backslash"));
            }
        })
    }

    fn half(&mut self) -> Broken {
        Broken::at(self.line_here(), "an escape is half of a character", "write both halves, \\ud83d\\ude00, or the character itself")
    }

    fn four_digits(&mut self) -> Result<u32, Broken> {
        let mut code = 0;
        for _ in 0..4 {
            let byte = self.next("four hexadecimal digits")?;
            let digit = char::from(byte).to_digit(16).ok_or_else(|| self.unexpected("four hexadecimal digits"))?;
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// A number, true, false or null.
    fn word(&mut self) -> Result<String, Broken> {
        let mut word = String::new();
        while let Some(byte) = self.peek()? {
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')) {
                break;
            }
            word.push(char::from(byte));
            self.at += 1;
            if word.len() > NUMBER_MAX {
                return Err(Broken::at(
                    self.line_here(),
                    format!("a number has more than {NUMBER_MAX} characters"),
                    "correct the document",
                ));
            }
        }
        if matches!(word.as_str(), "true" | "false" | "null") || is_number(word.as_bytes()) {
            return Ok(word);
        }
        if word.is_empty() {
            return Err(self.unexpected("a value"));
        }
        Err(Broken::at(self.line_here(), format!("\"{word}\" is no value"), "write a number, true, false or null, and text in quotes"))
    }

    fn unexpected(&mut self, expected: &str) -> Broken {
        let line = self.line_here();
        let rest = String::from_utf8_lossy(&self.text[self.at..self.text.len().min(self.at + 40)]).into_owned();
        match rest.chars().next() {
            Some(found) => Broken::at(line, format!("found {found:?}, expected {expected}"), "correct the document"),
            None => Broken::at(line, format!("the document ends, expected {expected}"), "it was cut off: send all of it again"),
        }
    }

    fn too_much(&mut self, too_much: TooMuch) -> Broken {
        let (message, hint) = match too_much {
            TooMuch::Depth => (format!("values nest deeper than {DEPTH_MAX}"), "correct the document"),
            TooMuch::Context => ("too much stands beside the records".to_owned(), "take record further out, and its parts by paths"),
            TooMuch::Record => ("a record has too many values".to_owned(), "take record further in, so that it leads to one record each"),
            TooMuch::Trap(message, hint) => return Broken::at(self.line_here(), message, hint),
        };
        Broken::at(self.line_here(), message, hint)
    }

    fn skip_blanks(&mut self) -> Result<(), Broken> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek()? {
            self.at += 1;
            if !self.collector.is_in_record() {
                self.start = self.at;
            }
        }
        Ok(())
    }

    /// Whether anything but blanks stands behind the value on its line.
    fn more_on_the_line(&mut self) -> Result<bool, Broken> {
        while let Some(b' ' | b'\t') = self.peek()? {
            self.at += 1;
        }
        Ok(!matches!(self.peek()?, None | Some(b'\n' | b'\r')))
    }

    fn next(&mut self, expected: &str) -> Result<u8, Broken> {
        match self.peek()? {
            Some(byte) => Ok(byte),
            None => Err(self.unexpected(expected)),
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, Broken> {
        if self.at == self.text.len() && !self.fill()? {
            return Ok(None);
        }
        Ok(Some(self.text[self.at]))
    }

    fn line_here(&mut self) -> u64 {
        self.line += memchr::memchr_iter(b'\n', &self.text[self.counted..self.at]).count() as u64;
        self.counted = self.at;
        self.line
    }

    /// Reads more; `false` at the end of the input.
    fn fill(&mut self) -> Result<bool, Broken> {
        if self.end_of_input {
            return Ok(false);
        }
        if self.at - self.start > RECORD_SIZE_MAX {
            let message = format!("a record is larger than {} MiB", RECORD_SIZE_MAX >> 20);
            return Err(Broken::at(self.line_here(), message, "take record further in, so that it leads to one record each"));
        }
        self.line_here();
        self.text.drain(..self.start);
        self.at -= self.start;
        self.counted -= self.start;
        self.start = 0;
        let before = self.text.len();
        while self.text.len() == before && !self.end_of_input {
            self.end_of_input = !self.source.read_into(&mut self.text)?;
        }
        Ok(self.text.len() > before)
    }
}

/// `-? (0 | digits without a leading zero) (. digits)? ([eE] [+-]? digits)?`
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(part) = rest.strip_prefix(b".") {
        let count = digits(part);
        if count == 0 {
            return false;
        }
        rest = &part[count..];
    }
    if let Some(power) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let power = power.strip_prefix(b"+").or_else(|| power.strip_prefix(b"-")).unwrap_or(power);
        let count = digits(power);
        if count == 0 {
            return false;
        }
        rest = &power[count..];
    }
    rest.is_empty()
}
