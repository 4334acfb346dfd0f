//! What is decided when a row meets the rows that are there.

use super::*;

pub(super) fn sequence(scene: &mut Scene, field: usize, when: When) {
    let source = Source::NumberSequence { pattern: "CG-##".into() };
    scene.project_entity.mapping.push(Mapping { when, ..Mapping::plain(source, field) });
}

/// Rule, row, field and value of each finding.
fn told(sink: &Memory) -> Vec<(Rule, u64, &str, &str)> {
    sink.findings.iter().map(|finding| (finding.rule, finding.row, finding.field.as_str(), finding.value.as_str())).collect()
}

#[test]
fn a_number_sequence_passes_over_numbers_that_rows_have_and_no_row_overwrites_another() {
    let mut scene = scene(CsvFormat::default());
    sequence(&mut scene, 0, When::Blank);
    scene.import(b"Group,Name,Amount,Above\nCG-01,old,,\nCG-03,older,,\n");
    let (report, sink) = scene.import(b"Group,Name,Amount,Above\n,new,,\n,newer,x,\n,newest,,\nCG-05,own,,\n,last,,\nCG-06,late,,\n");
    assert_eq!(report.counts, counts(6, 4, 0, 0, 2));
    assert_eq!(told(&sink), [(Rule::Type, 2, "AMOUNT", "x"), (Rule::Unique, 6, "ID", "CG-06")]);
    assert!(sink.findings[1].message.contains("row 5 of the document was given this number"), "{:?}", sink.findings[1]);
    assert_eq!(scene.rows(), ["CG-01|old", "CG-02|new", "CG-03|older", "CG-04|newest", "CG-05|own", "CG-06|last"]);
}

#[test]
fn a_number_and_a_key_that_the_table_takes_for_the_same_are_the_same() {
    let mut scene = scene(CsvFormat::default());
    let mut entity = (*scene.all[0]).clone();
    (entity.fields[0].kind, entity.fields[3].references) = (FieldKind::Integer, None);
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
    let source = Source::NumberSequence { pattern: "###".into() };
    scene.project_entity.mapping.push(Mapping { when: When::Blank, ..Mapping::plain(source, 0) });
    let (report, sink) = scene.import(b"Group,Name,Amount,Above\n2,x,,\n,n1,,\n,n2,,\n1,y,,\n");
    assert_eq!((report.counts, told(&sink)), (counts(4, 3, 0, 0, 1), vec![(Rule::Unique, 4, "ID", "1")]));
    assert_eq!(scene.rows(), ["1|n1", "2|x", "3|n2"]);
}

#[test]
fn a_row_keeps_the_number_that_it_has_and_takes_none() {
    let mut scene = scene(CsvFormat::default());
    scene.project_entity.mapping.retain(|mapping| mapping.field != 1);
    sequence(&mut scene, 1, When::Always);
    let document = b"Group,Amount,Above\n10,1,\n20,1,\n10,1,\n";
    assert_eq!(scene.import(document).0.counts, counts(3, 2, 0, 1, 0));
    assert_eq!(scene.import(document).0.counts, counts(3, 0, 0, 3, 0));
    scene.import(b"Group,Amount,Above\n20,7,\n30,1,\n");
    assert_eq!(scene.rows(), ["10|CG-01|1.00", "20|CG-02|7.00", "30|CG-03|1.00"]);
}

#[test]
fn the_first_number_of_a_sequence_is_no_new_row() {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n1,,1,\n2,,1,\n");
    scene.project_entity.mapping.remove(1);
    sequence(&mut scene, 1, When::Always);
    let (report, _) = scene.import(b"Group,Amount,Above\n1,1,\n2,1,\n3,1,\n");
    assert_eq!(report.counts, counts(3, 1, 2, 0, 0));
    assert_eq!(scene.rows(), ["1|CG-01|1.00", "2|CG-02|1.00", "3|CG-03|1.00"]);
}

#[test]
fn each_entity_counts_by_itself_though_patterns_are_alike() {
    let mut scene = scene(CsvFormat::default());
    let mut other = (*scene.all[0]).clone();
    (other.name, other.table) = ("Others".into(), "others".into());
    scene.all.push(Arc::new(other));
    sequence(&mut scene, 0, When::Blank);
    scene.import(b"Group,Name,Amount,Above\n,a,,\n");
    let groups = std::mem::replace(&mut scene.project_entity.entity, scene.all[1].clone());
    scene.import(b"Group,Name,Amount,Above\n,b,,\n");
    scene.project_entity.entity = groups;
    scene.import(b"Group,Name,Amount,Above\n,c,,\n");
    assert_eq!(scene.rows(), ["CG-01|a", "CG-02|c"]);
}

