//! The file of refused records: the document's own records in its own format, encoding and order, each with the line it stood on and the reasons
//! beside it: two columns more in delimited text and workbooks, a comment in XML, two members in JSON, text behind the columns of fixed width.
//! Mended and sent again, what was added is passed over, because nothing maps it.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use encoding_rs::Encoding;

use super::broken::Broken;
use super::encoding::{encode, mark};
use super::read::{self, Layout, Take, Wanted};
use super::record::{Frame, Record};
use super::write::Unwritable;
use super::{csv, excel, json, xml};
use crate::model::finding::Finding;
use crate::model::format::{CsvFormat, ExcelFormat, FixedFormat, Format};

/// The columns that are added.
pub const LINE: &str = "Entrepot line";
/// The other one.
pub const REASON: &str = "Entrepot reason";

/// What the file of refused rows of a transformed document says where it is XML; in text our columns say it.
pub const TRANSFORMED: &str = "<?entrepot transformed?>";
/// Bytes of a document that are looked at for that.
pub const MARK_MAX: usize = 64 * 1024;

/// Whether a document that begins so is such a file: refused rows as stylesheets gave them in this format, mended and sent again.
pub fn is_of_transformed(format: &Format, begin: &[u8]) -> bool {
    let (encoding, skip) = Encoding::for_bom(begin).unwrap_or((format.encoding(), 0));
    let text = encoding.decode_without_bom_handling(&begin[skip..]).0;
    let text = text.trim_start();
    match format {
        Format::Xml(_) => {
            // Before the root there may be nothing else but the declaration.
            let prolog = text.strip_prefix("<?xml").map_or(text, |rest| rest.split_once("?>").map_or("", |(_, rest)| rest));
            prolog.trim_start().starts_with(TRANSFORMED)
        }
        _ if text.starts_with('<') => false,
        Format::Csv(csv) => csv.header && text.contains(LINE) && text.contains(REASON),
        Format::Json(_) => text.contains(&format!("\"{LINE}\":")),
        Format::Fixed(_) => text.lines().next().is_some_and(|line| line.contains(&format!("# {LINE} "))),
        Format::Excel(_) => false,
    }
}

/// Whether such a file in this format can be told from other documents.
pub fn can_be_told(format: &Format) -> bool {
    match format {
        Format::Xml(_) | Format::Json(_) => true,
        Format::Csv(csv) => csv.header,
        Format::Fixed(fixed) => fixed.record_length.is_none(),
        Format::Excel(_) => false,
    }
}

/// Appends refused records to a buffer.
pub struct Refused {
    encoding: &'static Encoding,
    header: Vec<u8>,
    columns: usize,
    begun: bool,
    /// Only a byte order mark says that the document is not in the encoding of its format.
    marked: bool,
    inner: Inner,
}

enum Inner {
    Csv(CsvFormat),
    Fixed(FixedFormat),
    Xml(xml::write::Refused),
    Json(json::write::Refused),
    Excel(ExcelFormat, Option<Box<excel::write::Writer>>),
}

/// Why a record is refused, on one line.
pub fn reasons(findings: &[Finding]) -> String {
    let reasons = findings.iter().map(|finding| match finding.column.is_empty() {
        true => finding.message.clone(),
        false => format!("{}: {}", finding.column, finding.message),
    });
    reasons.collect::<Vec<_>>().join("; ")
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
        let says_itself = matches!(format, Format::Xml(_) | Format::Excel(_));
        let marked = encoding == encoding_rs::UTF_8 && format.encoding() != encoding && !says_itself;
        Refused { encoding, header, columns, begun: false, marked, inner }
    }

    /// Of what stylesheets gave: it can be sent again as that.
    #[must_use]
    pub fn of_transformed(mut self, transformed: bool) -> Refused {
        if let Inner::Xml(writer) = &mut self.inner {
            writer.transformed = transformed;
        }
        self
    }

    /// Appends a record with its reasons.
    pub fn record(&mut self, entry: Entry<'_>, findings: &[Finding], into: &mut Vec<u8>) -> Result<(), Unwritable> {
        let (reason, line) = (reasons(findings), entry.line.to_string());
        let first = !std::mem::replace(&mut self.begun, true);
        if first && self.marked {
            into.extend_from_slice("\u{feff}".as_bytes());
        }
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
                if let Some(length) = format.record_length.filter(|_| std::str::from_utf8(entry.raw).is_err()) {
                    // What stands for bytes that are no text must not move the records behind it.
                    text = text.chars().chain(std::iter::repeat(' ')).take(length).collect();
                    if text.trim().is_empty() {
                        // Blanks would be no record at all.
                        text.replace_range(..1, "?");
                    }
                }
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
    let mut tail = Vec::new();
    match format.qualifier {
        None => {
            let end = format.record_end.as_deref().unwrap_or("\r\n");
            // A reason must not look like two fields, nor like two records.
            let reason = reason.replace(&format.delimiter, " ").replace(end, " ").replace(['\r', '\n'], " ");
            tail.extend_from_slice(format!("{line}{}{reason}{end}", format.delimiter).as_bytes());
        }
        Some(_) => {
            let plain = CsvFormat { encoding: encoding_rs::UTF_8, ..format.clone() };
            // UTF-8 and a qualifier can say everything.
            let _ = csv::write::Writer::new(&plain).record([Some(line), Some(reason)], &mut tail);
        }
    }
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

/// A record of such a file, read again.
pub struct Again<'a> {
    /// Its number in the file, from 0.
    pub number: u64,
    /// The line that it stood on, where the format has a column for that.
    pub line: Option<u64>,
    /// The names of its fields; none when they go by number, or by what was asked for.
    pub names: &'a Arc<Vec<String>>,
    /// Its values, as they are written.
    pub values: Vec<String>,
}

