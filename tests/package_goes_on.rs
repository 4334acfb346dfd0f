//! A package that is not brought to its end: what was loaded of it is reported, and is not loaded again by whoever sends or replays it.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::appliance::Appliance;
use crate::packages::{PACKAGES, findings, manifest, outcomes, package};

/// Articles get a number with each load; their prices stand in the table of a shop.
const CONFIGURATION: &str = r#"
[[database]]
name = "shop"
sqlite = "shop.db"
lock_wait = "0s"

[[entity]]
name = "Articles"
table = "article"
key = ["NO"]
fields = [{ name = "NO", type = "string", length = 10 }, { name = "NAME", type = "string", length = 4 }]

[[entity]]
name = "Prices"
database = "shop"
table = "price"
key = ["NAME"]
fields = [{ name = "NAME", type = "string", length = 4 }, { name = "PRICE", type = "integer" }]

[[project]]
name = "Set-up"
direction = "import"
[[project.entity]]
entity = "Articles"
mapping = [{ source = "NAME", field = "NAME" }, { number_sequence = "A-####", field = "NO" }]
skip_staging = false
[[project.entity]]
entity = "Prices"

[[job]]
name = "Set-up"
activity_id = "11111111-2222-4333-8444-555555555555"
project = "Set-up"
accepts = "package"
applications = ["Tests"]
"#;

fn start(fault: &str) -> (Appliance, Connection) {
    let app = match fault {
        "" => Appliance::start(CONFIGURATION),
        fault => Appliance::start_with_fault(CONFIGURATION, fault),
    };
    let shop = Connection::open(app.dir.path().join("shop.db")).unwrap();
    shop.execute_batch("CREATE TABLE price (NAME TEXT PRIMARY KEY)").unwrap();
    (app, shop)
}

fn articles_and_prices() -> Vec<u8> {
    let manifest = manifest(&[("Articles", "a.csv", 1, ""), ("Prices", "p.csv", 2, "")]);
    package(manifest.as_bytes(), &[("a.csv", b"NAME\none\ntoo long\ntwo\n"), ("p.csv", b"NAME,PRICE\none,1\n")])
}

fn send(app: &mut Appliance) -> String {
    let id = app.enqueue_to(PACKAGES, "", &articles_and_prices(), Some("articles.zip"));
    app.settle();
    id
}

/// What is known of the articles of a message that went no further.
fn assert_articles_are_told(app: &Appliance, id: &str) -> Value {
    let message = app.message(id);
    assert_eq!(outcomes(&message), [("Articles".into(), "processed_with_errors".into(), 2)], "{message}");
    let rows = &message["rows"];
    assert_eq!((&rows["read"], &rows["inserted"], &rows["refused"]), (&json!(3), &json!(2), &json!(1)), "{message}");
    assert_eq!((&message["refused_rows_kept"], &message["findings"]), (&json!(true), &json!(1)));
    let status = app.get(&format!("/api/connector/jobstatus/{PACKAGES}?jobId={id}")).expect(200).json();
    assert_eq!(status["ExecutionDetail"][0]["TargetRecords"], 2, "{status}");
    message
}

/// The message that goes on with another: it has all, and loaded only what that one had not.
fn assert_completes(app: &Appliance, id: &str, earlier: &str) {
    let message = app.message(id);
    assert_eq!((&message["state"], &message["continues"]), (&json!("processed_with_errors"), &json!(earlier)), "{message}");
    assert_eq!(
        outcomes(&message),
        [("Articles".into(), "processed_with_errors".into(), 2), ("Prices".into(), "processed".into(), 1)],
        "{message}"
    );
    assert!(message["reason"].as_str().unwrap().contains(&format!("rows that message {earlier} had loaded were not loaded again")));
    assert_eq!(app.sql("SELECT NO, NAME FROM article ORDER BY NO"), ["A-0001|one", "A-0002|two"]);
    // What was refused and staged of the articles is its own, too, with what was found.
    assert_eq!(findings(app, &message), ["Articles: 8 characters, at most 4 fit"]);
    let refused = app.operator("GET", &format!("messages/{id}/refused?entity=Articles")).expect(200).text();
    assert!(refused.contains("too long"), "{refused}");
    let staged = app.operator("GET", &format!("messages/{id}/staging?entity=Articles")).expect(200).json();
    assert_eq!(staged["rows"].as_array().unwrap().len(), 3, "{staged}");
    // The job counts rows once, whoever reports them.
    let job = app.operator("GET", &format!("jobs/{PACKAGES}")).expect(200).json();
    assert_eq!((&job["rows_loaded"], &job["rows_refused"]), (&json!(3), &json!(1)), "{job}");
}

