//! `skip_staging = false`: rows as they were mapped and validated are kept, each with what became of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::appliance::{Appliance, IMPORT, groups};
use crate::packages;
use crate::pages::Person;

const LINES: &str = r#"
[[entity]]
name = "Lines"
table = "line"
key = ["ID", "NO"]
fields = [{ name = "ID", type = "string", length = 5 }, { name = "NO", type = "integer" }]
"#;

/// Customer groups that are staged, with more of the project's entity.
fn staged(more: &str) -> String {
    let entity = "entity = \"Customer groups\"";
    format!("{LINES}{}", groups("").replacen(entity, &format!("{entity}\nskip_staging = false\n{more}"), 1))
}

fn rows(app: &Appliance, id: &str, query: &str) -> Vec<Value> {
    let page = app.operator("GET", &format!("messages/{id}/staging{query}")).expect(200).json();
    page["rows"].as_array().unwrap().clone()
}

fn short(row: &Value) -> String {
    let values: Vec<String> = row["values"].as_object().unwrap().values().map(|value| value.as_str().unwrap_or("-").to_owned()).collect();
    format!("{}:{} {} {}", row["row"], row["line"], row["status"].as_str().unwrap(), values.join(","))
}

fn files(app: &Appliance, folder: &str) -> usize {
    std::fs::read_dir(app.dir.path().join("data/spool").join(folder)).unwrap().count()
}

#[test]
fn staged_rows_are_kept_with_what_became_of_each_as_long_as_the_document() {
    let mapping = "mapping = [{ source = \"ID\", field = \"ID\", upper = true }, { source = \"NAME\", field = \"NAME\" }, { source = \"AMOUNT\", field = \"AMOUNT\" }]";
    let mut app = Appliance::start(&staged(mapping));
    let person = Person::signed_in(&app);
    let id = app.enqueue(b"ID,NAME,AMOUNT\na,one,1\nb,two,much\nc,\"x\nthree\",3.5\n", None);
    app.settle();
    let found = rows(&app, &id, "");
    assert_eq!(
        found.iter().map(short).collect::<Vec<_>>(),
        ["1:2 Completed A,one,1.00", "2:3 Error B,two,-", "3:4 Completed C,x\nthree,3.50"]
    );
    assert_eq!(found[1]["record"], "b,two,much");
    assert!(found[1]["reason"].as_str().unwrap().starts_with("AMOUNT: expected a decimal"), "{}", found[1]);
    assert_eq!((&found[0]["record"], &found[0]["reason"]), (&Value::Null, &Value::Null));
    assert_eq!(rows(&app, &id, "?status=error").len(), 1);
    let next = app.operator("GET", &format!("messages/{id}/staging?after=1")).expect(200).json();
    assert_eq!((next["rows"].as_array().unwrap().len(), &next["entities"]), (2, &json!(["Customer groups"])));
    assert_eq!(app.message(&id)["entities"][0]["staging_kept"], true);
    let page = person.get(&app, &format!("/messages/{id}/staging?status=Error")).expect(200).text();
    assert!(page.contains("Row 2, line 3: Error") && page.contains("b,two,much") && !page.contains("Completed</h2>"), "{page}");
    assert!(person.get(&app, &format!("/messages/{id}")).expect(200).text().contains("/staging\""));
    let shown = std::process::Command::new(env!("CARGO_BIN_EXE_entrepot"))
        .args(["message", "staging", &id, "--status", "Completed", "--after", "1", "--config"])
        .arg(app.dir.path().join("entrepot.toml"))
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("3  Completed") && shown.contains("AMOUNT=3.50") && !shown.contains("ID=A"), "{shown}");
    // It is a plain file that any SQLite tool reads.
    let path = app.dir.path().join(format!("data/spool/staging/{id}-0.db"));
    let sum: f64 =
        rusqlite::Connection::open(&path).unwrap().query_row("SELECT sum(AMOUNT) FROM customer_groups", [], |row| row.get(0)).unwrap();
    assert_eq!(sum, 4.5);
    app.restart();
    assert_eq!(rows(&app, &id, "").len(), 3);
    app.advance(Duration::from_secs(9 * 24 * 3600));
    assert_eq!(files(&app, "staging"), 0);
    app.operator("GET", &format!("messages/{id}/staging")).expect(404);
    assert_eq!(app.message(&id)["entities"][0]["staging_kept"], false);
}

#[test]
fn a_manifest_says_whether_its_rows_are_staged_where_the_project_does_not() {
    let ours = |line: &str| {
        packages::configuration("")
            .replace("entity = \"Terms of payment\"\nlevel", &format!("entity = \"Terms of payment\"\n{line}\nlevel"))
    };
    for (project, manifest, staged) in [
        ("", "", 0),
        ("", "<SkipStaging/>", 0),
        ("", "<SkipStaging>true</SkipStaging>", 0),
        ("", "<SkipStaging>false</SkipStaging>", 1),
        ("skip_staging = true", "<SkipStaging>false</SkipStaging>", 0),
        ("skip_staging = false", "<SkipStaging>true</SkipStaging>", 1),
    ] {
        let mut app = Appliance::start(&ours(project));
        let text = packages::manifest(&[("Terms of payment", "t.csv", 1, manifest)]);
        let message = packages::enqueue(&mut app, &packages::package(text.as_bytes(), &[("t.csv", b"NAME,DAYS\nNet30,30\n")]));
        assert_eq!((&message["state"], files(&app, "staging")), (&json!("processed"), staged), "{project} {manifest}");
    }
}

