mod load;

use proptest::prelude::*;

mod refused;

use super::*;
use crate::config::Database;
use crate::model::entity::{Field, FieldKind};
use crate::model::format::{CsvFormat, ExcelFormat, FixedColumn, FixedFormat, JsonFormat, XmlFormat, XmlStyle};
use crate::model::mapping::{Conversion, LookUp, Mapping, Source, Test, When};
use crate::model::project::WriteMode;
use crate::store::entities::Entities;

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

fn field(name: &str, kind: FieldKind) -> Field {
    Field { name: name.into(), kind, ..Field::default() }
}

struct Scene {
    _dir: tempfile::TempDir,
    entities: Entities,
    all: Vec<Arc<Entity>>,
    project_entity: ProjectEntity,
    loads: std::cell::Cell<u32>,
}

/// Groups with a text key, a name, an amount, and the group above each.
fn scene(format: CsvFormat) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::managed(dir.path());
    let mut fields = vec![
        field("ID", FieldKind::String { length: Some(10) }),
        field("NAME", FieldKind::String { length: Some(20) }),
        field("AMOUNT", FieldKind::Decimal { precision: 10, scale: 2 }),
        field("ABOVE", FieldKind::String { length: None }),
    ];
    fields[3].references = Some("Groups".into());
    let entity = Arc::new(Entity {
        name: "Groups".into(),
        database: "entities".into(),
        table: "groups".into(),
        key: vec![0],
        fields,
        ..Entity::default()
    });
    let mapping = ["Group", "Name", "Amount", "Above"]
        .iter()
        .enumerate()
        .map(|(at, name)| Mapping::plain(Source::Column(name.to_string()), at))
        .collect();
    let project_entity = ProjectEntity { mapping, ..ProjectEntity::new(entity.clone(), Format::Csv(format)) };
    Scene { _dir: dir, entities: Entities::new(&[database]), all: vec![entity], project_entity, loads: 0.into() }
}

impl Scene {
    fn import(&self, document: &[u8]) -> (Report, Memory) {
        self.loads.set(self.loads.get() + 1);
        let database = self.entities.writer("entities", &self.all).unwrap();
        let message = format!("message {}", self.loads.get());
        let import = Import {
            project_entity: &self.project_entity,
            entities: &self.all,
            database: &database,
            company: Some("USMF"),
            message: &message,
            execution: "e",
            now: Timestamp(1),
            stop: &AtomicBool::new(false),
        };
        let mut sink = Memory { findings: vec![], refused: vec![] };
        let report = run(&import, document, &mut sink).unwrap();
        assert!(report.counts.add_up());
        assert_eq!(report.findings + report.notes, sink.findings.len() as u64);
        assert_eq!(database.already_loaded(&message).unwrap(), Some((report.counts, report.findings)));
        (report, sink)
    }