#[test]
fn every_fault_of_a_row_is_told_whichever_is_found_first() {
    let mut scene = scene(CsvFormat::default());
    let mut entity = (*scene.all[0]).clone();
    entity.fields[1].unique = true;
    let rule = crate::document::mapping::check::parse(&entity, "ID != ABOVE").unwrap();
    entity.checks = vec![crate::model::check::Check { rule, message: String::new() }];
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
    let (report, sink) = scene.import(b"Group,Name,Amount,Above\n10,same,1,\n20,same,x,99\n30,,x,30\n,no,x,98\n");
    assert_eq!(report.counts, counts(4, 1, 0, 0, 3));
    let expected = [
        (Rule::Type, 2, "AMOUNT", "x"),
        (Rule::Reference, 2, "ABOVE", "99"),
        (Rule::Unique, 2, "NAME", "same"),
        (Rule::Type, 3, "AMOUNT", "x"),
        (Rule::Check, 3, "ID, ABOVE", "30, 30"),
        (Rule::Type, 4, "AMOUNT", "x"),
        (Rule::Required, 4, "ID", ""),
        (Rule::Reference, 4, "ABOVE", "98"),
    ];
    assert_eq!(told(&sink), expected);
    assert_eq!(sink.findings[4].column, "Group, Above");
}

#[test]
fn a_check_compares_what_was_looked_up_and_not_what_it_was_looked_up_by() {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n10,Retail,1,\n");
    let mut entity = (*scene.all[0]).clone();
    let rule = crate::document::mapping::check::parse(&entity, "ABOVE = 10").unwrap();
    entity.checks = vec![crate::model::check::Check { rule, message: String::new() }];
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
    scene.project_entity.mapping[3].look_up = Some(LookUp { entity: "Groups".into(), find: "NAME".into(), take: "ID".into() });
    let (report, sink) = scene.import(b"Group,Name,Amount,Above\n20,Gross,1,Retail\n30,x,1,Gross\n");
    assert_eq!((report.counts, told(&sink)), (counts(2, 1, 0, 0, 1), vec![(Rule::Check, 2, "ABOVE", "20")]));
}

#[test]
fn a_look_up_that_finds_several_rows_or_a_blank_one_says_so() {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n10,one,1,\n11,two,1,\n12,two,2,\n13,three,3,10\n14,three,3,10\n");
    let look_up = |find: &str, take: &str| Some(LookUp { entity: "Groups".into(), find: find.into(), take: take.into() });
    scene.project_entity.mapping[3].look_up = look_up("NAME", "ID");
    let (_, sink) = scene.import(b"Group,Name,Amount,Above\n20,x,1,one\n21,x,1,two\n22,x,1,four\n");
    let messages: Vec<_> = sink.findings.iter().map(|finding| (finding.row, finding.message.as_str(), finding.expected.as_str())).collect();
    assert_eq!(
        messages,
        [(2, "Groups has several rows with this value, and their ID differs", ""), (3, "Groups has no row with this value", "")]
    );
    scene.project_entity.mapping[3].look_up = look_up("NAME", "ABOVE");
    let (report, sink) = scene.import(b"Group,Name,Amount,Above\n20,x,1,one\n21,x,1,three\n");
    assert_eq!(report.counts, counts(2, 1, 0, 0, 1), "rows that agree are as good as one");
    assert_eq!(sink.findings[0].message, "Groups has a row with this value, whose ABOVE is blank");
}

#[test]
fn a_row_may_refer_to_itself() {
    let scene = scene(CsvFormat::default());
    let (report, sink) = scene.import(b"Group,Name,Amount,Above\n10,top,1,10\n20,x,1,10\n30,y,1,40\n");
    assert_eq!((report.counts, told(&sink)), (counts(3, 2, 0, 0, 1), vec![(Rule::Reference, 3, "ABOVE", "40")]));
}

