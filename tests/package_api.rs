//! The package API (CONTRACT §1.6): actions of the data management service, and the blob endpoint whose URLs they hand out.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::{Value, json};

use crate::appliance::{Answer, Appliance, OTHER_APPLICATION};
use crate::packages::{PACKAGES, both, configuration, manifest, package};

pub const EXPORT_JOB: &str = r#"
[[project]]
name = "Set-up out"
direction = "export"
[[project.entity]]
entity = "Terms of payment"
[[project.entity]]
entity = "Customer groups"

[[job]]
name = "Set-up out"
activity_id = "22222222-2222-4333-8444-555555555555"
project = "Set-up out"
applications = ["Tests"]
"#;

pub fn start() -> Appliance {
    Appliance::start(&format!("{}{EXPORT_JOB}", configuration("recurrence = \"on demand\"")))
}

/// The path of a URL that the appliance gave: it names the public address.
pub fn path(url: &str) -> &str {
    url.strip_prefix("http://exchange.test").unwrap_or_else(|| panic!("{url}"))
}

pub fn write_url(app: &Appliance, name: &str) -> String {
    let text = app.value("GetAzureWriteUrl", &json!({ "uniqueFileName": name }));
    let value: Value = serde_json::from_str(text.as_str().expect("text that is JSON")).unwrap();
    assert!(value["BlobId"].as_str().unwrap().starts_with('{'));
    value["BlobUrl"].as_str().unwrap().to_owned()
}

/// As the Recurring Integrations Scheduler puts it: no Content-Type, no Authorization.
pub fn put(app: &Appliance, url: &str, bytes: &[u8]) -> Answer {
    app.send(
        "PUT",
        path(url),
        &[("x-ms-blob-type", "BlockBlob"), ("x-ms-date", "Tue, 24 Nov 2026 12:00:00 GMT"), ("Overwrite", "T")],
        bytes,
    )
}

pub fn import(app: &Appliance, bytes: &[u8], execution: &str) -> String {
    let url = write_url(app, "11111111-1111-4111-8111-111111111111");
    put(app, &url, bytes).expect(201);
    let value = app.value(
        "ImportFromPackage",
        &json!({ "packageUrl": url, "definitionGroupId": "Set-up", "executionId": execution, "execute": true, "overwrite": true, "legalEntityId": "USMF" }),
    );
    value.as_str().unwrap().to_owned()
}

pub fn status(app: &Appliance, execution: &str) -> String {
    app.value("GetExecutionSummaryStatus", &json!({ "executionId": execution })).as_str().unwrap().to_owned()
}

pub const TERMS: &[u8] = b"NAME,DAYS\r\nNet30,30\r\n";
pub const GROUPS: &[u8] = b"ID,NAME,TERMS\r\n10,Retail,Net30\r\n";

#[test]
fn a_package_is_imported_under_the_execution_id_that_the_client_chose() {
    let mut app = start();
    let chosen = "Set-up-2026-11-24_12-00-00-6d31e09f-0249-459f-94f0-aad9c2c47b64";
    assert_eq!(import(&app, &both(TERMS, GROUPS), chosen), chosen);
    // The job runs on demand only; what a client asks for runs at once.
    app.settle();
    assert_eq!(status(&app, chosen), "Succeeded");
    let context = app.action("GetExecutionSummaryStatus", &json!({ "executionId": chosen })).expect(200);
    assert_eq!(context.header("Content-Type"), Some("application/json; odata.metadata=minimal"));
    assert_eq!(context.header("OData-Version"), Some("4.0"));
    assert_eq!(
        context.json()["@odata.context"],
        "http://exchange.test/data/$metadata#Microsoft.Dynamics.DataEntities.DMFExecutionSummaryStatus"
    );
    assert_eq!(app.sql("SELECT ID, TERMS FROM customer_groups"), ["10|Net30"]);
    let list = app.value("GetEntityExecutionSummaryStatusList", &json!({ "executionId": chosen }));
    assert_eq!(
        (&list[0]["EntityName"], &list[0]["Status"], &list[1]["TotalRecords"]),
        (&json!("Terms of payment"), &json!("Succeeded"), &json!(1))
    );
    assert_eq!(app.value("GetExecutionErrors", &json!({ "executionId": chosen })), "[]");
    let page = app.value("GetExecutionSummaryPageUrl", &json!({ "executionId": chosen }));
    assert!(page.as_str().unwrap().starts_with("http://exchange.test/messages/"));
    // The message of it is known in the other vocabulary too, and either id stands for the other.
    let message = page.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(app.message(&message)["company"], "USMF");
    assert_eq!(app.value("GetExecutionIdByMessageId", &json!({ "_messageId": message })), chosen);
    for id in [message.clone(), format!("\"{message}\""), format!("{{{}}}", message.to_uppercase())] {
        assert_eq!(status(&app, &id), "Succeeded", "{id}");
    }
    // Messages that wait for the recurrence do not stand before it, however many.
    (0..25).for_each(|_| drop(app.enqueue_to(PACKAGES, "Set-up", &both(TERMS, GROUPS), None)));
    // An empty id: the server makes one, and the client goes on with it.
    let made = import(&app, &both(TERMS, GROUPS), "");
    assert!(!made.is_empty());
    app.settle();
    assert_eq!(status(&app, &made), "Succeeded");
}

