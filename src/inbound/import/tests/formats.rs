//! Documents of every format and encoding: read, refused in part, and mended.

use super::*;

/// A document with one fault; what the finding says; what mends the refused rows.
#[test]
fn in_every_format_of_text_the_refused_rows_come_back_and_mended_complete_the_load() {
    let attribute = XmlFormat { style: XmlStyle::Attribute, ..XmlFormat::default() };
    let latin = encoding_rs::WINDOWS_1252;
    let table: Vec<(Format, Vec<u8>, (u64, u64, &str, Rule), (&str, &str))> = vec![
        (
            Format::Xml(XmlFormat::default()),
            b"<?xml version=\"1.0\"?>\n<Document>\n<G><Group>1</Group><Name>A &amp; B</Name><Amount>1.5</Amount></G>\n<!-- x -->\n<G>\n<GROUP>2</GROUP><Name><![CDATA[<C>]]></Name><Amount>1,5</Amount></G>\n</Document>\n".to_vec(),
            (5, 2, "Amount", Rule::Type),
            ("1,5", "1.5"),
        ),
        (
            Format::Xml(attribute),
            b"<Document lang='nl'>\n<G Group='1' Name='x' Amount='1'/><G Group='2' Name='&#xe9;--' Amount='much' />\n</Document>".to_vec(),
            (2, 2, "Amount", Rule::Type),
            ("much", "3"),
        ),
        (
            Format::Json(JsonFormat::default()),
            "[{\"group\":1,\"Name\":\"a\\u00e9\",\"Amount\":1.50,\"Above\":null},\n {\"group\":\"2\",\"Name\":\"b\",\"Amount\":\"1,5\"}]".into(),
            (2, 2, "Amount", Rule::Type),
            ("1,5", "1.5"),
        ),
        (
            Format::Json(JsonFormat { record: path("data/groups"), ..JsonFormat::default() }),
            b"{\"count\":2,\"data\":{\"page\":1,\"groups\":[{\"Group\":\"1\",\"Amount\":1},\n{\"Group\":\"2\",\"Amount\":true}]}}".to_vec(),
            (2, 2, "Amount", Rule::Type),
            (":true", ":2"),
        ),
        (
            Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }),
            b"{\"Group\":\"1\",\"Amount\":1}\n\n{\"Group\":\"2\",\"Amount\":}\n".to_vec(),
            (3, 2, "", Rule::Format),
            (":,", ":2,"),
        ),
        (
            Format::Csv(CsvFormat { encoding: latin, delimiter: ";".into(), ..CsvFormat::default() }),
            b"Group;Name;Amount;Above\n1;\xe9;1;\n2;\xe9;x;\n".to_vec(),
            (3, 2, "Amount", Rule::Type),
            (";x;", ";2;"),
        ),
        (
            Format::Fixed(FixedFormat {
                columns: [("Group", 1, 3), ("Name", 4, 4), ("Amount", 8, 5), ("Above", 13, 3)]
                    .map(|(name, start, length)| FixedColumn { name: name.into(), start, length, pad: ' ', right: false })
                    .to_vec(),
                ..FixedFormat::default()
            }),
            b"1  Ink 1.5\n2  Pen 1,5\n".to_vec(),
            (2, 2, "Amount", Rule::Type),
            ("1,5", "1.5"),
        ),
    ];
    for (format, document, expected, (bad, good)) in table {
        let scene = nested(format.clone());
        let (report, sink) = scene.import(&document);
        let name = format.name();
        assert_eq!(report.counts, counts(2, 1, 0, 0, 1), "{name}: {:?}", sink.findings);
        let finding = &sink.findings[0];
        assert_eq!((finding.line, finding.row, finding.column.as_str(), finding.rule), expected, "{name}: {finding:?}");
        let text = format.encoding().decode(&sink.refused).0.into_owned();
        assert!(text.contains(bad), "{name}: {text}");
        let mended = format.encoding().encode(&text.replacen(bad, good, 1)).0.into_owned();
        let (report, sink) = scene.import(&mended);
        assert_eq!((report.counts.inserted, report.counts.refused), (1, 0), "{name}: {:?}\n{text}", sink.findings);
        assert_eq!(scene.rows().len(), 2, "{name}");
    }
}

