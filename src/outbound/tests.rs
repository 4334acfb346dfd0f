use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};

use super::export::{Export, ExportError, run};
use crate::config::Database;
use crate::model::entity::{Entity, Field, FieldKind};
use crate::model::format::{CsvFormat, FixedColumn, FixedFormat, Format, JsonFormat, Numbers, XmlFormat};
use crate::model::project::{Condition, Direction, Project, ProjectEntity, Refresh, Test, WriteMode};
use crate::model::transform::Budget;
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
    let mut upsert =
        database.rows(&all[0], &[(0, false), (1, false), (2, false), (3, false), (4, false)], &[], WriteMode::Upsert, false).unwrap();
    rows.iter().for_each(|row| drop(upsert.row(row).unwrap()));
    drop(upsert);
    database.commit("m", "e", &Default::default(), 0, Default::default()).unwrap();
    drop(database);
    entities
}

static STOPS: AtomicBool = AtomicBool::new(false);

/// A whole export of a project.
fn whole<'a>(project: &'a Project, entities: &'a Entities) -> Export<'a> {
    static BUDGET: LazyLock<Budget> = LazyLock::new(Budget::default);
    Export {
        project,
        entities,
        rows_max: u64::MAX,
        ranges: &[],
        activity_id: None,
        message_id: None,
        company: None,
        now: Default::default(),
        budget: &BUDGET,
        scratch: &crate::files::Scratch::temporary,
        stop: &STOPS,
    }
}

