use proptest::prelude::*;

use super::*;
use crate::config::Database;
use crate::model::entity::{Field, FieldKind};
use crate::model::mapping::{Mapping, Source};
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
    Field { name: name.into(), kind, required: false, references: None, minimum: None, maximum: None }
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
    let database = Database { name: "entities".into(), path: dir.path().join("entities.db"), managed: true };
    let mut fields = vec![
        field("ID", FieldKind::String { length: Some(10) }),
        field("NAME", FieldKind::String { length: Some(20) }),
        field("AMOUNT", FieldKind::Decimal { precision: 10, scale: 2 }),
        field("ABOVE", FieldKind::String { length: None }),
    ];
    fields[3].references = Some("Groups".into());
    let entity = Arc::new(Entity {
        name: "Groups".into(),
        aliases: vec![],
        database: "entities".into(),
        table: "groups".into(),
        key: vec![0],
        fields,
    });
    let mapping = ["Group", "Name", "Amount", "Above"]
        .iter()
        .enumerate()
        .map(|(at, name)| Mapping::plain(Source::Column(name.to_string()), at))
        .collect();
    let project_entity = ProjectEntity {
        entity: entity.clone(),
        format: Format::Csv(format),
        format_stated: true,
        mapping,
        mapping_stated: true,
        unit: 1,
        level: 1,
        sequence: 1,
        filter: vec![],
        fields: vec![],
    };
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
            message: &message,
            execution: "e",
            now: Timestamp(1),
            stop: &AtomicBool::new(false),
        };
        let mut sink = Memory { findings: vec![], refused: vec![] };
        let report = run(&import, document, &mut sink).unwrap();
        assert!(report.counts.add_up());
        assert_eq!(report.findings, sink.findings.len() as u64);
        assert_eq!(database.already_loaded(&message).unwrap(), Some((report.counts, report.findings)));
        (report, sink)
    }

    fn rows(&self) -> Vec<String> {
        let connection = self.entities.reader("entities").unwrap().unwrap();
        let mut statement = connection.prepare("SELECT concat_ws('|', ID, NAME, AMOUNT, ABOVE) FROM groups ORDER BY ID").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

fn counts(read: u64, inserted: u64, updated: u64, unchanged: u64, refused: u64) -> RowCounts {
    RowCounts { read, inserted, updated, unchanged, refused }
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
        refused.starts_with("Group;Name;Amount;Above;Entrepot line;Entrepot reason\r\n10;Retail;1,5;;2;\"Amount: expected"),
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
    for (document, missing) in [("Group,Name,Amount\n1,2,3\n", 1), ("", 4), ("Group,Name,Amount,Above,NAME\n", 1)] {
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
    mapping[0].trim = true;
    mapping[0].upper = true;
    mapping[1].values = vec![("r".into(), "Retail".into()), ("*".into(), "Other".into())];
    mapping[2].ignore_blank = true;
    mapping[3] = Mapping::plain(Source::NumberSequence { pattern: "CG-###".into(), when_blank: true }, 0);
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
