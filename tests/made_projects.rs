//! Data projects that clients make, use and delete, as scripts for the real system do (CONTRACT §1.6, §1.7), and the catalogues that they read first.

use serde_json::{Value, json};

use crate::appliance::{Answer, Appliance, OTHER_APPLICATION};
use crate::package_api::{GROUPS, TERMS, put, start, status, write_url};
use crate::packages::{both, manifest, package};

const GROUPS_SET: &str = "/data/DataManagementDefinitionGroups";
const DETAILS_SET: &str = "/data/DataManagementDefinitionGroupDetails";

fn post(app: &Appliance, path: &str, body: &Value) -> Answer {
    send(app, "POST", path, &[], body.to_string().as_bytes())
}

fn delete(app: &Appliance, path: &str) -> Answer {
    send(app, "DELETE", path, &[], b"")
}

fn send(app: &Appliance, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
    let bearer = format!("Bearer {}", app.token);
    let headers = [&[("Authorization", bearer.as_str()), ("Content-Type", "application/json")], more].concat();
    app.send(method, path, &headers, body)
}

fn export_project(app: &Appliance, name: &str) {
    let body = json!({ "Name": name, "Description": "Nightly", "OperationType": "Export", "ProjectCategory": "Project", "GenerateDataPackage": "Yes" });
    let made = post(app, GROUPS_SET, &body).expect(201);
    assert_eq!(made.header("OData-Version"), Some("4.0"));
    assert_eq!(made.json()["Name"], name);
    assert!(made.header("Location").unwrap().starts_with("http://exchange.test/data/DataManagementDefinitionGroups('"));
}

fn import(app: &Appliance, project: &str, bytes: &[u8], execution: &str) -> Answer {
    let url = write_url(app, "x");
    put(app, &url, bytes).expect(201);
    let body = json!({ "packageUrl": url, "definitionGroupId": project, "executionId": execution, "execute": true, "overwrite": true });
    app.action("ImportFromPackage", &body)
}

#[test]
fn section_1_7_a_script_reads_a_template_makes_a_project_exports_it_and_deletes_it() {
    let mut app = start();
    import(&app, "Set-up", &both(TERMS, GROUPS), "first").expect(200);
    app.settle();
    // Which templates are there, and what is in this one?
    let headers = app.get("/data/DefinitionGroupTemplateHeaders?$select=TemplateId,Status").expect(200).json();
    assert!(headers["value"].as_array().unwrap().contains(&json!({ "TemplateId": "Set-up out", "Status": "Validated" })));
    let lines = app.get("/data/DefinitionGroupTemplateLines?$filter=TemplateId%20eq%20'Set-up%20out'&$orderby=Sequence").expect(200).json();
    let lines: Vec<&str> = lines["value"].as_array().unwrap().iter().map(|line| line["Entity"].as_str().unwrap()).collect();
    assert_eq!(lines, ["Terms of payment", "Customer groups"]);
    // An earlier one is deleted, whether it is there or not.
    delete(&app, &format!("{GROUPS_SET}('Set-up%20out%20USMF')")).expect(404);
    export_project(&app, "Set-up out USMF");
    let detail = json!({
        "DefinitionGroupId": "Set-up out USMF", "EntityName": "Terms of payment", "SourceFormat": "CSV", "AutoGenerateMapping": "Yes",
        "ExecutionUnit": 1, "LevelInExecutionUnit": 1, "SequenceInLevel": 1, "DefaultRefreshType": "FullPush"
    });
    let added = post(&app, DETAILS_SET, &detail).expect(201).json();
    assert_eq!((&added["DefinitionGroupId"], &added["EntityName"]), (&json!("Set-up out USMF"), &json!("Terms of payment")));
    let listed = app.get(&format!("{GROUPS_SET}('set-up%20out%20usmf')/Details")).expect(200).json();
    assert_eq!(listed["value"].as_array().unwrap().len(), 1);

    let body = json!({ "definitionGroupId": "Set-up out USMF", "packageName": "p", "executionId": "run 1", "reExecute": false, "legalEntityId": "USMF" });
    assert_eq!(app.value("ExportToPackage", &body), "run 1");
    app.settle();
    assert_eq!(status(&app, "run 1"), "Succeeded");
    // Only the entity that was asked for.
    let list = app.value("GetEntityExecutionSummaryStatusList", &json!({ "executionId": "run 1" }));
    assert_eq!((list.as_array().unwrap().len(), &list[0]["EntityName"]), (1, &json!("Terms of payment")));
    for filter in ["DefinitionGroupId%20eq%20'Set-up%20out%20USMF'", "JobId%20eq%20'run%201'"] {
        let details = app.get(&format!("/data/DataManagementExecutionJobDetails?$filter={filter}")).expect(200).json();
        assert_eq!(details["value"][0]["DefinitionGroupId"], "Set-up out USMF", "{details}");
        assert_eq!(details["value"].as_array().unwrap().len(), 1);
    }
    // What it has survives a kill; deleted, it is gone, and its executions are not.
    app.kill_and_restart();
    delete(&app, &format!("{GROUPS_SET}(Name='Set-up%20out%20USMF')")).expect(204);
    app.get(&format!("{GROUPS_SET}('Set-up%20out%20USMF')")).expect(404);
    assert!(app.action("ExportToPackage", &body).expect(400).text().contains("does not exist"));
    assert_eq!(status(&app, "run 1"), "Succeeded");
}

