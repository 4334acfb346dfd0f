//! Values that a row has from elsewhere: from the row that it belongs to, and from rows that it looks up.

use super::load::with_lines;
use super::*;
use crate::model::entity::{Decimal, Pattern};

/// Groups with lines nested in them, whose OF is the group's NAME and is changed so.
fn of_name(key: &[usize], change: impl FnOnce(&mut Field)) -> Scene {
    let mut scene = scene(CsvFormat::default());
    with_lines(&mut scene, Source::Parent(1));
    let mut lines = (*scene.all[1]).clone();
    lines.key = key.to_vec();
    change(&mut lines.fields[1]);
    scene.all[1] = Arc::new(lines);
    scene.project_entity.nested[0].project_entity.entity = scene.all[1].clone();
    scene
}

fn lines(scene: &Scene) -> Vec<String> {
    let connection = scene.entities.reader("entities", &[]).unwrap().unwrap();
    let mut statement = connection.prepare("SELECT NO || coalesce(OF, '-') FROM lines ORDER BY NO").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn told(sink: &Memory) -> Vec<(Rule, u64, &str, &str)> {
    let faults = sink.findings.iter().filter(|finding| finding.rule != Rule::Together && finding.row > 0);
    faults.map(|finding| (finding.rule, finding.row, finding.field.as_str(), finding.message.as_str())).collect()
}

#[test]
fn a_key_or_a_required_field_that_the_outer_row_leaves_blank_is_a_finding() {
    const BLANK: &str = "a required value is blank: NAME of the row that it belongs to";
    for scene in [of_name(&[1, 0], |_| {}), of_name(&[0], |field| field.required = true)] {
        for _ in 0..2 {
            let document =
                br#"[{"Group":"1","Name":null,"lines":[{"No":1},{"No":2}]},{"Group":"2","Name":"b","lines":[{"No":3}]},{"Group":"3"},
                {"Group":"4","Amount":"x","lines":[{"No":4}]},{"Group":"5","Name":[],"lines":[{"No":5}]}]"#;
            let (report, sink) = scene.import(document);
            assert_eq!(report.counts.refused, 7, "{:?}", sink.findings);
            let all = told(&sink);
            assert_eq!(all[..2], [(Rule::Required, 1, "OF", BLANK); 2]);
            assert_eq!((all[2].0, all[2].1), (Rule::Type, 4));
            assert_eq!((all[3], all.len()), ((Rule::Required, 4, "OF", BLANK), 5), "{all:?}: it is told beside what else is wrong");
            assert_eq!(lines(&scene), ["3b"]);
        }
    }
    assert_eq!(of_name(&[0], |_| {}).import(br#"[{"Group":"1","lines":[{"No":1}]}]"#).0.counts.inserted, 2, "others may be blank");
}

#[test]
fn what_a_nested_row_has_from_the_outer_one_passes_the_rules_of_its_own_field() {
    let limits = |field: &mut Field| {
        field.kind = FieldKind::String { length: Some(3) };
        field.pattern = Pattern::new("[a-z]+").ok();
    };
    let scene = of_name(&[0], limits);
    let document = br#"[{"Group":"1","Name":"long","lines":[{"No":1}]},{"Group":"2","Name":"abc","lines":[{"No":2}]},
        {"Group":"3","Name":"A","lines":[{"No":3}]}]"#;
    let (report, sink) = scene.import(document);
    assert_eq!(report.counts, counts(6, 2, 0, 0, 4));
    let expected = [
        (Rule::Length, 1, "OF", "4 characters, at most 3 fit: NAME of the row that it belongs to"),
        (Rule::Pattern, 3, "OF", "it does not match the pattern [a-z]+: NAME of the row that it belongs to"),
    ];
    assert_eq!(told(&sink), expected);
    assert_eq!((sink.findings[0].value.as_str(), lines(&scene)), ("long", vec!["2abc".to_owned()]));
    // Decimals are kept with the digits of their own field.
    let mut scene = of_name(&[0], |field| field.kind = FieldKind::Decimal { precision: 4, scale: 1 });
    scene.project_entity.nested[0].project_entity.mapping[1].source = Source::Parent(2);
    let document = br#"[{"Group":"1","Amount":1.5,"lines":[{"No":1}]},{"Group":"2","Amount":1.25,"lines":[{"No":2}]}]"#;
    let (_, sink) = scene.import(document);
    assert_eq!((told(&sink)[0].0, told(&sink).len()), (Rule::Range, 1));
    assert_eq!(lines(&scene), ["11.5"]);
}

#[test]
fn what_is_looked_up_passes_the_rules_of_the_field_that_it_is_for() {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n10,short,1,\n11,a rather long name,1,\n12,name,1234.25,\n");
    let mut entity = (*scene.all[0]).clone();
    entity.name = "Others".into();
    entity.table = "others".into();
    entity.fields[3].references = None;
    entity.fields[1].kind = FieldKind::String { length: Some(5) };
    entity.fields[2].kind = FieldKind::Decimal { precision: 6, scale: 1 };
    entity.fields[2].maximum = Some(Decimal { units: 10, scale: 0 });
    scene.all.push(Arc::new(entity));
    scene.project_entity.entity = scene.all[1].clone();
    let by = |take: &str| Some(LookUp { entity: "Groups".into(), find: "ID".into(), take: take.into() });
    scene.project_entity.mapping = vec![
        Mapping::plain(Source::Column("Group".into()), 0),
        Mapping { look_up: by("NAME"), ..Mapping::plain(Source::Column("Of".into()), 1) },
        Mapping { look_up: by("AMOUNT"), ..Mapping::plain(Source::Column("Of".into()), 2) },
    ];
    let (report, sink) = scene.import(b"Group,Of\n1,10\n2,11\n3,12\nx,12\n1234567890123,12\n");
    assert_eq!(report.counts, counts(5, 1, 0, 0, 4));
    let expected = [
        (Rule::Length, 2, "NAME", "18 characters, at most 5 fit: NAME of the row of Groups that \"11\" finds"),
        (Rule::Range, 3, "AMOUNT", "2 digits after the point, at most 1 fit: AMOUNT of the row of Groups that \"12\" finds"),
        (Rule::Range, 4, "AMOUNT", "2 digits after the point, at most 1 fit: AMOUNT of the row of Groups that \"12\" finds"),
        (Rule::Length, 5, "ID", "13 characters, at most 10 fit"),
        (Rule::Range, 5, "AMOUNT", "2 digits after the point, at most 1 fit: AMOUNT of the row of Groups that \"12\" finds"),
    ];
    assert_eq!(told(&sink), expected);
    assert_eq!((sink.findings[0].column.as_str(), sink.findings[0].value.as_str()), ("Of", "a rather long name"));
    let connection = scene.entities.reader("entities", &[]).unwrap().unwrap();
    let row: String = connection.query_row("SELECT concat_ws('|', ID, NAME, AMOUNT) FROM others", [], |row| row.get(0)).unwrap();
    assert_eq!(row, "1|short|1.0", "in the spelling of its own field");
}

/// Groups in a database of somebody else, whose schema this is, beside another entity of it with a key and a NAME.
fn in_a_shop(sql: &str, other: &str) -> Scene {
    let mut scene = scene(CsvFormat::default());
    let path = scene._dir.path().join("shop.db");
    let groups = "CREATE TABLE groups (ID TEXT PRIMARY KEY, NAME TEXT, AMOUNT TEXT, ABOVE TEXT);";
    rusqlite::Connection::open(&path).unwrap().execute_batch(&format!("{groups} {sql}")).unwrap();
    let database = Database { name: "shop".into(), path, managed: false, lock_wait: std::time::Duration::ZERO };
    scene.entities = Entities::new(&[Database::managed(scene._dir.path()), database]);
    let mut entity = (*scene.all[0]).clone();
    entity.database = "shop".into();
    let fields = entity.fields[..2].to_vec();
    let beside = Entity { name: "Beside".into(), table: other.into(), fields, ..entity.clone() };
    entity.fields[3].references = None;
    scene.all = vec![Arc::new(entity), Arc::new(beside)];
    scene.project_entity.entity = scene.all[0].clone();
    scene
}

#[test]
fn what_is_looked_up_through_a_view_of_the_table_that_is_loaded_is_what_the_rows_before_have_made_of_it() {
    let mut scene = in_a_shop("CREATE VIEW people AS SELECT ID, NAME FROM groups", "people");
    scene.project_entity.mapping[3].look_up = Some(LookUp { entity: "Beside".into(), find: "NAME".into(), take: "ID".into() });
    let (report, sink) = scene.import(b"Group,Name,Amount,Above\n7,b,,\n1,a,,b\n7,old,,\n8,b,,\n3,d,,b\n");
    assert_eq!(report.counts, counts(5, 4, 1, 0, 0), "{:?}", sink.findings);
    let connection = scene.entities.reader("shop", &[]).unwrap().unwrap();
    let above = |id: &str| connection.query_row("SELECT ABOVE FROM groups WHERE ID = ?1", [id], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!((above("1"), above("3")), ("7".into(), "8".into()));
}

#[test]
fn a_row_may_refer_to_one_that_a_view_or_a_trigger_of_the_table_that_is_loaded_has_made() {
    let trigger = "CREATE TABLE accounts (ID TEXT PRIMARY KEY, NAME TEXT);
        CREATE TRIGGER added AFTER INSERT ON groups BEGIN INSERT INTO accounts VALUES (new.ID, new.NAME); END";
    for (sql, table) in [("CREATE VIEW people AS SELECT ID, NAME FROM groups", "people"), (trigger, "accounts")] {
        let mut scene = in_a_shop(sql, table);
        let mut entity = (*scene.all[0]).clone();
        entity.fields[3].references = Some("Beside".into());
        scene.all[0] = Arc::new(entity);
        scene.project_entity.entity = scene.all[0].clone();
        let (report, sink) = scene.import(b"Group,Name,Amount,Above\n1,,,8\n8,,,\n2,,,8\n");
        let refused: Vec<u64> = sink.findings.iter().map(|finding| finding.row).collect();
        assert_eq!((report.counts.inserted, refused), (2, vec![1]), "{table}");
    }
}
