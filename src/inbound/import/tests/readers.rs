//! What a document says is never changed or dropped without a word.

use super::nested::by_path;
use super::*;
use crate::model::format::RecordType;

#[test]
fn a_document_that_breaks_loads_nothing_and_says_where() {
    let table: &[(Format, &[u8], u64, &str)] = &[
        (Format::Xml(XmlFormat::default()), b"<D>\n<G><Group>1</Group></G>\n<G><Group>2</G>\n</D>", 3, "not well-formed"),
        (Format::Xml(XmlFormat::default()), b"<D>\n<G><Group>1</Group></G>\n<G>", 3, "ends inside of <G>"),
        (
            Format::Xml(XmlFormat::default()),
            b"<!DOCTYPE D [<!ENTITY a 'x'>]>\n<D><G><Group>1</Group><Name>&a;</Name></G></D>",
            2,
            "entities are not expanded",
        ),
        (Format::Xml(XmlFormat::default()), b"<D><G><Group>1</Group></G></D><D/>", 1, "a second root element"),
        (Format::Xml(XmlFormat { record: path("/D/Record"), ..XmlFormat::default() }), b"<E><Recrd/></E>", 0, "no record at /D/Record"),
        (Format::Json(JsonFormat::default()), b"[{\"Group\":\"1\"},\n{\"Group\":]", 2, "expected a value"),
        (Format::Json(JsonFormat::default()), b"[{\"Group\":\"1\"}", 1, "the document ends"),
        (Format::Json(JsonFormat::default()), b"[{\"Group\":01}]", 1, "\"01\" is no value"),
        (Format::Json(JsonFormat { record: path("orders"), ..JsonFormat::default() }), b"{\"order\":[{}]}", 0, "no record at orders"),
        (Format::Csv(CsvFormat::default()), b"PK\x03\x04 [Content_Types].xml", 0, "a workbook of Excel"),
        (Format::Excel(ExcelFormat::default()), b"PK\x03\x04 [Content_Types].xml", 0, "the workbook is damaged"),
    ];
    for (format, document, line, message) in table {
        let scene = nested(format.clone());
        let (report, sink) = scene.import(document);
        assert!(report.document_refused, "{message}: {report:?}");
        assert_eq!(report.counts, RowCounts::default());
        let finding = sink.findings.last().unwrap();
        assert!(finding.message.contains(message), "{message}: {finding:?}");
        assert!(!finding.hint.is_empty());
        assert_eq!(finding.line, *line, "{finding:?}");
        assert!(scene.entities.reader("entities", &[]).unwrap().is_none_or(|connection| {
            connection.query_row("SELECT count(*) FROM groups", [], |row| row.get::<_, u64>(0)).unwrap() == 0
        }));
    }
    // An array or a root without records is no fault.
    for (format, document) in [
        (Format::Json(JsonFormat { record: path("orders"), ..JsonFormat::default() }), &b"{\"orders\":[]}"[..]),
        (Format::Json(JsonFormat::default()), b"[]"),
        (Format::Xml(XmlFormat::default()), b"<D/>"),
    ] {
        let (report, sink) = nested(format).import(document);
        assert!(sink.findings.is_empty() && report.counts == RowCounts::default(), "{:?}", sink.findings);
    }
}

