//! Rows of one document that have the same key, or would: which of them is loaded, and what becomes of the other when it comes back mended.

use super::load::sequence;
use super::*;

const HEAD: &str = "Group,Name,Amount,Above\n";

/// Groups that are given a number where they have none.
fn numbered() -> Scene {
    let mut scene = scene(CsvFormat::default());
    sequence(&mut scene, 0, When::Blank);
    scene
}

fn send(scene: &Scene, rows: &str) -> (RowCounts, Memory) {
    let (report, sink) = scene.import(format!("{HEAD}{rows}").as_bytes());
    (report.counts, sink)
}

fn told(sink: &Memory) -> Vec<(Rule, u64, &str)> {
    sink.findings.iter().map(|finding| (finding.rule, finding.row, finding.message.as_str())).collect()
}

#[test]
fn a_row_with_a_number_that_another_was_given_does_not_take_its_place_when_it_comes_back() {
    let scene = numbered();
    let (loaded, mut sink) = send(&scene, ",Ada,1,\nCG-01,Dora,2,\nCG-01,Cid,x,\n");
    assert_eq!(loaded, counts(3, 1, 0, 0, 2));
    let given = "row 1 of the document was given this number, and has this key too";
    let expected = [(Rule::Unique, 2, given), (Rule::Type, 3, "expected a decimal number with \".\""), (Rule::Unique, 3, given)];
    assert_eq!(told(&sink), expected, "it is told beside what else is wrong");
    for _ in 0..2 {
        let (report, again) = scene.import(&sink.refused);
        assert_eq!(report.counts, counts(2, 0, 0, 0, 2), "{:?}", again.findings);
        sink = again;
    }
    let mended = String::from_utf8(sink.refused).unwrap().replace(",x,", ",3,");
    let (report, sink) = scene.import(mended.as_bytes());
    assert_eq!((report.counts, scene.rows()), (counts(2, 0, 0, 0, 2), vec!["CG-01|Ada|1.00".to_owned()]));
    assert!(told(&sink).iter().all(|(_, _, message)| *message == "a row that is loaded has this key too"), "{:?}", sink.findings);
    let (report, _) = scene.import(mended.replace("CG-01,Dora", "CG-07,Dora").as_bytes());
    assert_eq!((report.counts, scene.rows().len()), (counts(2, 1, 0, 0, 1), 2), "another number is free");
}

#[test]
fn no_row_is_given_a_number_that_a_refused_one_comes_with() {
    let scene = numbered();
    let (loaded, sink) = send(&scene, "CG-01,Ada,bad,\n,Bob,2,\n");
    assert_eq!((loaded, scene.rows()), (counts(2, 1, 0, 0, 1), vec!["CG-02|Bob|2.00".to_owned()]));
    let mended = String::from_utf8(sink.refused).unwrap().replace("bad", "1");
    assert_eq!(scene.import(mended.as_bytes()).0.counts, counts(1, 1, 0, 0, 0));
    assert_eq!(scene.rows(), ["CG-01|Ada|1.00", "CG-02|Bob|2.00"]);
}

#[test]
fn a_row_with_a_key_of_its_own_is_asked_for_it_also_where_another_field_is_numbered() {
    let mut scene = numbered();
    let source = Source::NumberSequence { pattern: "N-#".into() };
    scene.project_entity.mapping[1].source = source;
    let (report, sink) = scene.import(b"Group,Amount,Above\n,1,\nCG-01,2,\n,3,\n");
    assert_eq!(report.counts, counts(3, 2, 0, 0, 1), "{:?}", sink.findings);
    assert_eq!(scene.rows(), ["CG-01|N-1|1.00", "CG-02|N-2|3.00"], "no number is left out");
}

#[test]
fn a_row_that_was_refused_for_a_value_of_another_changes_the_row_of_its_own_key_when_it_is_mended() {
    let mut scene = numbered();
    let mut entity = (*scene.all[0]).clone();
    entity.fields[1].unique = true;
    scene.all = vec![Arc::new(entity)];
    scene.project_entity.entity = scene.all[0].clone();
    send(&scene, "CG-01,a,1,\n");
    let (loaded, sink) = send(&scene, "CG-05,b,1,\nCG-01,b,2,\n");
    assert_eq!(loaded, counts(2, 1, 0, 0, 1));
    let mended = String::from_utf8(sink.refused).unwrap().replace("CG-01,b", "CG-01,c");
    assert_eq!(scene.import(mended.as_bytes()).0.counts, counts(1, 0, 1, 0, 0));
    assert_eq!(scene.rows(), ["CG-01|c|2.00", "CG-05|b|1.00"]);
}