fn export(entities: &Entities, format: CsvFormat, fields: Vec<usize>, filter: Vec<Condition>) -> Result<(u64, Vec<u8>), ExportError> {
    let part = ProjectEntity { filter, fields, ..ProjectEntity::new(entity(), Format::Csv(format)) };
    let project = Project { name: "Out".into(), direction: Direction::Export, entities: vec![part] };
    let mut file = tempfile::tempfile().unwrap();
    let report = run(&whole(&project, entities), &mut file)?;
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
fn decimals_have_the_separator_of_the_format() {
    let dir = tempfile::tempdir().unwrap();
    let entities = entities(&dir, &ROWS);
    let numbers = Numbers { decimal_separator: ',', thousands_separator: Some('.') };
    for (qualifier, delimiter, expected) in
        [(None, ";", "2;10,00\r\n3;-10,50\r\n10;9,00\r\n"), (Some('"'), ",", "2,\"10,00\"\r\n3,\"-10,50\"\r\n10,\"9,00\"\r\n")]
    {
        let format = CsvFormat { qualifier, delimiter: delimiter.into(), header: false, numbers, ..CsvFormat::default() };
        let (_, document) = export(&entities, format, vec![0, 2], vec![]).unwrap();
        assert_eq!(String::from_utf8(document).unwrap(), expected);
    }
}

#[test]
fn a_value_that_needs_a_qualifier_ends_an_export_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let entities = entities(&dir, &ROWS);
    let bare = CsvFormat { qualifier: None, ..CsvFormat::default() };
    let error = export(&entities, bare, vec![0, 1], vec![]).unwrap_err();
    assert!(!error.may_pass());
    assert!(error.to_string().contains("row 3 (ID \"10\"): \"a,\\\"b\\\"\" would be read"), "{error}");
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
        (4, Test::NotEquals("1".into()), &["2", "3"]),
        (1, Test::NotEquals("é".into()), &["3", "10"]),
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

/// A table of somebody else, of these columns and rows, and what of it is exported.
fn shop(sql: &str, kinds: &[FieldKind], filter: Vec<Condition>) -> Result<Vec<String>, String> {
    shop_as(Format::Csv(CsvFormat { header: false, ..CsvFormat::default() }), sql, kinds, filter)
}

fn shop_as(format: Format, sql: &str, kinds: &[FieldKind], filter: Vec<Condition>) -> Result<Vec<String>, String> {
    let document = format!("Shop.{}", format.file_extension());
    let dir = tempfile::tempdir().unwrap();
    let database = Database { name: "shop".into(), path: dir.path().join("shop.db"), managed: false, lock_wait: Default::default() };
    rusqlite::Connection::open(&database.path).unwrap().execute_batch(sql).unwrap();
    let fields = kinds.iter().zip('A'..).map(|(kind, name)| Field { name: name.into(), kind: kind.clone(), ..Field::default() }).collect();
    let entity = Entity { name: "Shop".into(), database: "shop".into(), table: "t".into(), key: vec![0], fields, ..Entity::default() };
    let part = ProjectEntity { filter, ..ProjectEntity::new(Arc::new(entity), format) };
    let project = Project { name: "Out".into(), direction: Direction::Export, entities: vec![part] };
    let mut file = tempfile::tempfile().unwrap();
    run(&whole(&project, &Entities::new(&[database])), &mut file).map_err(|error| error.to_string())?;
    let mut text = String::new();
    zip::ZipArchive::new(file).unwrap().by_name(&document).unwrap().read_to_string(&mut text).unwrap();
    Ok(text.lines().map(str::to_owned).collect())
}

const DECIMAL: FieldKind = FieldKind::Decimal { precision: 24, scale: 2 };

fn level() -> FieldKind {
    FieldKind::Enum { values: vec![("Low".into(), 1), ("Mid".into(), 2), ("High".into(), 10)] }
}

#[test]
fn moments_are_compared_with_their_fractions_and_enums_by_number() {
    let rows = "CREATE TABLE t (A INTEGER, B TEXT, C TEXT); INSERT INTO t VALUES
        (1, '2024-01-01T10:00:00Z', 'Low'), (2, '2024-01-01T10:00:00.250Z', 'Mid'), (3, '2024-01-01T10:00:00.500Z', 'High'), (4, NULL, NULL)";
    // As other programs write the same.
    let others = "CREATE TABLE t (A INTEGER, B, C INTEGER); INSERT INTO t VALUES
        (1, '2024-01-01 10:00:00', 1), (2, '2024-01-01 11:00:00.25+01:00', 2), (3, '2024-01-01 10:00:00.5', 10), (4, '', NULL)";
    let table: &[(usize, Test, &[&str])] = &[
        (1, Test::AtLeast("2024-01-01T10:00:00Z".into()), &["1", "2", "3"]),
        (1, Test::AtLeast("2024-01-01T10:00:00.250Z".into()), &["2", "3"]),
        (1, Test::AtMost("2024-01-01T10:00:00.250Z".into()), &["1", "2"]),
        (1, Test::Equals("2024-01-01T10:00:00.500Z".into()), &["3"]),
        (2, Test::AtLeast("Mid".into()), &["2", "3"]),
        (2, Test::AtMost("Mid".into()), &["1", "2"]),
        (2, Test::Equals("High".into()), &["3"]),
        (2, Test::NotEquals("High".into()), &["1", "2", "4"]),
        (2, Test::OneOf(vec!["Low".into(), "High".into()]), &["1", "3"]),
    ];
    for (field, test, expected) in table {
        for rows in [rows, others] {
            let found =
                shop(rows, &[FieldKind::Integer, FieldKind::DateTime, level()], vec![Condition { field: *field, test: test.clone() }]);
            let found: Vec<String> = found.unwrap().iter().map(|line| line.split(',').next().unwrap().to_owned()).collect();
            assert_eq!(found, *expected, "{test:?} {rows}");
        }
    }
}

#[test]
fn equal_moments_are_equal_in_any_spelling_and_what_is_none_ends_the_export() {
    let rows = "CREATE TABLE t (A INTEGER, B, C); INSERT INTO t VALUES (1, '2020-01-02T10:00:00Z', '2020-01-02'),
        (2, '2020-01-02T10:00:00.000Z', '2020-01-02T00:00:00.000Z'), (3, '2020-01-31T10:00:00.2500Z', '2020-01-31')";
    let found =
        |field, test| shop(rows, &[FieldKind::Integer, FieldKind::DateTime, FieldKind::Date], vec![Condition { field, test }]).unwrap();
    assert_eq!(found(1, Test::Equals("2020-01-02T10:00:00Z".into())).len(), 2);
    assert_eq!(found(1, Test::NotEquals("2020-01-02T10:00:00Z".into())).len(), 1);
    assert_eq!(found(1, Test::AtMost("2020-01-02T10:00:00Z".into())).len(), 2);
    assert_eq!(found(1, Test::Equals("2020-01-31T10:00:00.250Z".into())).len(), 1);
    assert_eq!((found(2, Test::Equals("2020-01-02".into())).len(), found(2, Test::AtMost("2020-01-02".into())).len()), (2, 2));
    for (kind, bad, test) in [
        (FieldKind::Integer, "'x7'", Test::AtMost("10".into())),
        (FieldKind::DateTime, "'2020-13-45T10:00:00Z'", Test::AtMost("2030-01-01T00:00:00Z".into())),
        (FieldKind::DateTime, "'2021-02-29T10:00:00Z'", Test::Equals("2030-01-01T00:00:00Z".into())),
        (level(), "'Hihg'", Test::Equals("High".into())),
        (level(), "'Hihg'", Test::AtLeast("Mid".into())),
        (level(), "7", Test::AtLeast("Mid".into())),
    ] {
        let rows = format!("CREATE TABLE t (A INTEGER, B); INSERT INTO t VALUES (1, {bad}), (2, NULL), (3, ' ')");
        let error = shop(&rows, &[FieldKind::Integer, kind.clone()], vec![Condition { field: 1, test }]).unwrap_err();
        let found = format!("B cannot be compared with the filter's value: found \"{}\"", bad.trim_matches('\''));
        assert!(error.contains(&found), "{error}");
    }
    let rows = "CREATE TABLE t (A INTEGER, B); INSERT INTO t VALUES (1, ' 7 '), (2, 8.0), (3, NULL), (4, 9), (5, '')";
    let most = vec![Condition { field: 1, test: Test::AtMost("8".into()) }];
    assert_eq!(shop(rows, &[FieldKind::Integer, FieldKind::Integer], most).unwrap(), ["1,7", "2,8"]);
    let rows = "CREATE TABLE t (A INTEGER, B TEXT); INSERT INTO t VALUES (1, ''), (2, NULL), (3, '10'), (4, 'b'), (5, ' ')";
    let most = vec![Condition { field: 1, test: Test::AtMost("9".into()) }];
    assert_eq!(shop(rows, &[FieldKind::Integer, FieldKind::String { length: None }], most).unwrap(), ["3,10", "5,\" \""]);
}

#[test]
fn decimals_are_compared_in_whatever_class_a_table_stores_them() {
    for column in ["REAL", "INTEGER", "NUMERIC", "TEXT", ""] {
        let rows =
            format!("CREATE TABLE t (A INTEGER, B {column}); INSERT INTO t VALUES (1, 9), (2, 9.5), (3, '10.00'), (4, NULL), (5, -1)");
        let found = |test| shop(&rows, &[FieldKind::Integer, DECIMAL], vec![Condition { field: 1, test }]).unwrap();
        assert_eq!(found(Test::AtLeast("9.50".into())), ["2,9.50", "3,10.00"], "{column}");
        assert_eq!(found(Test::Equals("9.00".into())), ["1,9.00"], "{column}");
        assert_eq!(found(Test::AtMost("9.00".into())), ["1,9.00", "5,-1.00"], "{column}");
        assert_eq!(found(Test::NotEquals("10.00".into())), ["1,9.00", "2,9.50", "4,", "5,-1.00"], "{column}");
    }
    let rows = "CREATE TABLE t (A INTEGER, B TEXT); INSERT INTO t VALUES (1, '9'), (2, 'about 10')";
    let error = shop(rows, &[FieldKind::Integer, DECIMAL], vec![Condition { field: 1, test: Test::AtLeast("1.00".into()) }]).unwrap_err();
    assert!(error.contains("B cannot be compared with the filter's value: \"about 10\" is no decimal number"), "{error}");
}

#[test]
fn a_blank_text_where_a_number_should_be_is_no_value_to_documents_and_filters() {
    let rows = "CREATE TABLE t (A INTEGER, B, C, D, E, F); INSERT INTO t VALUES (1, 5, 5, 'Yes', '2024-01-02', '2024-01-02 00:00:00'),
        (2, NULL, NULL, NULL, NULL, NULL), (3, '', '', '', '', ''), (4, ' ', ' ', ' ', ' ', ' ')";
    let kinds = [FieldKind::Integer, FieldKind::Integer, DECIMAL, FieldKind::Boolean, FieldKind::Date, FieldKind::DateTime];
    let lines = shop_as(Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }), rows, &kinds, Vec::new()).unwrap();
    for (at, line) in lines.iter().enumerate() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(row["C"].is_null() && row["B"].is_null() && row["D"].is_null() && row["E"].is_null(), at > 0, "{line}");
    }
    let values = ["6", "6.00", "0", "2024-01-03", "2024-01-03T00:00:00Z"];
    for (field, value) in (1..).zip(values) {
        let found = |test| shop(rows, &kinds, vec![Condition { field, test }]).unwrap().len();
        assert_eq!(found(Test::NotEquals(value.into())), 4, "{field}");
        assert_eq!((found(Test::Blank(true)), found(Test::Blank(false))), (3, 1), "{field}");
    }
}

