//! Exports of what changed: nothing is lost around dequeue and ack, and nothing is sent twice without need.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::appliance::{Appliance, EXPORT, groups};

fn configuration() -> String {
    let full = "direction = \"export\"\n[[project.entity]]\nentity = \"Customer groups\"\n";
    let configuration = groups("");
    assert!(configuration.contains(full));
    configuration.replace(full, &format!("{full}refresh = \"incremental\"\ndeletes = \"document\"\n"))
}

/// What a consumer got: the answer to its dequeue, and the documents.
struct Taken {
    dequeued: Value,
    documents: BTreeMap<String, String>,
}

impl Taken {
    fn rows(&self) -> Vec<&str> {
        self.documents["Customer groups.csv"].lines().skip(1).collect()
    }

    fn deleted(&self) -> Vec<&str> {
        self.documents.get("deleted/Customer groups.csv").map(|text| text.lines().skip(1).collect()).unwrap_or_default()
    }

    fn id(&self) -> &str {
        self.dequeued["CorrelationId"].as_str().unwrap()
    }
}

fn load(app: &mut Appliance, rows: &str) {
    app.enqueue(format!("ID,NAME,AMOUNT\n{rows}").as_bytes(), None);
    app.settle();
}

fn export(app: &mut Appliance) {
    app.advance(Duration::from_secs(1));
    app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
    app.settle();
}

fn take(app: &Appliance) -> Option<Taken> {
    let answer = app.get(&format!("/api/connector/dequeue/{EXPORT}"));
    if answer.status == 204 {
        return None;
    }
    let dequeued = answer.expect(200).json();
    let location = dequeued["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(app.get(location).expect(200).body)).unwrap();
    let mut documents = BTreeMap::new();
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        let (name, mut text) = (entry.name().unwrap().into_owned(), String::new());
        entry.read_to_string(&mut text).unwrap();
        documents.insert(name, text);
    }
    Some(Taken { dequeued, documents })
}

fn ack(app: &Appliance, taken: &Taken) {
    app.post(&format!("/api/connector/ack/{EXPORT}"), taken.dequeued.to_string().as_bytes()).expect(200);
}

fn standing(app: &Appliance) -> Value {
    app.operator("GET", &format!("jobs/{EXPORT}")).json()["increments"][0].clone()
}

fn database(app: &Appliance) -> Connection {
    Connection::open(app.dir.path().join("data/entities.db")).unwrap()
}

#[test]
fn the_first_export_holds_everything_and_later_ones_what_changed_since() {
    let mut app = Appliance::start(&configuration());
    export(&mut app);
    assert!(take(&app).is_none(), "nothing was ever loaded");
    load(&mut app, "1,one,1\n2,two,2\n3,three,3\n");
    export(&mut app);
    let first = take(&app).unwrap();
    assert_eq!(first.rows(), ["1,one,1.00", "2,two,2.00", "3,three,3.00"]);
    assert!(first.documents["Manifest.xml"].contains("<DefaultRefreshType>IncrementalPush</DefaultRefreshType>"));
    assert_eq!((&standing(&app)["acked_as_of"], &standing(&app)["waiting"]), (&Value::Null, &json!([first.id()])));
    ack(&app, &first);
    assert!(standing(&app)["acked_as_of"].is_string() && standing(&app)["waiting"] == json!([]), "{}", standing(&app));
    export(&mut app);
    assert!(take(&app).is_none(), "nothing changed");

    // Unchanged rows of a document are no changes; a row that changes twice is exported once, as it is at last.
    load(&mut app, "1,one,1\n2,TWO,2\n4,four,4\n");
    load(&mut app, "2,deux,2\n");
    // Another program's changes count too.
    database(&app).execute_batch("UPDATE customer_groups SET AMOUNT = '9.00' WHERE ID = '3'").unwrap();
    app.kill_and_restart();
    export(&mut app);
    let second = take(&app).unwrap();
    assert_eq!(second.rows(), ["2,deux,2.00", "3,three,9.00", "4,four,4.00"]);
    assert!(second.deleted().is_empty() && second.documents.len() == 3, "{:?}", second.documents.keys());
    ack(&app, &second);
    export(&mut app);
    assert!(take(&app).is_none());
}