#[test]
fn the_execution_is_known_before_the_answer_and_survives_a_kill() {
    let mut app = start();
    let list = app.operator("POST", &format!("jobs/{PACKAGES}/pause")).expect(200);
    assert_eq!(list.json()["paused"], true);
    import(&app, &both(TERMS, GROUPS), "E1");
    assert_eq!(status(&app, "E1"), "NotRun");
    app.kill_and_restart();
    assert_eq!(status(&app, "E1"), "NotRun");
    app.operator("POST", &format!("jobs/{PACKAGES}/resume")).expect(200);
    app.settle();
    assert_eq!(status(&app, "E1"), "Succeeded");
    assert_eq!(app.sql("SELECT count(*) FROM entrepot_loaded"), ["2"]);
}

#[test]
fn a_repeated_request_is_one_import_and_a_taken_id_is_refused() {
    let mut app = start();
    let url = write_url(&app, "a");
    put(&app, &url, &both(TERMS, GROUPS)).expect(201);
    let parameters = json!({ "packageUrl": url, "definitionGroupId": "Set-up", "executionId": "E1", "execute": true });
    for _ in 0..2 {
        assert_eq!(app.value("ImportFromPackageAsync", &parameters), "E1");
    }
    app.settle();
    assert_eq!(app.value("ImportFromPackage", &parameters), "E1");
    assert_eq!(app.operator("GET", "messages").expect(200).json()["messages"].as_array().unwrap().len(), 1);
    let other = write_url(&app, "a");
    put(&app, &other, &both(TERMS, GROUPS)).expect(201);
    let taken =
        app.action("ImportFromPackage", &json!({ "packageUrl": other, "definitionGroupId": "Set-up", "executionId": "E1" })).expect(400);
    assert!(taken.text().contains("is taken by another execution"), "{}", taken.text());
}

#[test]
fn refused_rows_are_a_file_that_needs_no_token() {
    let mut app = start();
    import(&app, &both(b"NAME,DAYS\r\nNet30,soon\r\nCash,0\r\n", GROUPS), "E1");
    app.settle();
    assert_eq!(status(&app, "E1"), "PartiallySucceeded");
    let errors: Value = serde_json::from_str(app.value("GetExecutionErrors", &json!({ "executionId": "E1" })).as_str().unwrap()).unwrap();
    assert_eq!((&errors[0]["RecordId"], &errors[0]["Field"]), (&json!("1"), &json!("DAYS")));
    let of = |entity: &str| json!({ "executionId": "E1", "entityName": entity });
    assert_eq!(app.value("GenerateImportTargetErrorKeysFile", &of("PaymentTermEntity")), true);
    for action in ["GetImportTargetErrorKeysFileUrl", "GetImportStagingErrorFileUrl"] {
        for _ in 0..2 {
            let url = app.value(action, &of("Terms of payment"));
            let file = app.send("GET", path(url.as_str().unwrap()), &[], b"").expect(200);
            assert!(file.text().contains("Net30,soon,Entrepot line 2,"), "{}", file.text());
        }
    }
    assert_eq!(app.value("GenerateImportTargetErrorKeysFile", &of("Vendors")), false);
    assert_eq!(app.value("GetImportTargetErrorKeysFileUrl", &of("Vendors")), "");
}

#[test]
fn staging_only_validates_and_loads_nothing() {
    let mut app = start();
    let url = write_url(&app, "a");
    put(&app, &url, &both(b"NAME,DAYS\r\nNet30,30\r\nBad,x\r\n", b"ID,NAME,TERMS\r\n")).expect(201);
    app.value("ImportFromPackage", &json!({ "packageUrl": url, "definitionGroupId": "Set-up", "executionId": "E1", "execute": false }));
    app.settle();
    assert_eq!(status(&app, "E1"), "PartiallySucceeded");
    assert!(app.value("GetExecutionErrors", &json!({ "executionId": "E1" })).as_str().unwrap().contains("DAYS"));
    assert_eq!(app.sql("SELECT count(*) FROM terms"), ["0"]);
    assert_eq!(app.sql("SELECT count(*) FROM entrepot_loaded"), ["0"]);
    let message = app.operator("GET", "messages").expect(200).json()["messages"][0].clone();
    let counts = json!({ "read": 2, "inserted": 0, "updated": 0, "unchanged": 0, "validated": 1, "refused": 1 });
    assert_eq!(message["rows"], counts);
    assert_eq!(app.operator("GET", "jobs").json()["jobs"][0]["rows_loaded"], 0);
    // What is validated can be looked at, though the project skips staging otherwise.
    let id = message["id"].as_str().unwrap().to_owned();
    let entities = app.operator("GET", &format!("messages/{id}")).json()["entities"].clone();
    assert_eq!((&entities[0]["rows"], &entities[0]["outcome"]), (&counts, &json!("staged")), "{entities}");
    let rows = app.operator("GET", &format!("messages/{id}/staging?entity=Terms%20of%20payment")).expect(200).json();
    let statuses: Vec<&str> = rows["rows"].as_array().unwrap().iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["Validated", "Error"]);
    // Its refused rows are for looking at: the others were not loaded either.
    assert_eq!(message["validated_only"], true);
    let page = crate::pages::Person::signed_in(&app).get(&app, &format!("/messages/{id}")).expect(200).text();
    assert!(page.contains("This run loaded nothing: mend the document that was sent, and send all of it."), "{page}");
    let told = crate::operator::entrepot(app.dir.path(), &["message", "refused", &id]);
    assert!(told.status.success() && String::from_utf8_lossy(&told.stderr).contains("this run loaded nothing"), "{told:?}");
}

