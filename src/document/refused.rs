//! The file of refused records: the document's own records in its own format, encoding and order, each with the line it stood on and the reasons
//! beside it: two columns more in delimited text and workbooks, a comment in XML, two members in JSON, text behind the columns of fixed width, or a
//! line before the record where records have a length. What is passed over at both ends comes along, so that the same format reads it.
//!
//! Mended and sent again, what was added is told from data and left out (`refused/mended.rs`), and what is refused again gets it anew.

pub mod mended;
#[cfg(test)]
mod tests;

use std::cmp::Ordering::{Greater, Less};
use std::fmt::Write;
use std::sync::Arc;

use encoding_rs::Encoding;

use super::csv::read::Reader;
use super::encoding::{encode_raw, has, mark};
use super::fixed::measure::Measure;
use super::read::Origin;
use super::record::Frame;
use super::write::Unwritable;
use super::{csv, excel, json, xml};
use crate::model::finding::{Finding, Rule};
use crate::model::format::{CsvFormat, ExcelFormat, FixedFormat, Format};

pub use mended::{Again, Ours, can_be_told, is_of_refused, is_of_transformed, line_of, read_again, words_in};

/// The columns that are added.
pub const LINE: &str = "Entrepot line";
/// The other one.
pub const REASON: &str = "Entrepot reason";
/// Says in the first cell of a line that it is told of the record behind it.
const BELOW: &str = "below";
/// Says there that what stands before it is all the record's own, although it looks like ours.
const WHOLE: &str = "whole";
/// Begins what stands behind a record of fixed width: the line, a colon, the reasons.
pub const BEHIND: &str = "  # Entrepot line ";
/// Begins a line with the same before a record that has a length.
pub const BEFORE: &str = "# Entrepot line ";
/// Follows the line where text stands behind the columns of a record, as its document has it.
pub const MORE: &str = " (text behind)";

/// What the file says at its beginning where it is XML.
pub const REFUSED: &str = "<?entrepot refused?>";
/// What the file of refused rows of a transformed document says there; in text our columns say it.
pub const TRANSFORMED: &str = "<?entrepot transformed?>";
/// Bytes of a document that are looked at for that.
pub const MARK_MAX: usize = 64 * 1024;

/// Appends refused records to a buffer.
pub struct Refused {
    origin: Origin,
    header: Vec<u8>,
    columns: usize,
    /// Without a header: how many fields records have.
    pub fields: Option<usize>,
    begun: bool,
    inner: Inner,
}

enum Inner {
    Csv(Box<Delimited>),
    Fixed(FixedFormat),
    Xml(xml::write::Refused),
    Json(json::write::Refused),
    Excel(ExcelFormat, Option<Box<excel::write::Writer>>),
}

/// Why a record is refused, on one line. What is wrong with a record nested in it, of another entity, is told with its place in the document.
pub fn reasons(findings: &[Finding], entity: &str) -> String {
    let mut reasons = String::new();
    for finding in findings {
        if !reasons.is_empty() {
            reasons.push_str("; ");
        }
        if finding.entity != entity {
            let _ = write!(reasons, "{}, line {}: ", finding.entity, finding.line);
        }
        if !finding.subject().is_empty() {
            let _ = write!(reasons, "{}: ", finding.subject());
        }
        reasons.push_str(&finding.message);
    }
    reasons
}

/// Whether a record is refused for its length, among others.
pub fn is_misfit(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.rule == Rule::Columns)
}

/// A refused record.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The line it began on.
    pub line: u64,
    /// Its exact text; none when it was too large to be kept.
    pub raw: &'a [u8],
    /// The elements it stood in.
    pub frames: Option<&'a Arc<Vec<Frame>>>,
}

/// A character of an encoding of single bytes whose byte alone is no UTF-8.
fn sign(encoding: &'static Encoding) -> Option<char> {
    encoding.is_single_byte().then(|| ['\u{b7}', '\u{2026}', '\u{a4}', '\u{451}'].into_iter().find(|sign| has(*sign, encoding))).flatten()
}

