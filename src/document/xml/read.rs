//! Reads records from XML, in memory that depends on the record and not on the document.
//!
//! quick-xml takes the text apart; [`Collector`] makes records of it. No entity is ever expanded but the five that XML knows and characters by
//! number, and no other file is ever read: a reference to anything else ends the reading with its place.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::write::frame;
use crate::document::broken::Broken;
use crate::document::collect::{Asked, Collector, DEPTH_MAX, Instead, TooMuch};
use crate::document::encoding::{Decoding, NO_CHARACTER};
use crate::document::read::{Origin, first_line_end};
use crate::document::record::{Fault, Record, Repeats};
use crate::document::refused::LINE;
use crate::document::refused::mended::repeats;
use crate::model::format::XmlStyle;

/// A longer record ends the reading.
pub const RECORD_SIZE_MAX: usize = 16 * 1024 * 1024;
/// Attributes of one element.
const ATTRIBUTES_MAX: usize = 4096;
/// Namespace declarations that are open at a time.
const NAMESPACES_MAX: usize = 1000;
/// Characters that are shown of the text of a root element without records.
const OWN_TEXT_MAX: usize = 200;
/// So many first records of the other style, and none of the stated one, refuse the document.
const HELD_MAX: usize = 20;

/// Reads records.
pub struct Reader<R: Read> {
    xml: quick_xml::Reader<Window<R>>,
    buffer: Vec<u8>,
    collector: Collector,
    /// Prefix, number of the namespace, and the depth at which it was declared; only when paths use prefixes.
    declared: Option<Vec<(String, u32, usize)>>,
    /// Empty elements close at once.
    closes: bool,
    /// The root element was there.
    rooted: bool,
    /// An element stood in it.
    filled: bool,
    /// The beginning of its own text, as long as none did.
    own_text: String,
    found: u64,
    done: bool,
    mended: bool,
    /// The first records, as long as all are of the other style; what they are is known with the first that is not.
    held: VecDeque<Record>,
    settled: bool,
    /// The record behind the comment at hand was refused because another has the same.
    repeats: Repeats,
}

impl<R: Read> Reader<R> {
    /// A reader of a document in this encoding, unless it says itself which it has.
    pub fn new(source: R, encoding: &'static encoding_rs::Encoding, asked: Asked) -> Reader<R> {
        let source = Decoding::checked(source, encoding, true);
        let window = Window { source, text: Vec::new(), start: 0, at: 0, counted: 0, line: 1, done: false };
        let mut xml = quick_xml::Reader::from_reader(window);
        xml.config_mut().check_end_names = true;
        let declared = (!asked.namespaces.is_empty()).then(Vec::new);
        Reader {
            xml,
            buffer: Vec::new(),
            collector: Collector::new(asked, 0, frame),
            declared,
            closes: false,
            rooted: false,
            filled: false,
            own_text: String::new(),
            found: 0,
            done: false,
            mended: false,
            held: VecDeque::new(),
            settled: false,
            repeats: Repeats::default(),
        }
    }

    /// How the document is written, as far as that is known by now.
    pub fn origin(&self) -> Origin {
        let source = &self.xml.get_ref().source;
        let label = source.label().map(str::to_owned);
        let record_end = first_line_end(&self.xml.get_ref().text);
        Origin { marked: source.is_marked(), label, mended: self.mended, record_end, ..Origin::new(source.encoding()) }
    }

    /// The next record; `false` at the end.
    pub fn next_into(&mut self, record: &mut Record) -> Result<bool, Broken> {
        if let Some(held) = self.held.pop_front() {
            *record = held;
            return Ok(true);
        }
        let mut size = 0;
        loop {
            let more = self.next_whole(record)?;
            if self.settled {
                return Ok(more);
            }
            if let (Some(Fault::Style(_)), true) = (&record.fault, more) {
                size += record.raw.len();
                self.held.push_back(std::mem::take(record));
                if self.held.len() < HELD_MAX && size < RECORD_SIZE_MAX {
                    continue;
                }
                return Err(self.of_other_style());
            }
            if !more && !self.held.is_empty() {
                return Err(self.of_other_style());
            }
            self.settled = true;
            // One that is like no other is its own fault.
            if let Some(first) = self.held.pop_front() {
                self.held.push_back(std::mem::replace(record, first));
            }
            return Ok(more);
        }
    }