#[test]
fn traps_are_named_before_the_damage() {
    let table: &[(CsvFormat, &str, &str)] = &[
        (CsvFormat::default(), "Group;Name;Amount;Above\n1;x;1;\n", "set delimiter = \";\""),
        (CsvFormat::default(), "Group\tName\tAmount\tAbove\n", "set delimiter = \"\\t\""),
        (CsvFormat::default(), "1,2026-01-01,1.5,7\n2,2026-01-02,1.5,8\n", "add the header, or set header = false"),
        (CsvFormat::default(), "sep=;\nGroup;Name;Amount;Above\n", "set delimiter = \";\""),
        (
            CsvFormat { record_end: Some("\r\n".into()), ..CsvFormat::default() },
            "Group,Name,Amount,Above\n1,x,1,\n",
            "leave record_end out",
        ),
    ];
    for (format, document, hint) in table {
        let (report, sink) = scene(format.clone()).import(document.as_bytes());
        assert!(report.document_refused && sink.findings[0].hint.contains(hint), "{:?}", sink.findings);
    }
    let attributes = Format::Xml(XmlFormat { style: XmlStyle::Attribute, ..XmlFormat::default() });
    for (format, document, hint) in [
        (Format::Xml(XmlFormat::default()), "<D><G Group='1' Name='x'/><G Group='2'/></D>", "type = \"xml-attribute\""),
        (attributes, "<D><G><Group>1</Group></G></D>", "type = \"xml-element\""),
        (Format::Json(JsonFormat::default()), "{\"n\":1,\"groups\":[{\"Group\":1}]}", "record = \"groups\""),
        (
            Format::Xml(XmlFormat::default()),
            "<?xml version='1.0' encoding='klingon'?><D><G><Group>1</Group></G></D>",
            "correct the declaration",
        ),
    ] {
        let (report, sink) = nested(format).import(document.as_bytes());
        assert!(report.document_refused && sink.findings.len() == 1 && sink.findings[0].hint.contains(hint), "{:?}", sink.findings);
    }
    let (report, sink) = scene(CsvFormat::default()).import(format!("{}\n", "A,".repeat(5000)).as_bytes());
    assert!(report.document_refused && sink.findings[0].message.contains("more than 4,096 fields"), "{:?}", sink.findings);
    let (report, _) = scene(CsvFormat::default()).import(b"sep=,\nGroup,Name,Amount,Above\n1,x,1,\n");
    assert_eq!(report.counts, counts(1, 1, 0, 0, 0));
}

#[test]
fn columns_that_nobody_mapped_may_lack_and_their_fields_are_kept() {
    let mut scene = scene(CsvFormat::default());
    scene.project_entity.mapping = ["ID", "NAME", "AMOUNT", "ABOVE"]
        .iter()
        .enumerate()
        .map(|(at, name)| Mapping::plain(Source::Column(name.to_string()), at))
        .collect();
    scene.project_entity.mapping_stated = false;
    assert_eq!(scene.import(b"Id,Name,Amount\n1,x,1\n").0.counts, counts(1, 1, 0, 0, 0));
    let (report, sink) = scene.import(b"Id,Nmae,Amount\n1,y,2\n2,z,\n");
    assert_eq!((report.counts, report.notes), (counts(2, 1, 1, 0, 0), 1));
    assert_eq!(sink.findings[0].message, "no column of the document is for NAME, ABOVE, and no field for its Nmae");
    assert_eq!(scene.rows(), ["1|x|2.00", "2"], "what has no column is kept");
    assert!(scene.import(b"Name\nx\n").0.document_refused, "the key has to be there");
}

#[test]
fn a_document_whose_line_ends_were_lost_on_the_way_is_no_header_without_rows() {
    let mut scene = scene(CsvFormat::default());
    scene.project_entity.mapping =
        ["ID", "NAME", "AMOUNT"].iter().enumerate().map(|(at, name)| Mapping::plain(Source::Column(name.to_string()), at)).collect();
    scene.project_entity.mapping_stated = false;
    // As curl -d sends "ID,NAME,AMOUNT\n1,x,2\n2,y,3\n".
    let (report, sink) = scene.import(b"ID,NAME,AMOUNT1,x,22,y,3");
    assert!(report.document_refused && sink.findings.iter().any(|finding| finding.hint.contains("--data-binary")), "{:?}", sink.findings);
    // A column that nobody maps stands last.
    assert!(scene.import(b"ID,NAME,AMOUNT,REMARK1,x,2,a2,y,3,b").0.document_refused);
    scene.project_entity.mapping_stated = true;
    assert!(scene.import(b"ID,NAME,AMOUNT,REMARK1,x,2,a2,y,3,b").0.document_refused);
    scene.project_entity.mapping_stated = false;
    // Those of a day without rows.
    for document in [&b"ID,NAME,AMOUNT"[..], b"ID,NAME", b"ID,NAME,TOTAL\n", b"ID,NAME,TOTAL", b"ID,NAME,AMOUNT,NAME OF SHOP,"] {
        assert!(!scene.import(document).0.document_refused, "{}", String::from_utf8_lossy(document));
    }
}

/// Fields by number, from 1.
fn by_number(format: CsvFormat, numbers: &[usize]) -> Scene {
    let mut scene = scene(format);
    scene.project_entity.mapping =
        numbers.iter().enumerate().map(|(field, number)| Mapping::plain(Source::Number(*number), field)).collect();
    scene
}

