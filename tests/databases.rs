//! `[[database]]`: entities that live in the shop's own SQLite file, with its own tables, rules and views.

use std::io::Read;
use std::time::Duration;

use rusqlite::Connection;

use crate::appliance::{Appliance, EXPORT, IMPORT};

const CONFIGURATION: &str = r#"
[[database]]
name = "shop"
sqlite = "shop.db"
lock_wait = "0s"

[[entity]]
name = "Articles"
database = "shop"
table = "article"
key = ["SKU"]
fields = [
  { name = "SKU", type = "string", length = 20 },
  { name = "PRICE", type = "decimal", scale = 2 },
]

[[entity]]
name = "Cheap articles"
database = "shop"
table = "cheap"
key = ["SKU"]
fields = [{ name = "SKU", type = "string" }, { name = "PRICE", type = "decimal", scale = 2 }]

[[project]]
name = "Articles in"
direction = "import"
[[project.entity]]
entity = "Articles"

[[project]]
name = "Cheap out"
direction = "export"
[[project.entity]]
entity = "Cheap articles"
format = { type = "xml-element" }

[[job]]
name = "Articles in"
activity_id = "6D31E09F-0249-459F-94F0-AAD9C2C47B64"
project = "Articles in"
applications = ["Tests"]

[[job]]
name = "Cheap out"
activity_id = "C03BB937-09ED-46DE-86EE-4520D7D7E373"
project = "Cheap out"
applications = ["Tests"]
recurrence = "0 6 * * *"
"#;

/// A shop's own database, made before the appliance starts, and found as it is.
fn shop(app: &Appliance) -> Connection {
    let connection = Connection::open(app.dir.path().join("shop.db")).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS article (id INTEGER PRIMARY KEY AUTOINCREMENT, SKU TEXT UNIQUE NOT NULL, PRICE TEXT CHECK (PRICE <> '13.00'), stock INTEGER NOT NULL DEFAULT 7);
             CREATE VIEW IF NOT EXISTS cheap AS SELECT SKU, PRICE FROM article WHERE CAST(PRICE AS REAL) < 5;",
        )
        .unwrap();
    connection
}

#[test]
fn rows_go_into_the_tables_of_a_shop_as_they_are_and_come_out_of_its_views() {
    let mut app = Appliance::start(CONFIGURATION);
    let connection = shop(&app);
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU,PRICE\nA1,2.5\nA2,13\nA3,9\n", None);
    app.settle();
    let message = app.message(&id);
    assert_eq!((message["rows"]["inserted"].as_u64(), message["rows"]["refused"].as_u64()), (Some(2), Some(1)), "{message}");
    let finding = &app.findings(&id)[0];
    assert_eq!((finding["rule"].as_str(), finding["row"].as_u64()), (Some("load"), Some(2)), "{finding}");
    assert!(finding["message"].as_str().unwrap().contains("CHECK constraint"), "{finding}");
    assert_eq!(texts("SELECT SKU || PRICE || stock FROM article ORDER BY SKU"), ["A12.507", "A39.007"]);
    // That the load was done stands in the same file, in the same commit.
    assert_eq!(texts("SELECT message_id FROM entrepot_loaded"), std::slice::from_ref(&id));
    assert_eq!(texts("SELECT type FROM pragma_table_info('article') WHERE name = 'SKU'"), ["TEXT"], "no table of the shop is changed");

    app.enqueue_to(IMPORT, "Articles", b"SKU,PRICE\nA1,3\n", None);
    app.settle();
    app.advance(Duration::from_secs(24 * 3600));
    let body = app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200).json();
    let location = body["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(app.get(location).expect(200).body)).unwrap();
    let mut document = String::new();
    zip.by_name("Cheap articles.xml").unwrap().read_to_string(&mut document).unwrap();
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document>\n<CHEAPARTICLES><SKU>A1</SKU><PRICE>3.00</PRICE></CHEAPARTICLES>\n</Document>\n";
    assert_eq!(document, expected);
}