#[test]
fn a_document_of_which_every_row_is_refused_removes_nothing() {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n10,kept,1,\n");
    scene.project_entity.truncate = true;
    let (report, sink) = scene.import(b"Group,Name,Amount,Above\n20,x,x,\n");
    assert_eq!((report.counts, report.removed), (counts(1, 0, 0, 0, 1), 0));
    assert!(report.document_refused && sink.refused.is_empty(), "what comes back as refused rows would not empty the table");
    assert_eq!(scene.rows(), ["10|kept|1.00"]);
    let (report, _) = scene.import(b"Group,Name,Amount,Above\n20,x,x,\n30,new,1,\n");
    assert_eq!((report.counts, report.removed), (counts(2, 1, 0, 0, 1), 1));
    assert_eq!(scene.rows(), ["30|new|1.00"]);
}

fn with_rule(scene: &mut Scene, rule: &str) {
    let mut entity = (*scene.all[0]).clone();
    let rule = crate::document::mapping::check::parse(&entity, rule).unwrap();
    entity.checks = vec![crate::model::check::Check { rule, message: String::new() }];
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
}

#[test]
fn a_check_holds_for_the_row_as_it_will_be_also_where_the_document_leaves_fields_to_it() {
    for write in [WriteMode::Upsert, WriteMode::Update] {
        let mut scene = scene(CsvFormat::default());
        with_rule(&mut scene, "NAME != 'big' or AMOUNT >= 10");
        scene.import(b"Group,Name,Amount,Above\n10,small,5,\n20,small,20,\n30,small,5,\n");
        (scene.project_entity.mapping_stated, scene.project_entity.write) = (false, write);
        let (report, sink) = scene.import(b"Group,Name\n10,big\n20,big\n30,tiny\n");
        assert_eq!((report.counts, told(&sink)), (counts(3, 0, 2, 0, 1), vec![(Rule::Check, 1, "NAME, AMOUNT", "big, 5.00")]));
        assert_eq!((sink.findings[0].line, sink.findings[0].column.as_str()), (2, "Name, Amount"));
        assert!(sink.findings[0].hint.contains("AMOUNT is kept from the row that is there"), "{:?}", sink.findings[0]);
        assert_eq!(scene.rows(), ["10|small|5.00", "20|big|20.00", "30|tiny|5.00"]);
        // A row before it in the document is there, too.
        scene.project_entity.mapping_stated = true;
        scene.project_entity.mapping[2].ignore_blank = true;
        let (report, sink) = scene.import(b"Group,Name,Amount,Above\n30,big,11,\n30,bigger,,\n10,big,,\n30,small,2,\n30,big,,\n");
        assert_eq!(report.counts.refused, 2);
        assert_eq!(told(&sink), [(Rule::Check, 3, "NAME, AMOUNT", "big, 5.00"), (Rule::Check, 5, "NAME, AMOUNT", "big, 2.00")]);
        assert_eq!(scene.rows(), ["10|small|5.00", "20|big|20.00", "30|small|2.00"]);
    }
}

#[test]
fn a_check_of_fields_that_a_document_says_nothing_of_is_none_of_its_faults() {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n10,a,1,\n20,b,2,\n");
    with_rule(&mut scene, "AMOUNT is not blank and AMOUNT >= 2");
    scene.project_entity.mapping_stated = false;
    let (report, sink) = scene.import(b"Group,Name\n10,x\n20,y\n30,new\n");
    assert_eq!((report.counts, told(&sink)), (counts(3, 0, 2, 0, 1), vec![(Rule::Check, 3, "AMOUNT", "")]));
    scene.project_entity.write = WriteMode::Update;
    let (_, sink) = scene.import(b"Group,Name\n30,new\n");
    assert_eq!(told(&sink), [(Rule::Missing, 1, "ID", "30")]);
}

#[test]
fn a_blank_that_keeps_a_required_value_needs_one_to_keep() {
    let mut scene = scene(CsvFormat::default());
    let mut entity = (*scene.all[0]).clone();
    scene.import(b"Group,Name,Amount,Above\n10,a,1,\n20,b,,\n");
    entity.fields[2].required = true;
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
    scene.project_entity.mapping[2].ignore_blank = true;
    let (report, sink) = scene.import(b"Group,Name,Amount,Above\n10,x,,\n20,y,,\n30,z,,\n,n,x,\n");
    assert_eq!(report.counts, counts(4, 0, 1, 0, 3));
    let expected = [
        (Rule::Required, 2, "AMOUNT", ""),
        (Rule::Required, 3, "AMOUNT", ""),
        (Rule::Type, 4, "AMOUNT", "x"),
        (Rule::Required, 4, "ID", ""),
    ];
    assert_eq!(told(&sink), expected);
    scene.project_entity.write = WriteMode::Insert;
    let (_, sink) = scene.import(b"Group,Name,Amount,Above\n30,z,,\n");
    assert_eq!(told(&sink), [(Rule::Required, 1, "AMOUNT", "")]);
}