#[test]
fn rows_of_a_document_without_header_whose_line_ends_are_lost_are_named() {
    let format = || CsvFormat { header: false, ..CsvFormat::default() };
    for (document, format, noted) in [
        ("1,one,102,two,203,three,30", format(), 1),
        ("1,one,102,two,203,three,30", CsvFormat { record_end: Some("\n".into()), ragged: true, ..format() }, 1),
        ("1,one,102,two,203,three,30\n", format(), 0),
        ("1,one,102,two,203,three,30\n", CsvFormat { record_end: Some("\n".into()), ..format() }, 0),
        ("1,one,10", format(), 0),
        ("1,one,10,and,more,columns", format(), 0),
    ] {
        let (report, sink) = by_number(format, &[1, 2, 3]).import(document.as_bytes());
        assert_eq!((report.counts.inserted, report.notes), (1, noted), "{document:?}: {:?}", sink.findings);
        assert!(noted == 0 || sink.findings[0].hint.contains("--data-binary"), "{:?}", sink.findings);
    }
}

#[test]
fn where_no_header_is_every_record_has_as_many_fields_as_the_first() {
    let format = CsvFormat { header: false, ..CsvFormat::default() };
    let document = b"1,Doe,x\n2,Smith, John,y\n3,Roe\n4,Poe,z\n";
    let (report, sink) = by_number(format.clone(), &[1, 2]).import(document);
    assert_eq!(report.counts, counts(4, 2, 0, 0, 2), "{:?}", sink.findings);
    let found: Vec<_> = sink.findings.iter().map(|one| (one.row, one.rule, one.message.as_str())).collect();
    assert_eq!(found, [(2, Rule::Columns, "4 fields, the first record has 3"), (3, Rule::Columns, "2 fields, the first record has 3")]);
    assert!(sink.findings[0].hint.contains("delimiter inside") && sink.findings[1].hint.contains("line end inside"));
    let ragged = CsvFormat { ragged: true, ..format };
    let (report, sink) = by_number(ragged.clone(), &[1, 2]).import(document);
    assert_eq!((report.counts, sink.findings[0].row), (counts(4, 3, 0, 0, 1), 2), "{:?}", sink.findings);
    // The first may lack what the mapping knows of.
    let scene = by_number(ragged, &[1, 2, 3]);
    let (report, sink) = scene.import(b"1,Doe\n2,Roe,5\n3,Poe,6,,\n4,Smith, John,7\n5\n");
    assert_eq!(report.counts, counts(5, 4, 0, 0, 1), "{:?}", sink.findings);
    assert_eq!(sink.findings[0].message, "4 fields, the first record and the mapping have no more than 3");
    assert_eq!(scene.rows(), ["1|Doe", "2|Roe|5.00", "3|Poe|6.00", "5"]);
    let (report, again) = scene.import(&sink.refused);
    assert_eq!((report.counts, again.refused.len()), (counts(1, 0, 0, 0, 1), sink.refused.len()), "{:?}", again.findings);
    let mended = String::from_utf8(sink.refused).unwrap().replace("Smith, John", "\"Smith, John\"");
    assert_eq!(scene.import(mended.as_bytes()).0.counts, counts(1, 1, 0, 0, 0), "{mended}");
}

