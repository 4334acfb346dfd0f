//! Recurrences, order, monitoring, and the configuration file while it runs.

use std::time::Duration;

use crate::appliance::{Appliance, EXPORT, IMPORT, groups};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_scheduled_import_waits_for_its_time_and_takes_what_came_before_it() {
    let mut app = Appliance::start(&groups("recurrence = \"*/5 * * * *\""));
    let first = app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.advance(4 * MINUTE);
    assert_eq!(app.message(&first)["state"], "queued");
    app.advance(MINUTE);
    assert_eq!(app.message(&first)["state"], "processed");
    let second = app.enqueue(b"ID,NAME,AMOUNT\n2,b,1\n", None);
    app.settle();
    assert_eq!(app.message(&second)["state"], "queued");
    app.advance(5 * MINUTE);
    assert_eq!(app.message(&second)["state"], "processed");
}

#[test]
fn what_was_missed_while_it_was_stopped_is_one_run() {
    let mut app = Appliance::start(&groups(""));
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    app.advance_while_stopped(3 * 24 * 60 * MINUTE);
    app.settle();
    let list = app.operator("GET", &format!("messages?job={EXPORT}")).expect(200).json();
    assert_eq!(list["messages"].as_array().unwrap().len(), 1, "{list}");
    app.advance(24 * 60 * MINUTE);
    let list = app.operator("GET", &format!("messages?job={EXPORT}")).expect(200).json();
    assert_eq!(list["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn a_clock_that_was_ahead_stops_no_schedule_lease_or_try_once_it_is_set_right() {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    let mut app = Appliance::start(&groups("recurrence = \"*/5 * * * *\""));
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.advance(5 * MINUTE);
    app.advance(YEAR);
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200);
    let late = app.enqueue(b"ID,NAME,AMOUNT\n2,b,1\n", None);
    app.set_clock_back(YEAR);
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(204);
    app.advance(10 * MINUTE);
    app.advance(5 * MINUTE);
    assert_eq!(app.message(&late)["state"], "processed");
    // A lease that was drawn back once is not drawn back again: it would end at once.
    app.restart();
    app.advance(10 * MINUTE);
    app.set_clock_back(MINUTE);
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(204);
    app.advance(30 * MINUTE);
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200);
    assert!(app.log().contains("the clock was ahead"), "{}", app.log());
}

#[test]
fn a_clock_that_starts_behind_and_is_set_right_fires_no_schedule_twice() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut app = Appliance::start(&groups(""));
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    app.advance(DAY);
    app.set_clock_back(DAY);
    app.advance(MINUTE);
    app.advance(DAY - MINUTE);
    let list = app.operator("GET", &format!("messages?job={EXPORT}")).expect(200).json();
    assert_eq!(list["messages"].as_array().unwrap().len(), 1, "{list}");
}

#[test]
fn a_clock_that_is_set_right_by_seconds_fires_no_schedule_twice() {
    let mut app = Appliance::start(&groups("").replace("cron = \"0 6 * * *\"", "cron = \"* * * * *\""));
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    app.advance(MINUTE);
    app.set_clock_back(Duration::from_secs(40));
    app.advance(Duration::from_secs(50));
    let list = app.operator("GET", &format!("messages?job={EXPORT}")).expect(200).json();
    assert_eq!(list["messages"].as_array().unwrap().len(), 1, "{list}");
}

#[test]
fn what_waits_for_a_job_is_taken_up_when_it_comes_into_force_again() {
    let mut app = Appliance::start(&groups("recurrence = \"0 0 1 1 *\""));
    let id = app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    assert_eq!(app.message(&id)["state"], "queued");
    let file = app.dir.path().join("entrepot.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("recurrence = \"0 0 1 1 *\"", "")).unwrap();
    app.operator("POST", "configuration/reload").expect(200);
    app.settle();
    assert_eq!(app.message(&id)["state"], "processed");
}

