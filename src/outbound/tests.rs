use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::export::{Export, ExportError, run};
use crate::config::Database;
use crate::model::entity::{Entity, Field, FieldKind};
use crate::model::format::{CsvFormat, Format};
use crate::model::project::{Condition, Direction, Project, ProjectEntity, Test};
use crate::store::entities::{Cell, Entities};

fn entity() -> Arc<Entity> {
    let field = |name: &str, kind| Field { name: name.into(), kind, ..Field::default() };
    let fields = vec![
        field("ID", FieldKind::Integer),
        field("NAME", FieldKind::String { length: None }),
        field("LIMIT", FieldKind::Decimal { precision: 18, scale: 2 }),
        field("CHANGED", FieldKind::DateTime),
        field("BLOCKED", FieldKind::Boolean),
    ];
    Arc::new(Entity {
        name: "Limits/all".into(),
        database: "entities".into(),
        table: "limits".into(),
        key: vec![0],
        fields,
        ..Entity::default()
    })
}

fn entities(dir: &tempfile::TempDir, rows: &[[Cell<'_>; 5]]) -> Entities {
    let entities = Entities::new(&[Database::managed(dir.path())]);
    let all = [entity()];
    let database = entities.writer("entities", &all).unwrap();
    database.begin().unwrap();
    let mut upsert = database.upsert(&all[0], &[(0, false), (1, false), (2, false), (3, false), (4, false)]).unwrap();
    rows.iter().for_each(|row| drop(upsert.row(row).unwrap()));
    drop(upsert);
    database.commit("m", "e", &Default::default(), 0, Default::default()).unwrap();
    drop(database);
    entities
}

fn export(entities: &Entities, format: CsvFormat, fields: Vec<usize>, filter: Vec<Condition>) -> Result<(u64, Vec<u8>), ExportError> {
    let part = ProjectEntity { filter, fields, ..ProjectEntity::new(entity(), Format::Csv(format)) };
    let project = Project { name: "Out".into(), direction: Direction::Export, entities: vec![part] };
    let mut file = tempfile::tempfile().unwrap();
    let export = Export {
        project: &project,
        entities,
        rows_max: u64::MAX,
        ranges: &[],
        activity_id: None,
        message_id: None,
        company: None,
        now: Default::default(),
        budget: &Default::default(),
        scratch: &crate::files::Scratch::temporary,
        stop: &AtomicBool::new(false),
    };
    let report = run(&export, &mut file)?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(crate::files::digest(&bytes), report.package);
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    assert_eq!(
        zip.file_names().map(|name| name.unwrap().into_owned()).collect::<Vec<_>>(),
        ["Manifest.xml", "PackageHeader.xml", "Limitsall.csv"]
    );
    let mut document = Vec::new();
    zip.by_name("Limitsall.csv").unwrap().read_to_end(&mut document).unwrap();
    Ok((report.rows, document))
}

const ROWS: [[Cell<'static>; 5]; 3] = [
    [Cell::Integer(10), Cell::Text("a,\"b\""), Cell::Text("9.00"), Cell::Text("2026-01-15T14:30:00Z"), Cell::Integer(1)],
    [Cell::Integer(2), Cell::Text("é"), Cell::Text("10.00"), Cell::Null, Cell::Integer(0)],
    [Cell::Integer(3), Cell::Text(""), Cell::Text("-10.50"), Cell::Null, Cell::Null],
];

#[test]
fn rows_come_in_key_order_in_the_spelling_of_packages() {
    let dir = tempfile::tempdir().unwrap();
    let entities = entities(&dir, &ROWS);
    let (rows, document) = export(&entities, CsvFormat::default(), vec![0, 1, 2, 3, 4], vec![]).unwrap();
    assert_eq!(rows, 3);
    assert_eq!(
        String::from_utf8(document).unwrap(),
        "ID,NAME,LIMIT,CHANGED,BLOCKED\r\n2,é,10.00,,No\r\n3,,-10.50,,\r\n10,\"a,\"\"b\"\"\",9.00,2026-01-15 14:30:00,Yes\r\n"
    );
}

#[test]
fn filters_compare_by_type_and_decimals_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let entities = entities(&dir, &ROWS);
    let table: &[(usize, Test, &[&str])] = &[
        (0, Test::AtLeast("3".into()), &["3", "10"]),
        (2, Test::AtLeast("9.00".into()), &["2", "10"]),
        (2, Test::AtMost("9.50".into()), &["3", "10"]),
        (2, Test::Equals("10.00".into()), &["2"]),
        (1, Test::StartsWith("a,".into()), &["10"]),
        (3, Test::Blank(true), &["2", "3"]),
        (4, Test::NotEquals("1".into()), &["2"]),
        (0, Test::OneOf(vec!["2".into(), "10".into()]), &["2", "10"]),
        (1, Test::Equals("'; DROP TABLE limits; --".into()), &[]),
    ];
    for (field, test, expected) in table {
        let (rows, document) = export(
            &entities,
            CsvFormat { header: false, ..Default::default() },
            vec![0],
            vec![Condition { field: *field, test: test.clone() }],
        )
        .unwrap();
        let text = String::from_utf8(document).unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), *expected, "{test:?}");
        assert_eq!(rows, expected.len() as u64);
    }
}

#[test]
fn a_character_that_the_encoding_lacks_ends_the_export_with_its_row() {
    let dir = tempfile::tempdir().unwrap();
    let entities = entities(
        &dir,
        &[
            [Cell::Integer(1), Cell::Text("ok"), Cell::Null, Cell::Null, Cell::Null],
            [Cell::Integer(2), Cell::Text("日"), Cell::Null, Cell::Null, Cell::Null],
        ],
    );
    let latin = CsvFormat { encoding: encoding_rs::WINDOWS_1252, ..Default::default() };
    let error = export(&entities, latin, vec![1], vec![]).unwrap_err().to_string();
    assert!(error.contains("row 2") && error.contains("日"), "{error}");
    let wide = CsvFormat { encoding: encoding_rs::UTF_16LE, ..Default::default() };
    let (_, document) = export(&entities, wide, vec![1], vec![]).unwrap();
    assert!(document.starts_with(&[0xFF, 0xFE, b'N', 0]));
}

#[test]
fn an_entity_that_was_never_imported_exports_a_header_and_no_rows() {
    let dir = tempfile::tempdir().unwrap();
    let entities = Entities::new(&[Database::managed(dir.path())]);
    assert_eq!(export(&entities, CsvFormat::default(), vec![0], vec![]).unwrap(), (0, b"ID\r\n".to_vec()));
}