#[test]
fn a_document_of_which_nothing_is_left_but_what_is_passed_over_says_so() {
    let plain = CsvFormat { header: false, ..CsvFormat::default() };
    let fixed = |skip_first, skip_last, record_end: Option<&str>| {
        let columns =
            [("Group", 1), ("Name", 3)].map(|(name, start)| FixedColumn { name: name.into(), start, length: 2, pad: ' ', right: false });
        let (columns, record_end) = (columns.into(), record_end.map(str::to_owned));
        Format::Fixed(FixedFormat { columns, record_end, skip_first, skip_last, ..FixedFormat::default() })
    };
    let csv = |skip_first, skip_last, record_end: Option<&str>| {
        Format::Csv(CsvFormat { skip_first, skip_last, record_end: record_end.map(str::to_owned), ..plain.clone() })
    };
    // One record where there should be many is a fault of it, and no trailer.
    for (format, document) in [
        (csv(0, 1, Some("\r\n")), "1,a\n2,b\n3,c\nTotal,3\n"),
        (csv(0, 2, Some("&|")), "1,a\n2,b\n3,c\nTotal,3\n"),
        (fixed(0, 1, Some("\r\n")), "1 a \n2 b \nTOTAL\n"),
        (fixed(0, 1, Some("~")), "1 a \n2 b \nTOTAL\n"),
    ] {
        let mut scene = nested(format);
        scene.project_entity.mapping.truncate(1);
        scene.project_entity.mapping[0].source = Source::Number(1);
        let (report, sink) = scene.import(document.as_bytes());
        assert_eq!(report.counts, counts(1, 0, 0, 0, 1), "{document:?}: {:?}", sink.findings);
        assert!(sink.findings[0].message.contains("stands nowhere in the document"), "{:?}", sink.findings);
    }
    for (format, document, message) in [
        (csv(0, 5, None), "1,a\n2,b\n", Some("the document has 2 records, and skip_last passes over 5")),
        (csv(0, 1, None), "\n", None),
        (csv(5, 0, None), "1,a\n2,b\n", Some("the document has 2 lines, and skip_first passes over 5")),
        (fixed(5, 0, None), "1 a \n2 b \n", Some("the document has 2 lines, and skip_first passes over 5")),
        (fixed(0, 5, None), "1 a \n2 b \n", Some("the document has 2 records, and skip_last passes over 5")),
        (csv(1, 1, None), "title\ntotal,0\n", None),
        (fixed(1, 1, None), "title\ntotal 0\n", None),
    ] {
        let mut scene = nested(format);
        scene.project_entity.mapping.truncate(1);
        scene.project_entity.mapping[0].source = Source::Number(1);
        let (report, sink) = scene.import(document.as_bytes());
        assert_eq!(report.counts, RowCounts::default(), "{document:?}: {:?}", sink.findings);
        assert_eq!(sink.findings.first().map(|one| one.message.as_str()), message, "{document:?}");
    }
    let (report, sink) = scene(CsvFormat { skip_last: 1, ..CsvFormat::default() }).import(b"Other\n1\n");
    assert!(report.document_refused && report.notes == 0, "{:?}", sink.findings);
}

#[test]
fn columns_by_number_are_held_to_the_header_and_a_missing_header_is_noticed() {
    for (numbers, document, message, hint) in [
        (&[1, 5][..], "Group,Name\n1,x\n", "there is no column 5: the header has 2", "the columns Group, Name"),
        (&[1, 2], "Group;Name\n1;x\n", "there is no column 2", "set delimiter = \";\""),
        (&[1], "Group;Name\n1;x\n", "does not look like the header", "set delimiter = \";\""),
        (&[1, 2], "1,Ada,5\n2,Bob,6\n", "does not look like the header", "set header = false"),
    ] {
        let (report, sink) = by_number(CsvFormat::default(), numbers).import(document.as_bytes());
        assert!(report.document_refused, "{document}");
        let finding = &sink.findings[0];
        assert!(finding.rule == Rule::Header && finding.message.contains(message) && finding.hint.contains(hint), "{finding:?}");
    }
    assert_eq!(by_number(CsvFormat::default(), &[2, 1]).import(b"Name,Group\nx,1\n").0.counts, counts(1, 1, 0, 0, 0));
}

#[test]
fn a_header_that_comes_again_is_no_row() {
    let (report, sink) =
        scene(CsvFormat::default()).import("\u{feff}Group,Name,Amount,Above\n1,x,1,\n\u{feff}Group,Name,Amount,Above\n2,y,2,\n".as_bytes());
    assert_eq!(report.counts, counts(3, 2, 0, 0, 1));
    assert_eq!((sink.findings[0].line, sink.findings[0].message.as_str()), (3, "the header stands here again"));
}