#[test]
fn staging_only_neither_waits_in_an_ordered_queue_nor_runs_what_waits_there() {
    let mut app = Appliance::start(&format!("{}{EXPORT_JOB}", configuration("recurrence = \"on demand\"\nin_order = true")));
    let waits = app.enqueue_to(crate::packages::PACKAGES, "", &both(b"NAME,DAYS\r\nOld,1\r\n", b"ID,NAME,TERMS\r\n"), None);
    let url = write_url(&app, "a");
    put(&app, &url, &both(TERMS, b"ID,NAME,TERMS\r\n")).expect(201);
    app.value("ImportFromPackage", &json!({ "packageUrl": url, "definitionGroupId": "Set-up", "executionId": "E1", "execute": false }));
    app.settle();
    assert_eq!((status(&app, "E1").as_str(), app.message(&waits)["state"].as_str()), ("Succeeded", Some("queued")));
    assert_eq!(app.sql("SELECT count(*) FROM terms"), ["0"]);
    // One that loads takes along what came before it.
    import(&app, &both(TERMS, b"ID,NAME,TERMS\r\n"), "E2");
    app.settle();
    assert_eq!((status(&app, "E2").as_str(), app.message(&waits)["state"].as_str()), ("Succeeded", Some("processed")));
    assert_eq!(app.sql("SELECT NAME FROM terms ORDER BY NAME"), ["Net30", "Old"]);
}

#[test]
fn staging_only_sees_the_rows_of_the_entities_before_and_judges_each_entity() {
    let mut app = start();
    let validated = |app: &mut Appliance, execution: &str, terms: &[u8], groups: &[u8]| {
        let url = write_url(app, execution);
        put(app, &url, &both(terms, groups)).expect(201);
        app.value(
            "ImportFromPackage",
            &json!({ "packageUrl": url, "definitionGroupId": "Set-up", "executionId": execution, "execute": false }),
        );
        app.settle();
        let list = app.value("GetEntityExecutionSummaryStatusList", &json!({ "executionId": execution }));
        let of =
            |at: usize| format!("{} {}/{}", list[at]["Status"].as_str().unwrap(), list[at]["SuccessRecords"], list[at]["TotalRecords"]);
        (status(app, execution), [of(0), of(1)])
    };
    // The group refers to terms that the same package brings.
    let both_are = validated(&mut app, "E1", TERMS, GROUPS);
    assert_eq!(both_are, ("Succeeded".into(), ["Succeeded 1/1".into(), "Succeeded 1/1".into()]));
    assert_eq!(app.sql("SELECT count(*) FROM terms"), ["0"]);
    // And to terms that nobody has, as this package refuses them.
    let none = validated(&mut app, "E2", b"NAME,DAYS\r\nNet30,x\r\nNet60,60\r\n", GROUPS);
    assert_eq!(none, ("PartiallySucceeded".into(), ["PartiallySucceeded 1/2".into(), "Failed 0/1".into()]));
    assert_eq!(app.sql("SELECT count(*) FROM customer_groups"), ["0"]);
}

