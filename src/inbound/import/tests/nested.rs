//! Documents that nest: where their paths lead, and what stands where a record or a value should.

use super::*;

/// Values by paths, into the fields in their order.
pub(super) fn by_path(format: Format, paths: &[&str]) -> Scene {
    let mut scene = nested(format);
    scene.project_entity.mapping =
        paths.iter().enumerate().map(|(field, name)| Mapping::plain(Source::Column((*name).into()), field)).collect();
    scene.project_entity.mapping_stated = true;
    scene
}

#[test]
fn what_leads_to_no_value_or_to_more_than_one_is_a_finding_that_names_the_path() {
    let (xml, json) = (Format::Xml(XmlFormat::default()), Format::Json(JsonFormat::default()));
    let more = "leads to more than one value";
    let none = "leads to no value, but to what has values in it";
    for (format, paths, document, expected) in [
        (&json, &["Id", "Amount"][..], r#"[{"Id":1,"Amount":{"amount":"5","currency":"EUR"}}]"#, Err(none)),
        (&json, &["Id", "Name"], r#"[{"Id":1,"Name":["a","b","c"]}]"#, Err(more)),
        (&json, &["Id", "Name"], r#"[{"Id":1,"Name":["a"]},{"Id":2,"Name":[]},{"Id":3,"Name":{}},{"Id":4,"Name":null}]"#, Ok(4)),
        (&json, &["Id", "Name"], r#"[{"Id":1,"Name":[["a"]]}]"#, Err("leads to an array in an array")),
        (&json, &["Id", "Name"], r#"[{"Id":1,"Name":[[]]}]"#, Err("leads to an array in an array")),
        (&json, &["Id", "b/Name"], r#"[{"Id":1,"b":[[{"Name":"a"}]]}]"#, Err("leads to an array in an array")),
        (&json, &["Id", "b/Name"], r#"[{"Id":1,"b":[{"Name":"a"}],"c":[[1]]}]"#, Ok(1)),
        (&json, &["Id", "Name"], r#"[{"Id":1,"Name":[null,""]}]"#, Ok(1)),
        (&json, &["Id", "Name"], r#"[{"Id":1,"Name":"a","Name":"b"}]"#, Err(more)),
        (&json, &["Id", "'dc:Name'"], r#"[{"Id":1,"dc:Name":"a","x:Name":"b"}]"#, Ok(1)),
        (&json, &["Id", "Name[1]"], r#"[{"Id":1,"Name":["a","b"]}]"#, Ok(1)),
        (&xml, &["Id", "Name"], "<D><R><Id>1</Id><Name>a</Name><Name>b</Name></R></D>", Err(more)),
        (&xml, &["Id", "Name"], "<D><R><Id>1</Id><Name/><Name> </Name></R></D>", Ok(1)),
        (&xml, &["Id", "Name"], "<D><R><Id>1</Id><Name>a</Name><Name/></R></D>", Err(more)),
        (&xml, &["Id", "Na_me"], "<D><R><Id>1</Id><Name>a</Name><Na_me>b</Na_me></R></D>", Ok(1)),
        (&xml, &["Id", "Name"], "<D><R><Id>1</Id><Name>\n<First>a</First>\n<Last>b</Last></Name></R></D>", Err(none)),
        (&xml, &["Id", "Name"], "<D><R><Id>1</Id><Name>a <b>b</b> <i>c</i></Name></R><R><Id>2</Id><Name><x>b</x></Name></R></D>", Ok(2)),
        (&xml, &["Id", "//x"], "<D><R><Id>1</Id><x>a</x><y><x>b</x></y></R></D>", Ok(1)),
    ] {
        let (report, sink) = by_path(format.clone(), paths).import(document.as_bytes());
        match expected {
            Ok(loaded) => assert_eq!(report.counts, counts(loaded, loaded, 0, 0, 0), "{document}: {:?}", sink.findings),
            Err(message) => {
                assert_eq!(report.counts, counts(1, 0, 0, 0, 1), "{document}");
                let finding = &sink.findings[0];
                assert_eq!((finding.rule, finding.column.as_str()), (Rule::Type, paths[1]), "{finding:?}");
                assert!(finding.message.contains(message), "{finding:?}");
            }
        }
    }
}

#[test]
fn what_stands_where_a_record_should_is_no_row_without_a_word() {
    let orders = JsonFormat { record: path("orders"), ..JsonFormat::default() };
    let inner = JsonFormat { record: path("data/page/rows"), ..JsonFormat::default() };
    for (format, document, expected) in [
        (&orders, r#"{"orders":null}"#, counts(0, 0, 0, 0, 0)),
        (&orders, r#"{"orders":[null,{"Id":1}]}"#, counts(2, 1, 0, 0, 1)),
        (&orders, r#"{"orders":[5,"x",{"Id":1}]}"#, counts(3, 1, 0, 0, 2)),
        (&JsonFormat { lines: true, ..JsonFormat::default() }, "null\n{\"Id\":1}\n", counts(2, 1, 0, 0, 1)),
        (&inner, r#"{"data":null}"#, counts(0, 0, 0, 0, 0)),
        (&inner, r#"{"data":{}}"#, counts(0, 0, 0, 0, 0)),
        (&inner, r#"{"data":[]}"#, counts(0, 0, 0, 0, 0)),
        (&inner, r#"{"data":{"page":null}}"#, counts(0, 0, 0, 0, 0)),
        (&inner, r#"{"data":{"page":{"rows":null}}}"#, counts(0, 0, 0, 0, 0)),
        (&inner, r#"{"data":[{"page":{}},{"page":{"rows":{"Id":1}}}]}"#, counts(1, 1, 0, 0, 0)),
    ] {
        let (report, sink) = by_path(Format::Json(format.clone()), &["Id"]).import(document.as_bytes());
        assert_eq!(report.counts, expected, "{document}: {:?}", sink.findings);
        assert!(sink.findings.iter().all(|one| one.message.starts_with("a record is an object")), "{:?}", sink.findings);
    }
    let (report, sink) = by_path(Format::Json(orders.clone()), &["Id"]).import(br#"{"orders":[[{"Id":1}]]}"#);
    assert!(report.document_refused && sink.findings[0].message.contains("an array stands where a record should"), "{:?}", sink.findings);
    for (document, refused, notes) in [
        (r#"{"count":0}"#, true, 0),
        (r#"{"data":5}"#, true, 0),
        (r#"{"data":{"page":{"items":[{"Id":1}]}}}"#, true, 0),
        (r#"{"data":{"pages":[{"Id":1}]}}"#, true, 0),
        (r#"{"data":{"page":{"count":0}}}"#, false, 1),
        (r#"{"data":[{"page":{"count":0}}]}"#, false, 1),
        (r#"{"data":{"count":0}}"#, false, 1),
    ] {
        let (report, sink) = by_path(Format::Json(inner.clone()), &["Id"]).import(document.as_bytes());
        assert_eq!((report.document_refused, report.notes), (refused, notes), "{document}: {:?}", sink.findings);
        assert!(sink.findings[0].message.contains("no record at data/page/rows"), "{:?}", sink.findings);
    }
    let (report, _) =
        by_path(Format::Json(JsonFormat { record: path("tags"), ..JsonFormat::default() }), &["."]).import(br#"{"tags":["a","b"]}"#);
    assert_eq!(report.counts, counts(2, 2, 0, 0, 0), "values are records where a path asks for them themselves");

    let xml = XmlFormat { record: path("//R"), ..XmlFormat::default() };
    let (report, sink) = by_path(Format::Xml(xml), &["Id"]).import(b"<D><R><Id>1</Id></R><R><Id>2</Id>\n<x><R><Id>3</Id></R></x></R></D>");
    assert_eq!(report.counts, counts(2, 1, 0, 0, 1));
    assert_eq!(sink.findings[0].message, "another record stands inside of it, on line 2");
}

#[test]
fn a_value_beside_the_records_that_comes_too_late_refuses_the_document() {
    let xml = Format::Xml(XmlFormat { record: path("/D/G/R"), ..XmlFormat::default() });
    let json = Format::Json(JsonFormat { record: path("R"), ..JsonFormat::default() });
    for (format, paths, document, late) in [
        (&xml, &["Id", "../x"][..], "<D><G><x>1</x><R><Id>1</Id></R></G><G><R><Id>2</Id></R></G></D>", false),
        (&xml, &["Id", "../x"], "<D><G><R><Id>1</Id></R></G><G><x>1</x><R><Id>2</Id></R></G></D>", false),
        (&xml, &["Id", "../x"], "<D><G><R><Id>1</Id></R><x>1</x><R><Id>2</Id></R></G></D>", true),
        (&xml, &["Id", "../h/x"], "<D><G><R><Id>1</Id></R><h><y/><x/></h></G></D>", true),
        (&xml, &["Id", "/D/x"], "<D><G><R><Id>1</Id></R></G><x>1</x></D>", true),
        (&json, &["Id", "../x"], r#"{"R":[{"Id":1}],"x":"1"}"#, true),
        (&json, &["Id", "../x"], r#"{"x":"1","R":[{"Id":1}]}"#, false),
    ] {
        let (report, sink) = by_path(format.clone(), paths).import(document.as_bytes());
        assert_eq!(report.document_refused, late, "{document}: {:?}", sink.findings);
        assert!(!late || sink.findings[0].message.contains("stands behind records"), "{:?}", sink.findings);
    }
}

#[test]
fn what_stands_beside_records_and_no_path_leads_to_is_no_matter_how_large() {
    let xml = |record: &str| Format::Xml(XmlFormat { record: path(record), ..XmlFormat::default() });
    let json = |record: &str| Format::Json(JsonFormat { record: path(record), ..JsonFormat::default() });
    let pdf = "A".repeat(300 * 1024);
    let empty = "<S><x>9</x><y>z</y></S>".repeat(20_000);
    let log = vec![r#"{"x":"9","Id":5}"#; 30_000].join(",");
    for (format, paths, document) in [
        (xml("//L"), ["Id", "../x"], format!("<I><A><x>9</x><P d='{pdf}'>{pdf}</P></A><x>1</x><L><Id>1</Id></L><B>{pdf}</B></I>")),
        (xml("//L"), ["Id", "/I/x"], format!("<I><A>{pdf}</A><x>1</x><L><Id>1</Id></L><B><x/>{pdf}</B></I>")),
        (xml("//L"), ["Id", "/I//x"], format!("<I><A><y>{pdf}</y></A><A><z><x>1</x></z></A><L><Id>1</Id></L></I>")),
        (xml("//L"), ["Id", "../x"], format!("<I>{empty}<S><x>1</x><L><Id>1</Id></L></S></I>")),
        (xml("/I/S/L"), ["Id", "..//x"], format!("<I>{empty}<S><x>1</x><L><Id>1</Id></L></S></I>")),
        (xml("/I/S[y='z']/L"), ["Id", "../x"], format!("<I>{empty}<S><y>z</y><x>1</x><L><Id>1</Id></L></S></I>")),
        (json("r"), ["Id", "/x"], format!(r#"{{"a":"{pdf}","x":"1","r":[{{"Id":"1"}}]}}"#)),
        (json("r"), ["Id", "../x"], format!(r#"{{"x":"1","r":[{{"Id":"1"}}],"log":[{log}]}}"#)),
        (json("r"), ["Id", "/h/x"], format!(r#"{{"log":[[{log}],{log}],"h":{{"y":"{pdf}","x":"1"}},"r":[{{"Id":"1"}}]}}"#)),
    ] {
        let scene = by_path(format, &paths);
        let (report, sink) = scene.import(document.as_bytes());
        assert_eq!(report.counts, counts(1, 1, 0, 0, 0), "{paths:?}: {:?}", sink.findings);
        assert_eq!(scene.rows(), ["1|1"], "{paths:?}");
    }
    for (format, path, document) in [
        (xml("//L"), "../x", format!("<I><x>{pdf}</x><L><Id>1</Id></L></I>")),
        (xml("//L"), "//y", format!("<I>{empty}<L><Id>1</Id></L></I>")),
        (json("r"), "/x", format!(r#"{{"x":"{pdf}","r":[{{"Id":"1"}}]}}"#)),
    ] {
        let (report, sink) = by_path(format, &["Id", path]).import(document.as_bytes());
        assert!(report.document_refused && sink.findings[0].message == "too much stands beside the records", "{:?}", sink.findings);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn large_siblings_that_no_path_leads_to_change_no_record(
        gaps in proptest::collection::vec(proptest::prelude::any::<bool>(), 8),
        which in 0..5usize,
        json in proptest::prelude::any::<bool>(),
    ) {
        let large = "z".repeat(100 * 1024);
        let around = |full: bool| {
            let gap = |at: usize| match (full && gaps[at], json) {
                (false, _) => String::new(),
                (true, true) => format!(r#""z{at}":{{"y":"{large}","z":["{large}",{{"w":"{large}"}}]}},"#),
                (true, false) => format!("<z w='{large}'>{large}<y>{large}</y></z>"),
            };
            let [a, b, c, d, e, f, g, h] = std::array::from_fn(gap);
            match json {
                true => format!(r#"{{{a}"x":"1",{b}"G":[{{{c}"x":"2",{d}"R":[{{"Id":1}},{{"Id":2}}],{e}"v":0}},{{{f}"R":{{"Id":3}},"v":0}}],{g}"D":{{{h}"v":0}}}}"#),
                false => format!("<D>{a}<x>1</x>{b}<G>{c}<x>2</x>{d}<R><Id>1</Id></R>{e}<R><Id>2</Id></R></G>{f}<G><R><Id>3</Id></R>{g}</G>{h}</D>"),
            }
        };
        let (format, root) = match json {
            true => (Format::Json(JsonFormat { record: path("G/R"), ..JsonFormat::default() }), "/x"),
            false => (Format::Xml(XmlFormat { record: path("//R"), ..XmlFormat::default() }), "/D/x"),
        };
        let value = ["../x", root, "//x", "..//x", "../../x"][which];
        let told = [false, true].map(|full| {
            let scene = by_path(format.clone(), &["Id", value]);
            let (report, sink) = scene.import(around(full).as_bytes());
            (report.counts, report.document_refused, scene.rows(), sink.findings.len())
        });
        proptest::prop_assert_eq!(&told[0], &told[1]);
        proptest::prop_assert_eq!(told[0].0, counts(3, 3, 0, 0, 0));
    }
}

#[test]
fn paths_that_no_record_has_are_noted_and_places_without_records_too() {
    let xml = |record: &str| {
        Format::Xml(XmlFormat { record: path(record), namespaces: vec![("c".into(), "urn:c".into())], ..XmlFormat::default() })
    };
    let (report, sink) = by_path(xml("/D/R"), &["Id", "Nmae", "Amt"]).import(b"<D><R><Id>1</Id><Amt>1</Amt></R><R><Id>2</Id></R></D>");
    assert_eq!((report.counts, report.findings, report.notes), (counts(2, 2, 0, 0, 0), 0, 1));
    assert_eq!((sink.findings[0].rule, sink.findings[0].message.as_str()), (Rule::Message, "no record of the document has Nmae"));
    let (report, sink) = by_path(xml("/D/R"), &["Id"]).import(b"<D><Head/></D>");
    assert_eq!((report.document_refused, report.notes), (false, 1));
    assert!(sink.findings[0].hint.contains("/D/Head"), "{:?}", sink.findings);
    let (report, sink) = by_path(xml("/D/c:R"), &["Id"]).import(b"<D xmlns='urn:other'><R><Id>1</Id></R></D>");
    assert!(report.document_refused && sink.findings[0].hint.contains("/D/R"), "{:?}", sink.findings);
    let root = Format::Xml(XmlFormat { root: Some("Data".into()), ..XmlFormat::default() });
    let (report, sink) = by_path(root, &["Id"]).import(b"<D><R><Id>1</Id></R></D>");
    assert!(report.document_refused && sink.findings[0].message.contains("no record at /Data/*"), "{:?}", sink.findings);
}

#[test]
fn places_of_nested_records_that_no_record_has_are_noted() {
    for (format, document, notes) in [
        (Format::Json(JsonFormat::default()), "[{\"Group\":\"1\",\"lines\":[{\"n\":1}]},{\"Group\":\"2\"}]", 0),
        (Format::Json(JsonFormat::default()), "[{\"Group\":\"1\",\"items\":[{\"n\":1}]},{\"Group\":\"2\"}]", 1),
        (
            Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }),
            "{\"Group\":\"1\",\"lines\":[{\"n\":1}]}\n{\"Group\":\"2\"}\n",
            0,
        ),
        (Format::Json(JsonFormat::default()), "[]", 0),
        (Format::Json(JsonFormat::default()), "[{\"Group\":\"1\",\"lines\":[]}]", 0),
        (Format::Json(JsonFormat::default()), "[{\"Group\":\"1\",\"lines\":null}]", 0),
        (Format::Xml(XmlFormat::default()), "<D><G><Group>1</Group><lines/></G></D>", 0),
        (Format::Xml(XmlFormat::default()), "<D><G><Group>1</Group><line/></G></D>", 1),
    ] {
        let mut wanted = crate::document::read::Wanted { values: vec![path("Group").unwrap()], ..Default::default() };
        wanted.nested.push(crate::document::collect::Nested { record: path("lines"), values: vec![path("n").unwrap()] });
        let mut found = Notes(Vec::new());
        crate::document::read::read(document.as_bytes(), &format, wanted, &mut found).unwrap();
        assert_eq!(found.0.len(), notes, "{document}: {:?}", found.0);
        assert!(found.0.iter().all(|note| note == "no record of the document has nested records at lines"), "{:?}", found.0);
    }
}

#[test]
fn places_of_nested_records_that_hold_others_are_noted() {
    let xml = "<D><G><Group>1</Group><lines><line kind='a'><n>1</n></line></lines></G></D>";
    let json = r#"[{"Group":"1","lines":[{"n":1,"kind":"a"}]}]"#;
    for (document, place, noted) in [
        (xml, "lines/line", false),
        (xml, "lines/lin", true),
        (xml, "lines/line[@kind='c']", true),
        (xml, "lines/line[@art]", true),
        (xml, "lines/line[5]", true),
        (xml, "lines/line/part", true),
        (xml, "Lines/Line", true),
        (json, "lines", false),
        (json, "lines[kind='a']", false),
        (json, "lines/x", true),
        (json, "lines[kind='c']", true),
        (json, "lines[3]", true),
        // Some orders have no lines, and no order has one that is called so.
        ("<D><G><Group>1</Group><lines/></G><G><Group>2</Group><lines><line/></lines></G></D>", "lines/lin", true),
        ("<D><G><Group>1</Group><lines><line/></lines></G><G><Group>2</Group><lines/></G></D>", "lines/lin", true),
        (r#"[{"Group":"1","lines":[]},{"Group":"2","lines":[{"kind":"a"}]}]"#, "lines[kind='c']", true),
        ("<D><G><Group>1</Group><lines count='0'> </lines></G></D>", "lines/line", false),
        ("<D><G><Group>1</Group><lines/></G><G><Group>2</Group></G></D>", "lines/line[@kind='c']", false),
        (r#"[{"Group":"1","lines":[ ]}]"#, "lines[kind='c']", false),
        (r#"[{"Group":"1","lines":null}]"#, "lines[kind='c']", false),
        (r#"[{"Group":"1","lines":[]}]"#, "lines/line", false),
        (r#"[{"Group":"1","lines":null}]"#, "lines/line", false),
        (r#"[{"Group":"1","lines":{"line":[]}}]"#, "lines/line", false),
    ] {
        let format = if document.starts_with('<') { Format::Xml(XmlFormat::default()) } else { Format::Json(JsonFormat::default()) };
        let mut wanted = crate::document::read::Wanted { values: vec![path("Group").unwrap()], ..Default::default() };
        wanted.nested.push(crate::document::collect::Nested { record: path(place), values: vec![] });
        let mut found = Notes(Vec::new());
        crate::document::read::read(document.as_bytes(), &format, wanted, &mut found).unwrap();
        let note = format!("no record of the document has nested records at {place}");
        assert_eq!(found.0, Vec::from_iter(noted.then_some(note)), "{document}, {place}");
    }
}

#[test]
fn without_a_mapping_a_name_that_no_record_has_is_noted_where_one_is_much_like_it() {
    let (json, lines) = (JsonFormat::default(), JsonFormat { lines: true, ..JsonFormat::default() });
    let attribute = XmlFormat { style: XmlStyle::Attribute, ..XmlFormat::default() };
    let note = |one: &str, other: &str| format!("no record of the document has {one} (there is {other})");
    for (format, document, told) in [
        (Format::Json(json.clone()), r#"[{"Group":1,"Descrption":"x"}]"#, Some(note("Description", "Descrption"))),
        (Format::Json(json.clone()), r#"[{"Group":1,"colour":"x"}]"#, None),
        (Format::Json(json.clone()), r#"[{"Group":1,"Descrption":"x","description":"y"}]"#, None),
        (Format::Json(json.clone()), r#"[{"Group":1,"Descrption":"x"},{"Group":2,"Description":"y"}]"#, None),
        (Format::Json(json.clone()), r#"[{"Group":1,"lines":[{"n":1}]}]"#, None),
        (Format::Json(lines), "{\"Group\":1,\"Descrption\":1}\n{\"Group\":\n{\"Group\":3}\n", Some(note("Description", "Descrption"))),
        (
            Format::Xml(XmlFormat::default()),
            "<D><R Descr1ption='x'><Group>1</Group><a:Descriptin/></R></D>",
            Some(note("Description", "Descriptin")),
        ),
        (Format::Xml(attribute), "<D><R Group='1' Descr1ption='x'><Descriptin/></R></D>", Some(note("Description", "Descr1ption"))),
    ] {
        let name = |name| crate::document::read::path_of_name(&format, name);
        let mut wanted =
            crate::document::read::Wanted { values: ["Group", "Description", "Line"].map(name).to_vec(), ..Default::default() };
        let place = path("lines");
        wanted.nested.extend(document.contains("lines").then(|| crate::document::collect::Nested { record: place, values: Vec::new() }));
        let mut found = Notes(Vec::new());
        crate::document::read::read(document.as_bytes(), &format, wanted, &mut found).unwrap();
        assert_eq!(found.0, Vec::from_iter(told), "{document}");
    }
}

struct Notes(Vec<String>);

impl crate::document::read::Take for Notes {
    fn layout(&mut self, _: &crate::document::read::Layout) -> std::ops::ControlFlow<()> {
        std::ops::ControlFlow::Continue(())
    }

    fn record(&mut self, _: &mut crate::document::record::Record) -> std::ops::ControlFlow<()> {
        std::ops::ControlFlow::Continue(())
    }

    fn note(&mut self, message: String, _: String) {
        self.0.push(message);
    }
}

#[test]
fn a_root_element_of_text_alone_refuses_the_document() {
    for style in [XmlStyle::Element, XmlStyle::Attribute] {
        let scene = nested(Format::Xml(XmlFormat { style, ..XmlFormat::default() }));
        let (report, sink) = scene.import(b"<?xml version=\"1.0\"?><Error code=\"5\">\n Not <![CDATA[&]]> authorized </Error>");
        assert!(
            report.document_refused && sink.findings[0].message.contains("text and no record stands in the document: \"Not"),
            "{:?}",
            sink.findings
        );
        assert!(!scene.import(b"<Groups>\n</Groups>").0.document_refused);
        assert!(scene.import(b"<Error><![CDATA[Session expired]]></Error>").0.document_refused);
        let deeper = nested(Format::Xml(XmlFormat { style, record: path("/D/Groups/G"), ..XmlFormat::default() }));
        assert!(deeper.import(b"<D><Groups>Database down</Groups></D>").0.document_refused);
        assert!(!deeper.import(b"<D><Made>today</Made><Groups>\n</Groups></D>").0.document_refused);
    }
}

#[test]
fn a_record_of_the_other_style_is_refused_alone_and_a_document_of_them_as_a_whole() {
    let (element, attribute) = (XmlFormat::default(), XmlFormat { style: XmlStyle::Attribute, ..XmlFormat::default() });
    let odd = |good: &str, odd: &str, count: usize| format!("<D>{}{good}{odd}</D>", odd.repeat(count));
    for (format, good, other) in
        [(&element, "<R><Id>1</Id></R>", "<R Id='2' x='1'/>"), (&attribute, "<R Id='1'><note>x</note></R>", "<R><Id>2</Id></R>")]
    {
        let scene = || by_path(Format::Xml(format.clone()), &["Id"]);
        for (count, blank) in [(0, 0), (1, 0), (19, 0), (1, 1)] {
            let document = odd(good, other, count).replace("<D>", if blank > 0 { "<D><R/>" } else { "<D>" });
            let (report, sink) = scene().import(document.as_bytes());
            let refused = (count + blank + 1) as u64;
            assert_eq!(report.counts, counts(refused + 1, 1, 0, 0, refused), "{document}: {:?}", sink.findings);
            assert!(sink.findings[blank].message.starts_with("its values stand in "), "{:?}", sink.findings);
        }
        for document in [odd(good, other, 20), odd("", other, 1)] {
            let (report, sink) = scene().import(document.as_bytes());
            assert!(report.document_refused && sink.findings.len() == 1, "{:?}", sink.findings);
            assert!(sink.findings[0].message.starts_with("records have their values in "), "{:?}", sink.findings);
        }
    }
}

#[test]
fn a_value_of_the_other_style_is_noted_and_its_record_loaded() {
    let (element, attribute) = (XmlFormat::default(), XmlFormat { style: XmlStyle::Attribute, ..XmlFormat::default() });
    for (format, document, words) in [
        (&element, "<D><R Name='x'><Id>1</Id></R><R><Id>2</Id></R></D>", "of records Name (in 1 of them) is an attribute, "),
        (&attribute, "<D><R Id='1'/><R Id='2'><Name>x</Name></R></D>", "of records Name (in 1 of them) is an element, "),
    ] {
        for stated in [true, false] {
            let mut scene = by_path(Format::Xml(format.clone()), &["Id", "Name"]);
            scene.project_entity.mapping_stated = stated;
            let (report, sink) = scene.import(document.as_bytes());
            assert_eq!((report.counts, report.notes), (counts(2, 2, 0, 0, 0), 1), "{:?}", sink.findings);
            assert!(sink.findings[0].message.starts_with(words), "{:?}", sink.findings);
        }
    }
}

#[test]
fn a_value_that_stands_the_other_way_in_some_records_is_noted_with_how_many_they_are() {
    let (element, attribute) = (XmlFormat::default(), XmlFormat { style: XmlStyle::Attribute, ..XmlFormat::default() });
    let right = "<R><Id>0</Id><Name>y</Name></R>".repeat(6000);
    let own = "<R Id='0' Name='y'/>".repeat(6000);
    for (format, right, odd, other) in [
        (&element, &right, "<R Name='x'><Id>1</Id></R><R Name='z'><Id>2</Id></R>", "@Name"),
        (&attribute, &own, "<R Id='1'><Name>x</Name></R><R Id='2'><Name>z</Name></R>", "./Name"),
    ] {
        for document in [format!("<D>{odd}{right}</D>"), format!("<D>{right}{odd}</D>")] {
            let mut scene = by_path(Format::Xml(format.clone()), &["Id", "Name"]);
            let (report, sink) = scene.import(document.as_bytes());
            assert_eq!((report.counts.refused, report.notes), (0, 1), "{:?}", sink.findings);
            assert!(sink.findings[0].message.contains("Name (in 2 of them) is an "), "{:?}", sink.findings);
            assert!(sink.findings[0].hint.ends_with(&format!("source = \"{}NAME\", when = \"blank\"", other.trim_end_matches("Name"))));
            // As the hint says.
            let more = Mapping { when: When::Blank, ..Mapping::plain(Source::Column(other.into()), 1) };
            scene.project_entity.mapping.push(more);
            let (report, _) = scene.import(document.as_bytes());
            assert_eq!((report.counts.refused, report.notes), (0, 0));
            assert_eq!(scene.rows()[1..], ["1|x", "2|z"]);
        }
    }
    // A record that has both has what is asked for.
    let both = b"<D><R Name='x'><Id>1</Id><Name>y</Name></R></D>";
    assert_eq!(by_path(Format::Xml(element), &["Id", "Name"]).import(both).0.notes, 0);
}