#[test]
fn a_package_that_fails_reports_what_it_loaded_and_whoever_sends_it_again_goes_on_with_it() {
    let (mut app, shop) = start("");
    let first = send(&mut app);
    let message = assert_articles_are_told(&app, &first);
    assert_eq!(message["state"], "failed");
    let shown = crate::operator::entrepot(app.dir.path(), &["message", "show", &first]).stdout;
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("  Articles  processed_with_errors  rows read 3: inserted 2,"), "{shown}");
    assert!(message["reason"].as_str().unwrap().contains("price"), "{message}");
    // While the cause is there it fails again, and again nothing is loaded twice.
    let second = send(&mut app);
    assert_ne!(first, second);
    assert_eq!(assert_articles_are_told(&app, &second)["continues"], json!(first));
    shop.execute_batch("ALTER TABLE price ADD COLUMN PRICE INTEGER").unwrap();
    let third = send(&mut app);
    assert_completes(&app, &third, &first);
    assert_eq!(send(&mut app), third, "now it is that message");
}

#[test]
fn a_package_goes_on_though_its_own_refused_rows_came_mended_under_its_name_meanwhile() {
    let (mut app, shop) = start("");
    let first = send(&mut app);
    let refused = app.operator("GET", &format!("messages/{first}/refused")).expect(200).body;
    let told = crate::operator::entrepot(app.dir.path(), &["message", "refused", &first]);
    assert!(String::from_utf8_lossy(&told.stderr).contains("entities that were not run are not in it"), "{told:?}");
    let document = {
        use std::io::Read;
        let mut text = String::new();
        zip::ZipArchive::new(std::io::Cursor::new(refused)).unwrap().by_name("a.csv").unwrap().read_to_string(&mut text).unwrap();
        text
    };
    let mended =
        package(manifest(&[("Articles", "a.csv", 1, "")]).as_bytes(), &[("a.csv", document.replace("too long", "lon").as_bytes())]);
    let id = app.enqueue_to(PACKAGES, "", &mended, Some("articles.zip"));
    app.settle();
    assert_eq!(app.message(&id)["rows"]["inserted"], 1);
    shop.execute_batch("ALTER TABLE price RENAME TO away").unwrap();
    let third = send(&mut app);
    assert_eq!(app.message(&third)["state"], "queued");
    // While that waits, something else comes, and then the same again.
    app.enqueue_to(PACKAGES, "", b"PK no package", Some("articles.zip"));
    assert_eq!(send(&mut app), third);
    shop.execute_batch("ALTER TABLE away RENAME TO price; ALTER TABLE price ADD COLUMN PRICE INTEGER").unwrap();
    app.advance(Duration::from_secs(600));
    let message = app.message(&third);
    assert_eq!((&message["continues"], &outcomes(&message)[1].1), (&json!(first), &"processed".to_owned()), "{message}");
    assert_eq!(app.sql("SELECT NO, NAME FROM article ORDER BY NO"), ["A-0001|one", "A-0002|two", "A-0003|lon"]);
}

#[test]
fn a_package_that_a_replay_brought_to_its_end_is_loaded_anew_when_it_comes_again_behind_another() {
    let (mut app, shop) = start("");
    let first = send(&mut app);
    shop.execute_batch("ALTER TABLE price ADD COLUMN PRICE INTEGER").unwrap();
    app.operator("POST", &format!("messages/{first}/replay")).expect(200);
    app.settle();
    app.enqueue_to(PACKAGES, "", b"PK no package", Some("articles.zip"));
    app.settle();
    let again = send(&mut app);
    assert_eq!(app.message(&again)["continues"], Value::Null);
    assert_eq!(app.sql("SELECT count(*) FROM article"), ["4"], "as one that never failed is");
}

