mod elsewhere;
mod formats;
mod keys;
mod load;
mod mended;
mod nested;
mod readers;
mod refused;
mod several;
mod values;

use proptest::prelude::*;

use super::*;
use crate::config::Database;
use crate::model::entity::{Field, FieldKind};
use crate::model::finding::Rule;
use crate::model::format::{CsvFormat, ExcelFormat, FixedColumn, FixedFormat, Format, JsonFormat, Unit, XmlFormat, XmlStyle};
use crate::model::mapping::{Conversion, LookUp, Mapping, Source, Test, When};
use crate::model::project::{Duplicates, WriteMode};
use crate::store::entities::{Earlier, Entities};

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

    fn forget_refused_rows(&mut self) {
        self.refused.clear();
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
        let database = self.entities.writer(&self.all[0].database, &self.all).unwrap();
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
        assert_eq!(
            database.already_loaded(&message).unwrap(),
            Some(Earlier { counts: report.counts, findings: report.findings, execution: "e".into() })
        );
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
    assert!(
        refused.starts_with("Group;Name;Amount;Above;Entrepot line;Entrepot reason\n10;Retail;1,5;;Entrepot line 2;\"Amount: expected"),
        "{refused}"
    );
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
    let all = |sink: &Memory| sink.findings.iter().map(|finding| (finding.rule, finding.row)).collect::<Vec<_>>();
    // Beside whatever else is wrong with a row.
    let (_, sink) = scene.import(b"Group,Name,Amount,Above\n10,Changed,x,\n50,New,x,\n,New,x,\n");
    assert_eq!(all(&sink)[..3], [(Rule::Type, 1), (Rule::Exists, 1), (Rule::Type, 2)], "{:?}", sink.findings);
    assert!(!all(&sink)[3..].contains(&(Rule::Exists, 3)));
    scene.project_entity.write = WriteMode::Update;
    let (_, sink) = scene.import(b"Group,Name,Amount,Above\n10,Changed,x,\n50,New,x,\n");
    assert_eq!(all(&sink), [(Rule::Type, 1), (Rule::Type, 2), (Rule::Missing, 2)]);
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
    scene.project_entity.duplicates = Duplicates::Refuse;
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
    let refused = String::from_utf8(sink.refused).unwrap();
    assert!(refused.contains("\"Lines, line 3: Price: "), "{refused}");
    let mended = refused.replace("\"x\"", "3").replace("\"99\"", "\"1\"").replace("{\"No\":1}]", "{\"No\":1,\"Price\":0}]");
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

/// A workbook whose parts are written anew.
fn packed_again(workbook: &[u8], part_of: impl Fn(&str) -> String) -> Vec<u8> {
    let mut zip = zip::ZipArchive::new(io::Cursor::new(workbook)).unwrap();
    let mut packed = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for at in 0..zip.len() {
        let (mut part, mut text) = (zip.by_index(at).unwrap(), String::new());
        part.read_to_string(&mut text).unwrap();
        packed.start_file(part.name().unwrap().to_string(), zip::write::SimpleFileOptions::default()).unwrap();
        packed.write_all(part_of(&text).as_bytes()).unwrap();
    }
    packed.finish().unwrap().into_inner()
}

fn path(text: &str) -> Option<crate::model::path::Path> {
    Some(crate::model::path::Path::parse(text).unwrap())
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
        let faults = sink.findings.iter().filter(|finding| finding.rule != Rule::Message);
        let refused: std::collections::BTreeSet<u64> = faults.map(|finding| finding.row).collect();
        prop_assert_eq!(refused.len() as u64, first.counts.refused);
        let before = scene.rows();
        let (second, _) = scene.import(document.as_bytes());
        prop_assert_eq!(second.counts.read, first.counts.read);
        prop_assert!(second.counts.refused <= first.counts.refused, "references may exist by now");
        prop_assert!(scene.rows().len() >= before.len());
    }
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
