//! Refused rows that somebody mends, well or badly, once or several times.

use super::refused::{cells, columns, csv, numbered, workbook};
use super::*;

#[test]
fn rows_without_a_header_are_held_to_the_width_of_the_document_they_were_refused_in() {
    let mut scene = nested(csv(|csv| csv.header = false));
    numbered(&mut scene);
    scene.project_entity.mapping.truncate(2);
    let mut again = b"1,a,x,y\n2,b,z\n".to_vec();
    let (report, sink) = scene.import(&again);
    assert_eq!(report.counts, counts(2, 1, 0, 0, 1));
    again = sink.refused;
    for _ in 0..3 {
        let (report, sink) = scene.import(&again);
        assert_eq!(report.counts, counts(1, 0, 0, 0, 1), "{:?}", String::from_utf8_lossy(&again));
        assert!(sink.findings[0].message.starts_with("3 fields"), "{:?}", sink.findings);
        again = sink.refused;
    }
}

#[test]
fn a_mended_row_without_a_header_does_not_decide_how_many_fields_records_have() {
    // The first that comes back may never close its qualifier, or be no text.
    for (document, bad, wide) in [
        (&b"1,a,x\n2,b,1\n3,c,y\n"[..], &b",x,"[..], &b",1,5,"[..]),
        (b"2,b,1\n3,c,y\n1,\"a,x\n", b"\"a", b"a,b"),
        (b"1,a\xFF,x\n2,b,1\n3,c,y\n", b"\xFF", b",b"),
    ] {
        for ragged in [false, true] {
            let mut scene = nested(csv(|csv| (csv.header, csv.ragged) = (false, ragged)));
            numbered(&mut scene);
            scene.project_entity.mapping.truncate(3);
            let (report, sink) = scene.import(document);
            assert_eq!(report.counts.refused, 2, "{:?}", sink.findings);
            let mut again = sink.refused;
            for _ in 0..3 {
                let shown = String::from_utf8_lossy(&again).into_owned();
                let at = memchr::memmem::find(&again, bad).unwrap_or_else(|| panic!("{shown}"));
                let mended = [&again[..at], wide, &again[at + bad.len()..]].concat();
                let mended = encoding_rs::UTF_8.decode(&mended).0.replace(",y,", ",2.5,");
                let (report, sink) = scene.import(mended.as_bytes());
                assert_eq!((report.counts.read, report.counts.refused), (2, 1), "{mended}: {:?}", sink.findings);
                assert!(sink.findings[0].message.starts_with("4 fields, "), "{mended}: {:?}", sink.findings);
                again = scene.import(&again).1.refused;
            }
        }
    }
}

#[test]
fn a_row_that_is_mended_badly_first_is_told_as_before_and_mended_then() {
    // What it becomes, and what mends that.
    for (ragged, bad, worse, good) in [
        (false, ",x,", ",1,5,", ",1.5,"),
        (false, "\u{e9},x,", "\u{e9},", "\u{e9},1.5,"),
        (false, "\u{e9},x,", "\u{1},1.5,", "\u{e9},1.5,"),
        (true, ",x,", ",1,5,", ",1.5,"),
    ] {
        let scene = nested(csv(|csv| csv.ragged = ragged));
        let bytes = |text: &str| text.bytes().map(|byte| if byte == 1 { 0xFF } else { byte }).collect::<Vec<u8>>();
        let (_, sink) = scene.import("Group,Name,Amount,Above\n1,\u{e9},x,\n2,b,2,\n".as_bytes());
        let text = String::from_utf8(sink.refused).unwrap();
        let (before, behind) = text.split_once(bad).unwrap();
        let mut again = bytes(&format!("{before}{worse}{behind}"));
        for _ in 0..3 {
            let (report, sink) = scene.import(&again);
            assert_eq!(report.counts, counts(1, 0, 0, 0, 1), "{worse}: {:?}", sink.findings);
            again = sink.refused;
        }
        let text = String::from_utf8_lossy(&again).replace('\u{fffd}', "\u{1}").replacen(worse, good, 1);
        assert_eq!(text.matches("Entrepot line").count(), 2, "{text}");
        let (report, sink) = scene.import(text.as_bytes());
        assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{text}: {:?}", sink.findings);
        assert_eq!(scene.rows(), ["1|\u{e9}|1.50", "2|b|2.00"]);
    }
    // Ragged, what is left of a row is all there is of it.
    let scene = nested(csv(|csv| csv.ragged = true));
    let (_, sink) = scene.import(format!("Group,Name,Amount,Above\n1,{},,\n", "x".repeat(30)).as_bytes());
    let text = String::from_utf8(sink.refused).unwrap().replace(&format!(",{},,", "x".repeat(30)), "");
    let (report, sink) = scene.import(text.as_bytes());
    assert_eq!((report.counts, scene.rows()), (counts(1, 1, 0, 0, 0), vec!["1".to_owned()]), "{text}: {:?}", sink.findings);
}