    /// The document has all its values in attributes, or in elements, and the format says the other.
    fn of_other_style(&self) -> Broken {
        let first = self.held.front().map(|record| (record.line, &record.fault));
        let (line, is, says) = match first {
            Some((line, Some(Fault::Style(XmlStyle::Element)))) => (line, "element", "attribute"),
            first => (first.map_or(0, |(line, _)| line), "attribute", "element"),
        };
        Broken::at(
            line,
            format!("records have their values in {is}s, and the format says xml-{says}"),
            format!("write type = \"xml-{is}\" in the format"),
        )
    }

    /// As [`Reader::next_into`], of whatever style.
    fn next_whole(&mut self, record: &mut Record) -> Result<bool, Broken> {
        while !self.done {
            if std::mem::take(&mut self.closes) {
                if self.close(record)? {
                    return Ok(true);
                }
                continue;
            }
            if !self.collector.is_in_record() {
                self.xml.get_mut().keep_from_here();
            }
            let line = self.xml.get_mut().line_here();
            self.buffer.clear();
            let mut buffer = std::mem::take(&mut self.buffer);
            let event = self.xml.read_event_into(&mut buffer).map_err(|error| broken(error, line))?;
            let too_much = |too_much| self::too_much(too_much, line);
            let mut closed = false;
            match event {
                Event::Start(start) => self.open(&start, line)?,
                Event::Empty(start) => {
                    self.open(&start, line)?;
                    self.closes = true;
                }
                Event::End(_) => closed = true,
                Event::Text(text) => {
                    if self.collector.depth() > 0 {
                        let text = text.xml10_content();
                        self.keep_own(&text);
                        self.collector.text(&text, false).map_err(too_much)?;
                    } else if !text.trim_ascii().is_empty() {
                        return Err(Broken::at(
                            line,
                            "text stands outside of the root element",
                            "a document has one root element, and all text in it",
                        ));
                    }
                }
                Event::CData(text) => {
                    let text = text.xml10_content();
                    self.keep_own(&text);
                    self.collector.text(&text, false).map_err(too_much)?;
                }
                Event::GeneralRef(reference) => {
                    let character = match reference.resolve_char_ref() {
                        Ok(Some(character)) => Some(character),
                        Ok(None) => match &*reference {
                            "lt" => Some('<'),
                            "gt" => Some('>'),
                            "amp" => Some('&'),
                            "apos" => Some('\''),
                            "quot" => Some('"'),
                            _ => None,
                        },
                        Err(_) => None,
                    };
                    let Some(character) = character.filter(|character| is_character(*character)) else {
                        return Err(unknown_entity(&reference, line));
                    };
                    self.collector.text(character.encode_utf8(&mut [0; 4]), false).map_err(too_much)?;
                }
                Event::Eof => {
                    self.done = true;
                    if self.collector.depth() > 0 {
                        let message = format!("the document ends inside of <{}>", self.collector.innermost());
                        return Err(Broken::at(line, message, "it was cut off: send all of it again"));
                    }
                    if self.found == 0 && !self.own_text.is_empty() {
                        let message = format!("text and no record stands in the document: {:?}", self.own_text.trim_end());
                        return Err(Broken::at(line, message, "ask the sender what it says: a document has its records in elements"));
                    }
                    if self.found == 0 && self.collector.seen_instead().is_some_and(|instead| instead.seen.is_empty()) {
                        return Err(Broken::at(line, "there is no element in the document", "an XML document has one root element"));
                    }
                }
                Event::PI(instruction) => self.mended |= instruction.starts_with("entrepot "),
                Event::Comment(comment) if comment.trim_start().starts_with(LINE) => {
                    self.mended = true;
                    self.repeats = repeats(comment.as_bytes());
                }
                Event::Comment(_) => {}
                Event::Decl(declaration) => {
                    if let Some(Ok(label)) = declaration.encoding()
                        && !self.xml.get_ref().source.is_marked()
                        && encoding_rs::Encoding::for_label(label.as_bytes()).is_none()
                    {
                        let message = format!("the XML declaration says encoding=\"{label}\", which is not known");
                        return Err(Broken::at(
                            line,
                            message,
                            "correct the declaration, or leave its encoding out and state one in the format",
                        ));
                    }
                }
                Event::DocType(_) => {}
            }
            self.buffer = buffer;
            if closed && self.close(record)? {
                return Ok(true);
            }
        }
        Ok(false)
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

    /// Values that no record had, but that stand in attributes where the format says elements, or the reverse.
    pub fn found_elsewhere(&self) -> Vec<(&str, u64, bool)> {
        self.collector.found_elsewhere()
    }

    /// Places where elements stood, when there was no record at all.
    pub fn seen_instead(&self) -> Option<Instead<'_>> {
        self.collector.seen_instead().filter(|_| self.found == 0)
    }

