//! How values are written: what documents, workbooks and the configuration say is what is kept, or is refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use rust_xlsxwriter::{ExcelDateTime, Format, Workbook, Worksheet};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_entrepot");

fn run(dir: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(BINARY).args(arguments).current_dir(dir).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

/// A configuration of one entity with these fields beside its key, and one project entity with these keys.
fn configuration(direction: &str, fields: &str, keys: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "[server]\ndata_dir = \"data\"\n[[entity]]\nname = \"Rows\"\ntable = \"rows\"\nkey = [\"ID\"]\nfields = [{{ name = \"ID\", type = \"integer\" }}, {fields}]\n[[project]]\nname = \"Rows\"\ndirection = \"{direction}\"\n[[project.entity]]\nentity = \"Rows\"\n{keys}\n"
    );
    std::fs::write(dir.path().join("entrepot.toml"), text).unwrap();
    dir
}

/// What becomes of a field in each row of a document, whose IDs count from 1: its value, or the code of its finding. And all hints.
fn tried(fields: &str, keys: &str, document: &[u8]) -> (Vec<String>, String) {
    let dir = configuration("import", fields, keys);
    std::fs::write(dir.path().join("document"), document).unwrap();
    let (_, out) = run(dir.path(), &["try", "Rows", "document", "--json", "--rows", "50"]);
    let answer: Value =
        serde_json::Deserializer::from_str(&out).into_iter().next().unwrap().unwrap_or_else(|error| panic!("{error}: {out}"));
    let (mut all, mut hints) = (BTreeMap::new(), String::new());
    for row in answer["rows"].as_array().unwrap() {
        let id: u64 = row["values"]["ID"].as_str().unwrap().parse().unwrap();
        all.insert(id, row["values"]["V"].as_str().unwrap_or("nothing").to_owned());
    }
    for finding in answer["findings"].as_array().unwrap() {
        all.insert(finding["row"].as_u64().unwrap(), finding["code"].as_str().unwrap().to_owned());
        hints.push_str(finding["hint"].as_str().unwrap());
        hints.push('\n');
    }
    (all.into_values().collect(), hints)
}

/// What `entrepot check` says.
fn checked(direction: &str, fields: &str, keys: &str) -> String {
    run(configuration(direction, fields, keys).path(), &["check"]).1
}

const DECIMAL: &str = "{ name = \"V\", type = \"decimal\", scale = 3 }";
const COMMA: &str = "decimal_separator = \",\", thousands_separator = \".\"";

/// A workbook of IDs from 1 and what is written beside each.
fn workbook(count: u32, write: impl Fn(&mut Worksheet, u32)) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write_string(0, 0, "ID").unwrap();
    sheet.write_string(0, 1, "V").unwrap();
    for row in 1..=count {
        sheet.write_number(row, 0, f64::from(row)).unwrap();
        write(sheet, row);
    }
    workbook.save_to_buffer().unwrap()
}

#[test]
fn numbers_that_a_workbook_or_json_keeps_as_numbers_have_no_separators_of_the_format() {
    let numbers = [12.345, -0.125, 1.25, 1000.0];
    let bytes = workbook(5, |sheet, row| {
        match numbers.get(row as usize - 1) {
            Some(number) => sheet.write_number(row, 1, *number),
            None => sheet.write_string(row, 1, "1.234,5"),
        }
        .unwrap();
    });
    let excel = format!("format = {{ type = \"excel\", {COMMA} }}");
    assert_eq!(tried(DECIMAL, &excel, &bytes).0, ["12.345", "-0.125", "1.250", "1000.000", "1234.500"]);
    let document = br#"[{"ID":1,"V":12.345},{"ID":2,"V":"12.345"},{"ID":3,"V":1.0E3},{"ID":4,"V":1e-3},{"ID":5,"V":1e-4}]"#;
    let json = format!("format = {{ type = \"json\", {COMMA} }}");
    assert_eq!(tried(DECIMAL, &json, document).0, ["12.345", "12345.000", "1000.000", "0.001", "ENT204"]);
    let whole = br#"[{"ID":1.0,"V":1.0},{"ID":2,"V":5.00},{"ID":3,"V":1e2},{"ID":4,"V":1.5},{"ID":5,"V":"1.0"}]"#;
    let integer = "{ name = \"V\", type = \"integer\" }";
    assert_eq!(tried(integer, "format = { type = \"json\" }", whole).0, ["1", "5", "100", "ENT202", "ENT202"]);
}