#[test]
fn a_key_that_is_there_in_another_spelling_is_not_told_as_deleted() {
    let csv = || Format::Csv(CsvFormat { header: false, ..CsvFormat::default() });
    for (kind, column, rows, done, changed, deleted) in [
        (FieldKind::Integer, "TEXT", "('007', 'old'), ('7', 'new')", "DELETE FROM t WHERE K = '007'", "", None),
        (FieldKind::Integer, "TEXT", "('7', 'new'), ('8', 'x')", "DELETE FROM t", "", Some("7\r\n8\r\n")),
        (FieldKind::Integer, "TEXT", "('007', 'a')", "UPDATE t SET K = '7'", "7,a\r\n", None),
        (FieldKind::Integer, "INTEGER", "(7, 'a')", "DELETE FROM t", "", Some("7\r\n")),
        (DECIMAL, "TEXT", "('9.5', 'a')", "UPDATE t SET K = '9.50'", "9.50,a\r\n", None),
        (FieldKind::Date, "TEXT", "('2024-01-05 00:00:00', 'a')", "UPDATE t SET K = '2024-01-05'", "2024-01-05,a\r\n", None),
        (
            FieldKind::Guid,
            "TEXT",
            "('6D31E09F-0249-459F-94F0-AAD9C2C47B64', 'a')",
            "UPDATE t SET K = lower(K)",
            "6D31E09F-0249-459F-94F0-AAD9C2C47B64,a\r\n",
            None,
        ),
    ] {
        let table = format!("CREATE TABLE t (K {column} PRIMARY KEY, V TEXT); INSERT INTO t VALUES {rows}");
        let (found, gone, _) = changed_since(kind.clone(), &table, done, csv()).unwrap();
        assert_eq!((found.to_uppercase(), gone.as_deref()), (changed.to_uppercase(), deleted), "{kind:?} {rows} {done}");
    }
}