    /// Keeps text of the root element, as long as no element stood in it, and of the element that records should stand in.
    fn keep_own(&mut self, text: &str) {
        let own = self.collector.depth() == 1 && !self.filled || self.found == 0 && self.collector.is_at_place();
        if own && self.own_text.len() < OWN_TEXT_MAX {
            let begin = if self.own_text.is_empty() { text.trim_start() } else { text };
            self.own_text.extend(begin.chars().take(OWN_TEXT_MAX));
        }
    }

    fn close(&mut self, record: &mut Record) -> Result<bool, Broken> {
        let line = self.xml.get_mut().line_here();
        if !self.collector.close(record).map_err(|too_much| self::too_much(too_much, line))? {
            let depth = self.collector.depth();
            if let Some(declared) = &mut self.declared {
                declared.retain(|(.., at)| *at <= depth);
            }
            return Ok(false);
        }
        self.found += 1;
        record.repeats = std::mem::take(&mut self.repeats);
        record.raw.extend_from_slice(self.xml.get_ref().kept());
        if memchr::memmem::find(&record.raw, NO_CHARACTER.as_bytes()).is_some() {
            record.fault = Some(Fault::Encoding);
        }
        Ok(true)
    }

    fn open(&mut self, start: &BytesStart<'_>, line: u64) -> Result<(), Broken> {
        let too_much = |too_much| self::too_much(too_much, line);
        let depth = self.collector.depth() + 1;
        if depth == 1 && std::mem::replace(&mut self.rooted, true) {
            return Err(Broken::at(line, "a second root element", "a document has one root element: send each document by itself"));
        }
        self.filled |= depth > 1;
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| {
                Broken::at(line, format!("the attributes of <{}> are not well-formed: {error}", start.name().0), "correct the document")
            })?;
            let name = attribute.key.0;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| match error {
                quick_xml::Error::Escape(quick_xml::escape::EscapeError::UnrecognizedEntity(_, name)) => unknown_entity(&name, line),
                error => Broken::at(line, format!("the value of {name} is not well-formed: {error}"), "correct the document"),
            })?;
            attributes.push((name, value));
            if attributes.len() > ATTRIBUTES_MAX {
                return Err(Broken::at(
                    line,
                    format!("<{}> has more than {ATTRIBUTES_MAX} attributes", start.name().0),
                    "correct the document",
                ));
            }
        }
        if let Some(declared) = &mut self.declared {
            for (name, value) in &attributes {
                let prefix = name.strip_prefix("xmlns:").or_else(|| (*name == "xmlns").then_some(""));
                if let Some(prefix) = prefix {
                    declared.push((prefix.to_owned(), self.collector.namespace(value), depth));
                }
            }
            if declared.len() > NAMESPACES_MAX {
                return Err(Broken::at(line, format!("more than {NAMESPACES_MAX} namespaces are declared"), "correct the document"));
            }
        }
        let namespace_of = |declared: &Option<Vec<(String, u32, usize)>>, name: &str, default: bool| {
            let prefix = name.split_once(':').map_or("", |(prefix, _)| prefix);
            let declared = declared.as_ref().filter(|_| default || !prefix.is_empty())?;
            declared.iter().rev().find(|(known, ..)| known == prefix).map(|(_, number, _)| *number)
        };
        let name = start.name().0;
        self.collector.open(name, namespace_of(&self.declared, name, true).unwrap_or(0), line).map_err(too_much)?;
        for (name, value) in &attributes {
            let namespace = namespace_of(&self.declared, name, false).unwrap_or(0);
            self.collector.attribute(name, namespace, value).map_err(too_much)?;
        }
        self.collector.opened();
        Ok(())
    }
}

