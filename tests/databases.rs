//! `[[database]]`: entities that live in the shop's own SQLite file, with its own tables, rules and views.

use std::io::Read;
use std::time::Duration;

use rusqlite::Connection;

use crate::appliance::{Appliance, EXPORT, IMPORT};

const CONFIGURATION: &str = r#"
[[database]]
name = "shop"
sqlite = "shop.db"

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

    // Somebody else writes: the load waits for its turn, and nothing is lost.
    connection.execute_batch("BEGIN IMMEDIATE; UPDATE article SET stock = 8 WHERE SKU = 'A1'").unwrap();
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU,PRICE\nA1,3\n", None);
    connection.execute_batch("COMMIT").unwrap();
    app.settle();
    assert_eq!(app.message(&id)["rows"]["updated"], 1);
    assert_eq!(texts("SELECT PRICE || stock FROM article WHERE SKU = 'A1'"), ["3.008"]);

    app.advance(Duration::from_secs(24 * 3600));
    let body = app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200).json();
    let location = body["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(app.get(location).expect(200).body)).unwrap();
    let mut document = String::new();
    zip.by_name("Cheap articles.xml").unwrap().read_to_string(&mut document).unwrap();
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document>\n<CHEAPARTICLES><SKU>A1</SKU><PRICE>3.00</PRICE></CHEAPARTICLES>\n</Document>\n";
    assert_eq!(document, expected);
}
