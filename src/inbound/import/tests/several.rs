//! Fields that several lines of a mapping fill.

use super::*;
use crate::model::check::Check;

/// Groups that are looked up by one of two numbers: NAME is the newer one, AMOUNT the older one, and ABOVE is who is found.
fn by_two_numbers() -> Scene {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\nANNA,100,7,\nBERT,200,100,\n");
    let source = |name: &str| Source::Column(name.into());
    let by = |find: &str| Some(LookUp { entity: "Groups".into(), find: find.into(), take: "ID".into() });
    let blank = |source| Mapping { when: When::Blank, ..Mapping::plain(source, 3) };
    let mut entity = (*scene.all[0]).clone();
    (entity.fields[2].kind, entity.fields[3].references) = (FieldKind::String { length: None }, None);
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.mapping = vec![
        Mapping::plain(source("Group"), 0),
        Mapping { look_up: by("NAME"), ..Mapping::plain(source("New"), 3) },
        Mapping { look_up: by("AMOUNT"), ..blank(source("Old")) },
        blank(Source::Value("WALKIN".into())),
    ];
    scene.project_entity.entity = scene.all[0].clone();
    scene
}

#[test]
fn a_value_is_looked_up_as_the_line_says_that_has_filled_the_field() {
    let scene = by_two_numbers();
    let (report, sink) = scene.import(b"Group,New,Old\n1,100,\n2,,7.00\n3,200,\n4,,\n5,,9\n6,9,\n");
    assert_eq!(report.counts, counts(6, 4, 0, 0, 2), "{:?}", sink.findings);
    assert_eq!(scene.rows(), ["1|ANNA", "2|ANNA", "3|BERT", "4|WALKIN", "ANNA|100|7.00", "BERT|200|100.00"]);
    let told: Vec<_> = sink.findings.iter().map(|finding| (finding.row, finding.column.as_str(), finding.value.as_str())).collect();
    assert_eq!(told, [(5, "Old", "9"), (6, "New", "9")], "the column is that of the line");
}

#[test]
fn a_line_without_a_value_leaves_the_field_to_the_line_that_had_one() {
    let mut scene = by_two_numbers();
    let lines = &mut scene.project_entity.mapping;
    lines[2].when = When::Holds(Source::Column("Old".into()), Test::Not(vec!["none".into()]));
    let (report, sink) = scene.import(b"Group,New,Old\n1,100,\n2,100,100.00\n3,100,none\n");
    assert_eq!(report.counts, counts(3, 3, 0, 0, 0), "{:?}", sink.findings);
    assert_eq!(scene.rows()[..3], ["1|ANNA", "2|BERT", "3|ANNA"]);
}

#[test]
fn a_blank_keeps_what_a_row_has_where_the_line_that_is_for_it_says_so() {
    for write in [WriteMode::Upsert, WriteMode::Update] {
        let mut scene = scene(CsvFormat::default());
        scene.import(b"Group,Name,Amount,Above\n1,a,1,\n9,b,1,\n10,c,1,\n");
        let when = |test| When::Holds(Source::Column("Group".into()), test);
        let line = |source: &str, test, ignore_blank| Mapping {
            when: when(test),
            ignore_blank,
            ..Mapping::plain(Source::Column(source.into()), 1)
        };
        scene.project_entity.write = write;
        scene.project_entity.mapping.splice(
            1..,
            [
                line("Name", Test::Equals(vec!["1".into()]), false),
                line("Name2", Test::Equals(vec!["9".into()]), true),
                Mapping::plain(Source::Column("Amount".into()), 2),
            ],
        );
        let (report, _) = scene.import(b"Group,Name,Name2,Amount\n1,,x,2\n9,x,,2\n10,x,x,2\n");
        assert_eq!(report.counts, counts(3, 0, 3, 0, 0));
        assert_eq!(scene.rows(), ["1|2.00", "10|c|2.00", "9|b|2.00"], "no line is for the last");
        let (report, _) = scene.import(b"Group,Name,Name2,Amount\n1,new,x,2\n9,x,newer,2\n10,x,x,2\n");
        assert_eq!(report.counts, counts(3, 0, 2, 1, 0));
        let (report, _) = scene.import(b"Group,Name,Name2,Amount\n1,new,x,2\n9,x,,2\n");
        assert_eq!((report.counts, scene.rows()[0].as_str()), (counts(2, 0, 0, 2, 0), "1|new|2.00"));
    }
}

#[test]
fn a_required_field_that_a_line_empties_is_a_finding_and_one_that_a_line_keeps_is_none() {
    let mut scene = scene(CsvFormat::default());
    scene.import(b"Group,Name,Amount,Above\n1,a,1,\n9,b,1,\n");
    let mut entity = (*scene.all[0]).clone();
    entity.fields[1].required = true;
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
    let when = |test| When::Holds(Source::Column("Group".into()), test);
    let one = || vec!["1".to_owned()];
    scene.project_entity.mapping[1].when = when(Test::Equals(one()));
    let other = Mapping { when: when(Test::Not(one())), ignore_blank: true, ..Mapping::plain(Source::Column("Name2".into()), 1) };
    scene.project_entity.mapping.push(other);
    let (report, sink) = scene.import(b"Group,Name,Name2,Amount,Above\n1,,,2,\n9,,,2,\n8,,,2,\n");
    assert_eq!(report.counts, counts(3, 0, 1, 0, 2), "{:?}", sink.findings);
    let told: Vec<_> = sink.findings.iter().map(|finding| (finding.rule, finding.row, finding.column.as_str())).collect();
    assert_eq!(told, [(Rule::Required, 1, "Name"), (Rule::Required, 3, "Name2")]);
}

#[test]
fn findings_that_are_made_when_a_row_is_loaded_name_the_column_that_its_value_came_from() {
    let mut scene = scene(CsvFormat::default());
    let mut entity = (*scene.all[0]).clone();
    entity.fields[1].unique = true;
    let rule = |text: &str| Check { rule: crate::document::mapping::check::parse(&entity, text).unwrap(), message: String::new() };
    entity.checks = vec![rule("NAME != 'bad'")];
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
    for (source, field) in [("Name2", 1), ("Above2", 3)] {
        scene.project_entity.mapping.push(Mapping { when: When::Blank, ..Mapping::plain(Source::Column(source.into()), field) });
    }
    let (_, sink) = scene.import(b"Group,Name,Amount,Above,Name2,Above2\n1,y,,,,\n2,,,,y,\n3,,,,bad,\n4,z,,,,99\n5,bad,,,,\n");
    let told: Vec<_> = sink.findings.iter().map(|finding| (finding.rule, finding.row, finding.column.as_str())).collect();
    let name = |rule| (rule, 5, "Name");
    let expected =
        [(Rule::Unique, 2, "Name2"), (Rule::Check, 3, "Name2"), (Rule::Reference, 4, "Above2"), name(Rule::Check), name(Rule::Unique)];
    assert_eq!(told, expected);
}