#[test]
fn numbers_of_the_configuration_have_no_separators_of_the_format() {
    let keys = |line: &str| format!("format = {{ type = \"csv\", {COMMA} }}\nmapping = [{{ source = \"ID\", field = \"ID\" }}, {line}]");
    let read = |line: &str| tried(DECIMAL, &keys(line), b"ID,V\n1,\"0,5\"\n").0;
    assert_eq!(read("{ value = \"0.125\", field = \"V\" }"), ["0.125"]);
    assert_eq!(read("{ source = \"V\", field = \"V\", values = { \"*\" = \"1.250\" } }"), ["1.250"]);
    assert_eq!(read("{ source = \"V\", field = \"V\", values = { \"x\" = \"1.250\", \"*\" = \"*\" } }"), ["0.500"]);
    let wrong = checked("import", DECIMAL, &keys("{ value = \"0,125\", field = \"V\" }"));
    assert!(wrong.contains("\"0,125\" for \"V\": expected a decimal number with \".\""), "{wrong}");
}

#[test]
fn dates_that_a_workbook_keeps_are_no_texts_and_a_time_has_no_day() {
    let day = Format::new().set_num_format("yyyy-mm-dd");
    let bytes = workbook(3, |sheet, row| {
        match row {
            1 => sheet.write_datetime_with_format(row, 1, ExcelDateTime::from_ymd(2024, 1, 2).unwrap(), &day),
            2 => sheet.write_string(row, 1, "2024-01-02"),
            _ => sheet.write_number_with_format(row, 1, 0.25, &day),
        }
        .unwrap();
    });
    let keys = "format = { type = \"excel\" }\nmapping = [{ source = \"ID\", field = \"ID\" }, { source = \"V\", field = \"V\", date_formats = [\"%Y-%d-%m\"] }]";
    assert_eq!(tried("{ name = \"V\", type = \"date\" }", keys, &bytes).0, ["2024-01-02", "2024-02-01", "ENT202"]);
    let text = tried("{ name = \"V\", type = \"string\" }", "format = { type = \"excel\" }", &bytes).0;
    assert_eq!(text, ["2024-01-02", "2024-01-02", "06:00:00"]);
}

#[test]
fn whole_numbers_of_a_workbook_are_exact_or_told() {
    let numbers = [4_111_111_111_111_111.0, 9_007_199_254_740_991.0, 9_007_199_254_740_993.0];
    let bytes = workbook(3, |sheet, row| {
        sheet.write_number(row, 1, numbers[row as usize - 1]).unwrap();
    });
    let excel = "format = { type = \"excel\" }";
    for (field, lost) in [("string", "ENT208"), ("integer", "ENT208"), ("decimal", "ENT208")] {
        let (values, hints) = tried(&format!("{{ name = \"V\", type = \"{field}\" }}"), excel, &bytes);
        let point = if field == "decimal" { ".00" } else { "" };
        assert_eq!(values, [format!("4111111111111111{point}"), format!("9007199254740991{point}"), lost.into()], "{field}");
        assert!(hints.contains("make the column text in the spreadsheet"), "{hints}");
    }
}