#[test]
fn a_workbook_is_read_and_its_refused_rows_come_back_as_one() {
    let scene = nested(Format::Excel(ExcelFormat { sheet: Some("Groups".into()), header_row: 2, ..ExcelFormat::default() }));
    let mut workbook = rust_xlsxwriter::Workbook::new();
    workbook.add_worksheet().set_name("Other").unwrap().write_string(0, 0, "nothing").unwrap();
    let sheet = workbook.add_worksheet().set_name("Groups").unwrap();
    sheet.write_string(0, 0, "A title").unwrap();
    for (column, name) in ["Group", "Name", "Amount", "Above"].iter().enumerate() {
        sheet.write_string(1, column as u16, *name).unwrap();
    }
    sheet.write_number(2, 0, 31001.0).unwrap().write_string(2, 1, "é").unwrap().write_number(2, 2, 19.99).unwrap();
    sheet.write_string(4, 0, "2").unwrap().write_string(4, 2, "1,5").unwrap();
    sheet.write_string(5, 0, "3").unwrap().write_string(5, 2, ".000000").unwrap();
    let (report, sink) = scene.import(&workbook.save_to_buffer().unwrap());
    assert_eq!(report.counts, counts(3, 2, 0, 0, 1), "{:?}", sink.findings);
    assert_eq!(scene.rows(), ["3|0.00", "31001|é|19.99"]);
    let finding = &sink.findings[0];
    assert_eq!((finding.line, finding.row, finding.column.as_str(), finding.value.as_str()), (5, 2, "Amount", "1,5"));
    // Mended in the workbook itself: read what came back, correct the cell.
    let mut back: calamine::Xlsx<_> = calamine::Reader::new(io::Cursor::new(sink.refused)).unwrap();
    let range = calamine::Reader::worksheet_range(&mut back, "Groups").unwrap();
    let mut texts: Vec<Vec<String>> = range.rows().map(|row| row.iter().map(ToString::to_string).collect()).collect();
    assert_eq!(texts.remove(0)[0], "A title", "what stands above comes along");
    assert_eq!(texts[0], ["Group", "Name", "Amount", "Above", "Entrepot line", "Entrepot reason"]);
    assert_eq!(&texts[1][..5], ["2", "", "1,5", "", "5"]);
    assert!(texts[1][5].starts_with("Amount: expected a decimal number"), "{texts:?}");
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet().set_name("Groups").unwrap();
    for (row, cells) in texts.iter().enumerate() {
        for (column, cell) in cells.iter().enumerate() {
            sheet.write_string(row as u32 + 1, column as u16, cell.replace("1,5", "1.5")).unwrap();
        }
    }
    assert_eq!(scene.import(&workbook.save_to_buffer().unwrap()).0.counts, counts(1, 1, 0, 0, 0));
}

#[test]
fn paths_lead_to_attributes_around_and_the_refused_rows_keep_what_is_around_them() {
    let format = XmlFormat { record: path("//Rate[@currency]"), ..XmlFormat::default() };
    let mut scene = nested(Format::Xml(format));
    let sources = ["@currency", "../@day", "@rate", "/Bank/Header/Above"];
    scene.project_entity.mapping =
        sources.iter().enumerate().map(|(at, name)| Mapping::plain(Source::Column((*name).into()), at)).collect();
    let document = "<Bank xmlns:x='urn:x'><Header><Above>XXX</Above></Header><Day day='d1'><Rate currency='EUR' rate='1'/><Rate currency='USD' rate='1.1'/></Day><Day day='d2'><Rate currency='JPY' rate='?'/><Rate/></Day></Bank>";
    let (report, sink) = scene.import(document.as_bytes());
    assert_eq!(report.counts, counts(3, 0, 0, 0, 3), "{:?}", sink.findings);
    assert!(sink.findings[0].column.contains("Above"), "{:?}", sink.findings);
    let refused = String::from_utf8(sink.refused).unwrap();
    assert!(refused.contains("<Header><Above>XXX</Above></Header>") && refused.contains("<Day day=\"d2\">"), "{refused}");
    let mended = refused.replace("<Above>XXX</Above>", "<Above/>").replace("'?'", "'160'");
    assert_eq!(scene.import(mended.as_bytes()).0.counts, counts(3, 3, 0, 0, 0), "{mended}");
    assert_eq!(scene.rows(), ["EUR|d1|1.00", "JPY|d2|160.00", "USD|d1|1.10"]);
}

