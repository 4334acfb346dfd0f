//! Data packages as input (CONTRACT §4, MANIFEST.md).

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::appliance::Appliance;

pub const PACKAGES: &str = "11111111-2222-4333-8444-555555555555";

/// Terms, and groups that refer to them; the job takes packages.
pub const CONFIGURATION: &str = r#"
[[entity]]
name = "Terms of payment"
aliases = ["PaymentTermEntity"]
table = "terms"
key = ["NAME"]
fields = [
  { name = "NAME", type = "string", length = 10, required = true },
  { name = "DAYS", type = "integer" },
]

[[entity]]
name = "Customer groups"
table = "customer_groups"
key = ["ID"]
fields = [
  { name = "ID", type = "string", length = 10, required = true },
  { name = "NAME", type = "string", length = 30 },
  { name = "TERMS", type = "string", references = "Terms of payment" },
]

[[project]]
name = "Set-up"
direction = "import"
[[project.entity]]
entity = "Customer groups"
level = 1
[[project.entity]]
entity = "Terms of payment"
level = 2

[[job]]
name = "Set-up"
activity_id = "11111111-2222-4333-8444-555555555555"
project = "Set-up"
accepts = "package"
applications = ["Tests"]
{job}
"#;

pub fn configuration(job: &str) -> String {
    CONFIGURATION.replace("{job}", job)
}

const HEADER: &str = "<DataManagementPackageHeader xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"><PackageVersion>2</PackageVersion></DataManagementPackageHeader>";

/// A manifest of these entities: label, file, level, and more members.
pub fn manifest(entities: &[(&str, &str, u32, &str)]) -> String {
    let list: String = entities
        .iter()
        .map(|(name, file, level, more)| {
            format!(
                "<DataManagementPackageEntityData><EntityName>{name}</EntityName><InputFilePath>{file}</InputFilePath><LevelInExecutionUnit>{level}</LevelInExecutionUnit>{more}</DataManagementPackageEntityData>"
            )
        })
        .collect();
    format!(
        "<DataManagementPackageManifest xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"><DefinitionGroupName>Set-up</DefinitionGroupName><PackageEntityList>{list}</PackageEntityList></DataManagementPackageManifest>"
    )
}