#[test]
fn a_schedule_that_is_moved_or_enabled_missed_nothing() {
    let mut app = Appliance::start(&groups(""));
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    let file = app.dir.path().join("entrepot.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // It begins at noon; the next of "0 6" is tomorrow, and nothing of "0 13" was missed at two.
    let exports =
        |app: &Appliance| app.operator("GET", &format!("messages?job={EXPORT}")).expect(200).json()["messages"].as_array().unwrap().len();
    app.advance(120 * MINUTE);
    std::fs::write(&file, text.replace("0 6 * * *", "0 13 * * *")).unwrap();
    app.operator("POST", "configuration/reload").expect(200);
    app.settle();
    assert_eq!(exports(&app), 0);
    app.advance(23 * 60 * MINUTE);
    assert_eq!(exports(&app), 1);
    // The same over a restart.
    app.advance(120 * MINUTE);
    std::fs::write(&file, text.replace("0 6 * * *", "0 14 * * *")).unwrap();
    app.restart();
    app.settle();
    assert_eq!(exports(&app), 1);
    app.advance(24 * 60 * MINUTE);
    assert_eq!(exports(&app), 2);
}

#[test]
fn a_recurrence_of_so_many_runs_counts_on_whatever_else_changes() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut app = Appliance::start(&groups("").replace("cron = \"0 6 * * *\"", "cron = \"0 6 * * *\", count = 2"));
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    let file = app.dir.path().join("entrepot.toml");
    let exports =
        |app: &Appliance| app.operator("GET", &format!("messages?job={EXPORT}")).expect(200).json()["messages"].as_array().unwrap().len();
    let days = |app: &mut Appliance| (0..4).for_each(|_| app.advance(DAY));
    let change = |app: &Appliance, from: &str, to: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
        app.operator("POST", "configuration/reload").expect(200);
    };
    days(&mut app);
    assert_eq!(exports(&app), 2);
    // Disabled for a minute, and out of the file for another.
    let id = format!("activity_id = \"{EXPORT}\"");
    for other in [format!("{id}\nenabled = false"), "activity_id = \"00000000-0000-0000-0000-000000000001\"".into()] {
        change(&app, &id, &other);
        change(&app, &other, &id);
        days(&mut app);
        assert_eq!(exports(&app), 2, "{other}");
    }
    // One more; and none of those that the days before would have had.
    change(&app, "count = 2", "count = 3");
    app.settle();
    assert_eq!(exports(&app), 2);
    days(&mut app);
    assert_eq!(exports(&app), 3);
    // Another recurrence is counted from its first run.
    change(&app, "0 6 * * *", "0 7 * * *");
    days(&mut app);
    assert_eq!(exports(&app), 6);
}