impl Refused {
    /// Of a document in this format that is written so, whose header has this exact text and so many columns.
    pub fn new(format: &Format, origin: Origin, header: Vec<u8>, columns: usize) -> Refused {
        let inner = match format {
            Format::Csv(csv) => Inner::Csv(Box::new(Delimited::new(csv, &origin))),
            Format::Fixed(fixed) => {
                Inner::Fixed(FixedFormat { record_end: record_end(fixed.record_end.as_deref(), &origin), ..fixed.clone() })
            }
            Format::Xml(_) => Inner::Xml(xml::write::Refused::new(&origin)),
            Format::Json(json) => Inner::Json(json::write::Refused::new(&origin, json.lines)),
            Format::Excel(excel) => {
                let sheet =
                    excel.sheet.clone().or_else(|| excel.sheet_preferred.as_ref().map(|name| name.trim_end_matches('$').to_owned()));
                Inner::Excel(ExcelFormat { sheet, ..excel.clone() }, None)
            }
        };
        Refused { origin, header, columns, fields: None, begun: false, inner }
    }

    /// Of what stylesheets gave: it can be sent again as that.
    #[must_use]
    pub fn of_transformed(mut self, transformed: bool) -> Refused {
        if let Inner::Xml(writer) = &mut self.inner {
            writer.transformed = transformed;
        }
        self
    }

    /// Whether a record can stand in the file: it is neither too large to be kept, nor larger than a cell or row of a workbook may be.
    pub fn holds(&self, raw: &[u8], findings: &[Finding]) -> bool {
        let held = |raw: &[u8]| excel::write::holds(raw, self.columns);
        let too_large = matches!(self.inner, Inner::Excel(..)) && !(held(raw) && held(&self.header));
        // A record of one blank field has no text either, when it comes back.
        let lost = raw.is_empty() && (!matches!(self.inner, Inner::Csv(_)) || findings.iter().any(|finding| finding.rule == Rule::Size));
        !lost && !too_large
    }

    /// Appends a record that the file holds. `misfit`: it is refused for its length, to which it is held again when it comes back.
    pub fn append(&mut self, entry: Entry<'_>, reason: &str, misfit: bool, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        let first = !std::mem::replace(&mut self.begun, true);
        // Written as it is the file is no UTF-8 then, whatever stands in its rows; saved as such by an editor it is told from one.
        let signed = sign(self.origin.encoding).map(|sign| format!("{reason} {sign}"));
        let reason = signed.as_deref().unwrap_or(reason);
        if first && matches!(self.inner, Inner::Csv(_) | Inner::Fixed(_)) {
            match self.origin.marked {
                true => encode_raw("\u{feff}".as_bytes(), self.origin.encoding, into),
                false => mark(self.origin.encoding, into),
            }
        }
        match &mut self.inner {
            Inner::Csv(writer) => {
                if first {
                    self.origin.preamble.iter().for_each(|raw| writer.passed_over(raw, into));
                    if writer.format.header {
                        writer.header(&self.header, into);
                    }
                }
                writer.record(&entry, self.fields.unwrap_or(self.columns), reason, into);
            }
            Inner::Fixed(format) => {
                if first {
                    self.origin.preamble.iter().for_each(|raw| fixed_passed_over(format, raw, &self.origin, into));
                }
                fixed_record(format, &entry, misfit, reason, &self.origin, into);
            }
            Inner::Xml(writer) => {
                let none = Arc::default();
                writer.record(entry.line, entry.raw, entry.frames.unwrap_or(&none), reason, into);
            }
            Inner::Json(writer) => writer.record(entry.line, entry.raw, entry.frames, reason, into),
            Inner::Excel(format, writer) => {
                if writer.is_none() {
                    let unnamed = ExcelFormat { sheet: None, ..format.clone() };
                    // Other programs name sheets as Excel does not.
                    let new = excel::write::Writer::new(format, Vec::new()).or_else(|_| excel::write::Writer::new(&unnamed, Vec::new()))?;
                    let mut new = Box::new(new);
                    new.preamble(&self.origin.preamble)?;
                    if format.header_row > 0 {
                        new.raw(&self.header, self.columns, [LINE, REASON])?;
                    }
                    *writer = Some(new);
                }
                let writer = writer.as_mut().expect("it was just made");
                let aligned = format.header_row > 0 && excel::write::cells(entry.raw) <= self.columns;
                let line = if aligned { entry.line.to_string() } else { format!("{LINE} {}", entry.line) };
                writer.raw(entry.raw, self.columns, [&line, reason])?;
            }
        }
        Ok(())
    }

    /// Appends what comes after the last record: what was passed over at the end of the document, each record as its exact text.
    pub fn end(&mut self, trailer: &[Vec<u8>], into: &mut Vec<u8>) -> Result<(), Unwritable> {
        if !self.begun {
            return Ok(());
        }
        match &mut self.inner {
            Inner::Csv(writer) => trailer.iter().for_each(|raw| writer.passed_over(raw, into)),
            Inner::Fixed(format) => trailer.iter().for_each(|raw| fixed_passed_over(format, raw, &self.origin, into)),
            Inner::Xml(writer) => writer.end(into),
            Inner::Json(writer) => writer.end(into),
            Inner::Excel(_, Some(writer)) => {
                writer.passed_over(trailer)?;
                writer.end(into)?;
            }
            Inner::Excel(_, None) => {}
        }
        Ok(())
    }
}