#[test]
fn a_project_is_exported_to_a_package_under_the_id_that_the_client_chose() {
    let mut app = start();
    import(&app, &both(b"NAME,DAYS\r\nA,1\r\nB,2\r\nC,3\r\n", b"ID,NAME,TERMS\r\n10,Retail,A\r\n"), "in");
    app.settle();
    let export = |app: &Appliance, action: &str, more: Value| {
        let mut parameters = json!({ "definitionGroupId": "Set-up out", "packageName": "Nightly", "executionId": "", "reExecute": false, "legalEntityId": "" });
        more.as_object().unwrap().iter().for_each(|(key, value)| parameters[key] = value.clone());
        app.value(action, &parameters).as_str().unwrap().to_owned()
    };
    let documents = |app: &Appliance, execution: &str| -> Vec<(String, String)> {
        assert_eq!(status(app, execution), "Succeeded");
        let url = app.value("GetExportedPackageUrl", &json!({ "executionId": execution }));
        let url = url.as_str().unwrap();
        assert!(url.starts_with("http://exchange.test/dmf/Nightly.zip?"), "{url}");
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(app.send("GET", path(url), &[], b"").expect(200).body)).unwrap();
        let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).filter(|name| name.ends_with(".csv")).collect();
        names
            .into_iter()
            .map(|name| {
                let mut text = String::new();
                zip.by_name(&name).unwrap().read_to_string(&mut text).unwrap();
                (name, text)
            })
            .collect()
    };
    assert_eq!(export(&app, "ExportToPackage", json!({ "executionId": "Nightly-1" })), "Nightly-1");
    app.settle();
    let whole = documents(&app, "Nightly-1");
    assert_eq!(whole[0], ("Terms of payment.csv".into(), "NAME,DAYS\r\nA,1\r\nB,2\r\nC,3\r\n".into()));
    assert_eq!(whole.len(), 2);
    // It is nobody's message: a dequeue of the same project's job does not get it.
    app.get("/api/connector/dequeue/22222222-2222-4333-8444-555555555555").expect(204);
    let some = export(&app, "ExportToPackageAsync", json!({ "entityList": "Customer groups," }));
    let preview = export(&app, "ExportToPackagePreview", json!({ "exportPreviewCount": 2, "executionId": "P" }));
    let delta = export(&app, "ExportToPackageDelta", json!({ "entityList": "PaymentTermEntity" }));
    let url = write_url(&app, "template");
    put(&app, &url, &package(manifest(&[("Terms of payment", "t.csv", 1, "")]).as_bytes(), &[])).expect(201);
    let shaped = export(&app, "ExportFromPackage", json!({ "packageUrl": url, "execute": true, "overwrite": true }));
    app.settle();
    assert_eq!(documents(&app, &some).len(), 1);
    assert_eq!(documents(&app, &preview)[0].1, "NAME,DAYS\r\nA,1\r\nB,2\r\n");
    assert_eq!(documents(&app, &delta)[0].0, "Terms of payment.csv");
    assert_eq!(documents(&app, &shaped)[0].0, "Terms of payment.csv");
    // The same id once more: the same export, or a new run of it where the client says so.
    import(&app, &both(b"NAME,DAYS\r\nD,4\r\n", b"ID,NAME,TERMS\r\n"), "in2");
    app.settle();
    export(&app, "ExportToPackage", json!({ "executionId": "Nightly-1" }));
    app.settle();
    assert!(!documents(&app, "Nightly-1")[0].1.contains("D,4"));
    export(&app, "ExportToPackage", json!({ "executionId": "Nightly-1", "reExecute": true }));
    app.settle();
    assert!(documents(&app, "Nightly-1")[0].1.contains("D,4"));
    // An export that no worker took up before a kill is taken up after it.
    app.operator("POST", "jobs/22222222-2222-4333-8444-555555555555/pause").expect(200);
    export(&app, "ExportToPackage", json!({ "executionId": "late" }));
    assert_eq!(status(&app, "late"), "NotRun");
    assert_eq!(app.value("GetExportedPackageUrl", &json!({ "executionId": "late" })), "");
    app.kill_and_restart();
    app.operator("POST", "jobs/22222222-2222-4333-8444-555555555555/resume").expect(200);
    app.settle();
    documents(&app, "late");
    app.action("DeleteExecutionHistoryJob", &json!({ "executionId": "late" })).expect(204);
    app.action("GetExecutionSummaryStatus", &json!({ "executionId": "late" })).expect(400);
}

/// The package of an execution, which is fetched with these headers.
pub(crate) fn package_of(app: &Appliance, execution: &str, headers: &[(&str, &str)]) -> Answer {
    assert_eq!(status(app, execution), "Succeeded");
    let url = app.value("GetExportedPackageUrl", &json!({ "executionId": execution })).as_str().unwrap().to_owned();
    let answer = app.send("GET", path(&url), headers, b"");
    assert!(matches!(answer.status, 200 | 206));
    answer
}

/// The rows of a document in a package.
pub(crate) fn rows(package: &[u8], document: &str) -> String {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(package)).unwrap();
    let mut text = String::new();
    zip.by_name(document).unwrap().read_to_string(&mut text).unwrap();
    text.lines().skip(1).collect::<Vec<_>>().join(" ")
}

/// The rows of terms in the package of an execution; nothing when only a part is fetched.
pub fn fetch(app: &Appliance, execution: &str, headers: &[(&str, &str)]) -> String {
    let answer = package_of(app, execution, headers);
    if answer.status == 206 { String::new() } else { rows(&answer.body, "Terms of payment.csv") }
}

