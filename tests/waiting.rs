//! A `[[database]]` that another program holds: imports and exports wait for it, are put off, and hold up nobody else.

use std::time::Duration;

use crate::appliance::{Appliance, EXPORT, IMPORT};
use crate::databases::{CONFIGURATION, shop, start_with};
use crate::operator::done;

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
fn an_import_waits_a_night_for_a_locked_database_and_is_seen_meanwhile() {
    let mut app = Appliance::start(CONFIGURATION);
    let connection = shop(&app);
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let id = app.enqueue_to(IMPORT, "Articles", b"SKU,PRICE\nA1,3\n", None);
    app.settle();
    let attention = |app: &Appliance| app.operator("GET", "messages?attention=1").json()["messages"].clone();
    assert_eq!(attention(&app), serde_json::json!([]), "what may pass in minutes troubles nobody");
    for wait in [5, 10, 20, 40, 80, 160, 320] {
        app.advance(Duration::from_secs(wait));
    }
    assert_eq!((&attention(&app)[0]["id"], &attention(&app)[0]["attempts"]), (&id.as_str().into(), &8.into()));
    for _ in 0..20 {
        app.advance(Duration::from_secs(600));
    }
    connection.execute_batch("COMMIT").unwrap();
    app.advance(Duration::from_secs(600));
    assert_eq!(app.message(&id)["state"], "processed");
    assert_eq!(attention(&app), serde_json::json!([]));
}

#[test]
fn a_locked_database_holds_up_one_worker_and_nothing_else() {
    let others = |number: u32| {
        format!(
            "[[entity]]\nname = \"T{number}\"\ndatabase = \"shop\"\ntable = \"t{number}\"\nkey = [\"ID\"]\nfields = [{{ name = \"ID\", type = \"string\" }}]\n\
             [[project]]\nname = \"T{number}\"\ndirection = \"import\"\n[[project.entity]]\nentity = \"T{number}\"\n\
             [[job]]\nname = \"T{number}\"\nactivity_id = \"00000000-0000-0000-0000-00000000000{number}\"\nproject = \"T{number}\"\napplications = [\"Tests\"]\n"
        )
    };
    let own = "[[entity]]\nname = \"Own\"\ntable = \"own\"\nkey = [\"ID\"]\nfields = [{ name = \"ID\", type = \"string\" }]\n\
               [[project]]\nname = \"Own\"\ndirection = \"import\"\n[[project.entity]]\nentity = \"Own\"\n\
               [[job]]\nname = \"Own\"\nactivity_id = \"00000000-0000-0000-0000-000000000009\"\nproject = \"Own\"\napplications = [\"Tests\"]\n";
    let shared = CONFIGURATION.replace("lock_wait = \"0s\"", "lock_wait = \"3s\"") + &(1..=6).map(others).collect::<String>() + own;
    let tables = (1..=6).map(|number| format!("CREATE TABLE t{number} (ID TEXT PRIMARY KEY);")).collect::<String>();
    let (mut app, connection) = start_with(
        &shared,
        &format!("CREATE TABLE article (SKU TEXT PRIMARY KEY, PRICE TEXT); CREATE VIEW cheap AS SELECT SKU, PRICE FROM article; {tables}"),
    );
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let job = |number: u32| format!("00000000-0000-0000-0000-00000000000{number}");
    let waiting: Vec<String> = (1..=6).map(|number| app.enqueue_to(&job(number), &format!("T{number}"), b"ID\n1\n", None)).collect();
    let own = app.enqueue_to(&job(9), "Own", b"ID\n1\n", None);
    while app.message(&own)["state"] != "processed" {
        std::thread::yield_now();
    }
    let tried = waiting.iter().filter(|id| app.message(id)["attempts"] != 0).count();
    assert!(tried <= 2, "{tried} of 6 had their turn, of which each takes 3 s");
    connection.execute_batch("COMMIT").unwrap();
    app.settle();
    app.advance(Duration::from_secs(5));
    assert!(waiting.iter().all(|id| app.message(id)["state"] == "processed"));
}

