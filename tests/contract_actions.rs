//! CONTRACT §1.6, the table of actions: a test for each row, named after it, which sends what the clients send and holds what they read. The other sections
//! are in `wire.rs`; what actions do beyond the wire is in `package_api.rs`.

use serde_json::{Value, json};

use crate::appliance::{Answer, Appliance};
use crate::package_api::{EXPORT_JOB, GROUPS, TERMS, import, path, put, start, status, write_url};
use crate::packages::{PACKAGES, both, configuration};
use crate::wire::{bearer, length, no_nulls, raw};

const OUT: &str = "22222222-2222-4333-8444-555555555555";
const SCHEDULER: [&str; 2] = ["Accept: application/json", "Content-Type: application/json; charset=utf-8"];
const ODATA_CLIENT: [&str; 6] = [
    "OData-Version: 4.0",
    "OData-MaxVersion: 4.0",
    "Accept: application/json;odata.metadata=minimal",
    "Content-Type: application/json;odata.metadata=minimal",
    "Accept-Charset: UTF-8",
    "User-Agent: Microsoft ADO.NET Data Services",
];

/// Sends an action as a client writes it.
fn send(app: &Appliance, name: &str, headers: &[&str], body: &str) -> Answer {
    let line = format!("POST /data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{name} HTTP/1.1");
    let (bearer, size) = (bearer(app), length(body));
    let head: Vec<&str> = [line.as_str(), "Host: exchange.test", &bearer, &size].into_iter().chain(headers.iter().copied()).collect();
    raw(app, &head, body.as_bytes())
}

/// The flat value of an answer in the shape of the real system, whose context names this type.
fn value(answer: Answer, kind: &str) -> Value {
    let answer = answer.expect(200);
    assert_eq!(answer.header("Content-Type"), Some("application/json; odata.metadata=minimal"));
    assert_eq!(answer.header("OData-Version"), Some("4.0"));
    let body = answer.json();
    assert_eq!(body["@odata.context"], format!("http://exchange.test/data/$metadata#{kind}"));
    assert_eq!(body.as_object().unwrap().len(), 2, "the value is flat: {body}");
    body["value"].clone()
}

/// Packages that were loaded, and where: some rows refused, under the execution id `E1`.
fn loaded() -> Appliance {
    let mut app = start();
    import(&app, &both(b"NAME,DAYS\r\nNet30,soon\r\nCash,0\r\n", b"ID,NAME,TERMS\r\n10,Retail,Cash\r\n"), "E1");
    app.settle();
    app
}

fn uploaded(app: &Appliance) -> String {
    let url = write_url(app, "6d31e09f-0249-459f-94f0-aad9c2c47b64");
    put(app, &url, &both(TERMS, GROUPS)).expect(201);
    url
}

#[test]
fn row_get_azure_write_url() {
    let app = start();
    // RIS: a GUID; Logic App: the id of a file; the sample: the same zeros every time.
    let mut urls = Vec::new();
    for name in [
        "6d31e09f-0249-459f-94f0-aad9c2c47b64",
        "bG9naWMgYXBw.zip",
        "00000000-0000-0000-0000-000000000000",
        "00000000-0000-0000-0000-000000000000",
    ] {
        let text = value(send(&app, "GetAzureWriteUrl", &SCHEDULER, &format!("{{\"uniqueFileName\":\"{name}\"}}")), "Edm.String");
        let inner: Value = serde_json::from_str(text.as_str().expect("a text that is JSON")).unwrap();
        let (id, url) = (inner["BlobId"].as_str().unwrap(), inner["BlobUrl"].as_str().unwrap().to_owned());
        assert!(id.starts_with('{') && id.ends_with('}') && id[1..37].parse::<uuid::Uuid>().is_ok(), "{id}");
        assert!(url.starts_with(&format!("http://exchange.test/dmf/{name}?")), "{url}");
        for member in ["sv=", "sr=b", "sig=", "st=", "se=", "sp=rw"] {
            assert!(url.contains(member), "{member}: {url}");
        }
        urls.push(url);
    }
    urls.dedup();
    assert_eq!(urls.len(), 4, "names repeat, blobs do not");
}