pub fn load(app: &mut Appliance, terms: &str) {
    import(app, &both(format!("NAME,DAYS\r\n{terms}").as_bytes(), b"ID,NAME,TERMS\r\n"), "");
    app.settle();
}

pub fn delta(app: &mut Appliance, action: &str, execution: &str) {
    let body =
        json!({ "definitionGroupId": "Set-up out", "packageName": "d", "executionId": execution, "reExecute": false, "legalEntityId": "" });
    assert_eq!(app.value(action, &body), execution);
    app.settle();
}

#[test]
fn a_delta_holds_what_changed_since_the_package_that_the_client_fetched_last() {
    let mut app = start();
    load(&mut app, "A,1\r\nB,2\r\n");
    delta(&mut app, "ExportToPackageDelta", "1");
    assert_eq!(fetch(&app, "1", &[]), "A,1 B,2", "the first holds everything");
    load(&mut app, "B,3\r\nC,4\r\n");
    delta(&mut app, "ExportToPackageDelta", "2");
    // Looked at, or fetched in part: not the client's yet.
    fetch(&app, "2", &[("x-ms-range", "bytes=0-9")]);
    app.kill_and_restart();
    load(&mut app, "D,5\r\n");
    delta(&mut app, "ExportToPackageDelta", "3");
    assert_eq!(fetch(&app, "3", &[]), "D,5", "what is on offer is not offered twice");
    assert_eq!(fetch(&app, "2", &[]), "B,3 C,4", "and stays on offer");
    delta(&mut app, "ExportToPackageDelta", "4");
    assert_eq!(fetch(&app, "4", &[]), "");
    // A package that nobody fetches goes after its time, and its changes are offered again.
    load(&mut app, "E,6\r\n");
    delta(&mut app, "ExportToPackageDelta", "5");
    app.advance(Duration::from_secs(9 * 24 * 3600));
    delta(&mut app, "ExportToPackageDelta", "6");
    assert_eq!(fetch(&app, "6", &[]), "E,6");
    // A full one is full, and moves nothing; a preview neither.
    load(&mut app, "F,7\r\n");
    delta(&mut app, "ExportToPackage", "7");
    assert_eq!(fetch(&app, "7", &[]).split(' ').count(), 6);
    delta(&mut app, "ExportToPackageDelta", "8");
    assert_eq!(fetch(&app, "8", &[]), "F,7");
    let reset = json!({ "definitionGroupId": "Set-up out", "entityName": "Terms of payment", "sourceName": "CSV" });
    assert_eq!(app.value("ResetVersionToken", &reset), true);
    delta(&mut app, "ExportToPackageDelta", "9");
    assert_eq!(fetch(&app, "9", &[]).split(' ').count(), 6);
}

#[test]
fn a_package_is_its_clients_when_all_its_bytes_went_out_in_whatever_parts() {
    let mut app = start();
    load(&mut app, "A,1\r\n");
    delta(&mut app, "ExportToPackageDelta", "1");
    // A reader of archives asks for the end first; a parallel download may break off behind its last part.
    fetch(&app, "1", &[("Range", "bytes=-22")]);
    fetch(&app, "1", &[("Range", "bytes=0-99")]);
    app.advance(Duration::from_secs(9 * 24 * 3600));
    load(&mut app, "B,2\r\n");
    delta(&mut app, "ExportToPackageDelta", "2");
    let first = package_of(&app, "2", &[("Range", "bytes=0-0")]);
    let size: u64 = first.header("Content-Range").unwrap().rsplit_once('/').unwrap().1.parse().unwrap();
    let parts = [(size / 2, size - 1), (0, size / 4), (size / 8, size / 2)];
    let mut package = vec![0; usize::try_from(size).unwrap()];
    for (from, to) in parts {
        let part = package_of(&app, "2", &[("Range", &format!("bytes={from}-{to}"))]).body;
        package[usize::try_from(from).unwrap()..=usize::try_from(to).unwrap()].copy_from_slice(&part);
    }
    assert_eq!(rows(&package, "Terms of payment.csv"), "A,1 B,2", "the first was not fetched");
    app.advance(Duration::from_secs(9 * 24 * 3600));
    load(&mut app, "C,3\r\n");
    delta(&mut app, "ExportToPackageDelta", "3");
    assert_eq!(fetch(&app, "3", &[]), "C,3", "the second was");
}