#[test]
fn a_package_makes_the_project_that_is_missing() {
    let mut app = start();
    import(&app, "From a golden package", &both(TERMS, GROUPS), "golden").expect(200);
    app.settle();
    assert_eq!(status(&app, "golden"), "Succeeded");
    assert_eq!(app.sql("SELECT ID, TERMS FROM customer_groups"), ["10|Net30"]);
    let made = app.get(&format!("{GROUPS_SET}('From%20a%20golden%20package')")).expect(200).json();
    assert_eq!(made["OperationType"], "Import");
    let details = app.get(&format!("{GROUPS_SET}('From%20a%20golden%20package')/Details?$select=EntityName")).expect(200).json();
    assert_eq!(details["value"].as_array().unwrap().len(), 2);
    // The next package under the name may hold something else.
    let terms = package(manifest(&[("Terms of payment", "t.csv", 1, "")]).as_bytes(), &[("t.csv", b"NAME,DAYS\r\nNet60,60\r\n")]);
    import(&app, "From a golden package", &terms, "second").expect(200);
    app.settle();
    assert_eq!(app.sql("SELECT count(*) FROM terms"), ["2"]);
    let details = app.get(&format!("{GROUPS_SET}('From%20a%20golden%20package')/Details?$select=EntityName")).expect(200).json();
    assert_eq!(details["value"], json!([{ "EntityName": "Terms of payment" }]));

    let refused = |bytes: &[u8], text: &str| {
        let answer = import(&app, "Another", bytes, "x").expect(400);
        assert!(answer.text().contains(text), "expected {text}: {}", answer.text());
    };
    let foreign = package(manifest(&[("Vendors", "v.csv", 1, "")]).as_bytes(), &[("v.csv", b"A\r\n")]);
    refused(&foreign, "Entity Vendors does not exist in the target environment");
    refused(b"no package", "a package is a zip file");
    app.get(&format!("{GROUPS_SET}('Another')")).expect(404);
}