#[test]
fn a_record_with_nested_ones_is_held_to_a_number_that_one_of_them_was_given() {
    let mut scene = scene(CsvFormat::default());
    super::load::with_lines(&mut scene, Source::Column("Of".into()));
    sequence(&mut scene, 0, When::Blank);
    let document = br#"[{"Name":"a","lines":[{"No":1}]},{"Group":"CG-01","Name":"b","lines":[{"No":2}]}]"#;
    let (report, sink) = scene.import(document);
    assert_eq!(report.counts, counts(4, 2, 0, 0, 2), "{:?}", sink.findings);
    let (report, _) = scene.import(&sink.refused);
    assert_eq!((report.counts, scene.rows()), (counts(2, 0, 0, 0, 2), vec!["CG-01|a".to_owned()]));
    let text = String::from_utf8(sink.refused).unwrap();
    assert_eq!(scene.import(text.replace("CG-01", "CG-09").as_bytes()).0.counts, counts(2, 2, 0, 0, 0));
}

/// Groups in JSON with lines nested in two places, each numbered in OF where it has none, which is the key; NO is in no two of them.
fn in_two_places() -> Scene {
    let mut scene = scene(CsvFormat::default());
    super::load::with_lines(&mut scene, Source::Column("Of".into()));
    let mut lines = (*scene.all[1]).clone();
    lines.key = vec![1];
    lines.fields[0].unique = true;
    scene.all[1] = Arc::new(lines);
    let mut one = scene.project_entity.nested.remove(0);
    one.project_entity.entity = scene.all[1].clone();
    let source = Source::NumberSequence { pattern: "A-##".into() };
    one.project_entity.mapping.push(Mapping { when: When::Blank, ..Mapping::plain(source, 1) });
    let other = crate::model::project::NestedEntity { record: path("ship").unwrap(), ..one.clone() };
    scene.project_entity.nested = vec![crate::model::project::NestedEntity { record: path("bill").unwrap(), ..one }, other];
    scene
}

#[test]
fn rows_of_one_entity_that_are_nested_in_two_places_know_of_each_other() {
    let scene = in_two_places();
    let (report, sink) = scene.import(
        br#"[{"Group":"1","bill":{"No":1},"ship":{"No":2}},{"Group":"2","bill":{"No":3},"ship":{"Of":"A-03","No":1}},
            {"Group":"3","bill":{"Of":"A-01","No":4}},{"Group":"4","bill":{"Of":"A-04","No":2}},{"Group":"5","ship":{"No":5}}]"#,
    );
    assert_eq!(report.counts, counts(12, 5, 0, 0, 7), "{:?}", sink.findings);
    let told: Vec<_> = told(&sink).into_iter().filter(|(rule, ..)| *rule == Rule::Unique).collect();
    let expected = [
        (Rule::Unique, 2, "row 1 of the document has it too"),
        (Rule::Unique, 3, "row 1 of the document was given this number, and has this key too"),
        (Rule::Unique, 4, "row 1 of the document has it too"),
    ];
    assert_eq!(told, expected, "{:?}", sink.findings);
    let connection = scene.entities.reader("entities", &[]).unwrap().unwrap();
    let mut statement = connection.prepare("SELECT OF || '=' || NO FROM lines ORDER BY 1").unwrap();
    let lines: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(lines, ["A-01=1", "A-02=2", "A-05=5"], "those of refused records are passed over");
}

#[test]
fn a_value_that_no_record_has_is_told_with_the_place_that_it_is_nested_in() {
    let scene = in_two_places();
    let (_, sink) = scene.import(br#"[{"Group":"1","Name":"a","Amount":1,"Above":"1","bill":{"No":1},"ship":{"Of":"A-07","No":2}}]"#);
    let notes: Vec<_> = sink.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(notes, ["no record of the document has bill/Of"]);
}

/// Each format with two rows of one key, of which the first is refused, and how that is mended.
fn older_and_newer() -> Vec<(Format, String)> {
    let csv = |change: &dyn Fn(&mut CsvFormat)| {
        let mut csv = CsvFormat::default();
        change(&mut csv);
        Format::Csv(csv)
    };
    let columns = [("Group", 1, 3), ("Name", 4, 4), ("Amount", 8, 4), ("Above", 12, 2)];
    let columns = columns.map(|(name, start, length)| FixedColumn { name: name.into(), start, length, pad: ' ', right: false }).to_vec();
    let fixed = FixedFormat { columns, ..FixedFormat::default() };
    let lines = "1  a   bad  \n1  b   2    \n2  c   3    \n";
    let json = |rows: [&str; 3]| rows.map(|row| format!("{{\"Group\":{row}}}"));
    let json = json(["1,\"Name\":\"a\",\"Amount\":\"bad\"", "1,\"Name\":\"b\",\"Amount\":2", "2,\"Name\":\"c\",\"Amount\":3"]);
    let xml = |key: u8, name: &str, amount: &str| format!("<G><Group>{key}</Group><Name>{name}</Name><Amount>{amount}</Amount></G>");
    vec![
        (csv(&|_| ()), format!("{HEAD}1,a,bad,\n1,b,2,\n2,c,3,\n")),
        (csv(&|csv| (csv.qualifier, csv.delimiter) = (None, " ".into())), "Group Name Amount Above\n1 a bad \n1 b 2 \n2 c 3 \n".into()),
        (Format::Fixed(fixed.clone()), lines.into()),
        (Format::Fixed(FixedFormat { record_length: Some(12), ..fixed }), lines.into()),
        (Format::Xml(XmlFormat::default()), format!("<D>{}{}{}</D>", xml(1, "a", "bad"), xml(1, "b", "2"), xml(2, "c", "3"))),
        (Format::Json(JsonFormat::default()), format!("[{}]", json.join(","))),
        (Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }), json.join("\n")),
    ]
}