#[test]
fn row_import_from_package() {
    let mut app = start();
    let url = uploaded(&app);
    // RIS: every member, an execution id of its own making or none.
    for (given, execute) in [("Set-up-2026-11-24_12-00-00-6d31e09f-0249-459f-94f0-aad9c2c47b64", true), ("", true), ("", false)] {
        let body = json!({ "packageUrl": url, "definitionGroupId": "Set-up", "executionId": given, "execute": execute, "overwrite": true, "legalEntityId": "USMF" });
        let id = value(send(&app, "ImportFromPackage", &SCHEDULER, &body.to_string()), "Edm.String");
        let id = id.as_str().unwrap();
        assert!(if given.is_empty() { !id.is_empty() } else { id == given }, "{id}");
        app.settle();
        assert_eq!(status(&app, id), "Succeeded");
    }
    // A data project that is missing is made from the manifest.
    let body = json!({ "packageUrl": url, "definitionGroupId": "New one", "executionId": "N", "execute": true, "overwrite": false, "legalEntityId": "" });
    assert_eq!(value(send(&app, "ImportFromPackage", &ODATA_CLIENT, &body.to_string()), "Edm.String"), "N");
}

#[test]
fn row_import_from_package_async() {
    let mut app = start();
    let body = json!({ "packageUrl": uploaded(&app), "definitionGroupId": "Set-up", "executionId": "A", "execute": true, "overwrite": true, "legalEntityId": "" });
    assert_eq!(value(send(&app, "ImportFromPackageAsync", &SCHEDULER, &body.to_string()), "Edm.String"), "A");
    app.settle();
    assert_eq!(status(&app, "A"), "Succeeded");
}

#[test]
fn row_import_from_dmt_package() {
    let mut app = start();
    let body = json!({
        "packageUrl": uploaded(&app), "definitionGroupId": "Set-up", "executionId": "D", "execute": true, "overwrite": true, "legalEntityId": "",
        "importBatchGroupId": "DMT", "failOnError": true
    });
    assert_eq!(value(send(&app, "ImportFromDMTPackage", &SCHEDULER, &body.to_string()), "Edm.String"), "D");
    app.settle();
    assert_eq!(status(&app, "D"), "Succeeded");
}

fn export(app: &mut Appliance, action: &str, execution: &str, more: Value) {
    let mut body = json!({ "definitionGroupId": "Set-up out", "packageName": execution, "executionId": execution, "reExecute": true, "legalEntityId": "USMF" });
    more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
    assert_eq!(value(send(app, action, &SCHEDULER, &body.to_string()), "Edm.String"), execution, "the id is honoured exactly");
    // The client polls with its own id from the first moment.
    let told = value(send(app, "GetExecutionSummaryStatus", &SCHEDULER, &json!({ "executionId": execution }).to_string()), STATUS);
    assert!(["NotRun", "Executing", "Succeeded"].contains(&told.as_str().unwrap()), "{told}");
    app.settle();
    assert_eq!(status(app, execution), "Succeeded");
}

const STATUS: &str = "Microsoft.Dynamics.DataEntities.DMFExecutionSummaryStatus";

#[test]
fn row_export_to_package() {
    let mut app = loaded();
    export(&mut app, "ExportToPackage", "Set-up out-2026-11-24_12-00-00-6d31e09f-0249-459f-94f0-aad9c2c47b64", json!({}));
    let unknown = send(
        &app,
        "ExportToPackage",
        &SCHEDULER,
        r#"{"definitionGroupId":"Nope","packageName":"p","executionId":"","reExecute":false,"legalEntityId":""}"#,
    );
    assert!(unknown.expect(400).text().contains("The data project 'Nope' does not exist"));
}

#[test]
fn row_export_to_package_async() {
    export(&mut loaded(), "ExportToPackageAsync", "X", json!({ "entityList": "Terms of payment, Customer groups" }));
}

#[test]
fn row_export_to_package_preview_and_preview_async() {
    let mut app = loaded();
    export(&mut app, "ExportToPackagePreview", "P", json!({ "exportPreviewCount": 1 }));
    export(&mut app, "ExportToPackagePreviewAsync", "PA", json!({ "exportPreviewCount": "1" }));
}