    fn rows(&self) -> Vec<String> {
        let connection = self.entities.reader("entities", &[]).unwrap().unwrap();
        let mut statement = connection.prepare("SELECT concat_ws('|', ID, NAME, AMOUNT, ABOVE) FROM groups ORDER BY ID").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

fn counts(read: u64, inserted: u64, updated: u64, unchanged: u64, refused: u64) -> RowCounts {
    RowCounts { read, inserted, updated, unchanged, validated: 0, refused }
}

#[test]
fn rows_are_inserted_then_unchanged_then_updated_and_each_is_counted_as_what_it_was() {
    let scene = scene(CsvFormat::default());
    let first = b"name,GROUP , extra,Amount,Above\r\nRetail,10,x,1.5,\r\nWholesale,20,x,,10\r\n";
    assert_eq!(scene.import(first).0.counts, counts(2, 2, 0, 0, 0));
    assert_eq!(scene.rows(), ["10|Retail|1.50", "20|Wholesale|10"]);
    assert_eq!(scene.import(first).0.counts, counts(2, 0, 0, 2, 0));
    let second = b"Name,Group,Amount,Above\nRetail,10,1.50,\nGross,20,2,10\nNew,30,,20\nNewer,30,,20\n";
    assert_eq!(scene.import(second).0.counts, counts(4, 1, 2, 1, 0), "the last row of a key wins");
    assert_eq!(scene.rows(), ["10|Retail|1.50", "20|Gross|2.00|10", "30|Newer|20"]);
}

#[test]
fn after_many_new_rows_each_is_still_counted_as_what_it_was() {
    let scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n150,old,1,\n160,same,1,\n");
    let rows: String = (100..200).map(|n| format!("{n},{},1,\n", if n == 160 { "same" } else { "new" })).collect();
    let again: String = (190..210).map(|n| format!("{n},newer,1,\n")).collect();
    let (report, _) = scene.import(format!("Group,Name,Amount,Above\n{rows}{again}").as_bytes());
    assert_eq!(report.counts, counts(120, 108, 11, 1, 0));
}

#[test]
fn bad_rows_are_refused_with_their_place_and_the_others_are_loaded() {
    let scene = scene(CsvFormat { delimiter: ";".into(), ..Default::default() });
    let document = "Group;Name;Amount;Above\n10;Retail;1,5;\n20;\"Two\nlines\";2;\n;x;3;\n30;Orphan;;99\n40;a;b;c;d\n50;much too long a name for it;x;\n60;Ok;;10\n70;Ok;;20\n";
    let (report, sink) = scene.import(document.as_bytes());
    assert_eq!(report.counts, counts(8, 2, 0, 0, 6));
    let places: Vec<_> = sink.findings.iter().map(|finding| (finding.line, finding.row, finding.column.as_str(), finding.rule)).collect();
    assert_eq!(
        places,
        [
            (2, 1, "Amount", Rule::Type),
            (5, 3, "Group", Rule::Required),
            (6, 4, "Above", Rule::Reference),
            (7, 5, "", Rule::Columns),
            (8, 6, "Name", Rule::Length),
            (8, 6, "Amount", Rule::Type),
            (9, 7, "Above", Rule::Reference),
        ]
    );
    assert!(sink.findings.iter().all(|finding| !finding.message.is_empty() && !finding.hint.is_empty()));
    assert_eq!(sink.findings[0].value, "1,5");
    assert_eq!(scene.rows(), ["20|Two\nlines|2.00", "70|Ok|20"], "a row may refer to one that came before it");

    let refused = String::from_utf8(sink.refused).unwrap();
    assert!(refused.starts_with("Group;Name;Amount;Above;Entrepot line;Entrepot reason\n10;Retail;1,5;;2;\"Amount: expected"), "{refused}");
    let mended = refused
        .replace("1,5", "1.5")
        .replace("much too long a name for it;x", "short;5")
        .replace(";99;", ";20;")
        .replace("\n;x;3", "\n80;x;3");
    let (report, _) = scene.import(mended.as_bytes());
    assert_eq!(report.counts, counts(6, 5, 0, 0, 1), "mended, the refused rows are sent again as they are: {mended}");
}

#[test]
fn a_document_without_a_mapped_column_is_refused_as_a_whole_and_told_what_it_has() {
    let scene = scene(CsvFormat::default());
    for (document, missing) in [("Group,Name,Amount\n1,2,3\n", 1), ("\n", 1), (", ,\n1,2,3\n", 1), ("Group,Name,Amount,Above,NAME\n", 1)] {
        let (report, sink) = scene.import(document.as_bytes());
        assert!(report.document_refused);
        assert_eq!((report.counts, sink.findings.len()), (RowCounts::default(), missing), "{document}");
        assert!(sink.findings.iter().all(|finding| finding.rule == Rule::Header));
    }
}

#[test]
fn nulls_defaults_conversions_sequences_and_kept_values_do_what_the_mapping_says() {
    let mut scene = scene(CsvFormat { nulls: vec!["NULL".into()], skip_first: 1, skip_last: 1, ..Default::default() });
    let mapping = &mut scene.project_entity.mapping;
    mapping[0].conversions = vec![Conversion::Trim, Conversion::Upper];
    mapping[1].conversions = vec![Conversion::Values(vec![("r".into(), "Retail".into()), ("*".into(), "Other".into())])];
    mapping[2].ignore_blank = true;
    mapping[3] = Mapping { when: When::Blank, ..Mapping::plain(Source::NumberSequence { pattern: "CG-###".into() }, 0) };
    let (report, sink) = scene.import(b"title\nGroup,Name,Amount\n a ,r,5\nNULL,zzz,\n\"NULL\",r,1\ntotal 3\n");
    assert_eq!(report.counts, counts(3, 3, 0, 0, 0), "{:?}", sink.findings);
    assert_eq!(scene.rows(), ["A|Retail|5.00", "CG-001|Other", "NULL|Retail|1.00"]);
    let (report, _) = scene.import(b"title\nGroup,Name,Amount\nA,r,\ntotal\n");
    assert_eq!(report.counts, counts(1, 0, 0, 1, 0), "a blank keeps what is there");
}

#[test]
fn a_payload_that_fails_half_way_or_a_stop_loads_nothing() {
    struct Failing(u32);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 > 3 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "damaged"));
            }
            let text = if self.0 == 1 { "Group,Name,Amount,Above\n".into() } else { format!("{},x,1,\n", self.0) };
            buffer[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        }
    }
    let scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n1,kept,1,\n");
    let database = scene.entities.writer("entities", &scene.all).unwrap();
    for stopped in [false, true] {
        let stop = AtomicBool::new(stopped);
        let import = Import {
            project_entity: &scene.project_entity,
            entities: &scene.all,
            database: &database,
            company: Some("USMF"),
            message: "m",
            execution: "e",
            now: Timestamp(1),
            stop: &stop,
        };
        let error = run(&import, Failing(0), &mut Memory { findings: vec![], refused: vec![] }).unwrap_err();
        assert_eq!(matches!(error, ImportError::Stopped), stopped);
        assert_eq!(error.may_pass(), stopped);
        assert_eq!(database.already_loaded("m").unwrap(), None);
    }
    assert_eq!(scene.rows(), ["1|kept|1.00"]);
}

