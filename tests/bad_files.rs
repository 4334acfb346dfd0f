//! Small documents of our own with one fault each: the finding names the right line, row, column and rule, and what comes back, mended where
//! `expected.tsv` says, completes the load.
//!
//! To add one: put the file into the folder of its format and a line into `expected.tsv`. `find` and `replace` mend the file of refused rows; without
//! them the document is refused as a whole. `\n` and `\t` stand for line end and tab. A workbook is written as text: [`workbook`] says how.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use calamine::{Data, Reader as _};
use entrepot::config::parse;
use entrepot::inbound::import::{self, Import, ImportError, Report, Sink};
use entrepot::model::execution::RowCounts;
use entrepot::model::finding::Finding;
use entrepot::model::project::ProjectEntity;
use entrepot::model::time::Timestamp;
use entrepot::store::entities::Writing;

const ROWS: &str = r#"
[[entity]]
name = "Bases"
table = "bases"
key = ["ID"]
fields = [{ name = "ID", type = "string" }]

[[entity]]
name = "Rows"
table = "rows"
key = ["ID"]
checks = [{ rule = "UNTIL >= DAY", message = "it ends before it begins" }]
fields = [
  { name = "ID", type = "string", length = 10, required = true },
  { name = "NAME", type = "string", length = 20 },
  { name = "AMOUNT", type = "decimal", precision = 10, scale = 2, minimum = 0, maximum = 1000 },
  { name = "QTY", type = "integer" },
  { name = "DAY", type = "date" },
  { name = "UNTIL", type = "date" },
  { name = "AT", type = "datetime" },
  { name = "OPEN", type = "boolean" },
  { name = "KIND", type = "enum", values = { Red = 0, Green = 1 } },
  { name = "GUID", type = "guid" },
  { name = "CODE", type = "string", pattern = "[A-Z]{2}[0-9]+" },
  { name = "BASE", type = "string", references = "Bases" },
  { name = "EMAIL", type = "string", unique = true },
  { name = "RECEIPT", type = "string" },
  { name = "STATE", type = "string" },
]

[[project]]
name = "Bases in"
direction = "import"
[[project.entity]]
entity = "Bases"
"#;

const COLUMNS: [(&str, u32); 15] = [
    ("ID", 10),
    ("NAME", 20),
    ("AMOUNT", 12),
    ("QTY", 22),
    ("DAY", 12),
    ("UNTIL", 12),
    ("AT", 22),
    ("OPEN", 6),
    ("KIND", 10),
    ("GUID", 40),
    ("CODE", 8),
    ("BASE", 10),
    ("EMAIL", 20),
    ("RECEIPT", 14),
    ("STATE", 8),
];

/// A project for each folder.
fn projects() -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, length)| format!("{{ name = \"{name}\", length = {length} }}")).collect();
    let fixed = format!("type = \"fixed\", columns = [{}]", columns.join(", "));
    let formats = [
        ("comma", "type = \"csv\""),
        ("semicolon_latin", "type = \"csv\", delimiter = \";\", encoding = \"windows-1252\""),
        ("tab_utf16", "type = \"csv\", delimiter = \"\\t\", encoding = \"utf-16le\""),
        ("fixed", &fixed),
        ("xml_element", "type = \"xml-element\""),
        ("xml_attribute", "type = \"xml-attribute\""),
        ("json", "type = \"json\""),
        ("jsonl", "type = \"jsonl\""),
        ("workbook", "type = \"excel\""),
    ];
    let lines: Vec<String> = COLUMNS
        .iter()
        .map(|(name, _)| {
            let values = if *name == "STATE" { ", values = { a = \"active\", b = \"blocked\" }" } else { "" };
            format!("{{ source = \"{name}\", field = \"{name}\"{values} }}")
        })
        .collect();
    let project = |(name, format): &(&str, &str)| {
        format!(
            "[[project]]\nname = \"{name}\"\ndirection = \"import\"\n[[project.entity]]\nentity = \"Rows\"\nformat = {{ {format} }}\nmapping = [{}]\n",
            lines.join(", ")
        )
    };
    formats.iter().map(project).collect()
}

/// A workbook, with one sheet of that name, of lines of cells with tabs between: `=2.5` is a number, `@2026-01-02` and `@2026-01-02T10:00:00` are moments, `!#N/A` is an error.
pub fn workbook(sheet: &str, text: &str) -> Vec<u8> {
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet().set_name(sheet).unwrap();
    let moment = rust_xlsxwriter::Format::new().set_num_format("yyyy-mm-dd hh:mm");
    for (row, line) in text.lines().enumerate() {
        for (column, cell) in line.split('\t').enumerate() {
            let (row, column) = (row.try_into().unwrap(), column.try_into().unwrap());
            match cell.as_bytes().first() {
                None => continue,
                Some(b'=') => sheet.write(row, column, cell[1..].parse::<f64>().unwrap_or_else(|error| panic!("{cell}: {error}"))),
                Some(b'@') => {
                    sheet.write_with_format(row, column, rust_xlsxwriter::ExcelDateTime::parse_from_str(&cell[1..]).unwrap(), &moment)
                }
                Some(b'!') => sheet.write(row, column, rust_xlsxwriter::Formula::new("=NA()").set_result(&cell[1..])),
                Some(_) => sheet.write(row, column, cell),
            }
            .unwrap();
        }
    }
    workbook.save_to_buffer().unwrap()
}