#[test]
fn deleted_rows_are_told_by_their_keys_unless_they_are_there_again() {
    let mut app = Appliance::start(&configuration());
    load(&mut app, "1,one,1\n2,two,2\n3,three,3\n");
    export(&mut app);
    ack(&app, &take(&app).unwrap());
    database(&app)
        .execute_batch("DELETE FROM customer_groups WHERE ID <> '1'; UPDATE customer_groups SET ID = '1b' WHERE ID = '1'")
        .unwrap();
    load(&mut app, "3,three again,3\n");
    export(&mut app);
    let taken = take(&app).unwrap();
    assert_eq!((taken.rows(), taken.deleted()), (vec!["1b,one,1.00", "3,three again,3.00"], vec!["1", "2"]));
    assert_eq!(taken.documents["deleted/Customer groups.csv"].lines().next(), Some("ID"));
    ack(&app, &taken);
    database(&app).execute_batch("DELETE FROM customer_groups WHERE ID = '3'").unwrap();
    export(&mut app);
    let taken = take(&app).unwrap();
    assert_eq!((taken.rows(), taken.deleted()), (vec![], vec!["3"]), "a deletion alone is worth a message");
}

#[test]
fn keys_of_deleted_rows_that_the_filter_keeps_back_are_not_told() {
    let own = |field: &str| {
        let job = "prevent_upload_when_zero_records = true";
        configuration().replace(job, &format!("{job}\nfilter = [{{ field = \"{field}\", starts_with = \"A\" }}]"))
    };
    let mut app = Appliance::start(&own("ID"));
    load(&mut app, "A1,one,1\nA2,two,2\nB1,three,3\n");
    export(&mut app);
    let first = take(&app).unwrap();
    assert_eq!(first.rows(), ["A1,one,1.00", "A2,two,2.00"]);
    ack(&app, &first);
    database(&app).execute_batch("DELETE FROM customer_groups WHERE ID = 'B1'").unwrap();
    export(&mut app);
    assert!(take(&app).is_none(), "another's key alone is worth no message");
    database(&app).execute_batch("DELETE FROM customer_groups").unwrap();
    export(&mut app);
    let second = take(&app).unwrap();
    assert_eq!(second.deleted(), ["A1", "A2"]);
    assert!(!app.log().contains("says nothing of deleted rows"));
    app.rewrite_configuration(&own("NAME"));
    app.restart();
    assert!(app.log().contains("a condition on \"NAME\" says nothing of deleted rows"), "{}", app.log());
}

#[test]
fn an_increment_that_is_given_up_is_offered_again_and_one_that_waits_is_not() {
    let mut app = Appliance::start(&configuration());
    load(&mut app, "1,one,1\n");
    export(&mut app);
    ack(&app, &take(&app).unwrap());
    load(&mut app, "2,two,2\n");
    export(&mut app);
    let waiting = take(&app).unwrap();
    load(&mut app, "3,three,3\n");
    export(&mut app);
    let third = take(&app).unwrap();
    assert_eq!((waiting.rows(), third.rows()), (vec!["2,two,2.00"], vec!["3,three,3.00"]));
    // An ack out of turn moves nothing yet.
    let before = standing(&app)["acked_as_of"].clone();
    ack(&app, &third);
    assert_eq!(standing(&app), json!({ "entity": "Customer groups", "acked_as_of": before, "anew": null, "waiting": [waiting.id()] }));
    app.operator("POST", &format!("messages/{}/cancel", waiting.id())).expect(200);
    export(&mut app);
    let again = take(&app).unwrap();
    assert_eq!(again.rows(), ["2,two,2.00", "3,three,3.00"], "from where the gap begins");
    ack(&app, &again);
    assert_ne!(standing(&app)["acked_as_of"], before);
    export(&mut app);
    assert!(take(&app).is_none());
}

/// Time enough for a lease to end.
const LEASE: Duration = Duration::from_secs(1802);

#[test]
fn an_increment_whose_lease_ends_after_a_later_one_was_acked_is_replaced_by_one_with_the_rows_as_they_are() {
    let mut app = Appliance::start(&configuration());
    load(&mut app, "A,v0,1\nB,v0,1\n");
    export(&mut app);
    ack(&app, &take(&app).unwrap());
    load(&mut app, "A,v1,1\nB,v1,1\n");
    export(&mut app);
    let lost = take(&app).unwrap();
    load(&mut app, "A,v2,1\n");
    export(&mut app);
    let second = take(&app).unwrap();
    assert_eq!((lost.rows().len(), second.rows()), (2, vec!["A,v2,1.00"]));
    ack(&app, &second);
    app.advance(LEASE);
    assert!(take(&app).is_none(), "A=v1 would take back what the consumer has");
    let gone = app.message(lost.id());
    assert_eq!(gone["state"], "cancelled");
    assert!(gone["reason"].as_str().unwrap().contains("a later one was acked; the next export holds its changes"), "{gone}");
    app.post(&format!("/api/connector/ack/{EXPORT}"), lost.dequeued.to_string().as_bytes()).expect(409);
    app.settle();
    let again = take(&app).expect("an export of its own, without waiting for the schedule");
    assert_eq!(again.rows(), ["A,v2,1.00", "B,v1,1.00"]);
    ack(&app, &again);
    export(&mut app);
    assert!(take(&app).is_none());
    assert!(app.log().contains("message replaced"), "{}", app.log());
}

