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