/// What XML 1.0 allows as a character.
fn is_character(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

fn unknown_entity(name: &str, line: u64) -> Broken {
    let name: String = name.chars().take(50).collect();
    Broken::at(line, format!("&{name}; is no character that XML knows, and entities are not expanded"), "write the text itself")
}

fn too_much(too_much: TooMuch, line: u64) -> Broken {
    let (message, hint) = match too_much {
        TooMuch::Depth => (format!("elements nest deeper than {DEPTH_MAX}"), "correct the document"),
        TooMuch::Context => (
            "too much stands beside the records".to_owned(),
            "let paths lead to attributes of the elements around, or take record further out",
        ),
        TooMuch::Record => ("a record has too many elements".to_owned(), "take record further in, so that it leads to one record each"),
        TooMuch::Trap(message, hint) => return Broken::at(line, message, hint),
    };
    Broken::at(line, message, hint)
}

fn broken(error: quick_xml::Error, line: u64) -> Broken {
    match error {
        quick_xml::Error::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => Broken::at(
            line,
            format!("a record, or the text between two, is larger than {} MiB", RECORD_SIZE_MAX >> 20),
            "take record further in, so that it leads to one record each",
        ),
        // The error itself may say more to who opened the source than its text does.
        quick_xml::Error::Io(error) => {
            let copy = |error: std::sync::Arc<io::Error>| io::Error::new(error.kind(), error.to_string());
            std::sync::Arc::try_unwrap(error).unwrap_or_else(copy).into()
        }
        error => Broken::at(line, format!("the document is not well-formed: {error}"), "correct the document, and send all of it again"),
    }
}

/// The decoded text, of which the part since the last mark is kept: the exact text of a record.
struct Window<R> {
    source: Decoding<R>,
    text: Vec<u8>,
    /// What is kept begins here.
    start: usize,
    /// The parser is here.
    at: usize,
    /// Line ends are counted up to here.
    counted: usize,
    line: u64,
    done: bool,
}

impl<R: Read> Window<R> {
    fn keep_from_here(&mut self) {
        self.start = self.at;
    }

    fn kept(&self) -> &[u8] {
        &self.text[self.start..self.at]
    }

    fn line_here(&mut self) -> u64 {
        self.line += memchr::memchr_iter(b'\n', &self.text[self.counted..self.at]).count() as u64;
        self.counted = self.at;
        self.line
    }
}

impl<R: Read> Read for Window<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Window<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.text.len() && !self.done {
            if self.at - self.start > RECORD_SIZE_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            self.line_here();
            self.text.drain(..self.start);
            self.at -= self.start;
            self.counted -= self.start;
            self.start = 0;
            while self.at == self.text.len() && !self.done {
                self.done = !self.source.read_into(&mut self.text)?;
            }
        }
        Ok(&self.text[self.at..])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}