#[test]
fn what_a_table_of_somebody_else_holds_is_exported_as_a_value_of_its_field_or_not_at_all() {
    let table: &[(FieldKind, &str, Result<&str, &str>)] = &[
        (DECIMAL, "9.5", Ok("9.50")),
        (DECIMAL, "7", Ok("7.00")),
        (DECIMAL, "'8.1'", Ok("8.10")),
        (DECIMAL, "0.1 + 0.2", Ok("0.30")),
        (DECIMAL, "1e20", Ok("100000000000000000000.00")),
        (DECIMAL, "1e23", Err("row 1 (A \"1\"): B: found \"100000000000000000000000\", 24 digits before the point, at most 22 fit")),
        (DECIMAL, "1.005", Err("row 1 (A \"1\"): B: found \"1.005\", 3 digits after the point, at most 2 fit")),
        (DECIMAL, "9e999", Err("row 1 (A \"1\"): B: found \"inf\", expected a decimal number")),
        (DECIMAL, "'n/a'", Err("row 1 (A \"1\"): B: found \"n/a\", expected a decimal number")),
        (DECIMAL, "x'FF00'", Err("row 1 (A \"1\"): B: it holds bytes that are no text in UTF-8")),
        (FieldKind::String { length: None }, "x'FF00'", Err("row 1 (A \"1\"): B: it holds bytes that are no text in UTF-8")),
        (FieldKind::String { length: None }, "CAST(x'FF00' AS TEXT)", Err("row 1 (A \"1\"): B: it holds bytes that are no text in UTF-8")),
        (FieldKind::String { length: None }, "x'C3A9'", Ok("é")),
        (FieldKind::String { length: None }, "9.5", Ok("9.5")),
        (FieldKind::Integer, "5.0", Ok("5")),
        (FieldKind::Integer, "5.5", Err("row 1 (A \"1\"): B: found \"5.5\", expected a whole number")),
        (FieldKind::Boolean, "1.0", Ok("Yes")),
        (FieldKind::Boolean, "'false'", Ok("No")),
        (FieldKind::Boolean, "2", Err("row 1 (A \"1\"): B: found \"2\", expected Yes or No")),
        (level(), "2", Ok("Mid")),
        (level(), "'high'", Ok("High")),
        (level(), "3", Err("row 1 (A \"1\"): B: found \"3\", not one of Low, Mid, High")),
        (FieldKind::Date, "'2024-01-31 00:00:00'", Ok("2024-01-31")),
        (FieldKind::Date, "20240131", Err("row 1 (A \"1\"): B: found \"20240131\", expected a day that exists")),
        (FieldKind::DateTime, "'2024-01-31 10:00'", Ok("2024-01-31 10:00:00")),
        (FieldKind::DateTime, "1704103200", Err("row 1 (A \"1\"): B: found \"1704103200\", expected a date and time that exist")),
        (FieldKind::DateTime, "NULL", Ok("")),
        (DECIMAL, "''", Ok("")),
    ];
    for (kind, value, expected) in table {
        let found = shop(&format!("CREATE TABLE t (A, B); INSERT INTO t VALUES (1, {value})"), &[FieldKind::Integer, kind.clone()], vec![]);
        match (found, expected) {
            (Ok(rows), Ok(expected)) => assert_eq!(rows, [format!("1,{expected}")], "{value}"),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{value}: {found}"),
            (found, _) => panic!("{value}: {found:?}"),
        }
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
    assert!(error.contains("row 2: NAME: windows-1252 has no \"日\""), "{error}");
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

/// What an incremental export of a table holds that a consumer had already, in this format, when this was done to it since: its document, that of
/// deleted keys where there is one, and how many were passed over.
fn changed_since(key: FieldKind, table: &str, done: &str, format: Format) -> Result<(String, Option<String>, u64), String> {
    use crate::store::changes::{Exporter, end_epoch};
    use crate::store::increments::{Needs, Reached};
    let dir = tempfile::tempdir().unwrap();
    let database = Database { name: "shop".into(), path: dir.path().join("shop.db"), managed: false, lock_wait: Default::default() };
    let connection = rusqlite::Connection::open(&database.path).unwrap();
    connection.execute_batch(table).unwrap();
    let entities = Entities::new(&[database]);
    let mut fields = crate::store::entities::found::of(&connection, "t").unwrap().unwrap().fields();
    fields[0].kind = key;
    let entity = Entity { name: "Shop".into(), database: "shop".into(), table: "t".into(), key: vec![0], fields, ..Entity::default() };
    let by = Exporter { appliance: "a", now: crate::model::time::Timestamp(0) };
    let first = end_epoch(&entities, by, &entity, &Reached::default(), &Needs::default()).map_err(|error| error.to_string())?.0;
    connection.execute_batch(done).unwrap();
    let reached = Reached { epoch: first.epoch, mark: Some(first.mark), selection: None };
    let range = end_epoch(&entities, by, &entity, &reached, &Needs::default()).map_err(|error| error.to_string())?.0;
    assert!(!range.is_full());
    let part = ProjectEntity { refresh: Refresh::Incremental { deletes: true }, ..ProjectEntity::new(Arc::new(entity), format) };
    let project = Project { name: "Out".into(), direction: Direction::Export, entities: vec![part] };
    let mut file = tempfile::tempfile().unwrap();
    let report = run(&Export { ranges: &[Some(range)], ..whole(&project, &entities) }, &mut file).map_err(|error| error.to_string())?;
    let mut zip = zip::ZipArchive::new(file).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let mut read = |deleted: bool| {
        let name = names.iter().find(|name| name.contains("Shop.") && name.starts_with("deleted/") == deleted)?;
        let mut bytes = Vec::new();
        zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok((read(false).unwrap(), read(true), report.passed_over))
}

#[test]
fn a_deleted_key_that_the_format_cannot_hold_is_passed_over_and_a_row_is_not() {
    let text = || FieldKind::String { length: None };
    let column = FixedColumn { name: "K".into(), start: 1, length: 4, pad: ' ', right: false };
    let csv = |format: CsvFormat| Format::Csv(CsvFormat { header: false, ..format });
    let numbers = |lines| Format::Json(JsonFormat { lines, nulls: vec!["0".into()], ..JsonFormat::default() });
    let table: [(FieldKind, &str, Format, &str); 6] = [
        (text(), "'toolong'", Format::Fixed(FixedFormat { columns: vec![column], ..FixedFormat::default() }), "b   \r\nc   \r\n"),
        (text(), "'a' || char(1)", Format::Xml(XmlFormat::default()), "<SHOP><K>b</K></SHOP>\n<SHOP><K>c</K></SHOP>\n</Document>\n"),
        (text(), "'a,b'", csv(CsvFormat { qualifier: None, ..CsvFormat::default() }), "b\r\nc\r\n"),
        (text(), "'a日'", csv(CsvFormat { encoding: encoding_rs::WINDOWS_1252, ..CsvFormat::default() }), "b\r\nc\r\n"),
        (FieldKind::Integer, "0", numbers(false), "[\n{\"K\":98},\n{\"K\":99}\n]\n"),
        (FieldKind::Integer, "'no number'", numbers(true), "{\"K\":98}\n{\"K\":99}\n"),
    ];
    for (kind, bad, format, expected) in table {
        let good = if kind == FieldKind::Integer { "(98), (99)" } else { "('b'), ('c')" };
        let rows = format!("CREATE TABLE t (K PRIMARY KEY); INSERT INTO t VALUES {good}");
        let came = format!("INSERT INTO t VALUES ({bad})");
        let error = changed_since(kind.clone(), &rows, &came, format.clone()).unwrap_err();
        assert!(error.contains("cannot write Shop, row 1"), "{error}");
        let (_, deleted, passed_over) = changed_since(kind.clone(), &rows, &format!("{came}; DELETE FROM t"), format.clone()).unwrap();
        let deleted = deleted.unwrap();
        assert!(deleted.ends_with(expected), "{deleted}");
        assert_eq!(passed_over, 1, "{deleted}");
    }
}

#[test]
fn a_key_that_is_called_as_the_log_calls_its_own_column_is_tracked() {
    for name in ["epoch", "Epoch"] {
        let table = format!("CREATE TABLE t ({name} INTEGER PRIMARY KEY, rate TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
        let done = format!("UPDATE t SET rate = 'B' WHERE {name} = 2; DELETE FROM t WHERE {name} = 3; INSERT INTO t VALUES (4, 'd')");
        let format = Format::Csv(CsvFormat { header: false, ..CsvFormat::default() });
        let (rows, deleted, _) = changed_since(FieldKind::Integer, &table, &done, format).unwrap();
        assert_eq!((rows.as_str(), deleted.as_deref()), ("2,B\r\n4,d\r\n", Some("3\r\n")), "{name}");
    }
}