#[test]
fn check_refuses_what_no_value_could_satisfy() {
    let line = |line: &str| format!("mapping = [{{ source = \"ID\", field = \"ID\" }}, {{ field = \"V\", {line} }}]");
    let date = "{ name = \"V\", type = \"datetime\" }";
    for (fields, keys, part) in [
        (date, line("source = \"V\", date_formats = [\"dd.MM.yyyy\"]"), "write \"%d.%m.%Y\""),
        (date, line("source = \"V\", date_formats = [\"%d.%m.%Y %I:%M\"]"), "%I"),
        (date, line("source = \"V\", date_formats = [\"%d.%m.%Y %H:%M %Z\"]"), "time_zone"),
        (date, line("source = \"V\", date_formats = [\"%d/%m/%Y\", \"%m/%d/%Y\"]"), "both read 03/04/2026"),
        ("{ name = \"V\", type = \"integer\", minimum = 5, maximum = 3 }", line("source = \"V\""), "more than the maximum"),
        (DECIMAL, line("value = \"abc\""), "\"abc\" for \"V\""),
        (DECIMAL, line("source = \"V\", values = { a = \"1\", b = \"x\" }"), "\"x\" for \"V\""),
        (DECIMAL, line("source = \"V\", upper = true, lower = true"), "take one of upper and lower out"),
        (
            DECIMAL,
            format!("format = {{ type = \"csv\", {COMMA} }}\n{}", line("concatenate = [\"V\", \"ID\"], with = \".\"")),
            "separates thousands",
        ),
        ("{ name = \"V\", type = \"integer\" }", line("number_sequence = \"CG-#####\""), "\"CG-00001\", the first number, for \"V\""),
        ("{ name = \"V\", type = \"string\", length = 4 }", line("number_sequence = \"#####\""), "5 characters, at most 4 fit"),
        ("{ name = \"V\", type = \"integer\", minimum = 5 }", line("number_sequence = \"#\""), "less than the minimum 5"),
        ("{ name = \"V\", type = \"boolean\" }", line("number_sequence = \"#\""), "numbers are for a string"),
        ("{ name = \"V\", type = \"enum\", values = { A = 1, B = 1 } }", line("source = \"V\""), "\"A\" and \"B\" cannot be told apart"),
        ("{ name = \"V\", type = \"enum\", values = { A = 1, a = 2 } }", line("source = \"V\""), "\"A\" and \"a\" cannot be told apart"),
        (DECIMAL, "format = { escape = \"\\\\\", qualifier = \"\" }".into(), "without a qualifier"),
        (DECIMAL, "format = { delimiter = '\"' }".into(), "the qualifier"),
    ] {
        let said = checked("import", fields, &keys);
        assert!(said.contains(part), "{keys}: {said}");
    }
    let sound = "source = \"V\", date_formats = [\"%d/%b/%Y:%H:%M:%S %z\", \"%m/%d/%Y %H:%M\", \"%s\", \"excel\"]";
    let said = checked("import", date, &line(sound));
    assert!(!said.contains("date_formats"), "{said}");
    let said = checked("export", DECIMAL, "format = { skip_first = 2 }");
    assert!(said.contains("an export writes nothing that is passed over"), "{said}");
    for (fields, filter, part) in [
        ("{ name = \"V\", type = \"integer\" }", "starts_with = \"1\"", "a number has no beginning"),
        ("{ name = \"V\", type = \"integer\" }", "equals = \"x\"", "hint: write a whole number"),
        ("{ name = \"V\", type = \"enum\", values = { A = 1 } }", "in = [\"B\"]", "\"B\" for \"V\": not one of A\n  hint: write one of A"),
    ] {
        let said = checked("export", fields, &format!("filter = [{{ field = \"V\", {filter} }}]"));
        assert!(said.contains(part) && !said.contains("exactly one of"), "{said}");
    }
    let column = |pad: &str| format!("format = {{ type = \"fixed\", columns = [{{ name = \"V\", length = 6, pad = \"{pad}\" }}] }}");
    for (fields, pad, warned) in
        [("{ name = \"V\", type = \"string\" }", "0", true), ("{ name = \"V\", type = \"string\" }", " ", false), (DECIMAL, "0", false)]
    {
        let said = checked("export", fields, &column(pad));
        assert_eq!(said.contains("\"0\" at its start is taken for padding"), warned, "{said}");
    }
    let left = column("0\", align = \"left");
    assert!(checked("export", DECIMAL, &left).contains("would be digits of it"), "{left}");
    let said = checked("export", DECIMAL, "format = { type = \"xml-element\", record = \"//Order\" }");
    assert!(said.contains("not be written"), "{said}");
}

#[test]
fn infer_says_what_loads() {
    let dir = configuration("import", DECIMAL, "");
    std::fs::write(dir.path().join("days.csv"), "ID,DAY\n1,29.02.2024\n2,01.03.24\n").unwrap();
    let (_, out) = run(dir.path(), &["infer", "days.csv"]);
    assert!(!out.contains("%d.%m.%Y"), "{out}");
}