#[test]
fn a_table_of_another_shape_is_refused_and_a_new_field_is_added() {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n1,x,1,\n");
    let changed = |change: &dyn Fn(&mut Entity)| {
        let mut entity = (*scene.all[0]).clone();
        change(&mut entity);
        scene.entities.writer("entities", &[Arc::new(entity)]).map(|_| ()).map_err(|error| error.to_string())
    };
    assert!(changed(&|entity| entity.fields[1].kind = FieldKind::Integer).unwrap_err().contains("\"NAME\" as TEXT"));
    assert!(changed(&|entity| entity.key = vec![0, 1]).unwrap_err().contains("has the key"));
    assert!(changed(&|entity| entity.fields.push(field("MORE", FieldKind::Integer))).is_ok());
    scene.loads = 5.into();
    assert_eq!(scene.import(b"Group,Name,Amount,Above\n1,x,1,\n").0.counts, counts(1, 0, 0, 1, 0));
}

#[test]
fn conditions_companies_joined_columns_and_look_ups_fill_fields() {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n10,Retail,1,\n");
    let column = |name: &str| Source::Column(name.into());
    let holds = |test| When::Holds(column("Kind"), test);
    let of = |field: usize, source| Mapping::plain(source, field);
    scene.project_entity.mapping = vec![
        of(0, Source::Concatenate { parts: vec![column("Kind"), column("No")], with: "-".into() }),
        Mapping { when: holds(Test::Equals(vec!["A".into()])), ..of(1, Source::Value("is A".into())) },
        Mapping { when: holds(Test::Not(vec!["A".into()])), ..of(1, Source::Company) },
        Mapping { when: When::Blank, ..of(2, Source::Value("7".into())) },
        Mapping {
            look_up: Some(LookUp { entity: "Groups".into(), find: "NAME".into(), take: "ID".into() }),
            conversions: vec![Conversion::Trim],
            ..of(3, column("Above name"))
        },
    ];
    let (report, sink) = scene.import(b"Kind,No,ABOVE_NAME\nA,1, Retail\nB,2,\nC,3,Nobody\n");
    assert_eq!(report.counts, counts(3, 2, 0, 0, 1), "{:?}", sink.findings);
    let finding = &sink.findings[0];
    assert_eq!((finding.rule, finding.row, finding.column.as_str(), finding.value.as_str()), (Rule::Reference, 3, "Above name", "Nobody"));
    assert_eq!(scene.rows(), ["10|Retail|1.00", "A-1|is A|7.00|10", "B-2|USMF|7.00"]);
}