#[test]
fn a_package_that_takes_the_place_of_the_first_tells_of_the_rows_that_were_deleted_since() {
    let incremental = "entity = \"Terms of payment\"\nrefresh = \"incremental\"\ndeletes = \"document\"";
    let configuration =
        format!("{}{}", configuration("recurrence = \"on demand\""), EXPORT_JOB.replace("entity = \"Terms of payment\"", incremental));
    let mut app = Appliance::start(&configuration);
    load(&mut app, "A,1\r\n");
    delta(&mut app, "ExportToPackage", "1");
    load(&mut app, "B,2\r\n");
    delta(&mut app, "ExportToPackage", "2");
    assert_eq!(fetch(&app, "2", &[]), "B,2");
    rusqlite::Connection::open(app.dir.path().join("data/entities.db")).unwrap().execute_batch("DELETE FROM terms").unwrap();
    load(&mut app, "C,3\r\n");
    // Nobody fetched the first, nor what was to take its place.
    for execution in ["3", "4"] {
        app.advance(Duration::from_secs(9 * 24 * 3600));
        // Nor does it matter that others have all of it.
        for _ in 0..2 {
            app.operator("POST", "jobs/22222222-2222-4333-8444-555555555555/run").expect(200);
            app.settle();
            let message = app.get("/api/connector/dequeue/22222222-2222-4333-8444-555555555555").expect(200).body;
            app.post("/api/connector/ack/22222222-2222-4333-8444-555555555555", &message).expect(200);
        }
        delta(&mut app, "ExportToPackage", execution);
    }
    let package = package_of(&app, "4", &[]).body;
    assert_eq!((rows(&package, "Terms of payment.csv").as_str(), rows(&package, "deleted/Terms of payment.csv").as_str()), ("C,3", "A B"));
}

#[test]
fn with_an_incremental_project_every_export_of_the_package_api_is_a_delta_and_jobs_have_their_own() {
    let configuration = format!(
        "{}{}",
        configuration("recurrence = \"on demand\""),
        EXPORT_JOB.replace("entity = \"Terms of payment\"", "entity = \"Terms of payment\"\nrefresh = \"incremental\"")
    );
    let mut app = Appliance::start(&configuration);
    load(&mut app, "A,1\r\n");
    delta(&mut app, "ExportToPackage", "1");
    assert_eq!(fetch(&app, "1", &[]), "A,1");
    load(&mut app, "B,2\r\n");
    delta(&mut app, "ExportToPackageAsync", "2");
    assert_eq!(fetch(&app, "2", &[]), "B,2");
    // The job's consumer has fetched nothing yet.
    app.operator("POST", "jobs/22222222-2222-4333-8444-555555555555/run").expect(200);
    app.settle();
    let message = app.get("/api/connector/dequeue/22222222-2222-4333-8444-555555555555").expect(200).json();
    let package = app.get(path(message["DownloadLocation"].as_str().unwrap())).expect(200).body;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(package)).unwrap();
    let mut text = String::new();
    zip.by_name("Terms of payment.csv").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "NAME,DAYS\r\nA,1\r\nB,2\r\n");
}

#[test]
fn the_other_actions_answer_as_their_clients_expect() {
    let app = start();
    for action in ["InitializeDataManagement", "InitializeDataManagementAsync"] {
        app.action(action, &json!({})).expect(204);
    }
    let sequence = app.value("GetEntitySequence", &json!({ "listOfDataEntities": "Customer groups,Terms of payment" }));
    let sequence: Value = serde_json::from_str(sequence.as_str().unwrap()).unwrap();
    assert_eq!((&sequence[0]["EntityName"], &sequence[1]["LevelInExecutionUnit"]), (&json!("Terms of payment"), &json!(2)));
    let unknown = app.action("GetEntitySequence", &json!({ "listOfDataEntities": "Vendors" })).expect(400);
    assert!(unknown.text().contains("Entity Vendors does not exist in the target environment"));
    let reset = |entity: &str| json!({ "definitionGroupId": "Set-up out", "entityName": entity, "sourceName": "CSV" });
    assert_eq!(app.value("ResetVersionToken", &reset("Customer groups")), true);
    assert_eq!(app.value("ResetVersionToken", &reset("Vendors")), false);
}

#[test]
fn section_1_6_errors_have_the_shape_of_the_real_system_and_a_detail_that_helps() {
    let app = start();
    let unknown = app.action("GetExecutionSummaryStatus", &json!({ "executionId": "nope" })).expect(400).json();
    assert_eq!(
        unknown["error"]["innererror"]["message"],
        "Exception occurred while executing action GetExecutionSummaryStatus on Entity DataManagementDefinitionGroup: Execution details were not found for execution id: nope"
    );
    assert_eq!(unknown["error"]["message"], "An error has occurred.");
    let url = write_url(&app, "a");
    for (action, parameters, word) in [
        ("ImportFromPackage", json!({ "packageUrl": url, "definitionGroupId": "Set-up" }), "nothing was uploaded"),
        (
            "ImportFromPackage",
            json!({ "packageUrl": "https://elsewhere.blob.core.windows.net/dmf/x?sig=y", "definitionGroupId": "Set-up" }),
            "none that GetAzureWriteUrl gave",
        ),
        (
            "ImportFromPackage",
            json!({ "packageUrl": "file:///etc/passwd", "definitionGroupId": "Set-up" }),
            "none that GetAzureWriteUrl gave",
        ),
        ("ImportFromPackage", json!({ "packageUrl": url, "definitionGroupId": "Nope" }), "The data project 'Nope' does not exist"),
        ("ImportFromPackage", json!({ "packageUrl": url }), "the parameter definitionGroupId is missing"),
        ("ExportToPackage", json!({ "definitionGroupId": "Set-up" }), "The data project 'Set-up' does not exist"),
        ("ExportToPackage", json!({ "definitionGroupId": "Set-up out", "executionId": "x".repeat(201) }), "at most 200 characters"),
        ("ExportToPackageAsync", json!({ "definitionGroupId": "Set-up out", "entityList": "Vendors" }), "has no entity 'Vendors'"),
        ("GetAzureWriteUrl", json!({ "uniqueFileName": "../x" }), "uniqueFileName"),
    ] {
        let refused = app.action(action, &parameters).expect(400);
        let message = refused.json()["error"]["innererror"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word), "{action} {parameters}: {message}");
    }
}