#[test]
fn exports_of_a_locked_database_wait_one_after_the_other_and_hold_up_nobody_else() {
    let another = |number: u32| {
        format!(
            "[[job]]\nname = \"Cheap out {number}\"\nactivity_id = \"00000000-0000-0000-0000-00000000000{number}\"\nproject = \"Cheap out\"\n\
             applications = [\"Tests\"]\nrecurrence = \"on demand\"\n"
        )
    };
    let own = "[[entity]]\nname = \"Own\"\ntable = \"own\"\nkey = [\"ID\"]\nfields = [{ name = \"ID\", type = \"string\" }]\n\
               [[project]]\nname = \"Own\"\ndirection = \"import\"\n[[project.entity]]\nentity = \"Own\"\n\
               [[job]]\nname = \"Own\"\nactivity_id = \"00000000-0000-0000-0000-000000000009\"\nproject = \"Own\"\napplications = [\"Tests\"]\n";
    let all = CONFIGURATION.replace("lock_wait = \"0s\"", "lock_wait = \"3s\"") + &(1..=6).map(another).collect::<String>() + own;
    let (mut app, connection) =
        start_with(&all, "CREATE TABLE article (SKU TEXT PRIMARY KEY, PRICE TEXT); CREATE VIEW cheap AS SELECT SKU, PRICE FROM article;");
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let job = |number: u32| format!("00000000-0000-0000-0000-00000000000{number}");
    let asked = |id: &str| {
        let body = serde_json::json!({ "definitionGroupId": "Cheap out", "packageName": "p", "executionId": id, "reExecute": false, "legalEntityId": "" });
        let address = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.ExportToPackage";
        app.post(address, body.to_string().as_bytes()).expect(200);
    };
    ["one", "two", "three"].into_iter().for_each(asked);
    std::thread::scope(|scope| {
        for number in 1..=6 {
            let (app, of_job) = (&app, format!("jobs/{}", job(number)));
            let run = format!("{of_job}/run");
            scope.spawn(move || app.operator("POST", &run));
            while app.operator("GET", &of_job).json()["running"] != true {
                std::thread::yield_now();
            }
        }
        let before = app.log().matches("export deferred").count();
        let own = app.enqueue_to(&job(9), "Own", b"ID\n1\n", None);
        while app.message(&own)["state"] != "processed" {
            std::thread::yield_now();
        }
        let tried = app.log().matches("export deferred").count() - before;
        assert!(tried <= 1, "{tried} had their turn meanwhile, of which each takes 3 s: {}", app.log());
    });
    connection.execute_batch("COMMIT").unwrap();
    app.settle();
    app.advance(Duration::from_secs(10));
    assert_eq!(app.log().matches("export reported").count(), 9, "{}", app.log());
}

#[test]
fn an_export_that_fails_at_each_of_its_frequent_runs_is_among_what_needs_attention() {
    let often = CONFIGURATION.replace("0 6 * * *", "*/5 * * * *");
    let (mut app, connection) =
        start_with(&often, "CREATE TABLE article (SKU TEXT PRIMARY KEY, PRICE TEXT); CREATE VIEW cheap AS SELECT SKU, PRICE FROM article;");
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let failing = |app: &Appliance| app.operator("GET", "messages?attention=1").json()["failing_jobs"].as_array().unwrap().len();
    app.advance(Duration::from_secs(302));
    assert_eq!(failing(&app), 0, "what may pass in minutes troubles nobody");
    (0..12).for_each(|_| app.advance(Duration::from_secs(60)));
    assert_eq!(failing(&app), 1);
    connection.execute_batch("COMMIT").unwrap();
    app.advance(Duration::from_secs(300));
    assert_eq!(failing(&app), 0);
}

#[test]
fn a_configuration_of_many_tables_waits_for_a_locked_database_once() {
    let app = Appliance::start(CONFIGURATION);
    shop(&app).execute_batch(&(0..40).map(|number| format!("CREATE TABLE t{number} (id PRIMARY KEY);")).collect::<String>()).unwrap();
    let tables: String =
        (0..40).map(|number| format!("[[entity]]\nname = \"T{number}\"\ndatabase = \"shop\"\ntable = \"t{number}\"\n")).collect();
    let file = app.dir.path().join("entrepot.toml");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + "\n" + &tables).unwrap();
    let connection = shop(&app);
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let begun = std::time::Instant::now();
    app.operator("POST", "configuration/reload").expect(200);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}, 2 s for each table would be 80", begun.elapsed());
    assert!(app.log().matches("entity not read").count() >= 40, "{}", app.log());
}