#[test]
fn a_job_that_is_taken_out_while_messages_wait_is_named() {
    let mut app = Appliance::start(&groups("recurrence = \"0 0 1 1 *\""));
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    let file = app.dir.path().join("entrepot.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(IMPORT, "00000000-0000-0000-0000-000000000001")).unwrap();
    app.operator("POST", "configuration/reload").expect(200);
    assert!(app.log().contains("job gone job=\"Groups in\" waiting=1"), "{}", app.log());
}

#[test]
fn a_stop_in_the_last_message_of_a_run_leaves_nothing_for_the_next_one() {
    let mut app = Appliance::start(&groups("recurrence = \"0 6 * * *\""));
    let rows: String = (0..200_000).map(|number| format!("{number},n{number},{number}\n")).collect();
    let id = app.enqueue(format!("ID,NAME,AMOUNT\n{rows}").as_bytes(), None);
    app.operator("POST", &format!("jobs/{IMPORT}/run")).expect(200);
    while app.message(&id)["state"] == "queued" {
        std::thread::yield_now();
    }
    // The queue was looked at again by the time that this is answered, and nothing was found.
    app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
    app.restart();
    app.settle();
    let message = app.message(&id);
    assert_eq!((&message["state"], &message["rows"]["inserted"]), (&"processed".into(), &200_000.into()), "{message}");
}

#[test]
fn a_count_ends_a_recurrence() {
    let mut app = Appliance::start(&groups("").replace("cron = \"0 6 * * *\"", "cron = \"* * * * *\", count = 2"));
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    for _ in 0..5 {
        app.advance(MINUTE);
    }
    let list = app.operator("GET", &format!("messages?job={EXPORT}")).expect(200).json();
    assert_eq!(list["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn an_export_without_rows_makes_no_message_when_the_job_says_so() {
    let mut app = Appliance::start(&groups(""));
    app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
    app.settle();
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(204);
}

#[test]
fn messages_of_one_entity_are_loaded_in_the_order_they_came() {
    let mut app = Appliance::start(&groups("in_order = true"));
    app.operator("POST", &format!("jobs/{IMPORT}/pause")).expect(200);
    let ids: Vec<String> = (0..30).map(|number| app.enqueue(format!("ID,NAME,AMOUNT\n1,name {number},1\n").as_bytes(), None)).collect();
    app.settle();
    assert_eq!(app.message(&ids[0])["state"], "queued", "a paused job accepts and does not run");
    app.operator("POST", &format!("jobs/{IMPORT}/resume")).expect(200);
    app.settle();
    assert_eq!(app.sql("SELECT NAME FROM customer_groups"), ["name 29"]);
    assert!(ids.iter().all(|id| app.message(id)["state"] == "processed"));
}

#[test]
fn the_monitoring_recurrence_notes_the_load_of_the_queue() {
    let mut app = Appliance::start(&groups("recurrence = \"on demand\"\nmonitoring_recurrence = \"* * * * *\""));
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.enqueue(b"ID,NAME,AMOUNT\n2,a,1\n", None);
    app.advance(MINUTE);
    app.operator("POST", &format!("jobs/{IMPORT}/run")).expect(200);
    app.settle();
    app.advance(MINUTE);
    let load = app.operator("GET", &format!("jobs/{IMPORT}")).expect(200).json()["load"].clone();
    let samples: Vec<_> = load
        .as_array()
        .unwrap()
        .iter()
        .map(|sample| ["depth", "oldest_age_seconds", "arrivals", "processed"].map(|name| sample[name].as_u64().unwrap()))
        .collect();
    assert_eq!(samples, [[2, 60, 2, 0], [0, 0, 0, 2]]);
}

#[test]
fn a_change_of_the_file_is_applied_and_a_bad_one_is_refused_as_a_whole() {
    let mut app = Appliance::start(&groups(""));
    app.rewrite_configuration(&groups("enabled = false"));
    app.advance(Duration::from_secs(3));
    app.post(&format!("/api/connector/enqueue/{IMPORT}"), b"x").expect(403);
    app.rewrite_configuration(&groups("enabled = tru"));
    app.advance(Duration::from_secs(3));
    app.post(&format!("/api/connector/enqueue/{IMPORT}"), b"x").expect(403);
    app.rewrite_configuration(&groups("enabled = true "));
    app.advance(Duration::from_secs(3));
    app.post(&format!("/api/connector/enqueue/{IMPORT}"), b"x").expect(200);
    let log = std::fs::read_to_string(app.dir.path().join("log")).unwrap();
    assert!(log.contains("configuration refused") && log.contains("entrepot.toml:"), "{log}");
}

#[test]
fn values_from_before_a_field_had_another_type_are_told_and_never_written_as_others() {
    let mut app = Appliance::start(&groups(""));
    app.enqueue(b"ID,NAME,AMOUNT\n1,n77,1\n", None);
    app.settle();
    let run = |app: &mut Appliance, kind: &str| {
        app.rewrite_configuration(
            &groups("").replace("name = \"NAME\", type = \"string\", length = 30", &format!("name = \"NAME\", {kind}")),
        );
        app.operator("POST", "configuration/reload").expect(200);
        app.operator("POST", &format!("jobs/{EXPORT}/run?wait=20s")).expect(200).json()["failure"]["reason"].as_str().map(str::to_owned)
    };
    for kind in ["type = \"integer\"", "type = \"boolean\"", "type = \"datetime\"", "type = \"enum\", values = { Red = 0 }"] {
        let why = run(&mut app, kind).unwrap_or_default();
        assert!(why.contains("row 1") && why.contains("NAME") && why.contains("n77"), "{kind}: {why}");
        app.get("/data/Customergroups").expect(500);
    }
    assert_eq!(run(&mut app, "type = \"string\""), None);
    // What its column keeps otherwise is told beforehand.
    app.rewrite_configuration(
        &groups("").replace("name = \"NAME\", type = \"string\", length = 30", "name = \"NAME\", type = \"integer\""),
    );
    let checked = crate::operator::entrepot(app.dir.path(), &["check"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert!(said.contains("keeps \"NAME\" as TEXT, the configuration says integer"), "{said}");
}

#[test]
fn a_key_that_a_table_has_otherwise_is_told_beforehand_and_its_order_is_none_of_it() {
    let keyed = |key: &str| groups("").replace("key = [\"ID\"]", &format!("key = [{key}]"));
    let mut app = Appliance::start(&keyed("\"ID\", \"NAME\""));
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n1,b,2\n", None);
    app.settle();
    let said = |app: &mut Appliance, key: &str| {
        app.rewrite_configuration(&keyed(key));
        let checked = crate::operator::entrepot(app.dir.path(), &["check"]);
        app.operator("POST", "configuration/reload").expect(200);
        String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout)
    };
    let text = said(&mut app, "\"NAME\", \"ID\"");
    assert!(!text.contains("has the key"), "{text}");
    let id = app.enqueue(b"ID,NAME,AMOUNT\n1,a,3\n2,a,1\n", None);
    app.settle();
    let rows = &app.message(&id)["rows"];
    assert_eq!((&rows["inserted"], &rows["updated"]), (&1.into(), &1.into()), "{:?}", app.findings(&id));
    let text = said(&mut app, "\"ID\"");
    assert!(text.contains("has the key \"ID\", \"NAME\", the configuration says \"ID\""), "{text}");
    assert!(text.contains("give the entity another table"), "{text}");
}

#[test]
fn payloads_go_after_the_retention_and_messages_after_the_history() {
    let mut app = Appliance::start(&groups(""));
    let day = 24 * 60 * MINUTE;
    let small = app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n2,b,x\n", None);
    let large: String =
        std::iter::once("ID,NAME,AMOUNT\n".to_owned()).chain((0..20_000).map(|number| format!("{number},name of {number},1\n"))).collect();
    let large = app.enqueue(large.as_bytes(), None);
    app.settle();
    app.advance(6 * day);
    app.operator("GET", &format!("messages/{small}/document")).expect(200);
    app.operator("GET", &format!("messages/{small}/refused")).expect(200);
    app.advance(2 * day);
    for id in [&small, &large] {
        assert_eq!(app.message(id)["payload_kept"], false);
        app.operator("GET", &format!("messages/{id}/document")).expect(404);
    }
    assert_eq!(std::fs::read_dir(app.dir.path().join("data/spool/refused")).unwrap().count(), 0);
    assert!(!app.dir.path().join("data/spool/large").join(&large).exists());
    assert_eq!(app.message(&small)["rows"]["refused"], 1, "what happened is still known");
    app.advance(90 * day);
    app.operator("GET", &format!("messages/{small}")).expect(404);
    let jobs = app.operator("GET", &format!("jobs/{IMPORT}")).expect(200).json();
    assert_eq!((&jobs["arrived"], &jobs["finished"], &jobs["states"]["processed"]), (&2.into(), &2.into(), &0.into()));
    assert_eq!(app.sql("SELECT count(*) FROM customer_groups"), ["20000"], "rows stay");
}
