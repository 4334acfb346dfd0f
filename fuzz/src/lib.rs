//! What the targets share: formats of every kind, how readers keep their promises, and texts that were whole before a few edits.
//!
//! There is no corpus: what a target needs to get far in (a package, a workbook, a configuration) it makes itself, and damages.

use std::ops::ControlFlow;

use entrepot::document::broken::Broken;
use entrepot::document::read::{Layout, Take, Wanted, read};
use entrepot::document::record::Record;
use entrepot::model::format::{CsvFormat, ExcelFormat, FixedColumn, FixedFormat, Format, JsonFormat, Unit, XmlFormat};
use entrepot::model::path::Path;
use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// A path that the target wrote itself.
pub fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

/// A format of any kind but Excel.
pub fn format(kind: u8) -> Format {
    let column = |name: &str, start| FixedColumn { name: name.into(), start, length: 3, pad: ' ', right: false };
    let columns = vec![column("a", 1), column("b", 4)];
    let ends = CsvFormat { delimiter: "+|".into(), record_end: Some("&|\n".into()), ..CsvFormat::default() };
    match kind % 13 {
        0 => Format::Csv(CsvFormat::default()),
        1 => Format::Csv(CsvFormat { skip_last: 1, ..ends }),
        2 => Format::Csv(CsvFormat { qualifier: None, ..ends }),
        3 => Format::Csv(CsvFormat { encoding: encoding_rs::UTF_16BE, ..CsvFormat::default() }),
        4 => Format::Csv(CsvFormat { encoding: encoding_rs::UTF_16LE, header: false, ..CsvFormat::default() }),
        5 => Format::Fixed(FixedFormat { columns, ..FixedFormat::default() }),
        6 => Format::Fixed(FixedFormat { columns, record_length: Some(6), ..FixedFormat::default() }),
        7 => Format::Xml(XmlFormat { record: Some(path("//a[@b]")), ..XmlFormat::default() }),
        8 => Format::Xml(XmlFormat { record: Some(path("//a")), ..XmlFormat::default() }),
        9 => Format::Json(JsonFormat { record: Some(path("a/b")), ..JsonFormat::default() }),
        10 => Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }),
        11 => Format::Json(JsonFormat::default()),
        _ => Format::Fixed(FixedFormat {
            columns,
            unit: Unit::Bytes,
            encoding: encoding_rs::SHIFT_JIS,
            record_length: Some(6),
            ..FixedFormat::default()
        }),
    }
}

/// A workbook whose header stands in this row.
pub fn workbook(header_row: u32) -> Format {
    Format::Excel(ExcelFormat { header_row, ..ExcelFormat::default() })
}

/// What is asked of a document in this format: these paths, where it nests.
pub fn wanted<const N: usize>(format: &Format, paths: [&str; N]) -> Wanted {
    if format.nests() { Wanted { values: paths.map(path).to_vec(), ..Wanted::default() } } else { Wanted::default() }
}

struct Promises {
    layouts: u32,
    line: u64,
}

impl Take for Promises {
    fn layout(&mut self, _: &Layout) -> ControlFlow<()> {
        self.layouts += 1;
        ControlFlow::Continue(())
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        assert_eq!(self.layouts, 1, "the layout comes first, and once");
        assert!(record.line >= self.line, "records come in the order of the document");
        self.line = record.line;
        assert!(record.len() <= 16_384, "{} fields", record.len());
        (0..record.len()).for_each(|index| assert!(record.field(index).is_some()));
        ControlFlow::Continue(())
    }
}

/// The document is read to its end, or refused with a word.
pub fn is_read_or_refused(bytes: &[u8], format: &Format) {
    let wanted = wanted(format, ["a", "@b", "../c", "//d[1]/e", "/f"]);
    match read(bytes, format, wanted, &mut Promises { layouts: 0, line: 0 }) {
        Ok(()) => {}
        Err(Broken::Document { message, .. }) => assert!(!message.is_empty()),
        Err(Broken::Source(error)) => panic!("memory does not fail: {error}"),
    }
}

/// One edit of a text.
#[derive(Arbitrary, Debug)]
pub struct Edit<'a> {
    at: u16,
    without: u8,
    with: Piece<'a>,
}

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Text(&'a str),
    /// What stands elsewhere in the text.
    Again {
        from: u16,
        length: u8,
    },
}

/// The text after the edits, eight of them at most.
pub fn edited(whole: &str, edits: &[Edit<'_>]) -> String {
    let mut text = whole.to_owned();
    for edit in edits.iter().take(8) {
        let place = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let at = place(usize::from(edit.at) % (text.len() + 1));
        let end = place(at + usize::from(edit.without)).max(at);
        let with = match edit.with {
            Piece::Text(text) => text.to_owned(),
            Piece::Again { from, length } => {
                let from = place(usize::from(from) % (text.len() + 1));
                text[from..place(from + usize::from(length)).max(from)].to_owned()
            }
        };
        text.replace_range(at..end, &with);
    }
    text
}
