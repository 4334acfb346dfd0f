//! Takes delimited text apart, record by record, in constant memory.
//!
//! Our own splitter, because delimiters and record ends of several characters, literal nulls, the exact bytes of each record (for the file of
//! refused rows) and line numbers must all hold; a test holds it against the `csv` crate where both speak the same dialect.
//!
//! Decisions: a qualifier is one only at the start of a field, anywhere else it is data. Text other than blanks between a closing qualifier and
//! the next delimiter (`"a"b`) is a fault: what its sender meant cannot be known. A field whose qualifier is never closed ends with the document,
//! and the record says so. Blanks before a qualifier that ends its field are a fault, because the qualifier is none there. An empty line is no record, nor is one of delimiters alone: spreadsheets
//! write them for rows that once held something. A byte order mark is no data, at the beginning of any record: documents are put together; at that
//! of the document, one of UTF-16 or UTF-8 wins over the stated encoding. A stated record end that ends with a line feed takes
//! CRLF too; behind one without line ends, line ends are no data. One that begins with the delimiter (`|` and `|` with a line feed, as bcp writes
//! them) is looked for before that.

mod dialect;
mod end;

use std::io::{self, Read};

pub use self::dialect::dialect;
pub use self::end::End;
use crate::document::encoding::{BLOCK, Decoding};
use crate::document::read::{Origin, PASSED_OVER_MAX};
use crate::document::record::{Fault, Record};
use crate::model::format::CsvFormat;

/// A longer record is refused.
pub const RECORD_SIZE_MAX: usize = 16 * 1024 * 1024;
/// A record of more fields is refused.
pub const FIELDS_MAX: usize = 4096;
/// One that comes back refused has two more.
const FIELDS_READ_MAX: usize = FIELDS_MAX + 2;

/// What DOS ends files with.
pub const END_MARK: u8 = 0x1A;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads records from a byte stream.
pub struct Reader<R> {
    source: Decoding<R>,
    /// The fields of the record at hand: their bytes, and where each ends.
    values: Vec<u8>,
    ends: Vec<(usize, bool)>,
    buffer: Vec<u8>,
    start: usize,
    end_of_input: bool,
    line: u64,
    delimiter: Vec<u8>,
    record_end: Option<End>,
    /// It begins with the delimiter.
    end_first: bool,
    /// Records of delimiters alone are given, marked as others: they count among those that are passed over at the end.
    counts_all: bool,
    /// A record end was there.
    ended: bool,
    qualifier: Option<u8>,
    escape: Option<u8>,
    /// What ended the first record, where the format does not say it.
    end_seen: Option<&'static str>,
}

impl<R: Read> Reader<R> {
    /// As [`Decoding::of_each_byte`] says.
    #[must_use]
    pub fn of_each_byte(self, each: bool) -> Reader<R> {
        Reader { source: self.source.of_each_byte(each), ..self }
    }

    /// A reader of this dialect. Qualifier and escape are single bytes: the configuration refuses others.
    pub fn new(source: R, format: &CsvFormat) -> Reader<R> {
        let record_end = format.record_end.as_deref().map(End::new);
        let byte = |c: Option<char>| c.and_then(|c| u8::try_from(c).ok()).filter(u8::is_ascii);
        Reader {
            source: Decoding::new(source, format.encoding),
            values: Vec::new(),
            ends: Vec::new(),
            buffer: Vec::with_capacity(2 * BLOCK),
            start: 0,
            end_of_input: false,
            line: 1,
            delimiter: format.delimiter.as_bytes().to_vec(),
            end_first: record_end.as_ref().is_some_and(|end| end.text.starts_with(format.delimiter.as_bytes())),
            record_end,
            counts_all: false,
            ended: false,
            qualifier: byte(format.qualifier),
            escape: byte(format.escape),
            end_seen: None,
        }
    }