#[test]
fn a_made_project_adds_no_right_and_every_refusal_says_why() {
    let app = start();
    export_project(&app, "Mine");
    let refused = |method: &str, path: &str, body: Value, status: u16, text: &str| {
        let answer = send(&app, method, path, &[], body.to_string().as_bytes()).expect(status);
        assert!(answer.text().contains(text), "expected {text}: {}", answer.text());
        assert!(!answer.json()["error"]["message"].as_str().unwrap().is_empty());
    };
    refused("POST", GROUPS_SET, json!({ "Name": "mine", "OperationType": "Export" }), 400, "exists");
    refused("POST", GROUPS_SET, json!({ "Name": "Set-up", "OperationType": "Import" }), 400, "made in the configuration");
    refused("POST", GROUPS_SET, json!({ "Name": "Other" }), 400, "OperationType is Import or Export");
    refused("POST", GROUPS_SET, json!({ "OperationType": "Export" }), 400, "the member Name is missing");
    refused("POST", GROUPS_SET, json!({ "Name": "a\u{7}", "OperationType": "Export" }), 400, "control character");
    refused("POST", GROUPS_SET, json!({ "Name": "a".repeat(201), "OperationType": "Export" }), 400, "at most 200");
    refused("POST", GROUPS_SET, json!([]), 400, "no JSON object");
    refused("POST", DETAILS_SET, json!({ "DefinitionGroupId": "Mine", "EntityName": "Vendors" }), 400, "Entity Vendors does not exist");
    refused("POST", DETAILS_SET, json!({ "DefinitionGroupId": "None", "EntityName": "Vendors" }), 404, "has made no data project");
    refused("POST", DETAILS_SET, json!({ "DefinitionGroupId": "Set-up", "EntityName": "Vendors" }), 403, "only an operator changes it");
    refused("DELETE", &format!("{GROUPS_SET}('Set-up')"), json!({}), 403, "only an operator changes it");
    refused("DELETE", GROUPS_SET, json!({}), 400, "name the project");
    refused(
        "DELETE",
        &format!("{DETAILS_SET}(DefinitionGroupId='Mine',EntityName='Terms%20of%20payment')"),
        json!({}),
        404,
        "has no entity",
    );
    refused("PATCH", &format!("{GROUPS_SET}('Mine')"), json!({}), 405, "can be made and deleted");
    refused("POST", "/data/Termsofpayment", json!({}), 405, "rows come in by import");
    let empty = app.action("ExportToPackage", &json!({ "definitionGroupId": "Mine", "packageName": "p" })).expect(400);
    assert!(empty.text().contains("has no entities yet"), "{}", empty.text());
    // By an alias, and twice.
    post(&app, DETAILS_SET, &json!({ "DefinitionGroupId": "Mine", "EntityName": "PaymentTermEntity" })).expect(201);
    refused("POST", DETAILS_SET, json!({ "DefinitionGroupId": "Mine", "EntityName": "Terms of payment" }), 400, "already");
    let quiet =
        send(&app, "POST", DETAILS_SET, &[("Prefer", "return=minimal")], br#"{"DefinitionGroupId":"Mine","EntityName":"Customer groups"}"#);
    assert!(quiet.expect(204).header("OData-EntityId").unwrap().contains("EntityName='Customer%20groups'"));
    delete(&app, &format!("{DETAILS_SET}(DefinitionGroupId='Mine',EntityName='PaymentTermEntity')")).expect(204);

    // Another application neither sees nor uses nor deletes it.
    let bearer = format!("Bearer {}", app.token_of(OTHER_APPLICATION));
    let other = |method: &str, path: &str| app.send(method, path, &[("Authorization", &bearer)], b"");
    other("GET", &format!("{GROUPS_SET}('Mine')")).expect(404);
    other("DELETE", &format!("{GROUPS_SET}('Mine')")).expect(404);
    assert_eq!(other("GET", "/metadata/DataEntities").expect(200).json()["value"], json!([]));
    app.send("POST", GROUPS_SET, &[], b"{}").expect(401);
}

#[test]
fn section_1_7_the_metadata_service_lists_the_entities_that_the_caller_may_use() {
    let app = start();
    let all = app.get("/metadata/DataEntities").expect(200).json();
    assert_eq!(all["@odata.context"], "http://exchange.test/metadata/$metadata#DataEntities");
    assert_eq!(all["value"].as_array().unwrap().len(), 2);
    let one = app.get("/Metadata/DataEntities?$filter=PublicCollectionName%20eq%20'Termsofpayment'&$select=Name").expect(200).json();
    assert_eq!(one["value"], json!([{ "Name": "PaymentTermEntity" }]));
    let one = app.get("/metadata/DataEntities('PaymentTermEntity')").expect(200).json();
    assert_eq!(
        (&one["DataServiceEnabled"], &one["DataManagementEnabled"], &one["IsReadOnly"]),
        (&json!(true), &json!(true), &json!(false))
    );
    app.get(&format!("/data/{}", one["PublicCollectionName"].as_str().unwrap())).expect(200);
    let some = app.get("/metadata/DataEntities?$filter=DataServiceEnabled%20eq%20true&$select=PublicCollectionName").expect(200).json();
    assert_eq!(some["value"].as_array().unwrap().len(), 2);
    app.get("/metadata/Labels").expect(404);
    app.send("GET", "/metadata/DataEntities", &[], b"").expect(401);
}