#[test]
fn a_reason_that_was_damaged_refuses_no_row() {
    for header in [true, false] {
        let mut scene = nested(csv(|csv| csv.header = header));
        if !header {
            numbered(&mut scene);
        }
        let text = "Group,Name,Amount,Above\n1,a,\"x,\",\n";
        let (_, sink) = scene.import(if header { text } else { &text[24..] }.as_bytes());
        let again = String::from_utf8(sink.refused).unwrap();
        let damaged = again.replace("\"x,\"", "1").trim_end().to_owned() + " seen by me\n";
        assert!(damaged.ends_with("\" seen by me\n"), "{damaged}");
        let (report, sink) = scene.import(damaged.as_bytes());
        assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{damaged}: {:?}", sink.findings);
    }
}

#[test]
fn what_is_left_of_ours_is_not_loaded_and_empties_no_table() {
    let text = "Group,Name,Amount,Above\n1,a,1,\n2,b,x,\n";
    for (header, edit) in [
        (true, "the reasons are cleared"),
        (false, "the reasons are cleared"),
        (true, "the column of the reasons is taken out"),
        (false, "the column of the reasons is taken out"),
        (true, "the columns have other names"),
        (false, "a word stands behind"),
    ] {
        let mut scene = nested(csv(|csv| csv.header = header));
        scene.project_entity.truncate = true;
        if !header {
            numbered(&mut scene);
        }
        let (_, sink) = scene.import(if header { text } else { &text[24..] }.as_bytes());
        let again = String::from_utf8(sink.refused).unwrap().replace(",x,", ",5,");
        let edited = again.lines().map(|line| {
            let (own, ours) = line.split_once(",Entrepot line").unwrap();
            let (place, reason) = ours.split_once(',').unwrap();
            match edit {
                "the reasons are cleared" if reason != "Entrepot reason" => format!("{own},Entrepot line{place},\n"),
                "the column of the reasons is taken out" => format!("{own},Entrepot line{place}\n"),
                "the columns have other names" if reason == "Entrepot reason" => format!("{own},Row,Error\n"),
                "a word stands behind" => format!("{line},seen\n"),
                _ => format!("{line}\n"),
            }
        });
        let again: String = edited.collect();
        let (report, sink) = scene.import(again.as_bytes());
        let refused = report.counts.refused;
        assert_eq!((refused, scene.rows().join(" ")), (0, "1|a|1.00 2|b|5.00".to_owned()), "{edit}: {again}: {:?}", sink.findings);
    }
}

#[test]
fn what_is_left_of_ours_in_a_workbook_is_not_loaded_and_empties_no_table() {
    for header_row in [0, 1] {
        for edit in ["the reasons are cleared", "a word stands behind", "the reasons are taken out"] {
            let mut scene = nested(Format::Excel(ExcelFormat { header_row, ..ExcelFormat::default() }));
            scene.project_entity.truncate = true;
            if header_row == 0 {
                numbered(&mut scene);
            }
            let rows = [&["Group", "Name", "Amount", "Above"][..], &["1", "a", "1"], &["2", "b", "x"]];
            let (_, sink) = scene.import(&workbook("Rows", 0, &rows[1 - header_row as usize..]));
            let mut again = cells(&sink.refused, "Sheet1");
            for row in &mut again {
                if let Some(amount) = row.iter_mut().find(|cell| *cell == "x") {
                    *amount = "5".into();
                }
                match edit {
                    "the reasons are cleared" if row.last().unwrap() != "Entrepot reason" => *row.last_mut().unwrap() = String::new(),
                    "a word stands behind" if header_row == 0 => row.push("seen".into()),
                    "the reasons are taken out" => drop(row.pop()),
                    _ => {}
                }
            }
            let again: Vec<Vec<&str>> = again.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
            let rows: Vec<&[&str]> = again.iter().map(Vec::as_slice).collect();
            let (_, sink) = scene.import(&workbook("Rows", 0, &rows));
            assert_eq!(scene.rows(), ["1|a|1.00", "2|b|5.00"], "{header_row} {edit}: {rows:?} {:?}", sink.findings);
        }
    }
}

