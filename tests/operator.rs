//! The shell, as an operator uses it.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::appliance::{Appliance, EXPORT, IMPORT, groups};

pub fn entrepot(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_entrepot")).args(arguments).current_dir(dir).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
pub fn done(dir: &Path, arguments: &[&str]) -> String {
    let output = entrepot(dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

#[test]
fn a_verb_whose_reader_goes_ends_quietly() {
    let app = Appliance::start(&groups(""));
    for (arguments, code) in [(&["schema"][..], 0), (&["completions", "bash"], 0), (&["check", "--effective"], 1), (&["job", "list"], 0)] {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let output =
            Command::new(env!("CARGO_BIN_EXE_entrepot")).args(arguments).current_dir(app.dir.path()).stdout(write).output().unwrap();
        assert_eq!((output.status.code(), text(&output).as_str()), (Some(code), ""), "{arguments:?}");
    }
    #[cfg(target_os = "linux")]
    {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_entrepot")).arg("schema").stdout(full).output().unwrap();
        assert!(output.status.code() == Some(1) && text(&output).contains("error: what this prints cannot be written"), "{output:?}");
    }
}

#[test]
fn findings_beyond_those_that_are_kept_are_told_by_their_number() {
    let mut app = Appliance::start(&groups(""));
    let file = app.dir.path().join("entrepot.toml");
    let configuration = std::fs::read_to_string(&file).unwrap().replace("free_min = 0\n", "free_min = 0\nfindings_max = 2\n");
    std::fs::write(&file, configuration).unwrap();
    app.operator("POST", "configuration/reload").expect(200);
    let id = app.enqueue(b"ID,NAME,AMOUNT\n1,a,x\n2,a,x\n3,a,x\n4,a,x\n5,a,x\n", None);
    app.settle();
    let shown = done(app.dir.path(), &["message", "show", &id]);
    assert!(shown.contains("and 3 more findings; queue.findings_max says how many are kept"), "{shown}");
    let page = crate::pages::Person::signed_in(&app).get(&app, &format!("/messages/{id}")).expect(200).text();
    assert!(page.contains("And 3 more, which are not kept"), "{page}");
}

#[test]
fn refused_rows_of_a_message_that_waits_are_not_said_to_be_none() {
    let app = Appliance::start(&groups("recurrence = \"0 0 1 1 *\""));
    let id = app.enqueue(b"ID,NAME,AMOUNT\n1,a,x\n", None);
    let output = entrepot(app.dir.path(), &["message", "refused", &id]);
    assert!(output.status.code() == Some(1) && text(&output).contains("this message is not processed yet"), "{output:?}");
}

#[test]
fn messages_are_listed_shown_replayed_cancelled_and_released_from_the_shell() {
    let mut app = Appliance::start(&groups(""));
    let dir = app.dir.path().to_owned();
    let id = app.enqueue(b"ID,NAME,AMOUNT\n1,a,x\n", Some("bad.csv"));
    app.settle();
    let list = done(&dir, &["message", "list", "--attention"]);
    assert!(list.contains(&id) && list.contains("refused"), "{list}");
    let shown = done(&dir, &["message", "show", &id]);
    assert!(
        shown.contains("line 2, row 1, column \"AMOUNT\": found \"x\"")
            && shown.contains("[ENT202, DMF1855]")
            && shown.contains("hint:")
            && shown.contains("received"),
        "{shown}"
    );
    assert_eq!(done(&dir, &["message", "document", &id]), "ID,NAME,AMOUNT\n1,a,x\n");
    let refused = done(&dir, &["message", "refused", &id]);
    assert!(refused.starts_with("ID,NAME,AMOUNT,Entrepot line,Entrepot reason\n1,a,x,Entrepot line 2,"), "{refused}");
    let replayed = done(&dir, &["message", "replay", &id, "--json"]);
    let replayed: serde_json::Value = serde_json::from_str(&replayed).unwrap();
    app.settle();
    assert_eq!(app.message(&id)["replayed_by"], replayed["id"]);
    let attention = done(&dir, &["message", "list", "--attention"]);
    assert!(!attention.contains(&id), "who was replayed needs nobody any more: {attention}");
    assert_eq!(entrepot(&dir, &["message", "cancel", &id]).status.code(), Some(1), "what has ended cannot be cancelled");

    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    done(&dir, &["job", "run", "Groups out"]);
    app.settle();
    let taken = app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200).json();
    let message = taken["CorrelationId"].as_str().unwrap();
    done(&dir, &["message", "release", message]);
    app.post(&format!("/api/connector/ack/{EXPORT}"), taken.to_string().as_bytes()).expect(409);
    done(&dir, &["message", "cancel", message]);
    app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(204);
    let jobs = done(&dir, &["job", "list"]);
    assert!(jobs.contains(&IMPORT.to_lowercase()) && jobs.contains("rows loaded 1, refused 2"), "{jobs}");
    assert!(done(&dir, &["job", "show", "groups out"]).contains("next 2026-11-25T05:00:00"));
}

#[test]
fn init_makes_a_file_that_checks_and_the_shell_says_what_is_wrong_with_a_bad_one() {
    let dir = tempfile::tempdir().unwrap();
    let made = done(dir.path(), &["init"]);
    assert!(made.contains("secret") && made.contains("curl"), "{made}");
    assert_eq!(entrepot(dir.path(), &["init"]).status.code(), Some(1), "an existing file is never overwritten");
    let checked = done(dir.path(), &["check"]);
    assert!(checked.contains("Customer groups to the book-keeper") && checked.contains(" CET") | checked.contains(" CEST"), "{checked}");
    let added = done(dir.path(), &["app", "add", "Till"]);
    assert!(added.contains("shown once"));
    let file = dir.path().join("entrepot.toml");
    let text_of = || std::fs::read_to_string(&file).unwrap();
    assert!(text_of().contains("# An application is a program that may call"), "comments are kept");
    done(dir.path(), &["app", "disable", "Till"]);
    assert!(done(dir.path(), &["app", "list"]).contains("Till  (disabled)"));
    std::fs::write(
        &file,
        text_of().replace("\"30m\"", "\"soon\"").replace("project      = \"Customer groups in\"", "project      = \"Customer groups ni\""),
    )
    .unwrap();
    let output = entrepot(dir.path(), &["check"]);
    assert_eq!(output.status.code(), Some(1));
    let report = text(&output);
    assert!(report.contains("\"soon\" is no duration") && report.contains("did you mean \"Customer groups in\"?"), "{report}");
    assert_eq!(entrepot(dir.path(), &["chek"]).status.code(), Some(2));
    assert_eq!(entrepot(dir.path(), &["job", "list", "--data-dir", "nowhere"]).status.code(), Some(1));
}

#[test]
fn the_demo_holds_from_the_first_step_to_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let output = entrepot(dir.path(), &["demo", "--once"]);
    assert!(output.status.success() && text(&output).contains("Every step held."), "{}", text(&output));
}

#[test]
fn health_and_metrics_are_told() {
    let mut app = Appliance::start(&groups(""));
    app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    app.settle();
    let metrics = app.send("GET", "/metrics", &[], b"").expect(200).text();
    assert!(
        metrics.contains("entrepot_messages{job=\"Groups in\",state=\"processed\"} 1")
            && metrics.contains("entrepot_rows_loaded_total{job=\"Groups in\"} 1"),
        "{metrics}"
    );
    app.send("GET", "/readyz", &[], b"").expect(200);
}

#[test]
fn an_export_that_fails_is_seen_until_a_run_works() {
    let format = |length: u32| {
        let columns =
            format!("columns = [{{ name = \"ID\", start = 1, length = 10 }}, {{ name = \"NAME\", start = 11, length = {length} }}]");
        let export = "direction = \"export\"\n[[project.entity]]\nentity = \"Customer groups\"\n";
        groups("").replace(
            export,
            &format!("{export}fields = [\"ID\", \"NAME\"]\nformat = {{ type = \"fixed\", record_end = \"\\n\", {columns} }}\n"),
        )
    };
    let mut app = Appliance::start(&format(3));
    let dir = app.dir.path().to_owned();
    app.enqueue(b"ID,NAME,AMOUNT\n1,too long,1\n", None);
    app.settle();
    let why = "cannot write Customer groups, row 1 (ID \"1\"): \"too long\" does not fit into the 3 characters of column NAME";
    let run = entrepot(&dir, &["job", "run", "Groups out"]);
    assert!(run.status.code() == Some(1) && text(&run).contains(&format!("error: the export failed: {why}")), "{}", text(&run));
    let job = || app.operator("GET", &format!("jobs/{EXPORT}")).json();
    let first = job();
    assert_eq!((first["failure"]["reason"].as_str(), &first["failure"]["since"]), (Some(why), &first["last_run_at"]), "{first}");
    // A scheduled run fails like it.
    app.advance(Duration::from_secs(24 * 3600));
    let job = || app.operator("GET", &format!("jobs/{EXPORT}")).json();
    let second = job();
    assert_eq!(second["failure"]["since"], first["failure"]["since"]);
    assert!(second["failure"]["at"] != first["failure"]["at"] && second["failure"]["at"] == second["last_run_at"], "{second}");
    app.advance(Duration::from_secs(60));
    let job = || app.operator("GET", &format!("jobs/{EXPORT}")).json();
    app.operator("POST", &format!("jobs/{EXPORT}/run?wait=2h")).expect(400);
    assert_eq!(job()["last_run_at"], second["last_run_at"], "what is refused does not begin");
    let shown = done(&dir, &["job", "show", EXPORT]);
    assert!(shown.contains("failing since 2026-11-24T12:00:00.000Z, the latest ") && shown.contains(why), "{shown}");
    let attention = done(&dir, &["message", "list", "--attention"]);
    assert!(attention.contains(&format!("job Groups out  failing since 2026-11-24T12:00:00.000Z: {why}")), "{attention}");
    assert_eq!(app.operator("GET", "messages?attention=1&job=Groups+in").json()["failing_jobs"], serde_json::json!([]));
    let metric =
        |value: u8| app.send("GET", "/metrics", &[], b"").text().contains(&format!("entrepot_job_failing{{job=\"Groups out\"}} {value}"));
    assert!(metric(1));
    let person = crate::pages::Person::signed_in(&app);
    for page in ["/", "/messages?attention=1", &format!("/jobs/{EXPORT}")] {
        let html = person.get(&app, page).expect(200).text();
        assert!(html.contains("does not fit into the 3 characters of column NAME"), "{page}: {html}");
    }

    app.rewrite_configuration(&format(30));
    app.operator("POST", "configuration/reload").expect(200);
    let run = done(&dir, &["job", "run", "Groups out"]);
    assert!(run.contains("enqueued 1"), "it was waited for: {run}");
    assert_eq!(job()["failure"], serde_json::Value::Null);
    assert!(!done(&dir, &["message", "list", "--attention"]).contains("failing"));
    assert!(metric(0));
    assert!(person.get(&app, "/").text().contains("Every message was processed"));
}

#[test]
fn the_queue_is_operated_while_the_configuration_file_is_broken() {
    let app = Appliance::start(&groups(""));
    let dir = app.dir.path().to_owned();
    let id = app.enqueue(b"ID,NAME,AMOUNT\n1,a,1\n", None);
    for broken in ["[[job]]\nname = \"half\"", "[[job]\nname ="] {
        app.rewrite_configuration(&format!("{}\n{broken}\n", groups("")));
        for arguments in
            [&["message", "show", &id][..], &["message", "list"], &["job", "list"], &["job", "pause", "Groups in"], &["user", "link"]]
        {
            let told = done(&dir, arguments);
            assert!(told.contains("warning: ") && told.contains("stays in force"), "{arguments:?}: {told}");
        }
        let output = entrepot(&dir, &["reload"]);
        assert!(output.status.code() == Some(1) && text(&output).contains("the configuration is refused"), "{}", text(&output));
        assert_eq!(entrepot(&dir, &["check"]).status.code(), Some(1));
    }
}

#[test]
fn a_running_appliance_is_healthy_whatever_is_wrong_with_its_file() {
    let app = Appliance::start(&groups(""));
    let (dir, file) = (app.dir.path().to_owned(), app.dir.path().join("entrepot.toml"));
    let sound = std::fs::read(&file).unwrap();
    let listen = String::from_utf8(sound.clone()).unwrap().replace("listen = \"127.0.0.1:0\"", "listen = \"nowhere\"");
    assert!(listen.contains("nowhere"), "{listen}");
    for broken in [listen.into_bytes(), [&sound[..], b"# caf\xe9\n"].concat()] {
        std::fs::write(&file, broken).unwrap();
        let told = done(&dir, &["healthcheck"]);
        assert!(told.contains("stays in force"), "{told}");
        done(&dir, &["job", "list"]);
    }
}