#[test]
fn row_export_to_package_delta() {
    export(&mut loaded(), "ExportToPackageDelta", "D", json!({ "entityList": "Terms of payment" }));
}

#[test]
fn row_export_from_package() {
    let mut app = loaded();
    let url = uploaded(&app);
    let body = json!({ "packageUrl": url, "definitionGroupId": "Set-up out", "executionId": "F", "execute": true, "overwrite": true, "legalEntityId": "" });
    assert_eq!(value(send(&app, "ExportFromPackage", &SCHEDULER, &body.to_string()), "Edm.String"), "F");
    app.settle();
    assert_eq!(status(&app, "F"), "Succeeded");
}

#[test]
fn row_get_exported_package_url() {
    let mut app = loaded();
    app.operator("POST", &format!("jobs/{OUT}/pause")).expect(200);
    let body = r#"{"definitionGroupId":"Set-up out","packageName":"Nightly","executionId":"E","reExecute":false,"legalEntityId":""}"#;
    send(&app, "ExportToPackage", &SCHEDULER, body).expect(200);
    let url = |app: &Appliance| value(send(app, "GetExportedPackageUrl", &SCHEDULER, r#"{"executionId":"E"}"#), "Edm.String");
    assert_eq!(url(&app), "", "empty while it is not ready: the client asks again");
    app.operator("POST", &format!("jobs/{OUT}/resume")).expect(200);
    app.settle();
    let url = url(&app);
    // Without a token.
    let package = app.send("GET", path(url.as_str().unwrap()), &[], b"").expect(200);
    assert!(package.body.starts_with(b"PK"));
}

#[test]
fn row_get_execution_summary_status() {
    let app = loaded();
    let told = value(send(&app, "GetExecutionSummaryStatus", &ODATA_CLIENT, r#"{"executionId":"E1"}"#), STATUS);
    assert_eq!(told, "PartiallySucceeded");
    let unknown = send(&app, "GetExecutionSummaryStatus", &SCHEDULER, r#"{"executionId":"nope"}"#).expect(400);
    assert!(unknown.text().contains("Execution details were not found for execution id: nope"));
}

#[test]
fn row_get_execution_summary_page_url() {
    let app = loaded();
    let url = value(send(&app, "GetExecutionSummaryPageUrl", &SCHEDULER, r#"{"executionId":"E1"}"#), "Edm.String");
    assert!(url.as_str().unwrap().starts_with("http://exchange.test/messages/"), "{url}");
}

#[test]
fn row_get_entity_execution_summary_status_list() {
    let app = loaded();
    let list = value(send(&app, "GetEntityExecutionSummaryStatusList", &SCHEDULER, r#"{"executionId":"E1"}"#), "Collection(Edm.String)");
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert!(list.iter().all(no_nulls));
    let terms = &list[0];
    assert_eq!(
        (&terms["EntityName"], &terms["Status"], &terms["TotalRecords"]),
        (&json!("Terms of payment"), &json!("PartiallySucceeded"), &json!(2))
    );
    assert_eq!((&terms["SuccessRecords"], &terms["ErrorRecords"]), (&json!(1), &json!(1)));
}

#[test]
fn row_get_execution_errors() {
    let mut app = loaded();
    let text = value(send(&app, "GetExecutionErrors", &SCHEDULER, r#"{"executionId":"E1"}"#), "Edm.String");
    let list: Value = serde_json::from_str(text.as_str().expect("a text that is a JSON array")).unwrap();
    assert_eq!((&list[0]["RecordId"], &list[0]["Field"]), (&json!("1"), &json!("DAYS")));
    assert!(list[0]["ErrorMessage"].as_str().unwrap().contains("soon"));
    import(&app, &both(TERMS, GROUPS), "good");
    app.settle();
    assert_eq!(value(send(&app, "GetExecutionErrors", &SCHEDULER, r#"{"executionId":"good"}"#), "Edm.String"), "[]");
}

#[test]
fn row_get_import_staging_error_file_url() {
    let app = loaded();
    let url = value(
        send(&app, "GetImportStagingErrorFileUrl", &SCHEDULER, r#"{"executionId":"E1","entityName":"Terms of payment"}"#),
        "Edm.String",
    );
    assert!(app.send("GET", path(url.as_str().unwrap()), &[], b"").expect(200).text().contains("Net30,soon"));
    let none = value(
        send(&app, "GetImportStagingErrorFileUrl", &SCHEDULER, r#"{"executionId":"E1","entityName":"Customer groups"}"#),
        "Edm.String",
    );
    assert_eq!(none, "");
}

#[test]
fn row_generate_import_target_error_keys_file() {
    let app = loaded();
    let ask = |entity: &str| {
        let body = json!({ "executionId": "E1", "entityName": entity }).to_string();
        value(send(&app, "GenerateImportTargetErrorKeysFile", &SCHEDULER, &body), "Edm.Boolean")
    };
    assert_eq!((ask("Terms of payment"), ask("Customer groups")), (json!(true), json!(false)));
}

#[test]
fn row_get_import_target_error_keys_file_url() {
    let app = loaded();
    let body = r#"{"executionId":"E1","entityName":"Terms of payment"}"#;
    assert_eq!(value(send(&app, "GenerateImportTargetErrorKeysFile", &SCHEDULER, body), "Edm.Boolean"), true);
    // After true it is never empty: the client would ask without end.
    let url = value(send(&app, "GetImportTargetErrorKeysFileUrl", &SCHEDULER, body), "Edm.String");
    app.send("GET", path(url.as_str().unwrap()), &[], b"").expect(200);
}

#[test]
fn row_get_message_status() {
    let mut app = start();
    let id = app.enqueue_to(PACKAGES, "", &both(TERMS, GROUPS), None);
    app.operator("POST", &format!("jobs/{PACKAGES}/run")).expect(200);
    app.settle();
    // PowerShell writes single quotes.
    let told = value(
        send(&app, "GetMessageStatus", &["Content-Type: application/json"], &format!("{{'messageId':'{id}'}}")),
        "Microsoft.Dynamics.DataEntities.DMFMessageStatus",
    );
    assert_eq!(told, "Processed");
}

#[test]
fn row_get_execution_id_by_message_id() {
    let mut app = start();
    let id = app.enqueue_to(PACKAGES, "", &both(TERMS, GROUPS), None);
    let ask =
        |app: &Appliance| value(send(app, "GetExecutionIdByMessageId", &SCHEDULER, &format!("{{\"_messageId\":\"{id}\"}}")), "Edm.String");
    assert_eq!(ask(&app), "00000000-0000-0000-0000-000000000000", "not yet picked up");
    app.operator("POST", &format!("jobs/{PACKAGES}/run")).expect(200);
    app.settle();
    let execution = ask(&app);
    assert_eq!(status(&app, execution.as_str().unwrap()), "Succeeded");
}

#[test]
fn row_initialize_data_management() {
    let app = start();
    for action in ["InitializeDataManagement", "InitializeDataManagementAsync"] {
        let answer = send(&app, action, &["Content-Type: application/json"], "{}").expect(204);
        assert!(answer.body.is_empty());
    }
}

#[test]
fn row_delete_execution_history_job() {
    let app = loaded();
    send(&app, "DeleteExecutionHistoryJob", &SCHEDULER, r#"{"executionId":"E1"}"#).expect(204);
    let gone = send(&app, "GetExecutionSummaryStatus", &SCHEDULER, r#"{"executionId":"E1"}"#).expect(400);
    assert!(gone.text().contains("were not found"));
}

#[test]
fn row_get_entity_sequence() {
    let app = start();
    let text =
        value(send(&app, "GetEntitySequence", &SCHEDULER, r#"{"listOfDataEntities":"Customer groups,Terms of payment"}"#), "Edm.String");
    let list: Value = serde_json::from_str(text.as_str().expect("a text that is JSON")).unwrap();
    assert_eq!(list[0]["EntityName"], "Terms of payment");
}

#[test]
fn row_reset_version_token() {
    let app = Appliance::start(&format!("{}{EXPORT_JOB}", configuration("")));
    let body = r#"{"definitionGroupId":"Set-up out","entityName":"Terms of payment","sourceName":"CSV"}"#;
    assert_eq!(value(send(&app, "ResetVersionToken", &SCHEDULER, body), "Edm.Boolean"), true);
}