#[test]
fn what_takes_the_place_of_a_first_message_tells_of_the_rows_that_were_deleted_since() {
    let mut app = Appliance::start(&configuration());
    load(&mut app, "A,told,1\nB,stays,1\n");
    export(&mut app);
    let lost = take(&app).unwrap();
    load(&mut app, "C,told,1\n");
    export(&mut app);
    let second = take(&app).unwrap();
    assert_eq!((lost.rows().len(), second.rows()), (2, vec!["C,told,1.00"]));
    ack(&app, &second);
    database(&app).execute_batch("DELETE FROM customer_groups WHERE NAME = 'told'").unwrap();
    app.advance(LEASE);
    assert!(take(&app).is_none());
    app.settle();
    let again = take(&app).unwrap();
    assert_eq!((again.rows(), again.deleted()), (vec!["B,stays,1.00"], vec!["A", "C"]));
    // However often it is given up; what was acked behind it is known still.
    app.operator("POST", &format!("messages/{}/cancel", again.id())).expect(200);
    export(&mut app);
    let last = take(&app).unwrap();
    assert_eq!((last.rows(), last.deleted()), (vec!["B,stays,1.00"], vec!["A", "C"]));
    ack(&app, &last);
    export(&mut app);
    assert!(take(&app).is_none());
    assert_eq!(app.sql("SELECT count(*) FROM entrepot_changes_customer_groups")[0], "0");

    // A consumer that begins anew hears of what its acks had not seen.
    database(&app).execute_batch("DELETE FROM customer_groups").unwrap();
    load(&mut app, "D,new,1\n");
    app.operator("POST", &format!("jobs/{EXPORT}/reset")).expect(200);
    export(&mut app);
    let anew = take(&app).unwrap();
    assert_eq!((anew.rows(), anew.deleted()), (vec!["D,new,1.00"], vec!["B"]));
}

#[test]
fn an_increment_whose_lease_ends_waits_for_a_later_one_that_is_still_in_hand() {
    let mut app = Appliance::start(&configuration());
    load(&mut app, "A,v1,1\n");
    export(&mut app);
    let first = take(&app).unwrap();
    load(&mut app, "A,v2,1\n");
    app.advance(LEASE / 2);
    export(&mut app);
    let second = take(&app).unwrap();
    app.advance(LEASE / 2);
    let returned = app.message(first.id());
    assert_eq!((&returned["state"], &app.message(second.id())["state"]), (&json!("enqueued"), &json!("downloaded")));
    assert!(take(&app).is_none(), "who has the second may be about to ack it");
    // It did not: both are offered again, in their order, and what is late is fine.
    app.advance(LEASE / 2);
    assert_eq!(take(&app).unwrap().id(), first.id());
    assert_eq!(take(&app).unwrap().id(), second.id());
    app.advance(LEASE);
    let again = take(&app).unwrap();
    assert_eq!(again.id(), first.id());
    ack(&app, &again);
    let last = take(&app).unwrap();
    assert_eq!(last.id(), second.id());
    ack(&app, &last);
    export(&mut app);
    assert!(take(&app).is_none());
}

#[test]
fn what_is_released_by_a_person_or_was_on_offer_at_a_reset_brings_no_order_down() {
    let mut app = Appliance::start(&configuration());
    load(&mut app, "A,v1,1\n");
    export(&mut app);
    let old = take(&app).unwrap();
    app.operator("POST", &format!("jobs/{EXPORT}/reset")).expect(200);
    load(&mut app, "A,v2,1\n");
    export(&mut app);
    let all = take(&app).unwrap();
    ack(&app, &all);
    app.advance(LEASE);
    assert!(take(&app).is_none(), "everything was exported since");
    app.settle();
    assert_eq!(app.message(old.id())["state"], "cancelled");
    assert!(take(&app).is_none(), "and nothing is exported again for it");
    app.operator("POST", &format!("messages/{}/release", all.id())).expect(200);
    assert_eq!(take(&app).unwrap().id(), all.id());
}

