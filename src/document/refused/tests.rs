use std::ops::ControlFlow;

use encoding_rs::Encoding;

use proptest::prelude::*;

use super::*;
use crate::document::read::{self, Layout, Take, Wanted};
use crate::document::record::{Fault, Record};
use crate::model::format::{FixedColumn, JsonFormat, Unit, XmlFormat, XmlStyle};

fn keep(refused: &mut Refused, entry: Entry<'_>, findings: &[Finding], into: &mut Vec<u8>) {
    assert!(refused.holds(entry.raw, findings));
    refused.append(entry, &reasons(findings, "E"), is_misfit(findings), into).unwrap();
}

fn file(format: &Format, encoding: &'static Encoding, header: &str, rows: &[(u64, &[u8])]) -> Vec<u8> {
    let marked = encoding == encoding_rs::UTF_8 && format.encoding() != encoding;
    let mut refused = Refused::new(format, Origin { marked, ..Origin::new(encoding) }, header.into(), header.split(',').count());
    let mut bytes = Vec::new();
    for (line, raw) in rows {
        let finding = Finding::of_document(Rule::Type, "E", "wrong", "mend it");
        keep(&mut refused, super::Entry { line: *line, raw, frames: None }, &[finding], &mut bytes);
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
fn reasons_name_the_line_of_a_nested_record() {
    let finding = |entity: &str, line, column: &str| Finding {
        line,
        column: column.into(),
        ..Finding::of_document(Rule::Range, entity, "less than the minimum 1", "")
    };
    let findings = [finding("Orders", 2, "TOTAL"), finding("Order lines", 12, "QTY"), finding("Order lines", 14, "")];
    let expected =
        "TOTAL: less than the minimum 1; Order lines, line 12: QTY: less than the minimum 1; Order lines, line 14: less than the minimum 1";
    assert_eq!(reasons(&findings, "Orders"), expected);
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

#[test]
fn half_characters_of_utf_16_are_one_each_where_bytes_are_counted_in_other_documents() {
    let column = |name: &str, start| FixedColumn { name: name.into(), start, length: 3, pad: ' ', right: false };
    let columns = vec![column("a", 1), column("b", 4)];
    let encoding = encoding_rs::SHIFT_JIS;
    let format = Format::Fixed(FixedFormat { columns, unit: Unit::Bytes, encoding, record_length: Some(6), ..FixedFormat::default() });
    // So many that no line end is looked for.
    let whole = "abcdef".repeat(6);
    let units =
        [0xFEFF].into_iter().chain(whole.encode_utf16()).chain([0x61, 0xDC81, 0x0A, 0x62, 0x63, 0x64]).chain("efghij".encode_utf16());
    let document: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
    let refused = refuse_all(&format, &document).unwrap();
    let last: Vec<_> = refused.found[6..].iter().map(|(_, values, fault, _)| (values.join(""), fault.clone())).collect();
    assert_eq!(last, [(String::new(), Some(Fault::Encoding)), ("efghij".to_owned(), None)]);
    assert_eq!(refuse_all(&format, &refused.bytes).unwrap().found.len(), 8);
}

#[test]
fn lines_that_are_shorter_than_records_are_stay_lines() {
    let column = |name: &str, start| FixedColumn { name: name.into(), start, length: 3, pad: ' ', right: false };
    let fixed = FixedFormat { columns: vec![column("a", 1), column("b", 4)], record_length: Some(6), ..FixedFormat::default() };
    let format = Format::Fixed(fixed);
    let bytes = file(&format, encoding_rs::UTF_8, "", &[(1, b"ab"), (2, b"\xC9"), (3, b"abcdef")]);
    let found: Vec<_> = again(&format, &bytes).into_iter().map(|(.., values)| values[0].clone()).collect();
    assert_eq!((found.len(), found[0].as_str(), found[2].as_str()), (3, "ab", "abc"), "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn a_line_end_inside_of_a_record_of_a_stated_length_stays_in_it() {
    let column = |name: &str, start| FixedColumn { name: name.into(), start, length: 3, pad: ' ', right: false };
    let fixed = FixedFormat { columns: vec![column("a", 1), column("b", 4)], record_length: Some(6), ..FixedFormat::default() };
    let format = Format::Fixed(fixed);
    let bytes = file(&format, encoding_rs::UTF_8, "", &[(1, b"a\nbcde"), (1, b"ab"), (1, b"abcd\nf"), (1, b"abcdef")]);
    let found: Vec<_> = again(&format, &bytes).into_iter().map(|(.., values)| values).collect();
    assert_eq!(found, [["a\nb", "cde"], ["ab", ""], ["abc", "d\nf"], ["abc", "def"]], "{}", String::from_utf8_lossy(&bytes));
    // One that is much too long is one all the same, and no whole record and more.
    let bytes = file(&format, encoding_rs::UTF_8, "", &[(1, b"abcdefghijklmnopqrstuvwxyz")]);
    assert_eq!(again(&format, &bytes).len(), 1, "{}", String::from_utf8_lossy(&bytes));
    // One that is cut short is no longer by its line end.
    let bytes = file(&format, encoding_rs::UTF_8, "", &[(1, b"abcde")]);
    let found: Vec<_> = again(&format, &bytes).into_iter().map(|(.., values)| values).collect();
    assert_eq!(found, [["abc", "de"]], "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn a_record_that_begins_as_our_words_do_stays_one_where_carriage_returns_end_lines() {
    let column = |name: &str, start| FixedColumn { name: name.into(), start, length: 3, pad: ' ', right: false };
    let fixed = FixedFormat { columns: vec![column("a", 1), column("b", 4)], record_length: Some(6), ..FixedFormat::default() };
    for record in ["# Entrepot line 5Entr", "# Entrepot line 5: x"] {
        assert_eq!(rounds(&Format::Fixed(fixed.clone()), format!("ab\r{record}\rabc\r").as_bytes()), Ok(3), "{record}");
    }
}

#[test]
fn a_record_of_nothing_but_the_marks_with_which_dos_ends_files_stays_one() {
    let column = |name: &str, start| FixedColumn { name: name.into(), start, length: 3, pad: ' ', right: false };
    let fixed = FixedFormat { columns: vec![column("a", 1), column("b", 4)], record_length: Some(6), ..FixedFormat::default() };
    // What is blank behind it is no record, but comes between it and the end.
    let document = ["abcdef".repeat(8), "\x1A".repeat(6), " ".repeat(6)].concat();
    assert_eq!(rounds(&Format::Fixed(fixed), document.as_bytes()), Ok(9));
}

/// Refuses all records of a document.
#[derive(Default)]
struct Refusing {
    format: Option<Format>,
    origin: Option<Origin>,
    refused: Option<Refused>,
    bytes: Vec<u8>,
    /// Their lines, values and faults; the line that they tell.
    found: Vec<(u64, Vec<String>, Option<Fault>, Option<u64>)>,
    trailer: Vec<Vec<u8>>,
}

impl Take for Refusing {
    fn origin(&mut self, origin: Origin) {
        self.origin = Some(origin);
    }

    fn trailer(&mut self, passed_over: Vec<Vec<u8>>) {
        self.trailer = passed_over;
    }

    fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
        let (raw, columns) = match layout {
            Layout::Named { raw, names, .. } => (raw.clone(), names.len()),
            Layout::Numbered | Layout::Asked => (Vec::new(), 0),
        };
        self.refused = Some(Refused::new(self.format.as_ref().unwrap(), self.origin.clone().unwrap(), raw, columns));
        ControlFlow::Continue(())
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        let rule = if matches!(record.fault, Some(Fault::Length(_))) { Rule::Columns } else { Rule::Type };
        let finding = Finding::of_document(rule, "E", "\u{e9}-- \"wrong\", |+;\r\n", "mend it");
        let entry = Entry { line: record.line, raw: &record.raw, frames: record.frames.as_ref() };
        keep(self.refused.as_mut().unwrap(), entry, &[finding], &mut self.bytes);
        let mut values: Vec<String> = record.texts().map(str::to_owned).collect();
        let blank = values.iter().rev().take_while(|value| value.is_empty()).count();
        values.truncate(values.len() - blank);
        if record.fault == Some(Fault::Unterminated) {
            // The line end of the document is a part of what is never closed.
            values.clear();
        }
        self.found.push((record.line, values, record.fault.clone(), record.told));
        ControlFlow::Continue(())
    }
}

fn refuse_all(format: &Format, bytes: &[u8]) -> Option<Refusing> {
    // In documents that nest: values of the record, and one beside it.
    let values = ["@n", "a", "b", "../@m", "../../t"]
        .into_iter()
        .filter(|path| format.nests() && !(matches!(format, Format::Json(_)) && path.contains('@')));
    let values = values.map(|path| read::path_of(format, path).unwrap()).collect();
    let mut refusing = Refusing { format: Some(format.clone()), ..Refusing::default() };
    read::read(bytes, format, Wanted { values, ..Wanted::default() }, &mut refusing).ok()?;
    let trailer = std::mem::take(&mut refusing.trailer);
    refusing.refused.as_mut()?.end(&trailer, &mut refusing.bytes).unwrap();
    Some(refusing)
}

fn delimited_formats() -> Vec<CsvFormat> {
    let plain = CsvFormat::default();
    vec![
        CsvFormat { header: false, ..plain.clone() },
        CsvFormat { skip_first: 1, skip_last: 1, ..plain.clone() },
        CsvFormat { ragged: true, encoding: encoding_rs::UTF_16LE, ..plain.clone() },
        CsvFormat { escape: Some('\\'), header: false, skip_first: 2, ..plain.clone() },
        CsvFormat { qualifier: None, delimiter: "||".into(), header: false, ..plain.clone() },
        CsvFormat { qualifier: None, delimiter: ";".into(), record_end: Some("|\n".into()), ..plain.clone() },
        CsvFormat { delimiter: "+|".into(), encoding: encoding_rs::SHIFT_JIS, ..plain.clone() },
        CsvFormat { qualifier: None, delimiter: " ".into(), ..plain },
    ]
}

proptest! {
    #[test]
    fn however_often_refused_rows_come_back_they_are_what_they_were(
        dialect in 0usize..8,
        bytes in proptest::collection::vec(prop_oneof![
            4 => proptest::sample::select(b"ab1,;|+ \"\\\n\r".to_vec()),
            4 => proptest::sample::select(b",,\n\n|;\"".to_vec()),
            1 => Just(0xFFu8),
        ], 0..60),
    ) {
        let format = Format::Csv(delimited_formats().remove(dialect));
        let Some(first) = refuse_all(&format, &bytes) else { return Ok(()) };
        let none = first.found.is_empty() || first.found.iter().any(|(.., fault, _)| *fault == Some(Fault::RecordEnd));
        prop_assume!(!none);
        let shown = || format!("{:?}\n{:?}", String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&first.bytes));
        let mut before = first.found.clone();
        let mut again = first.bytes.clone();
        for _ in 0..2 {
            let next = refuse_all(&format, &again).ok_or_else(|| TestCaseError::fail(shown()))?;
            prop_assert_eq!(next.found.len(), before.len(), "{}", shown());
            for ((line, values, fault, _), (_, found, again, told)) in before.iter().zip(&next.found) {
                prop_assert_eq!((values, fault), (found, again), "{}", shown());
                prop_assert!(told.is_none_or(|told| told == *line), "{told:?} for {line}: {}", shown());
            }
            before = next.found;
            again = next.bytes;
        }
    }
}

/// Refuses a document five times, each time what came back, unmended: every record is there each time, and from the second time on the file is the same.
fn rounds(format: &Format, bytes: &[u8]) -> Result<usize, String> {
    let Some(first) = refuse_all(format, bytes) else { return Ok(0) };
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let count = first.found.len();
    if count == 0 || first.found.iter().any(|(.., fault, _)| *fault == Some(Fault::RecordEnd)) {
        return Ok(0);
    }
    let mut before = first;
    for round in 1..5 {
        let next = refuse_all(format, &before.bytes).ok_or_else(|| format!("{} cannot be read: {}", shown(bytes), shown(&before.bytes)))?;
        // How long a line of a wrong length is counts differently without its end.
        let fault = |fault: &Option<Fault>| fault.as_ref().map(std::mem::discriminant);
        let trimmed = |values: &[String]| values.join("\u{1f}").trim_end_matches(['\u{1f}', ' ', '\r', '\n']).to_owned();
        let values = |one: &Refusing| one.found.iter().map(|(_, values, found, _)| (trimmed(values), fault(found))).collect::<Vec<_>>();
        if values(&next) != values(&before) {
            return Err(format!("{}\n{}\n{:?}\n{:?}", shown(bytes), shown(&before.bytes), values(&before), values(&next)));
        }
        if round > 1 && next.bytes != before.bytes && !matches!(format, Format::Excel(_)) {
            return Err(format!("{}\n{}\nbecame\n{}", shown(bytes), shown(&before.bytes), shown(&next.bytes)));
        }
        before = next;
    }
    Ok(count)
}

fn joined(parts: &[&str]) -> Vec<u8> {
    parts.concat().into_bytes()
}

#[test]
fn a_document_of_columns_that_are_called_as_ours_has_them_itself() {
    for format in delimited_formats().into_iter().filter(|format| format.header && format.skip_first == 0) {
        let line = |cells: &[&str]| cells.join(&format.delimiter) + format.record_end.as_deref().unwrap_or("\n");
        let text = [line(&["Entrepot line", "Entrepot reason"]), line(&["x"]), line(&["7", "y"]), line(&["a", "b", "c"])].concat();
        let mut document = Vec::new();
        crate::document::encoding::encode_raw(text.as_bytes(), format.encoding, &mut document);
        assert_eq!(rounds(&Format::Csv(format), &document), Ok(3));
    }
}

#[test]
fn a_record_that_ends_as_ours_do_keeps_what_is_its_own() {
    let plain = CsvFormat { skip_first: 1, skip_last: 1, ..CsvFormat::default() };
    let blanks = CsvFormat { qualifier: None, delimiter: " ".into(), ..CsvFormat::default() };
    for (format, text) in [
        (plain.clone(), "\n|\n,Entrepot line 5,\na"),
        (plain, "\n|\na,Entrepot line 5,b\nc,\"Entrepot line 6\",d,Entrepot line 7,e\na"),
        (CsvFormat { header: false, ..CsvFormat::default() }, "a\nb,Entrepot line 5 (1 fields),c\n"),
        (blanks, "n\na Entrepot_line_5 b\n"),
    ] {
        let count = text.matches("Entrepot").count().min(2);
        assert!(rounds(&Format::Csv(format), text.as_bytes()).is_ok_and(|found| found >= count), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rounds_of_delimited_text_are_stable(
        dialect in 0usize..11,
        parts in proptest::collection::vec(proptest::sample::select(vec!["a", "1", ",", ",", " ", "\"", "\n", "\n", "\r\n", "||", ";", "|\n", "+|", "Entrepot line 5", "Entrepot line", "Entrepot reason", "\u{e9}"]), 0..30),
    ) {
        let mut formats = delimited_formats();
        formats.push(CsvFormat { qualifier: None, delimiter: " ".into(), header: false, ..CsvFormat::default() });
        formats.push(CsvFormat { header: false, ragged: true, ..CsvFormat::default() });
        formats.push(CsvFormat { qualifier: None, delimiter: ",".into(), record_end: Some(" ".into()), header: false, ..CsvFormat::default() });
        let format = Format::Csv(formats.remove(dialect));
        let (encoding, bytes) = (format.encoding(), joined(&parts));
        let mut document = Vec::new();
        crate::document::encoding::encode_raw(&bytes, encoding, &mut document);
        rounds(&format, &document).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn rounds_of_fixed_width_are_stable(
        length in proptest::option::of(Just(6usize)),
        end in proptest::sample::select(vec![None, Some("\n"), Some("|"), Some("\r\n")]),
        skip in 0u32..2,
        between in proptest::sample::select(vec!["", "\n", "\r\n"]),
        records in proptest::collection::vec(proptest::sample::select(vec!["abcdef", "# Entr", "1 2 3 ", "a", "abcdefg", "\u{e9}2345x", "\x1A\x1A\x1A\x1A\x1A\x1A", "abcde\x1A", "      "]), 0..8),
        parts in proptest::collection::vec(proptest::sample::select(vec!["a", "bc", "1", "abcdef", "   ", "\n", "\n", "\r\n", "|", "\x1A", "# Entrepot line 5: x", "  # Entrepot line 5: x", "\u{e9}"]), 0..20),
    ) {
        let column = |name: &str, start| FixedColumn { name: name.into(), start, length: 3, pad: ' ', right: false };
        let fixed = FixedFormat {
            columns: vec![column("a", 1), column("b", 4)],
            record_length: length,
            record_end: end.map(str::to_owned),
            skip_first: skip,
            ..FixedFormat::default()
        };
        // Records of a length that are no lines hold no line ends.
        let text = if length.is_some() { records.join(end.unwrap_or(between)).into_bytes() } else { joined(&parts) };
        rounds(&Format::Fixed(fixed), &text).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn rounds_of_fixed_width_in_bytes_are_stable(
        length in proptest::option::of(Just(6usize)),
        label in proptest::sample::select(vec!["shift_jis", "big5", "utf-8"]),
        between in proptest::sample::select(vec!["", "\n", "\r\n"]),
        records in proptest::collection::vec(proptest::sample::select(vec!["abcdef", "# Entr", "\u{5c71}\u{5c71}\u{5c71}", "a", "\u{5c71}\u{5c71}xy", "\u{5c71}bc\u{5c71}"]), 0..8),
        parts in proptest::collection::vec(proptest::sample::select(vec!["a", "bc", "\u{5c71}", "\u{5c71}\u{5c71}", "abcdef", "   ", "\n", "\n", "\r\n", "  # Entrepot line 5: x"]), 0..20),
    ) {
        let column = |name: &str, start| FixedColumn { name: name.into(), start, length: 3, pad: ' ', right: false };
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        let columns = vec![column("a", 1), column("b", 4)];
        let fixed = FixedFormat { unit: Unit::Bytes, columns, encoding, record_length: length, ..FixedFormat::default() };
        let text = if length.is_some() { records.join(between).into_bytes() } else { joined(&parts) };
        let mut document = Vec::new();
        encode_raw(&text, encoding, &mut document);
        rounds(&Format::Fixed(fixed), &document).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn rounds_of_xml_are_stable(
        deep in any::<bool>(),
        attribute in any::<bool>(),
        crlf in any::<bool>(),
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "<R n=\"1\"><a>1</a><b>x y</b></R>", "<R/>", "<R><a>2\n3</a></R>", "\n", "\n  ", "  ", "<!-- c -->", "</G><G m=\"2\">", "</G><t>u</t><G>", "text",
        ]), 0..12),
    ) {
        let body = parts.concat();
        let text = format!("<?xml version=\"1.0\"?>\n<D>\n  <t>v</t><G m=\"1\">{body}</G>\n</D>\n");
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let record = if deep { "//R" } else { "/D/G/R" };
        let style = if attribute { XmlStyle::Attribute } else { XmlStyle::Element };
        let format = Format::Xml(XmlFormat { style, record: Some(crate::model::path::Path::parse(record).unwrap()), ..XmlFormat::default() });
        rounds(&format, text.as_bytes()).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn rounds_of_json_are_stable(
        shape in 0usize..4,
        crlf in any::<bool>(),
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "{\"a\": 1, \"b\": \"x\"}", "{}", "{ \"a\":\n \"\" }", "1", "\"s\"", "null", "[]", "{\"Entrepot line\": 5, \"a\": 2}", "{\"Entrepot lines\": 5}", "{\"b\":{\"Entrepot line\": 5}}",
        ]), 1..6),
    ) {
        let items = parts.join(",\n");
        let text = match shape {
            0 => format!("[\n{items}\n]\n"),
            1 => format!("{{\"x\": 1, \"t\": \"v\", \"orders\": [{items}], \"y\": [2]}}"),
            2 => format!("{{\"x\": 1,\n\"orders\": {}}}", parts[0]),
            _ => format!("[{{\"orders\": [{items}]}},\n{{\"t\": 3, \"orders\": [{items}]}}]"),
        };
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        let record = (shape > 0).then(|| crate::model::path::Path::parse("orders").unwrap());
        rounds(&Format::Json(JsonFormat { record, ..JsonFormat::default() }), text.as_bytes()).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn rounds_of_json_lines_are_stable(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "{\"a\": 1, \"b\": \"x\"}", "{}", "{\"a\": ", "1", "null", "\"\\", " ", "\n", "\n", "\r\n", "{\"Entrepot line\":5,\"a\":1}", "{\"Entrepot line\":5,",
        ]), 0..12),
    ) {
        rounds(&Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }), parts.join("\n").as_bytes()).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn rounds_of_workbooks_are_stable(
        header in any::<bool>(),
        rows in proptest::collection::vec(proptest::collection::vec(proptest::sample::select(vec!["", "a", "1", "Entrepot line 5", "Entrepot line", "Entrepot reason", "7"]), 0..6), 0..6),
    ) {
        let mut workbook = rust_xlsxwriter::Workbook::new();
        let sheet = workbook.add_worksheet();
        for (row, cells) in rows.iter().enumerate() {
            for (column, text) in cells.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
                sheet.write_string(u32::try_from(row).unwrap(), u16::try_from(column).unwrap(), *text).unwrap();
            }
        }
        let format = Format::Excel(ExcelFormat { header_row: u32::from(header), ..ExcelFormat::default() });
        rounds(&format, &workbook.save_to_buffer().unwrap()).map_err(TestCaseError::fail)?;
    }
}