#[test]
fn an_import_that_finds_the_database_locked_is_deferred_and_goes_on_when_it_is_free() {
    let mut app = Appliance::start(CONFIGURATION);
    let connection = shop(&app);
    connection.execute_batch("BEGIN EXCLUSIVE; INSERT INTO article (SKU, PRICE) VALUES ('A1', '1.00')").unwrap();
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU,PRICE\nA1,3\nA2,4\n", None);
    app.settle();
    let message = app.message(&id);
    assert_eq!((message["state"].as_str(), message["attempts"].as_u64()), (Some("queued"), Some(1)), "{message}");
    assert!(message["reason"].as_str().unwrap().contains("locked") && !message["next_try_at"].is_null(), "{message}");
    // The next tries find it locked too, each later than the one before.
    app.advance(Duration::from_secs(5));
    app.advance(Duration::from_secs(9));
    assert_eq!(app.message(&id)["attempts"], 2);
    app.advance(Duration::from_secs(1));
    assert_eq!(app.message(&id)["attempts"], 3);
    // A restart forgets nothing of it.
    app.kill_and_restart();
    connection.execute_batch("COMMIT").unwrap();
    app.advance(Duration::from_secs(20));
    let message = app.message(&id);
    assert_eq!((message["state"].as_str(), message["rows"]["updated"].as_u64()), (Some("processed"), Some(1)), "{message}");
    assert_eq!(message["rows"]["inserted"], 1, "{message}");
    assert!(app.log().contains("message deferred"));
    let prices: String =
        connection.query_row("SELECT group_concat(PRICE) FROM (SELECT PRICE FROM article ORDER BY SKU)", [], |row| row.get(0)).unwrap();
    assert_eq!(prices, "3.00,4.00");
}

#[test]
fn an_export_that_finds_the_database_locked_is_deferred_and_goes_on_when_it_is_free() {
    let mut app = Appliance::start(CONFIGURATION);
    let connection = shop(&app);
    connection.execute_batch("INSERT INTO article (SKU, PRICE) VALUES ('A1', '1.00'); BEGIN EXCLUSIVE").unwrap();
    app.advance(Duration::from_secs(24 * 3600));
    let job = |app: &Appliance| app.operator("GET", "jobs/Cheap%20out").expect(200).json();
    assert_eq!(job(&app)["states"]["enqueued"], 0);
    assert!(!job(&app)["next_try_at"].is_null(), "{}", job(&app));
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(204);
    // Its run is not given up, neither by a second failure nor by a restart.
    app.advance(Duration::from_secs(5));
    app.kill_and_restart();
    app.advance(Duration::from_secs(9));
    connection.execute_batch("COMMIT").unwrap();
    assert_eq!(job(&app)["states"]["enqueued"], 0);
    app.advance(Duration::from_secs(1));
    assert_eq!((&job(&app)["states"]["enqueued"], &job(&app)["next_try_at"]), (&1.into(), &serde_json::Value::Null), "{}", app.log());
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200);
    app.advance(Duration::from_secs(3600));
    let log = app.log();
    assert_eq!(log.matches("export reported").count(), 1, "{log}");
    assert_eq!((log.matches("export deferred").count(), log.matches("export taken up again").count()), (2, 2), "{log}");
}

#[test]
fn an_export_that_a_client_asked_for_is_deferred_while_the_database_is_locked() {
    let mut app = Appliance::start(CONFIGURATION);
    let connection = shop(&app);
    connection.execute_batch("INSERT INTO article (SKU, PRICE) VALUES ('A1', '1.00'); BEGIN EXCLUSIVE").unwrap();
    let body = serde_json::json!({ "definitionGroupId": "Cheap out", "packageName": "p", "executionId": "E", "reExecute": false, "legalEntityId": "" });
    assert_eq!(app.value("ExportToPackage", &body), "E");
    app.settle();
    let status = |app: &Appliance| app.value("GetExecutionSummaryStatus", &serde_json::json!({ "executionId": "E" }));
    assert_eq!(status(&app), "NotRun", "{}", app.log());
    app.advance(Duration::from_secs(5));
    app.kill_and_restart();
    connection.execute_batch("COMMIT").unwrap();
    assert_eq!(status(&app), "NotRun");
    app.advance(Duration::from_secs(10));
    assert_eq!(status(&app), "Succeeded", "{}", app.log());
    assert_eq!(app.log().matches("export deferred").count(), 2, "{}", app.log());
}