    /// The encoding that the document has; before its first byte is read, that of the configuration.
    pub fn encoding(&self) -> &'static encoding_rs::Encoding {
        self.source.encoding()
    }

    /// What is read and stands behind the record at hand.
    pub fn ahead(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// How the document is written, as far as it is read.
    pub fn origin(&self) -> Origin {
        let record_end = if self.record_end.is_some() && !self.ended { Some("") } else { self.end_seen };
        Origin { marked: self.source.is_marked(), record_end, ..Origin::new(self.source.encoding()) }
    }

    /// From now on records of delimiters alone are given, marked as others.
    pub fn count_all(&mut self) {
        self.counts_all = true;
    }

    /// The next record into `record`; `false` at the end. Errors are the source's.
    pub fn next_into(&mut self, record: &mut Record) -> io::Result<bool> {
        loop {
            if !self.begin_record()? {
                return Ok(false);
            }
            record.clear(self.line);
            if self.record(record)? {
                return Ok(true);
            }
        }
    }

    /// Whether nothing follows.
    pub fn is_ended(&mut self) -> io::Result<bool> {
        Ok(self.start == self.buffer.len() && !self.fill()?)
    }

    /// Passes over a line as it stands, qualifiers and all, whatever ends records; what it was, as far as it is kept.
    pub fn skip_line(&mut self) -> io::Result<Vec<u8>> {
        self.pass_over(true)
    }

    /// Passes over the rest of a record, or, of `lines`, of a line where one ends before; what it was, as far as it is kept.
    fn pass_over(&mut self, lines: bool) -> io::Result<Vec<u8>> {
        let lines = lines || self.record_end.is_none();
        // A line end may follow a record end that has none.
        let longest = self.longest() + 2;
        let mut passed_over = Vec::new();
        loop {
            let rest = &self.buffer[self.start..];
            let ends = |at: &usize| rest.len() - at >= longest || self.end_of_input;
            // Where the line ends, and what ends it.
            let end = (0..rest.len()).take_while(ends).find_map(|at| match &self.record_end {
                Some(end) if let Some(length) = end.length(&rest[at..]) => {
                    Some((at, length + if lines && end.between { line_end(&rest[at + length..]) } else { 0 }))
                }
                _ => Some((at, line_end(&rest[at..]))).filter(|(_, length)| lines && *length > 0),
            });
            // What may be the beginning of a record end stays.
            let (text, length) = end.unwrap_or((if self.end_of_input { rest.len() } else { rest.len().saturating_sub(longest) }, 0));
            passed_over.extend_from_slice(&rest[..text.min(PASSED_OVER_MAX + 1 - passed_over.len())]);
            self.line += self::lines(&rest[..text + length]);
            self.start += text + length;
            if end.is_some() || !self.fill()? && self.start == self.buffer.len() {
                return Ok(if passed_over.len() > PASSED_OVER_MAX { b"-".to_vec() } else { passed_over });
            }
        }
    }

    /// The delimiter that a first line `sep=;` states, as spreadsheets write it. That line is no record.
    pub fn stated_delimiter(&mut self) -> io::Result<Option<char>> {
        const STATED: usize = "sep=;".len();
        while self.buffer.len() - self.start < STATED + self.longest() && self.fill()? {}
        let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', stated, rest @ ..] = &self.buffer[self.start..] else { return Ok(None) };
        let (stated, end) = (*stated, self.record_end.as_ref().and_then(|end| end.length(rest)).unwrap_or_else(|| line_end(rest)));
        if !stated.is_ascii() || stated.is_ascii_alphanumeric() || (end == 0 && !rest.is_empty()) {
            return Ok(None);
        }
        self.line += lines(&rest[..end]);
        self.start += STATED + end;
        Ok(Some(char::from(stated)))
    }

    /// Passes over what may stand before a record and is no part of it; `false` at the end of the document.
    fn begin_record(&mut self) -> io::Result<bool> {
        let mut last = 0;
        loop {
            let rest = &self.buffer[self.start..];
            let (marked, whole) = (rest.starts_with(BYTE_ORDER_MARK), rest.len() >= BYTE_ORDER_MARK.len());
            match rest.first().copied() {
                None if !self.fill()? => return Ok(false),
                None => {}
                Some(_) if marked => self.start += BYTE_ORDER_MARK.len(),
                Some(0xEF) if !whole && self.fill()? => {}
                Some(byte @ (b'\r' | b'\n')) if self.record_end.as_ref().is_some_and(|end| end.between) => {
                    self.line += u64::from(byte == b'\r' || last != b'\r');
                    last = byte;
                    self.start += 1;
                }
                Some(_) => return Ok(true),
            }
        }
    }

    /// Splits the record at `start`, reading on while its end is not in the buffer. `false` when it was an empty line.
    fn record(&mut self, record: &mut Record) -> io::Result<bool> {
        let (mut known, mut values, mut ends) = (0, std::mem::take(&mut self.values), std::mem::take(&mut self.ends));
        let (length, consumed, fault) = loop {
            match self.scan(&mut values, &mut ends, known) {
                Scan::Whole { length, consumed, .. } if let Some(mark) = self.end_mark(length)? => {
                    self.ended |= consumed > length;
                    self.buffer.truncate(self.start + mark);
                    known = 0;
                }
                Scan::Whole { length, consumed, fault } => break (length, consumed, fault),
                Scan::More if self.buffer.len() - self.start > RECORD_SIZE_MAX => {
                    self.pass_over(false)?;
                    values.clear();
                    ends.clear();
                    break (0, 0, Some(Fault::Size));
                }
                Scan::More => {
                    known = self.buffer.len() - self.start;
                    // Twice as much each time: the record is looked at from its beginning again.
                    let enough = (2 * known).min(RECORD_SIZE_MAX + 1);
                    while self.fill()? && self.buffer.len() < enough {}
                }
            }
        };
        let whole = &self.buffer[self.start..self.start + consumed];
        self.line += lines(whole);
        record.raw.extend_from_slice(&whole[..length]);
        if self.end_seen.is_none() && self.record_end.is_none() {
            self.end_seen = ["\r\n", "\n", "\r"].into_iter().find(|end| end.as_bytes() == &whole[length..]);
        }
        self.start += consumed;
        let nothing = values.is_empty() && fault.is_none() && !ends.iter().any(|(_, qualified)| *qualified);
        let empty_line = nothing && (length == 0 || !self.counts_all);
        let unended = self.record_end.is_some() && !self.ended && consumed == length;
        // Where all is qualified, the line end stands behind a qualifier.
        let behind = matches!(fault, Some(Fault::Qualifier(_))) && memchr::memchr2(b'\n', b'\r', &record.raw).is_some();
        let endless = unended && (behind || has_lines(&values, &ends));
        self.ended |= consumed > length;
        record.take_bytes(&mut values, &ends);
        record.is_other = nothing;
        let fault = fault.filter(|_| !(endless && behind)).or(endless.then_some(Fault::RecordEnd));
        record.fault = fault.or(record.fault.take());
        (self.values, self.ends) = (values, ends);
        Ok(!empty_line)
    }

    /// Where the mark stands with which DOS ends a file, in or behind the value that ends a record of this length, if nothing follows but line ends.
    fn end_mark(&mut self, length: usize) -> io::Result<Option<usize>> {
        let is_end = |byte: &u8| matches!(*byte, END_MARK | b'\r' | b'\n');
        let record = &self.buffer[self.start..self.start + length];
        let from = record.iter().rposition(|byte| !is_end(byte)).map_or(0, |at| at + 1);
        let Some(mark) = memchr::memchr(END_MARK, &record[from..]).map(|at| from + at) else { return Ok(None) };
        loop {
            let rest = &self.buffer[self.start + mark..];
            if rest.len() > BLOCK || !rest.iter().all(is_end) {
                return Ok(None);
            }
            if !self.fill()? {
                return Ok(Some(mark));
            }
        }
    }

    /// The length of the longest delimiter or record end.
    fn longest(&self) -> usize {
        self.delimiter.len().max(self.record_end.as_ref().map_or(2, End::longest))
    }

    /// Looks for a whole record in the buffer. `known` bytes were looked at before without success: only a hint that more is needed.
    fn scan(&self, values: &mut Vec<u8>, ends: &mut Vec<(usize, bool)>, known: usize) -> Scan {
        values.clear();
        ends.clear();
        let mut fault = None;
        let bytes = &self.buffer[self.start..];
        if bytes.len() == known && !self.end_of_input {
            return Scan::More;
        }
        let mut at = 0;
        loop {
            if ends.len() == FIELDS_READ_MAX {
                fault = Some(Fault::Fields);
            }
            let mut qualified = false;
            if let Some(qualifier) = self.qualifier.filter(|qualifier| bytes.get(at) == Some(qualifier)) {
                qualified = true;
                at += 1;
                loop {
                    let rest = &bytes[at..];
                    let found = match self.escape {
                        Some(escape) => memchr::memchr2(qualifier, escape, rest),
                        None => memchr::memchr(qualifier, rest),
                    };
                    let Some(offset) = found else {
                        if !self.end_of_input {
                            return Scan::More;
                        }
                        values.extend_from_slice(rest);
                        ends.push((values.len(), true));
                        // The last line end is that of the document.
                        let length = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
                        return Scan::Whole { length, consumed: bytes.len(), fault: Some(Fault::Unterminated) };
                    };
                    values.extend_from_slice(&rest[..offset]);
                    at += offset;
                    let escaped = self.escape == Some(bytes[at]) && self.escape != Some(qualifier);
                    match bytes.get(at + 1) {
                        None if !self.end_of_input => return Scan::More,
                        Some(next) if escaped || *next == qualifier => {
                            // An escape stands for what follows it; a doubled qualifier for one.
                            values.push(*next);
                            at += 2;
                        }
                        _ if escaped => {
                            values.push(bytes[at]);
                            at += 1;
                        }
                        _ => {
                            at += 1;
                            break;
                        }
                    }
                }
            }
            let Some((offset, stop)) = self.find_stop(&bytes[at..]) else { return Scan::More };
            let text = &bytes[at..at + offset];
            if let (Some(qualifier), false, None, Some(b' ' | b'\t')) = (self.qualifier, qualified, &fault, text.first())
                && let [first, .., last] = text.trim_ascii()
                && [*first, *last] == [qualifier; 2]
            {
                fault = Some(Fault::Blanks(ends.len() + 1));
            }
            if qualified && fault.is_none() && text.iter().any(|byte| !matches!(byte, b' ' | b'\t')) {
                fault = Some(Fault::Qualifier(ends.len() + 1));
            }
            values.extend_from_slice(text);
            at += offset;
            if ends.len() < FIELDS_READ_MAX {
                ends.push((values.len(), qualified));
            }
            match stop {
                Stop::Delimiter => at += self.delimiter.len(),
                Stop::End(length) => return Scan::Whole { length: at, consumed: at + length, fault },
            }
        }
    }

    /// The next delimiter or record end; `None` when only more bytes can tell.
    fn find_stop(&self, bytes: &[u8]) -> Option<(usize, Stop)> {
        let first = self.delimiter[0];
        let mut from = 0;
        loop {
            let rest = &bytes[from..];
            let found = match self.record_end.as_ref().and_then(|end| end.text.first()) {
                None => memchr::memchr3(first, b'\n', b'\r', rest),
                Some(end) => memchr::memchr2(first, *end, rest),
            };
            let Some(offset) = found else {
                return self.end_of_input.then_some((bytes.len(), Stop::End(0)));
            };
            let at = from + offset;
            let tail = &bytes[at..];
            // A record end that begins with the delimiter, as in lines that each end with one.
            if let Some(end) = self.record_end.as_ref().filter(|_| self.end_first) {
                match end.length(tail) {
                    Some(length) => return Some((at, Stop::End(length))),
                    None if tail.len() < self.longest() && !self.end_of_input => return None,
                    None => {}
                }
            }
            if tail.starts_with(&self.delimiter) {
                return Some((at, Stop::Delimiter));
            }
            match &self.record_end {
                Some(end) if let Some(length) = end.length(tail) => return Some((at, Stop::End(length))),
                None if tail[0] == b'\n' => return Some((at, Stop::End(1))),
                None if tail[0] == b'\r' => match tail.get(1) {
                    Some(b'\n') => return Some((at, Stop::End(2))),
                    None if !self.end_of_input => return None,
                    _ => return Some((at, Stop::End(1))),
                },
                _ => {}
            }
            // The first byte of a longer delimiter or record end, cut by the buffer's end.
            if tail.len() < self.longest() && !self.end_of_input {
                return None;
            }
            from = at + 1;
        }
    }

    /// Reads more; `false` at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        if self.end_of_input {
            return Ok(false);
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let before = self.buffer.len();
        while self.buffer.len() == before && !self.end_of_input {
            self.end_of_input = !self.source.read_into(&mut self.buffer)?;
        }
        Ok(self.buffer.len() > before)
    }
}

/// Bytes of the line end that stands here; none is 0.
fn line_end(bytes: &[u8]) -> usize {
    match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    }
}

fn lines(bytes: &[u8]) -> u64 {
    let feeds = memchr::memchr_iter(b'\n', bytes).count();
    let returns = memchr::memchr_iter(b'\r', bytes).filter(|at| bytes.get(at + 1) != Some(&b'\n')).count();
    (feeds + returns) as u64
}

/// Whether a line end stands in a value without qualifiers.
fn has_lines(values: &[u8], ends: &[(usize, bool)]) -> bool {
    let mut start = 0;
    ends.iter().any(|(end, qualified)| {
        let value = &values[std::mem::replace(&mut start, *end)..*end];
        !qualified && memchr::memchr2(b'\n', b'\r', value).is_some()
    })
}

enum Scan {
    Whole { length: usize, consumed: usize, fault: Option<Fault> },
    More,
}

enum Stop {
    Delimiter,
    End(usize),
}

#[cfg(test)]
mod tests;