#[test]
fn a_refused_row_that_is_older_than_one_that_was_loaded_is_held_back_as_long_as_its_reason_says_so() {
    for (format, document) in older_and_newer() {
        let scene = nested(format);
        let (report, sink) = scene.import(document.as_bytes());
        assert_eq!(report.counts, counts(3, 2, 0, 0, 1), "{document}: {:?}", sink.findings);
        assert!(sink.findings.iter().any(|finding| finding.message.starts_with("1 of the refused records")), "{:?}", sink.findings);
        let rows = ["1|b|2.00", "2|c|3.00"];
        let (text, mut again) = (String::from_utf8(sink.refused.clone()).unwrap(), sink.refused);
        assert!(text.replace('_', " ").contains("row 2 of the document has this key too, and is newer"), "{text}");
        for _ in 0..2 {
            // Mended it is held back, and comes back with a reason that says so, too.
            let mended = String::from_utf8(again).unwrap().replace("bad", "100");
            let (report, sink) = scene.import(mended.as_bytes());
            assert_eq!((report.counts, scene.rows()), (counts(1, 0, 0, 0, 1), rows.map(str::to_owned).to_vec()), "{mended}");
            assert_eq!(told(&sink)[0], (Rule::Unique, 1, "a row that is loaded has this key too"), "{mended}");
            again = sink.refused;
        }
        let released = text.replace("bad", "100").replace("has this key too", "").replace("has_this_key_too", "");
        let (report, sink) = scene.import(released.as_bytes());
        assert_eq!(report.counts, counts(1, 0, 1, 0, 0), "{released}: {:?}", sink.findings);
        assert_eq!(scene.rows(), ["1|a|100.00", "2|c|3.00"]);
    }
}

#[test]
fn all_refused_rows_of_a_key_are_older_than_one_that_is_loaded_and_none_that_stand_behind_it() {
    let scene = scene(CsvFormat::default());
    let (loaded, sink) = send(&scene, "1,a,x,\n1,b,x,\n2,c,x,\n1,d,4,\n1,e,x,\n");
    assert_eq!(loaded, counts(5, 1, 0, 0, 4));
    let mended = String::from_utf8(sink.refused).unwrap().replace(",x,", ",1,");
    let (report, sink) = scene.import(mended.as_bytes());
    assert_eq!((report.counts, scene.rows()), (counts(4, 1, 1, 0, 2), vec!["1|e|1.00".to_owned(), "2|c|1.00".to_owned()]));
    assert_eq!(sink.findings.iter().filter(|finding| finding.rule == Rule::Unique).map(|finding| finding.row).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_refused_record_is_older_than_one_with_the_same_nested_row_only_where_that_was_loaded() {
    let mut scene = scene(CsvFormat::default());
    super::load::with_lines(&mut scene, Source::Column("Of".into()));
    let document = br#"[{"Group":"1","Amount":"bad","lines":[{"No":1,"Of":"a"}]},{"Group":"2","lines":[{"No":1,"Of":"b"}]},
        {"Group":"3","Amount":"bad"},{"Group":"3","lines":[{"No":"bad"}]}]"#;
    let (report, sink) = scene.import(document);
    assert_eq!(report.counts, counts(7, 2, 0, 0, 5), "{:?}", sink.findings);
    let text = String::from_utf8(sink.refused).unwrap();
    assert_eq!((text.matches("has this key too").count(), text.matches("row 2 of the document has this key").count()), (1, 1), "{text}");
    let (report, sink) = scene.import(text.replace("\"bad\"", "7").as_bytes());
    assert_eq!(report.counts, counts(5, 2, 1, 0, 2), "{:?}", sink.findings);
}

#[test]
fn behind_a_refused_row_each_is_still_counted_as_what_it_was() {
    let scene = scene(CsvFormat::default());
    send(&scene, "1,a,1,\n2,b,1,\n");
    let (loaded, _) = send(&scene, "9,x,bad,\n1,c,1,\n8,x,bad,\n2,b,1,\n7,x,bad,\n3,d,1,\n6,x,bad,\n1,e,1,\n");
    assert_eq!(loaded, counts(8, 1, 2, 1, 4));
}