#[test]
fn text_of_every_encoding_is_read_and_its_refused_rows_come_back_in_it() {
    let table = [
        ("utf-8", "\u{17d}lu\u{165}ou\u{10d}k\u{fd} \u{65e5}"),
        ("utf-16le", "\u{65e5}\u{672c} \u{1f600}"),
        ("utf-16be", "\u{65e5}\u{672c} \u{1f600}"),
        ("windows-1250", "\u{17e}lu\u{165}ou\u{10d}k\u{fd}"),
        ("windows-1251", "\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}"),
        ("windows-1252", "Stra\u{df}e \u{20ac}"),
        ("windows-1253", "\u{3b1}\u{3b2}\u{3b3}"),
        ("windows-1254", "\u{131}\u{15f}\u{11f}"),
        ("windows-1255", "\u{5d0}\u{5d1}"),
        ("windows-1256", "\u{627}\u{628}"),
        ("windows-1257", "\u{101}\u{17e}"),
        ("windows-1258", "\u{111}\u{1b0}"),
        ("iso-8859-2", "\u{142}\u{f3}d\u{17a}"),
        ("iso-8859-15", "\u{20ac}\u{153}"),
        ("koi8-r", "\u{43c}\u{438}\u{440}"),
        // The second byte of the first is a backslash, of the others a bar: neither is one.
        ("shift_jis", "\u{8868}\u{30dd} \u{ff71}"),
        ("big5", "\u{529f}\u{80fd}\u{8a31}"),
        ("euc-jp", "\u{65e5}\u{672c}"),
        ("euc-kr", "\u{d55c}\u{ae00}"),
        ("gbk", "\u{4e2d}\u{6587}"),
        ("gb18030", "\u{4e2d}\u{1f600}"),
    ];
    for (label, text) in table {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        let bytes = |text: &str| {
            let mut out = Vec::new();
            crate::document::encoding::encode(text, encoding, &mut out).unwrap_or_else(|c| panic!("{label}: {c}"));
            out
        };
        let csv = Format::Csv(CsvFormat { encoding, delimiter: "|".into(), escape: Some('\\'), ..CsvFormat::default() });
        let xml = Format::Xml(XmlFormat { encoding, ..XmlFormat::default() });
        let json = Format::Json(JsonFormat { encoding, ..JsonFormat::default() });
        let lines = Format::Json(JsonFormat { encoding, lines: true, ..JsonFormat::default() });
        let documents = [
            (csv, format!("Group|Name|Amount|Above\r\n1|{text}|1|\r\n2|{text}|x|\r\n")),
            (xml, format!("<D><G><Group>1</Group><Name>{text}</Name></G><G><Group>2</Group><Name>{text}</Name><Amount>x</Amount></G></D>")),
            (json, format!("[{{\"Group\":1,\"Name\":\"{text}\"}},{{\"Group\":2,\"Name\":\"{text}\",\"Amount\":\"x\"}}]")),
            (lines, format!("{{\"Group\":1,\"Name\":\"{text}\"}}\n{{\"Group\":2,\"Name\":\"{text}\",\"Amount\":\"x\"}}\n")),
        ];
        for (format, document) in documents {
            let (scene, name) = (nested(format.clone()), format.name());
            let (report, sink) = scene.import(&bytes(&document));
            assert_eq!(report.counts, counts(2, 1, 0, 0, 1), "{label} {name}: {:?}", sink.findings);
            let refused = encoding.decode(&sink.refused).0.into_owned();
            assert!(refused.contains(text), "{label} {name}: {refused}");
            let mut mended = Vec::new();
            crate::document::encoding::mark(encoding, &mut mended);
            let text_of = refused.replace("|x|", "|2|").replace(">x<", ">2<").replace("\"x\"", "2").replace("UTF-16LE", "UTF-16");
            mended.extend(bytes(&text_of));
            let (report, sink) = scene.import(&mended);
            assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{label} {name}: {:?} {refused}", sink.findings);
            assert!(scene.rows().iter().all(|row| row.split('|').nth(1) == Some(text)), "{label} {name}: {:?}", scene.rows());
        }
    }
}

