use std::ops::ControlFlow;

use encoding_rs::Encoding;

use super::*;
use crate::document::read::Wanted;
use crate::model::finding::Rule;
use crate::model::format::FixedColumn;

fn file(format: &Format, encoding: &'static Encoding, header: &str, rows: &[(u64, &[u8])]) -> Vec<u8> {
    let marked = encoding == encoding_rs::UTF_8 && format.encoding() != encoding;
    let mut refused = Refused::new(format, Origin { marked, ..Origin::new(encoding) }, header.into(), header.split(',').count());
    let mut bytes = Vec::new();
    for (line, raw) in rows {
        let finding = Finding::of_document(Rule::Type, "E", "wrong", "mend it");
        refused.record(super::Entry { line: *line, raw, frames: None }, &[finding], &mut bytes).unwrap();
    }
    refused.end(&[], &mut bytes).unwrap();
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
    let format = Format::Csv(CsvFormat { encoding: encoding_rs::WINDOWS_1252, ..CsvFormat::default() });
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
    let bytes = file(&format, encoding_rs::UTF_8, "", &[(1, b"\xE4\xBC\x41bc"), (1, b"\xFF\xFF\xFF\xFF"), (1, b"1 2x")]);
    let found = again(&format, &bytes);
    assert_eq!((found.len(), &found[2].2), (3, &vec!["1".to_owned(), "2x".to_owned()]), "{found:?}");
    let bytes = file(&format, encoding_rs::UTF_8, "", &[(1, b"\t   \x80"), (1, b"1 2x")]);
    assert_eq!(again(&format, &bytes)[1].2, ["1", "2x"], "a record of blanks would be passed over");
}
