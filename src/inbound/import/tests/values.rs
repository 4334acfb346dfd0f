//! What values of a document mean before they are read: conditions, spellings of no value, what spreadsheets have ruined.

use super::*;

/// Rule, row, column and field of each finding.
fn told(sink: &Memory) -> Vec<(Rule, u64, &str, &str)> {
    sink.findings.iter().map(|finding| (finding.rule, finding.row, finding.column.as_str(), finding.field.as_str())).collect()
}

/// A sheet of these cells; `=` begins the word of an error, and `0.5` is a number.
pub(super) fn sheet(rows: &[&[&str]]) -> Vec<u8> {
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    for (row, cells) in (0..).zip(rows) {
        for (column, cell) in (0..).zip(*cells) {
            let _ = match (cell.strip_prefix('='), cell.parse::<f64>()) {
                (Some(error), _) => sheet.write_formula(row, column, rust_xlsxwriter::Formula::new("=1/0").set_result(error)),
                (None, Ok(number)) => sheet.write_number(row, column, number),
                (None, Err(_)) => sheet.write_string(row, column, *cell),
            }
            .unwrap();
        }
    }
    workbook.save_to_buffer().unwrap()
}

#[test]
fn what_is_wrong_with_the_column_of_a_condition_is_a_finding_and_told_once() {
    let (csv, json, xml) = (Format::Csv(CsvFormat::default()), Format::Json(JsonFormat::default()), Format::Xml(XmlFormat::default()));
    let excel = Format::Excel(ExcelFormat::default());
    for (format, document, rule) in [
        (&csv, b"Id,Type\n1,#N/A\n2,D\n3,\"#N/A\"\n".to_vec(), Rule::Spreadsheet),
        (&csv, b"Id,Type\n1,1.01E+12\n2,D\n3,C\n".to_vec(), Rule::Spreadsheet),
        (&json, br#"[{"Id":1,"Type":{"code":"D"}},{"Id":2,"Type":"D"},{"Id":3}]"#.to_vec(), Rule::Type),
        (&json, br#"[{"Id":1,"Type":["C","D"]},{"Id":2,"Type":"D"},{"Id":3,"Type":null}]"#.to_vec(), Rule::Type),
        (
            &xml,
            b"<D><R><Id>1</Id><Type>C</Type><Type>D</Type></R><R><Id>2</Id><Type>D</Type></R><R><Id>3</Id></R></D>".to_vec(),
            Rule::Type,
        ),
        (
            &xml,
            b"<D><R><Id>1</Id><Type><Code>D</Code><No>1</No></Type></R><R><Id>2</Id><Type>D</Type></R><R><Id>3</Id></R></D>".to_vec(),
            Rule::Type,
        ),
        (&excel, sheet(&[&["Id", "Type"], &["1", "=#N/A"], &["2", "D"], &["3", "C"]]), Rule::Type),
    ] {
        let mut scene = nested(format.clone());
        let line = |value: &str, field, when| Mapping { when, ..Mapping::plain(Source::Value(value.into()), field) };
        let is_debit = || When::Holds(Source::Column("Type".into()), Test::Equals(vec!["D".into()]));
        scene.project_entity.mapping = vec![
            Mapping::plain(Source::Column("Id".into()), 0),
            line("credit", 1, When::Always),
            line("debit", 1, is_debit()),
            line("7", 2, is_debit()),
        ];
        let (report, sink) = scene.import(&document);
        assert_eq!(report.counts, counts(3, 2, 0, 0, 1), "{format:?}: {:?}", sink.findings);
        assert_eq!(told(&sink), [(rule, 1, "Type", "")], "{:?}", sink.findings);
        assert_eq!(scene.rows(), ["2|debit|7.00", "3|credit"]);
    }
    // What the condition names is meant, and so is a word that is no value.
    for (test, nulls) in [(Test::Equals(vec!["#N/A".into()]), vec![]), (Test::Blank(true), vec!["#N/A".to_owned()])] {
        let mut scene = scene(CsvFormat { nulls, ..CsvFormat::default() });
        let when = When::Holds(Source::Column("Type".into()), test);
        scene.project_entity.mapping.truncate(1);
        scene.project_entity.mapping.push(Mapping { when, ..Mapping::plain(Source::Value("other".into()), 1) });
        let (report, sink) = scene.import(b"Group,Type\n1,#N/A\n");
        assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{:?}", sink.findings);
        assert_eq!(scene.rows(), ["1|other"]);
    }
}

#[test]
fn words_for_no_value_are_none_in_every_format_and_in_delimited_text_only_where_they_are_not_qualified() {
    let nulls = || vec!["-".to_owned(), "NULL".to_owned(), "-1".to_owned(), "#N/A".to_owned()];
    let table: &[&[&str]] = &[
        &["Group", "Name", "Amount", "Above"],
        &["1", "-", "-", ""],
        &["2", "NULL", "-1", ""],
        &["3", "=#N/A", "=#N/A", ""],
        &["4", "a-b", "5", ""],
        &["5", "=#REF!", "1", ""],
    ];
    let expected = ["1", "2", "3", "4|a-b|5.00"];
    let (report, rows) = {
        let scene = nested(Format::Excel(ExcelFormat { nulls: nulls(), ..ExcelFormat::default() }));
        let (report, sink) = scene.import(&sheet(table));
        assert_eq!(told(&sink), [(Rule::Type, 5, "Name", "NAME")], "{:?}", sink.findings);
        (report, scene.rows())
    };
    assert_eq!((report.counts, rows), (counts(5, 4, 0, 0, 1), expected.map(str::to_owned).to_vec()));
    let object = |group: &str, name: &str, amount: &str| format!(r#"{{"Group":"{group}","Name":{name},"Amount":{amount},"Above":null}}"#);
    let rows = [object("1", "\"-\"", "\"-\""), object("2", "\"NULL\"", "-1"), object("3", "\"#N/A\"", "null"), object("4", "\"a-b\"", "5")];
    for (lines, document) in [(false, format!("[{}]", rows.join(","))), (true, rows.join("\n"))] {
        let scene = nested(Format::Json(JsonFormat { lines, nulls: nulls(), ..JsonFormat::default() }));
        let (report, sink) = scene.import(document.as_bytes());
        assert_eq!(report.counts, counts(4, 4, 0, 0, 0), "{:?}", sink.findings);
        assert_eq!(scene.rows(), expected);
    }
    // Of several values the first may be such a word.
    let scene = nested(Format::Json(JsonFormat { nulls: nulls(), ..JsonFormat::default() }));
    let (report, _) = scene.import(br#"[{"Group":"1","Name":["NULL","x"]}]"#);
    assert_eq!(report.counts, counts(1, 0, 0, 0, 1));
    let scene = super::scene(CsvFormat { nulls: nulls(), ..CsvFormat::default() });
    scene.import(b"Group,Name,Amount,Above\n1,-,-,\n2,NULL,-1,\n3,#N/A,#N/A,\n4,a-b,5,\n5,\"-\",1,\n");
    assert_eq!(scene.rows()[..4], expected);
    assert_eq!(scene.rows()[4], "5|-|1.00");
}

#[test]
fn an_error_of_a_spreadsheet_and_a_ruined_number_are_none_of_all_others() {
    let pairs = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
        vec![Conversion::Values(pairs.collect())]
    };
    let mut scene = scene(CsvFormat::default());
    scene.project_entity.mapping[1].conversions = pairs(&[("30", "Net30"), ("#REF!", "Broken"), ("*", "Cash")]);
    scene.project_entity.mapping[2].conversions = pairs(&[("x", "1"), ("*", "0")]);
    let document = b"Group,Name,Amount,Above\n1,30,x,\n2,#N/A,y,\n3,1.01E+12,y,\n4,#REF!,y,\n5,\"#N/A\",y,\n6,b,#WERT!,\n7,b,4.5E+11,\n";
    let (report, sink) = scene.import(document);
    assert_eq!(report.counts, counts(7, 3, 0, 0, 4), "{:?}", sink.findings);
    let ruined = |row, column, field| (Rule::Spreadsheet, row, column, field);
    let expected = [ruined(2, "Name", "NAME"), ruined(3, "Name", "NAME"), ruined(6, "Amount", "AMOUNT"), ruined(7, "Amount", "AMOUNT")];
    assert_eq!(told(&sink), expected);
    assert_eq!(scene.rows(), ["1|Net30|1.00", "4|Broken|0.00", "5|Cash|0.00"]);
    scene.project_entity.mapping[1].keep_exponent = true;
    scene.import(b"Group,Name,Amount,Above\n3,1.01E+12,y,\n");
    assert_eq!(scene.rows()[1], "3|Cash|0.00");
}

#[test]
fn what_lacks_or_is_a_word_for_no_value_is_blank_to_a_pair_for_blank() {
    let mut scene = scene(CsvFormat { ragged: true, nulls: vec!["-".into()], ..CsvFormat::default() });
    let pairs = [("x", "Yes"), ("", "No")].map(|(from, to)| (from.to_owned(), to.to_owned()));
    scene.project_entity.mapping.truncate(3);
    scene.project_entity.mapping.swap(1, 2);
    scene.project_entity.mapping[2].conversions = vec![Conversion::Values(pairs.to_vec())];
    let (report, sink) = scene.import(b"Group,Amount,Name\na,1,\nb,2\nc,bad\nd,4,x\ne,3,-\n");
    assert_eq!(report.counts, counts(5, 4, 0, 0, 1), "{:?}", sink.findings);
    assert_eq!(scene.rows(), ["a|No|1.00", "b|No|2.00", "d|Yes|4.00", "e|No|3.00"]);
    let mended = String::from_utf8(sink.refused).unwrap().replace("bad", "5");
    assert_eq!(scene.import(mended.as_bytes()).0.counts, counts(1, 1, 0, 0, 0), "{mended}");
    assert_eq!(scene.rows()[2], "c|No|5.00");
}