#[test]
fn another_application_neither_runs_nor_sees_nor_reads_what_is_not_its_own() {
    let mut app = start();
    import(&app, &both(TERMS, GROUPS), "E1");
    app.settle();
    let url = write_url(&app, "mine");
    put(&app, &url, &both(TERMS, GROUPS)).expect(201);
    let mine = std::mem::take(&mut app.token);
    app.token = app.token_of(OTHER_APPLICATION);
    let refused = app.action("ImportFromPackage", &json!({ "packageUrl": url, "definitionGroupId": "Set-up" })).expect(400);
    assert!(refused.text().contains("does not exist"));
    let unseen = app.action("GetExecutionSummaryStatus", &json!({ "executionId": "E1" })).expect(400);
    assert!(unseen.text().contains("were not found"));
    app.token = mine;
    app.send("POST", "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl", &[], b"{}").expect(401);
}

#[test]
fn section_1_6_package_urls_are_put_and_got_as_storage_clients_do() {
    let app = start();
    let url = write_url(&app, "a name/with parts.zip");
    let target = path(&url);
    app.send("GET", target, &[], b"").expect(404);
    let written = put(&app, &url, b"0123456789").expect(201);
    let tag = written.header("ETag").unwrap().to_owned();
    assert!(written.header("Last-Modified").unwrap().ends_with("GMT"));
    let got = app.send("GET", target, &[], b"").expect(200);
    assert_eq!((got.body.as_slice(), got.header("ETag")), (&b"0123456789"[..], Some(tag.as_str())));
    let ranged = |headers: &[(&str, &str)]| app.send("GET", target, headers, b"");
    let part = ranged(&[("x-ms-range", "bytes=2-4"), ("Range", "bytes=0-0"), ("If-Match", &tag)]).expect(206);
    assert_eq!((part.body.as_slice(), part.header("Content-Range")), (&b"234"[..], Some("bytes 2-4/10")));
    assert_eq!(ranged(&[("Range", "bytes=-3")]).expect(206).body, b"789");
    let none = ranged(&[("x-ms-range", "bytes=10-")]).expect(416);
    assert_eq!((none.header("Content-Range"), none.header("x-ms-error-code")), (Some("bytes */10"), Some("InvalidRange")));
    ranged(&[("If-None-Match", &tag)]).expect(304);
    ranged(&[("If-Match", "\"other\"")]).expect(412);
    let head = app.send("HEAD", target, &[("x-ms-client-request-id", "abc")], b"").expect(200);
    assert_eq!((head.header("Content-Length"), head.header("x-ms-client-request-id")), (Some("10"), Some("abc")));
    // Written once more: only by who knows what is there, or does not care.
    let again = |headers: &[(&str, &str)]| app.send("PUT", target, headers, b"new");
    assert!(again(&[("If-None-Match", "*")]).expect(409).text().contains("<Code>BlobAlreadyExists</Code>"));
    again(&[("If-Match", "\"other\"")]).expect(412);
    let new = again(&[("If-Match", &tag)]).expect(201);
    assert_ne!(new.header("ETag"), Some(tag.as_str()));
    assert_eq!(app.send("GET", target, &[], b"").expect(200).body, b"new");
    app.send("DELETE", target, &[], b"").expect(405);
    // Only the bytes that are current take space.
    assert_eq!(std::fs::read_dir(app.dir.path().join("data/spool/blobs")).unwrap().count(), 1);
}