/// What ends records: what the format says, or else what the document has.
fn record_end(stated: Option<&str>, origin: &Origin) -> Option<String> {
    Some(match stated.or(origin.record_end) {
        // Records of a length without ends come back on lines.
        Some("") => "\n".to_owned(),
        found => found.unwrap_or("\r\n").to_owned(),
    })
}

/// Our words without what would end a field or a record: where a blank does, there is a stroke in its place.
fn plain(text: &str, ends: &[&str]) -> String {
    let text: String = text.chars().map(|c| if matches!(c, '\r' | '\n') { ' ' } else { c }).collect();
    if !ends.iter().any(|end| !end.is_empty() && text.contains(end)) {
        return text;
    }
    let ends_one = |c: char| ends.iter().any(|end| end.contains(c));
    let instead = [' ', '_', '-'].into_iter().find(|c| !ends_one(*c)).unwrap_or(' ');
    text.chars().map(|c| if ends_one(c) { instead } else { c }).collect()
}

/// Delimited text.
struct Delimited {
    /// In UTF-8.
    format: CsvFormat,
    encoding: &'static encoding_rs::Encoding,
    end: String,
    dialect: Reader<std::io::Empty>,
    writer: csv::write::Writer,
    /// The end of records that the format states stands nowhere in the document.
    endless: bool,
}

impl Delimited {
    fn new(format: &CsvFormat, origin: &Origin) -> Delimited {
        let end = record_end(format.record_end.as_deref(), origin).unwrap_or_default();
        let dialect = csv::read::dialect(&CsvFormat { encoding: encoding_rs::UTF_8, ..format.clone() });
        let format = CsvFormat { encoding: encoding_rs::UTF_8, record_end: Some(end.clone()), ..format.clone() };
        Delimited {
            dialect,
            writer: csv::write::Writer::new(&format),
            encoding: origin.encoding,
            end,
            endless: origin.record_end == Some(""),
            format,
        }
    }

    fn passed_over(&self, raw: &[u8], into: &mut Vec<u8>) {
        encode_raw(raw, self.encoding, into);
        encode_raw(self.end.as_bytes(), self.encoding, into);
    }

    fn header(&mut self, raw: &[u8], into: &mut Vec<u8>) {
        self.with_tail(raw, LINE, REASON, into);
    }

    /// The cell of the line says what it is: mended, a record may have another number of fields, and it is not in the column of that name then.
    fn record(&mut self, entry: &Entry<'_>, columns: usize, reason: &str, into: &mut Vec<u8>) {
        if self.endless && memchr::memchr2(b'\r', b'\n', entry.raw).is_some() {
            // All the document is one record, which an end behind it would make a good one.
            return encode_raw(entry.raw, self.encoding, into);
        }
        // Where no header says it, a mended record is not to decide how many fields records have.
        let fields = if self.format.header || columns == 0 { String::new() } else { format!(" ({columns} fields)") };
        let Some((count, last)) = self.dialect.fields(entry.raw, columns) else {
            // A qualifier that is never closed would take our words in: they stand before it.
            let alone = self.tail(&format!("{LINE} {} ({BELOW}){fields}", entry.line), reason);
            if self.dialect.fields(&alone, 0).is_some_and(|(count, _)| count == 2) {
                self.passed_over(&alone, into);
            }
            return self.passed_over(entry.raw, into);
        };
        let whole = if count >= columns + 2 && self.ends_as_ours(entry.raw, count) { format!(" ({WHOLE})") } else { String::new() };
        let marked = format!("{LINE} {}{whole}{fields}", entry.line);
        // Where only blank fields are too many, they give way.
        let needed = last.filter(|end| *end > 0 && end + (count - columns) * self.format.delimiter.len() == entry.raw.len());
        let aligns = self.format.header && self.format.ragged && columns > 0 && std::str::from_utf8(entry.raw).is_ok();
        match (count.cmp(&columns), needed) {
            (Less, _) if aligns => {
                let padded = [entry.raw, self.format.delimiter.repeat(columns - count).as_bytes()].concat();
                self.with_tail(&padded, &marked, reason, into);
            }
            (Greater, Some(end)) if aligns => self.with_tail(&entry.raw[..end], &marked, reason, into),
            _ => self.with_tail(entry.raw, &marked, reason, into),
        }
    }

