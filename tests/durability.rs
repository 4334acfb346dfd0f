//! A 200 on enqueue is a promise; the effect is exactly once; whatever kills the process in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::appliance::{Appliance, IMPORT, groups};

#[test]
fn every_message_that_was_answered_survives_a_kill_in_the_middle_of_the_load() {
    let mut app = Appliance::start(&groups("recurrence = \"on demand\""));
    let answered = Arc::new(Mutex::new(Vec::new()));
    let over = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let (base, token, answered, over) = (app.base.clone(), app.token.clone(), answered.clone(), over.clone());
            std::thread::spawn(move || {
                let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(20))).build().into();
                for number in 0.. {
                    let document = format!("ID,NAME,AMOUNT\n{sender}-{number},x,1\n");
                    let url = format!("{base}/api/connector/enqueue/{IMPORT}");
                    let sent = agent.post(&url).header("Authorization", &format!("Bearer {token}")).send(document.as_bytes());
                    let Ok(mut response) = sent else { break };
                    let Ok(id) = response.body_mut().read_to_string() else { break };
                    answered.lock().unwrap().push((id.trim_matches('"').to_owned(), document));
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                }
            })
        })
        .collect();
    while answered.lock().unwrap().len() < 300 {
        std::thread::yield_now();
    }
    app.kill_and_restart();
    over.store(true, Ordering::SeqCst);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let answered = answered.lock().unwrap().clone();
    for (id, document) in &answered {
        assert_eq!(app.operator("GET", &format!("messages/{id}/document")).expect(200).text(), *document);
    }
    app.operator("POST", &format!("jobs/{IMPORT}/run")).expect(200);
    app.settle();
    let loaded: usize = app.sql("SELECT count(*) FROM customer_groups")[0].parse().unwrap();
    assert!(loaded >= answered.len(), "{loaded} of {}", answered.len());
}

#[test]
fn a_load_that_was_committed_before_a_crash_is_reported_and_not_repeated() {
    let mut app = Appliance::start(&groups("recurrence = \"on demand\""));
    let id = app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n2,b,2\n", None);
    app.settle();
    // What a crash leaves between the two commits: the entity database knows the message, the queue does not.
    app.enqueue(b"ID,NAME,AMOUNT\n9,z,9\n", None);
    let other = rusqlite::Connection::open(app.dir.path().join("data/entities.db")).unwrap();
    other
        .execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS entrepot_loaded (message_id TEXT PRIMARY KEY, execution_id TEXT NOT NULL, loaded_at INTEGER NOT NULL,
               read INTEGER NOT NULL, inserted INTEGER NOT NULL, updated INTEGER NOT NULL, unchanged INTEGER NOT NULL, refused INTEGER NOT NULL, findings INTEGER NOT NULL);
             INSERT INTO entrepot_loaded VALUES ('{id}', 'e', 0, 2, 2, 0, 0, 0, 0)"
        ))
        .unwrap();
    drop(other);
    app.operator("POST", &format!("jobs/{IMPORT}/run")).expect(200);
    app.settle();
    let message = app.message(&id);
    assert_eq!((&message["state"], &message["rows"]["inserted"]), (&"processed".into(), &2.into()));
    assert_eq!(app.sql("SELECT ID FROM customer_groups"), ["9"], "its rows were not loaded a second time");
}

#[test]
fn a_kill_at_any_moment_of_an_import_loads_its_rows_exactly_once() {
    let mut app = Appliance::start(&groups(""));
    let document: String =
        std::iter::once("ID,NAME,AMOUNT\n".to_owned()).chain((0..60_000).map(|number| format!("{number},n{number},{number}\n"))).collect();
    for round in 0..4 {
        let id = app.enqueue(format!("{document}x{round},last,1\n").as_bytes(), None);
        // Killed at another point each time: right after the answer, and after some of the other requests' time.
        for _ in 0..round * 20 {
            app.get("/readyz").expect(200);
        }
        app.kill_and_restart();
        app.settle();
        let message = app.message(&id);
        assert_eq!(message["state"], "processed", "{message}");
        let rows = &message["rows"];
        assert_eq!(rows["read"], 60_001);
        assert_eq!(rows["inserted"].as_u64().unwrap() + rows["updated"].as_u64().unwrap() + rows["unchanged"].as_u64().unwrap(), 60_001);
        assert_eq!(app.sql("SELECT count(*) FROM entrepot_loaded"), [(round + 1).to_string()], "one load for each message");
        assert_eq!(app.sql("SELECT count(*) FROM customer_groups"), [(60_001 + round).to_string()]);
    }
}

#[test]
fn two_processes_never_serve_one_data_directory() {
    let app = Appliance::start("");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_entrepot"))
        .args(["serve", "--config"])
        .arg(app.dir.path().join("entrepot.toml"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("another entrepot serves"), "{text}");
    app.get("/readyz").expect(200);
}

#[cfg(unix)]
#[test]
fn a_stop_gives_back_what_is_in_work_and_ends_with_zero() {
    let mut app = Appliance::start(&groups(""));
    let document: String =
        std::iter::once("ID,NAME,AMOUNT\n".to_owned()).chain((0..200_000).map(|number| format!("{number},n{number},{number}\n"))).collect();
    let id = app.enqueue(document.as_bytes(), None);
    app.restart();
    app.settle();
    let message = app.message(&id);
    assert_eq!((&message["state"], &message["rows"]["inserted"]), (&"processed".into(), &200_000.into()), "{message}");
}

#[test]
fn a_payload_file_without_a_row_is_swept_at_the_next_start_and_others_stay() {
    let mut app = Appliance::start(&groups("recurrence = \"on demand\""));
    let mut document = b"ID,NAME,AMOUNT\n".to_vec();
    document.resize(400_000, b'x');
    let kept = app.enqueue(&document, None);
    let large = app.dir.path().join("data/spool/large");
    // What a crash leaves between the rename of a large payload and the commit of its row.
    let orphan = "01a20000-0000-7000-8000-000000000001";
    std::fs::write(large.join(orphan), b"nobody's").unwrap();
    std::fs::write(app.dir.path().join("data/spool/incoming/half.part"), b"half").unwrap();
    app.advance(Duration::from_secs(1));
    app.kill_and_restart();
    app.settle();
    let left: Vec<_> = std::fs::read_dir(&large).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(left, [kept]);
    assert_eq!(std::fs::read_dir(app.dir.path().join("data/spool/incoming")).unwrap().count(), 0);
}