#[test]
fn where_order_matters_a_run_goes_on_behind_a_message_that_is_deferred_or_cancelled() {
    let daily = CONFIGURATION.replacen(
        "applications = [\"Tests\"]\n",
        "applications = [\"Tests\"]\nin_order = true\nrecurrence = \"0 3 * * *\"\n",
        1,
    );
    let mut app = Appliance::start(&daily);
    let connection = shop(&app);
    let states = |app: &Appliance, ids: &[String]| -> Vec<String> {
        ids.iter().map(|id| app.message(id)["state"].as_str().unwrap().to_owned()).collect()
    };
    let send = |app: &Appliance| -> Vec<String> {
        (1..4).map(|price| app.enqueue_to(IMPORT, "Articles", format!("SKU,PRICE\nA1,{price}\n").as_bytes(), None)).collect()
    };
    let ids = send(&app);
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    app.operator("POST", &format!("jobs/{IMPORT}/run")).expect(200);
    app.settle();
    assert_eq!(states(&app, &ids), ["queued", "queued", "queued"]);
    connection.execute_batch("COMMIT").unwrap();
    app.kill_and_restart();
    app.advance(Duration::from_secs(5));
    assert_eq!(states(&app, &ids), ["processed", "processed", "processed"]);

    let ids = send(&app);
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    app.operator("POST", &format!("jobs/{IMPORT}/run")).expect(200);
    app.settle();
    connection.execute_batch("COMMIT").unwrap();
    app.operator("POST", &format!("messages/{}/cancel", ids[0])).expect(200);
    app.settle();
    assert_eq!(states(&app, &ids), ["cancelled", "processed", "processed"]);
    let price: String = connection.query_row("SELECT PRICE FROM article", [], |row| row.get(0)).unwrap();
    assert_eq!(price, "3.00");
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

#[test]
fn an_export_that_a_client_asked_for_and_does_not_get_is_among_what_needs_attention() {
    let mut app = Appliance::start(CONFIGURATION);
    let connection = shop(&app);
    connection.execute_batch("INSERT INTO article (SKU, PRICE) VALUES ('A1', '1.00'); BEGIN EXCLUSIVE").unwrap();
    let ask = |app: &mut Appliance, id: &str| {
        let body = serde_json::json!({ "definitionGroupId": "Cheap out", "packageName": "p", "executionId": id, "reExecute": false, "legalEntityId": "" });
        assert_eq!(app.value("ExportToPackage", &body), id);
        app.settle();
    };
    let failing = |app: &Appliance| app.operator("GET", "messages?attention=1").json()["failing_exports"].as_array().unwrap().clone();
    ask(&mut app, "E");
    let mut waits = 5;
    for tried in 1..8 {
        assert_eq!(failing(&app), [] as [serde_json::Value; 0], "{tried} tries");
        app.advance(Duration::from_secs(waits));
        waits *= 2;
    }
    let seen = failing(&app);
    assert_eq!(
        (seen.len(), &seen[0]["project"], &seen[0]["execution_id"]),
        (1, &"Cheap out".into(), &"E".into()),
        "{seen:?}\n{}",
        app.log()
    );
    assert!(seen[0]["application"].is_string() && seen[0]["next_try_at"].is_string(), "{seen:?}");
    assert!(seen[0]["reason"].as_str().unwrap().contains("locked"), "{seen:?}");
    let listed = done(app.dir.path(), &["message", "list", "--attention"]);
    assert!(listed.contains("export of Cheap out for ") && listed.contains("again at"), "{listed}");
    let metric = |app: &Appliance, count: u32| {
        app.send("GET", "/metrics", &[], b"").text().contains(&format!("entrepot_exports_failing{{job=\"Cheap out\"}} {count}\n"))
    };
    assert!(metric(&app, 1), "{}", app.send("GET", "/metrics", &[], b"").text());
    let person = crate::pages::Person::signed_in(&app);
    for page in ["/", "/messages?attention=1"] {
        assert!(person.get(&app, page).expect(200).text().contains("asked for by"), "{page}");
    }
    // Another is under way: the one that fails is seen until one is there.
    ask(&mut app, "F");
    assert_eq!(failing(&app).len(), 1);
    connection.execute_batch("COMMIT").unwrap();
    app.advance(Duration::from_secs(3600));
    assert!(failing(&app).is_empty() && metric(&app, 0), "{}", app.log());
    // What cannot be ends at once, and is seen for a day.
    connection.execute_batch("DROP TABLE article").unwrap();
    ask(&mut app, "G");
    let seen = failing(&app);
    assert_eq!((seen.len(), &seen[0]["next_try_at"]), (1, &serde_json::Value::Null), "{seen:?}");
    app.advance(Duration::from_secs(25 * 3600));
    assert!(failing(&app).is_empty());
}