#[test]
fn a_qualifier_that_was_opened_for_a_while_leaves_nothing_of_ours_in_its_row() {
    for (header, opened, closed) in [(true, ",\"a,x,", ",a,1,"), (true, ",\"a,x,", ",\"a\",1,"), (false, ",\"a,x,", ",a,1,")] {
        let mut scene = nested(csv(|csv| csv.header = header));
        if !header {
            numbered(&mut scene);
        }
        let text = "Group,Name,Amount,Above\n1,a,x,\n2,b,2,\n";
        let (_, sink) = scene.import(if header { text } else { &text[24..] }.as_bytes());
        let mut again = String::from_utf8(sink.refused).unwrap().replace(",a,x,", opened);
        for _ in 0..3 {
            let (report, sink) = scene.import(again.as_bytes());
            assert_eq!((report.counts.inserted, report.counts.refused), (0, 1), "{again}: {:?}", sink.findings);
            again = String::from_utf8(sink.refused).unwrap();
        }
        let (report, sink) = scene.import(again.replace(opened, closed).as_bytes());
        assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{again}: {:?}", sink.findings);
    }
}

#[test]
fn lines_of_a_wrong_length_are_refused_again_until_they_are_mended() {
    let column = |name: &str, start, length| FixedColumn { name: name.into(), start, length, pad: ' ', right: false };
    let amount = FixedColumn { pad: '0', right: true, ..column("Amount", 6, 5) };
    let format = FixedFormat {
        columns: vec![column("Group", 1, 2), column("Name", 3, 3), amount, column("Above", 11, 2)],
        ..FixedFormat::default()
    };
    let mut scene = nested(Format::Fixed(format));
    scene.project_entity.mapping.truncate(4);
    let (report, sink) = scene.import("1 ab 00012\n2 cd 0001\n3 ef 00012  5\n4 g\n".as_bytes());
    assert_eq!(report.counts, counts(4, 1, 0, 0, 3), "{:?}", sink.findings);
    let mut again = sink.refused;
    for _ in 0..2 {
        let (report, sink) = scene.import(&again);
        assert_eq!(report.counts, counts(3, 0, 0, 0, 3), "{}", String::from_utf8_lossy(&again));
        again = sink.refused;
    }
    let text = String::from_utf8(again).unwrap();
    let mended = text.replacen("cd 0001 ", "cd 00010", 1).replacen("00012  5", "00012   ", 1).replacen("4 g       ", "4 g  00001", 1);
    assert_eq!(scene.import(mended.as_bytes()).0.counts, counts(3, 3, 0, 0, 0), "{mended}");
    assert_eq!(scene.rows(), ["1|ab|12.00", "2|cd|10.00", "3|ef|12.00", "4|g|1.00"]);
}

#[test]
fn a_mended_row_of_fixed_width_does_not_decide_whether_text_may_stand_behind_the_columns() {
    let list = columns(&[("Group", 1, 3), ("Name", 4, 4), ("Amount", 8, 6)]);
    for record_length in [None, Some(18)] {
        let mut scene = nested(Format::Fixed(FixedFormat { columns: list.clone(), record_length, ..FixedFormat::default() }));
        scene.project_entity.mapping.truncate(3);
        let row = |text: &str| format!("{:1$}\n", text, record_length.unwrap_or(0));
        // What stands in the place of blanks leaves the record as long as it was.
        let blanks = if record_length.is_some() { "   " } else { "" };
        let (report, sink) = scene.import([row("1  a       x!"), row("2  b        1"), row("3  c       y!")].concat().as_bytes());
        assert_eq!(report.counts, counts(3, 1, 0, 0, 2), "{:?}", sink.findings);
        let mut again = sink.refused;
        for _ in 0..3 {
            let text = String::from_utf8(again.clone()).unwrap();
            let mended = text.replacen(&format!("    x!{blanks}"), "1234.5678", 1).replacen(&format!("    y!{blanks}"), "1234.5678", 1);
            let (report, sink) = scene.import(mended.as_bytes());
            assert_eq!(report.counts, counts(2, 0, 0, 0, 2), "{mended}: {:?}", sink.findings);
            assert!(sink.findings.iter().all(|finding| finding.rule == Rule::Columns), "{:?}", sink.findings);
            again = scene.import(&again).1.refused;
        }
        let text = String::from_utf8(again).unwrap();
        let (report, sink) = scene.import(text.replacen("    x!", "1234.5", 1).replacen("    y!", "   2.5", 1).as_bytes());
        assert_eq!(report.counts, counts(2, 2, 0, 0, 0), "{text}: {:?}", sink.findings);
        // Text that the document has there stands in the file, too.
        let (report, sink) = scene.import([row("4  d        1more"), row("5  e       x!more"), row("6  f       y!")].concat().as_bytes());
        assert_eq!(report.counts, counts(3, 1, 0, 0, 2), "{:?}", sink.findings);
        let again = scene.import(&sink.refused).1.refused;
        let text = String::from_utf8(again).unwrap();
        let (report, sink) = scene.import(text.replacen("x!", " 5", 1).replacen("y!", " 6", 1).as_bytes());
        assert_eq!(report.counts, counts(2, 2, 0, 0, 0), "{text}: {:?}", sink.findings);
        assert_eq!(scene.rows().len(), 6);
    }
}