/// What [`workbook`] makes such a workbook of.
fn cells_of(bytes: &[u8]) -> String {
    let mut workbook: calamine::Xlsx<_> = calamine::open_workbook_from_rs(std::io::Cursor::new(bytes)).unwrap();
    let sheet = workbook.worksheet_range_at(0).unwrap().unwrap();
    let cell = |cell: &Data| match cell {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        Data::DateTime(moment) => {
            let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
            format!("@{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
        }
        Data::Error(error) => format!("!{error}"),
        number => format!("={number}"),
    };
    sheet.rows().map(|row| row.iter().map(cell).collect::<Vec<_>>().join("\t") + "\n").collect()
}

#[derive(Default)]
struct Memory {
    findings: Vec<Finding>,
    refused: Vec<u8>,
}

impl Sink for Memory {
    fn finding(&mut self, finding: Finding) -> Result<(), ImportError> {
        self.findings.push(finding);
        Ok(())
    }

    fn refused_rows(&mut self) -> Result<Box<dyn Write + '_>, ImportError> {
        Ok(Box::new(&mut self.refused))
    }

    fn before_commit(&mut self, _: &RowCounts, _: u64) -> Result<(), ImportError> {
        Ok(())
    }
}

#[test]
fn each_fault_is_found_in_its_place_and_the_mended_rows_complete_the_load() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bad_files"));
    let checked = parse::parse(&format!("{ROWS}{}", projects()), &folder, None).unwrap_or_else(|problems| panic!("{problems}"));
    let config = checked.config;
    let run = |database: &Writing<'_>, project_entity: &ProjectEntity, document: &[u8]| -> (Report, Memory) {
        let import = Import {
            project_entity,
            entities: &config.entities,
            database,
            company: None,
            message: "m",
            execution: "e",
            now: Timestamp::default(),
            stop: &AtomicBool::new(false),
        };
        let mut memory = Memory::default();
        let report = database.keep(|_| import::run(&import, document, &mut memory)).unwrap();
        (report, memory)
    };
    let of = |name: &str| &config.projects.iter().find(|project| project.name == name).unwrap().entities[0];
    let expected = std::fs::read_to_string(folder.join("expected.tsv")).unwrap();
    let (mut count, mut complaints) = (0, Vec::new());
    for line in expected.lines().skip(1) {
        let parts: Vec<&str> = line.split('\t').collect();
        let [format, file, line, row, column, rule, find, replace] = parts[..] else { panic!("{line}") };
        let name = format!("{format}/{file}");
        let mut document = std::fs::read(folder.join(&name)).unwrap();
        if format == "workbook" {
            document = workbook("Rows", std::str::from_utf8(&document).unwrap());
        }
        let database = Writing::scratch(&config.entities).unwrap();
        run(&database, of("Bases in"), b"ID\nB1\n");
        let (report, memory) = run(&database, of(format), &document);
        count += 1;
        let Some(finding) = memory.findings.first() else {
            complaints.push(format!("{name}: no finding"));
            continue;
        };
        let found = (finding.line.to_string(), finding.row.to_string(), finding.column.as_str(), finding.rule.name());
        if found != (line.into(), row.into(), column, rule) || finding.message.is_empty() || finding.hint.is_empty() {
            complaints.push(format!("{name}: expected {:?}, found {finding:?}", (line, row, column, rule)));
            continue;
        }
        if find.is_empty() {
            // The document as a whole, or a record that has nothing to mend in it.
            assert!(report.document_refused || report.counts.refused == 1, "{name}: {report:?}");
            continue;
        }
        assert_eq!((memory.findings.len(), report.counts.refused), (1, 1), "{name}: {:?}", memory.findings);
        let encoding = of(format).format.encoding();
        let text = match format {
            "workbook" => cells_of(&memory.refused),
            _ => encoding.decode(&memory.refused).0.into_owned(),
        };
        let (find, replace) = (find.replace("\\n", "\n").replace("\\t", "\t"), replace.replace("\\n", "\n").replace("\\t", "\t"));
        if !text.contains(&find) {
            complaints.push(format!("{name}: {find:?} is not in what came back: {text}"));
            continue;
        }
        let mended = text.replacen(&find, &replace, 1);
        let mended = match format {
            "workbook" => workbook("Rows", &mended),
            "tab_utf16" => [0xFEFF].into_iter().chain(mended.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
            _ => encoding.encode(&mended).0.into_owned(),
        };
        let (report, memory) = run(&database, of(format), &mended);
        if !memory.findings.is_empty() || report.counts.inserted != 1 {
            complaints.push(format!("{name}: mended, {report:?} {:?}\n{text}", memory.findings));
        }
        // All three are in, and sent again as it was meant they are unchanged.
        assert!(report.counts.add_up());
    }
    assert!(count >= 200, "{count}");
    assert!(complaints.is_empty(), "{} of {count}:\n{}", complaints.len(), complaints.join("\n"));
}