#[test]
fn refused_rows_come_back_in_characters_that_an_encoding_only_reads() {
    for (label, name) in [
        ("big5", &b"\xfbH\xfd\x6f\xa8\xb8"[..]),
        ("gbk", b"\x819\xef0\xa8\xa6"),
        ("euc-jp", b"\x8f\xb0\xa1\xc6\xfc"),
        ("shift_jis", b"\xf0\x40\x93\xfa"),
        ("iso-2022-jp", b"\x1B(I12\x1B(B"),
    ] {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        let text = encoding.decode_without_bom_handling_and_without_replacement(name).unwrap().into_owned();
        let column = |name: &str, start, length| FixedColumn { name: name.into(), start, length, pad: ' ', right: false };
        let columns = vec![column("Group", 1, 1), column("Name", 2, 3), column("Amount", 5, 1), column("Above", 6, 1)];
        let xml = |before: &[u8], behind: &[u8]| {
            let declared = format!("<?xml version=\"1.0\" encoding=\"{label}\"?><D><G><Group>2</Group><Amount>x</Amount><Name>");
            [declared.as_bytes(), before, name, behind, b"</Name></G></D>"].concat()
        };
        let blanks = " ".repeat(3 - text.chars().count());
        for (format, document) in [
            (Format::Csv(CsvFormat { encoding, ..CsvFormat::default() }), [b"Group,Name,Amount,Above\n2,", name, b",x,\n"].concat()),
            (Format::Fixed(FixedFormat { encoding, columns, ..FixedFormat::default() }), [b"2", name, blanks.as_bytes(), b"x\n"].concat()),
            (Format::Xml(XmlFormat::default()), xml(b"", b"")),
            (Format::Xml(XmlFormat::default()), xml(b"<!-- ", &[b"--><![CDATA[", name, b"]]>"].concat())),
            (
                Format::Json(JsonFormat { encoding, ..JsonFormat::default() }),
                [b"[{\"Group\":2,\"Amount\":\"x\",\"Name\":\"", name, b"\"}]"].concat(),
            ),
        ] {
            let scene = nested(format.clone());
            let (report, first) = scene.import(&document);
            assert_eq!(report.counts.refused, 1, "{label} {}: {:?}", format.name(), first.findings);
            let mut mended = first.refused.clone();
            // The first x that stands alone is the amount, where the reasons stand behind it.
            let alone = |three: &[u8]| three[1] == b'x' && ![three[0], three[2]].iter().any(u8::is_ascii_alphabetic);
            let xml = matches!(format, Format::Xml(_));
            let at = mended.windows(3).position(|three| if xml { three == b">x<" } else { alone(three) }).unwrap();
            mended[at + 1] = b'7';
            let (report, sink) = scene.import(&mended);
            assert_eq!(report.counts.inserted, 1, "{label} {}: {:?}", format.name(), sink.findings);
            assert_eq!(scene.rows(), [format!("2|{text}|7.00")], "{label} {}", format.name());
        }
    }
}

