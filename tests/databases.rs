//! `[[database]]`: entities that live in the shop's own SQLite file, with its own tables, rules and views.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use rusqlite::Connection;

use crate::appliance::{Appliance, EXPORT, IMPORT};

pub(crate) const CONFIGURATION: &str = r#"
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
pub(crate) fn shop(app: &Appliance) -> Connection {
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
    // A day later old loads are forgotten, too, in the same file.
    let mut app = Appliance::start(&CONFIGURATION.replace("\"0s\"", "\"5s\""));
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

/// The articles of a shop in and out: with these lines in the entity, and these in the project that imports them.
pub(crate) fn articles(entity: &str, import: &str) -> String {
    format!(
        r#"
[[database]]
name = "shop"
sqlite = "shop.db"
[[entity]]
name = "Articles"
database = "shop"
table = "article"
{entity}
[[project]]
name = "in"
direction = "import"
[[project.entity]]
entity = "Articles"
{import}
[[project]]
name = "out"
direction = "export"
[[project.entity]]
entity = "Articles"
[[job]]
name = "in"
activity_id = "6D31E09F-0249-459F-94F0-AAD9C2C47B64"
project = "in"
applications = ["Tests"]
[[job]]
name = "out"
activity_id = "C03BB937-09ED-46DE-86EE-4520D7D7E373"
project = "out"
applications = ["Tests"]
recurrence = "0 6 * * *"
"#
    )
}

/// Of an entity that leaves its fields to the table.
fn found() -> String {
    articles("", "")
}

/// Starts with a shop's database that is there before.
pub(crate) fn start_with(configuration: &str, tables: &str) -> (Appliance, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let connection = Connection::open(dir.path().join("shop.db")).unwrap();
    connection.execute_batch(tables).unwrap();
    (Appliance::start_beside(dir, configuration), connection)
}

/// What `entrepot check` says of the configuration.
pub(crate) fn check(app: &Appliance, arguments: &[&str]) -> String {
    let file = app.dir.path().join("entrepot.toml");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_entrepot"));
    let output = command.arg("check").arg("--config").arg(file).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// The document of the export that the next day brings, if there is one.
pub(crate) fn exported(app: &mut Appliance) -> Option<String> {
    exported_documents(app).remove("Articles.csv")
}

/// All documents of that export.
pub(crate) fn exported_documents(app: &mut Appliance) -> BTreeMap<String, String> {
    app.advance(Duration::from_secs(24 * 3600));
    let answer = app.get(&format!("/api/connector/dequeue/{EXPORT}"));
    if answer.status == 204 {
        return BTreeMap::new();
    }
    let message = answer.expect(200).json();
    let location = message["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap().to_owned();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(app.get(&location).expect(200).body)).unwrap();
    let mut documents = BTreeMap::new();
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        let (name, mut document) = (entry.name().unwrap().into_owned(), String::new());
        entry.read_to_string(&mut document).unwrap();
        documents.insert(name, document);
    }
    app.post(&format!("/api/connector/ack/{EXPORT}"), message.to_string().as_bytes()).expect(200);
    documents
}

#[test]
fn an_entity_may_leave_its_fields_and_key_to_the_table() {
    let (mut app, connection) = start_with(
        &found(),
        "CREATE TABLE article (SKU VARCHAR(5) PRIMARY KEY, NAME TEXT NOT NULL, PRICE DECIMAL(8,2), STOCK INTEGER NOT NULL DEFAULT 7, GROSS AS (PRICE * 2));",
    );
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU,NAME,PRICE,STOCK\nA1,one,2.25,1\nA2,,3,2\nTOOLONG,x,1.234,many\nA4,four,1,\n", None);
    app.settle();
    let findings = app.findings(&id);
    let told: Vec<_> = findings.iter().map(|finding| (finding["row"].as_u64().unwrap(), finding["column"].as_str().unwrap())).collect();
    assert_eq!(told, [(2, "NAME"), (3, "SKU"), (3, "PRICE"), (3, "STOCK"), (4, "STOCK")], "{findings:?}");
    assert_eq!(findings[4]["rule"], "load", "the table has the last word: {findings:?}");
    let stored: String = connection.query_row("SELECT SKU || ' ' || PRICE || ' ' || GROSS FROM article", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, "A1 2.25 4.5");
    connection.execute_batch("INSERT INTO article VALUES ('B1', 'cheap', 1.25, 1), ('B2', 'dear', 10.25, 1)").unwrap();
    assert_eq!(exported(&mut app).unwrap(), "SKU,NAME,PRICE,STOCK\r\nA1,one,2.25,1\r\nB1,cheap,1.25,1\r\nB2,dear,10.25,1\r\n");
    let said = check(&app, &["--effective"]);
    assert!(
        said.contains(r#"{ name = "PRICE", type = "decimal", precision = 8, scale = 2 }"#) && said.contains(r#"key = ["SKU"]"#),
        "{said}"
    );
}

#[test]
fn what_a_document_lacks_or_leaves_blank_is_kept_and_new_rows_have_the_table_s_own_values() {
    let keeps = found().replacen("entity = \"Articles\"", "entity = \"Articles\"\nmapping = [{ source = \"SKU\", field = \"SKU\" }, { source = \"NAME\", field = \"NAME\" }, { source = \"STOCK\", field = \"STOCK\", ignore_blank = true }, { source = \"MUST\", field = \"MUST\", ignore_blank = true }, { source = \"PRICE\", field = \"PRICE\", ignore_blank = true }]", 1);
    let tables = "CREATE TABLE article (SKU VARCHAR(5) PRIMARY KEY, NAME TEXT NOT NULL, STOCK INTEGER NOT NULL DEFAULT 7, MUST TEXT NOT NULL, PRICE DECIMAL(8,2) DEFAULT 9.5);
        INSERT INTO article VALUES ('A1', 'one', 1, 'm', NULL)";
    for (configuration, documents) in [
        (found(), ["SKU,NAME,MUST\nA1,new,m\n", "SKU,NAME,MUST\nA2,two,x\n"]),
        (keeps, ["SKU,NAME,STOCK,MUST,PRICE\nA1,new,,,\n", "SKU,NAME,STOCK,MUST,PRICE\nA2,two,,x,\n"]),
    ] {
        let (mut app, connection) = start_with(&configuration, tables);
        for document in documents {
            let id = app.enqueue_to(IMPORT, "Articles", document.as_bytes(), None);
            app.settle();
            assert_eq!(app.message(&id)["state"], "processed", "{document}: {:?}", app.findings(&id));
        }
        let mut all = connection
            .prepare("SELECT SKU || '|' || NAME || '|' || STOCK || '|' || MUST || '|' || coalesce(PRICE, '-') FROM article ORDER BY SKU")
            .unwrap();
        let rows: Vec<String> = all.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, ["A1|new|1|m|-", "A2|two|7|x|9.5"]);
    }
}

#[test]
fn a_blank_of_a_text_column_that_takes_no_null_is_the_empty_text() {
    let fields = "\nkey = [\"SKU\"]\nfields = [{ name = \"SKU\", type = \"string\" }, { name = \"NAME\", type = \"string\" }, { name = \"NOTE\", type = \"string\" }]";
    let stated = found().replacen("table = \"article\"", &format!("table = \"article\"{fields}"), 1);
    let tables = "CREATE TABLE article (SKU TEXT PRIMARY KEY, NAME VARCHAR(20) NOT NULL, NOTE TEXT NOT NULL DEFAULT 'none');
        INSERT INTO article VALUES ('A1', '', ''), ('A2', 'x', 'y'), ('A3', 'x', 'y')";
    for (more, of_update) in [("", "A9,,"), ("\nwrite = \"update\"", "A3,,")] {
        let configuration = stated.replacen("entity = \"Articles\"", &format!("entity = \"Articles\"{more}"), 1);
        let (mut app, connection) = start_with(&configuration, tables);
        // What is exported is loaded again, and is what is there.
        let document = exported(&mut app).unwrap();
        let count = |app: &mut Appliance, document: &str, name: &str| {
            let id = app.enqueue_to(IMPORT, "Articles", document.as_bytes(), None);
            app.settle();
            let message = app.message(&id);
            assert_eq!(message["state"], "processed", "{document}: {:?}", app.findings(&id));
            message["rows"][name].as_u64().unwrap()
        };
        assert_eq!(count(&mut app, &document, "unchanged"), 3);
        let changed = count(&mut app, &format!("SKU,NAME,NOTE\nA2,,z\n{of_update}\n"), "updated");
        let sql = "SELECT group_concat(SKU || ':' || NAME || ':' || NOTE, ' ') FROM (SELECT * FROM article ORDER BY SKU)";
        let rows: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        match more {
            "" => assert_eq!((changed, rows.as_str()), (1, "A1:: A2::z A3:x:y A9::")),
            _ => assert_eq!((changed, rows.as_str()), (2, "A1:: A2::z A3::")),
        }
    }
    // A record says which of two it is: nothing of a field, or that it is blank.
    let json = stated.replacen("entity = \"Articles\"", "entity = \"Articles\"\nformat = { type = \"json\" }", 1);
    let (mut app, connection) = start_with(&json, tables);
    let id = app.enqueue_to(IMPORT, "Articles", br#"[{"SKU":"A2","NOTE":""},{"SKU":"A3","NAME":""},{"SKU":"A4","NAME":""}]"#, None);
    app.settle();
    assert_eq!(app.message(&id)["state"], "processed", "{:?}", app.findings(&id));
    let sql = "SELECT group_concat(SKU || ':' || NAME || ':' || NOTE, ' ') FROM (SELECT * FROM article ORDER BY SKU)";
    let rows: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, "A1:: A2:x: A3::y A4::none");
}

#[test]
fn the_table_s_own_value_may_be_a_word_without_quotes() {
    let tables = "CREATE TABLE article (SKU TEXT PRIMARY KEY, NAME TEXT NOT NULL DEFAULT open, FLAG TEXT DEFAULT \"N\", N INT DEFAULT (1 + 1 -- two\n));
        INSERT INTO article VALUES ('A1', 'done', 'Y', 1)";
    let (mut app, connection) = start_with(&found(), tables);
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU\nA1\nA2\n", None);
    app.settle();
    assert_eq!(app.message(&id)["state"], "processed", "{:?}", app.findings(&id));
    let rows: String = connection
        .query_row("SELECT group_concat(SKU || NAME || FLAG || N) FROM (SELECT * FROM article ORDER BY SKU)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, "A1doneY1,A2openN2");
}

#[test]
fn what_the_file_or_the_table_lacks_fails_an_export_in_place_of_making_it_empty() {
    let (mut app, connection) = start_with(
        &found(),
        "CREATE TABLE article (SKU TEXT PRIMARY KEY, NAME TEXT, PRICE REAL); INSERT INTO article VALUES ('A1', 'one', 9.5);",
    );
    assert_eq!(exported(&mut app).unwrap(), "SKU,NAME,PRICE\r\nA1,one,9.500000\r\n");
    connection.execute_batch("ALTER TABLE article RENAME COLUMN NAME TO LABEL").unwrap();
    assert_eq!(exported(&mut app), None);
    assert!(app.log().contains("\"article\" has no column NAME: it has SKU, LABEL, PRICE"), "{}", app.log());
    connection.execute_batch("ALTER TABLE article RENAME TO articles").unwrap();
    assert_eq!(exported(&mut app), None);
    assert!(app.log().contains("has no table \"article\""), "{}", app.log());
    connection.execute_batch("ALTER TABLE articles RENAME TO article; ALTER TABLE article RENAME COLUMN LABEL TO NAME").unwrap();
    let (here, away) = (app.dir.path().join("shop.db"), app.dir.path().join("away.db"));
    std::fs::rename(&here, &away).unwrap();
    assert_eq!(exported(&mut app), None);
    assert!(app.log().contains("there is no file"), "{}", app.log());
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(exported(&mut app).unwrap(), "SKU,NAME,PRICE\r\nA1,one,9.500000\r\n");
}

#[test]
fn a_table_that_is_away_while_the_appliance_runs_is_waited_for_and_nothing_is_made_in_the_empty_file() {
    let tables = "CREATE TABLE article (SKU TEXT PRIMARY KEY, NAME TEXT, PRICE REAL); INSERT INTO article VALUES ('A1', 'one', 9.5);";
    let (mut app, connection) = start_with(&found(), tables);
    drop(connection);
    let (here, away) = (app.dir.path().join("shop.db"), app.dir.path().join("away.db"));
    // As `rm shop.db; sqlite3 shop.db < dump.sql` has it before its commit.
    std::fs::rename(&here, &away).unwrap();
    std::fs::write(&here, b"").unwrap();
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU,NAME\nA2,two\n", None);
    app.settle();
    let message = app.message(&id);
    assert_eq!((message["state"].as_str(), message["attempts"].as_u64()), (Some("queued"), Some(1)), "{message}");
    assert!(message["reason"].as_str().unwrap().contains("has no table \"article\""), "{message}");
    assert_eq!(exported(&mut app), None);
    assert!(app.log().contains("export deferred"), "{}", app.log());
    let rows = app.get("/data/Articles").expect(503);
    assert!(rows.text().contains("the database of Articles is locked or away"), "{}", rows.text());
    assert_eq!(std::fs::metadata(&here).unwrap().len(), 0, "the dump finds nothing of ours in its way");
    std::fs::rename(&away, &here).unwrap();
    app.advance(Duration::from_secs(600));
    assert_eq!(app.message(&id)["state"], "processed");
}

#[test]
fn an_entity_whose_table_is_not_there_yet_waits_for_it_and_keeps_nothing_else_from_starting() {
    let mapped = found().replace(
        "direction = \"import\"\n[[project.entity]]\nentity = \"Articles\"\n",
        "direction = \"import\"\n[[project.entity]]\nentity = \"Articles\"\nmapping = [{ source = \"Code\", field = \"SKU\" }, { source = \"Price\", field = \"PRICE\" }]\n[[project.test]]\nname = \"t\"\ninput = \"Code,Price\\nA,1\\n\"\nrows = [{ SKU = \"A\" }]\n",
    );
    let mapped = mapped.replace("table = \"article\"", "table = \"article\"\nkey = [\"SKU\"]\nchecks = [{ rule = \"PRICE > 0\" }]");
    let mut app = Appliance::start(&mapped);
    let said = check(&app, &[]);
    assert!(said.contains("warning: entity \"Articles\".table: they cannot be read from the table: there is no file"), "{said}");
    assert!(!said.contains("error") && said.matches("warning").count() == 1, "{said}");
    let id = app.enqueue_to(IMPORT, "Articles", b"Code,Price\nA1,2.5\nA2,-1\n", None);
    app.settle();
    let message = app.message(&id);
    assert_eq!((message["state"].as_str(), message["attempts"].as_u64()), (Some("queued"), Some(1)), "{message}");
    assert!(message["reason"].as_str().unwrap().contains("the fields of \"Articles\" cannot be read from its table yet"), "{message}");
    assert_eq!(exported(&mut app), None);
    let rows = app.get("/data/Articles").expect(503);
    assert!(rows.text().contains("the database of Articles is locked or away"), "{}", rows.text());
    // The file comes before its table does.
    let connection = Connection::open(app.dir.path().join("shop.db")).unwrap();
    connection.execute_batch("CREATE TABLE other (x)").unwrap();
    app.advance(Duration::from_secs(60));
    assert_eq!(app.message(&id)["state"], "queued");
    connection.execute_batch("CREATE TABLE article (SKU TEXT PRIMARY KEY, PRICE DECIMAL(8,2)); BEGIN EXCLUSIVE").unwrap();
    app.advance(Duration::from_secs(60));
    assert_eq!(app.message(&id)["state"], "queued", "as long as it is locked");
    connection.execute_batch("COMMIT").unwrap();
    // The configuration is read again in a round of the scheduler, and the message taken up when its next try comes.
    app.advance(Duration::from_secs(1));
    app.advance(Duration::from_secs(3600));
    // It may have met the export, which holds the database for a moment: without a wait for locks that is a try, too.
    app.advance(Duration::from_secs(600));
    let message = app.message(&id);
    assert_eq!((message["state"].as_str(), message["rows"]["refused"].as_u64()), (Some("processed_with_errors"), Some(1)), "{}", app.log());
    // The first export may have come before the message.
    assert!(exported(&mut app).is_some());
    assert_eq!(exported(&mut app).unwrap(), "SKU,PRICE\r\nA1,2.50\r\n");
}

#[test]
fn check_says_at_its_line_what_a_table_lacks() {
    let (app, _) = start_with(
        CONFIGURATION,
        "CREATE TABLE article (SKU TEXT, PRICE NUMERIC); CREATE VIEW cheap AS SELECT SKU, PRICE AS COST FROM article;",
    );
    let said = check(&app, &[]);
    for part in [
        "has neither primary key nor unique index of just SKU",
        "\"cheap\" has no column PRICE: it has SKU, COST",
        "SQLite keeps 15 digits",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn one_file_is_one_database_by_whatever_path() {
    let (app, _) = start_with(&found(), "CREATE TABLE article (SKU TEXT PRIMARY KEY)");
    let dir = app.dir.path();
    std::fs::write(dir.join("other.db"), "").unwrap();
    let mut paths = vec!["./shop.db", "data/../shop.db", "data/entities.db"];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("shop.db", dir.join("soft.db")).unwrap();
        std::fs::hard_link(dir.join("shop.db"), dir.join("hard.db")).unwrap();
        paths.extend(["soft.db", "hard.db"]);
    }
    let with = |path: &str| {
        let configuration = std::fs::read_to_string(dir.join("entrepot.toml")).unwrap();
        let second = format!("[[database]]\nname = \"second\"\nsqlite = \"{path}\"\n[[entity]]");
        std::fs::write(dir.join("entrepot.toml"), configuration.replacen("[[entity]]", &second, 1)).unwrap();
        let said = check(&app, &[]);
        std::fs::write(dir.join("entrepot.toml"), configuration).unwrap();
        said
    };
    for path in paths {
        let of = if path.contains("entities") { "entities" } else { "shop" };
        let said = with(path);
        let told = format!("error: database \"second\".sqlite: it is the file of the database \"{of}\"");
        assert!(said.contains(&told), "{path}: {said}");
    }
    for path in ["other.db", "away.db"] {
        assert!(!with(path).contains("it is the file"), "{path}");
    }
}

#[test]
fn a_row_that_a_trigger_leaves_out_is_no_row_that_was_there_already() {
    let (mut app, connection) = start_with(
        CONFIGURATION,
        "CREATE TABLE article (SKU TEXT PRIMARY KEY, PRICE TEXT NOT NULL);
         CREATE VIEW cheap AS SELECT SKU, PRICE FROM article;
         CREATE TRIGGER t BEFORE INSERT ON article WHEN NEW.PRICE = \"13.00\" BEGIN SELECT RAISE(IGNORE); END;
         CREATE TRIGGER u BEFORE UPDATE ON article WHEN NEW.PRICE = '14.00' BEGIN SELECT RAISE(IGNORE); END;",
    );
    let refused = |app: &mut Appliance, document: &str| -> Vec<u64> {
        let id = app.enqueue_to(IMPORT, "Articles", document.as_bytes(), None);
        app.settle();
        let faults = app.findings(&id).into_iter().filter(|finding| finding["rule"] != "message");
        faults.map(|finding| finding["row"].as_u64().unwrap()).collect()
    };
    let many: String = (100..200).map(|number| format!("N{number},{}\n", if number == 190 { 13 } else { 1 })).collect();
    assert_eq!(refused(&mut app, &format!("SKU,PRICE\nA1,1\nA2,13\nA3,3\n{many}")), [2, 94]);
    assert_eq!(refused(&mut app, "SKU,PRICE\nA1,14\nA3,3\nA1,1\nA3,4\nA4,\n"), [1, 5]);
    let prices: String = connection
        .query_row("SELECT group_concat(PRICE) FROM (SELECT PRICE FROM article WHERE SKU < 'B' ORDER BY SKU)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(prices, "1.00,4.00");
}

#[test]
fn a_load_that_foreign_keys_refuse_at_its_end_says_which_rows_refer_to_nothing() {
    let tables = "CREATE TABLE owner (id TEXT PRIMARY KEY); INSERT INTO owner VALUES ('1.00');
         CREATE TABLE article (SKU TEXT PRIMARY KEY, PRICE TEXT REFERENCES owner (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE TABLE stock (n INT, article TEXT REFERENCES article DEFERRABLE INITIALLY DEFERRED);
         CREATE VIEW cheap AS SELECT SKU, PRICE FROM article;
         PRAGMA foreign_keys = OFF; INSERT INTO article VALUES ('A0', '9.00')";
    let (mut app, connection) = start_with(CONFIGURATION, tables);
    let count = || connection.query_row("SELECT count(*) FROM article", [], |row| row.get::<_, u32>(0)).unwrap();
    // What is mended further down refers to something, and what dangled before is none of the load's.
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU,PRICE\nA1,1\nA2,3\nA3,2\nA2,1\n", None);
    app.settle();
    let (message, findings) = (app.message(&id), app.findings(&id));
    assert_eq!((message["state"].as_str(), findings.len(), count()), (Some("refused"), 1, 1), "{message}");
    let of = |name: &str| findings[0][name].as_str().unwrap_or_default().to_owned();
    assert_eq!((findings[0]["row"].as_u64(), findings[0]["line"].as_u64()), (Some(3), Some(4)), "{findings:?}");
    assert_eq!((of("rule"), of("column"), of("value")), ("reference".into(), "PRICE".into(), "2.00".into()), "{findings:?}");
    assert!(of("message").contains("\"owner\" has no row with this value"), "{findings:?}");
    // Rows of other tables have no line: they are named by what they hold.
    connection.execute_batch("UPDATE article SET PRICE = '1.00'; INSERT INTO stock VALUES (7, 'A0')").unwrap();
    app.rewrite_configuration(&CONFIGURATION.replace("entity = \"Articles\"\n", "entity = \"Articles\"\ntruncate = true\n"));
    app.operator("POST", "configuration/reload").expect(200);
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU,PRICE\nA1,1\n", None);
    app.settle();
    let message = app.message(&id);
    assert_eq!((message["state"].as_str(), count()), (Some("failed"), 1), "{message}");
    let reason = message["reason"].as_str().unwrap();
    assert!(reason.contains("rows refer to nothing: the row of stock with rowid 1 to article with article 'A0'"), "{reason}");
}

#[test]
fn what_rules_of_a_table_do_to_a_row_or_to_the_load_is_told() {
    let (mut app, connection) = start_with(
        CONFIGURATION,
        "CREATE TABLE article (SKU TEXT PRIMARY KEY, PRICE TEXT UNIQUE ON CONFLICT IGNORE);
         CREATE VIEW cheap AS SELECT SKU, PRICE FROM article;
         CREATE TRIGGER f AFTER INSERT ON article WHEN NEW.PRICE = '13.00' BEGIN SELECT RAISE(FAIL, 'thirteen'); END;
         CREATE TRIGGER r BEFORE INSERT ON article WHEN NEW.PRICE = '14.00' BEGIN SELECT RAISE(ROLLBACK, 'fourteen'); END;",
    );
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU,PRICE\nA1,1\nA2,1\nA3,13\nA4,2\n", None);
    app.settle();
    let rows: Vec<u64> = app.findings(&id).iter().map(|finding| finding["row"].as_u64().unwrap()).collect();
    assert_eq!(rows, [2, 3], "{:?}", app.findings(&id));
    let all = |connection: &Connection| -> String {
        connection.query_row("SELECT group_concat(SKU) FROM (SELECT SKU FROM article ORDER BY SKU)", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(all(&connection), "A1,A4");
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU,PRICE\nB1,7\nB2,14\nB3,8\n", None);
    app.settle();
    let message = app.message(&id);
    assert_eq!(message["state"], "failed", "{message}");
    assert!(message["reason"].as_str().unwrap().contains("took the whole load back"), "{message}");
    assert_eq!(all(&connection), "A1,A4", "nothing of it is there");
}

#[test]
fn a_table_that_needs_more_than_its_entity_has_takes_changes_and_no_new_rows() {
    let (mut app, connection) = start_with(
        CONFIGURATION,
        "CREATE TABLE article (SKU TEXT PRIMARY KEY, PRICE TEXT, LABEL TEXT NOT NULL); CREATE VIEW cheap AS SELECT SKU, PRICE FROM article;
         INSERT INTO article VALUES ('A1', '1.00', 'one')",
    );
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU,PRICE\nA1,2\nA2,3\n", None);
    app.settle();
    let (message, findings) = (app.message(&id), app.findings(&id));
    assert_eq!((message["rows"]["updated"].as_u64(), message["rows"]["refused"].as_u64()), (Some(1), Some(1)), "{message}");
    let reason = "\"article\" takes no new row without LABEL, which nothing fills and which has no default";
    assert!(findings[0]["row"] == 2 && findings[0]["message"].as_str().unwrap().contains(reason), "{findings:?}");
    let all: String = connection.query_row("SELECT group_concat(SKU || PRICE || LABEL) FROM article", [], |row| row.get(0)).unwrap();
    assert_eq!(all, "A12.00one");
    assert!(check(&app, &[]).contains(reason), "{}", check(&app, &[]));
}

#[test]
fn numbers_of_a_column_without_a_precision_may_be_large_and_no_digit_is_lost() {
    let (mut app, connection) = start_with(
        &found(),
        "CREATE TABLE article (SKU TEXT PRIMARY KEY, PRICE REAL, SUM NUMERIC);
         INSERT INTO article VALUES ('A1', 1234567890.25, 98765432109.5), ('A2', 1e20, 0.1 + 0.2)",
    );
    let expected = "SKU,PRICE,SUM\r\nA1,1234567890.250000,98765432109.500000\r\nA2,100000000000000000000.000000,0.300000\r\n";
    assert_eq!(exported(&mut app).unwrap(), expected);
    let rows = "A3,123456789.123456,1000000000000000000000\nA4,1234567890.123456,1\nA5,1,-0.1234567\n";
    let id = app.enqueue_to(IMPORT, "Articles", format!("SKU,PRICE,SUM\n{rows}").as_bytes(), None);
    app.settle();
    let findings = app.findings(&id);
    let told: Vec<_> = findings.iter().map(|finding| (finding["row"].as_u64().unwrap(), finding["column"].as_str().unwrap())).collect();
    assert_eq!(told, [(2, "PRICE"), (3, "SUM")], "{findings:?}");
    assert!(findings[0]["message"].as_str().unwrap().contains("keeps 15 digits of a number, and this one has 16"), "{findings:?}");
    let stored: String = connection.query_row("SELECT PRICE || ' ' || SUM FROM article WHERE SKU = 'A3'", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, "123456789.123456 1.0e+21");
    assert!(!check(&app, &[]).contains("warning: entity"), "{}", check(&app, &[]));
}

#[test]
fn check_says_of_a_view_what_works_and_what_does_not() {
    let incremental = found().replace(
        "direction = \"export\"\n[[project.entity]]\nentity = \"Articles\"",
        "direction = \"export\"\n[[project.entity]]\nentity = \"Articles\"\nrefresh = \"incremental\"",
    );
    let keyed = incremental.replace("table = \"article\"", "table = \"article\"\nkey = [\"SKU\"]");
    let (app, _) = start_with(&keyed, "CREATE TABLE t (SKU TEXT); CREATE VIEW article AS SELECT SKU FROM t");
    let said = check(&app, &[]);
    for part in [
        "is a view: rows are loaded into tables only\n  hint: its messages fail until that is so; exports work",
        "is a view: only a table's changes can be tracked",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    std::fs::write(app.dir.path().join("entrepot.toml"), found()).unwrap();
    let said = check(&app, &[]);
    assert!(said.contains("an entity has a key") && !said.contains("of just :"), "{said}");
}

#[test]
fn rows_without_a_key_are_exported_when_they_change() {
    let incremental = found().replace(
        "direction = \"export\"\n[[project.entity]]\nentity = \"Articles\"",
        "direction = \"export\"\n[[project.entity]]\nentity = \"Articles\"\nrefresh = \"incremental\"",
    );
    let (mut app, connection) =
        start_with(&incremental, "CREATE TABLE article (SKU TEXT PRIMARY KEY, N TEXT); INSERT INTO article VALUES ('A1', 'one')");
    assert_eq!(exported(&mut app).unwrap(), "SKU,N\r\nA1,one\r\n");
    connection.execute_batch("INSERT INTO article VALUES (NULL, 'none'), ('A2', 'two')").unwrap();
    assert_eq!(exported(&mut app).unwrap(), "SKU,N\r\n,none\r\nA2,two\r\n");
}

#[test]
fn a_jobs_filter_holds_for_the_packages_that_its_application_asks_for() {
    let filter = "[[job.filter]]\nfield = \"PRICE\"\nat_least = 2\n";
    let mut app = Appliance::start(&format!("{CONFIGURATION}\n{filter}"));
    shop(&app).execute_batch("INSERT INTO article (SKU, PRICE) VALUES ('A1', '1.00'), ('B2', '2.00'), ('C3', '3.00')").unwrap();
    let body = serde_json::json!({ "definitionGroupId": "Cheap out", "packageName": "p", "executionId": "E", "reExecute": false, "legalEntityId": "" });
    assert_eq!(app.value("ExportToPackage", &body), "E");
    app.settle();
    let package = crate::package_api::package_of(&app, "E", &[]).body;
    let rows = crate::package_api::rows(&package, "Cheap articles.xml");
    assert!(!rows.contains("A1") && rows.contains("B2") && rows.contains("C3"), "{rows}");
}