#[test]
fn a_replay_goes_on_with_a_message_that_failed_and_loads_all_again_of_one_that_did_not() {
    let (mut app, shop) = start("");
    let first = send(&mut app);
    shop.execute_batch("ALTER TABLE price ADD COLUMN PRICE INTEGER").unwrap();
    let mut replay = |id: &str| {
        let replayed = app.operator("POST", &format!("messages/{id}/replay")).expect(200).json()["id"].as_str().unwrap().to_owned();
        app.settle();
        replayed
    };
    let (second, again) = (replay(&first), replay(&first));
    assert_completes(&app, &second, &first);
    let message = app.message(&again);
    assert_eq!((&message["rows"]["inserted"], &message["continues"]), (&json!(3), &json!(first)), "{message}");
    assert_eq!(app.sql("SELECT count(*) FROM article"), ["2"], "whoever is faster, each row is loaded once");
    let replayed = app.operator("POST", &format!("messages/{second}/replay")).expect(200).json();
    app.settle();
    assert_eq!(replayed["continues"], Value::Null);
    assert_eq!(app.sql("SELECT NO FROM article ORDER BY NO"), ["A-0001", "A-0002", "A-0003", "A-0004"]);
}

#[test]
fn a_deferred_package_that_is_cancelled_reports_what_it_loaded_and_is_gone_on_with() {
    for replayed in [false, true] {
        let (mut app, shop) = start("");
        shop.execute_batch("ALTER TABLE price ADD COLUMN PRICE INTEGER; BEGIN EXCLUSIVE").unwrap();
        let first = send(&mut app);
        assert_eq!(assert_articles_are_told(&app, &first)["state"], "queued");
        app.advance(Duration::from_secs(20));
        assert_articles_are_told(&app, &first);
        app.operator("POST", &format!("messages/{first}/cancel")).expect(200);
        assert_eq!(assert_articles_are_told(&app, &first)["state"], "cancelled");
        shop.execute_batch("ROLLBACK").unwrap();
        let second = match replayed {
            false => send(&mut app),
            true => app.operator("POST", &format!("messages/{first}/replay")).expect(200).json()["id"].as_str().unwrap().to_owned(),
        };
        app.settle();
        assert_completes(&app, &second, &first);
    }
}

#[test]
fn a_package_that_meets_a_bug_each_time_is_given_up_with_what_it_loaded() {
    let (mut app, shop) = start("entity_noted:panic");
    shop.execute_batch("ALTER TABLE price ADD COLUMN PRICE INTEGER").unwrap();
    let first = send(&mut app);
    for _ in 0..8 {
        assert_articles_are_told(&app, &first);
        app.advance(Duration::from_secs(600));
    }
    assert_eq!(assert_articles_are_told(&app, &first)["state"], "failed");
    app.kill_and_restart();
    let second = send(&mut app);
    assert_completes(&app, &second, &first);
}

#[test]
fn an_entity_of_which_nothing_was_loaded_is_tried_again() {
    let (mut app, shop) = start("");
    let manifest = manifest(&[("Articles", "a.csv", 1, ""), ("Prices", "p.csv", 2, "")]);
    let bytes = package(manifest.as_bytes(), &[("a.csv", b"NAME\nfirst\n"), ("p.csv", b"NAME,PRICE\none,1\n")]);
    let first = app.enqueue_to(PACKAGES, "", &bytes, Some("a.zip"));
    app.settle();
    assert_eq!(outcomes(&app.message(&first)), [("Articles".into(), "refused".into(), 0)]);
    // The field is longer, and the table has its column.
    shop.execute_batch("ALTER TABLE price ADD COLUMN PRICE INTEGER").unwrap();
    app.rewrite_configuration(&CONFIGURATION.replacen("length = 4", "length = 5", 1));
    app.kill_and_restart();
    let second = app.enqueue_to(PACKAGES, "", &bytes, Some("a.zip"));
    app.settle();
    let message = app.message(&second);
    assert_eq!((&message["state"], &message["rows"]["inserted"]), (&json!("processed"), &json!(2)), "{message}");
    assert_eq!(app.sql("SELECT NO, NAME FROM article"), ["A-0001|first"]);
}