#[test]
fn a_database_of_which_an_older_copy_was_put_back_is_exported_as_a_whole() {
    let mut app = Appliance::start(&configuration());
    let (file, copy) = (app.dir.path().join("data/entities.db"), app.dir.path().join("copy.db"));
    load(&mut app, "1,one,1\n");
    export(&mut app);
    ack(&app, &take(&app).unwrap());
    database(&app).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    std::fs::copy(&file, &copy).unwrap();
    load(&mut app, "2,two,2\n");
    export(&mut app);
    ack(&app, &take(&app).unwrap());
    for part in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{part}", file.display()));
    }
    std::fs::copy(&copy, &file).unwrap();
    load(&mut app, "3,three,3\n");
    export(&mut app);
    let anew = take(&app).unwrap();
    assert_eq!(anew.rows(), ["1,one,1.00", "3,three,3.00"]);
    let why = "its database is another one than at the last export, or an older copy of it";
    assert_eq!(standing(&app)["anew"], why);
    assert!(app.log().contains(&format!("reason=\"{why}\"; it holds everything")), "{}", app.log());
    // From there on as always, however often it was exported before.
    ack(&app, &anew);
    load(&mut app, "4,four,4\n");
    export(&mut app);
    let next = take(&app).unwrap();
    assert_eq!(next.rows(), ["4,four,4.00"]);
    ack(&app, &next);
    assert_eq!(standing(&app)["anew"], Value::Null);
}

#[test]
fn rows_that_a_wider_filter_lets_in_and_fields_that_are_new_are_exported() {
    let selecting = |more: &str| configuration().replace("refresh = \"incremental\"\n", &format!("refresh = \"incremental\"\n{more}\n"));
    let own = |filter: &str| {
        let job = "prevent_upload_when_zero_records = true";
        selecting("fields = [\"ID\", \"NAME\"]").replace(job, &format!("{job}\nfilter = [{filter}]"))
    };
    let mut app = Appliance::start(&own("{ field = \"NAME\", equals = \"A\" }"));
    load(&mut app, "1,A,1\n2,B,2\n");
    export(&mut app);
    let first = take(&app).unwrap();
    assert_eq!(first.rows(), ["1,A"]);
    ack(&app, &first);
    let reload = |app: &mut Appliance, configuration: &str| {
        app.rewrite_configuration(configuration);
        app.operator("POST", "configuration/reload").expect(200);
        export(app);
        take(app)
    };
    let wider = own("{ field = \"NAME\", in = [\"A\", \"B\"] }");
    let second = reload(&mut app, &wider).unwrap();
    assert_eq!(second.rows(), ["1,A", "2,B"]);
    assert_eq!(standing(&app)["anew"], "its fields or its filter are others than before");
    ack(&app, &second);
    assert!(reload(&mut app, &wider).is_none(), "nothing changed");
    let third = reload(&mut app, &wider.replace("fields = [\"ID\", \"NAME\"]", "")).unwrap();
    assert_eq!(third.rows(), ["1,A,1.00", "2,B,2.00"]);
}

#[test]
fn an_entity_that_is_renamed_goes_on_where_it_was() {
    let mut app = Appliance::start(&configuration());
    load(&mut app, "1,one,1\n2,two,2\n");
    export(&mut app);
    ack(&app, &take(&app).unwrap());
    load(&mut app, "3,three,3\n");
    export(&mut app);
    let waiting = take(&app).unwrap();
    database(&app).execute_batch("DELETE FROM customer_groups WHERE ID = '1'").unwrap();
    // Its earlier name is an alias; the second time it is the same in other capitals.
    for (name, alias) in [("Groups", "customer groups"), ("GROUPS", "CustCustomerGroupEntity")] {
        let renamed = configuration()
            .replace("name = \"Customer groups\"\n", &format!("name = \"{name}\"\n"))
            .replace("CustCustomerGroupEntity", alias)
            .replace("entity = \"Customer groups\"", &format!("entity = \"{name}\""));
        app.rewrite_configuration(&renamed);
        app.operator("POST", "configuration/reload").expect(200);
        assert_eq!((&standing(&app)["entity"], standing(&app)["acked_as_of"].is_string()), (&json!(name), true));
    }
    assert_eq!(standing(&app)["waiting"], json!([waiting.id()]));
    ack(&app, &waiting);
    export(&mut app);
    let taken = take(&app).unwrap();
    assert_eq!(taken.documents["deleted/GROUPS.csv"].lines().skip(1).collect::<Vec<_>>(), ["1"]);
    assert_eq!(taken.documents["GROUPS.csv"].lines().count(), 1, "nothing else has changed: {:?}", taken.documents);
    assert_eq!(standing(&app)["anew"], Value::Null);
}

