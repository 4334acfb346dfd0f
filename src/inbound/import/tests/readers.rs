//! What a document says is never changed or dropped without a word.

use super::*;

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

/// Fields by number, from 1.
fn by_number(format: CsvFormat, numbers: &[usize]) -> Scene {
    let mut scene = scene(format);
    scene.project_entity.mapping =
        numbers.iter().enumerate().map(|(field, number)| Mapping::plain(Source::Number(*number), field)).collect();
    scene
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
    assert_eq!(by_number(ragged, &[1, 2]).import(document).0.counts, counts(4, 4, 0, 0, 0));
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

/// Values by paths, into the fields in their order.
fn by_path(format: Format, paths: &[&str]) -> Scene {
    let mut scene = nested(format);
    scene.project_entity.mapping =
        paths.iter().enumerate().map(|(field, name)| Mapping::plain(Source::Column((*name).into()), field)).collect();
    scene.project_entity.mapping_stated = true;
    scene
}

#[test]
fn what_leads_to_no_value_or_to_more_than_one_is_a_finding_that_names_the_path() {
    let (xml, json) = (Format::Xml(XmlFormat::default()), Format::Json(JsonFormat::default()));
    let more = "leads to more than one value";
    let none = "leads to no value, but to what has values in it";
    for (format, paths, document, expected) in [
        (&json, &["Id", "Amount"][..], r#"[{"Id":1,"Amount":{"amount":"5","currency":"EUR"}}]"#, Err(none)),
        (&json, &["Id", "Name"], r#"[{"Id":1,"Name":["a","b","c"]}]"#, Err(more)),
        (&json, &["Id", "Name"], r#"[{"Id":1,"Name":["a"]},{"Id":2,"Name":[]},{"Id":3,"Name":{}},{"Id":4,"Name":null}]"#, Ok(4)),
        (&json, &["Id", "Name"], r#"[{"Id":1,"Name":[["a"]]}]"#, Err(none)),
        (&json, &["Id", "Name"], r#"[{"Id":1,"Name":"a","Name":"b"}]"#, Err(more)),
        (&json, &["Id", "Name[1]"], r#"[{"Id":1,"Name":["a","b"]}]"#, Ok(1)),
        (&xml, &["Id", "Name"], "<D><R><Id>1</Id><Name>a</Name><Name>b</Name></R></D>", Err(more)),
        (&xml, &["Id", "Na_me"], "<D><R><Id>1</Id><Name>a</Name><Na_me>b</Na_me></R></D>", Ok(1)),
        (&xml, &["Id", "Name"], "<D><R><Id>1</Id><Name>\n<First>a</First>\n<Last>b</Last></Name></R></D>", Err(none)),
        (&xml, &["Id", "Name"], "<D><R><Id>1</Id><Name>a <b>b</b> <i>c</i></Name></R><R><Id>2</Id><Name><x>b</x></Name></R></D>", Ok(2)),
        (&xml, &["Id", "//x"], "<D><R><Id>1</Id><x>a</x><y><x>b</x></y></R></D>", Ok(1)),
    ] {
        let (report, sink) = by_path(format.clone(), paths).import(document.as_bytes());
        match expected {
            Ok(loaded) => assert_eq!(report.counts, counts(loaded, loaded, 0, 0, 0), "{document}: {:?}", sink.findings),
            Err(message) => {
                assert_eq!(report.counts, counts(1, 0, 0, 0, 1), "{document}");
                let finding = &sink.findings[0];
                assert_eq!((finding.rule, finding.column.as_str()), (Rule::Type, paths[1]), "{finding:?}");
                assert!(finding.message.contains(message), "{finding:?}");
            }
        }
    }
}

#[test]
fn what_stands_where_a_record_should_is_no_row_without_a_word() {
    let orders = JsonFormat { record: path("orders"), ..JsonFormat::default() };
    for (format, document, expected) in [
        (&orders, r#"{"orders":null}"#, counts(0, 0, 0, 0, 0)),
        (&orders, r#"{"orders":[null,{"Id":1}]}"#, counts(2, 1, 0, 0, 1)),
        (&orders, r#"{"orders":[5,"x",{"Id":1}]}"#, counts(3, 1, 0, 0, 2)),
        (&JsonFormat { lines: true, ..JsonFormat::default() }, "null\n{\"Id\":1}\n", counts(2, 1, 0, 0, 1)),
    ] {
        let (report, sink) = by_path(Format::Json(format.clone()), &["Id"]).import(document.as_bytes());
        assert_eq!(report.counts, expected, "{document}: {:?}", sink.findings);
        assert!(sink.findings.iter().all(|one| one.message.starts_with("a record is an object")), "{:?}", sink.findings);
    }
    let (report, sink) = by_path(Format::Json(orders.clone()), &["Id"]).import(br#"{"orders":[[{"Id":1}]]}"#);
    assert!(report.document_refused && sink.findings[0].message.contains("an array stands where a record should"), "{:?}", sink.findings);
    let (report, _) =
        by_path(Format::Json(JsonFormat { record: path("tags"), ..JsonFormat::default() }), &["."]).import(br#"{"tags":["a","b"]}"#);
    assert_eq!(report.counts, counts(2, 2, 0, 0, 0), "values are records where a path asks for them themselves");

    let xml = XmlFormat { record: path("//R"), ..XmlFormat::default() };
    let (report, sink) = by_path(Format::Xml(xml), &["Id"]).import(b"<D><R><Id>1</Id></R><R><Id>2</Id>\n<x><R><Id>3</Id></R></x></R></D>");
    assert_eq!(report.counts, counts(2, 1, 0, 0, 1));
    assert_eq!(sink.findings[0].message, "another record stands inside of it, on line 2");
}

#[test]
fn a_value_beside_the_records_that_comes_too_late_refuses_the_document() {
    let xml = Format::Xml(XmlFormat { record: path("/D/G/R"), ..XmlFormat::default() });
    let json = Format::Json(JsonFormat { record: path("R"), ..JsonFormat::default() });
    for (format, paths, document, late) in [
        (&xml, &["Id", "../x"][..], "<D><G><x>1</x><R><Id>1</Id></R></G><G><R><Id>2</Id></R></G></D>", false),
        (&xml, &["Id", "../x"], "<D><G><R><Id>1</Id></R></G><G><x>1</x><R><Id>2</Id></R></G></D>", false),
        (&xml, &["Id", "../x"], "<D><G><R><Id>1</Id></R><x>1</x><R><Id>2</Id></R></G></D>", true),
        (&xml, &["Id", "../h/x"], "<D><G><R><Id>1</Id></R><h><y/><x/></h></G></D>", true),
        (&xml, &["Id", "/D/x"], "<D><G><R><Id>1</Id></R></G><x>1</x></D>", true),
        (&json, &["Id", "../x"], r#"{"R":[{"Id":1}],"x":"1"}"#, true),
        (&json, &["Id", "../x"], r#"{"x":"1","R":[{"Id":1}]}"#, false),
    ] {
        let (report, sink) = by_path(format.clone(), paths).import(document.as_bytes());
        assert_eq!(report.document_refused, late, "{document}: {:?}", sink.findings);
        assert!(!late || sink.findings[0].message.contains("stands behind records"), "{:?}", sink.findings);
    }
}

#[test]
fn paths_that_no_record_has_are_noted_and_places_without_records_too() {
    let xml = |record: &str| {
        Format::Xml(XmlFormat { record: path(record), namespaces: vec![("c".into(), "urn:c".into())], ..XmlFormat::default() })
    };
    let (report, sink) = by_path(xml("/D/R"), &["Id", "Nmae", "Amt"]).import(b"<D><R><Id>1</Id><Amt>1</Amt></R><R><Id>2</Id></R></D>");
    assert_eq!((report.counts, report.findings, report.notes), (counts(2, 2, 0, 0, 0), 0, 1));
    assert_eq!((sink.findings[0].rule, sink.findings[0].message.as_str()), (Rule::Message, "no record of the document has Nmae"));
    let (report, sink) = by_path(xml("/D/R"), &["Id"]).import(b"<D><Head/></D>");
    assert_eq!((report.document_refused, report.notes), (false, 1));
    assert!(sink.findings[0].hint.contains("/D/Head"), "{:?}", sink.findings);
    let (report, sink) = by_path(xml("/D/c:R"), &["Id"]).import(b"<D xmlns='urn:other'><R><Id>1</Id></R></D>");
    assert!(report.document_refused && sink.findings[0].hint.contains("/D/R"), "{:?}", sink.findings);
    let root = Format::Xml(XmlFormat { root: Some("Data".into()), ..XmlFormat::default() });
    let (report, sink) = by_path(root, &["Id"]).import(b"<D><R><Id>1</Id></R></D>");
    assert!(report.document_refused && sink.findings[0].message.contains("no record at /Data/*"), "{:?}", sink.findings);
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
    let mut zip = zip::ZipArchive::new(io::Cursor::new(workbook.save_to_buffer().unwrap())).unwrap();
    let mut packed = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for at in 0..zip.len() {
        let (mut part, mut text) = (zip.by_index(at).unwrap(), String::new());
        part.read_to_string(&mut text).unwrap();
        packed.start_file(part.name().unwrap().to_string(), zip::write::SimpleFileOptions::default()).unwrap();
        packed.write_all(text.replace("<v>7777</v>", "").as_bytes()).unwrap();
    }
    let (report, sink) = scene.import(&packed.finish().unwrap().into_inner());
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
