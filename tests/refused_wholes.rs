//! What is refused as a whole comes back as a whole: rows of it that were refused one by one before are no part of anything.

use std::io::{Read, Write};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::appliance::{Appliance, IMPORT};
use crate::packages::{configuration, enqueue, findings, manifest, mend, outcomes, package};

/// The refused rows of a message: name and text of each document.
fn refused(app: &Appliance, message: &Value) -> Vec<(String, String)> {
    let path = format!("messages/{}/refused", message["id"].as_str().unwrap());
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(app.operator("GET", &path).expect(200).body)).unwrap();
    let mut documents = Vec::new();
    for index in 0..zip.len() {
        let mut part = zip.by_index(index).unwrap();
        let (name, mut text) = (part.name().unwrap().into_owned(), String::new());
        part.read_to_string(&mut text).unwrap();
        documents.push((name, text));
    }
    documents.retain(|(name, _)| !name.ends_with(".xml") || name == "t.xml");
    documents
}

/// Terms with a row that is refused before the document turns out to be damaged, and groups.
fn damaged(groups: &str) -> Vec<u8> {
    let terms: String = std::iter::once("NAME,DAYS\n9,x\n".to_owned()).chain((0..30_000).map(|n| format!("{n},{n}\n"))).collect();
    let manifest = manifest(&[("Terms of payment", "t.csv", 1, ""), ("Customer groups", "g.csv", 2, "")]);
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [("t.csv", terms.as_str()), ("g.csv", groups), ("Manifest.xml", &manifest), ("PackageHeader.xml", "<x/>")] {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    let mut bytes = zip.finish().unwrap().into_inner();
    let at = bytes.windows(11).position(|window| window == b"28000,28000").unwrap();
    bytes[at] = b'7';
    bytes
}

#[test]
fn refused_and_staged_rows_of_a_damaged_document_do_not_come_back_as_those_of_the_next_entity() {
    let staged =
        configuration("").replace("entity = \"Terms of payment\"\nlevel", "entity = \"Terms of payment\"\nskip_staging = false\nlevel");
    for configuration in [configuration(""), staged] {
        let mut app = Appliance::start(&configuration);
        let message = enqueue(&mut app, &damaged("ID,NAME,TERMS\n5,good,\n"));
        assert_eq!(
            outcomes(&message),
            [("Terms of payment".into(), "refused".into(), 0), ("Customer groups".into(), "processed".into(), 1)]
        );
        let kept = |at: usize| (&message["entities"][at]["refused_rows_kept"], &message["entities"][at]["staging_kept"]);
        assert_eq!((kept(0), kept(1)), ((&json!(false), &json!(false)), (&json!(false), &json!(false))), "{message}");
        assert_eq!(refused(&app, &message), [], "the one cannot be read, of the other nothing was refused");
        let message = enqueue(&mut app, &damaged("ID,NAME,TERMS\n5,good,\n6,bad,none\n"));
        let back = refused(&app, &message);
        assert!(back.len() == 1 && back[0].0 == "g.csv" && back[0].1.starts_with("ID,NAME,TERMS,Entrepot line"), "{back:?}");
        assert_eq!(back[0].1.lines().count(), 2, "{back:?}");
        // Nothing of it stays behind; what is being downloaded may be there yet.
        let names = std::fs::read_dir(app.dir.path().join("data/spool/incoming")).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = names.filter(|name| !name.to_string_lossy().ends_with(".scratch")).collect();
        assert_eq!(left, [""; 0]);
    }
}

#[test]
fn a_document_of_a_package_that_breaks_behind_a_refused_row_comes_back_whole_and_completes_when_it_is_mended() {
    let mut app = Appliance::start(&configuration(""));
    let manifest = manifest(&[("Terms of payment", "t.xml", 1, "<SourceFormat>XML-Element</SourceFormat>")]);
    let document = "<Document><T><NAME>A</NAME><DAYS>1</DAYS></T><T><NAME>B</NAME><DAYS>x</DAYS></T><T><NAME>C</NAME>";
    let message = enqueue(&mut app, &package(manifest.as_bytes(), &[("t.xml", document.as_bytes())]));
    assert_eq!((&message["state"], &message["rows"]["read"]), (&json!("refused"), &json!(0)), "{message}");
    assert_eq!(refused(&app, &message), [("t.xml".to_owned(), document.to_owned())]);
    let path = format!("messages/{}/refused", message["id"].as_str().unwrap());
    let whole = app.operator("GET", &format!("{path}?entity=Terms%20of%20payment")).expect(404).json();
    assert_eq!(whole["detail"], "this entity was refused as a whole, or not run");
    let mended = mend(&app.operator("GET", &path).expect(200).body, &[(">x<", ">2<"), ("<NAME>C</NAME>", "<NAME>C</NAME></T></Document>")]);
    let again = enqueue(&mut app, &mended);
    assert_eq!((&again["state"], &again["rows"]["inserted"]), (&json!("processed"), &json!(3)), "{:?}", findings(&app, &again));
}

#[test]
fn a_document_that_foreign_keys_refuse_at_its_end_offers_no_part_of_itself() {
    let configuration = r#"
[[database]]
name = "shop"
sqlite = "shop.db"
[[entity]]
name = "Lines"
database = "shop"
table = "line"
[[project]]
name = "Lines in"
direction = "import"
[[project.entity]]
entity = "Lines"
[[job]]
name = "Lines in"
activity_id = "6D31E09F-0249-459F-94F0-AAD9C2C47B64"
project = "Lines in"
applications = ["Tests"]
"#;
    let dir = tempfile::tempdir().unwrap();
    let connection = Connection::open(dir.path().join("shop.db")).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE head (id INTEGER PRIMARY KEY); INSERT INTO head VALUES (1);
             CREATE TABLE line (id INTEGER PRIMARY KEY, n INT, head INT REFERENCES head (id) DEFERRABLE INITIALLY DEFERRED)",
        )
        .unwrap();
    let mut app = Appliance::start_beside(dir, configuration);
    let id = app.enqueue_to(IMPORT, "Lines", b"id,n,head\n1,1,1\n2,x,1\n3,3,99\n", None);
    app.settle();
    let message = app.message(&id);
    assert_eq!((&message["state"], &message["refused_rows_kept"]), (&json!("refused"), &json!(false)), "{message}");
    assert_eq!(app.findings(&id).len(), 2, "both faults are told");
    let answer = app.operator("GET", &format!("messages/{id}/refused")).expect(404).json();
    assert_eq!(answer["detail"], "the document was refused as a whole");
    let id = app.enqueue_to(IMPORT, "Lines", b"id,n,head\n1,1,1\n2,2,1\n3,3,1\n", None);
    app.settle();
    assert_eq!(app.message(&id)["rows"]["inserted"], 3);
}

