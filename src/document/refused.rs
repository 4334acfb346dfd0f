//! The file of refused records: the document's own records in its own format, encoding and order, each with the line it stood on and the reasons
//! beside it: two columns more in delimited text and workbooks, a comment in XML, two members in JSON, text behind the columns of fixed width.
//! Mended and sent again, what was added is passed over, because nothing maps it.

use std::sync::Arc;

use encoding_rs::Encoding;

use super::encoding::{encode, mark};
use super::record::Frame;
use super::write::Unwritable;
use super::{csv, excel, json, xml};
use crate::model::finding::Finding;
use crate::model::format::{CsvFormat, ExcelFormat, FixedFormat, Format};

/// The columns that are added.
pub const LINE: &str = "Entrepot line";
/// The other one.
pub const REASON: &str = "Entrepot reason";

/// Appends refused records to a buffer.
pub struct Refused {
    encoding: &'static Encoding,
    header: Vec<u8>,
    columns: usize,
    begun: bool,
    inner: Inner,
}

enum Inner {
    Csv(CsvFormat),
    Fixed(FixedFormat),
    Xml(xml::write::Refused),
    Json(json::write::Refused),
    Excel(ExcelFormat, Option<Box<excel::write::Writer>>),
}

/// A refused record.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The line it began on.
    pub line: u64,
    /// Its exact text.
    pub raw: &'a [u8],
    /// The elements it stood in.
    pub frames: Option<&'a Arc<Vec<Frame>>>,
}

impl Refused {
    /// Of a document in this format and encoding, whose header has this exact text and so many columns.
    pub fn new(format: &Format, encoding: &'static Encoding, header: Vec<u8>, columns: usize) -> Refused {
        let inner = match format {
            Format::Csv(csv) => Inner::Csv(CsvFormat { encoding, ..csv.clone() }),
            Format::Fixed(fixed) => Inner::Fixed(FixedFormat { encoding, ..fixed.clone() }),
            Format::Xml(_) => Inner::Xml(xml::write::Refused::new(encoding)),
            Format::Json(json) => Inner::Json(json::write::Refused::new(encoding, json.lines)),
            Format::Excel(excel) => Inner::Excel(excel.clone(), None),
        };
        Refused { encoding, header, columns, begun: false, inner }
    }

    /// Appends a record with its reasons.
    pub fn record(&mut self, entry: Entry<'_>, findings: &[Finding], into: &mut Vec<u8>) -> Result<(), Unwritable> {
        let reasons: Vec<String> = findings
            .iter()
            .map(|finding| match finding.column.is_empty() {
                true => finding.message.clone(),
                false => format!("{}: {}", finding.column, finding.message),
            })
            .collect();
        let (reason, line) = (reasons.join("; "), entry.line.to_string());
        let first = !std::mem::replace(&mut self.begun, true);
        match &mut self.inner {
            Inner::Csv(format) => {
                if first {
                    mark(self.encoding, into);
                    if format.header {
                        delimited(format, &self.header, LINE, REASON, into);
                    }
                }
                delimited(format, entry.raw, &line, &reason, into);
            }
            Inner::Fixed(format) => {
                if first {
                    mark(self.encoding, into);
                }
                let mut text = String::from_utf8_lossy(entry.raw).into_owned();
                if format.record_length.is_none() {
                    let width = format.columns.iter().map(|column| column.start - 1 + column.length).max().unwrap_or(0);
                    let blanks = width.saturating_sub(text.chars().count());
                    text.extend(std::iter::repeat_n(' ', blanks));
                    let reason = reason.replace(['\r', '\n'], " ");
                    text.push_str(&format!("  # {LINE} {line}: {reason}"));
                }
                text.push_str(format.record_end.as_deref().unwrap_or("\r\n"));
                encode_or_ascii(&text, self.encoding, into);
            }
            Inner::Xml(writer) => {
                let none = Arc::default();
                writer.record(entry.line, entry.raw, entry.frames.unwrap_or(&none), &reason, into);
            }
            Inner::Json(writer) => writer.record(entry.line, entry.raw, entry.frames, &reason, into),
            Inner::Excel(format, writer) => {
                if writer.is_none() {
                    let mut new = Box::new(excel::write::Writer::new(format, Vec::new())?);
                    if format.header_row > 0 {
                        new.raw(&self.header, self.columns, [LINE, REASON])?;
                    }
                    *writer = Some(new);
                }
                writer.as_mut().expect("it was just made").raw(entry.raw, self.columns, [&line, &reason])?;
            }
        }
        Ok(())
    }

    /// Appends what comes after the last record.
    pub fn end(&mut self, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        match &mut self.inner {
            Inner::Csv(_) | Inner::Fixed(_) => {}
            Inner::Xml(writer) => writer.end(into),
            Inner::Json(writer) => writer.end(into),
            Inner::Excel(_, Some(writer)) => writer.end(into)?,
            Inner::Excel(_, None) => {}
        }
        Ok(())
    }
}

fn delimited(format: &CsvFormat, raw: &[u8], line: &str, reason: &str, into: &mut Vec<u8>) {
    // Without a qualifier a reason must not look like two fields.
    let reason = match format.qualifier {
        None => reason.replace(&format.delimiter, " ").replace(['\r', '\n'], " "),
        Some(_) => reason.to_owned(),
    };
    let mut tail = Vec::new();
    let plain = CsvFormat { encoding: encoding_rs::UTF_8, ..format.clone() };
    // UTF-8 can say everything.
    let _ = csv::write::Writer::new(&plain).record([Some(line), Some(reason.as_str())], &mut tail);
    if format.encoding == encoding_rs::UTF_8 {
        into.extend_from_slice(raw);
        into.extend_from_slice(format.delimiter.as_bytes());
        into.extend_from_slice(&tail);
    } else {
        let text = format!("{}{}{}", String::from_utf8_lossy(raw), format.delimiter, String::from_utf8_lossy(&tail));
        encode_or_ascii(&text, format.encoding, into);
    }
}

/// A character that the encoding lacks can only stand in our own words.
fn encode_or_ascii(text: &str, encoding: &'static Encoding, into: &mut Vec<u8>) {
    let start = into.len();
    if encode(text, encoding, into).is_err() {
        into.truncate(start);
        for c in text.chars() {
            if encode(c.encode_utf8(&mut [0; 4]), encoding, into).is_err() {
                into.push(b'?');
            }
        }
    }
}