#[test]
fn refused_rows_of_fixed_width_in_bytes_come_back_and_mended_complete_the_load() {
    let encoding = encoding_rs::SHIFT_JIS;
    let column = |name: &str, start, length| FixedColumn { name: name.into(), start, length, pad: ' ', right: false };
    let columns = vec![column("Group", 1, 2), column("Name", 3, 6), column("Amount", 9, 3), column("Above", 12, 2)];
    let yamada = "\u{5c71}\u{7530}";
    for (record_length, end) in [(None, "\r\n"), (Some(13), "\n"), (Some(13), "")] {
        let format = FixedFormat { unit: Unit::Bytes, columns: columns.clone(), encoding, record_length, ..FixedFormat::default() };
        let scene = nested(Format::Fixed(format));
        let rows = [
            format!("1 {yamada}  1    {end}"),
            format!("2 {yamada}  x    {end}"),
            format!("3 abcdef3    {end}"),
            format!("4 {yamada}{yamada}4  {end}"),
        ];
        let bytes = |text: &str| {
            let mut out = Vec::new();
            crate::document::encoding::encode(text, encoding, &mut out).unwrap();
            out
        };
        let (report, mut first) = scene.import(&bytes(&rows.concat()));
        assert_eq!(report.counts, counts(4, 2, 0, 0, 2), "{end:?}: {:?}", first.findings);
        for _ in 0..2 {
            let (report, again) = scene.import(&first.refused);
            assert_eq!(report.counts, counts(2, 0, 0, 0, 2), "{end:?}: {:?}", again.findings);
            assert_eq!(again.refused.len(), first.refused.len(), "{end:?}");
            first = again;
        }
        let refused = encoding.decode(&first.refused).0.into_owned();
        let mended = refused
            .replace(&format!("{yamada}  x"), &format!("{yamada}  2"))
            .replace(&format!("{yamada}{yamada}4  "), &format!("{yamada}  4    "));
        let (report, last) = scene.import(&bytes(&mended));
        assert_eq!(report.counts, counts(2, 2, 0, 0, 0), "{end:?}: {:?} {mended}", last.findings);
        let name = |row: &str| row.split('|').nth(1).unwrap().to_owned();
        assert_eq!(scene.rows().iter().map(|row| name(row)).collect::<Vec<_>>(), [yamada, yamada, "abcdef", yamada], "{mended}");
    }
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_row_and_never_replaced() {
    for (label, bad) in [("utf-8", &b"\xC3("[..]), ("shift_jis", b"\x81 "), ("big5", b"\xA4 "), ("euc-kr", b"\xB0 "), ("gbk", b"\xFF")] {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        let scene = nested(Format::Csv(CsvFormat { encoding, ..CsvFormat::default() }));
        let document = [b"Group,Name,Amount,Above\n1,a,1,\n2,", bad, b",2,\n3,c,3,\n"].concat();
        let (report, sink) = scene.import(&document);
        assert_eq!(report.counts, counts(3, 2, 0, 0, 1), "{label}: {:?}", sink.findings);
        assert_eq!((sink.findings[0].rule, sink.findings[0].line, sink.findings[0].row), (Rule::Encoding, 3, 2), "{label}");
        assert!(sink.findings[0].message.ends_with("from its character 3 on"), "{label}: {}", sink.findings[0].message);
        assert_eq!((sink.findings[0].column.as_str(), sink.findings[0].line), ("Name", 3), "{label}");
        assert_eq!(scene.rows(), ["1|a|1.00", "3|c|3.00"], "{label}");
    }
    let (_, sink) = scene(CsvFormat::default()).import(b"Group,Name,Amount,Above\n1,\"a\nb\",1,\"x\n\xFF\"\n");
    assert_eq!((sink.findings[0].column.as_str(), sink.findings[0].line), ("Above", 4));
    let (_, sink) = nested(Format::Json(JsonFormat::default())).import(b"[{\"Group\":\"1\",\n\"Name\":\"\xFF\"}]");
    assert_eq!((sink.findings[0].column.as_str(), sink.findings[0].line), ("Name", 2));
}

#[test]
fn utf8_where_the_format_names_single_bytes_is_refused_wherever_it_begins() {
    let (header, rows) = ("Group,Name,Amount,Above\n", (0..9000).map(|n| format!("{n},plain,1,\n")).collect::<String>());
    let csv = |label: &str| {
        let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap();
        (scene(CsvFormat { encoding, ..CsvFormat::default() }), move |text: &str| encoding.encode(text).0.into_owned())
    };
    for (label, name) in [
        ("windows-1252", "M\u{fc}ller"),
        ("windows-1252", "\u{43c}\u{438}\u{440} \u{434}\u{440}\u{443}\u{436}\u{431}\u{430}"),
        ("iso-8859-2", "\u{141}\u{f3}d\u{17a}"),
    ] {
        let (scene, _) = csv(label);
        for (document, line) in [(format!("{header}{rows}x,{name},1,\n"), 9002), (format!("{header}x,{name},1,\n{rows}"), 2)] {
            let (report, sink) = scene.import(document.as_bytes());
            assert!(report.document_refused && sink.findings.len() == 1, "{name}: {:?}", sink.findings);
            let finding = &sink.findings[0];
            assert!(finding.line == line && finding.message.starts_with("the document is in UTF-8, and the format says"), "{finding:?}");
            assert_eq!(report.counts, RowCounts::default(), "{name}");
        }
    }
    // What is UTF-8 by accident alone is loaded as the format says, with a note; one character more that is none, and nothing is doubted.
    for (label, name, more, notes) in [
        ("windows-1252", "NESCAF\u{c9}\u{ae}", "", 1),
        ("windows-1252", "NESCAF\u{c9}\u{ae}", "M\u{fc}ller", 0),
        ("windows-1252", "L\u{c3}\u{a0}b", "ma\u{e7}\u{e3}", 0),
        ("windows-1250", "SP\u{d3}\u{141}KA", "", 1),
        ("windows-1251", "\u{41c}\u{438}\u{440}", "", 0),
    ] {
        let (scene, encoded) = csv(label);
        let (report, sink) = scene.import(&encoded(&format!("{header}a,{name},1,\n{rows}b,{more},1,\n")));
        assert_eq!((report.counts.inserted, report.notes), (9002, notes), "{name}: {:?}", sink.findings);
        assert!(scene.rows().contains(&format!("a|{name}|1.00")), "{name}");
        if notes > 0 {
            let finding = &sink.findings[0];
            assert!(finding.message.starts_with("the document may be in UTF-8: then line 2 has"), "{finding:?}");
        }
    }
    for (declaration, said) in
        [("", "the format says windows-1252"), ("<?xml version='1.0' encoding='iso-8859-2'?>", "its declaration says ISO-8859-2")]
    {
        let scene = nested(Format::Xml(XmlFormat { encoding: encoding_rs::WINDOWS_1252, ..XmlFormat::default() }));
        let groups: String = (0..2000).map(|n| format!("<G><Group>{n}</Group></G>\n")).collect();
        let (report, sink) =
            scene.import(format!("{declaration}<D>{groups}<G><Group>x</Group><Name>M\u{fc}ller</Name></G></D>").as_bytes());
        assert!(report.document_refused && sink.findings.len() == 1, "{:?}", sink.findings);
        assert!(sink.findings[0].message.ends_with(said) && sink.findings[0].line == 2001, "{:?}", sink.findings);
    }
    // The header that is asked for is not there: why is noted beside it.
    let (mut scene, _) = csv("windows-1252");
    scene.project_entity.mapping[1].source = Source::Column("Pr\u{e9}nom".into());
    let (report, sink) = scene.import(format!("{}{rows}", header.replace("Name", "Pr\u{e9}nom")).as_bytes());
    assert!(report.document_refused && report.notes == 1, "{:?}", sink.findings);
}

#[test]
fn a_document_without_a_byte_is_noted_where_it_may_be_one_without_rows() {
    let fixed = FixedColumn { name: "Group".into(), start: 1, length: 3, pad: ' ', right: false };
    let mut scene = nested(Format::Fixed(FixedFormat { columns: vec![fixed], ..FixedFormat::default() }));
    scene.project_entity.mapping.truncate(1);
    let (report, sink) = scene.import(b"");
    assert_eq!((report.findings, report.notes, report.document_refused), (0, 1, false));
    assert_eq!((sink.findings[0].rule, sink.findings[0].message.as_str()), (Rule::Message, "the document is empty"));
    assert!(super::tests::scene(CsvFormat::default()).import(b"").0.document_refused);
}

fn ods_text(text: &str) -> String {
    format!("<table:table-cell office:value-type=\"string\"><text:p>{text}</text:p></table:table-cell>")
}

/// An OpenDocument with these rows of cells.
fn ods(rows: &[[String; 4]]) -> Vec<u8> {
    ods_of(&ods_content(rows))
}

fn ods_content(rows: &[[String; 4]]) -> String {
    let rows: String = rows.iter().map(|cells| format!("<table:table-row>{}</table:table-row>", cells.concat())).collect();
    let spaces =
        ["office", "table", "text"].map(|name| format!(" xmlns:{name}=\"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0\"")).concat();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document-content{spaces} xmlns:calcext=\"urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0\" office:version=\"1.2\"><office:body><office:spreadsheet><table:table table:name=\"Groups\">{rows}</table:table></office:spreadsheet></office:body></office:document-content>"
    )
}

