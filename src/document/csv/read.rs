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

use std::io::{self, Read};

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

/// A stated record end.
pub struct End {
    /// All of it, or what comes before its line feed.
    text: Vec<u8>,
    /// A line feed follows, or CRLF.
    feed: bool,
    /// Line ends between records are no data.
    between: bool,
}

impl End {
    /// As the configuration writes it.
    pub fn new(text: &str) -> End {
        let before = text.strip_suffix('\n').filter(|before| !before.ends_with('\r'));
        End { text: before.unwrap_or(text).into(), feed: before.is_some(), between: !text.contains(['\r', '\n']) }
    }

    /// Where the first one begins, and its bytes.
    pub fn find(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        let first = *self.text.first().unwrap_or(&b'\n');
        // A carriage return before a line feed that is all of it belongs to it.
        let begin = |at: usize| if self.text.is_empty() && at > 0 && bytes[at - 1] == b'\r' { at - 1 } else { at };
        memchr::memchr_iter(first, bytes).map(begin).find_map(|at| Some((at, self.length(&bytes[at..])?)))
    }

    /// The most bytes that one has.
    pub fn longest(&self) -> usize {
        self.text.len() + 2 * usize::from(self.feed)
    }

    /// Bytes of the record end that stands here, if one does.
    pub fn length(&self, bytes: &[u8]) -> Option<usize> {
        let rest = bytes.strip_prefix(self.text.as_slice())?;
        match rest {
            _ if !self.feed => Some(self.text.len()),
            [b'\n', ..] => Some(self.text.len() + 1),
            [b'\r', b'\n', ..] => Some(self.text.len() + 2),
            _ => None,
        }
    }
}

impl<R: Read> Reader<R> {
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
        // Nor is the mark with which DOS ends a file.
        let last = self.end_of_input && self.start == self.buffer.len() && record.raw == [0x1A];
        let nothing = values.is_empty() && fault.is_none() && !ends.iter().any(|(_, qualified)| *qualified);
        let empty_line = (nothing && (length == 0 || !self.counts_all)) || last;
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

/// A reader of nothing, for the records of this dialect that are at hand.
pub fn dialect(format: &CsvFormat) -> Reader<io::Empty> {
    Reader { end_of_input: true, ..Reader::new(io::empty(), format) }
}

impl Reader<io::Empty> {
    /// Whether a value without a qualifier is read as it is, behind a delimiter, and before one or a record end, which is written so. `text` is scratch.
    pub fn stands_alone(&self, value: &str, record_end: &str, text: &mut Vec<u8>) -> bool {
        let length = self.delimiter.len() + value.len();
        let fits = |text: &[u8], delimits: bool| {
            let before = matches!(self.find_stop(text), Some((0, Stop::Delimiter)));
            let behind = self.find_stop(&text[self.delimiter.len()..]);
            before && behind.is_some_and(|(at, stop)| at == value.len() && matches!(stop, Stop::Delimiter) == delimits)
        };
        text.clear();
        text.extend_from_slice(&self.delimiter);
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(&self.delimiter);
        if let Some(end) = &self.record_end {
            // Line ends are passed over behind a record end, or make one of the delimiter.
            let lost = end.between || memchr::memmem::find(&end.text, &self.delimiter).is_some();
            // What follows the delimiter may make a record end of the value and it.
            let from = text.len().saturating_sub(end.text.len().saturating_sub(1));
            if (lost && value.starts_with(['\r', '\n'])) || (from..length).any(|at| end.text.starts_with(&text[at..])) {
                return false;
            }
        }
        if !fits(text, true) {
            return false;
        }
        text.truncate(length);
        text.extend_from_slice(record_end.as_bytes());
        fits(text, false)
    }