#[test]
fn errors_and_formulas_without_results_are_told_with_their_cell_where_they_are_asked_for() {
    let scene = nested(Format::Excel(ExcelFormat::default()));
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    for (column, name) in ["Group", "Name", "Amount", "Above", "Else"].iter().enumerate() {
        sheet.write_string(0, column as u16, *name).unwrap();
    }
    let formula = |result: &str| rust_xlsxwriter::Formula::new("=1+1").set_result(result);
    sheet.write_string(1, 0, "1").unwrap().write_formula(1, 2, formula("2")).unwrap();
    sheet.write_string(2, 0, "2").unwrap().write_formula(2, 1, formula("#N/A")).unwrap().write_formula(2, 2, formula("#DIV/0!")).unwrap();
    sheet.write_string(3, 0, "3").unwrap().write_formula(3, 4, formula("#REF!")).unwrap();
    sheet.write_formula(4, 0, formula("7777")).unwrap();
    // As programs write it that do not calculate.
    let document = packed_again(&workbook.save_to_buffer().unwrap(), |text| text.replace("<v>7777</v>", ""));
    let (report, sink) = scene.import(&document);
    assert_eq!(report.counts, counts(4, 2, 0, 0, 2), "{:?}", sink.findings);
    let found: Vec<_> = sink.findings.iter().map(|one| (one.line, one.column.as_str(), one.value.as_str(), one.message.as_str())).collect();
    assert_eq!(
        found,
        [
            (3, "Name", "#N/A", "cell B3 holds the error #N/A"),
            (3, "Amount", "#DIV/0!", "cell C3 holds the error #DIV/0!"),
            (5, "Group", "", "cell A5 holds a formula without its result"),
        ]
    );
}

#[test]
fn a_cell_that_breaks_a_workbook_is_told_with_its_sheet_and_row() {
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet().set_name("Prices").unwrap();
    for (column, name) in ["Group", "Name", "Amount", "Above"].iter().enumerate() {
        sheet.write_string(0, column as u16, *name).unwrap();
    }
    sheet.write_string(1, 0, "1").unwrap().write_string(2, 0, "2").unwrap().write_number(2, 2, 7777.0).unwrap();
    let document = packed_again(&workbook.save_to_buffer().unwrap(), |text| text.replace("><v>7777</v>", " t=\"n\"><v> 7777 </v>"));
    let (report, sink) = nested(Format::Excel(ExcelFormat::default())).import(&document);
    assert!(report.document_refused && sink.findings[0].line == 3, "{:?}", sink.findings);
    assert!(
        sink.findings[0].message.starts_with("the workbook is damaged in row 3 of sheet \"Prices\", or behind it: "),
        "{:?}",
        sink.findings
    );
}

#[test]
fn a_header_is_doubted_where_columns_go_by_number_only_when_it_can_be_none() {
    for (header, doubted) in [
        ("Code,2024", false),
        ("Code,Name,100", false),
        ("Code,,x", false),
        ("2024,2025", false),
        ("1,x", true),
        ("2026-01-31,x", true),
        ("a@b.nl,7", true),
        // The third field is a number, and Amount is none.
        ("1,2,Amount", false),
        ("1,2,3.5", true),
    ] {
        let columns: Vec<usize> = (1..=header.split(',').count()).collect();
        let (report, sink) = by_number(CsvFormat::default(), &columns).import(format!("{header}\n").as_bytes());
        assert_eq!(report.document_refused, doubted, "{header}: {:?}", sink.findings);
    }
}

#[test]
fn an_error_that_a_spreadsheet_wrote_into_text_is_a_finding_and_in_qualifiers_text() {
    let document = b"Group,Name,Amount,Above\n1,#N/A,1,\n2,\"#N/A\",1,\n3,#WERT! ,1,\n4,#1,1,\n5,#REF,1,\n";
    let (report, sink) = scene(CsvFormat::default()).import(document);
    assert_eq!(report.counts, counts(5, 3, 0, 0, 2), "{:?}", sink.findings);
    assert!(sink.findings.iter().all(|one| one.rule == Rule::Spreadsheet && one.column == "Name"), "{:?}", sink.findings);
    let nulls = CsvFormat { nulls: vec!["#N/A".into()], ..CsvFormat::default() };
    assert_eq!(scene(nulls.clone()).import(b"Group,Name,Amount,Above\n1,#N/A,1,\n").0.counts, counts(1, 1, 0, 0, 0));
    // Whatever the mapping makes of it, unless it says what such a word stands for.
    let pad = Conversion::Pad { length: 6, with: '0', right: false };
    for (conversion, refused) in [
        (Conversion::Lower, true),
        (pad, true),
        (Conversion::Split { at: "/".into(), part: 2 }, true),
        (Conversion::Split { at: "/".into(), part: 3 }, true),
        (Conversion::Values(vec![("#N/A".into(), "none".into())]), false),
    ] {
        let mut scene = scene(CsvFormat::default());
        scene.project_entity.mapping[1].conversions = vec![conversion.clone()];
        let (report, sink) = scene.import(b"Group,Name,Amount,Above\n1,#N/A,1,\n");
        assert_eq!(report.counts.refused, u64::from(refused), "{conversion:?}: {:?}", sink.findings);
    }
    let joined = |format: CsvFormat| {
        let mut scene = scene(format);
        let parts = ["Name", "Note"].map(|name| Source::Column(name.into())).to_vec();
        scene.project_entity.mapping[1].source = Source::Concatenate { parts, with: " ".into() };
        scene
    };
    let document = b"Group,Name,Note,Amount,Above\n1,#N/A,2,1,\n2,a,#REF!,1,\n3,a,\"#REF!\",1,\n4,,#N/A,1,\n";
    let (report, sink) = joined(CsvFormat::default()).import(document);
    assert_eq!(report.counts, counts(4, 1, 0, 0, 3), "{:?}", sink.findings);
    let found: Vec<_> = sink.findings.iter().map(|one| (one.rule, one.row, one.column.as_str(), one.value.as_str())).collect();
    let spreadsheet = |row, column, value| (Rule::Spreadsheet, row, column, value);
    assert_eq!(found, [spreadsheet(1, "Name", "#N/A"), spreadsheet(2, "Note", "#REF!"), spreadsheet(4, "Note", "#N/A")]);
    assert_eq!(joined(nulls).import(document).0.counts, counts(4, 3, 0, 0, 1), "no value is none of them");
}