fn ods_of(content: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let manifest = "<manifest:manifest xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\"/>";
    let mimetype = "application/vnd.oasis.opendocument.spreadsheet";
    for (name, text) in [("mimetype", mimetype), ("META-INF/manifest.xml", manifest), ("content.xml", content)] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn of_attributes_that_are_called_alike_the_one_that_is_written_so_is_meant() {
    let format = Format::Xml(XmlFormat { style: XmlStyle::Attribute, ..XmlFormat::default() });
    for document in [r#"<D><E id="1" na_me="x" NAME="y"/></D>"#, r#"<D><E id="1" NAME="y" na_me="x"/></D>"#] {
        let mut scene = nested(format.clone());
        scene.project_entity.mapping =
            [("id", 0), ("NAME", 1), ("na_me", 3)].map(|(name, at)| Mapping::plain(Source::Column(name.to_owned()), at)).into();
        let mut fields = scene.all[0].fields.clone();
        fields[3].references = None;
        let entity = Arc::new(Entity { fields, ..(*scene.all[0]).clone() });
        (scene.all, scene.project_entity.entity) = (vec![entity.clone()], entity);
        let (report, sink) = scene.import(document.as_bytes());
        assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{document}: {:?}", sink.findings);
        assert_eq!(scene.rows(), ["1|y|x"], "{document}");
    }
}

#[test]
fn what_an_export_writes_for_no_value_empties_the_field_of_who_imports_it() {
    let formats = [
        Format::Csv(CsvFormat::default()),
        Format::Xml(XmlFormat::default()),
        Format::Xml(XmlFormat { style: XmlStyle::Attribute, ..XmlFormat::default() }),
        Format::Json(JsonFormat::default()),
        Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }),
        Format::Excel(ExcelFormat::default()),
    ];
    for format in formats {
        let mut scene = nested(format.clone());
        let names = ["ID", "NAME", "AMOUNT"].into_iter().enumerate();
        scene.project_entity.mapping = names.map(|(at, name)| Mapping::plain(Source::Column(name.to_owned()), at)).collect();
        scene.project_entity.mapping_stated = false;
        for (row, expected) in [([Some("1"), Some("a"), Some("2.50")], "1|a|2.50"), ([Some("1"), None, Some("2.50")], "1|2.50")] {
            let (mut bytes, mut writer) = (Vec::new(), crate::document::write::Writer::new(&format, &scene.all[0], &[0, 1, 2]).unwrap());
            writer.begin(&mut bytes).unwrap();
            writer.record(row, &mut bytes).unwrap();
            writer.end(&mut bytes).unwrap();
            let (report, sink) = scene.import(&bytes);
            assert_eq!((report.counts.refused, scene.rows()), (0, vec![expected.to_owned()]), "{}: {:?}", format.name(), sink.findings);
        }
    }
}

