//! Refused rows that come back: as they were they are refused again, and mended they complete the load.

use super::*;
use crate::model::format::RecordType;

pub(super) fn columns(list: &[(&str, usize, usize)]) -> Vec<FixedColumn> {
    let column = |(name, start, length): &(&str, usize, usize)| FixedColumn {
        name: (*name).into(),
        start: *start,
        length: *length,
        pad: ' ',
        right: false,
    };
    list.iter().map(column).collect()
}

pub(super) fn numbered(scene: &mut Scene) {
    (0..4).for_each(|at| scene.project_entity.mapping[at].source = Source::Number(at + 1));
}

fn text(format: &Format, bytes: &[u8]) -> String {
    format.encoding().decode(bytes).0.into_owned()
}

/// A format, whether its columns go by number, a document with one bad row and one good one, what mends it, and both rows.
type Case = (Format, bool, &'static str, (&'static str, &'static str), [&'static str; 2]);

pub(super) fn csv(change: impl FnOnce(&mut CsvFormat)) -> Format {
    let mut csv = CsvFormat::default();
    change(&mut csv);
    Format::Csv(csv)
}

fn cases() -> Vec<Case> {
    let whole = [("Group", 1, 3), ("Name", 4, 4), ("Amount", 8, 4), ("Above", 12, 2)];
    let counted = FixedFormat { columns: columns(&whole), record_length: Some(13), ..FixedFormat::default() };
    let lines = FixedFormat { columns: columns(&whole), ..FixedFormat::default() };
    vec![
        (
            csv(|csv| (csv.skip_first, csv.skip_last) = (2, 1)),
            false,
            "Report of groups\r\nmade today\r\nGroup,Name,Amount,Above\r\n1,a,x,\r\n2,b,2,\r\ntotal,2\r\n",
            (",x,", ",1,"),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (
            csv(|csv| (csv.skip_first, csv.skip_last, csv.header) = (1, 1, false)),
            true,
            "title\n1,a,x,\n2,b,2,\ntotal\n",
            (",x,", ",1,"),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (
            csv(|csv| csv.skip_first = 3),
            false,
            "Report \"of\n\ngroups\nsep=,\nGroup,Name,Amount,Above\n1,a,x,\n2,b,2,\n",
            (",x,", ",1,"),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (csv(|csv| csv.header = false), true, "1,a\n2,b,2,\n", ("1,a,", "1,a,1,,"), ["1|a|1.00", "2|b|2.00"]),
        (csv(|csv| csv.header = false), true, "2,b,2,\n1,a,x,,more\n", (",x,,more", ",1,"), ["1|a|1.00", "2|b|2.00"]),
        (csv(|csv| csv.ragged = true), false, "Group,Name,Amount,Above\r1,a,x\r2,b,2\r", (",x,", ",1,"), ["1|a|1.00", "2|b|2.00"]),
        (csv(|csv| csv.ragged = true), false, "Group,Name,Amount,Above\n1,a,x,,,\n2,b,2\n", (",x,", ",1,"), ["1|a|1.00", "2|b|2.00"]),
        (csv(|csv| csv.ragged = true), false, "Group,Name,Amount,Above\n1,a,1,,more\n2,b,2\n", (",more", ""), ["1|a|1.00", "2|b|2.00"]),
        (csv(|_| ()), false, "Group,Name,Amount,Above\n1,a,1\n2,b,2,\n", ("1,a,1,", "1,a,1,,"), ["1|a|1.00", "2|b|2.00"]),
        (csv(|_| ()), false, "Group,Name,Amount,Above\n1,a,c,1,\n2,b,2,\n", ("1,a,c,", "1,\"a,c\","), ["1|a,c|1.00", "2|b|2.00"]),
        (csv(|_| ()), false, "Group,Name,Amount,Above\n2,b,2,\n1,\"a,1,\n", ("\"a", "a"), ["1|a|1.00", "2|b|2.00"]),
        (
            csv(|csv| (csv.qualifier, csv.delimiter, csv.record_end) = (None, "+|".into(), Some("&|\n".into()))),
            false,
            "Group+|Name+|Amount+|Above&|\n1+|a+|x+|&|\n2+|b+|2+|&|\n",
            ("+|x+|", "+|1+|"),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (
            csv(|csv| (csv.qualifier, csv.delimiter) = (None, " ".into())),
            false,
            "Group Name Amount Above\n1 a x \n2 b 2 \n",
            (" x ", " 1 "),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (
            csv(|csv| csv.escape = Some('\\')),
            false,
            "Group,Name,Amount,Above\n1,\"a\\\",\",x,\n2,b,2,\n",
            (",x,", ",1,"),
            ["1|a\",|1.00", "2|b|2.00"],
        ),
        (
            csv(|csv| csv.encoding = encoding_rs::UTF_16LE),
            false,
            "Group,Name,Amount,Above\n1,\u{e9},x,\n2,b,2,\n",
            (",x,", ",1,"),
            ["1|\u{e9}|1.00", "2|b|2.00"],
        ),
        (
            Format::Fixed(FixedFormat { skip_first: 1, skip_last: 1, ..lines.clone() }),
            false,
            "HEAD\n1  a   x   \n2  b   2\nTOTAL\n",
            ("a   x", "a   1"),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (
            Format::Fixed(FixedFormat { skip_first: 1, skip_last: 1, ..counted.clone() }),
            false,
            "HEAD         1  a   x     2  b   2     TOTAL        ",
            ("a   x", "a   1"),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (
            Format::Fixed(FixedFormat {
                record_type: Some(RecordType { start: 15, length: 1, equals: vec!["6".into()] }),
                skip_first: 1,
                skip_last: 1,
                ..lines.clone()
            }),
            false,
            "HEAD          1\n1  a   x      6\nmore          7\n2  b   2      6\nTOTAL         9\n",
            ("a   x", "a   1"),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (Format::Fixed(counted), false, "1  a   x     \r\n2  b   2     \r\n", ("a   x", "a   1"), ["1|a|1.00", "2|b|2.00"]),
        (
            Format::Json(JsonFormat { record: path("data/orders"), ..JsonFormat::default() }),
            false,
            "{\"data\":{\"orders\":[{\"Group\":1,\"Name\":\"a\",\"Amount\":\"x\"},{\"Group\":2,\"Name\":\"b\",\"Amount\":2}]}}",
            ("\"x\"", "1"),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (
            Format::Json(JsonFormat { record: path("*"), ..JsonFormat::default() }),
            false,
            "{\"one\":{\"Group\":1,\"Name\":\"a\",\"Amount\":\"x\"},\"two\":{\"Group\":2,\"Name\":\"b\",\"Amount\":2}}",
            ("\"x\"", "1"),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (
            Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }),
            false,
            "{\"Group\":1,\"Name\":\"a,\"Amount\":1}\n{\"Group\":2,\"Name\":\"b\",\"Amount\":2}\n",
            ("\"a,", "\"a\","),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (
            Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }),
            false,
            "{\"Group\":1,\"Name\":\"a\",\"Amount\":}\n{\"Group\":2,\"Name\":\"b\",\"Amount\":2}\n",
            (":,", ":1,"),
            ["1|a|1.00", "2|b|2.00"],
        ),
        (
            Format::Xml(XmlFormat::default()),
            false,
            "<D><G><Group>1</Group><Name>a</Name><Amount>x</Amount></G><G><Group>2</Group><Name>b</Name><Amount>2</Amount></G></D>",
            (">x<", ">1<"),
            ["1|a|1.00", "2|b|2.00"],
        ),
    ]
}

#[test]
fn refused_rows_that_come_back_as_they_were_are_refused_again_and_mended_they_complete_the_load() {
    for (format, by_number, document, (bad, good), rows) in cases() {
        let mut scene = nested(format.clone());
        if by_number {
            numbered(&mut scene);
        }
        scene.project_entity.truncate = true;
        let mut bytes = Vec::new();
        crate::document::encoding::mark(format.encoding(), &mut bytes);
        crate::document::encoding::encode(document, format.encoding(), &mut bytes).unwrap();
        let (report, first) = scene.import(&bytes);
        assert_eq!((report.counts.inserted, report.counts.refused), (1, 1), "{document}: {:?}", first.findings);
        let mut again = first.refused.clone();
        for round in 0..3 {
            let (report, sink) = scene.import(&again);
            let shown = text(&format, &again);
            assert_eq!(report.counts, counts(1, 0, 0, 0, 1), "{document}: round {round}: {shown}");
            let cause = |sink: &Memory| (sink.findings[0].rule, sink.findings[0].column.clone());
            assert_eq!(cause(&sink), cause(&first), "{document}: round {round}: {shown}");
            assert_eq!(text(&format, &sink.refused).len(), text(&format, &first.refused).len(), "{document}: round {round}: {shown}");
            assert_eq!(scene.rows(), [rows[1]], "{document}: what was loaded stays: {shown}");
            again = sink.refused;
        }
        let shown = text(&format, &again);
        assert!(shown.contains(bad), "{document}: {shown}");
        let mut mended = Vec::new();
        crate::document::encoding::mark(format.encoding(), &mut mended);
        crate::document::encoding::encode(&shown.replacen(bad, good, 1), format.encoding(), &mut mended).unwrap();
        let (report, sink) = scene.import(&mended);
        assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{document}: {shown}: {:?}", sink.findings);
        assert!(report.completes, "{document}");
        assert_eq!(scene.rows(), rows, "{document}: {shown}");
    }
}

#[test]
fn a_file_of_refused_rows_has_the_line_ends_the_mark_and_the_shape_of_the_document() {
    for (format, document, expected) in [
        (
            csv(|_| ()),
            "Group,Name,Amount,Above\n1,a,x,\n",
            "Group,Name,Amount,Above,Entrepot line,Entrepot reason\n1,a,x,,Entrepot line 2,",
        ),
        (
            csv(|_| ()),
            "\u{feff}Group,Name,Amount,Above\r1,\u{e9},x,\r",
            "\u{feff}Group,Name,Amount,Above,Entrepot line,Entrepot reason\r1,\u{e9},x,,Entrepot line 2,",
        ),
        (
            csv(|csv| csv.skip_last = 1),
            "\u{feff}Group,Name,Amount,Above\r\n1,a,x,\r\nsum\r\n",
            "\u{feff}Group,Name,Amount,Above,Entrepot line,Entrepot reason\r\n1,a,x,,Entrepot line 2,",
        ),
        (
            Format::Json(JsonFormat { record: path("data/orders"), ..JsonFormat::default() }),
            "{\"data\":{\"orders\":[{\"Group\":1,\"Amount\":\"x\"}]}}",
            "{\"data\":{\"orders\":[{\"Group\":1,\"Amount\":\"x\",\"Entrepot line\":1,\"Entrepot reason\":",
        ),
        (Format::Json(JsonFormat::default()), "{\"Group\":1,\"Amount\":\"x\"}", "{\"Group\":1,\"Amount\":\"x\",\"Entrepot line\":1,"),
        (
            Format::Xml(XmlFormat::default()),
            "<?xml version='1.0' encoding='iso-8859-1'?><D><G><Group>1</Group><Amount>x</Amount></G></D>",
            "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n<?entrepot refused?>\n<D>\n<!-- Entrepot line 1: ",
        ),
    ] {
        let (report, sink) = nested(format).import(document.as_bytes());
        assert_eq!(report.counts.refused, 1, "{document}: {:?}", sink.findings);
        let refused = String::from_utf8_lossy(&sink.refused).into_owned();
        assert!(refused.starts_with(expected), "{document}: {refused}");
        let end = ["\r\n", "\n", "\r"].into_iter().find(|end| document.ends_with(end)).unwrap_or("\n");
        assert!(refused.ends_with(end) && (end != "\n" || !refused.contains('\r')), "{document}: {refused:?}");
    }
}

#[test]
fn a_row_in_double_encoding_comes_back_among_refused_rows_and_its_file_is_no_utf8() {
    let encoding = encoding_rs::WINDOWS_1252;
    let twice = "M\u{c3}\u{bc}ller";
    for (format, before, between, behind) in [
        (csv(|csv| csv.encoding = encoding), &b"Group,Name,Amount,Above\n1,M\xFCller,1,\n2,"[..], &b",x,"[..], &b"\n"[..]),
        (
            Format::Xml(XmlFormat::default()),
            b"<?xml version='1.0' encoding='iso-8859-1'?><D><G><Group>1</Group><Name>M\xFCller</Name></G><G><Group>2</Group><Name>",
            b"</Name><Amount>x</Amount>",
            b"</G></D>",
        ),
    ] {
        let (scene, name) = (nested(format.clone()), format.name());
        let mut document = before.to_vec();
        crate::document::encoding::encode(twice, encoding, &mut document).unwrap();
        let (report, first) = scene.import(&[&document, between, behind].concat());
        assert_eq!(report.counts, counts(2, 1, 0, 0, 1), "{name}: {:?}", first.findings);
        let (report, again) = scene.import(&first.refused);
        assert_eq!(report.counts, counts(1, 0, 0, 0, 1), "{name}: {:?}", again.findings);
        // Saved in UTF-8 by an editor it is told from what was written.
        let saved = encoding.decode(&first.refused).0.into_owned();
        if name == "csv" {
            let (report, sink) = scene.import(saved.as_bytes());
            assert!(report.document_refused && sink.findings[0].message.contains("in UTF-8"), "{:?}", sink.findings);
        }
        let at = memchr::memmem::find(&again.refused, between).unwrap_or_else(|| panic!("{name}"));
        let mut mended = again.refused.clone();
        let x = at + between.iter().position(|byte| *byte == b'x').unwrap();
        mended[x] = b'7';
        let (report, last) = scene.import(&mended);
        assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{name}: {:?}", last.findings);
        assert_eq!(scene.rows()[1], format!("2|{twice}|7.00"), "{name}");
    }
}

#[test]
fn bytes_that_were_no_text_are_none_again() {
    for (label, bad) in [("utf-8", &b"\xC3("[..]), ("shift_jis", b"\x81 "), ("windows-1253", b"\xAA"), ("utf-16le", b"\x00\xD8")] {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        let bytes = |text: &str| {
            let mut out = Vec::new();
            crate::document::encoding::encode(text, encoding, &mut out).unwrap();
            out
        };
        for (format, before, behind) in [
            (csv(|csv| csv.encoding = encoding), "Group,Name,Amount,Above\n1,", ",1,\n"),
            (Format::Json(JsonFormat { encoding, ..JsonFormat::default() }), "[{\"Group\":1,\"Name\":\"", "\"}]"),
            (Format::Xml(XmlFormat { encoding, ..XmlFormat::default() }), "<D><G><Group>1</Group><Name>", "</Name></G></D>"),
        ] {
            let scene = nested(format.clone());
            let mut again = [&bytes(before), bad, &bytes(behind)].concat();
            for _ in 0..3 {
                let (report, sink) = scene.import(&again);
                assert_eq!(report.counts, counts(1, 0, 0, 0, 1), "{label} {}: {again:?}", format.name());
                assert_eq!(sink.findings[0].rule, Rule::Encoding, "{label}: {:?}", sink.findings);
                again = sink.refused;
            }
        }
    }
}

#[test]
fn a_row_that_cannot_stand_in_the_file_is_named_and_the_others_come_back() {
    let long = "x".repeat(17 * 1024 * 1024);
    let document = format!("Group,Name,Amount,Above\n1,{long},1,\n2,b,x,\n");
    let (report, sink) = scene(CsvFormat::default()).import(document.as_bytes());
    assert_eq!(report.counts, counts(2, 0, 0, 0, 2));
    assert_eq!((sink.findings[0].rule, sink.findings[0].line), (Rule::Size, 2));
    assert!(sink.findings[0].hint.contains("too large for the file of refused rows"), "{}", sink.findings[0].hint);
    let refused = String::from_utf8(sink.refused).unwrap();
    assert!(refused.starts_with("Group,Name,Amount,Above,Entrepot line,Entrepot reason\n2,b,x,,Entrepot line 3,"), "{refused}");

    let scene = nested(Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }));
    let document = format!("{{\"Group\":1,\"Name\":\"{long}\"}}\n{{\"Group\":2,\"Amount\":\"x\"}}\n");
    let (report, sink) = scene.import(document.as_bytes());
    assert_eq!((report.counts, sink.findings[0].rule), (counts(2, 0, 0, 0, 2), Rule::Size), "{:?}", sink.findings);
    assert!(sink.refused.starts_with(b"{\"Group\":2,"), "{:?}", String::from_utf8_lossy(&sink.refused));
}

/// A workbook, cell by cell.
pub(super) fn workbook(sheet: &str, first: u32, rows: &[&[&str]]) -> Vec<u8> {
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let worksheet = workbook.add_worksheet().set_name(sheet).unwrap();
    for (row, cells) in rows.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            worksheet.write_string(first + row as u32, column as u16, *cell).unwrap();
        }
    }
    workbook.save_to_buffer().unwrap()
}

pub(super) fn cells(bytes: &[u8], sheet: &str) -> Vec<Vec<String>> {
    let mut back: calamine::Xlsx<_> = calamine::Reader::new(io::Cursor::new(bytes.to_vec())).unwrap();
    let range = calamine::Reader::worksheet_range(&mut back, sheet).unwrap();
    range.rows().map(|row| row.iter().map(ToString::to_string).collect()).collect()
}

#[test]
fn refused_rows_of_a_workbook_come_back_with_what_stands_around_them_and_are_refused_again_as_they_were() {
    let header = ["Group", "Name", "Amount", "Above"];
    for (header_row, long) in [(5, false), (0, false), (1, false), (5, true), (0, true)] {
        let format = ExcelFormat { sheet: Some("Groups".into()), header_row, skip_last: 1, ..ExcelFormat::default() };
        let mut scene = nested(Format::Excel(format.clone()));
        scene.project_entity.truncate = true;
        let bad: &[&str] = if long { &["1", "a", "x", "", "more"] } else { &["1", "a", "x"] };
        let mut rows: Vec<&[&str]> = vec![bad, &["2", "b", "2"], &["total"]];
        match header_row {
            0 => {
                numbered(&mut scene);
                scene.project_entity.mapping.truncate(3);
            }
            1 => rows.insert(0, &header),
            _ => [&["A title"][..], &[], &["made", "today"], &["x"], &header].into_iter().rev().for_each(|row| rows.insert(0, row)),
        }
        let (report, first) = scene.import(&workbook("Groups", 0, &rows));
        assert_eq!(report.counts, counts(2, 1, 0, 0, 1), "{:?}", first.findings);
        let mut again = first.refused;
        let shown = cells(&again, "Groups");
        for _ in 0..3 {
            let (report, sink) = scene.import(&again);
            assert_eq!((report.counts, report.completes), (counts(1, 0, 0, 0, 1), true), "{header_row}: {shown:?}");
            assert_eq!(sink.findings[0].message, first.findings[0].message);
            assert_eq!(scene.rows(), ["2|b|2.00"]);
            again = sink.refused;
            assert_eq!(cells(&again, "Groups")[0].len(), shown[0].len(), "{shown:?}");
        }
        if header_row == 5 {
            assert_eq!((shown[0][0].as_str(), shown[2][1].as_str(), shown.last().unwrap()[0].as_str()), ("A title", "today", "total"));
        }
        let mended: Vec<Vec<String>> = cells(&again, "Groups")
            .into_iter()
            .map(|row| row.into_iter().map(|cell| if cell == "x" { "1".into() } else { cell.replace("more", "") }).collect())
            .collect();
        let mended: Vec<Vec<&str>> = mended.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
        let mended: Vec<&[&str]> = mended.iter().map(Vec::as_slice).collect();
        if header_row == 5 && long {
            continue;
        }
        let (report, sink) = scene.import(&workbook("Groups", 0, &mended));
        assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{header_row}: {mended:?} {:?}", sink.findings);
        assert_eq!(scene.rows(), ["1|a|1.00", "2|b|2.00"], "{header_row}");
    }
}

#[test]
fn a_cell_that_no_workbook_holds_is_a_finding_of_its_row_and_an_error_stays_one() {
    let scene = nested(Format::Excel(ExcelFormat::default()));
    let mut made = rust_xlsxwriter::Workbook::new();
    let sheet = made.add_worksheet();
    for (column, name) in ["Group", "Name", "Amount", "Above"].iter().enumerate() {
        sheet.write_string(0, column as u16, *name).unwrap();
    }
    sheet.write_string(1, 0, "1").unwrap().write_string(1, 1, "LONG").unwrap();
    sheet.write_string(2, 0, "2").unwrap();
    sheet.write_formula(2, 1, rust_xlsxwriter::Formula::new("=1/0").set_result("#DIV/0!")).unwrap();
    sheet.write_string(3, 0, "3").unwrap().write_string(3, 1, "c").unwrap();
    // What other programs write is longer than Excel allows.
    let bytes = made.save_to_buffer().unwrap();
    let mut zip = zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
    let mut out = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for index in 0..zip.len() {
        let mut part = zip.by_index(index).unwrap();
        let name = part.name().unwrap().into_owned();
        let mut text = String::new();
        part.read_to_string(&mut text).unwrap();
        out.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        out.write_all(text.replace("LONG", &"x".repeat(40_000)).as_bytes()).unwrap();
    }
    let (report, sink) = scene.import(&out.finish().unwrap().into_inner());
    assert_eq!(report.counts, counts(3, 1, 0, 0, 2), "{:?}", sink.findings);
    assert!(sink.findings[0].hint.contains("too large for the file"), "{:?}", sink.findings);
    assert!(sink.findings[1].message.contains("#DIV/0!"), "{:?}", sink.findings);
    assert_eq!(scene.rows(), ["3|c"]);
    let (report, sink) = scene.import(&sink.refused);
    assert_eq!(report.counts, counts(1, 0, 0, 0, 1), "{:?}", sink.findings);
    assert!(sink.findings[0].message.contains("#DIV/0!"), "{:?}", sink.findings);
}

#[test]
fn a_document_whose_stated_record_end_stands_nowhere_comes_back_without_one() {
    let mut scene = nested(csv(|csv| (csv.header, csv.record_end) = (false, Some("&|".into()))));
    numbered(&mut scene);
    scene.project_entity.mapping.truncate(2);
    let mut again = b"1,a\n2,b\n".to_vec();
    for _ in 0..3 {
        let (report, sink) = scene.import(&again);
        assert_eq!(report.counts, counts(1, 0, 0, 0, 1), "{:?}", sink.findings);
        again = sink.refused;
    }
}

#[test]
fn rows_whose_line_is_a_bare_number_are_told_as_ours() {
    let scene = nested(csv(|_| ()));
    let document = b"Group,Name,Amount,Above,Entrepot line,Entrepot reason\n1,a,1,,7,Amount: expected a number\n2,b,x,,9,\n";
    let (report, sink) = scene.import(document);
    assert_eq!((report.counts, scene.rows()), (counts(2, 1, 0, 0, 1), vec!["1|a|1.00".to_owned()]), "{:?}", sink.findings);
    assert!(String::from_utf8_lossy(&sink.refused).contains("\n2,b,x,,Entrepot line 3,"), "{:?}", sink.findings);
}

#[test]
fn a_qualifier_that_takes_the_trailer_in_is_a_finding_and_loses_no_row() {
    for skip_last in [1, 2] {
        let scene = nested(csv(|csv| csv.skip_last = skip_last));
        let document = "Group,Name,Amount,Above\n1,a,1,\n2,\"b,2,\n3,c,3,\ntotal,1\nend\n";
        let (report, sink) = scene.import(document.as_bytes());
        assert_eq!((report.counts, sink.findings[0].line), (counts(2, 1, 0, 0, 1), 3), "{:?}", sink.findings);
        let mended =
            String::from_utf8(sink.refused).unwrap().replace("\"b,2", "b,2").replace("\nend", if skip_last == 1 { "" } else { "\nend" });
        let (report, sink) = scene.import(mended.as_bytes());
        assert_eq!(report.counts, counts(2, 2, 0, 0, 0), "{mended}: {:?}", sink.findings);
        assert_eq!(scene.rows(), ["1|a|1.00", "2|b|2.00", "3|c|3.00"]);
    }
}

#[test]
fn columns_and_cells_of_a_sender_that_read_like_ours_are_data_or_a_finding() {
    let shown = |sink: &Memory| sink.findings.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>();
    // Columns of these names that nobody maps.
    let scene = nested(csv(|_| ()));
    let mut document = b"Group,Entrepot line,Name,Amount,Above,Entrepot line\n1,7,a,x,,Entrepot line 5\n".to_vec();
    for _ in 0..3 {
        let (report, sink) = scene.import(&document);
        assert_eq!((report.counts, sink.findings[0].value.as_str()), (counts(1, 0, 0, 0, 1), "x"), "{:?}", shown(&sink));
        let text = String::from_utf8(sink.refused.clone()).unwrap();
        assert!(
            text.starts_with(
                "Group,Entrepot line,Name,Amount,Above,Entrepot line,Entrepot line,Entrepot reason\n1,7,a,x,,Entrepot line 5,Entrepot line 2,"
            ),
            "{text}"
        );
        document = sink.refused;
    }
    let mended = String::from_utf8(document).unwrap().replace(",x,", ",1,");
    assert_eq!(scene.import(mended.as_bytes()).0.counts, counts(1, 1, 0, 0, 0));
    // Cells of a document without a header: ours are the last two.
    let mut scene = nested(csv(|csv| csv.header = false));
    numbered(&mut scene);
    let mut document = b"1,a,1,\nEntrepot line 5,b,2,\n3,Entrepot line 5,,\nEntrepot line 6,reason\n".to_vec();
    let mut counted = counts(4, 2, 0, 0, 2);
    for _ in 0..3 {
        let (report, sink) = scene.import(&document);
        let rules: Vec<_> = sink.findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(
            (report.counts, rules),
            (counted, vec![Rule::Length, Rule::Columns]),
            "{}: {:?}",
            String::from_utf8_lossy(&document),
            shown(&sink)
        );
        assert_eq!(scene.rows(), ["1|a|1.00", "3|Entrepot line 5"]);
        (document, counted) = (sink.refused, counts(2, 0, 0, 0, 2));
    }
    // Members of JSON, and columns of fixed width.
    let scene = nested(Format::Json(JsonFormat::default()));
    let (_, sink) = scene.import(b"[{\"Group\":1,\"Entrepot lines\":2,\"Amount\":\"x\",\"Name\":\"a\"}]");
    assert!(String::from_utf8_lossy(&sink.refused).contains("\"Entrepot lines\":2"));
    let list = columns(&[("Group", 1, 3), ("Name", 4, 24), ("Amount", 28, 4), ("Above", 32, 2)]);
    let scene = nested(Format::Fixed(FixedFormat { columns: list, ..FixedFormat::default() }));
    let (report, sink) = scene.import(b"1    # Entrepot line 5: a 1\n");
    assert_eq!((report.counts, scene.rows()), (counts(1, 0, 0, 0, 1), vec![]), "{:?}", shown(&sink));
    assert_eq!(sink.findings[0].rule, Rule::Length, "{:?}", sink.findings);
}

#[test]
fn as_many_columns_as_a_document_may_have_come_back_with_ours() {
    let scene = nested(csv(|_| ()));
    let names = |count: usize| (4..count).map(|at| format!(",c{at}")).collect::<String>();
    let blanks = |count: usize| ",".repeat(count - 4);
    let mut document = format!("Group,Name,Amount,Above{}\n1,a,x,{}\n2,b,2,{},\n", names(4096), blanks(4096), blanks(4096)).into_bytes();
    for _ in 0..3 {
        let (report, sink) = scene.import(&document);
        assert_eq!(report.counts, counts(2, 0, 0, 0, 2));
        let rules: Vec<_> = sink.findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, [Rule::Type, Rule::Size], "{:?}", sink.findings);
        document = sink.refused;
    }
    let mended = String::from_utf8(document).unwrap().replacen(",x,", ",1,", 1);
    assert_eq!(scene.import(mended.as_bytes()).0.counts, counts(2, 1, 0, 0, 1));
    let (report, sink) = scene.import(format!("Group,Name,Amount,Above{}\n1,a,1,\n", names(4097)).as_bytes());
    assert!(report.document_refused && sink.findings[0].message.contains("more than 4,096 fields"), "{:?}", sink.findings);
    // A workbook has no room for two more than Excel's own.
    for (width, comes_back) in [(16_382, true), (16_383, false)] {
        let mut workbook = rust_xlsxwriter::Workbook::new();
        let sheet = workbook.add_worksheet();
        sheet.write_row(0, 0, ["Group", "Name", "Amount", "Above"]).unwrap().write_row(1, 0, ["1", "a", "x"]).unwrap();
        sheet.write_string(0, width - 1, "last").unwrap();
        let scene = nested(Format::Excel(ExcelFormat::default()));
        let (report, sink) = scene.import(&workbook.save_to_buffer().unwrap());
        assert_eq!((report.counts.refused, sink.refused.is_empty()), (1, !comes_back));
        assert_eq!(sink.findings[0].hint.contains("too large for the file of refused rows"), !comes_back, "{:?}", sink.findings);
        if comes_back {
            let (report, again) = scene.import(&sink.refused);
            assert_eq!((report.counts, again.findings[0].rule), (counts(1, 0, 0, 0, 1), Rule::Type));
        }
    }
}