#[test]
fn a_hint_about_separators_says_where_they_are_stated() {
    let mut scene = scene(CsvFormat::default());
    for (numbers, value, hint) in [
        (None, "\"1,5\"", "set decimal_separator = \",\" in the format"),
        (Some(crate::model::format::Numbers::default()), "\"1,5\"", "set decimal_separator = \",\" in the mapping"),
        (None, "(5.00)", "write a minus in place of parentheses, as in -5.00"),
    ] {
        scene.project_entity.mapping[2].numbers = numbers;
        let (_, sink) = scene.import(format!("Group,Name,Amount,Above\n1,x,{value},\n").as_bytes());
        assert_eq!(sink.findings[0].hint, hint);
    }
}

#[test]
fn in_a_document_of_one_column_a_value_may_be_called_like_it() {
    let mut scene = scene(CsvFormat::default());
    scene.project_entity.mapping.truncate(1);
    assert_eq!(scene.import(b"Group\nx\nGroup\n").0.counts, counts(2, 2, 0, 0, 0));
}

#[test]
fn a_row_of_our_words_alone_is_data_and_so_are_other_words() {
    let scene = || by_number(CsvFormat { header: false, ..CsvFormat::default() }, &[1, 2]);
    let (report, sink) = scene().import(b"1,a\nEntrepot line 5,Entrepot line 6\n2,b\n");
    assert_eq!((report.counts, report.notes), (counts(3, 2, 0, 0, 1), 0));
    assert_eq!(sink.findings[0].rule, Rule::Length, "it is too long for a key: {:?}", sink.findings);
    assert_eq!(scene().import(b"1,Entrepot line 5\n").0.counts, counts(1, 1, 0, 0, 0), "ours have a reason");
    let (report, _) = scene().import(b"1,a,x\nEntrepot line 5,b,c\n");
    assert_eq!((report.counts, report.notes), (counts(2, 1, 0, 0, 1), 0), "it is too long for a key, and not left out");
    let (report, sink) = scene_with_line().import(b"Group,Entrepot line\n1,x\nmuch too long a key,y\n");
    assert_eq!(report.counts, counts(2, 1, 0, 0, 1), "{:?}", sink.findings);
    let mended = String::from_utf8(sink.refused).unwrap().replace("much too long a key", "2");
    let scene = scene_with_line();
    assert_eq!(scene.import(mended.as_bytes()).0.counts, counts(1, 1, 0, 0, 0), "{mended}");
    assert_eq!(scene.rows(), ["2|y"]);
}

/// The sender has a column that is called like one of ours.
fn scene_with_line() -> Scene {
    let mut scene = scene(CsvFormat::default());
    scene.project_entity.mapping.truncate(1);
    scene.project_entity.mapping.push(Mapping::plain(Source::Column("Entrepot line".into()), 1));
    scene
}