#[test]
fn an_opendocument_that_ends_anywhere_is_damaged_and_is_read_to_an_end() {
    let whole = ods_content(&[["Group", "Name", "Amount", "Above"].map(ods_text), ["1", "a", "1", ""].map(ods_text)]);
    let scene = nested(Format::Excel(ExcelFormat::default()));
    assert_eq!(scene.import(&ods_of(&whole)).0.counts, counts(1, 1, 0, 0, 0));
    for (at, _) in whole.match_indices('>').take_while(|(at, _)| at + 1 < whole.len()) {
        let (report, sink) = scene.import(&ods_of(&whole[..=at]));
        assert!(report.document_refused, "{}: {:?}", &whole[..=at], sink.findings);
    }
}

#[test]
fn an_error_in_an_opendocument_is_a_finding_and_comes_back_as_one_and_a_time_is_that_of_xlsx() {
    let error = |text: &str| {
        format!(
            "<table:table-cell table:formula=\"of:=1/0\" office:value-type=\"string\" office:string-value=\"\" calcext:value-type=\"error\"><text:p>{text}</text:p></table:table-cell>"
        )
    };
    let time = |text: &str| {
        format!("<table:table-cell office:value-type=\"time\" office:time-value=\"{text}\"><text:p>x</text:p></table:table-cell>")
    };
    let row = |key: &str, name: String| [ods_text(key), name, ods_text("1"), ods_text("")];
    let document = ods(&[
        ["Group", "Name", "Amount", "Above"].map(ods_text),
        row("1", error("#DIV/0!")),
        row("2", error("Err:502")),
        row("3", error("#WERT!")),
        row("4", time("PT09H30M00S")),
        row("5", time("PT00H05M30.5S")),
        row("6", time("PT36H00M00S")),
        row("7", ods_text("Err: none")),
    ]);
    let scene = nested(Format::Excel(ExcelFormat::default()));
    let (report, mut sink) = scene.import(&document);
    assert_eq!(report.counts, counts(7, 4, 0, 0, 3), "{:?}", sink.findings);
    assert_eq!(scene.rows(), ["4|09:30:00|1.00", "5|00:05:30.500|1.00", "6|1.5|1.00", "7|Err: none|1.00"]);
    assert_eq!(sink.findings[1].message, "cell B3 holds the error Err:502");
    for _ in 0..2 {
        let (report, again) = scene.import(&sink.refused);
        assert_eq!(report.counts, counts(3, 0, 0, 0, 3), "{:?}", again.findings);
        assert!(again.findings.iter().all(|one| one.message.contains("holds the error")), "{:?}", again.findings);
        sink = again;
    }
}