#[test]
fn a_job_can_begin_again_and_does_so_by_itself_when_the_table_is_a_new_one() {
    let mut app = Appliance::start(&configuration());
    load(&mut app, "1,one,1\n2,two,2\n");
    export(&mut app);
    ack(&app, &take(&app).unwrap());
    app.operator("POST", &format!("jobs/{EXPORT}/reset")).expect(200);
    export(&mut app);
    let all = take(&app).unwrap();
    assert_eq!(all.rows().len(), 2);
    ack(&app, &all);
    app.operator("POST", &format!("jobs/{}/reset", crate::appliance::IMPORT)).expect(409);

    database(&app).execute_batch("DROP TABLE customer_groups").unwrap();
    load(&mut app, "7,seven,7\n");
    export(&mut app);
    let anew = take(&app).unwrap();
    assert_eq!(anew.rows(), ["7,seven,7.00"]);
    ack(&app, &anew);
    load(&mut app, "8,eight,8\n");
    export(&mut app);
    assert_eq!(take(&app).unwrap().rows(), ["8,eight,8.00"]);
}

#[test]
fn the_log_of_changes_is_forgotten_once_all_consumers_have_them() {
    let mut app = Appliance::start(&configuration());
    let logged = |app: &Appliance| app.sql("SELECT count(*) FROM entrepot_changes_customer_groups")[0].clone();
    load(&mut app, "1,one,1\n2,two,2\n");
    export(&mut app);
    ack(&app, &take(&app).unwrap());
    load(&mut app, "3,three,3\n");
    assert_eq!(logged(&app), "1", "what was loaded before the first export is in no log");
    export(&mut app);
    ack(&app, &take(&app).unwrap());
    assert_eq!(logged(&app), "1", "until the next run");
    export(&mut app);
    assert_eq!(logged(&app), "0");
}

#[test]
fn a_job_that_finds_nothing_to_send_keeps_no_log_and_loses_nothing() {
    let filter = "filter = [{ field = \"NAME\", starts_with = \"x\" }]\n";
    let quiet = groups("").replace(
        "direction = \"export\"\n[[project.entity]]\nentity = \"Customer groups\"\n",
        &format!("direction = \"export\"\n[[project.entity]]\nentity = \"Customer groups\"\nrefresh = \"incremental\"\n{filter}"),
    );
    let mut app = Appliance::start(&quiet);
    let logged = |app: &Appliance| app.sql("SELECT count(*) FROM entrepot_changes_customer_groups")[0].clone();
    load(&mut app, "1,one,1\n");
    export(&mut app);
    for round in 2..5 {
        load(&mut app, &format!("{round},two,1\n"));
        export(&mut app);
        assert!(take(&app).is_none());
    }
    assert_eq!(logged(&app), "1", "what the last run looked at goes with the next");
    // What fits now has changed since, and is sent; as long as it is on offer no run passes it over.
    load(&mut app, "2,x2,1\n");
    export(&mut app);
    let first = take(&app).unwrap();
    assert_eq!(first.rows(), ["2,x2,1.00"]);
    load(&mut app, "3,three,1\n");
    export(&mut app);
    app.operator("POST", &format!("messages/{}/cancel", first.id())).expect(200);
    export(&mut app);
    let again = take(&app).unwrap();
    assert_eq!(again.rows(), ["2,x2,1.00"]);
    ack(&app, &again);
    export(&mut app);
    assert_eq!((logged(&app), take(&app).is_none()), ("0".to_owned(), true), "and nothing is sent twice");
}

#[test]
fn what_can_not_be_tracked_is_said() {
    let mut app = Appliance::start(&configuration());
    database(&app).execute_batch("CREATE VIEW customer_groups AS SELECT 'x' AS ID, 'y' AS NAME, '1' AS AMOUNT").unwrap();
    export(&mut app);
    assert!(take(&app).is_none());
    let log = app.log();
    assert!(log.contains("only a table's changes can be tracked, write refresh"), "{log}");

    let refused = |what: &str, hint: &str| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("entrepot.toml");
        std::fs::write(&file, format!("[server]\ndata_dir = \"data\"\n[[application]]\nid = \"{}\"\nname = \"Tests\"\nsecret_hash = \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"\n{what}", crate::appliance::APPLICATION)).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_entrepot")).args(["check", "--config"]).arg(&file).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && text.contains(hint), "{text}");
    };
    refused(&configuration().replace("refresh = \"incremental\"\n", ""), "only an incremental export knows which rows were deleted");
    refused(&configuration().replace("direction = \"export\"", "direction = \"import\""), "an import has no refresh");
    refused(&configuration().replace("\"incremental\"", "\"delta\""), "write full or incremental");
}