    /// How many fields a record has, and where the one of this number, from 1, ends in its exact text, if it has so many; nothing when its last
    /// qualifier is never closed.
    pub fn fields(&self, raw: &[u8], number: usize) -> Option<(usize, Option<usize>)> {
        let (mut count, mut end, mut at) = (0, None, 0);
        loop {
            if self.qualifier.is_some() && raw.get(at) == self.qualifier.as_ref() {
                at += 1;
                loop {
                    at += raw[at..].iter().position(|byte| Some(*byte) == self.qualifier || Some(*byte) == self.escape)?;
                    let escaped = self.escape == Some(raw[at]) && self.escape != self.qualifier;
                    match raw.get(at + 1) {
                        Some(next) if escaped || Some(*next) == self.qualifier => at += 2,
                        _ if escaped => at += 1,
                        _ => break,
                    }
                }
                at += 1;
            }
            let (offset, stop) = self.find_stop(&raw[at..])?;
            at += offset;
            count += 1;
            if count == number {
                end = Some(at);
            }
            match stop {
                Stop::Delimiter => at += self.delimiter.len(),
                Stop::End(_) => return Some((count, end)),
            }
        }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives its bytes in pieces of one size, so that every buffer boundary is met.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn all(bytes: &[u8], format: &CsvFormat, piece: usize) -> Vec<Record> {
        let mut reader = Reader::new(Pieces(bytes, piece), format);
        let mut records = Vec::new();
        let mut record = Record::default();
        while reader.next_into(&mut record).unwrap() {
            records.push(record.clone());
        }
        records
    }

    fn texts(bytes: &[u8], format: &CsvFormat) -> Vec<Vec<String>> {
        let records = all(bytes, format, 1);
        assert_eq!(records, all(bytes, format, usize::MAX), "the size of pieces makes no difference");
        records.iter().map(|record| record.texts().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn quotes_delimiters_and_line_ends_mean_what_they_mean_in_rfc_4180() {
        let csv = CsvFormat::default();
        assert_eq!(texts(b"a,b\r\nc,d\r\n", &csv), [["a", "b"], ["c", "d"]]);
        assert_eq!(texts(b"a,b\nc,d", &csv), [["a", "b"], ["c", "d"]]);
        assert_eq!(texts(b"a,b\rc,d\r", &csv), [["a", "b"], ["c", "d"]]);
        assert_eq!(texts(b"\"a,\"\"x\"\"\",\"two\r\nlines\"\r\n", &csv), [["a,\"x\"", "two\r\nlines"]]);
        assert_eq!(texts(b"a\"b,\"c\" \n", &csv), [["a\"b", "c "]], "a quote inside an unqualified value is data");
        assert_eq!(texts(b"\n\na,\n\n,\n", &csv), [["a", ""]], "an empty line is no record");
        assert_eq!(texts(b",\n\"\",\n,,,\n", &csv), [["", ""]], "nor is one of delimiters alone");
        assert_eq!(texts(b"\"\"\n", &csv), [[""]]);
        assert_eq!(texts(b"", &csv), Vec::<Vec<String>>::new());
    }

    #[test]
    fn other_dialects_are_read_as_the_configuration_says() {
        let plus =
            CsvFormat { delimiter: "+|".into(), record_end: Some("&|\n".into()), qualifier: None, header: false, ..Default::default() };
        assert_eq!(texts(b"1+|a\nb+|\"x\"&|\n2+|+&+|&&|\n", &plus), [["1", "a\nb", "\"x\""], ["2", "+&", "&"]]);
        let tab = CsvFormat { delimiter: "\t".into(), qualifier: None, ..Default::default() };
        assert_eq!(texts(b"a\t\"b\tc\n", &tab), [["a", "\"b", "c"]]);
        let escaped = CsvFormat { escape: Some('\\'), ..Default::default() };
        assert_eq!(texts(br#""a\"b","c\\",d\n"#, &escaped), [["a\"b", "c\\", "d\\n"]]);
    }

    #[test]
    fn each_record_knows_its_line_and_its_exact_text() {
        let records = all(b"h1,h2\r\n\r\n\"a\nb\",1\r\nc,2", &CsvFormat::default(), 3);
        assert_eq!(records.iter().map(|record| record.line).collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(records[1].raw, b"\"a\nb\",1");
        assert_eq!(records[2].raw, b"c,2");
    }

    #[test]
    fn a_qualifier_that_is_never_closed_is_a_fault_of_its_record() {
        let records = all(b"a\n\"b\nc\n", &CsvFormat::default(), 2);
        assert_eq!(records[1].fault, Some(Fault::Unterminated));
        assert_eq!(records[1].line, 2);
    }

    #[test]
    fn a_byte_order_mark_wins_over_the_stated_encoding() {
        let utf16: Vec<u8> = "a;é\n1;€\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let format = CsvFormat { delimiter: ";".into(), encoding: encoding_rs::WINDOWS_1252, ..Default::default() };
        assert_eq!(texts(&[&[0xFF, 0xFE][..], &utf16].concat(), &format), [["a", "é"], ["1", "€"]]);
        assert_eq!(texts("\u{feff}a;é\n".as_bytes(), &format), [["a", "é"]]);
        assert_eq!(texts(b"a;\xE9\x80\n", &format), [["a", "é€"]]);
    }

    #[test]
    fn bytes_that_are_no_text_are_a_fault_of_their_record_alone() {
        let records = all(b"good\nb\xE9d\ngood\n", &CsvFormat::default(), 4);
        assert_eq!(records.iter().map(|record| record.fault.clone()).collect::<Vec<_>>(), [None, Some(Fault::Encoding), None]);
        let utf16 = CsvFormat { encoding: encoding_rs::UTF_16LE, ..Default::default() };
        let mut bytes: Vec<u8> = "ok\nb".encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.extend([0x00, 0xD8, b'x', 0, b'\n', 0]);
        assert_eq!(all(&bytes, &utf16, 3).iter().map(|record| record.fault.clone()).collect::<Vec<_>>(), [None, Some(Fault::Encoding)]);
    }

    fn faults(bytes: &[u8], format: &CsvFormat) -> Vec<Option<Fault>> {
        texts(bytes, format);
        all(bytes, format, usize::MAX).into_iter().map(|record| record.fault).collect()
    }

    #[test]
    fn text_behind_a_closing_qualifier_is_a_fault_of_its_record_alone() {
        let csv = CsvFormat::default();
        let bytes = b"1,\"12\" pipe\",x\n\"3\" x 4\"\",y\n\"1\"2,z\n\"a\" ,\"b\"\t\n";
        assert_eq!(faults(bytes, &csv), [Some(Fault::Qualifier(2)), Some(Fault::Qualifier(1)), Some(Fault::Qualifier(1)), None]);
        assert_eq!(texts(b"a\"b\n", &csv), [["a\"b"]]);
    }

    #[test]
    fn a_qualifier_behind_blanks_is_a_fault_where_it_ends_its_field() {
        let csv = CsvFormat::default();
        let bytes = b"1, \"x\"\n1, \"x, y\"\n1, \"x\" y\n1, \"\n1,x \"y\"\n 1,\t\"\"\n";
        assert_eq!(faults(bytes, &csv), [Some(Fault::Blanks(2)), None, None, None, None, Some(Fault::Blanks(2))]);
        assert_eq!(faults(b"1, \"x\"\n", &CsvFormat { qualifier: None, ..csv }), [None]);
    }

    #[test]
    fn the_mark_with_which_dos_ends_a_file_is_no_record() {
        let csv = CsvFormat::default();
        assert_eq!(texts(b"a\n1\n\x1A", &csv), [["a"], ["1"]]);
        assert_eq!(texts(b"a\n\x1A\n1\n", &csv), [["a"], ["\x1A"], ["1"]]);
    }

    #[test]
    fn a_byte_order_mark_is_no_data_before_any_record() {
        let csv = CsvFormat::default();
        assert_eq!(
            texts("\u{feff}A,B\n1,x\n\u{feff}A,B\n\u{feff}\"2\",y\n\u{feff}".as_bytes(), &csv),
            [["A", "B"], ["1", "x"], ["A", "B"], ["2", "y"]]
        );
        assert_eq!(texts("é,\u{feff}x\n".as_bytes(), &csv), [["é", "\u{feff}x"]]);
    }

    #[test]
    fn a_stated_record_end_takes_what_is_meant_and_says_when_it_is_nowhere() {
        let with =
            |end: &str, delimiter: &str| CsvFormat { record_end: Some(end.into()), delimiter: delimiter.into(), ..Default::default() };
        assert_eq!(texts(b"1,3\r\n2,\"x\"\r\n3,a\rb\n", &with("\n", ",")), [["1", "3"], ["2", "x"], ["3", "a\rb"]]);
        let records = all(b"1+|a\nb&|\r\n2+|c&|\n", &with("&|", "+|"), 1);
        assert_eq!(
            records.iter().map(|record| (record.line, record.texts().collect())).collect::<Vec<(u64, Vec<_>)>>(),
            [(1, vec!["1", "a\nb"]), (3, vec!["2", "c"])]
        );
        assert_eq!(texts(b"1+|a&|\r\n2+|b&|\n", &with("&|\n", "+|")), [["1", "a"], ["2", "b"]]);
        assert_eq!(texts(b"1|a|\r\n2||\n|b|\n", &with("|\n", "|")), [["1", "a"], ["2", ""], ["", "b"]]);
        assert_eq!(texts(b"1|a||\n2|||\n", &with("||\n", "|")), [["1", "a"], ["2", ""]]);
        assert_eq!(texts(b"A|B||1|\"||\"||", &with("||", "|")), [["A", "B"], ["1", "||"]]);
        assert_eq!(faults(b"1|2|\n3|4|\n", &with("|\n", "|")), [None, None]);
        assert_eq!(faults(b"1,2\n3,4\n", &with("\r\n", ",")), [Some(Fault::RecordEnd)]);
        assert_eq!(faults(b"\"1\",\"2\"\n\"3\",\"4\"\n", &with("\r\n", ",")), [Some(Fault::RecordEnd)]);
        assert_eq!(faults(b"1,2\r\n3,4\n5", &with("\r\n", ",")), [None, None]);
        assert_eq!(faults(b"1,\"2\n3\"", &with("\r\n", ",")), [None]);
    }

    #[test]
    fn a_preamble_is_passed_over_line_by_line_whatever_stands_in_it() {
        let rest = |bytes: &[u8], format: &CsvFormat, lines: u32, piece: usize| {
            let mut reader = Reader::new(Pieces(bytes, piece), format);
            (0..lines).for_each(|_| drop(reader.skip_line().unwrap()));
            let (mut record, stated) = (Record::default(), reader.stated_delimiter().unwrap());
            reader.next_into(&mut record).unwrap().then(|| (record.line, record.texts().map(str::to_owned).collect::<Vec<_>>(), stated))
        };
        let ends = CsvFormat { record_end: Some("&|".into()), ..Default::default() };
        let fed = CsvFormat { record_end: Some("#\n".into()), ..CsvFormat::default() };
        let long = [&vec![b'x'; 2 * BLOCK][..], b"\n1,2\n"].concat();
        for piece in [1, 3, usize::MAX] {
            let row = |line, one: &str, two: &str| Some((line, vec![one.to_owned(), two.to_owned()], None));
            let csv = CsvFormat::default();
            assert_eq!(rest(b"Report \"x\r\n\r\n1,2\r\n", &csv, 2, piece), row(3, "1", "2"));
            assert_eq!(rest(b"a\rb\r1,2", &csv, 2, piece), row(3, "1", "2"));
            assert_eq!(rest(b"x&y&|1,2&|", &ends, 1, piece), row(1, "1", "2"));
            assert_eq!(rest(b"x\ny&|\r\nz\n\n1,2&|", &ends, 4, piece), row(5, "1", "2"), "lines are passed over, whatever ends records");
            assert_eq!(rest(b"Title\nMade#\n1,2#\n", &fed, 2, piece), row(3, "1", "2"));
            assert_eq!(rest(b"sep=;&|a,b&|", &ends, 0, piece), Some((1, vec!["a".into(), "b".into()], Some(';'))));
            assert_eq!(rest(b"sep=;\na,b&|", &ends, 0, piece), Some((2, vec!["a".into(), "b".into()], Some(';'))));
            assert_eq!(rest(b"sep=;\na,b#\n", &fed, 0, piece), Some((2, vec!["a".into(), "b".into()], Some(';'))));
            assert_eq!(rest(b"one", &csv, 3, piece), None);
            assert_eq!(rest(b"\xEF\xBB\xBFsep=;\r\na,b\n", &csv, 0, piece), Some((2, vec!["a".into(), "b".into()], Some(';'))));
            assert_eq!(rest(b"sep=x,b\n", &csv, 0, piece), row(1, "sep=x", "b"));
            if piece > 3 {
                assert_eq!(rest(&long, &csv, 1, piece), row(2, "1", "2"));
            }
        }
    }

    #[test]
    fn records_beyond_the_bounds_are_faults_and_the_next_is_read() {
        // So many that looking at all of them again for each block would be felt.
        let wide = [",".repeat(2 << 20), "\na,b\n".into()].concat();
        let records = all(wide.as_bytes(), &CsvFormat::default(), usize::MAX);
        assert_eq!(records[0].fault, Some(Fault::Fields));
        assert_eq!(records[1].texts().collect::<Vec<_>>(), ["a", "b"]);
        let mut long = vec![b'x'; RECORD_SIZE_MAX + 3 * BLOCK];
        long.extend(b"\na,b\n");
        let records = all(&long, &CsvFormat::default(), usize::MAX);
        assert_eq!(records[0].fault, Some(Fault::Size));
        assert_eq!(records[1].texts().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(records[1].line, 2);
    }

    proptest! {
        #[test]
        fn it_agrees_with_an_independent_reader(records in proptest::collection::vec(proptest::collection::vec("[a-z\",\r\n;é ]{0,6}", 1..5), 1..8), piece in 1usize..20) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            let records: Vec<Vec<String>> = records.into_iter().filter(|record| !record.concat().is_empty()).collect();
            records.iter().for_each(|record| writer.write_record(record).unwrap());
            let bytes = writer.into_inner().unwrap();
            let ours: Vec<Vec<String>> = all(&bytes, &CsvFormat::default(), piece).iter().map(|record| record.texts().map(str::to_owned).collect()).collect();
            prop_assert_eq!(ours, records);
        }

        #[test]
        fn hostile_bytes_never_panic_and_pieces_make_no_difference(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), Just(b'|'), Just(b'\\')], 0..300), piece in 1usize..9) {
            for format in [
                CsvFormat::default(),
                CsvFormat { delimiter: ",|".into(), record_end: Some("|\n".into()), ..Default::default() },
                CsvFormat { delimiter: "|".into(), record_end: Some("|,\n".into()), ..Default::default() },
                CsvFormat { escape: Some('\\'), encoding: encoding_rs::SHIFT_JIS, ..Default::default() },
                CsvFormat { encoding: encoding_rs::UTF_16BE, ..Default::default() },
            ] {
                prop_assert_eq!(all(&bytes, &format, piece), all(&bytes, &format, usize::MAX));
            }
        }
    }
}