#[test]
fn a_time_of_no_day_is_that_in_a_workbook_that_counts_from_1904_too() {
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    for (column, name) in ["Group", "Name", "Amount", "Above"].iter().enumerate() {
        sheet.write_string(0, column as u16, *name).unwrap();
    }
    let look = |format: &str| rust_xlsxwriter::Format::new().set_num_format(format);
    sheet.write_string(1, 0, "1").unwrap().write_number_with_format(1, 1, 0.395_833_333_333_333_3, &look("hh:mm")).unwrap();
    sheet.write_string(2, 0, "2").unwrap().write_number_with_format(2, 1, 44_525.0, &look("yyyy-mm-dd")).unwrap();
    let document = packed_again(&workbook.save_to_buffer().unwrap(), |text| text.replace("<workbookPr ", "<workbookPr date1904=\"1\" "));
    let scene = nested(Format::Excel(ExcelFormat::default()));
    assert_eq!(scene.import(&document).0.counts, counts(2, 2, 0, 0, 0));
    assert_eq!(scene.rows(), ["1|09:30:00", "2|2025-11-26"]);
}

#[test]
fn a_workbook_may_be_wide_with_its_header_anywhere_and_of_another_make() {
    let mut scene = nested(Format::Excel(ExcelFormat { header_row: 7, ..ExcelFormat::default() }));
    scene.project_entity.mapping[2].source = Source::Column("Column 399".into());
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write_string(0, 0, "Groups of the year").unwrap();
    for column in 3..400u16 {
        sheet.write_string(6, column, format!("Column {column}")).unwrap();
        sheet.write_number(7, column, f64::from(column)).unwrap();
    }
    for (column, name) in ["Group", "Name", "Above"].iter().enumerate() {
        sheet.write_string(6, column as u16, *name).unwrap();
    }
    sheet.write_string(7, 0, "1").unwrap().write_string(7, 1, "wide").unwrap();
    let (report, sink) = scene.import(&workbook.save_to_buffer().unwrap());
    assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{:?}", sink.findings);
    assert_eq!(scene.rows(), ["1|wide|399.00"]);

    let open = ods(&[
        ["Group", "Name", "Amount", "Above"].map(ods_text),
        ["31001", "\u{e9}", "19.99", ""].map(ods_text),
        ["2", "two", "1,5", ""].map(ods_text),
    ]);
    // Made with xlwt.
    let old = include_bytes!("../../../../tests/workbooks/groups.xls").to_vec();
    for (name, document, trusted) in [("ods", open, false), ("xls", old.clone(), true)] {
        let scene = nested(Format::Excel(ExcelFormat { sheet: Some("Groups".into()), old: trusted, ..ExcelFormat::default() }));
        let (report, sink) = scene.import(&document);
        assert_eq!(report.counts, counts(2, 1, 0, 0, 1), "{name}: {:?}", sink.findings);
        assert_eq!(scene.rows(), ["31001|\u{e9}|19.99"], "{name}");
        assert_eq!((sink.findings[0].column.as_str(), sink.findings[0].value.as_str()), ("Amount", "1,5"), "{name}");
    }
    let (report, sink) = nested(Format::Excel(ExcelFormat::default())).import(&old);
    assert!(report.document_refused && sink.findings[0].hint.contains("old"), "{:?}", sink.findings);
}

#[test]
fn records_in_lines_where_one_value_is_expected_are_told_how_to_be_read() {
    let mut scene = scene(CsvFormat::default());
    scene.project_entity.format = Format::Json(JsonFormat::default());
    for (document, hint) in [
        (&b"{\"Group\":\"1\"}\n{\"Group\":\"2\"}\n"[..], "type = \"jsonl\""),
        (b"[{\"Group\":\"1\"}]\n[{\"Group\":\"2\"}]\n", "type = \"jsonl\""),
        (b"[{\"Group\":\"1\"}] x\n", "correct the document"),
    ] {
        let (report, sink) = scene.import(document);
        let told = sink.findings.iter().any(|finding| finding.hint.contains(hint) && finding.line > 0);
        assert!(report.counts.inserted == 0 && told, "{:?}", sink.findings);
    }
}