pub fn package(manifest: &[u8], files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let all = files.iter().copied().chain([("PackageHeader.xml", HEADER.as_bytes()), ("Manifest.xml", manifest)]);
    for (name, bytes) in all {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Terms at level 10, groups at level 20: the other way round than in the project.
pub fn both(terms: &[u8], groups: &[u8]) -> Vec<u8> {
    let manifest = manifest(&[("Customer groups", "groups.csv", 20, ""), ("Terms of payment", "Terms of payment.csv", 10, "")]);
    package(manifest.as_bytes(), &[("groups.csv", groups), ("Terms of payment.csv", terms)])
}

pub fn enqueue(app: &mut Appliance, package: &[u8]) -> Value {
    let id = app.enqueue_to(PACKAGES, "", package, None);
    app.settle();
    app.message(&id)
}

pub fn findings(app: &Appliance, message: &Value) -> Vec<String> {
    let list = app.findings(message["id"].as_str().unwrap());
    list.iter().map(|finding| format!("{}: {}", finding["entity"].as_str().unwrap(), finding["message"].as_str().unwrap())).collect()
}

pub fn outcomes(message: &Value) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = message["entities"].as_array().unwrap();
    list.iter().map(|run| (text(&run["entity"]), text(&run["outcome"]), run["rows"]["inserted"].as_u64().unwrap())).collect()
}

#[test]
fn a_package_of_several_entities_is_one_message_and_loads_in_the_order_of_its_manifest() {
    let mut app = Appliance::start(&configuration(""));
    let message = enqueue(&mut app, &both(b"NAME,DAYS\r\nNet30,30\r\nCash,0\r\n", b"ID,NAME,TERMS,EXTRA\r\n10,Retail,Net30,x\r\n"));
    assert_eq!(message["state"], "processed", "{message}");
    assert_eq!(message["rows"]["inserted"], 3);
    assert_eq!(outcomes(&message), [("Terms of payment".into(), "processed".into(), 2), ("Customer groups".into(), "processed".into(), 1)]);
    assert_eq!(app.sql("SELECT ID, NAME, TERMS FROM customer_groups"), ["10|Retail|Net30"]);
    let id = message["id"].as_str().unwrap();
    let status = app.get(&format!("/api/connector/jobstatus/{PACKAGES}?jobId={id}")).expect(200).json();
    let details: Vec<_> = status["ExecutionDetail"].as_array().unwrap().iter().map(|d| (&d["EntityName"], &d["TargetRecords"])).collect();
    assert_eq!(details, [(&json!("Terms of payment"), &json!(2)), (&json!("Customer groups"), &json!(1))]);
    let document = app.operator("GET", &format!("messages/{id}/document")).expect(200);
    assert!(document.header("Content-Disposition").unwrap().contains(".zip") && document.body.starts_with(b"PK"));
}

#[test]
fn refused_rows_come_back_for_each_entity() {
    let mut app = Appliance::start(&configuration(""));
    let message =
        enqueue(&mut app, &both(b"NAME,DAYS\r\nNet30,soon\r\nCash,0\r\n", b"ID,NAME,TERMS\r\n10,Retail,Net30\r\n11,Other,Cash\r\n"));
    assert_eq!((&message["state"], &message["rows"]["refused"]), (&json!("processed_with_errors"), &json!(2)));
    let id = message["id"].as_str().unwrap();
    let refused = |entity: &str| app.operator("GET", &format!("messages/{id}/refused?entity={entity}")).expect(200).text();
    assert!(refused("Terms%20of%20payment").contains("Net30,soon,Entrepot line 2,"), "{}", refused("Terms%20of%20payment"));
    assert!(refused("Customer%20groups").contains("10,Retail,Net30,Entrepot line 2,"), "{}", refused("Customer%20groups"));
    app.operator("GET", &format!("messages/{id}/refused?entity=Vendors")).expect(404);
    // Without a name they come back as a package that the job takes, manifest and header as they were.
    let back = app.operator("GET", &format!("messages/{id}/refused")).expect(200);
    assert!(back.header("Content-Disposition").unwrap().contains("-refused.zip"));
    let mended = mend(&back.body, &[("soon", "30")]);
    let again = enqueue(&mut app, &mended);
    assert_eq!((&again["state"], &again["rows"]["inserted"]), (&json!("processed"), &json!(2)), "{:?}", findings(&app, &again));
    assert_eq!(app.sql("SELECT ID FROM customer_groups ORDER BY ID"), ["10", "11"]);
    // Retention takes the files of every entity.
    let folder = app.dir.path().join("data/spool/refused");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    app.advance(Duration::from_secs(8 * 86_400));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn what_was_refused_as_a_whole_is_in_the_package_that_comes_back_as_it_was_sent() {
    let mut app = Appliance::start(&configuration(""));
    let message = enqueue(&mut app, &both(b"NAME;DAYS\nNet30;30\n", b"ID,NAME,TERMS\n10,Retail,Net30\n11,Other,\n"));
    assert_eq!(message["reason"], "1 of 2 rows were refused, Terms of payment was refused as a whole: see the findings");
    let id = message["id"].as_str().unwrap();
    let dir = app.dir.path().to_owned();
    let shell = |arguments: &[&str]| crate::operator::entrepot(&dir, arguments).stdout;
    let mended = mend(&shell(&["message", "refused", id]), &[("NAME;DAYS", "NAME,DAYS"), ("Net30;30", "Net30,30")]);
    assert!(shell(&["message", "refused", id, "--entity", "customer groups"]).starts_with(b"ID,NAME,TERMS,Entrepot line"));
    let again = enqueue(&mut app, &mended);
    assert_eq!((&again["state"], &again["rows"]["inserted"]), (&json!("processed"), &json!(2)), "{:?}", findings(&app, &again));
    // Nothing of one entity, all of the other: then it is not the rows that were refused.
    let message = enqueue(&mut app, &both(b"NAME,DAYS\nNet60,60\n", b"ID;NAME\n"));
    assert_eq!(message["reason"], "Customer groups was refused as a whole: see the findings");
}

#[test]
fn entities_that_were_refused_only_as_wholes_or_not_run_come_back_as_they_were_sent() {
    let mut app = Appliance::start(&configuration(""));
    let flags = "<FailLevelOnError>true</FailLevelOnError>";
    let manifest =
        manifest(&[("Terms of payment", "t.csv", 1, flags), ("Customer groups", "g.csv", 1, "<SequenceInLevel>2</SequenceInLevel>")]);
    let message = enqueue(&mut app, &package(manifest.as_bytes(), &[("t.csv", b"NAME;DAYS\nA;1\n"), ("g.csv", b"ID,NAME,TERMS\n1,x,A\n")]));
    assert_eq!((&message["state"], &message["refused_rows_kept"]), (&json!("refused"), &json!(true)), "{message}");
    let id = message["id"].as_str().unwrap();
    let alone = app.operator("GET", &format!("messages/{id}/refused?entity=Customer%20groups")).expect(404).json();
    assert_eq!(alone["detail"], "this entity was refused as a whole, or not run");
    let dir = app.dir.path().to_owned();
    let mended = mend(&crate::operator::entrepot(&dir, &["message", "refused", id]).stdout, &[("NAME;DAYS", "NAME,DAYS"), ("A;1", "A,1")]);
    let again = enqueue(&mut app, &mended);
    assert_eq!((&again["state"], &again["rows"]["inserted"]), (&json!("processed"), &json!(2)), "{:?}", findings(&app, &again));
    assert_eq!(again["refused_rows_kept"], false);
    // Nothing of it can be read: it is mended in the package that was sent.
    let message = enqueue(&mut app, b"no package");
    assert_eq!(message["refused_rows_kept"], false);
    let answer = app.operator("GET", &format!("messages/{}/refused", message["id"].as_str().unwrap())).expect(404).json();
    assert_eq!(answer["detail"], "the package was refused as a whole");
}

#[test]
fn an_entity_that_stands_in_a_package_under_two_names_refuses_it() {
    let mut app = Appliance::start(&configuration(""));
    let manifest = manifest(&[("Terms of payment", "t.csv", 1, ""), ("PaymentTermEntity", "u.csv", 2, "")]);
    let message = enqueue(&mut app, &package(manifest.as_bytes(), &[("t.csv", b"NAME,DAYS\nA,1\n"), ("u.csv", b"NAME,DAYS\nB,2\n")]));
    assert_eq!(message["state"], "refused");
    assert_eq!(findings(&app, &message), ["PaymentTermEntity: \"PaymentTermEntity\" is the same entity as \"Terms of payment\" in line 1"]);
}

/// A package with texts in its documents replaced.
pub fn mend(package: &[u8], replaced: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(package)).unwrap();
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for index in 0..zip.len() {
        let mut part = zip.by_index(index).unwrap();
        let (name, mut text) = (part.name().unwrap().into_owned(), String::new());
        std::io::Read::read_to_string(&mut part, &mut text).unwrap();
        out.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        let text = replaced.iter().fold(text, |text, (from, to)| text.replace(from, to));
        out.write_all(text.as_bytes()).unwrap();
    }
    out.finish().unwrap().into_inner()
}

#[test]
fn the_manifest_gives_map_and_conversions_where_the_project_has_none() {
    let map = |members: &str| format!("<EntityMap>{members}</EntityMap>");
    let conversions = "<EntityFieldConversionList><EntityFieldConversion><FieldType>String</FieldType><IsDefault>false</IsDefault><SourceStr>30</SourceStr><StagingStr>Net30</StagingStr></EntityFieldConversion>\
        <EntityFieldConversion><FieldType>String</FieldType><IsDefault>true</IsDefault><SourceStr/><StagingStr>None</StagingStr></EntityFieldConversion></EntityFieldConversionList>";
    let list = format!(
        "<EntityMapList>{}{}{}</EntityMapList><SourceFormat>Semicolon</SourceFormat>",
        map(&format!("<EntityField>NAME</EntityField>{conversions}<IsAutoDefault>true</IsAutoDefault><XMLField>Term</XMLField>")),
        map("<EntityField>DAYS</EntityField><XMLField>Tage</XMLField>"),
        map("<EntityField>CASHDISCOUNT</EntityField><XMLField>Skonto</XMLField>"),
    );
    let manifest = manifest(&[("PaymentTermEntity", "t.csv", 1, &list)]);
    let mut app = Appliance::start(&configuration(""));
    let message = enqueue(&mut app, &package(manifest.as_bytes(), &[("t.csv", b"Tage;Term\n30;30\n14;Net14\n0;\n")]));
    // That a field is not read is noted, and no fault.
    assert_eq!(message["state"], "processed", "{:?}", findings(&app, &message));
    assert_eq!(findings(&app, &message), ["Terms of payment: 1 fields of the map are none of the entity's: not read"]);
    assert_eq!(app.sql("SELECT NAME, DAYS FROM terms ORDER BY NAME"), ["Net14|14", "Net30|30", "None|0"]);
}

#[test]
fn where_the_projects_format_has_no_header_the_map_goes_by_number_or_by_the_order_of_the_fields() {
    let headerless = configuration("").replace(
        "entity = \"Terms of payment\"\nlevel = 2",
        "entity = \"Terms of payment\"\nlevel = 2\nformat = { type = \"csv\", header = false }",
    );
    let mut app = Appliance::start(&headerless);
    let mut send = |columns: [(&str, &str); 2], document: &[u8]| {
        let lines = columns
            .map(|(field, column)| format!("<EntityMap><EntityField>{field}</EntityField><XMLField>{column}</XMLField></EntityMap>"));
        let manifest = manifest(&[("Terms of payment", "t.csv", 1, &format!("<EntityMapList>{}</EntityMapList>", lines.concat()))]);
        let message = enqueue(&mut app, &package(manifest.as_bytes(), &[("t.csv", document)]));
        (message["state"].as_str().unwrap().to_owned(), findings(&app, &message), app.sql("SELECT NAME, DAYS FROM terms ORDER BY NAME"))
    };
    let loaded = |rows: &[&str]| ("processed".to_owned(), Vec::new(), rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>());
    assert_eq!(send([("NAME", "Term"), ("DAYS", "Tage")], b"A,1\n"), loaded(&["A|1"]));
    assert_eq!(send([("DAYS", "1"), ("NAME", "2")], b"2,B\n"), loaded(&["A|1", "B|2"]));
    let (_, told, rows) = send([("DAYS", "Tage"), ("NAME", "Term")], b"3,C\n");
    assert_eq!(told, ["Terms of payment: the map names columns, and the format of the project has no header"]);
    assert_eq!(rows, ["A|1", "B|2"]);
}

#[test]
fn a_manifest_in_utf_16_without_namespace_at_the_end_of_the_zip_loads() {
    let text = manifest(&[("Terms of payment", "t.csv", 1, "<SourceFormat>CSV-Unicode</SourceFormat>")])
        .replace(" xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"", "");
    let wide = |text: &str| -> Vec<u8> { std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect() };
    let mut app = Appliance::start(&configuration(""));
    let message = enqueue(&mut app, &package(&wide(&text), &[("t.csv", &wide("NAME,DAYS\r\nÜ30,30\r\n"))]));
    assert_eq!(message["state"], "processed");
    assert_eq!(findings(&app, &message), [": Manifest.xml has elements outside the namespace of data packages: read all the same"]);
    assert_eq!(app.sql("SELECT NAME FROM terms"), ["Ü30"]);
}

#[test]
fn a_workbook_in_a_package_is_read_as_exports_write_it() {
    // Inline texts, a column that the map does not name, and a sheet whose name ends with $ in the manifest, behind another.
    let mut workbook = rust_xlsxwriter::Workbook::new();
    workbook.add_worksheet().write_string(0, 0, "How to fill in the other sheet").unwrap();
    let sheet = workbook.add_worksheet();
    sheet.set_name("Terms_of_payment").unwrap();
    for (row, cells) in [["NAME", "DAYS", "UNMAPPED"], ["Net30", "30", "x"], ["Cash", "0", ""]].iter().enumerate() {
        for (column, text) in cells.iter().enumerate() {
            sheet.write_string(u32::try_from(row).unwrap(), u16::try_from(column).unwrap(), *text).unwrap();
        }
    }
    let bytes = workbook.save_to_buffer().unwrap();
    let map = |name: &str| format!("<EntityMap><EntityField>{name}</EntityField><XMLField>{name}</XMLField></EntityMap>");
    let members = format!(
        "<EntityMapList>{}{}</EntityMapList><ExcelSheetName>Terms_of_payment$</ExcelSheetName><SourceFormat>EXCEL</SourceFormat>",
        map("NAME"),
        map("DAYS")
    );
    let manifest = manifest(&[("Terms of payment", "Terms of payment.xlsx", 1, &members)]);
    let mut app = Appliance::start(&configuration(""));
    let message = enqueue(&mut app, &package(manifest.as_bytes(), &[("Terms of payment.xlsx", &bytes)]));
    assert_eq!(message["state"], "processed", "{:?}", findings(&app, &message));
    assert_eq!(app.sql("SELECT NAME, DAYS FROM terms ORDER BY NAME"), ["Cash|0", "Net30|30"]);
    // A name may end so itself.
    let mut workbook = rust_xlsxwriter::Workbook::new();
    for (name, term) in [("Terms_of_payment", "Net1"), ("Terms_of_payment$", "Net2")] {
        let sheet = workbook.add_worksheet();
        sheet.set_name(name).unwrap();
        sheet.write_row(0, 0, ["NAME", "DAYS"]).unwrap().write_row(1, 0, [term, "2"]).unwrap();
    }
    enqueue(&mut app, &package(manifest.as_bytes(), &[("Terms of payment.xlsx", &workbook.save_to_buffer().unwrap())]));
    assert_eq!(app.sql("SELECT NAME FROM terms ORDER BY NAME"), ["Cash", "Net2", "Net30"]);
    // Where there is one sheet, that is it, whatever its name.
    let mut workbook = rust_xlsxwriter::Workbook::new();
    workbook.add_worksheet().write_row(0, 0, ["NAME", "DAYS"]).unwrap().write_row(1, 0, ["Net60", "60"]).unwrap();
    let message = enqueue(&mut app, &package(manifest.as_bytes(), &[("Terms of payment.xlsx", &workbook.save_to_buffer().unwrap())]));
    assert_eq!((&message["state"], &message["rows"]["inserted"]), (&json!("processed"), &json!(1)), "{:?}", findings(&app, &message));
    // Among several nobody can tell which is meant.
    let mut workbook = rust_xlsxwriter::Workbook::new();
    workbook.add_worksheet().write_row(0, 0, ["NAME", "DAYS"]).unwrap().write_row(1, 0, ["Net90", "90"]).unwrap();
    workbook.add_worksheet();
    let message = enqueue(&mut app, &package(manifest.as_bytes(), &[("Terms of payment.xlsx", &workbook.save_to_buffer().unwrap())]));
    assert_eq!(message["state"], "refused");
    assert_eq!(findings(&app, &message), ["Terms of payment: the workbook has no sheet \"Terms_of_payment$\""]);
}

#[test]
fn a_package_of_an_export_is_read_again_by_what_its_manifest_says() {
    let formats = [
        "type = \"csv\"",
        "type = \"csv\", delimiter = \";\", encoding = \"utf-16le\"",
        "type = \"xml-attribute\"",
        "type = \"json\"",
        "type = \"jsonl\"",
        "type = \"excel\"",
    ];
    let activity = |number: usize| format!("22222222-2222-4333-8444-55555555555{number}");
    let out = |(number, format): (usize, &&str)| {
        format!(
            "[[project]]\nname = \"Out {number}\"\ndirection = \"export\"\n[[project.entity]]\nentity = \"Terms of payment\"\nformat = {{ {format} }}\n[[job]]\nname = \"Out {number}\"\nactivity_id = \"{}\"\nproject = \"Out {number}\"\napplications = [\"Tests\"]\nrecurrence = \"on demand\"\n",
            activity(number)
        )
    };
    let outs: String = formats.iter().enumerate().map(out).collect();
    let mut app = Appliance::start(&(configuration("") + &outs));
    let list = manifest(&[("Terms of payment", "t.csv", 1, "")]);
    enqueue(&mut app, &package(list.as_bytes(), &[("t.csv", b"NAME,DAYS\n\"a;b\",30\nN,\n")]));
    for (number, format) in formats.iter().enumerate() {
        app.operator("POST", &format!("jobs/{}/run", activity(number))).expect(200);
        app.settle();
        let body = app.get(&format!("/api/connector/dequeue/{}", activity(number))).expect(200).json();
        let location = body["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap().to_owned();
        let bytes = app.get(&location).expect(200).body;
        let message = enqueue(&mut app, &bytes);
        assert_eq!(
            (&message["state"], &message["rows"]["unchanged"]),
            (&json!("processed"), &json!(2)),
            "{format}: {:?}",
            findings(&app, &message)
        );
    }
}

#[test]
fn stylesheets_that_a_manifest_names_do_not_run_and_are_not_passed_over_in_silence() {
    let list = "<EntityTransformList><EntityTransform><SequenceNumber>1</SequenceNumber><XsltFileName>terms.xsl</XsltFileName></EntityTransform></EntityTransformList>";
    let manifest = manifest(&[("Terms of payment", "t.csv", 1, list)]);
    let mut app = Appliance::start(&configuration(""));
    let message = enqueue(&mut app, &package(manifest.as_bytes(), &[("t.csv", b"NAME,DAYS\n1,1\n")]));
    assert_eq!(message["state"], "processed");
    let found = &app.findings(message["id"].as_str().unwrap())[0];
    assert!(found["message"].as_str().unwrap().contains("do not run") && found["value"] == "terms.xsl", "{found}");
    assert!(found["hint"].as_str().unwrap().contains("transform = [\"terms.xsl\"]"), "{found}");
}

#[test]
fn what_cannot_be_used_has_a_finding_and_loads_nothing() {
    let mut app = Appliance::start(&configuration(""));
    let terms = |more: &str| manifest(&[("Terms of payment", "t.csv", 1, more)]);
    let rows: &[u8] = b"NAME,DAYS\n1,1\n";
    let whole = package(terms("").as_bytes(), &[("t.csv", rows)]);
    for (bytes, word) in [
        (rows.to_vec(), "no data package"),
        (whole[..whole.len() - 30].to_vec(), "cut short"),
        (package(terms("").as_bytes(), &[("other.csv", rows)]), "no file in the package"),
        (package(terms("<ExecutionUnit>abc</ExecutionUnit>").as_bytes(), &[("t.csv", rows)]), "ExecutionUnit is \"abc\""),
        (package(terms("").as_bytes(), &[("t.csv", rows), ("../x", b"")]), "leads out"),
        (package(manifest(&[("Vendors", "t.csv", 1, "")]).as_bytes(), &[("t.csv", rows)]), "has no entity \"Vendors\""),
        (package(terms("<SourceFormat>Nonsense</SourceFormat>").as_bytes(), &[("t.csv", rows)]), "SourceFormat"),
        (
            package(terms("<Disable>true</Disable>").as_bytes(), &[("t.csv", rows)]),
            "every entity of the package that has a file is disabled",
        ),
    ] {
        let message = enqueue(&mut app, &bytes);
        assert_eq!(message["state"], "refused", "{word}");
        let found = findings(&app, &message);
        assert!(found.iter().any(|text| text.contains(word)), "{word}: {found:?}");
        assert!(app.findings(message["id"].as_str().unwrap())[0]["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
    }
    app.enqueue_to(PACKAGES, "", &whole, None);
    app.settle();
    assert_eq!(app.sql("SELECT count(*) FROM terms"), ["1"]);
}

#[test]
fn the_flags_of_the_manifest_end_a_level_or_a_unit() {
    let mut app = Appliance::start(&configuration(""));
    for (flag, level, expected) in [
        ("FailLevelOnError", 1, "skipped"),
        ("FailLevelOnError", 2, "processed"),
        ("FailExecutionUnitOnError", 2, "skipped"),
        ("RunBusinessLogic", 1, "processed"),
    ] {
        let flags = format!("<{flag}>true</{flag}>");
        let manifest = manifest(&[
            ("Terms of payment", "t.csv", 1, &flags),
            ("Customer groups", "g.csv", level, "<SequenceInLevel>2</SequenceInLevel>"),
        ]);
        let message = enqueue(
            &mut app,
            &package(
                manifest.as_bytes(),
                &[("t.csv", b"NAME,DAYS\nA,x\n"), ("g.csv", format!("ID,NAME,TERMS\n{flag}{level},x,\n").replace("Error", "").as_bytes())],
            ),
        );
        let outcomes = outcomes(&message);
        // Ten characters are the key's length: the row itself may be refused, but the entity was run.
        let ran = outcomes[1].1 != "skipped";
        assert_eq!(ran, expected != "skipped", "{flag} at level {level}: {outcomes:?}");
        assert_eq!(outcomes[0].1, "refused");
    }
}

#[test]
fn a_document_that_is_damaged_inside_the_package_spares_the_others() {
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let manifest = manifest(&[("Terms of payment", "t.csv", 1, ""), ("Customer groups", "g.csv", 2, "")]);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in
        [("t.csv", "NAME,DAYS\nDamage,1\n"), ("g.csv", "ID,NAME,TERMS\n1,x,\n"), ("Manifest.xml", &manifest), ("PackageHeader.xml", HEADER)]
    {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    let mut bytes = zip.finish().unwrap().into_inner();
    let at = bytes.windows(6).position(|window| window == b"Damage").unwrap();
    bytes[at] = b'X';
    let mut app = Appliance::start(&configuration(""));
    let message = enqueue(&mut app, &bytes);
    assert_eq!(message["state"], "processed_with_errors");
    assert_eq!(outcomes(&message), [("Terms of payment".into(), "refused".into(), 0), ("Customer groups".into(), "processed".into(), 1)]);
    assert!(findings(&app, &message)[0].contains("t.csv is damaged in the package"));
    assert_eq!(app.sql("SELECT count(*) FROM terms"), ["0"]);
}

#[test]
fn a_kill_between_the_entities_of_a_package_loads_each_exactly_once() {
    let mut app = Appliance::start(&configuration("recurrence = \"on demand\""));
    let id = app.enqueue_to(PACKAGES, "", &both(b"NAME,DAYS\nNet30,30\nBad,x\n", b"ID,NAME,TERMS\n10,Retail,Net30\n"), None);
    // The table is made by another package, and emptied.
    let other = app.enqueue_to(PACKAGES, "", &both(b"NAME,DAYS\nx,1\n", b"ID,NAME,TERMS\n1,x,x\n"), None);
    app.operator("POST", &format!("messages/{id}/cancel")).expect(200);
    app.operator("POST", &format!("jobs/{PACKAGES}/run")).expect(200);
    app.settle();
    assert_eq!(app.message(&other)["state"], "processed");
    let again = app.enqueue_to(PACKAGES, "", &both(b"NAME,DAYS\nNet30,30\nBad,x\n", b"ID,NAME,TERMS\n10,Retail,x\n"), None);
    // What a crash leaves after the first entity: the entity database knows it, the queue does not.
    let database = rusqlite::Connection::open(app.dir.path().join("data/entities.db")).unwrap();
    database
        .execute("INSERT INTO entrepot_loaded VALUES (?1, 'e', 1795521600000, 2, 1, 0, 0, 1, 1)", [format!("{again}/Terms of payment")])
        .unwrap();
    drop(database);
    app.kill_and_restart();
    app.operator("POST", &format!("jobs/{PACKAGES}/run")).expect(200);
    app.settle();
    let message = app.message(&again);
    assert_eq!(message["state"], "processed_with_errors", "{message}");
    assert_eq!(
        outcomes(&message),
        [("Terms of payment".into(), "processed_with_errors".into(), 1), ("Customer groups".into(), "processed".into(), 1)]
    );
    assert_eq!(app.sql("SELECT NAME FROM terms"), ["x"], "it was not loaded a second time");
    assert_eq!(app.sql("SELECT ID FROM customer_groups ORDER BY ID"), ["1", "10"]);
}

#[test]
fn a_kill_at_any_moment_of_a_package_loads_every_row_once() {
    let mut app = Appliance::start(&configuration(""));
    let lines = |head: &str, row: &dyn Fn(u32) -> String| -> String {
        std::iter::once(head.to_owned()).chain((0..30_000).map(row)).collect::<Vec<_>>().join("\n")
    };
    for round in 0..3 {
        let terms = lines("NAME,DAYS", &|number| format!("{round}-{number},{number}"));
        let groups = lines("ID,NAME,TERMS", &|number| format!("{round}-{number},n,{round}-{number}"));
        let id = app.enqueue_to(PACKAGES, "", &both(terms.as_bytes(), groups.as_bytes()), None);
        for _ in 0..round * 40 {
            app.get("/readyz").expect(200);
        }
        app.kill_and_restart();
        app.settle();
        let message = app.message(&id);
        assert_eq!((&message["state"], &message["rows"]["inserted"]), (&json!("processed"), &json!(60_000)), "{message}");
        assert_eq!(app.sql("SELECT count(*) FROM customer_groups"), [((round + 1) * 30_000).to_string()]);
        assert_eq!(app.sql("SELECT count(*) FROM entrepot_loaded"), [((round + 1) * 2).to_string()], "one load for each entity");
    }
}

#[test]
fn keys_of_deleted_rows_in_a_package_are_told_for_what_they_are() {
    let mut app = Appliance::start(&configuration(""));
    let list = manifest(&[("Terms of payment", "t.csv", 1, "")]);
    let files: [(&str, &[u8]); 3] = [("t.csv", b"NAME,DAYS\nN,30\n"), ("deleted/t.csv", b"NAME\nold\n"), ("other.csv", b"x\n")];
    let message = enqueue(&mut app, &package(list.as_bytes(), &files));
    assert_eq!(message["state"], "processed");
    let found = app.findings(message["id"].as_str().unwrap());
    let told: Vec<_> = found.iter().map(|one| (one["value"].as_str().unwrap(), one["message"].as_str().unwrap())).collect();
    assert_eq!(
        told,
        [
            ("other.csv", "the manifest does not name this file: not read"),
            ("deleted/t.csv", "keys of rows that were deleted where the package was made: an import deletes none"),
        ]
    );
}
