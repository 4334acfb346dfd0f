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