    /// Whether the last two of so many fields could be ours.
    fn ends_as_ours(&self, raw: &[u8], count: usize) -> bool {
        let Some((_, Some(end))) = self.dialect.fields(raw, count - 2) else { return false };
        let cell = &raw[end + self.format.delimiter.len()..];
        let is_before = |byte: &u8| byte.is_ascii_whitespace() || self.format.qualifier == Some(char::from(*byte));
        words_in(cell).is_some_and(|place| cell[..place].iter().all(is_before))
    }

    /// A record with two fields more; without them when they could not be told from its own.
    fn with_tail(&mut self, raw: &[u8], line: &str, reason: &str, into: &mut Vec<u8>) {
        let own = self.dialect.fields(raw, 0).map_or(0, |(count, _)| count);
        let tail = self.tail(line, reason);
        let whole = [raw, self.format.delimiter.as_bytes(), &tail].concat();
        let told = own > 0 && self.dialect.fields(&whole, own) == Some((own + 2, Some(raw.len())));
        self.passed_over(if told { &whole } else { raw }, into);
    }

    /// Our two fields, without a record end.
    fn tail(&mut self, line: &str, reason: &str) -> Vec<u8> {
        let mut tail = Vec::new();
        match self.format.qualifier {
            None => {
                let plain = |text: &str| plain(text, &[&self.format.delimiter, &self.end]);
                tail.extend_from_slice(format!("{}{}{}", plain(line), self.format.delimiter, plain(reason)).as_bytes());
            }
            Some(_) => {
                // UTF-8 and a qualifier can say everything.
                let _ = self.writer.record([Some(line), Some(reason)], &mut tail);
                tail.truncate(tail.len().saturating_sub(self.end.len()));
            }
        }
        tail
    }
}

/// `misfit`: the record is refused for its length, to which it is held again when it comes back.
fn fixed_record(format: &FixedFormat, entry: &Entry<'_>, misfit: bool, reason: &str, origin: &Origin, into: &mut Vec<u8>) {
    let end = format.record_end.as_deref().unwrap_or_default();
    let reason = plain(reason, &[end]);
    let (line, measure) = (entry.line, Measure::new(format, origin.encoding));
    let width = format.columns.iter().map(|column| column.start - 1 + column.length).max().unwrap_or(0);
    let behind = |text: &str| !measure.part(text, width + 1, usize::MAX / 2).trim().is_empty();
    let more = if !misfit && std::str::from_utf8(entry.raw).is_ok_and(behind) { MORE } else { "" };
    match format.record_length {
        // As in delimited text.
        None if origin.record_end == Some("") && memchr::memchr2(b'\r', b'\n', entry.raw).is_some() => {
            encode_raw(entry.raw, origin.encoding, into);
        }
        None => {
            let blanks = width.saturating_sub(measure.of_raw(entry.raw));
            let length = match misfit {
                true => format!(" ({} {})", measure.of(String::from_utf8_lossy(entry.raw).trim_end()), measure.unit()),
                false => more.to_owned(),
            };
            encode_raw(entry.raw, origin.encoding, into);
            encode_raw(format!("{}{BEHIND}{line}{length}: {reason}{end}", " ".repeat(blanks)).as_bytes(), origin.encoding, into);
        }
        Some(length) => {
            // Our words need a line of their own.
            let own = if end.contains('\n') { end } else { "\n" };
            let mut words = format!("{BEFORE}{line}{more}: {reason}");
            if measure.of(&words) == length {
                // A line that is as long as a record is one.
                words.push(' ');
            }
            encode_raw(format!("{words}{own}").as_bytes(), origin.encoding, into);
            encode_raw(entry.raw, origin.encoding, into);
            encode_raw(if end.is_empty() { own } else { end }.as_bytes(), origin.encoding, into);
        }
    }
}

fn fixed_passed_over(format: &FixedFormat, raw: &[u8], origin: &Origin, into: &mut Vec<u8>) {
    let end = format.record_end.as_deref().filter(|end| !end.is_empty()).unwrap_or("\n");
    let lacks = format.record_length.map_or(0, |length| length.saturating_sub(Measure::new(format, origin.encoding).of_raw(raw)));
    encode_raw(raw, origin.encoding, into);
    encode_raw(format!("{}{end}", " ".repeat(lacks)).as_bytes(), origin.encoding, into);
}