/// Reads such a file again, until `take` has enough.
pub fn read_again(
    file: impl Read,
    format: &Format,
    wanted: Wanted,
    take: &mut dyn FnMut(Again<'_>) -> ControlFlow<()>,
) -> Result<(), Broken> {
    let mut format = format.clone();
    // It was written without what was passed over.
    match &mut format {
        Format::Csv(csv) => (csv.skip_first, csv.skip_last) = (0, 0),
        Format::Fixed(fixed) => (fixed.skip_first, fixed.skip_last) = (0, 0),
        Format::Excel(excel) => excel.skip_last = 0,
        Format::Xml(_) | Format::Json(_) => {}
    }
    let widened = matches!(format, Format::Csv(_) | Format::Excel(_));
    read::read(file, &format, wanted, &mut Reread { widened, names: Arc::default(), number: 0, take })
}

struct Reread<'a> {
    /// The last two columns are ours.
    widened: bool,
    names: Arc<Vec<String>>,
    number: u64,
    take: &'a mut dyn FnMut(Again<'_>) -> ControlFlow<()>,
}

impl Take for Reread<'_> {
    fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
        if let Layout::Named { names, .. } = layout {
            let ours = if self.widened { 2 } else { 0 };
            self.names = Arc::new(names[..names.len().saturating_sub(ours)].to_vec());
        }
        ControlFlow::Continue(())
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        let mut values: Vec<String> = record.texts().map(str::to_owned).collect();
        let number = self.number;
        self.number += 1;
        let mut line = None;
        if self.widened {
            // A record that damages what stands behind it has no line of its own.
            let Some(at) = values.len().checked_sub(2) else { return ControlFlow::Continue(()) };
            let Ok(found) = values[at].parse() else { return ControlFlow::Continue(()) };
            line = Some(found);
            values.truncate(at);
        }
        (self.take)(Again { number, line, names: &self.names, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Rule;
    use crate::model::format::FixedColumn;

    fn file(format: &Format, encoding: &'static Encoding, header: &str, rows: &[(u64, &[u8])]) -> Vec<u8> {
        let mut refused = Refused::new(format, encoding, header.into(), header.split(',').count());
        let mut bytes = Vec::new();
        for (line, raw) in rows {
            let finding = Finding::of_document(Rule::Type, "E", "wrong", "mend it");
            refused.record(super::Entry { line: *line, raw, frames: None }, &[finding], &mut bytes).unwrap();
        }
        refused.end(&mut bytes).unwrap();
        bytes
    }

    fn again(format: &Format, bytes: &[u8]) -> Vec<(u64, Option<u64>, Vec<String>)> {
        let mut found = Vec::new();
        let mut take = |again: Again<'_>| {
            found.push((again.number, again.line, again.values));
            ControlFlow::Continue(())
        };
        read_again(bytes, format, Wanted::default(), &mut take).unwrap();
        found
    }

    #[test]
    fn a_file_in_another_encoding_than_its_format_says_so() {
        let format = Format::Csv(CsvFormat { encoding: encoding_rs::WINDOWS_1252, skip_first: 2, ..CsvFormat::default() });
        let bytes = file(&format, encoding_rs::UTF_8, "name,amount", &[(4, "J\u{fc}rgen \u{20ac},x".as_bytes())]);
        assert_eq!(again(&format, &bytes), [(0, Some(4), vec!["J\u{fc}rgen \u{20ac}".to_owned(), "x".to_owned()])]);
        let plain = Format::Csv(CsvFormat::default());
        assert!(file(&plain, encoding_rs::UTF_8, "a,b", &[(2, b"1,2")]).starts_with(b"a,b,"), "and only then");
    }

    #[test]
    fn bytes_that_are_no_text_do_not_move_the_records_behind_them() {
        let column = |name: &str, start| FixedColumn { name: name.into(), start, length: 2, pad: ' ', right: false };
        let fixed = FixedFormat { columns: vec![column("a", 1), column("b", 3)], record_length: Some(4), ..FixedFormat::default() };
        let format = Format::Fixed(fixed);
        let bytes = file(&format, encoding_rs::UTF_8, "", &[(1, b"\xE4\xBC\x41"), (1, b"\xFF\xFF\xFF\xFF\xFF"), (1, b"1 2x")]);
        let found = again(&format, &bytes);
        assert_eq!((found.len(), &found[2].2), (3, &vec!["1".to_owned(), "2x".to_owned()]), "{found:?}");
        let bytes = file(&format, encoding_rs::UTF_8, "", &[(1, b"\t   \x80"), (1, b"1 2x")]);
        assert_eq!(again(&format, &bytes)[1].2, ["1", "2x"], "a record of blanks would be passed over");
    }
}