#[test]
fn what_a_table_of_somebody_else_keeps_counts_as_a_value_of_its_field() {
    let mut scene = scene(CsvFormat::default());
    let path = scene._dir.path().join("shop.db");
    let shop = rusqlite::Connection::open(&path).unwrap();
    shop.execute_batch(
        "CREATE TABLE groups (ID TEXT PRIMARY KEY, NAME TEXT, AMOUNT REAL, ABOVE TEXT);
         INSERT INTO groups VALUES ('10', 'a', 9.5, ''), ('20', 'b', 10, ''), ('30', 'c', 'much', '')",
    )
    .unwrap();
    let database = Database { name: "shop".into(), path, managed: false, lock_wait: std::time::Duration::ZERO };
    scene.entities = Entities::new(&[Database::managed(scene._dir.path()), database]);
    with_rule(&mut scene, "NAME != 'big' or AMOUNT >= 9.6");
    let mut entity = (*scene.all[0]).clone();
    (entity.database, entity.fields[3].references) = ("shop".into(), None);
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
    scene.project_entity.mapping_stated = false;
    let (report, sink) = scene.import(b"Group,Name\n10,big\n20,big\n30,big\n");
    assert_eq!(report.counts, counts(3, 0, 1, 0, 2));
    assert_eq!(told(&sink), [(Rule::Check, 1, "NAME, AMOUNT", "big, 9.50"), (Rule::Check, 3, "NAME, AMOUNT", ", ")]);
    assert!(sink.findings[1].message.contains("AMOUNT of the row that is there: found \"much\""), "{:?}", sink.findings[1]);
}

#[test]
fn rows_that_take_the_place_of_others_of_their_document_are_noted_unless_that_is_meant() {
    let document = b"Group,Name,Amount,Above\n1,a,1,\n1,b,2,\n2,c,3,\n2,c,3.00,\n";
    let mut scene = scene(CsvFormat::default());
    let (report, sink) = scene.import(document);
    assert_eq!((report.counts, report.notes), (counts(4, 2, 1, 1, 0), 1), "{:?}", sink.findings);
    assert!(sink.findings[0].message.starts_with("a row of the document has the key of a row before it"), "{:?}", sink.findings);
    assert_eq!(scene.import(b"Group,Name,Amount,Above\n1,a,1,\n1,b,2,\n").0.notes, 0, "rows that were there are updated, too");
    (scene.project_entity.duplicates, scene.project_entity.truncate) = (Duplicates::LastAsMeant, true);
    assert_eq!(scene.import(document).0.notes, 0);
    scene.project_entity.duplicates = Duplicates::Last;
    assert_eq!(scene.import(document).0.notes, 1);
}

#[test]
fn a_look_up_in_the_own_entity_sees_what_the_rows_before_have_made_of_it() {
    let mut scene = scene(CsvFormat::default());
    scene.project_entity.duplicates = Duplicates::LastAsMeant;
    scene.project_entity.mapping[3].look_up = Some(LookUp { entity: "Groups".into(), find: "NAME".into(), take: "ID".into() });
    let (report, sink) = scene.import(
        b"Group,Name,Amount,Above\n2,two,1,nine\n9,nine,1,\n3,three,1,nine\n9,ninth,1,\n4,four,1,nine\n5,five,1,ninth\n10,ninth,1,\n6,six,1,ninth\n",
    );
    assert_eq!(report.counts, counts(8, 4, 1, 0, 3), "{:?}", sink.findings);
    let found: Vec<_> = sink.findings.iter().map(|finding| (finding.row, finding.message.as_str())).collect();
    let none = "Groups has no row with this value";
    assert_eq!(found, [(1, none), (5, none), (8, "Groups has several rows with this value, and their ID differs")]);
    assert_eq!(scene.rows(), ["10|ninth|1.00", "3|three|1.00|9", "5|five|1.00|9", "9|ninth|1.00"]);
}

