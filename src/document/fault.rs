//! What can be wrong with a record as such, in words and with its place.

use std::borrow::Cow;

use super::csv;
use super::encoding::NO_CHARACTER;
use super::record::Record;
use crate::model::finding::Rule;
use crate::model::format::{CsvFormat, Format, XmlStyle};

/// What can be wrong with a record before its values are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A qualifier is never closed.
    Unterminated,
    /// Text follows the closing qualifier of this field, from 1.
    Qualifier(usize),
    /// Blanks stand before the qualifier of this field, from 1.
    Blanks(usize),
    /// The stated record end stands nowhere in the document.
    RecordEnd,
    /// Bytes that are no text in the encoding.
    Encoding,
    /// Larger than a record may be.
    Size,
    /// More fields than a record may have.
    Fields,
    /// Nested too deep.
    Depth,
    /// Shorter or longer than the columns of fixed width say: how.
    Length(String),
    /// Not what its format asks for: what is wrong.
    Syntax(String),
    /// It has its values in elements or attributes, and the format says the other.
    Style(XmlStyle),
}

impl Fault {
    /// The rule that is broken, what is wrong, and what to do.
    pub fn told(&self, format: &Format) -> (Rule, Cow<'static, str>, Cow<'static, str>) {
        let delimited = matches!(format, Format::Csv(csv) if csv.qualifier.is_some());
        let (rule, message, hint) = match self {
            Fault::Unterminated => (
                Rule::Format,
                "a qualifier is opened and never closed".into(),
                "close it, or set qualifier = \"\" in the format when quotes are data",
            ),
            Fault::Qualifier(field) => (
                Rule::Format,
                format!("text stands behind the closing qualifier of field {field}").into(),
                "double the qualifiers inside of a qualified value, or set qualifier = \"\" in the format when quotes are data",
            ),
            Fault::Blanks(field) => (
                Rule::Format,
                format!("blanks stand before the qualifier of field {field}").into(),
                "leave them out, or set qualifier = \"\" in the format when quotes are data",
            ),
            Fault::RecordEnd => (
                Rule::Format,
                "the record_end of the format stands nowhere in the document, and line ends do".into(),
                "leave record_end out of the format: then CRLF, LF and CR end a record",
            ),
            Fault::Encoding => {
                let message = format!("the record is no text in {}", format.encoding().name());
                (Rule::Encoding, message.into(), "save the document in that encoding, or set encoding in the format")
            }
            Fault::Size if delimited => {
                (Rule::Size, "the record is larger than 16 MiB".into(), "check the qualifier: one that is never closed joins records")
            }
            Fault::Size => (Rule::Size, "the record is larger than 16 MiB".into(), "check what ends a record, or send less in one"),
            Fault::Fields => (Rule::Size, "the record has more than 4,096 fields".into(), "check the delimiter and the record end"),
            Fault::Depth => (Rule::Size, "the record nests too deep".into(), "correct the document"),
            Fault::Length(message) => (
                Rule::Columns,
                message.clone().into(),
                "send the line whole (only blanks may lack at its end, and none where record_length is stated), or correct the columns or record_length of the format",
            ),
            Fault::Syntax(message) => (Rule::Format, message.clone().into(), "correct the record"),
            Fault::Style(XmlStyle::Element) => (
                Rule::Format,
                "its values stand in elements, and the format says xml-attribute".into(),
                "write them as attributes; where all records are so, write type = \"xml-element\" in the format",
            ),
            Fault::Style(XmlStyle::Attribute) => (
                Rule::Format,
                "its values stand in attributes, and the format says xml-element".into(),
                "write them as elements; where all records are so, write type = \"xml-attribute\" in the format",
            ),
        };
        (rule, message, hint.into())
    }
}

/// Where text ends that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// The line, from 1.
    pub line: u64,
    /// Its character of the record, from 1.
    pub character: usize,
    /// Its field, from 0, where that can be told.
    pub field: Option<usize>,
}

/// Where the bytes stand in a record that are no text in its encoding: they are no UTF-8 there, or a character that no document has.
pub fn undecodable(record: &Record, format: &Format) -> Undecodable {
    let before = match std::str::from_utf8(&record.raw) {
        Ok(text) => text.split(NO_CHARACTER).next().unwrap_or_default(),
        Err(error) => std::str::from_utf8(&record.raw[..error.valid_up_to()]).unwrap_or_default(),
    };
    let character = before.chars().count() + 1;
    let field = match format {
        Format::Csv(csv) => {
            let csv = CsvFormat { encoding: encoding_rs::UTF_8, ..csv.clone() };
            let mut begin = Record::default();
            let read = csv::read::Reader::new(before.as_bytes(), &csv).next_into(&mut begin);
            Some(if read.unwrap_or(false) { begin.len().saturating_sub(1) } else { 0 })
        }
        Format::Fixed(fixed) => fixed.columns.iter().position(|column| (column.start..column.start + column.length).contains(&character)),
        _ => (0..record.len()).find(|at| record.field(*at).is_some_and(|(text, _)| text.contains(NO_CHARACTER))),
    };
    let lines = memchr::memchr_iter(b'\n', before.as_bytes()).count() as u64;
    Undecodable { line: record.line + lines, character, field }
}