#[test]
fn rows_may_be_only_new_ones_only_existing_ones_or_all_there_are() {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n10,Retail,1,\n20,x,1,\n");
    let document = b"Group,Name,Amount,Above\n10,Changed,1,\n30,New,1,\n20,x,1,\n";
    scene.project_entity.write = WriteMode::Insert;
    let (report, sink) = scene.import(document);
    assert_eq!(report.counts, counts(3, 1, 0, 0, 2));
    assert_eq!(sink.findings.iter().map(|finding| (finding.rule, finding.row)).collect::<Vec<_>>(), [(Rule::Exists, 1), (Rule::Exists, 3)]);
    scene.project_entity.write = WriteMode::Update;
    let (report, sink) = scene.import(b"Group,Name,Amount,Above\n10,Changed,1,\n40,New,1,\n20,x,1,\n");
    assert_eq!(report.counts, counts(3, 0, 1, 1, 1));
    assert_eq!((sink.findings[0].rule, sink.findings[0].row, sink.findings[0].value.as_str()), (Rule::Missing, 2, "40"));
    assert_eq!(scene.rows(), ["10|Changed|1.00", "20|x|1.00", "30|New|1.00"]);
    scene.project_entity.write = WriteMode::Upsert;
    scene.project_entity.truncate = true;
    assert_eq!(scene.import(b"Group,Name,Amount,Above\n10,Only,1,\n").0.counts, counts(1, 1, 0, 0, 0));
    assert_eq!(scene.rows(), ["10|Only|1.00"]);
    let (report, _) = scene.import(b"Group;Name\n");
    assert!(report.document_refused);
    assert_eq!(scene.rows(), ["10|Only|1.00"], "a document that is refused removes nothing");
}

#[test]
fn rules_between_rows_and_between_fields_are_held() {
    let mut scene = scene(CsvFormat::default());
    let mut entity = (*scene.all[0]).clone();
    entity.fields[0].pattern = Some(crate::model::entity::Pattern::new("[A-Z][0-9]+").unwrap());
    entity.fields[1].unique = true;
    let rule = crate::document::mapping::check::parse(&entity, "AMOUNT >= 0 or NAME is not blank").unwrap();
    entity.checks = vec![crate::model::check::Check { rule, message: "credit needs a name".into() }];
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
    scene.project_entity.refuse_duplicates = true;
    let (report, sink) =
        scene.import(b"Group,Name,Amount,Above\nA1,x,1,\nA2,x,1,\nA1,y,1,\nb3,z,1,\nA4,,-1,\nA5,,1,\nA6,,1,\nA7,1.01E+12,1,\n");
    let found: Vec<_> = sink.findings.iter().map(|finding| (finding.row, finding.rule, finding.field.as_str())).collect();
    let expected = [
        (2, Rule::Unique, "NAME"),
        (3, Rule::Unique, "ID"),
        (4, Rule::Pattern, "ID"),
        (5, Rule::Check, "AMOUNT, NAME"),
        (8, Rule::Spreadsheet, "NAME"),
    ];
    assert_eq!(found, expected, "{:?}", sink.findings);
    assert_eq!(report.counts, counts(8, 3, 0, 0, 5));
    assert_eq!(sink.findings[0].message, "row 1 of the document has it too");
    assert_eq!(sink.findings[3].message, "credit needs a name");
}