#[test]
fn a_record_that_is_refused_with_what_is_nested_in_it_counts_among_those_of_its_key() {
    let mut scene = scene(CsvFormat::default());
    with_lines(&mut scene, Source::Column("Of".into()));
    let lines = scene.all[1].clone();
    let mut fields = lines.fields.clone();
    fields[1].references = Some("Groups".into());
    scene.all[1] = Arc::new(Entity { fields, ..(*lines).clone() });
    scene.project_entity.nested[0].project_entity.entity = scene.all[1].clone();
    scene.project_entity.duplicates = Duplicates::Refuse;
    let document = br#"[{"Group":"1","Name":"first","lines":[{"No":1,"Of":"none"}]},{"Group":"1","Name":"second","lines":[]}]"#;
    let (report, sink) = scene.import(document);
    assert_eq!(report.counts, counts(3, 0, 0, 0, 3), "{:?}", sink.findings);
    let told = sink.findings.iter().any(|finding| finding.row == 2 && finding.message == "row 1 of the document has it too");
    assert!(told, "{:?}", sink.findings);
}

/// Groups in JSON, with lines nested in them: their number, and what they are of.
pub(super) fn with_lines(scene: &mut Scene, of: Source) {
    let fields = vec![field("NO", FieldKind::Integer), field("OF", FieldKind::String { length: None })];
    let entity =
        Entity { name: "Lines".into(), database: "entities".into(), table: "lines".into(), key: vec![0], fields, ..Entity::default() };
    scene.all.push(Arc::new(entity));
    let json = Format::Json(JsonFormat::default());
    let lines = ProjectEntity {
        mapping: vec![Mapping::plain(Source::Column("No".into()), 0), Mapping::plain(of, 1)],
        ..ProjectEntity::new(scene.all[1].clone(), json.clone())
    };
    scene.project_entity.format = json;
    scene.project_entity.nested = vec![crate::model::project::NestedEntity { record: path("lines").unwrap(), project_entity: lines }];
}

#[test]
fn nested_rows_take_what_their_row_has_where_the_document_leaves_it_as_it_is() {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n1,kept,1,\n2,other,1,\n");
    with_lines(&mut scene, Source::Parent(1));
    scene.project_entity.mapping[1].ignore_blank = true;
    let document = br#"[{"Group":"1","Name":"","lines":[{"No":1},{"No":2}]},{"Group":"2","Name":"new","lines":[{"No":3}]},{"Group":"3","Name":"","lines":[{"No":4}]}]"#;
    let (report, sink) = scene.import(document);
    assert_eq!((report.counts.inserted, report.counts.refused), (5, 0), "{:?}", sink.findings);
    let connection = scene.entities.reader("entities", &[]).unwrap().unwrap();
    let mut statement = connection.prepare("SELECT NO || coalesce(OF, '-') FROM lines ORDER BY NO").unwrap();
    let lines: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(lines, ["1kept", "2kept", "3new", "4-"]);
}

/// Fields by their own names, as nobody has written a mapping; `shop` keeps them in a table of somebody else.
fn unmapped(format: Format, shop: bool) -> Scene {
    let mut scene = nested(format);
    if shop {
        let path = scene._dir.path().join("shop.db");
        let sql = "CREATE TABLE groups (ID TEXT PRIMARY KEY, NAME TEXT, AMOUNT TEXT DEFAULT '7.00', ABOVE TEXT)";
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let database = Database { name: "shop".into(), path, managed: false, lock_wait: std::time::Duration::ZERO };
        scene.entities = Entities::new(&[Database::managed(scene._dir.path()), database]);
    }
    let mut entity = (*scene.all[0]).clone();
    entity.fields[3].references = None;
    entity.database = if shop { "shop" } else { "entities" }.into();
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
    let names = ["ID", "NAME", "AMOUNT", "ABOVE"].into_iter().enumerate();
    scene.project_entity.mapping = names.map(|(at, name)| Mapping::plain(Source::Column(name.into()), at)).collect();
    scene.project_entity.mapping_stated = false;
    scene
}