#[test]
fn section_1_6_package_urls_take_blocks_joined_by_a_list() {
    let app = start();
    let url = write_url(&app, "blocks");
    let target = path(&url);
    let block = |id: &str, bytes: &[u8]| app.send("PUT", &format!("{target}&comp=block&blockid={id}"), &[], bytes);
    let list = |body: &str| app.send("PUT", &format!("{target}&comp=blocklist"), &[("Content-Type", "application/xml")], body.as_bytes());
    block("QQ%3D%3D", b"first").expect(201);
    block("Qg%3D%3D", &vec![b'x'; 300_000]).expect(201);
    block("Qg%3D%3D", b" second").expect(201);
    app.send("GET", target, &[], b"").expect(404);
    assert!(list("<BlockList><Latest>QQ==</Latest><Latest>Qw==</Latest></BlockList>").expect(400).text().contains("InvalidBlockList"));
    assert!(list("<nonsense").expect(400).text().contains("InvalidXmlDocument"));
    let written =
        list("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><Latest>QQ==</Latest><Uncommitted>Qg==</Uncommitted></BlockList>")
            .expect(201);
    assert!(written.header("ETag").is_some());
    assert_eq!(app.send("GET", target, &[], b"").expect(200).body, b"first second");
    // The blocks are used up.
    list("<BlockList><Latest>QQ==</Latest></BlockList>").expect(400);
    assert_eq!(std::fs::read_dir(app.dir.path().join("data/spool/incoming")).unwrap().count(), 0);
}

#[test]
fn section_1_6_package_urls_open_one_blob_for_their_time_and_no_other() {
    let mut app = start();
    let (one, two) = (write_url(&app, "same"), write_url(&app, "same"));
    assert_ne!(one, two, "names repeat, blobs do not");
    put(&app, &one, b"one").expect(201);
    put(&app, &two, b"two").expect(201);
    assert_eq!(app.send("GET", path(&one), &[], b"").expect(200).body, b"one");
    let parts = |url: &str| -> Vec<(String, String)> {
        let pairs = url.split_once('?').unwrap().1.split('&').map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let joined = |pairs: &[(String, String)]| pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&");
    let other = parts(&two);
    for (at, (key, _)) in parts(&one).iter().enumerate() {
        if matches!(key.as_str(), "sv" | "sr") || other[at] == parts(&one)[at] {
            continue;
        }
        let mut mixed = parts(&one);
        mixed[at] = other[at].clone();
        let refused = app.send("GET", &format!("/dmf/same?{}", joined(&mixed)), &[], b"").expect(403);
        assert!(refused.text().contains("<Code>AuthenticationFailed</Code>"), "{key}");
    }
    app.send("GET", &path(&one).replace("/dmf/same", "/dmf/other"), &[], b"").expect(403);
    app.send("GET", "/dmf/same", &[], b"").expect(403);
    // As a client writes it that takes the host for an emulator's.
    assert_eq!(app.send("GET", &path(&one).replace("/dmf/", "/dmf/dmf/"), &[], b"").expect(200).body, b"one");
    // Decided on the head: a client that does not read before it has sent all sees that for so much.
    app.send("PUT", "/dmf/same", &[], &vec![0u8; 100 << 10]).expect(403);
    app.advance(Duration::from_secs(3600));
    assert!(app.send("GET", path(&one), &[], b"").expect(403).text().contains("expired"));
    // Blobs are kept as long as payloads.
    app.advance(Duration::from_secs(8 * 86_400));
    assert_eq!(std::fs::read_dir(app.dir.path().join("data/spool/blobs")).unwrap().count(), 0);
}

#[test]
fn a_url_still_works_after_a_restart_and_what_a_crash_left_is_cleared_away() {
    let mut app = start();
    let url = write_url(&app, "kept");
    put(&app, &url, b"kept").expect(201);
    std::fs::write(app.dir.path().join("data/spool/blobs/01a20000-0000-7000-8000-000000000001"), b"nobody's").unwrap();
    app.kill_and_restart();
    assert_eq!(app.send("GET", path(&url), &[], b"").expect(200).body, b"kept");
    assert_eq!(std::fs::read_dir(app.dir.path().join("data/spool/blobs")).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(app.dir.path().join("data/url.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

#[test]
fn a_body_that_is_larger_than_the_limit_is_refused_on_the_head_and_while_it_comes() {
    let app = start();
    let url = write_url(&app, "large");
    let mut stream = std::net::TcpStream::connect(app.base.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "PUT {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", path(&url), (64 << 20) + 1).unwrap();
    let mut answer = [0; 64];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 the body is larger than 67108864 bytes"), "{}", String::from_utf8_lossy(&answer));
    // Blocks count together.
    let block = |id: &str| app.send("PUT", &format!("{}&comp=block&blockid={id}", path(&url)), &[], &vec![b'x'; 40 << 20]);
    block("MQ%3D%3D").expect(201);
    block("MQ%3D%3D").expect(201);
    assert_eq!(block("Mg%3D%3D").expect(409).header("x-ms-error-code"), Some("BlockCountExceedsLimit"));
    app.send("PUT", &format!("{}&comp=block&blockid={}", path(&url), "A".repeat(89)), &[], b"x").expect(400);
    app.send("PUT", &format!("{}&comp=page", path(&url)), &[], b"x").expect(400);
    app.send("GET", path(&url), &[], b"").expect(404);
    // The block that waits for its list.
    assert_eq!(std::fs::read_dir(app.dir.path().join("data/spool/incoming")).unwrap().count(), 1);
}