#[test]
fn a_document_for_a_table_that_is_emptied_of_which_every_row_was_refused_comes_back_whole_and_empties_it_when_it_is_mended() {
    let emptied = configuration("").replace("entity = \"Terms of payment\"\n", "entity = \"Terms of payment\"\ntruncate = true\n");
    let mut app = Appliance::start(&emptied);
    let manifest = manifest(&[("Terms of payment", "t.csv", 1, "")]);
    let mut send = |text: &str| enqueue(&mut app, &package(manifest.as_bytes(), &[("t.csv", text.as_bytes())]));
    send("NAME,DAYS\nA,1\nB,2\n");
    let message = send("NAME,DAYS\nA,\"1,5\"\nC,\"4,5\"\n");
    assert_eq!((&message["state"], &message["rows"]["refused"]), (&json!("refused"), &json!(2)), "{message}");
    assert_eq!(app.sql("SELECT NAME FROM terms ORDER BY 1"), ["A", "B"]);
    assert_eq!(refused(&app, &message), [("t.csv".to_owned(), "NAME,DAYS\nA,\"1,5\"\nC,\"4,5\"\n".to_owned())]);
    let back = app.operator("GET", &format!("messages/{}/refused", message["id"].as_str().unwrap())).expect(200).body;
    let again = enqueue(&mut app, &mend(&back, &[("\"1,5\"", "15"), ("\"4,5\"", "45")]));
    assert_eq!(again["state"], "processed", "{again}");
    assert_eq!(app.sql("SELECT NAME || DAYS FROM terms ORDER BY 1"), ["A15", "C45"]);
}
