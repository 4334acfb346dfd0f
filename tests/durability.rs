//! A 200 on enqueue is a promise; the effect is exactly once; whatever kills the process in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::appliance::{Appliance, EXPORT, IMPORT, groups};

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
fn every_message_that_was_answered_survives_a_power_cut_that_takes_what_was_not_synced_from_the_database() {
    let mut app = Appliance::start(&groups("recurrence = \"on demand\""));
    let data = app.dir.path().join("data");
    let files = ["queue.db", "queue.db-wal", "queue.db-shm"].map(|name| data.join(name));
    // The rows of small messages are not synced: the disk may still be at this state when the power goes.
    let on_disk: Vec<_> = files.iter().map(|path| std::fs::read(path).ok()).collect();
    let documents: Vec<String> = (0..40).map(|number| format!("ID,NAME,AMOUNT\n{number},a name,1.5\n")).collect();
    let ids: Vec<String> =
        documents.iter().enumerate().map(|(number, document)| app.enqueue(document.as_bytes(), Some(&format!("file {number}")))).collect();
    app.kill_after_which(|| {
        for (path, bytes) in files.iter().zip(&on_disk) {
            match bytes {
                Some(bytes) => std::fs::write(path, bytes).unwrap(),
                None => drop(std::fs::remove_file(path)),
            }
        }
    });
    assert!(app.log().contains("messages recovered count=40"), "{}", app.log());
    for (id, document) in ids.iter().zip(&documents) {
        assert_eq!(app.operator("GET", &format!("messages/{id}/document")).expect(200).text(), *document);
    }
    assert_eq!(app.enqueue(documents[7].as_bytes(), Some("file 7")), ids[7], "it is still known as the same");
    app.operator("POST", &format!("jobs/{IMPORT}/run")).expect(200);
    app.settle();
    assert_eq!(app.sql("SELECT count(*) FROM customer_groups"), ["40"]);
    app.kill_and_restart();
    assert_eq!(app.log().matches("messages recovered").count(), 1, "what is known is not read again: {}", app.log());
    assert_eq!(app.operator("GET", &format!("jobs/{IMPORT}")).json()["arrived"], 40);
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
fn a_payload_file_without_a_row_is_told_kept_as_long_as_others_and_swept_then() {
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
    let left = || {
        let mut names: Vec<_> = std::fs::read_dir(&large).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(left(), [orphan, kept.as_str()]);
    assert!(app.log().contains("spool files without a message count=1"), "{}", app.log());
    app.advance_while_stopped(Duration::from_secs(8 * 86_400));
    app.settle();
    assert_eq!(left(), [kept]);
    assert_eq!(std::fs::read_dir(app.dir.path().join("data/spool/incoming")).unwrap().count(), 0);
}

/// Fills the disk up to a few pages.
fn fill(app: &Appliance) -> std::path::PathBuf {
    let path = app.dir.path().join("data/filler");
    let mut file = std::fs::File::create(&path).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    path
}

#[test]
fn a_full_disk_refuses_with_507_keeps_what_was_promised_and_goes_on_when_there_is_room() {
    let Some(mut app) = Appliance::start_on_disk(12 << 20, &groups("recurrence = \"0 4 * * *\"")) else { return };
    let document = |number: usize| {
        let rows = (0..1500).map(|row| format!("{number}-{row},a name of {row},{row}.50\n"));
        format!("ID,NAME,AMOUNT\n{}", rows.collect::<String>()).into_bytes()
    };
    let bearer = format!("Bearer {}", app.token);
    let send = |app: &Appliance, body: &[u8]| {
        app.send("POST", &format!("/api/connector/enqueue/{IMPORT}?entity=Customer+groups"), &[("Authorization", &bearer)], body)
    };
    let mut promised = Vec::new();
    let refusal = loop {
        let answer = send(&app, &document(promised.len()));
        match answer.status {
            200 => promised.push(answer.json().as_str().unwrap().to_owned()),
            _ => break answer,
        }
        assert!(promised.len() < 1000, "the disk never fills");
    };
    assert_eq!(refusal.status, 507, "{}", refusal.text());
    assert!(refusal.text().contains("nothing was stored") && refusal.json()["hint"].is_string(), "{}", refusal.text());
    assert!(promised.len() > 3, "{}", promised.len());
    // A large document, which has a file of its own, is refused in the middle and leaves nothing.
    assert_eq!(send(&app, &vec![b'x'; 400 << 10]).status, 507);
    assert_eq!(std::fs::read_dir(app.dir.path().join("data/spool/incoming")).unwrap().count(), 0);
    let filler = fill(&app);
    assert_eq!(send(&app, b"ID,NAME,AMOUNT\nlast,x,1\n").status, 507);
    // It still answers, and a kill now loses nothing of what it promised.
    app.send("GET", "/healthz", &[], b"").expect(200);
    std::fs::remove_file(filler).unwrap();
    app.kill_and_restart();
    let kept: i64 = promised.iter().map(|id| i64::from(app.message(id)["state"] == "queued")).sum();
    assert_eq!(kept as usize, promised.len());
    let list = app.operator("GET", "messages?limit=500").expect(200).json();
    assert_eq!(list["messages"].as_array().unwrap().len(), promised.len(), "what was refused is not there");
}

#[test]
fn an_import_that_meets_a_full_disk_is_deferred_and_loads_once_when_there_is_room() {
    let Some(mut app) = Appliance::start_on_disk(16 << 20, &groups("recurrence = \"0 4 * * *\"")) else { return };
    let rows = (0..20_000).map(|row| format!("{row},a name of {row},{row}.50\n"));
    let id = app.enqueue(format!("ID,NAME,AMOUNT\n{}", rows.collect::<String>()).as_bytes(), None);
    // Room for the states of the queue, not for the rows.
    let filler = fill(&app);
    let full = std::fs::metadata(&filler).unwrap().len();
    std::fs::File::options().write(true).open(&filler).unwrap().set_len(full - (512 << 10)).unwrap();
    app.operator("POST", &format!("jobs/{IMPORT}/run")).expect(200);
    app.settle();
    let log = app.log();
    assert!(log.contains("database or disk is full"), "{log}");
    let state = app.message(&id)["state"].clone();
    assert!(state == "queued" || state == "processing", "{state}");
    std::fs::remove_file(filler).unwrap();
    // Without a restart: what could not even be written down is given back to the queue first, then tried again.
    app.advance(Duration::from_secs(10));
    app.advance(Duration::from_secs(3600));
    let message = app.message(&id);
    assert_eq!((&message["state"], &message["rows"]["inserted"]), (&"processed".into(), &20_000.into()), "{message}");
    assert_eq!(app.sql("SELECT count(*) FROM customer_groups"), ["20000"]);
}

/// Every file of the spool has its row, or was told to have none, and every row its payload.
#[track_caller]
fn assert_consistent(app: &Appliance) {
    let list = app.operator("GET", "messages?limit=500").expect(200).json();
    let mut large = 0;
    for message in list["messages"].as_array().unwrap() {
        let id = message["id"].as_str().unwrap();
        let document = app.operator("GET", &format!("messages/{id}/document")).expect(200);
        assert_eq!(document.body.len() as u64, message["size"], "{message}");
        large += usize::from(document.body.len() > 256 << 10 || message["direction"] == "export");
        let rows = |name: &str| message["rows"][name].as_u64().unwrap();
        assert!(
            message["direction"] == "export" || rows("read") == rows("inserted") + rows("updated") + rows("unchanged") + rows("refused")
        );
    }
    let files = |name: &str| std::fs::read_dir(app.dir.path().join("data/spool").join(name)).unwrap().count();
    let log = app.log();
    let told = log.rsplit_once("spool files without a message count=").and_then(|(_, told)| told.split(' ').next()?.parse().ok());
    assert_eq!((files("incoming"), files("large")), (0, large + told.unwrap_or(0)), "{log}");
}

#[test]
fn a_power_cut_at_any_point_of_the_journey_in_loads_once_and_loses_nothing() {
    let small = b"ID,NAME,AMOUNT\n1,a,1\n2,b,x\n3,c,3\n".to_vec();
    let large = format!("ID,NAME,AMOUNT\n1,a,1\n2,{},2\n3,c,3\n", "b".repeat(300 << 10)).into_bytes();
    for document in [small, large] {
        for point in ["payload_spooled", "message_committed", "findings_kept", "rows_loaded", "message_reported"] {
            let mut app = Appliance::start_with_fault(&groups(""), &format!("{point}:abort"));
            let bearer = format!("Bearer {}", app.token);
            let headers = [("Authorization", bearer.as_str()), ("x-ms-dyn-externalidentifier", "groups.csv")];
            let path = format!("/api/connector/enqueue/{IMPORT}?entity=Customer+groups");
            let first =
                app.try_send("POST", &path, &headers, &document).ok().filter(|answer| answer.status == 200).map(|answer| answer.json());
            assert!(point != "payload_spooled" && point != "message_committed" || first.is_none(), "{point}: the client was answered");
            app.relaunch_after_fault();
            // A client that saw an error sends the same again.
            let bearer = format!("Bearer {}", app.token);
            let headers = [("Authorization", bearer.as_str()), ("x-ms-dyn-externalidentifier", "groups.csv")];
            let second = app.send("POST", &path, &headers, &document).expect(200).json();
            assert!(first.is_none_or(|first| first == second), "{point}: the same message");
            app.settle();
            app.advance(Duration::from_secs(3600));
            let list = app.operator("GET", "messages").expect(200).json();
            assert_eq!(list["messages"].as_array().unwrap().len(), 1, "{point}: {list}");
            let message = app.message(second.as_str().unwrap());
            assert_eq!(message["state"], "processed_with_errors", "{point}: {message}");
            assert_eq!((&message["rows"]["inserted"], &message["rows"]["refused"]), (&2.into(), &1.into()), "{point}: {message}");
            assert_eq!(app.findings(second.as_str().unwrap()).len(), 1, "{point}");
            assert_eq!(app.sql("SELECT ID FROM customer_groups ORDER BY ID"), ["1", "3"], "{point}");
            assert_eq!(app.sql("SELECT count(*) FROM entrepot_loaded"), ["1"], "{point}");
            assert_consistent(&app);
        }
    }
}

#[test]
fn a_power_cut_between_package_and_row_leaves_no_package_and_the_run_is_tried_again() {
    let mut app = Appliance::start_with_fault(&groups(""), "package_spooled:abort");
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
    app.relaunch_after_fault();
    app.settle();
    assert!(app.log().contains("export restarted job=\"Groups out\""));
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200);
    let list = app.operator("GET", &format!("messages?job={EXPORT}")).json();
    assert_eq!(list["messages"].as_array().unwrap().len(), 1, "{list}");
    assert_consistent(&app);
    // A run that is over is not repeated.
    app.kill_and_restart();
    app.settle();
    let list = app.operator("GET", &format!("messages?job={EXPORT}")).json();
    assert_eq!(list["messages"].as_array().unwrap().len(), 1, "{list}");
}

#[test]
fn a_run_of_an_import_that_a_kill_interrupts_goes_on_after_the_restart() {
    let mut app = Appliance::start_with_fault(&groups("recurrence = \"0 6 * * *\""), "message_reported:abort");
    let ids: Vec<String> = (0..3).map(|number| app.enqueue(format!("ID,NAME,AMOUNT\n{number},a,1\n").as_bytes(), None)).collect();
    app.operator("POST", &format!("jobs/{IMPORT}/run")).expect(200);
    app.relaunch_after_fault();
    let later = app.enqueue(b"ID,NAME,AMOUNT\n9,a,1\n", None);
    app.settle();
    for id in &ids {
        assert_eq!(app.message(id)["state"], "processed");
    }
    assert_eq!(app.message(&later)["state"], "queued", "it came behind the run");
}

#[test]
fn a_bug_in_reading_a_document_loads_no_half_of_it() {
    let mut app = Appliance::start_with_fault(&groups(""), "block_sent:panic");
    let rows: String = (0..5000).map(|number| format!("{number},a,1\n")).collect();
    let id = app.enqueue(format!("ID,NAME,AMOUNT\n{rows}").as_bytes(), None);
    app.settle();
    let message = app.message(&id);
    assert_eq!((&message["state"], &message["rows"]["inserted"]), (&"failed".into(), &0.into()), "{message}");
    assert!(message["reason"].as_str().unwrap().contains("a bug of the appliance"), "{message}");
    assert_eq!(app.sql("SELECT count(*) FROM customer_groups"), ["0"]);
}

#[test]
fn a_bug_that_a_document_meets_costs_its_message_tries_and_nobody_else_anything() {
    let mut app = Appliance::start_with_fault(&groups(""), "findings_kept:panic");
    let id = app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    for _ in 0..20 {
        app.advance(Duration::from_secs(1800));
    }
    let message = app.message(&id);
    assert_eq!((&message["state"], &message["attempts"]), (&"failed".into(), &8.into()), "{message}");
    assert!(message["reason"].as_str().unwrap().contains("a bug of the appliance"), "{message}");
    app.restart();
    assert_eq!(app.sql("SELECT count(*) FROM entrepot_loaded"), ["0"]);
    let replayed = app.operator("POST", &format!("messages/{id}/replay")).expect(200).json();
    app.settle();
    assert_eq!(app.message(replayed["id"].as_str().unwrap())["state"], "processed");
}
