//! Records of a stated length, which nothing has to end.

use std::io::{self, Read};

use encoding_rs::Encoding;

use super::measure::Measure;
use super::read::number;
use crate::document::broken::Broken;
use crate::document::csv::read::{END_MARK, End, RECORD_SIZE_MAX};
use crate::document::encoding::{BLOCK, Decoding};
use crate::document::read::Origin;
use crate::document::record::{Fault, Record, Repeats};
use crate::document::refused::mended::repeats;
use crate::document::refused::{BEFORE, MORE};
use crate::model::format::{FixedFormat, Unit};

/// Records of so many characters each.
pub(super) struct Counted<R> {
    source: Decoding<R>,
    length: usize,
    record_end: Option<End>,
    buffer: Vec<u8>,
    start: usize,
    /// No line ends before this place in the buffer, as far as it was looked for.
    unended: usize,
    end_of_input: bool,
    line: u64,
    /// What stands behind the first record: a line end, or nothing.
    end_seen: Option<&'static str>,
    /// Whether records end with lines, although their length is stated; known after the first.
    lined: Option<bool>,
    unit: Unit,
    /// The record at hand comes back and may have text behind its columns.
    pub more: bool,
    /// Bytes of the record at `start` that the last character of the one before has taken.
    taken: usize,
}

/// Whether nothing stands here but what may end a document.
fn is_end(rest: &[u8]) -> bool {
    rest.iter().all(|byte| matches!(*byte, b'\r' | b'\n' | END_MARK))
}

/// The line that our words before a record tell, where text begins with such, and whether text stands behind its columns.
fn line_of(text: &[u8]) -> Option<(u64, bool)> {
    let words = text.strip_prefix(BEFORE.as_bytes())?;
    let behind = &words[words.iter().position(|byte| !byte.is_ascii_digit())?..];
    let more = behind.strip_prefix(MORE.as_bytes());
    number(words).filter(|_| more.unwrap_or(behind).starts_with(b":")).map(|line| (line, more.is_some()))
}

impl<R: Read> Counted<R> {
    /// A reader of records of this length.
    pub fn new(source: R, format: &FixedFormat, length: usize) -> Counted<R> {
        Counted {
            source: Decoding::new(source, format.encoding).of_each_byte(format.unit == Unit::Bytes),
            length,
            record_end: format.record_end.as_deref().map(End::new),
            buffer: Vec::new(),
            start: 0,
            unended: 0,
            end_of_input: false,
            line: 1,
            end_seen: None,
            lined: None,
            unit: format.unit,
            more: false,
            taken: 0,
        }
    }