#[test]
fn nothing_is_staged_unless_it_is_asked_for() {
    let mut app = Appliance::start(&groups(""));
    let id = app.enqueue(b"ID,NAME,AMOUNT\na,one,1\n", None);
    app.settle();
    assert_eq!(app.message(&id)["state"], "processed");
    assert!(app.operator("GET", &format!("messages/{id}/staging")).expect(404).text().contains("skip_staging"));
    assert_eq!((files(&app, "staging"), files(&app, "incoming")), (0, 0));
}

#[test]
fn nested_rows_are_staged_in_a_table_of_their_own_with_the_number_of_their_record() {
    let nested = "format = { type = \"json\" }\n[[project.entity.nested]]\nentity = \"Lines\"\nrecord = \"lines\"\nmapping = [{ parent = \"ID\", field = \"ID\" }, { source = \"no\", field = \"NO\" }]";
    let mut app = Appliance::start(&staged(nested));
    let document =
        br#"[{"ID":"1","NAME":"one","AMOUNT":1,"lines":[{"no":1},{"no":2}]},{"ID":"2","NAME":"two","AMOUNT":2,"lines":[{"no":"x"}]}]"#;
    let id = app.enqueue(document, None);
    app.settle();
    let found = |entity: &str| rows(&app, &id, &format!("?entity={entity}")).iter().map(short).collect::<Vec<_>>();
    assert_eq!(found("Customer%20groups"), ["1:1 Completed 1,one,1.00", "2:1 Error 2,two,2.00"]);
    assert_eq!(found("lines"), ["1:1 Completed 1,1", "1:1 Completed 1,2", "2:1 Error 2,-"]);
}

#[test]
fn of_a_document_that_breaks_half_way_the_rows_before_are_not_started() {
    let mut app = Appliance::start(&staged("format = { type = \"xml-element\" }"));
    let record = |id: u32| format!("<G><ID>{id}</ID><NAME>n</NAME><AMOUNT>1</AMOUNT></G>");
    // More rows than are on their way to the staging at one time.
    let document = format!("<D>{}<G><ID>9</NAME>", (0..5000).map(record).collect::<String>());
    let id = app.enqueue(document.as_bytes(), None);
    app.settle();
    assert_eq!(
        (app.message(&id)["state"].as_str(), app.sql("SELECT count(*) FROM customer_groups")),
        (Some("refused"), vec!["0".to_owned()])
    );
    assert_eq!(rows(&app, &id, "?status=NotStarted").len(), 500);
    assert_eq!(rows(&app, &id, "?status=Completed").len(), 0);
}

#[test]
fn after_a_crash_behind_the_load_the_staging_of_that_load_is_reported() {
    let mut app = Appliance::start_with_fault(&staged(""), "rows_loaded:abort");
    let id = app.enqueue(b"ID,NAME,AMOUNT\na,one,1\nb,two,x\n", None);
    app.relaunch_after_fault();
    app.settle();
    let message = app.message(&id);
    assert_eq!(
        (message["rows"]["inserted"].as_u64(), message["entities"][0]["staging_kept"].as_bool()),
        (Some(1), Some(true)),
        "{message}"
    );
    assert_eq!(rows(&app, &id, "").iter().map(short).collect::<Vec<_>>(), ["1:2 Completed a,one,1.00", "2:3 Error b,two,-"]);
    assert!(app.log().contains("loaded before a crash"), "{}", app.log());
}

#[test]
fn a_load_that_is_taken_back_leaves_no_staging() {
    let shop = "[[database]]\nname = \"shop\"\nsqlite = \"shop.db\"\nlock_wait = \"0s\"\n";
    let configuration =
        format!("{shop}{}", staged("").replacen("table = \"customer_groups\"", "table = \"customer_groups\"\ndatabase = \"shop\"", 1));
    let mut app = Appliance::start(&configuration);
    let connection = rusqlite::Connection::open(app.dir.path().join("shop.db")).unwrap();
    connection.execute_batch("CREATE TABLE customer_groups (ID TEXT PRIMARY KEY, NAME TEXT, AMOUNT TEXT)").unwrap();
    // Ours to read and to write, until the commit: a reader keeps that back.
    app.enqueue_to(IMPORT, "Customer%20groups", b"ID,NAME,AMOUNT\nz,first,1\n", None);
    app.settle();
    connection.execute_batch("BEGIN; SELECT * FROM customer_groups").unwrap();
    let id = app.enqueue_to(IMPORT, "Customer%20groups", b"ID,NAME,AMOUNT\na,one,1\n", None);
    app.settle();
    assert_eq!((app.message(&id)["state"].as_str(), files(&app, "staging"), files(&app, "incoming")), (Some("queued"), 1, 0));
    connection.execute_batch("COMMIT").unwrap();
    app.advance(Duration::from_secs(5));
    assert_eq!(rows(&app, &id, "").iter().map(short).collect::<Vec<_>>(), ["1:2 Completed a,one,1.00"]);
}
