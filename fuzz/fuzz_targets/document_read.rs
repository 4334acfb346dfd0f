//! Any bytes as a document of any format: it is read to its end or refused with a place, and what is read keeps to its bounds.
#![no_main]

use std::ops::ControlFlow;

use entrepot::document::broken::Broken;
use entrepot::document::read::{self, Layout, Take, Wanted};
use entrepot::document::record::Record;
use entrepot::model::format::{CsvFormat, ExcelFormat, FixedColumn, FixedFormat, Format, JsonFormat, XmlFormat};
use entrepot::model::path::Path;

struct Counting {
    layouts: u32,
    line: u64,
}

impl Take for Counting {
    fn layout(&mut self, _: &Layout) -> ControlFlow<()> {
        self.layouts += 1;
        ControlFlow::Continue(())
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        assert_eq!(self.layouts, 1, "the layout comes first, and once");
        assert!(record.line >= self.line, "records come in the order of the document");
        self.line = record.line;
        (0..record.len()).for_each(|index| assert!(record.field(index).is_some()));
        ControlFlow::Continue(())
    }
}

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    let path = |text: &str| Path::parse(text).unwrap();
    let column = |name: &str, start| FixedColumn { name: name.into(), start, length: 3, pad: ' ', right: false };
    let columns = vec![column("a", 1), column("b", 4)];
    let format = match kind % 9 {
        0 => Format::Csv(CsvFormat::default()),
        1 => Format::Csv(CsvFormat { delimiter: "+|".into(), record_end: Some("&|\n".into()), skip_last: 1, ..CsvFormat::default() }),
        2 => Format::Csv(CsvFormat { encoding: encoding_rs::UTF_16BE, ..CsvFormat::default() }),
        3 => Format::Fixed(FixedFormat { columns, ..FixedFormat::default() }),
        4 => Format::Fixed(FixedFormat { columns, record_length: Some(6), ..FixedFormat::default() }),
        5 => Format::Xml(XmlFormat { record: Some(path("//a[@b]")), ..XmlFormat::default() }),
        6 => Format::Json(JsonFormat { record: Some(path("a/b")), ..JsonFormat::default() }),
        7 => Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }),
        _ => Format::Excel(ExcelFormat::default()),
    };
    let values = ["a", "@b", "../c", "//d[1]/e", "/f"].map(path).to_vec();
    let wanted = if format.nests() { Wanted { values, nested: Vec::new() } } else { Wanted::default() };
    match read::read(bytes, &format, wanted, &mut Counting { layouts: 0, line: 0 }) {
        Ok(()) => {}
        Err(Broken::Document { message, .. }) => assert!(!message.is_empty()),
        Err(Broken::Source(error)) => panic!("memory does not fail: {error}"),
    }
});