    /// The document's encoding, as far as it is read.
    pub fn encoding(&self) -> &'static Encoding {
        self.source.encoding()
    }

    /// How the document is written, as far as it is read.
    pub fn origin(&self) -> Origin {
        Origin { marked: self.source.is_marked(), record_end: self.end_seen, ..Origin::new(self.source.encoding()) }
    }

    /// What is read and stands behind the record at hand.
    pub fn ahead(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Whether nothing follows.
    pub fn is_ended(&mut self) -> io::Result<bool> {
        Ok(self.start == self.buffer.len() && !self.fill()?)
    }

    fn measure(&self) -> Measure {
        Measure::of_unit(self.unit, self.source.encoding())
    }

    /// The next record; `false` at the end.
    pub fn next_into(&mut self, record: &mut Record) -> Result<bool, Broken> {
        // What stands between records: the stated end, or line ends; in a file of refused rows, a line that says why.
        let (mut told, mut again) = (None, Repeats::default());
        loop {
            if self.buffer.len() - self.start < 64 && self.fill()? {
                continue;
            }
            let rest = &self.buffer[self.start..];
            if line_of(rest).is_some() {
                let (size, known) = (rest.len(), self.unended.saturating_sub(self.start));
                let end = memchr::memchr(b'\n', &rest[known..]).map(|at| known + at);
                self.unended = end.map_or(self.buffer.len(), |end| self.start + end);
                if end.is_none() && size < RECORD_SIZE_MAX && self.fill()? {
                    continue;
                }
                // A line that is as long as a record is one, and so is what no line feed ends: there are none in our words, nor carriage returns.
                let rest = &self.buffer[self.start..];
                let ours = |end: &usize| {
                    let line = rest[..*end].iter().rposition(|byte| *byte != b'\r').map_or(0, |at| at + 1);
                    memchr::memchr(b'\r', &rest[..line]).is_none() && self.measure().of_raw(&rest[..line]) != self.length
                };
                if let Some(end) = end.filter(ours) {
                    (told, again) = (line_of(rest), repeats(&rest[..end]));
                    self.start += end + 1;
                    self.line += 1;
                    continue;
                }
            }
            let rest = &self.buffer[self.start..];
            let skipped = match &self.record_end {
                Some(end) => end.length(rest).unwrap_or(0),
                None => usize::from(rest.starts_with(b"\n") || rest.starts_with(b"\r")),
            };
            // The mark with which DOS ends a file; what we tell of is a record, whatever it is made of.
            let last = self.end_of_input && is_end(rest);
            let marks = last && told.is_none() && rest.first() == Some(&END_MARK);
            let skipped = if skipped == 0 && marks { 1 } else { skipped };
            if skipped == 0 {
                break;
            }
            // The last line end is that of the document.
            if self.lined == Some(false) && self.record_end.is_none() && !last {
                return Err(Broken::at(
                    self.line,
                    "a line end stands where a record begins, and those before it have none between them",
                    "whether it is data or moves what follows cannot be known: send records without line ends between them, or each on a line of its own",
                ));
            }
            self.line += memchr::memchr_iter(b'\n', &rest[..skipped]).count() as u64;
            self.start += skipped;
        }
        record.clear(self.line);
        (record.told, record.repeats) = (told.map(|(line, _)| line), again);
        self.more = told.is_some_and(|(_, more)| more);
        if self.start == self.buffer.len() {
            return Ok(false);
        }
        if told.is_some() && self.record_end.is_none() {
            // What comes back stands on lines of their own, however long they are.
            self.lined.get_or_insert(true);
        }
        let (end, whole) = loop {
            match self.end_of_record() {
                Some(end) => break (end, true),
                None if self.buffer.len() - self.start > RECORD_SIZE_MAX || !self.fill()? => break (self.buffer.len() - self.start, false),
                None => {}
            }
        };
        let end = if whole && told.is_some() && self.is_line(end)? { end } else { self.end_of_line(end)? };
        let end = if self.ends_document(end)? { end - 1 } else { end };
        let bytes = &self.buffer[self.start..self.start + end];
        record.raw.extend_from_slice(bytes);
        self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.start += end;
        if self.end_seen.is_none() {
            while self.buffer.len() - self.start < 2 && self.fill()? {}
            let rest = &self.buffer[self.start..];
            self.end_seen = Some(["\r\n", "\n", "\r"].into_iter().find(|end| rest.starts_with(end.as_bytes())).unwrap_or_default());
        }
        let measure = self.measure();
        if matches!(self.measure(), Measure::Bytes(_)) {
            let behind = (self.taken + measure.of_raw(&record.raw)).saturating_sub(self.length);
            self.taken = if self.lined == Some(false) { behind } else { 0 };
        }
        match std::str::from_utf8(&record.raw) {
            Err(_) => record.fault = Some(Fault::Encoding),
            Ok(text) => {
                let text = text.to_owned();
                let count = measure.of(&text);
                if count != self.length && !text.trim().is_empty() {
                    let unit = measure.unit();
                    record.fault = Some(Fault::Length(format!("the record has {count} {unit}, records have {}", self.length)));
                }
                record.push(&text, false);
            }
        }
        Ok(true)
    }

    /// Whether the mark with which DOS ends a file stands at the end of these bytes, which are one more than a record has.
    fn ends_document(&mut self, end: usize) -> io::Result<bool> {
        let rest = &self.buffer[self.start..];
        if rest[..end].last() != Some(&END_MARK) || self.measure().of_raw(&rest[..end]) != self.length + 1 {
            return Ok(false);
        }
        while is_end(&self.buffer[self.start + end..]) && self.buffer.len() - self.start - end < BLOCK {
            if !self.fill()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a record that comes back, of so many bytes, ends with a line: then line ends in it are its own.
    fn is_line(&mut self, end: usize) -> io::Result<bool> {
        while self.buffer.len() - self.start <= end && self.fill()? {}
        // What ends a line is no part of a shorter record: CRLF is one end, and the last of the document is that of a line.
        let last = self.buffer[self.start..self.start + end].last().copied();
        let is = self.record_end.is_none()
            && match self.buffer.get(self.start + end) {
                None => !matches!(last, Some(b'\n' | b'\r')),
                Some(b'\n') => last != Some(b'\r'),
                Some(byte) => *byte == b'\r',
            };
        if is {
            self.lined = Some(true);
        }
        Ok(is)
    }

    /// Where the record ends that has so many bytes, if it is a line, or has a stated end.
    fn end_of_line(&mut self, end: usize) -> io::Result<usize> {
        if self.lined == Some(false) {
            return Ok(end);
        }
        let stated = self.record_end.as_ref().map(End::longest);
        // At first as much again is looked at as a record may have.
        let most = if self.lined.is_none() && stated.is_none() { end + 4 * self.length } else { RECORD_SIZE_MAX };
        loop {
            let rest = &self.buffer[self.start..];
            let found = match &self.record_end {
                Some(stated) => stated.find(rest).map(|(at, _)| at),
                None => memchr::memchr2(b'\n', b'\r', rest),
            };
            let found = found.filter(|at| *at < most);
            if found.is_none() && rest.len() < most && self.fill()? {
                continue;
            }
            if stated.is_some() {
                return Ok(found.unwrap_or(self.buffer.len() - self.start));
            }
            // A line of exactly two records is two, which nothing ends.
            let is_two = |at| self.measure().of_raw(&self.buffer[self.start..self.start + at]) == 2 * self.length;
            let lined = found.is_some_and(|at| at <= end + self.length && !is_two(at));
            self.lined.get_or_insert(lined);
            return Ok(match (self.lined, found) {
                (Some(true), Some(at)) => at,
                // The last, or one that is too long: all of it is passed over, so that nobody looks there again.
                (Some(true), None) => self.buffer.len() - self.start,
                _ => end,
            });
        }
    }

    /// Where the record at `start` ends: behind so many characters or bytes. A byte that is no text counts as one.
    fn end_of_record(&self) -> Option<usize> {
        if matches!(self.measure(), Measure::Bytes(_)) {
            return self.end_in_bytes();
        }
        let begins = |byte: u8| byte & 0xC0 != 0x80;
        let rest = &self.buffer[self.start..];
        let mut count = 0;
        for (at, byte) in rest.iter().enumerate() {
            if begins(*byte) {
                if count == self.length {
                    return Some(at);
                }
                count += 1;
            }
        }
        (self.end_of_input && count == self.length).then_some(rest.len())
    }

    /// The same where bytes are counted: a character that stands across the end is this record's.
    fn end_in_bytes(&self) -> Option<usize> {
        let rest = &self.buffer[self.start..];
        if self.source.encoding() == encoding_rs::UTF_8 {
            return (rest.len() >= self.length).then_some(self.length);
        }
        let (measure, mut count, mut end) = (self.measure(), self.taken, 0);
        // A byte becomes three at most: what stands behind so many belongs to other records.
        let rest = &rest[..rest.len().min(4 * self.length + 16)];
        for chunk in rest.utf8_chunks() {
            let characters = chunk.valid().chars().map(|c| (c.len_utf8(), measure.width(c)));
            for (length, width) in characters.chain(chunk.invalid().iter().map(|_| (1, 1))) {
                if count >= self.length && width > 0 {
                    return Some(end);
                }
                (count, end) = (count + width, end + length);
            }
        }
        (count >= self.length).then_some(end)
    }

    fn fill(&mut self) -> io::Result<bool> {
        if self.end_of_input {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.unended = self.unended.saturating_sub(self.start);
        self.start = 0;
        let before = self.buffer.len();
        while self.buffer.len() == before && !self.end_of_input {
            self.end_of_input = !self.source.read_into(&mut self.buffer)?;
        }
        Ok(self.buffer.len() > before)
    }
}