#[test]
fn what_stands_behind_the_value_of_a_line_refuses_the_line_until_it_is_mended() {
    let lines = |record: Option<&str>| {
        by_path(Format::Json(JsonFormat { lines: true, record: record.and_then(path), ..JsonFormat::default() }), &["Id"])
    };
    for (document, bad, good) in [
        ("{\"Id\":1}\n{\"Id\":2} garbage\n", " garbage", ""),
        ("{\"Id\":1}\n{\"Id\":2} {\"Id\":3}\n", "} {", ",\"x\":{"),
        ("{\"Id\":1}\n{\"Id\":2},\n", "2},", "2}"),
        ("{\"Id\":1}\n{\"Id\":2}}\n", "2}}", "2}"),
    ] {
        let scene = lines(None);
        let (report, first) = scene.import(document.as_bytes());
        assert_eq!(report.counts, counts(2, 1, 0, 0, 1), "{document}: {:?}", first.findings);
        assert_eq!((first.findings[0].line, first.findings[0].rule), (2, Rule::Format));
        let (report, again) = scene.import(&first.refused);
        assert_eq!(report.counts, counts(1, 0, 0, 0, 1), "{}", String::from_utf8_lossy(&first.refused));
        let mended = String::from_utf8(again.refused).unwrap();
        let mended = if good.contains('x') { mended.replace("3}", "3}}") } else { mended };
        let (report, sink) = scene.import(mended.replace(bad, good).as_bytes());
        assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{mended}: {:?}", sink.findings);
    }
    // Records inside of a value come back inside of one.
    let scene = lines(Some("page/rows"));
    let (report, first) = scene.import(b"{\"n\":1,\"page\":{\"rows\":[{\"Id\":\"much too long a key\"},5,{\"Id\":1}]}}\n");
    assert_eq!(report.counts, counts(3, 1, 0, 0, 2), "{:?}", first.findings);
    let mended = String::from_utf8(first.refused).unwrap().replace("much too long a key", "2").replace("[5]", "[{\"Id\":5}]");
    let (report, sink) = scene.import(mended.as_bytes());
    assert_eq!(report.counts, counts(2, 2, 0, 0, 0), "{mended}: {:?}", sink.findings);
    assert!(report.completes);
    // What stands behind a value that holds records may be a good value itself.
    let scene = lines(Some("rows"));
    let (report, first) = scene.import(b"{\"rows\":[{\"Id\":1}]} {\"rows\":[{\"Id\":2}]}\n");
    assert_eq!(report.counts, counts(2, 1, 0, 0, 1), "{:?}", first.findings);
    assert_eq!(scene.import(&first.refused).0.counts, counts(1, 0, 0, 0, 1), "{}", String::from_utf8_lossy(&first.refused));
}

#[test]
fn a_sheet_without_a_header_may_have_blank_cells_at_the_end_of_any_row() {
    for rows in [[&["1", "a"][..], &["2", "b", "5"]], [&["1", "a", "5"], &["2", "b"]]] {
        let mut workbook = rust_xlsxwriter::Workbook::new();
        let sheet = workbook.add_worksheet();
        for (row, cells) in rows.iter().enumerate() {
            for (column, cell) in cells.iter().enumerate() {
                sheet.write_string(row as u32, column as u16, *cell).unwrap();
            }
        }
        let mut scene = by_number(CsvFormat::default(), &[1, 2, 3]);
        scene.project_entity.format = Format::Excel(ExcelFormat { header_row: 0, ..ExcelFormat::default() });
        let (report, sink) = scene.import(&workbook.save_to_buffer().unwrap());
        assert_eq!(report.counts, counts(2, 2, 0, 0, 0), "{:?}", sink.findings);
    }
}

#[test]
fn a_number_that_a_workbook_shows_with_leading_zeros_is_the_code_that_it_shows() {
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let (code, plain) = (rust_xlsxwriter::Format::new().set_num_format("00000"), rust_xlsxwriter::Format::new().set_bold());
    let sheet = workbook.add_worksheet();
    for (column, name) in ["Group", "Name", "Amount", "Above"].iter().enumerate() {
        sheet.write_string_with_format(0, column as u16, *name, &plain).unwrap();
    }
    for (row, id) in [7.0, 12345.0, 123_456.0].into_iter().enumerate() {
        let row = row as u32 + 1;
        sheet.write_number_with_format(row, 0, id, &code).unwrap();
        sheet.write_number_with_format(row, 1, 7, &plain).unwrap();
        sheet.write_number_with_format(row, 2, if row == 3 { 1e30 } else { 12.0 }, &code).unwrap();
    }
    let scene = nested(Format::Excel(ExcelFormat::default()));
    let (report, sink) = scene.import(&workbook.save_to_buffer().unwrap());
    assert_eq!(report.counts, counts(3, 2, 0, 0, 1), "{:?}", sink.findings);
    assert_eq!(scene.rows(), ["00007|7|12.00", "12345|7|12.00"]);
}