#[test]
fn a_row_that_was_a_second_one_is_refused_again_until_it_is_another() {
    let counted =
        FixedFormat { columns: columns(&[("Group", 1, 3), ("Name", 4, 4), ("Amount", 8, 4), ("Above", 12, 2)]), ..FixedFormat::default() };
    let fixed = "1  a   1    \n1  b   2    \n2  a   3    \n";
    let xml = |key: u8, name: &str| format!("<G><Group>{key}</Group><Name>{name}</Name></G>");
    let json = |key: u8, name: &str| format!("{{\"Group\":{key},\"Name\":\"{name}\"}}");
    let cases: Vec<(Format, String)> = vec![
        (csv(|_| ()), "Group,Name,Amount,Above\n1,a,,\n1,b,,\n2,a,,\n".into()),
        (csv(|csv| csv.header = false), "1,a,,\n1,b,,\n2,a,,\n".into()),
        (csv(|csv| (csv.header, csv.qualifier, csv.delimiter) = (false, None, " ".into())), "1 a  \n1 b  \n2 a  \n".into()),
        (Format::Fixed(counted.clone()), fixed.into()),
        (Format::Fixed(FixedFormat { record_length: Some(12), ..counted }), fixed.into()),
        (Format::Xml(XmlFormat::default()), format!("<D>{}{}{}</D>", xml(1, "a"), xml(1, "b"), xml(2, "a"))),
        (Format::Json(JsonFormat::default()), format!("[{},{},{}]", json(1, "a"), json(1, "b"), json(2, "a"))),
        (
            Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }),
            format!("{}\n{}\n{}\n", json(1, "a"), json(1, "b"), json(2, "a")),
        ),
    ];
    for (format, document) in cases {
        let mut scene = nested(format.clone());
        if matches!(&format, Format::Csv(csv) if !csv.header) {
            numbered(&mut scene);
        }
        let mut entity = (*scene.all[0]).clone();
        entity.fields[1].unique = true;
        scene.all = vec![Arc::new(entity)];
        scene.project_entity.entity = scene.all[0].clone();
        scene.project_entity.duplicates = Duplicates::Refuse;
        let (report, first) = scene.import(document.as_bytes());
        assert_eq!(report.counts, counts(3, 1, 0, 0, 2), "{document}: {:?}", first.findings);
        let mut again = first.refused;
        for _ in 0..2 {
            let (report, sink) = scene.import(&again);
            assert_eq!(report.counts, counts(2, 0, 0, 0, 2), "{}", String::from_utf8_lossy(&again));
            let faults = sink.findings.iter().filter(|finding| finding.rule != Rule::Message);
            let told: Vec<_> = faults.map(|finding| (finding.rule, finding.field.as_str())).collect();
            assert_eq!(told, [(Rule::Unique, "ID"), (Rule::Unique, "NAME")], "{document}");
            again = sink.refused;
        }
        let text = String::from_utf8(again).unwrap();
        let mended = ["1 b", "1,b", "1  b", "1</Group><Name>b", "1,\"Name\":\"b"]
            .iter()
            .fold(text, |text, bad| text.replace(bad, &bad.replacen('1', "3", 1)));
        let mended = ["2 a", "2,a", "2  a", "2</Group><Name>a", "2,\"Name\":\"a"]
            .iter()
            .fold(mended, |text, bad| text.replace(bad, &bad.replace("a", "c").replace("Ncme", "Name")));
        let (report, sink) = scene.import(mended.as_bytes());
        assert_eq!(report.counts, counts(2, 2, 0, 0, 0), "{mended}: {:?}", sink.findings);
    }
}