#[test]
fn a_row_that_is_refused_leaves_no_number_of_its_sequence_out() {
    let mut scene = scene(CsvFormat::default());
    scene.project_entity.mapping[0] = Mapping::plain(Source::NumberSequence { pattern: "G-###".into() }, 0);
    let (report, _) = scene.import(b"Name,Amount,Above\na,1,\nb,x,\nc,1,nobody\nd,1,\n");
    assert_eq!(report.counts, counts(4, 2, 0, 0, 2));
    assert_eq!(scene.rows(), ["G-001|a|1.00", "G-002|d|1.00"]);
}

#[test]
fn nested_records_are_loaded_with_the_one_they_belong_to_or_not_at_all() {
    let mut scene = scene(CsvFormat::default());
    let entity = Arc::new(Entity {
        name: "Lines".into(),
        database: "entities".into(),
        table: "lines".into(),
        key: vec![0, 1],
        fields: vec![
            Field { references: Some("Groups".into()), ..field("GROUP", FieldKind::String { length: None }) },
            field("NO", FieldKind::Integer),
            field("PRICE", FieldKind::Decimal { precision: 9, scale: 2 }),
        ],
        ..Entity::default()
    });
    scene.all.push(entity.clone());
    let lines = |record: &str, format: &Format| crate::model::project::NestedEntity {
        record: path(record).unwrap(),
        project_entity: ProjectEntity {
            mapping: vec![
                Mapping::plain(Source::Parent(0), 0),
                Mapping::plain(Source::Column("No".into()), 1),
                Mapping::plain(Source::Column("Price".into()), 2),
            ],
            ..ProjectEntity::new(entity.clone(), format.clone())
        },
    };
    let json = Format::Json(JsonFormat::default());
    scene.project_entity.format = json.clone();
    scene.project_entity.nested = vec![lines("lines", &json)];
    let document = b"[{\"Group\":\"1\",\"Name\":\"a\",\"lines\":[{\"No\":1,\"Price\":1.5},{\"No\":2,\"Price\":\"2\"}]},
{\"Group\":\"2\",\"Name\":\"b\",\"lines\":[{\"No\":1,\"Price\":1},\n{\"No\":2,\"Price\":\"x\"}]},
{\"Group\":\"3\",\"Above\":\"99\",\"lines\":[{\"No\":1}]},
{\"Group\":\"4\"}]";
    let (report, sink) = scene.import(document);
    assert_eq!(report.counts, counts(9, 4, 0, 0, 5), "{:?}", sink.findings);
    let faults = sink.findings.iter().filter(|one| one.rule != Rule::Message);
    let found: Vec<_> = faults.map(|one| (one.entity.as_str(), one.line, one.row, one.column.as_str(), one.rule)).collect();
    let together = |line, row| ("Groups", line, row, "", Rule::Together);
    assert_eq!(
        found,
        [("Lines", 3, 2, "Price", Rule::Type), together(2, 2), ("Groups", 4, 3, "Above", Rule::Reference), together(4, 3)],
        "the others of a record are told once"
    );
    let loaded = |scene: &Scene| {
        let connection = scene.entities.reader("entities", &[]).unwrap().unwrap();
        let mut statement = connection.prepare("SELECT \"GROUP\" || '-' || NO || ' ' || PRICE FROM lines ORDER BY 1").unwrap();
        statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(loaded(&scene), ["1-1 1.50", "1-2 2.00"]);
    let mended = String::from_utf8(sink.refused)
        .unwrap()
        .replace("\"x\"", "3")
        .replace("\"99\"", "\"1\"")
        .replace("{\"No\":1}]", "{\"No\":1,\"Price\":0}]");
    let (report, sink) = scene.import(mended.as_bytes());
    assert_eq!(report.counts, counts(5, 5, 0, 0, 0), "{:?}", sink.findings);
    assert_eq!(loaded(&scene), ["1-1 1.50", "1-2 2.00", "2-1 1.00", "2-2 3.00", "3-1 0.00"]);
    let (report, _) = scene.import(document);
    assert_eq!((report.counts.unchanged, report.counts.updated, report.counts.inserted), (4, 0, 0), "{:?}", report.counts);

    let document =
        br#"[{"Group":"7","lines":null},{"Group":"8","lines":5},{"Group":"9","lines":[null]},{"Group":"10","lines":[[{"No":1}]]}]"#;
    let (report, sink) = scene.import(document);
    assert_eq!(report.counts.inserted, 1, "{:?}", sink.findings);
    let faults = sink.findings.iter().filter(|one| one.rule != Rule::Message);
    let messages: Vec<_> = faults.map(|one| (one.row, one.message.as_str())).collect();
    let is = |what: &str| format!("lines: a record is an object, and this is {what}");
    let expected = [(2, is("a value")), (3, is("null")), (4, is("an array"))];
    assert_eq!(messages, expected.each_ref().map(|(row, message)| (*row, message.as_str())));

    let xml = Format::Xml(XmlFormat::default());
    scene.project_entity.format = xml.clone();
    scene.project_entity.nested = vec![lines("Lines/Line", &xml)];
    let document = b"<D><G><Group>5</Group><Lines><Line><No>1</No><Price>9</Price></Line><Line><No>2</No></Line></Lines></G></D>";
    assert_eq!(scene.import(document).0.counts, counts(3, 3, 0, 0, 0));
}

fn nested(format: Format) -> Scene {
    let mut scene = scene(CsvFormat::default());
    scene.project_entity.format = format;
    scene
}

fn path(text: &str) -> Option<crate::model::path::Path> {
    Some(crate::model::path::Path::parse(text).unwrap())
}

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_documents_of_every_format_cost_findings_and_nothing_else(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"<>/=\"'&;![]{}:,\\un \n\tDG12-".to_vec())], 0..200),
        at in 0usize..120
    ) {
        let xml = b"<D><G><Group>1</Group><Name a='b'>x</Name></G><G><Group>2</Group></G></D>".to_vec();
        let json = b"{\"o\":[{\"Group\":\"1\",\"Amount\":1.5},{\"Group\":\"2\",\"x\":[[1],{}]}]}".to_vec();
        let broken = |good: &[u8]| {
            let at = at.min(good.len());
            [&good[..at], &bytes[..bytes.len().min(3)], &good[at..]].concat()
        };
        for (format, document) in [
            (Format::Xml(XmlFormat::default()), bytes.clone()),
            (Format::Xml(XmlFormat { record: path("//G"), ..XmlFormat::default() }), broken(&xml)),
            (Format::Json(JsonFormat { record: path("o"), ..JsonFormat::default() }), broken(&json)),
            (Format::Json(JsonFormat::default()), bytes.clone()),
            (Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }), broken(&json)),
            (Format::Excel(ExcelFormat::default()), [b"PK\x03\x04", bytes.as_slice()].concat()),
        ] {
            let (report, sink) = nested(format).import(&document);
            prop_assert!(report.counts.add_up() && report.findings + report.notes == sink.findings.len() as u64);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_record_is_accounted_for_and_a_second_import_changes_nothing(lines in proptest::collection::vec("[0-9]{0,2},[a-z\"]{0,5},[0-9.,]{0,5},[0-9]?(,x)?", 0..40)) {
        let scene = scene(CsvFormat::default());
        let document = format!("Group,Name,Amount,Above\n{}\n", lines.join("\n"));
        let (first, sink) = scene.import(document.as_bytes());
        let refused: std::collections::BTreeSet<u64> = sink.findings.iter().map(|finding| finding.row).collect();
        prop_assert_eq!(refused.len() as u64, first.counts.refused);
        let before = scene.rows();
        let (second, _) = scene.import(document.as_bytes());
        prop_assert_eq!(second.counts.read, first.counts.read);
        prop_assert!(second.counts.refused <= first.counts.refused, "references may exist by now");
        prop_assert!(scene.rows().len() >= before.len());
    }
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
fn a_document_without_a_byte_is_noted_where_it_may_be_one_without_rows() {
    let fixed = FixedColumn { name: "Group".into(), start: 1, length: 3, pad: ' ', right: false };
    let mut scene = nested(Format::Fixed(FixedFormat { columns: vec![fixed], ..FixedFormat::default() }));
    scene.project_entity.mapping.truncate(1);
    let (report, sink) = scene.import(b"");
    assert_eq!((report.findings, report.notes, report.document_refused), (0, 1, false));
    assert_eq!((sink.findings[0].rule, sink.findings[0].message.as_str()), (Rule::Message, "the document is empty"));
    assert!(super::tests::scene(CsvFormat::default()).import(b"").0.document_refused);
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

    let cell = |text: &str| format!("<table:table-cell office:value-type=\"string\"><text:p>{text}</text:p></table:table-cell>");
    let row = |cells: &[&str]| format!("<table:table-row>{}</table:table-row>", cells.iter().map(|text| cell(text)).collect::<String>());
    let content = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document-content xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\" xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\" office:version=\"1.2\"><office:body><office:spreadsheet><table:table table:name=\"Groups\">{}{}{}</table:table></office:spreadsheet></office:body></office:document-content>",
        row(&["Group", "Name", "Amount", "Above"]),
        row(&["31001", "\u{e9}", "19.99", ""]),
        row(&["2", "two", "1,5", ""])
    );
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let manifest = "<manifest:manifest xmlns:manifest=\"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0\"/>";
    let mimetype = "application/vnd.oasis.opendocument.spreadsheet";
    for (name, text) in [("mimetype", mimetype), ("META-INF/manifest.xml", manifest), ("content.xml", content.as_str())] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    let open = zip.finish().unwrap().into_inner();
    // Made with xlwt.
    let old = include_bytes!("../../../tests/workbooks/groups.xls").to_vec();
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

/// Documents that are often nearly right.
fn document() -> impl Strategy<Value = Vec<u8>> {
    let cell = prop_oneof![
        4 => "[a-c0-9]{0,3}",
        2 => "[0-9]{1,3}[.,]?[0-9]{0,3}",
        1 => "[a-z]{9,24}",
        1 => prop::sample::select(vec!["\"", "\"a\nb\"", "\u{e9}", "NULL", " 1 ", "1.01E+12"]).prop_map(str::to_owned),
    ];
    let row = prop::collection::vec(cell, 3..6).prop_map(|cells| cells.join(","));
    let header = prop_oneof![8 => Just("Group,Name,Amount,Above".to_owned()), 1 => Just("Group;Name;Amount;Above".to_owned()), 1 => "[A-Za-z,]{0,20}"];
    (header, prop::collection::vec(row, 0..12), any::<Option<u8>>(), 0..3u8).prop_map(|(header, rows, byte, times)| {
        let mut bytes = format!("{header}\n{}\n", rows.join("\n")).into_bytes();
        if let Some(byte) = byte.filter(|_| times == 0) {
            bytes.push(byte);
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_trial_says_what_the_load_then_does(documents in prop::collection::vec(document(), 1..4)) {
        let scene = scene(CsvFormat { nulls: vec!["NULL".into()], ..CsvFormat::default() });
        let limits = crate::inbound::trial::Limits { rows: usize::MAX, findings: usize::MAX, preview: 0 };
        for document in documents {
            let tried = {
                let database = scene.entities.trial("entities", &scene.all).unwrap();
                let budget = crate::model::transform::Budget::default();
                crate::inbound::trial::run(&scene.project_entity, &scene.all, &database, Some("USMF"), document.as_slice(), limits, &budget).unwrap()
            };
            let before = scene.loads.get();
            let (report, sink) = scene.import(&document);
            prop_assert_eq!(before + 1, scene.loads.get());
            prop_assert_eq!(tried.0.counts, report.counts);
            prop_assert_eq!((tried.0.findings, tried.0.document_refused), (report.findings, report.document_refused));
            prop_assert_eq!(&tried.1.findings, &sink.findings);
            // The last row of a key is the one that stands.
            let mut last = std::collections::BTreeMap::new();
            for row in &tried.1.rows {
                let texts: Vec<String> = row.values.iter().filter_map(|(_, value)| value.clone()).collect();
                last.insert(row.values[0].1.clone(), texts.join("|"));
            }
            if !report.document_refused {
                let rows = scene.rows();
                for row in last.values() {
                    prop_assert!(rows.contains(row), "{} is not in {:?}", row, rows);
                }
            }
        }
    }
}