#[test]
fn a_document_without_a_record_of_its_type_says_which_it_has() {
    let column = |name: &str, start, length| FixedColumn { name: name.into(), start, length, pad: ' ', right: false };
    let columns = vec![column("Type", 1, 1), column("Group", 2, 4), column("Name", 6, 10)];
    let record_type = Some(RecordType { start: 1, length: 1, equals: vec!["6".into()] });
    let scene = nested(Format::Fixed(FixedFormat { columns, record_type, ..FixedFormat::default() }));
    let (report, sink) = scene.import(b"1header         \n5batch          \n8end            \n");
    assert_eq!((report.counts, report.notes), (counts(0, 0, 0, 0, 0), 1));
    assert!(sink.findings[0].message.contains("has the type 6: theirs are \"1\", \"5\", \"8\""), "{:?}", sink.findings);
}

#[test]
fn records_that_are_passed_over_at_the_end_count_as_they_stand_of_any_type() {
    let column = |name: &str, start, length| FixedColumn { name: name.into(), start, length, pad: ' ', right: false };
    let columns = vec![column("Group", 2, 3), column("Name", 5, 3)];
    let record_type = Some(RecordType { start: 1, length: 1, equals: vec!["6".into()] });
    let typed = FixedFormat { columns, record_type, skip_first: 1, ..FixedFormat::default() };
    let lines = ["1HDR   ", "6001aaa", "7more  ", "6002bbb", "6003ccc", "9TRL   "];
    for (skip_last, rows) in [(0, 3), (1, 3), (2, 2), (3, 1), (5, 0), (9, 0)] {
        for (record_length, end) in [(None, "\r\n"), (Some(7), "")] {
            let mut scene = nested(Format::Fixed(FixedFormat { record_length, skip_last, ..typed.clone() }));
            scene.project_entity.mapping.truncate(2);
            let (report, sink) = scene.import((lines.join(end) + end).as_bytes());
            let notes = u64::from(skip_last > 5);
            assert_eq!((report.counts, report.notes), (counts(rows, rows, 0, 0, 0), notes), "{skip_last}: {:?}", sink.findings);
        }
    }
    let scene = nested(Format::Fixed(FixedFormat { skip_last: 1, ..typed }));
    let (report, sink) = scene.import(b"1HDR\n5xxx\n9TRL\n");
    assert_eq!((report.counts.read, report.notes), (0, 0), "the mapping is refused first: {:?}", sink.findings);
    let mut scene = scene;
    scene.project_entity.mapping.truncate(2);
    let (report, sink) = scene.import(b"1HDR\n5xxx\n9TRL\n");
    assert_eq!((report.counts.read, report.notes), (0, 1));
    assert!(sink.findings[0].message.contains("has the type 6: theirs are \"5\", \"9\""), "{:?}", sink.findings);
}

#[test]
fn lines_of_delimiters_alone_count_among_those_that_are_passed_over_at_the_end() {
    for (skip_last, document, rows) in [
        (2, "Group,Name,Amount,Above\n1,a,1,\n2,b,1,\n3,c,1,\nTotal,3,,\n,,,\n", 3),
        (2, "Group,Name,Amount,Above\n1,a,1,\n2,b,1,\n3,c,1,\n,,,\nTotal,3,,\n", 3),
        (2, "Group,Name,Amount,Above\n1,a,1,\n,,,\n2,b,1,\n3,c,1,\n\n\n", 1),
        (0, "Group,Name,Amount,Above\n1,a,1,\n,,,\n2,b,1,\n,,,\n", 2),
    ] {
        let (report, sink) = scene(CsvFormat { skip_last, ..CsvFormat::default() }).import(document.as_bytes());
        assert_eq!((report.counts, report.notes), (counts(rows, rows, 0, 0, 0), 0), "{document}: {:?}", sink.findings);
    }
}