fn rows_in(scene: &Scene, database: &str) -> Vec<String> {
    let connection = scene.entities.reader(database, &[]).unwrap().unwrap();
    let sql = "SELECT concat_ws('|', ID, coalesce(NAME, '-'), coalesce(AMOUNT, '-'), coalesce(ABOVE, '-')) FROM groups ORDER BY ID";
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn what_a_record_says_nothing_of_is_kept_where_nobody_wrote_a_mapping_and_what_is_blank_in_it_is_emptied() {
    let (xml, lines) = (XmlFormat::default(), JsonFormat { lines: true, ..JsonFormat::default() });
    let attributes = XmlFormat { style: XmlStyle::Attribute, ..xml.clone() };
    for (format, first, lacks, blank) in [
        (
            Format::Json(JsonFormat::default()),
            r#"[{"ID":"1","NAME":"a","AMOUNT":1,"ABOVE":"x"},{"ID":"2","NAME":"b","AMOUNT":2,"ABOVE":"y"}]"#,
            r#"[{"ID":"1","NAME":"new"},{"ID":"2","ABOVE":"z"},{"ID":"3"}]"#,
            r#"[{"ID":"1","AMOUNT":null,"ABOVE":""},{"ID":"3","AMOUNT":null}]"#,
        ),
        (
            Format::Json(lines),
            "{\"ID\":\"1\",\"NAME\":\"a\",\"AMOUNT\":1,\"ABOVE\":\"x\"}\n{\"ID\":\"2\",\"NAME\":\"b\",\"AMOUNT\":2,\"ABOVE\":\"y\"}\n",
            "{\"ID\":\"1\",\"NAME\":\"new\"}\n{\"ID\":\"2\",\"ABOVE\":\"z\"}\n{\"ID\":\"3\"}\n",
            "{\"ID\":\"1\",\"AMOUNT\":{},\"ABOVE\":\" \"}\n{\"ID\":\"3\",\"AMOUNT\":null}\n",
        ),
        (
            Format::Xml(xml),
            "<D><R><ID>1</ID><NAME>a</NAME><AMOUNT>1</AMOUNT><ABOVE>x</ABOVE></R><R><ID>2</ID><NAME>b</NAME><AMOUNT>2</AMOUNT><ABOVE>y</ABOVE></R></D>",
            "<D><R><ID>1</ID><NAME>new</NAME></R><R><ID>2</ID><ABOVE>z</ABOVE></R><R><ID>3</ID></R></D>",
            "<D><R><ID>1</ID><AMOUNT/><ABOVE></ABOVE></R><R><ID>3</ID><AMOUNT/></R></D>",
        ),
        (
            Format::Xml(attributes),
            "<D><R ID='1' NAME='a' AMOUNT='1' ABOVE='x'/><R ID='2' NAME='b' AMOUNT='2' ABOVE='y'/></D>",
            "<D><R ID='1' NAME='new'/><R ID='2' ABOVE='z'/><R ID='3'/></D>",
            "<D><R ID='1' AMOUNT='' ABOVE=''/><R ID='3' AMOUNT=''/></D>",
        ),
    ] {
        for (shop, database, new) in [(false, "entities", "3|-|-|-"), (true, "shop", "3|-|7.00|-")] {
            let mut scene = unmapped(format.clone(), shop);
            assert_eq!(scene.import(first.as_bytes()).0.counts, counts(2, 2, 0, 0, 0));
            let (report, sink) = scene.import(lacks.as_bytes());
            assert_eq!(report.counts, counts(3, 1, 2, 0, 0), "{lacks}: {:?}", sink.findings);
            assert_eq!(rows_in(&scene, database), ["1|new|1.00|x", "2|b|2.00|z", new], "{lacks}");
            assert_eq!(scene.import(lacks.as_bytes()).0.counts, counts(3, 0, 0, 3, 0), "{lacks}");
            let (report, sink) = scene.import(blank.as_bytes());
            assert_eq!(report.counts.refused, 0, "{:?}", sink.findings);
            assert_eq!(rows_in(&scene, database), ["1|new|-|-", "2|b|2.00|z", "3|-|-|-"], "{blank}");
            scene.project_entity.write = WriteMode::Update;
            scene.import(lacks.as_bytes());
            assert_eq!(rows_in(&scene, database)[..2], ["1|new|-|-", "2|b|2.00|z"], "{lacks}");
            // Of a table that is emptied nothing is kept.
            (scene.project_entity.truncate, scene.project_entity.write) = (true, WriteMode::Upsert);
            scene.import(lacks.as_bytes());
            let amount = if shop { "7.00" } else { "-" };
            let all = [format!("1|new|{amount}|-"), format!("2|-|{amount}|z"), new.to_owned()];
            assert_eq!(rows_in(&scene, database), all, "{lacks}");
            // What somebody wrote down is as blank as it says.
            (scene.project_entity.truncate, scene.project_entity.mapping_stated) = (false, true);
            scene.import(lacks.as_bytes());
            assert_eq!(rows_in(&scene, database), ["1|new|-|-", "2|-|-|z", "3|-|-|-"], "{lacks}");
        }
    }
}

#[test]
fn a_check_holds_for_the_row_as_it_will_be_also_where_one_record_says_less_than_another() {
    let mut scene = unmapped(Format::Json(JsonFormat::default()), false);
    with_rule(&mut scene, "NAME != 'big' or AMOUNT >= 10");
    scene.import(br#"[{"ID":"1","NAME":"a","AMOUNT":5},{"ID":"2","NAME":"a","AMOUNT":20},{"ID":"3","NAME":"a","AMOUNT":5}]"#);
    let (report, sink) = scene.import(br#"[{"ID":"1","NAME":"big"},{"ID":"2","NAME":"big"},{"ID":"3","NAME":"big","AMOUNT":null}]"#);
    assert_eq!((report.counts, told(&sink)), (counts(3, 0, 2, 0, 1), vec![(Rule::Check, 1, "NAME, AMOUNT", "big, 5.00")]));
    assert_eq!(rows_in(&scene, "entities"), ["1|a|5.00|-", "2|big|20.00|-", "3|big|-|-"]);
}

#[test]
fn a_table_that_is_emptied_may_lack_columns_too_and_says_what_its_rows_no_longer_have() {
    let mut scene = unmapped(Format::Csv(CsvFormat::default()), true);
    scene.project_entity.truncate = true;
    assert_eq!(scene.import(b"ID,NAME,AMOUNT,ABOVE\n1,a,1,x\n").0.notes, 0);
    let (report, sink) = scene.import(b"ID,NAME\n1,b\n");
    assert_eq!((report.counts, report.notes), (counts(1, 1, 0, 0, 0), 1));
    assert_eq!(sink.findings[0].message, "no column of the document is for AMOUNT, ABOVE, and truncate removes what rows had there");
    assert_eq!(rows_in(&scene, "shop"), ["1|b|7.00|-"]);
}

#[test]
fn what_a_nested_record_says_nothing_of_is_kept_where_nobody_wrote_its_mapping() {
    let mut scene = scene(CsvFormat::default());
    with_lines(&mut scene, Source::Column("Of".into()));
    scene.project_entity.nested[0].project_entity.mapping_stated = false;
    let of = |lines: &str| {
        let (report, sink) = scene.import(format!(r#"[{{"Group":"1","lines":[{lines}]}}]"#).as_bytes());
        assert_eq!(report.counts.refused, 0, "{:?}", sink.findings);
        let connection = scene.entities.reader("entities", &[]).unwrap().unwrap();
        connection.query_row("SELECT group_concat(NO || coalesce(OF, '-'), ' ') FROM lines", [], |row| row.get::<_, String>(0)).unwrap()
    };
    assert_eq!(of(r#"{"No":1,"Of":"a"},{"No":2,"Of":"b"}"#), "1a 2b");
    assert_eq!(of(r#"{"No":1},{"No":2,"Of":null},{"No":3}"#), "1a 2- 3-");
}

#[test]
fn an_entity_of_as_many_fields_as_a_table_has_is_loaded_and_changed() {
    for shop in [false, true] {
        let mut scene = scene(CsvFormat::default());
        let names: Vec<String> = (0..1990).map(|number| format!("F{number}")).collect();
        if shop {
            let path = scene._dir.path().join("shop.db");
            let sql = format!(
                "CREATE TABLE wide ({}, PRIMARY KEY (F0)); CREATE TABLE log (ID);
                 CREATE TRIGGER noted AFTER UPDATE ON wide BEGIN INSERT INTO log VALUES (new.F0); END",
                names.iter().map(|name| format!("{name} TEXT")).collect::<Vec<_>>().join(", ")
            );
            rusqlite::Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
            let database = Database { name: "shop".into(), path, managed: false, lock_wait: std::time::Duration::ZERO };
            scene.entities = Entities::new(&[Database::managed(scene._dir.path()), database]);
        }
        let fields = names.iter().map(|name| field(name, FieldKind::String { length: None })).collect();
        let database = if shop { "shop" } else { "entities" }.to_owned();
        let entity = Entity { name: "Wide".into(), database, table: "wide".into(), key: vec![0], fields, ..Entity::default() };
        scene.all = vec![Arc::new(entity)];
        let mapping = names.iter().enumerate().map(|(at, name)| Mapping::plain(Source::Column(name.clone()), at)).collect();
        let own = ProjectEntity::new(scene.all[0].clone(), Format::Csv(CsvFormat::default()));
        scene.project_entity = ProjectEntity { mapping, ..own };
        let document = |last: &str| format!("{}\n1{}{last}\n", names.join(","), ",x".repeat(1988) + ",");
        assert_eq!(scene.import(document("a").as_bytes()).0.counts, counts(1, 1, 0, 0, 0));
        assert_eq!(scene.import(document("a").as_bytes()).0.counts, counts(1, 0, 0, 1, 0));
        assert_eq!(scene.import(document("b").as_bytes()).0.counts, counts(1, 0, 1, 0, 0));
        scene.project_entity.write = WriteMode::Update;
        assert_eq!(scene.import(document("c").as_bytes()).0.counts, counts(1, 0, 1, 0, 0));
        scene.project_entity.mapping.iter_mut().for_each(|mapping| mapping.ignore_blank = true);
        scene.project_entity.write = WriteMode::Upsert;
        assert_eq!(scene.import(document("d").as_bytes()).0.counts, counts(1, 0, 1, 0, 0));
    }
}

/// Nobody wrote a mapping, and the name is required.
fn named(format: Format, write: WriteMode) -> Scene {
    let mut scene = unmapped(format, false);
    let mut entity = (*scene.all[0]).clone();
    entity.fields[1].required = true;
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
    scene.project_entity.write = write;
    scene
}

#[test]
fn a_required_field_of_which_a_record_says_nothing_counts_with_what_its_row_has() {
    let scene = named(Format::Json(JsonFormat::default()), WriteMode::Upsert);
    assert_eq!(scene.import(br#"[{"ID":"1","NAME":"a","AMOUNT":5}]"#).0.counts, counts(1, 1, 0, 0, 0));
    let (report, sink) = scene.import(br#"[{"ID":"1","AMOUNT":6},{"ID":"2","AMOUNT":7},{"ID":"1","NAME":""}]"#);
    assert_eq!(report.counts, counts(3, 0, 1, 0, 2));
    let told: Vec<_> = sink.findings.iter().map(|finding| (finding.row, finding.rule, finding.subject())).collect();
    assert_eq!(told, [(2, Rule::Required, "NAME"), (3, Rule::Required, "NAME")]);
    assert_eq!(rows_in(&scene, "entities"), ["1|a|6.00|-"]);
}

#[test]
fn only_where_no_row_is_new_a_header_may_lack_a_required_field() {
    let (csv, update) = (Format::Csv(CsvFormat::default()), b"ID,AMOUNT\n1,6\n2,7\n");
    let mut scene = named(csv.clone(), WriteMode::Upsert);
    scene.import(b"ID,NAME,AMOUNT\n1,a,5\n");
    let (report, sink) = scene.import(update);
    assert!(report.document_refused && sink.findings[0].hint.contains("write = \"update\""), "{:?}", sink.findings);
    scene.project_entity.write = WriteMode::Update;
    let (report, sink) = scene.import(update);
    assert_eq!((report.counts, sink.findings[0].rule), (counts(2, 0, 1, 0, 1), Rule::Missing), "{:?}", sink.findings);
    // Nor need a mapping fill it.
    scene.project_entity.mapping.remove(1);
    scene.project_entity.mapping_stated = true;
    scene.project_entity.mapping.truncate(2);
    assert_eq!(scene.import(b"ID,AMOUNT\n1,8\n").0.counts, counts(1, 0, 1, 0, 0));
    assert_eq!(rows_in(&scene, "entities"), ["1|a|8.00|-"]);
    // What the document has is held to the rule.
    let scene = named(csv, WriteMode::Update);
    assert_eq!(scene.import(b"ID,NAME\n1,\n").1.findings[0].rule, Rule::Required);
}
